"""Functions of the engine that are over at once, called without letting other threads run.

ctypes lets go of the interpreter around each call and takes it back afterwards: with many guests at
a time that is a switch of threads for each of these, which take a microsecond.  Addresses are
integers here.

Only what can wait for nobody may be here.  None of these runs code of a guest, calls back, or waits
for a lock that another thread may hold while it wants the interpreter: they allocate and free (the
allocator's own locks are held by nobody who does anything else), read a type, or look into the
tables of a store, which only the thread has that runs its guest.
"""

from __future__ import annotations

import ctypes
from ctypes import c_bool, c_char_p, c_size_t, c_uint32, c_void_p
from typing import Any

from wasmtime import _ffi as ffi

_dll = ctypes.PyDLL(None, handle=ffi.dll._handle)


def _function(name: str, result: Any, *params: Any) -> Any:
    found = getattr(_dll, f"wasmtime_component_{name}", None) or getattr(_dll, name)
    found.restype, found.argtypes = result, params
    return found


#: A C value on the heap, which takes over what the image of one holds.  Allocates.
value_new = _function("val_new", c_void_p, c_char_p)
#: Each fills a pair of size and address.  They allocate.
bytes_new = _function("wasm_byte_vec_new", None, c_void_p, c_size_t, c_char_p)
list_new = _function("vallist_new_uninit", None, c_void_p, c_size_t)
tuple_new = _function("valtuple_new_uninit", None, c_void_p, c_size_t)
map_new = _function("valmap_new_uninit", None, c_void_p, c_size_t)
record_new = _function("valrecord_new_uninit", None, c_void_p, c_size_t)
flags_new = _function("valflags_new_uninit", None, c_void_p, c_size_t)
#: Of resources of the host: a number with a type, boxed, and its handle in the tables of the store.
#: Destructors are for handles that guests drop; to delete the box of one runs none.
host_new = _function("resource_host_new", c_void_p, c_bool, c_uint32, c_uint32)
host_of_any = _function("resource_any_to_host", c_void_p, c_void_p, c_void_p, c_void_p)
any_of_host = _function("resource_host_to_any", c_void_p, c_void_p, c_void_p, c_void_p)
host_rep = _function("resource_host_rep", c_uint32, c_void_p)
host_delete = _function("resource_host_delete", None, c_void_p)
#: Whether the type of a memory has a maximum, which is put where the second says.  Reads.
memory_maximum = _function("wasmtime_memorytype_maximum", c_bool, c_void_p, c_void_p)
