"""Comparisons of ``fname``, the symbol, that only a demangled name could fulfil."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from whamm_cm.demangle.name import demangle
from whamm_cm.lang import tree as t
from whamm_cm.lang.source import ScriptError
from whamm_cm.lang.strings import OPERATIONS
from whamm_cm.lang.walk import walk
from whamm_cm.wasm.module import CoreModule

_EQUAL = ("str.eq", "==", "!=")
_COMPARE = ("str.eq", "str.starts_with", "str.ends_with", "str.contains")


def misread(scripts: t.Scripts, modules: Sequence[CoreModule]) -> list[ScriptError]:
    """Comparisons that hold for no function of the modules, but would if symbols were demangled."""
    found: dict[t.Span, ScriptError] = {}
    for probe in scripts.probes:
        nodes = probe.body if probe.predicate is None else (probe.predicate, *probe.body)
        for span, name, text in _compared(nodes):
            symbol = "" if span in found else _mangled(name, text, modules)
            if symbol:
                found[span] = scripts.written[probe.span].source.error(
                    f"this holds for no function: fname is the symbol, such as {symbol}",
                    span.start, span.end, "func is the name as in the source",
                )  # fmt: skip
    return list(found.values())


def _compared(nodes: Sequence[t.Stmt | t.Expr]) -> Iterator[tuple[t.Span, str, str]]:
    for node in walk(*nodes):
        if isinstance(node, t.Builtin) and node.name in _COMPARE:
            name, sides = node.name, node.args
        elif isinstance(node, t.Binary) and node.op in ("==", "!="):
            name, sides = node.op, (node.left, node.right)
        else:
            continue
        for one, other in (sides, sides[::-1] if name in _EQUAL else sides):
            if isinstance(one, t.Static) and one.name == "fname" and isinstance(other, t.Const):
                yield node.span, name, str(other.value)


def _mangled(name: str, text: str, modules: Sequence[CoreModule]) -> str:
    """A symbol for which it holds when demangled, if it holds for none as it is."""
    holds = OPERATIONS["str.eq" if name in _EQUAL else name]
    symbols = [symbol for module in modules for symbol in module.names.functions.values()]
    if any(holds(symbol, text) for symbol in symbols):
        return ""
    return next((symbol for symbol in symbols if holds(demangle(symbol), text)), "")
