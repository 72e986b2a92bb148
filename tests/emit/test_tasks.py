"""Wrappers of exports whose tasks do not end: their records stay whole when entries need room."""

from __future__ import annotations

import struct
from typing import Any

import pytest
import wasmtime as wt

from tests.emit.rig import Rig
from whamm_cm.abi.flatten import CoreSig
from whamm_cm.agent import layout
from whamm_cm.emit.model import ProbeOptions, Wrapper
from whamm_cm.wit.types import Prim

WAIT = 2


class Tasks(Rig):
    """With a context of its own for each call, as each task has one."""

    slot = 0

    def _extern(self, wanted: wt.ImportType, callees: Any) -> Any:
        if wanted.name == "context.get":
            return wt.Func(self.store, wanted.type, lambda: self.slot)
        if wanted.name == "context.set":
            return wt.Func(self.store, wanted.type, self._set)
        return super()._extern(wanted, callees)

    def _set(self, value: int) -> None:
        self.slot = value


@pytest.mark.parametrize("multi_memory", [True, False])
@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("emit", [True, False])
def test_records_are_whole_when_the_buffer_moves(
    multi_memory: bool, timed: bool, emit: bool
) -> None:
    wrapper = Wrapper(
        site=3,
        kind="lift",
        action="record",
        signature=CoreSig(("i32",), ("i32",), False, False),
        params=(("n", Prim("u32")),),
        is_async=True,
        callback=True,
        role="enter",
    )
    options = ProbeOptions(timed=timed, multi_memory=multi_memory, emit=emit, context="i32")
    rig = Tasks([wrapper], [lambda n: WAIT], options)
    count = 3000
    for number in range(count):
        rig.slot = 0
        assert rig.call(number) == WAIT
        entry = rig.agent["memory"].read(rig.store, rig.slot, rig.slot + 32)
        call, _, value, word, task = struct.unpack("<QQQII", entry)
        assert (call, value, word, task) == (number + 1, 0, 3 << 8, number + 1)
    start = rig.state(layout.BUFFER_PTR)
    assert start > layout.BUFFER, "the buffer has moved"
    if not emit:
        return
    assert rig.state(layout.POS) == start, "all has left"
    records = rig.sent()
    assert [one.call for one in records] == list(range(1, count + 1))
    bodies = [struct.unpack("<II", one.body) for one in records]
    assert bodies == [(number + 1, number) for number in range(count)]
