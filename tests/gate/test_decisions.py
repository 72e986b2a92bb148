"""What a policy says about one import, and what one line of it means."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gate.making import TODAY, call, component, judge, policy, rules
from whamm_cm.errors import UsageError
from whamm_cm.gate.engine import Engine
from whamm_cm.gate.evidence import gather
from whamm_cm.gate.model import FunctionRow, ImportRow, Location, Subject
from whamm_cm.gate.patterns import item_matches, parsed

STORE = "acme:db/store"
HERE = Location("p.yaml", 2, 1)


def verdicts(text: str, row: ImportRow, evidence: Any = None) -> list[str]:
    subject = Subject("", 0, 0, (), None, (row,), ())
    engine = Engine(policy(text), TODAY)
    context = engine.context("a", "a", subject=subject, evidence=evidence)
    ((_, decisions),) = context.decisions
    return [one.verdict for one in decisions]


def instance(name: str = STORE, *functions: FunctionRow, **more: Any) -> ImportRow:
    return ImportRow(name, "instance", more.pop("interface", name), None, functions, **more)


# one line


@pytest.mark.parametrize(
    ("line", "name", "denied"),
    [
        ("acme:db/store", "acme:db/STORE", True),
        ("acme:db/STORE", "acme:db/store", True),
        ("acme:db/STORE", "acme:db/other", False),
        # A range of letters means less in one case than in the other; all of it is denied.
        ("acme:db/[!A-Z]*", "acme:db/store", True),
        ("acme:db/[!a-z]*", "acme:db/STORE", True),
        ("acme:db/[!A-Z]*", "acme:kv/store", False),
    ],
)
def test_a_denial_means_every_case_of_letters(line: str, name: str, denied: bool) -> None:
    text = f"imports: {{default: allow, deny: ['{line}']}}"
    assert ("WCM010" in rules(judge(component({name: ("get",)}), text))) is denied


@pytest.mark.parametrize("line", ["acme:db/store#get", "acme:db/store#GET"])
def test_a_denial_means_functions_in_every_case(line: str) -> None:
    for name in ("get", "GET", "Get"):
        assert parsed(line, HERE).denies("acme:db/store", None, name)
        assert parsed(line, HERE).denies("acme:db/Store", None, name)
        assert not parsed(line, HERE).denies("acme:db/store", None, f"{name}s")


@pytest.mark.parametrize("line", ["acme:db/store#[!a-z]*", "acme:db/[!a-z]*#get"])
def test_a_denial_reads_interface_and_function_each_for_itself(line: str) -> None:
    """One of them may fit in lower case only, the other only as it is written."""
    assert parsed(line, HERE).denies("acme:db/STORE", None, "GET")
    assert not parsed(line, HERE).denies("acme:kv/STORE", None, "GET")


def test_what_a_line_allows_it_denies_where_it_denies() -> None:
    for line in ("acme:db/[!a-z]*#[!a-z]*", "acme:db/[!A-Z]*#[!A-Z]*", "acme:db/STORE#GET"):
        one = parsed(line, HERE)
        for name in ("store", "STORE"):
            for func in ("get", "GET", None):
                if one.allows(f"acme:db/{name}", None, func):
                    assert one.denies(f"acme:db/{name}", None, func), (line, name, func)


def test_a_class_allows_what_any_of_its_patterns_means() -> None:
    text = "imports: {allow: ['%net']}"
    for name in ("wasi:sockets/tcp@0.2.3", "wasi:tls/types@0.2.0-draft"):
        assert "WCM010" not in rules(judge(component({name: ("f",)}), text))
    assert "WCM010" in rules(judge(component({"wasi:http/types@0.2.3": ("f",)}), text))


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("9:b/c", "can match '9:b/c'; a pattern is"),
        ("a:b/{c,9d}", "can match 'a:b/{c,9d}' from column 8 on; a pattern is"),
        ("{9,a}:b/c", "can match '{9,a}:b/c' from column 2 on; a pattern is"),
        ("{a:b/c,9}", "from column 8 on"),
        ("9|a:b/c", "can match '9|a:b/c'; a pattern is"),
        ("a:b/c#[constructor]r.m", "no import or export can match"),
        ("a:b/c#[constructor]{r.m,r}", "from column 21 on"),
        ("%nett#bind", 'did you mean "%net"?'),
        ("wasi:io/@0.2", "write 'wasi:io/*@0.2'"),
        ("wasi:sockets/TCP", "can match 'wasi:sockets/TCP' from column 1 on"),
        ("a:b/c|wasi:sockets/TCP", "from column 7 on"),
        ("wasi:io", "a package has interfaces: write 'wasi:io/*'"),
        ("a:b/c|wasi:io", "; a pattern is interface[@version][#function]"),
        ("wasi:io|wasi:http", "; a pattern is interface[@version][#function]"),
        ("9" * 500 + ":b/c", "; a pattern is interface[@version][#function]"),
    ],
)
def test_where_a_line_is_wrong(pattern: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(pattern, HERE)
    assert sentence in str(caught.value)


# imports without functions, which only their names can tell


def test_lines_about_functions_mean_an_import_that_has_none() -> None:
    text = "imports: {default: %s, %s: ['acme:db/store#get']}"
    assert verdicts(text % ("allow", "deny"), instance()) == ["deny"]
    assert verdicts(text % ("deny", "allow"), instance()) == ["allow"]
    assert verdicts(text % ("deny", "allow"), instance("acme:kv/store")) == ["deny"]


def test_an_import_under_a_name_of_its_own_goes_by_it() -> None:
    row = instance("cache", interface="")
    assert verdicts("imports: {default: allow, deny: ['cache#*']}", row) == ["deny"]
    assert verdicts("imports: {allow: ['cache#*']}", row) == ["allow"]
    assert verdicts("imports: {allow: ['#cache']}", row) == ["deny"]


def test_a_function_of_the_world_goes_by_its_name() -> None:
    for functions in ((), (FunctionRow("run", "run", True),)):
        row = ImportRow("run", "func", "", None, functions)
        assert verdicts("imports: {default: allow, deny: ['#run']}", row) == ["deny"]
        assert verdicts("imports: {allow: ['#run']}", row) == ["allow"]
        assert verdicts("imports: {allow: ['#other']}", row) == ["deny"]


@pytest.mark.parametrize(
    ("kind", "judged"),
    [("instance", False), ("type", False), ("component", True), ("module", True)],
)
def test_what_cannot_be_called_is_not_reached(kind: str, judged: bool) -> None:
    row = ImportRow(STORE, kind, STORE, None)
    assert verdicts("imports: {allow: []}\njudge: declared", row) == ["deny"]
    assert verdicts("imports: {allow: []}\njudge: reachable", row) == ["deny"] * judged


# names that may be taken for several


def test_any_reading_of_a_name_is_denied_and_every_one_has_to_be_allowed() -> None:
    get = FunctionRow("get", "get", True)
    row = instance("acme:a/b", get, readings=((STORE, None), ("acme:kv/x", None)), odd="odd")
    for name in ("acme:a/b", STORE, "acme:kv/x"):
        assert verdicts(f"imports: {{default: allow, deny: ['{name}']}}", row) == ["deny"]
        assert verdicts(f"imports: {{default: allow, deny: ['{name}#get']}}", row) == ["deny"]
        assert verdicts(f"imports: {{default: allow, deny: ['{name}#put']}}", row) == ["allow"]
        assert verdicts(f"imports: {{allow: ['{name}']}}", row) == ["deny"]
        assert verdicts(f"imports: {{default: allow, warn: ['{name}']}}", row) == ["warn"]
    assert verdicts(f"imports: {{allow: ['acme:a/b', '{STORE}', 'acme:kv/x']}}", row) == ["allow"]


# the column that decides

SOUND = gather(call(1, "acme:other/x#f"))
HEARSAY = gather(call(1, "acme:other/x#f"), vouched=False)


@pytest.mark.parametrize(
    ("column", "reachable", "observed", "evidence", "judged"),
    [
        ("declared", False, 0, SOUND, True),
        ("reachable", True, 0, SOUND, True),
        ("reachable", False, 1, SOUND, False),
        ("reachable", False, 1, HEARSAY, False),
        ("observed", True, 0, SOUND, False),
        ("observed", False, 1, SOUND, True),
        ("observed", True, None, SOUND, True),
        ("observed", False, None, SOUND, False),
        ("observed", True, 0, HEARSAY, True),
        ("observed", False, 0, HEARSAY, False),
        ("observed", False, 1, HEARSAY, True),
        ("observed", True, None, None, True),
        ("observed", False, None, None, False),
    ],
)
def test_which_functions_are_judged(
    column: str, reachable: bool, observed: int | None, evidence: Any, judged: bool
) -> None:
    row = instance(STORE, FunctionRow("get", "get", reachable, observed))
    text = f"imports: {{allow: []}}\njudge: {column}"
    assert verdicts(text, row, evidence) == ["deny"] * judged


# waivers


@pytest.mark.parametrize(
    ("pattern", "item", "matches"),
    [
        ("acme:db/*", "acme:db/store@0.2.3", True),
        ("acme:db/store", "acme:db/store@0.2.3#get", True),
        ("acme:db/store#get", "acme:db/store#get", True),
        ("acme:db/store#get", "acme:db/store@1.0.0#put", False),
        ("acme:db/store@0.2", "acme:db/store", False),
        ("%net", "wasi:tls/types@0.2.0#connect", True),
        ("%net", "wasi:http/types@0.2.0", False),
        ("FOO=*", "FOO=bar", True),
        ("a@b*", "a@bc", True),  # no pattern of imports, and still a glob
        ("a@b*", "acme:db/store", False),
    ],
)
def test_what_a_waiver_is_about(pattern: str, item: str, matches: bool) -> None:
    assert item_matches(pattern, item) is matches
