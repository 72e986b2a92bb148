"""A plain core module made self-contained: guest, probes, script unit, agent and way out in one.

The exported functions of the guest get a gate around them, so that what was recorded leaves when
the outermost call returns.  The parts keep memories of their own behind the guest's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from dataclasses import field, replace

from whamm_cm.agent.layout import Flush, load_wasm
from whamm_cm.agent.sites import SiteTableBuilder
from whamm_cm.agent.table import known_table, packed_table
from whamm_cm.analysis.stamp import SITES, STAMP
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.leave import LEFT
from whamm_cm.emit.script.env import LEAVING
from whamm_cm.emit.script.memories import LENT
from whamm_cm.errors import DecodeError, WeaveError
from whamm_cm.lang import tree as t
from whamm_cm.lang.intervals import beat_of
from whamm_cm.lang.walk import code_of, walk
from whamm_cm.wasm import snippets
from whamm_cm.wasm.asm import Module
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.customs import about_code
from whamm_cm.wasm.edit import ModuleEdit
from whamm_cm.wasm.leb import name_bytes
from whamm_cm.wasm.link import Part, link
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.moved import Moved
from whamm_cm.wasm.section_refs import read_entries
from whamm_cm.wasm.sections import SectionId
from whamm_cm.weave.asked import needs_clock
from whamm_cm.weave.opcodes.emit import PUSH, GuestWeaver
from whamm_cm.weave.opcodes.imports import UNIT
from whamm_cm.weave.opcodes.leftover import pure_counters
from whamm_cm.weave.opcodes.match import Matcher
from whamm_cm.weave.opcodes.memories import lend_memories
from whamm_cm.weave.opcodes.rows import Rows
from whamm_cm.weave.opcodes.source_values import specialised
from whamm_cm.weave.opcodes.symbols import misread
from whamm_cm.weave.plain_sinks import TIME, sink_parts, time_part, wasi_name
from whamm_cm.weave.plain_sites import WRAPPED, Traced, choose, has_clock
from whamm_cm.weave.plan import Added, Plan, ScriptPlan
from whamm_cm.weave.scripting import (
    check_names,
    everything,
    idle,
    refuse_boundaries,
)
from whamm_cm.weave.tasks import asks_for_task
from whamm_cm.weave.unit import Beats, UnitBuilder, beating, binder_module
from whamm_cm.weave.wiring import SinkOptions

#: What the guest, and the gates around it, import the way out as.
EXIT = "whamm-cm:exit"
FLUSH = "whamm:cm/report#flush"
SINK_MEMORY = "whamm:cm/sink#memory"
_CUSTOM = 0


@dataclass(frozen=True, slots=True)
class WovenModule:
    """The outcome: the module, the site table its records are read with (packed), and what was
    added."""

    wasm: bytes
    packed: bytes
    added: Added
    #: None if it will not run on the embedded engine.
    moved: Moved | None
    #: Whether records have times.
    timed: bool = False

    @property
    def table(self) -> bytes:
        """The site table, unpacked anew each time: it may be large."""
        return known_table(self.packed)

    @property
    def pieces(self) -> list[bytes]:
        return [self.wasm]


def weave_module(data: bytes, plan: Plan, what: str = "input") -> WovenModule:
    """Weave ``plan`` into a plain core module; same input, same bytes.

    Raises DecodeError for what is no module, WeaveError when the plan cannot be carried out on it.
    """
    module = CoreModule(data)
    if any(s.name == STAMP for s in module.custom_sections):
        raise WeaveError(
            f"{what} has already been instrumented by whamm-cm, and a core module can be woven"
            " once; start from the original"
        )
    if plan.samples:
        raise WeaveError(f"{what} is a core module, which has no requests; leave out --sample")
    if plan.scripts is not None:
        refuse_boundaries(plan.scripts.scripts)
    return _Weave(module, beating(plan)).run(hashlib.sha256(data).hexdigest())


def _sends(scripts: t.Scripts) -> bool:
    """Whether anything may leave the program: reported variables, prints, code at the end."""
    probes = scripts.probes
    stmts = [*scripts.globals, *(s for p in probes for s in p.body)]
    stmts += [s for f in scripts.functions for s in f.body]
    for node in walk(*stmts):
        reported = isinstance(node, t.Declare) and node.variable.report
        leaves = isinstance(node, t.Builtin) and node.name in LEAVING
        if reported or leaves or isinstance(node, t.Print | t.LibCall):
            return True
    return any(probe.package in ("end", "report") for probe in probes)


@dataclass(slots=True)
class _Scripted:
    """The guest with scripts woven into it, and what it takes with it."""

    guest: CoreModule
    unit: bytes
    binder: bytes | None
    sends: bool
    tasks: bool


@dataclass(slots=True)
class _Weave:
    module: CoreModule
    plan: Plan
    added: Added = field(default_factory=Added)
    builder: SiteTableBuilder = field(default_factory=SiteTableBuilder)
    moved: Moved | None = None
    traced: Traced | None = None

    def run(self, origin: str) -> WovenModule:
        self.moved = Moved(self.module) if self.plan.embedded else None
        self.traced = choose(self.module, self.plan, self.added, self.builder)
        scripted = None
        if self.plan.scripts is not None:
            scripts = specialised(
                self.plan.scripts, [(self.module.names.module or "", self.module)]
            )
            self.added.gone += scripts.gone
            self.added.unmatched += scripts.unmatched
            scripted = self._scripted(scripts.plan)
        table = packed_table(self.builder.to_bytes())
        wasm = bytes(self.module.data)
        if scripted is not None or self.traced is not None:
            parts = self._parts(scripted)
            order = [name for name in ("unit", "guest") if any(p.name == name for p in parts)]
            wasm = link(parts, start_order=order)
        timed = self.traced is not None and self.traced.timed
        wasm = stamped(wasm, self.plan, origin, table)
        return WovenModule(wasm, table, self.added, self.moved, timed)

    def _scripted(self, scripts: ScriptPlan) -> _Scripted:
        plan = self.plan
        sends = _sends(scripts.scripts) and plan.sink != "none"
        beats = Beats.of(plan) if sends else None
        unit = UnitBuilder(scripts, self.builder, beat=beats)
        unit.unit.memories = unit.numbering(self.module)
        probes = scripts.scripts.probes
        scripts.sources.modules([(self.module.names.module or "", self.module)])
        matcher = Matcher(probes, scripts.evaluate, as_whamm=plan.compat, sources=scripts.sources)
        rows = Rows(self.builder, scripts.scripts.names, self.module.names.module or "")
        weaver = GuestWeaver(
            self.module, matcher, unit, rows, pure_counters(everything(scripts.scripts)),
            exits=EXIT if sends else None,
            validate=scripts.validate,
            beats=beats is not None and plan.interval_ns > 0,
            each=plan.flush_each,
            # Such a host calls the report's export when the module has trapped.
            last_words=beats is not None and plan.last_words and plan.sink != "host",
            multi_memory=plan.multi_memory,
            origins=plan.embedded,
        )  # fmt: skip
        weaver.shadows.literal = plan.compat
        woven = weaver.weave()
        push = tabled = False
        guest = self.module
        if woven is not None:
            guest, push, tabled = CoreModule(woven.wasm), woven.push, woven.tabled
            self.moved = woven.moved or self.moved
            self.added.core_sites, self.added.counters = woven.sites, woven.counters
            self.added.globals = woven.in_globals
            self.added.woven_modules = 1
        self.added.dropped = [("", name) for name in about_code(self.module)]
        for (rule, why), count in sorted(matcher.skipped.items()):
            self.added.unmatched.append((rule, why, count))
        check_names(scripts.scripts, matcher)
        self.added.remarks += map(str, misread(scripts.scripts, [self.module]))
        self.added.remarks += scripts.sources.gaps()
        if not plan.compat:
            self.added.idle += idle(scripts.scripts, matcher.idle())
        slot = unit.push_slot() if push else None
        tasks = any(map(asks_for_task, walk(*code_of(scripts.scripts))))
        if tasks:
            unit.unit.use("task_alone")
        unit.time, unit.timed = TIME, self._clock(scripts.scripts)
        if beats is not None and beat_of(probes):
            beats.clock = unit.timed
        wasm_unit = unit.module(False, sends)
        guest = lend_memories(self.module, guest, wasm_unit)
        binder = None if slot is None else binder_module(slot, PUSH, UNIT, tabled)
        return _Scripted(guest, wasm_unit, binder, sends, tasks)

    def _clock(self, scripts: t.Scripts) -> bool:
        """Whether scripts have a clock.  WeaveError where they need one."""
        if has_clock(self.module):
            return True
        wanted = needs_clock(scripts)
        if wanted:
            raise WeaveError(
                f"{wanted} needs a clock, and the module has none: it imports no WASI, or has no"
                " memory to ask it by"
            )
        return False

    def _parts(self, scripted: _Scripted | None) -> list[Part]:
        guest = self.module if scripted is None else scripted.guest
        traced, unit = self.traced, None if scripted is None else scripted.unit
        sends = self.plan.sink != "none" and (
            traced is not None or (scripted is not None and scripted.sends)
        )
        wrapped = {} if traced is None else traced.exports
        tasks = scripted is not None and scripted.tasks
        gated = _gated(guest) if sends or tasks else {}
        if scripted is None:  # wrappers send by themselves
            gated = {name: kind for name, kind in gated.items() if name not in wrapped}
        entry = _entry(self.module) if self.plan.compat else None
        if entry is not None:
            gated = {name: kind for name, kind in gated.items() if name == entry}
        if traced is not None:
            if scripted is None and sends:
                guest = self._with_last_words(guest)
            guest = traced.redirected(guest)
        parts = [Part("guest", guest, "guest", _kept(guest, {*gated, *wrapped}))]
        if unit is not None:
            getters = _getters(guest, unit, "__whamm_" if self.plan.compat else "")
            parts.append(Part("unit", unit, UNIT, getters))
        if scripted is not None and scripted.binder is not None:
            parts.append(Part("binder", scripted.binder))
        parts += self._recording(guest, unit, sends)
        times = [i.name for i in CoreModule(unit).imports if i.module == TIME] if unit else []
        if times:
            parts.append(time_part(wasi_name(self.module), "wall" in times))
        if traced is not None:
            given, probe = traced.parts(guest)
            shown = {f"w{k}": name for name, k in wrapped.items() if name not in gated}
            parts += [given, replace(probe, keep_exports=shown)]
        if sends:
            parts.append(
                Part("exit", exit_module(unit, traced is not None), EXIT, {"flush": FLUSH})
            )
        if gated:
            gates = _gates(guest, gated, wrapped, sends, tasks)
            parts.append(Part("gates", gates, None, "all"))
        elif sends and entry is not None:
            parts.append(Part("started", _started()))
        return parts

    def _with_last_words(self, guest: CoreModule) -> CoreModule:
        """What is buffered leaves before ``unreachable``; scripts see to that themselves.  A host
        that calls the report's export when the module has trapped needs no such thing."""
        if not self.plan.last_words or self.plan.sink == "host":
            return guest
        edit = ModuleEdit(guest)
        edit.last_words = snippets.call(edit.import_func(EXIT, "flush", (), ()))
        try:
            wasm = edit.encode()
        except DecodeError:
            return guest  # what we cannot read is left as it is
        return CoreModule(wasm) if edit.endings else guest

    def _recording(self, guest: CoreModule, unit: bytes | None, sends: bool) -> list[Part]:
        """The agent, and the way out of its records."""
        asked = unit is not None and any(i.module == "agent" for i in CoreModule(unit).imports)
        if not asked and self.traced is None:
            return []
        exports = {"memory": SINK_MEMORY} if self.plan.sink == "host" and sends else {}
        self.added.agents = 1
        parts = [Part("agent", load_wasm("agent.wasm"), "agent", exports)]
        if sends:
            parts += sink_parts(guest, self.plan.sink, self._sink_options(), wasi_name(self.module))
        return parts

    def _sink_options(self) -> SinkOptions:
        json = self.plan.lines == "json"
        return SinkOptions(
            self.builder.to_bytes(named=json),
            self.plan.nonce,
            json,
            timed=self.traced is not None and self.traced.timed,
            show_secrets=self.plan.show_secrets,
        )


