// SPDX-License-Identifier: GPL-2.0
/*
 * I/O that userspace must answer: fills in kvm_run, and completes the access on
 * the next KVM_RUN. Port accesses come from their exit; MMIO comes from the
 * emulator, fragment by fragment.
 */
#include <linux/kernel.h>
#include <linux/string.h>

#include "coalesced.h"
#include "doorbell.h"
#include "exit.h"
#include "gpa.h"
#include "gva.h"
#include "io.h"
#include "irq.h"
#include "keel.h"

/* --- writes that userspace is not asked for ----------------------------- */

static bool bus_watched(struct keel_vcpu *vcpu, enum keel_bus bus)
{
	return READ_ONCE(vcpu->vm->nr_doorbells[bus]) || READ_ONCE(vcpu->vm->nr_zones[bus]);
}

static noinline bool offer(struct keel_vcpu *vcpu, enum keel_bus bus, u64 addr, const void *data,
			   unsigned int len)
{
	return keel_doorbell_write(vcpu, bus, addr, data, len) ||
	       keel_coalesced_write(vcpu, bus, addr, data, len);
}

/* True if a doorbell or the coalesced ring has taken the write. */
static bool taken(struct keel_vcpu *vcpu, enum keel_bus bus, u64 addr, const void *data,
		  unsigned int len)
{
	return unlikely(bus_watched(vcpu, bus)) && offer(vcpu, bus, addr, data, len);
}

/* --- ports -------------------------------------------------------------- */

/* Exit qualification of an I/O instruction. */
#define QUAL_SIZE(q)		(((q) & 7) + 1)
#define QUAL_IN			BIT(3)
#define QUAL_STRING		BIT(4)
#define QUAL_REP		BIT(5)
#define QUAL_PORT(q)		(((q) >> 16) & 0xffff)

/* Instruction information of INS and OUTS. */
#define INFO_ADDR_BYTES(i)	(2u << (((i) >> 7) & 3))
#define INFO_SEG(i)		(((i) >> 15) & 7)

static u64 pio_mask(const struct keel_pio *pio)
{
	return pio->addr_bytes == 8 ? ~0ull : (1ull << (pio->addr_bytes * 8)) - 1;
}

static void set_gpr_masked(struct keel_vcpu *vcpu, enum vmx_gpr reg, u64 val)
{
	unsigned long *gpr = &vcpu->vmx.gpr[reg];
	u8 bytes = vcpu->pio.addr_bytes;

	/* A 32-bit register write clears the upper half, a 16-bit one keeps the rest. */
	if (bytes == 2)
		*gpr = (*gpr & ~0xfffful) | (val & 0xffff);
	else
		*gpr = bytes == 4 ? (u32)val : val;
}

static int pio_to_user(struct keel_vcpu *vcpu)
{
	struct keel_pio *pio = &vcpu->pio;
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = pio->in ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	run->io.size = pio->size;
	run->io.port = pio->port;
	run->io.count = pio->count;
	run->io.data_offset = KVM_PIO_PAGE_OFFSET * PAGE_SIZE;
	return RUN_USER;
}

/* Check for breakpoints on the port after the instruction or one iteration of it. */
static void watch_port(struct keel_vcpu *vcpu)
{
	if (unlikely(vcpu->vmx.on_data))
		keel_debug_watch_port(vcpu, vcpu->pio.port, vcpu->pio.size);
}

/* Skip the instruction, unless userspace has moved RIP meanwhile. */
static void skip_if_unmoved(struct keel_vcpu *vcpu)
{
	if (vmx_rip(&vcpu->vmx) != vcpu->pio.rip)
		return;
	watch_port(vcpu);
	keel_skip_insn(vcpu);
}

static int complete_out(struct keel_vcpu *vcpu)
{
	skip_if_unmoved(vcpu);
	return RUN_RESUME;
}

