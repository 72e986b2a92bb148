"""``whamm-cm instrument``: write a woven component that any host can run."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from whamm_cm.cli import recording, scripts, weaving
from whamm_cm.cli.common import INPUT, display, open_input, progress, say, write_output
from whamm_cm.errors import UsageError

if TYPE_CHECKING:
    from whamm_cm.front.woven import Woven
    from whamm_cm.registry.push import Pushed
    from whamm_cm.weave.plan import Added

_LOGGING_PATCH = """\
the host must provide wasi:logging; on wasmCloud add to the workload's hostInterfaces:
    - namespace: wasi
      package: logging
      version: 0.1.0-draft
      interfaces: [logging]"""
_OTEL_PATCH = """\
the host must provide wasi:otel (wash host --wasi-otel; wash dev with dev.wasi_otel: true);
on wasmCloud add to the workload's hostInterfaces:
    - namespace: wasi
      package: otel
      version: 0.2.0-rc.2
      interfaces: [tracing, logs]"""
_PATCHES = {"logging": _LOGGING_PATCH, "otel": _OTEL_PATCH, "otel-current": _OTEL_PATCH}


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "instrument",
        help="weave probes into a component and write it",
        description="Write a copy of APP.wasm with probes woven in, which any host can run. One of"
        " --trace, --count, --record and a script (-s, -e, -m) is needed.",
        allow_abbrev=False,
    )
    parser.add_argument("app", metavar="APP.wasm", help=f"the component: {INPUT}")
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT.wasm",
        required=True,
        help="where to write it: a file, oci://REGISTRY/REPOSITORY:TAG or DIR:TAG of an image"
        " layout; - for standard output",
    )
    parser.add_argument(
        "--trace", metavar="SET",
        help="what to record with its values: a list of classes (%%net), patterns (wasi:io/*) and"
        " either behind ! to take it out; '*' for all",
    )  # fmt: skip
    parser.add_argument("--count", metavar="SET", help="what to count only; a SET as of --trace")
    recording.add_options(parser)
    _add_way_out(parser)
    parser.add_argument(
        "--engine", choices=("wizard",),
        help="write a monitor module for this engine, which runs the core module as it is:"
        " wizeng --monitors=OUT.wasm APP.wasm",
    )  # fmt: skip
    parser.add_argument("--time", action="store_true", help="record time stamps and durations")
    parser.add_argument("--no-time", dest="time", action="store_false", help="do not (default)")
    parser.add_argument(
        "--json", action="store_true", help="say on standard output, as JSON, what was added"
    )
    scripts.add_options(parser, expressions=True)
    weaving.add_options(parser, "0")
    parser.set_defaults(run=run)


def _add_way_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sink", choices=("stderr", "logging", "otel", "otel-current", "host", "none"),
        help="where records go: the guest's stderr, as lines; wasi:logging; wasi:otel, as spans"
        " (current: where it has current-span-context); whamm:cm/sink of the host; or nowhere, to"
        " measure the cost (default: stderr; for a core module that uses no WASI, none)",
    )  # fmt: skip
    parser.add_argument(
        "--lines", dest="lines_as", choices=("packed", "json"), default="packed",
        help="what lines hold: records packed, which report reads and costs least; or a JSON object"
        " each, to read without it (default: packed)",
    )  # fmt: skip
    parser.add_argument(
        "--nonce", type=_nonce, metavar="TEXT",
        help="12 characters of a-z and 2-7 that mark the lines as ours (default: drawn anew, so"
        " that no guest knows them)",
    )  # fmt: skip


def _nonce(text: str) -> str:
    from whamm_cm.agent.layout import NONCE_LETTERS, NONCE_SIZE

    if len(text) != NONCE_SIZE or not set(text) <= set(NONCE_LETTERS):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not {NONCE_SIZE} characters of a-z and 2-7, such as abcdefghij23"
        )
    return text


def run(args: argparse.Namespace) -> int:
    settings = weaving.settings(args, args.trace, args.count, args.expr)
    recording.check(args, settings)
    script = scripts.checked(args, settings)
    if not (settings.asks or args.record):
        raise UsageError(
            "nothing to weave: name functions with --trace or --count, '*' for all, or a script"
            " with -s or -e; or --record all"
        )
    if args.output == "-" and args.json:
        raise UsageError("--json and the component cannot both go to standard output")
    from whamm_cm.front.woven import sink_for
    from whamm_cm.trace.tables import keep_table

    weaving.check_output(args.output)
    data, image = open_input(args.app)
    sink = sink_for(settings, data)
    if sink == "none" and settings.sink is None:
        say(
            args,
            f"{display(args.app)} uses no WASI, so nothing leaves it (--sink none): what is"
            " reported is in the exports get_NAME; or give --sink host or --sink stderr",
        )
    plan = settings.plan(sink, script)
    woven = weaving.weave(args, data, args.app, recording.planned(args, settings, data, plan))
    recording.check_woven(args, woven)
    added, size = woven.report, woven.size
    pushed = _write(args, replace(woven, image=image))
    keep_table(woven.nonce, woven.inner.packed)
    if args.json:
        _print_json(args.output, size, woven, pushed)
    elif added.sites or added.core_sites:
        say(args, f"{woven.describe()}; {len(data)} -> {size} bytes")
    else:
        say(args, _nothing(added))
    if sink in _PATCHES and added.sites:
        say(args, _PATCHES[sink])
    return 0


def _write(args: argparse.Namespace, woven: Woven) -> Pushed | None:
    if args.output == "-":
        write_output("-", woven.inner.pieces)
        return None
    with progress(args, f"writing {args.output}"):
        pushed = woven.write(args.output)
    if pushed is not None and not args.json:
        print(pushed.name, flush=True)
    if pushed is not None and pushed.before is not None:
        say(args, f"{args.output} was {pushed.before} before")
    return pushed


def _nothing(added: Added) -> str:
    reasons = sorted({reason for _, reason in added.skipped})
    why = "; ".join(reasons) if reasons else "no function of the component matches the set"
    return f"nothing woven: {why}"


def _print_json(output: str, after: int, woven: Woven, pushed: Pushed | None) -> None:
    import json

    added = woven.report
    facts = {
        "output": output,
        **({} if pushed is None else {"image": pushed.name, "digest": str(pushed.digest)}),
        "sites": added.sites,
        "wrappers": added.wrappers,
        "probe_modules": added.probe_modules,
        "agents": added.agents,
        "core_modules": added.core_modules,
        "core_instances": added.core_instances,
        "core_instances_before": added.instances_before,
        "core_instances_after": added.instances_after,
        "opcode_sites": added.core_sites,
        "woven_modules": added.woven_modules,
        "counters": added.counters,
        "bytes_before": woven.before,
        "bytes_after": after,
        "validated": not added.unvalidated,
        "skipped": [{"site": title, "reason": reason} for title, reason in added.skipped],
    }
    json.dump(facts, sys.stdout, indent=2)
    print()
