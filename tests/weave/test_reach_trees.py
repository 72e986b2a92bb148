"""Reachability through component trees: shims and fixups, adapters, nested components, renaming,
code from outside."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.build import build
from tests.weave.reaching import analyse, reached
from whamm_cm.analysis.reach.analysis import reach
from whamm_cm.analysis.reach.model import Provider
from whamm_cm.component.decode import decode
from whamm_cm.errors import DecodeError


def _shim() -> str:
    """As wit-component lays it out: what needs main's memory is called through a shim, whose table
    a fixup module fills with the lowers.  All three functions have one core type."""
    called = [
        f"""(func (export "{i}") (type $t)
          (call_indirect (type $t) (local.get 0) (local.get 1) (i32.const {i})))"""
        for i in range(3)
    ]
    lowers = [
        f"""(core func ${name}' (canon lower (func ${name}) (memory $main "memory")))"""
        for name in "abc"
    ]
    imports = [f"""(import "{name}" (func ${name} (param "s" string)))""" for name in "abc"]
    return f"""(component {"".join(imports)}
      (core module $shim (type $t (func (param i32 i32)))
        (table (export "$imports") 3 3 funcref) {"".join(called)})
      (core instance $shim (instantiate $shim))
      (core module $main (type $t (func (param i32 i32)))
        (import "" "a" (func $a (type $t))) (import "" "b" (func (type $t)))
        (memory (export "memory") 1) (func (export "run") (call $a (i32.const 0) (i32.const 0))))
      (core instance $main (instantiate $main (with "" (instance
        (export "a" (func $shim "0")) (export "b" (func $shim "1"))))))
      {"".join(lowers)}
      (core module $fixup (type $t (func (param i32 i32)))
        (import "" "0" (func (type $t))) (import "" "1" (func (type $t)))
        (import "" "2" (func (type $t)))
        (import "" "$imports" (table 3 3 funcref)) (elem (i32.const 0) func 0 1 2))
      (core instance (instantiate $fixup (with "" (instance
        (export "$imports" (table $shim "$imports"))
        (export "0" (func $a')) (export "1" (func $b')) (export "2" (func $c'))))))
      (func (export "run") (canon lift (core func $main "run"))))"""


def test_shims_and_fixups_are_resolved():
    assert reached(_shim()) == {"a"}


def test_a_shared_table_belongs_to_all_who_hold_it():
    """`run` is in one module, the call in the next, the functions come from a third."""
    text = """(component (import "a" (func $a)) (core func $a' (canon lower (func $a)))
      (core module $env (table (export "t") 4 funcref))
      (core instance $env (instantiate $env))
      (core module $lib (import "env" "t" (table 1 funcref)) (import "" "a" (func $a))
        (elem (i32.const 1) func $f) (func $f (call $a)))
      (core module $main (import "env" "t" (table 1 funcref))
        (func (export "run") (call_indirect (i32.load (i32.const 0)))) (memory 1))
      (core instance (instantiate $lib (with "env" (instance $env))
        (with "" (instance (export "a" (func $a'))))))
      (core instance $main (instantiate $main (with "env" (instance $env))))
      (func (export "run") (canon lift (core func $main "run"))))"""
    assert reached(text) == {"a"}


#: `inner` lowers two of its imports and calls one; the root gives it functions by other names.
NESTED = """(component $top
  (import "p" (func $p)) (import "q" (func $q)) (import "r" (func $r))
  (component $inner
    (import "x" (func $x)) (import "y" (func $y)) (import "z" (func $z))
    (core func $x' (canon lower (func $x))) (core func $y' (canon lower (func $y)))
    (core module $m (import "" "x" (func $x)) (import "" "y" (func $y))
      (func (export "used") (call $x)) (func (export "spare") (call $y)))
    (core instance $i (instantiate $m (with "" (instance
      (export "x" (func $x')) (export "y" (func $y'))))))
    (func (export "used") (canon lift (core func $i "used")))
    (func (export "spare") (canon lift (core func $i "spare")))
    (export "passed" (func $z)))
  (instance $i (instantiate $inner
    (with "x" (func $q)) (with "y" (func $p)) (with "z" (func $r))))
  EXPORTS)"""


