"""Imports against a policy, and every way we know to get one past it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import wasmtime

from tests.gate.making import TODAY, component, inside, judge, policy, rules, said
from whamm_cm.gate.engine import Engine
from whamm_cm.gate.model import Finding, Provider, Report
from whamm_cm.gate.subject import analyse

SOCKETS = "wasi:sockets/tcp@0.2.3"
STREAMS = "wasi:io/poll@0.2.3"
DENY = "imports: {default: allow, deny: ['wasi:sockets/*']}"
ALLOW = "imports:\n  default: deny\n  allow:\n    - 'wasi:io/*@^0.2.0'\n"


def located(report: Report) -> dict[str, str]:
    return {one.item: str(one.location) for one in report.all() if isinstance(one, Finding)}


def test_what_is_not_allowed_is_denied_and_points_at_the_default() -> None:
    report = judge(component({STREAMS: ("poll",), SOCKETS: ("bind",)}), ALLOW)
    assert said(report) == [("WCM010", SOCKETS)]
    assert located(report) == {SOCKETS: "p.yaml:3:3"} and report.verdict == "fail"


def test_a_denied_import_points_at_the_line_that_denies() -> None:
    report = judge(component({SOCKETS: ("bind",)}), DENY)
    assert located(report) == {SOCKETS: "p.yaml:2:34"}


def test_without_imports_in_the_policy_every_import_passes() -> None:
    assert said(judge(component({SOCKETS: ("bind",)}), "judge: declared")) == []


@pytest.mark.parametrize("section", ["{allow: []}", "{default: deny}", "{warn: []}"])
def test_a_section_without_a_default_is_closed(section: str) -> None:
    assert rules(judge(component({SOCKETS: ("bind",)}), f"imports: {section}")) == {"WCM010"}


def test_denied_beats_warned_beats_allowed() -> None:
    data = component({SOCKETS: ("bind", "listen", "connect")})
    text = "imports: {allow: ['wasi:*'], warn: [{item: '*#listen', reason: why}], deny: ['*#bind']}"
    report = judge(data, text)
    assert said(report) == [("WCM014", f"{SOCKETS}#bind"), ("WCM011", f"{SOCKETS}#listen")]
    assert "why" in [one for one in report.all() if one.rule == "WCM011"][0].message


def test_functions_that_are_not_allowed_of_an_interface_that_is() -> None:
    data = component({"wasi:keyvalue/store@0.2.0-draft": ("open", "drop-all")})
    report = judge(data, "imports: {allow: ['wasi:keyvalue/store@0.2.0-draft#open']}")
    assert said(report) == [("WCM014", "wasi:keyvalue/store@0.2.0-draft#drop-all")]


def test_the_column_that_decides() -> None:
    data = component({SOCKETS: ("bind", "listen")}, calls="bind")
    allow = "imports: {allow: ['*#bind']}\njudge: "
    seen = ({"v": 1, "phase": "call", "instance": 1, "call": 1, "edge": "import",
             "interface": "wasi:sockets/tcp", "version": "0.2.3", "func": "bind"},)  # fmt: skip
    assert rules(judge(data, allow + "declared")) == {"WCM014"}
    assert rules(judge(data, allow + "reachable")) == set()
    nothing = "imports: {allow: []}\njudge: observed"
    assert rules(judge(data, nothing)) == {"WCM010"}  # no logs: what is reachable counts
    assert rules(judge(data, nothing, ({**seen[0], "func": "other", "interface": "a:b/c"},))) == {
        "WCM022"
    }
    assert rules(judge(data, nothing, seen)) == {"WCM010"}


# getting past it


@pytest.mark.parametrize(
    "name",
    [
        "wasi:sockets/TCP@0.2.3",  # an acronym is a valid label
        "wasi:sockets/tcp@0.2.0-rc-2023-11-10",
        "wasi:sockets/tcp@0.2.3+build.7",
        "wasi:sockets/tcp",
        "wasi:sockets/tcp@9.9.9",
    ],
)
def test_spellings_do_not_get_past_a_denial(name: str) -> None:
    data = component({name: ("bind",)})
    assert "WCM010" in rules(judge(data, DENY))
    versioned = "imports: {default: allow, deny: ['wasi:sockets/*@0.2']}"
    if name.partition("@")[2].startswith("0.2"):
        assert "WCM010" in rules(judge(data, versioned))


@pytest.mark.parametrize(
    "name",
    [
        "wasi:io/poll@0.3.0",
        "wasi:io/poll@0.2.0-rc-2023-11-10",
        "wasi:io/poll",
        "wasi:i-o/poll@0.2.3",
        "wasi:io/poll2@0.1.0",
    ],
)
def test_spellings_do_not_get_into_an_allowance(name: str) -> None:
    assert "WCM010" in rules(judge(component({name: ("poll",)}), ALLOW))


@pytest.mark.parametrize(
    ("name", "resembles"),
    [
        ("wasi:sockets/TCP@0.2.3", "wasi:sockets/tcp"),
        ("wasi:socket/tcp@0.2.3", "wasi:sockets/tcp"),
        ("wasii:sockets/tcp@0.2.3", "wasi:sockets/tcp"),
        ("wasi:brand-new/thing@1.0.0", ""),
    ],
)
def test_names_that_want_to_be_taken_for_others(name: str, resembles: str) -> None:
    report = judge(component({name: ("bind",)}))
    assert rules(report) == {"WCM016"}
    assert resembles in next(iter(report.all())).message


def test_nobody_minds_names_of_others() -> None:
    names = ("acme:http/types@1.0.0", "wasi:webgpu/webgpu@0.0.1", "my:shop/tcp")
    assert rules(judge(component(dict.fromkeys(names, ("f",))))) == set()


def test_letters_of_other_alphabets_are_findings() -> None:
    """The engine refuses such bytes, so they are made by replacing letters of the same length."""
    data = component({"wasi:sockets/tcp@0.2.3": ("bind",)})
    cyrillic = data.replace(b"wasi:sockets/tcp@0.2.3", "wasi:sосkets/tcp@0.2".encode())
    report = judge(cyrillic, DENY)
    found = {one.rule: one.message for one in report.all()}
    assert "U+043E" in found["WCM017"]
    assert "wasi:s\\u043e\\u0441kets" in found["WCM017"]
    assert rules(judge(cyrillic, ALLOW)) >= {"WCM010", "WCM017"}


METHODS = """(component
  (import "wasi:sockets/tcp@0.2.3" (instance $tcp
    (export "tcp-socket" (type $t (sub resource)))
    (export "[method]tcp-socket.bind" (func (param "self" (borrow $t))))
    (export "[method]tcp-socket.listen" (func (param "self" (borrow $t)))))))"""


@pytest.mark.parametrize(
    "line",
    [
        "wasi:sockets/tcp#tcp-socket.bind",
        "wasi:sockets/tcp#[method]tcp-socket.bind",
        "wasi:*#*.bind",
        "wasi:sockets/tcp@0.2#{tcp-socket.bind,x}",
    ],
)
def test_methods_by_either_name(line: str) -> None:
    report = judge(wasmtime.wat2wasm(METHODS), f"imports: {{default: allow, deny: ['{line}']}}")
    assert ("WCM014", f"{SOCKETS}#tcp-socket.bind") in said(report)
    assert ("WCM014", f"{SOCKETS}#tcp-socket.listen") not in said(report)


@pytest.mark.parametrize("how", ["instance", "function"])
def test_an_import_passed_on_under_another_name(how: str) -> None:
    data = inside("acme:harmless/thing@1.0.0", "wasi:sockets/tcp@0.2.3", how)
    report = judge(data, DENY)
    assert said(report) == [("WCM015", "wasi:sockets/tcp@0.2.3")]
    (finding,) = report.all()
    assert "component[0]" in finding.message and "acme:harmless/thing@1.0.0" in finding.message
    both = "imports: {allow: ['acme:harmless/thing', 'wasi:sockets/tcp']}"
    assert said(judge(data, both)) == []


def test_a_version_that_is_cut_in_two_hides_nothing() -> None:
    """``versionsuffix``: the root's import is called by less than its whole name."""
    data = inside("acme:harmless/thing@1.0.0", "wasi:sockets/tcp@0.2.3", "instance")
    subject = analyse(data, "app").subject
    (nested,) = subject.nested
    (row,) = nested.imports
    less = Provider("host", "", "acme:harmless/thing")
    cut_row = replace(row, functions=tuple(replace(f, providers=(less,)) for f in row.functions))
    cut = replace(subject, nested=(replace(nested, imports=(cut_row,)),))
    engine = Engine(policy(DENY), TODAY)
    found = engine.judge(engine.context("app", "app", subject=cut)).findings
    assert [one.rule for one in found] == ["WCM015"]


