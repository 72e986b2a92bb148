"""Script text to syntax tree: comments, the grammar of ``grammar.lark``, clear errors."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NoReturn

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedToken, VisitError

from whamm_cm.lang import syntax as s
from whamm_cm.lang.build import MAX_DEPTH, Builder, Refusal
from whamm_cm.lang.source import MOST, ScriptError, Source, listed, suggest, together
from whamm_cm.lang.tables import parser

#: Characters a script may have.
MAX_LENGTH = 8 << 20

#: What the places are worth that a person would expect; the rest of the grammar stays unnamed.
_WORDS = {
    "RULE": "a match rule",
    "NAME": "a name",
    "INT": "a number",
    "STRING": "a string",
    "SEMICOLON": '";"',
    "RPAR": '")"',
    "RSQB": '"]"',
    "RBRACE": '"}"',
    "LBRACE": '"{"',
    "LPAR": '"("',
    "COLON": '":"',
    "COMMA": '","',
    "EQUAL": '"="',
    "MORETHAN": '">"',
    "LESSTHAN": '"<"',
    "IN": '"in"',
    "IF": '"if"',
    "OPERATOR": "an operator",
    "PREDICATE_END": 'the "/" that ends the predicate',
    "CASE": "the name of a case",
    "LABEL": "a label",
    "VAR": '"var"',
    "__ANON_0": '"->"',
}

_ITEM = r"(?:[^\s\"#{}();]|\{[^\s{}\";]*\})*"
_SKIP = re.compile(
    r'"(?:[^"\\]|\\.)*"'
    # "/*" in a match rule begins no comment
    r"|(?<![A-Za-z0-9_./:*#@-])(?:wit\s*:"
    + _ITEM
    + r"|[A-Za-z0-9_.*?|!\[\]-]+:"
    + _ITEM
    + r"(?=#))"
    r"|(?<![A-Za-z0-9_./:*#@-])wasm\s*:\s*(?:line|source)\s*:"
    r"(?:[^\s:;\"#{}()]|\{[^\s{};:\"()]*,[^\s{};:\"()]*\})*"
    r"|//[^\n]*|/\*|\"",
    re.S,
)
_COMMENT_PARTS = re.compile(r"/\*|\*/")
_NOT_NEWLINE = re.compile(r"[^\n]")


def parse(source: Source) -> s.Script:
    """Raises ScriptError with the first mistake of each item that has one."""
    script, errors = recovered(source)
    if errors:
        raise together(errors)
    return script


def recovered(source: Source) -> tuple[s.Script, list[ScriptError]]:
    """The items that are no mistake of grammar, and the first mistake of each other one."""
    if len(source.text) > MAX_LENGTH:
        raise source.error(f"the script is longer than {MAX_LENGTH} characters", 0)
    text: str | None = _without_comments(source)
    script, errors = s.Script(()), list[ScriptError]()
    while text is not None:
        try:
            script = _parsed(source, text)
        except ScriptError as error:
            errors.append(error)
            text = _without_item(text, error.start) if len(errors) <= MOST else None
        else:
            break
    if not errors:
        _check_depth(source, script)
    return script, errors


def _parsed(source: Source, text: str) -> s.Script:
    try:
        tree: Any = _parser().parse(text)
    except UnexpectedToken as error:
        _unexpected(source, error.token, error.accepts or error.expected)
    except UnexpectedCharacters as error:
        raise _stray(source, error.pos_in_stream or 0) from None
    except VisitError as error:
        raise _refused(source, error) from None
    except Refusal as refusal:
        raise source.error(refusal.message, refusal.at, refusal.end, refusal.hint) from None
    script: s.Script = tree
    return script


#: Strings, braces of globs, and what items begin and end with.
_BOUNDS = re.compile(r'"(?:[^"\\]|\\.)*"|\{[^\s{};:"()]*,[^\s{};:"()]*\}|[{};]', re.S)
_GOES_ON = re.compile(r"\s*(?:else|elif)\b")


def _without_item(text: str, at: int) -> str | None:
    """The text with blanks for the item at an offset; None where nothing says where it ends."""
    start = depth = 0
    for found in _BOUNDS.finditer(text):
        depth += (found[0] == "{") - (found[0] == "}" and depth > 0)
        if depth or found[0] not in ("}", ";") or _GOES_ON.match(text, found.end()):
            continue
        if found.end() > at:
            blank = _NOT_NEWLINE.sub(" ", text[start : found.end()])
            return text[:start] + blank + text[found.end() :]
        start = found.end()
    return None


def _check_depth(source: Source, script: s.Script) -> None:
    """Later steps recurse on the tree; chains of && and || are balanced later and count once."""
    stack: list[tuple[Any, int, str]] = [(script.items, 0, "")]
    while stack:
        node, depth, chain = stack.pop()
        if not isinstance(node, tuple):
            continue
        if hasattr(node, "_fields"):
            op = node.op if isinstance(node, s.Infix) and node.op in ("&&", "||") else ""
            depth += not op or op != chain
            depth += len(node.arms) if isinstance(node, s.Branch) else 0
            chain = op
            if depth > MAX_DEPTH:
                at = getattr(node, "at", 0)
                raise source.error(f"this is nested more than {MAX_DEPTH} deep", at,
                                   getattr(node, "end", at),
                                   "use variables or functions for parts of it")  # fmt: skip
        stack.extend((child, depth, chain) for child in node if isinstance(child, tuple))


@cache
def _parser() -> Lark:
    return parser(Builder())


def _refused(source: Source, error: VisitError) -> ScriptError:
    refusal = error.orig_exc
    if not isinstance(refusal, Refusal):
        raise refusal
    return source.error(refusal.message, refusal.at, refusal.end, refusal.hint)


# --- comments ------------------------------------------------------------------------------------


def _without_comments(source: Source) -> str:
    """The text with blanks for comments: offsets stay what they are."""
    text, at, parts = source.text, 0, []
    while found := _SKIP.search(text, at):
        start, what = found.start(), found[0]
        if what == '"':
            raise source.error("this string is never closed", start, hint='end it with "')
        end = _comment_end(source, start) if what == "/*" else found.end()
        parts.append(text[at:start])
        is_comment = what == "/*" or what.startswith("//")
        parts.append(_NOT_NEWLINE.sub(" ", text[start:end]) if is_comment else text[start:end])
        at = end
    parts.append(text[at:])
    return "".join(parts)


def _comment_end(source: Source, start: int) -> int:
    depth = 0
    for found in _COMMENT_PARTS.finditer(source.text, start):
        depth += 1 if found[0] == "/*" else -1
        if depth == 0:
            return found.end()
    raise source.error(
        "this comment is never closed", start, start + 2, "comments nest: end it with */"
    )


# --- errors of the grammar -----------------------------------------------------------------------


def _stray(source: Source, at: int) -> ScriptError:
    return source.error(f"the character {source.text[at]!r} means nothing here", at)


_KEYWORDS = (
    "var",
    "report",
    "unshared",
    "task",
    "frame",
    "shared",
    "if",
    "elif",
    "else",
    "while",
    "const",
    "break",
    "continue",
    "for",
    "return",
    "use",
    "fn",
)


def _unexpected(source: Source, token: Token, expected: set[str]) -> NoReturn:
    if token.type == "$END":
        at = len(source.text.rstrip())
        message = "the script ends in the middle"
        closing = expected & {"RBRACE", "RPAR", "RSQB", "SEMICOLON"}
        raise source.error(message, max(0, at - 1), at, _expectation(closing or expected))
    at = token.start_pos or 0
    end = at + max(1, len(str(token).rstrip()))
    text = str(token).strip()
    if token.type == "RULE":
        text = re.split(r"[\s:]", text)[0] or ":"
        end = at + len(text)
    raise source.error(f"{text!r} is not expected here", at, end, _advice(source, token, expected))


def _advice(source: Source, token: Token, expected: set[str]) -> str:
    text, before = str(token).strip(), source.text[: token.start_pos].rstrip()
    word = re.search(r"[A-Za-z_]\w*$", before)
    if word and re.match(r"[\w{(]", text):
        if word[0] in ("else", "elif"):
            return "there is no if before it"
        if word[0] == "param":
            return "parameters are declared at the top of a script"
        if word[0] in _TYPES:
            return f"declare variables as var {text}: {word[0]};"
        close = suggest(word[0], _KEYWORDS)
        if close and word[0] not in _KEYWORDS:
            return close
    if text == "=" and before.endswith("="):
        return "a comparison cannot stand alone"
    if "SEMICOLON" in expected and "\n" in source.text[len(before) : token.start_pos]:
        return 'a ";" is missing before it'
    return _expectation(expected)


_TYPES = frozenset(
    ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "u64", "i64", "f64", "bool", "str", "map"]
)


def _expectation(expected: set[str]) -> str:
    """The most telling few of the terminals that could have come."""
    words = [word for terminal, word in _WORDS.items() if terminal in expected]
    return f"expected {listed(words, 4)}" if words else ""
