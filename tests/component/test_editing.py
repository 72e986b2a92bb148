"""Definitions put in front of all others shift every index space, and nothing changes but numbers.

The edited component must be accepted by wasmtime and compute what it did before.
"""

from __future__ import annotations

from dataclasses import replace

import wasmtime
from pytest import mark, raises
from wasmtime import component as wc

from tests.component.component_samples import PREAMBLE, TEXT, name, sample, section
from tests.wast_driver.engine import new_engine
from whamm_cm.component import build
from whamm_cm.component import nodes as n
from whamm_cm.component.check import check
from whamm_cm.component.decode import decode
from whamm_cm.component.encode import encode
from whamm_cm.component.ir import Component, Definition, SectionId, walk
from whamm_cm.component.items import Item, Sort
from whamm_cm.errors import InternalError

#: Uses every index space a host without gated features has.
APP = """(component $app
  (type $pair (record (field "a" u32) (field "b" u32)))
  (core type $unused (func (param i32)))
  (import "host:api/log" (instance $log (export "log" (func (param "n" u32) (result u32)))))
  (import "scale" (func $scale (param "n" u32) (result u32)))
  (component $adder
    (import "scale" (func $scale (param "n" u32) (result u32)))
    (alias outer $app $pair (type $p)) (export $pair "pair" (type $p))
    (core module $Add
      (import "host" "scale" (func $scale (param i32) (result i32)))
      (func (export "add") (param i32 i32) (result i32)
        (i32.add (call $scale (local.get 0)) (local.get 1))))
    (core func $lowered (canon lower (func $scale)))
    (core instance $host (export "scale" (func $lowered)))
    (core instance $add (instantiate $Add (with "host" (instance $host))))
    (func (export "add") (param "p" $pair) (result u32)
      (canon lift (core func $add "add"))))
  (instance $a (instantiate $adder (with "scale" (func $scale))))
  (instance $b (instantiate $adder (with "scale" (func $log "log"))))
  (component $summer
    (alias outer $app $pair (type $p))
    (import "pair" (type $q (eq $p)))
    (import "a" (func $add-a (param "p" $q) (result u32)))
    (import "b" (instance $b (export "pair" (type $r (eq $p)))
      (export "add" (func (param "p" $r) (result u32)))))
    (core module $Sum
      (import "a" "add" (func $a (param i32 i32) (result i32)))
      (import "b" "add" (func $b (param i32 i32) (result i32)))
      (memory (export "memory") 1) (global (export "g") i32 (i32.const 5))
      (table (export "t") 1 funcref)
      (func (export "sum") (param i32 i32) (result i32)
        (i32.add (call $a (local.get 0) (local.get 1)) (call $b (local.get 0) (local.get 1)))))
    (core func $low-a (canon lower (func $add-a)))
    (core func $low-b (canon lower (func $b "add")))
    (core instance $ia (export "add" (func $low-a)))
    (core instance $sum (instantiate $Sum (with "a" (instance $ia))
      (with "b" (instance (export "add" (func $low-b))))))
    (type $handle (resource (rep i32)))
    (core func $new (canon resource.new $handle)) (core func (canon resource.drop $handle))
    (func (export "sum") (param "a" u32) (param "b" u32) (result u32)
      (canon lift (core func $sum "sum"))))
  (alias export $a "add" (func $add-a))
  (instance $s (instantiate $summer (with "a" (func $add-a)) (with "b" (instance $b))
    (with "pair" (type $pair))))
  (export "sum" (func $s "sum")))"""

_MODULE = bytes(
    wasmtime.wat2wasm(
        '(module (func (export "f")) (memory (export "m") 1) (table (export "t") 1 funcref)'
        ' (global (export "g") i32 (i32.const 0)))'
    )
)


