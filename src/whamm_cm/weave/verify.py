"""A small stand-in for a woven component, for validating it without compiling 18 MB of guest code.

The stand-in has our own modules whole and every other core module reduced to its type, so an
engine that accepts it accepts all the weave has done; the guest's code is untouched and was the
guest's toolchain's business.
"""

from __future__ import annotations

from dataclasses import replace

from whamm_cm.binary.encode import encode
from whamm_cm.errors import DecodeError
from whamm_cm.ir.component import Component, Definition
from whamm_cm.ir.core import CoreModule
from whamm_cm.ir.core_stub import stub_module

#: Modules up to this size are kept whole: cheaper to compile than to take apart.
_SMALL = 512


def skeleton(component: Component) -> bytes:
    """Encode ``component`` with the core modules of the input (not ours) as stubs."""
    return encode(_reduce(component))


def _reduce(component: Component) -> Component:
    return component.with_definitions(tuple(map(_definition, component.definitions)))


def _definition(definition: Definition) -> Definition:
    node = definition.node
    if isinstance(node, Component):
        return replace(definition, node=_reduce(node))
    if isinstance(node, CoreModule) and definition.group is not None and len(node.data) > _SMALL:
        try:
            return replace(definition, node=CoreModule(stub_module(node)))
        except DecodeError:
            return definition  # let the engine judge it whole
    return definition
