"""The timeline in a browser: lanes as of the other formats, what pointers, keys and links do."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.page.browser import DARK, PHONE
from tests.page.logs import hostile, many, small
from tests.page.modules import page_of
from whamm_cm.render.html import render
from whamm_cm.render.lanes import lanes, spans
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.page.run import Sites, chunk, run_model
from whamm_cm.trace.session import Session
from whamm_cm.trace.timeline import times

Open = Callable[..., Any]
DATA = Path(__file__).parents[1] / "render" / "data"
LOGS = ("tasks", "composed", "concurrent", "http", "untimed")


def records(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text().splitlines()]


def html(found: Iterable[dict[str, Any]]) -> str:
    return "".join(render(found, RenderOptions()))


def ready(open_page: Open, text: str, fragment: str = "", **context: Any) -> Any:
    page = open_page(text, f"view=timeline{fragment}", **context)
    page.wait_for_selector("html[data-ready]")
    return page


def said(page: Any) -> str:
    return str(page.locator(".rects-live").text_content())


def state(page: Any) -> dict[str, str]:
    script = "Object.fromEntries(new URLSearchParams(location.hash.slice(1)))"
    found: dict[str, str] = page.evaluate(script)
    return found


_LAYOUT = """
globalThis.lay = ({run, piece, by}) => {
  const calls = new Calls(run);
  if (piece) calls.append(piece);
  const choice = {by, spans: true, closed: new Set(), heads: false};
  const layout = new TimelineLayout({run}, calls, choice);
  const rows = [...layout.row].map((row, id) => [row, layout.x0[id], layout.x1[id]]);
  const lanes = layout.groups.flatMap((group) => group.lanes);
  return {rows, n: layout.n, spans: [...layout.spans], groups: layout.groups.map((group) =>
    ({title: group.title, note: timelineNote(group), row: group.row, rows: group.rows})),
    lane: layout.lane.map((lane) => lanes.indexOf(lane)), depth: [...layout.depth],
    bases: layout.bases, tops: layout.rowTop, height: layout.height};
};
"""
_VIEW = (
    *("model.js", "colours.js", "dom.js", "rects_index.js", "rects_paint.js", "rects_input.js"),
    *("rects.js", "views/timeline_layout.js", "views/timeline_axis.js", "views/timeline_map.js"),
    *("views/timeline_heads.js", "views/timeline_links.js", "views/timeline_range.js"),
    *("views/timeline_tips.js", "views/timeline_legend.js", "views/timeline.js"),
)
_MODULES = ("model.js", "colours.js", "dom.js", "views/timeline_layout.js")


def laid(page: Any, session: Session, by: str) -> dict[str, Any]:
    sites = Sites()
    run = run_model(session, sites)
    piece = chunk(times(session), 0, sites, 0, 0) if session.calls else None
    run["sites"] = sites.rows()
    found: dict[str, Any] = page.evaluate("(a) => lay(a)", {"run": run, "piece": piece, "by": by})
    return found


# Of calls without tasks the page knows more: a call is below its caller, where that has a lane.
@pytest.mark.parametrize("name", [name for name in LOGS if name != "concurrent"])
def test_lanes_are_those_of_the_other_formats(open_page: Open, name: str) -> None:
    page = open_page(page_of(*_MODULES, script=_LAYOUT))
    session = Session.build(records(name))
    found = laid(page, session, "instance")
    expected = [
        sorted(session.calls.index(piece.call) for piece in lane.slices if not piece.waits)
        for lane in lanes(session)
    ]
    mine: dict[int, list[int]] = {}
    for index, lane in enumerate(found["lane"]):
        mine.setdefault(lane, []).append(index)
    assert sorted(mine.values()) == sorted(expected)
    assert found["spans"] == [session.calls.index(span.call) for span in spans(session)]


@pytest.mark.parametrize("by", ["instance", "task", "request"])
def test_in_a_row_nothing_overlaps(open_page: Open, by: str) -> None:
    page = open_page(page_of(*_MODULES, script=_LAYOUT))
    logs = [records(name) for name in LOGS]
    for found_records in (*logs, small(), list(many(3000)), list(many(500, timed=False))):
        found = laid(page, Session.build(found_records), by)
        nothing_overlaps(found)


def nothing_overlaps(found: dict[str, Any]) -> None:
    """In no row; and all calls have one."""
    rows: dict[int, list[tuple[float, float]]] = {}
    for row, start, end in found["rows"]:
        if row >= 0:
            rows.setdefault(row, []).append((start, end))
    for each in rows.values():
        each.sort()
        assert all(one[1] <= two[0] for one, two in zip(each, each[1:], strict=False))
    assert all(found["rows"][i][0] >= 0 for i in range(found["n"]))
    tops = found["tops"]
    assert tops == sorted(tops)
    assert len(tops) == sum(group["rows"] for group in found["groups"])


def scrambled(draw: random.Random, n: int) -> dict[str, Any]:
    """Calls as no log has them: parents, tasks and times at odds with each other."""
    top = draw.choice((1, 50, 100_000))
    starts = [draw.randrange(top + 1) for _ in range(n)]
    if draw.random() < 0.5:
        starts.sort()
    durs = [draw.choice((0, 1, draw.randrange(top + 1))) for _ in range(n)]
    columns: dict[str, list[int]] = {
        "site": [draw.randrange(3) for _ in range(n)],
        "instance": [draw.randrange(3) for _ in range(n)],
        "task": [draw.choice((0, 0, 1, 2, 9)) for _ in range(n)],
        "req": [draw.choice((0, 1, 2)) for _ in range(n)],
        "parent": [draw.randrange(-1, i) if i else -1 for i in range(n)],
        "depth": [0] * n,
        "start": [two - one for one, two in zip([0, *starts], starts, strict=False)],
        "dur": durs,
        "self": [-1] * n,
        "frame": [draw.randrange(dur + 1) for dur in durs],
        "result": [draw.choice((-1, dur)) for dur in durs],
        "outcome": [draw.choice((0, 0, 1, 2)) for _ in range(n)],
        "flags": [draw.choice((0, 0, 1, 2, 4, 6, 29)) for _ in range(n)],
        "bytes": [0] * n,
    }
    return {"first": 0, "n": n, "columns": columns, "waits": [], "values": []}


def test_whatever_a_log_says_has_a_place(open_page: Open) -> None:
    page = open_page(page_of(*_MODULES, script=_LAYOUT))
    names = ("wasi:io/poll#poll", "a:b/c#[method]d.e", "f")
    sites = [{"edge": "import", "component": "c", "name": n, "func": n} for n in names]
    for seed in range(20):
        draw = random.Random(seed)
        n = draw.choice((1, 5, 200))
        run = {"sites": sites, "calls": n, "span": 10, "instances": [0, 1, 2]}
        piece = scrambled(draw, n)
        for by in ("instance", "task", "request"):
            found = page.evaluate("(a) => lay(a)", {"run": run, "piece": piece, "by": by})
            nothing_overlaps(found)
            owners = [*zip(piece["columns"]["instance"], piece["columns"]["task"], strict=True)]
            assert len(found["groups"]) == len(
                set(piece["columns"]["req"])
                if by == "request"
                else {one for one, _ in owners}
                if by == "instance"
                else set(owners)
            )


def test_of_what_overlaps_some_is_not_shown(open_page: Open) -> None:
    exchanges = [
        {"peer": "p", "kind": "http", "start": at, "dur": 5000, "failed": False, "call": -1}
        for at in range(450)
    ]
    run = {"sites": [], "calls": 0, "span": 6000, "instances": [], "exchanges": exchanges}
    page = open_page(page_of(*_MODULES, script=_LAYOUT))
    found = page.evaluate("(a) => lay(a)", {"run": run, "piece": None, "by": "instance"})
    assert found["groups"][0]["note"] == "450 exchanges · 50 not shown"
    assert found["groups"][0]["rows"] == 400
    assert sum(row >= 0 for row, _, _ in found["rows"]) == 400


def test_a_caller_in_the_same_group_stands_above(open_page: Open) -> None:
    page = open_page(page_of(*_MODULES, script=_LAYOUT))
    session = Session.build(small())
    found = laid(page, session, "request")
    assert len(found["groups"]) == len(session.requests)
    for index, call in enumerate(session.calls):
        if call.parent is not None:
            assert found["rows"][call.parent][0] == found["rows"][index][0] - 1


def test_clicks_keys_and_links(open_page: Open) -> None:
    page = ready(open_page, html(records("tasks")))
    canvas = page.locator(".rects-canvas")
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] * 6.5 / 29, "y": 113})
    assert said(page).startswith("inner shop:back/prices#get, at 6.00 µs, 4.00 µs, instance 1")
    assert state(page)["call"] == "4"
    page.keyboard.press("[")
    assert said(page).startswith("export wasi:http/handler#handle, at 5.00 µs")
    page.keyboard.press("]")
    page.keyboard.press("]")
    assert said(page) == "inner shop:back/prices#get, at 7.00 µs, 2.00 µs, instance 2 · back"
    page.keyboard.press("ArrowUp")
    assert said(page).startswith("⇢ wasi:http/client#send, at 3.00 µs, 26.0 µs, pending")
    page.keyboard.press("ArrowUp")
    assert said(page).startswith("⇢ inner shop:back/prices#get, at 1.00 µs, 19.0 µs")
    page.keyboard.press("m")
    assert state(page)["t"] == "1000-2000"
    page.keyboard.press("f")
    page.wait_for_url("**/*timeline.at=50-20950*")
    page.keyboard.press("0")
    page.wait_for_url(lambda url: "timeline.at" not in url)
    page.keyboard.press("Escape")
    assert "call" not in state(page)
    page.keyboard.press("Escape")
    assert "t" not in state(page)


def test_keys_held_down_move_on(open_page: Open) -> None:
    """`d` goes right here; beside the canvas it changes the colours."""
    page = ready(open_page, html(records("tasks")))
    page.locator(".rects-canvas").focus()
    for key in ("w", "d"):
        before = picture(page)
        page.keyboard.down(key)
        page.evaluate(
            """(before) => new Promise((done) => {
              const look = () => {
                const now = document.querySelector('.rects-canvas').toDataURL();
                if (now === before) requestAnimationFrame(look);
                else done();
              };
              look();
            })""",
            before,
        )
        page.keyboard.up(key)
    page.wait_for_url("**/*timeline.at=*")
    start, end = map(int, state(page)["timeline.at"].split("-"))
    assert 0 < start < end and end - start < 29_000
    assert "theme" not in state(page)


def test_wheels_and_touchpads_zoom_and_pan(open_page: Open) -> None:
    page = ready(open_page, html(records("tasks")))
    box = page.locator(".rects-canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 300)

    def view() -> list[int]:
        page.wait_for_url("**/*timeline.at=*")
        return [int(each) for each in state(page)["timeline.at"].split("-")]

    page.mouse.wheel(0, 100)
    assert page.locator(".rects-tip").inner_text().startswith("Ctrl and the wheel zoom")
    page.evaluate("""() => {
      const canvas = document.querySelector('.rects-canvas');
      const box = canvas.getBoundingClientRect();
      for (const scale of [1, 2, 4]) {
        const name = scale === 1 ? 'gesturestart' : 'gesturechange';
        const place = {clientX: box.left + box.width / 2, clientY: box.top + 300};
        canvas.dispatchEvent(Object.assign(new Event(name, {bubbles: true}), place, {scale}));
      }
    }""")
    start, end = view()
    assert end - start == pytest.approx(29_000 / 4, abs=3)
    assert (start + end) / 2 == pytest.approx(29_000 / 2, abs=30)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    page.wait_for_url(lambda url: f"timeline.at={start}-" not in url)
    closer, edge = view()
    assert edge - closer < end - start
    page.keyboard.down("Shift")
    page.mouse.wheel(0, 200)
    page.keyboard.up("Shift")
    page.wait_for_url(lambda url: f"timeline.at={closer}-" not in url)
    moved = view()
    assert moved[0] > closer and moved[1] - moved[0] == pytest.approx(edge - closer, abs=3)


_TICKS = """
globalThis.ticks = (from, to, width, timed) => timelineTicks({from, to, width}, timed);
"""
_UNITS = {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9, "": 1000}


def test_marks_of_the_axis_say_where_they_are(open_page: Open) -> None:
    page = open_page(page_of("dom.js", "views/timeline_axis.js", script=_TICKS))
    draw = random.Random(5)
    for _ in range(150):
        start = draw.choice((0, draw.random() * 10 ** draw.randrange(1, 14)))
        span = max(20.0, draw.random() * 10 ** draw.randrange(1, 13))
        timed, width = draw.random() < 0.7, draw.choice((390, 1100))
        found = page.evaluate("(a) => ticks(...a)", [start, start + span, width, timed])
        assert len({mark["label"] for mark in found["marks"]}) == len(found["marks"]) <= 12
        number, *unit = (found["base"] or "0 s").split()
        base = float(number) * _UNITS[unit[0]]
        for mark in found["marks"]:
            assert start <= mark["at"] <= start + span
            number, *unit = mark["label"].lstrip("+").split()
            said_at = base + float(number) * _UNITS[unit[0] if unit else ""]
            assert said_at == pytest.approx(mark["at"], abs=found["step"] / 50)


def test_a_range_is_chosen_along_the_axis(open_page: Open, axe: Callable[..., None]) -> None:
    page = ready(open_page, html(records("tasks")))
    box = page.locator(".axis").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 10 / 29, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 15 / 29, middle, steps=4)
    page.mouse.up()
    start, end = map(int, state(page)["t"].split("-"))
    assert abs(start - 10_000) <= 40 and abs(end - 15_000) <= 40
    rows = page.locator("section.range tbody tr").all_inner_texts()
    assert any(row.startswith("wasi:clocks/monotonic-clock#wait-for") for row in rows)
    assert not any("get-random" in row for row in rows)
    axe(page)
    page.get_by_role("button", name="Function").click()
    names = page.locator("section.range tbody .name").all_inner_texts()
    assert names == sorted(names, key=str.casefold) and len(set(names)) == len(names)
    page.mouse.click(box["x"] + 40, middle)
    assert "t" not in state(page)
    assert page.locator("section.range").is_hidden()
    page.go_back()
    assert state(page)["t"] == f"{start}-{end}"


def test_sums_of_a_range(open_page: Open) -> None:
    """Of calls that reach over its ends only what is inside of it counts."""
    page = ready(open_page, html(records("tasks")), "&t=10000-15000")
    rows = page.locator("section.range tbody tr").all()
    cells = {row.locator("td").first.inner_text(): row.locator("td").all() for row in rows}
    # handle#1 is there all the time (5 µs), handle#2 too.
    handle = [cell.inner_text() for cell in cells["export wasi:http/handler#handle"]]
    assert handle[1:4] == ["2", "", "10.0 µs"]


def test_lanes_by_and_closed_ones_are_in_the_link(open_page: Open) -> None:
    page = ready(open_page, html(records("tasks")))
    page.get_by_role("button", name="Tasks", exact=True).click()
    assert state(page)["timeline.by"] == "task"
    heads = page.locator(".heads .name").all_inner_texts()
    assert heads[0] == "task 1 · instance 1 · front"
    page.locator(".heads button").first.click()
    assert state(page)["timeline.closed"] == "1/1"
    assert page.locator(".heads button").first.get_attribute("aria-expanded") == "false"
    page.get_by_role("button", name="Open all").click()
    assert "timeline.closed" not in state(page)
    page.get_by_role("button", name="Close all").click()
    assert state(page)["timeline.closed"] == "*"
    page.locator(".heads button").first.click()
    assert state(page)["timeline.closed"] == "*,1/1"
    opened = [each.get_attribute("aria-expanded") for each in page.locator(".heads button").all()]
    assert opened == ["true", *["false"] * (len(opened) - 1)]
    page.get_by_role("button", name="Arrows").click()
    assert state(page)["timeline.off"] == "arrows"


def test_whatever_stands_in_the_fragment(open_page: Open) -> None:
    """A fragment is written by anybody."""
    for fragment in (
        "&t=x-y&timeline.at=5-1&timeline.by=nobody&call=99999&timeline.closed=a,b",
        "&t=9-1&timeline.at=0-99999999999999999999&call=-1&timeline.off=%00,x",
        "&t=1e400-2&timeline.at=-5--2&call=1.5&timeline.by=__proto__",
    ):
        page = ready(open_page, html(records("tasks")), fragment)
        assert "9 calls in 3 groups" in page.locator(".facts").inner_text()
        assert page.locator("section.range").is_hidden()


@pytest.mark.parametrize("mode", ["light", "dark", "phone"])
def test_pictures(
    open_page: Open, screenshot: Callable[..., Path], axe: Callable[..., None], mode: str
) -> None:
    context = {"light": {}, "dark": DARK, "phone": PHONE}[mode]
    page = ready(open_page, html(small()), "&call=3", **context)
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    screenshot(page, f"timeline-{mode}")
    page = ready(open_page, html(records("tasks")), "&t=5000-13000", **context)
    page.locator(".legend summary").click()
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    inside = page.locator(".legend .card").bounding_box()
    assert inside["x"] >= 0 and inside["x"] + inside["width"] <= page.evaluate("innerWidth")
    screenshot(page, f"timeline-tasks-{mode}")


def frame(page: Any) -> None:
    """After the next picture."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def picture(page: Any) -> str:
    frame(page)
    return str(page.evaluate("document.querySelector('.rects-canvas').toDataURL()"))


