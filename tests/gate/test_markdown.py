"""The comment on a pull request: no name of a guest is markup, and what it tells to do works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.gate.making import call, component, judge, said
from whamm_cm.gate.model import Finding, Location, Report, Unjudged
from whamm_cm.gate.outputs import markdown
from whamm_cm.gate.outputs.acting import Helper

HOSTILE = (
    "x\r\n</details>``` `` <b onclick=1>x</b> <script>alert(1)</script> ![i](https://evil.example/i)"
    " @octocat #12 org/repo#3 www.evil.example me@evil.example | [l](x) \u202e\ud800\x1b[31m -->"
)
#: What the report itself is written with.
TAGS = {
    "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "code", "pre", "details", "summary",
    "b", "strong", "sub", "ul", "li",
}  # fmt: skip


class _Page(HTMLParser):
    """Tags with their attributes, and text that stands outside of code."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "code" not in self.open:
            self.text += data


def page(text: str) -> _Page:
    shown = MarkdownIt("commonmark").enable("table").render(text)
    found = _Page(shown)
    assert not found.open
    return found


def hostile(text: str, count: int = 1) -> Report:
    place = Location(text, 3, 1, text)
    findings = tuple(
        Finding("WCM017", "bad-name", "error", text, f"{text}{n}", text, text, place, allow=text)
        for n in range(count)
    )
    (one,) = judge(component({"a:b/c": ("d",)})).components
    ways = {f"{text}0": (("core", text), ("import", text))}
    one = replace(
        one, path=text, findings=findings, subject=replace(one.subject, ways=ways), image=text
    )
    return Report("0", text, "error", (one,), findings, (Unjudged(text, text),))


def harmless(found: _Page) -> None:
    for tag, names in found.tags:
        assert tag in TAGS, tag
        allowed = {"details": ("open",), "code": ("class",), "th": ("style",), "td": ("style",)}
        assert set(names) <= set(allowed.get(tag, ())), (tag, names)
    assert not re.search(r"@|#|://|www\\.|_|evil|[\x00-\x08\x1b\u202e]", found.text), found.text


def test_names_of_a_guest_are_code_everywhere() -> None:
    text = markdown.render(hostile(HOSTILE))
    harmless(page(text))
    assert "\x1b" not in text and "\u202e" not in text


@given(st.text(min_size=1, max_size=40))
def test_no_name_gets_out_of_its_code(name: str) -> None:
    found = page(markdown.render(hostile(name + "`<@#")))
    for tag, _ in found.tags:
        assert tag in TAGS
    assert "@" not in found.text and "<" not in found.text


def test_what_does_not_fit_is_counted() -> None:
    text = markdown.render(hostile(HOSTILE, 500))
    assert len(text.encode("utf-8", "replace")) < 65_536
    left = re.search(r"(\d+) findings more did not fit", text)
    assert left and int(left[1]) + text.count("<details") == 1000
    harmless(page(text))
    assert len(markdown.render(hostile(HOSTILE, 500), markdown.SUMMARY)) > 65_536


def test_fewer_are_named_than_there_are() -> None:
    many = replace(hostile("a"), components=hostile("a").components * 250, findings=())
    many = replace(many, unjudged=many.unjudged * 250)
    text = markdown.render(many)
    assert text.count("and 150 more") == 2 and len(text) < 65_536


# What it tells to do

SOCKETS = {"wasi:sockets/tcp@0.2.3": ("bind", "listen"), "acme:kv/store@1.2.0": ("get",)}


def opened(number: int, path: str) -> tuple[dict, ...]:
    args = {"path-flags": [], "path": path, "open-flags": ["create"], "flags": ["write"]}
    return call(
        number, "wasi:filesystem/types#descriptor.open-at", {"ok": number}, self=3, args=args
    )


def records() -> tuple[dict, ...]:
    args = {"network": 1, "name": "db.example"}
    return (
        *call(1, "wasi:sockets/ip-name-lookup#resolve-addresses", {"ok": 4}, args=args),
        *call(2, "wasi:cli/environment#get-environment", [["KEY *", "x"], ["HOME", "x"]]),
        *call(3, "wasi:filesystem/preopens#get-directories", [[3, "/data"]]),
        *opened(4, "a*b.txt"),
        *opened(5, "plain.txt"),
    )


CASES = {
    "WCM010": ("imports: {default: deny}\n", None),
    "WCM014": ('imports: {allow: ["wasi:sockets/tcp#bind", "acme:*"]}\n', None),
    "WCM040": ("rules: {WCM040: {max_bytes: 9}}\n", None),
    "WCM060": ("permissions: {network: {allow: []}}\n", records()),
    "WCM061": ("permissions: {storage: {allow: []}}\n", records()),
    "WCM062": ("permissions: {environment: {allow: []}}\n", records()),
}


