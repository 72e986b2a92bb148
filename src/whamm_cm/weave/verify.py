"""What to validate of a woven component, without compiling 18 MB of guest code.

The skeleton has every core module reduced to its type, and the modules of ours go beside it whole:
an engine that accepts both accepts all the weave has done.  The guest's code is untouched and was
the guest's toolchain's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from whamm_cm.component.encode import encode
from whamm_cm.component.ir import Component, Definition, walk
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.stub import stub_module

#: Modules up to this size are kept whole: cheaper to compile than to take apart.
_SMALL = 512


def skeleton(component: Component) -> bytes:
    """Encode ``component`` with stubs for core modules."""
    return encode(_reduce(component))


def own_modules(component: Component) -> Iterator[bytes]:
    """The core modules in ``component`` that are not the input's, one at a time: they are large."""
    for part in walk(component):
        for definition in part.definitions:
            if isinstance(definition.node, CoreModule) and definition.group is None:
                data: memoryview = definition.node.data
                if isinstance(data.obj, bytes) and len(data.obj) == len(data):
                    yield data.obj
                else:
                    yield bytes(data)


def _reduce(component: Component) -> Component:
    return component.with_definitions(tuple(map(_definition, component.definitions)))


def _definition(definition: Definition) -> Definition:
    node = definition.node
    if isinstance(node, Component):
        return replace(definition, node=_reduce(node))
    if isinstance(node, CoreModule) and len(node.data) > _SMALL:
        try:
            return replace(definition, node=CoreModule(stub_module(node)))
        except DecodeError:
            return definition  # let the engine judge it whole
    return definition
