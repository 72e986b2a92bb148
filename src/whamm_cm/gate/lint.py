"""Lines of a policy that do nothing: covered by others, about nothing known, or never matched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from whamm_cm.dataclass import dataclass
from whamm_cm.gate.context import Context
from whamm_cm.gate.model import ImportRow, Location
from whamm_cm.gate.patterns import Line
from whamm_cm.gate.policy import Imports, Policy
from whamm_cm.gate.renamed import may_rename, other_interfaces
from whamm_cm.gate.rules.shape import exports_match
from whamm_cm.wit.known import INTERFACES, resembles
from whamm_cm.wit.names import Alternative, FunctionGlob, ItemPattern
from whamm_cm.wit.semver import Version, VersionPattern
from whamm_cm.wit.shapes import ALPHABET


@dataclass(frozen=True, slots=True)
class Fault:
    """``kind``: shadowed unknown unmatched expired."""

    kind: str
    location: Location
    message: str


def lint(policy: Policy, today: date) -> Iterator[Fault]:
    """What can be said without a component."""
    imports = policy.imports
    if imports is not None:
        yield from _twice("imports.allow", imports.allow, False)
        yield from _twice("imports.warn", imports.warn, True)
        yield from _twice("imports.deny", imports.deny, True)
        yield from _covered(imports.allow, imports.deny, "which is denied")
        yield from _covered(imports.warn, imports.deny, "which is denied")
        yield from _covered(imports.allow, imports.warn, "which is warned about anyway")
        if imports.default == "deny":
            yield from _denied_anyway(imports.deny, (*imports.allow, *imports.warn))
        for line in (*imports.allow, *imports.warn, *imports.deny):
            yield from _unknown(line)
    yield from _twice("exports.require", policy.exports.require, False)
    yield from _twice("exports.forbid", policy.exports.forbid, True)
    yield from _covered(policy.exports.require, policy.exports.forbid, "which is forbidden")
    for waiver in policy.waivers:
        if waiver.expires < today:
            text = f"the waiver of {waiver.rule} {waiver.item} expired on {waiver.expires}"
            yield Fault("expired", waiver.location, text)


def unmatched(policy: Policy, contexts: Iterable[Context]) -> Iterator[Fault]:
    """Lines that mean no import and no export of the components."""
    rows = [context.subject for context in contexts]
    names = [name for subject in rows for row in subject.imports for name in _names(row)]
    exports = [row for subject in rows for row in subject.exports]
    noun = "component" if len(rows) == 1 else "components"
    imports = policy.imports or Imports()
    for line, wide in (
        *((line, False) for line in imports.allow),
        *((line, True) for line in (*imports.warn, *imports.deny)),
    ):
        test = line.denies if wide else line.allows
        if not any(test(*name) for name in names):
            text = f'"{line.text}" matches no import of {len(rows)} {noun}'
            yield Fault("unmatched", line.location, text)
    for line, wide in (
        *((line, False) for line in policy.exports.require),
        *((line, True) for line in policy.exports.forbid),
    ):
        if not any(exports_match(row, line, wide) for row in exports):
            text = f'"{line.text}" matches no export of {len(rows)} {noun}'
            yield Fault("unmatched", line.location, text)


def _names(row: ImportRow) -> list[tuple[str, str | None, str | None]]:
    interface = row.interface or ("" if row.kind == "func" else row.name)
    functions: list[str | None] = [one.name for one in row.functions]
    return [(interface, row.version, function) for function in functions or [None]]


def _twice(what: str, lines: tuple[Line, ...], wide: bool) -> Iterator[Fault]:
    for position, line in enumerate(lines):
        for other_at, other in enumerate(lines):
            earlier = other_at < position or not within(other, line, wide)
            if other is not line and earlier and within(line, other, wide):
                text = f'"{line.text}" in {what} is covered by "{other.text}" at {other.location}'
                yield Fault("shadowed", line.location, text)
                break


def _covered(lines: tuple[Line, ...], by: tuple[Line, ...], why: str) -> Iterator[Fault]:
    for line in lines:
        for other in by:
            if within(line, other, True):
                text = f'"{line.text}" does nothing: all of it is "{other.text}", {why} at'
                yield Fault("shadowed", line.location, f"{text} {other.location}")
                break


def _denied_anyway(lines: tuple[Line, ...], allowed: tuple[Line, ...]) -> Iterator[Fault]:
    for line in lines:
        if not any(_meet(line, other) or _renamed(line, other) for other in allowed):
            text = f'"{line.text}" does nothing: nothing of it is allowed, and the default is deny'
            yield Fault("shadowed", line.location, text)


def _unknown(line: Line) -> Iterator[Fault]:
    for pattern in line.patterns:
        for alternative in pattern.alternatives:
            text = alternative.interface.text
            near = None if any(ch in text for ch in "*?[{|") or not text else resembles(text)
            if near is not None:
                hint = f'; did you mean "{near}"?' if near else ""
                yield Fault("unknown", line.location, f"no known interface is {text}{hint}")


# What lies in what


def within(line: Line, other: Line, wide: bool) -> bool:
    """Whether ``other`` means all that ``line`` means.  ``wide``: as denials are read."""
    mine, others = (line.wide, other.wide) if wide else (line.patterns, other.patterns)
    return all(
        any(_pattern_within(one, alternative, by, wide) for by in others)
        for one in mine
        for alternative in one.alternatives
    )


def _pattern_within(
    one: ItemPattern, alternative: Alternative, by: ItemPattern, wide: bool
) -> bool:
    return any(
        _version_within(alternative.version, other.version, wide)
        and alternative.interface.within(other.interface, ALPHABET)
        for other in by.alternatives
    ) and _functions_within(one.functions, by.functions)


def _functions_within(
    mine: tuple[FunctionGlob, ...] | None, others: tuple[FunctionGlob, ...] | None
) -> bool:
    if others is None:
        return True
    if mine is None:
        return any(_all(other) for other in others)
    return all(
        any(
            (one.prefix, one.suffix) == (other.prefix, other.suffix)
            and one.glob.within(other.glob, ALPHABET)
            or _all(other)
            for other in others
        )
        for one in mine
    )


def _all(one: FunctionGlob) -> bool:
    return one.glob.text == "*" and not one.prefix and not one.suffix


def _version_within(mine: VersionPattern | None, other: VersionPattern | None, wide: bool) -> bool:
    if other is None or other.operator == "*":
        return True
    if mine is None or mine.operator == "*":
        return False
    if wide:
        return mine.version.track[: len(other.version.track)] == other.version.track
    if mine == other:
        return True
    if mine.version.pre or other.version.pre:
        return mine.version == other.version
    if mine.operator == "=" and mine.version.patch is None:
        return False
    if mine.operator == "^" and other.operator == "=":
        return False
    return other.matches(str(_full(mine.version)))


def _full(version: Version) -> Version:
    return Version(*version.base, version.pre, version.build)


def _meet(line: Line, other: Line) -> bool:
    """Whether something may be both; what is hard to tell may."""
    return any(
        a.interface.meets(b.interface, ALPHABET) and _versions_meet(a.version, b.version)
        for one in line.wide
        for by in other.wide
        for a in one.alternatives
        for b in by.alternatives
        if _functions_meet(one.functions, by.functions)
    )


def _renamed(line: Line, other: Line) -> bool:
    """Whether it may be about what ``other`` allows by a name of the other release of WASI; of the
    functions in one interface that is hard to tell."""
    parts = any(one.functions for one in line.patterns) and any(b.functions for b in other.patterns)
    return any(
        other.names(name)
        for interface in INTERFACES
        if line.names(interface)
        for name in (
            *other_interfaces(interface),
            *((interface,) if parts and may_rename(interface) else ()),
        )
    )


def _versions_meet(a: VersionPattern | None, b: VersionPattern | None) -> bool:
    if a is None or b is None or "*" in (a.operator, b.operator):
        return True
    return all(x == y for x, y in zip(a.version.track, b.version.track, strict=False))


def _functions_meet(
    mine: tuple[FunctionGlob, ...] | None, others: tuple[FunctionGlob, ...] | None
) -> bool:
    if mine is None or others is None:
        return True
    return any(
        one.prefix or one.suffix or by.prefix or by.suffix or one.glob.meets(by.glob, ALPHABET)
        for one in mine
        for by in others
    )
