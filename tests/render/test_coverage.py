"""Line coverage of programs whose right counts are written down here, in formats read strictly."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from whamm_cm.analysis.function_code import FunctionCode, Instruction
from whamm_cm.analysis.lines import LineFinder
from whamm_cm.cli.main import main
from whamm_cm.errors import UsageError
from whamm_cm.render.coverage import counts_of_lines
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.registry import BY_LINE, RENDERERS
from whamm_cm.wasm.function import first_group

WASM_TOOLS = shutil.which(
    "wasm-tools", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
)

LOOP = """\
int twice(int x) {
  int y = x + x;
  return y;
}

int never(int x) {
  return x - 1;
}

int main(void) {
  int sum = 0;
  for (int i = 0; i < 10; i++)
    sum += twice(i);
  if (sum == 7)
    sum = never(sum);
  return sum == 90 ? 0 : 1;
}
"""
#: How often each line is executed without optimisation, counted by hand.
LOOP_LINES = {
    1: 10, 2: 10, 3: 10, 6: 0, 7: 0, 10: 1, 11: 1, 12: 11, 13: 10, 14: 1, 15: 0, 16: 1,
}  # fmt: skip

INLINED = """\
#define INLINE inline __attribute__((always_inline))
volatile int sink, ten = 10, never;
namespace shop {
template <typename A, typename B> static INLINE int clamp(A x, B most) {
  if (x > most)
    sink = x;
  return x;
}
}
static __attribute__((noinline)) int both(int i) {
  return shop::clamp<int, int>(i, 5) + shop::clamp<int, long>(9, 5);
}
static __attribute__((noinline)) void lost() {
  sink = 1;
}
extern "C" __attribute__((export_name("_start"))) void start() {
  for (int i = 0; i < ten; i++)
    sink = both(i);
  if (never)
    lost();
}
"""
#: Of lines that no optimiser can change, as what is volatile is written and read as often.
INLINED_LINES = {6: 4 + 10, 14: 0, 18: 10, 19: 1, 20: 0}
INLINED_FUNCTIONS = {"both(int)": 10, "lost()": 0}

LEVELS = ("-O0", "-O1", "-O2", "-Os")
PROGRAMS = [
    *(("loop.c", level) for level in ("-O0", "-O2")),
    *(("inlined.cpp", level) for level in LEVELS),
]


#: A program with the C library, one without anything.
WASI = ("-target", "wasm32-wasi")
BARE = ("-target", "wasm32-freestanding", "-nostdlib", "-Wl,--no-entry", "-fno-exceptions")


def compiled(folder: Path, source: Path, *flags: str) -> Path:
    compiler = "c++" if source.suffix == ".cpp" else "cc"
    output = folder / f"{source.name}{flags[-1]}.wasm"
    command = [sys.executable, "-m", "ziglang", compiler, "-fno-sanitize=undefined", *flags]
    subprocess.run([*command, "-o", str(output), source.name], check=True, cwd=source.parent)
    return output


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    folder = tmp_path_factory.mktemp("c")
    (folder / "loop.c").write_text(LOOP)
    (folder / "inlined.cpp").write_text(INLINED)
    return {
        (name, level): compiled(
            folder, folder / name, *(WASI if name == "loop.c" else BARE), "-g", level
        )
        for name, level in PROGRAMS
    }


def traced(program: Path, monitor: str = "hotness", ending: str = "info") -> Path:
    """What a run of the program came to."""
    output = program.with_name(f"{program.stem}.{monitor}.{ending}")
    if output.exists():
        return output
    status = main(["trace", "-m", monitor, "-o", str(output), str(program)])
    assert status == 0
    return output


class Parsed:
    """One record of a tracefile: geninfo(1) has the format."""

    def __init__(self, lines: list[str]) -> None:
        self.lines: dict[int, int] = {}
        self.functions: dict[str, tuple[int, int]] = {}
        head = re.fullmatch(r"TN:([A-Za-z0-9_]*)\nSF:(.+)", "\n".join(lines[:2]))
        assert head and lines[-1] == "end_of_record"
        self.test, self.file = head.groups()
        begun: dict[str, int] = {}
        totals: dict[str, int] = {}
        order = []
        for line in lines[2:-1]:
            kind, _, rest = line.partition(":")
            order.append(kind)
            if kind == "FN":
                number, name = re.fullmatch(r"([1-9]\d*),(.+)", rest).groups()  # type: ignore[union-attr]
                assert begun.get(name, int(number)) == int(number)
                begun[name] = int(number)
            elif kind == "FNDA":
                count, name = re.fullmatch(r"(\d+),(.+)", rest).groups()  # type: ignore[union-attr]
                assert name not in self.functions
                self.functions[name] = (begun[name], int(count))
            elif kind == "DA":
                number, count = re.fullmatch(r"([1-9]\d*),(\d+)", rest).groups()  # type: ignore[union-attr]
                assert int(number) > max(self.lines, default=0)
                self.lines[int(number)] = int(count)
            else:
                assert kind in ("FNF", "FNH", "LF", "LH") and kind not in totals
                totals[kind] = int(rest)
        kinds = ("FN", "FNDA", "FNF", "FNH", "DA", "LF", "LH")
        assert order == sorted(order, key=kinds.index)
        assert begun.keys() == self.functions.keys()
        assert totals == {
            "FNF": len(begun), "FNH": sum(count > 0 for _, count in self.functions.values()),
            "LF": len(self.lines), "LH": sum(count > 0 for count in self.lines.values()),
        }  # fmt: skip


def parsed(tracefile: Path) -> dict[str, Parsed]:
    """The records by the last part of their files' names."""
    text = tracefile.read_text()
    assert text.endswith("end_of_record\n")
    records: list[list[str]] = [[]]
    for line in text.splitlines():
        records[-1].append(line)
        if line == "end_of_record":
            records.append([])
    found = [Parsed(lines) for lines in records[:-1]]
    assert len({one.file for one in found}) == len(found)
    return {Path(one.file).name: one for one in found}


