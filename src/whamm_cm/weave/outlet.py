"""The way out of a component: what its records leave by."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from whamm_cm.component.ir import Definition
from whamm_cm.component.items import Item
from whamm_cm.dataclass import dataclass
from whamm_cm.weave.interface import Interface
from whamm_cm.weave.near import NearSink
from whamm_cm.weave.sampling import Ways

#: What the parameter of ``emit`` is.  To a component: a list of 32-byte chunks (four u64), for the
#: adapters between components copy element by element, which costs a ``list<u8>`` more than all
#: else a record costs.  To the host: a string, which most hosts' bindings move much faster.
Block = Literal["chunks", "string"]
#: In latin1+utf16 a string without the tag bit in its length has one character per byte, so the
#: block itself is the string (its length stays far below that bit).
BLOCK_ENCODING: dict[Block, str] = {"chunks": "utf8", "string": "latin1+utf16"}


@dataclass(slots=True)
class Supply:
    """Where a component gets its way out: definitions to put first, imports that are new or
    replace one of its own and come before all else that is ours, and the component functions
    ``emit``, ``now`` and ``wall``, or instead of the first a sink that is ``near``.  ``block`` is
    what ``emit`` takes a block as.  ``libraries``: functions of libraries that are components, by
    library and script name.  ``sampling``: what is to be had where requests are sampled.
    """

    front: list[Definition] = field(default_factory=list)
    imports: tuple[Interface, ...] = ()
    emit: Item | None = None
    near: NearSink | None = None
    block: Block = "chunks"
    now: Item | None = None
    wall: Item | None = None
    libraries: dict[str, dict[str, Item]] = field(default_factory=dict)
    sampling: Ways = Ways({})
