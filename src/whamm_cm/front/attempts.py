"""What is run again and again, to find out when it fails: a program, a request, a replay.

Every run begins the same: its directories are fresh copies, its standard input the same bytes.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from whamm_cm.errors import InputError
from whamm_cm.front.run import Run
from whamm_cm.front.running import woven_to_run
from whamm_cm.front.scripts import script_plan
from whamm_cm.front.serving import Serving, Session
from whamm_cm.front.settings import Settings
from whamm_cm.front.shrinking import Once
from whamm_cm.front.tracing import Tracing
from whamm_cm.front.woven import woven
from whamm_cm.run.options import Dir, parse_dir
from whamm_cm.trace.records import Record

if TYPE_CHECKING:
    from whamm_cm.front.rebuilt import OnMiss
    from whamm_cm.run.single import Answer, Request
    from whamm_cm.trace.recorded import Recording

#: The first status of a response that says that the server failed.
_FAILED = 500


def programs(data: bytes, tracing: Tracing, name: str, expected: bytes) -> Once:
    """A command or an export, run as ``tracing`` says.  It fails that traps, ends with another
    status than 0 or not in time, or does not write what is ``expected``."""

    def once(settings: Settings) -> tuple[str, Sequence[Record]]:
        with fresh(tracing.dirs) as dirs:
            found = replace(tracing, dirs=dirs).run(data, settings, name)
        failure = _ended(found, tracing.timeout)
        said = (found.stdout or b"") + b"\n" + (found.stderr or b"")
        return failure or _unsaid(said, expected), found.records

    return once


def requests(data: bytes, serving: Serving, request: Request, name: str, expected: bytes) -> Once:
    """An HTTP handler that is asked.  It fails that traps, or answers not at all, not in time, with
    an error, with a status of 500 or more, or without what is ``expected`` in the body."""

    def once(settings: Settings) -> tuple[str, Sequence[Record]]:
        records: list[Record] = []
        body = bytearray()
        with fresh(serving.host.dirs) as dirs:
            host = replace(serving.host, dirs=dirs)
            found = woven_to_run(data, settings, name)
            session = Session(found, replace(serving, host=host), records.extend)
            answer, late = _in_time(session, request, body, serving.timeout)
        if late:
            return f"it had not answered after {serving.timeout:g} s", records
        return _answered(answer) or _unsaid(bytes(body), expected), records

    return once


def replays(
    data: bytes, recording: Recording, name: str, expected: bytes, on_miss: OnMiss, timeout: float
) -> Once:
    """What was recorded, on top of which come the faults.  It fails that traps, ends with another
    status than 0 or not within ``timeout`` seconds, answers a request as :func:`requests` says, or
    does not write what is ``expected``."""
    from whamm_cm.front.rebuilt import replay_rebuilt
    from whamm_cm.front.replay_probes import Probes, replay_plan

    def once(settings: Settings) -> tuple[str, Sequence[Record]]:
        records: list[Record] = []
        found = woven(data, replay_plan(settings, script_plan(settings), data), name)
        ran = replay_rebuilt(
            recording, data, name, on_miss=on_miss, cache=False,
            probes=Probes(found, records.extend), write=lambda fd, text: None, timeout=timeout,
        )  # fmt: skip
        if ran.failures:
            return ran.failures[0], records
        if ran.left:
            return ran.left, records
        if ran.halt is not None and ran.halt.why == "new":
            return f"the recording has no {ran.halt.actual}", records
        return _unsaid(bytes(ran.said), expected), records

    return once


def _ended(found: Run, timeout: float | None) -> str:
    if found.interrupted:
        return f"it had not ended after {timeout:g} s"
    if found.trap is not None:
        return f"it trapped: {found.trap.message}"
    return f"it ended with status {found.status}" if found.status else ""


def _answered(answer: Answer) -> str:
    if answer.ended is not None:
        return f"it trapped: {answer.ended.trap.message}"
    if answer.error is not None:
        return f"it answered with the error {next(iter(answer.error))}"
    if not answer.status:
        return "it did not answer"
    return f"it answered with status {answer.status}" if answer.status >= _FAILED else ""


def _unsaid(said: bytes, expected: bytes) -> str:
    if expected in said:
        return ""
    return f"it did not write {expected.decode(errors='replace')!r}"


def _in_time(
    session: Session, request: Request, body: bytearray, timeout: float | None
) -> tuple[Answer, bool]:
    """The answer, and whether it was stopped for want of one."""
    late = threading.Event()

    def stop() -> None:
        late.set()
        session.handler.stop_late(0)

    timer = threading.Timer(timeout or threading.TIMEOUT_MAX, stop)
    timer.daemon = True
    timer.start()
    try:
        return session.ask(request, body.extend), late.is_set()
    finally:
        timer.cancel()


@contextmanager
def fresh(dirs: Sequence[str | Dir]) -> Iterator[Sequence[Dir]]:
    """Copies of directories, gone after the block.  Raises InputError for what cannot be copied."""
    with tempfile.TemporaryDirectory(prefix="whamm-cm-", ignore_cleanup_errors=True) as folder:
        copies = []
        for number, given in enumerate(dirs):
            one = given if isinstance(given, Dir) else parse_dir(given)
            copy = Path(folder) / str(number)
            try:
                shutil.copytree(one.host, copy, symlinks=True)
            except (OSError, shutil.Error) as error:
                raise InputError(f"--dir {one.host} cannot be copied for a run: {error}") from error
            copies.append(replace(one, host=str(copy)))
        yield copies
