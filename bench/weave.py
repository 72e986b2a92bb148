"""What instrumenting costs: time and peak memory of the whole command on a large component.

    python -m bench.weave [--quick] [--rounds N] [--no-compile] [--no-monitors]

The component is ``fixtures/py_command``, 18 MB made by componentize-py (built on the first run).
Each run is a process of its own; wasmtime's time to compile the original, which anyone who runs the
component pays, is measured in between.  Byte code is cached, as it is after the first run of an
installed tool.  On a busy machine trust the minimum, and the CPU time before the wall time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from fixtures.build import CACHE, path_of

WALL_AIM, MEMORY_AIM, VERSION_AIM, BRANCHES_AIM = 0.5, 5.0, 0.15, 2.0
#: Counts at every branch, the row with an aim; the others are monitors.
_BRANCHES = """
wasm:opcode:br_if|if:before {
    report var taken: u32;
    report var not_taken: u32;
    if (arg0 != 0) { taken++; } else { not_taken++; }
}
wasm:opcode:br|br_table:before { report var count: u32; count++; }
"""
_MONITORS = ("calls", "hotness", "icount")
_COMPILE = """
import sys, wasmtime
from wasmtime.component import Component
Component(wasmtime.Engine(), open(sys.argv[1], "rb").read())
"""


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds of wall and CPU time and bytes of peak memory (maximum resident set, which starts at
    that of the process that forks: some 30 MB here)."""

    wall: float
    cpu: float
    peak: int


def run(arguments: Sequence[str]) -> Run:
    """Run Python with ``arguments``; raises CalledProcessError when it fails."""
    environment = dict(os.environ, PYTHONPYCACHEPREFIX=str(CACHE.parent / "pycache"))
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, *arguments]
    start = time.perf_counter()
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=said)
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


def show(name: str, runs: Sequence[Run], base: float | None, size: int) -> None:
    """One row of the table; ``base`` are the seconds of wall time of one compilation."""
    walls = [r.wall for r in runs]
    peak = max(r.peak for r in runs)
    ratio = "-" if base is None else f"{min(walls) / base:.3f}"
    print(
        f"{name:34}{min(walls):8.3f}{median(walls):9.3f}{min(r.cpu for r in runs):9.3f}"
        f"{ratio:>12}{peak / 1e6:9.1f}{peak / size:8.2f}"
    )


def judge(what: str, found: float, aim: float, unit: str) -> bool:
    print(f"{what}: {found:.2f}{unit}, aim <= {aim}{unit}: {'met' if found <= aim else 'MISSED'}")
    return found <= aim


def measure(component: Path, rounds: int, compiling: bool, monitors: bool) -> dict[str, list[Run]]:
    """All runs by name, in turns; what fills the caches comes first and is not counted.  Monitors
    take their time and run once."""
    module = ["-m", "whamm_cm"]
    with tempfile.TemporaryDirectory() as folder:
        woven = ["--trace", "*", str(component), "-o", str(Path(folder) / "woven.wasm")]
        commands = {
            "instrument, sink stderr": [*module, "instrument", *woven],
            "instrument, sink host": [*module, "instrument", "--sink", "host", *woven],
            "--version": [*module, "--version"],
            "opcodes, all branches": [*module, "instrument", "-e", _BRANCHES, *woven[2:]],
        }
        for monitor in _MONITORS if monitors else ():
            commands[f"opcodes, {monitor}"] = [*module, "instrument", "-m", monitor, *woven[2:]]
        once = {
            name
            for name in commands
            if name.startswith("opcodes") and name.split()[-1] in _MONITORS
        }
        for name, command in commands.items():
            if name not in once:
                run(command)
        found: dict[str, list[Run]] = {name: [] for name in commands}
        if compiling:
            found["wasmtime compiles the original"] = [run(["-c", _COMPILE, str(component)])]
        for number in range(rounds):
            for name, command in commands.items():
                if not number or name not in once:
                    found[name].append(run(command))
    return found


def report(found: dict[str, list[Run]], size: int) -> bool:
    """Print the table and the aims; whether all were met."""
    base = [r.wall for r in found.get("wasmtime compiles the original", ())]
    print(f"{'':34}{'min s':>8}{'median':>9}{'cpu s':>9}{'of compile':>12}{'MB':>9}{'x file':>8}")
    for name, runs in found.items():
        show(name, runs, min(base, default=None), size)
    weaves = [runs for name, runs in found.items() if name.startswith("instrument")]
    wall = max(min(r.wall for r in runs) for runs in weaves)
    peak = max(r.peak for runs in weaves for r in runs)
    branches = min(r.wall for r in found["opcodes, all branches"])
    version = min(r.wall for r in found["--version"])
    return all(
        [
            judge("wall time of the command", wall, WALL_AIM, " s"),
            judge("peak memory over file size", peak / size, MEMORY_AIM, "x"),
            judge("whamm-cm --version", version, VERSION_AIM, " s"),
            judge("wall time with all branches", branches, BRANCHES_AIM, " s"),
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.weave", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small component, once")
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("--no-compile", action="store_true", help="skip the compilation (20 s)")
    parser.add_argument("--no-monitors", action="store_true", help="skip what has no aim")
    options = parser.parse_args(argv)
    component = path_of("command" if options.quick else "py_command")
    size = component.stat().st_size
    print(f"{component.name}: {size / 1e6:.1f} MB; {'noise: ' if options.quick else ''}", end="")
    rounds = 1 if options.quick else options.rounds
    print(f"{rounds} rounds, each run a process of its own")
    met = report(
        measure(
            component, rounds, not options.no_compile, not (options.quick or options.no_monitors)
        ),
        size,
    )
    print(f"aims: {'all met' if met else 'MISSED'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
