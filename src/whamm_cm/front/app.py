"""A component or a core module in hand: what is in it, and what can be done with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Unpack

from whamm_cm.component import ir
from whamm_cm.component.decode import MODULE_PREAMBLE, decode
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError
from whamm_cm.front.settings import Settings, Wishes, settled
from whamm_cm.registry.inputs import opened
from whamm_cm.wasm import module as core

if TYPE_CHECKING:
    from datetime import date

    from whamm_cm.analysis.facts import ExternFacts, Facts, ModuleFacts, SiteFacts
    from whamm_cm.front.run import Run
    from whamm_cm.front.verdict import Verdict
    from whamm_cm.front.woven import Woven
    from whamm_cm.gate.diff import Change
    from whamm_cm.gate.model import Severity, Subject
    from whamm_cm.gate.policy import Policy
    from whamm_cm.registry.artifact import Artifact
    from whamm_cm.run.options import Dir
    from whamm_cm.trace.records import Record
    from whamm_cm.weave.listing import Listing

#: The defaults of a weave that is run at once: with times, counts leaving once a second.
TRACING = Settings(timed=True, interval_ns=10**9)


@dataclass(frozen=True, eq=False)
class Guest:
    """What components and core modules share.  ``name``: what messages call it; ``image``: the
    image it was read from."""

    data: bytes = field(repr=False)
    name: str
    image: Artifact | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.data)

    @cached_property
    def sha256(self) -> str:
        import hashlib

        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def root(self) -> ir.Component:
        """The decoded definitions (DecodeError), for those who read ``docs/dev-intro.md``; of a
        core module those of the component around it (``analysis.alone``)."""
        from whamm_cm.analysis.alone import as_component

        return decode(as_component(self.data, self.name), self.name)

    @cached_property
    def facts(self) -> Facts:
        """All that is known of it without running it."""
        from whamm_cm.analysis.facts import collect

        alone = self.data[:8] == MODULE_PREAMBLE
        return replace(collect(self.root), size=self.size, alone=alone)

    def sites(self, pattern: str = "*") -> tuple[SiteFacts, ...]:
        """The functions at boundaries that a SET selects, as in ``trace=``; one with a ``reason``
        cannot be woven.  Raises PatternError, a UsageError."""
        from whamm_cm.wit.classes import SiteSet

        wanted = SiteSet.parse("all" if pattern == "*" else pattern)
        return tuple(site for site in self.facts.sites if site.is_in(wanted))

    def wit(self) -> str:
        """Its world as WIT text."""
        from whamm_cm.wit.printer import world_text
        from whamm_cm.wit.resolve import resolve

        return world_text(resolve(self.root).world)

    def capabilities(self, observed: Run | None = None) -> Subject:
        """What it may do, by function: imported, reachable from its exports, and, with a run, how
        often it was called."""
        from whamm_cm.gate.capabilities import Observed
        from whamm_cm.gate.subject import analyse

        seen = None if observed is None else Observed.of(observed.records)
        return analyse(self.data, self.name, seen).subject

    def diff(self, new: Guest) -> tuple[Change, ...]:
        """What the release ``new`` can do that this one could not, and the other way round."""
        from whamm_cm.gate.diff import diff

        return diff(self.capabilities(), new.capabilities())

    def gate(
        self,
        policy: str | os.PathLike[str] | Policy | None = None,
        *,
        observed: Run | None = None,
        baseline: str | os.PathLike[str] | None = None,
        fail_on: Severity | None = "error",
        today: date | None = None,
        trust: Iterable[str | os.PathLike[str]] = (),
    ) -> Verdict:
        """Judge it by a policy: a file, the name of a profile, or none for the rules' defaults.

        ``observed``: a run, for what was used; what was not is believed of one that is ``vouched``.
        ``baseline``: findings known before; ``fail_on`` None: findings never fail; ``today``:
        waivers expire by it; ``trust``: public keys (PEM) whose guards are believed.  Nothing is
        run.  Raises UsageError for a wrong policy, baseline or key.
        """
        from whamm_cm.front.verdict import judge

        return judge(self.data, self.name, policy, observed, baseline, fail_on, today, trust)

    def matches(self, *scripts: str | os.PathLike[str]) -> Listing:
        """Where the probes of scripts would be, and why they would not elsewhere.  A match rule
        alone is enough: ``wasm:opcode:call:before``, ``wasi:io/*#*:before``.

        Raises UsageError for a wrong script, DecodeError.
        """
        from whamm_cm.front.listing import listing, rules

        return listing(self.data, self.name, rules(scripts))

    def weave(self, settings: Settings | None = None, **wishes: Unpack[Wishes]) -> Woven:
        """A copy with probes in it that any host can run.  Nothing is written.

        ``wishes`` are settings by name and go before those of ``settings``.  Raises UsageError (a
        SET, a script or a setting is wrong), InputError, and WeaveError where the weave is
        impossible.
        """
        from whamm_cm.front.woven import weave

        return weave(self.data, settled(settings or Settings(), wishes), self.name, self.image)

    def trace(
        self,
        settings: Settings | None = None,
        *,
        args: Iterable[str] = (),
        env: Mapping[str, str] | None = None,
        dirs: Iterable[str | Dir] = (),
        network: bool = False,
        invoke: str | None = None,
        stdin: bytes = b"",
        capture: bool = True,
        stub_imports: bool = False,
        cache: bool = True,
        timeout: float | None = None,
        on_record: Callable[[Record], None] | None = None,
        keep: bool = True,
        **wishes: Unpack[Wishes],
    ) -> Run:
        """Weave a copy and run it to its end under the embedded engine.

        The settings are as for :meth:`weave`, with times unless ``timed=False``; without a word
        about what to trace it is everything.  Records come to us whatever the sink.

        ``args`` come behind the program's name; ``env`` is all the guest sees of variables;
        ``dirs``: ``"HOST::GUEST"`` or :class:`~whamm_cm.run.options.Dir`; ``network``: sockets and
        name lookup; ``invoke``: the export to call, with values in WAVE (``'add(1, 2)'``).
        The guest's output is captured, or goes to our own streams if not ``capture``; then it
        reads our standard input, too.  After ``timeout`` seconds the guest is stopped.
        ``on_record`` gets every record as it comes, on another thread, one at a time; what it
        raises ends the run and is raised here.  Without ``keep`` no record is kept.
        ``stub_imports``: what nobody provides traps when called; ``cache``: compiled code is kept.

        Raises, beside what :meth:`weave` raises, RunError for what cannot be run at all; a trap or
        a bad status is no error, but an outcome (``status``, ``trap``).
        """
        from whamm_cm.front.tracing import Tracing

        merged = settled(settings or TRACING, wishes)
        tracing = Tracing(
            tuple(args), dict(env or {}), tuple(dirs), network, invoke, stdin, capture,
            stub_imports, cache, timeout, on_record, keep,
        )  # fmt: skip
        return tracing.run(self.data, merged.running(), self.name)


class CoreModule(Guest):
    """A core module."""

    @cached_property
    def module(self) -> core.CoreModule:
        """Its sections, read when they are first asked for (DecodeError)."""
        return core.CoreModule(self.data)

    @property
    def imports(self) -> tuple[core.Import, ...]:
        return self.module.imports

    @property
    def exports(self) -> tuple[core.Export, ...]:
        return self.module.exports

    @cached_property
    def modules(self) -> tuple[ModuleFacts, ...]:
        """Itself."""
        from whamm_cm.analysis.facts import module_facts

        return (module_facts(self.module),)


class Component(Guest):
    """A component.  Everything is asked of the bytes when it is first wanted, once."""

    @property
    def imports(self) -> tuple[ExternFacts, ...]:
        return self.facts.imports

    @property
    def exports(self) -> tuple[ExternFacts, ...]:
        return self.facts.exports

    @property
    def modules(self) -> tuple[ModuleFacts, ...]:
        """The core modules in it, at any depth."""
        return self.facts.modules


def load(source: str | os.PathLike[str] | bytes, name: str = "") -> Component | CoreModule:
    """A component or a core module, from a file, from an image (``oci://REFERENCE``, or a layout as
    ``DIR``, ``DIR:TAG``, ``DIR@sha256:…``), or from its bytes.

    ``name`` is what messages call it: the path by default, ``input`` for bytes.  Raises InputError
    for what cannot be read, and DecodeError, one too, for what is neither.
    """
    image = None
    if isinstance(source, bytes):
        data, called = source, name or "input"
    else:
        path = os.fspath(source)
        (data, image), called = opened(path), name or path
    if data[:8] == MODULE_PREAMBLE:
        module = CoreModule(data, called, image)
        try:
            _ = module.module.sections  # what is no module is said here
        except DecodeError as error:
            raise DecodeError(error.message, error.offset, error.path, called) from None
        return module
    component = Component(data, called, image)
    _ = component.root
    return component
