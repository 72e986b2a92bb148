"""What a component asks of an engine: compared with what wasmtime refuses without it."""

from __future__ import annotations

from pathlib import Path

import pytest
from wasmtime import wat2wasm

from fixtures import build
from whamm_cm.analysis.demands import World, features, world
from whamm_cm.component.decode import decode

MODULE = """(core module $m (func (export "f")) (func (export "c") (param i32 i32 i32) (result i32)
  i32.const 0) (func (export "e") (result i32) i32.const 0) (memory (export "m") 1))
  (core instance $i (instantiate $m)) (alias core export $i "m" (core memory $mem))"""

#: Feature → components that cannot do without it (and without ``async``, where it is of that).
ASKING = {
    "async": [
        '(import "f" (func async))',
        '(import "f" (func (param "s" (stream u8))))',
        '(import "i" (instance (export "f" (func (result (future))))))',
        "(core func (canon task.return))",
        "(core func (canon context.get i32 0))",
        "(core func (canon backpressure.inc))",
        "(core func (canon thread.yield))",
        MODULE + '(func async (canon lift (core func $i "e") async (callback (func $i "c"))))',
        "(component (core func (canon subtask.drop)))",
    ],
    "async-stackful": [MODULE + '(func async (canon lift (core func $i "f") async))'],
    "more-async-builtins": [
        "(core func (canon subtask.cancel async))",
        "(type $s (stream u8)) (core func (canon stream.cancel-read $s async))",
        MODULE + "(type $s (stream u8)) (core func (canon stream.read $s (memory $mem)))",
        MODULE + "(type $s (future u8)) (core func (canon future.write $s (memory $mem)))",
    ],
    "threading": [
        "(core func (canon context.set i32 1))",
        "(core func (canon thread.index))",
        "(core func (canon thread.suspend))",
    ],
    "error-context": [
        "(core func (canon error-context.drop))",
        '(import "f" (func (param "e" error-context)))',
        "(type (record (field \"e\" (option error-context))))",
    ],
    "map": ["(type (map string u32))"],
    "fixed-length-lists": ["(type (list u8 4))"],
    "implements": ['(import "n" (implements "a:b/c") (instance))'],
    "memory64": [
        MODULE.replace("(memory (export \"m\") 1)", "(memory (export \"m\") i64 1)")
        + "(type $s (stream u8)) (core func (canon stream.write $s async (memory $mem)))",
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("feature", "text"), [(key, one) for key, texts in ASKING.items() for one in texts]
)
def test_what_is_asked_for_is_named(feature: str, text: str) -> None:
    found = set(features(decode(bytes(wat2wasm(f"(component {text})")))))
    assert feature in found
    assert found <= {feature, "async"}


def test_others_ask_for_nothing() -> None:
    for name in ("strings", "resources", "http_echo", "run_command"):
        assert features(decode(build.build(name))) == ()
    assert features(decode(build.build("p3_command"))) == ("async",)


def made(*imports: str, exports: tuple[str, ...] = ()) -> World:
    text = "".join(f'(import "{name}" (instance))' for name in imports)
    text += "(instance $e)" + "".join(f'(export "{name}" (instance $e))' for name in exports)
    return world(decode(bytes(wat2wasm(f"(component {text})"))))


def test_worlds() -> None:
    assert made("wasi:cli/stdin@0.2.0", "acme:a/b@0.3.0") == World((), False, False)
    assert made("wasi:messaging/types@0.3.0") == World((), False, False)
    assert made("wasi:tls/types@0.3.0-draft") == World((), False, False)
    both = made("wasi:io/poll@0.2.0", "wasi:clocks/types@0.3.1", exports=("wasi:cli/run@0.2.0",))
    assert both == World(("0.3.1",), True, False)
    draft = "0.3.0-rc-2026-03-15"
    assert made(exports=(f"wasi:http/handler@{draft}",)) == World((draft,), False, True)
    assert made(exports=("wasi:cli/run@0.3.0",)) == World(("0.3.0",), True, False)
    assert made(exports=("wasi:http/incoming-handler@0.2.0",)) == World((), False, True)


def test_fixtures_of_0_3() -> None:
    assert world(decode(build.build("p3_command"))) == World(("0.3.0",), True, False)
    assert world(decode(build.build("p3_echo"))) == World(("0.3.0",), False, True)


def test_a_component_without_a_name_of_0_3_is_not_looked_at_by_trace() -> None:
    """`trace` looks for the bytes first: they are there wherever a world has such a version."""
    for name in ("p3_command", "p3_echo"):
        assert b"@0.3." in Path(build.path_of(name)).read_bytes()
