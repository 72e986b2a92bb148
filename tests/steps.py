"""How much work something is, counted, so that a busy machine makes no difference."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

#: Seconds after which something is taken to be without end.
ENDLESS = 60


def steps(work: Callable[[], object]) -> int:
    """The calls of functions, ours and built in ones, that ``work`` makes."""
    count = 0

    def seen(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def growth(work: Callable[[int], object], size: int) -> float:
    """How many times the steps of ``work(size)`` those of ``work(2 * size)`` are: 2 for what is
    linear, 4 for what is quadratic.  What is done once is taken out by a run before."""
    work(2)
    return steps(lambda: work(2 * size)) / steps(lambda: work(size))


@contextmanager
def no_endless_loop() -> Iterator[None]:
    """Fails after a minute: for code that could only be stopped, such as a regular expression."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"not done after {ENDLESS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(ENDLESS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
