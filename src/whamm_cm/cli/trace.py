"""``whamm-cm trace``: strace for components."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from whamm_cm.cli import live, outputs, record, scripts, serve, shrink, telemetry, weaving
from whamm_cm.cli.common import INPUT, progress, read_input, say
from whamm_cm.cli.recorder import Recorder
from whamm_cm.errors import RunError, UsageError
from whamm_cm.registry.names import is_image
from whamm_cm.render.words import counted

if TYPE_CHECKING:
    from whamm_cm.front.settings import Settings
    from whamm_cm.front.woven import Woven
    from whamm_cm.run.options import HostOptions
    from whamm_cm.run.outcome import Outcome

_USAGE = """\
whamm-cm trace [options] APP.wasm [guest arguments]
       whamm-cm trace [options] -- COMMAND ... APP.wasm ..."""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "trace",
        help="run a component and log what it calls",
        usage=_USAGE,
        description="Run APP.wasm and log the calls at its boundaries on stderr: under the embedded"
        " engine, or where it needs WASI 0.3 on the wasmtime that is installed. With --, run any"
        " COMMAND instead, with a woven copy in the place of APP.wasm.",
        allow_abbrev=False,
    )
    weaving.add_choice(parser)
    parser.add_argument(
        "--compat", choices=("whamm",),
        help="print what scripts print and report on standard output, as whamm does",
    )  # fmt: skip
    parser.add_argument(
        "--component", metavar="PATH",
        help="with --: the component to weave. If no argument of COMMAND is that file, it is woven"
        " where it lies while COMMAND runs, and put back",
    )  # fmt: skip
    outputs.add_options(parser, "stderr", "the start", scripts=True)
    live.add_options(parser)
    scripts.add_options(parser)
    shrink.add_options(parser)
    _add_running(parser)
    serve.add_options(parser)
    record.add_options(parser)
    weaving.add_options(parser, "1s")
    parser.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="APP.wasm [ARG...]",
        help=f"the component ({INPUT}) and what it gets as arguments",
    )  # fmt: skip
    parser.set_defaults(run=run)


def _add_running(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("running (without --)")
    group.add_argument(
        "--engine", choices=("embedded", "wasmtime", "wizard"),
        help="what to run it on: the embedded engine (default); the command wasmtime, which is"
        " the default for what is made for WASI 0.3; or the command wizeng of the Wizard engine,"
        " which runs core modules as they are, with scripts as monitors",
    )  # fmt: skip
    group.add_argument(
        "--invoke", metavar="CALL",
        help="call this export instead of wasi:cli/run: 'add(1, 2)', with values in WAVE",
    )  # fmt: skip
    group.add_argument(
        "--dir", action="append", default=[], metavar="HOST[::GUEST]",
        help="let the guest use a directory, as GUEST; repeatable",
    )  # fmt: skip
    group.add_argument(
        "--env", action="append", default=[], metavar="NAME[=VALUE]",
        help="set a variable for the guest, or pass on our own; repeatable",
    )  # fmt: skip
    group.add_argument(
        "--inherit-network", action="store_true",
        help="let the guest use sockets and look up names",
    )  # fmt: skip
    group.add_argument(
        "--stub-imports", action="store_true",
        help="let imports that nobody provides trap when called, instead of refusing to run",
    )  # fmt: skip
    group.add_argument(
        "--no-cache", dest="cache", action="store_false",
        help="compile anew (default: keep compiled code)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    words: list[str] = args.words
    external = bool(words) and words[0] == "--"
    if external:
        words = words[1:]
    if not words:
        raise UsageError("no component given (see `whamm-cm trace --help`)")
    record.check(args, external and not _is_component(words[0]))
    outputs.settle(args)
    shrink.check(args, external and not _is_component(words[0]))
    settings = weaving.asked(args)
    if external and not _is_component(words[0]):
        from whamm_cm.cli.external import trace_command

        return trace_command(args, words, settings)
    if args.component is not None:
        raise UsageError("--component is for a command behind --; name the component itself here")
    if args.shrink:
        data = read_input(words[0])
        http = args.http or _only_serves(args, data, words[0])
        return shrink.trace_shrink(args, words[0], data, _host(args, words), settings, http)
    return _itself(args, words, settings)


def _is_component(path: str) -> bool:
    """``trace -c -- app.wasm`` means the component or core module, not a command of that name."""
    if is_image(path):
        return True
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"\0asm"
    except OSError:
        return False


def _host(args: argparse.Namespace, words: Sequence[str]) -> HostOptions:
    """What the guest ``words[0]`` may see."""
    from whamm_cm.front.tracing import guest_name
    from whamm_cm.run.options import HostOptions, parse_dir, parse_env

    dirs = [parse_dir(text) for text in args.dir]
    env = [pair for pair in map(parse_env, args.env) if pair is not None]
    return HostOptions((guest_name(words[0]), *words[1:]), env, dirs, args.inherit_network)


def _only_serves(args: argparse.Namespace, data: bytes, path: str) -> bool:
    """Whether it is an HTTP handler and no command, and no export of it is to be called."""
    if args.invoke is not None or b"wasi:http/incoming-handler@0.2." not in data:
        return False
    from whamm_cm.analysis.demands import world
    from whamm_cm.component.decode import decode

    found = world(decode(data, path))
    return found.handler and not found.command


def _itself(args: argparse.Namespace, words: Sequence[str], settings: Settings) -> int:
    """The component that is named: recorded, on another engine, served, or run."""
    path = words[0]
    data = read_input(path)
    host = _host(args, words)
    elsewhere = args.engine == "wasmtime" or (args.engine is None and b"@0.3." in data)
    if args.engine == "wizard":
        from whamm_cm.cli.wizard import trace_wizard

        return trace_wizard(args, path, data, host, settings)
    if elsewhere:  # most have no such name anywhere, and need no closer look
        from whamm_cm.cli.later import trace_later

        status = trace_later(args, path, data, host, settings)
        if status is not None:
            return status
    if args.record is not None:
        return record.record(args, path, data, host, args.http or _only_serves(args, data, path))
    if args.http or _only_serves(args, data, path):
        return serve.trace_http(args, path, data, host, settings)
    option = serve.given(args)
    if option is not None:
        raise UsageError(f"{option} is for HTTP handlers; --http serves {path} as one")
    return _embedded(args, path, data, host, settings)


def _embedded(
    args: argparse.Namespace, path: str, data: bytes, host: HostOptions, settings: Settings
) -> int:
    from whamm_cm.front.running import Running, mark_of, run_woven

    script = scripts.checked(args, settings)
    finder = scripts.line_finder(args.lines, data, path, args.debug)
    woven = weaving.weave(args, data, path, settings.plan("host", script, mark_of(data)))
    if args.verbose:
        say(args, woven.describe())
    # The embedded engine's clock starts with the guest.
    options = replace(
        outputs.render_options(args, finder),
        base_ns=0, tags=woven.report.agents > 1, app=(path, data),
    )  # fmt: skip

    formats = outputs.formats(args, script is not None and script.reports)
    recorder = Recorder(formats, options, woven.table, telemetry.sending(args, path))
    compiling = ExitStack()
    compiling.enter_context(progress(args, f"compiling {path}"))
    running = Running(host, args.invoke, args.stub_imports, args.cache, compiling.close)
    try:
        outcome = run_woven(woven, running, recorder.feed)
        if outcome.trap is not None:
            recorder.trapped(outcome.trap)
    except (RunError, UsageError):
        recorder.abandon()
        raise
    finally:
        compiling.close()
        recorder.finish()
        scripts.say_notes(args, finder)
    return _conclude(args, outcome, woven, recorder)


def _conclude(args: argparse.Namespace, outcome: Outcome, woven: Woven, recorder: Recorder) -> int:
    from whamm_cm.cli.backtrace import show_trap

    if outcome.result is not None:
        print(outcome.result, flush=True)
    if recorder.losses:
        say(args, recorder.losses.sentence())
    if outcome.trap is not None:
        show_trap(outcome.trap, woven.inner, recorder, args.verbose > 0)
    if outcome.interrupted:
        say(args, f"interrupted; {counted(recorder.count, 'record')} had left the guest")
    return outcome.status
