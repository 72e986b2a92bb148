"""The kernel and Python say the same numbers; what the kernel is given cannot make it run on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import wasmtime

from tests.golden import check_golden
from whamm_cm import kernel
from whamm_cm.errors import InternalError
from whamm_cm.kernel import layout, messages
from whamm_cm.kernel.engine import Kernel
from whamm_cm.wasm import code
from whamm_cm.wasm.opcodes import OPCODES, Imm

FOLDER = Path(kernel.__file__).parent


def c_enums() -> dict[str, int]:
    """Every constant of the C sources but for messages, by name."""
    found: dict[str, int] = {}
    for source in ("read.h", "scan.h", "write.h", "draft.h"):
        text = re.sub(r"/\*.*?\*/", "", (FOLDER / source).read_text(), flags=re.S)
        for body in re.findall(r"enum \{(.*?)\}", text, flags=re.S):
            value = -1
            for word in body.split(","):
                name, _, given = (part.strip() for part in word.partition("="))
                value = int(given, 0) if given else value + 1
                found[name] = value
    return found


def test_the_numbers_are_those_of_c() -> None:
    found = c_enums()
    numbers = dict(layout.c_numbers())
    assert {name: found[name] for name in numbers} == numbers


def test_the_header_of_messages_is_made_of_the_table() -> None:
    check_golden(FOLDER / "messages.h", messages.header())


def test_every_kind_of_immediate_has_a_shape() -> None:
    for row in OPCODES:
        assert len(row.immediates) <= 4 and row.code < 512 and len(OPCODES) <= layout.MAX_ROWS
    plain = set(Imm) - set(code._SHAPES)
    assert plain == {
        Imm.TYPE, Imm.FUNC, Imm.TABLE, Imm.MEMORY, Imm.GLOBAL, Imm.TAG, Imm.ELEM, Imm.DATA,
        Imm.LOCAL, Imm.LABEL, Imm.FIELD, Imm.COUNT,
    }  # fmt: skip


def test_it_imports_nothing() -> None:
    module = wasmtime.Module.from_file(wasmtime.Engine(), str(FOLDER / "kernel.wasm"))
    assert not module.imports


def test_fuel_ends_it() -> None:
    inside = code.kernel()
    inside._store.set_fuel(1000)
    inside._fuel = 1000
    at = inside._call("take", 4096)
    with pytest.raises(InternalError, match="ended early"):
        inside.run("scan", at, 1 << 20, at, 0)


def test_there_is_an_end_to_its_memory() -> None:
    with pytest.raises(InternalError, match="take ended early"):
        for _ in range(20):
            Kernel(b"").run("take", 0x7FFFFFFF) and Kernel(b"").run("take", 0xFFF80000)
