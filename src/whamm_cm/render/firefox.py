"""The Firefox Profiler's own ("processed") format, which profiler.firefox.com opens.

One process per component, one thread per instance (more where its tasks overlap).  A sample stands
for all the time in which a stack did not change.  Every call is a marker, too, with its arguments
and its result; so are the waits of tasks, asynchronous calls from call to result, and what was
asked of peers.  Where a script has reported a call tree, that is shown instead, a thread for each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from whamm_cm._version import __version__
from whamm_cm.render.calltree import CallTree, call_trees
from whamm_cm.render.firefox_tables import CALLS, SCHEMAS, Markers, Samples, Shared
from whamm_cm.render.lanes import WAITING, Lane, Slice, lanes, spans
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.safe import printable
from whamm_cm.render.stacks import Frame, frame_of
from whamm_cm.render.wave import ValueStyle, wave
from whamm_cm.trace.calls import Outcome, Site
from whamm_cm.trace.flows import flows
from whamm_cm.trace.peers import Exchange
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Call, Session
from whamm_cm.trace.timeline import WallClock, zero_of

#: The version of the format that is written; readers bring it up to their own.
_VERSION = 61
#: Of the raw format that Firefox itself writes, from which this one is not made.
_RAW_VERSION = 31
#: Values stand whole in markers.
_WHOLE = ValueStyle(max_string=1 << 30)
Object = dict[str, Any]


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    """One JSON object, thread by thread."""
    clock = WallClock()
    session = Session.build(clock.watch(records))
    shared = Shared()
    trees = call_trees(session, options.per_instance)
    threads = _reported(trees, shared) if trees else _traced(session, shared)
    yield '{"libs":[],"threads":[\n'
    before = ""
    for thread in threads:
        yield before + _compact(thread)
        before = ",\n"
    yield f'\n],"shared":{_compact(shared.tables())},\n'
    yield f'"meta":{_compact(_meta(session, shared, clock.base))}}}\n'


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _meta(session: Session, shared: Shared, base: int | None) -> Object:
    """``base``: the wall clock when that of the log was 0."""
    entries = []
    if not session.timed:
        entries.append(("clock", "records, 1 µs each (this log has no times)"))
    if session.losses:
        entries.append(("lost", session.losses.sentence()))
    entries += [(frame_of(site).name, f"{count} calls") for site, count in session.counts.items()]
    rows = [
        {"label": printable(label), "format": "string", "value": printable(value)}
        for label, value in entries
    ]
    return {
        "interval": 0.001,
        "startTime": 0 if base is None else (base + zero_of(session)) / 1e6,
        "processType": 0,
        "product": f"whamm-cm {__version__}",
        "importedFrom": "whamm-cm",
        "stackwalk": 0,
        "version": _RAW_VERSION,
        "preprocessedProfileVersion": _VERSION,
        "symbolicated": True,
        "symbolicationNotSupported": True,
        "usesOnlyOneStackType": True,
        "sourceCodeIsNotOnSearchfox": True,
        "keepProfileThreadOrder": True,
        "categories": shared.categories(),
        "markerSchema": SCHEMAS,
        "extra": [{"label": "whamm-cm", "entries": rows}] if rows else [],
    }


def _thread(name: str, process: str, pid: int, tid: int, main: bool) -> Object:
    return {
        "processType": "default",
        "processStartupTime": 0,
        "processShutdownTime": None,
        "registerTime": 0,
        "unregisterTime": None,
        "pausedRanges": [],
        "showMarkersInTimeline": True,
        "name": printable(name),
        "processName": printable(process),
        "isMainThread": main,
        "pid": str(pid),
        "tid": tid,
    }


def _reported(trees: list[CallTree], shared: Shared) -> Iterator[Object]:
    """Trees have no times: what they weigh is how long they are, a microsecond for each."""
    for number, tree in enumerate(trees, 1):
        samples, at = Samples("samples"), 0
        for names, weight in tree.stacks:
            node = 0
            for name in names:
                node = shared.stacks.node(node, Frame(name, tree.variable))
            samples.add(at * 1000, shared.stack(node), weight)
            at += weight
        samples.add(at * 1000, None, 0)
        thread = _thread(tree.name, tree.variable, 1, number, number == 1)
        yield thread | {"samples": samples.table(), "markers": Markers(shared).table()}


def _traced(session: Session, shared: Shared) -> Iterator[Object]:
    pids: dict[str, int] = {}
    beside = _Beside(session)
    if not session.calls:  # the profiler takes nothing without a thread that has a time
        samples, markers = Samples("tracing-ms"), Markers(shared)
        samples.add(0, None, 0)
        thread = _thread("nothing was called", "component", 1, 1, True)
        yield thread | {"samples": samples.table(), "markers": markers.table()}
    for tid, lane in enumerate(lanes(session), 1):
        main = lane.component not in pids
        pid = pids.setdefault(lane.component, len(pids) + 1)
        markers = Markers(shared)
        for piece in lane.slices:
            _mark(piece, markers, beside)
        process = lane.component or "component"
        thread = _thread(lane.label, process, pid, tid, main)
        yield thread | {"samples": _samples(lane, shared), "markers": markers.table()}


class _Beside:
    """What else there is to say of a call, wherever that is."""

    def __init__(self, session: Session) -> None:
        self.zero = zero_of(session)
        self.spans = {id(span.call): span for span in spans(session)}
        self.exchanges: dict[int, list[Exchange]] = {}
        for exchange in session.exchanges if session.timed else ():
            call = session.calls[exchange.call]
            self.exchanges.setdefault(id(call), []).append(exchange)
        #: Calls in different instances that are one.
        self.flows: dict[int, str] = {}
        for number, pair in enumerate(flows(session), 1):
            for index in pair:
                self.flows.setdefault(id(session.calls[index]), f"{number:x}")


def _samples(lane: Lane, shared: Shared) -> Object:
    """A sample for each time in which nothing began or ended."""
    samples = Samples("tracing-ms")
    nodes, since = [0], lane.slices[0].start
    for opens, at, piece in lane.steps():
        if at > since:
            samples.add(since, shared.stack(nodes[-1]), (at - since) / 1e6)
            since = at
        if opens:
            nodes.append(shared.stacks.node(nodes[-1], _frame(piece, shared)))
        else:
            nodes.pop()
    samples.add(since, None, 0)
    return samples.table()


def _frame(piece: Slice, shared: Shared) -> Frame:
    site = piece.call.site
    if piece.waits:
        return Frame(WAITING, site.component)
    frame = frame_of(site)
    shared.put(frame, _package(site))
    return frame


def _package(site: Site) -> str:
    """What calls of a kind have their colour by: ``wasi:http``."""
    return site.interface.partition("/")[0] or "own functions"


def _mark(piece: Slice, markers: Markers, beside: _Beside) -> None:
    """All there is to say of a call, or of a wait of its task."""
    call = piece.call
    if piece.waits:
        about = {"type": "wait", "call": printable(call.site.shown), "task": call.task}
        markers.add(WAITING, piece.start, piece.end, WAITING, about)
        return
    name, package = frame_of(call.site).name, _package(call.site)
    span, more = beside.spans.get(id(call)), {}
    if id(call) in beside.flows:
        more["flow"] = markers.text(beside.flows[id(call)])
    details = {"type": CALLS, **_details(call, span is None), **more}
    markers.add(name, piece.start, piece.end, package, details)
    if span is not None:
        whole = {"type": "async", **_details(call, True)}
        markers.add(name, span.start, span.end, package, whole)
    for exchange in beside.exchanges.get(id(call), ()):
        if exchange.start_ns is not None:
            _mark_exchange(exchange, markers, beside.zero)


def _mark_exchange(exchange: Exchange, markers: Markers, zero: int) -> None:
    start = (exchange.start_ns or 0) - zero
    about: Object = {
        "type": "peer",
        "peer": printable(exchange.peer),
        "kind": exchange.kind,
        "url": printable(exchange.url or ""),
        "status": exchange.status,
        "error": None if exchange.error is None else printable(exchange.error),
        "sent": exchange.sent,
        "received": exchange.received,
        "colour": "red" if exchange.failed else None,
    }
    name = f"{exchange.method or exchange.kind} {exchange.peer}"
    known = {key: value for key, value in about.items() if value not in (None, "")}
    markers.add(name, start, start + (exchange.dur_ns or 0), "peers", known)


def _details(call: Call, result: bool) -> Object:
    """What there is to say of a call; ``result``: also of its end."""
    site = call.site
    details: Object = {"edge": printable(site.edge), "instance": call.instance}
    if site.component:
        details["component"] = printable(site.component)
    if site.version:
        details["version"] = printable(site.version)
    if call.task:
        details["task"] = call.task
    if call.req:
        details["request"] = call.req
    if call.self_handle is not None:
        details["self"] = wave(call.self_handle, _WHOLE)
    if call.args:
        details["args"] = ", ".join(
            f"{printable(name)}={wave(value, _WHOLE)}" for name, value in call.args.items()
        )
    if result and call.has_result:
        details["result"] = wave(call.result, _WHOLE)
    if result and call.cancelled:
        details["cancelled"] = printable(str(call.cancelled))
    if result and call.outcome is not Outcome.RETURNED:
        details["outcome"] = call.outcome.value
    if result and call.failed:
        details |= {"failed": "yes", "colour": "red"}
    return details
