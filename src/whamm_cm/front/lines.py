"""The lines of the source that rules can name, of an input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from whamm_cm.analysis.lines import source_text
from whamm_cm.dataclass import dataclass
from whamm_cm.front.listing import rules
from whamm_cm.weave.listing import open_input
from whamm_cm.weave.opcodes.match import Matcher
from whamm_cm.weave.opcodes.unplaced import NO_DEBUG
from whamm_cm.weave.scripting import check_names


@dataclass(slots=True)
class SourceLine:
    """A line with places for probes: how many, in which core module, in which functions of the
    source.  ``text``: None where the file is not at hand."""

    module: str
    file: str
    line: int
    places: int = 0
    functions: list[str] = field(default_factory=list)
    text: str | None = None


@dataclass(slots=True)
class SourceListing:
    """``notes``: why there is nothing, or not all."""

    lines: list[SourceLine]
    notes: list[str]


def source_lines(
    data: bytes, name: str, file: str, folders: Sequence[str] = (), debug: Sequence[str] = ()
) -> SourceListing:
    """Those of the files that the glob ``file`` means, in order; their text is looked for in
    ``folders``, too.  ``debug``: as in the settings.  Raises DecodeError, ScriptError for a file
    that is nowhere."""
    plan = rules([f"wasm:line:{file}:*"], debug)
    assert plan is not None
    given = open_input(data, name)
    plan.sources.near(name)
    plan.sources.modules(given.guests)
    matcher = Matcher(plan.scripts.probes, sources=plan.sources)
    found: dict[tuple[str, str, int], SourceLine] = {}
    for module, core in given.guests:
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
    notes = plan.sources.notes or ([] if plan.sources.all() else [NO_DEBUG])
    return SourceListing(lines, notes)
