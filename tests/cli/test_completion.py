"""The completion scripts know every command and option, and bash accepts what we print."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from whamm_cm.cli.main import COMMANDS, main


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_and_its_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(shell, capsys)
    assert all(command in text for command in COMMANDS)
    assert "inherit-network" in text and "max-string" in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["whamm-cm", "ins"], {"inspect", "instrument"}),
        (["whamm-cm", "trace", "--inh"], {"--inherit-network"}),
        (["whamm-cm", "instrument", "--si"], {"--sink"}),
    ],
)
def test_bash_completes(
    words: list[str], expected: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("NOT tested: there is no bash")
    quoted = " ".join(f"'{word}'" for word in words)
    ask = f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _whamm_cm; echo ${{COMPREPLY[*]}}"
    done = subprocess.run(
        [bash, "-c", script("bash", capsys) + ask], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == expected


def test_an_unknown_shell_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "invalid choice: 'tcsh'" in capsys.readouterr().err
