"""Types on the stack: by hand where there is a rule of its own, by wasm-tools for every opcode."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess

import pytest
import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wasm.core_samples import SAMPLES, sample
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.leb import signed, unsigned
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.opcodes import OPCODES, Imm, Opcode
from whamm_cm.wasm.signatures import SPECIAL, signature
from whamm_cm.wasm.stack import Typing, typings
from whamm_cm.wasm.valtypes import encode, heap_of, non_null, nullable, reference

EXAMPLES = max(1, int(200 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))


def of(code: str, around: str = "", head: str = "") -> list[Typing]:
    """The typings of the last function of a module, whose text is ``code``."""
    module = CoreModule(wasmtime.wat2wasm(f"(module {around} (func {head} {code}))"))
    return list(typings(module, len(module.bodies) - 1).values())


def shown(typing: Typing) -> str:
    """Top first: ``i32 i64 -> f32``, with a ``!`` in front when it cannot be reached."""
    names = [" ".join(str(kind) for kind in side) for side in (typing.operands, typing.results)]
    return ("" if typing.reachable else "! ") + " -> ".join(names).strip()


CASES = {
    # code → instruction number, its typing
    "i32.const 1 i64.const 2 f32.const 3 drop drop drop": (3, "f32 ->"),
    "i64.const 1 i64.const 2 i32.const 3 select drop": (3, "i32 i64 i64 -> i64"),
    "unreachable i32.const 3 select drop": (2, "! i32 None None -> None"),
    "unreachable i64.const 3 i32.const 3 select drop": (3, "! i32 i64 i64 -> i64"),
    "unreachable i32.add drop": (1, "! i32 i32 -> i32"),
    "unreachable drop": (1, "! None ->"),
    "f64.const 1 i32.const 0 if (param f64) drop else drop end": (2, "i32 f64 -> f64"),
    "f64.const 1 i32.const 0 if (param f64) drop else drop end nop": (4, "-> f64"),
    "block (result i32 i64) i32.const 1 i64.const 2 end drop drop": (3, "i64 i32 -> i64 i32"),
    "block (result f32) f32.const 0 i32.const 1 br_if 0 end drop": (3, "i32 f32 -> f32"),
    "block (result f32) f32.const 0 i32.const 1 br_table 0 0 end drop": (3, "i32 f32 ->"),
    "f32.const 1 i32.const 2 call 0 drop drop": (2, "i32 f32 -> f64 i64"),
    "f32.const 1 i32.const 2 i32.const 0 call_indirect (type 0) drop drop": (
        3,
        "i32 i32 f32 -> f64 i64",
    ),
    "f32.const 1 i32.const 2 ref.func 0 call_ref 0 drop drop": (3, "(ref 0) i32 f32 -> f64 i64"),
    "ref.null 0 ref.as_non_null drop": (1, "(ref null 0) -> (ref 0)"),
    "block ref.null 0 br_on_null 0 drop end": (2, "(ref null 0) -> (ref 0)"),
    "block (result (ref 0)) ref.null 0 br_on_non_null 0 unreachable end drop": (
        2,
        "(ref null 0) ->",
    ),
    "i32.const 1 ref.i31 ref.test (ref i31) drop": (2, "(ref i31) -> i32"),
    "i64.const 1 i64.const 2 i64.const 3 i64.const 4 i64.add128 drop drop": (
        4,
        "i64 i64 i64 i64 -> i64 i64",
    ),
    "block (result anyref) ref.null any br_on_cast 0 anyref (ref i31) end drop": (
        2,
        "anyref -> anyref",
    ),
    "block (result anyref) ref.null any br_on_cast 0 anyref i31ref end drop": (
        2,
        "anyref -> (ref any)",
    ),
    "ref.null extern any.convert_extern drop": (1, "externref -> anyref"),
    "i64.const 0 i32.load $wide drop": (1, "i64 -> i32"),
    "i64.const 0 i32.const 0 i32.const 0 memory.copy $wide $narrow": (3, "i32 i32 i64 ->"),
    "i32.const 1 i64.const 2 struct.new $s drop": (2, "i64 i32 -> (ref 1)"),
    "i32.const 0 array.new_default $a array.len drop": (2, "(ref 2) -> i32"),
    "i32.const 1 i64.const 2 struct.new $s struct.get_u $s 0 drop": (3, "(ref 1) -> i32"),
    "i32.const 1 throw $tag": (1, "i32 ->"),
    "block (result i32) try_table (catch $tag 0) end i32.const 0 end drop": (1, "->"),
}
AROUND = """
    (type $f (func (param f32 i32) (result i64 f64)))
    (type $s (struct (field i8) (field i64))) (type $a (array (mut i16)))
    (func $f (type $f) unreachable) (tag $tag (param i32))
    (memory $narrow 1) (memory $wide i64 1) (table 1 funcref) (elem declare func $f)
