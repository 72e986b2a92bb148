"""Components that call what the policy denies, each by another way of being put together.

All but a few end in ``get-random-u64`` of ``wasi:random/random``, and export ``ask``.
"""

from __future__ import annotations

IMPORT = """(import "wasi:random/random@0.2.0" (instance $random
  (export "get-random-u64" (func (result u64)))))"""
LOWER = '(core func $f (canon lower (func $random "get-random-u64")))'
GIVE = '(with "" (instance (export "f" (func $f))))'
TAKE = '(import "" "f" (func $f (result i64)))'
LIFT = '(func (export "ask") (result u64) (canon lift (core func $m "ask")))'
#: A component that calls the function it is given by the name ``harmless``.
INNER = f"""(import "harmless" (func $h (result u64)))
  (core func $f (canon lower (func $h)))
  (core module $m {TAKE} (func (export "ask") (result i64) (call $f)))
  (core instance $m (instantiate $m {GIVE}))
  {LIFT}"""
CALLING = "(call $f)"


def module(body: str, more: str = "", start: str = "") -> str:
    """A root with one core module: ``ask`` is ``body``; ``more`` is in the module, too."""
    return f"""(component {IMPORT} {LOWER}
      (core module $m {TAKE} {more} (func $ask (export "ask") (result i64) {body}) {start})
      (core instance $m (instantiate $m {GIVE})) {LIFT})"""


def named(name: str, between: str = "", of: str = "random") -> str:
    return f"""(component
      (import "{name}" (instance $random (export "get-random-u64" (func (result u64)))))
      {between}
      (core func $f (canon lower (func ${of} "get-random-u64")))
      (core module $m {TAKE} (func (export "ask") (result i64) {CALLING}))
      (core instance $m (instantiate $m {GIVE})) {LIFT})"""


def rooted(inner: str, ask: str = '(export "ask" (func $i "ask"))') -> str:
    return f"(component {IMPORT} {inner} {ask})"


def deep(levels: int) -> str:
    """The function goes down through that many components, by another name in each."""
    text = f"(component $c0 {INNER})"
    for number in range(1, levels):
        text = f"""(component $c{number}
          (import "name{number}" (func $h (result u64))) {text}
          (instance $i (instantiate $c{number - 1}
            (with "{"harmless" if number == 1 else f"name{number - 1}"}" (func $h))))
          (export "ask" (func $i "ask")))"""
    return rooted(
        f'{text} (instance $i (instantiate $c{levels - 1} (with "name{levels - 1}"'
        ' (func $random "get-random-u64"))))'
    )


NAMES = {
    "as it is": named("wasi:random/random@0.2.0"),
    "a newer version": named("wasi:random/random@0.2.99"),
    "the next track": named("wasi:random/random@0.3.0"),
    "a track that is not there yet": named("wasi:random/random@1.0.0"),
    "an old candidate": named("wasi:random/random@0.2.0-rc-2023-11-10"),
    "a new candidate": named("wasi:random/random@0.3.0-rc-2026-01-06"),
    "build metadata": named("wasi:random/random@0.2.0+evil"),
    "no version": named("wasi:random/random"),
    "an instance of its own": named(
        "wasi:random/random@0.2.0",
        '(instance $mine (export "get-random-u64" (func $random "get-random-u64")))', "mine",
    ),
    "two versions": f"""(component {IMPORT}
      (import "wasi:random/random@0.2.6" (instance $newer
        (export "get-random-u64" (func (result u64)))))
      {LOWER} (core func $g (canon lower (func $newer "get-random-u64")))
      (core module $m {TAKE} (import "" "g" (func $g (result i64)))
        (func (export "ask") (result i64) (call $g)))
      (core instance $m (instantiate $m (with "" (instance
        (export "f" (func $f)) (export "g" (func $g)))))) {LIFT})""",
}  # fmt: skip

