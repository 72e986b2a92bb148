"""Commands and HTTP handlers of other people, recorded and replayed.

    python -m tests.corpus_replay [-k WORD] [-v] [--reference] [--secrets HOW] DIR…

Each component runs under ``trace --record``: a command in a folder with a directory ``/data``, a
handler that is asked what :mod:`tests.corpus_handlers` asks.  Then it is replayed where none of it
is there any more: all calls have to be the recorded ones, and what a command writes and its status
the same bytes.  Where ``replay`` has ``--compose``, what it makes runs on the command ``wasmtime``
with nothing allowed, too.  An HTTP server of ours answers requests that go out; ``HTTP_SERVER``
says where it is.

Beside ``app.wasm`` may be ``app.requests``, as of :mod:`tests.corpus_handlers`, with, for commands,
lines ``--arg WORD``, ``--stdin TEXT`` and ``--invoke CALL``.  ``--reference`` also compares what a
command writes with the same on the command ``wasmtime``, asked twice.

The same bytes count once; what is for WASI 0.3 or has nothing to run is left out and counted.
Prints a line for each, and what differs; exits 1 if anything does.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.corpus_handlers import ask, case_of
from tests.corpus_readers import components
from tests.hosts import rig, tools
from whamm_cm.analysis.demands import world
from whamm_cm.component.decode import decode
from whamm_cm.errors import WhammError
from whamm_cm.gate.subject import analyse
from whamm_cm.trace.recorded import read_recording

_WHAMM = (sys.executable, "-m", "whamm_cm")
#: Seconds that a program may run.
_LONG = 120.0
#: What we say between what a guest does.
_OURS = re.compile(rb"(whamm-cm: [^\n]*\n|    (at|recorded:|now:) [^\n]*\n)+")
_LANGUAGES = {"cpy": "Python", "js": "JavaScript", "rs": "Rust", "go": "Go", "c": "C"}


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program wrote, without what we said, and how it ended; ``said``: what we did."""

    status: int
    out: bytes
    err: bytes
    said: str

    def __str__(self) -> str:
        return f"status {self.status}, {_cut(self.out)} and {_cut(self.err)}"


@dataclass(frozen=True, slots=True)
class Row:
    """``verdict``: of the replay, ``composed`` of what is composed, "" where it is not; ``more``:
    what differs."""

    verdict: str
    calls: int = 0
    composed: str = ""
    more: Sequence[str] = ()

    @property
    def good(self) -> bool:
        return self.verdict == "same" and self.composed in ("", "same")


def _cut(text: bytes) -> str:
    return repr(text if len(text) <= 300 else text[:150] + b" ... " + text[-150:])


class _Echo(BaseHTTPRequestHandler):
    """Answers with the body of the request, and its method and path as fields."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("x-wasmtime-test-method", self.command)
        self.send_header("x-wasmtime-test-uri", self.path)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_HEAD = answer

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def echo() -> Iterator[int]:
    """Such a server; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


class Trial:
    """One component in a folder of its own."""

    def __init__(self, path: Path, folder: Path, port: int, secrets: str) -> None:
        self.path, self.folder, self.secrets = path.resolve(), folder, secrets
        self.recording = folder / "run.wcr"
        self.args, self.stdin, self.invoke = list[str](), b"", list[str]()
        self.options = ["--env", f"HTTP_SERVER=127.0.0.1:{port}"]
        extra = path.with_suffix(".requests")
        for line in extra.read_text().splitlines() if extra.exists() else ():
            option, _, value = line.partition(" ")
            if option == "--arg":
                self.args.append(value)
            elif option == "--stdin":
                self.stdin = value.encode().decode("unicode_escape").encode("latin-1")
            elif option == "--invoke":
                self.invoke = [option, value]
            elif option.startswith("--"):
                self.options += [option, value]

    def run(self, command: Sequence[str | Path], given: bytes = b"") -> Ran:
        """With a fresh ``data`` beside it; raises subprocess.TimeoutExpired."""
        data = self.folder / "data"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        (data / "bar.txt").write_text("And I stood upon the sand of the sea\n")
        done = subprocess.run(
            [*map(str, command)], input=given, capture_output=True, cwd=self.folder, timeout=_LONG
        )
        shutil.rmtree(data)
        said = b"".join(found[0] for found in _OURS.finditer(done.stderr)).decode(errors="replace")
        return Ran(done.returncode, done.stdout, _OURS.sub(b"", done.stderr), said)

    def command(self) -> Ran:
        """Recorded."""
        return self.run(
            [*_WHAMM, "trace", "--record", self.recording, "--secrets", self.secrets,
             "--inherit-network", "--dir", "data::/data", *self.options, *self.invoke, self.path,
             *self.args],
            self.stdin,
        )  # fmt: skip

    def reference(self, wasmtime: Path) -> Ran:
        found = "cli,http,config,keyvalue,inherit-network,allow-ip-name-lookup,tcp,udp"
        command = [wasmtime, "run", "-S", found, "--dir", "data::/data", *self.options]
        return self.run([*command, *self.invoke, self.path, *self.args], self.stdin)

    def handler(self) -> str:
        """Asked and recorded; what went wrong."""
        case = case_of(self.path)
        command = [
            *_WHAMM, "trace", "--http", "--addr", "127.0.0.1:0", "--record", self.recording,
            "--secrets", self.secrets, "--inherit-network", *case.ours, self.path,
        ]  # fmt: skip
        try:
            with rig.running(command, self.folder / "log") as program:
                port = int(program.expect(r"http://127\.0\.0\.1:(\d+)/")[1])
                for request in case.requests.values():
                    ask(port, request)
                status = program.stop(signal.SIGTERM)
                return "" if status == 0 else f"it ended with {status}: {program.text[-300:]}"
        except AssertionError as fault:
            return str(fault)

    def replay(self) -> Ran:
        return self.run([*_WHAMM, "replay", self.recording, self.path])

    def compose(self, wasmtime: Path) -> Ran:
        """Made, and run with nothing."""
        out = self.folder / "composed.wasm"
        made = self.run([*_WHAMM, "replay", self.recording, self.path, "--compose", out])
        if made.status:
            return made
        return self.run([wasmtime, "run", "--invoke", "replay()", out])


