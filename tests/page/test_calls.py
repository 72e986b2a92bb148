"""The overview, the table of calls, the drawer and the filter, as somebody uses them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import whamm_cm
from bench.page import ACTS, FRAMES
from fixtures.build import build
from tests.page import logs
from tests.page.browser import DARK, PHONE, need
from tests.page.modules import page_of
from whamm_cm.trace.session import Session

Open = Callable[..., Any]
ROWS = '[role="grid"] .rows [role="row"]:not([hidden])'


@pytest.fixture(scope="module")
def small() -> str:
    return logs.page(logs.small())


def ready(page: Any) -> Any:
    page.wait_for_selector("html[data-ready]")
    return page


def says(page: Any) -> str:
    return str(page.locator("#filter-says").inner_text())


@pytest.mark.parametrize("look", [{}, DARK, PHONE, PHONE | DARK], ids=["light", "dark", "p", "pd"])
@pytest.mark.parametrize("view", ["overview", "table", "table&call=11"])
def test_everybody_can_read_it(
    open_page: Open, axe: Callable[..., None], screenshot: Callable[..., Path], small: str,
    view: str, look: dict[str, Any],
) -> None:  # fmt: skip
    page = ready(open_page(small, f"view={view}", **look))
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    kind = ("phone-" if "has_touch" in look else "") + (
        "dark" if "color_scheme" in look else "light"
    )
    screenshot(page, f"{view.replace('&call=11', '-drawer')}-{kind}")


def test_the_overview_says_what_the_log_says(open_page: Open, small: str) -> None:
    session = Session.build(logs.small())
    page = ready(open_page(small))
    tiles = {
        tile.locator(".muted").inner_text(): tile.locator(".big").inner_text()
        for tile in page.locator(".tile").all()
    }
    assert tiles["calls"] == str(len(session.calls))
    assert tiles["failed"] == str(sum(call.failed for call in session.calls))
    assert tiles["not allowed"] == "4"
    assert tiles["requests"] == str(len(session.requests)) == "24"
    rows = page.locator(".card", has_text="What was denied").locator("tbody tr")
    assert rows.first.inner_text().split("\n")[0].strip().startswith("not allowed")
    assert "status 503" in rows.nth(1).inner_text()
    assert "access" in rows.first.inner_text() and "DNS-timeout" in rows.last.inner_text()
    peers = page.locator(".card", has_text="Whom it talked to").inner_text()
    assert "api.test" in peers and "rates.example:8443" in peers
    page.get_by_role("link", name="%fs").click()
    assert page.evaluate("location.hash") == "#view=table&q=%25fs%20edge%3Dimport"
    assert says(page) == "44 of 457 calls"
    page.go_back()
    assert page.locator(".view-overview").is_visible()


def test_the_overview_is_of_what_is_chosen(open_page: Open, small: str) -> None:
    page = ready(open_page(small, "view=overview&q=%25kv"))
    kv = sum(c.site.interface == "wasi:keyvalue/store" for c in Session.build(logs.small()).calls)
    assert page.locator(".tile").first.inner_text() == f"{kv}\nof 457 calls"
    assert page.locator(".card", has_text="What was denied").count() == 0


@pytest.mark.parametrize(
    ("records", "fragment"),
    [
        (logs.small, ""),
        (logs.small, "q=%25fs"),
        (logs.small, "q=%25http, wasi:io/* %22set%22"),
        (logs.small, "q=status%3Dfailed"),
        (logs.asynchronous, ""),
        (logs.hostile, ""),
    ],
)
def test_numbers_lead_to_the_calls_they_count(
    open_page: Open, records: Callable[[], Any], fragment: str
) -> None:
    """Whatever is filtered already, and whatever functions are called."""
    page = ready(open_page(logs.page(records()), fragment))
    links = page.evaluate(_COUNTED)
    assert links
    for text, counted, href in links:
        page.evaluate("(href) => { location.hash = href; }", href)
        page.wait_for_selector(".view-table")
        said = page.locator("#filter-says").inner_text()
        assert said.split(" ")[0] == counted, (text, counted, said, href)


#: Links of the overview with the number of calls that stands beside, or is, each.
_COUNTED = """
[...document.querySelectorAll('.view-overview a')].flatMap((link) => {
  const row = link.closest('tr');
  if (!row) return [[link.textContent, link.textContent, link.getAttribute('href')]];
  const heads = [...row.closest('table').querySelectorAll('th')].map((head) => head.textContent);
  const at = heads.indexOf('Calls');
  return at < 0 ? [] : [[link.textContent, row.cells[at].textContent, link.getAttribute('href')]];
})
"""


def test_rows_are_the_calls_that_fit(open_page: Open, small: str) -> None:
    page = ready(open_page(small, "view=table"))
    assert page.locator('[role="grid"]').get_attribute("aria-rowcount") == "458"
    box = page.get_by_role("combobox", name="Filter")
    box.fill("%fs status=failed")
    assert says(page) == "4 of 457 calls"
    assert page.locator(ROWS).count() == 4
    assert "open-at" in page.locator(ROWS).first.inner_text()
    box.fill('%http,!wasi:http/outgoing-handler "handle"')
    assert says(page) == "24 of 457 calls"
    assert page.locator(ROWS).first.inner_text().startswith("1\n")
    box.fill("bytes>1K dur<1s edge=import status=ok req=1,2")
    assert says(page) == "2 of 457 calls"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("%nett", 'unknown class "%nett"'),
        ("a:b/{c", '"{" is never closed (at column 5)'),
        ("%fs status=bad", 'status "bad" is none of ok, failed'),
        ("dur>1parsec", "dur: expected a number with a unit such as 1.5ms (at column 1)"),
        ("dur>1constructor", "dur: expected a number"),
        ("%fs req=x", "req takes numbers (at column 5)"),
        ('"open', 'the text is never closed by another "'),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(
    open_page: Open, small: str, text: str, message: str
) -> None:
    page = ready(open_page(small, "view=table&q=%25fs"))
    page.get_by_role("combobox", name="Filter").fill(text)
    assert message in says(page)
    assert page.evaluate("location.hash") == "#view=table&q=%25fs"
    assert page.get_by_role("combobox", name="Filter").get_attribute("aria-invalid") == "true"


def test_words_are_offered(open_page: Open, axe: Callable[..., None], small: str) -> None:
    page = ready(open_page(small, "view=table"))
    page.keyboard.press("/")
    page.keyboard.type("!%f")
    offers = page.get_by_role("option")
    assert [each.inner_text() for each in offers.all()][0].startswith("%fs files and directories")
    axe(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.locator("#filter").input_value() == "!%fs" and offers.count() == 0
    assert says(page) == "413 of 457 calls"


def test_columns_order_the_rows(open_page: Open, small: str) -> None:
    page = ready(open_page(small, "view=table"))
    head = page.get_by_role("columnheader", name="Took")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    calls = Session.build(logs.small()).calls
    order = sorted(range(len(calls)), key=lambda i: -(calls[i].dur_ns or 0))
    shown = page.locator(f"{ROWS} .c-at").all_inner_texts()
    assert len(shown) > 20
    assert shown == [str(i + 1) for i in order[: len(shown)]]
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    head.get_by_role("button").click()
    assert page.locator(f"{ROWS} .c-at").all_inner_texts() == [
        str(i + 1) for i in range(len(shown))
    ]


def test_a_call_is_opened_by_keys_and_told_whole(
    open_page: Open, axe: Callable[..., None], small: str
) -> None:
    page = ready(open_page(small, "view=table&q=%23*descriptor.read%2C%25fs"))
    page.get_by_role("grid").focus()
    for key in ("ArrowDown", "End", "Home", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    drawer = page.get_by_role("complementary", name="Call")
    assert "wasi:filesystem/types#descriptor.read" in drawer.inner_text()
    assert "descriptor#2/etc/app.toml" in drawer.locator(".values").inner_text()
    for view in ("timeline", "table"):
        drawer.get_by_role("button", name=f"In the {view}").click()
        assert page.locator(f".view-{view}").is_visible() and drawer.is_visible()
    tree = drawer.locator("details", has_text="result").first
    tree.locator("summary", has_text="ok").last.click()
    tree.locator("summary", has_text="bytes").click()
    hexdump = tree.locator("pre").inner_text()
    assert "70 6f 72 74" in hexdump and "port = 80" in hexdump
    assert "10 of 4,096 bytes" in tree.inner_text()
    axe(page)
    drawer.get_by_role("button", name="Only this function").click()
    assert says(page) == "20 of 457 calls"
    page.keyboard.press("Escape")
    assert not drawer.is_visible()


def test_a_link_carries_it_all(open_page: Open, small: str) -> None:
    link = "view=table&call=100&q=%25http&t=1000000-5000000&table.sort=-took"
    page = ready(open_page(small, link))
    assert page.locator("#filter").input_value() == "%http"
    assert page.get_by_role("columnheader", name="Took").get_attribute("aria-sort") == "descending"
    assert page.locator(".range").inner_text() == "1.00 ms – 5.00 ms ✕"
    assert page.get_by_role("complementary", name="Call").is_visible()
    found = int(says(page).split()[0])
    page.locator(".range").click()
    assert int(says(page).split()[0]) == 240 > found > 0


def test_without_times_it_counts_records(open_page: Open, axe: Callable[..., None]) -> None:
    page = ready(open_page(logs.page(logs.many(300, timed=False)), "view=overview"))
    assert "records, no times" in page.locator(".tiles").inner_text()
    axe(page)
    page.get_by_role("link", name="Calls").click()
    assert page.locator(".view-table").is_visible()


def test_asynchronous_calls(open_page: Open, axe: Callable[..., None]) -> None:
    page = ready(open_page(logs.page(logs.asynchronous()), "view=table"))
    axe(page)
    statuses = page.locator(f"{ROWS} .c-status").all_inner_texts()
    assert statuses.count("cancelled") == 2
    page.get_by_role("combobox", name="Filter").fill("status=pending")
    calls = Session.build(logs.asynchronous()).calls
    assert says(page) == f"{sum(c.outcome.value == 'pending' for c in calls)} of {len(calls)} calls"


def test_conditions_are_what_the_documentation_says(open_page: Open, small: str) -> None:
    """Each row's own words are right, and so are the others that it has."""
    text = (Path(__file__).parents[2] / "docs" / "page.md").read_text(encoding="utf-8")
    table = text.split("| condition | calls |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `([^|]*)` \| (.*) \|$", table, re.MULTILINE)
    page = ready(open_page(small, "view=table"))
    box = page.get_by_role("combobox", name="Filter")
    assert {re.match(r"\w*", row[0])[0] for row in rows} == {  # type: ignore[index]
        *("status", "dur", "self", "bytes", "edge", "component", "instance", "task", "req", "")
    }
    for condition, words in rows:
        head = re.match(r"\w*[<>=!]*", condition)[0]  # type: ignore[index]
        number = "1" if ">" in head else ""
        more = [f"{head}{number}{word}" for word in re.findall(r"`(\w+)`", words)]
        for each in (condition, *more):
            box.fill(each)
            assert re.fullmatch(r"\d+ of 457 calls", says(page)), (each, says(page))


