"""From an image manifest or index to the layers that are components (OCI image spec v1.1).

Of an index, a host takes the manifest for its platform, which is not ours to know: all count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any, Protocol

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError
from whamm_cm.registry import document
from whamm_cm.registry.reference import Digest

CONFIG = "application/vnd.wasm.config.v0+json"
LAYER = "application/wasm"
LEGACY_LAYER = "application/vnd.module.wasm.content.layer.v1+wasm"

MAX_DOCUMENT = 4 << 20
MAX_LAYER = 1 << 30
_MAX_DEPTH = 4
#: Manifests in one index, and in the indexes in it.
MAX_MANIFESTS = 64


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
    """``reference`` as given; ``digest`` of the manifest; ``claims`` None without a wasm config.

    ``platform`` is ``os/architecture`` as the index has it, ``""`` without an index.  ``skipped``:
    the manifests beside it that are no components and that no host takes for its own.  ``named``:
    the digest of what the reference names, an index or the manifest itself.  ``manifest`` and
    ``config``, as they were read, are what a copy of the image keeps of it; ``config`` is None
    where it is no wasm config.
    """

    reference: str
    digest: Digest
    layer: Descriptor
    claims: Claims | None
    platform: str = ""
    skipped: tuple[Digest, ...] = ()
    named: Digest | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    config: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Document:
    """``content_type``: what whoever served it says that it is, if anything."""

    raw: bytes
    content_type: str | None = None


class Store(Protocol):
    """Where blobs come from; both raise InputError."""

    reference: str

    def manifest(self, digest: Digest | None) -> Document:
        """The manifest or index of that digest; None for what the reference names."""

    def blob(self, descriptor: Descriptor, limit: int, what: str) -> bytes:
        """At most ``limit`` bytes, not verified yet."""


def fetch(store: Store) -> list[tuple[bytes, Artifact]]:
    """Every component that a host may take by this reference, and where it is from; at least one.
    Raises InputError, too, where one of them cannot be judged."""
    reader = _Reader(store)
    images = reader.images()
    # One manifest may be there for several platforms.
    meant = {one.digest: one for one in reversed(images) if not one.attests}
    found = [reader.component(one) for one in reversed(meant.values())]
    if not found:
        raise reader.fail("the index has attestations only, and no component")
    skipped = tuple(dict.fromkeys(one.digest for one in images if one.attests))
    return [(data, replace(artifact, skipped=skipped)) for data, artifact in found]


@dataclass(frozen=True, slots=True)
class _Image:
    """A manifest.  ``attests``: it is about another one (BuildKit's ``unknown/unknown``)."""

    manifest: Mapping[str, Any]
    digest: Digest
    platform: str
    attests: bool = False


@dataclass(slots=True)
class _Reader:
    """``named``: the digest of the first document, which the reference names."""

    store: Store
    named: Digest | None = None
    seen: set[tuple[Digest, str]] = field(default_factory=set)

    def fail(self, message: str) -> InputError:
        return InputError(f"{self.store.reference}: {message}")

    def images(self) -> list[_Image]:
        """All manifests, through indexes."""
        found: list[_Image] = []
        pending: list[tuple[Descriptor | None, str, int]] = [(None, "", 0)]
        while pending:
            entry, platform, depth = pending.pop()
            given = self.store.manifest(None if entry is None else entry.digest)
            if entry is not None:
                self.verify(given.raw, entry.digest, "the manifest")
            else:
                self.named = Digest.of(given.raw)
            read = document.read(given.raw, "the manifest", self.fail)
            if self.form(read, given, entry) == "image":
                attests = platform == _ATTESTS and not _is_wasm(read)
                found.append(_Image(read, Digest.of(given.raw), platform, attests))
                continue
            if depth == _MAX_DEPTH:
                raise self.fail(f"more than {_MAX_DEPTH} indexes that name each other")
            entries = self.entries(read["manifests"])
            pending += [(one, name or platform, depth + 1) for one, name in reversed(entries)]
        return found

    def form(
        self, read: Mapping[str, Any], given: Document, entry: Descriptor | None
    ) -> document.Form:
        found = document.form(read, "the manifest", self.fail)
        said = {
            "the mediaType": document.own_type(read, "the manifest", self.fail),
            "the Content-Type": given.content_type,
            "the descriptor": None if entry is None else entry.media_type,
        }
        document.check_types(found, said, "the manifest", self.fail)
        return found

    def entries(self, raw: Any) -> list[tuple[Descriptor, str]]:
        """Those of an index that were not seen yet, with their platforms."""
        if not isinstance(raw, list) or not raw:
            raise self.fail("the index has no manifests")
        found = []
        for one in raw:
            descriptor, platform = self.descriptor(one, "a manifest"), self.platform(one)
            if (descriptor.digest, platform) in self.seen:
                continue
            self.seen.add((descriptor.digest, platform))
            if len(self.seen) > MAX_MANIFESTS:
                raise self.fail(f"more than {MAX_MANIFESTS} manifests; name one by its digest")
            found.append((descriptor, platform))
        return found

    def platform(self, entry: Mapping[str, Any]) -> str:
        raw = entry.get("platform")
        if raw is None:
            return ""
        found = raw if isinstance(raw, dict) else {}
        system, architecture = found.get("os"), found.get("architecture")
        if not isinstance(system, str) or not isinstance(architecture, str):
            raise self.fail("the platform of a manifest lacks an os or architecture")
        return f"{system}/{architecture}"[:100]

    def descriptor(self, raw: Any, what: str) -> Descriptor:
        found = raw if isinstance(raw, dict) else {}
        digest = Digest.try_parse(found.get("digest"))
        size, media_type = found.get("size"), found.get("mediaType")
        if digest is None or type(size) is not int or size < 0 or not isinstance(media_type, str):
            raise self.fail(f"the descriptor of {what} lacks a mediaType, digest or size")
        document.check_data(found, digest, size, what, self.fail)
        return Descriptor(media_type, digest, size)

    def component(self, image: _Image) -> tuple[bytes, Artifact]:
        layer = self.layer(image)
        config = self.config(image.manifest)
        claims = None if config is None else self.claims(config)
        data = self.blob(layer, MAX_LAYER, "the component")
        return data, Artifact(
            self.store.reference, image.digest, layer, claims, image.platform, (), self.named,
            image.manifest, config,
        )  # fmt: skip

    def layer(self, image: _Image) -> Descriptor:
        raw = image.manifest.get("layers")
        if not isinstance(raw, list):
            raise self.fail("the manifest has no layers, so this is no image")
        layers = [self.descriptor(one, "a layer") for one in raw]
        found = [one for one in layers if one.media_type in (LAYER, LEGACY_LAYER)]
        if len(found) == len(layers) == 1:
            return found[0]
        types = ", ".join(dict.fromkeys(one.media_type[:100] for one in layers)) or "none at all"
        where = f" ({image.digest}, for {image.platform})" if image.platform else ""
        if not found:
            hint = "; a host may choose it, so name the component by its digest" if where else ""
            raise self.fail(
                f"no layer is {LAYER}, so this is no component (it has {types}){where}{hint}"
            )
        if len(found) > 1:
            raise self.fail(f"{len(found)} layers are {LAYER}; a component is one layer{where}")
        raise self.fail(f"a component is one layer, and this has others beside it ({types}){where}")

    def config(self, manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
        config = manifest.get("config")
        if not isinstance(config, dict) or config.get("mediaType") != CONFIG:
            return None
        found = self.descriptor(config, "the config")
        blob = self.blob(found, MAX_DOCUMENT, "the config")
        return document.read(blob, "the config", self.fail)

    def claims(self, config: Mapping[str, Any]) -> Claims:
        component = config.get("component")
        named = component if isinstance(component, dict) else {}
        return Claims(
            self.names(named, "imports"),
            self.names(named, "exports"),
            self.names(config, "layerDigests") or (),
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


_ATTESTS = "unknown/unknown"


def _is_wasm(manifest: Mapping[str, Any]) -> bool:
    """Whether anything in it could be taken for a component."""
    layers = manifest.get("layers")
    entries = [*(layers if isinstance(layers, list) else [None]), manifest.get("config")]
    types = [one.get("mediaType") if isinstance(one, dict) else None for one in entries if one]
    return any(not isinstance(kind, str) or "wasm" in kind.lower() for kind in types)
