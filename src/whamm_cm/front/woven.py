"""What comes out of a weave: bytes that any host can run, and what there is to say about them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from whamm_cm import files
from whamm_cm.component import nodes as n
from whamm_cm.component.decode import MODULE_PREAMBLE, decode
from whamm_cm.component.ir import walk
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError, InternalError
from whamm_cm.front.scripts import script_plan, script_warnings
from whamm_cm.front.settings import Settings
from whamm_cm.registry.names import is_target
from whamm_cm.render.words import counted, were
from whamm_cm.wasm.module import CoreModule, SectionId
from whamm_cm.weave import api
from whamm_cm.weave.plan import Added, Plan, SinkName

if TYPE_CHECKING:
    from whamm_cm.agent.table import SiteTable
    from whamm_cm.registry.artifact import Artifact
    from whamm_cm.registry.image import World
    from whamm_cm.registry.push import Pushed
    from whamm_cm.weave.plain import WovenModule

#: What fits the 1 MiB that a core instance may have on such hosts.
POOLED_COUNTERS = 40_000
#: So many more core instances than the original has are nothing to speak of.
_POOLED_INSTANCES = 3


@dataclass(frozen=True, slots=True, eq=False)
class Woven:
    """A woven copy of ``name``, which had ``before`` bytes.

    ``report`` says what was added, and what was left alone and why; ``warnings`` the same in
    sentences, as far as somebody should know.  ``image``: the image that ``name`` is, if it is one.
    """

    name: str
    before: int
    plan: Plan
    inner: api.Woven | WovenModule
    image: Artifact | None = None

    @property
    def bytes(self) -> bytes:
        """The woven binary, encoded anew each time.  Same input, settings and nonce: same bytes."""
        return self.inner.wasm

    @property
    def size(self) -> int:
        return sum(map(len, self.inner.pieces))

    @property
    def report(self) -> Added:
        return self.inner.added

    @property
    def table(self) -> SiteTable:
        """The sites that records are read with."""
        from whamm_cm.agent.table import SiteTable

        return SiteTable.parse(self.inner.table)

    @property
    def nonce(self) -> str:
        """What marks the lines of its sink as ours; "" for sinks that write none."""
        return self.plan.nonce

    @property
    def mark(self) -> int | None:
        """What memories of agents are known by; None for those of a core module."""
        return self.inner.mark if isinstance(self.inner, api.Woven) else None

    @property
    def timed(self) -> bool:
        """Whether records have times: a core module may have no clock to ask."""
        return self.plan.timed if isinstance(self.inner, api.Woven) else self.inner.timed

    @property
    def warnings(self) -> tuple[str, ...]:
        return (*script_warnings(self.plan.scripts), *notes(self.report), *pooled(self.report))

    def write(self, path: str | os.PathLike[str]) -> Pushed | None:
        """Whole or not at all: by a temporary file beside ``path`` and a rename, or as an image
        (``oci://registry/repository:tag``, or ``DIR:TAG`` of a layout), by whose digest it is known
        from then on.

        An image keeps what the config and the annotations of the original say, where that is one,
        and names its digest.  Raises UsageError when the place cannot be written.
        """
        place = os.fspath(path)
        if not is_target(place):
            files.write(place, self.inner.pieces)
            return None
        from whamm_cm.registry.image import image
        from whamm_cm.registry.push import push  # urllib and ssl take their time

        return push(place, image(self.inner.pieces, self._world(), self.image), self.image)

    def _world(self) -> World:
        from whamm_cm.registry.image import World

        if not isinstance(self.inner, api.Woven):
            return World(component=False)
        found = [definition.node for definition in self.inner.component.definitions]
        return World(
            [node.name.name for node in found if isinstance(node, n.Import)],
            [node.name.name for node in found if isinstance(node, n.Export)],
        )

    def describe(self) -> str:
        """One sentence about what was added."""
        added = self.report
        core = ""
        if added.woven_modules:
            core = (
                f"{counted(added.core_sites, 'opcode site')} in"
                f" {counted(added.woven_modules, 'core module')} with"
                f" {counted(added.counters, 'counter')} woven"
            )
            if not added.sites and not added.instances_after:
                return core  # of a core module that is not traced
            core += "; "
        core += f"{counted(added.sites, 'function')} woven: {counted(added.wrappers, 'wrapper')}"
        if not added.instances_after:
            return core  # of a core module, which it all becomes one with
        return core + (
            f" in {counted(added.probe_modules, 'probe module')},"
            f" {counted(added.agents, 'agent')};"
            f" {counted(added.core_modules, 'core module')} added,"
            f" {added.instances_before} → {counted(added.instances_after, 'core instance')}"
        )


def is_module(data: bytes) -> bool:
    """Whether the input is a plain core module."""
    return data[:8] == MODULE_PREAMBLE


def runs_once(data: bytes) -> bool:
    """Whether hosts run it by one call of one function, with no code before: where such a guest
    has reported and recorded nothing after, it has not run on, either."""
    if is_module(data):
        modules = [CoreModule(data)]
        once = {e.name for e in modules[0].exports if e.kind == "func"} == {"_start"}
    else:
        root = decode(data)
        parts = list(walk(root))
        nodes = [d.node for part in parts for d in part.definitions]
        modules = [node for node in nodes if isinstance(node, CoreModule)]
        names = [d.node.name.name for d in root.definitions if isinstance(d.node, n.Export)]
        once = len(names) == 1 and names[0].startswith("wasi:cli/run@0.2.")
        once = once and not any(isinstance(node, n.Start) for node in nodes)
    return once and all(module.section(SectionId.START) is None for module in modules)


def sink_for(settings: Settings, data: bytes) -> SinkName:
    """A core module gets no WASI that it has not got already."""
    if settings.sink or settings.engine or not is_module(data):
        return settings.sink or "stderr"
    from whamm_cm.weave.plain_sinks import uses_wasi

    return "stderr" if uses_wasi(data) else "none"


def weave(data: bytes, settings: Settings, name: str, image: Artifact | None = None) -> Woven:
    """What :func:`woven` makes of ``data`` by these settings."""
    plan = settings.plan(sink_for(settings, data), script_plan(settings))
    return woven(data, plan, name, image)


def woven(data: bytes, plan: Plan, name: str, image: Artifact | None = None) -> Woven:
    """Weave and validate; an invalid component is never handed out.

    Raises DecodeError, WeaveError, InputError for an original that is invalid, InternalError when
    only the copy is.
    """
    if plan.scripts is not None:
        plan.scripts.sources.near(name)
    make = _monitor if plan.engine else _module if is_module(data) else _component
    return Woven(name, len(data), plan, make(data, plan, name), image)


def _monitor(data: bytes, plan: Plan, name: str) -> WovenModule:
    from whamm_cm.run.engine import validate_module
    from whamm_cm.weave.wizard.monitor import weave_monitor

    if not is_module(data):
        raise InputError(
            f"{name} is a component, and the Wizard engine runs core modules: whamm-cm trace"
            " --engine wizard runs those in it that can run alone"
        )
    found = weave_monitor(data, plan, name)
    fault = validate_module(found.wasm)
    if fault is not None:
        _blame(found.added, name, fault, validate_module(data))
    return found


def _module(data: bytes, plan: Plan, name: str) -> WovenModule:
    from whamm_cm.run.engine import validate_module
    from whamm_cm.weave.plain import weave_module

    found = weave_module(data, plan, name)
    fault = validate_module(found.wasm)
    if fault is not None:
        _blame(found.added, name, fault, validate_module(data))
    return found


def _component(data: bytes, plan: Plan, name: str) -> api.Woven:
    from whamm_cm.run.engine import validate_component, validate_module
    from whamm_cm.weave.verify import own_modules, skeleton

    found = api.weave(data, plan, name)
    ours = own_modules(found.component)
    fault = next(filter(None, map(validate_module, ours)), None)
    if fault is not None:
        _blame(found.added, name, fault, None)
    fault = validate_component(skeleton(found.component))
    if fault is not None:
        original = validate_component(skeleton(decode(data, name)))
        _blame(found.added, name, fault, original)
    return found


def _blame(added: Added, name: str, fault: str, original: str | None) -> None:
    """Whose fault it is that what was woven is refused, ``original`` being why the original is.
    If this wasmtime only lacks something, other hosts may well have it."""
    from whamm_cm.run.engine import is_lack

    if original is None:
        raise InternalError(f"the woven copy of {name} is not valid: {fault}; please report this")
    if not is_lack(original):
        raise InputError(f"{name} is not valid on this wasmtime: {original}")
    added.unvalidated = original


#: Notes of one kind that are shown at most.
_GONE = 5


def notes(added: Added, verbose: bool = True) -> Iterator[str]:
    """What was left alone and did not match: each of them, or how many."""
    if added.unvalidated:
        text = "not validated here, for this wasmtime refuses the original, too"
        yield f"{text}: {added.unvalidated}"
    yield from added.gone[: None if verbose else _GONE]
    if len(added.gone) > _GONE and not verbose:
        yield f"{len(added.gone) - _GONE} more variables are not everywhere (-v lists them)"
    yield from added.remarks
    if verbose:
        for title, reason in added.skipped:
            yield f"not woven: {title}: {reason}"
        for place, rule, reason in added.idle:
            yield f"no match: {rule} ({place}): {reason}"
        for rule, reason, count in added.unmatched:
            yield f"no match: {rule}: {reason} ({count} sites)"
        for place, section in added.dropped:
            yield f"{place}: custom section {section} left out, for code has moved"
        return
    if added.skipped:
        yield f"{were(len(added.skipped), 'function')} left alone (-v lists them)"
    for place, rule, reason in added.idle[:1]:
        more = len(added.idle) - 1
        too = f" (as {counted(more, 'rule')} more; -v lists them)" if more else ""
        yield f"{place}: {rule} matches nothing: {reason}{too}"


def pooled(added: Added, instances: bool = True) -> Iterator[str]:
    """What hosts with pooled instances refuse; ``instances``: how many there are, too."""
    if instances and added.core_instances > _POOLED_INSTANCES:
        yield (
            f"{added.instances_before} → {added.instances_after} core instances: hosts with pooled"
            " instances run fewer at a time; raise WASMTIME_POOLING_TOTAL_CORE_INSTANCES (wash),"
            " -O pooling-total-core-instances (wasmtime), or select fewer functions"
        )
    if added.globals > POOLED_COUNTERS:
        yield (
            f"{added.globals} counters in globals: more than {POOLED_COUNTERS} in one core instance"
            " are refused by hosts with pooled instances; leave out --no-multi-memory, or narrow"
            " the match"
        )