def test_the_benchmark_measures_everything() -> None:
    """In another process: this one has a browser."""
    need()
    command = [sys.executable, "-m", "bench.page", "--calls", "400", "--rounds", "1"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=True)
    rows = dict(re.findall(r"^(.*?) +(\d+\.\d) (?:ms|s|MB)", done.stdout, re.MULTILINE))
    assert {"made in", "size", "first paint", "read", *ACTS} < rows.keys()
    assert {f"{what}: {name}" for what in ("frame", "longest") for name in FRAMES} < rows.keys()
    assert all(float(value) > 0 for value in rows.values())


def test_what_it_may_do_beside_what_it_did(open_page: Open, axe: Callable[..., None]) -> None:
    data = build("command")
    app = whamm_cm.load(data, "command.wasm")
    assert isinstance(app, whamm_cm.Component)
    page = ready(open_page(logs.page(app.trace().records, app=("command.wasm", data))))
    rows = {
        row.locator("td").first.inner_text().split("\n")[0]: row.locator("td").all_inner_texts()[1:]
        for row in page.locator(".card", has_text="What it may do, and did")
        .locator("tbody tr")
        .all()
    }
    assert rows["%net"][:2] == ["7 functions", "none recorded"]
    assert rows["wasi:cli/exit"][:2] == ["1 function", "none recorded"]
    assert rows["%env"][0] == "2 functions" and rows["%env"][1].strip() == "2"
    axe(page)


