"""What the commands share: reading inputs, writing outputs whole or not at all, progress."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from whamm_cm.errors import UsageError
from whamm_cm.files import MAX_INPUT, within, write
from whamm_cm.registry.inputs import opened
from whamm_cm.render.safe import lines

if TYPE_CHECKING:
    from whamm_cm.front.app import Guest
    from whamm_cm.registry.artifact import Artifact


#: What a component can come from, for help texts.
INPUT = "a file, oci://REFERENCE or an image layout, - for standard input"


def read_input(path: str) -> bytes:
    """The bytes of a file or of the component in an image, ``-`` for standard input.

    Raises InputError: missing, a directory, unreadable, above 1 GiB, or woven in place by a
    running ``trace``.
    """
    return open_input(path)[0]


def open_input(path: str) -> tuple[bytes, Artifact | None]:
    """As :func:`read_input`, and what image it is from, if it is."""
    if path:
        put_back(path)
    if path == "-":
        return within(sys.stdin.buffer.read(MAX_INPUT + 1), path), None
    return opened(path)


def component(path: str) -> Guest:
    """The component or core module in a file or an image, ``-`` for standard input, not yet
    decoded."""
    from whamm_cm.front.app import Guest

    data, image = open_input(path)
    return Guest(data, display(path), image)


def put_back(path: str) -> bool:
    """If a ``trace --component`` that was killed has left ``path`` woven: the original again.
    Returns whether it has."""
    journal = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.whamm-cm-journal")
    if not os.path.islink(path) and not os.path.exists(journal):
        return False  # the usual case, for nothing
    from whamm_cm.run.inplace import settle

    outcome = settle(path)
    if outcome is not None:
        tell(f"{path} was left woven by a run that was killed; it {outcome}")
    return outcome is not None


def display(path: str) -> str:
    return "standard input" if path == "-" else path


def write_output(path: str | None, data: str | Iterable[bytes | memoryview]) -> None:
    """Write a text, or bytes in pieces, to ``path`` (None or ``-``: standard output), by a
    temporary file and a rename.

    Raises UsageError when the place cannot be written; nothing half-written is left behind.
    """
    pieces = (data.encode(),) if isinstance(data, str) else data
    if path is None or path == "-":
        sys.stdout.flush()
        sys.stdout.buffer.writelines(pieces)
        sys.stdout.buffer.flush()
        return
    write(path, pieces)


#: Options that never name a file to read, whatever is in the folder.
_NO_INPUTS = frozenset((
    "command", "run", "output", "write_baseline", "html", "format", "expr", "monitor", "invoke",
    "env", "count", "trace", "otlp", "nonce", "skip", "component", "why", "sort", "today",
    "fail_on", "compat", "record", "compose",
))  # fmt: skip


def check_outputs(args: argparse.Namespace) -> None:
    """Raises UsageError when a file that is to be written is one that is read: whatever the words
    and options name that is there, under any name, by any link, or as standard input.

    Called before a command runs, so that nothing is emptied first.
    """
    named = vars(args)
    outputs = [named.get("output"), named.get("write_baseline"), named.get("html")]
    formats = named.get("format")
    for name in ("record", "compose"):  # of `instrument`, --record names nothing
        outputs += [named[name]] if isinstance(named.get(name), str) else []
    outputs += [text.partition("=")[2] for text in formats] if isinstance(formats, list) else []
    inputs: list[str] = []
    for name, value in named.items():
        if name not in _NO_INPUTS:
            values = value if isinstance(value, list | tuple) else (value,)
            inputs += (text for text in values if isinstance(text, str))
    keep_inputs(outputs, inputs)


def keep_inputs(outputs: Iterable[str | None], inputs: Iterable[str]) -> None:
    """Raises UsageError when one of ``outputs`` is the file of an input (also of ``name=file``), or
    when two of them are one."""
    read: dict[tuple[int, int], str] = {}
    for text in inputs:
        for path in dict.fromkeys((text, text.partition("=")[2])):
            found = _identity(path)
            if found is not None:
                read.setdefault(found, display(path))
    written: dict[object, str] = {}
    for output in outputs:
        if not output or output == "-":
            continue
        identity = _identity(output)
        if identity is not None and identity in read:
            same = read[identity]
            text = output if same == output else f"{output}, which is {same},"
            raise UsageError(f"{text} is read by this command; name another file to write")
        if identity is not None and identity == _file_of(sys.stdin):
            raise UsageError(f"{output} is standard input; name another file to write")
        key = identity or os.path.realpath(output)
        if key in written:
            raise UsageError(f"{written[key]} and {output} are one file; name two")
        written[key] = output


def _identity(path: str) -> tuple[int, int] | None:
    """Of a regular file that is there, through links; ``-`` is standard input."""
    if path == "-":
        return _file_of(sys.stdin)
    try:
        found = os.stat(path) if path else None
    except (OSError, ValueError):
        return None
    return _regular(found)


def _file_of(stream: TextIO) -> tuple[int, int] | None:
    try:
        return _regular(os.fstat(stream.fileno()))
    except (OSError, ValueError):
        return None  # closed, or played by a test


def _regular(found: os.stat_result | None) -> tuple[int, int] | None:
    if found is None or not stat.S_ISREG(found.st_mode):
        return None
    return found.st_dev, found.st_ino


def say(args: argparse.Namespace, text: str) -> None:
    """A line for the user on stderr, unless ``--quiet``."""
    if not args.quiet:
        tell(text)


def tell(text: str) -> None:
    """A line on stderr in any case.  It may have names of files and pieces of scripts in it, which
    are somebody's: none of it acts on a terminal."""
    print(f"whamm-cm: {lines(text)}", file=sys.stderr, flush=True)


@contextmanager
def progress(args: argparse.Namespace, what: str) -> Iterator[None]:
    """A spinner on a terminal for what may take over a second; nothing in pipes and CI."""
    if args.quiet or not sys.stderr.isatty() or os.environ.get("CI"):
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        bar.add_task(what)
        yield
