"""The log by request, and the summaries by peer and route."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.trace.records import Log
from tests.trace.test_peers import answered, request, waited
from whamm_cm.cli.main import main
from whamm_cm.render import by_request
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.registry import renderer
from whamm_cm.render.strace import live
from whamm_cm.trace import groups

HANDLE = "wasi:http/incoming-handler#handle"
HTTP = "wasi:http/types#"
WRITE = "wasi:io/streams#output-stream.blocking-write-and-flush"
MS = 1_000_000
_PERCENTILES = ("seconds", "p50", "p95", "p99", "calls", "errors", "function")


def asked(log: Log, path: str, status: int = 200, ms: int = 1, instance: int = 1) -> None:
    """A request that writes to stderr in pieces, and talks to a peer if it takes long."""
    before, log.instance = log.instance, instance
    call = log.enter(HANDLE, edge="export", args={"request": 1, "response-out": 2})
    log.call(HTTP + "incoming-request.method", {"get": None}, 1)
    log.call(HTTP + "incoming-request.path-with-query", path, 1)
    log.call("wasi:cli/stderr#get-stderr", 3)
    for piece in ("half a ", "line\nand \x1b[31m", "more"):
        log.call(
            WRITE, {"ok": None}, 3, contents={"~b64": base64.b64encode(piece.encode()).decode()}
        )
    log.call("wasi:logging/logging#log", level="warn", context="db", message="slow")
    if ms > 10:
        request(log)
        waited(log, 7, ms)
        answered(log, 7, status)
    log.call(HTTP + "outgoing-response.new", 60, headers=9)
    log.call(HTTP + "outgoing-response.set-status-code", {"ok": None}, 60, status_code=status)
    log.call(HTTP + "response-outparam.set", param=2, response={"ok": 60})
    log.leave(HANDLE, call)
    log.instance = before


def several() -> Log:
    log = Log()
    for number in range(3):
        asked(log, f"/users/{number}?x={number}")
    asked(log, "/slow", 503, 40, instance=2)
    return log


def text(log: Log, **options: object) -> str:
    return "".join(renderer("strace").render(log, RenderOptions(by="request", **options)))  # type: ignore[arg-type]


def saved(log: Log, folder: Path) -> str:
    path = folder / "run.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in log))
    return str(path)


def test_a_request_is_shown_with_what_it_came_to() -> None:
    shown = text(several()).splitlines()
    heads = [line for line in shown if line.startswith("#")]
    assert [head.partition(" in ")[0] for head in heads] == [
        "#1 GET /users/0?x=0 → 200",
        "#2 GET /users/1?x=1 → 200",
        "#3 GET /users/2?x=2 → 200",
        "#4 GET /slow → 503",
    ]
    assert heads[3].endswith("(instance 2)")
    last = shown[shown.index(heads[3]) + 1 :]
    assert last[0].startswith("  export wasi:http/incoming-handler#handle(")
    (sent,) = (line for line in last if line.startswith("    =>"))
    assert "=> PUT https://api.test/v1?x → 503 in 40.0ms, sent 5, received 8" in sent
    assert any("    outgoing-request#6.set-method(put) = ok" in line for line in last)


def test_what_the_guest_logs_is_in_place_and_safe_to_look_at() -> None:
    shown = [line.strip() for line in text(several()).splitlines()]
    assert shown.count("stderr: half a line") == 4
    assert "stderr: and \\u{1b}[31mmore" in shown
    at = shown.index("warn: db: slow")
    assert shown[at - 1] == "stderr: half a line"
    assert not any("blocking-write" in line and "#3" in line for line in shown)
    assert "blocking-write-and-flush" in text(several(), each=True)


def test_only_slow_ones() -> None:
    shown = text(several(), slow_ns=30 * MS)
    assert shown.count("\n#") == 0 and shown.startswith("#4 GET /slow")
    assert text(several(), slow_ns=1000 * MS) == ""


def test_requests_that_interleave_are_told_apart() -> None:
    log = Log()
    one, two = Log(), Log(instance=2, now=1500)
    asked(one, "/one")
    asked(two, "/two", instance=2)
    log.records = sorted([*one, *two], key=lambda record: record["t_ns"])
    plain = "".join(renderer("strace").render(log, RenderOptions()))
    assert "unfinished" in plain  # they do
    shown = text(log)
    assert "unfinished" not in shown and "resumed" in shown
    assert shown.index("/one") < shown.index("/two")


def test_a_request_is_shown_when_it_is_over_and_one_that_hangs_at_the_end() -> None:
    log = several()
    view = live(RenderOptions(by="request"))
    returned = [view.feed(record) for record in log.records[:-1]]
    assert "".join(returned).count("\n#") == 2
    rest = view.finish()
    assert rest.startswith("#4 GET /slow → 503, never returned (instance 2)")
    assert rest.rstrip().endswith("= ?")


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_request, "FIRST", 5)
    log = Log()
    call = log.enter(HANDLE, edge="export", args={"request": 1})
    for number in range(2000):
        log.call("a:b/c#d", number)
    log.leave(HANDLE, call)
    shown = text(log).splitlines()
    assert len(shown) == 1 + 5 + 1 + by_request.LAST
    assert "  … 1497 lines are left out …" in shown
    monkeypatch.setattr(by_request, "MOST", 100)
    assert sum(map(len, text(log).splitlines())) < 400


def test_the_summary_by_route(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "-c", "--by", "route", saved(several(), tmp_path)]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split()[-4:] for row in rows] == [
        ["GET", "/slow", "503", "×1"],
        ["GET", "/users/{n}", "200", "×3"],
    ]
    assert rows[0].split()[:3] == ["1", "1", "1"]  # calls, errors, 5xx
    assert rows[1].split()[:2] == ["3", "3"]  # calls, 2xx


def test_the_summary_by_peer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--by", "peer", saved(several(), tmp_path)]) == 0
    (row,) = capsys.readouterr().out.splitlines()[2:]
    assert row.split()[:4] == ["1", "1", "5", "8"]
    assert 39.6 <= float(row.split()[4].removesuffix("ms")) <= 40.5
    assert row.endswith("api.test:443  503 ×1")


def test_there_may_be_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = saved(Log(records=[{"v": 2, "phase": "start"}]), tmp_path)
    for by, said in (("peer", "talked to nobody"), ("route", "nothing was asked")):
        assert main(["report", "--by", by, log]) == 0
        assert said in capsys.readouterr().out


def test_percentiles_of_functions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "-c", "--percentiles", saved(several(), tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["%", "time", *_PERCENTILES]
    (row,) = (line for line in lines if line.endswith("wasi:io/poll#poll"))
    assert row.split()[2:5] == ["40.0ms"] * 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--by", "colour"], "expected one of function, peer, route, request"),
        (["--by", "request", "-c"], "leave out -c and -f"),
        (["--slow", "1s", "--by", "peer"], "--slow is of the log by request"),
        (["--by", "peer", "-f", "jsonl"], "of the summary, -f is another"),
        (["--by", "route", "--percentiles"], "has percentiles always"),
        (["--by", "route", "--per-instance"], "for --by function"),
        (["--slow", "soon"], "is not a time"),
    ],
)
def test_what_does_not_go_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert main(["report", *options, saved(several(), tmp_path)]) == 2
    assert said in capsys.readouterr().err


def test_rows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MAX_ROWS", 3)
    log = Log()
    for name in "abcdef":
        asked(log, f"/{name}")
    grouped = groups.Grouped("route")
    for record in log:
        grouped.feed(record)
    grouped.finish()
    assert {key: row.calls for key, row in grouped.groups.rows.items()} == {
        "GET /a": 1, "GET /b": 1, "GET /c": 1, groups.OTHERS: 3,
    }  # fmt: skip


def test_jsonl_has_the_request_and_the_peer() -> None:
    lines = [json.loads(line) for line in renderer("jsonl").render(several(), RenderOptions())]
    exports = [line for line in lines if line["edge"] == "export"]
    assert [line["req"] for line in exports] == [1, 1, 2, 2, 3, 3, 4, 4]
    about = {line["func"] for line in lines if line.get("url") == "https://api.test/v1?x"}
    assert {"handle", "future-incoming-response.get", "input-stream.blocking-read"} <= about
    assert {line["peer"] for line in lines if "peer" in line} == {"api.test:443"}
    again = [json.loads(line) for line in renderer("jsonl").render(lines, RenderOptions())]
    assert again == lines
