"""The component of a program: text, with one interpreter in each part.

A *task* is 96 bytes of its component's memory: tag, address of the next operation, its set, how
much is outstanding there, whether it has returned, the result it will return, what to do when it is
cancelled, kind, function, number of slots, and slots with handles.  Context slot 0 has its address.
"""

from __future__ import annotations

from enum import IntEnum

from tests.async_programs.interpreter import INTERPRETER
from tests.async_programs.shape import KINDS, POOL, Function, Part, Program
from tests.emit.canon import Core, Guest, flat_types, size_align
from whamm_cm.wit.types import ListT, OptionT, Prim, ResultT, TupleT, ValType, strip

DATA = 32768
_MAX_PARAMS, _MAX_ASYNC_PARAMS = 16, 4
_OPTIONS = '(memory $libc "memory")'
_REALLOC = '(realloc (func $libc "realloc"))'
_BUILTINS = {
    "get": ("context.get i32 0", "(result i32)"),
    "set": ("context.set i32 0", "(param i32)"),
    "new": ("waitable-set.new", "(result i32)"),
    "wait": (f"waitable-set.wait {_OPTIONS}", "(param i32 i32) (result i32)"),
    "poll": (f"waitable-set.poll {_OPTIONS}", "(param i32 i32) (result i32)"),
    "join": ("waitable.join", "(param i32 i32)"),
    "cancel": ("subtask.cancel async", "(param i32) (result i32)"),
    "cancel-sync": ("subtask.cancel", "(param i32) (result i32)"),
    "drop": ("subtask.drop", "(param i32)"),
    "yield": ("thread.yield", "(result i32)"),
    "inc": ("backpressure.inc", ""),
    "dec": ("backpressure.dec", ""),
    "task-cancel": ("task.cancel", ""),
}


class Said(IntEnum):
    """What a guest tells: ``(said, tag of the task, a, b, c)``."""

    ENTER = 0  # a: function
    CALL = 1  # a: tag of the new task, b: function | 256 if sync | arguments << 16, c: script
    STATUS = 2  # a: tag of the new task, b: function | 256 if sync, c: what the lower returned
    EVENT = 3  # a, b, c: code, handle, payload; to a callback, or of a wait
    CANCELLED = 4  # a: handle, b: what subtask.cancel returned
    RETURN = 5  # a: result; task.return has been called
    RESULT = 6  # a: result; a function that is lifted without async returns next
    CANCEL = 7  # task.cancel has been called
    EXIT = 8  # the task is over
    POLLED = 9  # a, b, c: the event that waitable-set.poll has returned


def type_text(t: ValType) -> str:
    t = strip(t)
    match t:
        case Prim(name):
            return name
        case ListT(element):
            return f"(list {type_text(element)})"
        case TupleT(parts):
            return f"(tuple {' '.join(map(type_text, parts))})"
        case OptionT(inner):
            return f"(option {type_text(inner)})"
        case ResultT(ok, err):
            parts = [] if ok is None else [type_text(ok)]
            parts += [] if err is None else [f"(error {type_text(err)})"]
            return f"(result {' '.join(parts)})"
    raise TypeError(f"no text for {t}")


def _signature(f: Function) -> str:
    names = ["tag", "script", *(f"p{k}" for k in range(len(f.extra)))]
    parts = [f'(param "{n}" {type_text(t)})' for n, t in zip(names, f.params, strict=True)]
    parts += [] if f.result is None else [f"(result {type_text(f.result)})"]
    return " ".join(["" if f.kind == "plain" else "async", *parts])


def _flat(types: tuple[ValType, ...]) -> list[str]:
    return [kind for t in types for kind in flat_types(t, 4)]


def _const(core: Core) -> str:
    kind, bits = core
    if kind[0] == "f":
        return f"({kind}.reinterpret_i{kind[1:]} (i{kind[1:]}.const {bits}))"
    return f"({kind}.const {bits})"


def _core_type(params: list[str], results: list[str]) -> str:
    return f"(param {' '.join(params)}) (result {' '.join(results)})"