static int complete_in(struct keel_vcpu *vcpu)
{
	unsigned long *rax = &vcpu->vmx.gpr[GPR_RAX];
	u32 val = 0;

	memcpy(&val, vcpu->pio_data, vcpu->pio.size);
	if (vcpu->pio.size == 4)
		*rax = val;
	else
		memcpy(rax, &val, vcpu->pio.size);
	skip_if_unmoved(vcpu);
	return RUN_RESUME;
}

static int simple_in(struct keel_vcpu *vcpu)
{
	vcpu->pio.count = 1;
	vcpu->complete = complete_in;
	return pio_to_user(vcpu);
}

static int simple_out(struct keel_vcpu *vcpu)
{
	const unsigned long *rax = &vcpu->vmx.gpr[GPR_RAX];

	if (taken(vcpu, KEEL_BUS_PIO, vcpu->pio.port, rax, vcpu->pio.size)) {
		skip_if_unmoved(vcpu);
		return RUN_RESUME;
	}
	vcpu->pio.count = 1;
	memcpy(vcpu->pio_data, rax, vcpu->pio.size);
	vcpu->complete = complete_out;
	return pio_to_user(vcpu);
}

/* --- string ports ------------------------------------------------------- */

static enum vmx_gpr string_reg(const struct keel_pio *pio)
{
	return pio->in ? GPR_RDI : GPR_RSI;
}

static u64 rep_count(struct keel_vcpu *vcpu)
{
	return vcpu->pio.rep ? vcpu->vmx.gpr[GPR_RCX] & pio_mask(&vcpu->pio) : 1;
}

/*
 * Number of elements for one exit: those that lie within the page and the
 * segment, before the index register wraps. One if the direction is down, if
 * the first element crosses a page, or if each element may raise a trap.
 */
static u32 batch(struct keel_vcpu *vcpu)
{
	struct keel_pio *pio = &vcpu->pio;
	u64 index = vcpu->vmx.gpr[string_reg(pio)] & pio_mask(pio);
	u64 in_page = (PAGE_SIZE - (pio->linear & ~PAGE_MASK)) / pio->size;
	u64 before_wrap = (pio_mask(pio) - index) / pio->size + 1;
	u64 in_segment = (pio->end - (pio->size - 1) - index) / pio->size + 1;

	/* A doorbell or zone may take only some of the elements: one per exit. */
	if (!pio->in && bus_watched(vcpu, KEEL_BUS_PIO))
		return 1;
	if (pio->down || !in_page || (vmx_rflags(&vcpu->vmx) & X86_EFLAGS_TF) ||
	    keel_debug_steps(&vcpu->debug) || vcpu->vmx.on_data)
		return 1;
	return min3(min(rep_count(vcpu), in_segment), in_page, before_wrap);
}

static bool canonical(u64 addr)
{
	return (u64)((s64)(addr << 16) >> 16) == addr;
}

/* True if the type of the segment allows the access; only real mode writes to code segments. */
static bool rights_allow(struct keel_vcpu *vcpu, const struct kvm_segment *s)
{
	bool code = s->type & 8, rw = s->type & 2;

	if (s->unusable)
		return false;
	if (!vcpu->pio.in)
		return !code || rw;
	return code ? !(vmx_cr0(&vcpu->vmx) & X86_CR0_PE) : rw;
}

/* Do the segment checks for the first element: the exit comes before the CPU's own checks. */
static bool segment_allows(struct keel_vcpu *vcpu, enum vmx_seg seg)
{
	struct keel_pio *pio = &vcpu->pio;
	u64 first = vcpu->vmx.gpr[string_reg(pio)] & pio_mask(pio), last = first + pio->size - 1;
	struct kvm_segment s;

	pio->end = ~0ull;
	if (vmx_in_long_mode_code(&vcpu->vmx))
		return canonical(pio->linear) && canonical(pio->linear + pio->size - 1);
	vmx_get_segment(&vcpu->vmx, seg, &s);
	if (!rights_allow(vcpu, &s))
		return false;
	pio->end = s.limit;
	if (!(s.type & 8) && s.type & 4) {	/* expand-down: above the limit only */
		pio->end = s.db ? 0xffffffffu : 0xffffu;
		return first > s.limit && last <= pio->end;
	}
	return last <= pio->end;
}

