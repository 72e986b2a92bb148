"""Invalid and hostile components: an error that says where, in time and without recursion."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wasmtime import wat2wasm

from tests.steps import no_endless_loop
from tests.wit.support import resolve_text
from whamm_cm.component.decode import decode
from whamm_cm.errors import DecodeError, InputError, WhammError
from whamm_cm.wit.build import MAX_INSTANCE_DEPTH, MAX_TYPE_DEPTH
from whamm_cm.wit.printer import world_text
from whamm_cm.wit.resolve import resolve

I = '(import "i" (instance $i (export "f" (func)) (export "r" (type (sub resource)))))'  # noqa: E741


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    with no_endless_loop():
        yield


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'{I} (alias export $i "nope" (func))', "instance i has no export 'nope'"),
        (f'{I} (alias export $i "f" (instance $f)) (alias export $f "x" (func))', "no instance"),
        (f'{I} (alias export $i "r" (type $r)) (type (list $r))', "expected a value type"),
        (f'{I} (alias export $i "f" (type $f)) (type (list $f))', "expected a type"),
        ("(type $l (list u8)) (type (own $l))", "expected a resource type"),
        ('(type $l (list u8)) (import "f" (func (type $l)))', "expected a function type"),
        ('(type $l (list u8)) (import "f" (instance (type $l)))', "expected an instance type"),
        ('(type $l (instance)) (import "f" (component (type $l)))', "expected a component type"),
        (f'{I} (alias export $i "f" (component $c)) (instance (instantiate $c))', "no component"),
        ('(component $c (import "x" (func))) (instance (instantiate $c))', "'x' is missing"),
        (
            f'{I} (component $c (import "x" (func))) (instance (instantiate $c'
            ' (with "x" (instance $i))))',
            "'x' is of the wrong kind",
        ),
        (
            f'{I} (component $c (import "x" (instance (export "y" (func)))))'
            '(instance (instantiate $c (with "x" (instance $i))))',
            "'x' has no export 'y'",
        ),
        (
            '(type $l (list u8)) (component $c (import "x" (type (sub resource))))'
            '(instance (instantiate $c (with "x" (type $l))))',
            "not the resource it should be",
        ),
        (f'{I} (alias export $i "r" (func $f)) (core func (canon lower (func $f)))', "lowers a"),
        ("(type $l (func)) (core func (canon stream.new $l))", "expected a stream"),
    ],
)
def test_references_that_make_no_sense(text: str, message: str) -> None:
    with pytest.raises(DecodeError, match=message) as caught:
        resolve_text(f"(component (component {text}))")
    assert caught.value.path == "component[0]"
    assert caught.value.offset > 8


def nested_lists(levels: int) -> str:
    lines = ["(type $t0 (list u8))"]
    lines += [f"(type $t{n} (list $t{n - 1}))" for n in range(1, levels)]
    return f'(component {" ".join(lines)} (import "f" (func (param "p" $t{levels - 1}))))'


def test_deep_types() -> None:
    deepest = MAX_TYPE_DEPTH - 1  # and the u8
    assert "list<" * deepest in world_text(resolve_text(nested_lists(deepest)).world)
    with pytest.raises(DecodeError, match="types are nested deeper"):
        resolve_text(nested_lists(deepest + 1))
    with pytest.raises(DecodeError, match="types are nested deeper"):
        resolve_text(nested_lists(5000))


def test_names_upon_names_are_limited_too() -> None:
    lines = ["(type $t0 (list u8))"]
    lines += [f'(import "n{n}" (type $t{n} (eq $t{n - 1})))' for n in range(1, 500)]
    with pytest.raises(DecodeError, match="types are nested deeper"):
        resolve_text(f"(component {' '.join(lines)})")


def instance_types(levels: int, copies: int) -> str:
    exports = [f'(export "e{c}" (instance (type $o)))' for c in range(copies)]
    lines = ['(type $i0 (instance (export "f" (func))))']
    lines += [
        f"(type $i{n} (instance (alias outer 1 $i{n - 1} (type $o)) {' '.join(exports)}))"
        for n in range(1, levels)
    ]
    return f'(component {" ".join(lines)} (import "x" (instance (type $i{levels - 1}))))'


def test_instance_types_used_in_instance_types() -> None:
    resolve_text(instance_types(10, 2))
    resolve_text(instance_types(MAX_INSTANCE_DEPTH, 1))
    with pytest.raises(DecodeError, match="nested deeper than 100"):
        resolve_text(instance_types(MAX_INSTANCE_DEPTH + 1, 1))
    with pytest.raises(DecodeError, match="too large"):
        resolve_text(instance_types(60, 2))


def test_a_large_type_used_very_often() -> None:
    fields = " ".join(f'(field "f{n}" u8)' for n in range(3000))
    uses = " ".join(f'(import "i{n}" (instance (type $i)))' for n in range(3000))
    text = f'(component (type $i (instance (type $r (record {fields}))\
        (export "r" (type (eq $r))))) {uses})'
    with pytest.raises(DecodeError, match="too large"):
        resolve_text(text)


def test_shared_types_are_not_written_out_without_end() -> None:
    lines = ["(type $t0 (list u8))"]
    lines += [f"(type $t{n} (tuple $t{n - 1} $t{n - 1}))" for n in range(1, 60)]
    resolved = resolve_text(f'(component {" ".join(lines)} (import "f" (func (param "p" $t59))))')
    with pytest.raises(InputError, match="too large to be written out"):
        world_text(resolved.world)


def test_shared_inline_instances() -> None:
    lines = ['(import "f" (func $f)) (instance $i0 (export "f" (func $f)))']
    lines += [
        f'(instance $i{n} (export "a" (instance $i{n - 1})) (export "b" (instance $i{n - 1})))'
        for n in range(1, 90)
    ]
    resolved = resolve_text(f'(component {" ".join(lines)} (export "x" (instance $i89)))')
    assert "// a: instance" in world_text(resolved.world)


def test_the_worst_depths_together_fit_the_stack() -> None:
    """Instances as deep as may be, holding types as deep as may be, exported and instantiated."""
    levels, types = MAX_INSTANCE_DEPTH - 1, MAX_TYPE_DEPTH - 2
    named = [
        f'(export "n{n}" (type $n{n} (eq $t{n}))) (type $t{n + 1} (list $n{n}))' for n in range(45)
    ]
    plain = [f"(type $t{n + 1} (list $t{n}))" for n in range(45, types)]
    body = (
        '(export "r" (type $r (sub resource))) (type $t0 (own $r))'
        f' {" ".join(named + plain)} (export "f" (func (param "p" $t{types})))'
    )
    lines = [f"(type $i0 (instance {body}))"]
    lines += [
        f'(type $i{n} (instance (alias outer 1 $i{n - 1} (type $o)) (export "e" (instance'
        " (type $o)))))"
        for n in range(1, levels)
    ]
    component = f"""(component
      (component $c
        {" ".join(lines)}
        (import "x" (instance $x (type $i{levels - 1})))
        (export "y" (instance $x)))
      {" ".join(lines)}
      (import "x" (instance $x (type $i{levels - 1})))
      (instance $a (instantiate $c (with "x" (instance $x))))
      (instance $b (instantiate $c (with "x" (instance $x))))
      (export "a:b/c" (instance $b "y")))"""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    try:
        resolve_text(component)
    finally:
        sys.setrecursionlimit(limit)


SEEDS = [
    bytes(wat2wasm(text))
    for text in (
        f'(component {I} (type $r (record (field "a" (list u8)))) (export "r" (type $r)))',
        f"""(component {I}
          (component $c {I} (alias export $i "f" (func $f)) (export "g" (func $f)))
          (instance $j (instantiate $c (with "i" (instance $i))))
          (alias export $j "g" (func $g)) (core func (canon lower (func $g)))
          (export "a:b/c" (instance $j)))""",
    )
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_damaged_components_never_crash_the_resolver(seed: bytes, data: st.DataObject) -> None:
    damaged = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(8, len(seed) - 1))] = data.draw(st.integers(0, 255))
    try:
        resolved = resolve(decode(bytes(damaged)))
    except WhammError:
        return
    assert world_text(resolved.world).startswith("package root:component;")
