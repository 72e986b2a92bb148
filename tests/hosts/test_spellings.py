"""What hosts give for each spelling of a name; the gate denies whatever any of them links."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.gate.making import judge, rules
from tests.golden import check_golden
from tests.hosts.spellings import CRASHED, LINKED, REFUSED, RUNNERS, SPELLINGS, STARTED, Spelling
from whamm_cm.errors import InputError

DATA = Path(__file__).parent / "data" / "spellings.json"
DOCS = Path(__file__).parents[2] / "docs" / "policy.md"
START, END = "<!-- generated: spellings -->\n", "<!-- end -->"
HOSTS = tuple(RUNNERS)
#: Interface → patterns that deny it.
DENIALS = {
    "wasi:random/random": ("wasi:random/*", "wasi:random/random", "wasi:*"),
    "wasi:keyvalue/store": ("wasi:keyvalue/*", "wasi:keyvalue/store", "wasi:*"),
    "wasi:sockets/instance-network": ("wasi:sockets/*", "%net", "wasi:sockets/instance-network"),
}


def outcomes() -> dict[str, dict[str, str]]:
    """Spelling → host → what it does."""
    found: dict[str, dict[str, str]] = json.loads(DATA.read_text())
    return found


def found(spelling: Spelling, policy: str, interface: str = "wasi:random/random") -> set[str]:
    """The rules that fail it; WCM000 for what is not judged at all."""
    try:
        report = judge(spelling.component(interface), policy)
    except InputError:
        return {"WCM000"}
    return rules(report) if report.verdict == "fail" else set()


def of(*names: str) -> list[Spelling]:
    """The spellings that some host does one of these with."""
    said = outcomes()
    return [one for one in SPELLINGS if set(names) & set(said[one.what].values())]


def test_hosts_do_what_the_data_says(tmp_path: Path) -> None:
    columns = []
    for interface, run in RUNNERS.values():
        files = [tmp_path / f"{number}.wasm" for number in range(len(SPELLINGS))]
        for path, spelling in zip(files, SPELLINGS, strict=True):
            path.write_bytes(spelling.component(interface))
        columns.append(run(files))
    said = (dict(zip(HOSTS, row, strict=True)) for row in zip(*columns, strict=True))
    table = {one.what: row for one, row in zip(SPELLINGS, said, strict=True)}
    check_golden(DATA, json.dumps(table, indent=1) + "\n")


def test_there_is_something_of_each_kind() -> None:
    """Else the tests below hold nothing to anything."""
    said = outcomes()
    assert list(said) == [one.what for one in SPELLINGS]
    assert all(tuple(row) == HOSTS for row in said.values())
    assert len(of(LINKED)) >= 9 and len(of(REFUSED)) >= 50


@pytest.mark.parametrize("spelling", of(LINKED, STARTED, CRASHED), ids=lambda one: one.what)
@pytest.mark.parametrize("interface", DENIALS)
def test_what_any_host_links_is_denied(spelling: Spelling, interface: str) -> None:
    for pattern in DENIALS[interface]:
        why = found(spelling, f"imports: {{deny: ['{pattern}']}}", interface)
        assert "WCM010" in why, (pattern, why)
    name, _ = spelling.written(interface)
    _, at, version = name.partition("@")
    if at and interface != "wasi:keyvalue/store":
        track = ".".join(version.split(".")[:2])
        assert "WCM010" in found(
            spelling, f"imports: {{deny: ['{interface}@{track}.3']}}", interface
        )
    # Nor does it pass for something harmless that is allowed.
    for allowed in ("wasi:io/*", "wasi:io/poll@^0.2", "net#*"):
        assert found(spelling, f"imports: {{default: deny, allow: ['{allowed}']}}", interface)


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda one: one.what)
def test_what_a_line_allows_is_linked_as_that_or_refused(spelling: Spelling) -> None:
    said = outcomes()[spelling.what].values()
    allowed = not found(spelling, "imports: {default: deny, allow: ['wasi:random/random']}")
    if allowed:
        assert CRASHED not in said
    if spelling.what == "as hosts name it":
        assert allowed and set(said) == {LINKED}
    if spelling.name == "{o}" or "{o}" in str(spelling.attributes):
        # Two interfaces in one name: one of them is not allowed.
        assert not allowed


#: Profile → the hosts of the table, and what is asked of them.
PROFILES = {
    "wasmtime-cli": (("wasmtime 49", "wasmtime 50"), "wasi:random/random"),
    "wasmtime-serve": (("wasmtime 49", "wasmtime 50"), "wasi:random/random"),
    "wasmcloud-2.10": (("wash 2.10",), "wasi:random/random"),
    "wasmcloud-2.10 store": (("wash 2.10, store",), "wasi:keyvalue/store"),
}
#: Of these the name is linked; what the harmless interface lacks is the function.
LACKS = ("external id",)


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda one: one.what)
@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_say_what_their_hosts_say(profile: str, spelling: Spelling) -> None:
    """What none of its hosts starts is a finding without any list of a policy; what one of them
    links is none."""
    hosts, interface = PROFILES[profile]
    said = {outcomes()[spelling.what][host] for host in hosts}
    why = found(spelling, f"extends: [{profile.split()[0]}]", interface)
    if said <= {REFUSED, CRASHED} and spelling.what not in LACKS:
        assert why, said
    if LINKED in said:
        assert not why


def test_the_page_has_the_table() -> None:
    page = DOCS.read_text()
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    check_golden(DOCS, before + START + table() + END + after)


def table() -> str:
    head = ("how it is asked for", "name", *HOSTS, "denied", "allowed")
    rows = [_row(one) for one in of(LINKED, STARTED, CRASHED)]
    lines = ["| " + " | ".join(row) + " |" for row in [head, *rows]]
    lines.insert(1, "|---" * len(head) + "|")
    others = [one for one in SPELLINGS if one not in of(LINKED, STARTED, CRASHED)]
    text = "; ".join(f"{one.what}{_mark(one)}" for one in others)
    said = textwrap.fill(f"None of them links these {len(others)}: {text}.", 112)
    return "\n".join(lines) + f"\n\n{said}\n"


def _row(spelling: Spelling) -> Sequence[str]:
    name, attributes = spelling.written()
    shown = " ".join([name, *(f"({key} {text})" for key, text in attributes or ())])
    said = outcomes()[spelling.what]
    allow = found(spelling, "imports: {default: deny, allow: ['wasi:random/random@^0.2']}")
    deny = found(spelling, "imports: {deny: ['wasi:random/*']}")
    sure = [", ".join(f"`{one}`" for one in sorted(why)) or "passes" for why in (deny, allow)]
    return (spelling.what, f"`{shown}`", *(said[host] for host in HOSTS), *sure)


def _mark(spelling: Spelling) -> str:
    """An asterisk for what a denial does not name either."""
    return "" if found(spelling, "imports: {deny: ['wasi:random/*']}") else " \\*"
