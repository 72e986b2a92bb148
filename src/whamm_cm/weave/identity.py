"""What tells one run of a sink from others: random bits and, in timed weaves, the wall clock."""

from __future__ import annotations

from whamm_cm.component import build
from whamm_cm.component.ir import Component, Definition
from whamm_cm.component.items import Item, Sort
from whamm_cm.dataclass import dataclass
from whamm_cm.wasm.leb import name_bytes
from whamm_cm.weave.instance_types import U64, InstanceTypeEditor
from whamm_cm.weave.interface import Interface
from whamm_cm.weave.supply import editor_for, find_import, interface_import, wasi_version

SEED = "wasi:random/insecure-seed"
WALL = "wasi:clocks/wall-clock"
_DATETIME = b"\x72\x02" + name_bytes("seconds") + U64 + name_bytes("nanoseconds") + b"\x79"


@dataclass(frozen=True, slots=True)
class Identity:
    """Imports of the root, and the arguments the sink component gets of them."""

    imports: tuple[Interface, ...]
    args: tuple[tuple[str, Item], ...]


def identity(root: Component, timed: bool) -> Identity:
    """The component's own imports, extended if need be, or new ones of the version it speaks."""
    definition = find_import(root, SEED)
    editor = editor_for(root, definition)
    if "insecure-seed" not in editor.exports:
        pair = editor.define(b"\x6f\x02" + U64 * 2)
        editor.export_func("insecure-seed", [], pair)
    version = wasi_version(root, "random", "cli", "io")
    imported = interface_import(root, definition, f"{SEED}@{version}", editor)
    imported, seed = imported.with_alias("insecure-seed", Sort.FUNC)
    if not timed:
        return Identity((imported,), (("seed", seed),))
    wall, args = wall_clock(root)
    return Identity((imported, wall), (("seed", seed), *args))


def wall_clock(root: Component) -> tuple[Interface, tuple[tuple[str, Item], ...]]:
    """The wall clock of WASI 0.2, and its type ``datetime`` and its function, as ``wall``."""
    definition = find_import(root, WALL)
    editor = editor_for(root, definition)
    _complete(editor)
    version = wasi_version(root, "clocks", "cli", "io")
    imported = interface_import(root, definition, f"{WALL}@{version}", editor)
    imported, datetime = imported.with_alias("datetime", Sort.TYPE)
    imported, wall = imported.with_alias("now", Sort.FUNC)
    return imported, (("datetime", datetime), ("wall", wall))


def _complete(editor: InstanceTypeEditor) -> None:
    if "datetime" not in editor.types:
        index = editor.count
        editor.define(_DATETIME)
        editor.export_type("datetime", index)
    if "now" not in editor.exports:
        editor.export_func("now", [], editor.value(editor.types["datetime"]))


def taken(memory: Item, timed: bool) -> tuple[list[Definition], list[tuple[str, Item]]]:
    """Inside the sink component: the imports that match the arguments (``now``, the monotonic
    clock, among them), and the core functions made of them."""
    pair = build.tuple_type(("u64", "u64"))
    seed_type = build.func_type((), pair.item)
    seed = build.import_("seed", "func", seed_type.item)
    lowered = [("seed", build.canon_lower(seed.item, memory))]
    definitions = [pair, seed_type, seed]
    if timed:
        datetime = build.record_type((("seconds", "u64"), ("nanoseconds", "u32")))
        named = build.import_("datetime", "type", datetime.item)
        wall_type = build.func_type((), named.item)
        wall = build.import_("wall", "func", wall_type.item)
        now_type = build.func_type((), "u64")
        now = build.import_("now", "func", now_type.item)
        definitions += [datetime, named, wall_type, wall, now_type, now]
        lowered += [
            ("wall", build.canon_lower(wall.item, memory)),
            ("now", build.canon_lower(now.item)),
        ]
    definitions += [definition for _, definition in lowered]
    return definitions, [(name, definition.item) for name, definition in lowered]
