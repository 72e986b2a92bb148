"""The logs that every viewer is shown, and what they say by our own reckoning."""

from __future__ import annotations

from random import Random

from tests.render.make_logs import SCENARIOS
from tests.render.random_tasks import Program
from tests.trace.records import Log
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Call, Session
from whamm_cm.trace.timeline import timeline

#: Names that a viewer could take for markup, a path, a template or a number.
NASTY = ("<script>alert(1)</script>", 'a"b\\c', "std::vector<int>::at(int)", "{marker.data.args}",
         "é\u202ed", "constructor", "__proto__", "1",
         "\x1b[31m", "\ud800", "a;b 3", "tab\tnew\nline", "\U000e0041")  # fmt: skip
LOGS = [*SCENARIOS, "random", "torn", "odd", "late", "hostile"]


def log_of(name: str) -> list[Record]:
    if name == "random":
        return Program(Random(7), 30).run().records
    if name == "torn":
        return Program(Random(8), 20, 150).run().records
    if name in ("odd", "late"):
        return nested(Random(9), 10**16 if name == "late" else 0)
    return (hostile() if name == "hostile" else SCENARIOS[name]()).records


def hostile() -> Log:
    """Each name wherever one can be: of functions, components, arguments, in values."""
    log = Log()
    for instance, name in enumerate(NASTY, 1):
        log.component, log.instance = name, instance
        outer = log.enter(f"a:b/c#{name}", edge="export", args={name: name})
        log.call(f"{name}#f", {name: [name]}, **{name: {"~str": name, "~cut": 99}})
        log.leave(f"a:b/c#{name}", outer, result={"error": name})
    return log


def nested(random: Random, at: int) -> list[Record]:
    """Calls in calls at any nanosecond, from ``at`` on: after a hundred days of uptime, say."""
    log, open_ = Log(now=at), list[tuple[str, int]]()
    for number in range(400):
        if open_ and (len(open_) > 8 or random.random() < 0.5):
            item, call = open_.pop()
            log.leave(item, call, result=number)
        else:
            item, above = f"a:b/c#f{number}", open_[-1][0] if open_ else "nobody"
            open_.append((item, log.enter(item, args={"above": above})))
        log.now = log.now - 1000 + random.choice((1, 3, 29, 1001, 435_000_007))
    while open_:
        log.leave(*open_.pop())
    return log.records


def times(session: Session) -> list[tuple[Call, int, int]]:
    """Each call, with when it began (since the first) and how long it took, waits and all."""
    rows = timeline(session)
    zero = min(start for _, start, _ in rows) if session.timed and rows else 0
    return [(call, start - zero, end - start) for call, start, end in rows]
