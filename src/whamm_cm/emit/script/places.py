"""Loads and stores: variables, cells, map entries, and the key buffer of the maps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from whamm_cm.agent import layout
from whamm_cm.emit.script.arithmetic import to_i64
from whamm_cm.emit.script.body import Body
from whamm_cm.emit.script.env import Globals, Locals, Memory, Place
from whamm_cm.emit.script.types import (
    LEAF_SIZE,
    flat_range,
    flats,
    leaf_offset,
    leaves,
    size_of,
    string_mask,
)
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.numbers import INTS, name_of

Push = Callable[[], None]
_LOADS = {
    "i32": ("i32.load", "ld32"),
    "i64": ("i64.load", "ld64"),
    "f32": ("f32.load", "ldf32"),
    "f64": ("f64.load", "ldf64"),
}
_STORES = {
    "i32": ("i32.store", "st32"),
    "i64": ("i64.store", "st64"),
    "f32": ("f32.store", "stf32"),
    "f64": ("f64.store", "stf64"),
}


def member(place: Place, type: vt.Type, index: int) -> Place:
    """The place of member ``index`` of a tuple at ``place``."""
    match place:
        case Memory(base, offset):
            return Memory(base, offset + leaf_offset(type, index))
        case Locals(indices):
            return Locals(indices[flat_range(type, index)])
        case Globals(indices):
            return Globals(indices[flat_range(type, index)])


def _address(body: Body, place: Memory, offset: int) -> int:
    """Push the address; returns the offset for the instruction that follows."""
    f = body.f
    total = place.offset + offset
    if place.base is None:
        f.i32(total)
        return 0
    f.get(place.base)
    if body.env.memory is not None:
        return total
    if total:
        f.i32(total)
        f.op("i32.add")
    return 0


def _access(body: Body, names: tuple[str, str], offset: int) -> None:
    memory = body.env.memory
    if memory is None:
        body.run(names[1])
    else:
        body.f.memory_op(names[0], offset, memory)


def load(body: Body, place: Place, type: vt.Type) -> None:
    """Push the flats of the value at ``place``."""
    match place:
        case Locals(indices):
            for index in indices:
                body.f.get(index)
        case Globals(indices):
            for index in indices:
                body.f.global_get(index)
        case Memory():
            for i, leaf in enumerate(leaves(type)):
                for k, core in enumerate(flats(leaf)):
                    offset = _address(body, place, LEAF_SIZE * i + 4 * k)
                    _access(body, _LOADS[core], offset)


def store_stack(body: Body, place: Place, type: vt.Type) -> None:
    """Store the flats on the stack."""
    if isinstance(place, Memory):
        held = body.stash(type)
        store(body, place, type, [_getter(body, index) for index in held])
        body.give(type, held)
        return
    write = body.f.set if isinstance(place, Locals) else body.f.global_set
    for index in reversed(place.indices):
        write(index)


def _getter(body: Body, index: int) -> Push:
    return lambda: body.f.get(index)


def getters(body: Body, held: Sequence[int]) -> list[Push]:
    return [_getter(body, index) for index in held]


def store(body: Body, place: Memory, type: vt.Type, pushes: Sequence[Push]) -> None:
    """Store flats, each pushed by its function, to leaves in memory."""
    k = 0
    for i, leaf in enumerate(leaves(type)):
        if leaf == vt.STR:
            for half in (0, 1):
                offset = _address(body, place, LEAF_SIZE * i + 4 * half)
                pushes[k + half]()
                _access(body, _STORES["i32"], offset)
            k += 2
            continue
        offset = _address(body, place, LEAF_SIZE * i)
        pushes[k]()
        store_leaf(body, leaf, offset)
        k += 1


def store_leaf(body: Body, leaf: vt.Type, offset: int) -> None:
    """Stack: address, one scalar: stored as a whole leaf."""
    core = flats(leaf)[0]
    if core in ("i32", "f32"):
        to_i64(body.f, leaf)
        core = "i64"
    _access(body, _STORES[core], offset)


# --- maps ----------------------------------------------------------------------------------------


def fill_key(body: Body, key: t.Expr) -> None:
    """Write ``key`` to the key buffer.  Nothing else may use the buffer in between, so what could
    is evaluated to locals first."""
    buffer = Memory(None, layout.KEY)
    items = _items(key)
    kinds = leaves(key.type)
    if len(items) == len(kinds) and vt.STR not in kinds and all(map(body.quiet, items)):
        for i, item in enumerate(items):
            offset = _address(body, buffer, LEAF_SIZE * i)
            body.expr(item)
            _one_zero(body, item.type)
            store_leaf(body, item.type, offset)
        return
    held = body.stash_value(key)
    cores = [leaf for leaf in kinds for _ in flats(leaf)]
    store(
        body, buffer, key.type, [_key_part(body, *pair) for pair in zip(held, cores, strict=True)]
    )
    body.give(key.type, held)


def _key_part(body: Body, index: int, leaf: vt.Type) -> Push:
    def push() -> None:
        body.f.get(index)
        _one_zero(body, leaf)

    return push


def _one_zero(body: Body, leaf: vt.Type) -> None:
    """Keys are compared by their bits: -0.0 becomes 0.0, which equals it, and there is one NaN."""
    if leaf not in (vt.F32, vt.F64):
        return
    f = body.f
    core = flats(leaf)[0]
    value = body.pool.take(core)
    f.const(core, 0.0)
    f.op(f"{core}.add")
    f.tee(value)
    f.const(core, math.nan)
    f.get(value)
    f.get(value)
    f.op(f"{core}.eq", "select")
    body.pool.give((core,), (value,))


def _items(key: t.Expr) -> tuple[t.Expr, ...]:
    """``key`` in as many parts as can be told from its form."""
    if isinstance(key, t.TupleMake):
        parts = tuple(part for item in key.items for part in _items(item))
        return parts
    if isinstance(key, t.Const) and isinstance(key.type, vt.TupleT):
        values: tuple[object, ...] = key.value  # type: ignore[assignment]
        consts = map(t.Const, key.type.items, values)
        return tuple(part for const in consts for part in _items(const))
    if isinstance(key.type, vt.TupleT) and len(leaves(key.type)) == 1:
        return (t.TupleGet(key.type.items[0], key, 0),)
    return (key,)


def maker(type: vt.Type) -> str:
    """The runtime function that makes a map or an aggregation."""
    if isinstance(type, vt.MapT):
        return "map_new"
    return "lhist_new" if isinstance(type, vt.AggT) and type.bounds else "agg_new"


def make(body: Body, type: vt.Type) -> None:
    """Push the id of a new map or aggregation."""
    f = body.f
    if isinstance(type, vt.AggT):
        for bound in type.bounds:
            f.i64(bound)
        if not type.bounds:
            f.i32(layout.Agg[type.name.upper()])
        body.run(maker(type))
        return
    assert isinstance(type, vt.MapT)
    f.i32(len(leaves(type.key)))
    f.i32(string_mask(type.key))
    f.i32(size_of(type.value))
    body.run("map_new")


def handle(body: Body, node: t.Expr, create: bool) -> None:
    """Push the id of a map or aggregation; 0 when it is not made yet, unless ``create``."""
    if not isinstance(node, t.Var | t.TupleGet | t.MapGet) or not is_place(node):
        body.expr(node)
        return
    place, held = resolve(body, node, create)
    load(body, place, node.type)
    made = isinstance(node, t.Var) and node.variable.kind is t.Kind.GLOBAL
    if create and not made and not (isinstance(node, t.Var) and node.variable in body.params):
        f = body.f
        id_ = body.pool.take("i32")
        f.tee(id_)
        f.op("i32.eqz")
        with f.if_():
            make(body, node.type)
            f.set(id_)
            f.get(id_)
            store_stack(body, place, node.type)
        f.get(id_)
        body.pool.give(("i32",), (id_,))
    body.pool.give(("i32",) * len(held), held)


def is_place(node: t.Expr) -> bool:
    """Does ``node`` name something that can be assigned to?"""
    while isinstance(node, t.TupleGet | t.MapGet):
        node = node.operand if isinstance(node, t.TupleGet) else node.map
    return isinstance(node, t.Var | t.Bound)


def entry(body: Body, node: t.MapGet, create: bool) -> None:
    """Push the address of a map's value."""
    if create and by_integer(node):
        one_key(body, node)
        body.run("map_at_one")
        return
    handle(body, node.map, create)
    fill_key(body, node.key)
    body.run("map_at" if create else "map_get")


