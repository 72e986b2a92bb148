"""Many components: finding them, reading and analysing them in processes, in the order given."""

from __future__ import annotations

import glob
import hashlib
import os
import time
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from whamm_cm.errors import InputError, unreadable
from whamm_cm.gate.cache import Cache
from whamm_cm.gate.model import Subject

if TYPE_CHECKING:
    from concurrent.futures import Future

MAX_INPUT = 1 << 30


@dataclass(frozen=True, slots=True)
class Job:
    """``data`` set where the bytes do not come from a file."""

    path: str
    data: bytes | None = None


def find(arguments: Iterable[str]) -> list[str]:
    """Paths of components: files, globs, and the ``.wasm`` files in directories (sorted; hidden
    ones are left out).  Raises InputError for what leads nowhere; no path comes twice."""
    found: list[str] = []
    for argument in arguments:
        if argument != "-" and os.path.isdir(argument):
            inside = [
                str(path)
                for path in sorted(Path(argument).rglob("*.wasm"))
                if not any(part.startswith(".") for part in path.relative_to(argument).parts)
            ]
            if not inside:
                raise InputError(f"{argument}: there is no .wasm file in this directory")
            found += inside
        elif glob.has_magic(argument) and not os.path.exists(argument):
            matches = sorted(glob.glob(argument, recursive=True))
            if not matches:
                raise InputError(f"{argument}: no file matches")
            found += [one for one in matches if os.path.isfile(one)]
        else:
            found.append(argument)
    return list(dict.fromkeys(found))


def read(path: str) -> bytes:
    """Raises InputError: missing, a directory, unreadable, above 1 GiB."""
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
    if data is None or len(data) > MAX_INPUT:
        raise InputError(f"{path} is larger than 1 GiB, which no component is")
    return data


def subject(job: Job, folder: Path | None) -> Subject:
    """The analysis of one component, from the cache in ``folder`` if it is there."""
    data = read(job.path) if job.data is None else job.data
    cache = Cache(folder)
    known = cache.get(hashlib.sha256(data).hexdigest()) if folder is not None else None
    if known is not None:
        return known
    from whamm_cm.gate.subject import analyse  # slow to import, and not needed for what is cached

    what = "standard input" if job.path == "-" else job.path
    found = analyse(data, what).subject
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