#: coverage-04.dtd: what an element may hold, as names each with a space, and its attributes.
RATES = {"line-rate", "branch-rate", "complexity"}
DTD = {
    "coverage": (
        r"(sources )?packages ",
        RATES | {"lines-covered", "lines-valid", "branches-covered", "branches-valid", "version",
                 "timestamp"},
    ),
    "sources": ("(source )*", set()),
    "source": ("", set()),
    "packages": ("(package )*", set()),
    "package": ("classes ", RATES | {"name"}),
    "classes": ("(class )*", set()),
    "class": ("methods lines ", RATES | {"name", "filename"}),
    "methods": ("(method )*", set()),
    "method": ("lines ", RATES | {"name", "signature"}),
    "lines": ("(line )*", set()),
    "line": ("(conditions )?", {"number", "hits", "branch"}),
}  # fmt: skip


def check_cobertura(element: ElementTree.Element) -> None:
    children, attributes = DTD[element.tag]
    assert re.fullmatch(children, "".join(f"{child.tag} " for child in element))
    assert set(element.attrib) == attributes
    if "line-rate" in attributes:
        lines = list(element.iterfind(".//lines/line"))
        if element.tag in ("class", "package", "coverage"):
            every = element.iter("class")
            lines = [line for each in every for line in each.iterfind("lines/line")]
        hit = sum(line.get("hits") != "0" for line in lines)
        assert float(element.attrib["line-rate"]) == pytest.approx(hit / len(lines), abs=1e-4)
    for child in element:
        check_cobertura(child)


def test_every_line_is_executed_as_often_as_it_was(
    programs: dict[tuple[str, str], Path],
) -> None:
    found = parsed(traced(programs["loop.c", "-O0"]))["loop.c"]
    assert found.test == "hotness_mm_count"
    assert found.lines == LOOP_LINES
    assert found.functions == {"twice": (1, 10), "never": (6, 0), "main": (10, 1)}
    assert Path(found.file) == programs["loop.c", "-O0"].with_name("loop.c")


