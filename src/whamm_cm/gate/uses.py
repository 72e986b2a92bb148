"""What a log says of values: hosts that were talked to, paths, environment keys.

Handles are followed from the call that made them, per instance.  What cannot be told (redacted,
cut, a handle nobody saw made) is an :class:`Unclear`, never silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.gate.called import names, reading
from whamm_cm.gate.descriptors import (
    BELOW,
    BELOW_HANDLE,
    HARMLESS,
    ON_FD,
    ON_HANDLE,
    STANDARD,
    TALKING,
    WRITING,
    opened,
)
from whamm_cm.gate.hosts import Host, parse_authority, parse_host
from whamm_cm.gate.permissions import Access, normal_path
from whamm_cm.trace.address import address_text
from whamm_cm.trace.reader import Record
from whamm_cm.wit.preview1 import MODULES

_DEFAULT_PORTS = {"HTTP": 80, "HTTPS": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``names``: what was looked up before and gave this address.  ``how``: the function."""

    host: Host
    how: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileUse:
    """``paths``: every reading of the path (separators differ between systems)."""

    paths: tuple[str, ...]
    access: Access
    how: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """``about``: network, storage or environment."""

    about: str
    how: str
    why: str


@dataclass(slots=True)
class Uses:
    """Feed records in order; then look at the fields, which have no doubles.

    What was asked for and :meth:`refused` is a use, too.  ``lost``: records the log says are
    missing; ``unknown``: it does not say how many.
    """

    endpoints: dict[Endpoint, None] = field(default_factory=dict)
    files: dict[FileUse, None] = field(default_factory=dict)
    keys: dict[tuple[str, str], None] = field(default_factory=dict)
    unclear: dict[Unclear, None] = field(default_factory=dict)
    lost: int = 0
    unknown: bool = False
    _given: dict[Endpoint | FileUse, int] = field(default_factory=dict)
    _denied: dict[Endpoint | FileUse, None] = field(default_factory=dict)
    _calls: dict[tuple[int, int, str], Record] = field(default_factory=dict)
    _made: dict[tuple[int, int, str], list[Endpoint | FileUse]] = field(default_factory=dict)
    #: Of calls that said they would answer later.
    _pending: set[tuple[int, int, str]] = field(default_factory=set)
    _now: list[Endpoint | FileUse] = field(default_factory=list)
    #: What a handle that was made goes on with: a socket, a response to come.
    _going: dict[tuple[int, int], list[Endpoint | FileUse]] = field(default_factory=dict)
    _paths: dict[tuple[int, int], str] = field(default_factory=dict)
    _requests: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    _lookups: dict[tuple[int, int], str] = field(default_factory=dict)
    _names: dict[Host, dict[str, None]] = field(default_factory=dict)
    #: By function, how many keys were handed over at once, all of them read, or not, and why not.
    _read: dict[str, int] = field(default_factory=dict)
    _unread: dict[str, tuple[int, str]] = field(default_factory=dict)

    def feed(self, record: Record) -> None:
        phase = record["phase"]
        if phase in ("dropped", "lost"):
            number = record.get("count" if phase == "dropped" else "lost")
            if isinstance(number, int):
                self.lost += number
            else:
                self.unknown = True
            return
        if phase == "call" and record.get("edge") == "export":
            self._came_in(record)
        if phase not in ("call", "return") or record.get("edge") != "import":
            return
        for interface, func in names(record):
            handler = _HANDLERS.get(interface)
            if handler is not None:
                event = _Event.of(self, reading(record, interface, func))
                self._now = []
                handler(self, event)
                self._outcome(event)

    def _came_in(self, record: Record) -> None:
        """A request that a handler is given; in 0.3 it can be passed on as it is."""
        handle = record.get("args", {}).get("request")
        if record.get("interface") == "wasi:http/handler" and isinstance(handle, int):
            self._requests[record["instance"], handle] = {"came in": True}

    @property
    def incomplete(self) -> bool:
        return self.unknown or self.lost > 0

    def refused(self, use: Endpoint | FileUse) -> bool:
        return use in self._denied and self._given.get(use, 0) <= 0

    def unanswered(self) -> frozenset[Endpoint | FileUse]:
        """What was asked for by calls that never came back, and never given: they trapped, or the
        log has lost the answer."""
        left = (made for key, made in self._made.items() if key not in self._pending)
        return frozenset(one for made in left for one in made if self._given.get(one, 0) <= 0)

    def _outcome(self, event: _Event) -> None:
        """What a call is about was given when it returns without an error."""
        key = event.instance, event.record["call"], event.func
        if not event.returned:
            if self._now and len(self._made) < 100_000:
                self._made[key] = self._now
            return
        if event.record.get("pending"):
            self._pending.add(key)
            return
        made = self._made.pop(key, [])
        self._settle(made, not event.failed)
        if made and not event.failed:
            if event.func.partition(".")[2].startswith("start-"):
                self._going[event.key] = made
            elif isinstance(event.ok, int):
                self._going[event.instance, event.ok] = made
        if event.func.endswith((".finish-connect", "future-incoming-response.get")):
            error = _error(event.result)
            if error is not None and error != "would-block":
                self._settle(self._going.pop(event.key, []), False, -1)

    def _settle(self, made: list[Endpoint | FileUse], given: bool, change: int = 0) -> None:
        """``change``: takes back what was given before."""
        for one in made:
            if not given:
                self._denied[one] = None
            self._given[one] = self._given.get(one, 0) + (1 if given else change)

    def finish(self) -> None:
        """Requests with an authority that nobody was seen to send count, too."""
        for how, (count, why) in self._unread.items():
            if count > self._read.get(how, 0):
                self.odd("environment", how, f"a key is {why}")
        for parts in self._requests.values():
            if "said" in parts and not parts.get("sent"):
                self.request(parts, parts["said"])

    def handed(self, how: str, keys: list[object]) -> None:
        """Some guests ask for all keys twice, and first let all lie in one place, to know their
        size: where as many have been read, there are no others."""
        unknown = [key for key in keys if not isinstance(key, str)]
        if unknown:
            self._unread[how] = max(self._unread.get(how, (0, "")), (len(keys), _why(unknown[0])))
        else:
            self._read[how] = max(self._read.get(how, 0), len(keys))

    # what was found

    def endpoint(self, host: Host, how: str) -> None:
        names: tuple[str, ...] = ()
        if host.address is not None:
            names = tuple(self._names.get(Host(address=host.address), ()))
        found = Endpoint(host, how, names)
        self.endpoints[found] = None
        self._now.append(found)

    def file(self, paths: tuple[str, ...], access: Access, how: str) -> None:
        found = FileUse(paths, access, how)
        self.files[found] = None
        self._now.append(found)

    def odd(self, about: str, how: str, why: str) -> None:
        self.unclear[Unclear(about, how, why)] = None

    def request(self, parts: Mapping[str, Any], how: str) -> None:
        authority = parts.get("authority")
        if not isinstance(authority, str):
            self.odd("network", how, f"its authority is {_why(authority)}")
            return
        host = parse_authority(authority)
        if host is None:
            self.odd("network", how, f'"{authority}" is no authority')
            return
        if host.port is None:
            host = replace(host, port=_DEFAULT_PORTS.get(_scheme(parts.get("scheme"))))
        self.endpoint(host, how)


