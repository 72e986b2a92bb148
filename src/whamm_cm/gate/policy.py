"""A policy as the rules see it: every list with the lines it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from whamm_cm.gate.model import Location, Severity, Waiver
from whamm_cm.gate.patterns import Line
from whamm_cm.gate.permissions import Permissions

Level: TypeAlias = Severity | Literal["off"]
Judge: TypeAlias = Literal["declared", "reachable", "observed"]

_NOWHERE = Location("", 1, 1)


@dataclass(frozen=True, slots=True)
class Imports:
    """Denied beats warned beats allowed; ``default`` is for what is on no list.  ``location`` is
    where ``default`` stands, else the section."""

    default: Literal["deny", "allow"] = "allow"
    allow: tuple[Line, ...] = ()
    warn: tuple[Line, ...] = ()
    deny: tuple[Line, ...] = ()
    location: Location = _NOWHERE


@dataclass(frozen=True, slots=True)
class Exports:
    require: tuple[Line, ...] = ()
    forbid: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class HostProfile:
    """What a host links.  ``needs``: what has to be switched on for some of it."""

    name: str
    links: tuple[Line, ...]
    location: Location


@dataclass(frozen=True, slots=True)
class Setting:
    """What a policy says about a rule."""

    level: Level | None
    parameters: Mapping[str, int]
    location: Location


@dataclass(frozen=True, slots=True)
class Budget:
    line: Line
    max_calls: int | None
    p99_ms: float | None
    location: Location


@dataclass(frozen=True, slots=True)
class Match:
    """Which components the policy is for; globs, empty for any."""

    image: str = ""
    name: str = ""
    sha256: tuple[str, ...] = ()
    location: Location = _NOWHERE


@dataclass(frozen=True, slots=True)
class Policy:
    """``file`` is empty for the policy without a file, which has the rules' defaults."""

    file: str = ""
    description: str = ""
    judge: Judge | None = None
    match: Match = Match()
    imports: Imports | None = None
    exports: Exports = Exports()
    hosts: tuple[HostProfile, ...] = ()
    permissions: Permissions = Permissions()
    rules: Mapping[str, Setting] = field(default_factory=dict)
    budgets: tuple[Budget, ...] = ()
    waivers: tuple[Waiver, ...] = ()

    @property
    def judged(self) -> Judge:
        """Which column decides about imports."""
        return self.judge or "declared"

    @property
    def location(self) -> Location | None:
        return Location(self.file, 1, 1) if self.file else None
