"""Scripts on WIT boundaries: what their probes see, and where they stand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.weave import guests
from tests.weave.echo import HOST, echo_component
from tests.weave.host import Functions, everything, fixture, text
from tests.weave.libs import module_library
from tests.weave.scripted import Scripted, scripted
from whamm_cm.errors import UsageError, WeaveError
from whamm_cm.wit.types import (
    EnumT,
    FlagsT,
    FuncT,
    ListT,
    OptionT,
    Prim,
    RecordT,
    ResultT,
    TupleT,
    ValType,
    VariantT,
)

U8, U16, U32, STRING = map(Prim, ("u8", "u16", "u32", "string"))
ADDRESS = VariantT((
    ("ipv4", RecordT((("port", U16), ("address", TupleT((U8,) * 4))))),
    ("ipv6", RecordT((("port", U16), ("name", STRING)))),
    ("none", None),
))  # fmt: skip
ERROR = EnumT(("refused", "timed-out", "unknown"))
CONNECT = FuncT((("remote-address", ADDRESS), ("tries", U32)), ResultT(U32, ERROR))
V4: dict[str, Any] = {"ipv4": {"port": 443, "address": [10, 0, 0, 7]}}
V6: dict[str, Any] = {"ipv6": {"port": 80, "name": "::1"}}


def echo(func: FuncT, *scripts: str, answer: Any = None, **plan: Any) -> Scripted:
    """``f0`` calls the import ``f0``, which answers ``answer(*args)``."""
    host = Functions({(HOST, "f0"): (func, answer or (lambda *_: None))})
    return scripted(echo_component([func]), *scripts, functions=host, **plan)


def ticks() -> Functions:
    tick = FuncT((("i", U32),), U32)
    return Functions({("", name): (tick, lambda i: i + 1) for name in ("tick", "last")})


def test_cases_fields_and_members_by_their_names() -> None:
    run = echo(
        CONNECT,
        """report var ports: map<(u16, u8), u32>;
        wit:import:test:echo/host#f0:before / remote_address is ipv4 / {
            ports[(remote_address.ipv4.port, remote_address.ipv4.address.3)] += tries;
        }
        wit:import:test:echo/host#f0:before / remote_address is ipv6 / {
            print("{} {} {}", remote_address, remote_address.ipv6.name, arg1);
        }""",
        answer=lambda *_: {"ok": 3},
    )
    for address in (V4, V6, V4, {"none": None}):
        assert run.call("f0", address, 2) == {"ok": 3}
    assert run.printed == ['ipv6({port: 80, name: "::1"}) ::1 2']
    assert run.reported == {"ports": {(443, 7): 4}}


def test_a_rule_means_the_functions_that_have_what_its_body_asks_for() -> None:
    funcs = [FuncT((("len", U32),), U32), FuncT((("len", U32),), None), FuncT((), U16)]
    rule = "wit:import:test:echo/host#*:"
    f0, f1, f2 = funcs
    answers = Functions({
        (HOST, "f0"): (f0, lambda *_: 7), (HOST, "f1"): (f1, lambda *_: None),
        (HOST, "f2"): (f2, lambda *_: 7),
    })  # fmt: skip
    run = scripted(
        echo_component(funcs),
        f"""{rule}after {{ print("{{}} {{}}", func, result); }}
        {rule}before {{ print("{{}} {{}}", func, len); }}""",
        functions=answers,
    )
    run.call("f0", 5)
    run.call("f1", 6)
    run.call("f2")
    assert run.printed == ["f0 5", "f0 7", "f1 6", "f2 7"]
    assert (f"{rule}after", "the function has no result", 1) in run.woven.added.unmatched
    assert (f"{rule}before", "the function has no len", 1) in run.woven.added.unmatched


@pytest.mark.parametrize(
    "body", ["print(lenght);", "print(lenght, len);", "print(len % 2 == func);"]
)
def test_what_no_function_has_is_wrong(body: str) -> None:
    funcs = [FuncT((("len", U32),), U32), FuncT((), U16)]
    with pytest.raises(UsageError):
        scripted(echo_component(funcs), f"wit:import:test:echo/host#*:before {{ {body} }}")


def test_after_knows_the_result_whether_it_is_an_error_and_the_time() -> None:
    answers: list[Any] = [{"ok": 3}, {"error": "timed-out"}, {"error": "refused"}]
    run = echo(
        CONNECT,
        """report var errors: map<str, u32>;
        test:echo/host#f0:after / is_err / { errors[result.error]++; }
        test:echo/host#f0:after / !is_err && elapsed > 0 / { print("{} {}", call_id, result.ok); }
        test:echo/host#f0:after / result.error == "refused" / { print("refused"); }""",
        answer=lambda *_: answers.pop(0),
    )
    for _ in range(3):
        run.call("f0", V4, 1)
    assert run.printed == ["1 3", "refused"]
    assert run.reported == {"errors": {"timed-out": 1, "refused": 1}}


