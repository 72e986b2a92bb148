"""What fires where functions and programs end, row by row as docs/language.md says: in a plain
module and in a component."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime

from whamm_cm.cli.main import main

SCRIPT = """wasm:func:entry { print("> {}", fname); }
wasm:func:exit { print("< {}", fname); }
wasm:end { print("end"); }"""
CORE = """(module $m
  {imports}
  (memory (export "memory") 1) (type $v (func)) (tag $e) (tag $other)
  (table 1 funcref) (elem (i32.const 0) $next) (elem declare func $next)
  (func $next)
  (func $throws (throw $e))
  (func $traps (drop (i32.div_u (i32.const 1) (i32.const 0))))
  (func $f {code})
  (func $main (export "{export}") {main}))"""
CALLS = "(block $all (try_table (catch_all $all) (call $f)))"
EXIT = {
    "module": '(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))',
    "component": '(import "wasi:cli/exit@0.2.0" "exit" (func $exit (param i32)))',
}
COMPONENT = """(component
  (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
  (core func $x (canon lower (func $exit "exit")))
  (core {module}
  (core instance $i (instantiate $m
    (with "wasi:cli/exit@0.2.0" (instance (export "exit" (func $x))))))
  (func (export "run") (canon lift (core func $i "run"))))"""
#: The status of a guest that trapped, and of one that exits.
TRAP, GONE = 134, 1

#: What $f does → what is printed between "> main, > f" and the end, and the status.
WAYS: dict[str, tuple[str, int]] = {
    # The last end, or a jump to it.
    "nop": ("< f, < main", 0),
    "br 0": ("< f, < main", 0),
    "block br 1 end": ("< f, < main", 0),
    "i32.const 1 br_if 0": ("< f, < main", 0),
    "i32.const 0 br_if 0": ("< f, < main", 0),
    "block loop i32.const 2 br_table 0 1 2 end end": ("< f, < main", 0),
    # Returning.
    "return": ("< f, < main", 0),
    "block i32.const 1 if return end end": ("< f, < main", 0),
    # Calls in the place of the function.
    "return_call $next": ("< f, > next, < next, < main", 0),
    "i32.const 0 return_call_indirect (type $v)": ("< f, > next, < next, < main", 0),
    "ref.func $next return_call_ref $v": ("< f, > next, < next, < main", 0),
    # Exceptions: that leave it, that it catches, that pass through it.
    "throw $e": ("< main", 0),
    "block try_table (catch $other 0) throw $e end end": ("< main", 0),
    "block try_table (catch $e 0) throw $e end end": ("< f, < main", 0),
    "block try_table (catch_all 0) call $throws end end": ("> throws, < f, < main", 0),
    "call $throws": ("> throws, < main", 0),
    "return_call $throws": ("< f, > throws, < main", 0),
    "block (result exnref) try_table (catch_all_ref 0) call $throws end return end throw_ref":
        ("> throws, < main", 0),
    # Traps.
    "unreachable": ("", TRAP),
    "block try_table (catch_all 0) unreachable end end": ("", TRAP),
    "i32.const 0 if unreachable end": ("< f, < main", 0),
    "i32.const 1 i32.const 0 i32.div_u drop": ("", TRAP),
    "call $traps": ("> traps", TRAP),
    # Leaving the program.
    "i32.const 1 call $exit": ("< f", GONE),
    "i32.const 1 return_call $exit": ("< f", GONE),
    "i32.const 0 if i32.const 1 call $exit end": ("< f, < main", 0),
}  # fmt: skip


#: As whamm has it: also before what traps or throws, whoever catches.
AS_WHAMM = {
    "block try_table (catch $e 0) throw $e end end": ("< f, < f, < main", 0),
    "throw $e": ("< f, < main", 0),
    "call $throws": ("> throws, < throws, < main", 0),
    "unreachable": ("< f", TRAP),
    "i32.const 1 call $exit": ("< f", GONE),
}


def printed(
    target: str,
    code: str,
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    *options: str,
    calls: str = CALLS,
    script: str = SCRIPT,
) -> tuple[list[str], int]:
    """The lines that the script prints, and the status."""
    export = "_start" if target == "module" else "run"
    text = CORE.format(imports=EXIT[target], code=code, export=export, main=calls)
    if target == "component":
        text = COMPONENT.format(module=text[1:])
    app = folder / "app.wasm"
    app.write_bytes(wasmtime.wat2wasm(text))
    invoke = ("--invoke", "run()") if target == "component" else ()
    status = main(["trace", "-q", *options, "-e", script, *invoke, str(app)])
    found = capfd.readouterr()
    lines = (found.out if "--compat" in options else found.err).splitlines()
    return [line for line in lines if line[:2] in ("> ", "< ") or line == "end"], status


@pytest.mark.parametrize("target", ["module", "component"])
@pytest.mark.parametrize("code", WAYS)
def test_entry_exit_and_end(
    target: str, code: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    between, status = WAYS[code]
    lines, said = printed(target, code, tmp_path, capfd)
    assert said == status
    expected = ["> main", "> f", *filter(None, between.split(", "))]
    # A component that trapped otherwise cannot be called any more.
    if target == "module" or status != TRAP or "unreachable" in code:
        expected.append("end")
    assert lines == expected


@pytest.mark.parametrize("code", AS_WHAMM)
def test_exit_as_whamm_has_it(code: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    between, status = AS_WHAMM[code]
    lines, said = printed("module", code, tmp_path, capfd, "--compat", "whamm")
    expected = ["> main", "> f", *between.split(", ")]
    assert (lines, said) == ([*expected, "end"], status)


@pytest.mark.parametrize("target", ["module", "component"])
@pytest.mark.parametrize("code", ["throw $e", "call $throws"])
def test_an_exception_that_leaves_the_program_is_like_a_trap(
    target: str, code: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines, said = printed(target, code, tmp_path, capfd, calls="(call $f)")
    expected = ["> main", "> f", *(["> throws"] if "call" in code else [])]
    if target == "module":
        expected.append("end")
    assert (lines, said) == (expected, TRAP)


#: What has been counted when the report is due: 1 for each call and unreachable, 100 for each exit.
COUNTED = {
    "nop": 201,
    "block i32.const 1 br_if 0 unreachable end": 201,
    "unreachable": 2,
    "block try_table (catch_all 0) unreachable end end": 2,
    "i32.const 1 call $exit": 102,
    "i32.const 1 return_call $exit": 102,
}
COUNTING = """report var c: u32;
wasm:opcode:call|return_call|unreachable:before { c++; }
wasm:func:exit { c += 100; }
wasm:report { print("end"); if (c == EXPECTED) { print("> "); } }"""


@pytest.mark.parametrize("target", ["module", "component", "as whamm"])
@pytest.mark.parametrize("code", COUNTED)
def test_the_report_comes_behind_all_probes_of_what_ends_the_program(
    target: str, code: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A count read before those was one too low."""
    expected, options = COUNTED[code], ()
    if target == "as whamm":
        target, options = "module", ("--compat", "whamm")
        expected += 100 * (expected == 2)  # an exit of the function, too
    script = COUNTING.replace("EXPECTED", str(expected))
    found, _ = printed(target, code, tmp_path, capfd, *options, script=script)
    assert found == ["end", "> "]


@pytest.mark.parametrize("options", [(), ("--compat", "whamm")])
@pytest.mark.parametrize(
    "module",
    [
        # The program's own calls of its entry do not end it.
        """(func $s (export "_start") (local i32)
          (global.set $n (i32.add (global.get $n) (i32.const 1)))
          (if (i32.lt_u (global.get $n) (i32.const 3)) (then (call $s))) (call $f))""",
        # whamm 2.0.1 takes _start before main, whoever else is exported.
        """(func (export "_start") (call $f) (call $f) (call $main) (call $f))
          (func $main (export "main") (call $f))""",
    ],
)
def test_the_end_comes_once_and_at_the_end(
    options: tuple[str, ...], module: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    app = tmp_path / "app.wasm"
    app.write_bytes(
        wasmtime.wat2wasm(f"(module (global $n (mut i32) (i32.const 0)) (func $f) {module})")
    )
    script = """var c: u32; wasm:opcode:call:before { c++; }
    wasm:report { print("report {}", c); } wasm:end { print("end {}", c); }"""
    assert main(["trace", "-q", *options, "-e", script, str(app)]) == 0
    found = capfd.readouterr()
    assert (found.out if options else found.err).split() == ["end", "5", "report", "5"]


def test_as_whamm_a_start_function_may_be_the_program(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    app = tmp_path / "app.wasm"
    app.write_bytes(
        wasmtime.wat2wasm("""(module (func $f) (func $s (call $f) (call $f)) (start $s)
        (func (export "run") (call $f)))""")
    )
    script = 'var c: u32; wasm:opcode:call:before { c++; } wasm:report { print("report {}", c); }'
    options = ("--compat", "whamm", "--invoke", "run")
    assert main(["trace", "-q", *options, "-e", script, str(app)]) == 0
    assert capfd.readouterr().out.splitlines()[0] == "report 2"
