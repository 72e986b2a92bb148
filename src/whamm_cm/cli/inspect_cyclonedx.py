"""``whamm-cm inspect -f cyclonedx``: what is inside a component as a bill of materials.

The same component makes the same bytes: the serial number comes from its hash, and there is a time
only where ``SOURCE_DATE_EPOCH`` says one.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from whamm_cm._version import __version__
from whamm_cm.analysis.contents import Part, contents
from whamm_cm.analysis.facts import ComponentFacts, Facts, ModuleFacts, collect
from whamm_cm.errors import UsageError
from whamm_cm.wasm.producers import Producer

if TYPE_CHECKING:
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component as Entry

    from whamm_cm.component.ir import Component
    from whamm_cm.wasm.auditable import Package

try:
    import cyclonedx.model as model
    import cyclonedx.model.bom as boms
    import cyclonedx.model.component as entries
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL
except ImportError as error:
    raise UsageError(
        f"cyclonedx needs a library that is not there ({error.name});"
        " install it with pip install 'whamm-cm[sbom]'"
    ) from None

_PREFIX = "whamm-cm"


def document(root: Component, data: bytes, name: str) -> str:
    """A CycloneDX 1.6 document; ``name`` is what the user called the input."""
    facts, parts = collect(root), contents(root, data)
    bom = boms.Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"sha256:{parts[0].sha256}"))
    bom.metadata.timestamp = _time()  # type: ignore[assignment]
    bom.metadata.tools.components.add(
        entries.Component(
            name="whamm-cm", version=__version__, type=entries.ComponentType.APPLICATION
        )
    )
    known = {part.path: _entry(part, facts, name) for part in parts}
    crates: dict[str, Entry] = {}
    bom.metadata.component = known[""]
    for part in parts:
        entry = known[part.path]
        if part.parent is not None:
            bom.components.add(entry)
            bom.register_dependency(known[part.parent], [entry])
        for packages in part.packages:
            _crates(bom, entry, packages, crates)
    return str(JsonV1Dot6(bom).output_as_string(indent=2)) + "\n"


def _time() -> datetime | None:
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return None
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"SOURCE_DATE_EPOCH {text[:60]!r}: expected seconds since 1970") from None


def _entry(part: Part, facts: Facts, name: str) -> Entry:
    known: dict[str, ComponentFacts | ModuleFacts] = {one.path: one for one in facts.modules}
    known |= {one.path: one for one in facts.components}
    about, root = known[part.path], not part.path
    title = os.path.basename(name) or name if root else about.name or part.path
    properties = [_property("kind", "component" if part.kind == "component" else "core module")]
    properties += [_property("path", part.path)] if not root else _world(facts)
    properties += [_property("size", str(about.size)), *_makers(about.producers)]
    properties += [_property("fault", fault) for fault in part.faults]
    kinds = entries.ComponentType
    return entries.Component(
        name=_text(title),
        type=kinds.APPLICATION if root else kinds.LIBRARY,
        bom_ref=part.path or "root",
        hashes=[model.HashType(alg=model.HashAlgorithm.SHA_256, content=part.sha256)],
        properties=properties,
    )


def _world(facts: Facts) -> list[Property]:
    found = [_property("import", one.name) for one in facts.imports]
    found += [_property("export", one.name) for one in facts.exports]
    if facts.root.stamp is not None:
        found.append(_property("instrumented", "true"))
    return found + [_property("fault", fault) for fault in facts.faults]


def _makers(producers: Iterable[Producer]) -> list[Property]:
    """``language`` and the tools; several are told apart by their values."""
    return [
        _property(one.field, f"{one.name} {one.version}".strip())
        for one in dict.fromkeys(producers)
    ]


def _property(name: str, value: str) -> Property:
    return model.Property(name=_text(f"{_PREFIX}:{name}"), value=_text(value))


def _text(text: str) -> str:
    """Names of files may hold bytes that are no text."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _crates(bom: Bom, owner: Entry, packages: tuple[Package, ...], known: dict[str, Entry]) -> None:
    """Crates that are compiled into ``owner``; those of several modules are there once."""
    made = []
    for one in packages:
        key = f"cargo:{one.name}@{one.version} ({one.source}, {one.kind})"
        if key not in known:
            known[key] = _crate(key, one)
            bom.components.add(known[key])
        made.append(known[key])
    for one, entry in zip(packages, made, strict=True):
        bom.register_dependency(entry, [made[at] for at in one.dependencies if made[at] != entry])
    tops = [entry for one, entry in zip(packages, made, strict=True) if one.root] or made
    bom.register_dependency(owner, tops)


def _crate(key: str, one: Package) -> Entry:
    scopes = entries.ComponentScope
    # Anybody can write a name that no registry has.
    known = one.source == "crates.io" and re.fullmatch(r"[A-Za-z0-9_-]+", one.name)
    purl = PackageURL("cargo", None, one.name, one.version) if known else None
    return entries.Component(
        name=one.name,
        version=one.version,
        type=entries.ComponentType.LIBRARY,
        bom_ref=key,
        purl=purl,
        scope=scopes.EXCLUDED if one.kind == "build" else scopes.REQUIRED,
        properties=[_property("source", one.source)],
    )
