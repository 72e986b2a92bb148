"""The node of the typed tree that paths into the program's source are made of."""

from __future__ import annotations

from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.lang.valtypes import Type


@dataclass(frozen=True, slots=True)
class Src:
    """A value of the program's source (``type`` is a SrcT): ``place`` as ``lang.src_places`` has
    it, and ``when`` there is one (an expression; None: always).  No checked body holds any.
    ``span`` as other nodes have it."""

    type: Type
    place: object
    when: Any = None
    span: Any = None
