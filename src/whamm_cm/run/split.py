"""Records out of a stream of bytes that is somebody else's stderr."""

from __future__ import annotations

import os
import re
import select
from collections.abc import Callable

from whamm_cm.run.torn import Torn

_MAX_LINE = 16 << 20
#: What records end in: JSON, its last piece, a packed slice.
_ENDS = (b"}", b"};", b".")


class LineSplitter:
    """Gives lines with ``mark`` on them to ``on_line``, from there on, and writes all other bytes
    to ``fd`` as they are.

    Hosts put their own prefix before a guest's line; it goes with the record.  So an unfinished
    line is held back until its end, or until :meth:`quiet` says that nothing more is coming soon.
    A host that lets one record through without a prefix has none: what stands before a record is
    the beginning of a line the guest has not ended, then, and stays.  Prefixes known to be a
    host's are told apart from either, also where the host tears them off (:mod:`.torn`).
    """

    def __init__(self, on_line: Callable[[bytes], None], fd: int, mark: bytes) -> None:
        self._on_line, self._fd, self._mark = on_line, fd, mark
        self._run = re.compile(re.escape(mark) + rb"([0-9a-f]*)")
        self._torn = Torn(self._write)
        self._held = bytearray()
        self._scanned = 0  # bytes of _held known to hold no line break
        self._bare: bool | None = None  # whether records come without a prefix; None: not known
        self._prefix = b""  # of the line before, while that is not known
        self._shown = False  # the beginning of the line in _held was written already
        self._open = True

    def feed(self, data: bytes) -> None:
        self._held += data
        end = self._held.rfind(b"\n", self._scanned) + 1
        if end:
            block = bytes(self._held[:end])
            del self._held[:end]
            self._lines(block)
        self._scanned = len(self._held)
        if len(self._held) > _MAX_LINE:
            self._release()

    def _lines(self, block: bytes) -> None:
        """Whole lines; the text between two records is written in one piece."""
        start = 0
        while (at := block.find(self._mark, start)) >= 0:
            line_start = block.rfind(b"\n", start, at) + 1 or start
            end = block.index(b"\n", at)
            self._text(block[start:line_start])
            self._before_record(block[line_start:at], block[at:end], not line_start and self._shown)
            self._record(block[at:end])
            start = end + 1
        self._text(block[start:])
        self._shown = False

    def _before_record(self, prefix: bytes, record: bytes, shown: bool) -> None:
        """``shown``: the line's beginning was written already, and may have been a prefix."""
        found = self._run.match(record)
        prefix = self._torn.before_record(prefix, found[1] if found else b"", shown)
        if shown or self._torn.known:
            self._torn.text(prefix)
        elif not prefix:
            self._bare = True
            self._write(self._prefix)  # the line before was the guest's own after all
            self._prefix = b""
        elif self._bare:
            self._write(prefix)
        else:
            # The next line tells: a host's prefix stands before every line.
            self._prefix = prefix if self._bare is None else b""
            self._bare = False

    def _text(self, data: bytes) -> None:
        """Bytes without a record: the question of a prefix is settled."""
        if data:
            self._prefix = b""
            self._torn.text(data)

    def quiet(self) -> None:
        """Shows what is held back (a prompt, a progress bar), unless it is of a record."""
        self._torn.quiet()
        if self._held and self._mark not in self._held and not self._torn.only_prefix(self._held):
            self._prefix = b""
            self._release()
            self._shown = True

    def finish(self) -> None:
        """The stream is over.  A record without a line break counts; a cut one is text."""
        at = self._held.find(self._mark)
        if at >= 0 and self._held.endswith(_ENDS):
            line = bytes(self._held)
            self._held.clear()
            self._before_record(line[:at], line[at:], self._shown)
            self._record(line[at:])
        self._torn.quiet()
        if not self._torn.only_prefix(self._held):
            self._release()

    def _release(self) -> None:
        data = bytes(self._held)
        self._held.clear()
        self._scanned = 0
        self._torn.text(data)

    def _record(self, line: bytes) -> None:
        self._on_line(line.rstrip(b"\r"))

    def _write(self, data: bytes) -> None:
        """All of ``data``, at once; our own stderr going away must not stop the command."""
        while data and self._open:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                select.select([], [self._fd], [])
            except OSError:
                self._open = False
