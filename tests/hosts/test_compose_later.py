"""What was recorded of WASI 0.3, composed: functions, streams and futures without a host."""

from __future__ import annotations

import json
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.build import path_of
from tests.cli.test_record import Record, command
from whamm_cm.errors import RunError
from whamm_cm.front.composing import composed
from whamm_cm.run.wasmtime import find_wasmtime
from whamm_cm.trace.recorded import Call, Lived, Recording

pytestmark = pytest.mark.oracle


def recording(path: Path, change: Callable[[Record], None]) -> Recording:
    """Of the log of a trace in which every value is whole."""
    life, end, calls = Lived(), None, dict[int, Call]()
    for line in path.read_text().splitlines():
        record = json.loads(line)
        change(record)
        phase, edge = record["phase"], record.get("edge")
        if phase == "end":
            end = record
        elif edge == "builtin":
            life.others.append(record)
        elif phase == "call":
            call = calls[record["call"]] = Call(record)
            (life.entered if edge == "export" else life.made).append(call)
        elif phase == "return" and "pending" not in record:
            calls[record["call"]].answer = record
    return Recording({"phase": "recording", "secrets": "keep"}, [life], end, [])


def played(
    folder: Path, *words: str, change: Callable[[Record], None] = lambda record: None
) -> tuple[str, subprocess.CompletedProcess[str]]:
    """What a run wrote, and its replay as a component."""
    try:
        wasmtime = find_wasmtime(("0.3.0",), "it").path
    except RunError as error:
        pytest.skip(str(error))
    app = Path(shutil.copy(path_of("p3_command"), folder / "app.wasm"))
    (folder / "data").mkdir()
    (folder / "data" / "note.txt").write_text("a note")
    where = ("-q", "-o", "log.jsonl", "--dir", "data::/")
    ran = command(folder, "trace", *where, "app.wasm", *words)
    assert ran.returncode == 0, ran.stderr
    made = composed(recording(folder / "log.jsonl", change), app.read_bytes(), "app.wasm")
    (folder / "out.wasm").write_bytes(made.data)
    options = ("-S", "p3=y,cli=y", "-W", "component-model-async=y", "--invoke", "replay()")
    again = subprocess.run(
        [wasmtime, "run", *options, "out.wasm"], cwd=folder, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    return ran.stdout, again


@pytest.mark.parametrize("word", ["", "!stdin", "!dirs", "!open"])
def test_the_same_without_a_host(word: str, tmp_path: Path) -> None:
    wrote, again = played(tmp_path, *filter(None, [word]))
    assert again.returncode == 0, again.stderr
    assert again.stdout.strip('"\n').replace("\\n", "\n") == wrote


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (0, "something else was written than was recorded"),
        (1, "less was written than was recorded"),
        (-1, "more was written than was recorded"),
    ],
)
def test_other_contents(length: int, said: str, tmp_path: Path) -> None:
    """The first write, of another byte, or of more or fewer of them."""
    texts = {0: b"app.wasn", 1: b"app.wasmm", -1: b"app.was"}

    def change(record: Record) -> None:
        if record.get("data") == {"~b64": b64encode(b"app.wasm").decode()}:
            record["data"]["~b64"] = b64encode(texts[length]).decode()
            record["result"] = len(texts[length]) << 4

    _, again = played(tmp_path, change=change)
    assert again.returncode != 0
    assert said in again.stderr
    assert "recorded was: the contents of a stream or future" in again.stderr
