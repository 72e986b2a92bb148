"""Debug information in other files: named by the user, or by the module; and source maps."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import whamm_cm
from tests.analysis.test_dwarf import edited
from tests.weave.sources import compiled, counts
from whamm_cm import UsageError
from whamm_cm.analysis.dwarf import SourceLines
from whamm_cm.analysis.source_map import read_source_map
from whamm_cm.cli.main import main
from whamm_cm.errors import InputError
from whamm_cm.wasm.leb import unsigned
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.sections import join

EXAMPLES = max(1, int(100 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))
EACH = "report var n: map<u32, u64>; wasm:line:src/count.c:* { n[line]++; }"
WANTED = {line: count for line, count in counts("count.c").items() if count}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return compiled(tmp_path_factory.mktemp("c"), "count.c", "-O0").read_bytes()


def bare(whole: bytes, **sections: str) -> bytes:
    """The module without DWARF, with sections that hold a text each."""
    module = CoreModule(whole)
    debug = {s.name: None for s in module.custom_sections if s.name.startswith(".debug_")}
    parts = [(s.id, bytes(s.payload), 1) for s in CoreModule(edited(whole, dict(debug))).sections]
    for name, text in sections.items():
        content = unsigned(len(text)) + text.encode()
        parts.append((0, unsigned(len(name)) + name.encode() + content, 1))
    return join(parts)


def counted(app: Path, **more: Any) -> dict[int, int]:
    run = whamm_cm.load(app).trace(scripts=EACH, invoke="run()", **more)
    (cell,) = run.reports
    return dict(cell.value)


def warned(app: Path, **more: Any) -> list[str]:
    woven = whamm_cm.load(app).weave(scripts=[("S.mm", EACH)], **more)
    return [one for one in woven.warnings if one.startswith("no match")]


# --- files that are named ------------------------------------------------------------------------


def test_dwarf_of_another_file_is_that_of_the_module(whole: bytes, tmp_path: Path) -> None:
    app, debug = tmp_path / "app.wasm", tmp_path / "elsewhere" / "app.debug.wasm"
    debug.parent.mkdir()
    app.write_bytes(bare(whole))
    debug.write_bytes(whole)
    assert "no debug information" in warned(app)[0]
    assert counted(app, debug=[debug]) == WANTED
    name = CoreModule(whole).names.module
    assert counted(app, debug=[f"{name}={debug}"]) == WANTED
    code_only = join([(s.id, bytes(s.payload), 1) for s in CoreModule(whole).sections if s.id == 0])
    debug.write_bytes(code_only)  # as objcopy --only-keep-debug leaves it
    assert counted(app, debug=[debug]) == WANTED


def test_what_the_module_names_is_followed_beside_it(whole: bytes, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    app = tmp_path / "app" / "app.wasm"
    app.write_bytes(bare(whole, external_debug_info="app.debug.wasm"))
    debug = tmp_path / "app" / "app.debug.wasm"
    assert "app.debug.wasm is not there; give it with --debug FILE" in warned(app)[0]
    debug.write_bytes(whole)
    assert counted(app) == WANTED
    debug.write_bytes(bare(whole, external_debug_info="app.debug.wasm"))  # one step, no circle
    assert "app.debug.wasm has no debug information" in warned(app)[0]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("../outside.wasm", "which is not beside the input; give it with --debug FILE"),
        ("/etc/passwd", "which is not beside the input"),
        ("file:///etc/passwd", "which is not beside the input"),
        ("https://example.com/app.wasm", "which is not fetched; give it with --debug FILE"),
        ("link.wasm", "which is not beside the input"),
        ("", "which is not beside the input"),
        ("a\0b", "a?b is not there"),
    ],
)
def test_nothing_else_is_read(whole: bytes, tmp_path: Path, url: str, why: str) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "outside.wasm").write_bytes(whole)
    (tmp_path / "app" / "link.wasm").symlink_to(tmp_path / "outside.wasm")
    app = tmp_path / "app" / "app.wasm"
    app.write_bytes(bare(whole, external_debug_info=url))
    (said,) = warned(app)
    assert why in said


def test_what_does_not_fit_is_said(whole: bytes, tmp_path: Path) -> None:
    app, debug = tmp_path / "app.wasm", tmp_path / "debug"
    app.write_bytes(bare(whole))

    def said(data: bytes) -> str:
        debug.write_bytes(data)
        (found,) = warned(app, debug=[debug])
        return found

    assert "is neither a core module nor a source map" in said(b"ELF")
    assert "is malformed" in said(b"\0asm\1\0\0\0\1")
    assert "has no debug information" in said(bare(whole))
    code = CoreModule(whole).section(10)
    assert code is not None
    torn = bytearray(whole)
    torn[code.end - 2] ^= 1
    assert "is of another build: its code differs" in said(bytes(torn))
    for text, why in ((f"mian={debug}", "no core module mian"), ("none.wasm", "none.wasm")):
        with pytest.raises((UsageError, InputError), match=why):
            warned(app, debug=[text])


def test_the_command_line_and_reports_take_them_too(
    whole: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app, debug = tmp_path / "app.wasm", tmp_path / "elsewhere.wasm"
    app.write_bytes(bare(whole))
    debug.write_bytes(whole)
    words = ["-q", "-m", "hotness", "--invoke", "run()", "-f", "lcov", "--debug", str(debug)]
    assert main(["trace", *words, str(app)]) == 0
    assert "DA:26,10" in capsys.readouterr().err
    assert main(["info", str(app), "--lines", "count.c", "--debug", str(debug)]) == 0
    assert f"{len(counts('count.c'))} lines" in capsys.readouterr().out
    script = tmp_path / "S.mm"
    script.write_text("wasm:line:count.c:33 { }")
    assert main(["check", str(script), str(app), "--debug", str(debug)]) == 0
    assert capsys.readouterr().out.endswith("  1 place\n")


# --- source maps ---------------------------------------------------------------------------------

_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def vlq(value: int) -> str:
    left, found = (-value << 1 | 1) if value < 0 else value << 1, ""
    while True:
        left, digit = left >> 5, left & 31
        found += _DIGITS[digit | (32 if left else 0)]
        if not left:
            return found


def as_map(whole: bytes, **more: Any) -> bytes:
    """The lines that DWARF knows, as a source map."""
    lines = SourceLines.of(CoreModule(whole))
    assert lines is not None
    segments, before = [], (0, 0, 0, 0)
    for offset, row in lines.begins():
        if not row.statement:
            continue
        now = (offset, 0, row.line - 1, max(0, row.column - 1))
        segments.append("".join(vlq(a - b) for a, b in zip(now, before, strict=True)))
        before = now
    document = {"version": 3, "sources": ["src/count.c"], "mappings": ",".join(segments)}
    return json.dumps(document | more).encode()


def test_a_source_map_knows_the_lines(
    whole: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = tmp_path / "app.wasm"
    app.write_bytes(bare(whole, sourceMappingURL="./app.wasm.map"))
    (tmp_path / "app.wasm.map").write_bytes(as_map(whole))
    found = counted(app)
    assert found == WANTED | {16: 90}  # what was put in place of a call there is not known
    data = base64.b64encode(as_map(whole, sourceRoot="root")).decode()
    app.write_bytes(bare(whole, sourceMappingURL=f"data:application/json;base64,{data}"))
    assert counted(app) == found
    text = as_map(whole, sourcesContent=["one\ntwo\n"])
    (tmp_path / "other.map").write_bytes(b")]}'\n" + text)
    words = ["info", str(app), "--lines", "count.c", "--debug", str(tmp_path / "other.map")]
    assert main(words) == 0
    assert " 1  twice    | one\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"{", "it is not JSON"),
        (b"{" + b'"a":[' * 100_000, "it is not JSON"),
        (b'{"version": 2}', "is no source map of version 3"),
        (b'{"version": 3, "sections": []}', "sections, which are not read"),
        (b'{"version": 3}', "without sources or mappings"),
        (b'{"version": 3, "sources": [], "mappings": "gggggggggggggA"}', "no VLQ numbers"),
        (b'{"version": 3, "sources": [], "mappings": "!"}', "no VLQ numbers"),
        (b'{"version": 3, "sources": [], "mappings": "g"}', "in the middle of a number"),
        (b'{"version": 3, "sources": [], "mappings": "AA"}', "a segment of 2 numbers"),
        (b'{"version": 3, "sources": [], "mappings": "D"}', "a number out of range"),
    ],
)
def test_what_is_no_source_map_is_said_in_one_sentence(
    whole: bytes, tmp_path: Path, text: bytes, why: str
) -> None:
    app, map_ = tmp_path / "app.wasm", tmp_path / "app.map"
    app.write_bytes(bare(whole))
    map_.write_bytes(text)
    (said,) = warned(app, debug=[map_])
    assert why in said and said.count("\n") == 0


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.text("ABCDgh/+,;=", max_size=60), st.lists(st.sampled_from(["a.c", None, 3])))
def test_noise_is_a_map_or_an_input_error(mappings: str, sources: list[Any]) -> None:
    text = json.dumps({"version": 3, "sources": sources, "mappings": mappings})
    try:
        read_source_map(text.encode(), "it")
    except InputError as error:
        assert str(error).startswith("it ")


def test_segments_are_as_they_were_written() -> None:
    text = b'{"version":3,"sources":["a","b"],"sourceRoot":"r/","mappings":"EACG,E,CCDH;AAAA"}'
    found = read_source_map(text, "it").segments
    assert [tuple(one) for one in found] == [(2, "r/a", 2, 4), (4, "", 0, 0), (5, "r/b", 1, 1)]
