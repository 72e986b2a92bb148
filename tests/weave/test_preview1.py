"""Core modules traced: what they call of WASI preview 1, and what they export."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from wasmtime import (
    Engine,
    Func,
    FuncType,
    Global,
    GlobalType,
    Limits,
    Linker,
    Memory,
    MemoryType,
    Module,
    Store,
    Table,
    TableType,
    Val,
    ValType,
    wat2wasm,
)  # fmt: skip

import whamm_cm
from fixtures.build import build
from whamm_cm.errors import RunError, WeaveError
from whamm_cm.run.wasmtime import find_wasmtime
from whamm_cm.wasm.module import CoreModule

SECRET = "s3cret-word"
WASI = "wasi_snapshot_preview1"


@pytest.fixture(scope="module")
def app() -> whamm_cm.CoreModule:
    loaded = whamm_cm.load(build("preview1"))
    assert isinstance(loaded, whamm_cm.CoreModule)
    return loaded


def run(app: Any, folder: Path, **more: Any) -> whamm_cm.Run:
    (folder / "data").mkdir(exist_ok=True)
    return app.trace(
        dirs=[f"{folder / 'data'}::/data"], env={"TOKEN": SECRET, "LANG": "C"}, args=["a"], **more
    )


def told(records: Iterable[dict[str, Any]]) -> list[tuple[str, Any, Any]]:
    """Function, arguments and result of each call, in the order in which they were made."""
    calls: dict[int, list[Any]] = {}
    for record in records:
        if record["phase"] == "call":
            calls[record["call"]] = [record["func"], record.get("args"), None]
        elif record["phase"] == "return":
            calls[record["call"]][2] = record.get("result")
    return [tuple(call) for call in calls.values()]


def b64(raw: bytes) -> dict[str, str]:
    return {"~b64": base64.b64encode(raw).decode()}


def test_every_call_has_its_values(app: whamm_cm.CoreModule, tmp_path: Path) -> None:
    done = run(app, tmp_path)
    assert (done.status, done.stdout) == (3, b"hello\n")
    calls = told(done.records)
    assert [func for func, _, _ in calls] == [
        "_start", "args_sizes_get", "args_get", "environ_sizes_get", "environ_get",
        "fd_prestat_get", "fd_prestat_dir_name", "path_open", "fd_write", "fd_seek", "fd_read",
        "fd_filestat_get", "fd_close", "fd_readdir", "path_unlink_file", "path_open",
        "clock_time_get", "random_get", "poll_oneoff", "fd_write", "proc_exit",
    ]  # fmt: skip
    found = {func: (args, result) for func, args, result in reversed(calls)}
    assert found["args_get"] == (None, {"ok": ["input", "a"]})
    assert found["environ_get"] == (
        None,
        {"ok": [["TOKEN", {"~redacted": len(SECRET)}], ["LANG", {"~redacted": 1}]]},
    )
    assert found["fd_prestat_dir_name"] == ({"fd": 3, "path_len": 5}, {"ok": "/data"})
    rights = ["fd_read", "fd_seek", "fd_tell", "fd_write", "fd_filestat_get"]
    assert found["path_open"] == (
        {"fd": 3, "dirflags": ["symlink_follow"], "path": "note.txt", "oflags": ["creat", "trunc"],
         "fs_rights_base": rights, "fs_rights_inheriting": [], "fdflags": []},
        {"ok": 4},
    )  # fmt: skip
    assert found["fd_write"] == ({"fd": 4, "iovs": b64(b"one line\n")}, {"ok": 9})
    assert found["fd_seek"] == ({"fd": 4, "offset": 0, "whence": "set"}, {"ok": 0})
    assert found["fd_read"] == ({"fd": 4, "len": 132}, {"ok": b64(b"one ")})
    stat = found["fd_filestat_get"][1]["ok"]
    assert (stat["filetype"], stat["size"]) == ("regular_file", 9)
    entries = [(one["d_name"], one["d_type"]) for one in found["fd_readdir"][1]["ok"]]
    assert sorted(entries) == [
        (".", "directory"), ("..", "directory"), ("note.txt", "regular_file"),
    ]  # fmt: skip
    assert calls[15][2] == {"error": "noent"}
    assert found["poll_oneoff"][0] == {
        "in": [
            {
                "userdata": 7,
                "u": {"clock": {"id": "monotonic", "timeout": 1000, "precision": 0, "flags": []}},
            }
        ]
    }
    assert found["poll_oneoff"][1]["ok"][0]["userdata"] == 7
    assert found["proc_exit"] == ({"rval": 3}, None)
    assert len(base64.b64decode(found["random_get"][1]["ok"]["~b64"])) == 8


def test_nothing_changes_for_the_guest(app: whamm_cm.CoreModule, tmp_path: Path) -> None:
    plain, traced = (run(app, tmp_path, trace=which) for which in ("none", "*"))
    assert (plain.status, plain.stdout, plain.stderr) == (
        traced.status, traced.stdout, traced.stderr,
    )  # fmt: skip
    assert plain.records == () and traced.calls


@pytest.mark.parametrize(
    ("wanted", "funcs"),
    [
        ("%env", {"args_sizes_get", "args_get", "environ_sizes_get", "environ_get"}),
        ("%clock,%random", {"clock_time_get", "random_get"}),
        ("%stdio", {"fd_write", "fd_read"}),
        ("%fs,!wasi_*#path_*",
         {"fd_prestat_get", "fd_prestat_dir_name", "fd_write", "fd_read", "fd_seek",
          "fd_filestat_get", "fd_readdir", "fd_close"}),
        ("%net", set()),
        ("#_start", {"_start"}),
        (f"{WASI}#poll_oneoff", {"poll_oneoff"}),
    ],
)  # fmt: skip
def test_sets_select(
    app: whamm_cm.CoreModule, tmp_path: Path, wanted: str, funcs: set[str]
) -> None:
    done = run(app, tmp_path, trace=wanted)
    assert {func for func, _, _ in told(done.records)} == funcs
    assert {one.func for one in app.sites(wanted)} == funcs


def test_counts_and_times(app: whamm_cm.CoreModule, tmp_path: Path) -> None:
    done = run(app, tmp_path, trace=f"{WASI}#fd_write", count="%fs")
    reports = [r for r in done.records if r["phase"] == "report"]
    assert sum(r["count"] for r in reports if r["func"] == "path_open") == 2
    assert {r["func"] for r in reports} == {
        "fd_prestat_get", "fd_prestat_dir_name", "path_open", "fd_seek", "fd_read",
        "fd_filestat_get", "fd_close", "fd_readdir", "path_unlink_file",
    }  # fmt: skip
    returned = [r for r in done.records if r["phase"] == "return"]
    assert len(returned) == 2 and all(r["dur_ns"] >= 0 for r in returned)
    untimed = run(app, tmp_path, timed=False)
    assert not any("t_ns" in r for r in untimed.records if r["phase"] in ("call", "return"))


def test_what_was_seen_as_a_secret_is_masked(app: whamm_cm.CoreModule, tmp_path: Path) -> None:
    shown = json.dumps(run(app, tmp_path).records)
    assert SECRET not in shown
    assert SECRET in json.dumps(run(app, tmp_path, show_secrets=True).records)


def test_with_a_script(app: whamm_cm.CoreModule, tmp_path: Path) -> None:
    """Both at once: each says what it says alone."""
    script = "wasm:opcode:call:before { report var n: u32; n++; }"
    both = run(app, tmp_path, trace="%fs", scripts=script)
    alone, traced = run(app, tmp_path, scripts=script), run(app, tmp_path, trace="%fs")
    assert both.reports and [c.value for c in both.reports] == [c.value for c in alone.reports]
    assert [one[:1] for one in told(both.records)] == [one[:1] for one in told(traced.records)]


@pytest.fixture(scope="module")
def command() -> str:
    """wasmtime, where it is installed."""
    try:
        return find_wasmtime(["0.3.0"], "it").path
    except RunError:
        pytest.skip("there is no command wasmtime")


@pytest.mark.parametrize("lines", ["packed", "json"])
def test_on_another_host(
    app: whamm_cm.CoreModule, tmp_path: Path, lines: str, command: str
) -> None:
    """Records come by the guest's stderr, which is all that the copy asks for."""
    (tmp_path / "data").mkdir()
    woven = app.weave(trace="*", lines=lines, timed=True)
    woven.write(tmp_path / "woven.wasm")
    words = ["--dir", f"{tmp_path / 'data'}::/data", "--env", f"TOKEN={SECRET}"]
    done = subprocess.run(
        [command, "run", *words, str(tmp_path / "woven.wasm"), "a"],
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, b"hello\n")
    assert SECRET.encode() not in done.stderr and done.stderr.count(b"WCM2.") > 1
    (tmp_path / "host.log").write_bytes(done.stderr)
    records = whamm_cm.read_log(tmp_path / "host.log", woven=woven).records
    calls = told(records)
    assert len(calls) == 21 and calls[-2][1] == {"fd": 1, "iovs": b64(b"hello\n")}
    assert calls[3] == ("environ_sizes_get", None, {"ok": {"count": 1, "size": 18}})
    (start, *_) = records
    assert start["phase"] == "start" and start["wall_ns"] > start["t_ns"] > 0
    here, there = (set(_imports(data)) for data in (app.data, woven.bytes))
    assert here == there


