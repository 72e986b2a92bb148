"""Scripts on the command line: ``-s FILE``, ``-e TEXT``, ``-m MONITOR``, ``--lib NAME=FILE``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from whamm_cm.cli.common import display, read_input, say
from whamm_cm.errors import InputError, UsageError

if TYPE_CHECKING:
    from whamm_cm.weave.libraries import Library
    from whamm_cm.weave.plan import ScriptPlan

#: Longest script taken.
_MAX_SCRIPT = 16 << 20


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
    group.add_argument(
        "--lib", action="append", default=[], metavar="NAME=FILE.wasm",
        help="the library that scripts `use` under that name; repeatable",
    )  # fmt: skip


def script_plan(args: argparse.Namespace, texts: Sequence[str]) -> ScriptPlan | None:
    """The checked scripts of the command line and the ``texts`` given with ``-e``; None when there
    are none.

    Raises UsageError (a wrong script among others) and InputError.
    """
    sources = [(_name(path), _read(path)) for path in args.script]
    sources += [_monitor(name) for name in args.monitor]
    sources += [(f"-e {number}", text) for number, text in enumerate(texts, 1)]
    if getattr(args, "compat", None) == "whamm":  # which calls them that
        sources = [(f"script{number}", text) for number, (_, text) in enumerate(sources)]
    if not sources:
        if args.lib:
            raise UsageError("--lib is for scripts; add one with -s or -e")
        return None
    from whamm_cm.lang.load import load
    from whamm_cm.run.engine import validate_module
    from whamm_cm.run.static import StaticLibraries
    from whamm_cm.weave.plan import ScriptPlan

    libraries = _libraries(args.lib)
    signatures = {name: library.signature for name, library in libraries.items()}
    scripts = load(sources, signatures)
    for warning in scripts.extra.get("warnings", ()):  # type: ignore[attr-defined]
        say(args, str(warning))
    unused = sorted(set(libraries) - set(scripts.libraries))
    if unused:
        raise UsageError(f"--lib {unused[0]}: no script has `use {unused[0]};`")
    text = "\0".join(text for _, text in sources)
    static = StaticLibraries(libraries.values())
    return ScriptPlan(scripts, libraries, static, text, validate_module)


def _name(path: str) -> str:
    return "standard input" if path == "-" else PurePath(path).name


def _read(path: str) -> str:
    data = read_input(path)
    if len(data) > _MAX_SCRIPT:
        raise InputError(f"{display(path)} is larger than 16 MiB, which no script is")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{display(path)} is not UTF-8 text (at byte {error.start}); is it a script?"
        ) from None


def _monitor(name: str) -> tuple[str, str]:
    from whamm_cm.monitors import monitors

    known = monitors()
    if name not in known:
        from difflib import get_close_matches

        close = get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
        raise UsageError(f"there is no monitor {name!r}; {hint}")
    return f"{name}.mm", known[name]


def _libraries(options: Sequence[str]) -> dict[str, Library]:
    from whamm_cm.weave.libraries import load_library, parse_lib_option

    found: dict[str, Library] = {}
    for text in options:
        option = parse_lib_option(text)
        if option.name in found:
            raise UsageError(f"--lib {option.name} is given twice")
        data = read_input(option.path)
        found[option.name] = load_library(option.name, data, display(option.path))
    return found


def find_lines(args: argparse.Namespace, data: bytes, path: str) -> None:
    """Put what knows the source lines of ``data`` into ``args``, if ``--lines`` asks for them."""
    from whamm_cm.weave.lines import LineFinder

    args.line_finder = LineFinder.of(data, display(path)) if args.lines else None


def say_notes(args: argparse.Namespace) -> None:
    """Why source lines are missing, where they were asked for."""
    finder = getattr(args, "line_finder", None)
    for note in finder.notes if finder is not None else ():
        say(args, note)
