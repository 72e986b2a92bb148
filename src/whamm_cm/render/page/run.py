"""What the page shows of a run: the part of its model, and its calls in chunks of columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from whamm_cm.render.page.bundle import packed
from whamm_cm.trace.calls import Outcome, Site
from whamm_cm.trace.contents import bytes_in
from whamm_cm.trace.failures import is_denied
from whamm_cm.trace.flows import flows
from whamm_cm.trace.peers import Exchange
from whamm_cm.trace.requests import Request
from whamm_cm.trace.session import Call, Session
from whamm_cm.trace.timeline import base_of, times

#: Calls in a chunk.
CHUNK = 8192
#: As ``OUTCOMES`` of ``model.js``.
_OUTCOMES = {Outcome.RETURNED: 0, Outcome.PENDING: 1, Outcome.UNFINISHED: 2}
_FAILED, _IS_TASK, _WAITED_LATER, _CANCELLED, _DENIED = 1, 2, 4, 8, 16
_SHARED = ("~b64", "~cut", "~redacted")


class Sites:
    """Numbers the sites of calls in the order in which they are first seen."""

    def __init__(self) -> None:
        self.numbers: dict[Site, int] = {}

    def number(self, site: Site) -> int:
        return self.numbers.setdefault(site, len(self.numbers))

    def rows(self) -> list[dict[str, str]]:
        return [site_row(site) for site in self.numbers]


def site_row(site: Site) -> dict[str, str]:
    return {
        "edge": site.edge,
        "component": site.component,
        "interface": site.interface,
        "version": site.version,
        "func": site.func,
        "name": site.shown,
    }


def run_model(session: Session, sites: Sites) -> dict[str, Any]:
    """``model["run"]``; times are nanoseconds since ``t0``."""
    base = first_of(session)
    counts = [[sites.number(site), count] for site, count in session.counts.items()]
    for call in session.calls:
        sites.number(call.site)
    end = max((end for _, _, end in _timed(session)), default=base)
    return {
        "timed": session.timed,
        "records": session.records,
        "calls": len(session.calls),
        "instances": list(session.instances),
        "runs": list(dict.fromkeys(call.run for call in session.calls)),
        "t0": base,
        "span": max(0, end - base),
        "losses": {
            "known": session.losses.known,
            "unknown": session.losses.unknown,
            "sentence": session.losses.sentence(),
        },
        "sites": sites.rows(),
        "requests": [request_row(each, session.timed, base) for each in session.requests],
        "exchanges": [exchange_row(each, session.timed, base) for each in session.exchanges],
        "counts": counts,
        "prints": [{"instance": p.instance, "text": p.text, "raw": p.raw} for p in session.prints],
        "flows": flows(session),
    }


def _timed(session: Session) -> Iterator[tuple[Call, int, int]]:
    return ((call, start, end) for call, start, _, end in times(session))


def first_of(session: Session) -> int:
    """When the first call began, as ``times`` counts."""
    return min((start for _, start, _ in _timed(session)), default=0)


def request_row(request: Request, timed: bool, base: int) -> dict[str, Any]:
    return {
        "req": request.req,
        "call": request.call,
        "name": request.title,
        "method": request.method,
        "path": request.path,
        "route": request.route,
        "status": request.status,
        "error": request.error,
        "failed": request.failed,
        "start": None if request.start_ns is None or not timed else request.start_ns - base,
        "dur": request.dur_ns,
        "answered": request.answered_ns,
        "instance": request.instance,
        "task": request.task,
        "peer": request.peer,
    }


def exchange_row(exchange: Exchange, timed: bool, base: int) -> dict[str, Any]:
    return {
        "peer": exchange.peer,
        "url": exchange.url,
        "method": exchange.method,
        "kind": exchange.kind,
        "status": exchange.status,
        "error": exchange.error,
        "failed": exchange.failed,
        "start": None if exchange.start_ns is None or not timed else exchange.start_ns - base,
        "dur": exchange.dur_ns,
        "sent": exchange.sent,
        "received": exchange.received,
        "call": exchange.call,
        "req": exchange.req,
    }


def chunks(session: Session, sites: Sites) -> Iterator[str]:
    """All calls in order, packed."""
    base, first = first_of(session), 0
    waits_from = base_of(session) + base if session.timed else 0
    rows = iter(times(session))
    while batch := list(islice(rows, CHUNK)):
        yield packed_chunk(chunk(batch, first, sites, base, waits_from))
        first += len(batch)


def chunk(
    rows: Iterable[tuple[Call, int, int, int]], first: int, sites: Sites, base: int, waits_from: int
) -> dict[str, Any]:
    """Calls with when each began, when its caller could go on, and when it was over; ``base`` is
    0 of the page."""
    columns: dict[str, list[int]] = {name: [] for name in _COLUMNS}
    waits: list[tuple[int, list[tuple[int, int]]]] = []
    values: list[dict[str, Any]] = []
    before = 0
    for at, (call, start, frame, end) in enumerate(rows, first):
        row = _row(call, (start, frame, end), base, sites)
        for name, number in zip(_COLUMNS, row, strict=True):
            columns[name].append(number)
        columns["start"][-1] -= before
        before = start - base
        if call.waits:
            waits.append((at, [(one - waits_from, two - waits_from) for one, two in call.waits]))
        values.append(_values(call))
    n = len(values)
    return {"first": first, "n": n, "columns": columns, "waits": waits, "values": values}


#: In this order in ``_row``; ``start`` is the difference to the call before.
_COLUMNS = (
    "site", "instance", "task", "req", "parent", "depth", "start", "dur", "self", "frame",
    "result", "outcome", "flags", "bytes",
)  # fmt: skip


def _row(call: Call, marks: tuple[int, int, int], base: int, sites: Sites) -> tuple[int, ...]:
    """``dur`` goes to the end of the log for what never returned, ``result`` is -1 for it."""
    start, frame, end = marks
    return (
        sites.number(call.site),
        call.instance,
        call.task,
        call.req,
        -1 if call.parent is None else call.parent,
        call.depth,
        start - base,
        end - start,
        -1 if call.self_ns is None else call.self_ns,
        frame - start,
        -1 if call.dur_ns is None else call.dur_ns,
        _OUTCOMES[call.outcome],
        _flags(call),
        _moved(call),
    )


def _flags(call: Call) -> int:
    return (
        _FAILED * call.failed
        | _IS_TASK * call.is_task
        | _WAITED_LATER * call.waited_later
        | _CANCELLED * bool(call.cancelled)
        | _DENIED * (call.failed and is_denied(call.result))
    )


def _moved(call: Call) -> int:
    """Bytes of lists that were passed, either way."""
    return sum(map(_size, (*call.args.values(), call.result, call.data)))


def _size(value: Any) -> int:
    """Of a ``list<u8>``, or the one inside ``ok``, a tuple or an option."""
    if isinstance(value, Mapping):
        if any(key in value for key in _SHARED):
            return bytes_in(value)
        return sum(map(_size, value.values())) if len(value) == 1 else 0
    if isinstance(value, list) and len(value) <= 4:
        return sum(map(_size, value))
    return 0


def _values(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if call.args:
        found["args"] = call.args
    if call.has_result:
        found["result"] = call.result
    if call.data is not None:
        found["data"] = call.data
    if call.self_handle is not None:
        found["self"] = call.self_handle
    if call.about:
        found["about"] = call.about
    return found


def packed_chunk(chunk: Mapping[str, Any]) -> str:
    """Two words; the second are the values, which the page reads when they are asked for."""
    rest = {key: value for key, value in chunk.items() if key != "values"}
    return f"{packed(rest)} {packed(chunk['values'])}"
