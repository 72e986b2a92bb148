"""A recorded run once more, of another build: calls are matched by function and arguments.

What it writes is compared as a whole, stream by stream; waiting is over at once; a response is
taken as it comes.  What is new is answered by rule.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import field
from typing import Any, Literal, TypeAlias

from wasmtime import WasmtimeError

from whamm_cm.dataclass import dataclass
from whamm_cm.front.replay import (
    OUTPUTS,
    PATIENCE,
    Halt,
    Handed,
    Player,
    Playing,
    Stop,
    call_text,
    compact,
    place_of,
)
from whamm_cm.front.replay_live import Live, Recorded
from whamm_cm.front.replay_probes import Probes
from whamm_cm.run.host.bridge import Exit, Resource
from whamm_cm.run.host.world import Settings
from whamm_cm.run.outcome import parse_trap
from whamm_cm.trace.fallback import fallback
from whamm_cm.trace.matching import BESIDE, WRITES, Matching, Written, contents, unpacked, waits
from whamm_cm.trace.recorded import Call, Lived, Recording
from whamm_cm.trace.recording import Signature
from whamm_cm.trace.records import Record
from whamm_cm.wit.types import Borrow, Own, ValType

OnMiss: TypeAlias = Literal["fail", "default", "live"]
How: TypeAlias = Literal["taken", "default", "live"]

#: What a write may be, of a stream that takes all.
_ROOM = 1 << 20
#: Makers of what goes out: a response says what it says, whether it did so before or not.
_SAYING = ("fields.", "outgoing-response.", "outgoing-body.", "response-outparam.")


@dataclass(frozen=True, slots=True)
class New:
    """Call ``number``, which the recording has no answer for, and how it was answered: ``taken`` as
    what is put out, by ``default`` or ``live``."""

    number: int
    text: str
    how: How


@dataclass(frozen=True, slots=True)
class Differs:
    """Something that the guest put out: ``what``, and how it was and is.  ``at``: the first byte
    that differs, -1 for what is no text of bytes."""

    what: str
    then: str
    now: str
    at: int = -1


@dataclass(slots=True)
class Rebuilt:
    """``calls`` were made, ``moved`` of them in another order of their resource; ``unused``: texts
    of recorded calls that were not made.  ``halt``: why it ended early: a ``call`` that is new, or
    the one to stop at.  ``masked``, ``left``, ``status`` and ``stopped`` as of a replay.
    ``failures``: about programs that ended otherwise than well, and requests that were answered so,
    in sentences; ``said``: all that was written to streams."""

    same: bool
    calls: int = 0
    moved: int = 0
    new: list[New] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    differs: list[Differs] = field(default_factory=list)
    halt: Halt | None = None
    masked: int = 0
    trap: str | None = None
    left: str = ""
    status: int | None = None
    stopped: int = 0
    failures: list[str] = field(default_factory=list)
    said: bytearray = field(default_factory=bytearray)

    @property
    def good(self) -> bool:
        """Whether all was answered from the recording, and nothing else came out."""
        return not (self.new or self.differs or (self.halt is not None and self.halt.diverged))


def replay_rebuilt(
    recording: Recording,
    data: bytes,
    name: str,
    *,
    on_miss: OnMiss = "fail",
    settings: Settings | None = None,
    until: int | None = None,
    cache: bool = True,
    probes: Probes | None = None,
    write: Callable[[int, bytes], None] | None = None,
    timeout: float | None = None,
) -> Rebuilt:
    """Run ``data`` on what was recorded of another build.  ``settings``: of the host that is asked
    ``live``; ``write`` gets what goes to standard output (1) and error (2), by default they do.
    ``timeout``: seconds after which it is stopped.  The others, and what is raised, as of
    :func:`whamm_cm.front.replay.replay`."""
    found = Rebuilt(hashlib.sha256(data).hexdigest() == recording.sha256)
    player = _Rebuilding(recording, data, name, until, cache, probes)
    player.found, player.on_miss = found, on_miss
    player.settings, player.write = settings or Settings(), write or player.write
    player.timeout = timeout
    ran = player.run(found.same)
    found.calls, found.halt, found.masked = ran.calls, ran.halt, ran.masked
    found.left, found.status = ran.left, ran.status
    found.trap, found.stopped = ran.trap, ran.stopped
    return found


class _Rebuilding(Player):
    found: Rebuilt
    on_miss: OnMiss
    settings: Settings

    def playing(self, life: Lived) -> Playing:
        return _Rebuilt(self, life)


class _Rebuilt(Playing):
    """An instance of another build."""

    def __init__(self, player: _Rebuilding, life: Lived) -> None:
        super().__init__(player, life)
        self._rebuilding, self._found = player, player.found
        self._matching = Matching(life.made)
        self._fds: dict[int, int] = {}
        self._last = 0
        self._live: Live | None = None
        self._exited, self._status = "", 0
        self._responses = Responses()
        self._cut = player.recording.end is None

    @property
    def late(self) -> bool:
        if self._stopped is None or self._now.answer is not None:
            return False
        return time.monotonic() - self._moved > max(self._stopped, PATIENCE)

    # what the guest calls

    def answer(self, signature: Signature, values: tuple[Any, ...]) -> Any:
        args, record = self.asked(signature, values)
        self._count(None, call_text(record))
        if signature.has_self and values[0].live is not None:
            return self._of_host(signature, values, record)
        if signature.interface == "wasi:cli/exit":
            self._exited, self._status = call_text(record), _status(args[0])
            self._matching.take(record)
            raise Exit(0)
        self._responses.feed(signature.interface, record)
        stream = self._stream(signature, record)
        if stream is not None:
            return self._put(signature, record, stream, values)
        found = self._matching.take(record)
        if found is not None and (found.call.answer is not None or not self._cut):
            self._found.moved += found.moved
            return self.given(signature, found.call, args, values)
        read = self._matching.read(record)
        if read is not None:
            return self.decoded(signature, read)
        if waits(signature.interface, signature.func):
            return self._waited(signature, values)
        if signature.interface in OUTPUTS:
            return self.given(signature, Call(record, {"result": self._number()}), args, values)
        return self._new(signature, values, record)

    def dropped(self, number: int) -> None:
        if not self.over:
            drop = {"phase": "call", "func": "of.drop", "self": number}
            self._count(None, f"the drop of {number}")
            self._matching.take(drop)

    def _stream(self, signature: Signature, record: Record) -> Written | None:
        """The stream that a call is about, if what is written to it is compared as a whole."""
        func = signature.func
        if signature.interface != "wasi:io/streams" or func not in WRITES and func not in BESIDE:
            return None
        return self._matching.stream(record["self"])

    def _put(
        self, signature: Signature, record: Record, stream: Written, values: tuple[Any, ...]
    ) -> Any:
        if signature.func not in WRITES:
            return _ROOM if signature.func.endswith("check-write") else None
        data = contents(signature.func, record["args"])
        stream.now += data
        fd = self._fds.get(record["self"])
        if fd is not None:
            self._rebuilding.put(fd, values[1] if isinstance(values[1], bytes) else data)
        return None

    def _written(self, signature: Signature, call: Call, values: tuple[Any, ...]) -> None:
        """A stream was given: which it is, if it is known."""
        result = (call.answer or {}).get("result")
        fd = OUTPUTS.get(signature.interface)
        if fd is not None and isinstance(result, int):
            self._fds[result] = fd
        number = result.get("ok") if isinstance(result, dict) else result
        if call.answer is not None and "moved" in call.answer:  # by a splice
            self._spliced(call, unpacked(call.answer["moved"]))
        stream = self._matching.streams.get(number) if isinstance(number, int) else None
        if stream is not None and not stream.of:
            stream.of = place_of(call.record)

    def _spliced(self, call: Call, moved: bytes) -> None:
        number = call.record["self"]
        stream = self._matching.stream(number)
        if stream is not None:
            stream.now += moved
        if number in self._fds:
            self._rebuilding.put(self._fds[number], moved)

    def _waited(self, signature: Signature, values: tuple[Any, ...]) -> Any:
        """Of waiting that was not recorded so: it is over."""
        if signature.func == "pollable.ready":
            return True
        if signature.func != "poll":
            return self.decoded(signature, fallback(signature.type.result, self._number))
        ready = [k for k, one in enumerate(values[0]) if one.number in self._matching.ready]
        made = [k for k, one in enumerate(values[0]) if one.number < 0 and one.live is None]
        if ready or made:
            return ready or made
        live = [k for k, one in enumerate(values[0]) if one.live is not None]
        if live and self._live is not None:
            return [live[k] for k in self._live.waited([values[0][k].live for k in live])]
        return [*range(len(values[0]))]

    # what is new

    def _new(self, signature: Signature, values: tuple[Any, ...], record: Record) -> Any:
        number = self.player.calls
        http = signature.interface == "wasi:http/types" and signature.func.startswith(_SAYING)
        on_miss = "taken" if http else self._rebuilding.on_miss
        if on_miss == "live":
            return self._of_host(signature, values, record)
        if on_miss == "fail":
            near = self._matching.near(record)
            then = "nothing like it" if near is None else call_text(near)
            self._halt("new", then, call_text(record))
        result = fallback(signature.type.result, self._number, good=http)
        shown = "" if signature.type.result is None else f" = {compact(result)}"
        how: How = "taken" if http else "default"
        self._found.new.append(New(number, f"{call_text(record)}{shown}", how))
        return self.decoded(signature, result)

    def _of_host(self, signature: Signature, values: tuple[Any, ...], record: Record) -> Any:
        if self._live is None:
            self._live = Live(self._rebuilding.settings, self._wrapped)
        if not self._live.knows(signature):
            self._halt("new", "nothing like it, and the host has no such function",
                       call_text(record))  # fmt: skip
        self._found.new.append(New(self.player.calls, call_text(record), "live"))
        try:
            return self._live.call(signature, values)
        except Recorded:
            self._found.new.pop()
            why = "nothing like it, and a resource of the recording is nothing to the host"
            self._halt("new", why, call_text(record))

    def _wrapped(self, t: ValType, resource: Resource) -> Handed:
        assert isinstance(t, Own | Borrow)
        found = self._made(t.resource, self._number())
        found.live = resource
        return found

    def _number(self) -> int:
        """Of a resource that the recording does not have."""
        self._last -= 1
        return self._last

    # how it ends

    def left(self, signature: Signature, call: Call, answer: Any) -> None:
        t = signature.type.result
        value = self.player.encoders.of(t)(answer, iter(()))
        value = self.player.hiding.result(signature.place, signature.rule, [], t, value)
        if signature.interface == "wasi:cli/run" and "error" in value:
            self._found.failures.append("it ended with status 1")
        self._ended(call, f"it returned {compact(value)}" if t is not None else "it returned")

    def trapped(self, error: WasmtimeError) -> str | None:
        trap = parse_trap(str(error))
        probes, halt = self.player.probes, self.player.halt
        if probes is not None:
            probes.died(self, halt is not None)
            if probes.leaving.said:
                return None
        if halt is not None:
            self.player.halt = Halt(halt.why, halt.number, halt.expected, halt.actual, trap)
            return None
        if isinstance(self.error, Stop) or (not self.player.overdue and self.late):
            self.player.stopped += 1
            return None
        if self.error is not None and not isinstance(self.error, Exit):
            raise self.error
        if self._exited:
            if self._status:
                self._found.failures.append(f"it ended with status {self._status}")
            self._ended(self._now, self._exited)
            return None
        if self.player.overdue:
            late = f"it had not ended after {self.player.timeout:g} s"
            self._found.failures.append(late)
            self._ended(self._now, late)
            return None
        self._found.failures.append(f"it trapped: {trap.message}")
        self._ended(self._now, "it trapped")
        return trap.message

    def _ended(self, call: Call, now: str) -> None:
        """The export has come to an end: what was recorded of that."""
        if call.record.get("interface") == "wasi:http/incoming-handler":
            self._found.failures.extend(self._responses.failures())
        if self._cut:
            return
        if call.answer is not None:
            result = call.answer.get("result")
            then = f"it returned {compact(result)}" if "result" in call.answer else "it returned"
        else:
            last = self._matching.unfinished()
            exited = last is not None and last.get("interface") == "wasi:cli/exit"
            then = call_text(last) if exited and last is not None else "it trapped"
        if then != now:
            what = f"the end of {place_of(call.record)}"
            self._found.differs.append(Differs(what, then, now))

    def close(self) -> None:
        super().close()
        if self._live is not None:
            self._live.close()
        if self.player.halt is not None:
            return
        self._found.unused.extend(call_text(record) for record in self._matching.unused())
        for number, stream in self._matching.streams.items():
            self._found.said += stream.now + b"\n"
            if stream.then != stream.now and not self._cut:
                self._found.differs.append(self._text_differs(number, stream))

    def _text_differs(self, number: int, stream: Written) -> Differs:
        fd = self._fds.get(number)
        of = f" of {stream.of}" if stream.of else ""
        what = {1: "standard output", 2: "standard error"}.get(fd or 0, f"stream {number}{of}")
        then, now = bytes(stream.then), bytes(stream.now)
        pairs = enumerate(zip(then, now, strict=False))
        at = next((k for k, (a, b) in pairs if a != b), min(len(then), len(now)))
        return Differs(what, _near(then, at), _near(now, at), at)


class Responses:
    """What requests are answered, as the guest says it."""

    def __init__(self) -> None:
        self._statuses: dict[int, int] = {}
        self._given: list[Any] = []

    def feed(self, interface: str, record: Record) -> None:
        if interface == "wasi:http/types" and record["func"] == "outgoing-response.set-status-code":
            self._statuses[record["self"]] = next(iter(record["args"].values()))
        elif interface == "wasi:http/types" and record["func"] == "response-outparam.set":
            self._given.append(record["args"]["response"])

    def failures(self) -> Iterator[str]:
        """Of the request that is over."""
        given, self._given = self._given, []
        if not given:
            yield "it did not answer"
        for response in given:
            if "error" in response:
                yield f"it answered with the error {compact(response['error'])}"
            elif self._statuses.get(response["ok"], 200) >= _FAILED:
                yield f"it answered with status {self._statuses[response['ok']]}"


def _status(given: Any) -> int:
    """Of ``exit``, or ``exit-with-code``."""
    return int("error" in given) if isinstance(given, dict) else int(given)


#: The first status of a response that says that the server failed.
_FAILED = 500
#: Bytes shown before the first that differs, and from there.
_BEFORE, _BEHIND = 20, 60


def _near(text: bytes, at: int) -> str:
    start = max(0, at - _BEFORE)
    shown = text[start : at + _BEHIND].decode("utf-8", "replace")
    more = "…" if len(text) > at + _BEHIND else ""
    return f"{'…' if start else ''}{shown}{more} ({len(text)} bytes)"
