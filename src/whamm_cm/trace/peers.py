"""Whom a component talked to: requests it made, and connections, joined over their handles.

What is asked of one handle answers for another: a request goes into a future, a response comes out
of it, a body out of that, a stream out of the body.  ``Traffic`` follows the handles; here is what
the calls say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field
from typing import Any, Literal, TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.address import address_text
from whamm_cm.trace.calls import LiveCall
from whamm_cm.trace.contents import bytes_in, code_of, method_of, text_of
from whamm_cm.trace.failures import FAILURE, is_error

#: Exchanges under way that are remembered; of more, the oldest is taken for over.
MAX_OPEN = 1 << 14
#: Addresses that a UDP socket is known to talk to, at most.
_MAX_REMOTE = 256
#: How an exchange ended that had no answer: nobody waited for it, or nothing more was heard.
CANCELLED, UNFINISHED = "cancelled", "never returned"

Kind: TypeAlias = Literal["http", "tcp", "udp", "tls"]

_HTTP, _STREAMS, _SOCKETS = "wasi:http/types#", "wasi:io/streams#", "wasi:sockets/"
_TCP, _UDP, _P3 = _SOCKETS + "tcp#tcp-socket.", _SOCKETS + "udp#", _SOCKETS + "types#"
#: What begins an exchange over HTTP where it leaves the component.
SENDS = (
    *("wasi:http/outgoing-handler#handle", "wasi:http/client#send", "wasi:http/handler#handle"),
)
#: What makes a thing that may become an exchange, by kind.
MAKES: dict[str, Kind] = {
    _HTTP + "outgoing-request.new": "http",
    _HTTP + "request.new": "http",
    _SOCKETS + "tcp-create-socket#create-tcp-socket": "tcp",
    _SOCKETS + "udp-create-socket#create-udp-socket": "udp",
    _TCP + "accept": "tcp",
    _P3 + "tcp-socket.create": "tcp",
    _P3 + "udp-socket.create": "udp",
}
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request to a peer and its answer, or one connection.

    ``peer``: ``host:port``, as the guest names it.  ``error``: an error code, ``cancelled``, or
    ``never returned``; None for none.  Times are nanoseconds: ``dur_ns`` until the response began,
    or the connection was there; ``body_ns`` until the body, or the connection, had ended.  ``sent``
    and ``received`` are bytes of bodies and streams.  ``call`` is the index of the call it began
    with among the calls of the log, ``req`` the request it was made for (0: none).
    """

    peer: str
    url: str | None
    method: str | None
    status: int | None
    error: str | None
    kind: Kind
    start_ns: int | None
    dur_ns: int | None
    body_ns: int | None
    sent: int
    received: int
    call: int
    req: int

    @property
    def failed(self) -> bool:
        return self.error is not None or (self.status or 0) >= FAILURE


@dataclass(slots=True, eq=False)
class OpenExchange:
    """An exchange under way, or what may become one: ``call`` is -1 until it begins.

    ``handles``: how many handles stand for it; ``ready_ns``: when a poll said that the answer is
    there; ``remotes``: what a UDP socket talks to.
    """

    kind: Kind
    peer: str = ""
    parts: dict[str, str] = field(default_factory=dict)
    status: int | None = None
    error: str | None = None
    start_ns: int | None = None
    dur_ns: int | None = None
    body_ns: int | None = None
    sent: int = 0
    received: int = 0
    call: int = -1
    req: int = 0
    instance: int = 0
    handles: int = 0
    ready_ns: int | None = None
    answered: bool = False
    remotes: dict[str, OpenExchange] | None = None

    @property
    def begun(self) -> bool:
        return self.call >= 0

    @property
    def url(self) -> str | None:
        """As far as it is known; None of what has none."""
        if self.kind != "http":
            return None
        scheme, authority = self.parts.get("scheme", ""), self.parts.get("authority", "")
        lead = f"{scheme}://" if scheme and authority else ""
        return f"{lead}{authority}{self.parts.get('path', '/')}"

    def named(self) -> str:
        if self.kind != "http":
            return self.peer or "?"
        authority = self.parts.get("authority", "").rpartition("@")[2]
        port = _PORTS.get(self.parts.get("scheme", ""))
        has_port = authority.rpartition(":")[2].isdigit() and not authority.endswith("]")
        return authority if has_port or not authority or port is None else f"{authority}:{port}"

    def frozen(self) -> Exchange:
        """What is known of it now."""
        method = self.parts.get("method", "GET") if self.kind == "http" else None
        return Exchange(
            self.named() or "?", self.url, method, self.status, self.error, self.kind,
            self.start_ns, self.dur_ns, self.body_ns, self.sent, self.received, self.call, self.req,
        )  # fmt: skip


