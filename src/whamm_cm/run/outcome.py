"""How a run ended."""

from __future__ import annotations

import re

from whamm_cm.dataclass import dataclass

TRAP_STATUS = 134  # 128 + SIGABRT, what the wasmtime command reports for a trap
TIMEOUT_STATUS = 124  # what timeout(1) reports

_FRAME = re.compile(r"^ *\d+: +0x([0-9a-f]+) - (.*)$")
_CAUSE = re.compile(r"^ +(?:\d+: )?(.*)$")
_INDEX = re.compile(r"<wasm function (\d+)>")
_UNNAMED = ("<unknown>", "<wasm function ")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a guest's backtrace, innermost first.  ``offset`` is the byte offset in the
    component; names are None where the module has no name section, and then ``index`` is that of
    the function.

    In an adapter, which the engine makes where one component calls another, nothing has a name and
    the offset is one in the adapter.
    """

    module: str | None
    function: str | None
    offset: int
    index: int | None = None

    def __str__(self) -> str:
        function = self.function or ("?" if self.index is None else f"function[{self.index}]")
        return f"{self.module or '?'}!{function} (0x{self.offset:x})"


@dataclass(frozen=True, slots=True)
class Trap:
    """Why a guest was stopped: the root cause, what led to it, and where it was.  ``by_script``:
    it did not trap by itself."""

    message: str
    context: tuple[str, ...] = ()
    frames: tuple[Frame, ...] = ()
    by_script: bool = False

    def __str__(self) -> str:
        return f"{self.message} ({'; '.join(self.context)})" if self.context else self.message


@dataclass(frozen=True, slots=True)
class Outcome:
    """``status`` is what the command line exits with: the guest's own exit status, 1 when ``run``
    returned an error, 134 on a trap, 128 + the signal's number when ``interrupted``, 124 by a
    timeout.

    ``result`` is the WAVE text of what an invoked export returned and ``value`` the same as a
    Python value.  ``abandoned``: the guest sat in a host call that cannot be cut short and was left
    behind in its (daemon) thread; nothing it does reaches ``emit`` any more.  ``salvaged``: of a
    guest that trapped or was interrupted ``emit`` got all that was recorded; ``reported``: and all
    that scripts had counted.
    """

    status: int
    trap: Trap | None = None
    result: str | None = None
    value: object = None
    interrupted: bool = False
    abandoned: bool = False
    salvaged: bool = False
    reported: bool = False


def parse_trap(text: str) -> Trap:
    """Reads wasmtime's error text: a headline, a backtrace, and ``Caused by:`` with its causes."""
    head, _, tail = text.partition("\nCaused by:\n")
    frames = tuple(_frame(m) for m in map(_FRAME.match, head.splitlines()) if m is not None)
    lines = tail.split("\n\n", 1)[0].splitlines()
    causes = [m.group(1) for m in map(_CAUSE.match, lines) if m is not None and m.group(1)]
    if not frames:
        causes.insert(0, head.strip().split("\n", 1)[0])
    root = causes[-1] if causes else head.strip().split("\n", 1)[0]
    return Trap(root, tuple(causes[:-1]), frames)


def _frame(match: re.Match[str]) -> Frame:
    module, _, function = match.group(2).partition("!")
    index = _INDEX.fullmatch(function)
    return Frame(
        _named(module),
        _named(function),
        int(match.group(1), 16),
        None if index is None else int(index.group(1)),
    )


def _named(name: str) -> str | None:
    return None if not name or name.startswith(_UNNAMED) else name
