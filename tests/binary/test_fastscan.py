"""The fast scanner finds what the plain one does, in valid code, in random bytes, in torn code."""

from __future__ import annotations

import os
from collections.abc import Callable

import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import mark

from tests.binary.core_samples import SAMPLES, sample
from tests.binary.test_instructions import WITH_TEXT, text_of
from whamm_cm.binary.fastscan import find, find_refs, matcher, ref_matcher
from whamm_cm.binary.instructions import scan
from whamm_cm.binary.leb import signed, unsigned
from whamm_cm.binary.opcodes import OPCODES, Imm, Opcode
from whamm_cm.binary.refs import SPACES, Ref, index_of, instruction_refs, memarg_form
from whamm_cm.errors import DecodeError
from whamm_cm.ir.core import CoreModule

EXAMPLES = max(1, int(150 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))

u32 = st.sampled_from((0, 1, 127, 128, 300, 2**32 - 1)).map(unsigned) | st.builds(
    unsigned, st.integers(0, 2**32 - 1), st.integers(1, 5)
)
s32 = st.sampled_from((0, -1, 63, 64, -64, -65, 2**31 - 1, -(2**31))).map(signed)
s64 = st.sampled_from((0, -1, 2**63 - 1, -(2**63), 1 << 40)).map(signed)
heap_types = st.sampled_from((b"\x70", b"\x6e", b"\x65\x70", b"\x62\x05")) | st.integers(
    0, 2**32 - 1
).map(signed)
ref_types = st.builds(bytes.__add__, st.sampled_from((b"\x63", b"\x64")), heap_types)
val_types = st.sampled_from((b"\x7f", b"\x7b", b"\x70", b"\x65\x6e")) | ref_types


