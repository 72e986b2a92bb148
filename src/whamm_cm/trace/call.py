"""One call of a log, with all that its records say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.calls import Outcome, Site
from whamm_cm.trace.failures import has_failed
from whamm_cm.trace.records import Record

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Call:
    """One call. ``parent`` is an index into ``Session.calls``; ``depth`` the number of ancestors.

    ``opened`` and ``closed`` are its records (None: lost, or never returned).  Times are
    nanoseconds, None in a log without times; ``self_ns`` leaves out the calls made from it, and
    what was waited.  ``start_seq`` and ``end_seq`` count records, ``end_seq`` being the log's end
    for a call that never returned.

    Of asynchronous calls: ``task`` is the task that it was made in (0: none is known), or, where
    ``is_task``, that began with it; that was over ``exit_ns`` after the call, and has waited
    ``waits``, pairs of times.  ``frame_ns`` is how long its caller was kept from going on, and
    ``starting_ns`` how long the call had to wait until it could start, where it ``starts_later``.
    ``frame_seq`` and ``exit_seq`` are counted as the others.

    ``about`` is the name of the handle that it is called on, where that is followed.

    ``req``: the request that it is part of, 0 for none (``requests.py``).
    """

    site: Site
    instance: int
    call: int
    outcome: Outcome
    opened: Record | None
    closed: Record | None
    start_seq: int
    end_seq: int
    start_ns: int | None
    dur_ns: int | None
    self_ns: int | None = None
    parent: int | None = None
    depth: int = 0
    answered_badly: bool = False
    task: int = 0
    is_task: bool = False
    frame_ns: int | None = None
    frame_seq: int = 0
    exit_ns: int | None = None
    exit_seq: int = 0
    starting_ns: int | None = None
    starts_later: bool = False
    waits: tuple[tuple[int, int], ...] = ()
    about: str = ""
    req: int = 0

    @property
    def cancelled(self) -> str:
        """``before-started`` or ``before-returned``; "" for what was not cancelled."""
        found: str = "" if self.closed is None else self.closed.get("cancelled", "")
        return found

    @property
    def waited_later(self) -> bool:
        """Whether its caller went on before it had returned, be that the end of the log."""
        if self.is_task or self.site.edge == "export":
            return False
        return self.outcome is Outcome.PENDING or self.frame_seq < self.end_seq

    @property
    def args(self) -> Mapping[str, Any]:
        args: Mapping[str, Any] = _NOTHING if self.opened is None else self.opened.get("args", {})
        return args

    @property
    def run(self) -> str:
        record = self.opened or self.closed
        return "" if record is None else record.get("run", "")

    @property
    def self_handle(self) -> int | None:
        return None if self.opened is None else self.opened.get("self")

    @property
    def has_result(self) -> bool:
        return self.closed is not None and "result" in self.closed

    @property
    def result(self) -> Any:
        return None if self.closed is None else self.closed.get("result")

    @property
    def data(self) -> Any:
        """What a read or write of a stream or future has copied; None of other calls."""
        return None if self.closed is None else self.closed.get("data")

    @property
    def failed(self) -> bool:
        return self.outcome is Outcome.RETURNED and (
            self.answered_badly or has_failed(self.site.item, self.args, self.result)
        )

    @property
    def end_ns(self) -> int | None:
        return None if self.start_ns is None or self.dur_ns is None else self.start_ns + self.dur_ns
