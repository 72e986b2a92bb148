"""Components for the reachability tests: a frame around core module text."""

from __future__ import annotations

import wasmtime

from whamm_cm.analysis.reach.analysis import Reachability, reach
from whamm_cm.component.decode import decode

#: Imports of every framed component, as functions of `host` in the core module.
HOST = ("a", "b", "c")


def framed(core: str, *, lift: str = "", more: str = "") -> str:
    """A component that imports `a`, `b` (no parameters) and `c` (an s32), and exports `run`, which
    is `run` of a core module that has them as $a, $b and $c."""
    return f"""(component
      (import "a" (func $a)) (import "b" (func $b)) (import "c" (func $c (param "x" s32)))
      (core func $a' (canon lower (func $a))) (core func $b' (canon lower (func $b)))
      (core func $c' (canon lower (func $c)))
      (core module $m
        (import "host" "a" (func $a)) (import "host" "b" (func $b))
        (import "host" "c" (func $c (param i32)))
        {core})
      (core instance $i (instantiate $m (with "host" (instance
        (export "a" (func $a')) (export "b" (func $b')) (export "c" (func $c'))))))
      (func $run (canon lift (core func $i "run") {lift}))
      {more}
      (export "run" (func $run)))"""


def analyse(text: str) -> Reachability:
    return reach(decode(wasmtime.wat2wasm(text)))


def reached(text: str, component: int = 0) -> set[str]:
    """The labels of what a component can reach."""
    found = analyse(text).components[component]
    return {item.label for _, item in found.items() if item.reachable}
