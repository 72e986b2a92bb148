"""What instrumenting costs: seconds, peak memory and size of the whole command on large components.

    python -m bench.weave [FILE.wasm …] [--quick] [--rounds N] [--beside CHECKOUT]

Without a file it is ``fixtures/py_command``, 18 MB made by componentize-py (built the first time).
Each run is a process of its own; ``--beside`` measures another checkout of this project in turns
with this one, and whamm, where it is installed, weaves the largest core module.  Byte code is
cached, as it is after the first run of an installed tool.  Times are the least user seconds of all
rounds: those a busy machine changes least, though it does change them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fixtures.build import CACHE, path_of
from whamm_cm.component.decode import decode
from whamm_cm.component.ir import walk
from whamm_cm.wasm.module import CoreModule

REPOSITORY = Path(__file__).parents[1]
#: Counts every access to memory into a map.
_CALLBACK = """
report var accesses: map<u64, u64>;
wasm:opcode:*load*|*store*:before { accesses[effective_addr as u64]++; }
"""
#: What both languages say alike; whamm reports only of programs that have a main function.
_BRANCHES = "var taken: i32;\nwasm:opcode:br_if:before { if (arg0 != 0) { taken++; } }\n"
_MONITORS = ("branches", "calls", "hotness", "icount", "coverage")
_PATIENCE = 300
SMALL_AIM, TRACE_AIM, SIZE_AIM = 0.3, 0.35, 2.2


def time_aim(size: int) -> float:
    """Seconds for probes at opcodes: 0.8 for 4 MB, 1.5 for 18 MB."""
    return 0.6 + 0.05 * size / 1e6


def memory_aim(size: int) -> float:
    return 60e6 + 8 * size


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds of wall, CPU and user time and bytes of peak memory (maximum resident set, which
    starts at that of the process that forks: some 30 MB here)."""

    wall: float
    cpu: float
    peak: int
    user: float = 0.0


def run(arguments: Sequence[str], checkout: Path | None = None) -> Run:
    """Run Python with ``arguments`` and the packages of ``checkout`` (None: what is installed);
    raises CalledProcessError when it fails."""
    environment = dict(os.environ, PYTHONPYCACHEPREFIX=str(CACHE.parent / "pycache"))
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if checkout is not None:
        environment["PYTHONPATH"] = str(checkout / "src")
    return measured([sys.executable, *arguments], environment)


def measured(command: Sequence[str], environment: dict[str, str] | None = None) -> Run:
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
    cpu = usage.ru_utime + usage.ru_stime
    return Run(wall, cpu, usage.ru_maxrss * unit, usage.ru_utime)


def judge(what: str, found: float, aim: float, unit: str) -> bool:
    print(f"{what}: {found:.2f}{unit}, aim <= {aim}{unit}: {'met' if found <= aim else 'MISSED'}")
    return found <= aim


@dataclass(slots=True)
class Row:
    """One command.  ``aim``: seconds; ``size``: of its input, None where only seconds count;
    ``runs`` and ``out``, the bytes written, by checkout."""

    name: str
    command: list[str]
    aim: float
    size: int | None = None
    runs: dict[Path, list[Run]] = field(default_factory=dict)
    out: dict[Path, int] = field(default_factory=dict)
    fault: dict[Path, str] = field(default_factory=dict)

    def measure(self, checkout: Path, output: Path) -> None:
        if checkout in self.fault:
            return
        try:
            found = run(["-m", "whamm_cm", *self.command], checkout)
        except subprocess.CalledProcessError as error:
            self.fault[checkout] = error.stderr.decode().strip().splitlines()[-1]
            return
        self.runs.setdefault(checkout, []).append(found)
        if output.exists():
            self.out[checkout] = output.stat().st_size
            output.unlink()

    def show(self, checkout: Path) -> str:
        """User seconds, MB of memory, output over input."""
        if checkout in self.fault:
            return f"{'fails':>26}"
        runs = self.runs[checkout]
        user, peak = min(r.user for r in runs), max(r.peak for r in runs)
        growth = f"{self.out[checkout] / self.size:7.2f}x" if self.size else f"{'-':>8}"
        return f"{user:8.2f} s{peak / 1e6:6.0f} MB{growth}"

    def met(self, checkout: Path) -> list[str]:
        """The aims that were missed."""
        if checkout in self.fault:
            return [self.fault[checkout]]
        runs, missed = self.runs[checkout], []
        if min(r.user for r in runs) > self.aim:
            missed.append(f"{self.aim:.2f} s")
        if self.size is not None:
            if max(r.peak for r in runs) > memory_aim(self.size):
                missed.append(f"{memory_aim(self.size) / 1e6:.0f} MB")
            if "hotness" in self.command and self.out[checkout] > SIZE_AIM * self.size:
                missed.append(f"{SIZE_AIM}x")
        return missed


