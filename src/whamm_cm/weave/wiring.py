"""What a sink is told, and what it is given of the outside world."""

from __future__ import annotations

from whamm_cm.agent.layout import HEAP_BASE, SETTINGS
from whamm_cm.component.items import Item
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InternalError
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.interface import Interface


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """What a sink is told when it is woven in.  ``timed``: it may read clocks; ``mark`` as in
    ``Plan``; ``sampled``: its start says of how many requests records are made;
    ``context``: the function of ``wasi:otel`` to ask for the host's span."""

    table: bytes
    nonce: str = ""
    json: bool = False
    timed: bool = False
    mark: int | None = None
    show_secrets: bool = False
    sampled: bool = False
    context: str = ""

    def module(self, name: str) -> str:
        """The file with the code of the sink of that name.  What reads packed lines knows the site
        table, and who reads those in JSON does not."""
        return f"sink-{name}-sampled.wasm" if self.sampled and self.json else f"sink-{name}.wasm"

    def image(self, near: bool = False) -> bytes:
        """Settings and site table as they lie in the sink's memory."""
        settings = SETTINGS.pack(self.nonce.encode(), self.json, self.show_secrets, near)
        return settings + self.table

    @property
    def stubs(self) -> tuple[str, ...]:
        """Clocks that are not to be read."""
        return () if self.timed else ("wall", "now")


@dataclass(frozen=True, slots=True)
class SinkWiring:
    """What the root must have for the sink: imports, and the arguments made of them; with
    ``wants_now`` the monotonic clock as ``now``, too.  ``wasm``: the sink's module."""

    imports: tuple[Interface, ...]
    args: tuple[tuple[str, Item], ...]
    wasm: str
    options: SinkOptions
    wants_now: bool = False


def heap_base(module: CoreModule) -> int:
    """The constant value of the sink's exported ``__heap_base``."""
    export = module.export(HEAP_BASE)
    if export is None or export.kind != "global":
        raise InternalError(f"the sink module does not export {HEAP_BASE}")
    expression = bytes(module.globals[export.index].init)
    value = shift = 0
    for byte in expression[1:-1]:  # i32.const … end
        value |= (byte & 0x7F) << shift
        shift += 7
    return value
