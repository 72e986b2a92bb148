"""How a wasmCloud v2 host matches ``hostInterfaces`` with what a component imports and exports.

An entry reaches a component only if everything it lists is in the component's world; versions,
where both sides have one, must be equal.  The host's plugins then link their whole package.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.gate.manifest import HostInterface
from whamm_cm.gate.model import ExportRow, ImportRow, Subject
from whamm_cm.wit.semver import Version

#: Releases whose hosts are known, the newest last.
RELEASES = ("2.7", "2.8", "2.9", "2.10")
NEWEST = RELEASES[-1]
#: What hosts do from which release on: take of an entry what a component imports, and leave the
#: rest; know the fields of pools that are reclaimed; take entries for what they link anyhow.
SINCE = {"partial": "2.9", "reclaim": "2.9", "built-in": "2.10"}

#: Linked for every component that imports them, whatever the manifest says.
BUILT_IN = frozenset(
    f"wasi:{name}" for name in ("io", "clocks", "random", "cli", "filesystem", "sockets", "http")
)
#: (major, minor) of the releases of WASI that are linked.
_RELEASES = ((0, 2), (0, 3))

#: The only entries for a built-in package that the host takes: they say who gets requests.
INGRESS = frozenset({"incoming-handler", "outgoing-handler", "handler"})
#: Exports that the host calls if the manifest has them, by package.
ENTRY_POINTS = {
    "wasi:http": frozenset({"incoming-handler", "handler"}),
    "wasmcloud:messaging": frozenset({"handler"}),
    "wasmcloud:nats": frozenset({"core-handler", "jetstream-handler", "kv-handler"}),
}

#: Plugins of a stock host that link their whole package for any entry of it.
_WHOLE = frozenset({
    "wasi:keyvalue", "wasi:blobstore", "wasi:logging", "wasi:otel", "wasmcloud:messaging",
    "wasmcloud:keyvalue", "wasmcloud:blobstore", "wasmcloud:postgres",
})  # fmt: skip
#: All packages that plugins of a stock host serve.
PLUGINS = _WHOLE | {"wasi:config", "wasmcloud:nats", "wasmcloud:secrets", "wasi:webgpu"}

Row: TypeAlias = ImportRow | ExportRow
Cover: TypeAlias = Literal["covered", "none", "version", "label", "unnamed", "partial", "unlisted"]


def split(interface: str) -> tuple[str, str]:
    """``wasi:io/poll`` → (``wasi:io``, ``poll``); a name without package → ("", name)."""
    package, slash, name = interface.partition("/")
    return (package, name) if slash else ("", interface)


def labelled(row: ImportRow) -> bool:
    """Whether an import has a name of its own for the interface it stands for."""
    return bool(row.interface) and "/" in row.interface and row.name != row.item


def linked(row: ImportRow) -> bool:
    """Whether the host links an import without being told to."""
    package, _ = split(row.interface)
    version = Version.try_parse(row.version or "")
    if package not in BUILT_IN or version is None or version.pre:
        return False
    return (version.major, version.minor) in _RELEASES


def needed(row: ImportRow) -> bool:
    """Whether somebody has to provide it: types alone need nobody."""
    return not row.types_only


def uses(subject: Subject, entry: HostInterface, name: str) -> bool:
    """Whether ``subject`` imports or exports interface ``name`` of an entry."""
    rows: Iterator[Row] = (row for group in (subject.imports, subject.exports) for row in group)
    return any(
        split(row.interface) == (entry.package, name) and same_version(entry, row) for row in rows
    )


def does(release: str, what: str) -> bool:
    """Whether hosts of that release do one of SINCE."""
    return RELEASES.index(release) >= RELEASES.index(SINCE[what])


def same_version(entry: HostInterface, row: Row) -> bool:
    if entry.package == "wasi:http":
        return True  # entries say who gets requests; all versions are linked and routed
    return not entry.version or not row.version or entry.version == row.version


def fits(entry: HostInterface, subject: Subject, release: str = NEWEST) -> bool:
    """Whether the host gives ``entry`` to ``subject`` at all."""
    used = (uses(subject, entry, one.text) for one in entry.interfaces)
    return any(used) if does(release, "partial") else all(used)


@dataclass(frozen=True, slots=True)
class Match:
    """How the entries deal with an import; ``entry``: the one to look at, where it is not."""

    cover: Cover
    entry: HostInterface | None = None


def match(
    row: ImportRow, subject: Subject, entries: Iterable[HostInterface], release: str = NEWEST
) -> Match:
    """Each step leaves fewer entries; where none is left, the first of those before is to blame."""
    package, name = split(row.interface)
    left = [entry for entry in entries if package and entry.package == package]
    if not left:
        return Match("none")
    versioned = [entry for entry in left if same_version(entry, row)]
    routed = [entry for entry in versioned if _routed(entry, row, subject)]
    fitting = [entry for entry in routed if fits(entry, subject, release)]
    listing = [entry for entry in fitting if package in _WHOLE or name in entry.listed]
    steps: tuple[tuple[Cover, list[HostInterface]], ...] = (
        ("version", versioned),
        ("label" if labelled(row) else "unnamed", routed),
        ("partial", fitting),
        ("unlisted", listing),
    )
    for cover, rest in steps:
        if not rest:
            return Match(cover, left[0])
        left = rest
    return Match("covered", left[0])


def _routed(entry: HostInterface, row: ImportRow, subject: Subject) -> bool:
    if labelled(row):
        return entry.name == row.name
    # A name may be that of a plugin of one's own, of which nothing is known.
    return not entry.name or entry.package not in PLUGINS


def exporters(row: ImportRow, subjects: Iterable[Subject]) -> int:
    """How many components of a workload export an import by its very name."""
    return sum(any(one.name == row.name for one in subject.exports) for subject in subjects)
