"""Keep runs apart whose records share one log.

A host that makes a fresh instance per request (wasmCloud does) starts a new sink with each, and
every sink numbers its records from 0 and its instances from 1.  The ``seq`` of a record says which
run it continues; each further run gets instance numbers of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from whamm_cm.trace.reader import Record

#: Runs that may be going on at the same time; of more, the one longest silent is forgotten.
MAX_OPEN = 1024


def separate(records: Iterable[Record]) -> Iterator[Record]:
    """The records with ``instance`` unique over all runs; all else as it was.

    A run keeps its numbers where they are above all before.  Records without ``seq`` pass
    unchanged.  A gap in ``seq`` (lost lines) goes to the run that was heard last among those it
    can continue.
    """
    runs: list[_Run] = []  # the one heard last at the end
    highest = 0  # instance number so far
    for record in records:
        seq = record.get("seq")
        if seq is None:
            yield record
            continue
        run = _pick(runs, seq)
        if run is None:
            run = _Run()
            if len(runs) >= MAX_OPEN:
                del runs[0]
        else:
            runs.remove(run)
        runs.append(run)
        run.next_seq = seq + 1
        instance = record["instance"]
        number = run.instances.get(instance)
        if number is None:
            number = instance if instance > highest else highest + 1
            run.instances[instance] = number
            highest = max(highest, number)
        yield record if number == instance else {**record, "instance": number}


class _Run:
    def __init__(self) -> None:
        self.next_seq = 0
        self.instances: dict[int, int] = {}


def _pick(runs: list[_Run], seq: int) -> _Run | None:
    if seq == 0:
        return None
    for run in reversed(runs):
        if run.next_seq == seq:
            return run
    for run in reversed(runs):
        if run.next_seq < seq:
            return run
    return None
