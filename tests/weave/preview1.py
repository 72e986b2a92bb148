"""As much of WASI preview 1 as a C program needs that computes and prints, for the interpreter."""

from __future__ import annotations

import struct
from typing import Any

from tests.weave.interpreter import Host, Interpreter, Stop


class Program:
    """Runs a command; ``output`` is what it printed."""

    def __init__(self, data: bytes, name: str, *args: str) -> None:
        self.args = [arg.encode() + b"\0" for arg in (name, *args)]
        self.output = b""
        self.status: int | None = None
        functions = [name for name in dir(self) if name.startswith(("args_", "fd_", "proc_"))]
        host: dict[str, Host] = {name: getattr(self, name) for name in functions}
        self.interpreter = Interpreter(data, host)

    def run(self) -> int:
        """The exit status."""
        try:
            self.interpreter.run("_start")
        except Stop:
            if self.status is None:
                raise
        return self.status or 0

    def args_sizes_get(self, at: Interpreter, count: int, size: int) -> int:
        struct.pack_into("<I", at.memory, count, len(self.args))
        struct.pack_into("<I", at.memory, size, sum(map(len, self.args)))
        return 0

    def args_get(self, at: Interpreter, pointers: int, text: int) -> int:
        for i, arg in enumerate(self.args):
            struct.pack_into("<I", at.memory, pointers + 4 * i, text)
            at.memory[text : text + len(arg)] = arg
            text += len(arg)
        return 0

    def fd_fdstat_get(self, at: Interpreter, fd: int, result: int) -> int:
        """A pipe that can be written to."""
        struct.pack_into("<BxHxxxxQQ", at.memory, result, 0, 0, 1 << 6, 0)
        return 0

    def fd_write(self, at: Interpreter, fd: int, vectors: int, count: int, result: int) -> int:
        """As wasmtime does, only the first buffer that is not empty."""
        size = 0
        for i in range(count):
            start, size = struct.unpack_from("<II", at.memory, vectors + 8 * i)
            self.output += at.memory[start : start + size]
            if size:
                break
        struct.pack_into("<I", at.memory, result, size)
        return 0

    def fd_seek(self, at: Interpreter, *args: Any) -> int:
        return 70  # espipe

    def fd_close(self, at: Interpreter, fd: int) -> int:
        return 0

    def proc_exit(self, at: Interpreter, status: int) -> None:
        self.status = status
        raise Stop(f"exit {status}")
