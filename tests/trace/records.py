"""A few words to write records with in tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from whamm_cm.trace.losses import Ends
from whamm_cm.trace.records import Record


@dataclass
class Log:
    """Appends records; every record takes a microsecond."""

    instance: int = 1
    component: str = ""
    records: list[dict[str, Any]] = field(default_factory=list)
    now: int = 1000
    calls: int = 0

    def add(self, phase: str, item: str, call: int, /, **more: Any) -> dict[str, Any]:
        interface, _, func = item.rpartition("#")
        record: dict[str, Any] = {"v": 1, "seq": len(self.records), "t_ns": self.now}
        record |= {"instance": more.pop("instance", self.instance), "call": call, "phase": phase}
        record["edge"] = more.pop("edge", "import")
        component = more.pop("component", self.component)
        if component:
            record["component"] = component
        if interface:
            record["interface"] = interface
        record |= {"func": func, **more}
        self.records.append(record)
        self.now += 1000
        return record

    def enter(self, item: str, /, **more: Any) -> int:
        """A call record; the number of the call."""
        self.calls += 1
        self.add("call", item, self.calls, **more)
        return self.calls

    def leave(self, item: str, call: int, /, **more: Any) -> dict[str, Any]:
        opened = next(
            r for r in reversed(self.records) if r["phase"] == "call" and r["call"] == call
        )
        more.setdefault("edge", opened["edge"])
        more.setdefault("instance", opened["instance"])
        more.setdefault("component", opened.get("component", ""))
        return self.add("return", item, call, **more, dur_ns=self.now - opened["t_ns"])

    def call(self, item: str, result: Any = ..., self_: int | None = None, **args: Any) -> None:
        """A call and its return; ``result`` left out when the function has none."""
        more: dict[str, Any] = {} if self_ is None else {"self": self_}
        if args:
            more["args"] = {key.replace("_", "-"): value for key, value in args.items()}
        number = self.enter(item, **more)
        self.leave(item, number, **({} if result is ... else {"result": result}))

    def later(self, phase: str, call: int, /, **more: Any) -> dict[str, Any]:
        """A record of phase ``exit``, ``started`` or ``resumed`` about a call, or a late return."""
        opened = next(
            r for r in reversed(self.records) if r["phase"] == "call" and r["call"] == call
        )
        names = {key: opened[key] for key in ("interface", "func") if key in opened}
        item = "#".join(names.values())
        for key in ("edge", "instance", "component", "task"):
            if key in opened:
                more.setdefault(key, opened[key])
        if phase != "resumed":
            more["dur_ns"] = self.now - opened["t_ns"]
        return self.add(phase, item, call, **more)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.records)


def with_ends(records: Iterable[Record]) -> Iterator[Record]:
    """The records, and behind them what ``Ends`` says of their runs."""
    ends = Ends()
    for record in records:
        ends.feed((record,))
        yield record
    yield from ends.finish()