def front() -> tuple[Definition, ...]:
    """New definitions of ten sorts, all but the ones that need gated features."""
    module = build.core_module(_MODULE)
    instance = build.core_instantiate(module.item, ())
    core = [
        build.alias_core_export(instance.item, label, sort)
        for label, sort in zip(
            "fmtg",
            (Sort.CORE_FUNC, Sort.CORE_MEMORY, Sort.CORE_TABLE, Sort.CORE_GLOBAL),
            strict=True,
        )
    ]
    record = build.type_def(n.RecordDef((("x", "u8"),)), b"\x72\x01" + name("x") + b"\x7d")
    listed = build.list_type(record.item)
    func_type = build.func_type([("p", "u32")], "string")
    plain = build.func_type([], None)
    lifted = build.canon_lift(core[0].item, plain.item)
    lowered = build.canon_lower(lifted.item)
    empty = build.nested_component(Component(()))
    made = build.instantiate(empty.item, [])
    core_node = n.CoreTypeDef((n.CoreFuncDef((), ()),))
    core_type = Definition(SectionId.CORE_TYPE, core_node, (Item(Sort.CORE_TYPE),), (b"\x60\0\0",))
    return (
        *(module, instance, *core, record, listed, func_type, plain, lifted, lowered),
        *(empty, made, core_type, build.custom("note", b"hello")),
    )


def in_front(component: Component) -> Component:
    """``component`` and each one nested in it with new definitions in front."""
    definitions = tuple(
        replace(d, node=in_front(d.node)) if isinstance(d.node, Component) else d
        for d in component.definitions
    )
    return component.with_definitions(front() + definitions)


def run(data: bytes, *extra: str) -> tuple[int, list[int]]:
    """The result of ``sum(3, 4)`` and the numbers the host has seen."""
    seen: list[int] = []

    def scale(_store: object, number: int) -> int:
        seen.append(number)
        return number * 10

    engine = wasmtime.Engine()
    store, linker = wasmtime.Store(engine), wc.Linker(engine)
    with linker.root() as root:
        root.add_func("scale", scale)
        with root.add_instance("host:api/log") as log:
            log.add_func("log", lambda store, number: scale(store, number + 1) * 100)
        for interface in extra:
            with root.add_instance(interface):
                pass
    instance = linker.instantiate(store, wc.Component(engine, data))
    func = instance.get_func(store, "sum")
    assert func is not None
    return func(store, 3, 4), seen


def assembled() -> bytes:
    return bytes(wasmtime.wat2wasm(APP))


def test_everything_shifted_does_the_same() -> None:
    before = assembled()
    edited = in_front(decode(before))
    assert check(edited) == []
    after = encode(edited)
    assert run(before) == run(after) == (4038, [3, 4])


def test_edited_bytes_decode_to_what_was_meant() -> None:
    edited = in_front(decode(assembled()))
    again = decode(encode(edited))
    assert encode(again) == encode(edited)
    for mine, its in zip(walk(edited), walk(again), strict=True):
        kinds = [(type(d.node), [i.sort for i in d.items]) for d in mine.definitions]
        assert kinds == [(type(d.node), [i.sort for i in d.items]) for d in its.definitions]
        places = {item: at for at, d in enumerate(mine.definitions) for item in d.items}
        others = {item: at for at, d in enumerate(its.definitions) for item in d.items}
        for one, other in zip(mine.definitions, its.definitions, strict=True):
            assert [places.get(i) for i in one.refs()] == [others.get(i) for i in other.refs()]


def test_new_imports_in_front() -> None:
    component = decode(assembled())
    interface = build.type_def(n.InstanceTypeDef(()), b"\x42\x00")
    first = build.import_("whamm:test/first", "instance", interface.item)
    second = build.import_("whamm:test/second", "instance", interface.item)
    added = (interface, first, second)
    edited = component.with_definitions(added + component.definitions)
    extra = ("whamm:test/first", "whamm:test/second")
    assert run(encode(edited), *extra) == (4038, [3, 4])


