"""``whamm-cm instrument --record``: a component that records itself."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from whamm_cm.errors import UsageError

if TYPE_CHECKING:
    from whamm_cm.front.settings import Settings
    from whamm_cm.front.woven import Woven
    from whamm_cm.weave.plan import Plan

#: Options that say otherwise what is woven, or where it goes.
_OTHERS = {
    "trace": "--trace", "count": "--count", "expr": "-e", "script": "-s", "monitor": "-m",
    "engine": "--engine", "show_secrets": "--show-secrets",
}  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--record", action="store_true",
        help="record all that passes between it and the host, with values whole: `whamm-cm replay`"
        " runs it again from the log",
    )  # fmt: skip
    parser.add_argument(
        "--secrets", choices=("mask", "keep"), default="mask",
        help="with --record: stars in the place of secrets, or themselves (default: mask)",
    )  # fmt: skip


def check(args: argparse.Namespace, settings: Settings) -> None:
    """Raises UsageError for what does not go together."""
    if not args.record:
        if args.secrets != "mask":
            raise UsageError(f"--secrets {args.secrets} is for --record")
        return
    for name, option in _OTHERS.items():
        if getattr(args, name):
            raise UsageError(f"--record records all that passes; leave out {option}")
    if settings.sample > 1:
        raise UsageError("--record records all that passes; leave out --sample")
    if settings.lines == "json":
        raise UsageError(
            "--record writes packed lines, which hold values of any size; leave out --lines json"
        )
    if settings.sink not in (None, "stderr", "logging"):
        raise UsageError(f"--record writes to a log; --sink {settings.sink} is none")


def planned(args: argparse.Namespace, settings: Settings, data: bytes, plan: Plan) -> Plan:
    """``plan``, or that of a recording."""
    if not args.record:
        return plan
    from whamm_cm.front.recording_weave import recording_plan

    return recording_plan(settings, data, args.app, args.secrets, plan.sink)


def check_woven(args: argparse.Namespace, woven: Woven) -> None:
    if args.record:
        from whamm_cm.front.recording_weave import check_recording

        check_recording(woven)