@dataclass(slots=True)
class _Event:
    """A call, or a return with the arguments of its call."""

    record: Record
    instance: int
    func: str
    how: str
    handle: int
    args: Mapping[str, Any]
    returned: bool
    result: Any

    @staticmethod
    def of(uses: Uses, record: Record) -> _Event:
        returned = record["phase"] == "return"
        key = record["instance"], record["call"], record.get("func", "")
        opened = record
        if returned:
            opened = uses._calls.get(key, record)
            if not record.get("pending"):
                uses._calls.pop(key, None)
        elif len(uses._calls) < 100_000:
            uses._calls[key] = record
        how = f"{record.get('interface', '')}#{record['func']}"
        return _Event(
            record,
            record["instance"],
            record["func"],
            how,
            opened.get("self", -1),
            opened.get("args", {}),
            returned,
            record.get("result"),
        )

    @property
    def ok(self) -> Any:
        """The payload of ``ok``, the result itself where it is no ``result``."""
        if isinstance(self.result, dict) and "ok" in self.result:
            return self.result["ok"]
        return self.result

    @property
    def failed(self) -> bool:
        return isinstance(self.result, dict) and set(self.result) == {"error"}

    @property
    def key(self) -> tuple[int, int]:
        return self.instance, self.handle


#: Of a function that a later release may have.
_STRANGE = "what it does is not known"


