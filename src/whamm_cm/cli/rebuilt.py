"""``whamm-cm replay`` of another build, and what there is to say of replays."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from whamm_cm.cli.common import say, tell
from whamm_cm.cli.serve import seconds
from whamm_cm.errors import UsageError
from whamm_cm.render.safe import printable
from whamm_cm.render.words import counted

if TYPE_CHECKING:
    from whamm_cm.front.rebuilt import Differs, Rebuilt
    from whamm_cm.front.replay import Halt, Replay
    from whamm_cm.front.replay_probes import Probes
    from whamm_cm.run.host.world import Settings
    from whamm_cm.run.outcome import Trap
    from whamm_cm.trace.recorded import Recording

#: As `trace` has it, of a guest that a script has aborted.
_ABORTED = 134
#: Characters of a value that are shown, and calls of a kind.
_MOST, _CALLS = 2000, 20
#: Options for the host that is asked, with what they are where they are not given.
_HOST: dict[str, tuple[str, object]] = {
    "dir": ("--dir", []), "env": ("--env", []), "inherit_network": ("--inherit-network", False),
    "allow_host": ("--allow-host", None),
}  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("another build (calls matched by function and arguments)")
    group.add_argument(
        "--relaxed", action="store_true",
        help="match calls so, too, where APP.wasm is what was recorded",
    )  # fmt: skip
    group.add_argument(
        "--on-miss", choices=("fail", "default", "live"),
        help="what a call comes to that the recording does not have: the end (default), an error"
        " of its type or what is least of it (with -m chaos the default), or the real host",
    )  # fmt: skip
    group.add_argument(
        "--timeout", type=seconds, metavar="TIME",
        help="stop a guest that has not ended after so long, such as 30s; with --shrink of each"
        " replay (default there: 60s)",
    )  # fmt: skip
    group.add_argument(
        "--dir", action="append", default=[], metavar="HOST[::GUEST]",
        help="with --on-miss live: a directory of that host; repeatable",
    )  # fmt: skip
    group.add_argument(
        "--env", action="append", default=[], metavar="NAME[=VALUE]",
        help="with --on-miss live: a variable of it; repeatable",
    )  # fmt: skip
    group.add_argument(
        "--inherit-network", action="store_true",
        help="with --on-miss live: it has sockets, and looks up names",
    )  # fmt: skip
    group.add_argument(
        "--allow-host", action="append", metavar="HOST[:PORT]",
        help="with --on-miss live: requests go there and nowhere else; repeatable",
    )  # fmt: skip


def check(args: argparse.Namespace) -> None:
    """Raises UsageError for what does not go together."""
    _chaos(args)
    for name, (option, default) in _HOST.items():
        if args.on_miss != "live" and getattr(args, name) != default:
            raise UsageError(f"{option} is of the host that --on-miss live asks; add that")


def _chaos(args: argparse.Namespace) -> None:
    """Faults lead a guest to where it has not been."""
    from whamm_cm.front.shrinking import MONITOR

    args.relaxed |= MONITOR in args.monitor
    args.on_miss = args.on_miss or ("default" if MONITOR in args.monitor else "fail")


def wanted(args: argparse.Namespace, recording: Recording, data: bytes) -> bool:
    same = hashlib.sha256(data).hexdigest() == recording.sha256
    exact = same and not args.relaxed
    if exact and args.timeout is not None:
        raise UsageError(
            "--timeout is for another build: what was recorded ends as it did; --relaxed matches"
            " its calls so, too"
        )
    if exact and args.on_miss != "fail":
        raise UsageError(
            f"--on-miss {args.on_miss} is for another build, and this is what was recorded;"
            " --relaxed matches its calls so, too"
        )
    return args.relaxed or not same


def replay(
    args: argparse.Namespace, recording: Recording, data: bytes, path: str, probes: Probes | None
) -> Callable[[], int]:
    """Says what came of it, and returns the status."""
    from whamm_cm.front.rebuilt import replay_rebuilt

    found = replay_rebuilt(
        recording, data, path, on_miss=args.on_miss, settings=_settings(args, recording),
        until=args.until, cache=args.cache, probes=probes, timeout=args.timeout,
    )  # fmt: skip
    return lambda: _conclude(args, path, found)


def _settings(args: argparse.Namespace, recording: Recording) -> Settings:
    from whamm_cm.run.host.world import Settings
    from whamm_cm.run.options import HostOptions, parse_dir, parse_env

    dirs = [parse_dir(text) for text in args.dir]
    env = [pair for pair in map(parse_env, args.env) if pair is not None]
    argv = recording.head.get("argv")
    words = tuple(map(str, argv)) if isinstance(argv, list) else ()
    return Settings(HostOptions(words, env, dirs, args.inherit_network), args.allow_host)


def _conclude(args: argparse.Namespace, path: str, found: Rebuilt) -> int:
    if not found.same:
        say(args, f"{path} is another build than was recorded")
    say_masked(args, found.masked)
    if found.left:
        return say_left(args, found)
    halt = found.halt
    if halt is not None and halt.why != "cut":
        say_halt(halt)
        return 1 if halt.diverged else 0
    _calls(args, found)
    if halt is not None:
        tell("the recording is cut off: what the guest put out is not compared")
    for one in found.differs:
        _differs(one)
    if found.trap is not None:
        say(args, f"the guest trapped: {printable(found.trap)}")
    if found.stopped:
        say(args, "the guest was stopped, as it was then")
    return 0 if found.good else 1


def _calls(args: argparse.Namespace, found: Rebuilt) -> None:
    """How many there were, and which are in one of the two runs only."""
    parts = [f"{counted(found.calls, 'call')} replayed"]
    if found.new:
        parts.append(f"{len(found.new)} of them new")
    if found.moved:
        parts.append(f"{found.moved} in another order")
    if found.unused:
        parts.append(f"{counted(len(found.unused), 'recorded call')} not made")
    if len(parts) == 1 and found.good:
        parts.append("all as recorded")
    say(args, ", ".join(parts))
    news = [f"new, {one.how}: call {one.number}: {one.text}" for one in found.new]
    for lines in (news, [f"not made: {text}" for text in found.unused]):
        _list(args, lines)


def _list(args: argparse.Namespace, lines: Sequence[str]) -> None:
    if args.quiet:
        return
    for line in lines[:_CALLS]:
        print(f"    {_cut(line)}", file=sys.stderr)
    if len(lines) > _CALLS:
        print(f"    … and {len(lines) - _CALLS} more", file=sys.stderr)


def _differs(one: Differs) -> None:
    tell(f"{one.what} is another" + (f", from byte {one.at} on" if one.at >= 0 else ""))
    _both(one.then, one.now)


def say_masked(args: argparse.Namespace, call: int) -> None:
    if call:
        say(
            args,
            f"call {call} was answered with stars in the place of a secret; from there on"
            " the guest may go another way (trace --record --secrets keep records secrets)",
        )


def say_left(args: argparse.Namespace, found: Replay | Rebuilt) -> int:
    """A script has ended the guest: its status."""
    say(args, f"{printable(found.left)}, after {counted(found.calls, 'call')}")
    return _ABORTED if found.status is None else found.status


def say_all(args: argparse.Namespace, calls: int) -> None:
    """Nothing stopped a replay, and nothing was another."""
    if args.until is not None:
        say(args, f"call {args.until} was not reached")
    say(args, f"{counted(calls, 'call')} replayed, all as recorded")


def say_halt(halt: Halt) -> None:
    """Where a replay stopped, and why."""
    if halt.why == "until":
        tell(f"stopped before call {halt.number}: {_cut(halt.actual)}")
    else:
        _tell(halt)
    if halt.trap is not None:
        _frames(halt.trap)


def _tell(halt: Halt) -> None:
    if halt.why == "cut":
        tell(f"the recording is cut off: it has no call {halt.number}; all before are as recorded")
        return
    what = {
        "call": "another call than was recorded",
        "result": "another result than was recorded",
        "fewer": "fewer calls than were recorded",
        "end": "another end than was recorded",
        "new": "the recording has no such call (--on-miss default or live goes on)",
    }[halt.why]
    tell(f"call {halt.number}: {what}")
    _both(halt.expected, halt.actual)


def _both(then: str, now: str) -> None:
    print(f"    recorded: {_cut(then)}", file=sys.stderr)
    print(f"    now:      {_cut(now)}", file=sys.stderr)


def _cut(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _MOST else f"{text[:_MOST]}… ({len(text)} characters)"


def _frames(trap: Trap) -> None:
    for frame in trap.frames:
        print(f"    at {printable(str(frame))}", file=sys.stderr)
