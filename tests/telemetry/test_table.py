"""docs/report.md lists the attributes that spans may have."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.book import code, rows

SOURCE = Path(__file__).parents[2] / "src" / "whamm_cm" / "trace"
_NAME = re.compile(r'"((?:code|db|error|faas|http|messaging|network|server|client|url|whamm_cm)\.'
                   r'[a-z_.]+)"')  # fmt: skip
#: Made of other names.
MADE = {f"whamm_cm.{name}" for name in ("component", "interface", "version", "args.…")}


def test_the_table_has_all_attributes() -> None:
    written = {name for path in ("semconv.py", "spans.py")
               for name in _NAME.findall((SOURCE / path).read_text())}  # fmt: skip
    table = [row for row in rows("report.md", "span") if len(row) == 4]
    listed = {name for row in table for name in code(row[3])}
    assert listed == written | MADE
