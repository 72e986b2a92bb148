"""What the gate is given: logs of several components, and everything that is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.gate.making import component, record
from whamm_cm.cli.main import main

SAMPLE = Path(__file__).parents[1] / "gate" / "data" / "manifests" / "WCM120.yaml"
POLL = "wasi:io/poll@0.2.3"
POLICY = f'version: 1\njudge: observed\nimports:\n  allow: ["{POLL}"]\n'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".state"))
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    Path("one").mkdir()
    for name in ("cart.wasm", "one/shop.wasm"):
        Path(name).write_bytes(component({POLL: ("poll", "other"), "a:b/c": ("x",)}))
    Path("p.yaml").write_text(POLICY)
    for name, func in (("poll", "wasi:io/poll#poll"), ("x", "a:b/c#x")):
        version = {"version": "0.2.3"} if name == "poll" else {}
        Path(f"{name}.jsonl").write_text(json.dumps(record(func, **version)) + "\n")
    return tmp_path


def gate(*arguments: str) -> int:
    return main(["gate", *arguments])


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("name", ["shop", "shop.wasm", "one/shop", "one/shop.wasm"])
def test_each_component_has_its_log(
    name: str, jobs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = ["--trace-log", "cart=poll.jsonl", "--trace-log", f"{name}=x.jsonl"]
    both = ["cart.wasm", "one/shop.wasm", "--policy", "p.yaml", "-j", jobs, "-f", "json", "-q"]
    assert gate(*both, *logs) == 1
    first, second = json.loads(capsys.readouterr().out)["components"]
    assert [one["item"] for one in first["findings"]] == []
    assert [one["item"] for one in second["findings"]] == ["a:b/c"]
    assert gate(*both, "--trace-log", "cart=poll.jsonl") == 1
    first, second = json.loads(capsys.readouterr().out)["components"]
    seen = [f["observed"] for row in first["imports"] for f in row["functions"]]
    assert seen == [1, 0, 0]
    assert second["imports"][0]["functions"][0]["observed"] is None


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ("poll.jsonl", "which component is it of?; write NAME=LOG"),
        ("card=poll.jsonl", 'no input is called "card"; write NAME=LOG'),
        ("same=poll.jsonl", '2 inputs are called "same"; write NAME=LOG'),
        ("cart=-", "standard input can be one component or one log"),
    ],
)
def test_a_log_of_nobody_knows_whom(
    log: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("same.wasm", "one/same.wasm"):
        Path(name).write_bytes(component({POLL: ("poll",)}))
    assert gate(".", "-", "--trace-log", log) == 2
    assert message in capsys.readouterr().err


def test_an_equals_sign_in_the_name_of_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    Path("poll.jsonl").rename("a=b.jsonl")
    Path("cart=b.jsonl").write_text(Path("x.jsonl").read_text())
    for log, code in (("a=b.jsonl", 0), ("cart=b.jsonl", 1), ("cart=a=b.jsonl", 0)):
        assert gate("cart.wasm", "--policy", "p.yaml", "--trace-log", log) == code, log
    capsys.readouterr()


def test_nothing_judged_is_no_pass(capsys: pytest.CaptureFixture[str]) -> None:
    Path("text.wasm").write_text("text")
    assert gate("text.wasm", "lost.wasm", "--fail-on", "never", "-f", "table", "-f", "json=j") == 3
    out, err = capsys.readouterr()
    assert out == "2 inputs not judged, 0 errors, 0 warnings, 0 notes. FAIL (--fail-on never)\n"
    assert err.splitlines() == [
        "whamm-cm: text.wasm is not WebAssembly (no \\0asm at offset 0)",
        "whamm-cm: lost.wasm: there is no such file",
    ]
    said = json.loads(Path("j").read_text())
    assert said["verdict"] == "fail" and said["components"] == []
    assert [one["path"] for one in said["unjudged"]] == ["text.wasm", "lost.wasm"]


def test_a_log_that_cannot_be_read_leaves_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    logs = ["--trace-log", "cart=lost.jsonl", "--trace-log", "shop=x.jsonl"]
    assert gate("cart.wasm", "one/shop.wasm", "--policy", "p.yaml", *logs) == 3
    out, err = capsys.readouterr()
    assert err == "whamm-cm: lost.jsonl: there is no such file\n"
    assert "1 input not judged, 1 error" in out and "one/shop.wasm" in out


# what is wrong: one sentence, line and column where there are any, and no traceback

BOMB = "version: 1\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]\n" for n in range(9)
)
FILES: dict[str, bytes] = {
    "bomb": BOMB.encode(),
    "alias": b"version: 1\nmatch: *x\n",
    "twice": b"version: 1\nversion: 1\n",
    "merge": b"version: 1\nimports: {<<: {allow: []}}\n",
    "tag": b"version: !!python/name:os.system\n",
    "deep": b"a: " + b"[" * 30_000,
    "huge": b"#" * ((1 << 20) + 1),
    "bytes": b"version: 1\n\xff",
    "nul": b"version: 1\x00",
    "documents": b"version: 1\n---\nversion: 1\n",
    "type": b"version: 1\nimports: 7\n",
    "list": b"- version\n",
    "syntax": b"version: [1\n",
    "wasm": b"\0asm\x0d\0\1\0",
}
#: (option, exit code); what else a wrong file may be for the option.
PLACES = {"--policy": 2, "--manifest": 3, "--baseline": 2}


@pytest.mark.parametrize("option", PLACES)
@pytest.mark.parametrize("name", FILES)
def test_wrong_files(name: str, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("wrong").write_bytes(FILES[name])
    assert gate("cart.wasm", option, "./wrong") == PLACES[option]
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("whamm-cm: ./wrong:")
    place = err.removeprefix("whamm-cm: ./wrong:").split(":")
    assert place[0].isdigit() and place[1].isdigit(), err


@pytest.mark.parametrize("option", [*PLACES, "--trace-log", "APP"])
@pytest.mark.parametrize("how", ["missing", "folder", "unreadable"])
def test_files_that_cannot_be_read(
    how: str,
    option: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if how == "folder":
        Path("x.wasm").mkdir()
        (Path("x.wasm") / "y.wasm").mkdir()
    if how == "unreadable":
        Path("x.wasm").write_text("")
        real = open

        def refuse(path: object, *rest: object, **more: object) -> object:
            if str(path).removeprefix("./") == "x.wasm":
                raise PermissionError(13, "Permission denied")
            return real(path, *rest, **more)  # type: ignore[call-overload]

        monkeypatch.setattr("builtins.open", refuse)
        monkeypatch.setattr(Path, "open", lambda self, *rest: refuse(self, *rest))
    name = "./x.wasm" if option == "--policy" else "x.wasm"
    arguments = [name] if option == "APP" else ["cart.wasm", option, name]
    assert gate(*arguments) == PLACES.get(option, 3)
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err.startswith(f"whamm-cm: {name}")
    why = {"missing": "no such file", "unreadable": "Permission denied", "folder": ""}
    assert why[how] in err


@pytest.mark.parametrize("size", [0, 4, 8, 9, 40, -1])
def test_a_component_that_is_cut(size: int, capsys: pytest.CaptureFixture[str]) -> None:
    Path("cut.wasm").write_bytes(Path("cart.wasm").read_bytes()[:size])
    assert gate("cut.wasm", "--no-cache") in (0, 3) if size == 8 else gate("cut.wasm") == 3
    err = capsys.readouterr().err
    assert err.count("\n") == (size != 8) and "Traceback" not in err


def test_larger_than_any_component(capsys: pytest.CaptureFixture[str]) -> None:
    with open("big.wasm", "wb") as file:
        file.truncate((1 << 30) + 1)
    assert gate("big.wasm") == 3
    assert "big.wasm is larger than 1 GiB, which no component is" in capsys.readouterr().err


def test_an_empty_name_and_an_empty_directory(capsys: pytest.CaptureFixture[str]) -> None:
    Path("none").mkdir()
    assert gate("") == 3
    assert "the name of the input file is empty" in capsys.readouterr().err
    assert gate("none") == 3
    assert "none: there is no .wasm file in this directory" in capsys.readouterr().err


def test_an_instrumented_component_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["instrument", "--trace", "*", "cart.wasm", "-o", "woven.wasm"]) == 0
    cases = [("", "WCM120"), ("rules: {WCM120: 'off'}", "WCM041")]
    cases += [("rules: {WCM120: warning}", "WCM120")]
    for more, rule in cases:
        Path("q.yaml").write_text(f"version: 1\n{more}\n")
        gate(
            "woven.wasm", "--manifest", str(SAMPLE), "--component", "bad/cart", "--policy", "q.yaml"
        )
        out = capsys.readouterr().out
        assert [word for word in out.split() if word in ("WCM041", "WCM120")] == [rule]


# processes


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "whamm_cm", "gate", *arguments]


@pytest.fixture
def many() -> str:
    Path("many").mkdir()
    data = Path("cart.wasm").read_bytes()
    for number in range(300):
        Path(f"many/{number}.wasm").write_bytes(data)
    return "many"


def alive(parent: int) -> list[int]:
    """Processes of the group that still run (not zombies)."""
    listed = subprocess.run(["ps", "-eo", "pid,pgid,stat"], capture_output=True, text=True)
    rows = [line.split() for line in listed.stdout.splitlines()[1:]]
    return [int(pid) for pid, group, state in rows if int(group) == parent and state[0] != "Z"]


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", -15), ("SIGKILL", -9)])
def test_workers_end_with_the_command(name: str, code: int, many: str) -> None:
    process = subprocess.Popen(
        command("-j", "2", "--no-cache", many, "-f", "jsonl", "-q"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()  # the workers are there
    process.send_signal(getattr(signal, name))
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (code, b"")
    end = time.monotonic() + 60
    while alive(process.pid) and time.monotonic() < end:
        time.sleep(0.1)
    assert alive(process.pid) == []


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("form", ["table", "jsonl", "json"])
def test_a_reader_that_goes_away(form: str, jobs: str, many: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        command("-j", jobs, "-q", "-f", form, "--no-cache", many),
        stdout=writing, stderr=subprocess.PIPE, timeout=60,
    )  # fmt: skip
    os.close(writing)
    assert (process.returncode, process.stderr) == (141, b"")
