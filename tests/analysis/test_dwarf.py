"""Source lines of a module that a C compiler made, and of what is not quite DWARF."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.steps import steps
from whamm_cm.analysis import dwarf
from whamm_cm.analysis.dwarf import Row, SourceLines
from whamm_cm.wasm.leb import unsigned
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.sections import join

EXAMPLES = max(1, int(150 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))

SOURCE = """\
int twice(int x) {
  int y = x + x;
  return y;
}

__attribute__((export_name("run"))) int run(int n) {
  int sum = 0;
  for (int i = 0; i < n; i++)
    sum += twice(i);
  return sum;
}
"""
FLAGS = (
    *("-target", "wasm32-freestanding", "-g", "-O0", "-fno-sanitize=undefined", "-nostdlib"),
    "-Wl,--no-entry",
)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[int, bytes]:
    """The module by version of DWARF."""
    folder = tmp_path_factory.mktemp("c")
    (folder / "src").mkdir()
    (folder / "src" / "sum.c").write_text(SOURCE)
    return {version: compiled_with(folder, f"-gdwarf-{version}") for version in (4, 5)}


def compiled_with(folder: Path, flag: str) -> bytes:
    command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, flag, "-o", "sum.wasm", "src/sum.c"]
    subprocess.run(command, check=True, cwd=folder)
    return (folder / "sum.wasm").read_bytes()


def lines_of(module: CoreModule) -> SourceLines:
    found = SourceLines.of(module)
    assert found is not None
    return found


def edited(data: bytes, sections: dict[str, bytes | None]) -> bytes:
    """The module with other contents of custom sections; None: without that section."""
    parts = []
    for section in CoreModule(data).sections:
        if section.name not in sections:
            parts.append((section.id, bytes(section.payload), 1))
            continue
        content = sections[section.name]
        if content is not None:
            name = section.name.encode()
            parts.append((0, unsigned(len(name)) + name + content, 1))
    return join(parts)


def content(data: bytes, name: str) -> bytes:
    module = CoreModule(data)
    (section,) = [one for one in module.custom_sections if one.name == name]
    return bytes(module.data[section.content : section.end])


@pytest.mark.parametrize("version", [4, 5])
def test_every_line_with_code_is_found(compiled: dict[int, bytes], version: int) -> None:
    module = CoreModule(compiled[version])
    lines = lines_of(module)
    assert not lines.note and len(lines) > 10
    seen: dict[int, set[int]] = {}
    for number in range(len(module.bodies)):
        places = [lines.find(at) for at, _, _ in module.instructions(number)]
        assert None not in places
        assert {place[0] for place in places if place} == {"src/sum.c"}
        seen[number] = {place[1] for place in places if place}
    assert {2, 3} <= seen[0] <= {1, 2, 3}
    assert {7, 8, 9, 10} <= seen[1] <= {6, 7, 8, 9, 10}


def test_what_is_no_code_has_no_line(compiled: dict[int, bytes]) -> None:
    module = CoreModule(compiled[5])
    lines = lines_of(module)
    code = module.section(10)
    assert code is not None
    for offset in (0, code.start, code.end, len(module.data), 1 << 40):
        assert lines.find(offset) is None


def test_a_module_without_dwarf_has_no_lines_at_all(compiled: dict[int, bytes]) -> None:
    sections: dict[str, bytes | None] = {
        one.name: None for one in CoreModule(compiled[5]).custom_sections
    }
    assert SourceLines.of(CoreModule(edited(compiled[5], sections))) is None


@pytest.mark.parametrize("name", [".debug_info", ".debug_abbrev"])
def test_a_missing_section_is_noted(compiled: dict[int, bytes], name: str) -> None:
    lines = lines_of(CoreModule(edited(compiled[5], {name: None})))
    assert lines.note == f"no source lines: the module has a .debug_line but no {name} section"
    assert len(lines) == 0 and lines.find(60) is None


def test_without_pyelftools_a_note_says_what_to_install(
    compiled: dict[int, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dwarf, "find_spec", lambda name: None)
    lines = lines_of(CoreModule(compiled[5]))
    assert "install pyelftools" in lines.note and len(lines) == 0


def test_dropped_functions_do_not_cover_others(compiled: dict[int, bytes]) -> None:
    rows = [Row(*row) for row in [
        (0, True, "dropped.c", 1), (90, False, "dropped.c", 1),
        (10, True, "a.c", 3), (14, True, "a.c", 4), (20, False, "a.c", 4),
        (20, True, "b.c", 7), (25, True, "b.c", 0), (30, False, "b.c", 9),
    ]]  # fmt: skip
    lines = SourceLines(rows[2:], 100)
    asked = (109, 110, 113, 114, 119, 120, 124, 125, 129, 130)
    a, b = "a.c", "b.c"
    assert [lines.find(at) for at in asked] == [
        None, (a, 3), (a, 3), (a, 4), (a, 4), (b, 7), (b, 7), None, None, None,
    ]  # fmt: skip


NAMES = (".debug_line", ".debug_info", ".debug_abbrev", ".debug_str", ".debug_line_str")


@pytest.mark.parametrize("name", NAMES)
def test_no_torn_section_is_an_error(compiled: dict[int, bytes], name: str) -> None:
    for version in (4, 5):
        present = {one.name for one in CoreModule(compiled[version]).custom_sections}
        if name not in present:
            continue
        whole = content(compiled[version], name)
        for length in range(0, len(whole), max(1, len(whole) // 12)):
            lines = lines_of(CoreModule(edited(compiled[version], {name: whole[:length]})))
            assert not lines.note or len(lines) == 0
            lines.find(60)


@cache
def synthetic() -> bytes:
    """A function, and DWARF sections to be filled in."""
    body = b"\x00\x0b"
    names = [unsigned(len(name)) + name.encode() for name in NAMES[:3]]
    return join(
        [
            (1, b"\1\x60\0\0", 1), (3, b"\1\0", 1), (10, b"\1" + unsigned(len(body)) + body, 1),
            *((0, name, 1) for name in names),
        ]
    )  # fmt: skip


def units(header: bytes) -> dict[str, bytes | None]:
    """DWARF 5 sections with one unit and that header of its lines (from the format counts on)."""
    fixed = b"\1\1\1\xfb\x0e\x0d" + bytes((0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1))
    line = struct.pack("<HBBI", 5, 4, 0, len(fixed + header)) + fixed + header
    info = struct.pack("<HBBI", 5, 1, 4, 0) + b"\1" + struct.pack("<I", 0)
    return {
        ".debug_line": struct.pack("<I", len(line)) + line,
        ".debug_info": struct.pack("<I", len(info)) + info,
        ".debug_abbrev": b"\1\x11\0\x10\x17\0\0\0",
    }


@pytest.mark.parametrize(
    "header",
    [
        b"\0" + unsigned(1 << 31) + b"\0" + unsigned(1 << 31),
        b"\0\0\0" + unsigned(1 << 31),
        b"\0\0\0\1",
        b"\1\1\x08" + unsigned(1 << 31) + b"a\0",
        b"\1\1\x19\1\0\0",
    ],
    ids=["huge", "huge-files", "no-fields", "more-than-there-are", "field-without-bytes"],
)
def test_file_tables_that_announce_what_is_not_there(header: bytes) -> None:
    lines = lines_of(CoreModule(edited(synthetic(), units(header))))
    assert lines.note.startswith("no source lines: the module's DWARF is malformed")
    assert len(lines) == 0


def test_a_small_file_table_is_none_of_those() -> None:
    header = b"\1\1\x08\1/\0\2\1\x08\2\x0b\1a.c\0\0"
    lines = lines_of(CoreModule(edited(synthetic(), units(header))))
    assert not lines.note and len(lines) == 0


def test_malformed_functions_are_said_to_be_missing() -> None:
    sections = units(b"\1\1\x08\1/\0\2\1\x08\2\x0b\1a.c\0\0")
    # The unit has entries in it, the first of a kind that there is not.
    info = (sections[".debug_info"] or b"")[4:] + b"\x09"
    sections |= {
        ".debug_info": struct.pack("<I", len(info)) + info,
        ".debug_abbrev": b"\1\x11\1\x10\x17\0\0\0",
    }
    lines = lines_of(CoreModule(edited(synthetic(), sections)))
    assert not lines.note and not lines.fault
    assert lines.functions() == ()
    assert lines.fault.startswith("functions of the source are not known: that part of the module")


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.binary(max_size=60), min_size=3, max_size=3))
def test_noise_is_no_error(noise: list[bytes]) -> None:
    sections: dict[str, bytes | None] = dict(zip(NAMES, noise, strict=False))
    lines = lines_of(CoreModule(edited(synthetic(), sections)))
    assert not lines.note or len(lines) == 0


def test_a_lookup_is_a_few_steps() -> None:
    lines = SourceLines([Row(4 * i, True, "a.c", i) for i in range(1, 50_000)], 1000)
    found = [lines.find(1000 + i) for i in range(200_000)]
    assert steps(lambda: [lines.find(1000 + i) for i in range(0, 200_000, 100)]) < 5 * 2000
    assert found[4] == ("a.c", 1) and found[199_999] == ("a.c", 49_999)
