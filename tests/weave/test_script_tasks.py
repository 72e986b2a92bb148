"""Scripts at asynchronous functions: ``after`` where they have really returned, however they do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.weave.async_parts import KINDS, WAYS, both
from tests.weave.host import everything, text
from tests.weave.scripted import Scripted, script_plan, scripted
from tests.weave.test_tasks import records_of
from whamm_cm import load
from whamm_cm.component.printer import print_component
from whamm_cm.errors import WeaveError
from whamm_cm.weave.plan import nothing

#: Scripts see what is not recorded, too: of every second request, and of nearly none.
PLANS = {
    "alone": {},
    "one": {"multi_memory": False},
    "traced": {"trace": everything},
    "sampled": {"trace": everything, "sample": 2, "sample_start": 5},
    "hardly": {"trace": everything, "sample": 1 << 29, "sample_start": 5},
}
plans = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)


def recorded(plan: dict[str, Any], whole: list[Any]) -> list[list[Any]]:
    """What may be recorded of one request."""
    if "sample" in plan:
        return [[], whole]
    return [whole if "trace" in plan else []]


def lines(run: Scripted, component: str) -> list[str]:
    """What was printed in a component of that name."""
    return [line for line in run.printed if line.startswith(f"{component} ")]


AFTER = """
    wit:inner:*#f:before { print("{} calls {}", component, n); }
    wit:inner:*#f:after / result.1 == "abc" / {
        print("{} gets {} {} of {}", component, result.0, result.1, n);
    }
    wit:inner:*#mark:before { print("{} marks", component); }
    wit:export:#run:after { print("D ends with {}", result); }
"""


@plans
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_after_is_when_the_result_is_there(kind: str, way: str, plan: dict[str, Any]) -> None:
    run = scripted(text(both(kind, way)), AFTER, able=True, **plan)
    for _ in range(2):
        run.sink.records.clear()
        assert run.call("run") == 70
        assert lines(run, "C") == ["C calls 7", "C gets 70 abc of 7", "C marks"]
        assert lines(run, "D") == ["D calls 7", "D gets 70 abc of 7", "D marks", "D ends with 70"]
    assert run.woven.added.skipped == []


TIMES = """
    report var late: u32; report var same: u32; report var other: u32;
    var ids: map<(str, u64), u32>;
    wit:inner:*#f:before { ids[(component, call_id)] = 7; }
    wit:inner:*#f:after { if (elapsed > 0) { late++; }
        if (ids[(component, call_id)] == n) { same++; } else { other++; } }
"""


@plans
@pytest.mark.parametrize(("kind", "way"), [("later", "callback"), ("stackful", "wait")])
def test_times_and_numbers_are_those_of_the_call(kind: str, way: str, plan: Any) -> None:
    run = scripted(text(both(kind, way)), TIMES, able=True, timed="trace" in plan, **plan)
    run.call("run")
    run.call("run")
    reported = {name: value for (_, name), value in run.reported.items() if value}
    assert reported == {"late": 2, "same": 2}


NAMED = """(component
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $return (canon task.return))
  (core module $m
    (import "" "return" (func $return))
    (func (export "f") (param i32 i32 f64 i64) (result i32) (call $return) (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) unreachable)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
  (core instance $m (instantiate $m (with "" (instance (export "return" (func $return))))))
  (func (export "f") async (param "name" string) (param "x" f64) (param "k" s64)
    (canon lift (core func $m "f") async (callback (func $m "callback"))
      (memory $libc "memory") (realloc (func $m "realloc")))))"""


def test_parameters_that_are_a_few_words_are_kept() -> None:
    run = scripted(text(NAMED), 'wit:export:#f:after { print("{} {} {}", x, k, arg2); }')
    run.call("f", "a", 2.5, -3)
    assert run.printed == ["2.5 -3 -3"]


def test_what_lies_in_memory_is_not_there_any_more() -> None:
    run = scripted(text(NAMED), 'wit:export:#f:after { print("{}", name); }')
    run.call("f", "a", 2.5, 3)
    assert run.printed == []
    why = "when an asynchronous call is over, name is not there any more; keep it in a map"
    assert run.woven.added.skipped == [("export #f", f"{why} by call_id, in a before probe")]


# --- events and variables of tasks

EVENTS = """
    task var seen: u32 = 100;
    task var name: str = "nobody";
    task var pair: (u64, bool);
    fn twice() -> u32 { return seen * 2; }
    wasm:task:start {
        seen += task; name = func; pair.0 = call_id;
        print("{} {} starts {} {}", component, task, func, seen);
    }
    wasm:func:entry { seen++; pair.1 = pair.0 > 0 && task != 0; }
    wasm:task:return / elapsed > 0 / {
        print("{} {} returns {} {}", component, task, func, pair.1 && pair.0 == call_id);
    }
    wasm:task:cancel { print("{} {} is cancelled {}", component, task, name); }
    wasm:task:end / elapsed > 0 / { print("{} {} ends {} {}", component, task, name, twice()); }
    wit:inner:#never:cancel / component == "D" && elapsed > 0 / {
        print("D {} hears of {} {}", task, func, seen);
    }
    wasm:end / current() == 0 / { print("out {} {} {}", seen, name, task); }
    fn current() -> u32 { return task; }
