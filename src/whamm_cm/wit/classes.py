"""Classes of functions (``%net``) and the site sets of ``-e trace=SET``.

A set is a comma-separated list of items: a class, a pattern (:class:`ItemPattern`) or one of
``all`` and ``none``; a leading ``!`` takes the item out again.  The last item that matches a
function decides, and a list that starts with ``!`` starts from everything but ``%async``.
"""

from __future__ import annotations

from collections.abc import Sequence

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import nearest
from whamm_cm.wit.glob import split_top
from whamm_cm.wit.names import FuncName, ItemPattern, PatternError

#: WASI preview 1, and what came before it.
_P1 = "wasi_{snapshot_preview1,unstable}"

#: class → (what it covers, patterns). One row per class; ``%inner`` goes by the edge instead,
#: ``%async`` by both.
CLASSES: dict[str, tuple[str, tuple[str, ...]]] = {
    "http": ("HTTP requests and responses", ("wasi:http/*",)),
    "fs": ("files and directories", ("wasi:filesystem/*", f"{_P1}#{{fd,path}}_*")),
    "net": ("sockets, name lookup and TLS", ("wasi:sockets/*", "wasi:tls/*", f"{_P1}#sock_*")),
    "dns": ("name lookup", ("wasi:sockets/ip-name-lookup",)),
    "clock": ("clocks", ("wasi:clocks/*", f"{_P1}#clock_*")),
    "random": ("random numbers", ("wasi:random/*", f"{_P1}#random_get")),
    "stdio": (
        "standard streams and terminals",
        ("wasi:cli/{stdin,stdout,stderr,terminal-*}", f"{_P1}#fd_{{read,write}}"),
    ),
    "env": (
        "environment variables and arguments",
        ("wasi:cli/environment", f"{_P1}#{{args,environ}}_*"),
    ),
    "config": ("configuration", ("wasi:config/*", "wasi:runtime-config/*")),
    "secrets": ("secrets", ("wasmcloud:secrets/*",)),
    "kv": ("key-value stores", ("wasi:keyvalue/*", "wasmcloud:keyvalue/*")),
    "blob": ("object stores", ("wasi:blobstore/*", "wasmcloud:blobstore/*")),
    "messaging": ("message brokers", ("wasi:messaging/*", "wasmcloud:messaging/*")),
    "sql": ("SQL databases", ("wasi:sql/*", "wasi:sql-*/*", "wasmcloud:postgres/*")),
    "log": ("logging", ("wasi:logging/*", "wasmcloud:bus/logging")),
    "inner": ("calls between the components inside a composed one", ()),
    "async": (
        "the raw built-ins of asynchronous calls; not logged unless they are asked for",
        (
            "#{context,task,subtask,waitable-set,waitable,backpressure,thread,error-context}.*",
            "#{stream,future}.{new,drop-*,cancel-*}",
        ),
    ),
}
#: Classes of functions at one edge only.
EDGES = {"inner": "inner", "async": "builtin"}
#: What is logged where nobody says what.
DEFAULT = "all"


@dataclass(frozen=True, slots=True)
class SiteItem:
    """One item of a set: at that ``edge``, by those ``patterns``. Neither: everything."""

    include: bool
    patterns: tuple[ItemPattern, ...] = ()
    edge: str = ""

    def matches(self, edge: str, *names: FuncName) -> bool:
        """Whether any of the names is meant."""
        if self.edge and edge != self.edge:
            return False
        if not self.patterns:
            return True
        return any(p.matches(*name) for p in self.patterns for name in names)

    @property
    def names_builtins(self) -> bool:
        """Whether it was written for them: ``%async``, ``#context.*``, but not ``*`` or ``#*``."""
        return self.edge == "builtin" or any(
            p.text.startswith("#") and p.text.strip("#*|") for p in self.patterns
        )


