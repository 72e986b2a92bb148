"""What a chosen site gets for wrappers."""

from __future__ import annotations

from whamm_cm.abi.flatten import CoreSig
from whamm_cm.component import nodes as n
from whamm_cm.component.items import Item
from whamm_cm.emit.model import Wrapper
from whamm_cm.weave.plan import Chosen


def wrappers_of(
    choice: Chosen, memories: dict[Item, int], due_at: int
) -> list[tuple[Wrapper, Item]]:
    """The wrappers of one site with the core functions they wrap."""
    site = choice.site
    node = site.definition.node
    assert isinstance(node, n.Canon)
    wrapper = Wrapper(
        site=choice.number,
        kind=site.kind,
        action=choice.action,
        signature=site.signature,
        params=site.params,
        result=site.result,
        is_async=site.is_async,
        callback=site.callback is not None,
        memory=None if site.memory is None else memories[site.memory],
        ptr=site.ptr,
        encoding=site.encoding,
        slot=choice.slot,
        redact=choice.redact,
        flush_before=choice.flush_before,
        may_flush=site.leave,
        flush_outside=choice.flush_outside,
        relayed=choice.relayed,
        probes=choice.probes,
        realloc=site.realloc is not None,
        resources=site.resources,
        drops=tuple(one.resource for one in site.owned),
        role=choice.role,
        due_at=due_at,
        export=choice.export,
        answer=None if choice.answer is None else choice.answer.signature,
        later=choice.later,
        elements=site.elements,
        request=choice.request,
    )
    if site.kind != "lift":
        return [(wrapper, site.definition.item)]
    assert node.func is not None
    result = [(wrapper, node.func)]
    if site.callback is not None:
        result.append((_callback(choice), site.callback))
    return result


def _callback(choice: Chosen) -> Wrapper:
    """A callback records what it is told is over, and the end of its task."""
    return Wrapper(
        site=choice.number,
        kind="callback",
        action="none",
        signature=CoreSig(("i32", "i32", "i32"), ("i32",), False, False),
        relayed=choice.relayed,
        probes=choice.ending,
        role="callback" if choice.role else "",
    )
