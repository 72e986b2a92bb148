"""How a block crosses the boundary: as a string of one character per byte to a host, as bytes to a
sink component."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.weave.echo import HOST, echo_component
from tests.weave.host import Functions, everything, text, traced
from whamm_cm.component import nodes as n
from whamm_cm.component.decode import decode
from whamm_cm.component.ir import walk
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan
from whamm_cm.wit.types import FuncT, ListT, Prim

WAT = Path(__file__).parents[2] / "fixtures" / "wat"
BYTES = ListT(Prim("u8"))


def encodings(wasm: bytes) -> list[str]:
    """Of the lowered functions, component by component."""
    return [
        definition.node.options.encoding
        for component in walk(decode(wasm))
        for definition in component.definitions
        if isinstance(definition.node, n.Canon) and definition.node.op == "lower"
    ]


@pytest.mark.parametrize(("sink", "added"), [("host", True), ("stderr", False), ("none", False)])
@pytest.mark.parametrize("name", ["strings", "nested"])
def test_only_a_string_is_lowered_as_latin1(name: str, sink: str, added: bool) -> None:
    """Once: by the only component with an agent, or by the relay that collects from several; the
    guest's own lowers stay as they are."""
    wasm = text((WAT / f"{name}.wat").read_text())
    woven = weave(wasm, Plan(trace=everything, sink=sink))
    before, after = encodings(wasm), encodings(woven.wasm)
    assert after.count("latin1+utf16") == before.count("latin1+utf16") + added
    assert after.count("utf16") == before.count("utf16") and woven.added.agents


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256])
@pytest.mark.parametrize("multi_memory", [True, False])
def test_every_byte_value_arrives(size: int, multi_memory: bool) -> None:
    """Blocks of odd and even length; bytes that are no ASCII, NUL among them."""
    data = bytes(range(255, 255 - size, -1))
    func = FuncT((("data", BYTES),), BYTES)
    functions = Functions({(HOST, "f0"): (func, lambda data: data)})
    guest, sink = traced(echo_component([func]), functions, multi_memory=multi_memory)
    assert bytes(guest.call("f0", list(data))) == data
    shown = {"~b64": base64.b64encode(data).decode()}
    found = [r["args"]["data"] if r["phase"] == "call" else r["result"] for r in sink.records]
    assert found == [shown] * 4