def test_a_substituted_reference() -> None:
    """``scale`` is called where ``log`` was: one item for another, in one definition."""
    component = decode(assembled())
    instantiations = [d for d in component.definitions if isinstance(d.node, n.Instantiate)]
    scale, log = (d.node.args[0][1] for d in instantiations[:2])
    edited = component.with_definitions(
        tuple(
            d.substitute({log: scale}) if d is instantiations[1] else d
            for d in component.definitions
        )
    )
    assert run(encode(edited)) == (68, [3, 3])


def test_removed_definitions_close_the_gap() -> None:
    before = assembled()
    edited = in_front(decode(before))
    (new,) = [d for d in edited.definitions if d.node == n.RecordDef((("x", "u8"),))]
    users = [d for d in edited.definitions if new.item in d.refs()]
    kept = tuple(d for d in edited.definitions if d is not new and d not in users)
    assert run(encode(edited.with_definitions(kept))) == run(before)


#: Samples with features that wasmtime does not have or does not let its bindings switch on.
NOT_IN_WASMTIME = {
    "fixed lists",
    "continuations",
    "error contexts",
    "threads",
    "spawned threads",
    "gc options",
}


def accepted(data: bytes) -> bool:
    """Whether ``data`` is valid (wasmtime asks more of the outermost component)."""
    try:
        wc.Component(new_engine(), PREAMBLE + section(4, data, counted=False))
    except wasmtime.WasmtimeError:
        return False
    return True


@mark.parametrize("which", TEXT)
def test_shifted_samples_are_as_valid_as_before(which: str) -> None:
    assert accepted(sample(which)) == (which not in NOT_IN_WASMTIME)
    assert accepted(encode(in_front(decode(sample(which))))) == (which not in NOT_IN_WASMTIME)


@mark.parametrize("which", TEXT)
def test_every_sample_can_be_shifted(which: str) -> None:
    edited = in_front(decode(sample(which)))
    assert check(edited) == []
    again = decode(encode(edited))
    assert check(again) == []
    assert [d.section for d in again.definitions] == [d.section for d in edited.definitions]


def names_of(component: Component) -> dict[tuple[Sort, str], int]:
    """The definition each name of the name section is on, by its position from the end."""
    (section,) = [d.node for d in component.definitions if isinstance(d.node, n.NameSection)]
    places = {
        item: len(component.definitions) - at
        for at, d in enumerate(component.definitions)
        for item in d.items
    }
    return {(sort, text): places[item] for sort, _, item, text in section.rows}


def test_names_follow_their_items() -> None:
    component = decode(sample("names"))
    before = names_of(component)
    assert {text for _, text in before} == {
        *("first", "third", "M", "i", "f", "lifted", "nested", "n", "again")
    }
    edited = decode(encode(in_front(component)))
    assert names_of(edited) == before
    nodes = [d.node for d in edited.definitions if isinstance(d.node, n.NameSection)]
    assert nodes[0].component == "named"
    (inner,) = [
        d.node for d in edited.definitions if isinstance(d.node, Component) and d.node.definitions
    ][-1:]
    assert names_of(inner) == {(Sort.TYPE, "deep"): 2}


def test_a_removed_definition_loses_its_name() -> None:
    component = decode(sample("names"))
    third = next(d for d in component.definitions if isinstance(d.node, n.ListDef))
    rest = tuple(d for d in component.definitions if d is not third)
    edited = decode(encode(component.with_definitions(rest)))
    assert {text for _, text in names_of(edited)} >= {"first", "lifted"}
    assert "third" not in {text for _, text in names_of(edited)}


def test_names_stay_bytes_while_nothing_moves() -> None:
    data = sample("odd name sections")
    component = decode(data)
    appended = component.definitions + (build.list_type("u8"),)
    assert encode(component.with_definitions(appended))[: len(data)] == data
    renumbered = encode(component.with_definitions((build.list_type("u8"), *component.definitions)))
    assert b"??" in data and b"??" in renumbered  # no row moved: none names a definition


def test_a_reference_to_nothing_is_a_bug() -> None:
    with raises(InternalError, match="reference to a type that nothing defines"):
        encode(Component((build.list_type(build.list_type("u8").item),)))
