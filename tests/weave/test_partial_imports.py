"""Components that import parts of what a sink needs: every sink completes them, in any order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wasmtime import WasiConfig

from tests.weave.host import Guest, everything, text
from tests.weave.test_sinks import by_host, by_lines, by_logging, by_stderr
from tests.weave.test_true_values import budget
from whamm_cm.errors import WeaveError
from whamm_cm.run.engine import validate_component
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan

_POLL = '(alias outer 1 $pollable (type $p)) (export "pollable" (type $pp (eq $p)))'
_ERROR = '(alias outer 1 $error (type $e)) (export "error" (type $ee (eq $e)))'
_OUT = '(export "output-stream" (type $o (sub resource)))'
_FAILURE = """(type $v (variant (case "last-operation-failed" (own $ee)) (case "closed")))
    (export "stream-error" (type $se (eq $v)))"""
_USED = '(alias outer 1 $out (type $o)) (export "output-stream" (type $oo (eq $o)))'

#: Instance types by interface and how much of it is imported.
PARTS: dict[str, dict[str, str]] = {
    "wasi:io/poll": {
        "pollable": '(export "pollable" (type (sub resource)))',
        "all": """(export "pollable" (type $p (sub resource)))
    (export "[method]pollable.ready" (func (param "self" (borrow $p)) (result bool)))""",
    },
    "wasi:io/error": {
        "nothing": "",
        "error": '(export "error" (type (sub resource)))',
    },
    "wasi:io/streams": {
        "nothing": "",
        "input": '(export "input-stream" (type (sub resource)))',
        "output": _OUT,
        "error alone": _ERROR,
        "output, error": _OUT + _ERROR,
        "error, output": _ERROR + _OUT,
        "failures": _ERROR + _OUT + _FAILURE,
        "a method": f"""{_ERROR} {_OUT} {_FAILURE}
    (export "[method]output-stream.check-write" (func (param "self" (borrow $o))
      (result (result u64 (error $se)))))""",
        "waiting": f"""{_POLL} {_OUT}
    (export "[method]output-stream.subscribe" (func (param "self" (borrow $o))
      (result (own $pp))))""",
        "waiting, error": f"""{_OUT} {_POLL} {_ERROR}
    (export "[method]output-stream.subscribe" (func (param "self" (borrow $o))
      (result (own $pp))))""",
    },
    "wasi:cli/stdout": {
        "nothing": "",
        "get": _USED + '(export "get-stdout" (func (result (own $oo))))',
    },
    "wasi:cli/stderr": {
        "nothing": "",
        "type": _USED,
        "get": _USED + '(export "get-stderr" (func (result (own $oo))))',
    },
    "wasi:clocks/monotonic-clock": {
        "nothing": "",
        "now": '(export "now" (func (result u64)))',
        "waiting": f"""{_POLL}
    (export "subscribe-duration" (func (param "when" u64) (result (own $pp))))""",
    },
    "wasi:clocks/wall-clock": {
        "nothing": "",
        "type": """(type $r (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type (eq $r)))""",
        "resolution": """(type $r (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $d (eq $r))) (export "resolution" (func (result $d)))""",
    },
    "wasi:random/insecure-seed": {
        "nothing": "",
        "seed": '(export "insecure-seed" (func (result (tuple u64 u64))))',
    },
}
#: Types that others are given, by the interface they come of.
GIVEN = {
    "wasi:io/poll": ("pollable", "pollable"),
    "wasi:io/error": ("error", "error"),
    "wasi:io/streams": ("output-stream", "out"),
}
World = list[tuple[str, str, str]]  # interface, how much of it, version


def _short(path: str) -> str:
    return "$" + path.partition("/")[2]


def _body(kind: str, path: str) -> str:
    return PARTS[path][kind]


def sane(world: World) -> World:
    """Without the imports that use types of what is not imported further up."""
    known, kept = set[str](), list[tuple[str, str, str]]()
    for path, kind, version in world:
        body = _body(kind, path)
        if all(f"outer 1 ${used} " not in body or used in known for _, used in GIVEN.values()):
            kept.append((path, kind, version))
            name, as_ = GIVEN.get(path, ("", ""))
            if name and f'(export "{name}"' in body:
                known.add(as_)
    return kept


def component(world: World, late: bool = False) -> bytes:
    """Imports, and a function that calls what it can of them, so that handles and order show.
    ``late``: aliases stand before the import that uses them instead of behind that they are of."""
    parts, pending = [], dict[str, str]()
    for path, kind, version in world:
        body = _body(kind, path)
        used = [name for name in pending if f"outer 1 ${name} " in body]
        parts += [pending.pop(name) for name in used]
        parts.append(f'(import "{path}@{version}" (instance {_short(path)}\n    {body}))')
        name, as_ = GIVEN.get(path, ("", ""))
        if name and f'(export "{name}"' in body:
            alias = f'(alias export {_short(path)} "{name}" (type ${as_}))'
            if late:
                pending[as_] = alias
            else:
                parts.append(alias)
    parts += pending.values()
    return text(f"(component {' '.join(parts)} {_code({path: kind for path, kind, _ in world})})")


def _code(kinds: dict[str, str]) -> str:
    stream = next(
        (path for path in ("wasi:cli/stdout", "wasi:cli/stderr") if kinds.get(path) == "get"), None
    )
    lowered, uses, run = [], [], ["(i32.const 7)"]

    def use(name: str, signature: str, canon: str) -> None:
        lowered.append(f"(core func ${name} (canon {canon}))")
        uses.append((name, f'(import "" "{name}" (func ${name} {signature}))'))

    if stream is not None:
        use("get", "(result i32)", f'lower (func {_short(stream)} "get-{_short(stream)[1:]}")')
        use("drop", "(param i32)", "resource.drop $out")
        inner = "(local.get $s)"
        if "waiting" in kinds["wasi:io/streams"]:
            method = "[method]output-stream.subscribe"
            use("wait", "(param i32) (result i32)", f'lower (func $streams "{method}")')
            use("drop-p", "(param i32)", "resource.drop $pollable")
            run.append("(local.set $p (call $wait (local.get $s)))")
            run.append("(call $drop-p (local.get $p)) (i32.add (local.get $p))")
        run = ["(local.set $s (call $get))", *run, f"(call $drop {inner})"]
        run.append("(i32.add (i32.mul (local.get $s) (i32.const 100)))")
    exports = " ".join(f'(export "{name}" (func ${name}))' for name, _ in uses)
    return f"""{" ".join(lowered)}
  (core module $m {" ".join(taken for _, taken in uses)}
    (func (export "f") (result i32) (local $s i32) (local $p i32) {" ".join(run)}))
  (core instance $i (instantiate $m (with "" (instance {exports}))))
  (func (export "f") (result u32) (canon lift (core func $i "f")))"""


def check(wasm: bytes, folder: Path) -> None:
    expected = Guest(wasm, None, None, WasiConfig()).call("f")

    def call(guest: Guest) -> None:
        assert guest.call("f") == expected

    records = by_host(wasm, call, None)
    assert records
    assert by_stderr(wasm, call, None, folder) == records
    assert by_logging(wasm, call, None) == records
    for lines in ("packed", "json"):
        timed: dict[str, Any] = {"lines": lines, "timed": True}
        assert len(by_lines(wasm, call, None, folder, **timed)) == len(records)
        assert len(by_logging(wasm, call, None, **timed)) == len(records)
    assert len(by_host(wasm, call, None, timed=True)) == len(records)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Often in the order of what uses what, with which most can stay."""
    paths = draw(st.one_of(st.just(list(PARTS)), st.permutations(list(PARTS))))
    version = st.sampled_from(draw(st.sampled_from([["0.2.0"], ["0.2.6"], ["0.2.0", "0.2.3"]])))
    kinds = [(path, draw(st.sampled_from([*PARTS[path], ""]))) for path in paths]
    return sane([(path, kind, draw(version)) for path, kind in kinds if kind])


