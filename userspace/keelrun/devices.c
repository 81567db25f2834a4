// SPDX-License-Identifier: GPL-2.0
/*
 * The few devices of a keelrun machine: debug port, serial port, CMOS, exit port
 * and reset. All other addresses behave like an empty bus: reads give ones,
 * writes are ignored. Owns the console; ends or saves the machine only by
 * machine_end() and machine_save().
 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "keelrun.h"

#define PORT_KEYBOARD	0x64
#define PORT_CMOS_INDEX	0x70
#define PORT_CMOS_DATA	0x71
#define PORT_EXIT	0xf4
#define PORT_SERIAL	0x3f8
#define PORT_DEBUG	0x402
#define PORT_RESET	0xcf9

#define KEYBOARD_PULSE_RESET	0xfe
#define RESET_CPU		0x04
#define DEBUG_PRESENT		0xe9	/* the value by which a guest detects the port */

/* Registers of a 16550, by offset, and the bits in use. */
#define UART_DATA	0
#define UART_IER	1
#define UART_IIR	2
#define UART_LCR	3
#define UART_MCR	4
#define UART_LSR	5
#define UART_MSR	6
#define UART_SCR	7
#define LCR_DLAB	0x80
#define IIR_NONE	0x01
#define LSR_SENT	0x60	/* holding register and shifter empty */
#define MSR_READY	0xb0	/* carrier, data set ready, clear to send */

/* CMOS cells: the clock, its status registers, and memory sizes as a BIOS reads them. */
#define RTC_SECONDS	0x00
#define RTC_MINUTES	0x02
#define RTC_HOURS	0x04
#define RTC_WEEKDAY	0x06
#define RTC_DAY		0x07
#define RTC_MONTH	0x08
#define RTC_YEAR	0x09
#define RTC_STATUS_A	0x0a
#define RTC_STATUS_B	0x0b
#define RTC_STATUS_D	0x0d
#define RTC_CENTURY	0x32
#define CMOS_BASE_KIB	0x15
#define CMOS_EXT_KIB	0x17
#define CMOS_EXT2_KIB	0x30
#define CMOS_HIGH_64K	0x34
#define STATUS_A_RATE	0x26
#define STATUS_B_24H	0x02
#define STATUS_D_POWER	0x80

/* Output that stdout refuses is lost: the guest must not block on it. */
void console_flush(struct console *console)
{
	size_t done = 0;
	ssize_t n;

	while (done < console->length) {
		n = write(STDOUT_FILENO, console->line + done, console->length - done);
		if (n <= 0)
			break;
		done += n;
	}
	console->length = 0;
}

static bool line_holds(const struct console *console, const char *text)
{
	return text && memmem(console->line, console->length, text, strlen(text));
}

static void console_put(struct machine *machine, char c)
{
	struct console *console = &machine->console;
	const struct options *options = machine->options;
	bool ends, is_place;

	console->line[console->length++] = c;
	if (c != '\n' && console->length < sizeof(console->line))
		return;
	ends = line_holds(console, options->until);
	is_place = line_holds(console, options->save_at);
	console_flush(console);
	if (ends)
		machine_end(machine, STATUS_OK, "%s", "");
	else if (is_place)
		machine_save(machine);
}

static __u8 *uart_register(struct uart *uart, unsigned int offset)
{
	if ((uart->lcr & LCR_DLAB) && offset <= UART_IER)
		return &uart->divisor[offset];
	switch (offset) {
	case UART_IER:
		return &uart->ier;
	case UART_LCR:
		return &uart->lcr;
	case UART_MCR:
		return &uart->mcr;
	case UART_SCR:
		return &uart->scr;
	default:
		return NULL;
	}
}

static void uart_write(struct machine *machine, unsigned int offset, __u8 value)
{
	__u8 *reg = uart_register(&machine->uart, offset);

	if (reg)
		*reg = value;
	else if (offset == UART_DATA)
		console_put(machine, value);
}

/* The receiver is always empty: there is no input. */
static __u8 uart_read(struct machine *machine, unsigned int offset)
{
	__u8 *reg = uart_register(&machine->uart, offset);

	if (reg)
		return *reg;
	switch (offset) {
	case UART_IIR:
		return IIR_NONE;
	case UART_LSR:
		return LSR_SENT;
	case UART_MSR:
		return MSR_READY;
	default:
		return 0;
	}
}

static __u8 bcd(int value)
{
	return value / 10 % 10 << 4 | value % 10;
}

