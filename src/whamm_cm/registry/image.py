"""An image to publish: one component in the CNCF's artifact layout for Wasm.

The manifest and the config keep what those of the original say, but for what is no longer true.
The same original, component and time are the same bytes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError, UsageError
from whamm_cm.registry.artifact import CONFIG, LAYER, Artifact
from whamm_cm.registry.document import MANIFEST
from whamm_cm.registry.names import SCHEME
from whamm_cm.registry.reference import Digest
from whamm_cm.registry.transport import Pieces

#: Which image this one was made of (OCI image spec, predefined annotations).
BASE_DIGEST = "org.opencontainers.image.base.digest"
BASE_NAME = "org.opencontainers.image.base.name"


@dataclass(frozen=True, slots=True)
class World:
    """What the component imports and exports, by name; ``component`` False: a core module."""

    imports: Sequence[str] = ()
    exports: Sequence[str] = ()
    component: bool = True


@dataclass(frozen=True, slots=True)
class Blob:
    """``what`` names it in messages."""

    what: str
    digest: Digest
    size: int
    pieces: Pieces

    @staticmethod
    def of(what: str, *pieces: bytes | memoryview) -> Blob:
        return Blob(what, Digest.of(*pieces), sum(map(len, pieces)), pieces)


@dataclass(frozen=True, slots=True)
class Image:
    """``blobs``: the config and the layer, which have to be there before the manifest is."""

    manifest: Blob
    blobs: tuple[Blob, ...]


def image(pieces: Pieces, world: World, original: Artifact | None = None) -> Image:
    """The image of a component, which was made of ``original`` if that is an image.  Raises
    UsageError for a SOURCE_DATE_EPOCH that is no time, InputError for what cannot be kept of the
    original."""
    layer = Blob.of("the component", *pieces)
    config = Blob.of("the config", _json(_config(world, layer.digest, original)))
    kept: Mapping[str, Any] = {} if original is None else original.manifest
    notes = _notes(kept, "the manifest", original)
    if original is not None:
        notes[BASE_DIGEST] = str(original.digest)
        notes.pop(BASE_NAME, None)
        if original.reference.startswith(SCHEME):
            notes[BASE_NAME] = original.reference.removeprefix(SCHEME).partition("@")[0]
    layers = kept.get("layers")
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        **({"artifactType": kept["artifactType"]} if "artifactType" in kept else {}),
        "config": _descriptor(CONFIG, config, kept.get("config"), "the config", original),
        "layers": [_descriptor(LAYER, layer, layers and layers[0], "the layer", original)],
        **({"annotations": notes} if notes else {}),
    }
    return Image(Blob.of("the manifest", _json(manifest)), (config, layer))


def _descriptor(
    kind: str, blob: Blob, kept: Any, what: str, original: Artifact | None
) -> dict[str, Any]:
    notes = _notes(kept if isinstance(kept, dict) else {}, what, original)
    found: dict[str, Any] = {"mediaType": kind, "digest": str(blob.digest), "size": blob.size}
    return {**found, "annotations": notes} if notes else found


def _notes(kept: Mapping[str, Any], what: str, original: Artifact | None) -> dict[str, str]:
    found = kept.get("annotations") or {}
    texts = found.values() if isinstance(found, dict) else (None,)
    if not all(isinstance(text, str) for text in texts):
        where = "" if original is None else f"{original.reference}: "
        raise InputError(f'{where}the "annotations" of {what} are no texts, and cannot be kept')
    return dict(found)


def _config(world: World, layer: Digest, original: Artifact | None) -> dict[str, Any]:
    """Its ``created`` is that of the original, so that the same weave is the same image."""
    kept = {} if original is None else dict(original.config or {})
    before = kept.pop("component", None)
    found: dict[str, Any] = {
        "created": _created(),
        **kept,
        "architecture": "wasm",
        "os": "wasip2" if world.component else "wasip1",
        "layerDigests": [str(layer)],
    }
    if world.component:
        found["component"] = dict(_claims(world, before if isinstance(before, dict) else {}))
    return found


def _claims(world: World, before: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """``target``, the world it was made for, is kept where nothing came that it may not have."""
    yield "exports", list(world.exports)
    yield "imports", list(world.imports)
    target, known = before.get("target"), before.get("imports")
    if isinstance(target, str) and isinstance(known, list) and set(world.imports) <= set(known):
        yield "target", target


def _created() -> str:
    """RFC 3339, as readers want it: ``SOURCE_DATE_EPOCH``, or the beginning of time."""
    text = os.environ.get("SOURCE_DATE_EPOCH") or "0"
    if not re.fullmatch(r"[0-9]{1,11}", text):
        raise UsageError(f"SOURCE_DATE_EPOCH {text[:60]!r}: expected seconds since 1970")
    return datetime.fromtimestamp(int(text), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
