"""The page of the record formats, held against what is really written."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from wasmtime import wat2wasm

from fixtures.build import path_of
from tests.agent import encode
from tests.agent.agree import all_say
from tests.agent.harness import NONCE
from tests.agent.sample import site
from tests.cli.test_record_ends import SPLICE
from tests.docs.test_facts import ROOT, code, rows
from whamm_cm.agent.layout import BLOCK_MAGIC, FINAL, Edge, RecordFlag, SiteKind
from whamm_cm.agent.sites import SiteSpec, SiteTableBuilder
from whamm_cm.agent.table import SiteTable
from whamm_cm.agent.variables import VariableSpec
from whamm_cm.cli.main import main
from whamm_cm.component.decode import decode
from whamm_cm.trace.decode import BLOCK, Receiver, Record
from whamm_cm.trace.reader import RecordReader
from whamm_cm.trace.recording import Recorder, Subject
from whamm_cm.wit.resolve import resolve
from whamm_cm.wit.types import ListT, Prim, TupleT

COMMAND = str(ROOT / "fixtures" / "c_command" / "command.wasm")
SCRIPT = """
    report var all: u32;
    wasm:opcode:call:before { report var here: u32; here++; all++; print("one"); }
    wit:import:*:before { print("two"); }
    wasm:end { print("three"); }
"""
LISTED = [code(row[0])[0] for row in rows("records.md", "key")]


def traced(folder: Path, *options: str) -> Iterator[dict[str, Any]]:
    saved = folder / "run.jsonl"
    assert main(["trace", *options, "-o", str(saved), COMMAND]) == 0
    yield from map(json.loads, saved.read_text("utf-8").splitlines())


def odd() -> list[dict[str, Any]]:
    """What an ordinary run has not: values that are not there, results to come, losses."""
    u32 = Prim("u32")
    builder = SiteTableBuilder()
    builder.add_site(site((("x", u32),), u32, inner=("a:b/c", "1.0.0", "f")))
    builder.add_print("script0")
    copy = SiteSpec(
        SiteKind.BUILTIN, Edge.BUILTIN, "", "", "", "stream.read",
        (("stream", u32),), u32, elements=ListT(Prim("u8")), ends=True,
    )  # fmt: skip
    builder.add_site(copy)
    pairs = ListT(TupleT((u32, u32)))
    builder.add_variable(VariableSpec("script0", "m", "map<u32, u32>", pairs))
    records = [
        encode.record(0, 0, b"", flags=RecordFlag.BAD),
        encode.record(0, 1, b"", flags=RecordFlag.BIG),
        encode.record(0, 4, struct.pack("<I", 1)),
        encode.record(0, 0, struct.pack("<II", 3, 7), flags=RecordFlag.TASK),
        encode.record(0, 1, struct.pack("<II", 0, 7), flags=RecordFlag.TASK),
        encode.record(0, 7, struct.pack("<II", 3, 4), flags=RecordFlag.TASK),
        encode.record(0, 7, struct.pack("<I", 3)),
        encode.record(0, 8, struct.pack("<I", 3), flags=RecordFlag.TASK),
        encode.record(2, 11, struct.pack("<II", 3, 7), flags=RecordFlag.TASK, call=0),
        encode.record(2, 1, struct.pack("<IIII", 1 << 4, 1, 1, 1) + b"x"),
        encode.record(0, 2, struct.pack("<Q", 7)),
        encode.record(0, 3, struct.pack("<Q", 7)),
        encode.record(1, 5, struct.pack("<III", 1, 1, 1) + b"x", flags=RecordFlag.RAW),
        encode.record(3, 2, struct.pack("<III", 1, 0, 0), call=0),
    ]
    return all_say(builder.to_bytes(), encode.block(*records))


def reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[dict[str, Any]]:
    """Two logs at once: the reader says which a record is from."""
    logs = []
    for name in ("a", "b"):
        logs.append(str(folder / name))
        numbered = enumerate(odd())
        lines = [f"WCM2.{NONCE} {r['run']}.{n} {json.dumps(r)}" for n, r in numbered]
        Path(logs[-1]).write_text("\n".join(lines) + "\n")
    capsys.readouterr()
    assert main(["report", "-f", "jsonl", *logs]) == 0
    yield from map(json.loads, capsys.readouterr().out.splitlines())


def hosted(folder: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[dict[str, Any]]:
    """What a host knows of requests."""
    parts = ("method", "path", "authority", "scheme", "traceparent", "peer")
    call = {"phase": "call", "instance": 1, "req": 1, "call": 1, "func": "f"}
    made = [
        {"v": 2, "phase": "request", "req": 1, **dict.fromkeys(parts, "x")},
        {"v": 2, **call, "url": "http://x/", "peer": "x:80"},
        {"v": 2, "phase": "answer", "req": 1, "status": 500, "error": "x", "dur_ns": 1},
    ]
    (folder / "hosted.jsonl").write_text("".join(json.dumps(r) + "\n" for r in made))
    capsys.readouterr()
    assert main(["report", "-f", "jsonl", str(folder / "hosted.jsonl")]) == 0
    yield from map(json.loads, capsys.readouterr().out.splitlines())


def old() -> Iterator[dict[str, Any]]:
    """Logs of version 1."""
    for log in sorted((ROOT / "tests" / "render" / "data").glob("*.jsonl")):
        yield from map(json.loads, log.read_text("utf-8").splitlines())


def sampled() -> list[Record]:
    """What begins a log of some requests."""
    receiver = Receiver(SiteTable((), (), sample=3))
    receiver.begin(1)
    return receiver.receive(BLOCK.pack(BLOCK_MAGIC, FINAL, 1, 0, 0, 0, 0)).records


def recorded(folder: Path) -> list[Record]:
    """A recording of a command that is shown a secret, and of a call that traps."""
    found = []
    secret = ["--env", "GREETING=Geheimnis-17b"]
    trapping = ["--invoke", "unreachable()"]
    for words, name in ((secret, "c_command"), (trapping, "trap")):
        main(["trace", "--record", str(folder / "run.wcr"), *words, str(path_of(name))])
        found += [*RecordReader(gzip.decompress((folder / "run.wcr").read_bytes()).splitlines())]
    return found


def stopped() -> list[Record]:
    """A recording of what a splice moved, in an instance that was stopped."""
    file = BytesIO()
    file.close = lambda: None  # type: ignore[method-assign]
    world = resolve(decode(wat2wasm(SPLICE), "splice.wasm")).world
    into = Recorder(lambda: file, world, Subject("splice.wasm", b"", (), None), "keep")
    watcher = into.instance()
    watcher.called("wasi:cli/stdin@0.2.0#get-stdin", [], [])
    watcher.moved(b"x")
    watcher.returned(None, [5])
    watcher.stopped()
    into.finish(None)
    return [*RecordReader(gzip.decompress(file.getvalue()).splitlines())]


def test_the_keys_are_those_of_the_page_in_its_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: set[str] = set()
    phases: set[str] = set()
    for records in (
        traced(tmp_path, "-e", "trace=all"),
        traced(tmp_path, "-e", SCRIPT),
        traced(tmp_path, "--count", "*"),
        odd(),
        reported(tmp_path, capsys),
        hosted(tmp_path, capsys),
        old(),
        sampled(),
        recorded(tmp_path),
        stopped(),
    ):
        for record in records:
            assert list(record) == sorted(record, key=LISTED.index), record
            seen.update(record)
            phases.add(record["phase"])
    assert seen == set(LISTED)
    assert phases - {"dropped"} == {
        phase for row in rows("records.md", "in `phase`") for phase in code(row[0])
    }
