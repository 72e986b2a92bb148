"""Components that connect, look names up and send requests where they may not.

Their host has what these attacks ask for, in the shapes of WASI 0.2 as far as a guard reads them.
"""

from __future__ import annotations

import ipaddress

from wasmtime import component as wc

from tests.gate.attacking import Calls, Offers, number_of, resource

#: What the rows below are held to.
LINES = """
allow: [{ cidr: 11.0.0.0/8 }, { host: api.example.com, ports: [443] },
  { host: 198.51.100.7, ports: [80] }, { host: "*.wide.example" }]
deny: [{ cidr: 11.6.0.0/16 }]"""
RULES = "permissions:\n  network:" + LINES.replace("\n", "\n    ")
#: What each name leads to.
ADDRESS = "198.51.100.1"

# --- the host ------------------------------------------------------------------------------------


class Network:
    """Where the host was told to go: (``connect`` or ``send``, host, port) in ``calls``."""

    def __init__(self) -> None:
        self.calls: Calls = []
        self.made = 0
        self.names: dict[int, str] = {}
        self.requests: dict[int, tuple[str | None, str]] = {}

    def offers(self) -> Offers:
        return {
            "wasi:sockets/tcp": {
                "tcp-socket": 1,
                "[constructor]tcp-socket": lambda _: self._new(1),
                "[method]tcp-socket.start-connect": self._connect,
            },
            "wasi:sockets/ip-name-lookup": {
                "resolve-address-stream": 2,
                "resolve-addresses": self._look_up,
                "[method]resolve-address-stream.resolve-next-address": self._next,
            },
            "wasi:http/types": {
                "outgoing-request": 3,
                "[constructor]outgoing-request": lambda _: self._request(None, "https"),
                "[method]outgoing-request.set-authority": self._authority,
                "[method]outgoing-request.set-scheme": self._scheme,
            },
            "wasi:http/outgoing-handler": {"handle": self._send},
            "evil:helper/requests": {
                "given": lambda _: self._request("evil.example:443", "https"),
                "keep": lambda *_: None,
            },
        }

    def _new(self, kind: int) -> wc.ResourceHost:
        self.made += 1
        return resource(self.made, kind)

    def _connect(self, _store: object, _self: object, _network: int, at: wc.Variant) -> None:
        parts = at.payload.address
        if at.tag == "ipv4":
            text = ".".join(map(str, parts))
        else:
            text = ":".join(f"{part:x}" for part in parts)
        self.calls.append(("connect", str(ipaddress.ip_address(text)), at.payload.port))

    def _look_up(self, _store: object, _network: int, name: str) -> wc.ResourceHost:
        self.calls.append(("look up", name, 0))
        found = self._new(2)
        self.names[self.made] = name
        return found

    def _next(self, store: object, stream: object) -> wc.Variant:
        """All names lead to one address, numbers to themselves."""
        name = self.names[number_of(store, stream)]
        text = name if name.replace(".", "").isdigit() else ADDRESS
        return wc.Variant("ipv4", _tuple(text))

    def _request(self, authority: str | None, scheme: str) -> wc.ResourceHost:
        found = self._new(3)
        self.requests[self.made] = (authority, scheme)
        return found

    def _authority(self, store: object, request: object, authority: str | None) -> wc.Variant:
        number = number_of(store, request)
        self.requests[number] = (authority, self.requests[number][1])
        return wc.Variant("ok", None)

    def _scheme(self, store: object, request: object, scheme: wc.Variant | None) -> wc.Variant:
        number = number_of(store, request)
        text = "https" if scheme is None else (scheme.payload or scheme.tag).lower()
        self.requests[number] = (self.requests[number][0], text)
        return wc.Variant("ok", None)

    def _send(self, store: object, request: object) -> wc.Variant:
        authority, scheme = self.requests[number_of(store, request)]
        user, _, rest = (authority or "").rpartition("@")
        host, _, port = rest.partition(":")
        usual = 80 if scheme == "http" else 443
        number = int(port.rpartition(":")[2]) if port else usual
        self.calls.append(("send", f"{user} at {host}" if user else host, number))
        return wc.Variant("ok", None)