def test_lists_options_and_flags() -> None:
    flags = FlagsT(("read", "write"))
    pair = TupleT((STRING, OptionT(U32)))
    run = echo(
        FuncT((("items", ListT(pair)), ("how", flags)), None),
        """wit:import:*#f0:before {
            for i in 0..5 {
                var k: u32 = i as u32;
                if (items[k].1 is some) { print("{}={}", items[k].0, items[k].1.some); }
            }
            print("{} {} [{}]", len(items), how has "write", items[7].0);
        }""",
    )
    run.call("f0", [["a", None], ["b", 5], ["c", 0]], ["write"])
    assert run.printed == ["b=5", "c=0", "3 true []"]


@pytest.mark.parametrize("plan", [{}, {"multi_memory": False}, {"timed": True}])
def test_strings_are_keys_and_printed(plan: dict[str, Any]) -> None:
    run = echo(
        FuncT((("path", STRING),), STRING),
        """report var opens: map<str, u32>;
        wit:import:*#f0:before / path.starts_with("/etc") || path.contains("ü") / { opens[path]++; }
        wit:export:#f0:after { print("{} {}", path.len(), result); }""",
        answer=lambda path: path.upper(),
        **plan,
    )
    for path in ("/etc/passwd", "/home", "für", "/etc/passwd", ""):
        assert run.call("f0", path) == path.upper()
    assert run.reported == {"opens": {"/etc/passwd": 2, "für": 1}}
    assert run.printed[1] == "5 /HOME"


def test_rules_by_side_glob_and_name() -> None:
    script = """
        report var n: map<(str, str), u32>;
        wit:import:*#*:before { n[(direction, func)]++; }
        wit:export:#go|leave:before { n[(direction, func)]++; }
        wit:*:#ti?k:after { print("{}", result); }"""
    run = scripted(guests.TICKER, script, functions=ticks())
    run.call("go", 2)
    run.call("leave", 1)
    assert run.reported == {"n": {("export", "go"): 1, ("export", "leave"): 1,
                                  ("import", "tick"): 3, ("import", "last"): 1}}  # fmt: skip
    assert run.printed == ["1", "2", "1"]


def test_cells_of_their_own_at_each_function() -> None:
    script = """wit:*:*#*:before {
        report var calls: u32; calls++;
        unshared var seen: u32; seen += 2;
        if (seen == 6) { print("third call of {}", func); }
    }"""
    run = scripted(guests.TICKER, script, functions=ticks())
    run.call("go", 3)
    run.call("leave", 2)
    assert run.printed == ["third call of tick"]
    assert run.reported == {("calls", "go"): 1, ("calls", "leave"): 1, ("calls", "tick"): 5,
                            ("calls", "last"): 1}  # fmt: skip


