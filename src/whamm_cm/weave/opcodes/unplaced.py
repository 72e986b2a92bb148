"""Why a rule on the source matches no place: no such file, function or line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from whamm_cm.analysis.dwarf import SourceFile
from whamm_cm.analysis.source import Sources
from whamm_cm.demangle.name import demangle
from whamm_cm.lang.places import Part, SourceRule, forms
from whamm_cm.lang.source import ScriptError, suggest
from whamm_cm.wit.glob import Glob, compile_glob, split_top

NO_DEBUG = "the core modules have no debug information (build with -g)"
_GLOB = re.compile(r"[*?\[{]")


def mistake(rule: SourceRule, sources: Sources) -> ScriptError | None:
    """A name in it, not a glob, that the debug information does not have.  None also where there is
    no debug information."""
    if not sources.all():
        return None
    files = dict.fromkeys(_files(rule, sources))
    for part in _words(rule.file):
        if not any(_ends_with(part.glob, file) for file in files):
            hint = suggest(part.text, _tails(part.text, files)) or "info --lines lists the files"
            hint = _elsewhere(rule, sources) or hint
            return rule.error(part, f'no source file is called "{part.text}"', hint)
    for part in () if rule.function is None else _words(rule.function):
        names = dict.fromkeys(form for name in _functions(rule, sources) for form in forms(name))
        if not any(map(part.glob.fullmatch, names)):
            message = f'{rule.file.text} has no function "{part.text}"'
            hint = _elsewhere(rule, sources) or suggest(part.text, names)
            return rule.error(part, message, hint)
    return None


def _elsewhere(rule: SourceRule, sources: Sources) -> str:
    """Why functions that there are may not be known."""
    return next(iter(sources.gaps()), "") if rule.package == "source" else ""


def why_not(rule: SourceRule, sources: Sources) -> str:
    """Why a rule that has no mistake matches no place."""
    if not sources.all():
        return sources.notes[0] if sources.notes else NO_DEBUG
    if not any(_takes_file(rule, file) for file in _files(rule, sources)):
        return _elsewhere(rule, sources) or "no source file is called that"
    if rule.function is not None:
        found = any(map(rule.takes_function, _functions(rule, sources)))
        return (
            "it is only there in place of calls"
            if found
            else _elsewhere(rule, sources) or "no function is called that"
        )
    return _no_code(rule, sources)


def _no_code(rule: SourceRule, sources: Sources) -> str:
    lines = {
        row.line
        for each in sources.all()
        for _, row in each.begins()
        if row.statement and _takes_file(rule, row.file)
    }
    first, last = rule.lines[0][0], rule.lines[-1][1]
    known = sorted(lines - set(range(first, min(last, max(lines, default=0)) + 1)))
    after = [line for line in known if line > last]
    before = [line for line in known if line < first]
    near = after[:1] or before[-1:]
    what = f"line {first} has" if rule.lines == ((first, first),) else "these lines have"
    return f"{what} no code" + (f"; line {near[0]} has" if near else "")


def _words(part: Part) -> Iterator[Part]:
    """The alternatives that are names."""
    for at, text in split_top(part.text, "|"):
        if text and not _GLOB.search(text):
            start = part.at + at
            yield Part(text, compile_glob(text), start, start + len(text))


def _files(rule: SourceRule, sources: Sources) -> Iterator[str]:
    for lines in sources.all():
        if rule.package == "line":
            yield from lines.files
        else:
            yield from (one.file for one in lines.functions())


def _functions(rule: SourceRule, sources: Sources) -> Iterator[str]:
    """Names of the functions in files that are meant."""
    for lines in sources.all():
        for one in lines.functions():
            if _takes_file(rule, one.file):
                yield demangle(one.name)


def _paths(file: str) -> tuple[str, ...]:
    found = (file, file.path) if isinstance(file, SourceFile) else (file,)
    return tuple(path.replace("\\", "/") for path in found)


def _takes_file(rule: SourceRule, file: str) -> bool:
    return any(map(rule.takes_file, _paths(file)))


def _ends_with(glob: Glob, file: str) -> bool:
    return any(
        glob.fullmatch(path[at:])
        for path in _paths(file)
        for at in (0, *(found.end() for found in re.finditer("/", path)))
    )


def _tails(text: str, files: dict[str, None]) -> list[str]:
    """Ends of paths with as many parts as a text."""
    parts = text.count("/") + 1
    return ["/".join(path.split("/")[-parts:]) for file in files for path in _paths(file)]
