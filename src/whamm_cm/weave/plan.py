"""What to weave: the caller's wishes, and a site with what was decided for it."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Literal, TypeAlias

from whamm_cm._version import __version__
from whamm_cm.agent.layout import NONCE_LETTERS, NONCE_SIZE, Flush
from whamm_cm.analysis.site import Selector, Site
from whamm_cm.analysis.source import Sources
from whamm_cm.component.ir import Component, Definition
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.model import Action, EventProbe, Redact, Request, Role
from whamm_cm.emit.past import OVER
from whamm_cm.emit.paths import has_trace
from whamm_cm.lang.tree import Declare, Scripts
from whamm_cm.lang.walk import walk
from whamm_cm.wasm.module import CoreModule

if TYPE_CHECKING:  # slow to import, and most weaves have no script
    from whamm_cm.lang.fold import EvaluateStatic
    from whamm_cm.weave.libraries import Library

#: ``otel`` is wasi:otel@0.2.0-rc.2 as released, ``otel-current`` as its repository has it since.
SinkName: TypeAlias = Literal["host", "stderr", "logging", "none", "otel", "otel-current"]
#: How a sink writes lines: blocks in base64, or a JSON object each.
LineForm: TypeAlias = Literal["packed", "json"]
#: An engine that takes a monitor module beside the program, in place of a woven one.
EngineName: TypeAlias = Literal["wizard"]


#: How long a live log may hold a record back.
LIVE_NS = 4_000_000


def fresh_nonce() -> str:
    """Characters that no guest can know; woven in, they mark the lines of a sink."""
    return "".join(secrets.choice(NONCE_LETTERS) for _ in range(NONCE_SIZE))


def nothing(edge: str, interface: str, version: str | None, func: str) -> bool:
    """The selector that wants no site."""
    return False


@dataclass(frozen=True, slots=True)
class ScriptPlan:
    """Checked scripts to weave.  ``libraries`` by the name the scripts use; ``evaluate`` answers
    ``@static`` calls while weaving; ``text`` is the scripts' own.  ``validate`` says why a core
    module is not valid, None when it is.  ``sources``: where the code is in the source."""

    scripts: Scripts
    libraries: Mapping[str, Library] = field(default_factory=dict)
    evaluate: EvaluateStatic | None = None
    text: str = ""
    validate: Callable[[bytes], str | None] | None = None
    sources: Sources = field(default_factory=Sources)

    @property
    def reports(self) -> bool:
        """Whether any of its variables is reported."""
        declared = (
            node.variable
            for stmt in (*self.scripts.globals, *(s for p in self.scripts.probes for s in p.body))
            for node in walk(stmt)
            if isinstance(node, Declare)
        )
        rules = self.scripts.wit_rules
        return any(variable.report for variable in declared) or any(r.reports for r in rules)


@dataclass(frozen=True, slots=True)
class Plan:
    """One weave.

    ``trace`` selects the sites that write typed records, ``count`` those that only bump a counter
    (a site selected by both is traced).  ``max_string`` is in bytes, ``max_list`` in elements.
    ``live`` sends records before calls that wait and, where the weave is ``timed``, a few
    milliseconds after they were made (at the next call that is recorded).  ``compat``: a core
    module reports when its ``main`` (else ``_start``) ends, as whamm has it, not when the outermost
    call does.  ``nonce`` marks the lines of sinks that write into a log of others, in the form
    ``lines``.  ``script`` is the text that asked for the weave; its hash goes into the
    ``whamm-cm`` custom section.  ``mark``:
    the maximum, in pages, that the types of the memories of agents get (and of a relay one more),
    by which a host that makes the memories knows them.  ``interval_ns``: how often what scripts
    count is sent while functions with probes run, 0: when an export returns only.  ``last_words``:
    core modules with probes of scripts also send it before ``unreachable``.  ``brief``: instances
    are many and do not live long, and the host can read what they hold: nothing leaves only because
    it is early in a run, and a live log has more patience.  ``sample``: records are made of one
    request, a call of an export of the root, in so many; what that begins to draw from is
    ``sample_start``, None for what differs from instance to instance.  ``engine``: what is made is
    a monitor module for it.  ``own_clocks``: probes read clocks of an interface of our own, for who
    runs it answers for those of WASI in the guest's place.  ``recorded``: what it makes is a
    recording: values have no limits, and the site table says this of it, a JSON object.
    ``origin``: the SHA-256 of what the input was made of, "" where it is the original.
    """

    trace: Selector = nothing
    count: Selector = nothing
    sink: SinkName = "stderr"
    timed: bool = False
    flush_each: bool = False
    live: bool = False
    multi_memory: bool = True
    max_string: int = 256
    max_list: int = 32
    show_secrets: bool = False
    max_core_instances: int | None = None
    force: bool = False
    script: str = ""
    scripts: ScriptPlan | None = None
    compat: bool = False
    mark: int | None = None
    interval_ns: int = 0
    last_words: bool = False
    brief: bool = False
    nonce: str = ""
    lines: LineForm = "packed"
    sample: int = 1
    sample_start: int | None = None
    engine: EngineName | None = None
    own_clocks: bool = False
    recorded: str = ""
    origin: str = ""

    @property
    def samples(self) -> bool:
        """Whether there are requests of which nothing is recorded."""
        return self.sample > 1 and self.sink != "none"

    @property
    def embedded(self) -> bool:
        """Whether it may run on the embedded engine, which asks where code that traps came from."""
        return self.sink == "host"

    def stamp(self, origin: str) -> bytes:
        """The content of the section ``whamm-cm``; ``origin`` is the SHA-256 of the input."""
        facts: dict[str, object] = {
            "tool": "whamm-cm",
            "version": __version__,
            "original-sha256": origin,
            "script-sha256": hashlib.sha256(self.script.encode()).hexdigest(),
            "sink": self.sink,
        }
        if self.samples:
            facts["sample"] = self.sample
        if self.engine is not None:
            facts["engine"] = self.engine
        if self.nonce:
            facts |= {"nonce": self.nonce, "lines": self.lines}
        return json.dumps(facts, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """A site with its orders.  ``number`` is its row in the site table (0 when not recorded);
    ``later``: probes for when tasks of this export are over, ``ending`` those of its callback;
    ``answer``: the ``task.return`` by which an ``alt`` probe answers.
    ``role``, ``context`` and ``export`` as in ``weave.tasks``, ``request`` as in ``Wrapper``."""

    site: Site
    action: Action
    number: int = 0
    slot: int = 0
    redact: Redact | None = None
    flush_before: Flush | None = None
    flush_outside: bool = False
    relayed: bool = False
    probes: tuple[EventProbe, ...] = ()
    answer: Site | None = None
    later: tuple[EventProbe, ...] = ()
    ending: tuple[EventProbe, ...] = ()
    role: Role = ""
    context: str = ""
    export: int = 0
    request: Request = ""

    @property
    def logs(self) -> bool:
        """Whether records may be made of its calls."""
        return self.action == "record" or any(map(has_trace, (*self.probes, *self.later)))

    @property
    def is_late(self) -> bool:
        """Whether a call that is probed may be over when something else is called."""
        if self.role not in ("start", "copy"):
            return False
        return self.action == "record" or any(p.mode in OVER or has_trace(p) for p in self.probes)


@dataclass(slots=True)
class Added:
    """What the weave put into the component, and what it had to leave alone."""

    wrappers: int = 0
    probe_modules: int = 0
    agents: int = 0
    core_modules: int = 0
    instances_before: int = 0
    instances_after: int = 0
    sites: int = 0
    core_sites: int = 0
    counters: int = 0
    #: How many of these are globals, at most in one core module.
    globals: int = 0
    woven_modules: int = 0
    dropped: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    #: Rules that did not match somewhere, with the reason and how often.
    unmatched: list[tuple[str, str, int]] = field(default_factory=list)
    #: Rules that matched nothing at all: where they stand, what they are, why.
    idle: list[tuple[str, str, str]] = field(default_factory=list)
    #: Where variables of the source are not there that scripts read.
    gone: list[str] = field(default_factory=list)
    #: What else the reader of a report or the author of a rule should know, in sentences.
    remarks: list[str] = field(default_factory=list)
    #: Why nothing was validated, if it was not.
    unvalidated: str = ""

    @property
    def core_instances(self) -> int:
        """How many core instances a host has to make that it had not before."""
        return self.instances_after - self.instances_before

    def count(self, definitions: Iterable[Definition]) -> None:
        """Count the core modules among ``definitions`` and below."""
        for definition in definitions:
            node = definition.node
            if isinstance(node, Component):
                self.count(node.definitions)
            self.core_modules += isinstance(node, CoreModule)
