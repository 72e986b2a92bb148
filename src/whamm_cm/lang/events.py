"""Packages, events, modes and bound variables that match rules can name.

Everything is data: an event's variables come from the rows of ``opcode_events.py`` and from the
groups below.  Derived variables (``effective_addr``) are written in the script language itself and
replaced by their definition when a script is checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field

from whamm_cm.dataclass import dataclass
from whamm_cm.lang.opcode_events import MORE_ROWS, ORDER, ROWS
from whamm_cm.lang.valtypes import BOOL, FUNCREF, I32, STR, U16, U32, U64, MapT, Prim, Type
from whamm_cm.wasm.opcodes import OPCODES, Opcode

# --- what an event is ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BoundVariable:
    """``type`` None: unknown, the context or a bound decides.  ``name`` may end in ``N``.

    ``static``: known at match time; ``literal``: by the opcode alone, and then its type follows the
    context like that of a number.  ``defined``: an expression in other variables of the event.
    ``after``: exists only when the instruction is done.
    """

    name: str
    type: Type | None
    static: bool
    doc: str
    defined: str = ""
    after: bool = False
    literal: bool = False


@dataclass(frozen=True, slots=True)
class Mode:
    """``text`` as rules write it, ``name`` as reports show it (``semantic_after``)."""

    text: str
    name: str


@dataclass(frozen=True, slots=True)
class Event:
    """``known``: whamm 1.0 has it.  ``constants``: static variables the opcode alone decides."""

    package: str
    name: str
    category: str
    modes: tuple[Mode, ...]
    variables: Mapping[str, BoundVariable]
    functions: tuple[str, ...] = ()
    known: bool = True
    constants: Mapping[str, object] = field(default_factory=dict)

    def find(self, name: str) -> BoundVariable | None:
        """The bound variable of that name, ``arg3`` by way of ``argN``."""
        found = self.variables.get(name)
        if found is None and name[-1:].isdigit():
            found = self.variables.get(name.rstrip("0123456789") + "N")
        return found


#: Names of operands and locals: nobody may declare them.
NUMBERED = re.compile(r"(?:arg|res|imm|local)(?:0|[1-9][0-9]*)")
#: What may have a type bound.  A script may have variables of its own that are called ``param0``.
BOUNDABLE = re.compile(r"(?:arg|res|local|param)(?:0|[1-9][0-9]*)")

_PLAIN = {text: Mode(text, text) for text in ("before", "after", "alt", "entry", "exit")}
_SEMANTIC = Mode("after", "semantic_after")
_NO_MODE = Mode("", "<no-mode>")


def _modes(text: str) -> tuple[Mode, ...]:
    return tuple(_PLAIN[word] for word in text.split())


_DEFAULT_MODES = _modes("before after alt")
_BLOCK_MODES = (_PLAIN["before"], _SEMANTIC, Mode("alt", "block_alt"), *_modes("entry exit"))
_BRANCH_MODES = (*_DEFAULT_MODES, Mode("at_target", "semantic_after"))
_MODES: dict[str, tuple[Mode, ...]] = {
    "unreachable": _modes("alt before"),
    "end": _modes("before after"),
    **dict.fromkeys(["block", "loop", "if", "else", "try_table", "try"], _BLOCK_MODES),
    **dict.fromkeys(["br", "br_if", "br_table"], _BRANCH_MODES),
    **dict.fromkeys(["catch", "catch_all", "delegate"], _modes("before after")),
}

#: Categories and their numbers.
CATEGORIES = (
    "arith", "atomic", "compare", "const", "control", "convert", "exn", "gc", "global", "load",
    "local", "memory", "misc", "ref", "simd", "store", "table",
)  # fmt: skip

# --- variables -----------------------------------------------------------------------------------


def _static(name: str, type_: Type | None, doc: str, defined: str = "") -> BoundVariable:
    return BoundVariable(name, type_, True, doc, defined)


def _literal(name: str, type_: Type, doc: str) -> BoundVariable:
    return BoundVariable(name, type_, True, doc, literal=True)


def _dynamic(name: str, type_: Type | None, doc: str, defined: str = "") -> BoundVariable:
    return BoundVariable(name, type_, False, doc, defined)


def _by_name(*variables: BoundVariable) -> dict[str, BoundVariable]:
    return {variable.name: variable for variable in variables}


#: Bound in every probe of provider wasm; zero and empty where it is at no place in a function.
SCOPE = _by_name(
    _static("fid", U32, "number of the function the probe is in"),
    _static("pc", U32, "byte offset of the instruction in the function's body, from its locals on"),
    _static("opidx", U32, "number of the instruction in the function"),
    _static("at_func_end", BOOL, "whether this is the function's last end"),
    _static("fname", STR, "name of the function, empty if it has none"),
    _static("probe_id", I32, "number of the probe"),
    _static("script", STR, "name of the script"),
    _static("module", STR, "name or place of the core module, empty for a module by itself"),
    _static("component", STR, "name or place of the component with that module"),
    _static("file", STR, "source file the code is of, as the compiler was given it"),
    _static("line", U32, "line of it"),
    _static("column", U32, "column in it, 0 if that is not known"),
    _static("func", STR, "function of the source, demangled: the innermost inlined one"),
    _static("inlined", BOOL, "whether that function was put in place of a call"),
    _static("frames", STR, "all such functions around it, outermost first, joined by ;"),
    _dynamic("task", U32, "number of the task (the request) that runs, 0 outside of tasks"),
    _dynamic("localN", None, "local number N of the function (parameters first)"),
)

_OPCODE_SCOPE = _by_name(
    _static("opname", STR, "name of the instruction"),
    _literal("bytecode", U16, "the opcode, its prefix in the high byte"),
    _literal("category_id", U32, "number of the instruction's category"),
    _static("category_name", STR, "category of the instruction"),
)

_ACCESS = (
    _literal("data_size", U32, "bytes that are read or written"),
    _static("is_write", BOOL, "whether memory is written"),
    _static("memory", U32, "number of the memory"),
    _static("align", U32, "alignment, as a power of two"),
    _static("offset", U64, "constant offset of the instruction"),
    _dynamic("effective_addr", U32, "address plus offset", "addr + offset as u32"),
)

#: Variables and functions that several instructions bind together.
_GROUPS: dict[str, tuple[tuple[BoundVariable, ...], tuple[str, ...]]] = {
    "targets": ((
        _static("targets", MapT(U32, U32), "branch depths by operand, without the default"),
        _static("default_target", U32, "branch depth of the default"),
        _static("num_targets", U32, "how many targets there are besides the default"),
        _dynamic("target", U32, "which target is taken; num_targets is the default",
                 "arg0 < num_targets ? arg0 : num_targets"),
    ), ()),
    "callee": ((
        _static("target_fn_name", STR, "name of the called function"),
        _static("target_fn_type", STR, '"local" or "import"'),
        _static("target_imp_module", STR, "module the called function is imported from"),
    ), ()),
    "table_entry": ((
        _dynamic("table_entry_idx", I32, "index into the table", "arg0"),
        _dynamic("target_funcref", FUNCREF, "the function at that index"),
        _dynamic("resolved_fid", I32, "number of the function at that index, -1 if unknown",
                 "resolve_funcref(target_funcref, table_entry_idx)"),
    ), ("resolve_funcref",)),
    "lookback": ((_static("resolved_fid", I32, "number of the function if the instruction before"
                          " is ref.func, else -1"),), ()),
    "own_fid": ((_static("resolved_fid", I32, "number of the function", "imm0 as i32"),), ()),
    "failed": ((BoundVariable("failed", BOOL, False, "whether memory could not grow",
                              "res0 == -1", after=True),), ()),
    "tid": ((_static("tid", U32, "number of the type", "imm0"),), ()),
    "field": ((_static("field_idx", U32, "number of the field", "imm1"),), ()),
    "dup": ((), ("dup_at",)),
}  # fmt: skip

_NUMBERED_DOCS = {
    "arg": "operand N, counted from the top of the stack",
    "imm": "immediate N",
    "res": "result N, counted from the top of the stack",
}
_ACCESS_WORD = re.compile(r"(read|write)([0-9]+)@(arg[0-9])")


_SAME: dict[BoundVariable, BoundVariable] = {}


class _Variables:
    """Collects what the words of a row stand for."""

    def __init__(self, words: str) -> None:
        self.found: dict[str, BoundVariable] = {}
        self.functions: list[str] = []
        self.constants: dict[str, object] = {}
        for word in words.split():
            self.add(word)
        # One object per variable, so that checked bodies can be shared by identity.
        self.found = {name: _SAME.setdefault(v, v) for name, v in self.found.items()}

    def add(self, word: str) -> None:
        access = _ACCESS_WORD.fullmatch(word)
        if access:
            self.constants = {"data_size": int(access[2]), "is_write": access[1] == "write"}
            self.found["addr"] = _dynamic("addr", U32, "address operand", access[3])
            self.found.update(_by_name(*_ACCESS))
        elif word.startswith("+"):
            variables, functions = _GROUPS[word[1:]]
            self.found.update(_by_name(*variables))
            self.functions.extend(functions)
        else:
            name, _, type_ = word.partition(":")
            kind = name[:3]
            self.found[name] = BoundVariable(
                name, Prim(type_) if type_ else None, kind == "imm", _NUMBERED_DOCS[kind],
                after=kind == "res",
            )  # fmt: skip


def _event(category: str, words: str, name: str, known: bool) -> Event:
    row = _Variables(words)
    constants = {
        "opname": name,
        "category_id": CATEGORIES.index(category),
        "category_name": category,
        **row.constants,
    }
    codes = opcodes_of(name)
    if codes:
        constants["bytecode"] = bytecode_of(codes[0])
    variables = {**SCOPE, **_OPCODE_SCOPE, **row.found}
    functions = ("drop_args", "alt_call_by_id", "alt_call_by_name", *row.functions)
    modes = _MODES.get(name, _DEFAULT_MODES)
    return Event("opcode", name, category, modes, variables, functions, known, constants)


# --- opcodes and their events --------------------------------------------------------------------

#: Encodings whose event is not called like their mnemonic.
_RENAMED = {
    (0, 0x1C): "typed_select",
    (0xFB, 0x15): "ref.test_null",
    (0xFB, 0x17): "ref.cast_null",
    (0xFB, 0x24): "ref.cast_desc_eq_null",
}


def event_name(opcode: Opcode) -> str:
    """The event of ``wasm:opcode`` that an instruction is."""
    return _RENAMED.get((opcode.prefix, opcode.code), opcode.mnemonic)


_CODES: dict[str, list[Opcode]] = {}
for _opcode in OPCODES:
    _CODES.setdefault(event_name(_opcode), []).append(_opcode)


def opcodes_of(event: str) -> tuple[Opcode, ...]:
    """The encodings of an event of ``wasm:opcode``."""
    return tuple(_CODES.get(event, ()))


def bytecode_of(opcode: Opcode) -> int:
    """What ``bytecode`` reads; relaxed SIMD, whose numbers pass 255, counts as prefix 0xF1."""
    prefix = 0xF1 if opcode.prefix == 0xFD and opcode.code > 0xFF else opcode.prefix
    return prefix << 8 | opcode.code & 0xFF


_LANE_BYTES = re.compile(r"v128\.(load|store)([0-9]+)(_lane|_splat|_zero|x)")
_SHARED = re.compile(r"(global|table|struct|array)\.atomic\.(\w+)")


def _derived_rows() -> Iterator[tuple[str, str, str]]:
    """Rows of the opcodes nobody listed: SIMD and the atomics of shared-everything threads."""
    listed = {name for _, _, names in (*ROWS, *MORE_ROWS) for name in names.split()}
    for name, codes in _CODES.items():
        if name not in listed:
            shared = _SHARED.match(name)
            if shared:
                kind = shared[1]
                more = {"struct": " imm1:u32 +tid +field", "array": " +tid"}.get(kind, "")
                results = "" if shared[2] == "set" else " resN"
                yield "atomic", f"imm0:u32{more} argN{results}", name
            elif codes[0].prefix == 0xFD:
                yield "simd", _simd_words(name), name
            else:
                yield "misc", "argN resN", name


def _simd_words(name: str) -> str:
    if not name.startswith(("v128.load", "v128.store")):
        return "resN" if name == "v128.const" else "argN resN"
    found = _LANE_BYTES.match(name)
    lane = found is not None and found[3] == "_lane"
    size = 16 if found is None else 8 if found[3] == "x" else int(found[2]) // 8
    store = name.startswith("v128.store")
    address = "arg1" if store or lane else "arg0"
    rest = " resN" if not store else ""
    return f"{'write' if store else 'read'}{size}@{address} {address}:u32 argN{rest}"


def _opcode_events() -> tuple[Event, ...]:
    known = {name: (cat, words) for cat, words, names in ROWS for name in names.split()}
    more = [(cat, words, name) for cat, words, names in (*MORE_ROWS, *_derived_rows())
            for name in names.split()]  # fmt: skip
    return (
        *(_event(*known[name], name, True) for name in ORDER),
        *(_event(cat, words, name, False) for cat, words, name in more),
    )


# --- the tables ----------------------------------------------------------------------------------


def _plain(package: str, name: str, *more: BoundVariable) -> Event:
    return Event(package, name, "", (_NO_MODE,), {**SCOPE, **_by_name(*more)})


def _of_task(name: str, *more: BoundVariable) -> Event:
    return Event("task", name, "", (_NO_MODE,), {**_TASK_SCOPE, **_by_name(*more)}, known=False)


#: Bound where a task begins, returns, is cancelled or ends.
_TASK_SCOPE = _by_name(
    _static("interface", STR, "interface of the export, without its version"),
    _static("version", STR, "version of the interface, empty if it has none"),
    _static("func", STR, "name of the export"),
    _static("resource", STR, "resource of a method, constructor or static function"),
    _static("direction", STR, '"export", or "inner" between components'),
    _static("component", STR, "name or place of the component with the export"),
    _static("module", STR, "name or place of the core module with its code, empty if not known"),
    _static("is_async", BOOL, "whether the export is asynchronous"),
    _dynamic("task", U32, "number of the task"),
    _dynamic("call_id", U64, "number of the call that the task began with"),
    _dynamic("argN", None, "parameter N of the export; by their names, too"),
)
_COPY_SCOPE = _by_name(
    _static("component", STR, "name or place of the component that reads or writes"),
    _static("module", STR, "name or place of its core module that does, empty if not known"),
    _static("func", STR, "stream.read, stream.write, future.read or future.write"),
    _dynamic("stream", U32, "number of the handle, also of a future"),
    _dynamic("count", U32, "how many elements were copied"),
    _dynamic("outcome", None, '"completed", "dropped" (the other end is gone) or "cancelled"'),
    _dynamic("elements", None, "what was copied, a list of the elements' type"),
    _dynamic("text", STR, "the same as a text, where elements are bytes"),
    _dynamic("task", U32, "number of the task that asked for it"),
    _dynamic("call_id", U64, "number of the call"),
    _dynamic("elapsed", U64, "nanoseconds until it was over"),
)


def _copy(package: str, name: str) -> Event:
    return Event(package, name, "", (_NO_MODE,), _COPY_SCOPE, known=False)


_ELAPSED = _dynamic("elapsed", U64, "nanoseconds since the task began")
_RESULT = _dynamic("result", None, "what the export returned")
_IS_ERR = _dynamic("is_err", BOOL, "whether that is the case error")
_INSTR_COUNT = _static("instr_count", U32, "how many instructions the basic block has")

#: Events by package, in the order probes are numbered in.
PACKAGES: dict[str, tuple[Event, ...]] = {
    "begin": (_plain("begin", ""),),
    "end": (_plain("end", ""),),
    "report": (_plain("report", ""),),
    "func": (
        _plain(
            "func",
            "entry",
            _dynamic("argN", None, "parameter N, counted from the last one"),
            _dynamic("paramN", None, "parameter N, counted from the first one"),
        ),
        _plain(
            "func",
            "exit",
            _dynamic("resN", None, "result N, counted from the last one; not at a tail call"),
            _dynamic("entered", U64, "when the function was entered, as now()"),
            _dynamic("elapsed", U64, "nanoseconds since then", "now() - entered"),
        ),
    ),
    "block": (_plain("block", "start"), _plain("block", "end", _INSTR_COUNT)),
    "opcode": _opcode_events(),
    "task": (
        _of_task("start"),
        _of_task("return", _ELAPSED, _RESULT, _IS_ERR),
        _of_task("cancel", _ELAPSED),
        _of_task("end", _ELAPSED),
    ),
    "stream": (_copy("stream", "read"), _copy("stream", "write")),
    "future": (_copy("future", "read"), _copy("future", "write")),
}
#: What is named by a place in the source (``source_rules.py``): bound are the variables of SCOPE.
SOURCE_PACKAGES = ("line", "source")
#: Packages that ``*`` does not mean: their probes stand at boundaries, not in core modules.
BY_NAME = ("task", "stream", "future")
#: The modes that their events are at those exports.
TASK_MODES = {"start": "before", "return": "after", "cancel": "cancel", "end": "end"}

PACKAGE_DOCS: dict[str, str] = {
    "begin": "when the program starts",
    "end": "when the program ends",
    "report": "when the report is due; replaces the default report",
    "func": "a function is entered or left",
    "block": "a basic block begins or ends",
    "opcode": "an instruction is executed",
    "task": "a call of an export begins, returns, is cancelled or is over",
    "stream": "a read or write of a stream is over",
    "future": "a read or write of a future is over",
    "line": "execution comes to a line of the source",
    "source": "a function of the source is entered or left",
}

#: Events of ``wasm:opcode`` by name.
OPCODE_EVENTS: dict[str, Event] = {event.name: event for event in PACKAGES["opcode"]}
