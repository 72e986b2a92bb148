"""Round trip of every component and core module in directories of ``.wasm`` files and ``.wast``
scripts.

    python -m tests.corpus_roundtrip DIR…

A component that decodes must be written back byte for byte, also through the identity transform,
and have no faults.  A script says of its components whether they are valid: a valid one must
decode.  Of others, and of ``.wasm`` files, it is only asked that a refusal gives an offset inside
the input (a folder named after a command says the same of the files in it).  Text is assembled by
wasmtime and, what that refuses, by ``wasm-tools`` if there is one.
Of a core module that wasmtime accepts, the kernel must find the instructions that the plain scanner
finds; written anew, with other indices and with ``hotness`` woven in, it must be valid again.
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
from whamm_cm.errors import DecodeError, InputError, WeaveError
from whamm_cm.front.woven import is_module
from whamm_cm.lang.load import load
from whamm_cm.monitors import monitors
from whamm_cm.run.engine import validate_module
from whamm_cm.wasm.edit import ModuleEdit
from whamm_cm.wasm.module import CoreModule, MemoryType
from whamm_cm.weave.plain import weave_module
from whamm_cm.weave.plan import Plan, ScriptPlan

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
        if is_module(data):
            said = f"module, {said}"
            try:
                self.counts[said, self._module(place, data)] += 1
            except InputError as fault:
                self.counts[said, "refused"] += 1
                self.mismatches.append(f"{place}: {fault}")
            return
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

    def _module(self, place: str, data: bytes) -> str:
        """What became of a core module; InputError where something is refused."""
        if validate_module(data) is not None:
            return "not valid here"
        module = CoreModule(data)
        for index in range(len(module.bodies)):
            if list(module.find(None, [index])) != list(module.instructions(index)):
                self.mismatches.append(f"{place}: instructions of function {index}")
        copies = {"written anew": _written(module), "hotness": _hotness(data)}
        copies["with other indices"] = _renumbered(module)
        for name, copy in copies.items():
            fault = None if copy is None else validate_module(copy)
            if fault is not None:
                self.mismatches.append(f"{place}: {name}: {fault}")
        return "not woven" if copies["hotness"] is None else "woven"


def _written(module: CoreModule) -> bytes:
    """Every function by way of a draft that changes nothing."""
    edit = ModuleEdit(module)
    for index, body in enumerate(module.bodies):
        edit.replace_body(index, [(body.code, body.end)])
    return edit.encode()


def _renumbered(module: CoreModule) -> bytes:
    """With so many more imports that indices get longer; those of a module without a memory of its
    own stay, for not all instructions may name one."""
    edit = ModuleEdit(module)
    for number in range(130):
        edit.import_func("more", f"f{number}", (), ())
        edit.import_global("more", f"g{number}", "i32", False)
    for number in range(70):
        edit.import_table("more", f"t{number}", b"\x70\0\1")
    edit.import_memory("more", "m", MemoryType(1))
    edit.last_words = b"\x01"
    return edit.encode()


def _hotness(data: bytes) -> bytes | None:
    """None: it is refused for a reason that is said."""
    scripts = load([("hotness.mm", monitors()["hotness"])], {})
    try:
        return weave_module(data, Plan(sink="none", scripts=ScriptPlan(scripts, {}))).wasm
    except WeaveError:
        return None


def _defined(command: Command) -> tuple[str, Form] | None:
    """What a command says of the component or module it defines, and its form."""
    form, said = command.form, command.head
    if said.startswith("assert_") and len(form.items) > 1 and isinstance(form.items[1], Form):
        form = form.items[1]
    if form.head not in ("component", "module") or Atom("instance") in form.items[1:2]:
        return None
    return said, form


def _assembled(form: Form, text: str) -> tuple[bytes | None, str]:
    """The component's bytes (None: nothing assembles it) and the assembler."""
    try:
        return assemble(form, text), "wasmtime"
    except wasmtime.WasmtimeError:
        if _WASM_TOOLS is None or Atom("quote") in form.items:
            return None, ""
    source = text[form.start : form.end]
    for kind in ("component", "module"):
        source = source.replace(f"{kind} definition", kind, 1)
    made = subprocess.run(
        [_WASM_TOOLS, "parse", "-"], input=source.encode(), capture_output=True, check=False
    )
    return (made.stdout, "wasm-tools") if made.returncode == 0 else (None, "")


def script(path: Path) -> Tally:
    """All that the script at ``path`` defines."""
    tally = Tally()
    text = path.read_text("utf-8", "surrogateescape")
    for command in commands(text):
        found = _defined(command)
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
            if data[:8] == COMPONENT_PREAMBLE or is_module(data):
                tally.judge(str(path), folder if folder.startswith("assert_") else "file", data)
            else:
                tally.counts["file", "neither component nor module"] += 1
            yield tally
        for path in sorted(directory.rglob("*.wast")):
            yield script_apart(path)


def main(arguments: list[str]) -> int:
    if not arguments:
        print(__doc__)
        return 2
    _CONTEXT.set_forkserver_preload(["tests.wast_driver.script", "whamm_cm.weave.plain"])
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
