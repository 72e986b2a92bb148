"""Running the ready monitors on a sample, and reading what they report."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from fixtures.build import path_of
from whamm_cm.cli.main import main

COMMAND = path_of("command")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the CSV form."""

    variable: str
    module: str
    fid: str
    function: str
    pc: str
    key: str
    value: str


def run(
    folder: Path,
    form: str,
    *options: str,
    app: Path = COMMAND,
    words: tuple[str, ...] = (),
    status: int = 0,
) -> str:
    """What ``trace`` writes in that form; the guest sees the folder's ``data`` as /data."""
    data = folder / "data"
    if data.exists():
        for path in data.iterdir():
            path.unlink()
    data.mkdir(exist_ok=True)
    output = folder / f"report.{form}"
    asked = ("-q", "trace", "--no-time", "-f", form, "-o", str(output))
    assert main([*asked, "--dir", f"{data}::/data", *options, str(app), *words]) == status
    return output.read_text("utf-8")


def rows(folder: Path, *options: str, app: Path = COMMAND) -> list[Row]:
    """The reported values, as rows."""
    text = run(folder, "csv", *options, app=app)
    names = ("variable", "module", "fid", "function", "pc", "key", "value")
    found = csv.DictReader(text.splitlines())
    return [Row(*(row[name] for name in names)) for row in found]


def numbers(found: list[Row], variable: str) -> list[int]:
    """The values of a variable."""
    return [int(row.value) for row in found if row.variable == variable]
