"""Every fault the IR checker knows, each brought about by an edit."""

from __future__ import annotations

from dataclasses import replace

import wasmtime
from pytest import mark

from tests.component.component_samples import SAMPLES, sample
from whamm_cm.component import build
from whamm_cm.component.check import check
from whamm_cm.component.decode import decode
from whamm_cm.component.ir import Component, Definition, SectionId
from whamm_cm.component.items import Item, Sort

BASE = """(component
  (type $a u8) (type $b (list $a)) (import "f" (func $f (param "p" $b)))
  (component (alias outer 1 $b (type $c)) (type (list $c)) (component (type u16)))
  (core module) (export "f" (func $f)))"""


def base() -> Component:
    return decode(bytes(wasmtime.wat2wasm(BASE)))


def edited(**changes: Definition | None) -> Component:
    """BASE with definitions, named ``d<position>``, replaced or (None) removed."""
    component = base()
    definitions = list(component.definitions)
    for name, definition in changes.items():
        definitions[int(name[1:])] = definition
    return component.with_definitions(tuple(d for d in definitions if d is not None))


@mark.parametrize("which", SAMPLES)
def test_samples_have_no_faults(which: str) -> None:
    assert check(decode(sample(which))) == []


def test_removed() -> None:
    assert check(edited(d0=None)) == [
        "component, definition 0: uses a type that is not defined before it"
    ]


def test_moved_behind_its_use() -> None:
    first, second, *rest = base().definitions
    assert check(Component((second, first, *rest))) == [
        "component, definition 0: uses a type that is not defined before it"
    ]


def test_a_nested_component_cannot_use_what_comes_later() -> None:
    definitions = base().definitions
    nested = next(d for d in definitions if isinstance(d.node, Component))
    others = tuple(d for d in definitions if d is not nested)
    assert check(Component((nested, *others))) == [
        "component.component[0], definition 0: uses a type that is not defined before it"
    ]


def test_items_of_a_nested_component_stay_there() -> None:
    definitions = base().definitions
    nested = next(d for d in definitions if isinstance(d.node, Component)).node
    assert isinstance(nested, Component)
    inner = next(d for d in nested.definitions if d.section == SectionId.TYPE)
    assert check(Component((*definitions, build.list_type(inner.item)))) == [
        f"component, definition {len(definitions)}: uses a type that is not defined before it"
    ]


def test_faults_are_found_at_any_depth() -> None:
    wrong = Component((build.list_type(Item(Sort.TYPE)),), "component[0].component[0]")
    middle = Component((build.nested_component(Component(())), build.nested_component(wrong)))
    assert check(Component((build.nested_component(middle),))) == [
        "component.component[0].component[1], definition 0: "
        "uses a type that is not defined before it"
    ]


def test_a_fault_names_where_the_component_stands() -> None:
    wrong = Component((build.list_type(Item(Sort.TYPE)),), "component[3]")
    assert check(wrong)[0].startswith("component[3], definition 0: ")


def test_a_definition_cannot_use_itself() -> None:
    item = Item(Sort.TYPE)
    own = replace(build.list_type(item), items=(item,))
    assert check(Component((own,))) == [
        "component, definition 0: uses a type that is not defined before it"
    ]


def test_types_of_a_recursion_group_can_use_each_other() -> None:
    text = """(component (core rec (type $a (struct (field (ref null $b))))
        (type $b (struct (field (ref null $a))))))"""
    component = decode(bytes(wasmtime.wat2wasm(text)))
    assert len(list(component.definitions[0].refs())) == 2
    assert check(component) == []


def test_defined_twice() -> None:
    twice = base().definitions[0]
    assert check(Component((twice, twice))) == [
        "component, definition 1: defines a type that exists already"
    ]


def test_defined_again_inside() -> None:
    outside = base().definitions[0]
    inside = build.nested_component(Component((outside,)))
    assert check(Component((outside, inside))) == [
        "component.component[0], definition 0: defines a type that exists already"
    ]
    # What a nested component has defined is free again behind it, but not what surrounds it.
    assert check(Component((inside, outside))) == []
    assert check(Component((outside, inside, outside)))[-1].startswith("component, definition 2")


def wrong_sections() -> dict[str, Definition]:
    module, component = build.core_module(b"\0asm\1\0\0\0"), build.nested_component(Component(()))
    plain = build.list_type("u8")
    return {
        "a module among types": replace(module, section=SectionId.TYPE),
        "a module among components": replace(module, section=SectionId.COMPONENT),
        "a component among modules": replace(component, section=SectionId.CORE_MODULE),
        "a type among modules": replace(plain, section=SectionId.CORE_MODULE),
        "a type among components": replace(plain, section=SectionId.COMPONENT),
    }


@mark.parametrize("case", wrong_sections())
def test_wrong_section(case: str) -> None:
    assert check(Component((wrong_sections()[case],))) == [
        "component, definition 0: is in the wrong section"
    ]


def test_names_are_unique() -> None:
    definitions = base().definitions
    func_type = next(
        d for d in definitions if d.section == SectionId.TYPE and d is not definitions[0]
    )
    again = build.import_("f", "func", func_type.item)
    assert check(Component((*definitions, again))) == [
        f"component, definition {len(definitions)}: second import named 'f'"
    ]
    exported = build.export_plain("f", again.item)
    assert check(Component((*definitions, exported)))[-1].endswith("second export named 'f'")
    # Imports and exports may share a name, and so may components.
    inner = build.nested_component(Component((build.list_type("u8"),)))
    assert check(Component((*definitions, inner))) == []


def test_all_faults_are_listed() -> None:
    twice = base().definitions[0]
    lost = build.list_type(Item(Sort.TYPE))
    faults = check(Component((lost, twice, twice, lost)))
    assert [fault.split(":")[0] for fault in faults] == [
        "component, definition 0",
        "component, definition 2",
        "component, definition 3",
        "component, definition 3",
    ]
