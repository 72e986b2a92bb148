"""The tables of the grammar, which are checked in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lark
import pytest

import whamm_cm.monitors
from whamm_cm.lang import parse, tables
from whamm_cm.lang.source import Source

MONITORS = sorted(Path(whamm_cm.monitors.__path__[0]).glob("*.mm"))


def automaton(given: dict[str, Any]) -> list[Any]:
    """What a parser does in each state, its states numbered as they come."""
    found = given["tables"]["parser"]["parser"]
    names, (start,) = found["tokens"], found["start_states"].values()
    numbers, order, steps = {start: 0}, [start], []
    for state in order:  # which grows
        step = {}
        for token, (what, where) in sorted(
            (names[token], action) for token, action in found["states"][str(state)].items()
        ):
            if what == 0 and where not in numbers:
                numbers[where] = len(order)
                order.append(where)
            step[token] = numbers[where] if what == 0 else given["names"][str(where["@"])]
        steps.append(step)
    (end,) = found["end_states"].values()
    lexer = [
        given["names"][str(n["@"])] for n in given["tables"]["parser"]["lexer_conf"]["terminals"]
    ]
    return [steps, numbers[end], sorted(lexer, key=str), given["tables"]["options"]]


def test_they_are_of_this_grammar() -> None:
    kept = json.loads(tables.TABLES.read_bytes())
    if kept["lark"] != lark.__version__:
        pytest.skip("the tables are of another version of lark, and are not used with this one")
    remade = f"python -m {tables.__name__} rewrites them"
    assert automaton(json.loads(tables.made())) == automaton(kept), remade


@pytest.mark.parametrize("path", MONITORS, ids=lambda path: path.stem)
def test_other_versions_of_lark_do_without(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(0, path.name, path.read_text("utf-8"))
    expected = parse.parse(source)
    monkeypatch.setattr(lark, "__version__", "0.1")
    monkeypatch.setattr(lark.Lark, "_load_from_dict", None)
    parse._parser.cache_clear()
    try:
        assert parse.parse(source) == expected
    finally:
        parse._parser.cache_clear()
