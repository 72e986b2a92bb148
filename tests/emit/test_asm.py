"""The assembler: what it writes is what the engine reads."""

from __future__ import annotations

from typing import Any

import pytest
import wasmtime as wt

from whamm_cm.wasm.asm import Func, Module
from whamm_cm.wasm.opcodes import OPCODES, Imm, Opcode
from whamm_cm.wasm.types import MemoryType


def run(module: Module, name: str, *args: Any) -> Any:
    store = wt.Store()
    instance = wt.Instance(store, wt.Module(store.engine, module.encode()), [])
    return instance.exports(store)[name](store, *args)


@pytest.mark.parametrize(
    "value", [0, 1, 63, 64, -1, -64, -65, 8191, 8192, 2**31 - 1, -(2**31), 2**32 - 1]
)
def test_constants(value: int) -> None:
    module = Module()
    small, large = module.func((), ("i32",)), module.func((), ("i64",))
    small.i32(value)
    large.i64(value)
    module.export_func("small", small.index)
    module.export_func("large", large.index)
    assert run(module, "small") == (value + 2**31) % 2**32 - 2**31
    assert run(module, "large") == value


def test_labels_count_from_the_inside() -> None:
    """Sum 1..n with a loop in a block, left from an if inside the loop."""
    module = Module()
    f = module.func(("i32",), ("i32",))
    total = f.local("i32")
    with f.block() as done, f.loop() as again:
        f.get(0)
        f.op("i32.eqz")
        with f.if_():
            f.br(done)
        f.get(total)
        f.get(0)
        f.op("i32.add")
        f.set(total)
        f.get(0)
        f.i32(1)
        f.op("i32.sub")
        f.tee(0)
        f.i32(1000)
        f.op("i32.lt_u")
        f.br_if(again)
    f.get(total)
    module.export_func("sum", f.index)
    assert run(module, "sum", 10) == 55


def test_memory_globals_and_data() -> None:
    module = Module()
    memory = module.memory(MemoryType(1))
    module.data(memory, 200, b"\x2a\0\0\0")
    counter = module.global_("i32", 100)
    f = module.func((), ("i32",))
    f.global_get(counter)
    f.i32(100)
    f.op("i32.add")
    f.global_set(counter)
    f.global_get(counter)
    f.memory_op("i32.load")
    module.export_func("f", f.index)
    module.export_memory("m", memory)
    assert run(module, "f") == 42


def test_calls_before_the_body_is_written() -> None:
    module = Module()
    first, second = module.func((), ("i32",)), module.func((), ("i32",))
    first.call(second.index)
    second.i32(5)
    module.export_func("f", first.index)
    assert run(module, "f") == 5


def test_locals_are_grouped() -> None:
    f = Func(0, 0, ("i32",))
    assert [f.local(k) for k in ("i32", "i32", "i64", "i32")] == [1, 2, 3, 4]
    assert f.encode() == b"\x08\x03\x02\x7f\x01\x7e\x01\x7f\x0b"


def test_imports_after_functions_are_refused() -> None:
    module = Module()
    module.func()
    with pytest.raises(AssertionError):
        module.import_func("a", "b")


def test_memory_types() -> None:
    assert MemoryType(1).encode() == b"\0\1"
    assert MemoryType(0, 65536, shared=True).encode() == b"\3\0\x80\x80\4"
    assert MemoryType(is64=True, page_size_log2=0).encode() == b"\x0c\0\0"


def test_second_memory_is_addressed() -> None:
    f = Func(0, 0, ())
    f.memory_op("i32.load", 300, 2)
    assert bytes(f.code) == b"\x28\x40\x02\xac\x02"


NUMBERS = [
    opcode for opcode in OPCODES
    if opcode.prefix in (0, 0xFC) and opcode.mnemonic.split(".")[0] in ("i32", "i64", "f32", "f64")
]  # fmt: skip


@pytest.mark.parametrize("opcode", NUMBERS, ids=lambda opcode: str(opcode.mnemonic))
def test_instructions_by_name_are_those_of_the_text_format(opcode: Opcode) -> None:
    """Each name is assembled by wasmtime's own text parser, too."""
    name = opcode.mnemonic
    f = Func(0, 0, ())
    if opcode.immediates == (Imm.MEMARG,):
        kind, op = name.split(".")
        body = "i32.const 0 " + (f"{kind}.const 0 " if "store" in op else "") + f"{name} align=1"
        text = f"(module (memory 1) (func {body} {'' if 'store' in op else 'drop'}))"
        f.memory_op(name)
        assert bytes(f.code) in (raw := bytes(wt.wat2wasm(text)))[raw.rindex(b"\x41\0") :]
    elif not opcode.immediates:
        pairs = "drop drop" if name.endswith(("128", "wide_s", "wide_u")) else "drop"
        f.op(name)
        raw = bytes(wt.wat2wasm(f"(module (func unreachable {name} {pairs}))"))
        assert raw.endswith(b"\0" + bytes(f.code) + b"\x1a" * len(pairs.split()) + b"\x0b")


def test_floats_and_blocks_with_several_results() -> None:
    module = Module()
    pair = module.type_index((), ("f32", "f64"))
    f = module.func((), ("f32", "f64"))
    with f.block(pair):
        f.const("f32", 0.1)
        f.const("f64", -0.0)
    module.export_func("f", f.index)
    single, double = run(module, "f")
    assert single == pytest.approx(0.1, rel=1e-7) and single != 0.1
    assert str(double) == "-0.0"


def test_tables_start_and_imported_globals() -> None:
    """The start function puts into an imported global what a table's function answers."""
    module = Module()
    target = module.import_global("m", "g", "i64")
    table = module.table(3)
    answer = module.func((), ("i64",))
    answer.i64(42)
    init = module.func()
    init.i32(2)
    init.call_indirect(module.type_index((), ("i64",)), table)
    init.i32(0)
    init.table_get(table)
    init.ref_is_null()
    init.op("i64.extend_i32_u", "i64.add")
    init.global_set(target)
    module.elements(2, [answer.index], table)
    module.export_global("g", target)
    module.export_table("t", table)
    module.start(init.index)
    store = wt.Store()
    given = wt.Global(store, wt.GlobalType(wt.ValType.i64(), True), wt.Val.i64(0))
    wt.Instance(store, wt.Module(store.engine, module.encode()), [given])
    assert given.value(store) == 43


def test_elements_of_an_imported_second_table() -> None:
    """The first table has no room: a segment that went there would trap."""
    owner, filler = Module(), Module()
    for size, name in enumerate("ab"):
        owner.export_table(name, owner.table(size, size))
    second = [filler.import_table("o", name) for name in "ab"][1]
    func = filler.func()
    filler.elements(0, [func.index], second)
    store = wt.Store()
    exports = wt.Instance(store, wt.Module(store.engine, owner.encode()), []).exports(store)
    tables = [exports[name] for name in "ab"]
    wt.Instance(store, wt.Module(store.engine, filler.encode()), tables)
    assert isinstance(tables[1].get(store, 0), wt.Func)
