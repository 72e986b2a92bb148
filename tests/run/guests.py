"""Guests for the runner tests: text components of fixtures/wat/, assembled on the fly."""

from __future__ import annotations

from pathlib import Path

from wasmtime import wat2wasm

ROOT = Path(__file__).parents[2]

# Every list lowers to a pointer and a length, so one core function echoes lists of any type.
_ECHO = """
(component
  (core module $m
    (memory (export "memory") 64)
    (global $next (mut i32) (i32.const 64))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (local.get $at))
    (func (export "echo") (param i32 i32) (result i32)
      (i32.store (i32.const 0) (local.get 0))
      (i32.store (i32.const 4) (local.get 1))
      (i32.const 0)))
  (core instance $i (instantiate $m))
  %s
  (func (export "echo") (param "x" %s) (result %s) (canon lift (core func $i "echo")
    (memory $i "memory") (realloc (func $i "realloc")))))
"""


def assemble(name: str) -> bytes:
    return bytes(wat2wasm((ROOT / "fixtures" / "wat" / f"{name}.wat").read_text()))


def echo_component(type_text: str, definitions: str = "") -> bytes:
    """A component whose ``echo`` returns its argument, a list or a string."""
    return bytes(wat2wasm(_ECHO % (definitions, type_text, type_text)))
