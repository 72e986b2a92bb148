"""Everything about one script file, worked out in a process of its own."""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from tests.wast_driver.host import Sink
from tests.wast_driver.runner import Hook, Outcome, Transform, compare, run_script
from tests.wast_driver.script import definitions

FILE_SECONDS = 120
# A plain fork of a process that has already used wasmtime would inherit its dead worker threads.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.wast_driver.runner"])


@dataclass(frozen=True, slots=True)
class FileReport:
    """What one script came to; ``fault`` is set where it could not be run to its end."""

    path: Path
    original: list[Outcome]
    differences: list[str]
    assembled: int
    defined: int
    fault: str = ""
    blocks: int = 0  # blocks, or lines, of records the transformed copies sent


def examine(path: Path, transform: Transform | None) -> FileReport:
    """Run ``path`` as it is and, given a transform, also on transformed copies."""
    found = list(definitions(path))
    original = run_script(path)
    differences: list[str] = []
    sink = Sink()
    if transform is not None:
        hook = Hook(transform)
        differences = compare(original, run_script(path, hook, sink))
    assembled = sum(one.data is not None for one in found)
    blocks = len(sink.blocks)
    return FileReport(path, original, differences, assembled, len(found), blocks=blocks)


def _child(path: Path, transform: Transform | None, pipe: Connection) -> None:
    try:
        pipe.send(examine(path, transform))
    except Exception as error:  # reported by the parent as this file's fault
        pipe.send(FileReport(path, [], [], 0, 0, f"{type(error).__name__}: {error}"))


def examine_apart(path: Path, transform: Transform | None) -> FileReport:
    """`examine` in a process of its own: an engine crash or a hang costs one file only."""
    ours, theirs = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_child, args=(path, transform, theirs))
    process.start()
    theirs.close()
    try:
        if not ours.poll(FILE_SECONDS):
            return FileReport(path, [], [], 0, 0, f"no end after {FILE_SECONDS} s")
        report: FileReport = ours.recv()
        return report
    except EOFError:
        process.join()
        return FileReport(path, [], [], 0, 0, f"the process died (exit code {process.exitcode})")
    finally:
        process.kill()
        process.join()