static u32 user_access(struct keel_vcpu *vcpu)
{
	return vmx_cpl(&vcpu->vmx) == 3 ? ACC_USER : 0;
}

/*
 * Return RUN_USER on success, RUN_RESUME if an exception is queued or the guest
 * must try again, or -EFAULT.
 */
static int translate_operand(struct keel_vcpu *vcpu, struct gva_span *span)
{
	struct keel_pio *pio = &vcpu->pio;
	struct walk_fault fault;
	int err;

	err = keel_gva_translate(vcpu, pio->linear, pio->count * pio->size,
				 user_access(vcpu) | (pio->in ? ACC_WRITE : ACC_READ),
				 vmx_in_long_mode_code(&vcpu->vmx), span, &fault);
	if (err == WALK_FAULT)
		keel_queue_page_fault(vcpu, &fault);
	if (err == -EFAULT)
		return err;
	return err ? RUN_RESUME : RUN_USER;
}

/*
 * An iteration traps like an instruction. RF keeps a code breakpoint from
 * firing again on the next iteration.
 */
static void iterated(struct keel_vcpu *vcpu)
{
	bool traps = keel_debug_show_rflags(vcpu) & X86_EFLAGS_TF;

	watch_port(vcpu);
	vmx_set_rflags(&vcpu->vmx, vmx_rflags(&vcpu->vmx) | X86_EFLAGS_RF);
	keel_stepped(vcpu, traps);
}

static void advance_string(struct keel_vcpu *vcpu)
{
	struct keel_pio *pio = &vcpu->pio;
	enum vmx_gpr reg = string_reg(pio);
	s64 step = (s64)pio->count * pio->size;

	set_gpr_masked(vcpu, reg, vcpu->vmx.gpr[reg] + (pio->down ? -step : step));
	if (pio->rep)
		set_gpr_masked(vcpu, GPR_RCX, vcpu->vmx.gpr[GPR_RCX] - pio->count);
	/* With data breakpoints batch() returns 1, so this is the only element. */
	if (unlikely(vcpu->vmx.on_data) && vmx_rip(&vcpu->vmx) == pio->rip)
		keel_debug_watch(vcpu, pio->linear, pio->size, pio->in);
	if (!pio->rep || !rep_count(vcpu))
		skip_if_unmoved(vcpu);
	else if (vmx_rip(&vcpu->vmx) == pio->rip)
		iterated(vcpu);
}

/* Complete no more elements than RCX says: userspace may have lowered it during the exit. */
static void limit_count(struct keel_vcpu *vcpu)
{
	vcpu->pio.count = min_t(u64, vcpu->pio.count, rep_count(vcpu));
}

/* A span of two parts is one element that crosses a page: only a single part can shrink. */
static void limit_span(struct gva_span *span, unsigned int len)
{
	if (span->parts == 1)
		span->part[0].len = min(span->part[0].len, len);
}

static int complete_outs(struct keel_vcpu *vcpu)
{
	limit_count(vcpu);
	advance_string(vcpu);
	return RUN_RESUME;
}

/* start_string() has translated the destination at the exit: see vcpu->ins. */
static int complete_ins(struct keel_vcpu *vcpu)
{
	int err;

	limit_count(vcpu);
	if (!vcpu->pio.count)
		return complete_outs(vcpu);
	limit_span(&vcpu->ins, vcpu->pio.count * vcpu->pio.size);
	err = keel_span_write_held(vcpu, &vcpu->ins, vcpu->pio_data);
	if (err) {
		/* Keep the device's data for the next KVM_RUN, when the memory may be writable. */
		vcpu->complete = complete_ins;
		return err;
	}
	advance_string(vcpu);
	return RUN_RESUME;
}

