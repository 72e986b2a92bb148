"""Backtraces for people: places in the file that was given, not in the woven copy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from whamm_cm.demangle.name import demangle
from whamm_cm.errors import DecodeError
from whamm_cm.render.safe import printable
from whamm_cm.wasm.module import CoreModule

if TYPE_CHECKING:
    from whamm_cm.analysis.dwarf import SourceLines
    from whamm_cm.cli.recorder import Recorder
    from whamm_cm.run.outcome import Frame, Trap
    from whamm_cm.weave.api import Woven
    from whamm_cm.weave.places import Place
    from whamm_cm.weave.plain import WovenModule

#: Bytes of DWARF that are read for a backtrace: more than a few megabytes take many seconds.
_MOST_DWARF = 8 << 20
#: Frames in a row that are shown as one.
_MANY = 4


def backtrace(
    frames: Sequence[Frame], woven: Woven | WovenModule, *, probes: bool
) -> Iterator[str]:
    """The frames as text, innermost first: module, function, offset, and ``file:line`` and inlined
    calls where the input has DWARF; those of the weave's own code if ``probes``.  One that comes
    many times in a row, as where the stack ran over, is shown once with its number."""
    for texts, same in groupby(_texts(frames, woven, probes)):
        times = sum(1 for _ in same)
        if times < _MANY:
            yield from texts * times
        else:
            yield from texts[:-1]
            yield f"{texts[-1]}, {times} times"


def show_trap(trap: Trap, woven: Woven | WovenModule, recorder: Recorder, verbose: bool) -> None:
    """Say on stderr why a guest trapped, where, and what it called last if that is not shown."""
    what = "" if trap.by_script else "the guest trapped: "
    print(f"whamm-cm: {what}{printable(str(trap))}", file=sys.stderr)
    for text in backtrace(trap.frames, woven, probes=verbose):
        print(f"    at {text}", file=sys.stderr)
    lines = recorder.last.lines() if recorder.last is not None else []
    if lines:
        print("whamm-cm: the last calls before it:", file=sys.stderr)
        sys.stderr.writelines(lines)


def _texts(
    frames: Sequence[Frame], woven: Woven | WovenModule, probes: bool
) -> Iterator[tuple[str, ...]]:
    find, lines = _finder(woven), _Lines()
    for frame in frames:
        place = find(frame)
        if place is None:
            yield (_unknown(frame),)
        elif not place.own:
            yield tuple(_original(frame, place, lines))
        elif probes:
            name = demangle(frame.function or "")
            yield (_line(place.module, name, frame.index, place.offset),)


def _original(frame: Frame, place: Place, lines: _Lines) -> Iterator[str]:
    """The function, and before it those that the compiler put in place of their calls."""
    found = lines.of(place)
    line = None if found is None else found.find(place.within)
    for call in () if found is None else found.inlined(place.within):
        yield _line(place.module, demangle(call.name), None, place.offset, line) + " (inlined)"
        line = (call.file, call.line) if call.line else None
    name = place.function or demangle(frame.function or "")
    yield _line(place.module, name, place.fid, place.offset, line)


def _line(
    module: str,
    function: str,
    index: int | None,
    offset: int,
    line: tuple[str, int] | None = None,
) -> str:
    function = function or ("?" if index is None else f"function[{index}]")
    source = "" if line is None else f" {printable(line[0])}:{line[1]}"
    return f"{printable(module) or '?'}!{printable(function)} (0x{offset:x}){source}"


def _unknown(frame: Frame) -> str:
    if frame.module is None and frame.function is None:
        return "an adapter between two components"
    return _line(frame.module or "", demangle(frame.function or ""), frame.index, frame.offset)


def _finder(woven: Woven | WovenModule) -> Callable[[Frame], Place | None]:
    from whamm_cm.weave.api import Woven
    from whamm_cm.weave.places import Place, Places, in_moved

    if isinstance(woven, Woven):
        places = Places.of(woven.component, woven.moved)
        return lambda frame: places.find(frame.offset, frame.index)
    module = CoreModule(woven.wasm)

    def find(frame: Frame) -> Place | None:
        moved = woven.moved
        place = None if moved is None else in_moved(moved, module, frame.offset)
        return place or Place("whamm-cm", frame.offset, True)

    return find


class _Lines:
    """Source lines, each module's DWARF read when a frame is in it."""

    def __init__(self) -> None:
        self._known: dict[int, SourceLines | None] = {}

    def of(self, place: Place) -> SourceLines | None:
        """Those of the place's module; None when nothing is known."""
        if place.core is None:
            return None
        key = id(place.core)
        if key not in self._known:
            self._known[key] = _source_lines(place.core)
        return self._known[key]


def _source_lines(module: CoreModule) -> SourceLines | None:
    from whamm_cm.analysis.dwarf import SourceLines

    try:
        sections = [s for s in module.custom_sections if s.name.startswith(".debug_")]
        if sum(section.end - section.start for section in sections) > _MOST_DWARF:
            return None
        return SourceLines.of(module)
    except DecodeError:
        return None
