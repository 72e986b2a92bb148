"""Manifests and indexes as JSON that every reader reads alike, or not at all.

What a registry serves is read by many programs: by keys with or without regard to case, with the
first or the last of two equal keys, as an image or as an index where it could be both
(CVE-2021-41190).  A verdict about one reading says nothing of the others, so whatever could be read
in two ways is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any, Literal, NoReturn, TypeAlias

from whamm_cm.errors import InputError
from whamm_cm.registry.reference import Digest

Form: TypeAlias = Literal["image", "index"]
Fail: TypeAlias = Callable[[str], InputError]

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
_DOCKER = "application/vnd.docker.distribution.manifest."
#: What a document of each media type is.
FORMS: Mapping[str, Form] = {
    MANIFEST: "image",
    INDEX: "index",
    f"{_DOCKER}v2+json": "image",
    f"{_DOCKER}list.v2+json": "index",
}
#: What to accept for a manifest.
ACCEPT = ", ".join(FORMS)
#: Content types that say nothing of what a document is.
_GENERAL = ("", "application/json", "application/octet-stream", "binary/octet-stream", "text/plain")

#: Keys by which each form is known, and those of kinds of documents that are not read here.
_IMAGE, _INDEX, _OTHER = ("layers", "config"), ("manifests",), ("fsLayers", "blobs")
#: Keys that decide; some readers take them in any case.
_KEYS = (*_IMAGE, *_INDEX, *_OTHER, "schemaVersion", "mediaType", "artifactType", "subject",
         "digest", "size", "data", "platform", "architecture", "os", "component", "imports",
         "exports", "layerDigests", "annotations")  # fmt: skip
_BY_FOLDED = {key.casefold(): key for key in _KEYS}
#: Keys whose value has keys of its publisher's choice.
_FREE = "annotations"


def read(raw: bytes, what: str, fail: Fail) -> dict[str, Any]:
    """A JSON object.  Raises what ``fail`` makes."""
    faults: list[str] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(found)
        if len(made) != len(found):
            names = [name for name, _ in found]
            twice = next(name for name in names if names.count(name) > 1)
            faults.append(f'{what} has "{twice[:60]}" twice')
        return made

    def constant(name: str) -> NoReturn:
        raise ValueError(name)

    try:
        # Readers differ on byte order marks, on other encodings, and on what is no Unicode.
        document = json.loads(raw.decode(), object_pairs_hook=pairs, parse_constant=constant)
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise fail(f"{what} is not JSON") from None
    if faults:
        raise fail(f"{faults[0]}; readers differ on which counts")
    if not isinstance(document, dict):
        raise fail(f"{what} is not a JSON object")
    _check_keys(document, what, fail)
    return document


def _check_keys(document: Any, what: str, fail: Fail) -> None:
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        elif isinstance(value, dict):
            for key, inner in value.items():
                meant = _BY_FOLDED.get(key.casefold(), key)
                if meant != key:
                    raise fail(f'{what} has "{key[:60]}", which some readers take for "{meant}"')
                if key != _FREE:
                    pending.append(inner)


def form(document: Mapping[str, Any], what: str, fail: Fail) -> Form:
    """What a document is; one that can be taken for something else is refused."""
    image = [key for key in _IMAGE if key in document]
    index = [key for key in _INDEX if key in document]
    other = [key for key in _OTHER if key in document]
    if image and index:
        both = f'"{image[0]}" and "{index[0]}"'
        raise fail(f"{what} has {both}, so it is an image and an index at once")
    if other:
        raise fail(f'{what} has "{other[0]}", as another kind of document; publish it again')
    version = document.get("schemaVersion", 2)
    if type(version) is not int or version != 2:
        raise fail(f"{what} is of schemaVersion {str(version)[:20]}; this reads 2")
    if index:
        return "index"
    return "image"


def check_types(found: Form, said: Mapping[str, str | None], what: str, fail: Fail) -> None:
    """``said``: who says which media type; all have to say the same, and what it is."""
    first: tuple[str, str] | None = None
    for who, kind in said.items():
        if kind is None:
            continue
        known = FORMS.get(kind)
        if known is None:
            raise fail(f"{who} of {what} is {kind[:100]!r}, which is no image and no index")
        if known != found:
            raise fail(f"{who} of {what} is that of an {known}, but it is an {found}")
        if first is not None and first[1] != kind:
            raise fail(f"{what} is {first[1]} by {first[0]}, and {kind} by {who}")
        first = first or (who, kind)


def own_type(document: Mapping[str, Any], what: str, fail: Fail) -> str | None:
    """Its ``mediaType``."""
    kind = document.get("mediaType")
    if kind is not None and not isinstance(kind, str):
        raise fail(f'"mediaType" of {what} is no text')
    return kind


def content_type(header: str) -> str | None:
    """What a Content-Type says of a document; None where it says nothing."""
    kind = header.partition(";")[0].strip().lower()
    return None if kind in _GENERAL else kind


def check_data(entry: Mapping[str, Any], digest: Digest, size: int, what: str, fail: Fail) -> None:
    """``data`` in a descriptor is the content once more, which some readers take instead."""
    if "data" not in entry:
        return
    text = entry["data"]
    try:
        data = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != size or not digest.matches(data):
        raise fail(f'"data" in the descriptor of {what} is not what its digest says')
