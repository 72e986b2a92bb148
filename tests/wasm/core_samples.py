"""Core modules for the tests, by what they exercise; assembled by wasmtime's text parser."""

from __future__ import annotations

from functools import cache

import wasmtime

from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.instructions import expr_steps
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.types import FuncType

#: Module text by name.
SAMPLES = {
    "empty": "(module)",
    "plain": """(module $plain
        (type (func (param i32 i64) (result f32)))
        (import "env" "log" (func $log (param i32)))
        (import "env" "mem" (memory 1 2))
        (import "env" "tab" (table 3 funcref))
        (import "env" "base" (global i32))
        (table $t 2 5 externref)
        (global $g (mut i64) (i64.const -1))
        (global $f funcref (ref.func $log))
        (global $b i32 (i32.add (global.get 0) (i32.const 11)))
        (export "run" (func $run)) (export "memory" (memory 0)) (export "tab" (table $t))
        (export "g" (global $g)) (export "" (func $log))
        (start $init)
        (elem (i32.const 0) $run $log)
        (elem $p func $run)
        (elem declare func $init)
        (elem (table $t) (offset (i32.const 1)) externref (ref.null extern))
        (elem (i32.const 2) funcref (ref.func $run) (item (ref.null func)))
        (func $run (type 0) (local i32 i32 f64) f32.const 1 (memory.init $d (i32.const 0)
            (i32.const 0) (i32.const 1)))
        (func $init (call $log (i32.const 1)))
        (data (i32.const 8) "hello") (data $d "\\0b\\0b\\0b"))""",
    "memories": """(module
        (import "e" "m" (memory $a i64 1 16))
        (memory $b 1) (memory $c 1 4 shared) (memory $d i64 2)
        (func (export "f") (result i32) i32.const 0 i32.load $c offset=4096
            i64.const 0 i32.load $d i32.add)
        (func (memory.copy $b $c (i32.const 0) (i32.const 0) (i32.const 1)))
        (func (drop (i32.atomic.rmw.add $c (i32.const 0) (i32.const 1))) atomic.fence)
        (data (memory $b) (i32.const 0) "x")
        (export "memory" (memory $c)) (export "big" (memory $d)) (export "in" (memory $a)))""",
    "pages": '(module (memory (export "memory") 11 (pagesize 1)))',
    "gc": """(module
        (rec (type $node (sub (struct (field $next (ref null $node)) (field (mut i8)))))
             (type $leaf (sub final $node (struct (field (ref null $node)) (field (mut i8))
                (field (ref func))))))
        (type $bytes (array (mut i8)))
        (type $f (func (param (ref $node) i31ref) (result (ref null $bytes) (ref extern))))
        (table 2 (ref $bytes) (array.new_default $bytes (i32.const 1)))
        (global $n (ref $node) (struct.new $node (ref.null none) (i32.const 3)))
        (elem $e (ref $node) (item (global.get $n)) (struct.new_default $node))
        (func (export "f") (type $f) unreachable)
        (func (result i32) (struct.get_u $node 1 (ref.cast (ref $node) (global.get $n))))
        (func (param (ref $bytes)) (array.fill $bytes (local.get 0) (i32.const 0) (i32.const 7)
            (array.len (local.get 0)))))""",
    "exceptions": """(module
        (type $t (func (param i32)))
        (import "e" "tag" (tag (type $t))) (tag $own (type $t)) (export "own" (tag $own))
        (func (export "f") (result i32)
            (block $h (result i32) (try_table (result i32) (catch $own $h)
                (throw $own (i32.const 1)))))
        (func (block $x (result exnref) (try_table (catch_all_ref $x)) return) throw_ref))""",
    "simd": """(module (memory 1)
        (func (export "f") (param v128) (result v128)
            i32.const 0 local.get 0
            v128.const i64x2 0x0b0b0b0b0b0b0b0b 0x0b0b0b0b0b0b0b0b
            i8x16.shuffle 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11
            v128.load8_lane offset=11 11 (i32x4.splat (i32.const 1)) i32x4.add)
        (func (param v128 v128 v128) (result v128)
            (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2))))""",
    "tail calls": """(module (table 1 funcref)
        (type $s (func (result i32)))
        (func $a (export "a") (result i32) return_call $b)
        (func $b (result i32) (return_call_indirect (type $s) (i32.const 0)))
        (func (param (ref $s)) (result i32) (return_call_ref $s (local.get 0))))""",
    "wide": """(module (func (export "f") (param i64 i64) (result i64 i64)
        (i64.mul_wide_u (local.get 0) (local.get 1))) (table i64 1 funcref))""",
    "legacy exceptions": """(module (tag $t)
        (func (export "f") try (throw $t) catch $t rethrow 0 catch_all end)
        (func try try delegate 0 catch_all end))""",
    "stack switching": """(module
        (type $f (func)) (type $c (cont $f)) (tag $t)
        (func $g (export "g") (suspend $t))
        (func (export "f") (block $h (result (ref $c))
            (resume $c (on $t $h) (cont.new $c (ref.func $g))) return) drop)
        (elem declare func $g))""",
    "names": """(module $outer (func $first) (func) (func $third (param $p i32))
        (@custom "after" (after last) "\\00\\01") (@custom "between" (before code) "x"))""",
}

#: Parsed by wasmtime's text parser, but run by no wasmtime.
NOT_IN_WASMTIME = {"legacy exceptions"}

_FEATURES = (
    "custom_page_sizes", "exceptions", "function_references", "gc", "memory64", "multi_memory",
    "relaxed_simd", "stack_switching", "tail_call", "threads", "wide_arithmetic",
)  # fmt: skip


@cache
def sample(name: str) -> bytes:
    return bytes(wasmtime.wat2wasm(SAMPLES[name]))


@cache
def engine() -> wasmtime.Engine:
    """Every proposal the bindings have a switch for."""
    config = wasmtime.Config()
    for feature in _FEATURES:
        setattr(config, f"wasm_{feature}", True)
    config.shared_memory = True
    return wasmtime.Engine(config)


def end_of(data: bytes | memoryview, start: int, end: int) -> int:
    """The position behind the expression at ``start``."""
    cur = Cursor(data, start, end)
    for _ in expr_steps(cur):
        pass
    return cur.pos


def exported_func_type(module: CoreModule, name: str) -> FuncType:
    export = module.export(name)
    assert export is not None and export.kind == "func"
    return module.func_type(export.index)