def rows_of(files: Sequence[Path], output: Path, quick: bool) -> list[Row]:
    small, traced = path_of("strings"), path_of("run_command")
    rows = [
        Row("instrument -m calls", ["instrument", "-m", "calls", str(small)], SMALL_AIM),
        Row("trace", ["trace", str(traced)], SMALL_AIM),
    ]
    for path in files:
        size = path.stat().st_size
        flags = {f"-m {name}": ["-m", name] for name in _MONITORS[: 1 if quick else None]}
        flags["callback at each access"] = ["-e", _CALLBACK]
        rows.append(Row("--trace '*'", ["instrument", "--trace", "*", str(path)], TRACE_AIM, size))
        rows += [
            Row(name, ["instrument", *given, str(path)], time_aim(size), size)
            for name, given in flags.items()
        ]
    for row in rows:
        if row.command[0] == "instrument":
            row.command += ["-o", str(output)]
    return rows


def show(rows: Sequence[Row], files: Sequence[Path], trees: Sequence[Path]) -> bool:
    """Print the table; whether this checkout met all aims."""
    sizes = {path.stat().st_size: path for path in files}
    met, shown = True, None
    for row in rows:
        if (row.size or 0) != shown:
            shown = row.size or 0
            path = sizes.get(shown)
            title = "small components" if path is None else f"{path.name}, {shown / 1e6:.1f} MB"
            print(f"\n{title:28}" + "".join(f"{tree.name:>26}" for tree in trees))
        missed = row.met(REPOSITORY)
        met &= not missed
        verdict = f"  MISSED: {', '.join(missed)}" if missed else ""
        print(f"{row.name:28}" + "".join(f"{row.show(tree):>26}" for tree in trees) + verdict)
    return met


def whamm(path: Path, folder: Path) -> None:
    """What whamm needs for all conditional branches of the largest core module, and what we do."""
    program = shutil.which("whamm")
    if program is None:
        print("whamm: NOT MEASURED, it is not installed (cargo install whamm --version 2.0.1)")
        return
    script, module, out = folder / "b.mm", folder / "module.wasm", folder / "out.wasm"
    script.write_text(_BRANCHES)
    nodes = [
        d.node for part in walk(decode(path.read_bytes(), path.name)) for d in part.definitions
    ]
    module.write_bytes(max((n.data for n in nodes if isinstance(n, CoreModule)), key=len))
    commands = {
        "whamm": [program, "instr", "-s", str(script), "-a", str(module), "-o", str(out)],
        "we": [sys.executable, "-m", "whamm_cm", "instrument", "-s", str(script), str(module),
               "-o", str(out)],
    }  # fmt: skip
    for name, command in commands.items():
        try:
            subprocess.run(command, check=True, timeout=_PATIENCE, capture_output=True)
        except subprocess.TimeoutExpired:
            print(f"{name}: no end in {_PATIENCE} s")
        except subprocess.CalledProcessError as error:
            print(f"{name}: fails: {error.stderr.decode().strip()[-200:]}")
        else:
            found = measured(command)
            print(f"{name}: {found.user:.2f} s, {out.stat().st_size / 1e6:.1f} MB")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.weave", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.wasm", help="components")
    parser.add_argument("--quick", action="store_true", help="a small component, once")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--beside", type=Path, metavar="CHECKOUT", help="another state to compare")
    options = parser.parse_args(argv)
    default = path_of("command" if options.quick else "py_command")
    files = [path.resolve() for path in options.files] or [default]
    trees = [REPOSITORY, *([options.beside.resolve()] if options.beside else [])]
    with tempfile.TemporaryDirectory() as name:
        output = Path(name) / "woven.wasm"
        rows = rows_of(files, output, options.quick)
        for row in rows:
            for number in range(1 if options.quick else options.rounds + 1):
                for tree in trees:
                    row.measure(tree, output)
                    if not number and not options.quick and tree in row.runs:
                        row.runs[tree].clear()  # it has filled the caches
        met = show(rows, files, trees)
        whamm(files[-1], Path(name))
    print(f"aims: {'all met' if met else 'MISSED'}; load {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