def test_what_is_only_counted(open_page: Open) -> None:
    count = {"v": 1, "phase": "report", "instance": 1, "edge": "import", "func": "f", "count": 7}
    page = ready(open_page(logs.page([count, {**count, "func": "g", "count": 40}])))
    rows = page.locator(".card", has_text="Counted only").locator("tbody tr").all_inner_texts()
    assert [row.split() for row in rows] == [["g", "40"], ["f", "7"]]


def test_nothing_at_all(open_page: Open, axe: Callable[..., None]) -> None:
    page = ready(open_page(logs.page([])))
    assert page.get_by_role("note").inner_text().startswith("The log has no calls: a trace records")
    assert page.locator(".tile").count() == 0
    axe(page)


VALUES: dict[str, Any] = {
    "greatest": 18446744073709551615,
    "least": -9223372036854775808,
    "fine": 9007199254740991,
    "text": 'say "18446744073709551615", \\ or 12345678901234567890',
    "list": [1, 18446744073709551614],
    "real": 1e300,
    "float": 12345678901234567890.5,
    "sum": 0.30000000000000004,
    "tiny": 1.2345678901234566e-300,
    "less": -0.1234567890123456,
    "nothing": None,
    "yes": True,
    "cut": {"~cut": 900, "~str": "kept"},
    "all-cut": {"~cut": 50, "~list": [1, 2]},
    "secret": {"~redacted": 12},
    "bad": {"~bad": "0xffff0000"},
    "torn": {"~b64": "YWJ*"},
    "variant": {"dir": {"entry": "x"}},
}


