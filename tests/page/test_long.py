"""A run of more calls than an element of a page can be high."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.page import logs
from whamm_cm.render.page.bundle import page
from whamm_cm.render.page.classes import table
from whamm_cm.render.page.run import packed_chunk

N, CHUNK = 1_000_000, 50_000
#: A number that is another one for each call, and how to find the call by it.
STEP, BACK = 7919, pow(7919, -1, N)
ROWS = '[role="grid"] .rows [role="row"]:not([hidden])'


def chunks() -> Iterator[str]:
    for first in range(0, N, CHUNK):
        numbers = range(first, first + CHUNK)
        took = [i * STEP % N for i in numbers]
        same = {"instance": 1, "task": 0, "req": 0, "parent": -1, "depth": 0, "start": 1000}
        same |= {"frame": 0, "outcome": 0, "bytes": 0}
        columns = {name: [value] * CHUNK for name, value in same.items()}
        columns |= {"site": [i % 3 for i in numbers], "flags": [i % 1000 == 999 for i in numbers]}
        columns |= {"dur": took, "self": took, "result": took}
        values = [{"args": {"n": i}} for i in numbers]
        chunk = {"first": first, "n": CHUNK, "columns": columns, "waits": [], "values": values}
        yield packed_chunk(chunk)


@pytest.fixture(scope="module")
def long() -> str:
    sites = [
        {"edge": "import", "component": "", "interface": f"a:b/{n}", "version": "", "func": "f",
         "name": f"a:b/{n}#f"} for n in "cde"
    ]  # fmt: skip
    run = {"timed": True, "records": 2 * N, "calls": N, "instances": [1], "runs": [""], "t0": 0,
           "span": 1000 * N, "losses": {"known": 0, "unknown": False, "sentence": ""},
           "sites": sites, "requests": [], "exchanges": [], "counts": [], "prints": [],
           "flows": []}  # fmt: skip
    model = {"v": 1, "kind": "run", "title": "long", "by": "a test", "run": run}
    return "".join(page({**model, "classes": {"table": table()}}, chunks()))


@pytest.fixture
def opened(open_page: Callable[..., Any], long: str) -> Any:
    found = open_page(long, "view=table")
    found.set_default_timeout(120_000)
    found.wait_for_selector("html[data-ready]")
    return found


def first_and_last(page: Any) -> tuple[int, int]:
    """Of the rows that can be seen whole, the numbers of the calls."""
    found: list[int] = page.evaluate(f"""(async () => {{
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      const grid = document.querySelector('[role=grid]').getBoundingClientRect();
      const head = document.querySelector('.heads').getBoundingClientRect().bottom;
      return [...document.querySelectorAll('{ROWS}')].filter((row) => {{
        const box = row.getBoundingClientRect();
        return box.top >= head - 1 && box.bottom <= grid.bottom + 1;
      }}).map((row) => Number(row.querySelector('.c-at').textContent.replace(/,/g, '')));
    }})()""")
    assert found == list(range(found[0], found[0] + len(found)))
    return found[0], found[-1]


def test_every_call_can_be_reached(opened: Any) -> None:
    assert first_and_last(opened)[0] == 1
    assert opened.locator(ROWS).count() < 60
    grid = opened.get_by_role("grid")
    assert grid.get_attribute("aria-rowcount") == str(N + 1)
    grid.focus()
    opened.keyboard.press("End")
    assert first_and_last(opened)[1] == N
    opened.keyboard.press("ArrowUp")
    opened.keyboard.press("Enter")
    assert f"{N - 1:,} of {N:,}" in opened.locator(".drawer").inner_text()
    opened.evaluate("document.querySelector('[role=grid]').scrollTop = 4e6")
    first, last = first_and_last(opened)
    assert abs(first - N / 2) < N / 100 and last > first
    opened.evaluate("document.querySelector('[role=grid]').scrollTop = 1e9")
    assert first_and_last(opened)[1] == N
    opened.evaluate("location.hash = '#view=table&call=123455'")
    opened.locator('[aria-selected="true"] .c-at', has_text="123,456").wait_for()
    first, last = first_and_last(opened)
    assert first <= 123_456 <= last
    opened.locator('[aria-selected="true"] .c-values', has_text="n: 123455").wait_for()


def test_all_of_them_are_ordered_and_filtered(opened: Any) -> None:
    opened.get_by_role("columnheader", name="Took").get_by_role("button").click()
    order = [(N - 1 - k) * BACK % N + 1 for k in range(10)]
    found = opened.locator(f"{ROWS} .c-at").all_inner_texts()[:10]
    assert [int(text.replace(",", "")) for text in found] == order
    opened.get_by_role("combobox", name="Filter").fill("a:b/d status=failed")
    whole = sum(1 for i in range(999, N, 1000) if i % 3 == 1)
    assert opened.locator("#filter-says").inner_text() == f"{whole} of {N:,} calls"
    opened.get_by_role("grid").focus()
    opened.keyboard.press("End")
    least = min((i * STEP % N, i) for i in range(999, N, 1000) if i % 3 == 1)[1]
    last = opened.locator(f'[role="row"][aria-rowindex="{whole + 1}"] .c-at').inner_text()
    assert int(last.replace(",", "")) == least + 1


@pytest.mark.parametrize("share", [0.52, 0.999])
def test_a_page_that_was_cut_off_says_so(
    open_page: Callable[..., Any], axe: Callable[..., None], share: float
) -> None:
    """As by a disk that is full: what is there is shown."""
    text = logs.page(logs.many(20_000))
    start = text.index('class="chunk"')
    page = open_page(text[: start + int((len(text) - start) * share)], "view=table")
    page.wait_for_selector("html[data-ready]")
    said = page.get_by_role("alert").inner_text()
    whole = 8192 if share < 0.9 else 16384
    assert said.startswith(f"This file is not whole: {whole:,} of its 20,000 calls are here.")
    assert page.get_by_role("grid").get_attribute("aria-rowcount") == str(whole + 1)
    axe(page)
