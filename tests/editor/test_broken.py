"""Scripts that are being written are broken nearly always: nothing that an editor asks may fail."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fixtures.build import path_of
from tests.lang.test_textmate import SCRIPTS
from whamm_cm.editor.complete import complete
from whamm_cm.editor.component import opened
from whamm_cm.editor.explain import definition, explain, symbols
from whamm_cm.editor.problems import problems
from whamm_cm.editor.scan import scan
from whamm_cm.editor.script import Script
from whamm_cm.editor.text import Text
from whamm_cm.lang.parse import parse
from whamm_cm.lang.source import Source
from whamm_cm.lang.syntax import ProbeSyntax

COMPONENT = opened(str(path_of("command")))
TEXTS = sorted(SCRIPTS.values())
PIECES = st.sampled_from(["{", "}", '"', "/*", "*/", "//", ";", "(", ")", ".", ":", "#", "is ",
                          "wasm:opcode:*:before", "var x", "\n", "😀", "/ ", 'has "', "@", "[0]",
                          "__whamm_cm_cursor", "wasi:io/*#*:after { "])  # fmt: skip


@st.composite
def broken(draw: st.DrawFn) -> tuple[str, int]:
    """A valid script without some of it, with something put in, and a place."""
    text = draw(st.sampled_from(TEXTS))
    first = draw(st.integers(0, len(text)))
    last = draw(st.integers(first, min(len(text), first + 40)))
    text = text[:first] + "".join(draw(st.lists(PIECES, max_size=3))) + text[last:]
    if draw(st.booleans()):
        text = text[: draw(st.integers(0, len(text)))]
    return text, min(len(text), draw(st.integers(max(0, first - 30), first + 40)))


@settings(max_examples=150)
@given(broken(), st.booleans())
@example(("fn\nwasm:func:entry { f(); }\n", 0), False)
def test_no_script_is_too_broken(given: tuple[str, int], for_a_component: bool) -> None:
    text, at = given
    component = COMPONENT if for_a_component else None
    script = Script(Text(text), component)
    offers, start, end = complete(script, at)
    assert 0 <= start <= at <= end <= len(text)
    assert len({one.label for one in offers}) == len(offers)
    found = explain(script, at)
    assert found is None or 0 <= found.start <= found.end <= len(text)
    place = definition(script, at)
    assert place is None or text[place[0] : place[1]].isidentifier()
    for symbol in symbols(script):
        assert symbol.start <= symbol.named[0] <= symbol.named[1] <= symbol.end <= len(text)
    for problem in problems("S.mm", text, component, {}):
        assert problem.message and 0 <= problem.start <= problem.end


@pytest.mark.parametrize("text", TEXTS[::7])
def test_the_items_of_a_script_are_those_of_the_parser(text: str) -> None:
    items = scan(text).items
    wanted = parse(Source(0, "script", text)).items
    assert len(items) == len(wanted)
    for item, one in zip(items, wanted, strict=True):
        blanks = len(one.rule) - len(one.rule.lstrip()) if isinstance(one, ProbeSyntax) else 0
        assert item.start <= one.at + blanks <= item.end


@pytest.mark.parametrize("name", ["http.mm", "files.mm", "call-graph.mm"])
def test_at_each_place_of_a_monitor_something_is_known(name: str) -> None:
    """Behind each ``{`` and ``;`` of a body the variables at the top are offered."""
    text = next(script for path, script in SCRIPTS.items() if path.endswith(f"monitors/{name}"))
    found = scan(text)
    script = Script(Text(text))
    declared = {s.name for s in symbols(script) if s.kind == "variable"}
    bodies = [i for i in found.items if i.body > 0]
    assert bodies
    for item in bodies:
        places = [at for at in range(item.body + 1, item.end) if found.plain[at - 1] in "{;"]
        for at in random.Random(1).sample(places, min(3, len(places))):
            offers = {one.label for one in complete(script, at)[0]}
            assert declared <= offers, text[at - 20 : at]
