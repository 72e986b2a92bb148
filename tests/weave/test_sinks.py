"""The ways out: the same facts by each of them, and a world that is otherwise what it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from wasmtime import ExitTrap, WasiConfig

from fixtures.build import build
from tests.agent.agree import plain
from tests.agent.harness import NONCE
from tests.strategies import same
from tests.wast_driver import Hook, compare, run_script
from tests.weave import guests
from tests.weave.echo import echo_component
from tests.weave.expect import Show, room
from tests.weave.host import FIXTURES, Functions, Guest, Sink, everything, fixture, text
from tests.weave.test_nothing_lost import TICK, ticks
from tests.weave.test_true_values import ENCODINGS, Case, budget, cases, expected, host
from whamm_cm.agent.layout import MAX_LINE
from whamm_cm.agent.table import SiteTable
from whamm_cm.analysis.stamp import stamp_of
from whamm_cm.component import nodes as n
from whamm_cm.component.build import custom
from whamm_cm.component.decode import decode
from whamm_cm.component.encode import encode
from whamm_cm.component.ir import Component
from whamm_cm.trace.lines import LineDecoder
from whamm_cm.weave.api import Woven, weave
from whamm_cm.weave.enclose import Outer, enclose
from whamm_cm.weave.plan import Plan
from whamm_cm.wit.model import interfaces
from whamm_cm.wit.printer import func_text
from whamm_cm.wit.resolve import resolve
from whamm_cm.wit.types import EnumT, FuncT, Prim

Call = Callable[[Guest], Any]
LEVELS = EnumT(("trace", "debug", "info", "warn", "error", "critical"))
LOG = FuncT((("level", LEVELS), ("context", Prim("string")), ("message", Prim("string"))), None)
LOGGING = "wasi:logging/logging@0.1.0-draft"


def log_host(lines: list[str], more: Functions | None = None) -> Functions:
    def log(level: str, context: str, message: str) -> None:
        assert level == "info"
        lines.append(message)

    functions = {(LOGGING, "log"): (LOG, log)}
    return Functions({**functions, **(more.functions if more is not None else {})})


def by_host(wasm: bytes, call: Call, functions: Functions | None, **plan: Any) -> list[str]:
    woven = weave(wasm, Plan(trace=everything, sink="host", **plan))
    sink = Sink(woven)
    call(Guest(woven.wasm, functions, sink, WasiConfig()))
    return [json.dumps(record) for record in sink.records]


def decoded(woven: Woven, lines: Sequence[bytes | str]) -> list[str]:
    """The records on the lines of a log, all of which are ours."""
    decoder = LineDecoder(NONCE, SiteTable.parse(woven.table))
    found = [decoder.feed(line) for line in lines]
    assert all(each.ours and not each.before for each in found)
    assert decoder.finish() == [] and not decoder.damaged
    records = [record for each in found for record in each.records]
    if records:
        assert records[0]["phase"] == "start" and len({r["run"] for r in records}) == 1
        assert [r["seq"] for r in records] == list(range(len(records)))
    return [json.dumps(record) for record in plain(records)]


def by_stderr(
    wasm: bytes, call: Call, functions: Functions | None, folder: Path, **plan: Any
) -> list[str]:
    """The records, which lines of both forms agree on."""
    forms = [
        by_lines(wasm, call, functions, folder, lines=lines, **plan) for lines in ("packed", "json")
    ]
    if not plan.get("timed"):
        assert forms[0] == forms[1]
    return forms[0]


def by_lines(
    wasm: bytes, call: Call, functions: Functions | None, folder: Path, **plan: Any
) -> list[str]:
    woven = weave(wasm, Plan(trace=everything, sink="stderr", nonce=NONCE, **plan))
    wasi = WasiConfig()
    wasi.stderr_file = str(folder / "stderr")
    guest = Guest(woven.wasm, functions, None, wasi)
    call(guest)
    lines = (folder / "stderr").read_bytes().splitlines(keepends=True)
    assert all(len(line) <= MAX_LINE for line in lines)
    return decoded(woven, lines)


def by_logging(wasm: bytes, call: Call, functions: Functions | None, **plan: Any) -> list[str]:
    woven = weave(wasm, Plan(trace=everything, sink="logging", nonce=NONCE, **plan))
    lines: list[str] = []
    call(Guest(woven.wasm, log_host(lines, functions), None, WasiConfig()))
    return decoded(woven, lines)


CALLS: dict[str, Sequence[tuple[Any, ...]]] = {
    "strings": [("round", "hö ☃"), ("latin1",), ("tagged",), ("list", ["a", "ß" * 300])],
    "resources": [("read",), ("read",), ("closed",)],
    "indirect": [("direct",), ("indirect", 'a "quoted" name\n'), ("helper",)],
    "nested": [("left",), ("left",), ("right",), ("deep", 7)],
    "async": [("at-once",), ("after-yield",), ("stackful",), ("text",)],
    "destructor": [("run",), ("run",)],
    "start": [("first",), ("now",)],
}


def calls_of(name: str) -> Call:
    return lambda guest: [guest.call(*call) for call in CALLS[name]]


@pytest.mark.parametrize("multi_memory", [True, False])
@pytest.mark.parametrize("name", CALLS)
def test_every_sink_carries_the_same_facts(name: str, multi_memory: bool, tmp_path: Path) -> None:
    wasm, call = fixture(name), calls_of(name)
    plan = {"multi_memory": multi_memory, "max_string": 100}
    records = by_host(wasm, call, None, **plan)
    assert len(records) >= 4
    assert by_stderr(wasm, call, None, tmp_path, **plan) == records
    assert by_logging(wasm, call, None, **plan) == records


@budget(30)
@given(case=cases(), encoding=st.sampled_from(ENCODINGS), cap=st.sampled_from((0, 3, 1 << 16)))
def test_random_values_look_the_same_from_c_and_from_python(
    tmp_path_factory: pytest.TempPathFactory, case: Case, encoding: str, cap: int
) -> None:
    assume(room(list(expected(case, Show(encoding)))) < 16000)
    wasm = echo_component([case.func], encoding)

    def call(guest: Guest) -> None:
        assert same(guest.call("f0", *case.args), case.result)

    plan = {"max_string": cap, "max_list": cap}
    folder = tmp_path_factory.mktemp("sink")
    found = by_stderr(wasm, call, host([case]), folder, **plan)
    assert found == by_host(wasm, call, host([case]), **plan)


def test_counts_and_drops_are_reported_by_every_sink(tmp_path: Path) -> None:
    plan = {"count": lambda edge, *_: edge == "import", "trace": lambda edge, *_: edge != "import"}

    def run(sink: Any) -> list[str]:
        woven = weave(guests.TICKER, Plan(sink=sink, nonce=NONCE, **plan))  # type: ignore[arg-type]
        wasi, lines = WasiConfig(), list[str]()
        wasi.stderr_file = str(tmp_path / "stderr")
        received = Sink(woven)
        guest = Guest(woven.wasm, log_host(lines, ticks()), received, wasi)
        guest.call("go", 41)
        found = (tmp_path / "stderr").read_text().splitlines()
        return [*decoded(woven, [*found, *lines]), *map(json.dumps, received.records)]

    [call, returned, report] = run("host")
    assert json.loads(report)["count"] == 41
    assert run("stderr") == run("logging") == [call, returned, report]


def test_dropped_records_are_reported_on_stderr(tmp_path: Path) -> None:
    def call(guest: Guest) -> None:
        assert guest.call("go", 40_000) == 120_000

    records = by_host(guests.REPS, call, None)
    assert any(json.loads(r)["phase"] == "lost" for r in records)
    assert by_stderr(guests.REPS, call, None, tmp_path) == records


def test_exit_is_recorded_on_stderr(tmp_path: Path) -> None:
    def call(guest: Guest) -> None:
        with pytest.raises(ExitTrap):
            guest.call("wasi:cli/run@0.2.0#run")

    records = by_host(fixture("exit"), call, None)
    assert json.loads(records[-1])["func"] == "exit"
    assert by_stderr(fixture("exit"), call, None, tmp_path) == records


@pytest.mark.parametrize("timed", [False, True])
def test_time_is_taken_only_where_asked_for(timed: bool, tmp_path: Path) -> None:
    for found in (
        by_host(fixture("strings"), calls_of("strings"), None, timed=timed),
        by_stderr(fixture("strings"), calls_of("strings"), None, tmp_path, timed=timed),
    ):
        records = [json.loads(r) for r in found]
        assert all(("t_ns" in r) == timed for r in records)
        assert all(("dur_ns" in r) == (timed and r["phase"] == "return") for r in records)
        if timed:
            own = [r["t_ns"] for r in records if r["instance"] == 1]
            assert own == sorted(own) and own[0] > 0


@pytest.mark.parametrize("stderr", [None, "/dev/full"])
def test_a_stderr_that_fails_changes_nothing(stderr: str | None) -> None:
    if stderr is not None and not Path(stderr).exists():
        pytest.skip("this system has no /dev/full")
    woven = weave(fixture("strings"), Plan(trace=everything, sink="stderr"))
    wasi = WasiConfig()
    if stderr is not None:
        wasi.stderr_file = stderr
    guest = Guest(woven.wasm, None, None, wasi)
    for _ in range(200):
        assert guest.call("round", "still here") == "still here"


# --- worlds

Face = dict[str, dict[str, str]]


def faces(component: Component) -> tuple[Face, Face]:
    """Imports and exports: functions and types by interface, as text."""
    world = resolve(component).world
    result = []
    for externs in (world.imports, world.exports):
        found: Face = {}
        for interface in interfaces(externs):
            name = f"{interface.name}@{interface.version}" if interface.version else interface.name
            found[name] = {key: func_text(item.type) for key, item in interface.funcs.items()}
            found[name] |= dict.fromkeys((*interface.types, *interface.resources), "type")
        for extern in externs:
            found.setdefault(extern.name.name, {"": type(extern.entity).__name__})
        result.append(found)
    return result[0], result[1]


SEED = "wasi:random/insecure-seed"
STDERR = ("wasi:cli/stderr", "wasi:io/streams", "wasi:io/error", SEED)
ALLOWED = {
    "stderr": STDERR,
    "logging": ("wasi:logging/logging", SEED),
    "host": ("whamm:cm/sink",),
    "none": (),
}
NAMES = sorted(path.stem for path in FIXTURES.glob("*.wat") if path.stem != "run_sink")


@pytest.mark.parametrize("sink", ALLOWED)
@pytest.mark.parametrize("name", [*NAMES, "command"])
def test_the_world_is_what_it_was_and_the_sink(name: str, sink: Any) -> None:
    wasm = build(name)
    imports, exports = faces(decode(wasm))
    woven = weave(wasm, Plan(trace=everything, sink=sink))
    new_imports, new_exports = faces(decode(woven.wasm))
    assert new_exports == exports
    assert list(new_exports) == list(exports)
    for interface, items in imports.items():
        added = {k: v for k, v in new_imports[interface].items() if items.get(k) != v}
        assert not items.keys() - new_imports[interface].keys()
        assert not added or interface.partition("@")[0] in ALLOWED[sink]
    more = [i.partition("@")[0] for i in new_imports if i not in imports]
    assert set(more) <= set(ALLOWED[sink]) and len(more) == len(set(more))
    everywhere = [i.partition("@")[0] for i in new_imports]
    assert all(everywhere.count(path) == 1 for path in ALLOWED[sink] if path in everywhere)


VERSIONED = """(component
  (import "wasi:io/error@0.2.3" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $e))
  (import "wasi:io/streams@0.2.3" (instance $streams
    (alias outer 1 $e (type $e'))
    (export "error" (type $err (eq $e')))
    (export "output-stream" (type $out (sub resource)))
    %s))
  (alias export $streams "output-stream" (type $o))
  (import "wasi:cli/stderr@0.2.3" (instance $stderr
    (alias outer 1 $o (type $o'))
    (export "output-stream" (type $out (eq $o')))
    (export "get-stderr" (func (result (own $out))))))
  (core func $get (canon lower (func $stderr "get-stderr")))
  (core func $drop (canon resource.drop $o))
  (core module $m
    (import "" "get" (func $get (result i32)))
    (import "" "drop" (func $drop (param i32)))
    ;; the handle's number, which the sink's own handles must not shift
    (func (export "f") (result i32) (local i32)
      (local.set 0 (call $get)) (call $drop (local.get 0)) (local.get 0)))
  (core instance $m (instantiate $m (with "" (instance
    (export "get" (func $get)) (export "drop" (func $drop))))))
  (func (export "f") (result u32) (canon lift (core func $m "f"))))"""
WRITE = """(type $se' (variant (case "last-operation-failed" (own $err)) (case "closed")))
    (export "stream-error" (type $se (eq $se')))
    (export "[method]output-stream.blocking-write-and-flush" (func (param "self" (borrow $out))
      (param "contents" (list u8)) (result (result (error $se)))))"""


@pytest.mark.parametrize("has_write", [True, False])
def test_a_component_that_uses_stderr_keeps_its_version(has_write: bool, tmp_path: Path) -> None:
    wasm = text(VERSIONED % (WRITE if has_write else ""))
    woven = weave(wasm, Plan(trace=everything, sink="stderr"))
    before, after = faces(decode(wasm))[0], faces(decode(woven.wasm))[0]
    assert list(after) == [*before, "wasi:random/insecure-seed@0.2.3"]
    added = set(after["wasi:io/streams@0.2.3"]) - set(before["wasi:io/streams@0.2.3"])
    write = "[method]output-stream.blocking-write-and-flush"
    assert added == (set() if has_write else {"stream-error", write})
    numbers = []
    found = by_stderr(wasm, lambda g: numbers.append((g.call("f"), g.call("f"))), None, tmp_path)
    funcs = [json.loads(line)["func"] for line in found if '"phase": "call"' in line]
    assert funcs == ["f", "get-stderr", "output-stream.drop"] * 2
    original = Guest(wasm, None, None, WasiConfig())
    assert set(numbers) == {(original.call("f"), original.call("f"))}


# --- enclosing


def enclosed(data: bytes) -> bytes:
    root = decode(data)
    return encode(enclose(Outer.around(root), root))


SCRIPTS = [path for path in sorted(FIXTURES.glob("*.wat")) if ";;!" in path.read_text()]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_an_enclosed_component_behaves_the_same(path: Path) -> None:
    assert compare(run_script(path), run_script(path, Hook(enclosed))) == []


@pytest.mark.parametrize("name", [*NAMES, "command"])
def test_an_enclosed_component_has_the_same_world(name: str) -> None:
    data = build(name)
    assert faces(decode(enclosed(data))) == faces(decode(data))


def customs(component: Component) -> list[tuple[str, bytes]]:
    return [
        (d.node.name, bytes(d.node.data))
        for d in component.definitions
        if isinstance(d.node, n.Custom)
    ]


@pytest.mark.parametrize("sink", ALLOWED)
def test_custom_sections_stay_at_the_root(sink: Any) -> None:
    plain = decode(guests.INNER_TICKER)
    more = (custom("producers", b"\0"), custom("signature", b"abc"))
    original = plain.with_definitions((more[0], *plain.definitions, more[1]))
    woven = decode(weave(encode(original), Plan(trace=everything, sink=sink)).wasm)
    assert customs(woven)[: len(customs(original))] == customs(original)
    assert stamp_of(woven) is not None
    for definition in woven.definitions:
        if isinstance(definition.node, Component):
            assert customs(definition.node) == []


def test_a_tick_with_a_host_that_has_no_wasi() -> None:
    """The sink none asks nothing of the host."""
    woven = weave(guests.TICKER, Plan(trace=everything, sink="none", timed=False))
    assert Guest(woven.wasm, Functions({("", k): (TICK, lambda i: i) for k in ("tick", "last")})
                 ).call("go", 3) == 3  # fmt: skip
