"""Pairing of call and return records, one record at a time, in memory bounded by the open calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from enum import Enum
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.failures import answers, has_failed
from whamm_cm.trace.failures import is_error as is_error
from whamm_cm.trace.held import Held
from whamm_cm.trace.records import Record

#: Edges over which control enters an instance, and those over which it leaves one. ``inner`` is
#: both: a lower in one component and a lift in the other.
ENTERING = ("export", "inner")
LEAVING = ("import", "inner")

#: The built-in by which an async export hands over its result; no record says that it is back.
TASK_RETURN = "task.return"

#: Of the status of an async function that has not returned: bits, and two states.
_STATE, _STARTING, _STARTED = 15, 0, 1
#: Phases of records about calls that neither begin nor end one.
BETWEEN = ("exit", "started", "resumed")

_NOTHING: Mapping[str, Any] = {}


class Outcome(Enum):
    RETURNED = "returned"
    PENDING = "pending"  # an async function that said "later" and was not heard of again
    UNFINISHED = "unfinished"  # exit, a trap, or the log ends here


@dataclass(frozen=True, slots=True)
class Site:
    """A function at a boundary, as its records name it.

    ``label``: the plain name by which an instance of ``interface`` is imported, if it is one.
    ``item``: ``wasi:keyvalue/store#bucket.get``; only the function for the world's own.
    ``shown``: the same with the label, ``primary<wasi:keyvalue/store>#bucket.get``.  ``enters``
    and ``leaves`` an instance; ``answers``: it says how a request is answered.
    """

    edge: str
    component: str
    interface: str
    version: str
    func: str
    label: str = ""
    item: str = field(init=False, compare=False)
    shown: str = field(init=False, compare=False, repr=False)
    target: tuple[str, str] = field(init=False, compare=False, repr=False)
    enters: bool = field(init=False, compare=False, repr=False)
    leaves: bool = field(init=False, compare=False, repr=False)
    answers: bool = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        item = f"{self.interface}#{self.func}" if self.interface else self.func
        for name, value in (
            ("item", item),
            ("shown", f"{self.label}<{self.interface}>#{self.func}" if self.label else item),
            ("target", (self.interface, self.func)),
            ("enters", self.edge in ENTERING),
            ("leaves", self.edge in LEAVING),
            ("answers", answers(item)),
        ):
            object.__setattr__(self, name, value)

    @staticmethod
    def of(record: Record) -> Site:
        get = record.get
        names = (
            get("edge", ""),
            get("component", ""),
            get("interface", ""),
            get("version", ""),
            get("func", ""),
            _label(record["inner"]) if "inner" in record else "",
        )
        return _SITES.get(names) or _remember(names)


_SITES: dict[tuple[str, ...], Site] = {}
#: Waits of a task that are remembered, for what is told late of times before.
_MAX_WAITS = 32
#: Sites remembered, so that a record of one makes no new object.
_MAX_SITES = 1 << 14


def _label(inner: Mapping[str, Any]) -> str:
    """Names of interfaces have a colon, those that an instance is given by its user have none."""
    name: str = inner.get("interface", "")
    return "" if ":" in name else name


def _remember(names: tuple[str, str, str, str, str, str]) -> Site:
    if len(_SITES) >= _MAX_SITES:
        _SITES.clear()
    site = _SITES[names] = Site(*names)
    return site


class LiveCall:
    """A call while its records arrive. ``index`` counts the calls of the log in order.

    ``opened`` is the call record (None when it was lost), ``closed`` the last return record.
    ``parent`` is the call it was made from as far as the log tells; times are nanoseconds:
    ``dur_ns`` until the result, ``frame_ns`` until the core call returned, which for an async
    function may be long before; ``child_ns`` is what of its own time others ran that it called.
    ``starting_ns``: until it could start, None for at once or unknown; ``starts_later``: it could
    not at once.  Where ``is_task`` it is the call of an export that a task began with: of
    ``last_ns`` until it was seen last it has waited ``waited_ns``; ``made_task``: it has made such
    a call; ``was_held``: one of several calls has made it that could not start at once, nobody
    knows which; ``beside``: times at which its callees ran since it was seen last, and
    ``waits`` its last waits.  ``answered_badly``: it was answered by an error, as HTTP has it.
    ``req``: the number of the request that it is part of, 0 for none (``requests.py``).
    """

    opened: Record | None = None
    parent: LiveCall | None = None
    depth: int = 0
    closed: Record | None = None
    outcome: Outcome = Outcome.UNFINISHED
    start_ns: int | None = None
    dur_ns: int | None = None
    frame_ns: int = 0
    child_ns: int = 0
    starting_ns: int | None = None
    starts_later: bool = False
    is_task: bool = False
    made_task: bool = False
    was_held: bool = False
    beside: list[tuple[int, int]] | None = None
    waits: tuple[tuple[int, int], ...] = ()
    waited_ns: int = 0
    last_ns: int = 0
    answered_badly: bool = False
    req: int = 0

    def __init__(self, index: int, site: Site, instance: int, call: int) -> None:
        self.index, self.site, self.instance, self.call = index, site, instance, call

    @property
    def self_ns(self) -> int | None:
        """Time that it ran or kept its caller from running, without the calls made from it; None
        without times."""
        if self.dur_ns is None:
            return None
        whole = max(self.last_ns, self.dur_ns) if self.is_task else self.frame_ns
        return max(0, whole - self.waited_ns - self.child_ns)

    @property
    def wait_ns(self) -> int:
        """Time that others could run: of a task that it has waited, of a call that it went on when
        its caller did."""
        if self.is_task or self.dur_ns is None or self.outcome is not Outcome.RETURNED:
            return self.waited_ns
        return max(0, self.dur_ns - self.frame_ns)

    @property
    def result(self) -> Any:
        return None if self.closed is None else self.closed.get("result")

    @property
    def failed(self) -> bool:
        """Whether it returned an error, or means one (``failures.py``)."""
        return self.outcome is Outcome.RETURNED and (
            self.answered_badly or has_failed(self.site.item, self.args, self.result)
        )

    @property
    def args(self) -> Mapping[str, Any]:
        return _NOTHING if self.opened is None else self.opened.get("args", _NOTHING)

    @property
    def run(self) -> str:
        record = self.opened or self.closed
        return "" if record is None else record.get("run", "")

    @property
    def is_callee(self) -> bool:
        """Whether it is the other side of a call between components that is recorded already."""
        caller = self.parent
        return self.was_held or (
            caller is not None
            and caller.site.edge == "inner"
            and self.site.enters
            and caller.instance != self.instance
            and caller.site.target == self.site.target
        )


class Tracker:
    """Feed it records in order; it pairs by (instance, call) and finds who called whom.

    ``max_open`` bounds memory where returns were lost: the oldest open call is given up.
    Within an instance a call's parent is the export whose task the record names, else the one that
    was entered last and has not returned; an entry into another instance belongs to an open call of
    the same function from elsewhere.
    """

    def __init__(self, max_open: int = 65536) -> None:
        self.max_open = max_open
        self.given_up: list[LiveCall] = []  # for the owner to collect and clear
        self._count = 0
        #: The highest number of a request so far: of those that records name, or that began here.
        self.requests = 0
        self._open: dict[tuple[int, int], list[LiveCall]] = {}
        self._frames: dict[int, list[LiveCall]] = {}
        self._leaving: dict[tuple[str, str], dict[int, LiveCall]] = {}
        self._held: Held[LiveCall] = Held()
        #: The calls of exports whose tasks are not over, by run, instance and task.
        self._tasks: dict[tuple[str, int, int], LiveCall] = {}

    def feed(self, record: Record) -> LiveCall | None:
        """The call a call or return record belongs to; None for report and dropped records."""
        phase = record["phase"]
        if phase == "call":
            return self._call(record)
        if phase == "return":
            return self._return(record)
        if phase in BETWEEN:
            self._between(record)
        return None

    def about(self, record: Record) -> LiveCall | None:
        """The call that a record is about which neither begins nor ends one, and was not fed yet:
        of phases ``exit`` and ``resumed`` that of the export whose task it is."""
        if record["phase"] == "started":
            return self._match(record)
        call = self._tasks.get(_task(record))
        return call if call is not None and call.call == record["call"] else None

    def tasks(self) -> Iterable[LiveCall]:
        """The calls of exports whose tasks are not known to be over."""
        return self._tasks.values()

    def beside(self, record: Record) -> LiveCall:
        """Where something happened that is no call, as a call that is not remembered."""
        call = LiveCall(-1, Site.of(record), record["instance"], 0)
        call.opened = record
        parent = self._parent(call)
        if parent is not None:
            call.parent, call.depth = parent, parent.depth + 1
        return call

    def spent(self, instance: int, ns: int) -> None:
        """Calls of an import took that long which have no records of their own."""
        frames = self._frames.get(instance)
        if frames:
            frames[-1].child_ns += ns

    def unfinished(self) -> list[LiveCall]:
        """Calls that are open or pending, in the order they were made."""
        return sorted(
            (call for calls in self._open.values() for call in calls), key=lambda call: call.index
        )

    def _new(self, record: Record) -> LiveCall:
        call = LiveCall(self._count, Site.of(record), record["instance"], record["call"])
        self._count += 1
        return call

    def _call(self, record: Record) -> LiveCall:
        call = self._new(record)
        call.opened = record
        call.start_ns = record.get("t_ns")
        parent = self._parent(call)
        if parent is not None:
            call.parent, call.depth = parent, parent.depth + 1
        key, site = (call.instance, call.call), call.site
        call.req = self._request(record, call)
        if "task" in record and site.enters and _task(record) not in self._tasks:
            if len(self._tasks) >= self.max_open:
                del self._tasks[next(iter(self._tasks))]
            self._tasks[_task(record)] = call
            call.is_task = True
            if parent is not None:
                parent.made_task = True
        if site.func == TASK_RETURN and site.edge == "builtin":
            call.outcome, call.closed = Outcome.RETURNED, _handed_over(record)
            return call
        if len(self._open) >= self.max_open:
            self._give_up()
        same = self._open.get(key)
        if same is None:
            self._open[key] = [call]
        else:
            same.append(call)
        if site.enters:
            self._frames.setdefault(call.instance, []).append(call)
        if site.leaves:
            leaving = self._leaving.get(site.target)
            if leaving is None:
                leaving = self._room(site.target)
            leaving[call.index] = call
        return call

    def _request(self, record: Record, call: LiveCall) -> int:
        """The request it is part of, which its record says, or who called it; an export that nobody
        is known to have called begins one."""
        if "req" in record:
            req: int = record["req"]
            self.requests = max(self.requests, req)
            return req
        if call.parent is not None:
            return call.parent.req
        if call.site.edge != "export":
            return 0
        self.requests += 1
        return self.requests

    def _room(self, target: tuple[str, str]) -> dict[int, LiveCall]:
        """Where calls of one function are kept that leave; empty ones go when there are many."""
        if len(self._leaving) >= _MAX_SITES:
            self._leaving = {key: calls for key, calls in self._leaving.items() if calls}
        return self._leaving.setdefault(target, {})

    def _parent(self, call: LiveCall) -> LiveCall | None:
        record = call.opened
        tasked = record is not None and "task" in record
        task = self._tasks.get(_task(record)) if tasked and record is not None else None
        if task is not None:
            return task  # what begins a task is the first that is heard of it
        frames = self._frames.get(call.instance)
        if frames and call.site.edge != "export" and not tasked:
            return frames[-1]
        if call.site.enters:
            for caller in reversed(self._leaving.get(call.site.target, {}).values()):
                if caller.instance != call.instance and caller.run == call.run:
                    return caller
        return self._held_caller(call) if tasked and call.site.edge == "inner" else None

    def _held_caller(self, call: LiveCall) -> LiveCall | None:
        """The call that could not start when it was made, and does by this; None where it may be
        one of several."""
        may = self._held.callers((call.run, *call.site.target))
        call.was_held = len(may) > 1
        return may[0] if len(may) == 1 else None

    def _return(self, record: Record) -> LiveCall:
        call = self._match(record)
        if call is None:  # its call record was lost
            call = self._new(record)
            call.req = self._request(record, call)
        pending = "pending" in record and bool(record["pending"])
        was_pending = call.outcome is Outcome.PENDING
        call.closed = record
        call.outcome = Outcome.PENDING if pending else Outcome.RETURNED
        call.dur_ns = record["dur_ns"] if "dur_ns" in record else _duration(call, record)
        if call.start_ns is None and call.dur_ns is not None and "t_ns" in record:
            call.start_ns = max(0, record["t_ns"] - call.dur_ns)
        if pending and self._tasks.get(_task(record)) is call:
            # No task began with it: that of which this is the first that is heard has no record.
            del self._tasks[_task(record)]
            call.is_task = False
        if pending and call.site.edge != "export":
            call.starts_later = record.get("status", _STARTED) & _STATE == _STARTING
            if call.starts_later and call.site.edge == "inner":
                self._held.add((call.run, *call.site.target), call)
        if not was_pending:
            call.frame_ns = call.dur_ns or 0
            if not call.is_task:
                spend(call, 0, call.frame_ns)
                _within_frame(call)
        if call.is_task:
            _settle(call, None)
            _ran(call, call.dur_ns)
        if call.site.answers and not pending:
            _answered(call)
        self._leave(call)
        if not pending:
            self._forget(call)
            if call.starts_later:
                self._held.started((call.run, *call.site.target), call)
        return call

    def _between(self, record: Record) -> None:
        call, took = self.about(record), record.get("dur_ns")
        if record["phase"] == "exit":
            self._tasks.pop(_task(record), None)
        if call is not None and record["phase"] == "started":
            call.starting_ns = took
            self._held.started((call.run, *call.site.target), call)
        elif call is None or took is None:
            return
        elif record["phase"] == "exit":
            _settle(call, None)
            _ran(call, took)
        elif call.start_ns is not None and "t_ns" in record:
            _settle(call, record["t_ns"] - took)
            call.waits = (*call.waits[-_MAX_WAITS:], (record["t_ns"] - took, record["t_ns"]))
            _ran(call, record["t_ns"] - took - call.start_ns)
            call.waited_ns += took
            call.last_ns += took

    def _match(self, record: Record) -> LiveCall | None:
        """The open call of a return. Logs of several runs may reuse the same numbers."""
        same = self._open.get((record["instance"], record["call"]))
        if same is None:
            return None
        site = Site.of(record)
        if len(same) == 1:
            return same[0] if same[0].site == site else None
        candidates = [call for call in same if call.site == site]
        if len(candidates) > 1 and "dur_ns" in record and "t_ns" in record:
            start = record["t_ns"] - record["dur_ns"]
            exact = [call for call in candidates if call.start_ns == start]
            candidates = exact or candidates
        return candidates[-1] if candidates else None

    def _leave(self, call: LiveCall) -> None:
        """Its frame is gone, and with it whatever it called and whose return got lost."""
        site = call.site
        if site.enters:
            frames = self._frames.get(call.instance)
            if frames and frames[-1] is call:  # as calls mostly return, however deep they are
                frames.pop()
            elif frames and call in frames:
                frames[:] = [frame for frame in frames if not _within(frame, call)]
            if frames is not None and not frames:
                del self._frames[call.instance]
        if site.leaves:
            leaving = self._leaving.get(site.target)
            if leaving is not None:
                leaving.pop(call.index, None)

    def _forget(self, call: LiveCall) -> None:
        key = (call.instance, call.call)
        same = self._open.get(key)
        if same and call in same:
            if len(same) == 1:
                del self._open[key]
            else:
                same.remove(call)

    def _give_up(self) -> None:
        key = next(iter(self._open))
        for call in self._open.pop(key):
            self._leave(call)
            self._held.started((call.run, *call.site.target), call)
            self.given_up.append(call)


def _ran(call: LiveCall, until_ns: int | None) -> None:
    """The task of an export ran from when it was seen last until so long after its call."""
    if until_ns is not None and until_ns > call.last_ns:
        spend(call, call.last_ns, until_ns)
        call.last_ns = until_ns


def spend(call: LiveCall, first_ns: int, last_ns: int) -> None:
    """From so long after the call until so long, it was what ran; its caller may have gone on."""
    caller, start = call.parent, call.start_ns
    if caller is None:
        return
    over = not caller.is_task and caller.closed is not None
    if over and start is not None and caller.start_ns is not None:
        left, task = caller.start_ns + caller.frame_ns - start, caller.parent
        if last_ns > left and task is not None and task.is_task:
            _beside(task, start + max(first_ns, left), start + last_ns)
        last_ns = min(last_ns, left)
    caller.child_ns += max(0, last_ns - first_ns)


def _beside(task: LiveCall, first: int, last: int) -> None:
    """A callee of the task ran at these times: in the middle of it, as one does that is being
    cancelled, unless the task waited.  Of what came last that is not known yet."""
    for began, ended in task.waits:
        if first < last and ended > first:
            task.child_ns += max(0, min(last, began) - first)
            first = max(first, ended)
    if first < last:
        task.beside = [*(task.beside or ()), (first, last)]


def _settle(task: LiveCall, until_ns: int | None) -> None:
    """The task waits since then, or still runs."""
    for first, last in task.beside or ():
        end = last if until_ns is None else min(last, until_ns)
        task.child_ns += max(0, end - first)
    task.beside = None


def _within_frame(call: LiveCall) -> None:
    """What ran beside the task while this call kept it from going on ran in the middle of that."""
    task, start = call.parent, call.start_ns
    if task is None or not task.beside or start is None:
        return
    left, end = list[tuple[int, int]](), start + call.frame_ns
    for first, last in task.beside:
        if start <= first and last <= end:
            call.child_ns += last - first
        else:
            left.append((first, last))
    task.beside = left


def _task(record: Record) -> tuple[str, int, int]:
    return record.get("run", ""), record["instance"], record.get("task", 0)


def _handed_over(record: Record) -> Record:
    """The record of a ``task.return`` with the result of the task as its own."""
    args = record.get("args", {})
    return {**record, "result": args["result"]} if "result" in args else record


def _answered(call: LiveCall) -> None:
    """The export that the call was made in answers as the call says, until another says else."""
    frame = call.parent
    while frame is not None and frame.site.edge != "export":
        frame = frame.parent
    if frame is not None:
        frame.answered_badly = call.failed


def track(records: Iterable[Record]) -> Iterable[LiveCall]:
    """Every call of a log once: those that returned when they do, the others at the end."""
    tracker = Tracker()
    for record in records:
        call = tracker.feed(record)
        if tracker.given_up:
            yield from tracker.given_up
            tracker.given_up.clear()
        if call is not None and call.outcome is Outcome.RETURNED:
            yield call
    yield from tracker.unfinished()


def _within(frame: LiveCall | None, outer: LiveCall) -> bool:
    """Whoever calls has a lower number than what he calls."""
    while frame is not None and frame.index > outer.index:
        frame = frame.parent
    return frame is outer


def _duration(call: LiveCall, record: Record) -> int | None:
    if call.start_ns is None or "t_ns" not in record:
        return None
    return max(0, int(record["t_ns"]) - call.start_ns)
