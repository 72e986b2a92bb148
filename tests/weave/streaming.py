"""Two components with a stream or future between them, for every type of elements, as text.

``$W`` holds the writable end and does what it is told; ``$R`` reads, and tells it.  The elements
that are written lie at 1024 of the writer's memory, and are read to 1024 of the reader's.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MANY = 8
WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
_TEXTS = 2048


def _strings(texts: Sequence[str]) -> tuple[list[tuple[int, int]], bytes]:
    """(address, length) of texts in a row from ``_TEXTS`` on, and their bytes."""
    places, at = [], _TEXTS
    for text in texts:
        places.append((at, len(text)))
        at += len(text)
    return places, "".join(texts).encode()


@dataclass(frozen=True)
class Kind:
    """A type of elements: ``before`` are its definitions, ``image`` is what ``MANY`` of them look
    like in memory, ``texts`` what they point to, ``values`` they are in a log."""

    name: str
    type: str
    image: bytes
    values: list[Any]
    texts: bytes = b""
    before: str = ""

    @property
    def exports(self) -> str:
        return f'{self.before} (export $t "t" (type $named))' if self.before else ""

    @property
    def imports(self) -> str:
        return f'{self.before} (import "t" (type $t (eq $named)))' if self.before else ""

    @property
    def given(self) -> str:
        return '(with "t" (type $w "t"))' if self.before else ""

    def data(self, count: int) -> Any:
        """What the record of a copy of so many has."""
        if self.name != "u8":
            return self.values[:count]
        import base64

        return {"~b64": base64.b64encode(self.image[:count]).decode()}


_PLACES, _BYTES = _strings(WORDS)
_PAIRS = b"".join(struct.pack("<II", *place) for place in _PLACES)
KINDS = (
    Kind("u8", "u8", b"stream!\n", list(b"stream!\n")),
    Kind(
        "u64", "u64", struct.pack("<8Q", *range(1, 9)), list(range(1, 9))
    ),
    Kind("string", "string", _PAIRS, list(WORDS), _BYTES),
    Kind(
        "record",
        "$t",
        b"".join(struct.pack("<III", 7 + n, *place) for n, place in enumerate(_PLACES)),
        [{"a": 7 + n, "b": word} for n, word in enumerate(WORDS)],
        _BYTES,
        '(type $named (record (field "a" u32) (field "b" string)))',
    ),
    Kind(
        "list", "(list u8)", _PAIRS,
        [{"~b64": text} for text in (
            "b25l", "dHdv", "dGhyZWU=", "Zm91cg==", "Zml2ZQ==", "c2l4", "c2V2ZW4=", "ZWlnaHQ=",
        )], _BYTES,
    ),
)  # fmt: skip
NONE = Kind("none", "", b"", [])

_MEMORY = """
    (core module $Memory
      (memory (export "mem") 1)
      (global $next (mut i32) (i32.const 4096))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (global.get $next)
        (global.set $next (i32.and (i32.const -8)
          (i32.add (i32.const 7) (i32.add (global.get $next) (local.get 3))))))
      DATA)
    (core instance $m (instantiate $Memory))
    (core func $set (canon waitable-set.new))
    (core func $join (canon waitable.join))
    (core func $wait (canon waitable-set.wait (memory $m "mem")))
    (core func $poll (canon waitable-set.poll (memory $m "mem")))
