"""The wall clock for scripts, as a function of a component that is made for it: what clocks of
WASI give is a record, which the caller needs a memory for, and scripts want a number."""

from __future__ import annotations

from dataclasses import replace

from whamm_cm.component import build
from whamm_cm.component import nodes as n
from whamm_cm.component.ir import Component, Definition
from whamm_cm.component.items import Item, Sort
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import WeaveError
from whamm_cm.wasm.asm import Module
from whamm_cm.wasm.leb import name_bytes
from whamm_cm.wasm.types import MemoryType
from whamm_cm.weave.identity import WALL, wall_clock
from whamm_cm.weave.interface import Interface
from whamm_cm.weave.supply import (
    editor_for,
    find_import,
    import_names,
    instance_type,
    interface_import,
    is_release,
    version_of,
)
from whamm_cm.weave.wiring import SinkWiring
from whamm_cm.wit.names import InterfaceName

#: The same in WASI 0.3, where seconds have a sign.
SYSTEM = "wasi:clocks/system-clock"
_S64 = b"\x78"
_INSTANT = b"\x72\x02" + name_bytes("seconds") + _S64 + name_bytes("nanoseconds") + b"\x79"
_EACH_SECOND = 10**9


@dataclass(frozen=True, slots=True)
class Wall:
    """``function`` gives a u64, nanoseconds since 1970.  ``imports``: what the root has to import
    for it, none where a sink does; ``definitions``: what is made of them."""

    function: Item
    imports: tuple[Interface, ...]
    definitions: tuple[Definition, ...]


def walled(root: Component, wiring: SinkWiring | None) -> tuple[SinkWiring | None, Wall]:
    """The clock, and the ``wiring`` of the sink with it, if that asks the same one.

    Raises WeaveError where the component has such an import that cannot be added to."""
    given = {} if wiring is None else dict(wiring.args)
    if wiring is not None and "wall" in given:
        made, function = _reader(given["datetime"], given["wall"], "u64")
        imports = tuple(
            _with(each, made) if _defines(each, given["wall"]) else each for each in wiring.imports
        )
        return replace(wiring, imports=imports), Wall(function, (), made)
    path = _path(root)
    definition = find_import(root, path, _spoken)
    if definition is not None and instance_type(root, definition) is None:
        assert isinstance(definition.node, n.Import)
        raise WeaveError(
            f"wall() asks {definition.node.name.name}, which the component imports with a type that"
            " is not defined beside it, so that nothing can be added; use now()"
        )
    if path == SYSTEM:
        interface, type_, now = _system_clock(root, definition)
        made, function = _reader(type_, now, "s64")
    else:
        interface, args = wall_clock(root)
        made, function = _reader(dict(args)["datetime"], dict(args)["wall"], "u64")
    return wiring, Wall(function, (_with(interface, made),), made)


def _with(interface: Interface, more: tuple[Definition, ...]) -> Interface:
    return replace(interface, definitions=(*interface.definitions, *more))


def _defines(interface: Interface, item: Item) -> bool:
    return any(item in definition.items for definition in interface.definitions)


def _spoken(version: str) -> bool:
    return is_release(version) or version.startswith("0.3.")


def _path(root: Component) -> str:
    """The interface that has the clock in the version the component speaks."""
    versions = _versions(root)
    newer = any(version.startswith("0.3.") for version in versions)
    return SYSTEM if newer and not any(map(is_release, versions)) else WALL


def _system_clock(root: Component, definition: Definition | None) -> tuple[Interface, Item, Item]:
    """The clock of WASI 0.3, its type and its function."""
    editor = editor_for(root, definition)
    if "instant" not in editor.types:
        index = editor.count
        editor.define(_INSTANT)
        editor.export_type("instant", index)
    if "now" not in editor.exports:
        editor.export_func("now", [], editor.value(editor.types["instant"]))
    version = version_of(definition) or _newer(root)
    interface = interface_import(root, definition, f"{SYSTEM}@{version}", editor)
    interface, type_ = interface.with_alias("instant", Sort.TYPE)
    interface, now = interface.with_alias("now", Sort.FUNC)
    return interface, type_, now


def _newer(root: Component) -> str:
    """The version of WASI 0.3 that the component speaks."""
    return next(version for version in _versions(root) if version.startswith("0.3."))


def _versions(root: Component) -> list[str]:
    """Those of the interfaces of WASI that are imported."""
    names = map(InterfaceName.try_parse, import_names(root))
    return [each.version or "" for each in names if each is not None and each.namespace == "wasi"]


def _reader(type_: Item, now: Item, seconds: n.ValRef) -> tuple[tuple[Definition, ...], Item]:
    """A component that is given the clock, its type and its function, and what it exports."""
    record = build.record_type((("seconds", seconds), ("nanoseconds", "u32")))
    named = build.import_("datetime", "type", record.item)
    wall_type = build.func_type((), named.item)
    wall = build.import_("wall", "func", wall_type.item)
    memory_module = build.core_module(_memory())
    memory_instance = build.core_instantiate(memory_module.item, ())
    memory = build.alias_core_export(memory_instance.item, "memory", Sort.CORE_MEMORY)
    lower = build.canon_lower(wall.item, memory.item)
    env = build.core_inline_exports([("memory", memory.item), ("wall", lower.item)])
    module = build.core_module(_adding_up())
    instance = build.core_instantiate(module.item, [("env", env.item)])
    code = build.alias_core_export(instance.item, "wall", Sort.CORE_FUNC)
    number = build.func_type((), "u64")
    lift = build.canon_lift(code.item, number.item)
    exported = build.export_plain("ns", lift.item)
    component = Component((
        record, named, wall_type, wall, memory_module, memory_instance, memory, lower, env, module,
        instance, code, number, lift, exported,
    ))  # fmt: skip
    nested = build.nested_component(component)
    placed = build.instantiate(nested.item, [("datetime", type_), ("wall", now)])
    alias = build.alias_export(placed.item, "ns", Sort.FUNC)
    return (nested, placed, alias), alias.item


def _memory() -> bytes:
    module = Module()
    module.export_memory("memory", module.memory(MemoryType(1)))
    return module.encode()


def _adding_up() -> bytes:
    module = Module()
    wall = module.import_func("env", "wall", ("i32",))
    module.import_memory("env", "memory", MemoryType())
    f = module.func((), ("i64",))
    f.i32(0)
    f.call(wall)
    f.i32(0)
    f.memory_op("i64.load", 0, 0)
    f.i64(_EACH_SECOND)
    f.op("i64.mul")
    f.i32(0)
    f.memory_op("i32.load", 8, 0)
    f.op("i64.extend_i32_u", "i64.add")
    module.export_func("wall", f.index)
    return module.encode()
