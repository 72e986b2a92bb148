"""What is said about an import: by lists of a policy, and by what a host links of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gate.making import TODAY, component, inside, judge, policy
from whamm_cm.gate.engine import Engine
from whamm_cm.gate.model import ExportRow, Finding, FunctionRow, ImportRow, Report, Subject

STORE = "acme:db/store"


def functions(*names: str, reachable: str = "") -> tuple[FunctionRow, ...]:
    return tuple(FunctionRow(name, name, name in reachable.split()) for name in names)


def instance(name: str, *names: str, **more: Any) -> ImportRow:
    interface, _, version = name.partition("@")
    more = {"interface": interface, "version": version or None, **more}
    return ImportRow(name, "instance", functions=functions(*names), **more)


def found(text: str, *rows: ImportRow, exports: tuple[ExportRow, ...] = ()) -> list[Finding]:
    subject = Subject("", 0, 0, (), None, rows, exports)
    engine = Engine(policy(text), TODAY)
    return list(engine.judge(engine.context("a", "a", subject=subject)).findings)


LISTS = ("WCM010", "WCM011", "WCM012", "WCM013", "WCM014", "WCM018")


def said(text: str, *rows: ImportRow) -> list[tuple[str, str]]:
    return sorted((one.rule, one.item) for one in found(text, *rows) if one.rule in LISTS)


def of(report: Report, rule: str) -> list[Finding]:
    return [one for one in report.all() if isinstance(one, Finding) and one.rule == rule]


# lists


def test_how_much_is_denied_is_said() -> None:
    def message(*names: str) -> str:
        row = ImportRow(STORE, "instance", STORE, None, functions(*names, reachable="get"))
        return found("imports: {allow: []}", row)[0].message

    assert message("get").startswith(f"{STORE} (1 function, 1 reachable) is not on the list")
    assert message("get", "put").startswith(f"{STORE} (2 functions, 1 reachable) is not")
    assert message().startswith(f"{STORE} is not on the list")


def test_a_finding_points_at_the_line_that_decides() -> None:
    """Lines: 3 allows open, 4 denies get."""
    text = "imports:\n  allow: ['acme:db/store#open']\n  deny: ['acme:db/store#get']"

    def places(*names: str) -> list[tuple[str, str]]:
        every = found(text, instance(STORE, *names))
        return [(one.item, str(one.location)) for one in every if one.rule in LISTS]

    # One by default, one by its line: the line says more.
    assert places("put", "get") == [(STORE, "p.yaml:4:10")]
    assert places("put") == [(STORE, "p.yaml:2:1")]
    # Of an interface that is allowed in part: where it is denied, or the line to extend.
    assert places("get", "open", "put") == [
        (f"{STORE}#get", "p.yaml:4:10"), (f"{STORE}#put", "p.yaml:3:11"),
    ]  # fmt: skip


def test_every_import_is_looked_at_whatever_the_ones_before_it_are() -> None:
    text = "imports: {allow: ['acme:db/store#open', {item: 'a:b/*', reason: x}], warn: ['w:w/*']}"
    rows = [
        instance("x:y/z", "f"), instance(STORE, "open", "put"), instance("w:w/w", "f"),
        instance("a:b/c", "f"), instance("w:w/v", "f"), instance("x:y/w", "f"),
    ]  # fmt: skip
    assert said(text, *rows) == [
        ("WCM010", "x:y/w"), ("WCM010", "x:y/z"), ("WCM011", "w:w/v"), ("WCM011", "w:w/w"),
        ("WCM014", f"{STORE}#put"),
    ]  # fmt: skip


# hosts

LINKS = "host: {name: x, links: ['acme:db/*@1', 'acme:some/it#{get,put}'], labels: ['acme:db/*@1']}"


@pytest.mark.parametrize(
    ("row", "rules"),
    [
        (instance(f"{STORE}@1.2.0", "get"), []),
        (instance(f"{STORE}@1.2.0"), []),
        (instance("acme:kv/store@1.2.0", "get"), [("WCM012", "acme:kv/store@1.2.0")]),
        (instance("acme:kv/store@1.2.0"), [("WCM012", "acme:kv/store@1.2.0")]),
        (instance(f"{STORE}@2.0.0", "get"), [("WCM013", f"{STORE}@2.0.0")]),
        (instance(STORE, "get"), [("WCM013", STORE)]),
        (instance("acme:some/it", "get", "put"), []),
        (instance("acme:some/it", "get", "cut"), [("WCM012", "acme:some/it#cut")]),
        # It knows the interface, so that every function is missing by itself.
        (
            instance("acme:some/it", "cut", "add"),
            [("WCM012", "acme:some/it#add"), ("WCM012", "acme:some/it#cut")],
        ),
        (instance("acme:kv/store", types_only=True), []),
        (ImportRow("run", "func", "", None, functions("run")), [("WCM012", "run")]),
        (ImportRow(STORE, "component", STORE, "1.0.0"), [("WCM012", f"{STORE}@1.0.0")]),
    ],
)
def test_what_a_host_links(row: ImportRow, rules: list[tuple[str, str]]) -> None:
    assert said(LINKS, row) == rules


def test_a_function_of_the_world_has_no_version_that_a_host_could_lack() -> None:
    row = ImportRow("run", "func", "", None, functions("run"))
    assert said("host: {name: x, links: ['*@0.2']}", row) == [("WCM012", "run")]
    assert said("host: {name: x, links: ['#run']}", row) == []


@pytest.mark.parametrize(
    ("form", "labels", "how"),
    [
        ("label", "[]", " under a label"),
        ("label", "['acme:db/*@2']", " under a label"),
        ("label", "['acme:db/*@1']", None),
        ("strange", "['acme:db/*@1']", " as it is written there"),
        ("plain", "[]", None),
    ],
)
def test_names_as_they_are_written(form: str, labels: str, how: str | None) -> None:
    row = instance(f"{STORE}@1.2.0", "get", "put", form=form)
    text = f"host: {{name: x, links: ['acme:db/*@1'], labels: {labels}}}"
    messages = [one.message for one in found(text, row) if one.rule == "WCM012"]
    assert messages == (
        [] if how is None else [f"x does not link {STORE}@1.2.0{how}; the component will not start"]
    )


def test_which_version_is_missing_is_said() -> None:
    def message(row: ImportRow) -> str:
        return next(one.message for one in found(LINKS, row) if one.rule == "WCM013")

    assert message(instance(f"{STORE}@2.0.0", "get")) == f"x links {STORE}, but not version 2.0.0"
    assert message(instance(STORE, "get")) == f"x links {STORE}, but not it without a version"
    labelled = ImportRow("cache", "instance", STORE, None, functions("get"), form="label")
    assert message(labelled) == f"x links {STORE} (as cache), but not it without a version"


def test_the_options_that_an_import_needs_are_said() -> None:
    text = (
        "host: {name: x, links: [{item: 'acme:db/store', reason: -S db},"
        " {item: 'acme:db/store#put', reason: -S write}, {item: 'a:b/*', reason: -S ab},"
        " 'free:of/*', {item: 'free:of/charge', reason: -S no}]}"
    )

    def messages(row: ImportRow) -> list[str]:
        return [one.message for one in found(text, row) if one.rule == "WCM018"]

    assert messages(instance(STORE, "get")) == [f"on x, {STORE} needs -S db"]
    assert messages(instance(STORE, "put")) == [f"on x, {STORE} needs -S db or -S write"]
    assert messages(instance("a:b/c")) == ["on x, a:b/c needs -S ab"]
    assert messages(instance("free:of/charge", "f")) == []


# names


def test_whose_name_it_is_is_said() -> None:
    exports = (ExportRow("B\u0430d", "func", "", None, (), (), "is odd"),)
    odd = ImportRow("B\u0430d", "func", "", None, (), odd="is odd, too")
    messages = {
        (one.rule, one.message) for one in found("imports: {allow: []}", odd, exports=exports)
    }
    name = r"'B\u0430d'"
    for what, why in (("import", "is odd, too"), ("export", "is odd")):
        assert ("WCM017", f"{what} {name} has U+0430 in it") in messages
        assert ("WCM019", f"{what} {name} {why}") in messages


# components inside


@pytest.mark.parametrize(
    ("imports", "said_"),
    [
        ("", True),
        ("imports: {default: allow}", False),
        ("imports: {default: allow, deny: ['wasi:sockets/*']}", True),
        ("imports: {default: allow, warn: ['wasi:sockets/*']}", True),
        ("imports: {allow: ['acme:*']}", True),
        ("imports: {allow: ['acme:*', 'wasi:sockets/*']}", False),
    ],
)
def test_what_goes_by_another_name_inside(imports: str, said_: bool) -> None:
    data = inside("acme:harmless/thing@1.0.0", "wasi:sockets/tcp@0.2.3", "instance")
    assert bool(of(judge(data, imports or "judge: declared"), "WCM015")) is said_


@pytest.mark.parametrize("inner", ["wasi:sockets/tcp@0.2.0", "tcp"])
def test_the_same_interface_or_a_label_inside_is_no_disguise(inner: str) -> None:
    data = inside("wasi:sockets/tcp@0.2.3", inner, "instance")
    assert of(judge(data, "imports: {allow: ['wasi:io/*']}"), "WCM015") == []


def test_an_import_is_found_by_its_whole_name_first() -> None:
    """The names of the root's imports may begin alike."""
    data = component({"acme:a/b-c": ("f",), "acme:a/b": ("f",)})
    assert of(judge(data, "imports: {allow: []}"), "WCM015") == []