class _Text:
    """The core module and definitions of one part."""

    def __init__(self, part: Part, callees: tuple[Function, ...], number: int) -> None:
        self.part, self.callees, self.number = part, callees, number
        self.heap = Guest(base=DATA)
        self.imports: list[str] = []
        self.funcs: list[str] = []
        self.cores: list[str] = []
        self.bag: list[str] = []
        self.exports: list[str] = []

    def _import(self, name: str, core_type: str, canon: str) -> None:
        self.imports.append(f'(import "" "{name}" (func ${name} {core_type}))')
        self.cores.append(f"(core func ${name} (canon {canon}))")
        self.bag.append(f'(export "{name}" (func ${name}))')

    def _dispatch(self, name: str, arms: list[str], params: str, gets: str, end: str = "") -> None:
        """A function that calls ``name<$k>``."""
        tests = "".join(
            f"(if (i32.eq (local.get $k) (i32.const {k})) (then (return (call ${name}{k} {gets}))))"
            for k, _ in enumerate(arms)
        )
        self.funcs += arms
        self.funcs.append(f"(func $do-{name} (param $k i32) {params} {tests} unreachable {end})")

    def call(self, k: int, f: Function) -> str:
        """A function that calls function ``k`` of the next part; it returns the status."""
        results = _flat(() if f.result is None else (f.result,))
        arms = []
        for sync in (True,) if f.kind == "plain" else (False, True):
            kinds = _flat(f.params)
            spilled = len(kinds) > (_MAX_PARAMS if sync else _MAX_ASYNC_PARAMS)
            out = len(results) > 1 if sync else bool(results)
            params = (["i32"] if spilled else kinds) + ["i32"] * out
            direct = results if sync and len(results) == 1 else [] if sync else ["i32"]
            name = f"{f.name}-{'sync' if sync else 'async'}"
            self._import(
                name, _core_type(params, direct),
                f"lower (func ${f.name}) {'' if sync else 'async'} {_OPTIONS} {_REALLOC}",
            )  # fmt: skip
            arms.append("".join(
                f"(if (i32.eq (local.get $args) (i32.const {n})) (then"
                f" {self._arguments(f, args, spilled)}"
                f" (call ${name} {self._passed(f, args, spilled)}"
                f" {'(local.get $out)' if out else ''})"
                f" {'drop' * bool(sync and direct)} {'local.set $st' * (not sync)}))"
                for n, args in enumerate(f.arguments)
            ))  # fmt: skip
        size, align = (4, 4) if f.result is None else size_align(f.result, 4)
        return f"""(func $call{k} (param $tag i32) (param $script i32) (param $args i32)
          (param $sync i32) (result i32) (local $st i32) (local $out i32) (local $in i32)
          (local.set $out (call $realloc (i32.const 0) (i32.const 0) (i32.const {max(4, align)})
            (i32.const {size})))
          (if (local.get $sync) (then {arms[-1]}) (else {arms[0]}))
          (local.get $st))"""

    def _arguments(self, f: Function, args: tuple[object, ...], spilled: bool) -> str:
        if not spilled:
            return ""
        image = self.heap.store_all(list(f.params), [0, 0, *args])
        size, align = size_align(TupleT(f.params), 4)
        return (
            f"(local.set $in (call $realloc (i32.const 0) (i32.const 0) (i32.const {align})"
            f" (i32.const {size})))"
            f"(memory.copy (local.get $in) (i32.const {image}) (i32.const {size}))"
            "(i32.store (local.get $in) (local.get $tag))"
            "(i32.store offset=4 (local.get $in) (local.get $script))"
        )

    def _passed(self, f: Function, args: tuple[object, ...], spilled: bool) -> str:
        if spilled:
            return "(local.get $in)"
        flat = [c for t, v in zip(f.extra, args, strict=True) for c in self.heap.lower(t, v)]
        return " ".join(["(local.get $tag) (local.get $script)", *map(_const, flat)])

    def export(self, k: int, f: Function) -> None:
        kinds = _flat(f.params)
        tag, script = "(local.get 0)", "(local.get 1)"
        if len(kinds) > _MAX_PARAMS:
            kinds = ["i32"]
            tag, script = "(i32.load (local.get 0))", "(i32.load offset=4 (local.get 0))"
        results = _flat(() if f.result is None else (f.result,))
        kind = KINDS.index(f.kind)
        body = f"(local.set $t (call $enter {tag} {script} (i32.const {k}) (i32.const {kind})))"
        direct = {"callback": ["i32"], "stackful": []}.get(
            f.kind, results if len(results) <= 1 else ["i32"]
        )
        match f.kind:
            case "callback":
                body += "(call $step (local.get $t))"
            case "stackful":
                body += "(drop (call $step (local.get $t)))"
            case _:
                body += "(drop (call $step (local.get $t)))"
                body += self._results(f, len(results) > 1)
        self.funcs.append(
            f'(func (export "{f.name}") {_core_type(kinds, direct)} (local $t i32) {body})'
        )
        how = {"callback": 'async (callback (func $m "callback"))', "stackful": "async"}
        self.exports.append(
            f'(func (export "{f.name}") {_signature(f)} (canon lift (core func $m "{f.name}")'
            f" {_OPTIONS} {_REALLOC} {how.get(f.kind, '')}))"
        )

    def _results(self, f: Function, spilled: bool) -> str:
        """The result of a function that is lifted without async."""
        if f.result is None:
            return ""
        chosen = [
            str(f"(i32.const {self.heap.store_all([f.result], [v])})") if spilled
            else " ".join(map(_const, self.heap.lower(f.result, v)))
            for v in f.results
        ]  # fmt: skip
        return f"(select {chosen[0]} {chosen[1]} (i32.eqz (i32.load offset=20 (local.get $t))))"

    def returns(self, k: int, f: Function) -> str:
        """A function that calls task.return for function ``k``."""
        if f.kind not in ("callback", "stackful"):
            return f"(func $return{k} (param $value i32))"
        results = () if f.result is None else (f.result,)
        kinds = _flat(results)
        spilled = len(kinds) > _MAX_PARAMS
        text = f"(result {type_text(f.result)})" if f.result is not None else ""
        self._import(
            f"{f.name}-return", _core_type(["i32"] if spilled else kinds, []),
            f"task.return {text} {_OPTIONS}",
        )  # fmt: skip
        arms = ""
        for n, value in enumerate(f.results):
            given = ""
            if spilled:
                given = f"(i32.const {self.heap.store_all(list(results), [value])})"
            elif f.result is not None:
                given = " ".join(map(_const, self.heap.lower(f.result, value)))
            arms += f"(if (i32.eq (local.get $value) (i32.const {n}))"
            arms += f" (then (call ${f.name}-return {given})))"
        return f"(func $return{k} (param $value i32) {arms})"

    def scripts(self) -> int:
        """Where the addresses of the scripts stand."""
        starts = []
        for script in self.part.scripts:
            ops = [*script, (0, 0, 0, 0)]
            at = self.heap.alloc(16 * len(ops), 4)
            words = b"".join(word.to_bytes(4, "little") for op in ops for word in op)
            self.heap.poke(at, words)
            starts.append(at)
        at = self.heap.alloc(4 * len(starts), 4)
        self.heap.poke(at, b"".join(start.to_bytes(4, "little") for start in starts))
        return at

    def component(self) -> str:
        part = self.part
        for name, (canon, kind) in _BUILTINS.items():
            self._import(name, kind, canon)
        self._import("j", _core_type(["i32"] * 5, []), "lower (func $journal)")
        calls = [self.call(k, f) for k, f in enumerate(self.callees)]
        gets = "(local.get $tag) (local.get $script) (local.get $args) (local.get $sync)"
        params = "(param $tag i32) (param $script i32) (param $args i32) (param $sync i32)"
        self._dispatch("call", calls, f"{params} (result i32)", gets)
        returns = [self.returns(k, f) for k, f in enumerate(part.functions)]
        self._dispatch("return", returns, "(param $value i32)", "(local.get $value)")
        for k, f in enumerate(part.functions):
            self.export(k, f)
        scripts = self.scripts()
        heap = bytes(self.heap.heap)
        data = "".join(f"\\{byte:02x}" for byte in heap)
        nl = "\n"
        taken = "".join(
            f'(import "{f.name}" (func ${f.name} {_signature(f)}))' for f in self.callees
        )
        return f"""(component ${part.name}
  (import "journal" (func $journal {JOURNAL}))
  {taken}
  (core module $Libc (memory (export "memory") 32)
    (global $free (mut i32) (i32.const {DATA + len(heap)}))
    (func (export "realloc") (param $old i32) (param $had i32) (param $align i32) (param $size i32)
      (result i32) (local $at i32)
      (local.set $at (i32.and
        (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $free (i32.add (local.get $at) (local.get $size)))
      (local.get $at))
    (data (i32.const {DATA}) "{data}"))
  (core instance $libc (instantiate $Libc))
  {nl.join(self.cores)}
  (core module $M
    (import "libc" "memory" (memory 1))
    (import "libc" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    {nl.join(self.imports)}
    (global $part i32 (i32.const {self.number}))
    (global $scripts i32 (i32.const {scripts}))
    {INTERPRETER}
    {nl.join(self.funcs)})
  (core instance $m (instantiate $M (with "libc" (instance $libc)) (with "" (instance
    {nl.join(self.bag)}))))
  {nl.join(self.exports)})"""


JOURNAL = " ".join(f'(param "{name}" u32)' for name in ("said", "tag", "a", "b", "c"))


def program_text(program: Program) -> str:
    """The component; it imports ``journal`` and exports ``run``."""
    parts = program.parts
    lines = ["(component", f'(import "journal" (func $journal {JOURNAL}))']
    for at in reversed(range(len(parts))):
        callees = parts[at + 1].functions if at + 1 < len(parts) else ()
        lines.append(_Text(parts[at], callees, at).component())
    for at in reversed(range(len(parts))):
        given = ['(with "journal" (func $journal))']
        if at + 1 < len(parts):
            behind = parts[at + 1]
            given += [
                f'(with "{f.name}" (func $i{behind.name} "{f.name}"))' for f in behind.functions
            ]
        name = parts[at].name
        lines.append(f"(instance $i{name} (instantiate ${name} {' '.join(given)}))")
    lines.append('(func (export "run") (alias export $iD "run")))')
    return "\n".join(lines)


assert POOL == 2, "a result that is not async is selected from two"