def findings(report: Report, rule: str) -> Iterator[Finding]:
    return (one for one in report.all() if one.rule == rule and one.counts)


@pytest.mark.parametrize("rule", CASES)
def test_what_is_said_to_allow_a_finding_does(rule: str, tmp_path) -> None:
    data = component(SOCKETS)
    text, logs = CASES[rule]
    base = tmp_path / "p.yaml"
    base.write_text("version: 1\n" + text)
    before = judge(data, "extends: [p.yaml]\n", logs, file=str(tmp_path / "q.yaml"))
    found = list(findings(before, rule))
    assert found
    for one in found:
        if one.item == "KEY *":  # no policy can say this
            assert one.allow == ""
            continue
        more = "extends: [p.yaml]\n" + one.allow
        after = judge(data, more, logs, file=str(tmp_path / "q.yaml"))
        assert set(said(before)) - set(said(after)) == {(rule, one.item)}, one.allow


@pytest.mark.parametrize("rule", CASES)
def test_a_waiver_that_is_proposed_works_when_a_reason_is_given(rule: str, tmp_path) -> None:
    data = component(SOCKETS)
    text, logs = CASES[rule]
    before = judge(data, text, logs)
    found = list(findings(before, rule))
    assert any("*" not in one.item for one in found)
    for one in found:
        waiver = Helper(before).of(before.components[0], one).waiver
        if "*" in one.item:  # a glob, which would mean others, too
            assert waiver == ""
            continue
        after = judge(data, text + waiver.replace('reason: ""', 'reason: "seen"'), logs)
        assert set(said(before)) - set(said(after)) == {(rule, one.item)}


def test_a_waiver_that_is_proposed_means_its_finding_only() -> None:
    """Not those of other versions, or of the functions of a name."""
    data = component({
        "acme:kv/store": ("get",), "acme:kv/store@1.2.0": ("get",), "acme:kv/store@1.9.9": ("get",),
        "WASI:io/poll": ("aB", "poll"),
    })  # fmt: skip
    text = "imports: {default: deny}\n"
    before = judge(data, text)
    proposed = {}
    for one in before.components[0].findings:
        waiver = proposed[one.rule, one.item] = Helper(before).of(before.components[0], one).waiver
        if waiver:
            after = judge(data, text + waiver.replace('reason: ""', 'reason: "seen"'))
            assert [each.item for each in after.all() if each.waived] == [one.item]
    assert proposed["WCM010", "acme:kv/store"] == ""
    assert '"acme:kv/store@=1.2.0"' in proposed["WCM010", "acme:kv/store@1.2.0"]
    assert '"acme:kv/store@1.9.9"' in proposed["WCM010", "acme:kv/store@1.9.9"]
    assert proposed["WCM017", "WASI:io/poll"] == ""
    assert '"WASI:io/poll#aB"' in proposed["WCM017", "WASI:io/poll#aB"]


def test_a_denial_is_not_got_round_by_allowing() -> None:
    (one,) = findings(judge(component(SOCKETS), 'imports: {deny: ["wasi:sockets/*"]}'), "WCM010")
    assert one.allow == ""


def test_a_profile_is_gone_on_from() -> None:
    report = judge(component(SOCKETS), "imports: {default: deny}")
    profile = replace(report, policy="profile wasi-0.2")
    found = next(findings(report, "WCM010"))
    aid = Helper(profile).of(report.components[0], found)
    assert aid.target == "" and aid.allow.startswith("version: 1\nextends: [wasi-0.2]\nimports:")
    assert "begins with this" in markdown.render(profile)


def test_the_way_leads_to_what_the_finding_is_about() -> None:
    report = judge(component(SOCKETS, calls="listen"), "imports: {default: deny}")
    aid = {
        one.item: Helper(report).of(report.components[0], one) for one in findings(report, "WCM010")
    }
    way = aid["wasi:sockets/tcp@0.2.3"]
    assert way.to == "wasi:sockets/tcp@0.2.3#listen" and way.ways == 1
    assert way.way[0] == ("export", "run") and way.way[-1][1] == way.to
    assert aid["acme:kv/store@1.2.0"].way == ()  # nothing calls it


def test_the_line_that_decides_is_quoted() -> None:
    report = judge(component(SOCKETS), "imports:\n  default: deny  # for now\n")
    aid = Helper(report).of(report.components[0], next(findings(report, "WCM010")))
    assert aid.quote == "  default: deny  # for now"
    assert "  default: deny  # for now" in markdown.render(report)
