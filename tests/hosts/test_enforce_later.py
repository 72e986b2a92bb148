"""No way leads past a guard on an engine with tasks: what is denied before a call, in a callback,
in another thread and by a call that would go on later."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from tests.gate.attacking import guard, policy
from tests.hosts.tools import need
from whamm_cm.analysis.demands import features
from whamm_cm.component.decode import decode

DENIED = 'imports: { deny: ["wasi:clocks/monotonic-clock#{now,wait-for}"] }'
TWICE = 'budgets: { "wasi:clocks/monotonic-clock#now": { max_calls_per_invocation: 2 } }'
#: ``ask()`` hands over how often it was let through, which is more than zero.
ASK = """(component
  (import "wasi:clocks/monotonic-clock@0.3.0" (instance $clock
    (export "now" (func (result u64)))
    (export "wait-for" (func async (param "how-long" u64)))))
  (core module $lib (memory (export "memory") 1) (table (export "t") 2 2 funcref))
  (core instance $lib (instantiate $lib))
  (alias core export $lib "memory" (core memory $memory))
  (alias core export $lib "t" (core table $t))
  (core func $now (canon lower (func $clock "now")))
  (core func $wait (canon lower (func $clock "wait-for")))
  (core func $wait-async (canon lower (func $clock "wait-for") async (memory $memory)))
  (core func $return (canon task.return (result u64)))
  {defined}
  (core module $m
    (import "" "now" (func $now (result i64)))
    (import "" "wait" (func $wait (param i64)))
    (import "" "wait-async" (func $wait-async (param i64) (result i32)))
    (import "" "return" (func $return (param i64)))
    (import "" "t" (table $t 2 2 funcref))
    {taken}
    (global $n (mut i64) (i64.const 0))
    (func $count (if (i64.eqz (call $now)) (then (unreachable)))
      (global.set $n (i64.add (global.get $n) (i64.const 1))))
    (func $end (call $return (global.get $n)))
    {code})
  (core instance $m (instantiate $m (with "" (instance
    (export "now" (func $now)) (export "wait" (func $wait))
    (export "wait-async" (func $wait-async)) (export "return" (func $return))
    (export "t" (table $t)) {given}))))
  (func (export "ask") async (result u64) (canon lift (core func $m "ask") async {lift})))"""
CALLBACK = '(callback (core func $m "later"))'


def asking(code: str, defined: str = "", taken: str = "", given: str = "") -> str:
    lift = CALLBACK if '"later"' in code else ""
    parts = {"code": code, "defined": defined, "taken": taken, "given": given, "lift": lift}
    text = ASK
    for name, part in parts.items():
        text = text.replace("{" + name + "}", part)
    return text


_LATER = '(func (export "later") (param i32 i32 i32) (result i32)'
ATTACKS = {
    "before it returns": asking('(func (export "ask") (call $count) (call $end))'),
    "after it has returned": asking(
        f"""(func (export "ask") (result i32) (i32.const 1))
        {_LATER} (call $return (i64.const 1)) (call $count) (i32.const 0))"""
    ),
    "in a callback": asking(
        f"""(func (export "ask") (result i32) (i32.const 1))
        {_LATER} (call $count) (call $end) (i32.const 0))"""
    ),
    "by a call that waits": asking(
        '(func (export "ask") (call $wait (i64.const 1)) (call $return (i64.const 1)))'
    ),
    "by one that goes on": asking(
        """(func (export "ask") (drop (call $wait-async (i64.const 1000000)))
        (call $return (i64.const 1)))"""
    ),
    "in another thread": asking(
        """(func $other (param i32) (call $count) (call $end))
        (elem (table $t) (i32.const 0) func $other)
        (func (export "ask") (drop (call $resume (call $new (i32.const 0) (i32.const 0)))))""",
        """(core type $start (func (param i32)))
        (core func $new (canon thread.new-indirect $start (core table $t)))
        (core func $resume (canon thread.yield-then-resume))""",
        """(import "" "new" (func $new (param i32 i32) (result i32)))
        (import "" "resume" (func $resume (param i32) (result i32)))""",
        '(export "new" (func $new)) (export "resume" (func $resume))',
    ),
}
TOO_MANY = {
    "callback after callback": asking(
        f"""(func (export "ask") (result i32) (i32.const 1))
        {_LATER} (call $count) (if (i64.lt_u (global.get $n) (i64.const 5))
          (then (return (i32.const 1)))) (call $end) (i32.const 0))"""
    ),
    "around a wait": asking(
        """(func (export "ask") (call $count) (call $wait (i64.const 1)) (call $count)
        (call $wait (i64.const 1)) (call $count) (call $end))"""
    ),
    "after it has returned": asking(
        f"""(func (export "ask") (result i32) (call $count) (i32.const 1))
        {_LATER} (call $return (i64.const 1)) (call $count) (call $count) (i32.const 0))"""
    ),
}


def run(wasm: bytes, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "app.wasm").write_bytes(wasm)
    wanted = [f"-Wcomponent-model-{one}" for one in features(decode(wasm))]
    command = [need("wasmtime")[0], "run", "-Sp3", *wanted, "--invoke", "ask()", "app.wasm"]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("text", "rules"),
    [(text, DENIED) for text in ATTACKS.values()] + [(text, TWICE) for text in TOO_MANY.values()],
    ids=[*ATTACKS, *(f"too often, {name}" for name in TOO_MANY)],
)
def test_what_is_denied(text: str, rules: str, tmp_path: Path) -> None:
    wasm = wat2wasm(text)
    before = run(wasm, tmp_path)
    assert before.returncode == 0 and int(before.stdout) > 0, before.stderr
    after = run(guard(wasm, policy(rules, tmp_path)), tmp_path)
    assert after.returncode != 0 and "unreachable" in after.stderr
