"""Maps that scripts empty and go through, in components and core modules, and what readers know."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fixtures.build import path_of
from tests.weave.echo import HOST, echo_component
from tests.weave.host import Functions, fixture
from tests.weave.scripted import Scripted, scripted
from tests.weave.test_script_values import in_core_module
from whamm_cm.cli.main import main
from whamm_cm.lang.load import load
from whamm_cm.lang.tree import WitSite
from whamm_cm.trace.reports import Reports
from whamm_cm.wit.types import (
    Borrow,
    FuncT,
    ListT,
    OptionT,
    Own,
    Prim,
    RecordT,
    Resource,
    ResultT,
    StreamT,
    TupleT,
    VariantT,
)

U32, STRING = Prim("u32"), Prim("string")
CALL = FuncT((("name", STRING), ("n", U32)), None)


def echo(script: str, **plan: Any) -> Scripted:
    host = Functions({(HOST, "f0"): (CALL, lambda *_: None)})
    return scripted(echo_component([CALL]), script, functions=host, **plan)


def cells(run: Scripted) -> dict[str, Any]:
    """What a reader makes of all records, by variable."""
    reports = Reports()
    for record in run.sink.records:
        reports.feed(record)
    return {cell.row.var: cell.value for cell in reports.cells()}


# The same in any probe: what is done is written out by hand below.
STEPS = """
report var found: map<str, u64>;
var m: map<(u8, str), i64>;
var inner: map<str, map<u32, u64>>;
unshared_of_nothing

fn drop_large(limit: i64) -> u32 {
    for (k, v) in m { if (v > limit) { delete(m[k]); return k.0 as u32; } }
    return 0;
}
fn count_up(t: map<u32, u64>) { t[7]++; for (k, v) in t { t[k] = v * 2; } }