def test_a_function_of_the_world_passed_on_as_an_interface() -> None:
    data = wasmtime.wat2wasm("""(component
      (import "tick" (func $tick))
      (component $in
        (import "wasi:sockets/tcp@0.2.3" (instance $tcp (export "bind" (func))))
        (core func $bind (canon lower (func $tcp "bind")))
        (core module $m (import "" "bind" (func $bind)) (func (export "run") (call $bind)))
        (core instance $i (instantiate $m (with "" (instance (export "bind" (func $bind))))))
        (func (export "run") (canon lift (core func $i "run"))))
      (instance $i (instantiate $in (with "wasi:sockets/tcp@0.2.3"
        (instance (export "bind" (func $tick))))))
      (export "run" (func $i "run")))""")
    assert said(judge(data, DENY)) == [("WCM015", "wasi:sockets/tcp@0.2.3")]


def test_only_inside_a_component_inside() -> None:
    """What nobody at the root speaks of still comes in by the root's import."""
    same = inside("wasi:sockets/tcp@0.2.3", "wasi:sockets/tcp@0.2.3", "instance")
    assert said(judge(same, DENY)) == [("WCM010", SOCKETS)]


def test_only_through_a_table() -> None:
    data = wasmtime.wat2wasm("""(component
      (import "wasi:sockets/tcp@0.2.3" (instance $tcp (export "bind" (func))))
      (core func $bind (canon lower (func $tcp "bind")))
      (core module $m (import "" "bind" (func $bind)) (table 1 funcref) (elem (i32.const 0) $bind)
        (func (export "run") (call_indirect (i32.const 0))))
      (core instance $i (instantiate $m (with "" (instance (export "bind" (func $bind))))))
      (func $run (canon lift (core func $i "run")))
      (export "run" (func $run)))""")
    assert said(judge(data, f"{DENY}\njudge: reachable")) == [("WCM010", SOCKETS)]


