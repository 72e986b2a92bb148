"""Calls, the requests they are part of and the peers they talk to, from one stream of records.

The one place that follows handles: what the summary by peer, the live views, ``top`` and spans
know of requests and exchanges comes from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.calls import BETWEEN, LiveCall, Outcome, Tracker
from whamm_cm.trace.contents import logged, plain_text
from whamm_cm.trace.ends import KINDS
from whamm_cm.trace.names import HandleRef, NamedCall, Namer
from whamm_cm.trace.peers import MAKES, UNFINISHED, Exchange, OpenExchange, Peers
from whamm_cm.trace.records import Record
from whamm_cm.trace.requests import HANDLERS, OpenRequest, Reply, Request, Requests, status_set

#: Handles followed at most; beyond it the oldest are forgotten.
MAX_HANDLES = 1 << 16
#: Interfaces whose handles are followed, and built-ins about ends of streams.
_FOLLOWED = (
    *("wasi:http/", "wasi:io/", "wasi:sockets/", "wasi:tls/", "wasi:cli/std", "wasi:logging/"),
)
_ENDS = ("stream.", "future.")
#: Those of places, and the resources that are places, with their kind.
_PLACES = ("wasi:filesystem/", "wasi:keyvalue/", "wasi:blobstore/", "wasmcloud:")
_LOG = "wasi:logging/logging#log"
_STANDARD = {
    "wasi:cli/stderr#get-stderr": "stderr",
    "wasi:cli/stdout#get-stdout": "stdout",
    "wasi:cli/stderr#write-via-stream": "stderr",
    "wasi:cli/stdout#write-via-stream": "stdout",
}
_KINDS = {"descriptor": "path", "bucket": "bucket", "container": "bucket"}

_HTTP, _NAMES = "wasi:http/types#", "wasi:sockets/ip-name-lookup#"
_REPLIES = (_HTTP + "outgoing-response.new", _HTTP + "response.new")
_OUTPARAM = _HTTP + "response-outparam.set"
_ANSWER = _HTTP + "future-incoming-response.subscribe"
_ACCEPT = "wasi:sockets/tcp#tcp-socket.accept"
_POLL, _BLOCK = "wasi:io/poll#poll", "wasi:io/poll#pollable.block"
_SPLICES = ("output-stream.splice", "output-stream.blocking-splice")

_Place = tuple[int, str, int]


@dataclass(slots=True, eq=False)
class _Frame:
    """An open call: its handles, and what the first of them stands for.  ``given``: what those in
    its arguments do, in order; ``back``: what those do that a component inside returned."""

    named: NamedCall
    subject: object = None
    given: list[object] | None = None
    back: list[object] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Wait:
    """A pollable that is ready when there is an answer."""

    exchange: OpenExchange


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """What a component works on that is no peer: ``kind`` is ``path``, ``bucket``, or ``log`` for
    its standard output and error."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class _Lookup:
    """A name that is being looked up."""

    name: str