"""
IN_C = [
    "C 1 starts slow 101", "C 2 starts slow 102", "C 1 returns slow true",
    "C 2 returns slow true", "C 3 starts never 103", "C 3 is cancelled never",
    "C 3 ends never 210", "C 4 starts hold 104", "C 4 returns hold true", "C 4 ends hold 210",
    "C 5 starts let 105", "C 5 returns let true", "C 5 ends let 212",
]  # fmt: skip
IN_D = [
    "D 1 starts run 101", "D 1 hears of never 106", "D 1 hears of never 106",
    "D 1 returns run true", "D 1 ends run 214",
]  # fmt: skip
NEXT = ["C 6 starts slow 106", "C 7 starts slow 107", "C 1 ends slow 208", "C 2 ends slow 210"]


@pytest.mark.parametrize(
    "plan", [{}, {"multi_memory": False}, {"timed": True, "trace": everything}]
)
def test_tasks_under_way_at_once_have_variables_of_their_own(plan: dict[str, Any]) -> None:
    """Tasks 1 and 2 of C are there at the same time, and end when C runs again."""
    asked = {"trace": nothing, **plan, "scripts": script_plan(EVENTS)}
    found = [r["text"] for r in records_of("tasks.wast", **asked) if r["phase"] == "print"]
    in_c = [line for line in found if line.startswith("C ")]
    in_d = [line for line in found if line.startswith("D ")]
    assert in_c[: len(IN_C)] == IN_C and in_d[: len(IN_D)] == IN_D
    assert in_c[len(IN_C) : len(IN_C) + 4] == NEXT
    assert {line for line in found if line not in in_c + in_d} == {"out 100 nobody 0"}


def test_where_nothing_is_asynchronous_tasks_have_no_events() -> None:
    script = """
        task var n: u32;
        wasm:task:start { n = 100; }
        wit:export:*#*:before { n++; print("{} {}", n, task); }"""
    run = scripted(text(PLAIN), script)
    assert [run.call("f"), run.call("f")] == [7, 7]
    assert run.printed == ["1 1", "1 2"]
    why = ("script0:3:9", "wasm:task:start", "no asynchronous component")
    assert why in run.woven.added.idle and "context" not in printed(run)


PLAIN = """(component (core module $m (func (export "f") (result i32) (i32.const 7))
  (func (export "g") (param i32 i32 i32) (result i32) unreachable))
  (core instance $m (instantiate $m))
  (func (export "f") (result u32) (canon lift (core func $m "f"))))"""


def printed(run: Scripted) -> str:
    return "\n".join(print_component(run.woven.component))


def test_a_cancelled_call_has_not_returned() -> None:
    script = """
        report var after: u32; report var cancelled: u32;
        wit:inner:#never:after { after++; }
        wit:inner:#never:cancel / call_id > 0 / { cancelled++; }
        wit:inner:#never:before|after { print("{}", func); }"""
    found = records_of("tasks.wast", trace=nothing, scripts=script_plan(script))
    last = {(r["instance"], r["var"]): r["value"] for r in found if r["phase"] == "report"}
    assert sorted(last.values()) == [2, 4] and {var for _, var in last} == {"cancelled"}
    assert (
        len([r for r in found if r["phase"] == "print"]) == 6
    )  # before, three times a round twice


