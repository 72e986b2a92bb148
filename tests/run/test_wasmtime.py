"""Which wasmtime is taken for WASI 0.3, and how our options are said to it; no guest runs here."""

from __future__ import annotations

from pathlib import Path

import pytest

from whamm_cm.errors import RunError, UsageError
from whamm_cm.run import wasmtime as w
from whamm_cm.run.options import Dir, HostOptions

DRAFT = "0.3.0-rc-2026-03-15"


def program(folder: Path, says: str, *, may_run: bool = True) -> str:
    folder.mkdir()
    path = folder / "wasmtime"
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755 if may_run else 0o644)
    return str(path)


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where it is looked for, in order."""
    found: list[str] = []
    monkeypatch.setattr(w, "_places", lambda: iter(found))
    return found


def test_the_first_that_is_new_enough_is_taken(places: list[str], tmp_path: Path) -> None:
    places += [
        program(tmp_path / "a", "echo wasmtime 45.0.2 '(a7c209dfb 2026-06-15)'"),
        program(tmp_path / "b", "echo wasmtime 46.0.0"),
        program(tmp_path / "c", "echo wasmtime-cli 50.1.2"),
    ]
    assert w.find_wasmtime(("0.3.0",), "a.wasm") == w.Wasmtime(places[1], "46.0.0")
    assert w.find_wasmtime((DRAFT,), "a.wasm") == w.Wasmtime(places[0], "45.0.2")
    places.pop(1)
    assert w.find_wasmtime(("0.3.0", "0.3.1"), "a.wasm") == w.Wasmtime(places[1], "50.1.2")


def refusal(*versions: str) -> str:
    with pytest.raises(RunError) as caught:
        w.find_wasmtime(versions, "a.wasm")
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_none_is_one_sentence_with_a_remedy(places: list[str]) -> None:
    assert refusal("0.3.0") == (
        "a.wasm is made for WASI 0.3.0, which the embedded engine does not have; it needs wasmtime"
        " 46 or newer, and there is none: install it (pip install 'whamm-cm[hosts]') or put it on"
        " the PATH"
    )


@pytest.mark.parametrize(
    ("says", "may_run", "why"),
    [
        ("echo wasmtime 44.0.1", True, " is 44.0.1: "),
        ("echo wasmtime 49.0.1", False, " may not be run (chmod +x): "),
        ("echo oops >&2; exit 3", True, " does not say its version, but 'oops': "),
        ("", True, " does not say its version, but 'nothing': "),
    ],
)
def test_what_is_wrong_with_it_is_said(
    places: list[str], tmp_path: Path, says: str, may_run: bool, why: str
) -> None:
    places.append(program(tmp_path / "a", says, may_run=may_run))
    assert f"needs wasmtime 46 or newer; {places[0]}{why}" in refusal("0.3.0")


def test_one_that_is_too_new_for_a_candidate_is_told(places: list[str], tmp_path: Path) -> None:
    places.append(program(tmp_path / "a", "echo wasmtime 49.0.3"))
    assert refusal(DRAFT).endswith(
        f"needs wasmtime 43 to 45; {places[0]} is 49.0.3: put one of these on the PATH, or build"
        " it for 0.3.0"
    )


@pytest.mark.parametrize("versions", [("0.3.0-rc-2025-09-16",), ("0.3.0", DRAFT)])
def test_what_no_wasmtime_has_is_told(places: list[str], versions: tuple[str, ...]) -> None:
    text = refusal(*versions)
    assert f"WASI {', '.join(versions)}, and no wasmtime has that; build it for 0.3.0" in text


def test_it_is_looked_for_on_the_path_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = program(tmp_path / "bin", "echo wasmtime 49.0.3")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert next(w._places()) == path


FOUND = w.Wasmtime("/bin/wasmtime", "49.0.3")


def test_nothing_is_given_that_nobody_asked_for() -> None:
    wanted = w.Wanted("run", HostOptions(("a.wasm",)), ())
    words, index = w.words(FOUND, wanted, "x/a.wasm")
    assert words == ["/bin/wasmtime", "run", "-S", "p3=y,cli=y", "-S", "http=y", "x/a.wasm"]
    assert words[index] == "x/a.wasm"


def test_a_core_module_gets_no_http() -> None:
    """``Cannot enable wasi-http for core wasm modules``, says wasmtime."""
    host = HostOptions(("a.wasm", "x"), [("A", "b")])
    wanted = w.Wanted("run", host, later=False, module=True)
    words, _ = w.words(FOUND, wanted, "a.wasm")
    assert words[1:] == ["run", "-S", "cli=y", "--env", "A=b", "a.wasm", "x"]


def test_every_option_has_its_word() -> None:
    host = HostOptions(
        ("a.wasm", "-x", "y"), [("A", "b=c")], [Dir("d", "/e"), Dir("f", "f")], inherit_network=True
    )
    wanted = w.Wanted(
        "run", host, ("async", "threading"), invoke="acme:a/b#f(1)", stub_imports=True, cache=False
    )
    words, index = w.words(FOUND, wanted, "a.wasm")
    assert words[4:] == [
        *("-S", "http=y", "-S", "inherit-network=y,allow-ip-name-lookup=y"),
        *("-W", "component-model-async=y", "-W", "component-model-threading=y"),
        *("-W", "unknown-imports-trap=y", "-C", "cache=n", "--dir", "d::/e", "--dir", "f::f"),
        *("--env", "A=b=c", "--invoke", "f(1)", "a.wasm", "-x", "y"),
    ]
    assert words[index:] == ["a.wasm", "-x", "y"]


def test_a_handler_is_served_on_a_free_port_of_this_machine() -> None:
    words, _ = w.words(FOUND, w.Wanted("serve", HostOptions(("a.wasm",)), ()), "a.wasm")
    assert words[1:] == ["serve", "-S", "p3=y,cli=y", "--addr", "127.0.0.1:0", "a.wasm"]


def test_what_a_handler_is_served_with() -> None:
    wanted = w.Wanted(
        "serve", HostOptions(("a.wasm",)), packages=("config", "keyvalue"), later=False,
        address=("::1", 80), config={"k": "v"}, keys={"a": b"b"}, reuse=3, timeout=1.5,
    )  # fmt: skip
    words, _ = w.words(FOUND, wanted, "a.wasm")
    assert " ".join(words[2:]) == (
        "-S cli=y --addr [::1]:80 --max-instance-reuse-count 3 -W timeout=1500ms"
        " -S config=y -S keyvalue=y -S config-var=k=v -S keyvalue-in-memory-data=a=b a.wasm"
    )


def test_it_listens_at_numbers_only() -> None:
    wanted = w.Wanted("serve", HostOptions(("a.wasm",)), address=("localhost", 81))
    with pytest.raises(UsageError, match=r"^--addr localhost:81: .* such as 127\.0\.0\.1:81$"):
        w.words(FOUND, wanted, "a.wasm")


def test_any_will_do_where_it_is_asked_for(places: list[str], tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        w.find_wasmtime((), "a.wasm")
    assert str(caught.value) == (
        "--engine wasmtime runs a.wasm on the command wasmtime, and there is none: install it"
        " (pip install 'whamm-cm[hosts]') or put it on the PATH"
    )
    places.append(program(tmp_path / "a", "echo wasmtime 20.0.2"))
    assert w.find_wasmtime((), "a.wasm").version == "20.0.2"


@pytest.mark.parametrize(
    ("text", "call"),
    [("f", "f()"), ("f()", "f()"), ("a:b/c@1.0.0#f", "f()"), ('i#f("#(")', 'f("#(")')],
)
def test_calls(text: str, call: str) -> None:
    assert w._call(text) == call