def vectors(items: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.lists(items, max_size=3).map(lambda some: unsigned(len(some)) + b"".join(some))


def joined(*parts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.tuples(*parts).map(b"".join)


just = st.just
IMMEDIATES: dict[Imm, st.SearchStrategy[bytes]] = dict.fromkeys(Imm, u32) | {
    Imm.BLOCKTYPE: just(b"\x40") | val_types | st.integers(0, 2**32 - 1).map(signed),
    Imm.HEAPTYPE: heap_types,
    Imm.VALTYPES: vectors(val_types),
    Imm.LABELS: joined(vectors(u32), u32),
    Imm.MEMARG: joined(st.sampled_from((b"\0", b"\3", b"\x83\0")), u32)
    | joined(just(b"\x42"), u32, st.integers(0, 2**64 - 1).map(unsigned)),
    Imm.ATOMIC: joined(st.sampled_from((b"\2", b"\x12\0", b"\x12\1", b"\x92\0\1")), u32)
    | joined(just(b"\x52"), u32, just(b"\1"), u32),
    Imm.RMW: joined(st.sampled_from((b"\2", b"\x12\0", b"\x12\x11")), u32)
    | joined(just(b"\x52"), u32, just(b"\x11"), u32),
    Imm.I32: s32,
    Imm.I64: s64,
    Imm.F32: st.binary(min_size=4, max_size=4),
    Imm.F64: st.binary(min_size=8, max_size=8),
    Imm.V128: st.binary(min_size=16, max_size=16),
    Imm.LANE: st.binary(min_size=1, max_size=1),
    Imm.LANES: st.binary(min_size=16, max_size=16),
    Imm.CAST: st.sampled_from((b"\0", b"\3")),
    Imm.CATCHES: vectors(joined(just(b"\1"), u32, u32) | joined(just(b"\2"), u32)),
    Imm.HANDLERS: vectors(joined(just(b"\0"), u32, u32) | joined(just(b"\1"), u32)),
    Imm.ORDERING: st.sampled_from((b"\0", b"\1")),
}


@st.composite
def instructions(draw: st.DrawFn) -> bytes:
    row = draw(st.sampled_from(OPCODES))
    lead = bytes((row.prefix,)) if row.prefix else b""
    padded = draw(st.booleans()) and bool(row.prefix)
    code = unsigned(row.code, 3 if padded else 1) if row.prefix else bytes((row.code,))
    return lead + code + b"".join(draw(IMMEDIATES[kind]) for kind in row.immediates)


def outcome(run: Callable[[], object]) -> object:
    """What comes out, or what the complaint is."""
    try:
        return run()
    except DecodeError as fault:
        return fault.message, fault.offset, fault.path


def expected(data: bytes, start: int, end: int, wanted: frozenset[Opcode]) -> object:
    where = {"offset": 1000, "path": "code[1]"}
    return outcome(lambda: [f for f in scan(data, start, end, **where) if f[1] in wanted])


def found(data: bytes, start: int, end: int, wanted: frozenset[Opcode]) -> object:
    return outcome(lambda: find(data, start, end, wanted, offset=1000, path="code[1]"))


def all_refs(data: bytes, start: int, end: int, spaces: frozenset[Imm]) -> object:
    """Instruction by instruction."""

    def refs() -> list[Ref]:
        rows = scan(data, start, end, offset=1000, path="code[1]")
        every = [ref for at, row, stop in rows for ref in instruction_refs(data, at, row, stop)]
        return [ref for ref in every if ref[2] in spaces]

    return outcome(refs)


def fast_refs(data: bytes, start: int, end: int, spaces: frozenset[Imm]) -> object:
    return outcome(lambda: find_refs(data, start, end, spaces, offset=1000, path="code[1]"))


WANTED: dict[str, frozenset[Opcode]] = {
    "none": frozenset(),
    "all": frozenset(OPCODES),
    "prefixed": frozenset(op for op in OPCODES if op.prefix),
    **{kind.value: frozenset(op for op in OPCODES if kind in op.immediates) for kind in Imm},
}
SETS = {"all": SPACES, **{space.value: frozenset((space,)) for space in SPACES}}
wanted_names, set_names = st.sampled_from(sorted(WANTED)), st.sampled_from(sorted(SETS))


@settings(max_examples=EXAMPLES)
@given(st.lists(instructions(), max_size=12).map(b"".join), wanted_names, set_names, st.data())
def test_valid_and_torn_code(
    code: bytes, wanted_name: str, set_name: str, data: st.DataObject
) -> None:
    wanted, spaces = WANTED[wanted_name], SETS[set_name]
    end = data.draw(st.just(len(code)) | st.integers(0, len(code)))
    assert found(code, 0, end, wanted) == expected(code, 0, end, wanted)
    assert fast_refs(code, 0, end, spaces) == all_refs(code, 0, end, spaces)


@settings(max_examples=EXAMPLES)
@given(st.binary(max_size=40), wanted_names, set_names)
def test_random_bytes(code: bytes, wanted_name: str, set_name: str) -> None:
    wanted, spaces = WANTED[wanted_name], SETS[set_name]
    assert found(code, 0, len(code), wanted) == expected(code, 0, len(code), wanted)
    assert fast_refs(code, 0, len(code), spaces) == all_refs(code, 0, len(code), spaces)


@mark.parametrize("name", SAMPLES)
def test_samples(name: str) -> None:
    module = CoreModule(sample(name))
    data = bytes(module.data)
    for body in module.bodies:
        for wanted in (frozenset(OPCODES), *(frozenset((op,)) for op in OPCODES[::7])):
            plain = expected(data, body.code, body.end, wanted)
            assert found(data, body.code, body.end, wanted) == plain
        plain_refs = all_refs(data, body.code, body.end, SPACES)
        assert fast_refs(data, body.code, body.end, SPACES) == plain_refs


def test_each_opcode_is_found_alone_and_passed_over() -> None:
    others = frozenset(OPCODES[:1])
    for row in WITH_TEXT:
        text = f"(module (type (func)) (func i32.const 11 {text_of(row)} i32.const 11))"
        module = CoreModule(bytes(wasmtime.wat2wasm(text)))
        body, data = module.bodies[0], bytes(module.data)
        every = list(module.instructions(0))
        for wanted in (frozenset((row,)), others):
            hits = find(data, body.code, body.end, matcher(wanted))
            assert hits == [one for one in every if one[1] in wanted], row


def test_every_integer_of_every_length_that_is_too_large_is_left_to_the_plain_scanner() -> None:
    for code in (0x41, 0x42, 0x10, 0x02, 0x28):
        for length in range(1, 11):
            for last in range(256):
                data = bytes((code, *[0x80] * (length - 1), last, 0, 0x0B))
                wanted = frozenset(OPCODES)
                assert found(data, 0, len(data), wanted) == expected(data, 0, len(data), wanted)


@mark.parametrize("count", [0, 1, 2, 11, 127, 128, 300])
@mark.parametrize("label", [0, 11, 127, 128])
def test_branch_tables_of_any_length(count: int, label: int) -> None:
    table = b"\x0e" + unsigned(count) + b"\x0b" * count + unsigned(label)
    code = b"\x41\x0b" + table + b"\x0b"
    for end in (len(code), len(code) - 1, len(code) - 2):
        for wanted in (WANTED["labels"], WANTED["none"], WANTED["all"]):
            assert found(code, 0, end, wanted) == expected(code, 0, end, wanted)


def test_where_indices_are() -> None:
    text = """(module (type (func)) (type $t (func (param i32) (result i32)))
        (memory 1) (memory $m 1) (table 1 funcref) (global $g (mut i32) (i32.const 0))
        (func $f (type $t)
            local.get 0 call $f i32.load i32.load $m global.set $g
            local.get 0 i32.const 0 call_indirect (type $t)
            block (type $t) end))"""
    module = CoreModule(bytes(wasmtime.wat2wasm(text)))
    body = module.bodies[0]
    refs = find_refs(module.data, body.code, body.end, SPACES)
    seen = [(ref[2].value, index_of(bytes(module.data[ref[0] : ref[1]]))) for ref in refs]
    # 2 are the flags of the load that names no memory: its alignment.
    assert seen == [
        ("func", 0), ("memory", 2), ("memory", 1), ("global", 0), ("type", 1), ("table", 0),
        ("type", 1),
    ]  # fmt: skip
    assert refs[1][3] is memarg_form
    named = ref_matcher(frozenset((Imm.MEMORY,)), memory_zero=False)
    assert find_refs(module.data, body.code, body.end, named) == [refs[2]]
