"""Records of any shape and texts of any kind: nothing fails, and nothing acts on who looks."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.render.shown import shown
from tests.trace.records import with_ends
from whamm_cm.errors import UsageError
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.registry import RENDERERS
from whamm_cm.render.safe import csv_cell, lines, printable, quoted
from whamm_cm.trace.identity import Identity
from whamm_cm.trace.reader import RecordReader
from whamm_cm.trace.records import PHASES, fault_of
from whamm_cm.trace.session import Session

Record = dict[str, Any]
FULL = RenderOptions(stamps="start", durations=True, names=True, per_instance=True)
RUN = "00112233445566ff"

WORDS = (
    *("~cut", "~str", "~list", "~b64", "~bad", "~redacted", "~deep", "ok", "error", "some", "none"),
    *("ipv4", "port", "address", "", "*", "self", "args.x", "result.ok", "result.*.0", "rep:t"),
    *("new:stream", "gone:future", "stream", "args.stream", "data.*", "result"),
)
NASTY = (
    *("\x1b]0;owned\x07", "\x9b31m", "\u202edcba", "\ud800", "a\nb\rc\td", "=HYPERLINK(1)", "@x"),
    *("\x00", "\x7f", "+1", "-2", "|x", "\U000e0041", "\u2028", "'", '"', "\\", "<b>&", "e\u0301"),
)
texts = st.one_of(st.sampled_from(WORDS + NASTY), st.text(max_size=8))
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 70), 1 << 70), st.integers(0, 9),
    st.floats(allow_nan=False, allow_infinity=False), texts,
)  # fmt: skip
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)

TYPES = (
    *("u8", "i32", "u32", "u64", "f32", "f64", "bool", "str", "hist", "min", "max", "avg", "odd"),
    *("map<u32, u32>", "map<str, hist>", "map<str, map<u32, avg>>", "(u32, (f32, bool))", "(", ""),
    *("map<u32, (u32, str, u32, u64)>", "map<", "map<(str, bool), str>", "map<map<u32,u32>,u8>"),
)
FUNCS = (
    *("f", "conn.drop", "a.new", "tcp-socket.start-connect", "incoming-response.status"),
    *("outgoing-response.set-status-code", "response-outparam.set", "poll", "open", "bucket.get"),
    *("stream.read", "stream.write", "future.read", "stream.new", "stream.drop-readable"),
)
INTERFACES = ("wasi:http/types", "wasi:io/poll", "wasi:keyvalue/store", "wasi:sockets/tcp", "a:b/c")
#: Keys of a record and values that are right for them.
RIGHT: dict[str, st.SearchStrategy[Any]] = {
    "v": st.sampled_from((1, 2)),
    "run": st.sampled_from((RUN, "x")),
    "source": texts,
    "seq": st.integers(0, 9),
    "t_ns": st.integers(-5, 50),
    "wall_ns": st.integers(0, 1 << 60),
    "instance": st.integers(0, 3),
    "call": st.integers(0, 3),
    "phase": st.sampled_from(PHASES),
    "edge": st.sampled_from(("import", "export", "inner", "builtin")),
    "component": texts,
    "interface": st.one_of(st.sampled_from(INTERFACES), texts),
    "version": texts,
    "func": st.one_of(st.sampled_from(FUNCS), texts),
    "self": st.integers(0, 5),
    "args": st.one_of(
        st.dictionaries(texts, values, max_size=3), st.just({"stream": 2, "ptr": 1, "count": 3})
    ),
    "result": values,
    "data": values,
    "pending": st.booleans(),
    "status": st.integers(0, 99),
    "count": st.integers(0, 9),
    "bad": st.booleans(),
    "big": st.booleans(),
    "dur_ns": st.integers(0, 99),
    "script": texts,
    "var": texts,
    "probe": texts,
    "module": texts,
    "fid": st.integers(0, 5),
    "fname": texts,
    "pc": st.integers(0, 5),
    "type": st.sampled_from(TYPES),
    "value": values,
    "text": st.one_of(texts, st.just({"~cut": 9, "~str": "x\x1b"})),
    "raw": st.booleans(),
    "handles": st.dictionaries(texts, texts, max_size=3),
    "inner": st.dictionaries(texts, texts, max_size=3),
    "lost": st.one_of(st.just("unknown"), st.integers(0, 9)),
    "why": texts,
}


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Mostly right, with some key missing or holding anything."""
    keys = draw(st.sets(st.sampled_from(sorted(RIGHT)), min_size=12))
    wrong = draw(st.sets(st.sampled_from(sorted(RIGHT)), max_size=1))
    needed = keys | {"phase", "instance", "func", "call"}
    found = {key: draw(values if key in wrong else RIGHT[key]) for key in sorted(needed)}
    if draw(st.booleans()):
        found[draw(texts)] = draw(values)
    return found


def read(text: str) -> tuple[list[Record], RecordReader]:
    reader = RecordReader(io.StringIO(text), "log")
    identity = Identity()
    return list(with_ends(map(identity.feed, reader.arrivals()))), reader


