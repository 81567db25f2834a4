// SPDX-License-Identifier: GPL-2.0
/*
 * The decoder: instruction bytes in, struct emu_insn out. It fetches through the
 * owner's callback, never a page further than the instruction extends, and reads
 * no general register: what depends on register values (addresses, limits,
 * conditions) is left to execution. So a decoded instruction can be run again,
 * and need not be decoded again while its bytes are the same. The opcode tables
 * are in opcodes.c and evex.c.
 */
#include "exec.h"
#include "opcodes.h"

#define PAGE_BYTES	4096

#define REX_B	1
#define REX_X	2
#define REX_R	4
#define REX_W	8
#define REX_R2	16	/* EVEX.R': vector registers 16 to 31 */

/*
 * struct decoder - the state of one decode
 * @result:	sticky: after the first failure bytes read as 0 and nothing
 *		more is fetched, so that few callers need to check it
 * @undefined:	#UD is due, but only if all bytes of the instruction can be fetched
 * @pos:	bytes consumed
 */
struct decoder {
	struct emu_ctx *ctx;
	struct emu_insn *insn;
	enum emu_result result;
	u8 pos;
	bool long64;
	bool op_prefix;
	bool addr_prefix;
	bool vex;
	bool vvvv_used;
	bool broadcast;		/* EVEX.b, or rounding where r/m is a register */
	bool undefined;
	u8 map;			/* opcode map: 0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A */
	u8 rep;
};

static void stop(struct decoder *d, enum emu_result result)
{
	if (d->result == EMU_OK)
		d->result = result;
}

/*
 * Fetch more bytes: up to the end of the page of the next byte, but not past the
 * limit of CS, which raises #GP only if the instruction itself extends past it.
 */
static enum emu_result fetch(struct emu_ctx *ctx)
{
	struct emu_insn *insn = &ctx->insn;
	unsigned int len = EMU_INSN_MAX - insn->fetched, in_page;
	enum emu_result result;
	u64 linear;

	if (!len)
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	result = emu_code_address(ctx, ctx->rip + insn->fetched, &linear, &len);
	if (result != EMU_OK)
		return result;
	in_page = PAGE_BYTES - (linear & (PAGE_BYTES - 1));
	if (len > in_page)
		len = in_page;
	result = ctx->ops->fetch(ctx, linear, insn->bytes + insn->fetched, len);
	if (result == EMU_OK)
		insn->fetched += len;
	return result;
}

static void fetch_more(struct decoder *d)
{
	if (d->result == EMU_OK)
		d->result = fetch(d->ctx);
}

static u8 next_byte(struct decoder *d)
{
	if (d->pos >= d->insn->fetched)
		fetch_more(d);
	if (d->result != EMU_OK)
		return 0;
	return d->insn->bytes[d->pos++];
}

/* Read a little-endian number of 1, 2, 4 or 8 bytes, sign-extended. */
static u64 next_signed(struct decoder *d, unsigned int size)
{
	u64 val = 0;

	while (d->pos + size > d->insn->fetched && d->result == EMU_OK)
		fetch_more(d);
	if (d->result != EMU_OK)
		return 0;
	memcpy(&val, d->insn->bytes + d->pos, size);
	d->pos += size;
	return emu_sign_extend(val, size);
}

/* Record a legacy prefix; false if @byte is not one. */
static bool legacy_prefix(struct decoder *d, u8 byte)
{
	switch (byte) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
		if (!d->long64)
			d->insn->seg = byte >> 3 & 3;
		return true;
	case 0x64:
	case 0x65:
		d->insn->seg = byte & 7;
		return true;
	case 0x66:
		d->op_prefix = true;
		return true;
	case 0x67:
		d->addr_prefix = true;
		return true;
	case 0xf0:
		d->insn->lock = true;
		return true;
	case 0xf2:
	case 0xf3:
		d->rep = byte;
		return true;
	}
	return false;
}

