"""Renumbering code: only the integers that change are written, everywhere they may stand."""

from __future__ import annotations

import wasmtime
from hypothesis import given
from hypothesis import strategies as st
from pytest import MonkeyPatch, mark, raises

from bench import kernels
from tests.wasm.core_samples import SAMPLES, sample
from tests.wasm.test_instructions import text_of
from whamm_cm.errors import DecodeError
from whamm_cm.wasm import code_edit
from whamm_cm.wasm.code_edit import CodeEdit
from whamm_cm.wasm.instructions import scan
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.opcodes import OPCODES, Imm, Opcode
from whamm_cm.wasm.refs import NESTED, SPACES, index_of, instruction_refs, memarg_form
from whamm_cm.wasm.renumber import Renumbering, splice
from whamm_cm.wasm.rewrite import Moved, Shift, Templates

UP = {space: Shift(0, 1000) for space in SPACES}


def spaces_of(row: Opcode) -> frozenset[Imm]:
    """The index spaces an instruction may refer to."""
    return SPACES.intersection(NESTED.get(kind, kind) for kind in row.immediates)


SOME = [row for row in OPCODES if spaces_of(row)]


def indices(code: bytes) -> list[tuple[Imm, int]]:
    """Every index in the code; memory 0 where a memory argument names none."""
    return [
        (space, 0 if form is memarg_form else index_of(code[start:end]))
        for at, row, stop in scan(code, 0, len(code))
        for start, end, space, form in instruction_refs(code, at, row, stop)
    ]


def opcodes(code: bytes) -> list[Opcode]:
    return [row for _, row, _ in scan(code, 0, len(code))]


@mark.parametrize("row", SOME, ids=lambda row: f"{row.prefix:x}-{row.code:x}-{row.mnemonic}")
def test_each_opcode_with_indices(row: Opcode) -> None:
    text = f"(module (type (func)) (func i32.const 11 {text_of(row)} i32.const 11))"
    module = CoreModule(bytes(wasmtime.wat2wasm(text)))
    body = module.bodies[0]
    old = bytes(module.data[body.code : body.end])
    new = bytes(Renumbering(UP).code(old, 0, len(old)))
    assert opcodes(new) == opcodes(old)
    assert indices(new) == [(space, index + 1000) for space, index in indices(old)]
    assert {space for space, _ in indices(old)} <= spaces_of(row)


@mark.parametrize("space", sorted(SPACES, key=str), ids=lambda space: space.value)
@mark.parametrize("name", SAMPLES)
def test_one_space_at_a_time(name: str, space: Imm) -> None:
    module = CoreModule(sample(name))
    for body in module.bodies:
        old = bytes(module.data[body.code : body.end])
        new = bytes(Renumbering({space: Shift(0, 1)}).code(old, 0, len(old)))
        expected = [(where, index + (where is space)) for where, index in indices(old)]
        assert indices(new) == expected and opcodes(new) == opcodes(old)


@mark.parametrize("name", SAMPLES)
def test_there_and_back(name: str) -> None:
    module = CoreModule(sample(name))
    down = Renumbering({s: Shift(50, -50) for s in SPACES - {Imm.MEMORY}})
    up = Renumbering({s: Shift(0, 50) for s in SPACES - {Imm.MEMORY}})
    for body in module.bodies:
        old = module.data[body.code : body.end]
        moved = up.code(old, 0, len(old))
        assert indices(bytes(down.code(moved, 0, len(moved)))) == indices(bytes(old))


def test_nothing_to_change_is_the_same_slice() -> None:
    data = memoryview(b"\x10\x01\x23\x02\x0b")
    for maps in ({}, {Imm.FUNC: Shift(2, 5)}, {Imm.FUNC: Shift(0, 0)}, {Imm.TAG: Shift(0, 1)}):
        same = Renumbering(maps).code(data, 0, 5)
        assert isinstance(same, memoryview) and same.obj is data.obj and same == data
    assert bytes(Renumbering({Imm.FUNC: Shift(1, 5)}).code(data, 0, 5)) == b"\x10\x06\x23\x02\x0b"


def test_an_index_that_does_not_exist_is_the_inputs_fault() -> None:
    renumbering = Renumbering({Imm.FUNC: Moved((1, 0))}, offset=100, path="code[2]")
    assert bytes(renumbering.code(b"\x10\x01\x0b", 0, 3)) == b"\x10\x00\x0b"
    with raises(DecodeError) as caught:
        renumbering.code(b"\x10\x02\x0b", 0, 3)
    assert (caught.value.message, caught.value.offset) == ("func index is out of bounds", 101)
    assert caught.value.path == "code[2]"


def test_locals() -> None:
    text = """(module (type $t (struct)) (type (func)) (func (type 1) (local i32 (ref null $t))
        (local.set 1 (ref.null $t))))"""
    module = CoreModule(bytes(wasmtime.wat2wasm(text)))
    renumbering = Renumbering({Imm.TYPE: Shift(0, 200)})
    written = CodeEdit(module).write({}, Templates(), renumbering.maps)
    locals_ = b"\x02\x01\x7f\x01\x63\xc8\x01"
    code = b"\xd0\xc8\x01\x21\x01\x0b"
    assert b"".join(written.pieces) == bytes((len(locals_ + code),)) + locals_ + code
    assert written.changed == 1 and list(written.places) == [0, sum(map(len, written.pieces))]


@given(st.binary(max_size=60), st.data())
def test_splice(old: bytes, data: st.DataObject) -> None:
    borders = sorted(data.draw(st.lists(st.integers(0, len(old)), max_size=8)))
    spans = list(zip(borders[::2], borders[1::2], strict=False))
    edits = [(start, end, data.draw(st.binary(max_size=3))) for start, end in spans]
    new, shift = bytearray(old), 0
    for start, end, piece in edits:
        new[start + shift : end + shift] = piece
        shift += len(piece) - (end - start)
    assert bytes(splice(old, 0, len(old), edits)) == bytes(new)


def test_code_is_the_same_in_pieces_of_any_size(monkeypatch: MonkeyPatch) -> None:
    module = CoreModule(kernels.build("collatz").read_bytes())
    maps = Renumbering({Imm.FUNC: Shift(0, 200)}).maps
    whole = CodeEdit(module).write({}, Templates(), maps)
    monkeypatch.setattr(code_edit, "_PIECE", 100)
    parts = CodeEdit(module).write({}, Templates(), maps)
    assert len(whole.pieces) == 1 < len(parts.pieces) <= len(module.bodies)
    assert b"".join(parts.pieces) == whole.pieces[0]
    assert (parts.changed, parts.places) == (whole.changed, whole.places)
