"""Chrome trace events ("X" events), which the Perfetto UI and speedscope open.

One process per component, one thread per instance (more where its calls overlap).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from whamm_cm.render.lanes import Lane, Slice, lanes
from whamm_cm.render.options import RenderOptions
from whamm_cm.trace.calls import Outcome
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Session


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    session = Session.build(records)
    other: dict[str, Any] = {
        "exporter": "whamm-cm",
        "clock": "nanoseconds" if session.timed else "records (this log has no times)",
    }
    counts: dict[str, int] = {}
    for site, count in session.counts.items():
        counts[site.shown] = counts.get(site.shown, 0) + count
    if counts:
        other["counts"] = counts
    if session.losses:
        other["lost"] = session.losses.number
        other["why"] = list(session.losses.whys)
    yield f'{{"displayTimeUnit":"ns","otherData":{json.dumps(other)},"traceEvents":[\n'
    before = ""
    for event in _events(lanes(session)):
        yield before + json.dumps(event, separators=(",", ":"))
        before = ",\n"
    yield "\n]}\n"


def _events(tracks: list[Lane]) -> Iterator[dict[str, Any]]:
    pids: dict[str, int] = {}
    for tid, lane in enumerate(tracks, 1):
        known = lane.component in pids
        pid = pids.setdefault(lane.component, len(pids) + 1)
        if not known:
            yield _meta("process_name", pid, tid, lane.component or "component")
        yield _meta("thread_name", pid, tid, lane.label)
        for piece in lane.slices:
            yield _event(piece, pid, tid)


def _meta(name: str, pid: int, tid: int, value: str) -> dict[str, Any]:
    return {"ph": "M", "name": name, "pid": pid, "tid": tid, "args": {"name": value}}


def _event(piece: Slice, pid: int, tid: int) -> dict[str, Any]:
    call = piece.call
    details: dict[str, Any] = {}
    if call.site.version:
        details["version"] = call.site.version
    if call.self_handle is not None:
        details["self"] = call.self_handle
    if call.args:
        details["args"] = dict(call.args)
    if call.has_result:
        details["result"] = call.result
    if call.outcome is not Outcome.RETURNED:
        details["outcome"] = call.outcome.value
    return {
        "ph": "X",
        "name": call.site.shown,
        "cat": call.site.edge + (",error" if call.failed else ""),
        "pid": pid,
        "tid": tid,
        "ts": piece.start / 1000,
        "dur": (piece.end - piece.start) / 1000,
        "args": details,
    }
