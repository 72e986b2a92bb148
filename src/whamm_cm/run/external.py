"""Any command as the runner: it gets a woven file in the place of the component it was given, or
finds it where its configuration says; its stderr is split live into our records and everything
else.  POSIX only."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from whamm_cm.errors import RunError
from whamm_cm.run.inplace import Outcome, woven_in_place
from whamm_cm.run.split import LineSplitter
from whamm_cm.run.woven_file import woven_file

_QUIET = 0.05  # seconds without output after which an unfinished line is shown
_CHUNK = 1 << 16
_STOP_SECONDS = 2.0
_FORWARDED = (int(signal.SIGINT), int(signal.SIGTERM), int(signal.SIGHUP))


class CommandNotFound(RunError):
    """The command does not exist; a shell exits with 127."""

    exit_code = 127


class CommandNotExecutable(RunError):
    """The command exists but cannot be executed; a shell exits with 126."""

    exit_code = 126


def run_external(
    cmd: Sequence[str],
    wasm_arg_index: int,
    woven: bytes,
    on_line: Callable[[bytes], None],
    mark: bytes,
    *,
    stderr_fd: int = 2,
) -> int:
    """Runs ``cmd`` with ``woven`` (a temporary file of the same name) as its argument number
    ``wasm_arg_index``, which may be an option (``--monitors=a.wasm``); returns its exit status,
    128 + N if signal N killed it.

    stdin and stdout are inherited.  Each line of stderr with ``mark`` on it is given to
    ``on_line``, from there on; all other bytes go to ``stderr_fd`` as they are.
    SIGINT, SIGTERM and SIGHUP are passed on to the command and do not end us; what a terminal
    sends to the command anyway is not sent twice.  If ``on_line`` raises, the command is stopped.

    Raises :class:`CommandNotFound` (exit code 127) or :class:`CommandNotExecutable` (126), as
    shells do, and RunError when there is no room for the temporary file.
    """
    option, equals, value = cmd[wasm_arg_index].partition("=")
    if not option.startswith("--"):
        option, equals, value = "", "", cmd[wasm_arg_index]
    with woven_file(Path(value).name, woven) as (path, lock), _Forwarder.working() as forward:
        words = [*cmd[:wasm_arg_index], option + equals + path, *cmd[wasm_arg_index + 1 :]]
        return _run(words, forward, LineSplitter(on_line, stderr_fd, mark), lock)


def run_in_place(
    cmd: Sequence[str],
    component: str,
    woven: bytes,
    on_line: Callable[[bytes], None],
    mark: bytes,
    *,
    stderr_fd: int = 2,
) -> tuple[int, Outcome]:
    """As :func:`run_external`, with ``woven`` in the place of the file ``component`` while the
    command runs, which itself is left as it is.  Returns the status, and how the file was put
    back: where it was rebuilt, what ran from then on was not woven.

    Raises UsageError also when another process has the file woven, or it cannot be replaced.
    """
    # In this order, so that no signal leaves it woven.
    with _Forwarder.working() as forward, woven_in_place(component, woven) as swap:
        status = _run(list(cmd), forward, LineSplitter(on_line, stderr_fd, mark))
    return status, swap.outcome or Outcome()


def _run(words: list[str], forward: _Forwarder, splitter: LineSplitter, *kept: int) -> int:
    """``kept``: descriptors that the command inherits."""
    child = _start(words, kept)
    try:
        forward.attach(child)
        assert child.stderr is not None  # asked for in _start
        _pump(child, child.stderr.fileno(), splitter)
        status = child.wait()
    finally:
        _stop(child)
    return 128 - status if status < 0 else status


def _start(words: list[str], kept: Sequence[int]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(words, stderr=subprocess.PIPE, bufsize=0, pass_fds=kept)
    except FileNotFoundError:
        raise CommandNotFound(f"{words[0]}: command not found") from None
    except PermissionError:
        raise CommandNotExecutable(f"{words[0]}: permission denied") from None
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise CommandNotExecutable(f"{words[0]}: cannot be executed: {reason}") from None


def _pump(child: subprocess.Popen[bytes], fd: int, splitter: LineSplitter) -> None:
    """Reads stderr to its end, or until the command is gone: a process it left in the background
    may hold stderr open for ever."""
    while True:
        gone = child.poll() is not None
        if not select.select([fd], [], [], 0 if gone else _QUIET)[0]:
            if gone:
                break
            splitter.quiet()
            continue
        data = os.read(fd, _CHUNK)
        if not data:
            break
        splitter.feed(data)
    splitter.finish()


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Leaves no command behind; does nothing after an orderly end."""
    if child.stderr is not None:
        child.stderr.close()
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class _Forwarder:
    """Passes signals on to the command.

    The command stays in our process group, so that it can use the terminal.  A Ctrl-C there reaches
    it without us; servers take a second SIGINT for "at once", so the first one is not repeated.
    """

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        self.early: list[int] = []
        self.interrupts = 0

    def attach(self, child: subprocess.Popen[bytes]) -> None:
        self.child = child
        for number in self.early:
            child.send_signal(number)

    def note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            self.interrupts += 1
            if self.interrupts == 1 and _terminal_is_ours():
                return
        if self.child is None:
            self.early.append(number)
        else:
            self.child.send_signal(number)

    @classmethod
    @contextmanager
    def working(cls) -> Iterator[_Forwarder]:
        """One that gets the signals.  Ignored ones stay ignored, for the command too."""
        self = cls()
        replaced: dict[int, object] = {}
        try:
            for number in _FORWARDED:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    replaced[number] = signal.signal(number, self.note)
        except ValueError:
            # Not the main thread: signals are the caller's, there is nothing to forward.
            pass
        try:
            yield self
        finally:
            for number, handler in replaced.items():
                signal.signal(number, handler)  # type: ignore[arg-type]


def _terminal_is_ours() -> bool:
    """Whether Ctrl-C on the terminal goes to our process group."""
    for fd in (0, 1, 2):
        try:
            return os.tcgetpgrp(fd) == os.getpgrp()
        except OSError:  # no terminal, or closed
            continue
    return False
