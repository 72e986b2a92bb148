"""What may be asked of a weave, in a user's words: one frozen value, passed whole."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import UsageError

if TYPE_CHECKING:
    from whamm_cm.analysis.site import Selector
    from whamm_cm.weave.libraries import Library
    from whamm_cm.weave.plan import EngineName, LineForm, Plan, ScriptPlan, SinkName

#: The text of a script, a file of one, or a name for messages and the text.
Script: TypeAlias = "str | os.PathLike[str] | tuple[str, str]"
#: A file, its bytes, or what was loaded from either.
LibrarySource: TypeAlias = "str | os.PathLike[str] | bytes | Library"
#: What ``$name`` means in scripts.
Parameter: TypeAlias = str | int | float | bool
Define: TypeAlias = "Mapping[str, Parameter] | Sequence[tuple[str, Parameter]]"
Flush: TypeAlias = Literal["full", "live", "each"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One weave; the defaults are those of ``whamm-cm instrument``, whose options have the same
    names and say more.

    ``trace`` and ``count``: a SET of boundary functions, such as ``"*"``, ``"%net"`` or
    ``"wasi:io/*,!%clock"``; None for none.  ``scripts``: texts, or paths of files; ``monitor``:
    names of ready scripts; ``libraries``: what scripts ``use``, by that name; ``define``: what
    ``$name`` and ``param name`` mean in them, ``script_args`` the same of ``$1``, ``$2`` and so on,
    a str as on the command line; ``debug``: files with the debug information of core modules, each
    ``[MODULE=]FILE``.  ``sink`` None:
    ``stderr``, for a core module that uses no WASI ``none``.  ``timed``: records have times.
    ``flush``: when records leave the guest.  ``interval_ns``: how often, in nanoseconds, what
    scripts count leaves while the guest runs; 0: when an export returns.  ``max_string`` is in
    bytes, ``max_list`` in elements.  ``multi_memory`` False: for hosts without.
    ``max_core_instances``: more of them are an error.  ``force``: weave what is woven already.
    ``nonce`` marks the lines of a sink, "" draws a new one; ``lines`` is their form.  ``compat``: a
    core module reports when its ``main`` ends, as whamm has it.  ``sample``: records are made of
    one call of an export of the root in so many, chosen by chance, and of what is below it;
    counters and scripts see all.  ``engine``: ``"wizard"`` makes a monitor module for that engine
    instead of a copy with probes in it.
    """

    trace: str | None = None
    count: str | None = None
    scripts: str | os.PathLike[str] | Sequence[Script] = ()
    monitor: str | Sequence[str] = ()
    libraries: Mapping[str, LibrarySource] = field(default_factory=dict)
    define: Define = field(default_factory=dict)
    script_args: Sequence[Parameter] = ()
    debug: Sequence[str | os.PathLike[str]] = ()
    sink: SinkName | None = None
    timed: bool = False
    flush: Flush = "live"
    interval_ns: int = 0
    max_string: int = 256
    max_list: int = 32
    show_secrets: bool = False
    multi_memory: bool = True
    max_core_instances: int | None = None
    force: bool = False
    nonce: str = ""
    lines: LineForm = "packed"
    compat: bool = False
    sample: int = 1
    engine: EngineName | None = None

    @property
    def scripted(self) -> bool:
        return bool(self.scripts or self.monitor)

    @property
    def asks(self) -> bool:
        """Whether there is anything to weave."""
        return self.trace is not None or self.count is not None or self.scripted

    def running(self) -> Settings:
        """For a run under the embedded engine: records come to the host; without a word about what
        to trace, it is the default."""
        from whamm_cm.wit.classes import DEFAULT

        found = self if self.asks else replace(self, trace=DEFAULT)
        return replace(found, sink="host")

    def plan(self, sink: SinkName, scripts: ScriptPlan | None, mark: int | None = None) -> Plan:
        """What the weave is told; ``scripts`` are those of the settings, checked.

        Raises PatternError, a UsageError, for a SET that is none.
        """
        from whamm_cm.weave.plan import Plan, fresh_nonce

        text = "" if scripts is None else f";{scripts.text}"
        return Plan(
            trace=_selector(self.trace),
            count=_selector(self.count),
            sink=sink,
            timed=self.timed,
            flush_each=self.flush == "each",
            live=self.flush == "live",
            multi_memory=self.multi_memory,
            max_string=self.max_string,
            max_list=self.max_list,
            show_secrets=self.show_secrets,
            max_core_instances=self.max_core_instances,
            force=self.force,
            script=f"trace={self.trace};count={self.count}{text}",
            scripts=scripts,
            compat=self.compat,
            mark=mark,
            interval_ns=self.interval_ns,
            last_words=True,
            nonce=(self.nonce or fresh_nonce()) if sink in ("stderr", "logging") else "",
            lines=self.lines,
            sample=self.sample,
            engine=self.engine,
        )


class Wishes(TypedDict, total=False):
    """The settings as keyword arguments (see :class:`Settings`)."""

    trace: str | None
    count: str | None
    scripts: str | os.PathLike[str] | Sequence[Script]
    monitor: str | Sequence[str]
    libraries: Mapping[str, LibrarySource]
    define: Define
    script_args: Sequence[Parameter]
    debug: Sequence[str | os.PathLike[str]]
    sink: SinkName | None
    timed: bool
    flush: Flush
    interval_ns: int
    max_string: int
    max_list: int
    show_secrets: bool
    multi_memory: bool
    max_core_instances: int | None
    force: bool
    nonce: str
    lines: LineForm
    compat: bool
    sample: int
    engine: EngineName | None


#: What the table in the guest has room for.
MOST_SAMPLED = 1_000_000_000


def check_sample(sample: int) -> None:
    """Raises UsageError for what is no number of requests of which one is recorded."""
    if not 1 <= sample <= MOST_SAMPLED:
        raise UsageError(f"sample={sample}: expected 1 to {MOST_SAMPLED}, one request in so many")


def settled(settings: Settings, wishes: Wishes) -> Settings:
    """``settings`` with ``wishes`` in it.  Raises UsageError for a word there is none of."""
    for name, words in (
        ("sink", ("stderr", "logging", "host", "none", "otel", "otel-current")),
        ("flush", ("full", "live", "each")),
        ("lines", ("packed", "json")),
        ("engine", ("wizard",)),
    ):
        word = wishes.get(name)
        if word is not None and word not in words:
            raise UsageError(f"{name}={word!r}: expected one of {', '.join(words)}")
    check_sample(wishes.get("sample", 1))
    return replace(settings, **wishes)


def _selector(text: str | None) -> Selector:
    """Of ``-e trace=SET`` and ``--trace SET``; ``*`` is everything."""
    from whamm_cm.weave.plan import nothing
    from whamm_cm.wit.classes import SiteSet

    return nothing if text is None else SiteSet.parse("all" if text == "*" else text)
