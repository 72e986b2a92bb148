"""The pictures in README and docs are what the commands shown there make of the log they name."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.docs.book import PAGES, ROOT, shell_blocks
from tests.golden import check_golden
from whamm_cm.cli.main import main

FOLDER = "docs/pictures/"
#: Picture → the command that makes it.
COMMANDS = {
    words[words.index("-o") + 1].removeprefix(FOLDER): words[1:]
    for block in shell_blocks()
    for shown in block.commands()
    if "-o" in (words := shlex.split(shown.command)) and FOLDER in shown.command
}


def test_every_picture_is_shown_and_made() -> None:
    files = {path.name for path in (ROOT / FOLDER).iterdir()}
    shown = set()
    for page in PAGES:
        for target in re.findall(r"!\[[^]]+\]\(([^)]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).resolve().parent == ROOT / FOLDER, (
                f"{page.name}: {target}"
            )
            shown.add(Path(target).name)
    assert files == shown == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_pictures_are_as_their_commands_make_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``BLESS=1`` makes them anew."""
    command = COMMANDS[name]
    monkeypatch.chdir(ROOT)
    made = tmp_path / name
    assert main([str(made) if word == FOLDER + name else word for word in command]) == 0
    check_golden(ROOT / FOLDER / name, made.read_text("utf-8"))
