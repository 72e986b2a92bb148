"""Declared, reachable, observed: what a component may do, could do, and was seen to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field

from whamm_cm.analysis.reach.analysis import Reachability
from whamm_cm.analysis.reach.model import ComponentReach, ImportReach, ItemReach
from whamm_cm.analysis.reach.values import ItemKind, Path
from whamm_cm.dataclass import dataclass
from whamm_cm.trace.calls import Site
from whamm_cm.trace.reader import Record

#: Edges of records that are about an import of the component they name.
_LEAVING = ("import", "inner")
#: What ``inner`` leaves out of a record is not there.
_NO_NAMES = {"interface": "", "version": ""}

#: Phases of records that are about a site.
_OF_SITES = ("call", "return", "report")


@dataclass(slots=True)
class Observed:
    """Calls by site, gathered from records; memory is bounded by the number of sites."""

    calls: dict[Site, int] = field(default_factory=dict)
    _returned: dict[Site, None] = field(default_factory=dict)

    def feed(self, record: Record) -> None:
        phase = record["phase"]
        if phase not in _OF_SITES:
            return
        # An import has the name its component uses; the root's follows from who provides it.
        inner = record.get("inner")
        site = Site.of(record if inner is None else {**record, **_NO_NAMES, **inner})
        if phase == "return":
            # Its call may have been lost; that it happened is certain.
            self._returned[site] = None
        elif phase == "call" or (phase == "report" and "count" in record):
            # Scripts report values of their own; those are no calls.
            self.calls[site] = self.calls.get(site, 0) + record.get("count", 1)

    @staticmethod
    def of(records: Iterable[Record]) -> Observed:
        observed = Observed()
        for record in records:
            observed.feed(record)
        return observed

    def counts(self) -> Mapping[Site, int]:
        """How often each site was seen; 1 where only a return was."""
        return dict.fromkeys(self._returned, 1) | self.calls


@dataclass(frozen=True, slots=True)
class ItemUse:
    """``observed``: calls seen, None when nothing was looked at."""

    item: ItemReach
    observed: int | None


@dataclass(frozen=True, slots=True)
class ImportUse:
    """An import with its items.  Counts are of functions; drops of resources are left out."""

    found: ImportReach
    items: tuple[ItemUse, ...]

    @property
    def declared(self) -> int:
        return sum(use.item.kind == "func" for use in self.items)

    @property
    def reachable(self) -> int:
        return sum(use.item.kind == "func" and use.item.reachable for use in self.items)

    @property
    def observed(self) -> int | None:
        """Functions that were seen called; None when nothing was looked at."""
        if any(use.observed is None for use in self.items):
            return None
        return sum(use.item.kind == "func" and bool(use.observed) for use in self.items)


@dataclass(frozen=True, slots=True)
class ComponentUse:
    """A component definition with its imports; the root's ``path`` is empty."""

    found: ComponentReach
    imports: tuple[ImportUse, ...]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """``components``: the root first.  ``strangers``: calls in the logs of functions that are no
    import of any component in here: the logs are of something else."""

    components: tuple[ComponentUse, ...]
    strangers: tuple[Site, ...] = ()

    @property
    def root(self) -> ComponentUse:
        return self.components[0]

    @property
    def contradictions(self) -> tuple[tuple[ComponentUse, ImportUse, ItemUse], ...]:
        """What was observed and called unreachable: the log is of another component, or the
        analysis is wrong."""
        return tuple(
            (component, one, use)
            for component in self.components
            for one in component.imports
            for use in one.items
            if use.observed and not use.item.reachable
        )


def capabilities(found: Reachability, observed: Observed | None = None) -> Capabilities:
    """The three columns.  ``observed`` None: no logs, so the third is unknown."""
    counts: dict[tuple[str, Path, ItemKind], int] = {}
    strangers: list[Site] = []
    if observed is not None:
        rows = _Rows(found)
        for site, number in observed.counts().items():
            if site.edge in _LEAVING:
                keys = rows.of(site)
                for key in keys:
                    counts[key] = counts.get(key, 0) + number
                if not keys and site.edge == "import":
                    strangers.append(site)

    def use(component: ComponentReach, item: ItemReach) -> ItemUse:
        key = component.path, item.path, item.kind
        return ItemUse(item, None if observed is None else counts.get(key, 0))

    components = tuple(
        ComponentUse(
            component,
            tuple(
                ImportUse(one, tuple(use(component, item) for item in one.items))
                for one in component.imports
            ),
        )
        for component in found.components
    )
    return Capabilities(components, tuple(strangers))


_Key = tuple[str, Path, ItemKind]


class _Rows:
    """Which items a record is about: that of the component it names, and the import of the root
    that component was given."""

    def __init__(self, found: Reachability) -> None:
        self.rows: dict[tuple[str, str, str | None, str], dict[_Key, None]] = {}
        for component in found.components:
            for one, item in component.items():
                keys: dict[_Key, None] = {(component.path, item.path, item.kind): None}
                for provider in item.providers:
                    if provider.kind == "host":
                        keys["", provider.path, item.kind] = None
                names = {(one.interface, one.version)}
                if one.interface and one.name != one.interface:
                    names.add((one.name, None))  # the name of an instance that implements it
                names |= {(p.path[0], None) for p in item.providers if p.kind == "host"}
                for interface, version in names:
                    at = (component.place, interface, version, item.label)
                    self.rows.setdefault(at, {}).update(keys)
        self.root = found.root.place

    def of(self, site: Site) -> tuple[_Key, ...]:
        version = site.version or None
        found = None
        if site.label:  # there may be others that implement the same
            found = self.rows.get((site.component, site.label, None, site.func))
        found = found or self.rows.get((site.component, site.interface, version, site.func))
        if not found and site.edge == "import":
            # A call whose component has no import of that name: the root's word counts.
            found = self.rows.get((self.root, site.interface, version, site.func))
        return tuple(found or ())
