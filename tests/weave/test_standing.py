"""What a function stands for at the root, and how it is selected, redacted and shown by it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.weave.host import text
from whamm_cm.analysis.program import Program
from whamm_cm.analysis.site import Site, selected
from whamm_cm.analysis.sites import find_sites
from whamm_cm.component.decode import decode
from whamm_cm.emit.model import Redact
from whamm_cm.gate.called import hidden, names
from whamm_cm.weave.orders import Orders
from whamm_cm.weave.plan import Added, Plan, nothing
from whamm_cm.weave.redact import rule_for
from whamm_cm.wit.classes import SiteSet
from whamm_cm.wit.names import FuncName

F = "(func (result string))"
#: Lowers function $f, in a component that has a memory for it.
LOWER = """
  (core module $mem (memory (export "m") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 2048)))
  (core instance $mem (instantiate $mem))
  (alias core export $mem "m" (core memory $m))
  (alias core export $mem "realloc" (core func $realloc))
  (core func $l (canon lower (func $f) (memory $m) (realloc $realloc)))
"""
INNER = f'(component $c (import "e" (func $f (result string))) {LOWER})'
ENV = f'(import "wasi:cli/environment@0.2.0" (instance $env (export "get-environment" {F})))'


def sites(source: str) -> list[Site]:
    return find_sites(Program.of(decode(text(f"(component {source})"), "app")))


def lower(source: str) -> Site:
    (found,) = [site for site in sites(source) if site.kind == "lower"]
    return found


def shown(site: Site) -> tuple[str, str]:
    name = FuncName(site.interface, site.version, site.func)
    return str(name), "" if site.inner is None else str(site.inner)


ENVIRONMENT = "wasi:cli/environment@0.2.0#get-environment"
RENAMED: dict[str, tuple[str, tuple[str, str]]] = {
    "a function": (
        f"""{ENV} {INNER} (alias export $env "get-environment" (func $f))
        (instance (instantiate $c (with "e" (func $f))))""",
        (ENVIRONMENT, "e"),
    ),
    "an instance": (
        f"""{ENV} (component $c (import "a:b/c@1.0.0" (instance $i (export "get-environment" {F})))
          (alias export $i "get-environment" (func $f)) {LOWER})
        (instance (instantiate $c (with "a:b/c@1.0.0" (instance $env))))""",
        (ENVIRONMENT, "a:b/c@1.0.0#get-environment"),
    ),
    "an instance made inline": (
        f"""{ENV} (component $c (import "a:b/c@1.0.0" (instance $i (export "f" {F})))
          (alias export $i "f" (func $f)) {LOWER})
        (alias export $env "get-environment" (func $f)) (instance $bag (export "f" (func $f)))
        (instance (instantiate $c (with "a:b/c@1.0.0" (instance $bag))))""",
        (ENVIRONMENT, "a:b/c@1.0.0#f"),
    ),
    "another version": (
        f"""{ENV} (component $c
          (import "wasi:cli/environment@0.2.9" (instance $i (export "get-environment" {F})))
          (alias export $i "get-environment" (func $f)) {LOWER})
        (instance (instantiate $c (with "wasi:cli/environment@0.2.9" (instance $env))))""",
        (ENVIRONMENT, "wasi:cli/environment@0.2.9#get-environment"),
    ),
    "through a component that passes it on": (
        f"""{ENV} {INNER}
        (component $pass (import "x" (func $x (result string))) (export "y" (func $x)))
        (alias export $env "get-environment" (func $f))
        (instance $p (instantiate $pass (with "x" (func $f))))
        (instance (instantiate $c (with "e" (func $p "y"))))""",
        (ENVIRONMENT, "e"),
    ),
    "two levels down": (
        f"""{ENV} (component $mid (import "m" (func $m (result string))) {INNER}
          (instance (instantiate $c (with "e" (func $m)))))
        (alias export $env "get-environment" (func $f))
        (instance (instantiate $mid (with "m" (func $f))))""",
        (ENVIRONMENT, "e"),
    ),
    "a component that is an argument": (
        f"""{ENV} {INNER}
        (component $mid (import "part" (component $part (import "e" {F})))
          (import "m" (func $m (result string)))
          (instance (instantiate $part (with "e" (func $m)))))
        (alias export $env "get-environment" (func $f))
        (instance (instantiate $mid (with "part" (component $c)) (with "m" (func $f))))""",
        (ENVIRONMENT, "e"),
    ),
    "a component from an instance": (
        f"""{ENV} (component $box {INNER} (export "part" (component $c)))
        (instance $b (instantiate $box)) (alias export $b "part" (component $c))
        (alias export $env "get-environment" (func $f))
        (instance (instantiate $c (with "e" (func $f))))""",
        (ENVIRONMENT, "e"),
    ),
    "an instance in an instance": (
        f"""{ENV} (component $c (import "bag" (instance $i
            (export "wasi:random/random@0.2.0" (instance (export "get-random-u64" {F})))))
          (alias export $i "wasi:random/random@0.2.0" (instance $j))
          (alias export $j "get-random-u64" (func $f)) {LOWER})
        (alias export $env "get-environment" (func $f))
        (instance $in (export "get-random-u64" (func $f)))
        (instance $out (export "wasi:random/random@0.2.0" (instance $in)))
        (instance (instantiate $c (with "bag" (instance $out))))""",
        (ENVIRONMENT, "bag#get-random-u64"),
    ),
}


@pytest.mark.parametrize("case", RENAMED)
def test_a_renamed_capability_is_what_it_is(case: str) -> None:
    source, expected = RENAMED[case]
    site = lower(source)
    assert shown(site) == expected
    assert site.edge == "import"
    for wanted in ("%env", "wasi:cli/*", ENVIRONMENT.replace("@", "@=")):
        assert selected(SiteSet.parse(wanted), site)
        assert not selected(SiteSet.parse(f"!{wanted}"), site)
    called = f"{site.inner}" if "#" in f"{site.inner}" else f"#{site.inner}"
    assert selected(SiteSet.parse(called), site)
    if "@" not in called or not called.startswith("wasi:cli"):
        assert selected(SiteSet.parse(f"!{called}"), site), "an inner name hides nothing"
    assert rule_for(site.names) == Redact(result="values")


VIRTUAL = f"""
  (component $fake (core module $m (memory (export "m") 1)
      (func (export "f") (result i32) (i32.const 16)))
    (core instance $i (instantiate $m))
    (func $f (result string) (canon lift (core func $i "f") (memory $i "m")))
    (instance $o (export "made-up" (func $f))) (export "my:own/thing@1.0.0" (instance $o)))
  (component $c (import "wasi:cli/environment@0.2.0" (instance $i (export "get-environment" {F})))
    (alias export $i "get-environment" (func $f)) {LOWER})
  (instance $n (instantiate $fake)) (alias export $n "my:own/thing@1.0.0" (instance $o))
  (alias export $o "made-up" (func $f)) (instance $b (export "get-environment" (func $f)))
  (instance (instantiate $c (with "wasi:cli/environment@0.2.0" (instance $b))))
