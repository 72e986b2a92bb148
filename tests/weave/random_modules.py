"""Modules for random scripts: one for each part of the instruction set, and random programs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from wasmtime import (
    Config,
    Engine,
    FuncType,
    Linker,
    Module,
    Store,
    Trap,
    ValType,
    WasiConfig,
    wat2wasm,
)

from tests.wasm.core_samples import SAMPLES

_TEXTS = {
    "simd": """(module (memory 1)
      (func (export "f") (param v128 i32) (result v128) (local v128)
        (local.set 2 (i32x4.add (local.get 0) (i32x4.splat (local.get 1))))
        (v128.store (i32.const 16) (local.get 2))
        (select (v128.load32_lane 1 (i32.const 4) (local.get 2)) (v128.const i64x2 1 2)
          (v128.any_true (local.get 0))))
      (func (result f64) (f64x2.extract_lane 1 (f64x2.mul (v128.load (i32.const 0))
        (v128.const f64x2 1 2)))))""",
    "tail calls": """(module (table 2 funcref) (type $f (func (param i32) (result i64)))
      (elem (i32.const 0) $a $b)
      (func $a (export "a") (type $f) (if (local.get 0) (then (return_call $b (local.get 0))))
        (i64.const 1))
      (func $b (type $f) (return_call_indirect (type $f)
        (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))
      (func (param (ref $f)) (result i64) (return_call_ref $f (i32.const 0) (local.get 0))))""",
    "exceptions": """(module (tag $t (param i32 f64)) (tag $u)
      (func $throws (param i32) (if (local.get 0) (then (throw $t (i32.const 1) (f64.const 2))))
        (throw $u))
      (func (export "f") (param i32) (result i32)
        (block $all (result exnref)
          (block $u
            (block $t (result i32 f64)
              (try_table (catch $t $t) (catch $u $u) (catch_all_ref $all)
                (call $throws (local.get 0)))
              (return (i32.const 0)))
            drop return)
          (return (i32.const 3)))
        throw_ref))""",
    "references": """(module (type $f (func (param i32) (result i32)))
      (type $s (struct (field (mut i32)) (field i16))) (type $a (array (mut f32)))
      (table $t 4 funcref) (elem declare func $g)
      (func $g (type $f) (local.get 0))
      (func (export "f") (param anyref) (result i32) (local (ref null $f))
        (table.set $t (i32.const 1) (ref.func $g))
        (drop (table.get $t (i32.const 1)))
        (drop (block $no (result (ref null struct)) (br_on_cast_fail $no anyref (ref $s)
          (local.get 0)) (return (struct.get_s $s 1))))
        (local.set 1 (ref.func $g))
        (block $null (drop (br_on_null $null (local.get 1))))
        (call_ref $f (i31.get_s (ref.i31 (i32.const 5))) (ref.as_non_null (local.get 1))))
      (func (result f32) (array.get $a (array.new $a (f32.const 1) (i32.const 3)) (i32.const 0)))
      (func (param (ref $s)) (struct.set $s 0 (local.get 0) (ref.eq (local.get 0) (ref.null $s)))))
      """,
    "wide memory": """(module (memory i64 1) (memory $two 1)
      (func (export "f") (param i64) (result i64)
        (i64.store offset=8 (local.get 0) (i64.load16_s $two (i32.const 3)))
        (memory.fill (i64.const 0) (i32.const 1) (i64.const 8))
        (memory.copy 0 $two (i64.const 0) (i32.const 0) (i32.const 4))
        (drop (memory.grow $two (i32.const 1)))
        (i64.add (memory.size) (i64.const 1))))""",
    "values": """(module
      (func $two (param i32 f32) (result f32 i32) (local.get 1) (local.get 0))
      (func (export "f") (param i32 f64) (result i64 f32)
        (i64.const 7) (f32.const 1)
        (block $b (param i64 f32) (result i64 f32)
          (br_table $b $b 1 (local.get 0)))
        (loop $l (param f32) (result f32)
          (call $two (i32.const 0)) (br_if $l))
        (if (result i32) (local.get 0) (then (i32.const 1)) (else unreachable))
        drop))""",
}


def _wasm(text: str) -> bytes:
    return bytes(wat2wasm(text))


#: Modules by what they are about.
FEATURES = {
    name: _wasm(text)
    for name, text in {**_TEXTS, **{f"sample {n}": t for n, t in SAMPLES.items()}}.items()
}


def program_module(code: Sequence[str]) -> bytes:
    """``run`` executes a program of ``control_programs``; choices lie in memory as bytes, ``used``
    says how many were taken, and behind the last it traps."""
    lines = "\n".join(code)
    return _wasm(f"""(module
      (memory (export "memory") 1)
      (global $used (export "used") (mut i32) (i32.const 0))
      (func $choose (result i32)
        (if (i32.ge_u (global.get $used) (i32.load8_u (i32.const 0))) (then unreachable))
        (global.set $used (i32.add (global.get $used) (i32.const 1)))
        (i32.load8_u (global.get $used)))
      (func $run {lines})
      (func (export "run") (call $run)))""")


@cache
def _engine() -> Engine:
    config = Config()
    config.consume_fuel = True
    for feature in ("multi_memory", "bulk_memory", "reference_types"):
        setattr(config, f"wasm_{feature}", True)
    return Engine(config)


def observed(wasm: bytes, choices: Sequence[int]) -> tuple[int, bool] | None:
    """How many choices a program took and whether it trapped; None when it does not end soon."""
    store = Store(_engine())
    store.set_fuel(50_000_000)
    store.set_wasi(WasiConfig())
    linker = Linker(_engine())
    linker.define_wasi()
    emit = FuncType([ValType.i32(), ValType.i32()], [ValType.i32()])
    linker.define_func("whamm:cm/sink", "emit", emit, lambda at, size: 0)
    exports = linker.instantiate(store, Module(_engine(), wasm)).exports(store)
    memory = exports["memory"]
    memory.write(store, bytes([len(choices), *choices]))  # type: ignore[union-attr]
    trapped = False
    try:
        exports["run"](store)  # type: ignore[operator]
    except Trap as trap:
        if "fuel" in str(trap):
            return None
        trapped = True
    return exports["used"].value(store), trapped  # type: ignore[union-attr]
