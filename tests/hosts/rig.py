"""Programs that run beside a test, and the HTTP requests it sends to them.

No port is fixed: a program is told to take port 0, and says which it got.  What a program prints
goes to a file, which is shown when something is not as expected.  It runs in a process group of its
own, which is killed at the end, whatever happens.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

DEADLINE = 60.0  # seconds for anything that must happen at all
_PORT = r"127\.0\.0\.1:([1-9]\d*)"


@dataclass(frozen=True, slots=True)
class Program:
    """A running program; ``log`` has its stdout and stderr."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def expect(self, pattern: str) -> re.Match[str]:
        """The first place in the log where ``pattern`` is; fails when it does not come."""
        end = time.monotonic() + DEADLINE
        while True:
            gone = self.process.poll() is not None
            found = re.search(pattern, self.text)
            if found:
                return found
            assert not gone, f"ended with {self.process.returncode}:\n{self.text}"
            assert time.monotonic() < end, f"no {pattern!r} in its log:\n{self.text}"
            time.sleep(0.02)

    def port(self, before: str) -> int:
        """The port it says it listens on, behind the text ``before``."""
        return int(self.expect(before + ".*?" + _PORT)[1])

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ends it in good order; returns its status."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)


@contextmanager
def running(
    command: Sequence[str | Path],
    log: Path,
    *,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
) -> Iterator[Program]:
    """``command`` in a process group of its own, with ``log`` for its output."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    try:
        yield Program(process, log)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@dataclass(frozen=True, slots=True)
class Server:
    """Where requests go; ``host`` is the name asked for, where the host routes by it."""

    port: int
    host: str = ""

    def open(self, size: int, path: str = "/") -> http.client.HTTPConnection:
        """A POST whose body of ``size`` bytes is still to come."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        connection.putrequest("POST", path, skip_host=bool(self.host))
        if self.host:
            connection.putheader("Host", self.host)
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        return connection

    def post(self, body: bytes, path: str = "/") -> tuple[int, bytes]:
        """One request; its status (0: the connection broke) and what came back."""
        connection = self.open(len(body), path)
        try:
            connection.send(body)
            response = connection.getresponse()
            try:
                return response.status, response.read()
            except http.client.IncompleteRead as cut:
                return response.status, cut.partial
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()


def tag(number: int) -> bytes:
    """What a request's body consists of, so that its data can be told from others'."""
    return b"<%04d>" % number


def each(count: int, work: Callable[[int], object], threads: int | None = None) -> list[object]:
    """``work(0) … work(count - 1)`` on so many threads (default: all at once); their results.
    The first exception of any is raised."""
    results: list[object] = [None] * count
    faults: list[BaseException] = []
    numbers = iter(range(count))
    lock = threading.Lock()

    def run() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                results[number] = work(number)
            except BaseException as fault:  # raised again below, in the test's own thread
                faults.append(fault)

    workers = [threading.Thread(target=run, daemon=True) for _ in range(threads or count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(2 * DEADLINE)
    if faults:
        raise faults[0]
    assert not any(worker.is_alive() for worker in workers), "some requests never ended"
    return results


def in_step(server: Server, count: int, steps: int) -> Counter[str]:
    """``count`` requests at once, each sending its tag ``steps`` times.

    Nobody sends its next tag before everybody has got back the last one: all requests are in flight
    all the time, and take turns in the host.  Counts what became of them: "200 echo",
    "200 other" for wrong data, or another status.
    """
    barrier = threading.Barrier(count)

    def one(number: int) -> str:
        mine = tag(number)
        connection = server.open(len(mine) * steps)
        response = None
        outcome = ""
        for _ in range(steps):
            if not outcome:
                outcome, response = _step(connection, response, mine)
            barrier.wait(DEADLINE)
        if not outcome and response is not None:
            outcome = "200 other" if response.read() else "200 echo"
        connection.close()
        return outcome

    return Counter(str(outcome) for outcome in each(count, one))


def _step(
    connection: http.client.HTTPConnection,
    response: http.client.HTTPResponse | None,
    mine: bytes,
) -> tuple[str, http.client.HTTPResponse | None]:
    """Sends a tag and reads it back; ("", response) if all is well."""
    try:
        connection.send(mine)
        response = response or connection.getresponse()
        if response.status != 200:
            return str(response.status), response
        got = b""
        while len(got) < len(mine):
            piece = response.read1(len(mine) - len(got))
            if not piece:
                break
            got += piece
        return ("" if got == mine else "200 other"), response
    except (OSError, http.client.HTTPException) as fault:
        return type(fault).__name__, response
