"""``use whamm_core;``: the calls that the script runtime answers itself."""

from __future__ import annotations

from whamm_cm.agent import layout
from whamm_cm.emit.script.arithmetic import to_i64
from whamm_cm.emit.script.body import Body
from whamm_cm.emit.script.types import description, flats
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.numbers import INTS, name_of

NAME = "whamm_core"
_MEMORY = {"mem_alloc": "alloc", "mem_free": "free"}
_OTHER_PUTS = {"putc": "print_char", "putf32": "print_exp32", "putf64": "print_exp64"}
_MAPS = ("print_map", "print_map_as_csv")
#: Functions that print one value: the type it is printed as.
_PUTS: dict[str, vt.Type] = {
    f"put{name}": vt.Prim(name) for name in (*INTS, "f32", "f64")
}  # fmt: skip


def answers(node: t.LibCall) -> bool:
    """Is this a call that :func:`call` compiles?"""
    known = node.function in (*_MEMORY, *_PUTS, *_MAPS, "puts", "putc")
    return node.library == NAME and known


def call(body: Body, node: t.LibCall) -> None:
    """Text goes out as it is, without a line end (``PRINT`` records with the flag ``RAW``)."""
    if node.function in _MEMORY:
        body.expr(node.args[0])
        body.run(_MEMORY[node.function])
        return
    if node.function == "puts":
        body.f.i32(body.env.print_site(node))
        for arg in node.args:
            body.expr(arg)
        body.run("raw_print")
        return
    if node.function in _MAPS:
        _print_one_of(body, node)
        return
    held = body.stash_value(node.args[0])
    body.f.i32(body.env.print_site(node))
    body.run("print_begin")
    body.get_all(held)
    body.give(node.args[0].type, held)
    if node.function in _OTHER_PUTS:
        body.run(_OTHER_PUTS[node.function])
    else:
        print_scalar(body, _PUTS[node.function])
    body.run("print_end_raw")


def print_scalar(body: Body, type: vt.Type) -> None:
    """Print the one flat on the stack; a funcref as whether it is null."""
    if isinstance(type, vt.AggT):
        body.f.i32(layout.Agg[type.name.upper()])
        body.run("print_agg")
        return
    name = name_of(type)
    if name in ("f32", "f64", "bool"):
        body.run(f"print_{name}")
    elif name == "funcref":
        body.f.ref_is_null()
        body.run("print_bool")
    else:
        to_i64(body.f, type)
        kind = INTS.get(name)
        body.run("print_i64" if kind and kind.signed else "print_u64")


# --- maps ----------------------------------------------------------------------------------------


def _print_one_of(body: Body, node: t.LibCall) -> None:
    """``print_map``: arguments are the map, or a number and the global maps in their order."""
    f = body.f
    first, *maps = node.args
    if not maps:
        _print_map(body, node, first, None)
        return
    number = body.stash_value(first)
    for position, named in enumerate(maps):
        f.get(number[0])
        f.i32(position)
        f.op("i32.eq")
        with f.if_():
            _print_map(body, node, named, position)
    body.give(first.type, number)


def _print_map(body: Body, node: t.LibCall, named: t.Expr, number: int | None) -> None:
    """``named`` is ``map.id`` of a map."""
    assert isinstance(named, t.Builtin)
    table = named.args[0]
    assert isinstance(table.type, vt.MapT)
    f, rows = body.f, node.function == "print_map_as_csv"
    id_ = body.pool.take("i32")
    body.expr(table)
    f.set(id_)
    if rows:
        _print_head(body, node, table.type, id_, number if number is not None else _number(named))
    f.i32(body.env.print_site(node))
    f.get(id_)
    for part in (table.type.key, table.type.value):
        f.i32(body.env.string(description(part).decode("ascii"))[0])
    f.i32(rows)
    body.run("print_map")
    body.pool.give(("i32",), (id_,))


def _number(named: t.Builtin) -> int | None:
    """The number of a global map, as the checker has put it there."""
    found = named.args[1] if len(named.args) > 1 else None
    return found.value if isinstance(found, t.Const) else None  # type: ignore[return-value]


def _print_head(body: Body, node: t.LibCall, type: vt.MapT, id_: int, number: int | None) -> None:
    """The lines above the rows; an empty map with tuples for keys has no line of types."""
    f, site = body.f, body.env.print_site(node)
    f.i32(site)
    body.run("print_begin")
    _text(body, "== map")
    if number is None:
        f.get(id_)
        f.op("i64.extend_i32_u")
        body.run("print_u64")
    else:
        _text(body, str(number))
    _text(body, " CSV FLUSH ==\n")
    types = f"key ({_core_name(type.key)}), val ({_core_name(type.value)})\n"
    if isinstance(type.key, vt.TupleT):
        f.get(id_)
        body.run("map_size")
        with f.if_():
            _text(body, types)
    else:
        _text(body, types)
    body.run("print_end_raw")


def _text(body: Body, text: str) -> None:
    for number in body.env.string(text):
        body.f.i32(number)
    body.run("print_str")


def _core_name(type: vt.Type) -> str:
    """A type as whamm_core names it: integers by their core type, ``(i32,bool)``."""
    if isinstance(type, vt.TupleT):
        return f"({','.join(map(_core_name, type.items))})"
    if type in (vt.BOOL, vt.STR) or not isinstance(type, vt.Prim):
        return str(type)
    return flats(type)[0]