EVENT {
    for i in 0..6 { m[(i as u8, "x")] = i as i64; }
    delete(m[(2 as u8, "x")]);
    delete(m[(99 as u8, "x")]);
    found["len"] = len(m) as u64;
    found["dropped"] = drop_large(2) as u64;
    for k in m { found["keys"] = found["keys"] * 10 + k.0 as u64; m[(k.0 + 50, "y")] = -1; }
    for (k, v) in m { if (v < 0) { break; } found["sum"] += v as u64; }
    for (k, v) in m { if (v >= 0) { continue; } found["added"]++; delete(m[k]); }
    found["has"] = (0 as u8, "x") in m ? 1 : 0;
    clear(m);
    found["cleared"] = m.len() as u64 + 1;
    m[(1 as u8, "again")] = 5;
    for (k, v) in m { found[k.1] = v as u64; }
    inner["a"][7] = 1;
    inner["b"][8] = 2;
    for (name, table) in inner { count_up(table); }
    for (name, table) in inner {
        for (k, v) in table { found[name] = found[name] * 100 + v; }
        if (name == "a") { delete(inner[name]); }
    }
    found["inner"] = len(inner) as u64;
    for (a, x) in inner { for (b, y) in inner { if (a == b) { found["same"]++; } } }
    var n: u32 = 5;
    clear(n);
    found["scalar"] = n as u64 + 1;
}
""".replace("unshared_of_nothing\n", "")
ANSWERS = {
    "len": 5,  # 0 1 3 4 5
    "dropped": 3,
    "keys": 145,  # 0 1 4 5
    "sum": 0 + 1 + 4 + 5,
    "added": 4,
    "has": 1,
    "cleared": 1,
    "again": 5,
    "a": 4,  # (1 + 1) * 2
    "b": 402,  # 8: 2 * 2; 7: 1 * 2
    "inner": 1,
    "same": 1,
    "scalar": 1,
}


@pytest.mark.parametrize("plan", [{}, {"multi_memory": False}])
def test_in_components(plan: dict[str, Any]) -> None:
    run = echo(STEPS.replace("EVENT", "wit:import:*#f0:before"), **plan)
    run.call("f0", "", 0)
    assert run.reported["found"] == ANSWERS


def test_in_core_modules(tmp_path: Any, capfd: pytest.CaptureFixture[str]) -> None:
    found = in_core_module(STEPS.replace("EVENT", "wasm:func:entry"), tmp_path, capfd)
    assert found == {key: str(value) for key, value in ANSWERS.items()}


def test_readers_forget_what_is_gone() -> None:
    """Every call reports: what a reader knows is always what the map holds."""
    run = echo(
        """report var open: map<str, u32>;
        report var sizes: hist;
        report var per: map<str, hist>;
        wit:import:*#f0:before {
            sizes = hist(n);
            per[name] = hist(n);
            if (n == 0) { delete(open[name]); delete(per[name]); } else { open[name] = n; }
            if (n == 99) { clear(open); clear(sizes); clear(per["b"]); }
        }"""
    )
    expected: dict[str, int] = {}
    samples: list[int] = []
    per: dict[str, list[int]] = {}
    for name, n in [("a", 1), ("b", 2), ("a", 0), ("c", 3), ("b", 4), ("a", 9), ("b", 0), ("b", 99),
                    ("c", 1), ("c", 0), ("d", 5)]:  # fmt: skip
        run.call("f0", name, n)
        samples.append(n)
        per.setdefault(name, []).append(n)
        expected[name] = n
        if n == 0:
            del expected[name], per[name]
        if n == 99:
            expected, samples, per["b"] = {}, [], []
        known = cells(run)
        assert dict(known["open"]) == expected
        assert known["sizes"] == buckets(samples)
        assert dict(known["per"]) == {key: buckets(each) for key, each in per.items()}


def buckets(samples: list[int]) -> list[list[int]]:
    lows = [0 if n <= 0 else 1 << n.bit_length() - 1 for n in samples]
    return [[low, lows.count(low)] for low in sorted({*lows})]


SAMPLES = [("a", 3), ("b", 0), ("a", 45), ("a", 9), ("b", 100), ("", 10), ("a", 99), ("b", 2)]


@pytest.mark.parametrize("plan", [{}, {"multi_memory": False}])
def test_aggregations_of_all_kinds(plan: dict[str, Any]) -> None:
    run = echo(
        """const HIGH = 40;
        report var n = count();
        report var total = sum();
        report var calls: map<str, count>;
        report var sums: map<str, sum>;
        report var bytes: map<str, u32>;
        report var wide = lhist(0, HIGH, 15);
        report var per: map<str, lhist(0, 40, 15)>;
        report var around = quantize();
        report var all: map<str, stats>;
        wit:import:*#f0:before {
            n = count(); total = sum(n as i64 - 9); calls[name] = count(); sums[name] = sum(n);
            bytes[name] = sum(n); wide = lhist(n, 0, HIGH, 15); per[name] = lhist(n, 0, HIGH, 15);
            around = quantize(10 - n as i64); all[name] = stats(n);
            unshared var seen = count();
            seen = count();
            if (seen == 8) {
                print(calls, 2); print(wide); print("{}", all[name]); print(all["z"]);
            }
        }""".replace("(n", "(arg1").replace("- n", "- arg1"),
        **plan,
    )
    for name, n in SAMPLES:
        run.call("f0", name, n)
    numbers = [n for _, n in SAMPLES]
    names = [name for name, _ in SAMPLES]
    by = {name: [n for each, n in SAMPLES if each == name] for name in names}

    def linear(of: list[int]) -> list[list[int]]:
        lows = [40 if n >= 40 else n // 15 * 15 for n in of]
        return [[low, lows.count(low)] for low in sorted({*lows})]

    powers = [
        0 if n == 10 else (1 if n < 10 else -1) << (abs(10 - n).bit_length() - 1) for n in numbers
    ]
    known = cells(run)
    assert known["n"] == 8 and known["total"] == sum(numbers) - 72
    assert dict(known["calls"]) == {name: len(each) for name, each in by.items()}
    assert dict(known["sums"]) == dict(known["bytes"]) == {k: sum(v) for k, v in by.items()}
    assert known["wide"] == linear(numbers)
    assert dict(known["per"]) == {name: linear(each) for name, each in by.items()}
    assert known["around"] == [[low, powers.count(low)] for low in sorted({*powers})]
    assert dict(known["all"]) == {name: [len(each), sum(each)] for name, each in by.items()}
    assert run.printed == [
        "calls: map<str, u64>",
        "  a  4",
        "  b  3",
        "  (1 other)",
        "wide: lhist(0, 40, 15)",
        f"    [0, 15) |{'#' * 40}| 5",
        f"   [15, 30) |{' ' * 40}| 0",
        f"   [30, 40) |{' ' * 40}| 0",
        f"  [40, ...) |{'#' * 24:40}| 3",
        "count 3, average 34, total 102",
        'all["z"]  count 0, average -, total 0',
    ]


def test_names_of_functions_win() -> None:
    run = echo(
        """report var n: u32;
        fn delete(x: u32) { n += x; }
        fn clear(x: u32) { n += x * 10; }
        wit:import:*#f0:before { delete(n + 1); clear(2); }"""
    )
    run.call("f0", "", 0)
    assert run.reported["n"] == 21


