"""The view of the source, as somebody uses it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.page.browser import DARK, PHONE
from tests.render.test_coverage import BARE, INLINED, compiled
from whamm_cm.cli.main import main
from whamm_cm.render.page.bundle import page as page_of

Open = Callable[..., Any]
EVIL = "<img src=x onerror=alert(1)>\u202e</script>"
TEXT = [
    "int twice(int x) {",
    "\treturn x + x; // \u202eevil",
    "}",
    "",
    "int never(void) {",
    "  /* no",
    "one */",
    "}",
]


def model(*files: dict[str, Any], metrics: Any = None, **more: Any) -> str:
    metrics = metrics or [{"name": "hotness:count", "what": "executed"}]
    sources = {"metrics": metrics, "files": files, "places": [], "others": 0, "notes": [], **more}
    run = {"calls": 0, "sites": [], "prints": []}
    text = {"v": 1, "kind": "run", "title": "t", "by": "b", "run": run, "sources": sources}
    return "".join(page_of(text))


def file(path: str, counts: dict[int, Any], **more: Any) -> dict[str, Any]:
    values = [[*counts.values()]]
    empty: dict[str, Any] = {"functions": [], "copies": []}
    return {"path": path, "lines": [*counts], "values": values, **empty, **more}


def small(**more: Any) -> list[dict[str, Any]]:
    return [
        file("/app/src/twice.c", {1: 10, 2: 9_007_199_254_740_993, 5: 0, 8: "?"}, text=TEXT,
             functions=[[1, "twice", 10], [5, "never", 0]], **more),
        file("/app/src/lib/list.c", {3: 5, 400: 7}, functions=[[3, "list_add", 5]]),
    ]  # fmt: skip


def row(page: Any, line: int) -> Any:
    return page.locator(f".source-row[data-line='{line}']")


def test_lines_have_their_counts_and_what_was_never_executed_is_marked(open_page: Open) -> None:
    files = small()
    files[0]["values"][0][1] = str(files[0]["values"][0][1])
    page = open_page(model(*files), "view=source")
    assert page.locator(".source-row").count() == len(TEXT)
    counts = page.locator(".source-count").all_inner_texts()
    assert counts == ["10", "9.01P", "", "", "0", "", "", "?"]
    assert row(page, 2).get_by_title("9,007,199,254,740,993").count() == 1
    assert "source-missed" in row(page, 5).get_attribute("class")
    assert "source-unknown" in row(page, 8).get_attribute("class")
    assert row(page, 2).locator(".source-text").inner_text() == "    return x + x; // \\u{202e}evil"
    assert row(page, 7).locator(".source-is-comment").inner_text() == "one */"
    assert "2 of 4 lines executed" in page.locator(".source-head").inner_text()


def test_files_are_a_tree_and_links_open_them(open_page: Open) -> None:
    page = open_page(model(*small(), others=3, notes=["so it is"]), "view=source&theme=dark")
    side = page.locator(".source-side")
    assert "/app/src" in side.inner_text() and "3 other files" in side.inner_text()
    assert "so it is" in side.inner_text()
    side.get_by_role("link", name="list.c", exact=False).first.click()
    assert page.locator(".source-path").inner_text() == "/app/src/lib/list.c"
    assert page.locator(".source-number").all_inner_texts() == ["3", "400"]
    assert row(page, 3).locator(".source-text").inner_text() == "list_add"
    assert "its text is not at hand" in page.locator(".source-head").inner_text()
    assert "theme=dark" in page.evaluate("location.hash")
    page.go_back()
    assert page.locator(".source-path").inner_text() == "/app/src/twice.c"
    page.get_by_role("searchbox", name="Find a file").fill("LIST")
    assert page.locator(".source-file").count() == 1


def test_folders_without_texts_are_closed_where_there_are_many(open_page: Open) -> None:
    files = [file(f"/lib/part{i}/deep/a.c", {1: i}) for i in range(30)]
    page = open_page(model(*small(), *files), "view=source")
    assert page.locator(".source-file:visible").count() == 1
    page.locator("summary[title='lib']").last.click()
    page.locator("summary[title='part29/deep']").click()
    page.locator(".source-file:visible").filter(has_text="a.c").click()
    assert page.locator(".source-path").inner_text() == "/lib/part29/deep/a.c"
    assert page.locator(".source-file[aria-current]").is_visible()
    page.get_by_role("searchbox", name="Find a file").fill("part7")
    assert page.locator(".source-file:visible").count() == 1


def test_functions_and_keys_go_to_lines(open_page: Open) -> None:
    page = open_page(model(*small()), "view=source")
    page.get_by_role("combobox", name="Go to a function").select_option("never · not called")
    assert row(page, 5).get_attribute("aria-current") == "true"
    page.locator(".source-code").focus()
    page.keyboard.press("n")
    assert row(page, 2).get_attribute("aria-current") == "true"
    assert "source.line=2" in page.evaluate("location.hash")
    page.get_by_role("searchbox", name="Find in the text").fill("NO")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert row(page, 6).get_attribute("aria-current") == "true"
    page.locator(".source-hottest a").last.click()
    assert row(page, 3).get_attribute("aria-current") == "true"


def test_long_files_are_made_where_one_looks(open_page: Open) -> None:
    text = [f"line {i};" for i in range(1, 30_001)]
    text[4] = "/* a comment"
    text[28_994] = "that ends here */ int"
    long = file("/app/long.c", {29_000: 4, 10: 1}, text=text)
    page = open_page(model(long), "view=source&source.line=29000")
    assert row(page, 29_000).get_attribute("aria-current") == "true"
    assert row(page, 29_000).bounding_box()["y"] < 800
    assert page.locator(".source-row").count() < 600
    assert row(page, 28_990).locator(".source-is-comment").count() == 1
    assert row(page, 28_996).locator(".source-is-comment").count() == 0
    box = page.locator(".source-map").bounding_box()
    page.mouse.click(box["x"] + 20, box["y"] + 1)
    assert page.evaluate("document.querySelector('.source-code').scrollTop") < 5000


def test_metrics_are_chosen(open_page: Open) -> None:
    files = small()
    files[0]["values"].append([None, 90, None, None])
    files[1]["values"].append([1, 1])
    metrics = [{"name": "c", "what": "covered"}, {"name": "d", "what": "sum"}]
    page = open_page(model(*files, metrics=metrics), "view=source")
    assert page.locator(".source-count").all_inner_texts() == ["✓", "✓", "", "", "✗", "", "", "?"]
    page.get_by_role("combobox", name="What is counted").select_option(label="d: sum of its places")
    assert page.locator(".source-count").all_inner_texts() == ["", "90", "", "", "", "", "", ""]
    assert "90 in 1 lines" in page.locator(".source-head").inner_text()


@pytest.fixture(scope="module")
def inlined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inlined")
    (folder / "inlined.cpp").write_text(INLINED)
    return compiled(folder, folder / "inlined.cpp", *BARE, "-g", "-O2")


def test_a_run_with_debug_information_is_shown_on_its_source(
    open_page: Open, inlined: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the bytes of a program to what stands beside its lines, without any option."""
    monkeypatch.chdir(inlined.parent)
    out = inlined.with_suffix(".html")
    assert main(["trace", "-m", "hotness", "-o", str(out), str(inlined)]) == 0
    page = open_page(out, "view=source&source.line=6")
    line = row(page, 6)
    assert line.locator(".source-count").inner_text() == "14"
    line.get_by_role("button").click()
    places = page.locator(".source-places li").all_inner_texts()
    assert places == [
        "10 int shop::clamp<int, long>(int, long) at inlined.cpp:11 in both(int)",
        "4 int shop::clamp<int, int>(int, int) at inlined.cpp:11 in both(int)",
    ]
    page.locator(".source-places a").first.click()
    assert row(page, 11).get_attribute("aria-current") == "true"
    page = open_page(out, "view=reports")
    page.locator(".reports-table a").first.click()
    assert "view=source" in page.evaluate("location.hash")


