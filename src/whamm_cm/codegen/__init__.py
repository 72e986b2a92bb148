"""Wasm code for probes: a small assembler and the generator of probe modules."""

from whamm_cm.codegen.model import GuestMemory, ProbeOptions, Redact, Wrapper
from whamm_cm.codegen.probe import build_probe

__all__ = ["GuestMemory", "ProbeOptions", "Redact", "Wrapper", "build_probe"]
