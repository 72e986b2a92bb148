"""What was recorded of WASI 0.3, composed: functions, streams and futures without a host."""

from __future__ import annotations

import json
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Callable
from itertools import count, zip_longest
from pathlib import Path

import pytest
import wasmtime

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
    app = Path(shutil.copy(path_of("p3_command"), folder / "app.wasm"))
    (folder / "data").mkdir()
    (folder / "data" / "note.txt").write_text("a note")
    where = ("-q", "-o", "log.jsonl", "--dir", "data::/")
    ran = command(folder, "trace", *where, "app.wasm", *words)
    assert ran.returncode == 0, ran.stderr
    record = recording(folder / "log.jsonl", change)
    return ran.stdout, run_composed(folder, record, app.read_bytes())


def run_composed(folder: Path, record: Recording, app: bytes) -> subprocess.CompletedProcess[str]:
    try:
        command = find_wasmtime(("0.3.0",), "it").path
    except RunError as error:
        pytest.skip(str(error))
    (folder / "out.wasm").write_bytes(composed(record, app, "app.wasm").data)
    options = (
        "-S",
        "p3=y,cli=y",
        "-W",
        "component-model-async=y,component-model-more-async-builtins=y",
        "--invoke",
        "replay()",
    )
    return subprocess.run(
        [command, "run", *options, "out.wasm"], cwd=folder, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip


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


#: Reads a stream of the host into 8 bytes, and hands on what came each time.
READER = """(component
  (import "host" (instance $host
    (export "get" (func (result (stream u8))))
    (export "put" (func (param "part" (list u8))))))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (type $stream (stream u8))
  (core func $get (canon lower (func $host "get")))
  (core func $put (canon lower (func $host "put") (memory (core memory $libc "memory"))))
  (core func $read (canon stream.read $stream (memory (core memory $libc "memory"))))
  (core func $drop (canon stream.drop-readable $stream))
  (core module $main
    (import "" "get" (func $get (result i32)))
    (import "" "put" (func $put (param i32 i32)))
    (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "run") (local $stream i32) (local $came i32)
      (local.set $stream (call $get))
      (loop $again
        (local.set $came (call $read (local.get $stream) (i32.const 16) (i32.const 8)))
        (if (i32.shr_u (local.get $came) (i32.const 4))
          (then (call $put (i32.const 16) (i32.shr_u (local.get $came) (i32.const 4)))))
        (br_if $again (i32.eqz (i32.and (local.get $came) (i32.const 15)))))
      (call $drop (local.get $stream))))
  (core instance $main (instantiate $main (with "" (instance
    (export "get" (func $get)) (export "put" (func $put))
    (export "read" (func $read)) (export "drop" (func $drop))))))
  (func (export "run") async (canon lift (core func $main "run"))))"""


def read_by_pieces(pieces: list[bytes], put: list[bytes]) -> Recording:
    """A stream that gave ``pieces``, and what was handed on of it."""
    life, numbers = Lived(), count(1)

    def call(edge: str, func: str, args: Record, result: Record) -> Call:
        head: Record = {"instance": 1, "call": next(numbers), "edge": edge, "func": func}
        if edge == "import":
            head["interface"] = "host"
        begins = {**head, "phase": "call", "seq": next(numbers), **({"args": args} if args else {})}
        return Call(begins, {**head, "phase": "return", "seq": next(numbers), **result})

    def packed(raw: bytes) -> Record:
        return {"~b64": b64encode(raw).decode()}

    life.entered.append(call("export", "run", {}, {}))
    life.made.append(call("import", "get", {}, {"result": 7}))
    for piece, part in zip_longest([*pieces, b""], put):
        status = len(piece) << 4 | (not piece)
        result: Record = {"result": status, "data": packed(piece)}
        read = call("builtin", "stream.read", {"stream": 7, "ptr": 16, "count": 8}, result)
        life.others += [read.record, read.answer or {}]
        if part is not None:
            life.made.append(call("import", "put", {"part": packed(part)}, {}))
    return Recording({"phase": "recording", "secrets": "keep"}, [life], {"phase": "end"}, [])


@pytest.mark.parametrize("same", [True, False])
def test_a_stream_gives_its_pieces(same: bool, tmp_path: Path) -> None:
    pieces = [b"abc", b"defghijk", b"l"]
    put = pieces if same else [b"abc", b"defghijk", b"m"]
    app = bytes(wasmtime.wat2wasm(READER))
    again = run_composed(tmp_path, read_by_pieces(pieces, put), app)
    assert (again.returncode == 0) == same, again.stderr
    assert ("other arguments than were recorded" in again.stderr) != same