PARTS = {
    "inside, by a harmless name": rooted(
        f"""(component $c {INNER})
        (instance $i (instantiate $c (with "harmless" (func $random "get-random-u64"))))"""
    ),
    "inside, as another interface": rooted("""
      (instance $relabelled (export "now" (func $random "get-random-u64")))
      (component $c
        (import "wasi:clocks/monotonic-clock@0.2.0" (instance $c
          (export "now" (func (result u64)))))
        (core func $f (canon lower (func $c "now")))
        (core module $m (import "" "f" (func $f (result i64)))
          (func (export "ask") (result i64) (call $f)))
        (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
        (func (export "ask") (result u64) (canon lift (core func $m "ask"))))
      (instance $i (instantiate $c
        (with "wasi:clocks/monotonic-clock@0.2.0" (instance $relabelled))))"""),
    "twelve components deep": deep(12),
    "handed out by a component inside": f"""(component {IMPORT}
      (component $c (import "in" (func $f (result u64))) (export "now" (func $f)))
      (instance $i (instantiate $c (with "in" (func $random "get-random-u64"))))
      (core func $f (canon lower (func $i "now")))
      (core module $m {TAKE} (func (export "ask") (result i64) {CALLING}))
      (core instance $m (instantiate $m {GIVE})) {LIFT})""",
    "a component as an argument": (rooted(f"""
      (component $c {INNER})
      (component $maker
        (import "what" (component $what
          (import "harmless" (func (result u64))) (export "ask" (func (result u64)))))
        (import "f" (func $f (result u64)))
        (instance $i (instantiate $what (with "harmless" (func $f))))
        (export "ask" (func $i "ask")))
      (instance $i (instantiate $maker (with "what" (component $c))
        (with "f" (func $random "get-random-u64"))))"""), "exported or passed on as a component"),
    "a component of the one around": rooted(f"""
      (component $c {INNER})
      (component $maker (import "f" (func $f (result u64)))
        (alias outer 1 $c (component $what))
        (instance $i (instantiate $what (with "harmless" (func $f))))
        (export "ask" (func $i "ask")))
      (instance $i (instantiate $maker (with "f" (func $random "get-random-u64"))))"""),
    "a component that hands out components": (rooted(f"""
      (component $shop (component $c {INNER}) (export "c" (component $c)))
      (instance $shop (instantiate $shop))
      (alias export $shop "c" (component $c))
      (instance $i (instantiate $c (with "harmless" (func $random "get-random-u64"))))"""),
      "exported or passed on as a component"),
    "one component, twice": rooted(f"""
      (component $c {INNER})
      (instance $other (instantiate $c (with "harmless" (func $random "get-random-u64"))))
      (instance $i (instantiate $c (with "harmless" (func $random "get-random-u64"))))"""),
    "its own function first, the host's in the second": (
        rooted(f"""
      (component $c {INNER})
      (component $seven
        (core module $m (func (export "ask") (result i64) (i64.const 7)))
        (core instance $m (instantiate $m)) {LIFT})
      (instance $seven (instantiate $seven))
      (instance $other (instantiate $c (with "harmless" (func $seven "ask"))))
      (instance $i (instantiate $c (with "harmless" (func $random "get-random-u64"))))"""),
        "is of its host or of its own, as the instance has it",
    ),
    "two of the host's at one place": (
        rooted(f"""
      (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
        (export "now" (func (result u64)))))
      (component $c {INNER})
      (instance $other (instantiate $c (with "harmless" (func $clock "now"))))
      (instance $i (instantiate $c (with "harmless" (func $random "get-random-u64"))))"""),
        "stands for several functions",
    ),
}  # fmt: skip

