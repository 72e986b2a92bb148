"""Sockets for a guest.

wasmtime 50 denies TCP and UDP unless told otherwise, and its C API can only tell the other half:
which addresses (``inherit_network``) and names (``allow_ip_name_lookup``).  The three permissions
are neighbours in memory, one byte each, so the one that can be set shows where the others are.
"""

from __future__ import annotations

import ctypes

from wasmtime import WasiConfig
from wasmtime import _ffi as ffi

from whamm_cm.errors import RunError

#: Bytes of a ``wasi_config_t`` that are looked at: it is a little larger on the systems known.
_WINDOW = 280
_DENIED = b"\1\0\0"  # names allowed, neither UDP nor TCP
_ALLOWED = b"\1\1\1"


def allow_network(config: WasiConfig) -> None:
    """Let the guest use sockets and look up names; RunError where this wasmtime cannot."""
    pointer = config.ptr()
    ffi.wasi_config_inherit_network(pointer)
    address = ctypes.cast(pointer, ctypes.c_void_p).value
    assert address is not None
    ffi.wasi_config_allow_ip_name_lookup(pointer, False)
    before = ctypes.string_at(address, _WINDOW)
    ffi.wasi_config_allow_ip_name_lookup(pointer, True)
    after = ctypes.string_at(address, _WINDOW)
    changed = [i for i in range(_WINDOW) if before[i] != after[i]]
    if len(changed) != 1 or after[changed[0] :][: len(_DENIED)] != _DENIED:
        raise RunError(
            "this release of wasmtime cannot give a guest the network; use a host that can:"
            " whamm-cm trace -- wasmtime run -S inherit-network APP.wasm"
        )
    ctypes.memmove(address + changed[0], _ALLOWED, len(_ALLOWED))
