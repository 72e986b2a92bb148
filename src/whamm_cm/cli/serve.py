"""``whamm-cm trace --http``: an HTTP handler served by the embedded engine."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from whamm_cm.cli import outputs, scripts, telemetry, weaving
from whamm_cm.cli.common import progress, read_input, say, tell
from whamm_cm.cli.pairs import read_pairs
from whamm_cm.cli.recorder import Recorder
from whamm_cm.errors import RunError, UsageError
from whamm_cm.render.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from whamm_cm.front.serving import Session
    from whamm_cm.front.settings import Settings
    from whamm_cm.front.woven import Woven
    from whamm_cm.run.options import HostOptions
    from whamm_cm.run.serving import Ended
    from whamm_cm.run.single import Answer, Request
    from whamm_cm.trace.records import Record

_ADDRESS = ("127.0.0.1", 8080)
#: Options that mean nothing elsewhere, with what they are where they are not given.
OPTIONS: dict[str, object] = {
    "addr": None, "request": None, "header": [], "data": None, "reuse": 1, "allow_host": None,
    "config": [], "keyvalue": [], "timeout": None, "propagate": False,
}  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("serving (HTTP handlers, WASI 0.2)")
    group.add_argument(
        "--http", action="store_true",
        help="serve APP.wasm, which is what is done with a component that only handles HTTP",
    )  # fmt: skip
    group.add_argument(
        "--addr", metavar="HOST:PORT",
        help="where to listen (default: 127.0.0.1:8080; port 0: any that is free)",
    )  # fmt: skip
    group.add_argument(
        "--request", metavar="'METHOD /PATH'",
        help="have one request answered instead, without a socket: the body of the response goes to"
        " standard output",
    )  # fmt: skip
    group.add_argument(
        "-H", dest="header", action="append", default=[], metavar="'NAME: VALUE'",
        help="a header of --request; repeatable",
    )  # fmt: skip
    group.add_argument(
        "-d", dest="data", metavar="TEXT|@FILE", help="the body of --request; @- is standard input"
    )
    group.add_argument(
        "--reuse", type=_positive, default=1, metavar="N",
        help="let an instance answer up to N requests, one after the other (default: 1)",
    )  # fmt: skip
    group.add_argument(
        "--allow-host", action="append", metavar="HOST[:PORT]",
        help="let requests of the guest go there, also *.example.com, and nowhere else; repeatable",
    )  # fmt: skip
    group.add_argument(
        "--config", action="append", default=[], metavar="KEY=VALUE|@FILE",
        help="what wasi:config answers; a FILE has lines KEY=VALUE, or is .json, .toml or .yaml;"
        " repeatable",
    )  # fmt: skip
    group.add_argument(
        "--keyvalue", action="append", default=[], metavar="KEY=VALUE|@FILE",
        help="what each bucket of wasi:keyvalue has from the start; repeatable",
    )  # fmt: skip
    group.add_argument(
        "--propagate", action="store_true",
        help="give requests of the guest that have none a traceparent, so that whom they go to"
        " carries on the trace of the request they are for",
    )  # fmt: skip
    group.add_argument(
        "--timeout", type=seconds, metavar="TIME",
        help="stop a guest that has not answered for so long, such as 30s",
    )  # fmt: skip


def _positive(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000000")
    return int(text)


def seconds(text: str) -> float:
    """A time of the command line that is not 0."""
    nanoseconds = weaving.duration(text)
    if not nanoseconds:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 30s")
    return nanoseconds / 1e9


def given(args: argparse.Namespace, but: str = "") -> str | None:
    """An option for serving that was given, as one writes it; ``but`` that one."""
    names = {"header": "-H", "data": "-d"}
    for name, default in OPTIONS.items():
        if name != but and getattr(args, name) != default:
            return names.get(name, "--" + name.replace("_", "-"))
    return None


def trace_http(
    args: argparse.Namespace, path: str, data: bytes, host: HostOptions, settings: Settings
) -> int:
    """Serves until a signal comes, or has one request answered."""
    from whamm_cm.front.running import mark_of
    from whamm_cm.front.serving import Serving, Session

    check(args, path, host)
    where = address(args)
    request = wanted_request(args)
    script = scripts.checked(args, settings)
    finder = scripts.line_finder(args.lines, data, path, args.debug)
    plan = replace(settings.plan("host", script, mark_of(data)), brief=True)
    woven = weaving.weave(args, data, path, plan)
    if args.verbose:
        say(args, woven.describe())
    options = replace(outputs.render_options(args, finder), tags=True, app=(path, data))
    formats = outputs.formats(args, script is not None and script.reports)
    recorder = Recorder(formats, options, woven.table, telemetry.sending(args, path))
    serving = Serving(
        host, args.allow_host, config(args), keys(args), args.reuse, args.timeout,
        args.stub_imports, args.cache, _trap_shower(args, woven, recorder), args.propagate,
    )  # fmt: skip
    compiling = ExitStack()
    compiling.enter_context(progress(args, f"compiling {path}"))
    try:
        with compiling:
            session = Session(woven, serving, recorder.feed)
        if request is None:
            session.feed = _watched(session, recorder)
        if request is not None:
            status = _ask(args, session, request)
        else:
            status = _serve(args, path, session, where, recorder)
        if recorder.losses:
            say(args, recorder.losses.sentence())
        return status
    except (RunError, UsageError):
        recorder.abandon()
        raise
    finally:
        recorder.finish()
        scripts.say_notes(args, finder)


def _watched(session: Session, recorder: Recorder) -> Callable[[Sequence[Record]], None]:
    """An output that cannot be written is told of at once: the end may be days away.  It comes when
    nobody reads any more."""

    def feed(records: Sequence[Record]) -> None:
        known = len(recorder.faults)
        recorder.feed(records)
        session.ending |= recorder.unread
        for fault in () if recorder.unread else recorder.faults[known:]:
            tell(f"{fault}; serving goes on without it")

    return feed


def _serve(
    args: argparse.Namespace, path: str, session: Session, address: tuple[str, int],
    recorder: Recorder,
) -> int:  # fmt: skip
    def started(host: str, port: int) -> None:
        recorder.begin()
        say_where(args, path, host, port)

    count, _ = session.serve(*address, started)
    say(args, f"{counted(count, 'request')} served")
    return 0


def say_where(args: argparse.Namespace, path: str, host: str, port: int) -> None:
    shown = f"[{host}]" if ":" in host else host
    say(args, f"serving {path} on http://{shown}:{port}/ (Ctrl-C ends it)")


def _ask(args: argparse.Namespace, session: Session, request: Request) -> int:
    output = sys.stdout.buffer
    answer = session.ask(request, output.write)
    output.flush()
    return conclude(args, answer)


def conclude(args: argparse.Namespace, answer: Answer) -> int:
    """The status that stands for what one request was answered."""
    if answer.ended is not None:
        return answer.ended.status
    if answer.error is not None or not answer.status:
        why = next(iter(answer.error)) if answer.error else "there was none"
        say(args, f"no whole response: {why}")
        return 1
    if args.verbose:
        say(args, f"the response has status {answer.status}")
        for name, value in (*answer.headers, *answer.trailers):
            say(args, f"  {name}: {value.decode('latin-1')}")
    return 0


def _trap_shower(
    args: argparse.Namespace, woven: Woven, recorder: Recorder
) -> Callable[[Ended], None]:
    from whamm_cm.cli.backtrace import show_trap

    return lambda ended: show_trap(ended.trap, woven.inner, recorder, args.verbose > 0)


def check(args: argparse.Namespace, path: str, host: HostOptions) -> None:
    """Raises UsageError for what no handler can be given."""
    if len(host.args) > 1:
        raise UsageError(f"{path} is an HTTP handler, which gets no arguments: {host.args[1]}")
    if args.invoke is not None:
        raise UsageError("--invoke calls one export, --http serves; choose one of them")


def address(args: argparse.Namespace) -> tuple[str, int]:
    """Where to listen: host and port."""
    text: str | None = args.addr
    if text is None:
        return _ADDRESS
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = ("", text) if text.isdigit() else (text, "8080")
    if not port.isdigit() or int(port) > 0xFFFF:
        raise UsageError(f"--addr {text}: expected HOST:PORT, such as 127.0.0.1:8080")
    return host.strip("[]") or _ADDRESS[0], int(port)


def config(args: argparse.Namespace) -> dict[str, str]:
    return read_pairs("--config", args.config)


def keys(args: argparse.Namespace) -> dict[str, bytes]:
    """What a bucket begins with."""
    found = read_pairs("--keyvalue", args.keyvalue)
    return {key: value.encode() for key, value in found.items()}


def wanted_request(args: argparse.Namespace) -> Request | None:
    from whamm_cm.run.single import Request

    if args.request is None:
        if args.header or args.data is not None:
            raise UsageError("-H and -d are for --request 'METHOD /path'")
        return None
    if args.addr is not None:
        raise UsageError("--request has one request answered, --addr says where to listen for many")
    body = None
    if args.data is not None:
        body = read_input(args.data[1:]) if args.data.startswith("@") else args.data.encode()
    return Request.parse(args.request, args.header, body)
