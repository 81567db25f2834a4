/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A spin model of memory updates against guest accesses: kmod/memory.c and the
 * generation of kmod/memslot.c on one side; mmu/fault.c, mmu/mmio.c, mmu/cache.c,
 * mmu/zap.c and the accessors of emulate/bridge.c on the other. Two vCPUs access
 * two gfns for ever; one writer makes UPDATES updates, each any of add, delete
 * and move, and the number that an MMIO entry stores comes round every ROUND
 * updates. All interleavings are visited. "run" runs it; README.md explains it.
 *
 * What a step is. Each d_step is one access to memory that others write, or a
 * critical section of mmu.lock of which others can see one write only. The rest
 * of the code between two such accesses is private and so belongs to either.
 *
 * What is left out, and why that hides nothing:
 * - Memory is sequentially consistent. The barriers behind that (SRCU, mmu.lock,
 *   the request/mode pair of vcpu.c) are argued where they stand in the code.
 * - A translation enters the TLB and is used in one step, and a flush takes all
 *   vCPUs in one step: keel_request_all() returns when no vCPU is in the guest
 *   with the old one, and the states in between are those without the entry.
 * - The host's pages do not move: the notifier and host_page_get() are no part
 *   of the protocol. Table levels, access rights and the SMM address space
 *   neither; the other address space is a constant (see WRONG_AS).
 * - An SRCU read section opens with the first look and closes with the last:
 *   opened earlier or closed later it would only keep the writer waiting. A fault
 *   that waits for the host's page is in none, and looks up again afterwards.
 *
 * Ghosts, which the code has not: a slot is its identity (the version that
 * added it, plus one; 0 is none), verdicts know the version that they were
 * looked up in (ver), an access knows which version was in force as it began.
 *
 * Configurations: -DASYNC adds without waiting (see writer), -DCACHE_FIRST asks
 * the vCPU cache before any table, as shadow paging does.
 */

#ifndef UPDATES
#define UPDATES	2	/* 3 at most */
#endif
#ifndef ROUND
#define ROUND	2	/* an MMIO entry stores the number modulo this */
#endif

/* What must hold. EFFECTS alone: what a guest or userspace can see; else all rules. */
#define MUST(cond, text)							\
	if									\
	:: (cond)								\
	:: else -> printf("BROKEN "); printf(text); assert(false)		\
	fi
#ifdef EFFECTS
#define RULE(cond, text)	skip
#else
#define RULE(cond, text)	MUST(cond, text)
#endif

/* --- the VM --------------------------------------------------------------- */

byte slot[8];		/* of version v at gfn g; never changes once published */
byte generation[4];	/* of version v: bit 0 is the flag; counts by 2 */
byte pub;		/* vm->memslots: the version in force */
byte settled;		/* ghost: the last version whose generation was made even */
byte returned;		/* ghost: the last version whose ioctl waited, and has returned */
byte first;		/* the number that version 0 has: the round need not begin with us */
byte next;		/* mmu.next: version + 1, or 0 */
byte lock;		/* mmu.lock: 0 free, 1 and 2 vCPUs, WRITER, SETTLER */
bit slots_lock;
bit reading[2];		/* in an SRCU read section */
bit waited[2];		/* in one that the grace period waits for */
bit delays[2];		/* ASYNC: in one that a delete waits for */

#define WRITER	3
#define SETTLER	4

#define SLOT(v, gfn)	slot[2 * (v) + (gfn)]
#define ODD(gen)	((gen) & 1)

/* The entry that the hardware walks, for each gfn. */
#define EMPTY	0
#define MMIO	1
#define RAM	2
byte spte[2];
byte spte_number[2];	/* MMIO */
byte spte_ver[2];	/* ghost; MMIO */
byte spte_slot[2];	/* RAM */
byte tlb[4];		/* of vCPU i for gfn g: the slot, or 0 */

#ifdef FLAG_STORED
/* The entry has no more room for it: the highest bit of the number goes. */
#define NUMBER(gen)	(((gen) + 2 * first) % ROUND)
#else
#define NUMBER(gen)	((((gen) >> 1) + first) % ROUND)
#endif
#define WRAPS(from, to)	(((((from) >> 1) + first) / ROUND) != ((((to) >> 1) + first) / ROUND))

#ifdef WRONG_AS
#define GENERATION(v)	0	/* nobody updates the other one */
#else
#define GENERATION(v)	generation[v]
#endif

