"""The way out as a module: ``drain`` sends what the agent has buffered.

Probe modules have such a loop of their own; this one is for what reports in between, the script
unit, and for plain core modules, which have no probe modules.
"""

from __future__ import annotations

from whamm_cm.agent.layout import CHUNK, OUT, Flush
from whamm_cm.wasm.asm import Module


def build_way(chunked: bool, emit: bool = True, sink: str = "way", context: str = "") -> bytes:
    """Imports ``agent`` (take, sent) and ``emit`` of ``sink``; exports ``drain`` () and ``flush``
    (flags, :class:`Flush`), which sends the last block with them.

    ``chunked``: ``emit`` is told sizes in chunks, else in bytes.  Without ``emit`` both do nothing.
    ``context``: the core type of slot 0 of the context, which ``sink`` has too and the export
    ``context`` reads; without, that is 0.
    """
    module = Module()
    getter = module.import_func(sink, "context.get", (), (context,)) if context else None
    if not emit:
        for name, params in (("drain", ()), ("flush", ("i32",))):
            module.export_func(name, module.func(params).index)
        _export_context(module, getter, context)
        return module.encode()
    take = module.import_func("agent", "take", ("i32",), ("i32",))
    sent = module.import_func("agent", "sent", ("i32",))
    way = module.import_func(sink, "emit", ("i32", "i32"), ("i32",))
    f = module.func(("i32",))
    size = f.local("i32")
    with f.block() as done, f.loop() as again:
        f.get(0)
        f.call(take)
        f.tee(size)
        f.op("i32.eqz")
        f.br_if(done)
        f.i32(OUT)
        f.get(size)
        if chunked:
            f.i32(CHUNK - 1)
            f.op("i32.add")
            f.i32(CHUNK.bit_length() - 1)
            f.op("i32.shr_u")
        f.call(way)
        f.call(sent)
        f.get(0)
        f.i32(int(~Flush.EMPTY))
        f.op("i32.and")
        f.set(0)
        f.br(again)
    module.export_func("flush", f.index)
    drain = module.func()
    drain.i32(int(Flush.NONE))
    drain.call(f.index)
    module.export_func("drain", drain.index)
    _export_context(module, getter, context)
    return module.encode()


def _export_context(module: Module, getter: int | None, kind: str) -> None:
    f = module.func((), ("i32",))
    if getter is None:
        f.i32(0)
    else:
        f.call(getter)
        if kind == "i64":
            f.op("i32.wrap_i64")
    module.export_func("context", f.index)
