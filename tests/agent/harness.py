"""The agent and the sinks as bare core modules, with their imports played by Python."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from wasmtime import (
    Config,
    Engine,
    Func,
    FuncType,
    Instance,
    Linker,
    Memory,
    MemoryType,
    Module,
    Store,
    ValType,
)

from whamm_cm.agent import layout

I32 = ValType.i32()
STACK = 512 << 10
_TOLD = '"phase":"start"'
NONCE = "abcdefghij23"
NOTHING: Mapping[str, tuple[FuncType, Any]] = MappingProxyType({})


@cache
def _module(name: str, stack: int) -> Module:
    return Module(_engine(stack), layout.load_wasm(name))


@cache
def _engine(stack: int) -> Engine:
    config = Config()
    config.max_wasm_stack = stack
    return Engine(config)


class Guest:
    """One instance; exports are called as methods."""

    def __init__(
        self, name: str, imports: Mapping[str, tuple[FuncType, Any]] = NOTHING, stack: int = STACK
    ) -> None:
        self.store = Store(_engine(stack))
        functions = {key: Func(self.store, kind, call) for key, (kind, call) in imports.items()}
        module = _module(name, stack)
        self.memory: Any = None
        given: list[Any] = []
        for needed in module.imports:
            if isinstance(needed.type, MemoryType):
                self.memory = Memory(self.store, needed.type)
                given.append(self.memory)
            else:
                given.append(functions[needed.name])
        self.exports: Any = Instance(self.store, module, given).exports(self.store)
        if self.memory is None:
            self.memory = self.exports["memory"]

    def __getattr__(self, name: str) -> Any:
        function = self.exports[name]
        return lambda *arguments: function(self.store, *arguments)

    def read(self, at: int, size: int) -> bytes:
        return bytes(self.memory.read(self.store, at, at + size))

    def write(self, at: int, data: bytes) -> None:
        self.memory.write(self.store, data, at)

    def get(self, offset: int, size: int = 4) -> int:
        """A field of the agent's state."""
        return int.from_bytes(self.read(layout.STATE + offset, size), "little")

    def set(self, offset: int, value: int, size: int = 4) -> None:
        self.write(layout.STATE + offset, value.to_bytes(size, "little"))


class Agent(Guest):
    """As it is after some dozen blocks, unless ``early``."""

    def __init__(self, early: bool = False) -> None:
        super().__init__("agent.wasm")
        if not early:
            self.set(layout.HIGH, layout.BUFFER + layout.HIGH_SIZE)

    def append(self, record: bytes) -> bool:
        """What a probe does: write at ``pos`` if there is room, else into the scratch area."""
        fits = self.get(layout.POS) <= self.get(layout.LIMIT) or bool(self.room())
        at = self.get(layout.POS) if fits else layout.SCRATCH
        self.write(at, record)
        if fits:
            self.set(layout.POS, at + len(record))
        return fits

    def take(self, final: bool = False) -> bytes | None:
        size = self.exports["take"](self.store, int(final))
        return self.read(self.get(layout.OUT_PTR), size) if size else None


