"""``whamm-cm replay``: a recorded run once more."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from whamm_cm.cli import logs, outputs, scripts, weaving
from whamm_cm.cli.common import INPUT, progress, read_input, say, tell
from whamm_cm.errors import RunError, UsageError
from whamm_cm.render.safe import printable
from whamm_cm.render.words import counted

if TYPE_CHECKING:
    from whamm_cm.front.replay import Halt, Replay
    from whamm_cm.front.replay_probes import Probes
    from whamm_cm.run.outcome import Trap
    from whamm_cm.trace.recorded import Recording

#: It went another way than was recorded.
_DIVERGED = 1
#: As `trace` has it, of a guest that a script has aborted.
_ABORTED = 134
#: Characters of a value that are shown.
_MOST = 2000


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "replay",
        help="run a recorded run again",
        description="Run again what `trace --record` has recorded: all that the component asks for"
        " is answered from the recording, and nothing else of this machine is there for it. Each"
        " call is compared with the recorded one. With -e, -s, -m, -c, -f, -o and the like, probes"
        " are woven into the component first, and tell of the replay what `trace` tells of a run.",
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
    logs.add_options(parser)
    parser.add_argument(
        "--compose", metavar="OUT",
        help="do not run it: write a component of the application and all that answers it, which"
        " imports nothing, to OUT",
    )  # fmt: skip
    parser.add_argument(
        "--no-cache", dest="cache", action="store_false",
        help="compile anew (default: keep compiled code)",
    )  # fmt: skip
    weaving.add_choice(parser)
    outputs.add_options(parser, "stderr", "the start", scripts=True)
    scripts.add_options(parser)
    weaving.add_options(parser, "1s")
    parser.set_defaults(run=run, engine=None, live=False, live_at=None)


def _number(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 1 << 63:
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a call: 1, 2, 3 …")
    return int(text)


def run(args: argparse.Namespace) -> int:
    from whamm_cm.trace.recorded import read_recording

    outputs.settle(args)
    recording = read_recording(args.recording, logs.weave_of(args))
    for warning in recording.warnings:
        say(args, warning)
    path = args.app or recording.file
    if not path:
        raise UsageError(f"{args.recording} does not say which file was recorded; name APP.wasm")
    data = read_input(path)
    if args.compose is not None:
        from whamm_cm.cli.compose import compose

        if _probed(args):
            raise UsageError("--compose runs nothing; leave out the options that ask for probes")
        return compose(args, recording, data, path)
    if not _probed(args):
        with progress(args, f"compiling {path}"):
            found = _replay(args, recording, data, path, None)
        return _conclude(args, path, found)
    with _probes(args, path, data, len(recording.lives) > 1) as probes:
        found = _replay(args, recording, data, path, probes)
    return _conclude(args, path, found)


def _replay(
    args: argparse.Namespace, recording: Recording, data: bytes, path: str, probes: Probes | None
) -> Replay:
    from whamm_cm.front.replay import replay

    return replay(recording, data, path, until=args.until, cache=args.cache, probes=probes)


#: Options that ask for probes: by these a replay is that of a woven copy.
_ASKING = (
    "expr", "count", "script", "monitor", "summary", "both", "format", "output", "html", "otlp",
)  # fmt: skip


def _probed(args: argparse.Namespace) -> bool:
    return any(map(args.__getattribute__, _ASKING)) or args.by != "function" or args.percentiles


@contextmanager
def _probes(args: argparse.Namespace, path: str, data: bytes, tags: bool) -> Iterator[Probes]:
    """The woven copy; what its probes record goes where ``trace`` sends it.  ``tags``: there are
    several instances."""
    from whamm_cm.cli import telemetry
    from whamm_cm.cli.recorder import Recorder
    from whamm_cm.front.replay_probes import Probes, replay_plan

    settings = weaving.asked(args)
    script = scripts.checked(args, settings)
    finder = scripts.line_finder(args.lines, data, path, args.debug)
    woven = weaving.weave(args, data, path, replay_plan(settings, script, data))
    if args.verbose:
        say(args, woven.describe())
    options = replace(
        outputs.render_options(args, finder),
        base_ns=0, tags=tags or woven.report.agents > 1, app=(path, data),
    )  # fmt: skip
    formats = outputs.formats(args, script is not None and script.reports)
    recorder = Recorder(formats, options, woven.table, telemetry.sending(args, path))
    try:
        yield Probes(woven, recorder.feed)
        if recorder.losses:
            say(args, recorder.losses.sentence())
    except (RunError, UsageError):
        recorder.abandon()
        raise
    finally:
        recorder.finish()
        scripts.say_notes(args, finder)


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
    if found.left:
        say(args, f"{printable(found.left)}, after {counted(found.calls, 'call')}")
        return _ABORTED if found.status is None else found.status
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
