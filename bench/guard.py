"""What a guard costs: ns more per call that is judged and allowed, of one component by another.

    python -m bench.guard [--rounds N] [--calls N]

All variants run interleaved in one process, so that a busy machine slows them alike; the minimum of
the rounds is the figure to trust.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import wasmtime
from wasmtime import component as wc

from whamm_cm.component import build
from whamm_cm.component import nodes as n
from whamm_cm.component.decode import decode
from whamm_cm.component.encode import encode
from whamm_cm.component.items import Sort
from whamm_cm.front.guarding import guarded
from whamm_cm.front.verdict import policy_of

AIM = 30.0
TCP = "wasi:sockets/tcp@0.2.0"

_PARAMS = "(param " + "i32 " * 14 + ")"
#: A host of which every connect goes well; what it exports is the interface.
PROVIDER = f"""(component (component $provider
    (type $made (resource (rep i32))) (export $t "tcp-socket" (type $made))
    (type $4 (tuple u8 u8 u8 u8)) (export $v4 "ipv4-address" (type $4))
    (type $6 (tuple u16 u16 u16 u16 u16 u16 u16 u16)) (export $v6 "ipv6-address" (type $6))
    (type $r4 (record (field "port" u16) (field "address" $v4)))
    (export $s4 "ipv4-socket-address" (type $r4))
    (type $r6 (record (field "port" u16) (field "flow-info" u32) (field "address" $v6)
      (field "scope-id" u32)))
    (export $s6 "ipv6-socket-address" (type $r6))
    (type $s (variant (case "ipv4" $s4) (case "ipv6" $s6)))
    (export $at "ip-socket-address" (type $s))
    (type $e (enum "unknown" "access-denied")) (export $error "error-code" (type $e))
    (core func $new (canon resource.new $made))
    (core module $m (import "" "new" (func $new (param i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "made") (result i32) (call $new (i32.const 5)))
      (func (export "connect") {_PARAMS} (result i32) (i32.const 16)))
    (core instance $m (instantiate $m (with "" (instance (export "new" (func $new))))))
    (func $made-one (result (own $t)) (canon lift (core func $m "made")))
    (export "[static]tcp-socket.made" (func $made-one))
    (func $connect (param "self" (borrow $t)) (param "network" u32) (param "remote-address" $at)
      (result (result (error $error)))
      (canon lift (core func $m "connect") (memory (core memory $m "memory"))))
    (export "[method]tcp-socket.start-connect" (func $connect)))
  (instance $p (instantiate $provider)))"""
#: ``go(count, six)``: so many calls, to 10.1.2.3:443 or [2001:db8::1]:443.
CALLER = f"""(component
  (import "{TCP}" (instance $tcp
    (export "tcp-socket" (type $t (sub resource)))
    (type $4 (tuple u8 u8 u8 u8)) (export "ipv4-address" (type $v4 (eq $4)))
    (type $6 (tuple u16 u16 u16 u16 u16 u16 u16 u16)) (export "ipv6-address" (type $v6 (eq $6)))
    (type $r4 (record (field "port" u16) (field "address" $v4)))
    (export "ipv4-socket-address" (type $s4 (eq $r4)))
    (type $r6 (record (field "port" u16) (field "flow-info" u32) (field "address" $v6)
      (field "scope-id" u32)))
    (export "ipv6-socket-address" (type $s6 (eq $r6)))
    (type $s (variant (case "ipv4" $s4) (case "ipv6" $s6)))
    (export "ip-socket-address" (type $at (eq $s)))
    (type $e (enum "unknown" "access-denied")) (export "error-code" (type $error (eq $e)))
    (export "[static]tcp-socket.made" (func (result (own $t))))
    (export "[method]tcp-socket.start-connect" (func (param "self" (borrow $t))
      (param "network" u32) (param "remote-address" $at) (result (result (error $error)))))))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $made (canon lower (func $tcp "[static]tcp-socket.made")))
  (core func $connect (canon lower (func $tcp "[method]tcp-socket.start-connect")
    (memory (core memory $libc "memory"))))
  (core module $m
    (import "l" "memory" (memory 1))
    (import "" "made" (func $made (result i32)))
    (import "" "connect" (func $connect {_PARAMS} (param i32)))
    (global $t (mut i32) (i32.const 0))
    (func (export "go") (param $n i32) (param $six i32) (result i32) (local $failed i32)
      (if (i32.eqz (global.get $t)) (then (global.set $t (call $made))))
      (block $done (loop $more
        (br_if $done (i32.eqz (local.get $n)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (if (local.get $six)
          (then (call $connect (global.get $t) (i32.const 0) (i32.const 1) (i32.const 443)
            (i32.const 0) (i32.const 0x2001) (i32.const 0xdb8) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 8)))
          (else (call $connect (global.get $t) (i32.const 0) (i32.const 0) (i32.const 443)
            (i32.const 10) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 8))))
        (local.set $failed (i32.add (local.get $failed) (i32.load8_u (i32.const 8))))
        (br $more)))
      (local.get $failed)))
  (core instance $m (instantiate $m (with "l" (instance $libc)) (with "" (instance
    (export "made" (func $made)) (export "connect" (func $connect))))))
  (func (export "go") (param "count" u32) (param "six" u32) (result u32)
    (canon lift (core func $m "go"))))"""
#: Eight lines, of which the last allows what is called.
NETWORK = """permissions: { network: {
  allow: [{ host: api.example.com, ports: [443] }, { host: "*.internal.example" },
    { cidr: 192.168.0.0/16 }, { host: 127.0.0.1, ports: [80, 8080] }, { cidr: "2001:db8::/32" },
    { cidr: 10.0.0.0/8 }],
  deny: [{ cidr: 10.6.0.0/16 }, { host: secret.internal.example }] } }"""
BUDGET = 'budgets: { "wasi:sockets/tcp#*.start-connect": { max_calls_per_invocation: 4000000000 } }'
ROWS = (("no guard", "", 0), ("a budget", BUDGET, 0), ("an IPv4 address", NETWORK, 0),
        ("no guard, IPv6", "", 1), ("an IPv6 address", NETWORK, 1))  # fmt: skip


def held(policy: str) -> bytes:
    """The caller, guarded unless there is no policy, on its host."""
    caller = bytes(wasmtime.wat2wasm(CALLER))
    if policy:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "policy.yaml"
            path.write_text(f"version: 1\n{policy}\n")
            found = guarded(caller, "caller", policy_of(path), "deny", "none")
            caller = b"".join(found.pieces)
    outer = decode(bytes(wasmtime.wat2wasm(PROVIDER)))
    (host,) = (d.item for d in outer.definitions if isinstance(d.node, n.Instantiate))
    inner = build.nested_component(decode(caller))
    instance = build.instantiate(inner.item, [(TCP, host)])
    go = build.alias_export(instance.item, "go", Sort.FUNC)
    added = (inner, instance, go, build.export_plain("go", go.item))
    return encode(outer.with_definitions((*outer.definitions, *added)))


class Variant:
    def __init__(self, engine: wasmtime.Engine, policy: str, six: int) -> None:
        self.store = wasmtime.Store(engine)
        component = wc.Component(engine, held(policy))
        found = wc.Linker(engine).instantiate(self.store, component)
        func = found.get_func(self.store, "go")
        assert func is not None
        self.func, self.six = func, six

    def sample(self, calls: int) -> float:
        """ns a call."""
        before = time.perf_counter_ns()
        failed = self.func(self.store, calls, self.six)
        spent = time.perf_counter_ns() - before
        assert failed == 0, "all of them are allowed"
        return spent / calls


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.guard")
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--calls", type=int, default=1_000)
    args = parser.parse_args(given)
    engine = wasmtime.Engine()
    variants = [Variant(engine, policy, six) for _, policy, six in ROWS]
    best = [float("inf")] * len(ROWS)
    for _ in range(args.rounds):
        for k, variant in enumerate(variants):
            best[k] = min(best[k], variant.sample(args.calls))
    base = {six: best[k] for k, (_, policy, six) in enumerate(ROWS) if not policy}
    print(f"{'what is judged':<20}{'ns a call':>12}{'over no guard':>16}   at most {AIM:g}")
    for (name, _, six), ns in zip(ROWS, best, strict=True):
        print(f"{name:<20}{ns:>12.1f}{ns - base[six]:>+16.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
