"""Two components that call each other asynchronously, in every way such a call can come to its end.

``caller(way)`` calls ``f`` of ``callee(kind)`` with 7, looks at what it gets, which is 70 and
"abc", calls ``mark`` and returns 70.
"""

from __future__ import annotations

from typing import Final

#: How the callee answers: lifted with a callback, at once or after it has yielded; without; not
#: asynchronously at all.
KINDS: Final = ("now", "later", "stackful", "sync")
#: How the caller gets to know.
WAYS: Final = ("sync", "wait", "poll", "callback")

_RETURN = "(call $return (i32.mul {n} (i32.const 10)) (i32.const 100) (i32.const 3))"
_CODE = {
    "now": f"""(func (export "f") (param i32) (result i32)
        {_RETURN.format(n="(local.get 0)")} (i32.const 0))
      (func (export "f-cb") (param i32 i32 i32) (result i32) unreachable)""",
    "later": f"""(func (export "f") (param i32) (result i32)
        (call $set (local.get 0)) (i32.const 1))
      (func (export "f-cb") (param i32 i32 i32) (result i32)
        {_RETURN.format(n="(call $get)")} (i32.const 0))""",
    "stackful": f"""(func (export "f") (param i32)
        (drop (call $yield)) {_RETURN.format(n="(local.get 0)")})""",
    "sync": """(func (export "f") (param i32) (result i32)
        (i32.store (i32.const 16) (i32.mul (local.get 0) (i32.const 10)))
        (i32.store (i32.const 20) (i32.const 100)) (i32.store (i32.const 24) (i32.const 3))
        (i32.const 16))""",
}
_LIFT = {
    "now": 'async (callback (func $m "f-cb"))',
    "later": 'async (callback (func $m "f-cb"))',
    "stackful": "async",
    "sync": "",
}


def callee(kind: str) -> str:
    return f"""(component $C
    (type $pair (tuple u32 string))
    (core module $Memory (memory (export "mem") 1) (data (i32.const 100) "abc")
      (global $next (mut i32) (i32.const 1024))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (global.set $next (i32.add (global.get $next) (i32.const 64)))
        (global.get $next)))
    (core instance $memory (instantiate $Memory))
    (core func $get (canon context.get i32 0))
    (core func $set (canon context.set i32 0))
    (core func $yield (canon thread.yield))
    (core func $return (canon task.return (result $pair) (memory $memory "mem")))
    (core module $M
      (import "" "mem" (memory 1))
      (import "" "get" (func $get (result i32)))
      (import "" "set" (func $set (param i32)))
      (import "" "yield" (func $yield (result i32)))
      (import "" "return" (func $return (param i32 i32 i32)))
      (func (export "mark"))
      {_CODE[kind]})
    (core instance $m (instantiate $M (with "" (instance
      (export "mem" (memory $memory "mem")) (export "get" (func $get)) (export "set" (func $set))
      (export "yield" (func $yield)) (export "return" (func $return))))))
    (func (export "mark") (canon lift (core func $m "mark")))
    (func (export "f") async (param "n" u32) (result $pair)
      (canon lift (core func $m "f") {_LIFT[kind]} (memory $memory "mem")
        (realloc (func $memory "realloc")))))"""


_FINISH = """(func $finish (result i32)
        (if (i32.ne (i32.load (i32.const 40)) (i32.const 3)) (then unreachable))
        (if (i32.ne (i32.load8_u offset=2 (i32.load (i32.const 36))) (i32.const 99))
          (then unreachable))
        (call $mark)
        (i32.load (i32.const 32)))"""
_BEGIN = """(func $begin (result i32)
        (local $status i32)
        (local.set $status (call $f (i32.const 7) (i32.const 32)))
        (if (i32.eq (i32.and (local.get $status) (i32.const 15)) (i32.const 2))
          (then (return (i32.const 0))))
        (local.set $status (i32.shr_u (local.get $status) (i32.const 4)))
        (call $join (local.get $status) (global.get $set))
        (local.get $status))
      (func $end (param $it i32)
        (call $join (local.get $it) (i32.const 0)) (call $drop (local.get $it)))"""
