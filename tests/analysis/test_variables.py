"""Variables of modules that a C compiler made: scopes, types and places, and what is no DWARF."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.test_dwarf import content, edited, lines_of
from tests.steps import no_endless_loop
from whamm_cm.analysis.locations import OUT
from whamm_cm.analysis.variables import SourceVariables
from whamm_cm.lang.src_types import (
    Array,
    Base,
    Enum,
    Gone,
    Held,
    InMemory,
    Pieces,
    Pointer,
    SourceVariable,
    Struct,
    Term,
)
from whamm_cm.wasm.module import CoreModule

EXAMPLES = max(1, int(60 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))
SOURCE = """\
enum color { RED, GREEN = 5, BLUE };
struct point { int x; short y; };
typedef struct node {
  struct point p;
  struct node *next;
  const char *name;
  enum color c;
  double w[3][2];
  unsigned low : 3, high : 7;
  union { int i; float f; };
} node_t;
static volatile int counter = 7;
int shared_one = 3;
__attribute__((noinline)) static int sum(node_t *n, int k, unsigned char b) {
  int total = 0;
  for (node_t *it = n; it; it = it->next) {
    int here = it->p.x * k + it->p.y;
    total += here + b;
    counter++;
  }
  {
    long long k = total;
    total += (int)(k >> 3);
  }
  return total + shared_one;
}
__attribute__((export_name("run"))) int run(int first) {
  node_t last = {{3, first}, 0, "last", BLUE, {{0}}, 1, 2, {1}};
  node_t start = {{1, 2}, &last, "start", GREEN, {{0}}, 1, 2, {1}};
  return sum(&start, first, 200);
}
"""
FLAGS = (
    *("-target", "wasm32-freestanding", "-fno-sanitize=undefined", "-nostdlib"),
    "-Wl,--no-entry",
)
BUILDS = [(version, level) for version in (4, 5) for level in ("-O0", "-O2")]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, str], Path]:
    """The module by version of DWARF and level of optimisation."""
    folder = tmp_path_factory.mktemp("c")
    (folder / "list.c").write_text(SOURCE)
    made = {}
    for version, level in BUILDS:
        name = f"list{version}{level}.wasm"
        command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, f"-gdwarf-{version}", level]
        subprocess.run([*command, "-o", name, "list.c"], check=True, cwd=folder)
        made[version, level] = folder / name
    return made


class Read:
    """The variables of a module, and its instructions by line."""

    def __init__(self, data: bytes) -> None:
        self.module = CoreModule(data)
        lines = lines_of(self.module)
        found = lines.variables()
        assert found is not None
        self.variables: SourceVariables = found
        self.by_line: dict[int, list[int]] = {}
        for index in range(len(self.module.bodies)):
            for at, _, _ in self.module.instructions(index):
                place = lines.find(at)
                if place is not None:
                    self.by_line.setdefault(place[1], []).append(at)

    def find(self, line: int, name: str, number: int = -1) -> SourceVariable:
        found = self.variables.find(self.by_line[line][number], name)
        assert found is not None and not self.variables.note
        return found


def line_of(text: str) -> int:
    return SOURCE[: SOURCE.index(text)].count("\n") + 1


@pytest.mark.parametrize("version", [4, 5])
def test_what_is_in_scope(compiled: dict[tuple[int, str], Path], version: int) -> None:
    read = Read(compiled[version, "-O0"].read_bytes())

    def names(text: str) -> list[str]:
        found = read.variables.at(read.by_line[line_of(text)][-1])
        inner = [one.name for one in found]
        assert sorted(inner[-2:]) == ["counter", "shared_one"]
        return inner[:-2]

    assert names("total += here") == ["here", "it", "total", "b", "k", "n"]
    assert names("total += (int)") == ["k", "total", "b", "n"]
    assert names("return total") == ["total", "b", "k", "n"]
    assert names("return sum") == ["start", "last", "first"]
    assert read.find(line_of("total += (int)"), "k").type.name == "long long"
    assert read.find(line_of("return total"), "k").type.name == "int"
    assert read.variables.find(read.by_line[line_of("return total")][0], "nowhere") is None


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: f"{build[0]}{build[1]}")
def test_types(compiled: dict[tuple[int, str], Path], build: tuple[int, str]) -> None:
    read = Read(compiled[build].read_bytes())
    pointer = read.find(line_of("total += here"), "n").type
    assert isinstance(pointer, Pointer) and pointer.size == 4
    node = pointer.target
    assert isinstance(node, Struct) and (node.name, node.kind, node.size) == ("node", "struct", 80)
    members = {one.name: one for one in node.members}
    assert [(m.name, m.offset, m.bits, m.first) for m in node.members] == [
        ("p", 0, 0, 0), ("next", 8, 0, 0), ("name", 12, 0, 0), ("c", 16, 0, 0), ("w", 24, 0, 0),
        ("low", 72, 3, 0), ("high", 72, 7, 3), ("", 76, 0, 0),
    ]  # fmt: skip
    assert isinstance(members["next"].type, Pointer) and members["next"].type.target == node
    assert members["c"].type == Enum("color", 4, False, (("RED", 0), ("GREEN", 5), ("BLUE", 6)))
    double = Base("double", "float", 8)
    assert (
        members["w"].type == Array(Array(double, 2), 3) and members["w"].type.name == "double[2][3]"
    )
    text = members["name"].type
    assert isinstance(text, Pointer) and text.target == Base("char", "signed char", 1)
    union = members[""].type
    assert isinstance(union, Struct) and [m.name for m in union.members] == ["i", "f"]


def test_parameters_are_where_the_caller_puts_them_until_they_are_in_the_frame(
    compiled: dict[tuple[int, str], Path],
) -> None:
    read = Read(compiled[5, "-O0"].read_bytes())
    line = line_of("__attribute__((noinline))")
    for number, name in enumerate(("n", "k", "b")):
        assert read.find(line, name, 0).where == Held(Term("local", (number,)))
        assert isinstance(read.find(line + 1, name).where, InMemory)
    assert read.find(line, "total", 0).where == Gone("not there yet")
    assert isinstance(read.find(line + 1, "total").where, InMemory)


def test_optimised_code_says_what_is_gone(compiled: dict[tuple[int, str], Path]) -> None:
    read = Read(compiled[5, "-O2"].read_bytes())
    places = {}
    for at in sorted(at for found in read.by_line.values() for at in found):
        for one in read.variables.at(at):
            places.setdefault(one.name, []).append(one.where)
    assert all(isinstance(where, InMemory) for where in places["counter"])
    assert any(isinstance(where, Held) for where in places["total"])
    assert any(where == OUT for found in places.values() for where in found)


# --- another opinion -----------------------------------------------------------------------------

DUMPER = shutil.which("llvm-dwarfdump")
_LISTED = re.compile(r"\[0x([0-9a-f]+), 0x([0-9a-f]+)\): ([^\n]*?)\)?$", re.M)


@pytest.mark.oracle
@pytest.mark.skipif(DUMPER is None, reason="needs llvm-dwarfdump")
@pytest.mark.parametrize("build", BUILDS, ids=lambda build: f"{build[0]}{build[1]}")
def test_places_are_those_that_llvm_reads(
    compiled: dict[tuple[int, str], Path], build: tuple[int, str]
) -> None:
    command = [str(DUMPER), "--debug-info", str(compiled[build])]
    dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    read = Read(compiled[build].read_bytes())
    base, checked = read.variables.base, 0
    for entry in re.split(r"\n0x[0-9a-f]+: ", dump):
        name = re.search(r'DW_AT_name\s+\("(\w+)"\)', entry)
        if not re.match(r"\s+DW_TAG_(variable|formal_parameter)", entry) or name is None:
            continue
        ranges = [(int(a, 16), int(b, 16), text) for a, b, text in _LISTED.findall(entry)]
        plain = re.search(r"DW_AT_location\s+\((DW_OP_[^\n]*)\)\n", entry)
        if plain is None and not ranges:
            continue
        for at in sorted(at for found in read.by_line.values() for at in found):
            found = read.variables.find(at, name[1])
            if found is None or name[1] == "k":  # there are two of that name
                continue
            told = [text for a, b, text in ranges if a <= at - base < b]
            if plain is None:
                assert (found.where == OUT) == (not told or "entry_value" in told[0])
            for text in told or [plain[1]] if plain else told:
                assert _fits(found, text), (name[1], text, found.where)
                checked += 1
    assert checked > 20


def _fits(found: SourceVariable, text: str) -> bool:
    """Whether a place is what LLVM's text of an expression says, for the kinds that C has."""
    where = found.where
    if isinstance(where, Gone):
        return where != OUT or "entry_value" in text
    if "DW_OP_piece" in text:
        return isinstance(where, Pieces | InMemory)
    if text.startswith("DW_OP_fbreg"):
        return isinstance(where, InMemory) or found.parameter
    if text.startswith("DW_OP_addr "):
        number = int(re.findall(r"0x[0-9a-f]+", text)[0], 16)
        return where == InMemory(Term("const", (number,)))
    local = re.fullmatch(r"DW_OP_WASM_location 0x0 0x([0-9a-f]+), DW_OP_stack_value", text)
    if local:
        return where == Held(Term("local", (int(local[1], 16),)))
    return isinstance(where, Held | InMemory)