/* Consume all prefixes; returns the first byte of the opcode. */
static u8 prefixes(struct decoder *d)
{
	u8 byte = next_byte(d);

	while (d->result == EMU_OK) {
		if (legacy_prefix(d, byte))
			d->insn->rex = 0;
		else if (d->long64 && (byte & 0xf0) == 0x40)
			d->insn->rex = byte;
		else
			break;
		byte = next_byte(d);
	}
	return byte;
}

/*
 * True if @byte begins a VEX or EVEX prefix. Outside 64-bit code it is LES, LDS
 * or BOUND if the next byte is a ModRM of memory, and always in real and
 * virtual-8086 mode.
 */
static bool starts_vex(struct decoder *d, u8 byte)
{
	if (byte != 0xc4 && byte != 0xc5 && byte != 0x62)
		return false;
	if (d->long64)
		return true;
	next_byte(d);
	if (d->result != EMU_OK)
		return false;
	d->pos--;
	return d->insn->bytes[d->pos] >= 0xc0 && d->ctx->mode >= EMU_MODE_PROT16;
}

/* Read the fields common to the last byte of VEX and the second byte of EVEX. */
static void vex_fields(struct decoder *d, u8 byte)
{
	static const u8 rep[4] = { 0, 0, 0xf3, 0xf2 };

	d->insn->vex_reg = ~byte >> 3 & (d->long64 ? 15 : 7);
	/*
	 * Outside 64-bit code the fourth bit selects no register, but must be set
	 * if vvvv is unused.
	 */
	d->vvvv_used = ~byte & 0x78;
	d->op_prefix = (byte & 3) == 1;
	d->rep = rep[byte & 3];
	d->vex = true;
}

/* Read the rest of a VEX prefix; returns the opcode map: 1 is 0F, 2 is 0F 38, 3 is 0F 3A. */
static u8 vex_prefix(struct decoder *d, u8 first)
{
	struct emu_insn *insn = d->insn;
	u8 map = 1;
	u8 byte = next_byte(d);

	if (insn->rex || insn->lock || d->op_prefix || d->rep)
		d->undefined = true;
	insn->rex = byte & 0x80 ? 0 : REX_R;
	if (first == 0xc4) {
		map = byte & 0x1f;
		insn->rex |= (byte & 0x40 ? 0 : REX_X) | (byte & 0x20 ? 0 : REX_B);
		byte = next_byte(d);
		insn->vex_w = byte & 0x80;
		insn->rex |= insn->vex_w ? REX_W : 0;
	}
	if (!d->long64)
		insn->rex = 0;
	insn->vector_size = byte & 4 ? 32 : 16;
	vex_fields(d, byte);
	return map;
}

/* Read the last byte of an EVEX prefix: z, L'L, b, V' and aaa. */
static void evex_mask(struct decoder *d, u8 byte)
{
	struct emu_insn *insn = d->insn;

	insn->zeroing = byte & 0x80;
	insn->vector_size = 16 << (byte >> 5 & 3);
	d->broadcast = byte & 0x10;
	insn->mask = byte & 7;
	if (!(byte & 8)) {
		insn->vex_reg |= 16;
		d->vvvv_used = true;
		d->undefined |= !d->long64;
	}
	if (insn->zeroing && !insn->mask)
		d->undefined = true;
}

/* Read the rest of an EVEX prefix; returns the opcode map, as vex_prefix() does. */
static u8 evex_prefix(struct decoder *d)
{
	struct emu_insn *insn = d->insn;
	u8 first = next_byte(d), second = next_byte(d);

	if (insn->rex || insn->lock || d->op_prefix || d->rep || first & 8 || !(second & 4))
		d->undefined = true;
	insn->evex = true;
	insn->rex = (~first >> 5 & (REX_B | REX_X | REX_R)) | (first & 0x10 ? 0 : REX_R2);
	insn->vex_w = second & 0x80;
	insn->rex |= insn->vex_w ? REX_W : 0;
	if (!d->long64)
		insn->rex = 0;
	vex_fields(d, second);
	evex_mask(d, next_byte(d));
	return first & 7;
}

static enum emu_prefix_index simd_prefix(struct decoder *d)
{
	d->insn->simd_prefix = d->rep ? d->rep : d->op_prefix ? 0x66 : 0;
	if (d->rep)
		return d->rep == 0xf3 ? WITH_F3 : WITH_F2;
	return d->op_prefix ? WITH_66 : WITH_NONE;
}

