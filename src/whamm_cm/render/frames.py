"""What pictures of call trees have in common: names that fit, and what the weights are."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from whamm_cm.render.calltree import CallTree, Frame
from whamm_cm.render.safe import printable
from whamm_cm.render.words import brief_ns, counted

#: Between functions that call each other.
ARROW = " → "
#: Characters of a path that is taken apart: what is generic over itself takes the square of them.
_LONGEST = 4096
#: What is left of it: the type of ``<Type>::f`` and of ``<Type as Trait>::f``.
_GENERIC = re.compile(
    r"<([^<>()]*) as [^<>()]*>|(?<![^<])<([^<>()]*)>(?=::)|<[^<>()]*>|\([^<>()]*\)"
)


def weight_text(tree: CallTree, weight: int) -> str:
    """``1.24ms``, ``1,234``."""
    return (brief_ns(weight) if weight else "0") if tree.unit == "ns" else f"{weight:,}"


def heading(tree: CallTree, named: bool = False) -> str:
    """``time: 2.61ms in 12 functions``; ``named``: whose it is."""
    names = {frame.name for frame in walk(tree.root)}
    what = {"ns": "time"}.get(tree.unit, printable(tree.unit))
    whose = f"{printable(tree.name)}  " if named and tree.name else ""
    of = f" of {tree.instances} instances" if tree.instances > 1 and not whose else ""
    functions = counted(len(names), "function")
    return f"{whose}{what}: {weight_text(tree, tree.root.total)} in {functions}{of}"


def walk(root: Frame) -> Iterator[Frame]:
    """All but the root, callers first."""
    pending = [*root.callees.values()]
    while pending:
        frame = pending.pop()
        yield frame
        pending += frame.callees.values()


def heavy_first(frame: Frame) -> list[Frame]:
    """What it calls, the heaviest first."""
    return sorted(frame.callees.values(), key=lambda inner: (-inner.total, inner.name))


def chain(frame: Frame) -> list[Frame]:
    """The frame, and what it does nothing but call, down to where something happens."""
    found = [frame]
    while len(frame.callees) == 1 and not frame.own:
        (frame,) = frame.callees.values()
        found.append(frame)
    return found


def chained(names: list[str]) -> list[str]:
    """The same with functions that call themselves once: ``fib ×12``."""
    found: list[tuple[str, int]] = []
    for name in names:
        last, count = found[-1] if found else ("", 0)
        found = [*found[:-1], (name, count + 1)] if count and last == name else [*found, (name, 1)]
    return [name if count == 1 else f"{name} ×{count}" for name, count in found]


@lru_cache(maxsize=1 << 14)
def group(name: str) -> str:
    """What functions of one colour have in common: the package of an interface, a crate or a
    namespace, else the function itself."""
    name = name.removeprefix("export ").removeprefix("inner ")
    name = name.rpartition("<")[2] if "<" in name and "#" in name else name
    if _is_wit(name):
        return name.partition("/")[0]
    path = name.lstrip("<&*")
    return path.partition("::")[0] if "::" in path else name


def fit(names: list[str], room: int) -> str:
    """``a → b → c`` in ``room`` columns: shorter names, then callers left out, then still shorter
    names, then the last one cut; "" where not two columns are left."""
    names = [printable(name) for name in names]
    short = [*map(brief, names)]
    forms = [names, short, *(["…", *short[first:]] for first in range(1, len(short)))]
    last = short[-1]
    for text in (*map(ARROW.join, forms), last, bare(last)):
        if columns(text) <= room:
            return text
    return _cut(bare(last), room)


def _cut(text: str, room: int) -> str:
    if room < 2:
        return ""
    kept, used = "", 1
    for ch in text:
        used += columns(ch)
        if used > room:
            break
        kept += ch
    return f"{kept}…"


@lru_cache(maxsize=1 << 14)
def brief(name: str) -> str:
    """``stdout#get-stdout`` of ``wasi:cli/stdout#get-stdout``, ``Vec::push`` of
    ``alloc::vec::Vec<T>::push``."""
    if _is_wit(name):
        return name.rpartition("/")[2]
    return "::".join(_parts(name)[-2:]) or name


def bare(name: str) -> str:
    """``get-stdout``, ``push``: without what it is in."""
    if _is_wit(name):
        return name.rpartition("#")[2]
    return (_parts(name) or [name])[-1]


def _is_wit(name: str) -> bool:
    return "#" in name[1:] and "::" not in name


def _parts(name: str) -> list[str]:
    """Of a path, without the types that it is generic over, those of parameters, and the trait
    that it is of; a closure has no name of its own."""
    if "::" not in name or len(name) > _LONGEST:
        return [name]
    before = ""
    while name != before:
        before, name = name, _GENERIC.sub(r"\1\2", name)
    found: list[str] = []
    for part in filter(None, name.split("::")):
        if part[0] == "{" and found:
            found[-1] += f"::{part}"
        else:
            found.append(part)
    return found


def columns(text: str) -> int:
    """How many columns of a terminal ``text``, which is printable, takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(ch) else 2 if unicodedata.east_asian_width(ch) in "WF" else 1
        for ch in text
    )


def functions(root: Frame) -> list[tuple[str, int, int]]:
    """(name, own, total) of each function, however it was called, the heaviest by itself first.
    What a function does that calls itself counts once."""
    own: dict[str, int] = {}
    total: dict[str, int] = {}
    under: dict[str, int] = {}
    pending = [(frame, True) for frame in root.callees.values()]
    while pending:
        frame, enters = pending.pop()
        under[frame.name] = under.get(frame.name, 0) + (1 if enters else -1)
        if not enters:
            continue
        own[frame.name] = own.get(frame.name, 0) + frame.own
        if under[frame.name] == 1:
            total[frame.name] = total.get(frame.name, 0) + frame.total
        pending.append((frame, False))
        pending += [(inner, True) for inner in frame.callees.values()]
    rows = [(name, own[name], total[name]) for name in own]
    return sorted(rows, key=lambda row: (-row[1], -row[2], row[0]))
