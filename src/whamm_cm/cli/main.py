"""``whamm-cm``: one parser, one place where errors become sentences and exit codes.

Commands import what they need when they run, so that ``--version`` and ``--help`` are quick.
"""

from __future__ import annotations

import argparse
import errno
import gc
import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from whamm_cm._version import __version__
from whamm_cm.cli.common import check_outputs, tell
from whamm_cm.cli.hook import arguments
from whamm_cm.errors import UsageError, WhammError
from whamm_cm.render.safe import lines

#: One row per command: module under ``whamm_cm.cli`` with ``register`` and ``run``.
COMMANDS = (
    "inspect", "view", "trace", "instrument", "info", "check", "report", "top", "gate", "policy",
    "enforce", "diff", "completion", "lsp",
)  # fmt: skip

#: What a write fails with when there is no room.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

_EPILOG = """\
`whamm-cm COMMAND --help` says more about a command.

exit codes: 0 ok; 1 findings of the gate; 2 usage error, or the output cannot be written; 3 input
unreadable or not a component; 4 internal error (please report it); 130 interrupted. `trace` exits
with the status of what it ran, 134 when the guest trapped.
"""


class Parser(argparse.ArgumentParser):
    """argparse whose complaints are one sentence like every other error's."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def parser() -> Parser:
    """The whole command line."""
    top = Parser(
        prog="whamm-cm",
        description="See and measure what a WebAssembly component does at its boundaries.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"whamm-cm {__version__}")
    top.add_argument("-v", dest="verbose", action="count", default=0, help="say more; -vv: all")
    top.add_argument("-q", "--quiet", action="store_true", help="only errors")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for name in COMMANDS:
        importlib.import_module(f"whamm_cm.cli.{name}").register(commands)
    for command in commands.choices.values():  # -v and -q are welcome behind the command, too
        hidden = argparse.SUPPRESS
        command.add_argument("-v", dest="verbose", action="count", default=hidden, help=hidden)
        command.add_argument("-q", "--quiet", action="store_true", default=hidden, help=hidden)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.  Never raises for anything a user can cause."""
    argv = list(sys.argv[1:] if argv is None else argv)
    verbose = "-vv" in argv
    try:
        return _run(argv)
    except WhammError as error:
        return _fail(error, error.exit_code, verbose)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader went away, as `head` does: nothing is left to tell anyone.
        _silence_stdout()
        return 141
    except OSError as error:
        if error.errno not in _FULL:
            return _fail(error, 4, verbose, _internal(error))
        return _fail(error, 2, verbose, f"the output cannot be written: {error.strerror}")
    except MemoryError as error:
        return _fail(error, 3, verbose, "not enough memory for this input")
    except Exception as error:
        return _fail(error, 4, verbose, _internal(error))


def _internal(error: Exception) -> str:
    return f"internal error: {type(error).__name__}: {error}; please report it (-vv shows where)"


def _run(argv: Sequence[str]) -> int:
    top = parser()
    args = top.parse_args(arguments(argv))
    if args.command is None:
        top.print_help(sys.stderr)
        return 2
    run: Callable[[argparse.Namespace], int] = args.run
    check_outputs(args)
    code = run(args)
    sys.stdout.flush()
    return code


def _fail(error: BaseException, code: int, verbose: bool, text: str = "") -> int:
    try:
        if verbose:
            import traceback

            sys.stderr.write(lines("".join(traceback.format_exception(error))))
        tell(text or str(error))
    except OSError:
        pass  # a full or closed stderr: the exit code is all that is left
    return code


def _silence_stdout() -> None:
    """Keep the interpreter from complaining about the closed pipe once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def entry() -> NoReturn:
    """The console script.  A guest left behind in a host call must not hold the process up."""
    # A decoded component is a large heap without cycles: looking through it as often as Python does
    # by default takes a tenth of the time of `instrument`.
    gc.set_threshold(50_000, 20, 20)
    _prepare_streams()
    code = main()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        pass
    os._exit(code)


def _prepare_streams() -> None:
    """Opens what ``2>&-`` and the like closed: what is opened next must not become the guest's
    standard stream.  And all text is UTF-8: JSON has to be, and guests write it, too."""
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
            setattr(sys, name, open(fd, "w" if fd else "r", encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