_RUN = {
    "sync": f"""{_FINISH}
      (func (export "run") (result i32) (call $f (i32.const 7) (i32.const 32)) (call $finish))""",
    "wait": f"""{_FINISH} {_BEGIN}
      (func (export "run") (result i32) (local $it i32)
        (local.set $it (call $begin))
        (if (local.get $it) (then
          (loop $again
            (if (i32.ne (call $wait (global.get $set) (i32.const 64)) (i32.const 1))
              (then unreachable))
            (br_if $again (i32.ne (i32.load (i32.const 68)) (i32.const 2))))
          (call $end (local.get $it))))
        (call $finish))""",
    "poll": f"""{_FINISH} {_BEGIN}
      (func (export "run") (result i32) (local $it i32)
        (local.set $it (call $begin))
        (if (local.get $it) (then
          (loop $again
            (drop (call $yield))
            (br_if $again (i32.eqz (call $poll (global.get $set) (i32.const 64))))
            (br_if $again (i32.ne (i32.load (i32.const 68)) (i32.const 2))))
          (call $end (local.get $it))))
        (call $finish))""",
    "callback": f"""{_FINISH} {_BEGIN}
      (func (export "run") (result i32)
        (if (call $begin) (then
          (return (i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4))))))
        (call $return (call $finish))
        (i32.const 0))
      (func (export "run-cb") (param $code i32) (param $it i32) (param $state i32) (result i32)
        (if (i32.ne (local.get $code) (i32.const 1)) (then unreachable))
        (if (i32.ne (local.get $state) (i32.const 2)) (then
          (return (i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4))))))
        (call $end (local.get $it))
        (call $return (call $finish))
        (i32.const 0))""",
}


def caller(way: str) -> str:
    lowered = "" if way == "sync" else "async"
    status = "" if way == "sync" else "(result i32)"
    lift = 'async (callback (func $m "run-cb"))' if way == "callback" else ""
    return f"""(component $D
    (type $pair (tuple u32 string))
    (import "mark" (func $mark))
    (import "f" (func $f async (param "n" u32) (result $pair)))
    (core module $Memory (memory (export "mem") 1)
      (global $next (mut i32) (i32.const 1024))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (global.set $next (i32.add (global.get $next) (i32.const 64)))
        (global.get $next)))
    (core instance $memory (instantiate $Memory))
    (core func $mark' (canon lower (func $mark)))
    (core func $f' (canon lower (func $f) {lowered} (memory $memory "mem")
      (realloc (func $memory "realloc"))))
    (core func $drop (canon subtask.drop))
    (core func $new (canon waitable-set.new))
    (core func $join (canon waitable.join))
    (core func $wait (canon waitable-set.wait (memory $memory "mem")))
    (core func $poll (canon waitable-set.poll (memory $memory "mem")))
    (core func $yield (canon thread.yield))
    (core func $return (canon task.return (result u32)))
    (core module $M
      (import "" "mem" (memory 1))
      (import "" "mark" (func $mark))
      (import "" "f" (func $f (param i32 i32) {status}))
      (import "" "drop" (func $drop (param i32)))
      (import "" "new" (func $new (result i32)))
      (import "" "join" (func $join (param i32 i32)))
      (import "" "wait" (func $wait (param i32 i32) (result i32)))
      (import "" "poll" (func $poll (param i32 i32) (result i32)))
      (import "" "yield" (func $yield (result i32)))
      (import "" "return" (func $return (param i32)))
      (global $set (mut i32) (i32.const 0))
      (func $start (global.set $set (call $new)))
      (start $start)
      {_RUN[way]})
    (core instance $m (instantiate $M (with "" (instance
      (export "mem" (memory $memory "mem")) (export "mark" (func $mark'))
      (export "f" (func $f')) (export "drop" (func $drop)) (export "new" (func $new))
      (export "join" (func $join)) (export "wait" (func $wait)) (export "poll" (func $poll))
      (export "yield" (func $yield)) (export "return" (func $return))))))
    (func (export "run") async (result u32) (canon lift (core func $m "run") {lift})))"""


def both(kind: str, way: str) -> str:
    return f"""(component
  {callee(kind)}
  {caller(way)}
  (instance $c (instantiate $C))
  (instance $d (instantiate $D (with "f" (func $c "f")) (with "mark" (func $c "mark"))))
  (func (export "run") (alias export $d "run")))"""
