"""Permission to use sockets, which wasmtime's C API gives only in part."""

from __future__ import annotations

import ctypes

import pytest
from wasmtime import WasiConfig
from wasmtime import _ffi as ffi

from whamm_cm.errors import RunError
from whamm_cm.run import network


def _bytes(config: WasiConfig) -> bytes:
    address = ctypes.cast(config.ptr(), ctypes.c_void_p).value
    assert address is not None
    return ctypes.string_at(address, network._WINDOW)


def test_three_permissions_are_given_and_nothing_else_is_written() -> None:
    config, other = WasiConfig(), WasiConfig()
    ffi.wasi_config_inherit_network(config.ptr())
    before = _bytes(config)
    network.allow_network(config)
    changed = [i for i, (a, b) in enumerate(zip(before, _bytes(config), strict=True)) if a != b]
    flags = [i for i in changed if _bytes(config)[i] == 1 and _bytes(other)[i] == 0][-3:]
    assert flags == list(range(flags[0], flags[0] + 3))


def test_where_the_permissions_are_not_found_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network, "_DENIED", b"\1\1\0")  # as if TCP or UDP were allowed already
    with pytest.raises(RunError, match=r"network; use a host that can: whamm-cm trace -- wasmtime"):
        network.allow_network(WasiConfig())
