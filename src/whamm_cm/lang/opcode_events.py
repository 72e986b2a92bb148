"""The events of package ``wasm:opcode`` as tables: their order, categories and bound variables.

A row is (category, variables, mnemonics).  Variables: ``arg0:u32`` with a type, ``arg0`` of unknown
type, ``argN`` any number of unknown type, ``read4@arg0`` and ``write4@arg1`` a memory access of
that many bytes whose address is that operand, ``+group`` a group of ``events.py``.  ``arg0`` is the
top of the stack, ``res0`` the last result.
"""

from __future__ import annotations

_ORDER = (
    "unreachable nop block loop if else try_table throw throw_ref end br br_if br_table return "
    "call call_indirect return_call return_call_indirect drop select typed_select local.get "
    "local.set local.tee global.get global.set i32.load i64.load f32.load f64.load i32.load8_s "
    "i32.load8_u i32.load16_s i32.load16_u i64.load8_s i64.load8_u i64.load16_s i64.load16_u "
    "i64.load32_s i64.load32_u i32.store i64.store f32.store f64.store i32.store8 i32.store16 "
    "i64.store8 i64.store16 i64.store32 memory.size memory.grow i32.const i64.const f32.const "
    "f64.const ref.null ref.is_null ref.func ref.eq i32.eqz i32.eq i32.ne i32.lt_s i32.lt_u "
    "i32.gt_s i32.gt_u i32.le_s i32.le_u i32.ge_s i32.ge_u i64.eqz i64.eq i64.ne i64.lt_s "
    "i64.lt_u i64.gt_s i64.gt_u i64.le_s i64.le_u i64.ge_s i64.ge_u f32.eq f32.ne f32.lt f32.gt "
    "f32.le f32.ge f64.eq f64.ne f64.lt f64.gt f64.le f64.ge i32.clz i32.ctz i32.popcnt i32.add "
    "i32.sub i32.mul i32.div_s i32.div_u i32.rem_s i32.rem_u i32.and i32.or i32.xor i32.shl "
    "i32.shr_s i32.shr_u i32.rotl i32.rotr i64.clz i64.ctz i64.popcnt i64.add i64.sub i64.mul "
    "i64.div_s i64.div_u i64.rem_s i64.rem_u i64.and i64.or i64.xor i64.shl i64.shr_s i64.shr_u "
    "i64.rotl i64.rotr f32.abs f32.neg f32.ceil f32.floor f32.trunc f32.nearest f32.sqrt "
    "f32.add f32.sub f32.mul f32.div f32.min f32.max f32.copysign f64.abs f64.neg f64.ceil "
    "f64.floor f64.trunc f64.nearest f64.sqrt f64.add f64.sub f64.mul f64.div f64.min f64.max "
    "f64.copysign i32.wrap_i64 i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u "
    "i64.extend_i32_s i64.extend_i32_u i64.trunc_f32_s i64.trunc_f32_u i64.trunc_f64_s "
    "i64.trunc_f64_u f32.convert_i32_s f32.convert_i32_u f32.convert_i64_s f32.convert_i64_u "
    "f32.demote_f64 f64.convert_i32_s f64.convert_i32_u f64.convert_i64_s f64.convert_i64_u "
    "f64.promote_f32 i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 "
    "f64.reinterpret_i64 i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s "
    "i64.extend32_s struct.new struct.new_default struct.get struct.get_s struct.get_u "
    "struct.set array.new array.new_default array.new_fixed array.new_data array.new_elem "
    "array.get array.get_s array.get_u array.set array.len array.fill array.copy "
    "array.init_data array.init_elem ref.test ref.test_null ref.cast ref.cast_null br_on_cast "
    "br_on_cast_fail any.convert_extern extern.convert_any ref.i31 i31.get_s i31.get_u "
    "i32.trunc_sat_f32_s i32.trunc_sat_f32_u i32.trunc_sat_f64_s i32.trunc_sat_f64_u "
    "i64.trunc_sat_f32_s i64.trunc_sat_f32_u i64.trunc_sat_f64_s i64.trunc_sat_f64_u "
    "memory.init memory.copy memory.fill data.drop elem.drop table.copy table.init table.fill "
    "table.get table.set table.grow table.size memory.atomic.notify memory.atomic.wait32 "
    "memory.atomic.wait64 atomic.fence i32.atomic.load i64.atomic.load i32.atomic.load8_u "
    "i32.atomic.load16_u i64.atomic.load8_u i64.atomic.load16_u i64.atomic.load32_u "
    "i32.atomic.store i32.atomic.store8 i32.atomic.store16 i64.atomic.store i64.atomic.store8 "
    "i64.atomic.store16 i64.atomic.store32 i32.atomic.rmw.add i32.atomic.rmw8.add_u "
    "i32.atomic.rmw16.add_u i64.atomic.rmw.add i64.atomic.rmw8.add_u i64.atomic.rmw16.add_u "
    "i64.atomic.rmw32.add_u i32.atomic.rmw.sub i32.atomic.rmw8.sub_u i32.atomic.rmw16.sub_u "
    "i64.atomic.rmw.sub i64.atomic.rmw8.sub_u i64.atomic.rmw16.sub_u i64.atomic.rmw32.sub_u "
    "i32.atomic.rmw.and i32.atomic.rmw8.and_u i32.atomic.rmw16.and_u i64.atomic.rmw.and "
    "i64.atomic.rmw8.and_u i64.atomic.rmw16.and_u i64.atomic.rmw32.and_u i32.atomic.rmw.or "
    "i32.atomic.rmw8.or_u i32.atomic.rmw16.or_u i64.atomic.rmw.or i64.atomic.rmw8.or_u "
    "i64.atomic.rmw16.or_u i64.atomic.rmw32.or_u i32.atomic.rmw.xor i32.atomic.rmw8.xor_u "
    "i32.atomic.rmw16.xor_u i64.atomic.rmw.xor i64.atomic.rmw8.xor_u i64.atomic.rmw16.xor_u "
    "i64.atomic.rmw32.xor_u i32.atomic.rmw.xchg i32.atomic.rmw8.xchg_u i32.atomic.rmw16.xchg_u "
    "i64.atomic.rmw.xchg i64.atomic.rmw8.xchg_u i64.atomic.rmw16.xchg_u i64.atomic.rmw32.xchg_u "
    "i32.atomic.rmw.cmpxchg i32.atomic.rmw8.cmpxchg_u i32.atomic.rmw16.cmpxchg_u "
    "i64.atomic.rmw.cmpxchg i64.atomic.rmw8.cmpxchg_u i64.atomic.rmw16.cmpxchg_u "
    "i64.atomic.rmw32.cmpxchg_u call_ref return_call_ref ref.as_non_null br_on_null "
    "br_on_non_null "
)