def pixel(page: Any, x: float, y: float) -> tuple[int, ...]:
    """Red, green, blue and how opaque, at a share of the width and at a pixel from the top."""
    frame(page)
    script = """([x, y]) => {
      const canvas = document.querySelector('.rects-canvas');
      const ratio = canvas.width / canvas.clientWidth;
      const at = [Math.round(x * canvas.width), Math.round(y * ratio)];
      const one = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
      one.drawImage(canvas, ...at, 1, 1, 0, 0, 1, 1);
      return [...one.getImageData(0, 0, 1, 1).data];
    }"""
    return tuple(page.evaluate(script, [x, y]))


def test_arrows_and_asynchronous_calls_can_be_left_out(open_page: Open) -> None:
    page = ready(open_page, html(records("tasks")))
    seen = [picture(page)]
    for name in ("Arrows", "Async"):
        page.get_by_role("button", name=name, exact=True).click()
        seen.append(picture(page))
        assert page.get_by_role("button", name=name, exact=True).get_attribute("aria-pressed") == (
            "false"
        )
    assert len(set(seen)) == 3


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_what_failed_has_a_bar_and_what_the_filter_hides_is_pale(
    open_page: Open, mode: str
) -> None:
    """In the log `http` the sixth call of 33 records failed; nothing else in its row did."""
    context = DARK if mode == "dark" else {}
    page = ready(open_page, html(records("http")), **context)
    bad = (179, 38, 30, 255) if mode == "light" else (255, 138, 128, 255)
    foot, body = 2 + 26 * 2 + 19 + 16, 2 + 26 * 2 + 19 + 3
    assert pixel(page, 11.8 / 33, foot) == bad
    assert pixel(page, 9.8 / 33, foot) != bad
    before = {at: pixel(page, at / 33, body) for at in (1.8, 9.8)}
    page.evaluate("location.hash += '&q=%25http'")
    assert pixel(page, 1.8 / 33, body) == before[1.8]
    assert pixel(page, 9.8 / 33, body) != before[9.8]


