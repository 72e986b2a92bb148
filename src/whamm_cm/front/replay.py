"""A recorded run once more: all that the guest asks for comes from the recording.

Nothing of the host is linked.  The guest is called as it was, and what it calls is compared with
what it called then; what it wrote to its standard streams is written again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Literal, NoReturn, TypeAlias

from wasmtime import WasmtimeError
from wasmtime.component import ComponentInstanceType, FuncType, Linker, ResourceType

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import RunError, WhammError
from whamm_cm.front.recording import recordable
from whamm_cm.front.replay_probes import Probed, Probes
from whamm_cm.run.embedded import beside
from whamm_cm.run.exports import find_export
from whamm_cm.run.host.bridge import (
    Exit,
    Failure,
    Fault,
    Resource,
    add_function,
    add_resource,
    numbered,
)
from whamm_cm.run.hosted import Hosted, Started, hosted
from whamm_cm.run.outcome import Trap, parse_trap
from whamm_cm.trace.hiding import Hiding
from whamm_cm.trace.leaving import Leaving
from whamm_cm.trace.passing import Decoders, Encoders
from whamm_cm.trace.recorded import Call, Lived, Recording
from whamm_cm.trace.recording import Signature, signatures
from whamm_cm.trace.records import Record
from whamm_cm.wit.model import InstanceItem, TypeItem
from whamm_cm.wit.resolve import resolve
from whamm_cm.wit.types import Resource as Type
from whamm_cm.wit.types import ResultT, strip

OUTPUTS = {"wasi:cli/stdout": 1, "wasi:cli/stderr": 2}
_WRITES = ("output-stream.write", "output-stream.blocking-write-and-flush")
_ZEROES = ("output-stream.write-zeroes", "output-stream.blocking-write-zeroes-and-flush")
#: Seconds, at least, that a guest may compute before it is stopped where it was stopped then.
PATIENCE = 1.0

Why: TypeAlias = Literal["call", "result", "fewer", "until", "cut", "end", "new"]


@dataclass(frozen=True, slots=True)
class Halt:
    """Where a replay stopped before its end.

    ``why``: it made another ``call`` than was recorded, returned another ``result``, made
    ``fewer`` calls, came to another ``end``; it came to the call to stop at (``until``); or the
    recording is ``cut`` off there; of another build: a call is ``new``.  ``number``: of the call.
    ``expected`` and ``actual`` are texts, "" for none; ``trap`` has the frames."""

    why: Why
    number: int
    expected: str
    actual: str
    trap: Trap | None = None

    @property
    def diverged(self) -> bool:
        return self.why != "until"


@dataclass(frozen=True, slots=True)
class Replay:
    """``calls``: how many were replayed; ``same``: the component is the recorded one; ``halt``
    None: all of the recording was.  ``masked``: the first call that was answered with stars in the
    place of a secret, 0 for none.  ``trap``: why the guest trapped, as it did then; ``stopped``: so
    many instances were stopped where they were then.  ``left``: how a script ended it, "" for not
    at all, and ``status`` with what status, if it did."""

    calls: int
    same: bool
    halt: Halt | None
    masked: int
    trap: str | None
    left: str = ""
    status: int | None = None
    stopped: int = 0


class Stop(WhammError):
    """Ends the guest: the player has its reasons."""


class Handed(Resource):
    """A resource of the recording; ``number``: the one it has there.  Below 0: one that it does not
    have, which is that of the host in ``live``, or nothing."""

    def __init__(self, number: int, playing: Playing) -> None:
        self.number, self.playing = number, playing
        self.live: Resource | None = None

    def dropped(self) -> None:
        self.playing.dropped(self.number)
        if self.live is not None:
            self.live.dropped()


# Classes for the resource types of a component, by their order in it: engines know them by number,
# of which there are only so many.
_classes: list[type[Handed]] = []


def replay(
    recording: Recording,
    data: bytes,
    name: str,
    *,
    until: int | None = None,
    cache: bool = True,
    probes: Probes | None = None,
) -> Replay:
    """Run ``data`` as it was recorded; ``until``: the number of the call to stop before;
    ``probes``: those of the woven copy of ``data`` that runs then.  Raises InputError and RunError
    for what cannot be run, or has no such exports, and what ``probes`` raise."""
    same = hashlib.sha256(data).hexdigest() == recording.sha256
    player = Player(recording, data, name, until, cache, probes)
    return player.run(same)


def write(fd: int, data: bytes) -> None:
    """All of it."""
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


class Player:
    """Runs what was recorded; the parameters are those of :func:`replay`."""

    def __init__(
        self, recording: Recording, data: bytes, name: str, until: int | None, cache: bool,
        probes: Probes | None,
    ) -> None:  # fmt: skip
        data = data if probes is None else probes.found.bytes
        world = resolve(recordable(data, name)).world
        self.probes = probes
        #: Seconds that all of it may take, and whether it took longer.
        self.timeout: float | None = None
        self.overdue, self._began = False, 0.0
        self.recording, self.until, self.calls, self.masked = recording, until, 0, 0
        self.halt: Halt | None = None
        self.stopped = 0
        self.write: Callable[[int, bytes], None] = write
        self._unwritten: OSError | None = None
        self._now: Playing | None = None
        self.encoders = Encoders(lambda value, numbers: value.number)
        self.decoders = Decoders()
        self.hiding = Hiding(recording.head.get("secrets", "keep"))
        self.imports = signatures("import", world.imports)
        self.exports = signatures("export", world.exports)
        self._types = {
            (extern.name.name, label): item.type
            for extern in world.imports
            if isinstance(extern.entity, InstanceItem)
            for label, item in extern.entity.exports.items()
            if isinstance(item, TypeItem) and isinstance(item.type, Type)
        }
        self._kinds: dict[int, type[Handed]] = {}
        memories = None if probes is None else probes.memories
        self._guest: Hosted = hosted(data, cache, self._define, memories=memories)

    def kind(self, resource: Type) -> type[Handed]:
        found = self._kinds.get(id(resource))
        if found is None:
            position = len(self._kinds)
            if position == len(_classes):
                made = type("Handed", (Handed,), {})
                numbered(made, f"#{position}")
                _classes.append(made)
            found = self._kinds[id(resource)] = _classes[position]
        return found

    def _define(self, linker: Linker, imports: dict[str, Any]) -> None:
        defined: set[int] = set()
        if self.probes is not None:
            self.probes.define(linker, imports)
            imports = {name: t for name, t in imports.items() if not self.probes.ours(name)}
        with linker.root() as root:
            for name, wanted in imports.items():
                if isinstance(wanted, FuncType):
                    add_function(root, name, name, self._function(name))
                if not isinstance(wanted, ComponentInstanceType):
                    continue
                with root.add_instance(name) as instance:
                    for label, export in wanted.exports(linker.engine).items():
                        full = f"{name}#{label}"
                        if isinstance(export.ty, FuncType):
                            add_function(instance, label, full, self._function(full))
                        elif isinstance(export.ty, ResourceType):
                            kind = self.kind(self._types[name, label])
                            if kind.KIND not in defined:  # others take it from there
                                add_resource(instance, label, kind)
                            defined.add(kind.KIND)

    def _function(self, name: str) -> Callable[..., Any]:
        signature = self.imports[name]
        return lambda playing, *values: playing.answer(signature, values)

    def playing(self, life: Lived) -> Playing:
        return Playing(self, life)

    def run(self, same: bool) -> Replay:
        """On a thread beside this one.  Raises KeyboardInterrupt."""
        engine = self._guest.engine
        self._began = time.monotonic()
        return beside(lambda: self._run(same), engine.increment_epoch, self._late)

    def put(self, fd: int, data: bytes) -> None:
        """What the guest writes.  Raises Stop where nobody takes it; :meth:`run` raises why."""
        try:
            self.write(fd, data)
        except OSError as error:
            self._unwritten = error
            raise Stop("nobody takes what it writes") from error

    def _late(self) -> bool:
        """Whether the guest computes on where it was stopped when it was recorded, or for too
        long."""
        if self.timeout is not None and time.monotonic() - self._began > self.timeout:
            self.overdue = True
        return self.overdue or (self._now is not None and self._now.late)

    def _run(self, same: bool) -> Replay:
        trap = None
        if self.probes is not None:
            self.probes.begin()
        for life in self.recording.lives:
            trap = self._live(life) or trap
            if self._unwritten is not None:
                raise self._unwritten
            if self.halt is not None or (self.probes is not None and self.probes.leaving.said):
                break
        else:
            if self.recording.end is None:
                self.halt = Halt("cut", self.calls + 1, "", "")
        leaving = Leaving() if self.probes is None else self.probes.leaving
        return Replay(
            self.calls, same, self.halt, self.masked, trap, leaving.said, leaving.status,
            self.stopped,
        )  # fmt: skip

    def _live(self, life: Lived) -> str | None:
        """One instance, to its end; why it trapped, if it did."""
        playing, started = self.playing(life), None
        self._now = playing
        try:
            for call in life.entered:
                playing.enter(call)
                signature = self._exported(call.record)
                if started is None:
                    started = self._start(playing)
                values = playing.values(signature, call.record)
                export = find_export(
                    self._guest.engine, self._guest.component, self._named(signature)
                )
                answer = started.call(export, values)
                playing.left(signature, call, answer)
        except Stop:
            return None
        except WasmtimeError as error:
            return playing.trapped(error)
        finally:
            playing.close()
        return None

    def _start(self, playing: Playing) -> Started:
        try:
            return self._guest.start(playing)
        finally:
            if self.probes is not None:
                self.probes.made(playing)

    def _exported(self, record: Record) -> Signature:
        key = "export", record.get("interface", ""), record["func"]
        for signature in self.exports.values():
            if signature.key == key:
                return signature
        raise RunError(f"the component has no export {key[1]}#{key[2]}, which was called then")

    def _named(self, signature: Signature) -> str:
        return next(name for name, one in self.exports.items() if one is signature)


class Playing(Probed):
    """An instance that lives through what is recorded of one."""

    def __init__(self, player: Player, life: Lived) -> None:
        super().__init__()
        self.player, self.over = player, False
        self._left = deque(life.made)
        self._outputs: dict[int, int] = {}
        self._entered = deque(life.entered)
        self._now = life.entered[0]
        self._stopped, self._moved = life.stopped, time.monotonic()

    @property
    def late(self) -> bool:
        """Whether it is stopped from the outside, as it was then, after all that was recorded."""
        if self._stopped is None or self._left or self._now.answer is not None:
            return False
        return time.monotonic() - self._moved > max(self._stopped, PATIENCE)

    def close(self) -> None:
        """The instance is gone."""
        self.over = True
        self.table.close()

    def enter(self, call: Call) -> None:
        """An export is about to be called."""
        self._now = self._entered.popleft()
        self._count(call, call_text(call.record))

    def values(self, signature: Signature, record: Record) -> list[Any]:
        args = signature.args(record)
        if args is None:
            raise RunError(f"{signature.place} takes other arguments than were recorded")
        of = self.player.decoders.of
        params = zip(signature.params, args, strict=True)
        return [of(t)(value, self._made) for (_, t), value in params]

    def _made(self, resource: Type, number: int) -> Handed:
        return self.player.kind(resource)(number, self)

    def answer(self, signature: Signature, values: tuple[Any, ...]) -> Any:
        """What an import is answered; raises what ends the guest."""
        args, record = self.asked(signature, values)
        return self.given(signature, self._next(record), args, values)

    def asked(self, signature: Signature, values: tuple[Any, ...]) -> tuple[list[Any], Record]:
        """The arguments of a call, and what a record of it is."""
        hiding, encode = self.player.hiding, self.player.encoders.of
        args = [
            encode(t)(value, iter(()))
            for (_, t), value in zip(signature.params, values, strict=True)
        ]
        hidden = hiding.args(signature.place, signature.rule, signature.params, args)
        return args, signature.head("call") | signature.called(hidden)

    def given(
        self, signature: Signature, call: Call, args: list[Any], values: tuple[Any, ...]
    ) -> Any:
        """What a recorded call was answered; raises what ends the guest."""
        if call.answer is None:
            self._ends(signature, args)
        answer, hiding = call.answer or {}, self.player.hiding
        if answer.get("masked"):
            self.player.masked = self.player.masked or self.player.calls
            hiding.result(
                signature.place, signature.rule, args, signature.type.result, answer["result"]
            )
        self._written(signature, call, values)
        return self.decoded(signature, answer.get("result"))

    def decoded(self, signature: Signature, result: Any) -> Any:
        """A result of a record, as a host function returns it; raises Failure for an error."""
        t = signature.type.result
        found = self.player.decoders.of(t)(result, self._made)
        if t is None or not isinstance(strip(t), ResultT):
            return found
        if "error" in found:
            raise Failure(found["error"])
        return found["ok"]

    def dropped(self, number: int) -> None:
        if not self.over:
            self._next({"phase": "call", "func": "the drop of", "self": number}, drop=True)

    def left(self, signature: Signature, call: Call, answer: Any) -> None:
        """The export has returned."""
        t = signature.type.result
        value = self.player.encoders.of(t)(answer, iter(()))
        value = self.player.hiding.result(signature.place, signature.rule, [], t, value)
        if call.answer is None:
            cut = self.player.recording.end is None
            self._halt("cut" if cut else "end", "it did not return", "it returned")
        assert call.answer is not None
        wanted = call.answer.get("result")
        if value != wanted:
            self._halt("result", compact(wanted), compact(value))
        ahead = self._left[0].record if self._left else None
        if ahead and (not self._entered or ahead["call"] < self._entered[0].record["call"]):
            self._halt("fewer", call_text(ahead), f"{place_of(call.record)} returned")

    def trapped(self, error: WasmtimeError) -> str | None:
        """The guest has trapped, or was ended by what it called."""
        halt, probes = self.player.halt, self.player.probes
        trap = parse_trap(str(error))
        if probes is not None:
            probes.died(self, halt is not None)
            if probes.leaving.said:
                return None
        if halt is not None:
            self.player.halt = Halt(halt.why, halt.number, halt.expected, halt.actual, trap)
            return None
        if isinstance(self.error, Exit):
            return None
        if isinstance(self.error, Stop) or self.late:
            self.player.stopped += 1
            return None
        if self.error is not None:
            raise self.error
        if self._now.answer is not None:
            halt = Halt("end", self.player.calls, "it did not trap there", trap.message, trap)
            self.player.halt = halt
        return trap.message

    def _count(self, call: Call | None, actual: str) -> None:
        player = self.player
        if player.until is not None and player.calls + 1 >= player.until:
            player.calls += 1
            self._halt("until", "", actual)
        player.calls += 1
        self._moved = time.monotonic()

    def _next(self, record: Record, drop: bool = False) -> Call:
        """What was recorded in the place of a call."""
        shown = f"the drop of {record['self']}" if drop else call_text(record)
        self._count(None, shown)
        if not self._left:
            if self._stopped is not None:
                raise Stop("as it was stopped then")
            why: Why = "cut" if self.player.recording.end is None else "call"
            self._halt(why, "no more calls", shown)
        call = self._left[0]
        told = call.record
        if drop:
            fits = told["func"].endswith(".drop") and told.get("self") == record["self"]
        else:
            fits = all(
                told.get(key) == record.get(key) for key in ("interface", "func", "self", "args")
            )
        if not fits:
            self._halt("call", call_text(told), shown)
        self._left.popleft()
        return call

    def _halt(self, why: Why, expected: str, actual: str) -> NoReturn:
        self.player.halt = Halt(why, self.player.calls, expected, actual)
        raise Stop(why)

    def _ends(self, signature: Signature, args: list[Any]) -> None:
        """In a call that did not return then."""
        if signature.interface == "wasi:cli/exit":
            raise Exit(0)
        if self._stopped is not None:
            raise Stop("as it was stopped then")
        raise Fault("it did not return when it was recorded")

    def _written(self, signature: Signature, call: Call, values: tuple[Any, ...]) -> None:
        fd = OUTPUTS.get(signature.interface)
        if fd is not None and call.answer is not None:
            self._outputs[call.answer["result"]] = fd
        elif signature.has_self and values[0].number in self._outputs and call.answer is not None:
            self._passed_on(self._outputs[values[0].number], signature.func, values, call.answer)

    def _passed_on(self, fd: int, func: str, values: tuple[Any, ...], answer: Record) -> None:
        if func in _WRITES:
            self.player.put(fd, values[1])
        elif func in _ZEROES and "ok" in answer["result"]:
            self.player.put(fd, bytes(values[1]))
        elif "moved" in answer:  # by a splice
            self.player.put(fd, base64.b64decode(answer["moved"]["~b64"]))


def place_of(record: Record) -> str:
    interface = record.get("interface", "")
    return f"{interface}#{record['func']}" if interface else str(record["func"])


def call_text(record: Record) -> str:
    """A call as text, with its values."""
    given = {"self": record["self"]} if "self" in record else {}
    every = {**given, **record.get("args", {})}
    parts = [f"{name}={compact(value)}" for name, value in every.items()]
    return f"{place_of(record)}({', '.join(parts)})"


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
