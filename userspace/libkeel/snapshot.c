// SPDX-License-Identifier: GPL-2.0
/*
 * Save a machine to a file and restore it. Owns the format: a header, then
 * records - the slots and their contents, the clock, the vCPUs, the caller's note -
 * and at the end a checksum of everything, so that a truncated or damaged file is
 * refused. A file is hostile input. state.c owns the contents of a vCPU.
 *
 * Numbers are in the byte order of the machine that writes; sizes are in bytes;
 * contents are padded with zeros to 8 bytes. Pages of zeros are left out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#define MAGIC		"KEELSNAP"
#define VERSION		1u
#define MAX_RUN		(1u << 20)	/* bytes of memory in one record */
#define MAX_BLOCK	(1u << 20)	/* bytes of a vCPU, of a note */

/* Size of struct keel_snapshot in its first release. */
#define SNAPSHOT_MIN	(offsetof(struct keel_snapshot, note_size) + sizeof(size_t))

struct header {
	char magic[8];
	__u32 version;
	__u32 vcpus;
};

enum record_type { TYPE_SLOT = 1, TYPE_PAGES, TYPE_CLOCK, TYPE_VCPU, TYPE_NOTE, TYPE_END };

struct record {
	__u32 type;
	__u32 id;		/* of the slot or vCPU */
	__u64 size;		/* of what follows, without the padding */
};

struct slot {
	__u64 gpa, size;
	__u32 flags, pad;
};

/* --- bytes ----------------------------------------------------------------- */

/* A file being written or read, and the checksum of its bytes so far. */
struct stream {
	int fd;
	__u64 sum;
};

/* Add to the checksum, which detects accidents, not malice. @size is a multiple of 8. */
static void sum_up(struct stream *s, const void *data, size_t size)
{
	const unsigned char *p = data;
	__u64 word;

	for (; size; size -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		s->sum = (s->sum ^ word) * 0x9e3779b97f4a7c15ull;
		s->sum ^= s->sum >> 29;
	}
}

