"""Random types and values: the text a script has of a value is what ``trace`` shows of it."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.strategies import values_of, wit_types
from tests.weave.echo import HOST, echo_component
from tests.weave.host import Functions, everything
from tests.weave.scripted import Scripted, scripted
from tests.weave.test_true_values import runnable
from whamm_cm.render.safe import lines
from whamm_cm.render.wave import ValueStyle, wave
from whamm_cm.wit.types import EnumT, FuncT, Prim, ValType, strip

FACTOR = float(os.environ.get("WHAMM_EXAMPLES", "1"))
ENCODINGS = ("utf8", "utf16", "latin1+utf16")
WHOLE = ValueStyle(1 << 30)
TYPES = wit_types(3).map(runnable)
LARGE = {"trace": everything, "max_string": 1 << 20, "max_list": 1 << 20}


def shown(t: ValType, value: Any) -> str:
    """What trace shows of a value as a record has it; what is a text itself without quotes."""
    node = strip(t)
    bare = isinstance(node, EnumT) or (isinstance(node, Prim) and node.name in ("string", "char"))
    if bare and isinstance(value, str):
        return lines(value)
    if isinstance(node, Prim) and node.name in ("f32", "f64") and isinstance(value, str):
        return value  # print has always shown them so
    return wave(value, WHOLE)


def run(types: list[ValType], values: list[Any], result: Any, script: str, **plan: Any) -> Scripted:
    func = FuncT(tuple((f"p{i}", t) for i, t in enumerate(types[:-1])), types[-1])
    host = Functions({(HOST, "f0"): (func, lambda *_: result)})
    encoding = plan.pop("encoding", "utf8")
    found = scripted(echo_component([func], encoding), script, functions=host, **plan)
    found.call("f0", *values)
    return found


def script_of(count: int) -> str:
    holes = "; ".join(["{}"] * count)
    names = ", ".join(f"p{i}" for i in range(count))
    kept = " ".join(f"seen[str(p{i})]++;" for i in range(count))
    before = f'before {{ print("{holes}", {names}); {kept} }}'
    return f"""report var seen: map<str, u32>;
        wit:import:*#f0:{before}
        wit:export:#f0:{before}
        wit:import:*#f0:after {{ print("= {{}}", result); }}
        wit:export:#f0:after {{ print("= {{}}", result); }}"""


@given(st.data())
@settings(
    deadline=None,
    max_examples=max(1, int(40 * FACTOR)),
    suppress_health_check=list(HealthCheck),
)
def test_a_text_is_what_trace_shows(data: st.DataObject) -> None:
    types = data.draw(st.lists(TYPES, min_size=2, max_size=5))
    values = [data.draw(values_of(t)) for t in types[:-1]]
    result = data.draw(values_of(types[-1]))
    plan = {
        "encoding": data.draw(st.sampled_from(ENCODINGS)),
        "multi_memory": data.draw(st.booleans()),
        **LARGE,
    }
    found = run(types, values, result, script_of(len(values)), **plan)
    records = [r for r in found.sink.records if r["phase"] in ("call", "return")]
    if any(r.get("big") for r in records):
        return  # a record has less room than a text
    calls = [r for r in records if r["phase"] == "call"]
    args = [calls[0]["args"][f"p{i}"] for i in range(len(values))]
    texts = [shown(t, v) for t, v in zip(types, args, strict=False)]
    (returned, _) = [r["result"] for r in records if r["phase"] == "return"]
    line, back = "; ".join(texts), "= " + shown(types[-1], returned)
    assert list(map(lines, found.printed)) == [line, line, back, back]
    keys = {lines(key): count for key, count in found.reported["seen"].items()}
    assert keys == {text: 2 * texts.count(text) for text in texts}
