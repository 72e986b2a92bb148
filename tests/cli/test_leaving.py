"""``exit`` and ``abort`` where somebody else runs the program, or it is served."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.build import build
from tests.cli.test_http import records, serving
from tests.hosts import tools
from tests.run.host.rig import echo, post

COUNTS = """report var n: u32;
wasi:*#*:before {{ n++; print("step {{}}", n); if (n == 3) {{ {leave}; }} }}
wasm:end {{ print("end"); }}"""


@pytest.mark.parametrize(
    ("leave", "status", "last", "said"),
    [
        ("exit(7)", {7}, "exit 7", "ended the program with status 7"),
        ("exit(0)", {0}, "exit 0", "ended the program with status 0"),
        # wasmtime ends by SIGABRT where a command traps; what ended it is what COMMAND says.
        ('abort("enough")', {134, 1}, "abort: enough", "aborted the program: enough"),
    ],
)
def test_a_command_of_somebody_elses(
    tmp_path: Path, leave: str, status: set[int], last: str, said: str
) -> None:
    (wasmtime,) = tools.need("wasmtime")
    app, log = tmp_path / "app.wasm", tmp_path / "log.jsonl"
    app.write_bytes(build("command"))
    words = ["trace", "-f", "jsonl", "-o", str(log), "-e", COUNTS.format(leave=leave)]
    ended = subprocess.run(
        [sys.executable, "-m", "whamm_cm", *words, "--", wasmtime, "run", str(app)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert ended.returncode in status, ended.stderr
    assert f"whamm-cm: -e 1 {said}\n" in ended.stderr
    assert "lost" not in ended.stderr
    found = [json.loads(line) for line in log.read_text().splitlines()]
    assert not [one for one in found if one["phase"] == "lost"]
    printed = [one["text"] for one in found if one["phase"] == "print"]
    assert printed == ["step 1", "step 2", "step 3", "end", last]
    assert [one["value"] for one in found if one["phase"] == "report"][-1] == 3


@pytest.mark.parametrize(
    ("leave", "said"),
    [
        ("exit(7)", "ended the program with status 7"),
        ('abort("enough")', "aborted the program: enough"),
    ],
)
def test_of_a_server_it_ends_the_request(tmp_path: Path, leave: str, said: str) -> None:
    """Each has an instance of its own; the others go on."""
    app, log = tmp_path / "echo.wasm", tmp_path / "log.jsonl"
    app.write_bytes(echo())
    script = f"""report var reads: u32;
        wasi:io/streams#*blocking-read:after {{ reads++; print("read");
          if (result is ok && len(result.ok) == 4) {{ {leave}; }} }}"""
    with serving("-f", "jsonl", "-o", str(log), "-e", script, str(app)) as found:
        good = found.client()
        good.say(post(b"hello")[:-3])
        good.until(b"he\r\n")
        assert not found.ask(post(b"evil")).endswith(b"evil\r\n0\r\n\r\n")
        good.say(b"llo")
        assert good.rest().endswith(b"0\r\n\r\n")
        assert found.ask(post(b"hello")).endswith(b"hello\r\n0\r\n\r\n")
        assert found.end() == 0
    assert found.said.count(f"whamm-cm: -e 1 {said}\n") == 1
    assert "trapped" not in found.said and "lost" not in found.said
    all_ = records(log)
    assert not [one for one in all_ if one["phase"] == "lost"]
    answers = {one["req"]: one.get("error") for one in all_ if one["phase"] == "answer"}
    assert answers == {1: None, 2: f"-e 1 {said}", 3: None}
    # What was counted before is there, of all three.
    counted = {one["req"]: one["value"] for one in all_ if one["phase"] == "report"}
    assert counted[2] == 1 and counted[1] == 3 and counted[3] == 2
