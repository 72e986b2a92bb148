"""docs/monitors.md shows what every monitor reports of the sample; BLESS=1 rewrites the page."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from fixtures.build import path_of
from fixtures.listener import greeter
from tests.docs.book import ROOT
from tests.lang.monitor_runs import run
from whamm_cm.cli.info import headers
from whamm_cm.monitors import monitors

PAGE = ROOT / "docs" / "monitors.md"
SHOWN = 12
_OUTPUT = re.compile(r"<!-- output of ([\w-]+)(?: as (\w+))? -->\n(?:```text\n(.*?)```\n)?", re.S)
#: What printing monitors print stands before what they report.
_PRINTS = ("files", "sockets", "http", "chaos")


def output(folder: Path, name: str, form: str) -> str:
    options, words = ["-m", name], ()
    if name == "cache-sim":
        options += ["--lib", f"cache={path_of('cache_sim')}"]
    if name == "chaos":
        options += ["-D", "rate=0.2"]
    parts = [run(folder, "strace", *options)] if name in _PRINTS else []
    if name == "sockets":
        options.append("--inherit-network")
        with greeter() as address:
            parts = [run(folder, "strace", *options, words=(address,))]
            parts.append(run(folder, form, *options, words=(address,)))
            return "".join(parts).replace(address.partition(":")[2], "8080")
    parts.append(run(folder, form, *options, words=words))
    return "".join(parts)


def block(folder: Path, name: str, form: str) -> str:
    lines = [f"// {name}: {headers()[name]}", *output(folder, name, form).splitlines()]
    shown = lines if len(lines) <= SHOWN else [*lines[:SHOWN], "…"]
    mark = f"{name} as {form}" if form != "table" else name
    text = "".join(f"{line}\n" for line in shown)
    return f"<!-- output of {mark} -->\n```text\n{text}```\n"


FOUND = list(_OUTPUT.finditer(PAGE.read_text("utf-8")))


@pytest.mark.parametrize("found", FOUND, ids=lambda found: found[1])
def test_the_output_is_what_is_shown(found: re.Match[str], tmp_path: Path) -> None:
    made = block(tmp_path, found[1], found[2] or "table")
    if os.environ.get("BLESS"):
        PAGE.write_text(PAGE.read_text("utf-8").replace(found[0], made), encoding="utf-8")
        return
    assert made == found[0], "docs/monitors.md differs; BLESS=1 rewrites it"


def test_every_monitor_is_shown() -> None:
    assert sorted(found[1] for found in FOUND) == sorted(monitors())