/*
 * Copy the element first: userspace shares pio_data, and the value that a
 * doorbell compares must be the value that is written.
 */
static bool out_taken(struct keel_vcpu *vcpu)
{
	u32 val = 0;

	memcpy(&val, vcpu->pio_data, vcpu->pio.size);
	barrier();
	return taken(vcpu, KEEL_BUS_PIO, vcpu->pio.port, &val, vcpu->pio.size);
}

static bool in_memory(struct keel_vcpu *vcpu, struct gva_span *span, bool write)
{
	bool writable;
	int i;

	for (i = 0; i < span->parts; i++) {
		if (!keel_gpa_find(vcpu, span->part[i].gpa, &span->part[i].hva, &writable))
			return false;
		if (write && !writable)
			return false;
	}
	return true;
}

/* SRCU held. -ENXIO: the memory operand is not RAM, or not writable for INS. */
static int start_string(struct keel_vcpu *vcpu)
{
	struct keel_pio *pio = &vcpu->pio;
	struct gva_span span;
	int r;

	pio->count = batch(vcpu);
	r = translate_operand(vcpu, &span);
	if (r != RUN_USER)
		return r;
	if (!in_memory(vcpu, &span, pio->in))
		return -ENXIO;
	r = pio->in ? 0 : keel_span_read(vcpu, &span, vcpu->pio_data);
	if (r)
		return r;
	if (!pio->in && pio->count == 1 && out_taken(vcpu)) {
		advance_string(vcpu);
		return RUN_RESUME;
	}
	if (pio->in)
		vcpu->ins = span;
	vcpu->complete = pio->in ? complete_ins : complete_outs;
	return pio_to_user(vcpu);
}

static int string_io(struct keel_vcpu *vcpu)
{
	u32 info = vmx_exit_insn_info(&vcpu->vmx);
	struct keel_pio *pio = &vcpu->pio;
	enum vmx_seg seg = pio->in ? SEG_ES : INFO_SEG(info);
	int r;

	pio->addr_bytes = INFO_ADDR_BYTES(info);
	pio->linear = vmx_exit_linear(&vcpu->vmx);
	pio->down = vmx_rflags(&vcpu->vmx) & X86_EFLAGS_DF;
	if (!rep_count(vcpu)) {
		keel_skip_insn(vcpu);
		return RUN_RESUME;
	}
	if (!segment_allows(vcpu, seg)) {
		keel_queue_exception_error(vcpu, seg == SEG_SS ? 12 : 13, 0);
		return RUN_RESUME;
	}
	keel_read_slots(vcpu);
	r = start_string(vcpu);
	keel_read_slots_end(vcpu);
	return r;
}

int keel_io_exit(struct keel_vcpu *vcpu)
{
	u64 qual = vmx_exit_qualification(&vcpu->vmx);

	STAT(vcpu, io_exits);
	vcpu->pio = (struct keel_pio) {
		.port = QUAL_PORT(qual),
		.size = QUAL_SIZE(qual),
		.in = qual & QUAL_IN,
		.rep = qual & QUAL_REP,
		.rip = vmx_rip(&vcpu->vmx),
	};
	if (qual & QUAL_STRING)
		return string_io(vcpu);
	return vcpu->pio.in ? simple_in(vcpu) : simple_out(vcpu);
}

/* --- MMIO --------------------------------------------------------------- */

void keel_mmio_reset(struct keel_vcpu *vcpu)
{
	vcpu->mmio.answered = 0;
	vcpu->mmio.replayed = 0;
	vcpu->mmio.nr = 0;
	vcpu->mmio.next = 0;
}

/*
 * Drop what was read or queued after the first @answered fragments;
 * re-execution queues it again.
 */
void keel_mmio_rewind(struct keel_vcpu *vcpu, unsigned int answered)
{
	vcpu->mmio.replayed = 0;
	vcpu->mmio.answered = answered;
	vcpu->mmio.nr = answered;
}

