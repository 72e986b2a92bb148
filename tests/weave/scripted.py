"""Components with scripts woven in, and what those print and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wasmtime import WasiConfig

from tests.weave.host import Functions, Guest, Sink
from whamm_cm.lang.load import load
from whamm_cm.weave.api import Woven, weave
from whamm_cm.weave.libraries import Library
from whamm_cm.weave.plan import Plan, ScriptPlan


def script_plan(*scripts: str, libraries: Sequence[Library] = ()) -> ScriptPlan:
    sources = [(f"script{i}", text) for i, text in enumerate(scripts)]
    known = {library.name: library for library in libraries}
    checked = load(sources, {name: library.signature for name, library in known.items()})
    return ScriptPlan(checked, known, text="\0".join(scripts))


@dataclass
class Scripted:
    """A running component with its scripts' output."""

    woven: Woven
    guest: Guest
    sink: Sink

    def call(self, name: str, *args: Any) -> Any:
        return self.guest.call(name, *args)

    @property
    def printed(self) -> list[str]:
        return [r["text"] for r in self.sink.records if r["phase"] == "print"]

    @property
    def reported(self) -> dict[Any, Any]:
        """The last value of each variable; of cells by (name, function), of several instances by
        (instance, name)."""
        found: dict[Any, Any] = {}
        instances = {r["instance"] for r in self.sink.records}
        for r in self.sink.records:
            if r["phase"] == "report" and "var" in r:
                key = (r["var"], r["fname"]) if r.get("fname") else r["var"]
                key = key if len(instances) == 1 else (r["instance"], key)
                if r["type"].startswith("map"):  # several records may share one map
                    entries = {_key(k): v for k, v in r["value"]}
                    found[key] = {**found.get(key, {}), **entries}
                else:
                    found[key] = r["value"]
        return found

    @property
    def traced(self) -> list[tuple[str, str]]:
        return [(r["phase"], r["func"]) for r in self.sink.records if r.get("call")]


def _key(value: Any) -> Any:
    return tuple(map(_key, value)) if isinstance(value, list) else value


def scripted(
    wasm: bytes,
    *scripts: str,
    functions: Functions | None = None,
    libraries: Sequence[Library] = (),
    able: bool = False,
    **plan: Any,
) -> Scripted:
    """``wasm`` with the scripts woven in, running; records go to a host sink.  ``able``: the engine
    has multi-memory, whatever the plan says."""
    woven = weave(
        wasm,
        Plan(**{"sink": "host", "scripts": script_plan(*scripts, libraries=libraries), **plan}),
    )
    sink = Sink(woven)
    clock = plan.get("timed") or any("elapsed" in script for script in scripts)
    guest = Guest(
        woven.wasm,
        functions,
        sink,
        wasi=WasiConfig() if clock else None,
        multi_memory=able or plan.get("multi_memory", True),
    )
    return Scripted(woven, guest, sink)
