"""Markdown, for comments on pull requests and the step summary of GitHub Actions.

What fails comes first, each finding with the line of the policy that decides, a path in the
component that leads there, and what to write to let it pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from whamm_cm.gate.model import ComponentReport, Finding, Report, fails
from whamm_cm.gate.outputs.acting import Help, Helper
from whamm_cm.gate.outputs.table import counts, state, summary
from whamm_cm.render.safe import lines, printable

#: GitHub takes comments of up to 65,536 characters.
COMMENT = 65_000
#: And step summaries of up to 1 MiB.
SUMMARY = 1_000_000

#: The first line: who writes the comment anew finds the old one by it.
MARK = "<!-- whamm-cm gate -->"

_SIGNS = {"error": "❌", "warning": "⚠️", "note": "💡"}

#: Words that are nothing but words: no names of users, no addresses, no markup.
_PLAIN = re.compile(
    r"[(\"']*([A-Za-z]+('[a-z]+)?(-[A-Za-z]+)*|[0-9]+([.,][0-9]+)*|[…%])[\"')]*[.,;:!?]*"
)

#: So many components, and inputs that were not judged, are named.
_MOST = 100

_Row = tuple[ComponentReport | None, Finding]


def render(report: Report, most: int = COMMENT) -> str:
    """``most``: bytes; what does not fit is counted, from the last and least on."""
    rows: list[_Row] = [(one, found) for one in report.components for found in one.findings]
    rows += [(None, found) for found in report.findings]
    bad = [row for row in rows if fails(row[1], report.fail_on)]
    rest = [row for row in rows if not fails(row[1], report.fail_on)]
    text = _text(_head(report))
    text += _blocks(report, bad, most - _size(text))
    if rest:
        text += f"\n<details>\n<summary>Not failing: {_number(len(rest))}</summary>\n"
        text += _blocks(report, rest, most - _size(text)) + "\n</details>\n"
    return text


def _text(given: Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in given)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _number(count: int) -> str:
    return "1 finding" if count == 1 else f"{count} findings"


def _head(report: Report) -> Iterator[str]:
    yield MARK
    yield f"## {'❌' if report.failed else '✅'} whamm-cm gate: {report.verdict.upper()}"
    yield ""
    policy = f"Policy {_code(report.policy)}: " if report.policy else "No policy: "
    yield policy + _prose(summary(report))
    if report.unjudged:
        yield ""
        yield "**Not judged**"
        yield ""
        yield from (f"- {_prose(one.message)}" for one in report.unjudged[:_MOST])
        yield from _more(len(report.unjudged) - _MOST)
    if report.components:
        yield ""
        yield "| component | findings | bytes | imported | reachable | observed | digest |"
        yield "|---|--:|--:|--:|--:|--:|---|"
        yield from map(_component, report.components[:_MOST])
        yield from _more(len(report.components) - _MOST)
        held = [one for one in report.components[:_MOST] if one.guard]
        if held:
            yield ""
            yield from (f"- {_code(one.path)} is {_prose(one.guard)}" for one in held)


def _more(count: int) -> Iterator[str]:
    if count > 0:
        yield ""
        yield f"and {count} more"


def _component(one: ComponentReport) -> str:
    declared, reachable, observed = counts(one)
    image = f" image {_code(one.image)}" if one.image else ""
    digest = f"`sha256:{one.subject.sha256}`{image}"
    seen = "" if observed is None else observed
    number = sum(found.counts for found in one.findings)
    cells = (_code(one.path), number, f"{one.subject.size:,}", declared, reachable, seen, digest)
    # A cell ends at a stroke, in code, too.
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _blocks(report: Report, rows: list[_Row], room: int) -> str:
    """What fits, and how many do not."""
    kept: list[str] = []
    room -= 200  # for what stands behind
    helper = Helper(report)
    for number, (one, found) in enumerate(rows):
        opened = not number and fails(found, report.fail_on)
        block = _text(_finding(found, helper.of(one, found), opened))
        room -= _size(block)
        if room < 0:
            left = len(rows) - number
            kept.append(f"\n{_number(left)} more did not fit; `-f html` has all of them.\n")
            break
        kept.append(block)
    return "".join(kept)


def _finding(found: Finding, aid: Help, opened: bool) -> Iterator[str]:
    where = f" in {_tag(found.component)}" if found.component else ""
    yield ""
    yield f"<details{' open' * opened}>"
    yield (
        f"<summary>{_SIGNS[found.severity]} <b>{found.severity}</b> {_tag(found.item)}"
        f" {found.name} ({found.rule}){where}{escape(state(found))}</summary>"
    )
    yield ""
    yield _prose(found.message)
    if found.waived is not None:
        yield ""
        owner = f", {_prose(found.waived.owner)}" if found.waived.owner else ""
        yield f"**Waived:** {_prose(found.waived.reason)}{owner}"
    if found.location is not None:
        yield ""
        yield f"**Decided by** {_code(str(found.location))}"
        if aid.quote.strip():
            yield from _fenced("yaml", aid.quote)
    if aid.way:
        rest = f", and {aid.ways - 1} more" if aid.ways > 1 else ""
        yield ""
        yield f"**Path in the component** to {_code(aid.to)}{rest}"
        yield from _fenced("text", "\n".join(f"{kind:<8}{step}".rstrip() for kind, step in aid.way))
    if found.counts:
        yield from _remedies(found, aid)
    yield ""
    yield "</details>"


def _remedies(found: Finding, aid: Help) -> Iterator[str]:
    yield ""
    yield f"**What to do** {_prose(found.fix)}"
    if aid.allow:
        yield ""
        yield f"**To allow it,** {_where(aid)}:"
        yield from _fenced("yaml", aid.allow)
    if aid.waiver:
        yield ""
        yield "**Or accept it for a while,** with a waiver in the policy:"
        yield from _fenced("yaml", aid.waiver)
    if aid.why:
        yield ""
        yield f"<sub>Why it matters: {_prose(aid.why)}</sub>"


def _where(aid: Help) -> str:
    if aid.target:
        return f"merge this into {_code(aid.target)}"
    return "judge by a policy of your own, which begins with this"


# Names come from the component: they must not become markup, nor mention or link anybody


def _prose(text: str) -> str:
    """A sentence, in which all that is more than a word becomes code.  A backslash would keep
    GitHub from neither names of users nor addresses."""
    spans: list[tuple[bool, list[str]]] = []
    for word in printable(text).split():
        plain = _PLAIN.fullmatch(word) is not None
        if spans and spans[-1][0] == plain:
            spans[-1][1].append(word)
        else:
            spans.append((plain, [word]))
    return " ".join(
        " ".join(words) if plain else " ".join(map(_word, words)) for plain, words in spans
    )


def _word(word: str) -> str:
    """Punctuation around a name is none of its own."""
    inner = word.strip("()\"'")
    inner = inner.rstrip(".,;:") or word
    before, _, after = word.partition(inner)
    return f"{before}{_code(inner)}{after}"


def _code(text: str) -> str:
    """In backticks, more of them than there are in it."""
    shown = printable(text)
    ticks = "`" * (_longest(shown) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") or not shown.strip() else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}"


def _tag(text: str) -> str:
    return f"<code>{escape(printable(text))}</code>"


def _fenced(language: str, text: str) -> Iterator[str]:
    shown = lines(text).rstrip("\n")
    fence = "`" * max(3, _longest(shown) + 1)
    yield ""
    yield f"{fence}{language}"
    yield shown
    yield fence


def _longest(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
