"""Telemetry of what runs here is made and sent by a process of its own, so that it takes neither
the interpreter nor, on a busy machine, the processor from the guest.

Records go there through a pipe, in lists as ``marshal`` writes them: both ends are of one
interpreter.  What is in the pipe arrives whatever becomes of us.
"""

from __future__ import annotations

import marshal
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whamm_cm.render.safe import lines
from whamm_cm.render.words import counted
from whamm_cm.telemetry.export import MOST, Telemetry, Wish, check

if TYPE_CHECKING:
    from whamm_cm.trace.records import Record
    from whamm_cm.trace.spans import Trap

#: Records that are written at once, and seconds that fewer of them wait.
_CHUNK, _DELAY = 1024, 0.1
#: What the process ends with: all was sent, or not all.
_SENT, _UNSENT = 0, 1
#: How much less than the guest's it counts.
_NICE = 5
_MODULE = "whamm_cm.telemetry.apart"


class Admission:
    """What is let in of records while ``waiting`` others of at most ``most`` wait.

    Where it gets narrow, requests that begin are left out whole, as far as a host says when they
    do: half a request is no trace.  ``requests`` and ``records`` count what was left out.
    """

    def __init__(self, most: int) -> None:
        self.requests = self.records = 0
        self._most, self._narrow = most, most // 4 * 3
        self._out: set[int] = set()
        self._missed = 0

    def admits(self, record: Record, waiting: int) -> bool:
        req = record.get("req", 0)
        if req and (self._out or waiting >= self._narrow):
            if req in self._out:
                if record["phase"] == "answer":
                    self._out.discard(req)
                return False
            if record["phase"] == "request" and waiting >= self._narrow:
                self._out.add(req)
                self.requests += 1
                return False
        if waiting < self._most:
            return True
        self.records += 1
        self._missed += 1
        return False

    def gap(self) -> Record | None:
        """To be let in before the next: how many records are missing there."""
        missed, self._missed = self._missed, 0
        return {"v": 2, "phase": "lost", "lost": missed, "why": "buffer"} if missed else None


class Apart:
    """What there is of :class:`Telemetry` here.  ``quiet``: nothing is said; ``verbose``: also what
    was sent."""

    def __init__(self, wish: Wish, quiet: bool, verbose: bool) -> None:
        """Raises UsageError for what cannot be."""
        check(wish)
        places = (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", ""))
        self._process = subprocess.Popen(
            [sys.executable, "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))},
        )
        self._inbox: deque[Record] = deque()
        self._admission, self._unpassed, self._ending = Admission(MOST), 0, False
        self._wake = threading.Event()
        self._pass((wish.url, wish.service, quiet, verbose))
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._thread.start()

    def feed(self, record: Record) -> None:
        """Never waits: what is too much is left out, and said at the end."""
        inbox = self._inbox
        if not self._admission.admits(record, len(inbox)):
            return
        gap = self._admission.gap()
        if gap is not None:
            inbox.append(gap)
        inbox.append(record)
        if len(inbox) == _CHUNK:
            self._wake.set()

    def finish(self, trap: Trap | None, say: Callable[[str], None]) -> bool:
        """Has all sent, and told what could not be; returns whether all was.  ``trap``: why the
        guest will not return."""
        self._ending = True
        self._wake.set()
        self._thread.join()
        if trap is not None:
            self._pass((trap.message, trap.stack))
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            self._unpassed += 1
        status = self._process.wait()
        if status not in (_SENT, _UNSENT):
            say(f"telemetry ended early, with status {status}; please report it")
        missed = [
            counted(number, noun)
            for number, noun in (
                (self._admission.requests, "request"),
                (self._admission.records + self._unpassed, "record"),
            )
            if number
        ]
        if missed:
            say(f"{' and '.join(missed)} came faster than spans are made, and are in none")
        return status == _SENT and not missed

    def _run(self) -> None:
        inbox = self._inbox
        while inbox or not self._ending:
            if len(inbox) < _CHUNK and not self._ending:
                self._wake.wait(_DELAY)
            self._wake.clear()
            chunk = [inbox.popleft() for _ in range(min(len(inbox), _CHUNK))]
            if chunk and not self._pass(chunk):
                self._unpassed += len(chunk)

    def _pass(self, what: Any) -> bool:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(marshal.dumps(what))
            self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return True


def _tell(text: str) -> None:
    print(f"whamm-cm: {lines(text)}", file=sys.stderr, flush=True)


def main() -> int:
    """The process: reads what ``Apart`` writes until that ends."""
    # Ctrl-C means the guest; what it has done is sent all the same.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICE)
    source: Any = sys.stdin.buffer
    url, service, quiet, verbose = marshal.load(source)
    telemetry = Telemetry(Wish(url, service, waits=True), (lambda text: None) if quiet else _tell)
    while True:
        try:
            found = marshal.load(source)
        except EOFError:
            break
        if isinstance(found, tuple):
            telemetry.trapped(*found)
            continue
        for record in found:
            telemetry.feed(record)
    said = telemetry.finish()
    if not quiet:
        for sentence in (*said, *([telemetry.sent()] if verbose else ())):
            _tell(sentence)
    return _UNSENT if telemetry.lost() else _SENT


if __name__ == "__main__":
    sys.exit(main())
