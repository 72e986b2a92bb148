"""WCM030, WCM031, WCM040–WCM042: exports, size, and what was done to the file."""

from __future__ import annotations

from collections.abc import Iterator

from whamm_cm.gate.context import Context, Hit, Rule
from whamm_cm.gate.model import ExportRow
from whamm_cm.gate.patterns import Line
from whamm_cm.gate.written import rule_set


def exports_match(row: ExportRow, line: Line, wide: bool) -> bool:
    """``wide``: as what forbids is read."""
    test = line.denies if wide else line.allows
    interface = row.interface or ("" if row.kind == "func" else row.name)
    if any(test(interface, row.version, name) for name in row.functions or (None,)):
        return True
    inner = row.functions if row.kind == "instance" and row.functions else (None,)
    return wide and any(test(*reading, name) for reading in row.readings for name in inner)


def _missing(context: Context) -> Iterator[Hit]:
    for line in context.policy.exports.require:
        if not any(exports_match(row, line, False) for row in context.subject.exports):
            found = ", ".join(row.item for row in context.subject.exports) or "nothing"
            reason = f": {line.reason}" if line.reason else ""
            text = f'no export matches "{line.text}"{reason} (it exports {found})'
            yield Hit(line.text, text, line.location)


def _forbidden(context: Context) -> Iterator[Hit]:
    for row in context.subject.exports:
        for line in context.policy.exports.forbid:
            if exports_match(row, line, True):
                reason = f": {line.reason}" if line.reason else ""
                yield Hit(row.item, f'{row.item} matches "{line.text}"{reason}', line.location)
                break


def _size(context: Context) -> Iterator[Hit]:
    most = context.parameter("WCM040", "max_bytes")
    subject = context.subject
    if most is not None and subject.size > most:
        setting = context.policy.rules.get("WCM040")
        text = f"{subject.size:,} bytes; at most {most:,} are allowed"
        allow = rule_set("WCM040", max_bytes=subject.size)
        yield Hit("size", text, setting.location if setting else None, allow=allow)


def _woven(context: Context) -> Iterator[Hit]:
    """Silent where WCM120 says it of the manifest that deploys the component."""
    subject = context.subject
    setting = context.policy.rules.get("WCM120")
    said_already = context.manifest and not (setting and setting.level == "off")
    if subject.stamp is None or said_already or context.holds("clean"):
        return
    if subject.stamp:
        said = dict(subject.stamp)
        original = said.get("original-sha256", "")
        rest = f" (the original has sha256 {original})" if original else ""
        tool = " ".join(filter(None, (said.get("tool"), said.get("version")))) or "a tool"
        yield Hit("instrumentation", f"instrumented by {tool}{rest}")
    else:
        signs = dict.fromkeys(f"{sign} in {path or 'the root'}" for path, sign in subject.marks)
        shown = ", ".join(list(signs)[:3]) + (" …" if len(signs) > 3 else "")
        yield Hit("instrumentation", f"carries what a weave adds: {shown}")


def _guard(context: Context) -> Iterator[Hit]:
    if context.guard is not None and not context.guard.believed:
        yield Hit("guard", f"{context.guard.said}; it is judged as if it had none")


RULES = (
    Rule("WCM030", "export-missing", "error", "An export that the policy requires is missing.",
         "The host calls a component through its exports; without them it is never called.",
         "Build for the right world.", _missing),
    Rule("WCM031", "export-forbidden", "error", "The component exports what the policy forbids.",
         "In a workload, an export may be picked up by other components.",
         "Remove the export.", _forbidden),
    Rule("WCM040", "too-large", "error", "The file exceeds the size the policy allows.",
         "Large components start slowly and cost memory on every host.",
         "Strip debug sections and names, or raise max_bytes.", _size,
         {"max_bytes": "bytes the file may have; without it the rule is silent"}),
    Rule("WCM041", "instrumented", "error", "The component carries probes of whamm-cm.",
         "An instrumented component records what it does, which is meant for a test environment."
         " Signatures and provenance are those of the original.",
         "Deploy the original.", _woven),
    Rule("WCM042", "guard-not-believed", "warning",
         "The component says that it is held to a policy, and is not believed.",
         "What `whamm-cm enforce` wove in holds a component to a policy wherever it runs. Anybody"
         " can write that it is there; whoever signed it knows.",
         "Guard the original by this policy, sign it (enforce --key), and trust that key (gate"
         " --trust).", _guard),
)  # fmt: skip
