"""Wasm code for probes: a small assembler and the generator of probe modules."""

from whamm_cm.codegen.intervene import may_allocate, uses_clock
from whamm_cm.codegen.model import (
    EventProbe,
    GuestMemory,
    ProbeOptions,
    Redact,
    ScriptLink,
    Wrapper,
)
from whamm_cm.codegen.modules import build_probe
from whamm_cm.codegen.paths import traces

__all__ = [
    "EventProbe",
    "GuestMemory",
    "ProbeOptions",
    "Redact",
    "ScriptLink",
    "Wrapper",
    "build_probe",
    "may_allocate",
    "traces",
    "uses_clock",
]