def verdict(trial: Trial, wasmtime: Path | None, reference: bool, composes: bool) -> Row:
    """How one fared."""
    found = world(decode(trial.path.read_bytes(), trial.path.name))
    if found.versions:
        return Row("WASI 0.3")
    if not (found.handler or found.command or trial.invoke):
        return Row("nothing to run")
    ran, faults = None, list[str]()
    try:
        if found.handler and not trial.invoke:
            fault = trial.handler()
        else:
            ran = trial.command()
            fault = ran.said if not trial.recording.exists() else ""
        if fault:
            return Row("not recorded", more=[fault.strip()[-600:]])
        if ran is not None and reference and wasmtime is not None:
            faults += _as_theirs(trial, wasmtime, ran)
        again = trial.replay()
    except subprocess.TimeoutExpired as late:
        return Row("LATE", more=[*faults, f"{late.cmd[3]}: not done in {_LONG:g} s"])
    lives = read_recording(str(trial.recording)).lives
    calls = sum(len(life.entered) + len(life.made) for life in lives)
    same = again.status == 0 and (ran is None or (ran.out, ran.err) == (again.out, again.err))
    if not same:
        faults += [f"recorded {ran}", f"replayed {again}", again.said.strip()]
    trapped = any(call.answer is None for life in lives for call in life.entered)
    composed = ""
    if composes and wasmtime:
        composed = _composed(trial, ran, trapped, wasmtime, faults)
    return Row("same" if same else "DIFFERENT", calls, composed, faults)


def _as_theirs(trial: Trial, wasmtime: Path, ran: Ran) -> list[str]:
    """What differs on wasmtime itself, and not each time."""
    first, again = trial.reference(wasmtime), trial.reference(wasmtime)
    if (first.out, first.status) in [(ran.out, ran.status), (again.out, 1 - again.status)]:
        return []
    varies = " (which varies)" if first.out != again.out else ""
    return [f"wasmtime: {first}{varies}", f"recorded: {ran}"]


def _written_as(text: bytes, ran: Ran | None) -> bool:
    """Whether that is what a composed component says was written, its two streams in one text."""
    if ran is None:
        return True
    found = json.loads(re.sub(rb"\\u\{(\w+)\}", lambda one: b"\\u%04x" % int(one[1], 16), text))
    both = (ran.out + ran.err).decode(errors="replace")
    return sorted(found) == sorted(both)


def _composed(
    trial: Trial, ran: Ran | None, trapped: bool, wasmtime: Path, faults: list[str]
) -> str:
    try:
        told = trial.compose(wasmtime)
    except subprocess.TimeoutExpired:
        return "LATE"
    ends = told.status == 134 and b"recorded was:" not in told.err and b"wasm trap" in told.err
    if told.status == 0 and _written_as(told.out, ran) or ends and trapped:
        return "same"
    faults.append(f"composed {told} {told.said.strip()}")
    return "DIFFERENT"


def _language(path: Path) -> str:
    """As its producers say, or its name in our folders."""
    try:
        found = analyse(path.read_bytes(), path.name).subject.language
    except WhammError:
        found = ""
    known = _LANGUAGES.get(path.name.partition("_")[0])
    return known or found.rpartition(", ")[2] or "?"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus_replay", description=__doc__)
    parser.add_argument("-k", metavar="WORD", default="", help="those with it in their names only")
    parser.add_argument("-v", action="store_true", help="say what differs from wasmtime, too")
    parser.add_argument("--reference", action="store_true", help="compare with wasmtime")
    parser.add_argument("--secrets", choices=("keep", "mask"), default="keep")
    parser.add_argument("folders", nargs="+", metavar="DIR")
    options = parser.parse_args(arguments)
    wasmtime = tools.find("wasmtime")
    usage = subprocess.run([*_WHAMM, "replay", "--help"], capture_output=True, check=True)
    composes = b"--compose" in usage.stdout
    counts, composed = Counter[str](), Counter[str]()
    with echo() as port:
        for path in components(options.folders):
            if not re.search(options.k, path.name):
                continue
            with tempfile.TemporaryDirectory() as folder:
                trial = Trial(path, Path(folder), port, options.secrets)
                row = verdict(trial, wasmtime, options.reference, composes)
            counts[row.verdict] += 1
            if row.composed:
                composed[row.composed] += 1
            if row.verdict not in ("WASI 0.3", "nothing to run"):
                name, language = path.name.removesuffix(".wasm"), _language(path)
                ends = f"{row.calls:8} {row.verdict:12} {row.composed}"
                print(f"{name:64} {language:12} {ends}", flush=True)
                for line in row.more if options.v or not row.good else ():
                    print(f"    {line}", flush=True)
    for title, counted in (("replayed", counts), ("composed", composed)):
        print(f"{title}: {', '.join(f'{n} {what}' for what, n in counted.most_common())}")
    bad = counts["DIFFERENT"] + counts["LATE"] + composed["DIFFERENT"] + composed["LATE"]
    return 1 if bad else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    rig.DEADLINE = 600.0  # what is large takes its time to compile
    sys.exit(main(sys.argv[1:]))
