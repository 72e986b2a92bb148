"""``whamm-cm view``: a page about a component, to be looked at in a browser."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from whamm_cm.cli.common import INPUT, component, keep_inputs, progress, say, write_output
from whamm_cm.errors import UsageError

_NAME = "component"
#: So many bytes of a file tell whether it is a page.
_HEAD = 4096


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "view",
        help="make a page about a component, to be looked at in a browser",
        description="Write one HTML file that shows what is in a component and how large it is, its"
        " WIT, and what it may do by which way. Nothing is run.",
        allow_abbrev=False,
    )
    parser.add_argument("app", metavar="APP.wasm", help=f"the component or core module: {INPUT}")
    parser.add_argument(
        "-o", "--output", metavar="FILE",
        help="write to FILE, - for standard output (default: APP.html in the current folder)",
    )  # fmt: skip
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Raises InputError for what is neither component nor core module, UsageError when the page
    cannot be written."""
    from whamm_cm.render.page.component import component_page

    if args.open and args.output == "-":
        raise UsageError("--open opens a file; leave out `-o -`")
    guest = component(args.app)
    output = _beside(args.app) if args.output is None else args.output
    keep_inputs([output], [args.app])
    with progress(args, "looking at it"):
        pieces = [each.encode() for each in component_page(guest.data, guest.name)]
    write_output(output, pieces)
    if output != "-":
        _written(args, output, sum(map(len, pieces)))
    return 0


def _beside(app: str) -> str:
    """The page's name where none is given.  A file of that name that is no page of ours stays."""
    image = re.sub(r"(:[\w.-]+)?(@sha256:[0-9a-f]+)?/*$", "", app)
    name = Path(image if "://" in app else app.rstrip("/")).name.removesuffix(".wasm")
    output = f"{_NAME if app == '-' or not name else name}.html"
    if os.path.lexists(output) and not _is_page(output):
        raise UsageError(f"{output} is there and no page of ours; name a file with -o")
    return output


def _is_page(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return b'<meta name="generator" content="whamm-cm' in file.read(_HEAD)
    except OSError:
        return False


def _written(args: argparse.Namespace, output: str, size: int) -> None:
    if not args.open:
        say(args, f"{output} written, {size:,} bytes; open it with a browser, or add --open")
        return
    import webbrowser

    if not webbrowser.open(Path(output).absolute().as_uri()):
        say(args, f"{output} written, {size:,} bytes; there is no browser here to open it with")
