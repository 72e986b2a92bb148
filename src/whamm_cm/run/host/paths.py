"""Paths of a guest, under the directories it was given and nowhere else.

Every step is taken from a descriptor of the directory before, and no link is followed by the
system: what a link says is walked like the path itself, so that nobody who renames things
meanwhile leads us out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from whamm_cm.run.host.bridge import Failure

#: Links on the way to one file, as Linux has it.
_MOST_LINKS = 40
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def resolved(root: int, path: str, follow: bool) -> Iterator[tuple[int, str]]:
    """A descriptor of the directory that the last step of ``path`` is in, and that step (``.`` for
    the directory itself).  With ``follow`` the last step is no link, unless it leads nowhere.

    Raises Failure for a path out of ``root``, OSError for one that does not exist.
    """
    if "\0" in path:
        raise Failure("illegal-byte-sequence")
    if not path:
        raise Failure("no-entry")
    stack = [os.dup(root)]
    try:
        yield _walk(stack, path, follow)
    finally:
        for fd in stack:
            os.close(fd)


def _walk(stack: list[int], path: str, follow: bool) -> tuple[int, str]:
    steps, links = _steps(path), 0
    while True:
        step = steps.pop(0)
        last = not steps
        if step == "..":
            if len(stack) == 1:
                raise Failure("not-permitted")
            os.close(stack.pop())
            step = "."
        elif step != "." and (follow or not last):
            target = _link(stack[-1], step)
            if target is not None:
                links += 1
                if links > _MOST_LINKS:
                    raise Failure("loop")
                steps = _steps(target) + steps
                continue
        if last:
            return stack[-1], step
        if step != ".":
            stack.append(os.open(step, _DIRECTORY, dir_fd=stack[-1]))


def _steps(path: str) -> list[str]:
    """A slash at the end asks for a directory."""
    if path.startswith("/"):
        raise Failure("not-permitted")
    steps = [step for step in path.split("/") if step]
    if path.endswith("/") and steps[-1] not in (".", ".."):
        steps.append(".")
    return steps


def _link(directory: int, name: str) -> str | None:
    with suppress(OSError):
        if stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            return os.readlink(name, dir_fd=directory)
    return None
