"""``whamm-cm lsp``: the language server for scripts."""

from __future__ import annotations

import argparse
from importlib.util import find_spec

from whamm_cm.errors import UsageError


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "lsp",
        help="serve an editor that shows scripts",
        usage="whamm-cm lsp [options]",
        description="Speak the Language Server Protocol on standard input and output: mistakes,"
        " completion, hover, definitions and symbols of scripts (.mm). An editor starts it.",
        allow_abbrev=False,
    )
    parser.add_argument("--stdio", action="store_true",
                        help="what some editors say, and what is done anyway")  # fmt: skip
    parser.add_argument("--grammar", action="store_true",
                        help="write a TextMate grammar for editors instead, and end")  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Raises UsageError where pygls is not installed."""
    if args.grammar:
        from whamm_cm.lang.textmate import made

        print(made(), end="")
        return 0
    if find_spec("pygls") is None:
        raise UsageError("lsp needs the library pygls: pip install 'whamm-cm[lsp]'")
    from whamm_cm.cli.info_text import BOUNDARY
    from whamm_cm.editor.server import serve

    return serve({row.name: row.doc for row in BOUNDARY})