static const struct emu_row *map_row(struct decoder *d, u8 map)
{
	static const struct emu_row undefined;

	d->map = map;
	d->insn->opcode = next_byte(d);
	if (d->insn->evex)
		return emu_evex_row(map, d->insn->opcode, simd_prefix(d));
	switch (map) {
	case 1:
		return d->vex ? emu_vex_two_byte(d->insn->opcode) :
				&emu_two_byte[d->insn->opcode];
	case 2:
		return emu_three_byte_38(d->insn->opcode, d->vex);
	case 3:
		return emu_three_byte_3a(d->insn->opcode, d->vex);
	default:
		return &undefined;
	}
}

/* Read the opcode and find its first row. */
static const struct emu_row *opcode_row(struct decoder *d)
{
	u8 byte = prefixes(d);

	if (starts_vex(d, byte))
		return map_row(d, byte == 0x62 ? evex_prefix(d) : vex_prefix(d, byte));
	if (byte != 0x0f) {
		d->insn->opcode = byte;
		return byte == 0x63 && !d->long64 ? &emu_arpl : &emu_one_byte[byte];
	}
	byte = next_byte(d);
	if (byte == 0x38)
		return map_row(d, 2);
	if (byte == 0x3a)
		return map_row(d, 3);
	d->map = 1;
	d->insn->opcode = byte;
	return &emu_two_byte[byte];
}

static u8 modrm_mod(const struct emu_insn *insn)
{
	return insn->modrm >> 6;
}

static u8 modrm_reg(const struct emu_insn *insn)
{
	return insn->modrm >> 3 & 7;
}

static bool rm_is_memory(const struct emu_insn *insn)
{
	return insn->modrm < 0xc0;
}

/* Code size: 2, 4 or 8. Real mode obeys CS.D too; far jumps in real mode do not change it. */
static u8 code_size(struct emu_ctx *ctx)
{
	switch (ctx->mode) {
	case EMU_MODE_REAL:
		return emu_segment(ctx, EMU_CS)->db ? 4 : 2;
	case EMU_MODE_PROT32:
		return 4;
	case EMU_MODE_LONG64:
		return 8;
	default:
		return 2;
	}
}

/* Set operand and address size from mode, prefixes and row. */
static void sizes(struct decoder *d, const struct emu_row *row)
{
	struct emu_insn *insn = d->insn;

	if (d->long64) {
		insn->mode_size = 8;
		insn->op_size = insn->rex & REX_W ? 8 : d->op_prefix ? 2 : 4;
		insn->addr_size = d->addr_prefix ? 4 : 8;
		if (row->flags & ROW_NEAR)
			insn->op_size = 8;
		else if ((row->flags & ROW_STACK) && insn->op_size == 4)
			insn->op_size = 8;
		return;
	}
	insn->mode_size = code_size(d->ctx);
	insn->op_size = d->op_prefix ? 6 - insn->mode_size : insn->mode_size;
	insn->addr_size = d->addr_prefix ? 6 - insn->mode_size : insn->mode_size;
}

/* Decode a memory operand of 16-bit addressing. */
static void address16(struct decoder *d)
{
	static const u8 bases[8] = {
		EMU_RBX, EMU_RBX, EMU_RBP, EMU_RBP, EMU_RSI, EMU_RDI, EMU_RBP, EMU_RBX,
	};
	static const u8 indexes[8] = {
		EMU_RSI, EMU_RDI, EMU_RSI, EMU_RDI, EMU_NO_REG, EMU_NO_REG, EMU_NO_REG,
		EMU_NO_REG,
	};
	struct emu_insn *insn = d->insn;
	u8 mod = modrm_mod(insn);
	u8 rm = insn->modrm & 7;

	if (mod == 0 && rm == 6) {
		insn->disp = next_signed(d, 2);
		return;
	}
	insn->base = bases[rm];
	insn->index = indexes[rm];
	if (mod)
		insn->disp = next_signed(d, mod);
}

