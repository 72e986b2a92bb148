"""Which values are secrets by default: a table of functions and what stays in the guest of them.

Lengths are still recorded.  ``--show-secrets`` turns all of it off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

from whamm_cm.abi.layout import postorder
from whamm_cm.analysis.site import Site
from whamm_cm.emit.model import Mode, Redact
from whamm_cm.weave.tasks import may_return, shape
from whamm_cm.wit.glob import compile_glob
from whamm_cm.wit.names import FuncName, InterfaceName
from whamm_cm.wit.types import FutureT, StreamT, ValType

_RESULT = Redact(result="values")

#: (interface glob, function glob, rule), first match decides.
RULES: tuple[tuple[str, str, Redact], ...] = (
    ("wasi:cli/environment", "get-environment", _RESULT),
    ("wasi_{snapshot_preview1,unstable}", "environ_get", _RESULT),
    ("wasi:config/*", "*", _RESULT),
    ("wasi:runtime-config/*", "*", _RESULT),
    ("wasmcloud:secrets/*", "*", _RESULT),
    ("wasi:http/types", "fields.from-list", Redact(params="headers")),
    ("wasi:http/types", "fields.entries", Redact(result="headers")),
    ("wasi:http/types", "fields.copy-all", Redact(result="headers")),
    ("wasi:http/types", "fields.{get,get-and-delete,set,append}", Redact(gate=1)),
)

#: How much a mode keeps back, least first.
_STRICTNESS: tuple[Mode, ...] = ("none", "headers", "values")


def rule_for(names: Iterable[FuncName]) -> Redact | None:
    """What to redact of a function with these names (labels as in records): the strictest of what
    the rules say about each, None where they say nothing."""
    found: Redact | None = None
    for name in names:
        rule = _rule(name)
        if rule is not None:
            found = rule if found is None else _stricter(found, rule)
    return found


def secret_elements(sites: Iterable[Site]) -> frozenset[object]:
    """What streams and futures carry that functions with secrets take or return: no one can tell
    which of that type a handle stands for by the time it is read."""
    found: set[object] = set()
    for site in sites:
        if site.kind in ("lower", "lift") and rule_for(site.names) is not None:
            for t in (*(t for _, t in site.params), site.result):
                found.update(_carried(t))
    return frozenset(found)


def _carried(root: ValType | None) -> Iterator[object]:
    seen: set[ValType] = set()
    for node in () if root is None else postorder(root, seen):
        seen.add(node)
        if isinstance(node, StreamT | FutureT) and node.element is not None:
            yield shape(node.element)
            yield from _carried(node.element)


def rule_at(site: Site, sites: Iterable[Site], secret: Set[object] = frozenset()) -> Redact | None:
    """What to redact at ``site``, one of a component's ``sites``: where a ``task.return`` may hand
    over what an async export returns, that export's result; what a read or write copies that is
    among ``secret_elements``."""
    if site.elements is not None:
        return _RESULT if secret and shape(site.elements.element) in secret else None
    if site.kind != "task.return":
        return rule_for(site.names)
    names = [name for lift in sites if may_return(lift, site) for name in lift.names]
    rule = rule_for(names)
    if rule is None or not rule.hides_result:
        return None
    return Redact(params="values" if rule.gate is not None else rule.result)


def _rule(name: FuncName) -> Redact | None:
    # An instance with a plain name may be bound to anything: its functions tell what it is.
    plain = InterfaceName.try_parse(name.interface) is None
    for interface, func, every, rule in _COMPILED:
        known = not every if plain else interface.fullmatch(name.interface)
        if known and func.fullmatch(name.func):
            return rule
    return None


def _stricter(a: Redact, b: Redact) -> Redact:
    return Redact(
        max(a.params, b.params, key=_STRICTNESS.index),
        max(a.result, b.result, key=_STRICTNESS.index),
        a.gate if b.gate is None else b.gate,
    )


_COMPILED = tuple((compile_glob(i), compile_glob(f), f == "*", rule) for i, f, rule in RULES)