def test_values_are_shown_as_they_are(open_page: Open) -> None:
    """No digit is lost of numbers that are none in JavaScript."""
    call = {"v": 2, "instance": 1, "call": 1, "edge": "import", "func": "f"}
    records = [{**call, "phase": "call", "args": VALUES}, {**call, "phase": "return", "result": 1}]
    page = ready(open_page(logs.page(records), "view=table&call=0"))
    page.locator(".drawer .values h3").first.wait_for()
    unfold = "document.querySelectorAll('.drawer details').forEach((d) => { d.open = true; })"
    for inside in ("18446744073709551614", 'entry "x"'):
        page.evaluate(unfold)
        page.locator(".drawer .leaf", has_text=inside).wait_for()
    lines = page.locator(".drawer .values").inner_text().split("\n")
    for line in (
        *("greatest 18446744073709551615", "least -9223372036854775808", "fine 9007199254740991"),
        *("1 18446744073709551614", "real 1e+300", "nothing none", "yes true", "list list of 2"),
        *('cut "kept"… of 900', "all-cut list of 50, cut", "secret <redacted 12>", 'entry "x"'),
        *('torn <damaged bytes: "YWJ*">', "bad <bad 0xffff0000>", "float 12345678901234567000"),
        *("sum 0.30000000000000004", "tiny 1.2345678901234566e-300", "less -0.1234567890123456"),
        r'text "say \"18446744073709551615\", \\ or 12345678901234567890"',
    ):
        assert line in [each.strip() for each in lines], (line, lines)


