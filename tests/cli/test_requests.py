"""Requests in what our own server records, and in the views of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fixtures.build import path_of
from whamm_cm.cli.main import main
from whamm_cm.trace.records import fault_of
from whamm_cm.trace.session import Session

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def recorded(folder: Path, path: str, *options: str) -> list[dict[str, Any]]:
    log = folder / "run.jsonl"
    app = str(path_of("py_http"))
    args = ["--http", "--request", f"GET {path}", "-H", f"traceparent: {PARENT}", *options]
    assert main(["-q", "trace", *args, "-o", str(log), app]) == 0
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [fault for record in records if (fault := fault_of(record))] == []
    return records


def test_a_host_says_what_it_knows(tmp_path: Path) -> None:
    records = recorded(tmp_path, "/missing/17?token=verysecret&x=1")
    (asked,) = (r for r in records if r["phase"] == "request")
    (answer,) = (r for r in records if r["phase"] == "answer")
    first = next(r for r in records if r["phase"] == "call")
    assert records.index(asked) < records.index(first)
    assert asked["instance"] == first["instance"] and asked["t_ns"] <= first["t_ns"]
    assert (asked["method"], asked["path"]) == ("GET", "/missing/17?token=**********&x=1")
    assert (asked["authority"], asked["traceparent"]) == ("localhost", PARENT)
    assert answer["status"] == 404 and "error" not in answer
    assert {r.get("req") for r in records if r["phase"] in ("call", "return", "answer")} == {1}
    assert [r["seq"] for r in records] == list(range(len(records)))
    (request,) = Session.build(records).requests
    assert (request.status, request.route) == (404, "/missing/{n}")
    assert request.dur_ns == answer["dur_ns"]


def test_what_a_client_says_is_recorded_as_it_is_and_not_for_ever(tmp_path: Path) -> None:
    log = tmp_path / "run.jsonl"
    asked = ["--request", f"get{'x' * 100} /a", "-H", f"traceparent: {'0' * 5000}"]
    assert main(["-q", "trace", *asked, "-o", str(log), str(path_of("py_http"))]) == 0
    records = [json.loads(line) for line in log.read_text().splitlines()]
    (told,) = (record for record in records if record["phase"] == "request")
    assert told["method"] == f"get{'x' * 61}…"
    assert told["traceparent"] == "0" * 1024 + "…"


def test_a_guest_that_records_nothing_was_asked_all_the_same(tmp_path: Path) -> None:
    records = recorded(tmp_path, "/x", "-e", "trace=wasi:keyvalue/*", "--no-time")
    phases = [r["phase"] for r in records]
    assert phases.count("request") == phases.count("answer") == 1
    assert not {"call", "return"} & set(phases)
    assert all("t_ns" not in r and "dur_ns" not in r for r in records)


def test_a_secret_at_the_end_of_what_is_recorded_is_none_in_part(tmp_path: Path) -> None:
    start = "/?token=verysecret&back="
    path = f"{start}{'a' * (1024 - len(start) - 6)}/verysecret"
    (asked,) = (r for r in recorded(tmp_path, path) if r["phase"] == "request")
    assert asked["path"] == f"{path[:1019].replace('verysecret', '*' * 10)}*****…"


@pytest.mark.parametrize("shown", [True, False])
def test_secrets_of_a_path_are_shown_only_where_they_are_to_be(tmp_path: Path, shown: bool) -> None:
    records = recorded(tmp_path, "/?token=verysecret", *["--show-secrets"] * shown)
    (asked,) = (r for r in records if r["phase"] == "request")
    assert ("verysecret" in asked["path"]) is shown
