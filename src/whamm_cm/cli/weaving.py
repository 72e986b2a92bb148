"""The options that say what to weave, shared by ``trace`` and ``instrument``."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
import uuid
import zlib
from typing import TYPE_CHECKING

from whamm_cm.cli.common import check_place, display, progress, say
from whamm_cm.errors import InputError, InternalError, UsageError
from whamm_cm.render.words import counted, were

if TYPE_CHECKING:
    from whamm_cm.weave.api import Woven
    from whamm_cm.weave.plain import WovenModule
    from whamm_cm.weave.plan import Added, Plan, ScriptPlan, Selector, SinkName


#: Pages an agent never needs, and how many more numbers of pages there are.
_LEAST_MARK, _MARKS = 1024, 60_000
#: What fits the 1 MiB that a core instance may have on such hosts.
POOLED_COUNTERS = 40_000
#: So many more core instances than the original has are nothing to speak of.
_POOLED_INSTANCES = 3


def _limit(text: str) -> int:
    """A size limit of the command line: 0 to a million."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1000000")
    return value


_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m)")
_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9}


def _interval(text: str) -> int:
    """A time of the command line, in nanoseconds: ``0``, ``100ms``, ``1.5s``; at most a day."""
    match = _DURATION.fullmatch(text)
    value = round(float(match[1]) * _UNITS[match[2]]) if match is not None else -1
    if text == "0":
        return 0
    if not 1 <= value <= 86_400 * 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 1s, 100ms or 0")
    return value