def _tuple(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


# --- sockets -------------------------------------------------------------------------------------

TCP = """
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp
    (type $t4 (tuple u8 u8 u8 u8)) (export "v4" (type $v4 (eq $t4)))
    (type $t6 (tuple u16 u16 u16 u16 u16 u16 u16 u16)) (export "v6" (type $v6 (eq $t6)))
    (type $r4 (record (field "port" u16) (field "address" $v4))) (export "s4" (type $s4 (eq $r4)))
    (type $r6 (record (field "port" u16) (field "flow-info" u32) (field "address" $v6)
      (field "scope-id" u32))) (export "s6" (type $s6 (eq $r6)))
    (type $v (variant (case "ipv4" $s4) (case "ipv6" $s6))) (export "at" (type $at (eq $v)))
    (type $e (enum "unknown" "access-denied")) (export "error-code" (type $code (eq $e)))
    (export "tcp-socket" (type $socket (sub resource)))
    (export "[constructor]tcp-socket" (func (result (own $socket))))
    (export "[method]tcp-socket.start-connect" (func (param "self" (borrow $socket))
      (param "network" u32) (param "remote-address" $at) (result (result (error $code)))))))"""
LOOKUP = """
  (import "wasi:sockets/ip-name-lookup@0.2.0" (instance $names
    (type $t4 (tuple u8 u8 u8 u8)) (export "v4" (type $v4 (eq $t4)))
    (type $t6 (tuple u16 u16 u16 u16 u16 u16 u16 u16)) (export "v6" (type $v6 (eq $t6)))
    (type $v (variant (case "ipv4" $v4) (case "ipv6" $v6))) (export "at" (type $at (eq $v)))
    (type $e (enum "unknown" "access-denied")) (export "error-code" (type $code (eq $e)))
    (export "resolve-address-stream" (type $stream (sub resource)))
    (export "resolve-addresses" (func (param "network" u32) (param "name" string)
      (result (result (own $stream) (error $code)))))
    (export "[method]resolve-address-stream.resolve-next-address" (func
      (param "self" (borrow $stream)) (result (result (option $at) (error $code)))))))
  (alias export $names "resolve-address-stream" (type $stream))"""
MEMORY = """
  (core module $lib (memory (export "memory") 1) (func (export "realloc")
    (param i32 i32 i32 i32) (result i32) (i32.const 4096)) %s)
  (core instance $lib (instantiate $lib))"""
_WITH = '(memory $lib "memory") (realloc (func $lib "realloc"))'


def socket(body: str, more: str = "", text: str = "", encoding: str = "") -> str:
    """``ask`` is ``body``, which has ``$connect`` (socket, network, an address, where the answer
    goes), ``$new``, ``$look-up`` (network, text, where), ``$next`` and ``$drop``."""
    data = f'(data (i32.const 1024) "{text}")' if text else ""
    return f"""(component {TCP} {LOOKUP} {MEMORY % data}
      (core func $new (canon lower (func $tcp "[constructor]tcp-socket")))
      (core func $connect (canon lower (func $tcp "[method]tcp-socket.start-connect") {_WITH}))
      (core func $look-up (canon lower (func $names "resolve-addresses") {_WITH} {encoding}))
      (core func $next (canon lower (func $names
        "[method]resolve-address-stream.resolve-next-address") {_WITH}))
      (core func $drop (canon resource.drop $stream))
      (core module $m (import "lib" "memory" (memory 1))
        (import "" "new" (func $new (result i32)))
        (import "" "connect" (func $connect (param {"i32 " * 15})))
        (import "" "look-up" (func $look-up (param i32 i32 i32 i32)))
        (import "" "next" (func $next (param i32 i32)))
        (import "" "drop" (func $drop (param i32)))
        {more} (func (export "ask") {body}))
      (core instance $m (instantiate $m (with "lib" (instance $lib)) (with "" (instance
        (export "new" (func $new)) (export "connect" (func $connect))
        (export "look-up" (func $look-up)) (export "next" (func $next))
        (export "drop" (func $drop))))))
      (func (export "ask") (canon lift (core func $m "ask"))))"""


def to(*slots: int, case: int = 0) -> str:
    """A call of ``$connect`` with the address in these core values, whatever is in them."""
    words = [case, *slots, *[0] * (11 - len(slots))]
    given = " ".join(f"(i32.const {word})" for word in words)
    return f"(call $connect (call $new) (i32.const 0) {given} (i32.const 64))"


def v6(text: str, port: int) -> str:
    words = [int(part, 16) for part in ipaddress.IPv6Address(text).exploded.split(":")]
    return to(port, 0, *words, case=1)


def looked_up(at: int, length: int, result: int = 64) -> str:
    return (
        f"(call $look-up (i32.const 0) (i32.const {at}) (i32.const {length}) (i32.const {result}))"
    )


_STREAM = "(i32.load (i32.const 68))"
_NEXT = f"(call $next {_STREAM} (i32.const 128))"
#: `api.example.com` and what else is in memory from 1024 on.
_NAMES = "api.example.com198.51.100.7a.wide.example"
_API, _SEVEN, _WIDE = (1024, 15), (1039, 12), (1051, 14)

SOCKETS = {
    "an address as it is": socket(to(443, 10, 0, 0, 1)),
    "one that is allowed and denied": socket(to(443, 11, 6, 0, 1)),
    "bytes with more bits than eight": socket(to(443, 10, 0x100, 0, 1)),
    "a first byte with more bits": socket(to(443, 0xFFFFFF00 + 10, 0, 0, 1)),
    "a port with more bits than sixteen": socket(to(0x10000 + 80, 198, 51, 100, 1)),
    "IPv6 words with more bits": socket(to(443, 0, 0, 0, 0, 0, 0, 0x3FFFF, 0xA0000, 1, case=1)),
    "IPv4-mapped": socket(v6("::ffff:10.0.0.1", 443)),
    "IPv4-compatible": socket(v6("::10.0.0.1", 443)),
    "IPv4-translated": socket(v6("::ffff:0:10.0.0.1", 443)),
    "NAT64": socket(v6("64:ff9b::10.0.0.1", 443)),
    "6to4": socket(v6("2002:a00:1::1", 443)),
    "mapped, and denied": socket(v6("::ffff:11.6.0.1", 443)),
    "a name's address on another port": socket(
        looked_up(*_API) + _NEXT + to(22, 198, 51, 100, 1), text=_NAMES
    ),
    "a number looked up where a name was": socket(
        looked_up(*_API) + _NEXT + f"(call $drop {_STREAM})" + looked_up(*_SEVEN) + _NEXT
        + to(443, 198, 51, 100, 7), text=_NAMES,
    ),
    "a name that is written over by its own answer": socket(
        looked_up(*_WIDE) + f"(call $drop {_STREAM})" + looked_up(*_API, 1020)
        + "(call $next (i32.load (i32.const 1024)) (i32.const 128))"
        + to(22, 198, 51, 100, 1), text=_NAMES,
    ),
    "a name that is not allowed": socket(looked_up(1028, 11), text=_NAMES),
    "a name behind a name and a zero": socket(
        looked_up(1024, 28), text="api.example.com\\00.evil.example"
    ),
    "a name that ends as an allowed one": socket(
        looked_up(1024, 22), text="evil#x.wide.example   "
    ),
    "a name in letters of another alphabet": socket(
        looked_up(1024, 16), text="\\d0\\b0pi.example.com"
    ),
    "a name in utf16": socket(
        looked_up(1024, 4), text="e\\00v\\00i\\00l\\00", encoding="string-encoding=utf16"
    ),
    "a name in latin1+utf16": socket(
        looked_up(1024, -0x7FFFFFFC), text="e\\00v\\00i\\00l\\00",
        encoding="string-encoding=latin1+utf16",
    ),
    "a name of 40,000 bytes that ends as an allowed one": socket(
        "(memory.fill (i32.const 2048) (i32.const 97) (i32.const 40000))"
        "(memory.copy (i32.const 42034) (i32.const 1024) (i32.const 14))" + looked_up(2048, 40000),
        text="a.wide.example",
    ),
}  # fmt: skip

# --- requests ------------------------------------------------------------------------------------

_REQUESTS = """
    (export "outgoing-request" (type $request (sub resource)))
    (type $s (variant (case "HTTP") (case "HTTPS") (case "other" string)))
    (export "scheme" (type $scheme (eq $s)))
    (export "[constructor]outgoing-request" (func (result (own $request))))
    (export "[method]outgoing-request.set-authority" (func (param "self" (borrow $request))
      (param "authority" (option string)) (result (result))))
    (export "[method]outgoing-request.set-scheme" (func (param "self" (borrow $request))
      (param "scheme" (option $scheme)) (result (result))))"""
_SEND = '(export "handle" (func (param "request" (own $request)) (result (result))))'
HTTP = f"""
  (import "wasi:http/types@0.2.0" (instance $types {_REQUESTS}))
  (alias export $types "outgoing-request" (type $request))
  (import "wasi:http/outgoing-handler@0.2.0" (instance $handler
    (alias outer 1 $request (type $request)) {_SEND}))"""
HELPER = """
  (import "evil:helper/requests" (instance $helper (alias outer 1 $request (type $request))
    (export "given" (func (result (own $request))))
    (export "keep" (func (param "request" (own $request))))))"""
_GIVEN = '(core func $given (canon lower (func $helper "given")))'
_KEEP = '(core func $keep (canon lower (func $helper "keep")))'


def request(body: str, text: str = "", helper: bool = False, encoding: str = "", end: str = "",
            lifts: str = '(func (export "ask") (canon lift (core func $m "ask")))',
            imports: str = HTTP) -> str:  # fmt: skip
    """``ask`` is ``body``, which has ``$new``, ``$drop``, ``$send``, ``$authority`` (request, 0 or
    1, text) and ``$scheme`` (request, 0 or 1, case, text), of a helper ``$given`` and ``$keep``."""
    data = f'(data (i32.const 1024) "{text}")' if text else ""
    more = f"{_GIVEN} {_KEEP}" if helper else ""
    taken = ('(import "" "given" (func $given (result i32)))'
             '(import "" "keep" (func $keep (param i32)))') if helper else ""  # fmt: skip
    given = '(export "given" (func $given)) (export "keep" (func $keep))' if helper else ""
    return f"""(component {imports} {HELPER if helper else ""} {MEMORY % data}
      (core func $new (canon lower (func $types "[constructor]outgoing-request")))
      (core func $authority (canon lower (func $types "[method]outgoing-request.set-authority")
        {_WITH} {encoding}))
      (core func $scheme (canon lower (func $types "[method]outgoing-request.set-scheme") {_WITH}))
      (core func $send (canon lower (func $handler "handle")))
      (core func $drop (canon resource.drop $request)) {more}
      (core module $m (import "lib" "memory" (memory 1))
        (import "" "new" (func $new (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (import "" "send" (func $send (param i32) (result i32)))
        (import "" "authority" (func $authority (param i32 i32 i32 i32) (result i32)))
        (import "" "scheme" (func $scheme (param i32 i32 i32 i32 i32) (result i32))) {taken}
        (func $to (param $request i32) (param $length i32) (drop (call $authority
          (local.get $request) (i32.const 1) (i32.const 1024) (local.get $length))))
        (func $is (param $request i32) (param $case i32) (param $length i32) (drop (call $scheme
          (local.get $request) (i32.const 1) (local.get $case) (i32.const 1280)
          (local.get $length))))
        (func (export "ask") (local $r i32) {body}) {end})
      (core instance $m (instantiate $m (with "lib" (instance $lib)) (with "" (instance
        (export "new" (func $new)) (export "drop" (func $drop)) (export "send" (func $send))
        (export "authority" (func $authority)) (export "scheme" (func $scheme)) {given}))))
      {lifts})"""


_NEW = "(local.set $r (call $new))"
_R = "(local.get $r)"
_TO = f"(call $to {_R} (i32.const 15))"
_OUT = f"(drop (call $send {_R}))"
_GIVE = "(local.set $r (call $given))"
_API_TEXT = "api.example.com"
#: A component inside that makes requests and sends them, for what is around it.
_CLIENT = request(
    "",
    _API_TEXT,
    imports=f"""
  (import "types" (instance $types {_REQUESTS}))
  (alias export $types "outgoing-request" (type $request))
  (import "handler" (instance $handler (alias outer 1 $request (type $request)) {_SEND}))""",
    end=f"""(func (export "plain") (result i32) (local $r i32) {_NEW} {_TO}
        (call $is {_R} (i32.const 0) (i32.const 0)) {_R})
      (func (export "blank") (result i32) (call $new))
      (func (export "prime") (local $r i32) {_NEW} {_TO} (call $drop {_R}))
      (func (export "out") (param i32) (drop (call $send (local.get 0))))""",
    lifts="""
      (type $made (func (result (own $request)))) (type $taken (func (param "r" (own $request))))
      (func (export "plain") (type $made) (canon lift (core func $m "plain")))
      (func (export "prime") (canon lift (core func $m "prime")))
      (func (export "out") (type $taken) (canon lift (core func $m "out")))""",
).replace("(component ", "(component $client ", 1)


def clients(body: str) -> str:
    """Two instances of the client; ``body`` calls what they export: ``$plain-a``, ``$out-b`` …"""
    given = '(with "types" (instance $types)) (with "handler" (instance $handler))'
    lowered, imports, exports = "", "", ""
    for one in "ab":
        for name, sig in (("plain", "(result i32)"), ("prime", ""), ("out", "(param i32)")):
            lowered += f'(core func ${name}-{one} (canon lower (func ${one} "{name}")))'
            imports += f'(import "" "{name}-{one}" (func ${name}-{one} {sig}))'
            exports += f'(export "{name}-{one}" (func ${name}-{one}))'
    return f"""(component {HTTP} {_CLIENT}
      (instance $a (instantiate $client {given})) (instance $b (instantiate $client {given}))
      {lowered}
      (core module $m {imports} (func (export "ask") {body}))
      (core instance $m (instantiate $m (with "" (instance {exports}))))
      (func (export "ask") (canon lift (core func $m "ask"))))"""


REQUESTS = {
    "to another host": request(f"{_NEW} {_TO} {_OUT}", "evil.example.co"),
    "to no host, for the header says it": request(f"{_NEW} {_OUT}"),
    "to an allowed host, then to another": request(
        f"{_NEW} {_TO} (memory.copy (i32.const 1024) (i32.const 1280) (i32.const 15)) {_TO} {_OUT}",
        _API_TEXT + "\\00" * 241 + "evil.example.co",
    ),
    "to an allowed host, then to none": request(
        f"{_NEW} {_TO} (drop (call $authority {_R} (i32.const 0) (i32.const 0) (i32.const 0)))"
        f" {_OUT}", _API_TEXT,
    ),
    "by HTTP where only HTTPS may be": request(
        f"{_NEW} {_TO} (call $is {_R} (i32.const 0) (i32.const 0)) {_OUT}", _API_TEXT
    ),
    "by HTTP, said before": request(
        f"{_NEW} (call $is {_R} (i32.const 0) (i32.const 0)) {_TO} {_OUT}", _API_TEXT
    ),
    "by a scheme of its own that is HTTP": request(
        f"{_NEW} {_TO} (call $is {_R} (i32.const 2) (i32.const 4)) {_OUT}",
        _API_TEXT + "\\00" * 241 + "http",
    ),
    "with a user in front": request(
        f"{_NEW} (call $to {_R} (i32.const 28)) {_OUT}", "api.example.com:443@evil.net"
    ),
    "with a port behind a port": request(
        f"{_NEW} (call $to {_R} (i32.const 22)) {_OUT}", "api.example.com:443:22"
    ),
    "in utf16": request(
        f"{_NEW} (call $to {_R} (i32.const 4)) {_OUT}", "e\\00v\\00i\\00l\\00",
        encoding="string-encoding=utf16",
    ),
    "by the number of one that was dropped": request(
        f"{_NEW} {_TO} (call $drop {_R}) {_GIVE} {_OUT}", _API_TEXT, helper=True
    ),
    "by the number of one that was given away": request(
        f"{_NEW} {_TO} (call $keep {_R}) {_GIVE} {_OUT}", _API_TEXT, helper=True
    ),
    "by the number of one that was sent": request(
        f"{_NEW} {_TO} {_OUT} (local.set $r (call $given)) {_OUT}", _API_TEXT, helper=True
    ),
    "made in one instance, sent by another": (
        clients("(call $out-b (call $plain-a))"), "or instances of one"),
    "by a number that is another's elsewhere": (
        clients("(call $prime-b) (call $out-b (call $plain-a))"), "or instances of one"),
}  # fmt: skip
