"""What opcode probes cost at run time, on the kernels of `bench.kernels`.

    python -m bench.opcodes [--quick] [--rounds N] [--monitor NAME]... [KERNEL ...]

Each kernel is run as it is and with each monitor woven in, all compiled once and run in turns in
one process; the best run of each counts (there is one of call-outs), without compilation, in
seconds of CPU: those of a busy machine are longer, too, but not by what else it does.
Call-outs are also shown per event: what a run takes longer, divided by how often the probe fired.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import wasmtime

from bench import kernels
from whamm_cm.lang.load import load
from whamm_cm.monitors import monitors
from whamm_cm.wasm.asm import Module
from whamm_cm.weave.libraries import load_library
from whamm_cm.weave.plain import weave_module
from whamm_cm.weave.plan import Plan, ScriptPlan

_ACCESSES = "wasm:opcode:i*load*|f*load*|v128.load*|i*store*|f*store*|v128.store*:before"
_OWN = {
    "accesses by line": "report var lines: map<u32, u64>;\n"
    + _ACCESSES
    + " { lines[(effective_addr >> 12) as u32]++; }",
    "accesses, library": "use seen;\n" + _ACCESSES + " { seen.access(addr as i32); }",
}
_EVENTS = "var events: u64;\n" + _ACCESSES + " { events++; }"


@dataclass(frozen=True, slots=True)
class Variant:
    """A monitor by its name with its aim: of the median ratio to the original, or of nanoseconds
    per event for one that calls out."""

    name: str
    ratio: float | None = None
    per_event: float | None = None

    @property
    def script(self) -> str:
        return _OWN[self.name] if self.name in _OWN else monitors()[self.name]


VARIANTS = (
    Variant("branches", 1.25),
    Variant("calls", 1.25),
    Variant("icount", 1.5),
    Variant("hotness", 1.5),
    Variant("imix", 1.5),
    Variant("memory"),
    Variant("accesses by line", per_event=4),
    Variant("accesses, library", per_event=4),
)


def _library() -> bytes:
    """``seen``: adds up the addresses it is told."""
    module = Module()
    total = module.global_("i32", 0)
    f = module.func(("i32",))
    f.global_get(total)
    f.get(0)
    f.op("i32.add")
    f.global_set(total)
    module.export_func("access", f.index)
    return module.encode()


def woven(wasm: bytes, script: str) -> bytes:
    """The kernel with the script in it; records go to the host."""
    libraries = {}
    if "use seen;" in script:
        libraries["seen"] = load_library("seen", _library(), "seen")
    signatures = {name: library.signature for name, library in libraries.items()}
    scripts = load([("bench.mm", script)], signatures)
    plan = Plan(sink="host", scripts=ScriptPlan(scripts, libraries))
    return weave_module(wasm, plan).wasm


class Program:
    """A compiled module, run as often as wanted.  ``said`` is what its first run printed."""

    def __init__(self, engine: wasmtime.Engine, wasm: bytes, size: int | None) -> None:
        self.engine, self.module, self.size = engine, wasmtime.Module(engine, wasm), size
        self.linker = wasmtime.Linker(engine)
        self.linker.define_wasi()
        i32 = wasmtime.ValType.i32()
        type_ = wasmtime.FuncType([i32, i32], [i32])
        if any(item.module == "whamm:cm/sink" for item in self.module.imports):
            self.linker.define_func("whamm:cm/sink", "emit", type_, lambda at, size: 1)
        self.best = float("inf")
        self.said = ""

    def run(self, wanted: str = "") -> int:
        """One run; the value of the getter called ``wanted`` when it is over."""
        store = wasmtime.Store(self.engine)
        with TemporaryDirectory() as folder:
            output = Path(folder) / "stdout"
            wasi = wasmtime.WasiConfig()
            wasi.argv = ["kernel", *([] if self.size is None else [str(self.size)])]
            wasi.stdout_file = str(output)
            store.set_wasi(wasi)
            exports = self.linker.instantiate(store, self.module).exports(store)
            start = exports["_start"]
            assert isinstance(start, wasmtime.Func)
            begin = time.thread_time()
            try:
                start(store)
            except wasmtime.ExitTrap as leave:
                if leave.code:
                    raise
            self.best = min(self.best, time.thread_time() - begin)
            found = 0
            if wanted:
                getter = exports[f"get_{wanted}"]
                assert isinstance(getter, wasmtime.Func)
                found = getter(store)
            del store
            said = output.read_text()
        if self.said and said != self.said:
            raise AssertionError("two runs of one program differ")
        self.said = said
        return found


@dataclass(slots=True)
class Row:
    """One kernel: the seconds of the original, of each variant, and how often accesses fire."""

    kernel: str
    original: float
    seconds: dict[str, float] = field(default_factory=dict)
    events: int = 0

    def ratio(self, variant: Variant) -> float:
        return self.seconds[variant.name] / self.original

    def per_event(self, variant: Variant) -> float:
        """Nanoseconds."""
        return (self.seconds[variant.name] - self.original) / max(self.events, 1) * 1e9


def measure(kernel: str, variants: Sequence[Variant], rounds: int, size: int | None) -> Row:
    """Call-outs take their time and run once.

    Raises AssertionError when a woven kernel prints something else than the original.
    """
    engine = wasmtime.Engine()
    wasm = kernels.build(kernel).read_bytes()
    programs = {"": Program(engine, wasm, size)}
    for variant in variants:
        programs[variant.name] = Program(engine, woven(wasm, variant.script), size)
    once = {variant.name for variant in variants if variant.per_event is not None}
    for number in range(rounds):
        for name, program in programs.items():
            if not number or name not in once:
                program.run()
    for name, program in programs.items():
        if program.said != programs[""].said:
            raise AssertionError(f"{kernel} prints something else with {name}")
    row = Row(kernel, programs.pop("").best)
    row.seconds = {name: program.best for name, program in programs.items()}
    if any(variant.per_event for variant in variants):
        row.events = Program(engine, woven(wasm, _EVENTS), size).run("events")
    return row


def report(rows: Sequence[Row], variants: Sequence[Variant]) -> bool:
    """Print the ratios, and the aims; whether all were met."""
    print(
        f"{'':18}{'original s':>11}"
        + "".join(f"{v.name.split(',')[-1][-9:]:>10}" for v in variants)
    )
    for row in rows:
        ratios = "".join(f"{row.ratio(variant):10.2f}" for variant in variants)
        print(f"{row.kernel:18}{row.original:11.3f}{ratios}")
    met = True
    print(f"\n{'':18}{'median':>8}{'max':>8}")
    for variant in variants:
        met &= _verdict(variant, rows)
    return met


def _verdict(variant: Variant, rows: Sequence[Row]) -> bool:
    ratios = [row.ratio(variant) for row in rows]
    text = f"{variant.name:18}{median(ratios):8.2f}{max(ratios):8.2f}"
    if variant.per_event is not None:
        found = median(row.per_event(variant) for row in rows)
        worst = max(row.per_event(variant) for row in rows)
        aim, met = f"{variant.per_event:.0f} ns per event", found <= variant.per_event
        text += f"  {found:.2f} ns per event, at most {worst:.2f}"
    else:
        met = variant.ratio is None or median(ratios) <= variant.ratio
        aim = "" if variant.ratio is None else f"{variant.ratio:.2f}"
    print(text + (f"  aim <= {aim}: {'met' if met else 'MISSED'}" if aim else ""))
    return met


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.opcodes", description=__doc__)
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help="only these (default: all)")
    parser.add_argument("--quick", action="store_true", help="two small kernels, once")
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument(
        "--monitor", action="append", default=[], choices=[v.name for v in VARIANTS],
        help="only these; repeatable",
    )  # fmt: skip
    options = parser.parse_args(argv)
    wanted = options.kernels or (["collatz", "quicksort"] if options.quick else kernels.names())
    variants = [v for v in VARIANTS if not options.monitor or v.name in options.monitor]
    rounds, size = (1, 8) if options.quick else (options.rounds, None)
    print(f"{len(wanted)} kernels, the best of {rounds} runs in turns; {os.cpu_count()} CPUs")
    rows = [measure(kernel, variants, rounds, size) for kernel in wanted]
    met = report(rows, variants)
    print(f"\naims: {'all met' if met else 'MISSED'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
