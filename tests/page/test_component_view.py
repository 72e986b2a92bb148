"""The view of a component in a browser: contents, capabilities, WIT, what made it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wasmtime

from fixtures.build import build
from tests.gate.making import component
from tests.page.browser import DARK, PHONE
from whamm_cm.cli.main import main
from whamm_cm.front.app import Guest
from whamm_cm.render.page.component import component_model, component_page

COMMAND = Path("fixtures/c_command/command.wasm").read_bytes()
EVIL = "<img src=x onerror=alert(1)>\u202e</script><script>alert(2)</script>"
READ = "[data-read=true]"
POLL = "wasi:io/poll@0.2.3"
TABS = ("contents", "ways", "edges", "wit", "made")


@pytest.fixture
def shown(open_page: Callable[..., Any]) -> Callable[..., Any]:
    """The page of a component, when its functions are there."""

    def opened(data: bytes, fragment: str = "", **context: Any) -> Any:
        page = open_page(component_page(data, "app.wasm"), fragment, **context)
        page.wait_for_selector(READ)
        return page

    return opened


def titles(page: Any) -> list[str]:
    return page.locator(".rows .title").evaluate_all("all => all.map(e => e.firstChild.data)")


def state(page: Any, key: str) -> str | None:
    return page.evaluate(f"new URLSearchParams(location.hash.slice(1)).get('component.{key}')")


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_is_accessible(
    tab: str, shown: Callable[..., Any], axe: Callable[..., None], screenshot: Callable[..., Path]
) -> None:
    for name, context in (("light", {}), ("dark", DARK), ("phone", PHONE)):
        page = shown(COMMAND, f"component.tab={tab}", **context)
        axe(page)
        screenshot(page, f"component-{tab}-{name}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_tree_opens_by_keys_and_says_sizes(shown: Callable[..., Any]) -> None:
    page = shown(COMMAND)
    assert titles(page)[0] == "app.wasm"
    assert "main" in titles(page)
    row = page.get_by_role("treeitem").filter(has_text="main").first
    assert "11.7 KiB" in row.inner_text()
    row.focus()
    page.keyboard.press("ArrowRight")
    assert "code" in titles(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert state(page, "at") == "module[1]/code"
    page.keyboard.press("ArrowRight")
    assert "run" in titles(page)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert "code" not in titles(page)


def test_a_link_leads_to_a_function(shown: Callable[..., Any]) -> None:
    frames = component_model(COMMAND, "app.wasm")["frames"]
    module, index = next((frame[4], frame[5]) for frame in frames if frame[0] == "core")
    page = shown(COMMAND, f"component.at={module}/code/f{index}")
    chosen = page.locator(".row[aria-selected=true]")
    assert chosen.count() == 1
    details = page.locator(".about").inner_text()
    assert f"function {index} of {module}" in details
    assert "On a shortest way to" in details


def test_search_finds_and_counts(shown: Callable[..., Any]) -> None:
    page = shown(COMMAND)
    field = page.get_by_label("Find in the component")
    field.fill("wit-component")
    field.fill("/^(run|shim)$/")
    page.get_by_text("2 found, ").wait_for()
    assert sorted(titles(page)) == ["run", "shim"]
    assert page.locator(".status").inner_text().startswith("2 found, ")
    field.fill("/(/")
    page.get_by_text("0 found, ").wait_for()
    field.fill("")
    page.locator(".rows .row").nth(3).wait_for()


def test_the_treemap_chooses_goes_in_and_out(shown: Callable[..., Any]) -> None:
    page = shown(COMMAND)
    box = page.locator("canvas").bounding_box()
    assert box
    x, y = box["width"] / 2, box["height"] / 2
    page.locator("canvas").hover(position={"x": x, "y": y})
    assert "app.wasm" in page.locator(".hovered").inner_text()
    page.locator("canvas").click(position={"x": x, "y": y})
    first = state(page, "at")
    assert first
    page.locator("canvas").click(position={"x": x, "y": y})
    zoomed = state(page, "zoom")
    assert zoomed and first.startswith(zoomed)
    page.keyboard.press("Backspace")
    assert state(page, "zoom") != zoomed
    page.go_back()
    assert state(page, "zoom") == zoomed
    before = page.locator("canvas").get_attribute("aria-label")
    page.locator("canvas").focus()
    page.keyboard.press("ArrowUp")
    assert page.locator("canvas").get_attribute("aria-label") != before


def test_a_finger_on_the_treemap(shown: Callable[..., Any]) -> None:
    page = shown(COMMAND, **PHONE)
    page.locator("canvas").tap()
    assert state(page, "at")


def test_ways_lead_to_functions(shown: Callable[..., Any]) -> None:
    page = shown(COMMAND, "component.tab=ways&component.find=get-random-u64")
    page.get_by_text("can be reached: by which way?").click()
    page.locator(".way li").first.wait_for()
    steps = page.locator(".way li").all_inner_texts()
    assert steps[0].split() == ["exported", "wasi:cli/run@0.2.0#run"]
    assert steps[-1].split() == ["import", "wasi:random/random@0.2.0#get-random-u64"]
    page.locator(".way a").first.click()
    page.wait_for_selector(".about")
    assert state(page, "tab") == "contents"
    assert "function " in page.locator(".about").inner_text()


def test_only_what_can_be_reached(shown: Callable[..., Any]) -> None:
    data = component({POLL: ("poll",), "wasi:sockets/tcp@0.2.3": ("bind",)}, calls="poll")
    page = shown(data, "component.tab=ways")
    assert page.locator(".import").count() == 2
    assert "none of 1 can be reached" in page.locator(".ways").inner_text()
    page.get_by_label("only what can be reached").check()
    assert page.locator(".import").count() == 1
    assert state(page, "reachable") == "1"


def test_the_wit_is_whole(shown: Callable[..., Any]) -> None:
    page = shown(COMMAND, "component.tab=wit")
    text = "\n".join(page.locator(".code .line code").all_text_contents())
    assert text + "\n" == Guest(COMMAND, "app.wasm").wit()
    page.get_by_label("WIT of").select_option("1")
    assert page.locator(".code .line").count() < 20


def test_who_gives_what_to_whom(shown: Callable[..., Any]) -> None:
    page = shown(build("nested"), "component.tab=edges")
    rows = [row.split("\t") for row in page.locator(".made tbody tr").all_inner_texts()]
    assert [row[0] for row in rows] == ["component[1] “plus”"] * 2
    assert {row[2] for row in rows} == {
        "component[1] “plus”",
        "component[2].component[0].component[0] “three”",
    }
    assert all(row[3] == "f" and row[4] == "1" for row in rows)


def test_a_core_module(shown: Callable[..., Any], axe: Callable[..., None]) -> None:
    page = shown(build("squares"))
    axe(page)
    assert "core module" in page.locator(".head").inner_text()
    assert "app.wasm" in titles(page)[0]
    page.get_by_role("button", name="Capabilities").click()
    assert "It imports nothing" in page.locator(".ways").inner_text()


def test_many_functions_are_shown_by_and_by(shown: Callable[..., Any]) -> None:
    functions = "".join(f"(func $f{index})" for index in range(3000))
    page = shown(wasmtime.wat2wasm(f"(module {functions})"), "component.at=module%5B0%5D%2Fcode")
    page.locator(".row[aria-selected=true] .twist").click()
    assert page.locator(".rows .row").count() < 200
    page.get_by_role("button", name="more …").click()
    assert page.locator(".rows .row").count() > 400
    page.evaluate("location.hash = 'component.at=module%5B0%5D%2Fcode%2Ff2999'")
    page.locator(".about h3").get_by_text("f2999").wait_for()
    assert page.locator(".row[aria-selected=true]").count() == 1


def test_many_components_are_shown_by_and_by(shown: Callable[..., Any]) -> None:
    inner = "".join(
        f"""(component $c{index} (import "f{index}" (func $f)) (export "g" (func $f)))
        (instance $i{index} (instantiate $c{index} (with "f{index}" (func $h))))"""
        for index in range(300)
    )
    page = shown(wasmtime.wat2wasm(f'(component (import "h" (func $h)) {inner})'))
    page.get_by_role("button", name="Capabilities").click()
    assert page.locator(".ways .card").count() == 40
    page.get_by_role("button", name="more components").click()
    assert page.locator(".ways .card").count() == 160
    page.get_by_label("Find in the component").fill("f299")
    page.get_by_text("f299", exact=True).first.wait_for()
    page.get_by_role("button", name="Made of").click()
    assert page.locator(".made tr").count() < 210
    page.locator(".made button").first.click()
    assert page.locator(".made tr").count() > 300


def hostile() -> bytes:
    """Every name that a component may choose freely is markup."""
    quoted = EVIL.replace("\u202e", r"\u{202e}")
    data = wasmtime.wat2wasm(f"""(component
      (import "{POLL}" (instance $poll (export "poll" (func))))
      (core func $poll (canon lower (func $poll "poll")))
      (core module $m (@name "{quoted}") (import "" "{quoted}" (func))
        (func (@name "{quoted}") (export "{quoted}") (call 0)) (@custom "{quoted}" "x"))
      (core instance $i (instantiate $m (with ""
        (instance (export "{quoted}" (func $poll))))))
      (func $run (canon lift (core func $i "{quoted}")))
      (export "run" (func $run)))""")
    language, tool, version = (
        bytes((len(text),)) + text for text in (b"language", EVIL.encode(), b"<b>1</b>")
    )
    section = b"\x09producers\x01" + language + b"\x01" + tool + version
    return data + bytes((0, len(section))) + section


def test_no_name_is_markup(shown: Callable[..., Any], axe: Callable[..., None]) -> None:
    page = shown(hostile(), "component.find=img&component.at=module%5B0%5D%2Fcode%2Ff1")
    assert "\\u{202e}" in page.locator(".rows").inner_text()
    for tab in set(TABS) - {"edges"}:  # it has no component inside
        page.locator(f"[data-tab={tab}]").click()
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        page.wait_for_timeout(0)
        assert page.locator("img, script[src]").count() == 0
    page.locator("[data-tab=made]").click()
    assert "\\u{202e}" in page.locator(".made").inner_text()
    axe(page)


def test_the_page_of_a_run_says_how_often(open_page: Callable[..., Any], tmp_path: Path) -> None:
    log, html = tmp_path / "run.jsonl", tmp_path / "run.html"
    app = "fixtures/c_command/command.wasm"
    assert main(["-q", "trace", "-o", str(log), app]) == 0
    assert main(["-q", "report", "-f", "html", "--lines", app, "-o", str(html), str(log)]) == 0
    page = open_page(html, "view=component&component.tab=ways&component.find=random")
    page.wait_for_selector("[data-ready=true]")
    seen = sum('"phase":"call"' in line and "get-random-u64" in line for line in log.open())
    assert seen > 0
    row = page.locator(".functions > li").filter(has_text="get-random-u64")
    assert f"{seen} calls" in row.inner_text()
    page.get_by_label("Find in the component").fill("get-random-bytes")
    assert "1 call" in row.or_(page.locator(".functions > li")).first.inner_text()
    page.get_by_label("Find in the component").fill("tcp-socket.shutdown")
    page.locator(".ways").get_by_text("tcp-socket.shutdown").wait_for()
    assert "not seen in the run" in page.locator(".ways").inner_text()
    page.get_by_label("Find in the component").fill("get-random-u64")
    row.get_by_role("link", name="calls").click()
    page.wait_for_selector(".view-table")
    assert state(page, "tab") == "ways"
    assert page.evaluate("new URLSearchParams(location.hash.slice(1)).get('q')") == (
        "wasi:random/random#get-random-u64"
    )
