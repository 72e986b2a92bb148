"""WASI preview 1: its functions with their types, and where their values lie.

The module ``wasi_snapshot_preview1`` (and ``wasi_unstable``, which came before) is called with core
values: what a function takes and returns lies behind pointers, and errors are numbers.  A
:class:`Function` says what that means in the types of the component model, so that a call is
recorded as one between components is.  Layouts in memory are those of the canonical ABI, but for
numbers, flags and enums that take more bytes (``EnumT.size``, ``FlagsT.size``).

What is shown of a call is what is said by it, not where: buffers to be filled are arguments by
their length, and results by what is in them.  Facts: the witx files of WASI preview 0 and 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Literal

from whamm_cm.dataclass import dataclass
from whamm_cm.wit.types import (
    EnumT,
    FlagsT,
    ListT,
    Named,
    Own,
    Prim,
    RecordT,
    Resource,
    ResultT,
    TupleT,
    ValType,
    VariantT,
)

PREVIEW1, PREVIEW0 = "wasi_snapshot_preview1", "wasi_unstable"
#: Both, the one before as far as it is the same.
MODULES = (PREVIEW1, PREVIEW0)

#: Where a value is, by the numbers of core parameters in :attr:`Part.at`.
How = Literal[
    "flat",  # the parameter itself
    "span",  # address, length
    "total",  # array of buffers, how many: the bytes they have room for
    "gather",  # the same: what is in them; in a result up to the number at a third, an address
    "out",  # in memory, at an address
    "filled",  # address; the length is in memory, at an address
    "strings",  # array of addresses, text: strings that end with 0
    "pairs",  # the same, of NAME=VALUE
    "dirents",  # address; how many bytes are used of it is in memory, at an address
]


@dataclass(frozen=True, slots=True)
class Part:
    """A parameter or part of a result as it is shown."""

    name: str
    type: ValType
    how: How
    at: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """``core``: its parameters, ``i`` for i32 and ``I`` for i64.  ``made``: what it returns beside
    the error number, which :attr:`fails` says it returns; ``counts``: it says how many strings
    there are for that function to fill in."""

    name: str
    core: str
    params: tuple[Part, ...]
    made: tuple[Part, ...]
    result: ValType | None
    fails: bool = True
    counts: str = ""

    @property
    def flat(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Core parameters and results."""
        kinds = {"i": "i32", "I": "i64"}
        return tuple(kinds[each] for each in self.core), ("i32",) if self.fails else ()

    @property
    def shown(self) -> tuple[tuple[str, ValType], ...]:
        return tuple((part.name, part.type) for part in self.params)

    @property
    def in_memory(self) -> bool:
        """Whether it reads or writes a memory."""
        return any(part.how != "flat" for part in (*self.params, *self.made))


U8, U16, U32, U64, S64 = (Prim(name) for name in ("u8", "u16", "u32", "u64", "s64"))
STRING = Prim("string")
BYTES = ListT(U8)
_FD = Resource("fd", PREVIEW1)
FD = Own(_FD)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ERRNO = Named("errno", PREVIEW1, EnumT(_words(
    "success 2big acces addrinuse addrnotavail afnosupport again already badf badmsg busy"
    " canceled child connaborted connrefused connreset deadlk destaddrreq dom dquot exist"
    " fault fbig hostunreach idrm ilseq inprogress intr inval io isconn isdir loop mfile"
    " mlink msgsize multihop nametoolong netdown netreset netunreach nfile nobufs nodev"
    " noent noexec nolck nolink nomem nomsg noprotoopt nospc nosys notconn notdir notempty"
    " notrecoverable notsock notsup notty nxio overflow ownerdead perm pipe proto"
    " protonosupport prototype range rofs spipe srch stale timedout txtbsy xdev notcapable"
), 2))  # fmt: skip


def _enum(name: str, labels: str, size: int = 1) -> Named:
    return Named(name, PREVIEW1, EnumT(_words(labels), size))


def _flags(name: str, labels: str, size: int) -> Named:
    return Named(name, PREVIEW1, FlagsT(_words(labels), size))


def _record(name: str, *fields: tuple[str, ValType]) -> Named:
    return Named(name, PREVIEW1, RecordT(fields))


