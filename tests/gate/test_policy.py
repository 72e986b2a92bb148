"""Policies: what they may say, what they extend, and where they are wrong."""

from __future__ import annotations

import json
from datetime import date
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.gate.making import component, judge, policy, rules, said
from tests.gate.test_meaning import LISTS
from whamm_cm.errors import UsageError
from whamm_cm.gate.policy_read import PROFILES, UNWAIVABLE, profile, read_policy
from whamm_cm.gate.rules import PARAMETERS, RULES

SCHEMA = json.loads((files("whamm_cm.gate") / "schema" / "policy.schema.json").read_text())

FULL = """\
$schema: ./policy.schema.json
description: everything at once
extends: [wasmcloud-2.7]
match: {image: "*.wasm", name: app.wasm, sha256: null}
judge: reachable
imports:
  default: deny
  allow:
    - "wasi:io/*@^0.2.0"
    - {item: "wasi:keyvalue/store@0.2.0-draft#[method]bucket.{get,exists}", reason: sessions}
  warn: [{item: "wasi:cli/stdout", reason: dropped}]
  deny: ["wasi:sockets/*"]
exports: {require: ["wasi:http/incoming-handler@^0.2.0"], forbid: ["acme:admin/*"]}
permissions:
  network:
    allow: [{host: api.stripe.com}, {host: "*.acme.example", ports: [443]}, {cidr: 10.0.0.0/8}]
    deny: [{host: evil.example}]
  storage: {allow: [{uri: "fs:///data/**", access: [read, write]}]}
  environment: {allow: [{key: LOG_LEVEL}], deny: [{key: TOKEN, replace: ""}]}
virtual:
  environment: {LOG_LEVEL: debug, EMPTY: ""}
  arguments: [app, --quick]
  directory: /data
  config: {url: "http://x"}
  clocks: {start: "2026-01-01T00:00:00+01:00", step_ms: 0.5}
  random: {seed: 7}
  files: {}
rules: {WCM020: error, WCM041: off, WCM040: {severity: warning, max_bytes: 8_000_000}}
budgets: {"wasi:http/outgoing-handler#handle": {max_calls_per_invocation: 3, p99_ms: 2.5}}
waivers:
  - {rule: WCM020, item: "wasi:filesystem/*", reason: runtime, expires: 2027-03-01, owner: sre}
"""


def test_everything_a_policy_can_say() -> None:
    found = policy(FULL)
    assert found.judged == "reachable" and [host.name for host in found.hosts] == ["wasmCloud 2.7"]
    assert found.imports is not None and len(found.imports.allow) == 2
    assert found.imports.allow[1].reason == "sessions"
    assert str(found.imports.location) == "p.yaml:8:3"
    assert found.rules["WCM040"].parameters == {"max_bytes": 8_000_000}
    assert found.rules["WCM041"].level == "off"
    assert found.virtual is not None and found.virtual.clocks is not None
    assert found.virtual.environment == {"LOG_LEVEL": "debug", "EMPTY": ""}
    assert (found.virtual.clocks.start, found.virtual.clocks.step) == (1767222000 * 10**9, 500_000)
    assert (found.virtual.arguments, found.virtual.random) == (("app", "--quick"), 7)
    assert found.budgets[0].p99_ms == 2.5 and found.budgets[0].max_calls == 3
    assert found.waivers[0].expires == date(2027, 3, 1) and found.waivers[0].owner == "sre"