@budget(25)
@given(world=worlds(), late=st.booleans())
def test_every_sink_completes_parts_of_interfaces(
    tmp_path_factory: pytest.TempPathFactory, world: World, late: bool
) -> None:
    check(component(world, late), tmp_path_factory.mktemp("sink"))


def _world(*parts: tuple[str, str], version: str = "0.2.0") -> World:
    world = [(f"wasi:{path}", kind, version) for path, kind in parts]
    assert sane(world) == world
    return world


POLL, WAITING, STDOUT = ("io/poll", "pollable"), ("io/streams", "waiting"), ("cli/stdout", "get")
WORLDS = {
    "no error": _world(POLL, WAITING, STDOUT),
    "no error, of a later version": _world(POLL, WAITING, STDOUT, version="0.2.6"),
    "an error that is not used above": _world(POLL, WAITING, STDOUT, ("io/error", "error")),
    "an error with nothing in it": _world(POLL, WAITING, ("io/error", "nothing"), STDOUT),
    "an error in front": _world(("io/error", "error"), POLL, WAITING, STDOUT),
    "an error of another version": [
        *_world(POLL, WAITING, STDOUT), ("wasi:io/error", "error", "0.2.3"),
    ],
    "streams without anything": _world(("io/streams", "nothing")),
    "stderr in front of streams": _world(("cli/stderr", "nothing"), POLL, WAITING, STDOUT),
    "stderr and nothing else": _world(("cli/stderr", "nothing")),
    "stderr with streams it cannot write": _world(("io/streams", "output"), ("cli/stderr", "get")),
    "clocks in front": _world(
        POLL, ("clocks/monotonic-clock", "waiting"), ("clocks/wall-clock", "resolution"),
        ("random/insecure-seed", "nothing"), WAITING, STDOUT,
    ),
}  # fmt: skip


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", WORLDS)
def test_every_sink_completes(name: str, late: bool, tmp_path: Path) -> None:
    check(component(WORLDS[name], late), tmp_path)


