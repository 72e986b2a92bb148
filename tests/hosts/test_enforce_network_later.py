"""``permissions.network`` holds what WASI 0.3 connects and sends to, on an engine that has it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from fixtures.listener import greeter
from tests.gate.attacking import guard, policy
from tests.hosts.tools import need
from whamm_cm.analysis.demands import features
from whamm_cm.component.decode import decode

#: ``ask(port)`` connects to 127.0.0.1: the error's number and 1, or 0.
ASK = """(component
  (import "wasi:sockets/types@0.3.0" (instance $sockets
    (export "tcp-socket" (type $tcp (sub resource)))
    (export "udp-socket" (type $udp (sub resource)))
    (type $4 (tuple u8 u8 u8 u8)) (export "ipv4-address" (type $v4 (eq $4)))
    (type $6 (tuple u16 u16 u16 u16 u16 u16 u16 u16)) (export "ipv6-address" (type $v6 (eq $6)))
    (type $r4 (record (field "port" u16) (field "address" $v4)))
    (export "ipv4-socket-address" (type $s4 (eq $r4)))
    (type $r6 (record (field "port" u16) (field "flow-info" u32) (field "address" $v6)
      (field "scope-id" u32)))
    (export "ipv6-socket-address" (type $s6 (eq $r6)))
    (type $s (variant (case "ipv4" $s4) (case "ipv6" $s6)))
    (export "ip-socket-address" (type $at (eq $s)))
    (type $f (enum "ipv4" "ipv6")) (export "ip-address-family" (type $family (eq $f)))
    (type $e (variant (case "access-denied") (case "not-supported") (case "invalid-argument")
      (case "out-of-memory") (case "timeout") (case "invalid-state")
      (case "address-not-bindable") (case "address-in-use") (case "remote-unreachable")
      (case "connection-refused") (case "connection-broken") (case "connection-reset")
      (case "connection-aborted") (case "datagram-too-large") (case "other" (option string))))
    (export "error-code" (type $error (eq $e)))
    (export "[static]tcp-socket.create" (func (param "address-family" $family)
      (result (result (own $tcp) (error $error)))))
    (export "[static]udp-socket.create" (func (param "address-family" $family)
      (result (result (own $udp) (error $error)))))
    (export "[method]tcp-socket.connect" (func async (param "self" (borrow $tcp))
      (param "remote-address" $at) (result (result (error $error)))))
    (export "[method]udp-socket.connect" (func (param "self" (borrow $udp))
      (param "remote-address" $at) (result (result (error $error)))))
    (export "[method]udp-socket.send" (func async (param "self" (borrow $udp))
      (param "data" (list u8)) (param "remote-address" (option $at))
      (result (result (error $error)))))))
  (core module $libc (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (core func $tcp (canon lower (func $sockets "[static]tcp-socket.create")
    (memory $memory) (realloc $realloc)))
  (core func $udp (canon lower (func $sockets "[static]udp-socket.create")
    (memory $memory) (realloc $realloc)))
  (core func $connect (canon lower (func $sockets "[method]tcp-socket.connect")
    (memory $memory) (realloc $realloc)))
  (core func $connect-async (canon lower (func $sockets "[method]tcp-socket.connect") async
    (memory $memory) (realloc $realloc)))
  (core func $connect-udp (canon lower (func $sockets "[method]udp-socket.connect")
    (memory $memory) (realloc $realloc)))
  (core func $send (canon lower (func $sockets "[method]udp-socket.send")
    (memory $memory) (realloc $realloc)))
  (core func $set-new (canon waitable-set.new))
  (core func $set-wait (canon waitable-set.wait (memory $memory)))
  (core func $join (canon waitable.join))
  (core func $return (canon task.return (result u32)))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "tcp" (func $tcp (param i32 i32)))
    (import "" "udp" (func $udp (param i32 i32)))
    (import "" "connect" (func $connect
      (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "" "connect-async" (func $connect-async (param i32 i32) (result i32)))
    (import "" "connect-udp" (func $connect-udp
      (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "" "send" (func $send (param i32 i32 i32)
      (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (param i32)))
    (import "" "set-new" (func $set-new (result i32)))
    (import "" "set-wait" (func $set-wait (param i32 i32) (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (import "" "return" (func $return (param i32)))
    (global $port (mut i32) (i32.const 0))
    ;; 127.0.0.1 and the port, as an ip-socket-address in memory
    (func $address (param $at i32)
      (i32.store8 (local.get $at) (i32.const 0))
      (i32.store16 offset=4 (local.get $at) (global.get $port))
      (i32.store offset=6 (local.get $at) (i32.const 0x0100007f)))
    (func $told (result i32)
      (select (i32.add (i32.const 1) (i32.load8_u (i32.const 68))) (i32.const 0)
        (i32.load8_u (i32.const 64))))
    (func $work (result i32) {code} (call $told))
    (func (export "ask") (param i32) (result i32)
      (global.set $port (local.get 0)) (i32.const 1))
    (func (export "later") (param i32 i32 i32) (result i32)
      (call $return (call $work)) (i32.const 0)))
  (core instance $m (instantiate $m (with "" (instance
    (export "memory" (memory $memory)) (export "tcp" (func $tcp)) (export "udp" (func $udp))
    (export "connect" (func $connect)) (export "connect-async" (func $connect-async))
    (export "connect-udp" (func $connect-udp)) (export "send" (func $send))
    (export "set-new" (func $set-new)) (export "set-wait" (func $set-wait))
    (export "join" (func $join)) (export "return" (func $return))))))
  (func (export "ask") async (param "port" u32) (result u32)
    (canon lift (core func $m "ask") async (callback (func $m "later")))))"""
_FLAT = """(i32.load (i32.const 52)) (i32.const 0) (global.get $port) (i32.const 127)
  (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)
  (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64)"""
WAYS = {
    "a call": f"(call $tcp (i32.const 0) (i32.const 48)) (call $connect {_FLAT})",
    "a call that goes on": """(local $state i32) (local $set i32)
      (call $tcp (i32.const 0) (i32.const 48))
      (i32.store (i32.const 256) (i32.load (i32.const 52))) (call $address (i32.const 260))
      (local.set $state (call $connect-async (i32.const 256) (i32.const 64)))
      (if (i32.ne (local.get $state) (i32.const 2)) (then
        (local.set $set (call $set-new))
        (call $join (i32.shr_u (local.get $state) (i32.const 4)) (local.get $set))
        (drop (call $set-wait (local.get $set) (i32.const 0)))))""",
    "udp, connected": f"(call $udp (i32.const 0) (i32.const 48)) (call $connect-udp {_FLAT})",
    "udp, sent to": """(call $udp (i32.const 0) (i32.const 48))
      (call $send (i32.load (i32.const 52)) (i32.const 512) (i32.const 3) (i32.const 1)
        (i32.const 0) (global.get $port) (i32.const 127) (i32.const 0) (i32.const 0) (i32.const 1)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 64))""",
}


def ask(wasm: bytes, folder: Path, port: int) -> str:
    (folder / "app.wasm").write_bytes(wasm)
    wanted = [f"-Wcomponent-model-{one}" for one in features(decode(wasm))]
    ran = subprocess.run(
        [need("wasmtime")[0], "run", "-Sp3,inherit-network", *wanted, "--invoke", f"ask({port})",
         "app.wasm"],
        capture_output=True, text=True, cwd=folder, timeout=60, check=False,
    )  # fmt: skip
    return ran.stdout.strip() or ran.stderr


@pytest.mark.parametrize("code", WAYS.values(), ids=WAYS)
def test_where_it_may(code: str, tmp_path: Path) -> None:
    wasm = bytes(wat2wasm(ASK.replace("{code}", code)))
    with greeter() as mine, greeter() as other:
        here, there = (int(one.partition(":")[2]) for one in (mine, other))
        assert ask(wasm, tmp_path, there) == "0"
        rules = f"permissions: {{ network: {{ allow: [{{ host: 127.0.0.1, ports: [{here}] }}] }} }}"
        held = guard(wasm, policy(rules, tmp_path))
        assert ask(held, tmp_path, here) == "0"
        assert ask(held, tmp_path, there) == "1"  # access-denied, which is case 0
