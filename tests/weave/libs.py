"""Libraries in text, and the smallest surroundings they run in: state.wasm, and a script unit by
hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from wasmtime import wat2wasm

from whamm_cm.agent.layout import load_wasm
from whamm_cm.component import build
from whamm_cm.component.ir import Component
from whamm_cm.component.items import Item, Sort
from whamm_cm.component.nodes import Export
from whamm_cm.emit.way import build_way
from whamm_cm.wasm.link import Part
from whamm_cm.weave.enclose import Outer, enclose
from whamm_cm.weave.libraries import (
    Library,
    beside,
    definitions,
    load_library,
)

WASI = "wasi_snapshot_preview1"


def text(source: str) -> bytes:
    return bytes(wat2wasm(source))


def shown_scripts() -> list[str]:
    """The scripts in docs/libraries.md."""
    page = (Path(__file__).parents[2] / "docs" / "libraries.md").read_text("utf-8")
    return [
        block for block in re.findall(r"^```text\n(.*?)^```$", page, re.S | re.M) if "use " in block
    ]


def module_library(body: str, name: str = "lib") -> Library:
    return load_library(name, text(f"(module {body})"), f"{name}.wasm")


def component_library(body: str, name: str = "lib") -> Library:
    return load_library(name, text(f"(component {body})"), f"{name}.wasm")


#: State memory and the four functions that text needs; what is printed lies one behind the other
#: at 1024, ``printed`` says where it ends.  A text begins with the number of its site, one byte.
FAKE_STATE = text("""(module
  (memory (export "memory") 4)
  (global $end (export "printed") (mut i32) (i32.const 1024))
  (func (export "tmp") (param i32) (result i32) (i32.const 131072))
  (func (export "st8") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
  (func (export "st64") (param i32 i64) (i64.store (local.get 0) (local.get 1)))
  (func (export "raw_print") (param $site i32) (param $at i32) (param $size i32)
    (i32.store8 (global.get $end) (local.get $site))
    (memory.copy (i32.add (global.get $end) (i32.const 1)) (local.get $at) (local.get $size))
    (global.set $end
      (i32.add (i32.add (global.get $end) (i32.const 1)) (local.get $size)))))""")


def fake_state() -> Part:
    return Part("state", FAKE_STATE, "state", {"memory": "memory", "printed": "printed"})


def real_state() -> list[Part]:
    """state.wasm with the agent, and a way out that leads nowhere."""
    return [
        Part("state", load_wasm("state.wasm"), "state", {"memory": "memory"}),
        Part("agent", load_wasm("agent.wasm"), "agent"),
        Part("way", build_way(False, False), "way"),
    ]


def component_with(
    library: Library,
    unit: str,
    functions: Sequence[tuple[str, Sequence[str], str | None]],
    original: Component | None = None,
    state: bytes | None = None,
) -> Component:
    """A component with ``library`` and a core module ``unit`` (text) that imports it and the state;
    ``functions``: exports of the unit to lift, with primitive types.  ``original``: a component
    whose imports this one has."""
    agent = build.core_module(load_wasm("agent.wasm"))
    agent_instance = build.core_instantiate(agent.item, ())
    way = build.core_module(build_way(False, False))
    way_instance = build.core_instantiate(way.item, ())
    runtime_module = build.core_module(state or load_wasm("state.wasm"))
    args = [] if state else [("agent", agent_instance.item), ("way", way_instance.item)]
    runtime = build.core_instantiate(runtime_module.item, args)
    out = [agent, agent_instance, way, way_instance, runtime_module, runtime]
    names = library.import_names()
    threaded = library.imported(names) if library.kind == "component" else None
    embedded = definitions(library, runtime.item, 3, threaded and threaded[1])
    module = build.core_module(text(f"(module {unit})"))
    imports: list[tuple[str, Item]] = [(library.name, embedded.instance)]
    imports.append(("state", runtime.item))
    instance = build.core_instantiate(module.item, imports)
    out += [*embedded.definitions, module, instance]
    for name, params, result in functions:
        func = build.alias_core_export(instance.item, name.replace("-", "_"), Sort.CORE_FUNC)
        named = [(f"p{i}", prim) for i, prim in enumerate(params)]
        type_ = build.func_type(named, result)
        memory = build.alias_core_export(runtime.item, "memory", Sort.CORE_MEMORY)
        lift = build.canon_lift(func.item, type_.item, memory.item)
        out += [func, type_, memory, lift, build.export_plain(name, lift.item)]
    if threaded is None:
        return Component(tuple(out))
    first = original or Component(())
    exports = [d for d in out if isinstance(d.node, Export)]
    placed = beside(library, first, names)
    outer = Outer.around(first.with_definitions((*first.definitions, *exports)))
    outer.add(*placed.definitions)
    inner = Component((*first.definitions, *threaded[0], *out))
    return enclose(outer, inner, tuple(placed.functions.items()))
