"""What is ready to use: the action, the hook, and what the documentation says of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.docs.book import ROOT, blocks, code, rows
from tests.gate.making import component
from tests.registry.fake import Image, layout
from whamm_cm.cli.main import main, parser
from whamm_cm.gate.manifest import read_manifest
from whamm_cm.gate.rules import RULES

ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
STEPS = ACTION["runs"]["steps"]
GATE = next(step for step in STEPS if step.get("name") == "Gate")
MANIFESTS = ROOT / "tests" / "gate" / "data" / "manifests"


def test_the_action_is_composite_and_pins_what_it_uses() -> None:
    assert ACTION["runs"]["using"] == "composite"
    assert all(re.fullmatch(r"[\w./-]+@v\d+", step["uses"]) for step in STEPS if "uses" in step)
    assert all(step["shell"] == "bash" for step in STEPS if "run" in step)


def test_inputs_reach_scripts_by_the_environment_only() -> None:
    """``${{ … }}`` in a script would make an input a part of it."""
    assert not [step for step in STEPS if "${{" in step.get("run", "")]
    used = set(re.findall(r"inputs\.([\w-]+)", (ROOT / "action.yml").read_text("utf-8")))
    assert used == set(ACTION["inputs"])
    assert all("default" in one or one.get("required") for one in ACTION["inputs"].values())


def test_the_inputs_of_the_action_are_documented() -> None:
    assert [code(row[0])[0] for row in rows("ci.md", "input")] == list(ACTION["inputs"])


def options(words: list[str]) -> None:
    """Fails for an option that ``whamm-cm`` does not have."""
    parser().parse_args(words)


def test_the_hook() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert hook["id"] == "whamm-cm-gate" and hook["language"] == "python"
    assert re.search(hook["files"], "build/cart.wasm") and hook["pass_filenames"] is True
    words = hook["entry"].split()
    assert words[0] == "whamm-cm"
    pages = [yaml.safe_load("\n".join(b.lines)) for b in blocks(ROOT / "docs" / "ci.md")
             if b.language == "yaml" and "repos:" in b.lines]  # fmt: skip
    used = pages[0]["repos"][0]["hooks"][0]
    assert used["id"] == hook["id"]
    options([*words[1:], *used["args"], "a.wasm", "b.wasm"])


def test_pipelines_of_the_documentation_parse() -> None:
    found = [b for b in blocks(ROOT / "docs" / "ci.md") if b.language == "yaml"]
    assert len(found) == 4
    for block in found:
        parsed = yaml.safe_load("\n".join(block.lines))
        for step in parsed if isinstance(parsed, list) else ():
            if step["run"].startswith("whamm-cm"):
                options(step["run"].split()[1:])
    jobs = yaml.safe_load("\n".join(found[0].lines))["jobs"]["gate"]["steps"]
    (own,) = (step for step in jobs if "whamm-cm@" in step.get("uses", ""))
    assert set(own["with"]) <= set(ACTION["inputs"])


@pytest.fixture
def step(tmp_path: Path):
    """Runs the script of the step as the runner would."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    tool = tmp_path / "runner" / "whamm-cm" / "bin" / "whamm-cm"
    tool.parent.mkdir(parents=True)
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m whamm_cm "$@"\n')
    tool.chmod(0o755)
    (tmp_path / "cart.wasm").write_bytes(component({"wasi:clocks/wall-clock@0.2.3": ("now",)}))

    def run(**inputs: str) -> subprocess.CompletedProcess[str]:
        assert bash is not None
        names = {re.search(r"inputs\.([\w-]+)", v)[1]: k for k, v in GATE["env"].items()}
        env = {k: str(ACTION["inputs"][name].get("default", "")) for name, k in names.items()}
        env |= {names[name.replace("_", "-")]: text for name, text in inputs.items()}
        env |= {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "CI": "true",
                "HOME": str(tmp_path), "RUNNER_TEMP": str(tmp_path / "runner")}  # fmt: skip
        return subprocess.run(
            [bash, "-c", GATE["run"]], cwd=tmp_path, env=env, capture_output=True, text=True
        )

    return run


def test_the_step_passes_and_writes_reports(step, tmp_path: Path) -> None:
    found = step(paths="cart.wasm\n", sarif="gate.sarif", json="gate.json")
    assert found.returncode == 0, found.stderr
    assert (tmp_path / "gate.sarif").exists() and (tmp_path / "gate.json").exists()


