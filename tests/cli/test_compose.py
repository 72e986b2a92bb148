"""``replay --compose``: a component that plays a recording, on hosts that give it nothing."""

from __future__ import annotations

import io
import shutil
import subprocess
from contextlib import redirect_stderr
from pathlib import Path

import pytest
import wasmtime
from wasmtime.component import Component, Linker

from fixtures.build import path_of
from tests.cli.test_http import serving
from tests.cli.test_record import Record, recorded, run
from tests.cli.test_replay import DATA, rewrite
from tests.run.host.rig import post
from whamm_cm.cli.main import main
from whamm_cm.component.decode import decode
from whamm_cm.errors import RunError
from whamm_cm.run.wasmtime import find_wasmtime
from whamm_cm.wit.resolve import resolve


@pytest.fixture(scope="module")
def c_command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recording of one."""
    folder = tmp_path_factory.mktemp("recorded")
    ran = run(folder, "c_command", *DATA, "c_command.wasm")
    (folder / "stdout").write_text(ran.stdout)
    return folder


@pytest.fixture
def folder(c_command: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(c_command, tmp_path / "copy"))


def composed(folder: Path) -> str:
    """Composes the recording there; what was said."""
    out, said = folder / "out.wasm", io.StringIO()
    app = next(folder.glob("*.wasm"))
    with redirect_stderr(said):
        assert main(["replay", str(folder / "run.wcr"), str(app), "--compose", str(out)]) == 0
    world = resolve(decode(out.read_bytes(), "out.wasm")).world
    assert not world.imports
    assert [extern.name.name for extern in world.exports] == ["wasi:cli/run@0.2.0", "replay"]
    return said.getvalue()


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
        ("http_echo", ("--request", "/", "-d", "0123456789" * 3000, "http_echo.wasm")),
        ("strings", ("--invoke", 'list(["grüße", "🙂"])', "strings.wasm")),
    ],
)
def test_the_same_without_a_host(name: str, words: tuple[str, ...], tmp_path: Path) -> None:
    run(tmp_path, name, *words, status=None)
    calls = sum(record["phase"] == "call" for record in recorded(tmp_path / "run.wcr"))
    said = composed(tmp_path)
    assert f"whamm-cm: {calls} call{'s' * (calls != 1)} composed into " in said
    assert played(tmp_path) == ""


def test_what_a_command_wrote(folder: Path) -> None:
    composed(folder)
    assert played(folder) == (folder / "stdout").read_text()


def test_what_the_wrong_call_is_called(folder: Path) -> None:

    def change(records: list[Record]) -> list[Record]:
        for record in records:
            if record.get("func") == "descriptor.open-at" and record["phase"] == "call":
                record["args"]["path"] = "elsewhere.txt"
                break
        return records

    before = recorded(folder / "run.wcr")
    call = next(r["call"] for r in before if r.get("func") == "descriptor.open-at")
    rewrite(folder / "run.wcr", change)
    composed(folder)
    place = "wasi:filesystem/types@0.2.0#[method]descriptor.open-at"
    names = differs(folder)
    why = names.index("other arguments than were recorded")
    assert names[0] == f"recorded was: {place}"
    assert "".join(digit[-1] for digit in names[1:why]) == str(call)
    assert names[why + 2] == place
    assert "run" in names[why + 3 :]


def test_another_answer_leads_elsewhere(folder: Path) -> None:

    def change(records: list[Record]) -> list[Record]:
        for record in records:
            if record.get("func") == "get-arguments" and record["phase"] == "return":
                record["result"].append("fail")
        return records

    rewrite(folder / "run.wcr", change)
    composed(folder)
    assert "another call than was recorded" in differs(folder)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"error": None}, "another result than was recorded"),
        (None, "it returned, which it did not when it was recorded"),
    ],
)
def test_another_result(result: object, said: str, folder: Path) -> None:

    def change(records: list[Record]) -> list[Record]:
        if result is None:
            return [*records[:-2], records[-1]]
        records[-2]["result"] = result
        return records

    rewrite(folder / "run.wcr", change)
    composed(folder)
    first, *_, why, play = [name for name in differs(folder) if "<" not in name]
    assert (first, why, play) == ("recorded was: wasi:cli/run@0.2.0#run", said, "play")


def test_fewer_calls(folder: Path) -> None:

    def change(records: list[Record]) -> list[Record]:
        pair = [{**r, "seq": r["seq"] + 2, "call": r["call"] + 1} for r in records[-4:-2]]
        return [*records[:-2], *pair, *records[-2:]]

    rewrite(folder / "run.wcr", change)
    composed(folder)
    assert "fewer calls were made in it than were recorded" in differs(folder)


def test_a_recording_that_is_cut_off(folder: Path) -> None:
    rewrite(folder / "run.wcr", lambda records: records[:20])
    assert "the recording is cut off: where it ends, the component traps" in composed(folder)
    first, *_ = differs(folder)
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


def test_nothing_is_stopped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--compose", str(folder / "out.wasm"), "--until", "3")
    assert main(["replay", str(folder / "run.wcr"), str(folder / "c_command.wasm"), *words]) == 2
    assert not (folder / "out.wasm").exists()
    assert "leave out --until" in capsys.readouterr().err


@pytest.mark.oracle
def test_on_the_command(folder: Path) -> None:
    try:
        path = find_wasmtime((), "it").path
    except RunError as error:
        pytest.skip(str(error))
    composed(folder)
    text = (folder / "stdout").read_text()
    for words, wanted in (((), ""), (("--invoke", "replay()"), text)):
        again = subprocess.run(
            [path, "run", *words, "out.wasm"], cwd=folder, capture_output=True, text=True,
            timeout=300,
        )  # fmt: skip
        assert again.returncode == 0, again.stderr
        assert again.stdout.strip('"\n').replace("\\n", "\n") == wanted
