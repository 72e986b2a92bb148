"""Rules on the source: lines, functions, and what probes are told of where they are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import wasmtime

import whamm_cm
from tests.analysis.test_debug_files import vlq
from tests.weave.interpreter import Interpreter
from tests.weave.sources import compiled, counts
from whamm_cm import UsageError
from whamm_cm.analysis.dwarf import SourceLines
from whamm_cm.cli.main import main
from whamm_cm.wasm.function import FunctionInfo
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.opcodes.lines import entered_at, stretches

LEVELS = ("-O0", "-O1", "-O2", "-Os")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("c")
    return {level: compiled(folder, "count.c", level) for level in LEVELS}


def reports(app: Path, script: str) -> dict[str, dict[Any, int]]:
    """Maps by name, and cells by function and pc."""
    found: dict[str, dict[Any, int]] = {}
    for cell in whamm_cm.load(app).trace(scripts=[("S.mm", script)], invoke="run()").reports:
        place = cell.place.fid, cell.place.pc
        values = cell.value if cell.row.type.startswith("map") else [(place, cell.value)]
        found.setdefault(cell.row.var, {}).update((_hashed(key), n) for key, n in values)
    return found


def _hashed(key: Any) -> Any:
    return tuple(key) if isinstance(key, list) else key


def unmatched(app: whamm_cm.App, script: str) -> list[str]:
    warnings = app.weave(scripts=[("S.mm", script)]).warnings
    return [one for one in warnings if one.startswith("no match")]


EACH = "report var n: map<u32, u64>; wasm:line:src/count.c:* { n[line]++; }"


def test_each_line_is_counted_as_often_as_it_is_executed(programs: dict[str, Path]) -> None:
    said = {line: count for line, count in counts("count.c").items() if count}
    assert reports(programs["-O0"], EACH)["n"] == said


@pytest.mark.parametrize("level", LEVELS[1:])
def test_what_is_optimised_has_fewer_lines_but_counts_them_right(
    programs: dict[str, Path], level: str
) -> None:
    said, found = counts("count.c"), reports(programs[level], EACH)["n"]
    # A loop that is turned round tests its condition at its end; what is constant is gone.
    turned = {line: said[line] for line in found if line != 26 and line != 27}
    assert len(found) >= 9 and {line: found[line] for line in turned} == turned


@pytest.mark.parametrize("level", LEVELS)
def test_a_place_fires_as_often_as_its_instruction_runs(
    programs: dict[str, Path], level: str
) -> None:
    """Against an interpreter; places that only count are counted in runs."""
    module = CoreModule(programs[level].read_bytes())
    lines = SourceLines.of(module)
    assert lines is not None
    interpreter = Interpreter(programs[level].read_bytes())
    interpreter.run("run")
    wanted: dict[tuple[int, int], int] = {}
    for index in range(len(module.bodies)):
        info = FunctionInfo(module, index)
        for one in stretches(info, lines):
            executed = interpreter.noted.executed
            wanted[info.fid, info.pc(one.at)] = executed[info.fid, one.at]
            if one.again >= 0:
                again = executed[info.fid, one.again] - executed[info.fid, one.at]
                wanted[info.fid, info.pc(one.again)] = again
    one = "wasm:line:*:* { report var n: u64; n++; }"
    assert reports(programs[level], one)["n"] == wanted
    other = "var m: u64; wasm:line:*:* { report var n: u64; m = m * 3 + 1; n = n + (m / m); }"
    assert reports(programs[level], other)["n"] == wanted


def test_ranges_alternatives_and_files(programs: dict[str, Path]) -> None:
    app = programs["-O0"]

    def lines(rule: str) -> set[int]:
        return set(reports(app, f"report var n: map<u32, u32>; {rule} {{ n[line]++; }}")["n"])

    assert lines("wasm:line:count.c:2-3|21") == {2, 3, 21}
    assert lines("wasm:line:src/count.c:21:before") == {21}
    assert lines("wasm:line:nothing.c|co?nt.[ch]:20-21 / line > 20 /") == {21}
    assert lines("wasm:line:{x,count}.c:21") == {21}


LOOP = """(module
  (func (export "run") (local $i i32)
    i32.const 1 drop                          ;; line 1
    i32.const 5 local.set $i                  ;; line 2, and a loop in it
    loop $l
      local.get $i i32.const 1 i32.sub local.set $i
      local.get $i i32.eqz if return end      ;; line 3
      nop
      br $l
    end))"""


def test_a_loop_within_a_line_counts_when_other_lines_lead_back_to_it(tmp_path: Path) -> None:
    """As in Rust's ``for x in list()``, of which the list is made once."""
    data = bytes(wasmtime.wat2wasm(LOOP))
    module = CoreModule(data)
    info = FunctionInfo(module, 0)
    lines = {0: 1, 2: 2, info.of(["i32.eqz"])[0] - 1: 3}
    segments, before = [], (0, 0, 0, 0)
    for opidx, line in lines.items():
        now = (info.steps[opidx][0], 0, line - 1, 0)
        segments.append("".join(vlq(a - b) for a, b in zip(now, before, strict=True)))
        before = now
    app, map_ = tmp_path / "app.wasm", tmp_path / "app.map"
    app.write_bytes(data)
    document = {"version": 3, "sources": ["a.rs"], "mappings": ",".join(segments)}
    map_.write_text(json.dumps(document))
    for count in ("n[line]++;", "n[line] += 1;"):
        script = f"report var n: map<u32, u32>; wasm:line:a.rs:* {{ {count} }}"
        run = whamm_cm.load(app).trace(scripts=script, invoke="run()", debug=[map_])
        assert dict(run.reports[0].value) == {1: 1, 2: 5, 3: 5}
    script = "wasm:line:a.rs:* { report var n: u32; n++; }"
    run = whamm_cm.load(app).trace(scripts=script, invoke="run()", debug=[map_])
    assert sorted(cell.value for cell in run.reports) == [1, 1, 4, 5]


