"""Snippets that differ from site to site in numbers only: compiled once, filled in at each site.

While a template is compiled, locals, cells and open facts have slot numbers far above any index;
the assembler notes where they are used, and :meth:`Template.fill` puts the site's numbers there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from whamm_cm.dataclass import dataclass
from whamm_cm.emit.script.types import flats
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.wasm.asm import Func
from whamm_cm.wasm.leb import signed, unsigned

#: Slots of locals from here on, of cells from ``_CELLS`` on.
_LOCALS, _CELLS = 1 << 40, 1 << 41
#: Those of variables of frames lie between.
_FRAMES = _LOCALS + (_CELLS - _LOCALS) // 2


class Slot(NamedTuple):
    """A number to fill in.  ``kind``: "local", "frame", "cell" and "address", of a cell in memory
    (by number), "static" (by name, type)."""

    kind: str
    number: int
    name: str = ""
    type: vt.Type | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """``locals``: the value types of its local slots; ``frames``: the variables of frames whose
    locals it uses."""

    parts: tuple[bytes | Slot, ...]
    locals: tuple[str, ...]
    frames: tuple[t.Variable, ...] = ()

    def fill(
        self,
        locals_: Sequence[int],
        cells: Sequence[int],
        statics: Mapping[str, Any],
        frames: Sequence[int] = (),
    ) -> bytes:
        """The snippet with these locals, cells (indices of globals, or addresses), facts, and
        locals of the variables of frames, one after the other."""
        out = bytearray()
        for part in self.parts:
            if isinstance(part, bytes):
                out += part
            elif part.kind == "local":
                out += unsigned(locals_[part.number])
            elif part.kind == "frame":
                out += unsigned(frames[part.number])
            elif part.kind == "cell":
                out += unsigned(cells[part.number])
            elif part.kind == "address":
                out += signed(cells[part.number])
            else:
                assert part.type is not None
                out += constant(part.type, statics[part.name])
        return bytes(out)


class TemplateFunc(Func):
    """An assembler for a template; its locals are slots."""

    __slots__ = ("frames", "marks", "slot_kinds")

    def __init__(self) -> None:
        super().__init__(0, 0, ())
        self.marks: list[tuple[int, Slot]] = []
        self.slot_kinds: list[str] = []
        self.frames: dict[t.Variable, tuple[int, ...]] = {}

    def local(self, kind: str) -> int:
        self.slot_kinds.append(kind)
        return _LOCALS + len(self.slot_kinds) - 1

    def frame(self, variable: t.Variable) -> None:
        """Give slots to a variable of frames."""
        first = _FRAMES + sum(map(len, self.frames.values()))
        slots = range(first, first + len(flats(variable.type)))
        self.frames.setdefault(variable, tuple(slots))

    def number(self, local: int) -> int:
        """Which of the template's locals that is."""
        return local - _LOCALS

    def _mark(self, opcode: bytes, index: int) -> None:
        self.code += opcode
        if index >= _CELLS:
            self.marks.append((len(self.code), Slot("cell", index - _CELLS)))
        elif index >= _FRAMES:
            self.marks.append((len(self.code), Slot("frame", index - _FRAMES)))
        elif index >= _LOCALS:
            self.marks.append((len(self.code), Slot("local", index - _LOCALS)))
        else:
            self.code += unsigned(index)

    def i32(self, value: int) -> None:
        if value < _CELLS:
            super().i32(value)
            return
        self.code += b"\x41"
        self.marks.append((len(self.code), Slot("address", value - _CELLS)))

    def get(self, index: int) -> None:
        self._mark(b"\x20", index)

    def set(self, index: int) -> None:
        self._mark(b"\x21", index)

    def tee(self, index: int) -> None:
        self._mark(b"\x22", index)

    def global_get(self, index: int) -> None:
        self._mark(b"\x23", index)

    def global_set(self, index: int) -> None:
        self._mark(b"\x24", index)

    def static(self, node: t.Static) -> None:
        """Push a fact that each site fills in."""
        self.marks.append((len(self.code), Slot("static", 0, node.name, node.type)))

    def template(self) -> Template:
        parts: list[bytes | Slot] = []
        start = 0
        for at, slot in self.marks:
            if at > start:
                parts.append(bytes(self.code[start:at]))
            parts.append(slot)
            start = at
        if start < len(self.code):
            parts.append(bytes(self.code[start:]))
        return Template(tuple(parts), tuple(self.slot_kinds), tuple(self.frames))


def cell_slots(first: int, variable: t.Variable) -> tuple[int, ...]:
    """The slots of a cell's flats."""
    return tuple(_CELLS + first + i for i in range(len(flats(variable.type))))


def constant(type_: vt.Type, value: Any) -> bytes:
    """The instructions that push a scalar of a script type, or a string as (address, length)."""
    f = Func(0, 0, ())
    values = value if isinstance(value, tuple) else (value,)
    for kind, each in zip(flats(type_), values, strict=True):
        f.const(kind, each)
    return bytes(f.code)
