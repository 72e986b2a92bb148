"""Probes on opcodes, functions and blocks, woven into core modules."""
