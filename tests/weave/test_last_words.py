"""What leaves before a guest's ``unreachable`` where nobody can read its memory afterwards, and how
the code that moved is found again."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from bench import kernels
from fixtures.build import path_of
from tests.cli.test_crashes import CALLS, COUNT, KINDS, SERVER, command
from whamm_cm.cli.main import main
from whamm_cm.component.decode import decode
from whamm_cm.component.ir import Component, walk
from whamm_cm.wasm.edit import ModuleEdit
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.moved import Moved
from whamm_cm.wasm.sections import SectionId
from whamm_cm.weave.api import weave
from whamm_cm.weave.opcodes.beat import endings, pieces
from whamm_cm.weave.plan import Plan

HOST = (
    "import sys\n"
    "from whamm_cm.run.embedded import run_component\n"
    "outcome = run_component(open(sys.argv[1], 'rb').read())\n"
    "print('message', outcome.trap and outcome.trap.message)\n"
)


def modules() -> list[CoreModule]:
    """Small and large: a kernel and what a component holds."""
    found = [CoreModule(kernels.build("collatz").read_bytes())]
    return found + core_modules(decode(path_of("c_command").read_bytes(), "c_command"))


def core_modules(root: Component) -> list[CoreModule]:
    nodes = [d.node for component in walk(root) for d in component.definitions]
    return [node for node in nodes if isinstance(node, CoreModule)]


@pytest.fixture
def trace(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """``trace -- COMMAND`` with a host that is no part of this process."""

    def run(text: str, *options: str) -> str:
        host, path = tmp_path / "host.py", tmp_path / "app.wasm"
        host.write_text(HOST)
        path.write_bytes(bytes(wat2wasm(text)))
        main(["trace", *options, "--", sys.executable, str(host), str(path)])
        captured = capfd.readouterr()
        return captured.out + captured.err

    return run


@pytest.mark.parametrize("time", [(), ("--no-time",), ("--flush", "full")])
def test_all_leaves_before_unreachable(trace, time: tuple[str, ...]) -> None:
    text = trace(KINDS["unreachable late"][0], *time)
    assert text.count("random-u64() =") == CALLS
    assert "unreachable" in text


def test_also_what_a_monitor_has_counted(trace) -> None:
    assert f"n  {CALLS}\n" in trace(KINDS["unreachable late"][0], "-e", COUNT)
    boundary = "report var n: u32; wasi:random/random#*:before { n++; }"
    assert f"n  {CALLS}\n" in trace(KINDS["unreachable late"][0], "-e", boundary)


def test_other_traps_keep_the_early_ones(trace) -> None:
    text = trace(KINDS["out of bounds"][0])
    assert 4 <= text.count("random-u64()") <= CALLS
    assert "out of bounds" in text


def test_a_module_gets_an_import_and_no_definition() -> None:
    """Hosts that pool instances allow one table and one memory in a module."""
    data = bytes(wat2wasm(command("(unreachable)", "(table 1 funcref)")))
    woven = weave(data, Plan(trace=lambda *site: True, nonce="a" * 12, last_words=True))
    original, *others = core_modules(decode(data))
    module, *_ = (m for m in core_modules(woven.component) if m.imported("table"))
    assert not others
    assert len(module.tables) == len(original.tables) == 1
    assert len(module.memories) == len(original.memories)
    assert [i.module for i in module.imported("table")] == ["whamm-cm:last"]


def test_without_unreachable_nothing_changes() -> None:
    data = bytes(wat2wasm(command("", "")))
    plan = Plan(trace=lambda *site: True, nonce="a" * 12)
    hooked = weave(data, Plan(trace=lambda *site: True, nonce="a" * 12, last_words=True))
    assert hooked.wasm == weave(data, plan).wasm


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_every_instruction_that_moved_is_found_again(step: int) -> None:
    """With code in front of some, indices that need more bytes, and functions of ours behind."""
    for module in (module for module in modules() if module.bodies):
        edit = ModuleEdit(module)
        for number in range(200):
            edit.import_func("more", f"f{number}", (), ())
        for index in range(0, len(module.bodies), 2):
            at = [pos for pos, _, _ in module.instructions(index)][::step]
            edit.replace_body(index, pieces(module, index, [(pos, b"\x01\x01") for pos in at]))
        woven, moved = CoreModule(edit.encode()), Moved(module, "m", edit.replaced)
        for index in range(min(len(module.bodies), 12)):
            old = [(pos, row.mnemonic) for pos, row, _ in module.instructions(index)]
            new = [(pos, row.mnemonic) for pos, row, _ in woven.instructions(index)]
            found = [(moved.origin(woven, index, pos), name) for pos, name in new]
            assert [pair for pair in found if pair in old or pair[1] != "nop"] == old
            assert {pos for pos, _ in found} == {pos for pos, _ in old}
        assert moved.origin(woven, len(module.bodies), woven.bodies[0].code) is None


@pytest.mark.parametrize("tables", [0, 1, 200])
def test_what_stands_before_each_unreachable(tables: int) -> None:
    """The kernel does at once what can be done function by function."""
    for module in (module for module in modules() if module.bodies):
        one, other = ModuleEdit(module), ModuleEdit(module)
        for edit in (one, other):
            for number in range(tables):
                edit.import_table("more", f"t{number}", b"\x70\0\1")
        one.last_words = b"\x01\x01"
        found = endings(module)
        for index, places in found.items():
            other.replace_body(index, pieces(module, index, [(pos, b"\x01\x01") for pos in places]))
        codes = [CoreModule(edit.encode()).section(SectionId.CODE) for edit in (one, other)]
        assert codes[0] is not None and codes[1] is not None
        assert codes[0].payload == codes[1].payload
        assert one.endings == sum(map(len, found.values()))
        assert CoreModule(one.encode()).section(SectionId.CODE) == codes[0]


def test_server_weaves_are_valid_and_say_the_same(tmp_path: Path) -> None:
    """The hooked copy traps where and how the original does."""
    path, woven = tmp_path / "app.wasm", tmp_path / "woven.wasm"
    path.write_bytes(bytes(wat2wasm(SERVER)))
    assert main(["instrument", "--trace", "*", "-o", str(woven), str(path)]) == 0
    script = HOST.replace("read())", "read(), invoke='serve(true)')")
    for file in (path, woven):
        done = subprocess.run(
            [sys.executable, "-c", script, str(file)], capture_output=True, timeout=120, text=True
        )
        assert re.search(r"message .*`unreachable` instruction executed", done.stdout), done