/* memslots_next_generation() */
#define NEXT(gen)	(((gen) & 254) + 2)

/* Does one of the versions in force since the access began explain it? */
#define IN_FORCE(v, what)	(low <= (v) && (v) <= pub && SLOT(v, g) == (what))
#define EXPLAINED(what)							\
	(IN_FORCE(0, what) || IN_FORCE(1, what) || IN_FORCE(2, what) || IN_FORCE(3, what))

/* --- a vCPU ------------------------------------------------------------------ */

#define GUEST		0
#define CACHE		1
#define ENTRY		2
#define FAULT		3
#define VERDICT		4
#define CHECK		5
#define MARK		6
#define MARK_FLUSH	7
#define MAP		8
#define MATCH		9
#define FILL		10
#define LOOK		11
#define TOUCH		12
#define EXIT		13
#define PAGE		14

#define NONE		ROUND	/* no number is that */

#ifdef ASYNC
#define READ_END(vcpu)	reading[vcpu] = 0; waited[vcpu] = 0; delays[vcpu] = 0
#else
#define READ_END(vcpu)	reading[vcpu] = 0; waited[vcpu] = 0
#endif

/* The access ends: unlock SRCU, forget what was private to it. */
inline done()
{
	READ_END(me);
	p = 0; s = 0; low = 0; number = 0; ver = 0; gen = 0; g = 0;
#ifdef FORGETFUL
	c_valid = 0; c_gfn = 0; c_gen = 0; c_ver = 0;
#endif
	pc = GUEST
}

inline mmio_exit()
{
	printf("vcpu%d: gfn %d goes to userspace as MMIO\n", me, g);
	MUST(EXPLAINED(0),
		     "P3: an MMIO exit, but RAM has been there since before the access began\n");
	done()
}

/* The access leaves the guest. One step with the first look of its handler. */
inline exit_guest()
{
	low = pub;
	reading[me] = 1
}

/*
 * believe() of cache.c. The snapshot and its generation are read in one step:
 * that word changes once, while the snapshot is in force, so reading first the
 * one and then the other is like reading both at some moment in between.
 */
#ifdef CACHE_WITHOUT_GENERATION
#define CACHE_FRESH	true
#else
#ifdef CACHE_USED_IN_WINDOW
#define CACHE_FRESH	((GENERATION(pub) & 254) == c_gen)
#else
#define CACHE_FRESH	(!ODD(GENERATION(pub)) && GENERATION(pub) == c_gen)
#endif
#endif
#ifdef CACHE_UNCONFIRMED
#define CACHE_MATCHES	c_valid
#else
#define CACHE_MATCHES	(c_valid && c_gfn == g)
#endif

inline believe_cache(miss)
{
	if
	:: CACHE_FRESH ->
		RULE(!ODD(generation[pub]) && c_ver == pub && c_gfn == g,
		     "P1: the vCPU cache is believed, but its verdict is not of the current, even generation\n");
		printf("vcpu%d: believes its cache: gfn %d, generation %d\n", me, c_gfn, c_gen);
		mmio_exit()
	:: else -> pc = miss
	fi
}

/* mmu_misconfig(): the current generation, read as in believe_cache(). */
inline misconfig()
{
#ifdef ENTRY_READ_FIRST
	number = spte_number[g]; ver = spte_ver[g];
#else
	p = pub; gen = GENERATION(p);
#endif
	pc = ENTRY
}

/* weigh() of mmio.c */
inline weigh()
{
	if
	:: !ODD(gen) && NUMBER(gen) == number ->
		printf("vcpu%d: believes the MMIO entry of gfn %d: number %d, generation %d\n",
		       me, g, number, gen);
		RULE(ver == p,
		     "P1: an MMIO entry is believed, but it was made from another snapshot\n");
		pc = MATCH
	:: else ->
		printf("vcpu%d: does not believe the MMIO entry of gfn %d: number %d, generation %d\n",
		       me, g, number, gen);
		ver = 0; gen = 0;
		pc = FAULT
	fi;
	number = 0; p = 0
}

/* fault_handle(): one snapshot for the whole fault, and the look-up in it. */
inline look_up()
{
	p = pub; s = SLOT(p, g);
	printf("vcpu%d: looks gfn %d up in version %d: slot %d\n", me, g, p, s);
	if
	:: s ->
		/* wait_for_page(): the host's page may take for ever. */
		READ_END(me);
		pc = PAGE
	:: else -> pc = VERDICT
	fi
}

