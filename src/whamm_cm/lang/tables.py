"""The parser of ``grammar.lark``, from tables that are checked in: to work them out takes longer
than all else that a short script needs.

``python -m whamm_cm.lang.tables`` rewrites them after a change of the grammar; a test compares.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import lark
from lark.grammar import Rule
from lark.lexer import TerminalDef

GRAMMAR = Path(__file__).with_name("grammar.lark")
TABLES = Path(__file__).with_name("grammar.json")


def parser(builder: lark.Transformer[Any, Any]) -> lark.Lark:
    """A parser whose rules call ``builder``; tables of another version of lark are not used."""
    given = json.loads(TABLES.read_bytes(), object_hook=_numbered)
    if given["lark"] != lark.__version__:
        return _worked_out(transformer=builder)
    load: Any = lark.Lark._load_from_dict
    found: lark.Lark = load(given["tables"], given["names"], transformer=builder)
    return found


def _numbered(found: dict[str, Any]) -> dict[str | int, Any]:
    """JSON has no keys that are numbers."""
    return {int(key) if key.isdigit() else key: value for key, value in found.items()}


def _worked_out(**options: Any) -> lark.Lark:
    return lark.Lark(GRAMMAR.read_text("utf-8"), parser="lalr", lexer="contextual", **options)


@cache
def terminals() -> dict[str, str]:
    """The regular expressions of the grammar's terminals by name."""
    return {found.name: found.pattern.to_regexp() for found in _worked_out().terminals}


@cache
def rules() -> list[str]:
    """Those of match rules, in the order in which they are tried."""
    found = [one for one in _worked_out().terminals if one.name.endswith("RULE")]
    return [one.pattern.to_regexp() for one in sorted(found, key=lambda one: -one.priority)]


def made() -> str:
    """The tables as text; states and tokens are numbered anew each time."""
    tables, names = _worked_out().memo_serialize([TerminalDef, Rule])
    found = {"lark": lark.__version__, "tables": tables, "names": names}
    return json.dumps(found, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    TABLES.write_text(made(), "utf-8")
