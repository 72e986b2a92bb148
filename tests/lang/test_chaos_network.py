"""Faults of sockets and of writes, as a component meets them that binds, listens, looks up and
waits for room.  Nothing leaves this machine."""

from __future__ import annotations

import re

import pytest
from wasmtime import wat2wasm

from whamm_cm import load
from whamm_cm.front.run import Run

CODES = [
    "unknown",
    "access-denied",
    "not-supported",
    "invalid-argument",
    "out-of-memory",
    "timeout",
    "concurrency-conflict",
    "not-in-progress",
    "would-block",
    "invalid-state",
    "new-socket-limit",
    "address-not-bindable",
    "address-in-use",
    "remote-unreachable",
    "connection-refused",
    "connection-reset",
    "connection-aborted",
    "datagram-too-large",
    "name-unresolvable",
    "temporary-resolver-failure",
    "permanent-resolver-failure",
]
#: Flat: 127.0.0.1 with port 0, as an ip-socket-address of 12 slots.
HERE = "(i32.const 0) (i32.const 0) (i32.const 127) (i32.const 0) (i32.const 0) (i32.const 1)" + (
    " (i32.const 0)" * 6
)
NOWHERE = "(i32.const 0)" * 13
SLOTS = "i32 " * 12


def uses(*pairs: tuple[str, str]) -> str:
    """Types of outer instances, exported again as an interface does that uses them."""
    return "\n".join(
        f"(alias outer $root ${outer} (type ${name}'))\n"
        f'(export "{name}" (type ${name} (eq ${name}\')))'
        for outer, name in pairs
    )


def imported(name: str, *types: str, body: str) -> str:
    aliases = "\n".join(f'(alias export ${name} "{t}" (type ${t}))' for t in types)
    package = "io" if name in ("streams", "error") else "http" if name == "types" else "sockets"
    return f'(import "wasi:{package}/{name}@0.2.0" (instance ${name} {body}))\n{aliases}\n'


