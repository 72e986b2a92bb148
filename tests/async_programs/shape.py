"""What programs are made of, and how they are drawn."""

from __future__ import annotations

import string
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from hypothesis import strategies as st

from tests.strategies import floats, ints
from whamm_cm.wit.types import ListT, OptionT, Prim, ResultT, TupleT, ValType, strip

KINDS = ("callback", "stackful", "sync", "plain")
#: How many sets of arguments, and results, a function knows.
POOL = 2
#: How many elements there are to write into a stream.
ELEMENTS = 12


class Op(IntEnum):
    """``(op, a, b, c)``; a *set* is 0, the task's own, or 1, its component's, or 2 for none; a
    *slot* is the number of an earlier call of the same task."""

    END = 0
    CALL = 1  # a: function | 256 if by a sync lower | set << 16, b: arguments, c: script
    WAIT = 2  # a: set
    WAIT_ALL = 3  # a: set
    YIELD = 4
    POLL = 5  # a: set
    CANCEL = 6  # a: slot, b: 1 for sync
    DROP = 7  # a: slot
    RETURN = 8  # a: result
    HANG = 9  # until it is cancelled
    INC = 10
    DEC = 11
    ON_CANCEL = 12  # a: 0 task.cancel, 1 return b, 2 go on
    TRAP = 13
    JOIN = 14  # a: slot, b: set
    RETURN_AGAIN = 15  # a: result; where the task has not returned, it does so before
    CANCEL_ITSELF = 16  # though nobody asked for it
    LEAVE = 17  # a: the code that an async function with a callback returns
    STREAM = 20  # a, b, c: as CALL, of a function that takes the readable end of a new stream
    COPY = 21  # a: elements, to read or to write, of the end that the task has
    STOP = 22  # cancel that
    CLOSE = 23  # drop the end


Script = tuple[tuple[int, int, int, int], ...]
#: The first scripts of each component that is called: these two, one that hangs, and some for
#: functions that take a stream.
HANGING, STREAMING, FIRST = 2, (3, 4), 5
HOLD: Script = ((Op.INC, 0, 0, 0),)
LET: Script = ((Op.DEC, 0, 0, 0),)


@dataclass(frozen=True)
class Function:
    """``arguments`` and ``results``: values to choose from.  ``takes``: its third parameter is a
    stream of the program's elements."""

    name: str
    kind: str
    extra: tuple[ValType, ...] = ()
    result: ValType | None = None
    arguments: tuple[tuple[Any, ...], ...] = ((),) * POOL
    results: tuple[Any, ...] = (None,) * POOL
    takes: bool = False

    @property
    def params(self) -> tuple[ValType, ...]:
        stream = (Prim("u32"),) * self.takes  # which is what its handle is
        return (Prim("u32"), Prim("u32"), *stream, *self.extra)


@dataclass(frozen=True)
class Part:
    """A component; it calls the functions of the part behind it."""

    name: str
    functions: tuple[Function, ...]
    scripts: tuple[Script, ...]


@dataclass(frozen=True)
class Program:
    """``runs``: the scripts of the first part that the host calls its one export with.
    ``element``: what streams are of, and the elements that are written."""

    parts: tuple[Part, ...]
    runs: tuple[int, ...]
    element: ValType = Prim("u8")
    elements: tuple[Any, ...] = tuple(range(ELEMENTS))


def types() -> st.SearchStrategy[ValType]:
    """Types that need no name."""
    leaves = st.sampled_from(
        ("bool", "u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64", "char",
         "string")
    ).map(Prim)  # fmt: skip
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(ListT, inner),
            st.builds(OptionT, inner),
            st.builds(ResultT, st.none() | inner, st.none() | inner),
            st.lists(inner, min_size=1, max_size=6).map(lambda ts: TupleT(tuple(ts))),
        ),
        max_leaves=8,
    )


def values(t: ValType) -> st.SearchStrategy[Any]:
    """Small values, in the shapes of ``tests.strategies.values_of``."""
    t = strip(t)
    match t:
        case Prim("bool"):
            return st.booleans()
        case Prim("f32" | "f64" as name):
            return floats(int(name[1:]))
        case Prim("char"):
            return st.sampled_from("aé😀")
        case Prim("string"):
            return st.text(string.ascii_letters + "é😀", max_size=12)
        case Prim(name):
            return ints(name)
        case ListT(element):
            if getattr(strip(element), "name", "") == "u8":
                return st.binary(max_size=9)
            return st.lists(values(element), max_size=3)
        case TupleT(parts):
            return st.tuples(*map(values, parts)).map(list)
        case OptionT(inner):
            some = values(inner)
            nested = isinstance(strip(inner), OptionT)
            return st.none() | (some.map(lambda v: {"some": v}) if nested else some)
        case ResultT(ok, err):
            cases = (("ok", ok), ("error", err))
            return st.one_of([
                (st.none() if of is None else values(of)).map(lambda v, label=label: {label: v})
                for label, of in cases
            ])  # fmt: skip
    raise TypeError(f"no values of {t}")