def _error(value: object) -> object:
    """The innermost error of results and options in each other, None where there is none."""
    while isinstance(value, dict) and len(value) == 1:
        ((key, inner),) = value.items()
        if key == "error":
            return "error" if inner is None else inner
        if key not in ("ok", "some"):
            return None
        value = inner
    return None


def _why(value: object) -> str:
    if isinstance(value, dict):
        for key, word in (("~redacted", "redacted"), ("~cut", "cut off"), ("~bad", "unreadable")):
            if key in value:
                return word
    return "not in the log"


def _scheme(value: object) -> str:
    if isinstance(value, dict) and len(value) == 1:
        ((case, payload),) = value.items()
        return str(payload if case.lower() == "other" else case).upper()
    return "HTTPS" if value is None else str(value).upper()


# HTTP

_PARTS = {
    "outgoing-request.set-authority": "authority",
    "outgoing-request.set-scheme": "scheme",
    "request.set-authority": "authority",
    "request.set-scheme": "scheme",
}
#: What a request says that came in.
_ASKED = {"request.get-authority": "authority", "request.get-scheme": "scheme"}


def _http_types(uses: Uses, event: _Event) -> None:
    func = event.func
    if func in _PARTS:
        if not event.returned:
            parts = uses._requests.setdefault(event.key, {})
            parts[_PARTS[func]] = event.args.get(_PARTS[func])
            if _PARTS[func] == "authority":
                parts["said"] = event.how
    elif func in _ASKED:
        if event.returned and event.key in uses._requests:
            uses._requests[event.key].setdefault(_ASKED[func], event.result)
    elif event.returned and func in ("outgoing-request.new", "request.new"):
        made = event.result[0] if isinstance(event.result, list) and event.result else event.result
        if isinstance(made, int):
            uses._requests[event.instance, made] = {}


def _http_send(uses: Uses, event: _Event) -> None:
    """What came in and goes to the next handler, as middleware does, does not leave."""
    if event.returned:
        return
    handle = event.args.get("request")
    parts = uses._requests.get((event.instance, handle), {}) if isinstance(handle, int) else {}
    here = event.record.get("interface") == "wasi:http/handler" and _is_release(event.record)
    passed_on = here and "came in" in parts
    if not passed_on:
        uses.request(parts, event.how)
    parts["sent"] = True


def _is_release(record: Record) -> bool:
    """Candidates of 0.3 sent requests out by ``wasi:http/handler``, too."""
    return "-" not in (record.get("version") or "")


# sockets


def _sockets(uses: Uses, event: _Event) -> None:
    if not event.returned:
        _addresses(uses, event, event.args, 0)


def _addresses(uses: Uses, event: _Event, value: Any, depth: int) -> None:
    """Every address with a port among the arguments, in datagrams, too, whatever it is called: a
    later release may have functions that nobody knows.  A local one is bound or listened on."""
    if depth > 8:
        return
    if isinstance(value, list):
        for one in value:
            _addresses(uses, event, one, depth + 1)
    if not isinstance(value, Mapping):
        return
    if _is_address(value):
        _remote(uses, event, value)
        return
    for key, one in value.items():
        if key == "remote-address":
            if one is not None:
                _remote(uses, event, one)
        elif key != "local-address":
            _addresses(uses, event, one, depth + 1)
    if "~list" in value and "~cut" in value:
        uses.odd("network", event.how, "the list of addresses is cut off")


def _is_address(value: Mapping[str, Any]) -> bool:
    payload = value.get("ipv4", value.get("ipv6")) if len(value) == 1 else None
    return isinstance(payload, Mapping) and {"port", "address"} <= set(payload)