ERROR, FAMILY = ("error-code", "error-code"), ("ip-address-family", "ip-address-family")
ADDRESS, NETWORK = ("ip-socket-address", "ip-socket-address"), ("network", "network")
UNIT = "(result (result (error $error-code)))"
SOCKETS = (
    imported(
        "network", "network", "error-code", "ip-address-family", "ip-socket-address",
        body=f"""
        (export "network" (type (sub resource)))
        (type $c (enum {" ".join(f'"{code}"' for code in CODES)}))
        (export "error-code" (type (eq $c)))
        (type $f (enum "ipv4" "ipv6")) (export "ip-address-family" (type (eq $f)))
        (type $t4 (tuple u8 u8 u8 u8)) (export "ipv4-address" (type $a4 (eq $t4)))
        (type $t6 (tuple u16 u16 u16 u16 u16 u16 u16 u16))
        (export "ipv6-address" (type $a6 (eq $t6)))
        (type $s4 (record (field "port" u16) (field "address" $a4)))
        (export "ipv4-socket-address" (type $v4 (eq $s4)))
        (type $s6 (record (field "port" u16) (field "flow-info" u32) (field "address" $a6)
          (field "scope-id" u32)))
        (export "ipv6-socket-address" (type $v6 (eq $s6)))
        (type $s (variant (case "ipv4" $v4) (case "ipv6" $v6)))
        (export "ip-socket-address" (type (eq $s)))""",
    )
    + imported("instance-network", body=uses(NETWORK) + """
        (export "instance-network" (func (result (own $network))))""")
    + imported("ip-name-lookup", body=uses(NETWORK, ERROR) + """
        (export "resolve-address-stream" (type $found (sub resource)))
        (export "resolve-addresses" (func (param "network" (borrow $network)) (param "name" string)
          (result (result (own $found) (error $error-code)))))""")
    + imported("tcp", "tcp-socket", body=uses(NETWORK, ERROR, ADDRESS) + f"""
        (export "tcp-socket" (type $t (sub resource)))
        (export "[method]tcp-socket.start-bind" (func (param "self" (borrow $t))
          (param "network" (borrow $network)) (param "local-address" $ip-socket-address) {UNIT}))
        (export "[method]tcp-socket.finish-bind" (func (param "self" (borrow $t)) {UNIT}))
        (export "[method]tcp-socket.start-listen" (func (param "self" (borrow $t)) {UNIT}))""")
    + imported("tcp-create-socket", body=uses(ERROR, FAMILY, ("tcp-socket", "tcp-socket")) + """
        (export "create-tcp-socket" (func (param "address-family" $ip-address-family)
          (result (result (own $tcp-socket) (error $error-code)))))""")
    + imported("udp", "udp-socket", body=uses(NETWORK, ERROR, ADDRESS) + f"""
        (export "udp-socket" (type $u (sub resource)))
        (export "incoming-datagram-stream" (type $in (sub resource)))
        (export "outgoing-datagram-stream" (type $out (sub resource)))
        (type $i' (record (field "data" (list u8)) (field "remote-address" $ip-socket-address)))
        (export "incoming-datagram" (type $i (eq $i')))
        (type $o' (record (field "data" (list u8))
          (field "remote-address" (option $ip-socket-address))))
        (export "outgoing-datagram" (type $o (eq $o')))
        (export "[method]udp-socket.start-bind" (func (param "self" (borrow $u))
          (param "network" (borrow $network)) (param "local-address" $ip-socket-address) {UNIT}))
        (export "[method]udp-socket.finish-bind" (func (param "self" (borrow $u)) {UNIT}))
        (export "[method]udp-socket.stream" (func (param "self" (borrow $u))
          (param "remote-address" (option $ip-socket-address))
          (result (result (tuple (own $in) (own $out)) (error $error-code)))))
        (export "[method]incoming-datagram-stream.receive" (func (param "self" (borrow $in))
          (param "max-results" u64) (result (result (list $i) (error $error-code)))))
        (export "[method]outgoing-datagram-stream.check-send" (func (param "self" (borrow $out))
          (result (result u64 (error $error-code)))))
        (export "[method]outgoing-datagram-stream.send" (func (param "self" (borrow $out))
          (param "datagrams" (list $o)) (result (result u64 (error $error-code)))))""")
    + imported("udp-create-socket", body=uses(ERROR, FAMILY, ("udp-socket", "udp-socket")) + """
        (export "create-udp-socket" (func (param "address-family" $ip-address-family)
          (result (result (own $udp-socket) (error $error-code)))))""")
)  # fmt: skip
HTTP = (
    imported("error", "error", body='(export "error" (type (sub resource)))')
    + imported("streams", "output-stream", body=uses(("error", "error")) + """
        (export "output-stream" (type $o (sub resource)))
        (type $e' (variant (case "last-operation-failed" (own $error)) (case "closed")))
        (export "stream-error" (type $e (eq $e')))
        (export "[method]output-stream.check-write" (func (param "self" (borrow $o))
          (result (result u64 (error $e)))))""")
    + imported("types", body=uses(("output-stream", "output-stream")) + """
        (export "fields" (type $f (sub resource)))
        (export "outgoing-response" (type $r (sub resource)))
        (export "outgoing-body" (type $b (sub resource)))
        (export "[constructor]fields" (func (result (own $f))))
        (export "[constructor]outgoing-response" (func (param "headers" (own $f))
          (result (own $r))))
        (export "[method]outgoing-response.body" (func (param "self" (borrow $r))
          (result (result (own $b)))))
        (export "[method]outgoing-body.write" (func (param "self" (borrow $b))
          (result (result (own $output-stream)))))""")
)  # fmt: skip

