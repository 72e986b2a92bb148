"""Run programs, as they are and woven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import wasmtime
from wasmtime import component as wc

from tests.async_programs.model import Entry
from tests.wast_driver import Sink
from tests.wast_driver import engine as wt
from tests.wast_driver.host import new_linker
from tests.wast_driver.runner import cause


@lru_cache(maxsize=1)
def engine() -> wasmtime.Engine:
    return wt.new_engine()


@dataclass
class Ran:
    """``ends``: what each call of ``run`` returned, or why it did not; none is made after that."""

    journal: list[Entry] = field(default_factory=list)
    ends: list[Any] = field(default_factory=list)
    blocks: list[bytes] = field(default_factory=list)


def run(wasm: bytes, runs: tuple[int, ...], called: Callable[[int, int], None]) -> Ran:
    """``called`` is told of each call of ``run``: its tag and its script."""
    ran, sink = Ran(), Sink()
    linker = new_linker(engine(), sink)
    with linker.root() as root:
        root.add_func("journal", lambda _store, *entry: ran.journal.append(entry))
    live = wt.instantiate(linker, wc.Component(engine(), wasm), sink.wasi())
    for tag, script in enumerate(runs, 1):
        called(tag, script)
        try:
            ran.ends.append(wt.call(live, "run", [("u32", tag), ("u32", script)]))
        except wasmtime.WasmtimeError as error:
            ran.ends.append(cause(error))
            break
    ran.blocks = sink.blocks
    return ran
