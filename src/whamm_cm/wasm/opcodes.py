"""Every core WebAssembly opcode as one table: code, mnemonic, kinds of the immediates.

Core specification 5.4 ("Instructions") with the proposals tools know today: legacy exceptions,
threads, acquire-release atomics, shared-everything threads, wide arithmetic, memory control, custom
descriptors and stack switching.  To add an opcode, add a row (or a word to a row whose codes are
consecutive and whose immediates are the same).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator

from whamm_cm.dataclass import dataclass


class Imm(enum.Enum):
    """Kinds of immediates; ``instructions.py`` knows how to step over each of them."""

    TYPE = "type"
    FUNC = "func"
    TABLE = "table"
    MEMORY = "memory"
    GLOBAL = "global"
    TAG = "tag"
    ELEM = "elem"
    DATA = "data"
    LOCAL = "local"
    LABEL = "label"
    FIELD = "field"
    COUNT = "count"  # a plain u32
    BLOCKTYPE = "blocktype"
    HEAPTYPE = "heaptype"
    VALTYPES = "valtypes"  # vector of value types
    LABELS = "labels"  # br_table: vector of labels, then the default
    MEMARG = "memarg"  # alignment and flags, memory index when bit 6 is set, offset
    ATOMIC = "atomic"  # the same, with an ordering before the offset when bit 4 is set
    RMW = "rmw"  # the same, with one byte for the orderings of the read and of the write
    I32 = "i32"
    I64 = "i64"
    F32 = "f32"
    F64 = "f64"
    V128 = "v128"
    LANE = "lane"
    LANES = "lanes"  # i8x16.shuffle: 16 lane bytes
    CAST = "cast"  # br_on_cast: nullability of both types in one byte
    CATCHES = "catches"  # try_table: vector of catch clauses
    HANDLERS = "handlers"  # resume: vector of on clauses
    ORDERING = "ordering"

    @property
    def is_memarg(self) -> bool:
        return self in _MEMARGS


_MEMARGS = frozenset((Imm.MEMARG, Imm.ATOMIC, Imm.RMW))


@dataclass(frozen=True, slots=True, eq=False)
class Opcode:
    """A row of the table, of which there is one each.

    ``prefix`` is 0xFB…0xFE or 0; ``code`` the opcode byte, or the number after the prefix.

    ``nesting``: 1 when the instruction opens a block, -1 when it closes one, else 0.
    Text formats of one name and several encodings (``select``, ``ref.test``) are several rows.
    """

    prefix: int
    code: int
    mnemonic: str
    immediates: tuple[Imm, ...]
    nesting: int = 0


# (prefix, first code, kinds of immediates, mnemonics of consecutive codes)
_Row = tuple[int, int, str, str]

_CONTROL: tuple[_Row, ...] = (
    (0, 0x00, "", "unreachable nop"),
    (0, 0x02, "blocktype", "block loop if"),
    (0, 0x05, "", "else"),
    (0, 0x06, "blocktype", "try"),
    (0, 0x07, "tag", "catch throw"),
    (0, 0x09, "label", "rethrow"),
    (0, 0x0A, "", "throw_ref end"),
    (0, 0x0C, "label", "br br_if"),
    (0, 0x0E, "labels", "br_table"),
    (0, 0x0F, "", "return"),
    (0, 0x10, "func", "call"),
    (0, 0x11, "type table", "call_indirect"),
    (0, 0x12, "func", "return_call"),
    (0, 0x13, "type table", "return_call_indirect"),
    (0, 0x14, "type", "call_ref return_call_ref"),
    (0, 0x18, "label", "delegate"),
    (0, 0x19, "", "catch_all drop select"),
    (0, 0x1C, "valtypes", "select"),
    (0, 0x1F, "blocktype catches", "try_table"),
    (0, 0xE0, "type", "cont.new"),
    (0, 0xE1, "type type", "cont.bind"),
    (0, 0xE2, "tag", "suspend"),
    (0, 0xE3, "type handlers", "resume"),
    (0, 0xE4, "type tag handlers", "resume_throw"),
    (0, 0xE5, "type handlers", "resume_throw_ref"),
    (0, 0xE6, "type tag", "switch"),
)

_VARIABLES_AND_MEMORY: tuple[_Row, ...] = (
    (0, 0x20, "local", "local.get local.set local.tee"),
    (0, 0x23, "global", "global.get global.set"),
    (0, 0x25, "table", "table.get table.set"),
    (0, 0x28, "memarg", "i32.load i64.load f32.load f64.load"),
    (0, 0x2C, "memarg", "i32.load8_s i32.load8_u i32.load16_s i32.load16_u"),
    (0, 0x30, "memarg", "i64.load8_s i64.load8_u i64.load16_s i64.load16_u"),
    (0, 0x34, "memarg", "i64.load32_s i64.load32_u"),
    (0, 0x36, "memarg", "i32.store i64.store f32.store f64.store"),
    (0, 0x3A, "memarg", "i32.store8 i32.store16 i64.store8 i64.store16 i64.store32"),
    (0, 0x3F, "memory", "memory.size memory.grow"),
    (0, 0xD0, "heaptype", "ref.null"),
    (0, 0xD1, "", "ref.is_null"),
    (0, 0xD2, "func", "ref.func"),
    (0, 0xD3, "", "ref.eq ref.as_non_null"),
    (0, 0xD5, "label", "br_on_null br_on_non_null"),
)

_NUMERIC: tuple[_Row, ...] = (
    (0, 0x41, "i32", "i32.const"),
    (0, 0x42, "i64", "i64.const"),
    (0, 0x43, "f32", "f32.const"),
    (0, 0x44, "f64", "f64.const"),
    (0, 0x45, "", "i32.eqz i32.eq i32.ne i32.lt_s i32.lt_u i32.gt_s i32.gt_u"),
    (0, 0x4C, "", "i32.le_s i32.le_u i32.ge_s i32.ge_u"),
    (0, 0x50, "", "i64.eqz i64.eq i64.ne i64.lt_s i64.lt_u i64.gt_s i64.gt_u"),
    (0, 0x57, "", "i64.le_s i64.le_u i64.ge_s i64.ge_u"),
    (0, 0x5B, "", "f32.eq f32.ne f32.lt f32.gt f32.le f32.ge"),
    (0, 0x61, "", "f64.eq f64.ne f64.lt f64.gt f64.le f64.ge"),
    (0, 0x67, "", "i32.clz i32.ctz i32.popcnt i32.add i32.sub i32.mul i32.div_s i32.div_u"),
    (0, 0x6F, "", "i32.rem_s i32.rem_u i32.and i32.or i32.xor i32.shl i32.shr_s i32.shr_u"),
    (0, 0x77, "", "i32.rotl i32.rotr"),
    (0, 0x79, "", "i64.clz i64.ctz i64.popcnt i64.add i64.sub i64.mul i64.div_s i64.div_u"),
    (0, 0x81, "", "i64.rem_s i64.rem_u i64.and i64.or i64.xor i64.shl i64.shr_s i64.shr_u"),
    (0, 0x89, "", "i64.rotl i64.rotr"),
    (0, 0x8B, "", "f32.abs f32.neg f32.ceil f32.floor f32.trunc f32.nearest f32.sqrt"),
    (0, 0x92, "", "f32.add f32.sub f32.mul f32.div f32.min f32.max f32.copysign"),
    (0, 0x99, "", "f64.abs f64.neg f64.ceil f64.floor f64.trunc f64.nearest f64.sqrt"),
    (0, 0xA0, "", "f64.add f64.sub f64.mul f64.div f64.min f64.max f64.copysign"),
    (0, 0xA7, "", "i32.wrap_i64"),
    (0, 0xA8, "", "i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u"),
    (0, 0xAC, "", "i64.extend_i32_s i64.extend_i32_u"),
    (0, 0xAE, "", "i64.trunc_f32_s i64.trunc_f32_u i64.trunc_f64_s i64.trunc_f64_u"),
    (0, 0xB2, "", "f32.convert_i32_s f32.convert_i32_u f32.convert_i64_s f32.convert_i64_u"),
    (0, 0xB6, "", "f32.demote_f64"),
    (0, 0xB7, "", "f64.convert_i32_s f64.convert_i32_u f64.convert_i64_s f64.convert_i64_u"),
    (0, 0xBB, "", "f64.promote_f32 i32.reinterpret_f32 i64.reinterpret_f64"),
    (0, 0xBE, "", "f32.reinterpret_i32 f64.reinterpret_i64"),
    (0, 0xC0, "", "i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s"),
)

_GC: tuple[_Row, ...] = (
    (0xFB, 0x00, "type", "struct.new struct.new_default"),
    (0xFB, 0x02, "type field", "struct.get struct.get_s struct.get_u struct.set"),
    (0xFB, 0x06, "type", "array.new array.new_default"),
    (0xFB, 0x08, "type count", "array.new_fixed"),
    (0xFB, 0x09, "type data", "array.new_data"),
    (0xFB, 0x0A, "type elem", "array.new_elem"),
    (0xFB, 0x0B, "type", "array.get array.get_s array.get_u array.set"),
    (0xFB, 0x0F, "", "array.len"),
    (0xFB, 0x10, "type", "array.fill"),
    (0xFB, 0x11, "type type", "array.copy"),
    (0xFB, 0x12, "type data", "array.init_data"),
    (0xFB, 0x13, "type elem", "array.init_elem"),
    # Each pair: to a non-nullable, then to a nullable type.
    (0xFB, 0x14, "heaptype", "ref.test ref.test ref.cast ref.cast"),
    (0xFB, 0x18, "cast label heaptype heaptype", "br_on_cast br_on_cast_fail"),
    (0xFB, 0x1A, "", "any.convert_extern extern.convert_any ref.i31 i31.get_s i31.get_u"),
    (0xFB, 0x20, "type", "struct.new_desc struct.new_default_desc ref.get_desc"),
    (0xFB, 0x23, "heaptype", "ref.cast_desc_eq ref.cast_desc_eq"),
    (0xFB, 0x25, "cast label heaptype heaptype", "br_on_cast_desc_eq br_on_cast_desc_eq_fail"),
)

_BULK: tuple[_Row, ...] = (
    (0xFC, 0x00, "", "i32.trunc_sat_f32_s i32.trunc_sat_f32_u"),
    (0xFC, 0x02, "", "i32.trunc_sat_f64_s i32.trunc_sat_f64_u"),
    (0xFC, 0x04, "", "i64.trunc_sat_f32_s i64.trunc_sat_f32_u"),
    (0xFC, 0x06, "", "i64.trunc_sat_f64_s i64.trunc_sat_f64_u"),
    (0xFC, 0x08, "data memory", "memory.init"),
    (0xFC, 0x09, "data", "data.drop"),
    (0xFC, 0x0A, "memory memory", "memory.copy"),
    (0xFC, 0x0B, "memory", "memory.fill"),
    (0xFC, 0x0C, "elem table", "table.init"),
    (0xFC, 0x0D, "elem", "elem.drop"),
    (0xFC, 0x0E, "table table", "table.copy"),
    (0xFC, 0x0F, "table", "table.grow table.size table.fill"),
    (0xFC, 0x12, "memory", "memory.discard"),
    (0xFC, 0x13, "", "i64.add128 i64.sub128 i64.mul_wide_s i64.mul_wide_u"),
)

_SIMD: tuple[_Row, ...] = (
    (0xFD, 0x00, "memarg", "v128.load v128.load8x8_s v128.load8x8_u v128.load16x4_s"),
    (0xFD, 0x04, "memarg", "v128.load16x4_u v128.load32x2_s v128.load32x2_u"),
    (0xFD, 0x07, "memarg", "v128.load8_splat v128.load16_splat v128.load32_splat"),
    (0xFD, 0x0A, "memarg", "v128.load64_splat v128.store"),
    (0xFD, 0x0C, "v128", "v128.const"),
    (0xFD, 0x0D, "lanes", "i8x16.shuffle"),
    (0xFD, 0x0E, "", "i8x16.swizzle"),
    (0xFD, 0x0F, "", "i8x16.splat i16x8.splat i32x4.splat i64x2.splat f32x4.splat f64x2.splat"),
    (0xFD, 0x15, "lane", "i8x16.extract_lane_s i8x16.extract_lane_u i8x16.replace_lane"),
    (0xFD, 0x18, "lane", "i16x8.extract_lane_s i16x8.extract_lane_u i16x8.replace_lane"),
    (0xFD, 0x1B, "lane", "i32x4.extract_lane i32x4.replace_lane"),
    (0xFD, 0x1D, "lane", "i64x2.extract_lane i64x2.replace_lane"),
    (0xFD, 0x1F, "lane", "f32x4.extract_lane f32x4.replace_lane"),
    (0xFD, 0x21, "lane", "f64x2.extract_lane f64x2.replace_lane"),
    (0xFD, 0x23, "", "i8x16.eq i8x16.ne i8x16.lt_s i8x16.lt_u i8x16.gt_s i8x16.gt_u"),
    (0xFD, 0x29, "", "i8x16.le_s i8x16.le_u i8x16.ge_s i8x16.ge_u"),
    (0xFD, 0x2D, "", "i16x8.eq i16x8.ne i16x8.lt_s i16x8.lt_u i16x8.gt_s i16x8.gt_u"),
    (0xFD, 0x33, "", "i16x8.le_s i16x8.le_u i16x8.ge_s i16x8.ge_u"),
    (0xFD, 0x37, "", "i32x4.eq i32x4.ne i32x4.lt_s i32x4.lt_u i32x4.gt_s i32x4.gt_u"),
    (0xFD, 0x3D, "", "i32x4.le_s i32x4.le_u i32x4.ge_s i32x4.ge_u"),
    (0xFD, 0x41, "", "f32x4.eq f32x4.ne f32x4.lt f32x4.gt f32x4.le f32x4.ge"),
    (0xFD, 0x47, "", "f64x2.eq f64x2.ne f64x2.lt f64x2.gt f64x2.le f64x2.ge"),
    (0xFD, 0x4D, "", "v128.not v128.and v128.andnot v128.or v128.xor"),
    (0xFD, 0x52, "", "v128.bitselect v128.any_true"),
    (0xFD, 0x54, "memarg lane", "v128.load8_lane v128.load16_lane v128.load32_lane"),
    (0xFD, 0x57, "memarg lane", "v128.load64_lane v128.store8_lane v128.store16_lane"),
    (0xFD, 0x5A, "memarg lane", "v128.store32_lane v128.store64_lane"),
    (0xFD, 0x5C, "memarg", "v128.load32_zero v128.load64_zero"),
    (0xFD, 0x5E, "", "f32x4.demote_f64x2_zero f64x2.promote_low_f32x4"),
    (0xFD, 0x60, "", "i8x16.abs i8x16.neg i8x16.popcnt i8x16.all_true i8x16.bitmask"),
    (0xFD, 0x65, "", "i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u"),
    (0xFD, 0x67, "", "f32x4.ceil f32x4.floor f32x4.trunc f32x4.nearest"),
    (0xFD, 0x6B, "", "i8x16.shl i8x16.shr_s i8x16.shr_u"),
    (0xFD, 0x6E, "", "i8x16.add i8x16.add_sat_s i8x16.add_sat_u"),
    (0xFD, 0x71, "", "i8x16.sub i8x16.sub_sat_s i8x16.sub_sat_u"),
    (0xFD, 0x74, "", "f64x2.ceil f64x2.floor"),
    (0xFD, 0x76, "", "i8x16.min_s i8x16.min_u i8x16.max_s i8x16.max_u"),
    (0xFD, 0x7A, "", "f64x2.trunc i8x16.avgr_u"),
    (0xFD, 0x7C, "", "i16x8.extadd_pairwise_i8x16_s i16x8.extadd_pairwise_i8x16_u"),
    (0xFD, 0x7E, "", "i32x4.extadd_pairwise_i16x8_s i32x4.extadd_pairwise_i16x8_u"),
    (0xFD, 0x80, "", "i16x8.abs i16x8.neg i16x8.q15mulr_sat_s i16x8.all_true i16x8.bitmask"),
    (0xFD, 0x85, "", "i16x8.narrow_i32x4_s i16x8.narrow_i32x4_u"),
    (0xFD, 0x87, "", "i16x8.extend_low_i8x16_s i16x8.extend_high_i8x16_s"),
    (0xFD, 0x89, "", "i16x8.extend_low_i8x16_u i16x8.extend_high_i8x16_u"),
    (0xFD, 0x8B, "", "i16x8.shl i16x8.shr_s i16x8.shr_u"),
    (0xFD, 0x8E, "", "i16x8.add i16x8.add_sat_s i16x8.add_sat_u"),
    (0xFD, 0x91, "", "i16x8.sub i16x8.sub_sat_s i16x8.sub_sat_u"),
    (0xFD, 0x94, "", "f64x2.nearest i16x8.mul"),
    (0xFD, 0x96, "", "i16x8.min_s i16x8.min_u i16x8.max_s i16x8.max_u"),
    (0xFD, 0x9B, "", "i16x8.avgr_u"),
    (0xFD, 0x9C, "", "i16x8.extmul_low_i8x16_s i16x8.extmul_high_i8x16_s"),
    (0xFD, 0x9E, "", "i16x8.extmul_low_i8x16_u i16x8.extmul_high_i8x16_u"),
    (0xFD, 0xA0, "", "i32x4.abs i32x4.neg"),
    (0xFD, 0xA3, "", "i32x4.all_true i32x4.bitmask"),
    (0xFD, 0xA7, "", "i32x4.extend_low_i16x8_s i32x4.extend_high_i16x8_s"),
    (0xFD, 0xA9, "", "i32x4.extend_low_i16x8_u i32x4.extend_high_i16x8_u"),
    (0xFD, 0xAB, "", "i32x4.shl i32x4.shr_s i32x4.shr_u i32x4.add"),
    (0xFD, 0xB1, "", "i32x4.sub"),
    (0xFD, 0xB5, "", "i32x4.mul i32x4.min_s i32x4.min_u i32x4.max_s i32x4.max_u"),
    (0xFD, 0xBA, "", "i32x4.dot_i16x8_s"),
    (0xFD, 0xBC, "", "i32x4.extmul_low_i16x8_s i32x4.extmul_high_i16x8_s"),
    (0xFD, 0xBE, "", "i32x4.extmul_low_i16x8_u i32x4.extmul_high_i16x8_u"),
    (0xFD, 0xC0, "", "i64x2.abs i64x2.neg"),
    (0xFD, 0xC3, "", "i64x2.all_true i64x2.bitmask"),
    (0xFD, 0xC7, "", "i64x2.extend_low_i32x4_s i64x2.extend_high_i32x4_s"),
    (0xFD, 0xC9, "", "i64x2.extend_low_i32x4_u i64x2.extend_high_i32x4_u"),
    (0xFD, 0xCB, "", "i64x2.shl i64x2.shr_s i64x2.shr_u i64x2.add"),
    (0xFD, 0xD1, "", "i64x2.sub"),
    (0xFD, 0xD5, "", "i64x2.mul i64x2.eq i64x2.ne i64x2.lt_s i64x2.gt_s i64x2.le_s i64x2.ge_s"),
    (0xFD, 0xDC, "", "i64x2.extmul_low_i32x4_s i64x2.extmul_high_i32x4_s"),
    (0xFD, 0xDE, "", "i64x2.extmul_low_i32x4_u i64x2.extmul_high_i32x4_u"),
    (0xFD, 0xE0, "", "f32x4.abs f32x4.neg"),
    (0xFD, 0xE3, "", "f32x4.sqrt f32x4.add f32x4.sub f32x4.mul f32x4.div"),
    (0xFD, 0xE8, "", "f32x4.min f32x4.max f32x4.pmin f32x4.pmax"),
    (0xFD, 0xEC, "", "f64x2.abs f64x2.neg"),
    (0xFD, 0xEF, "", "f64x2.sqrt f64x2.add f64x2.sub f64x2.mul f64x2.div"),
    (0xFD, 0xF4, "", "f64x2.min f64x2.max f64x2.pmin f64x2.pmax"),
    (0xFD, 0xF8, "", "i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u"),
    (0xFD, 0xFA, "", "f32x4.convert_i32x4_s f32x4.convert_i32x4_u"),
    (0xFD, 0xFC, "", "i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero"),
    (0xFD, 0xFE, "", "f64x2.convert_low_i32x4_s f64x2.convert_low_i32x4_u"),
    (0xFD, 0x100, "", "i8x16.relaxed_swizzle"),
    (0xFD, 0x101, "", "i32x4.relaxed_trunc_f32x4_s i32x4.relaxed_trunc_f32x4_u"),
    (0xFD, 0x103, "", "i32x4.relaxed_trunc_f64x2_s_zero i32x4.relaxed_trunc_f64x2_u_zero"),
    (0xFD, 0x105, "", "f32x4.relaxed_madd f32x4.relaxed_nmadd"),
    (0xFD, 0x107, "", "f64x2.relaxed_madd f64x2.relaxed_nmadd"),
    (0xFD, 0x109, "", "i8x16.relaxed_laneselect i16x8.relaxed_laneselect"),
    (0xFD, 0x10B, "", "i32x4.relaxed_laneselect i64x2.relaxed_laneselect"),
    (0xFD, 0x10D, "", "f32x4.relaxed_min f32x4.relaxed_max f64x2.relaxed_min f64x2.relaxed_max"),
    (0xFD, 0x111, "", "i16x8.relaxed_q15mulr_s i16x8.relaxed_dot_i8x16_i7x16_s"),
    (0xFD, 0x113, "", "i32x4.relaxed_dot_i8x16_i7x16_add_s"),
)

_ATOMICS: tuple[_Row, ...] = (
    (0xFE, 0x00, "memarg", "memory.atomic.notify memory.atomic.wait32 memory.atomic.wait64"),
    (0xFE, 0x03, "ordering", "atomic.fence"),
    (0xFE, 0x04, "", "pause"),
    (0xFE, 0x10, "atomic", "i32.atomic.load i64.atomic.load"),
    (0xFE, 0x12, "atomic", "i32.atomic.load8_u i32.atomic.load16_u"),
    (0xFE, 0x14, "atomic", "i64.atomic.load8_u i64.atomic.load16_u i64.atomic.load32_u"),
    (0xFE, 0x17, "atomic", "i32.atomic.store i64.atomic.store"),
    (0xFE, 0x19, "atomic", "i32.atomic.store8 i32.atomic.store16"),
    (0xFE, 0x1B, "atomic", "i64.atomic.store8 i64.atomic.store16 i64.atomic.store32"),
    *(
        (
            0xFE,
            0x1E + 7 * i,
            "rmw",
            f"i32.atomic.rmw.{op} i64.atomic.rmw.{op} i32.atomic.rmw8.{op}_u "
            f"i32.atomic.rmw16.{op}_u i64.atomic.rmw8.{op}_u i64.atomic.rmw16.{op}_u "
            f"i64.atomic.rmw32.{op}_u",
        )
        for i, op in enumerate(("add", "sub", "and", "or", "xor", "xchg", "cmpxchg"))
    ),
    (0xFE, 0x4F, "ordering global", "global.atomic.get global.atomic.set"),
    (0xFE, 0x51, "ordering global", "global.atomic.rmw.add global.atomic.rmw.sub"),
    (0xFE, 0x53, "ordering global", "global.atomic.rmw.and global.atomic.rmw.or"),
    (0xFE, 0x55, "ordering global", "global.atomic.rmw.xor global.atomic.rmw.xchg"),
    (0xFE, 0x57, "ordering global", "global.atomic.rmw.cmpxchg"),
    (0xFE, 0x58, "ordering table", "table.atomic.get table.atomic.set"),
    (0xFE, 0x5A, "ordering table", "table.atomic.rmw.xchg table.atomic.rmw.cmpxchg"),
    (0xFE, 0x5C, "ordering type field", "struct.atomic.get struct.atomic.get_s"),
    (0xFE, 0x5E, "ordering type field", "struct.atomic.get_u struct.atomic.set"),
    (0xFE, 0x60, "ordering type field", "struct.atomic.rmw.add struct.atomic.rmw.sub"),
    (0xFE, 0x62, "ordering type field", "struct.atomic.rmw.and struct.atomic.rmw.or"),
    (0xFE, 0x64, "ordering type field", "struct.atomic.rmw.xor struct.atomic.rmw.xchg"),
    (0xFE, 0x66, "ordering type field", "struct.atomic.rmw.cmpxchg"),
    (0xFE, 0x67, "ordering type", "array.atomic.get array.atomic.get_s array.atomic.get_u"),
    (0xFE, 0x6A, "ordering type", "array.atomic.set array.atomic.rmw.add array.atomic.rmw.sub"),
    (0xFE, 0x6D, "ordering type", "array.atomic.rmw.and array.atomic.rmw.or"),
    (0xFE, 0x6F, "ordering type", "array.atomic.rmw.xor array.atomic.rmw.xchg"),
    (0xFE, 0x71, "ordering type", "array.atomic.rmw.cmpxchg"),
    (0xFE, 0x72, "", "ref.i31_shared"),
)

_ROWS = _CONTROL + _VARIABLES_AND_MEMORY + _NUMERIC + _GC + _BULK + _SIMD + _ATOMICS
_CLOSING = frozenset(("end", "delegate"))


def _expand(rows: tuple[_Row, ...]) -> Iterator[Opcode]:
    for prefix, first, kinds, mnemonics in rows:
        immediates = tuple(Imm(kind) for kind in kinds.split())
        opens = 1 if Imm.BLOCKTYPE in immediates else 0
        for code, mnemonic in enumerate(mnemonics.split(), first):
            nesting = -1 if mnemonic in _CLOSING else opens
            yield Opcode(prefix, code, mnemonic, immediates, nesting)


#: Every opcode, in the order of the table.
OPCODES: tuple[Opcode, ...] = tuple(_expand(_ROWS))

_BY_CODE = {(op.prefix, op.code): op for op in OPCODES}

#: The row of each one-byte opcode; None where there is none (prefix bytes among them).
PLAIN: tuple[Opcode | None, ...] = tuple(_BY_CODE.get((0, byte)) for byte in range(256))

#: For each prefix byte, the rows by the number that follows it.
PREFIXED: dict[int, dict[int, Opcode]] = {
    prefix: {op.code: op for op in OPCODES if op.prefix == prefix}
    for prefix in sorted({op.prefix for op in OPCODES if op.prefix})
}


def by_mnemonic(mnemonic: str) -> tuple[Opcode, ...]:
    """All rows of that name in the text format; empty when there is no such instruction."""
    return tuple(op for op in OPCODES if op.mnemonic == mnemonic)
