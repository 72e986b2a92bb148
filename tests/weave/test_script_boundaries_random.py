"""Random types and values: scripts print what their paths lead to, and no guest notices."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.strategies import same, values_of, wit_types
from tests.weave.echo import HOST, echo_component
from tests.weave.host import Functions
from tests.weave.scripted import scripted
from tests.weave.test_true_values import runnable
from whamm_cm.wit.types import (
    EnumT,
    FlagsT,
    FuncT,
    ListT,
    MapT,
    OptionT,
    Prim,
    RecordT,
    ResultT,
    TupleT,
    ValType,
    VariantT,
    strip,
)

FACTOR = float(os.environ.get("WHAMM_EXAMPLES", "1"))
ENCODINGS = ("utf8", "utf16", "latin1+utf16")
#: A path as a script writes it, and what print shows of it.
Shown = tuple[str, str]


class _Nothing:
    """What is where a path leads nowhere."""


NOTHING = _Nothing()


@st.composite
def paths(draw: st.DrawFn, text: str, t: ValType, value: Any) -> Shown:
    """A path that starts at the variable ``text`` of type ``t``, which has that value."""
    while True:
        node = strip(t)
        leaves = _leaves(text, node, value)
        steps = _steps(text, node, value)
        if leaves and (not steps or draw(st.booleans())):
            return draw(st.sampled_from(leaves))
        if not steps:
            return "true", "true"
        text, t, value = draw(st.sampled_from(steps))


def _leaves(text: str, t: ValType, value: Any) -> list[Shown]:
    gone = value is NOTHING
    match t:
        case Prim("bool"):
            return [(text, "true" if not gone and value else "false")]
        case Prim("char"):
            return [
                (text, "" if gone else value),
                (f"{text} as u32", str(0 if gone else ord(value))),
            ]
        case Prim("string"):
            return [(text, "" if gone else value)]
        case Prim("f32" | "f64"):
            return []
        case Prim():
            return [(text, str(0 if gone else value))]
        case FlagsT(labels):
            return [(f'{text} has "{labels[-1]}"', _word(not gone and labels[-1] in value))]
        case ListT() | MapT():
            return [(f"len({text})", str(0 if gone else len(value)))]
    cases = _cases(t)
    if not cases:
        return []
    label = "" if gone else _case(t, value)[0]
    tests = [(f"{text} is {name}", _word(name == label)) for name, _ in cases[:3]]
    return [*tests, (text, label)] if isinstance(t, EnumT) else tests


def _word(value: bool) -> str:
    return "true" if value else "false"


def _steps(text: str, t: ValType, value: Any) -> list[tuple[str, ValType, Any]]:
    gone = value is NOTHING
    match t:
        case RecordT(fields):
            return [
                (f"{text}.{name.replace('-', '_')}", field, NOTHING if gone else value[name])
                for name, field in fields
            ]
        case TupleT(types):
            return [
                (f"{text}.{i}", item, NOTHING if gone else value[i]) for i, item in enumerate(types)
            ]
        case ListT(element):
            if gone or not value:
                return [(f"{text}[0]", element, NOTHING)]
            last = len(value) - 1
            return [(f"{text}[{i}]", element, value[i] if i <= last else NOTHING)
                    for i in dict.fromkeys((0, last, last + 1))]  # fmt: skip
    label, inner = (None, None) if gone else _case(t, value) if _cases(t) else (None, None)
    return [
        (f"{text}.{name.replace('-', '_')}", payload, inner if name == label else NOTHING)
        for name, payload in _cases(t)
        if payload is not None
    ]


def _cases(t: ValType) -> Sequence[tuple[str, ValType | None]]:
    match t:
        case EnumT(labels):
            return [(label, None) for label in labels]
        case VariantT(cases):
            return cases
        case OptionT(inner):
            return [("none", None), ("some", inner)]
        case ResultT(ok, err):
            return [("ok", ok), ("error", err)]
    return ()


def _case(t: ValType, value: Any) -> tuple[str, Any]:
    match t:
        case EnumT():
            return value, None
        case OptionT(inner):
            if value is None:
                return "none", None
            return "some", value["some"] if isinstance(strip(inner), OptionT) else value
    [(label, payload)] = value.items()
    return label, payload


TYPES = wit_types(2).map(runnable)


@given(st.data())
@settings(
    deadline=None,
    max_examples=max(1, int(30 * FACTOR)),
    suppress_health_check=list(HealthCheck),
)
def test_paths_print_what_is_there(data: st.DataObject) -> None:
    types = data.draw(st.lists(TYPES, min_size=1, max_size=4))
    result = data.draw(TYPES)
    func = FuncT(tuple((f"p{i}", t) for i, t in enumerate(types)), result)
    args = [data.draw(values_of(t)) for t in types]
    answer = data.draw(values_of(result))
    before = [
        data.draw(paths(f"p{i}", t, value))
        for i, (t, value) in enumerate(zip(types, args, strict=True))
        for _ in range(2)
    ]
    after = [data.draw(paths("result", result, answer)) for _ in range(3)]
    script = "\n".join(
        f"wit:{side}:*#f0:{mode} {{ {' '.join(_print(path) for path, _ in shown)} }}"
        for side in ("import", "export")
        for mode, shown in (("before", before), ("after", after))
    )
    wasm = echo_component([func], data.draw(st.sampled_from(ENCODINGS)))
    host = Functions({(HOST, "f0"): (func, lambda *_: answer)})
    run = scripted(wasm, script, functions=host, multi_memory=data.draw(st.booleans()))
    got = run.call("f0", *args)
    assert same(_plain(got), _plain(answer))
    [(_, passed)] = host.calls
    assert same(_plain(passed), _plain(args))
    wanted = [text for _, text in (*before, *before, *after, *after)]
    assert run.printed == wanted


def _print(path: str) -> str:
    return f'print("{{}}", {path});'


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value
