"""What changed between two releases, for the page: what the new one may do, with the way to it,
where the bytes went, and how the WIT and the tools differ.

    {"old" and "new": {"file", "size", "sha256"},
     "changes": [{"kind", "sign": + - or ~, "item", "detail", "new": it can do more than before,
        "functions": [[name, reachable, positions of frames in "component" or null]]}],
     "parts": [{"kind", "path" (in the new one, else in the old one), "was": path in the old one or
        null, "name", "old" and "new": bytes or null where it is not, "same": bool,
        "sections": [[name, old, new]], "functions": [[name, old, new]] that differ the most}],
     "wit": [[" ", "-", "+" or "@", line]],
     "tools": [[sign, field, name, versions before, versions now]],
     "packages": [[sign, name, versions before, versions now]]}

The frames are those of the model of the new component, which stands beside this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import PurePath
from typing import Any, Protocol

from whamm_cm._version import __version__
from whamm_cm.render.page.bundle import page, unpacked
from whamm_cm.render.page.component import Json, component_model
from whamm_cm.render.page.topology import component_topology
from whamm_cm.render.safe import printable

#: Functions of a module that are listed, and lines of WIT around what differs.
_FUNCTIONS, _AROUND = 400, 3
_UNNAMED = "(functions without a name)"
#: More lines of WIT than these are not compared one by one: all that may differ is shown.
_LINES = 20_000


class Changed(Protocol):
    """A change of capabilities, as ``gate.diff.Change`` is one."""

    @property
    def kind(self) -> str: ...
    @property
    def item(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def sign(self) -> str: ...
    @property
    def new(self) -> bool: ...


def diff_page(
    old: tuple[bytes, str], new: tuple[bytes, str], changes: Iterable[Changed]
) -> Iterator[str]:
    """The HTML about two releases, each with what the user calls it.  Raises InputError, at
    once."""
    before, after = (component_model(*release) for release in (old, new))
    model: Json = {
        "v": 1,
        "kind": "diff",
        "title": printable(f"{PurePath(old[1]).name} → {PurePath(new[1]).name}"),
        "by": f"whamm-cm {__version__}",
        "diff": diff_model(before, after, changes),
        "component": after,
    }
    topology = component_topology(*new)
    return page(model if topology is None else model | {"topology": topology})


def diff_model(old: Json, new: Json, changes: Iterable[Changed]) -> Json:
    """``old`` and ``new``: as :func:`component_model` makes them."""
    ways = _ways(new)
    return {
        "old": {key: old[key] for key in ("file", "size", "sha256")},
        "new": {key: new[key] for key in ("file", "size", "sha256")},
        "changes": [_change(one, ways) for one in changes],
        "parts": list(_parts(old["parts"], new["parts"])),
        "wit": _wit(old, new),
        "tools": list(_tools(old["parts"], new["parts"])),
        "packages": list(_packages(old["parts"], new["parts"])),
    }


_Ways = dict[str, list[list[object]]]


def _change(one: Changed, ways: _Ways) -> Json:
    return {
        "kind": one.kind,
        "sign": one.sign,
        "item": one.item,
        "detail": one.detail,
        "new": one.new,
        "functions": ways.get(one.item, []) if one.new else [],
    }


def _ways(new: Json) -> _Ways:
    """The functions of each import of the root, and each alone, by what changes call them."""
    found: _Ways = {}
    for row in new["capabilities"][:1]:
        for one in row["imports"]:
            item = one["interface"] or one["name"]
            if one["interface"] and one["version"]:
                item += f"@{one['version']}"
            named = item if item == one["name"] else f"{item} (as {one['name']})"
            functions = [
                [each["name"], each["reachable"], each.get("why")]
                for each in one["functions"]
                if each["kind"] == "func"
            ]
            for key in {item, one["name"], named}:
                found.setdefault(key, functions)
            for each in functions:
                found.setdefault(f"{item}#{each[0]}", [each])
    return found


# Parts


def _parts(old: Sequence[Json], new: Sequence[Json]) -> Iterator[Json]:
    """Those of the new release in order, then those that are gone."""
    pairs = _matched(old, new)
    taken = set(pairs.values())
    for position, after in enumerate(new):
        before = old[pairs[position]] if position in pairs else None
        yield _part(before, after)
    for position, before in enumerate(old):
        if position not in taken:
            yield _part(before, None)


def _matched(old: Sequence[Json], new: Sequence[Json]) -> dict[int, int]:
    """Positions of the new parts → of the old ones: by bytes, by name, then by place."""
    pairs: dict[int, int] = {}
    rest = set(range(len(old)))
    for keys in (("kind", "sha256"), ("kind", "name"), ("kind", "path")):
        free: dict[tuple[Any, ...], list[int]] = {}
        for position in sorted(rest):
            free.setdefault(tuple(old[position][key] for key in keys), []).append(position)
        for position, part in enumerate(new):
            candidates = free.get(tuple(part[key] for key in keys))
            if position in pairs or not candidates or part[keys[1]] is None:
                continue
            pairs[position] = candidates.pop(0)
            rest.discard(pairs[position])
    return pairs


def _part(old: Json | None, new: Json | None) -> Json:
    shown = new if new is not None else old
    assert shown is not None
    same = old is not None and new is not None and old["sha256"] == new["sha256"]
    return {
        "kind": shown["kind"],
        "path": shown["path"],
        "was": None if old is None else old["path"],
        "name": shown["name"],
        "old": None if old is None else old["size"],
        "new": None if new is None else new["size"],
        "same": same,
        "sections": [] if same else _differing(_sections(old), _sections(new)),
        "functions": [] if same else _differing(_functions(old), _functions(new)),
    }


def _sections(part: Json | None) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, size, *_ in () if part is None else part["sections"]:
        found[name] = found.get(name, 0) + size
    return found


def _functions(part: Json | None) -> dict[str, int]:
    """Bytes by name; generic functions have one name many times."""
    found: dict[str, int] = {}
    if part is None or "inside" not in part:
        return found
    inside = unpacked(part["inside"])
    for name, size in zip(inside["names"], inside["sizes"], strict=True):
        name = name or _UNNAMED
        found[name] = found.get(name, 0) + size
    return found


def _differing(old: dict[str, int], new: dict[str, int]) -> list[list[object]]:
    """[name, bytes before, bytes now], -1 where it is not; the largest difference first."""
    rows = [
        (name, old.get(name, -1), new.get(name, -1))
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name)
    ]
    rows.sort(key=lambda row: (-abs(max(row[2], 0) - max(row[1], 0)), row[0]))
    return [list(row) for row in rows[:_FUNCTIONS]]


# WIT


def _wit(old: Json, new: Json) -> list[list[str]]:
    """The lines that differ with some around them, ``@`` where others are left out."""
    before, after = (model["wit"][0][1].splitlines() for model in (old, new))
    first = 0
    while first < min(len(before), len(after)) and before[first] == after[first]:
        first += 1
    last = 0
    while last < min(len(before), len(after)) - first and before[-1 - last] == after[-1 - last]:
        last += 1
    lines = [[" ", line] for line in before[:first]]
    lines += _middle(before[first : len(before) - last], after[first : len(after) - last])
    lines += [[" ", line] for line in before[len(before) - last :]]
    return list(_shortened(lines))


def _middle(before: Sequence[str], after: Sequence[str]) -> Iterator[list[str]]:
    if len(before) + len(after) > _LINES:
        yield from (["-", line] for line in before)
        yield from (["+", line] for line in after)
        return
    matcher = SequenceMatcher(None, before, after)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            yield from ([" ", line] for line in before[a:b])
        else:
            yield from (["-", line] for line in before[a:b])
            yield from (["+", line] for line in after[c:d])


def _shortened(lines: Sequence[list[str]]) -> Iterator[list[str]]:
    kept: set[int] = set()
    for position, (sign, _) in enumerate(lines):
        if sign != " ":
            kept.update(range(position - _AROUND, position + _AROUND + 1))
    left_out = 0
    for position, line in enumerate(lines):
        if position not in kept:
            left_out += 1
            continue
        if left_out:
            yield ["@", f"{left_out:,} lines are the same"]
            left_out = 0
        yield line
    if left_out and kept:
        yield ["@", f"{left_out:,} lines are the same"]


# What made it


def _tools(old: Sequence[Json], new: Sequence[Json]) -> Iterator[list[str]]:
    before = _versions(((field, name), version) for p in old for field, name, version in _made(p))
    after = _versions(((field, name), version) for p in new for field, name, version in _made(p))
    for sign, (field, name), was, now in _compared(before, after):
        yield [sign, field, name, was, now]


def _packages(old: Sequence[Json], new: Sequence[Json]) -> Iterator[list[str]]:
    before = _versions(((name,), v) for part in old for name, v, *_ in part["packages"])
    after = _versions(((name,), v) for part in new for name, v, *_ in part["packages"])
    for sign, (name,), was, now in _compared(before, after):
        yield [sign, name, was, now]


def _made(part: Json) -> Iterator[tuple[str, str, str]]:
    yield from ((field, name, version) for field, name, version in part["producers"])


_Versions = dict[tuple[str, ...], dict[str, None]]


def _versions(rows: Iterable[tuple[tuple[str, ...], str]]) -> _Versions:
    found: _Versions = {}
    for key, version in rows:
        found.setdefault(key, {})[version] = None
    return found


def _compared(old: _Versions, new: _Versions) -> Iterator[tuple[str, tuple[str, ...], str, str]]:
    for key in sorted({*old, *new}):
        was, now = sorted(old.get(key, ())), sorted(new.get(key, ()))
        if was != now:
            sign = "+" if key not in old else "-" if key not in new else "~"
            yield sign, key, ", ".join(was), ", ".join(now)
