"""A host that notes what of it is reached, for components that try to get past a guard.

The host is the embedded engine's; its functions are given by name, so that a component may import
whatever it likes, resources included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import wasmtime
from wasmtime import component as wc

from whamm_cm.front.guarding import guarded
from whamm_cm.front.verdict import policy_of
from whamm_cm.gate.policy import Policy

Calls: TypeAlias = "list[tuple[str, str, int]]"
#: Instance → its functions, and its resources by the number of their type.
Offers: TypeAlias = "Mapping[str, Mapping[str, Callable[..., object] | int]]"


@dataclass(slots=True)
class Reached:
    """What came of a call of ``ask``."""

    value: object = None
    trap: str = ""


class Plain:
    """A host whose functions give 77; each call of one is in ``calls``."""

    def __init__(self) -> None:
        self.calls: Calls = []

    def offers(self) -> Offers:
        return {
            "": {
                "get-random-u64": self._noting("get-random-u64", 77),
                "now": self._noting("now", 77),
                "say": self._noting("say", 77),
                "take": self._noting("take", None),
                "tell": self._noting("tell", 77),
            }
        }

    def _noting(self, name: str, value: object) -> Callable[..., object]:
        def noting(*_: object) -> object:
            self.calls.append((name, "", 0))
            return value

        return noting


def resource(number: int, kind: int) -> wc.ResourceHost:
    return wc.ResourceHost.own(number, kind)


def number_of(store: object, handle: object) -> int:
    assert isinstance(handle, wc.ResourceAny)
    return handle.to_host(store).rep


def policy(text: str, folder: Path) -> Policy:
    path = folder / "policy.yaml"
    path.write_text(f"version: 1\n{text}\n", "utf-8")
    return policy_of(path)


def guard(wasm: bytes, rules: Policy) -> bytes:
    return b"".join(guarded(wasm, "app.wasm", rules, "deny", "none").pieces)


def _link(engine: wasmtime.Engine, wasm: wc.Component, offers: Offers) -> wc.Linker:
    linker = wc.Linker(engine)
    with linker.root() as root:
        for name in wasm.type.imports(engine):
            with root.add_instance(name) as instance:
                for inner, what in (offers.get(name.partition("@")[0]) or offers[""]).items():
                    if isinstance(what, int):
                        instance.add_resource(inner, wc.ResourceType.host(what), lambda *_: None)
                    else:
                        instance.add_func(inner, what)
    return linker


def reach(wasm: bytes, offers: Offers, again: int = 0) -> Reached:
    """Instantiate ``wasm`` and call ``ask``, after it was called ``again`` times."""
    engine = wasmtime.Engine()
    reached = Reached()
    component = wc.Component(engine, wasm)
    store = wasmtime.Store(engine)
    try:
        instance = _link(engine, component, offers).instantiate(store, component)
        func = instance.get_func(store, "ask")
        assert func is not None
        for _ in range(again + 1):
            reached.value = func(store)
            if isinstance(reached.value, wc.ResourceAny):
                reached.value.drop(store)
    except wasmtime.WasmtimeError as error:
        reached.trap = str(error)
    return reached
