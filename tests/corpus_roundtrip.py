"""Round trip of every component in directories of ``.wasm`` files and ``.wast`` scripts.

    python -m tests.corpus_roundtrip DIR…

A component that decodes must be written back byte for byte, also through the identity transform,
and have no faults.  A script says of its components whether they are valid: a valid one must
decode.  Of others, and of ``.wasm`` files, it is only asked that a refusal gives an offset inside
the input (a folder named after a command says the same of the files in it).  Text is assembled by
wasmtime and, what that refuses, by ``wasm-tools`` if there is one.
Prints counts, and a line for every refused file and every mismatch; exits 1 on any mismatch.
"""

from __future__ import annotations

import multiprocessing
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import wasmtime

from tests.wast_driver.script import Command, assemble, commands
from tests.wast_driver.sexpr import Atom, Form
from whamm_cm.component.check import check
from whamm_cm.component.decode import COMPONENT_PREAMBLE, decode
from whamm_cm.component.encode import encode
from whamm_cm.component.ir import transform
from whamm_cm.errors import DecodeError, InputError

FILE_SECONDS = 120
_WASM_TOOLS = shutil.which("wasm-tools")
#: What the command around a component says of one that must decode.
_VALID = ("component", "assert_trap", "assert_unlinkable", "assert_uninstantiable")
_CONTEXT = multiprocessing.get_context("forkserver")


@dataclass(slots=True)
class Tally:
    """``counts``: (what the source says of a component, what became of it) → how often."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    mismatches: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.counts += other.counts
        self.notes += other.notes
        self.mismatches += other.mismatches

    def judge(self, place: str, said: str, data: bytes) -> None:
        try:
            component = decode(data)
        except InputError as fault:
            self.counts[said, "refused"] += 1
            at = fault.offset if isinstance(fault, DecodeError) else 0
            if said in _VALID or not 0 <= at <= len(data):
                self.mismatches.append(f"{place}: {fault}")
            elif said == "file":
                self.notes.append(f"{place}: {fault}")
            return
        same = encode(component) == data and encode(transform(component)) == data
        faults = check(component)
        if not same:
            self.mismatches.append(f"{place}: the round trip changes bytes")
        if faults and said in (*_VALID, "file"):
            self.mismatches.append(f"{place}: {faults[0]}")
        self.counts[said, "same" if same else "changed"] += 1


def _component_of(command: Command) -> tuple[str, Form] | None:
    """What a command says of the component it defines, and its form."""
    form, said = command.form, command.head
    if said.startswith("assert_") and len(form.items) > 1 and isinstance(form.items[1], Form):
        form = form.items[1]
    if form.head != "component" or Atom("instance") in form.items[1:2]:
        return None
    return said, form


def _assembled(form: Form, text: str) -> tuple[bytes | None, str]:
    """The component's bytes (None: nothing assembles it) and the assembler."""
    try:
        return assemble(form, text), "wasmtime"
    except wasmtime.WasmtimeError:
        if _WASM_TOOLS is None or Atom("quote") in form.items:
            return None, ""
    source = text[form.start : form.end].replace("component definition", "component", 1)
    made = subprocess.run(
        [_WASM_TOOLS, "parse", "-"], input=source.encode(), capture_output=True, check=False
    )
    return (made.stdout, "wasm-tools") if made.returncode == 0 else (None, "")


def script(path: Path) -> Tally:
    """Every component the script at ``path`` defines."""
    tally = Tally()
    text = path.read_text("utf-8", "surrogateescape")
    for command in commands(text):
        found = _component_of(command)
        if found is None:
            continue
        said, form = found
        data, assembler = _assembled(form, text)
        if data is None:
            tally.counts[said, "not assembled"] += 1
        else:
            tally.counts["assembled by", assembler] += 1
            tally.judge(f"{path}:{command.line}", said, data)
    return tally


def _child(path: Path, pipe: Connection) -> None:
    pipe.send(script(path))


def script_apart(path: Path) -> Tally:
    """`script` in a process of its own: the assembler aborts the process on some texts."""
    ours, theirs = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_child, args=(path, theirs))
    process.start()
    theirs.close()
    try:
        if not ours.poll(FILE_SECONDS):
            return Tally(mismatches=[f"{path}: no end after {FILE_SECONDS} s"])
        found: Tally = ours.recv()
        return found
    except EOFError:
        process.join()
        return Tally(mismatches=[f"{path}: the process died (exit code {process.exitcode})"])
    finally:
        process.kill()
        process.join()


def tallies(directories: list[Path]) -> Iterator[Tally]:
    for directory in directories:
        for path in sorted(directory.rglob("*.wasm")):
            data, tally, folder = path.read_bytes(), Tally(), path.parent.name
            if data[:8] == COMPONENT_PREAMBLE:
                tally.judge(str(path), folder if folder.startswith("assert_") else "file", data)
            else:
                tally.counts["file", "not a component"] += 1
            yield tally
        for path in sorted(directory.rglob("*.wast")):
            yield script_apart(path)


def main(arguments: list[str]) -> int:
    if not arguments:
        print(__doc__)
        return 2
    _CONTEXT.set_forkserver_preload(["tests.wast_driver.script", "whamm_cm.component.decode"])
    total = Tally()
    for tally in tallies([Path(argument) for argument in arguments]):
        total.add(tally)
        for line in tally.mismatches:
            print(f"MISMATCH {line}", flush=True)
    for line in total.notes:
        print(f"refused {line}")
    for (said, became), count in sorted(total.counts.items()):
        print(f"{said:24} {became:16} {count:6}")
    print(f"{len(total.mismatches)} mismatches")
    return 1 if total.mismatches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
