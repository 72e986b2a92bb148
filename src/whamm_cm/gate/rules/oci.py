"""WCM201–WCM205: what the publisher of an image says of the component in it."""

from __future__ import annotations

from collections.abc import Iterator

from whamm_cm.gate.context import Context, Hit, Rule
from whamm_cm.gate.model import ExportRow, ImportRow
from whamm_cm.registry.artifact import LAYER, LEGACY_LAYER, Artifact


def _artifact(context: Context) -> Artifact | None:
    found = context.oci
    return found if isinstance(found, Artifact) else None


def _differ(
    claimed: tuple[str, ...] | None, rows: tuple[ImportRow, ...] | tuple[ExportRow, ...], verb: str
) -> Iterator[Hit]:
    if claimed is None:
        return
    said = set(claimed)
    names = {name for row in rows for name in (row.name, row.item)}
    for row in rows:
        # Tools disagree on whether types alone are worth a name.
        if row.kind != "type" and not said & {row.name, row.item}:
            text = f"it {verb}s {row.name}, which its config does not claim"
            yield Hit(row.item, text)
    for name in sorted(said - names):
        yield Hit(name, f"its config claims that it {verb}s {name}, which it does not")


def _imports(context: Context) -> Iterator[Hit]:
    artifact = _artifact(context)
    if artifact is not None and artifact.claims is not None:
        yield from _differ(artifact.claims.imports, context.subject.imports, "import")


def _exports(context: Context) -> Iterator[Hit]:
    artifact = _artifact(context)
    if artifact is not None and artifact.claims is not None:
        yield from _differ(artifact.claims.exports, context.subject.exports, "export")


def _layers(context: Context) -> Iterator[Hit]:
    artifact = _artifact(context)
    if artifact is None or artifact.claims is None:
        return
    said = artifact.claims.layer_digests
    if said and str(artifact.layer.digest) not in said:
        text = f"its config is of {said[0]}, but the layer is {artifact.layer.digest}"
        yield Hit("layerDigests", text)


def _legacy(context: Context) -> Iterator[Hit]:
    artifact = _artifact(context)
    if artifact is not None and artifact.layer.media_type == LEGACY_LAYER:
        yield Hit("layer", f"its layer is {LEGACY_LAYER} instead of {LAYER}")


def _skipped(context: Context) -> Iterator[Hit]:
    artifact = _artifact(context)
    for digest in artifact.skipped if artifact is not None else ():
        yield Hit(str(digest), f"the index has {digest} for unknown/unknown, which is no component")


RULES = (
    Rule("WCM201", "claimed-imports", "error",
         "The image's config claims other imports than the component has.",
         "Registries and admission policies go by the config, which is what its publisher says.",
         "Publish the image again, with a config made from this component.", _imports),
    Rule("WCM202", "claimed-exports", "error",
         "The image's config claims other exports than the component has.",
         "Registries and admission policies go by the config, which is what its publisher says.",
         "Publish the image again, with a config made from this component.", _exports),
    Rule("WCM203", "claimed-layer", "error",
         "The image's config is of another layer.",
         "The config was made for another build; nothing it says is about this one.",
         "Publish the image again.", _layers),
    Rule("WCM204", "legacy-layer", "note",
         "The layer has the media type from before the standard.",
         "Not every tool and registry knows it.",
         "Publish the image again, with a current tool.", _legacy),
    Rule("WCM205", "index-entry-skipped", "note",
         "The index has a manifest that is no component, and is not judged.",
         "Build tools put attestations into an index, for a platform that no host has.",
         "Name the component by its digest.", _skipped),
)  # fmt: skip
