"""``whamm-cm replay`` of another build: calls are matched, what differs is told."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from fixtures.build import build
from tests.cli.test_record import Record, recorded
from tests.cli.test_replay_probes import take
from whamm_cm.cli.main import main

WORDS = ("--dir", "data::/data", "c_command.wasm")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def without(unwanted: str) -> None:
    """The recording, but for the calls of functions that match."""
    records = recorded(Path("run.wcr"))
    kept = [r for r in records if not re.search(unwanted, f"{r.get('interface')}#{r.get('func')}")]
    for seq, record in enumerate(kept[1:]):
        record["seq"] = seq
    write(kept)


def write(records: list[Record]) -> None:
    Path("run.wcr").write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("c_command", 0, ["40 calls replayed, all as recorded"]),
        (
            "c_reordered", 0,
            ["is another build than was recorded", "40 calls replayed, 1 in another order"],
        ),
        (
            "c_more", 1,
            ["call 14: the recording has no such call", "recorded: nothing like it",
             "now:      wasi:random/random#get-random-u64()", "at command.core.wasm!"],
        ),
        (
            "c_fixed", 1,
            ["40 calls replayed\n", "standard output is another, from byte 70 on",
             "directory: /data, 2 entries", "directory: /data, 1 entries"],
        ),
    ],
)  # fmt: skip
def test_builds(name: str, status: int, said: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    take("c_command", *WORDS)
    Path("app.wasm").write_bytes(build(name))
    capfd.readouterr()
    assert main(["replay", "--relaxed", "run.wcr", "app.wasm"]) == status
    err = capfd.readouterr().err
    assert [one for one in said if one not in err] == []
    assert not list(Path("data").iterdir())


@pytest.mark.parametrize("on_miss", ["default", "live"])
def test_what_is_new_is_answered(on_miss: str, capfd: pytest.CaptureFixture[str]) -> None:
    take("c_command", *WORDS)
    Path("app.wasm").write_bytes(build("c_more"))
    capfd.readouterr()
    assert main(["replay", "--on-miss", on_miss, "run.wcr", "app.wasm"]) == 1
    out, err = capfd.readouterr()
    assert "number: 0\n" in out if on_miss == "default" else re.search("number: [0-9]\n", out)
    assert "1 of them new" in err
    shown = " = 0" if on_miss == "default" else ""
    assert f"new, {on_miss}: call 14: wasi:random/random#get-random-u64(){shown}\n" in err
    assert "file: note.txt, 5 bytes: hello\n" in out


def test_a_bug_is_fixed_and_one_call_fewer(capfd: pytest.CaptureFixture[str]) -> None:
    """What the new build does not ask for is told, and is no difference."""
    take("c_more", "--dir", "data::/data", "c_more.wasm")
    Path("app.wasm").write_bytes(build("c_fixed"))
    capfd.readouterr()
    assert main(["replay", "run.wcr", "app.wasm"]) == 1
    err = capfd.readouterr().err
    assert "1 recorded call not made\n    not made: wasi:random/random#get-random-u64()\n" in err
    assert "standard output is another" in err and "new" not in err


def test_all_of_it_live(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing but the call of the export is recorded: the host answers it all, with resources of
    its own, and the guest does what it does."""
    take("c_command", *WORDS)
    then = capfd.readouterr().out
    without("^wasi:(?!cli/)")
    live = ("--relaxed", "--on-miss", "live", "--dir", "data::/data")
    assert main(["replay", *live, "run.wcr"]) == 1
    out, err = capfd.readouterr()
    assert out == then and [path.name for path in Path("data").iterdir()] == ["note.txt"]
    assert "new, live: call" in err and "descriptor.open-at(self=-" in err
    assert "standard output is another" in err  # writes to it are not recorded any more


def test_resources_of_the_recording_never_reach_the_host(capfd: pytest.CaptureFixture[str]) -> None:
    take("c_command", *WORDS)
    without("open-at")
    live = ("--relaxed", "--on-miss", "live", "--dir", "data::/data")
    assert main(["replay", *live, "run.wcr"]) == 1
    err = capfd.readouterr().err
    assert "a resource of the recording is nothing to the host" in err
    assert not list(Path("data").iterdir())


def test_errors_of_the_own_type_by_default(capfd: pytest.CaptureFixture[str]) -> None:
    take("c_command", *WORDS)
    without("open-at")
    assert main(["replay", "--relaxed", "--on-miss", "default", "run.wcr"]) == 1
    out, err = capfd.readouterr()
    assert out.count("open failed with code") == 3
    assert "the end of wasi:cli/run#run is another" in err
    assert 'recorded: it returned {"ok":null}\n    now:      it returned {"error":null}' in err


def test_exits_are_compared(capfd: pytest.CaptureFixture[str]) -> None:
    take("c_command", "c_command.wasm", "fail", status=1)
    assert main(["replay", "--relaxed", "run.wcr"]) == 0
    records = recorded(Path("run.wcr"))
    for record in records:
        if record.get("func") == "get-arguments" and record["phase"] == "return":
            record["result"].pop()
    write(records)
    capfd.readouterr()
    assert main(["replay", "--relaxed", "run.wcr"]) == 1
    err = capfd.readouterr().err
    assert 'recorded: wasi:cli/exit#exit(status={"error":null})' in err
    assert 'now:      it returned {"ok":null}' in err


