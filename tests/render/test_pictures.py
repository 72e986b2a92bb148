"""Pictures: well-formed whoever wrote the log, small however long it is, the same every time."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tests.render.test_calltree import log as call_tree
from tests.render.test_hostile import NASTY
from tests.render.test_live import growth, many
from tests.trace.records import Log
from whamm_cm.cli.main import main
from whamm_cm.errors import UsageError, WhammError
from whamm_cm.render import svg
from whamm_cm.render.calltree import SEVERAL
from whamm_cm.render.jsonl import line
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.pictures import PICTURES, picture_of, render
from whamm_cm.render.timeline_svg import nice

SVG = "{http://www.w3.org/2000/svg}"
#: What a picture may be made of: nothing that runs, or gets anything from elsewhere.
ELEMENTS = {"svg", "g", "rect", "path", "text", "title", "desc", "style", "a"}


def drawn(name, records):
    return "".join(render(records, RenderOptions(picture=name)))


def read(text):
    """The root of a picture; whatever it is made of may be in one."""
    root = ElementTree.fromstring(text)
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in ELEMENTS
        for key, value in element.attrib.items():
            assert not key.lower().startswith("on")
            assert "href" not in key or value.startswith("#")
    assert "url(" not in text and "@import" not in text
    return root


def texts(root, tag="text"):
    return [element.text for element in root.iter(SVG + tag)]


def hostile():
    log = Log()
    for at, nasty in enumerate(
        [*NASTY, "</title><script>alert(1)</script>", "]]>", "&amp;", "\ufffe"]
    ):
        log.component, log.instance = nasty, at + 1
        export = log.enter(f"{nasty}/a#{nasty}", edge="export", args={nasty: nasty})
        log.call(f"{nasty}#{nasty}", {"error": nasty}, **{nasty: nasty})
        log.call("wasi:http/types#outgoing-request.new", 6, headers=5)
        log.call("wasi:http/types#outgoing-request.set-authority", {"ok": None}, 6, authority=nasty)
        log.call("wasi:http/outgoing-handler#handle", {"ok": 7}, request=6, options=None)
        log.leave(f"{nasty}/a#{nasty}", export)
    return log


@pytest.mark.parametrize("name", PICTURES)
def test_what_a_guest_names_is_only_text(name):
    text = drawn(name, hostile())
    assert text.replace("\n", "").isprintable()
    root = read(text)
    assert any("<script>" in each for each in texts(root, "title"))


@pytest.mark.parametrize("name", PICTURES)
def test_equal_logs_are_equal_pictures(name):
    assert drawn(name, hostile()) == drawn(name, hostile())


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_have_names_for_who_does_not_see_them(name):
    root = read(drawn(name, many(3)))
    ids = root.attrib["aria-labelledby"].split()
    found = {each.attrib["id"]: each.text for each in root.iter() if "id" in each.attrib}
    assert root.attrib["role"] == "img" and all(found[each] for each in ids)


@pytest.mark.parametrize("name", PICTURES)
def test_long_logs_are_small_pictures_in_linear_time(name):
    assert len(drawn(name, many(20_000))) < 1_000_000
    assert growth(lambda n: drawn(name, many(n)), 1000) < 2.2


def wide(count):
    """As many components, interfaces and depths, and everything fails."""
    log = Log()
    for at in range(count):
        log.component, log.instance = f"component-{at}", at + 1
        items = [f"a:b{at}/c{depth}#some-function-{depth}" for depth in range(12)]
        calls = [log.enter(item, edge="export") for item in items]
        for _ in range(12):
            log.call(f"x:y{at}/z#call", {"error": "no"})
        for item, call in reversed([*zip(items, calls, strict=True)]):
            log.leave(item, call, result={"error": "no"})
    return log


@pytest.mark.parametrize("name", PICTURES)
def test_wide_logs_are_small_pictures(name):
    text = drawn(name, wide(400))
    assert len(text) < 1_000_000
    said = " ".join(filter(None, texts(read(text))))
    told = {"timeline": "370 more lanes not shown", "topology": "more components"}
    assert told.get(name, "of 400 instances") in said


def test_the_deepest_calls_are_said_to_be_missing():
    root = read(drawn("timeline", wide(1)))
    assert "14 calls deeper than 10 calls not shown." in texts(root)


def test_narrow_calls_are_put_together():
    log = Log()
    for _ in range(3000):
        log.call("a:b/c#d", {"error": "no"})
    titles = texts(read(drawn("timeline", log)), "title")
    found = [re.match(r"(\d+) calls?, (\d+) failed", each) for each in titles]
    assert sum(int(each[1]) for each in found if each) == 3000
    assert all(each[1] == each[2] for each in found if each)


def test_a_flame_graph_has_the_shares():
    nodes = [[1, [0, "run", 4, 10, False]], [2, [1, "a;b::c([u8; 4])", 4, 30, True]]]
    root = read(drawn("flame", [{**call_tree([]), "type": SEVERAL, "value": nodes}]))
    wide = {each[0].text.split("\n")[0]: each[1].attrib["width"] for each in root.iter(SVG + "g")
            if each[0].tag == SVG + "title"}  # fmt: skip
    assert wide == {"run": "975.5", "a": "731.5", "b::c([u8; 4])": "731.5"}
    titles = texts(root, "title")
    assert "run\n40, 100.0%\nown: 10, 25.0%" in titles
    assert "a\n30, 75.0%\nown: 0, 0.0%\nput in place of a call" in titles


def test_what_is_too_narrow_or_too_deep_is_said():
    nodes = [(1, (0, "run", 1, 1)), *((n, (1, f"f{n}", n, 1)) for n in range(2, 4002))]
    assert "4,000 more" in texts(read(drawn("flame", [call_tree(nodes)])), "title")
    deep = [(n, (n - 1, f"f{n}", n, 1)) for n in range(1, 60)]
    assert "What is deeper than 40 calls is not shown." in texts(
        read(drawn("flame", [call_tree(deep)]))
    )


def test_failures_and_waits_are_told_by_more_than_colour():
    log = Log()
    log.call("a:b/c#some", {"error": "no"})
    root = read(drawn("timeline", log))
    assert "✗ a:b/c#some" in texts(root)
    assert any("failed" in each for each in texts(root, "title"))


@pytest.mark.parametrize(
    ("wish", "path", "picture"),
    [
        (None, None, ""),
        (None, "run.svg", ""),
        (None, "topology.svg", "topology"),
        (None, "run.flame.svg", "flame"),
        (None, "out/Run.Timeline.SVG", "timeline"),
        ("topology", "timeline.svg", "topology"),
    ],
)
def test_which_picture(wish, path, picture):
    assert picture_of(wish, path) == picture


def test_a_picture_that_does_not_exist():
    with pytest.raises(UsageError, match='unknown picture "topolgy"; did you mean "topology"'):
        picture_of("topolgy", None)


def test_report_draws(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.jsonl").write_text("".join(map(line, many(3))))
    assert main(["report", "-o", "topology.svg", "run.jsonl"]) == 0
    assert main(["report", "--picture", "topology", "run.jsonl"]) == 0
    assert capsys.readouterr().out == (tmp_path / "topology.svg").read_text() != ""
    assert main(["report", "-f", "svg", "run.jsonl"]) == 0
    first = capsys.readouterr().out
    assert main(["report", "--picture", next(iter(PICTURES)), "run.jsonl"]) == 0
    assert capsys.readouterr().out == first
    for wrong in (["-c"], ["-f", "jsonl"], ["-C"]):
        assert main(["report", "--picture", "topology", *wrong, "run.jsonl"]) == 2
        assert "--picture is of -f svg" in capsys.readouterr().err


# --- the kit -----------------------------------------------------------------------------------


def test_numbers_are_short():
    numbers = (0, -0.001, 1.0, 1.005, 12.346, 1e6)
    assert [svg.num(each) for each in numbers] == ["0", "0", "1", "1", "12.35", "1000000"]


@pytest.mark.parametrize("width", range(0, 200, 7))
def test_texts_fit(width):
    for content in (
        "wasi:http/incoming-handler#handle",
        "漢字" * 20,
        "e\u0301" * 30,
        "\x1b[31m" * 9,
    ):
        found = svg.fit(content, width)
        assert svg.text_width(found) <= width
        assert found.isprintable() or "\u0301" in found
    assert svg.fit("short", 100) == "short"
    assert svg.fit("incoming#handle", 80) == "incom…andle"


def test_links_stay_in_the_picture():
    assert svg.link("#a&b", "x") == '<a href="#a&amp;b">x</a>'
    with pytest.raises(WhammError, match="links to places in it"):
        svg.link("https://example.test")


def test_colours_are_by_package():
    assert svg.class_of("export wasi:http/types#fields.new") == svg.class_of("wasi:http")
    assert svg.class_of("wasi:http/types") != svg.class_of("wasi:keyvalue/store")
    assert svg.class_of("plain name") == "c4"


def test_steps_of_the_axis_are_round():
    assert [nice(each) for each in (0, 1, 3, 6, 9999)] == [1, 1, 5, 10, 10000]


def test_a_timeline_says_how_many_asynchronous_calls_have_no_room():
    log = Log(component="front")
    send = "wasi:http/client#send"
    log.enter("wasi:http/handler#handle", edge="export", task=1)
    for at in range(25):
        sent = log.enter(send, task=1, args={"request": at})
        log.later("return", sent, pending=True, status=0x21)
    said = texts(read(drawn("timeline", log)))
    assert "15 more asynchronous calls not shown." in said
