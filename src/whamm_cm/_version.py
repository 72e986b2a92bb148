"""The version: the one place that says it, cheap to import."""

__version__ = "0.1.0"