"""

_WRITER = """
  (component $W
    EXPORTS
    (type $s (HOLDER TYPE))
MEMORY
    (core func $new (canon HOLDER.new $s))
    (core func $write (canon HOLDER.write $s async (memory $m "mem") (realloc (func $m "realloc"))))
    (core func $cancel (canon HOLDER.cancel-write $s))
    (core func $drop (canon HOLDER.drop-writable $s))
    (core module $M
      (import "" "mem" (memory 1))
      (import "" "new" (func $new (result i64)))
      (import "" "write" (func $write (param i32 i32 COUNT) (result i32)))
      (import "" "cancel" (func $cancel (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (import "" "set" (func $set (result i32)))
      (import "" "join" (func $join (param i32 i32)))
      (import "" "poll" (func $poll (param i32 i32) (result i32)))
      (global $end (mut i32) (i32.const 0))
      (global $all (mut i32) (i32.const 0))
      (func (export "make") (result i32)
        (local i64)
        (local.set 0 (call $new))
        (global.set $end (i32.wrap_i64 (i64.shr_u (local.get 0) (i64.const 32))))
        (i32.wrap_i64 (local.get 0)))
      (func (export "push") (param i32) (result i32)
        (call $write (global.get $end) (i32.const 1024) GIVEN))
      (func (export "over") (result i32)
        (if (i32.eqz (global.get $all)) (then (global.set $all (call $set))))
        (call $join (global.get $end) (global.get $all))
        (if (i32.ne (call $poll (global.get $all) (i32.const 64)) (i32.const WROTE))
          (then unreachable))
        (call $join (global.get $end) (i32.const 0))
        (i32.load (i32.const 68)))
      (func (export "stop") (result i32) (call $cancel (global.get $end)))
      (func (export "close") (call $drop (global.get $end))))
    (core instance $i (instantiate $M (with "" (instance
      (export "mem" (memory $m "mem")) (export "new" (func $new)) (export "write" (func $write))
      (export "cancel" (func $cancel)) (export "drop" (func $drop)) (export "set" (func $set))
      (export "join" (func $join)) (export "poll" (func $poll))))))
    (func (export "make") (result $s) (canon lift (core func $i "make")))
    (func (export "push") (param "count" u32) (result u32) (canon lift (core func $i "push")))
    (func (export "over") (result u32) (canon lift (core func $i "over")))
    (func (export "stop") (result u32) (canon lift (core func $i "stop")))
    (func (export "close") (canon lift (core func $i "close"))))
"""

_READER = """
  (component $R
    IMPORTS
    (type $s (HOLDER TYPE))
    (import "make" (func $make (result $s)))
    (import "push" (func $push (param "count" u32) (result u32)))
    (import "over" (func $over (result u32)))
    (import "stop" (func $stop (result u32)))
    (import "close" (func $close))
MEMORY
    (core func $make' (canon lower (func $make)))
    (core func $push' (canon lower (func $push)))
    (core func $over' (canon lower (func $over)))
    (core func $stop' (canon lower (func $stop)))
    (core func $close' (canon lower (func $close)))
    (core func $read (canon HOLDER.read $s async (memory $m "mem") (realloc (func $m "realloc"))))
    (core func $cancel (canon HOLDER.cancel-read $s))
    (core func $drop (canon HOLDER.drop-readable $s))
    (core func $return (canon task.return (result u32)))
    (core module $M
      (import "" "mem" (memory 1))
      (import "" "make" (func $make (result i32)))
      (import "" "push" (func $push (param i32) (result i32)))
      (import "" "over" (func $over (result i32)))
      (import "" "stop" (func $stop (result i32)))
      (import "" "close" (func $close))
      (import "" "read" (func $read (param i32 i32 COUNT) (result i32)))
      (import "" "cancel" (func $cancel (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (import "" "return" (func $return (param i32)))
      (import "" "set" (func $set (result i32)))
      (import "" "join" (func $join (param i32 i32)))
      (import "" "wait" (func $wait (param i32 i32) (result i32)))
      (import "" "poll" (func $poll (param i32 i32) (result i32)))
      (global $end (mut i32) (i32.const 0))
      (func $begin (param i32) (result i32)
        (call $read (global.get $end) (i32.const 1024) GIVEN))
      (func $blocked (param i32)
        (if (i32.ne (local.get 0) (i32.const -1)) (then unreachable)))
      (func $told (result i32)
        (local $all i32)
        (local.set $all (call $set))
        (call $join (global.get $end) (local.get $all))
        (if (i32.ne (call $wait (local.get $all) (i32.const 64)) (i32.const READ))
          (then unreachable))
        (call $join (global.get $end) (i32.const 0))
        (i32.load (i32.const 68)))
      (func $asked (result i32)
        (local $all i32)
        (local.set $all (call $set))
        (call $join (global.get $end) (local.get $all))
        (if (i32.ne (call $poll (local.get $all) (i32.const 64)) (i32.const READ))
          (then unreachable))
        (call $join (global.get $end) (i32.const 0))
        (i32.load (i32.const 68)))
      (func (export "run") (result i32)
        (local $r i32)
        (global.set $end (call $make))
        BODY)
      (func (export "later") (result i32)
        (local $all i32)
        (global.set $end (call $make))
        (call $blocked (call $begin (i32.const 8)))
        (local.set $all (call $set))
        (call $join (global.get $end) (local.get $all))
        (drop (call $push (i32.const 3)))
        (i32.or (i32.const 2) (i32.shl (local.get $all) (i32.const 4))))
      (func (export "callback") (param i32 i32 i32) (result i32)
        (if (i32.ne (local.get 0) (i32.const READ)) (then unreachable))
        (call $join (global.get $end) (i32.const 0))
        (call $drop (global.get $end))
        (call $return (local.get 2))
        (i32.const 0)))
    (core instance $i (instantiate $M (with "" (instance
      (export "mem" (memory $m "mem"))
      (export "make" (func $make')) (export "push" (func $push')) (export "over" (func $over'))
      (export "stop" (func $stop')) (export "close" (func $close')) (export "read" (func $read))
      (export "cancel" (func $cancel)) (export "drop" (func $drop)) (export "return" (func $return))
      (export "set" (func $set)) (export "join" (func $join)) (export "wait" (func $wait))
      (export "poll" (func $poll))))))
    (func (export "run") async (result u32) (canon lift (core func $i "run")))
    (func (export "later") async (result u32)
      (canon lift (core func $i "later") async (callback (func $i "callback")))))
"""

_ROOT = """(component
WRITER
READER
  (instance $w (instantiate $W))
  (instance $r (instantiate $R GIVES
    (with "make" (func $w "make")) (with "push" (func $w "push")) (with "over" (func $w "over"))
    (with "stop" (func $w "stop")) (with "close" (func $w "close"))))
  (func (export "run") (alias export $r "run"))
  (func (export "later") (alias export $r "later")))
"""


def _bytes(data: bytes) -> str:
    return "".join(f"\\{byte:02x}" for byte in data)


def script(kind: Kind, body: str, result: int, call: str = "run", future: bool = False) -> str:
    """A script that runs ``body`` in the reader, which returns ``result``; ``call`` may be
    ``later`` instead, which reads with a callback."""
    holder = "future" if future else "stream"
    data = f'(data (i32.const 1024) "{_bytes(kind.image)}")' if kind.image else ""
    if kind.texts:
        data += f' (data (i32.const {_TEXTS}) "{_bytes(kind.texts)}")'
    writer = _WRITER.replace("MEMORY", _MEMORY.replace("DATA", data))
    reader = _READER.replace("MEMORY", _MEMORY.replace("DATA", "")).replace("BODY", body)
    text = _ROOT.replace("WRITER", writer).replace("READER", reader)
    for word, meant in {
        "EXPORTS": kind.exports,
        "IMPORTS": kind.imports,
        "GIVES": kind.given,
        "HOLDER": holder,
        "TYPE": kind.type,
        "COUNT": "" if future else "i32",
        "GIVEN": "" if future else "(local.get 0)",
        "WROTE": "5" if future else "3",
        "READ": "4" if future else "2",
    }.items():
        text = text.replace(word, meant)
    return f'{text}(assert_return (invoke "{call}") (u32.const {result}))\n'


@dataclass(frozen=True)
class Way:
    """What the reader does, what it returns, and how many elements each side has copied, in order,
    with what became of that."""

    name: str
    body: str
    result: int
    reads: tuple[tuple[int, int], ...] = ()
    writes: tuple[tuple[int, int], ...] = ()
    call: str = "run"


DONE, DROPPED, CANCELLED = 0, 1, 2


def _read(count: int) -> str:
    return f"(call $begin (i32.const {count}))"


def _blocked(code: str) -> str:
    return f"(call $blocked {code})"


def _push(count: int) -> str:
    return f"(call $push (i32.const {count}))"


def _both(count: int) -> str:
    """Read, and have the writer hear of it; returns what was read."""
    return f"(local.set $r {_read(count)}) (drop (call $over)) (local.get $r)"


DROP = "(call $drop (global.get $end))"
WAYS = (
    Way("at once", _blocked(_push(5)) + _both(8), 5 << 4, ((5, DONE),), ((5, DONE),)),
    Way("half", _blocked(_push(8)) + _both(3), 3 << 4, ((3, DONE),), ((3, DONE),)),
    Way(
        "waited",
        _blocked(_read(8)) + f"(drop {_push(3)}) (call $told)",
        3 << 4, ((3, DONE),), ((3, DONE),),
    ),
    Way(
        "polled",
        _blocked(_read(8)) + f"(drop {_push(3)}) (call $asked)",
        3 << 4, ((3, DONE),), ((3, DONE),),
    ),
    Way("called back", "(i32.const 0)", 3 << 4, ((3, DONE),), ((3, DONE),), "later"),
    Way(
        "cancelled", _blocked(_read(8)) + "(call $cancel (global.get $end))", 2, ((0, CANCELLED),)
    ),
    Way("dropped", _blocked(_read(8)) + "(call $close) (call $told)", 1, ((0, DROPPED),)),
    Way(
        "dropped after some",
        _blocked(_read(8)) + f"(drop {_push(3)}) (call $close) (call $told)",
        3 << 4 | 1, ((3, DROPPED),), ((3, DONE),),
    ),
    Way(
        "cancelled after some",
        _blocked(_read(8)) + f"(drop {_push(3)}) (call $cancel (global.get $end))",
        3 << 4 | 2, ((3, CANCELLED),), ((3, DONE),),
    ),
    Way("write cancelled", _blocked(_push(5)) + "(call $stop)", 2, (), ((0, CANCELLED),)),
    Way(
        "write cancelled after some",
        _blocked(_push(5)) + f"(drop {_read(2)}) (call $stop)",
        2 << 4 | 2, ((2, DONE),), ((2, CANCELLED),),
    ),
    Way("write dropped", _blocked(_push(5)) + DROP + "(call $over)", 1, (), ((0, DROPPED),)),
    Way(
        "write dropped after some",
        _blocked(_push(5)) + f"(drop {_read(2)}) {DROP} (call $over)",
        2 << 4 | 1, ((2, DONE),), ((2, DROPPED),),
    ),
)  # fmt: skip
#: The same of futures, whose writer may not drop its end before it has written.
FUTURE_WAYS = (
    Way("at once", _blocked(_push(0)) + _both(0), 0, ((1, DONE),), ((1, DONE),)),
    Way(
        "waited",
        _blocked(_read(0)) + f"(drop {_push(0)}) (call $told)",
        0,
        ((1, DONE),),
        ((1, DONE),),
    ),
    Way("called back", "(i32.const 0)", 0, ((1, DONE),), ((1, DONE),), "later"),
    Way("cancelled", _blocked(_read(0)) + "(call $cancel (global.get $end))", 2, ((0, CANCELLED),)),
    Way("write cancelled", _blocked(_push(0)) + "(call $stop)", 2, (), ((0, CANCELLED),)),
    Way("write dropped", _blocked(_push(0)) + DROP + "(call $over)", 1, (), ((0, DROPPED),)),
)


#: Handles of a resource of the writer's, which it makes before the stream: 1 to ``MANY``.
OWN = Kind(
    "own",
    "(own $t)",
    struct.pack("<8I", *range(1, 9)),
    list(range(1, 9)),
    before="(type $named (resource (rep i32)))",
)


def with_resource(text: str) -> str:
    """The script of ``OWN``, whose reader imports what the writer defines."""
    writer, _, reader = text.partition("(component $R")
    makes = "".join(f"(drop (call $made (i32.const {100 + n})))" for n in range(MANY))
    mem, new = '(import "" "mem" (memory 1))', '(export "new" (func $new))'
    for old, more in (
        ("(canon stream.new $s))", " (core func $made (canon resource.new $named))"),
        (mem, ' (import "" "made" (func $made (param i32) (result i32)))'),
        ("(local i64)", f" {makes}"),
        (new, ' (export "made" (func $made))'),
    ):
        writer = writer.replace(old, old + more)
    reader = reader.replace(OWN.imports, '(import "t" (type $t (sub resource)))')
    return f"{writer}(component $R{reader}"
