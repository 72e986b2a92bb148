"""Instructions as text, one a line, in the manner of WebAssembly text."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from whamm_cm.wasm.cursor import Buffer, Cursor
from whamm_cm.wasm.immediates import CastFlags, Catch, Handler, Immediate, MemArg, read_immediates
from whamm_cm.wasm.instructions import scan
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.opcodes import Imm, Opcode

#: (kind of index, index) → what to call it, "" when it has no name.
Naming = Callable[[str, int], str]

_INDENT = "  "
_NAMED = {Imm.FUNC: "func", Imm.GLOBAL: "global"}
_CATCHES = ("catch", "catch_ref", "catch_all", "catch_all_ref")
_TYPED = {Imm.TYPE: "type", Imm.TABLE: "table"}


def names_of(module: CoreModule) -> Naming:
    """Imports by module and name, other functions by the name section."""
    found: dict[tuple[str, int], str] = {}
    for kind in ("func", "global"):
        for index, imported in enumerate(module.imported(kind)):
            found[kind, index] = f"{imported.module}.{imported.name}"
    for index, name in module.names.functions.items():
        found.setdefault(("func", index), name)
    return lambda kind, index: found.get((kind, index), "")


def disassemble(
    code: Buffer, start: int = 0, end: int | None = None, naming: Naming | None = None
) -> Iterator[str]:
    """The instructions of ``code[start:end]``, indented by their nesting; blocks that ``code`` ends
    and does not open are taken as they come.

    Raises DecodeError for what is no sequence of instructions.
    """
    stop = len(code) if end is None else end
    depth = 0
    for at, opcode, _ in scan(code, start, stop):
        closes = opcode.nesting < 0 or opcode.mnemonic in ("else", "catch", "catch_all")
        shown = max(0, depth - closes)
        yield _INDENT * shown + instruction(code, at, opcode, naming)
        depth = max(0, depth + opcode.nesting)


def instruction(code: Buffer, at: int, opcode: Opcode, naming: Naming | None = None) -> str:
    """One instruction, which is at ``at``."""
    values = read_immediates(Cursor(code, at, len(code)), opcode)
    words = [opcode.mnemonic]
    for kind, value in zip(opcode.immediates, values, strict=True):
        words.append(_immediate(kind, value))
        if naming is not None and kind in _NAMED and isinstance(value, int):
            name = naming(_NAMED[kind], value)
            words.append(f"(;{name};)" if name else "")
    return " ".join(filter(None, words))


def _immediate(kind: Imm, value: Immediate) -> str:
    match value:
        case MemArg(align, offset, memory, _):
            parts = [str(memory)] if memory else []
            parts += [f"offset={offset}"] if offset else []
            return " ".join([*parts, f"align={1 << align}"])
        case CastFlags(source, target):
            return f"{'null' if source else 'non-null'} {'null' if target else 'non-null'}"
        case tuple():
            return " ".join(map(_member, value))
        case bytes():
            return " ".join(f"0x{byte:02x}" for byte in value)
        case None:
            return ""
    if kind is Imm.BLOCKTYPE:
        return f"(type {value})" if isinstance(value, int) else f"(result {value})"
    return f"({_TYPED[kind]} {value})" if kind in _TYPED else str(value)


def _member(value: int | str | Catch | Handler | None) -> str:
    match value:
        case Catch(kind, tag, label):
            tag_ = "" if tag is None else f" {tag}"
            return f"({_CATCHES[kind]}{tag_} {label})"
        case Handler(tag, label):
            return f"(on {tag} {'switch' if label is None else label})"
    return str(value)
