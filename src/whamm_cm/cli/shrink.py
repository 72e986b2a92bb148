"""``-m chaos --shrink`` of ``trace`` and ``replay``: the fewest faults that still fail."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from whamm_cm.cli import serve
from whamm_cm.cli.common import progress, say
from whamm_cm.errors import UsageError
from whamm_cm.render.safe import lines
from whamm_cm.render.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from whamm_cm.front.settings import Settings
    from whamm_cm.front.shrinking import Attempt, Found, Once
    from whamm_cm.run.options import HostOptions
    from whamm_cm.trace.recorded import Recording

#: Seconds a run may take where nobody says.
_LIMIT = 60.0
#: Options that say how one run is shown, with what they are where they are not given.
_SHOWING: dict[str, tuple[str, object]] = {
    "output": ("-o", None), "format": ("-f", None), "summary": ("-c", False), "both": ("-C", False),
    "html": ("--html", None), "live": ("--live", False), "live_at": ("--live-at", None),
    "otlp": ("--otlp", None), "count": ("--count", None), "lines": ("--lines", False),
    "compat": ("--compat", None),
}  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("chaos (with -m chaos)")
    group.add_argument(
        "--shrink", action="store_true",
        help="run it again and again, to find the fewest faults with which it still fails",
    )  # fmt: skip
    group.add_argument(
        "--expect", metavar="TEXT",
        help="with --shrink: a run fails, too, that does not write TEXT",
    )  # fmt: skip


def check(args: argparse.Namespace, external: bool) -> None:
    """Raises UsageError for options of ``trace`` that do not go with these."""
    if not _wanted(args):
        return
    if external or args.engine not in (None, "embedded"):
        raise UsageError(
            "--shrink runs the guest on the embedded engine; leave out -- and --engine"
        )
    for name in ("addr", "reuse", "propagate"):
        if getattr(args, name) != serve.OPTIONS[name]:
            raise UsageError(f"--{name} is for many requests, --shrink asks one again and again")
    _showing(args)


def check_replay(args: argparse.Namespace) -> None:
    """Raises UsageError for options of ``replay`` that do not go with these."""
    if not _wanted(args):
        return
    for option, given in (("--until", args.until), ("--compose", args.compose)):
        if given is not None:
            raise UsageError(f"{option} is of one replay, --shrink makes many; choose one")
    if args.on_miss == "live":
        raise UsageError("--on-miss live is another host each time; --shrink needs the same one")
    _showing(args)


def _wanted(args: argparse.Namespace) -> bool:
    if not args.shrink:
        if args.expect is not None:
            raise UsageError("--expect is for --shrink; add that, and -m chaos")
        return False
    from whamm_cm.front.shrinking import MONITOR

    if MONITOR not in args.monitor:
        raise UsageError(f"--shrink finds faults of the monitor {MONITOR}; add -m {MONITOR}")
    return True


def _showing(args: argparse.Namespace) -> None:
    for name, (option, default) in _SHOWING.items():
        if getattr(args, name) != default:
            raise UsageError(f"{option} shows one run, --shrink makes many; leave one of them out")
    if any(text.startswith("trace=") for text in args.expr):
        raise UsageError("-e trace= shows one run, --shrink makes many; leave one of them out")


def trace_shrink(
    args: argparse.Namespace, path: str, data: bytes, host: HostOptions, settings: Settings,
    http: bool,
) -> int:  # fmt: skip
    """0 where nothing fails, 1 where something does.  ``http``: it is an HTTP handler."""
    from whamm_cm.front.attempts import programs, requests
    from whamm_cm.front.tracing import Tracing

    expected, limit = (args.expect or "").encode(), args.timeout or _LIMIT
    if http:
        from whamm_cm.front.serving import Serving

        serve.check(args, path, host)
        request = serve.wanted_request(args)
        if request is None:
            raise UsageError(
                f"{path} is an HTTP handler, which --shrink asks the same again and again: add"
                " --request 'METHOD /PATH'"
            )
        serving = Serving(
            host, args.allow_host, serve.config(args), serve.keys(args), 1, limit,
            args.stub_imports, False,
        )  # fmt: skip
        return _shrink(args, path, settings, requests(data, serving, request, path, expected))
    option = serve.given(args, but="timeout")
    if option is not None:
        raise UsageError(f"{option} is for HTTP handlers; --http serves {path} as one")
    tracing = Tracing(
        host.args[1:], dict(host.env), host.dirs, host.inherit_network, args.invoke, b"", True,
        args.stub_imports, False, limit, None, True,
    )  # fmt: skip
    return _shrink(args, path, settings, programs(data, tracing, path, expected))


def replay_shrink(
    args: argparse.Namespace, recording: Recording, data: bytes, path: str, settings: Settings
) -> int:
    """The same of a replay."""
    from whamm_cm.front.attempts import replays

    expected = (args.expect or "").encode()
    limit = args.timeout or _LIMIT
    once = replays(data, recording, path, expected, args.on_miss, limit)
    return _shrink(args, path, settings, once)


def _shrink(args: argparse.Namespace, path: str, settings: Settings, once: Once) -> int:
    from whamm_cm.front.shrinking import Shrinking

    def told(number: int, only: Sequence[str] | None, made: Attempt) -> None:
        if args.verbose:
            which = "by chance" if only is None else counted(len(made.faults), "fault")
            say(args, f"run {number}, {which}: {made.failure or 'it ended well'}")

    asked = replace(settings, trace=None, count=None, flush="each")
    with progress(args, f"running {path}"):
        found = Shrinking(asked, once, path, told).run()
    sys.stdout.write(_text(found))
    return 1 if found.failure else 0


def _text(found: Found) -> str:
    if not found.failure:
        if not found.at_first:
            return "no fault came: another -D seed, or a higher -D rate (see docs/monitors.md)\n"
        return (
            f"it ended well with {counted(found.at_first, 'fault')}; try another -D seed, or a"
            f" higher -D rate\n{_faults(found.fewest)}"
        )
    return (
        f"{lines(found.failure)}, with {counted(found.at_first, 'fault')} and with"
        f" {len(found.fewest)} of them ({counted(found.runs, 'run')}):\n{_faults(found.fewest)}"
        f"again: -m chaos -D only={lines(','.join(found.fewest))}\n"
    )


def _faults(faults: Mapping[str, str]) -> str:
    return "".join(f"fault {lines(number)}: {lines(what)}\n" for number, what in faults.items())
