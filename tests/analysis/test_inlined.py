"""Inlined calls of a module that a C++ compiler made, against what wasmtime says of its traps."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.test_dwarf import content, edited, lines_of
from whamm_cm.cli.main import main
from whamm_cm.demangle.name import demangle
from whamm_cm.wasm.module import CoreModule

EXAMPLES = max(1, int(100 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))
FLAGS = (
    *("-target", "wasm32-freestanding", "-fno-sanitize=undefined", "-nostdlib", "-fno-exceptions"),
    *("-Wl,--no-entry", "-ffunction-sections"),
)
SOURCE = """\
#define INLINE inline __attribute__((always_inline))
namespace shop {
template <typename T> static INLINE T guard(T x) {
  if (x > 5)
    __builtin_trap();
  return x + 1;
}
struct Box {
  int held;
  INLINE int get(int more) const { return guard<int>(held + more); }
};
static INLINE int twice(int x) {
  Box box{x};
  int a = box.get(x);
  return a * box.get(a);
}
}
volatile int sink;
static INLINE void cold(int x) { if (x == 77) { sink = x; __builtin_trap(); } }
int dropped(int x) { return shop::twice(x); }
extern "C" __attribute__((export_name("once"))) int once(int n) { return shop::guard(n); }
extern "C" __attribute__((export_name("deep"))) int deep(int n) {
  int sum = 0;
  for (int i = 0; i < n; i++)
    sum += shop::twice(i);
  return sum;
}
extern "C" __attribute__((export_name("second"))) int second(int n) { cold(n); return 1; }
static __attribute__((noinline)) int callee(int n) { return shop::guard(n) + sink; }
extern "C" __attribute__((export_name("calls"))) int calls(int n) { return callee(n) + callee(3); }
static __attribute__((noinline)) int fall(int n) {
  struct Local {
    static INLINE int down(int n) { return n ? fall(n - 1) + sink : shop::guard(9); }
  };
  return Local::down(n) + 1;
}
extern "C" __attribute__((export_name("fall"))) int falling(int n) { return fall(n); }
"""
INPUTS = {"once": 9, "deep": 9, "second": 77, "calls": 9, "fall": 6}
BUILDS = [(version, level) for version in (4, 5) for level in ("-O0", "-O2", "-Os")]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, str], Path]:
    """The module by version of DWARF and level of optimisation."""
    folder = tmp_path_factory.mktemp("cpp")
    (folder / "shop.cpp").write_text(SOURCE)
    made = {}
    for version, level in BUILDS:
        name = f"shop{version}{level}.wasm"
        command = [sys.executable, "-m", "ziglang", "c++", *FLAGS, f"-gdwarf-{version}", level]
        subprocess.run([*command, "-o", name, "shop.cpp"], check=True, cwd=folder)
        made[version, level] = folder / name
    return made


def frames_by_the_engine(
    data: bytes, export: str, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[int, list[tuple[str, str]]]]:
    """Each frame's offset, and (function, file:line) of its inlined calls and itself."""
    monkeypatch.setenv("WASMTIME_BACKTRACE_DETAILS", "1")
    store = wasmtime.Store(wasmtime.Engine())
    instance = wasmtime.Instance(store, wasmtime.Module(store.engine, data), [])
    function = instance.exports(store)[export]
    assert isinstance(function, wasmtime.Func)
    with pytest.raises(wasmtime.Trap) as trap:
        function(store, INPUTS[export])
    found: list[tuple[int, list[tuple[str, str]]]] = []
    for line in str(trap.value).splitlines():
        if match := re.match(r" +\d+: +0x([0-9a-f]+) - (.*)", line):
            found.append((int(match[1], 16), [(match[2].rpartition("!")[2], "")]))
        elif match := re.match(r" +- (.*)", line):
            found[-1][1].append((match[1], ""))
        elif match := re.match(r" +at (.*:\d+):\d*$", line):
            found[-1][1][-1] = (found[-1][1][-1][0], os.path.basename(match[1]))
    return found


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: f"{build[0]}{build[1]}")
@pytest.mark.parametrize("export", INPUTS)
def test_inlined_calls_are_those_the_engine_sees(
    compiled: dict[tuple[int, str], Path],
    build: tuple[int, str],
    export: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = compiled[build].read_bytes()
    theirs = frames_by_the_engine(data, export, monkeypatch)
    lines = lines_of(CoreModule(data))
    for offset, named in theirs:
        place, rows = lines.find(offset), []
        for call in lines.inlined(offset):
            rows.append((demangle(call.name), place))
            place = (call.file, call.line)
        rows.append((named[-1][0], place))
        assert [(name, at and f"{at[0]}:{at[1]}") for name, at in rows] == named
    assert len(theirs[0][1]) > 1


def test_the_backtrace_shows_them(
    compiled: dict[tuple[int, str], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    path = compiled[5, "-O2"]
    assert main(["trace", "-m", "icount", "--invoke", "deep(9)", str(path)]) == 134
    shown = [line.strip() for line in capfd.readouterr().err.splitlines() if "    at " in line]
    offset = re.findall(r"\(0x[0-9a-f]+\)", shown[0])
    assert [line.replace(offset[0], "(…)") for line in shown] == [
        "at shop5-O2.wasm!int shop::guard<int>(int) (…) shop.cpp:5 (inlined)",
        "at shop5-O2.wasm!shop::Box::get(int) const (…) shop.cpp:10 (inlined)",
        "at shop5-O2.wasm!shop::twice(int) (…) shop.cpp:15 (inlined)",
        "at shop5-O2.wasm!deep (…) shop.cpp:25",
    ]


@pytest.mark.parametrize("build", BUILDS)
def test_copies_know_the_calls_they_stand_for(
    compiled: dict[tuple[int, str], Path], build: tuple[int, str]
) -> None:
    """What is read of all functions at once says the same as what is asked of each instruction."""
    module = CoreModule(compiled[build].read_bytes())
    lines = lines_of(module)
    seen = 0
    for index in range(len(module.bodies)):
        for at, _, _ in module.instructions(index):
            frames = [(one.name, *one.called) for one in reversed(lines.chain(lines.number(at)))]
            assert frames == [(one.name, one.file, one.line) for one in lines.inlined(at)]
            seen += len(frames)
    assert seen > 10


SECTIONS = (".debug_info", ".debug_abbrev", ".debug_str", ".debug_ranges", ".debug_rnglists",
            ".debug_addr", ".debug_str_offsets")  # fmt: skip


@pytest.mark.parametrize("name", SECTIONS)
@pytest.mark.parametrize("version", [4, 5])
def test_a_torn_section_is_no_error(
    compiled: dict[tuple[int, str], Path], name: str, version: int
) -> None:
    data = compiled[version, "-O2"].read_bytes()
    if all(one.name != name for one in CoreModule(data).custom_sections):
        return
    whole = content(data, name)
    for length in range(0, len(whole), max(1, len(whole) // 12)):
        module = CoreModule(edited(data, {name: whole[:length]}))
        asked(module)


def asked(module: CoreModule) -> int:
    lines = lines_of(module)
    code = module.section(10)
    assert code is not None
    return sum(len(lines.inlined(at)) for at in range(code.start, code.end, 7))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data())
def test_changed_bytes_are_no_error(
    compiled: dict[tuple[int, str], Path], data: st.DataObject
) -> None:
    original = compiled[data.draw(st.sampled_from([4, 5])), "-O2"].read_bytes()
    present = {one.name for one in CoreModule(original).custom_sections}
    name = data.draw(st.sampled_from([one for one in SECTIONS if one in present]))
    changed = bytearray(content(original, name))
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    asked(CoreModule(edited(original, {name: bytes(changed)})))


def test_nothing_is_parsed_before_an_address_is_asked_for(
    compiled: dict[tuple[int, str], Path],
) -> None:
    lines = lines_of(CoreModule(compiled[5, "-O2"].read_bytes()))
    inlined = lines._inlined
    assert inlined is not None and not inlined.ranges and not inlined.known
    lines.inlined(60)
    assert inlined.ranges
