"""Image layout directories: ``oci-layout``, ``index.json``, ``blobs/sha256/…``."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError, unreadable
from whamm_cm.files import write
from whamm_cm.registry import document
from whamm_cm.registry.artifact import MAX_DOCUMENT, Descriptor, Document
from whamm_cm.registry.names import MARK
from whamm_cm.registry.reference import Digest
from whamm_cm.registry.transport import Pieces

_NAME = "org.opencontainers.image.ref.name"


@dataclass(slots=True)
class Layout:
    """``wanted``: a tag or digest, "" where the layout has one image."""

    reference: str
    folder: Path
    wanted: str = ""

    def manifest(self, digest: Digest | None) -> Document:
        return Document(self._manifest(digest))

    def _manifest(self, digest: Digest | None) -> bytes:
        if digest is not None:
            return self._file(self._path(digest), MAX_DOCUMENT, "the manifest")
        self._version()
        raw = self._file(self.folder / "index.json", MAX_DOCUMENT, "index.json")
        wanted = Digest.try_parse(self.wanted)
        if wanted is not None:
            found = self._file(self._path(wanted), MAX_DOCUMENT, "the manifest")
            if not wanted.matches(found):
                raise self._fail(f"the manifest is not what its digest {wanted} says")
            return found
        return self._tagged(raw) if self.wanted else raw

    def blob(self, descriptor: Descriptor, limit: int, what: str) -> bytes:
        return self._file(self._path(descriptor.digest), limit, what)

    def _fail(self, message: str) -> InputError:
        return InputError(f"{self.reference}: {message}")

    def _path(self, digest: Digest) -> Path:
        return self.folder / "blobs" / digest.algorithm / digest.hex

    def _version(self) -> None:
        found = self._json(self._file(self.folder / MARK, MAX_DOCUMENT, MARK), MARK)
        version = found.get("imageLayoutVersion")
        if version != "1.0.0":
            raise self._fail(f"{MARK} is of version {str(version)[:20]!r}; this reads 1.0.0")

    def _tagged(self, raw: bytes) -> bytes:
        """The index with the manifests of one tag."""
        index, entries = self._index(raw)
        found = [one for one in entries if _tag(one) == self.wanted]
        if not found:
            tags = ", ".join(dict.fromkeys(filter(None, map(_tag, entries)))) or "no tags"
            raise self._fail(f"no image is tagged {self.wanted} (the layout has {tags})")
        return json.dumps({**index, "manifests": found}).encode()

    def _index(self, raw: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        index = self._json(raw, "index.json")
        if document.form(index, "index.json", self._fail) != "index":
            raise self._fail("index.json is no index")
        entries = index["manifests"]
        if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
            raise self._fail('"manifests" in index.json is no list of descriptors')
        return index, entries

    # writing

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Of two who write an index at the same time, one would lose its tag."""
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def begin(self) -> None:
        """A folder without anything becomes a layout without images."""
        if not (self.folder / MARK).exists():
            write(str(self.folder / MARK), (b'{"imageLayoutVersion":"1.0.0"}',))
        self._version()
        if not (self.folder / "index.json").exists():
            self._write_index({}, [])

    def tagged(self) -> Digest | None:
        """What the tag is; None where it is not there."""
        _, entries = self._read_index()
        found = (one.get("digest") for one in entries if _tag(one) == self.wanted)
        return Digest.try_parse(next(found, None))

    def put(self, digest: Digest, pieces: Pieces) -> None:
        path = self._path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(str(path), pieces)

    def name(self, digest: Digest, size: int) -> None:
        """The manifest of that digest gets the tag, and whatever had it loses it."""
        index, entries = self._read_index()
        made = {
            "mediaType": document.MANIFEST,
            "digest": str(digest),
            "size": size,
            "annotations": {_NAME: self.wanted},
        }
        self._write_index(index, [one for one in entries if _tag(one) != self.wanted] + [made])

    def _read_index(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        return self._index(self._file(self.folder / "index.json", MAX_DOCUMENT, "index.json"))

    def _write_index(self, index: dict[str, Any], entries: list[dict[str, Any]]) -> None:
        made = {"schemaVersion": 2, "mediaType": document.INDEX, **index, "manifests": entries}
        write(str(self.folder / "index.json"), (json.dumps(made, ensure_ascii=False).encode(),))

    def _json(self, raw: bytes, what: str) -> dict[str, Any]:
        return document.read(raw, what, self._fail)

    def _file(self, path: Path, limit: int, what: str) -> bytes:
        shown = f"{self.reference}: {what}"
        try:
            # A pipe would wait for ever.
            if not stat.S_ISREG(path.stat().st_mode):
                raise InputError(f"{shown} is no file")
            with path.open("rb") as file:
                data = file.read(limit + 1)
        except FileNotFoundError:
            raise InputError(f"{shown} is missing ({path.relative_to(self.folder)})") from None
        except OSError as error:
            raise unreadable(shown, error) from None
        if len(data) > limit:
            raise InputError(f"{shown} is larger than {limit:,} bytes")
        return data


def _tag(entry: dict[str, Any]) -> str:
    notes = entry.get("annotations")
    found = notes.get(_NAME) if isinstance(notes, dict) else None
    return found if isinstance(found, str) else ""
