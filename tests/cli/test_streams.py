"""Inputs and outputs that do not behave: closed, full, endless, in a place that is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.run.guests import ROOT, assemble

_RECORD = '{"v":1,"seq":0,"instance":1,"call":1,"phase":"call","func":"f"}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.wasm").write_bytes(assemble("run_command"))
    (tmp_path / "log.jsonl").write_text(_RECORD)
    return tmp_path


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[bytes]:
    """Runs a line of shell in which ``whamm-cm`` is ours."""
    return subprocess.run(
        ["sh", "-c", line.replace("whamm-cm", f"'{sys.executable}' -m whamm_cm")],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )


COMMANDS = ("inspect app.wasm", "report log.jsonl", "trace app.wasm", "--version")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", COMMANDS)
def test_closed_standard_streams_are_no_error(folder: Path, command: str, closed: str) -> None:
    ended = shell(folder, f"whamm-cm {command} {closed}")
    assert ended.returncode == 0
    assert b"Traceback" not in ended.stderr and b"internal" not in ended.stderr


def test_an_error_never_goes_to_standard_output(folder: Path) -> None:
    ended = shell(folder, "whamm-cm inspect missing.wasm 2>&-")
    assert (ended.returncode, ended.stdout) == (3, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
@pytest.mark.parametrize(
    "line",
    [
        "inspect app.wasm >/dev/full",
        "report log.jsonl >/dev/full",
        "report log.jsonl -o /dev/full",
        "trace -o /dev/full app.wasm",
        "trace -c -o /dev/full app.wasm",
        "instrument app.wasm --trace '*' -o /dev/full",
    ],
)
def test_a_full_disk_is_told(folder: Path, line: str) -> None:
    ended = shell(folder, f"whamm-cm {line}")
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].endswith(b"cannot be written: No space left on device")
    assert b"internal" not in ended.stderr and b"Traceback" not in ended.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
@pytest.mark.parametrize("command", ["trace app.wasm", "trace -c app.wasm", "--no-such-option"])
def test_a_full_stderr_has_its_exit_code(folder: Path, command: str) -> None:
    assert shell(folder, f"whamm-cm {command} 2>/dev/full").returncode == 2


@pytest.mark.parametrize("name", ["none/log.jsonl", "none/log.json", "none/log.txt", "taken"])
@pytest.mark.parametrize("summary", ["", "-c"])
def test_the_output_is_tried_before_the_guest_runs(folder: Path, name: str, summary: str) -> None:
    (folder / "taken").mkdir()
    ended = shell(folder, f"whamm-cm trace {summary} -o {name} app.wasm")
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr.count(b"\n") == 1 and name.encode() in ended.stderr


@pytest.mark.parametrize("command", ["inspect", "trace", "report"])
def test_a_name_that_is_empty(folder: Path, command: str) -> None:
    ended = shell(folder, f"whamm-cm {command} ''")
    assert ended.returncode == 3
    assert ended.stderr == b"whamm-cm: the name of the input file is empty\n"


@pytest.mark.parametrize("line", ["instrument app.wasm --trace '*'", "trace app.wasm"])
def test_an_output_name_that_is_empty(folder: Path, line: str) -> None:
    command, _, rest = line.partition(" ")
    ended = shell(folder, f"whamm-cm {command} -o '' {rest}")
    assert ended.returncode == 2
    assert ended.stderr == b"whamm-cm: the name of the output file is empty\n"


def _limited(folder: Path, line: str) -> subprocess.CompletedProcess[bytes]:
    return shell(folder, f"ulimit -v 2000000; {line}")


@pytest.mark.parametrize("command", ["inspect", "trace", "report"])
def test_a_huge_file_is_not_read(folder: Path, command: str) -> None:
    """Five gigabytes of zeros, which take no room on the disk."""
    with (folder / "huge").open("wb") as file:
        file.truncate(5 << 30)
    ended = _limited(folder, f"whamm-cm {command} huge")
    assert ended.returncode == 3
    assert ended.stderr.count(b"\n") == 1 and b"huge" in ended.stderr
    assert b"memory" not in ended.stderr


def test_a_huge_line_in_a_log_is_refused(folder: Path) -> None:
    ended = _limited(folder, "(cat log.jsonl; cat /dev/zero) | whamm-cm report -")
    assert ended.returncode == 3
    assert b"standard input:2: a line of more than" in ended.stderr


def test_what_a_guest_says_is_shown_whatever_the_locale(folder: Path) -> None:
    (folder / "log.jsonl").write_text(_RECORD.replace('"f"', '"f","args":{"x":"\N{SNOWMAN}"}'))
    legacy = "PYTHONIOENCODING=ascii whamm-cm"
    ended = shell(folder, f"{legacy} report log.jsonl && {legacy} report -f jsonl log.jsonl")
    assert ended.returncode == 0
    assert ended.stdout.decode("utf-8").count("\N{SNOWMAN}") == 2


def test_file_names_that_are_no_text(folder: Path) -> None:
    try:
        os.rename(folder / "app.wasm", os.fsencode(folder) + b"/\xff.wasm")
    except OSError:
        pytest.skip("the file system takes only text for names")
    for command in ("inspect", "trace"):
        ended = subprocess.run(
            [sys.executable, "-m", "whamm_cm", command, b"\xff.wasm"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        assert (ended.returncode, ended.stderr.count(b"whamm-cm:")) == (0, 0)


@pytest.mark.parametrize("name", ["link.wasm", "n" * 250 + ".wasm"], ids=["link", "long"])
def test_odd_output_names(folder: Path, name: str) -> None:
    """A symbolic link stays one, and a name may be as long as the file system allows."""
    (folder / "link.wasm").symlink_to("target.wasm")
    ended = shell(folder, f"whamm-cm instrument app.wasm --trace '*' -o {name}")
    assert ended.returncode == 0
    assert (folder / "link.wasm").is_symlink()
    assert (folder / name).read_bytes().startswith(b"\0asm")
    assert not list(folder.glob(".*"))


@pytest.mark.skipif(not os.path.exists("/dev/fd/1"), reason="the system has no /dev/fd")
@pytest.mark.parametrize(
    "line",
    [
        "whamm-cm report -f jsonl -o /dev/stdout log.jsonl | cat",
        "whamm-cm report -c -o /dev/stderr log.jsonl 2>&1 | cat",
        "whamm-cm report -o /dev/fd/3 log.jsonl 3>&1 | cat",
        "ln -s /dev/stdout link; whamm-cm report -o link log.jsonl | cat",
        "mkfifo p; cat p & whamm-cm report -o p log.jsonl; wait",
        "mkfifo p; ln -s p link; cat p & whamm-cm report -o link log.jsonl; wait",
        "whamm-cm trace -f jsonl -o /dev/stdout app.wasm | cat",
        "whamm-cm trace -c -o /dev/fd/3 app.wasm 3>&1 | cat",
        "whamm-cm inspect -o /dev/stdout app.wasm | cat",
        "whamm-cm instrument --trace '*' -o /dev/stdout app.wasm | cat",
        "whamm-cm gate --no-cache -f json=/dev/stdout app.wasm 2>&1 | cat",
        "exec 3>gone; rm gone; whamm-cm report -o /dev/fd/3 log.jsonl; cat /dev/fd/3; ls",
    ],
)
def test_pipes_and_descriptors_are_written_as_they_are(folder: Path, line: str) -> None:
    ended = shell(folder, f"set -e; {line}")
    assert ended.returncode == 0 and ended.stdout
    assert b"cannot be written" not in ended.stdout + ended.stderr
    assert not list(folder.glob(".whamm-cm-*")) and not list(folder.glob("gone*"))


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="the system has no /dev/stdout")
@pytest.mark.parametrize("format_", ["strace", "summary", "jsonl"])
def test_a_reader_that_goes_away_is_no_place_that_cannot_be_written(
    folder: Path, format_: str
) -> None:
    (folder / "log.jsonl").write_text(_RECORD * 20_000)
    line = f"{{ whamm-cm report -f {format_} -o /dev/stdout log.jsonl; echo $? >code; }} | head -1"
    ended = shell(folder, line)
    assert ended.stdout and ended.stderr.count(b"written") == 0
    assert (folder / "code").read_text().strip() in ("141", "0")
