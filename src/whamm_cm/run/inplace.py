"""A component woven where it lies, for hosts whose configuration names the file; and put back.

Beside ``app.wasm`` there are then two files, both gone again at the end (a third,
``.app.wasm.whamm-cm-new``, is one of them while it is being written):

- ``.app.wasm.whamm-cm-original``: the original, the very same file (a hard link where the system
  has those), so that its time, mode and owner come back with it;
- ``.app.wasm.whamm-cm-journal``: digests of both, and who did it.  It is locked for as long as
  that process lives, so a journal that nobody has locked is that of a process which was killed.

At every moment ``app.wasm`` is whole, and the original is under its own name or under the other.
:func:`settle` puts back what a killed process left; every command calls it for the files it reads.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError, RunError, UsageError

_VERSION = 1
_STAMP = b"\x08whamm-cm"  # the name of the custom section in everything woven
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV, errno.EMLINK, errno.ENOSYS}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a file was put back.  ``rebuilt``: somebody had written another file there meanwhile,
    which stays; the original it replaced is no longer needed.  ``changed``: what was there is made
    of the woven one, which is no build; it has this name now."""

    rebuilt: bool = False
    changed: Path | None = None

    def __str__(self) -> str:
        """What became of the file, for behind its name."""
        if self.rebuilt:
            return "has been written anew meanwhile, and stays as it is now"
        if self.changed is not None:
            return f"has been changed meanwhile: that is {self.changed} now, the original is back"
        return "is the original again"


@dataclass(slots=True)
class Swap:
    """A file that is woven now; ``outcome`` is there when it has been put back."""

    path: Path
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class _Places:
    target: Path
    original: Path
    journal: Path
    unfinished: Path

    @classmethod
    def of(cls, path: str | Path) -> _Places:
        target = Path(os.path.realpath(path))  # a symbolic link stays one
        start = f".{target.name}.whamm-cm-"
        names = ("original", "journal", "new")
        return cls(target, *(target.with_name(start + name) for name in names))


def settle(path: str | Path) -> Outcome | None:
    """Puts back the original of ``path`` if a killed process left it woven; None if none did.

    Raises InputError if ``path`` is woven by a process that is still running.
    """
    places = _Places.of(path)
    if not places.journal.is_file():
        return None
    with _locked(places, InputError, "was left woven by a run that was killed; it"):
        return _restore(places)


@contextmanager
def woven_in_place(path: str | Path, woven: bytes) -> Iterator[Swap]:
    """``path`` holds ``woven`` inside the block and is put back after it, however that ends.

    Mode, time and links of the file are kept.  Raises UsageError: somebody else is at it, or the
    place cannot be written.
    """
    places = _Places.of(path)
    if not places.target.is_file():
        raise InputError(f"{path}: there is no such file")
    with _locked(places, UsageError) as journal:
        _restore(places, keep_journal=True)
        swap = Swap(places.target)
        try:
            try:
                _replace(places, woven, journal)
            except OSError as error:
                reason = error.strerror or error
                raise UsageError(f"{path} cannot be woven in place: {reason}") from None
            yield swap
        finally:
            swap.outcome = _restore(places)


@contextmanager
def _locked(
    places: _Places, refusal: type[UsageError] | type[InputError], left: str = ""
) -> Iterator[int]:
    """The journal, made if need be, with nobody else at it."""
    while True:
        try:
            handle = os.open(places.journal, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            what = f"{left} cannot be put back" if left else "cannot be woven in place"
            raise refusal(f"{places.target} {what}: {error.strerror or error}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who had it before may have taken it away since we opened it.
            if _same(handle, places.journal):
                break
        except BlockingIOError:
            who = _read(places).get("process", "")
            os.close(handle)
            raise refusal(
                f"{places.target} is woven in place by another whamm-cm trace"
                f"{f' (process {who})' if who else ''}; wait until it ends"
            ) from None
        os.close(handle)
    try:
        yield handle
    finally:
        os.close(handle)


def _same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _replace(places: _Places, woven: bytes, journal: int) -> None:
    """Each step leaves something that :func:`_restore` understands."""
    facts = {
        "version": _VERSION,
        "process": os.getpid(),
        "original": _digest(places.target),
        "woven": hashlib.sha256(woven).hexdigest(),
    }
    os.truncate(journal, 0)
    os.pwrite(journal, json.dumps(facts).encode(), 0)
    os.fsync(journal)
    try:
        os.link(places.target, places.original)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _write(places, places.target.read_bytes(), places.original)
    _write(places, woven, places.target)


def _write(places: _Places, data: bytes, where: Path) -> None:
    """``data`` under that name, whole or not at all, with mode, owner and time of the original; a
    build that compares times sees no difference."""
    with places.unfinished.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    shutil.copystat(places.target, places.unfinished)
    found = places.target.stat()
    with suppress(PermissionError):
        os.chown(places.unfinished, found.st_uid, found.st_gid)
    os.replace(places.unfinished, where)


def _restore(places: _Places, *, keep_journal: bool = False) -> Outcome | None:
    """None if there was nothing to put back."""
    outcome = None
    try:
        places.unfinished.unlink(missing_ok=True)
        if places.original.exists():
            outcome = _outcome(places)
            if outcome.changed is not None:
                shutil.copy2(places.target, outcome.changed)
            if outcome.rebuilt or _is_the_same(places):
                places.original.unlink()
            else:
                os.replace(places.original, places.target)
        if not keep_journal:
            places.journal.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise RunError(
            f"{places.target} cannot be put back: {reason}; the original is {places.original}"
        ) from None
    return outcome


def _is_the_same(places: _Places) -> bool:
    """Both names are of one file: it was not woven yet.  A rename would do nothing."""
    return places.target.exists() and places.target.samefile(places.original)


def _outcome(places: _Places) -> Outcome:
    """What to do about what lies there: a new module or component is neither ours nor the
    original."""
    if not places.target.is_file() or _is_the_same(places):
        return Outcome()
    data = places.target.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if data[:4] != b"\0asm" or digest == _digest(places.original):
        return Outcome()
    ours = _read(places).get("woven")
    if _STAMP in data and _STAMP not in places.original.read_bytes():
        made = places.target.with_name(f"{places.target.name}.woven")
        return Outcome(changed=None if ours in (None, digest) else made)
    if ours is None:
        raise InputError(
            f"{places.target} and {places.original} differ, and {places.journal}, which says what"
            " they are, is damaged; remove the wrong one and the journal"
        )
    return Outcome(rebuilt=ours != digest)


def _read(places: _Places) -> dict[str, object]:
    """What the journal says; nothing where the system went down while it was written."""
    try:
        found = json.loads(places.journal.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
