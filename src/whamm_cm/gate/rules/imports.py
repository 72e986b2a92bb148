"""WCM010–WCM019: what a component asks its host for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from whamm_cm.errors import cut
from whamm_cm.gate.context import Context, Decision, Hit, Rule, Verdict
from whamm_cm.gate.model import ExportRow, ImportRow, NestedRow
from whamm_cm.gate.policy import HostProfile
from whamm_cm.gate.written import import_allowed
from whamm_cm.wit.known import resembles
from whamm_cm.wit.names import ExternNameParts


def _whole(decisions: tuple[Decision, ...], verdict: Verdict) -> bool:
    return bool(decisions) and all(one.verdict == verdict for one in decisions)


def _left(context: Context) -> Iterator[tuple[ImportRow, tuple[Decision, ...]]]:
    """What is decided of each import, without the calls that a guard denies: it denies functions
    only."""
    held = context.holds("imports")
    for row, decisions in context.decisions:
        yield (
            row,
            tuple(
                one
                for one in decisions
                if not (held and one.verdict == "deny" and one.function is not None)
            ),
        )


def _because(row: ImportRow, decision: Decision, default: str) -> str:
    line = decision.line
    if line is None:
        return default
    return line.matching(row.interface) + (f": {line.reason}" if line.reason else "")


def _functions(row: ImportRow, decisions: Iterable[Decision]) -> str:
    """How much of it, in words."""
    judged = [one.function for one in decisions if one.function is not None]
    if not judged:
        return ""
    noun = "function" if len(judged) == 1 else "functions"
    reachable = sum(one.reachable for one in judged)
    return f" ({len(judged)} {noun}, {reachable} reachable)"


def _parts_of(decisions: Iterable[Decision]) -> tuple[str, ...]:
    return tuple(one.function.name for one in decisions if one.function is not None)


def _denied(context: Context) -> Iterator[Hit]:
    imports = context.policy.imports
    for row, decisions in _left(context):
        if imports is not None and _whole(decisions, "deny"):
            first = next((one for one in decisions if one.line is not None), decisions[0])
            parts = _parts_of(decisions)
            yield Hit(
                row.item,
                f"{row.label}{_functions(row, decisions)} "
                + _because(row, first, "is not on the list of allowed imports"),
                first.line.location if first.line else imports.location,
                parts=parts,
                allow="" if first.line else import_allowed(row, parts),
            )


def _function_denied(context: Context) -> Iterator[Hit]:
    imports = context.policy.imports
    for row, decisions in _left(context):
        if imports is None or _whole(decisions, "deny"):
            continue
        # The line that allows its neighbours is the one to extend.
        near = next((one.line for one in decisions if one.line and one.verdict == "allow"), None)
        for one in decisions:
            if one.verdict == "deny" and one.function is not None:
                line = one.line or near
                yield Hit(
                    f"{row.item}#{one.function.name}",
                    f"{row.label}#{one.function.name} "
                    + _because(row, one, "is not on the list of allowed functions"),
                    line.location if line else imports.location,
                    allow="" if one.line else import_allowed(row, (one.function.name,)),
                )


def _warned(context: Context) -> Iterator[Hit]:
    for row, decisions in context.decisions:
        warned = [one for one in decisions if one.verdict == "warn"]
        if warned and warned[0].line is not None and len(warned) == len(decisions):
            text = f"{row.label}{_functions(row, warned)} {_because(row, warned[0], '')}"
            yield Hit(row.item, text, warned[0].line.location, parts=_parts_of(warned))
            continue
        for one in warned:
            if one.function is not None and one.line is not None:
                item = f"{row.item}#{one.function.name}"
                text = f"{row.label}#{one.function.name} {_because(row, one, '')}"
                yield Hit(item, text, one.line.location)


def _missing(row: ImportRow, host: HostProfile) -> tuple[str, ...] | None:
    """What ``host`` does not link of an import: () for all of it, None for nothing missing.
    Types alone are nobody's to link: hosts start what imports them."""
    if row.types_only:
        return None
    if row.kind not in ("instance", "func") or row.form == "strange":
        return ()
    links = [link for link in host.links if link.allows(row.interface, row.version, None)]
    if row.form == "label" and not _labels(host, row):
        return ()
    if not row.functions:
        return None if links else ()
    lacking = [
        one.name
        for one in row.functions
        if not any(link.allows(row.interface, row.version, one.name) for link in links)
    ]
    if not lacking:
        return None
    return () if len(lacking) == len(row.functions) else tuple(lacking)


