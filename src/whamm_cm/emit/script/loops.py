"""What all loops have: an end after so many rounds, and where ``break`` and ``continue`` lead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from whamm_cm.emit.script.body import Body
from whamm_cm.lang import tree as t
from whamm_cm.lang.walk import walk
from whamm_cm.wasm.asm import Label

MAX_ROUNDS = 1_000_000


@contextmanager
def limited(body: Body) -> Iterator[int]:
    """The local with the rounds that are left: of all loops within each other together, for a
    million rounds of a million rounds each would not end."""
    if body.rounds is not None:
        yield body.rounds
        return
    rounds = body.rounds = body.pool.take("i32")
    body.f.i32(MAX_ROUNDS)
    body.f.set(rounds)
    yield rounds
    body.rounds = None
    body.pool.give(("i32",), (rounds,))


def has_loop(stmts: tuple[t.Stmt, ...]) -> bool:
    return any(isinstance(node, t.While | t.For | t.Entries) for node in walk(*stmts))


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
