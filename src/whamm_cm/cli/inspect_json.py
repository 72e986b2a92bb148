"""The document of ``whamm-cm inspect --json``.

Stable: keys are added, never renamed or taken away while ``v`` is 1; lists are in the order of the
input, unknown values are null.

    {"v": 1, "file": "app.wasm", "size": bytes, "kind": component or module (then all else is that
         of the component around it),
     "instrumented": {"tool", "version", "original-sha256", "script-sha256", "sink"} or null,
     "components": [{"path": "" for the root else "component[0].component[1]", "name", "offset",
         "size", "instantiated": bool, "instrumented", "sections": [{"name", "size"}] (custom ones),
         "producers": [{"field", "name", "version"}]}],
     "modules": [{"path", "name", "offset", "size", "imports", "exports", "functions": counts,
         "sections": [{"name", "size"}] (all, custom ones by their name), "producers",
         "fault": sentence or null (then the counts are null)}],
     "imports" and "exports" of the root: [{"name": "wasi:io/poll@0.2.0", "kind": func instance type
         component module value, "interface": "wasi:io/poll" or null, "version",
         "functions": [{"name": "pollable.block", "declared": false for the drop of a resource,
             "sites": count, "probes": count of sites that can be probed, "reasons": [sentence]}]}],
     "sites": [{"component": path, "kind": lower lift resource.drop resource.new resource.rep
         task.return builtin, "edge": import export inner builtin, "interface", "version", "func",
         "probe": bool, "reason": sentence or null}],
     "faults": [sentence]}
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from whamm_cm.analysis.facts import (
    ComponentFacts,
    ExternFacts,
    Facts,
    FunctionFacts,
    ModuleFacts,
    SiteFacts,
)
from whamm_cm.wasm.producers import Producer

_Json = dict[str, Any]


def document(facts: Facts, path: str) -> str:
    """``path`` is what the user called the input."""
    # A file name may hold bytes that are no text; JSON keeps them as lone surrogates, escaped.
    return json.dumps(as_json(facts, path), indent=2) + "\n"


def as_json(facts: Facts, path: str) -> _Json:
    """The document as Python values."""
    return {
        "v": 1,
        "file": path,
        "size": facts.size,
        "kind": "module" if facts.alone else "component",
        "instrumented": facts.root.stamp,
        "components": [_component(component) for component in facts.components],
        "modules": [_module(module) for module in facts.modules],
        "imports": [_extern(extern) for extern in facts.imports],
        "exports": [_extern(extern) for extern in facts.exports],
        "sites": [_site(site) for site in facts.sites],
        "faults": list(facts.faults),
    }


def _sections(sections: Iterable[tuple[str, int]]) -> list[_Json]:
    return [{"name": name, "size": size} for name, size in sections]


def _producers(producers: Iterable[Producer]) -> list[_Json]:
    return [{"field": p.field, "name": p.name, "version": p.version} for p in producers]


def _component(component: ComponentFacts) -> _Json:
    return {
        "path": component.path,
        "name": component.name,
        "offset": component.offset,
        "size": component.size,
        "instantiated": component.instantiated,
        "instrumented": component.stamp,
        "sections": _sections(component.sections),
        "producers": _producers(component.producers),
    }


def _module(module: ModuleFacts) -> _Json:
    known = not module.fault
    return {
        "path": module.path,
        "name": module.name,
        "offset": module.offset,
        "size": module.size,
        "imports": module.imports if known else None,
        "exports": module.exports if known else None,
        "functions": module.functions if known else None,
        "sections": _sections(module.sections),
        "producers": _producers(module.producers),
        "fault": module.fault or None,
    }


def _extern(extern: ExternFacts) -> _Json:
    return {
        "name": extern.name,
        "kind": extern.kind,
        "interface": extern.interface or None,
        "version": extern.version,
        "functions": [_function(function) for function in extern.functions],
    }


def _function(function: FunctionFacts) -> _Json:
    return {
        "name": function.name,
        "declared": function.declared,
        "sites": function.sites,
        "probes": function.probes,
        "reasons": list(function.reasons),
    }


def _site(site: SiteFacts) -> _Json:
    return {
        "component": site.component,
        "kind": site.kind,
        "edge": site.edge,
        "interface": site.interface,
        "version": site.version,
        "func": site.func,
        "probe": not site.reason,
        "reason": site.reason or None,
    }
