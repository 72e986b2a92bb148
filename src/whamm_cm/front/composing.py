"""A recording and its application as one component that needs no host."""

from __future__ import annotations

import hashlib
from itertools import chain, count

from whamm_cm.abi.regions import Handled
from whamm_cm.component.decode import check_component, decode
from whamm_cm.component.encode import encode
from whamm_cm.component.ir import Component
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError, InternalError, RunError
from whamm_cm.run.engine import is_lack, validate_component, validate_module
from whamm_cm.trace.playing import Layout
from whamm_cm.trace.recorded import Lived, Recording
from whamm_cm.trace.recording import Signature, signatures
from whamm_cm.weave.provider.compose import Export, Life, compose, handed
from whamm_cm.weave.provider.wanted import Wanted
from whamm_cm.weave.verify import own_modules, skeleton
from whamm_cm.wit.model import FuncItem, InstanceItem, World
from whamm_cm.wit.resolve import resolve

#: Bytes of what a guest wrote that a composed component tells.
_MOST_TEXT = 1 << 24
#: Engines take 1000 core modules, and each instance has two of ours beside the application's.
MOST_INSTANCES = 400


@dataclass(frozen=True, slots=True)
class Composed:
    """``calls``: how many it makes and answers; ``left``: instances that are not in it, because
    nothing can be done behind one that traps; ``same``: of the build that was recorded; ``text``:
    what the guest wrote."""

    data: bytes
    calls: int
    left: int
    same: bool
    text: bytes


def composed(recording: Recording, data: bytes, name: str) -> Composed:
    """Raises InputError and RunError for what cannot be composed."""
    check_component(data, name)
    app = decode(data, name)
    world = resolve(app).world
    wanted = Wanted.of(world)
    called = _called(recording, world)
    exports = [_export(world, one) for one in called]
    lives = _in_turn(recording.lives)
    if len(lives) > MOST_INSTANCES:
        raise RunError(
            f"the recording has {len(lives)} instances, and a component takes {MOST_INSTANCES} of"
            " them: record fewer, or with a larger --reuse"
        )
    numbers = {function: number for number, function in enumerate(wanted.functions)}
    kinds = dict[Handled, int](chain(wanted.kinds.items(), wanted.ends.items()))
    imports = signatures("import", world.imports)
    layout = Layout(recording, imports, numbers, kinds, len(wanted.kinds))
    by_driver = dict[Handled, int](zip(handed(exports, wanted), count(), strict=False))
    laid = [layout.life(life, called, by_driver) for life in lives]
    parts = [Life(one.provider, one.driver) for one in laid]
    made = compose(app, wanted, exports, parts, _text(layout.text))
    _check(made, app, name)
    same = hashlib.sha256(data).hexdigest() == recording.sha256
    left = len(recording.lives) - len(lives)
    return Composed(encode(made), layout.calls, left, same, bytes(layout.text))


def _text(written: bytearray) -> bytes:
    """As much of it as is worth to be told, in UTF-8."""
    return bytes(written[:_MOST_TEXT]).decode("utf-8", "replace").encode()


def _check(made: Component, app: Component, name: str) -> None:
    """Raises InputError where it is the application that is refused."""
    fault = next(filter(None, map(validate_module, own_modules(made))), None)
    fault = fault or validate_component(skeleton(made))
    if fault is None:
        return
    original = validate_component(skeleton(app))
    if original is not None:
        raise InputError(f"{name} is not valid on this wasmtime: {original}")
    if is_lack(fault):
        raise RunError(f"{name} cannot be a part of another component: {fault}")
    raise InternalError(f"what was composed of {name} is not valid: {fault}; please report this")


def _in_turn(lives: list[Lived]) -> list[Lived]:
    """Those that return one after the other, and behind them one that does not."""
    returning = [life for life in lives if all(call.answer for call in life.entered)]
    return [*returning, *[life for life in lives if life not in returning][:1]]


def _called(recording: Recording, world: World) -> dict[str, Signature]:
    """The exports that were called, by name."""
    known = signatures("export", world.exports)
    found: dict[str, Signature] = {}
    for life in recording.lives:
        for call in life.entered:
            key = "export", call.record.get("interface", ""), call.record["func"]
            name = next((name for name, one in known.items() if one.key == key), None)
            if name is None:
                raise RunError(
                    f"the component has no export {key[1]}#{key[2]}, which was called then"
                )
            found[name] = known[name]
    return found


def _export(world: World, name: str) -> Export:
    for extern in world.exports:
        entity = extern.entity
        if isinstance(entity, FuncItem) and extern.name.name == name:
            return Export(extern, "", entity.type)
        if isinstance(entity, InstanceItem):
            for label, item in entity.exports.items():
                if isinstance(item, FuncItem) and f"{extern.name.name}#{label}" == name:
                    return Export(extern, label, item.type)
    raise AssertionError(f"{name} is an export")
