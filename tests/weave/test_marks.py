"""What a host takes for an agent's memory is never one of the input's."""

from __future__ import annotations

import pytest
from wasmtime import wat2wasm

from whamm_cm.component.ir import walk
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan

MARK = 5000


def component(memories: str) -> bytes:
    return bytes(
        wat2wasm(f"""(component
          (component $c (core module $m {memories}) (core instance (instantiate $m)))
          (instance (instantiate $c))
          (core module $main (func (export "f")))
          (core instance $i (instantiate $main))
          (func (export "f") (canon lift (core func $i "f"))))""")
    )


@pytest.mark.parametrize(
    ("maxima", "mark"),
    [((), MARK), ((MARK - 1, MARK + 2), MARK), ((MARK,), MARK + 1), ((MARK + 1,), MARK + 2),
     (range(MARK, MARK + 900, 2), MARK + 899)],
)  # fmt: skip
def test_the_next_mark_that_is_free(maxima: tuple[int, ...], mark: int) -> None:
    memories = " ".join(f"(memory 0 {maximum})" for maximum in maxima)
    woven = weave(component(memories), Plan(trace=lambda *_: True, sink="host", mark=MARK))
    assert woven.mark == mark
    limits = [
        memory.max
        for part in walk(woven.component)
        for definition in part.definitions
        if isinstance(definition.node, CoreModule)
        for memory in definition.node.memories
    ]
    assert limits.count(mark) == 1, "that of the agent"


def test_an_input_that_has_them_all_is_not_read_when_it_is_dead() -> None:
    memories = " ".join(f"(memory 0 {maximum})" for maximum in range(1024, 65537, 2))
    woven = weave(component(memories), Plan(trace=lambda *_: True, sink="host", mark=MARK))
    assert woven.mark is None