def stamped(wasm: bytes, plan: Plan, origin: str, table: bytes) -> bytes:
    """With the sections that say what it is; ``table``: the packed site table."""
    sections = [(_CUSTOM, name_bytes(STAMP) + plan.stamp(origin))]
    sections.append((_CUSTOM, name_bytes(SITES) + table))
    return CoreModule(wasm).encode(additions=sections)


def _kept(guest: CoreModule, others: Set[str]) -> dict[str, str]:
    """Exports of the guest that stay as they are: not those that others export for it."""
    names = [e.name for e in guest.exports if e.name not in (PUSH, PUSH + "?")]
    return {name: name for name in names if name not in others and not name.startswith(LENT)}


def _getters(guest: CoreModule, unit: bytes, prefix: str) -> dict[str, str]:
    """What reads the variables of scripts, by the names that are exported."""
    taken = {e.name for e in guest.exports}
    names = [e.name for e in CoreModule(unit).exports if e.name.startswith("get_")]
    return {name: prefix + name for name in names if prefix + name not in taken}


def _gated(guest: CoreModule) -> dict[str, int]:
    """Exported functions by name with the indices of their types."""
    imported = guest.imported("func")
    found = {}
    for export in guest.exports:
        if export.kind == "func" and export.name != PUSH:
            position = export.index - len(imported)
            kind = guest.functions[position] if position >= 0 else imported[export.index].type
            assert isinstance(kind, int)
            found[export.name] = kind
    return found


