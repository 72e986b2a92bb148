"""What is read from the memory of an agent whose guest is gone."""

from __future__ import annotations

import struct

import pytest

from whamm_cm.agent.layout import (
    BLOCK_HEADER,
    BUFFER_PTR,
    DROPPED,
    FINAL,
    INSTANCE,
    POS,
    STATE,
)
from whamm_cm.run.leftover import leftover
from whamm_cm.run.memories import Kept, Linear

_START = 4096


class Agent(Linear):
    """The memory of one, with its state and what is in its buffer."""

    def __init__(self, instance: int, dropped: int = 0, buffer: bytes = b"") -> None:
        super().__init__(7, 0, 1 << 16, 0, 0)
        self.image = bytearray(1 << 16)
        values = {INSTANCE: instance, DROPPED: dropped, BUFFER_PTR: _START}
        for at, value in {**values, POS: _START + len(buffer)}.items():
            struct.pack_into("<I", self.image, STATE + at, value)
        self.image[_START : _START + len(buffer)] = buffer

    def read(self, start: int, size: int) -> bytes:
        return bytes(self.image[start : start + size])


RECORD = struct.pack("<IIQ", 16, 0, 0)


@pytest.mark.parametrize(
    ("agent", "payloads"),
    [
        (Agent(3, buffer=RECORD), [RECORD]),
        (Agent(3, dropped=2), [b""]),
        (Agent(3), [b""]),  # it has sent all: that this is the end is still to be said
        (Agent(0), []),  # it has never said anything
    ],
)
def test_the_last_block_says_that_it_is(agent: Agent, payloads: list[bytes]) -> None:
    blocks = list(leftover(Kept(7, [agent])))
    assert [block[BLOCK_HEADER:] for block in blocks] == payloads
    flags = [struct.unpack_from("<I", block, 4)[0] for block in blocks]
    assert flags == [FINAL] * len(payloads)