void keel_mmio_rehearse(struct keel_vcpu *vcpu, bool begin)
{
	vcpu->mmio.replayed = 0;
	vcpu->mmio.rehearsing = begin;
	vcpu->mmio.guessed = false;
}

static struct keel_mmio_fragment *new_fragment(struct keel_vcpu *vcpu, gpa_t gpa, unsigned int len,
					       enum keel_fragment_kind kind)
{
	struct keel_mmio *m = &vcpu->mmio;
	struct keel_mmio_fragment *f;

	if (m->nr >= KEEL_MMIO_FRAGMENTS)
		return NULL;
	f = &m->frag[m->nr++];
	f->gpa = gpa;
	f->len = len;
	f->kind = kind;
	return f;
}

/* Return the next known bytes. Re-execution makes the same accesses in the same order. */
static int replay(struct keel_mmio *m, gpa_t gpa, void *buf, unsigned int len,
		  enum keel_fragment_kind kind)
{
	const struct keel_mmio_fragment *f = &m->frag[m->replayed];

	if (WARN_ON_ONCE(f->gpa != gpa || f->len != len || f->kind != kind))
		return -EIO;
	memcpy(buf, f->data, len);
	m->replayed++;
	return 0;
}

static int guess(struct keel_mmio *m, void *buf, unsigned int len)
{
	memset(buf, 0, len);
	m->guessed = true;
	return 0;
}

static int read_fragment(struct keel_vcpu *vcpu, gpa_t gpa, void *buf, unsigned int len,
			 enum keel_fragment_kind kind)
{
	struct keel_mmio *m = &vcpu->mmio;

	if (m->replayed < m->answered)
		return replay(m, gpa, buf, len, kind);
	if (m->rehearsing)
		return guess(m, buf, len);
	return new_fragment(vcpu, gpa, len, kind) ? -EAGAIN : -ENOSPC;
}

static inline int write_fragment(struct keel_vcpu *vcpu, gpa_t gpa, const void *buf,
				 unsigned int len, enum keel_fragment_kind kind)
{
	struct keel_mmio_fragment *f;

	if (unlikely(vcpu->mmio.rehearsing))
		return 0;
	f = new_fragment(vcpu, gpa, len, kind);
	if (!f)
		return -ENOSPC;
	memcpy(f->data, buf, len);
	return 0;
}

int keel_mmio_read(struct keel_vcpu *vcpu, gpa_t gpa, void *buf, unsigned int len)
{
	return read_fragment(vcpu, gpa, buf, len, FRAGMENT_MMIO);
}

int keel_mmio_write(struct keel_vcpu *vcpu, gpa_t gpa, const void *buf, unsigned int len)
{
	return write_fragment(vcpu, gpa, buf, len, FRAGMENT_MMIO);
}

int keel_port_read(struct keel_vcpu *vcpu, u16 port, void *buf, unsigned int len)
{
	return read_fragment(vcpu, port, buf, len, FRAGMENT_PORT);
}

int keel_port_write(struct keel_vcpu *vcpu, u16 port, const void *buf, unsigned int len)
{
	return write_fragment(vcpu, port, buf, len, FRAGMENT_PORT);
}

#define FRAGMENT_BYTES	sizeof_field(struct keel_mmio_fragment, data)

int keel_ram_recall(struct keel_vcpu *vcpu, gpa_t gpa, void *buf, unsigned int len)
{
	struct keel_mmio *m = &vcpu->mmio;
	unsigned int n;
	int err = 0;

	if (m->replayed == m->answered)
		return m->rehearsing ? guess(m, buf, len) : -ENOENT;
	for (; len && !err; len -= n) {
		n = min_t(unsigned int, len, FRAGMENT_BYTES);
		err = replay(m, gpa, buf, n, FRAGMENT_RAM);
		gpa += n;
		buf += n;
	}
	return err;
}

