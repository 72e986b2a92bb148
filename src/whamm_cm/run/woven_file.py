"""The temporary file a command gets for the component it was given, and those left behind.

Each lies in a directory of its own, with a lock file beside it that we and the command hold: who
can lock it knows that nobody uses the directory any more, whatever ended them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from whamm_cm.errors import RunError

PREFIX = "whamm-cm-"
#: Not a name that a component has: those have an ending.
LOCK = ".whamm-cm-lock"


@contextmanager
def woven_file(name: str, woven: bytes) -> Iterator[tuple[str, int]]:
    """A file ``name`` with ``woven``: its path, and the descriptor of its lock, for the command to
    inherit.  What others have left behind is taken away first.

    Raises RunError when there is no room for it.
    """
    sweep(tempfile.gettempdir())
    try:
        folder, lock = _locked_directory()
    except OSError as error:
        raise RunError(f"no temporary directory for the woven component: {error}") from None
    try:
        path = Path(folder, name)
        try:
            path.write_bytes(woven)
        except OSError as error:
            raise RunError(f"the woven component cannot be written: {error}") from None
        yield str(path), lock
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked_directory() -> tuple[str, int]:
    while True:
        folder = tempfile.mkdtemp(prefix=PREFIX)
        lock = os.open(Path(folder, LOCK), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:
            return folder, lock
        os.close(lock)  # swept away before it was locked


def sweep(root: str) -> None:
    """Take away the directories in ``root`` that nobody uses any more.

    Only directories of our own user with a lock file that we can lock; links are not followed, and
    what cannot be taken away stays.
    """
    try:
        names = [name for name in os.listdir(root) if name.startswith(PREFIX)]
    except OSError:
        return
    for name in names:
        try:
            folder = os.open(Path(root, name), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # a link, a file, another's, or gone by now
        try:
            if os.fstat(folder).st_uid == os.getuid() and _empty(folder):
                os.rmdir(Path(root, name))
        except OSError:
            continue  # in use, or not as we make them
        finally:
            os.close(folder)


def _empty(folder: int) -> bool:
    """Remove the files of an abandoned directory; False where it is in use.

    Raises OSError where it is not as we make them.
    """
    lock = os.open(LOCK, os.O_RDWR | os.O_NOFOLLOW, dir_fd=folder)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        names = os.listdir(folder)
        kinds = [os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode for name in names]
        if not all(map(stat.S_ISREG, kinds)):
            return False
        for name in names:
            os.unlink(name, dir_fd=folder)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