/* Read the SIB byte; returns the base field. */
static u8 sib(struct decoder *d)
{
	struct emu_insn *insn = d->insn;
	u8 byte = next_byte(d);
	u8 index = (byte >> 3 & 7) | (insn->rex & REX_X ? 8 : 0);

	if (index != EMU_RSP)
		insn->index = index;
	insn->scale = byte >> 6;
	return byte & 7;
}

/* Decode a memory operand of 32-bit or 64-bit addressing. */
static void address32(struct decoder *d)
{
	struct emu_insn *insn = d->insn;
	u8 mod = modrm_mod(insn);
	u8 base = insn->modrm & 7;
	bool has_sib = base == 4;

	if (has_sib)
		base = sib(d);
	if (mod == 0 && base == 5) {
		insn->disp = next_signed(d, 4);
		insn->rip_relative = d->long64 && !has_sib;
		return;
	}
	insn->base = base | (insn->rex & REX_B ? 8 : 0);
	if (mod)
		insn->disp = next_signed(d, mod == 1 ? 1 : 4);
}

static void memory_operand(struct decoder *d)
{
	struct emu_insn *insn = d->insn;

	if (insn->addr_size == 2)
		address16(d);
	else
		address32(d);
	if (insn->seg != EMU_NO_REG)
		return;
	insn->seg = insn->base == EMU_RBP || insn->base == EMU_RSP ? EMU_SS : EMU_DS;
}

static u8 vector_size(const struct emu_insn *insn)
{
	return insn->vector_size ? insn->vector_size : 16;
}

static u8 operand_size(const struct emu_insn *insn, u16 code)
{
	switch (code & 0xff) {
	case SIZE_1:
	case SIZE_2:
	case SIZE_4:
	case SIZE_8:
	case SIZE_16:
		return 1 << (code & 0xff);
	case SIZE_V:
		return insn->op_size;
	case SIZE_Y:
		return insn->rex & REX_W ? 8 : 4;
	case SIZE_Z:
		return insn->op_size == 2 ? 2 : 4;
	case SIZE_X:
		return vector_size(insn);
	case SIZE_RV_M2:
		return rm_is_memory(insn) ? 2 : insn->op_size;
	case SIZE_DOUBLE_Y:
		return insn->rex & REX_W ? 16 : 8;
	case SIZE_FAR:
		return insn->op_size + 2;
	case SIZE_TABLE:
		return insn->mode_size == 8 ? 10 : 6;
	case SIZE_WORD:
		return insn->mode_size == 8 ? 8 : 4;
	case SIZE_10:
		return 10;
	case SIZE_ENV:
		return insn->op_size == 2 ? 14 : 28;
	case SIZE_X87:
		return (insn->op_size == 2 ? 14 : 28) + 80;
	case SIZE_X_2:
		return vector_size(insn) / 2;
	case SIZE_X_4:
		return vector_size(insn) / 4;
	case SIZE_X_8:
		return vector_size(insn) / 8;
	case SIZE_DUP:
		return vector_size(insn) > 16 ? vector_size(insn) : 8;
	case SIZE_R4_M1:
		return rm_is_memory(insn) ? 1 : 4;
	case SIZE_R4_M2:
		return rm_is_memory(insn) ? 2 : 4;
	case SIZE_MASK:
		return (insn->simd_prefix == 0x66 ? 1 : 2) << (insn->vex_w ? 2 : 0);
	default:
		return 2 * insn->op_size;
	}
}

/* General register @reg; without REX byte registers 4-7 are AH, CH, DH and BH. */
static void register_operand(const struct emu_insn *insn, struct emu_operand *o, u8 reg, u8 ext)
{
	o->kind = EMU_OPERAND_REG;
	o->reg = reg | (insn->rex & ext ? 8 : 0);
	if (o->size == 1 && !insn->rex && reg >= 4) {
		o->kind = EMU_OPERAND_REG_HIGH;
		o->reg = reg - 4;
	}
}

