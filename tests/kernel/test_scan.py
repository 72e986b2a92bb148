"""The kernel finds what the plain scanner does, in valid code, in random bytes, in torn code."""

from __future__ import annotations

import os
from collections.abc import Callable

import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import mark, raises

from tests.wasm.core_samples import SAMPLES, sample
from tests.wasm.test_instructions import WITH_TEXT, text_of
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.code import find
from whamm_cm.wasm.instructions import scan
from whamm_cm.wasm.leb import signed, unsigned
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.opcodes import OPCODES, Imm, Opcode
from whamm_cm.wasm.refs import SPACES, instruction_refs
from whamm_cm.wasm.renumber import Renumbering, splice
from whamm_cm.wasm.rewrite import Moved, Shift

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
    def run() -> object:
        return list(find(data, [(start, end)], wanted, offset=1000, path=["code[1]"]))

    return outcome(run)


def plainly_renumbered(data: bytes, end: int, maps: dict[Imm, Shift | Moved]) -> object:
    """Instruction by instruction."""
    renumbering = Renumbering(maps, offset=1000, path="code[1]")

    def run() -> object:
        edits = []
        for at, row, stop in scan(data, 0, end, offset=1000, path="code[1]"):
            edits += renumbering.edits(data, instruction_refs(data, at, row, stop))
        return bytes(splice(data, 0, end, edits))

    return outcome(run)


def agree(code: bytes, end: int, to: dict[Imm, Shift | Moved]) -> None:
    """Both write the same, or refuse the same: of two faults the kernel tells the first one, a
    wrong index before what is malformed behind it."""
    plain, fast = plainly_renumbered(code, end, to), renumbered(code, end, to)
    if isinstance(plain, tuple) and isinstance(fast, tuple):
        bounds = fast[0].endswith("index is out of bounds") and fast[1] <= plain[1]
        assert plain == fast or bounds
    else:
        assert plain == fast


def renumbered(data: bytes, end: int, maps: dict[Imm, Shift | Moved]) -> object:
    renumbering = Renumbering(maps, offset=1000, path="code[1]")
    return outcome(lambda: bytes(renumbering.code(data, 0, end)))


WANTED: dict[str, frozenset[Opcode]] = {
    "none": frozenset(),
    "all": frozenset(OPCODES),
    "prefixed": frozenset(op for op in OPCODES if op.prefix),
    **{kind.value: frozenset(op for op in OPCODES if kind in op.immediates) for kind in Imm},
}
wanted_names = st.sampled_from(sorted(WANTED))
# What must be scanned to be renumbered is refused when it is torn, so no map may be empty.
shifts = st.builds(Shift, st.integers(0, 200), st.integers(1, 2**20))
tables = st.lists(st.integers(0, 2**32 - 1), max_size=5).map(lambda some: Moved((*some, 2**20)))
maps = st.dictionaries(st.sampled_from(sorted(SPACES, key=str)), shifts | tables, min_size=1)


@settings(max_examples=EXAMPLES)
@given(st.lists(instructions(), max_size=12).map(b"".join), wanted_names, maps, st.data())
def test_valid_and_torn_code(
    code: bytes, wanted_name: str, to: dict[Imm, Shift | Moved], data: st.DataObject
) -> None:
    wanted = WANTED[wanted_name]
    end = data.draw(st.just(len(code)) | st.integers(0, len(code)))
    assert found(code, 0, end, wanted) == expected(code, 0, end, wanted)
    agree(code, end, to)


@settings(max_examples=EXAMPLES)
@given(st.binary(max_size=40), wanted_names, maps)
def test_random_bytes(code: bytes, wanted_name: str, to: dict[Imm, Shift | Moved]) -> None:
    wanted = WANTED[wanted_name]
    assert found(code, 0, len(code), wanted) == expected(code, 0, len(code), wanted)
    agree(code, len(code), to)


