"""Functions the compiler itself provides to scripts.

A checked script holds them as :class:`~whamm_cm.lang.tree.Builtin` nodes whose ``name`` is a key of
:data:`BUILTINS`, except those that are statements of their own (:data:`ACTS`), which become
:class:`~whamm_cm.lang.tree.Act`.
"""

from __future__ import annotations

from whamm_cm.dataclass import dataclass
from whamm_cm.lang.library import LibFunction, LibSignature
from whamm_cm.lang.valtypes import (
    BOOL,
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    STR,
    U32,
    U64,
    UNIT,
    TupleT,
    Type,
)

_ADDRESS = TupleT((I32, I32))


@dataclass(frozen=True, slots=True)
class BuiltinFunction:
    """``pure``: depends on its arguments and on match-time facts only, so it may be folded.

    ``initial``: allowed in initialisers of report and unshared variables inside a probe.
    """

    params: tuple[Type, ...]
    result: Type
    doc: str
    pure: bool = False
    initial: bool = True


_F = BuiltinFunction

#: Called by their own name in scripts.
FUNCTIONS: dict[str, BuiltinFunction] = {
    "strcmp": _F((_ADDRESS, STR), BOOL, "whether the bytes at (address, length) in the module's"
                 " memory are that string"),
    "strcontains": _F((_ADDRESS, STR), BOOL, "whether the bytes at (address, length) in the"
                      " module's memory contain that string"),
    "memcpy": _F((U32, U32, U32, U32, U32), UNIT, "copy bytes: source memory, source address,"
                 " destination memory, destination address, length"),
    "active_data_start": _F((U32,), U32, "lowest address that active data segments write", True),
    "active_data_len": _F((U32,), U32, "bytes from the lowest to the highest address that active"
                          " data segments write", True),
    "page_size": _F((U32,), U32, "bytes in a page of the memory", True),
    "mem_size": _F((U32,), U32, "pages the memory has now"),
    "write_str": _F((U32, I32, STR), UNIT, "write the bytes of a string: memory, address, string"),
    "read_str": _F((U32, I32, U32), STR, "the string at: memory, address, length", initial=False),
    "now": _F((), U64, "nanoseconds on a clock that only goes forward", initial=False),
    "wall": _F((), U64, "nanoseconds since 1970, as the host has them", initial=False),
}  # fmt: skip

#: ``s.len()`` and so on; the receiver is the first argument.
METHODS: dict[str, dict[str, BuiltinFunction]] = {
    "str": {
        "len": _F((STR,), U32, "length in bytes", True),
        "addr": _F((STR,), U32, "address in the memory of strings"),
        "starts_with": _F((STR, STR), BOOL, "whether the string begins with another", True),
        "ends_with": _F((STR, STR), BOOL, "whether the string ends with another", True),
        "contains": _F((STR, STR), BOOL, "whether another string occurs in the string", True),
        "find": _F(
            (STR, STR), I32, "where another string first occurs, in bytes; -1 if nowhere", True
        ),
        "slice": _F(
            (STR, I32, I32),
            STR,
            "bytes from one position to another; from the end if negative",
            True,
        ),
        "split": _F(
            (STR, STR, I32),
            STR,
            "one of the pieces between separators; from the end if negative",
            True,
        ),
        "matches": _F(
            (STR, STR), BOOL, "whether a regular expression, a constant, matches a part of it", True
        ),
        "trim": _F((STR,), STR, "without blanks and line ends around it", True),
        "lower": _F((STR,), STR, "with small letters (ASCII)", True),
        "upper": _F((STR,), STR, "with capital letters (ASCII)", True),
        "to_int": _F((STR,), I64, "the number it begins with, also 0x…; 0 without one", True),
    },
    "map": {
        "id": _F((), I32, "the number of the map, for whamm_core.print_map"),
        "len": _F((), U32, "how many keys the map has"),
    },
}

#: Bound functions of single events (``events.py`` says which).
EVENT_FUNCTIONS: dict[str, BuiltinFunction] = {
    "resolve_funcref": _F((FUNCREF, I32), I32, "number of the function at that index of the"
                          " table, -1 if unknown"),
    "dup_at": _F((U32, U32), UNIT, "do the same operation once more on: memory, address"),
}  # fmt: skip

#: Bound functions that are statements: they become ``Act``.
ACTS: dict[str, BuiltinFunction] = {
    "drop_args": _F((), UNIT, "drop the operands of the instruction"),
    "alt_call_by_id": _F((I32,), UNIT, "call the function of that number instead"),
    "alt_call_by_name": _F((STR,), UNIT, "call the function of that name instead"),
    "proceed": _F((), UNIT, "call on: what the probed function would have done"),
    "fail": _F((STR,), UNIT, "answer with that error case of the function, without calling"),
    "delay": _F((U32,), UNIT, "wait that many milliseconds"),
}

#: Made by the checker for operators and names.
_IMPLIED: dict[str, BuiltinFunction] = {
    "str.eq": _F((STR, STR), BOOL, "== on strings (!= is its negation)", True),
    "map.has": _F((), BOOL, "in: whether a map has a key; the arguments are both"),
    "memid": _F((STR,), U32, "the number of a library's memory; the argument is its name", True),
    "src.load": _F((), U32, "a number of the result's type at an address of the module's memory"),
    "src.text": _F((), STR, "the text up to a zero: address, bytes at most"),
    "src.bytes": _F((), STR, "the text at: address, length"),
    "src.label": _F((), STR, "the name behind a value: value, number, name, number …"),
    "src.global": _F((), U32, "a global of the module, by its number"),
    "app_memid": _F((), U32, "APP_MEMID: the number of the module's own memory", True),
}

#: Every ``Builtin.name``.  ``map.id`` and ``map.len`` take the map as their only argument.
BUILTINS: dict[str, BuiltinFunction] = {
    **FUNCTIONS,
    **{f"{kind}.{name}": f for kind, methods in METHODS.items() for name, f in methods.items()},
    **EVENT_FUNCTIONS,
    **_IMPLIED,
}

_PRINTED = {"u8": I32, "u16": I32, "u32": I32, "u64": I64, "i8": I32, "i16": I32, "i32": I32,
            "i64": I64, "f32": F32, "f64": F64, "bool": I32}  # fmt: skip

#: ``use whamm_core;`` needs no file: these calls become ``LibCall("whamm_core", …)``.
WHAMM_CORE = LibSignature(
    "whamm_core",
    {
        "puts": LibFunction((I32, I32), UNIT),
        "putc": LibFunction((I32,), UNIT),
        **{f"put{name}": LibFunction((type_,), UNIT) for name, type_ in _PRINTED.items()},
        "mem_alloc": LibFunction((I32,), I32),
        "mem_free": LibFunction((I32,), UNIT),
        "print_map": LibFunction((I32,), UNIT),
        "print_map_as_csv": LibFunction((I32,), UNIT),
    },
    has_memory=True,
)
