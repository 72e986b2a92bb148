"""Components from text, resolved, and short texts for what came out."""

from __future__ import annotations

from wasmtime import wat2wasm

from whamm_cm.component.decode import decode
from whamm_cm.wit import types as t
from whamm_cm.wit.canons import CanonInfo
from whamm_cm.wit.model import Entity, FuncItem, InstanceItem, TypeItem
from whamm_cm.wit.printer import func_text, type_text
from whamm_cm.wit.resolve import Resolved, resolve


def resolve_text(text: str) -> Resolved:
    return resolve(decode(bytes(wat2wasm(text))))


def show(entity: Entity | None) -> str:
    """One line for an entity."""
    match entity:
        case FuncItem():
            return func_text(entity.type)
        case TypeItem(type=t.Resource() as resource):
            return f"resource {resource.owner or ''}#{resource.name}"
        case TypeItem(type=t.Named() as named):
            return f"{named.owner or ''}#{named.name} = {show_target(named.target)}"
        case InstanceItem():
            inner = ", ".join(f"{name}: {show(e)}" for name, e in entity.exports.items())
            return f"instance {{{inner}}}"
    return type(entity).__name__


def show_target(target: t.ValType) -> str:
    if isinstance(target, t.RecordT):
        return "{" + ", ".join(f"{label}: {type_text(x)}" for label, x in target.fields) + "}"
    if isinstance(target, t.Named):
        return f"{target.owner or ''}#{target.name}"
    return type_text(target)


def show_canon(info: CanonInfo) -> str:
    """``component op edge interface@version#label [→ peer]``."""
    place = info.component.path or "root"
    version = f"@{info.version}" if info.version else ""
    peer = f" -> {info.peer.path or 'root'}" if info.peer is not None else ""
    return f"{place} {info.op} {info.edge} {info.interface}{version}#{info.label}{peer}"


def canons(resolved: Resolved) -> list[str]:
    return [show_canon(info) for info in resolved.canons.values()]