def _remote(uses: Uses, event: _Event, value: Any) -> None:
    text = address_text(value)
    host = parse_authority(text) if text is not None else None
    if host is None:
        uses.odd("network", event.how, "its address is not in the log")
    else:
        uses.endpoint(host, event.how)


def _lookup(uses: Uses, event: _Event) -> None:
    if event.func == "resolve-addresses":
        name = event.args.get("name")
        host = parse_host(name) if isinstance(name, str) else None
        if not event.returned:
            if host is None:
                shown = (
                    f'"{name}" is no host' if isinstance(name, str) else f"its name is {_why(name)}"
                )
                uses.odd("network", event.how, shown)
            else:
                uses.endpoint(host, event.how)
        elif host is not None and isinstance(event.ok, int):
            uses._lookups[event.instance, event.ok] = str(host)
        elif host is not None and isinstance(event.ok, list):
            for one in event.ok:
                _resolved(uses, one, str(host))
    elif event.func.endswith("resolve-next-address"):
        looked_up = uses._lookups.get(event.key)
        if event.returned and looked_up is not None:
            _resolved(uses, event.ok, looked_up)
    elif not event.returned and not event.func.startswith("resolve-address-stream."):
        uses.odd("network", event.how, _STRANGE)


def _resolved(uses: Uses, value: Any, name: str) -> None:
    text = address_text(value)
    host = parse_host(text) if text is not None else None
    if host is not None:
        uses._names.setdefault(host, {})[name] = None


def _tls(uses: Uses, event: _Event) -> None:
    name = event.args.get("server-name")
    if not event.returned and isinstance(name, str):
        host = parse_host(name)
        if host is not None:
            uses.endpoint(host, event.how)


# files


def _preopens(uses: Uses, event: _Event) -> None:
    if event.returned and isinstance(event.result, list):
        for one in event.result:
            if isinstance(one, list) and len(one) == 2 and isinstance(one[0], int):
                path = one[1] if isinstance(one[1], str) else None
                if path is None:
                    uses.odd("storage", event.how, "the name of a preopen is not in the log")
                else:
                    uses._paths[event.instance, one[0]] = normal_path("/", path)


def _files(uses: Uses, event: _Event) -> None:
    resource, _, method = event.func.partition(".")
    if resource != "descriptor":
        return
    if method == "open-at":
        _open(uses, event)
    elif event.returned:
        return
    elif method in ON_HANDLE:
        base = uses._paths.get(event.key)
        if base is None:
            uses.odd("storage", event.how, "nobody saw its descriptor being opened")
        else:
            uses.file((base,), ON_HANDLE[method], event.how)
    elif method not in BELOW_HANDLE and method not in HARMLESS:
        uses.odd("storage", event.how, _STRANGE)
    for name, descriptor, access in BELOW_HANDLE.get(method, ()):
        handle = event.args.get(descriptor) if descriptor else event.handle
        paths = _paths(uses, event, handle, event.args.get(name))
        if paths:
            uses.file(paths, access, event.how)


def _open(uses: Uses, event: _Event) -> None:
    paths = _paths(uses, event, event.handle, event.args.get("path"))
    if not paths:
        return
    if event.returned:
        if isinstance(event.ok, int) and not event.failed:
            uses._paths[event.instance, event.ok] = paths[0]
        return
    flags = {*_flags(event.args, "flags"), *_flags(event.args, "open-flags")}
    writes = bool(flags & WRITING)
    if writes:
        uses.file(paths, "write", event.how)
    if "read" in flags or not writes:
        uses.file(paths, "read", event.how)


def _flags(args: Mapping[str, Any], name: str) -> list[str]:
    value = args.get(name)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _paths(uses: Uses, event: _Event, handle: Any, path: Any) -> tuple[str, ...]:
    """The absolute path with ``/`` as separator, and with ``\\`` as one, too."""
    base = uses._paths.get((event.instance, handle)) if isinstance(handle, int) else None
    if base is None:
        uses.odd("storage", event.how, "nobody saw its descriptor being opened")
        return ()
    if not isinstance(path, str):
        uses.odd("storage", event.how, f"its path is {_why(path)}")
        return ()
    readings = (path, path.replace("\\", "/"))
    return tuple(dict.fromkeys(normal_path(base, one) for one in readings))


