"""A policy that cannot mean what it says is refused, in every list, with what to write instead."""

from __future__ import annotations

import os
import random

import pytest

from tests.gate.making import policy
from tests.gate.test_names import DENY, importing, judge
from whamm_cm.errors import UsageError
from whamm_cm.gate.rules import RULES
from whamm_cm.wit.classes import CLASSES
from whamm_cm.wit.known import INTERFACES

EXAMPLES = max(1, int(60 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))

#: Pattern → what the refusal says.
NEVER = {
    "%nett": 'did you mean "%net"?',
    "%inner": "%inner is no class of interfaces",
    "%net/*": "a class stands alone; write '%net'",
    "%net#bind": "a class stands alone; write '%net'",
    "!wasi:sockets/*": "write 'wasi:sockets/*' on the other list",
    "wasi:random/*,wasi:sockets/*": "a line for each of 'wasi:random/*', 'wasi:sockets/*'",
    " wasi:sockets/*": "has a space in it",
    "wasi:sockets/* ": "has a space in it",
    "wasi: sockets/*": "has a space in it",
    "wasi:sockets/*\t": "U+0009",
    "wasi:sockets/": "write 'wasi:sockets/*'",
    "wasi:sockets/tcp/": "write 'wasi:sockets/tcp'",
    "wasi:sockets": "a package has interfaces: write 'wasi:sockets/*'",
    "wasi:sockets@0.2": "a package has interfaces: write 'wasi:sockets/*@0.2'",
    "wasi:sockets#bind": "write 'wasi:sockets/*#bind'",
    "wasi:sockets/tcp#bind@0.2.0": "stands before the function: 'wasi:sockets/tcp@0.2.0#bind'",
    "run": "write '#run' for the function run of the world",
    "run-all": "'run-all#*' for what is imported under that name",
    "WASI:sockets/*": "names are in lower case: 'wasi:sockets/*'",
    "wasi:sockets/TCP": "names are in lower case: 'wasi:sockets/tcp'",
    "wasi:sockets/Tcp": "names are in lower case",
    "wasi:sockets/tcp_socket": "words are joined by dashes: 'wasi:sockets/tcp-socket'",
    "wasi:io/poll#in_put": "words are joined by dashes",
    "wasi:sockets/tcp.bind": "functions stand behind a \"#\": 'wasi:sockets/tcp#bind'",
    "wasi:sockets/{}": "there is nothing between",
    "wasi:{sockets,http/}types": "from column 7 on",
    "wasi:io/*|": 'nothing on one side of "|"',
    "wasi:io/poll#[resource-drop]x": "made and dropped by built-ins",
    "wasi:io/poll#[method]poll": "a pattern is interface[@version][#function]",
    "https://wasi:io/poll": "a pattern is interface[@version][#function]",
    "wasi/io/poll": "a pattern is",
    "wasi:io/*;wasi:http/*": "a pattern is",
    "(wasi:io/.*)": "a pattern is",
    "wasi:io/poll()": "a pattern is",
    "wasi::io/poll": "a pattern is",
    "wasi:io//poll": "a pattern is",
    "wasi:s\u043eckets/*": "a pattern is",
    "wasi:io/9poll": "a pattern is",
    "wasi:io/*@0.2.x": "expected a version",
    "wasi:sockets@0.2.0/*": "expected a version",
    "wasi:io/*@": "expected a version",
    "wasi:io/*@>=0.2": "expected a version",
    "a#b#c": 'more than one "#"',
}  # fmt: skip

LISTS = {
    "imports.allow": "imports: {{allow: [{0}]}}",
    "imports.warn": "imports: {{warn: [{{item: {0}, reason: x}}], allow: []}}",
    "imports.deny": "imports: {{deny: [{0}]}}",
    "exports.require": "exports: {{require: [{0}]}}",
    "exports.forbid": "exports: {{forbid: [{{item: {0}}}]}}",
    "host.links": "host: {{name: x, links: [{0}]}}",
    "budgets": "budgets: {{{0}: {{p99_ms: 1}}}}",
    "waivers": "waivers: [{{rule: WCM010, item: {0}, reason: x, expires: 2027-01-01}}]",
}