@st.composite
def functions(draw: st.DrawFn, name: str) -> Function:
    kind = draw(st.sampled_from(("callback", "callback", "stackful", "sync")))
    extra = tuple(draw(st.lists(types(), max_size=3)))
    result = draw(st.none() | types())
    arguments = tuple(tuple(draw(values(t)) for t in extra) for _ in range(POOL))
    results = tuple(None if result is None else draw(values(result)) for _ in range(POOL))
    return Function(name, kind, extra, result, arguments, results)


Step = tuple[int, int, int, int]
#: Slots counted from the last one.
LAST = 128
_SLOTS = st.sampled_from((0, 1, 2, LAST, LAST, LAST + 1))
_SETS = st.sampled_from((0, 0, 1))
_RESULTS = st.integers(0, POOL - 1)


def call(func: int, args: int, script: int, *, sync: bool = False, into: int = 0) -> Step:
    return Op.CALL, func | sync << 8 | into << 16, args, script


def _calls(callees: int, script: st.SearchStrategy[int], sync: bool) -> st.SearchStrategy[Step]:
    into = st.sampled_from((0,) if sync else (0, 0, 1, 1, 2))
    drawn = st.tuples(st.integers(1, callees), _RESULTS, script, into)
    return drawn.map(lambda d: call(d[0], d[1], d[2], sync=sync, into=d[3]))


def _own(results: st.SearchStrategy[int] = _RESULTS) -> st.SearchStrategy[list[Step]]:
    """What a task does with itself."""
    return st.one_of(
        st.just([(Op.YIELD, 0, 0, 0)]),
        results.map(lambda r: [(Op.RETURN, r, 0, 0)]),
        st.just([(Op.POLL, 0, 0, 0)]),
        st.tuples(st.integers(0, 2), results).map(lambda d: [(Op.ON_CANCEL, *d, 0)]),
    )


def _copies(most: int) -> st.SearchStrategy[list[Step]]:
    """What a task does with the end of a stream that it has."""
    copy = st.sampled_from((0, 1, 2, 2, 3, 3, 4, 5)).map(lambda n: (Op.COPY, n, 0, 0))
    wait, stop = (Op.WAIT, 0, 0, 0), (Op.STOP, 0, 0, 0)
    step = st.one_of(
        *[copy.map(lambda one: [one, wait])] * 4, copy.map(lambda one: [one]),
        copy.map(lambda one: [one, stop]), st.just([wait]), st.just([(Op.CLOSE, 0, 0, 0)]),
        copy.map(lambda one: [one, (Op.YIELD, 0, 0, 0)]),
    )  # fmt: skip
    return st.lists(step, min_size=2, max_size=most).map(lambda steps: sum(steps, []))


def _streaming(func: int) -> st.SearchStrategy[list[Step]]:
    """A stream is made, its readable end goes with a call of ``func``, and then it is written."""
    made = st.tuples(_RESULTS, st.sampled_from(STREAMING), st.sampled_from((0, 0, 2))).map(
        lambda d: (Op.STREAM, *call(func, d[0], d[1], into=d[2])[1:])
    )
    return st.tuples(made, _copies(4)).map(lambda d: [d[0], *d[1], (Op.CLOSE, 0, 0, 0)])