@pytest.mark.parametrize(
    ("name", "options"), [("command", ()), ("async", ("--invoke", "after-yield()"))]
)
def test_functions_of_several_core_modules_are_told_apart(
    name: str, options: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    """By their module and component, as the cells of a variable of each place are."""
    script = """report var n: map<(str, str, u32), u64>;
    wasm:func:entry / module != "none" / {
        report var here: u64;
        here++;
        n[(component, module, fid)]++;
    }"""
    app = str(path_of(name))
    assert main(["trace", "-q", "-f", "json", "-e", script, *options, app]) == 0
    cells = json.loads(capfd.readouterr().err)["cells"]
    (entries,) = (cell["value"] for cell in cells if cell["var"] == "n")
    by_place = {
        (cell["module"], cell["fid"]): cell["value"] for cell in cells if cell["var"] == "here"
    }
    told = {(module, fid): count for (_, module, fid), count in entries}
    assert told == {place: count for place, count in by_place.items() if count}
    assert len(told) == len(entries)
    assert name != "async" or {component for (component, *_), _ in entries} == {"caller", "callee"}


# --- keyed by handles -----------------------------------------------------------------------------

LEDGER = """report var pages_of: map<{key}, u32>;
wit:inner:shelf#book.new:after / component == "reader" / {{ pages_of[handle(result)] += pages; }}
wit:inner:shelf#book.pages:after / component == "reader" / {{
    pages_of[self] += 1;
    print("book {{}}: {{}}, of {{}}", handle(self), pages_of[self], len(pages_of));
}}
"""


@pytest.mark.parametrize(
    ("key", "printed", "left"),
    [
        # Two books of 100 and 23 pages are handles 1 and 2; both are given away, what comes back is
        # handle 2 again: that one has been asked once, whatever another with its number was.
        ("handle", ["book 1: 101, of 2", "book 2: 1, of 1"], []),
        ("u32", ["book 1: 101, of 2", "book 2: 24, of 2"], [[1, 101], [2, 24]]),
    ],
)
def test_a_handle_that_comes_again_begins_anew(key: str, printed: list[str], left: Any) -> None:
    run = scripted(fixture("resources"), LEDGER.format(key=key))
    assert run.call("read") == 1123
    assert run.printed == printed
    assert cells(run).get("pages_of", []) == left


BOOK = Own(Resource("book", HOST))
GIVEN = TupleT((Prim("u8"), OptionT(BOOK)))


@pytest.mark.parametrize(
    ("type_", "owns"),
    [
        (BOOK, True), (Borrow(BOOK.resource), False), (GIVEN, True), (ListT(GIVEN), True),
        (ResultT(None, BOOK), True), (RecordT((("a", U32), ("b", ListT(BOOK)))), True),
        (VariantT((("no", None), ("yes", BOOK))), True), (StreamT(U32), True), (ListT(U32), False),
    ],
)  # fmt: skip
def test_what_gives_handles_away(type_: Any, owns: bool) -> None:
    """Parameters of what a component calls, results of what it exports: else it gets them."""
    loaded = load([("s", "var m: map<handle, u32>; wit:import:*:before { m[1] = 1; }")])
    before, after = loaded.wit_rules[-2:]
    for enters in (False, True):
        for params, result in (((("x", type_),), None), ((), type_)):
            site = WitSite(
                "import", HOST, "", "f", "", "", False, FuncT(params, result), (), enters
            )
            assert before.matches(site) is (owns and bool(params) and not enters)
            assert after.matches(site) is (owns and result is not None and enters)
