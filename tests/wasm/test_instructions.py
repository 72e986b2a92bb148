"""Every opcode of the table, assembled by wasmtime's text parser, is found where it stands."""

from __future__ import annotations

import re
import shutil
import subprocess

import wasmtime
from pytest import mark, raises, skip

from tests.wasm.core_samples import end_of
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.immediates import read_immediates
from whamm_cm.wasm.instructions import scan
from whamm_cm.wasm.leb import unsigned
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.opcodes import OPCODES, PLAIN, PREFIXED, Imm, Opcode, by_mnemonic
from whamm_cm.wasm.renumber import Moved, Renumbering

# Text of one immediate of each kind.  300 takes two LEB128 bytes, 128 is where signs go wrong.
TEXT = {
    Imm.TYPE: "300", Imm.FUNC: "300", Imm.TABLE: "1", Imm.MEMORY: "1", Imm.GLOBAL: "300",
    Imm.TAG: "1", Imm.ELEM: "1", Imm.DATA: "300", Imm.LOCAL: "300", Imm.LABEL: "0",
    Imm.FIELD: "0", Imm.COUNT: "3", Imm.BLOCKTYPE: "(result i32)",
    Imm.HEAPTYPE: "func", Imm.VALTYPES: "(result (ref null extern))", Imm.LABELS: "0 0 0 300",
    Imm.MEMARG: "1 offset=4294967295", Imm.I32: "-128", Imm.I64: "-9223372036854775808",
    Imm.F32: "0x1.8p1", Imm.F64: "nan:0x4000000000001", Imm.V128: "i32x4 11 11 11 11",
    Imm.ATOMIC: "1 offset=4294967295", Imm.RMW: "1 offset=4294967295",
    Imm.LANE: "1", Imm.LANES: "11 " * 16, Imm.ORDERING: "acqrel",
    Imm.HANDLERS: "(on 300 9) (on 300 switch)",
    Imm.CATCHES: "(catch 300 9) (catch_ref 300 9) (catch_all 9) (catch_all_ref 9)",
}  # fmt: skip

# Instructions whose text needs more than their immediates in order: by (prefix, code).
SPECIAL = {
    (0, 0x04): "if (result i32) end",
    (0, 0x05): "if else end",
    (0, 0x06): "try (result i32) end",
    (0, 0x07): "try catch 300 end",
    (0, 0x0B): "block end",
    (0, 0x11): "call_indirect 1 (type 0)",
    (0, 0x13): "return_call_indirect 1 (type 0)",
    (0, 0x18): "try delegate 0",
    (0, 0x19): "try catch_all end",
    (0xFB, 0x14): "ref.test (ref func)",
    (0xFB, 0x15): "ref.test (ref null 300)",
    (0xFB, 0x16): "ref.cast (ref func)",
    (0xFB, 0x17): "ref.cast (ref null 300)",
    (0xFB, 0x18): "br_on_cast 0 (ref null any) (ref 300)",
    (0xFB, 0x19): "br_on_cast_fail 0 (ref null any) (ref null (shared eq))",
    (0xFB, 0x23): "ref.cast_desc_eq (ref (exact 300))",
    (0xFB, 0x24): "ref.cast_desc_eq (ref null 300)",
    (0xFB, 0x25): "br_on_cast_desc_eq 0 (ref null any) (ref 300)",
    (0xFB, 0x26): "br_on_cast_desc_eq_fail 0 (ref null any) (ref 300)",
    (0xFC, 0x08): "memory.init 1 300",
    (0xFC, 0x0C): "table.init 1 300",
    (0xFE, 0x03): "atomic.fence",
}
#: wasmtime's text parser does not know them.
TEXTLESS = {(0xFE, 0x04)}
WITH_TEXT = [row for row in OPCODES if (row.prefix, row.code) not in TEXTLESS]


def text_of(row: Opcode) -> str:
    special = SPECIAL.get((row.prefix, row.code))
    if special is not None:
        return special
    text = " ".join([row.mnemonic, *(TEXT[kind] for kind in row.immediates)])
    return text + " end" if row.nesting > 0 else text


def bodies_of(text: str) -> CoreModule:
    return CoreModule(bytes(wasmtime.wat2wasm(f"(module (type (func)) (func {text}))")))