def test_variables_are_shared_with_opcode_probes() -> None:
    """How many branches are taken between two calls."""
    script = """
        var branches: u32;
        wasm:opcode:br_if|br|if:before { branches++; }
        wit:import:#tick:before { print("{}", branches); branches = 0; }"""
    run = scripted(guests.TICKER, script, functions=ticks())
    assert run.call("go", 3) == 6
    assert run.printed == ["1", "2", "2"]


def test_samples() -> None:
    script = """
        report var sizes: hist; report var least: min; report var most: max; report var mean: avg;
        wit:import:#tick:before { sizes = hist(i); least = min(i); most = max(i); mean = avg(i); }
        wit:import:#tick:after { report var t: hist; t = hist(elapsed); }"""
    run = scripted(guests.TICKER, script, functions=ticks())
    run.call("go", 5)
    found = run.reported
    assert found["least"] == 0 and found["most"] == 4 and found["mean"] == [5, 10]
    assert sum(count for _, count in found["sizes"]) == 5
    assert sum(count for _, count in found[("t", "tick")]) == 5


def test_functions_and_libraries_of_scripts() -> None:
    library = module_library(
        """(global $n (mut i32) (i32.const 0))
        (func (export "count") (param i32) (result i32)
          (global.set $n (i32.add (global.get $n) (local.get 0))) (global.get $n))"""
    )
    script = """use lib;
        fn twice(x: u32) -> u32 { print("twice {}", x); return 2 * x; }
        wit:import:#tick:before / i > 0 / {
            unshared var sum: i32 = 7;
            @init lib.count(100);
            sum += lib.count(twice(i) as i32);
            print("{}", sum);
        }"""
    run = scripted(guests.TICKER, script, functions=ticks(), libraries=[library])
    run.call("go", 3)
    assert run.printed == ["twice 1", "109", "twice 2", "215"]


def test_scripts_share_a_component() -> None:
    script = "report var n: u32; wit:import:#tick:before {{ n += {}; }}"
    one, two = script.format(1), script.format(10)
    run = scripted(guests.TICKER, one, two, functions=ticks())
    run.call("go", 2)
    found = [(r["script"], r["value"]) for r in run.sink.records if r["phase"] == "report"]
    assert found == [("script0", 2), ("script1", 20)]


# --- trace


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("mode", ["before", "after"])
def test_trace_writes_the_calls_a_predicate_lets_through(mode: str, timed: bool) -> None:
    script = f"wit:import:#tick:{mode} / i % 4 == 1 / {{ trace; }}"
    run = scripted(guests.TICKER, script, functions=ticks(), timed=timed)
    run.call("go", 8)
    assert run.traced == [("call", "tick"), ("return", "tick")] * 2
    calls = [r for r in run.sink.records if r["phase"] == "call"]
    assert [r["args"]["i"] for r in calls] == [1, 5]
    assert all(("dur_ns" in r) == timed for r in run.sink.records if r["phase"] == "return")


def test_with_trace_and_counts_beside_it() -> None:
    script = 'wit:import:#tick:before { print("{}", i); trace; }'
    run = scripted(
        guests.TICKER,
        script,
        functions=ticks(),
        trace=lambda edge, interface, version, func: func == "tick",
        count=lambda edge, interface, version, func: func == "go",
    )
    run.call("go", 2)
    assert run.printed == ["0", "1"] and run.traced == [("call", "tick"), ("return", "tick")] * 2
    counts = [(r["func"], r["count"]) for r in run.sink.records if "count" in r]
    assert counts == [("go", 1)]


# --- where components are in components


def test_every_instance_counts_for_itself() -> None:
    script = "report var n: u32; wit:*:*#next:before { n++; }"
    run = scripted(fixture("nested"), script)
    for name in ("left", "left", "right"):
        run.call(name)
    assert sorted(run.reported.values()) == [1, 2]


