"""Random programs of interleaved tasks, run by a small model that says what is true of them.

The model has one stack: time that passes belongs to what is on top of it.  It knows nothing of how
records are paired.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

FRONT, BACK = 1, 2
HANDLE, GET, SLEEP, DRAW = "web#handle", "back#get", "clock#sleep", "random#draw"


@dataclass
class Task:
    """``frame``: what is on the stack for it while it runs; ``row``: what its time counts as."""

    instance: int
    number: int
    call: int
    item: str
    began: int
    left: int = 0
    steps: int = 0
    returned: bool = False
    pending: list[Late] = field(default_factory=list)


@dataclass
class Late:
    """An asynchronous call under way: of a callee (``task``, None while it is held back), or of
    the host; ``over`` when the result is there."""

    call: int
    item: str
    caller: Task
    began: int
    went_on: int
    held: bool = False
    task: Task | None = None
    over: bool = False
    told: bool = True


class Program:
    """Runs until all tasks are over, or ``cut`` records are written."""

    def __init__(self, random: Random, requests: int, cut: int | None = None) -> None:
        self.random, self.cut = random, cut
        self.records: list[dict[str, Any]] = []
        self.now, self.stack = 1000, list[str]()
        self.calls, self.tasks = Counter[int](), Counter[int]()
        self.own, self.wall, self.wait = Counter[str](), Counter[str](), Counter[str]()
        self.made, self.starting = Counter[str](), Counter[str]()
        #: Calls of callees by the call that made them.
        self.became: dict[int, int] = {}
        #: Of each call of the front the call of the export whose task it was made in.
        self.inside: dict[int, int] = {}
        #: Whether a callee ran in the middle of its caller of which nobody knows who that is.
        self.doubtful = False
        self.running: list[Task] = []
        self.late: list[Late] = []
        self.requests = requests

    # --- what happens ----------------------------------------------------------------------------

    def run(self) -> Program:
        while self.requests or self.running or self.late:
            self.tick()
            choices = [self._arrive] * bool(self.requests)
            choices += [self._go_on] * any(self._ready(task) for task in self.running)
            choices += [self._progress] * any(not late.over for late in self.late)
            self.random.choice(choices)()
        if self.cut is not None:
            del self.records[self.cut :]
        return self

    def tick(self) -> None:
        passed = self.random.randrange(1, 1000)
        self.now += passed
        if self.stack:
            self.own[self.stack[-1]] += passed

    def write(
        self, phase: str, instance: int, call: int, item: str, task: int, **more: Any
    ) -> None:
        interface, _, func = item.partition("#")
        edge = "import" if item in (SLEEP, DRAW) else "export" if item == HANDLE else "inner"
        head = {"v": 2, "run": "0" * 16, "seq": len(self.records), "t_ns": self.now}
        names = {"edge": edge, "component": ("front", "back")[instance - 1]}
        names |= {"interface": interface, "func": func}
        self.records.append(
            {**head, "instance": instance, "call": call, "task": task, "phase": phase}
            | {**names, **more}
        )

    def _enter(self, instance: int, item: str) -> Task:
        self.calls[instance] += 1
        self.tasks[instance] += 1
        task = Task(instance, self.tasks[instance], self.calls[instance], item, self.now)
        self.write("call", instance, task.call, item, task.number)
        self.stack.append(item)
        return task

    def _arrive(self) -> None:
        self.requests -= 1
        self._body(self._enter(FRONT, HANDLE))

    def _ready(self, task: Task) -> bool:
        if task.instance == BACK:
            return True
        return not task.pending or any(self._news(late) for late in task.pending)

    def _news(self, late: Late) -> bool:
        return late.over or (not late.told and late.task is not None)

    def _go_on(self) -> None:
        task = self.random.choice([task for task in self.running if self._ready(task)])
        self.running.remove(task)
        waited = self.now - task.left
        self.write("resumed", task.instance, task.call, task.item, task.number, dur_ns=waited)
        if task.instance == FRONT:
            self.wait[task.item] += waited
        self.stack.append(task.item)
        news = [late for late in task.pending if self._news(late)]
        if news:
            self._told(self.random.choice(news))
        self._body(task)

    def _told(self, late: Late) -> None:
        task = late.caller
        where = (FRONT, late.call, late.item, task.number)
        took = self.now - late.began
        if not late.over:
            late.told = True
            self.write("started", *where, dur_ns=took)
            self.starting[late.item] += took
            return
        self.write("return", *where, result=1, dur_ns=took)
        self.wall[late.item] += took
        self.wait[late.item] += self.now - late.went_on
        task.pending.remove(late)
        self.late.remove(late)

    def _progress(self) -> None:
        late = self.random.choice([late for late in self.late if not late.over])
        if late.item == SLEEP:
            late.over = True
        elif late.task is None:
            self._begin(late)

    # --- what a task does ------------------------------------------------------------------------

    def _body(self, task: Task) -> None:
        """Runs until it waits or is over; it is on top of the stack."""
        limit = 4 if task.instance == FRONT else 2
        while True:
            self.tick()
            task.steps += 1
            steps = [self._draw]
            if task.instance == FRONT and task.steps < limit:
                steps += [self._sleep, self._get]
            steps += [self._cancel] * any(self._can_cancel(late) for late in task.pending)
            self.random.choice(steps)(task)
            if task.steps >= limit and not task.pending:
                self._return(task)
                self.tick()
                if self.random.random() < 0.7 or task.steps > 2 * limit:
                    return self._exit(task)
            if self.random.random() < 0.5 or task.steps > 3 * limit:
                task.left = self.now
                self.running.append(task)
                self.stack.pop()
                return None

    def _call(self, task: Task, item: str) -> int:
        self.calls[task.instance] += 1
        call = self.calls[task.instance]
        self.write("call", task.instance, call, item, task.number)
        if task.instance == FRONT:
            self.inside[call] = task.call
        self.stack.append(item)
        self.made[item] += 1
        return call

    def _draw(self, task: Task) -> None:
        began, call = self.now, self._call(task, DRAW)
        self.tick()
        took = self.now - began
        self.write("return", task.instance, call, DRAW, task.number, result=7, dur_ns=took)
        self.wall[DRAW] += took
        self.stack.pop()

    def _sleep(self, task: Task) -> None:
        late = Late(self._call(task, SLEEP), SLEEP, task, self.now, 0)
        self.tick()
        self._went_on(late, 1)

    def _get(self, task: Task) -> None:
        late = Late(self._call(task, GET), GET, task, self.now, 0)
        self.tick()
        late.held = self.random.random() < 0.4
        late.told = not (late.held and self.random.random() < 0.5)
        if not late.held:
            self._begin(late)
            self.tick()
        if late.over:
            took = self.now - late.began
            self.write("return", FRONT, late.call, GET, task.number, result=1, dur_ns=took)
            self.wall[GET] += took
            self.stack.pop()
        else:
            self._went_on(late, 0 if late.held else 1)

    def _can_cancel(self, late: Late) -> bool:
        return late.item == GET and not late.over and (late.held or late.task in self.running)

    def _cancel(self, task: Task) -> None:
        """What is called runs in the middle of its caller, to be told."""
        late = self.random.choice([late for late in task.pending if self._can_cancel(late)])
        callee, how = late.task, "before-started"
        if callee is not None:
            if callee not in self.running:
                return
            how = "before-returned"
            self.doubtful = self.doubtful or late.held
            where = (BACK, callee.call, GET, callee.number)
            self.running.remove(callee)
            self.write("resumed", *where, dur_ns=self.now - callee.left)
            self.stack.append(GET)
            self.tick()
            if not callee.returned:
                self.write("return", *where, cancelled=how, dur_ns=self.now - callee.began)
            self._exit(callee)
            self.tick()
        took = self.now - late.began
        self.write("return", FRONT, late.call, GET, task.number, cancelled=how, dur_ns=took)
        self.wall[GET] += took
        self.wait[GET] += self.now - late.went_on
        task.pending.remove(late)
        self.late.remove(late)

    def _went_on(self, late: Late, state: int) -> None:
        task, status = late.caller, state | 2 << 4
        took = {"pending": True, "status": status, "dur_ns": self.now - late.began}
        self.write("return", FRONT, late.call, late.item, task.number, **took)
        late.went_on = self.now
        task.pending.append(late)
        self.late.append(late)
        self.stack.pop()

    def _begin(self, late: Late) -> None:
        late.task = self._enter(BACK, GET)
        self.became[late.call] = late.task.call
        late.task.pending = []
        self.callers[id(late.task)] = late
        self._body(late.task)

    @property
    def callers(self) -> dict[int, Late]:
        return self.__dict__.setdefault("_callers", {})

    def _return(self, task: Task) -> None:
        if task.returned:
            return
        task.returned = True
        took = self.now - task.began
        where = (task.instance, task.call, task.item, task.number)
        self.write("return", *where, result=1, dur_ns=took)
        if task.instance == FRONT:
            self.made[HANDLE] += 1
            self.wall[HANDLE] += took
        else:
            self.callers[id(task)].over = True

    def _exit(self, task: Task) -> None:
        where = (task.instance, task.call, task.item, task.number)
        self.write("exit", *where, dur_ns=self.now - task.began)
        self.stack.pop()