@mark.parametrize("row", WITH_TEXT, ids=lambda row: f"{row.prefix:x}-{row.code:x}-{row.mnemonic}")
def test_each_opcode_is_scanned(row: Opcode) -> None:
    # i32.const 11 is "end" as an opcode: a wrong length shows up as a wrong number of instructions.
    module = bodies_of(f"i32.const 11 {text_of(row)} i32.const 11")
    found = list(module.instructions(0))
    body = module.bodies[0]
    opcodes = [op for _, op, _ in found]
    assert row in opcodes
    words = re.sub(r"\([^()]*\)", "", re.sub(r"\([^()]*\)", "", text_of(row))).split()
    expected = [word for word in words if by_mnemonic(word)]
    assert [op.mnemonic for op in opcodes] == ["i32.const", *expected, "i32.const", "end"]
    ends = [body.code, *(end for _, _, end in found)]
    assert [at for at, _, _ in found] == ends[:-1] and ends[-1] == body.end
    assert end_of(module.data, body.code, body.end) == body.end


# Each index space has one thing named $x, at an index of its own: the index that is assembled for
# $x tells which space the immediate is in.
INDEX = {
    Imm.LABEL: 2, Imm.TYPE: 3, Imm.FUNC: 4, Imm.TABLE: 5, Imm.MEMORY: 6, Imm.GLOBAL: 7, Imm.TAG: 8,
    Imm.ELEM: 9, Imm.DATA: 10, Imm.LOCAL: 11, Imm.FIELD: 12,
}  # fmt: skip
KINDS = {*INDEX, Imm.ORDERING}
NAMED = [row for row in OPCODES if set(row.immediates) <= KINDS and set(row.immediates) & {*INDEX}]
# delegate's label is counted from outside of the try.
NAMED_SPECIAL = {
    "catch": "try catch $x end",
    "delegate": "try delegate $x",
    "call_indirect": "call_indirect $x (type $x)",
    "return_call_indirect": "return_call_indirect $x (type $x)",
    "memory.init": "memory.init $x $x",
    "table.init": "table.init $x $x",
}


def named_module(instruction: str) -> CoreModule:
    def space(kind: Imm, one: str, named: str) -> str:
        return one * INDEX[kind] + named

    fields = space(Imm.FIELD, "(field i32)", "(field $x i32)")
    parts = [
        space(Imm.TYPE, "(type (func))", f"(type $x (struct {fields}))"),
        space(Imm.TABLE, "(table 0 funcref)", "(table $x 0 funcref)"),
        space(Imm.MEMORY, "(memory 0)", "(memory $x 0)"),
        space(Imm.TAG, "(tag)", "(tag $x)"),
        space(Imm.GLOBAL, "(global i32 i32.const 0)", "(global $x i32 i32.const 0)"),
        space(Imm.ELEM, "(elem func)", "(elem $x func)"),
        space(Imm.DATA, '(data "")', '(data $x "")'),
        space(Imm.FUNC, "(func)", "(func $x"),
        space(Imm.LOCAL, "(local i32)", "(local $x i32)"),
        f"block $x block block {instruction} end end end)",
    ]
    return CoreModule(bytes(wasmtime.wat2wasm(f"(module {' '.join(parts)})")))


@mark.parametrize("row", NAMED, ids=lambda row: row.mnemonic)
def test_index_immediates_are_in_the_spaces_the_table_says(row: Opcode) -> None:
    words = ("acqrel" if kind is Imm.ORDERING else "$x" for kind in row.immediates)
    plain_text = " ".join([row.mnemonic, *words])
    module = named_module(NAMED_SPECIAL.get(row.mnemonic, plain_text))
    scanned = module.instructions(INDEX[Imm.FUNC])
    ((at, end),) = [(at, end) for at, op, end in scanned if op is row]
    indices = bytes(INDEX.get(kind, 1) for kind in row.immediates)  # 1: acqrel
    assert bytes(module.data[at:end]).endswith(indices)
    assert end - at == len(indices) + (2 if row.prefix else 1)