def _imports(data: bytes) -> list[tuple[str, str]]:
    return [(one.module, one.name) for one in CoreModule(data).imports]


# --- what modules can be --------------------------------------------------------------------------


def module(text: str) -> whamm_cm.CoreModule:
    loaded = whamm_cm.load(bytes(wat2wasm(f"(module {text})")), "m.wasm")
    assert isinstance(loaded, whamm_cm.CoreModule)
    return loaded


WRITE = f'(import "{WASI}" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))'
REACTOR = f"""{WRITE}
  (memory (export "memory") 1) (data (i32.const 64) "hello")
  (func (export "_initialize"))
  (func (export "add") (param i32 f64) (result f64)
    (f64.add (f64.convert_i32_s (local.get 0)) (local.get 1)))
  (func (export "bad") (param i32) (result i32)
    (i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (i32.const 5))
    (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
  (func (export "end") unreachable)
  (func (export "refs") (param externref) (result externref) (local.get 0))
  (func (export "two") (result i32 i32) (i32.const 1) (i32.const 2))"""


def test_exports_have_their_core_values() -> None:
    done = module(REACTOR).trace(invoke="add(-2, 0.5)")
    assert told(done.records) == [
        ("_initialize", None, None),
        ("add", {"p0": -2, "p1": 0.5}, -1.5),
    ]


