"""What the logs of a run say, gathered in one pass: counts, values, calls per invocation, times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from whamm_cm.dataclass import dataclass
from whamm_cm.gate.capabilities import Observed
from whamm_cm.gate.policy import Budget
from whamm_cm.gate.uses import Uses
from whamm_cm.trace.calls import LEAVING, LiveCall, Outcome, Tracker
from whamm_cm.trace.reader import Record


@dataclass(slots=True)
class Spending:
    """Of one budget.  ``most``: the calls of the invocation that made most; ``times``: ns;
    ``latest_ns``: the longest time from the begin of an invocation to a call."""

    calls: dict[int, int] = field(default_factory=dict)
    times: list[int] = field(default_factory=list)
    counted: int = 0
    latest_ns: int = 0

    @property
    def most(self) -> int:
        return max(self.calls.values(), default=0)

    @property
    def p99_ns(self) -> int | None:
        """Nearest rank."""
        if not self.times:
            return None
        ordered = sorted(self.times)
        return ordered[-(-len(ordered) * 99 // 100) - 1]


@dataclass(slots=True)
class Evidence:
    """``records`` 0: the logs are empty, which is no evidence of anything.  ``vouched``: the logs
    did not come by a way on which the guest can write what it likes."""

    observed: Observed
    uses: Uses
    spending: tuple[Spending, ...]
    records: int = 0
    vouched: bool = True

    @property
    def absolves(self) -> bool:
        """Whether what is not in the logs did not happen."""
        return self.vouched and self.records > 0 and not self.uses.incomplete


def gather(
    records: Iterable[Record], budgets: tuple[Budget, ...] = (), vouched: bool = True
) -> Evidence:
    """One pass, in memory bounded by sites, distinct values and timed calls of budgets."""
    spending = tuple(Spending() for _ in budgets)
    found = Evidence(Observed(), Uses(), spending, vouched=vouched)
    tracker = Tracker()
    for record in records:
        found.records += 1
        found.observed.feed(record)
        found.uses.feed(record)
        if not budgets:
            continue
        if record["phase"] == "report":
            _report(found, budgets, record)
            continue
        if record["phase"] not in ("call", "return", "exit"):
            continue
        call = tracker.feed(record)
        if call is not None:
            _spend(found, budgets, call, record["phase"] == "call")
        tracker.given_up.clear()
    found.uses.finish()
    return found


def _spend(found: Evidence, budgets: tuple[Budget, ...], call: LiveCall, opening: bool) -> None:
    site = call.site
    if site.edge not in LEAVING:
        return
    for budget, spent in zip(budgets, found.spending, strict=True):
        if not budget.line.denies(site.interface, site.version or None, site.func):
            continue
        if opening or call.opened is None:
            invocation = _invocation(call)
            spent.calls[invocation] = spent.calls.get(invocation, 0) + 1
            spent.latest_ns = max(spent.latest_ns, _since(call))
        if not opening and call.outcome is Outcome.RETURNED and call.dur_ns is not None:
            spent.times.append(call.dur_ns)


def _outermost(call: LiveCall) -> LiveCall | None:
    top = call.parent
    while top is not None and top.parent is not None:
        top = top.parent
    return top


def _invocation(call: LiveCall) -> int:
    """The outermost call; -1 for what nobody was seen to call."""
    top = _outermost(call)
    return -1 if top is None else top.index


def _since(call: LiveCall) -> int:
    """Nanoseconds since its invocation began, 0 where the log does not say."""
    top = _outermost(call)
    if top is None or top.start_ns is None or call.start_ns is None:
        return 0
    return call.start_ns - top.start_ns


def _report(found: Evidence, budgets: tuple[Budget, ...], record: Record) -> None:
    get = record.get
    for budget, spent in zip(budgets, found.spending, strict=True):
        if budget.line.denies(get("interface", ""), get("version") or None, get("func", "")):
            spent.counted += record["count"]
