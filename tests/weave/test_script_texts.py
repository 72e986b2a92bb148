"""Texts in scripts: compared, kept and made, in components and modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fixtures.build import path_of
from tests.weave.async_parts import KINDS, WAYS, both
from tests.weave.echo import HOST, echo_component
from tests.weave.host import Functions, everything, text
from tests.weave.scripted import Scripted, scripted
from tests.weave.test_script_copies import COPIES
from tests.weave.test_script_secrets import SECRET, traced
from tests.weave.test_script_values import in_core_module
from whamm_cm import load
from whamm_cm.wit.types import (
    EnumT,
    FlagsT,
    FuncT,
    ListT,
    OptionT,
    Prim,
    RecordT,
    TupleT,
    VariantT,
)

U8, U16, U32, STRING, CHAR = map(Prim, ("u8", "u16", "u32", "string", "char"))
ADDRESS = VariantT((
    ("ipv4", RecordT((("port", U16), ("address", TupleT((U8,) * 4))))),
    ("unix", STRING),
    ("none", None),
))  # fmt: skip
FUNC = FuncT(
    (("from", ADDRESS), ("to", ADDRESS), ("why", EnumT(("timed-out", "refused"))),
     ("letter", CHAR), ("names", ListT(STRING)), ("modes", FlagsT(("read", "write-all"))),
     ("size", OptionT(U32))), None,
)  # fmt: skip
V4: dict[str, Any] = {"ipv4": {"port": 443, "address": [10, 0, 0, 7]}}
ARGS = [V4, V4, "refused", "é", ["a", 'b"'], ["write-all"], 7]
OTHER = [V4, {"unix": "/tmp/a b"}, "timed-out", "x", [], [], None]


def echo(script: str, *calls: list[Any], **plan: Any) -> Scripted:
    host = Functions({(HOST, "f0"): (FUNC, lambda *_: None)})
    run = scripted(echo_component([FUNC]), script, functions=host, **plan)
    for args in calls:
        run.call("f0", *args)
    return run


plans = pytest.mark.parametrize("plan", [{}, {"multi_memory": False}], ids=["many", "one"])


@plans
def test_values_stand_for_their_texts_where_one_is_wanted(plan: dict[str, Any]) -> None:
    run = echo(
        """report var by: map<str, u32>; report var pairs: map<(str, u16, str), u32>;
        report var last: str; report var sum: str; report var known: u32;
        fn keep(what: str) -> str { by[what]++; return what; }
        wit:import:*#f0:before {
            by[to]++;
            if (from in by) { known++; }
            pairs[(from, 1, why)]++;
            last = to;
            var all = from + " to " + to + ": " + why;
            all += "/" + keep(size) + letter;
            sum = all;
            print("{:>9}|{:<4}|{:^5}|{:d}|{:d}|{:x}|{:.2}", why, letter, modes, letter, why,
                  modes, names);
        }""",
        ARGS,
        OTHER,
        **plan,
    )
    assert run.reported == {
        "by": {"10.0.0.7:443": 1, 'unix("/tmp/a b")': 1, "7": 1, "none": 1},
        "pairs": {("10.0.0.7:443", 1, "refused"): 1, ("10.0.0.7:443", 1, "timed-out"): 1},
        "last": 'unix("/tmp/a b")',
        "sum": '10.0.0.7:443 to unix("/tmp/a b"): timed-out/nonex',
        "known": 2,
    }
    assert run.printed == [
        '  refused|é   |["write-all"]|233|1|2|["',
        "timed-out|x   | []  |120|0|0|[]",
    ]


COMPARED = {
    "from == to": [True, False],
    "from != to": [False, True],
    'to == "10.0.0.7:443"': [True, False],
    '"unix(\\"/tmp/a b\\")" == to': [False, True],
    'to == "none"': [False, False],
    "to == str(from)": [True, False],
    'why == "refused"': [True, False],
    'why.starts_with("timed")': [False, True],
    'str(letter) == "é"': [True, False],
    "letter == 120": [False, True],
    'names == "[]"': [False, True],
    'size == "7"': [True, False],
    'size.to_int() == 7': [True, False],
    'modes == "[\\"write-all\\"]"': [True, False],
    'to.unix == "/tmp/a b"': [False, True],
    'to.unix.split("/", -1) == "a b"': [False, True],
    'format("{}{}", size, why) == "7refused"': [True, False],
    'to.unix.matches("^/tmp/[a-z] b$")': [False, True],
    'str(names).matches("b...]$")': [True, False],
    "names[1] == names[2]": [False, True],
}  # fmt: skip


@plans
def test_values_are_compared_whole(plan: dict[str, Any]) -> None:
    tests = " ".join(f'print("{{}}", {test});' for test in COMPARED)
    run = echo(f"wit:import:*#f0:before {{ {tests} }}", ARGS, OTHER, **plan)
    count = len(COMPARED)
    printed = [line == "true" for line in run.printed]
    found = dict(zip(COMPARED, zip(printed[:count], printed[count:], strict=True), strict=True))
    assert found == {test: tuple(wanted) for test, wanted in COMPARED.items()}


def test_of_a_value_that_is_not_asked_for_nothing_is_copied() -> None:
    """A predicate that is false makes no text."""
    script = "wit:import:*#f0:before / why is refused / { print(names); }"
    long = [V4, V4, "timed-out", "x", ["a" * 60000] * 3, [], None]
    assert echo(script, long).printed == []
    (line,) = echo(script, [*long[:2], "refused", *long[3:]]).printed
    assert line["~cut"] > len(line["~str"]) if isinstance(line, dict) else line.endswith("...")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_results_of_asynchronous_functions_have_texts(kind: str, way: str) -> None:
    script = 'wit:inner:*#f:after { print("{} {}", component, str(result)); }'
    for plan in ({}, {"multi_memory": False}, {"trace": everything}):
        run = scripted(text(both(kind, way)), script, able=True, **plan)
        assert run.call("run") == 70
        assert sorted(run.printed) == ['C [70, "abc"]', 'D [70, "abc"]']


@plans
def test_what_streams_carry_has_a_text(plan: dict[str, Any]) -> None:
    script = 'wasm:stream:*|wasm:future:* { print("{} {} {}", func, outcome, str(elements)); }'
    script = script.replace("wasm:stream:*|wasm:future:*", "wasm:stream:read|write")
    run = scripted(text(COPIES), script, able=True, **plan)
    run.call("run")
    assert run.printed == [
        "stream.write completed [1000, 7]",
        "stream.read completed [1000, 7]",
        "stream.read dropped []",
    ]


@pytest.mark.parametrize("multi_memory", [True, False])
@pytest.mark.parametrize("encoding", ["utf8", "utf16", "latin1+utf16"])
def test_secrets_in_a_value_are_told_as_in_the_log(encoding: str, multi_memory: bool) -> None:
    rule = "wasi:cli/environment#get-environment:after"
    script = f"""report var last: str; report var seen: map<str, u32>; report var has: bool;
        {rule} {{ print(result); last = result; seen[result[0]]++; has = result == "S3";
                  print("{{}} {{}}", result[0].0, result[0].1.upper()); }}"""
    run = traced(script, encoding, multi_memory=multi_memory, trace="%env")
    assert SECRET not in repr(run.records) and "S3cret" not in repr(run.records)
    (call,) = [call for call in run.calls if call.site.func == "get-environment"]
    [[name, hidden]] = call.result
    units = hidden["~redacted"]
    whole = f'["{name}", <redacted {units}>]'
    stars = "*" * len(SECRET.encode())
    printed = [record["text"] for record in run.records if record["phase"] == "print"]
    assert printed == [f"[{whole}]", f"TOKEN {stars}"]
    values = {cell.row.var: cell.value for cell in run.reports}
    assert values["last"] == f"[{whole}]" and values["seen"] == [[whole, 1]]


def test_handles_have_the_names_of_their_resources(tmp_path: Path) -> None:
    script = """wasi:filesystem/types#descriptor.open-at:before { print("{} {:d}", self, self); }
        wasi:filesystem/types#descriptor.open-at:after { print(result); }"""
    app = load(path_of("command"))
    run = app.trace(scripts=script, trace="wasi:filesystem/*", dirs=(f"{tmp_path}::/data",))
    wanted = []
    for record in run.records:
        if record.get("func") != "descriptor.open-at":
            continue
        if record["phase"] == "call":
            wanted.append(f"descriptor#{record['self']} {record['self']}")
        else:
            wanted.append(f"ok(descriptor#{record['result']['ok']})")
    assert len(wanted) == 6
    assert [record["text"] for record in run.records if record["phase"] == "print"] == wanted


