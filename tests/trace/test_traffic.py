"""Whatever a log says, requests and peers are made of it without an error, in bounded memory."""

from __future__ import annotations

from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from whamm_cm.render.by_request import ByRequest
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.strace import Strace
from whamm_cm.trace import traffic
from whamm_cm.trace.groups import KINDS, Meter
from whamm_cm.trace.handle_rules import RULES
from whamm_cm.trace.peers import _SAYS
from whamm_cm.trace.records import Record, fault_of
from whamm_cm.trace.session import Session
from whamm_cm.trace.window import Window

ITEMS = sorted(
    {*RULES, *_SAYS, "wasi:io/poll#poll", "wasi:io/poll#pollable.block", "#stream.read"}
    | {"wasi:logging/logging#log", "wasi:http/types#fields.get", "#stream.write", "#future.read"}
    | {"wasi:http/types#fields.entries", "wasi:http/types#outgoing-request.drop"}
)
KEYS = (
    *("ok", "error", "some", "request", "response", "in", "contents", "data", "remote-address"),
    *("ipv4", "port", "address", "datagrams", "~b64", "~cut", "~list", "~str", "~redacted", "name"),
    *("stream", "future", "status-code", "message", "level", "this", "len", "bucket"),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 3), st.just(1 << 63), st.sampled_from(["", "x", "/p"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=6,
)
PLACES = ("self", "result", "result.ok", "args.request", "args.stream", "result.0", "data.*")
RESOURCES = ("stream", "new:stream", "gone:stream", "request", "response", "rep:x", "bucket")
HANDLES = st.dictionaries(st.sampled_from(PLACES), st.sampled_from(RESOURCES), max_size=2)
EDGES = ("import", "export", "inner", "builtin")
PHASES = (
    *("call", "call", "call", "call", "return", "return", "return", "return", "exit", "resumed"),
    *("started", "handle", "request", "answer", "print", "lost", "end"),
)


@st.composite
def records(draw: st.DrawFn) -> Record:
    phase = draw(st.sampled_from(PHASES))
    interface, _, func = draw(st.sampled_from(ITEMS)).rpartition("#")
    record: dict[str, Any] = {"v": 2, "phase": phase, "instance": draw(st.integers(1, 2))}
    record["call"] = draw(st.integers(0, 3))
    record |= {"edge": draw(st.sampled_from(EDGES)), "func": func}
    if interface:
        record["interface"] = interface
    optional: dict[str, st.SearchStrategy[Any]] = {
        "req": st.integers(0, 3), "task": st.integers(1, 2), "self": st.integers(0, 3),
        "args": st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3), "result": VALUES,
        "data": VALUES, "handles": HANDLES, "t_ns": st.integers(-5, 1 << 40),
        "dur_ns": st.integers(0, 1 << 40), "status": st.integers(0, 600), "method": st.just("GET"),
        "pending": st.booleans(), "cancelled": st.sampled_from(("before-started", "x")),
        "path": st.sampled_from(("/", "/a/1", "")), "error": st.just("e"),
    }  # fmt: skip
    for key, values in optional.items():
        if draw(st.booleans()):
            record[key] = draw(values)
    record |= {"lost": 1} if phase == "lost" else {}
    record |= {"text": "x"} if phase == "print" else {}
    if phase in ("request", "answer"):
        record.setdefault("req", 1)
    return record


@settings(phases=[Phase.explicit, Phase.generate], max_examples=60)
@given(st.lists(records(), max_size=30))
def test_no_log_is_too_odd(found: list[Record]) -> None:
    found = [record for record in found if not fault_of(record)]
    session = Session.build(found)
    assert all(request.req > 0 or request.call < 0 for request in session.requests)
    assert all(0 <= exchange.call < len(session.calls) for exchange in session.exchanges)
    meter, window = Meter(KINDS), Window(10)
    view = ByRequest(RenderOptions(by="request"), Strace)
    for record in found:
        meter.feed(record)
        window.feed(record, 0)
        view.feed(record)
    meter.finish()
    window.finish()
    view.finish()
    open_ = meter.traffic.requests.under_way(), meter.traffic.peers.under_way()
    assert open_ == ((), ())


def test_handles_that_are_never_dropped_are_forgotten(monkeypatch: Any) -> None:
    monkeypatch.setattr(traffic, "MAX_HANDLES", 10)
    seen = traffic.Traffic()
    for number in range(1000):
        record = {"v": 2, "phase": "call", "edge": "import", "instance": 1, "call": number}
        record |= {"interface": "wasi:http/types", "func": "outgoing-request.new"}
        seen.feed(record)
        seen.feed({**record, "phase": "return", "result": number})
    assert len(seen._subjects) <= 10
    assert not seen._frames
