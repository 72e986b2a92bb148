"""Probe modules: one core module with a wrapper per observed canonical definition.

Imports: ``agent`` (its memory, functions and table), ``probe.m<i>`` the guest memories, ``emit`` of
``probe`` or of what the module is to be linked with, ``probe.now``, ``probe.f<k>`` the wrapped
functions, ``probe.r<k>`` their guests' ``realloc``, ``probe.t<k>`` their ``task.return`` and
``probe.d<k>.<i>`` the ``resource.drop`` of what they are given, where a script may need it,
``script`` the script unit.  Exports: ``w<k>``, with the type of ``f<k>``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from whamm_cm.agent.layout import Flush
from whamm_cm.emit.model import EventMode, ProbeOptions, Wrapper
from whamm_cm.emit.probe import PROBE, Probe
from whamm_cm.emit.wrapper import Body
from whamm_cm.errors import WeaveError
from whamm_cm.wasm.types import MemoryType


def build_probe(
    wrappers: Sequence[Wrapper],
    memories: Sequence[MemoryType],
    options: ProbeOptions,
    bind: bool = False,
    sink: str = PROBE,
    late: Mapping[int, int] | None = None,
    way: bool = False,
) -> bytes:
    """The module of these wrappers; with ``bind`` it puts its function for last words into the
    agent's table, and there it puts the wrappers which are ``late``, by number.  ``sink``: the
    module it imports ``emit`` from.  With ``way`` it exports ``flush`` (:class:`Flush` flags).

    Raises WeaveError when a wrapper's values need a memory it does not have, or when ``memories``
    are more than the host's features allow."""
    if not options.multi_memory and len(memories) > 1:
        raise WeaveError(
            f"a probe module without multi-memory reads one guest memory, not {len(memories)}"
        )
    probe = Probe(wrappers, memories, options, sink)
    funcs = [probe.module.func(w.signature.params, w.signature.results) for w in wrappers]
    for k, (wrapper, func) in enumerate(zip(wrappers, funcs, strict=True)):
        body = _body(wrapper)(
            probe, func, wrapper, probe.reallocs.get(k), probe.answers.get(k), probe.drops.get(k)
        )
        body.write(probe.targets[k], _run_events, _run_over)
        probe.module.export_func(f"w{k}", func.index)
        if wrapper.due_at:
            later = probe.module.func(("i32", "i32"))
            body = Body(probe, later, wrapper, None)
            body.over = _run_over
            assert body.tasks is not None, "only where tasks are known is something due"
            body.tasks.write_late()
            probe.module.elements(wrapper.due_at, [later.index], probe.table(1))
    if bind:
        probe.bind_last()
    flush = probe.flush() if way else None
    if flush is not None:
        probe.module.export_func("flush", flush)
    for k, slot in (late or {}).items():
        probe.module.elements(slot, [funcs[k].index], probe.table(slot + 1))
    return probe.module.encode()


def _body(wrapper: Wrapper) -> type[Body]:
    if wrapper.known is None:
        return Body
    from whamm_cm.emit.preview1 import WasiBody

    return WasiBody


def build_flush(options: ProbeOptions) -> bytes:
    """A module without wrappers, whose ``flush`` () reports and sends all that is buffered."""
    probe = Probe((), (), replace(options, timed=False, context="", sampling=None))
    flags = Flush.REPORT | Flush.PUSH | (Flush.EMPTY if options.push_empty else Flush.NONE)
    f, flush = probe.module.func(), probe.flush()
    assert flush is not None, "there is a way out"
    f.i32(int(flags))
    f.call(flush)
    probe.module.export_func("flush", f.index)
    return probe.module.encode()


def _run_events(body: Body, target: int) -> None:
    from whamm_cm.emit.events import Events  # with all that compiles scripts, which few have

    Events(body, target).write()


def _run_over(
    body: Body,
    mode: EventMode,
    entry: int | None,
    result: int | None = None,
    ptr: int | None = None,
) -> None:
    if not any(probe.mode == mode for probe in body.w.probes):
        return
    if body.w.role == "copy":
        from whamm_cm.emit.copy_events import CopyEvents

        assert result is not None, "it says what became of it"
        CopyEvents(body, result, entry, ptr).fire()
        return
    from whamm_cm.emit.over import OverEvents

    assert entry is not None, "a call that is over later has an entry"
    OverEvents(body, entry).fire(mode, result)