#ifdef SLOT_UNCHECKED
#define NOW_SAME	true
#else
#define NOW_SAME	(SLOT(pub, g) == s)
#endif
#ifdef NEXT_UNCHECKED
#define NEXT_SAME	true
#else
#define NEXT_SAME	(next == 0 || SLOT(next - 1, g) == s)
#endif
#define FAULT_CURRENT	(NOW_SAME && NEXT_SAME)	/* fault_current() */

#ifdef NO_FLUSH
#define FLUSH(gfn)	skip
#else
#define FLUSH(gfn)	tlb[gfn] = 0; tlb[2 + gfn] = 0	/* mmu_flush() */
#endif

/* The generation that a fault notes: of its own snapshot, or, mutated, of whatever is there. */
#ifdef LATE_GENERATION
#define NOTED	GENERATION(pub)
#else
#define NOTED	GENERATION(p)
#endif

proctype vcpu(bit me)
{
	byte pc;
	bit g;			/* gfn of the access */
	byte low;		/* ghost: the version in force as it began */
	byte number, ver;	/* as read from the entry */
	byte p, s;		/* snapshot, and slot found in it */
	byte gen;		/* mmu.verdict: generation; its version is ver */
	bit c_valid, c_gfn;	/* mmu.cache */
	byte c_gen, c_ver;

end:	do
	/*
	 * The guest accesses gfn 0 or 1. The TLB may have what the table has,
	 * and may have lost it.
	 */
	:: d_step { pc == GUEST && tlb[2 * me] ->
		printf("vcpu%d: touches gfn 0 through its TLB: slot %d\n", me, tlb[2 * me]);
		MUST(SLOT(pub, 0) == tlb[2 * me],
		     "P3: old memory through a stale TLB entry\n") }
	:: d_step { pc == GUEST && tlb[2 * me + 1] ->
		printf("vcpu%d: touches gfn 1 through its TLB: slot %d\n", me, tlb[2 * me + 1]);
		MUST(SLOT(pub, 1) == tlb[2 * me + 1],
		     "P3: old memory through a stale TLB entry\n") }
	:: d_step { pc == GUEST && spte[0] == RAM ->
		tlb[2 * me] = spte_slot[0];
		printf("vcpu%d: touches gfn 0 through the table: slot %d\n", me, spte_slot[0]);
		MUST(SLOT(pub, 0) == spte_slot[0],
		     "P3: old memory through a stale entry\n") }
	:: d_step { pc == GUEST && spte[1] == RAM ->
		tlb[2 * me + 1] = spte_slot[1];
		printf("vcpu%d: touches gfn 1 through the table: slot %d\n", me, spte_slot[1]);
		MUST(SLOT(pub, 1) == spte_slot[1],
		     "P3: old memory through a stale entry\n") }
#ifdef CACHE_FIRST
	/* Any exit, of whatever kind; only then the table. */
	:: d_step { pc == GUEST && spte[0] != RAM && !tlb[2 * me] -> g = 0; exit_guest(); pc = CACHE }
	:: d_step { pc == GUEST && spte[1] != RAM && !tlb[2 * me + 1] -> g = 1; exit_guest(); pc = CACHE }
	:: d_step { pc == CACHE && CACHE_MATCHES -> believe_cache(EXIT) }
	:: d_step { (pc == EXIT || (pc == CACHE && !CACHE_MATCHES)) && spte[g] == MMIO -> misconfig() }
	:: d_step { (pc == EXIT || (pc == CACHE && !CACHE_MATCHES)) && spte[g] != MMIO -> look_up() }
#else
	/* EPT misconfiguration: mmu_misconfig(). */
	:: d_step { pc == GUEST && spte[0] == MMIO -> g = 0; exit_guest(); misconfig() }
	:: d_step { pc == GUEST && spte[1] == MMIO -> g = 1; exit_guest(); misconfig() }
	/* EPT violation. */
	:: d_step { pc == GUEST && spte[0] == EMPTY -> g = 0; exit_guest(); look_up() }
	:: d_step { pc == GUEST && spte[1] == EMPTY -> g = 1; exit_guest(); look_up() }
#endif
	/*
	 * read_entry(), after the generation: an entry that was read before the
	 * numbers came round might match after it.
	 */
	:: d_step { pc == ENTRY ->
#ifdef ENTRY_READ_FIRST
		p = pub; gen = GENERATION(p);
#else
		if
		:: spte[g] == MMIO -> number = spte_number[g]; ver = spte_ver[g]
		:: else -> number = NONE
		fi;
#endif
		weigh() }
	/* fault_handle() of an access that was no EPT violation. */
	:: d_step { pc == FAULT -> look_up() }

	/* same_slot_again(): what was found before counts only if it is found again. */
	:: d_step { pc == PAGE ->
		reading[me] = 1;
#ifndef PAGE_UNCHECKED
		p = pub;
#endif
		if
		:: SLOT(p, g) == s -> pc = MAP
		:: else ->
			printf("vcpu%d: does not map gfn %d: the slot has gone meanwhile\n", me, g);
			done()
		fi }
	/* map_ram(): between lock and unlock others see the entry change, and nothing else. */
	:: d_step { pc == MAP && lock == 0 ->
		if
		:: FAULT_CURRENT ->
			if
			:: spte[g] == RAM && spte_slot[g] != s -> FLUSH(g)
			:: else
			fi;
			printf("vcpu%d: maps gfn %d: slot %d of version %d\n", me, g, s, p);
			RULE(SLOT(pub, g) == s && (next == 0 || SLOT(next - 1, g) == s),
		     "P12: a slot is mapped that is not in force, or is being removed\n");
			spte[g] = RAM; spte_slot[g] = s; spte_number[g] = 0; spte_ver[g] = 0
		:: else ->
			printf("vcpu%d: does not map gfn %d: the slots have changed\n", me, g)
		fi;
		done() }

	/* mmio_mark(): mmio_verdict() notes the generation, before the lock. */
	:: d_step { pc == VERDICT -> gen = NOTED; ver = p; pc = CHECK }
	/* fault_current(), under the lock. An add may be published right after that: it takes no lock. */
	:: d_step { pc == CHECK && lock == 0 ->
#ifdef MARK_UNCHECKED
		lock = me + 1; pc = MARK
#else
		if
		:: FAULT_CURRENT -> lock = me + 1; pc = MARK
		:: else ->
			printf("vcpu%d: does not mark gfn %d: the slots have changed\n", me, g);
			done()
		fi
#endif
		}
	/* put_mark(): the generation is read here, and not again. */
	:: d_step { pc == MARK && spte[g] != RAM ->
		if
#ifndef MARK_IN_WINDOW
		:: ODD(NOTED)
#endif
		:: else ->
			printf("vcpu%d: marks gfn %d as MMIO: version %d, number %d\n",
			       me, g, p, NUMBER(NOTED));
			spte[g] = MMIO; spte_number[g] = NUMBER(NOTED); spte_ver[g] = p
		fi;
		lock = 0; p = 0; pc = MATCH }
	/* A present entry goes first, out of the TLBs too; the writer of the mark holds the lock on. */
	:: d_step { pc == MARK && spte[g] == RAM ->
#ifdef PRESENT_OVERWRITTEN
		printf("vcpu%d: marks gfn %d as MMIO over a present entry\n", me, g);
		spte[g] = MMIO; spte_number[g] = NUMBER(NOTED); spte_ver[g] = p; spte_slot[g] = 0;
		lock = 0; p = 0; pc = MATCH }
#else
		spte[g] = EMPTY; spte_slot[g] = 0; pc = MARK_FLUSH }
	:: d_step { pc == MARK_FLUSH -> FLUSH(g); pc = MARK }
