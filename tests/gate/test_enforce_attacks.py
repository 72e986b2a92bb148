"""No way leads past a guard: each of these components reaches its host, and guarded it does not.

A row is a component, or one with what is said of it where it is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import pytest
from wasmtime import wat2wasm

import tests.gate.attacks_network as network
import tests.gate.attacks_shape as shape
from tests.cli.test_enforce_network import judged, section_of
from tests.gate.attacking import Calls, Plain, guard, policy, reach
from whamm_cm.errors import UsageError, WeaveError
from whamm_cm.gate.hosts import Host, parse_authority
from whamm_cm.gate.permissions import NetworkLine, Section

Row: TypeAlias = "str | tuple[str, str]"
RANDOM = 'imports: { deny: ["wasi:random/random"] }'
DENIED = {**shape.NAMES, **shape.PARTS, **shape.CORE, **shape.ANSWERS, **shape.FORGED}


def rows(table: dict[str, Row]) -> pytest.MarkDecorator:
    cases = [(row, "") if isinstance(row, str) else row for row in table.values()]
    return pytest.mark.parametrize(("text", "why"), cases, ids=table.keys())


def refused(wasm: bytes, rules: str, why: str, folder: Path) -> None:
    with pytest.raises((WeaveError, UsageError), match=why):
        guard(wasm, policy(rules, folder))


@rows(DENIED)
def test_what_is_denied(text: str, why: str, tmp_path: Path) -> None:
    wasm, before, after = wat2wasm(text), Plain(), Plain()
    reach(wasm, before.offers())
    assert before.calls
    if why:
        refused(wasm, RANDOM, why, tmp_path)
        return
    reach(guard(wasm, policy(RANDOM, tmp_path)), after.offers())
    assert after.calls == []


@rows(shape.REFUSED)
def test_what_no_engine_runs(text: str, why: str, tmp_path: Path) -> None:
    refused(wat2wasm(text), RANDOM, why, tmp_path)


@rows(shape.BUDGETS)
def test_what_is_too_much(text: str, why: str, tmp_path: Path) -> None:
    wasm, before, after = wat2wasm(text), Plain(), Plain()
    reach(wasm, before.offers())
    assert len(before.calls) > shape.LIMIT
    if why:
        refused(wasm, shape.BUDGET, why, tmp_path)
        return
    reach(guard(wasm, policy(shape.BUDGET, tmp_path)), after.offers())
    assert len(after.calls) <= shape.LIMIT


@rows({**shape.NAMES, **shape.PARTS})
def test_what_the_policy_answers(text: str, why: str, tmp_path: Path) -> None:
    """It is not refused, either: the host is not asked for it at all."""
    host = Plain()
    answered = guard(wat2wasm(text), policy("virtual: { random: { seed: 7 } }", tmp_path))
    found = reach(answered, host.offers())
    assert (host.calls, found.trap) == ([], "") and found.value != 77


# --- the network ---------------------------------------------------------------------------------


def strays(calls: Calls, section: Section[NetworkLine]) -> Calls:
    """What the gate would not have let through, of what the host was told to do."""
    return [call for call in calls if not _may(call, section)]


def _may(call: tuple[str, str, int], section: Section[NetworkLine]) -> bool:
    what, host, port = call
    if host == network.ADDRESS and what == "connect":
        return port == 443  # the address of `api.example.com`, which was looked up
    if ":" in host:
        host = f"[{host}]"
    found = parse_authority(host)
    if found is None:
        return False
    if what == "look up":
        return any(judged(section, Host(found.name, found.address, p)) for p in (22, 80, 443))
    return judged(section, Host(found.name, found.address, port))


@rows({**network.SOCKETS, **network.REQUESTS})
def test_where_it_may_not_go(text: str, why: str, tmp_path: Path) -> None:
    wasm, before, after = wat2wasm(text), network.Network(), network.Network()
    section = section_of(network.LINES, tmp_path)
    reach(wasm, before.offers())
    assert strays(before.calls, section)
    if why:
        refused(wasm, network.RULES, why, tmp_path)
        return
    reach(guard(wasm, policy(network.RULES, tmp_path)), after.offers())
    assert strays(after.calls, section) == []


def test_there_are_enough() -> None:
    tables = (DENIED, shape.REFUSED, shape.BUDGETS, network.SOCKETS, network.REQUESTS)
    assert sum(map(len, tables)) >= 90
