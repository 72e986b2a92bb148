"""Maps that scripts empty and go through, in components and core modules, and what readers know."""

from __future__ import annotations

from typing import Any

import pytest

from tests.weave.echo import HOST, echo_component
from tests.weave.host import Functions
from tests.weave.scripted import Scripted, scripted
from tests.weave.test_script_values import in_core_module
from whamm_cm.trace.reports import Reports
from whamm_cm.wit.types import FuncT, Prim

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
