"""Runners: the embedded wasmtime one (:mod:`.embedded`) and any command (:mod:`.external`)."""