@pytest.mark.parametrize("how", [{}, DARK, PHONE], ids=["light", "dark", "phone"])
def test_it_is_accessible_and_fits(
    open_page: Open, axe: Callable[..., None], screenshot: Callable[..., Path], how: Any
) -> None:
    place = {"frames": [["clamp", "/app/src/twice.c", 11]], "in": "both"}
    page = open_page(model(*small(copies=[[2, 0, 5]]), places=[place]), "view=source", **how)
    row(page, 2).get_by_role("button").click()
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    name = "dark" if how is DARK else "phone" if how is PHONE else "light"
    screenshot(page, f"source-{name}")


def test_what_a_guest_can_name_is_only_text(open_page: Open) -> None:
    evil = file(f"/{EVIL}/{EVIL}", {1: 3, 2: 1}, text=[EVIL, "x" * 5000], functions=[[1, EVIL, 3]],
                copies=[[1, 0, 3]])  # fmt: skip
    place = {"frames": [[EVIL, EVIL, 3], [EVIL, evil["path"], 1]], "in": EVIL}
    metrics = [{"name": EVIL, "what": "executed"}]
    page = open_page(
        model(evil, *small(), metrics=metrics, places=[place], notes=[EVIL]), "view=source"
    )
    row(page, 1).get_by_role("button").click()
    row(page, 2).get_by_role("button", name="characters more").click()
    assert len(row(page, 2).locator(".source-text").inner_text()) == 5000
    assert page.locator("img").count() == 0
    text = page.locator("main").inner_text()
    assert "\u202e" not in text and text.count("\\u{202e}") >= 8


@pytest.mark.parametrize(
    "fragment", ["source.file=no", "source.line=x", "source.metric=9", "source.line=1e9"]
)
def test_links_may_say_anything(open_page: Open, fragment: str) -> None:
    page = open_page(model(*small()), f"view=source&{fragment}")
    assert page.locator(".source-row").count() == len(TEXT)


def test_the_model_is_json(inlined: Path) -> None:
    out = inlined.with_suffix(".html")
    assert main(["trace", "-m", "coverage", "-o", str(out), str(inlined)]) == 0
    text = out.read_text().partition('id="model">')[2].partition("</script>")[0]
    assert json.loads(text)["sources"]["metrics"][0]["what"] == "covered"
