"""What changed between two releases of a component: capabilities first."""

from __future__ import annotations

import json
from collections.abc import Iterator

from whamm_cm.dataclass import dataclass
from whamm_cm.gate.model import ImportRow, Subject
from whamm_cm.render.safe import printable

#: kind → (sign, whether the component can do more than before)
KINDS: dict[str, tuple[str, bool]] = {
    "import-added": ("+", True),
    "import-removed": ("-", False),
    "import-version": ("~", False),
    "function-added": ("+", True),
    "function-removed": ("-", False),
    "newly-reachable": ("+", True),
    "no-longer-reachable": ("-", False),
    "export-added": ("+", False),
    "export-removed": ("-", False),
    "export-version": ("~", False),
    "size": ("~", False),
}


@dataclass(frozen=True, slots=True)
class Change:
    kind: str
    item: str
    detail: str = ""

    @property
    def new(self) -> bool:
        """Whether the component can do more than before."""
        return KINDS[self.kind][1]

    @property
    def sign(self) -> str:
        """``+``, ``-`` or ``~``."""
        return KINDS[self.kind][0]


def diff(old: Subject, new: Subject) -> tuple[Change, ...]:
    """Imports, then exports, then size; each in the order of the components."""
    found = [*_imports(old, new), *_exports(old, new)]
    if old.size != new.size:
        delta = new.size - old.size
        found.append(Change("size", "bytes", f"{old.size:,} to {new.size:,} ({delta:+,})"))
    return tuple(found)


def _imports(old: Subject, new: Subject) -> Iterator[Change]:
    before = {row.name: row for row in old.imports}
    after = {row.name: row for row in new.imports}
    moved = _moved(
        [row for row in old.imports if row.name not in after],
        [row for row in new.imports if row.name not in before],
    )
    for row in new.imports:
        previous = before.get(row.name) or moved.get(row.name)
        if previous is None:
            yield Change("import-added", row.label, _size(row))
            continue
        if row.name not in before:
            detail = f"{previous.version} to {row.version}"
            yield Change("import-version", row.interface, detail)
        yield from _functions(previous, row)
    gone = {row.name for row in moved.values()}
    for row in old.imports:
        if row.name not in after and row.name not in gone:
            yield Change("import-removed", row.label)


def _size(row: ImportRow) -> str:
    if not row.functions:
        return ""
    noun = "function" if len(row.functions) == 1 else "functions"
    return f"{len(row.functions)} {noun}, {sum(f.reachable for f in row.functions)} reachable"


def _moved(old: list[ImportRow], new: list[ImportRow]) -> dict[str, ImportRow]:
    """New names of interfaces of which one version went and one came."""
    found = {}
    for row in new:
        same = [one for one in old if row.interface and one.interface == row.interface]
        also = [one for one in new if one.interface == row.interface]
        if len(same) == 1 and len(also) == 1:
            found[row.name] = same[0]
    return found


def _functions(old: ImportRow, new: ImportRow) -> Iterator[Change]:
    before = {row.name: row for row in old.functions}
    after = {row.name: row for row in new.functions}
    for name, row in after.items():
        item = f"{new.item}#{name}" if new.kind != "func" else new.item
        previous = before.get(name)
        if previous is None:
            yield Change("function-added", item, "reachable" if row.reachable else "not reachable")
        elif row.reachable and not previous.reachable:
            yield Change("newly-reachable", item)
        elif previous.reachable and not row.reachable:
            yield Change("no-longer-reachable", item)
    for name in before:
        if name not in after:
            yield Change("function-removed", f"{new.item}#{name}")


def _exports(old: Subject, new: Subject) -> Iterator[Change]:
    before = {(row.interface or row.name): row for row in old.exports}
    after = {(row.interface or row.name): row for row in new.exports}
    for key, row in after.items():
        previous = before.get(key)
        if previous is None:
            yield Change("export-added", row.item)
            continue
        if previous.version != row.version:
            yield Change("export-version", key, f"{previous.version} to {row.version}")
        for name in row.functions:
            if name not in previous.functions:
                yield Change("export-added", f"{row.item}#{name}")
        for name in previous.functions:
            if name not in row.functions:
                yield Change("export-removed", f"{row.item}#{name}")
    for key, row in before.items():
        if key not in after:
            yield Change("export-removed", row.item)


def table(changes: tuple[Change, ...]) -> str:
    if not changes:
        return "no difference in capabilities\n"
    lines = []
    for one in changes:
        detail = f"  ({printable(one.detail)})" if one.detail else ""
        lines.append(f"{one.sign} {one.kind:<19}  {printable(one.item)}{detail}\n")
    return "".join(lines)


def document(old: str, new: str, changes: tuple[Change, ...]) -> str:
    """``{"v": 1, "old", "new", "changes": [{"kind", "item", "detail", "new": bool}]}``"""
    rows = [
        {"kind": one.kind, "item": one.item, "detail": one.detail or None, "new": one.new}
        for one in changes
    ]
    return json.dumps({"v": 1, "old": old, "new": new, "changes": rows}, indent=2) + "\n"