def test_only_in_an_adapter() -> None:
    """Core code calls a module that calls the import: one module further."""
    data = wasmtime.wat2wasm("""(component
      (import "wasi:sockets/tcp@0.2.3" (instance $tcp (export "bind" (func))))
      (core func $bind (canon lower (func $tcp "bind")))
      (core module $adapter (import "" "bind" (func $bind)) (func (export "old") (call $bind)))
      (core instance $a (instantiate $adapter
        (with "" (instance (export "bind" (func $bind))))))
      (core module $m (import "" "old" (func $old)) (func (export "run") (call $old)))
      (core instance $i (instantiate $m (with "" (instance (export "old" (func $a "old"))))))
      (func $run (canon lift (core func $i "run")))
      (export "run" (func $run)))""")
    assert said(judge(data, f"{DENY}\njudge: reachable")) == [("WCM010", SOCKETS)]


def test_an_interface_under_a_label() -> None:
    """Judged as what it implements, whatever it is called."""
    data = wasmtime.wat2wasm("""(component (import "sessions" (implements "wasi:sockets/tcp@0.2.3")
      (instance (export "bind" (func)))))""")
    report = judge(data, DENY)
    assert ("WCM010", SOCKETS) in said(report)
    assert "sessions" in " ".join(one.message for one in report.all())