def _entry(module: CoreModule) -> str | None:
    """The export that is the program to whamm; "": the start function is; None: each of them."""
    names = [export.name for export in module.exports if export.kind == "func"]
    if "_start" in names:
        return "_start"
    if module.start is not None:
        return ""
    return "main" if "main" in names else None


def exit_module(unit: bytes | None, traced: bool) -> bytes:
    """``flush``: report and send everything; ``leave``: the same for the last time."""
    module = Module()
    report = None if unit is None else module.import_func(UNIT, "report")
    has_way = unit is not None and any(e.name == "flush" for e in CoreModule(unit).exports)
    way = WRAPPED if traced else UNIT if has_way else None
    send = None if way is None else module.import_func(way, "flush", ("i32",))
    ended = unit is not None and any(e.name == LEFT for e in CoreModule(unit).exports)
    by_script = module.import_global(UNIT, LEFT, "i32") if ended else None
    left = module.global_("i32", 0)
    f = module.func()
    f.global_get(left)
    if by_script is not None:
        f.global_get(by_script)
        f.op("i32.or")
    with f.if_():
        f.op("return")
    if report is not None:
        f.call(report)
    if send is not None:
        f.i32(int(Flush.PUSH | Flush.REPORT if traced else Flush.PUSH))
        f.call(send)
    module.export_func("flush", f.index)
    leave = module.func()
    leave.call(f.index)
    leave.i32(1)
    leave.global_set(left)
    module.export_func("leave", leave.index)
    return module.encode()


