"""Numbers of asynchronous built-ins, as ``pack_copy_result`` and ``canon_lower`` make them."""

from __future__ import annotations

import pytest

from tests.trace.records import Log
from whamm_cm.render import strace
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.packed import argument_text, pending_text, result_text


@pytest.mark.parametrize(
    ("func", "value", "text"),
    [
        ("stream.read", 0xFFFFFFFF, "blocked"),
        ("stream.read", 0xFFFFFFFFFFFFFFFF, "blocked"),  # with a memory of 64 bits
        ("stream.read", 12 << 4, "12, completed"),
        ("stream.write", 3 << 4 | 1, "3, dropped"),
        ("stream.cancel-read", 2, "0, cancelled"),
        ("future.read", 0, "completed"),
        ("future.write", 1, "dropped"),
        ("stream.new", 4 << 32 | 3, "(readable#3, writable#4)"),
        ("future.new", 17179869187, "(readable#3, writable#4)"),
        ("subtask.cancel", 4, "cancelled before it returned"),
        ("subtask.cancel", 0xFFFFFFFF, "blocked"),
        ("waitable-set.wait", 2, "stream-read"),
        ("waitable-set.poll", 0, "none"),
        ("waitable-set.new", 4, None),
        ("context.get", 1114112, None),
        ("stream.drop-readable", None, None),
    ],
)
def test_what_a_builtin_returned(func, value, text):
    assert result_text(func, value) == text


def test_what_waits():
    assert pending_text("import", 3 << 4) == "pending(starting, subtask#3)"
    assert pending_text("import", 3 << 4 | 1) == "pending(started, subtask#3)"
    assert pending_text("export", 5 << 4 | 2) == "pending(wait, waitable-set#5)"
    assert pending_text("builtin", 0xFFFFFFFF) == "blocked"
    assert pending_text("import", None) == "pending"


def test_addresses_are_addresses():
    assert argument_text("ptr", 1087200) == "0x1096e0"
    assert argument_text("count", 1) is None


def test_in_the_log():
    log = Log()
    call = log.enter("stream.read", edge="builtin", args={"stream": 2, "ptr": 16, "count": 1})
    log.leave("stream.read", call, result=1 << 4)
    text = "".join(strace.render(log, RenderOptions()))
    assert text == "stream#2.read(1) = 1, completed\n"
