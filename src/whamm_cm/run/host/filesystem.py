"""``wasi:filesystem`` on the directories that the guest was given."""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from whamm_cm.errors import RunError
from whamm_cm.run.host.bridge import Failure, Interface, Resource
from whamm_cm.run.host.paths import resolved
from whamm_cm.run.host.streams import InputStream, IoError, OutputStream, closed, failed
from whamm_cm.run.host.world import World
from whamm_cm.run.options import Dir

TYPES, PREOPENS = Interface("wasi:filesystem/types"), Interface("wasi:filesystem/preopens")

F = TypeVar("F", bound=Callable[..., Any])
_MOST = 1 << 24  # bytes of one read

#: Error codes whose names are not those of the system.
_CODES = {
    "EACCES": "access", "EAGAIN": "would-block", "EALREADY": "already", "EBADF": "bad-descriptor",
    "EBUSY": "busy", "EDEADLK": "deadlock", "EDQUOT": "quota", "EEXIST": "exist",
    "EFBIG": "file-too-large", "EILSEQ": "illegal-byte-sequence", "EINPROGRESS": "in-progress",
    "EINTR": "interrupted", "EINVAL": "invalid", "EIO": "io", "EISDIR": "is-directory",
    "ELOOP": "loop", "EMLINK": "too-many-links", "EMSGSIZE": "message-size",
    "ENAMETOOLONG": "name-too-long", "ENODEV": "no-device", "ENOENT": "no-entry",
    "ENOLCK": "no-lock", "ENOMEM": "insufficient-memory", "ENOSPC": "insufficient-space",
    "ENOTDIR": "not-directory", "ENOTEMPTY": "not-empty", "ENOTRECOVERABLE": "not-recoverable",
    "ENOTSUP": "unsupported", "ENOTTY": "no-tty", "ENXIO": "no-such-device",
    "EOVERFLOW": "overflow", "EPERM": "not-permitted", "EPIPE": "pipe", "EROFS": "read-only",
    "ESPIPE": "invalid-seek", "ETXTBSY": "text-file-busy", "EXDEV": "cross-device",
}  # fmt: skip

_KINDS = (
    (stat.S_ISBLK, "block-device"), (stat.S_ISCHR, "character-device"),
    (stat.S_ISDIR, "directory"), (stat.S_ISFIFO, "fifo"), (stat.S_ISLNK, "symbolic-link"),
    (stat.S_ISREG, "regular-file"), (stat.S_ISSOCK, "socket"),
)  # fmt: skip


def _code(error: OSError) -> str:
    return _CODES.get(errno.errorcode.get(error.errno or 0, ""), "io")


class Descriptor(Resource):
    def __init__(self, fd: int, flags: list[str], read_only: bool) -> None:
        self.fd, self.flags, self.read_only = fd, flags, read_only

    def __del__(self) -> None:
        os.close(self.fd)

    def stat(self) -> os.stat_result:
        return os.fstat(self.fd)

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.stat().st_mode)

    def directory(self) -> int:
        if not self.is_directory:
            raise Failure("not-directory")
        return self.fd

    def file(self, write: bool = False) -> int:
        """Raises Failure where it is not open for that."""
        if self.is_directory:
            raise Failure("bad-descriptor" if write else "is-directory")
        if ("write" if write else "read") not in self.flags:
            raise Failure("not-permitted" if write else "bad-descriptor")
        return self.fd

    def changing(self) -> int:
        """Of a directory that may be changed."""
        if self.read_only:
            raise Failure("not-permitted")
        return self.directory()


class FileInput(InputStream):
    """The descriptor stays open as long as a stream reads it."""

    def __init__(self, source: Descriptor, offset: int) -> None:
        self.source, self.offset = source, offset

    def read(self, size: int) -> bytes:
        if not size:
            return b""
        try:
            data = os.pread(self.source.fd, size, self.offset)
        except OSError as error:
            raise failed(str(error.strerror), _code(error)) from None
        if not data:
            raise closed()
        self.offset += len(data)
        return data


class FileOutput(OutputStream):
    """``offset`` None: at the end."""

    def __init__(self, target: Descriptor, offset: int | None) -> None:
        self.target, self.offset = target, offset

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                at = self.target.stat().st_size if self.offset is None else self.offset
                count = os.pwrite(self.target.fd, left, at)
                left = left[count:]
                if self.offset is not None:
                    self.offset += count
        except OSError as error:
            raise failed(str(error.strerror), _code(error)) from None


class Entries(Resource):
    def __init__(self, found: Iterator[dict[str, str]]) -> None:
        self.found = found


TYPES.resource("descriptor", Descriptor)
TYPES.resource("directory-entry-stream", Entries)


