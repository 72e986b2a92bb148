"""Access to the two memories a probe works between: the agent's (written) and a guest's (read).

On hosts without multi-memory a module can only have the guest's, as memory 0; the agent's is then
reached through its ``put*`` and ``get*`` functions.
"""

from __future__ import annotations

from collections.abc import Mapping

from whamm_cm.dataclass import dataclass
from whamm_cm.wasm.asm import Func, Module

# What the value on the stack must become before the put function takes it.
_PUTS: dict[str, tuple[tuple[str, ...], str]] = {
    "i32.store8": ((), "put8"),
    "i32.store16": ((), "put16"),
    "i32.store": ((), "put32"),
    "i64.store8": (("i32.wrap_i64",), "put8"),
    "i64.store16": (("i32.wrap_i64",), "put16"),
    "i64.store32": (("i32.wrap_i64",), "put32"),
    "i64.store": ((), "put64"),
    "f32.store": (("i32.reinterpret_f32",), "put32"),
    "f64.store": (("i64.reinterpret_f64",), "put64"),
}
_GETS: dict[str, tuple[str, int | None]] = {
    "i32.load8_u": ("get32", 0xFF),
    "i32.load16_u": ("get32", 0xFFFF),
    "i32.load": ("get32", None),
    "i64.load": ("get64", None),
}

#: The agent's functions that stand in for direct access: parameters and results.
PUT_GET: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "put8": (("i32", "i32"), ()),
    "put16": (("i32", "i32"), ()),
    "put32": (("i32", "i32"), ()),
    "put64": (("i32", "i64"), ()),
    "get32": (("i32",), ("i32",)),
    "get64": (("i32",), ("i64",)),
}


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest memory: its index in the module and how its size is told."""

    memory: int
    is64: bool
    page_size_log2: int

    @property
    def address(self) -> str:
        """The core type of its addresses."""
        return "i64" if self.is64 else "i32"

    @property
    def width(self) -> int:
        """Bytes of a pointer."""
        return 8 if self.is64 else 4

    def widen(self, f: Func) -> None:
        """Turn the address on the stack into an i64."""
        if not self.is64:
            f.op("i64.extend_i32_u")

    def narrow(self, f: Func) -> None:
        """Turn the address-sized number on the stack, known to be small, into an i32."""
        if self.is64:
            f.op("i32.wrap_i64")

    def size(self, f: Func) -> None:
        """Push the size in bytes as i64."""
        f.memory_size(self.memory)
        self.widen(f)
        if self.page_size_log2:
            f.i64(self.page_size_log2)
            f.op("i64.shl")

    def load_address(self) -> str:
        return "i64.load" if self.is64 else "i32.load"


class Agent:
    """Emits loads and stores of the agent's memory.

    ``memory`` is its index in the module, None when only ``imports`` (the put and get functions)
    reach it.
    """

    def __init__(self, module: Module, memory: int | None, imports: Mapping[str, int]) -> None:
        self._module, self._memory, self._imports = module, memory, imports
        self._copies: dict[Guest, int] = {}

    def at(self, f: Func, base: int, offset: int) -> None:
        """Push the address for a ``store`` with the same offset."""
        f.get(base)
        if self._memory is None and offset:
            f.i32(offset)
            f.op("i32.add")

    def store(self, f: Func, name: str, offset: int = 0) -> None:
        """Store the value on the stack at the address below it (see ``at``)."""
        if self._memory is not None:
            f.memory_op(name, offset, self._memory)
            return
        convert, put = _PUTS[name]
        f.op(*convert)
        f.call(self._imports[put])

    def load(self, f: Func, name: str, base: int, offset: int) -> None:
        """Push what lies at ``base`` + ``offset``."""
        self.at(f, base, offset)
        self._load(f, name, offset)

    def _load(self, f: Func, name: str, offset: int = 0) -> None:
        if self._memory is not None:
            f.memory_op(name, offset, self._memory)
            return
        get, mask = _GETS[name]
        f.call(self._imports[get])
        if mask is not None:
            f.i32(mask)
            f.op("i32.and")

    def load_at(self, f: Func, name: str, address: int) -> None:
        """Push what lies at a constant address."""
        f.i32(address)
        self._load(f, name)

    def copy(self, f: Func, guest: Guest) -> None:
        """``memory.copy`` from a guest: stack (agent address, guest address, i32 length)."""
        if self._memory is not None:
            f.memory_copy(self._memory, guest.memory)
            return
        if guest not in self._copies:
            self._copies[guest] = self._copy_loop(guest)
        f.call(self._copies[guest])

    def _copy_loop(self, guest: Guest) -> int:
        f = self._module.func(("i32", guest.address, "i32"))
        for step, load, store in ((8, "i64.load", "i64.store"), (1, "i32.load8_u", "i32.store8")):
            with f.block() as done, f.loop() as again:
                f.get(2)
                f.i32(step)
                f.op("i32.lt_u")
                f.br_if(done)
                f.get(0)
                f.get(1)
                f.memory_op(load, 0, guest.memory)
                self.store(f, store)
                for local, kind in ((0, "i32"), (1, guest.address)):
                    f.get(local)
                    f.const(kind, step)
                    f.op(f"{kind}.add")
                    f.set(local)
                f.get(2)
                f.i32(step)
                f.op("i32.sub")
                f.set(2)
                f.br(again)
        return f.index