class Sink(Guest):
    """Common to all: settings and site table in place, and blocks passed as the canonical ABI does.

    ``seed`` is what the host says are random bits, ``clocks`` its wall clock in ns and monotonic
    clock.
    """

    def __init__(
        self,
        name: str,
        table: bytes,
        imports: Mapping[str, tuple[FuncType, Any]],
        stack: int = STACK,
        json: bool = True,
        show_secrets: bool = False,
        near: bool = False,
    ) -> None:
        self.seed, self.clocks = (1, 2), (0, 0)
        self.run, self.prefixes = "", 0
        facts = {
            "seed": (FuncType([I32], []), lambda at: self._put(at, *self.seed)),
            "wall": (FuncType([I32], []), lambda at: self._put(at, *divmod(self.clocks[0], 10**9))),
            "now": (FuncType([], [ValType.i64()]), lambda: self.clocks[1]),
        }
        super().__init__(name, {**imports, **facts}, stack)
        heap_base = self.exports["__heap_base"].value(self.store)
        at = layout.sink_settings(heap_base)
        image = layout.SETTINGS.pack(NONCE.encode(), json, show_secrets, near) + table
        missing = -(-(at + len(image)) // layout.PAGE) - self.memory.size(self.store)
        if missing > 0:
            self.memory.grow(self.store, missing)
        self.write(at, image)

    def _put(self, at: int, *words: int) -> None:
        self.write(at, b"".join(word.to_bytes(8, "little") for word in words))

    def payloads(self, lines: list[bytes]) -> list[bytes]:
        """What is on the lines behind the mark and their numbers, which are looked at."""
        found = []
        for each in lines:
            assert len(each) < layout.MAX_LINE and b"\n" not in each
            mark, name, payload = each.split(b" ", 2)
            run, _, number = name.decode().partition(".")
            self.run = self.run or run
            assert (mark.decode(), run, number) == (f"WCM2.{NONCE}", self.run, str(self.prefixes))
            self.prefixes += 1
            found.append(payload)
        return found

    def records(self, lines: list[bytes]) -> list[str]:
        """The records in JSON on the lines, those in pieces put together."""
        found, pieces = [], b""
        for payload in self.payloads(lines):
            if payload[:1] in b"Jj":
                assert (payload[:1] == b"J") == (not pieces)
                pieces += payload[1:]
                if not pieces.endswith(b";"):
                    continue
                payload, pieces = pieces[:-1], b""
            found.append(payload.decode())
        assert not pieces
        return found

    def send(self, block: bytes, final: bool = True) -> int:
        chunks = -(-len(block) // layout.CHUNK)
        if final and len(block) > 4:  # what most tests want: nothing is held back
            block = block[:4] + bytes((block[4] | layout.FINAL,)) + block[5:]
        at = self.cabi_realloc(0, 0, 8, chunks * layout.CHUNK)
        self.write(at, block.ljust(chunks * layout.CHUNK, b"\xee"))
        return int(self.emit(at, chunks))


class StderrSink(Sink):
    """``fail_at`` is the write that fails, ``error`` what it fails with: the handle of a
    wasi:io/error, or None for ``closed``."""

    def __init__(
        self,
        table: bytes,
        fail_at: int | None = None,
        error: int | None = None,
        stack: int = STACK,
        json: bool = True,
        show_secrets: bool = False,
        near: bool = False,
    ) -> None:
        self.calls: list[tuple[str, int]] = []
        self.writes: list[bytes] = []
        self._fail_at, self._error = fail_at, error
        imports = {
            "get": (FuncType([], [I32]), self._get),
            "write": (FuncType([I32] * 4, []), self._write),
            "drop-error": (
                FuncType([I32], []), lambda handle: self.calls.append(("drop-error", handle))
            ),
            "drop": (FuncType([I32], []), lambda handle: self.calls.append(("drop", handle))),
        }  # fmt: skip
        super().__init__("sink-stderr.wasm", table, imports, stack, json, show_secrets, near)

    def _get(self) -> int:
        self.calls.append(("get", 0))
        return 7

    def _write(self, handle: int, at: int, size: int, result: int) -> None:
        assert handle == 7
        failing = len(self.writes) == self._fail_at
        self.writes.append(self.read(at, size))
        words = [0, 0, 0]
        if failing:
            words = [1, 1, 0] if self._error is None else [1, 0, self._error]
        data = bytes([words[0], 9, 9, 9, words[1], 9, 9, 9]) + words[2].to_bytes(4, "little")
        self.write(result, data if failing else data[:1])

    def raw(self) -> list[bytes]:
        """The lines written since the last time."""
        text = b"".join(self.writes)
        assert text.endswith(b"\n") or not text
        self.writes.clear()
        return text.split(b"\n")[:-1]

    def lines(self) -> list[str]:
        return self.records(self.raw())

    def said(self) -> list[str]:
        """The same without what the sink says of the run."""
        return [each for each in self.lines() if '"phase":"end"' not in each and _TOLD not in each]


class Preview1Sink(Sink):
    """The sink that is merged into a plain module; its ``emit`` takes bytes."""

    def __init__(self, table: bytes) -> None:
        self.writes: list[bytes] = []
        write = (FuncType([I32] * 2, []), self._write)
        super().__init__("sink-preview1.wasm", table, {"write": write})

    def _write(self, at: int, size: int) -> None:
        self.writes.append(self.read(at, size))

    def send(self, block: bytes, final: bool = True) -> int:
        if final:
            block = block[:4] + bytes((block[4] | layout.FINAL,)) + block[5:]
        at = self.input()
        self.write(at, block)
        return int(self.emit(at, len(block)))


class LoggingSink(Sink):
    def __init__(self, table: bytes) -> None:
        self.messages: list[tuple[int, str, str]] = []
        log = (FuncType([I32] * 5, []), self._log)
        super().__init__("sink-logging.wasm", table, {"log": log})

    def _log(self, level: int, at: int, size: int, message_at: int, message_size: int) -> None:
        context, message = self.read(at, size), self.read(message_at, message_size)
        self.messages.append((level, context.decode(), message.decode()))


class State(Guest):
    """A state.wasm with an agent behind it.  ``drain`` sends what is buffered, if it may."""

    def __init__(self, draining: bool = True, wasm: str = "state-maps.wasm") -> None:
        self.agent = Agent()
        self.store = self.agent.store
        self.blocks: list[bytes] = []
        self._draining = draining
        linker = Linker(self.store.engine)
        linker.define(self.store, "way", "drain", Func(self.store, FuncType([], []), self._drain))
        self.context = 0
        asked = Func(self.store, FuncType([], [ValType.i32()]), lambda: self.context)
        linker.define(self.store, "way", "context", asked)
        for name in ("room", "put8", "put16", "put32", "put64", "get32", "get64"):
            linker.define(self.store, "agent", name, self.agent.exports[name])
        instance = linker.instantiate(self.store, _module(wasm, STACK))
        self.exports = instance.exports(self.store)
        self.memory = self.exports["memory"]
        self.state_init(layout.STATIC)

    def _drain(self) -> None:
        if self._draining:
            self.flush()

    def flush(self) -> None:
        while block := self.agent.take():
            self.blocks.append(block)
            self.agent.sent(1)

    def sent(self) -> list[bytes]:
        """Every block since the last time."""
        self.flush()
        blocks, self.blocks = self.blocks, []
        return blocks
