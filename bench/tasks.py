"""What a probe costs where calls are asynchronous: ns per call, and per read of 4 KiB of a stream.

    python -m bench.tasks [--quick] [--rounds N]

A call is of one component by another; it returns at once, or later by an event, for which its
caller waits.  A read has its write and its wait with it.  All variants run interleaved in one
process, and what counts is time of the processor, not of those that it had to wait for; the minimum
of the rounds is the figure to trust, and "ratio" is of two minima.  Both sides of a call are woven,
and the sink throws records away.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import wasmtime
from wasmtime import _ffi as ffi
from wasmtime import component as wc

from bench.boundary import silenced
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan
from whamm_cm.weave.supply import SINK_INTERFACE
from whamm_cm.wit.classes import DEFAULT, SiteSet

TEXT = Path(__file__).with_suffix(".wat")
#: Export, and what it does as often as it is told.
ROWS = (
    ("at-once", "a call that returns at once"),
    ("by-event", "a call that returns later"),
    ("reads", "a stream read of 4 KiB"),
)
#: Calls a round: few, so that a busy machine lets some rounds go through undisturbed.
CALLS = 500


@dataclass(frozen=True, slots=True)
class Variant:
    name: str
    wasm: bytes


def original() -> bytes:
    return bytes(wasmtime.wat2wasm(TEXT.read_text()))


def variants() -> list[Variant]:
    """Uninstrumented comes first."""
    plain, everything = original(), SiteSet.parse(DEFAULT)
    counted, traced = Plan(count=everything), Plan(trace=everything)
    timed = Plan(trace=everything, timed=True)
    return [
        Variant("uninstrumented", plain),
        Variant("counted", silenced(weave(plain, counted))),
        Variant("recorded", silenced(weave(plain, traced))),
        Variant("recorded, time stamps", silenced(weave(plain, timed))),
        Variant("packed to stderr, time stamps", weave(plain, timed).wasm),
    ]


def new_engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    for feature in ("", "_stackful"):
        name = f"wasmtime_config_wasm_component_model_async{feature}_set"
        getattr(ffi, name)(config.ptr(), True)
    return wasmtime.Engine(config)


class Bench:
    """An instance of a variant, ready to be called."""

    def __init__(
        self, engine: wasmtime.Engine, variant: Variant, receive: Callable[[str], None] = len
    ) -> None:
        """``receive`` gets the blocks the host sink sends."""
        self.variant = variant
        self.samples: dict[str, list[float]] = {name: [] for name, _ in ROWS}
        self._store = wasmtime.Store(engine)
        wasi = wasmtime.WasiConfig()
        wasi.stderr_file = "/dev/null"
        self._store.set_wasi(wasi)
        linker = wc.Linker(engine)
        linker.add_wasip2()

        def emit(store: wasmtime.Storelike, block: str) -> int:
            receive(block)
            return 1

        with linker.root() as root, root.add_instance(SINK_INTERFACE) as sink:
            sink.add_func("emit", emit)  # type: ignore[arg-type]
        self._instance = linker.instantiate(self._store, wc.Component(engine, variant.wasm))

    def sample(self, name: str, calls: int) -> None:
        """Append the ns per call of one run of ``calls`` calls."""
        func = self._instance.get_func(self._store, name)
        assert func is not None
        start = time.thread_time_ns()
        self._call(func, calls)
        self.samples[name].append((time.thread_time_ns() - start) / calls)

    def _call(self, func: wc.Func, number: int) -> None:
        """Only the raw bindings can call what is asynchronous."""
        params = (ffi.wasmtime_component_val_t * 1)()
        results = (ffi.wasmtime_component_val_t * 1)()
        params[0].kind = ffi.WASMTIME_COMPONENT_U32
        params[0].of.u32 = number
        error = ctypes.POINTER(ffi.wasmtime_error_t)()
        future = ffi.wasmtime_component_func_call_async(
            ctypes.byref(func._func), self._store._context(), params, 1, results, 1,
            ctypes.byref(error),
        )  # fmt: skip
        try:
            while not ffi.wasmtime_call_future_poll(future):
                pass
        finally:
            ffi.wasmtime_call_future_delete(future)
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)


def measure(calls: int, rounds: int, found: Sequence[Variant]) -> list[Bench]:
    """All variants, sampled in turns; the first turn, which warms up, is dropped."""
    engine = new_engine()
    benches = [Bench(engine, variant) for variant in found]
    for turn in range(rounds + 1):
        for name, _ in ROWS:
            for bench in benches:
                bench.sample(name, calls if turn else max(1, calls // 10))
                if not turn:
                    bench.samples[name].clear()
    return benches


def report(benches: Sequence[Bench]) -> None:
    """Print a table per row."""
    for name, title in ROWS:
        print(f"\n{title}\n{'':32}{'min ns':>9}{'median':>9}{'over':>9}{'ratio':>7}")
        base = min(benches[0].samples[name])
        for bench in benches:
            found = bench.samples[name]
            least = min(found)
            figures = f"{least:9.0f}{median(found):9.0f}{least - base:+9.0f}{least / base:7.2f}"
            print(f"{bench.variant.name:32}{figures}")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.tasks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="too few calls to mean anything")
    parser.add_argument("--rounds", type=int, default=200, metavar="N")
    options = parser.parse_args(argv)
    calls, rounds = (50, 1) if options.quick else (CALLS, options.rounds)
    print(f"ns each, {calls} a round, {rounds} rounds, all variants in turns")
    report(measure(calls, rounds, variants()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
