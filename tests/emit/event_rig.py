"""The rig of wrappers with a script unit: the real runtime, globals, and a ``realloc``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

import wasmtime as wt

from tests.emit.rig import PAGES, Callee, Rig, engine
from whamm_cm.agent import layout
from whamm_cm.emit.model import ExportedGlobal, ProbeOptions, ScriptLink, Wrapper
from whamm_cm.lang import tree
from whamm_cm.lang import valtypes as vt
from whamm_cm.wasm.asm import Module
from whamm_cm.wasm.types import MemoryType

HEAP = 3 * 65536
CORES = {"u64": "i64", "i64": "i64", "f32": "f32", "f64": "f64"}


@cache
def state_module(multi_memory: bool) -> wt.Module:
    raw = resources.files("whamm_cm.agent").joinpath("state-texts.wasm").read_bytes()
    return wt.Module(engine(multi_memory), raw)


def runtime(store: wt.Store, agent: Any, multi_memory: bool) -> Any:
    """Exports of an instance of ``state-texts.wasm`` that sends nothing."""
    ways = {
        "drain": wt.Func(store, wt.FuncType([], []), lambda: None),
        "context": wt.Func(store, wt.FuncType([], [wt.ValType.i32()]), lambda: 0),
    }
    module = state_module(multi_memory)
    externs = [agent[i.name] if i.module == "agent" else ways[str(i.name)] for i in module.imports]
    return wt.Instance(store, module, externs).exports(store)


def variable(name: str, kind: vt.Type) -> tree.Variable:
    return tree.Variable(name, kind, tree.Kind.GLOBAL)


class EventRig(Rig):
    """``globals_`` are script variables, each one wasm global (a string two); ``users`` functions
    of the script from one i32 to one, in Python."""

    def __init__(
        self,
        wrappers: Sequence[Wrapper],
        callees: Sequence[Callee],
        options: ProbeOptions | None = None,
        memory: MemoryType | None = None,
        globals_: Sequence[tree.Variable] = (),
        pages: int = PAGES,
        users: Mapping[tree.Function, Callee] | None = None,
    ) -> None:
        self.users = dict(users or {})
        self.variables: dict[tree.Variable, tuple[ExportedGlobal, ...]] = {}
        for variable in globals_:
            kinds = (
                ["i32"] * 2 if variable.type == vt.STR else [CORES.get(str(variable.type), "i32")]
            )
            self.variables[variable] = tuple(
                (f"{variable.name}{i}", kind) for i, kind in enumerate(kinds)
            )
        self.strings: dict[str, int] = {}
        self.static_end = layout.STATIC
        self.reports = 0
        self.allocated: list[tuple[int, int]] = []
        self.next_free = HEAP
        options = options or ProbeOptions()
        link = ScriptLink(
            users={u: (f"f{k}", (("i32",), ("i32",))) for k, u in enumerate(self.users)},
            globals=self.variables,
            string=self._string,
            print_site=lambda stmt: 77,
        )
        self._unit: dict[str, Any] = {}
        super().__init__(wrappers, callees, _with(options, link), memory, pages)
        state = self.state_unit
        for text, at in self.strings.items():
            state["memory"].write(self.store, text.encode(), at)
        state["state_init"](self.store, (self.static_end + 7) & ~7)

    def _string(self, text: str) -> tuple[int, int]:
        if text not in self.strings:
            self.strings[text] = self.static_end
            self.static_end += len(text.encode())
        return self.strings[text], len(text.encode())

    def _extern(self, wanted: wt.ImportType, callees: Sequence[Callee]) -> Any:
        if wanted.module == "script":
            return self._from_unit(wanted)
        if wanted.name is not None and wanted.name[0] == "r" and wanted.name[1:].isdigit():
            assert isinstance(wanted.type, wt.FuncType)
            return wt.Func(self.store, wanted.type, self._realloc)
        return super()._extern(wanted, callees)

    def _from_unit(self, wanted: wt.ImportType) -> Any:
        if not self._unit:
            here = engine(self.options.multi_memory)
            self.state_unit = runtime(self.store, self.agent, self.options.multi_memory)
            cells = Module()
            for exported in self.variables.values():
                for name, kind in exported:
                    cells.export_global(name, cells.global_(kind, 0))
            found = wt.Instance(self.store, wt.Module(here, cells.encode()), [])
            self._unit = {"globals": found.exports(self.store), "state": self.state_unit}
        if wanted.name == "report":
            return wt.Func(self.store, wt.FuncType([], []), self._report)
        if wanted.name in [f"f{k}" for k in range(len(self.users))]:
            user = list(self.users.values())[int(wanted.name[1:])]
            i32 = [wt.ValType.i32()]
            return wt.Func(self.store, wt.FuncType(i32, i32), user)
        source = "globals" if isinstance(wanted.type, wt.GlobalType) else "state"
        return self._unit[source][wanted.name]

    def _report(self) -> None:
        self.reports += 1

    def _realloc(self, old: int, old_size: int, align: int, size: int) -> int:
        assert (old, old_size) == (0, 0)
        self.next_free = -(-self.next_free // align) * align
        at = self.next_free
        self.next_free += size
        self.allocated.append((at, size))
        return at

    def read(self, variable: tree.Variable) -> Any:
        """The value of a script variable; bytes of a string."""
        found = [
            self._unit["globals"][name].value(self.store) for name, _ in self.variables[variable]
        ]
        if variable.type == vt.STR:
            memory = self.state_unit["memory"]
            return bytes(memory.read(self.store, found[0], found[0] + found[1]))
        return found[0]

    def peek(self, at: int, size: int) -> bytes:
        return bytes(self.memory.read(self.store, at, at + size))

    def whole(self) -> bytearray:
        return bytearray(self.memory.read(self.store, 0, self.memory.data_len(self.store)))


def _with(options: ProbeOptions, link: ScriptLink) -> ProbeOptions:
    return replace(options, script=link)