class Peers:
    """Told by ``Traffic`` what calls say of an exchange; ``over`` collects those that have ended,
    for the owner to take."""

    def __init__(self) -> None:
        self.over: list[Exchange] = []
        #: Those that have begun, in that order.
        self._open: dict[OpenExchange, None] = {}
        self._by_req: dict[int, dict[OpenExchange, None]] = {}
        #: Names that addresses were found by, of each instance.
        self._hosts: dict[tuple[int, str], str] = {}

    def under_way(self) -> tuple[OpenExchange, ...]:
        return tuple(self._open)

    def begin(self, exchange: OpenExchange, call: LiveCall) -> None:
        """It leaves the component with this call."""
        if exchange.begun:
            return
        if len(self._open) >= MAX_OPEN:
            self.end(next(iter(self._open)))
        exchange.call, exchange.req, exchange.instance = call.index, call.req, call.instance
        exchange.start_ns = call.start_ns
        self._open[exchange] = None
        self._by_req.setdefault(call.req, {})[exchange] = None

    def end(self, exchange: OpenExchange, why: str = CANCELLED) -> None:
        """Nothing more comes of it; ``why``: what its error is if it had no answer."""
        if exchange not in self._open:
            return
        del self._open[exchange]
        same = self._by_req[exchange.req]
        del same[exchange]
        if not same:
            del self._by_req[exchange.req]
        if exchange.remotes:
            self.over.extend(each.frozen() for each in exchange.remotes.values())
            return
        if not exchange.answered and exchange.error is None and exchange.kind != "udp":
            exchange.error = why
        self.over.append(exchange.frozen())

    def request_over(self, req: int, why: str) -> None:
        """The request is over that these were made for."""
        if req:
            for exchange in [*self._by_req.get(req, ())]:
                self.end(exchange, why)

    def finish(self) -> None:
        for exchange in self.under_way():
            self.end(exchange, UNFINISHED)

    # --- what calls say ---------------------------------------------------------------------------

    def called(self, exchange: OpenExchange, call: LiveCall) -> None:
        """A call on one of its handles begins."""
        item, args = call.site.item, call.args
        if item in SENDS and call.site.edge == "import":
            self.begin(exchange, call)
        elif item in (_TCP + "start-connect", _P3 + "tcp-socket.connect"):
            exchange.peer = self._address(call, args.get("remote-address")) or exchange.peer
            self.begin(exchange, call)
        elif call.site.interface.startswith("wasi:tls/") and exchange.kind == "tcp":
            exchange.kind = "tls"

    def returned(self, exchange: OpenExchange, call: LiveCall) -> None:
        """A call on one of its handles has returned."""
        does = _SAYS.get(call.site.item)
        if does is not None:
            does(self, exchange, call)

    def copied(self, exchange: OpenExchange, call: LiveCall, is_bytes: bool) -> None:
        """A read or write of a stream of WASI 0.3 is over."""
        packed = call.result
        if type(packed) is not int or not call.site.func.startswith("stream."):
            return
        count = packed >> 4 if is_bytes else 0
        if call.site.func == "stream.write":
            exchange.sent += count
        else:
            exchange.received += count
            if packed & 15:
                exchange.body_ns = _since(exchange, call, ends=True)

    def ready(self, exchange: OpenExchange, call: LiveCall) -> None:
        """A poll says that there is something."""
        if exchange.begun and not exchange.answered and exchange.ready_ns is None:
            exchange.ready_ns = _since(exchange, call, ends=True)

    def resolved(self, call: LiveCall, name: str | None) -> None:
        """A look-up of a name has answered."""
        for found in _addresses(call.result):
            if name is not None:
                if len(self._hosts) >= MAX_OPEN:
                    del self._hosts[next(iter(self._hosts))]
                self._hosts[call.instance, found] = name

    def _address(self, call: LiveCall, value: Any) -> str | None:
        text = address_text(value)
        if text is None:
            return None
        host, _, port = text.rpartition(":")
        name = self._hosts.get((call.instance, host.strip("[]")))
        return text if name is None else f"{name}:{port}"

    # --- HTTP -------------------------------------------------------------------------------------

    def _part(self, exchange: OpenExchange, call: LiveCall) -> None:
        part = call.site.func.rpartition(".set-")[2].partition("-")[0]
        if is_error(call.result) or exchange.begun:
            return
        value = next(iter(call.args.values()), None)
        text = method_of(value) if part == "method" else text_of(value)
        if text is None:
            exchange.parts.pop(part, None)
        else:
            exchange.parts[part] = text.lower() if part == "scheme" else text

    def _sent(self, exchange: OpenExchange, call: LiveCall) -> None:
        """``handle`` of 0.2 has a future, ``send`` of 0.3 the response."""
        if is_error(call.result):
            self._answer(exchange, call.dur_ns, code_of(call.result))
        elif call.site.item != SENDS[0] and "cancelled" not in (call.closed or ()):
            self._answer(exchange, call.dur_ns)

    def _got(self, exchange: OpenExchange, call: LiveCall) -> None:
        if call.result is None:
            exchange.ready_ns = None
            return
        took = _since(exchange, call)
        if exchange.ready_ns is not None:
            took = exchange.ready_ns
        self._answer(exchange, took, code_of(call.result) if is_error(call.result) else None)

    def _answer(self, exchange: OpenExchange, dur_ns: int | None, error: str | None = None) -> None:
        if not exchange.answered:
            exchange.answered, exchange.dur_ns, exchange.error = True, dur_ns, error

    def _status(self, exchange: OpenExchange, call: LiveCall) -> None:
        if type(call.result) is int:
            exchange.status = call.result

    # --- streams ----------------------------------------------------------------------------------

    def _read(self, exchange: OpenExchange, call: LiveCall) -> None:
        result = call.result
        if isinstance(result, dict) and "ok" in result:
            ok = result["ok"]
            exchange.received += ok if type(ok) is int else bytes_in(ok)
        else:
            self._failed(exchange, call)

    def _written(self, exchange: OpenExchange, call: LiveCall) -> None:
        if is_error(call.result):
            self._failed(exchange, call)
            return
        count = call.args.get("len")
        exchange.sent += count if type(count) is int else bytes_in(call.args.get("contents"))

    def spliced(self, call: LiveCall, into: object, source: object) -> None:
        result = call.result
        count = result.get("ok") if isinstance(result, dict) else None
        if type(count) is int:
            if isinstance(into, OpenExchange):
                into.sent += count
            if isinstance(source, OpenExchange):
                source.received += count

    def _failed(self, exchange: OpenExchange, call: LiveCall) -> None:
        code = code_of(call.result)
        if code != "closed" and exchange.error is None:
            exchange.error = code
        if "input-stream" in call.site.func:
            exchange.body_ns = _since(exchange, call, ends=True)

    # --- sockets ----------------------------------------------------------------------------------

    def _connected(self, exchange: OpenExchange, call: LiveCall) -> None:
        if not is_error(call.result):
            self._answer(exchange, _since(exchange, call, ends=True))
        elif (code := code_of(call.result)) != "would-block":
            self._answer(exchange, _since(exchange, call, ends=True), code)

    def _accepted(self, exchange: OpenExchange, call: LiveCall) -> None:
        if not is_error(call.result):
            self.begin(exchange, call)
            exchange.answered, exchange.peer = True, exchange.peer or "accepted"

    def _remote(self, exchange: OpenExchange, call: LiveCall) -> None:
        result = call.result
        value = result.get("ok", result) if isinstance(result, dict) else result
        exchange.peer = self._address(call, value) or exchange.peer

    def _streamed(self, exchange: OpenExchange, call: LiveCall) -> None:
        exchange.peer = self._address(call, call.args.get("remote-address")) or exchange.peer

    def _datagrams(self, exchange: OpenExchange, call: LiveCall) -> None:
        """UDP: who it is to or from is said with the stream, or with each datagram."""
        args, result = call.args, call.result
        if is_error(result) or not isinstance(result, dict):
            return
        sending = call.site.func.endswith(".send")
        ok = result.get("ok")
        if "datagrams" in args:
            items = _items(args["datagrams"])[: ok if type(ok) is int else 0]
        elif sending:  # of 0.3, one at a time
            items = [args]
        else:
            items = _received(ok)
        for item in items:
            if isinstance(item, dict):
                self._datagram(exchange, call, item, sending)

    def _datagram(
        self, socket: OpenExchange, call: LiveCall, item: dict[str, Any], sending: bool
    ) -> None:
        self.begin(socket, call)
        remote = self._address(call, item.get("remote-address")) or socket.peer
        remotes = socket.remotes = {} if socket.remotes is None else socket.remotes
        if remote not in remotes:
            if len(remotes) >= _MAX_REMOTE:
                self.over.append(remotes.pop(next(iter(remotes))).frozen())
            remotes[remote] = OpenExchange("udp", remote)
            remotes[remote].call, remotes[remote].req = call.index, call.req
            remotes[remote].start_ns = call.start_ns
        if sending:
            remotes[remote].sent += bytes_in(item.get("data"))
        else:
            remotes[remote].received += bytes_in(item.get("data"))


