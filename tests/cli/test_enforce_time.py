"""``max_ms_per_invocation``: what is called too late within a call of an export is denied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import wasmtime
from wasmtime import component as wc
from wasmtime import wat2wasm

from tests.cli.test_enforce import TWICE
from tests.gate.making import call, judge, record, rules
from whamm_cm.front.guarding import guarded
from whamm_cm.front.verdict import policy_of

MS = 1_000_000
CLOCK = "wasi:clocks/monotonic-clock@0.2.0"
LIMIT = '"wasi:random/random#get-random-u64": { max_ms_per_invocation: 5 }'


class Host:
    """Its clock shows one time after the other."""

    def __init__(self, wasm: bytes, times: Iterator[int]) -> None:
        self.calls = 0
        engine = wasmtime.Engine()
        component = wc.Component(engine, wasm)
        self.store = wasmtime.Store(engine)
        linker = wc.Linker(engine)
        with linker.root() as root:
            for name in component.type.imports(engine):
                with root.add_instance(name) as instance:
                    if "clock" in name:
                        instance.add_func("now", lambda *_: next(times))
                    else:
                        instance.add_func("get-random-u64", self.give)
        func = linker.instantiate(self.store, component).get_func(self.store, "ask")
        assert func is not None
        self.func = func

    def give(self, *_: object) -> int:
        self.calls += 1
        return 77

    def ask(self) -> str:
        try:
            return str(self.func(self.store))
        except wasmtime.WasmtimeError as error:
            return "trap" if "unreachable" in str(error) else str(error)


def host(folder: Path, budgets: str, *times: int) -> Host:
    path = folder / "policy.yaml"
    path.write_text(f"version: 1\nbudgets: {{ {budgets} }}\n")
    wasm = bytes(wat2wasm(TWICE.replace("{rest}", '(export "ask" (func $ask))')))
    found = guarded(wasm, "app.wasm", policy_of(path), "deny", "none")
    return Host(b"".join(found.pieces), iter(times))


def test_a_call_that_comes_too_late(tmp_path: Path) -> None:
    """The clock is asked when the export is called and at each of the two calls."""
    in_time = host(tmp_path, LIMIT, 100 * MS, 101 * MS, 105 * MS)
    assert (in_time.ask(), in_time.calls) == ("77", 2)
    late = host(tmp_path, LIMIT, 100 * MS, 101 * MS, 105 * MS + 1)
    assert (late.ask(), late.calls) == ("trap", 1)


def test_each_call_of_an_export_has_its_own_time(tmp_path: Path) -> None:
    found = host(tmp_path, LIMIT, MS, 2 * MS, 3 * MS, 900 * MS, 901 * MS, 902 * MS)
    assert [found.ask(), found.ask(), found.calls] == ["77", "77", 4]


def test_a_clock_that_begins_at_nothing(tmp_path: Path) -> None:
    found = host(tmp_path, LIMIT, 0, MS, 5 * MS + 1)
    assert (found.ask(), found.calls) == ("trap", 1)


def test_a_time_beyond_all_clocks(tmp_path: Path) -> None:
    long = LIMIT.replace("5", "9007199254740991")
    found = host(tmp_path, long, 0, MS, (1 << 64) - 1)
    assert (found.ask(), found.calls) == ("77", 2)


def test_with_a_number_of_calls(tmp_path: Path) -> None:
    both = LIMIT.replace("{ ", "{ max_calls_per_invocation: 1, ")
    found = host(tmp_path, both, MS, 2 * MS, 3 * MS)
    assert (found.ask(), found.calls) == ("trap", 1)
    several = f'{LIMIT}, "*": {{ max_ms_per_invocation: 1 }}'
    found = host(tmp_path, several, MS, 2 * MS, 2 * MS, 3 * MS, 3 * MS)
    assert (found.ask(), found.calls) == ("trap", 1)


def test_what_logs_show() -> None:
    app = bytes(wat2wasm(TWICE.replace("{rest}", '(export "ask" (func $ask))')))
    top = record("#ask", edge="export", call=1, t_ns=1000 * MS)
    inner = call(2, "wasi:random/random#get-random-u64", t_ns=1006 * MS, version="0.2.0")
    text = f"budgets: {{ {LIMIT} }}"
    over = judge(app, text, (top, *inner))
    assert "WCM051" in rules(over)
    (found,) = (one for one in over.all() if one.rule == "WCM051")
    assert found.message == (
        "a call 6.000 ms after its invocation began; at most 5 ms are allowed")  # fmt: skip
    assert "max_ms_per_invocation: 6" in found.allow
    assert "WCM051" not in rules(judge(app, text.replace("5", "6"), (top, *inner)))
