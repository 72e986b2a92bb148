"""``replay --compose``: a component that plays a recording, on hosts that give it nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import wasmtime
from wasmtime.component import Component, Linker

from fixtures.build import path_of
from tests.cli.test_http import serving
from tests.cli.test_record import Record, command, recorded, run
from tests.cli.test_replay import DATA, rewrite
from tests.run.host.rig import post
from whamm_cm.component.decode import decode
from whamm_cm.errors import RunError
from whamm_cm.run.wasmtime import find_wasmtime
from whamm_cm.wit.resolve import resolve


def composed(folder: Path) -> str:
    """Composes the recording there; what was said."""
    made = command(folder, "replay", "run.wcr", "--compose", "out.wasm")
    assert made.returncode == 0, made.stderr
    world = resolve(decode((folder / "out.wasm").read_bytes(), "out.wasm")).world
    assert not world.imports
    assert [extern.name.name for extern in world.exports] == ["wasi:cli/run@0.2.0", "replay"]
    return made.stderr


def played(folder: Path) -> str:
    """What the guest writes; raises WasmtimeError if it goes another way."""
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    component = Component(engine, (folder / "out.wasm").read_bytes())
    instance = Linker(engine).instantiate(store, component)
    replay = instance.get_func(store, "replay")
    assert replay is not None
    text = replay(store)
    assert isinstance(text, str)
    return text


def differs(folder: Path) -> list[str]:
    """The names of the functions of the trap's backtrace, innermost first."""
    with pytest.raises(wasmtime.WasmtimeError) as found:
        played(folder)
    lines = str(found.value).splitlines()
    return [line.partition("!")[2] for line in lines if "!" in line]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("c_command", (*DATA, "c_command.wasm")),
        ("http_echo", ("--request", "/", "-d", "0123456789" * 3000, "http_echo.wasm")),
        ("strings", ("--invoke", 'list(["grüße", "🙂"])', "strings.wasm")),
    ],
)
def test_the_same_without_a_host(name: str, words: tuple[str, ...], tmp_path: Path) -> None:
    ran = run(tmp_path, name, *words, status=None)
    calls = sum(record["phase"] == "call" for record in recorded(tmp_path / "run.wcr"))
    said = composed(tmp_path)
    assert said == f"whamm-cm: {calls} call{'s' * (calls != 1)} composed into out.wasm\n"
    assert played(tmp_path) == (ran.stdout if name == "c_command" else "")


def test_what_the_wrong_call_is_called(tmp_path: Path) -> None:
    run(tmp_path, "c_command", *DATA, "c_command.wasm")

    def change(records: list[Record]) -> list[Record]:
        for record in records:
            if record.get("func") == "descriptor.open-at" and record["phase"] == "call":
                record["args"]["path"] = "elsewhere.txt"
                break
        return records

    before = recorded(tmp_path / "run.wcr")
    call = next(r["call"] for r in before if r.get("func") == "descriptor.open-at")
    rewrite(tmp_path / "run.wcr", change)
    composed(tmp_path)
    place = "wasi:filesystem/types@0.2.0#[method]descriptor.open-at"
    names = differs(tmp_path)
    why = names.index("other arguments than were recorded")
    assert names[0] == f"recorded was: {place}"
    assert "".join(digit[-1] for digit in names[1:why]) == str(call)
    assert names[why + 2] == place
    assert "run" in names[why + 3 :]


