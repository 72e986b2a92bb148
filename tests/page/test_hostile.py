"""Texts of guests in every place where there can be one: nothing runs, all of it is seen."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.page import logs

Open = Callable[..., Any]
#: What would act on who looks: controls but for line breaks, bidirectional marks, zero-width, tags.
ACTING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff"
    r"\ud800-\udfff\U000e0000-\U000e007f]"
)


@pytest.fixture(scope="module")
def hostile() -> str:
    return logs.page(logs.hostile())


def views(page: Any) -> list[str]:
    return [tab.get_attribute("data-view") for tab in page.locator(".tabs a").all()]


def test_nothing_of_a_guest_runs_and_all_of_it_is_seen(
    open_page: Open, axe: Callable[..., None], screenshot: Callable[..., Path], hostile: str
) -> None:
    """`open_page` fails for dialogs, errors, requests and what the policy stopped."""
    page = open_page(hostile)
    page.wait_for_selector("html[data-ready]")
    for view in views(page):
        page.locator(f'.tabs a[data-view="{view}"]').click()
        page.locator(f".view-{view}").wait_for()
        settled(page)
        screenshot(page, f"hostile-{view}")
        text = page.locator("body").inner_text()
        assert not ACTING.search(text), (view, ACTING.search(text))
        assert not made_of_text(page), view
        axe(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view


def test_every_call_can_be_looked_at(open_page: Open, hostile: str) -> None:
    page = open_page(hostile, "view=table")
    page.wait_for_selector("html[data-ready]")
    calls = int(page.locator("#filter-says").inner_text().split()[0])
    for i in range(calls):
        page.evaluate("(i) => { location.hash = `#view=table&call=${i}`; }", i)
        page.locator(".drawer dd", has_text=re.compile(rf"^{i + 1} of ")).wait_for()
        page.locator(".drawer .values h3").first.wait_for()
        # Opening one makes what is inside, which may be opened, too.
        for _ in range(4):
            page.evaluate(
                "document.querySelectorAll('.drawer details').forEach((d) => { d.open = true; })"
            )
            settled(page)
        text = page.locator(".drawer").inner_text()
        assert not ACTING.search(text), (i, ACTING.search(text))
        assert not made_of_text(page)


@pytest.mark.parametrize("text", logs.PAYLOADS, ids=range(len(logs.PAYLOADS)))
def test_state_of_anybody(open_page: Open, text: str, hostile: str) -> None:
    """Links are written by others: whatever they say, the page is there."""
    from urllib.parse import quote

    said = quote(text.encode("utf-8", "surrogatepass"))
    keys = ("q", "t", "call", "theme", "table.sort", "__proto__", said)
    page = open_page(hostile, "&".join(f"{key}={said}" for key in keys) + "&view=table&%=%&=&x")
    page.wait_for_selector("html[data-ready]")
    assert page.locator(".view-table").is_visible()
    assert not made_of_text(page)


def settled(page: Any) -> None:
    """What was asked for has been drawn."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 60)))")


def made_of_text(page: Any) -> list[str]:
    """Elements that none of our scripts makes, and attributes that run."""
    found: list[str] = page.evaluate(_MADE)
    return found


_MADE = """
[...document.querySelectorAll('body *')].filter((e) =>
  (/^(script|img|iframe|object|embed|base|link|meta|form)$/i.test(e.localName)
    && !(e.localName === 'script' && e.parentNode === document.body))
  || [...e.attributes].some((a) => /^on/i.test(a.name)
    || (/^(href|src|action|formaction|xlink:href)$/i.test(a.name) && !a.value.startsWith('#'))))
.map((e) => e.outerHTML.slice(0, 200))
"""