OUTPUT = '(export "output-stream" (type (sub resource)))'
TWO_STREAMS = f"""
  (import "wasi:io/streams@0.2.0" (instance $first {OUTPUT}))
  (import "wasi:io/streams@0.2.3" (instance $streams {OUTPUT}))
  (alias export $streams "output-stream" (type $out))"""
GET = '(export "get-stderr" (func (result (own $oo))))'
STDERR = f'(import "wasi:cli/stderr@0.2.3" (instance {_USED} {GET}))'
#: How the type of stderr's stream leads to the second of two versions.
PATHS = {
    "straight": STDERR,
    "not exported": """(import "wasi:cli/stderr@0.2.3" (instance
      (alias outer 1 $out (type $o)) (export "get-stderr" (func (result (own $o))))))""",
    "by another name": f"""(import "wasi:cli/stderr@0.2.3" (instance
      (alias outer 1 $out (type $o)) (export "o" (type $p (eq $o)))
      (export "output-stream" (type $oo (eq $p))) {GET}))""",
    "by an export": f'(export $t "t" (type $out)) {STDERR.replace("$out", "$t")}',
    "by an import": f'(import "t" (type $t (eq $out))) {STDERR.replace("$out", "$t")}',
    "by stdout": f"""(import "wasi:cli/stdout@0.2.3" (instance $stdout {_USED}))
      (alias export $stdout "output-stream" (type $t)) {STDERR.replace("$out", "$t")}""",
}


@pytest.mark.parametrize("name", PATHS)
def test_the_stream_of_stderr_is_found(name: str, tmp_path: Path) -> None:
    wasm = text(f"(component {TWO_STREAMS} {PATHS[name]} {_code({})})")
    if name == "by an import":  # which wasmtime has no way to provide
        for timed in (False, True):
            woven = weave(wasm, Plan(trace=everything, timed=timed)).wasm
            assert validate_component(woven) is None
        return
    check(wasm, tmp_path)


@pytest.mark.parametrize(
    ("imports", "place"),
    [
        (f'(import "wasi:cli/stderr@0.2.0" (instance {_OUT} {GET.replace("$oo", "$o")}))',
         "the output-stream of the import wasi:cli/stderr@0.2.0 is not that of wasi:io/streams"),
        (f"""(import "a:b/c" (instance $c {_OUT})) (alias export $c "output-stream" (type $out))
          {STDERR}""",
         "the output-stream of the import wasi:cli/stderr@0.2.3 is not that of wasi:io/streams"),
        ("""(import "wasi:io/streams@0.2.0" (instance (export "error" (type (sub resource)))))""",
         "the error of the import wasi:io/streams@0.2.0 is not that of wasi:io/error"),
    ],
)  # fmt: skip
def test_resources_of_elsewhere_are_refused(imports: str, place: str) -> None:
    wasm = text(f"(component {imports} {_code({})})")
    with pytest.raises(WeaveError, match=f"^{re.escape(place)}.*; use --sink host$"):
        weave(wasm, Plan(trace=everything))
    assert validate_component(weave(wasm, Plan(trace=everything, sink="host")).wasm) is None
