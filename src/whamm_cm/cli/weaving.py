"""The options that say what to weave, shared by ``trace`` and ``instrument``."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from whamm_cm.cli import scripts
from whamm_cm.cli.common import display, progress, say
from whamm_cm.errors import UsageError
from whamm_cm.files import check_place
from whamm_cm.registry.names import is_target

if TYPE_CHECKING:
    from whamm_cm.front.settings import Settings
    from whamm_cm.front.woven import Woven
    from whamm_cm.weave.plan import Plan


def _limit(text: str) -> int:
    """A size limit of the command line: 0 to a million."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1000000")
    return value


#: What strace's ``-e`` takes; no script is without braces.
_WORD = re.compile(r"[\w%!]+(=[^{}]*)?")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m)")
_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9}


def duration(text: str) -> int:
    """A time of the command line, in nanoseconds: ``0``, ``100ms``, ``1.5s``; at most a day."""
    match = _DURATION.fullmatch(text)
    value = round(float(match[1]) * _UNITS[match[2]]) if match is not None else -1
    if text == "0":
        return 0
    if not 1 <= value <= 86_400 * 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 1s, 100ms or 0")
    return value


def _sample(text: str) -> int:
    """``1/N`` of the command line: of one request in N."""
    one, slash, many = text.partition("/")
    if (one.strip(), slash) != ("1", "/") or not many.strip().isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not one in so many, such as 1/100")
    if not 1 <= int(many) <= 1_000_000_000:
        raise argparse.ArgumentTypeError(f"{text!r}: from 1/1 to 1/1000000000")
    return int(many)


def add_choice(parser: argparse.ArgumentParser) -> None:
    """What to log of a run, beside the display options."""
    parser.add_argument(
        "-e", "--expr", action="append", default=[], metavar="trace=SET|SCRIPT",
        help="trace=SET says what to log: a list of classes (%%net), patterns (wasi:io/*,"
        " wasi:io/*#*.drop), and either behind ! to take it out (default: all; with scripts:"
        " nothing). Anything else is a script to weave; repeatable",
    )  # fmt: skip
    parser.add_argument("--count", metavar="SET", help="what to count only; a SET as of -e")
    parser.add_argument(
        "--no-time", dest="time", action="store_false",
        help="read no clock: no times, and less cost per call",
    )  # fmt: skip
    parser.add_argument(
        "--lines", action="store_true",
        help="show source lines in what scripts report, from the DWARF in APP.wasm (slow)",
    )  # fmt: skip
    parser.add_argument(
        "--html", metavar="FILE", help="also make a page of the run, to be opened by a browser"
    )


def add_options(parser: argparse.ArgumentParser, interval: str) -> None:
    """``interval``: the default of ``--interval``.  What only one of the commands can choose has
    its default here."""
    parser.set_defaults(sink=None, nonce=None, lines_as="packed", compat=None)
    group = parser.add_argument_group("weaving")
    group.add_argument(
        "--interval", type=duration, default=interval, metavar="TIME",
        help="how often what scripts and monitors count leaves the guest while it runs, such as"
        f" 100ms; 0: when an export returns only (default: {interval})",
    )  # fmt: skip
    group.add_argument(
        "--flush", choices=("full", "live", "each"), default="live",
        help="when records leave the guest: in full blocks; also before calls that wait and, with"
        " time stamps, a few milliseconds after they were made; or each one at once, so that"
        " none is lost in a crash (default: live)",
    )  # fmt: skip
    group.add_argument(
        "--max-string", type=_limit, default=256, metavar="N",
        help="bytes to record of each string and list<u8> (default: 256)",
    )  # fmt: skip
    group.add_argument(
        "--max-list", type=_limit, default=32, metavar="N",
        help="elements to record of each other list (default: 32)",
    )  # fmt: skip
    group.add_argument(
        "--sample", type=_sample, default=1, metavar="1/N",
        help="record one request (a call of an export) in N with all that is below it, chosen by"
        " chance in the guest; counters and scripts see all (default: 1/1)",
    )  # fmt: skip
    group.add_argument(
        "--show-secrets", action="store_true",
        help="record the values of variables, configuration, secrets and secret HTTP headers,"
        " too (default: their lengths)",
    )  # fmt: skip
    group.add_argument(
        "--no-multi-memory", dest="multi_memory", action="store_false",
        help="weave for hosts without multi-memory, such as jco and Node 20 (slower)",
    )  # fmt: skip
    group.add_argument(
        "--max-core-instances", type=_limit, metavar="N",
        help="fail if the woven component has more core instances than N (default: no limit)",
    )  # fmt: skip
    group.add_argument(
        "--force",
        action="store_true",
        help="also take a component that is instrumented already",
    )


def settings(
    args: argparse.Namespace, trace: str | None, count: str | None, texts: Sequence[str]
) -> Settings:
    """What the options ask for; ``texts``: the scripts given with ``-e``."""
    from whamm_cm.front.settings import Settings

    return Settings(
        trace=trace,
        count=count,
        scripts=scripts.sources(args, texts),
        libraries=scripts.libraries(args.lib),
        **scripts.parameters(args),
        sink=args.sink,
        timed=args.time,
        flush=args.flush,
        interval_ns=args.interval,
        max_string=args.max_string,
        max_list=args.max_list,
        show_secrets=args.show_secrets,
        multi_memory=args.multi_memory,
        max_core_instances=args.max_core_instances,
        force=args.force,
        nonce=args.nonce or "",
        lines=args.lines_as,
        compat=args.compat == "whamm",
        sample=args.sample,
        engine="wizard" if args.engine == "wizard" else None,
    )


def _trace_set(args: argparse.Namespace, scripted: bool) -> str | None:
    """The SET of the last ``-e trace=``; else the default, or nothing beside ``--count`` and
    scripts, unless a summary of calls is asked for."""
    from whamm_cm.wit.classes import DEFAULT

    calls = args.summary or args.both or not scripted
    chosen = DEFAULT if calls and args.count is None else None
    for text in args.expr:
        if text.startswith("trace="):
            chosen = text.partition("=")[2]
        elif _WORD.fullmatch(text):
            raise UsageError(
                f"-e {text}: expected -e trace=SET, such as -e trace=%net, or a script"
            )
    return chosen


def asked(args: argparse.Namespace) -> Settings:
    """What the options of ``trace`` ask for.  Raises UsageError."""
    texts = [t for t in args.expr if not t.startswith("trace=") and not _WORD.fullmatch(t)]
    scripted = bool(texts or args.script or args.monitor)
    if args.compat is not None and not scripted:
        raise UsageError("--compat is for scripts; add one with -s or -e")
    return settings(args, _trace_set(args, scripted), args.count, texts)


def weave(args: argparse.Namespace, data: bytes, path: str, plan: Plan) -> Woven:
    """A woven copy of the input ``path``, with what there is to say about it."""
    from whamm_cm.front.woven import notes, pooled, woven

    with progress(args, f"weaving {display(path)}"):
        found = woven(data, plan, display(path))
    # Who traces sees at once when a host has no room; who instruments will not be there.
    instances = args.verbose or args.command == "instrument"
    for note in (*notes(found.report, args.verbose > 0), *pooled(found.report, instances)):
        say(args, note)
    return found


def check_output(path: str) -> None:
    """Binary output does not belong on a terminal; a place is tried before the work."""
    if path != "-" and is_target(path):
        from whamm_cm.registry.push import check

        check(path)
    elif path != "-":
        check_place(path)
    elif sys.stdout.isatty():
        raise UsageError("the woven component is binary; name a file with -o, or pipe it")