CLOCKID = _enum("clockid", "realtime monotonic process_cputime_id thread_cputime_id", 4)
FILETYPE = _enum(
    "filetype",
    "unknown block_device character_device directory regular_file socket_dgram socket_stream"
    " symbolic_link",
)
ADVICE = _enum("advice", "normal sequential random willneed dontneed noreuse")
SIGNAL = _enum(
    "signal",
    "none hup int quit ill trap abrt bus fpe kill usr1 segv usr2 pipe alrm term chld cont stop tstp"
    " ttin ttou urg xcpu xfsz vtalrm prof winch poll pwr sys",
)
EVENTTYPE = _enum("eventtype", "clock fd_read fd_write")
RIGHTS = _flags(
    "rights",
    "fd_datasync fd_read fd_seek fd_fdstat_set_flags fd_sync fd_tell fd_write fd_advise fd_allocate"
    " path_create_directory path_create_file path_link_source path_link_target path_open fd_readdir"
    " path_readlink path_rename_source path_rename_target path_filestat_get"
    " path_filestat_set_size path_filestat_set_times fd_filestat_get fd_filestat_set_size"
    " fd_filestat_set_times path_symlink path_remove_directory path_unlink_file poll_fd_readwrite"
    " sock_shutdown sock_accept",
    8,
)
FDFLAGS = _flags("fdflags", "append dsync nonblock rsync sync", 2)
FSTFLAGS = _flags("fstflags", "atim atim_now mtim mtim_now", 2)
LOOKUPFLAGS = _flags("lookupflags", "symlink_follow", 4)
OFLAGS = _flags("oflags", "creat directory excl trunc", 2)
EVENTRWFLAGS = _flags("eventrwflags", "fd_readwrite_hangup", 2)
SUBCLOCKFLAGS = _flags("subclockflags", "subscription_clock_abstime", 2)
RIFLAGS = _flags("riflags", "recv_peek recv_waitall", 2)
ROFLAGS = _flags("roflags", "recv_data_truncated", 2)
SDFLAGS = _flags("sdflags", "rd wr", 1)
FDSTAT = _record(
    "fdstat",
    ("fs_filetype", FILETYPE),
    ("fs_flags", FDFLAGS),
    ("fs_rights_base", RIGHTS),
    ("fs_rights_inheriting", RIGHTS),
)
DIRENT = _record(
    "dirent", ("d_next", U64), ("d_ino", U64), ("d_type", FILETYPE), ("d_name", STRING)
)
EVENT = _record(
    "event",
    ("userdata", U64),
    ("error", ERRNO),
    ("type", EVENTTYPE),
    (
        "fd_readwrite",
        _record("event_fd_readwrite", ("nbytes", U64), ("flags", EVENTRWFLAGS)),
    ),
)
PRESTAT = Named(
    "prestat",
    PREVIEW1,
    VariantT((("dir", _record("prestat_dir", ("pr_name_len", U32))),)),
)
_SIZES = (("count", U32), ("size", U32))


@dataclass(frozen=True, slots=True)
class _Release:
    """What is not the same in both."""

    whence: ValType
    links: ValType
    clock: tuple[tuple[str, ValType], ...]


_NOW = _Release(_enum("whence", "set cur end"), U64, ())
_BEFORE = _Release(_enum("whence", "cur end set"), U32, (("identifier", U64),))


def _filestat(release: _Release) -> Named:
    return _record(
        "filestat",
        ("dev", U64),
        ("ino", U64),
        ("filetype", FILETYPE),
        ("nlink", release.links),
        ("size", U64),
        ("atim", U64),
        ("mtim", U64),
        ("ctim", U64),
    )


def _subscription(release: _Release) -> Named:
    clock = _record(
        "subscription_clock",
        *release.clock,
        ("id", CLOCKID),
        ("timeout", U64),
        ("precision", U64),
        ("flags", SUBCLOCKFLAGS),
    )
    file = _record("subscription_fd_readwrite", ("file_descriptor", FD))
    cases = (("clock", clock), ("fd_read", file), ("fd_write", file))
    which = Named("subscription_u", PREVIEW1, VariantT(cases))
    return _record("subscription", ("userdata", U64), ("u", which))


