"""The topology: its figures are those of Python, whatever the filter; it is for hands and keys."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.build import path_of
from tests.page.browser import DARK, PHONE
from tests.render.make_logs import SCENARIOS
from tests.render.test_pictures import hostile, wide
from whamm_cm.render.html import render
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.page.component import component_page
from whamm_cm.render.page.run import Sites
from whamm_cm.render.page.topology import topology_model
from whamm_cm.trace.reader import open_log
from whamm_cm.trace.session import Session

ORDERS = Path(__file__).parents[2] / "docs" / "examples" / "orders.jsonl"
Open = Callable[..., Any]


@pytest.fixture
def orders(open_page: Open) -> Callable[..., Any]:
    with open_log(ORDERS) as reader:
        records = [*reader]

    def opened(fragment: str = "", **context: Any) -> Any:
        return ready(
            open_page(render(records, RenderOptions()), f"view=topology{fragment}", **context)
        )

    return opened


def ready(page: Any) -> Any:
    page.wait_for_selector("html[data-ready]")
    page.wait_for_selector(".view-topology .world, .view-topology .node")
    return page


def node(page: Any, name: str) -> Any:
    return page.locator(f'.node[aria-label*=" {name}"]').first


def figures(label: str) -> str:
    """Without times, which each side writes in its own way."""
    return re.sub(r" ?[\d.]+(ns|µs|ms|s)( itself)?$", "", label)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_page_adds_up_as_python_does(open_page: Open, name: str) -> None:
    records = [*SCENARIOS[name]()]
    session = Session.build(records)
    sites = Sites()
    for call in session.calls:
        sites.number(call.site)
    for site in session.counts:
        sites.number(site)
    model = topology_model(session, sites, None)
    assert model is not None
    page = ready(open_page(render(records, RenderOptions()), "view=topology"))
    labels = page.locator(".node").evaluate_all(
        "all => all.map((e) => e.getAttribute('aria-label'))"
    )
    found = sorted(figures(label.rpartition(": ")[2]) for label in labels)
    assert found == sorted(figures(re.sub(r" \d+B[↑↓]", "", n["caption"])) for n in model["nodes"])


def test_boxes_and_edges_are_chosen(orders: Open) -> None:
    page = orders()
    panel = page.locator(".panel")
    node(page, "orders:").click()
    assert "Component · 1 instance" in panel.inner_text()
    assert "bucket.set" not in panel.inner_text(), "functions are those that it was called by"
    assert "place" in panel.inner_text()
    page.locator(".stage").click(position={"x": 5, "y": 5})
    assert "topology.at" not in page.url
    page.locator("tbody a", has_text="wasi:keyvalue/store").first.click()
    assert "bucket.get" in panel.inner_text()
    page.get_by_role("button", name="Filter by it").click()
    assert "q=wasi%3Akeyvalue%2Fstore" in page.url


def test_edges_are_as_thick_as_they_have(orders: Open) -> None:
    page = orders()
    before = page.locator(".way").evaluate_all("all => all.map((e) => e.style.strokeWidth)")
    page.get_by_role("button", name="Time").click()
    assert "topology.by=time" in page.url
    after = page.locator(".way").evaluate_all("all => all.map((e) => e.style.strokeWidth)")
    assert before != after and len({*after}) > 3


def test_figures_are_of_what_the_filter_chooses(orders: Open) -> None:
    page = orders()
    assert "24 calls" in node(page, "wasi:keyvalue/store").get_attribute("aria-label")
    page = orders("&q=*%23bucket.drop")
    assert (
        node(page, "wasi:keyvalue/store").get_attribute("aria-label").endswith(": 5 calls 3.83µs")
    )
    assert node(page, "warehouse.internal").get_attribute("aria-label").endswith(": 0 calls")
    assert page.locator(".edge:not(.unused)").count() == 1
    assert "the filter chooses" in page.locator(".panel").inner_text()


def test_keys_go_from_box_to_box(orders: Open) -> None:
    page = orders()
    node(page, "callers").focus()
    page.keyboard.press("ArrowRight")
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert "gateway" in label or "incoming-handler" in label
    page.keyboard.press("Enter")
    assert "topology.at=n" in page.url
    page.keyboard.press("Escape")
    assert "topology.at" not in page.url
    before = page.locator(".stage > g").get_attribute("transform")
    page.keyboard.press("+")
    assert page.locator(".stage > g").get_attribute("transform") != before


def test_the_plane_is_moved(orders: Open) -> None:
    page = orders()
    world = page.locator(".stage > g")
    before = world.get_attribute("transform")
    box = page.locator(".stage").bounding_box()
    page.mouse.move(box["x"] + 30, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 50, steps=4)
    page.mouse.up()
    moved = world.get_attribute("transform")
    assert moved != before and "topology.at" not in page.url
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    page.wait_for_function(
        f"document.querySelector('.stage > g').getAttribute('transform') !== '{moved}'"
    )
    page.get_by_role("button", name="All of it").click()


@pytest.mark.parametrize("fragment", ["", "&topology.at=n3&topology.by=errors", "&topology.at=e1"])
@pytest.mark.parametrize("context", [{}, DARK, PHONE], ids=["light", "dark", "phone"])
def test_everybody_can_use_it(
    orders: Open, axe: Callable[..., None], screenshot: Open, fragment: str, context: dict[str, Any]
) -> None:
    page = orders(fragment, **context)
    axe(page)
    kind = "phone" if "viewport" in context else context.get("color_scheme", "light")
    screenshot(page, f"topology-{kind}-{len(fragment)}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("at", ["n99", "e99", "x", "n-1", "%00"])
def test_links_that_lead_nowhere(orders: Open, at: str) -> None:
    page = orders(f"&topology.at={at}&topology.by=nothing")
    assert "Who talks to whom" in page.locator(".panel").inner_text()


def test_names_of_guests_are_text(open_page: Open) -> None:
    page = ready(open_page(render(hostile(), RenderOptions()), "view=topology"))
    nodes = page.locator(".node")
    for at in range(0, nodes.count(), 7):
        nodes.nth(at).dispatch_event("click")
    assert page.locator(".view-topology script").count() == 0
    assert "<script>" in page.locator(".view-topology").inner_text()


def test_many_components(open_page: Open) -> None:
    page = ready(open_page(render(wide(100), RenderOptions()), "view=topology"))
    assert "more components" in page.locator(".view-topology").inner_text()


def test_a_component_alone(open_page: Open, axe: Callable[..., None]) -> None:
    page = ready(
        open_page(component_page(path_of("pipe").read_bytes(), "pipe.wasm"), "view=topology")
    )
    assert page.get_by_role("button", name="Time").count() == 0
    node(page, "main").click()
    assert "Core modules" in page.locator(".panel").inner_text()
    page.locator("tbody a", has_text="functions of the world").first.click()
    assert "function" in page.locator(".panel summary").inner_text()
    axe(page)


def test_what_a_component_has_is_there_without_calls(open_page: Open) -> None:
    data = path_of("pipe").read_bytes()
    options = RenderOptions(app=("pipe.wasm", data))
    records = [{"v": 2, "run": "0" * 16, "seq": 0, "t_ns": 0, "phase": "start"}]
    page = ready(open_page(render(records, options), "view=topology"))
    node(page, "main").click()
    assert "Core modules" in page.locator(".panel").inner_text()