HANDED = """(component $root
  (import "wasi:sockets/tcp@0.2.3" (instance $tcp (export "tcp-socket" (type (sub resource)))
    METHOD))
  (alias export $tcp "tcp-socket" (type $socket))
  (import "acme:pool/pool@1.0.0" (instance $pool (alias outer $root $socket (type $s'))
    (export "socket" (type $s (eq $s'))) (export "take" (func (result (own $s))))))
  (core func $take (canon lower (func $pool "take")))
  LOWER
  (core module $m (import "" "take" (func $take (result i32))) IMPORT
    (func (export "run") (drop (call $take)) USE))
  (core instance $i (instantiate $m (with "" (instance (export "take" (func $take)) GIVE))))
  (func $run (canon lift (core func $i "run")))
  (export "run" (func $run)))"""


def handed(method: bool) -> bytes:
    parts = {
        "METHOD": '(export "[method]tcp-socket.bind" (func (param "self" (borrow 0))))',
        "LOWER": '(core func $bind (canon lower (func $tcp "[method]tcp-socket.bind")))',
        "IMPORT": '(import "" "bind" (func $bind (param i32)))',
        "USE": "(call $bind (call $take))",
        "GIVE": '(export "bind" (func $bind))',
    }
    text = HANDED
    for word, part in parts.items():
        text = text.replace(word, part if method else "")
    return wasmtime.wat2wasm(text)


def test_a_capability_handed_over_as_a_resource() -> None:
    """A socket that an allowed interface gives is of a type that has to be imported by its name:
    the import is denied, with its methods or without any."""
    for method in (True, False):
        assert said(judge(handed(method), DENY)) == [("WCM010", SOCKETS)]
    assert said(judge(handed(True), f"{DENY}\njudge: reachable")) == [("WCM010", SOCKETS)]
    allowed = "imports: {allow: ['acme:pool/pool']}"
    assert said(judge(handed(False), allowed)) == [("WCM010", SOCKETS)]


def test_imported_components_and_modules_cannot_be_judged() -> None:
    data = wasmtime.wat2wasm('(component (import "m" (core module)))')
    assert rules(judge(data)) == {"WCM001"}
    assert rules(judge(data, ALLOW + "judge: reachable")) == {"WCM001", "WCM010"}


def test_broken_code_makes_everything_reachable() -> None:
    data = component({SOCKETS: ("bind",)}, calls="")
    assert rules(judge(data)) == {"WCM020"}
    broken = data.replace(bytes.fromhex("02000b"), bytes.fromhex("02ff0b"))
    assert broken != data
    report = judge(broken, f"{DENY}\njudge: reachable")
    assert {"WCM001", "WCM010"} <= rules(report)


# the rest of what a file shows


def test_exports() -> None:
    data = component({})
    assert said(judge(data, "exports: {require: ['#run'], forbid: ['wasi:*']}")) == []
    report = judge(data, "exports:\n  require: ['wasi:cli/run']\n  forbid: ['#run']")
    assert said(report) == [("WCM030", "wasi:cli/run"), ("WCM031", "run")]
    assert located(report) == {"wasi:cli/run": "p.yaml:3:13", "run": "p.yaml:4:12"}


def test_size() -> None:
    data = component({})
    text = "rules:\n  WCM040: {max_bytes: %d}"
    assert said(judge(data, text % len(data))) == []
    report = judge(data, text % (len(data) - 1))
    assert said(report) == [("WCM040", "size")] and located(report) == {"size": "p.yaml:3:3"}


def test_probes() -> None:
    from whamm_cm.gate.marks import STAMP
    from whamm_cm.weave import api

    assert STAMP == api.STAMP
    assert rules(judge(wasmtime.wat2wasm('(component (@custom "whamm-cm" "{}"))'))) == {"WCM041"}
    assert rules(judge(wasmtime.wat2wasm('(component (@custom "whamm-cm" "x"))'))) == {"WCM041"}


def test_a_policy_for_others() -> None:
    data = component({})
    assert said(judge(data, "match: {name: '*.wasm', image: 'dir/*'}")) == []
    report = judge(data, f"match: {{name: b.wasm, image: 'oci://*', sha256: '{'0' * 64}'}}")
    assert said(report) == [("WCM003", "image"), ("WCM003", "name"), ("WCM003", "sha256")]
