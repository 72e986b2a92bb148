"""``whamm-cm check``: what is wrong with scripts, without or with what they are for."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from whamm_cm.cli import scripts
from whamm_cm.cli.common import INPUT, display, read_input, tell, write_output
from whamm_cm.errors import UsageError
from whamm_cm.render.safe import printable
from whamm_cm.render.words import counted

if TYPE_CHECKING:
    from whamm_cm.front.settings import Settings
    from whamm_cm.lang.source import ScriptError
    from whamm_cm.weave.listing import Input


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "check",
        help="say what is wrong with a script",
        usage="whamm-cm check [options] S.mm [APP.wasm]",
        description="Check a script: its grammar, types and names. With APP.wasm also whether it"
        " fits, and how many places each rule matches. Nothing is run or written.",
        allow_abbrev=False,
    )
    parser.add_argument("script", metavar="S.mm", help="the script; - is standard input")
    parser.add_argument("app", nargs="?", metavar="APP.wasm",
                        help=f"a component or core module: {INPUT}")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="show the facts as one JSON document")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write to FILE instead of standard output"
    )
    scripts.add_values(parser)
    parser.set_defaults(run=run, monitor=[])


def run(args: argparse.Namespace) -> int:
    """2 where something is wrong.  Raises UsageError and InputError."""
    from whamm_cm.front.settings import Settings
    from whamm_cm.lang.source import ScriptError

    path, args.script = args.script, [args.script]
    sources = scripts.sources(args, ())
    settings = Settings(
        scripts=sources, libraries=scripts.libraries(args.lib), **scripts.parameters(args)
    )
    if path == "-" and args.app == "-":
        raise UsageError("the script and APP.wasm cannot both be standard input")
    warnings: list[str] = []
    rows: list[dict[str, Any]] = []
    errors: tuple[ScriptError, ...] = ()
    try:
        warnings, rows = _checked(args, settings)
    except ScriptError as error:
        if not args.json:
            raise
        errors = error.each
    if args.json:
        write_output(args.output, _document(errors, warnings, rows))
        return 2 if errors else 0
    for warning in warnings:
        tell(warning)
    write_output(args.output, "".join(map(_line, rows)))
    return 0


def _checked(
    args: argparse.Namespace, settings: Settings
) -> tuple[list[str], list[dict[str, Any]]]:
    """Warnings and rules."""
    from whamm_cm.front.checking import check

    given = None if args.app is None else _opened(args.app)
    checked = check(settings, given)
    rows: list[dict[str, Any]] = [
        {"rule": one.rule.text, "at": one.rule.place, "optional": one.rule.optional}
        | ({} if one.places is None else {"places": one.places})
        for one in checked.rules
    ]
    return [str(warning) for warning in checked.warnings], rows


def _opened(app: str) -> Input:
    from whamm_cm.weave.listing import open_input

    return open_input(read_input(app), display(app))


def _line(row: dict[str, Any]) -> str:
    count = "" if "places" not in row else f"  {counted(row['places'], 'place')}"
    return f"{row['at']}: {printable(row['rule'])}{count}\n"


def _document(
    errors: tuple[ScriptError, ...], warnings: list[str], rows: list[dict[str, Any]]
) -> str:
    found = [
        {"script": e.source.name, "line": e.line, "column": e.column, "message": e.message,
         "hint": e.hint}
        for e in errors
    ]  # fmt: skip
    document = {"v": 1, "errors": found, "warnings": warnings, "rules": rows}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
