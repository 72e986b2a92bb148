"""Names of imports in every spelling a host might link: what is denied stays denied."""

from __future__ import annotations

import os
import random

import pytest
import wasmtime

from tests.gate.binaries import FUNCTION, HEAD, INSTANCE, TYPE, VALUE, extern, importing, section
from tests.gate.making import judge, rules
from whamm_cm.errors import InputError

EXAMPLES = max(1, int(60 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))

NET = "wasi:sockets/instance-network@0.2.0"
POLL = "wasi:io/poll@0.2.0"
DENY = "imports: {deny: ['wasi:sockets/*']}"
CLASS = "imports: {deny: ['%net']}"
ALLOW = "imports: {default: deny, allow: ['wasi:io/*']}"

#: Spelling → its import; whatever a host makes of it, none of the policies lets it through.
SPELLINGS: dict[str, bytes] = {
    "as it is": importing(NET),
    "in the form of old tools": importing(NET, form=1),
    "without attributes": importing(NET, []),
    "no version": importing("wasi:sockets/instance-network"),
    "short version": importing("wasi:sockets/instance-network@0.2"),
    "older": importing("wasi:sockets/instance-network@0.2.0"),
    "newer": importing("wasi:sockets/instance-network@0.2.99"),
    "draft": importing("wasi:sockets/instance-network@0.2.0-rc-2023-11-10"),
    "build": importing("wasi:sockets/instance-network@0.2.0+evil"),
    "capitals": importing("wasi:sockets/instance-NETWORK@0.2.0"),
    "capitals in the package": importing("WASI:sockets/instance-network@0.2.0"),
    "mixed": importing("wasi:Sockets/Instance-Network@0.2.0"),
    "label": importing("net", [("implements", NET)]),
    "label, and the other way round": importing(POLL, [("implements", NET)]),
    "an interface that claims to be another": importing(NET, [("implements", POLL)]),
    "the same twice": importing("net", [("implements", NET), ("implements", NET)]),
    "two claims": importing("net", [("implements", POLL), ("implements", NET)]),
    "two claims, the harmless one last": importing(
        "net", [("implements", NET), ("implements", POLL)]
    ),
    "a claim and an id": importing("net", [("implements", POLL), ("external-id", NET)]),
    "an id": importing(POLL, [("external-id", NET)]),
    "suffix": importing("wasi:sockets/instance-network@0.2", [("versionsuffix", ".0")]),
    "suffix with the at sign": importing(
        "wasi:sockets/instance-network", [("versionsuffix", "@0.2.0")]
    ),
    "suffix to a full version": importing(NET, [("versionsuffix", "x/../../")]),
    "suffix that is half of the name": importing(
        "wasi:sockets/instance", [("versionsuffix", "-network@0.2.0")]
    ),
    "two suffixes": importing(
        "wasi:sockets/instance-network@0.2", [("versionsuffix", ".0"), ("versionsuffix", ".1")]
    ),
    "claim as it was written before": importing(f"[implements=<{NET}>]net"),
    "a function by its name": importing(NET, kind=FUNCTION),
    "a value by its name": importing(NET, kind=VALUE),
    "dependency": importing("unlocked-dep=<wasi:sockets@{>=0.2.0}>"),
    "locked dependency": importing("locked-dep=<wasi:sockets@0.2.0>,integrity=<sha256-abc>"),
    "dependency without versions": importing("unlocked-dep=<wasi:sockets>"),
    "url": importing("url=<https://x/wasi:sockets>"),
    "url of nobody": importing("url=<https://example.com/a.wasm>"),
    "hash": importing("integrity=<sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=>"),
    "Cyrillic o": importing("wasi:s\u043eckets/instance-network@0.2.0"),
    "full width": importing("wasi:\uff53ockets/instance-network@0.2.0"),
    "newline": importing(f"{POLL}\n{NET}"),
    "carriage return": importing(f"{POLL}\r{NET}"),
    "NUL": importing(f"{NET}\0"),
    "NUL between": importing(f"{POLL}\0{NET}"),
    "escape": importing("\x1b]0;pwn\x07\x1b[2Jx"),
    "invisible": importing("wasi:sock\u200bets/instance-network@0.2.0"),
    "version in the package": importing("wasi:sockets@0.2.0/instance-network"),
    "version twice": importing(f"{NET}@0.2.0"),
    "space": importing(f" {NET}"),
    "percent": importing("wasi:sockets%2finstance-network@0.2.0"),
    "backslash": importing("wasi:sockets\\instance-network@0.2.0"),
    "empty": importing(""),
    "right to left": importing(f"\u202e{NET}"),
}  # fmt: skip

#: What nothing is wrong with.
SOUND = {
    "poll": importing(POLL, function="poll"),
    "label": importing("clock", [("implements", POLL)], function="poll"),
    "suffix": importing("wasi:io/poll@0.2", [("versionsuffix", ".9")], function="poll"),
    "its own id": importing(POLL, [("external-id", "wasi:io/poll@0.2.9")], function="poll"),
    "the id of nothing": importing(POLL, [("external-id", "poll-1")], function="poll"),
    "no version": importing("wasi:io/poll", function="poll"),
}