def test_what_is_no_task_has_no_events_of_them() -> None:
    with pytest.raises(WeaveError, match="wasm:task:end: a plain core module has no WIT boundary"):
        load(text(MODULE)).weave(scripts="wasm:task:end { }")


MODULE = '(module (func (export "_start")))'


# --- answers


ANSWERED = """
    wit:inner:*#f:alt / component == "%s" / { return (5, "xyc"); }
    wit:inner:*#f:after { print("{} gets {} {}", component, result.0, result.1); }
    wit:inner:*#f:cancel { print("{} is cancelled", component); }
    wasm:task:end / func == "f" / { print("C ends"); }
"""


@plans
@pytest.mark.parametrize("way", WAYS)
def test_an_import_is_answered_at_once(way: str, plan: dict[str, Any]) -> None:
    """The caller checks what it gets, and that there is no subtask."""
    run = scripted(text(both("later", way)), ANSWERED % "D", able=True, **plan)
    for _ in range(2):
        run.sink.records.clear()
        assert run.call("run") == 5
        assert run.printed == ["D gets 5 xyc"]
        returned = [r["result"] for r in run.sink.records if r.get("func") == "f" and "result" in r]
        assert returned in recorded(plan, [[5, "xyc"]])


@plans
@pytest.mark.parametrize("kind", KINDS)
def test_an_export_is_answered_by_its_task_return(kind: str, plan: dict[str, Any]) -> None:
    run = scripted(text(both(kind, "callback")), ANSWERED % "C", able=True, **plan)
    for _ in range(2):
        run.sink.records.clear()
        assert run.call("run") == 5
        assert lines(run, "D") == ["D gets 5 xyc"]
        assert lines(run, "C") == ["C gets 5 xyc", "C ends"]
        of_f = [r for r in run.sink.records if r.get("func") == "f"]
        returned = [r["result"] for r in of_f if "result" in r]
        assert returned in recorded(plan, [[5, "xyc"]] * 2)
        ended = bool(returned) and kind != "sync"
        assert len([r for r in of_f if r["phase"] == "exit"]) == ended


OUTCOMES = """(component
  (type $bad (enum "refused" "too-late"))
  (export $bad' "bad" (type $bad))
  (type $many (tuple u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64))
  (core module $libc (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
  (core instance $libc (instantiate $libc))
  (core func $number (canon task.return (result u16)))
  (core func $outcome (canon task.return (result (result u8 (error $bad')))))
  (core func $spilled (canon task.return (result $many) (memory $libc "memory")))
  (core func $nothing (canon task.return))
  (core module $m
    (import "" "number" (func $number (param i32)))
    (import "" "outcome" (func $outcome (param i32 i32)))
    (import "" "spilled" (func $spilled (param i32)))
    (import "" "nothing" (func $nothing))
    (func (export "number") (param i32) (result i32) (call $number (local.get 0)) (i32.const 0))
    (func (export "outcome") (param i32) (result i32)
      (call $outcome (i32.const 0) (local.get 0)) (i32.const 0))
    (func (export "spilled") (result i32) (call $spilled (i32.const 0)) (i32.const 0))
    (func (export "nothing") (result i32) (call $nothing) (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
  (core instance $m (instantiate $m (with "" (instance
    (export "number" (func $number)) (export "outcome" (func $outcome))
    (export "spilled" (func $spilled)) (export "nothing" (func $nothing))))))
  (func (export "number") async (param "n" u16) (result u16)
    (canon lift (core func $m "number") async (callback (func $m "callback"))))
  (func (export "outcome") async (param "n" u8) (result (result u8 (error $bad')))
    (canon lift (core func $m "outcome") async (callback (func $m "callback"))))
  (func (export "spilled") async (result $many)
    (canon lift (core func $m "spilled") async (callback (func $m "callback"))
      (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func (export "nothing") async
    (canon lift (core func $m "nothing") async (callback (func $m "callback")))))"""


