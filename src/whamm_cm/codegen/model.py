"""What a probe module is built from: one ``Wrapper`` per canonical definition to observe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from whamm_cm.abi.flatten import CoreSig
from whamm_cm.agent.layout import Flush
from whamm_cm.wit.types import ValType

Kind = Literal[
    "lower",
    "lift",
    "callback",
    "resource.drop",
    "resource.new",
    "resource.rep",
    "task.return",
    "builtin",
]
Action = Literal["record", "count", "none"]
Encoding = Literal["utf8", "utf16", "latin1+utf16"]
Mode = Literal["none", "values", "headers"]


@dataclass(frozen=True, slots=True)
class GuestMemory:
    """The type of a memory named by some canon's options."""

    is64: bool = False
    shared: bool = False
    page_size_log2: int = 16


@dataclass(frozen=True, slots=True)
class Redact:
    """Which values stay in the guest.

    ``values``: every string and ``list<u8>``, but the first element of a ``tuple<string, X>``;
    ``headers``: X of each ``tuple<string, X>`` whose string is the name of a secret HTTP header.
    ``gate``: index of a string parameter; when it is such a name, the parameters after it and the
    result are redacted as by ``values``.
    """

    params: Mode = "none"
    result: Mode = "none"
    gate: int | None = None


@dataclass(frozen=True, slots=True)
class Wrapper:
    """One wrapped core function.

    ``signature`` is the core function's type, ``params`` and ``result`` its component-level types
    (core values as ``Prim`` for a built-in).  ``memory`` indexes the module's memories; it may be
    None only when no value lies in memory.  ``slot`` is the counter of a ``count`` action.  With
    ``may_flush`` off nothing ever leaves the instance from this wrapper.  ``flush_before``: how to
    flush right before the callee runs, None not to; ``flush_outside``: flush after a call that no
    export of the component is behind, as from a start function or a destructor.  ``relayed``: the
    return of this export need not push, for that of another component's export does.
    """

    site: int
    kind: Kind
    action: Action
    signature: CoreSig
    params: tuple[tuple[str, ValType], ...] = ()
    result: ValType | None = None
    is_async: bool = False
    callback: bool = False
    memory: int | None = None
    ptr: int = 4
    encoding: Encoding = "utf8"
    slot: int = 0
    redact: Redact | None = None
    flush_before: Flush | None = None
    may_flush: bool = True
    flush_outside: bool = False
    relayed: bool = False


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """Settings of a whole probe module.

    ``max_string`` counts bytes, ``max_list`` elements.  Counters 0..``count_n`` belong to sites
    ``count_base``.. and are reported by the final flush.  With ``interval_ns`` a timed record also
    sends what is buffered when that much time has passed since the last such sending.  Without
    ``emit`` nothing is ever sent; with ``chunked`` it is told a block's size in chunks
    (``agent.layout.CHUNK``), else in bytes.  ``push_empty``: others have sent records that wait
    for the return of this component's exports, so that return pushes even with nothing of its own.
    """

    timed: bool = False
    multi_memory: bool = True
    flush_each: bool = False
    emit: bool = True
    chunked: bool = False
    push_empty: bool = False
    max_string: int = 256
    max_list: int = 32
    interval_ns: int = 0
    count_base: int = 0
    count_n: int = 0
