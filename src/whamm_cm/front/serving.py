"""A woven HTTP handler under the embedded engine, its records passed on as they come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING

from whamm_cm.dataclass import dataclass
from whamm_cm.run.embedded import noted_signals
from whamm_cm.run.host.world import Settings
from whamm_cm.run.options import HostOptions
from whamm_cm.run.serving import Ended, Handler, Service
from whamm_cm.trace.decode import Receiver
from whamm_cm.trace.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from whamm_cm.front.woven import Woven
    from whamm_cm.run.connection import Answered
    from whamm_cm.run.single import Answer, Request


@dataclass(frozen=True, slots=True)
class Serving:
    """How to serve: ``host`` is what the guest sees of files, variables and the network,
    ``allow_hosts`` where its requests may go (None: anywhere), ``config`` what ``wasi:config``
    answers, ``reuse`` for how many requests an instance is, ``timeout`` how many seconds it has for
    an answer.  ``on_trap`` is told of guests that did not return."""

    host: HostOptions
    allow_hosts: Sequence[str] | None = None
    config: Mapping[str, str] = field(default_factory=dict)
    reuse: int = 1
    timeout: float | None = None
    stub_imports: bool = False
    cache: bool = True
    on_trap: Callable[[Ended], None] = lambda ended: None


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
        settings = Settings(serving.host, serving.allow_hosts, serving.config)
        self.handler = Handler(
            Service(
                found.bytes, settings, self._emit, serving.stub_imports, serving.cache,
                serving.reuse, found.mark,
            )
        )  # fmt: skip
        self._lock, self._over = threading.Lock(), False
        #: To be set by who does not want it to go on.
        self.ending = False
        self.began_ns = time.monotonic_ns()
        clock = self.began_ns if plan.timed and found.mark is not None else None
        self._receiver.begin(time.time_ns(), clock)

    def _emit(self, block: str) -> int:
        with self._lock:
            received = self._receiver.receive(block)
            self.feed(received.records)
            return received.instance

    def _ended(self, ended: Ended | None) -> None:
        if ended is None:
            return
        with self._lock:
            if self._over:
                return
            if not ended.salvaged or self._scripted:
                self.feed([self._receiver.lost("trap")])
            self._serving.on_trap(ended)

    def ask(self, request: Request, out: Callable[[bytes], object]) -> Answer:
        """Have one request answered; ``out`` gets the body as it comes."""
        from whamm_cm.run.single import ask

        with self._closing():
            answer = ask(self.handler, request, out)
            self._ended(answer.ended)
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
            self._ended(answered.ended)

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
