"""Handlers with a guard, with faults in them or that record themselves, asked by many at once:
nobody is lost, each denial is the right one, and all is in the log."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import pytest

from fixtures import build
from tests.gate.attacking import policy
from tests.hosts.rig import DEADLINE, Program, Server, each, tag
from tests.hosts.starting import serving, wash_dev
from whamm_cm.cli.main import main
from whamm_cm.front.guarding import guarded

ALL, AT_ONCE = 300, 32
Start = Callable[[Path, Path], AbstractContextManager[tuple[Server, Program]]]


@contextmanager
def backend() -> Iterator[tuple[str, list[str]]]:
    """An HTTP server, and what it was asked for."""
    asked: list[str] = []

    class Asked(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Many(ThreadingHTTPServer):
        request_queue_size = 256

    with Many(("127.0.0.1", 0), Asked) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def fresh(folder: Path, app: Path) -> AbstractContextManager[tuple[Server, Program]]:
    return serving(folder, app, "--max-instance-reuse-count", "1")


def reused(folder: Path, app: Path) -> AbstractContextManager[tuple[Server, Program]]:
    return serving(folder, app, "--max-instance-reuse-count", "64")


def dev(folder: Path, app: Path) -> AbstractContextManager[tuple[Server, Program]]:
    return wash_dev(folder, app, workload='allowedHosts: ["*"]')


HOSTS: dict[str, Start] = {"serve": fresh, "serve, reused": reused, "wash dev": dev}


def status(server: Server, path: str) -> int:
    """Of one GET; 0 where the connection broke."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def printed(log: Path, app: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of the scripts in it, in the log of a host."""
    capsys.readouterr()
    assert main(["report", "-f", "jsonl", "--woven", str(app), str(log)]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [one["text"] for one in records if one["phase"] == "print"]


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_a_guard_under_load(
    host: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = tmp_path / "app.wasm"
    with backend() as (mine, asked), backend() as (other, never):
        name, _, port = mine.partition(":")
        rules = f"permissions: {{ network: {{ allow: [{{ host: {name}, ports: [{port}] }}] }} }}"
        found = guarded(build.build("http_ask"), "app", policy(rules, tmp_path), "deny")
        app.write_bytes(b"".join(found.pieces))
        with host(tmp_path, app) as (server, program):
            program.expect("erving HTTP|listening for HTTP requests")

            def ask(number: int) -> int:
                return status(server, f"/{other if number % 3 == 0 else mine}")

            answers = each(ALL, ask, AT_ONCE)
            program.stop()
    denied = ALL // 3
    assert Counter(answers) == {204: ALL - denied, 502: denied}
    assert len(asked) == ALL - denied and never == []
    lines = Counter(printed(program.log, app, capsys))
    wanted = (f'#outgoing-request.set-authority "{other}"', "#handle outgoing-request#")
    for what in wanted:
        said = {line: n for line, n in lines.items() if what in line}
        assert sum(said.values()) == denied and all("enforce: denied" in one for one in said)
    assert sum(lines.values()) == 2 * denied


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_faults_under_load(host: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app, echo = tmp_path / "app.wasm", build.path_of("http_echo")
    words = ["instrument", "-m", "chaos", "-D", "rate=0.3", "-D", "seed=7", "-o", str(app)]
    assert main([*words, str(echo)]) == 0
    with host(tmp_path, app) as (server, program):
        program.expect("erving HTTP|listening for HTTP requests")
        answers = cast("list[tuple[int, bytes]]", each(ALL, lambda n: server.post(tag(n)), AT_ONCE))
        program.stop()
    lines = Counter(printed(program.log, app, capsys))
    # What an answer was cut to is still its own.
    for number, (code, body) in enumerate(answers):
        assert code == 200 and tag(number).startswith(body)
    # Each instance meets the faults of its seed, the first one as often as there are instances.
    instances = max(lines.values())
    assert len(lines) > 1 and any(
        line.startswith("fault 1: ") and n == instances for line, n in lines.items()
    )
    if host is reused:
        assert instances < ALL and len(lines) > 6
    else:
        assert set(lines.values()) == {ALL}


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_recordings_under_load(
    host: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app, echo = tmp_path / "app.wasm", str(build.path_of("http_echo"))
    assert main(["instrument", "--record", "-o", str(app), echo]) == 0
    with host(tmp_path, app) as (server, program):
        program.expect("erving HTTP|listening for HTTP requests")
        answers = each(ALL, lambda n: server.post(tag(n)) == (200, tag(n)), AT_ONCE)
        program.stop()
    assert answers == [True] * ALL
    capsys.readouterr()
    assert main(["replay", "--woven", str(app), str(program.log), echo]) == 0
    assert f"{16 * ALL} calls replayed, all as recorded" in capsys.readouterr().err
