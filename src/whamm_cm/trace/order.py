"""Whether the lines of a log are all there, and in the order in which they were written."""

from __future__ import annotations

from collections import OrderedDict

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.records import Record

#: Runs that are watched at a time, those longest silent being forgotten.
MAX_RUNS = 65536


@dataclass(slots=True)
class _Run:
    """``next``: the number that comes next; ``said``: records that it said were lost just now."""

    next: int = 0
    said: int = 0


class Order:
    """Feed it the records of version 2 as they stand in the log, each of which has its number in
    its run (``seq``).

    ``late``: how many came a second time, or behind one that was written later.
    """

    def __init__(self) -> None:
        self.late = 0
        self._skipped = 0
        self._runs: OrderedDict[tuple[str, str], _Run] = OrderedDict()

    @property
    def missing(self) -> int:
        """How many records are not there, of which none said that they were lost."""
        return max(0, self._skipped - self.late)

    def feed(self, record: Record) -> bool:
        """Whether it stands where it should, as far as it can be told."""
        number, name = record.get("seq"), record.get("run")
        if type(number) is not int or name is None:
            return True
        run = self._run((record.get("source", ""), name))
        if number < run.next:
            self.late += 1
            return False
        self._skipped += max(0, number - run.next - run.said)
        run.next, run.said = number + 1, 0
        if record["phase"] == "lost" and record.get("why") == "line":
            lost = record.get("lost")
            run.said = lost if type(lost) is int else 0
        return True

    def _run(self, key: tuple[str, str]) -> _Run:
        run = self._runs.get(key)
        if run is None:
            run = self._runs[key] = _Run()
            if len(self._runs) > MAX_RUNS:
                self._runs.popitem(last=False)
        else:
            self._runs.move_to_end(key)
        return run
