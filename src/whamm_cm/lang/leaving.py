"""``exit(code);`` and ``abort("why");``: what ends the program for a script."""

from __future__ import annotations

from whamm_cm.lang import syntax as s
from whamm_cm.lang.body import Body
from whamm_cm.lang.tree import Builtin, Const, Evaluate, Stmt
from whamm_cm.lang.types import a
from whamm_cm.lang.valtypes import STR, U32, UNIT

#: The statements, and what their argument is.
LEAVING = {"exit": U32, "abort": STR}


def leaving(body: Body, call: s.Invoke) -> Stmt:
    """Raises ScriptError for what is no status or no text."""
    name, type_ = call.name, LEAVING[call.name]
    if call.annotation:
        raise body.error(call, f"@{call.annotation} is for calls of libraries")
    example = "exit(1);" if name == "exit" else 'abort("why");'
    if len(call.args) != 1:
        raise body.error(call, f"{name} takes 1 argument, not {len(call.args)}", f"write {example}")
    (arg,) = call.args
    value = body.value(arg, type_)
    if value.type != type_:
        what = "the status" if name == "exit" else "why"
        raise body.error(arg, f"this is {a(value.type)}, but {what} is {a(type_)}",
                         f"write {example}")  # fmt: skip
    if isinstance(value, Const) and isinstance(value.value, int) and not 0 <= value.value <= 255:
        raise body.error(arg, "a status is 0 to 255")
    return Evaluate(Builtin(UNIT, name, (value,), body.span(call)), body.span(call))


def leaves(stmt: Stmt) -> bool:
    """Whether nothing comes behind a statement, since it ends the program."""
    value = stmt.value if isinstance(stmt, Evaluate) else None
    return isinstance(value, Builtin) and value.name in LEAVING