def test_many_calls_in_a_pixel_are_said_together(open_page: Open) -> None:
    page = ready(open_page, html(many(20_000)))
    box = page.locator(".rects-canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 2 + 9)
    tip = page.locator(".rects-tip")
    tip.wait_for()
    assert re.match(r"\d+ calls in \d|(export )?wasi:", tip.inner_text())
    found = page.evaluate(
        """(y) => {
          const canvas = document.querySelector('.rects-canvas');
          const box = canvas.getBoundingClientRect();
          const texts = new Set();
          for (let x = 0; x < box.width; x += 3) {
            canvas.dispatchEvent(new PointerEvent('pointermove', {
              clientX: box.left + x, clientY: box.top + y, pointerType: 'mouse', pointerId: 1}));
            texts.add(document.querySelector('.rects-tip').innerText.split('\\n')[0]);
          }
          return [...texts];
        }""",
        11,
    )
    assert any(re.fullmatch(r"\d+ calls in [\d.]+ .s", text) for text in found), found[:5]


_LIVE = """
globalThis.begin = ({run, piece}) => {
  const calls = new Calls(run);
  calls.append(piece);
  globalThis.ctx = {model: {run}, calls, progress: 1, state: {}, selection: () => null,
    set: (changes) => { Object.assign(ctx.state, changes); }, choose: () => {}, go: () => {}};
  globalThis.view = new TimelineView(ctx);
  view.element.classList.add('view-timeline');
  document.body.append(view.element);
  view.element.style.height = '600px';
  view.show(ctx.state);
  return {...view.rects.view};
};
globalThis.more = (piece) => {
  ctx.model.run.span += 1000;
  ctx.calls.append(piece);
  view.show(ctx.state);
  return {...view.rects.view};
};
globalThis.anew = (piece) => {
  ctx.model.run.span = 2500;
  ctx.calls.restart(ctx.model.run, piece);
  view.show(ctx.state);
  return {...view.rects.view};
};
"""


def flat(first: int, n: int, start: int) -> dict[str, Any]:
    """So many calls of 10 ns, one behind the other, the first at `start`."""
    columns = {name: [0] * n for name in ("site", "instance", "task", "req", "depth", "outcome")}
    columns |= {"self": [-1] * n, "parent": [-1] * n, "flags": [0] * n, "bytes": [0] * n}
    columns |= {"dur": [10] * n, "frame": [10] * n, "result": [10] * n}
    columns["start"] = [start, *[10] * (n - 1)]
    return {"first": first, "n": n, "columns": columns, "waits": [], "values": []}


def test_what_goes_on_is_followed_where_the_end_is_in_view(open_page: Open) -> None:
    page = open_page(page_of(*_VIEW, script=_LIVE))
    sites = [{"edge": "import", "component": "c", "name": "f", "func": "f"}]
    run = {"timed": True, "sites": sites, "calls": 100, "span": 1000, "instances": [0]}
    run |= {"losses": {}, "flows": []}
    begun = page.evaluate("(a) => begin(a)", {"run": run, "piece": flat(0, 100, 0)})
    assert begun == {"from": 0, "to": 1000}
    more = "(piece) => more(piece)"
    assert page.evaluate(more, flat(100, 100, 1000)) == {"from": 0, "to": 2000}
    page.evaluate("view.rects.setView(500, 700)")
    assert page.evaluate(more, flat(200, 100, 2000)) == {"from": 500, "to": 700}
    page.evaluate("view.rects.setView(2900, 3000)")
    assert page.evaluate(more, flat(300, 100, 3000)) == {"from": 3900, "to": 4000}
    # What the page has forgotten is not in the picture.
    page.evaluate("view.rects.setView(0, 4000)")
    assert page.evaluate("(piece) => anew(piece)", flat(0, 250, 0)) == {"from": 0, "to": 2500}


def test_before_the_first_call_there_is_nothing_to_break(open_page: Open) -> None:
    page = open_page(page_of(*_VIEW, script=_LIVE))
    sites = [{"edge": "import", "component": "c", "name": "f", "func": "f"}]
    run = {"timed": True, "sites": sites, "calls": 0, "span": 0, "instances": [], "losses": {}}
    page.evaluate("(a) => begin(a)", {"run": run, "piece": flat(0, 0, 0)})
    assert page.locator(".facts").inner_text() == "There are no calls yet."
    for name in ("Close all", "+", "All", "Tasks", "Arrows"):
        page.get_by_role("button", name=name, exact=True).click()
    for place in (".rects-canvas", ".axis", ".map"):
        box = page.locator(place).bounding_box()
        page.mouse.move(box["x"] + 50, box["y"] + 10)
        page.mouse.down()
        page.mouse.move(box["x"] + 90, box["y"] + 12, steps=3)
        page.mouse.up()
        page.mouse.click(box["x"] + 60, box["y"] + 10)
    for key in ("w", "ArrowRight", "v", "n", "f", "Enter", "Escape"):
        page.keyboard.press(key)
    frame(page)
    page.evaluate("(piece) => more(piece)", flat(0, 100, 0))
    assert page.locator(".facts").inner_text().startswith("100 calls in 1 group")


def test_hostile_names_are_text(open_page: Open) -> None:
    page = ready(open_page, html(hostile()))
    page.locator(".rects-canvas").focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowDown", "End", "f", "Enter"):
        page.keyboard.press(key)
    for by in ("Tasks", "Requests"):
        page.get_by_role("button", name=by, exact=True).click()
    page.keyboard.press("v")
    assert page.locator("main script, main img, main iframe").count() == 0


def test_fingers_pan_and_pinch(open_page: Open) -> None:
    page = ready(open_page, html(small()), **PHONE)
    box = page.locator(".rects-canvas").bounding_box()
    y = box["y"] + 34  # below the name of the first group
    cdp = page.context.new_cdp_session(page)

    def touch(kind: str, *xs: float) -> None:
        points = [{"x": x, "y": y, "id": at} for at, x in enumerate(xs)]
        cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 150, 250)
    for step in range(1, 6):
        touch("touchMove", 150 - 20 * step, 250 + 20 * step)
    touch("touchEnd")
    page.wait_for_url("**/*timeline.at=*")
    before = [int(each) for each in state(page)["timeline.at"].split("-")]
    whole = page.evaluate("JSON.parse(document.getElementById('model').textContent).run.span")
    # Fingers 100 pixels apart are 300 apart in the end: a third is left of what was in view.
    assert before[1] - before[0] == pytest.approx(whole / 3, rel=0.02)
    touch("touchStart", 300)
    for step in range(1, 6):
        touch("touchMove", 300 - 20 * step)
    touch("touchEnd")
    page.wait_for_url(lambda url: f"timeline.at={before[0]}-" not in url)
    after = [int(each) for each in state(page)["timeline.at"].split("-")]
    assert after[0] > before[0]
    assert after[1] - after[0] == pytest.approx(before[1] - before[0], abs=3)
