"""What the Wizard engine counts in the programs of ``wizard/``, recorded beside them.

Wizard is an engine of its own that instruments without rewriting.  With WIZENG naming its binary,
``python -m tests.weave.wizard_oracle`` records anew.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import wasmtime

from whamm_cm.wasm.module import CoreModule

PROGRAMS = Path(__file__).parent / "wizard"
WIZENG = os.environ.get("WIZENG") or None
_FEATURES = "--ext:wasm-3.0"
_ROW = re.compile(r'(hotness|branch),(?:"([^"]*)"|#(\d+)),(\d+)(?:,\w+)?,(?:(\d+)|\[([\d ]+)\])')

#: By function and pc: how often each instruction ran, and each way of a branch was taken.
Recorded = dict[str, dict[str, dict[str, Any]]]


def assembled(program: Path) -> bytes:
    return bytes(wasmtime.wat2wasm(program.read_text("utf-8")))


def recorded(program: Path) -> Recorded:
    """What lies beside the program."""
    found: Recorded = json.loads(program.with_suffix(".json").read_text("utf-8"))
    return found


def ask(wizeng: str, wasm: bytes, folder: Path) -> Recorded:
    """What Wizard counts now."""
    app = folder / "app.wasm"
    app.write_bytes(wasm)
    fids = {name: str(fid) for fid, name in CoreModule(wasm).names.functions.items()}
    found: Recorded = {"hotness": {}, "branches": {}}
    for monitor in found:
        command = [wizeng, _FEATURES, "--colors=false", "--csv", f"--monitors={monitor}", str(app)]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60)
        rows = list(_ROW.finditer(said.stdout))
        if monitor == "hotness" and not rows:
            raise RuntimeError(f"{' '.join(command)}: {said.stdout}{said.stderr}")
        for row in rows:
            _, name, number, pc, count, ways = row.groups()
            place = found[monitor].setdefault(number or fids[name], {})
            place[pc] = int(count) if count else [int(way) for way in ways.split()]
    return _sorted(found)


def _sorted(found: Recorded) -> Recorded:
    return {
        kind: {
            fid: dict(sorted(places.items(), key=lambda item: int(item[0])))
            for fid, places in sorted(functions.items(), key=lambda item: int(item[0]))
        }
        for kind, functions in found.items()
    }


def main() -> int:
    if WIZENG is None:
        print("WIZENG must name the binary of the Wizard engine", file=sys.stderr)
        return 2
    for program in sorted(PROGRAMS.glob("*.wat")):
        folder = Path(os.environ.get("TMPDIR", "/tmp"))
        text = json.dumps(ask(WIZENG, assembled(program), folder), indent=1)
        lines = re.sub(r"\[\s+([\d,\s]+?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", text)
        program.with_suffix(".json").write_text(lines + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
