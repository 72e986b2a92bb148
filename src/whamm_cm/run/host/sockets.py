"""``wasi:sockets``, for guests that were given the network."""

from __future__ import annotations

import errno
import functools
import ipaddress
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from whamm_cm.run.host.bridge import Failure, Interface, Resource
from whamm_cm.run.host.streams import CHUNK, InputStream, IoError, OutputStream, closed, failed
from whamm_cm.run.host.world import Pollable, World, at_once, readable, writable

NETWORK, INSTANCE = Interface("wasi:sockets/network"), Interface("wasi:sockets/instance-network")
NAMES, TCP = Interface("wasi:sockets/ip-name-lookup"), Interface("wasi:sockets/tcp")
NEW_TCP = Interface("wasi:sockets/tcp-create-socket")
UDP, NEW_UDP = Interface("wasi:sockets/udp"), Interface("wasi:sockets/udp-create-socket")
ALL = (NETWORK, INSTANCE, NAMES, TCP, NEW_TCP, UDP, NEW_UDP)

F = TypeVar("F", bound=Callable[..., Any])

_CODES = {
    errno.EACCES: "access-denied", errno.EPERM: "access-denied",
    errno.EOPNOTSUPP: "not-supported", errno.EINVAL: "invalid-argument",
    errno.EAFNOSUPPORT: "not-supported", errno.ENOMEM: "out-of-memory",
    errno.ETIMEDOUT: "timeout", errno.EAGAIN: "would-block", errno.EMFILE: "new-socket-limit",
    errno.ENFILE: "new-socket-limit", errno.EADDRNOTAVAIL: "address-not-bindable",
    errno.EADDRINUSE: "address-in-use", errno.EHOSTUNREACH: "remote-unreachable",
    errno.ENETUNREACH: "remote-unreachable", errno.ENETDOWN: "remote-unreachable",
    errno.ECONNREFUSED: "connection-refused", errno.ECONNRESET: "connection-reset",
    errno.EPIPE: "connection-reset", errno.ECONNABORTED: "connection-aborted",
    errno.EMSGSIZE: "datagram-too-large", errno.ENOTCONN: "invalid-state",
}  # fmt: skip
_FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
_MOST_DATAGRAMS = 16
_DATAGRAM = 1 << 16
#: Seconds in which the other side may take what a dropped stream had left.
_LAST_WORDS = 5.0


class Network(Resource):
    """The right to use it."""


class Socket(Resource):
    """``state``: what was started and not finished, or ``""``."""

    def __init__(self, family: str, made: socket.socket) -> None:
        self.family, self.socket = family, made
        made.setblocking(False)
        self.state = ""
        self.backlog = 128
        self.listening = self.connected = False

    def dropped(self) -> None:
        self.socket.close()

    def begin(self, state: str) -> None:
        if self.state:
            raise Failure("concurrency-conflict")
        self.state = state

    def finish(self, state: str) -> None:
        if self.state != state:
            raise Failure("not-in-progress")
        self.state = ""

    def pollable(self) -> Pollable:
        made = self.socket
        if self.state == "connect":
            return Pollable(lambda: writable(made), writing=made)
        if self.listening:
            return Pollable(lambda: readable(made), reading=made)
        return at_once()


class TcpSocket(Socket):
    """Streams keep the connection open when the socket was dropped."""

    def dropped(self) -> None:
        if not self.connected:
            self.socket.close()


class UdpSocket(Socket):
    """``remote``: the only address it exchanges datagrams with."""

    remote: Any = None


class Datagrams(Resource):
    def __init__(self, udp: UdpSocket) -> None:
        self.udp = udp


class IncomingDatagrams(Datagrams):
    def pollable(self) -> Pollable:
        made = self.udp.socket
        return Pollable(lambda: readable(made), reading=made)


class OutgoingDatagrams(Datagrams):
    def pollable(self) -> Pollable:
        made = self.udp.socket
        return Pollable(lambda: writable(made), writing=made)


class Addresses(Resource):
    """Looked up on a thread of its own."""

    def __init__(self) -> None:
        self.found: list[Any] | Failure | None = None


NETWORK.resource("network", Network)
TCP.resource("tcp-socket", TcpSocket)
UDP.resource("udp-socket", UdpSocket)
UDP.resource("incoming-datagram-stream", IncomingDatagrams)
UDP.resource("outgoing-datagram-stream", OutgoingDatagrams)
NAMES.resource("resolve-address-stream", Addresses)


def _code(error: OSError) -> str:
    return _CODES.get(error.errno or 0, "unknown")


