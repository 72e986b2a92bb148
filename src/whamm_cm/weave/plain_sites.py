"""What a core module calls and exports, traced: its sites, and the parts that probe them.

Sites are chosen in the component around the module (``analysis.alone``), so sets, classes, counts,
secrets and the moments of flushing are those of components.  What is woven is the module: the
functions it imports become those of a probe module, which imports the original ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from whamm_cm.abi.flatten import CoreSig
from whamm_cm.agent.sites import SiteTableBuilder
from whamm_cm.analysis.alone import Boundaries, Boundary, around, boundaries
from whamm_cm.analysis.program import Program
from whamm_cm.analysis.site import Site
from whamm_cm.analysis.sites import find_sites
from whamm_cm.component.decode import decode
from whamm_cm.component.nodes import Canon
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.model import ProbeOptions, Wrapper
from whamm_cm.emit.modules import build_probe
from whamm_cm.emit.probe import memory_type
from whamm_cm.emit.script.memories import LENT
from whamm_cm.wasm.asm import Module
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.edit import ModuleEdit
from whamm_cm.wasm.leb import name_bytes, unsigned
from whamm_cm.wasm.link import Part
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.section_refs import read_import_entries
from whamm_cm.wasm.sections import SectionId
from whamm_cm.wasm.types import MemoryType
from whamm_cm.weave.orders import Orders
from whamm_cm.weave.plain_sinks import OUT, add_clock, can_lend, import_time, wasi_name
from whamm_cm.weave.plan import LIVE_NS, Added, Chosen, Plan

#: What the guest imports its wrapped functions as, and the gates around its exports, too.
WRAPPED = "whamm-cm:wrapped"
_MEMORY = LENT + "probe"
_MONOTONIC = 1


@dataclass(frozen=True, slots=True)
class Traced:
    """The functions with wrappers, in their order.  ``memory``: the one that values lie in, by
    index; ``timed``: there is a clock."""

    found: Boundaries
    rows: tuple[tuple[Boundary, Chosen], ...]
    memory: int | None
    timed: bool
    options: ProbeOptions
    #: The name WASI is imported by.
    wasi: str

    @property
    def exports(self) -> dict[str, int]:
        """Exports of the guest by name with the numbers of their wrappers."""
        rows = enumerate(self.rows)
        return {each.name: k for k, (each, chosen) in rows if chosen.site.kind == "lift"}

    def redirected(self, guest: CoreModule) -> CoreModule:
        """``guest`` with the wrapped imports renamed, and its memory exported for the probes."""
        numbers = {
            each: k for k, (each, chosen) in enumerate(self.rows) if chosen.site.kind == "lower"
        }
        renamed = {
            at: f"w{numbers[self.found.imports[position]]}"
            for at, position in enumerate(self.found.positions)
            if position is not None and self.found.imports[position] in numbers
        }
        found = CoreModule(_with_imports(guest, renamed))
        if self.memory is None:
            return found
        edit = ModuleEdit(found)
        edit.add_export(_MEMORY, "memory", self.memory)
        return CoreModule(edit.encode())

    def parts(self, guest: CoreModule) -> list[Part]:
        """The probe module, and what it takes: the functions, the memory, the clock."""
        memories = [] if self.memory is None else [guest.memory_type(self.memory)]
        wrappers = [self._wrapper(each, chosen) for each, chosen in self.rows]
        probe = build_probe(wrappers, memories, self.options, sink=OUT, way=True)
        given = Part("given", self._given(guest, memories), "probe")
        return [given, Part("probe", probe, WRAPPED)]

    def _wrapper(self, each: Boundary, chosen: Chosen) -> Wrapper:
        site = chosen.site
        return Wrapper(
            chosen.number, site.kind, chosen.action, site.signature, site.params, site.result,
            memory=None if self.memory is None else 0,
            slot=chosen.slot,
            redact=chosen.redact,
            flush_before=chosen.flush_before,
            flush_outside=chosen.flush_outside,
            known=each.known,
        )  # fmt: skip

    def _given(self, guest: CoreModule, memories: Sequence[MemoryType]) -> bytes:
        module = Module()
        found = []
        for each, chosen in self.rows:
            origin = "guest" if chosen.site.kind == "lift" else each.module
            flat = each.flat
            found.append(module.import_func(origin, each.name, flat.params, flat.results))
        for number, memory in enumerate(memories):
            at = module.import_memory("guest", _MEMORY, memory_type(memory))
            module.export_memory(f"m{number}", at)
        if self.timed:
            time = import_time(module, self.wasi)
            clock, now = add_clock(module, time, 0), module.func((), ("i64",))
            now.i32(_MONOTONIC)
            now.call(clock)
            module.export_func("now", now.index)
        for k, index in enumerate(found):
            module.export_func(f"f{k}", index)
        return module.encode()


def choose(
    module: CoreModule, plan: Plan, added: Added, builder: SiteTableBuilder
) -> Traced | None:
    """The sites that ``plan`` wants; None for none.  Raises DecodeError, WeaveError."""
    found = boundaries(module)
    memory = _memory(module)
    reason = _unusable(module, memory)
    program = Program.of(decode(around(module)))
    lowers, lifts = iter(found.imports), iter(found.exports)
    by_site: dict[Site, Boundary] = {}
    homes = {
        d: next(lifts if d.node.op == "lift" else lowers)
        for d in program.root.definitions
        if isinstance(d.node, Canon)
    }
    for site in find_sites(program):
        each = homes[site.definition]
        needs = each.known is not None and each.known.in_memory
        why = each.reason or (reason if needs else "")
        signature = CoreSig(each.flat.params, each.flat.results)
        complete = replace(
            site, signature=signature, params=each.params, result=each.result, reason=why
        )
        by_site[complete] = each
    added.skipped += [
        (f"import {each.module}#{each.name}", "it is imported by another type, too")
        for each, position in zip(module.imported("func"), found.positions, strict=True)
        if position is None
    ]
    orders = Orders(plan, added, builder)
    chosen = orders.choose(program, tuple(by_site)).get(program.root, [])
    if not any(each.action != "none" for each in chosen):
        return None
    added.wrappers, added.probe_modules = len(chosen), 1
    rows = tuple((by_site[each.site], each) for each in chosen)
    timed = plan.timed and has_clock(module)
    usable = memory if not reason else None
    return Traced(found, rows, usable, timed, _options(plan, chosen, timed), wasi_name(module))


def _options(plan: Plan, chosen: Iterable[Chosen], timed: bool) -> ProbeOptions:
    counts = [each.number for each in chosen if each.action == "count"]
    return ProbeOptions(
        timed=timed,
        multi_memory=plan.multi_memory,
        flush_each=plan.flush_each,
        emit=plan.sink != "none",
        max_string=plan.max_string,
        max_list=plan.max_list,
        interval_ns=LIVE_NS if plan.live else 0,
        count_base=min(counts, default=0),
        count_n=len(counts),
    )


def _memory(module: CoreModule) -> int | None:
    """The memory that WASI reads and writes: the one that is exported by that name, else the
    first."""
    export = module.export("memory")
    if export is not None and export.kind == "memory":
        return export.index
    return 0 if module.imported("memory") or module.memories else None


def _unusable(module: CoreModule, memory: int | None) -> str:
    """Why no values can be read there, "" where they can."""
    if memory is None:
        return "it works on a memory, and the module has none"
    if module.memory_type(memory).is64:
        return "it works on a memory with 32-bit addresses, and the module's has 64-bit ones"
    return ""


def has_clock(module: CoreModule) -> bool:
    """Whether the clock of WASI can be read: it is there, and has a memory to write to."""
    return bool(wasi_name(module)) and can_lend(module)


def _with_imports(guest: CoreModule, renamed: Mapping[int, str]) -> bytes:
    """Imported functions of these numbers are imported from :data:`WRAPPED`, by these names."""
    at = next((i for i, s in enumerate(guest.sections) if s.id == SectionId.IMPORT), None)
    if at is None or not renamed:
        return bytes(guest.data)
    section = guest.sections[at]
    cur = Cursor(guest.data, section.start, section.end, guest.offset, guest.path)
    entries, functions = [], 0
    for entry in read_import_entries(cur):
        name = renamed.get(functions) if entry.kind == "func" else None
        functions += entry.kind == "func"
        names = entry.names if name is None else name_bytes(WRAPPED) + name_bytes(name)
        entries.append(names + bytes(guest.data[entry.start : entry.end]))
    return guest.encode({at: unsigned(len(entries)) + b"".join(entries)})
