"""The log put together by request: each with what it came to, and its calls below it.

A request is shown when it is over, or when no more records come; until then its text is kept, of a
long one the beginning and the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import field, replace
from typing import Protocol

from whamm_cm.dataclass import dataclass
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.safe import printable
from whamm_cm.render.words import brief_bytes, brief_ns
from whamm_cm.trace.names import Namer
from whamm_cm.trace.peers import Exchange, OpenExchange
from whamm_cm.trace.records import Record
from whamm_cm.trace.requests import Request
from whamm_cm.trace.traffic import Traffic

#: Lines kept of a request: the first and the last.
FIRST, LAST = 2000, 500
#: Characters kept of all requests together; what comes beyond is only counted.
MOST = 1 << 26
#: Characters of a line of the guest's that has no end yet.
_MAX_LINE = 4096


class _Text(Protocol):
    def feed(self, record: Record) -> str: ...

    def finish(self) -> str: ...


@dataclass(slots=True)
class _Kept:
    """What is to be shown of a request; ``left``: how many lines are not, ``said``: what the guest
    has begun to log, by where; ``exchanges``: calls that began those which have their place, where
    they were answered, and are written when all is known."""

    text: _Text
    first: list[str | OpenExchange] = field(default_factory=list)
    last: deque[str | OpenExchange] = field(default_factory=lambda: deque(maxlen=LAST))
    exchanges: set[int] = field(default_factory=set)
    left: int = 0
    size: int = 0
    said: dict[str, str] = field(default_factory=dict)


class ByRequest:
    """Fed as the plain log is; ``make`` makes a text of the records of one request."""

    #: Nothing is held back that a terminal should not wait for.
    holds: object = None

    def __init__(
        self, options: RenderOptions, make: Callable[[RenderOptions, Namer], _Text]
    ) -> None:
        self._options, self._make, self._namer = options, make, Namer()
        self._traffic = Traffic()
        self._kept: dict[int, _Kept] = {}
        self._size = 0
        self._outside = make(options, self._namer)
        self._options = replace(options, tags=False)

    def feed(self, record: Record) -> str:
        """What is to be shown now: the requests that are over with it."""
        traffic = self._traffic
        traffic.feed(record)
        if record["phase"] in ("request", "answer"):
            self._namer.see(record)
        elif traffic.req:
            self._of_request(traffic.req, record)
        else:
            text = self._outside.feed(record)
            if text and not self._options.slow_ns:
                return text + self._over()
        return self._over()

    def flush(self) -> str:
        return ""

    def stop(self) -> str:
        return ""

    def finish(self) -> str:
        """The rest: what never returned, too."""
        self._traffic.finish()
        text = self._over()
        rest = self._outside.finish()
        return text + ("" if self._options.slow_ns else rest)

    def _of_request(self, req: int, record: Record) -> None:
        traffic = self._traffic
        kept = self._kept.get(req)
        if kept is None and traffic.requests.open(req) is None:
            self._namer.see(record)  # it is over, and was shown
            return
        if kept is None:
            kept = self._kept[req] = _Kept(self._make(self._options, self._namer))
        logs = traffic.place is not None and traffic.place.kind == "log"
        if (logs or traffic.said is not None) and not self._options.each:
            self._namer.see(record)
        elif text := kept.text.feed(record):
            self._keep(kept, text)
        if traffic.said is not None:
            self._log(kept, *traffic.said)
        exchange = traffic.exchange
        if exchange is not None and exchange.answered and exchange.call not in kept.exchanges:
            kept.exchanges.add(exchange.call)
            self._keep(kept, exchange)

    def _log(self, kept: _Kept, where: str, text: str) -> None:
        """The lines that the guest has ended."""
        *whole, rest = (kept.said.pop(where, "") + text).split("\n")
        if len(rest) > _MAX_LINE:
            whole, rest = [*whole, rest], ""
        for line in whole:
            self._keep(kept, f"  {where}: {printable(line)}\n" if line.strip() else "")
        if rest:
            kept.said[where] = rest

    def _keep(self, kept: _Kept, text: str | OpenExchange) -> None:
        for line in text.splitlines(keepends=True) if isinstance(text, str) else (text,):
            if self._size + _size(line) > MOST:
                kept.left += 1
            elif len(kept.first) < FIRST:
                kept.first.append(line)
                kept.size += _size(line)
                self._size += _size(line)
            else:
                gone = len(kept.last) == LAST and _size(kept.last[0])
                kept.left += bool(gone)
                kept.last.append(line)
                kept.size += _size(line) - gone
                self._size += _size(line) - gone

    def _over(self) -> str:
        for exchange in self._traffic.take_exchanges():
            kept = self._kept.get(exchange.req)
            if kept is not None and exchange.call not in kept.exchanges:
                self._keep(kept, f"  {_exchange(exchange)}\n")
        return "".join(map(self._shown, self._traffic.take_requests()))

    def _shown(self, request: Request) -> str:
        kept = self._kept.pop(request.req, None)
        took = request.dur_ns
        quick = took is not None and took < self._options.slow_ns
        if kept is None:
            return "" if quick else f"{_head(request)}\n"
        self._size -= kept.size
        if quick:
            return ""
        tail = "".join(f"  {where}: {printable(text)}\n" for where, text in kept.said.items())
        tail += kept.text.finish()
        lines = [*map(_line, kept.first)]
        if kept.left:
            lines.append(f"… {kept.left} lines are left out …\n")
        lines += [*map(_line, kept.last), *tail.splitlines(keepends=True)]
        return "".join((f"{_head(request)}\n", *(f"  {line}" for line in lines)))


def _size(line: str | OpenExchange) -> int:
    return len(line) if isinstance(line, str) else 200


def _line(line: str | OpenExchange) -> str:
    return line if isinstance(line, str) else f"  {_exchange(line.frozen())}\n"


def _head(request: Request) -> str:
    """``#3 GET /x → 200 in 41.9ms``"""
    words = [f"#{request.req}", printable(request.title)]
    if request.status or request.error:
        result = [str(request.status)] if request.status else []
        result += [printable(request.error)] if request.error else []
        words += ["→", ", ".join(result)]
    if request.dur_ns is not None:
        words.append(f"in {brief_ns(request.dur_ns)}")
    about = [printable(request.peer)] if request.peer else []
    about.append(f"instance {request.instance}")
    if request.task:
        about.append(f"task {request.task}")
    return f"{' '.join(words)} ({', '.join(about)})"


def _exchange(exchange: Exchange) -> str:
    """``=> PUT https://api.test/v1 → 200 in 40.1ms, sent 5, received 8``"""
    words = ["=>", exchange.method or exchange.kind, printable(exchange.url or exchange.peer)]
    result = [str(exchange.status)] if exchange.status else []
    result += [printable(exchange.error)] if exchange.error else []
    text = " ".join((*words, "→", ", ".join(result)) if result else words)
    if exchange.dur_ns is not None:
        text += f" in {brief_ns(exchange.dur_ns)}"
    for what, count in (("sent", exchange.sent), ("received", exchange.received)):
        text += f", {what} {brief_bytes(count)}" if count else ""
    return text
