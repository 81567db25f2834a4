/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libkeel: virtual machines on /dev/keel (or /dev/kvm) from C and C++.
 *
 * This header is the whole public interface of the library. It declares handles,
 * functions and a few structures; all other structures are those of the KVM API.
 *
 * Results	Functions that return int give 0 (or a documented value >= 0) on
 *		success and a negative errno on failure. -EINVAL also stands for
 *		a NULL handle or a NULL result pointer. Result pointers are
 *		written on success only. errno itself is not part of the contract.
 * Effects	The library never prints, never exits and never aborts. It installs
 *		one signal handler (see keel_set_kick_signal()).
 * Threads	Every function may be called from any thread, with these limits:
 *		only one thread at a time may use one vCPU, except for
 *		keel_vcpu_kick(), and no thread may use a handle while or after
 *		another destroys it. The slot table of a VM has its own lock, so
 *		memory may change while vCPUs run.
 * Lifetimes	Handles are destroyed in the reverse order of their creation:
 *		vCPUs, then the VM, then the system handle.
 * Units	Addresses and sizes are bytes; gpa is a guest physical address.
 * Growth	A structure of the library that may grow begins with its size, which
 *		the caller fills in. Members beyond that size count as 0; bytes that
 *		this library does not know must be 0 (-E2BIG).
 */
#ifndef _KEEL_LIBKEEL_H
#define _KEEL_LIBKEEL_H

#include <stddef.h>
#include <linux/keel.h>

