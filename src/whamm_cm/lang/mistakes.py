"""Names in rules on WIT boundaries that exist nowhere, so that they must be misspelt.

A name written outright has to be in the component, if there is one, or in what is known of WASI and
its like.  Where there are globs, only a package counts that nearly is a known one: a glob that
matches nothing may be meant like that.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from whamm_cm.errors import nearest
from whamm_cm.lang.rules import WitPattern
from whamm_cm.lang.source import ScriptError, Source, listed, suggest
from whamm_cm.lang.tree import WitSite
from whamm_cm.wit.glob import split_top
from whamm_cm.wit.known import INTERFACES, PACKAGES, functions, is_package, resembles
from whamm_cm.wit.names import Alternative, FunctionGlob, func_label

_GLOB = re.compile(r"[*?\[{]")
#: How near a package is to what a glob must have meant.
_NEARLY = 0.85
_MARK = 'begin the rule with "?" if it may match nothing'

#: Functions by the interfaces they are in.
Names = dict[str, set[str]]


def mistakes(
    source: Source, pattern: WitPattern, sites: Sequence[WitSite] | None
) -> list[ScriptError]:
    """What is misspelt in a rule; ``sites``: all functions of the component, None without one."""
    there = _names(sites or ())
    left = split_top(pattern.item.text, "#")[0][1]
    found: list[ScriptError] = []
    for at, text in split_top(left, "|"):
        path = text.partition("@")[0]
        if re.fullmatch(r"[=^]?[0-9][^:/]*", path):
            continue  # a further version of the one before
        error = _interface(source, path, pattern.at + at, there, sites is not None)
        found += [] if error is None else [error]
    return found or list(_functions(source, pattern, there, sites is not None))


def _names(sites: Iterable[WitSite]) -> Names:
    found: Names = {}
    for site in sites:
        for interface, _, func in (*site.names, (site.interface, None, site.func)):
            found.setdefault(interface, set()).add(func_label(func))
    return found


# --- interfaces ----------------------------------------------------------------------------------


def _interface(
    source: Source, path: str, at: int, there: Names, complete: bool
) -> ScriptError | None:
    """``complete``: what is there is all there can be, beside what is known."""
    if not path or path in there:
        return None
    glob = _GLOB.search(path)
    package, slash, _ = path[: glob.start() if glob else None].partition("/")
    if slash and is_package(package) is False:
        known = {*PACKAGES, *(one.partition("/")[0] for one in there)}
        if package not in known and (not glob or nearest(package, known, _NEARLY)):
            return _wrong(source, "package", package, at, suggest(package, known))
    if glob or (resembles(path) is None and (path in INTERFACES or not complete)):
        return None
    if is_package(package) is None and not complete:
        return None
    hint = suggest(path, _near(path, (*there, *INTERFACES)))
    return _wrong(source, "interface", path, at, hint)


def _near(path: str, known: Iterable[str]) -> list[str]:
    """Those of the same package, if there are any."""
    found = list(known)
    package = path.partition("/")[0] + "/"
    return [one for one in found if one.startswith(package)] or found


def _wrong(source: Source, what: str, name: str, at: int, hint: str) -> ScriptError:
    return source.error(f'there is no {what} "{name}"', at, at + len(name), hint or _MARK)


# --- functions -----------------------------------------------------------------------------------


def _functions(
    source: Source, pattern: WitPattern, there: Names, complete: bool
) -> Iterator[ScriptError]:
    globs = pattern.item.functions
    meant = [one for one in (*there, *INTERFACES) if _meant(pattern, one)]
    if complete and not meant and _meant(pattern, ""):
        there, meant = {"": set()}, [""]
    if not globs or not meant or not all(_confined(one) for one in pattern.item.alternatives):
        return
    known: set[str] = set()
    whole = True  # whether what is known of them is all
    for interface in dict.fromkeys(meant):
        listed_ = functions(interface)
        known |= listed_ | there.get(interface, set())
        whole = whole and bool(listed_ or (complete and interface in there))
    (left, text) = split_top(pattern.item.text, "#")[-1]
    for (at, part), glob in zip(split_top(text, "|"), globs, strict=True):
        if _GLOB.search(part[len(glob.raw) :]) or any(map(glob.fullmatch, known)):
            continue
        name = part[len(glob.raw) :]
        hint = suggest(_label(glob, name), _candidates(name, known))
        if hint or whole:
            place = pattern.at + left + at + len(glob.raw)
            yield source.error(f'{_where(meant)} has no function "{name}"', place,
                               place + len(name), hint or _MARK)  # fmt: skip


def _confined(one: Alternative) -> bool:
    """Whether an interface is named, or its package: any glob may mean what nobody knows."""
    glob = _GLOB.search(one.interface.text)
    return glob is None or "/" in one.interface.text[: glob.start()]


def _meant(pattern: WitPattern, interface: str) -> bool:
    """By the interface alone: of any version."""
    return any(one.interface.fullmatch(interface) for one in pattern.item.alternatives)


def _label(glob: FunctionGlob, name: str) -> str:
    return f"{glob.prefix}{name}{glob.suffix}"


def _candidates(name: str, known: Collection[str]) -> list[str]:
    """A method without its resource is not far from the one with it."""
    own = [one for one in known if one.endswith(f".{name}")]
    return own[:1] or sorted(known)


def _where(meant: Sequence[str]) -> str:
    named = [one or "the world" for one in dict.fromkeys(meant)]
    return named[0] if len(named) == 1 else listed(named, 3)
