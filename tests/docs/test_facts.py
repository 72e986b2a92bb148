"""Tables, options and links of the documentation say what the code says."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.book import PAGES, ROOT, blocks, code, prose, rows, shell_blocks
from tests.docs.test_commands import FOREIGN, tool
from whamm_cm.agent import layout
from whamm_cm.cli.main import COMMANDS, parser
from whamm_cm.emit.model import Redact
from whamm_cm.render.options import SORTS
from whamm_cm.render.registry import RENDERERS
from whamm_cm.weave.redact import RULES
from whamm_cm.wit.classes import CLASSES

LINKING = (*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md")
#: Options of other tools that the pages name.
FOREIGN_OPTIONS = {
    "--prefix", "--timestamps", "--weave", "--no-entry", "--stub-wasi",
    "--core-instances", "--max-guest-memory", "--default-heap-memory", "--guest-memory-mode",
    "--wasi-otel", "--beside", "--mode",
}  # fmt: skip


# --- options -------------------------------------------------------------------------------------


def command_parser(name: str) -> argparse.ArgumentParser:
    (action,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    return action.choices[name]


def options(of: argparse.ArgumentParser) -> set[str]:
    """Every option with a help text of its own (the others are said once, in index.md)."""
    visible = (action for action in of._actions if action.help is not argparse.SUPPRESS)
    return {option for action in visible for option in action.option_strings}


def documented(page: str) -> set[str]:
    spans = [span for row in rows(page, "option") for span in code(row[0])]
    return {span.split("[")[0].split()[0] for span in spans}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_of_a_command_lists_its_options(command: str) -> None:
    assert documented(f"{command}.md") == options(command_parser(command))


def test_the_options_of_every_command_are_listed() -> None:
    assert documented("index.md") == options(parser())


def test_every_option_that_is_named_anywhere_exists() -> None:
    known = options(parser()).union(*(options(command_parser(name)) for name in COMMANDS))
    for page in PAGES:
        spans = code(prose(page))
        named = {found for span in spans for found in re.findall(r"(?<![\w-])--[a-z][a-z-]*", span)}
        assert named - known - FOREIGN_OPTIONS == set(), page.name


def test_choices_are_documented() -> None:
    for command in ("trace", "instrument"):
        texts = {code(row[0])[0]: row for row in rows(f"{command}.md", "option")}
        for action in command_parser(command)._actions:
            for choice in action.choices or ():
                row = " ".join(next(r for o, r in texts.items() if o.split()[0] in
                                    action.option_strings))  # fmt: skip
                assert choice in row, f"{command}.md: {action.option_strings} {choice}"
    for page in ("trace.md", "report.md"):
        (row,) = (row for row in rows(page, "option") if row[0] == "`-S COL`")
        assert tuple(code(row[1])) == SORTS


def test_shown_commands_use_options_that_exist() -> None:
    """Of commands that are not run; running tells for the others."""
    for block in shell_blocks():
        for shown in block.commands() if block.needs else ():
            for part in shown.command.split("|"):
                words = part.split()
                if words[0] != "whamm-cm":
                    assert words[0] in FOREIGN, shown.command
                    continue
                own = words[2 : words.index("--") if "--" in words else None]
                used = {word for word in own if word.startswith("-") and word != "-"}
                assert used <= options(command_parser(words[1])), shown.command
                assert tool(shown.command) in FOREIGN


# --- tables --------------------------------------------------------------------------------------


def test_classes() -> None:
    found = {code(row[0])[0]: (row[1], tuple(code(row[2]))) for row in rows("trace.md", "class")}
    assert found == {f"%{name}": row for name, row in CLASSES.items()}
    assert [code(row[0])[0] for row in rows("trace.md", "class")] == [f"%{c}" for c in CLASSES]


def described(rule: Redact) -> str:
    words = {"values": "strings and bytes of", "headers": "values of secret headers in"}
    parts = []
    if rule.params != "none":
        parts.append(f"{words[rule.params]} the parameters")
    if rule.result != "none":
        parts.append(f"{words[rule.result]} the result")
    if rule.gate is not None:
        parts.append(
            f"what follows parameter {rule.gate} (the name; `self` is 0), and the result,"
            " if it names a secret header"
        )
    return "; ".join(parts)


def test_redaction_rules() -> None:
    found = [(code(r[0])[0], code(r[1])[0], r[2]) for r in rows("instrument.md", "interface")]
    assert found == [(interface, func, described(rule)) for interface, func, rule in RULES]


def test_secret_headers() -> None:
    text = (ROOT / "docs" / "instrument.md").read_text("utf-8")
    (sentence,) = re.findall(r"Secret headers are (.*?), in\s+any\s+case", text, re.S)
    assert tuple(code(sentence)) == layout.SECRET_NAMES


def test_sinks() -> None:
    (action,) = (a for a in command_parser("instrument")._actions if a.dest == "sink")
    found = [code(row[0])[0] for row in rows("instrument.md", "sink")]
    assert sorted(found) == sorted(action.choices or ())


def test_formats() -> None:
    found = [(code(r[0])[0], tuple(code(r[1])), r[2]) for r in rows("report.md", "format")]
    assert found == [(r.name, r.suffixes, r.help) for r in RENDERERS.values()]
    (row,) = (row for row in rows("trace.md", "option") if row[0].startswith("`-f"))
    assert set(RENDERERS) == set(code(row[1]))


@pytest.mark.parametrize(
    ("head", "values"),
    [
        ("phase", layout.Phase),
        ("flag", layout.RecordFlag),
        ("site kind", layout.SiteKind),
        ("edge", layout.Edge),
        ("node kind", layout.NodeKind),
    ],
)
def test_numbers_of_the_binary_formats(head: str, values: type[int]) -> None:
    found = {row[1]: int(row[0]) for row in rows("records.md", head)}
    members = values.__members__  # type: ignore[attr-defined]
    assert found == {name: one.value for name, one in members.items()}


def test_constants_of_the_binary_formats() -> None:
    text = prose(ROOT / "docs" / "records.md")
    for said in (
        f"u32 magic 0x{layout.BLOCK_MAGIC:X}",
        f"magic 0x{layout.TABLE_MAGIC:X} (`WCMT`), version {layout.TABLE_VERSION},",
        f"A record has at most {layout.MAX_RECORD} bytes.",
        f"`kept` 0x{layout.BAD_POINTER:X} means a bad pointer, 0x{layout.REDACTED:X} a redacted",
        f"a header of {layout.BLOCK_HEADER} bytes",
        f"Header, {layout.TABLE_HEADER} bytes",
        f"Site, {layout.SITE_SIZE} bytes",
        f"Type node, {layout.NODE_SIZE} bytes",
        f"rows of {layout.ENTRY_SIZE} bytes",
        f"a list of chunks of {layout.CHUNK} bytes",
        f"custom section `{layout.TABLE_SECTION}`",
        f"nested more than {layout.MAX_DEPTH} deep",
    ):
        assert said in text, said


def test_limits_of_the_buffer() -> None:
    text = prose(ROOT / "docs" / "instrument.md")
    assert f"more than {layout.HIGH_SIZE >> 10} KiB are in the buffer" in text
    assert f"up to\n{layout.MAX_BUFFER >> 20} MiB" in text or "up to 1 MiB" in text
    assert f"| a record | {layout.MAX_RECORD >> 10} KiB |" in text
    defaults = {a.dest: a.default for a in command_parser("instrument")._actions}
    assert f"`--max-string`, {defaults['max_string']}" in text
    assert f"`--max-list`, {defaults['max_list']}" in text


# --- rooms, files and links ----------------------------------------------------------------------


def test_the_rooms_are_the_packages() -> None:
    package = ROOT / "src" / "whamm_cm"
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    rooms |= {"dataclass.py", "errors.py", "files.py"}
    assert {code(row[0])[0] for row in rows("dev-intro.md", "room")} == rooms


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", prose(page), re.M)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def links() -> Iterator[tuple[Path, str]]:
    for page in LINKING:
        for target in re.findall(r"\]\(([^)]+)\)", prose(page)):
            yield page, target


@pytest.mark.parametrize(
    ("page", "target"), list(links()), ids=lambda x: x.name if isinstance(x, Path) else x
)
def test_links_lead_somewhere(page: Path, target: str) -> None:
    if target.startswith("https://"):
        return
    name, _, anchor = target.partition("#")
    path = (page.parent / name).resolve() if name else page
    assert path.is_file(), f"{page.name} links to {target}"
    if anchor:
        assert anchor in anchors(path), f"{page.name} links to {target}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    linked = {(page.parent / target.partition("#")[0]).resolve() for page, target in links()}
    assert set(PAGES) - {ROOT / "README.md"} <= linked


def test_files_that_are_named_exist() -> None:
    for page in PAGES:
        spans = code(prose(page))
        for span in spans:
            if re.fullmatch(r"(src|tests|fixtures|docs|wit|\.ci)/[\w./-]+", span):
                assert (ROOT / span).exists(), f"{page.name}: {span}"


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    texts = [code(prose(page)) for page in LINKING]
    texts += [[line for block in blocks(page) for line in block.lines] for page in LINKING]
    named = {
        word for text in texts for one in text for word in re.findall(r"\bmake ([\w-]+)$", one)
    }
    assert named and named <= targets


def test_no_page_names_this_machine() -> None:
    for page in LINKING:
        text = page.read_text("utf-8")
        assert not re.search(r"(?<![\w.])/(work|home|root|tmp)/", text), page.name
