"""``src.NAME`` in scripts, against what programs print of their own variables."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.weave.source_programs import RUST, WORLD, ZIG, program
from whamm_cm.cli.main import main

LEVELS = ("-O0", "-O1", "-O2")
SEEDS = range(4)
SANE = "-fno-sanitize=undefined"


def build(folder: Path, source: str, *flags: str) -> Path:
    """A command that a C compiler made."""
    (folder / "app.c").write_text(source)
    wasm = folder / f"app{''.join(flags)}.wasm"
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi", *flags, SANE]
    subprocess.run([*command, "-o", wasm, "app.c"], check=True, cwd=folder)
    return wasm


class Traced:
    """What a program says, what probes say, and what whamm-cm itself does."""

    def __init__(self, wasm: Path, script: str, capfd: pytest.CaptureFixture[str]) -> None:
        capfd.readouterr()
        self.code = main(["trace", "-e", script, str(wasm)])
        out, err = capfd.readouterr()
        self.program = out.splitlines()
        told = err.splitlines()
        self.notes = [line for line in told if line.startswith("whamm-cm: ")]
        self.probes = [line for line in told if not line.startswith("whamm-cm: ")]


# --- random structs ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_members_are_what_the_program_prints(
    seed: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, leaves = program(random.Random(seed))
    shown = "".join(f'print("{one.path}={{}}", {one.script}); ' for one in leaves)
    script = f'wasm:func:entry / fname == "show" / {{ {shown} }}'
    for level in LEVELS:
        wasm = build(tmp_path, source, f"-gdwarf-{4 + seed % 2}", level)
        found = Traced(wasm, script, capfd)
        assert found.code == 0 and not found.notes
        assert found.probes == found.program and len(found.probes) == len(leaves)


LOOP = """\
#include <stdio.h>
__attribute__((noinline)) void note(int total, int i, double mean) {
  printf("%d %d %d\\n", total, i, (int)(mean * 8));
}
__attribute__((noinline)) int work(int n, int step) {
  int total = 0;
  double mean = 0;
  for (int i = 0; i < n; i++) {
    total += i * step;
    mean = total / (double)(i + 1);
    note(total, i, mean);
    if (i % 3 == 2) {
      int extra = total / 2;
      total -= extra;
      note(total, i, mean);
    }
  }
  return total;
}
int main(void) { return work(7, 5) + work(3, 11) > 1000; }
"""


@pytest.mark.parametrize("level", LEVELS)
def test_locals_are_what_they_are_passed_on_as(
    level: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wasm = build(tmp_path, LOOP, "-g", level)
    for name, arg in (("total", "arg2"), ("i", "arg1"), ("mean", "arg0")):
        type_ = "f64" if name == "mean" else "i32"
        script = (
            f'wasm:opcode:call({arg}: {type_}):before / target_fn_name == "note" /'
            f' {{ print("{{}} {{}}", src.{name}, {arg}); }}'
        )
        found = Traced(wasm, script, capfd)
        assert found.code == 0 and len(found.program) == 13
        pairs = [line.split() for line in found.probes]
        assert all(one == other for one, other in pairs)
        assert len(pairs) == 13 if level == "-O0" else len(pairs) == 13 or found.notes


# --- what it says --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("world")
    return {level: build(folder, WORLD, "-g", level) for level in LEVELS}


def test_texts_enums_and_lengths(world: dict[str, Path], capfd: pytest.CaptureFixture[str]) -> None:
    script = """
        report var by: map<str, u32>;
        wasm:func:exit / fname == "look" / {
            print("{} {} {} {} {}", src.who.name, src.who.mood, src.who.mood as i32,
                  src.who.mood == "GLAD", src.who.mood is SAD);
            print("{} {}", src.who.label, len(src.who.label));
            print("[{}] {}", src.who.none, len(src.who.none));
            print("{} {} {}", len(src.who.row), src.who.row[1], src.who.row[100]);
            print("{} {}", src.who.friend.name, src.who.friend.friend.name);
            print("[{}] {}", src.who.friend.friend.friend.name, src.who.friend.friend.friend.age);
            by[src.who.name] += src.who.age as u32;
        }
    """
    found = Traced(world["-O0"], script, capfd)
    assert found.code == 0 and not found.notes
    assert found.probes[:6] == [
        "Ada GLAD 7 true false", "first of all 12", "[] 0", "3 20 0", "Bob Ada", "[Bob] 30",
    ]  # fmt: skip
    assert [line.split() for line in found.probes if line.startswith("  ")] == [
        ["Ada", "36"], ["Bob", "30"],
    ]  # fmt: skip


def test_texts_of_the_source_have_the_methods_of_texts(
    world: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    script = """wasm:func:exit / fname == "look" && src.who.name.starts_with("A") / {
        print("{} {} {}", src.who.label.contains("of"), src.who.label.find("of"),
              src.who.mood.lower());
    }"""
    found = Traced(world["-O0"], script, capfd)
    assert found.code == 0 and not found.notes
    assert found.probes == ["true 6 glad"]


def test_main_with_parameters_is_main(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = "int main(int argc, char **argv) { return argc - 1; }"
    script = 'wasm:source:app.c:fn main:entry { print("{} {} {}", func, inlined, src.argc); }'
    found = Traced(build(tmp_path, source, "-g", "-O0"), script, capfd)
    assert found.code == 0 and not found.notes
    assert found.probes == ["main false 1"]


def test_wild_pointers_read_as_nothing(
    world: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    script = """
        wasm:func:exit / fname == "wild" / {
            print("[{}] {} {} {}", src.p.name, src.p.age, src.p.row[2], src.p[1000000].age);
            print("[{}] {}", src.text, src.far[src.at]);
        }
    """
    found = Traced(world["-O0"], script, capfd)
    assert found.code == 0 and found.program[-1:] == ["done"]
    assert found.probes == ["[] 0 0 0", "[] 0"]


def test_texts_are_cut_and_have_to_end(
    world: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    script = 'wasm:func:exit / fname == "long_text" / { print("{}", len(src.text)); }'
    found = Traced(world["-O0"], script, capfd)
    assert found.probes == ["16384"]


def test_what_is_nowhere_is_an_error(
    world: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    def message(body: str, level: str = "-O0") -> str:
        found = Traced(world[level], f'wasm:func:entry / fname == "look" / {{ {body} }}', capfd)
        assert found.code == 2
        return found.notes[0].partition(": ")[2]

    assert message('print("{}", src.whoo);') == (
        '-e 1:1:51: the source has no variable "whoo" at any place of this rule;'
        ' did you mean "who"?'
    )
    assert message('print("{}", src.who.nam);').endswith(
        'struct person has no member "nam"; did you mean "name"?'
    )
    assert "this is a person, not yet a value; take a member: .name, .age" in message(
        "var x: u32 = src.who.friend[0];"
    )
    assert message('if (src.who.mood == "GLAT") { }').endswith(
        'enum mood has no "GLAT"; did you mean "GLAD"?'
    )
    assert "this is a str, but x is a bool" in message("var x: bool = src.who.name;")
    assert 'an int has no member "x"' in message("var y: u32 = src.who.age.x;")
    assert "is initialised once" in message("report var z: i32 = src.who.age;")


def test_elsewhere_there_are_no_variables(
    world: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    for script in ('wasm:end { print("{}", src.x); }', "fn f() -> i32 { return src.x; }"):
        found = Traced(world["-O0"], script, capfd)
        assert found.code == 2 and "in probes of core modules only" in found.notes[0]


def test_without_debug_information_that_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wasm = build(tmp_path, LOOP, "-g0", "-O0", "-Wl,--strip-debug")
    found = Traced(wasm, "wasm:func:entry { report var n: map<i32, u32>; n[src.total]++; }", capfd)
    assert found.code == 2 and "has no debug information" in found.notes[0]
    assert "build it with -g" in found.notes[0]


def test_a_script_may_have_a_src_of_its_own(
    world: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    script = (
        'wasm:func:entry / fname == "look" / { var src: (u32, u32) = (1, 2); print("{}", src.1); }'
    )
    found = Traced(world["-O2"], script, capfd)
    assert found.code == 0 and found.probes == ["2", "2"]


def test_what_is_not_there_is_told_and_does_not_fire(
    world: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    script = 'wasm:func:entry / fname == "look" / { print("{}", src.years); }'
    found = Traced(world["-O0"], script, capfd)
    assert not found.probes
    assert found.notes[0].startswith("whamm-cm: -e 1:1:1: src.years is not there yet at app.c:")
    assert "matches nothing: its variables of the source are nowhere in scope" in found.notes[1]


def test_a_rule_that_may_match_nothing_may_name_nothing(
    world: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    found = Traced(world["-O0"], '?wasm:func:entry { print("{}", src.nowhere); }', capfd)
    assert found.code == 0 and not found.notes and not found.probes


def test_one_body_serves_variables_of_several_types(
    world: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    script = """
        wasm:func:entry / fname == "int_of" || fname == "double_of" || fname == "text_of" / {
            print("{} {}", fname, src.value);
        }
    """
    for level in LEVELS:
        found = Traced(world[level], script, capfd)
        assert found.code == 0
        assert sorted(found.probes) == ["double_of 2.5", "int_of -5", "text_of words"]


def test_a_report_is_one_table_however_variables_are_held(
    world: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    script = """
        wasm:func:entry / fname == "int_of" || fname == "double_of" / {
            report var n: u32; n += src.value as u32;
        }
    """
    found = Traced(world["-O1"], script, capfd)
    assert sum(line.startswith("n: u32") for line in found.probes) == 1


# --- other languages -----------------------------------------------------------------------------


def rust_target() -> bool:
    if shutil.which("rustc") is None:
        return False
    done = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True)
    return Path(done.stdout.strip(), "lib/rustlib/wasm32-wasip1").is_dir()


def pairs(found: Traced) -> Iterator[tuple[str, str]]:
    assert found.code == 0 and not found.notes and len(found.probes) == len(found.program) > 0
    yield from zip(found.probes, found.program, strict=True)


@pytest.mark.oracle
@pytest.mark.skipif(not rust_target(), reason="needs rustc with the target wasm32-wasip1")
@pytest.mark.parametrize("flags", [["-g"], ["-g", "-O"]], ids=["debug", "release"])
def test_rust(flags: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "app.rs").write_text(RUST)
    command = ["rustc", "--target", "wasm32-wasip1", *flags, "-o", "app.wasm", "app.rs"]
    subprocess.run(command, check=True, cwd=tmp_path)
    script = """
        wasm:func:entry / fname.contains("app4show") / {
            print("{} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {}", src.s, len(src.s),
                  len(src.xs), src.xs[0], src.xs[2], src.xs[3], src.item.id, src.item.name,
                  len(src.item.tags), src.item.tags[1], src.item.color,
                  src.item.color == "Green", src.item.pair.1,
                  src.shape, src.shape.Circle.0, src.opt, src.boxed);
        }
    """
    for probe, own in pairs(Traced(tmp_path / "app.wasm", script, capfd)):
        assert probe == own


def test_zig(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "app.zig").write_text(ZIG)
    command = [sys.executable, "-m", "ziglang", "build-exe", "-target", "wasm32-wasi"]
    subprocess.run([*command, "app.zig"], check=True, cwd=tmp_path)
    script = """
        wasm:func:entry / fname.contains("show") / {
            print("{} {} {} {} {} {}", src.s, len(src.s), len(src.xs), src.xs[1], src.item.id,
                  src.item.name);
        }
    """
    found = Traced(tmp_path / "app.wasm", script, capfd)
    assert found.code == 0 and found.probes == ["hello 5 3 20 77 widget"]