@pytest.mark.parametrize(
    ("exports", "root", "inner"),
    [
        ('(export "go" (func $i "used"))', {"q"}, {"x"}),
        ('(export "go" (func $i "spare"))', {"p"}, {"y"}),
        ('(export "go" (func $i "passed"))', {"r"}, {"z"}),  # called from outside, in effect
        ("", set(), set()),
        ('(export "all" (instance $i))', {"p", "q", "r"}, {"x", "y", "z"}),
    ],
)
def test_exports_of_nested_components_count_when_they_are_reached(exports, root, inner):
    text = NESTED.replace("EXPORTS", exports)
    assert reached(text) == root
    assert reached(text, 1) == inner


def test_who_provides_the_imports_of_a_nested_component():
    found = analyse(
        """(component (import "p" (func $p))
          (component $maker (core module $m (func (export "f"))) (core instance $m (instantiate $m))
            (func (export "f") (canon lift (core func $m "f"))))
          (component $user (import "x" (func)) (import "y" (func)))
          (component $never (import "x" (func)))
          (instance $maker (instantiate $maker))
          (instance (instantiate $user (with "x" (func $maker "f")) (with "y" (func $p))))
          (instance (instantiate $user (with "x" (func $p)) (with "y" (func $p)))))"""
    )
    _, _, user, never = found.components
    assert user.instances == 2 and never.instances == 0
    providers = {item.label: item.providers for _, item in user.items()}
    host = Provider("host", "", ("p",))
    assert providers == {"x": (Provider("component", "component[0]", ("f",)), host), "y": (host,)}
    assert [item.providers for _, item in never.items()] == [()]


def test_instances_of_one_component_are_told_apart():
    """The second instance is given `b`, and only its export is exported."""
    text = """(component (import "a" (func $a)) (import "b" (func $b))
      (component $c (import "x" (func $x)) (core func $x' (canon lower (func $x)))
        (core module $m (import "" "x" (func $x)) (func (export "f") (call $x)))
        (core instance $m (instantiate $m (with "" (instance (export "x" (func $x'))))))
        (func (export "f") (canon lift (core func $m "f"))))
      (instance $one (instantiate $c (with "x" (func $a))))
      (instance $two (instantiate $c (with "x" (func $b))))
      (export "f" (func $two "f")))"""
    assert reached(text) == {"b"}


def test_a_path_goes_through_components():
    found = analyse(NESTED.replace("EXPORTS", '(export "go" (func $i "used"))'))
    item = next(item for _, item in found.root.items() if item.label == "q")
    path = found.why(found.root, item)
    assert path is not None
    assert [(f.kind, f.component, f.name) for f in path] == [
        ("export", "", "go"),
        ("lift", "component[0]", "used"),
        ("core", "component[0]", "used"),
        ("lower", "component[0]", "x"),
        ("import", "", "q"),
    ]


RESOURCES = """(component
  (import "my:app/streams@1.0.0" (instance $streams (export "stream" (type (sub resource)))))
  (alias export $streams "stream" (type $stream))
  (import "my:app/stdout@1.0.0" (instance $stdout
    (alias outer 1 $stream (type $s)) (export "stream" (type $s' (eq $s)))
    (export "get" (func (result (own $s'))))))
  (alias export $stdout "stream" (type $again))
  (core func $drop (canon resource.drop $again))
  (core module $m (import "" "drop" (func $drop (param i32))) (func (export "run") CODE))
  (core instance $i (instantiate $m (with "" (instance (export "drop" (func $drop))))))
  (func (export "run") (canon lift (core func $i "run"))))"""


def test_dropping_a_resource_is_an_item_of_its_interface():
    """Also when another interface hands the type on under its own name."""
    found = analyse(RESOURCES.replace("CODE", "(call $drop (i32.const 1))"))
    streams, stdout = found.root.imports
    assert [(i.label, i.raw, i.reachable) for i in streams.items] == [
        ("stream.drop", "[resource-drop]stream", True)
    ]
    assert [(i.label, i.reachable) for i in stdout.items] == [("get", False)]
    assert reached(RESOURCES.replace("CODE", "")) == set()


def test_imports_with_nothing_to_reach():
    found = analyse(
        """(component (type $u u8) (import "t" (type (eq $u)))
          (import "my:app/types@1.0.0" (instance (type $y u8) (export "y" (type (eq $y)))))
          (import "m" (core module)) (import "c" (component)) (import "e" (instance)))"""
    )
    kinds = [(one.name, one.kind, one.reachable) for one in found.root.imports]
    assert kinds == [
        ("t", "type", None), ("my:app/types@1.0.0", "instance", None), ("m", "module", None),
        ("c", "component", None), ("e", "instance", None),
    ]  # fmt: skip