WRONG = [
    ("imports: []", "p.yaml:2:10: imports must be a mapping, not a list"),
    ("imports: {}", "p.yaml:2:1: imports says nothing: write default: deny, or an allow list; `al"),
    ("imports:", "p.yaml:2:1: imports says nothing"),
    ("import: {}", 'p.yaml:2:1: unknown key "import"; did you mean "imports"? in a policy'),
    ("imports: {alow: []}", 'p.yaml:2:11: unknown key "alow"; did you mean "allow"? in imports'),
    ("imports: {default: maybe}", "p.yaml:2:20: imports.default must be one of deny, allow"),
    ("imports: {allow: [1]}", 'p.yaml:2:19: an entry of imports.allow must be text, not "1"'),
    ("imports: {allow: ['wasi:io/[']}", "p.yaml:2:19: bad pattern 'wasi:io/['"),
    ("imports: {allow: ['wasi:io/*@x']}", "p.yaml:2:19: bad pattern 'wasi:io/*@x': expected a ver"),
    ("imports: {allow: [{reason: x}]}", 'an entry of imports.allow: "item" is missing'),
    ("rules: {WCM999: error}", 'p.yaml:2:9: unknown rule "WCM999"'),
    ("rules: {WCM010: fatal}", "p.yaml:2:17: a severity must be one of error, warning, note, off"),
    ("rules: {WCM010: {max_bytes: 1}}", 'p.yaml:2:18: unknown key "max_bytes"'),
    ("rules: {WCM040: {max_bytes: -1}}", "p.yaml:2:29: max_bytes must be a whole number"),
    ("rules: {WCM040: {max_bytes: 1e3}}", "p.yaml:2:29: max_bytes must be a whole number"),
    ("extends: [wasmcloud]", "p.yaml:2:11: there is no profile 'wasmcloud', but wasi-0.2, "),
    ("extends: [nosuch.yaml]", "p.yaml:2:11: nosuch.yaml: there is no such file"),
    ("extends: wasi-0.2", 'p.yaml:2:10: extends must be a list, not "wasi-0.2"'),
    ("virtual: {environment: {A: 1}}", 'p.yaml:2:28: the value of A must be text, not "1"; quote'),
    ("virtual: {environment: {A=B: x}}", "p.yaml:2:25: 'A=B' has \"=\" in it"),
    ("virtual: {config: [a]}", "p.yaml:2:19: virtual.config must be a mapping, not a list"),
    ("virtual: {arguments: [1]}", "p.yaml:2:23: an argument, the first is the program's name, mus"),
    ("virtual: {directory: data}", "p.yaml:2:22: virtual.directory is a path from the root on"),
    ("virtual: {clocks: {step_ms: 1}}", 'p.yaml:2:19: virtual.clocks needs "start"'),
    ("virtual: {clocks: {start: 5}}", "p.yaml:2:27: start must be a time such as 2026-01-01T00:00"),
    ("virtual: {clocks: {start: 1969-12-31}}", "p.yaml:2:27: start must be a time from 1970"),
    ("virtual: {random: {seed: x}}", "p.yaml:2:26: seed must be a whole number of at least 0"),
    ("virtual: {files: {a: b}}", "p.yaml:2:18: virtual.files is {}, no files at all"),
    ("virtual: {randm: {}}", 'p.yaml:2:11: unknown key "randm"; did you mean "random"?'),
    ("judge: claimed", "p.yaml:2:8: judge must be one of declared, reachable, observed"),
    ("match: {sha256: abc}", "p.yaml:2:17: sha256 must be 64 hexadecimal digits"),
    ("waivers: [{rule: WCM010, reason: x}]", 'p.yaml:2:11: a waiver needs "expires"'),
    ("waivers: [{rule: WCM010, expires: 2027-01-01}]", 'p.yaml:2:11: a waiver needs "reason"'),
    ("waivers: [{rule: WCM010, reason: x, expires: never}]", "p.yaml:2:46: expires must be a date"),
    ("waivers: [{rule: WCM01, reason: x, expires: 2027-01-01}]", 'unknown rule "WCM01"'),
    ("waivers: [{rule: WCM091, reason: x, expires: 2027-01-01}]", "WCM091 is about waivers"),
    ("budgets: {'wasi:x/y#z': {}}", "p.yaml:2:25: the budget of wasi:x/y#z needs one of"),
    ("budgets: {'wasi:x/y#z': {p99: 1}}", 'unknown key "p99"; did you mean "p99_ms"?'),
    ("budgets: {'wasi:x/y#z': {p99_ms: .inf}}", "p99_ms must be a number"),
    ("permissions: {netwrk: {}}", 'unknown key "netwrk"; did you mean "network"? in permissions'),
    ("permissions: {storage: {allow: [{uri: /data, access: [read]}]}}", "uri must start with fs://"),
    ("permissions: {storage: {allow: [{uri: 'fs:///d'}]}}", '"access" is missing'),
    ("permissions: {environment: {allow: [{key: 'A*'}]}}", "keys have no wildcards"),
    ("host: {name: x}", 'host: "links" is missing'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), WRONG, ids=[text for text, _ in WRONG])
