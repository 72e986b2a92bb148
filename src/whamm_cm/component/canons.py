"""The canonical built-ins as a table: one row per ``canon`` production of Binary.md.

``immediates`` are read in order: ``func`` (core func of lift / func of lower, behind a 0x00 sort
byte), ``type`` (component type), ``resultlist``, ``opts``, ``flag`` (async or cancellable),
``memory``, ``table``, ``core type``, ``core valtype``, ``slot`` (u32), ``shared``.

``params`` / ``results`` give the core type of the built-in (CanonicalABI.md, "Canonical
Definitions"): ``i`` i32, ``I`` i64, ``p`` a pointer or length of the memory's width, ``v`` the
``core valtype`` immediate, ``r`` the resource's representation.  None: depends on more than that
(lift, lower, task.return have their own rules; the thread spawners take reference types).

``leave`` is False where calling out of the instance may not be allowed around the built-in: an
allocator or a ``post-return`` that the canonical ABI calls may use it.
"""

from __future__ import annotations

from whamm_cm.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class CanonRow:
    opcode: int
    op: str
    immediates: tuple[str, ...] = ()
    params: str | None = ""
    results: str = ""
    names: tuple[str, ...] = ()
    leave: bool = True


_OPTS, _TYPE, _FLAG = "opts", "type", "flag"

ROWS: tuple[CanonRow, ...] = (
    CanonRow(0x00, "lift", ("func", _OPTS, _TYPE), None),
    CanonRow(0x01, "lower", ("func", _OPTS), None),
    CanonRow(0x02, "resource.new", (_TYPE,), "r", "i", ("rep",), leave=False),
    CanonRow(0x03, "resource.drop", (_TYPE,), "i", "", ("self",)),
    CanonRow(0x04, "resource.rep", (_TYPE,), "i", "r", ("self",), leave=False),
    CanonRow(0x24, "backpressure.inc", leave=False),
    CanonRow(0x25, "backpressure.dec", leave=False),
    CanonRow(0x09, "task.return", ("resultlist", _OPTS), None),
    CanonRow(0x05, "task.cancel"),
    CanonRow(0x0A, "context.get", ("core valtype", "slot"), "", "v", leave=False),
    CanonRow(0x0B, "context.set", ("core valtype", "slot"), "v", "", ("value",), leave=False),
    CanonRow(0x06, "subtask.cancel", (_FLAG,), "i", "i", ("subtask",)),
    CanonRow(0x0D, "subtask.drop", (), "i", "", ("subtask",)),
    CanonRow(0x0E, "stream.new", (_TYPE,), "", "I"),
    CanonRow(0x0F, "stream.read", (_TYPE, _OPTS), "ipp", "p", ("stream", "ptr", "count")),
    CanonRow(0x10, "stream.write", (_TYPE, _OPTS), "ipp", "p", ("stream", "ptr", "count")),
    CanonRow(0x11, "stream.cancel-read", (_TYPE, _FLAG), "i", "i", ("stream",)),
    CanonRow(0x12, "stream.cancel-write", (_TYPE, _FLAG), "i", "i", ("stream",)),
    CanonRow(0x13, "stream.drop-readable", (_TYPE,), "i", "", ("stream",)),
    CanonRow(0x14, "stream.drop-writable", (_TYPE,), "i", "", ("stream",)),
    CanonRow(0x15, "future.new", (_TYPE,), "", "I"),
    CanonRow(0x16, "future.read", (_TYPE, _OPTS), "ip", "i", ("future", "ptr")),
    CanonRow(0x17, "future.write", (_TYPE, _OPTS), "ip", "i", ("future", "ptr")),
    CanonRow(0x18, "future.cancel-read", (_TYPE, _FLAG), "i", "i", ("future",)),
    CanonRow(0x19, "future.cancel-write", (_TYPE, _FLAG), "i", "i", ("future",)),
    CanonRow(0x1A, "future.drop-readable", (_TYPE,), "i", "", ("future",)),
    CanonRow(0x1B, "future.drop-writable", (_TYPE,), "i", "", ("future",)),
    CanonRow(0x1C, "error-context.new", (_OPTS,), "pp", "i", ("ptr", "units")),
    CanonRow(0x1D, "error-context.debug-message", (_OPTS,), "ip", "", ("error-context", "ptr")),
    CanonRow(0x1E, "error-context.drop", (), "i", "", ("error-context",)),
    CanonRow(0x1F, "waitable-set.new", (), "", "i"),
    CanonRow(0x20, "waitable-set.wait", (_FLAG, "memory"), "ip", "i", ("set", "ptr")),
    CanonRow(0x21, "waitable-set.poll", (_FLAG, "memory"), "ip", "i", ("set", "ptr")),
    CanonRow(0x22, "waitable-set.drop", (), "i", "", ("set",)),
    CanonRow(0x23, "waitable.join", (), "ii", "", ("waitable", "set")),
    CanonRow(0x26, "thread.index", (), "", "i", leave=False),
    CanonRow(0x27, "thread.new-indirect", ("core type", "table"), None),
    CanonRow(0x28, "thread.resume-later", (), "i", "", ("thread",)),
    CanonRow(0x29, "thread.suspend", (_FLAG,), "", "i"),
    CanonRow(0x0C, "thread.yield", (_FLAG,), "", "i"),
    CanonRow(0x2A, "thread.suspend-then-resume", (_FLAG,), "i", "i", ("thread",)),
    CanonRow(0x2B, "thread.yield-then-resume", (_FLAG,), "i", "i", ("thread",)),
    CanonRow(0x2C, "thread.suspend-then-promote", (_FLAG,), "i", "i", ("thread",)),
    CanonRow(0x2D, "thread.yield-then-promote", (_FLAG,), "i", "i", ("thread",)),
    CanonRow(0x40, "thread.spawn-ref", ("shared", "core type"), None),
    CanonRow(0x41, "thread.spawn-indirect", ("shared", "core type", "table"), None),
    CanonRow(0x42, "thread.available-parallelism", ("shared",), None),
)

#: Those that read or write a buffer of the guest.
COPIES = ("stream.read", "stream.write", "future.read", "future.write")
#: Those that make or drop ends of streams and futures.
ENDS = (
    *("stream.new", "stream.drop-readable", "stream.drop-writable"),
    *("future.new", "future.drop-readable", "future.drop-writable"),
)

BY_OPCODE: dict[int, CanonRow] = {row.opcode: row for row in ROWS}
BY_OP: dict[str, CanonRow] = {row.op: row for row in ROWS}
