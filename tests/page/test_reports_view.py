"""The view of what scripts reported, as somebody uses it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.page.browser import DARK, PHONE
from tests.render.test_reports import LOGS, at, printed, said
from whamm_cm.render.html import render
from whamm_cm.render.options import RenderOptions

Open = Callable[..., Any]
EVIL = "<img src=x onerror=alert(1)>\u202e</script>{{7*7}}"
STORES = [[[f"f{i % 7}", i % 5], 10 * i + 1] for i in range(30)]
MANY: list[dict[str, Any]] = [
    *LOGS["modules"], *LOGS["components"],
    said("by_second", "map<u32, u64>", [[second, 7 * second % 11] for second in range(40)]),
    said("stores", "map<(str, u32), u64>", STORES),
    said("wide", "map<str, u64>", [[f"key {i:03}", i] for i in range(450)]),
    said("narrow", "lhist(0, 1000, 1)", [[i, 1 + i % 9] for i in range(1000)]),
]  # fmt: skip


def html(records: list[dict[str, Any]]) -> str:
    return "".join(render(records, RenderOptions()))


def card(page: Any, name: str) -> Any:
    return page.locator(
        "section.card", has=page.locator("h2 code", has_text=name).filter(has_text=name)
    )


def column(table: Any, number: int) -> list[str]:
    found: list[str] = table.locator(f"tbody tr td:nth-child({number})").all_inner_texts()
    return found


def test_values_tables_and_prints_are_there(open_page: Open) -> None:
    page = open_page(html(LOGS["modules"]), "view=reports")
    values = page.locator(".reports-values").inner_text()
    assert "18,446,744,073,709,551,615" in values and "greeting" in values
    assert column(card(page, "taken"), 4) == ["41", "3", "0"]
    assert page.locator(".reports-print").all_inner_texts() == ["hello, world", "two\nlines"]
    assert "Nothing was added" in card(page, "empty").inner_text()


def test_a_table_is_sorted_and_the_link_says_so(open_page: Open) -> None:
    text = html(MANY)
    page = open_page(text, "view=reports")
    stores = card(page, "stores")
    assert column(stores, 3)[:3] == ["291", "281", "271"]
    stores.get_by_role("button", name="key 2").click()
    assert column(stores, 2)[:2] == ["4", "4"]
    stores.get_by_role("button", name="key 2").click()
    assert column(stores, 2)[:2] == ["0", "0"]
    assert stores.locator("th[aria-sort=ascending]").inner_text().startswith("key 2")
    again = open_page(text, page.evaluate("location.hash.slice(1)"))
    assert column(card(again, "stores"), 2)[:2] == ["0", "0"]


def test_rows_are_found_and_more_are_shown(open_page: Open) -> None:
    page = open_page(html(MANY), "view=reports")
    wide = card(page, "wide")
    assert len(column(wide, 1)) == 100
    wide.get_by_role("button", name="Show more").click()
    assert len(column(wide, 1)) == 450
    page.get_by_role("searchbox", name="Find in reports").fill("KEY 01")
    assert column(wide, 1) == [f"key 0{i}" for i in range(19, 9, -1)]
    assert "10 of 450 rows" in wide.inner_text()


def test_numbers_beyond_doubles_are_sorted_by_all_their_digits(open_page: Open) -> None:
    numbers = [(1 << 64) - 1, (1 << 64) - 2, (1 << 64) - 3, 5]
    value = [[f"k{i}", str(n)] for i, n in enumerate(numbers)]
    page = open_page(
        html([said("big", "map<str, u64>", value)]), "view=reports&reports.big.sort=1%2B"
    )
    assert column(card(page, "big"), 2) == [f"{n:,}" for n in sorted(numbers)]


def test_histograms_are_bars_and_have_a_table(open_page: Open) -> None:
    page = open_page(html(LOGS["components"]), "view=reports")
    one = card(page, "bytes")
    assert "29 samples, p50 in 4 – 7" in one.inner_text()
    assert one.locator("canvas").count() == 1
    one.locator("summary").click()
    assert column(one, 2) == ["1", "0", "0", "20", "7", "0", "1"]
    one.get_by_role("button", name="Log").click()
    assert "log=1" in page.evaluate("location.hash")
    box = one.locator(".u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 3.5 / 7, box["y"] + 20)
    assert one.locator(".chart-said").inner_text() == "4 – 7: 20 (69.0%)"


def test_histograms_by_key_are_a_heat_map_whose_rows_open(open_page: Open) -> None:
    page = open_page(html(LOGS["components"]), "view=reports")
    hosts = card(page, "per_host")
    assert hosts.locator(".heat tbody tr").count() == 2
    assert hosts.locator(".heat td[title='a.example, 4 – 7: 20']").inner_text() == "20"
    hosts.get_by_role("button", name="b.example").click()
    assert "b.example: 2 samples, p50 in 1,024 – 2,047" in hosts.inner_text()
    assert hosts.get_by_role("button", name="Histogram").get_attribute("aria-pressed") == "true"


def test_maps_are_charts_and_matrices_where_their_keys_allow_it(open_page: Open) -> None:
    page = open_page(html(MANY), "view=reports")
    seconds = card(page, "by_second")
    seconds.get_by_role("button", name="Chart").click()
    assert seconds.locator("canvas").count() == 1
    stores = card(page, "stores")
    stores.get_by_role("button", name="Matrix").click()
    assert stores.locator(".heat thead th").all_inner_texts() == ["0", "1", "2", "3", "4"]
    assert stores.locator(".heat td[title='f6, 2: 271']").count() == 1
    assert card(page, "wide").get_by_role("button", name="Matrix").count() == 0
    narrow = card(page, "narrow")
    assert narrow.locator("canvas").count() == 1


@pytest.mark.parametrize("how", [{}, DARK, PHONE], ids=["light", "dark", "phone"])
def test_it_is_accessible_and_fits(
    open_page: Open, axe: Callable[..., None], screenshot: Callable[..., Path], how: Any
) -> None:
    page = open_page(html(MANY), "view=reports&reports.stores.as=Matrix", **how)
    page.wait_for_selector("canvas")
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    name = "dark" if how is DARK else "phone" if how is PHONE else "light"
    screenshot(page, f"reports-{name}")


def test_what_a_guest_can_name_is_only_text(open_page: Open) -> None:
    place = at(5, 10, EVIL, EVIL, EVIL)
    records = [
        said(EVIL, "u32", 3, script=EVIL, **place), said(EVIL, "u32", 4, script=EVIL, **at(6, 1)),
        said("k", "map<str, u32>", [[EVIL, 1]]), said("h", "map<str, hist>", [[EVIL, [[1, 1]]]]),
        said("s", "str", EVIL), said("t", EVIL, EVIL), said("g", "map<(str, str), u32>",
        [[[EVIL, str(i)], 1] for i in range(5)]), printed(EVIL),
        said("tree", "map<u32, (u32, str, u32, u64)>", [[1, [0, EVIL, 3, 5]]]),
    ]  # fmt: skip
    page = open_page(html(records), "view=reports&reports.find=%3Cimg")
    assert page.locator("img").count() == 0
    text = page.locator("main").inner_text()
    assert "\u202e" not in text and text.count("\\u{202e}") >= 6


def test_tab_reaches_everything(open_page: Open) -> None:
    page = open_page(html(LOGS["components"]), "view=reports")
    page.get_by_role("searchbox", name="Find in reports").focus()
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.slice(0, 40)"))
    assert {"Log", "Heat map", "Histogram", "a.example", "b.example", "As a table"} <= reached
