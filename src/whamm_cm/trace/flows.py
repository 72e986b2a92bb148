"""Which call of one component became which task of another, where the log leaves no doubt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol, TypeAlias

from whamm_cm.trace.call import Call
from whamm_cm.trace.calls import Outcome

#: A run and a function.
_Target: TypeAlias = tuple[str, str, str]


class _Calls(Protocol):
    """A session."""

    @property
    def calls(self) -> Sequence[Call]: ...

    @property
    def timed(self) -> bool: ...


def flows(session: _Calls) -> list[tuple[int, int]]:
    """Pairs of indices into ``session.calls``: a call that stays inside, and the call of the export
    of another instance that it became, in order of time.

    Only those that no other call can have become: functions of several instances may have equal
    names, and calls that have to wait start in any order.  Without times nothing is certain.
    """
    return certain(session.calls) if session.timed else []


def certain(calls: Sequence[Call]) -> list[tuple[int, int]]:
    """The same of calls that all say when they started."""
    order = sorted(range(len(calls)), key=lambda index: (calls[index].start_ns or 0, index))
    open_: dict[_Target, list[int]] = {}
    found: list[tuple[int, int]] = []
    for index in order:
        call = calls[index]
        target = (call.run, *call.site.target)
        if _calls(call, calls):
            open_.setdefault(target, []).append(index)
        elif call.site.enters and call.opened is not None and target in open_:
            at = call.start_ns or 0
            left = open_[target] = [k for k in open_[target] if at <= _until(calls[k])]
            may = [k for k in left if _may_become(calls[k], call)]
            may = [k for k in may if _started_in(calls[k], at)] or may
            if len(may) == 1:
                left.remove(may[0])
                found.append((may[0], index))
    return found


def _calls(call: Call, calls: Sequence[Call]) -> bool:
    """Whether it is the calling side of a call between two instances."""
    if call.site.edge != "inner" or call.is_task or call.opened is None:
        return False
    inside = call.parent is not None and calls[call.parent].instance == call.instance
    return inside or call.waited_later


def _until(call: Call) -> float:
    """The latest time at which it may start."""
    start = call.start_ns or 0
    if call.starts_later:
        if call.starting_ns is not None:
            return start + call.starting_ns
        over = call.outcome is not Outcome.PENDING and call.end_ns is not None
        return call.end_ns or 0 if over else float("inf")
    return float("inf") if call.frame_ns is None else start + call.frame_ns


def _may_become(caller: Call, callee: Call) -> bool:
    """Whether the callee may be what this call has started, which is not too late for that."""
    at, start = callee.start_ns or 0, caller.start_ns or 0
    first = start + (caller.frame_ns or 0) if caller.starts_later else start
    if caller.instance == callee.instance or at < first or _differ(caller, callee):
        return False
    return caller.cancelled != "before-started"


def _started_in(caller: Call, at: int) -> bool:
    """Whether it was told at once that it had started, this being in between: what it calls is the
    first to run then."""
    frame = caller.frame_ns
    told = caller.waited_later and not caller.starts_later
    return told and frame is not None and at <= (caller.start_ns or 0) + frame


def _differ(one: Call, other: Call) -> bool:
    """Whether they were given different values.  Handles have other numbers in each instance, and
    of what was cut or hidden nothing is known."""
    if one.opened is None or other.opened is None or not one.opened.get("args"):
        return False
    if "handles" in one.opened or "handles" in other.opened:
        return False
    texts = [json.dumps(call.args, sort_keys=True) for call in (one, other)]
    return texts[0] != texts[1] and not any('"~' in text for text in texts)