def test_what_is_wrong_is_said_with_its_place(text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        policy(text)
    assert sentence in str(caught.value) and str(caught.value).startswith("p.yaml:2:")


def test_profiles_are_listed_once() -> None:
    for name in ("zzzz", "wasmcloud", "wasmtime-clj"):
        with pytest.raises(UsageError) as caught:
            read_policy(name, PARAMETERS)
        message = str(caught.value)
        assert message.count("wasmtime-serve") == message.count("wasi-0.2") == 1
        assert f"./{name}" in message


def test_every_profile_that_is_shipped_is_listed() -> None:
    shipped = (files("whamm_cm.gate") / "profiles").iterdir()
    assert {one.name for one in shipped} == {f"{name}.yaml" for name in PROFILES}


@pytest.mark.parametrize("name", ["p.yaml", "p.yml", "p.json", "./p", "sub/p"])
def test_what_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sub").mkdir()
    Path(name).write_text('{"version": 1, "description": "mine"}')
    assert read_policy(name, PARAMETERS).description == "mine"


@pytest.mark.parametrize("version", ["1", "'1'", "'1.0'", "1.0"])
def test_version_one_in_every_spelling(tmp_path: Path, version: str) -> None:
    (tmp_path / "p.yaml").write_text(f"version: {version}\ndescription: x\n")
    assert read_policy(str(tmp_path / "p.yaml"), PARAMETERS).description == "x"


def test_what_a_host_links_under_labels() -> None:
    (host,) = policy(
        "host: {name: x, links: ['wasi:io/*', 'wasi:http/*'], labels: ['wasi:io/*']}"
    ).hosts
    assert [line.text for line in host.links] == ["wasi:io/*", "wasi:http/*"]
    assert [line.text for line in host.labels] == ["wasi:io/*"]


@pytest.mark.parametrize(
    "rule", ["WCM010", "WCM011", "WCM012", "WCM013", "WCM014", "WCM015", "WCM018", "WCM020"]
)
def test_waivers_about_imports_name_imports(rule: str) -> None:
    waiver = "waivers: [{rule: %s, item: '9:b/c', reason: x, expires: 2027-01-01}]"
    with pytest.raises(UsageError, match="p.yaml:2:.*no import or export can match"):
        policy(waiver % rule)
    policy(waiver % "WCM060")  # about values, which may be anything


@pytest.mark.parametrize("where", ["match: {image: '%s'}", "match: {name: '%s'}"])
def test_globs_that_are_none(where: str) -> None:
    with pytest.raises(UsageError, match="p.yaml:2:.*is never closed"):
        policy(where % "a[b")


def test_a_policy_says_its_version(tmp_path: Path) -> None:
    for text in ("imports: {}\n", "version: 2\n", "[]\n"):
        (tmp_path / "p.yaml").write_text(text)
        with pytest.raises(UsageError, match=r"p.yaml:1:\d+: "):
            read_policy(str(tmp_path / "p.yaml"), PARAMETERS)


def test_a_list_whose_last_line_was_taken_out_is_empty() -> None:
    found = policy("imports:\n  allow:\npermissions:\n  environment:\n    allow:\n")
    assert found.imports is not None and found.imports.default == "deny"
    assert found.permissions.environment is not None
    assert found.permissions.environment.allow == ()


# the schema


def _as_json(text: str) -> object:
    return json.loads(json.dumps(yaml.safe_load("version: 1\n" + text), default=str))


def test_the_schema_takes_what_the_parser_takes() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(_as_json(FULL.replace(": off", ': "off"')), SCHEMA)
    for name in PROFILES:
        text = (files("whamm_cm.gate") / "profiles" / f"{name}.yaml").read_text()
        jsonschema.validate(yaml.safe_load(text), SCHEMA)


#: Wrong in ways a schema cannot see: patterns, dates, other files, rules by name.
BEYOND = ("wasi:io/[", "@x", "WCM999", "WCM091", "max_bytes: 1}}", "nosuch.yaml", ".inf", "WCM040")


@pytest.mark.parametrize("text", [text for text, _ in WRONG if not any(b in text for b in BEYOND)])
def test_the_schema_refuses_what_the_parser_refuses(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(_as_json(text), SCHEMA)


def test_the_schema_has_every_key_of_a_policy() -> None:
    with pytest.raises(UsageError) as caught:
        policy("zzzzzzzz: 1")
    known = str(caught.value).partition("(known: ")[2].partition(")")[0].split(", ")
    assert list(SCHEMA["properties"]) == known


@pytest.mark.parametrize("where", LISTS)
def test_the_schema_and_the_reader_agree_about_patterns(where: str) -> None:
    for pattern in ("wasi:io/*", "%net", "#run", "a:b/c@0.2|0.3#{f,g.*}"):
        text = LISTS[where].format(f'"{pattern}"')
        policy(text)
        jsonschema.validate(_as_json(text), SCHEMA)
    for pattern in ("!wasi:io/*", " wasi:io/*", "wasi:io/* ", ""):
        text = LISTS[where].format(f'"{pattern}"')
        with pytest.raises(UsageError):
            policy(text)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(_as_json(text), SCHEMA)


def test_the_schema_that_is_published_is_the_one_that_is_shipped() -> None:
    root = Path(__file__).parents[2]
    assert json.loads((root / "docs" / "policy.schema.json").read_text()) == SCHEMA
    for sample in sorted((root / "tests").rglob("*policy*.yaml")):
        jsonschema.validate(yaml.safe_load(sample.read_text()), SCHEMA)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("permissions: {environment: {allow: [{key: 'LOG_LEVEL'}, {key: 'B: #'}]}}", True),
        ("permissions: {environment: {allow: [{key: 'A=1'}]}}", False),
        ("permissions: {environment: {allow: [{key: ' A'}]}}", False),
        ("permissions: {storage: {allow: [{uri: 'fs:///a', access: []}]}}", False),
        ("permissions: {network: {allow: [{host: a, cidr: 10.0.0.0/8}]}}", False),
        ("match: {name: 'a/b'}", False),
        ("match: {name: '*.wasm'}", True),
        ("waivers: [{rule: WCM010, component: 'a/', reason: x, expires: 2027-01-01}]", False),
        ("waivers: [{rule: WCM060, item: 'a b', reason: x, expires: 2027-01-01}]", True),
    ],
)
def test_the_schema_and_the_reader_agree(text: str, good: bool) -> None:
    if good:
        policy(text)
        jsonschema.validate(_as_json(text), SCHEMA)
        return
    with pytest.raises(UsageError):
        policy(text)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(_as_json(text), SCHEMA)