def test_the_mean_is_of_calls_that_returned(open_page: Open) -> None:
    call = {"v": 2, "instance": 1, "edge": "import", "func": "f", "t_ns": 0}
    records = [{**call, "call": number, "phase": "call"} for number in (1, 2, 3)]
    records.insert(1, {**records[0], "phase": "return", "t_ns": 600, "dur_ns": 600})
    page = ready(open_page(logs.page(records)))
    row = page.locator(".card", has_text="Where the time went").locator("tbody td")
    assert row.all_inner_texts()[-3:] == ["3", "600 ns", "600 ns"]


def test_back_is_seen_in_the_box_of_the_filter(open_page: Open, small: str) -> None:
    """Also where that has the focus."""
    page = ready(open_page(small, "view=table"))
    page.locator('.tabs a[data-view="flame"]').click()
    box = page.get_by_role("combobox", name="Filter")
    box.press_sequentially("%fs ")
    assert box.input_value() == "%fs "
    page.go_back()
    page.wait_for_selector(".view-table")
    assert box.input_value() == ""
    assert says(page).endswith(" calls") and " of " not in says(page)


def test_numbers_of_tasks_requests_and_instances_are_whole(open_page: Open) -> None:
    """Those of other logs are of 64 bits, too."""
    ids = {"instance": 2**33 + 1, "task": 2**40 + 2, "req": 2**41 + 3}
    call = {"v": 2, "call": 1, "edge": "import", "func": "f", "phase": "call", **ids}
    page = ready(open_page(logs.page([call, {**call, "call": 2, **dict.fromkeys(ids, 1)}])))
    for key, number in ids.items():
        page.get_by_role("combobox", name="Filter").fill(f"{key}={number}")
        assert says(page) == "1 of 2 calls", key


def test_a_text_of_millions_of_escapes_is_read(open_page: Open) -> None:
    """And with it all values of its chunk."""
    page = open_page(page_of("model.js", script="globalThis.read = modelValues;"))
    found = page.evaluate(
        r"""() => {
          const [text, number] = read(`["${'\\n'.repeat(1e7)}",18446744073709551615]`);
          return [text.length, number];
        }"""
    )
    assert found == [10_000_000, {"~int": str(2**64 - 1)}]


def test_it_is_called_as_its_log_is(open_page: Open) -> None:
    """Where no component has a name."""
    call = {"v": 1, "instance": 1, "call": 1, "phase": "call", "edge": "import", "func": "f"}
    for names, title in (((), "a run"), (("-",), "a run"), (("x/run.jsonl",), "run.jsonl"),
                         (("a.jsonl", "b.jsonl"), "a.jsonl and 1 more")):  # fmt: skip
        assert open_page(logs.page([call], logs=names)).title() == title
    named = logs.page([{**call, "component": "cart"}], logs=("a.jsonl",))
    assert open_page(named).title() == "cart"


def test_an_address_that_changes_often_is_written_in_the_end(open_page: Open, small: str) -> None:
    """Browsers throw, or do nothing, where it is changed a hundred times in some seconds."""
    page = ready(open_page(small))
    changes = page.evaluate(
        "() => { const box = document.querySelector('.bar input'); let seen = new Set();"
        " for (let at = 0; at < 300; at += 1) { box.value = `dur>${at}ms`;"
        " box.dispatchEvent(new Event('input', {bubbles: true})); seen.add(location.hash); }"
        " return seen.size; }"
    )
    assert 1 < changes < 60
    expect = pytest.importorskip("playwright.sync_api").expect
    expect(page).to_have_url(re.compile("dur%3E299ms"))
    page.locator("nav.tabs a").last.click()
    page.go_back()
    expect(page).to_have_url(re.compile("dur%3E299ms"))
