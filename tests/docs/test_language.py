"""docs/language.md: its scripts can be woven, its tables are those of the language."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from fixtures.build import path_of
from tests.docs.book import ROOT, Block, blocks
from tests.docs.generated import TABLES
from whamm_cm.cli.main import main

PAGE = ROOT / "docs" / "language.md"
PAGES = (PAGE, ROOT / "docs" / "source-lines.md")
SCRIPTS = [block for page in PAGES for block in blocks(page) if block.language == "mm"]
_GENERATED = re.compile(r"(<!-- generated: (\w+) -->\n)(.*?)(<!-- end -->)", re.S)


@pytest.mark.parametrize("block", SCRIPTS, ids=lambda block: block.name)
def test_every_script_can_be_woven(block: Block, tmp_path: Path) -> None:
    """``instrument`` validates what it writes."""
    script = tmp_path / "script.mm"
    script.write_text("\n".join(block.lines))
    libraries = ("--lib", f"cache={path_of('cache_sim')}") if "use cache;" in block.lines else ()
    output = tmp_path / "out.wasm"
    words = ("instrument", "-q", "-s", str(script), *libraries, "-o", str(output))
    assert main([*words, str(path_of("command"))]) == 0
    assert output.stat().st_size > path_of("command").stat().st_size


def test_the_tables_are_those_of_the_language() -> None:
    text = PAGE.read_text("utf-8")
    made = _GENERATED.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n{found[4]}", text)
    if os.environ.get("BLESS"):
        PAGE.write_text(made, encoding="utf-8")
        return
    assert made == text, "docs/language.md differs from the tables of lang; BLESS=1 rewrites it"


def test_every_table_is_shown() -> None:
    shown = [found[2] for found in _GENERATED.finditer(PAGE.read_text("utf-8"))]
    assert sorted(shown) == sorted(TABLES)
