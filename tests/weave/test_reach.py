"""Reachability within a component instance: each case says which of a, b, c `run` can call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.weave.reaching import analyse, framed, reached
from whamm_cm.errors import DecodeError

CASES = {
    "nothing": ('(func (export "run"))', ""),
    "a call": ('(func (export "run") (call $a))', "a"),
    "calls of calls, in a circle": (
        """(func (export "run") (call $f)) (func $f (call $g)) (func $g (call $f) (call $b))
        (func (call $a))""",
        "b",
    ),
    "a tail call": ('(func (export "run") (return_call $b))', "b"),
    "code that is not run is no call": (
        '(func (export "run") (return) (call $a))',
        "a",  # a body is taken as a whole
    ),
    "by the type of an indirect call": (
        """(table 3 funcref) (elem (i32.const 0) func $a $c)
        (func (export "run") (call_indirect (i32.load8_u (i32.const 0)))) (memory 1)""",
        "a",
    ),
    "by the slot, where it is constant": (
        """(table 3 funcref) (elem (i32.const 1) func $a $b)
        (func (export "run") (call_indirect (i32.const 2)))""",
        "b",
    ),
    "by the slot, when something else is written anywhere": (
        """(table 3 funcref) (elem (i32.const 1) func $a $b) (elem declare func $a)
        (global $at (mut i32) (i32.const 0))
        (func (export "run") (table.set (global.get $at) (ref.func $a))
          (call_indirect (i32.const 2)))""",
        "ab",
    ),
    "a slot that nothing is in": (
        """(table 3 funcref) (elem (i32.const 1) func $a)
        (func (export "run") (call_indirect (i32.const 2)))""",
        "",
    ),
    "in another table": (
        """(table $t 3 funcref) (table $u 3 funcref) (elem (table $t) (i32.const 0) func $a)
        (elem (table $u) (i32.const 0) func $b)
        (func (export "run") (call_indirect $u (i32.const 0)))""",
        "b",
    ),
    "segments at offsets that are not known": (
        """(import "host" "base" (global $g i32)) (table 3 funcref)
        (elem (global.get $g) func $b) (func (export "run") (call_indirect (i32.const 1)))""",
        "b",
    ),
    "put there, but from code that is not reached": (
        """(table 3 funcref) (elem declare func $a)
        (func (export "run") (call_indirect (i32.const 0)))
        (func (table.set (i32.const 0) (ref.func $a)))""",
        "",
    ),
    "put there after the call was seen": (
        """(table 3 funcref) (elem declare func $a)
        (func (export "run") (call_indirect (i32.const 0)) (call $later))
        (func $later (table.set (i32.const 0) (ref.func $a)))""",
        "a",
    ),
    "a passive segment": (
        """(table 3 funcref) (elem $e func $a)
        (func (export "run") (table.init $e (i32.const 0) (i32.const 0) (i32.const 1))
          (call_indirect (i32.const 0)))""",
        "a",
    ),
    "a passive segment that nobody takes": (
        """(table 3 funcref) (elem $e func $a)
        (func (export "run") (call_indirect (i32.const 0)))""",
        "",
    ),
    "copied between tables": (
        """(table $t 3 funcref) (table $u 3 funcref) (elem (table $t) (i32.const 0) func $a)
        (func (export "run") (table.copy $u $t (i32.const 0) (i32.const 0) (i32.const 1))
          (call_indirect $u (i32.const 0)))""",
        "a",
    ),
    "copied the other way": (
        """(table $t 3 funcref) (table $u 3 funcref) (elem (table $t) (i32.const 0) func $a)
        (func (export "run") (table.copy $t $u (i32.const 0) (i32.const 0) (i32.const 1))
          (call_indirect $u (i32.const 0)))""",
        "",
    ),
    "taken out and put in": (
        """(table $t 3 funcref) (table $u 3 funcref) (elem (table $t) (i32.const 0) func $a)
        (func (export "run") (table.set $u (i32.const 0) (table.get $t (i32.const 0)))
          (call_indirect $u (i32.const 0)))""",
        "a",
    ),
    "grown and filled": (
        """(table $t 0 funcref) (elem declare func $a)
        (func (export "run") (drop (table.grow $t (ref.func $a) (i32.const 3)))
          (call_indirect (i32.const 0)))""",
        "a",
    ),
    "by reference": (
        """(type $f (func)) (elem declare func $b)
        (func (export "run") (call_ref $f (ref.func $b)))""",
        "b",
    ),
    "by reference of another type": (
        """(type $f (func)) (elem declare func $b $c)
        (func (export "run") (drop (ref.func $c)) (call_ref $f (ref.func $b)))""",
        "b",
    ),
    "by a reference in a global": (
        """(type $f (func)) (global $g (ref $f) (ref.func $a))
        (func (export "run") (call_ref $f (global.get $g)))""",
        "a",
    ),
    "by a table's initial value": (
        """(type $f (func)) (table 2 (ref $f) (ref.func $a))
        (func (export "run") (call_indirect (type $f) (i32.const 0)))""",
        "a",
    ),
    "by a segment's global": (
        """(type $f (func)) (global $g (ref $f) (ref.func $a)) (table 2 (ref null $f))
        (elem (i32.const 0) (ref $f) (global.get $g))
        (func (export "run") (call_indirect (type $f) (i32.const 0)))""",
        "a",
    ),
    "by a supertype": (
        """(type $top (sub (func))) (type $bottom (sub $top (func))) (table 2 funcref)
        (elem (i32.const 0) func $f) (func $f (type $bottom) (call $b))
        (func (export "run") (call_indirect (type $top) (i32.const 0)))""",
        "b",
    ),
    "through an array of references": (
        """(type $f (func)) (type $fs (array (ref $f))) (elem $e (ref $f) (ref.func $a))
        (func (export "run") (call_ref $f (array.get $fs
          (array.new_elem $fs $e (i32.const 0) (i32.const 1)) (i32.const 0))))""",
        "a",
    ),
    "several functions in one item of a segment": (
        """(type $f (func)) (type $s (struct (field (ref $f)) (field (ref $f))))
        (table $t 1 (ref null $s))
        (elem (table $t) (i32.const 0) (ref $s) (struct.new $s (ref.func $a) (ref.func $b)))
        (func (export "run") (call_ref $f (struct.get $s 1 (table.get $t (i32.const 0)))))""",
        "ab",
    ),
    "several functions in one item of a passive segment": (
        """(type $f (func)) (type $s (array (ref $f))) (type $ss (array (ref $s)))
        (elem $e (ref $s) (array.new_fixed $s 2 (ref.func $a) (ref.func $b)))
        (func (export "run") (call_ref $f (array.get $s (array.get $ss
          (array.new_elem $ss $e (i32.const 0) (i32.const 1)) (i32.const 0)) (i32.const 1))))""",
        "ab",
    ),
    "several functions in a table's initial value": (
        """(type $f (func)) (type $s (struct (field (ref $f)) (field (ref $f))))
        (table $t 1 (ref $s) (struct.new $s (ref.func $a) (ref.func $b)))
        (func (export "run") (call_ref $f (struct.get $s 1 (table.get $t (i32.const 0)))))""",
        "ab",
    ),
    "copied within a table": (
        """(table $t 4 funcref) (elem (i32.const 0) func $a)
        (func (export "run") (table.copy $t $t (i32.const 2) (i32.const 0) (i32.const 1))
          (call_indirect (i32.const 2)))""",
        "a",
    ),
    "copied within a table, there and back": (
        """(table $t 4 funcref) (table $u 4 funcref) (elem (table $t) (i32.const 0) func $a)
        (func (export "run") (table.copy $u $t (i32.const 2) (i32.const 0) (i32.const 1))
          (table.copy $t $u (i32.const 2) (i32.const 2) (i32.const 1))
          (call_indirect (i32.const 2)))""",
        "a",
    ),
    "thrown and caught": (
        """(type $f (func)) (tag $e (param (ref null $f))) (elem declare func $b)
        (func (export "run") (call_ref $f (block $c (result (ref null $f))
          (try_table (catch $e $c) (call $thrower)) (unreachable))))
        (func $thrower (throw $e (ref.func $b)))""",
        "b",
    ),
    "by a reference to a function in another group of types": (
        """(rec (type $f (func)) (type (struct))) (type $g (sub (func)))
        (table 2 funcref) (elem (i32.const 0) func $f') (func $f' (type $f) (call $c (i32.const 1)))
        (func (export "run") (call_indirect (type $g) (i32.const 0)))""",
        "c",  # it would trap: types are taken for equal that may be
    ),
    "the start function": ('(func (export "run")) (func $s (call $a)) (start $s)', "a"),
    "a start function that is the import itself": ('(func (export "run")) (start $b)', "b"),
    "exporting a function calls nothing": ('(func (export "run")) (export "x" (func $a))', ""),
    "an import that is exported as run": ('(export "run" (func $a))', "a"),
}


@pytest.mark.parametrize("case", CASES)
def test_reached_from_run(case):
    core, expected = CASES[case]
    text = framed(core)
    if '"base"' in core:
        text = (
            framed(core.replace('(import "host" "base"', '(import "more" "base"'))
            .replace(
                '(with "host"',
                '(with "more" (instance $base)) (with "host"',
            )
            .replace(
                "(core instance $i",
                '(core module $g (global (export "base") i32 (i32.const 1)))'
                "(core instance $base (instantiate $g)) (core instance $i",
            )
        )
    assert reached(text) == set(expected)


def test_helpers_of_a_lift_are_called():
    core = """(memory (export "memory") 1)
      (func (export "run") (result i32) i32.const 0)
      (func (export "post") (param i32) (call $a))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (call $b) (i32.const 0))"""
    lift = '(memory $i "memory") (realloc (func $i "realloc")) (post-return (func $i "post"))'
    text = framed(core, lift=lift).replace("(func $run (canon", "(func $run (result string) (canon")
    assert reached(text) == {"a", "b"}


def test_the_callback_of_an_async_export_is_called():
    core = """(func (export "run") (result i32) i32.const 0)
      (func (export "callback") (param i32 i32 i32) (result i32) (call $b) (i32.const 0))"""
    text = framed(core, lift='async (callback (func $i "callback"))').replace(
        "(func $run (canon", "(func $run async (canon"
    )
    assert reached(text) == {"b"}


def test_what_is_not_exported_is_not_reached():
    text = framed('(func (export "run")) (func (export "hidden") (call $a))',
                  more='(func $hidden (canon lift (core func $i "hidden")))')  # fmt: skip
    assert reached(text) == set()


def test_an_ascribed_type_hides_functions():
    both = """(component $c (import "x" (func $x)) (import "y" (func $y))
        (export "x'" (func $x)) (export "y'" (func $y)))
      (import "p" (func $p)) (import "q" (func $q))
      (instance $i (instantiate $c (with "x" (func $p)) (with "y" (func $q))))"""
    whole = f'(component {both} (export "i" (instance $i)))'
    part = f"""(component {both}
      (export "i" (instance $i) (instance (export "y'" (func)))))"""
    assert reached(whole) == {"p", "q"}
    assert reached(part) == {"q"}


DESTRUCTOR = """(component (import "a" (func $a)) (core func $a' (canon lower (func $a)))
  (core module $m (import "" "a" (func $a)) (func (export "dtor") (param i32) (call $a))
    (func (export "run")))
  (core instance $i (instantiate $m (with "" (instance (export "a" (func $a'))))))
  (type $r (resource (rep i32) (dtor (func $i "dtor"))))
  (core func $new (canon resource.new $r)) (core func $drop (canon resource.drop $r))
  (core module $n (import "" "new" (func $new (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "run") CODE))
  (core instance $j (instantiate $n (with "" (instance
    (export "new" (func $new)) (export "drop" (func $drop))))))
  (func (export "run") (canon lift (core func $j "run"))))"""


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("(drop (call $new (i32.const 1)))", {"a"}),  # the host may drop it
        ("(call $drop (i32.const 1))", {"a"}),
        ("", set()),
    ],
)
def test_a_destructor_needs_a_handle(code, expected):
    assert reached(DESTRUCTOR.replace("CODE", code)) == expected


def test_threads_run_functions_of_their_table():
    text = """(component (import "a" (func $a)) (core func $a' (canon lower (func $a)))
      (core module $m (import "" "a" (func $a)) (table (export "t") 1 funcref)
        (elem (i32.const 0) func $f) (func $f (param i32) (call $a)))
      (core instance $i (instantiate $m (with "" (instance (export "a" (func $a'))))))
      (core type $start (func (param i32)))
      (core func $spawn (canon thread.new-indirect $start (table $i "t")))
      (core module $n (import "" "spawn" (func $s (param i32 i32) (result i32)))
        (func (export "run") CODE))
      (core instance $j (instantiate $n (with "" (instance (export "spawn" (func $spawn))))))
      (func (export "run") (canon lift (core func $j "run"))))"""
    spawning = "(drop (call $s (i32.const 0) (i32.const 0)))"
    assert reached(text.replace("CODE", spawning)) == {"a"}
    assert reached(text.replace("CODE", "")) == set()


def test_a_malformed_module_is_refused():
    """What cannot be read may do anything: there is no answer."""
    import wasmtime

    from whamm_cm.analysis.reach.analysis import reach
    from whamm_cm.component.decode import decode

    whole = wasmtime.wat2wasm(framed('(func (export "run") (call $a))'))
    assert whole.count(b"\x10\x00\x0b") == 1
    with pytest.raises(DecodeError, match="function 99 is out of bounds"):
        reach(decode(whole.replace(b"\x10\x00\x0b", b"\x10\x63\x0b")))


def test_the_path_is_a_shortest_one():
    found = analyse(
        framed(
            """(table 9 funcref) (elem (i32.const 0) func $far)
            (func $run (export "run") (call $one) (call_indirect (i32.const 0)))
            (func $one (call $two)) (func $two (call $a)) (func $far (call $a))"""
        )
    )
    items = {item.label: item for _, item in found.root.items()}
    path = found.why(found.root, items["a"])
    assert path is not None
    assert [(f.kind, f.name, f.via) for f in path] == [
        ("export", "run", ""),
        ("lift", "run", "export"),
        ("core", "run", "lift"),
        ("core", "far", "call_indirect"),
        ("lower", "a", "call"),
        ("import", "a", "import"),
    ]
    assert path[3].module == "module[0]" and path[3].index == 6
    assert found.why(found.root, items["b"]) is None


def _shared(core_of_b: str, given: str) -> str:
    """Module $x has table "t" (its slot 0 is $a), under another name "u"; $y imports them."""
    return f"""(component (import "a" (func $a)) (core func $a' (canon lower (func $a)))
      (core module $x (import "" "a" (func $a)) (table $t 4 funcref) (elem (i32.const 0) func $a)
        (export "t" (table $t)) (export "u" (table $t)))
      (core instance $x (instantiate $x (with "" (instance (export "a" (func $a'))))))
      (core module $y {core_of_b})
      (core instance $y (instantiate $y {given}))
      (func (export "run") (canon lift (core func $y "run"))))"""


@pytest.mark.parametrize(
    "given",
    [
        '(with "x" (instance $x))',
        """(with "x" (instance (export "t" (table $x "t")) (export "u" (table $x "t"))))""",
        """(with "x" (instance (export "t" (table $x "u")) (export "u" (table $x "t"))))""",
    ],
)
def test_a_table_under_two_names(given):
    core = """(import "x" "t" (table $t 4 funcref)) (import "x" "u" (table $u 4 funcref))
      (func (export "run") (table.copy $t $u (i32.const 3) (i32.const 0) (i32.const 1))
        (call_indirect $u (i32.const 3)))"""
    assert reached(_shared(core, given)) == {"a"}


def test_a_component_in_an_exported_instance_can_be_instantiated():
    inner = """(component $c (core func $l (canon lower (func $a)))
      (core module $m (import "" "a" (func $a)) (func (export "f") (call $a)))
      (core instance $i (instantiate $m (with "" (instance (export "a" (func $l))))))
      (func (export "f") (canon lift (core func $i "f"))))"""
    # Functions of the parent cannot be named within a component: it gets them as an import.
    inner = inner.replace("(component $c", '(component $c (import "a" (func $a))')
    text = f"""(component (import "a" (func $a)) (import "spare" (func))
      (component $outer (import "a" (func $a)) {inner} (export "c" (component $c)))
      (component $giver (import "a" (func $a)) (export "f" (func $a)))
      (instance $i (instantiate $giver (with "a" (func $a))))
      (instance $o (instantiate $outer (with "a" (func $a))))
      (instance $bag (export "c" (component $giver)) (export "f" (func $i "f")))
      (export "bag" (instance $bag)) (export "o" (instance $o)))"""
    found = analyse(text)
    assert {item.label for _, item in found.root.items() if item.reachable} == {"a"}
    by_path = {one.path: one for one in found.components}
    assert all(one.instances for path, one in by_path.items() if path)
    assert all(i.reachable for _, i in by_path["component[0].component[0]"].items())


def test_two_instances_of_one_type_are_told_apart():
    text = """(component
      (import "o" (instance $o (type $t (instance (export "f" (func))))
        (export "x" (instance (type $t))) (export "y" (instance (type $t)))))
      (alias export $o "y" (instance $y)) (alias export $y "f" (func $f))
      (core func $l (canon lower (func $f)))
      (core module $m (import "" "f" (func $f)) (func (export "run") (call $f)))
      (core instance $i (instantiate $m (with "" (instance (export "f" (func $l))))))
      (func (export "run") (canon lift (core func $i "run"))))"""
    found = {item.path: item.reachable for _, item in analyse(text).root.items()}
    assert found == {("o", "x", "f"): False, ("o", "y", "f"): True}


def test_instances_that_double_with_every_step_are_refused():
    steps = "".join(
        f"""(instance $i{n} (export "x" (instance $i{n - 1})) (export "y" (instance $i{n - 1})))"""
        for n in range(1, 60)
    )
    text = f"""(component (import "a" (func $a)) (instance $i0 (export "f" (func $a))) {steps}
      (export "o" (instance $i59)))"""
    with pytest.raises(DecodeError, match="o has more than 100,000 items in it"):
        analyse(text)
    given = text.replace('(export "o" (instance $i59))', """
      (import "c" (component $c (import "i" (instance))))
      (instance (instantiate $c (with "i" (instance $i59))))""")  # fmt: skip
    with pytest.raises(DecodeError, match="an instance with more than 100,000 items in it"):
        analyse(given)


EDGES = st.lists(
    st.tuples(st.integers(0, 7), st.sampled_from(("call", "slot", "ref")), st.integers(0, 10)),
    max_size=25,
)


@given(EDGES)
def test_as_a_search_in_the_plain_graph(edges):
    """Eight functions, 8..10 being a, b and c; f0 is run.  `slot` calls the target's own slot."""
    bodies = dict.fromkeys(range(8), "")
    follows: dict[int, set[int]] = {i: set() for i in range(11)}
    for origin, how, target in edges:
        name = f"$f{target}" if target < 8 else "$" + "abc"[target - 8]
        wants = "(i32.const 0)" if target == 10 else ""
        bodies[origin] += {
            "call": f"(call {name} {wants})",
            "slot": f"(call_indirect (type ${'u' if wants else 't'}) {wants} (i32.const {target}))",
            "ref": f"(call_ref $t (ref.func {name}))" if not wants else "",
        }[how]
        if how != "ref" or not wants:
            follows[origin].add(target)
    functions = "".join(f"(func $f{i} {body})" for i, body in bodies.items())
    names = " ".join([*(f"$f{i}" for i in range(8)), "$a", "$b", "$c"])
    core = f"""(type $t (func)) (type $u (func (param i32))) (table 11 funcref)
      (elem (i32.const 0) func {names}) {functions} (export "run" (func $f0))"""
    certain, pending = {0}, [0]
    while pending:
        for target in follows[pending.pop()] - certain:
            certain.add(target)
            pending.append(target)
    expected = {"abc"[i - 8] for i in certain if i >= 8}
    found = reached(framed(core))
    if any(how == "ref" for _, how, _ in edges):
        assert expected <= found  # references of one type are told apart by nobody
    else:
        assert expected == found
