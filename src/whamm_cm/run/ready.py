"""Which of many sockets have something to say: each is told of once, until it is asked again."""

from __future__ import annotations

import select
from collections.abc import Iterable
from typing import Protocol


class Ready(Protocol):
    """May be told of sockets by any thread, while another waits."""

    def ask(self, fd: int) -> None:
        """Tell when there is something to read, or the other side has gone."""

    def forget(self, fd: int) -> None:
        """Nobody asks any more; the socket is still open."""

    def wait(self, seconds: float) -> Iterable[int]: ...

    def close(self) -> None: ...


class _Epoll:
    def __init__(self) -> None:
        self._poll = select.epoll()
        self._known: set[int] = set()

    def ask(self, fd: int) -> None:
        wanted = select.EPOLLIN | select.EPOLLONESHOT
        if fd in self._known:
            self._poll.modify(fd, wanted)
        else:
            self._known.add(fd)
            self._poll.register(fd, wanted)

    def forget(self, fd: int) -> None:
        if fd in self._known:
            self._known.discard(fd)
            self._poll.unregister(fd)

    def wait(self, seconds: float) -> Iterable[int]:
        return (fd for fd, _ in self._poll.poll(seconds))

    def close(self) -> None:
        self._poll.close()


class _Kqueue:
    def __init__(self) -> None:
        self._queue = select.kqueue()  # type: ignore[attr-defined,unused-ignore]

    def _change(self, fd: int, how: int) -> None:
        event = select.kevent(fd, select.KQ_FILTER_READ, how)  # type: ignore[attr-defined,unused-ignore]
        self._queue.control([event], 0)

    def ask(self, fd: int) -> None:
        self._change(fd, select.KQ_EV_ADD | select.KQ_EV_ONESHOT)  # type: ignore[attr-defined,unused-ignore]

    def forget(self, fd: int) -> None:
        """Told of once, and closed: it is known no more."""

    def wait(self, seconds: float) -> Iterable[int]:
        return (event.ident for event in self._queue.control(None, 256, seconds))

    def close(self) -> None:
        self._queue.close()


def ready() -> Ready:
    return _Epoll() if hasattr(select, "epoll") else _Kqueue()
