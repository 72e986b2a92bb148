"""Statements about verdicts, and the bytes they are made of."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.gate.making import component
from tests.registry.fake import Image, layout, sha256
from whamm_cm._version import __version__
from whamm_cm.cli.main import main

GOOD = component({"wasi:cli/stderr@0.2.3": ("get-stderr",)})
EVIL = component({"wasi:sockets/tcp@0.2.3": ("bind",)})


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".state"))
    for name in ("SOURCE_DATE_EPOCH", "GITHUB_STEP_SUMMARY", "CI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "good.wasm").write_bytes(GOOD)
    (tmp_path / "evil.wasm").write_bytes(EVIL)
    (tmp_path / "base.yaml").write_text("version: 1\nimports:\n  deny: ['wasi:sockets/*']\n")
    (tmp_path / "site.yaml").write_text("version: 1\nextends: [base.yaml, wasmtime-cli]\n")
    return tmp_path


def statements(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> list[dict]:
    assert main(["gate", "-q", "-f", "intoto", *argv]) == code
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def digest(path: Path) -> dict[str, str]:
    return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_one_statement(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = statements(capsys, "--policy", "base.yaml", "good.wasm")
    assert found == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "good.wasm", "digest": digest(here / "good.wasm")}],
        "predicateType": "https://slsa.dev/verification_summary/v1",
        "predicate": {
            "verifier": {"id": "pkg:pypi/whamm-cm", "version": {"whamm-cm": __version__}},
            "resourceUri": "good.wasm",
            "policy": {"uri": "base.yaml", "digest": digest(here / "base.yaml")},
            "verificationResult": "PASSED",
            "verifiedLevels": [],
            "slsaVersion": "1.1",
        },
    }


def test_each_component_has_its_own_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--policy", "base.yaml", "good.wasm", "evil.wasm"]
    found = statements(capsys, *argv, code=1)
    results = [one["predicate"]["verificationResult"] for one in found]
    assert results == ["PASSED", "FAILED"]
    found = statements(capsys, *argv, "--fail-on", "never")
    assert [one["predicate"]["verificationResult"] for one in found] == ["PASSED", "PASSED"]


def test_what_could_not_be_judged_has_none(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "no.wasm").write_text("nothing")
    found = statements(capsys, "no.wasm", "good.wasm", code=3)
    assert [one["subject"][0]["name"] for one in found] == ["good.wasm"]


def test_trouble_with_the_policy_fails_all(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "old.yaml").write_text(
        "version: 1\nwaivers:\n  - {rule: WCM010, item: x, reason: y, expires: 2020-01-01}\n"
    )
    (found,) = statements(capsys, "--policy", "old.yaml", "good.wasm", code=1)
    assert found["predicate"]["verificationResult"] == "FAILED"


def test_the_policy_and_what_it_extends(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = statements(capsys, "--policy", "./site.yaml", "good.wasm", code=0)
    policy = found["predicate"]["policy"]
    assert policy["digest"] == digest(here / "site.yaml")
    extended = policy["annotations"]["extends"]
    assert [one["uri"] for one in extended] == ["base.yaml", "profile%20wasmtime-cli"]
    assert extended[0]["digest"] == digest(here / "base.yaml")


def test_without_a_policy_it_is_the_rules(capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = statements(capsys, "good.wasm")
    assert found["predicate"]["policy"] == {"uri": f"pkg:pypi/whamm-cm@{__version__}#rules"}


def test_an_image_has_both_digests(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = Image(GOOD)
    layout(here / "image", image)
    (found,) = statements(capsys, "image")
    digests = [one["digest"]["sha256"] for one in found["subject"]]
    assert digests == [hashlib.sha256(GOOD).hexdigest(), sha256(image.manifest)[7:]]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("0", "1970-01-01T00:00:00Z"),
        ("1767225600", "2026-01-01T00:00:00Z"),
        ("2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("253402300799", "9999-12-31T23:59:59Z"),
    ],
)
def test_a_time_that_was_given(
    given: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = statements(capsys, "--time", given, "good.wasm")
    assert found["predicate"]["timeVerified"] == said
    if given.isdigit():
        monkeypatch.setenv("SOURCE_DATE_EPOCH", given)
        (again,) = statements(capsys, "good.wasm")
        assert again == found


@pytest.mark.parametrize("given", ["-1", "", "soon", "2026-01-01", "2026-01-01T00:00:00", "1e9",
                                   "253402300800", "9" * 40, "1969-12-31T23:59:59Z"])  # fmt: skip
def test_times_that_are_none(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", f"--time={given}", "good.wasm"]) == 2
    assert "expected seconds since 1970, or a time as" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["2026-01-01T00:00:00Z", "x", "-5"])
def test_epochs_that_are_none(
    given: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", given)
    assert main(["gate", "good.wasm"]) == 2
    assert "SOURCE_DATE_EPOCH" in capsys.readouterr().err


def test_who_judges(capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = statements(capsys, "--verifier", "https://ci.example/gate", "good.wasm")
    assert found["predicate"]["verifier"]["id"] == "https://ci.example/gate"
    for bad in ("ci", "", "https://a b", "1:x", "a:\n"):
        assert main(["gate", f"--verifier={bad}", "good.wasm"]) == 2
        assert "expected a URI" in capsys.readouterr().err


def test_the_same_verdict_is_the_same_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for _ in range(2):
        assert main(["gate", "-q", "-f", "intoto", "--time", "5", "good.wasm"]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] and shown[0].isascii()
