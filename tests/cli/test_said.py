"""What the commands say and do not say: errors before anything else, numbers, one wording."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.run.guests import assemble
from whamm_cm.cli.main import main, parser

CALL = '{{"v":1,"seq":{0},"instance":{1},"call":{0},"phase":"call","func":"f"}}\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("nested", "strings", "trap"):
        (tmp_path / f"{name}.wasm").write_bytes(assemble(name))
    (tmp_path / "log.jsonl").write_text(CALL.format(0, 1))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def said(folder: Path, capfd: pytest.CaptureFixture[str]):
    """Runs a command; its status and what it said on stderr."""

    def run(*words: str) -> tuple[int, str]:
        status = main(words)
        return status, capfd.readouterr().err

    return run


ROUND = ("--invoke", 'round("x")', "strings.wasm")


@pytest.mark.parametrize("time", [(), ("--no-time",)])
def test_live_is_fine_with_and_without_a_clock(said, time: tuple[str, ...]) -> None:
    assert said("trace", "--flush", "live", *time, *ROUND)[0] == 0
    words = ("--flush", "live", "--trace", "*", "-o", "o.wasm", "strings.wasm")
    assert said("instrument", *words, *(() if time else ("--time",)))[0] == 0


FAILURES = [
    ("--invoke", "nosuch()", "strings.wasm"),
    ("--invoke", "round(1)", "strings.wasm"),
    ("strings.wasm",),
    ("--", "./no-such-command", "strings.wasm"),
]


@pytest.mark.parametrize("words", FAILURES)
@pytest.mark.parametrize("form", ["-c", "-C", "-fjsonl", "-fchrome"])
def test_a_run_that_never_started_shows_no_output(said, words: tuple[str, ...], form: str) -> None:
    status, text = said("trace", form, *words)
    assert status in (2, 127)
    assert text.startswith("whamm-cm: ") and "%" not in text and "{" not in text


@pytest.mark.parametrize("words", FAILURES)
@pytest.mark.parametrize("name", ["old.txt", "old.jsonl", "old.json"])
def test_a_run_that_never_started_leaves_an_earlier_log(
    folder: Path, said, words: tuple[str, ...], name: str
) -> None:
    (folder / name).write_text("an earlier log")
    said("trace", "-o", name, *words)
    assert (folder / name).read_text() == "an earlier log"
    assert said("trace", "-e", "trace=none", "-o", name, *ROUND)[0] == 0
    assert (folder / name).read_text() != "an earlier log"


def test_report_gives_log_and_summary_of_standard_input(
    said, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = io.TextIOWrapper(io.BytesIO(("WCM1 " + CALL.format(0, 1)).encode()))
    monkeypatch.setattr("sys.stdin", log)
    assert main(("report", "-C", "-")) == 0
    shown = capfd.readouterr().out
    assert shown.count("= ?") == 1 and "total" in shown


def test_report_warns_once(folder: Path, said) -> None:
    (folder / "cut.log").write_text("WCM1 {\nWCM1 " + CALL.format(0, 1))
    status, text = said("report", "-C", "cut.log")
    assert status == 0 and text.count("\n") == 1
    assert text.startswith(
        "whamm-cm: cut.log: 1 record cut or damaged, first on line 1 (not JSON: "
    )


@pytest.mark.parametrize(
    "words",
    [
        ("inspect", "gone.wasm"),
        ("trace", "gone.wasm"),
        ("trace", "--", "wasmtime", "run", "gone.wasm"),
        ("instrument", "--trace", "*", "-o", "o.wasm", "gone.wasm"),
        ("report", "gone.wasm"),
    ],
)
def test_one_wording_for_a_missing_file(said, words: tuple[str, ...]) -> None:
    assert said(*words) == (3, "whamm-cm: gone.wasm: there is no such file\n")


def test_numbers_have_their_nouns(said) -> None:
    text = said("instrument", "--trace", "#round", "-o", "o.wasm", "strings.wasm")[1]
    assert "1 agent;" in text and "1 agents" not in text
    text = said("trace", "--count", "#round", *ROUND)[1]
    assert "--- round: 1 call ---\n" in text


def test_what_is_left_alone_is_said_with_its_component(said) -> None:
    words = ("instrument", "--trace", "*", "-o", "o.wasm", "nested.wasm")
    text = said(*words, "-v")[1]
    lines = [line for line in text.splitlines() if "not woven" in line]
    assert lines and all(" in " in line.split(": ")[2] for line in lines)
    count = "1 function was" if len(lines) == 1 else f"{len(lines)} functions were"
    assert f"whamm-cm: {count} left alone (-v lists them)\n" in said(*words)[1]


def test_every_option_is_explained() -> None:
    (commands,) = (a for a in parser()._actions if a.dest == "command")
    for command in commands.choices.values():  # type: ignore[union-attr]
        assert command.description  # type: ignore[attr-defined]
        for action in command._actions:  # type: ignore[attr-defined]
            assert action.help, action


def test_several_agents_have_tags_from_the_first_line(said) -> None:
    text = said("trace", "--invoke", "fine()", "trap.wasm")[1]
    assert all(line.startswith("[") for line in text.splitlines())
    text = said("trace", "-e", "trace=#note", "--invoke", "fine()", "trap.wasm")[1]
    assert text and all(line.startswith("[") for line in text.splitlines())


def test_a_saved_log_has_tags_from_the_second_instance(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "two.jsonl").write_text("".join(CALL.format(n, 1 + n // 2) for n in range(4)))
    assert main(["report", "two.jsonl"]) == 0
    tags = [line.split("f(")[0] for line in capfd.readouterr().out.splitlines()]
    assert tags[:4] == ["", "", "[2] ", "[2] "]


@pytest.mark.parametrize("sink", ["stderr", "logging"])
def test_force_runs_what_is_woven_already(said, sink: str) -> None:
    words = ("--time", "--trace", "*", "--sink", sink, "-o", "o.wasm", "trap.wasm")
    assert said("instrument", *words)[0] == 0
    again = ("--stub-imports", "--invoke", "fine()", "o.wasm")
    assert "already been instrumented" in said("trace", *again)[1]
    if sink == "stderr":  # the stub of the logging would trap
        status, text = said("trace", "--force", *again)
        assert status == 0 and "export fine() = 3" in text.replace(
            "<… fine resumed>", "export fine()"
        )
        status, text = said("trace", "--force", "-e", "trace=none", *again)
        assert status == 0
        assert all(line.startswith("WCM2.") for line in text.splitlines())
    assert said("instrument", "--force", "--trace", "*", "-o", "p.wasm", "o.wasm")[0] == 0


NASTY = "a\x1b]0;owned\x07\x9b31m\u202edcb\u200b"


@pytest.mark.parametrize(
    "words",
    [
        ("inspect", "{}.wasm"),
        ("inspect", "gone{}"),
        ("trace", "-s", "{}.mm", "strings.wasm"),
        ("trace", "-e", "{}", "strings.wasm"),
        ("trace", "-m", "{}", "strings.wasm"),
        ("trace", "-e", "trace={}", "strings.wasm"),
        ("trace", "-e", "trace=%{}", "strings.wasm"),
        ("trace", "-f", "{}", "strings.wasm"),
        ("trace", "--invoke", "{}()", "strings.wasm"),
        ("trace", "-o", "{}/x", "strings.wasm"),
        ("trace", "--component", "strings.wasm", "--", "no{}"),
        ("instrument", "--trace", "*", "-o", "{}/x", "strings.wasm"),
        ("report", "{}.wasm"),
        ("gate", "{}.wasm"),
        ("gate", "-f", "junit", "{}.wasm"),
        ("gate", "--policy", "{}", "strings.wasm"),
        ("policy", "lint", "{}"),
        ("-v", "inspect", "{}.wasm"),
        ("{}",),
    ],
    ids=" ".join,
)
def test_names_in_messages_do_not_act_on_a_terminal(
    folder: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    (folder / f"{NASTY}.wasm").write_bytes(b"\0asm\1\0\0\0\x63")
    (folder / f"{NASTY}.mm").write_text(f"wasm:func:entry {{ print({NASTY}); }}")
    try:
        status = main([word.format(NASTY) for word in words])
    except SystemExit as ended:
        status = int(ended.code or 0)
    said = capfd.readouterr()
    assert status
    for text in (said.out, said.err):
        assert text.replace("\n", "").isprintable()
    assert "owned" in said.err
