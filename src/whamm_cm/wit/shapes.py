"""What names of the component model can look like, as automata for :meth:`Glob.dead`.

A letter stands as itself; Explainer.md, "Import and Export Definitions", has the grammar.
"""

from __future__ import annotations

from whamm_cm.wit.glob import Language

_LOWER, _UPPER, _DIGIT = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"

#: All characters that names have, those of core modules among them, as far as they are usual.
ALPHABET = _LOWER + _UPPER + _DIGIT + "-:/._$"

Rows = dict[str, dict[str, str]]


def _row(**targets: str) -> dict[str, str]:
    """``lower``, ``upper`` and ``digit`` are kinds; the others are given by name."""
    kinds = {"lower": _LOWER, "upper": _UPPER, "digit": _DIGIT}
    signs = {"dash": "-", "colon": ":", "slash": "/", "dot": "."}
    return {
        ch: target for kind, target in targets.items() for ch in (kinds.get(kind) or signs[kind])
    }


def _label(prefix: str, start: str, **ends: str) -> Rows:
    """A ``label``: states ``prefix``-low, -up and -number end one; ``ends``: what may follow."""
    low, up, dash, number = (f"{prefix}-{part}" for part in ("low", "up", "dash", "number"))
    return {
        start: _row(lower=low, upper=up),
        low: _row(lower=low, digit=low, dash=dash, **ends),
        up: _row(upper=up, digit=up, dash=dash, **ends),
        dash: _row(lower=low, upper=up, digit=number),
        number: _row(lower=low, upper=up, digit=number, dash=dash, **ends),
    }


def _words(prefix: str, start: str, **ends: str) -> Rows:
    """Words in lower case, as in namespaces and packages."""
    word, dash = f"{prefix}-word", f"{prefix}-dash"
    return {
        start: _row(lower=word),
        word: _row(lower=word, digit=word, dash=dash, **ends),
        dash: _row(lower=word, digit=word),
    }


def _ends(prefix: str) -> frozenset[str]:
    return frozenset(f"{prefix}-{part}" for part in ("low", "up", "number"))


#: ``wasi:http/types``, without a version.
INTERFACE: Language = (
    {
        **_words("space", "start", colon="next"),
        **_words("package", "next", colon="next", slash="name"),
        **_label("name", "name", slash="name"),
    },
    _ends("name"),
)

#: ``run``: what a world imports and exports by a plain name.
LABEL: Language = (_label("label", "start"), _ends("label"))

#: ``run``, ``bucket.get``: functions as records and policies call them.
FUNCTION: Language = (
    {**_label("first", "start", dot="method"), **_label("method", "method")},
    _ends("first") | _ends("method"),
)

#: ``bucket.get`` alone.
METHOD: Language = (FUNCTION[0], _ends("method"))

#: ``env``, ``_start``, ``fd_read``: what core modules import and export, as it usually looks.
CORE: Language = (
    dict.fromkeys(("start", "more"), dict.fromkeys(_LOWER + _UPPER + _DIGIT + "_-.$", "more")),
    frozenset(("more",)),
)

#: The empty text: what belongs to the world itself.
WORLD: Language = ({}, frozenset(("start",)))
