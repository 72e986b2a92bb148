"""WCM001–WCM003, WCM020–WCM022: what the analysis can and cannot tell."""

from __future__ import annotations

from collections.abc import Iterator

from whamm_cm.errors import cut
from whamm_cm.gate.context import Context, Hit, Rule
from whamm_cm.gate.patterns import glob


def _opaque(context: Context) -> Iterator[Hit]:
    if context.subject.fault:
        yield Hit("code", f"core code cannot be followed: {context.subject.fault}")
    for row in context.subject.imports:
        if row.kind in ("component", "module"):
            yield Hit(row.item, f"{row.label} is a {row.kind} that is linked in from outside")
        for name in row.hands:
            text = f"{row.label} hands over {name}, a component or module that is not in this file"
            yield Hit(f"{row.item}:{name}", text)
    for export in context.subject.exports:
        for name in export.hands:
            text = f"export {export.item} hands out {name}, which others instantiate as they like"
            yield Hit(f"{export.item}:{name}", text)
    for nested in context.subject.nested:
        for row in nested.imports:
            outside = any(
                provider.kind == "outside"
                for function in row.functions
                for provider in function.providers
            )
            if outside:
                yield Hit(
                    f"{nested.path}:{row.item}",
                    f"{cut(nested.path)} gets {row.label} from code that is not in this file",
                )


def _other_policy(context: Context) -> Iterator[Hit]:
    match = context.policy.match
    name = context.path.replace("\\", "/").rpartition("/")[2]
    if match.image and not glob(match.image).fullmatch(context.path):
        yield Hit("image", f'{context.path} is not "{match.image}"', match.location)
    if match.name and not glob(match.name).fullmatch(name):
        yield Hit("name", f'{name} is not "{match.name}"', match.location)
    if match.sha256 and context.subject.sha256 not in match.sha256:
        yield Hit("sha256", f"its sha256 is {context.subject.sha256}", match.location)


def _unreachable(context: Context) -> Iterator[Hit]:
    for row in context.subject.imports:
        if row.reachable is False:
            count = len(row.functions)
            noun = "function" if count == 1 else "functions"
            parts = tuple(one.name for one in row.functions)
            text = f"{row.label}: no export can reach its {count} {noun}"
            yield Hit(row.item, text, parts=parts)


def _contradiction(context: Context) -> Iterator[Hit]:
    for row, function in context.subject.functions():
        if function.observed and not function.reachable:
            item = f"{row.item}#{function.name}" if row.kind != "func" else row.item
            yield Hit(item, f"{item} was called {function.observed} times, but cannot be reached")


def _foreign_log(context: Context) -> Iterator[Hit]:
    for site in context.strangers:
        item = f"{site.interface}@{site.version}#{site.func}" if site.version else site.item
        yield Hit(item, f"the logs have calls of {item}, which this component does not import")


def _readers(context: Context) -> Iterator[Hit]:
    for item, message in context.readers:
        yield Hit(item, message)


RULES = (
    Rule("WCM001", "not-analysable", "error",
         "Part of what the component can do is not in the file, or cannot be followed.",
         "Imported components and modules are code nobody has seen. Where core code is malformed,"
         " everything counts as reachable.",
         "Judge the composed component instead of its parts.", _opaque),
    Rule("WCM002", "readers-differ", "error",
         "wasm-tools reads other imports or exports than whamm-cm does.",
         "A component that two readers read differently may be another one to the host, too.",
         "Update both tools. If they still differ, do not deploy it, and please report it.",
         _readers),
    Rule("WCM003", "policy-does-not-match", "error",
         "The policy is for other components, by its section match.",
         "A gate that judges nothing passes everything.",
         "Give the policy for this component.", _other_policy),
    Rule("WCM020", "unreachable-import", "note",
         "No export can reach any function of an import.",
         "The host must grant it all the same. Language runtimes import what they do not use.",
         "Build with less of the runtime, or stub the import by composition.", _unreachable),
    Rule("WCM021", "observed-unreachable", "error",
         "A log has calls of a function that cannot be reached.",
         "Either the log is of another component or another build, or the analysis is wrong; then"
         " please report it.",
         "Trace this very file.", _contradiction),
    Rule("WCM022", "foreign-log", "warning",
         "A log has calls that are no import of this component.",
         "Evidence about another component says nothing about this one.",
         "Trace this very file, or give only its logs.", _foreign_log),
)  # fmt: skip
