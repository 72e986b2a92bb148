"""Whatever the bytes are, decoding a core module ends, and only DecodeError comes out."""

from __future__ import annotations

import contextlib
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import mark

from tests.wasm.core_samples import SAMPLES, end_of, sample
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.instructions import scan
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.sections import PREAMBLE
from whamm_cm.wasm.stub import stub_module

PARTS = (
    "types", "imports", "functions", "tables", "memories", "tags", "globals", "exports", "start",
    "elements", "data_count", "data_segments", "bodies", "names",
)  # fmt: skip


def decode_everything(data: bytes) -> None:
    """Ask for every part; a part that is refused does not hide the others."""
    with contextlib.suppress(DecodeError):
        module = CoreModule(data, offset=1 << 20, path="module[0]")
        assert module.encode() == data
        stub_module(module)
        for part in PARTS:
            try:
                getattr(module, part)
            except DecodeError as fault:
                assert 1 << 20 <= fault.offset <= (1 << 20) + len(data), fault
                assert fault.path.startswith("module[0]")
        for index in range(len(module.bodies)):
            with contextlib.suppress(DecodeError):
                list(module.instructions(index))
        for export in module.exports:
            with contextlib.suppress(DecodeError):
                getattr(module, f"{export.kind}_type")(export.index)


@mark.parametrize("name", SAMPLES)
def test_every_truncation(name: str) -> None:
    for size in range(len(sample(name))):
        decode_everything(sample(name)[:size])


@mark.parametrize("name", SAMPLES)
def test_bytes_changed_at_random(name: str) -> None:
    dice = random.Random(name)
    for _ in range(300):
        data = bytearray(sample(name))
        for _ in range(dice.randint(1, 4)):
            data[dice.randrange(len(data))] = dice.choice(
                (0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256))
            )
        decode_everything(bytes(data))


@given(st.integers(0, 13), st.binary(max_size=60))
@settings(max_examples=500, deadline=None)
def test_any_section_payload(number: int, payload: bytes) -> None:
    decode_everything(PREAMBLE + bytes((number, len(payload))) + payload)


@given(st.binary(max_size=80))
@settings(max_examples=500, deadline=None)
def test_any_code(code: bytes) -> None:
    with contextlib.suppress(DecodeError):
        at = 0
        for start, _, end in scan(code, 0, len(code)):
            assert start == at < end <= len(code)
            at = end
    with contextlib.suppress(DecodeError):
        assert 0 < end_of(code, 0, len(code)) <= len(code)
