"""``stack()`` and ``depth()`` against a plain interpreter, the ``flame`` monitor, and by hand."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest
import wasmtime
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bench import kernels
from fixtures.build import build
from tests.weave.interpreter import Interpreter, Stop, Thrown
from tests.weave.test_counts import EVERYTHING, TRAPPED, Reported
from tests.weave.test_counts import stacks as flame_stacks
from tests.weave.throwing_programs import throwing_module
from whamm_cm.cli.main import main
from whamm_cm.front.settings import Settings
from whamm_cm.front.woven import weave
from whamm_cm.wasm.function import FunctionInfo
from whamm_cm.wasm.module import CoreModule

EXAMPLES = max(1, int(10 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))
#: Instructions by the stack they ran in, as the interpreter notes them, in two ways.
SCRIPT = """report var ran: map<(str, u32), u64>;
report var inner: map<str, u64>;
wasm:opcode:*:before { ran[(stack(), depth())]++; inner[stack(2)]++; }"""
Stacks = Counter[tuple[int, ...]]


def names_of(module: CoreModule) -> dict[int, str]:
    infos = (FunctionInfo(module, index) for index in range(len(module.bodies)))
    return {info.fid: info.name or f"#{info.fid}" for info in infos}


def rows(found: Reported) -> dict[str, int]:
    return {r["key"].replace('"', ""): int(r["value"]) for r in found.entries("script", "ran")}


def compare(folder: Path, app: Path, noted: Stacks, status: int, *words: str) -> None:
    """Of every instruction of a run, the whole stack, its depth, and the two innermost."""
    found = Reported(folder, app, *words, monitors=(), status=status, script=SCRIPT)
    names = names_of(CoreModule(app.read_bytes()))
    ran, inner = Counter[str](), Counter[str]()
    for stack, count in (+noted).items():
        called = [names[fid] for fid in stack]
        ran[f"({';'.join(called)}, {len(stack)})"] += count
        inner[";".join(called[-2:])] += count
    assert rows(found) == ran
    assert {r["key"]: int(r["value"]) for r in found.entries("script", "inner")} == inner


def ran(interpreter: Interpreter) -> int:
    try:
        interpreter.run("_start")
    except (Thrown, Stop):
        return TRAPPED
    return 0


@settings(
    max_examples=EXAMPLES,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a smaller number is no smaller program
)
@given(st.integers(0, 2**32))
def test_programs_that_throw_trap_and_call_in_their_place(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("throwing")
    app = folder / "app.wasm"
    app.write_bytes(throwing_module(seed))
    interpreter = Interpreter(app.read_bytes())
    status = ran(interpreter)
    compare(folder, app, interpreter.noted.stacks, status)


def test_a_module_with_a_bit_of_everything(tmp_path: Path) -> None:
    app = tmp_path / "app.wasm"
    app.write_bytes(wasmtime.wat2wasm(EVERYTHING))
    interpreter = Interpreter(app.read_bytes())
    assert ran(interpreter) == 0
    compare(tmp_path, app, interpreter.noted.stacks, 0)


def test_as_flame_has_it(tmp_path: Path) -> None:
    app = kernels.build("quicksort")
    found = Reported(tmp_path, app, "40", monitors=("flame",), script=SCRIPT)
    names = names_of(CoreModule(app.read_bytes()))
    flame = Counter[str]()
    for stack, count in flame_stacks(found).items():
        flame[f"({';'.join(names[fid] for fid in stack)}, {len(stack)})"] += count
    assert rows(found) == flame and len(flame) > 10


DEEP = """(module
  (func $down (param i32)
    (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1))))))
  (func $ab (call $down (i32.const 1)))
  (func (export "_start") (call $down (i32.const 4000)) (call $ab)))"""


def printed(script: str, folder: Path, capfd: pytest.CaptureFixture[str], status: int = 0) -> str:
    app = folder / "deep.wasm"
    app.write_bytes(wasmtime.wat2wasm(DEEP).replace(b"\x02ab", b"\x02;;"))
    assert main(["trace", "-q", "-e", script, str(app)]) == status
    return capfd.readouterr().err


def test_a_name_that_holds_what_joins_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script = """wasm:func:entry / func == ";;" / { print("{} {}", stack(), depth()); }
      wasm:func:exit / stack(2) == ",,;down" && depth() == 3 / {
        print("{} [{}]", stack(1), stack(0)); }"""
    assert printed(script, tmp_path, capfd) == "#2;,, 2\ndown []\n"


def test_a_long_one_is_cut_in_front(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = """wasm:func:entry { var text = stack();
      if (depth() == 2001) { print("{}", text); }
      if (depth() == 4001) { print("{}", text); print("{}", stack(3)); } }"""
    whole, cut, last = printed(script, tmp_path, capfd).splitlines()
    assert whole == "#2" + ";down" * 2000
    assert cut == "..." + ";down" * 3200 and last == "down;down;down"


def test_in_components_by_tasks_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    app = tmp_path / "app.wasm"
    app.write_bytes(build("async"))
    script = """wasm:func:entry / component == "caller" / { print("{} {}", depth(), stack()); }
      wasm:func:entry / component == "callee" / { print("callee {} {}", depth(), stack()); }"""
    assert main(["trace", "-q", "--invoke", "after-yield()", "-e", script, str(app)]) == 0
    assert capfd.readouterr().err.splitlines() == [
        "1 #12", "callee 1 #2", "2 #12;finish", "callee 1 #3",
    ]  # fmt: skip


def test_its_own_function_of_that_name(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = (
        "fn depth(n: u32) -> u32 { return n; } wasm:func:exit / fid == 2 / { print(depth(7)); }"
    )
    assert printed(script, tmp_path, capfd) == "7\n"


@pytest.mark.parametrize("script", [
    "fn f() -> u32 { return depth(); } wasm:func:entry { f(); }", "wasm:end { print(stack()); }",
    "wasi:io/*#*:before { print(stack()); }", 'wasm:func:entry { print(stack("a")); }',
    "wasm:func:entry { print(stack(1, 2)); }", "wasm:func:entry { print(depth(2)); }",
    "wasm:func:entry { unshared var x: u32 = depth(); }",
])  # fmt: skip
def test_where_it_cannot_be_asked(
    script: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said = printed(script, tmp_path, capfd, 2)
    assert re.match(r"whamm-cm: -e 1:1:\d+: .*(depth|stack)", said), said


def test_only_who_asks_pays() -> None:
    def woven(script: str) -> bytes:
        settings = Settings(scripts=(("s", script),), nonce="abcdefghijkl")
        return weave(wasmtime.wat2wasm(DEEP), settings, "m").bytes

    own = "fn {0}() -> u32 {{ return 3; }} wasm:func:entry / fid == 1 / {{ print({0}()); }}"
    assert len(woven(own.format("depth"))) == len(woven(own.format("count")))
    asking = "wasm:func:entry / fid == 1 / { print(depth()); }"
    assert woven(asking) == woven(asking)
    assert len(woven(asking)) > len(woven(own.format("depth")))
