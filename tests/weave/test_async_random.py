"""Random programs of asynchronous calls: the log says of each component what it saw and did.

Expected is worked out from what the program itself told its host (``tests/async_programs``), with
nothing of ``whamm_cm.abi``, ``emit``, ``weave`` or ``trace`` in it.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from wasmtime import wat2wasm

from tests.async_programs.guest import program_text
from tests.async_programs.model import BLOCKED, Model
from tests.async_programs.running import Ran, run
from tests.async_programs.shape import (
    HANGING,
    HOLD,
    LET,
    MISTAKES,
    Function,
    Op,
    Part,
    Program,
    Script,
    Step,
    call,
    programs,
)
from tests.weave.expect import agree
from whamm_cm.agent.table import SiteTable
from whamm_cm.trace.decode import Receiver
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan
from whamm_cm.wit.classes import SiteSet
from whamm_cm.wit.types import Prim

EXAMPLES = max(1, int(25 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))
#: The journal is no part of the program.
DEFAULT = "!#journal"
EVERYTHING = "all,%async,!#journal"
COPIES = ("stream.read", "stream.write")
PHASES = ("call", "return", "exit", "started", "resumed")
_KEYS = ("phase", "edge", "func", "call", "task", "args", "result", "data", "pending",
         "status", "cancelled")  # fmt: skip


def weaves() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "trace": st.sampled_from((DEFAULT, EVERYTHING)),
            "timed": st.booleans(),
            "multi_memory": st.booleans(),
            "flush_each": st.booleans(),
            "live": st.booleans(),
        }
    )


def woven(wasm: bytes, wishes: dict[str, Any]) -> tuple[bytes, SiteTable]:
    selected = SiteSet.parse(wishes["trace"])
    options = {**wishes, "trace": selected, "sink": "host"}
    options["max_string"] = options["max_list"] = 1 << 12
    found = weave(wasm, Plan(**options))
    return found.wasm, SiteTable.parse(found.table)


def logged(ran: Ran, table: SiteTable) -> dict[str, list[dict[str, Any]]]:
    """The records of calls by component, of built-ins none, calls numbered from 1."""
    receiver = Receiver(table)
    found: dict[str, list[dict[str, Any]]] = {}
    calls: dict[tuple[int, int], int] = {}
    count = Counter[str]()
    for record in (r for block in ran.blocks for r in receiver.receive(block).records):
        if record["phase"] in ("start", "end", "handle"):
            continue
        assert record["phase"] in PHASES, record
        if record["edge"] == "builtin" and record["func"] not in COPIES:
            continue
        name = record.get("component", "D")
        key = record["instance"], record["call"]
        if record["phase"] == "call":
            assert key not in calls, record
            count[name] += 1
            calls[key] = count[name]
        one = {k: record[k] for k in _KEYS if k in record}
        found.setdefault(name, []).append({**one, "call": calls[key]})
    return found


def check(program: Program, wishes: dict[str, Any]) -> Counter[str]:
    wasm = wat2wasm(program_text(program))
    original = run(bytes(wasm), program.runs, lambda *_: None)
    changed, table = woven(bytes(wasm), wishes)
    model = Model(program, wishes["timed"])
    ran = run(changed, program.runs, model.called)
    assert ran.ends == original.ends
    assert ran.journal == original.journal
    for entry in ran.journal:
        model.feed(entry)
    log = logged(ran, table)
    trapped = isinstance(ran.ends[-1], str)
    model.seen["trapped"] += trapped
    for component in model.components:
        got, expected = log.get(component.part.name, []), component.records
        if wishes.get("flush_each") or (wishes.get("live") and not trapped):
            assert len(got) == len(expected), (
                component.part.name,
                expected[len(got) :],
                got[len(expected) :],
            )
        for mine, theirs in zip(expected, got, strict=False):
            want = {k: mine[k] for k in _KEYS if k in mine}
            assert agree(want, theirs), (component.part.name, want, theirs)
    return model.seen


#: What it has to come by in a hundred programs, at least; ``event`` and ``cancel`` with the state.
COVERED = ("starting", "started", "returned at once", "event 2", "cancel 2", "cancel 3", "cancel 4",
           f"cancel {BLOCKED}", "callback task", "stackful task", "sync task", "plain task",
           "stream.read blocked", "stream.write blocked", "stream.read completed", "elements",
           "stream.read dropped", "stream.write completed")  # fmt: skip


@settings(
    max_examples=EXAMPLES,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(programs(), weaves())
def test_the_log_says_what_happened(program: Program, wishes: dict[str, Any]) -> None:
    check(program, wishes)


class _Enough(Exception):
    """All has been seen."""


def test_programs_do_it_all() -> None:
    """A run of the test above is worth nothing where calls only return at once."""
    seen = Counter[str]()

    @settings(max_examples=200, database=None, derandomize=True, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(programs())
    def look(program: Program) -> None:
        model = Model(program)
        ran = run(bytes(wat2wasm(program_text(program))), program.runs, model.called)
        for entry in ran.journal:
            model.feed(entry)
        seen.update(model.seen)
        if all(seen[name] for name in COVERED):
            raise _Enough

    with pytest.raises(_Enough):
        look()


#: A call that returns, and what it does then.
FOR_EVER = {
    "callback": ((Op.RETURN, 0, 0, 0), call(1, 0, HANGING, sync=True)),
    "stackful": ((Op.RETURN, 0, 0, 0), call(1, 0, HANGING), (Op.WAIT_ALL, 0, 0, 0)),
    "sync": (call(1, 0, HANGING), (Op.RETURN, 0, 0, 0)),
}


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("kind", FOR_EVER)
def test_nothing_is_kept_back_by_who_waits_for_ever(kind: str, timed: bool) -> None:
    """Neither in the component that waits nor in the one it has called."""
    hanging: Script = ((Op.YIELD, 0, 0, 0), (Op.HANG, 0, 0, 0))
    slow: Script = ((Op.YIELD, 0, 0, 0), (Op.YIELD, 0, 0, 0))
    callee = Part("C", (Function("c0", "plain"), Function("c1", "callback"),
                        Function("c2", "sync")), (HOLD, LET, hanging, slow))  # fmt: skip
    run_ = Function("run", kind, (), Prim("u32"), results=(7, 8))
    after = ((Op.RETURN, 0, 0, 0), call(2, 0, 3))
    many = (call(0, 0, 3, sync=True),) * 40
    scripts = (FOR_EVER[kind], after, (call(2, 0, 3), (Op.YIELD, 0, 0, 0)), many)
    # Early on all leaves at once.
    program = Program((Part("D", (run_,), scripts), callee), ((3,) * 60 + (2, 1, 2, 1, 0)))
    wishes = {"trace": DEFAULT, "timed": timed, "live": True}
    assert not check(program, wishes)["trapped"]


@pytest.mark.parametrize("multi_memory", [True, False])
def test_nothing_is_kept_back_by_who_is_stopped_in_a_call(multi_memory: bool) -> None:
    """An asynchronous one, in which another task gets to run when the export has answered."""
    run_ = Function("run", "stackful", (), Prim("u32"), results=(7, 8))
    slow: Script = ((Op.YIELD, 0, 0, 0), (Op.YIELD, 0, 0, 0))
    plain = tuple(call(0, 0, which, sync=True) for which in (0, 1))
    going = ((Op.RETURN, 0, 0, 0), plain[0], call(1, 0, 2), plain[1], (Op.WAIT_ALL, 0, 0, 0))
    callee = Part("C", (Function("c0", "plain"), Function("c1", "callback")), (HOLD, LET, slow))
    program = Program((Part("D", (run_,), (going,)), callee), (0,) * 20)
    for timed in (True, False):
        wishes = {"trace": DEFAULT, "timed": timed, "live": True, "multi_memory": multi_memory}
        assert not check(program, wishes)["trapped"]


@pytest.mark.parametrize("kind", ["callback", "stackful", "sync"])
def test_what_a_guest_was_told_has_left_before_it_traps(kind: str) -> None:
    """With ``--flush each``, which loses nothing."""
    run_ = Function("run", kind, (), Prim("u32"), results=(7, 8))
    slow: Script = ((Op.YIELD, 0, 0, 0), (Op.RETURN, 0, 0, 0))
    scripts = ((call(1, 0, 2), (Op.WAIT, 0, 0, 0), (Op.TRAP, 0, 0, 0)),)
    callee = Part("C", (Function("c0", "plain"), Function("c1", "callback")), (HOLD, LET, slow))
    program = Program((Part("D", (run_,), scripts), callee), (0,))
    assert check(program, {"trace": DEFAULT, "timed": True, "flush_each": True})["trapped"]


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("kind", ["callback", "stackful"])
def test_what_the_host_refuses_is_not_said_to_have_happened(kind: str, mistake: Step) -> None:
    """Such as a second return, or a return of what is not async."""
    if kind == "stackful" and mistake[0] == Op.LEAVE:
        return  # its function has no result
    run_ = Function("run", "sync", (), Prim("u32"), results=(7, 8))
    callee = Function("c1", kind, (), Prim("u32"), results=(3, 4))
    scripts = (HOLD, LET, (), ((Op.YIELD, 0, 0, 0), mistake))
    part = Part("C", (Function("c0", "plain"), callee), scripts)
    program = Program((Part("D", (run_,), ((call(1, 0, 3, sync=True),),)), part), (0,))
    for everything in (DEFAULT, EVERYTHING):
        wishes = {"trace": everything, "timed": False, "flush_each": True}
        assert check(program, wishes)["trapped"]
