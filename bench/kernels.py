"""Small C programs that compute: the guests that show what opcode probes cost.

    python -m bench.kernels [--list] [--run] [NAME ...]

Each is one file of ``bench/kernels``, made by the C compiler of the ``ziglang`` wheel into a
``wasm32-wasi`` command under ``.cache/kernels``, named by what it is made from.  It prints one
checksum; its first argument, if given, is the size of the run (the default takes some 0.2 to 0.6 s
under wasmtime, so that what probes add can be told from noise).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import wasmtime

HERE = Path(__file__).parent / "kernels"
CACHE = HERE.parents[1] / ".cache" / "kernels"
_FLAGS = ("-target", "wasm32-wasi", "-O2", "-g0", "-Wall", "-Wextra", "-Werror", "-I.")


def names() -> list[str]:
    """Every kernel, by the stem of its file."""
    return sorted(path.stem for path in HERE.glob("*.c"))


def _number(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _without_debug(wasm: bytes) -> bytes:
    """The module without the debug information of its C library (a megabyte); the linker's own
    option would drop the names of the functions as well."""
    kept, at = [wasm[:8]], 8
    while at < len(wasm):
        size, begin = _number(wasm, at + 1)
        length, named = _number(wasm, begin)
        if wasm[at] or not wasm[named : named + length].startswith(b".debug"):
            kept.append(wasm[at : begin + size])
        at = begin + size
    return b"".join(kept)


def _compile(name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "kernel.wasm"
        command = [sys.executable, "-m", "ziglang", "cc", *_FLAGS, "-o", str(output), f"{name}.c"]
        subprocess.run(command, check=True, cwd=HERE)
        return _without_debug(output.read_bytes())


def build(name: str) -> Path:
    """A file with the core module of the kernel called ``name``, compiled if need be.

    Raises ``KeyError`` for a name that is not in `names`.
    """
    if name not in names():
        raise KeyError(f"no kernel {name!r}; there are {', '.join(names())}")
    digest = hashlib.sha256(f"{name} ziglang {version('ziglang')} {' '.join(_FLAGS)}".encode())
    for path in (HERE / f"{name}.c", HERE / "kernel.h"):
        digest.update(b"\0" + path.name.encode() + b"\0" + path.read_bytes())
    cached = CACHE / f"{name}-{digest.hexdigest()[:16]}.wasm"
    if not cached.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        # Several processes may build at once: only whole files appear under the final name.
        unfinished = cached.with_suffix(f".{os.getpid()}")
        unfinished.write_bytes(_compile(name))
        unfinished.replace(cached)
    return cached


def run(wasm: bytes, size: int | None = None) -> tuple[str, float]:
    """What the kernel printed and the seconds its ``_start`` took, without compilation."""
    engine = wasmtime.Engine()
    module = wasmtime.Module(engine, wasm)
    linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
    linker.define_wasi()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "stdout"
        wasi = wasmtime.WasiConfig()
        wasi.argv = ["kernel", *([] if size is None else [str(size)])]
        wasi.stdout_file = str(output)
        store.set_wasi(wasi)
        start = linker.instantiate(store, module).exports(store)["_start"]
        assert isinstance(start, wasmtime.Func)
        begin = time.perf_counter()
        try:
            start(store)
        except wasmtime.ExitTrap as leave:
            if leave.code:
                raise
        seconds = time.perf_counter() - begin
        del store, linker  # closes the file
        return output.read_text().strip(), seconds


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.kernels", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="name the kernels")
    parser.add_argument("--run", action="store_true", help="run them, too")
    options = parser.parse_args(argv)
    wanted = options.names or names()
    if options.list:
        print("\n".join(names()))
        return 0
    for name in wanted:
        path = build(name)
        told = "  {}  {:.3f} s".format(*run(path.read_bytes())) if options.run else ""
        print(f"{name:16} {path.stat().st_size:7} bytes{told}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
