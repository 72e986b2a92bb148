"""Wasm code for probes: a small assembler and the generator of probe modules."""

from whamm_cm.emit.intervene import may_allocate, uses_clock
from whamm_cm.emit.model import EventProbe, ProbeOptions, Redact, ScriptLink, Wrapper
from whamm_cm.emit.modules import build_probe
from whamm_cm.emit.paths import traces

__all__ = [
    "EventProbe",
    "ProbeOptions",
    "Redact",
    "ScriptLink",
    "Wrapper",
    "build_probe",
    "may_allocate",
    "traces",
    "uses_clock",
]