# environment

_NO_KEYS = ("get-arguments", "initial-cwd", "get-initial-cwd")


def _environment(uses: Uses, event: _Event) -> None:
    if event.returned and event.func in ("get-environment", "get-all", "environ_get"):
        pairs = event.ok
        if not isinstance(pairs, list):
            if not event.failed:
                uses.odd("environment", event.how, f"its result is {_why(pairs)}")
            return
        keys = [pair[0] if isinstance(pair, list) and pair else None for pair in pairs]
        for key in keys:
            if isinstance(key, str):
                _key(uses, event, key)
        uses.handed(event.how, keys)
    elif event.returned:
        return
    elif event.func == "get":
        _key(uses, event, event.args.get("key"))
    elif event.func not in ("get-environment", "get-all", *_NO_KEYS):
        uses.odd("environment", event.how, _STRANGE)


def _key(uses: Uses, event: _Event, key: object) -> None:
    if isinstance(key, str):
        uses.keys[key, event.how] = None
    else:
        uses.odd("environment", event.how, f"a key is {_why(key)}")


# WASI preview 1


def _preview1(uses: Uses, event: _Event) -> None:
    """File descriptors are numbers of arguments there, and end when they are closed."""
    func, instance, fd = event.func, event.instance, event.args.get("fd")
    if func == "environ_get":
        if event.returned:
            _environment(uses, event)
    elif func in TALKING:
        if not event.returned:
            uses.odd("network", event.how, "preview 1 does not say with whom")
    elif func == "path_open":
        _opened(uses, event, fd)
    elif event.returned:
        if not event.failed:
            _changed(uses, event, fd)
    elif func in ON_FD:
        base = uses._paths.get((instance, fd)) if isinstance(fd, int) else None
        if base is not None:
            uses.file((base,), ON_FD[func], event.how)
        elif fd not in STANDARD:
            uses.odd("storage", event.how, "nobody saw its descriptor being opened")
    for name, descriptor, access in () if event.returned else BELOW.get(func, ()):
        paths = _paths(uses, event, event.args.get(descriptor), event.args.get(name))
        if paths:
            uses.file(paths, access, event.how)


def _opened(uses: Uses, event: _Event, fd: Any) -> None:
    paths = _paths(uses, event, fd, event.args.get("path"))
    if paths and event.returned and isinstance(event.ok, int):
        uses._paths[event.instance, event.ok] = paths[0]
    for access in opened(event.args) if paths and not event.returned else ():
        uses.file(paths, access, event.how)


def _changed(uses: Uses, event: _Event, fd: Any) -> None:
    """What descriptors are of after the call."""
    if event.func == "fd_prestat_dir_name" and isinstance(event.ok, str):
        uses._paths[event.instance, fd] = normal_path("/", event.ok)
    elif event.func == "fd_prestat_dir_name":
        uses.odd("storage", event.how, "the name of a preopen is not in the log")
    elif event.func in ("fd_close", "fd_renumber"):
        path, to = uses._paths.pop((event.instance, fd), None), event.args.get("to")
        if path is not None and isinstance(to, int):
            uses._paths[event.instance, to] = path


_Handler = Callable[[Uses, _Event], None]

#: By interface: what its records tell.
_HANDLERS: dict[str, _Handler] = {
    "wasi:http/types": _http_types,
    "wasi:http/outgoing-handler": _http_send,
    "wasi:http/client": _http_send,
    "wasi:http/handler": _http_send,
    "wasi:sockets/tcp": _sockets,
    "wasi:sockets/udp": _sockets,
    "wasi:sockets/types": _sockets,
    "wasi:sockets/ip-name-lookup": _lookup,
    "wasi:tls/types": _tls,
    "wasi:tls/client": _tls,
    "wasi:filesystem/preopens": _preopens,
    "wasi:filesystem/types": _files,
    "wasi:cli/environment": _environment,
    "wasi:config/store": _environment,
    "wasi:config/runtime": _environment,
    **dict.fromkeys(MODULES, _preview1),
}