static void rm_operand(struct decoder *d, struct emu_operand *o, bool vector)
{
	struct emu_insn *insn = d->insn;

	if (rm_is_memory(insn)) {
		o->kind = EMU_OPERAND_MEM;
	} else if (vector) {
		o->kind = EMU_OPERAND_XMM;
		o->reg = (insn->modrm & 7) | (insn->rex & REX_B ? 8 : 0);
		if (insn->evex && insn->rex & REX_X)
			o->reg |= 16;
	} else {
		register_operand(insn, o, insn->modrm & 7, REX_B);
	}
}

static void moffs_operand(struct decoder *d, struct emu_operand *o)
{
	struct emu_insn *insn = d->insn;

	o->kind = EMU_OPERAND_MEM;
	insn->disp = next_signed(d, insn->addr_size);
	if (insn->seg == EMU_NO_REG)
		insn->seg = EMU_DS;
}

/* A memory operand at @reg, which ModRM does not encode. */
static void pointer_operand(struct decoder *d, struct emu_operand *o, u8 reg)
{
	struct emu_insn *insn = d->insn;

	o->kind = EMU_OPERAND_MEM;
	insn->base = reg;
	if (insn->seg == EMU_NO_REG)
		insn->seg = EMU_DS;
}

static void imm_operand(struct decoder *d, struct emu_operand *o, u64 val)
{
	o->kind = EMU_OPERAND_IMM;
	d->insn->imm = val;
}

static void sreg_operand(struct decoder *d, struct emu_operand *o)
{
	o->kind = EMU_OPERAND_SEG;
	o->reg = modrm_reg(d->insn);
	if (o->reg > EMU_GS)
		d->undefined = true;
}

/* Fill one operand. Called in order, so that immediates follow displacements. */
static void operand(struct decoder *d, u16 code, struct emu_operand *o)
{
	struct emu_insn *insn = d->insn;

	o->size = operand_size(insn, code);
	switch (code >> 8) {
	case FROM_RM:
		rm_operand(d, o, false);
		break;
	case FROM_XMM_RM:
		rm_operand(d, o, true);
		break;
	case FROM_REG:
		register_operand(insn, o, modrm_reg(insn), REX_R);
		break;
	case FROM_XMM_REG:
		o->kind = EMU_OPERAND_XMM;
		o->reg = modrm_reg(insn) | (insn->rex & REX_R ? 8 : 0) |
			 (insn->rex & REX_R2 ? 16 : 0);
		break;
	case FROM_MMX_REG:
		o->kind = EMU_OPERAND_MMX;
		o->reg = modrm_reg(insn);
		break;
	case FROM_MMX_RM:
		o->kind = rm_is_memory(insn) ? EMU_OPERAND_MEM : EMU_OPERAND_MMX;
		o->reg = insn->modrm & 7;
		break;
	case FROM_OPCODE:
		register_operand(insn, o, insn->opcode & 7, REX_B);
		break;
	case FROM_ACC:
		o->kind = EMU_OPERAND_REG;
		o->reg = EMU_RAX;
		break;
	case FROM_CL:
		o->kind = EMU_OPERAND_REG;
		o->reg = EMU_RCX;
		break;
	case FROM_IMM:
	case FROM_REL:
		imm_operand(d, o, next_signed(d, o->size));
		break;
	case FROM_IMM2:
		o->kind = EMU_OPERAND_IMM2;
		insn->imm2 = next_signed(d, o->size);
		break;
	case FROM_ONE:
		imm_operand(d, o, 1);
		break;
	case FROM_VEX:
		o->kind = EMU_OPERAND_REG;
		o->reg = insn->vex_reg;
		break;
	case FROM_MOFFS:
		moffs_operand(d, o);
		break;
	case FROM_RDI:
		pointer_operand(d, o, EMU_RDI);
		break;
	case FROM_SREG:
		sreg_operand(d, o);
		break;
	}
}

/* Flags of the rows that check_row() must check in full. */
#define ROW_CONDITIONS	(ROW_ONLY64 | ROW_MEM | ROW_MEM_HERE | ROW_VVVV | \
			 ROW_VEX | ROW_VEX128 | ROW_PROTECTED)