FUNCTIONS = """
report var entered: map<(str, bool), u32>;
report var left: map<str, u32>;
wasm:source:count.c:fn half|twice|collatz|run { entered[(func, inlined)]++; }
?wasm:source:count.c:*:exit { left[func]++; }
"""


@pytest.mark.parametrize("level", LEVELS)
def test_functions_are_entered_also_in_place_of_calls(
    programs: dict[str, Path], level: str
) -> None:
    found = reports(programs[level], FUNCTIONS)
    calls = Counter[str]()
    for (name, _), count in found["entered"].items():
        calls[name] += count
    known = {"half": 45, "twice": 9, "collatz": 9, "run": 1}
    assert calls == {name: known[name] for name in calls} and len(calls) >= 3
    assert ("half", True) in found["entered"] and ("half", False) not in found["entered"]
    whole = {name: count for (name, inlined), count in found["entered"].items() if not inlined}
    assert found["left"] == whole


def test_a_loop_in_front_of_a_copy_is_its_own_if_nothing_else_goes_round(
    programs: dict[str, Path],
) -> None:
    module = CoreModule(programs["-O0"].read_bytes())
    lines = SourceLines.of(module)
    assert lines is not None
    (half,) = [one for one in lines.functions() if one.inlined]
    (index,) = [i for i in range(len(module.bodies)) if module.bodies[i].end > half.entry][:1]
    info = FunctionInfo(module, index)
    assert info.steps[entered_at(info, half)][0] <= half.entry


def test_a_name_of_the_script_hides_what_is_bound(programs: dict[str, Path]) -> None:
    script = """report var n: map<str, u32>;
    wasm:line:count.c:21 { var line = "x"; var func = "y"; n[line + ""]++; }"""
    script = script.replace(' + ""', "")
    assert reports(programs["-O0"], script)["n"] == {"x": 9}


@pytest.mark.parametrize(
    ("rule", "message", "hint"),
    [
        ("wasm:line:cuont.c:4", 'no source file is called "cuont.c"', 'did you mean "count.c"?'),
        ("wasm:line:count.c|cuont.c:4", 'no source file is called "cuont.c"', "did you mean"),
        ("wasm:line:scr/count.c:4", 'no source file is called "scr/count.c"', '"src/count.c"'),
        ("wasm:source:*.c:fn colatz", '*.c has no function "colatz"', 'did you mean "collatz"?'),
    ],
)
def test_a_name_that_is_nowhere_is_an_error(
    programs: dict[str, Path], rule: str, message: str, hint: str
) -> None:
    app = whamm_cm.load(programs["-O0"])
    with pytest.raises(UsageError, match=re.escape(message)) as error:
        app.weave(scripts=[("S.mm", f"{rule} {{ }}")])
    assert hint in str(error.value) and "S.mm:1:" in str(error.value)
    assert unmatched(app, f"?{rule} {{ }}") == []


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("wasm:line:count.c:5", "line 5 has no code; line 7 has"),
        ("wasm:line:count.c:900", "line 900 has no code; line 34 has"),
        ("wasm:line:count.c:10-11", "these lines have no code; line 12 has"),
        ("wasm:line:*.rs:4", "no source file is called that"),
        ("wasm:source:*.c:fn x*", "no function is called that"),
        ("wasm:source:*.c:fn half:exit", "it is only there in place of calls"),
        ("wasm:line:count.c:7 / false /", "the predicate is false at every place"),
    ],
)
def test_a_rule_that_matches_nothing_says_why(
    programs: dict[str, Path], rule: str, why: str
) -> None:
    app = whamm_cm.load(programs["-O0"])
    text = rule.partition(" /")[0]
    assert f"no match: {text} (S.mm:1:1): {why}" in unmatched(app, f"{rule} {{ }}")
    assert not [one for one in unmatched(app, f"?{rule} {{ }}") if why in one]


