"""Runs that are recorded: on the host in Python, the guest as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from whamm_cm.analysis.demands import world as demanded
from whamm_cm.component.decode import check_component, decode
from whamm_cm.errors import RunError
from whamm_cm.run.embedded import noted_signals, run_hosted
from whamm_cm.run.guest import Job
from whamm_cm.run.host.world import Settings
from whamm_cm.run.outcome import Outcome
from whamm_cm.run.serving import Ended, Handler, Service
from whamm_cm.run.wave import parse_invocation
from whamm_cm.trace.recording import Recorder, Subject
from whamm_cm.wit.resolve import resolve

if TYPE_CHECKING:
    from whamm_cm.component.ir import Component
    from whamm_cm.front.running import Running
    from whamm_cm.front.serving import Serving
    from whamm_cm.run.connection import Answered
    from whamm_cm.run.single import Answer, Request
    from whamm_cm.trace.hiding import Keeping


def recordable(data: bytes, name: str) -> Component:
    """The component.  Raises InputError for what is none, RunError for one of WASI 0.3."""
    check_component(data, name)
    found = decode(data, name)
    versions = demanded(found).versions
    if versions:
        raise RunError(
            f"{name} is made for WASI {versions[0]}, which the embedded engine does not have: it is"
            " recorded on wasmtime, and its replays take no probes"
        )
    return found


def recorder(
    data: bytes, name: str, running: Running, opened: Callable[[], BinaryIO], keeping: Keeping
) -> Recorder:
    """Writes into what ``opened`` opens, once it runs; raises as :func:`recordable`."""
    root = recordable(data, name)
    running.host.check_text()
    subject = Subject(name, data, running.host.args, running.invoke, running.host.env)
    return Recorder(opened, resolve(root).world, subject, keeping)


def run_recorded(data: bytes, running: Running, into: Recorder) -> Outcome:
    """A command or an export, to its end.  Raises RunError (it cannot be run at all, or has
    secrets that are none of a recording) and UsageError (``invoke``)."""
    call = None if running.invoke is None else parse_invocation(running.invoke)
    job = Job(
        data, running.host, call, None, running.stub_imports, running.cache, running.on_start,
        signals=running.signals, timeout=running.timeout,
    )  # fmt: skip
    outcome = run_hosted(job, into.instance)
    into.finish(outcome)
    return outcome


class RecordedHandler:
    """An HTTP handler, ready to serve."""

    def __init__(self, data: bytes, serving: Serving, into: Recorder) -> None:
        self._serving, self._into = serving, into
        settings = Settings(serving.host, serving.allow_hosts, serving.config, serving.keys)
        service = Service(
            data, settings, None, serving.stub_imports, serving.cache, serving.reuse,
            watch=into.instance,
        )  # fmt: skip
        self._handler = Handler(service)

    def ask(self, request: Request, out: Callable[[bytes], object]) -> Answer:
        """Have one request answered."""
        from whamm_cm.run.single import ask

        try:
            answer = ask(self._handler, request, out)
        finally:
            self._handler.close()
        self._told(answer.ended)
        self._into.finish(None)
        return answer

    def serve(self, host: str, port: int, on_start: Callable[[str, int], None]) -> int:
        """Serve until a signal comes; how many requests there were."""
        from whamm_cm.run.server import Server

        count = 0

        def done(answered: Answered) -> None:
            nonlocal count
            count += 1
            self._told(answered.ended)

        server = Server(self._handler, host, port, done, self._serving.timeout)
        try:
            with noted_signals() as caught:
                on_start(*server.address)
                server.run(lambda: bool(caught))
        finally:
            self._handler.close()
        self._into.finish(None)
        return count

    def _told(self, ended: Ended | None) -> None:
        if ended is not None:
            self._serving.on_trap(ended)