static void cmos_clock(struct cmos *cmos)
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	cmos->ram[RTC_SECONDS] = bcd(tm.tm_sec);
	cmos->ram[RTC_MINUTES] = bcd(tm.tm_min);
	cmos->ram[RTC_HOURS] = bcd(tm.tm_hour);
	cmos->ram[RTC_WEEKDAY] = tm.tm_wday + 1;
	cmos->ram[RTC_DAY] = bcd(tm.tm_mday);
	cmos->ram[RTC_MONTH] = bcd(tm.tm_mon + 1);
	cmos->ram[RTC_YEAR] = bcd(tm.tm_year % 100);
	cmos->ram[RTC_CENTURY] = bcd((tm.tm_year + 1900) / 100);
}

static __u8 cmos_read(struct cmos *cmos)
{
	if (cmos->index <= RTC_YEAR || cmos->index == RTC_CENTURY)
		cmos_clock(cmos);
	return cmos->ram[cmos->index];
}

static void cmos_set16(struct cmos *cmos, unsigned int index, __u64 value)
{
	if (value > 0xffff)
		value = 0xffff;
	cmos->ram[index] = value & 0xff;
	cmos->ram[index + 1] = value >> 8;
}

void devices_init(struct machine *machine)
{
	__u64 memory = machine->options->memory;
	struct cmos *cmos = &machine->cmos;

	cmos->ram[RTC_STATUS_A] = STATUS_A_RATE;
	cmos->ram[RTC_STATUS_B] = STATUS_B_24H;
	cmos->ram[RTC_STATUS_D] = STATUS_D_POWER;
	cmos_set16(cmos, CMOS_BASE_KIB, 640);
	cmos_set16(cmos, CMOS_EXT_KIB, (memory - MIB) / KIB);
	cmos_set16(cmos, CMOS_EXT2_KIB, (memory - MIB) / KIB);
	if (memory > 16 * MIB)
		cmos_set16(cmos, CMOS_HIGH_64K, (memory - 16 * MIB) / (64 * KIB));
}

static __u8 port_read(struct machine *machine, __u16 port)
{
	if (port >= PORT_SERIAL && port <= PORT_SERIAL + UART_SCR)
		return uart_read(machine, port - PORT_SERIAL);
	switch (port) {
	case PORT_DEBUG:
		return DEBUG_PRESENT;
	case PORT_CMOS_DATA:
		return cmos_read(&machine->cmos);
	default:
		return 0xff;
	}
}

static void guest_exit(struct machine *machine, __u8 code)
{
	machine_end(machine, code < STATUS_GUEST_MAX ? code : STATUS_GUEST_MAX, "%s", "");
}

static void port_write(struct machine *machine, __u16 port, __u8 value)
{
	struct cmos *cmos = &machine->cmos;

	if (port >= PORT_SERIAL && port <= PORT_SERIAL + UART_SCR) {
		uart_write(machine, port - PORT_SERIAL, value);
		return;
	}
	switch (port) {
	case PORT_DEBUG:
		console_put(machine, value);
		break;
	case PORT_EXIT:
		guest_exit(machine, value);
		break;
	case PORT_CMOS_INDEX:
		cmos->index = value % sizeof(cmos->ram);
		break;
	case PORT_CMOS_DATA:
		cmos->ram[cmos->index] = value;
		break;
	case PORT_KEYBOARD:
		if (value == KEYBOARD_PULSE_RESET)
			machine_end(machine, STATUS_RESET, "the guest asked for a reset");
		break;
	case PORT_RESET:
		if (value & RESET_CPU)
			machine_end(machine, STATUS_RESET, "the guest asked for a reset");
		break;
	}
}

/* Split a wide access into one byte for each port, as an 8-bit bus does. */
static void ports_access(struct machine *machine, struct keel_access *access)
{
	__u32 i, shift;

	for (i = 0, shift = 0; i < access->size; i++, shift += 8) {
		if (access->is_write) {
			port_write(machine, access->addr + i, access->value >> shift);
			continue;
		}
		access->value &= ~(0xffull << shift);
		access->value |= (__u64)port_read(machine, access->addr + i) << shift;
	}
}

int devices_pio(struct keel_vcpu *vcpu, struct keel_access *access, void *opaque)
{
	struct machine *machine = ((struct cpu *)opaque)->machine;
	int ended;

	pthread_mutex_lock(&machine->lock);
	if (!machine->ended)
		ports_access(machine, access);
	ended = machine->ended;
	/* If the machine is to be saved, stop this vCPU right after this instruction. */
	if (machine->saving)
		keel_vcpu_kick(vcpu);
	pthread_mutex_unlock(&machine->lock);
	return ended;
}

/* The memory bus has no devices: leave the all ones that the library has filled in. */
int devices_mmio(struct keel_vcpu *vcpu, struct keel_access *access, void *opaque)
{
	(void)vcpu;
	(void)access;
	(void)opaque;
	return 0;
}