#: Functions by a short name: where they are, and their core types.
FUNCTIONS = {
    "network": ("instance-network", "instance-network", "(result i32)"),
    "lookup": ("ip-name-lookup", "resolve-addresses", "(param i32 i32 i32 i32)"),
    "tcp": ("tcp-create-socket", "create-tcp-socket", "(param i32 i32)"),
    "bind": ("tcp", "[method]tcp-socket.start-bind", f"(param i32 i32 {SLOTS} i32)"),
    "bound": ("tcp", "[method]tcp-socket.finish-bind", "(param i32 i32)"),
    "listen": ("tcp", "[method]tcp-socket.start-listen", "(param i32 i32)"),
    "udp": ("udp-create-socket", "create-udp-socket", "(param i32 i32)"),
    "ubind": ("udp", "[method]udp-socket.start-bind", f"(param i32 i32 {SLOTS} i32)"),
    "ubound": ("udp", "[method]udp-socket.finish-bind", "(param i32 i32)"),
    "stream": ("udp", "[method]udp-socket.stream", f"(param i32 i32 {SLOTS} i32)"),
    "receive": ("udp", "[method]incoming-datagram-stream.receive", "(param i32 i64 i32)"),
    "check": ("udp", "[method]outgoing-datagram-stream.check-send", "(param i32 i32)"),
    "send": ("udp", "[method]outgoing-datagram-stream.send", "(param i32 i32 i32 i32)"),
}
BODY = {
    "fields": ("types", "[constructor]fields", "(result i32)"),
    "response": ("types", "[constructor]outgoing-response", "(param i32) (result i32)"),
    "body": ("types", "[method]outgoing-response.body", "(param i32 i32)"),
    "write": ("types", "[method]outgoing-body.write", "(param i32 i32)"),
    "room": ("streams", "[method]output-stream.check-write", "(param i32 i32)"),
}


def component(imports: str, functions: dict[str, tuple[str, str, str]], code: str) -> bytes:
    """``code`` exports ``go: func(n: u32) -> u32``; results are at address 64."""
    lowers = "\n".join(
        f'(core func ${name} (canon lower (func ${where} "{func}") (memory $c "memory")'
        f' (realloc (func $c "realloc"))))'
        for name, (where, func, _) in functions.items()
    )
    core = "\n".join(
        f'(import "" "{name}" (func ${name} {types}))' for name, (_, _, types) in functions.items()
    )
    given = " ".join(f'(export "{name}" (func ${name}))' for name in functions)
    return bytes(
        wat2wasm(f"""(component $root {imports}
      (core module $libc (memory (export "memory") 1)
        (data (i32.const 16) "localhost")
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
      (core instance $c (instantiate $libc))
      {lowers}
      (core module $main (import "" "memory" (memory 1)) {core}
        (func $tag (result i32) (i32.load8_u (i32.const 64)))
        (func $value (result i32) (i32.load (i32.const 68)))
        (func (export "go") (param $n i32) (result i32) (local $s i32) (local $net i32)
          {code}))
      (core instance $main (instantiate $main
        (with "" (instance (export "memory" (memory $c "memory")) {given}))))
      (func (export "go") (param "n" u32) (result u32) (canon lift (core func $main "go"))))""")
    )


def fails(step: int, at: int) -> str:
    """Return 1000 for each step, and the error's number at an address, if there is one."""
    return (
        f"(if (call $tag) (then (return (i32.add (i32.const {step * 1000})"
        f" (i32.load8_u (i32.const {at}))))))"
    )