def _since(exchange: OpenExchange, call: LiveCall, ends: bool = False) -> int | None:
    """From the exchange's beginning until the call, or its end."""
    if exchange.start_ns is None or call.start_ns is None:
        return None
    return max(0, call.start_ns + (call.dur_ns or 0 if ends else 0) - exchange.start_ns)


def _items(value: Any) -> list[Any]:
    found = value.get("~list") if isinstance(value, dict) else value
    return found if isinstance(found, list) else []


def _received(ok: Any) -> list[Any]:
    """Of 0.3 one datagram, of 0.2 a list of them."""
    if isinstance(ok, list) and len(ok) == 2 and address_text(ok[1]) is not None:
        return [{"data": ok[0], "remote-address": ok[1]}]
    return _items(ok)


def _addresses(result: Any) -> Iterable[str]:
    while isinstance(result, dict) and len(result) == 1 and not {"ipv4", "ipv6"} & result.keys():
        (result,) = result.values()
    for value in result if isinstance(result, list) else (result,):
        text = address_text(value)
        if text is not None:
            yield text


_Says: TypeAlias = Callable[[Peers, OpenExchange, LiveCall], None]

#: What the return of a call says, by function.
_SAYS: dict[str, _Says] = {
    **{
        f"{_HTTP}{resource}.set-{part}": Peers._part
        for resource in ("outgoing-request", "request")
        for part in ("method", "path-with-query", "scheme", "authority")
    },
    **dict.fromkeys(SENDS, Peers._sent),
    _HTTP + "future-incoming-response.get": Peers._got,
    _HTTP + "incoming-response.status": Peers._status,
    _HTTP + "response.get-status-code": Peers._status,
    **{
        f"{_STREAMS}input-stream.{func}": Peers._read
        for func in ("read", "blocking-read", "skip", "blocking-skip")
    },
    **{
        f"{_STREAMS}output-stream.{func}": Peers._written
        for func in (
            *("write", "blocking-write-and-flush", "write-zeroes"),
            "blocking-write-zeroes-and-flush",
        )
    },
    _TCP + "finish-connect": Peers._connected,
    _P3 + "tcp-socket.connect": Peers._connected,
    _TCP + "accept": Peers._accepted,
    _TCP + "remote-address": Peers._remote,
    _P3 + "tcp-socket.get-remote-address": Peers._remote,
    _UDP + "udp-socket.stream": Peers._streamed,
    _UDP + "outgoing-datagram-stream.send": Peers._datagrams,
    _UDP + "incoming-datagram-stream.receive": Peers._datagrams,
    _P3 + "udp-socket.send": Peers._datagrams,
    _P3 + "udp-socket.receive": Peers._datagrams,
}