def test_another_answer_leads_elsewhere(tmp_path: Path) -> None:
    run(tmp_path, "c_command", *DATA, "c_command.wasm")

    def change(records: list[Record]) -> list[Record]:
        for record in records:
            if record.get("func") == "get-arguments" and record["phase"] == "return":
                record["result"].append("fail")
        return records

    rewrite(tmp_path / "run.wcr", change)
    composed(tmp_path)
    assert "another call than was recorded" in differs(tmp_path)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"error": None}, "another result than was recorded"),
        (None, "it returned, which it did not when it was recorded"),
    ],
)
def test_another_result(result: object, said: str, tmp_path: Path) -> None:
    run(tmp_path, "c_command", "c_command.wasm")

    def change(records: list[Record]) -> list[Record]:
        if result is None:
            return [*records[:-2], records[-1]]
        records[-2]["result"] = result
        return records

    rewrite(tmp_path / "run.wcr", change)
    composed(tmp_path)
    first, *_, why, play = [name for name in differs(tmp_path) if "<" not in name]
    assert (first, why, play) == ("recorded was: wasi:cli/run@0.2.0#run", said, "play")


def test_fewer_calls(tmp_path: Path) -> None:
    run(tmp_path, "c_command", "c_command.wasm")

    def change(records: list[Record]) -> list[Record]:
        pair = [{**r, "seq": r["seq"] + 2, "call": r["call"] + 1} for r in records[-4:-2]]
        return [*records[:-2], *pair, *records[-2:]]

    rewrite(tmp_path / "run.wcr", change)
    composed(tmp_path)
    assert "fewer calls were made in it than were recorded" in differs(tmp_path)


def test_a_recording_that_is_cut_off(tmp_path: Path) -> None:
    run(tmp_path, "c_command", *DATA, "c_command.wasm")
    rewrite(tmp_path / "run.wcr", lambda records: records[:20])
    assert "the recording is cut off: where it ends, the component traps" in composed(tmp_path)
    first, *_ = differs(tmp_path)
    assert first == "the recording is cut off here"


def test_exit_and_trap(tmp_path: Path) -> None:
    run(tmp_path, "c_command", "c_command.wasm", "fail", status=1)
    composed(tmp_path)
    names = differs(tmp_path)
    assert names[0] == "the guest exits here, as it did when it was recorded"
    assert "all up to this call as recorded" in names
    run(tmp_path, "trap", "--invoke", "unreachable()", "trap.wasm", status=134)
    composed(tmp_path)
    assert not any("recorded" in name for name in differs(tmp_path))


def test_instances_one_after_the_other(tmp_path: Path) -> None:
    app, into = tmp_path / "echo.wasm", tmp_path / "run.wcr"
    shutil.copy(path_of("http_echo"), app)
    with serving("--record", str(into), "--reuse", "2", str(app)) as server:
        for text in (b"one", b"two", b"three"):
            assert text in server.ask(post(text))
        assert server.end() == 0
    composed(tmp_path)
    assert played(tmp_path) == ""


def test_secrets_are_stars(tmp_path: Path) -> None:
    words = ("--env", "GREETING=Geheimnis-17b", *DATA, "c_command.wasm")
    run(tmp_path, "c_command", *words)
    composed(tmp_path)
    assert played(tmp_path).startswith("greeting: *************\n")


def test_nothing_is_stopped(tmp_path: Path) -> None:
    run(tmp_path, "c_command", "c_command.wasm")
    made = command(tmp_path, "replay", "run.wcr", "--compose", "out.wasm", "--until", "3")
    assert (made.returncode, (tmp_path / "out.wasm").exists()) == (2, False)
    assert "leave out --until" in made.stderr


@pytest.mark.oracle
def test_on_the_command(tmp_path: Path) -> None:
    try:
        path = find_wasmtime((), "it").path
    except RunError as error:
        pytest.skip(str(error))
    ran = run(tmp_path, "c_command", *DATA, "c_command.wasm")
    composed(tmp_path)
    for words, wanted in (((), ""), (("--invoke", "replay()"), ran.stdout)):
        again = subprocess.run(
            [path, "run", *words, "out.wasm"], cwd=tmp_path, capture_output=True, text=True,
            timeout=300,
        )  # fmt: skip
        assert again.returncode == 0, again.stderr
        assert again.stdout.strip('"\n').replace("\\n", "\n") == wanted
