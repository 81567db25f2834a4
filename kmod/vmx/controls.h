/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names for the VM-execution, entry and exit control bits and the capability
 * bits that Keel uses; nothing but numbers, so that caps.c compiles natively.
 */
#ifndef KEEL_VMX_CONTROLS_H
#define KEEL_VMX_CONTROLS_H

#define PIN_EXTINT_EXITING	(1u << 0)
#define PIN_NMI_EXITING		(1u << 3)
#define PIN_VIRTUAL_NMIS	(1u << 5)
#define PIN_PREEMPTION_TIMER	(1u << 6)

#define PROC_IRQ_WINDOW		(1u << 2)
#define PROC_TSC_OFFSET		(1u << 3)
#define PROC_HLT_EXITING	(1u << 7)
#define PROC_INVLPG_EXITING	(1u << 9)
#define PROC_MWAIT_EXITING	(1u << 10)
#define PROC_RDPMC_EXITING	(1u << 11)
#define PROC_CR3_LOAD_EXITING	(1u << 15)
#define PROC_CR3_STORE_EXITING	(1u << 16)
#define PROC_CR8_LOAD_EXITING	(1u << 19)
#define PROC_CR8_STORE_EXITING	(1u << 20)
#define PROC_NMI_WINDOW		(1u << 22)
#define PROC_MOV_DR_EXITING	(1u << 23)
#define PROC_IO_EXITING		(1u << 24)
#define PROC_MONITOR_TRAP	(1u << 27)
#define PROC_MSR_BITMAP		(1u << 28)
#define PROC_MONITOR_EXITING	(1u << 29)
#define PROC_SECONDARY		(1u << 31)

#define PROC2_EPT		(1u << 1)
#define PROC2_TABLE_EXITING	(1u << 2)
#define PROC2_RDTSCP		(1u << 3)
#define PROC2_VPID		(1u << 5)
#define PROC2_WBINVD_EXITING	(1u << 6)
#define PROC2_UNRESTRICTED	(1u << 7)
#define PROC2_INVPCID		(1u << 12)
#define PROC2_PML		(1u << 17)
#define PROC2_TSC_SCALING	(1u << 25)

#define EXIT_SAVE_DEBUG		(1u << 2)
#define EXIT_HOST_64BIT		(1u << 9)
#define EXIT_LOAD_PAT		(1u << 19)
#define EXIT_SAVE_EFER		(1u << 20)
#define EXIT_LOAD_EFER		(1u << 21)

#define ENTRY_LOAD_DEBUG	(1u << 2)
#define ENTRY_IA32E		(1u << 9)
#define ENTRY_LOAD_PAT		(1u << 14)
#define ENTRY_LOAD_EFER		(1u << 15)

#define BASIC_INS_OUTS		(1ull << 54)
#define BASIC_TRUE_CONTROLS	(1ull << 55)
#define BASIC_WRITE_BACK	6u

#define EPTCAP_4_LEVELS		(1ull << 6)
#define EPTCAP_WB		(1ull << 14)
#define EPTCAP_2M		(1ull << 16)
#define EPTCAP_1G		(1ull << 17)
#define EPTCAP_INVEPT		(1ull << 20)
#define EPTCAP_AD		(1ull << 21)
#define EPTCAP_INVEPT_SINGLE	(1ull << 25)
#define EPTCAP_INVEPT_ALL	(1ull << 26)
#define VPIDCAP_INVVPID		(1ull << 32)
#define VPIDCAP_SINGLE		(1ull << 41)
#define VPIDCAP_ALL		(1ull << 42)

#endif
