"""The observed column: which item of which component a record is about."""

from __future__ import annotations

import itertools

from tests.weave.reaching import analyse
from whamm_cm.gate.capabilities import Observed, capabilities

SHOP = """(component $shop
  (import "wasi:random/random@0.2.3" (instance $random (export "get-random-u64" (func (result u64)))
    (export "get-random-bytes" (func))))
  (import "wasi:io/poll@0.2.3" (instance $poll (export "pollable" (type (sub resource)))))
  (import "tick" (func $tick))
  (component $cart
    (import "my:dice/dice@1.0.0" (instance $dice (export "get-random-u64" (func (result u64)))))
    (import "tock" (func $tock))
    (core func $throw (canon lower (func $dice "get-random-u64")))
    (core func $tock' (canon lower (func $tock)))
    (core module $m (import "" "throw" (func $throw (result i64))) (import "" "tock" (func $tock))
      (func (export "run") (drop (call $throw))))
    (core instance $i (instantiate $m (with "" (instance
      (export "throw" (func $throw)) (export "tock" (func $tock'))))))
    (func (export "run") (canon lift (core func $i "run")))
    (@custom "component-name" "\\00\\05\\04cart"))
  (instance $cart (instantiate $cart
    (with "my:dice/dice@1.0.0" (instance $random)) (with "tock" (func $tick))))
  (export "run" (func $cart "run"))
  (@custom "component-name" "\\00\\05\\04shop"))"""

_CALLS = itertools.count(1)


def record(func, interface="", version="", *, component="cart", edge="import", **more):
    return {
        "v": 1, "phase": "call", "instance": 0, "call": next(_CALLS), "edge": edge,
        "component": component, "interface": interface, "version": version, "func": func, **more,
    }  # fmt: skip


def columns(*records, component=0):
    """label → (reachable, observed), and what else there is to say."""
    known = capabilities(analyse(SHOP), Observed.of(records))
    rows = {
        use.item.label: (use.item.reachable, use.observed)
        for one in known.components[component].imports
        for use in one.items
    }
    return rows, known


def test_calls_go_to_the_import_of_the_root_whatever_the_part_calls_it():
    rolled = record("get-random-u64", "my:dice/dice", "1.0.0")
    rows, known = columns(rolled, {**rolled, "phase": "return"}, record(**_same(rolled)))
    assert rows["get-random-u64"] == (True, 2)
    assert rows["get-random-bytes"] == (False, 0)
    assert not known.strangers and not known.contradictions


def _same(found):
    return {key: found[key] for key in ("func", "interface", "version")}


def test_and_to_the_import_of_the_part():
    rows, _ = columns(record("get-random-u64", "my:dice/dice", "1.0.0"), component=1)
    assert rows == {"get-random-u64": (True, 1), "tock": (False, 0)}


def test_counted_calls():
    rows, _ = columns(record("get-random-u64", "my:dice/dice", "1.0.0", phase="report", count=70))
    assert rows["get-random-u64"] == (True, 70)


def test_a_return_whose_call_was_lost_counts():
    rows, _ = columns(record("get-random-u64", "my:dice/dice", "1.0.0", phase="return"))
    assert rows["get-random-u64"] == (True, 1)


def test_without_logs_nothing_is_said():
    known = capabilities(analyse(SHOP))
    seen = {use.observed for one in known.root.imports for use in one.items}
    assert seen == {None}
    assert {one.observed for one in known.root.imports} == {None}


def test_counts_of_an_interface_leave_drops_out():
    _, known = columns(record("get-random-u64", "my:dice/dice", "1.0.0"))
    counts = {one.found.name: (one.declared, one.reachable, one.observed)
              for one in known.root.imports}  # fmt: skip
    assert counts == {
        "wasi:random/random@0.2.3": (2, 1, 1),
        "wasi:io/poll@0.2.3": (0, 0, 0),
        "tick": (1, 0, 0),
    }


def test_observed_but_unreachable_is_a_contradiction():
    _, known = columns(record("tock"))
    found = [(c.found.path, use.item.label) for c, _, use in known.contradictions]
    assert found == [("", "tick"), ("component[0]", "tock")]


def test_calls_of_something_else_are_strangers():
    versions = record("get-random-u64", "my:dice/dice", "2.0.0")
    _, known = columns(versions, record("get", "wasi:keyvalue/store"))
    assert [site.item for site in known.strangers] == [
        "my:dice/dice#get-random-u64", "wasi:keyvalue/store#get",
    ]  # fmt: skip


def test_calls_between_parts_and_into_exports_are_no_imports_of_the_root():
    _, known = columns(record("run", edge="export", component="shop"), record("x", edge="inner"))
    assert not known.strangers
    assert not any(use.observed for one in known.root.imports for use in one.items)


def test_other_records_are_not_calls():
    dropped = {"v": 1, "phase": "dropped", "instance": 0, "count": 5}
    value = {"v": 1, "phase": "report", "instance": 0, "script": "s", "var": "n", "value": 7}
    rows, known = columns(dropped, value, {"v": 1, "phase": "print", "instance": 0, "text": "hi"})
    assert not known.strangers
    assert not any(observed for _, observed in rows.values())