def test_table_has_no_two_rows_for_one_code() -> None:
    assert len({(op.prefix, op.code) for op in OPCODES}) == len(OPCODES)
    assert sum(row is not None for row in PLAIN) + sum(map(len, PREFIXED.values())) == len(OPCODES)
    assert not any(PLAIN[prefix] for prefix in PREFIXED)


def test_by_mnemonic_gives_every_encoding() -> None:
    assert [op.code for op in by_mnemonic("select")] == [0x1B, 0x1C]
    assert by_mnemonic("i32.nonsense") == ()


def test_an_expression_ends_after_the_matching_end() -> None:
    block = bytes.fromhex("02 40 03 40 0b 04 7f 05 0b 0b 41 0b 0b ff".replace(" ", ""))
    assert end_of(block, 0, len(block)) == len(block) - 1


def test_delegate_closes_a_try() -> None:
    code = bytes.fromhex("0640 18000b")  # try, delegate 0, end
    assert end_of(code, 0, len(code)) == len(code)


def test_deep_nesting_is_no_problem() -> None:
    code = b"\x02\x40" * 100_000 + b"\x0b" * 100_001
    assert end_of(code, 0, len(code)) == len(code)


BAD = [
    ("27", "unknown opcode 0x27", 0),
    ("01 ff", "unknown opcode 0xff", 1),
    ("01 fc 17", "unknown opcode 0xfc 0x17", 1),
    ("fd 94 02", "unknown opcode 0xfd 0x114", 0),
    ("fb 1f", "unknown opcode 0xfb 0x1f", 0),
    ("fe 05", "unknown opcode 0xfe 0x05", 0),
    ("fc", "unexpected end, expected an opcode", 1),
    ("41", "unexpected end, expected an i32", 1),
    ("41 ff ff ff ff 17", "an i32 does not fit in 32 bits", 1),
    ("41 80 80 80 80 80 00", "an i32 takes too many bytes for 32 bits", 1),
    ("20 ff ff ff ff 1f", "a u32 does not fit in 32 bits", 1),
    ("44 00 00 00", "f64 constant of 8 bytes runs past the end (3 bytes left)", 1),
    ("0e 05 00 00", "5 label announced, 2 bytes left", 1),
    ("28 22 01 08", "unknown memory argument flags 0x22 (multibyte array access)", 1),
    ("fe 10 62 02 01 08", "unknown memory argument flags 0x62 (multibyte array access)", 2),
    ("28 12 01 08", "memory argument flags 0x12 of an instruction without order", 1),
    ("fe 00 12 01 08", "memory argument flags 0x12 of an instruction without order", 2),
    ("fe 10 12 02 08", "memory ordering is 0x02", 3),
    ("fe 10 52 02 11 08", "memory ordering is 0x11", 4),
    ("fe 1e 12 01 08", "memory ordering is 0x01", 3),
    ("fe 10 12", "unexpected end, expected a memory ordering", 3),
    ("28 80 01 00", "unknown memory argument flags 0x80", 1),
    ("02 7a", "unknown value type 0x7a", 1),
    ("02 ff 7f", "negative type index", 1),
    ("d0 40", "unknown heap type 0x40", 1),
    ("1f 40 01 04 00", "unknown catch clause 0x04", 3),
    ("e3 00 01 02 00", "unknown on clause 0x02", 3),
    ("fb 18 04 00 6e 6e", "cast flags is 0x04", 2),
    ("fe 03 02", "memory ordering is 0x02", 2),
]


@mark.parametrize(("code", "message", "at"), BAD)
def test_malformed_code_is_refused_where_it_is(code: str, message: str, at: int) -> None:
    data = bytes.fromhex("0b0b" + code.replace(" ", ""))
    with raises(DecodeError) as caught:
        list(scan(data, 2, len(data), offset=1000, path="module[1].code[7]"))
    fault = caught.value
    assert (fault.message, fault.offset, fault.path) == (message, 1002 + at, "module[1].code[7]")


