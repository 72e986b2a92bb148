"""wasmtime's error text, taken apart."""

from __future__ import annotations

from whamm_cm.run.outcome import Frame, Trap, parse_trap


def test_backtrace_and_causes() -> None:
    text = (
        "error while executing at wasm backtrace:\n"
        "    0:    0x7ea - main!inner\n"
        "    1:   0x1234 - <unknown>!<wasm function 19>\n"
        "    2:     0x10 - a.wasm!core::ops::function::FnOnce::call_once\n"
        "note: using the `WASMTIME_BACKTRACE_DETAILS=1` environment variable may show more\n"
        "\n"
        "Caused by:\n"
        "    0: memory fault at wasm address 0x10000 in linear memory of size 0x10000\n"
        "    1: wasm trap: out of bounds memory access\n"
    )
    assert parse_trap(text) == Trap(
        "wasm trap: out of bounds memory access",
        ("memory fault at wasm address 0x10000 in linear memory of size 0x10000",),
        (
            Frame("main", "inner", 0x7EA),
            Frame(None, None, 0x1234, 19),
            Frame("a.wasm", "core::ops::function::FnOnce::call_once", 0x10),
        ),
    )


def test_a_frame_as_text() -> None:
    assert str(Frame("main", "inner", 0x7EA)) == "main!inner (0x7ea)"
    assert str(Frame("main", None, 0x7EA, 19)) == "main!function[19] (0x7ea)"
    assert str(Frame(None, None, 0x7EA)) == "?!? (0x7ea)"


def test_a_bare_message() -> None:
    trap = parse_trap("wasm trap: cannot enter component instance")
    assert trap == Trap("wasm trap: cannot enter component instance")
    assert str(trap) == "wasm trap: cannot enter component instance"


def test_context_without_a_backtrace() -> None:
    trap = parse_trap("failed to do it\n\nCaused by:\n    no space\n")
    assert str(trap) == "no space (failed to do it)"
