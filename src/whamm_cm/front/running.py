"""A woven copy under the embedded engine, its records passed on as they come."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from whamm_cm.dataclass import dataclass
from whamm_cm.front.scripts import script_plan
from whamm_cm.front.settings import Settings
from whamm_cm.front.woven import Woven, is_module, woven
from whamm_cm.run.embedded import run
from whamm_cm.run.guest import Job
from whamm_cm.run.options import HostOptions
from whamm_cm.run.outcome import Outcome
from whamm_cm.run.wave import parse_invocation
from whamm_cm.trace.decode import Receiver
from whamm_cm.trace.leaving import Leaving
from whamm_cm.trace.records import Record

#: Pages an agent never needs, and how many more numbers of pages there are.
_LEAST_MARK, _MARKS = 1024, 60_000


@dataclass(frozen=True, slots=True)
class Running:
    """How to run: ``host`` is what the guest sees, ``invoke`` the export to call (None: the
    command), as in ``trace --invoke``.  ``on_start`` is called when all is compiled.  ``signals``
    and ``timeout`` as :func:`whamm_cm.run.embedded.run` has them."""

    host: HostOptions
    invoke: str | None = None
    stub_imports: bool = False
    cache: bool = True
    on_start: Callable[[], None] | None = None
    signals: bool = True
    timeout: float | None = None


def woven_to_run(data: bytes, settings: Settings, name: str) -> Woven:
    """Woven for the embedded engine, which can then read what a guest that trapped still holds."""
    return woven(data, settings.plan("host", script_plan(settings), mark_of(data)), name)


def run_woven(found: Woven, running: Running, feed: Callable[[Sequence[Record]], None]) -> Outcome:
    """``feed`` gets the records block by block, on another thread, the last ones when the guest has
    ended; what it raises ends the run.

    Raises RunError (it cannot be run at all), UsageError (``invoke``), and what ``feed`` raised.
    """
    plan = found.plan
    receiver = Receiver(found.table, show_secrets=plan.show_secrets)
    leaving = Leaving()
    # The embedded engine's clock starts with the guest.
    clock = 0 if found.timed else None

    def start() -> None:
        if running.on_start is not None:
            running.on_start()
        receiver.begin(time.time_ns(), clock)

    def emit(block: str) -> int:
        received = receiver.receive(block)
        leaving.feed(received.records)
        feed(received.records)
        return received.instance

    call = None if running.invoke is None else parse_invocation(running.invoke)
    outcome = run(
        Job(
            found.bytes, running.host, call, emit, running.stub_imports, running.cache, start,
            found.mark, running.signals, running.timeout,
        )
    )  # fmt: skip
    if outcome.trap is not None and leaving.said:
        return _left(outcome, leaving)
    # What a component's script has counted since its last report nobody can read.
    whole = outcome.salvaged and (outcome.reported or plan.scripts is None)
    if (outcome.trap is not None or outcome.interrupted) and not whole:
        feed([receiver.lost("interrupted" if outcome.interrupted else "trap")])
    return outcome


def _left(outcome: Outcome, leaving: Leaving) -> Outcome:
    """The end of a program that a script has ended, which has said all it had to say before."""
    if leaving.status is not None:
        return replace(outcome, status=leaving.status, trap=None)
    assert outcome.trap is not None, "it is how scripts end programs"
    trap = replace(outcome.trap, message=leaving.said, context=(), by_script=True)
    return replace(outcome, trap=trap)


def mark_of(data: bytes) -> int | None:
    """The ``mark`` of a plan, None for a core module: always the same for an input on this machine,
    so that compiled code is found again, and nothing that the input's author knows."""
    if is_module(data):
        return None
    known = f"{uuid.getnode()} {getattr(os, 'getuid', int)()}".encode()
    return _LEAST_MARK + zlib.crc32(hashlib.sha256(known + data).digest()) % _MARKS
