"""Putting code into a function: where each mode's code goes, and the new body.

Code is a self-contained snippet that takes and leaves nothing on the stack; only ``alt`` code
stands for the instruction it replaces.  Locals are shared by all sites of a function; what a site
saves is dead when the site's code ends, unless it asked to keep it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import field

from whamm_cm.dataclass import dataclass
from whamm_cm.emit.script.types import flats
from whamm_cm.errors import InternalError
from whamm_cm.lang.tree import Variable
from whamm_cm.wasm import snippets as code
from whamm_cm.wasm.function import ARMS, FUNCTION, GOING, RETURNS, THROWS, FunctionInfo
from whamm_cm.wasm.leb import signed
from whamm_cm.wasm.rewrite import Piece
from whamm_cm.wasm.valtypes import encode, nullable
from whamm_cm.weave.opcodes.points import Point

#: Branches that go on to the next instruction when they are not taken.
_CONDITIONAL = "br_if", "br_on_"


@dataclass(slots=True)
class _Around:
    """Code around one instruction, in order; the second of each pair belongs to blocks, ``last``
    stands right in front of the instruction."""

    before: list[bytes] = field(default_factory=list)
    structure_before: list[bytes] = field(default_factory=list)
    last: list[bytes] = field(default_factory=list)
    after: list[bytes] = field(default_factory=list)
    structure_after: list[bytes] = field(default_factory=list)
    landing: list[bytes] = field(default_factory=list)

    @property
    def leading(self) -> bytes:
        return b"".join(self.before + self.structure_before + self.last)

    @property
    def following(self) -> bytes:
        """A branch that lands here is told before what stands behind the block anyway."""
        return b"".join(self.after + self.landing + self.structure_after)


class FunctionEditor:
    """Collects code for one function; :meth:`pieces` and ``extra_locals`` make the new body.

    Where code of several calls of ``add`` meets in one place it stands in the order of the calls,
    but code of blocks and of the function (entry, exit, behind a block) behind code of
    instructions, whamm's order.  ``as_whamm``: code of the function's exit also stands before what
    traps or throws, and none behind a replaced block, as whamm has it.
    """

    def __init__(self, info: FunctionInfo, as_whamm: bool = False) -> None:
        self.info, self.as_whamm = info, as_whamm
        self.extra_locals: list[bytes] = []
        self._first_local = sum(n for n, _ in info.body.locals) + len(
            info.module.func_type(info.fid).params
        )
        self._pool: dict[str, list[int]] = {}
        self._used: dict[tuple[int, str], int] = {}
        self._frames: dict[Variable, tuple[int, ...]] = {}
        self._around: dict[int, _Around] = {}
        self._alternatives: dict[int, tuple[int, bytes]] = {}
        self._at_target: dict[int, list[bytes]] = {}
        self._entry: list[bytes] = []
        self._exit: list[bytes] = []
        #: Those of them that read the function's results, which no tail call has.
        self._at_results: set[int] = set()
        self._entered: int | None = None
        self._first = b""

    # Locals.

    def local(self, kind: str, opidx: int | None = None) -> int:
        """A local of value type ``kind`` (defaultable), for the site at ``opidx`` alone.

        Other sites use it too, so it holds nothing from one firing to the next; without ``opidx``
        it is nobody else's, and 0 or null when the function begins.
        """
        if opidx is None:
            return self._declare(kind)
        pool = self._pool.setdefault(kind, [])
        used = self._used.get((opidx, kind), 0)
        self._used[opidx, kind] = used + 1
        if used == len(pool):
            pool.append(self._declare(kind))
        return pool[used]

    def frame(self, variable: Variable) -> tuple[int, ...]:
        """The locals of a variable that the function's probes share while it runs."""
        if variable not in self._frames:
            self._frames[variable] = tuple(map(self.local, flats(variable.type)))
        return self._frames[variable]

    def _declare(self, kind: str) -> int:
        if nullable(kind) != kind:
            raise InternalError(f"a local of type {kind} has no initial value")
        self.extra_locals.append(encode(kind))
        return self._first_local + len(self.extra_locals) - 1

    # Operands.

    def drop_args(self, opidx: int, kept: int = 0) -> bytes:
        """Code that drops an instruction's operands but for the ``kept`` ones saved already."""
        return code.DROP * (len(self.info.typing(opidx).operands) - kept)

    # Code.

    def add(self, opidx: int, mode: str, snippet: bytes) -> None:
        """Put a snippet at an instruction (see ``_MODES``); InternalError for an unknown mode."""
        try:
            place = _MODES[mode]
        except KeyError:
            raise InternalError(f"no mode of an instruction is called {mode!r}") from None
        place(self, opidx, snippet)

    def place(self, point: Point, snippet: bytes) -> None:
        """Put a snippet where the point's package and mode want it."""
        if point.mode == "again":
            self._again(point, snippet)
            return
        whole = point.package in ("func", "source") and point.mode in ("entry", "exit")
        prefix = "func_" if whole else ""
        self.add(point.opidx, prefix + point.mode, snippet)

    def at_results(self, snippet: bytes) -> None:
        """Put a snippet at the ways out on which the function's results are on the stack."""
        self._at_results.add(len(self._exit))
        self._exit.append(snippet)

    def first(self, snippet: bytes) -> None:
        """Put a snippet in front of all that probes do in the function."""
        self._first += snippet

    def entered(self, clock: bytes) -> int:
        """The local with what ``clock``, code that pushes an i64, said when the function began."""
        if self._entered is None:
            self._entered = self.local("i64")
            self._entry.insert(0, clock + code.local_set(self._entered))
        return self._entered

    def _again(self, point: Point, snippet: bytes) -> None:
        """Code for when control does not come to an instruction from the point's first one."""
        flag = self.local("i32")
        self._before(point.first, code.i32_const(1) + code.local_set(flag))
        otherwise = code.i32_const(0) + code.local_set(flag)
        unset = code.local_get(flag) + b"\x45"  # i32.eqz
        self._before(point.opidx, code.when(unset, snippet) + otherwise)

    def alt(self, opidx: int, snippet: bytes, leaves: int = 0, goes_on: bool = False) -> None:
        """Replace an instruction, or a whole block; operands are still on the stack.

        Of ``else`` the arm is replaced.  ``leaves``: how many values are on the stack behind the
        code, from the operands on, where the instruction never went on: if control then would come
        to where the stack does not fit, it traps there, unless the caller knows that it fits
        (``goes_on``).  Unreachable instructions stay, and so does
        the last ``end``.
        """
        info = self.info
        if opidx == info.last or not info.typing(opidx).reachable:
            return
        name, last = info.mnemonic(opidx), opidx
        if info.opcode(opidx).nesting > 0:
            last = info.control.ends[opidx]
        elif name in ARMS:
            last = info.arm_end(opidx) - 1
            start, _, stop = info.steps[opidx]
            snippet = bytes(info.module.data[start:stop]) + snippet
        elif info.opcode(opidx).nesting < 0:
            raise InternalError("alt of an end")
        elif name in GOING and not goes_on and not self._fits(opidx, leaves):
            snippet += code.UNREACHABLE
        self._alternatives[opidx] = last, snippet

    def _fits(self, opidx: int, leaves: int) -> bool:
        """Whether control may go on behind ``opidx``: an arm ends there with just what is left."""
        info = self.info
        block = info.control.inside[opidx]
        if opidx + 1 not in (info.control.ends[block], *info.control.arms.get(block, ())):
            return False
        return info.typing(opidx).under == info.typing(opidx + 1).operands[leaves:]

    def _at(self, opidx: int) -> _Around:
        return self._around.setdefault(opidx, _Around())

    def _opens(self, opidx: int) -> bool:
        opcode = self.info.opcode(opidx)
        return opcode.nesting > 0 or opcode.mnemonic in ARMS

    def _before(self, opidx: int, snippet: bytes) -> None:
        self._at(opidx).before.append(snippet)

    def _last(self, opidx: int, snippet: bytes) -> None:
        self._at(opidx).last.append(snippet)

    def _after(self, opidx: int, snippet: bytes) -> None:
        """Behind the instruction; for blocks and ``else``, behind the block."""
        control = self.info.control
        if self.info.opcode(opidx).nesting > 0 or self.info.mnemonic(opidx) == "else":
            end = control.ends[control.openers.get(opidx, opidx)]
            self._at(end).structure_after.append(snippet)
        elif opidx != self.info.last and self.info.mnemonic(opidx) not in GOING:
            self._at(opidx).after.append(snippet)

    def _block_entry(self, opidx: int, snippet: bytes) -> None:
        self._must_open(opidx)
        self._at(opidx).structure_after.append(snippet)

    def _block_exit(self, opidx: int, snippet: bytes) -> None:
        self._must_open(opidx)
        self._at(self.info.arm_end(opidx)).structure_before.append(snippet)

    def _must_open(self, opidx: int) -> None:
        if not self._opens(opidx):
            raise InternalError(f"{self.info.mnemonic(opidx)} opens no block")

    def _landing(self, opidx: int, snippet: bytes) -> None:
        if not self.info.targets(opidx):
            raise InternalError(f"{self.info.mnemonic(opidx)} is no branch")
        self._at_target.setdefault(opidx, []).append(snippet)

    def _func_entry(self, opidx: int, snippet: bytes) -> None:
        self._entry.append(snippet)

    def _func_exit(self, opidx: int, snippet: bytes) -> None:
        self._exit.append(snippet)

    # The new body.

    def pieces(self) -> list[Piece]:
        """The new instructions, for ``ModuleEdit.replace_body``; only to be asked for once."""
        landed = self._place_landings()
        if self._exit or landed:
            self._wrap(landed)
        if self._entry:
            first = self._at(0)
            first.structure_before[:0] = self._entry
        if self._first:
            self._at(0).before.insert(0, self._first)
        return list(self._merged())

    def _place_landings(self) -> bytes:
        """A flag per branch tells where it may land; what runs when it lands at the function."""
        landed = b""
        for opidx, bodies in self._at_target.items():
            flag, body = self.local("i32"), b"".join(bodies)
            unset = code.i32_const(0) + code.local_set(flag)
            here = self._at(opidx)
            here.structure_before.append(code.i32_const(1) + code.local_set(flag))
            if self.info.mnemonic(opidx).startswith(_CONDITIONAL):
                here.landing.append(unset + body)
            fired = code.when(code.local_get(flag), unset + body)
            for target in self.info.targets(opidx):
                if target == FUNCTION:
                    landed += fired
                else:
                    loop = self.info.mnemonic(target) == "loop"
                    end = self.info.control.ends[target]
                    self._at(target if loop else end).landing.append(fired)
        return landed

    def _wrap(self, landed: bytes) -> None:
        """The body in a block, so that branches to the function land before its last ``end``."""
        info, leaving = self.info, b"".join(self._exit)
        others = [s for k, s in enumerate(self._exit) if k not in self._at_results]
        passing = b"".join(others)
        self._at(0).structure_before.append(self._wrapper())
        self._at(info.last).structure_before.append(code.END + landed + leaving)
        ways = RETURNS | THROWS if self.as_whamm else RETURNS
        for opidx in info.of(ways) if leaving else ():
            has_results = info.mnemonic(opidx) == "return"
            self._at(opidx).structure_before.append(leaving if has_results else passing)

    def _wrapper(self) -> bytes:
        """The opening of a block that leaves the function's results.

        Several results take a function type: the function's own is there, so the block is given
        its parameters and drops them.
        """
        info = self.info
        func = info.module.func_type(info.fid)
        if len(func.results) < 2:
            return code.block(encode(func.results[0])) if func.results else code.block()
        params = range(len(func.params))
        kind = signed(info.module.functions[info.index])
        return b"".join(map(code.local_get, params)) + code.block(kind) + code.DROP * len(params)

    def _merged(self) -> Iterator[Piece]:
        """The input's instructions with what is around them, adjacent ones as one slice."""
        info, start, done = self.info, self.info.body.code, -1
        for opidx in sorted({*self._around, *self._alternatives}):
            if opidx <= done:
                continue  # inside of a block that was replaced
            pos, _, end = info.steps[opidx]
            around = self._around.get(opidx) or _Around()
            if around.leading or opidx in self._alternatives:
                yield from _slice(start, pos)
                yield from filter(None, (around.leading,))
                start = pos
            following = around.following if opidx != info.last else b""
            if opidx in self._alternatives:
                done, snippet = self._alternatives[opidx]
                start = info.steps[done][2]
                yield from filter(None, (snippet + self._behind(opidx, done),))
            elif following:
                yield from _slice(start, end)
                yield following
                start = end
        yield from _slice(start, info.body.end)

    def _behind(self, opidx: int, done: int) -> bytes:
        """What follows a replaced instruction: nothing of the inside of a block or an arm."""
        around = self._around.get(done) or _Around()
        if self.info.opcode(opidx).nesting > 0:
            return b"" if self.as_whamm else b"".join(around.after + around.structure_after)
        return b"" if self._opens(opidx) else around.following


def _slice(start: int, end: int) -> Iterable[Piece]:
    return ((start, end),) if start < end else ()


def _alt(editor: FunctionEditor, opidx: int, snippet: bytes) -> None:
    editor.alt(opidx, snippet)


#: Where code of a mode goes.  ``after`` and ``at_target`` are whamm's ``semantic_after``.
_MODES: dict[str, Callable[[FunctionEditor, int, bytes], None]] = {
    "before": FunctionEditor._before,
    "last": FunctionEditor._last,
    "after": FunctionEditor._after,
    "alt": _alt,
    "entry": FunctionEditor._block_entry,
    "exit": FunctionEditor._block_exit,
    "at_target": FunctionEditor._landing,
    "func_entry": FunctionEditor._func_entry,
    "func_exit": FunctionEditor._func_exit,
}
