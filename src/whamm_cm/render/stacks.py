"""Stacks of calls by number: each is its last frame, on another stack."""

from __future__ import annotations

from typing import NamedTuple

from whamm_cm.trace.calls import Site
from whamm_cm.trace.session import Session


class Frame(NamedTuple):
    """What is called, and ``where``: the component that the name is used in, "" if it has none."""

    name: str
    where: str = ""


def frame_of(site: Site) -> Frame:
    """The frame of a function; its name says on which edge, unless that is an import."""
    kind = f"{site.edge} " if site.edge in ("export", "inner") else ""
    return Frame(kind + site.shown, site.component)


class Stacks:
    """Stack 0 has no frame; of all others ``top`` has the last frame and ``below`` the stack that
    it is on, which has a smaller number."""

    def __init__(self) -> None:
        self.top: list[Frame] = [Frame("")]
        self.below = [0]
        self._numbers: dict[tuple[int, Frame], int] = {}

    def node(self, below: int, frame: Frame) -> int:
        """The number of the stack that has ``frame`` on stack ``below``."""
        number = self._numbers.setdefault((below, frame), len(self.top))
        if number == len(self.top):
            self.top.append(frame)
            self.below.append(below)
        return number

    def frames(self, node: int) -> list[Frame]:
        """From the outermost on."""
        found = []
        while node:
            found.append(self.top[node])
            node = self.below[node]
        return found[::-1]

    def of_calls(self, session: Session) -> list[int]:
        """The stack of each call.  A caller may come behind whom it calls: blocks of different
        instances arrive in any order."""
        calls = session.calls
        found = [0] * len(calls)
        for index in range(len(calls)):
            path, at = [], index
            while not found[at]:
                path.append(at)
                parent = calls[at].parent
                if parent is None:
                    break
                at = parent
            below = found[at]
            for at in reversed(path):
                below = found[at] = self.node(below, frame_of(calls[at].site))
        return found