def _flat(name: str, t: ValType, at: int) -> Part:
    return Part(name, t, "flat", (at,))


def _path(at: int, name: str = "path") -> Part:
    return Part(name, STRING, "span", (at, at + 1))


def _out(t: ValType, at: int, name: str = "") -> Part:
    return Part(name, t, "out", (at,))


def _func(
    name: str, core: str, *params: Part, made: tuple[Part, ...] = (), counts: str = ""
) -> Function:
    """What it makes is one value, or a record of those with names."""
    ok: ValType | None = None
    if len(made) == 1:
        ok = made[0].type
    elif made:
        ok = RecordT(tuple((part.name, part.type) for part in made))
    return Function(name, core, params, made, ResultT(ok, ERRNO), counts=counts)


def _times(at: int) -> tuple[Part, ...]:
    return (
        _flat("atim", U64, at),
        _flat("mtim", U64, at + 1),
        _flat("fst_flags", FSTFLAGS, at + 2),
    )


_HERE = _flat("fd", FD, 0)


def _strings(name: str, how: How, element: ValType) -> Function:
    return _func(name, "ii", made=(Part("", ListT(element), how, (0, 1)),))


def _counted(name: str, counts: str) -> Function:
    made = tuple(_out(t, at, part) for at, (part, t) in enumerate(_SIZES))
    return _func(name, "ii", made=made, counts=counts)


def _files(release: _Release) -> tuple[Function, ...]:
    filestat = _filestat(release)
    return (
        _func("fd_advise", "iIIi", _HERE, _flat("offset", U64, 1), _flat("len", U64, 2),
              _flat("advice", ADVICE, 3)),
        _func("fd_allocate", "iII", _HERE, _flat("offset", U64, 1), _flat("len", U64, 2)),
        _func("fd_close", "i", _HERE),
        _func("fd_datasync", "i", _HERE),
        _func("fd_fdstat_get", "ii", _HERE, made=(_out(FDSTAT, 1),)),
        _func("fd_fdstat_set_flags", "ii", _HERE, _flat("flags", FDFLAGS, 1)),
        _func("fd_fdstat_set_rights", "iII", _HERE, _flat("fs_rights_base", RIGHTS, 1),
              _flat("fs_rights_inheriting", RIGHTS, 2)),
        _func("fd_filestat_get", "ii", _HERE, made=(_out(filestat, 1),)),
        _func("fd_filestat_set_size", "iI", _HERE, _flat("size", U64, 1)),
        _func("fd_filestat_set_times", "iIIi", _HERE, *_times(1)),
        _func("fd_pread", "iiiIi", _HERE, Part("len", U32, "total", (1, 2)),
              _flat("offset", U64, 3), made=(Part("", BYTES, "gather", (1, 2, 4)),)),
        _func("fd_prestat_get", "ii", _HERE, made=(_out(PRESTAT, 1),)),
        _func("fd_prestat_dir_name", "iii", _HERE, _flat("path_len", U32, 2),
              made=(Part("", STRING, "span", (1, 2)),)),
        _func("fd_pwrite", "iiiIi", _HERE, Part("iovs", BYTES, "gather", (1, 2)),
              _flat("offset", U64, 3), made=(_out(U32, 4),)),
        _func("fd_read", "iiii", _HERE, Part("len", U32, "total", (1, 2)),
              made=(Part("", BYTES, "gather", (1, 2, 3)),)),
        _func("fd_readdir", "iiiIi", _HERE, _flat("buf_len", U32, 2), _flat("cookie", U64, 3),
              made=(Part("", ListT(DIRENT), "dirents", (1, 4)),)),
        _func("fd_renumber", "ii", _HERE, _flat("to", FD, 1)),
        _func("fd_seek", "iIii", _HERE, _flat("offset", S64, 1),
              _flat("whence", release.whence, 2), made=(_out(U64, 3),)),
        _func("fd_sync", "i", _HERE),
        _func("fd_tell", "ii", _HERE, made=(_out(U64, 1),)),
        _func("fd_write", "iiii", _HERE, Part("iovs", BYTES, "gather", (1, 2)),
              made=(_out(U32, 3),)),
    )  # fmt: skip


