"""``wasi:cli``, ``wasi:clocks`` and ``wasi:random``."""

from __future__ import annotations

import os
import secrets
import time

from whamm_cm.run.host.bridge import Exit, Fault, Interface, Resource
from whamm_cm.run.host.streams import InputStream, OutputStream, closed, failed
from whamm_cm.run.host.world import Pollable, World, at, at_once, readable

ENVIRONMENT, EXIT = Interface("wasi:cli/environment"), Interface("wasi:cli/exit")
STDIN, STDOUT, STDERR = (Interface(f"wasi:cli/{name}") for name in ("stdin", "stdout", "stderr"))
TERMINAL_INPUT = Interface("wasi:cli/terminal-input")
TERMINAL_OUTPUT = Interface("wasi:cli/terminal-output")
TERMINALS = [Interface(f"wasi:cli/terminal-{name}") for name in ("stdin", "stdout", "stderr")]
MONOTONIC, WALL = Interface("wasi:clocks/monotonic-clock"), Interface("wasi:clocks/wall-clock")
RANDOM, INSECURE = Interface("wasi:random/random"), Interface("wasi:random/insecure")
SEED = Interface("wasi:random/insecure-seed")

#: More random bytes than this are given in parts by no host; a guest that asks for them is wrong.
_MOST_RANDOM = 1 << 28


class Terminal(Resource):
    """No guest is given one: what it writes is not for it to lay out."""


class OtherTerminal(Terminal):
    """The resource types of the two interfaces are not the same."""


TERMINAL_INPUT.resource("terminal-input", Terminal)
TERMINAL_OUTPUT.resource("terminal-output", OtherTerminal)


class FileInput(InputStream):
    """A standard stream of ours; a read of it waits until there is something."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def read(self, size: int) -> bytes:
        if not size or not readable(self.fd):
            return b""
        data = os.read(self.fd, size)
        if not data:
            raise closed()
        return data

    def pollable(self) -> Pollable:
        return Pollable(lambda: readable(self.fd), reading=self.fd)


class FileOutput(OutputStream):
    def __init__(self, fd: int) -> None:
        self.fd = fd

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self.fd, left) :]
            except BrokenPipeError:
                raise closed() from None
            except OSError as error:
                raise failed(str(error.strerror)) from None


@ENVIRONMENT.func("get-environment")
def _environment(world: World) -> list[list[str]]:
    return [list(pair) for pair in world.settings.options.env]


@ENVIRONMENT.func("get-arguments")
def _arguments(world: World) -> list[str]:
    return list(world.settings.options.args)


@ENVIRONMENT.func("initial-cwd")
def _cwd(world: World) -> str | None:
    return None


@EXIT.func("exit")
def _exit(world: World, status: dict[str, None]) -> None:
    raise Exit(0 if "ok" in status else 1)


@EXIT.func("exit-with-code")
def _exit_with(world: World, status: int) -> None:
    raise Exit(status)


@STDIN.func("get-stdin")
def _stdin(world: World) -> InputStream:
    return FileInput(0) if world.settings.options.inherit_stdin else InputStream()


@STDOUT.func("get-stdout")
def _stdout(world: World) -> OutputStream:
    return FileOutput(1) if world.settings.options.inherit_stdout else OutputStream()


@STDERR.func("get-stderr")
def _stderr(world: World) -> OutputStream:
    return FileOutput(2) if world.settings.options.inherit_stderr else OutputStream()


def _no_terminal(world: World) -> None:
    return None


for _terminal in TERMINALS:
    _terminal.func(f"get-{_terminal.name.removeprefix('wasi:cli/')}")(_no_terminal)


# --- clocks ---------------------------------------------------------------------------------------


@MONOTONIC.func("now")
def _now(world: World) -> int:
    return time.monotonic_ns()


@MONOTONIC.func("resolution")
def _resolution(world: World) -> int:
    return 1


@MONOTONIC.func("subscribe-instant")
def _instant(world: World, when: int) -> Pollable:
    return at(when)


@MONOTONIC.func("subscribe-duration")
def _duration(world: World, length: int) -> Pollable:
    return at(time.monotonic_ns() + length) if length else at_once()


def _datetime(ns: int) -> dict[str, int]:
    return {"seconds": ns // 10**9, "nanoseconds": ns % 10**9}


@WALL.func("now")
def _wall_now(world: World) -> dict[str, int]:
    return _datetime(time.time_ns())


@WALL.func("resolution")
def _wall_resolution(world: World) -> dict[str, int]:
    return _datetime(1)


# --- random ---------------------------------------------------------------------------------------


def _random_bytes(world: World, size: int) -> bytes:
    if size > _MOST_RANDOM:
        raise Fault(f"{size} random bytes at once are too many")
    return secrets.token_bytes(size)


def _random_u64(world: World) -> int:
    return secrets.randbits(64)


RANDOM.func("get-random-bytes")(_random_bytes)
RANDOM.func("get-random-u64")(_random_u64)
INSECURE.func("get-insecure-random-bytes")(_random_bytes)
INSECURE.func("get-insecure-random-u64")(_random_u64)


@SEED.func("insecure-seed")
@SEED.func("get-insecure-seed")
def _seed(world: World) -> list[int]:
    return [secrets.randbits(64), secrets.randbits(64)]
