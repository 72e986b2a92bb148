"""Policies written for wassette: what maps is taken, and the rest is refused in one sentence."""

from __future__ import annotations

import pytest

from tests.gate.making import call, component, judge, said
from tests.gate.making import policy as parsed
from whamm_cm.errors import UsageError
from whamm_cm.gate.policy_read import parse_policy
from whamm_cm.gate.rules import PARAMETERS

FILE = """\
version: "1.0"
description: "What a weather tool needs"
permissions:
  network:
    allow:
      - host: "api.weather.example"
      - host: "*.tiles.weather.example"
      - cidr: "10.0.0.0/8"
    deny:
      - host: "old.tiles.weather.example"
  environment:
    allow:
      - key: "WEATHER_KEY"
  storage:
    allow:
      - uri: "fs://cache/**"
        access: ["read", "write"]
"""
LOOKUP = "wasi:sockets/ip-name-lookup"


def read(text: str) -> object:
    return parse_policy(text.encode(), "w.yaml", PARAMETERS)


def test_what_maps_is_taken() -> None:
    assert read(FILE)
    assert read('version: "1.0"\npermissions: {}\n')


@pytest.mark.parametrize(
    ("host", "denied"),
    [
        ("api.weather.example", False),
        ("API.weather.example.", False),
        ("a.tiles.weather.example", False),
        ("old.tiles.weather.example", True),
        ("tiles.weather.example", True),
        ("weather.example", True),
    ],
)
def test_its_hosts_are_judged(host: str, denied: bool) -> None:
    body = FILE.partition("\n")[2]
    args = {"network": 1, "name": host}
    records = call(1, f"{LOOKUP}#resolve-addresses", version="0.2.3", args=args)
    report = judge(component({f"{LOOKUP}@0.2.3": ("resolve-addresses",)}), body, records)
    assert ("WCM060" in {rule for rule, _ in said(report)}) == denied


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"1.0"', '"1.1"', 'w.yaml:1:10: policy version "1.1" is not known'),
        ("  storage:", "  runtime: {}\n  storage:", 'w.yaml:14:3: unknown key "runtime"'),
        ("  storage:", "  resources: {cpu: 50.0}\n  storage:", 'unknown key "resources"'),
        ('"api.', '"https://api.', 'w.yaml:6:15: "https://api.weather.example" is no host;'),
        (
            '"api.weather.example"',
            '"https://api.weather.example/v1"',
            'write "api.weather.example"',
        ),
        ("fs://", "s3://", "w.yaml:16:14: "),
    ],
)
def test_the_rest_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(FILE.replace(old, new, 1))
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_a_section_that_is_missing_is_not_judged() -> None:
    args = {"network": 1, "name": "anywhere.example"}
    records = call(1, f"{LOOKUP}#resolve-addresses", version="0.2.3", args=args)
    data = component({f"{LOOKUP}@0.2.3": ("resolve-addresses",)})
    assert "WCM060" not in {rule for rule, _ in said(judge(data, "permissions: {}", records))}
    closed = "permissions: {network: {allow: []}}"
    assert parsed(closed).permissions != parsed("permissions: {}").permissions
    assert "WCM060" in {rule for rule, _ in said(judge(data, closed, records))}