CORE = {
    "lowered twice": f"""(component {IMPORT} {LOWER}
      (core func $g (canon lower (func $random "get-random-u64")))
      (core module $m {TAKE} (import "" "g" (func $g (result i64)))
        (func (export "ask") (result i64) (call $g)))
      (core instance $m (instantiate $m (with "" (instance
        (export "f" (func $f)) (export "g" (func $g)))))) {LIFT})""",
    "through a table": module(
        "(call_indirect (result i64) (i32.const 0))", "(table funcref (elem $f))"
    ),
    "by a typed reference": module(
        "(call_ref $t (ref.func $f))",
        "(type $t (func (result i64))) (elem declare func $f)",
    ),
    "by a reference in a global": module(
        "(call_ref $t (global.get $g))",
        "(type $t (func (result i64))) (global $g (ref $t) (ref.func $f)) (export \"x\" (func $f))",
    ),
    "by a tail call": module("(return_call $f)"),
    "behind a handler of exceptions": module(
        """(block $caught
          (try_table (catch_all $caught) (return (call $f))))
        (call $f)"""
    ),
    "while it is instantiated": module(
        "(global.get $g)",
        "(global $g (mut i64) (i64.const 0)) (func $begin (global.set $g (call $f)))",
        "(start $begin)",
    ),
    "in a core module between": f"""(component {IMPORT} {LOWER}
      (core module $between (import "" "f" (func $f (result i64))) (export "g" (func $f)))
      (core instance $between (instantiate $between {GIVE}))
      (core module $m (import "probe" "g" (func $f (result i64)))
        (func (export "ask") (result i64) (call $f)))
      (core instance $m (instantiate $m (with "probe" (instance $between)))) {LIFT})""",
    "put into a table by another module": f"""(component {IMPORT} {LOWER}
      (core module $shim (type $t (func (result i64))) (table (export "t") 1 1 funcref)
        (func (export "g") (type $t) (call_indirect (type $t) (i32.const 0))))
      (core instance $shim (instantiate $shim))
      (core module $m (import "s" "g" (func $f (result i64)))
        (func (export "ask") (result i64) (call $f)))
      (core instance $m (instantiate $m (with "s" (instance $shim))))
      (alias core export $shim "t" (core table $t))
      (core module $fixup {TAKE} (import "" "t" (table 1 1 funcref)) (elem (i32.const 0) func $f))
      (core instance (instantiate $fixup (with "" (instance
        (export "f" (func $f)) (export "t" (table $t)))))) {LIFT})""",
    "several instances of one module": f"""(component {IMPORT} {LOWER}
      (core module $m {TAKE} (func (export "ask") (result i64) {CALLING}))
      (core module $n (func (export "f") (result i64) (i64.const 7)))
      (core instance $n (instantiate $n))
      (core instance $a (instantiate $m (with "" (instance $n))))
      (core instance $m (instantiate $m {GIVE})) {LIFT})""",
    "lifted as it is": f"""(component {IMPORT} {LOWER}
      (func (export "ask") (result u64) (canon lift (core func $f))))""",
    "as a destructor": """(component
      (import "wasi:random/random@0.2.0" (instance $random
        (export "take" (func (param "x" u32)))))
      (core func $take (canon lower (func $random "take")))
      (type $r (resource (rep i32) (dtor (core func $take))))
      (core func $new (canon resource.new $r)) (core func $drop (canon resource.drop $r))
      (core module $m (import "" "new" (func $new (param i32) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "ask") (result i64) (call $drop (call $new (i32.const 5))) (i64.const 1)))
      (core instance $m (instantiate $m (with "" (instance
        (export "new" (func $new)) (export "drop" (func $drop))))))
      (func (export "ask") (result u64) (canon lift (core func $m "ask"))))""",
    "in a destructor": f"""(component {IMPORT} {LOWER}
      (core module $d {TAKE} (func (export "end") (param i32) (drop (call $f))))
      (core instance $d (instantiate $d {GIVE}))
      (type $r (resource (rep i32) (dtor (core func $d "end"))))
      (core func $new (canon resource.new $r)) (core func $drop (canon resource.drop $r))
      (core module $m (import "" "new" (func $new (param i32) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "ask") (result i64) (call $drop (call $new (i32.const 5))) (i64.const 1)))
      (core instance $m (instantiate $m (with "" (instance
        (export "new" (func $new)) (export "drop" (func $drop)))))) {LIFT})""",
}  # fmt: skip

#: Functions that answer with a text, which the guest's own allocator finds room for.
TEXTS = """(component
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-u64" (func (result u64)))
    (export "tell" (func (result (result u64 (error string)))))))
  (core module $lib (memory (export "memory") 1) (table (export "t") 1 1 funcref)
    (type $t (func (result i64))) (global $deep (mut i32) (i32.const 0))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) %s (i32.const %s)))
  (core instance $lib (instantiate $lib))
  (core func $f (canon lower (func $random "get-random-u64")))
  (core func $g (canon lower (func $random "tell") (memory $lib "memory")
    (realloc (func $lib "realloc"))%s))
  (core module $m (import "" "f" (func $f (result i64))) (import "" "g" (func $g (param i32)))
    (import "lib" "memory" (memory 1)) (import "lib" "t" (table 1 1 funcref))
    (elem (i32.const 0) func $f)
    (func (export "ask") (result i64) (call $g (i32.const %s))
      (i64.extend_i32_u (i32.load8_u (i32.const 0)))))
  (core instance $m (instantiate $m (with "lib" (instance $lib)) (with "" (instance
    (export "f" (func $f)) (export "g" (func $g))))))
  (func (export "ask") (result u64) (canon lift (core func $m "ask"))))"""
AGAIN = """(if (i32.eqz (global.get $deep)) (then
  (global.set $deep (i32.const 1)) (drop (call_indirect (type $t) (i32.const 0)))))"""
ANSWERS = {
    "answered in latin1+utf16": TEXTS % ("", 64, " string-encoding=latin1+utf16", 0),
    "answered in utf16": TEXTS % ("", 64, " string-encoding=utf16", 0),
    "its allocator calls while it is answered": TEXTS % (AGAIN, 64, "", 0),
    "its allocator gives what is not there": TEXTS % ("", -64, "", 0),
    "its allocator gives where the answer lies": TEXTS % ("", 0, "", 0),
    "it wants its answer where nothing is": TEXTS % ("", 64, "", -4),
    "it wants its answer at an odd place": TEXTS % ("", 64, "", 3),
}  # fmt: skip

