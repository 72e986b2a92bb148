"""Bound variables whose values are known where a probe is woven: one table of names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias, cast

from whamm_cm.analysis.source import NOWHERE, SourcePlace, Sources
from whamm_cm.demangle.name import demangle
from whamm_cm.lang.events import OPCODE_EVENTS, event_name
from whamm_cm.lang.fold import OF_MODULES
from whamm_cm.wasm.function import FunctionInfo
from whamm_cm.wasm.immediates import MemArg
from whamm_cm.wasm.opcodes import Imm
from whamm_cm.weave.opcodes.points import Point

#: Numbers, truth values, strings; ``targets`` is a map from a number to a label.
Static: TypeAlias = int | float | str | bool | dict[int, int]

#: Kinds of immediates that are immN; others have names of their own or none.
_PLAIN = frozenset(Imm) - {
    Imm.BLOCKTYPE,
    Imm.HEAPTYPE,
    Imm.VALTYPES,
    Imm.MEMARG,
    Imm.ATOMIC,
    Imm.RMW,
    Imm.V128,
    Imm.CAST,
    Imm.CATCHES,
    Imm.HANDLERS,
    Imm.ORDERING,
}


def imms(info: FunctionInfo, opidx: int) -> tuple[int | float, ...]:
    """imm0, imm1 … of an instruction; the labels of ``br_table`` with the default at the end."""
    found: list[int | float] = []
    for kind, value in zip(info.opcode(opidx).immediates, info.immediates(opidx), strict=True):
        if kind in (Imm.LABELS, Imm.LANES):
            found += cast("tuple[int, ...]", value)
        elif kind in _PLAIN:
            found.append(cast("int | float", value))
    return tuple(found)


class Site:
    """One point while its variables are asked for."""

    __slots__ = ("info", "opcode", "point", "sources")

    def __init__(self, info: FunctionInfo, point: Point, sources: Sources | None) -> None:
        self.info, self.point, self.sources = info, point, sources
        self.opcode = info.opcode(point.opidx)

    @property
    def source(self) -> SourcePlace:
        if self.sources is None:
            return NOWHERE
        return self.sources.place(self.info.module, self.info.steps[self.point.opidx][0])

    @property
    def frames(self) -> str:
        info, point = self.info, self.point
        if self.sources is None or (point.package in ("func", "source") and point.source is None):
            return ""
        return self.sources.frames(info.module, info.steps[point.opidx][0])

    @property
    def function(self) -> tuple[str, bool]:
        """The name of the function of the source, and whether it is inlined there."""
        info, point = self.info, self.point
        if point.source is not None:
            return demangle(point.source.name), True
        if self.sources is None:
            return demangle(info.name), False
        if point.package in ("func", "source"):
            return self.sources.body(info.module, info.index, info.name), False
        return self.sources.function(info.module, info.steps[point.opidx][0], info.name)

    @property
    def constants(self) -> Mapping[str, object]:
        """What the opcode alone decides."""
        if not _is_opcode(self):
            return {}
        return OPCODE_EVENTS[event_name(self.opcode)].constants

    def index(self, kind: Imm) -> int:
        """The first immediate of that kind."""
        values = self.info.immediates(self.point.opidx)
        return cast(int, values[self.opcode.immediates.index(kind)])

    @property
    def memarg(self) -> MemArg:
        values = self.info.immediates(self.point.opidx)
        return next(value for value in values if isinstance(value, MemArg))

    @property
    def labels(self) -> tuple[int, ...]:
        return self.info.labels(self.point.opidx)


def _target_name(site: Site) -> str:
    """An import's own name; a defined function's in the name section."""
    index, module = site.index(Imm.FUNC), site.info.module
    imported = module.imported("func")
    return imported[index].name if index < len(imported) else module.names.functions.get(index, "")


def _target_module(site: Site) -> str:
    index, module = site.index(Imm.FUNC), site.info.module
    imported = module.imported("func")
    return imported[index].module if index < len(imported) else module.names.module or ""


def _target_type(site: Site) -> str:
    imported = site.info.module.imported("func")
    return "import" if site.index(Imm.FUNC) < len(imported) else "local"


def _resolved(site: Site) -> int:
    """The function that ``ref.func`` right before puts on the stack, -1 when it is another."""
    opidx = site.point.opidx
    if site.opcode.mnemonic == "ref.func":
        return site.index(Imm.FUNC)
    if not opidx or site.info.mnemonic(opidx - 1) != "ref.func":
        return -1
    return cast(int, site.info.immediates(opidx - 1)[0])


_Value: TypeAlias = Callable[[Site], Static]
_RESOLVED = frozenset(("ref.func", "table.set", "call_ref", "return_call_ref"))


def _always(site: Site) -> bool:
    return True


def _is_opcode(site: Site) -> bool:
    return site.point.package == "opcode"


def _has(kind: Imm) -> Callable[[Site], bool]:
    return lambda site: _is_opcode(site) and kind in site.opcode.immediates


def _has_memarg(site: Site) -> bool:
    return _is_opcode(site) and any(kind.is_memarg for kind in site.opcode.immediates)


#: name → (whether a site has it, its value); ``Site.constants`` has more.
VARIABLES: dict[str, tuple[Callable[[Site], bool], _Value]] = {
    "fid": (_always, lambda s: s.info.fid),
    "fname": (_always, lambda s: s.info.name),
    "pc": (
        _always,
        lambda s: 0 if s.point.enters else s.info.pc(s.point.opidx),
    ),
    "opidx": (_always, lambda s: s.point.opidx),
    "at_func_end": (_always, lambda s: s.point.opidx == s.info.last),
    "file": (_always, lambda s: s.source.file),
    "line": (_always, lambda s: s.source.line),
    "column": (_always, lambda s: s.source.column),
    "func": (_always, lambda s: s.function[0]),
    "inlined": (_always, lambda s: s.function[1]),
    # A weave knows these of each module (``Rows.facts``), a listing does not ask.
    **dict.fromkeys(OF_MODULES, (_always, lambda s: "")),
    "frames": (_always, lambda s: s.frames),
    "instr_count": (
        lambda s: s.point.instr_count is not None,
        lambda s: s.point.instr_count or 0,
    ),
    "target_fn_name": (_has(Imm.FUNC), _target_name),
    "target_fn_type": (_has(Imm.FUNC), _target_type),
    "target_imp_module": (_has(Imm.FUNC), _target_module),
    "num_targets": (_has(Imm.LABELS), lambda s: len(s.labels) - 1),
    "default_target": (_has(Imm.LABELS), lambda s: s.labels[-1]),
    "targets": (_has(Imm.LABELS), lambda s: dict(enumerate(s.labels[:-1]))),
    "align": (_has_memarg, lambda s: s.memarg.align),
    "offset": (_has_memarg, lambda s: s.memarg.offset),
    "memory": (_has_memarg, lambda s: s.memarg.memory),
    "tid": (_has(Imm.TYPE), lambda s: s.index(Imm.TYPE)),
    "field_idx": (_has(Imm.FIELD), lambda s: s.index(Imm.FIELD)),
    "resolved_fid": (
        lambda s: _is_opcode(s) and s.opcode.mnemonic in _RESOLVED,
        _resolved,
    ),
}
_IMM = re.compile(r"imm(0|[1-9]\d{0,8})")


class Statics(Mapping[str, Static]):
    """The static variables of a point by name, each worked out when asked for.

    KeyError for a name the point does not have; script-wide ones (``probe_id``, ``script``) are not
    here.
    """

    __slots__ = ("_known", "_site")

    def __init__(self, info: FunctionInfo, point: Point, sources: Sources | None = None) -> None:
        self._site = Site(info, point, sources)
        self._known: dict[str, Static] = {}

    def __getitem__(self, name: str) -> Static:
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def _find(self, name: str) -> Static:
        match = _IMM.fullmatch(name)
        if match:
            found = imms(self._site.info, self._site.point.opidx) if _is_opcode(self._site) else ()
            if int(match[1]) >= len(found):
                raise KeyError(name)
            return found[int(match[1])]
        if name not in VARIABLES:
            return cast(Static, self._site.constants[name])
        there, value = VARIABLES[name]
        if not there(self._site):
            raise KeyError(name)
        return value(self._site)

    def __iter__(self) -> Iterator[str]:
        for name, (there, _) in VARIABLES.items():
            if there(self._site):
                yield name
        yield from self._site.constants
        if _is_opcode(self._site):
            count = len(imms(self._site.info, self._site.point.opidx))
            yield from (f"imm{n}" for n in range(count))

    def __len__(self) -> int:
        return sum(1 for _ in self)