"""


@pytest.mark.parametrize("code", CASES)
def test_operands_and_results(code: str) -> None:
    number, expected = CASES[code]
    assert shown(of(code, AROUND)[number]) == expected


def test_leaving_takes_the_results_of_the_function() -> None:
    found = of("f32.const 1 i32.const 2 call 0 return", AROUND, "(result i64 f64)")
    assert [shown(typing) for typing in found[3:]] == ["f64 i64 ->", "! f64 i64 -> f64 i64"]
    found = of("f32.const 1 i32.const 2 return_call 0", AROUND, "(result i64 f64)")
    assert shown(found[2]) == "i32 f32 ->"


def test_what_lies_below() -> None:
    found = of("i32.const 1 i32.const 2 i32.const 3 i32.add block i32.const 1 drop end drop drop")
    assert [len(typing.under) for typing in found[:9]] == [0, 1, 2, 1, 2, 0, 0, 0, 1]


def test_locals_are_found_in_their_groups() -> None:
    code = "local.get 0 drop local.get 3 drop local.get 103 drop local.get 104 local.set 105"
    locals_ = "(param f32)" + "(local " + "i32 " * 102 + "f64 v128 v128)"
    found = of(code, head=locals_)
    assert [found[i].results for i in (0, 2, 4, 6)] == [("f32",), ("i32",), ("f64",), ("v128",)]


def test_only_what_is_asked_for() -> None:
    module = CoreModule(wasmtime.wat2wasm("(module (func i32.const 1 drop nop))"))
    assert typings(module, 0, {1}) == {1: Typing(True, ("i32",), ())}


def body(code: bytes) -> CoreModule:
    """A module with one function () -> () of these bytes; no memory, table or anything."""
    entry = unsigned(len(code) + 1) + b"\0" + code
    section = b"\x0a" + unsigned(len(entry) + 1) + b"\1" + entry
    return CoreModule(b"\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0" + section)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("1a 0b", "an operand is missing"),
        ("41 00 0b", "values are left behind at the end of a block"),
        ("02 40 0b", "the function has no end"),
        ("0b 01", "instructions behind the end of the function"),
        ("05 0b", "else outside of its block"),
        ("0c 01 0b", "there is no label 1"),
        ("20 00 0b", "local index 0 is out of bounds"),
        ("10 07 0b", "func index 7 is out of bounds"),
        ("41 00 28 02 00 1a 0b", None),  # a memory that is not there: not looked at
        ("fb 00 09 0b", "type index 9 is out of bounds"),
        ("00 fb 08 00 ff ff ff ff 0f 0b", "type 0 has no field 0"),
    ],
)
def test_what_makes_no_sense_is_refused(code: str, fault: str | None) -> None:
    module = body(bytes.fromhex(code))
    if fault is None:
        assert typings(module, 0)
        return
    with pytest.raises(DecodeError, match=fault):
        typings(module, 0)


@st.composite
def _instruction(draw: st.DrawFn) -> bytes:
    opcode = draw(st.sampled_from(OPCODES))
    small = st.sampled_from((b"\0", b"\1", b"\2", b"\x7f", b"\x40", b"\x6f"))
    return code_of(opcode) + draw(st.lists(small, max_size=3).map(b"".join))


def code_of(opcode: Opcode) -> bytes:
    prefix = bytes((opcode.prefix,)) + unsigned(opcode.code)
    return prefix if opcode.prefix else bytes((opcode.code,))


@settings(max_examples=EXAMPLES)
@given(st.lists(_instruction(), max_size=30).map(b"".join))
def test_any_bytes_are_typed_or_refused(code: bytes) -> None:
    with contextlib.suppress(DecodeError):
        typings(body(code + b"\x0b"), 0)


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_make_sense(name: str) -> None:
    module = CoreModule(sample(name))
    for index in range(len(module.bodies)):
        found = typings(module, index)
        assert len(found) == len(list(module.instructions(index)))


def test_every_opcode_has_a_signature() -> None:
    untyped = {op.mnemonic for op in OPCODES if signature(op).special}
    assert untyped == SPECIAL | {"select"}


#: No released wasm-tools knows it.
_UNRELEASED = "pause"


@pytest.mark.oracle
@pytest.mark.skipif(not shutil.which("wasm-tools"), reason="wasm-tools is not installed")
def test_fixed_signatures_are_the_validators() -> None:
    """One function per opcode: its operands are parameters, its results are results."""
    fixed = [
        op
        for op in OPCODES
        if (signature(op).fixed or "at" in signature(op).pops) and op.mnemonic != _UNRELEASED
    ]
    assert len(fixed) > 450
    types, codes = [], []
    for opcode in fixed:
        pops, _, _ = signature(opcode)
        params = ["i32" if kind == "at" else kind for kind in pops]
        results = signature(opcode).pushes
        kinds = [unsigned(len(side)) + b"".join(map(encode, side)) for side in (params, results)]
        types.append(b"\x60" + b"".join(kinds))
        gets = b"".join(b"\x20" + unsigned(n) for n in range(len(params)))
        code = b"\0" + gets + code_of(opcode) + immediates_of(opcode) + b"\x0b"
        codes.append(unsigned(len(code)) + code)
    indices = [unsigned(n) for n in range(len(fixed))]
    segments = (9, [b"\1\0\0"]), (12, [b""])  # the latter is nothing but its count
    sections = ((1, types), (3, indices), (5, [b"\3\1\1"]), *segments, (10, codes), (11, [b"\1\0"]))
    data = b"\0asm\1\0\0\0" + b"".join(section(*one) for one in sections)
    command = ["wasm-tools", "validate", "--features", "all", "-"]
    ran = subprocess.run(command, input=data, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()


def section(number: int, items: list[bytes]) -> bytes:
    content = unsigned(len(items)) + b"".join(items)
    return bytes((number,)) + unsigned(len(content)) + content


def immediates_of(opcode: Opcode) -> bytes:
    """Zeros, and the alignment that atomic accesses must have."""
    sizes = {Imm.F32: 4, Imm.F64: 8, Imm.V128: 16, Imm.LANES: 16}
    found = b""
    for kind in opcode.immediates:
        align = b"\0"
        if kind.is_memarg and opcode.prefix == 0xFE:
            digits = [n for n in ("8", "16", "32", "64") if any_width(opcode.mnemonic, n)]
            width = int(digits[0]) if digits else int(opcode.mnemonic[1:3])
            align = bytes((width.bit_length() - 4,))
        found += align + b"\0" if kind.is_memarg else bytes(sizes.get(kind, 1))
    return found


def any_width(mnemonic: str, digits: str) -> bool:
    places = ("load", "store", "rmw", "wait")
    found = any(f"{place}{digits}" in mnemonic for place in places)
    return found or (mnemonic.endswith("notify") and digits == "32")


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("i32", "7f"),
        ("funcref", "70"),
        ("(ref func)", "6470"),
        ("(ref null 3)", "6303"),
        ("(ref 100)", "64e400"),
        ("(ref null (exact 2))", "636202"),
        ("(ref (shared any))", "64656e"),
        ("exnref", "69"),
    ],
)
def test_encoding_of_types(kind: str, raw: str) -> None:
    assert encode(kind).hex() == raw


def test_taking_references_apart() -> None:
    assert heap_of("funcref") == ("func", True) and heap_of("(ref 1)") == ("1", False)
    assert heap_of("i32") is None
    assert nullable("(ref extern)") == "externref" and nullable("i64") == "i64"
    assert non_null("externref") == "(ref extern)" and reference("4") == "(ref null 4)"
    assert signed(100).hex() == "e400"  # heap types are signed integers
