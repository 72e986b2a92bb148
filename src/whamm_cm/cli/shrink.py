"""``whamm-cm trace -m chaos --shrink``: the fewest faults with which a program fails."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from whamm_cm.cli import serve
from whamm_cm.cli.common import progress, read_input, say
from whamm_cm.errors import UsageError
from whamm_cm.render.safe import lines
from whamm_cm.render.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from whamm_cm.front.settings import Settings
    from whamm_cm.front.shrinking import Attempt, Found
    from whamm_cm.run.options import HostOptions

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
    """Raises UsageError for options that do not go with these."""
    if not args.shrink:
        if args.expect is not None:
            raise UsageError("--expect is for --shrink; add that, and -m chaos")
        return
    from whamm_cm.front.shrinking import MONITOR

    if external or args.engine not in (None, "embedded"):
        raise UsageError(
            "--shrink runs the guest on the embedded engine; leave out -- and --engine"
        )
    if MONITOR not in args.monitor:
        raise UsageError(f"--shrink finds faults of the monitor {MONITOR}; add -m {MONITOR}")
    for name, (option, default) in _SHOWING.items():
        if getattr(args, name) != default:
            raise UsageError(f"{option} shows one run, --shrink makes many; leave one of them out")
    if any(text.startswith("trace=") for text in args.expr):
        raise UsageError("-e trace= shows one run, --shrink makes many; leave one of them out")
    serving = "--http" if args.http else serve.given(args, but="timeout")
    if serving is not None:
        raise UsageError(f"{serving} is for HTTP handlers, which --shrink does not run")


def trace_shrink(args: argparse.Namespace, path: str, host: HostOptions, settings: Settings) -> int:
    """0 where nothing fails, 1 where something does."""
    from whamm_cm.front.shrinking import Shrinking
    from whamm_cm.front.tracing import Tracing

    data = read_input(path)
    tracing = Tracing(
        host.args[1:], dict(host.env), host.dirs, host.inherit_network, args.invoke, b"", True,
        args.stub_imports, False, args.timeout or _LIMIT, None, True,
    )  # fmt: skip
    asked = replace(settings, trace=None, count=None, flush="each")
    expected = (args.expect or "").encode()

    def told(number: int, only: Sequence[str] | None, made: Attempt) -> None:
        if args.verbose:
            which = "by chance" if only is None else counted(len(made.faults), "fault")
            say(args, f"run {number}, {which}: {made.failure or 'it ended well'}")

    with progress(args, f"running {path}"):
        found = Shrinking(data, asked, tracing, path, expected, told).run()
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
