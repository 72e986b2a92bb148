"""The memory of a player: numbers that its code and its data share.

All are 32 bits, little-endian.  At 4 stands how many entries there are, at 8 where they are, at 12
where free memory begins.  Core values are passed to and fro in the cells at :data:`CELLS`.

An *entry* of the provider, a call that was made: which function, number of the call, script of its
arguments, answer (below 256: the label of what ends the guest).  An entry of the driver, a call of
an export: which, number of the call, its arguments, script of the result (0: it does not return),
how many calls were made before it returned.

An *answer*, or arguments: how many handles are made anew, where they are listed, cells.  In that
list: address, kind of resource, number.

A *script* says what to compare: operations, the first word of which is an :class:`Op`.
"""

from __future__ import annotations

import enum

#: What the modules of players are called, and functions of theirs that are a story in a backtrace:
#: what was recorded, the number of the call digit by digit, and what is of no interest.
PLAYER = "recording"
WAS = "recorded was: "
DIGIT = "the number of the call has the digit "
NEXT_CALL = "the next recorded call"
#: The reason that says nothing beside the function that was called.
ANOTHER = "another call than was recorded"

COUNT, TABLE, HEAP, LAST, ENDS, ENDS_AT, HOW_MANY_ENDS = range(4, 32, 4)
CELLS = 64
MOST_CELLS = 16
#: Data begins here.
BEGIN = 256

MADE_SIZE = 16
CALLED_SIZE = 24
#: Where the cells of an answer are.
ANSWER_CELLS = 8


class Op(enum.IntEnum):
    """What follows: SAME, STARS (offset, length, address of what is expected; a star in it stands
    for any byte), INTO (offset of a pointer; what follows up to END is there), OWN (offset of a
    handle, number, kind), NAN (offset of a float, its bytes, 0): which one nobody can rely on, TAKE
    (offset of a stream or future, the end that it is, 0)."""

    END, SAME, STARS, INTO, OWN, NAN, TAKE = range(7)


class Label(enum.IntEnum):
    """Functions that only trap, in the table of names behind the digits; those of functions of the
    component follow."""

    NO_MORE, CUT, EXITS, ENDS = range(10, 14)


LABELS = {
    Label.NO_MORE: "no more calls were recorded",
    Label.CUT: "the recording is cut off here",
    Label.EXITS: "the guest exits here, as it did when it was recorded",
    Label.ENDS: "the guest did not come back from this call when it was recorded, either",
}
FIRST_FUNCTION = 14