def test_of_what_was_only_covered_there_are_no_counts(
    programs: dict[tuple[str, str], Path],
) -> None:
    found = parsed(traced(programs["loop.c", "-O0"], monitor="coverage"))["loop.c"]
    assert found.lines == {line: min(count, 1) for line, count in LOOP_LINES.items()}


@pytest.mark.parametrize("level", LEVELS)
def test_code_that_was_put_in_place_counts_where_it_stands(
    programs: dict[tuple[str, str], Path], level: str
) -> None:
    found = parsed(traced(programs["inlined.cpp", level]))["inlined.cpp"]
    assert {line: found.lines[line] for line in INLINED_LINES} == INLINED_LINES
    counts = {name: count for name, (_, count) in found.functions.items()}
    assert {name: counts[name] for name in INLINED_FUNCTIONS} == INLINED_FUNCTIONS
    clamps = {name: count for name, count in counts.items() if "clamp" in name}
    assert clamps and sum(clamps.values()) in (10, 20)
    assert all("shop::clamp<int, " in name for name in clamps)


@pytest.mark.parametrize(("name", "level"), PROGRAMS)
def test_lines_without_counts_are_those_of_the_line_table(
    programs: dict[tuple[str, str], Path], name: str, level: str
) -> None:
    """All with code are there, executed or not."""
    program = programs[name, level]
    finder = LineFinder.of(program.read_bytes(), name)
    mine = {
        (code.file, code.line)
        for _, _, function in finder.code()
        for code in function.instructions
        if not code.structure
    }
    found = {(one.file, line) for one in parsed(traced(program)).values() for line in one.lines}
    assert found >= mine and len(mine) >= 5


