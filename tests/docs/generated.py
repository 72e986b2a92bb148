"""Tables of docs/language.md that are made from the tables of ``lang``.

In the page each stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from whamm_cm.cli.info_text import BOUNDARY
from whamm_cm.lang.builtins import ACTS, EVENT_FUNCTIONS, FUNCTIONS, METHODS, BuiltinFunction
from whamm_cm.lang.events import (
    CATEGORIES,
    PACKAGE_DOCS,
    PACKAGES,
    SCOPE,
    SOURCE_PACKAGES,
    BoundVariable,
    Event,
)  # fmt: skip
from whamm_cm.lang.wit_values import PRIMS


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = [names, ["---"] * len(names), *map(list, rows)]
    return "".join(f"| {' | '.join(cells)} |\n".replace("| ---", "|---").replace("--- |", "---|")
                   for cells in lines)  # fmt: skip


def packages() -> str:
    rows = []
    for name, events in PACKAGES.items():
        named = [event.name for event in events if event.name]
        shown = ", ".join(f"`{n}`" for n in named) if len(named) < 9 else "every instruction"
        modes = "by the instruction" if name == "opcode" else "none"
        rows.append((f"`wasm:{name}`", shown or "none", modes, PACKAGE_DOCS[name]))
    named = {"line": ("a file and lines", "`before`"),
             "source": ("a file and functions", "`entry`, `exit`")}  # fmt: skip
    rows += [(f"`wasm:{name}`", *named[name], PACKAGE_DOCS[name]) for name in SOURCE_PACKAGES]
    return table(("package", "events", "modes", "when it fires"), rows)


def modes() -> str:
    by_modes: dict[tuple[str, ...], list[str]] = {}
    for event in PACKAGES["opcode"]:
        texts = tuple(sorted((mode.text for mode in event.modes), key=_ORDER.index))
        by_modes.setdefault(texts, []).append(event.name)
    most = max(by_modes, key=lambda texts: len(by_modes[texts]))
    rows = [
        (", ".join(f"`{n}`" for n in names), ", ".join(f"`{text}`" for text in texts))
        for texts, names in by_modes.items()
        if texts != most
    ]
    rows.append(("all others", ", ".join(f"`{text}`" for text in most)))
    return table(("instructions", "modes"), rows)


_ORDER = ("before", "after", "alt", "entry", "exit", "at_target")


def _variable(variable: BoundVariable) -> tuple[str, ...]:
    doc = variable.doc + (f" (`{variable.defined}`)" if variable.defined else "")
    lifetime = "static" if variable.static else "dynamic"
    return f"`{variable.name}`", _type(variable), lifetime, doc


def _type(variable: BoundVariable) -> str:
    return f"`{variable.type}`" if variable.type is not None else "by the place"


def scope() -> str:
    head = ("variable", "type", "known", "what it is")
    return table(head, map(_variable, SCOPE.values()))


def _common() -> dict[str, BoundVariable]:
    first = PACKAGES["opcode"][0].variables
    events = PACKAGES["opcode"]
    return {
        n: v for n, v in first.items() if n not in SCOPE and all(n in e.variables for e in events)
    }


def opcodes() -> str:
    """What every instruction binds, then what some bind."""
    seen: dict[BoundVariable, None] = {}
    for event in (*PACKAGES["block"], *PACKAGES["opcode"]):
        for name, variable in event.variables.items():
            if name not in SCOPE and not _numbered(name):
                seen.setdefault(variable)
    common = _common()
    rows = [(*_variable(v), "all" if v.name in common else _bound_by(v)) for v in seen]
    return table(("variable", "type", "known", "what it is", "bound by"), rows)


def _numbered(name: str) -> bool:
    return name[:3] in ("arg", "imm", "res") and name[3:] in ("N", *map(str, range(10)))


def _bound_by(variable: BoundVariable) -> str:
    events = [e for p in ("block", "opcode") for e in PACKAGES[p]
              if e.variables.get(variable.name) == variable]  # fmt: skip
    return _short(events)


def _short(events: list[Event]) -> str:
    """Categories that are whole go by their name."""
    left = list(events)
    parts = []
    for category in CATEGORIES:
        whole = [e for e in PACKAGES["opcode"] if e.category == category]
        if whole and all(e in left for e in whole):
            parts.append(f"category {category}")
            left = [e for e in left if e not in whole]
    names = [f"`{e.package}:{e.name}`" if e.package != "opcode" else f"`{e.name}`" for e in left]
    if len(names) > 12:
        some = sorted({e.category for e in left})
        parts += [
            f"some of category {', '.join(some)}"
            if len(some) == 1
            else f"some of categories {', '.join(some)}"
        ]
    else:
        parts += names
    return ", ".join(parts)


def categories() -> str:
    rows = []
    for number, category in enumerate(CATEGORIES):
        names = [e.name for e in PACKAGES["opcode"] if e.category == category]
        shown = ", ".join(f"`{n}`" for n in names[:4]) + (" …" if len(names) > 4 else "")
        rows.append((str(number), category, str(len(names)), shown))
    return table(("number", "category", "instructions", "such as"), rows)


def _signature(name: str, function: BuiltinFunction, shift: int = 0) -> str:
    params = ", ".join(map(str, function.params[shift:]))
    result = "" if str(function.result) == "()" else f" -> {function.result}"
    return f"`{name}({params}){result}`"


def functions() -> str:
    rows = [(_signature(name, f), f.doc) for name, f in FUNCTIONS.items()]
    rows += [
        (_signature(f"s.{name}" if kind == "str" else f"m.{name}", f, 1), f.doc)
        for kind, methods in METHODS.items()
        for name, f in methods.items()
    ]
    return table(("function", "what it does"), rows)


def acts() -> str:
    rows = []
    for name, function in {**ACTS, **EVENT_FUNCTIONS}.items():
        events = [e for e in PACKAGES["opcode"] if name in e.functions]
        every = len(events) == len(PACKAGES["opcode"])
        where = "WIT boundaries" if not events else "every instruction" if every else _short(events)
        rows.append((_signature(name, function), where, function.doc))
    return table(("function", "where", "what it does"), rows)


def boundary() -> str:
    rows = [(f"`{v.name}`", f"`{v.type}`" if v.type else "by the function", v.lifetime, v.doc)
            for v in BOUNDARY]  # fmt: skip
    return table(("variable", "type", "known", "what it is"), rows)


def wit_types() -> str:
    return table(("WIT type", "in a script"), ((f"`{wit}`", f"`{t}`") for wit, t in PRIMS.items()))


TABLES: dict[str, Callable[[], str]] = {
    f.__name__: f
    for f in (
        *(packages, modes, scope, opcodes, categories, functions, acts, boundary),
        wit_types,
    )
}