#ifdef __cplusplus
extern "C" {
#endif

struct keel;		/* an open device */
struct keel_vm;		/* a virtual machine and its table of memory slots */
struct keel_vcpu;	/* a virtual CPU and its shared kvm_run page */

/* ---- system: the device ------------------------------------------------- */

/**
 * keel_open() - open the device.
 * @path: device node; NULL means $KEEL_DEVICE, and KEEL_DEVICE_PATH without it
 * @out: the handle
 *
 * Return: 0; -errno of open(2); -ENODEV if @path is not a device that speaks
 * version 12 of the KVM API; -ENOMEM.
 */
int keel_open(const char *path, struct keel **out);

/** keel_close() - close the device; NULL is ignored. Its VMs must be gone. */
void keel_close(struct keel *keel);

/** keel_fd() - the file descriptor, still owned by @keel. */
int keel_fd(const struct keel *keel);

/**
 * keel_check_extension() - ask for a capability.
 * @cap: a KVM_CAP_* number
 *
 * Return: 0 if absent, a positive value (often 1, sometimes a limit) if present.
 */
int keel_check_extension(const struct keel *keel, int cap);

/**
 * keel_supported_cpuid() - the CPUID leaves that the device can give a guest.
 * @out: allocated by the library; release it with free()
 */
int keel_supported_cpuid(const struct keel *keel, struct kvm_cpuid2 **out);

/**
 * keel_msr_index_list() - the MSRs that make up a vCPU's state.
 * @out: allocated by the library; release it with free()
 */
int keel_msr_index_list(const struct keel *keel, struct kvm_msr_list **out);

/* ---- vm ----------------------------------------------------------------- */

/**
 * keel_vm_create() - create a VM without memory and without vCPUs.
 *
 * Reserves the four pages from KEEL_RESERVED_GPA that a CPU without
 * unrestricted-guest support needs to run real mode. This does not affect a
 * guest that does not use the range.
 *
 * Return: 0 or -errno of KVM_CREATE_VM (-EBUSY: VMX is in use by another module;
 * -EOPNOTSUPP or -EIO: the CPU cannot).
 */
int keel_vm_create(struct keel *keel, struct keel_vm **out);

#define KEEL_RESERVED_GPA	0xfeffc000u
#define KEEL_RESERVED_SIZE	0x4000u

/**
 * keel_vm_destroy() - close the VM and unmap all memory that keel_mem_alloc()
 * mapped for it. NULL is ignored. Its vCPUs must be destroyed first.
 */
void keel_vm_destroy(struct keel_vm *vm);

/** keel_vm_fd() - the file descriptor, still owned by @vm. */
int keel_vm_fd(const struct keel_vm *vm);

/**
 * keel_vm_stats_fd() - a file with the counters of the VM (KVM_GET_STATS_FD).
 *
 * Another process that can borrow the descriptor can read it, as keelstat(1)
 * does.
 *
 * Return: a descriptor, which the caller closes; -ENOTTY if the device has no
 * counters.
 */
int keel_vm_stats_fd(const struct keel_vm *vm);

/** keel_vm_check_extension() - as keel_check_extension(), for this VM. */
int keel_vm_check_extension(const struct keel_vm *vm, int cap);

/* ---- memory ------------------------------------------------------------- */

/*
 * A slot number is KVM's: the slot in bits 0-15, the address space in bits
 * 16-31. All functions below take the VM's slot lock, so they may be called
 * while vCPUs run; when one returns, every later guest access sees its effect.
 */

/**
 * keel_mem_add() - back guest memory with memory of this process.
 * @slot: a slot that is not in use
 * @gpa: start, a multiple of the page size
 * @hva: page aligned; must stay mapped until the slot is deleted
 * @size: a multiple of the page size, not 0
 * @flags: KVM_MEM_* (KVM_MEM_READONLY: guest writes become MMIO)
 *
 * Return: 0; -EEXIST if @slot is in use or the range overlaps another slot;
 * -EINVAL for a bad range or flag; -ENOMEM.
 */
int keel_mem_add(struct keel_vm *vm, __u32 slot, __u64 gpa, void *hva, __u64 size, __u32 flags);

/**
 * keel_mem_alloc() - map zeroed memory and keel_mem_add() it.
 * @hva: address of the mapping; may be NULL. The memory is unmapped when the
 *	slot is deleted or the VM destroyed.
 */
int keel_mem_alloc(struct keel_vm *vm, __u32 slot, __u64 gpa, __u64 size, __u32 flags, void **hva);

/**
 * keel_mem_delete() - delete a slot; its range becomes MMIO.
 *
 * Return: 0; -ENOENT if @slot is not in use.
 */
int keel_mem_delete(struct keel_vm *vm, __u32 slot);

/**
 * keel_mem_move() - move a slot to another guest physical address.
 *
 * Return: as keel_mem_add(); -ENOENT if @slot is not in use.
 */
int keel_mem_move(struct keel_vm *vm, __u32 slot, __u64 gpa);

/**
 * keel_mem_set_flags() - change the KVM_MEM_* flags of a slot.
 *
 * Return: as keel_mem_add(); -ENOENT if @slot is not in use. KVM_MEM_READONLY
 * cannot be changed (-EINVAL).
 */
int keel_mem_set_flags(struct keel_vm *vm, __u32 slot, __u32 flags);

/**
 * keel_mem_ptr() - find guest memory of address space 0 in this process.
 * @gpa: start
 * @len: the whole of [gpa, gpa + len) must lie in one slot
 *
 * Searches all slots: meant for set-up, not for hot paths. The pointer is
 * valid until the slot is deleted or moved.
 *
 * Return: the pointer; NULL if there is no such memory.
 */
void *keel_mem_ptr(struct keel_vm *vm, __u64 gpa, __u64 len);

/* ---- vcpu --------------------------------------------------------------- */

/**
 * keel_vcpu_create() - create a vCPU in its power-on state.
 * @id: 0 to KVM_CAP_MAX_VCPU_ID - 1, unused in this VM
 *
 * Return: 0; -EEXIST for a used @id; -EINVAL for a bad one; -ENOMEM.
 */
int keel_vcpu_create(struct keel_vm *vm, __u32 id, struct keel_vcpu **out);

/** keel_vcpu_destroy() - close a vCPU, which must not be running. NULL is ignored. */
void keel_vcpu_destroy(struct keel_vcpu *vcpu);

/** keel_vcpu_fd() - the file descriptor, still owned by @vcpu. */
int keel_vcpu_fd(const struct keel_vcpu *vcpu);

/** keel_vcpu_stats_fd() - the same as keel_vm_stats_fd() for one vCPU. */
int keel_vcpu_stats_fd(const struct keel_vcpu *vcpu);

/** keel_vcpu_id() - the number it was created with. */
__u32 keel_vcpu_id(const struct keel_vcpu *vcpu);

/** keel_vcpu_page() - the shared page; NULL for a NULL @vcpu. */
struct kvm_run *keel_vcpu_page(struct keel_vcpu *vcpu);

/*
 * State. Each function gets or sets one KVM structure. If a vCPU stopped in the
 * middle of a PIO or MMIO access, complete that first: see keel_vcpu_complete().
 */
int keel_vcpu_get_regs(struct keel_vcpu *vcpu, struct kvm_regs *regs);
int keel_vcpu_set_regs(struct keel_vcpu *vcpu, const struct kvm_regs *regs);
int keel_vcpu_get_sregs(struct keel_vcpu *vcpu, struct kvm_sregs *sregs);
int keel_vcpu_set_sregs(struct keel_vcpu *vcpu, const struct kvm_sregs *sregs);
int keel_vcpu_get_fpu(struct keel_vcpu *vcpu, struct kvm_fpu *fpu);
int keel_vcpu_set_fpu(struct keel_vcpu *vcpu, const struct kvm_fpu *fpu);
int keel_vcpu_get_events(struct keel_vcpu *vcpu, struct kvm_vcpu_events *events);
int keel_vcpu_set_events(struct keel_vcpu *vcpu, const struct kvm_vcpu_events *events);
int keel_vcpu_get_mp_state(struct keel_vcpu *vcpu, struct kvm_mp_state *state);
int keel_vcpu_set_mp_state(struct keel_vcpu *vcpu, const struct kvm_mp_state *state);

/**
 * keel_vcpu_get_msrs() - read model-specific registers.
 * @entries: index in, data out
 * @count: at most KEEL_MAX_MSRS
 *
 * Return: how many were read before the first that failed; -E2BIG.
 */
int keel_vcpu_get_msrs(struct keel_vcpu *vcpu, struct kvm_msr_entry *entries, __u32 count);

/** keel_vcpu_set_msrs() - write them; results as of keel_vcpu_get_msrs(). */
int keel_vcpu_set_msrs(struct keel_vcpu *vcpu, const struct kvm_msr_entry *entries, __u32 count);

#define KEEL_MAX_MSRS		255

/** keel_vcpu_get_msr() - read one; -EINVAL if the guest has no such MSR. */
int keel_vcpu_get_msr(struct keel_vcpu *vcpu, __u32 index, __u64 *value);

/** keel_vcpu_set_msr() - write one; -EINVAL for an unknown MSR or a bad value. */
int keel_vcpu_set_msr(struct keel_vcpu *vcpu, __u32 index, __u64 value);

/** keel_vcpu_set_cpuid() - set the guest's CPUID; call this before the first run. */
int keel_vcpu_set_cpuid(struct keel_vcpu *vcpu, const struct kvm_cpuid2 *cpuid);

/**
 * keel_vcpu_set_host_cpuid() - give the guest all that the device supports,
 * with the APIC ids of this vCPU and without features that need a local APIC in
 * the kernel (x2APIC mode, the TSC deadline timer).
 */
int keel_vcpu_set_host_cpuid(struct keel_vcpu *vcpu);

/**
 * keel_vcpu_interrupt() - queue an external interrupt.
 * @vector: 0-255
 *
 * Only one can be queued. Keel holds it until the guest accepts interrupts. On KVM,
 * call this only while kvm_run has ready_for_interrupt_injection set: there a second
 * interrupt replaces the first.
 *
 * Return: 0; -EEXIST if one is queued or being delivered; -EINVAL for a bad @vector.
 */
int keel_vcpu_interrupt(struct keel_vcpu *vcpu, __u32 vector);

/** keel_vcpu_nmi() - queue a non-maskable interrupt. */
int keel_vcpu_nmi(struct keel_vcpu *vcpu);

/**
 * keel_vcpu_translate() - walk the guest's page tables.
 * @gpa: the guest physical address of @gva
 *
 * Return: 0; -EFAULT if @gva is not mapped.
 */
int keel_vcpu_translate(struct keel_vcpu *vcpu, __u64 gva, __u64 *gpa);

/* ---- snapshots ----------------------------------------------------------- */

/**
 * struct keel_snapshot - a machine that is not running
 * @size: sizeof(struct keel_snapshot)
 * @vm: the VM, with its memory
 * @vcpus, @count: all vCPUs of @vm
 * @note: data of the caller, such as the state of its devices; up to 1 MiB
 */
struct keel_snapshot {
	size_t size;
	struct keel_vm *vm;
	struct keel_vcpu **vcpus;
	__u32 count;
	void *note;
	size_t note_size;
};

/**
 * keel_snapshot_save() - write a machine to a file.
 * @snapshot: no thread may run its vCPUs or change its slots meanwhile
 * @fd: written from its current position
 *
 * The machine can continue afterwards. A half-done access is completed first, as
 * by keel_vcpu_complete(); a vCPU that a kick stopped is between two instructions.
 *
 * Return: 0; -EBUSY if a vCPU's instruction needs another access, which is now
 * in its shared page; -errno.
 */
int keel_snapshot_save(const struct keel_snapshot *snapshot, int fd);

/**
 * keel_snapshot_restore() - create a machine from such a file.
 * @fd: read from its current position to the end of the snapshot, not further
 * @out: the caller fills in its size. Destroy vm and vCPUs as usual, release vcpus
 *	and note with free(). The vCPUs are in the order in which they were saved
 *
 * The guest's TSC and clock continue from their saved values. Memory is allocated
 * as by keel_mem_alloc().
 *
 * Return: 0; -EBADMSG if the file is not a snapshot, is truncated or damaged;
 * -EPROTONOSUPPORT for another version of the format; -errno if the device refuses
 * the state.
 */
int keel_snapshot_restore(struct keel *keel, int fd, struct keel_snapshot *out);

/* ---- start states ------------------------------------------------------- */

/*
 * Each function sets segments, control registers, instruction and stack pointer,
 * clears the other general registers and disables interrupts. There is no GDT in
 * real and 32-bit mode: the loaded segments are valid until the guest loads others.
 */

/** keel_vcpu_start_real() - 16-bit real mode at @cs:@ip, ds, es and ss = @cs, sp = 0. */
int keel_vcpu_start_real(struct keel_vcpu *vcpu, __u16 cs, __u16 ip);

/** keel_vcpu_start_flat32() - 32-bit protected mode, flat 4 GiB, no paging. */
int keel_vcpu_start_flat32(struct keel_vcpu *vcpu, __u32 eip, __u32 esp);

/**
 * keel_vcpu_start_long() - 64-bit mode, the first 4 GiB mapped one to one.
 * @tables: gpa of KEEL_LONG_TABLES_SIZE bytes of page-aligned RAM below 4 GiB,
 *	for page tables (2 MiB pages, writable, supervisor) and a GDT with
 *	code 0x08 and data 0x10. vCPUs may share it if none runs yet.
 *
 * Return: 0; -EFAULT if there is no RAM at @tables.
 */
int keel_vcpu_start_long(struct keel_vcpu *vcpu, __u64 tables, __u64 rip, __u64 rsp);

#define KEEL_LONG_TABLES_SIZE	0x7000u

/* ---- run ---------------------------------------------------------------- */

/**
 * struct keel_access - one port or memory-mapped access of the guest.
 * @addr: port number or gpa
 * @value: the value that the guest wrote; for a read, the callback fills it in.
 *	Little endian, zero-extended. A read begins with all ones, the answer of
 *	an absent device.
 * @size: 1, 2 or 4 bytes; for MMIO any number up to 8
 * @is_write: 0 read, 1 write
 */
struct keel_access {
	__u64 addr;
	__u64 value;
	__u32 size;
	__u32 is_write;
};

/**
 * struct keel_run_ops - callbacks for the exits of a running vCPU.
 * @size: sizeof(struct keel_run_ops)
 * @pio: a port access; a string instruction gives one call per element
 * @mmio: an access to guest physical memory in no slot, or a write to a
 *	read-only one
 * @exit: any other exit
 * @trace: called for every exit, before the other callbacks
 *
 * All run on the thread that called keel_vcpu_run(). Each may be NULL. A callback
 * returns 0 to continue; any other value ends the run, see keel_vcpu_run().
 */
struct keel_run_ops {
	size_t size;
	int (*pio)(struct keel_vcpu *vcpu, struct keel_access *access, void *opaque);
	int (*mmio)(struct keel_vcpu *vcpu, struct keel_access *access, void *opaque);
	int (*exit)(struct keel_vcpu *vcpu, struct kvm_run *run, void *opaque);
	void (*trace)(struct keel_vcpu *vcpu, const struct kvm_run *run, void *opaque);
};

/* A callback returned a positive value. Larger than any KVM_EXIT_* number. */
#define KEEL_RUN_STOPPED	0x10000

/**
 * keel_vcpu_run() - run the guest until a callback, a kick or an unhandled exit ends it.
 *
 * Return: always one of
 *   KVM_EXIT_*		an exit that has no callback in @ops (@ops may be NULL):
 *			KVM_EXIT_HLT, KVM_EXIT_SHUTDOWN (triple fault),
 *			KVM_EXIT_FAIL_ENTRY, KVM_EXIT_INTERNAL_ERROR,
 *			KVM_EXIT_IRQ_WINDOW_OPEN, KVM_EXIT_DEBUG, KVM_EXIT_SYSTEM_EVENT, ...;
 *			details are in the page of keel_vcpu_page()
 *   KEEL_RUN_STOPPED	a callback returned a positive value
 *   negative		what a callback returned
 *   -EINTR		keel_vcpu_kick(), or a signal to this thread
 *   -errno		of KVM_RUN; -EINVAL, -E2BIG for the size of @ops
 * After KEEL_RUN_STOPPED, or a negative value from a callback, the access has its
 * answer, but the guest's instruction is not completed yet: the next run does that,
 * or keel_vcpu_complete().
 */
int keel_vcpu_run(struct keel_vcpu *vcpu, const struct keel_run_ops *ops, void *opaque);

/**
 * keel_vcpu_enter() - call KVM_RUN once, without callbacks.
 *
 * Return: the KVM_EXIT_* number; -EINTR; -errno.
 */
int keel_vcpu_enter(struct keel_vcpu *vcpu);

/**
 * keel_vcpu_complete() - finish a half-done PIO or MMIO access.
 *
 * Runs no guest instruction after that one. Call it before reading or saving
 * registers after keel_vcpu_run() or keel_vcpu_enter() stopped.
 *
 * Return: 0; KVM_EXIT_IO or KVM_EXIT_MMIO if the instruction needs another
 * access, which is now in the shared page; -errno.
 */
int keel_vcpu_complete(struct keel_vcpu *vcpu);

/**
 * keel_vcpu_kick() - make a run of a vCPU return.
 *
 * The current run returns -EINTR soon; if there is none, the next one does so at
 * once. Several kicks count as one until a run has returned -EINTR. May be called
 * from any thread, but not from a signal handler.
 */
int keel_vcpu_kick(struct keel_vcpu *vcpu);

/**
 * keel_set_kick_signal() - choose the signal that keel_vcpu_kick() sends.
 * @signal: default SIGRTMIN + 6. Must not be blocked in threads that run vCPUs.
 *	-EINVAL if it cannot be caught.
 *
 * An empty SA_RESTART handler is installed when the first vCPU is created,
 * unless the process has its own handler for the signal by then. Call this
 * before that; -EBUSY afterwards.
 */
int keel_set_kick_signal(int signal);

/* ---- describe ----------------------------------------------------------- */

/** keel_exit_name() - "IO", "MMIO", "HLT", ...; "?" for an unknown number. */
const char *keel_exit_name(__u32 reason);

/**
 * keel_exit_format() - one line about the exit in a shared page, no newline.
 * @buf: may be NULL if @size is 0
 *
 * Return: the length of the whole line, as snprintf(3).
 */
int keel_exit_format(const struct kvm_run *run, char *buf, size_t size);

/** keel_version() - "major.minor.patch" of the library. */
const char *keel_version(void);

#ifdef __cplusplus
}
#endif

#endif /* _KEEL_LIBKEEL_H */