def test_a_core_module_from_outside_may_call_all_it_is_given():
    text = """(component (import "a" (func $a)) (import "b" (func $b)) (import "c" (func $c))
      (import "m" (core module $m (import "" "a" (func)) (import "" "t" (table 1 funcref))))
      (core func $a' (canon lower (func $a))) (core func $b' (canon lower (func $b)))
      (core func $c' (canon lower (func $c)))
      (core module $own (import "" "b" (func $b)) (import "" "c" (func $c))
        (table (export "t") 1 funcref) (elem (i32.const 0) func $b))
      (core instance $own (instantiate $own (with "" (instance
        (export "b" (func $b')) (export "c" (func $c'))))))
      (core instance (instantiate $m (with "" (instance
        (export "a" (func $a')) (export "t" (table $own "t")))))))"""
    assert reached(text) == {"a", "b"}


def test_a_component_from_outside_may_call_all_it_is_given():
    text = """(component (import "a" (func $a)) (import "b" (func $b))
      (import "i" (instance $i (export "f" (func)) (export "g" (func))))
      (import "c" (component $c (import "x" (func))
        (import "j" (instance (export "f" (func)) (export "g" (func)))) (export "y" (func))))
      (instance $made (instantiate $c (with "x" (func $a)) (with "j" (instance $i)))))"""
    assert reached(text) == {"a", "f", "g"}


def test_a_component_that_is_handed_out_may_be_run_there():
    text = """(component (component $plugin (import "x" (func $x))
        (core func $x' (canon lower (func $x)))
        (core module $m (import "" "x" (func $x)) (func (export "f") (call $x)))
        (core instance $m (instantiate $m (with "" (instance (export "x" (func $x'))))))
        (func (export "f") (canon lift (core func $m "f"))))
      (export "plugin" (component $plugin)))"""
    found = analyse(text)
    assert reached(text, 1) == {"x"}
    assert [item.providers for _, item in found.components[1].items()] == [(Provider("outside"),)]


def test_instances_without_end_are_refused():
    """Each component instantiates the one before twice."""
    inner = "(component $c0)"
    for i in range(20):
        inner += f"""(component $c{i + 1} (alias outer 1 $c{i} (component $c))
          (instance (instantiate $c)) (instance (instantiate $c)))"""
    with pytest.raises(DecodeError, match="instantiates more than 20,000"):
        analyse(f"(component {inner} (instance (instantiate $c20)))")


def test_a_long_chain_of_instantiations_needs_no_deep_stack():
    inner = """(component $c0 (import "x" (func $x)) (export "y" (func $x)))"""
    for i in range(700):
        inner += f"""(component $c{i + 1} (import "x" (func $x))
          (alias outer 1 $c{i} (component $c))
          (instance $i (instantiate $c (with "x" (func $x)))) (export "y" (func $i "y")))"""
    text = f"""(component (import "a" (func $a)) {inner}
      (instance $i (instantiate $c700 (with "x" (func $a)))) (export "z" (func $i "y")))"""
    assert reached(text) == {"a"}
    assert reached(text, 1) == {"x"}


@pytest.mark.parametrize("name", ["nested", "indirect", "resources", "spilled", "run_command"])
def test_every_component_is_analysed(name):
    found = reach(decode(build(name)))
    for component in found.components:
        for _, item in component.items():
            assert (found.why(component, item) is not None) == item.reachable


BROKEN = ("nested", "indirect", "resources", "async", "spilled", "start")
EXAMPLES = max(1, int(150 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))


@settings(max_examples=EXAMPLES)
@given(
    st.sampled_from(BROKEN),
    st.lists(st.tuples(st.integers(8, 1 << 16), st.integers(0, 255)), min_size=1, max_size=3),
)
def test_malformed_input_is_refused_or_analysed(name, changes):
    """Never anything but a DecodeError."""
    data = bytearray(build(name))
    for at, byte in changes:
        data[8 + at % (len(data) - 8)] = byte
    try:
        found = reach(decode(bytes(data)))
    except DecodeError:
        return
    for component in found.components:
        for _, item in component.items():
            found.why(component, item)
