"""The host functions the component text suites import, and the record sink of woven copies."""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass, field
from typing import Any

import wasmtime
from wasmtime import component as wc

_RESOURCE1, _RESOURCE2 = 1, 2
_SIMPLE_MODULE = """(module
  (global (export "g") i32 (i32.const 100))
  (func (export "f") (result i32) (i32.const 101)))"""


@dataclass(slots=True)
class Drops:
    """What happened to the host's ``resource1`` handles."""

    count: int = 0
    last: int = 0

    def dropped(self, _store: Any, rep: int) -> None:
        self.count, self.last = self.count + 1, rep


@dataclass(slots=True)
class Sink:
    """Counts what woven components send, in blocks or as text, and numbers their instances."""

    blocks: list[bytes] = field(default_factory=list)
    instances: Any = field(default_factory=lambda: itertools.count(1))

    def emit(self, _store: Any, block: str) -> int:
        data = block.encode("latin-1")
        self.blocks.append(data)
        (instance,) = struct.unpack_from("<I", data, 8)
        return int(instance) or next(self.instances)

    def write(self, text: bytes) -> None:
        """What goes to stderr."""
        self.blocks.append(text)

    def log(self, _store: Any, _level: str, _context: str, message: str) -> None:
        self.blocks.append(message.encode())

    def define(self, root: Any) -> None:
        with root.add_instance("whamm:cm/sink") as sink:
            sink.add_func("emit", self.emit)
        with root.add_instance("wasi:logging/logging@0.1.0-draft") as logging:
            logging.add_func("log", self.log)

    def wasi(self) -> wasmtime.WasiConfig:
        config = wasmtime.WasiConfig()
        config.stderr_custom = self.write
        return config


def _check_rep(store: Any, handle: Any, expected: int) -> None:
    rep = handle.to_host(store).rep
    if rep != expected:
        raise AssertionError(f"resource1 has rep {rep}, not {expected}")


def _take(store: Any, *handles: Any) -> None:
    """Take handles out of the host's table without running a destructor."""
    for handle in handles:
        handle.to_host(store)


def _define_resources(host: Any) -> None:
    drops = Drops()
    host.add_resource("resource1", wc.ResourceType.host(_RESOURCE1), drops.dropped)
    host.add_resource("resource2", wc.ResourceType.host(_RESOURCE2), lambda *_: None)
    host.add_resource("resource1-again", wc.ResourceType.host(_RESOURCE1), lambda *_: None)
    host.add_func("[constructor]resource1", lambda _s, rep: wc.ResourceHost.own(rep, _RESOURCE1))
    host.add_func("[static]resource1.assert", _check_rep)
    host.add_func("[static]resource1.last-drop", lambda _s: drops.last)
    host.add_func("[static]resource1.drops", lambda _s: drops.count)
    host.add_func("[method]resource1.simple", _check_rep)
    host.add_func("[method]resource1.take-borrow", _take)
    host.add_func("[method]resource1.take-own", _take)


def new_linker(engine: wasmtime.Engine, sink: Sink) -> wc.Linker:
    """A linker with what the suites expect of a host, and what sinks need."""
    linker = wc.Linker(engine)
    linker.add_wasip2()
    with linker.root() as root:
        root.add_func("host-echo-u32", lambda _s, value: value)
        root.add_func("host-return-two", lambda _s: 2)
        with root.add_instance("host") as host:
            host.add_func("return-three", lambda _s: 3)
            host.add_func("return-hi", lambda _s: "hi")
            host.add_module("simple-module", wasmtime.Module(engine, _SIMPLE_MODULE))
            _define_resources(host)
            with host.add_instance("nested") as nested:
                nested.add_func("return-four", lambda _s: 4)
        sink.define(root)
    return linker