def _provide(name: str) -> Callable[[F], F]:
    """A function whose errors of the system are error codes."""

    def provided(function: F) -> F:
        @functools.wraps(function)
        def called(world: World, *values: Any) -> Any:
            try:
                return function(*values)
            except OSError as error:
                raise Failure(_code(error)) from None
            except UnicodeError:
                raise Failure("illegal-byte-sequence") from None
            except OverflowError:
                raise Failure("invalid") from None

        TYPES.func(name)(called)
        return function

    return provided


def _method(name: str) -> Callable[[F], F]:
    return _provide(f"[method]descriptor.{name}")


def opened(directory: Dir) -> Descriptor:
    """Raises RunError for a directory that cannot be opened."""
    try:
        fd = os.open(directory.host, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError):
        raise RunError(f"directory {directory.host!r} cannot be opened for the guest") from None
    flags = ["read"] if directory.read_only else ["read", "mutate-directory"]
    return Descriptor(fd, flags, directory.read_only)


@PREOPENS.func("get-directories")
def _directories(world: World) -> list[tuple[Descriptor, str]]:
    return [(opened(one), one.guest) for one in world.settings.options.dirs]


# --- of what is open ------------------------------------------------------------------------------


@_method("read-via-stream")
def _read_stream(one: Descriptor, offset: int) -> FileInput:
    one.file()
    return FileInput(one, offset)


@_method("write-via-stream")
def _write_stream(one: Descriptor, offset: int) -> FileOutput:
    one.file(write=True)
    return FileOutput(one, offset)


@_method("append-via-stream")
def _append_stream(one: Descriptor) -> FileOutput:
    one.file(write=True)
    return FileOutput(one, None)


@_method("advise")
def _advise(one: Descriptor, offset: int, length: int, advice: str) -> None:
    if one.is_directory:
        raise Failure("bad-descriptor")


@_method("sync")
@_method("sync-data")
def _sync(one: Descriptor) -> None:
    try:
        os.fsync(one.fd)
    except OSError as error:  # of what was opened to be read there is nothing to write
        if error.errno not in (errno.EBADF, errno.EINVAL, errno.EROFS):
            raise


@_method("get-flags")
def _flags(one: Descriptor) -> list[str]:
    return one.flags


@_method("get-type")
def _type(one: Descriptor) -> str:
    return _kind(one.stat().st_mode)


@_method("set-size")
def _set_size(one: Descriptor, size: int) -> None:
    os.ftruncate(one.file(write=True), size)


@_method("set-times")
def _set_times(one: Descriptor, accessed: dict[str, Any], modified: dict[str, Any]) -> None:
    if one.read_only:
        raise Failure("not-permitted")
    os.utime(one.fd, ns=_times(one.stat(), accessed, modified))


@_method("read")
def _read(one: Descriptor, length: int, offset: int) -> tuple[bytes, bool]:
    data = os.pread(one.file(), min(length, _MOST), offset)
    return data, not data


@_method("write")
def _write(one: Descriptor, data: bytes, offset: int) -> int:
    return os.pwrite(one.file(write=True), data, offset)


@_method("read-directory")
def _read_directory(one: Descriptor) -> Entries:
    with os.scandir(one.directory()) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        entry.name.encode()  # a name that is no text cannot be told
    kinds = ((entry.name, entry.stat(follow_symlinks=False).st_mode) for entry in entries)
    return Entries(iter([{"type": _kind(mode), "name": name} for name, mode in kinds]))


@_provide("[method]directory-entry-stream.read-directory-entry")
def _entry(entries: Entries) -> dict[str, str] | None:
    return next(entries.found, None)


@_method("stat")
def _stat(one: Descriptor) -> dict[str, Any]:
    return _described(one.stat())


@TYPES.func("[method]descriptor.is-same-object")
def _same(world: World, one: Descriptor, other: Descriptor) -> bool:
    return os.path.samestat(one.stat(), other.stat())


@_method("metadata-hash")
def _hash(one: Descriptor) -> dict[str, int]:
    return _hashed(one.stat())


@TYPES.func("filesystem-error-code")
def _error_code(world: World, error: IoError) -> str | None:
    return error.code if isinstance(error.code, str) else None


# --- of what is in a directory --------------------------------------------------------------------


@_method("create-directory-at")
def _create_directory(one: Descriptor, path: str) -> None:
    with resolved(one.changing(), path.rstrip("/"), False) as (parent, name):
        os.mkdir(name, dir_fd=parent)


def _stat_of(one: Descriptor, flags: list[str], path: str) -> os.stat_result:
    with resolved(one.directory(), path, bool(flags)) as (parent, name):
        return os.stat(name, dir_fd=parent, follow_symlinks=False)


@_method("stat-at")
def _stat_at(one: Descriptor, flags: list[str], path: str) -> dict[str, Any]:
    return _described(_stat_of(one, flags, path))


@_method("metadata-hash-at")
def _hash_at(one: Descriptor, flags: list[str], path: str) -> dict[str, int]:
    return _hashed(_stat_of(one, flags, path))


