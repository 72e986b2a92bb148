"""Images into registries and image layouts: what they are made of first, their name last.

So whatever interrupts it, nobody ever sees a part of an image.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError, UsageError
from whamm_cm.registry.artifact import MAX_DOCUMENT, Artifact
from whamm_cm.registry.client import Client, Timeouts
from whamm_cm.registry.credentials import config_path, credentials
from whamm_cm.registry.document import ACCEPT, MANIFEST
from whamm_cm.registry.image import Blob, Image
from whamm_cm.registry.layout import Layout
from whamm_cm.registry.names import SCHEME, TAG, split
from whamm_cm.registry.reference import Digest, Reference
from whamm_cm.registry.transport import Ask, Pieces, Reply

#: Blobs go whole; where something on the way takes no more than so much at a time, in chunks.
CHUNK = 5 << 20


@dataclass(frozen=True, slots=True)
class Pushed:
    """``name``: the image by its digest.  ``before``: what the tag was before, if it was there and
    is something else now."""

    name: str
    digest: Digest
    before: Digest | None = None


def check(path: str) -> None:
    """Raises UsageError for an image that cannot be written by that name, before any work."""
    _parsed(path)


def push(
    path: str,
    image: Image,
    original: Artifact | None = None,
    *,
    timeouts: Timeouts | None = None,
    config: Path | None = None,
) -> Pushed:
    """Puts an image where ``path`` says: ``oci://registry/repository:tag``, or ``DIR:TAG``.

    A tag that is there is moved, but never away from ``original``.  ``config``: Docker's
    config.json, if not in its usual place.  Raises UsageError: nothing has changed then.
    """
    target = _parsed(path)
    if not isinstance(target, Reference):
        return _shelve(Layout(path, *target), image, original)
    known = credentials(target.registry, config or config_path())
    with Client(target, known, timeouts or Timeouts(), pushes=True) as client:
        return _Push(client).put(image, original)


def _parsed(path: str) -> Reference | tuple[Path, str]:
    if path.startswith(SCHEME):
        found = Reference.parse(path, UsageError)
        if found.digest is not None:
            raise UsageError(f"{path}: a digest is known when the image is there; name a tag")
        return found
    folder, tag = split(path) or (path.rpartition(":")[0], path.rpartition(":")[2])
    if not TAG.fullmatch(tag):
        raise UsageError(f"{path} is an image layout; name a tag in it, as {folder}:traced")
    return Path(folder), tag


def _check_tag(before: Digest | None, original: Artifact | None, path: str) -> None:
    """An instrumented image must not go unnoticed where the original is expected."""
    if original is not None and before in (original.digest, original.named) and before:
        raise UsageError(f"{path} is the image that was read ({before}); name another tag to write")


def _pushed(where: str, image: Image, before: Digest | None) -> Pushed:
    digest = image.manifest.digest
    return Pushed(f"{where}@{digest}", digest, None if before == digest else before)


@dataclass(slots=True)
class _Push:
    """To the registry of a client."""

    client: Client

    def put(self, image: Image, original: Artifact | None) -> Pushed:
        reference = self.client.reference
        before = self.tagged()
        _check_tag(before, original, str(reference))
        for blob in image.blobs:
            self.blob(blob)
        self.manifest(image.manifest)
        where = f"{SCHEME}{reference.registry}/{reference.repository}"
        return _pushed(where, image, before)

    def tagged(self) -> Digest | None:
        """What the tag is now."""
        ask = Ask("HEAD", f"manifests/{self.client.reference.tag}", "the tag", ACCEPT, fine=(404,))
        reply = self.client.ask(ask)
        if reply.status == 404:
            return None
        said = Digest.try_parse(reply.headers.get("docker-content-digest"))
        if said is not None:
            return said
        return Digest.of(self.client.get(ask.path, ACCEPT, MAX_DOCUMENT, ask.what).body)

    def blob(self, blob: Blob) -> None:
        """A blob of the same digest need not be sent again."""
        there = Ask("HEAD", f"blobs/{blob.digest}", blob.what, fine=(404,))
        if self.client.ask(there).status != 404:
            return
        place = self.place(self.begin(blob), "blobs/uploads/")
        ask = Ask("PUT", _with(place, blob.digest), blob.what, body=blob.pieces, fine=(413,))
        if self.client.ask(ask).status == 413:
            self.chunks(blob)

    def begin(self, blob: Blob) -> Reply:
        return self.client.ask(Ask("POST", "blobs/uploads/", blob.what, body=()))

    def place(self, reply: Reply, asked: str) -> str:
        """Where to go on with an upload."""
        location = reply.headers.get("location", "")
        if not location:
            raise self.client.fail("the registry does not say where to upload to")
        return self.client.address(self.client.url(asked), location, "place to upload to")

    def chunks(self, blob: Blob) -> None:
        reply = self.begin(blob)
        place = self.place(reply, "blobs/uploads/")
        least = reply.headers.get("oci-chunk-min-length", "")
        size = max(CHUNK, int(least) if re.fullmatch("[0-9]{1,10}", least) else 0)
        start = 0
        for pieces in _chunks(blob.pieces, size):
            end = start + sum(map(len, pieces))
            header = {"Content-Range": f"{start}-{end - 1}"}
            reply = self.client.ask(Ask("PATCH", place, blob.what, body=pieces, headers=header))
            place, start = self.place(reply, place), end
        self.client.ask(Ask("PUT", _with(place, blob.digest), blob.what, body=()))

    def manifest(self, manifest: Blob) -> None:
        path = f"manifests/{self.client.reference.tag}"
        header = {"Content-Type": MANIFEST}
        ask = Ask("PUT", path, manifest.what, body=manifest.pieces, headers=header)
        said = self.client.ask(ask).headers.get("docker-content-digest")
        if said is not None and said != str(manifest.digest):
            text = f"the registry has made {said[:200]!r} of the manifest {manifest.digest}"
            raise self.client.fail(text)


def _with(place: str, digest: Digest) -> str:
    return f"{place}{'&' if '?' in place else '?'}digest={digest}"


def _chunks(pieces: Pieces, size: int) -> Iterator[Pieces]:
    """The same bytes, ``size`` at a time."""
    found: list[bytes | memoryview] = []
    free = size
    for piece in pieces:
        view = memoryview(piece)
        while len(view) >= free:
            yield [*found, view[:free]]
            view, found, free = view[free:], [], size
        if view:
            found.append(view)
            free -= len(view)
    if found:
        yield found


def _shelve(layout: Layout, image: Image, original: Artifact | None) -> Pushed:
    """Into a layout on disk."""
    try:
        with layout.alone():
            layout.begin()
            before = layout.tagged()
            _check_tag(before, original, layout.reference)
            for blob in (*image.blobs, image.manifest):
                layout.put(blob.digest, blob.pieces)
            layout.name(image.manifest.digest, image.manifest.size)
    except InputError as error:  # the layout that is there is damaged
        raise UsageError(str(error)) from None
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"{layout.reference} cannot be written: {reason}") from None
    return _pushed(str(layout.folder), image, before)