@pytest.mark.parametrize("policy", [DENY, CLASS, ALLOW])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_gets_past(spelling: str, policy: str) -> None:
    try:
        report = judge(SPELLINGS[spelling], policy)
    except InputError:
        return  # not judged, and so not passed
    assert report.verdict == "fail", spelling


@pytest.mark.parametrize("name", SOUND)
def test_what_is_sound_passes(name: str) -> None:
    assert judge(SOUND[name], ALLOW).verdict == "pass"
    assert judge(SOUND[name], DENY).verdict == "pass"
    assert judge(SOUND[name]).verdict == "pass"


@pytest.mark.parametrize(
    ("spelling", "sentence"),
    [
        ("an interface that claims to be another", "is an interface, and claims to be another one"),
        ("an id", f"has the id of another interface: '{NET}'"),
        ("the same twice", 'has the attribute "implements" more than once'),
        ("two suffixes", 'has the attribute "versionsuffix" more than once'),
        ("a function by its name", "is a func by the name of an interface"),
        ("dependency", "names a dependency instead of an interface"),
        ("url", "names a url instead of an interface"),
        ("hash", "names a hash instead of an interface"),
        ("suffix with the at sign", "has a version suffix that continues no version: '@0.2.0'"),
        ("suffix to a full version", "has a version suffix that continues no version"),
    ],
)  # fmt: skip
def test_what_is_odd_about_a_name_is_said(spelling: str, sentence: str) -> None:
    report = judge(SPELLINGS[spelling], "imports: {default: deny, allow: ['*']}")
    said = [one.message for one in report.all() if one.rule == "WCM019"]
    assert len(said) == 1 and sentence in said[0], said
    # Where nothing is denied, nothing can be got round.
    assert "WCM019" not in rules(judge(SPELLINGS[spelling]))
    assert "WCM019" not in rules(judge(SPELLINGS[spelling], "imports: {default: allow}"))


INSIDE = '(export "wasi:sockets/instance-network@0.2.0" (instance (export "f" (func))))'


@pytest.mark.parametrize("policy", [DENY, CLASS, ALLOW, f"judge: reachable\n{DENY}"])
@pytest.mark.parametrize(
    "inside",
    [
        INSIDE,
        f'(export "x" (instance {INSIDE}))',
        '(export "wasi:sockets/instance-network@0.2.0" (func))',
    ],
)
@pytest.mark.parametrize("name", ["deps", POLL])
def test_an_interface_inside_of_an_instance(name: str, inside: str, policy: str) -> None:
    data = bytes(wasmtime.wat2wasm(f'(component (import "{name}" (instance {inside})))'))
    report = judge(data, policy)
    assert report.verdict == "fail"
    said = [one.message for one in report.all() if one.rule == "WCM019"]
    assert said == [f"import '{name}' has the interface '{NET}' inside of it"]
    both = "imports: {default: deny, allow: ['deps#*', 'wasi:io/*', 'wasi:sockets/*']}"
    assert judge(data, f"rules: {{WCM019: off}}\n{both}").verdict == "pass"


def test_every_reading_of_an_odd_name_has_to_be_allowed() -> None:
    off = "rules: {WCM019: off, WCM017: off}\n"
    data = SPELLINGS["an interface that claims to be another"]
    assert "WCM010" in rules(judge(data, off + ALLOW))
    both = "imports: {default: deny, allow: ['wasi:io/*', 'wasi:sockets/*']}"
    assert judge(data, off + both).verdict == "pass"


def exporting(name: str, attributes: list[tuple[str, str]] | None = None) -> bytes:
    """A component that exports an empty instance."""
    made = section(5, b"\x01\x00")
    export = extern(name, attributes) + b"\x05\x00\x00"
    return HEAD + made + section(11, export)


@pytest.mark.parametrize(
    "data",
    [
        exporting("wasi:http/handler@0.3.0"),
        exporting("h", [("implements", "wasi:http/handler@0.3.0")]),
        exporting("wasi:io/poll@0.2.0", [("implements", "wasi:http/handler@0.3.0")]),
        exporting("wasi:http/handler@0.3.0", [("implements", "wasi:io/poll@0.2.0")]),
        exporting("wasi:http/HANDLER@0.3.7-rc"),
    ],
)  # fmt: skip
def test_exports_by_every_name(data: bytes) -> None:
    assert "WCM031" in rules(judge(data, "exports: {forbid: ['wasi:http/*@0.3.1']}"))


VERSIONS = ("", "@0.2", "@0.2.0", "@0.2.9", "@0.2.3-rc.1", "@0.2.3+b", "@0.2.0-draft")
BELOW = ("", "@0.2", "@0.2.3", "@^0.2.5", "@=0.2.3", "@0.2.0-rc-2023-11-10", "@0", "@*")


