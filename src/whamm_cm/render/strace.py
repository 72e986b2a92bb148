"""Calls as strace prints them, one record at a time.

A call and its return share a line when nothing comes between; a call that makes calls of its own
is followed by them, indented; any other interruption is marked as strace marks it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from whamm_cm.render.bursts import Bursts
from whamm_cm.render.by_request import ByRequest
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.packed import (
    argument_text,
    copied_text,
    is_copy,
    outcome,
    pending_text,
    result_text,
    total_text,
)
from whamm_cm.render.safe import lines, printable
from whamm_cm.render.wave import ValueStyle, brief, handle_text, wave
from whamm_cm.render.words import counted
from whamm_cm.trace.calls import LiveCall, Outcome, Site, Tracker
from whamm_cm.trace.handle_rules import OPTION_IN_OK
from whamm_cm.trace.losses import Losses
from whamm_cm.trace.names import NamedCall, Namer
from whamm_cm.trace.records import Record
from whamm_cm.trace.reports import shown_text
from whamm_cm.wit.preview1 import MODULES

#: Column at which ``<time>`` stands where the line leaves room for it.
TIME_COLUMN = 88


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    """The whole text, in chunks of one or more lines."""
    strace = live(options)
    for record in records:
        text = strace.feed(record)
        if text:
            yield text
    text = strace.finish()
    if text:
        yield text


def live(options: RenderOptions) -> Strace | ByRequest:
    """What text is made by while records come."""
    return ByRequest(options, Strace) if options.by == "request" else Strace(options)


class Strace:
    """The live renderer. Memory is bounded by the calls that are open."""

    def __init__(self, options: RenderOptions, namer: Namer | None = None) -> None:
        """``namer``: of a log that is shown in parts."""
        self.options = options
        width, names = options.max_string, options.names
        # By whether a null inside ``ok`` is "none".
        self._styles, self._bare = (
            [ValueStyle(width, named, optional, options.each) for optional in (False, True)]
            for named in (names, False)
        )
        self._tracker = Tracker()
        self._namer = Namer() if namer is None else namer
        self._named: dict[int, NamedCall] = {}
        self._held: tuple[LiveCall, str] | None = None
        self._base = options.base_ns
        self._last: int | None = None
        self._first_instance: int | None = None
        self._several = options.tags
        self._last_returned: LiveCall | None = None
        self._task = 0  # the first that was met
        self._tasks = False  # whether there are several
        self._unended = False  # the last print had no end of line
        self._bursts = Bursts(self._timed)
        self._copies: dict[int, tuple[int, str, int]] = {}  # whose they are, of open calls
        self._quiet: dict[int, str] = {}  # how those begin that are not shown alone

    def feed(self, record: Record) -> str:
        """The lines that are complete now; a call is held until the next record."""
        self._namer.see(record)
        if record["phase"] == "print":
            return self._printed(record)
        text = self._line(record)
        if text:
            text = self._bursts.flush() + text
        if text and self._unended:
            self._unended = False
            return "\n" + text
        return text

    def _printed(self, record: Record) -> str:
        """A script's own text, between the lines unless it goes on where the last print ended."""
        raw = bool(record.get("raw"))
        text = self.flush() + ("\n" if self._unended and not raw else "")
        text += "" if raw else self._stamp(record)
        text += lines(shown_text(record.get("text", ""))) + ("" if raw else "\n")
        self._unended = not text.endswith("\n")
        return text

    def _line(self, record: Record) -> str:
        if record["phase"] in ("start", "end"):
            return ""  # blocks begin and end where they may, also between a call and its return
        if record["phase"] == "resumed":
            return ""  # what it waited for follows
        if record["phase"] == "exit":
            return self._exited(record)
        if record["phase"] == "handle":
            return self._dropped(record)
        if record["phase"] == "started":
            return self._started(record)
        if record["phase"] not in ("call", "return"):
            note = _note(record)
            return self.flush() + note if note else ""
        self._meet(record["instance"], record.get("task", 0))
        call = self._tracker.feed(record)
        self._last_returned = None
        while self._tracker.given_up:
            index = self._tracker.given_up.pop().index
            for known in (self._named, self._copies, self._quiet):
                known.pop(index, None)
        if call is None:
            return ""
        if record["phase"] == "call":
            named = self._namer.open(record)
            if self._joins(call, named, record):
                return ""
            out = self._release(call)
            if call.outcome is Outcome.RETURNED:  # no other record comes
                return f"{out}{self._lead(call, record)}{self._head(call, named, record)}\n"
            self._named[call.index] = named
            self._held = (call, self._lead(call, record) + self._head(call, named, record))
            return out
        if call.index in self._quiet:
            self._add(call, record)
            return ""
        return self._returned(call, record)

    # --- reads and writes of streams -------------------------------------------------------------

    def _joins(self, call: LiveCall, named: NamedCall, record: Record) -> bool:
        """Whether a copy is only told together with others."""
        end = named.receiver
        if self.options.each or end is None or not is_copy(call.site) or end.resource != "stream":
            return False
        key = (call.instance, call.site.func, end.handle)
        self._copies[call.index] = key
        if self._held is not None or not self._bursts.joins(key, record):
            return False
        self._named[call.index] = named
        self._quiet[call.index] = self._lead(call, record) + self._head(call, named, record)
        return True

    def _add(self, call: LiveCall, record: Record) -> None:
        """A copy that is not shown alone has returned."""
        if call.outcome is Outcome.PENDING:
            return
        named, head = self._named.pop(call.index), self._quiet.pop(call.index)
        burst = self._bursts.over(self._copies.pop(call.index), record)
        packed, data = self._namer.close(named, record), self._namer.data(named, record)
        if burst is None or type(packed) is not int:
            return
        if not burst.count:  # the first that says something of what went through
            burst.head = head
            burst.data = self._data(call, data)
        burst.copies += 1
        burst.count += packed >> 4
        burst.spent += call.dur_ns or 0
        burst.how = outcome(packed)

    def _dropped(self, record: Record) -> str:
        """An end of a stream is dropped: how much has gone through it."""
        self._meet(record["instance"], record.get("task", 0))
        named = self._namer.handle(record)
        if not record["func"].startswith("stream.drop-"):
            return ""
        call = self._tracker.beside(record)
        text = self._lead(call, record) + self._head(call, named, record)
        if named.end is not None:
            text += f" /* {total_text(named.end)} */"
        return self._release(call) + text + "\n"

    def _exited(self, record: Record) -> str:
        """A task is over: said where its export has not just returned."""
        call = self._tracker.about(record)
        self._tracker.feed(record)
        if call is None or call is self._last_returned:
            return ""
        text = f"{self._lead(call, record)}<… {printable(call.site.shown)} exited>"
        return self.flush() + self._timed(text, record.get("dur_ns")) + "\n"

    def _started(self, record: Record) -> str:
        """A call starts that could not when it was made."""
        call = self._tracker.about(record)
        if call is None:
            return ""
        self._last_returned = None
        text = f"{self._lead(call, record)}<… {printable(call.site.shown)} started>"
        return self.flush() + self._timed(text, record.get("dur_ns")) + "\n"

    def _timed(self, text: str, duration: int | None) -> str:
        if not self.options.durations or duration is None:
            return text
        return f"{text:<{TIME_COLUMN - 1}} <{_seconds(duration)}>"

    @property
    def holds(self) -> object:
        """What waits for its return or for its like, None if there is nothing."""
        return self._bursts.held if self._held is None else self._held[0]

    def flush(self) -> str:
        """Show what is held now, for a terminal that should not wait for its return."""
        return self._bursts.flush() + self._release(None)

    def finish(self) -> str:
        """The rest: calls that never returned end in ``= ?``."""
        out = self._bursts.flush() + self.stop()
        for call in reversed(self._tracker.unfinished()):
            if call.index in self._named and call.outcome is Outcome.UNFINISHED:
                out += f"{self._lead(call, None)}<… {self._shown(call)} resumed> = ?\n"
        self._named.clear()
        return out

    def stop(self) -> str:
        """What :meth:`finish` shows of the call that was made last, if nothing came behind it."""
        if self._held is None:
            return ""
        call, head = self._held
        self._held = None
        self._named.pop(call.index, None)
        return f"{head} = ?\n"

    def _release(self, following: LiveCall | None) -> str:
        if self._held is None:
            return ""
        call, head = self._held
        self._held = None
        nested = following is not None and following.parent is call
        return f"{head}\n" if nested else f"{head} <unfinished …>\n"

    def _returned(self, call: LiveCall, record: Record) -> str:
        out = ""
        if self._held is not None and self._held[0] is call:
            text = self._held[1]
            self._held = None
        else:
            out = self._release(None)
            text = f"{self._lead(call, record)}<… {self._shown(call)} resumed>"
        pending = call.outcome is Outcome.PENDING
        if not pending and (key := self._copies.pop(call.index, None)) is not None:
            self._bursts.over(key, record)
        named = self._named.get(call.index) if pending else self._named.pop(call.index, None)
        if named is None:  # its call record was lost, and with it what its handles were
            named = NamedCall(call.instance, None, None, {})
        text += " = " + self._result(call, named, record)
        self._last_returned = call
        return out + self._timed(text, call.dur_ns) + "\n"

    def _shown(self, call: LiveCall) -> str:
        """What a call is of, where it is spoken of again."""
        named = self._named.get(call.index)
        if named is None or named.receiver is None or not is_copy(call.site):
            return _title(call.site)
        end = handle_text(named.receiver, self.options.names)
        return f"{end}.{call.site.func.partition('.')[2]}"

    def _head(self, call: LiveCall, named: NamedCall, record: Record) -> str:
        site, style = call.site, self._style(call)
        exported = site.edge == "export"
        packed = argument_text if site.edge == "builtin" else _no_text
        args = [
            (key, packed(key, value) or wave(brief(key, value, style), style))
            for key, value in named.args.items()
        ]
        label = _title(site)
        if named.receiver is not None:
            receiver = handle_text(named.receiver, self.options.names)
            if exported:
                args.insert(0, ("self", receiver))
            else:
                label = f"{receiver}.{printable(site.func.rpartition('.')[2])}"
        texts = [f"{printable(key)}={text}" if exported else text for key, text in args]
        kind = f"{site.edge} " if site.edge in ("export", "inner") else ""
        return f"{kind}{label}({', '.join(texts + _lost(record))})"

    def _result(self, call: LiveCall, named: NamedCall, record: Record) -> str:
        if record.get("pending"):
            return pending_text(call.site.edge, record.get("status"))
        if "cancelled" in record:
            self._namer.cancel(named, record)
            return f"cancelled {printable(record['cancelled'].replace('-', ' it '))}"
        lost = _lost(record)
        if lost:
            return lost[0]
        result = self._namer.close(named, record)
        if "result" not in record:
            return "()"
        if is_copy(call.site) and type(result) is int:
            data = self._data(call, self._namer.data(named, record))
            return copied_text(call.site.func, result, data)
        text = result_text(call.site.func, result) if call.site.edge == "builtin" else None
        if text is not None:
            return text
        # Right behind the arguments its name is made from, a new handle needs none.
        return wave(result, self._bare[call.site.item in OPTION_IN_OK])

    def _data(self, call: LiveCall, value: Any) -> str:
        """The elements of a copy, "" for none; of a future its value."""
        if value is None or value == [] or value == {"~b64": ""}:
            return ""
        if call.site.func.startswith("future.") and isinstance(value, list) and len(value) == 1:
            value = value[0]
        return wave(value, self._style(call))

    def _style(self, call: LiveCall) -> ValueStyle:
        return self._styles[call.site.item in OPTION_IN_OK]

    def _lead(self, call: LiveCall, record: Record | None) -> str:
        """Instance, time stamp and indentation."""
        tag = ""
        if self._several:
            component = printable(call.site.component)
            tag = f"[{component} {call.instance}] " if component else f"[{call.instance}] "
        task = None if record is None else record.get("task", 0)
        if self._tasks and task:
            tag += f"[task {task}] "
        return tag + self._stamp(record) + "  " * call.depth

    def _stamp(self, record: Record | None) -> str:
        if self.options.stamps == "none":
            return ""
        time: Any = None if record is None else record.get("t_ns")
        if time is None:
            return " " * 9
        if self._base is None:
            self._base = time
        since = self._base if self.options.stamps == "start" else self._last
        self._last = time
        return f"{_seconds(0 if since is None else time - since)} "

    def _meet(self, instance: int, task: int) -> None:
        self._task = self._task or task
        self._tasks = self._tasks or task not in (0, self._task)
        if self._first_instance is None:
            self._first_instance = instance
        self._several = self._several or instance != self._first_instance


def _title(site: Site) -> str:
    """Functions of WASI preview 1 are known by their names alone."""
    return printable(site.func if site.interface in MODULES else site.shown)


def _seconds(ns: int) -> str:
    """Microseconds, cut rather than rounded, so that times of one log stay in order."""
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)
    return f"{sign}{ns // 1_000_000_000}.{ns % 1_000_000_000 // 1000:06}"


def _lost(record: Record) -> list[str]:
    if record.get("bad"):
        return ["<bad pointer>"]
    return ["<too big>"] if record.get("big") else []


def _no_text(name: str, value: object) -> str | None:
    """Arguments of functions are what they look like."""
    return None


def _note(record: Record) -> str:
    """A line about what is no call; "" for what says nothing to people."""
    losses = Losses()
    if losses.feed(record):
        whose = f"instance {record['instance']}: " if "instance" in record else ""
        return f"--- {whose}{printable(losses.sentence(remedy=False))} ---\n" if losses else ""
    if record["phase"] != "report" or "count" not in record or "var" in record:
        return ""
    count, interface, func = record["count"], record.get("interface", ""), record.get("func", "")
    item = printable(f"{interface}#{func}" if interface else func)
    return f"--- {item}: {counted(count, 'call')} ---\n"
