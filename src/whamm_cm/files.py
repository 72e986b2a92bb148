"""Inputs read whole, outputs written whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from whamm_cm.errors import InputError, UsageError, unreadable

#: How the names of files begin that take the place of others when they are whole.
TEMPORARY = ".whamm-cm-"

#: Inputs above this size are refused: no component is that large, and memory is not endless.
MAX_INPUT = 1 << 30


def read(path: str) -> bytes:
    """The bytes of a file.  Raises InputError: missing, a directory, unreadable, above 1 GiB."""
    if not path:
        raise InputError("the name of the input file is empty")
    try:
        with open(path, "rb") as file:
            # The size that the system knows spares reading a gigabyte.
            known = os.fstat(file.fileno()).st_size
            data = file.read(MAX_INPUT + 1) if known <= MAX_INPUT else None
    except OSError as error:
        raise unreadable(path, error) from None
    except ValueError:
        raise InputError(f"{path!r} is no name of a file") from None
    return within(data, path)


def within(data: bytes | None, path: str) -> bytes:
    """``data``, if it is no longer than inputs are; None stands for what was not even read."""
    if data is None or len(data) > MAX_INPUT:
        raise InputError(f"{path} is larger than 1 GiB, which no component is")
    return data


def write(path: str, pieces: Iterable[bytes | memoryview]) -> None:
    """Write bytes to ``path`` by a temporary file and a rename.

    Raises UsageError when the place cannot be written; nothing half-written is left behind.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.writelines(pieces)


@contextmanager
def replacing(path: str) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its place if the block ends well.

    What is there and is no regular file is written as it is (:func:`_in_place`).
    """
    if not path:
        raise UsageError("the name of the output file is empty")
    try:
        if _in_place(path):
            yield Path(path)
            return
        target = Path(os.path.realpath(path))  # a symbolic link stays one
        temporary = target.with_name(f"{TEMPORARY}{secrets.token_hex(8)}")
        # Created as any file is, so that nobody has to ask for the process's umask by setting it.
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except BrokenPipeError:
        raise  # the reader went away, which is no fault of the place
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None
    try:
        yield temporary
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o777)
        temporary.replace(target)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def _in_place(path: str) -> bool:
    """Whether ``path`` leads to a pipe, a device or the like, or to a file that has no name any
    more: where ``/dev/stdout`` and ``/dev/fd/3`` lead may only be text such as ``pipe:[7]``.

    Raises UsageError for a directory, OSError.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(found.st_mode):
        raise UsageError(f"{path} is a directory; name a file to write")
    return not stat.S_ISREG(found.st_mode) or not os.path.exists(os.path.realpath(path))


def check_place(path: str) -> None:
    """Raises UsageError when :func:`replacing` could not write there, before any work is done."""
    with suppress(_Unused), replacing(path):
        raise _Unused


class _Unused(Exception):
    """Leaves :func:`replacing` without a result."""
