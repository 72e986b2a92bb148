"""``wasi:io``: errors, pollables and streams.

A stream's ``read`` answers nothing (``b""``) as long as nothing is there; ``write`` takes what
``check_write`` allowed.  The end of a stream and errors are raised.
"""

from __future__ import annotations

from typing import Any

from whamm_cm.run.host.bridge import Failure, Fault, Interface, Resource
from whamm_cm.run.host.world import Pollable, World, at_once

#: Bytes that are read or written at once, at most.
CHUNK = 1 << 16
#: What one `blocking-write-and-flush` may write; more is a trap, here as in other hosts.
_AT_ONCE = 4096

ERROR = Interface("wasi:io/error")
POLL = Interface("wasi:io/poll")
STREAMS = Interface("wasi:io/streams")


class IoError(Resource):
    """``code``: what else is known of it, for those who ask (file systems, HTTP)."""

    def __init__(self, text: str, code: Any = None) -> None:
        self.text, self.code = text, code


def closed() -> Failure:
    return Failure({"closed": None})


def failed(text: str, code: Any = None) -> Failure:
    return Failure({"last-operation-failed": IoError(text, code)})


class InputStream(Resource):
    """An empty one."""

    def read(self, size: int) -> bytes:
        raise closed()

    def pollable(self) -> Pollable:
        return at_once()


class OutputStream(Resource):
    """Where everything vanishes.  ``permit``: how much may be written after the last
    ``check-write``, where that is kept to; None where nothing is held in memory."""

    permit: int | None = None

    def check_write(self) -> int:
        return CHUNK

    def write(self, data: bytes) -> None:
        pass

    def flush(self) -> None:
        pass

    def pollable(self) -> Pollable:
        return at_once()


ERROR.resource("error", IoError)
POLL.resource("pollable", Pollable)
STREAMS.resource("input-stream", InputStream)
STREAMS.resource("output-stream", OutputStream)


@ERROR.func("[method]error.to-debug-string")
def _debug(world: World, error: IoError) -> str:
    return error.text


@POLL.func("[method]pollable.ready")
def _ready(world: World, one: Pollable) -> bool:
    return one.ready()


@POLL.func("[method]pollable.block")
def _block(world: World, one: Pollable) -> None:
    world.wait([one])


@POLL.func("poll")
def _poll(world: World, all_: list[Pollable]) -> list[int]:
    if not all_:
        raise Fault("a poll of nothing never ends")
    return world.wait(all_)


# --- input ----------------------------------------------------------------------------------------


@STREAMS.func("[method]input-stream.read")
def _read(world: World, stream: InputStream, size: int) -> bytes:
    return stream.read(min(size, CHUNK))


@STREAMS.func("[method]input-stream.blocking-read")
def _blocking_read(world: World, stream: InputStream, size: int) -> bytes:
    data = stream.read(min(size, CHUNK))
    while not data and size:
        world.wait([stream.pollable()])
        data = stream.read(min(size, CHUNK))
    return data


@STREAMS.func("[method]input-stream.skip")
def _skip(world: World, stream: InputStream, size: int) -> int:
    return len(_read(world, stream, size))


@STREAMS.func("[method]input-stream.blocking-skip")
def _blocking_skip(world: World, stream: InputStream, size: int) -> int:
    return len(_blocking_read(world, stream, size))


@STREAMS.func("[method]input-stream.subscribe")
def _subscribe_input(world: World, stream: InputStream) -> Pollable:
    return stream.pollable()


# --- output ---------------------------------------------------------------------------------------


@STREAMS.func("[method]output-stream.check-write")
def _check_write(world: World, stream: OutputStream) -> int:
    room = stream.check_write()
    if stream.permit is not None:
        stream.permit = room
    return room


@STREAMS.func("[method]output-stream.write")
def _write(world: World, stream: OutputStream, data: bytes) -> None:
    if stream.permit is not None:
        # Guests that never ask go well on other hosts as long as there is room.
        if len(data) > stream.permit and not stream.check_write():
            raise Fault(f"a write of {len(data)} bytes where {stream.permit} were allowed")
        stream.permit = max(0, stream.permit - len(data))
    stream.write(data)


@STREAMS.func("[method]output-stream.flush")
def _flush(world: World, stream: OutputStream) -> None:
    stream.flush()


@STREAMS.func("[method]output-stream.blocking-flush")
def _blocking_flush(world: World, stream: OutputStream) -> None:
    stream.flush()
    _room(world, stream)


@STREAMS.func("[method]output-stream.blocking-write-and-flush")
def _blocking_write(world: World, stream: OutputStream, data: bytes) -> None:
    if len(data) > _AT_ONCE:
        raise Fault(f"more than {_AT_ONCE} bytes for blocking-write-and-flush")
    left = memoryview(data)
    while left:
        room = _room(world, stream)
        stream.write(bytes(left[:room]))
        left = left[room:]
    _blocking_flush(world, stream)


@STREAMS.func("[method]output-stream.write-zeroes")
def _zeroes(world: World, stream: OutputStream, size: int) -> None:
    if size > CHUNK:
        raise Fault(f"{size} zeroes at once are more than any stream allows")
    _write(world, stream, bytes(size))


@STREAMS.func("[method]output-stream.blocking-write-zeroes-and-flush")
def _blocking_zeroes(world: World, stream: OutputStream, size: int) -> None:
    if size > _AT_ONCE:
        raise Fault(f"more than {_AT_ONCE} bytes for blocking-write-zeroes-and-flush")
    _blocking_write(world, stream, bytes(size))


@STREAMS.func("[method]output-stream.subscribe")
def _subscribe_output(world: World, stream: OutputStream) -> Pollable:
    return stream.pollable()


@STREAMS.func("[method]output-stream.splice")
def _splice(world: World, stream: OutputStream, source: InputStream, size: int) -> int:
    data = source.read(min(size, stream.check_write()))
    return _moved(world, stream, data)


@STREAMS.func("[method]output-stream.blocking-splice")
def _blocking_splice(world: World, stream: OutputStream, source: InputStream, size: int) -> int:
    return _moved(world, stream, _blocking_read(world, source, min(size, _room(world, stream))))


def _moved(world: World, stream: OutputStream, data: bytes) -> int:
    if data:
        stream.write(data)
        if world.watch is not None:
            world.watch.moved(data)
    return len(data)


def _room(world: World, stream: OutputStream) -> int:
    room = stream.check_write()
    while not room:
        world.wait([stream.pollable()])
        room = stream.check_write()
    return room
