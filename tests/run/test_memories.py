"""Memories that we make for the engine: as good as its own, and readable when the guest is gone."""

from __future__ import annotations

import gc

import pytest
from wasmtime import Engine, Instance, Module, Store, Trap, WasmtimeError, wat2wasm

from whamm_cm.run.engine import run_engine
from whamm_cm.run.memories import _HELD, Memories, supported

pytestmark = pytest.mark.skipif(not supported(), reason="no host memories here")

TEXT = """(module (memory $a (export "a") 3 777) (memory $b 1) (memory $c i64 1 200000)
  (data (memory $a) (i32.const 10) "hello")
  (func (export "grow") (param i32) (result i32) (memory.grow $a (local.get 0)))
  (func (export "load") (param i32) (result i32) (i32.load $a (local.get 0)))
  (func (export "grow64") (param i64) (result i64) (memory.grow $c (local.get 0)))
  (func (export "load64") (param i64) (result i32) (i32.load $c (local.get 0)))
  (func (export "store64") (param i64 i32) (i32.store $c (local.get 0) (local.get 1)))
  (func (export "die") unreachable))"""
PAGE = 65536


def made() -> tuple[Memories, Engine, Store, dict]:
    memories = Memories(777)
    engine = run_engine(cache=False, memories=memories)
    store = Store(engine)
    store.set_epoch_deadline(1)
    instance = Instance(store, Module(engine, wat2wasm(TEXT)), [])
    return memories, engine, store, dict(instance.exports(store))


def test_growth_and_bounds_are_those_of_any_memory() -> None:
    _, _, store, call = made()
    assert call["grow"](store, 5) == 3
    assert call["grow"](store, 770) == -1
    assert call["load"](store, 8 * PAGE - 4) == 0
    for at in (8 * PAGE, 8 * PAGE - 3, -4):
        with pytest.raises((Trap, WasmtimeError), match="out of bounds memory access"):
            call["load"](store, at)


def test_memories_nobody_holds_any_more_serve_their_engine() -> None:
    engine, store, call = made()[1:]
    gc.collect()
    assert call["grow"](store, 5) == 3
    assert call["load"](store, 8 * PAGE - 4) == 0
    held = len(_HELD)
    del engine, store, call
    gc.collect()
    assert len(_HELD) == held - 1


def test_a_memory_that_outgrows_its_place_moves_with_its_content() -> None:
    """64-bit ones may: what is set aside at first is 4 GiB."""
    _, _, store, call = made()
    call["store64"](store, 100, 77)
    assert call["grow64"](store, 70_000) == 1
    assert call["load64"](store, 100) == 77
    assert call["load64"](store, 70_000 * PAGE) == 0
    with pytest.raises((Trap, WasmtimeError), match="out of bounds memory access"):
        call["load64"](store, 70_001 * PAGE)


def test_only_marked_ones_are_kept_and_outlive_the_store() -> None:
    memories, engine, store, call = made()
    with pytest.raises((Trap, WasmtimeError), match="unreachable"):
        call["die"](store)
    (kept,) = memories.marked(0)
    assert not list(memories.marked(1))
    kept.write(14, b"OH")
    assert kept.read(8, 9) == b"\0\0hellOH\0"
    assert kept.read(3 * PAGE - 2, 10) == b"\0\0"
    del store, call, engine
    gc.collect()
    assert kept.read(8, 9) == b"\0\0hellOH\0"
    memories.close()
