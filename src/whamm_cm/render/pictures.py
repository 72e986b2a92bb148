"""Which picture ``-f svg`` draws of a log: one file and one row per picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath
from typing import TypeAlias

from whamm_cm.errors import UsageError, nearest
from whamm_cm.render import flame_svg, timeline_svg, topology_svg
from whamm_cm.render.options import RenderOptions
from whamm_cm.trace.records import Record

_Render: TypeAlias = Callable[[Iterable[Record], RenderOptions], Iterator[str]]

#: The first is drawn where nothing says which.
PICTURES: dict[str, _Render] = {
    "flame": flame_svg.render,
    "timeline": timeline_svg.render,
    "topology": topology_svg.render,
}


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    return PICTURES[options.picture or next(iter(PICTURES))](records, options)


def picture_of(wish: str | None, path: str | PurePath | None) -> str:
    """The picture that is wished for, or that the end of a file's name says (``topology.svg``,
    ``run.topology.svg``); "" for neither.  Raises UsageError for one that does not exist."""
    if wish is not None and wish not in PICTURES:
        near = nearest(wish, PICTURES)
        hint = f'did you mean "{near}"?' if near else "known: " + ", ".join(PICTURES)
        raise UsageError(f'unknown picture "{wish}"; {hint}')
    if wish is not None or path is None:
        return wish or ""
    name = PurePath(path).name.lower()
    return next((each for each in PICTURES if name.endswith(f"{each}.svg")), "")