#endif

	/* mmio_cache_match() */
	:: d_step { pc == MATCH && CACHE_MATCHES -> believe_cache(FILL) }
	/* mmio_cache_fill() with the verdict of this very exit. */
	:: d_step { (pc == MATCH && !CACHE_MATCHES) || pc == FILL ->
		if
#ifndef CACHE_FILLED_IN_WINDOW
		:: ODD(gen) -> pc = LOOK
#endif
		:: else ->
			RULE(!ODD(gen),
			     "P2: the vCPU cache is filled while an update is going on\n");
			printf("vcpu%d: fills its cache: gfn %d, generation %d\n", me, g, gen);
			c_valid = 1; c_gfn = g; c_gen = gen; c_ver = ver;
			believe_cache(LOOK)
		fi;
		gen = 0;
		ver = 0 }

	/* Not known to be MMIO: keel_gpa_read() looks the frame up, in the snapshot now in force. */
	:: d_step { pc == LOOK -> p = pub; s = SLOT(p, g);
		if
		:: s -> pc = TOUCH
		:: else -> mmio_exit()
		fi }
	/* ... and reads or writes through the hva. */
	:: d_step { pc == TOUCH ->
		printf("vcpu%d: the emulator touches gfn %d: slot %d of version %d\n", me, g, s, p);
		MUST(EXPLAINED(s),
		     "P3: old memory, touched by an access that began later\n");
		MUST(p >= returned,
		     "P3: old memory is touched after the ioctl that removed it has returned\n");
		done() }
	od
}

