"""``wall()``: what time it is, in modules and in components, wherever they get it from."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from fixtures import build
from tests.hosts.tools import find
from tests.weave.fake_clock import CLOCK, Timed
from tests.weave.scripted import script_plan
from whamm_cm.cli.main import main
from whamm_cm.component import nodes as n
from whamm_cm.component.decode import decode
from whamm_cm.component.ir import Component
from whamm_cm.errors import WeaveError
from whamm_cm.run.engine import validate_component
from whamm_cm.weave.api import weave
from whamm_cm.weave.plain import weave_module
from whamm_cm.weave.plan import Plan, SinkName

SCRIPT = 'report var n: u32; *:*#*:before { n++; print("{}", wall()); }'
RANDOM = """(import "wasi:random/random@{v}" (instance $r
    (export "get-random-u64" (func (result u64)))))
  (alias export $r "get-random-u64" (func $g))"""
INNER = """(component $inner (import "g" (func $g (result u64)))
    (core func $lg (canon lower (func $g)))
    (core module $m (import "r" "g" (func $g (result i64)))
      (func (export "run") (result i32) (drop (call $g)) (i32.const 0)))
    (core instance $i (instantiate $m (with "r" (instance (export "g" (func $lg))))))
    (func (export "run") (result (result)) (canon lift (core func $i "run"))))"""
RUNS = (
    """(component {imports} """
    + RANDOM
    + INNER
    + """
  (instance $in (instantiate $inner (with "g" (func $g))))
  (alias export $in "run" (func $run))
  (instance $out (export "run" (func $run)))
  (export "wasi:cli/run@{v}" (instance $out)))"""
)
#: What a component may import of the clock already.
IMPORTS = {
    "nothing": "",
    "all of it": """(import "wasi:clocks/wall-clock@0.2.1" (instance
      (type $d' (record (field "seconds" u64) (field "nanoseconds" u32)))
      (export "datetime" (type $d (eq $d')))
      (export "now" (func (result $d))) (export "resolution" (func (result $d)))))""",
    "half of it": """(import "wasi:clocks/wall-clock@0.2.1" (instance
      (type $d' (record (field "seconds" u64) (field "nanoseconds" u32)))
      (export "datetime" (type $d (eq $d'))) (export "resolution" (func (result $d)))))""",
    "another clock": """(import "wasi:clocks/monotonic-clock@0.2.1" (instance
      (export "resolution" (func (result u64)))))""",
}  # fmt: skip
SINKS: tuple[SinkName, ...] = ("stderr", "logging", "host", "none")


def _runs(imports: str, version: str = "0.2.1") -> bytes:
    return bytes(wat2wasm(RUNS.replace("{imports}", imports).replace("{v}", version)))


def _imports(wasm: bytes) -> list[str]:
    root = decode(wasm)
    assert isinstance(root, Component)
    nodes = (definition.node for definition in root.definitions)
    return [node.name.name for node in nodes if isinstance(node, n.Import)]


def _traced(app: Path, capfd: pytest.CaptureFixture[str], script: str, *more: str) -> list[int]:
    """The numbers that were printed, all of a time while the program ran."""
    begun = time.time_ns()
    assert main(("trace", "-q", "-e", script, *more, str(app))) == 0
    ended = time.time_ns()
    said = capfd.readouterr().err.splitlines()
    found = [int(line) for line in said if line.isdecimal()]
    assert found and found == sorted(found)
    assert begun <= found[0] and found[-1] <= ended
    return found


def test_a_module_asks_wasi() -> None:
    guest = Timed().load(
        CLOCK + '(func (export "f"))',
        'wasm:func:entry { print("{}", wall()); print("{}", now()); print("{}", wall()); }',
    )
    guest.call("f")
    assert guest.printed == [str(10**18 + 1), "2", str(10**18 + 3)]
    assert guest.asked == 3


def test_a_module_without_a_clock_is_refused() -> None:
    module = bytes(wat2wasm('(module (func (export "f")))'))
    plan = Plan(sink="host", scripts=script_plan("wasm:func:entry { print(wall()); }"))
    with pytest.raises(WeaveError, match=r"^wall\(\) needs a clock, and the module has none"):
        weave_module(module, plan)


@pytest.mark.parametrize("imports", IMPORTS.values(), ids=IMPORTS.keys())
@pytest.mark.parametrize("more", [(), ("-e", "trace=all")], ids=["alone", "traced"])
def test_nested_components_have_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], imports: str, more: tuple[str, ...]
) -> None:
    (tmp_path / "app.wasm").write_bytes(_runs(imports))
    assert len(_traced(tmp_path / "app.wasm", capfd, SCRIPT, *more)) >= 2


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_component_that_asks_itself(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], where: str
) -> None:
    (tmp_path / "app.wasm").write_bytes(build.build("command"))
    script = f'wasi:*#*:{where} {{ print("{{}}", wall()); }}'
    assert len(_traced(tmp_path / "app.wasm", capfd, script)) > 10


def test_code_inside_of_core_modules_has_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "app.wasm").write_bytes(_runs(IMPORTS["half of it"]))
    entry = 'wasm:func:entry { print("{}", wall()); }'
    script = entry + ' wasm:opcode:call:after { print("{}", wall()); }'
    assert len(_traced(tmp_path / "app.wasm", capfd, script)) == 2


@pytest.mark.parametrize("timed", [True, False], ids=["timed", "bare"])
@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("imports", IMPORTS.values(), ids=IMPORTS.keys())
def test_no_more_is_imported_than_asked_for(imports: str, sink: SinkName, timed: bool) -> None:
    """Nor twice what the sink asks, too."""
    data = _runs(imports)
    plan = Plan(sink=sink, timed=timed, trace=lambda *_: timed, scripts=script_plan(SCRIPT))
    wasm = weave(data, plan).wasm
    assert validate_component(wasm) is None
    clocks = [name for name in _imports(wasm) if name.startswith("wasi:clocks/")]
    wall, monotonic = "wasi:clocks/wall-clock@0.2.1", "wasi:clocks/monotonic-clock@0.2.1"
    expected = {wall, *([monotonic] if timed or monotonic in imports else [])}
    assert sorted(clocks) == sorted(expected)


@pytest.mark.parametrize("sink", ["stderr", "host"])
@pytest.mark.parametrize("name", [*build.text_names(), "relay_utf16", "command"])
def test_all_that_is_woven_is_valid(name: str, sink: SinkName) -> None:
    if (name, sink) == ("run_sink", "host"):
        return  # it imports what that sink adds
    plan = Plan(sink=sink, scripts=script_plan(SCRIPT))
    wasm = weave(build.build(name), plan).wasm
    if name != "memory64":  # of which the engine knows nothing
        assert validate_component(wasm) is None
    wasm_tools = find("wasm-tools")
    if wasm_tools is not None:
        command = (wasm_tools, "validate", "--features", "all", "-")
        ran = subprocess.run(command, input=wasm, capture_output=True)
        assert (ran.returncode, ran.stderr.decode()) == (0, "")


def test_a_clock_that_cannot_be_added_to_is_refused() -> None:
    own = """(type $c (instance (export "resolution" (func (result u64)))))
      (import "x" (type $e (eq $c)))
      (import "wasi:clocks/wall-clock@0.2.1" (instance (type $e)))"""
    plan = Plan(sink="host", scripts=script_plan(SCRIPT))
    with pytest.raises(WeaveError, match=r"^wall\(\) asks wasi:clocks/wall-clock@0\.2\.1, which"):
        weave(_runs(own), plan)


@pytest.mark.parametrize(
    ("own", "version"),
    [
        ("", "0.3.0"),
        (
            """(import "wasi:clocks/system-clock@0.3.1" (instance
              (type $i' (record (field "seconds" s64) (field "nanoseconds" u32)))
              (export "instant" (type $i (eq $i'))) (export "now" (func (result $i)))))""",
            "0.3.1",
        ),
        ('(import "wasi:clocks/system-clock@0.3.1" (instance))', "0.3.1"),
    ],
    ids=["new", "own", "extended"],
)
def test_of_wasi_0_3_it_is_the_system_clock(own: str, version: str) -> None:
    data = _runs(own, "0.3.0")
    wasm = weave(data, Plan(sink="host", scripts=script_plan(SCRIPT))).wasm
    assert validate_component(wasm) is None
    clocks = [name for name in _imports(wasm) if name.startswith("wasi:clocks/")]
    assert clocks == [f"wasi:clocks/system-clock@{version}"]
