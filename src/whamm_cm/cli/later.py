"""``whamm-cm trace`` on the command wasmtime: what is made for WASI 0.3, which the embedded engine
has no host for, and whatever ``--engine wasmtime`` asks for."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from whamm_cm.cli import serve
from whamm_cm.cli.common import say
from whamm_cm.errors import RunError, UsageError

if TYPE_CHECKING:
    from whamm_cm.analysis.demands import World
    from whamm_cm.front.settings import Settings
    from whamm_cm.front.woven import Woven
    from whamm_cm.run.options import HostOptions
    from whamm_cm.run.wasmtime import Mode

#: Options that ``wasmtime serve`` has no words for, and what to do without them.
_OURS = {
    "request": "--request is answered by the embedded engine only, which has no WASI 0.3; serve {0}"
    " and send it the request",
    "allow_host": "wasmtime cannot be told where requests may go (--allow-host); only the embedded"
    " engine keeps to it",
    "propagate": "requests by wasmtime cannot be given a traceparent (--propagate); those by the"
    " embedded engine can",
}


def trace_later(
    args: argparse.Namespace, path: str, data: bytes, host: HostOptions, settings: Settings
) -> int | None:
    """Runs it on wasmtime, or serves it; None where the embedded engine is to run it."""
    from whamm_cm.analysis import demands
    from whamm_cm.cli.external import trace_on
    from whamm_cm.component.decode import decode
    from whamm_cm.front.woven import is_module
    from whamm_cm.run.wasmtime import Wanted, find_wasmtime, words
    from whamm_cm.weave import api

    module = is_module(data)
    found = demands.World((), True, False) if module else demands.world(decode(data, path))
    if not found.versions and args.engine is None:
        return None
    mode = _mode(args, path, found, module)
    if mode == "serve":
        _check_handler(args, path, found.handler, host)
    wasmtime = find_wasmtime(found.versions, path)
    if args.engine is None:
        say(
            args,
            f"{path} is made for WASI {', '.join(found.versions)}, which the embedded engine does"
            f" not have; it runs on {wasmtime.path} ({wasmtime.version})",
        )

    def command(woven: Woven) -> tuple[list[str], int | None]:
        root = woven.inner.component if isinstance(woven.inner, api.Woven) else None
        wanted = Wanted(
            mode, host, () if root is None else demands.features(root),
            () if root is None else demands.packages(root), bool(found.versions), args.invoke,
            args.stub_imports, args.cache, serve.address(args), serve.config(args),
            serve.keys(args), args.reuse, args.timeout, module,
        )  # fmt: skip
        return words(wasmtime, wanted, path)

    if args.record is not None:
        from whamm_cm.cli.record_later import record_on

        return record_on(args, settings, path, data, (path, *host.args[1:]), command)
    return trace_on(args, settings, path, data, command)


def _mode(args: argparse.Namespace, path: str, found: World, module: bool) -> Mode:
    if module and args.invoke is not None:
        raise UsageError(
            "--invoke with --engine wasmtime calls exports of components; for those of a module:"
            f" whamm-cm trace -- wasmtime run --invoke NAME {path} …"
        )
    if args.http or not (found.command or args.invoke is not None):
        return "serve"
    option = serve.given(args)
    if option is not None:
        raise UsageError(f"{option} is for HTTP handlers; --http serves {path} as one")
    return "run"


def _check_handler(args: argparse.Namespace, path: str, handler: bool, host: HostOptions) -> None:
    if not handler:
        raise RunError(
            f"{path} exports neither wasi:cli/run nor an HTTP handler; name an export with"
            " --invoke 'func(args)'"
        )
    serve.check(args, path, host)
    for name, sentence in _OURS.items():
        if getattr(args, name) != serve.OPTIONS[name]:
            raise UsageError(sentence.format(path))