#: The order of whamm 1.0: expanded probes are numbered by it.
ORDER = tuple(_ORDER.split())

Row = tuple[str, str, str]

# fmt: off
ROWS: tuple[Row, ...] = (
    ("arith", "arg0:i32 res0:i32", "i32.clz i32.ctz i32.popcnt"),
    ("arith", "arg0:i32 arg1:i32 res0:i32",
     "i32.add i32.sub i32.mul i32.div_s i32.rem_s i32.and i32.or i32.xor i32.shl "
     "i32.shr_s i32.shr_u i32.rotl i32.rotr"),
    ("arith", "arg0:u32 arg1:u32 res0:i32", "i32.div_u i32.rem_u"),
    ("arith", "arg0:i64 res0:i64", "i64.clz i64.ctz i64.popcnt"),
    ("arith", "arg0:i64 arg1:i64 res0:i64",
     "i64.add i64.sub i64.mul i64.div_s i64.div_u i64.rem_s i64.rem_u i64.and i64.or "
     "i64.xor i64.shl i64.shr_s i64.shr_u i64.rotl i64.rotr"),
    ("arith", "arg0:f32 res0:f32",
     "f32.abs f32.neg f32.ceil f32.floor f32.trunc f32.nearest f32.sqrt"),
    ("arith", "arg0:f32 arg1:f32 res0:f32",
     "f32.add f32.sub f32.mul f32.div f32.min f32.max f32.copysign"),
    ("arith", "arg0:f64 res0:f64",
     "f64.abs f64.neg f64.ceil f64.floor f64.trunc f64.nearest f64.sqrt"),
    ("arith", "arg0:f64 arg1:f64 res0:f64",
     "f64.add f64.sub f64.mul f64.div f64.min f64.max f64.copysign"),
    ("atomic", "read4@arg1 arg0:i32 arg1:u32 res0:i32", "memory.atomic.notify"),
    ("atomic", "read4@arg2 arg0:i64 arg1:i32 arg2:u32 res0:i32", "memory.atomic.wait32"),
    ("atomic", "read8@arg2 arg0:i64 arg1:i64 arg2:u32 res0:i32", "memory.atomic.wait64"),
    ("atomic", "", "atomic.fence"),
    ("atomic", "read4@arg0 arg0:u32 res0:i32", "i32.atomic.load"),
    ("atomic", "read8@arg0 arg0:u32 res0:i64", "i64.atomic.load"),
    ("atomic", "read1@arg0 arg0:u32 res0:i32", "i32.atomic.load8_u"),
    ("atomic", "read2@arg0 arg0:u32 res0:i32", "i32.atomic.load16_u"),
    ("atomic", "read1@arg0 arg0:u32 res0:i64", "i64.atomic.load8_u"),
    ("atomic", "read2@arg0 arg0:u32 res0:i64", "i64.atomic.load16_u"),
    ("atomic", "read4@arg0 arg0:u32 res0:i64", "i64.atomic.load32_u"),
    ("atomic", "write4@arg1 arg0:i32 arg1:u32", "i32.atomic.store"),
    ("atomic", "write1@arg1 arg0:i32 arg1:u32", "i32.atomic.store8"),
    ("atomic", "write2@arg1 arg0:i32 arg1:u32", "i32.atomic.store16"),
    ("atomic", "write8@arg1 arg0:i64 arg1:u32", "i64.atomic.store"),
    ("atomic", "write1@arg1 arg0:i64 arg1:u32", "i64.atomic.store8"),
    ("atomic", "write2@arg1 arg0:i64 arg1:u32", "i64.atomic.store16"),
    ("atomic", "write4@arg1 arg0:i64 arg1:u32", "i64.atomic.store32"),
    ("atomic", "write4@arg1 arg0:i32 arg1:u32 res0:i32",
     "i32.atomic.rmw.add i32.atomic.rmw.sub i32.atomic.rmw.and i32.atomic.rmw.or "
     "i32.atomic.rmw.xor i32.atomic.rmw.xchg"),
    ("atomic", "write1@arg1 arg0:i32 arg1:u32 res0:i32",
     "i32.atomic.rmw8.add_u i32.atomic.rmw8.sub_u i32.atomic.rmw8.and_u "
     "i32.atomic.rmw8.or_u i32.atomic.rmw8.xor_u i32.atomic.rmw8.xchg_u"),
    ("atomic", "write2@arg1 arg0:i32 arg1:u32 res0:i32",
     "i32.atomic.rmw16.add_u i32.atomic.rmw16.sub_u i32.atomic.rmw16.and_u "
     "i32.atomic.rmw16.or_u i32.atomic.rmw16.xor_u i32.atomic.rmw16.xchg_u"),
    ("atomic", "write8@arg1 arg0:i64 arg1:u32 res0:i64",
     "i64.atomic.rmw.add i64.atomic.rmw.sub i64.atomic.rmw.and i64.atomic.rmw.or "
     "i64.atomic.rmw.xor i64.atomic.rmw.xchg"),
    ("atomic", "write1@arg1 arg0:i64 arg1:u32 res0:i64",
     "i64.atomic.rmw8.add_u i64.atomic.rmw8.sub_u i64.atomic.rmw8.and_u "
     "i64.atomic.rmw8.or_u i64.atomic.rmw8.xor_u i64.atomic.rmw8.xchg_u"),
    ("atomic", "write2@arg1 arg0:i64 arg1:u32 res0:i64",
     "i64.atomic.rmw16.add_u i64.atomic.rmw16.sub_u i64.atomic.rmw16.and_u "
     "i64.atomic.rmw16.or_u i64.atomic.rmw16.xor_u i64.atomic.rmw16.xchg_u"),
    ("atomic", "write4@arg1 arg0:i64 arg1:u32 res0:i64",
     "i64.atomic.rmw32.add_u i64.atomic.rmw32.sub_u i64.atomic.rmw32.and_u "
     "i64.atomic.rmw32.or_u i64.atomic.rmw32.xor_u i64.atomic.rmw32.xchg_u"),
    ("atomic", "write4@arg2 arg0:i32 arg1 arg2:u32 res0:i32", "i32.atomic.rmw.cmpxchg"),
    ("atomic", "write1@arg2 arg0:i32 arg1 arg2:u32 res0:i32", "i32.atomic.rmw8.cmpxchg_u"),
    ("atomic", "write2@arg2 arg0:i32 arg1 arg2:u32 res0:i32", "i32.atomic.rmw16.cmpxchg_u"),
    ("atomic", "write8@arg2 arg0:i64 arg1 arg2:u32 res0:i64", "i64.atomic.rmw.cmpxchg"),
    ("atomic", "write1@arg2 arg0:i64 arg1 arg2:u32 res0:i64", "i64.atomic.rmw8.cmpxchg_u"),
    ("atomic", "write2@arg2 arg0:i64 arg1 arg2:u32 res0:i64", "i64.atomic.rmw16.cmpxchg_u"),
    ("atomic", "write4@arg2 arg0:i64 arg1 arg2:u32 res0:i64", "i64.atomic.rmw32.cmpxchg_u"),
    ("compare", "arg0:i32 res0:i32", "i32.eqz"),
    ("compare", "arg0:i32 arg1:i32 res0:i32",
     "i32.eq i32.ne i32.lt_s i32.gt_s i32.le_s i32.ge_s"),
    ("compare", "arg0:u32 arg1:u32 res0:i32", "i32.lt_u i32.gt_u i32.le_u i32.ge_u"),
    ("compare", "arg0:i64 res0:i32", "i64.eqz"),
    ("compare", "arg0:i64 arg1:i64 res0:i32",
     "i64.eq i64.ne i64.lt_s i64.gt_s i64.le_s i64.ge_s"),
    ("compare", "arg0:u64 arg1:u64 res0:i32", "i64.lt_u i64.gt_u i64.le_u i64.ge_u"),
    ("compare", "arg0:f32 arg1:f32 res0:i32", "f32.eq f32.ne f32.lt f32.gt f32.le f32.ge"),
    ("compare", "arg0:f64 arg1:f64 res0:i32", "f64.eq f64.ne f64.lt f64.gt f64.le f64.ge"),
    ("const", "imm0:i32 res0:i32", "i32.const"),
    ("const", "imm0:i64 res0:i64", "i64.const"),
    ("const", "imm0:f32 res0:f32", "f32.const"),
    ("const", "imm0:f64 res0:f64", "f64.const"),
    ("control", "argN", "block loop br_on_null"),
    ("control", "arg0:u32", "if"),
    ("control", "", "else end return"),
    ("control", "imm0:u32", "br"),
    ("control", "arg0:u32 imm0:u32", "br_if"),
    ("control", "arg0:u32 immN:u32 +targets", "br_table"),
    ("control", "argN imm0:u32 resN +callee", "call"),
    ("control", "arg0:i32 argN imm0:u32 imm1:u32 resN +table_entry",
     "call_indirect return_call_indirect"),
    ("control", "argN imm0:u32 +callee", "return_call"),
    ("control", "argN resN", "select typed_select"),
    ("control", "imm0:u32 imm1 imm2 argN", "br_on_cast br_on_cast_fail"),
    ("control", "imm0:u32 argN +lookback resN", "call_ref"),
    ("control", "imm0:u32 argN +lookback", "return_call_ref"),
    ("control", "imm0:u32 argN", "br_on_non_null"),
    ("convert", "arg0:i64 res0:i32", "i32.wrap_i64"),
    ("convert", "arg0:f32 res0:i32",
     "i32.trunc_f32_s i32.trunc_f32_u i32.reinterpret_f32 i32.trunc_sat_f32_s "
     "i32.trunc_sat_f32_u"),
    ("convert", "arg0:f64 res0:i32",
     "i32.trunc_f64_s i32.trunc_f64_u i32.trunc_sat_f64_s i32.trunc_sat_f64_u"),
    ("convert", "arg0:i32 res0:i64", "i64.extend_i32_s"),
    ("convert", "arg0:u32 res0:i64", "i64.extend_i32_u"),
    ("convert", "arg0:f32 res0:i64",
     "i64.trunc_f32_s i64.trunc_f32_u i64.trunc_sat_f32_s i64.trunc_sat_f32_u"),
    ("convert", "arg0:f64 res0:i64",
     "i64.trunc_f64_s i64.trunc_f64_u i64.reinterpret_f64 i64.trunc_sat_f64_s "
     "i64.trunc_sat_f64_u"),
    ("convert", "arg0:i32 res0:f32", "f32.convert_i32_s f32.reinterpret_i32"),
    ("convert", "arg0:u32 res0:f32", "f32.convert_i32_u"),
    ("convert", "arg0:i64 res0:f32", "f32.convert_i64_s"),
    ("convert", "arg0:u64 res0:f32", "f32.convert_i64_u"),
    ("convert", "arg0:f64 res0:f32", "f32.demote_f64"),
    ("convert", "arg0:i32 res0:f64", "f64.convert_i32_s"),
    ("convert", "arg0:u32 res0:f64", "f64.convert_i32_u"),
    ("convert", "arg0:i64 res0:f64", "f64.convert_i64_s f64.reinterpret_i64"),
    ("convert", "arg0:u64 res0:f64", "f64.convert_i64_u"),
    ("convert", "arg0:f32 res0:f64", "f64.promote_f32"),
    ("convert", "arg0:i32 res0:i32", "i32.extend8_s i32.extend16_s"),
    ("convert", "arg0:i64 res0:i64", "i64.extend8_s i64.extend16_s i64.extend32_s"),
    ("convert", "argN", "ref.as_non_null"),
    ("exn", "argN imm0:u32", "throw"),
    ("exn", "argN", "throw_ref"),
    ("gc", "resN", "ref.null"),
    ("gc", "argN res0:i32", "ref.is_null ref.eq i31.get_s i31.get_u"),
    ("gc", "imm0:u32 +own_fid resN", "ref.func"),
    ("gc", "imm0:u32 argN +tid resN", "struct.new array.get array.get_s array.get_u"),
    ("gc", "imm0:u32 +tid resN", "struct.new_default"),
    ("gc", "imm0:u32 imm1:u32 argN +tid +field resN", "struct.get struct.get_s struct.get_u"),
    ("gc", "imm0:u32 imm1:u32 argN +tid +field", "struct.set"),
    ("gc", "imm0:u32 arg0:u32 argN +tid resN", "array.new"),
    ("gc", "imm0:u32 arg0:u32 +tid resN", "array.new_default"),
    ("gc", "imm0:u32 imm1:u32 argN +tid resN", "array.new_fixed"),
    ("gc", "imm0:u32 imm1:u32 arg0:i32 arg1:i32 +tid resN", "array.new_data array.new_elem"),
    ("gc", "imm0:u32 argN +tid", "array.set array.fill"),
    ("gc", "imm0:u32 argN +tid res0:i32", "array.len"),
    ("gc", "imm0:u32 imm1:u32 argN +tid", "array.copy array.init_data array.init_elem"),
    ("gc", "immN argN res0:i32", "ref.test ref.test_null"),
    ("gc", "immN argN resN", "ref.cast ref.cast_null"),
    ("gc", "argN resN", "any.convert_extern extern.convert_any"),
    ("gc", "arg0:i32 resN", "ref.i31"),
    ("global", "imm0:u32 resN", "global.get"),
    ("global", "arg0 imm0:u32", "global.set"),
    ("load", "read4@arg0 arg0:u32 res0:i32", "i32.load"),
    ("load", "read8@arg0 arg0:u32 res0:i64", "i64.load"),
    ("load", "read4@arg0 arg0:u32 res0:f32", "f32.load"),
    ("load", "read8@arg0 arg0:u32 res0:f64", "f64.load"),
    ("load", "read1@arg0 arg0:u32 res0:i32", "i32.load8_s i32.load8_u"),
    ("load", "read2@arg0 arg0:u32 res0:i32", "i32.load16_s i32.load16_u"),
    ("load", "read1@arg0 arg0:u32 res0:i64", "i64.load8_s i64.load8_u"),
    ("load", "read2@arg0 arg0:u32 res0:i64", "i64.load16_s i64.load16_u"),
    ("load", "read4@arg0 arg0:u32 res0:i64", "i64.load32_s i64.load32_u"),
    ("local", "imm0:u32 resN", "local.get"),
    ("local", "arg0 imm0:u32", "local.set"),
    ("local", "arg0 imm0:u32 resN", "local.tee"),
    ("memory", "imm0:u32 res0:i32", "memory.size"),
    ("memory", "arg0:u32 imm0:u32 res0:i32 +failed", "memory.grow"),
    ("memory", "imm0:u32 imm1:u32 arg0:i32 arg1:i32 arg2:i32 +dup",
     "memory.init memory.copy"),
    ("memory", "imm0:u32 arg0:i32 arg1:i32 arg2:i32 +dup", "memory.fill"),
    ("memory", "imm0:u32", "data.drop"),
    ("misc", "", "unreachable nop"),
    ("misc", "argN", "drop"),
    ("store", "write4@arg1 arg0:i32 arg1:u32", "i32.store"),
    ("store", "write8@arg1 arg0:i64 arg1:u32", "i64.store"),
    ("store", "write4@arg1 arg0:f32 arg1:u32", "f32.store"),
    ("store", "write8@arg1 arg0:f64 arg1:u32", "f64.store"),
    ("store", "write1@arg1 arg0:i32 arg1:u32", "i32.store8"),
    ("store", "write2@arg1 arg0:i32 arg1:u32", "i32.store16"),
    ("store", "write1@arg1 arg0:i64 arg1:u32", "i64.store8"),
    ("store", "write2@arg1 arg0:i64 arg1:u32", "i64.store16"),
    ("store", "write4@arg1 arg0:i64 arg1:u32", "i64.store32"),
    ("table", "", "try_table"),
    ("table", "imm0:u32", "elem.drop"),
    ("table", "imm0:u32 imm1:u32 arg0:i32 arg1:i32 arg2:i32", "table.copy table.init"),
    ("table", "imm0:u32 argN", "table.fill"),
    ("table", "imm0:u32 arg0:i32 +table_entry resN", "table.get"),
    ("table", "imm0:u32 argN +lookback", "table.set"),
    ("table", "imm0:u32 argN res0:i32", "table.grow"),
    ("table", "imm0:u32 res0:i32", "table.size"),
)

#: Opcodes that whamm 1.0 has no events for; numbered after all others.
MORE_ROWS: tuple[Row, ...] = (
    ("exn", "", "try catch_all"),
    ("exn", "imm0:u32", "catch rethrow delegate"),
    ("control", "imm0:u32 argN resN", "cont.new cont.bind suspend resume switch"),
    ("control", "imm0:u32 argN", "resume_throw resume_throw_ref"),
    ("control", "imm0:u32 argN", "br_on_cast_desc_eq br_on_cast_desc_eq_fail"),
    ("gc", "imm0:u32 argN +tid resN", "struct.new_desc struct.new_default_desc ref.get_desc"),
    ("gc", "argN resN", "ref.cast_desc_eq ref.cast_desc_eq_null ref.i31_shared"),
    ("memory", "imm0:u32 argN", "memory.discard"),
    ("arith", "arg0:i64 arg1:i64 arg2:i64 arg3:i64 res0:i64 res1:i64", "i64.add128 i64.sub128"),
    ("arith", "arg0:i64 arg1:i64 res0:i64 res1:i64", "i64.mul_wide_s i64.mul_wide_u"),
)
# fmt: on