#: Instructions with an ordering and what they are: mnemonic, align, offset, memory, ordering.
ORDERED = [
    ("fe 10 52 02 01 08", "i32.atomic.load", (2, 8, 2, 1)),
    ("fe 10 12 01 08", "i32.atomic.load", (2, 8, 0, 1)),
    ("fe 10 12 00 08", "i32.atomic.load", (2, 8, 0, 0)),
    ("fe 10 92 00 01 08", "i32.atomic.load", (2, 8, 0, 1)),
    ("fe 10 02 08", "i32.atomic.load", (2, 8, 0, None)),
    ("fe 17 12 01 08", "i32.atomic.store", (2, 8, 0, 1)),
    ("fe 1e 12 11 08", "i32.atomic.rmw.add", (2, 8, 0, 0x11)),
    ("fe 49 53 01 11 08", "i64.atomic.rmw.cmpxchg", (3, 8, 1, 0x11)),
    ("fe 1e 52 02 00 08", "i32.atomic.rmw.add", (2, 8, 2, 0)),
    ("fe 03 00", "atomic.fence", 0),
    ("fe 03 01", "atomic.fence", 1),
    ("fe 04", "pause", None),
]


@mark.parametrize(("code", "mnemonic", "value"), ORDERED)
def test_acquire_release_atomics(code: str, mnemonic: str, value: object) -> None:
    data = bytes.fromhex("01" + code.replace(" ", "") + "0b")
    found = list(scan(data, 0, len(data)))
    assert [(at, op.mnemonic) for at, op, _ in found] == [
        (0, "nop"), (1, mnemonic), (len(data) - 1, "end"),
    ]  # fmt: skip
    read = read_immediates(Cursor(data, 1, len(data)), found[1][1])
    assert read == (() if value is None else (value,))


def module_of(code: bytes) -> bytes:
    """A module with two types, three shared memories and a function of that code."""
    body = b"\0" + code + b"\x0b"
    sections = (
        (1, b"\2\x60\0\0\x60\0\0"), (3, b"\1\0"), (5, b"\3" + b"\3\1\1" * 3),
        (10, b"\1" + unsigned(len(body)) + body),
    )  # fmt: skip
    parts = [bytes((number,)) + unsigned(len(part)) + part for number, part in sections]
    return b"\0asm\1\0\0\0" + b"".join(parts)


@mark.oracle
@mark.skipif(not shutil.which("wasm-tools"), reason="needs wasm-tools")
def test_orderings_are_those_of_wasm_tools() -> None:
    orders = {0: " seqcst", 1: " acqrel", 0x11: " acqrel", None: ""}
    wants = []
    for _, mnemonic, value in ORDERED:
        if isinstance(value, tuple):
            memory = f" {value[2]}" if value[2] else ""
            wants.append(f"{mnemonic}{memory} offset={value[1]}{orders[value[3]]}")
        else:
            wants.append(mnemonic + (" acqrel" if value == 1 else ""))
    code = b"".join(bytes.fromhex(one.replace(" ", "")) for one, _, _ in ORDERED)
    pause = subprocess.run(
        ["wasm-tools", "print"], input=module_of(b"\xfe\x04"), capture_output=True
    )
    if pause.returncode:
        skip("this wasm-tools has no acquire-release atomics yet")
    ran = subprocess.run(["wasm-tools", "print"], input=module_of(code), capture_output=True)
    lines = [line.strip() for line in ran.stdout.decode().splitlines()]
    assert [
        line for line in lines if line.split(" ")[0] in {w.split(" ")[0] for w in wants}
    ] == wants


def test_renumbering_memories_keeps_orderings() -> None:
    code = bytes.fromhex(
        "fe10520201 08 fe10 1201 08 fe1e 12 11 08 fe10 02 08 28 02 08".replace(" ", "")
    )
    moved = Renumbering({Imm.MEMORY: Moved((1, 0, 5))}).code(code, 0, len(code))
    assert bytes(moved) == bytes.fromhex(
        "fe10520501 08 fe10 520101 08 fe1e 520111 08 fe10 4201 08 28 4201 08".replace(" ", "")
    )
    kept = Renumbering({Imm.MEMORY: Moved((0, 2, 1))}).code(code, 0, len(code))
    assert bytes(kept) == code.replace(b"\x52\2", b"\x52\1")


def test_a_missing_end_is_refused() -> None:
    with raises(DecodeError, match="expected an instruction"):
        end_of(b"\x02\x40\x0b\x01", 0, 4)
