"""Scripts on the command line: ``-s FILE``, ``-e TEXT``, ``-m MONITOR``, ``--lib NAME=FILE``,
and their parameters ``-D NAME=VALUE`` and ``--arg VALUE``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, TypedDict

from whamm_cm.cli.common import display, read_input, say
from whamm_cm.errors import UsageError

if TYPE_CHECKING:
    from whamm_cm.analysis.lines import LineFinder
    from whamm_cm.front.settings import Settings
    from whamm_cm.weave.libraries import Library
    from whamm_cm.weave.plan import ScriptPlan


def add_options(parser: argparse.ArgumentParser, expressions: bool = False) -> None:
    """``expressions``: also ``-s`` and ``-e``, which ``trace`` has already."""
    group = parser.add_argument_group("scripts")
    if expressions:
        group.add_argument(
            "-s", dest="script", action="append", default=[], metavar="FILE.mm",
            help="weave the probes of this script; repeatable",
        )  # fmt: skip
        group.add_argument(
            "-e", dest="expr", action="append", default=[], metavar="SCRIPT",
            help="weave the probes of this script, given as text; repeatable",
        )  # fmt: skip
    group.add_argument(
        "-m", "--monitor", action="append", default=[], metavar="NAME",
        help="weave one of the ready monitors (`whamm-cm info --monitors` lists them); repeatable",
    )  # fmt: skip
    add_values(group)


class _Values(TypedDict):
    define: list[tuple[str, str]]
    script_args: list[str]
    debug: list[str]


def add_debug(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--debug", action="append", default=[], metavar="[MODULE=]FILE",
        help="read the debug information of a core module (MODULE, where there are several) from"
        " FILE: a core module with DWARF, or a source map; repeatable",
    )  # fmt: skip


def add_values(group: argparse._ActionsContainer) -> None:
    """What scripts are given: ``--lib``, ``-D`` and ``--arg``."""
    group.add_argument(
        "--lib", action="append", default=[], metavar="NAME=FILE.wasm",
        help="the library that scripts `use` under that name; repeatable",
    )  # fmt: skip
    group.add_argument(
        "-D", "--define", action="append", default=[], metavar="NAME=VALUE",
        help="what $NAME and param NAME are in scripts: a number, true, false or a text;"
        " repeatable",
    )  # fmt: skip
    group.add_argument(
        "--arg", action="append", default=[], metavar="VALUE",
        help="what $1 is in scripts, given again what $2 is, and so on",
    )  # fmt: skip
    add_debug(group)


def parameters(args: argparse.Namespace) -> _Values:
    """What ``-D``, ``--arg`` and ``--debug`` say.  Raises UsageError."""
    define: list[tuple[str, str]] = []
    for text in args.define:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise UsageError(f"-D {text!r}: expected NAME=VALUE, such as -D limit=10")
        define.append((name, value))
    return {"define": define, "script_args": args.arg, "debug": args.debug}


def sources(args: argparse.Namespace, texts: Sequence[str]) -> list[tuple[str, str]]:
    """The scripts of the command line, as messages name them, with their texts; ``texts`` are those
    given with ``-e``.  Raises UsageError and InputError."""
    if not (args.script or args.monitor):
        return [(f"-e {number}", text) for number, text in enumerate(texts, 1)]
    from whamm_cm.front.scripts import monitor, script_text

    found = [
        (display(path) if path == "-" else PurePath(path).name,
         script_text(read_input(path), display(path)))
        for path in args.script
    ]  # fmt: skip
    found += map(monitor, args.monitor)
    return [*found, *((f"-e {number}", text) for number, text in enumerate(texts, 1))]


def libraries(options: Sequence[str]) -> dict[str, Library]:
    """What ``--lib`` names.  Raises UsageError and InputError."""
    if not options:
        return {}
    from whamm_cm.weave.libraries import load_library, parse_lib_option

    found: dict[str, Library] = {}
    for text in options:
        option = parse_lib_option(text)
        if option.name in found:
            raise UsageError(f"--lib {option.name} is given twice")
        data = read_input(option.path)
        found[option.name] = load_library(option.name, data, display(option.path))
    return found


def checked(args: argparse.Namespace, settings: Settings) -> ScriptPlan | None:
    """The scripts of the settings; None when there are none.  Raises UsageError, InputError."""
    given = settings.libraries or settings.define or settings.script_args
    if not settings.scripted and not given:
        return None  # the language is slow to import
    from whamm_cm.front.scripts import script_plan, script_warnings

    plan = script_plan(settings)
    for warning in script_warnings(plan):
        say(args, warning)
    return plan


def line_finder(
    wanted: bool, data: bytes, path: str, debug: Sequence[str] = ()
) -> LineFinder | None:
    """What knows the source lines of ``data``, if ``--lines`` asks for them; ``debug``: what
    ``--debug`` names."""
    if not wanted:
        return None
    from whamm_cm.analysis.debug_files import read_debug_file
    from whamm_cm.analysis.lines import LineFinder

    return LineFinder.of(data, display(path), [read_debug_file(one) for one in debug])


def say_notes(args: argparse.Namespace, finder: LineFinder | None) -> None:
    """Why source lines are missing, where they were asked for."""
    for note in (*finder.notes, *finder.gaps()) if finder is not None else ():
        say(args, note)
