"""Components from OCI registries and image layouts, and what their publishers claim of them."""

from __future__ import annotations

from pathlib import Path

from whamm_cm.errors import InputError
from whamm_cm.registry.artifact import (
    MAX_DOCUMENT,
    Artifact,
    Claims,
    Descriptor,
    Document,
    fetch,
)
from whamm_cm.registry.client import Client, Timeouts
from whamm_cm.registry.credentials import config_path, credentials
from whamm_cm.registry.document import ACCEPT, content_type
from whamm_cm.registry.layout import Layout
from whamm_cm.registry.names import SCHEME, split
from whamm_cm.registry.reference import Digest, Reference

__all__ = ["Artifact", "Claims", "Timeouts", "pinned", "pull", "pull_all"]


def pull(
    path: str, *, timeouts: Timeouts | None = None, config: Path | None = None
) -> tuple[bytes, Artifact]:
    """The one component, as :func:`pull_all`; InputError, too, where there are several."""
    found = pull_all(path, timeouts=timeouts, config=config)
    if len(found) == 1:
        return found[0]
    shown = ", ".join(str(artifact.digest) for _, artifact in found[:4])
    more = ", …" if len(found) > 4 else ""
    raise InputError(
        f"{found[0][1].reference}: {len(found)} manifests to choose from; name one by its digest"
        f" ({shown}{more})"
    )


def pull_all(
    path: str, *, timeouts: Timeouts | None = None, config: Path | None = None
) -> list[tuple[bytes, Artifact]]:
    """Every component that a host may take by that name, verified against its digest, and where it
    is from.

    ``path``: ``oci://…``, or an image layout as ``DIR``, ``DIR:TAG`` or ``DIR@sha256:…``.
    ``config``: Docker's config.json, if not in its usual place.  Raises InputError.
    """
    if not path.startswith(SCHEME):
        folder, wanted = split(path) or (path, "")
        return fetch(Layout(path, Path(folder), wanted))
    reference = Reference.parse(path)
    known = credentials(reference.registry, config or config_path())
    with Client(reference, known, timeouts or Timeouts()) as client:
        return fetch(_Registry(client))


def pinned(path: str, digest: Digest) -> str:
    """The same image by its digest."""
    if path.startswith(SCHEME):
        return f"{path.partition('@')[0]}@{digest}"
    folder, _ = split(path) or (path, "")
    return f"{folder}@{digest}"


class _Registry:
    def __init__(self, client: Client) -> None:
        self.client = client
        self.reference = str(client.reference)

    def manifest(self, digest: Digest | None) -> Document:
        reference = self.client.reference
        wanted = str(digest) if digest else reference.wanted
        what = f"the manifest {wanted}"
        reply = self.client.get(f"manifests/{wanted}", ACCEPT, MAX_DOCUMENT, what)
        said = reply.headers.get("docker-content-digest")
        expected = (reference.digest if digest is None else digest) or Digest.try_parse(said)
        if expected is not None and not expected.matches(reply.body):
            raise self.client.fail(f"the manifest is not what its digest {expected} says")
        return Document(reply.body, content_type(reply.headers.get("content-type", "")))

    def blob(self, descriptor: Descriptor, limit: int, what: str) -> bytes:
        return self.client.get(f"blobs/{descriptor.digest}", "*/*", limit, what).body
