"""The scripts, monitors and libraries of the settings, read and checked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING

from whamm_cm.analysis.debug_files import read_debug_file
from whamm_cm.analysis.source import Sources
from whamm_cm.errors import InputError, UsageError, nearest
from whamm_cm.files import read
from whamm_cm.front.settings import Define, LibrarySource, Script, Settings
from whamm_cm.monitors import monitors
from whamm_cm.weave.plan import ScriptPlan

if TYPE_CHECKING:
    from whamm_cm.weave.libraries import Library

#: Longest script taken.
_MAX_SCRIPT = 16 << 20


def script_plan(settings: Settings) -> ScriptPlan | None:
    """None when there are none.  Raises UsageError (a wrong script among others) and InputError."""
    sources = list(_sources(settings))
    if not sources:
        for option, given in (("--lib", settings.libraries), ("-D", settings.define),
                              ("--arg", settings.script_args)):  # fmt: skip
            if given:
                raise UsageError(f"{option} is for scripts; add one with -s or -e")
        return None
    if settings.compat:  # whamm calls them that
        sources = [(f"script{number}", text) for number, (_, text) in enumerate(sources)]
    from whamm_cm.lang import parameters
    from whamm_cm.lang.load import load  # slow to import
    from whamm_cm.run.engine import validate_module
    from whamm_cm.run.static import StaticLibraries

    libraries = {name: _library(name, given) for name, given in settings.libraries.items()}
    signatures = {name: library.signature for name, library in libraries.items()}
    given = parameters.given(_pairs(settings.define), settings.script_args)
    scripts = load(sources, signatures, given, settings.timed)
    unused = sorted(set(libraries) - set(scripts.libraries))
    if unused:
        raise UsageError(f"--lib {unused[0]}: no script has `use {unused[0]};`")
    text = "\0".join([*(text for _, text in sources), *(f"{k}={v}" for k, v in given.items())])
    static = StaticLibraries(libraries.values())
    debug = Sources([read_debug_file(one) for one in settings.debug])
    return ScriptPlan(scripts, libraries, static, text, validate_module, debug)


def _pairs(define: Define) -> Iterable[tuple[str, object]]:
    """Parameters by name, which the command line gives one by one."""
    return define.items() if isinstance(define, Mapping) else define


def script_warnings(plan: ScriptPlan | None) -> list[str]:
    """What is legal in the scripts and surely not meant."""
    return [] if plan is None else [*plan.scripts.warnings]


def _sources(settings: Settings) -> Iterator[tuple[str, str]]:
    given, names = settings.scripts, settings.monitor
    scripts = [given] if isinstance(given, str | os.PathLike) else given
    for number, script in enumerate(scripts, 1):
        yield _source(number, script)
    yield from map(monitor, [names] if isinstance(names, str) else names)


def _source(number: int, script: Script) -> tuple[str, str]:
    if isinstance(script, str):
        return f"script {number}", script
    if isinstance(script, tuple):
        return script
    path = os.fspath(script)
    return PurePath(path).name, script_text(read(path), path)


def script_text(data: bytes, what: str) -> str:
    """Raises InputError for what is too long or no text."""
    if len(data) > _MAX_SCRIPT:
        raise InputError(f"{what} is larger than 16 MiB, which no script is")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{what} is not UTF-8 text (at byte {error.start}); is it a script?"
        ) from None


def monitor(name: str) -> tuple[str, str]:
    """Name and text of a ready script.  Raises UsageError."""
    known = monitors()
    if name not in known:
        close = nearest(name, known)
        hint = f"did you mean {close}?" if close else f"there are {', '.join(known)}"
        raise UsageError(f"there is no monitor {name!r}; {hint}")
    return f"{name}.mm", known[name]


def _library(name: str, given: LibrarySource) -> Library:
    from whamm_cm.weave.libraries import load_library

    if isinstance(given, bytes):
        return load_library(name, given, name)
    if isinstance(given, str | os.PathLike):
        path = os.fspath(given)
        return load_library(name, read(path), path)
    return given
