"""The recipes of dev-intro.md, done by a newcomer: in a copy of the package, a row or a file at a
time, and what was added is then used as a user would.  A recipe names every file it takes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import wasmtime as wt

from fixtures.build import path_of

ROOT = Path(__file__).parents[2]
RECIPES = (ROOT / "docs" / "dev-intro.md").read_text(encoding="utf-8")


@dataclass
class Newcomer:
    """A copy of the package that may be changed, and which of its files were."""

    folder: Path
    touched: set[str] = field(default_factory=set)

    def row(self, file: str, anchor: str, row: str) -> None:
        """Put ``row`` before the one line that begins with ``anchor``."""
        path = self.folder / "whamm_cm" / file
        lines = path.read_text(encoding="utf-8").split("\n")
        (at,) = [n for n, line in enumerate(lines) if line.startswith(anchor)]
        lines[at:at] = row.split("\n")
        path.write_text("\n".join(lines), encoding="utf-8")
        self.touched.add(file)

    def file(self, file: str, text: str) -> None:
        path = self.folder / "whamm_cm" / file
        assert not path.exists()
        path.write_text(text, encoding="utf-8")
        self.touched.add(file)

    def run(self, *args: str) -> str:
        """What the changed whamm-cm prints, on both streams."""
        env = {**os.environ, "PYTHONPATH": str(self.folder)}
        command = [sys.executable, "-m", "whamm_cm", *args]
        done = subprocess.run(
            command, env=env, cwd=self.folder, capture_output=True, text=True, timeout=120
        )
        return done.stdout + done.stderr

    def told(self, title: str) -> None:
        """The recipe of that title names the files that were touched, and no others."""
        found = re.search(rf"\*\*{re.escape(title)}\*\*(.*?)(?=\n\n|\*\*[A-Z])", RECIPES, re.S)
        assert found, title
        named = re.findall(r"`(?:src/whamm_cm/)?([a-z_]+(?:/[\w.-]+)*)`", found[1])
        for file in self.touched:
            exists = (ROOT / "src" / "whamm_cm" / file).exists()
            assert (file if exists else file.rsplit("/", 1)[0]) in named, (file, named)


@pytest.fixture
def newcomer(tmp_path: Path) -> Newcomer:
    copy = tmp_path / "house"
    ignored = shutil.ignore_patterns("__pycache__", "*.c", "*.h")
    shutil.copytree(ROOT / "src" / "whamm_cm", copy / "whamm_cm", ignore=ignored)
    return Newcomer(copy)


def module(folder: Path, text: str) -> str:
    path = folder / "app.wasm"
    path.write_bytes(bytes(wt.wat2wasm(text)))
    return str(path)


def test_an_opcode_and_its_event(newcomer: Newcomer, tmp_path: Path) -> None:
    newcomer.row("wasm/opcodes.py", '    (0, 0x41, "i32", "i32.const"),',
                 '    (0xFC, 0x70, "", "i32.halve"),')  # fmt: skip
    newcomer.row("wasm/signatures.py", '    ("T -> i32", rf"({_INT})\\.eqz"),',
                 '    ("T -> T", rf"({_INT})\\.halve"),')  # fmt: skip
    newcomer.row("lang/opcode_events.py", '    ("exn", "", "try catch_all"),',
                 '    ("arith", "arg0:i32 res0:i32", "i32.halve"),')  # fmt: skip
    text = '(module (func (export "f") (result i32) i32.const 8 i32.clz))'
    path = Path(module(tmp_path, text))
    path.write_bytes(path.read_bytes().replace(b"\x41\x08\x67", b"\x41\x08\xfc\x70", 1)
                     .replace(b"\x0a\x07\x01\x05", b"\x0a\x08\x01\x06", 1))  # fmt: skip
    found = newcomer.run("info", "wasm:opcode:i32.halve:before", str(path))
    assert "arg0" in found and "1 place" in found, found
    code = newcomer.run("info", "--dry-run", "-e",
                        "report var n: i32; wasm:opcode:i32.halve:before { n = arg0; }",
                        str(path))  # fmt: skip
    assert "i32.halve" in code and "cannot" not in code, code
    newcomer.told("An opcode event.")


def test_a_builtin_of_the_language(newcomer: Newcomer, tmp_path: Path) -> None:
    newcomer.row("lang/builtins.py", '    "mem_size": _F((U32,)',
                 '    "thrice": _F((U32,), U32, "three times the number"),')  # fmt: skip
    newcomer.row("emit/script/strings.py", "BUILTINS: dict[str,", (
        "def _thrice(body: Body, node: t.Builtin) -> None:\n"
        "    body.expr(node.args[0])\n"
        "    body.f.i32(3)\n"
        '    body.f.op("i32.mul")\n\n'
    ))  # fmt: skip
    newcomer.row("emit/script/strings.py", '    "map.id": _map_id,', '    "thrice": _thrice,')
    path = module(tmp_path, '(module (func (export "f") (nop) (nop)))')
    script = "report var n: u32; var m: u32; wasm:opcode:nop:before { m++; n = thrice(m); }"
    assert re.search(r"\bn\b.*\b6\b", newcomer.run("trace", "-e", script, "--invoke", "f()", path))
    newcomer.told("A builtin of the language.")


def test_a_monitor(newcomer: Newcomer, tmp_path: Path) -> None:
    newcomer.file("monitors/nops.mm", (
        "// nops: how often nothing was done.\nreport var nops: u64;\n"
        "wasm:opcode:nop:before { nops++; }\n"
    ))  # fmt: skip
    path = module(tmp_path, '(module (func (export "f") (nop) (nop)))')
    assert "nops" in newcomer.run("info", "--monitors")
    assert re.search(
        r"\bnops\b.*\b2\b", newcomer.run("trace", "-m", "nops", "--invoke", "f()", path)
    )
    newcomer.told("A monitor.")


def test_a_class(newcomer: Newcomer) -> None:
    newcomer.row("wit/classes.py", '    "inner": (',
                 '    "time": ("time of day", ("wasi:clocks/wall-clock",)),')  # fmt: skip
    command = str(path_of("c_command"))
    found = newcomer.run(
        "instrument", "--sink", "host", "--trace", "%time", "-o", "w.wasm", command
    )
    assert "error" not in found and (newcomer.folder / "w.wasm").exists(), found
    newcomer.told("A class of `-e`.")


LOG = {
    "v": 2,
    "seq": 1,
    "t_ns": 5,
    "instance": 1,
    "call": 1,
    "phase": "call",
    "edge": "import",
    "component": "",
    "interface": "a:b/c",
    "version": "",
    "func": "go",
    "args": {},
}


def test_a_renderer(newcomer: Newcomer) -> None:
    newcomer.file("render/names.py", (
        "from __future__ import annotations\n\n"
        "from collections.abc import Iterable, Iterator\n\n"
        "from whamm_cm.render.options import RenderOptions\n"
        "from whamm_cm.trace.records import Record\n\n\n"
        "def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:\n"
        "    for record in records:\n"
        '        yield str(record.get("func", "")).upper() + "\\n"\n'
    ))  # fmt: skip
    newcomer.row(
        "render/registry.py",
        '        Renderer("jsonl",',
        '        Renderer("names", "functions", (".names",), True),',
    )
    (newcomer.folder / "run.jsonl").write_text(json.dumps(LOG) + "\n", encoding="utf-8")
    assert "GO\n" in newcomer.run("report", "-f", "names", "run.jsonl")
    newcomer.told("A renderer.")


def test_a_rule_and_a_format_of_the_gate(newcomer: Newcomer) -> None:
    newcomer.row("gate/rules/shape.py", "RULES = (", (
        "def _odd(context: Context) -> Iterator[Hit]:\n"
        "    if context.subject.size % 2:\n"
        '        yield Hit("size", f"{context.subject.size} bytes are an odd number")\n\n\n'
    ))  # fmt: skip
    newcomer.row("gate/rules/shape.py", '    Rule("WCM030",', (
        '    Rule("WCM049", "odd-size", "warning", "The file has an odd number of bytes.",\n'
        '         "Even numbers look better.", "Add a byte.", _odd),'
    ))  # fmt: skip
    newcomer.file("gate/outputs/terse.py", (
        "from __future__ import annotations\n\nfrom whamm_cm.gate.model import Report\n\n\n"
        "def render(report: Report) -> str:\n"
        '    rules = [f.rule for s in report.subjects for f in s.findings]\n'
        '    return " ".join(rules) + "\\n"\n'
    ))  # fmt: skip
    newcomer.row("gate/outputs/registry.py", '    "table": "for people",', '    "terse": "rules",')
    (newcomer.folder / "p.yaml").write_text("version: 1\nimports: {default: allow}\n")
    data = path_of("strings").read_bytes()
    copy = newcomer.folder / "app.wasm"  # a custom section of three bytes, or of four
    copy.write_bytes(data + (b"\0\1\0" if len(data) % 2 == 0 else b"\0\2\1x"))
    args = ("gate", "--policy", "p.yaml", str(copy))
    assert copy.stat().st_size % 2
    assert "odd number" in newcomer.run(*args)
    assert "WCM049" in newcomer.run(*args[:1], "-f", "terse", *args[1:])
    rules = {"gate/rules/shape.py"}
    formats, newcomer.touched = newcomer.touched - rules, rules
    newcomer.told("A gate rule.")
    newcomer.touched = formats
    newcomer.told("A format of the gate.")


def test_a_host_profile(newcomer: Newcomer) -> None:
    newcomer.file("gate/profiles/tiny.yaml", (
        newcomer.folder / "whamm_cm/gate/profiles/wasi-0.2.yaml"
    ).read_text(encoding="utf-8"))  # fmt: skip
    newcomer.row("gate/policy_read.py", '    "wasmtime-cli",', '    "tiny",')
    found = newcomer.run("gate", "--policy", "tiny", str(path_of("strings")))
    assert "PASS" in found or "FAIL" in found, found
    newcomer.told("A host profile.")
