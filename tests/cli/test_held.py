"""A call that does not return is shown all the same; one that does stands in one line."""

from __future__ import annotations

import time
from pathlib import Path

from whamm_cm.cli.outputs import Lines
from whamm_cm.render.options import RenderOptions

CALL = {
    "v": 2, "run": "0" * 16, "seq": 1, "instance": 1, "call": 1, "phase": "call",
    "edge": "import", "interface": "a:b/c", "func": "f", "args": {},
}  # fmt: skip
END = {"v": 2, "run": "0" * 16, "seq": 2, "instance": 1, "phase": "end"}
RETURN = {**CALL, "seq": 3, "phase": "return", "result": 7}


def lines(path: Path) -> Lines:
    return Lines(str(path), "strace", RenderOptions())


def test_a_call_that_blocks_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    output = lines(path)
    output.feed(dict(CALL))
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.read_text() == "a:b/c#f() <unfinished …>\n"
    output.feed(dict(RETURN))
    output.finish()
    assert path.read_text().splitlines()[1] == "<… a:b/c#f resumed> = 7"


def test_what_says_nothing_to_people_does_not_come_between(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    output = lines(path)
    for record in (CALL, END, RETURN, END):
        output.feed(dict(record))
    output.finish()
    assert path.read_text() == "a:b/c#f() = 7\n"