def _provide(interface: Interface, *names: str) -> Callable[[F], F]:
    """A function, under several names, whose errors of the system are error codes."""

    def provided(function: F) -> F:
        @functools.wraps(function)
        def called(world: World, *values: Any) -> Any:
            try:
                return function(world, *values)
            except OSError as error:
                raise Failure(_code(error)) from None
            except (OverflowError, UnicodeError):
                raise Failure("invalid-argument") from None

        for name in names:
            interface.func(name)(called)
        return function

    return provided


def _tcp(name: str) -> Callable[[F], F]:
    return _provide(TCP, f"[method]tcp-socket.{name}")


def _udp(name: str) -> Callable[[F], F]:
    return _provide(UDP, f"[method]udp-socket.{name}")


# --- addresses ------------------------------------------------------------------------------------


def _address(given: dict[str, Any]) -> Any:
    ((family, parts),) = given.items()
    if family == "ipv4":
        return ".".join(map(str, parts["address"])), parts["port"]
    text = str(
        ipaddress.IPv6Address(b"".join(word.to_bytes(2, "big") for word in parts["address"]))
    )
    return text, parts["port"], parts["flow-info"], parts["scope-id"]


def _ip(text: str) -> dict[str, list[int]]:
    found = ipaddress.ip_address(text.partition("%")[0])
    raw = found.packed
    if found.version == 4:
        return {"ipv4": list(raw)}
    return {"ipv6": [int.from_bytes(raw[i : i + 2], "big") for i in range(0, 16, 2)]}


def _told(address: Any) -> dict[str, Any]:
    ((family, parts),) = _ip(address[0]).items()
    found: dict[str, Any] = {"port": address[1], "address": parts}
    if family == "ipv6":
        found |= {"flow-info": address[2], "scope-id": address[3]}
    return {family: found}


@NETWORK.func("network-error-code")
def _error_code(world: World, error: IoError) -> str | None:
    return error.code if isinstance(error.code, str) else None


@INSTANCE.func("instance-network")
def _network(world: World) -> Network:
    return Network()


@_provide(NAMES, "resolve-addresses")
def _resolve(world: World, network: Network, name: str) -> Addresses:
    _allowed(world)
    found = Addresses()
    if not name or "\0" in name:
        raise Failure("invalid-argument")

    def look() -> None:
        try:
            infos = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
            found.found = [_ip(str(info[4][0])) for info in infos]
        except (socket.gaierror, UnicodeError):
            found.found = Failure("name-unresolvable")
        world.ring()

    threading.Thread(target=look, daemon=True).start()
    return found


@_provide(NAMES, "[method]resolve-address-stream.resolve-next-address")
def _next_address(world: World, addresses: Addresses) -> Any:
    if addresses.found is None:
        raise Failure("would-block")
    if isinstance(addresses.found, Failure):
        raise addresses.found
    return addresses.found.pop(0) if addresses.found else None


@NAMES.func("[method]resolve-address-stream.subscribe")
def _subscribe_addresses(world: World, addresses: Addresses) -> Pollable:
    return Pollable(lambda: addresses.found is not None)


def _allowed(world: World) -> None:
    if not world.settings.options.inherit_network:
        raise Failure("access-denied")


# --- both kinds -----------------------------------------------------------------------------------


@_provide(NEW_TCP, "create-tcp-socket")
def _new_tcp(world: World, family: str) -> TcpSocket:
    _allowed(world)
    return TcpSocket(family, socket.socket(_FAMILIES[family], socket.SOCK_STREAM))


@_provide(NEW_UDP, "create-udp-socket")
def _new_udp(world: World, family: str) -> UdpSocket:
    _allowed(world)
    return UdpSocket(family, socket.socket(_FAMILIES[family], socket.SOCK_DGRAM))


@_tcp("start-bind")
@_udp("start-bind")
def _start_bind(world: World, one: Socket, network: Network, address: dict[str, Any]) -> None:
    _allowed(world)
    if one.family not in address:
        raise Failure("invalid-argument")
    one.begin("bind")
    try:
        if isinstance(one, TcpSocket):
            one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.socket.bind(_address(address))
    except OSError:
        one.state = ""
        raise


@_tcp("finish-bind")
@_udp("finish-bind")
def _finish_bind(world: World, one: Socket) -> None:
    one.finish("bind")


@_tcp("local-address")
@_udp("local-address")
def _local(world: World, one: Socket) -> dict[str, Any]:
    found = one.socket.getsockname()
    if not found[1]:
        raise Failure("invalid-state")
    return _told(found)


