"""Code put into functions: operands and results saved and put back, each mode at its place."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import wasmtime

from tests.wasm.core_samples import SAMPLES, engine, sample
from whamm_cm.errors import InternalError
from whamm_cm.wasm import snippets
from whamm_cm.wasm.edit import ModuleEdit
from whamm_cm.wasm.function import GOING, FunctionInfo
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.stack import Known
from whamm_cm.wasm.valtypes import nullable
from whamm_cm.weave.opcodes.inject import FunctionEditor

EXAMPLES = max(1, int(20 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))
NOP, AS_NON_NULL = b"\x01", b"\xd4"


class Saved(NamedTuple):
    """Values taken off the stack into locals, top first, and put back as they are then."""

    save: bytes
    locals: tuple[int, ...]
    types: tuple[str, ...]
    restore: bytes


def save_args(editor: FunctionEditor, opidx: int, count: int | None = None) -> Saved | None:
    """The top operands of an instruction (all of them), before it; None in code that cannot run."""
    typing = editor.info.typing(opidx)
    return save(editor, opidx, typing.operands[:count]) if typing.reachable else None


def save_results(editor: FunctionEditor, opidx: int, count: int | None = None) -> Saved | None:
    """The top results of an instruction (all of them), after it."""
    typing = editor.info.typing(opidx)
    ends = editor.info.opcode(opidx).nesting < 0  # runs on when it is branched to
    if editor.info.mnemonic(opidx) in GOING or not (typing.reachable or ends):
        return None
    return save(editor, opidx, typing.results[:count])


def save(editor: FunctionEditor, opidx: int, types: tuple[Known, ...]) -> Saved | None:
    kinds = tuple(kind for kind in types if kind is not None)
    if len(kinds) != len(types):
        return None
    places = tuple(editor.local(nullable(kind), opidx) for kind in kinds)
    restore = b"".join(
        snippets.local_get(place) + (b"" if nullable(kind) == kind else AS_NON_NULL)
        for kind, place in zip(reversed(kinds), reversed(places), strict=True)
    )
    return Saved(b"".join(map(snippets.local_set, places)), places, kinds, restore)


def everywhere(data: bytes) -> bytes:
    """Every operand and result saved and put back, and code in every mode."""
    module = CoreModule(data)
    edit = ModuleEdit(module)
    for index in range(len(module.bodies)):
        info = FunctionInfo(module, index)
        editor = FunctionEditor(info)
        for opidx in range(len(info.steps)):
            around(editor, opidx)
        editor.add(0, "func_entry", NOP)
        editor.add(0, "func_exit", NOP)
        edit.replace_body(index, editor.pieces(), editor.extra_locals)
    return edit.encode()


def around(editor: FunctionEditor, opidx: int) -> None:
    info = editor.info
    opens = info.opcode(opidx).nesting > 0 or info.mnemonic(opidx) in ("else", "catch_all")
    saved = save_args(editor, opidx)
    if saved:
        editor.add(opidx, "before", saved.save + saved.restore)
    saved = save_results(editor, opidx)
    if saved:
        editor.add(opidx, "entry" if opens else "after", saved.save + saved.restore)
    if opens:
        editor.add(opidx, "exit", NOP)
        editor.add(opidx, "after", NOP)
    if info.mnemonic(opidx) in ("br", "br_if", "br_table"):
        editor.add(opidx, "at_target", NOP)


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "legacy exceptions"])
def test_whatever_is_saved_can_be_put_back(name: str) -> None:
    wasmtime.Module.validate(engine(), everywhere(sample(name)))


def valid(data: bytes) -> bool:
    command = ["wasm-tools", "validate", "--features", "all", "-"]
    return not subprocess.run(command, input=data, capture_output=True, check=False).returncode


@pytest.mark.oracle
@pytest.mark.skipif(not shutil.which("wasm-tools"), reason="wasm-tools is not installed")
def test_whatever_is_saved_in_random_modules_can_be_put_back(tmp_path: Path) -> None:
    features = ["gc", "exceptions", "tail-call", "threads", "wide-arithmetic", "custom-descriptors"]
    flags = [f"--{feature}-enabled=true" for feature in (*features, "shared-everything-threads")]
    for seed in range(EXAMPLES):
        made = tmp_path / "made.wasm"
        noise = random.Random(seed).randbytes(4000)
        command = ["wasm-tools", "smith", *flags, "-o", str(made)]
        if not subprocess.run(command, input=noise, capture_output=True, check=False).returncode:
            assert valid(everywhere(made.read_bytes())), seed
    assert valid(everywhere(sample("legacy exceptions")))


class Probed:
    """A module of text, its last function probed by ``probe(editor, cell)``.

    ``cell()`` makes an i32 counter and gives the code that counts; ``counts`` are their values.
    """

    def __init__(self, text: str, probe: Callable[[FunctionEditor, Callable[[], bytes]], None]):
        module = CoreModule(wasmtime.wat2wasm(f"(module {text})"))
        edit, self.cells = ModuleEdit(module), list[str]()
        index = len(module.bodies) - 1
        editor = FunctionEditor(FunctionInfo(module, index))

        def cell() -> bytes:
            where = edit.add_global("i32", 0)
            self.cells.append(f"cell {len(self.cells)}")
            edit.add_export(self.cells[-1], "global", where)
            return snippets.count(where, "i32")

        probe(editor, cell)
        edit.replace_body(index, editor.pieces(), editor.extra_locals)
        self.store = wasmtime.Store(engine())
        made = wasmtime.Module(engine(), edit.encode())
        self.exports = wasmtime.Instance(self.store, made, []).exports(self.store)

    def run(self, *args: Any) -> Any:
        return self.exports["run"](self.store, *args)

    @property
    def counts(self) -> list[int]:
        return [self.exports[name].value(self.store) for name in self.cells]


def at(*places: tuple[int, str]) -> Callable[[FunctionEditor, Callable[[], bytes]], None]:
    """A counter at each (instruction, mode)."""

    def probe(editor: FunctionEditor, cell: Callable[[], bytes]) -> None:
        for opidx, mode in places:
            editor.add(opidx, mode, cell())

    return probe


COUNTDOWN = """(func (export "run") (param i32) (result i32 i64)
    loop
        (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        local.get 0
        br_if 0
    end
    i32.const 7 i64.const 8)"""


def test_a_loop_by_hand() -> None:
    modes = [(0, "before"), (0, "entry"), (0, "exit"), (0, "after"), (6, "at_target")]
    probed = Probed(COUNTDOWN, at(*modes, (6, "before"), (6, "after"), (0, "func_exit")))
    assert probed.run(5) == [7, 8]
    # at_target: four times at the head of the loop, once because it was not taken
    assert probed.counts == [1, 5, 1, 1, 5, 5, 1, 1]


def test_every_way_out_of_a_function_with_several_results() -> None:
    text = """(func $two (result i32 i64) i32.const 5 i64.const 6)
        (func (export "run") (param i32) (result i32 i64)
        block block block
            local.get 0
            br_table 0 1 2
        end
            i32.const 1 i64.const 2 return
        end
            i32.const 3 i64.const 4 br 1
        end
        local.get 0 i32.const 9 i32.eq
        if return_call $two end
        i32.const 7 i64.const 8)"""
    probed = Probed(text, at((0, "func_entry"), (0, "func_exit"), (12, "at_target")))
    assert [probed.run(n) for n in (0, 1, 2, 9)] == [[1, 2], [3, 4], [7, 8], [5, 6]]
    assert probed.counts == [4, 4, 1]


def test_a_branch_to_the_function_lands_at_its_end() -> None:
    text = """(func (export "run") (param i32) (result i32)
        i32.const 3 local.get 0 br_if 0 drop i32.const 4)"""
    probed = Probed(text, at((2, "at_target"), (5, "before"), (0, "func_exit")))
    assert probed.run(1) == 3 and probed.counts == [1, 0, 1]
    assert probed.run(0) == 4 and probed.counts == [2, 1, 2]


def test_traps_leave_no_function() -> None:
    text = '(func (export "run") (param i32) (result i32) i32.const 6 local.get 0 i32.div_u)'
    probed = Probed(text, at((0, "func_entry"), (0, "func_exit"), (2, "before"), (2, "after")))
    assert probed.run(2) == 3 and probed.counts == [1, 1, 1, 1]
    with pytest.raises(wasmtime.Trap, match="divide by zero"):
        probed.run(0)
    assert probed.counts == [2, 1, 2, 1]


def test_operands_and_results_that_a_probe_assigns() -> None:
    text = '(func (export "run") (result i32) i32.const 20 i32.const 5 i32.sub)'

    def probe(editor: FunctionEditor, cell: Callable[[], bytes]) -> None:
        saved = save_args(editor, 2)
        assert saved is not None and saved.types == ("i32", "i32")
        top = snippets.i32_const(3) + snippets.local_set(saved.locals[0])
        editor.add(2, "before", saved.save + top + saved.restore)
        left = save_results(editor, 2, 1)
        assert left is not None
        double = snippets.local_get(left.locals[0]) * 2 + b"\x6a"
        changed = double + snippets.local_set(left.locals[0])
        editor.add(2, "after", left.save + changed + left.restore)

    assert Probed(text, probe).run() == 34


def test_the_top_operands_alone() -> None:
    text = '(func (export "run") (result i32) i32.const 20 i32.const 5 i32.sub)'

    def probe(editor: FunctionEditor, cell: Callable[[], bytes]) -> None:
        saved = save_args(editor, 2, 1)
        assert saved is not None and len(saved.locals) == 1
        editor.add(2, "before", saved.save + saved.restore)
        assert len(editor.extra_locals) == 1

    assert Probed(text, probe).run() == 15


def test_sites_share_their_locals_but_for_those_that_keep_them() -> None:
    module = CoreModule(wasmtime.wat2wasm("(module (func i32.const 1 drop i32.const 2 drop))"))
    editor = FunctionEditor(FunctionInfo(module, 0))
    places = [
        save_args(editor, 1),
        save_args(editor, 3),
        save_args(editor, 3),
        save_args(editor, 1),
    ]
    assert [saved and saved.locals for saved in places] == [(0,), (0,), (1,), (1,)]
    assert editor.local("i32") == 2


def test_references_that_cannot_be_null() -> None:
    text = """(type $f (func (result i32))) (elem declare func $five)
        (func $five (type $f) i32.const 5)
        (func (export "run") (result i32) ref.func $five call_ref $f)"""

    def probe(editor: FunctionEditor, cell: Callable[[], bytes]) -> None:
        saved = save_args(editor, 1)
        assert saved is not None and saved.types == ("(ref 0)",)
        editor.add(1, "before", saved.save + cell() + saved.restore)

    probed = Probed(text, probe)
    assert probed.run() == 5 and probed.counts == [1]


def test_alt_of_an_instruction_and_of_a_block() -> None:
    text = """(func (export "run") (param i32) (result i32)
        local.get 0 i32.const 5 i32.mul
        if (result i32) i32.const 1 else i32.const 2 end)"""

    def probe(editor: FunctionEditor, cell: Callable[[], bytes]) -> None:
        editor.add(2, "alt", editor.drop_args(2, 1) + cell())
        editor.add(3, "before", cell())
        editor.add(3, "alt", editor.drop_args(3) + snippets.i32_const(9))
        editor.add(4, "before", cell())
        editor.add(3, "after", cell())

    probed = Probed(text, probe)
    assert probed.run(0) == 9
    assert probed.counts == [1, 1, 0, 1]  # what is inside of the block is gone with it


def test_alt_of_else_replaces_its_arm() -> None:
    text = """(func (export "run") (param i32) (result i32)
        local.get 0 if (result i32) i32.const 1 else i32.const 2 i32.const 3 drop end)"""

    def probe(editor: FunctionEditor, cell: Callable[[], bytes]) -> None:
        editor.add(3, "alt", snippets.i32_const(9))
        editor.add(5, "before", cell())

    probed = Probed(text, probe)
    assert [probed.run(0), probed.run(1)] == [9, 1] and probed.counts == [0]


@pytest.mark.parametrize("leaves", [0, 1])
def test_alt_of_what_never_goes_on(leaves: int) -> None:
    """With a result it goes on; without, there is nothing to go on with."""
    text = '(func (export "run") (result i32) unreachable)'

    def probe(editor: FunctionEditor, cell: Callable[[], bytes]) -> None:
        editor.alt(0, snippets.i32_const(4) * leaves, leaves)

    probed = Probed(text, probe)
    if leaves:
        assert probed.run() == 4
        return
    with pytest.raises(wasmtime.Trap, match="unreachable"):
        probed.run()


def test_code_that_cannot_run_is_left_alone() -> None:
    text = '(func (export "run") (result i32) i32.const 1 return drop i32.add)'

    def probe(editor: FunctionEditor, cell: Callable[[], bytes]) -> None:
        assert save_args(editor, 2) is None and save_args(editor, 3) is None
        editor.add(3, "before", cell())
        editor.add(3, "alt", cell())
        editor.add(1, "after", cell())

    probed = Probed(text, probe)
    assert probed.run() == 1 and probed.counts == [0, 0, 0]


def test_the_order_of_what_meets_in_one_place() -> None:
    """Each snippet appends its digit to a number."""
    text = '(global $n (mut i64) (i64.const 0)) (export "n" (global $n)) (func (export "run") nop)'

    def digit(value: int) -> bytes:
        return snippets.global_get(0) + b"\x42\x0a\x7e\x42" + bytes((value,)) + b"\x7c\x24\x00"

    def probe(editor: FunctionEditor, cell: Callable[[], bytes]) -> None:
        editor.add(0, "func_exit", digit(6))
        editor.add(0, "func_entry", digit(3))
        editor.add(0, "before", digit(1))
        editor.add(0, "before", digit(2))
        editor.add(0, "after", digit(4))
        editor.add(1, "before", digit(5))

    probed = Probed(text, probe)
    probed.run()
    assert probed.exports["n"].value(probed.store) == 123456


def test_legacy_exceptions_and_their_arms() -> None:
    """Behind ``catch`` its handler begins, before it the arm before it ends."""
    data = sample("legacy exceptions")
    info = FunctionInfo(CoreModule(data), 0)
    catches = [i for i in range(len(info.steps)) if info.mnemonic(i) == "catch"]
    assert catches
    editor = FunctionEditor(info)
    editor.add(catches[0], "before", NOP)
    editor.add(catches[0], "after", NOP)
    edit = ModuleEdit(info.module)
    edit.replace_body(0, editor.pieces(), editor.extra_locals)
    found = FunctionInfo(CoreModule(edit.encode()), 0)
    names = [found.mnemonic(i) for i in range(catches[0], catches[0] + 3)]
    assert names == ["nop", "catch", "nop"]


@pytest.mark.parametrize("mode", ["entry", "exit", "at_target", "sideways"])
def test_modes_an_instruction_has_not(mode: str) -> None:
    editor = FunctionEditor(FunctionInfo(CoreModule(wasmtime.wat2wasm("(module (func))")), 0))
    with pytest.raises(InternalError):
        editor.add(0, mode, NOP)
