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
        "--html", metavar="FILE", help="write a page, too, that shows what changed and where"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write to FILE instead of standard output"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from whamm_cm.gate.diff import document, table

    if args.old == args.new == "-":
        raise UsageError("only one of the two can come from standard input")
    if args.html == "-":
        raise UsageError("--html needs the name of a file; standard output has the text")
    with progress(args, "comparing"):
        old, new = component(args.old), component(args.new)
        changes = old.diff(new)
        if args.html is not None:
            from whamm_cm.render.page.diff import diff_page

            pages = diff_page((old.data, old.name), (new.data, new.name), changes)
            write_output(args.html, (piece.encode() for piece in pages))
    text = document(args.old, args.new, changes) if args.json else table(changes)
    write_output(args.output, text)
    return 1 if args.fail_on_new and any(change.new for change in changes) else 0
