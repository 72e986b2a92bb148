"""``whamm-cm trace --record``: all that passes, written down to be run again."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

from whamm_cm.cli import serve
from whamm_cm.cli.common import progress, say
from whamm_cm.errors import UsageError
from whamm_cm.files import check_place
from whamm_cm.render.safe import printable
from whamm_cm.render.words import counted

if TYPE_CHECKING:
    from whamm_cm.front.recording import RecordedHandler
    from whamm_cm.front.running import Running
    from whamm_cm.run.options import HostOptions
    from whamm_cm.run.outcome import Trap
    from whamm_cm.trace.recording import Recorder

#: Options of the log and of probes, which a run that is recorded has none of.
_OTHERS = {
    "expr": "-e", "script": "-s", "monitor": "-m", "count": "--count",
    "output": "-o", "format": "-f", "summary": "-c", "both": "-C", "html": "--html",
    "live": "--live", "live_at": "--live-at", "otlp": "--otlp", "component": "--component",
    "compat": "--compat",
}  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("recording (instead of the log)")
    group.add_argument(
        "--record", metavar="FILE",
        help="run APP.wasm as it is, and write all that passes between it and the host to FILE,"
        " from which `whamm-cm replay` runs it again",
    )  # fmt: skip
    group.add_argument(
        "--secrets", choices=("mask", "keep", "fail"), default="mask",
        help="what a recording has of secrets: stars in their place, themselves, or nothing: then"
        " the run fails where it meets one (default: mask)",
    )  # fmt: skip


def check(args: argparse.Namespace, external: bool) -> None:
    """Raises UsageError for what does not go together."""
    if args.record is None:
        if args.secrets != "mask":
            raise UsageError(f"--secrets {args.secrets} is for --record FILE")
        return
    if external:
        raise UsageError("--record runs a component itself; leave out -- and COMMAND")
    if args.engine == "wizard":
        raise UsageError("--record is for components, and --engine wizard for core modules")
    for name, option in _OTHERS.items():
        if getattr(args, name):
            raise UsageError(
                f"--record runs the component as it is and makes no log: leave out {option};"
                " `report` shows what was recorded, `replay` runs it again"
            )


def record(args: argparse.Namespace, path: str, data: bytes, host: HostOptions, http: bool) -> int:
    """The guest's status, as without ``--record``."""
    from whamm_cm.front.recording import recorder
    from whamm_cm.front.running import Running

    if http:
        serve.check(args, path, host)
    else:
        option = serve.given(args)
        if option is not None:
            raise UsageError(f"{option} is for HTTP handlers; --http serves {path} as one")
    compiling = ExitStack()
    running = Running(host, args.invoke, args.stub_imports, args.cache, compiling.close)
    check_place(args.record)

    def opened() -> BinaryIO:
        try:
            return open(args.record, "wb")
        except OSError as error:
            raise UsageError(
                f"{args.record} cannot be written: {error.strerror or error}"
            ) from None

    with compiling:
        into = recorder(data, path, running, opened, args.secrets)
        compiling.enter_context(progress(args, f"compiling {path}"))
        if http:
            return _serve(args, path, data, running, into, compiling)
        return _run(args, data, running, into)


def _run(args: argparse.Namespace, data: bytes, running: Running, into: Recorder) -> int:
    from whamm_cm.front.recording import run_recorded

    outcome = run_recorded(data, running, into)
    if outcome.result is not None:
        print(outcome.result, flush=True)
    if outcome.trap is not None:
        _show(outcome.trap)
    _conclude(args, into)
    return outcome.status


def _serve(
    args: argparse.Namespace, path: str, data: bytes, running: Running, into: Recorder,
    compiling: ExitStack,
) -> int:  # fmt: skip
    from whamm_cm.front.recording import RecordedHandler
    from whamm_cm.front.serving import Serving

    where, request = serve.address(args), serve.wanted_request(args)
    serving = Serving(
        running.host, args.allow_host, serve.config(args), serve.keys(args), args.reuse,
        args.timeout, args.stub_imports, args.cache, lambda ended: _show(ended.trap),
    )  # fmt: skip
    handler: RecordedHandler = RecordedHandler(data, serving, into)
    compiling.close()
    if request is not None:
        output = sys.stdout.buffer
        answer = handler.ask(request, output.write)
        output.flush()
        status = serve.conclude(args, answer)
    else:
        count = handler.serve(*where, lambda host, port: serve.say_where(args, path, host, port))
        say(args, f"{counted(count, 'request')} served")
        status = 0
    _conclude(args, into)
    return status


def _show(trap: Trap) -> None:
    print(f"whamm-cm: the guest trapped: {printable(str(trap))}", file=sys.stderr)
    for frame in trap.frames:
        print(f"    at {printable(str(frame))}", file=sys.stderr)


def _conclude(args: argparse.Namespace, into: Recorder) -> None:
    if into.hiding.hidden:
        many = into.hiding.hidden
        say(
            args,
            f"{counted(many, 'secret')} masked: a replay goes on with stars in their place"
            " (--secrets keep records them)",
        )
    say(args, f"{counted(into.records, 'record')} written to {args.record}")
