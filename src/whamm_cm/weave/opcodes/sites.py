"""Bodies compiled for a kind of site, and put where their mode wants them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import field
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.emit.script.body import Body
from whamm_cm.emit.script.env import Globals, Memory
from whamm_cm.emit.script.types import flats
from whamm_cm.errors import WeaveError
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.leaving import leaves
from whamm_cm.lang.walk import walk
from whamm_cm.wasm import snippets
from whamm_cm.wasm.asm import Func, Label
from whamm_cm.wasm.function import FunctionInfo
from whamm_cm.wasm.stack import Known
from whamm_cm.wasm.valtypes import nullable
from whamm_cm.weave.opcodes.env import GuestEnv
from whamm_cm.weave.opcodes.imports import Imports
from whamm_cm.weave.opcodes.inject import FunctionEditor
from whamm_cm.weave.opcodes.leftover import (
    ENTERED,
    cell_width,
    frame_variables,
    guest_cells,
)
from whamm_cm.weave.opcodes.match import Firing, Left
from whamm_cm.weave.opcodes.tables import Shadows
from whamm_cm.weave.opcodes.template import Template, TemplateFunc, cell_slots

_OPERAND = re.compile(r"(arg|res|local|param)(0|[1-9]\d{0,8})")
_AS_NON_NULL = b"\xd4"
#: Their replacement returns from the function, too.
_RETURNING = frozenset(("return", "return_call", "return_call_indirect", "return_call_ref"))


@dataclass(frozen=True, slots=True)
class Compiled:
    """``here``: the whole snippet.  With ``before`` the operands are saved by that, at the
    instruction, and read by ``here`` where the mode puts it; their slots come first in both.

    ``operands``: the value types of those slots.  ``leaves``: how many values ``alt`` code leaves.
    ``results``: it reads those of the function.  ``entered``: the slot that says when the function
    was entered, and the code that asks the clock.
    """

    here: Template
    before: Template | None
    operands: tuple[str, ...]
    leaves: int = 0
    results: bool = False
    entered: tuple[int, bytes] | None = None

    def put(
        self,
        firing: Firing,
        editor: FunctionEditor,
        cells: Sequence[int],
        statics: Mapping[str, Any],
        goes_on: bool = False,
    ) -> None:
        """``goes_on``: see ``FunctionEditor.alt``."""
        opidx = firing.point.opidx
        if self.before is not None:
            kept = [editor.local(nullable(kind)) for kind in self.operands]
            editor.add(opidx, "before", self.before.fill(kept, cells, statics))
        else:
            kept = [editor.local(nullable(kind), opidx) for kind in self.operands]
        rest = self.here.locals[len(self.operands) :]
        locals_ = kept + [editor.local(kind, opidx) for kind in rest]
        if self.entered is not None:
            locals_[self.entered[0]] = editor.entered(self.entered[1])
        frames = [index for v in self.here.frames for index in editor.frame(v)]
        code = self.here.fill(locals_, cells, statics, frames)
        if firing.point.package == "opcode" and firing.point.mode == "alt":
            editor.alt(opidx, code, self.leaves, goes_on)
        elif self.results and firing.point.package == "func":
            editor.at_results(code)
        else:
            editor.place(firing.point, code)


@dataclass(slots=True)
class SiteCompiler:
    """Compiles each kind of site once."""

    imports: Imports
    shadows: Shadows
    found: dict[tuple[Any, ...], Compiled | None] = field(default_factory=dict)

    @staticmethod
    def address_name(variable: t.Variable) -> str:
        """The open fact that is the address of a cell in state memory."""
        return f"cell {id(variable)}"

    def plain(self, left: Left, operands: tuple[Known, ...]) -> Compiled:
        """Code that stands in front of instructions with these operands, whichever they are."""
        key = (id(left), operands, (), True, (), ())
        if key not in self.found:
            self.found[key] = _Plain(self, left, operands, (), True, None).compiled()
        found = self.found[key]
        assert found is not None
        return found

    def compiled(self, firing: Firing, editor: FunctionEditor) -> Compiled | None:
        """None where the code cannot run: then the site has its cells and no code."""
        left, point, info = firing.left, firing.point, editor.info
        if point.package == "opcode" and point.mode == "alt":
            return _Alt(self, firing, editor).compiled()
        operands = results = ()  # type: tuple[Known, ...]
        args, ress = _count(left.bound, "arg"), _count(left.bound, "res")
        if point.package == "func":
            results, args = _results(info)[:ress], 0
        elif args or ress:
            typing = info.typing(point.opidx)
            operands, results = typing.operands[:args], typing.results[:ress]
            unknown = None in operands or None in results
            short = len(operands) < args or len(results) < ress
            if unknown or short or not (typing.reachable or not args):
                return None
        plain = point.mode == "before" or not operands
        site = (info, point.opidx)
        more = info.immediates(point.opidx) if left.at_instruction else ()
        params = _params(left, info)
        key = (id(left), operands, results, plain, (*_locals_key(left, info), params), more)
        if key not in self.found:
            made = _Plain(self, left, operands, results, plain, site, params)
            self.found[key] = made.compiled()
        return self.found[key]


def _locals_key(left: Left, info: FunctionInfo) -> tuple[str, ...]:
    return tuple(name for name in left.bound if name.startswith("local"))


def _results(info: FunctionInfo) -> tuple[str, ...]:
    """The types of what a function leaves, top first."""
    return tuple(map(str, reversed(info.module.func_type(info.fid).results)))


def _params(left: Left, info: FunctionInfo) -> int:
    """How many parameters the function has that is entered, where they are counted from the last
    one."""
    by_end = left.probe.package == "func" and _count(left.bound, "arg")
    return len(info.module.func_type(info.fid).params) if by_end else 0


def _count(bound: Sequence[str], prefix: str) -> int:
    """How many operands from the top the mentioned ones reach."""
    matches = (_OPERAND.fullmatch(name) for name in bound)
    return max((int(m[2]) + 1 for m in matches if m is not None and m[1] == prefix), default=0)


class _Site:
    """One snippet under construction."""

    def __init__(self, compiler: SiteCompiler, left: Left) -> None:
        self.compiler, self.left = compiler, left
        self.f = TemplateFunc()
        self.saved: dict[str, tuple[int, ...]] = {}
        self.places: dict[t.Variable, Globals | Memory] = {}

    def slots(self, prefix: str, kinds: Sequence[Known]) -> list[int]:
        found = []
        for number, kind in enumerate(kinds):
            assert kind is not None
            slot = self.f.local(nullable(kind))
            self.saved[f"{prefix}{number}"] = (slot,)
            found.append(slot)
        return found

    def locals_of_guest(self, params: int = 0) -> None:
        """``params``: of the function that is entered."""
        for name in self.left.bound:
            match = _OPERAND.fullmatch(name)
            if name == ENTERED:
                self.saved[name] = (self.f.local("i64"),)
            elif match is None:
                raise WeaveError(f"{self.left.probe.rule}: {name} cannot be read here")
            elif match[1] in ("local", "param"):
                self.saved[name] = (int(match[2]),)
            elif match[1] == "arg" and name not in self.saved:
                self.saved[name] = (params - 1 - int(match[2]),)

    def find_cells(self) -> None:
        """Cells that are counted in place have slots; the address of another is an open fact."""
        first, in_guest = 0, guest_cells(self.left)
        for variable in self.left.cells:
            if variable in in_guest:
                slots = cell_slots(first, variable)
                in_memory = self.compiler.imports.state is not None
                self.places[variable] = Memory(None, slots[0]) if in_memory else Globals(slots)
                first += cell_width(variable)
            else:
                base = self.f.local("i32")
                self.f.static(t.Static(vt.I32, self.compiler.address_name(variable)))
                self.f.set(base)
                self.places[variable] = Memory(base)

    def frames(self) -> dict[t.Variable, tuple[int, ...]]:
        """The slots of the variables of frames."""
        for variable in frame_variables(self.left):
            self.f.frame(variable)
        return self.f.frames

    def body(self, env: GuestEnv) -> None:
        """The predicate and the statements; ``return`` leaves the block they are in."""
        body = env.body = Body(self.f, env, params=self.frames())
        with ExitStack() as blocks:
            if any(isinstance(node, t.Return | t.Act | t.Trace) for node in walk(*self.left.body)):
                out = blocks.enter_context(self.f.block())
                env.act_of = _leaving(body, out)
            if self.left.predicate is not None:
                body.expr(self.left.predicate)
                blocks.enter_context(self.f.if_())
            body.block(self.left.body)
        body.close()


def _leaving(body: Body, out: Label) -> Callable[[Func, t.Act | t.Return | t.Trace], None]:
    def act(f: Func, stmt: t.Act | t.Return | t.Trace) -> None:
        if not isinstance(stmt, t.Return):
            raise WeaveError(f"{getattr(stmt, 'what', 'trace')} is for alt probes of opcodes")
        if stmt.value is not None:
            body.expr(stmt.value)
            for _ in flats(stmt.value.type):
                f.op("drop")
        f.br(out)

    return act


def restore(f: Func, slots: Sequence[int], kinds: Sequence[Known]) -> None:
    """Push saved values, top last."""
    for slot, kind in zip(reversed(slots), reversed(kinds), strict=True):
        assert kind is not None
        f.get(slot)
        if nullable(kind) != kind:
            f.code += _AS_NON_NULL


def save(f: Func, slots: Sequence[int]) -> None:
    for slot in slots:
        f.set(slot)


class _Plain(_Site):
    """Any mode but ``alt``."""

    def __init__(
        self,
        compiler: SiteCompiler,
        left: Left,
        operands: tuple[Known, ...],
        results: tuple[Known, ...],
        plain: bool,
        site: tuple[FunctionInfo, int] | None,
        params: int = 0,
    ) -> None:
        super().__init__(compiler, left)
        self.site, self.params = site, params
        self.operands, self.results, self.plain = operands, results, plain

    def compiled(self) -> Compiled:
        args = self.slots("arg", self.operands)
        self.locals_of_guest(self.params)
        before = None
        if not self.plain:
            f = TemplateFunc()
            slots = [f.local(nullable(kind or "")) for kind in self.operands]
            save(f, slots)
            restore(f, slots, self.operands)
            before = f.template()
        ress = self.slots("res", self.results)
        save(self.f, ress)
        if self.plain:
            save(self.f, args)
        self.find_cells()
        env = GuestEnv(
            self.compiler.imports, self.compiler.shadows, self.f, self.places, self.saved,
            site=self.site,
        )  # fmt: skip
        self.body(env)
        if self.plain:
            restore(self.f, args, self.operands)
        restore(self.f, ress, self.results)
        kinds = tuple(kind or "" for kind in self.operands)
        return Compiled(self.f.template(), before, kinds, 0, bool(ress), self._entered())

    def _entered(self) -> tuple[int, bytes] | None:
        """The slot of the time of entry, and what asks for it."""
        if ENTERED not in self.left.bound:
            return None
        imports = self.compiler.imports
        now = imports.function(imports.unit.runtime("now"))
        return self.f.number(self.saved[ENTERED][0]), snippets.call(now)


class _Alt(_Site):
    """Code that stands for an instruction: its operands are taken off the stack unless the body
    does nothing, and what it leaves is what the instruction would have left."""

    def __init__(self, compiler: SiteCompiler, firing: Firing, editor: FunctionEditor) -> None:
        super().__init__(compiler, firing.left)
        self.firing, self.editor, self.info = firing, editor, editor.info

    def compiled(self) -> Compiled | None:
        opidx, info = self.firing.point.opidx, self.info
        typing = info.typing(opidx)
        if not typing.reachable or opidx == info.last:
            return None
        results = self._results()
        if not self.left.body and self.left.predicate is None:
            if typing.operands != results:
                raise self._error(
                    "does nothing, but the stack must change: use drop_args() or return"
                )
            return Compiled(self.f.template(), None, (), len(results))
        stays = any(kind not in _MADE for kind in results)
        if stays and self._is_block():
            raise self._error("replaces a block whose result a script cannot make")
        if stays and any(_calls(node) for node in walk(*self.left.body)):
            raise self._error("calls a function, but leaves a reference that a script cannot hold")
        kinds = tuple(kind or "" for kind in typing.operands)
        self.args, self.kinds = self.slots("arg", typing.operands), typing.operands
        self.result_kinds = () if stays else results
        if self.result_kinds and not _gives(self.left.body):
            raise self._error(f"may come to its end, but {self._what()}: return a value, or call a"
                              " function in its place")  # fmt: skip
        self.results = [self.f.local(kind or "") for kind in self.result_kinds]
        self.locals_of_guest()
        save(self.f, self.args)
        for slot, kind in zip(self.results, self.result_kinds, strict=True):
            self.f.const(kind or "", 0) if kind in _NUMBERS else self._null(kind or "")
            self.f.set(slot)
        self.find_cells()
        with self.f.block() as self.out:
            self._run()
        for slot in reversed(self.results):
            self.f.get(slot)
        if stays:  # a reference nobody can make up: the instruction makes it after all
            self._original()
        if info.mnemonic(opidx) in _RETURNING:
            self.f.op("return")
        return Compiled(self.f.template(), None, kinds, len(results))

    def _results(self) -> tuple[Known, ...]:
        """What the instruction, or the whole block, leaves; top first."""
        info, opidx = self.info, self.firing.point.opidx
        if info.mnemonic(opidx) in _RETURNING:
            return tuple(reversed(info.module.func_type(info.fid).results))
        if info.opcode(opidx).nesting > 0:
            return info.typing(info.control.ends[opidx]).results
        if info.mnemonic(opidx) in ("else", "catch", "catch_all"):
            return ()
        return info.typing(opidx).results

    def _null(self, kind: str) -> None:
        if kind == "v128":
            self.f.code += b"\xfd\x0c" + bytes(16)
        else:
            self.f.code += b"\xd0" + (b"\x70" if kind == "funcref" else b"\x6f")

    def _run(self) -> None:
        env = GuestEnv(
            self.compiler.imports, self.compiler.shadows, self.f, self.places, self.saved,
            self._act,
            (self.info, self.firing.point.opidx),
        )  # fmt: skip
        body = env.body = Body(self.f, env, params=self.frames())
        self.inner = body
        predicate = self.left.predicate
        if predicate is None:
            body.block(self.left.body)
            return
        if self._is_block() or self.info.labels(self.firing.point.opidx):
            raise self._error(
                "replaces a block or branch: its predicate must be known when weaving"
            )
        body.expr(predicate)
        with self.f.if_():
            body.block(self.left.body)
            if self.result_kinds or not self._results():
                self.f.else_()
                self._original()
                self._take()

    def _is_block(self) -> bool:
        info, opidx = self.info, self.firing.point.opidx
        return bool(info.opcode(opidx).nesting) or info.mnemonic(opidx) == "else"

    def _original(self) -> None:
        """The instruction itself, with the operands it had."""
        restore(self.f, self.args, self.kinds)
        start, _, stop = self.info.steps[self.firing.point.opidx]
        self.f.code += self.compiler.imports.edit.renumbered(start, stop)

    def _take(self) -> None:
        """Move what is on the stack to where the results wait."""
        for slot in self.results:
            self.f.set(slot)

    def _act(self, f: Func, stmt: t.Act | t.Return | t.Trace) -> None:
        if isinstance(stmt, t.Return):
            self._return(stmt)
        elif isinstance(stmt, t.Act) and _calls(stmt):
            self._call(stmt.args[0])
        elif not (isinstance(stmt, t.Act) and stmt.what == "drop_args"):
            raise self._error(f"cannot {getattr(stmt, 'what', 'trace')} at an opcode")

    def _return(self, stmt: t.Return) -> None:
        if stmt.value is not None:
            self.inner.expr(stmt.value)
            found = flats(stmt.value.type)
            if found != tuple(reversed([kind or "" for kind in self.result_kinds])):
                raise self._error(f"returns {_list(found)}, but {self._what()}")
            self._take()
        self.f.br(self.out)

    def _what(self) -> str:
        name = self.info.mnemonic(self.firing.point.opidx)
        does = "returns" if name in _RETURNING else "leaves"
        return f"{name} {does} {_list([k or '' for k in reversed(self.result_kinds)])}"

    def _call(self, which: t.Expr) -> None:
        info = self.info
        if not isinstance(which, t.Const):
            raise self._error("calls a function that is not known when weaving")
        fid = which.value
        if _nobody(which):
            return
        if isinstance(fid, str):
            names = {name: number for number, name in info.module.names.functions.items()}
            if fid not in names:
                raise self._error(f"calls {fid!r}, but no function has that name")
            fid = names[fid]
        assert isinstance(fid, int)
        count = len(info.module.imported("func")) + len(info.module.functions)
        if not 0 <= fid < count:
            raise self._error(f"calls function {fid}, but there are {count}")
        callee = info.module.func_type(fid)
        mine = tuple(str(k) for k in reversed(self.kinds))
        if tuple(map(str, callee.params)) != mine:
            raise self._error(f"calls function {fid}, which does not take {_list(mine)}")
        if tuple(map(str, callee.results)) != tuple(str(k) for k in reversed(self.result_kinds)):
            raise self._error(f"calls function {fid}, but {self._what()}")
        restore(self.f, self.args, self.kinds)
        self.f.call(self.compiler.imports.edit.final_func(fid))
        self._take()

    def _error(self, message: str) -> WeaveError:
        info, opidx = self.info, self.firing.point.opidx
        name = info.name or f"#{info.fid}"
        return WeaveError(
            f"{self.left.probe.rule} at {info.mnemonic(opidx)} in {name}"
            f" (pc {info.pc(opidx)}) {message}"
        )


_NUMBERS = frozenset(("i32", "i64", "f32", "f64"))
#: What a result can be made up of.
_MADE = _NUMBERS | {"v128", "funcref", "externref"}


def _calls(node: t.Expr | t.Stmt) -> bool:
    return isinstance(node, t.Act) and node.what in ("alt_call_by_id", "alt_call_by_name")


def _nobody(which: t.Expr) -> bool:
    """Whether the name of a function is empty: it has none."""
    return isinstance(which, t.Const) and which.value == ""


def _gives(body: Sequence[t.Stmt]) -> bool:
    """Whether statements say on every way through them what the instruction leaves."""
    for stmt in body:
        arms = isinstance(stmt, t.If) and _gives(stmt.then) and _gives(stmt.otherwise)
        calls = isinstance(stmt, t.Act) and _calls(stmt) and not _nobody(stmt.args[0])
        if arms or calls or leaves(stmt) or (isinstance(stmt, t.Return) and stmt.value is not None):
            return True
        if any(isinstance(node, t.Return) and node.value is None for node in walk(stmt)):
            return False
    return False


def _list(kinds: Sequence[str]) -> str:
    return ", ".join(kinds) if kinds else "nothing"
