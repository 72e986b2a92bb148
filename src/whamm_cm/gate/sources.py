"""Inputs of the gate that are more than files: images, and components that a manifest deploys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from whamm_cm.gate.model import Subject
from whamm_cm.gate.placement import Places, furnish, place

if TYPE_CHECKING:
    from whamm_cm.gate.registry.artifact import Artifact


def is_image(path: str) -> bool:
    """Whether an input is an OCI reference or image layout, which :meth:`Sources.read` reads."""
    from whamm_cm.gate.registry.layout import split
    from whamm_cm.gate.registry.reference import SCHEME

    return path.startswith(SCHEME) or (path != "-" and split(path) is not None)


@dataclass(slots=True)
class Sources:
    """``paths``: the inputs, as ``batch.find`` gives them, with images among them as they are.

    Use: ``Sources.of(paths, manifests, component)``; :meth:`read` each image (its bytes go into the
    Job); with the subjects known, ``engine.context(…, **sources.facts(index, subjects))``.
    """

    paths: Sequence[str]
    places: Places | None = None
    artifacts: dict[int, Artifact] = field(default_factory=dict)
    _furnished: Places | None = None

    @staticmethod
    def of(
        paths: Sequence[str], manifests: Iterable[str] = (), component: str | None = None
    ) -> Sources:
        """Raises InputError for a bad manifest, UsageError where it is not clear which component
        an input is."""
        files = tuple(manifests)
        if not files:
            return Sources(paths)
        from whamm_cm.gate.manifest import read_manifest

        workloads = [one for file in files for one in read_manifest(file)]
        return Sources(paths, place(paths, workloads, component))

    @property
    def together(self) -> bool:
        """Whether all subjects are needed before the first can be judged."""
        return self.places is not None

    def read(self, index: int) -> bytes | None:
        """The component of an image; None for other inputs.  Raises InputError."""
        if not is_image(self.paths[index]):
            return None
        from whamm_cm.gate.oci import pull  # urllib and ssl take their time

        data, self.artifacts[index] = pull(self.paths[index])
        return data

    def facts(self, index: int, subjects: Mapping[int, Subject]) -> dict[str, object]:
        """The fields ``manifest`` and ``oci`` of a context; ``subjects`` by index of the input,
        all of them from the first call on where they are judged :attr:`together`."""
        if self.places is not None and self._furnished is None:
            self._furnished = furnish(self.places, subjects)
        manifest = None if self._furnished is None else self._furnished[index]
        return {"manifest": manifest, "oci": self.artifacts.get(index)}
