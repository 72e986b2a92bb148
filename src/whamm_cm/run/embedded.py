"""The embedded runner: a component under wasmtime in this process."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import TypeVar

from whamm_cm.component.decode import MODULE_PREAMBLE
from whamm_cm.run.guest import GuestRun, Job, Run
from whamm_cm.run.host.bridge import Watch
from whamm_cm.run.hosted import HostedRun
from whamm_cm.run.module import ModuleRun
from whamm_cm.run.options import Dir, HostOptions
from whamm_cm.run.outcome import TIMEOUT_STATUS, Outcome
from whamm_cm.run.wave import Invocation, parse_invocation

T = TypeVar("T")

_POLL = 0.1  # seconds between looks at the signals; a guest's end wakes us at once
_ANSWER = 0.1  # seconds an interrupted guest has to say what it has counted
_GRACE = 0.5  # seconds an interrupted guest has before it is left behind


def run_component(
    wasm: bytes,
    *,
    args: Sequence[str] = ("component",),
    env: Sequence[tuple[str, str]] = (),
    dirs: Sequence[Dir] = (),
    inherit_network: bool = False,
    invoke: Invocation | str | None = None,
    emit: Callable[[str], int] | None = None,
    stub_imports: bool = False,
    cache: bool = True,
    inherit_stdin: bool = True,
    inherit_stdout: bool = True,
    inherit_stderr: bool = True,
    on_start: Callable[[], None] | None = None,
    mark: int | None = None,
) -> Outcome:
    """Runs a WASI 0.2 command, or the export ``invoke`` names, to its end.

    ``emit`` gets the blocks the guest sends to ``whamm:cm/sink``, one character per byte, and
    answers the instance id.  It is called on another thread, never two at a time; what it raises
    traps the guest and is raised again here.
    ``on_start`` is called once, on that thread, when all is compiled and the guest is about to run.
    Outgoing HTTP is always allowed, sockets only with ``inherit_network``.
    ``mark``: that of the plan the component was woven with; then what its agents hold when it traps
    or is interrupted goes to ``emit``, too.

    SIGINT, SIGTERM and SIGHUP end the run with status 128 + N and ``interrupted`` set: the guest
    runs on a thread of its own, so that they are noticed whatever it does.  Guest code is stopped
    at its next function entry or loop; a guest blocked in a host call is left behind after half a
    second, or at the next signal.

    Raises RunError (cannot be run at all), UsageError (bad invocation) and what ``emit`` raised.
    """
    call = parse_invocation(invoke) if isinstance(invoke, str) else invoke
    host = HostOptions(
        args, env, dirs, inherit_network, inherit_stdin, inherit_stdout, inherit_stderr
    )
    return _run(GuestRun(Job(wasm, host, call, emit, stub_imports, cache, on_start, mark)))


def run(job: Job) -> Outcome:
    """The same for either.  Without ``signals`` those are left alone, but for a KeyboardInterrupt,
    which ends the run like SIGINT; after the ``timeout``, in seconds, the run is interrupted with
    status 124."""
    return _run(ModuleRun(job) if job.wasm[:8] == MODULE_PREAMBLE else GuestRun(job))


def run_hosted(job: Job, watch: Callable[[], Watch]) -> Outcome:
    """A component on the host in Python; ``watch`` makes who is told of all that passes."""
    return _run(HostedRun(job, watch))


def _run(guest: Run) -> Outcome:
    job = guest.job
    # The guest writes to the file descriptors: what Python holds back must come before it.
    if job.host.inherit_stdout:
        sys.stdout.flush()
    if job.host.inherit_stderr:
        sys.stderr.flush()
    worker = _Worker(guest)
    guard: AbstractContextManager[list[int]] = noted_signals() if job.signals else nullcontext([])
    with guard as caught:
        worker.start()
        return _await(worker, caught, job.timeout)


class _Worker(threading.Thread):
    """A daemon, so that a guest left behind in a host call does not keep the process alive."""

    def __init__(self, guest: Run) -> None:
        super().__init__(name="whamm-cm guest", daemon=True)
        self.guest = guest
        self.ended = threading.Event()
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.outcome = self.guest.run()
        except BaseException as error:
            self.error = error
        finally:
            self.ended.set()


def _await(worker: _Worker, caught: list[int], timeout: float | None) -> Outcome:
    number = _wait(worker, caught, 0, None if timeout is None else time.monotonic() + timeout)
    if number is None and worker.ended.is_set():
        if worker.error is not None:
            raise worker.error
        assert worker.outcome is not None  # it ended without an error
        return worker.outcome
    if worker.guest.ask():
        _wait(worker, caught, 1, time.monotonic() + _ANSWER)
    worker.guest.interrupt()
    _wait(worker, caught, 1, time.monotonic() + _GRACE)
    worker.guest.salvage()
    gate = worker.guest.gate
    if gate is not None:
        gate.close()
        if gate.error is not None:
            raise gate.error
    trap = worker.outcome.trap if worker.outcome is not None else None
    status = TIMEOUT_STATUS if number is None else 128 + number
    return Outcome(
        status, trap=trap, interrupted=True, abandoned=not worker.ended.is_set(),
        salvaged=worker.guest.salvaged, reported=worker.guest.reported,
    )  # fmt: skip


def beside(work: Callable[[], T], interrupt: Callable[[], None], late: Callable[[], bool]) -> T:
    """What ``work`` returns or raises, which is done on a thread of its own; ``interrupt`` is
    called as soon as it is ``late``.  Raises KeyboardInterrupt when a signal comes; work that
    cannot be interrupted is left behind."""
    done: list[T] = []
    errors: list[BaseException] = []
    ended = threading.Event()

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:
            errors.append(error)
        finally:
            ended.set()

    with noted_signals() as caught:
        threading.Thread(target=run, name="whamm-cm guest", daemon=True).start()
        while not ended.wait(_POLL):
            if caught or late():
                interrupt()
            if caught:
                ended.wait(_GRACE)
                raise KeyboardInterrupt
    if errors:
        raise errors[0]
    return done[0]


def _wait(worker: _Worker, caught: list[int], known: int, until: float | None) -> int | None:
    """Waits for the end; returns the signal that came first instead, if one did."""
    try:
        while not worker.ended.wait(_POLL):
            if len(caught) > known:
                return caught[known]
            if until is not None and time.monotonic() >= until:
                return None
    except KeyboardInterrupt:  # SIGINT under a handler we were not able to replace
        return signal.SIGINT
    return caught[known] if len(caught) > known else None


@contextmanager
def noted_signals() -> Iterator[list[int]]:
    """Notes the signals that would end us, while in the block; ignored ones stay ignored.

    A list and a poll, because a handler runs between any two bytecodes of this thread and must
    not touch a lock.
    """
    caught: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)

    replaced: dict[int, object] = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) in (
                signal.SIG_DFL,
                signal.default_int_handler,
            ):
                replaced[number] = signal.signal(number, note)
    try:
        yield caught
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