GOOD = '{"v":1,"seq":0,"instance":1,"call":1,"phase":"call","func":"f"}'
SLOW = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


@SLOW
@given(st.lists(records(), max_size=6), st.sampled_from(("", "WCM1 ", "mark")))
@example([{"phase": "report", "instance": 1, "var": "v", "type": "map<u32,u32>", "value": 1}], "")
def test_no_record_ends_the_reader(found: list[Record], before: str) -> None:
    head = f"WCM2.aaaaaaaaaaaa {RUN}." if before == "mark" else before
    texts = [json.dumps(record) for record in found]
    texts = [f"{head}{n} {t}" if before == "mark" else head + t for n, t in enumerate(texts)]
    good, reader = read("\n".join([*texts, f"WCM1 {GOOD}", ""]))
    assert all(fault_of(record) == "" for record in good)
    wanted = sum(not fault_of(record) for record in found)
    if before == "WCM1 ":
        assert reader.records == wanted + 1 and reader.malformed == len(found) - wanted
    for name in RENDERERS:
        _harmless(name, _shown(name, good, FULL))


@SLOW
@given(st.lists(records().filter(lambda record: not fault_of(record)), max_size=8))
def test_no_text_acts_on_who_looks(found: list[Record]) -> None:
    for options in (RenderOptions(), FULL):
        for name in RENDERERS:
            _harmless(name, _shown(name, found, options))


def _shown(name: str, records: list[Record], options: RenderOptions) -> str:
    """Of a log without times there are no spans, which is said."""
    try:
        return shown(name, records, options)
    except UsageError:
        assert name == "otlp" and not Session.build(records).timed
        return ""


def _harmless(name: str, text: str) -> None:
    text.encode()
    odd = {c for c in text if not c.isprintable()} - set("\n\r" if name == "csv" else "\n")
    # What a script prints, and cells, may have tabs.
    assert not odd - {"\t"}, (name, odd)
    if text and name in ("json", "chrome", "speedscope", "firefox", "otlp"):
        json.loads(text, parse_constant=pytest.fail)
    elif name == "jsonl":
        for line in text.splitlines():
            json.loads(line, parse_constant=pytest.fail)
    elif name == "csv":
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        assert {len(row) for row in rows} == {len(rows[0])}
        assert not [c for row in rows for c in row if c.startswith(("=", "@", "\t", "\r"))]


PARTS = (
    *(b"WCM1 {", b"WCM2.", b'{"log":"', b"stderr [1] :: ", b"[pod/a/b] ", b"\n", b"\x1f\x8b", b"{"),
    *(b"WCM2.aaaaaaaaaaaa 00112233445566ff.0 B", b"2026-11-20T10:00:00Z stderr P ", b'"}'),
    *(b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"', b"MESSAGE"),
    b"Nov 31 10:00:00 a b: ",
)


@SLOW
@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(PARTS)), max_size=12))
def test_no_bytes_end_the_reader(parts: list[bytes]) -> None:
    data = b"".join(parts)
    if data.startswith(b"\x1f\x8b"):
        data = b" " + data
    reader = RecordReader(io.BytesIO(data + b"\nWCM1 " + GOOD.encode() + b"\n"), "log")
    found = list(reader)
    assert found[-1:] == [json.loads(GOOD)] or reader.malformed


@SLOW
@given(values)
def test_no_envelope_ends_the_reader(value: Any) -> None:
    """Any JSON at every key that an envelope has."""
    keys = (
        *("log", "stream", "time", "attrs", "MESSAGE", "_HOSTNAME", "__REALTIME_TIMESTAMP"),
        *("kubernetes", "message", "podName", "resourceLogs", "container_id", "partial_message"),
    )
    text = f"WCM1 {GOOD}"
    rows = [
        {"log": text + "\n", "stream": "stderr", "MESSAGE": text, "_PID": "1", key: value}
        for key in keys
    ]
    rows += [
        {"resourceLogs": [{"resource": value, "scopeLogs": [{"logRecords": [{"body": value}]}]}]},
        {"resourceLogs": [{"scopeLogs": value}, value]},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": value}, value]}]},
    ]
    read("\n".join([*map(json.dumps, rows), text, ""]))


@given(st.text())
@example("\x9b31m")
def test_what_is_safe(text: str) -> None:
    for made in (printable(text), quoted(text), csv_cell(text).replace("\n", "").replace("\t", "")):
        assert made.isprintable()
    assert lines(text).replace("\n", "").replace("\t", "").isprintable()


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"), ("+a", "'+a"), ("-a", "'-a"), ("@a", "'@a"), ("\ta", "'\ta"),
        ("\ra", "\\ra"), ("-5", "-5"), (-5, "-5"), ("-1.5e-07", "-1.5e-07"), ("-inf", "-inf"),
        ("+2e0", "+2e0"), ("-", "'-"), ("", ""), ("a=b", "a=b"), ("1\x1b[m", "1\\u{1b}[m"),
    ],
)  # fmt: skip
def test_cells_are_no_formulas(value: object, cell: str) -> None:
    assert csv_cell(value) == cell