/* --- an update ------------------------------------------------------------- */

byte removed;		/* of the update being made: its gfn + 1, or 0: adds only */

/* build(): a copy of the current snapshot with one change. */
inline copy(gfn)
{
	v = pub + 1;
	SLOT(v, 0) = SLOT(pub, 0); SLOT(v, 1) = SLOT(pub, 1);
#ifdef ONE_INCREMENT
	generation[v] = NEXT(generation[pub]);
#else
#ifdef NO_FLAG
	generation[v] = generation[pub];
#else
	generation[v] = generation[pub] | 1;
#endif
#endif
	slots_lock = 1
}

inline publish()
{
	printf("writer: publishes version %d, generation %d: %d %d\n", v, generation[v], SLOT(v, 0), SLOT(v, 1));
	pub = v
}

#define MAY_BEGIN	(slots_lock == 0 && pub < UPDATES)

inline zap_mmio(gfn)
{
	if
	:: spte[gfn] == MMIO -> spte[gfn] = EMPTY; spte_number[gfn] = 0; spte_ver[gfn] = 0
	:: else
	fi
}

/* mmu_zap_mmio(): lets others have the lock between two tables. */
inline mmu_zap_mmio(t)
{
	if
	:: WRAPS(generation[t], NEXT(generation[t])) ->
		d_step { lock == 0 -> printf("settler: the numbers come round: removes MMIO entries\n"); zap_mmio(0) }
		d_step { lock == 0 -> zap_mmio(1) }
	:: else
	fi
}

/* memslots_settle() */
inline settle(t)
{
	RULE(!WRAPS(generation[t], NEXT(generation[t])) || (spte[0] != MMIO && spte[1] != MMIO),
		     "P4: the numbers come round and there is an MMIO entry of the round before\n");
#ifndef ONE_INCREMENT
	generation[t] = NEXT(generation[t]);
#endif
	settled = t;
	printf("settler: version %d has generation %d now, number %d\n", t, generation[t],
	       NUMBER(generation[t]))
}

/*
 * The ioctl. slots_lock is held from begin to end, or, with ASYNC, until the
 * new snapshot is published.
 */
