"""Programs whose lines say how often they are executed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
_FLAGS = ("-target", "wasm32-freestanding", "-g", "-fno-sanitize=undefined", "-nostdlib")
_COUNT = re.compile(r"// ([0-9]+)$")


def compiled(folder: Path, name: str, *flags: str) -> Path:
    """A core module of a C file, compiled as ``src/FILE`` in a folder."""
    (folder / "src").mkdir(exist_ok=True)
    (folder / "src" / name).write_text((HERE / name).read_text())
    output = folder / f"{name}{''.join(flags)}.wasm"
    command = [sys.executable, "-m", "ziglang", "cc", *_FLAGS, "-Wl,--no-entry", *flags]
    subprocess.run([*command, "-o", output, f"src/{name}"], check=True, cwd=folder)
    return output


def counts(name: str) -> dict[int, int]:
    """By line, how often it is executed."""
    lines = enumerate((HERE / name).read_text().splitlines(), 1)
    return {number: int(found[1]) for number, line in lines if (found := _COUNT.search(line))}
