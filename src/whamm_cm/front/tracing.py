"""One weave and run, its records kept and its output captured."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePath

from whamm_cm.dataclass import dataclass
from whamm_cm.front.run import Run
from whamm_cm.front.running import Running, run_woven, woven_to_run
from whamm_cm.front.settings import Settings
from whamm_cm.registry.names import is_image
from whamm_cm.run.options import Dir, HostOptions, parse_dir
from whamm_cm.trace.marked import Marked
from whamm_cm.trace.records import Record
from whamm_cm.trace.reports import declared


@dataclass(frozen=True, slots=True)
class Tracing:
    """The parameters of :meth:`whamm_cm.front.app.Guest.trace`."""

    args: Sequence[str]
    env: Mapping[str, str]
    dirs: Sequence[str | Dir]
    network: bool
    invoke: str | None
    stdin: bytes
    capture: bool
    stub_imports: bool
    cache: bool
    timeout: float | None
    on_record: Callable[[Record], None] | None
    keep: bool

    def run(self, data: bytes, settings: Settings, name: str) -> Run:
        """Raises what the weave and the run raise, and KeyboardInterrupt when the guest was stopped
        by one."""
        found = woven_to_run(data, settings, name)
        kept: list[Record] = []
        with ExitStack() as stack:
            folder = None
            if self.capture:
                new = tempfile.TemporaryDirectory(prefix="whamm-cm-", ignore_cleanup_errors=True)
                folder = Path(stack.enter_context(new))
            running = Running(
                self._host(guest_name(name), folder), self.invoke, self.stub_imports, self.cache,
                signals=False, timeout=self.timeout,
            )  # fmt: skip
            outcome = run_woven(found, running, self._feed(kept))
            if outcome.interrupted and outcome.status == INTERRUPTED:
                raise KeyboardInterrupt
            out, err = (None, None) if folder is None else (_said(folder, n) for n in _STREAMS)
        known = tuple(declared(found.table))
        return Run(tuple(kept), outcome, out, err, found.warnings, known)

    def _feed(self, kept: list[Record]) -> Callable[[Sequence[Record]], None]:
        marked = Marked()

        def feed(records: Sequence[Record]) -> None:
            for record in map(marked.feed, records):
                if self.keep:
                    kept.append(record)
                if self.on_record is not None:
                    self.on_record(record)

        return feed

    def _host(self, name: str, folder: Path | None) -> HostOptions:
        dirs = [one if isinstance(one, Dir) else parse_dir(one) for one in self.dirs]
        args, env = (name, *self.args), tuple(self.env.items())
        if folder is None:
            return HostOptions(args, env, dirs, self.network)
        (folder / "stdin").write_bytes(self.stdin)
        stdin, stdout, stderr = (str(folder / n) for n in ("stdin", *_STREAMS))
        return HostOptions(
            args, env, dirs, self.network, False, False, False, stdin, stdout, stderr
        )


_STREAMS = ("stdout", "stderr")
#: The status of a run that SIGINT has ended.
INTERRUPTED = 130


def _said(folder: Path, name: str) -> bytes:
    """What the guest wrote; the file is made when the guest is, which may not have been reached."""
    path = folder / name
    return path.read_bytes() if path.exists() else b""


def guest_name(path: str) -> str:
    """What the guest is told it is called: WASI takes UTF-8 only, file systems take any bytes."""
    name = os.fsencode(PurePath(path).name).decode("utf-8", "replace")
    return re.split("[:@]", name)[0] if is_image(path) else name
