"""``whamm-cm diff``: what a release can do that the one before could not."""

from __future__ import annotations

import argparse

from whamm_cm.cli.common import INPUT, component, progress, write_output
from whamm_cm.errors import UsageError


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "diff",
        help="compare the capabilities of two releases of a component",
        description="Compare imports, reachable functions and exports of two releases.",
        allow_abbrev=False,
    )
    parser.add_argument("old", metavar="OLD.wasm", help=f"the release before: {INPUT}")
    parser.add_argument("new", metavar="NEW.wasm", help="the release after, as that")
    parser.add_argument(
        "--fail-on-new", action="store_true", help="exit with 1 if NEW can do more than OLD"
    )
    parser.add_argument("--json", action="store_true", help="as one JSON document")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write to FILE instead of standard output"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from whamm_cm.gate.diff import document, table

    if args.old == args.new == "-":
        raise UsageError("only one of the two can come from standard input")
    with progress(args, "comparing"):
        changes = component(args.old).diff(component(args.new))
    text = document(args.old, args.new, changes) if args.json else table(changes)
    write_output(args.output, text)
    return 1 if args.fail_on_new and any(change.new for change in changes) else 0
