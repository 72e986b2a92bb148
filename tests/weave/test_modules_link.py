"""Linked modules do in one what they do as instances of their own, imports resolved among them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

import wasmtime
from pytest import fixture, mark, raises

from tests.wasm.core_samples import NOT_IN_WASMTIME, SAMPLES, engine, sample
from whamm_cm.errors import DecodeError, InternalError
from whamm_cm.wasm.link import Part, link
from whamm_cm.wasm.module import CoreModule

Parts = Sequence[tuple[str, str]]


def wat(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(f"(module {text})"))


def called(linker_exports: object, store: wasmtime.Store, name: str, *args: int) -> object:
    assert isinstance(linker_exports, wasmtime.Instance)
    func = linker_exports.exports(store)[name]
    assert isinstance(func, wasmtime.Func)
    return func(store, *args)


def apart(parts: Parts, calls: Sequence[str]) -> list[object]:
    """Results of exports of the first part; the others are instantiated before it, last first."""
    store = wasmtime.Store(engine())
    linker = wasmtime.Linker(engine())
    instance = None
    for name, text in reversed(parts):
        instance = linker.instantiate(store, wasmtime.Module(engine(), wat(text)))
        linker.define_instance(store, name, instance)
    return [called(instance, store, name) for name in calls]


def together(parts: Parts, calls: Sequence[str]) -> list[object]:
    linked = link(
        [
            Part(name, wat(text), name, "all" if name == parts[0][0] else None)
            for name, text in parts
        ],
        start_order=[name for name, _ in reversed(parts)],
    )
    store = wasmtime.Store(engine())
    instance = wasmtime.Instance(store, wasmtime.Module(engine(), linked), [])
    return [called(instance, store, name) for name in calls]


GUEST = """
    (type (func (param i64))) (type $ii (func (param i32) (result i32)))
    (import "lib" "twice" (func $twice (param i32) (result i32)))
    (import "lib" "count" (global $count (mut i32)))
    (import "lib" "mem" (memory $lib 1))
    (import "lib" "tab" (table $lt 4 funcref))
    (import "lib" "oops" (tag $oops (param i32)))
    (import "lib" "ten" (global $ten i32))
    (import "lib" "one" (global $one i32))
    (memory $own 1)
    (table $t 3 funcref)
    (global $mine (mut i32) (global.get $ten))
    (elem (table $t) (i32.const 0) func $twice $add)
    (elem (table $lt) (offset (global.get $one)) func $add)
    (data (memory $own) (i32.const 0) "\\07")
    (data (memory $lib) (global.get $ten) "\\63")
    (func $add (type $ii) (i32.add (local.get 0) (global.get $mine)))
    (func (export "calls") (result i32) (call $twice (i32.const 21)))
    (func (export "globals") (result i32)
        (global.set $count (i32.add (global.get $count) (global.get $mine))) (global.get $count))
    (func (export "memories") (result i32)
        (i32.add (i32.load8_u $own (i32.const 0))
            (i32.mul (i32.load8_u $lib (i32.const 10)) (i32.load8_u $lib (i32.const 3)))))
    (func (export "tables") (result i32)
        (i32.add (call_indirect $t (type $ii) (i32.const 5) (i32.const 0))
            (i32.add (call_indirect $t (type $ii) (i32.const 5) (i32.const 1))
                (call_indirect $lt (type $ii) (i32.const 100) (i32.const 1)))))
    (func (export "tags") (result i32)
        (block $h (result i32) (try_table (catch $oops $h) (drop (call $twice (i32.const -1))))
            (i32.const 0)))
    (start $init)
    (func $init (global.set $count (i32.add (global.get $count) (i32.const 1000))))"""

LIB = """
    (type $ii (func (param i32) (result i32)))
    (import "base" "mem" (memory $m 1))
    (import "base" "zero" (func $zero (result i32)))
    (export "mem" (memory $m))
    (table $tab (export "tab") 4 funcref)
    (global $count (export "count") (mut i32) (i32.const 3))
    (global (export "one") i32 (i32.const 1))
    (global $ten (export "ten") i32 (i32.add (i32.const 4) (i32.const 6)))
    (tag $oops (export "oops") (param i32))
    (data (memory $m) (i32.const 3) "\\02")
    (func $twice (export "twice") (type $ii)
        (if (i32.lt_s (local.get 0) (i32.const 0)) (then (throw $oops (i32.const 77))))
        (i32.add (call $zero) (i32.mul (local.get 0) (i32.const 2))))
    (start $init)
    (func $init (drop (ref.func $twice))
        (global.set $count (i32.mul (global.get $count) (i32.const 2))))"""

BASE = """(memory (export "mem") 2 4) (func (export "zero") (result i32) i32.const 0)"""

CALLS = ("calls", "globals", "memories", "tables", "tags", "globals")
THREE: Parts = (("guest", GUEST), ("lib", LIB), ("base", BASE))


def test_three_modules_behave_as_apart() -> None:
    assert together(THREE, CALLS) == apart(THREE, CALLS)
    assert together(THREE, CALLS)[:2] == [42, 1016]


def test_order_of_parts_does_not_matter_to_results() -> None:
    names = {"guest": GUEST, "lib": LIB, "base": BASE}
    parts = [
        Part(n, wat(names[n]), n, "all" if n == "guest" else None) for n in ("base", "guest", "lib")
    ]
    linked = link(parts, start_order=["base", "lib", "guest"])
    store = wasmtime.Store(engine())
    instance = wasmtime.Instance(store, wasmtime.Module(engine(), linked), [])
    assert [called(instance, store, name) for name in CALLS] == apart(THREE, CALLS)


def test_nothing_is_left_to_import_or_to_export_but_what_was_asked_for() -> None:
    linked = CoreModule(
        link(
            [
                Part("g", wat(GUEST), "guest", {"calls": "run"}),
                Part("l", wat(LIB), "lib"),
                Part("b", wat(BASE), "base", {"mem": "memory"}),
            ]
        )
    )
    assert linked.imports == ()
    assert [(e.name, e.kind) for e in linked.exports] == [("run", "func"), ("memory", "memory")]


def test_parts_may_import_from_each_other() -> None:
    guest = """(import "lib" "odd" (func $odd (param i32) (result i32)))
        (func (export "even") (param i32) (result i32)
            (if (result i32) (local.get 0)
                (then (call $odd (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 1))))"""
    lib = """(import "guest" "even" (func $even (param i32) (result i32)))
        (func (export "odd") (param i32) (result i32)
            (if (result i32) (local.get 0)
                (then (call $even (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 0))))"""
    linked = link([Part("guest", wat(guest), "guest", "all"), Part("lib", wat(lib), "lib")])
    store = wasmtime.Store(engine())
    instance = wasmtime.Instance(store, wasmtime.Module(engine(), linked), [])
    assert [called(instance, store, "even", n) for n in (0, 1, 7, 8)] == [1, 0, 0, 1]


def test_the_guest_keeps_its_indices_and_bytes_where_nothing_comes_before() -> None:
    guest = wat(
        BASE
        + """(table 1 funcref) (elem (i32.const 0) func 1) (global i32 (i32.const 1))
        (func $f (export "f") (call $f) (drop (i32.load (i32.const 0))))"""
    )
    lib = wat("""(memory 1) (global (mut i64) (i64.const 0)) (func (export "x")
        (i32.store (i32.const 0) (i32.const 1)))""")
    linked = CoreModule(link([Part("guest", guest, None, "all"), Part("lib", lib)]))
    before = CoreModule(guest)
    for old, new in zip(before.bodies, linked.bodies, strict=False):
        assert before.data[old.start : old.end] == linked.data[new.start : new.end]
    assert linked.memories[0] == before.memories[0] and len(linked.memories) == 2
    assert linked.exports == before.exports


def test_imports_nobody_provides_stay_in_the_order_of_the_parts() -> None:
    guest = wat("""(import "lib" "f" (func)) (import "a" "b" (func $b (param i64)))
        (func (export "run") (call $b (i64.const 1)))""")
    lib = wat("""(import "env" "log" (func $log)) (import "a" "m" (memory 1))
        (export "f" (func $log))""")
    linked = CoreModule(link([Part("g", guest, None, "all"), Part("l", lib, "lib")]))
    assert [(i.module, i.name) for i in linked.imports] == [("a", "b"), ("env", "log"), ("a", "m")]
    wasmtime.Module.validate(engine(), bytes(linked.data))


def test_starts_run_in_the_order_given() -> None:
    def text(digit: int, lead: str) -> str:
        return f"""{lead} (start $s) (func $s (global.set $log
            (i32.add (i32.mul (global.get $log) (i32.const 10)) (i32.const {digit}))))"""

    log = '(global $log (export "log") (mut i32) (i32.const 0))'
    importing = '(import "a" "log" (global $log (mut i32)))'
    get = '(func (export "log") (result i32) (global.get $log))'
    parts = [
        Part("first", wat(text(1, importing) + get), None, "all"),
        Part("second", wat(text(2, log)), "a"),
        Part("third", wat(text(3, importing))),
    ]
    for order, expected in ((None, 123), (["third"], 312), (["second", "third", "first"], 231)):
        store = wasmtime.Store(engine())
        module = wasmtime.Module(engine(), link(parts, start_order=order))
        assert called(wasmtime.Instance(store, module, []), store, "log") == expected


def test_equal_types_of_different_parts_are_one() -> None:
    rec = "(rec (type $a (sub (struct (field (ref null $b))))) (type $b (sub (struct))))"
    guest = wat(f"""(type (func (param f64))) {rec}
        (import "lib" "make" (func $make (result (ref $a))))
        (func (export "run") (result i32) (ref.test (ref $a) (call $make)))""")
    lib = wat(f"""{rec} (type (func)) (type $sub (sub $a (struct (field (ref null $b)))))
        (func (export "make") (result (ref $a)) (struct.new_default $sub))
        (global $g (ref $a) (struct.new_default $a))
        (table 1 (ref $a) (struct.new_default $a))
        (func (local (ref null $sub)) (drop (ref.cast (ref null $sub) (local.get 0)))
            (block (result (ref null $b)) (ref.null $b)) drop)""")
    linked = link([Part("g", guest, None, "all"), Part("l", lib, "lib")])
    # f64, rec of two, two functions of the guest; of lib only (func) and $sub are new.
    assert len(CoreModule(linked).types) == 5 + 2
    store = wasmtime.Store(engine())
    instance = wasmtime.Instance(store, wasmtime.Module(engine(), linked), [])
    assert called(instance, store, "run") == 1


def test_objects_of_globals_are_not_made_twice() -> None:
    struct = "(type $s (struct))"
    guest = wat(f"""{struct} (import "lib" "object" (global $o (ref $s)))
        (global $same (ref $s) (global.get $o))
        (func (export "run") (result i32) (ref.eq (global.get $o) (global.get $same)))""")
    lib = wat(f'{struct} (global (export "object") (ref $s) (struct.new $s))')
    linked = link([Part("g", guest, None, "all"), Part("l", lib, "lib")])
    store = wasmtime.Store(engine())
    instance = wasmtime.Instance(store, wasmtime.Module(engine(), linked), [])
    assert called(instance, store, "run") == 1


def test_names_are_merged() -> None:
    guest = wat('(import "lib" "f" (func $hers)) (func $mine (param $p i32) (call $hers))')
    lib = wat('(func $unused) (func $f (export "f"))')
    names = CoreModule(link([Part("g", guest), Part("lib", lib, "lib")])).names.functions
    assert names == {0: "mine", 1: "lib.unused", 2: "lib.f"}


WRONG = [
    ('(import "lib" "f" (func (param i32)))', "'lib' 'f' is not of the type with which g"),
    ('(import "lib" "g" (global i64))', "'lib' 'g' is not of the type"),
    ('(import "lib" "g" (global (mut i32)))', "'lib' 'g' is not of the type"),
    ('(import "lib" "m" (memory 3))', "'lib' 'm' is not of the type"),
    ('(import "lib" "m" (memory 1 1))', "'lib' 'm' is not of the type"),
    ('(import "lib" "t" (table 1 externref))', "'lib' 't' is not of the type"),
    ('(import "lib" "e" (tag (param i64)))', "'lib' 'e' is not of the type"),
    ('(import "lib" "t" (func))', "'lib' 't' is a table, but imported as a func"),
    ('(import "lib" "none" (func))', "the module linked as 'lib' lacks 'none'"),
    ('(import "lib" "loop" (func $f)) (export "loop" (func $f))', "'loop' is imported in a circle"),
    ('(func (export "f"))', "two linked modules export 'f'"),
]


@mark.parametrize(("guest", "message"), WRONG)
def test_what_cannot_be_linked(guest: str, message: str) -> None:
    lib = wat("""(import "guest" "loop" (func $l)) (export "loop" (func $l))
        (func (export "f")) (global (export "g") i32 (i32.const 0)) (memory (export "m") 2)
        (table (export "t") 1 funcref) (tag (export "e") (param i32))""")
    if "loop" not in guest:
        lib = lib_without_loop()
    with raises(InternalError, match=message):
        link([Part("g", wat(guest), "guest", "all"), Part("l", lib, "lib", {"f": "f"})])


def lib_without_loop() -> bytes:
    return wat("""(func (export "f")) (global (export "g") i32 (i32.const 0))
        (memory (export "m") 2) (table (export "t") 1 funcref) (tag (export "e") (param i32))""")


def test_providers_and_names_in_the_order_are_known() -> None:
    empty = wat("")
    with raises(InternalError, match="two linked modules provide 'x'"):
        link([Part("a", empty, "x"), Part("b", empty, "x")])
    with raises(InternalError, match="no linked module is named 'c'"):
        link([Part("a", empty)], start_order=["c"])


@mark.parametrize(
    ("number", "payload", "message"),
    [
        (7, b"\1\1f\0\5", "func index 5 is out of bounds"),
        (8, b"\7", "func index 7 is out of bounds"),
        (6, b"\1\x7f\0\x23\5\x0b", "global index 5 is out of bounds"),
        (9, b"\1\x09", "unknown element flags 0x9"),
        (2, b"\1\0\0\0\3", "type index 3 is out of bounds"),
        (11, b"\1\0\x23\x00\x0b\0", "global index 0 is out of bounds"),
    ],
)
def test_malformed_parts_are_the_inputs_fault(number: int, payload: bytes, message: str) -> None:
    raw = wat("") + bytes((number, len(payload))) + payload
    with raises(DecodeError, match=message):
        link([Part("g", raw, None, "all"), Part("l", wat(""), "lib")])


@fixture(scope="module")
def pairs() -> list[tuple[str, bytes]]:
    found = []
    for one in SAMPLES:
        for other in SAMPLES:
            parts = [Part("a", sample(one), None, "all"), Part("b", sample(other))]
            found.append((f"{one} + {other}", link(parts, start_order=["b"])))
    return found


def test_any_two_samples_can_be_linked(pairs: list[tuple[str, bytes]]) -> None:
    for names, linked in pairs:
        if not set(names.split(" + ")) & NOT_IN_WASMTIME:
            wasmtime.Module.validate(engine(), linked)


@mark.oracle
@mark.skipif(shutil.which("wasm-tools") is None, reason="wasm-tools is not installed")
def test_the_oracle_agrees(pairs: list[tuple[str, bytes]]) -> None:
    for names, linked in pairs[::3]:
        command = ["wasm-tools", "validate", "--features", "all", "-"]
        done = subprocess.run(command, input=linked, capture_output=True)
        assert done.returncode == 0, (names, done.stderr)