def add_options(parser: argparse.ArgumentParser, interval: str) -> None:
    """``interval``: the default of ``--interval``."""
    group = parser.add_argument_group("weaving")
    group.add_argument(
        "--interval", type=_interval, default=interval, metavar="TIME",
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


def selector(text: str) -> Selector:
    """The selector of ``-e trace=SET`` and ``--trace SET``; ``*`` is everything."""
    from whamm_cm.wit.classes import SiteSet

    return SiteSet.parse("all" if text == "*" else text)


def make_plan(
    args: argparse.Namespace,
    sink: SinkName,
    timed: bool,
    trace: str | None,
    count: str | None,
    scripts: ScriptPlan | None = None,
) -> Plan:
    from whamm_cm.weave.plan import Plan, fresh_nonce, nothing

    lined = sink in ("stderr", "logging")
    return Plan(
        nonce=(getattr(args, "nonce", None) or fresh_nonce()) if lined else "",
        lines=getattr(args, "lines_as", "packed"),
        trace=selector(trace) if trace is not None else nothing,
        count=selector(count) if count is not None else nothing,
        sink=sink,
        timed=timed,
        flush_each=args.flush == "each",
        live=args.flush == "live",
        multi_memory=args.multi_memory,
        max_string=args.max_string,
        max_list=args.max_list,
        show_secrets=args.show_secrets,
        max_core_instances=args.max_core_instances,
        force=args.force,
        script=f"trace={trace};count={count}" + ("" if scripts is None else f";{scripts.text}"),
        scripts=scripts,
        compat=getattr(args, "compat", None) == "whamm",
        interval_ns=args.interval,
        last_words=True,
    )


def mark_of(data: bytes) -> int:
    """The ``mark`` of a plan: always the same for an input on this machine, so that compiled code
    is found again, and nothing that the input's author knows."""
    known = f"{uuid.getnode()} {getattr(os, 'getuid', int)()}".encode()
    return _LEAST_MARK + zlib.crc32(hashlib.sha256(known + data).digest()) % _MARKS


def is_module(data: bytes) -> bool:
    """Whether the input is a plain core module."""
    return data[:8] == b"\0asm\1\0\0\0"


def weave_module_checked(
    args: argparse.Namespace, data: bytes, path: str, plan: Plan
) -> WovenModule:
    """The same for a plain core module."""
    from whamm_cm.run.engine import validate_module
    from whamm_cm.weave.plain import weave_module

    with progress(args, f"weaving {display(path)}"):
        woven = weave_module(data, plan, display(path))
        fault = validate_module(woven.wasm)
        if fault is not None:
            _blame(args, woven.added, display(path), fault, validate_module(data))
    _say_skipped(args, woven.added)
    return woven


def weave_checked(args: argparse.Namespace, data: bytes, path: str, plan: Plan) -> Woven:
    """Weave and validate; an invalid component is never handed out."""
    from whamm_cm.binary.decode import decode
    from whamm_cm.run.engine import validate_component, validate_module
    from whamm_cm.weave.api import weave
    from whamm_cm.weave.verify import own_modules, skeleton

    what = display(path)
    with progress(args, f"weaving {what}"):
        woven = weave(data, plan, what)
        ours = own_modules(woven.component)
        fault = next(filter(None, map(validate_module, ours)), None)
        if fault is not None:
            _blame(args, woven.added, what, fault, None)
        fault = validate_component(skeleton(woven.component))
        if fault is not None:
            original = validate_component(skeleton(decode(data, what)))
            _blame(args, woven.added, what, fault, original)
    _say_skipped(args, woven.added)
    return woven


def _say_skipped(args: argparse.Namespace, added: Added) -> None:
    if args.verbose:
        for title, reason in added.skipped:
            say(args, f"not woven: {title}: {reason}")
        for rule, reason, count in added.unmatched:
            say(args, f"no match: {rule}: {reason}" + (f" ({count} sites)" if count else ""))
        for place, section in added.dropped:
            say(args, f"{place}: custom section {section} left out, for code has moved")
    else:
        _say_briefly(args, added)
    # Who traces sees at once when a host has no room; who instruments will not be there.
    if added.core_instances > _POOLED_INSTANCES and (args.verbose or args.command == "instrument"):
        say(
            args,
            f"{added.instances_before} → {added.instances_after} core instances: hosts with pooled"
            " instances run fewer at a time; raise WASMTIME_POOLING_TOTAL_CORE_INSTANCES (wash),"
            " -O pooling-total-core-instances (wasmtime), or select fewer functions",
        )
    if added.globals > POOLED_COUNTERS:
        say(
            args,
            f"{added.globals} counters in globals: more than {POOLED_COUNTERS} in one core instance"
            " are refused by hosts with pooled instances; leave out --no-multi-memory, or narrow"
            " the match",
        )


def _say_briefly(args: argparse.Namespace, added: Added) -> None:
    if added.skipped:
        say(args, f"{were(len(added.skipped), 'function')} left alone (-v lists them)")
    idle = list(dict.fromkeys(rule for rule, _, count in added.unmatched if not count))
    if idle:
        many = "" if len(idle) == 1 else f" and {len(idle) - 1} more (-v lists them)"
        say(args, f"{idle[0]}{many}: no function of the component matches")


def _blame(
    args: argparse.Namespace, added: Added, what: str, fault: str, original: str | None
) -> None:
    """Say whose fault it is that what was woven is refused, ``original`` being why the original
    is.  If this wasmtime only lacks something, other hosts may well have it."""
    from whamm_cm.run.engine import is_lack

    if original is None:
        raise InternalError(f"the woven copy of {what} is not valid: {fault}; please report this")
    if not is_lack(original):
        raise InputError(f"{what} is not valid on this wasmtime: {original}")
    added.unvalidated = original
    say(args, f"not validated here, for this wasmtime refuses the original, too: {original}")


def describe(woven: Woven | WovenModule) -> str:
    """One sentence about what was added."""
    added = woven.added
    core = ""
    if added.woven_modules:
        core = (
            f"{counted(added.core_sites, 'opcode site')} in"
            f" {counted(added.woven_modules, 'core module')} with"
            f" {counted(added.counters, 'counter')} woven"
        )
        if not added.instances_after:
            return core  # of a core module, which has no functions at boundaries
        core += "; "
    return core + (
        f"{counted(added.sites, 'function')} woven: {counted(added.wrappers, 'wrapper')} in"
        f" {counted(added.probe_modules, 'probe module')}, {counted(added.agents, 'agent')};"
        f" {counted(added.core_modules, 'core module')} added,"
        f" {added.instances_before} → {counted(added.instances_after, 'core instance')}"
    )


def check_output(path: str) -> None:
    """Binary output does not belong on a terminal; a place is tried before the work."""
    if path != "-":
        check_place(path)
    elif sys.stdout.isatty():
        raise UsageError("the woven component is binary; name a file with -o, or pipe it")
    if path != "-":
        check_place(path)
