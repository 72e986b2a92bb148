"""The flame graph for terminals."""

from __future__ import annotations

import io
import os
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.render.test_calltree import NODES, TREE, log
from tests.render.test_hostile import NASTY
from whamm_cm.cli.outputs import on_screen
from whamm_cm.render import flame, frames, table
from whamm_cm.render.calltree import Frame
from whamm_cm.render.options import RenderOptions

PLAIN = RenderOptions(width=60)
NAMES = st.one_of(
    st.sampled_from((*NASTY, "wasi:cli/run#run", "a::b::<impl c>::d", "日本語の関数", "")),
    st.text(max_size=30),
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def shown(*records: dict[str, Any], options: RenderOptions = PLAIN) -> str:
    return "".join(flame.render(records, options))


def test_a_tree() -> None:
    assert shown(log(TREE)) == (
        "tree: 35 in 4 functions\n"
        "[run                                                 100.0%]\n"
        "[foo::bar()                 57.1%][… → a;b]\n"
        "\n"
        "own   share                   total  function\n"
        " 20   57.1%  |############|   57.1%  foo::bar()\n"
        " 10   28.6%  |######      |  100.0%  run\n"
        "  5   14.3%  |###         |   14.3%  a;b\n"
        "\n"
        "hot paths\n"
        " 57.1%  run → foo::bar()\n"
        " 28.6%  run\n"
        " 14.3%  run → #6 → a;b\n"
    )


def test_tables_show_trees_as_flame_graphs() -> None:
    """Nodes have the same numbers in all instances, and nothing else in common."""
    other = log([(1, (0, "serve", 9, 15)), (2, (1, "parse", 8, 50))], 2)
    text = "".join(table.render([log(TREE), other], PLAIN))
    assert text.startswith("tree: 100 in 6 functions of 2 instances\n[serve ")
    assert "map<" not in text and " 50.0%  serve → parse\n" in text
    apart = "".join(table.render([log(TREE), other], replace(PLAIN, per_instance=True)))
    assert apart.startswith("instance 1  tree: 35 in 4 functions\n")
    assert "\ninstance 2  tree: 65 in 2 functions\n" in apart


def test_what_is_too_narrow_is_drawn_together() -> None:
    tree = [(1, (0, "run", 1, 1)), *((n, (1, f"f{n}", n, 1)) for n in range(2, 602))]
    picture = shown(log(tree)).splitlines()
    assert picture[2] == "." * 60


def test_a_deep_stack_is_cut_and_recursion_counted() -> None:
    deep = [(n, (n - 1, f"f{n % 7}", n, 1)) for n in range(1, 5001)]
    text = shown(log(deep))
    assert re.search("\n… 49[0-9]{2} levels more\n", text) and len(text.splitlines()) < 60
    assert re.search(r"\d+   14.3%  \|#+ *\|  100.0%  f1\n", text)  # what calls itself counts once
    chained = [(n, (n - 1, "fib", 1, 7 * (n == 40))) for n in range(1, 41)]
    assert "[fib ×40 " in shown(log(chained))


def test_nothing_to_show() -> None:
    assert shown(log([])) == "tree: 0 in 0 functions: nothing to show\n"
    assert shown() == "time: 0 in 0 functions: nothing to show\n"


@given(NODES, st.lists(NAMES, min_size=1), st.integers(1, 200), st.booleans())
def test_any_tree_fits_and_acts_on_nobody(
    nodes: list[Any], names: list[str], width: int, colour: bool
) -> None:
    named = [
        (number, (caller, names[fid % len(names)], fid, weight))
        for number, (caller, _, fid, weight) in nodes
    ]
    text = shown(log(named), options=RenderOptions(width=width, colour=colour))
    assert ("\x1b" in text) == (colour and "nothing to show" not in text)
    for line in _COLOUR.sub("", text).split("\n"):
        assert line.isprintable()
        assert frames.columns(line) <= max(width, 48) or "in " in line or "other" in line


@given(NODES, st.integers(1, 300))
def test_frames_are_below_what_called_them(nodes: list[Any], width: int) -> None:
    root = Frame("")
    for number, (caller, _, fid, weight) in nodes:
        frame = root.callee((str(caller), False)).callee((str(fid), False))
        frame.callee((str(number), False)).own += weight + 1
    root.own = 1
    for level in reversed([[root], [*frames.walk(root)]]):
        for frame in reversed(level):
            frame.total = frame.own + sum(inner.total for inner in frame.callees.values())
    rows, _ = flame._rows(root, width)
    above = [(0, width)]
    for row in rows:
        for cell in row:
            assert any(start <= cell.start < cell.end <= end for start, end in above)
        assert all(one.end <= two.start for one, two in zip(row, row[1:], strict=False))
        above = [(cell.start, cell.end) for cell in row if cell.frames]


@pytest.mark.parametrize(
    ("names", "room", "text"),
    [
        (["main", "wasi:cli/stdout#get-stdout"], 40, "main → wasi:cli/stdout#get-stdout"),
        (["main", "wasi:cli/stdout#get-stdout"], 26, "main → stdout#get-stdout"),
        (["main", "wasi:cli/stdout#get-stdout"], 21, "… → stdout#get-stdout"),
        (["main", "wasi:cli/stdout#get-stdout"], 20, "stdout#get-stdout"),
        (["main", "wasi:cli/stdout#get-stdout"], 10, "get-stdout"),
        (["main", "wasi:cli/stdout#get-stdout"], 9, "get-stdo…"),
        (["alloc::vec::Vec<a::B<c::D>>::push"], 20, "Vec::push"),
        (["alloc::vec::Vec<a::B<c::D>>::push"], 4, "push"),
        (["<a::Guard as c::Drop<T>>::drop"], 12, "Guard::drop"),
        (["<a::Guard as c::Drop<T>>::drop"], 5, "drop"),
        (["<a::Once>::call::<<b::C>::d<<e::F>::{closure#0}>::{closure#0}>"], 12, "Once::call"),
        (["a::b::run::{closure#0}"], 18, "run::{closure#0}"),
        (["<a::f::{closure#0} as c::FnOnce(d::E)>::call"], 9, "call"),
        (["日本語"], 5, "日本…"), (["日本語"], 4, "日…"), (["ab"], 1, ""), (["<<<"], 2, "<…"),
    ],
)  # fmt: skip
def test_names_get_shorter(names: list[str], room: int, text: str) -> None:
    assert frames.fit(names, room) == text


class Terminal(io.StringIO):
    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd


def test_a_terminal_has_its_width_and_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((133, 50)))
    assert on_screen(PLAIN, Terminal(1)) == replace(PLAIN, width=133, colour=True)
    assert on_screen(PLAIN, io.StringIO()) is PLAIN
    monkeypatch.setenv("NO_COLOR", "1")
    assert on_screen(PLAIN, Terminal(1)) == replace(PLAIN, width=133)
    monkeypatch.setattr(os, "get_terminal_size", _unknown)
    assert on_screen(PLAIN, Terminal(1)) == PLAIN


def _unknown(fd: int) -> os.terminal_size:
    raise OSError(25, "Inappropriate ioctl for device")
