"""Which line of a policy allowed or denied each import and export of a component, and why."""

from __future__ import annotations

from collections.abc import Iterator

from whamm_cm.dataclass import dataclass
from whamm_cm.gate.context import Context, Decision
from whamm_cm.gate.model import ExportRow, ImportRow, Location
from whamm_cm.gate.rules.shape import exports_match


@dataclass(frozen=True, slots=True)
class Said:
    """``verdict``: allow warn deny, require forbid for exports, none for what no line is about or
    nothing judges.  ``functions``: those the sentence is about, () for all there is."""

    edge: str
    verdict: str
    item: str
    functions: tuple[str, ...]
    why: str
    location: Location | None = None


def explained(context: Context) -> Iterator[Said]:
    for row in context.subject.imports:
        yield from _import(context, row)
    for export in context.subject.exports:
        yield from _export(context, export)


def _import(context: Context, row: ImportRow) -> Iterator[Said]:
    imports = context.policy.imports
    if imports is None:
        yield Said("import", "allow", row.label, (), "the policy says nothing of imports")
        return
    decisions = context.decide(row)
    groups: dict[tuple[str, int], list[Decision]] = {}
    for one in decisions:
        groups.setdefault((one.verdict, id(one.line)), []).append(one)
    judged = {one.function.name for one in decisions if one.function is not None}
    rest = tuple(one.name for one in row.functions if one.name not in judged)
    whole = len(groups) == 1 and not rest
    for same in groups.values():
        first = same[0]
        names = () if whole else tuple(d.function.name for d in same if d.function is not None)
        if first.line is None:
            why = "on no list; that is the default"
            yield Said("import", first.verdict, row.label, names, why, imports.location)
        else:
            reason = f" ({first.line.reason})" if first.line.reason else ""
            why = f"{first.line.matching(row.interface)}{reason}"
            yield Said("import", first.verdict, row.label, names, why, first.line.location)
    if rest or not decisions:
        why = f"not judged: not {context.policy.judged}"
        yield Said("import", "none", row.label, rest if decisions else (), why)


def _export(context: Context, row: ExportRow) -> Iterator[Said]:
    found = False
    exports = context.policy.exports
    for verdict, lines in (("forbid", exports.forbid), ("require", exports.require)):
        for line in lines:
            if exports_match(row, line, verdict == "forbid"):
                found = True
                reason = f" ({line.reason})" if line.reason else ""
                why = f'matches "{line.text}"{reason}'
                yield Said("export", verdict, row.item, (), why, line.location)
    if not found:
        yield Said("export", "none", row.item, (), "no line is about it")
