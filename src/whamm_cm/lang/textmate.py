"""A TextMate grammar of the script language, for editors: made of ``grammar.lark`` and the tables
of the language, so that a new keyword, type, function or event is coloured as soon as it is there.

``python -m whamm_cm.lang.textmate`` writes it to standard output.  A pattern of such a grammar sees
one line at a time: a rule that is broken over lines is coloured as far as its first line goes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from whamm_cm.lang.builtins import ACTS, EVENT_FUNCTIONS, FUNCTIONS
from whamm_cm.lang.calls import WORDS
from whamm_cm.lang.events import PACKAGES
from whamm_cm.lang.tables import rules, terminals
from whamm_cm.lang.types import AGGREGATIONS, PRIMS

SCOPE = "source.whamm"

#: What words of the grammar are; others are ``keyword.other``.
_WORDS = {
    "keyword.control": "if elif else while for in return break continue",
    "storage.type": "var const fn param",
    "storage.modifier": "report unshared task frame shared",
    "keyword.operator.word": "as is has",
    "keyword.control.import": "use",
}
_SCOPE_OF = {word: scope for scope, words in _WORDS.items() for word in words.split()}
#: Words no statement at the top of a script begins with; all others begin one that ends with ";".
_NEVER_FIRST = ("map", "fn", "in", "as", "is", "has")

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PLAIN = re.compile(r"([a-z]+)(?:\\b|\(\?|$)")

Pattern = dict[str, Any]


def grammar() -> Pattern:
    """The whole grammar, as it is written in JSON."""
    return {
        "name": "whamm",
        "scopeName": SCOPE,
        "fileTypes": ["mm"],
        "patterns": _includes(
            "comments", "declaration", "function", "branch", "statement", "probe"
        ),
        "repository": {**_repository(), **_regions()},
    }


def made() -> str:
    return json.dumps(grammar(), indent=2, ensure_ascii=False) + "\n"


# --- small parts ---------------------------------------------------------------------------------


def _includes(*names: str) -> list[Pattern]:
    return [{"include": f"#{name}"} for name in names]


def _includes_of(*names: str) -> Pattern:
    return {"patterns": _includes(*names)}


def _match(pattern: str, scope: str) -> Pattern:
    return {"match": pattern, "name": f"{scope}.whamm"}


def _captures(*scopes: str) -> dict[str, Pattern]:
    """Of the whole, or of its groups from the first on."""
    first = 1 if len(scopes) > 1 else 0
    return {str(n): {"name": f"{scope}.whamm"} for n, scope in enumerate(scopes, first)}


def _region(begin: str, end: str, scope: str, *names: str) -> Pattern:
    return {"begin": begin, "end": end, "beginCaptures": _captures(scope), **_includes_of(*names)}


def _any(patterns: Iterable[str]) -> str:
    return "|".join(patterns)


def _words(names: Iterable[str]) -> str:
    return rf"\b(?:{_any(sorted(map(re.escape, names), key=lambda n: (-len(n), n)))})\b"


# --- of the grammar's terminals ------------------------------------------------------------------


def _keyword_patterns() -> dict[str, str]:
    """Patterns of the terminals that are words, by word: with what has to follow."""
    found: dict[str, str] = {}
    for pattern in terminals().values():
        word = _PLAIN.match(pattern)
        if word:
            found[word[1]] = pattern
    return found


def _keyword(word: str) -> str:
    return _keyword_patterns()[word]


def _scope_of(word: str) -> str:
    return _SCOPE_OF.get(word, "keyword.other")


def _branching() -> list[str]:
    """Words a statement at the top begins with that ends with a block."""
    return [w for w in ("if", "elif", "else", "while", "for") if w in _keyword_patterns()]


def _keywords() -> list[Pattern]:
    case = terminals()["CASE"]
    found = [
        {"match": rf"\b(is)\s+({case})", "captures": _captures("keyword.operator.word",
                                                               "constant.other.case")},
        {"match": rf"(@)({_NAME})", "captures": _captures("punctuation.definition.annotation",
                                                          "storage.modifier.annotation")},
        {"match": rf"(\.)({_NAME})(?=\s*\()", "captures": _captures("punctuation.accessor",
                                                                    "entity.name.function.member")},
        {"match": rf"(\.)({_NAME}|[0-9]+)", "captures": _captures("punctuation.accessor",
                                                                  "variable.other.member")},
    ]  # fmt: skip
    by_scope: dict[str, list[str]] = {}
    for word, pattern in _keyword_patterns().items():
        if word != "map":
            by_scope.setdefault(_scope_of(word), []).append(pattern)
    found += [_match(rf"\b(?:{_any(patterns)})", scope) for scope, patterns in by_scope.items()]
    return found


def _literals() -> list[Pattern]:
    numbers = terminals()
    string = {
        "begin": '"',
        "end": '"',
        "name": "string.quoted.double.whamm",
        "patterns": [
            _match(r"\\(?:x[0-9A-Fa-f]{2}|u\{[0-9A-Fa-f]+\}|[nrt\"'\\0])",
                   "constant.character.escape"),
            _match(r"\\.", "invalid.illegal.escape"),
            _match(r"\{\{|\}\}", "constant.character.escape.brace"),
            _match(r"\{(?::[^{}\"]*)?\}", "constant.other.placeholder"),
        ],
    }  # fmt: skip
    return [
        string,
        _match(rf"(?<!\w)(?<!\w\.)(?:{numbers['FLOAT']})", "constant.numeric.float"),
        _match(rf"(?<!\w)(?:{numbers['INT']})", "constant.numeric.integer"),
        _match(rf"\$(?:{_NAME}|[0-9]+)", "variable.parameter"),
    ]


def _names() -> list[Pattern]:
    functions = {*FUNCTIONS, *ACTS, *EVENT_FUNCTIONS, *WORDS, *AGGREGATIONS}
    bound = {name for events in PACKAGES.values() for e in events for name in e.variables}
    plain = [name for name in bound if name[-1] != "N" and not name[-1].isdigit()]
    numbered = sorted({re.escape(n.rstrip("N0123456789")) for n in bound} - {*plain})
    return [
        _match(r"\b(?:true|false|(?i:inf|infinity|nan))\b", "constant.language"),
        _match(rf"{_words(functions)}(?=\s*\()|\btrace(?=\s*;)", "support.function"),
        _match(rf"{_words({*PRIMS, *AGGREGATIONS})}|\bmap(?=\s*<)", "support.type"),
        _match(rf"{_NAME}(?=\s*\()", "entity.name.function"),
        _match(rf"{_words(plain)}|\b(?:{_any(numbered)})(?:0|[1-9][0-9]*)\b", "variable.language"),
        _match(_NAME, "variable.other"),
    ]


def _operators() -> list[Pattern]:
    """What is left of the terminals: longest first."""
    words = {*_keyword_patterns().values()}
    named = ("NAME", "CASE", "LABEL", "INT", "FLOAT", "STRING")
    signs = {n: p for n, p in terminals().items()
             if p not in words and n not in named and p not in rules()}  # fmt: skip
    regexes = [p for n, p in signs.items() if n in ("UPDATE", "STEP", "OPERATOR", "PREFIX")]
    texts = sorted((p for p in signs.values() if p not in regexes and re.search(r"\w", p) is None),
                   key=lambda p: (-len(p), p))  # fmt: skip
    closing = [p for p in texts if p in (r"\(", r"\)", r"\[", r"\]", r"\{", r"\}", ";", ",", ":")]
    rest = [p for p in texts if p not in closing]
    return [
        _match(rf"(?:{_any([*regexes, *rest])})", "keyword.operator"),
        _match(rf"(?:{_any(closing)})", "punctuation.separator"),
    ]


# --- regions -------------------------------------------------------------------------------------


def _repository() -> dict[str, Pattern]:
    """What items begin with."""
    return {
        "comments": {
            "patterns": [
                {"match": "//.*$", "name": "comment.line.double-slash.whamm"},
                *_includes("block-comment"),
            ]
        },
        "block-comment": {  # they nest
            "begin": r"/\*",
            "end": r"\*/",
            "name": "comment.block.whamm",
            **_includes_of("block-comment"),
        },
        "declaration": _declaration(),
        "function": _region(rf"\b({_keyword('fn')})", r"(?<=\})", "storage.type",
                            "comments", "block", "code"),
        "branch": _region(rf"\b({_any(_keyword(w) for w in _branching())})", r"(?<=\})",
                          "keyword.control", "comments", "block", "code"),
        "statement": {
            "begin": rf"(?<![\w.:/])(?=@{_NAME}\s|{_NAME}(?:\.\w+|\[[^\]]*\])*\s*"
                     r"(?:\([^:{]*\)\s*;|(?:[-+*/%&|^]|<<|>>)?=(?!=)|(?:\+\+|--)\s*;))",
            "end": ";",
            "endCaptures": _captures("punctuation.terminator"),
            **_includes_of("comments", "code"),
        },
    }  # fmt: skip


def _regions() -> dict[str, Pattern]:
    """What items consist of."""
    return {
        "probe": _probe(),
        "predicate": {
            "begin": "/(?![/*])",
            "end": r"/(?=\s*(?:\{|$))",
            "beginCaptures": _captures("punctuation.definition.predicate.begin"),
            "endCaptures": _captures("punctuation.definition.predicate.end"),
            **_includes_of("comments", "code"),
        },
        "block": {
            "begin": r"\{",
            "end": r"\}",
            "beginCaptures": _captures("punctuation.section.block.begin"),
            "endCaptures": _captures("punctuation.section.block.end"),
            **_includes_of("comments", "block", "code"),
        },
        "code": {"patterns": [*_literals(), *_keywords(), *_names(), *_operators()]},
        "rule-parts": {"patterns": _rule_parts()},
    }  # fmt: skip


def _declaration() -> Pattern:
    patterns = [p for w, p in _keyword_patterns().items()
                if w not in (*_NEVER_FIRST, *_branching())]  # fmt: skip
    return {
        "begin": rf"\b(?={_any(patterns)})",
        "end": ";",
        "endCaptures": _captures("punctuation.terminator"),
        **_includes_of("comments", "code"),
    }


def _probe() -> Pattern:
    return {
        "begin": rf"(?:{_any(rules())})",
        "end": r"(?<=\})",
        "beginCaptures": {
            "0": {"name": "entity.name.function.rule.whamm", **_includes_of("rule-parts")}
        },
        **_includes_of("comments", "predicate", "block"),
    }


def _rule_parts() -> list[Pattern]:
    modes = {m.text for events in PACKAGES.values() for e in events for m in e.modes} - {""}
    return [
        _match(rf"{_words({*PRIMS})}(?=\s*[,)])", "support.type"),
        _match(r"(?<=:)(?:before|after|cancel|alt)(?=\s*$)", "storage.modifier.mode"),
        _match(rf"(?<=:)(?:{_words(modes)})(?=\s*$)", "storage.modifier.mode"),
        _match(rf"(?<=:)(?:{_words(PACKAGES)})(?=:|\s*$)", "support.class.package"),
        _match(r"[*?|!]", "keyword.operator.glob"),
        _match(r"[:#@/,(){}\[\]]", "punctuation.separator.rule"),
    ]


if __name__ == "__main__":
    print(made(), end="")
