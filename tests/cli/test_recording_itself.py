"""``instrument --record``: a component whose log is a recording, whatever host it runs on."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from fixtures.build import path_of
from tests.cli.test_record import command
from whamm_cm.errors import RunError
from whamm_cm.run.wasmtime import find_wasmtime

DATA = ("--dir", "data::/data")


def woven(folder: Path, name: str, *options: str) -> Path:
    shutil.copy(path_of(name), folder / f"{name}.wasm")
    (folder / "data").mkdir()
    made = command(folder, "instrument", "--record", *options, "-o", "w.wasm", f"{name}.wasm")
    assert made.returncode == 0, made.stderr
    return folder / "w.wasm"


def ran(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """On the command wasmtime, its standard error in ``log``."""
    try:
        path = find_wasmtime((), "it").path
    except RunError as error:
        pytest.skip(str(error))
    found = subprocess.run(
        [path, "run", *words], cwd=folder, capture_output=True, text=True, timeout=300,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    (folder / "log").write_text(found.stderr)
    return found


@pytest.mark.parametrize("name", ["c_command", "py_command"])
def test_its_log_is_replayed(name: str, tmp_path: Path) -> None:
    woven(tmp_path, name)
    first = ran(tmp_path, *DATA, "w.wasm")
    shutil.rmtree(tmp_path / "data")
    again = command(tmp_path, "replay", "--woven", "w.wasm", "log")
    assert (again.returncode, again.stdout) == (0, first.stdout), again.stderr
    assert "replayed, all as recorded" in again.stderr


def test_values_of_any_size(tmp_path: Path) -> None:
    """A result of 3 MB is in the log in pieces, and the same in the replay."""
    woven(tmp_path, "random_sum")
    first = ran(tmp_path, "--invoke", "sum(3000000)", "w.wasm")
    assert first.returncode == 0, first.stderr
    again = command(tmp_path, "replay", "log")
    assert again.returncode == 0 and "2 calls replayed, all as recorded" in again.stderr
    log = (tmp_path / "log").read_text()
    assert len(log) < 4.3e6
    cut = log.splitlines()
    (tmp_path / "log").write_text("\n".join((*cut[:500], *cut[501:])))
    again = command(tmp_path, "replay", "log")
    assert again.returncode == 1 and "lost" in again.stderr


def test_secrets_are_stars_unless_kept(tmp_path: Path) -> None:
    words = ("--env", "GREETING=Geheimnis-17b", *DATA, "w.wasm")
    woven(tmp_path, "c_command")
    assert "Geheimnis-17b" in ran(tmp_path, *words).stdout
    found = command(tmp_path, "report", "-f", "jsonl", "log")
    assert "Geheimnis-17b" not in found.stdout
    again = command(tmp_path, "replay", "log")
    assert again.stdout.startswith("greeting: *************\n")
    assert again.returncode == 0 and "stars in the place of a secret" in again.stderr
    shutil.rmtree(tmp_path / "data")
    woven(tmp_path, "c_command", "--secrets", "keep")
    first = ran(tmp_path, *words)
    again = command(tmp_path, "replay", "log")
    assert (again.returncode, again.stdout) == (0, first.stdout)


def test_report_reads_it(tmp_path: Path) -> None:
    woven(tmp_path, "c_command")
    ran(tmp_path, *DATA, "w.wasm")
    found = command(tmp_path, "report", "-f", "jsonl", "log")
    head, *rest = map(json.loads, found.stdout.splitlines())
    assert (head["phase"], head["recording"], head["secrets"]) == ("recording", 1, "mask")
    assert head["app"]["file"] == "c_command.wasm"
    assert {r["edge"] for r in rest if "edge" in r} == {"export", "import"}


def test_a_log_that_is_none(tmp_path: Path) -> None:
    woven(tmp_path, "c_command")
    command(tmp_path, "instrument", "--trace", "*", "-o", "traced.wasm", "c_command.wasm")
    ran(tmp_path, *DATA, "traced.wasm")
    again = command(tmp_path, "replay", "log")
    assert again.returncode == 2 and "is no recording" in again.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--record", "--trace", "*"), "leave out --trace"),
        (("--record", "--sample", "1/2"), "leave out --sample"),
        (("--record", "--lines", "json"), "leave out --lines json"),
        (("--record", "--sink", "none"), "--sink none is none"),
        (("--trace", "*", "--secrets", "keep"), "is for --record"),
    ],
)
def test_what_does_not_go_together(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    shutil.copy(path_of("c_command"), tmp_path / "c.wasm")
    made = command(tmp_path, "instrument", *options, "-o", "w.wasm", "c.wasm")
    assert (made.returncode, (tmp_path / "w.wasm").exists()) == (2, False)
    assert said in made.stderr
