"""Builds the checked-in ``.wasm`` files of this folder and of ``kernel`` from C with ziglang.

``python -m whamm_cm.agent.build`` rewrites them; users never need it.  The build is deterministic,
so a test rebuilds and compares byte for byte (ziglang 0.17, pinned by ``COMPILER``).
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import RunError

COMPILER = "0.17"
FOLDER = Path(__file__).parent

# Only what every engine with wasm 2.0 has.
_COMPILE = (
    "cc", "-c", "-target", "wasm32-freestanding",
    "-mcpu=mvp+bulk_memory+sign_ext+mutable_globals",
    "-std=c17", "-ffreestanding", "-fno-builtin", "-Wall", "-Wextra", "-Werror",
    "-Wno-int-to-pointer-cast", "-fno-sanitize=undefined", "-fno-stack-protector", "-g0",
)  # fmt: skip
_TABLE_SECTION = 4
# wasm-ld itself, for "zig cc" refuses --stack-first, with which a stack overflow traps at once.
_LINK = ("wasm-ld", "--no-entry", "--strip-all", "--stack-first")


@dataclass(frozen=True, slots=True)
class Artifact:
    """One ``.wasm`` file, its source, and its own options of the compiler and of the linker."""

    output: str
    source: str
    compile: tuple[str, ...]
    link: tuple[str, ...]
    folder: Path = FOLDER


# The sink keeps small buffers for numbers, none of them per level of a value.
# Its memory comes from a module with the site table in it (weave/sinks.py), for the functions the
# sink imports must be lowered onto that memory before the sink itself exists.
# That may be the agent's memory, where all but the stack lies behind what is the agent's.
_RELAY_LINK = ("-zstack-size=8192", "--export=__heap_base", "--import-memory")
_SINK_LINK = (*_RELAY_LINK, "--global-base=131072")
_STATE_LINK = (
    "-zstack-size=4096",
    "--global-base=8192",
    "--initial-memory=196608",
    "--export=__heap_base",
)
ARTIFACTS = (
    Artifact(
        "agent.wasm",
        "agent.c",
        ("-O2",),
        ("-zstack-size=9216", "--global-base=9216", "--initial-memory=196608"),
    ),
    Artifact("relay.wasm", "relay.c", ("-O2",), _RELAY_LINK),
    Artifact("state.wasm", "state.c", ("-Os", "-Wno-unused-function"), _STATE_LINK),
    # For scripts that make texts of values, that empty, go through or draw maps, or do both.
    Artifact(
        "state-texts.wasm", "state.c", ("-Os", "-Wno-unused-function", "-DTEXTS"), _STATE_LINK
    ),
    Artifact("state-maps.wasm", "state.c", ("-Os", "-DMAPS"), _STATE_LINK),
    Artifact("state-all.wasm", "state.c", ("-Os", "-DTEXTS", "-DMAPS"), _STATE_LINK),
    Artifact("sink-stderr.wasm", "sink.c", ("-Os",), _SINK_LINK),
    Artifact("sink-logging.wasm", "sink.c", ("-Os", "-DSINK_LOGGING"), _SINK_LINK),
    # Those that say in JSON how many requests records are made of.
    Artifact("sink-stderr-sampled.wasm", "sink.c", ("-Os", "-DSAMPLED"), _SINK_LINK),
    Artifact(
        "sink-logging-sampled.wasm", "sink.c", ("-Os", "-DSAMPLED", "-DSINK_LOGGING"), _SINK_LINK
    ),
    # It uses a part of what the others share.
    Artifact("sink-otel.wasm", "otel.c", ("-Os", "-Wno-unused-function"), _SINK_LINK),
    Artifact(
        "sink-preview1.wasm",
        "sink.c",
        ("-Os", "-DSINK_PREVIEW1"),
        ("-zstack-size=8192", "--export=__heap_base"),
    ),
    Artifact(
        "kernel.wasm",
        "kernel.c",
        ("-O2",),
        ("-zstack-size=16384", "--initial-memory=131072"),
        FOLDER.parent / "kernel",
    ),
)


def compiler_version() -> str | None:
    """The version of the importable ziglang, or None when there is none."""
    if importlib.util.find_spec("ziglang") is None:
        return None
    done = subprocess.run(
        [sys.executable, "-m", "ziglang", "version"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else None


def _zig(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "ziglang", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RunError(f"{' '.join(arguments)}: {done.stderr.strip()}")


def without_table(module: bytes) -> bytes:
    """The module without its table section, which wasm-ld writes even when nothing calls
    indirectly: pooling hosts charge every table, and validation refuses if one is used."""
    kept, at = bytearray(module[:8]), 8
    while at < len(module):
        size, body = _leb(module, at + 1)
        if module[at] != _TABLE_SECTION:
            kept += module[at : body + size]
        at = body + size
    return bytes(kept)


def _leb(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            return value, at


def compile_artifact(artifact: Artifact) -> bytes:
    """The bytes of one artifact; RunError with the compiler's words when it does not compile."""
    with tempfile.TemporaryDirectory() as folder:
        obj, output = str(Path(folder) / "object.o"), Path(folder) / artifact.output
        _zig(artifact.folder, *_COMPILE, *artifact.compile, artifact.source, "-o", obj)
        _zig(artifact.folder, *_LINK, *artifact.link, obj, "-o", str(output))
        return without_table(output.read_bytes())


def compile_all() -> Iterator[tuple[Path, bytes]]:
    """Every checked-in path with the bytes it ought to have."""
    for artifact in ARTIFACTS:
        yield artifact.folder / artifact.output, compile_artifact(artifact)


def main() -> int:
    version = compiler_version()
    if version is None or not version.startswith(COMPILER):
        print(f"needs ziglang {COMPILER}, found {version}", file=sys.stderr)
        return 2
    for path, content in compile_all():
        path.write_bytes(content)
        print(f"{path.name}: {len(content)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
