"""``whamm-cm inspect``: what a component is made of, what it asks for and what can be probed."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from whamm_cm.cli.common import INPUT, component, write_output
from whamm_cm.errors import UsageError

if TYPE_CHECKING:
    from whamm_cm.cli.inspect_tree import Twig
    from whamm_cm.front.app import Guest

FORMATS = ("cyclonedx",)


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "inspect",
        help="show what a component is made of, imports and exports",
        description="Show the parts of a component with their sizes, who made it, its imports and"
        " exports, and the functions a probe can watch. -v names each one.",
        allow_abbrev=False,
    )
    parser.add_argument("app", metavar="APP.wasm", help=f"the component: {INPUT}")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--wit", action="store_true", help="show its world as WIT text")
    form.add_argument("--ir", action="store_true", help="show every definition, one a line")
    form.add_argument(
        "--capabilities",
        action="store_true",
        help="for each imported function: can it be reached from the exports, was it observed",
    )
    form.add_argument(
        "--why", metavar="ITEM", help="show a shortest path to an import, wasi:sockets/tcp#* say"
    )
    form.add_argument(
        "-f", "--format", choices=FORMATS,
        help="show what is inside for other programs: cyclonedx, a bill of materials as JSON",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="show the facts as one JSON document")
    parser.add_argument(
        "--trace-log",
        action="append",
        metavar="LOG",
        help="with --capabilities: records of a run, for what was observed; may be repeated",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write to FILE instead of standard output"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Raises InputError (DecodeError) for what is no sound component."""
    _check(args)
    app = component(args.app)
    if args.format:
        from whamm_cm.cli.inspect_cyclonedx import document as bill

        write_output(args.output, bill(app.root, app.data, args.app))
    elif args.capabilities or args.why is not None:
        from whamm_cm.cli import inspect_capabilities
        from whamm_cm.component.decode import MODULE_PREAMBLE

        (inspect_capabilities.show if args.capabilities else inspect_capabilities.explain)(
            args, app.root, app.data[:8] == MODULE_PREAMBLE
        )
    elif args.wit:
        write_output(args.output, app.wit())
    elif args.ir:
        from whamm_cm.component.printer import print_component

        write_output(args.output, "".join(f"{line}\n" for line in print_component(app.root)))
    elif args.json:
        from whamm_cm.cli.inspect_json import document

        write_output(args.output, document(app.facts, args.app))
    else:
        _tree(args, app)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Options that make no sense together."""
    if args.json and (args.wit or args.ir or args.format):
        other = "--wit" if args.wit else "--ir" if args.ir else "--format"
        raise UsageError(f"argument --json: not allowed with argument {other}")
    if args.trace_log and not args.capabilities:
        raise UsageError("--trace-log goes with --capabilities")
    if args.trace_log and "-" in args.trace_log and args.app == "-":
        raise UsageError("component and log cannot both come from standard input")


def _tree(args: argparse.Namespace, app: Guest) -> None:
    from whamm_cm.cli.inspect_tree import grow, plain

    tree = grow(app.facts, app.name, args.verbose > 0)
    to_terminal = args.output in (None, "-") and sys.stdout.isatty()
    if to_terminal and not os.environ.get("NO_COLOR"):
        _print_rich(tree)
    else:
        write_output(args.output, "".join(f"{line}\n" for line in plain(tree)))


def _print_rich(tree: Twig) -> None:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    def text(twig: Twig) -> Text:
        # Text and not markup: names come from the component.
        label = Text(twig.label, "yellow" if twig.warning else "bold")
        return label.append(f"  {twig.note}", "not bold dim") if twig.note else label

    top = Tree(text(tree), guide_style="dim")
    pending = [(top, tree)]
    while pending:
        branch, twig = pending.pop()
        pending += [(branch.add(text(inner)), inner) for inner in twig.twigs]
    Console(file=sys.stdout, highlight=False).print(top)
