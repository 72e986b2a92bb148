"""The tables of the gate's pages say what the code says."""

from __future__ import annotations

from pathlib import Path

from tests.docs.book import blocks, code, rows
from tests.gate.making import policy
from whamm_cm.gate.cases import read_cases
from whamm_cm.gate.outputs.registry import FORMATS
from whamm_cm.gate.policy_read import PROFILES
from whamm_cm.gate.rules import RULES

DOCS = Path(__file__).parents[2] / "docs"


def test_every_rule_has_its_row() -> None:
    found = [(code(row[0])[0], *row[1:]) for row in rows("gate.md", "rule")]
    assert found == [(r.id, r.name, r.severity, r.summary) for r in RULES.values()]


def test_formats_and_profiles() -> None:
    assert {code(r[0])[0]: r[1] for r in rows("gate.md", "format")} == FORMATS
    assert tuple(code(r[0])[0] for r in rows("policy.md", "profile")) == PROFILES


def test_parameters_are_named() -> None:
    text = (DOCS / "gate.md").read_text("utf-8")
    for rule in RULES.values():
        for name in rule.parameters:
            assert f"`{rule.id}` has the parameter `{name}`" in text


def test_the_examples_are_sound(tmp_path: Path) -> None:
    table, example, answers = (b for b in blocks(DOCS / "policy.md") if b.language == "yaml")
    assert len(read_cases("\n".join(table.lines).encode(), "t.yaml")) == 2
    text = "\n".join(example.lines).removeprefix("version: 1\n")
    (tmp_path / "base.yaml").write_text("version: 1\n")
    found = policy(text, str(tmp_path / "p.yaml"))
    assert found.imports is not None and len(found.waivers) == 1
    given = policy("\n".join(answers.lines).removeprefix("version: 1\n")).virtual
    assert given is not None
    parts = [code(row[0])[0] for row in rows("policy.md", "part")]
    assert [part for part in parts if getattr(given, part) is not None] == parts
    keys = [code(row[0])[0] for row in rows("policy.md", "key")]
    used = [line.partition(":")[0] for line in example.lines if line[0] not in " #"]
    assert set(used) | {"host"} == set(keys)