MODULE = """
report var found: map<str, u64>;
wasm:func:entry {
    var word = "  Ab/c=0x1F ";
    found[word.trim().lower()]++;
    found[word.split("/", 1).split("=", 0)]++;
    found["int"] = word.split("=", 1).to_int() as u64;
    found[format("{:03}|{:>3}|{:#06x}", fid, fname.slice(0, 2), pc)]++;
    for i in 0..3 { found["n" + str(i)] = i as u64; }
    found[str((fid, "x", 1.5))]++;
}
"""


def test_texts_in_core_modules(tmp_path: Any, capfd: pytest.CaptureFixture[str]) -> None:
    found = in_core_module(MODULE, tmp_path, capfd)
    assert found["ab/c=0x1f"] == "1" and found["c"] == "1" and found["int"] == "31"
    assert [found[f"n{i}"] for i in range(3)] == ["0", "1", "2"]


def test_what_is_printed_has_a_time_where_records_have(tmp_path: Path) -> None:
    script = """wasi:clocks/*#now:before { print("before {}", func); }
        wasi:clocks/*#now:after { print(result); }
        wasm:func:entry / fname == "_start" || fname == "run" / { print("in {}", fname); }
        wasm:end { print("over"); }"""
    app = load(path_of("command"))
    for lines in ("json", "packed"):
        run = app.trace(scripts=script, trace="wasi:clocks/*", timed=True, lines=lines)
        told = [r for r in run.records if r["phase"] in ("call", "print", "return")]
        times = [r["t_ns"] for r in told]
        assert times == sorted(times) and times[0] > 0
        assert [r["text"] for r in told if r["phase"] == "print"][-1] == "over"
    for plan in ({"timed": False}, {"timed": False, "trace": "wasi:clocks/*"}):
        run = app.trace(scripts=script, **plan)
        assert not any("t_ns" in r for r in run.records if r["phase"] == "print")


def test_a_module_without_a_clock_prints_without_times() -> None:
    script = 'wasm:func:entry { print("{}", 7); }'
    run = load(text('(module (func (export "_start") nop))')).trace(scripts=script, timed=True)
    (record,) = [r for r in run.records if r["phase"] == "print"]
    assert record["text"] == "7" and "t_ns" not in record


def test_a_long_print_leaves_room_for_its_time() -> None:
    script = 'report var n: u32; wit:import:*#*:before / n < 1 / { n++; print("{}{}", T, T); }'
    script = 'const T = "' + "ab" * 5000 + '";' + script
    for timed in (True, False):
        run = load(path_of("command")).trace(scripts=script, timed=timed)
        (record,) = [r for r in run.records if r["phase"] == "print"]
        assert ("t_ns" in record) is timed
        assert record["text"]["~cut"] == 20000
        assert record["text"]["~str"] == "ab" * 8178 if not timed else "ab" * 8174