FORGED = {
    "names of the guard's own parts": module(
        CALLING,
        '(memory (export "memory") 1) (func (export "emit") (param i32 i32) (result i32)'
        ' (i32.const 0)) (func (export "f0") (result i64) (i64.const 1)) (func (export "room")'
        " (result i32) (i32.const 0))",
    ),
    "imports by the names of the guard's": f"""(component {IMPORT} {LOWER}
      (core module $agent (memory (export "memory") 1)
        (func (export "f0") (result i64) (i64.const 1)))
      (core instance $agent (instantiate $agent))
      (core module $m (import "agent" "memory" (memory 1))
        (import "probe" "f" (func $f (result i64)))
        (func (export "ask") (result i64) {CALLING}))
      (core instance $m (instantiate $m (with "agent" (instance $agent)) (with "probe" (instance
        (export "f" (func $f)))))) {LIFT})""",
}  # fmt: skip

#: What the engine does not run; other hosts may.
REFUSED = {
    "called by a component as it starts": ("""(component
      (import "wasi:random/random@0.2.0" (instance $random (export "take" (func))))
      (alias export $random "take" (func $take)) (start $take))""",
      "called as it starts, which no probe sees"),
    "handed out as it is": (rooted("", '(export "ask" (func $random "get-random-u64"))'),
      "calls nothing that the policy denies"),
    "code from outside": (
        '(component (import "plugin" (component (import "f" (func)))))', "it imports code, plugin"),
    "code that is handed a function": (f"""(component {IMPORT}
      (import "plugin" (component $c (import "f" (func (result u64)))
        (export "ask" (func (result u64)))))
      (instance $i (instantiate $c (with "f" (func $random "get-random-u64"))))
      (export "ask" (func $i "ask")))""", "it imports code, plugin"),
    "a module from outside": (
        '(component (import "plugin" (core module)))', "it imports code, plugin"),
    "a core module": ("(module)", "is a core module"),
}  # fmt: skip

#: At most two calls in each call of an export: `ask` is called once unless a row says how often.
LIMIT = 2
BUDGET = f'budgets: {{ "wasi:random/*": {{ max_calls_per_invocation: {LIMIT} }} }}'
_FIVE = "".join(["(drop (call $f))"] * 5)
BUDGETS = {
    "one after the other": module(f"{_FIVE} (call $f)"),
    "by calling itself": module(
        "(call $more (i32.const 9))",
        """(func $more (param i32) (result i64) (if (result i64) (local.get 0)
          (then (drop (call $f)) (call $more (i32.sub (local.get 0) (i32.const 1))))
          (else (i64.const 0))))""",
    ),
    "while it is instantiated": module(
        "(i64.const 0)", f"(func $begin {_FIVE})", "(start $begin)"
    ),
    "by two functions that count as one": f"""(component {IMPORT}
      (import "wasi:random/random@0.2.6" (instance $newer
        (export "get-random-u64" (func (result u64)))))
      {LOWER} (core func $g (canon lower (func $newer "get-random-u64")))
      (core module $m {TAKE} (import "" "g" (func $g (result i64)))
        (func (export "ask") (result i64) (drop (call $f)) (drop (call $g)) (drop (call $f))
          (call $g)))
      (core instance $m (instantiate $m (with "" (instance
        (export "f" (func $f)) (export "g" (func $g)))))) {LIFT})""",
    "in a destructor that the host calls": f"""(component {IMPORT} {LOWER}
      (core module $d {TAKE} (func (export "end") (param i32) {_FIVE}))
      (core instance $d (instantiate $d {GIVE}))
      (type $r' (resource (rep i32) (dtor (core func $d "end")))) (export $r "r" (type $r'))
      (core func $new (canon resource.new $r'))
      (core module $m (import "" "new" (func $new (param i32) (result i32)))
        (func (export "ask") (result i32) (call $new (i32.const 5))))
      (core instance $m (instantiate $m (with "" (instance (export "new" (func $new))))))
      (func (export "ask") (result (own $r)) (canon lift (core func $m "ask"))))""",
    "in a component inside": (rooted(f"""(component $c {INNER.replace(CALLING, _FIVE + CALLING)})
        (instance $i (instantiate $c (with "harmless" (func $random "get-random-u64"))))"""),
        "a component inside calls it"),
    "by a component inside that calls the one around": (f"""(component {IMPORT} {LOWER}
      (core module $m {TAKE}
        (func (export "ask") (result i64) (drop (call $f)) (call $f)))
      (core instance $m (instantiate $m {GIVE}))
      (func $ask (result u64) (canon lift (core func $m "ask")))
      (component $c (import "f" (func $f (result u64)))
        (core func $g (canon lower (func $f)))
        (core module $n (import "" "g" (func $g (result i64)))
          (func (export "ask") (result i64) (drop (call $g)) (call $g)))
        (core instance $n (instantiate $n (with "" (instance (export "g" (func $g))))))
        (func (export "ask") (result u64) (canon lift (core func $n "ask"))))
      (instance $i (instantiate $c (with "f" (func $ask))))
      (export "ask" (func $i "ask")))""", "which would begin a budget anew"),
}  # fmt: skip