def _with_others(callees: int, scripts: int) -> st.SearchStrategy[list[Step]]:
    """What it does with tasks of the next part."""
    some = st.integers(FIRST, scripts + FIRST - 1)
    calls = _calls(callees, some, False)
    hanging = _calls(callees, st.just(HANGING), False)
    cancel = st.tuples(_SLOTS, st.integers(0, 1)).map(lambda d: (Op.CANCEL, *d, 0))
    last = st.integers(0, 1).map(lambda sync: (Op.CANCEL, LAST, sync, 0))
    let, hold = call(0, 0, 1, sync=True), call(0, 0, 0, sync=True)
    between = st.lists(calls | cancel | st.just((Op.YIELD, 0, 0, 0)), max_size=3)
    return st.one_of(
        st.lists(calls, min_size=1, max_size=3),
        _calls(callees, some, True).map(lambda one: [one]),
        between.map(lambda ops: [hold, *ops, let]),
        st.tuples(calls, last, between).map(lambda d: [hold, d[0], d[1], *d[2], let]),
        st.tuples(hanging, between, last).map(lambda d: [d[0], *d[1], d[2]]),
        st.tuples(hanging, last).map(list),
        st.tuples(hanging, _SETS, last).map(
            lambda d: [hold, d[0], (Op.JOIN, LAST, d[1], 0), let, (Op.WAIT, d[1], 0, 0), d[2]]
        ),
        st.tuples(calls, last).map(list),
        cancel.map(lambda one: [one]),
        _SLOTS.map(lambda slot: [(Op.DROP, slot, 0, 0)]),
        st.tuples(_SLOTS, st.integers(0, 2)).map(lambda d: [(Op.JOIN, *d, 0)]),
        _streaming(callees + 1),
        _streaming(callees + 1),
        _SETS.map(lambda where: [(Op.WAIT, where, 0, 0)]),
        _SETS.map(lambda where: [(Op.WAIT_ALL, where, 0, 0)]),
        _SETS.map(lambda where: [(Op.POLL, where, 0, 0)]),
    )


#: Mistakes, at which a host traps.
MISTAKES: tuple[Step, ...] = (
    (Op.TRAP, 0, 0, 0), (Op.RETURN_AGAIN, 1, 0, 0), (Op.CANCEL_ITSELF, 0, 0, 0),
    (Op.LEAVE, 0, 0, 0), (Op.LEAVE, 7, 0, 0), (Op.LEAVE, 0x12342, 0, 0),
)  # fmt: skip


@st.composite
def _scripts(draw: st.DrawFn, at: int, callees: int, scripts: int) -> Script:
    """The first part does most, and in the end it mostly waits."""
    own, low = _own(), 4 if at == 0 else 0
    phrases = st.one_of(own, *[_with_others(callees, scripts)] * 3) if callees else own
    drawn = draw(st.lists(phrases, min_size=low, max_size=low + 3))
    steps = [step for phrase in drawn for step in phrase]
    if at == 0 and draw(st.booleans()):
        steps.append((Op.WAIT_ALL, 0, 0, 0))
    if draw(st.sampled_from((False,) * 30 + (True,))):
        steps.append(draw(st.sampled_from(MISTAKES)))
    return tuple(steps)


@st.composite
def _hanging(draw: st.DrawFn) -> Script:
    how, result = draw(st.integers(0, 2)), draw(_RESULTS)
    early = [(Op.RETURN, result, 0, 0)] * draw(st.sampled_from((0, 0, 0, 1)))
    return ((Op.ON_CANCEL, how, result, 0), *early, (Op.HANG, 0, 0, 0), *draw(_own()))


@st.composite
def programs(draw: st.DrawFn) -> Program:
    names = "DCB"[: draw(st.integers(2, 3))]
    counts = [0, *(draw(st.integers(1, 3)) for _ in names[1:]), 0]
    written = [draw(st.integers(2, 4)) for _ in names] + [0]
    parts = []
    for at, name in enumerate(names):
        scripts = [draw(_scripts(at, counts[at + 1], written[at + 1])) for _ in range(written[at])]
        if at == 0:
            kind = draw(st.sampled_from(("callback", "stackful", "sync")))
            parts.append(Part(name, (Function("run", kind, (), Prim("u32"), ((),) * POOL, (7, 8)),),
                              tuple(scripts)))  # fmt: skip
            continue
        control = Function(f"{name.lower()}0", "plain")
        others = [draw(functions(f"{name.lower()}{k}")) for k in range(1, counts[at] + 1)]
        taker = draw(functions(f"{name.lower()}{len(others) + 1}"))
        others.append(replace(taker, takes=True))
        reading = [tuple(draw(_copies(5))) for _ in STREAMING]
        parts.append(
            Part(name, (control, *others), (HOLD, LET, draw(_hanging()), *reading, *scripts))
        )
    runs = draw(st.lists(st.integers(0, written[0] - 1), min_size=2, max_size=4))
    # A stream of bare chars is not valid yet: CanonicalABI.md, `canon_stream_read`.
    element = draw(types().filter(lambda t: getattr(t, "name", "") != "char"))
    elements = tuple(draw(st.lists(values(element), min_size=ELEMENTS, max_size=ELEMENTS)))
    return Program(tuple(parts), tuple(runs), element, elements)