def test_what_cannot_be_wrapped_is_said_and_works() -> None:
    woven = module(REACTOR).weave(trace="*", sink="none")
    assert dict(woven.report.skipped) == {
        "export #refs": "it takes or returns references or vectors",
        "export #two": "it returns several values",
    }
    assert module(REACTOR).trace(invoke="two()").result == "(1, 2)"


def test_a_trap_leaves_what_was_recorded() -> None:
    done = module(REACTOR).trace(invoke="end()")
    assert done.trap is not None and [func for func, _, _ in told(done.records)][-1] == "end"


@pytest.mark.parametrize("pointer", [-16, 65532, 1 << 30])
def test_a_bad_pointer_is_the_hosts_to_refuse(pointer: int) -> None:
    """The probe says so, and what becomes of the call is what becomes of it without."""
    plain, traced = (
        module(REACTOR).trace(invoke=f"bad({pointer})", trace=which) for which in ("none", "*")
    )
    assert (plain.status, plain.result) == (traced.status, traced.result)
    (args,) = [args for func, args, _ in told(traced.records) if func == "fd_write"]
    assert args == {"fd": 1, "iovs": {"~bad": hex(pointer & 0xFFFFFFFF)}}


@pytest.mark.parametrize(
    ("memory", "reason"),
    [
        ("", "it works on a memory, and the module has none"),
        ('(memory (export "memory") i64 1)', "the module's has 64-bit ones"),
    ],
)
def test_without_a_memory_that_wasi_uses(memory: str, reason: str) -> None:
    text = f"""{WRITE} (import "{WASI}" "sched_yield" (func $yield (result i32))) {memory}
      (func (export "_start") (drop (call $yield)))"""
    woven = module(text).weave(trace="*", sink="host")
    (skipped,) = woven.report.skipped
    assert skipped[0] == f"import {WASI}#fd_write" and skipped[1].endswith(reason)
    assert woven.report.sites == 2


@pytest.mark.parametrize("memory", ["", "(memory 1)", '(memory (export "mem") 1)'])
def test_what_wasi_would_do_to_the_sinks_memory(memory: str) -> None:
    """A host refuses the calls of a module that exports no memory: it must not find the sink's."""
    text = f"""{WRITE} {memory} (func (export "_start") (drop
      (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100))))"""
    with pytest.raises(WeaveError, match="exports none.*use --sink host"):
        module(text).weave(trace="*")
    plain, traced = (module(text).trace(trace=which) for which in ("none", "*"))
    assert (plain.status, plain.stdout) == (traced.status, traced.stdout)


