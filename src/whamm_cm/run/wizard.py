"""The command ``wizeng``, which runs a core module with a monitor beside it: where it is, what it
can run, and our options in its words."""

from __future__ import annotations

import os
import shutil

from whamm_cm.errors import RunError, UsageError
from whamm_cm.run.options import HostOptions
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wit.preview1 import MODULES

_NAME = "wizeng"
#: What it starts by itself, the first there is.
ENTRIES = ("main", "_start")


def find_wizeng(name: str) -> str:
    """What the variable WIZENG names, else ``wizeng`` on the PATH; ``name``: what is to run.

    Raises RunError where there is none.
    """
    given = os.environ.get("WIZENG")
    found = shutil.which(given or _NAME)
    if found is not None:
        return found
    where = f"WIZENG names {given}, which is no program" if given else "there is none on the PATH"
    raise RunError(
        f"--engine wizard runs {name} on the command {_NAME}, and {where}: build the Wizard engine"
        " (docs/wizard.md says how) and put it on the PATH, or name it with WIZENG"
    )


def cannot_run(module: CoreModule, invoke: str | None = None) -> str:
    """Why the engine cannot run a core module alone, "" if it can."""
    others = sorted({each.module for each in module.imports} - set(MODULES))
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        return f"it imports {others[0] or 'an unnamed module'}{more}, and the engine has WASI alone"
    names = {each.name for each in module.exports if each.kind == "func"}
    wanted = ENTRIES if invoke is None else (invoke,)
    if names.isdisjoint(wanted):
        return f"it exports no function {' or '.join(wanted)}"
    return ""


def words(
    wizeng: str, host: HostOptions, app: str, monitor: str, invoke: str | None, throws: bool
) -> tuple[list[str], int]:
    """The command, and which of its words is the monitor.  ``throws``: the module has exceptions.
    UsageError for what the engine has no words for."""
    found = [wizeng, "--ext:wasm-3.0"]
    if not throws:
        # The interpreter, its default, takes hundreds of times as long to ask a monitor for places;
        # what it compiles loses probes where exceptions are caught.
        found.append("--mode=dyn")
    found.append(f"--monitors={monitor}")
    at = len(found) - 1
    if host.inherit_network:
        raise UsageError("the Wizard engine has no network (--inherit-network)")
    for one in host.dirs:
        if one.guest != one.host:
            raise UsageError(
                f"the Wizard engine gives a directory its own name: --dir {one.host}, not"
                f" {one.host}::{one.guest}"
            )
        found.append(f"--dir={one.host}")
    found += (f"--env={key}={value}" for key, value in host.env)
    if invoke is not None:
        found.append(f"--invoke={invoke}")
    return [*found, app, *host.args[1:]], at
