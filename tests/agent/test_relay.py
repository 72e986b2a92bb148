"""The relay as a bare core module: what it holds, what it passes on, and whom it numbers."""

from __future__ import annotations

import pytest
from wasmtime import FuncType

from tests.agent import encode
from tests.agent.harness import I32, Guest
from tests.agent.test_sink import said
from whamm_cm.agent import layout


class Relay(Guest):
    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        emit = FuncType([I32, I32], [I32])
        super().__init__("relay.wasm", {"emit": (emit, self._host)})

    def _host(self, at: int, size: int) -> int:
        self.pieces.append(self.read(at, size))
        return 0

    def send(self, block: bytes, flags: int = 0) -> int:
        chunks = -(-len(block) // layout.CHUNK)
        at = self.cabi_realloc(0, 0, 8, chunks * layout.CHUNK)
        block = block[:4] + bytes((flags,)) + block[5:]
        self.write(at, block.ljust(chunks * layout.CHUNK, b"\xee"))
        return int(self.emit(at, chunks))


def test_blocks_wait_for_a_final_one() -> None:
    relay = Relay()
    assert [relay.send(encode.block(said(b"a"))) for _ in range(3)] == [1, 2, 3]
    assert relay.pieces == []
    relay.send(encode.block(said(b"b"), instance=2), layout.FINAL)
    (piece,) = relay.pieces
    starts = range(0, len(piece), len(piece) // 4)
    assert [int.from_bytes(piece[at + 8 : at + 12], "little") for at in starts] == [1, 2, 3, 2]


def test_an_empty_final_block_only_pushes() -> None:
    relay = Relay()
    assert relay.send(encode.block(), layout.FINAL) == 0 and relay.pieces == []
    relay.send(encode.block(said(b"a")))
    assert relay.send(encode.block(), layout.FINAL) == 0 and len(relay.pieces) == 1


def test_much_goes_out_without_a_push() -> None:
    relay = Relay()
    big = encode.block(*[said(b"x" * 200)] * 150)
    sent = 0
    for _ in range(20):
        relay.send(big)
        sent += -(-len(big) // layout.CHUNK) * layout.CHUNK
    assert len(relay.pieces) > 3 and all(len(piece) <= 128 << 10 for piece in relay.pieces)
    relay.send(encode.block(), layout.FINAL)
    assert sum(map(len, relay.pieces)) == sent + layout.BLOCK_HEADER, "the final one says so"
    relay.send(encode.block(), layout.FINAL)
    assert sum(map(len, relay.pieces)) == sent + layout.BLOCK_HEADER, "and only once"


@pytest.mark.parametrize("block", [b"", b"\0" * 32, b"WCM1" + b"\0" * 28])
def test_what_is_no_block_is_ignored(block: bytes) -> None:
    relay = Relay()
    at = relay.cabi_realloc(0, 0, 8, 32)
    relay.write(at, block)
    assert relay.emit(at, len(block) // 32) == 0 and relay.pieces == []