proctype writer()
{
	byte v;
	bit r;		/* the gfn that loses its slot */

	do
	:: atomic { MAY_BEGIN ->
		if
		:: !SLOT(pub, 0) -> copy(0); SLOT(v, 0) = v + 1; printf("writer: adds gfn 0\n")
		:: !SLOT(pub, 1) -> copy(1); SLOT(v, 1) = v + 1; printf("writer: adds gfn 1\n")
		:: SLOT(pub, 0) -> copy(0); SLOT(v, 0) = 0; removed = 1; printf("writer: deletes gfn 0\n")
		:: SLOT(pub, 1) -> copy(1); SLOT(v, 1) = 0; removed = 2; printf("writer: deletes gfn 1\n")
		:: SLOT(pub, 0) && !SLOT(pub, 1) -> copy(0); SLOT(v, 0) = 0; SLOT(v, 1) = v + 1;
			removed = 1; printf("writer: moves gfn 0 to 1\n")
		:: SLOT(pub, 1) && !SLOT(pub, 0) -> copy(1); SLOT(v, 1) = 0; SLOT(v, 0) = v + 1;
			removed = 2; printf("writer: moves gfn 1 to 0\n")
		fi }
		if
		:: removed ->
			/* replace_slots(): mmu.next, then mmu_zap_gfns(). */
			d_step { lock == 0 -> lock = WRITER; next = v + 1; r = removed - 1;
				printf("writer: removes what maps gfn %d\n", r) }
			if
			:: d_step { spte[r] == RAM -> spte[r] = EMPTY; spte_slot[r] = 0 }
				/* zap_finish() */
				d_step { FLUSH(r) }
			:: d_step { spte[r] != RAM -> spte[r] = EMPTY; spte_number[r] = 0; spte_ver[r] = 0 }
			fi;
			/* give_way(): others may have the lock before the publication. */
			if
			:: d_step { lock = 0; printf("writer: lets others have mmu.lock\n") }
				d_step { lock == 0 -> lock = WRITER }
			:: skip
			fi;
			d_step { publish(); next = 0; lock = 0; r = 0;
				RULE((spte[0] != RAM || spte_slot[0] == SLOT(pub, 0)) &&
				     (spte[1] != RAM || spte_slot[1] == SLOT(pub, 1)),
		     "P12: a slot is gone, but its mapping is there\n") }
		:: else ->
			/* update_slots(): rcu_assign_pointer(), without mmu.lock. */
			d_step { publish() }
		fi;
#ifdef ASYNC
		/*
		 * An add returns at once. What removes has a grace period of its own:
		 * readers of the snapshot before it may be none of the settler's.
		 */
		d_step { slots_lock = 0;
#ifndef DELETE_RETURNS_AT_ONCE
			if
			:: removed -> delays[0] = reading[0]; delays[1] = reading[1]
			:: else
			fi
#endif
			}
#ifndef DELETE_RETURNS_AT_ONCE
		if
		:: removed ->
			delays[0] == 0 && delays[1] == 0;
			d_step { slots_lock == 0 -> slots_lock = 1 }
			if
			:: ODD(generation[v]) ->
				mmu_zap_mmio(v);
				d_step { settle(v) }
			:: else
			fi;
			d_step { slots_lock = 0 }
		:: else
		fi;
#endif
		d_step {
			if
			:: removed -> returned = v
			:: else
			fi;
			printf("writer: the ioctl of version %d has returned\n", v); removed = 0; v = 0 }
#else
		d_step { settled == v -> returned = v; removed = 0; slots_lock = 0;
			printf("writer: the ioctl of version %d has returned\n", v); v = 0 }
#endif
	:: pub == UPDATES -> break
	od
}

/*
 * Steps 4 to 6 of an update. The code has them in the ioctl's own thread, which
 * is the same as waiting for another one. With ASYNC it is a worker: it waits
 * for a grace period that began when the flag was set already, and settles what
 * was published last by then. Readers of what was published in between may be
 * left: they have noted an odd generation.
 */
proctype settler()
{
	byte t;
#ifdef ASYNC
	byte phase;	/* the flagged number that was there as the wait began */
#endif

end:	do
	:: d_step { pub > settled ->
		t = pub;
#ifdef ASYNC
		phase = generation[t];
#endif
		printf("settler: waits until nobody reads what is older than version %d\n", t);
		waited[0] = reading[0]; waited[1] = reading[1] }
#ifdef ZAP_BEFORE_GRACE
		mmu_zap_mmio(t);
#endif
#ifdef NO_GRACE
		d_step { waited[0] = 0; waited[1] = 0 }
#else
		waited[0] == 0 && waited[1] == 0;
#endif
#ifdef ASYNC
#ifdef SETTLE_UNLOCKED
		d_step { t = pub }
#else
		d_step { slots_lock == 0 -> slots_lock = 1; t = pub }
#endif
		if
#ifndef SETTLE_ANY_PHASE
		:: generation[t] != phase
#else
		:: !ODD(generation[t])
#endif
		:: else ->
#endif
#if !defined(NO_WRAP_ZAP) && !defined(ZAP_BEFORE_GRACE) && !defined(ZAP_AFTER_SETTLE)
		mmu_zap_mmio(t);
#endif
#ifdef ZAP_AFTER_SETTLE
		if
		:: WRAPS(generation[t], NEXT(generation[t])) ->
			d_step { settle(t) }
			d_step { lock == 0 -> zap_mmio(0) }
			d_step { lock == 0 -> zap_mmio(1) }
		:: else -> d_step { settle(t) }
		fi;
#else
		d_step { settle(t) }
#endif
#ifdef ASYNC
		fi;
		d_step { t = 0; phase = 0; slots_lock = 0 }
#else
		d_step { t = 0 }
#endif
	od
}

init {
	atomic {
		if
		:: slot[0] = 1
		:: slot[0] = 0
		fi;
		if
		:: slot[1] = 1
		:: slot[1] = 0
		fi;
		select(first : 0 .. ROUND - 1);
		run vcpu(0);
#ifndef ONE_VCPU
		run vcpu(1);
#endif
		run writer();
		run settler()
	}
}
