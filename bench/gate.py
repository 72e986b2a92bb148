"""What the gate costs: wall time of the whole command, for one component and for many.

    python -m bench.gate [--quick] [--rounds N] [--many N] [--component FILE]

Components: ``fixtures/c_command`` (or ``--component``), ``fixtures/py_command``, 18 MB made by
componentize-py (built on the first run), and N copies of the first that differ in a custom section.
Each run is a process of its own; byte code is cached, as it is after the first run of an installed
tool.  *cold* is without the gate's cache of analyses, *cached* finds them in it.  *start-up* is the
share of ``--version``, which is what any command takes.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bench.weave import Run, judge, run
from fixtures.build import path_of

TYPICAL_AIM, LARGE_AIM, MANY_AIM = 0.3, 2.0, 10.0
_GATE = ["-m", "whamm_cm", "gate", "--policy", "wasmcloud-2.7", "--fail-on", "never"]


def padded(data: bytes, number: int) -> bytes:
    """The component with another hash: a custom section at its end."""
    content = b"\x05bench" + number.to_bytes(4, "little")
    return data + bytes((0, len(content))) + content


@contextmanager
def cache(folder: str) -> Iterator[None]:
    """Analyses are kept in ``folder`` and not in the home directory."""
    names = ("XDG_CACHE_HOME", "XDG_STATE_HOME", "CI")
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    os.environ |= {"XDG_CACHE_HOME": folder, "XDG_STATE_HOME": f"{folder}/state"}
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)
        os.environ |= before


def measure(components: dict[str, Path], rounds: int) -> dict[str, list[Run]]:
    """Runs by name, in turns; the first of each fills the caches and is not counted."""
    commands = {"--version": ["-m", "whamm_cm", "--version"]}
    for name, path in components.items():
        commands[f"{name}, cold"] = [*_GATE, "--no-cache", str(path)]
        commands[f"{name}, cached"] = [*_GATE, str(path)]
    for command in commands.values():
        run(command)
    found: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            found[name].append(run(command))
    return found


def measure_many(data: bytes, number: int) -> dict[str, Run]:
    """``-j 1`` and ``-j 2`` over a directory of ``number`` components, then from the cache."""
    with tempfile.TemporaryDirectory() as folder:
        for index in range(number):
            Path(folder, f"{index:04}.wasm").write_bytes(padded(data, index))
        return {
            "-j 1, cold": run([*_GATE, "--no-cache", folder]),
            "-j 2, cold": run([*_GATE, "-j", "2", folder]),
            "-j 2, cached": run([*_GATE, "-j", "2", folder]),
        }


def report(found: dict[str, list[Run]], many: dict[str, Run], number: int) -> bool:
    """Print tables and aims; whether all were met."""
    start = min(one.wall for one in found["--version"])
    print(f"{'':34}{'min s':>8}{'median':>9}{'cpu s':>9}{'start-up':>10}{'MB':>9}")
    for name, runs in found.items():
        best = min(one.wall for one in runs)
        print(
            f"{name:34}{best:8.3f}{median(one.wall for one in runs):9.3f}"
            f"{min(one.cpu for one in runs):9.3f}{min(start / best, 1):>9.0%}"
            f"{max(one.peak for one in runs) / 1e6:9.1f}"
        )
    print(f"\n{f'{number} components':34}{'s':>8}{'per second':>12}{'start-up':>10}")
    for name, one in many.items():
        print(f"{name:34}{one.wall:8.2f}{number / one.wall:12.1f}{start / one.wall:>9.0%}")
    rate = number / many["-j 2, cold"].wall
    print(f"components per second by -j 2: {rate:.1f}, aim >= {MANY_AIM:.0f}", end="")
    print(f": {'met' if rate >= MANY_AIM else 'MISSED'}")
    aims = [rate >= MANY_AIM]
    for name, aim in (("typical", TYPICAL_AIM), ("large", LARGE_AIM)):
        if f"{name}, cold" in found:
            best = min(one.wall for one in found[f"{name}, cold"])
            aims.append(judge(f"wall time of {name}", best, aim, " s"))
    return all(aims)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gate", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small components, once")
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("--many", type=int, default=500, metavar="N")
    parser.add_argument("--component", metavar="FILE", help="the typical component")
    options = parser.parse_args(argv)
    typical = Path(options.component) if options.component else path_of("command")
    components = {"typical": typical}
    if not options.quick:
        components["large"] = path_of("py_command")
    rounds, number = (1, 4) if options.quick else (options.rounds, options.many)
    for name, path in components.items():
        print(f"{name}: {path.name}, {path.stat().st_size / 1e6:.2f} MB")
    print(f"{'noise: ' if options.quick else ''}{rounds} rounds, each run a process of its own")
    with tempfile.TemporaryDirectory() as folder, cache(folder):
        found = measure(components, rounds)
        many = measure_many(typical.read_bytes(), number)
    met = report(found, many, number)
    print(f"aims: {'all met' if met else 'MISSED'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
