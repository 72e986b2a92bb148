"""What extends what: denials only ever take away, and what was only concluded overrides nothing."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gate.making import TODAY
from whamm_cm.errors import UsageError
from whamm_cm.gate.context import Context
from whamm_cm.gate.engine import Engine
from whamm_cm.gate.model import FunctionRow, ImportRow, Subject
from whamm_cm.gate.policy import Policy
from whamm_cm.gate.policy_read import read_policy
from whamm_cm.gate.rules import PARAMETERS

EXAMPLES = max(1, int(60 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))

NAMES = ("wasi:io/poll", "wasi:io/streams", "wasi:sockets/tcp", "acme:db/store")
VERSIONS = (None, "0.2.0", "0.2.9", "0.2.0-rc.1", "0.3.0", "1.4.2")
SUBJECT = Subject(
    "", 0, 0, (), None,
    tuple(
        ImportRow(
            f"{name}@{version}" if version else name, "instance", name, version,
            (FunctionRow("f", "f", True), FunctionRow("g", "g", True)),
        )
        for name, version in itertools.product(NAMES, VERSIONS)
    )
    + (ImportRow("run", "func", "", None, (FunctionRow("run", "run", True),)),),
    (),
)  # fmt: skip

PATTERNS = st.sampled_from(
    ["wasi:*", "wasi:io/*", "wasi:io/*@0.2", "wasi:io/poll@0.2.3", "wasi:io/poll@=0.2.0", "%net",
     "wasi:io/poll#f", "*#g", "*", "acme:db/store@1.4|0.3", "wasi:sockets/tcp@0.2.0-rc.1", "#run",
     "wasi:io/{poll,streams}@0.3#f"]
)  # fmt: skip
LISTS = st.lists(PATTERNS, min_size=1, max_size=3)
#: An empty section is refused.
SECTIONS = st.fixed_dictionaries(
    {}, optional={"allow": LISTS, "warn": LISTS, "deny": LISTS,
                  "default": st.sampled_from(["allow", "deny"])},
).filter(bool)  # fmt: skip
FILES = st.lists(st.one_of(st.none(), SECTIONS), min_size=1, max_size=4)


def write(folder: Path, sections: list[dict[str, Any] | None], nested: bool) -> Policy:
    """The last section extends the ones before: all at once, or each the one before it."""
    for number, section in enumerate(sections):
        document: dict[str, Any] = {"version": 1}
        if section is not None:
            document["imports"] = section
        before = range(number) if number == len(sections) - 1 else range(0)
        if nested:
            before = range(max(0, number - 1), number)
        if list(before):
            document["extends"] = [f"p{one}.yaml" for one in before]
        (folder / f"p{number}.yaml").write_text(yaml.safe_dump(document))
    return read_policy(str(folder / f"p{len(sections) - 1}.yaml"), PARAMETERS)


def through(policy: Policy) -> set[tuple[str, str]]:
    """What is not denied: (import, function)."""
    context: Context = Engine(policy, TODAY).context("a", "a", subject=SUBJECT)
    if policy.imports is None:
        return {(row.name, one.name) for row in SUBJECT.imports for one in row.functions}
    return {
        (row.name, one.function.name)
        for row, decisions in context.decisions
        for one in decisions
        if one.verdict != "deny" and one.function is not None
    }


@settings(max_examples=EXAMPLES)
@given(FILES, st.integers(0, 3), PATTERNS, st.booleans())
def test_a_denial_never_lets_more_through(
    tmp_path_factory: pytest.TempPathFactory,
    sections: list[dict[str, Any] | None],
    where: int,
    pattern: str,
    nested: bool,
) -> None:
    folder = tmp_path_factory.mktemp("policies")
    before = through(write(folder, sections, nested))
    more = [dict(one) if one is not None else None for one in sections]
    at = min(where, len(more) - 1)
    old = more[at] or {}
    more[at] = {**old, "deny": [*old.get("deny", []), pattern]}
    assert through(write(folder, more, nested)) <= before


@settings(max_examples=EXAMPLES)
@given(FILES, st.integers(0, 3), PATTERNS, st.booleans())
def test_a_file_more_to_extend_that_only_denies(
    tmp_path_factory: pytest.TempPathFactory,
    sections: list[dict[str, Any] | None],
    where: int,
    pattern: str,
    nested: bool,
) -> None:
    folder = tmp_path_factory.mktemp("policies")
    before = through(write(folder, sections, nested))
    at = min(where, len(sections))
    longer = [*sections[:at], {"deny": [pattern]}, *sections[at:]]
    assert through(write(folder, longer, nested)) <= before


@settings(max_examples=EXAMPLES)
@given(FILES, st.integers(0, 3), PATTERNS, st.booleans())
def test_a_line_more_that_allows_never_denies_more(
    tmp_path_factory: pytest.TempPathFactory,
    sections: list[dict[str, Any] | None],
    where: int,
    pattern: str,
    nested: bool,
) -> None:
    """On a list there is: the first list of what is allowed is what denies the rest."""
    more = [dict(one) if one is not None else None for one in sections]
    lists = [one for one in more if one is not None and "allow" in one]
    if not lists:
        return
    folder = tmp_path_factory.mktemp("policies")
    before = through(write(folder, sections, nested))
    chosen = lists[min(where, len(lists) - 1)]
    chosen["allow"] = [*chosen["allow"], pattern]
    assert before <= through(write(folder, more, nested))


DEFAULTS = [
    # sections, from the base on, and what becomes of the rest
    ([{"default": "deny", "allow": ["wasi:io/*"]}, {"deny": ["wasi:io/poll#f"]}], "deny"),
    ([{"default": "deny"}, {"deny": ["wasi:nn/*"]}], "deny"),
    ([{"allow": ["wasi:io/*"]}, {"deny": ["wasi:nn/*"]}], "deny"),
    ([{"deny": ["wasi:nn/*"]}, {"allow": ["wasi:io/*"]}], "deny"),
    ([{"deny": ["wasi:nn/*"]}, {"deny": ["wasi:io/*"]}], "allow"),
    ([{"default": "allow", "allow": ["wasi:io/*"]}, {"deny": ["wasi:nn/*"]}], "allow"),
    ([{"default": "allow"}, {"allow": ["wasi:io/*"]}], "allow"),
    ([{"default": "deny"}, {"default": "allow"}], "allow"),
    ([{"default": "allow"}, {"default": "deny"}], "deny"),
    ([{"deny": ["wasi:nn/*"]}, {"warn": ["wasi:io/*"]}], "deny"),
    ([{"deny": ["wasi:nn/*"], "warn": ["wasi:io/*"]}], "deny"),
    ([{"allow": []}], "deny"),
    ([{"allow": []}, {"deny": ["wasi:nn/*"]}], "deny"),
    ([{"deny": ["wasi:nn/*"]}, None], "allow"),
]  # fmt: skip


@pytest.mark.parametrize(("sections", "default"), DEFAULTS)
@pytest.mark.parametrize("nested", [False, True])
def test_defaults(
    tmp_path: Path, sections: list[dict[str, Any] | None], default: str, nested: bool
) -> None:
    found = write(tmp_path, sections, nested)
    assert found.imports is not None and found.imports.default == default


@pytest.mark.parametrize("empty", ["imports: {}", "imports:", "imports: null", "imports: ~"])
@pytest.mark.parametrize("where", range(3))
def test_a_section_that_says_nothing_is_refused(tmp_path: Path, empty: str, where: int) -> None:
    """It denied everything, and a denial that was written in it let everything else through."""
    for number in range(3):
        before = f"extends: [p{number - 1}.yaml]" if number else "description: x"
        section = empty if number == where else "imports: {deny: ['wasi:nn/*']}"
        (tmp_path / f"p{number}.yaml").write_text(f"version: 1\n{before}\n{section}\n")
    with pytest.raises(UsageError, match=rf"p{where}\.yaml:3:1: imports says nothing: write def"):
        read_policy(str(tmp_path / "p2.yaml"), PARAMETERS)


def both(tmp_path: Path, base: str, own: str) -> Policy:
    (tmp_path / "base.yaml").write_text(f"version: 1\n{base}\n")
    (tmp_path / "p.yaml").write_text(f"version: 1\nextends: [base.yaml]\n{own}\n")
    return read_policy(str(tmp_path / "p.yaml"), PARAMETERS)


def test_a_severity_keeps_the_numbers_of_its_rule(tmp_path: Path) -> None:
    found = both(tmp_path, "rules: {WCM040: {max_bytes: 7}}", "rules: {WCM040: warning}")
    assert found.rules["WCM040"].level == "warning"
    assert found.rules["WCM040"].parameters == {"max_bytes": 7}
    found = both(tmp_path, "rules: {WCM040: note}", "rules: {WCM040: {max_bytes: 8}}")
    assert (found.rules["WCM040"].level, found.rules["WCM040"].parameters) == (
        "note", {"max_bytes": 8},
    )  # fmt: skip
    found = both(
        tmp_path, "rules: {WCM040: {max_bytes: 7}}", "rules: {WCM040: {max_bytes: 9}, WCM010: note}"
    )
    assert found.rules["WCM040"].parameters == {"max_bytes": 9} and "WCM010" in found.rules


def test_whom_a_policy_is_for_is_merged_field_by_field(tmp_path: Path) -> None:
    sha = "a" * 64
    found = both(tmp_path, f"match: {{sha256: {sha}, name: a.wasm}}", "match: {name: '*.wasm'}")
    assert (found.match.sha256, found.match.name, found.match.image) == ((sha,), "*.wasm", "")
    assert found.match.location.file.endswith("p.yaml")
    found = both(tmp_path, "match: {image: 'oci://*'}", "judge: reachable")
    assert found.match.image == "oci://*" and found.match.location.file.endswith("base.yaml")
    found = both(tmp_path, "match: {name: a.wasm}", f"match: {{sha256: {sha}}}")
    assert (found.match.sha256, found.match.name) == ((sha,), "a.wasm")
    assert found.match.location.file.endswith("p.yaml")


@pytest.mark.parametrize(
    ("base", "own", "default", "file"),
    [
        ("{default: deny}", "{deny: ['wasi:nn/*']}", "deny", "base.yaml"),
        ("{default: deny}", "{allow: ['wasi:io/*']}", "deny", "base.yaml"),
        ("{default: deny, deny: ['wasi:nn/*']}", "{allow: ['wasi:io/*']}", "deny", "base.yaml"),
        ("{default: deny}", "{default: allow}", "allow", "p.yaml"),
        ("{deny: ['wasi:nn/*']}", "{default: deny}", "deny", "p.yaml"),
        ("{deny: ['wasi:nn/*']}", "{allow: ['wasi:io/*']}", "deny", "p.yaml"),
        ("{allow: ['wasi:io/*']}", "{deny: ['wasi:nn/*']}", "deny", "base.yaml"),
        ("{allow: ['wasi:io/*']}", "{allow: ['wasi:io/*']}", "deny", "base.yaml"),
    ],
)
def test_the_place_of_the_default_is_where_it_comes_from(
    tmp_path: Path, base: str, own: str, default: str, file: str
) -> None:
    found = both(tmp_path, f"imports: {base}", f"imports: {own}").imports
    assert found is not None and found.default == default
    assert Path(found.location.file).name == file


@pytest.mark.parametrize("key", ["allow", "warn", "deny"])
def test_lists_grow(tmp_path: Path, key: str) -> None:
    base, own = f"imports: {{{key}: ['wasi:io/*']}}", f"imports: {{{key}: ['wasi:nn/*']}}"
    found = both(tmp_path, base, own).imports
    assert [line.text for line in getattr(found, key)] == ["wasi:io/*", "wasi:nn/*"]


def test_lists_outside_of_imports_grow(tmp_path: Path) -> None:
    host = "{name: %s, links: ['wasi:io/*']}"
    waiver = "{rule: WCM010, item: '%s', reason: x, expires: 2027-01-01}"
    found = both(
        tmp_path,
        "exports: {require: ['#run'], forbid: ['#a']}\nbudgets: {'#a': {p99_ms: 1}}\n"
        f"host: {host % 'one'}\nwaivers: [{waiver % '#a'}]\ndescription: base",
        "exports: {require: ['#go'], forbid: ['#b']}\nbudgets: {'#b': {p99_ms: 1}}\n"
        f"host: {host % 'two'}\nwaivers: [{waiver % '#b'}]",
    )
    assert [line.text for line in found.exports.require] == ["#run", "#go"]
    assert [line.text for line in found.exports.forbid] == ["#a", "#b"]
    assert [budget.line.text for budget in found.budgets] == ["#a", "#b"]
    assert [host.name for host in found.hosts] == ["one", "two"]
    assert [waiver.item for waiver in found.waivers] == ["#a", "#b"]
    assert found.description == "base"
    assert both(tmp_path, "description: base", "description: own").description == "own"


@pytest.mark.parametrize(("files", "good"), [(32, True), (33, False)])
def test_how_long_a_chain_may_be(tmp_path: Path, files: int, good: bool) -> None:
    """32 policies, each of which extends the next one."""
    for number in range(files):
        more = f"extends: [p{number + 1}.yaml]" if number < files - 1 else "description: last"
        (tmp_path / f"p{number}.yaml").write_text(f"version: 1\n{more}\n")
    if good:
        assert read_policy(str(tmp_path / "p0.yaml"), PARAMETERS).description == "last"
        return
    with pytest.raises(UsageError, match=r"p31.yaml:2:11: more than 32 policies that extend"):
        read_policy(str(tmp_path / "p0.yaml"), PARAMETERS)


@pytest.mark.parametrize(("files", "good"), [(100, True), (101, False)])
def test_how_many_may_be_extended(tmp_path: Path, files: int, good: bool) -> None:
    (tmp_path / "one.yaml").write_text("version: 1\n")
    names = ", ".join(["one.yaml"] * files)
    (tmp_path / "p.yaml").write_text(f"version: 1\nextends: [{names}]\n")
    if good:
        assert len(read_policy(str(tmp_path / "p.yaml"), PARAMETERS).sources) == 101
        return
    with pytest.raises(UsageError, match="more than 100 policies are extended"):
        read_policy(str(tmp_path / "p.yaml"), PARAMETERS)


def test_permissions_grow(tmp_path: Path) -> None:
    base = "permissions: {network: {allow: [{host: a.example}]}}"
    found = both(tmp_path, base, "permissions: {network: {deny: [{host: b.example}]}}").permissions
    assert found.network is not None and found.network.allow is not None
    assert len(found.network.allow) == 1 and len(found.network.deny) == 1
    for one, other in (("deny", "deny"), ("deny", "allow"), ("allow", "allow")):
        section = "permissions: {environment: {%s: [{key: %s}]}}"
        merged = both(tmp_path, section % (one, "A"), section % (other, "B")).permissions
        environment = merged.environment
        assert environment is not None
        denied = ("A",) * (one == "deny") + ("B",) * (other == "deny")
        allowed = ("A",) * (one == "allow") + ("B",) * (other == "allow")
        assert tuple(line.key for line in environment.deny) == denied
        # Only what has a list allows nothing else.
        assert (environment.allow is None) is (not allowed)
        assert tuple(line.key for line in environment.allow or ()) == allowed


@pytest.mark.parametrize(
    ("text", "denies"),
    [
        ("description: x", False),
        ("imports: {default: allow}", False),
        ("imports: {default: allow, allow: ['*'], warn: ['*']}", False),
        ("imports: {default: deny}", True),
        ("imports: {allow: ['*']}", True),
        ("imports: {default: allow, deny: ['wasi:nn/*']}", True),
        ("exports: {require: ['#run']}", False),
        ("exports: {forbid: ['#run']}", True),
        ("permissions: {network: {allow: []}}", True),
        ("permissions: {storage: {allow: []}}", True),
        ("permissions: {environment: {allow: []}}", True),
    ],
)
def test_what_denies_anything(tmp_path: Path, text: str, denies: bool) -> None:
    """Then names that can be taken for several interfaces are errors."""
    (tmp_path / "p.yaml").write_text(f"version: 1\n{text}\n")
    assert read_policy(str(tmp_path / "p.yaml"), PARAMETERS).denies is denies


def test_permissions_that_only_one_of_two_has_stay(tmp_path: Path) -> None:
    some = "permissions: {network: {allow: [{host: a.example}]}}"
    for base, own in ((some, "description: x"), ("description: x", some)):
        network = both(tmp_path, base, own).permissions.network
        assert network is not None and [line.text for line in network.allow or ()] == ["a.example"]
