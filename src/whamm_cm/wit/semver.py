"""Semantic versions (semver.org 2.0) and the version part of patterns.

Interface versions are either full versions (``0.2.3``, ``0.2.0-rc.1``) or canonical ones that were
cut after the leftmost non-zero number (``0.2``; Explainer.md, "Canonical Interface Name").
"""

from __future__ import annotations

import re

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import SHOWN, UsageError, cut

_NUMBER = r"(?:0|[1-9][0-9]{0,18})"
_PRE = r"(?:0|[1-9][0-9]{0,18}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"({_NUMBER})(?:\.({_NUMBER})(?:\.({_NUMBER})"
    rf"(?:-({_PRE}(?:\.{_PRE})*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?)?)?"
)


class PatternError(UsageError):
    """A pattern the user wrote is wrong; ``position`` is the 0-based index in ``text``."""

    def __init__(self, message: str, text: str, position: int) -> None:
        self.message, self.text, self.position = message, text, position
        shown = cut(message, 2 * SHOWN)
        super().__init__(f"bad pattern {cut(text)!r}: {shown} (at column {position + 1})")


@dataclass(frozen=True, slots=True)
class Version:
    """``minor`` and ``patch`` are None where the text stops early, as in ``0.2``."""

    major: int
    minor: int | None = None
    patch: int | None = None
    pre: tuple[str, ...] = ()
    build: str = ""

    @staticmethod
    def try_parse(text: str) -> Version | None:
        """``text`` as a full or partial version, None if it is neither."""
        found = _VERSION.fullmatch(text)
        if found is None:
            return None
        major, minor, patch, pre, build = found.groups()
        return Version(
            int(major),
            None if minor is None else int(minor),
            None if patch is None else int(patch),
            tuple(pre.split(".")) if pre else (),
            build or "",
        )

    @staticmethod
    def parse(text: str) -> Version:
        """Raises PatternError when ``text`` is no version."""
        version = Version.try_parse(text)
        if version is None:
            raise PatternError("expected a version such as 0.2.3", text, 0)
        return version

    @property
    def base(self) -> tuple[int, int, int]:
        """Major, minor, patch; what the text does not say counts as 0."""
        return self.major, self.minor or 0, self.patch or 0

    @property
    def track(self) -> tuple[int, ...]:
        """The numbers up to the leftmost non-zero one: equal tracks are semver-compatible.

        A partial version without a non-zero number (``0``, ``0.0``) is its own, wider track.
        """
        if self.major:
            return (self.major,)
        if self.minor is None:
            return (0,)
        if self.minor or self.patch is None:
            return (0, self.minor)
        return (0, 0, self.patch)

    def order(self) -> tuple[tuple[int, int, int], bool, tuple[tuple[bool, int, str], ...]]:
        """Sort key: semver precedence (pre-releases before their release, builds are equal)."""
        return self.base, not self.pre, tuple(_pre_order(part) for part in self.pre)

    def __str__(self) -> str:
        numbers = ".".join(str(n) for n in (self.major, self.minor, self.patch) if n is not None)
        pre = f"-{'.'.join(self.pre)}" if self.pre else ""
        return numbers + pre + (f"+{self.build}" if self.build else "")


def _pre_order(part: str) -> tuple[bool, int, str]:
    """Numbers compare as numbers and come before words."""
    return (False, int(part), "") if part.isdigit() else (True, 0, part)


def compare(a: Version, b: Version) -> int:
    """-1, 0 or 1 by semver precedence."""
    return (a.order() > b.order()) - (a.order() < b.order())


@dataclass(frozen=True, slots=True)
class VersionPattern:
    """``operator``: ``*`` any, ``=`` exact, ``^`` semver-compatible."""

    operator: str
    version: Version

    @staticmethod
    def parse(text: str, whole: str | None = None, position: int = 0) -> VersionPattern:
        """``*``, ``0.2``, ``0.2.3``, ``^0.2.3`` or ``=0.2.3``.

        ``whole`` and ``position`` say where ``text`` stands, for the PatternError raised otherwise.
        """
        if text == "*":
            return VersionPattern("*", Version(0))
        operator = text[:1] if text[:1] in ("=", "^") else ""
        version = Version.try_parse(text[len(operator) :])
        if version is None:
            message = "expected a version such as 0.2, ^0.2.3 or =0.2.3"
            raise PatternError(message, text if whole is None else whole, position + len(operator))
        return VersionPattern(operator or "^", version)

    def matches(self, version: str | None) -> bool:
        """An interface without a version matches ``*`` only."""
        if self.operator == "*":
            return True
        have = Version.try_parse(version) if version is not None else None
        if have is None:
            return False
        want = self.version
        if want.pre or have.pre:
            return (want.base, want.pre, want.build) == (have.base, have.pre, have.build)
        if self.operator == "=":
            return _starts_with(have, want) and _same_build(want, have)
        return _in_track(want, have)

    def touches(self, version: str | None) -> bool:
        """Whether a host that has what is meant may link ``version`` to it: any of the same track,
        older ones, pre-releases and builds, too, and what has no version or none we can read."""
        have = Version.try_parse(version) if version is not None else None
        if self.operator == "*" or have is None:
            return True
        return all(w == h for w, h in zip(self.version.track, have.track, strict=False))


def _same_build(want: Version, have: Version) -> bool:
    """Of releases, build metadata is ignored unless the pattern names it."""
    return not want.build or want.build == have.build


def _starts_with(have: Version, want: Version) -> bool:
    pairs = ((want.major, have.major), (want.minor, have.minor), (want.patch, have.patch))
    return all(w is None or w == h for w, h in pairs)


def _in_track(want: Version, have: Version) -> bool:
    """The caret rule: same track and not older; a canonical ``0.2`` stands for any 0.2.x."""
    if have.track[: len(want.track)] != want.track:
        return False
    return have.patch is None or have.base >= want.base


def version_matches(pattern: str | None, version: str | None) -> bool:
    """Whether ``version`` (of an interface, None: it has none) fits ``pattern``.

    None or ``*``: any. ``0.2``, ``0.2.3``, ``^0.2.3``: semver-compatible, that is at least this
    version and no change of the leftmost non-zero number. ``=0.2.3``: exact. A pre-release on
    either side fits only what is the same in all parts. Raises PatternError for a bad pattern.
    """
    return pattern is None or VersionPattern.parse(pattern).matches(version)
