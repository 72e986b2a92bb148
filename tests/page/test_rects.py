"""The index of rectangles draws each of them once, and knows the sums of what shares a pixel."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.page.modules import page_of

_ASK = """
globalThis.build = (rows, x0, x1, flag, mask, count) => {
  const data = {row: Int32Array.from(rows), x0: Float64Array.from(x0), x1: Float64Array.from(x1),
    flag: Uint8Array.from(flag), rowTop: Array.from({length: count}, (_, r) => r * 18)};
  globalThis.index = new RectsIndex(data);
  index.match(Uint8Array.from(mask));
};
globalThis.walk = (row, from, to, unit) => {
  const found = [];
  index.walk(row, from, to, unit, (k) => found.push(['wide', index.ids[k]]),
    (a, b, column) => found.push(['narrow', [...index.ids.slice(a, b)], column,
      index.ids[index.longest(a, b)], index.failed[b] - index.failed[a], index.matches(a, b),
      index.covered[b] - index.covered[a]]));
  return found;
};
globalThis.longest = (a, b) => index.longest(a, b);
globalThis.nearest = (x, row) => index.nearest(x, row);
globalThis.rowsOf = () => Array.from({length: index.n}, (_, k) => index.rowOf(k));
"""

Rect = tuple[int, float, float]


def rects_of(draw: random.Random, rows: int, most: int) -> list[Rect]:
    """Rows of rectangles that do not overlap: tiny ones, long ones, empty ones, gaps; shuffled."""
    found: list[Rect] = []
    for row in range(rows):
        at = draw.choice((0, draw.randrange(5000)))
        for _ in range(draw.randrange(most)):
            at += draw.choice((0, 0, 1, draw.randrange(40), draw.randrange(4000)))
            end = at + draw.choice((0, 1, 2, draw.randrange(30), draw.randrange(3000)))
            found.append((row, at, end))
            at = end
    if draw.random() < 0.5:
        draw.shuffle(found)
    return found


class Model:
    """The same by looking at all of them."""

    def __init__(self, rects: list[Rect], flag: list[int], mask: list[int]) -> None:
        self.rects, self.flag, self.mask = rects, flag, mask

    def check(self, row: int, start: float, end: float, unit: float, found: list[Any]) -> None:
        """What was walked is all of the row that is in view, in order, each once."""
        walked: list[int] = []
        for each in found:
            if each[0] == "wide":
                assert self.length(each[1]) >= unit
                walked.append(each[1])
                continue
            _, ids, column, longest, failed, matches, covered = each
            walked += ids
            assert all(column * unit <= self.rects[i][1] + unit * 1e-9 for i in ids)
            assert all(self.rects[i][1] < (column + 1) * unit + unit * 1e-9 for i in ids)
            assert all(self.length(i) < unit for i in ids)
            assert self.length(longest) == max(map(self.length, ids))
            assert longest in ids
            assert failed == sum(self.flag[i] & 1 for i in ids)
            assert matches == sum(self.mask[i] for i in ids)
            assert covered == pytest.approx(sum(map(self.length, ids)))
        assert len(walked) == len(set(walked))
        starts = [self.rects[i][1] for i in walked]
        assert starts == sorted(starts)
        inside = {
            i for i, (r, x0, x1) in enumerate(self.rects) if r == row and x0 < end and x1 > start
        }
        assert inside <= set(walked)
        # What begins in the last pixel in view may begin behind it.
        for i in set(walked) - inside:
            assert self.rects[i][0] == row
            assert start <= self.rects[i][2]
            assert self.rects[i][1] < end + unit

    def length(self, i: int) -> float:
        return self.rects[i][2] - self.rects[i][1]


def test_whatever_is_in_view_is_drawn_once(open_page: Callable[..., Any]) -> None:
    page = open_page(page_of("rects_index.js", script=_ASK))
    for seed in range(40):
        _drawn_once(page, random.Random(seed))


def _drawn_once(page: Any, draw: random.Random) -> None:
    rows = draw.choice((1, 3, 7))
    rects = rects_of(draw, rows, draw.choice((2, 40, 900)))
    flag = [int(draw.random() < 0.1) for _ in rects]
    mask = [int(draw.random() < 0.5) for _ in rects]
    columns = [list(column) for column in zip(*rects, strict=True)] or [[], [], []]
    page.evaluate("(a) => build(...a)", [*columns, flag, mask, rows])
    model = Model(rects, flag, mask)
    last = max((end for _, _, end in rects), default=1) + 1
    for _ in range(12):
        row = draw.randrange(rows)
        start = draw.choice((0, draw.random() * last))
        span = draw.choice((last, 1.0, draw.random() * last + 0.001))
        unit = span / draw.choice((1, 7, 300, 1300))
        found = page.evaluate("(a) => walk(...a)", [row, start, start + span, unit])
        model.check(row, start, start + span, unit, found)


def test_longest_and_nearest_are_those_of_all(open_page: Callable[..., Any]) -> None:
    page = open_page(page_of("rects_index.js", script=_ASK))
    for seed in range(8):
        _of_all(page, random.Random(100 + seed))


def _of_all(page: Any, draw: random.Random) -> None:
    rects = sorted(rects_of(draw, 2, 700))
    columns = [list(column) for column in zip(*rects, strict=True)]
    page.evaluate("(a) => build(...a)", [*columns, [0] * len(rects), [1] * len(rects), 2])
    assert page.evaluate("rowsOf()") == [row for row, _, _ in rects]
    lengths = [end - start for _, start, end in rects]
    for _ in range(60):
        a = draw.randrange(len(rects))
        b = draw.randrange(a + 1, len(rects) + 1)
        assert lengths[page.evaluate("(a) => longest(...a)", [a, b])] == max(lengths[a:b])
    for _ in range(60):
        row, x = draw.randrange(2), draw.random() * max(end for _, _, end in rects)
        away = [max(start - x, x - end, 0) for r, start, end in rects if r == row]
        found = page.evaluate("(a) => nearest(...a)", [x, row])
        if not away:
            assert found == -1
            continue
        r, start, end = rects[found]
        assert r == row
        assert max(start - x, x - end, 0) == min(away)