def _started() -> bytes:
    """The program ends when the start functions before this one have returned."""
    module = Module()
    flush = module.import_func(EXIT, "flush")
    f = module.func()
    f.call(flush)
    module.start(f.index)
    return module.encode()


def _gates(
    guest: CoreModule, gated: dict[str, int], wrapped: Mapping[str, int], sends: bool, tasks: bool
) -> bytes:
    """The types are the guest's own: equal ones need not be interchangeable.  ``wrapped``: exports
    that have a wrapper of that number.  What the outermost call does when it is over: with
    ``sends`` all leaves, with ``tasks`` the unit is told, as it is when it begins."""
    module = Module(_type_groups(guest), len(guest.types))
    flush = module.import_func(EXIT, "flush") if sends else None
    alone = module.import_func(UNIT, "task_alone", ("i32",)) if tasks else None
    inner = {
        name: module.import_func_of(WRAPPED, f"w{wrapped[name]}", kind)
        if name in wrapped
        else module.import_func_of("guest", name, kind)
        for name, kind in gated.items()
    }
    depth = module.global_("i32", 0)
    for name, kind in gated.items():
        params = tuple(map(str, guest.type_func(kind).params))
        f = module.func_of(kind, params)
        for amount in (1, -1):
            if amount < 0:
                for local in range(len(params)):
                    f.get(local)
                f.call(inner[name])
            elif alone is not None:
                f.global_get(depth)
                f.op("i32.eqz")
                with f.if_():
                    f.i32(1)
                    f.call(alone)
            f.global_get(depth)
            f.i32(amount)
            f.op("i32.add")
            f.global_set(depth)
        f.global_get(depth)
        f.op("i32.eqz")
        with f.if_():
            if alone is not None:
                f.i32(0)
                f.call(alone)
            if flush is not None:
                f.call(flush)
        module.export_func(name, f.index)
    return module.encode()


def _type_groups(module: CoreModule) -> list[bytes]:
    section = module.section(SectionId.TYPE)
    if section is None:
        return []
    cur = Cursor(module.data, section.start, section.end, module.offset, module.path)
    return [bytes(module.data[i:j]) for i, j in read_entries(cur, SectionId.TYPE).spans]
