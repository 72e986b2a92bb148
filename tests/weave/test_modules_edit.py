"""Editing core modules: what is not touched stays, what is added works, indices follow."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import mark, raises

from fixtures.build import build
from tests.wasm.core_samples import NOT_IN_WASMTIME, SAMPLES, engine, sample
from whamm_cm.component.decode import decode
from whamm_cm.component.ir import walk
from whamm_cm.errors import InternalError
from whamm_cm.wasm.asm import Func
from whamm_cm.wasm.edit import ModuleEdit
from whamm_cm.wasm.leb import name_bytes, unsigned
from whamm_cm.wasm.module import CoreModule, MemoryType

EXAMPLES = max(1, int(40 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))
FIXTURES = ("command", "relay", "relay_utf16", "resources", "nested", "async", "memory64", "start")


@cache
def modules() -> dict[str, CoreModule]:
    """Every core module at hand, by name."""
    found = {name: CoreModule(sample(name)) for name in SAMPLES if name not in NOT_IN_WASMTIME}
    for name in FIXTURES:
        parts = walk(decode(build(name)))
        nodes = [one.node for part in parts for one in part.definitions]
        cores = [node for node in nodes if isinstance(node, CoreModule)]
        found |= {f"{name} {i}": CoreModule(bytes(core.data)) for i, core in enumerate(cores)}
    return found


def assert_valid(data: bytes) -> None:
    wasmtime.Module.validate(engine(), data)


def wat(text: str) -> CoreModule:
    return CoreModule(bytes(wasmtime.wat2wasm(text)))


def test_nothing_edited_is_the_input() -> None:
    for name, module in modules().items():
        edit = ModuleEdit(module)
        assert edit.encode() == bytes(module.data), name
        assert edit.dropped == []


KINDS = ("func", "global", "memory", "table")
edits_of_a_kind = st.sampled_from(
    (*KINDS, "new global", "new func", "new memory", "data", "export", "body")
)


def body_of(code: bytes) -> bytes:
    return unsigned(len(code) + 2) + b"\0" + code + b"\x0b"


def import_one(edit: ModuleEdit, kind: str, name: str) -> None:
    match kind:
        case "func":
            edit.import_func("added", name, ("i64", b"\x70"), ("f32",))
        case "global":
            edit.import_global("added", name, "i64", True)
        case "memory":
            edit.import_memory("added", name, MemoryType(1, 2))
        case "table":
            edit.import_table("added", name, b"\x70\x00\x01")


def change(edit: ModuleEdit, kind: str, name: str) -> None:
    """One addition of that kind, if the module has what it takes."""
    module = edit.module
    match kind:
        case "new global":
            edit.add_global("f64", 0.5)
        case "new func":
            index = edit.add_func(edit.type_index((), ("i32",)), body_of(b"\x41\x07"))
            edit.name_func(index, name)
        case "new memory":
            edit.add_memory(MemoryType(1, 3, is64=True))
        case "data":
            edit.add_data(edit.add_memory(MemoryType(1)), 8, b"data")
        case "export":
            edit.add_export(name, "global", edit.add_global("i32", -1))
        case "body" if module.bodies:
            index = len(name) % len(module.bodies)
            counter = unsigned(edit.add_global("i64", 0))
            count = b"\x23" + counter + b"\x42\x01\x7c\x24" + counter
            places = [at for at, _, _ in module.instructions(index)]
            pieces: list[tuple[int, int] | bytes] = []
            for start, end in zip(places, [*places[1:], module.bodies[index].end], strict=True):
                pieces += (count, (start, end))
            edit.replace_body(index, pieces, ["i32", "i32", "f64"])


@settings(max_examples=EXAMPLES)
@given(st.data(), st.lists(edits_of_a_kind, max_size=8))
def test_any_edits_of_any_module_give_a_valid_module(data: st.DataObject, kinds: list[str]) -> None:
    name = data.draw(st.sampled_from(sorted(modules())))
    edit = ModuleEdit(modules()[name])
    for number, kind in enumerate(kinds):
        if kind in KINDS:
            import_one(edit, kind, f"import {number}")
    for number, kind in enumerate(kinds):
        change(edit, kind, f"{'x' * number} {number}")
    edited = edit.encode()
    assert_valid(edited)
    assert edit.encode() == edited
    again = CoreModule(edited)
    assert [e.name for e in again.exports][: len(edit.module.exports)] == [
        e.name for e in edit.module.exports
    ]


@mark.parametrize("kind", KINDS)
def test_imports_of_each_kind_into_every_module(kind: str) -> None:
    for module in modules().values():
        edit = ModuleEdit(module)
        import_one(edit, kind, "a")
        import_one(edit, kind, "b")
        assert_valid(edit.encode())


@mark.oracle
@mark.skipif(shutil.which("wasm-tools") is None, reason="wasm-tools is not installed")
def test_the_oracle_agrees() -> None:
    for name, module in modules().items():
        edit = ModuleEdit(module)
        for kind in KINDS:
            import_one(edit, kind, kind)
        command = ["wasm-tools", "validate", "--features", "all", "-"]
        done = subprocess.run(command, input=edit.encode(), capture_output=True)
        assert done.returncode == 0, (name, done.stderr)


EVERYTHING = """(module
    (type $ii (func (param i32) (result i32)))
    (import "e" "f" (func $imported (param i32) (result i32)))
    (import "e" "g" (global $base i32))
    (memory $m 1) (memory $n 1)
    (table $t 4 funcref) (table $u 4 funcref)
    (tag $e (param i32))
    (global $counter (mut i32) (i32.const 5))
    (global $fun funcref (ref.func $double))
    (elem (i32.const 0) $double $imported)
    (elem $p func $triple)
    (elem (table $u) (i32.const 1) func $triple)
    (elem (i32.const 2) funcref (ref.func $triple) (ref.null func))
    (data (i32.const 0) "\\01\\02\\03\\04")
    (data $d "\\09\\08")
    (data (memory $n) (i32.const 4) "\\05\\06")
    (start $init)
    (func $init (global.set $counter (i32.add (global.get $counter) (global.get $base))))
    (func $double (type $ii) (i32.mul (local.get 0) (i32.const 2)))
    (func $triple (type $ii) (i32.mul (local.get 0) (i32.const 3)))
    (func $thrower (throw $e (i32.const 100)))
    (func (export "run") (result i32)
        (memory.init $d (i32.const 1) (i32.const 0) (i32.const 2))
        (table.init $t $p (i32.const 3) (i32.const 0) (i32.const 1))
        (block $h (result i32) (try_table (catch $e $h) (call $thrower)) (i32.const 0))
        (i32.add (global.get $counter))
        (i32.add (call $double (i32.const 1000)))
        (i32.add (call $imported (i32.const 7)))
        (i32.add (call_indirect $t (type $ii) (i32.const 10000) (i32.const 0)))
        (i32.add (call_indirect $u (type $ii) (i32.const 100000) (i32.const 1)))
        (i32.add (call_indirect $t (type $ii) (i32.const 1000000) (i32.const 3)))
        (i32.add (i32.load8_u (i32.const 1)))
        (i32.add (i32.load8_u $n offset=1 (i32.const 4)))
        (i32.add (memory.size $n))
        (i32.add (table.size $u))
        (i32.add (select (result i32) (i32.const 1) (i32.const 2) (ref.is_null (ref.func $init)))))
    (elem declare func $init))"""


def run(data: bytes) -> object:
    """What its ``run`` returns; imports that were added are any that fit."""
    store = wasmtime.Store(engine())
    module = wasmtime.Module(engine(), data)
    extra = wasmtime.Module(
        engine(),
        wasmtime.wat2wasm("""(module
        (func (export "func") (param i64 funcref) (result f32) unreachable)
        (global (export "global") (mut i64) (i64.const 0)) (memory (export "memory") 1 2)
        (table (export "table") 1 funcref) (tag (export "tag") (param i32))
        (func (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
        (global (export "g") i32 (i32.const 3)))"""),
    )
    given = wasmtime.Instance(store, extra, []).exports(store)
    imports = [given[one.name.split()[0]] for one in module.imports]
    run_it = wasmtime.Instance(store, module, imports).exports(store)["run"]
    assert isinstance(run_it, wasmtime.Func)
    return run_it(store)


@mark.parametrize(
    ("kinds", "count"),
    [*(((kind,), 3) for kind in KINDS), (KINDS, 1), (("func", "global"), 200)],
)
def test_imports_leave_results_as_they_are(kinds: tuple[str, ...], count: int) -> None:
    module = wat(EVERYTHING)
    edit = ModuleEdit(module)
    for number in range(count):
        for kind in kinds:
            import_one(edit, kind, f"{kind} {number}")
    assert run(edit.encode()) == run(bytes(module.data)) == 3_322_138


def test_final_indices_are_those_of_the_output() -> None:
    edit = ModuleEdit(wat(EVERYTHING))
    assert edit.import_func("added", "func", ("i64", "funcref"), ("f32",)) == 1
    assert edit.import_global("added", "global", "i64", True) == 1
    assert [edit.final_func(index) for index in (0, 1, 5)] == [0, 2, 6]
    assert [edit.final_global(index) for index in (0, 1, 2)] == [0, 2, 3]
    assert edit.final_memory(1) == 1
    assert edit.add_global("f32", 1.5) == 4
    func = edit.add_func(edit.type_index((), ()), body_of(b""))
    assert func == 7
    edit.add_export("added", "func", func)
    edit.name_func(func, "late")
    again = CoreModule(edit.encode())
    assert again.export("added") is not None and again.names.functions[7] == "late"
    assert again.names.functions[0] == "imported" and again.names.functions[2] == "init"
    assert again.start == 2
    assert again.func_type(7).params == ()


def test_imports_come_before_final_indices() -> None:
    edit = ModuleEdit(wat(EVERYTHING))
    edit.final_func(3)
    edit.import_global("added", "global", "i64", True)
    with raises(InternalError, match="func import 'late' is added after a final index was given"):
        edit.import_func("added", "late", (), ())


def test_a_replaced_body_counts_its_instructions() -> None:
    module = wat("""(module (func $add (param i32 i32) (result i32) (local i64)
        (i32.add (local.get 0) (local.get 1)))
        (func (export "run") (result i32) (call $add (i32.const 20) (i32.const 22))))""")
    edit = ModuleEdit(module)
    edit.import_func("e", "f", ("i32",), ("i32",))
    counter = edit.add_global("i32", 0)
    pieces: list[tuple[int, int] | bytes] = []
    for at, _, end in module.instructions(0):
        count = Func(0, 0, ())
        count.global_get(counter)
        count.i32(1)
        count.op("i32.add")
        count.global_set(counter)
        pieces += (bytes(count.code), (at, end))
    edit.replace_body(0, pieces, ["i32"])
    edit.add_export("counter", "global", counter)
    edited = edit.encode()
    assert run(edited) == 42
    assert CoreModule(edited).bodies[0].locals == ((1, "i64"), (1, "i32"))
    store = wasmtime.Store(engine())
    host = wasmtime.Func(
        store,
        wasmtime.FuncType([wasmtime.ValType.i32()] * 1, [wasmtime.ValType.i32()]),
        lambda x: x,
    )
    out = wasmtime.Instance(store, wasmtime.Module(engine(), edited), [host]).exports(store)
    assert isinstance(out["run"], wasmtime.Func) and out["run"](store) == 42
    assert isinstance(out["counter"], wasmtime.Global) and out["counter"].value(store) == 4


def test_code_of_another_function_can_be_taken() -> None:
    module = wat("""(module (func $one (result i32) i32.const 1)
        (func $two (result i32) call $one) (func (export "run") (result i32) i32.const 9))""")
    edit = ModuleEdit(module)
    edit.import_func("e", "f", ("i32",), ("i32",))
    other = module.bodies[1]
    edit.replace_body(2, [(other.code, other.end)])
    assert run(edit.encode()) == 1


def test_types_are_found_again_unless_they_are_of_a_larger_group() -> None:
    edit = ModuleEdit(
        wat("""(module (rec (type (func)) (type (struct)))
        (type (func (param i32))) (type (sub (func (result i64)))))""")
    )
    assert edit.type_index(("i32",), ()) == 2
    assert edit.type_index((), ()) == 4
    assert edit.type_index((), ("i64",)) == 5
    assert edit.type_index((), (b"\x63\x01",)) == 6
    assert edit.type_index((), ()) == 4
    assert_valid(edit.encode())


def custom(name: str) -> bytes:
    payload = name_bytes(name) + b"\0\0"
    return b"\0" + unsigned(len(payload)) + payload


CODE = "(module (func $f) (func (call $f)))"
ABOUT_CODE = [".debug_info", "sourceMappingURL", "metadata.code.branch_hint", "reloc.CODE"]


def with_customs() -> CoreModule:
    names = [*ABOUT_CODE, "producers", "target_features"]
    return CoreModule(bytes(wat(CODE).data) + b"".join(custom(name) for name in names))


def test_sections_about_code_are_dropped_when_code_moves() -> None:
    edit = ModuleEdit(with_customs())
    edit.import_func("e", "f", (), ())
    kept = [s.name for s in CoreModule(edit.encode()).custom_sections]
    assert edit.dropped == ABOUT_CODE
    assert kept == ["name", "producers", "target_features"]


def test_sections_about_code_stay_when_it_does_not_move() -> None:
    edit = ModuleEdit(with_customs())
    edit.add_global("i32", 0)
    kept = [s.name for s in CoreModule(edit.encode()).custom_sections]
    assert edit.dropped == ["sourceMappingURL"]  # it counts from the start of the module
    assert ".debug_info" in kept


def test_a_malformed_name_section_goes_when_indices_move() -> None:
    broken = b"\0" + unsigned(8) + name_bytes("name") + b"\1\7\1"
    module = CoreModule(bytes(wasmtime.wat2wasm("(module (func))")) + broken)
    edit = ModuleEdit(module)
    edit.add_global("i32", 0)
    assert edit.encode().endswith(broken)
    edit = ModuleEdit(module)
    edit.import_func("e", "f", (), ())
    assert not CoreModule(edit.encode()).custom_sections and edit.dropped == ["name"]


def test_padded_indices_stay_padded() -> None:
    code = b"\0\x10\x81\x80\x80\x80\0\x0b"
    sections = [(1, b"\1\x60\0\0"), (3, b"\2\0\0"), (10, b"\2" + unsigned(8) + code + b"\2\0\x0b")]
    raw = b"\0asm\1\0\0\0" + b"".join(
        bytes((number,)) + unsigned(len(payload)) + payload for number, payload in sections
    )
    edit = ModuleEdit(CoreModule(raw))
    edit.import_func("e", "f", (), ())
    assert b"\0\x10\x82\x80\x80\x80\0\x0b" in edit.encode()


@mark.parametrize("flags", [b"\0", b"\x80\0", b"\x80\x80\x80\x80\0"])
def test_flags_of_a_segment_may_take_more_bytes_than_they_need(flags: bytes) -> None:
    """Those of active segments of table 0 and memory 0, which are others behind an import."""
    sections = {
        4: b"\1\x70\0\0", 5: b"\1\0\0", 9: b"\1" + flags + b"\x41\0\x0b\0",
        11: b"\1" + flags + b"\x41\0\x0b\0",
    }  # fmt: skip
    wasm = b"".join(bytes((number, len(each))) + each for number, each in sections.items())
    edit = ModuleEdit(CoreModule(b"\0asm\1\0\0\0" + wasm))
    table = edit.import_table("more", "t", b"\x70\0\1")
    edit.import_memory("more", "m", MemoryType(1))
    woven = CoreModule(edit.encode())
    assert table == 0
    assert [(each.mode, each.table) for each in woven.elements] == [("active", 1)]
    assert [(each.mode, each.memory) for each in woven.data_segments] == [("active", 1)]
