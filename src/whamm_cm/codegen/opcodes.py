"""The core instructions probes are made of (Core Specification, 5.4 "Instructions")."""

from __future__ import annotations

#: Instructions without immediates.
PLAIN: dict[str, bytes] = {
    name: bytes((code,))
    for name, code in {
        "unreachable": 0x00, "return": 0x0F, "drop": 0x1A, "select": 0x1B,
        "i32.eqz": 0x45, "i32.eq": 0x46, "i32.ne": 0x47, "i32.lt_u": 0x49, "i32.gt_u": 0x4B,
        "i32.le_u": 0x4D, "i32.ge_u": 0x4F,
        "i64.eqz": 0x50, "i64.eq": 0x51, "i64.ne": 0x52, "i64.lt_u": 0x54, "i64.gt_u": 0x56,
        "i64.le_u": 0x58, "i64.ge_u": 0x5A,
        "i32.add": 0x6A, "i32.sub": 0x6B, "i32.mul": 0x6C, "i32.div_u": 0x6E,
        "i32.and": 0x71, "i32.or": 0x72, "i32.xor": 0x73, "i32.shl": 0x74, "i32.shr_u": 0x76,
        "i64.add": 0x7C, "i64.sub": 0x7D, "i64.mul": 0x7E, "i64.div_u": 0x80,
        "i64.and": 0x83, "i64.or": 0x84, "i64.xor": 0x85, "i64.shl": 0x86, "i64.shr_u": 0x88,
        "i32.wrap_i64": 0xA7, "i64.extend_i32_u": 0xAD,
        "i32.reinterpret_f32": 0xBC, "i64.reinterpret_f64": 0xBD,
    }.items()
}  # fmt: skip

#: Instructions with a memory argument.
MEMORY: dict[str, bytes] = {
    name: bytes((code,))
    for name, code in {
        "i32.load": 0x28, "i64.load": 0x29, "f32.load": 0x2A, "f64.load": 0x2B,
        "i32.load8_u": 0x2D, "i32.load16_u": 0x2F, "i64.load32_u": 0x35,
        "i32.store": 0x36, "i64.store": 0x37, "f32.store": 0x38, "f64.store": 0x39,
        "i32.store8": 0x3A, "i32.store16": 0x3B,
        "i64.store8": 0x3C, "i64.store16": 0x3D, "i64.store32": 0x3E,
    }.items()
}  # fmt: skip

VALUE_TYPES: dict[str, int] = {"i32": 0x7F, "i64": 0x7E, "f32": 0x7D, "f64": 0x7C}
