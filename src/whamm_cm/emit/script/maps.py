"""Statements on maps and aggregations as a whole: delete, clear, loops through the entries."""

from __future__ import annotations

from whamm_cm.emit.script import places
from whamm_cm.emit.script.body import Body
from whamm_cm.emit.script.env import Memory
from whamm_cm.emit.script.loops import count_down, limited, round_
from whamm_cm.emit.script.places import load
from whamm_cm.emit.script.types import description, is_handle, leaves, size_of
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt


def describe(body: Body, type: vt.Type) -> None:
    """Push the address of the description of a value."""
    body.f.i32(body.env.string(description(type).decode("ascii"))[0])


def _describe_inner(body: Body, type: vt.MapT) -> None:
    """The description of a map's values where maps or aggregations are in them."""
    if any(map(is_handle, leaves(type.value))):
        describe(body, type.value)
    else:
        body.f.i32(0)


def delete(body: Body, node: t.Delete) -> None:
    table = node.target.map
    assert isinstance(table.type, vt.MapT)
    places.handle(body, table, create=False)
    places.fill_key(body, node.target.key)
    _describe_inner(body, table.type)
    body.run("map_delete")


def clear(body: Body, node: t.Clear) -> None:
    places.handle(body, node.target, create=False)
    if isinstance(node.target.type, vt.MapT):
        _describe_inner(body, node.target.type)
        body.run("map_clear")
    else:
        body.run("agg_clear")


def entries(body: Body, node: t.Entries) -> None:
    """The runtime keeps where the loop is, so that entries may come and go meanwhile."""
    f = body.f
    walk, entry = body.pool.take_all(("i32",) * 2)
    places.handle(body, node.map, create=False)
    body.run("loop_new")
    f.set(walk)
    body.walks.append(walk)
    with limited(body) as rounds, f.block() as done, f.loop() as again:
        f.get(walk)
        body.run("loop_next")
        f.tee(entry)
        f.op("i32.eqz")
        f.br_if(done)
        count_down(body, rounds, done)
        behind = 0
        for variable in (node.key, node.value):
            if variable is not None:
                load(body, Memory(entry, behind), variable.type)
                places.store_stack(body, body.variable(variable), variable.type)
                behind += size_of(variable.type)
        round_(body, node.body, (done, again))
    body.walks.pop()
    f.get(walk)
    body.run("loop_end")
    body.pool.give(("i32",) * 2, (walk, entry))


def draw(body: Body, node: t.Draw) -> None:
    """Evaluated first is what may print itself."""
    f, type_ = body.f, node.target.type
    limit = None if node.limit is None else body.stash_value(node.limit)
    id_ = body.pool.take("i32")
    places.handle(body, node.target, create=False)
    f.set(id_)
    f.i32(body.env.print_site(t.Print((), node.span)))
    f.get(id_)
    describe(body, type_)
    body.const(vt.STR, node.title)
    if limit is None:
        f.i32(-1)
    else:
        body.get_all(limit)
        body.give(vt.U32, limit)
    body.run("draw")
    body.pool.give(("i32",), (id_,))


def leave_loops(body: Body) -> None:
    """Before leaving the body from inside of loops."""
    for walk in body.walks:
        body.f.get(walk)
        body.run("loop_end")
