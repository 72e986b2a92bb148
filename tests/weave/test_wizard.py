"""The ready monitors against the Wizard engine, an independent implementation: place by place.

What it counts lies in ``wizard/``, recorded by ``wizard_oracle``.  One thing differs: a branch
executes the ``end`` or ``loop`` it leads to, which here only does the code that runs into it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.weave.test_counts import TRAPPED, Reported, blocks_of
from tests.weave.wizard_oracle import PROGRAMS, WIZENG, Recorded, ask, assembled, recorded
from whamm_cm.wasm.function import RETURNS, FunctionInfo
from whamm_cm.wasm.module import CoreModule

NAMES = sorted(path.stem for path in PROGRAMS.glob("*.wat"))
#: Programs that do not end well.
BROKEN = ("traps", "uncaught", "unreachable")
#: Those of which the oracle tells all ways: it is silent where exceptions were caught.
TOLD = [name for name in NAMES if name not in (*BROKEN, "catches")]
WAYS = """wasm:func:entry { report var entered: u64; entered++; }
wasm:func:exit { report var left: u64; left++; }"""


class Run:
    """One program as both see it; places are (fid, opidx)."""

    def __init__(self, folder: Path, name: str) -> None:
        wasm = assembled(PROGRAMS / f"{name}.wat")
        app = folder / "app.wasm"
        app.write_bytes(wasm)
        self.module = CoreModule(wasm)
        self.infos = {i.fid: i for i in map(self._info, range(len(self.module.bodies)))}
        self.wizard = recorded(PROGRAMS / f"{name}.wat")
        self.theirs = {
            (fid, opidx): self.wizard["hotness"][str(fid)].get(str(info.pc(opidx)), 0)
            for fid, info in self.infos.items()
            for opidx in range(len(info.steps))
        }
        status = TRAPPED if name in BROKEN else 0
        monitors = ("hotness", "coverage", "icount", "branches")  # woven by kinds of instructions
        self.counted = Reported(folder, app, monitors=monitors, status=status)
        rest = ("basic-blocks", "loops")  # woven function by function
        self.placed = Reported(folder, app, monitors=rest, status=status, script=WAYS)
        self.ours = self.counted.sites("hotness", "count")

    def _info(self, index: int) -> FunctionInfo:
        return FunctionInfo(self.module, index)

    def expected(self) -> Counter[tuple[int, int]]:
        """Our counts, from theirs: an ``end`` was run into as often as what is behind it says that
        it was left, without the jumps to it; a loop was entered without those."""
        found = Counter(self.theirs)
        for fid, info in self.infos.items():
            for source, target in self._jumps(fid, info):
                found[fid, target] -= source
        return +found

    def _jumps(self, fid: int, info: FunctionInfo) -> list[tuple[int, int]]:
        """(how often, the instruction it leads to) of each way a branch of the function goes."""
        found = []
        ways = self.wizard["branches"].get(str(fid), {})
        for opidx in range(len(info.steps)):
            name, count = info.mnemonic(opidx), self.theirs[fid, opidx]
            taken = ways.get(str(info.pc(opidx)), [0, 0])
            if name == "else":
                found.append((count, info.control.ends[info.control.openers[opidx]]))
            elif name == "if" and opidx not in info.control.arms:
                found.append((taken[0], info.control.ends[opidx]))
            elif name == "br":
                found.append((count, self._landing(info, opidx, info.labels(opidx)[0])))
            elif name == "br_table":
                labels = info.labels(opidx)
                found += [(n, self._landing(info, opidx, label))
                          for n, label in zip(taken, labels, strict=True)]  # fmt: skip
            elif name.startswith("br_"):
                found.append((taken[1], self._landing(info, opidx, info.labels(opidx)[0])))
        return found

    @staticmethod
    def _landing(info: FunctionInfo, opidx: int, label: int) -> int:
        target = info.target(opidx, label)
        loop = target >= 0 and info.mnemonic(target) == "loop"
        return target if loop else info.control.ends[target]


@pytest.fixture(scope="module", params=NAMES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("wizard"), request.param)


def only_code(run: Run, counts: Counter[tuple[int, int]]) -> Counter[tuple[int, int]]:
    """Without the marks that branches lead to."""
    marks = ("end", "loop")
    return Counter({
        (fid, opidx): count for (fid, opidx), count in counts.items()
        if run.infos[fid].mnemonic(opidx) not in marks
    })  # fmt: skip


def behind_the_trap(run: Run) -> set[tuple[int, int]]:
    """The rest of the block in which the program trapped, which counts as executed here."""
    more = +(only_code(run, run.ours) - only_code(run, +Counter(run.theirs)))
    if more:
        assert set(more.values()) == {1}
        (fid,) = {fid for fid, _ in more}
        first = min(opidx for _, opidx in more)
        (block,) = [b for (f, _), b in blocks_of(run.module).items() if f == fid and first in b]
        assert run.infos[fid].mnemonic(first - 1) == "i32.div_u"
        return {(fid, opidx) for opidx in range(first, block.stop)}
    return set()


def test_each_instruction_ran_as_often(run: Run) -> None:
    more = behind_the_trap(run)
    assert bool(more) == (run.wizard == recorded(PROGRAMS / "traps.wat"))
    assert only_code(run, run.ours) == only_code(run, Counter(run.theirs)) + Counter(
        place for place in more if run.infos[place[0]].mnemonic(place[1]) not in ("end", "loop")
    )
    assert run.counted.total("icount", "instructions") == run.ours.total()
    covered = {run.counted.place(row) for row in run.counted.entries("coverage", "covered")
               if row["value"] == "true"}  # fmt: skip
    assert covered == run.ours.keys()


@pytest.mark.parametrize("run", TOLD, indirect=True)
def test_ends_and_loops_are_executed_where_code_runs_into_them(run: Run) -> None:
    assert run.ours == run.expected()


def test_an_end_that_is_left_is_what_wizard_counts(run: Run) -> None:
    """It counts an ``end`` as often as we count what is behind it, and a loop by its rounds."""
    more = behind_the_trap(run)
    rounds = run.placed.sites("loops", "iterations")
    for (fid, opidx), count in run.theirs.items():
        name = run.infos[fid].mnemonic(opidx)
        if name == "end" and opidx != run.infos[fid].last:
            behind = fid, opidx + 1
            assert count == run.ours[behind] - (behind in more), (fid, opidx)
        elif name == "loop":
            assert count == rounds[fid, opidx], (fid, opidx)


def test_blocks_ran_as_often_as_what_is_in_them(run: Run) -> None:
    entries = run.placed.entries("basic-blocks", "count")
    counts = {run.placed.place(row): int(row["value"]) for row in entries}
    blocks = blocks_of(run.module)
    assert counts.keys() == blocks.keys()
    for (fid, last), block in blocks.items():
        assert {run.ours[fid, opidx] for opidx in block} == {counts[fid, last]}


@pytest.mark.parametrize("run", [*TOLD, "catches"], indirect=True)
def test_branches_went_the_same_ways(run: Run) -> None:
    found: dict[tuple[str, str], list[int]] = {}
    for row in run.counted.entries("branches", "taken"):
        found[row["fid"], row["pc"]] = [0, int(row["value"])]
    for row in run.counted.entries("branches", "total"):
        ways = found[row["fid"], row["pc"]]
        ways[0] = int(row["value"]) - ways[1]
    for row in run.counted.entries("branches", "targets_taken"):
        key = row["fid"], row["pc"]
        labels = run.infos[int(row["fid"])].labels(run.counted.place(row)[1])
        found.setdefault(key, [0] * len(labels))[int(row["key"])] = int(row["value"])
    theirs = {
        (fid, pc): ways
        for fid, places in run.wizard["branches"].items()
        for pc, ways in places.items()
        if any(ways) and _mnemonic(run.infos[int(fid)], pc) in ("if", "br_if", "br_table")
    }
    ours = {key: ways for key, ways in found.items() if any(ways)}
    assert ours == theirs


def _mnemonic(info: FunctionInfo, pc: str) -> str:
    return next(info.mnemonic(n) for n in range(len(info.steps)) if info.pc(n) == int(pc))


def test_functions_are_entered_and_left_as_often(run: Run) -> None:
    entered = _by_function(run, "entered")
    left = _by_function(run, "left")
    for fid, info in run.infos.items():
        assert entered[fid] == run.theirs[fid, 0] or info.mnemonic(0) == "loop"
        returned = sum(run.theirs[fid, opidx] for opidx in info.of(RETURNS))
        assert left[fid] == returned + run.theirs[fid, info.last], info


def _by_function(run: Run, variable: str) -> Counter[int]:
    rows = run.placed.entries("script", variable)
    return Counter({int(row["fid"]): int(row["value"]) for row in rows})


@pytest.mark.oracle
@pytest.mark.parametrize("name", NAMES)
def test_wizard_still_says_so(name: str, tmp_path: Path) -> None:
    if WIZENG is None:
        pytest.skip("WIZENG names no Wizard engine: its counts are those recorded")
    program = PROGRAMS / f"{name}.wat"
    now: Recorded = ask(WIZENG, assembled(program), tmp_path)
    assert now == recorded(program)
