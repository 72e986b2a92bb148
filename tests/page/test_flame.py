"""The flame graph of a page: what it adds up is what Python does, and it can be used."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

from tests.page.browser import DARK, PHONE
from tests.render.make_logs import SCENARIOS
from tests.render.test_calltree import TREE
from tests.render.test_calltree import log as reported
from tests.render.test_hostile import NASTY
from whamm_cm.render import frames, html
from whamm_cm.render.calltree import SEVERAL, call_trees, traced_tree
from whamm_cm.render.lanes import WAITING
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.page import trees
from whamm_cm.render.page.bundle import _EXPORT, _IMPORT, _text
from whamm_cm.render.page.run import CHUNK, Sites, chunk, first_of, run_model
from whamm_cm.trace.session import Session
from whamm_cm.trace.timeline import base_of, times

Page = Any
Open = Callable[..., Page]
_STACKS = """
(tree) => {
  const found = {};
  for (let id = 1; id < tree.size; id += 1) {
    if (!tree.own[id]) continue;
    const names = tree.path(id).map((each) => tree.title(each)).join(';');
    found[names] = (found[names] ?? 0) + tree.own[id];
  }
  return found;
}"""
SEVERAL_NODES = [[1, [0, "run", 4, 10, False]], [2, [1, "a;b::c([u8; 4])", 4, 5, True]]]


def opened(open_page: Open, records: Any, fragment: str = "view=flame", **context: Any) -> Page:
    page = open_page(html.render(list(records), RenderOptions()), fragment, **context)
    page.wait_for_selector("html[data-ready]")
    return page


def inlined_log() -> list[dict[str, Any]]:
    return [{**reported([]), "type": SEVERAL, "value": SEVERAL_NODES}]


@pytest.fixture(scope="module")
def modules(browser: Any) -> Iterator[Page]:
    """A tab in which the functions of ``model.js`` and ``flame_tree.js`` are."""
    page = browser.new_context().new_page()
    text = "\n".join(_text(name) for name in ("model.js", "views/flame_tree.js"))
    exported = ", ".join(re.findall(r"^export (?:function|class|const) (\w+)", text, re.M))
    script = _EXPORT.sub("", _IMPORT.sub("", text))
    page.evaluate(f"() => {{ {script}\nglobalThis.js = {{{exported}}}; }}")
    yield page
    page.context.close()


def stacks_in_page(page: Page, session: Session, by: str) -> dict[str, int]:
    sites, base = Sites(), first_of(session)
    run = run_model(session, sites)
    waits = base_of(session) + base if session.timed else 0
    rows = list(islice(times(session), CHUNK))
    said = chunk(rows, 0, sites, base, waits)
    found: dict[str, int] = page.evaluate(
        f"""([run, chunk, by]) => {{
          const calls = new js.Calls(run);
          calls.append(chunk);
          return ({_STACKS})(js.flameOfCalls(calls, by, null));
        }}""",
        [run, {**said, "values": []}, by],
    )
    return found


def test_names_are_shortened_as_in_python(modules: Page) -> None:
    names = [
        "wasi:cli/stdout#get-stdout", "export run", "#12", "main", "alloc::vec::Vec<a::B<c>>::push",
        "<a::Once>::call::<<b::C>::d<<e::F>::{closure#0}>::{closure#0}>",
        "<a::Guard as c::Drop<T>>::drop", "a::b::run::{closure#0}", "std::f(int, a::b)", "",
    ]  # fmt: skip
    # Anybody may call a function so that it would take hours.
    endless = "a::" + 3000 * "<" + 3000 * ">"
    assert frames.brief(endless) == endless
    names.append(endless)
    wanted = [frames.bare(name) if "::" not in name else frames.brief(name) for name in names]
    assert modules.evaluate("(names) => names.map(js.flameBrief)", names) == wanted


@pytest.mark.parametrize("name", SCENARIOS)
def test_calls_are_added_up_as_in_python(modules: Page, name: str) -> None:
    session = Session.build(SCENARIOS[name]())
    wanted = {
        ";".join(stack): weight
        for stack, weight in traced_tree(session).stacks
        if stack[-1] != WAITING
    }
    assert stacks_in_page(modules, session, "time" if session.timed else "calls") == wanted
    assert sum(stacks_in_page(modules, session, "calls").values()) == len(session.calls)
    failed = sum(call.failed for call in session.calls)
    assert sum(stacks_in_page(modules, session, "errors").values()) == failed


@pytest.mark.parametrize("nodes", [TREE, [(n, (n - 1, f"f{n % 7}", n, n)) for n in range(1, 400)]])
def test_reported_trees_are_as_in_python(modules: Page, nodes: Any) -> None:
    session = Session.build([reported(nodes)])
    (tree,) = call_trees(session)
    (model,) = trees.trees_model(session)
    found = modules.evaluate(f"(m) => ({_STACKS})(js.flameOfReport(m, true))", model)
    assert found == {";".join(stack): weight for stack, weight in tree.stacks}
    rows = modules.evaluate(
        "(m) => { const t = js.flameOfReport(m, true);"
        " return t.functions().map((r) => [t.names[r.name], r.own, r.total]); }",
        model,
    )
    assert {tuple(row) for row in rows} == set(frames.functions(tree.root))


def test_a_function_has_all_its_callers_and_callees(modules: Page) -> None:
    """What calls itself counts once, and every way to it and from it is there."""
    nodes = [
        (1, (0, "run", 1, 1)), (2, (1, "fib", 2, 10)), (3, (2, "fib", 2, 5)), (4, (3, "add", 3, 2)),
        (5, (0, "idle", 4, 7)), (6, (5, "fib", 2, 4)), (7, (6, "add", 3, 1)),
    ]  # fmt: skip
    (model,) = trees.trees_model(Session.build([reported(nodes)]))
    found = modules.evaluate(
        f"""(m) => {{
          const tree = js.flameOfReport(m, true);
          const {{callers, callees}} = js.flameAround(tree, tree.names.indexOf('fib'));
          return [callers, callees].map({_STACKS});
        }}""",
        model,
    )
    assert found[0] == {"fib;run": 17, "fib;idle": 5}
    assert found[1] == {"fib": 14, "fib;fib": 5, "fib;fib;add": 2, "fib;add": 1}


def test_the_lightest_frames_of_a_huge_tree_are_put_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trees, "MOST", 3)
    nodes = [(1, (0, "run", 1, 1)), *((n, (1, f"f{n}", n, n)) for n in range(2, 12))]
    (model,) = trees.trees_model(Session.build([reported(nodes)]))
    assert sorted(model["names"]) == ["(others)", "f10", "f11", "run"]
    assert sum(model["own"]) == sum(weight for _, (*_, weight) in nodes)


def test_search_zoom_and_links(open_page: Open) -> None:
    page = opened(open_page, [reported(TREE)])
    search = page.get_by_label("Search functions")
    search.fill("FOO")
    page.get_by_text("1 frame, 57.1%").wait_for()
    search.fill("/^(run|a;b)$/")
    page.get_by_text("2 frames, 100%").wait_for()
    search.fill("/(/")
    page.get_by_text("no regular expression").wait_for()
    search.fill("foo")
    search.press("Enter")
    chosen = page.get_by_role("region", name="The chosen frame")
    assert "total 20, 57.1% of all" in chosen.inner_text()
    chosen.get_by_role("button", name="Zoom").click()
    page.wait_for_url("**#*flame.at=0-571429*")
    again = opened(open_page, [reported(TREE)], page.evaluate("location.hash.slice(1)"))
    assert again.get_by_label("Search functions").input_value() == "foo"
    again.get_by_role("button", name="All").click()
    again.wait_for_url(lambda url: "flame.at" not in url)


def test_keys_say_what_is_focused(open_page: Open) -> None:
    page = opened(open_page, [reported(TREE)])
    page.get_by_role("application", name="Flame graph").focus()
    live = page.locator(".view-flame .rects-live").first
    for key, said in (
        ("ArrowRight", "all: 35, 100%; level 0"), ("ArrowDown", "run: 35, 100%; level 1"),
        ("ArrowDown", "foo::bar(): 20, 57.1%; level 2"), ("ArrowRight", "#6: 5, 14.3%; level 2"),
    ):  # fmt: skip
        page.keyboard.press(key)
        live.filter(has_text=said).wait_for(state="attached")
    page.keyboard.press("c")
    assert page.locator(".view-flame h2").inner_text() == "#6"


def test_the_table_of_functions(open_page: Open, axe: Any, screenshot: Any) -> None:
    page = opened(open_page, SCENARIOS["http"](), "view=flame&flame.mode=sandwich&flame.by=time")
    rows = page.locator(".view-flame tbody tr")
    tree = traced_tree(Session.build(SCENARIOS["http"]()))
    wanted = [name for name, own, _ in frames.functions(tree.root) if own]
    assert rows.locator(".name").all_inner_texts()[0] == wanted[0]
    assert sorted(rows.locator(".name").all_inner_texts()) == sorted(wanted)
    page.get_by_role("button", name="wasi:keyvalue/store#bucket.get").click()
    assert page.locator(".view-flame h2").inner_text() == "wasi:keyvalue/store#bucket.get"
    axe(page, ".view-flame")
    screenshot(page, "flame-functions")
    page.get_by_role("button", name="Calls", exact=True).click()
    assert page.locator("th[aria-sort]").inner_text() == "Calls"
    page.go_back()
    page.wait_for_url(lambda url: "flame.fn" not in url)


@pytest.mark.parametrize("look", [{}, DARK, PHONE], ids=["light", "dark", "phone"])
def test_it_is_accessible_and_fits(
    open_page: Open, axe: Any, screenshot: Any, look: Any, request: pytest.FixtureRequest
) -> None:
    page = opened(open_page, SCENARIOS["http"](), **look)
    page.get_by_role("application", name="Flame graph").click(position={"x": 60, "y": 30})
    assert "handle" in page.get_by_role("region", name="The chosen frame").inner_text()
    axe(page)
    screenshot(page, f"flame-{request.node.callspec.id}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_inlined_frames_can_be_left_to_their_functions(open_page: Open) -> None:
    page = opened(open_page, inlined_log())
    about = page.locator("#flame-facts")
    assert "15 in 3 frames" in about.inner_text()
    page.get_by_role("button", name="Inlined").click()
    about.filter(has_text="15 in 1 frame").wait_for()


def test_the_filter_chooses_and_frames_lead_to_the_table(open_page: Open) -> None:
    records = list(SCENARIOS["http"]())
    page = opened(open_page, records, "view=flame&flame.by=calls&q=status=failed")
    failed = sum(call.failed for call in Session.build(records).calls)
    about = page.locator("#flame-facts")
    assert failed and f"{failed} in {failed + 1} frames of what the filter" in about.inner_text()
    page.get_by_label("Search functions").fill("bucket.set")
    page.get_by_label("Search functions").press("Enter")
    page.get_by_role("button", name="In the table").click()
    page.wait_for_url("**#view=table*bucket.set*")
    assert page.get_by_text("1 of 17 calls").count()


def test_the_chosen_frame_stays_while_its_weight_changes(open_page: Open) -> None:
    page = opened(open_page, SCENARIOS["http"](), "view=flame&flame.by=time")
    page.get_by_label("Search functions").fill("bucket.get")
    page.get_by_label("Search functions").press("Enter")
    chosen = page.get_by_role("region", name="The chosen frame")
    assert "own 2.00 µs, 6.1%" in chosen.inner_text()
    page.get_by_label("Weigh by").select_option("calls")
    assert "own 2, 11.8%" in chosen.inner_text()
    page.get_by_label("Weigh by").select_option("errors")
    assert not chosen.is_visible()


def test_names_are_only_texts(open_page: Open) -> None:
    names = [*NASTY, "<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>"]
    nodes: Any = [(n, (0, name, n, n)) for n, name in enumerate(names, 1)]
    page = opened(open_page, [reported(nodes)], "view=flame&flame.mode=sandwich")
    assert page.locator(".view-flame tbody tr").count() == len(nodes)
    page.locator(".view-flame tbody button").first.click()
    text = page.locator(".view-flame").inner_text()
    assert "<img src=x onerror=alert(1)>" in text and "\u202e" not in text
    assert page.locator("img").count() == 0
