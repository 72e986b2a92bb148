"""Sets of functions mean the same in the page and to `-e trace=SET`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import whamm_cm
from fixtures.build import build
from tests.page import logs
from tests.page.modules import page_of
from whamm_cm.render.page.classes import table
from whamm_cm.wit.classes import CLASSES, SiteSet
from whamm_cm.wit.names import FuncName, PatternError

_ASK = """
globalThis.ask = (text, sites, table) => {
  try {
    const set = new SiteSet(text, table);
    return sites.map(([edge, roots, others]) => set.selects(edge, roots, others));
  } catch (error) {
    if (!(error instanceof SetError)) throw error;
    return [error.at, error.message];
  }
};
"""
INTERFACES = (
    *("wasi:http/types", "wasi:io/streams", "wasi:cli/stdout", "wasi:cli/environment", "a:b/c"),
    *("wasi:sockets/ip-name-lookup", "wasi_snapshot_preview1", "", "primary", "wasi:x/\U0001f600"),
)
VERSIONS = (None, "0.2.0", "0.2.3", "0.2", "0.3.0-rc.1", "1.2.3+b.7", "1", "0.0.4", "x", "01.2.3")
FUNCS = (
    *("f", "fields.drop", "[method]fields.get", "[resource-drop]r", "[constructor]r", "fd_read"),
    *("[resource-new]r", "context.get", "stream.read", "stream.new", "task.return", "args_get", ""),
    *("[async method]r.m", "sock_send", "a\nb", "\ud800"),
)
EDGES = ("import", "export", "inner", "builtin")
names = st.tuples(st.sampled_from(INTERFACES), st.sampled_from(VERSIONS), st.sampled_from(FUNCS))
groups = st.lists(names, min_size=1, max_size=2)
sites = st.lists(
    st.tuples(st.sampled_from(EDGES), st.lists(groups, max_size=2), st.lists(names, max_size=2)),
    min_size=1,
    max_size=6,
)
WORDS = (
    *("%" + name for name in CLASSES),
    *("all", "none", "*", "wasi:*", "wasi:io/*#*.drop", "#f", "#context.*", "#*", "a:b/c@0.2|0.3"),
    *("wasi:http/*@^0.2.1", "a:b/c@=0.2.0", "wasi:cli/{stdin,stdout}", "[a-z]:b/c", "#[method]f*"),
    *(
        "#[constructor]r",
        "#[resource-drop]*",
        "#[resource-new]r",
        "a:b/c@*",
        "*@0.3.0-rc.1",
        "?:b/*",
    ),
    *("[!w]*", "%nope", "word", "a:b/c@1|=2#f|g", "*@1.2.3+b.7", "{{a,b},c}:*/*", "a:b/c#", "*@0"),
)
PIECES = (
    *WORDS, *",!#@|*?[]{}^=%-: \t\x1c\x85\xa0\ufeff", "trace=", "wasi", ":", "/", "0.2",
    "\U0001f600",
)  # fmt: skip
texts = st.one_of(
    st.lists(st.tuples(st.sampled_from(("", "!", " ", "! ")), st.sampled_from(WORDS)), min_size=1)
    .map(lambda parts: ",".join(a + b for a, b in parts)),
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join),
    st.text(max_size=6),
)  # fmt: skip


def by_python(text: str, asked: list[Any]) -> list[Any]:
    try:
        found = SiteSet.parse(text)
    except PatternError as error:
        return [error.position, error.message]
    return [
        found.selects(
            edge, [[FuncName(*n) for n in group] for group in roots], [FuncName(*n) for n in others]
        )
        for edge, roots, others in asked
    ]


@pytest.fixture(scope="module")
def ask(browser: Any) -> Callable[[str, list[Any]], list[Any]]:
    page = browser.new_context().new_page()
    page.set_content(page_of("sets.js", script=_ASK))
    classes = table()
    return lambda text, asked: list(
        page.evaluate("([text, sites, table]) => ask(text, sites, table)", [text, asked, classes])
    )


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts, sites)
@example("trace=! %net", [("import", [[("wasi:io/streams", None, "f")]], [])])
@example("[a", [("import", [], [])])
@example("{" * 17, [("import", [], [])])
@example("a:" + "x" * 4100, [("import", [], [])])
@example("a:b/c@0.2|0.3|x", [("import", [[("a:b/c", "0.3.1", "f")]], [])])
def test_the_page_selects_as_python_does(
    ask: Callable[[str, list[Any]], list[Any]], text: str, asked: list[Any]
) -> None:
    expected, got = by_python(text, asked), ask(text, asked)
    if len(expected) == 2 and isinstance(expected[1], str):
        # Python may know what was meant, the page says what there is.
        assert got[0] == expected[0]
        assert str(got[1]).split(";")[0] == expected[1].split(";")[0]
    else:
        assert got == expected


def test_reading_takes_time_that_grows_with_the_text(
    ask: Callable[[str, list[Any]], list[Any]],
) -> None:
    """Backtracking would take longer than anybody waits."""
    name = ("a:b/" + "a" * 2000, None, "f")
    assert ask("*a" * 200 + "*b", [("import", [[name]], [])]) == [False]


def test_a_filtered_page_has_what_a_filtered_trace_has(
    open_page: Callable[..., Any], tmp_path: Path
) -> None:
    """The names in a log are enough: so many calls of a whole trace fit as a trace of them has."""
    app = whamm_cm.load(build("command"), "command.wasm")
    assert isinstance(app, whamm_cm.Component)

    def run(wanted: str) -> whamm_cm.Run:
        (tmp_path / "data").mkdir(exist_ok=True)
        return app.trace(dirs=[f"{tmp_path / 'data'}::/data"], trace=wanted)

    page = open_page(logs.page(run("all").records), "view=table")
    page.wait_for_selector("html[data-ready]")
    whole = len(run("all").calls)
    for text in (
        "%fs",
        "%fs,!wasi:filesystem/types#*.drop",
        "!%clock",
        "wasi:*/*@^0.2.0,!%env",
        "#*",
    ):
        found = [call.site.item for call in run(text).calls]
        page.get_by_role("combobox", name="Filter").fill(text)
        said = page.locator("#filter-says").inner_text()
        assert said == f"{len(found)} of {whole} calls", (text, said)
