"""Handles get types and names: ``descriptor#3</data/a.txt>``.

The identity of a resource is (instance, resource type, handle, generation).  A generation ends
at ``<resource>.drop``, when an own handle is handed over, and when its number is given out anew.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import field
from functools import cache, lru_cache, partial
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.trace.address import address_text
from whamm_cm.trace.ends import GONE, KINDS, NEW, End, Ends, is_hidden
from whamm_cm.trace.failures import is_error
from whamm_cm.trace.handle_rules import METHOD_RULES, RULES, Rule
from whamm_cm.trace.records import Record
from whamm_cm.wit.preview1 import MODULES

#: Handles remembered at most; beyond it the oldest are forgotten (fresh instances pile up).
MAX_HANDLES = 1 << 16
#: Of those so many that are over: their numbers may be given out anew.
MAX_GONE = 1 << 12
#: What records tell of handles is remembered for that many functions.
_MAX_TOLD = 1 << 12


@dataclass(frozen=True, slots=True)
class HandleRef:
    """A handle in a value; ``generation`` 0 when the log does not show where it came from.

    ``rep``: no handle but the number by which the implementing side knows its resource.
    """

    resource: str
    handle: int
    generation: int = 0
    name: str | None = None
    rep: bool = False

    def __str__(self) -> str:
        return f"{self.resource or 'resource'}{'@' if self.rep else '#'}{self.handle}"


@dataclass(frozen=True, slots=True)
class NamedCall:
    """A call record with :class:`HandleRef` in place of the numbers that are known handles.

    ``end``: which end of a stream or future a built-in is about, where that is known; ``passed``:
    ends that the call hands over and whose other end stays, by parameter.
    """

    instance: int
    rule: Rule | None
    receiver: HandleRef | None
    args: Mapping[str, Any]
    end: End | None = None
    passed: tuple[tuple[str, End], ...] = ()


@dataclass(slots=True)
class _Entry:
    generation: int
    name: str | None = None
    request: int = 0
    parts: dict[str, str] = field(default_factory=dict)
    alive: bool = True


_Key = tuple[int, str, int]
#: The resource of file descriptors.
_FD = "fd"
#: What stands before the name of a resource whose representation a number is.
_REP = "rep:"


class Namer:
    """Feed it every call (:meth:`open`) and return (:meth:`close`) in order."""

    def __init__(self) -> None:
        self._entries: dict[_Key, _Entry] = {}
        # Those that are over, in the order in which they were.
        self._gone: dict[_Key, None] = {}
        self._ends = Ends()
        self._sampled = False
        #: By instance: the request that its handles are known from.
        self._requests = Counter[int]()

    def see(self, record: Record) -> None:
        """To be told of every record, in order, before anything else."""
        self._ends.see(record)
        if record["phase"] == "start" and record.get("sample", 0) > 1:
            self._sampled = True
        elif self._sampled and record["phase"] == "call" and record["edge"] == "export":
            # Requests of which nothing is here may have dropped a handle and made another.
            self._requests[record["instance"]] += 1

    def is_alive(self, instance: int, ref: HandleRef) -> bool:
        """Whether the handle is still that which it was when it was named."""
        entry = self._entries.get((instance, ref.resource, ref.handle))
        return entry is None or (entry.alive and entry.generation == ref.generation)

    def end_at(self, record: Record, number: int) -> End | None:
        """The end of a stream or future that has this number now."""
        return self._ends.find(record, number)

    def open(self, record: Record) -> NamedCall:
        """Name the handles of a call record; handles it hands over are gone afterwards."""
        rule = _rule(record)
        instance, exported = record["instance"], record.get("edge") == "export"
        if record.get("interface") in MODULES:
            self._standard(instance)
        args: dict[str, Any] = dict(record.get("args", {}))
        kind = record["func"].partition(".")[0]
        if record.get("edge") == "builtin" and kind in KINDS and type(args.get(kind)) is int:
            return self._of_end(record, kind, args)
        receiver = self._receiver(record, args, exported)
        passed: list[tuple[str, End]] = []
        for path, resource in _told(record, "args"):
            if resource.rpartition(":")[2] in KINDS:
                args = self._moved(record, args, path, resource, passed)
        if rule is not None:
            for path, resource, _ in _places(rule.borrows):
                args = _replace(args, path, _each(self._ref, instance, resource))
            hand_over = self._begin if exported else self._end  # to us, or away from us
            for path, resource, _ in _places(rule.takes):
                how = _unknown if resource in KINDS else hand_over
                args = _replace(args, path, _each(how, instance, resource))
        for path, resource in _told(record, "args"):
            args = _replace(args, path, self._typed(instance, resource, self._ref))
        named = NamedCall(instance, rule, receiver, args, None, tuple(passed))
        self._name_passed(named, record)
        return named

    def _standard(self, instance: int) -> None:
        """What every program has from the start."""
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            if (instance, _FD, number) not in self._entries:
                self._begin(instance, _FD, number, name)

    def _of_end(self, record: Record, kind: str, args: dict[str, Any]) -> NamedCall:
        """A built-in about an end, which is its receiver; where its buffer is says nothing."""
        number = args.pop(kind)
        args.pop("ptr", None)
        told, end = record.get("handles", {}).get(f"args.{kind}", ""), None
        if told:
            leaves = told.startswith(GONE)
            end = self._ends.end(record, number) if leaves else self._ends.find(record, number)
        ref = HandleRef(kind, number, 0, None if end is None else end.name)
        return NamedCall(record["instance"], None, ref, args, end)

    def handle(self, record: Record) -> NamedCall:
        """The record of an end that was made or dropped."""
        named = self.open(record)
        if "result" in record:
            self.close(named, record)
        return named

    def _moved(
        self,
        record: Record,
        values: Any,
        path: tuple[str, ...],
        told: str,
        passed: list[tuple[str, End]],
        name: str | None = "",
    ) -> Any:
        """Ends at ``path`` come or leave, as the record tells; ``name``: of those that come, if
        they are not called by the function."""
        if is_hidden(values, path):
            self._ends.lose(record)
        way, _, kind = told.rpartition(":")

        def one(number: int, near: Any) -> HandleRef:
            if f"{way}:" == NEW:
                origin = _origin(record, path) if name == "" else name
                self._ends.begin(record, kind, number, origin)
            end = self._ends.find(record, number)
            if f"{way}:" == GONE:
                if end is not None and end.peer is not None:
                    passed.append((path[0] if path else "", end))
                self._ends.end(record, number)
            return HandleRef(kind, number, 0, None if end is None else end.name)

        return _replace(values, path, one)

    def _name_passed(self, call: NamedCall, record: Record, result: Any = None) -> None:
        """The end that stays is called by what the other one was handed to."""
        takes = {} if call.rule is None else {p[0]: t for p, _, t in _places(call.rule.takes)}
        for param, end in call.passed:
            template = takes.get(param, "") or ("" if call.rule is None else call.rule.name)
            name = _expand(template, call, result=result) if param in takes else None
            if end.peer is not None:
                end.peer.name = name or f"{_short(record)}({param})"

    def _typed(
        self, instance: int, resource: str, how: Callable[[int, str, int], HandleRef]
    ) -> Callable[[int, Any], HandleRef]:
        """What a number is whose type the record tells."""
        if resource.startswith(_REP):
            return lambda number, near: HandleRef(resource.removeprefix(_REP), number, rep=True)
        return _each(how, instance, resource)

    def close(self, call: NamedCall, record: Record) -> Any:
        """The result of a return record with its handles named."""
        result = record.get("result")
        rule = call.rule
        exported = record.get("edge") == "export"
        told = _told(record, "result")
        ends = {path: kind for path, kind in told if kind.rpartition(":")[2] in KINDS}
        for path, resource, template in _places(rule.makes) if rule is not None else ():
            resource = resource.replace("{resource}", record["func"].rpartition(".")[0])
            template = template or (rule.name if rule else "")
            if resource in KINDS:
                result = self._received(record, result, path, resource, call, template, ends)
                continue

            def made(
                number: int, near: Any, resource: str = resource, template: str = template
            ) -> HandleRef:
                if exported:
                    return self._end(call.instance, resource, number)
                name = _expand(template, call, near=near)
                return self._begin(call.instance, resource, number, name)

            result = _replace(result, path, made)
        for path, resource in told:
            if path not in ends:
                how = self._end if exported else self._begin
                result = _replace(result, path, self._typed(call.instance, resource, how))
            elif record.get("edge") == "builtin" and type(result) is int:
                self._ends.pair(record, resource.rpartition(":")[2], result)
            else:
                passed: list[tuple[str, End]] = []
                result = self._moved(record, result, path, resource, passed)
                for _, end in passed:
                    if end.peer is not None:
                        end.peer.name = _origin(record, path)
        if call.passed:
            self._name_passed(call, record, result)
        if call.end is not None and not record.get("pending"):
            call.end.copied(record)
        if rule is not None and not is_error(result) and not record.get("pending"):
            ref = call.args.get(rule.of) if rule.of else call.receiver
            ended = call.args.get(rule.closes)
            if isinstance(ended, HandleRef) and ended != ref:
                self._end(call.instance, ended.resource, ended.handle)
            if isinstance(ref, HandleRef):
                self._rename(call, rule, ref, result)
        return result

    def cancel(self, call: NamedCall, record: Record) -> None:
        """The call has ended without a result; what it never took stays where it was."""
        if record["cancelled"] == "before-started":
            for _, end in call.passed:
                self._ends.back(record, end)

    def _received(
        self,
        record: Record,
        result: Any,
        path: tuple[str, ...],
        kind: str,
        call: NamedCall,
        template: str,
        told: Mapping[tuple[str, ...], str],
    ) -> Any:
        """An end that a known function returns, named where the record tells that it comes."""
        if told.get(path, NEW + kind) != NEW + kind:
            return result  # it leaves
        if path not in told:
            return _replace(result, path, _each(_unknown, call.instance, kind))

        def one(number: int, near: Any) -> HandleRef:
            name = _expand(template, call, near=near) or _origin(record, path)
            self._ends.begin(record, kind, number, name)
            return HandleRef(kind, number, 0, name)

        return _replace(result, path, one)

    def data(self, call: NamedCall, record: Record) -> Any:
        """The elements that a read or write has copied, with their handles named."""
        value = record.get("data")
        reads = record["func"].endswith(".read")
        name = None if call.end is None or not call.end.name else f"from {call.end.name}"
        for path, resource in _told(record, "data"):
            if resource.rpartition(":")[2] in KINDS:
                passed: list[tuple[str, End]] = []
                value = self._moved(record, value, path, resource, passed, name)
                for _, end in passed:
                    if end.peer is not None:
                        end.peer.name = None  # no longer both are here
            else:
                how = partial(self._begin, name=name) if reads else self._end
                value = _replace(value, path, self._typed(call.instance, resource, how))
        return value

    def _receiver(self, record: Record, args: dict[str, Any], exported: bool) -> HandleRef | None:
        resource, _, method = record["func"].rpartition(".")
        number = record.get("self")
        if number is None and method == "drop" and len(args) == 1:
            number = next(iter(args.values()))
            if type(number) is not int:
                return None
            args.clear()
        if number is None:
            return None
        typed = record["handles"].get("self") if "handles" in record else None
        if typed is not None and typed.startswith(_REP):
            return HandleRef(typed.removeprefix(_REP), number, rep=True)
        if typed is not None:
            resource = typed or resource
        elif exported:  # the representation of the exporter's own resource, not a handle
            return HandleRef(resource, number)
        if method == "drop":
            return self._end(record["instance"], resource, number)
        return self._ref(record["instance"], resource, number)

    def _ref(self, instance: int, resource: str, number: int) -> HandleRef:
        entry = self._entries.get((instance, resource, number))
        if entry is None or not entry.alive or entry.request != self._requests[instance]:
            return HandleRef(resource, number)
        return HandleRef(resource, number, entry.generation, entry.name)

    def _begin(
        self, instance: int, resource: str, number: int, name: str | None = None
    ) -> HandleRef:
        key = (instance, resource, number)
        before = self._entries.pop(key, None)
        self._gone.pop(key, None)
        if len(self._entries) >= MAX_HANDLES:
            del self._entries[next(iter(self._entries))]
        generation = 1 if before is None else before.generation + 1
        self._entries[key] = _Entry(generation, name, self._requests[instance])
        return HandleRef(resource, number, generation, name)

    def _end(self, instance: int, resource: str, number: int) -> HandleRef:
        ref, key = self._ref(instance, resource, number), (instance, resource, number)
        entry = self._entries.get(key)
        if entry is not None:
            entry.alive = False
            self._gone[key] = None
            if len(self._gone) > MAX_GONE:
                oldest = next(iter(self._gone))
                del self._gone[oldest]
                self._entries.pop(oldest, None)
        return ref

    def _rename(self, call: NamedCall, rule: Rule, ref: HandleRef, result: Any) -> None:
        if not (rule.renames or rule.part):
            return
        key = (call.instance, ref.resource, ref.handle)
        entry = self._entries.get(key)
        if entry is None or not entry.alive or entry.request != self._requests[call.instance]:
            if ref.generation:  # it ended while the call ran
                return
            self._begin(*key)
            entry = self._entries[key]
        elif ref.generation and ref.generation != entry.generation:
            return
        if rule.renames:
            value = result["ok"] if isinstance(result, dict) and "ok" in result else result
            entry.name = _expand(rule.renames, call, result=value) or entry.name
            return
        part, _, source = rule.part.partition("=")
        text = _text(result if source == "@" else call.args.get(source))
        if text is None:
            entry.parts.pop(part, None)
        else:
            entry.parts[part] = text
        entry.name = _request_name(entry.parts)


def _unknown(instance: int, resource: str, number: int) -> HandleRef:
    """A handle of which nothing else is known."""
    return HandleRef(resource, number)


def _short(record: Record) -> str:
    """The name of a function, without its interface."""
    return str(record["func"]).rpartition(".")[2]


def _origin(record: Record, path: tuple[str, ...]) -> str:
    """Where an end comes from: ``f(x)`` was given to ``f``, ``f().0`` was returned by it."""
    where = ".".join(step for step in path if step != "*")
    if record["phase"] == "call":
        return f"{_short(record)}({where})"
    return f"{_short(record)}(){'.' if where else ''}{where}"


def _rule(record: Record) -> Rule | None:
    get, inner = record.get, record.get("inner")
    asked = "" if inner is None else f"{inner.get('interface', '')}#{inner.get('func', '')}"
    return _rule_of(get("interface", ""), record["func"], asked, get("edge") == "builtin")


@lru_cache(_MAX_TOLD)
def _rule_of(interface: str, func: str, asked: str, builtin: bool) -> Rule | None:
    rule = RULES.get(f"{interface}#{func}")
    if rule is None and asked:
        # A component of ours may stand in for the interface that its caller asks for.
        rule = RULES.get(asked)
    if rule is None and not builtin:
        resource, _, method = func.rpartition(".")
        rule = METHOD_RULES.get(method) if resource else None
    return rule


def _each(
    how: Callable[[int, str, int], HandleRef], instance: int, resource: str
) -> Callable[[int, Any], HandleRef]:
    return lambda number, near: how(instance, resource, number)


_Told = list[tuple[tuple[str, ...], str]]


def _told(record: Record, root: str) -> _Told:
    """Places below ``args`` or ``result`` that hold handles, as the record tells."""
    handles = record.get("handles")
    return _told_of(tuple(handles.items()), root) if handles else []


@lru_cache(_MAX_TOLD)
def _told_of(handles: tuple[tuple[str, str], ...], root: str) -> _Told:
    found = []
    for path, resource in handles:
        first, *steps = path.split(".")
        if first == root:
            found.append((tuple(steps), resource))
    return found


@cache
def _places(text: str) -> tuple[tuple[tuple[str, ...], str, str], ...]:
    """Path, resource, and the template for the name of this place, "" for none of its own."""
    found = []
    for place in filter(None, text.split(", ")):
        path, _, rest = place.partition(":")
        resource, _, template = rest.partition("=")
        found.append(((() if path == "@" else tuple(path.split("."))), resource, template))
    return tuple(found)


def _replace(
    value: Any, path: tuple[str, ...], make: Callable[[int, Any], HandleRef], near: Any = None
) -> Any:
    """``value`` with ``make(number, list around it)`` at ``path``; unchanged where it has none."""
    if not path:
        return make(value, near) if type(value) is int else value
    step, rest = path[0], path[1:]
    if step == "*":
        if isinstance(value, dict) and "~list" in value:
            return {**value, "~list": _replace(value["~list"], path, make)}
        if not isinstance(value, list):
            return value
        return [_replace(item, rest, make, value) for item in value]
    if isinstance(value, list) and step.isascii() and step.isdigit() and int(step) < len(value):
        copy = list(value)
        copy[int(step)] = _replace(value[int(step)], rest, make, value)
        return copy
    if isinstance(value, dict) and step in value:
        return {**value, step: _replace(value[step], rest, make)}
    return value


_HOLE = re.compile(r"\{([^{}]*)\}")


def _expand(template: str, call: NamedCall, near: Any = None, result: Any = None) -> str | None:
    """The name a template gives, None if it is empty or a part is not known."""
    if not template:
        return None
    texts: list[str] = []
    for position, piece in enumerate(_HOLE.split(template)):
        if position % 2 == 0:
            texts.append(piece)
            continue
        choices = (_hole(choice, call, near, result) for choice in piece.split("|"))
        text = next((choice for choice in choices if choice is not None), None)
        if text is None:
            return None
        texts.append(text)
    if template.endswith("}/{path}") and texts[1].endswith("/"):
        del texts[2]
    return "".join(texts)


def _hole(name: str, call: NamedCall, near: Any, result: Any) -> str | None:
    if name == "self":
        return _text(call.receiver)
    if name == "result":
        return _text(result)
    if name.startswith("result."):
        at = int(name.removeprefix("result."))
        return _text(result[at]) if isinstance(result, list) and at < len(result) else None
    if name.startswith("near."):
        at = int(name.removeprefix("near."))
        return _text(near[at]) if isinstance(near, list) and at < len(near) else None
    return _text(call.args.get(name))


def _text(value: Any) -> str | None:
    """How a value stands in a name; None for what cannot (absent, redacted, compound)."""
    if isinstance(value, HandleRef):
        return value.name or str(value)
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    address = address_text(value)
    if address is not None or not isinstance(value, dict):
        return address
    if "~str" in value:
        return f"{value['~str']}…"
    if len(value) == 1:  # a variant: its case, or the text of ``other(text)``
        ((case, payload),) = value.items()
        if not case.startswith("~"):
            return payload if isinstance(payload, str) else case
    return None


def _request_name(parts: Mapping[str, str]) -> str | None:
    """``GET https://host/path`` from what is known of it."""
    if not parts:
        return None
    scheme, authority = parts.get("scheme", ""), parts.get("authority", "")
    url = (f"{scheme.lower()}://" if scheme and authority else "") + authority
    path = parts.get("path", "/" if url else "")
    return f"{parts.get('method', 'get').upper()} {url}{path}".rstrip()
