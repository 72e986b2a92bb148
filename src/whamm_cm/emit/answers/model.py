"""What a function of a provider does: one class for each kind of answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from whamm_cm.dataclass import dataclass

#: Nanoseconds that a monotonic clock of ours starts at: zero means that there is none to some.
BEGIN = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Keys:
    """Which keys are shown: those in ``allow`` (None: all of printable ASCII), none in ``deny``,
    which is read without regard to the case of ASCII letters and has what stands in a value's
    place, None for nothing."""

    allow: tuple[str, ...] | None
    deny: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same for every call, in the shapes of ``abi.values``."""

    value: object


@dataclass(frozen=True, slots=True)
class Looked:
    """What ``values`` has for the string that is the only argument, else ``other``."""

    values: Mapping[str, object]
    other: object


@dataclass(frozen=True, slots=True)
class Filtered:
    """What function ``host`` gives, a list of pairs or a ``result`` with one: the shown ones."""

    host: str
    keys: Keys


@dataclass(frozen=True, slots=True)
class Dice:
    """Numbers from ``seed`` on: one, or a list of as many bytes as the argument says.  Functions
    with the same ``seed`` take from the same row."""

    seed: int


@dataclass(frozen=True, slots=True)
class Time:
    """Nanoseconds since ``start``, as a number or as a record of seconds and nanoseconds."""

    start: int


@dataclass(frozen=True, slots=True)
class Wait:
    """A pollable of function ``host``, which waits as long; ``until``: the argument is an instant,
    else a duration.  ``now``: the host's clock."""

    host: str
    now: str
    until: bool


Reply: TypeAlias = "Fixed | Looked | Filtered | Dice | Time | Wait"
