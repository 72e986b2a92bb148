"""Many components: finding them, reading and analysing them in processes, in the order given."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import stat
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError, UsageError, unreadable
from whamm_cm.files import read
from whamm_cm.gate.cache import Cache
from whamm_cm.gate.model import Subject
from whamm_cm.wit.glob import Glob, compile_path

if TYPE_CHECKING:
    from concurrent.futures import Future

#: What hosts run, too, and nobody can judge: text, and machine code.
_UNJUDGED = (".wat", ".cwasm")

#: How files begin that hosts run, whatever they are called: WebAssembly, ELF files of wasmtime, and
#: text with a component, a module, or an import, without which a module can do nothing.
_RUNS = re.compile(
    rb"\0asm|\x7fELF...\xc8|\s*(?=\(|;;)[^\0]*?\(\s*(?:component|module|import)\b", re.S
)
_LOOKED_AT = 1 << 16


@dataclass(frozen=True, slots=True)
class Job:
    """``data`` set where the bytes do not come from a file."""

    path: str
    data: bytes | None = None


def find(
    arguments: Iterable[str], skip: Iterable[str] = (), left_out: list[str] | None = None
) -> list[str]:
    """Paths of components: files, globs, and what is in directories (sorted): every file that is
    called .wasm in any case or that hosts run, by how it begins, hidden and linked ones, too, and
    every image layout.  :func:`subject` refuses what cannot be judged (core modules, text, .cwasm).

    ``skip``: globs over paths in a directory, as seen from there; what they leave out is added to
    ``left_out``.  Raises InputError for what leads nowhere, and for directories that cannot be
    looked into; no path comes twice.
    """
    found: list[str] = []
    skips = _Skips(tuple(map(_skip, skip)), [] if left_out is None else left_out)
    for argument in arguments:
        if argument != "-" and os.path.isdir(argument):
            found += _directory(argument, skips)
        elif glob.has_magic(argument) and not os.path.exists(argument):
            matches = sorted(glob.glob(argument, recursive=True, include_hidden=True))
            if not matches:
                raise InputError(f"{argument}: no file matches")
            for one in matches:
                found += _directory(one, skips, True) if os.path.isdir(one) else [one]
        else:
            found.append(argument)
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class _Skips:
    globs: tuple[Glob, ...]
    left_out: list[str]

    def has(self, path: str) -> bool:
        """``vendor`` stands for all that is in there."""
        parts = path.replace(os.sep, "/").split("/")
        heads = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        return any(one.fullmatch(head) for one in self.globs for head in heads)


def _skip(pattern: str) -> Glob:
    if not pattern.strip("/"):
        raise UsageError("--skip needs a path in the directory, or a glob")
    return compile_path(pattern.removeprefix("./").rstrip("/"))


def _directory(top: str, skips: _Skips, empty: bool = False) -> list[str]:
    """``empty``: there need not be anything."""
    inside: list[str] = []
    for found in sorted(_walk(top)):
        path = os.path.normpath(found)
        seen_from = os.path.relpath(found, top)
        if skips.has(seen_from):
            skips.left_out.append(path)
            continue
        if os.path.exists(path) and not os.path.isdir(path) and not os.path.isfile(path):
            raise InputError(f"{path} is no regular file; --skip {seen_from} leaves it out")
        inside.append(path)
    if not inside and not empty:
        rest = " but what --skip leaves out" if skips.left_out else ""
        raise InputError(f"{top}: there is no .wasm file in this directory{rest}")
    return inside


def _walk(top: str) -> Iterator[str]:
    """Links to directories are followed, to each directory once.  Blobs of a layout are looked at
    as far as its index names them, and by their names."""
    seen = {os.path.realpath(top)}
    blobs: list[str] = []

    def fail(error: OSError) -> None:
        raise unreadable(str(error.filename), error) from None

    for folder, folders, files in os.walk(top, onerror=fail, followlinks=True):
        folders[:] = sorted(_fresh(folder, folders, seen))
        if "oci-layout" in files:
            yield folder
            blobs.append(os.path.join(folder, "blobs", ""))
        known = folder.startswith(tuple(blobs)) if blobs else False
        for name in sorted(files):
            path = os.path.join(folder, name)
            if name.lower().endswith((".wasm", *_UNJUDGED)) or (not known and _runs(path)):
                yield path


def _fresh(folder: str, names: Iterable[str], seen: set[str]) -> Iterator[str]:
    for name in names:
        real = os.path.realpath(os.path.join(folder, name))
        if real not in seen:
            seen.add(real)
            yield name


def _runs(path: str) -> bool:
    """By its beginning, whatever it is called.  What cannot be read may be run."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as file:
            return _RUNS.match(file.read(_LOOKED_AT)) is not None
    except FileNotFoundError:
        return False  # a link that leads nowhere
    except OSError as error:
        raise unreadable(path, error) from None


def subject(job: Job, folder: Path | None) -> Subject:
    """The analysis of one component, from the cache in ``folder`` if it is there.  Raises
    InputError."""
    data = read(job.path) if job.data is None else job.data
    cache = Cache(folder)
    known = cache.get(hashlib.sha256(data).hexdigest()) if folder is not None else None
    if known is not None:
        return known
    from whamm_cm.gate.subject import analyse  # slow to import, and not needed for what is cached

    what = "standard input" if job.path == "-" else job.path
    try:
        found = analyse(data, what).subject
    except InputError as error:
        if not what.lower().endswith(_UNJUDGED):
            raise
        rest = "hosts run such files, too; --skip leaves it out of a directory"
        raise InputError(f"{error}; {rest}") from None
    cache.put(found)
    return found


def _end_with(parent: int) -> None:
    """In a worker: a parent that was killed cannot tell it to stop."""
    import threading

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _outcome(job: Job, folder: Path | None) -> Subject | str:
    """In a worker: errors travel as sentences, since not all of them can be pickled."""
    try:
        return subject(job, folder)
    except InputError as error:
        return str(error)


def subjects(
    jobs: list[Job], folder: Path | None, workers: int
) -> Generator[Subject | InputError, None, None]:
    """One answer per job, in order, as soon as it and all before it are there."""
    if workers <= 1 or len(jobs) <= 1:
        for job in jobs:
            try:
                yield subject(job, folder)
            except InputError as error:
                yield error
        return
    from concurrent.futures import ProcessPoolExecutor  # slow to import

    number = min(workers, len(jobs))
    with ProcessPoolExecutor(number, initializer=_end_with, initargs=(os.getpid(),)) as pool:
        pending: deque[Future[Subject | str]] = deque()
        waiting = iter(jobs)
        try:
            for job in waiting:
                pending.append(pool.submit(_outcome, job, folder))
                if len(pending) >= workers * 4:
                    yield _answer(pending.popleft())
            while pending:
                yield _answer(pending.popleft())
        finally:
            for future in pending:
                future.cancel()


def _answer(future: Future[Subject | str]) -> Subject | InputError:
    found = future.result()
    return InputError(found) if isinstance(found, str) else found
