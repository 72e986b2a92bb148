"""The lines of the source that rules can name, of an input, and the variables there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from whamm_cm.analysis.lines import source_text
from whamm_cm.analysis.source import Sources
from whamm_cm.analysis.variables import SourceVariables
from whamm_cm.dataclass import dataclass
from whamm_cm.front.listing import rules
from whamm_cm.lang.src_types import Gone, Pieces, Where, written
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.listing import open_input
from whamm_cm.weave.opcodes.match import Matcher
from whamm_cm.weave.opcodes.unplaced import NO_DEBUG
from whamm_cm.weave.scripting import check_names

_MAPPED = "no source variables: a source map knows lines only"


@dataclass(slots=True)
class LineVariable:
    """A variable in scope at ``places`` places of a line; at ``gone`` of them it is not there, and
    ``why``.  ``type`` is as the source has it; ``parameter``: of the function."""

    name: str
    type: str
    parameter: bool
    places: int = 0
    gone: int = 0
    why: str = ""


@dataclass(slots=True)
class SourceLine:
    """A line with places for probes: how many, in which core module, in which functions of the
    source.  ``text``: None where the file is not at hand; ``variables``, inner ones first: None
    where nobody asked for them, or nothing knows them, which the notes say."""

    module: str
    file: str
    line: int
    places: int = 0
    functions: list[str] = field(default_factory=list)
    text: str | None = None
    variables: list[LineVariable] | None = None


@dataclass(slots=True)
class SourceListing:
    """``notes``: why there is nothing, or not all."""

    lines: list[SourceLine]
    notes: list[str]


def source_lines(
    data: bytes, name: str, file: str, folders: Sequence[str] = (), debug: Sequence[str] = ()
) -> SourceListing:
    """Those of the files that the glob ``file`` means, in order; with ``:LINES`` behind it, as in
    rules, only those lines, with their variables.  Their text is looked for in ``folders``, too.
    ``debug``: as in the settings.  Raises DecodeError, ScriptError for a file that is nowhere."""
    plan = rules([f"wasm:line:{file}" if ":" in file else f"wasm:line:{file}:*"], debug)
    assert plan is not None
    given = open_input(data, name)
    plan.sources.near(name)
    plan.sources.modules(given.guests)
    matcher = Matcher(plan.scripts.probes, sources=plan.sources)
    found: dict[tuple[str, str, int], SourceLine] = {}
    notes: list[str] = []
    for module, core in given.guests:
        scopes = _Scopes.of(core, plan.sources) if ":" in file else None
        for function in matcher.functions(core):
            info = function.info
            for firing in function.firings:
                offset = info.steps[firing.point.opidx][0]
                at = plan.sources.place(core, offset)
                key = (module, at.file, at.line)
                line = found.setdefault(key, SourceLine(*key))
                line.places += 1
                of = plan.sources.function(core, offset, info.name)[0]
                if of not in line.functions:
                    line.functions.append(of)
                if scopes is not None:
                    scopes.add(line, offset)
        notes += () if scopes is None else scopes.notes()
    check_names(plan.scripts, matcher)
    lines = [found[key] for key in sorted(found)]
    texts: dict[str, list[str] | None] = {}
    for line in lines:
        if line.file not in texts:
            there = source_text(line.file, folders)
            texts[line.file] = there or plan.sources.texts.get(line.file)
        text = texts[line.file]
        if text is not None:
            line.text = text[line.line - 1] if line.line <= len(text) else ""
    said = [*plan.sources.notes, *plan.sources.gaps()]
    notes += said or ([] if plan.sources.all() else [NO_DEBUG])
    if not lines and not notes:
        notes += (why for _, why in matcher.idle())
    return SourceListing(lines, notes)


@dataclass(slots=True)
class _Scopes:
    """The variables of a core module; None: nothing knows them.  ``split``: some are elsewhere."""

    variables: SourceVariables | None
    split: bool
    asked: bool = False

    @classmethod
    def of(cls, module: CoreModule, sources: Sources) -> _Scopes:
        lines = sources.of(module)
        found = None if lines is None else lines.variables()
        return cls(found, lines is not None and bool(lines.split))

    def add(self, line: SourceLine, offset: int) -> None:
        """What is in scope at a place of a line."""
        self.asked = True
        known = {(one.name, one.type): one for one in line.variables or ()}
        for one in () if self.variables is None else self.variables.at(offset):
            key = one.name, written(one.type)
            there = known.setdefault(key, LineVariable(*key, one.parameter))
            there.places += 1
            why = _gone(one.where)
            there.gone += bool(why)
            there.why = there.why or why
        if known or not (self.split or self.variables is None or self.variables.note):
            line.variables = list(known.values())

    def notes(self) -> Sequence[str]:
        if self.variables is not None:
            return [self.variables.note] if self.variables.note else []
        return [_MAPPED] if self.asked else []


def _gone(where: Where) -> str:
    """Why something is not there; empty: it is."""
    if isinstance(where, Pieces):
        gone = [part.why for part, _ in where.parts if isinstance(part, Gone)]
        return (
            "" if not gone else gone[0] if len(gone) == len(where.parts) else f"in part {gone[0]}"
        )
    return where.why if isinstance(where, Gone) else ""
