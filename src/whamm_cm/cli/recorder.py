"""Records on their way to the outputs of ``trace``."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from whamm_cm.cli import outputs
from whamm_cm.errors import UsageError

if TYPE_CHECKING:
    from whamm_cm.agent.table import SiteTable
    from whamm_cm.cli.outputs import Output
    from whamm_cm.cli.telemetry import Sending
    from whamm_cm.render.options import RenderOptions
    from whamm_cm.run.outcome import Trap
    from whamm_cm.trace.records import Record

#: Lines shown after a trap, and the records kept for them: more, because names of handles (``-y``)
#: come from earlier calls.
_LINES, _WINDOW = 5, 1024
#: Formats whose text ends in what was lost.
_TELLING = ("strace", "summary", "table", "whamm")
#: Calls remembered at most that were open where the kept records begin.
_MAX_OPEN = 65536


class Recorder:
    """Feeds every record to all outputs: (path, format) each.

    ``table``: formats that show a script's variables learn from it which there are.
    ``sending`` gets every record, too.
    """

    def __init__(
        self,
        formats: Sequence[tuple[str | None, str]],
        options: RenderOptions,
        table: SiteTable,
        sending: Sending | None = None,
    ) -> None:
        from whamm_cm.render.registry import REPORTS
        from whamm_cm.trace.losses import Losses
        from whamm_cm.trace.reports import declared

        self.outputs: list[Output] = []
        self._sending = sending
        live = False
        #: Whether people read on stderr what was lost, too.
        self.tells = False
        for path, name in formats:
            output = outputs.open_output(path, name, options)
            self.outputs.append(output)
            if name in REPORTS or name in ("html", "live"):
                for record in declared(table):
                    output.feed(record)
            self.tells |= path is None and name in _TELLING
            live |= path is None and name in ("strace", "jsonl")
        #: None where everybody can see the last lines anyway.
        self.last = None if live else LastLines(options)
        self.count = 0
        self.losses = Losses()
        self._faults: list[str] = []
        #: Whether nobody reads any of it any more, as behind ``| head``.
        self.unread = False

    def begin(self) -> None:
        """What grows is there from now on, if nothing else is recorded for long."""
        for output in self.outputs:
            if isinstance(output, outputs.Lines):
                output.begin()

    def feed(self, records: Sequence[Record]) -> None:
        for record in records:
            self.count += 1
            self.losses.feed(record)
            if self._sending is not None:
                self._sending.feed(record)
            for output in self.outputs:
                try:
                    output.feed(record)
                except OSError as error:
                    self._lose(output, error)
        for output in self.outputs:
            try:
                output.flush()
            except OSError as error:
                self._lose(output, error)
        if self.last is None:
            sys.stderr.flush()
        else:
            self.last.feed(records)

    def trapped(self, trap: Trap) -> None:
        """The guest will not return from what is open."""
        if self._sending is not None:
            from whamm_cm.trace.spans import Trap as Ended

            stack = "\n".join(map(str, trap.frames))
            self._sending.trap = Ended(trap.message, stack)

    def abandon(self) -> None:
        """The run failed: show nothing, and write nothing, if it did not even start."""
        if not self.count:
            self.outputs = []

    def finish(self) -> None:
        """Raises UsageError for an output that could not be written, when all others are."""
        for output in self.outputs:
            try:
                output.finish()
            except OSError as error:
                self._lose(output, error)
            except UsageError as error:
                self._faults.append(str(error))
        self.outputs = []
        if self._sending is not None:
            self._sending.finish()
        if self._faults:
            raise UsageError("; ".join(self._faults))

    def _lose(self, output: Output, error: OSError) -> None:
        """One output fails (its disk is full): the guest and the other outputs go on."""
        self.outputs = [other for other in self.outputs if other is not output]
        where = output.path or "standard error"
        self._faults.append(f"{where} cannot be written: {error.strerror or error}")
        self.unread = isinstance(error, BrokenPipeError) and not self.outputs

    @property
    def faults(self) -> Sequence[str]:
        """A sentence for each output that could not be written so far."""
        return self._faults


class LastLines:
    """What a live log would have shown last, rendered only when asked for.

    A line depends on the calls that are open: those open where the window begins are kept, too.
    """

    def __init__(self, options: RenderOptions) -> None:
        from whamm_cm.trace.losses import ends_task

        self._options, self._ends_task = options, ends_task
        self._window: deque[Record] = deque()
        self._open: dict[tuple[int, int], list[Record]] = {}
        self._first: int | None = None

    def feed(self, records: Sequence[Record]) -> None:
        # What was lost is said in a sentence of its own; where blocks end, or that a task had
        # waited, shows nowhere.
        hidden = ("lost", "start", "end", "resumed")
        self._window.extend(r for r in records if r["phase"] not in hidden)
        while len(self._window) > _WINDOW:
            self._leave(self._window.popleft())

    def _leave(self, record: Record) -> None:
        if record["phase"] not in ("call", "return"):
            return
        if self._first is None:
            self._first = record["instance"]
        if record["instance"] != self._first:
            self._options = replace(self._options, tags=True)
            self._first = record["instance"]
        key = record["instance"], record["call"]
        if self._ends_task(record):
            return
        if record["phase"] == "return" and not record.get("pending"):
            self._open.pop(key, None)
            return
        self._open.setdefault(key, []).append(record)
        if len(self._open) > _MAX_OPEN:
            del self._open[next(iter(self._open))]

    def lines(self) -> list[str]:
        """The last few lines; a call that was under way last ends in ``= ?``."""
        from whamm_cm.render.strace import Strace

        strace = Strace(self._options)
        before = [record for records in self._open.values() for record in records]
        before.sort(key=lambda record: record.get("seq", 0))
        shown = "".join(map(strace.feed, (*before, *self._window))) + strace.stop()
        return shown.splitlines(keepends=True)[-_LINES:]
