"""What the wrappers of one probe module share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from whamm_cm.abi.layout import layouts
from whamm_cm.agent.layout import CHUNK, DEPTH, LIMIT, OUT_PTR, POS, SCRATCH, STATE, Flush
from whamm_cm.analysis.site import Encoding
from whamm_cm.emit.context import AGENT_FUNCS, THREAD_FUNCS, Context
from whamm_cm.emit.flats import Flats
from whamm_cm.emit.intervene import hands_over, may_allocate, may_drop, uses_clock
from whamm_cm.emit.memory import PUT_GET, Agent, Guest
from whamm_cm.emit.model import ProbeOptions, Wrapper
from whamm_cm.emit.paths import has_trace, traces
from whamm_cm.emit.sampling import Sampling
from whamm_cm.emit.spans import Spans
from whamm_cm.emit.tails import Tails
from whamm_cm.emit.tasks import LATE
from whamm_cm.emit.texts import Texts
from whamm_cm.wasm.asm import Func, Module
from whamm_cm.wasm.types import MemoryType
from whamm_cm.wit.types import Resource

if TYPE_CHECKING:
    from whamm_cm.emit.gathered import Gathered
    from whamm_cm.emit.script_env import ScriptImports
    from whamm_cm.emit.wit_texts import WitTexts

#: The module of what each component gives its probes.
PROBE = "probe"
_AGENT_FUNCS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "room": ((), ("i32",)),
    "take": (("i32",), ("i32",)),
    "sent": (("i32",), ()),
    "more": (("i32", "i32"), ("i32",)),
    "report": (("i32", "i32"), ()),
    "secret": (("i32",), ("i32",)),
    **AGENT_FUNCS,
    **THREAD_FUNCS,
    **PUT_GET,
}


class Probe:
    """Its imports and the helper functions made so far."""

    def __init__(
        self,
        wrappers: Sequence[Wrapper],
        memories: Sequence[MemoryType],
        options: ProbeOptions,
        sink: str = PROBE,
    ) -> None:
        self.module, self.options = Module(), options
        self._import_memories(memories)
        imports = {
            name: self.module.import_func("agent", name, *_AGENT_FUNCS[name])
            for name in _needed(wrappers, options, self._agent_memory is None)
        }
        self.imports = imports
        self._emit: int | None = None
        if options.emit:
            self._emit = self.module.import_func(sink, "emit", ("i32", "i32"), ("i32",))
        self.clock = self._import_clock(wrappers)
        self.targets = [
            self.module.import_func("probe", f"f{k}", w.signature.params, w.signature.results)
            for k, w in enumerate(wrappers)
        ]
        self.reallocs = {
            k: self._import_realloc(k, w) for k, w in enumerate(wrappers) if may_allocate(w)
        }
        self.answers = {
            k: self.module.import_func("probe", f"t{k}", w.answer.params)
            for k, w in enumerate(wrappers)
            if w.answer is not None and hands_over(w)
        }
        self.drops = {k: self._import_drops(k, w) for k, w in enumerate(wrappers) if may_drop(w)}
        self.script: ScriptImports | None = None
        if options.script is not None or any(w.probes for w in wrappers):
            from whamm_cm.emit.script_env import ScriptImports

            self.script = ScriptImports(self.module, wrappers, options)
        self.agent = Agent(self.module, self._agent_memory, imports)
        self.context: Context | None = None
        if options.context:
            self.context = Context(self.module, self.agent, imports, self.table, options)
        self.sampling: Sampling | None = None
        if options.sampling is not None:
            self.sampling = Sampling(self.module, self.agent, options.sampling, self.clock)
        self._nothing_made()

    def _nothing_made(self) -> None:
        """Helpers are made when they are first asked for."""
        self._flats: dict[int, Flats] = {}
        self._spans: dict[tuple[Guest, bool], Spans] = {}
        self._tails: dict[tuple[Guest, Encoding, bool], Tails] = {}
        self._texts: dict[tuple[Guest, Encoding], Texts] = {}
        self._whole: dict[tuple[Guest | None, Encoding, int], WitTexts] = {}
        self._gathered: dict[Guest, Gathered] = {}
        self._counts: dict[str, int] = {}
        self._flush: int | None = None
        self._begin: dict[bool, int] = {}
        self._fuel: int | None = None
        self._table: int | None = None

    @property
    def report(self) -> int | None:
        """The function of the script unit that reports, where it does."""
        return None if self.script is None else self.script.report

    @property
    def task_over(self) -> int | None:
        """The function of the script unit for the end of a task, where that has something to do."""
        return None if self.script is None else self.script.functions.get("task_over")

    def alone(self, f: Func, *, begins: bool) -> None:
        """Where calls are the tasks: one of an export begins or is over, if none is around it."""
        told = None if self.script is None else self.script.functions.get("task_alone")
        if told is None:
            return
        self.agent.load_at(f, "i32.load", STATE + DEPTH)
        f.op("i32.eqz")
        with f.if_():
            f.i32(begins)
            f.call(told)

    def table(self, size: int) -> int:
        """The agent's table, which has that size at least."""
        if self._table is None:
            self._table = self.module.import_table("agent", "last", size)
        return self._table

    def _import_memories(self, memories: Sequence[MemoryType]) -> None:
        """The agent's memory comes first: its accesses then have the shortest encoding."""
        self._agent_memory: int | None = None
        if self.options.multi_memory or not memories:
            self._agent_memory = self.module.import_memory("agent", "memory", MemoryType())
        self.guests = [
            Guest(
                self.module.import_memory("probe", f"m{i}", memory_type(memory)),
                memory.is64,
                memory.page_size_log2,
            )
            for i, memory in enumerate(memories)
        ]

    def _import_clock(self, wrappers: Sequence[Wrapper]) -> int | None:
        sampling = self.options.sampling
        clocked = self.options.timed or (sampling is not None and sampling.clocked)
        if not clocked and not any(map(uses_clock, wrappers)):
            return None
        return self.module.import_func("probe", "now", (), ("i64",))

    def _import_realloc(self, k: int, wrapper: Wrapper) -> int:
        address = "i64" if wrapper.ptr == 8 else "i32"
        return self.module.import_func("probe", f"r{k}", (address,) * 4, (address,))

    def _import_drops(self, k: int, wrapper: Wrapper) -> dict[Resource, int]:
        return {
            resource: self.module.import_func("probe", f"d{k}.{i}", ("i32",))
            for i, resource in enumerate(wrapper.drops)
        }

    @property
    def now(self) -> int | None:
        """The clock, in a timed module."""
        return self.clock if self.options.timed else None

    def beat(self, f: Func) -> None:
        """Count an event of a script; now and then that is when it reports."""
        tick = None if self.script is None else self.script.tick
        if tick is None:
            return
        if self._fuel is None:
            self._fuel = self.module.global_("i32", 1)
        f.global_get(self._fuel)
        f.i32(1)
        f.op("i32.sub")
        f.global_set(self._fuel)
        f.global_get(self._fuel)
        f.op("i32.eqz")
        with f.if_():
            f.call(tick)
            f.global_set(self._fuel)

    def bind_last(self) -> None:
        """Before an ``unreachable`` all goes out, unless no export is being called: the canonical
        ABI may be calling an allocator then, from which nothing may leave."""
        flush = self.flush()
        if flush is None:
            return
        f = self.module.func()
        self.agent.load_at(f, "i32.load", STATE + DEPTH)
        with f.if_():
            f.i32(int(Flush.PUSH | Flush.REPORT))
            f.call(flush)
        at = self.options.last_at
        self.module.elements(at, [f.index], self.table(at + 1))

    def flats(self, ptr: int) -> Flats:
        if ptr not in self._flats:
            self._flats[ptr] = Flats(self.module, self.agent, layouts(ptr))
        return self._flats[ptr]

    def tails(self, guest: Guest, encoding: Encoding, whole: bool = False) -> Tails:
        """``whole``: of records that grow with their values."""
        key = (guest, encoding, whole)
        if key not in self._tails:
            if (guest, whole) not in self._spans:
                secret = self.imports.get("secret")
                more = self.imports["more"] if whole else None
                self._spans[guest, whole] = Spans(self.module, self.agent, guest, secret, more)
            caps = (self.options.max_string, self.options.max_list)
            self._tails[key] = Tails(
                self.module,
                self.agent,
                guest,
                self._spans[guest, whole],
                layouts(guest.width),
                encoding,
                caps,
            )
        return self._tails[key]

    def gathered(self, guest: Guest) -> Gathered:
        """What makes lists of buffers and strings in an array."""
        if guest not in self._gathered:
            from whamm_cm.emit.gathered import Gathered

            caps = (self.options.max_string, self.options.max_list)
            tails = self.tails(guest, "utf8")
            self._gathered[guest] = Gathered(self.module, self.agent, guest, tails, caps)
        return self._gathered[guest]

    def count_of(self, function: str) -> int:
        """A global with how many strings a function of WASI preview 1 fills in; -1: not known."""
        if function not in self._counts:
            self._counts[function] = self.module.global_("i32", -1)
        return self._counts[function]

    def texts(self, guest: Guest, encoding: Encoding) -> Texts:
        key = (guest, encoding)
        if key not in self._texts:
            assert self.script is not None, "only scripts take texts"
            self._texts[key] = Texts(self.module, guest, encoding, self.script.state())
        return self._texts[key]

    def whole(self, guest: Guest | None, encoding: Encoding, ptr: int) -> WitTexts:
        """What makes texts of whole values."""
        from whamm_cm.emit.wit_texts import WitTexts

        key = (guest, encoding, ptr)
        if key not in self._whole:
            assert self.script is not None, "only scripts take texts"
            script = self.script

            def texts() -> Texts:
                assert guest is not None, "there are strings"
                return self.texts(guest, encoding)

            self._whole[key] = WitTexts(
                self.module,
                guest,
                layouts(ptr),
                texts,
                script.state(),
                script.functions.__getitem__,
                script.string,
            )
        return self._whole[key]

    def flush(self) -> int | None:
        """A function of :class:`Flush` flags that sends what is buffered; None when nothing is."""
        if self._emit is not None and self._flush is None:
            self._flush = self._write_flush(self._emit)
        return self._flush

    def _write_flush(self, emit: int) -> int:
        f = self.module.func(("i32",))
        size = f.local("i32")
        if self.options.count_n or self.report is not None:
            f.get(0)
            f.i32(int(Flush.REPORT))
            f.op("i32.and")
            with f.if_():
                self._report(f)
        with f.block() as done, f.loop() as again:
            f.get(0)
            f.call(self.imports["take"])
            f.tee(size)
            f.op("i32.eqz")
            f.br_if(done)
            self.agent.load_at(f, "i32.load", STATE + OUT_PTR)
            f.get(size)
            if self.options.chunked:
                f.i32(CHUNK - 1)
                f.op("i32.add")
                f.i32(CHUNK.bit_length() - 1)
                f.op("i32.shr_u")
            f.call(emit)
            f.call(self.imports["sent"])
            f.get(0)
            f.i32(int(~Flush.EMPTY))
            f.op("i32.and")
            f.set(0)
            f.br(again)
        return f.index

    def _report(self, f: Func) -> None:
        """Add the counters and what the script reports."""
        if self.options.count_n:
            f.i32(self.options.count_base)
            f.i32(self.options.count_n)
            f.call(self.imports["report"])
        if self.report is not None:
            f.call(self.report)

    def begin(self, may_flush: bool) -> int:
        """A function () -> address for a record that finds no room: after a flush, in a grown
        buffer, or the scratch area."""
        may_flush = may_flush and self._emit is not None
        if may_flush not in self._begin:
            flush = self.flush() if may_flush else None
            f = self.module.func((), ("i32",))
            self._begin[may_flush] = f.index
            with f.block() as room:
                if flush is not None:
                    f.i32(int(Flush.NONE))
                    f.call(flush)
                    self.agent.load_at(f, "i32.load", STATE + POS)
                    self.agent.load_at(f, "i32.load", STATE + LIMIT)
                    f.op("i32.le_u")
                    f.br_if(room)
                f.call(self.imports["room"])
                f.br_if(room)
                f.i32(SCRATCH)
                f.op("return")
            self.agent.load_at(f, "i32.load", STATE + POS)
        return self._begin[may_flush]


def memory_type(memory: MemoryType) -> MemoryType:
    """The widest type that matches any memory of its kind (a shared one needs a maximum)."""
    bits = 64 if memory.is64 else 32
    maximum = min(1 << (bits - memory.page_size_log2), (1 << bits) - 1) if memory.shared else None
    return MemoryType(0, maximum, memory.is64, memory.shared, memory.page_size_log2)


def records(w: Wrapper) -> bool:
    """Whether the wrapper writes records."""
    later = any(map(has_trace, w.later))
    return w.action in ("record", "note") or w.role in LATE or traces(w) or later


def _needed(wrappers: Sequence[Wrapper], options: ProbeOptions, put_get: bool) -> list[str]:
    """The agent functions a module imports."""
    names = []
    if any(map(records, wrappers)):
        names += ["room", "more"] if options.whole else ["room"]
    if options.emit:
        names += ["take", "sent"]
        if options.count_n:
            names.append("report")
    if any(w.redact is not None for w in wrappers):
        names.append("secret")
    if options.context:
        names += AGENT_FUNCS
    if options.threads:
        names += THREAD_FUNCS
    return names + list(PUT_GET) if put_get else names