def refused(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        policy(text)
    assert str(caught.value).startswith("p.yaml:2:"), caught.value
    return str(caught.value)


@pytest.mark.parametrize("where", LISTS)
@pytest.mark.parametrize("pattern", NEVER)
def test_what_can_never_match(pattern: str, where: str) -> None:
    quoted = '"' + pattern.replace("\t", "\\t") + '"'
    text = LISTS[where].format(quoted)
    if where == "waivers" and pattern in ("run", "run-all"):
        policy(text)  # the item of a world's function is its name
        return
    assert NEVER[pattern] in refused(text)


@pytest.mark.parametrize("where", LISTS)
@pytest.mark.parametrize(
    "pattern",
    ["*", "wasi:*", "*#run", "#", "#run", "run#*", "%net", "wasi:io/{poll,streams}@0.2|0.3",
     "wasi:{io,sockets}/*", "wasi:http{,-extra}/*", "acme:a:b/c/d", "a:b/c#[method]r.m",
     "a:b/c#[constructor]r", "a:b/c#{f,r.*}", "a:b/[c-e]?", "acme:x/HTTP", "a:b/c@0.2.0-rc-1"],
)  # fmt: skip
def test_what_can(pattern: str, where: str) -> None:
    policy(LISTS[where].format(f'"{pattern}"'))


WORDS = ("wasi", "io", "poll", ":", "/", "#", "@0.2", "@", "*", "?", "-", ".", "{", "}", ",", "|",
         "!", "%net", " ", "A", "_", "[a]", "9", "run", "^", "=")  # fmt: skip
NAMES = [
    *((name, version, func) for name in sorted(INTERFACES)[::5] for version in (None, "0.2.0")
      for func in ("f", "r.m", "r.new")),
    ("", None, "run"), ("run", None, "f"), ("acme:a:b/c", "1.0.0", "poll"),
    ("a:b/c/d", None, "a-b"),
    ("io:poll/run", "0.2.1", "io"), ("poll:io/wasi-a", "0.2.0-x", "run.poll"), ("io", None, "run"),
    ("io:wasi/A", None, "A"), ("wasi:run/a", "0.2.0", "io-9.poll"),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(EXAMPLES))
def test_patterns_by_chance(seed: int) -> None:
    """What is accepted matches something there can be; what is refused matches nothing there is."""
    chance = random.Random(seed)
    for _ in range(40):
        text = "".join(chance.choices(WORDS, k=chance.randint(1, 7)))
        quoted = "'" + text + "'"
        try:
            found = policy(f"imports: {{deny: [{quoted}]}}")
        except UsageError as error:
            if "no import or export can match" in str(error) and "from column" not in str(error):
                from whamm_cm.wit.names import ItemPattern

                pattern = ItemPattern.parse(text)
                hit = [name for name in NAMES if pattern.matches(*name)]
                # Parts of alternatives may fit; plain names want their "#".
                assert "|" in text or not [one for one in hit if one[0] and ":" in one[0]], text
            continue
        assert found.imports is not None and len(found.imports.deny) == 1


@pytest.mark.parametrize("name", [c for c in CLASSES if c not in ("inner", "async")])
def test_every_class_is_a_line_of_a_policy(name: str) -> None:
    (line,) = policy(f"imports: {{deny: ['%{name}']}}").imports.deny  # type: ignore[union-attr]
    assert line.text == f"%{name}" and len(line.patterns) == len(CLASSES[name][1])


PERMISSIONS = [
    ("network: {allow: [{host: '%net'}]}", "is no host"),
    ("network: {allow: [{host: '!a.example'}]}", "is no host"),
    ("network: {allow: [{host: 'a.example,b.example'}]}", "is no host"),
    ("network: {allow: [{host: 'a.example '}]}", "is no host"),
    ("network: {allow: [{host: 'a.example/'}]}", "is no host"),
    ("network: {allow: [{host: 'https://a.example/x'}]}", 'write "a.example"'),
    ("network: {allow: [{host: 'a.*.example'}]}", "is no host"),
    ("network: {allow: [{host: 'a.example\\\\@b'}]}", "is no host"),
    ("network: {allow: [{host: 'a..example'}]}", "is no host"),
    ("network: {allow: [{host: '08.8.8.8'}]}", "is no host"),
    ("network: {deny: [{cidr: '2002::/16'}]}", 'as those; write "0.0.0.0/0"'),
    ("network: {deny: [{cidr: '2002:a00::/24'}]}", 'as those; write "10.0.0.0/8"'),
    ("network: {deny: [{cidr: '2002:a00:1:5::/64'}]}", 'as those; write "10.0.0.1/32"'),
    ("network: {allow: [{cidr: '64:ff9b::/96'}]}", 'as those; write "0.0.0.0/0"'),
    ("network: {deny: [{cidr: '::ffff:0:7f00:0/104'}]}", 'as those; write "127.0.0.0/8"'),
    ("network: {deny: [{cidr: '::7f00:0/104'}]}", 'as those; write "127.0.0.0/8"'),
    ("network: {allow: [{cidr: 10.0.0.1/8}]}", "host bits set"),
    ("network: {allow: [{host: a, ports: []}]}", "ports must be numbers"),
    ("storage: {allow: [{uri: 'fs:///d ', access: [read]}]}", "has a space around it"),
    ("storage: {allow: [{uri: 'fs:///d', access: []}]}", "access is empty"),
    ("environment: {allow: [{key: 'A B '}]}", "has a space"),
    ("environment: {allow: [{key: 'A=1'}]}", 'has "=" in it'),
    ("environment: {allow: [{key: 'A,B'}]}", 'has "," in it'),
    ("environment: {allow: [{key: '!A'}]}", 'has "!" in it'),
    ("environment: {allow: [{key: '%env'}]}", 'has "%" in it'),
    ("environment: {allow: [{key: '$HOME'}]}", 'has "$" in it'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), PERMISSIONS)
def test_permissions_that_mean_nothing(text: str, sentence: str) -> None:
    assert sentence in refused(f"permissions: {{{text}}}")
    assert sentence in refused(f"permissions: {{{text.replace('allow', 'deny')}}}")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("match: {name: 'build/app.wasm'}", "belongs to match.image"),
        ("match: {name: '!app.wasm'}", "would be the opposite"),
        ("match: {image: ' oci://x'}", "has a space around it"),
        ("waivers: [{rule: WCM060, item: '!x', reason: x, expires: 2027-01-01}]", "the opposite"),
        ("waivers: [{rule: WCM060, item: '%nett', reason: x, expires: 2027-01-01}]", '"%net"'),
        ("waivers: [{rule: WCM010, component: 'build/', reason: x, expires: 2027-01-01}]",
         "ends with a slash"),
        ("waivers: [{rule: WCM092, reason: x, expires: 2027-01-01}]", "is about waivers"),
    ],
)  # fmt: skip
def test_other_globs(text: str, sentence: str) -> None:
    assert sentence in refused(text)


def test_a_class_in_a_waiver() -> None:
    data = importing("wasi:sockets/instance-network@0.2.0")
    text = f"{DENY}\nwaivers: [{{rule: WCM010, item: '%net', reason: x, expires: 2027-06-01}}]"
    assert judge(data, text).verdict == "pass"
    assert judge(data, text.replace("%net", "%fs")).verdict == "fail"


def test_rules_of_imports_have_items_that_are_patterns() -> None:
    from whamm_cm.gate.policy_read import _OF_IMPORTS

    assert set(_OF_IMPORTS) <= set(RULES)
