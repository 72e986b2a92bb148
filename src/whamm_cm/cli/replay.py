"""``whamm-cm replay``: a recorded run once more."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from whamm_cm.cli.common import INPUT, progress, read_input, say, tell
from whamm_cm.errors import UsageError
from whamm_cm.render.safe import printable
from whamm_cm.render.words import counted

if TYPE_CHECKING:
    from whamm_cm.front.replay import Halt, Replay
    from whamm_cm.run.outcome import Trap

#: It went another way than was recorded.
_DIVERGED = 1
#: Characters of a value that are shown.
_MOST = 2000


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "replay",
        help="run a recorded run again",
        description="Run again what `trace --record` has recorded: all that the component asks for"
        " is answered from the recording, and nothing else of this machine is there for it. Each"
        " call is compared with the recorded one.",
        allow_abbrev=False,
    )
    parser.add_argument("recording", metavar="FILE", help="the recording")
    parser.add_argument(
        "app", nargs="?", metavar="APP.wasm",
        help=f"the component ({INPUT}); by default the file that was recorded",
    )  # fmt: skip
    parser.add_argument(
        "--until", type=_number, metavar="N", help="stop before call N, and say where that is"
    )
    parser.add_argument(
        "--compose", metavar="OUT",
        help="do not run it: write a component of the application and all that answers it, which"
        " imports nothing, to OUT",
    )  # fmt: skip
    parser.add_argument(
        "--no-cache", dest="cache", action="store_false",
        help="compile anew (default: keep compiled code)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def _number(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 1 << 63:
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a call: 1, 2, 3 …")
    return int(text)


def run(args: argparse.Namespace) -> int:
    from whamm_cm.front.replay import replay
    from whamm_cm.trace.recorded import read_recording

    recording = read_recording(args.recording)
    for warning in recording.warnings:
        say(args, warning)
    path = args.app or recording.file
    if not path:
        raise UsageError(f"{args.recording} does not say which file was recorded; name APP.wasm")
    data = read_input(path)
    if args.compose is not None:
        from whamm_cm.cli.compose import compose

        return compose(args, recording, data, path)
    with progress(args, f"compiling {path}"):
        found = replay(recording, data, path, until=args.until, cache=args.cache)
    return _conclude(args, path, found)


def _conclude(args: argparse.Namespace, path: str, found: Replay) -> int:
    if not found.same:
        say(args, f"{path} is another build than was recorded")
    if found.masked:
        say(
            args,
            f"call {found.masked} was answered with stars in the place of a secret; from there on"
            " the guest may go another way (trace --record --secrets keep records secrets)",
        )
    halt = found.halt
    if halt is None:
        if found.trap is not None:
            say(args, f"the guest trapped, as it did then: {printable(found.trap)}")
        say(args, f"{counted(found.calls, 'call')} replayed, all as recorded")
        return 0
    if halt.why == "until":
        tell(f"stopped before call {halt.number}: {_cut(halt.actual)}")
    else:
        _tell(halt)
    if halt.trap is not None:
        _frames(halt.trap)
    return _DIVERGED if halt.diverged else 0


def _tell(halt: Halt) -> None:
    if halt.why == "cut":
        tell(f"the recording is cut off: it has no call {halt.number}; all before are as recorded")
        return
    what = {
        "call": "another call than was recorded",
        "result": "another result than was recorded",
        "fewer": "fewer calls than were recorded",
        "end": "another end than was recorded",
    }[halt.why]
    tell(f"call {halt.number}: {what}")
    print(f"    recorded: {_cut(halt.expected)}", file=sys.stderr)
    print(f"    now:      {_cut(halt.actual)}", file=sys.stderr)


def _cut(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _MOST else f"{text[:_MOST]}… ({len(text)} characters)"


def _frames(trap: Trap) -> None:
    for frame in trap.frames:
        print(f"    at {printable(str(frame))}", file=sys.stderr)
