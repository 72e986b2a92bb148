"""Inputs of the gate that are more than files: images, and components that a manifest deploys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError
from whamm_cm.gate.model import Subject
from whamm_cm.gate.placement import Placement, Places, furnish, place
from whamm_cm.gate.wasmcloud import NEWEST
from whamm_cm.registry.names import is_image

if TYPE_CHECKING:
    from whamm_cm.registry.artifact import Artifact


#: What became of an image: its component, or why there is none.
Pulled: TypeAlias = "tuple[bytes, Artifact] | InputError"


@dataclass(slots=True)
class Sources:
    """``paths``: the inputs, as ``batch.find`` gives them, with images among them.  An image by
    whose name a host may take several components stands there once for each, by its digest.

    Use: ``Sources.of(paths, manifests, component)``; :meth:`read` each image (its bytes go into the
    Job); with the subjects known, ``engine.context(…, **sources.facts(index, subjects))``.
    """

    paths: Sequence[str]
    places: Places | None = None
    pulled: dict[int, Pulled] = field(default_factory=dict)
    _furnished: Places | None = None

    @staticmethod
    def of(
        paths: Sequence[str],
        manifests: Iterable[str] = (),
        component: str | None = None,
        release: str = NEWEST,
    ) -> Sources:
        """Raises InputError for a bad manifest, UsageError where it is not clear which component
        an input is."""
        files = tuple(manifests)
        places: Places | None = None
        if files:
            from whamm_cm.gate.manifest import read_manifest

            workloads = [one for file in files for one in read_manifest(file)]
            places = place(paths, workloads, component, release)
        return _expanded(paths, places) if any(map(is_image, paths)) else Sources(paths, places)

    @property
    def together(self) -> bool:
        """Whether all subjects are needed before the first can be judged."""
        return self.places is not None

    def read(self, index: int) -> bytes | None:
        """The component of an image; None for other inputs.  Raises InputError."""
        found = self.pulled.get(index)
        if isinstance(found, InputError):
            raise found
        return None if found is None else found[0]

    def facts(self, index: int, subjects: Mapping[int, Subject]) -> dict[str, object]:
        """The fields ``manifest`` and ``oci`` of a context; ``subjects`` by index of the input,
        all of them from the first call on where they are judged :attr:`together`."""
        if self.places is not None and self._furnished is None:
            self._furnished = furnish(self.places, subjects)
        manifest = None if self._furnished is None else self._furnished[index]
        found = self.pulled.get(index)
        return {"manifest": manifest, "oci": found[1] if isinstance(found, tuple) else None}


def _expanded(paths: Sequence[str], places: Places | None) -> Sources:
    """With every component that a host may take by the name of an image."""
    made: list[str] = []
    stand: list[tuple[Placement, ...]] = []
    pulled: dict[int, Pulled] = {}
    for index, path in enumerate(paths):
        rows = _pull(path) if is_image(path) else [(path, None)]
        for number, (name, found) in enumerate(rows):
            if found is not None:
                pulled[len(made)] = found
            made.append(name)
            row = () if places is None else places[index]
            # What is said of a workload is said once.
            stand.append(tuple(replace(one, leads=False) for one in row) if number else row)
    return Sources(made, None if places is None else tuple(stand), pulled)


def _pull(path: str) -> list[tuple[str, Pulled | None]]:
    from whamm_cm.registry.pull import pinned, pull_all  # urllib and ssl take their time

    try:
        found = pull_all(path)
    except InputError as error:
        return [(path, error)]
    if len(found) == 1:
        return [(path, found[0])]
    return [(pinned(path, artifact.digest), (data, artifact)) for data, artifact in found]
