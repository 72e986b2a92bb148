"""A stand-in for the Wizard engine: the interpreter, with a monitor module that runs on wasmtime.

It does what the engine's sources say (``src/util/Whamm.v3``, ``src/monitors/WhammMonitor.v3``) and
what it was seen to do: it binds rules function by function and instruction by instruction, in the
order of the exports; it fires before instructions; a branch executes the ``end`` or ``loop`` that
it leads to.  What it counts is compared with what the engine counts.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import wasmtime

from tests.weave.interpreter import Frame, Function, Host, Interpreter, Place, Stop, Thrown
from whamm_cm.wasm.function import FunctionInfo

_RULE = re.compile(r"wasm:opcode:(\*|[a-z0-9_.]+)/(\$\w+)\(fid,pc\)/\((.*)\)")
_CALL = re.compile(r"(\$\w+)\(fid,pc\)")
#: What leaves a function without its last ``end``.
_LEAVES = ("return", "return_call", "return_call_indirect", "return_call_ref")


class Monitor:
    """A monitor module; ``lines`` is what it wrote to stderr."""

    def __init__(self, wasm: bytes) -> None:
        config = wasmtime.Config()
        config.wasm_multi_memory = True
        engine = wasmtime.Engine(config)
        self.store, self.lines = wasmtime.Store(engine), b""
        linker = wasmtime.Linker(engine)
        i32 = wasmtime.ValType.i32()
        kind = wasmtime.FuncType([i32] * 4, [i32])
        linker.define_func("wasi_snapshot_preview1", "fd_write", kind, self._write)
        module = wasmtime.Module(engine, wasm)
        self.exports = linker.instantiate(self.store, module).exports(self.store)
        self.rules = [
            (match, name)
            for name in (export.name for export in module.exports)
            if (match := _RULE.fullmatch(name))
        ]

    def _write(self, fd: int, vectors: int, count: int, result: int) -> int:
        assert (fd, count) == (2, 1)
        memory: Any = self.exports["memory"]
        start, size = struct.unpack("<II", memory.read(self.store, vectors, vectors + 8))
        self.lines += memory.read(self.store, start, start + size)
        return 0

    def call(self, name: str, *args: Any) -> Any:
        function: Any = self.exports[name]
        return function(self.store, *args)


@dataclass
class Probe:
    """``args``: numbers, or names of what is read when it fires."""

    name: str
    args: list[float | str]


class StandIn(Interpreter):
    """Runs an export of a program with a monitor."""

    def __init__(
        self, data: bytes, monitor: Monitor | None, host: dict[str, Host] | None = None
    ) -> None:
        super().__init__(data, host)
        self.monitor = monitor
        self.probes: dict[Place, list[Probe]] = {}
        self.visited: Counter[Place] = Counter()
        for index in range(len(self.code)):
            self._bind(FunctionInfo(self.module, index))

    def _bind(self, info: FunctionInfo) -> None:
        if self.monitor is None:
            return
        for opidx, (pos, opcode, _) in enumerate(info.steps):
            at = info.fid, pos - info.body.start
            for match, name in self.monitor.rules:
                event, asks, takes = match.groups()
                if event not in ("*", opcode.mnemonic) or not self.monitor.call(asks, *at):
                    continue
                args = self._bound(takes, at)
                self.probes.setdefault((info.fid, opidx), []).append(Probe(name, args))

    def _bound(self, takes: str, at: tuple[int, int]) -> list[float | str]:
        assert self.monitor is not None
        found: list[float | str] = []
        while takes:
            call = _CALL.match(takes)
            if call is not None:
                found.append(self.monitor.call(call[1], *at))
                takes = takes[call.end() :]
            else:
                word = takes.partition(",")[0]
                found.append(word)
                takes = takes[len(word) :]
            takes = takes.removeprefix(",")
        return found

    def finish(self, export: str = "_start") -> bytes:
        """Runs it to its end, however that comes; what the monitor has written."""
        with suppress(Stop, Thrown):
            if self.module.start is not None:
                self.call(self.module.start)
            self.run(export)
        if self.monitor is None:
            return b""
        self.monitor.call("wasm:exit")
        return self.monitor.lines

    def _fire(self, frame: Frame, at: int) -> None:
        place = frame.function.fid, at
        self.visited[place] += 1
        for probe in self.probes.get(place, ()):
            assert self.monitor is not None
            self.monitor.call(probe.name, *(_value(frame, arg) for arg in probe.args))

    def _execute(self, function: Function, variables: list[Any]) -> int | None:
        frame = Frame(self, function, variables)
        at = 0
        while at < len(function.steps):
            self.left -= 1
            if not self.left:
                raise Stop("too many instructions")
            self._fire(frame, at)
            name, before = function.steps[at].name, at
            try:
                at = frame.step(at)
            except Thrown as thrown:
                at = frame.caught(thrown)
            jumped = at != before + 1 and name not in _LEAVES
            if jumped and function.steps[at - 1].name in ("end", "loop"):
                self._fire(frame, at - 1)
        return frame.tail


def _value(frame: Frame, arg: float | str) -> float:
    if not isinstance(arg, str):
        return arg
    if arg.startswith("arg"):
        value = frame.stack[-1 - int(arg[3:])]
    else:
        value = frame.variables[int(arg.removeprefix("local"))]
    return value