# what is extended


def test_lists_grow_and_single_values_are_overridden(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        "version: 1\njudge: reachable\nimports: {default: deny, allow: ['a:b/c']}\n"
        "rules: {WCM020: error, WCM016: off}\n"
        "permissions: {environment: {allow: [{key: A}]}}\n"
    )
    (tmp_path / "top.yaml").write_text(
        "version: 1\nextends: [base.yaml]\njudge: declared\nimports: {allow: ['d:e/f']}\n"
        "rules: {WCM020: note}\npermissions: {environment: {allow: [{key: B}]}}\n"
    )
    found = read_policy(str(tmp_path / "top.yaml"), PARAMETERS)
    assert found.judged == "declared" and found.imports is not None
    assert [line.text for line in found.imports.allow] == ["a:b/c", "d:e/f"]
    assert {rule: setting.level for rule, setting in found.rules.items()} == {
        "WCM020": "note", "WCM016": "off",
    }  # fmt: skip
    environment = found.permissions.environment
    assert environment is not None and environment.allow is not None
    assert [line.key for line in environment.allow] == ["A", "B"]


def test_circles_and_long_chains_end(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("version: 1\nextends: [b.yaml]\n")
    (tmp_path / "b.yaml").write_text("version: 1\nextends: [./a.yaml]\n")
    with pytest.raises(UsageError, match=r"b.yaml:2:11: ./a.yaml extends itself"):
        read_policy(str(tmp_path / "a.yaml"), PARAMETERS)
    for number in range(12):  # each extends the next one twice: 2^12 readings
        text = f"version: 1\nextends: [c{number + 1}.yaml, c{number + 1}.yaml]\n"
        (tmp_path / f"c{number}.yaml").write_text(text)
    (tmp_path / "c12.yaml").write_text("version: 1\n")
    with pytest.raises(UsageError, match="more than 100 policies are extended"):
        read_policy(str(tmp_path / "c0.yaml"), PARAMETERS)


@pytest.mark.parametrize("name", [name for name in PROFILES if name != "wasi-preview1"])
def test_profiles_link_what_every_host_links(name: str) -> None:
    """And nothing of a version or a name they do not have."""
    found = profile(name, PARAMETERS)
    assert len(found.hosts) == 1 and found.imports is None
    rest = {"wasi:io/poll@0.2.9": ("poll",)}
    if name == "wasi-0.3":
        rest = {"wasi:http/client@0.3.1": ("send",)}
    release = name.removeprefix("wasi-") if name == "wasi-0.3" else "0.2"
    good = component({f"wasi:clocks/monotonic-clock@{release}.3": ("now",), **rest})
    assert said(judge(good, f"extends: [{name}]")) == []
    bad = component(
        {"wasi:clocks/monotonic-clock@0.9.0": ("now",), "acme:shop/cart@1.0.0": ("buy",)}
    )
    assert said(judge(bad, f"extends: [{name}]")) == [
        ("WCM012", "acme:shop/cart@1.0.0"),
        ("WCM013", "wasi:clocks/monotonic-clock@0.9.0"),
    ]


@pytest.mark.parametrize(
    ("name", "item", "func", "rule"),
    [
        ("wasmcloud-2.7", "wasi:keyvalue/store@0.2.0-draft", "open", "WCM018"),
        ("wasmcloud-2.7", "wasi:keyvalue/store@0.2.0-draft2", "open", "WCM013"),
        ("wasmcloud-2.7", "wasi:config/store@0.2.0-draft", "get", "WCM013"),
        ("wasmcloud-2.7", "wasi:cli/stderr@0.3.0", "write-via-stream", ""),
        ("wasmcloud-1.9", "wasi:cli/stderr@0.3.0", "write-via-stream", "WCM013"),
        ("wasmcloud-1.9", "wasi:logging/logging", "log", ""),
        ("wasmtime-cli", "wasi:http/outgoing-handler@0.2.1", "handle", "WCM018"),
        ("wasmtime-serve", "wasi:http/outgoing-handler@0.2.1", "handle", ""),
        ("wasmtime-serve", "wasi:sockets/tcp@0.2.1", "bind", "WCM018"),
        ("wasi-0.2", "wasi:sockets/tcp@0.2.0-rc-2023-11-10", "bind", "WCM013"),
        ("spin", "wasi:sockets/tcp@0.2.0-rc-2023-11-10", "bind", ""),
        ("spin", "fermyon:spin/key-value", "open", ""),
        ("spin", "spin:key-value/key-value@3.0.0", "open", ""),
        ("spin", "wasi:logging/logging", "log", "WCM012"),
        ("wasmtime-cli", "wasi:cli/exit@0.2.3", "exit-with-code", "WCM018"),
        ("wasmcloud-2.7", "wasi:cli/exit@0.2.3", "exit-with-code", "WCM012"),
    ],
)
def test_what_hosts_link(name: str, item: str, func: str, rule: str) -> None:
    assert rules(judge(component({item: (func,)}), f"extends: [{name}]")) == ({rule} - {""})


def test_rules_are_complete_and_have_stable_ids() -> None:
    assert list(RULES) == sorted(RULES) and set(UNWAIVABLE) <= set(RULES)
    assert len({rule.name for rule in RULES.values()}) == len(RULES)
    for rule in RULES.values():
        assert rule.summary.endswith(".") and rule.help.endswith(".") and rule.fix.endswith(".")


WASSETTE = """\
$schema: https://example.com/policy-v1.0.schema.json
version: "1.0"
description: "as wassette writes them"
permissions:
  network: {allow: [{host: "api.weather.example"}]}
  storage: {allow: [{uri: "fs://tmp/**", access: ["read", "write"]}]}
  environment: {allow: [{key: "WEATHER_KEY"}]}
"""


def test_a_policy_of_wassette_is_the_value_layer(tmp_path: Path) -> None:
    (tmp_path / "wassette.yaml").write_text(WASSETTE)
    (tmp_path / "p.yaml").write_text("version: 1\nextends: [wassette.yaml]\nimports: {allow: []}\n")
    found = read_policy(str(tmp_path / "p.yaml"), PARAMETERS).permissions
    assert found.network is not None and found.storage is not None
    assert [line.name for line in found.network.allow or ()] == ["api.weather.example"]
    assert [line.text for line in found.storage.allow or ()] == ["/tmp/**"]
    jsonschema.validate(yaml.safe_load(WASSETTE), SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "wasi:io/[" + "x" * 9000, "wasi:io/poll@" + "1" * 9000, "%" + "n" * 9000, "!" + "a" * 9000,
        "a b" * 3000, "wasi:" + "a" * 9000, "A" * 9000, "a_" * 4500, ",".join(["a:b/c"] * 2000),
        "wasi:io/poll." + "f" * 9000, "wasi:io/poll#f@" + "1" * 9000, "%net" + "/" * 9000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", LISTS)
def test_what_is_long_is_cut(where: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        policy(LISTS[where].format(f"'{text}'"))
    message = str(caught.value)  # YAML itself refuses long keys
    assert len(message) < 900 and ("…" in message or "not YAML" in message)


def test_long_words_are_cut_everywhere() -> None:
    long = "x" * 9000
    for text in (
        f"imports: {{default: {long}}}", f"extends: [{long}]", f"match: {{name: ' {long}'}}",
        f"permissions: {{storage: {{allow: [{{uri: ' fs://{long}', access: [read]}}]}}}}",
        f"permissions: {{environment: {{allow: [{{key: '{long}=1'}}]}}}}",
        f"rules: {{{long[:999]}: off}}",
    ):  # fmt: skip
        with pytest.raises(UsageError) as caught:
            policy(text)
        assert len(str(caught.value)) < 900
    with pytest.raises(UsageError) as caught:
        read_policy(long, PARAMETERS)
    assert len(str(caught.value)) < 900


def test_releases_of_wasmcloud_differ() -> None:
    """By the names that the programs of the four have in them."""
    linked = {
        ("wasmcloud:messaging/consumer@0.2.0", "publish"): ("2.7", "2.8", "2.9", "2.10"),
        ("wasmcloud:messaging/consumer@0.3.0", "publish"): ("2.8", "2.9", "2.10"),
        ("wasmcloud:nats/core@0.1.0", "publish"): ("2.9",),
        ("wasmcloud:nats/core@0.1.2", "publish"): ("2.10",),
    }
    for (name, function), releases in linked.items():
        data = component({name: (function,)})
        for release in ("2.7", "2.8", "2.9", "2.10"):
            rules = {rule for rule, _ in said(judge(data, f"extends: [wasmcloud-{release}]"))}
            assert bool(rules & {"WCM012", "WCM013"}) is (release not in releases), (name, release)
            assert "WCM016" not in rules


def test_virtual_answers_are_those_of_the_last_that_says_them(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        "version: 1\nvirtual: { environment: { A: a, B: b }, random: { seed: 1 } }\n"
    )
    (tmp_path / "own.yaml").write_text(
        "version: 1\nextends: [base.yaml]\nvirtual: { environment: { C: c }, arguments: [] }\n"
    )
    found = read_policy(str(tmp_path / "own.yaml"), PARAMETERS).virtual
    assert found is not None
    assert (found.environment, found.arguments, found.random) == ({"C": "c"}, (), 1)
