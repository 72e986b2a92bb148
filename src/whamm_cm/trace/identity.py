"""Whose record is it: runs that share logs are told apart, and instances numbered over all of them.

A record of version 2 names its run.  A record of version 1 does not: the key that the host puts in
front of a line says it, else the file or pod it is from together with ``seq``, which every sink
counts from 0.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.clock import Clock
from whamm_cm.trace.reader import Arrival, Batch
from whamm_cm.trace.records import Record

#: Runs that are remembered; of more, the one longest silent is forgotten.
MAX_OPEN = 65536
#: Runs of one source and key that are told apart by their numbering alone, at a time.
MAX_ALIKE = 1024
#: Numbers of requests that another run has taken are counted from a multiple of it on instead.
APART = 10_000
#: So often the numbers of one run can be moved without what was under way then losing its own.
MAX_SHIFTS = 16
_UNMOVED = [0]

_Key: TypeAlias = tuple[str, ...]


@dataclass(slots=True)
class _Run:
    instances: dict[int, int]
    next_seq: int = 0
    shift: int | None = None
    renumbered: bool = False


class Identity:
    """Feed it every record in order, of all logs."""

    def __init__(self) -> None:
        self.clock = Clock()
        #: Runs of version 1 that nothing but their numbering tells apart.
        self.guessed = 0
        self._runs: OrderedDict[_Key, list[_Run]] = OrderedDict()
        self._highest = 0
        # What is added to the numbers of requests of each run, the last of these being meant for
        # new ones; whose each number is; and the highest.
        self._shifts: dict[_Key, list[int]] = {}
        self._owners: OrderedDict[int, _Key] = OrderedDict()
        self._requests = 0

    def feed(self, arrival: Arrival) -> Record:
        """The record with an ``instance`` of its own, times on the common base, and ``source``."""
        record = arrival.record
        run = self._run(record, arrival)
        changes: Record = {}
        if run is not None:
            instance = record.get("instance")
            number = None if instance is None else self._number(run, instance)
            if number != instance:
                changes["instance"] = number
            if "t_ns" in record:
                changes.update(self._timed(run, record, arrival))
        if "req" in record:
            changes["req"] = self._request(record, arrival.source)
        if arrival.source and record.get("source") != arrival.source:
            changes["source"] = arrival.source
        return {**record, **changes} if changes else record

    def feed_all(self, batch: Batch) -> list[Record]:
        """The same for records that arrived together."""
        records = batch.records
        run = self._known(batch)
        if run is None or run.shift is None:
            return [
                self.feed(Arrival(record, batch.source, batch.key, batch.time_ns))
                for record in records
            ]
        shift, numbers, source = run.shift, run.instances, batch.source
        if shift or source or run.renumbered or not _all_known(records, numbers):
            for record in records:
                instance = record.get("instance")
                if instance is not None:
                    record["instance"] = numbers.get(instance) or self._number(run, instance)
                if shift and "t_ns" in record:
                    record["t_ns"] += shift
                if source:
                    record["source"] = source
                    if "req" in record:
                        record["req"] = self._request(record, source)
        for record in reversed(records):
            if "t_ns" in record:
                self.clock.saw(record["t_ns"])
                break
        return records

    def _known(self, batch: Batch) -> _Run | None:
        """The run of a batch that is of one, if it was met before."""
        if not batch.run:
            return None
        found = self._runs.get((batch.source, "", batch.run))
        return found[0] if found else None

    def notes(self) -> list[str]:
        """What the user should know about how this was done."""
        found = [note for note in (self.clock.note(),) if note]
        if self.guessed > 1:
            found.append(
                f"{self.guessed} runs are told apart by the numbering of their records only, which"
                " fails where their lines are mixed; logs of version 2 name the run in every line"
            )
        return found

    def _number(self, run: _Run, instance: int) -> int:
        number = run.instances.get(instance)
        if number is None:
            number = instance if instance > self._highest or not instance else self._highest + 1
            run.instances[instance] = number
            run.renumbered = run.renumbered or number != instance
            self._highest = max(self._highest, number)
        return number

    def _request(self, record: Record, source: str) -> int:
        """The number of its request among those of all runs, of which each may count from 1."""
        req: int = record["req"]
        key = source or record.get("source", ""), record.get("run", "")
        shifts, owners = self._shifts.get(key, _UNMOVED), self._owners
        for shift in shifts:
            if owners.get(req + shift) == key:
                return req + shift
        number = req + shifts[-1]
        if number in owners:
            if len(self._shifts) >= MAX_OPEN:
                del self._shifts[next(iter(self._shifts))]
            shift = -(-self._requests // APART) * APART
            self._shifts[key] = [*shifts, shift][-MAX_SHIFTS:]
            number = req + shift
        if len(owners) >= MAX_OPEN:
            owners.popitem(last=False)
        owners[number] = key
        self._requests = max(self._requests, number)
        return number

    def _timed(self, run: _Run, record: Record, arrival: Arrival) -> Record:
        t_ns = record["t_ns"]
        if run.shift is None:
            wall = record.get("wall_ns") if record["phase"] == "start" else None
            run.shift = self.clock.place(t_ns, wall, arrival.time_ns)
            return {"t_ns": t_ns + run.shift} if run.shift else {}
        if not run.shift:
            self.clock.saw(t_ns)
            return {}
        t_ns += run.shift
        self.clock.saw(t_ns)
        return {"t_ns": t_ns}

    def _run(self, record: Record, arrival: Arrival) -> _Run | None:
        source = arrival.source or record.get("source", "")
        if "run" in record:
            alike = self._alike((source, "", record["run"]))
            if not alike:
                alike.append(_Run({}))
            return alike[0]
        if "seq" not in record:
            return None
        return self._of_version_1(source, arrival.key, record["seq"])

    def _of_version_1(self, source: str, key: str, seq: int) -> _Run:
        alike = self._alike((source, key))
        run = _pick(alike, seq)
        if run is None and key and seq:
            run = self._moved(source, key, seq)
        if run is None:
            run = _Run({})
            self.guessed += not key
            if len(alike) >= MAX_ALIKE:
                del alike[0]
        elif run in alike:
            alike.remove(run)
        alike.append(run)
        run.next_seq = seq + 1
        return run

    def _moved(self, source: str, key: str, seq: int) -> _Run | None:
        """The run of another key that goes on here: an instance that serves the next request."""
        fitting = [
            (other, run)
            for other, runs in reversed(self._runs.items())
            if len(other) == 2 and other[0] == source and other[1] != key
            for run in runs
            if run.next_seq == seq
        ]
        if not fitting:
            return None
        other, run = fitting[0]
        self._runs[other].remove(run)
        return run

    def _alike(self, key: _Key) -> list[_Run]:
        found = self._runs.get(key)
        if found is None:
            found = self._runs[key] = []
            if len(self._runs) > MAX_OPEN:
                self._runs.popitem(last=False)
        else:
            self._runs.move_to_end(key)
        return found


def _all_known(records: list[Record], numbers: dict[int, int]) -> bool:
    return all("instance" not in r or r["instance"] in numbers for r in records)


def _pick(runs: list[_Run], seq: int) -> _Run | None:
    """The run that ``seq`` goes on; of those it can go on after a gap, the one heard last."""
    if seq == 0:
        return None
    for run in reversed(runs):
        if run.next_seq == seq:
            return run
    for run in reversed(runs):
        if run.next_seq < seq:
            return run
    return None