def test_calls_between_components() -> None:
    script = """
        report var n: map<(str, str), u32>;
        wit:inner:shelf#*:before { n[(component, func)]++; }
        wit:inner:shelf#book.pages:after { print("{} pages", result); }"""
    run = scripted(fixture("resources"), script)
    assert run.call("read") == 1123
    assert run.printed == ["100 pages", "123 pages"]
    counts = {"book.new": 2, "book.pages": 2, "book.join": 1, "book.drop": 1}
    assert run.reported["n"] == {("reader", func): n for func, n in counts.items()}


ASYNC = """(component
  (core module $m
    (import "" "return" (func $return (param i32)))
    (global $n (mut i32) (i32.const 0))
    (func (export "one") (param i32) (result i32)
      (call $return (i32.add (local.get 0) (i32.const 1))) (i32.const 0))
    (func (export "two") (param i32) (result i32) (global.set $n (local.get 0)) (i32.const 1))
    (func (export "callback") (param i32 i32 i32) (result i32)
      (call $return (i32.add (global.get $n) (i32.const 2))) (i32.const 0)))
  (core func $return (canon task.return (result u32)))
  (core instance $m (instantiate $m (with "" (instance (export "return" (func $return))))))
  (func (export "one") async (param "n" u32) (result u32)
    (canon lift (core func $m "one") async (callback (func $m "callback"))))
  (func (export "two") async (param "n" u32) (result u32)
    (canon lift (core func $m "two") async (callback (func $m "callback")))))"""


def test_async_exports_return_where_their_task_does() -> None:
    """Both return at one ``task.return``, and one of them only after it has waited."""
    script = """
        wit:export:#*:before { print("{} of {}", func, n); }
        wit:export:#one:after / result != 9 / { print("one gave {}", result); }
        wit:export:#two:after { report var r: u32; r = result; print("two gave {}", r); }"""
    run = scripted(text(ASYNC), script)
    assert [run.call("one", 5), run.call("two", 5), run.call("one", 8)] == [6, 7, 9]
    assert run.printed == ["one of 5", "one gave 6", "two of 5", "two gave 7", "one of 8"]
    assert run.reported == {("r", "two"): 7}


# --- intervention


def test_every_third_connect_fails() -> None:
    run = echo(
        CONNECT,
        """var n: u32;
        test:echo/host#f0:alt { n++; if (n % 3 == 0) { fail("refused"); } proceed(); }""",
        answer=lambda *_: {"ok": 3},
    )
    answers = [run.call("f0", V4, 1) for _ in range(7)]
    fine, refused = {"ok": 3}, {"error": "refused"}
    assert answers == [fine, fine, refused, fine, fine, refused, fine]
    assert run.guest.functions is not None and len(run.guest.functions.calls) == 5


def test_arguments_change_in_place() -> None:
    run = echo(
        FuncT((("path", STRING), ("n", U32)), STRING),
        'test:echo/host#f0:before / path == "secret" / { path = "public"; n += 2; }',
        answer=lambda path, n: f"{path} {n}",
    )
    assert run.call("f0", "secret", 5) == "public 7"
    assert run.call("f0", "other", 5) == "other 5"


