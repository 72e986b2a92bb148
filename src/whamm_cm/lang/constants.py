"""Constants of WIT types, and what an ``alt`` probe answers with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from whamm_cm.lang import syntax as s
from whamm_cm.lang.body import Body
from whamm_cm.lang.paths import find_label
from whamm_cm.lang.source import listed, suggest
from whamm_cm.lang.tree import Act, Const, Return, Stmt, WitConst
from whamm_cm.lang.types import INTEGERS, wrap
from whamm_cm.lang.valtypes import I32, U32, WitT
from whamm_cm.lang.wit_values import PRIMS, cases_of, scalar_type
from whamm_cm.wit import types as w

# --- answers -------------------------------------------------------------------------------------


def wit_return(body: Body, node: s.Leave) -> Stmt:
    """``return;`` ends the probe; ``return value;`` answers the call in an ``alt`` probe."""
    assert body.wit is not None
    span, result = body.span(node), body.wit.site.type.result
    if node.value is None:
        if body.mode == "alt" and result is not None:
            raise body.error(node, "the caller waits for a result", "return a value, or proceed();")
        return Return(None, span)
    if body.mode != "alt":
        raise body.error(node, "only an alt probe answers a call", "write the rule with :alt")
    if result is None:
        raise body.error(node, f"{body.wit.site.func} has no result", "write return;")
    scalar = scalar_type(result)
    if scalar is not None and not _is_constant(node.value, result):
        return Return(body.typed(node.value, scalar, "the result"), span)
    return Return(WitConst(WitT(result), constant(body, node.value, result), span), span)


def _is_constant(node: s.ExprSyntax, type_: w.ValType) -> bool:
    if isinstance(node, s.Number | s.String | s.Parameter | s.Record | s.ListOf):
        return True
    if isinstance(w.strip(type_), w.EnumT | w.FlagsT):
        return True
    return isinstance(node, s.Name) and node.name in ("true", "false")


def act_of_wit(body: Body, call: s.Invoke) -> Stmt:
    """``proceed();``, ``fail("case");`` and ``delay(ms);``"""
    assert body.wit is not None
    span = body.span(call)
    if call.name == "delay":
        return Act("delay", (body.typed(call.args[0], U32, "the delay"),), span)
    if body.mode != "alt":
        raise body.error(call, f"{call.name} belongs in an alt probe", "write the rule with :alt")
    if call.name == "proceed":
        return Act("proceed", (), span)
    return Act("fail", (Const(I32, _error_case(body, call), span),), span)


def _error_case(body: Body, call: s.Invoke) -> int:
    assert body.wit is not None
    (arg,) = call.args
    if isinstance(arg, s.Parameter):
        arg = body.string(arg)
    if not isinstance(arg, s.String):
        raise body.error(
            arg, "the error case must be a text", 'write for instance fail("timeout");'
        )
    function = body.wit.site.func
    result = body.wit.site.type.result
    stripped = w.strip(result) if result is not None else None
    if not isinstance(stripped, w.ResultT):
        raise body.error(call, f"{function} cannot fail: its result has no error",
                         "answer with return value;")  # fmt: skip
    cases = cases_of(stripped.err) if stripped.err is not None else ()
    if not cases or not isinstance(w.strip(stripped.err), w.EnumT | w.VariantT):  # type: ignore[arg-type]
        raise body.error(call, f"the error of {function} has no cases", "write return err(…);")
    labels = [label for label, _ in cases]
    position = find_label(labels, arg.value)
    if position is None:
        hint = suggest(arg.value, labels) or f"there are {listed(labels)}"
        raise body.error(arg, f'the error of {function} has no case "{arg.value}"', hint)
    if cases[position][1] is not None:
        raise body.error(arg, f'the case "{arg.value}" carries a value',
                         f"write return err({arg.value}(…));")  # fmt: skip
    return position


# --- constants -----------------------------------------------------------------------------------


def constant(body: Body, node: s.ExprSyntax, type_: w.ValType) -> Any:
    """The value of a constant, in the shapes of ``abi.values``."""
    stripped = w.strip(type_)
    if isinstance(node, s.Parameter):
        number = isinstance(stripped, w.Prim) and stripped.name not in ("string", "char")
        node = body.literal(node) if number else body.string(node)
    return _MAKERS[type(stripped)](body, node, stripped)


def _wrong(body: Body, node: s.ExprSyntax, what: str, example: str) -> Exception:
    return body.error(node, f"a constant {what} is wanted here", f"write for instance {example}")


def _prim(body: Body, node: s.ExprSyntax, type_: w.Prim) -> Any:
    if type_.name == "bool":
        if isinstance(node, s.Name) and node.name in ("true", "false"):
            return node.name == "true"
        raise _wrong(body, node, "bool", "true")
    if type_.name in ("string", "char"):
        if not isinstance(node, s.String):
            raise _wrong(body, node, type_.name, '"a"')
        if type_.name == "char" and len(node.value) != 1:
            raise body.error(node, "a char is one character")
        return node.value
    if type_.name == "error-context":
        raise body.error(node, "there are no constants of type error-context")
    return _number(body, node, type_)


def _number(body: Body, node: s.ExprSyntax, type_: w.Prim) -> int | float:
    script = PRIMS[type_.name]
    if script not in INTEGERS:
        if isinstance(node, s.Number):
            return float(node.value)
        if isinstance(node, s.Name) and node.name.lower() in ("inf", "nan"):
            return float(node.name.lower())
        raise _wrong(body, node, type_.name, "1.5")
    if not isinstance(node, s.Number) or isinstance(node.value, float):
        raise _wrong(body, node, type_.name, "7")
    if wrap(node.value, script) != node.value:
        raise body.error(node, f"{node.value} does not fit a {type_.name}")
    return node.value


def _list(body: Body, node: s.ExprSyntax, type_: w.ListT) -> Any:
    element = w.strip(type_.element)
    is_bytes = isinstance(element, w.Prim) and element.name == "u8"
    if is_bytes and isinstance(node, s.String):
        values: list[Any] = list(node.value.encode())
    elif isinstance(node, s.ListOf):
        values = [constant(body, item, type_.element) for item in node.items]
    else:
        raise _wrong(body, node, "list", '"bytes"' if is_bytes else "[…]")
    if type_.length is not None and len(values) != type_.length:
        raise body.error(node, f"the list has {len(values)} elements instead of {type_.length}")
    return bytes(values) if is_bytes and type_.length is None else values


def _map(body: Body, node: s.ExprSyntax, type_: w.MapT) -> Any:
    if not isinstance(node, s.ListOf):
        raise _wrong(body, node, "map", "[(key, value), …]")
    pair = w.TupleT((type_.key, type_.value))
    return [constant(body, item, pair) for item in node.items]


def _tuple(body: Body, node: s.ExprSyntax, type_: w.TupleT) -> Any:
    items = node.items if isinstance(node, s.Tuple) else (node,)
    if len(items) != len(type_.types):
        raise body.error(node, f"a tuple of {len(type_.types)} is wanted here, not of {len(items)}")
    return [constant(body, item, part) for item, part in zip(items, type_.types, strict=True)]


def _record(body: Body, node: s.ExprSyntax, type_: w.RecordT) -> Any:
    labels = [label for label, _ in type_.fields]
    if not isinstance(node, s.Record):
        raise _wrong(body, node, "record", f"{{{', '.join(f'{label}: …' for label in labels)}}}")
    given: dict[str, Any] = {}
    for name, value in node.entries:
        position = find_label(labels, name)
        if position is None:
            hint = suggest(name, labels) or f"there are {listed(labels)}"
            raise body.error(node, f'the record has no field "{name}"', hint)
        if value is None:
            raise body.error(node, f'the field "{name}" has no value', f"write {name}: …")
        given[labels[position]] = constant(body, value, type_.fields[position][1])
    missing = [label for label in labels if label not in given]
    if missing:
        raise body.error(node, f"the record lacks {listed(missing)}")
    return {label: given[label] for label in labels}


def _flags(body: Body, node: s.ExprSyntax, type_: w.FlagsT) -> Any:
    if isinstance(node, s.Record):
        names = [name for name, _ in node.entries]
    elif isinstance(node, s.ListOf) and all(isinstance(item, s.String) for item in node.items):
        names = [item.value for item in node.items if isinstance(item, s.String)]
    else:
        raise _wrong(body, node, "set of flags", f"{{{', '.join(type_.labels[:2])}}}")
    positions = set()
    for name in names:
        position = find_label(type_.labels, name)
        if position is None:
            hint = suggest(name, type_.labels) or f"there are {listed(type_.labels)}"
            raise body.error(node, f'there is no flag "{name}"', hint)
        positions.add(position)
    return [label for index, label in enumerate(type_.labels) if index in positions]


# --- cases ---------------------------------------------------------------------------------------


def _case(
    body: Body, node: s.ExprSyntax, type_: w.ValType
) -> tuple[str, w.ValType | None, s.ExprSyntax | None]:
    """Label, payload type and payload of ``case`` or ``case(payload)``; hyphens are allowed."""
    cases = cases_of(type_)
    labels = [label for label, _ in cases]
    call: s.ExprSyntax = node
    while isinstance(call, s.Infix):
        call = call.right
    if isinstance(node, s.String):
        name, args = node.value, None
    elif isinstance(call, s.Invoke) and call.receiver is None:
        name = body.env.source.text[node.at : call.at] + call.name
        args = call.args
    else:
        name, args = body.env.source.text[node.at : node.end], None
    position = find_label(labels, name.strip())
    if position is None:
        hint = suggest(name, labels) or f"there are {listed(labels)}"
        raise body.error(node, f'there is no case "{name}"', hint)
    label, payload = cases[position]
    if (payload is None) != (not args):
        verb = "carries a value" if payload is not None else "carries no value"
        raise body.error(node, f'the case "{label}" {verb}',
                         f"write {label}{'(…)' if payload is not None else ''}")  # fmt: skip
    if args and len(args) > 1:
        return label, payload, s.Tuple(args, node.at, node.end)
    return label, payload, args[0] if args else None


def _variant(body: Body, node: s.ExprSyntax, type_: w.VariantT | w.ResultT) -> Any:
    label, payload, value = _case(body, node, type_)
    return {label: constant(body, value, payload) if value is not None and payload else None}


def _enum(body: Body, node: s.ExprSyntax, type_: w.EnumT) -> Any:
    return _case(body, node, type_)[0]


def _option(body: Body, node: s.ExprSyntax, type_: w.OptionT) -> Any:
    label, payload, value = _case(body, node, type_)
    if label == "none":
        return None
    assert payload is not None and value is not None
    inner = constant(body, value, payload)
    return {"some": inner} if isinstance(w.strip(payload), w.OptionT) else inner


def _handle(body: Body, node: s.ExprSyntax, type_: w.ValType) -> Any:
    raise body.error(node, "there are no constants of handles, streams and futures",
                     "let the call go on with proceed();")  # fmt: skip


_MAKERS: dict[type, Callable[[Body, s.ExprSyntax, Any], Any]] = {
    w.Prim: _prim,
    w.ListT: _list,
    w.MapT: _map,
    w.RecordT: _record,
    w.TupleT: _tuple,
    w.VariantT: _variant,
    w.EnumT: _enum,
    w.FlagsT: _flags,
    w.OptionT: _option,
    w.ResultT: _variant,
    w.Own: _handle,
    w.Borrow: _handle,
    w.StreamT: _handle,
    w.FutureT: _handle,
}
