"""``trace --live``: who may look, what they are told, and that neither they nor a long run cost
memory."""

from __future__ import annotations

import http.client
import os
import pty
import random
import re
import socket
import sys
import time
import tracemalloc
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_http import serving
from tests.page.logs import many, small
from tests.run.host.rig import echo
from whamm_cm.cli.live import Live
from whamm_cm.cli.main import main
from whamm_cm.errors import UsageError
from whamm_cm.front.live import PAGES
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.page.bundle import unpacked
from whamm_cm.render.page.live import LiveRun


@pytest.fixture
def live() -> Iterator[Live]:
    found = Live("127.0.0.1:0", RenderOptions())
    yield found
    found.finish()


def place(live: Live) -> tuple[str, int, str]:
    """Host, port and the path with the token."""
    match = re.fullmatch(r"http://(127\.0\.0\.1):(\d+)(/[\w-]{32}/)", live.url)
    assert match
    return match[1], int(match[2]), match[3]


def ask(
    live: Live, path: str | None = None, method: str = "GET", **headers: str
) -> tuple[int, Any]:
    host, port, own = place(live)
    connection = http.client.HTTPConnection(host, port, timeout=60)
    connection.request(method, own if path is None else path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, (answer.headers, body)


class Told:
    """A page's ear."""

    def __init__(self, live: Live) -> None:
        host, port, path = place(live)
        self.socket = socket.create_connection((host, port), 60)
        text = f"GET {path}events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"
        self.socket.sendall(text.encode())
        self.file = self.socket.makefile("rb")
        self.status = self.file.readline()
        while self.file.readline().strip():
            pass

    def next(self) -> dict[str, Any] | None:
        """What it is told, None when that is over."""
        over = False
        for line in self.file:
            if line.startswith(b"event: over"):
                over = True
            if line.startswith(b"data: "):
                return None if over else unpacked(line[6:].decode())
        raise AssertionError("it ended without saying so")

    def close(self) -> None:
        self.file.close()
        self.socket.close()


def test_the_page_may_talk_to_who_served_it_and_nobody_else(live: Live) -> None:
    status, (headers, body) = ask(live)
    assert status == 200 and headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer" and headers["X-Frame-Options"] == "DENY"
    policy = re.search(rb'Content-Security-Policy" content="([^"]*)"', body)
    assert policy and b"default-src 'none'" in policy[1] and b"connect-src 'self'" in policy[1]


def test_who_has_no_token_sees_nothing(live: Live) -> None:
    _, _, path = place(live)
    for other in (
        "/",
        "/events",
        path[:-2] + "!/",
        path[:-1],
        path + "x",
        "*",
        path + "events/",
        "//",
        "/%e9/",
    ):
        status, (_, body) = ask(live, other)
        assert status == 404 and path.encode() not in body, other
    assert ask(live, method="POST")[0] == 501


def test_pages_of_others_see_nothing(live: Live) -> None:
    host, port, path = place(live)
    for name in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.2:{port}", ""):
        assert ask(live, Host=name)[0] == 403, name
    for origin in ("http://evil.example", "null", "", f"https://{host}:{port}", "http://127.0.0.1"):
        assert ask(live, path + "events", Origin=origin)[0] == 403, origin
    assert ask(live, Host=f"localhost:{port}", Origin=f"http://localhost:{port}")[0] == 200


@pytest.mark.parametrize(
    "place", ["0.0.0.0:0", "[::]:0", "192.168.1.5:80", "example.com:1", "x:y:z"]
)
def test_others_machines_are_not_served(place: str) -> None:
    assert main(["trace", "--live-at", place, __file__]) in (2, 3)
    with pytest.raises(UsageError, match="--live-at"):
        Live(place, RenderOptions())


def test_a_port_that_is_taken_is_said(live: Live) -> None:
    _, port, _ = place(live)
    with pytest.raises(UsageError, match=rf"--live cannot listen on 127.0.0.1:{port}: "):
        Live(f"127.0.0.1:{port}", RenderOptions())


def test_a_page_is_told_what_there_is_and_what_comes(live: Live) -> None:
    records = small()
    for record in records[:100]:
        live.feed(record)
    page = Told(live)
    first = page.next()
    assert first and first["live"]["records"] == 100 and not first["live"]["ended"]
    assert first["chunk"]["n"] == first["run"]["calls"] > 0
    for record in records[100:]:
        live.feed(record)
    second = page.next()
    while second and second["live"]["records"] < len(records):
        second = page.next()
    assert second and second["run"]["calls"] > first["run"]["calls"]
    live.finish()
    last = page.next()
    assert last and last["live"]["ended"] == "The run is over."
    assert page.next() is None
    page.close()


def test_a_run_without_end_is_forgotten_from_the_front() -> None:
    run = LiveRun(RenderOptions(), most=500)
    for record in many(20_000):
        run.feed(record)
    told = unpacked(run.text())
    assert told["live"]["records"] == run.count > 20_000
    assert told["live"]["shown"] <= 510 and told["live"]["first"] > 15_000
    chunk = told["chunk"]
    assert 0 < chunk["n"] <= 500
    assert all(-1 <= parent < at for at, parent in enumerate(chunk["columns"]["parent"]))
    # Nothing is left of a call that has been forgotten: each that is shown has what it was given.
    assert sum("args" in values for values in chunk["values"]) == sum(
        1 for values in chunk["values"] if values.keys() & {"args", "result"}
    )


def test_long_values_make_fewer_records() -> None:
    run = LiveRun(RenderOptions(), most=4000)
    for at in range(4000):
        for record in small(1)[:2]:
            text = random.Random(at).randbytes(1500).hex()
            run.feed({**record, "call": at + 1, "args": {"x": text}})
    size = len(run.text())
    for record in small(100)[:100]:  # what is kept is fewer from now on
        run.feed(record)
    assert size > 4 << 20 > len(run.text()) and run.count == 8100


def test_values_that_take_more_memory_than_text_make_fewer_records() -> None:
    """And nobody has to look for that."""
    run = LiveRun(RenderOptions(), heaviest=2 << 20)
    first = small(1)[0]
    tracemalloc.start()
    for at in range(2000):
        run.feed({**first, "call": at + 1, "args": {"x": [{"a": True} for _ in range(100)]}})
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 8 << 20
    live = unpacked(run.text())["live"]
    assert live["records"] == 2000 and 0 < live["shown"] == 2000 - live["first"] < 400
    # One that is heavier by itself is shown.
    run.feed({**first, "call": 3000, "args": {"x": ["x" * 1000] * 5000}})
    assert unpacked(run.text())["live"]["shown"] == 1


def test_there_is_an_end_to_pages(live: Live) -> None:
    live.feed(small()[0])
    pages = [Told(live) for _ in range(PAGES)]
    assert all(b" 200 " in page.status for page in pages)
    assert b" 503 " in Told(live).status
    pages.pop().close()
    end = time.monotonic() + 60
    for record in many(10_000):  # that a page is gone is seen when it is told something
        live.feed(record)
        if b" 200 " in Told(live).status:
            break
        assert time.monotonic() < end
    for page in pages:
        page.close()


def test_who_does_not_listen_keeps_nobody_waiting(live: Live) -> None:
    """It misses what is told meanwhile, and others do not."""
    deaf = Told(live)
    page = Told(live)
    records = list(many(6000))
    for record in records:
        live.feed(record)
    found = page.next()
    while found and found["live"]["records"] < len(records):
        found = page.next()
    assert found and found["run"]["calls"] > 0
    deaf.close()
    page.close()


def test_a_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    app = Path(__file__).parents[2] / "fixtures" / "c_command" / "command.wasm"
    words = ["trace", "--live", "-o", str(tmp_path / "run.jsonl"), str(app)]
    status = main(words)
    said = capfd.readouterr().err
    assert re.search(
        r"^whamm-cm: the run is shown on http://127\.0\.0\.1:\d+/[\w-]{32}/$", said, re.M
    )
    assert status == main(["trace", "-q", "-o", str(tmp_path / "other.jsonl"), str(app)])
    assert (tmp_path / "run.jsonl").stat().st_size > 0


def test_on_a_terminal_the_page_stays_until_ctrl_c() -> None:
    app = Path(__file__).parents[2] / "fixtures" / "c_command" / "command.wasm"
    words = [sys.executable, "-m", "whamm_cm", "trace", "--live", "-e", "trace=none", str(app)]
    child, terminal = pty.fork()
    if not child:
        os.execv(sys.executable, words)
    said = b""
    while b"stays until Ctrl-C" not in said:
        said += os.read(terminal, 4096)
    url = re.search(rb"http://127\.0\.0\.1:\d+/\S{32}/", said)
    assert url and b"greeting" in said
    with urllib.request.urlopen(url[0].decode(), timeout=60) as answer:
        assert b"<!DOCTYPE html>" in answer.read()
    os.write(terminal, b"\x03")
    with suppress(OSError):  # what Linux says of a terminal that is closed
        while more := os.read(terminal, 4096):
            said += more
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert b"Traceback" not in said


def test_a_server_is_looked_at_while_it_serves(tmp_path: Path) -> None:
    app = tmp_path / "echo.wasm"
    app.write_bytes(echo())
    with serving("--live", str(app)) as server:
        assert server.process.stderr is not None
        url = re.search(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", server.said)
        assert url

        class Known:
            def __init__(self, url: str) -> None:
                self.url = url

        page = Told(Known(url[0]))  # type: ignore[arg-type]
        line = ""
        while (match := re.search(r"serving .* on http://127\.0\.0\.1:(\d+)/", line)) is None:
            line = server.process.stderr.readline()
            assert line
        server.address = ("127.0.0.1", int(match[1]))
        request = b"GET /seen HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        assert server.ask(request).startswith(b"HTTP/1.1 200")
        told = page.next()
        while told and not any(row["path"] == "/seen" for row in told["run"]["requests"]):
            told = page.next()
        assert told
        assert server.end() == 0
        while told is not None:
            last, told = told, page.next()
        assert last["live"]["ended"] == "The run is over."
