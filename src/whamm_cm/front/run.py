"""What a run, or a log of runs, says: calls paired and typed, what scripts report, what is lost."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from whamm_cm.dataclass import dataclass
from whamm_cm.render.options import RenderOptions
from whamm_cm.trace.calls import Site
from whamm_cm.trace.losses import Losses
from whamm_cm.trace.records import Record
from whamm_cm.trace.reports import Cell, Print
from whamm_cm.trace.session import Call, Session

if TYPE_CHECKING:
    from whamm_cm.run.outcome import Outcome, Trap
    from whamm_cm.trace.summary import Totals


@dataclass(frozen=True, eq=False)
class Run:
    """Of one run ``outcome``, ``stdout`` and ``stderr`` are known, of logs they are None.

    ``records`` are JSON-ready dictionaries in the order of arrival (``docs/records.md``);
    ``declared`` hold the initial values of what scripts report, where the weave is known.
    ``warnings``: sentences about what could not be read.  ``vouched``: the guest cannot have
    written any of it; what a host logged of a guest's own output may be the guest's word.
    """

    records: tuple[Record, ...]
    outcome: Outcome | None = None
    stdout: bytes | None = None
    stderr: bytes | None = None
    warnings: tuple[str, ...] = ()
    declared: tuple[Record, ...] = ()
    vouched: bool = True

    def __repr__(self) -> str:
        status = "" if self.outcome is None else f"status {self.outcome.status}, "
        return f"<Run {status}{len(self.records)} records>"

    # How it ended

    @property
    def status(self) -> int | None:
        """What the command line exits with: the guest's own status, 134 for a trap."""
        return None if self.outcome is None else self.outcome.status

    @property
    def trap(self) -> Trap | None:
        return None if self.outcome is None else self.outcome.trap

    @property
    def interrupted(self) -> bool:
        """Whether the guest was stopped, by ``timeout``."""
        return self.outcome is not None and self.outcome.interrupted

    @property
    def result(self) -> str | None:
        """What the invoked export returned, as WAVE text."""
        return None if self.outcome is None else self.outcome.result

    @property
    def value(self) -> Any:
        """The same as a Python value."""
        return None if self.outcome is None else self.outcome.value

    # What it did

    @cached_property
    def session(self) -> Session:
        return Session.build((*self.declared, *self.records))

    @property
    def calls(self) -> tuple[Call, ...]:
        """In the order they were made; ``parent`` of each is an index here."""
        return self.session.calls

    @property
    def counts(self) -> Mapping[Site, int]:
        """How often each function was called that was only counted."""
        return self.session.counts

    @property
    def reports(self) -> tuple[Cell, ...]:
        """The variables of scripts, each merged over all component instances."""
        return self.session.cells

    @property
    def prints(self) -> tuple[Print, ...]:
        return self.session.prints

    @property
    def lost(self) -> Losses:
        """What is missing; false when nothing is."""
        return self.session.losses

    @property
    def instances(self) -> tuple[int, ...]:
        """The numbers of the component instances that said anything."""
        return tuple(sorted({r["instance"] for r in self.records if r.get("instance")}))

    @property
    def per_instance(self) -> Mapping[int, Run]:
        """What each component instance said, as a run of its own."""
        found: dict[int, list[Record]] = {number: [] for number in self.instances}
        for record in self.records:
            if record.get("instance"):
                found[record["instance"]].append(record)
        return {number: replace(self, records=tuple(kept)) for number, kept in found.items()}

    def summary(self) -> tuple[Totals, ...]:
        """Calls, errors and times per function, the one with most time of its own first."""
        from whamm_cm.trace.summary import Summary

        found = Summary()
        for record in self.records:
            found.feed(record)
        found.finish()
        return tuple(sorted(found.rows.values(), key=lambda row: (-row.self_ns, row.item)))

    # As text

    def text(self, format: str, options: RenderOptions | None = None) -> str:
        """In one of the formats of ``whamm-cm report -f``.  Raises UsageError for any other, and
        for one that is no text."""
        from whamm_cm.render.registry import renderer

        return renderer(format).text(self._told(format), options or RenderOptions())

    def to(
        self, format: str, path: str | os.PathLike[str], options: RenderOptions | None = None
    ) -> None:
        """Write one of the formats to a file, whole or not at all.  Raises UsageError."""
        from whamm_cm.files import write
        from whamm_cm.render.registry import renderer

        shown = renderer(format)
        write(os.fspath(path), shown.encoded(self._told(format), options or RenderOptions()))

    def _told(self, format: str) -> tuple[Record, ...]:
        """The records that a format is made of."""
        from whamm_cm.render.registry import REPORTS

        return (*self.declared, *self.records) if format in REPORTS else self.records
