"""Recordings: all that passed between a component and its host, as records with whole values.

The first record, of phase ``recording``, says of what; the last, of phase ``end``, how it ended.
A resource goes by the number that it has in its instance for as long as that lives.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO

from whamm_cm.agent.handles import handles_of
from whamm_cm.agent.layout import SiteKind
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import RunError
from whamm_cm.run.host.bridge import Resource
from whamm_cm.run.outcome import Outcome
from whamm_cm.trace.hiding import Hiding, Keeping
from whamm_cm.trace.passing import Encoders
from whamm_cm.trace.records import Record
from whamm_cm.weave.redact import rule_for
from whamm_cm.wit.model import (
    Extern,
    FuncItem,
    InstanceItem,
    World,
    interface_id,
    split_version,
)
from whamm_cm.wit.names import FuncName, func_label

#: Of the format; readers refuse what is newer.
VERSION = 1
#: Seconds after which what has been recorded is in the file.
_PERIOD = 1.0


class Signature:
    """A function that passes between component and host, and what its records have in common."""

    def __init__(self, edge: str, extern: Extern, item: FuncItem, label: str) -> None:
        function = isinstance(extern.entity, FuncItem)
        interface, version = ("", None) if function else split_version(interface_id(extern.name))
        self.edge, self.interface, self.version = edge, interface, version
        self.func, self.type, self.label = func_label(label), item.type, label
        self.place = str(FuncName(interface, version, self.func))
        self.rule = rule_for([FuncName(interface, version, self.func)])
        self.params = item.type.params
        self.has_self = label.startswith("[method]")
        kind = SiteKind.LOWER if edge == "import" else SiteKind.LIFT
        texts = handles_of(kind, self.params, item.type.result, self.has_self, frozenset())
        self.handles = [json.loads(text) if text else {} for text in texts]

    @property
    def key(self) -> tuple[str, str, str]:
        """What is the same in another build, which may have other versions."""
        return self.edge, self.interface, self.func

    def head(self, phase: str) -> Record:
        found: Record = {"phase": phase, "edge": self.edge}
        if self.interface:
            found["interface"] = self.interface
        if self.version is not None:
            found["version"] = self.version
        found["func"] = self.func
        return found

    def called(self, args: list[Any]) -> Record:
        """What a record of a call has of the arguments; :meth:`args` is the way back."""
        found: Record = {}
        named = list(zip((name for name, _ in self.params), args, strict=True))
        if self.has_self:
            found["self"] = named.pop(0)[1]
        if named:
            found["args"] = dict(named)
        return found

    def args(self, record: Record) -> list[Any] | None:
        """The arguments in a record of a call, None if it has other ones."""
        found = dict(record.get("args", {}))
        names = [name for name, _ in self.params]
        if self.has_self:
            found = {names[0]: record.get("self"), **found}
        return [found[name] for name in names] if list(found) == names else None


def signatures(edge: str, externs: Sequence[Extern]) -> dict[str, Signature]:
    """Of the imports or exports of a root, by names as a :class:`Watch` is told them."""
    found: dict[str, Signature] = {}
    for extern in externs:
        name, entity = extern.name.name, extern.entity
        if isinstance(entity, FuncItem):
            found[name] = Signature(edge, extern, entity, name)
        elif isinstance(entity, InstanceItem):
            for label, item in entity.exports.items():
                if isinstance(item, FuncItem):
                    found[f"{name}#{label}"] = Signature(edge, extern, item, label)
    return found


@dataclass(frozen=True, slots=True)
class Subject:
    """What is recorded: ``name`` for people."""

    name: str
    data: bytes
    args: Sequence[str]
    invoke: str | None
    env: Sequence[tuple[str, str]] = ()

    def head(self, keeping: Keeping) -> Record:
        found: Record = {
            "v": 2, "phase": "recording", "recording": VERSION,
            "app": {
                "file": self.name, "sha256": hashlib.sha256(self.data).hexdigest(),
                "bytes": len(self.data),
            },
            "secrets": keeping, "argv": list(self.args),
        }  # fmt: skip
        return found if self.invoke is None else {**found, "invoke": self.invoke}


class Recorder:
    """Writes a recording while it comes; instances may be on threads of their own.  ``opened``
    is asked for the file when the first instance begins: what cannot be run leaves none, and an
    earlier one as it was."""

    def __init__(
        self, opened: Callable[[], BinaryIO], world: World, subject: Subject, keeping: Keeping
    ) -> None:
        self.signatures: Mapping[str, Signature] = {
            **signatures("import", world.imports),
            **signatures("export", world.exports),
        }
        self.encoders, self.hiding = Encoders(), Hiding(keeping)
        self.records = 0
        self._opened, self._packer = opened, zlib.compressobj(6, zlib.DEFLATED, 31)
        self._file: BinaryIO | None = None
        invoked = () if subject.invoke is None else (subject.invoke,)
        self.hiding.foresee((*subject.args, *invoked), (value for _, value in subject.env))
        self._head = {
            key: self.hiding.scrubbed(value) if key in ("argv", "invoke") else value
            for key, value in subject.head(keeping).items()
        }
        self._lock, self._instances = threading.Lock(), 0
        self._run, self._seq = secrets.token_hex(8), 0
        self._base, self._fresh = time.monotonic_ns(), False
        self._over = threading.Event()

    @property
    def _out(self) -> BinaryIO:
        """The file, which begins by what is recorded."""
        if self._file is None:
            self._file = self._opened()
            self._base = time.monotonic_ns()
            threading.Thread(target=self._flushes, name="recording", daemon=True).start()
            self._write(self._head)
            start: Record = {"t_ns": 0, "wall_ns": time.time_ns(), "phase": "start"}
            self._numbered(start)
        return self._file

    def instance(self) -> Watcher:
        """What is to be told of all that passes in one more instance."""
        with self._lock:
            self._instances += 1
            self._out.flush()
            return Watcher(self, self._instances)

    def since(self) -> int:
        """Nanoseconds since the recording began."""
        return time.monotonic_ns() - self._base

    def put(self, record: Record) -> None:
        with self._lock:
            if self._over.is_set():  # a guest that was left behind
                return
            self.records += 1
            self._numbered(record)

    def finish(self, outcome: Outcome | None) -> None:
        """Nothing comes any more; ``outcome``: of the one guest that there was."""
        end: Record = {"phase": "end"}
        if outcome is not None:
            end["status"] = outcome.status
            if outcome.trap is not None:
                end["trap"] = outcome.trap.message
        with self._lock:
            self._out.flush()
            self._numbered(end)
            self._over.set()
            self._out.write(self._packer.flush())
            self._out.flush()
            self._out.close()

    def _numbered(self, record: Record) -> None:
        self._write({"v": 2, "run": self._run, "seq": self._seq, **record})
        self._seq += 1

    def _write(self, record: Record) -> None:
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        self._out.write(self._packer.compress(text.encode() + b"\n"))
        self._fresh = True

    def _flushes(self) -> None:
        """Puts what is fresh into the file, also while the guest waits or computes."""
        while not self._over.wait(_PERIOD):
            with self._lock:
                if self._fresh and not self._over.is_set():
                    self._fresh = False
                    self._out.write(self._packer.flush(zlib.Z_SYNC_FLUSH))
                    self._out.flush()


class Watcher:
    """One instance: a :class:`whamm_cm.run.host.bridge.Watch`."""

    def __init__(self, recorder: Recorder, number: int) -> None:
        self._recorder, self._number, self._calls = recorder, number, 0
        self._open: list[tuple[Signature, int, int, list[Any]]] = []
        self._moved: bytes | None = None

    def called(self, name: str, values: Sequence[Any], numbers: Sequence[int]) -> None:
        recorder = self._recorder
        signature = recorder.signatures[name]
        rest, encoders = iter(numbers), recorder.encoders
        args = [
            encoders.of(t)(value, rest)
            for (_, t), value in zip(signature.params, values, strict=True)
        ]
        hidden = recorder.hiding.args(signature.place, signature.rule, signature.params, args)
        self._calls += 1
        now = recorder.since()
        self._open.append((signature, self._calls, now, args))
        self._put(signature, "call", self._calls, now, signature.called(hidden))

    def entered(self, name: str, values: Sequence[Any], numbers: Sequence[int]) -> None:
        signature = self._recorder.signatures[name]
        if signature.handles[1]:
            raise RunError(f"{signature.place} returns a resource, which cannot be recorded")
        self.called(name, values, numbers)

    def returned(self, answer: Any, numbers: Sequence[int]) -> None:
        recorder = self._recorder
        signature, call, began, args = self._open[-1]
        t = signature.type.result
        before = recorder.hiding.hidden
        value = recorder.encoders.of(t)(answer, iter(numbers))
        value = recorder.hiding.result(signature.place, signature.rule, args, t, value)
        found: Record = {} if t is None else {"result": value}
        if recorder.hiding.hidden != before:
            found["masked"] = True
        if self._moved is not None:
            moved = {"~b64": base64.b64encode(self._moved).decode()}
            found["moved"], self._moved = recorder.hiding.scrubbed(moved), None
        self._open.pop()
        now = recorder.since()
        self._put(signature, "return", call, now, found, now - began)

    def stopped(self) -> None:
        self._recorder.put(
            {"t_ns": self._recorder.since(), "instance": self._number, "phase": "end",
             "stopped": True}
        )  # fmt: skip

    def moved(self, data: bytes) -> None:
        self._moved = data

    def dropped(self, resource: Resource, number: int) -> None:
        interface, _, name = resource.NAME.partition("#")
        self._calls += 1
        now, named = self._recorder.since(), {"interface": interface, "func": f"{name}.drop"}
        for phase, more in (
            ("call", {"self": number, "handles": {"self": name}}),
            ("return", {"dur_ns": 0}),
        ):
            head: Record = {"t_ns": now, "instance": self._number, "call": self._calls}
            self._recorder.put({**head, "phase": phase, "edge": "import", **named, **more})

    def _put(
        self, signature: Signature, phase: str, call: int, now: int, more: Record, took: int = 0
    ) -> None:
        record = {"t_ns": now, "instance": self._number, "call": call, **signature.head(phase)}
        record |= more
        handles = signature.handles[phase == "return"]
        if handles:
            record["handles"] = handles
        if phase == "return":
            record["dur_ns"] = took
        self._recorder.put(record)
