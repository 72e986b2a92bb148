"""What ``trace`` says of a guest that trapped: why, where, and what came before."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.run.guests import assemble
from whamm_cm.cli import recorder
from whamm_cm.cli.main import main
from whamm_cm.render.options import RenderOptions

CALLS = ("unreachable", "bad-pointer", "bad-text", "bad-result", "wrapping-pointer")


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    path = tmp_path / "trap.wasm"
    path.write_bytes(assemble("trap"))
    return path


def said(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["trace", "--flush", "each", *words]) == 134
    return capfd.readouterr().err


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("options", [(), ("--count", "*"), ("-e", "trace=#say")])
def test_the_backtrace_is_that_of_the_original(
    guest: Path, capfd: pytest.CaptureFixture[str], call: str, options: tuple[str, ...]
) -> None:
    words = ("--invoke", f"{call}()", str(guest))

    def frames(*more: str) -> list[str]:
        return [line for line in said(capfd, *more, *words).splitlines() if "    at " in line]

    plain = frames("-e", "trace=none")
    assert frames(*options) == plain
    assert any(re.search(r"at m!function\[\d+\] \(0x", line) for line in plain) == (
        call not in ("bad-result",)
    )
    assert not any("?" in line or "whamm-cm" in line for line in plain)


def test_the_offset_is_where_the_trap_is(guest: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = said(capfd, "--invoke", "unreachable()", str(guest))
    offset = re.search(r"at m!function\[4\] \(0x([0-9a-f]+)\)", text)
    assert offset is not None
    assert guest.read_bytes()[int(offset.group(1), 16)] == 0  # the opcode of unreachable


def test_verbose_shows_the_frames_of_the_probes(
    guest: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = said(capfd, "-v", "--invoke", "unreachable()", str(guest))
    assert "at whamm-cm probe!function[" in text


@pytest.mark.parametrize("options", [("-c",), ("-o", "run.jsonl"), ("-o", "run.json")])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("window", [1024, 8])
def test_the_last_lines_are_those_of_a_live_log(
    guest: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    call: str,
    window: int,
) -> None:
    monkeypatch.chdir(guest.parent)
    monkeypatch.setattr(recorder, "_WINDOW", window)
    live = said(capfd, "--invoke", f"{call}()", "trap.wasm").partition("whamm-cm: the guest")[0]
    log = [line for line in live.splitlines() if "resumed> = ?" not in line]
    text = said(capfd, *options, "--invoke", f"{call}()", "trap.wasm")
    assert text.partition("the last calls before it:\n")[2].splitlines() == log[-5:]


def test_a_live_log_is_not_shown_twice(guest: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "the last calls" not in said(capfd, "--invoke", "unreachable()", str(guest))


def record(seq: int, phase: str, edge: str = "import", call: int = 0, **more: object) -> dict:
    return {"seq": seq, "phase": phase, "edge": edge, "instance": 1, "call": call or seq,
            "func": f"f{call or seq}", **more}  # fmt: skip


def last_lines(records: list[dict]) -> list[str]:
    lines = recorder.LastLines(RenderOptions())
    lines.feed(records)
    return lines.lines()


def test_an_open_call_from_long_ago_still_indents() -> None:
    records = [record(1, "call", "export")]
    for seq in range(2, 9000, 2):
        records += [record(seq, "call"), record(seq + 1, "return", call=seq)]
    records.append(record(9001, "call"))
    found = last_lines(records)
    assert found == [*(f"  f{n}() = ()\n" for n in (8992, 8994, 8996, 8998)), "  f9001() = ?\n"]


def test_a_call_that_was_pending_long_ago_is_no_frame() -> None:
    records = [record(1, "call", "export"), record(2, "return", "export", 1, pending=True)]
    for seq in range(3, 9000, 2):
        records += [record(seq, "call"), record(seq + 1, "return", call=seq)]
    assert last_lines(records)[-1] == "f8999() = ()\n"


def test_a_second_instance_from_long_ago_is_not_forgotten() -> None:
    records = [record(0, "call"), record(1, "return", call=0, instance=2)]
    records += [record(seq, "call") for seq in range(2, 3000)]
    assert last_lines(records)[-1] == "[1] f2999() = ?\n"
