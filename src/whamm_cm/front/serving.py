"""A woven HTTP handler under the embedded engine, its records passed on as they come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from typing import TYPE_CHECKING

from whamm_cm.dataclass import dataclass
from whamm_cm.run.embedded import noted_signals
from whamm_cm.run.host.world import Settings
from whamm_cm.run.options import HostOptions
from whamm_cm.run.serving import Ended, Handler, Service
from whamm_cm.trace.contents import method_of
from whamm_cm.trace.context import Outgoing
from whamm_cm.trace.decode import Block, Receiver
from whamm_cm.trace.leaving import Leaving
from whamm_cm.trace.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from whamm_cm.front.woven import Woven
    from whamm_cm.run.connection import Answered
    from whamm_cm.run.host.http import IncomingRequest
    from whamm_cm.run.single import Answer, Request


@dataclass(frozen=True, slots=True)
class Serving:
    """How to serve: ``host`` is what the guest sees of files, variables and the network,
    ``allow_hosts`` where its requests may go (None: anywhere), ``config`` what ``wasi:config``
    answers, ``keys`` what each bucket of ``wasi:keyvalue`` has from the start, ``reuse`` for how
    many requests an instance is, ``timeout`` how many seconds it has for an answer.  ``on_trap`` is
    told of guests that did not return.  ``propagate``: outgoing requests get a ``traceparent`` that
    goes on with that of the request they are made for."""

    host: HostOptions
    allow_hosts: Sequence[str] | None = None
    config: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, bytes] = field(default_factory=dict)
    reuse: int = 1
    timeout: float | None = None
    stub_imports: bool = False
    cache: bool = True
    on_trap: Callable[[Ended], None] = lambda ended: None
    propagate: bool = False


#: Characters of a text that are recorded, and of a method.
_LONG, _LONG_METHOD = 1024, 64


class _Under:
    """A request under way; ``said``: its record was passed on, ``instance`` 0 until it is known."""

    def __init__(self, req: int, asked: Record, began_ns: int) -> None:
        self.req, self.asked, self.began_ns = req, asked, began_ns
        self.said, self.instance, self.leaving = False, 0, Leaving()


class Session:
    """A woven handler, ready: the component is compiled.

    ``began_ns`` is the guest's clock at that moment.  ``feed`` gets the records, one block at a
    time, on the threads of the requests; what it raises ends all.  It and ``on_trap`` are called by
    one thread at a time, and not any more when the session is over.
    """

    def __init__(
        self, found: Woven, serving: Serving, feed: Callable[[Sequence[Record]], None]
    ) -> None:
        """Raises RunError for what is no handler, or cannot be run here."""
        plan = found.plan
        self._receiver = Receiver(found.table, show_secrets=plan.show_secrets)
        self.feed, self._serving = feed, serving
        self._scripted = plan.scripts is not None
        self._timed, self._samples = plan.timed, plan.samples
        settings = Settings(serving.host, serving.allow_hosts, serving.config, serving.keys)
        self.handler = Handler(
            Service(
                found.bytes, settings, self._emit, serving.stub_imports, serving.cache,
                serving.reuse, found.mark, self._begun,
            )
        )  # fmt: skip
        self._lock, self._over = threading.Lock(), False
        #: To be set by who does not want it to go on.
        self.ending = False
        self._requests = 0
        # The request that this thread serves.
        self._now = threading.local()
        self.began_ns = time.monotonic_ns()
        clock = self.began_ns if plan.timed and found.mark is not None else None
        self._receiver.begin(time.time_ns(), clock)

    def _emit(self, block: str) -> int:
        under: _Under | None = getattr(self._now, "under", None)
        with self._lock:
            first = [] if under is None else self._said(under)
            received = self._receiver.receive(block)
            records = received.records
            if under is not None:
                under.instance = under.instance or _instance(received)
                under.leaving.feed(records)
                for record in records:
                    if record["phase"] not in ("start", "end"):
                        record["req"] = under.req
                for record in first:
                    if record["phase"] == "request":
                        record["instance"] = under.instance
            self.feed([*first, *records])
            return received.instance

    def _begun(self, request: IncomingRequest, peer: str) -> Callable[[], str] | None:
        """A request comes; its record waits for the first of the guest, which says the instance.
        Returns what outgoing requests are to say whose they are."""
        with self._lock:
            self._requests += 1
            req = self._requests
            told = _asked(request, peer).items()
            # In this order: what is left of a secret that was cut is not known for one.
            asked = {name: _cut(name, self._receiver.shown(value)) for name, value in told}
            self._now.under = _Under(req, asked, time.monotonic_ns())
        if not self._serving.propagate:
            return None
        return Outgoing(self._receiver.run, req, asked.get("traceparent")).traceparent

    def _said(self, under: _Under) -> list[Record]:
        """The record of the request, behind that of the start, unless it was passed on before."""
        if under.said:
            return []
        under.said = True
        clock = {"t_ns": under.began_ns} if self._timed else {}
        request = self._receiver.note("request", req=under.req, **under.asked, **clock)
        return [*self._receiver.started(), request]

    def _answered(self, status: int, error: str | None, ended: Ended | None) -> None:
        """The request of this thread is over."""
        under: _Under | None = getattr(self._now, "under", None)
        if under is None:
            return
        self._now.under = None
        by_script = under.leaving.said  # which has said all it had to say before
        if ended is not None and by_script:
            trap = replace(ended.trap, message=by_script, context=(), by_script=True)
            ended = replace(ended, trap=trap)
        why = ended.trap.message if ended is not None else error
        with self._lock:
            if self._over:
                return
            if under.said or not self._samples:  # else it is none of those that are recorded
                records = self._said(under)
                whole = by_script or (ended is None or (ended.salvaged and not self._scripted))
                if not whole:
                    records.append({**self._receiver.lost("trap"), "req": under.req})
                records.append(self._answer(under, status, why))
                self.feed(records)
            if ended is not None:
                self._serving.on_trap(ended)

    def _answer(self, under: _Under, status: int, error: str | None) -> Record:
        more: dict[str, object] = {"instance": under.instance} if under.instance else {}
        more |= {"status": status} if status else {}
        if error is not None or not status:
            more["error"] = error or "connection-terminated"
        if self._timed:
            now = time.monotonic_ns()
            more |= {"t_ns": now, "dur_ns": now - under.began_ns}
        return self._receiver.note("answer", req=under.req, **more)

    def ask(self, request: Request, out: Callable[[bytes], object]) -> Answer:
        """Have one request answered; ``out`` gets the body as it comes."""
        from whamm_cm.run.single import ask

        with self._closing():
            answer = ask(self.handler, request, out)
            error = next(iter(answer.error)) if answer.error else None
            self._answered(answer.status, error, answer.ended)
        return answer

    def serve(
        self, host: str, port: int, on_start: Callable[[str, int], None]
    ) -> tuple[int, int | None]:
        """Serve until a signal comes; how many requests there were, and the signal's number.
        ``on_start`` is told where.  Raises UsageError when nobody can listen there."""
        from whamm_cm.run.server import Server

        count = 0

        def done(answered: Answered) -> None:
            nonlocal count
            with self._lock:
                count += 1
            self._answered(answered.status, answered.error, answered.ended)

        with self._closing():
            server = Server(self.handler, host, port, done, self._serving.timeout)
            with noted_signals() as caught:
                on_start(*server.address)
                server.run(lambda: bool(caught) or self.ending)
        return count, caught[0] if caught else None

    @contextmanager
    def _closing(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.handler.close()
            # A guest that could not be stopped in time (it sits in a host function) is left behind.
            if self.handler.gate is not None:
                self.handler.gate.close()
            with self._lock:
                self._over = True


def _asked(request: IncomingRequest, peer: str) -> Record:
    """What a record of phase ``request`` says of it."""
    parents = request.headers.values.get("traceparent", ())
    parent = parents[0].decode("latin-1") if len(parents) == 1 else None
    found: Record = {
        "method": method_of(request.method), "scheme": request.scheme, "path": request.path,
        "authority": request.authority, "peer": peer, "traceparent": parent,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value}


def _cut(name: str, text: str) -> str:
    most = _LONG_METHOD if name == "method" else _LONG
    return text if len(text) <= most else text[:most] + "…"


def _instance(received: Block) -> int:
    """The instance whose export was called, which is the first to record something."""
    for record in received.records:
        if record["phase"] == "call" and record.get("edge") == "export":
            instance: int = record["instance"]
            return instance
    return received.instance
