"""The page of a difference in a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wasmtime

from tests.gate.making import component
from tests.page.browser import DARK, PHONE
from tests.page.test_component_view import EVIL, hostile
from whamm_cm.front.app import Guest
from whamm_cm.render.page.diff import diff_page

POLL, TCP = "wasi:io/poll@0.2.3", "wasi:sockets/tcp@0.2.3"


@pytest.fixture
def compared(open_page: Callable[..., Any]) -> Callable[..., Any]:
    def opened(old: bytes, new: bytes, **context: Any) -> Any:
        changes = Guest(old, "old.wasm").diff(Guest(new, "new.wasm"))
        return open_page(diff_page((old, "old.wasm"), (new, "new.wasm"), changes), **context)

    return opened


OLD = component({POLL: ("poll", "other"), "wasi:random/random@0.2.3": ("get",)}, calls="poll get")
NEW = component({POLL: ("poll", "other"), TCP: ("bind", "listen")}, calls="poll other bind")


def test_it_is_accessible_everywhere(
    compared: Callable[..., Any], axe: Callable[..., None], screenshot: Callable[..., Path]
) -> None:
    for name, context in (("light", {}), ("dark", DARK), ("phone", PHONE)):
        page = compared(OLD, NEW, **context)
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        axe(page)
        screenshot(page, f"diff-{name}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_it_can_do_more_comes_first_with_its_way(compared: Callable[..., Any]) -> None:
    page = compared(OLD, NEW)
    assert page.locator("[data-view=diff]").get_attribute("aria-current") == "page"
    more = page.locator(".more .changes > li")
    assert [text.split("\n")[1] for text in more.all_inner_texts()] == [f"{POLL}#other", TCP]
    more.nth(1).locator("summary").first.click()
    more.nth(1).locator(".way li").first.wait_for()
    steps = more.nth(1).locator(".way li").all_inner_texts()
    assert steps[0].split() == ["exported", "run"]
    assert steps[-1].split() == ["import", f"{TCP}#bind"]
    assert "listen cannot be reached" in " ".join(more.nth(1).inner_text().split())
    assert "import, gone" in page.locator(".other").inner_text()


def test_the_way_leads_into_the_new_component(compared: Callable[..., Any]) -> None:
    page = compared(OLD, NEW)
    page.locator(".more summary").first.click()
    page.locator(".way a").first.click()
    page.wait_for_selector(".view-component[data-read=true] .about")
    assert "function " in page.locator(".about").inner_text()
    page.go_back()
    page.wait_for_selector(".view-diff")


def test_sizes_lines_and_functions(compared: Callable[..., Any]) -> None:
    def module(body: str) -> bytes:
        functions = f"(func $grown {body}) (func $same nop) (func $x{len(body)} nop)"
        return wasmtime.wat2wasm(f"(component (core module $lib {functions}))")

    page = compared(module("nop"), module("nop nop nop"))
    part = page.locator(".part").filter(has_text="lib")
    rows = {
        row.split("\t")[0]: row.split("\t")[1:4]
        for row in part.locator("tbody tr").all_inner_texts()
    }
    assert rows["grown"] == ["3 B", "5 B", "+2 B"]
    assert rows["x3"][1] == "gone" and rows["x11"][0] == "new"
    assert "same" not in rows
    assert "Nothing: it can do no more" in page.locator(".more").inner_text()


def test_lines_of_wit_that_differ(compared: Callable[..., Any]) -> None:
    page = compared(OLD, NEW)
    added = page.locator(".line.added code").all_inner_texts()
    assert "  import wasi:sockets/tcp@0.2.3;" in added
    assert any("random" in line for line in page.locator(".line.removed code").all_inner_texts())


def test_the_same_twice(compared: Callable[..., Any], axe: Callable[..., None]) -> None:
    page = compared(OLD, OLD)
    assert "the same bytes" in page.locator(".head").inner_text()
    axe(page)


def test_no_name_is_markup(compared: Callable[..., Any]) -> None:
    page = compared(OLD, hostile())
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    text = page.locator(".view-diff").inner_text()
    assert EVIL.split("\u202e")[0] in text and "\\u{202e}" in text
    assert page.locator("img").count() == 0
