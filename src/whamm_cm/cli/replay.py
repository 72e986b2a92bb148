"""``whamm-cm replay``: a recorded run once more."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from whamm_cm.cli import logs, outputs, rebuilt, replay_later, scripts, shrink, weaving
from whamm_cm.cli.common import INPUT, keep_inputs, progress, read_input, say
from whamm_cm.errors import RunError, UsageError
from whamm_cm.render.safe import printable

if TYPE_CHECKING:
    from whamm_cm.front.replay import Replay
    from whamm_cm.front.replay_probes import Probes
    from whamm_cm.trace.recorded import Recording


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
    rebuilt.add_options(parser)
    weaving.add_choice(parser)
    outputs.add_options(parser, "stderr", "the start", scripts=True)
    scripts.add_options(parser)
    shrink.add_options(parser)
    weaving.add_options(parser, "1s")
    parser.set_defaults(run=run, engine=None, live=False, live_at=None)


def _number(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 1 << 63:
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a call: 1, 2, 3 …")
    return int(text)


def run(args: argparse.Namespace) -> int:
    from whamm_cm.trace.recorded import read_recording

    outputs.settle(args)
    rebuilt.check(args)
    shrink.check_replay(args)
    recording = read_recording(args.recording, logs.weave_of(args))
    for warning in recording.warnings:
        say(args, warning)
    path = args.app or recording.file
    if not path:
        raise UsageError(f"{args.recording} does not say which file was recorded; name APP.wasm")
    keep_inputs([args.compose, args.output, args.html], [path])
    data = read_input(path)
    if args.compose is not None:
        from whamm_cm.cli.compose import compose

        if _probed(args):
            raise UsageError("--compose runs nothing; leave out the options that ask for probes")
        return compose(args, recording, data, path)
    if replay_later.wanted(data, path):
        return replay_later.replay(args, recording, data, path, _probed(args))
    if args.shrink:
        return shrink.replay_shrink(args, recording, data, path, weaving.asked(args))
    if not _probed(args):
        with progress(args, f"compiling {path}"):
            conclude = _replay(args, recording, data, path, None)
        return conclude()
    with _probes(args, path, data, len(recording.lives) > 1) as probes:
        conclude = _replay(args, recording, data, path, probes)
    return conclude()


def _replay(
    args: argparse.Namespace, recording: Recording, data: bytes, path: str, probes: Probes | None
) -> Callable[[], int]:
    """Says what came of it, and returns the status."""
    if rebuilt.wanted(args, recording, data):
        return rebuilt.replay(args, recording, data, path, probes)
    from whamm_cm.front.replay import replay

    found = replay(recording, data, path, until=args.until, cache=args.cache, probes=probes)
    return lambda: _conclude(args, found)


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


def _conclude(args: argparse.Namespace, found: Replay) -> int:
    rebuilt.say_masked(args, found.masked)
    halt = found.halt
    if found.left:
        return rebuilt.say_left(args, found)
    if halt is None:
        if found.trap is not None:
            say(args, f"the guest trapped, as it did then: {printable(found.trap)}")
        if found.stopped:
            say(args, "the guest was stopped, as it was then")
        rebuilt.say_all(args, found.calls)
        return 0
    rebuilt.say_halt(halt)
    return 1 if halt.diverged else 0
