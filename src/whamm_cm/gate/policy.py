"""A policy as the rules see it: every list with the lines it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal, TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.gate.model import Location, Severity, Waiver
from whamm_cm.gate.patterns import Line
from whamm_cm.gate.permissions import Permissions
from whamm_cm.gate.virtual import Virtual

Level: TypeAlias = Severity | Literal["off"]
Default: TypeAlias = Literal["deny", "allow"]
Judge: TypeAlias = Literal["declared", "reachable", "observed"]

_NOWHERE = Location("", 1, 1)


@dataclass(frozen=True, slots=True)
class Imports:
    """Denied beats warned beats allowed; ``default`` is for what is on no list.  ``said``: what the
    policy says it is; ``implied``: what follows from the lists where it does not.  ``location`` is
    where ``default`` stands, else the section."""

    said: Default | None = None
    implied: Default = "allow"
    allow: tuple[Line, ...] = ()
    warn: tuple[Line, ...] = ()
    deny: tuple[Line, ...] = ()
    location: Location = _NOWHERE

    @property
    def default(self) -> Default:
        """To be asked when all that a policy extends is in it."""
        return self.said or self.implied

    def over(self, base: Imports) -> Imports:
        """On top of what is extended: lists grow, and what only follows overrides nothing.  One
        section that is closed closes all of them."""
        own = self.said is not None or (base.said is None and base.implied == "allow")
        return Imports(
            self.said or base.said,
            "deny" if "deny" in (self.implied, base.implied) else "allow",
            base.allow + self.allow,
            base.warn + self.warn,
            base.deny + self.deny,
            self.location if own else base.location,
        )


@dataclass(frozen=True, slots=True)
class Exports:
    require: tuple[Line, ...] = ()
    forbid: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class HostProfile:
    """What a host links; ``labels``: which of it under labels (``implements``), too."""

    name: str
    links: tuple[Line, ...]
    labels: tuple[Line, ...]
    location: Location


@dataclass(frozen=True, slots=True)
class Setting:
    """What a policy says about a rule."""

    level: Level | None
    parameters: Mapping[str, int]
    location: Location

    def over(self, base: Setting) -> Setting:
        """What is not said here stays as it was."""
        return Setting(
            self.level or base.level, {**base.parameters, **self.parameters}, self.location
        )


@dataclass(frozen=True, slots=True)
class Budget:
    """``max_ms``: how long after an invocation began it may still call."""

    line: Line
    max_calls: int | None
    p99_ms: float | None
    location: Location
    max_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """Which components the policy is for; globs, empty for any."""

    image: str = ""
    name: str = ""
    sha256: tuple[str, ...] = ()
    location: Location = _NOWHERE

    def over(self, base: Match) -> Match:
        here = bool(self.image or self.name or self.sha256)
        return Match(
            self.image or base.image,
            self.name or base.name,
            self.sha256 or base.sha256,
            self.location if here else base.location,
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """``file`` is empty for the policy without a file, which has the rules' defaults.  ``sources``:
    the files it was read from with their sha256, its own first and then what it extends."""

    file: str = ""
    description: str = ""
    judge: Judge | None = None
    match: Match = Match()
    imports: Imports | None = None
    exports: Exports = Exports()
    hosts: tuple[HostProfile, ...] = ()
    permissions: Permissions = Permissions()
    virtual: Virtual | None = None
    rules: Mapping[str, Setting] = field(default_factory=dict)
    budgets: tuple[Budget, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    sources: tuple[tuple[str, str], ...] = ()

    @property
    def judged(self) -> Judge:
        """Which column decides about imports."""
        return self.judge or "declared"

    @property
    def location(self) -> Location | None:
        return Location(self.file, 1, 1) if self.file else None

    @property
    def denies(self) -> bool:
        """Whether there is an import or export it would not let through."""
        imports = self.imports is not None and (
            self.imports.default == "deny" or bool(self.imports.deny)
        )
        return imports or bool(self.exports.forbid) or not self.permissions.empty