/* With a VEX prefix, opcodes of CMOVcc and SETcc are instructions on mask registers. */
static bool is_mask_opcode(const struct decoder *d)
{
	u8 byte = d->insn->opcode;

	return d->map == 1 && ((byte >= 0x41 && byte <= 0x4b) || (byte >= 0x90 && byte <= 0x99));
}

/* EVEX moves do not broadcast or round, and only VMOV_MASKED takes a mask. */
static bool is_undefined_evex(const struct decoder *d, const struct emu_row *row, bool memory)
{
	const struct emu_insn *insn = d->insn;
	bool to_memory = memory && (row->operand[0] >> 8 == FROM_XMM_RM);

	if (d->broadcast || insn->vector_size > EMU_OPERAND_MAX)
		return true;
	if (insn->mask && row->op != EMU_OP_VMOV_MASKED)
		return true;
	return insn->zeroing && to_memory;
}

/* True if row, mode and prefixes together are an undefined instruction. */
static bool is_undefined(const struct decoder *d, const struct emu_row *row, bool memory)
{
	const struct emu_insn *insn = d->insn;

	if (row->op == EMU_OP_UD || (!memory && (row->flags & ROW_MEM)))
		return true;
	if ((row->flags & ROW_PROTECTED) && d->ctx->mode <= EMU_MODE_VM86)
		return true;
	if (!d->long64 && (row->flags & ROW_ONLY64))
		return true;
	if (insn->lock && (!(row->flags & ROW_LOCK) || !memory))
		return true;
	if (row->op == EMU_OP_NONE || (!memory && (row->flags & ROW_MEM_HERE)))
		return false;
	if (!d->vex)
		return row->flags & ROW_VEX;
	if (!(row->flags & (ROW_VECTOR | ROW_VEX)))
		return !is_mask_opcode(d);
	if (d->vvvv_used && !(row->flags & ROW_VVVV))
		return true;
	if (row->flags & (insn->vector_size > 16 ? ROW_VEX128 : ROW_VEX256))
		return true;
	if (row->flags & (insn->vex_w ? ROW_W0 : ROW_W1))
		return true;
	return insn->evex && is_undefined_evex(d, row, memory);
}

/* True if the instruction is defined, but not executed here. */
static bool is_elsewhere(const struct decoder *d, const struct emu_row *row, bool memory)
{
	return row->op == EMU_OP_NONE ||
	       (d->vex && !(row->flags & (ROW_VECTOR | ROW_VEX))) ||
	       (!memory && (row->flags & ROW_MEM_HERE));
}

static void check_row(struct decoder *d, const struct emu_row *row)
{
	bool memory = (row->flags & ROW_MODRM) && rm_is_memory(d->insn);

	if (row->op > EMU_OP_NONE && !(row->flags & ROW_CONDITIONS) && !d->insn->lock && !d->vex)
		return;
	if (is_undefined(d, row, memory))
		d->undefined = true;
	else if (!d->undefined && is_elsewhere(d, row, memory))
		stop(d, EMU_UNHANDLED);
}

static void reset(struct emu_insn *insn)
{
	size_t keep = offsetof(struct emu_insn, length);

	memset((u8 *)insn + keep, 0, sizeof(*insn) - keep);
	insn->seg = EMU_NO_REG;
	insn->base = EMU_NO_REG;
	insn->index = EMU_NO_REG;
}

static void read_modrm(struct decoder *d)
{
	if (d->insn->has_modrm)
		return;
	d->insn->has_modrm = true;
	d->insn->modrm = next_byte(d);
}

#define ROW_SELECTS	(ROW_PREFIX | ROW_GROUP | ROW_GROUP_RM | ROW_SPLIT)

/* Go one step from a row that selects another row. */
static const struct emu_row *select_row(struct decoder *d, const struct emu_row *row)
{
	const struct emu_insn *insn = d->insn;

	if (row->flags & ROW_PREFIX)
		return &emu_prefix_sets[row->op][simd_prefix(d)];
	if (row->flags & ROW_GROUP)
		return &emu_groups[row->op][modrm_reg(insn)];
	if (row->flags & ROW_GROUP_RM)
		return &emu_groups[row->op][insn->modrm & 7];
	return &emu_splits[row->op][rm_is_memory(insn) ? IN_MEMORY : IN_REGISTER];
}