def by_integer(node: t.MapGet) -> bool:
    """Whether the map's keys are integers, which need not go through the buffer."""
    return isinstance(node.key.type, vt.Prim) and name_of(node.key.type) in INTS


def one_key(body: Body, node: t.MapGet) -> None:
    """Push the map and a key that is an integer, for an entry that is made if need be."""
    handle(body, node.map, create=True)
    body.expr(node.key)
    to_i64(body.f, node.key.type)


def resolve(body: Body, target: t.Expr, create: bool = True) -> tuple[Place, tuple[int, ...]]:
    """The place that ``target`` names, computing its address once; the i32 locals it holds."""
    match target:
        case t.Var(_, variable):
            return body.variable(variable), ()
        case t.Bound(_, name):
            return Locals(body.env.bound(name)[: len(flats(target.type))]), ()
        case t.TupleGet(_, operand, index):
            place, held = resolve(body, operand, create)
            return member(place, operand.type, index), held
        case t.MapGet():
            entry(body, target, create)
            address = body.pool.take("i32")
            body.f.set(address)
            return Memory(address), (address,)
    raise AssertionError(f"{type(target).__name__} is no place")


def keep_strings(body: Body, type: vt.Type, held: Sequence[int]) -> None:
    """Make what the string flats in locals point to last for ever."""
    k = 0
    for leaf in leaves(type):
        if leaf == vt.STR:
            body.f.get(held[k])
            body.f.get(held[k + 1])
            body.run("str_keep")
            body.f.set(held[k])
        k += len(flats(leaf))


def lasting(node: t.Expr) -> bool:
    """Do the strings in this value live for ever as they are?"""
    match node:
        case t.Const() | t.Static():
            return True
        case t.Var(_, variable):
            return variable.kind is not t.Kind.LOCAL
        case t.MapGet():
            return True
        case t.TupleMake(_, items):
            return all(map(lasting, items))
        case t.TupleGet(_, operand):
            return lasting(operand)
        case t.Ternary():
            return lasting(node.then) and lasting(node.otherwise)
    return vt.STR not in leaves(node.type)
