"""Components from OCI registries and image layouts, and what their publishers claim of them."""

from __future__ import annotations

from pathlib import Path

from whamm_cm.gate.registry.artifact import (
    ACCEPT,
    MAX_DOCUMENT,
    Artifact,
    Claims,
    Descriptor,
    fetch,
)
from whamm_cm.gate.registry.client import Client, Timeouts
from whamm_cm.gate.registry.credentials import config_path, credentials
from whamm_cm.gate.registry.layout import Layout, split
from whamm_cm.gate.registry.reference import SCHEME, Digest, Reference

__all__ = ["Artifact", "Claims", "Timeouts", "pull"]


def pull(
    path: str, *, timeouts: Timeouts | None = None, config: Path | None = None
) -> tuple[bytes, Artifact]:
    """The bytes of the component, verified against their digest, and where they are from.

    ``path``: ``oci://…``, or an image layout as ``DIR``, ``DIR:TAG`` or ``DIR@sha256:…``.
    ``config``: Docker's config.json, if not in its usual place.  Raises InputError.
    """
    if not path.startswith(SCHEME):
        folder, wanted = split(path) or (path, "")
        return fetch(Layout(path, Path(folder), wanted))
    reference = Reference.parse(path)
    known = credentials(reference.registry, config or config_path())
    return fetch(_Registry(Client(reference, known, timeouts or Timeouts())))


class _Registry:
    def __init__(self, client: Client) -> None:
        self.client = client
        self.reference = str(client.reference)

    def manifest(self, digest: Digest | None) -> bytes:
        reference = self.client.reference
        wanted = str(digest) if digest else reference.wanted
        what = f"the manifest {wanted}"
        reply = self.client.get(f"manifests/{wanted}", ACCEPT, MAX_DOCUMENT, what)
        said = reply.headers.get("docker-content-digest")
        expected = (reference.digest if digest is None else digest) or Digest.try_parse(said)
        if expected is not None and not expected.matches(reply.body):
            raise self.client.fail(f"the manifest is not what its digest {expected} says")
        return reply.body

    def blob(self, descriptor: Descriptor, limit: int, what: str) -> bytes:
        return self.client.get(f"blobs/{descriptor.digest}", "*/*", limit, what).body
