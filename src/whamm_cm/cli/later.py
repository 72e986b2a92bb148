"""``whamm-cm trace`` of what is made for WASI 0.3, which the embedded engine has no host for."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from whamm_cm.cli.common import say
from whamm_cm.errors import RunError, UsageError

if TYPE_CHECKING:
    from whamm_cm.front.settings import Settings
    from whamm_cm.front.woven import Woven
    from whamm_cm.run.options import HostOptions


def trace_later(
    args: argparse.Namespace, path: str, data: bytes, host: HostOptions, settings: Settings
) -> int | None:
    """Runs it on wasmtime, or serves it; None where the embedded engine can run it."""
    from whamm_cm.analysis.demands import World, features, world
    from whamm_cm.cli.external import trace_on
    from whamm_cm.component.decode import decode
    from whamm_cm.front.woven import is_module
    from whamm_cm.run.wasmtime import Mode, Wanted, find_wasmtime, words
    from whamm_cm.weave import api

    found = World((), False, False) if is_module(data) else world(decode(data, path))
    if not found.versions:
        return None
    mode: Mode = "run" if found.command or args.invoke is not None else "serve"
    if mode == "serve":
        _check_handler(path, found.handler, host)
    wasmtime = find_wasmtime(found.versions, path)
    say(
        args,
        f"{path} is made for WASI {', '.join(found.versions)}, which the embedded engine does not"
        f" have; it runs on {wasmtime.path} ({wasmtime.version})",
    )

    def command(woven: Woven) -> tuple[list[str], int | None]:
        assert isinstance(woven.inner, api.Woven)  # it is no core module
        wanted = Wanted(
            mode, host, features(woven.inner.component), args.invoke, args.stub_imports, args.cache
        )
        return words(wasmtime, wanted, path)

    return trace_on(args, settings, path, data, command)


def _check_handler(path: str, handler: bool, host: HostOptions) -> None:
    if not handler:
        raise RunError(
            f"{path} exports neither wasi:cli/run nor wasi:http/handler; name an export with"
            " --invoke 'func(args)'"
        )
    if len(host.args) > 1:
        raise UsageError(f"{path} is an HTTP handler, which gets no arguments: {host.args[1]}")
