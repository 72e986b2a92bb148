"""Offsets in a woven component lead back to the module and the offset they came from."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.build import build
from tests.weave.host import everything, text
from whamm_cm.analysis.program import given_names
from whamm_cm.component.decode import decode
from whamm_cm.component.ir import walk
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.api import weave
from whamm_cm.weave.places import Place, Places
from whamm_cm.weave.plan import Plan, nothing


def modules(data: bytes) -> list[tuple[str, CoreModule]]:
    """With the names people know them by."""
    return [
        (given_names(component).get(d.item) or d.node.path, d.node)
        for component in walk(decode(data))
        for d in component.definitions
        if isinstance(d.node, CoreModule)
    ]


@pytest.mark.parametrize("sink", ["host", "stderr", "logging", "none"])
@pytest.mark.parametrize("name", ["trap", "nested", "strings", "command", "resources"])
def test_every_byte_of_code_leads_back(name: str, sink: Any) -> None:
    original = build(name)
    woven = weave(original, Plan(trace=everything, sink=sink))
    data, places = woven.wasm, Places.of(woven.component)
    for known, module in modules(original):
        for body in module.bodies:
            code = bytes(module.data[body.start : body.end])
            at = module.offset + body.start
            assert original[at : at + len(code)] == code
            candidates = [i for i in range(len(data)) if data.startswith(code, i)]
            found = [places.find(i) for i in candidates]
            assert Place(known, at, False) in found


def test_modules_of_ours_are_named_so() -> None:
    woven = weave(build("strings"), Plan(trace=everything, sink="stderr"))
    places = Places.of(woven.component)
    own = {place.module for i in range(len(woven.wasm)) if (place := places.find(i)) and place.own}
    assert own == {"whamm-cm agent", "whamm-cm probe", "whamm-cm sink"}


def test_an_unwoven_component_is_its_own_map() -> None:
    original = build("trap")
    places = Places.of(weave(original, Plan(trace=nothing, sink="host")).component)
    for known, module in modules(original):
        for index, body in enumerate(module.bodies, len(module.imported("func"))):
            start = module.offset + body.start
            assert places.find(start) == places.find(start, index) == Place(known, start, False)


def test_code_of_the_engine_is_in_no_module() -> None:
    original = build("trap")
    places = Places.of(decode(original))
    assert places.find(0) is None
    assert places.find(len(original) + 5) is None
    (_, module), *_ = modules(original)
    last = module.offset + module.bodies[-1].start
    assert places.find(last, 0) is None  # function 0 is elsewhere
    assert places.find(last, 999) is None


def test_a_module_without_a_name_goes_by_its_path() -> None:
    inner = '(component (core module) (core module (func (export "f") unreachable)))'
    places = Places.of(decode(text(f"(component (core module $named) {inner})")))
    named = {place.module for i in range(999) if (place := places.find(i))}
    assert named == {"named", "component[0].module[0]", "component[0].module[1]"}
