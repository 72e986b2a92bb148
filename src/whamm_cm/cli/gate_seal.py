"""Options of ``whamm-cm gate`` about who vouches for a verdict: statements, and a second reader."""

from __future__ import annotations

import argparse
import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from whamm_cm.errors import UsageError

if TYPE_CHECKING:
    from whamm_cm.gate.model import Seal
    from whamm_cm.gate.policy import Policy

#: The last second of the year 9999: later ones have no date.
_LATEST = 253_402_300_799


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--time", metavar="TIME",
        help="the time of statements: seconds since 1970, or as 2027-03-01T12:00:00Z (default:"
        " $SOURCE_DATE_EPOCH, else none)",
    )  # fmt: skip
    parser.add_argument(
        "--verifier", metavar="URI", help="who judges, in statements (default: pkg:pypi/whamm-cm)"
    )
    parser.add_argument(
        "--cross-check", action="store_true",
        help="compare imports and exports with what wasm-tools on the PATH reads",
    )  # fmt: skip


def seal(args: argparse.Namespace, policy: Policy) -> Seal:
    """Raises UsageError for what is no time or URI."""
    from whamm_cm.gate.model import Seal

    given, name = args.time, "--time"
    if given is None:
        given, name = os.environ.get("SOURCE_DATE_EPOCH") or None, "SOURCE_DATE_EPOCH"
    time = None if given is None else _seconds(given, name)
    if args.verifier is None:
        return Seal(time=time, sources=policy.sources)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+", args.verifier):
        raise UsageError(
            f"--verifier {args.verifier[:100]!r}: expected a URI, as https://ci.example"
        )
    return Seal(args.verifier, time, policy.sources)


def _seconds(text: str, name: str) -> int:
    if re.fullmatch(r"[0-9]{1,12}", text) and int(text) <= _LATEST:
        return int(text)
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None or name != "--time":
            raise ValueError
        seconds = int(found.astimezone(UTC).timestamp())
        if seconds < 0:
            raise ValueError
        return seconds
    except (ValueError, OverflowError):
        form = ", or a time as 2027-03-01T12:00:00Z" if name == "--time" else ""
        raise UsageError(f"{name} {text[:60]!r}: expected seconds since 1970{form}") from None