"""


def test_what_only_pretends_to_be_the_hosts_shows_where_it_goes() -> None:
    site = lower(VIRTUAL)
    assert shown(site) == ("my:own/thing@1.0.0#made-up", ENVIRONMENT)
    assert site.edge == "inner"
    assert selected(SiteSet.parse("my:own/*"), site) and selected(SiteSet.parse("%env"), site)
    assert not selected(SiteSet.parse("!my:own/*"), site)
    assert rule_for(site.names) == Redact(result="values"), "by the stricter of its names"


def test_caller_and_callee_have_one_name() -> None:
    inner = [site for site in sites(VIRTUAL) if site.edge == "inner"]
    assert {site.kind for site in inner} == {"lower", "lift"}
    assert {shown(site)[0] for site in inner} == {"my:own/thing@1.0.0#made-up"}


def test_a_call_between_components_is_counted_once() -> None:
    program = Program.of(decode(text(f"(component {VIRTUAL})"), "app"))
    found = find_sites(program)
    for trace, count, expected in (
        (nothing, SiteSet.parse("all"), ["lower"]),
        (nothing, lambda edge, *name: name[0] == "wasi:cli/environment", ["lower"]),
        (nothing, lambda edge, interface, version, func: func == "never", []),
    ):
        orders = Orders(Plan(trace=trace, count=count, sink="none"), Added())
        chosen = [c for group in orders.choose(program, found).values() for c in group]
        assert [c.site.kind for c in chosen if c.action == "count"] == expected


def test_an_export_is_named_as_the_root_names_it() -> None:
    source = """(component $c (core module $m (func (export "f")))
        (core instance $i (instantiate $m)) (func $f (canon lift (core func $i "f")))
        (export "go" (func $f)))
      (instance $n (instantiate $c)) (alias export $n "go" (func $f))
      (instance $o (export "run" (func $f))) (export "wasi:cli/run@0.2.3" (instance $o))"""
    (site,) = sites(source)
    assert (site.edge, *shown(site)) == ("export", "wasi:cli/run@0.2.3#run", "go")


def test_one_component_given_two_things_names_both() -> None:
    source = f"""{ENV} (import "other" (func $o (result string))) {INNER}
      (alias export $env "get-environment" (func $f))
      (instance (instantiate $c (with "e" (func $o))))
      (instance (instantiate $c (with "e" (func $f))))"""
    site = lower(source)
    assert shown(site) == (f"other|{ENVIRONMENT}", "e")
    assert selected(SiteSet.parse("%env"), site) and selected(SiteSet.parse("#other"), site)
    # Taking out one of the two must not hide the other.
    assert selected(SiteSet.parse("!%env"), site)
    assert not selected(SiteSet.parse("!{wasi:cli/environment,}#*"), site)
    assert rule_for(site.names) == Redact(result="values")


def test_a_dropped_resource_is_named_by_its_import() -> None:
    source = """(import "wasi:io/error@0.2.0" (instance $e (export "error" (type (sub resource)))))
      (alias export $e "error" (type $t))
      (component $c (import "thing" (type $r (sub resource))) (core func (canon resource.drop $r)))
      (instance (instantiate $c (with "thing" (type $t))))"""
    (site,) = [site for site in sites(source) if site.kind == "resource.drop"]
    assert shown(site) == ("wasi:io/error@0.2.0#error.drop", "thing.drop")
    assert selected(SiteSet.parse("wasi:io/error#*.drop"), site)


def test_plain_names_are_judged_by_what_their_functions_are() -> None:
    source = f"""(import "envlabel" (instance $i (export "get-environment" {F})))
      (alias export $i "get-environment" (func $f)) {LOWER}"""
    site = lower(source)
    assert shown(site) == ("envlabel#get-environment", "")
    assert rule_for(site.names) == Redact(result="values")
    assert rule_for([FuncName("a:b/c", None, "get-environment")]) is None
    assert rule_for([FuncName("store", None, "get")]) is None


def test_of_several_rules_the_strictest() -> None:
    rules = rule_for([
        FuncName("wasi:http/types", None, "fields.entries"),
        FuncName("wasi:config/store", None, "x"),
    ])  # fmt: skip
    assert rules == Redact(result="values")
    both = rule_for([
        FuncName("wasi:http/types", None, "fields.from-list"),
        FuncName("wasi:http/types", None, "fields.get"),
    ])  # fmt: skip
    assert both == Redact(params="headers", gate=1)


def test_the_gate_reads_every_name() -> None:
    func = "f|g|c:d/e@1.0.0#h|#w"
    record: dict[str, Any] = {"interface": "wasi:a/b", "version": "0.2.0", "func": func}
    assert names(record) == [("wasi:a/b", "f"), ("wasi:a/b", "g"), ("c:d/e", "h"), ("", "w")]
    record = {"func": "f", "inner": {"interface": "x:y/z", "version": "1.0.0", "func": "g"}}
    assert names(record) == [("", "f"), ("x:y/z", "g")]
    assert hidden({"path": "data/******", "n": [1, "a*b"]}) == {
        "path": {"~redacted": 11}, "n": [1, "a*b"]
    }  # fmt: skip
