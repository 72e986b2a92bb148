"""``whamm-cm trace --engine wizard``: a core module as it is, with a monitor beside it."""

from __future__ import annotations

import argparse
from pathlib import PurePath
from typing import TYPE_CHECKING

from whamm_cm.cli import serve
from whamm_cm.cli.common import say
from whamm_cm.errors import RunError, UsageError

if TYPE_CHECKING:
    from whamm_cm.front.settings import Settings
    from whamm_cm.front.woven import Woven
    from whamm_cm.run.options import HostOptions


def trace_wizard(
    args: argparse.Namespace, path: str, data: bytes, host: HostOptions, settings: Settings
) -> int:
    """Runs a core module, or those of a component that can run alone; the status of the last."""
    from whamm_cm.front.woven import is_module
    from whamm_cm.run.wizard import find_wizeng

    option = "--stub-imports" if args.stub_imports else serve.given(args)
    if option is not None:
        raise UsageError(f"{option} is for components, and the Wizard engine runs core modules")
    if args.invoke is not None and not args.invoke.isidentifier():
        raise UsageError(
            f"--invoke {args.invoke}: the Wizard engine takes the name of an export, whose"
            " parameters are zero"
        )
    if not settings.scripted:
        raise UsageError("--engine wizard runs scripts; give one with -s, -e or -m")
    alone = [(PurePath(path).name, data)]
    modules = alone if is_module(data) else _modules(args, path, data)
    wizeng = find_wizeng(path)
    status = 0
    for name, module in modules:
        status = _run(args, settings, name, module, host, wizeng)
    return status


def _modules(args: argparse.Namespace, path: str, data: bytes) -> list[tuple[str, bytes]]:
    """The core modules of a component that can run alone; the others are said, with the reason."""
    from whamm_cm.analysis.guests import find_guests
    from whamm_cm.analysis.program import Program
    from whamm_cm.component.decode import decode
    from whamm_cm.run.wizard import cannot_run

    found = []
    reasons = []
    for guest in find_guests(Program.of(decode(data, path))):
        why = cannot_run(guest.module, args.invoke)
        if why:
            reasons.append(f"core module {guest.place}: {why}")
        else:
            name = f"{guest.place.translate(_PLAIN)}.wasm"
            found.append((name, bytes(guest.module.data)))
    if not found:
        raise RunError(
            f"{path} is a component, and none of its core modules can run alone on the Wizard"
            f" engine: {'; '.join(reasons) or 'it has none'}"
        )
    for reason in reasons:
        say(args, f"not run: {reason}")
    if len(found) > 1 and args.output is not None:
        names = ", ".join(name for name, _ in found)
        raise UsageError(
            f"{len(found)} core modules of {path} can run alone ({names}), each with a report of"
            " its own; leave out -o"
        )
    return found


#: What may be in the name of a file.
_PLAIN = dict.fromkeys(map(ord, '/\\:*?"<>|\0'), "_")


def _run(
    args: argparse.Namespace,
    settings: Settings,
    name: str,
    data: bytes,
    host: HostOptions,
    wizeng: str,
) -> int:
    from whamm_cm.cli.external import trace_on
    from whamm_cm.run.wizard import words
    from whamm_cm.run.woven_file import woven_file
    from whamm_cm.wasm.module import CoreModule

    module = CoreModule(data)
    throws = bool(module.tags or module.imported("tag"))
    with woven_file(name, data) as (place, _):

        def command(woven: Woven) -> tuple[list[str], int | None]:
            return words(wizeng, host, place, "monitor.wasm", args.invoke, throws)

        return trace_on(args, settings, name, data, command)