class Traffic:
    """Feed it every record in order.  Memory is bounded by what is open, and that by constants.

    ``requests.over`` and ``peers.over`` fill with what has ended; :meth:`take_requests` and
    :meth:`take_exchanges` empty them.  ``places``: follow files, buckets and containers, too.
    ``lazy``: follow nothing before the first thing that may become an exchange, of which all else
    is known then, but not what the guest asks of its requests, or logs; costs a fifth until then.
    """

    def __init__(self, places: bool = False, lazy: bool = False) -> None:
        self.tracker = Tracker()
        self.requests, self.peers = Requests(), Peers()
        #: The request that the last record belongs to, 0 for none.
        self.req = 0
        #: What the last record is about, if that is an exchange.
        self.exchange: OpenExchange | None = None
        #: What it is about, if that is a place.
        self.place: Place | None = None
        #: What the guest logs with it: the level, or ``stderr`` or ``stdout``, and a piece of text.
        self.said: tuple[str, str] | None = None
        self._interfaces = _FOLLOWED + _PLACES * places
        self._waits = lazy
        self._namer = Namer()
        self._frames: dict[int, _Frame] = {}
        self._subjects: dict[_Place, object] = {}
        self._followed: dict[str, bool] = {}

    def feed(self, record: Record) -> LiveCall | None:
        """The call that the record belongs to, also of phases between; as of ``Tracker.feed`` for
        calls and returns."""
        phase = record["phase"]
        self.exchange = self.place = self.said = None
        if not self._waits:
            self._namer.see(record)
        if phase == "call" or phase == "return":
            call = self.tracker.feed(record)
            if call is None:
                return None
            self.req = call.req
            if phase == "call":
                self._called(call, record)
            else:
                self._returned(call, record)
            while self.tracker.given_up:
                self._frames.pop(self.tracker.given_up.pop().index, None)
            return call
        self.req = record.get("req", 0)
        if phase in BETWEEN:
            return self._between(record)
        if phase in ("request", "answer"):
            self._told(record)
        elif phase == "handle":
            self._end_made(record)
        return None

    def named(self, call: LiveCall) -> NamedCall | None:
        """A call under way with the names of its handles, if these are followed."""
        frame = self._frames.get(call.index)
        return None if frame is None else frame.named

    def take_requests(self) -> list[Request]:
        """Those that have ended since this was last asked, in the order they did."""
        found, self.requests.over = self.requests.over, []
        return found

    def take_exchanges(self) -> list[Exchange]:
        """The same of exchanges."""
        found, self.peers.over = self.peers.over, []
        return found

    def drop(self) -> None:
        """Nobody takes what has ended."""
        self.requests.over.clear()
        self.peers.over.clear()

    def finish(self) -> None:
        """No more records come."""
        self.peers.finish()
        self.requests.finish()
        self._frames.clear()

    # --- records ----------------------------------------------------------------------------------

    def _told(self, record: Record) -> None:
        self.tracker.requests = max(self.tracker.requests, record["req"])
        self.requests.told(record)
        if record["phase"] == "answer":
            self.peers.request_over(record["req"], UNFINISHED)

    def _between(self, record: Record) -> LiveCall | None:
        call = self.tracker.about(record)
        self.tracker.feed(record)
        if call is None:
            return None
        self.req = call.req
        if record["phase"] == "exit" and call.parent is None:
            self.requests.exited(call, record.get("dur_ns"))
            self._over(call.req)
        return call

    def _over(self, req: int) -> None:
        if self.requests.open(req) is None:
            self.peers.request_over(req, UNFINISHED)

    def _end_made(self, record: Record) -> None:
        """The ends of a stream or future were made, or one was dropped."""
        call = self.tracker.beside(record)
        self.req = record.get("req") or (0 if call.parent is None else call.parent.req)
        named = self._namer.handle(record)
        if named.end is not None and record["func"].partition(".")[2].startswith("drop-"):
            self._drop_end(named)

    def _drop_end(self, named: NamedCall) -> None:
        end = named.end
        if end is not None and isinstance(end.subject, OpenExchange):
            exchange, end.subject = end.subject, None
            self._released(exchange)
            self._close(exchange)

    def _called(self, call: LiveCall, record: Record) -> None:
        site = call.site
        is_root = call.parent is None and site.edge == "export" and call.req > 0
        request = self.requests.began(call) if is_root else None
        if self._waits and site.item not in MAKES:
            return
        self._waits = False
        if call.outcome is Outcome.RETURNED or not self._follows(site.item, site.interface):
            return
        named = self._namer.open(record)
        frame = self._frames[call.index] = _Frame(named)
        if request is not None:
            if site.item in HANDLERS:
                self._put(call.instance, named.args.get("request"), request)
            return
        if call.is_callee:
            self._crosses(call, frame)
        frame.subject = self._subject(call, named)
        if site.edge == "inner":
            frame.given = [self._find(call.instance, ref) for ref in _arguments(named)]
        self._logs(call, frame)
        if isinstance(frame.subject, OpenExchange):
            self.peers.called(frame.subject, call)
            self.exchange = frame.subject if frame.subject.begun else None
        elif site.item in ("wasi:http/client#send", HANDLERS[1]) and site.edge == "import":
            frame.subject = self._passed_on(frame.subject, call)
        self._taken(call, named)

    def _logs(self, call: LiveCall, frame: _Frame) -> None:
        """Whether the guest logs something."""
        item = call.site.item
        if isinstance(frame.subject, Place):
            self.place = frame.subject
            text = plain_text(call.args.get("contents"))
            if frame.subject.kind == "log" and text:
                self.said = frame.subject.name, text
        elif item == _LOG:
            self.said = logged(call.args)
        elif item in _STANDARD:
            self._stays(frame.named, Place("log", _STANDARD[item]))

    def _returned(self, call: LiveCall, record: Record) -> None:
        frame = self._frames.get(call.index)
        if record.get("pending"):
            self.exchange = _begun(frame)
            return
        self._frames.pop(call.index, None)
        if call.opened is None and call.site.edge == "export" and call.req:
            self.requests.began(call)  # its call record was lost
        request = self.requests.open(call.req)
        is_root = request is not None and request.call == call.index
        if frame is not None:
            self._settle(call, record, frame, is_root)
        if is_root:
            self.requests.returned(call, None if frame is None else frame.subject)
            self._over(call.req)

    def _settle(self, call: LiveCall, record: Record, frame: _Frame, is_root: bool) -> None:
        named = frame.named
        if "cancelled" in record:
            self._namer.cancel(named, record)
            result: Any = None
        else:
            result = self._namer.close(named, record)
        refs = [*_refs(result)]
        if is_root:
            frame.subject = next((self._find(call.instance, ref) for ref in refs), None)
            for ref in refs:
                self._remove(call.instance, ref)
            return
        subject, made = frame.subject, self._made(call, frame)
        if isinstance(subject, Place):
            self.place = subject
            text = plain_text(record.get("data"))
            if subject.kind == "log" and text:
                self.said = subject.name, text
        if refs:
            self._begin(call, record, refs, made, frame)
        self._says(call, named, subject, made)
        for one in (subject, made):
            if isinstance(one, OpenExchange):
                self.exchange = one if one.begun else self.exchange
                self._close(one)

    def _made(self, call: LiveCall, frame: _Frame) -> object:
        """What the handles in the result stand for."""
        item = call.site.item
        if item in MAKES:
            made = OpenExchange(MAKES[item])
            if item.endswith(".new"):
                self._stays(frame.named, made)
            return made
        if item in _REPLIES:
            reply = Reply(200)
            self._stays(frame.named, reply)
            return reply
        if item in _STANDARD:
            return Place("log", _STANDARD[item])
        if item == _NAMES + "resolve-addresses":
            name = call.args.get("name")
            return _Lookup(name) if isinstance(name, str) else None
        if call.site.func.endswith(".subscribe"):
            waited = frame.subject if item == _ANSWER else None
            return _Wait(waited) if isinstance(waited, OpenExchange) else None
        return frame.subject

    def _says(self, call: LiveCall, named: NamedCall, subject: object, made: object) -> None:
        """What the call has to say of what it is about."""
        item = call.site.item
        if item == _OUTPARAM:
            self.requests.answered(call, subject)
        elif item in (_POLL, _BLOCK):
            self._polled(call, named)
        elif call.site.func in _SPLICES:
            self.peers.spliced(call, subject, self._find(call.instance, named.args.get("src")))
        elif item == _ACCEPT:
            if isinstance(made, OpenExchange):
                self.peers.returned(made, call)
        elif isinstance(subject, Reply):
            subject.status = status_set(item, call.args) or subject.status
        elif isinstance(subject, OpenRequest):
            self.requests.asked(subject, item, call.result)
            self.requests.fields(subject, call)
        elif isinstance(subject, OpenExchange):
            if named.end is not None:
                self.peers.copied(subject, call, named.end.is_bytes)
            else:
                self.peers.returned(subject, call)
        elif isinstance(made, _Lookup):
            self.peers.resolved(call, made.name)

    # --- handles ----------------------------------------------------------------------------------

    def _follows(self, item: str, interface: str) -> bool:
        found = self._followed.get(item)
        if found is None:
            if len(self._followed) >= MAX_HANDLES:
                self._followed.clear()
            found = interface.startswith(self._interfaces)
            found = found or (not interface and item.startswith(_ENDS))
            self._followed[item] = found
        return found

    def _find(self, instance: int, ref: object) -> object:
        if not isinstance(ref, HandleRef):
            return None
        return self._subjects.get((instance, ref.resource, ref.handle))

    def _put(self, instance: int, ref: object, subject: object) -> None:
        if not isinstance(ref, HandleRef) or ref.rep:
            return
        self._remove(instance, ref)
        if subject is None:
            return
        if len(self._subjects) >= MAX_HANDLES:
            self._dropped(self._subjects.pop(next(iter(self._subjects))))
        self._subjects[instance, ref.resource, ref.handle] = subject
        if isinstance(subject, OpenExchange):
            subject.handles += 1

    def _remove(self, instance: int, ref: HandleRef) -> None:
        self._dropped(self._subjects.pop((instance, ref.resource, ref.handle), None))

    def _dropped(self, subject: object) -> None:
        if isinstance(subject, OpenExchange):
            self._released(subject)

    def _released(self, exchange: OpenExchange) -> None:
        exchange.handles = max(0, exchange.handles - 1)

    def _close(self, exchange: OpenExchange) -> None:
        if exchange.begun and not exchange.handles:
            self.peers.end(exchange)

    def _subject(self, call: LiveCall, named: NamedCall) -> object:
        """What the call is about: what its receiver, or else its first argument with one, is."""
        if named.end is not None:
            return named.end.subject
        found = self._find(call.instance, named.receiver)
        if found is not None or call.site.item == _POLL:
            return found
        subjects = (self._find(call.instance, ref) for ref in _arguments(named))
        return next((each for each in subjects if each is not None), None)

    def _taken(self, call: LiveCall, named: NamedCall) -> None:
        """Handles that are handed over stand for nothing any more."""
        for ref in (named.receiver, *_arguments(named)):
            if isinstance(ref, HandleRef) and not self._namer.is_alive(call.instance, ref):
                self._remove(call.instance, ref)

    def _stays(self, named: NamedCall, made: object) -> None:
        """Of streams that are handed over with a new message, the other end stays."""
        for _, end in named.passed:
            if end.peer is not None:
                end.peer.subject = made
                if isinstance(made, OpenExchange):
                    made.handles += 1

    def _begin(
        self,
        call: LiveCall,
        record: Record,
        refs: list[HandleRef],
        made: object,
        frame: _Frame,
    ) -> None:
        """The handles of a result stand for what was made, or for what came from a callee."""
        back = frame.back if frame.back is not None and len(frame.back) == len(refs) else None
        subjects = [made] * len(refs) if back is None else back
        for ref, subject in zip(refs, subjects, strict=True):
            if ref.resource in _KINDS and ref.name:
                place = Place(_KINDS[ref.resource], ref.name.strip('"'))
                self._put(call.instance, ref, place)
            elif ref.resource not in KINDS:
                self._put(call.instance, ref, subject)
            elif (end := self._namer.end_at(record, ref.handle)) is not None:
                end.subject = subject
                if isinstance(subject, OpenExchange):
                    subject.handles += 1
        caller = call.parent
        if caller is not None and call.is_callee and caller.index in self._frames:
            self._frames[caller.index].back = subjects

    def _crosses(self, call: LiveCall, frame: _Frame) -> None:
        """What the caller has passed to another component is the same there."""
        caller = call.parent
        above = None if caller is None else self._frames.get(caller.index)
        refs = [*_arguments(frame.named)]
        if above is not None and above.given is not None and len(above.given) == len(refs):
            for ref, subject in zip(refs, above.given, strict=True):
                self._put(call.instance, ref, subject)

    def _passed_on(self, subject: object, call: LiveCall) -> object:
        """A request that came is sent on as it is."""
        if not isinstance(subject, OpenRequest):
            return subject
        exchange = OpenExchange("http", parts=_parts(subject))
        self.peers.begin(exchange, call)
        self.exchange = exchange
        return exchange

    def _polled(self, call: LiveCall, named: NamedCall) -> None:
        if call.site.item == _BLOCK:
            ready: list[object] = [named.receiver]
        else:
            listed = named.args.get("in")
            handles = listed.get("~list") if isinstance(listed, dict) else listed
            result = call.result
            numbers = result.get("~list") if isinstance(result, dict) else result
            if not isinstance(handles, list) or not isinstance(numbers, list):
                return
            ready = [handles[n] for n in numbers if type(n) is int and n < len(handles)]
        for ref in ready:
            subject = self._find(call.instance, ref)
            if isinstance(subject, _Wait):
                self.peers.ready(subject.exchange, call)


def _begun(frame: _Frame | None) -> OpenExchange | None:
    subject = None if frame is None else frame.subject
    return subject if isinstance(subject, OpenExchange) and subject.begun else None


def _parts(request: OpenRequest) -> dict[str, str]:
    return {
        part: request.known[part]
        for part in ("method", "path", "scheme", "authority")
        if part in request.known
    }


def _arguments(named: NamedCall) -> Iterator[HandleRef]:
    for value in named.args.values():
        yield from _refs(value)


def _refs(value: object) -> Iterator[HandleRef]:
    """The handles in a value, in order."""
    if isinstance(value, HandleRef):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _refs(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _refs(item)