/* Find the final row; read ModRM if one of the rows on the way has it. */
static const struct emu_row *final_row(struct decoder *d, const struct emu_row *row)
{
	for (;;) {
		if (row->flags & ROW_MODRM)
			read_modrm(d);
		if (d->long64 && (row->flags & ROW_NO64))
			d->undefined = true;
		if (!(row->flags & ROW_SELECTS))
			break;
		row = select_row(d, row);
	}
	if (row->flags & ROW_REG)
		d->insn->modrm |= 0xc0;
	return row;
}

/* True if @insn was decoded from the same bytes in the same mode. */
static bool is_decoded(struct emu_ctx *ctx)
{
	const struct emu_insn *insn = &ctx->insn;
	const struct emu_source *source = &ctx->source;

	return insn->op && source->mode == ctx->mode && source->fetched == insn->fetched &&
	       source->code_size == code_size(ctx) &&
	       !memcmp(source->bytes, insn->bytes, EMU_INSN_MAX);
}

static void keep_source(struct emu_ctx *ctx)
{
	memcpy(ctx->source.bytes, ctx->insn.bytes, EMU_INSN_MAX);
	ctx->source.fetched = ctx->insn.fetched;
	ctx->source.mode = ctx->mode;
	ctx->source.code_size = ctx->insn.mode_size;
}

static bool is_single_access(const struct emu_insn *insn)
{
	int i;

	switch (insn->op) {
	case EMU_OP_STOS:
	case EMU_OP_LODS:
	case EMU_OP_SCAS:
		return true;
	}
	/* A masked operand may be accessed in several pieces. */
	if (insn->flags & ROW_MORE || insn->mask)
		return false;
	for (i = 0; i < 3; i++)
		if (insn->operand[i].kind == EMU_OPERAND_MEM)
			return true;
	return false;
}

/* EVEX scales a one-byte displacement by the size of the memory operand. */
static void finish_evex(struct emu_insn *insn)
{
	int i;

	insn->element = (insn->flags & ROW_SMALL ? 1 : 4) << insn->vex_w;
	for (i = 0; i < 2 && modrm_mod(insn) == 1; i++)
		if (insn->operand[i].kind == EMU_OPERAND_MEM)
			insn->disp *= insn->operand[i].size;
}

static enum emu_result decode(struct emu_ctx *ctx)
{
	struct emu_insn *insn = &ctx->insn;
	struct decoder d = {
		.ctx = ctx,
		.insn = insn,
		.result = EMU_OK,
		.long64 = ctx->mode == EMU_MODE_LONG64,
	};
	const struct emu_row *row;
	unsigned int i;

	row = final_row(&d, opcode_row(&d));
	if (d.result != EMU_OK)
		return d.result;
	check_row(&d, row);
	sizes(&d, row);
	if (insn->has_modrm && rm_is_memory(insn))
		memory_operand(&d);
	for (i = 0; i < 3 && row->operand[i]; i++)
		operand(&d, row->operand[i], &insn->operand[i]);
	insn->flags = row->flags;
	if (row->flags & ROW_ALIGNED_SSE && !d.vex)
		insn->flags |= ROW_ALIGNED;
	if (insn->evex)
		finish_evex(insn);
	if (row->flags & ROW_STRING)
		insn->rep = d.rep;
	insn->length = d.pos;
	if (d.undefined && d.result == EMU_OK)
		return emu_raise(ctx, EMU_VECTOR_UD, 0);
	if (d.result != EMU_OK)
		return d.result;
	/* Set op last: 0 means that nothing is decoded. */
	insn->op = row->op;
	insn->single_access = is_single_access(insn);
	return EMU_OK;
}

enum emu_result emu_decode(struct emu_ctx *ctx)
{
	enum emu_result result = EMU_OK;

	if (!ctx->insn.fetched)
		result = fetch(ctx);
	if (result == EMU_OK && is_decoded(ctx))
		return EMU_OK;
	reset(&ctx->insn);
	if (result == EMU_OK)
		result = decode(ctx);
	if (result == EMU_OK)
		keep_source(ctx);
	return result;
}
