"""WCM101–WCM109: imports and exports against ``hostInterfaces`` of a manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias

from whamm_cm.gate import wasmcloud as host
from whamm_cm.gate.context import Check, Context, Hit, Rule
from whamm_cm.gate.manifest import HostInterface
from whamm_cm.gate.model import ImportRow, Location
from whamm_cm.gate.placement import Placement

_Look: TypeAlias = Callable[[Context, Placement], Iterator[Hit]]


def of_component(look: _Look) -> Check:
    """``look`` at every place that the component has in manifests."""
    return lambda context: _placed(look, context, context.manifest or ())


def of_workload(look: _Look) -> Check:
    """``look`` once for each workload, by the component that leads it."""

    def check(context: Context) -> Iterator[Hit]:
        return _placed(look, context, (one for one in context.manifest or () if one.leads))

    return check


def _placed(look: _Look, context: Context, placements: Iterable[Placement]) -> Iterator[Hit]:
    for placement in placements:
        for hit in look(context, placement):
            # The same trouble in two workloads is two findings.
            item = f"{placement.workload.name}: {hit.item}" if placement.several else hit.item
            yield replace(hit, item=item)


def _asked(context: Context, placement: Placement) -> Iterator[tuple[ImportRow, host.Match]]:
    """Imports that the manifest has to do something for."""
    workload = placement.workload
    for row in context.subject.imports:
        if not host.needed(row) or host.linked(row):
            continue
        if host.exporters(row, placement.subjects):  # more than one is a finding of its own
            continue
        # No entry helps with another release of what is built in.
        built_in = host.split(row.interface)[0] in host.BUILT_IN
        entries = () if built_in else workload.interfaces
        yield row, host.match(row, context.subject, entries, placement.release)


def _patch(row: ImportRow) -> str:
    """What to do about a missing entry."""
    entry = _entry(row)
    if not entry:
        return "Hosts link interfaces only; import an interface instead."
    return f"Add to hostInterfaces: {entry}"


def _granted(row: ImportRow) -> str:
    """The part of a manifest that has the missing entry, "" where none can."""
    entry = _entry(row)
    return entry and f"hostInterfaces:\n  - {entry}\n"


def _entry(row: ImportRow) -> str:
    package, name = host.split(row.interface)
    if not package:
        return ""
    space, _, rest = package.partition(":")
    lines = [f"namespace: {space}", f"package: {rest}", f"interfaces: [{name}]"]
    lines += [f'version: "{row.version}"'] if row.version else []
    lines += [f"name: {row.name}"] if host.labelled(row) else []
    return "{ " + ", ".join(lines) + " }"


def _by_sibling(row: ImportRow, placement: Placement) -> bool:
    """Whether a component that is not among the inputs may be the one that provides it."""
    return bool(placement.unknown) and host.split(row.interface)[0] not in host.PLUGINS


@of_component
def _missing(context: Context, placement: Placement) -> Iterator[Hit]:
    at = placement.workload.interfaces_at
    for row, match in _asked(context, placement):
        package, name = host.split(row.interface)
        if match.cover == "none" and not _by_sibling(row, placement):
            why = "has no entry in hostInterfaces"
            fix, allow = _patch(row), _granted(row)
            if package in host.BUILT_IN:
                why = f"is not linked: hosts have {package} at releases 0.2 and 0.3 only"
                fix, allow = "Build against a release of WASI that the host has.", ""
            elif not package:
                why = "is no interface of a package, so no entry can name it"
            text = f"{row.label} {why}; the workload will not start"
            yield Hit(row.item, text, at, fix, allow=allow)
        elif match.cover == "unlisted" and match.entry:
            text = f"{row.label} is not listed in the entry for {match.entry}"
            yield Hit(row.item, text, match.entry.location, f"List {name} in that entry.")
        elif match.cover == "unnamed" and match.entry:
            text = f"{row.label} has only entries with a name, which are for labelled imports"
            yield Hit(row.item, text, match.entry.location, _patch(row), allow=_granted(row))


@of_component
def _provider_unknown(context: Context, placement: Placement) -> Iterator[Hit]:
    for row, match in _asked(context, placement):
        package = host.split(row.interface)[0]
        if match.cover == "none" and package not in host.BUILT_IN and _by_sibling(row, placement):
            others = ", ".join(item.name for item in placement.unknown)
            text = f"{row.label} has no entry; whether {others} exports it is not known"
            yield Hit(row.item, text, placement.item.location)


@of_component
def _version(context: Context, placement: Placement) -> Iterator[Hit]:
    for row, match in _asked(context, placement):
        if match.cover == "version" and match.entry:
            text = f"{row.label} is granted at version {match.entry.version}; the two must be equal"
            fix = f'Write version: "{row.version}", or build against {match.entry.version}.'
            yield Hit(row.item, text, match.entry.location, fix)


@of_component
def _label(context: Context, placement: Placement) -> Iterator[Hit]:
    for row, match in _asked(context, placement):
        if match.cover == "label" and match.entry:
            text = f'no entry for {match.entry.package} is named "{row.name}" for {row.label}'
            yield Hit(row.item, text, match.entry.location, _patch(row), allow=_granted(row))


@of_component
def _partial(context: Context, placement: Placement) -> Iterator[Hit]:
    said: set[Location] = set()
    for _, match in _asked(context, placement):
        entry = match.entry
        if match.cover != "partial" or entry is None or entry.location in said:
            continue
        said.add(entry.location)
        extra = [n for n in sorted(entry.listed) if not host.uses(context.subject, entry, n)]
        names = ", ".join(extra)
        text = (
            f"the entry for {entry} also lists {names}, which {placement.item.name} neither"
            " imports nor exports; the host then skips the whole entry"
        )
        yield Hit(entry.package, text, entry.location, f"Give {names} an entry of its own.")


def _users(context: Context, placement: Placement, entry: HostInterface, name: str) -> bool:
    # The host takes one handler of wasi:http for the other.
    points = host.ENTRY_POINTS["wasi:http"]
    http = entry.package == "wasi:http" and name in points
    return any(
        host.uses(subject, entry, one)
        for subject in (context.subject, *placement.subjects)
        for one in (points if http else (name,))
    )


@of_workload
def _unused(context: Context, placement: Placement) -> Iterator[Hit]:
    if placement.unknown:
        return
    for entry in placement.workload.interfaces:
        idle = [n for n in sorted(entry.listed) if not _users(context, placement, entry, n)]
        if len(idle) == len(entry.listed) and idle:
            # Another version of it is a finding of its own.
            if not any(
                host.split(row.interface)[0] == entry.package and not host.same_version(entry, row)
                for subject in (context.subject, *placement.subjects)
                for row in subject.imports
            ):
                text = f"{entry} is granted, but nothing in the workload imports or exports it"
                yield Hit(str(entry), text, entry.location)
        elif entry.package in host.BUILT_IN:
            for name in idle:
                text = f"{entry.package}/{name} is granted, but not imported or exported"
                yield Hit(f"{entry.package}/{name}", text, entry.location)


@of_component
def _built_in(context: Context, placement: Placement) -> Iterator[Hit]:
    if host.does(placement.release, "built-in"):
        return
    for entry in placement.workload.interfaces:
        taken = entry.package == "wasi:http" and entry.listed <= host.INGRESS
        if (
            entry.package in host.BUILT_IN
            and not taken
            and host.fits(entry, context.subject, placement.release)
        ):
            extra = sorted(entry.listed - (host.INGRESS if entry.package == "wasi:http" else set()))
            what = ", ".join(f"{entry.package}/{name}" for name in extra)
            text = (
                f"{what} is linked without an entry, and no plugin answers for it:"
                " the host refuses the workload"
            )
            yield Hit(entry.package, text, entry.location)


@of_workload
def _unnamed_twice(_: Context, placement: Placement) -> Iterator[Hit]:
    first: dict[str, HostInterface] = {}
    for entry in placement.workload.interfaces:
        if not entry.name and first.setdefault(entry.package, entry) is not entry:
            line = first[entry.package].location.line
            text = f"a second entry for {entry.package} without a name; the first is on line {line}"
            yield Hit(entry.package, text, entry.location)


@of_component
def _ambiguous(context: Context, placement: Placement) -> Iterator[Hit]:
    components = [
        one.subject
        for one in placement.others
        if one.subject is not None and one.item.kind == "component"
    ]
    if placement.item.kind == "component":
        components.append(context.subject)
    for row in context.subject.imports:
        count = host.exporters(row, components)
        if row.kind == "instance" and count > 1:
            text = f"{row.label} is exported by {count} components of the workload"
            yield Hit(row.item, text, placement.item.location)


@of_component
def _entry_point(context: Context, placement: Placement) -> Iterator[Hit]:
    if placement.unknown:
        return
    for row in context.subject.exports:
        package, name = host.split(row.interface)
        points = host.ENTRY_POINTS.get(package, frozenset())
        inside = any(one.name == row.name for s in placement.subjects for one in s.imports)
        if name not in points or inside:
            continue
        entries = [e for e in placement.workload.interfaces if e.package == package]
        if not any(entry.listed & points and host.same_version(entry, row) for entry in entries):
            space, _, rest = package.partition(":")
            fix = (
                f"Add to hostInterfaces: {{ namespace: {space}, package: {rest},"
                f" interfaces: [{name}] }}"
            )
            text = f"{row.item} is exported, but no entry makes the host call it"
            yield Hit(row.item, text, placement.workload.interfaces_at, fix)


@of_workload
def _no_host(_: Context, placement: Placement) -> Iterator[Hit]:
    for entry in placement.workload.interfaces:
        points = host.ENTRY_POINTS["wasi:http"]
        asked = entry.package == "wasi:http" and entry.listed & points
        if asked and entry.host is None and not entry.supplied:
            text = f"the entry for {entry} has no config.host; the workload will not start"
            yield Hit(str(entry), text, entry.location)


@of_component
def _no_run(context: Context, placement: Placement) -> Iterator[Hit]:
    if placement.item.kind != "service":
        return
    if not any(host.split(row.interface) == ("wasi:cli", "run") for row in context.subject.exports):
        text = "the service exports no wasi:cli/run; the workload will not start"
        yield Hit("service", text, placement.item.location)


@of_workload
def _shared_host(_: Context, placement: Placement) -> Iterator[Hit]:
    taken = {
        entry.host: other
        for other in placement.workloads
        if other is not placement.workload
        for entry in other.interfaces
        if entry.package == "wasi:http" and entry.host
    }
    for entry in placement.workload.interfaces:
        if entry.package == "wasi:http" and entry.host in taken:
            other = taken[entry.host]
            text = (
                f"{entry.host} is also the host name of {other.kind} {other.name}, on line"
                f" {other.location.line} of {other.location.file}; requests are split between them"
            )
            yield Hit(entry.host, text, entry.location)


RULES = (
    Rule("WCM101", "manifest-missing", "error",
         "An import has no entry in hostInterfaces.",
         "Clusters link only what the manifest declares; `wash dev` adds the entries by itself, so"
         " this is found on the first deployment. Linked without an entry: wasi:io, clocks, random,"
         " cli, filesystem, sockets and http, at 0.2 and 0.3.",
         "Add the entry to hostInterfaces.", _missing),
    Rule("WCM102", "manifest-version", "error",
         "An entry of hostInterfaces has another version than the import.",
         "The host compares versions for equality; 0.2.0 and 0.2.0-draft are two versions.",
         "Write the version that the component imports.", _version),
    Rule("WCM103", "manifest-unused", "warning",
         "Something is granted that nothing in the workload imports or exports.",
         "A grant that nobody needs is one that the next release can use unnoticed.",
         "Remove it from hostInterfaces.", _unused),
    Rule("WCM104", "manifest-label", "error",
         "An import has a label (implements) that no entry has for a name.",
         "The host routes such an import to the entry of that name.",
         "Give the entry the label for its name.", _label),
    Rule("WCM105", "manifest-unnamed-twice", "error",
         "Two entries for one package have no name.",
         "The one without a name is the default route, of which there is one.",
         "Name all but one of them.", _unnamed_twice),
    Rule("WCM106", "manifest-partial", "error",
         "An entry lists more of a package than the component has.",
         "The host gives an entry only to components that have all it lists; this one gets nothing"
         " of it.",
         "Split the entry.", _partial),
    Rule("WCM107", "manifest-built-in", "error",
         "An entry is for something that the host links by itself.",
         "The host then looks for a plugin that serves it, finds none, and refuses the workload. Of"
         " wasi:http an entry may list incoming-handler, outgoing-handler and handler.",
         "Remove it from hostInterfaces.", _built_in),
    Rule("WCM108", "export-ambiguous", "error",
         "An import is exported by several components of the workload.",
         "The host cannot tell which of them to link, and refuses the workload.",
         "Put them into workloads of their own, or compose what belongs together.",
         _ambiguous),
    Rule("WCM109", "export-undeclared", "warning",
         "A handler is exported and the manifest has no entry for it.",
         "The host sends requests and messages only where hostInterfaces says so.",
         "Add the entry to hostInterfaces.", _entry_point),
    Rule("WCM124", "http-no-host", "error",
         "An entry for HTTP has no host name.",
         "Hosts route requests by it, and refuse the workload without one; configFrom or secretFrom"
         " may supply it.",
         "Add config: { host: NAME } to the entry.", _no_host),
    Rule("WCM125", "service-no-run", "error",
         "The component of a service exports no wasi:cli/run.",
         "Hosts start a service by that export, and refuse the workload without it.",
         "Build it as a command, or deploy it as a component.", _no_run),
    Rule("WCM126", "host-name-shared", "warning",
         "Two workloads have one host name.",
         "Hosts split the requests for that name between the two.",
         "Give each workload a name of its own.", _shared_host),
    Rule("WCM123", "provider-unknown", "note",
         "Whether an import is provided within the workload cannot be told.",
         "The workload has components that are not among the inputs.",
         "Give the gate all components of the workload.", _provider_unknown),
)  # fmt: skip
