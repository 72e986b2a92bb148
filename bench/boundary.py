"""What a probe costs: ns per call of one component by another, with nothing, a probe or a
hand-written pass-through component in between.

    python -m bench.boundary [--quick] [--rounds N] [--beside CHECKOUT]

All variants run interleaved in one process, so that a busy machine slows them alike; the minimum of
the rounds is the figure to trust, and "over direct" is the difference of two minima.  "In one" is
the layout that hosts which count instances get: the sink inside of the component that calls, and
its probes behind its main module.  ``--beside`` measures what another checkout of this project
weaves in the same rounds, and prints it as "before".
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import wasmtime
from wasmtime import component as wc

from bench import beside
from whamm_cm.component import build
from whamm_cm.component import nodes as n
from whamm_cm.component.decode import decode
from whamm_cm.component.encode import encode
from whamm_cm.component.ir import Component, Definition
from whamm_cm.component.items import Item, Sort
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.api import Woven, weave
from whamm_cm.weave.plan import Plan
from whamm_cm.weave.supply import SINK_INTERFACE

TEXT = Path(__file__).with_suffix(".wat")
#: Export of the caller, what it calls, and the selector's name of the probed function.
ROWS = (("numbers", "u32 -> u32"), ("texts", "string (64 bytes) -> u32"))
THROUGH = "pass-through component"
COUNT_AIM, RECORD_AIM = 3.0, 30.0
PACKED_AIM, TIMED_AIM = 150.0, 300.0
#: Calls a round: few, so that a busy machine lets some rounds go through undisturbed.
CALLS = 4_000

#: All that is measured is below requests of which nothing is recorded.
_HARDLY: dict[str, int] = {"sample": 1 << 29, "sample_start": 1}

#: Accepts any block and forgets it; in place of the sink's code, or lifted beside it.
_SILENT = """(module
  (memory (export "memory") 4)
  (func (export "emit") (param i32 i32) (result i32) (i32.const 1))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16)))"""


@dataclass(frozen=True, slots=True)
class Variant:
    """``aim``: at most that many ns over ``base``; None where there is none."""

    name: str
    wasm: bytes
    aim: float | None = None
    base: str = "direct"


def _called(edge: str, interface: str, version: str | None, func: str) -> bool:
    """The selector of the two functions $caller imports, and of nothing else."""
    return func.startswith("called-")


def _in_one(edge: str, interface: str, version: str | None, func: str) -> bool:
    """The same with the exports that call them, behind which the probes may be made then."""
    return edge == "export" or _called(edge, interface, version, func)


def _assemble(*parts: str, target: str = "$callee") -> bytes:
    """The component of these parts of the text."""
    _, *pieces = TEXT.read_text().split("\n  ;; --- ")
    texts = dict(piece.split("\n", 1) for piece in pieces)
    body = "\n".join(texts[part] for part in parts).replace("$target", target)
    return bytes(wasmtime.wat2wasm(f"(component {body})"))


def silenced(woven: Woven) -> bytes:
    """``woven``, for the stderr sink, with a sink that throws every block away."""
    code = CoreModule(bytes(wasmtime.wat2wasm(_SILENT)))

    def quiet(definition: Definition) -> Definition:
        node = definition.node
        if isinstance(node, CoreModule) and node.export("emit") is not None:
            return replace(definition, node=code)
        if isinstance(node, Component) and _exports_emit(node):
            parts = tuple(map(quiet, node.definitions))
            return replace(definition, node=node.with_definitions(parts))
        return definition

    parts = tuple(map(quiet, woven.component.definitions))
    return encode(woven.component.with_definitions(parts))


def _exports_emit(component: Component) -> bool:
    nodes = (d.node for d in component.definitions)
    return any(isinstance(node, n.Export) and node.name.name == "emit" for node in nodes)


def beside_silence(woven: Woven) -> bytes:
    """``woven``, for the host sink, with a component that takes the place of the host."""
    module = build.core_module(bytes(wasmtime.wat2wasm(_SILENT)))
    core = build.core_instantiate(module.item, ())
    memory = build.alias_core_export(core.item, "memory", Sort.CORE_MEMORY)
    realloc = build.alias_core_export(core.item, "cabi_realloc", Sort.CORE_FUNC)
    code = build.alias_core_export(core.item, "emit", Sort.CORE_FUNC)
    type_ = build.func_type((("block", "string"),), "u32")
    emit = build.canon_lift(code.item, type_.item, memory.item, realloc.item)
    sink = build.nested_component(
        Component(
            (module, core, memory, realloc, code, type_, emit)
            + (build.export_plain("emit", emit.item),)
        )
    )
    guest = build.nested_component(woven.component)
    silence = build.instantiate(sink.item, ())
    instance = build.instantiate(guest.item, ((SINK_INTERFACE, silence.item),))
    parts = [sink, guest, silence, instance]
    for name, _ in ROWS:
        alias = build.alias_export(instance.item, name, Sort.FUNC)
        parts += (alias, build.export_plain(name, alias.item))
    return encode(Component(tuple(parts)))


def served(wasm: bytes) -> bytes:
    """The component of the part "root", woven or not, with the callee it imports."""
    front = decode(wasm).definitions
    last = max(i for i, d in enumerate(front) if isinstance(d.node, n.Import))
    parts, given = list[Definition](), list[tuple[str, Item]]()
    server = build.nested_component(decode(_assemble("modules", "instances", "callee")))
    callee = build.instantiate(server.item, ())
    guest = build.nested_component(decode(wasm))
    made = [server, callee]
    for definition in front[: last + 1]:
        if not isinstance(definition.node, n.Import):
            parts.append(definition)
            continue
        name = definition.node.name.name
        if _called("import", "", None, name):
            made.append(build.alias_export(callee.item, name, Sort.FUNC))
            given.append((name, made[-1].item))
        else:
            parts.append(definition)
            given.append((name, definition.item))
    instance = build.instantiate(guest.item, given)
    parts += [*made, guest, instance]
    for name, _ in ROWS:
        alias = build.alias_export(instance.item, name, Sort.FUNC)
        parts += (alias, build.export_plain(name, alias.item))
    return encode(Component(tuple(parts)))


def direct() -> bytes:
    """Caller and callee with nothing in between."""
    return _assemble("modules", "instances", "beside")


def in_one(**options: object) -> bytes:
    """The caller as the root, with typed records of every call."""
    plan = Plan(trace=_in_one, **options)  # type: ignore[arg-type]
    return served(weave(_assemble("modules", "root"), plan).wasm)


def traced(**options: object) -> Woven:
    """`direct` with typed records of every call."""
    return weave(direct(), Plan(trace=_called, **options))  # type: ignore[arg-type]


def variants() -> list[Variant]:
    """Direct comes first."""
    counted = weave(direct(), Plan(count=_called))
    middle = _assemble("modules", "instances", "beside", target="$middle")
    alone = served(_assemble("modules", "root"))
    return [
        Variant("direct", direct()),
        Variant("counting wrapper", silenced(counted), COUNT_AIM),
        Variant("typed record", silenced(traced()), RECORD_AIM),
        Variant("typed record, time stamps", silenced(traced(timed=True))),
        Variant("not sampled, time stamps", traced(timed=True, **_HARDLY).wasm, COUNT_AIM),
        Variant("typed record, string blocks", beside_silence(traced(sink="host"))),
        Variant("typed record, host sink in Python", traced(sink="host").wasm),
        Variant("packed to stderr", traced().wasm, PACKED_AIM),
        Variant("packed to stderr, time stamps", traced(timed=True).wasm, TIMED_AIM),
        Variant("packed to stderr, live", traced(timed=True, live=True).wasm),
        Variant("packed to stderr, each at once", traced(flush_each=True).wasm),
        Variant("JSON to stderr", traced(lines="json").wasm),
        Variant(THROUGH, middle),
        Variant("in one: direct", alone, base="in one: direct"),
        Variant("in one: packed", in_one(), PACKED_AIM, "in one: direct"),
        Variant("in one: packed, time stamps", in_one(timed=True), TIMED_AIM, "in one: direct"),
        Variant(
            "in one: not sampled, time stamps",
            in_one(timed=True, **_HARDLY),
            None,
            "in one: direct",
        ),
    ]


#: Run in another checkout: what it weaves, by name.
_DUMP = """
import json, sys
from bench.boundary import variants
json.dump({v.name: v.wasm.hex() for v in variants()}, sys.stdout)
"""


def variants_of(checkout: Path) -> list[Variant]:
    """What the project in another folder makes of the same names."""
    found = json.loads(beside.run(checkout, "-c", _DUMP))
    return [Variant(name, bytes.fromhex(wasm)) for name, wasm in found.items()]


class Bench:
    """Instances of a variant, ready to be called."""

    def __init__(
        self, engine: wasmtime.Engine, variant: Variant, receive: Callable[[str], None]
    ) -> None:
        """``receive`` gets the blocks the host sink sends."""
        self.variant = variant
        self.samples: dict[str, list[float]] = {name: [] for name, _ in ROWS}
        self._store = wasmtime.Store(engine)
        wasi = wasmtime.WasiConfig()
        wasi.stderr_file = "/dev/null"
        self._store.set_wasi(wasi)

        def emit(store: wasmtime.Storelike, block: str) -> int:
            receive(block)
            return 1

        linker = wc.Linker(engine)
        linker.add_wasip2()
        with linker.root() as root, root.add_instance(SINK_INTERFACE) as sink:
            sink.add_func("emit", emit)  # type: ignore[arg-type]
        self._instance = linker.instantiate(self._store, wc.Component(engine, variant.wasm))

    def sample(self, name: str, calls: int) -> None:
        """Append the ns per call of one run of ``calls`` calls."""
        func = self._instance.get_func(self._store, name)
        assert func is not None
        start = time.perf_counter_ns()
        func(self._store, calls)
        self.samples[name].append((time.perf_counter_ns() - start) / calls)


def measure(calls: int, rounds: int, found: Sequence[Variant]) -> list[Bench]:
    """All variants, sampled in turns; the first turn, which warms up, is dropped."""
    engine = wasmtime.Engine()
    benches = [Bench(engine, variant, lambda block: None) for variant in found]
    for turn in range(rounds + 1):
        for name, _ in ROWS:
            for bench in benches:
                bench.sample(name, calls if turn else max(1, calls // 10))
                if not turn:
                    bench.samples[name].clear()
    return benches


def report(benches: Sequence[Bench], before: Sequence[Bench]) -> bool:
    """Print a table per row; whether every aim was met."""
    met = True
    for name, title in ROWS:
        print(f"\n{title}\n{'':36}{'min ns':>8}{'median':>8}{'over direct':>13}", end="")
        print(f"{'before':>9}" if before else f"{'ratio':>7}", " aim")
        least = {bench.variant.name: min(bench.samples[name]) for bench in benches}
        older = {bench.variant.name: min(bench.samples[name]) for bench in before}
        for bench in benches:
            variant, found = bench.variant, bench.samples[name]
            over = least[variant.name] - least[variant.base]
            good, verdict = _judged(variant, over, least)
            met = met and good
            column = f"{least[variant.name] / least[variant.base]:7.2f}"
            if before:
                past = older.get(variant.name, 0.0) - older.get(variant.base, 0.0)
                column = f"{past:+9.1f}" if variant.name in older else f"{'':9}"
            print(
                f"{variant.name:36}{min(found):8.1f}{median(found):8.1f}{over:+13.1f}{column}",
                end="",
            )
            print(f"  {verdict}")
    return met


def _judged(variant: Variant, over: float, least: Mapping[str, float]) -> tuple[bool, str]:
    """Whether the aim is met, and how that is said."""
    aim = variant.aim
    if aim is None:
        return True, ""
    typed = aim <= RECORD_AIM
    good = over <= aim and (not typed or least[variant.name] < least[THROUGH])
    limit = f"<= +{aim:.0f} ns" + (" and below pass-through" if typed else "")
    return good, f"{limit}: {'met' if good else 'MISSED'}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.boundary", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="too few calls to mean anything")
    parser.add_argument("--rounds", type=int, default=240, metavar="N")
    parser.add_argument("--beside", type=Path, metavar="CHECKOUT", help="another state to compare")
    options = parser.parse_args(argv)
    calls, rounds = (200, 1) if options.quick else (CALLS, options.rounds)
    found = variants()
    before = [] if options.beside is None else variants_of(options.beside.resolve())
    print(f"ns per call, {calls} calls a round, {rounds} rounds, all variants in turns")
    benches = measure(calls, rounds, [*found, *before])
    met = report(benches[: len(found)], benches[len(found) :])
    print(f"\naims: {'all met' if met else 'MISSED'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
