"""The core instructions probes are made of (Core Specification, 5.4 "Instructions")."""

from __future__ import annotations

#: Instructions without immediates.
PLAIN: dict[str, bytes] = {
    name: bytes((code,))
    for name, code in {
        "unreachable": 0x00, "return": 0x0F, "drop": 0x1A, "select": 0x1B,
        "i32.eqz": 0x45, "i32.eq": 0x46, "i32.ne": 0x47, "i32.lt_s": 0x48, "i32.lt_u": 0x49,
        "i32.gt_s": 0x4A, "i32.gt_u": 0x4B, "i32.le_s": 0x4C, "i32.le_u": 0x4D,
        "i32.ge_s": 0x4E, "i32.ge_u": 0x4F,
        "i64.eqz": 0x50, "i64.eq": 0x51, "i64.ne": 0x52, "i64.lt_s": 0x53, "i64.lt_u": 0x54,
        "i64.gt_s": 0x55, "i64.gt_u": 0x56, "i64.le_s": 0x57, "i64.le_u": 0x58,
        "i64.ge_s": 0x59, "i64.ge_u": 0x5A,
        "f32.eq": 0x5B, "f32.ne": 0x5C, "f32.lt": 0x5D, "f32.gt": 0x5E, "f32.le": 0x5F,
        "f32.ge": 0x60, "f64.eq": 0x61, "f64.ne": 0x62, "f64.lt": 0x63, "f64.gt": 0x64,
        "f64.le": 0x65, "f64.ge": 0x66,
        "i32.add": 0x6A, "i32.sub": 0x6B, "i32.mul": 0x6C, "i32.div_s": 0x6D, "i32.div_u": 0x6E,
        "i32.rem_s": 0x6F, "i32.rem_u": 0x70, "i32.and": 0x71, "i32.or": 0x72, "i32.xor": 0x73,
        "i32.shl": 0x74, "i32.shr_s": 0x75, "i32.shr_u": 0x76,
        "i64.add": 0x7C, "i64.sub": 0x7D, "i64.mul": 0x7E, "i64.div_s": 0x7F, "i64.div_u": 0x80,
        "i64.rem_s": 0x81, "i64.rem_u": 0x82, "i64.and": 0x83, "i64.or": 0x84, "i64.xor": 0x85,
        "i64.shl": 0x86, "i64.shr_s": 0x87, "i64.shr_u": 0x88,
        "f32.neg": 0x8C, "f32.floor": 0x8E, "f32.add": 0x92, "f32.sub": 0x93, "f32.mul": 0x94,
        "f32.div": 0x95, "f32.copysign": 0x98,
        "f64.neg": 0x9A, "f64.floor": 0x9C, "f64.add": 0xA0, "f64.sub": 0xA1, "f64.mul": 0xA2,
        "f64.div": 0xA3, "f64.copysign": 0xA6,
        "i32.wrap_i64": 0xA7, "i64.extend_i32_s": 0xAC, "i64.extend_i32_u": 0xAD,
        "f32.convert_i32_s": 0xB2, "f32.convert_i32_u": 0xB3, "f32.convert_i64_s": 0xB4,
        "f32.convert_i64_u": 0xB5, "f32.demote_f64": 0xB6, "f64.convert_i32_s": 0xB7,
        "f64.convert_i32_u": 0xB8, "f64.convert_i64_s": 0xB9, "f64.convert_i64_u": 0xBA,
        "f64.promote_f32": 0xBB,
        "i32.reinterpret_f32": 0xBC, "i64.reinterpret_f64": 0xBD, "f32.reinterpret_i32": 0xBE,
        "f64.reinterpret_i64": 0xBF, "i32.extend8_s": 0xC0, "i32.extend16_s": 0xC1,
    }.items()
} | {
    f"{to}.trunc_sat_{source}_{sign}": bytes((0xFC, code))
    for code, (to, source, sign) in enumerate(
        (to, source, sign) for to in ("i32", "i64") for source in ("f32", "f64") for sign in "su"
    )
}  # fmt: skip

#: Instructions with a memory argument.
MEMORY: dict[str, bytes] = {
    name: bytes((code,))
    for name, code in {
        "i32.load": 0x28, "i64.load": 0x29, "f32.load": 0x2A, "f64.load": 0x2B,
        "i32.load8_s": 0x2C, "i32.load8_u": 0x2D, "i32.load16_s": 0x2E, "i32.load16_u": 0x2F,
        "i64.load32_u": 0x35,
        "i32.store": 0x36, "i64.store": 0x37, "f32.store": 0x38, "f64.store": 0x39,
        "i32.store8": 0x3A, "i32.store16": 0x3B,
        "i64.store8": 0x3C, "i64.store16": 0x3D, "i64.store32": 0x3E,
    }.items()
}  # fmt: skip

VALUE_TYPES: dict[str, int] = {
    "i32": 0x7F, "i64": 0x7E, "f32": 0x7D, "f64": 0x7C, "funcref": 0x70,
}  # fmt: skip
