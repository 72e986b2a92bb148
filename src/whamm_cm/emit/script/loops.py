"""What all loops have: an end after so many rounds, and where ``break`` and ``continue`` lead."""

from __future__ import annotations

from whamm_cm.emit.script.body import Body
from whamm_cm.lang import tree as t
from whamm_cm.wasm.asm import Label

MAX_ROUNDS = 1_000_000


def count_down(body: Body, rounds: int, done: Label) -> None:
    """Leave to ``done`` when local ``rounds`` is zero, else take one off."""
    f = body.f
    f.get(rounds)
    f.op("i32.eqz")
    f.br_if(done)
    f.get(rounds)
    f.i32(1)
    f.op("i32.sub")
    f.set(rounds)


def round_(body: Body, stmts: tuple[t.Stmt, ...], loop: tuple[Label, Label]) -> None:
    body.loops.append(loop)
    body.block(stmts)
    body.loops.pop()
    body.f.br(loop[1])
