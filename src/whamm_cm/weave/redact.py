"""Which values are secrets by default: a table of functions and what stays in the guest of them.

Lengths are still recorded.  ``--show-secrets`` turns all of it off.
"""

from __future__ import annotations

from whamm_cm.codegen.model import Redact
from whamm_cm.wit.glob import compile_glob

_RESULT = Redact(result="values")

#: (interface glob, function glob, rule), first match decides.
RULES: tuple[tuple[str, str, Redact], ...] = (
    ("wasi:cli/environment", "get-environment", _RESULT),
    ("wasi:config/*", "*", _RESULT),
    ("wasi:runtime-config/*", "*", _RESULT),
    ("wasmcloud:secrets/*", "*", _RESULT),
    ("wasi:http/types", "fields.from-list", Redact(params="headers")),
    ("wasi:http/types", "fields.entries", Redact(result="headers")),
    ("wasi:http/types", "fields.copy-all", Redact(result="headers")),
    ("wasi:http/types", "fields.{get,get-and-delete,set,append}", Redact(gate=1)),
)


def rule_for(interface: str, func: str) -> Redact | None:
    """What to redact at ``interface#func`` (labels as in records), or None."""
    for interface_glob, func_glob, rule in _COMPILED:
        if interface_glob.fullmatch(interface) and func_glob.fullmatch(func):
            return rule
    return None


_COMPILED = tuple((compile_glob(i), compile_glob(f), rule) for i, f, rule in RULES)
