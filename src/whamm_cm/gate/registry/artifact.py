"""From an image manifest or index to the one layer that is a component (OCI image spec v1.1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from whamm_cm.errors import InputError
from whamm_cm.gate.registry.reference import Digest

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
_DOCKER = "application/vnd.docker.distribution.manifest."
#: What to accept for a manifest.
ACCEPT = ", ".join((MANIFEST, INDEX, f"{_DOCKER}v2+json", f"{_DOCKER}list.v2+json"))
CONFIG = "application/vnd.wasm.config.v0+json"
LAYER = "application/wasm"
LEGACY_LAYER = "application/vnd.module.wasm.content.layer.v1+wasm"

MAX_DOCUMENT = 4 << 20
MAX_LAYER = 1 << 30
_MAX_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Descriptor:
    media_type: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Claims:
    """What the config blob says of the component; None where it says nothing."""

    imports: tuple[str, ...] | None
    exports: tuple[str, ...] | None
    layer_digests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Artifact:
    """``reference`` as given; ``digest`` of the manifest; ``claims`` None without a wasm config."""

    reference: str
    digest: Digest
    layer: Descriptor
    claims: Claims | None


class Store(Protocol):
    """Where blobs come from; both raise InputError."""

    reference: str

    def manifest(self, digest: Digest | None) -> bytes:
        """The manifest or index of that digest; None for what the reference names."""

    def blob(self, descriptor: Descriptor, limit: int, what: str) -> bytes:
        """At most ``limit`` bytes, not verified yet."""


def fetch(store: Store) -> tuple[bytes, Artifact]:
    """The component and where it is from.  Raises InputError."""
    reader = _Reader(store)
    raw = store.manifest(None)
    manifest = reader.object(raw, "the manifest")
    for _ in range(_MAX_DEPTH):
        if "manifests" not in manifest:
            break
        chosen = reader.choose(manifest["manifests"])
        raw = store.manifest(chosen)
        reader.verify(raw, chosen, "the manifest")
        manifest = reader.object(raw, "the manifest")
    else:
        raise reader.fail(f"more than {_MAX_DEPTH} indexes that name each other")
    layer = reader.layer(manifest)
    claims = reader.claims(manifest)
    data = reader.blob(layer, MAX_LAYER, "the component")
    return data, Artifact(store.reference, Digest.of(raw), layer, claims)


class _Reader:
    def __init__(self, store: Store) -> None:
        self.store = store

    def fail(self, message: str) -> InputError:
        return InputError(f"{self.store.reference}: {message}")

    def object(self, raw: bytes, what: str) -> Mapping[str, Any]:
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError):
            raise self.fail(f"{what} is not JSON") from None
        if not isinstance(found, dict):
            raise self.fail(f"{what} is not a JSON object")
        return found

    def descriptor(self, raw: Any, what: str) -> Descriptor:
        found = raw if isinstance(raw, dict) else {}
        digest = Digest.try_parse(found.get("digest"))
        size, media_type = found.get("size"), found.get("mediaType")
        if digest is None or type(size) is not int or size < 0 or not isinstance(media_type, str):
            raise self.fail(f"the descriptor of {what} lacks a mediaType, digest or size")
        return Descriptor(media_type, digest, size)

    def choose(self, raw: Any) -> Digest:
        """The one manifest of an index, or the one for wasm."""
        entries = raw if isinstance(raw, list) else []
        found = [one for one in entries if isinstance(one, dict)]
        wasm = [one for one in found if _architecture(one) == "wasm"]
        chosen = wasm or found
        digests = list(dict.fromkeys(self.descriptor(one, "a manifest").digest for one in chosen))
        if len(digests) == 1:
            return digests[0]
        if not digests:
            raise self.fail("the index has no manifests")
        shown = ", ".join(map(str, digests[:4])) + (", …" if len(digests) > 4 else "")
        raise self.fail(
            f"{len(digests)} manifests to choose from; name one by its digest ({shown})"
        )

    def layer(self, manifest: Mapping[str, Any]) -> Descriptor:
        raw = manifest.get("layers")
        if not isinstance(raw, list):
            raise self.fail("the manifest has no layers, so this is no image")
        layers = [self.descriptor(one, "a layer") for one in raw]
        found = [one for one in layers if one.media_type in (LAYER, LEGACY_LAYER)]
        if len(found) == 1:
            return found[0]
        types = ", ".join(dict.fromkeys(one.media_type[:100] for one in layers)) or "none at all"
        if not found:
            raise self.fail(f"no layer is {LAYER}, so this is no component (it has {types})")
        raise self.fail(f"{len(found)} layers are {LAYER}; a component is one layer")

    def claims(self, manifest: Mapping[str, Any]) -> Claims | None:
        config = manifest.get("config")
        if not isinstance(config, dict) or config.get("mediaType") != CONFIG:
            return None
        found = self.descriptor(config, "the config")
        raw = self.object(self.blob(found, MAX_DOCUMENT, "the config"), "the config")
        component = raw.get("component")
        named = component if isinstance(component, dict) else {}
        return Claims(
            self.names(named, "imports"),
            self.names(named, "exports"),
            self.names(raw, "layerDigests") or (),
        )

    def names(self, raw: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
        found = raw.get(key)
        if found is None:
            return None
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise self.fail(f'"{key}" in the config must be a list of names')
        return tuple(found)

    def blob(self, descriptor: Descriptor, limit: int, what: str) -> bytes:
        if descriptor.size > limit:
            raise self.fail(f"{what} has {descriptor.size:,} bytes; at most {limit:,} are read")
        data = self.store.blob(descriptor, descriptor.size, what)
        if len(data) != descriptor.size:
            raise self.fail(
                f"{what} has {len(data):,} bytes, but its descriptor says {descriptor.size:,}"
            )
        self.verify(data, descriptor.digest, what)
        return data

    def verify(self, data: bytes, digest: Digest, what: str) -> None:
        if not digest.matches(data):
            raise self.fail(f"{what} is not what its digest {digest} says; do not use it")


def _architecture(entry: Mapping[str, Any]) -> str:
    platform = entry.get("platform")
    found = platform.get("architecture") if isinstance(platform, dict) else None
    return found if isinstance(found, str) else ""
