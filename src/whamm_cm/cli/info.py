"""``whamm-cm info``: what a match rule binds, where it matches, and what would be woven there."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from whamm_cm.cli import scripts
from whamm_cm.cli.common import INPUT, display, read_input, write_output
from whamm_cm.errors import UsageError
from whamm_cm.front.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from whamm_cm.weave.listing import Listing
    from whamm_cm.weave.plan import ScriptPlan

_FORM = "name a match rule, such as 'wasm:opcode:call:before', or scripts with -s, -e or -m"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "info",
        help="say what a match rule binds and where it matches",
        usage="whamm-cm info [options] RULE [APP.wasm]\n"
        "       whamm-cm info [options] -s FILE.mm|-e SCRIPT|-m NAME [APP.wasm]\n"
        "       whamm-cm info [options] APP.wasm --lines [FILE[:LINES]]",
        description="Say which events a match rule stands for and what they bind; with APP.wasm,"
        " which places in it match, and why others do not. Nothing is run or written.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "words", nargs="*", metavar="RULE [APP.wasm]",
        help=f"the rule (not with scripts), and a component or core module: {INPUT}",
    )  # fmt: skip
    parser.add_argument(
        "--monitors", action="store_true", help="list the ready monitors, nothing else"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="with APP.wasm: show the code that would be put in"
    )
    parser.add_argument(
        "--lines", nargs="?", const="", metavar="FILE",
        help="list the source files of APP.wasm, or the lines of FILE (a glob), that probes can be"
        " at; of FILE:LINES these, with the variables in scope",
    )  # fmt: skip
    parser.add_argument(
        "--source", action="append", default=[], metavar="DIR",
        help="with --lines: look for the text of source files in DIR, too; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "-n", type=int, dest="first", metavar="N",
        help="show at most N matching places (default: 10; -v: all)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="show the facts as one JSON document")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write to FILE instead of standard output"
    )
    scripts.add_options(parser, expressions=True)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Raises UsageError (a wrong rule or script among others) and InputError."""
    if args.monitors:
        _check_alone(args)
        text = _monitors_json() if args.json else "".join(f"{x}\n" for x in _monitors())
        write_output(args.output, text)
        return 0
    if args.first is not None and args.first < 0:
        raise UsageError(f"-n {args.first}: expected a number of places")
    if args.lines is not None:
        write_output(args.output, _lines(args))
        return 0
    if args.source:
        raise UsageError("--source is for --lines; add that, or leave it out")
    settings = Settings(
        scripts=scripts.sources(args, args.expr),
        libraries=scripts.libraries(args.lib),
        **scripts.parameters(args),
    )
    plan = scripts.checked(args, settings)
    rule, app = _words(args, plan)
    first = 10 if args.first is None else args.first
    listing = None if app is None else _listing(args, plan, rule, app)
    from whamm_cm.cli import info_text

    shown = info_text.document if args.json else info_text.lines
    text = shown(rule, listing, None if args.verbose else first, args.verbose > 0)
    write_output(args.output, text)
    return 0


def _check_alone(args: argparse.Namespace) -> None:
    if args.words or args.script or args.expr or args.monitor or args.dry_run:
        raise UsageError("--monitors lists the ready monitors; leave out the rest")


def _lines(args: argparse.Namespace) -> str:
    """The source files of an input, or the lines of some."""
    words, file = list(args.words), args.lines
    if not words and file:  # what follows the option is the input
        words, file = [file], ""
    if len(words) != 1 or args.script or args.expr or args.monitor or args.dry_run:
        raise UsageError("--lines lists the source lines of one APP.wasm: info APP.wasm --lines")
    from whamm_cm.cli import info_lines
    from whamm_cm.front.lines import source_lines

    listing = source_lines(
        read_input(words[0]), display(words[0]), file or "*", args.source, args.debug
    )
    if args.json:
        return info_lines.document(listing)
    first = None if args.verbose else args.first
    return info_lines.lines(listing, first) if file else info_lines.files(listing, first)


def _words(args: argparse.Namespace, plan: ScriptPlan | None) -> tuple[str | None, str | None]:
    """(rule, input), either of which may be missing."""
    words = list(args.words)
    rule = None if plan is not None else words.pop(0) if words else None
    if rule is None and plan is None:
        raise UsageError(_FORM)
    if len(words) > 1:
        extra = "scripts have rules of their own; leave out RULE" if plan else "one input at a time"
        raise UsageError(f"unexpected argument {words[1]}: {extra}")
    app = words[0] if words else None
    if app is None and plan is not None:
        raise UsageError("name the APP.wasm that the scripts are to be matched against")
    if args.dry_run and (app is None or plan is None):
        raise UsageError("--dry-run needs scripts (-s, -e or -m) and an APP.wasm")
    return rule, app


def _listing(
    args: argparse.Namespace, plan: ScriptPlan | None, rule: str | None, app: str
) -> Listing:
    from whamm_cm.front.listing import listing, rules

    plan = rules([rule], args.debug) if plan is None and rule is not None else plan
    return listing(read_input(app), display(app), plan, args.dry_run)


# --- monitors ------------------------------------------------------------------------------------


def headers() -> dict[str, str]:
    """What each monitor shows, by its name: the first comment of its script."""
    from whamm_cm.monitors import monitors

    found = {}
    for name, text in monitors().items():
        first = text.partition("\n")[0]
        found[name] = first.removeprefix("//").strip().removeprefix(f"{name}:").strip()
    return found


def _monitors() -> Iterator[str]:
    found = headers()
    width = max(map(len, found))
    for name, header in found.items():
        yield f"{name:{width}}  {header}"


def _monitors_json() -> str:
    import json

    rows = [{"name": name, "shows": header} for name, header in headers().items()]
    return json.dumps({"v": 1, "monitors": rows}, indent=2) + "\n"
