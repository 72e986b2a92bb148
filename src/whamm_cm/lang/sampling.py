"""``sample(1/N)``: true the first time it is asked, and then every Nth time.

Each place in a script where it stands counts for itself, in each component instance.  It is a call
of a function of the script that nobody wrote, with a global of its own.
"""

from __future__ import annotations

from whamm_cm.lang import syntax as s
from whamm_cm.lang.body import Body, Env
from whamm_cm.lang.tree import (
    Assign,
    Binary,
    Call,
    Const,
    Declare,
    Expr,
    Function,
    If,
    Kind,
    Return,
    Span,
    Stmt,
    Update,
    Var,
    Variable,
)
from whamm_cm.lang.valtypes import BOOL, U32

NAME = "sample"
#: What names of globals begin with that no script can say.
HIDDEN = "$"
_MOST = 1_000_000_000


def declare(env: Env, script: s.Script) -> list[Stmt]:
    """A function for each ``sample`` of the script; the declarations of what they count in.

    Which numbers they are of is known when the bodies have been checked (:func:`sample`).
    """
    if NAME not in env.source.text or NAME in env.functions:
        return []
    stack: list[object] = [script]
    while stack:
        node = stack.pop()
        if isinstance(node, s.Invoke) and node.name == NAME and node.receiver is None:
            env.samples[node.at] = _function(env, node)
        if isinstance(node, tuple):
            stack.extend(child for child in node if isinstance(child, tuple))
    return [Declare(_counter(function)) for _, function in sorted(env.samples.items())]


def _function(env: Env, node: s.Invoke) -> Function:
    span = Span(env.source.number, node.at, node.end)
    left = Variable(f"{HIDDEN}{NAME}@{node.at}", U32, Kind.GLOBAL, False, env.source.number, span)
    start = Assign(Var(U32, left), Const(U32, 0))
    due = Binary(BOOL, "==", Var(U32, left), Const(U32, 0))
    body = (
        If(due, (start, Return(Const(BOOL, True)))),
        Update(Var(U32, left), "-", Const(U32, 1)),
        Return(Const(BOOL, False)),
    )
    return Function(NAME, (), BOOL, body, span)


def _counter(function: Function) -> Variable:
    update = function.body[1]
    assert isinstance(update, Update) and isinstance(update.target, Var)
    return update.target.variable


def sample(body: Body, node: s.Invoke) -> Expr:
    """The call of ``sample(1/N)``."""
    function = body.env.samples.get(node.at)
    if function is None or body.kind == "global":
        raise body.error(node, "sample cannot be asked at the top of a script", "ask it in a probe")
    if body.initialising:
        raise body.error(node, f"sample changes, but {body.initialising} is initialised once",
                         "declare first and assign in a statement of its own")  # fmt: skip
    every = _every(body, node)
    first = function.body[0]
    assert isinstance(first, If)
    start = Assign(Var(U32, _counter(function)), Const(U32, every - 1))
    function.body = (If(first.condition, (start, first.then[1])), *function.body[1:])
    return Call(BOOL, function, (), body.span(node))


def _every(body: Body, node: s.Invoke) -> int:
    wrong = "write for instance sample(1/100)"
    if len(node.args) != 1:
        raise body.error(node, f"sample takes 1 argument, not {len(node.args)}", wrong)
    (arg,) = node.args
    if not isinstance(arg, s.Infix) or arg.op != "/":
        raise body.error(arg, "sample takes one in so many", wrong)
    one, many = body.literal(arg.left), body.literal(arg.right)
    if not isinstance(one, s.Number) or one.value != 1:
        raise body.error(arg.left, "sample takes one in so many", wrong)
    if not isinstance(many, s.Number) or not isinstance(many.value, int):
        raise body.error(arg.right, "how many must be a number that is known beforehand", wrong)
    if not 1 <= many.value <= _MOST:
        raise body.error(arg.right, f"one in so many is 1/1 to 1/{_MOST}", wrong)
    return many.value
