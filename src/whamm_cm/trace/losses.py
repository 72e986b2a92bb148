"""What a log says it has not: records that were lost, and runs whose end is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.calls import TASK_RETURN
from whamm_cm.trace.records import HOSTED, Record

#: Why records were lost, and what helps.
WHY: dict[str, tuple[str, str]] = {
    "buffer": ("there was no room for them", "--flush each, or select less with -e trace="),
    "trap": ("the guest trapped", "--flush each"),
    "killed": ("their run has no end in the log", "--flush each"),
    "failed": ("the command ended with an error", "--flush each"),
    "interrupted": ("the run was interrupted", "--flush each"),
    "unseen": (
        "nothing of the component was seen",
        "see that the command runs the file it is given, and lets its standard error through",
    ),
    "line": ("lines of the log are missing or damaged", "keep the log whole"),
}
#: Runs that are watched at a time; of more, the one longest silent is taken for complete.
_MAX_RUNS = 65536
#: Reasons that tell of the end of a run.
_SAID = frozenset(("trap", "killed", "interrupted"))
#: Reasons of which nobody knows whether anything was lost at all.
_MAY = frozenset(("trap", "killed", "failed", "interrupted", "unseen"))
#: Built-ins that end the task of an async export: their call is its return.
_TASK_ENDS = frozenset((TASK_RETURN, "task.cancel"))


@dataclass(slots=True)
class Losses:
    """``known`` records were lost; ``unknown``: others, too, and nobody knows how many."""

    known: int = 0
    unknown: bool = False
    whys: dict[str, None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.known or self.unknown)

    def feed(self, record: Record) -> bool:
        """Whether the record tells of a loss, which is then added."""
        phase = record["phase"]
        if phase == "lost":
            lost = record["lost"]
        elif phase == "dropped":
            lost = record["count"]
        else:
            return False
        if lost == "unknown":
            self.unknown = True
        else:
            self.known += lost
        if lost:
            self.whys[record.get("why", "buffer")] = None
        return True

    @property
    def number(self) -> int | str:
        """As records have it under ``lost``."""
        return "unknown" if self.unknown else self.known

    def sentence(self, effect: str = "", remedy: bool = True) -> str:
        """``3 records were lost: there was no room for them; EFFECT (remedy: …)``; "" for none."""
        if not self:
            return ""
        noun = "record was" if self.known == 1 else "records were"
        if not self.unknown:
            text = f"{self.known} {noun} lost"
        elif self.known:
            text = f"at least {self.known} {noun} lost"
        else:
            may = _MAY.issuperset(self.whys)
            text = f"an unknown number of records {'may be' if may and self.whys else 'was'} lost"
        reasons = [WHY[why][0] if why in WHY else why for why in self.whys]
        remedies = list(dict.fromkeys(WHY[why][1] for why in self.whys if why in WHY))
        text += f": {', '.join(reasons)}" if reasons else ""
        text += f"; {effect}" if effect else ""
        return text + (f" (remedy: {'; '.join(remedies)})" if remedies and remedy else "")


@dataclass(slots=True)
class _Run:
    """``open``: calls that are not over, and ``tasks`` of async exports; ``whole``: nothing is
    missing behind its last record so far; ``pending``: calls that will return later;
    ``empty``: it has only said that it started."""

    open: int = 0
    tasks: int = 0
    pending: set[tuple[int, int]] = field(default_factory=set)
    whole: bool = False
    empty: bool = True

    def feed(self, record: Record) -> None:
        phase = record["phase"]
        if phase == "call":
            if ends_task(record):
                self.tasks -= 1
            else:
                self.open += 1
        elif phase == "return" and not ends_task(record):
            key = record["instance"], record.get("call", 0)
            if "pending" in record:
                self.pending.add(key)
                self.tasks += record.get("edge") == "export"
            elif key in self.pending:
                self.pending.discard(key)
                return
            self.open -= 1


def ends_task(record: Record) -> bool:
    """Whether it is about a built-in that ends the task of an async export."""
    return record.get("func") in _TASK_ENDS and record.get("edge") == "builtin"


class Ends:
    """Watches runs: feed it records in the order of the log, those of one run together.

    Runs of version 1 do not say when they end, so nothing is known of them.
    """

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], _Run] = {}
        self._tasks = False  # whether ends of tasks are recorded

    def feed(self, records: Sequence[Record]) -> None:
        """``records`` are of the same run."""
        records = [record for record in records if record["phase"] not in HOSTED]
        if not records:
            return
        last = records[-1]
        name = last.get("run")
        if name is None:
            return
        key = last.get("source", ""), name
        run = self._runs.get(key)
        if run is None:
            if len(self._runs) >= _MAX_RUNS:
                del self._runs[next(iter(self._runs))]
            run = self._runs[key] = _Run()
        run.empty = run.empty and len(records) == 1 and last["phase"] == "start"
        for record in records:
            run.feed(record)
            self._tasks = self._tasks or ends_task(record)
        # What had no room says nothing about the end.
        said = last["phase"] == "lost" and last.get("why") in _SAID
        run.whole = said or last["phase"] == "end"

    def finish(self) -> Iterator[Record]:
        """For each run that lacks its end a record of phase ``lost``."""
        for (source, name), run in self._runs.items():
            tasks = run.tasks if self._tasks else 0
            if not run.whole and (run.open + tasks > 0 or run.empty):
                lost: Record = {"v": 2, "run": name, "phase": "lost", "lost": "unknown"}
                yield {**lost, "why": "killed", **({"source": source} if source else {})}
