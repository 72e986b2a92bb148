"""The strace renderer fed record by record, the registry, and texts that must not harm anyone."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator

import pytest

from tests.render.make_logs import SCENARIOS
from tests.render.shown import shown
from tests.steps import growth
from tests.trace.records import Log
from whamm_cm.errors import UsageError
from whamm_cm.render.jsonl import compact
from whamm_cm.render.lanes import lanes
from whamm_cm.render.options import SORTS, RenderOptions
from whamm_cm.render.registry import RENDERERS, format_for_path, renderer
from whamm_cm.render.strace import Strace
from whamm_cm.trace.names import HandleRef
from whamm_cm.trace.session import Session

PLAIN = RenderOptions()


def test_a_call_is_held_until_its_return():
    strace = Strace(PLAIN)
    log = Log()
    log.call("a:b/c#f", {"ok": None}, x=1)
    assert strace.feed(log.records[0]) == ""
    assert strace.feed(log.records[1]) == "a:b/c#f(1) = ok\n"
    assert strace.finish() == ""


def test_a_terminal_need_not_wait():
    strace = Strace(PLAIN)
    log = Log()
    log.call("a:b/c#f", 7)
    strace.feed(log.records[0])
    assert strace.flush() == "a:b/c#f() <unfinished …>\n"
    assert strace.flush() == ""
    assert strace.feed(log.records[1]) == "<… a:b/c#f resumed> = 7\n"


def test_an_idle_flush_keeps_what_follows_in_order():
    strace = Strace(PLAIN)
    log = Log()
    run = log.enter("a:b/c#run", edge="export")
    log.call("a:b/c#f", 7)
    log.leave("a:b/c#run", run)
    text = "".join(strace.feed(record) + strace.flush() for record in log)
    assert text == (
        "export a:b/c#run() <unfinished …>\n"
        "  a:b/c#f() <unfinished …>\n"
        "  <… a:b/c#f resumed> = 7\n"
        "<… a:b/c#run resumed> = ()\n"
    )


def test_a_return_whose_call_was_lost():
    strace = Strace(PLAIN)
    log = Log()
    log.add("return", "a:b/c#f", 9, result={"error": "x"})
    assert strace.feed(log.records[0]) == '<… a:b/c#f resumed> = error("x")\n'


def test_exported_methods_and_their_self():
    strace = Strace(PLAIN)
    log = Log()
    number = log.enter("my:own/things#thing.get", edge="export", self=5, args={"k": "v"})
    log.leave("my:own/things#thing.get", number, result=True)
    text = "".join(strace.feed(record) for record in log)
    assert text == 'export my:own/things#thing.get(self=thing#5, k="v") = true\n'


def many(count: int) -> Iterator[dict]:
    for number in range(count):
        log = Log(instance=1 + number % 3, now=number * 10)
        log.calls = number
        log.call("wasi:keyvalue/store#open", {"ok": number % 50}, identifier="x" * 40)
        yield from log


def test_a_long_log_is_streamed():
    tracemalloc.start()
    lines = 0
    for text in RENDERERS["strace"].render(many(20_000), RenderOptions(names=True)):
        lines += text.count("\n")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert lines == 20_000
    assert peak < 1_000_000


@pytest.mark.parametrize("name", ["chrome", "speedscope", "firefox", "folded", "pprof"])
def test_whole_log_formats_take_linear_time(name):
    text = shown(name, many(20_000))
    assert text.startswith(("{", "wasi:keyvalue/store#open 20000000", "\n"))
    assert growth(lambda n: shown(name, many(n)), 1000) < 2.2


def test_nothing_a_guest_writes_reaches_the_terminal_raw():
    nasty = "\x1b]0;x\x07\n\u202e\ud800"
    log = Log(component=nasty)
    log.call(f"a:b/{nasty}#{nasty}", {nasty: nasty}, **{nasty: {nasty: nasty}})
    log.call(f"x#{nasty}.drop", {"~bad": nasty}, 3)
    log.instance = 2
    log.call("wasi:keyvalue/store#open", {"ok": 4}, identifier=nasty)
    log.call("wasi:keyvalue/store#bucket.get", {"~b64": nasty}, 4, key={"~str": nasty, "~cut": 1})
    log.add("report", f"{nasty}#{nasty}", 0, count=1)
    for name in ("strace", "summary", "folded"):
        text = shown(name, log, RenderOptions(names=True))
        for line in text.splitlines():
            assert line.isprintable(), (name, line)
    for name in RENDERERS:
        shown(name, log).encode()


@pytest.mark.parametrize("name", RENDERERS)
def test_an_empty_log_and_a_lone_note(name):
    note = {"v": 1, "phase": "dropped", "instance": 1, "count": 3}
    for records in ([], [note]):
        text = shown(name, records)
        if name in ("chrome", "speedscope", "firefox"):
            json.loads(text)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_chrome_slices_nest_on_every_track(scenario):
    text = "".join(RENDERERS["chrome"].render(SCENARIOS[scenario](), PLAIN))
    tracks: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for event in json.loads(text)["traceEvents"]:
        assert event["ph"] in ("X", "M", "b", "n", "e", "i", "s", "f")
        if event["ph"] == "X" and event["cat"] != "waiting":
            span = (event["ts"], event["ts"] + event["dur"])
            tracks.setdefault((event["pid"], event["tid"]), []).append(span)
    calls = len(Session.build(SCENARIOS[scenario]()).calls)
    assert sum(len(spans) for spans in tracks.values()) == calls
    for spans in tracks.values():
        for at, (start, end) in enumerate(spans):
            for other, stop in spans[at + 1 :]:
                assert other >= end or stop <= end + 1e-6 or start == other


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_speedscope_events_are_balanced(scenario):
    text = "".join(RENDERERS["speedscope"].render(SCENARIOS[scenario](), PLAIN))
    for profile in json.loads(text)["profiles"]:
        stack, last = [], profile["startValue"]
        for event in profile["events"]:
            assert last <= event["at"] <= profile["endValue"]
            last = event["at"]
            if event["type"] == "O":
                stack.append(event["frame"])
            else:
                assert stack.pop() == event["frame"]
        assert not stack


def test_concurrent_calls_get_lanes():
    tracks = lanes(Session.build(SCENARIOS["concurrent"]()))
    assert [track.label for track in tracks][:2] == ["instance 1", "instance 1 (2)"]


@pytest.mark.parametrize("sort", SORTS)
def test_summary_sorts(sort):
    text = "".join(RENDERERS["summary"].render(SCENARIOS["http"](), RenderOptions(sort=sort)))
    first = text.splitlines()[2].split("  ")[-1].strip()
    if sort == "wait-time":  # nothing has waited
        sort = "name"
    expected = {"calls": "wasi:keyvalue/store#bucket.get", "name": "wasi:config/store#get"}
    expected["errors"] = "wasi:keyvalue/store#bucket.set"
    assert first == expected.get(sort, "export wasi:http/incoming-handler#handle")


def test_unknown_names_are_explained():
    with pytest.raises(UsageError, match="known: time, calls"):
        "".join(RENDERERS["summary"].render([], RenderOptions(sort="size")))
    with pytest.raises(UsageError, match='did you mean "chrome"'):
        renderer("chrom")
    with pytest.raises(UsageError, match="known: strace, "):
        renderer("zzz")
    assert renderer("folded").name == "folded"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("out.jsonl", "jsonl"),
        ("a/b/trace.JSON", "chrome"),
        ("x.speedscope.json", "speedscope"),
        ("run.folded", "folded"),
        ("run.pprof", "pprof"),
        ("run.firefox.json", "firefox"),
        ("profile.pb.gz", "pprof"),
        ("run.log", "strace"),
        ("run", "strace"),
    ],
)
def test_format_for_path(path, name):
    assert format_for_path(path) == name


def test_compact_json():
    assert compact({"ü": ["\ud800"]}) == '{"ü":["\\ud800"]}'
    assert compact("\x9b\x7f\u202e\U000e0041") == '"\\u009b\\u007f\\u202e\\udb40\\udc41"'
    assert compact({"ü": 1}) == '{"ü":1}'


def test_handle_refs_print_as_themselves():
    assert str(HandleRef("bucket", 1, 2, "x")) == "bucket#1"


@pytest.mark.parametrize("name", ["strace", "summary", "jsonl", "chrome", "html"])
def test_logs_of_any_depth_are_read_in_time_that_goes_by_their_length(name):
    def deep(count):
        log = Log()
        item = "a:b/c#f"
        calls = [log.enter(item, edge="inner") for _ in range(count)]
        for call in reversed(calls):
            log.leave(item, call)
        return log

    options = RenderOptions(names=True)
    assert growth(lambda n: len("".join(RENDERERS[name].render(deep(n), options))), 400) < 2.9