@pytest.mark.parametrize(
    ("name", "args", "script", "expected"),
    [
        ("number", (7,), "return n + 65000;", 65007),
        ("number", (7,), "if (n == 7) { n = 9; } proceed();", 9),
        ("outcome", (7,), "return ok(3);", {"ok": 3}),
        ("outcome", (7,), 'fail("too-late");', {"error": "too-late"}),
        ("outcome", (7,), 'if (n > 7) { fail("refused"); } proceed();', {"ok": 7}),
        ("spilled", (), f"return ({', '.join(map(str, range(17)))});", list(range(17))),
        ("nothing", (), "return;", None),
        ("nothing", (), "delay(1); proceed();", None),
    ],
)
def test_answers_of_all_kinds(name: str, args: Any, script: str, expected: Any) -> None:
    for plan in ({}, {"trace": everything}):
        wasi = "delay" in script
        run = scripted(text(OUTCOMES), f"wit:export:#{name}:alt {{ {script} }}", timed=wasi, **plan)
        assert [run.call(name, *args) for _ in range(2)] == [expected] * 2
        ends = [r for r in run.sink.records if r["phase"] == "exit"]
        assert len(ends) == (2 if plan else 0)


def test_an_export_without_a_task_return_before_it_is_not_answered() -> None:
    wasm = text(PLAIN.replace("(result u32) " + SYNC_LIFT, "async (result u32) " + ASYNC_LIFT))
    with pytest.raises(WeaveError, match="its component has no task.return with its result"):
        scripted(wasm, "wit:export:#f:alt { return 8; }")


SYNC_LIFT = '(canon lift (core func $m "f"))'
ASYNC_LIFT = '(canon lift (core func $m "f") async (callback (func $m "g")))'


@pytest.mark.parametrize("plan", [{}, {"multi_memory": False}])
def test_hundreds_of_calls_are_under_way_at_once(plan: dict[str, Any]) -> None:
    """They wait until they may start, or in the callee's callback; then they are cancelled."""
    script = """
        report var begun: u64; report var cancelled: u64; report var same: u64;
        var ids: map<u64, bool>;
        wit:inner:#never:before { begun++; ids[call_id] = true; }
        wit:inner:#never:cancel { cancelled++; if (ids[call_id]) { same++; } }
        wit:inner:#never:after { begun = 0; }"""
    found = records_of("starting.wast", trace=nothing, scripts=script_plan(script), **plan)
    first = {r["var"]: r["value"] for r in found if r["phase"] == "report" and r["instance"] == 1}
    assert first == {"begun": 701, "cancelled": 701, "same": 701}


# --- records that a probe asks for

BEFORE = [("call", 7), ("return", [70, "abc"]), ("exit", None)]


@pytest.mark.parametrize("plan", [{}, {"multi_memory": False}, {"timed": True}])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_probe_traces_is_recorded_to_its_end(kind: str, way: str, plan: Any) -> None:
    """Once each: the call where ``before`` asks for it, the result when it comes."""
    for mode in ("before", "after"):
        script = f"wit:inner:*#f:{mode} / n == 7 / {{ trace; }}"
        run = scripted(text(both(kind, way)), script, able=True, **plan)
        for _ in range(2):
            run.sink.records.clear()
            run.call("run")
            records = [
                r
                for r in run.sink.records
                if r["phase"] in ("call", "return", "exit") and not r.get("pending")
            ]
            in_c = [facts_of(r) for r in records if r["component"] == "C"]
            in_d = [facts_of(r) for r in records if r["component"] == "D"]
            shown = mode == "before" or kind == "sync"
            ends = BEFORE[:2] if kind == "sync" else BEFORE
            assert in_c == (ends if shown else ends[1:])
            assert in_d[-1] == BEFORE[1] and len(in_d) == 2 - (in_d[0] == BEFORE[1])
            assert mode == "after" or in_d == BEFORE[:2]


def facts_of(record: dict[str, Any]) -> tuple[str, Any]:
    given = record["args"]["n"] if "args" in record else record.get("result")
    return record["phase"], given