@_tcp("remote-address")
def _remote(world: World, one: TcpSocket) -> dict[str, Any]:
    return _told(one.socket.getpeername())


@_udp("remote-address")
def _udp_remote(world: World, one: UdpSocket) -> dict[str, Any]:
    if one.remote is None:
        raise Failure("invalid-state")
    return _told(one.socket.getpeername())


@TCP.func("[method]tcp-socket.address-family")
@UDP.func("[method]udp-socket.address-family")
def _family(world: World, one: Socket) -> str:
    return one.family


@TCP.func("[method]tcp-socket.subscribe")
@UDP.func("[method]udp-socket.subscribe")
@UDP.func("[method]incoming-datagram-stream.subscribe")
@UDP.func("[method]outgoing-datagram-stream.subscribe")
def _subscribe(world: World, one: Socket | IncomingDatagrams | OutgoingDatagrams) -> Pollable:
    return one.pollable()


def _option(name: str, level: Callable[[Socket], int], key: Callable[[Socket], int],
            unit: int = 1, truth: bool = False) -> None:  # fmt: skip
    """A socket option that can be read and set, in multiples of ``unit``."""

    def get(world: World, one: Socket) -> Any:
        value = one.socket.getsockopt(level(one), key(one)) * unit
        return bool(value) if truth else value

    def put(world: World, one: Socket, value: Any) -> None:
        if not truth and not value:
            raise Failure("invalid-argument")
        wanted = min(0x7FFFFFFF, max(1, value // unit)) if not truth else int(value)
        one.socket.setsockopt(level(one), key(one), wanted)

    getter = name if not truth else f"{name}-enabled"
    for interface, kind in ((TCP, "tcp"), (UDP, "udp")):
        _provide(interface, f"[method]{kind}-socket.{getter}")(get)
        _provide(interface, f"[method]{kind}-socket.set-{getter}")(put)


def _socket_level(one: Socket) -> int:
    return socket.SOL_SOCKET


def _ip_level(one: Socket) -> int:
    return socket.IPPROTO_IP if one.family == "ipv4" else socket.IPPROTO_IPV6


def _hops(one: Socket) -> int:
    return socket.IP_TTL if one.family == "ipv4" else socket.IPV6_UNICAST_HOPS


_option("receive-buffer-size", _socket_level, lambda one: socket.SO_RCVBUF)
_option("send-buffer-size", _socket_level, lambda one: socket.SO_SNDBUF)
_option("hop-limit", _ip_level, _hops)
_option("unicast-hop-limit", _ip_level, _hops)
_option("keep-alive", _socket_level, lambda one: socket.SO_KEEPALIVE, truth=True)
_option(
    "keep-alive-idle-time", lambda one: socket.IPPROTO_TCP, lambda one: socket.TCP_KEEPIDLE, 10**9
)
_option(
    "keep-alive-interval", lambda one: socket.IPPROTO_TCP, lambda one: socket.TCP_KEEPINTVL, 10**9
)
_option("keep-alive-count", lambda one: socket.IPPROTO_TCP, lambda one: socket.TCP_KEEPCNT)


# --- TCP ------------------------------------------------------------------------------------------


class SocketInput(InputStream):
    def __init__(self, made: socket.socket) -> None:
        self.socket = made

    def read(self, size: int) -> bytes:
        if not size:
            return b""
        try:
            data = self.socket.recv(size)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise failed(str(error.strerror), _code(error)) from None
        if not data:
            raise closed()
        return data

    def pollable(self) -> Pollable:
        made = self.socket
        return Pollable(lambda: readable(made), reading=made)


class SocketOutput(OutputStream):
    """What the system does not take at once waits here."""

    permit = 0

    def __init__(self, made: socket.socket) -> None:
        self.socket = made
        self.left = b""

    def check_write(self) -> int:
        self._push()
        return 0 if self.left or not writable(self.socket) else CHUNK

    def write(self, data: bytes) -> None:
        self.left += data
        self._push()

    def _push(self) -> None:
        try:
            while self.left:
                self.left = self.left[self.socket.send(self.left) :]
        except BlockingIOError:
            pass
        except OSError as error:
            self.left = b""
            if error.errno in (errno.EPIPE, errno.ECONNRESET):
                raise closed() from None
            raise failed(str(error.strerror), _code(error)) from None

    def pollable(self) -> Pollable:
        made = self.socket
        return Pollable(lambda: writable(made), writing=made)

    def dropped(self) -> None:
        if self.left:
            self.socket.settimeout(_LAST_WORDS)
            with suppress(OSError):  # nobody is there to be told
                self.socket.sendall(self.left)
            self.socket.setblocking(False)


@_tcp("start-connect")
def _start_connect(world: World, one: TcpSocket, network: Network, address: dict[str, Any]) -> None:
    _allowed(world)
    if one.connected or one.listening:
        raise Failure("invalid-state")
    where = _address(address)
    if one.family not in address or not where[1] or ipaddress.ip_address(where[0]).is_unspecified:
        raise Failure("invalid-argument")
    one.begin("connect")
    error = one.socket.connect_ex(where)
    if error not in (0, errno.EINPROGRESS):
        one.state = ""
        raise OSError(error, "connect")


@_tcp("finish-connect")
def _finish_connect(world: World, one: TcpSocket) -> tuple[SocketInput, SocketOutput]:
    if one.state != "connect":
        raise Failure("not-in-progress")
    if not writable(one.socket):
        raise Failure("would-block")
    one.finish("connect")
    error = one.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, "connect")
    one.connected = True
    return SocketInput(one.socket), SocketOutput(one.socket)


@_tcp("start-listen")
def _start_listen(world: World, one: TcpSocket) -> None:
    _allowed(world)
    if one.connected or one.listening or not one.socket.getsockname()[1]:
        raise Failure("invalid-state")
    one.begin("listen")
    one.socket.listen(one.backlog)


@_tcp("finish-listen")
def _finish_listen(world: World, one: TcpSocket) -> None:
    one.finish("listen")
    one.listening = True


@_tcp("accept")
def _accept(world: World, one: TcpSocket) -> tuple[TcpSocket, SocketInput, SocketOutput]:
    if not one.listening:
        raise Failure("invalid-state")
    made, _ = one.socket.accept()
    found = TcpSocket(one.family, made)
    found.connected = True
    return found, SocketInput(made), SocketOutput(made)


@TCP.func("[method]tcp-socket.is-listening")
def _is_listening(world: World, one: TcpSocket) -> bool:
    return one.listening


@_tcp("set-listen-backlog-size")
def _set_backlog(world: World, one: TcpSocket, size: int) -> None:
    if not size:
        raise Failure("invalid-argument")
    one.backlog = min(size, 4096)
    if one.listening:
        one.socket.listen(one.backlog)


@_tcp("shutdown")
def _shutdown(world: World, one: TcpSocket, how: str) -> None:
    if not one.connected:
        raise Failure("invalid-state")
    ways = {"receive": socket.SHUT_RD, "send": socket.SHUT_WR, "both": socket.SHUT_RDWR}
    one.socket.shutdown(ways[how])


# --- UDP ------------------------------------------------------------------------------------------


@_udp("stream")
def _stream(
    world: World, one: UdpSocket, remote: dict[str, Any] | None
) -> tuple[IncomingDatagrams, OutgoingDatagrams]:
    _allowed(world)
    if not one.socket.getsockname()[1]:
        raise Failure("invalid-state")
    one.remote = None if remote is None else _address(remote)
    if one.remote is not None:
        one.socket.connect(one.remote)
    return IncomingDatagrams(one), OutgoingDatagrams(one)


@_provide(UDP, "[method]incoming-datagram-stream.receive")
def _receive(world: World, stream: IncomingDatagrams, most: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while len(found) < min(most, _MOST_DATAGRAMS):
        try:
            data, address = stream.udp.socket.recvfrom(_DATAGRAM)
        except BlockingIOError:
            break
        found.append({"data": data, "remote-address": _told(address)})
    return found


@_provide(UDP, "[method]outgoing-datagram-stream.check-send")
def _check_send(world: World, stream: OutgoingDatagrams) -> int:
    return _MOST_DATAGRAMS if writable(stream.udp.socket) else 0


@_provide(UDP, "[method]outgoing-datagram-stream.send")
def _send(world: World, stream: OutgoingDatagrams, datagrams: list[dict[str, Any]]) -> int:
    udp, sent = stream.udp, 0
    for datagram in datagrams:
        given = datagram["remote-address"]
        to = udp.remote if given is None else _address(given)
        if to is None or (udp.remote is not None and to[:2] != udp.remote[:2]):
            raise Failure("invalid-argument")
        try:
            if udp.remote is not None:
                udp.socket.send(datagram["data"])
            else:
                udp.socket.sendto(datagram["data"], to)
        except BlockingIOError:
            break
        except OSError:
            if not sent:
                raise
            break
        sent += 1
    return sent