def test_a_memory_that_is_imported_and_functions_of_others() -> None:
    """What is not WASI has its core values; a function by the name and not of the type of one of
    WASI's is none of it."""
    found = module(f"""
      (import "env" "memory" (memory 1)) (import "env" "table" (table 2 funcref))
      (import "env" "base" (global i32))
      (import "env" "log" (func $log (param i32 f32) (result i64)))
      (import "env" "log" (func $again (param i32 f32) (result i64)))
      (import "{WASI}" "fd_write" (func $write (param i32) (result i32)))
      (export "memory" (memory 0))
      (func (export "go") (result i64) (drop (call $write (i32.const 7)))
        (drop (call $again (i32.const 2) (f32.const 0.5)))
        (call $log (i32.const 3) (f32.const 1.5)))""")
    woven = found.weave(trace="*", sink="host")
    store, blocks = Store(Engine()), []
    instance = _instance(store, woven.bytes, blocks)
    assert instance["go"](store) == 11
    receiver = whamm_cm.trace.decode.Receiver(woven.table)
    records = [r for block in blocks for r in receiver.receive(block).records]
    assert told(records) == [
        ("go", None, 11),
        ("fd_write", {"p0": 7}, 5),
        ("log", {"p0": 2, "p1": 0.5}, 11),
        ("log", {"p0": 3, "p1": 1.5}, 11),
    ]


def _instance(store: Store, wasm: bytes, blocks: list[bytes]) -> Any:
    linker, module_ = Linker(store.engine), Module(store.engine, wasm)
    holder: dict[str, Any] = {}

    def emit(at: int, size: int) -> int:
        memory = holder["it"]["whamm:cm/sink#memory"]
        blocks.append(bytes(memory.read(store, at, at + size)))
        return 1

    i32 = ValType.i32()
    linker.define(store, "env", "memory", Memory(store, MemoryType(Limits(1, None))))
    linker.define(
        store, "env", "table", Table(store, TableType(ValType.funcref(), Limits(2, None)), None)
    )
    linker.define(store, "env", "base", Global(store, GlobalType(i32, False), Val.i32(1)))
    linker.define(store, "whamm:cm/sink", "emit", Func(store, FuncType([i32, i32], [i32]), emit))
    linker.define(store, WASI, "fd_write", Func(store, FuncType([i32], [i32]), lambda a: 5))
    log = FuncType([i32, ValType.f32()], [ValType.i64()])
    linker.define(store, "env", "log", Func(store, log, lambda a, b: 11))
    holder["it"] = linker.instantiate(store, module_).exports(store)
    return holder["it"]


def test_one_name_of_several_types() -> None:
    """As hosts in JavaScript can have it: the first is woven, the others are left alone."""
    log = '(import "env" "log" (func (param i32)))'
    body = "(call 0 (i32.const 1)) (call 1)"
    found = module(f'{log} (import "env" "log" (func)) {log} (func (export "go") {body})')
    woven = found.weave(trace="*", sink="none")
    assert woven.report.skipped == [("import env#log", "it is imported by another type, too")]
    assert _imports(woven.bytes) == [("env", "log"), ("env", "log")]


def test_types_of_a_hierarchy_are_left_alone() -> None:
    data = bytes(
        wat2wasm("""(module (rec (type $a (func (param i32))) (type $b (func)))
          (func (export "go") (type $a)) (func (export "f") (param i32)))""")
    )
    woven = whamm_cm.load(data).weave(trace="*", sink="none")
    assert [title for title, _ in woven.report.skipped] == ["export #go"]


def test_a_start_function_is_traced_too() -> None:
    found = module(f"""(import "{WASI}" "sched_yield" (func $yield (result i32)))
      (memory (export "memory") 1) (func $go (drop (call $yield))) (start $go)
      (func (export "_start"))""")
    assert [func for func, _, _ in told(found.trace().records)] == ["sched_yield", "_start"]


def test_what_is_woven_is_not_woven_again(app: whamm_cm.CoreModule) -> None:
    woven = app.weave(trace="*")
    with pytest.raises(WeaveError, match="already been instrumented"):
        whamm_cm.load(woven.bytes).weave(trace="*")


def test_the_same_bytes(app: whamm_cm.CoreModule) -> None:
    one, two = (app.weave(trace="*", nonce="abcdefghij23").bytes for _ in range(2))
    assert one == two


def test_requests_are_for_components(app: whamm_cm.CoreModule) -> None:
    with pytest.raises(WeaveError, match="leave out --sample"):
        app.weave(trace="*", sample=10)


def test_before_unreachable_all_goes_out(tmp_path: Path, command: str) -> None:
    found = module(f"""(import "{WASI}" "sched_yield" (func $yield (result i32)))
      (memory (export "memory") 1) (func (export "_start") (local $n i32)
        (loop $again (drop (call $yield))
          (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1)))
            (i32.const 300))))
        unreachable)""")
    woven = found.weave(trace="*", flush="full")
    woven.write(tmp_path / "woven.wasm")
    done = subprocess.run(
        [command, "run", str(tmp_path / "woven.wasm")], capture_output=True, check=False
    )
    (tmp_path / "host.log").write_bytes(done.stderr)
    calls = told(whamm_cm.read_log(tmp_path / "host.log", woven=woven).records)
    assert done.returncode == 134 and len(calls) == 301