def _labels(host: HostProfile, row: ImportRow) -> bool:
    return any(line.allows(row.interface, row.version, None) for line in host.labels)


#: Why a host that links an interface does not link it as it is written.
_WRITTEN = {"plain": "", "label": " under a label", "strange": " as it is written there"}


def _knows(host: HostProfile, row: ImportRow) -> bool:
    return bool(row.interface) and any(link.names(row.interface) for link in host.links)


def _other_version(host: HostProfile, row: ImportRow) -> bool:
    """Whether it knows the interface, and not this version of it."""
    return _knows(host, row) and not any(
        link.allows(row.interface, row.version, None) for link in host.links
    )


def _not_linked(context: Context) -> Iterator[Hit]:
    for host in context.policy.hosts:
        for row in context.subject.imports:
            missing = _missing(row, host)
            if missing is None or _other_version(host, row):
                continue
            if not missing and row.form == "plain" and _knows(host, row):
                missing = tuple(one.name for one in row.functions)
            for item, shown in _parts(row, missing):
                how = _WRITTEN[row.form]
                text = f"{host.name} does not link {shown}{how}; the component will not start"
                every = () if missing else tuple(one.name for one in row.functions)
                yield Hit(item, text, host.location, parts=every)


def _parts(row: ImportRow, missing: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if not missing:
        yield row.item, row.label
    for name in missing:
        yield f"{row.item}#{name}", f"{row.label}#{name}"


def _version_not_linked(context: Context) -> Iterator[Hit]:
    for host in context.policy.hosts:
        for row in context.subject.imports:
            if _missing(row, host) is not None and _other_version(host, row):
                version = f"version {row.version}" if row.version else "it without a version"
                what = row.interface if row.version else row.label
                text = f"{host.name} links {what}, but not {version}"
                yield Hit(
                    row.item, text, host.location, parts=tuple(one.name for one in row.functions)
                )


def _needs_option(context: Context) -> Iterator[Hit]:
    for host in context.policy.hosts:
        for row in context.subject.imports:
            if _missing(row, host) is not None:
                continue
            plain = [link for link in host.links if not link.reason]
            if _missing(row, replace(host, links=tuple(plain))) is None:
                continue
            names: list[str | None] = [one.name for one in row.functions]
            reasons = dict.fromkeys(
                link.reason
                for link in host.links
                for name in names or [None]
                if link.reason and link.allows(row.interface, row.version, name)
            )
            text = f"on {host.name}, {row.label} needs {' or '.join(reasons)}"
            yield Hit(row.item, text, host.location)


def _odd(name: str) -> str:
    """The first character that looks like another or like none, "" without one.  At a zero byte
    a name is over for hosts in C."""
    return next((ch for ch in name if not ch.isascii() or not ch.isprintable()), "")


def _bad_name(context: Context) -> Iterator[Hit]:
    rows = [(row.name, "import", "") for row in context.subject.imports]
    rows += [(row.name, "export", "") for row in context.subject.exports]
    rows += [
        (row.name, "import", f" of {nested.path}")
        for nested in context.subject.nested
        for row in nested.imports
    ]
    if (
        context.subject.alone
    ):  # core modules call things what they like, but for what looks otherwise
        rows += [
            (one.raw, "import", "") for row in context.subject.imports for one in row.functions
        ]
        rows = [(name, what, where) for name, what, where in rows if _odd(name)]
    for name, what, where in dict.fromkeys(rows):
        if ExternNameParts.try_parse(name) is None:
            odd = _odd(name)
            why = f"has U+{ord(odd):04X} in it" if odd else "is no name of the component model"
            yield Hit(name, f"{what} {name!a}{cut(where)} {why}")
    for row in () if context.subject.alone else context.subject.imports:
        for function in row.functions:
            if ExternNameParts.try_parse(function.raw) is None:
                item = f"{row.item}#{function.name}"
                yield Hit(item, f"function {function.raw!a} of {row.label} has no proper name")


def _ambiguous(context: Context) -> Iterator[Hit]:
    """Where nothing is denied, nothing can be got round by a name."""
    if not context.policy.denies:
        return
    rows: list[tuple[ImportRow | ExportRow, str]] = [
        *((row, "import") for row in context.subject.imports),
        *((row, "export") for row in context.subject.exports),
    ]
    for row, what in rows:
        if row.odd:
            yield Hit(row.name, f"{what} {row.name!a} {row.odd}")


def _unknown(context: Context) -> Iterator[Hit]:
    for row in context.subject.imports:
        near = resembles(row.interface) if row.interface else None
        if near is not None:
            hint = f"; it resembles {near}" if near else ""
            text = f"{row.label} is no interface of {row.interface.partition('/')[0]}{hint}"
            yield Hit(row.item, text)


def _disguised(context: Context) -> Iterator[Hit]:
    """What a component inside takes for one interface and the root asks for as another."""
    for nested in context.subject.nested:
        for row in nested.imports:
            sources = dict.fromkeys(
                provider.item
                for function in row.functions
                for provider in function.providers
                if provider.kind == "host"
            )
            for name in sources:
                outer = _root(context, name)
                if outer is not None and _other(row, outer):
                    yield from _disguise(context, nested, row, outer)


def _root(context: Context, name: str) -> ImportRow | None:
    """The import of the root called ``name``, which may lack the suffix of its version."""
    rows = context.subject.imports
    same = [row for row in rows if row.name == name]
    return next(iter(same or [row for row in rows if row.name.startswith(name)]), None)


def _other(row: ImportRow, outer: ImportRow) -> bool:
    named = row.interface and ExternNameParts.try_parse(row.interface)
    if not named or named.kind != "interface":
        return False
    return row.interface != outer.interface


def _disguise(
    context: Context, nested: NestedRow, row: ImportRow, outer: ImportRow
) -> Iterator[Hit]:
    verdicts = {one.verdict for one in context.decide(row)}
    if verdicts and verdicts <= {"allow"}:  # none where the policy says nothing of imports
        return
    where = cut(nested.path) + (f' "{nested.name}"' if nested.name else "")
    text = f"{where} uses {outer.label} of the host as {row.label}"
    location = context.policy.imports.location if context.policy.imports else None
    yield Hit(row.item, text, location, parts=tuple(one.name for one in row.functions))


RULES = (
    Rule("WCM010", "import-denied", "error",
         "An import is denied, or not allowed where the default is to deny.",
         "Every import is a capability the host hands over. One line of the policy has to allow it,"
         " and none may deny it.",
         "Remove the import from the component, or allow it under imports.allow.", _denied),
    Rule("WCM011", "import-warned", "warning", "An import is on the policy's list of warnings.",
         "The policy allows it and wants somebody to look at it.",
         "Do what the reason in the policy says, or waive it.", _warned),
    Rule("WCM012", "not-linked", "error", "The host of the profile does not link an import.",
         "A component does not start when one of its imports is missing, whether or not it would"
         " ever be called. Hosts go by the name as it is written: short versions, suffixes and most"
         " labels (implements) are missing everywhere.",
         "Build without the import, compose a component that provides it, or take another host.",
         _not_linked),
    Rule("WCM013", "version-not-linked", "error",
         "The host links the interface, but not at this version.",
         "Versions match when they are semver-compatible; drafts and release candidates must be"
         " equal.",
         "Build against the version the host has, or update the host.", _version_not_linked),
    Rule("WCM014", "function-denied", "error",
         "Some functions of an import are allowed, and this one is not.",
         "The policy goes by function here: an allowed interface may have functions that are not.",
         "Stop using the function, or allow it under imports.allow.", _function_denied),
    Rule("WCM015", "disguised-import", "error",
         "A component inside uses an import of the root as another interface.",
         "What the root imports under a harmless name may be used inside as an interface that the"
         " policy denies. The policy is asked about both names.",
         "Import the interface under its own name, or allow the inner one, too.", _disguised),
    Rule("WCM016", "unknown-interface", "warning",
         "An import stands in a well-known namespace, or looks like it, and is not known there.",
         "A misspelt name, or one that differs in case or by a letter, is easily taken for the real"
         " interface when somebody reviews a list.",
         "Correct the name; waive it if the interface is newer than this version.", _unknown),
    Rule("WCM017", "bad-name", "error",
         "A name is outside the grammar of the component model.",
         "Look-alike letters from other alphabets make one name pass for another. Hosts refuse such"
         " names; reviewers may not see them.",
         "Find out who made this component.", _bad_name),
    Rule("WCM019", "ambiguous-name", "error",
         "A name can be taken for more than one interface, or for none.",
         "Attributes that contradict the name or each other, functions by the name of an interface,"
         " and imports by dependency, URL or hash: hosts differ in what they give for them."
         " The rule speaks where the policy denies anything.",
         "Build with current tools; import interfaces by their own names.", _ambiguous),
    Rule("WCM018", "needs-option", "note", "The host links an import only when it is told to.",
         "On such a host the component starts only with the named option or configuration.",
         "Configure the host as the message says.", _needs_option),
)  # fmt: skip