@pytest.mark.parametrize("denied", BELOW)
@pytest.mark.parametrize("have", VERSIONS)
def test_a_denied_version_takes_its_track_along(denied: str, have: str) -> None:
    data = importing(f"wasi:sockets/instance-network{have}")
    assert "WCM010" in rules(judge(data, f"imports: {{deny: ['wasi:sockets/*{denied}']}}"))


@pytest.mark.parametrize(
    ("denied", "have"),
    [("0.2", "0.3.0"), ("0.3.0-rc.1", "0.2.9"), ("1.2", "2.0.0"), ("0.0.7", "0.0.8")],
)
def test_another_track_is_not_denied(denied: str, have: str) -> None:
    data = importing(f"wasi:sockets/instance-network@{have}")
    assert judge(data, f"imports: {{deny: ['wasi:sockets/*@{denied}']}}").verdict == "pass"


@pytest.mark.parametrize(
    ("allowed", "have", "passes"),
    [("@0.2.3", "@0.2.0", False), ("@0.2.3", "@0.2.4", True), ("@=0.2.3", "@0.2.4", False),
     ("@0.2.3", "", False), ("@0.2", "@0.2.0-rc", False), ("", "@0.2.0", True),
     ("@*", "", True), ("@=0.2.0-rc", "@0.2.0-rc", True)],
)  # fmt: skip
def test_what_is_allowed_is_exact(allowed: str, have: str, passes: bool) -> None:
    text = f"imports: {{default: deny, allow: ['wasi:io/poll{allowed}']}}"
    report = judge(importing(f"wasi:io/poll{have}", function="poll"), text)
    assert (report.verdict == "pass") == passes


def test_a_warning_does_not_allow_more_than_it_says() -> None:
    text = "imports: {default: deny, warn: ['wasi:io/poll@=0.2.3']}"
    assert judge(importing("wasi:io/poll@0.2.0", function="poll"), text).verdict == "fail"
    assert rules(judge(importing("wasi:io/poll@0.2.3", function="poll"), text)) == {
        "WCM011",
        "WCM020",
    }


def mutations(seed: int) -> bytes:
    """A spelling of a denied interface, by chance."""
    chance = random.Random(seed)
    name = NET
    for _ in range(chance.randint(0, 3)):
        at = chance.randrange(len(name) + 1)
        junk = chance.choice(
            ["\0", "\n", "\u0455", "A", "@0.2.1", "-", " ", "\u00ad", "%", "/", ":"]
        )
        name = chance.choice([name[:at] + junk + name[at:], name.upper(), name.title(), name])
    keys, values = ("implements", "versionsuffix", "external-id"), (NET, POLL, ".1", "@0.2.0", name)
    attributes = [(chance.choice(keys), chance.choice(values)) for _ in range(chance.randint(0, 3))]
    label = chance.random() < 0.3
    shown = ("net", [("implements", name), *attributes]) if label else (name, attributes)
    kind = chance.choice((INSTANCE, INSTANCE, FUNCTION, VALUE))
    return importing(*shown, kind=kind)


@pytest.mark.parametrize("seed", range(EXAMPLES))
def test_spellings_by_chance(seed: int) -> None:
    """Names that hold the interface's letters somewhere: denied, malformed, or somebody else's.

    What passes may only be a name that no host takes for sockets."""
    data = mutations(seed)
    try:
        report = judge(data, DENY)
    except InputError:
        return
    if report.verdict == "pass":
        names = [(row.interface or row.name) for row in report.components[0].subject.imports]
        assert not any(name.lower() == "wasi:sockets/instance-network" for name in names), names
        assert not any(row.odd for row in report.components[0].subject.imports)


def test_a_type_by_an_interface_is_odd_too() -> None:
    data = HEAD + section(7, b"\x79") + section(10, extern(NET) + TYPE)
    assert "WCM019" in rules(judge(data, ALLOW)) and "WCM010" in rules(judge(data, DENY))


def test_a_long_name_takes_no_longer() -> None:
    data = importing("a:" * 200_000 + "\0")
    assert "WCM017" in rules(judge(data, DENY))


def test_components_handed_out_inside_of_instances() -> None:
    inner = f"""(component $c (import "{NET}" (instance $n (export "f" (func))))
      (export "f" (func $n "f")))"""
    for export in (
        '(export "c" (component $c))',
        '(instance $b (export "c" (component $c))) (export "b" (instance $b))',
        '(instance $b (export "c" (component $c))) (instance $d (export "b" (instance $b)))'
        ' (export "d" (instance $d))',
    ):
        report = judge(wasmtime.wat2wasm(f"(component {inner} {export})"), DENY)
        assert "WCM001" in rules(report), export
    given = f"""(component (import "acme:a/b" (instance
        (export "c" (component (import "{NET}" (instance (export "f" (func)))))))))"""
    report = judge(wasmtime.wat2wasm(given), DENY)
    assert ("WCM001", "acme:a/b:c") in {(one.rule, one.item) for one in report.all()}
