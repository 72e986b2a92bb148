"""Chrome trace events, which the Perfetto UI and speedscope open.

One process per component, one thread per instance (more where its tasks overlap).  On threads are
slices ("X"), which nest, with the waits of tasks among them.  Asynchronous calls, which need not
nest, are async events ("b", "e", "n" where they start later), arrows ("s", "f") lead to what they
became in another instance where that is certain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from whamm_cm.render.jsonl import compact
from whamm_cm.render.lanes import Slice, lanes, spans
from whamm_cm.render.options import RenderOptions
from whamm_cm.trace.calls import Outcome
from whamm_cm.trace.flows import flows
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Call, Session
from whamm_cm.trace.timeline import zero_of


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    session = Session.build(records)
    other: dict[str, Any] = {
        "exporter": "whamm-cm",
        "clock": "nanoseconds" if session.timed else "records (this log has no times)",
    }
    if session.timed:
        other["start_ns"] = zero_of(session)
    counts: dict[str, int] = {}
    for site, count in session.counts.items():
        counts[site.shown] = counts.get(site.shown, 0) + count
    if counts:
        other["counts"] = counts
    if session.losses:
        other["lost"] = session.losses.number
        other["why"] = list(session.losses.whys)
    yield f'{{"displayTimeUnit":"ns","otherData":{compact(other)},"traceEvents":[\n'
    before = ""
    for event in _events(session):
        yield before + compact(event)
        before = ",\n"
    yield "\n]}\n"


def _events(session: Session) -> Iterator[dict[str, Any]]:
    pids: dict[str, int] = {}
    #: Where a call is: its process, its thread, and its slice there.
    places: dict[int, tuple[int, int, Slice]] = {}
    for tid, lane in enumerate(lanes(session), 1):
        known = lane.component in pids
        pid = pids.setdefault(lane.component, len(pids) + 1)
        if not known:
            yield _meta("process_name", pid, tid, lane.component or "component")
        yield _meta("thread_name", pid, tid, lane.label)
        for piece in lane.slices:
            if not piece.waits:
                places[id(piece.call)] = pid, tid, piece
            yield _slice(piece, pid, tid)
            yield from _returned(piece, pid, tid)
    for number, span in enumerate(spans(session), 1):
        pid, tid, _ = places[id(span.call)]
        yield from _span(span, number, pid, tid)
    for number, pair in enumerate(flows(session), 1):
        for phase, index in zip(("s", "f"), pair, strict=True):
            yield _arrow(phase, number, *places[id(session.calls[index])])


def _meta(name: str, pid: int, tid: int, value: str) -> dict[str, Any]:
    return {"ph": "M", "name": name, "pid": pid, "tid": tid, "args": {"name": value}}


def _details(call: Call, result: bool) -> dict[str, Any]:
    """What there is to say of a call; ``result``: also of its end."""
    details: dict[str, Any] = {}
    if call.site.version:
        details["version"] = call.site.version
    if call.task:
        details["task"] = call.task
    if call.self_handle is not None:
        details["self"] = call.self_handle
    if call.args:
        details["args"] = dict(call.args)
    if result and call.has_result:
        details["result"] = call.result
    if result and call.cancelled:
        details["cancelled"] = call.cancelled
    if result and call.outcome is not Outcome.RETURNED:
        details["outcome"] = call.outcome.value
    return details


def _slice(piece: Slice, pid: int, tid: int) -> dict[str, Any]:
    call = piece.call
    event = {"ph": "X", "name": piece.name if piece.waits else call.site.shown}
    event["cat"] = "waiting" if piece.waits else _category(call)
    where = {"pid": pid, "tid": tid, "ts": piece.start / 1000}
    lasting = {"dur": (piece.end - piece.start) / 1000}
    details = {} if piece.waits else _details(call, not call.waited_later)
    return {**event, **where, **lasting, "args": details}


def _category(call: Call) -> str:
    """The edge, and how it ended if not well."""
    ends = ("error" if call.failed else "", "cancelled" if call.cancelled else "")
    left = "" if call.outcome is Outcome.RETURNED else call.outcome.value
    return ",".join(filter(None, (call.site.edge, *ends, left)))


def _returned(piece: Slice, pid: int, tid: int) -> Iterator[dict[str, Any]]:
    """Where an export has handed over its result, if its task goes on."""
    call = piece.call
    if piece.waits or call.dur_ns is None or call.dur_ns >= (call.exit_ns or 0):
        return
    at = {"pid": pid, "tid": tid, "ts": (piece.start + call.dur_ns) / 1000, "s": "t"}
    name = "cancelled" if call.cancelled else "returned"
    yield {"ph": "i", "name": f"{call.site.shown} {name}", "cat": call.site.edge, **at}


def _span(span: Slice, number: int, pid: int, tid: int) -> Iterator[dict[str, Any]]:
    """An asynchronous call from its beginning to its end."""
    call = span.call
    event: dict[str, Any] = {"name": call.site.shown, "cat": _category(call)}
    # Of the process: with a plain "id" the UI has it apart from all, as everybody's.
    event |= {"id2": {"local": f"0x{number:x}"}, "pid": pid, "tid": tid}
    yield {"ph": "b", **event, "ts": span.start / 1000, "args": _details(call, False)}
    if call.starting_ns is not None:
        at = {"ts": (span.start + call.starting_ns) / 1000, "args": {"event": "started"}}
        yield {"ph": "n", **event, **at}
    yield {"ph": "e", **event, "ts": span.end / 1000, "args": _details(call, True)}


def _arrow(phase: str, number: int, pid: int, tid: int, piece: Slice) -> dict[str, Any]:
    event = {"ph": phase, "name": "call", "cat": "flow", "id": number}
    ends = {"bp": "e"} if phase == "f" else {}
    return {**event, **ends, "pid": pid, "tid": tid, "ts": piece.start / 1000}