@pytest.mark.parametrize(
    ("result", "value", "expected"),
    [
        (U32, "7", 7),
        (STRING, '"grüße"', "grüße"),
        (ListT(STRING), '["a", "b"]', ["a", "b"]),
        (ADDRESS, "ipv4({port: 80, address: (1, 2, 3, 4)})",
         {"ipv4": {"port": 80, "address": [1, 2, 3, 4]}}),
        (ResultT(STRING, ERROR), 'error("unknown")', {"error": "unknown"}),
        (OptionT(U32), "none", None),
    ],
)  # fmt: skip
def test_answers_without_a_call(result: ValType, value: str, expected: Any) -> None:
    run = echo(FuncT((), result), f"test:echo/host#f0:alt {{ return {value}; }}")
    got = run.call("f0")
    assert _plain(got) == expected
    assert run.guest.functions is not None and run.guest.functions.calls == []


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("wit:import:*#f0:alt { fail(\"gone\"); }", 'has no case "gone"'),
        ("wit:import:*#f0:before { fail(\"refused\"); }", "belongs in an alt probe"),
        ("wit:import:*#f0:before { tries = \"a\"; }", "but tries is a u32"),
        ("wit:import:*#f0:after { tries = 1; }", "cannot be assigned when the call is over"),
        ("wit:import:*#f0:alt { proceed(); } wit:import:*#f0:alt { proceed(); }",
         "two alt probes at one function"),
        ("wit:import:*#f0:before { print(\"{}\", remote_adress); }", "did you mean"),
        ("wit:import:*#f0:before / remote_address is ipv5 / { }", 'there is no case "ipv5"'),
        ("wit:import:*#f0:before { print(\"{}\", result); }", '"result" exists only when'),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(script: str, said: str) -> None:
    with pytest.raises(Exception, match=said) as error:
        echo(CONNECT, script)
    assert isinstance(error.value, UsageError) or "alt probes" in str(error.value)


# --- the report on request

START = """(component
  (import "tick" (func $tick (param "i" u32) (result u32)))
  (core func $tick (canon lower (func $tick)))
  (core module $m
    (import "" "tick" (func $tick (param i32) (result i32)))
    (func $start (drop (call $tick (i32.const 5))))
    (start $start)
    (func (export "f")))
  (core instance $m (instantiate $m (with "" (instance (export "tick" (func $tick))))))
  (func (export "f") (canon lift (core func $m "f"))))"""
COUNTING = "report var n: u32; wit:*:*#*:before { n++; }"
FLUSH = "whamm:cm/report#flush"


@pytest.mark.parametrize("plan", [{}, {"multi_memory": False}, {"trace": everything}])
def test_a_report_on_request(plan: dict[str, Any]) -> None:
    run = scripted(text(START), COUNTING, functions=ticks(), **plan)
    run.call(FLUSH)
    assert run.reported == {"n": 1}
    run.call(FLUSH)
    run.call("f")
    assert run.reported == {"n": 2}


def test_all_instances_report_on_request() -> None:
    run = scripted(fixture("nested"), COUNTING)
    run.call("left")
    run.sink.records.clear()
    run.call(FLUSH)
    assert run.reported == {}
    run = scripted(fixture("start"), COUNTING)
    run.call(FLUSH)
    assert sorted(run.reported.values()) == [2, 2]


def test_scripts_that_match_nothing_still_begin_and_end() -> None:
    func = FuncT((("n", U32),), None)
    script = 'report var n: u32 = 3; wasm:begin { print("begin"); } wasm:end { print("end"); n++; }'
    run = echo(func, script)
    run.call("f0", 1)
    assert run.printed == ["begin", "end"]
    assert run.reported == {"n": 4}


_TWICE = """(component
  (core module $m
    (func $inner)
    (func (export "f") (param i32)
      (loop $again (call $inner)
        (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))
  (core instance $a (instantiate $m))
  (core instance $b (instantiate $m))
  (func (export "a") (param "n" u32) (canon lift (core func $a "f")))
  (func (export "b") (param "n" u32) (canon lift (core func $b "f"))))"""


def test_instances_of_one_core_module_count_for_themselves() -> None:
    run = scripted(text(_TWICE), "wasm:opcode:call:before { report var n: u32; n++; }")
    run.call("a", 3)
    run.call("b", 4)
    run.call("a", 1)
    reports = [r for r in run.sink.records if r["phase"] == "report"]
    last = {r["module"]: r["value"] for r in reports}
    assert sorted(last.values()) == [4, 4] and len(last) == 2


def test_a_memory_by_number_is_refused_at_a_boundary() -> None:
    func = FuncT((("n", U32),), None)
    with pytest.raises(WeaveError, match="reaches no memory"):
        echo(func, f'{HOST}#f0:before {{ print("{{}}", read_str(APP_MEMID, 0, 4)); }}')