# --- what is no DWARF ----------------------------------------------------------------------------

SECTIONS = (".debug_info", ".debug_abbrev", ".debug_loc", ".debug_loclists", ".debug_str",
            ".debug_ranges", ".debug_rnglists", ".debug_addr")  # fmt: skip


def everything(data: bytes) -> None:
    """Ask for all there is to know; nothing but a note may come of it."""
    module = CoreModule(data)
    variables = lines_of(module).variables()
    if variables is None:
        return
    for index in range(len(module.bodies)):
        for at, _, _ in list(module.instructions(index))[::7]:
            for one in variables.at(at):
                _look(one.type)
            variables.find(at, "nowhere")
    assert not variables.note or variables.note.startswith("no source variables: ")


def _look(type_: object, depth: int = 0) -> None:
    if depth > 4:
        return
    if isinstance(type_, Pointer):
        _look(type_.target, depth + 1)
    elif isinstance(type_, Struct):
        for member in type_.members[:20]:
            _look(member.type, depth + 1)
        for case in type_.cases[1][:20]:
            _look(case.member.type, depth + 1)
        _look(type_.parameter, depth + 1)
    elif isinstance(type_, Array):
        _look(type_.element, depth + 1)


@settings(max_examples=EXAMPLES, deadline=None)
@given(build=st.sampled_from(BUILDS), section=st.sampled_from(SECTIONS), data=st.data())
def test_no_torn_or_twisted_section_is_an_error(
    compiled: dict[tuple[int, str], Path],
    build: tuple[int, str],
    section: str,
    data: st.DataObject,
) -> None:
    whole = compiled[build].read_bytes()
    if section not in {one.name for one in CoreModule(whole).custom_sections}:
        return
    twisted = bytearray(content(whole, section))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(twisted) - 1))
        twisted[place] = data.draw(st.sampled_from((0, 1, 0x7F, 0x80, 0xFF)) | st.integers(0, 255))
    length = data.draw(st.just(len(twisted)) | st.integers(0, len(twisted)))
    with no_endless_loop():
        everything(edited(whole, {section: bytes(twisted[:length])}))
