"""How each host is started: what it is told, and where it says that it is ready."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.hosts.rig import Program, Server, running
from tests.hosts.tools import need

WHAMM = (sys.executable, "-m", "whamm_cm")


@contextmanager
def serving(
    folder: Path, app: Path, *options: str, trace: Sequence[str] = ()
) -> Iterator[tuple[Server, Program]]:
    """``wasmtime serve`` of ``app``; with ``trace``, run by ``whamm-cm trace`` with these."""
    (wasmtime,) = need("wasmtime")
    host = (wasmtime, "serve", "-S", "cli", "--addr", "127.0.0.1:0", *options, str(app))
    command = (*WHAMM, "trace", *trace, "--", *host) if trace else host
    with running(command, folder / "serve.log") as program:
        yield Server(program.port("Serving HTTP on")), program


@contextmanager
def wash_dev(
    folder: Path,
    app: Path,
    *,
    trace: Sequence[str] = (),
    dev: str = "",
    workload: str = "",
    env: Mapping[str, str] | None = None,
) -> Iterator[tuple[Server, Program]]:
    """``wash dev`` in a project of its own; with ``trace``, ``app`` is woven in place.  ``dev``
    and ``workload``: what else its configuration says of those."""
    (wash,) = need("wash")
    (folder / ".wash").mkdir(exist_ok=True)
    (folder / ".wash" / "config.yaml").write_text(
        f'build: {{command: "true", component_path: {app}}}\ndev: {{address: "127.0.0.1:0"{dev}}}\n'
        + (f"workload: {{{workload}}}\n" if workload else "")
    )
    command: tuple[str, ...] = (wash, "dev", "--non-interactive")
    if trace:
        command = (*WHAMM, "trace", *trace, "--component", str(app), "--", *command)
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "NO_COLOR": "1", **(env or {})}
    with running(command, folder / "dev.log", cwd=folder, env=home) as program:
        yield Server(program.port("HTTP server listening addr=")), program
