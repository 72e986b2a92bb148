"""Components that play a recording: any value of any type is answered, and compared, whole."""

from __future__ import annotations

from typing import Any

import pytest
import wasmtime
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wasmtime.component import Component, Linker

from fixtures.relay import every_type, relay_text
from tests.strategies import same, values_of, wit_types
from whamm_cm.component.decode import decode
from whamm_cm.front.composing import composed
from whamm_cm.trace.passing import Encoders
from whamm_cm.trace.recorded import Call, Lived, Recording
from whamm_cm.trace.recording import signatures
from whamm_cm.wit.resolve import resolve
from whamm_cm.wit.types import (
    Borrow,
    EnumT,
    FlagsT,
    FuncT,
    FutureT,
    ListT,
    MapT,
    Own,
    Prim,
    StreamT,
    ValType,
    children,
    strip,
)

#: A function of the relay, what it is given and what it is answered.
Passed = tuple[str, Any, Any]


def carried(t: ValType) -> bool:
    """Whether a relay can, and an engine takes it."""
    match strip(t):
        case MapT() | Own() | Borrow() | StreamT() | FutureT() | Prim("error-context"):
            return False
        case ListT(_, int()):
            return False
        case FlagsT(labels):
            return len(labels) <= 32
    return all(map(carried, children(strip(t))))


def recording(app: bytes, passed: list[Passed]) -> Recording:
    """Of calls of exports, each of which calls the import of its name with what it was given."""
    world = resolve(decode(app, "relay")).world
    imports, exports = signatures("import", world.imports), signatures("export", world.exports)
    encode, life, number = Encoders(), Lived(), 0
    for name, value, answer in passed:
        for signature, calls in (
            (exports[name], life.entered),
            (imports[f"echo#{name}"], life.made),
        ):
            number += 1
            t = signature.type
            assert t.result is not None
            args = [encode.of(t.params[0][1])(value, iter(()))]
            called = {**signature.head("call"), "call": number, **signature.called(args)}
            calls.append(Call(called, {"result": encode.of(t.result)(answer, iter(()))}))
    return Recording({"phase": "recording", "secrets": "keep"}, [life], {"phase": "end"}, [])


def play(app: bytes, record: Recording) -> None:
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    component = Component(engine, composed(record, app, "relay").data)
    replay = Linker(engine).instantiate(store, component).get_func(store, "replay")
    assert replay is not None and replay(store) == ""


def relay(funcs: dict[str, FuncT], encoding: str) -> bytes:
    return bytes(wasmtime.wat2wasm(relay_text(funcs, encoding, encoding)))


@st.composite
def relayed(draw: st.DrawFn) -> tuple[dict[str, FuncT], list[Passed]]:
    types = draw(st.lists(wit_types(3).filter(carried), min_size=1, max_size=5))
    funcs = {f"f{k}": FuncT((("value", t),), t) for k, t in enumerate(types)}
    names = draw(st.lists(st.sampled_from([*funcs]), min_size=1, max_size=6))
    passed = []
    for name in names:
        values = values_of(funcs[name].params[0][1])
        passed.append((name, draw(values), draw(values)))
    return funcs, passed


@pytest.mark.parametrize("encoding", ["utf8", "utf16", "latin1+utf16"])
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_every_type(encoding: str, data: st.DataObject) -> None:
    funcs = every_type()
    passed = []
    for name, func in funcs.items():
        values = values_of(func.params[0][1])
        passed += [(name, data.draw(values), data.draw(values)) for _ in range(2)]
    app = relay(funcs, encoding)
    play(app, recording(app, passed))


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(relayed(), st.data())
def test_any_type(case: tuple[dict[str, FuncT], list[Passed]], data: st.DataObject) -> None:
    """With one value another, it is noticed."""
    funcs, passed = case
    app = relay(funcs, "utf8")
    record = recording(app, passed)
    play(app, record)
    number = data.draw(st.integers(0, len(passed) - 1))
    name, value, answer = passed[number]
    t = funcs[name].params[0][1]
    if isinstance(strip(t), EnumT) and len(strip(t).labels) == 1:
        return
    other = data.draw(values_of(t).filter(lambda v: not same(v, value) and not same(v, answer)))
    made, entered = record.lives[0].made[number], record.lives[0].entered[number]
    encoded = Encoders().of(t)(other, iter(()))
    if data.draw(st.booleans()):
        made.record["args"] = {"value": encoded}
    else:
        entered.answer = {"result": encoded}
    with pytest.raises(wasmtime.WasmtimeError, match="recorded was: "):
        play(app, record)
