"""Guests that look names up, connect and send datagrams, on a host that is a table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import wasmtime
from wasmtime import component as wc
from wasmtime import wat2wasm

from whamm_cm.front.guarding import guarded
from whamm_cm.front.verdict import policy_of

#: ``go`` does what the code says; 1 and more is the error of a call.  The network is a number: this
#: engine has no calls with two borrowed resources.
NET = """(component
  (import "wasi:sockets/network@0.2.0" (instance $network
    (type $e (enum "unknown" "access-denied")) (export "error-code" (type (eq $e)))
    (type $4 (tuple u8 u8 u8 u8)) (export "ipv4-address" (type $v4 (eq $4)))
    (type $6 (tuple u16 u16 u16 u16 u16 u16 u16 u16)) (export "ipv6-address" (type $v6 (eq $6)))
    (type $ip (variant (case "ipv4" $v4) (case "ipv6" $v6))) (export "ip-address" (type (eq $ip)))
    (type $r4 (record (field "port" u16) (field "address" $v4)))
    (export "ipv4-socket-address" (type $s4 (eq $r4)))
    (type $r6 (record (field "port" u16) (field "flow-info" u32) (field "address" $v6)
      (field "scope-id" u32)))
    (export "ipv6-socket-address" (type $s6 (eq $r6)))
    (type $s (variant (case "ipv4" $s4) (case "ipv6" $s6)))
    (export "ip-socket-address" (type (eq $s)))))
  (alias export $network "error-code" (type $error))
  (alias export $network "ip-address" (type $ip))
  (alias export $network "ip-socket-address" (type $at))
  (import "wasi:sockets/ip-name-lookup@0.2.0" (instance $names
    (alias outer 1 $error (type $oe)) (export "error-code" (type $e (eq $oe)))
    (alias outer 1 $ip (type $oi)) (export "ip-address" (type $i (eq $oi)))
    (export "resolve-address-stream" (type $stream (sub resource)))
    (export "resolve-addresses" (func (param "network" u32) (param "name" string)
      (result (result (own $stream) (error $e)))))
    (export "[method]resolve-address-stream.resolve-next-address" (func
      (param "self" (borrow $stream)) (result (result (option $i) (error $e)))))))
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp
    (alias outer 1 $error (type $oe)) (export "error-code" (type $e (eq $oe)))
    (alias outer 1 $at (type $oa)) (export "ip-socket-address" (type $a (eq $oa)))
    (export "tcp-socket" (type $t (sub resource)))
    (export "[static]tcp-socket.made" (func (result (own $t))))
    (export "[method]tcp-socket.start-connect" (func (param "self" (borrow $t))
      (param "network" u32) (param "remote-address" $a) (result (result (error $e)))))))
  (import "wasi:sockets/udp@0.2.0" (instance $udp
    (alias outer 1 $error (type $oe)) (export "error-code" (type $e (eq $oe)))
    (alias outer 1 $at (type $oa)) (export "ip-socket-address" (type $a (eq $oa)))
    (export "outgoing-datagram-stream" (type $o (sub resource)))
    (type $d (record (field "data" (list u8)) (field "remote-address" (option $a))))
    (export "outgoing-datagram" (type $od (eq $d)))
    (export "[static]outgoing-datagram-stream.made" (func (result (own $o))))
    (export "[method]outgoing-datagram-stream.send" (func (param "self" (borrow $o))
      (param "datagrams" (list $od)) (result (result u64 (error $e)))))))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $look (canon lower (func $names "resolve-addresses") (memory $libc "memory")))
  (core func $next (canon lower
    (func $names "[method]resolve-address-stream.resolve-next-address") (memory $libc "memory")))
  (core func $tcp (canon lower (func $tcp "[static]tcp-socket.made")))
  (core func $connect (canon lower (func $tcp "[method]tcp-socket.start-connect")
    (memory $libc "memory")))
  (core func $udp (canon lower (func $udp "[static]outgoing-datagram-stream.made")))
  (core func $send (canon lower (func $udp "[method]outgoing-datagram-stream.send")
    (memory $libc "memory")))
  (core module $m
    (import "l" "memory" (memory 1))
    (import "" "look" (func $look (param i32 i32 i32 i32)))
    (import "" "next" (func $next (param i32 i32)))
    (import "" "tcp" (func $tcp (result i32)))
    (import "" "connect" (func $connect (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32
      i32 i32)))
    (import "" "udp" (func $udp (result i32)))
    (import "" "send" (func $send (param i32 i32 i32 i32)))
    (global $t (mut i32) (i32.const 0)) (global $n i32 (i32.const 7))
    (data (i32.const 256) "{names}")
    ;; Look up the name of that length at an address, the answer at another; and take one address.
    (func $resolve (param $at i32) (param $size i32) (param $to i32) (result i32)
      (call $look (global.get $n) (local.get $at) (local.get $size) (local.get $to))
      (if (i32.load8_u (local.get $to))
        (then (return (i32.add (i32.const 1) (i32.load8_u offset=4 (local.get $to))))))
      (call $next (i32.load offset=4 (local.get $to)) (i32.const 128))
      (i32.load8_u (i32.const 128)))
    ;; Connect to 192.0.2.N on a port.
    (func $to (param $last i32) (param $port i32) (result i32)
      (call $connect (global.get $t) (global.get $n) (i32.const 0) (local.get $port)
        (i32.const 192) (i32.const 0) (i32.const 2) (local.get $last) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 8))
      (select (i32.add (i32.const 1) (i32.load8_u (i32.const 9))) (i32.const 0)
        (i32.load8_u (i32.const 8))))
    ;; A datagram for 10.0.0.N, port 53, as number K of a list at 1024; none for N 0.
    (func $datagram (param $k i32) (param $last i32) (local $at i32)
      (local.set $at (i32.add (i32.const 1024) (i32.mul (local.get $k) (i32.const 44))))
      (i32.store8 offset=8 (local.get $at) (i32.ne (local.get $last) (i32.const 0)))
      (i32.store16 offset=16 (local.get $at) (i32.const 53))
      (i32.store8 offset=18 (local.get $at) (i32.const 10))
      (i32.store8 offset=21 (local.get $at) (local.get $last)))
    (func $send-all (param $count i32) (result i32)
      (call $send (call $udp) (i32.const 1024) (local.get $count) (i32.const 16))
      (select (i32.add (i32.const 1) (i32.load8_u (i32.const 24))) (i32.const 0)
        (i32.load8_u (i32.const 16))))
    (func (export "go") (result i32)
      (global.set $t (call $tcp))
      {code}))
  (core instance $m (instantiate $m (with "l" (instance $libc)) (with "" (instance
    (export "look" (func $look)) (export "next" (func $next)) (export "tcp" (func $tcp))
    (export "connect" (func $connect)) (export "udp" (func $udp))
    (export "send" (func $send))))))
  (func (export "go") (result u32) (canon lift (core func $m "go"))))"""

#: What the host knows, by name: the last number of an address of 192.0.2.0/24.
KNOWN = {"good.example": 1, "other.example": 2, "h.example": 3}


class Table:
    """A host: what reached it."""

    def __init__(self, wasm: bytes) -> None:
        self.seen: list[str] = []
        self.streams: list[str] = []
        engine = wasmtime.Engine()
        self.store = wasmtime.Store(engine)
        linker = wc.Linker(engine)
        with linker.root() as root:
            self._define(root)
        func = linker.instantiate(self.store, wc.Component(engine, wasm)).get_func(self.store, "go")
        assert func is not None
        self.func = func

    def _define(self, root: wc.LinkerInstance) -> None:
        with root.add_instance("wasi:sockets/network@0.2.0"):
            pass
        with root.add_instance("wasi:sockets/ip-name-lookup@0.2.0") as one:
            one.add_resource("resolve-address-stream", wc.ResourceType.host(2), lambda *_: None)
            one.add_func("resolve-addresses", self.look)
            one.add_func("[method]resolve-address-stream.resolve-next-address", self.next)
        with root.add_instance("wasi:sockets/tcp@0.2.0") as one:
            one.add_resource("tcp-socket", wc.ResourceType.host(3), lambda *_: None)
            one.add_func("[static]tcp-socket.made", _own(3))
            one.add_func("[method]tcp-socket.start-connect", self.connect)
        with root.add_instance("wasi:sockets/udp@0.2.0") as one:
            one.add_resource("outgoing-datagram-stream", wc.ResourceType.host(4), lambda *_: None)
            one.add_func("[static]outgoing-datagram-stream.made", _own(4))
            one.add_func("[method]outgoing-datagram-stream.send", self.send)

    def look(self, store: wasmtime.Store, _: object, name: str) -> object:
        self.seen.append(f"look {name}")
        self.streams.append(name)
        return wc.ResourceHost.own(len(self.streams) - 1, 2).to_any(store)

    def next(self, store: wasmtime.Store, stream: wc.ResourceAny) -> object:
        name = self.streams[_rep(store, stream)]
        return wc.Variant("ipv4", (192, 0, 2, KNOWN[name]))

    def connect(
        self, store: wasmtime.Store, socket: wc.ResourceAny, _: int, at: wc.Variant
    ) -> object:
        _rep(store, socket)
        self.seen.append(f"connect {'.'.join(map(str, at.payload.address))}:{at.payload.port}")
        return None

    def send(
        self, store: wasmtime.Store, stream: wc.ResourceAny, datagrams: list[object]
    ) -> object:
        _rep(store, stream)
        self.seen.append(f"send {len(datagrams)}")
        return len(datagrams)

    def go(self) -> object:
        return self.func(self.store)


def _rep(store: wasmtime.Store, borrowed: wc.ResourceAny) -> int:
    return int(borrowed.to_host(store).rep)


def _own(kind: int) -> Callable[[wasmtime.Store], object]:
    return lambda store: wc.ResourceHost.own(0, kind).to_any(store)


def table(code: str, folder: Path, rules: str, names: str = "good.exampleother.example") -> Table:
    text = NET.replace("{names}", names).replace("{code}", code)
    path = folder / "policy.yaml"
    path.write_text(f"version: 1\npermissions: {{ network: {{ {rules} }} }}\n")
    wasm = bytes(wat2wasm(text))
    Table(wasm).go()  # the program itself is sound
    found = guarded(wasm, "net.wasm", policy_of(path), "deny", "none")
    return Table(b"".join(found.pieces))


GOOD = "allow: [{ host: good.example, ports: [443] }]"
LOOK = "(drop (call $resolve (i32.const 256) (i32.const 12) (i32.const 512)))"
OTHER = "(call $resolve (i32.const 268) (i32.const 13) (i32.const 512))"
TCP: dict[str, tuple[str, str, int, list[str]]] = {
    "looked up": (LOOK + "(call $to (i32.const 1) (i32.const 443))", GOOD, 0,
                  ["look good.example", "connect 192.0.2.1:443"]),
    "another port": (LOOK + "(call $to (i32.const 1) (i32.const 80))", GOOD, 2,
                     ["look good.example"]),
    "another address": (LOOK + "(call $to (i32.const 2) (i32.const 443))", GOOD, 2,
                        ["look good.example"]),
    "not looked up": ("(call $to (i32.const 1) (i32.const 443))", GOOD, 2, []),
    "another name": (OTHER, GOOD, 2, []),
    "denied on a port": (LOOK + "(call $to (i32.const 1) (i32.const 22))",
                         "deny: [{ host: good.example, ports: [22] }]", 2, ["look good.example"]),
    "and not on others": (LOOK + "(call $to (i32.const 1) (i32.const 443))",
                          "deny: [{ host: good.example, ports: [22] }]", 0,
                          ["look good.example", "connect 192.0.2.1:443"]),
    # The answer lies over the name, whose first letter is the number of the stream then.
    "the answer over the name": (
        "(call $resolve (i32.const 256) (i32.const 12) (i32.const 252))",
        GOOD, 0, ["look good.example"]),
    "the answer over the name, then to it": (
        "(drop (call $resolve (i32.const 256) (i32.const 12) (i32.const 252)))"
        "(call $to (i32.const 1) (i32.const 22))",
        "deny: [{ host: good.example, ports: [22] }]", 2, ["look good.example"]),
}  # fmt: skip


@pytest.mark.parametrize(("code", "rules", "answer", "seen"), TCP.values(), ids=TCP)
def test_lookups(code: str, rules: str, answer: int, seen: list[str], tmp_path: Path) -> None:
    host = table(code, tmp_path, rules)
    assert (host.go(), host.seen) == (answer, seen)


UDP: dict[str, tuple[tuple[int, ...], int, int]] = {
    "one that is allowed": ((1,), 1, 0),
    "all allowed": ((1, 2, 0), 3, 0),
    "one denied among others": ((1, 2, 99, 1), 4, 2),
    "the last denied": ((1, 1, 1, 99), 4, 2),
    "behind the end": ((1, 99), 1, 0),
    "none": ((), 0, 0),
    "to whom it is connected": ((0,), 1, 0),
    "more than are looked at": ((1,), 1025, 2),
}


@pytest.mark.parametrize(("lasts", "count", "answer"), UDP.values(), ids=UDP)
def test_datagrams(lasts: tuple[int, ...], count: int, answer: int, tmp_path: Path) -> None:
    code = "".join(
        f"(call $datagram (i32.const {k}) (i32.const {last}))" for k, last in enumerate(lasts)
    )
    rules = "allow: [{ cidr: 10.0.0.0/28, ports: [53] }]"
    host = table(f"{code} (call $send-all (i32.const {count}))", tmp_path, rules)
    assert host.go() == answer
    assert host.seen == ([] if answer else [f"send {count}"])