def test_a_trap_is_one_again(capfd: pytest.CaptureFixture[str]) -> None:
    take("trap", "--invoke", "unreachable()", "trap.wasm", status=134)
    assert main(["replay", "--relaxed", "run.wcr"]) == 0
    assert "the guest trapped: wasm trap" in capfd.readouterr().err


def test_another_response(capfd: pytest.CaptureFixture[str]) -> None:
    """Of a handler: it is taken, and told."""
    take("http_echo", "--request", "/", "-d", "hello", "http_echo.wasm")
    assert main(["replay", "--relaxed", "run.wcr"]) == 0
    records = recorded(Path("run.wcr"))
    for record in records:
        if record.get("func") == "output-stream.blocking-write-and-flush" and "args" in record:
            record["args"]["contents"] = {"~b64": "SGVsbG8="}
        if record.get("func") == "response-outparam.set" and "args" in record:
            record["args"]["response"] = {"error": {"internal-error": None}}
    write(records)
    capfd.readouterr()
    assert main(["replay", "--relaxed", "run.wcr"]) == 1
    err = capfd.readouterr().err
    assert "new, taken: call" in err and "response-outparam.set(" in err
    assert (
        "is another, from byte 0 on\n    recorded: Hello (5 bytes)\n    now:      hello (5 b" in err
    )


#: ``go()`` returns at once, or never.
GOES = """(component (core module $m (func (export "go") {}))
  (core instance $m (instantiate $m)) (func (export "go") (canon lift (core func $m "go"))))"""


def test_a_build_that_does_not_end(capfd: pytest.CaptureFixture[str]) -> None:
    for name, body in (("app", ""), ("loops", "(loop (br 0))")):
        Path(f"{name}.wasm").write_bytes(bytes(wat2wasm(GOES.format(body))))
    assert main(["trace", "-q", "--record", "run.wcr", "--invoke", "go()", "app.wasm"]) == 0
    assert main(["replay", "run.wcr", "loops.wasm", "--timeout", "200ms"]) == 1
    err = capfd.readouterr().err
    assert "recorded: it returned\n    now:      it had not ended after 0.2 s" in err
    assert main(["replay", "run.wcr", "--timeout", "200ms"]) == 2
    assert "--timeout is for another build" in capfd.readouterr().err
    shrink = ("-m", "chaos", "--shrink", "--timeout", "200ms")
    assert main(["replay", *shrink, "run.wcr", "loops.wasm"]) == 2
    assert "without any fault, too: it had not ended after 0.2 s" in capfd.readouterr().err


def test_what_was_stopped_is_so_again(capfd: pytest.CaptureFixture[str]) -> None:
    """It had not returned when it was stopped, and the new build does not, either."""
    for name, body in (("app", ""), ("loops", "(loop (br 0))")):
        Path(f"{name}.wasm").write_bytes(bytes(wat2wasm(GOES.format(body))))
    assert main(["trace", "-q", "--record", "run.wcr", "--invoke", "go()", "app.wasm"]) == 0
    head, start, call, returned, end = recorded(Path("run.wcr"))
    assert returned["phase"] == "return"
    stopped = {**returned, "phase": "end", "stopped": True}
    write([head, start, call, stopped, end])
    assert main(["replay", "run.wcr", "loops.wasm"]) == 0
    assert "the guest was stopped, as it was then" in capfd.readouterr().err


def test_until(capfd: pytest.CaptureFixture[str]) -> None:
    take("c_command", *WORDS)
    assert main(["replay", "--relaxed", "--until", "7", "run.wcr"]) == 0
    err = capfd.readouterr().err
    assert "stopped before call 7: " in err and "not made" not in err


def test_a_recording_that_is_cut_off(capfd: pytest.CaptureFixture[str]) -> None:
    take("c_command", *WORDS)
    write(recorded(Path("run.wcr"))[:41])
    assert main(["replay", "--relaxed", "--on-miss", "default", "run.wcr"]) == 1
    assert "the recording is cut off: what the guest put out is not compared" in (
        capfd.readouterr().err
    )


def test_probes_in_another_build(capfd: pytest.CaptureFixture[str]) -> None:
    take("c_command", *WORDS)
    Path("app.wasm").write_bytes(build("c_reordered"))
    assert main(["replay", "-e", "trace=wasi:filesystem/types", "run.wcr", "app.wasm"]) == 0
    err = capfd.readouterr().err
    assert err.index(".read-via-stream(") < err.index(".stat(") and "1 in another order" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--on-miss", "default"), "--on-miss default is for another build"),
        (("--dir", "data"), "--dir is of the host that --on-miss live asks"),
        (("--relaxed", "--inherit-network"), "--inherit-network is of the host"),
    ],
)
def test_what_does_not_go_together(
    words: tuple[str, ...], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    take("c_command", "c_command.wasm")
    assert main(["replay", *words, "run.wcr"]) == 2
    assert said in capfd.readouterr().err
