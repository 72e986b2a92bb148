"""The grammar for editors: generated, and of one mind with the parser about all scripts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from lark import Token

from tests.docs.book import ROOT, blocks
from tests.lang.textmate_run import Tokenizer
from whamm_cm.lang.build import Builder
from whamm_cm.lang.builtins import FUNCTIONS
from whamm_cm.lang.parse import _without_comments, parse
from whamm_cm.lang.source import ScriptError, Source
from whamm_cm.lang.tables import parser, terminals
from whamm_cm.lang.textmate import grammar, made
from whamm_cm.lang.types import PRIMS

TOKENIZER = Tokenizer(grammar())

#: Scopes that tokens of the parser may have; what is not named is a word of the grammar.
SIGNS = ("keyword.operator", "punctuation")
NAMES = ("variable", "support", "entity.name.function", "constant.language", "constant.other.case",
         "storage.modifier.annotation")  # fmt: skip
EXPECTED: dict[str, tuple[str, ...]] = {
    "NAME": NAMES, "LABEL": (*NAMES, "keyword"), "CASE": ("constant.other.case",),
    "INT": ("constant.numeric", "variable.other.member"), "FLOAT": ("constant.numeric",),
    "STRING": ("string",), "MAP": ("support.type",),
    "GIVEN": ("variable.parameter",),
}  # fmt: skip


def scripts() -> dict[str, str]:
    """Every script of the tests, the monitors and the documentation that can be parsed."""
    found = {
        str(path.relative_to(ROOT)): path.read_text("utf-8")
        for folder in ("src", "tests", "fixtures")
        for path in sorted((ROOT / folder).rglob("*.mm"))
    }
    for page in sorted((ROOT / "docs").glob("*.md")):
        found |= {b.name: "\n".join(b.lines) + "\n" for b in blocks(page) if b.language == "mm"}
    return {name: text for name, text in found.items() if _parses(text)}


def _parses(text: str) -> bool:
    try:
        parse(Source(0, "script", text))
    except ScriptError:
        return False
    return True


def _tokens(source: Source) -> tuple[str, list[Token]]:
    text = _without_comments(source)
    interactive = parser(Builder()).parse_interactive(text)
    return text, list(interactive.exhaust_lexer())


def _expected(token: Token) -> tuple[str, ...]:
    if token.type.endswith("RULE"):
        return ("entity.name.function.rule",)
    if token.type in EXPECTED:
        return EXPECTED[token.type]
    return ("keyword", "storage") if token[:1].isalpha() else SIGNS


SCRIPTS = scripts()


def test_there_are_many_scripts() -> None:
    assert len(SCRIPTS) > 150


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_the_parser_sees_is_what_is_coloured(name: str) -> None:
    source = Source(0, name, SCRIPTS[name])
    scopes = TOKENIZER.scopes(source.text)
    text, tokens = _tokens(source)
    for token in tokens:
        assert token.start_pos is not None
        first = token.start_pos + len(token) - len(token.lstrip())
        end = token.start_pos + len(token.rstrip())
        if token.type.endswith("RULE"):  # a line at a time
            end = min(end, (text.find("\n", first) + 1 or len(text) + 1) - 1)
        for at in (first, end - 1):
            mine = scopes[at]
            assert any(s.startswith(_expected(token)) for s in mine), (
                f"{name}:{source.place(at)} {token.type} {str(token)!r} is {mine}"
            )
    for at, (char, left) in enumerate(zip(source.text, text, strict=True)):
        if char != left:
            assert scopes[at][:1] and scopes[at][0].startswith("comment"), source.place(at)


def test_what_is_in_the_tables_is_known() -> None:
    for name in FUNCTIONS:
        assert _scope(f"wasm:begin {{ {name}(); }}", name) == "support.function.whamm"
    for name in PRIMS:
        assert _scope(f"var x: {name};", name) == "support.type.whamm"
    assert _scope("wasm:begin { fid; }", "fid") == "variable.language.whamm"
    assert _scope("wasm:begin { arg12; arg01; }", "arg12") == "variable.language.whamm"
    assert _scope("wasm:begin { arg12; arg01; }", "arg01") == "variable.other.whamm"


def test_every_word_of_the_grammar_is_a_keyword() -> None:
    words = [p for n, p in terminals().items() if n.isupper() and re.match("[a-z]", p)]
    assert len(words) > 15
    for pattern in words:
        word = re.match("[a-z]+", pattern)
        assert word is not None
        if word[0] != "map" and not word[0].startswith("wit"):
            after = next(x for x in (" x", "\n", ";", " var", "(", "<") if
                         re.match(pattern, word[0] + x))  # fmt: skip
            scope = _scope(f"wasm:begin {{ {word[0]}{after} }}", word[0])
            assert scope.startswith(("keyword", "storage")), (pattern, scope)


def _scope(text: str, word: str) -> str:
    return TOKENIZER.scopes(text)[text.rindex(f" {word}") + 1][-1]


def test_a_rule_over_two_lines_does_not_spoil_what_follows() -> None:
    text = "wasm:opcode:call(arg0: i32,\n  arg1: i32):before { x++; }\nwasm:begin { x = 1; }\n"
    assert TOKENIZER.scopes(text)[text.rindex("wasm")][0] == "entity.name.function.rule.whamm"
    assert TOKENIZER.scopes(text)[text.rindex("1")][-1] == "constant.numeric.integer.whamm"


def test_the_command_writes_it() -> None:
    words = [sys.executable, "-m", "whamm_cm.lang.textmate"]
    run = subprocess.run(words, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == grammar()


@pytest.mark.oracle
def test_the_engine_of_vs_code_says_the_same() -> None:
    """Where node finds `vscode-textmate` and `vscode-oniguruma` (NODE_PATH)."""
    program = Path(__file__).with_name("textmate_oracle.js")
    try:
        run = subprocess.run(
            ["node", str(program)], input=json.dumps([made(), *SCRIPTS.values()]),
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("there is no node")
    if "Cannot find module" in run.stderr:
        pytest.skip("node does not find vscode-textmate and vscode-oniguruma")
    assert run.returncode == 0, run.stderr
    theirs = json.loads(run.stdout)
    for (name, text), lines in zip(SCRIPTS.items(), theirs, strict=True):
        mine = TOKENIZER.scopes(text)
        at = 0
        for line, tokens in zip(text.splitlines(keepends=True), lines, strict=True):
            for start, end, scopes in tokens:
                for place in range(start, min(end, len(line.rstrip("\n")))):
                    assert list(mine[at + place]) == scopes[1:], (name, line, place)
            at += len(line)
