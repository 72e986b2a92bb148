"""What scripts ask the clocks for."""

from __future__ import annotations

from collections.abc import Iterable, Set

from whamm_cm.emit.clocks import CLOCKED
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.intervals import INTERVAL
from whamm_cm.lang.walk import code_of, walk


def calls_any(code: Iterable[t.Stmt | t.Expr], names: Set[str]) -> bool:
    """Whether any of it calls a builtin of these names."""
    return any(isinstance(node, t.Builtin) and node.name in names for node in walk(*code))


def asks_time(code: Iterable[t.Stmt | t.Expr]) -> bool:
    """Whether any of it reads the monotonic clock, or draws numbers, which begin with one."""
    return any(
        (isinstance(node, t.Builtin) and node.name in CLOCKED)
        or (isinstance(node, t.Print) and node.timed)
        or (isinstance(node, t.Bound) and (node.name, node.type) == ("entered", vt.U64))
        for node in walk(*code)
    )


def needs_clock(scripts: t.Scripts) -> str:
    """What in scripts means nothing without a clock, "" for nothing."""
    names = [node.name for node in walk(*code_of(scripts)) if isinstance(node, t.Builtin)]
    if any(probe.package == INTERVAL for probe in scripts.probes):
        return "an interval"
    return next((f"{name}()" for name in ("now", "wall") if name in names), "")