int keel_ram_note(struct keel_vcpu *vcpu, gpa_t gpa, const void *buf, unsigned int len)
{
	struct keel_mmio *m = &vcpu->mmio;
	unsigned int n;
	int err = 0;

	/* After the first write userspace is asked nothing more: the RAM need not be noted. */
	if (m->nr != m->answered)
		return 0;
	for (; len && !err; len -= n) {
		n = min_t(unsigned int, len, FRAGMENT_BYTES);
		err = write_fragment(vcpu, gpa, buf, n, FRAGMENT_RAM);
		gpa += n;
		buf += n;
	}
	/* The fragment holds its own answer: count it as answered and replayed. */
	m->answered = m->nr;
	m->replayed = m->nr;
	return err;
}

/* Port accesses of an emulated instruction exit one by one, like those to MMIO. */
static int port_to_user(struct keel_vcpu *vcpu, const struct keel_mmio_fragment *f, bool write)
{
	STAT(vcpu, io_exits);
	vcpu->pio = (struct keel_pio) {
		.port = f->gpa, .size = f->len, .in = !write, .count = 1,
	};
	if (write)
		memcpy(vcpu->pio_data, f->data, f->len);
	return pio_to_user(vcpu);
}

static int mmio_to_user(struct keel_vcpu *vcpu, const struct keel_mmio_fragment *f, bool write)
{
	struct kvm_run *run = vcpu->run;

	if (f->kind == FRAGMENT_PORT)
		return port_to_user(vcpu, f, write);
	STAT(vcpu, mmio_exits);
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = f->gpa;
	run->mmio.len = f->len;
	run->mmio.is_write = write;
	/* Copy all 8 bytes: those beyond the length have no meaning. */
	if (write)
		memcpy(run->mmio.data, f->data, sizeof(run->mmio.data));
	return RUN_USER;
}

int keel_mmio_ask(struct keel_vcpu *vcpu)
{
	return mmio_to_user(vcpu, &vcpu->mmio.frag[vcpu->mmio.answered], false);
}

void keel_mmio_answer(struct keel_vcpu *vcpu)
{
	struct keel_mmio *m = &vcpu->mmio;
	struct keel_mmio_fragment *f = &m->frag[m->answered];

	memcpy(f->data, f->kind == FRAGMENT_PORT ? vcpu->pio_data : vcpu->run->mmio.data, f->len);
	m->answered++;
}

bool keel_mmio_queued(const struct keel_vcpu *vcpu)
{
	return vcpu->mmio.next < vcpu->mmio.nr;
}

static inline int hand_over(struct keel_vcpu *vcpu)
{
	struct keel_mmio *m = &vcpu->mmio;

	if (keel_mmio_queued(vcpu))
		return mmio_to_user(vcpu, &m->frag[m->next++], true);
	keel_mmio_reset(vcpu);
	return RUN_RESUME;
}

/* Offer the queued writes to doorbells and zones, and keep only those that none has taken. */
static noinline void offer_all(struct keel_vcpu *vcpu)
{
	struct keel_mmio *m = &vcpu->mmio;
	int i, left = m->next;

	for (i = m->next; i < m->nr; i++) {
		const struct keel_mmio_fragment *f = &m->frag[i];
		enum keel_bus bus = f->kind == FRAGMENT_PORT ? KEEL_BUS_PIO : KEEL_BUS_MMIO;

		if (!offer(vcpu, bus, f->gpa, f->data, f->len))
			m->frag[left++] = *f;
	}
	m->nr = left;
}

int keel_mmio_commit(struct keel_vcpu *vcpu)
{
	vcpu->mmio.next = vcpu->mmio.answered;
	if (unlikely(bus_watched(vcpu, KEEL_BUS_MMIO) || bus_watched(vcpu, KEEL_BUS_PIO)))
		offer_all(vcpu);
	return hand_over(vcpu);
}

int keel_mmio_flush(struct keel_vcpu *vcpu)
{
	return hand_over(vcpu);
}