@_method("set-times-at")
def _set_times_at(
    one: Descriptor, flags: list[str], path: str, accessed: dict[str, Any], modified: dict[str, Any]
) -> None:
    with resolved(one.changing(), path, bool(flags)) as (parent, name):
        known = os.stat(name, dir_fd=parent, follow_symlinks=False)
        times = _times(known, accessed, modified)
        os.utime(name, ns=times, dir_fd=parent, follow_symlinks=False)


@_method("link-at")
def _link_at(one: Descriptor, flags: list[str], path: str, other: Descriptor, new: str) -> None:
    if flags:
        raise Failure("invalid")
    with (
        resolved(one.changing(), path, False) as (parent, name),
        resolved(other.changing(), new, False) as (place, called),
    ):
        os.link(name, called, src_dir_fd=parent, dst_dir_fd=place, follow_symlinks=False)


@_method("open-at")
def _open_at(
    one: Descriptor, links: list[str], path: str, how: list[str], flags: list[str]
) -> Descriptor:
    root = one.directory()
    changes = bool({"create", "truncate"} & {*how} or {"write", "mutate-directory"} & {*flags})
    if changes and one.read_only:
        raise Failure("read-only" if "create" not in how else "not-permitted")
    mode = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    mode |= os.O_CREAT * ("create" in how) | os.O_EXCL * ("exclusive" in how)
    mode |= os.O_TRUNC * ("truncate" in how) | os.O_DIRECTORY * ("directory" in how)
    if "write" in flags:
        mode |= os.O_RDWR if "read" in flags else os.O_WRONLY
    with resolved(root, path, bool(links)) as (parent, name):
        fd = os.open(name, mode, 0o666, dir_fd=parent)
    given = [flag for flag in flags if flag != "mutate-directory" or not one.read_only]
    return Descriptor(fd, given, one.read_only)


@_method("readlink-at")
def _readlink(one: Descriptor, path: str) -> str:
    with resolved(one.directory(), path, False) as (parent, name):
        target = os.readlink(name, dir_fd=parent)
    if target.startswith("/"):
        raise Failure("not-permitted")
    target.encode()  # as above: text, or it cannot be told
    return target


@_method("remove-directory-at")
def _remove_directory(one: Descriptor, path: str) -> None:
    with resolved(one.changing(), path.rstrip("/"), False) as (parent, name):
        os.rmdir(name, dir_fd=parent)


@_method("unlink-file-at")
def _unlink(one: Descriptor, path: str) -> None:
    with resolved(one.changing(), path, False) as (parent, name):
        os.unlink(name, dir_fd=parent)


@_method("rename-at")
def _rename(one: Descriptor, path: str, other: Descriptor, new: str) -> None:
    with (
        resolved(one.changing(), path, False) as (parent, name),
        resolved(other.changing(), new, False) as (place, called),
    ):
        os.rename(name, called, src_dir_fd=parent, dst_dir_fd=place)


@_method("symlink-at")
def _symlink(one: Descriptor, target: str, path: str) -> None:
    if target.startswith("/"):
        raise Failure("not-permitted")
    with resolved(one.changing(), path, False) as (parent, name):
        os.symlink(target, name, dir_fd=parent)


# --- values ---------------------------------------------------------------------------------------


def _kind(mode: int) -> str:
    return next((name for test, name in _KINDS if test(mode)), "unknown")


def _datetime(ns: int) -> dict[str, int]:
    return {"seconds": max(0, ns) // 10**9, "nanoseconds": max(0, ns) % 10**9}


def _described(found: os.stat_result) -> dict[str, Any]:
    return {
        "type": _kind(found.st_mode),
        "link-count": found.st_nlink,
        "size": found.st_size,
        "data-access-timestamp": _datetime(found.st_atime_ns),
        "data-modification-timestamp": _datetime(found.st_mtime_ns),
        "status-change-timestamp": _datetime(found.st_ctime_ns),
    }


def _hashed(found: os.stat_result) -> dict[str, int]:
    facts = f"{found.st_dev} {found.st_ino} {found.st_mtime_ns} {found.st_size}".encode()
    digest = hashlib.blake2b(facts, digest_size=16).digest()
    return {
        "lower": int.from_bytes(digest[:8], "little"),
        "upper": int.from_bytes(digest[8:], "little"),
    }


def _times(
    known: os.stat_result, accessed: dict[str, Any], modified: dict[str, Any]
) -> tuple[int, int]:
    return _time(known.st_atime_ns, accessed), _time(known.st_mtime_ns, modified)


def _time(known: int, wanted: dict[str, Any]) -> int:
    ((case, when),) = wanted.items()
    if case == "timestamp":
        return int(when["seconds"]) * 10**9 + int(when["nanoseconds"])
    return known if case == "no-change" else time.time_ns()