@dataclass(frozen=True, slots=True)
class SiteSet:
    """What ``-e trace=SET`` selects."""

    text: str
    default: bool
    items: tuple[SiteItem, ...]

    @staticmethod
    def parse(text: str) -> SiteSet:
        """``text`` with or without ``trace=`` in front.

        Raises PatternError (a UsageError) with the position of the mistake and, for an unknown
        class, the nearest one.
        """
        start = len("trace=") if text.startswith("trace=") else 0
        items: list[SiteItem] = []
        for position, part in split_top(text[start:], ","):
            stripped = part.strip()
            at = start + position + part.find(stripped)
            items.append(_item(text, stripped, at))
        return SiteSet(text, not items[0].include, tuple(items))

    def __call__(self, edge: str, interface: str, version: str | None, func: str) -> bool:
        """``edge``: import, export, inner, builtin; ``interface`` without a version, "" for the
        world itself; ``func`` a label such as ``bucket.get`` or a raw name."""
        return self.selects(edge, ((FuncName(interface, version or None, func),),))

    def selects(
        self, edge: str, roots: Sequence[Sequence[FuncName]], others: Sequence[FuncName] = ()
    ) -> bool:
        """The same for a function with several names.

        ``roots``: what it stands for at the root, each thing with its names; ``others``: what it
        is called inside.  An item selects by any name.  One with ``!`` takes out only what it
        names at the root, and that whole: what a component inside calls something must not hide
        what it is.
        """
        raw = edge == "builtin" and any(_ASYNC.matches(edge, *group) for group in (*roots, others))
        for item in reversed(self.items):
            if item.include:
                if raw and not item.names_builtins:
                    continue
                if any(item.matches(edge, *group) for group in (*roots, others)):
                    return True
            elif roots and all(item.matches(edge, *group) for group in roots):
                return False
        return self.default and not raw


def patterns_of(text: str) -> tuple[ItemPattern, ...]:
    """A pattern, or those of a class such as ``%net``.  Raises PatternError."""
    if not text.startswith("%"):
        return (ItemPattern.parse(text),)
    found = _class(text, text[1:], 0, True)
    if found.edge:
        raise PatternError(f"{text} is no class of interfaces", text, 0)
    return found.patterns


def _item(whole: str, text: str, at: int) -> SiteItem:
    include = not text.startswith("!")
    body = text if include else text[1:].lstrip()
    at += len(text) - len(body)
    if not body:
        raise PatternError(
            "expected a class such as %net, a pattern such as wasi:io/*, all or none", whole, at
        )
    if body == "all":
        return SiteItem(include)
    if body == "none":
        return SiteItem(not include)
    if body.startswith("%"):
        return _class(whole, body[1:], at, include)
    if not any(ch in body for ch in ":/#*?["):
        raise PatternError(_bare_word(body), whole, at)
    try:
        return SiteItem(include, (ItemPattern.parse(body),))
    except PatternError as error:
        raise PatternError(error.message, whole, at + error.position) from None


def _class(whole: str, name: str, at: int, include: bool) -> SiteItem:
    if name not in CLASSES:
        raise PatternError(f'unknown class "%{name}"{_suggestion(name)}', whole, at)
    patterns = tuple(ItemPattern.parse(text) for text in CLASSES[name][1])
    return SiteItem(include, patterns, EDGES.get(name, ""))


#: What an item has to name to get it.
_ASYNC = _class("%async", "async", 0, include=True)


def _bare_word(word: str) -> str:
    near = nearest(word, CLASSES)
    meant = f'"%{near}"' if near else f'"#{word}" for a function of the world itself'
    return f'"{word}" is neither a class nor a pattern; did you mean {meant}?'


#: Words of other tools, and the class they mean here.
_SYNONYMS = {
    "file": "fs",
    "filesystem": "fs",
    "desc": "fs",
    "network": "net",
    "sockets": "net",
    "socket": "net",
    "clocks": "clock",
    "time": "clock",
    "keyvalue": "kv",
    "blobstore": "blob",
    "environment": "env",
    "environ": "env",
    "logging": "log",
    "postgres": "sql",
}


def _suggestion(name: str) -> str:
    lower = name.lower()
    near = _SYNONYMS.get(lower) or nearest(lower, CLASSES, 0.5)
    if near:
        return f'; did you mean "%{near}"?'
    return "; known: " + " ".join("%" + known for known in CLASSES)
