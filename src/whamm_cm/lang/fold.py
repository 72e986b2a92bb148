"""Partial evaluation of probes: what a site's static facts decide is decided here.

A :class:`Folder` is made once per probe and asked once per site.  Values are Python's: int in the
range of the type, float, bool, str, tuples of them, and a dict for a static map.  Arithmetic is
that of :mod:`whamm_cm.lang.numbers`, so a folded program computes what the compiled one does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.lang import numbers
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.layout import MOST_BYTES, PLAIN
from whamm_cm.lang.strings import OPERATIONS, utf8
from whamm_cm.lang.walk import Node, children, walk

Values: TypeAlias = Mapping[str, Any]
EvaluateStatic: TypeAlias = Callable[[str, str, tuple[Any, ...]], Any]
"""(library, function, arguments) -> value, None for a function without result."""

Stmts: TypeAlias = tuple[t.Stmt, ...]


@dataclass(frozen=True, slots=True)
class Residual:
    """What is left of a probe at a site; ``predicate`` None: it always fires."""

    predicate: t.Expr | None
    body: Stmts


FACTS = frozenset({"memid", "app_memid", "active_data_start", "active_data_len", "page_size"})
"""Builtins that a module answers: ``values`` may hold a function of that name."""
OF_MODULES = ("module", "component")
"""Static variables that are the same in all of a core module, and always folded there."""
_NO_EFFECT = frozenset(
    {
        *OPERATIONS,
        *FACTS,
        "str.addr",
        "mem_size",
        "map.len",
        "map.has",
        "map.id",
        "task",
        "src.load",
        "src.text",
        "src.bytes",
        "src.label",
        "src.global",
    }
)


def pure(expr: Node) -> bool:
    """Can ``expr`` be dropped unseen?  Calls cannot; nothing in a script traps."""
    for node in walk(expr):
        if isinstance(node, t.Call | t.LibCall):
            return False
        if isinstance(node, t.Builtin) and node.name not in _NO_EFFECT:
            return False
    return True


class _Fold:
    """One run over a tree.  ``settled``: ids of nodes that no static fact can change."""

    __slots__ = ("evaluate", "settled", "tables", "values")

    def __init__(
        self, values: Values, evaluate: EvaluateStatic | None, settled: frozenset[int]
    ) -> None:
        self.values, self.evaluate, self.settled = values, evaluate, settled
        #: Local names of static maps.
        self.tables: dict[t.Variable, t.Expr] = {}

    def expr(self, node: t.Expr) -> t.Expr:
        if id(node) in self.settled:
            return node
        return _EXPRESSIONS[type(node)](self, node)

    def exprs(self, nodes: tuple[t.Expr, ...]) -> tuple[t.Expr, ...]:
        new = tuple(map(self.expr, nodes))
        return nodes if all(map(_same, nodes, new)) else new

    def stmts(self, nodes: Stmts) -> Stmts:
        out: list[t.Stmt] = []
        for node in nodes:
            if id(node) in self.settled:
                out.append(node)
            else:
                out.extend(_STATEMENTS[type(node)](self, node))
        return nodes if len(out) == len(nodes) and all(map(_same, nodes, out)) else tuple(out)


def _same(a: object, b: object) -> bool:
    return a is b


def _static(fold: _Fold, node: t.Static) -> t.Expr:
    value = fold.values.get(node.name)
    if value is None:
        return node
    return t.Const(node.type, numbers.normal(node.type, value), node.span)


def _unary(fold: _Fold, node: t.Unary) -> t.Expr:
    operand = fold.expr(node.operand)
    if type(operand) is t.Const:
        name = numbers.name_of(operand.type)
        value = numbers.unary(node.op, name, operand.value)  # type: ignore[arg-type]
        return t.Const(node.type, value, node.span)
    if node.op == "!" and type(operand) is t.Unary and operand.op == "!":
        return operand.operand
    return node if operand is node.operand else t.Unary(node.type, node.op, operand, node.span)


def _logic(node: t.Binary, left: t.Expr, right: t.Expr) -> t.Expr | None:
    """``neutral`` is the value that leaves the other side alone."""
    neutral = node.op == "&&"
    if type(left) is t.Const:
        return right if left.value is neutral else left
    if type(right) is t.Const:
        if right.value is neutral:
            return left
        if pure(left):
            return right
    return None


def _binary(fold: _Fold, node: t.Binary) -> t.Expr:
    left, right = fold.expr(node.left), fold.expr(node.right)
    if node.op in ("&&", "||"):
        decided = _logic(node, left, right)
        if decided is not None:
            return decided
    elif type(left) is t.Const and type(right) is t.Const:
        value: Any
        if left.type == vt.STR:
            value = (left.value == right.value) is (node.op == "==")
        else:
            name = numbers.name_of(left.type)
            value = numbers.binary(node.op, name, left.value, right.value)  # type: ignore[arg-type]
        return t.Const(node.type, value, node.span)
    if left is node.left and right is node.right:
        return node
    return t.Binary(node.type, node.op, left, right, node.span)


def _cast(fold: _Fold, node: t.Cast) -> t.Expr:
    operand = fold.expr(node.operand)
    if operand.type == node.type:
        return operand
    if type(operand) is t.Const:
        source, target = numbers.name_of(operand.type), numbers.name_of(node.type)
        value = numbers.cast(target, source, operand.value)  # type: ignore[arg-type]
        return t.Const(node.type, value, node.span)
    return node if operand is node.operand else t.Cast(node.type, operand, node.span)


def _ternary(fold: _Fold, node: t.Ternary) -> t.Expr:
    condition = fold.expr(node.condition)
    then, otherwise = fold.expr(node.then), fold.expr(node.otherwise)
    if type(condition) is t.Const:
        return then if condition.value else otherwise
    if condition is node.condition and then is node.then and otherwise is node.otherwise:
        return node
    return t.Ternary(node.type, condition, then, otherwise, node.span)


def _tuple_make(fold: _Fold, node: t.TupleMake) -> t.Expr:
    items = fold.exprs(node.items)
    if all(type(item) is t.Const for item in items):
        return t.Const(node.type, tuple(item.value for item in items), node.span)  # type: ignore[union-attr]
    return node if items is node.items else t.TupleMake(node.type, items, node.span)


def _tuple_get(fold: _Fold, node: t.TupleGet) -> t.Expr:
    operand = fold.expr(node.operand)
    if type(operand) is t.Const:
        value = operand.value[node.index]  # type: ignore[index]
        return t.Const(node.type, value, node.span)
    if type(operand) is t.TupleMake and all(map(pure, operand.items)):
        return operand.items[node.index]
    return (
        node if operand is node.operand else t.TupleGet(node.type, operand, node.index, node.span)
    )


def _map_get(fold: _Fold, node: t.MapGet) -> t.Expr:
    table, key = fold.expr(node.map), fold.expr(node.key)
    if type(table) is t.Const and type(key) is t.Const:
        found = table.value.get(key.value)  # type: ignore[attr-defined]
        value = numbers.zero(node.type) if found is None else numbers.normal(node.type, found)
        return t.Const(node.type, value, node.span)
    if table is node.map and key is node.key:
        return node
    return t.MapGet(node.type, table, key, node.span)


def _call(fold: _Fold, node: t.Call) -> t.Expr:
    args = fold.exprs(node.args)
    return node if args is node.args else t.Call(node.type, node.function, args, node.span)


def _lib_call(fold: _Fold, node: t.LibCall) -> t.Expr:
    args = fold.exprs(node.args)
    if node.annotation == "static" and fold.evaluate and all(type(a) is t.Const for a in args):
        given = tuple(a.value for a in args)  # type: ignore[union-attr]
        value = fold.evaluate(node.library, node.function, given)
        if node.type == vt.UNIT:
            return t.Const(vt.UNIT, (), node.span)
        return t.Const(node.type, numbers.normal(node.type, value), node.span)
    return node if args is node.args else replace(node, args=args)


def _builtin(fold: _Fold, node: t.Builtin) -> t.Expr:
    args = fold.exprs(node.args)
    operation = OPERATIONS.get(node.name)
    if node.name in FACTS:
        operation = fold.values.get(node.name)
    if operation is not None and all(type(a) is t.Const for a in args):
        with suppress(UnicodeDecodeError):  # a part of a character is for the guest
            value = numbers.normal(node.type, operation(*(a.value for a in args)))  # type: ignore[union-attr]
            return t.Const(node.type, value, node.span)
    return node if args is node.args else t.Builtin(node.type, node.name, args, node.span)


def _path(fold: _Fold, node: Any) -> t.Expr:
    operand = fold.expr(node.operand)
    return node if operand is node.operand else replace(node, operand=operand)  # type: ignore[no-any-return]


def _format(fold: _Fold, node: t.Format) -> t.Expr:
    parts = fold.exprs(node.parts)
    known = [text_of(part) for part in parts]
    if None not in known and len(utf8("".join(known))) <= MOST_BYTES:  # type: ignore[arg-type]
        return t.Const(vt.STR, "".join(known), node.span)  # type: ignore[arg-type]
    return node if parts is node.parts else t.Format(node.type, parts, node.span)


def text_of(part: t.Expr) -> str | None:
    """What a part of a text is, where that is known; floats are left to the guest."""
    layout, value = PLAIN, part
    if isinstance(part, t.Shown):
        layout, value = part.layout, part.operand
    if not isinstance(value, t.Const) or not isinstance(value.type, vt.Prim):
        return None
    if isinstance(value.value, bool) or value.type == vt.BOOL:
        return layout.text("true" if value.value else "false")
    if isinstance(value.value, str):
        return layout.text(value.value)
    if value.type.name not in numbers.INTS or not isinstance(value.value, int):
        return None
    return layout.integer(value.value, numbers.INTS[value.type.name].bits)


def _element(fold: _Fold, node: t.Element) -> t.Expr:
    operand, index = fold.expr(node.operand), fold.expr(node.index)
    if operand is node.operand and index is node.index:
        return node
    return t.Element(node.type, operand, index, node.span)


def _leaf(fold: _Fold, node: t.Expr) -> t.Expr:
    return node


def _var(fold: _Fold, node: t.Var) -> t.Expr:
    return fold.tables.get(node.variable, node)


_EXPRESSIONS: dict[type, Callable[[_Fold, Any], t.Expr]] = {
    t.Const: _leaf, t.WitConst: _leaf, t.Bound: _leaf, t.Var: _var, t.Static: _static,
    t.Unary: _unary, t.Binary: _binary, t.Cast: _cast, t.Ternary: _ternary,
    t.TupleMake: _tuple_make, t.TupleGet: _tuple_get, t.MapGet: _map_get,
    t.Call: _call, t.LibCall: _lib_call, t.Builtin: _builtin,
    t.Field: _path, t.Payload: _path, t.IsCase: _path, t.HasFlag: _path, t.Length: _path,
    t.Scalar: _path, t.Text: _path, t.Element: _element, t.Format: _format, t.Shown: _path,
}  # fmt: skip


# --- statements ----------------------------------------------------------------------------------


def _rebuild(node: Any, **new: Any) -> Stmts:
    changed = {name: value for name, value in new.items() if getattr(node, name) is not value}
    return (replace(node, **changed),) if changed else (node,)


def _place(fold: _Fold, target: t.Expr) -> t.Expr:
    """The target of an assignment: only the keys in it are values."""
    if type(target) is t.MapGet:
        place, key = _place(fold, target.map), fold.expr(target.key)
        if place is target.map and key is target.key:
            return target
        return t.MapGet(target.type, place, key, target.span)
    if type(target) is t.TupleGet:
        place = _place(fold, target.operand)
        if place is target.operand:
            return target
        return t.TupleGet(target.type, place, target.index, target.span)
    return target


def _is_table(variable: t.Variable) -> bool:
    """A local map is another name for a static one (``targets``)."""
    return variable.kind is t.Kind.LOCAL and isinstance(variable.type, vt.MapT)


def _declare(fold: _Fold, node: t.Declare) -> Stmts:
    if _is_table(node.variable) and node.init is not None:
        fold.tables[node.variable] = fold.expr(node.init)
        return ()
    return _rebuild(node, init=fold.expr(node.init)) if node.init is not None else (node,)


def _store(fold: _Fold, node: t.Assign | t.Update | t.Sample) -> Stmts:
    value = fold.expr(node.value)
    return _rebuild(node, target=_place(fold, node.target), value=value)


def _if(fold: _Fold, node: t.If) -> Stmts:
    condition = fold.expr(node.condition)
    if type(condition) is t.Const:
        return fold.stmts(node.then if condition.value else node.otherwise)
    then, otherwise = fold.stmts(node.then), fold.stmts(node.otherwise)
    if not then and not otherwise and pure(condition):
        return ()
    return _rebuild(node, condition=condition, then=then, otherwise=otherwise)


def _while(fold: _Fold, node: t.While) -> Stmts:
    condition = fold.expr(node.condition)
    if type(condition) is t.Const and not condition.value:
        return ()
    return _rebuild(node, condition=condition, body=fold.stmts(node.body))


def _for(fold: _Fold, node: t.For) -> Stmts:
    low, high = fold.expr(node.low), fold.expr(node.high)
    if type(low) is t.Const and type(high) is t.Const and low.value >= high.value:  # type: ignore[operator]
        return ()
    return _rebuild(node, low=low, high=high, body=fold.stmts(node.body))


def _entries(fold: _Fold, node: t.Entries) -> Stmts:
    return _rebuild(node, map=_place(fold, node.map), body=fold.stmts(node.body))


def _shrink(fold: _Fold, node: t.Delete | t.Clear) -> Stmts:
    return _rebuild(node, target=_place(fold, node.target))


def _draw(fold: _Fold, node: t.Draw) -> Stmts:
    limit = node.limit and fold.expr(node.limit)
    return _rebuild(node, target=_place(fold, node.target), limit=limit)


def _evaluate(fold: _Fold, node: t.Evaluate) -> Stmts:
    value = fold.expr(node.value)
    return () if type(value) is t.Const else _rebuild(node, value=value)


def _return(fold: _Fold, node: t.Return) -> Stmts:
    return _rebuild(node, value=fold.expr(node.value)) if node.value is not None else (node,)


def _print(fold: _Fold, node: t.Print) -> Stmts:
    return _rebuild(node, parts=fold.exprs(node.parts))


def _act(fold: _Fold, node: t.Act) -> Stmts:
    return _rebuild(node, args=fold.exprs(node.args))


_STATEMENTS: dict[type, Callable[[_Fold, Any], Stmts]] = {
    t.Declare: _declare, t.Assign: _store, t.Update: _store, t.Sample: _store, t.If: _if,
    t.While: _while, t.For: _for, t.Entries: _entries, t.Delete: _shrink, t.Clear: _shrink,
    t.Draw: _draw, t.Evaluate: _evaluate, t.Return: _return,
    **dict.fromkeys((t.Trace, t.Jump), lambda fold, node: (node,)),
    t.Print: _print, t.Act: _act,
}  # fmt: skip


# --- which facts decide --------------------------------------------------------------------------


def _settled(*nodes: Node) -> frozenset[int]:
    """Ids of the nodes below ``nodes`` that hold no static variable and no static call."""
    found: set[int] = set()

    def visit(node: Node) -> bool:
        calm = True
        for child in children(node):
            calm &= visit(child)
        if isinstance(node, t.Static) or _is_static(node) or _is_fact(node):
            calm = False
        if isinstance(node, t.Var | t.Declare) and _is_table(node.variable):
            calm = False
        if calm:
            found.add(id(node))
        return calm

    for node in nodes:
        visit(node)
    return frozenset(found)


def _is_static(node: Node) -> bool:
    return isinstance(node, t.LibCall) and node.annotation == "static"


def _is_fact(node: Node) -> bool:
    return isinstance(node, t.Builtin) and node.name in FACTS


def _decides(node: Node) -> tuple[Node, ...]:
    """The children of ``node`` whose value decides which code there is."""
    match node:
        case t.Unary(op="!") | t.Builtin() | t.Act():
            return tuple(children(node))
        case t.Binary() if node.op in ("&&", "||") or node.left.type == vt.STR:
            return (node.left, node.right)
        case t.Binary() if node.type == vt.BOOL:
            both = (node.left, node.right)
            return () if any(isinstance(n, t.Bound | t.Var) for n in walk(*both)) else both
        case t.If() | t.While() | t.Ternary():
            return (node.condition,)
        case t.For():
            return (node.low, node.high)
        case t.MapGet() if not isinstance(node.map, t.Var | t.MapGet | t.TupleGet):
            return (node.map,)
        case t.LibCall() if node.annotation:
            return node.args
    return ()


def _deciding(node: Node, decides: bool, found: set[str]) -> None:
    if isinstance(node, t.Static):
        if decides or isinstance(node.type, vt.MapT) or node.name in OF_MODULES:
            found.add(node.name)
        return
    if isinstance(node, t.Builtin) and node.name in FACTS:
        found.add(node.name)
    decisive = set(map(id, _decides(node)))
    for child in children(node):
        _deciding(child, decides or id(child) in decisive, found)


class Folder:
    """A probe made ready for many sites.

    ``relevant``: names of the static variables that decide conditions, string operations and
    ``@static`` calls, and of the facts (``FACTS``) it asks for.  Two sites that agree on them have
    the same residual as long as the others are left out of ``values``: those stay as ``Static``
    nodes.  ``calls_static``: an ``@static`` function may keep state, so such a probe is folded
    once per site.
    """

    __slots__ = ("_settled", "body", "calls_static", "predicate", "relevant")

    def __init__(self, predicate: t.Expr | None, body: Stmts) -> None:
        first = _Fold({}, None, frozenset())
        self.predicate = first.expr(predicate) if predicate is not None else None
        self.body = first.stmts(body)
        nodes = (*((self.predicate,) if self.predicate is not None else ()), *self.body)
        self._settled = _settled(*nodes)
        self.calls_static = any(map(_is_static, walk(*nodes)))
        found: set[str] = set()
        for node in nodes:
            _deciding(node, node is self.predicate, found)
        self.relevant = frozenset(found)

    def fold(self, values: Values, evaluate: EvaluateStatic | None = None) -> Residual | None:
        """None when the predicate is false; variables that ``values`` lacks stay."""
        run = _Fold(values, evaluate, self._settled)
        predicate = self.predicate
        if predicate is not None:
            predicate = run.expr(predicate)
            if type(predicate) is t.Const:
                if not predicate.value:
                    return None
                predicate = None
        return Residual(predicate, run.stmts(self.body))


@lru_cache(maxsize=4096)
def folder(probe: t.Probe) -> Folder:
    return Folder(probe.predicate, probe.body)


def fold(
    probe: t.Probe, statics: Values, evaluate_static: EvaluateStatic | None = None
) -> Residual | None:
    """What is left of ``probe`` at a site with these static facts; None: it never fires there."""
    return folder(probe).fold(statics, evaluate_static)


def relevant(probe: t.Probe) -> frozenset[str]:
    """See :class:`Folder`."""
    return folder(probe).relevant


def fold_expr(
    expr: t.Expr, statics: Values, evaluate_static: EvaluateStatic | None = None
) -> t.Expr:
    """One expression, such as the initialiser of a cell."""
    return _Fold(statics, evaluate_static, frozenset()).expr(expr)
