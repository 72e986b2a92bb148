"""Records out of a stream of bytes that is somebody else's stderr."""

from __future__ import annotations

import os
import select
from collections.abc import Callable

_MAX_LINE = 16 << 20
#: What records end in: JSON, its last piece, a packed slice.
_ENDS = (b"}", b"};", b".")


class LineSplitter:
    """Gives lines with ``mark`` on them to ``on_line``, from there on, and writes all other bytes
    to ``fd`` as they are.

    Hosts put their own prefix before a guest's line; it goes with the record.  So an unfinished
    line is held back until its end, or until :meth:`quiet` says that nothing more is coming soon.
    A host that lets one record through without a prefix has none: what stands before a record is
    the beginning of a line the guest has not ended, then, and stays.
    """

    def __init__(self, on_line: Callable[[bytes], None], fd: int, mark: bytes) -> None:
        self._on_line, self._fd, self._mark = on_line, fd, mark
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
            if line_start or not self._shown:
                self._before_record(block[line_start:at])
            self._record(block[at:end])
            start = end + 1
        self._text(block[start:])
        self._shown = False

    def _before_record(self, prefix: bytes) -> None:
        if not prefix:
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
        self._write(data)

    def quiet(self) -> None:
        """Shows an unfinished line (a prompt, a progress bar), unless it is a record."""
        if self._held and self._mark not in self._held:
            self._prefix = b""
            self._release()
            self._shown = True

    def finish(self) -> None:
        """The stream is over.  A record without a line break counts; a cut one is text."""
        at = self._held.find(self._mark)
        if at >= 0 and self._held.endswith(_ENDS):
            line = bytes(self._held)
            self._held.clear()
            self._before_record(line[:at])
            self._record(line[at:])
        self._release()

    def _release(self) -> None:
        data = bytes(self._held)
        self._held.clear()
        self._scanned = 0
        self._write(data)

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
