"""What functions of WASI do to files, by the names of their arguments: of
``wasi:filesystem/types``, and of preview 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whamm_cm.gate.permissions import Access

_READ: Access = "read"
_WRITE: Access = "write"

#: Methods of a descriptor → what they do to it.
ON_HANDLE: Mapping[str, Access] = {
    "read": _READ, "read-via-stream": _READ, "read-directory": _READ, "stat": _READ,
    "write": _WRITE, "write-via-stream": _WRITE, "append-via-stream": _WRITE,
    "set-size": _WRITE, "set-times": _WRITE, "sync": _WRITE, "sync-data": _WRITE,
}  # fmt: skip

#: Methods with paths below a descriptor → (parameter of the path, of the descriptor, access).
BELOW_HANDLE: Mapping[str, tuple[tuple[str, str, Access], ...]] = {
    "stat-at": (("path", "", _READ),),
    "readlink-at": (("path", "", _READ),),
    "metadata-hash-at": (("path", "", _READ),),
    "create-directory-at": (("path", "", _WRITE),),
    "remove-directory-at": (("path", "", _WRITE),),
    "unlink-file-at": (("path", "", _WRITE),),
    "set-times-at": (("path", "", _WRITE),),
    "symlink-at": (("old-path", "", _READ), ("new-path", "", _WRITE)),
    "link-at": (("old-path", "", _READ), ("new-path", "new-descriptor", _WRITE)),
    "rename-at": (("old-path", "", _WRITE), ("new-path", "new-descriptor", _WRITE)),
}

#: Methods that say nothing of what a file holds or is called.
HARMLESS = frozenset((
    "advise", "get-flags", "get-type", "is-same-object", "metadata-hash", "drop", "open-at",
))  # fmt: skip
WRITING = frozenset(("write", "mutate-directory", "create", "truncate"))

# Preview 1

#: Functions on a descriptor → what they do to what it is of.
ON_FD: Mapping[str, Access] = {
    "fd_read": _READ, "fd_pread": _READ, "fd_readdir": _READ, "fd_filestat_get": _READ,
    "fd_write": _WRITE, "fd_pwrite": _WRITE, "fd_allocate": _WRITE, "fd_sync": _WRITE,
    "fd_datasync": _WRITE, "fd_filestat_set_size": _WRITE, "fd_filestat_set_times": _WRITE,
}  # fmt: skip

#: Functions with paths below a descriptor → (argument of the path, of the descriptor, access).
BELOW: Mapping[str, tuple[tuple[str, str, Access], ...]] = {
    "path_filestat_get": (("path", "fd", _READ),),
    "path_readlink": (("path", "fd", _READ),),
    "path_create_directory": (("path", "fd", _WRITE),),
    "path_remove_directory": (("path", "fd", _WRITE),),
    "path_unlink_file": (("path", "fd", _WRITE),),
    "path_filestat_set_times": (("path", "fd", _WRITE),),
    "path_symlink": (("old_path", "fd", _READ), ("new_path", "fd", _WRITE)),
    "path_link": (("old_path", "old_fd", _READ), ("new_path", "new_fd", _WRITE)),
    "path_rename": (("old_path", "fd", _WRITE), ("new_path", "new_fd", _WRITE)),
}

#: Functions that talk to somebody, and do not say to whom.
TALKING = ("sock_accept", "sock_recv", "sock_send")
#: Descriptors that every program has.
STANDARD = range(3)

_CHANGING = frozenset(("fd_write", "fd_allocate", "fd_filestat_set_size", "creat", "trunc"))
_READING = frozenset(("fd_read", "fd_readdir"))


def opened(args: Mapping[str, Any]) -> tuple[Access, ...]:
    """What a ``path_open`` asks for: by its rights, which say how a file is opened, and flags."""
    asked: set[object] = set()
    for name in ("oflags", "fs_rights_base"):
        value = args.get(name)
        if isinstance(value, dict):  # cut off, so that it may be anything
            asked |= _CHANGING | _READING
        elif isinstance(value, list):
            asked.update(one for one in value if isinstance(one, str))
    writes = bool(asked & _CHANGING)
    reads = bool(asked & _READING) or not writes
    return (*([_WRITE] if writes else ()), *([_READ] if reads else ()))