@mark.parametrize("name", SAMPLES)
def test_samples(name: str) -> None:
    module = CoreModule(sample(name))
    data = bytes(module.data)
    for body in module.bodies:
        for wanted in (frozenset(OPCODES), *(frozenset((op,)) for op in OPCODES[::7])):
            plain = expected(data, body.code, body.end, wanted)
            assert found(data, body.code, body.end, wanted) == plain
        code = data[body.code : body.end]
        up: dict[Imm, Shift | Moved] = {space: Shift(0, 300) for space in SPACES}
        agree(code, len(code), up)


@mark.parametrize("name", SAMPLES)
def test_all_functions_at_once(name: str) -> None:
    module = CoreModule(sample(name))
    every = {index: list(module.instructions(index)) for index in range(len(module.bodies))}
    at_once = module.find()
    assert dict(at_once.by_span()) == every
    assert list(at_once) == [step for steps in every.values() for step in steps]
    opidxs = [number for steps in every.values() for number in range(len(steps))]
    assert list(at_once.opidxs) == opidxs
    some = list(every)[1::2]
    assert [some[span] for span, _ in module.find(None, some).by_span()] == some


@mark.parametrize("name", SAMPLES)
def test_alike_are_instructions_of_the_same_bytes(name: str) -> None:
    module, data = CoreModule(sample(name)), bytes(CoreModule(sample(name)).data)
    by_bytes = frozenset(row for row in OPCODES if row.immediates)
    hits = module.find(None, by_immediates=by_bytes)
    seen: dict[bytes, int] = {}
    for (at, row, end), group in zip(hits, hits.alike, strict=True):
        assert seen.setdefault(data[at:end], group) == group
        first, kind, stop = hits.groups[group]
        assert (data[first:stop], kind) == (data[at:end], row)
    assert sorted(seen.values()) == list(range(len(hits.groups)))
    by_row = module.find()
    assert [by_row.groups[group][1] for group in by_row.alike] == [row for _, row, _ in by_row]
    assert len(by_row.groups) == len({row for _, row, _ in by_row})


def test_the_path_is_that_of_the_function() -> None:
    text = "(module (func nop) (func i32.const 1 drop) (func))"
    data = bytearray(wasmtime.wat2wasm(text))
    data[data.index(b"\x41\x01")] = 0xFF
    module = CoreModule(bytes(data), 50, "component[1]")
    with raises(DecodeError) as caught:
        module.find()
    assert caught.value.path == "component[1].code[1]"
    with raises(DecodeError) as plain:
        list(module.instructions(1))
    assert (caught.value.message, caught.value.offset, caught.value.path) == (
        plain.value.message, plain.value.offset, plain.value.path,
    )  # fmt: skip


def test_each_opcode_is_found_alone_and_passed_over() -> None:
    others = frozenset(OPCODES[:1])
    for row in WITH_TEXT:
        text = f"(module (type (func)) (func i32.const 11 {text_of(row)} i32.const 11))"
        module = CoreModule(bytes(wasmtime.wat2wasm(text)))
        body, data = module.bodies[0], bytes(module.data)
        every = list(module.instructions(0))
        for wanted in (frozenset((row,)), others):
            hits = find(data, [(body.code, body.end)], wanted)
            assert list(hits) == [one for one in every if one[1] in wanted], row


def test_every_integer_of_every_length_that_is_too_large_is_refused_alike() -> None:
    for code in (0x41, 0x42, 0x10, 0x02, 0x28):
        for length in range(1, 11):
            for last in (*range(20), 31, 32, 63, 64, 112, 120, 124, 126, 127, 128, 255):
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


def test_any_number_of_groups() -> None:
    """More than there is room for at first, each found again."""
    values = [*range(5000), *range(0, 5000, 7)]
    code = b"".join(b"\x41" + signed(value) + b"\x1a" for value in values) + b"\x0b"
    row = next(row for row in OPCODES if row.mnemonic == "i32.const")
    found = find(code, [(0, len(code))], [row], by_immediates=[row])
    assert len(found) == len(values) and len(found.groups) == 5000
    assert [found.alike[n] for n in range(5000, len(values))] == list(range(0, 5000, 7))
