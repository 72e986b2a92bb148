"""Benchmarks: ``python -m bench.boundary`` and ``python -m bench.weave``."""
