"""The page of a run that goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.page.browser import PHONE
from tests.page.logs import hostile, many, small
from whamm_cm.cli.live import Live
from whamm_cm.render.options import RenderOptions


@pytest.fixture
def live() -> Iterator[Live]:
    found = Live("127.0.0.1:0", RenderOptions())
    yield found
    found.finish()


def said(page, text: str) -> None:
    """Waits until the line of the run has this."""
    page.locator(".live", has_text=text).wait_for()


def test_records_come_while_one_looks(live: Live, open_page, axe, screenshot) -> None:
    page = open_page(live.url)
    tabs = page.get_by_label("Views")
    assert "Calls" not in tabs.inner_text()  # there is nothing yet
    records = small()
    for record in records[:60]:
        live.feed(record)
    said(page, "60 records so far")
    tabs.get_by_text("Timeline").click()
    page.locator(".view-timeline").wait_for()
    for record in records[60:]:
        live.feed(record)
    said(page, f"{len(records):,} records so far")
    axe(page)
    screenshot(page, "live")
    tabs.get_by_text("Calls").click()
    page.locator(".view-table").wait_for()
    live.finish()
    said(page, "The run is over.")
    assert page.get_by_role("button", name="Pause").is_disabled()


def test_a_pause_holds_the_picture(live: Live, open_page) -> None:
    records = small()
    for record in records[:60]:
        live.feed(record)
    page = open_page(live.url)
    said(page, "60 records so far")
    page.get_by_role("button", name="Pause").click()
    for record in records[60:90]:
        live.feed(record)
    said(page, "paused")
    assert "60 records so far" in page.locator(".live").inner_text()
    page.get_by_role("button", name="Go on").click()
    said(page, "90 records so far")


def test_the_call_that_is_chosen_stays_chosen(live: Live, open_page) -> None:
    live._run._most = 400
    log = list(many(4000))
    for record in log[:300]:
        live.feed(record)
    page = open_page(live.url, "view=table&call=140")
    said(page, "300 records so far")
    before = page.locator("aside.drawer").inner_text()
    for record in log[300:420]:
        live.feed(record)
    said(page, "420 records so far; shown are the last")
    assert "call=140" not in page.url and "call=" in page.url
    after = page.locator("aside.drawer").inner_text()
    assert before.splitlines()[0] == after.splitlines()[0]


@pytest.mark.parametrize("records", [small(), hostile()], ids=["small", "hostile"])
def test_every_view_of_a_live_run(live: Live, records: list, open_page, axe) -> None:
    page = open_page(live.url, **PHONE)
    for record in records:
        live.feed(record)
    said(page, f"{len(records):,} records so far")
    for tab in page.get_by_label("Views").locator("a").all():
        tab.click()
        page.locator("main .view").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    live.finish()
    said(page, "The run is over.")