START = (
    """(local.set $net (call $network))
(call ${kind} (i32.const 0) (i32.const 64))"""
    + fails(1, 68)
    + "(local.set $s (call $value))"
)
LISTENS = f"""{START.replace("{kind}", "tcp")}
(call $bind (local.get $s) (local.get $net) {HERE} (i32.const 64)) {fails(2, 65)}
(call $bound (local.get $s) (i32.const 64)) {fails(3, 65)}
(call $listen (local.get $s) (i32.const 64)) {fails(4, 65)}
(i32.const 0)"""
LOOKS_UP = f"""(local.set $net (call $network))
(call $lookup (local.get $net) (i32.const 16) (i32.const 9) (i32.const 64)) {fails(1, 68)}
(i32.const 0)"""
TALKS = f"""{START.replace("{kind}", "udp")}
(call $ubind (local.get $s) (local.get $net) {HERE} (i32.const 64)) {fails(2, 65)}
(call $ubound (local.get $s) (i32.const 64)) {fails(3, 65)}
(call $stream (local.get $s) {NOWHERE} (i32.const 64)) {fails(4, 68)}
(local.set $net (i32.load (i32.const 72)))
(call $receive (call $value) (i64.const 4) (i32.const 64)) {fails(5, 68)}
(call $send (local.get $net) (i32.const 0) (i32.const 0) (i32.const 64)) {fails(6, 72)}
(i32.const 0)"""
#: How often of ``n`` times there was no room to send.
WAITS = f"""{START.replace("{kind}", "udp")}
(call $ubind (local.get $s) (local.get $net) {HERE} (i32.const 64))
(call $ubound (local.get $s) (i32.const 64))
(call $stream (local.get $s) {NOWHERE} (i32.const 64)) {fails(4, 68)}
(local.set $net (i32.load (i32.const 72)))
(call $receive (call $value) (i64.const 4) (i32.const 64))
(local.set $s (i32.const 0))
(loop $again
  (call $check (local.get $net) (i32.const 64))
  (local.set $s (i32.add (local.get $s) (i64.eqz (i64.load (i32.const 72)))))
  (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
(local.get $s)"""
#: And to write a body.
WRITES = """(local.set $s (call $response (call $fields)))
(call $body (local.get $s) (i32.const 64))
(call $write (call $value) (i32.const 64))
(local.set $net (call $value))
(local.set $s (i32.const 0))
(loop $again
  (call $room (local.get $net) (i32.const 64))
  (if (call $tag) (then (return (i32.const 1000))))
  (local.set $s (i32.add (local.get $s) (i64.eqz (i64.load (i32.const 72)))))
  (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
(local.get $s)"""


def chaos(wasm: bytes, **define: object) -> Run:
    return load(wasm).trace(
        monitor="chaos", define=define, invoke="go(6)", network=True, flush="each"
    )


def told(found: Run) -> list[str]:
    return [re.sub("^fault (root:)?", "", one.text) for one in found.prints]


@pytest.mark.parametrize(
    ("code", "number", "fault", "step"),
    [
        (LISTENS, 1, "create-tcp-socket: new-socket-limit", 1),
        (LISTENS, 2, "tcp-socket.start-bind: access-denied", 2),
        (LISTENS, 3, "tcp-socket.start-listen: access-denied", 4),
        (LOOKS_UP, 1, "resolve-addresses: temporary-resolver-failure", 1),
        (TALKS, 1, "create-udp-socket: new-socket-limit", 1),
        (TALKS, 2, "udp-socket.start-bind: access-denied", 2),
        (TALKS, 3, "incoming-datagram-stream.receive: remote-unreachable", 5),
        (TALKS, 4, "outgoing-datagram-stream.send: remote-unreachable", 6),
    ],
)
def test_each_fault_of_sockets_is_what_the_guest_gets(
    code: str, number: int, fault: str, step: int
) -> None:
    wasm = component(SOCKETS, FUNCTIONS, code)
    found = chaos(wasm, what="errors", only=f"root:{number}")
    assert told(found) == [f"{number}: {fault}"]
    assert found.value == step * 1000 + CODES.index(fault.partition(": ")[2])


@pytest.mark.parametrize("code", [LISTENS, LOOKS_UP, TALKS])
def test_without_faults_nothing_fails(code: str) -> None:
    assert chaos(component(SOCKETS, FUNCTIONS, code), what="errors", rate=0).value == 0


def test_datagrams_come_one_by_one_and_wait_for_room() -> None:
    """Not twice in a row: whoever asks again gets on."""
    found = chaos(component(SOCKETS, FUNCTIONS, WAITS), what="short", rate=1)
    assert [one.partition(": ")[2] for one in told(found)] == [
        "incoming-datagram-stream.receive: short",
        *["outgoing-datagram-stream.check-send: short"] * 3,
    ]
    assert found.value == 3


def test_a_body_waits_for_room() -> None:
    wasm = component(HTTP, BODY, WRITES)
    found = chaos(wasm, what="short", rate=1)
    assert [one.partition(": ")[2] for one in told(found)] == [
        "output-stream.check-write: short"
    ] * 3
    assert found.value == 3
    assert chaos(wasm, what="dropped", rate=1).value == 1000
    assert chaos(wasm, what="short", rate=0).value == 0