def test_without_debug_information_that_is_said(tmp_path: Path) -> None:
    app = whamm_cm.load(compiled(tmp_path, "count.c", "-g0"))
    assert unmatched(app, "wasm:line:count.c:4 { }") == [
        "no match: wasm:line:count.c:4 (S.mm:1:1): the core modules have no debug information"
        " (build with -g)"
    ]
    script = """report var n: map<(str, u32, u32, str, bool), u32>;
    wasm:func:entry { n[(file, line, column, func, inlined)]++; }"""
    (cell,) = app.trace(scripts=script, invoke="run()").reports
    assert {_hashed(key): n for key, n in cell.value} == {
        ("", 0, 0, "run", False): 1,
        ("", 0, 0, "collatz", False): 9,
        ("", 0, 0, "twice", False): 9,
    }


def test_check_knows_the_form_without_an_app_and_the_places_with_one(
    programs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "S.mm"
    script.write_text("wasm:line:count.c:7 { }\nwasm:source:count.c:fn half { }\n")
    assert main(["check", str(script)]) == 0
    assert capsys.readouterr().out == (
        "S.mm:1:1: wasm:line:count.c:7\nS.mm:2:1: wasm:source:count.c:fn half\n"
    )
    assert main(["check", "--json", str(script), str(programs["-O0"])]) == 0
    rows = json.loads(capsys.readouterr().out)["rules"]
    assert [row["places"] for row in rows] == [1, 1]
    script.write_text("wasm:line:coun.c:7 { }")
    assert main(["check", str(script), str(programs["-O0"])]) == 2
    assert 'did you mean "count.c"?' in capsys.readouterr().err


# --- what probes are told ------------------------------------------------------------------------


def told(app: Path) -> dict[tuple[int, int], tuple[str, int, str, bool]]:
    """(fid, pc) → file, line, function and whether it is inlined, of all instructions that ran."""
    script = """report var n: map<(u32, u32, str, u32, str, bool), u32>;
    wasm:opcode:*:before { n[(fid, pc, file, line, func, inlined)]++; }"""
    return {
        (fid, pc): (file, line, func, inlined)
        for fid, pc, file, line, func, inlined in reports(app, script)["n"]
    }


@pytest.mark.oracle
@pytest.mark.skipif(shutil.which("wasm-tools") is None, reason="needs wasm-tools")
@pytest.mark.parametrize("level", LEVELS)
def test_lines_and_functions_are_those_of_another_reader(
    programs: dict[str, Path], level: str
) -> None:
    app = programs[level]
    module = CoreModule(app.read_bytes())
    offsets: dict[int, tuple[int, int]] = {}
    for index in range(len(module.bodies)):
        info = FunctionInfo(module, index)
        for opidx, (pos, _, _) in enumerate(info.steps):
            offsets[pos] = (info.fid, info.pc(opidx))
    ours = told(app)
    assert len(ours) > 50
    command = ["wasm-tools", "addr2line", str(app), *(hex(one) for one in offsets)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    blocks = re.findall(r"^0x([0-9a-f]+): (.*)$", output, re.M)
    assert blocks
    compared = 0
    for address, text in blocks:
        place = offsets[int(address, 16)]
        found = re.fullmatch(
            r"(\S+)(?: \(inlined\))? (?:@ )?(?:.*/)?(count\.c):(\d+)(?::\d+)?", text
        )
        if place in ours and found:
            file, line, func, _ = ours[place]
            if line:
                assert (found[1], int(found[3])) == (func, line), (place, text)
                assert file.endswith(found[2])
                compared += 1
    assert compared > 40