static int put(struct stream *s, const void *data, size_t size)
{
	const char *p = data;
	ssize_t n;

	sum_up(s, data, size);
	while (size) {
		n = write(s->fd, p, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		p += n;
		size -= n;
	}
	return 0;
}

static int get(struct stream *s, void *data, size_t size)
{
	size_t left = size;
	char *p = data;
	ssize_t n;

	while (left) {
		n = read(s->fd, p, left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EBADMSG;
		p += n;
		left -= n;
	}
	sum_up(s, data, size);
	return 0;
}

static size_t padding(__u64 size)
{
	return -size & 7;
}

static int put_record(struct stream *s, enum record_type type, __u32 id, const void *data,
		      size_t size)
{
	struct record record = { .type = type, .id = id, .size = size };
	unsigned char last[8] = { 0 };
	int ret = put(s, &record, sizeof(record));

	if (!ret)
		ret = put(s, data, size & ~(size_t)7);
	if (ret || !padding(size))
		return ret;
	memcpy(last, (const char *)data + (size & ~(size_t)7), size & 7);
	return put(s, last, sizeof(last));
}

/* Read the contents of a record into allocated memory. */
static int get_contents(struct stream *s, const struct record *record, struct keel_block *out)
{
	int ret;

	if (!record->size || record->size > MAX_BLOCK)
		return -EBADMSG;
	out->size = record->size;
	out->data = malloc(record->size + padding(record->size));
	if (!out->data)
		return -ENOMEM;
	ret = get(s, out->data, record->size + padding(record->size));
	if (ret)
		free(out->data);
	return ret;
}

/* Read a structure of exactly this size. */
static int get_exactly(struct stream *s, const struct record *record, void *out, size_t size)
{
	return record->size == size ? get(s, out, size) : -EBADMSG;
}

/* --- memory ---------------------------------------------------------------- */

static bool is_zero(const unsigned char *page)
{
	return !*page && !memcmp(page, page + 1, KEEL_PAGE_SIZE - 1);
}

/* Bytes of the run of nonzero pages from @at on, up to MAX_RUN. */
static __u64 run_length(const struct keel_slot *slot, __u64 at)
{
	const unsigned char *p = slot->hva;
	__u64 end = at;

	while (end < slot->size && end - at < MAX_RUN && !is_zero(p + end))
		end += KEEL_PAGE_SIZE;
	return end - at;
}

static int put_pages(struct stream *s, __u32 id, const struct keel_slot *slot, __u64 at,
		     __u64 size)
{
	struct record record = { .type = TYPE_PAGES, .id = id, .size = sizeof(at) + size };
	int ret = put(s, &record, sizeof(record));

	if (!ret)
		ret = put(s, &at, sizeof(at));
	return ret ? ret : put(s, (const char *)slot->hva + at, size);
}

static int put_slot(struct stream *s, __u32 id, const struct keel_slot *slot)
{
	struct slot out = { .gpa = slot->gpa, .size = slot->size, .flags = slot->flags };
	int ret = put_record(s, TYPE_SLOT, id, &out, sizeof(out));
	__u64 at, size;

	for (at = 0; !ret && at < slot->size; at += size ? size : KEEL_PAGE_SIZE) {
		size = run_length(slot, at);
		if (size)
			ret = put_pages(s, id, slot, at, size);
	}
	return ret;
}

static int put_memory(struct stream *s, struct keel_vm *vm)
{
	const struct keel_slot_table *table;
	int ret = 0;
	__u32 as, i;

	pthread_mutex_lock(&vm->slots_lock);
	for (as = 0; as < KEEL_ADDRESS_SPACES; as++) {
		table = &vm->tables[as];
		for (i = 0; !ret && i < table->count; i++)
			if (table->slots[i].size)
				ret = put_slot(s, as << KEEL_SLOT_AS_SHIFT | i, &table->slots[i]);
	}
	pthread_mutex_unlock(&vm->slots_lock);
	return ret;
}

static int get_slot(struct stream *s, const struct record *record, struct keel_vm *vm)
{
	struct slot in;
	int ret = get_exactly(s, record, &in, sizeof(in));

	return ret ? ret : keel_mem_alloc(vm, record->id, in.gpa, in.size, in.flags, NULL);
}

/* No other thread knows the VM yet, so the slot needs no lock. */
static int get_pages(struct stream *s, const struct record *record, struct keel_vm *vm)
{
	const struct keel_slot *slot = keel_mem_find(vm, record->id);
	__u64 at, size = record->size - sizeof(at);
	int ret;

	if (!slot || record->size <= sizeof(at) || size > MAX_RUN || size % KEEL_PAGE_SIZE)
		return -EBADMSG;
	ret = get(s, &at, sizeof(at));
	if (ret)
		return ret;
	if (at % KEEL_PAGE_SIZE || at > slot->size || size > slot->size - at)
		return -EBADMSG;
	return get(s, (char *)slot->hva + at, size);
}

/* --- clock and vCPUs -------------------------------------------------------- */

static int put_clock(struct stream *s, struct keel_vm *vm)
{
	struct kvm_clock_data clock = { 0 };
	int ret;

	if (keel_vm_check_extension(vm, KVM_CAP_ADJUST_CLOCK) <= 0)
		return 0;
	ret = keel_ioctl(vm->fd, KVM_GET_CLOCK, &clock);
	return ret ? ret : put_record(s, TYPE_CLOCK, 0, &clock, sizeof(clock));
}

/* The clock continues from its saved value: the time in between is not added. */
static int get_clock(struct stream *s, const struct record *record, struct keel_vm *vm)
{
	struct kvm_clock_data in, clock = { 0 };
	int ret = get_exactly(s, record, &in, sizeof(in));

	if (ret)
		return ret;
	clock.clock = in.clock;
	return keel_ioctl(vm->fd, KVM_SET_CLOCK, &clock);
}

static int put_vcpu(struct stream *s, struct keel_vcpu *vcpu)
{
	struct keel_block block = { NULL, 0 };
	int ret = keel_state_get(vcpu, &block);

	if (!ret)
		ret = put_record(s, TYPE_VCPU, vcpu->id, block.data, block.size);
	free(block.data);
	return ret;
}

static int add_vcpu(struct keel_snapshot *out, struct keel_vcpu *vcpu)
{
	struct keel_vcpu **vcpus = realloc(out->vcpus, (out->count + 1) * sizeof(*vcpus));

	if (!vcpus)
		return -ENOMEM;
	vcpus[out->count++] = vcpu;
	out->vcpus = vcpus;
	return 0;
}

static int get_vcpu(struct stream *s, const struct record *record, struct keel_snapshot *out)
{
	struct keel_vcpu *vcpu = NULL;
	struct keel_block block;
	int ret = get_contents(s, record, &block);

	if (ret)
		return ret;
	ret = keel_vcpu_create(out->vm, record->id, &vcpu);
	if (!ret)
		ret = keel_state_set(vcpu, &block);
	if (!ret)
		ret = add_vcpu(out, vcpu);
	if (ret)
		keel_vcpu_destroy(vcpu);
	free(block.data);
	return ret;
}

static int get_note(struct stream *s, const struct record *record, struct keel_snapshot *out)
{
	struct keel_block block;
	int ret;

	if (out->note)
		return -EBADMSG;
	ret = get_contents(s, record, &block);
	if (ret)
		return ret;
	out->note = block.data;
	out->note_size = block.size;
	return 0;
}

/* --- the whole -------------------------------------------------------------- */

/* Complete half-done accesses before memory is written: they may change it. */
static int complete_all(const struct keel_snapshot *snapshot)
{
	int ret = 0;
	__u32 i;

	for (i = 0; !ret && i < snapshot->count; i++)
		ret = keel_vcpu_complete(snapshot->vcpus[i]);
	return ret > 0 ? -EBUSY : ret;
}

static int put_end(struct stream *s)
{
	__u64 sum = s->sum;

	return put_record(s, TYPE_END, 0, &sum, sizeof(sum));
}

static int save(const struct keel_snapshot *snapshot, int fd)
{
	struct header header = { .magic = MAGIC, .version = VERSION, .vcpus = snapshot->count };
	struct stream s = { .fd = fd };
	__u32 i;
	int ret = complete_all(snapshot);

	if (!ret)
		ret = put(&s, &header, sizeof(header));
	if (!ret)
		ret = put_memory(&s, snapshot->vm);
	if (!ret)
		ret = put_clock(&s, snapshot->vm);
	for (i = 0; !ret && i < snapshot->count; i++)
		ret = put_vcpu(&s, snapshot->vcpus[i]);
	if (!ret && snapshot->note_size)
		ret = put_record(&s, TYPE_NOTE, 0, snapshot->note, snapshot->note_size);
	return ret ? ret : put_end(&s);
}

KEEL_API int keel_snapshot_save(const struct keel_snapshot *snapshot, int fd)
{
	struct keel_snapshot known;
	int ret;

	if (!snapshot)
		return -EINVAL;
	ret = keel_struct_in(&known, sizeof(known), snapshot, SNAPSHOT_MIN);
	if (ret)
		return ret;
	if (!known.vm || (known.count && !known.vcpus) || (known.note_size && !known.note) ||
	    known.note_size > MAX_BLOCK)
		return -EINVAL;
	return save(&known, fd);
}

/* Return 1 at the end of the snapshot, if the checksum is right. */
static int get_end(struct stream *s, const struct record *record, __u64 sum)
{
	__u64 written;
	int ret = get_exactly(s, record, &written, sizeof(written));

	if (ret)
		return ret;
	return written == sum ? 1 : -EBADMSG;
}

static int get_record(struct stream *s, struct keel_snapshot *out)
{
	__u64 sum = s->sum;
	struct record record;
	int ret = get(s, &record, sizeof(record));

	if (ret)
		return ret;
	switch (record.type) {
	case TYPE_SLOT:
		return get_slot(s, &record, out->vm);
	case TYPE_PAGES:
		return get_pages(s, &record, out->vm);
	case TYPE_CLOCK:
		return get_clock(s, &record, out->vm);
	case TYPE_VCPU:
		return get_vcpu(s, &record, out);
	case TYPE_NOTE:
		return get_note(s, &record, out);
	case TYPE_END:
		return get_end(s, &record, sum);
	default:
		return -EBADMSG;
	}
}

static int get_header(struct stream *s, struct header *header)
{
	int ret = get(s, header, sizeof(*header));

	if (ret)
		return ret;
	if (memcmp(header->magic, MAGIC, sizeof(header->magic)))
		return -EBADMSG;
	return header->version == VERSION ? 0 : -EPROTONOSUPPORT;
}

static void give_up(struct keel_snapshot *out)
{
	while (out->count)
		keel_vcpu_destroy(out->vcpus[--out->count]);
	keel_vm_destroy(out->vm);
	free(out->vcpus);
	free(out->note);
}

/* Copy as much as the caller has room for; clear members that only the caller knows. */
static void give_out(struct keel_snapshot *out, struct keel_snapshot *new)
{
	size_t size = out->size;

	new->size = size;
	memset(out, 0, size);
	memcpy(out, new, size < sizeof(*new) ? size : sizeof(*new));
}

KEEL_API int keel_snapshot_restore(struct keel *keel, int fd, struct keel_snapshot *out)
{
	struct keel_snapshot new = { 0 };
	struct stream s = { .fd = fd };
	struct header header;
	int ret;

	if (!keel || !out || out->size < SNAPSHOT_MIN)
		return -EINVAL;
	ret = get_header(&s, &header);
	if (!ret)
		ret = keel_vm_create(keel, &new.vm);
	while (!ret)
		ret = get_record(&s, &new);
	if (ret == 1 && new.count != header.vcpus)
		ret = -EBADMSG;
	if (ret < 0) {
		give_up(&new);
		return ret;
	}
	give_out(out, &new);
	return 0;
}