def test_the_step_fails_with_annotations(step, tmp_path: Path) -> None:
    shutil.copy(MANIFESTS / "WCM119.yaml", tmp_path / "a b.yaml")
    found = step(paths="cart.wasm", manifest="a b.yaml\n", component="bad/cart", fail_on="warning")
    assert found.returncode == 1, found.stderr
    assert "::warning file=a b.yaml,line=10,col=18,title=WCM119 image-tag::" in found.stdout


def test_inputs_of_the_step_stay_words(step, tmp_path: Path) -> None:
    """Neither options nor commands can be smuggled in by a name."""
    found = step(paths='$(touch pwned)\n`touch pwned`\n"; touch pwned\n--help')
    assert found.returncode == 3 and not (tmp_path / "pwned").exists()
    assert "there is no such file" in found.stderr


# the command line


def gate(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = main(["gate", "--no-cache", *words])
    shown = capsys.readouterr()
    return status, shown.out + shown.err


@pytest.fixture
def cart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    path = tmp_path / "cart.wasm"
    path.write_bytes(component({"wasi:keyvalue/store@0.2.0-draft": ("open",)}))
    return path


def test_manifest_and_component(capsys: pytest.CaptureFixture[str], cart: Path) -> None:
    sample = str(MANIFESTS / "WCM102.yaml")
    status, text = gate(capsys, "--manifest", sample, "--component", "bad/cart", str(cart))
    assert status == 1 and "WCM102" in text and "WCM102.yaml:9:11" in text
    status, text = gate(capsys, "--manifest", sample, "--component", "good/cart", str(cart))
    assert status == 0 and "0 errors, 0 warnings, 0 notes" in text


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--component", "x"), 2, "--component names a component of a manifest; give --manifest"),
        (("--manifest", "nosuch.yaml"), 3, "nosuch.yaml: there is no such file"),
        (("--manifest", "cart.wasm"), 3, "cart.wasm:"),
        (("--manifest", str(MANIFESTS / "WCM102.yaml"), "--component", "x"), 2, "no component x"),
    ],
)
def test_mistakes(
    capsys: pytest.CaptureFixture[str], cart: Path, monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...], status: int, message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(cart.parent)
    found, text = gate(capsys, *words, str(cart))
    assert found == status and message in text
    assert text.count("\n") == 1 and "Traceback" not in text


def test_an_image_among_files(
    capsys: pytest.CaptureFixture[str], cart: Path, tmp_path: Path
) -> None:
    folder = layout(tmp_path / "image", Image(cart.read_bytes(), {"component": {"imports": []}}))
    damaged = layout(tmp_path / "damaged", Image(b"x"))
    (damaged / "index.json").unlink()
    status, text = gate(capsys, str(cart), str(folder), str(damaged))
    assert status == 3 and "index.json is missing" in text
    assert "WCM201 claimed-imports  wasi:keyvalue/store@0.2.0-draft" in text


def test_two_components_of_a_workload(
    capsys: pytest.CaptureFixture[str], cart: Path, tmp_path: Path
) -> None:
    """Each is judged with the other in sight."""
    one = component({"shop:prices/lookup": ("price",)})
    other = component(
        {}, more='(instance $e (export "price" (func $run)))'
        ' (export "shop:prices/lookup" (instance $e))',
    )  # fmt: skip
    for name, data in (("cart", one), ("left", other), ("right", other)):
        (tmp_path / f"{name}.wasm").write_bytes(data)
    text = (MANIFESTS / "WCM108.yaml").read_text().split("---\n")
    for name, part in zip(("bad", "good"), text, strict=True):
        (tmp_path / f"{name}.yaml").write_text(part)
    paths = [str(tmp_path / f"{name}.wasm") for name in ("cart", "left", "right")]
    status, said = gate(capsys, "--manifest", str(tmp_path / "bad.yaml"), *paths)
    assert status == 1 and said.count("WCM108") == 1
    status, said = gate(capsys, "--manifest", str(tmp_path / "good.yaml"), *paths[:2])
    assert status == 0 and "0 errors, 0 warnings, 0 notes" in said


# the documentation


def test_every_rule_is_explained() -> None:
    text = (ROOT / "docs" / "manifest.md").read_text("utf-8")
    own = [rule for rule in RULES if rule.startswith(("WCM1", "WCM2"))]
    assert [rule for rule in own if rule not in text] == []
    assert set(re.findall(r"WCM\d{3}", text)) <= set(RULES)


def test_samples_are_read_as_they_are() -> None:
    for path in sorted(MANIFESTS.glob("*.yaml")):
        assert read_manifest(str(path)), path.name