def _paths(release: _Release) -> tuple[Function, ...]:
    filestat, lookup = _filestat(release), _flat("flags", LOOKUPFLAGS, 1)
    return (
        _func("path_create_directory", "iii", _HERE, _path(1)),
        _func("path_filestat_get", "iiiii", _HERE, lookup, _path(2), made=(_out(filestat, 4),)),
        _func("path_filestat_set_times", "iiiiIIi", _HERE, lookup, _path(2), *_times(4)),
        _func("path_link", "iiiiiii", _flat("old_fd", FD, 0), _flat("old_flags", LOOKUPFLAGS, 1),
              _path(2, "old_path"), _flat("new_fd", FD, 4), _path(5, "new_path")),
        _func("path_open", "iiiiiIIii", _HERE, _flat("dirflags", LOOKUPFLAGS, 1), _path(2),
              _flat("oflags", OFLAGS, 4), _flat("fs_rights_base", RIGHTS, 5),
              _flat("fs_rights_inheriting", RIGHTS, 6), _flat("fdflags", FDFLAGS, 7),
              made=(_out(FD, 8),)),
        _func("path_readlink", "iiiiii", _HERE, _path(1), _flat("buf_len", U32, 4),
              made=(Part("", STRING, "filled", (3, 5)),)),
        _func("path_remove_directory", "iii", _HERE, _path(1)),
        _func("path_rename", "iiiiii", _HERE, _path(1, "old_path"), _flat("new_fd", FD, 3),
              _path(4, "new_path")),
        _func("path_symlink", "iiiii", _path(0, "old_path"), _flat("fd", FD, 2),
              _path(3, "new_path")),
        _func("path_unlink_file", "iii", _HERE, _path(1)),
    )  # fmt: skip


def _others(release: _Release) -> tuple[Function, ...]:
    events = Part("", ListT(EVENT), "filled", (1, 3))
    subscriptions = Part("in", ListT(_subscription(release)), "span", (0, 2))
    data = Part("data", BYTES, "gather", (1, 2, 4))
    return (
        _strings("args_get", "strings", STRING),
        _counted("args_sizes_get", "args_get"),
        _strings("environ_get", "pairs", TupleT((STRING, STRING))),
        _counted("environ_sizes_get", "environ_get"),
        _func("clock_res_get", "ii", _flat("id", CLOCKID, 0), made=(_out(U64, 1),)),
        _func("clock_time_get", "iIi", _flat("id", CLOCKID, 0), _flat("precision", U64, 1),
              made=(_out(U64, 2),)),
        _func("poll_oneoff", "iiii", subscriptions, made=(events,)),
        Function("proc_exit", "i", (_flat("rval", U32, 0),), (), None, fails=False),
        _func("proc_raise", "i", _flat("sig", SIGNAL, 0)),
        _func("sched_yield", ""),
        _func("random_get", "ii", _flat("buf_len", U32, 1),
              made=(Part("", BYTES, "span", (0, 1)),)),
        _func("sock_accept", "iii", _HERE, _flat("flags", FDFLAGS, 1), made=(_out(FD, 2),)),
        _func("sock_recv", "iiiiii", _HERE, Part("len", U32, "total", (1, 2)),
              _flat("ri_flags", RIFLAGS, 3), made=(data, _out(ROFLAGS, 5, "flags"))),
        _func("sock_send", "iiiii", _HERE, Part("si_data", BYTES, "gather", (1, 2)),
              _flat("si_flags", U16, 3), made=(_out(U32, 4),)),
        _func("sock_shutdown", "ii", _HERE, _flat("how", SDFLAGS, 1)),
    )  # fmt: skip


@cache
def functions(module: str) -> Mapping[str, Function]:
    """The functions of a module of that name; none where it is no such module."""
    if module not in MODULES:
        return {}
    release = _NOW if module == PREVIEW1 else _BEFORE
    found = (*_files(release), *_paths(release), *_others(release))
    return {each.name: each for each in found}


def function(module: str, name: str) -> Function | None:
    return functions(module).get(name)