@pytest.mark.oracle
@pytest.mark.skipif(not WASM_TOOLS, reason="needs wasm-tools")
@pytest.mark.parametrize(("name", "level"), PROGRAMS)
def test_instructions_have_the_lines_that_another_reader_finds(
    programs: dict[tuple[str, str], Path], name: str, level: str
) -> None:
    program = programs[name, level]
    finder = LineFinder.of(program.read_bytes(), name)
    module = finder.modules[""]
    imported = len(module.imported("func"))
    mine = {}
    for _, fid, function in finder.code():
        before = first_group(module, fid - imported) - 1
        for code in function.instructions:
            mine[before + code.pc] = f"{code.file}:{code.line}"
    command = [str(WASM_TOOLS), "addr2line", str(program), *map(hex, mine)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    theirs = {
        int(line[1], 16): os.path.normpath(line[2])
        for line in re.finditer(r"^(0x[0-9a-f]+): .* (/.*:\d+):\d+$", text, re.MULTILINE)
    }
    assert len(mine) > 20
    assert {at: line for at, line in mine.items() if theirs.get(at) != line} == {}


@pytest.mark.parametrize(("name", "level"), PROGRAMS)
def test_cobertura_says_the_same(
    programs: dict[tuple[str, str], Path], name: str, level: str
) -> None:
    lines = parsed(traced(programs[name, level]))
    root = ElementTree.parse(traced(programs[name, level], ending="xml")).getroot()
    check_cobertura(root)
    classes = {one.get("filename"): one for one in root.iter("class")}
    assert set(classes) == {one.file for one in lines.values()}
    for one in lines.values():
        found = classes[one.file]
        assert one.lines == {
            int(line.attrib["number"]): int(line.attrib["hits"])
            for line in found.iterfind("lines/line")
        }
        assert one.functions == {
            method.attrib["name"]: (int(line.attrib["number"]), int(line.attrib["hits"]))
            for method in found.iter("method")
            for line in method.iter("line")
        }


def test_a_log_is_reported_like_the_run_itself(
    programs: dict[tuple[str, str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    program = programs["inlined.cpp", "-O2"]
    log = traced(program, ending="jsonl")
    capsys.readouterr()
    assert main(["report", "-f", "lcov", "--lines", str(program), str(log)]) == 0
    assert capsys.readouterr().out == traced(program).read_text()


def test_what_is_missing_is_said(
    programs: dict[tuple[str, str], Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    program = str(programs["loop.c", "-O0"])
    log = str(traced(programs["loop.c", "-O0"], monitor="calls", ending="jsonl"))
    stripped = tmp_path / "stripped.wasm"
    bare = [
        "-target",
        "wasm32-wasi",
        "-s",
        "-o",
        str(stripped),
        str(Path(program).parent / "loop.c"),
    ]
    subprocess.run([sys.executable, "-m", "ziglang", "cc", *bare], check=True)
    for words, status, said in (
        (["report", "-f", "lcov", log], 2, "lcov needs source lines; add --lines"),
        (["trace", "-f", "cobertura", program], 2, "cobertura: nothing counts instructions"),
        (["trace", "-o", f"{log}.info", "-e", "wasm:begin { }", program], 2, "-m hotness"),
        (["trace", "-m", "hotness", "-o", f"{log}.info", str(stripped)], 0, "has DWARF"),
    ):
        capsys.readouterr()
        assert main(words) == status, words
        assert said in capsys.readouterr().err


def test_an_end_that_is_only_branched_to_is_no_line() -> None:
    code = [
        Instruction(3, "a.c", 1, 0, False), Instruction(4, "a.c", 2, 0, True),
        Instruction(5, "a.c", 3, 0, True), Instruction(6, "a.c", 4, 0, False),
        Instruction(7, "a.c", 1, 0, False), Instruction(8, "a.c", 1, 1, False),
    ]  # fmt: skip
    found = counts_of_lines(FunctionCode(code, []), {3: 2, 5: 6, 7: 9, 8: 1}, 0)
    assert found == {("a.c", 1, 0): 9, ("a.c", 1, 1): 1, ("a.c", 3, 0): 6, ("a.c", 4, 0): 0}


def test_lost_counts_are_not_zeros(programs: dict[tuple[str, str], Path]) -> None:
    program = programs["loop.c", "-O0"]
    finder = LineFinder.of(program.read_bytes(), "loop.wasm")
    at = next(
        (module, fid, code.pc)
        for module, fid, function in finder.code()
        for code in function.instructions
        if code.file.endswith("loop.c") and code.line == 7
    )
    cell = {
        "v": 1, "instance": 1, "phase": "report", "script": "s", "var": "n", "type": "u64",
        "probe": "0_wasm:opcode:*:before", "module": at[0], "fid": at[1], "pc": at[2], "value": 3,
    }  # fmt: skip
    options = RenderOptions(lines=finder)
    whole = "".join(RENDERERS["lcov"].render([cell], options))
    assert "DA:6,0\nDA:7,3\n" in whole
    lost = {"v": 1, "instance": 1, "phase": "lost", "lost": "unknown"}
    partly = "".join(RENDERERS["lcov"].render([cell, lost], options))
    assert "DA:7,3\n" in partly and not re.search(r"^(DA|FNDA):.*,0$|^FNDA:0", partly, re.M)


def test_another_component_than_was_counted_in(
    programs: dict[tuple[str, str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    log = str(traced(programs["loop.c", "-O0"], ending="jsonl"))
    other = str(programs["inlined.cpp", "-O0"])
    assert main(["report", "-f", "lcov", "--lines", other, log]) == 2
    assert "give the component that was woven" in capsys.readouterr().err


@pytest.mark.parametrize("name", BY_LINE)
def test_without_counts_there_is_no_coverage(
    programs: dict[tuple[str, str], Path], name: str
) -> None:
    finder = LineFinder.of(programs["loop.c", "-O0"].read_bytes(), "loop.wasm")
    with pytest.raises(UsageError, match="nothing counts instructions"):
        list(RENDERERS[name].render([], RenderOptions(lines=finder)))


@pytest.mark.skipif(not shutil.which("genhtml"), reason="needs genhtml (Debian: lcov)")
def test_genhtml_reads_it(programs: dict[tuple[str, str], Path], tmp_path: Path) -> None:
    tracefile = traced(programs["loop.c", "-O0"])
    command = ["genhtml", "--ignore-errors", "source", "-o", str(tmp_path / "html"), str(tracefile)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = parsed(tracefile).values()
    hit = sum(count > 0 for one in found for count in one.lines.values())
    assert f"({hit} of {sum(len(one.lines) for one in found)} lines)" in text
