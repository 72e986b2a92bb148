"""The ABI of what runs inside the guest, in one place: agent state, records, blocks, site table.

``agent.c``, ``sink.c``, the probe code generator, the weaver and the record decoder all follow this
file; tests compare the C side with it.  Everything is little-endian.

A *record* is ``u32 size | u32 site<<8 | flags<<4 | phase | u64 call | [u64 t_ns] | [u64 dur_ns] |
body``, a *block* a 32-byte header and records, the *site table* what turns them into names and
types (:mod:`whamm_cm.agent.sites` writes and reads it).
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from importlib import resources
from typing import Final

PAGE: Final = 65536

# --- agent.wasm: addresses in its memory ---------------------------------------------------------

STATE: Final = 9216
"""Address of the state struct; the offsets below are relative to it."""
POS: Final = 0
LIMIT: Final = 4
NEXT_CALL: Final = 8
DEPTH: Final = 16
INSTANCE: Final = 20
DROPPED: Final = 24
IN_EMIT: Final = 28
OUT_PTR: Final = 32
BUFFER_PTR: Final = 36
"""u32: where the record buffer begins, written by the weave where a sink shares the memory."""
NAME_PTR: Final = 40
HIGH: Final = 44
LAST_FLUSH: Final = 48
"""u64: clock reading of the last flush that a probe made because time had passed."""
COUNTS: Final = 56
"""u32: the site of the first counter << 13 | how many there are, written by the weave for a host
that reads the memory of a guest that can no longer report (``whamm_cm.run.leftover``)."""
COUNT_BITS: Final = 13
ASK: Final = 60
"""u32: a host that reaches this memory sets it to be sent what scripts have counted."""
ASKED: Final = 1
SAID: Final = 2
"""Put there when all that scripts have counted was sent right before the end."""

NAME: Final = STATE + 64
NAME_SIZE: Final = 64
SAMPLING: Final = 10208
"""What ``emit/sampling.py`` keeps here; the offsets below are relative to it."""
SKIPS: Final = 0
"""u32: :class:`Skip`, of what runs now where it is of no task."""
BEGUN: Final = 4
"""u32: whether a request has begun since that was drawn."""
RANDOM: Final = 8
"""u64: the state of the generator, 0 before it begins."""
SEED: Final = 16
"""Two u64: where the host's random bits are put."""
COUNTERS: Final = 10240
N_COUNTERS: Final = 4096
SCRATCH: Final = 43008
OUT: Final = 59456
"""Where a block lies while it is emitted; even, as a string in latin1+utf16 has to be."""
BUFFER: Final = 131072
"""Where the record buffer begins if the agent has its memory to itself."""
BUFFER_SIZE: Final = PAGE
MAX_BUFFER: Final = 1 << 20
HIGH_SIZE: Final = 32 << 10
"""Filled bytes above which a probe asks for a flush."""
MAX_PAYLOAD: Final = 48 << 10
AGENT_PAGES: Final = 3


class Entry(IntEnum):
    """Offsets in an entry of a task, or of what is due to one (``tasks.h``)."""

    CALL = 0
    BEGAN = 8
    VALUE = 16
    WORD = 24
    TASK = 28
    LEFT = 32
    KEY = 32
    """Of what is due: the handle."""
    EXPORT = 40
    """Of a task: the number of its export among those of the component."""
    VARS = 44
    LOGGED = 48
    KEPT = 56


KEPT_WORDS: Final = 4
"""How many words of the parameters of a call its entry has room for."""
BEFORE_STARTED: Final = 3
"""State of a subtask that was cancelled before it started."""
BEFORE_RETURNED: Final = 4
SECRET_NAMES: Final = (
    "authorization", "*-authorization", "cookie", "set-cookie", "api-key", "*-api-key", "apikey",
    "*-apikey", "*-token", "*-secret", "*-password", "x-*-key", "x-*-signature",
    "x-*-signature-256", "x-*-auth", "x-*-credential", "x-*-session",
)  # fmt: skip
"""Names of HTTP headers whose values are secret, in any case; ``*`` is any text, ``_`` is ``-``."""
SECRET_PARAMETERS: Final = (
    "access-token", "token", "*-token", "sig", "signature", "*-signature", "key", "*-key", "apikey",
    "password", "*-password", "passwd", "pwd", "secret", "*-secret", "code", "auth", "jwt",
    "assertion", "session", "sessionid", "session-id", "x-amz-*", "x-goog-*",
)  # fmt: skip
"""The same for parameters in the query or fragment of a URL."""

# --- records and blocks --------------------------------------------------------------------------

MAX_RECORD: Final = 16384
RECORD_HEADER: Final = 16
BLOCK_MAGIC: Final = 0x324D4357
BLOCK_HEADER: Final = 32
BLOCK_BEFORE: Final = 12
"""u32: records of the run before those of this block; the receiver that numbers instances fills it
in, so that a gap in a log has a number."""
CHUNK: Final = 32
"""A block goes to a sink component as a list of chunks of that many bytes, the header being one."""
FINAL: Final = 1
"""Bit of the block's flags: nothing is left behind it, and what was received is to go out now."""
GOES_ON: Final = 4
"""Bit of the block's flags, with ``FINAL``: this is not the end, it only leaves soon."""
START: Final = 2
"""Bit of the block's flags: the first of a run; bytes 24 to 31 are the wall clock in ns since 1970,
0 if there is none."""

BAD_POINTER: Final = 0xFFFFFFFF
"""``kept`` of a string or list whose bytes lie outside of the guest's memory."""
REDACTED: Final = 0xFFFFFFFE
SECRET_SENT: Final = 256
"""Bytes of a secret that a probe sends at most."""
SECRET: Final = 0xFFFFFFFD
"""``kept`` of a secret on its way to the sink: u32 n and n bytes follow, the value's beginning.
It is rendered as ``REDACTED`` is; the bytes are only there to be found elsewhere."""

MAX_DEPTH: Final = 64
"""A value nested deeper is rendered as ``{"~deep": true}`` by sink and decoder alike, and ends the
record's tail: the sink runs on whatever stack the guest has left, so it must stay shallow."""


class Flush(IntFlag):
    """What the probes' flush function is told; ``take`` gets the same number."""

    NONE = 0
    PUSH = 1
    """Mark the block FINAL: the receiver passes on what it holds."""
    EMPTY = 2
    """Send a block even when there is no record."""
    REPORT = 4
    """Add the counters first."""
    GOES_ON = 8
    """With ``PUSH``: more may follow that is not sent, so this is no end of the run."""


class Skip(IntEnum):
    """Whether records are made of a request."""

    NO = 0
    YES = 1
    UNKNOWN = 2
    """Nothing has been drawn yet."""


class Phase(IntEnum):
    CALL = 0
    RETURN = 1
    REPORT = 2
    LOST = 3
    PENDING = 4
    PRINT = 5
    START = 6
    """Of a sink, first in its run: TIMED is the monotonic clock, the body the wall clock."""
    CANCELLED = 7
    """An async function will not return: the body is the state of the subtask, 3 or 4."""
    EXIT = 8
    """The task of an export is over."""
    STARTED = 9
    """An async function had to wait until now, and starts."""
    RESUMED = 10
    """The task of an export has waited, and goes on: the duration is that of the wait."""
    HANDLE = 11
    """An end of a stream or future was made or dropped; ``call`` is 0."""
    PIECE = 12
    """A part of a record of more than ``MAX_RECORD`` bytes: ``call`` is the size of the whole, and
    shifted by 32 how many bytes of it have come before; the site is 0, the body the bytes."""


FRAMED: Final = (
    *(Phase.CALL, Phase.RETURN, Phase.PENDING, Phase.CANCELLED, Phase.EXIT, Phase.STARTED),
    *(Phase.RESUMED, Phase.HANDLE),
)
"""Phases of records that may say of which task they are."""
LASTED: Final = FRAMED[1:-1]
"""Those that may say how long that took."""


class RecordFlag(IntFlag):
    TIMED = 1
    BAD = 2
    BIG = 4
    RAW = 8
    """Of a print: text that goes on in the same line."""
    TASK = 8
    """Of the phases ``FRAMED``: the number of the task is there."""


# --- site table ----------------------------------------------------------------------------------

TABLE_MAGIC: Final = 0x544D4357
TABLE_VERSION: Final = 3
TABLE_HEADER: Final = 64
SITE_SIZE: Final = 96
NODE_SIZE: Final = 32
VARIABLE_SIZE: Final = 32
COUNTED_SIZE: Final = 64
ENTRY_SIZE: Final = 16
NONE: Final = 0xFFFFFFFF
TABLE_SECTION: Final = "whamm-cm.sites"


class SiteKind(IntEnum):
    LOWER = 0
    LIFT = 1
    RESOURCE_DROP = 2
    RESOURCE_NEW = 3
    RESOURCE_REP = 4
    TASK_RETURN = 5
    BUILTIN = 6
    VARIABLE = 7
    """A script variable: its records are of phase REPORT, ``call`` the cell (or counter), the body
    a value of type ``result``."""
    PRINT = 8
    COUNTED = 9
    """The counters of a core module, each of which stands for cells of variables: its records are
    of phase REPORT, ``call`` the first counter, the body what ``counted.py`` reads."""


class Edge(IntEnum):
    IMPORT = 0
    EXPORT = 1
    INNER = 2
    BUILTIN = 3


class SiteFlag(IntFlag):
    SELF = 1
    ASYNC = 2
    MEMORY64 = 4
    COPIES = 8
    """Its result is a record: what it returned, and ``data``, what it copied."""


ENCODING_SHIFT: Final = 4
ENCODINGS: Final = ("utf8", "utf16", "latin1+utf16")


class NodeKind(IntEnum):
    BOOL = 0
    S8 = 1
    U8 = 2
    S16 = 3
    U16 = 4
    S32 = 5
    U32 = 6
    S64 = 7
    U64 = 8
    F32 = 9
    F64 = 10
    CHAR = 11
    STRING = 12
    LIST = 13
    FIXED_LIST = 14
    MAP = 15
    RECORD = 16
    TUPLE = 17
    VARIANT = 18
    ENUM = 19
    FLAGS = 20
    OPTION = 21
    RESULT = 22
    OWN = 23
    BORROW = 24
    STREAM = 25
    FUTURE = 26
    ERROR_CONTEXT = 27


# --- state.wasm: addresses in its memory ---------------------------------------------------------

KEY: Final = 4096
"""Where the fields of a map's key are put before ``map_at`` and ``map_get``, 8 bytes each: integers
extended to i64, f32 as the zero-extended bits, f64, strings as (u32 address, u32 length)."""
KEY_FIELDS: Final = 32
ZEROS: Final = KEY + 8 * KEY_FIELDS
"""What ``map_get`` answers for a missing key. Never written."""
VALUE_FIELDS: Final = 64
STATIC: Final = 2 * PAGE
"""First address for the script's own strings; ``state_init`` is told where they end."""
STATE_PAGES: Final = 3
MAX_TMP: Final = 16384
MAX_IMAGE: Final = 1024
"""Bytes of the image of a value that goes through ``rec_put``."""


class Agg(IntEnum):
    """Kinds of aggregation, for ``agg_new``."""

    HIST = 0
    MIN = 1
    MAX = 2
    AVG = 3
    STATS = 4
    QUANTIZE = 5
    LHIST = 6
    """Made with ``lhist_new``."""


DESCRIBE_AGG: Final = 64
"""Added to an :class:`Agg` in a descriptor."""

# --- lines ---------------------------------------------------------------------------------------

LINE_MARK: Final = "WCM2."
"""A line of the log: ``WCM2.<nonce> <run>.<line> <payload>``."""
NONCE_SIZE: Final = 12
"""Characters of a nonce."""
NONCE_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
MAX_LINE: Final = 4000
"""Bytes of a line with its end: one write that no host tears."""

# --- sink-*.wasm ---------------------------------------------------------------------------------

HEAP_BASE: Final = "__heap_base"
SETTINGS: Final = struct.Struct("<12sIII8x")
"""In front of the site table: the nonce, whether lines are JSON, whether secrets are shown, and
whether the sink is one component instance with a guest, which could use any handle it holds."""
SINK_OUT: Final = 128 << 10
SINK_INPUT: Final = 64 << 10


def sink_settings(heap_base: int) -> int:
    """Where the sink expects its settings, given the value of its exported ``__heap_base``."""
    return (heap_base + 15) & ~15


def sink_table(heap_base: int) -> int:
    """Where it expects the site table."""
    return sink_settings(heap_base) + SETTINGS.size


def near_start(sink_base: int, table_size: int) -> int:
    """Where the record buffer begins in a memory of the agent's that a sink shares."""
    end = ((sink_table(sink_base) + table_size + 15) & ~15) + SINK_OUT
    return -(-end // PAGE) * PAGE


def sink_pages(heap_base: int, table_size: int) -> int:
    """Initial memory, in pages, with which a sink never has to grow: table, text, one block."""
    end = ((sink_table(heap_base) + table_size + 15) & ~15) + SINK_OUT + SINK_INPUT
    return -(-end // PAGE)


def load_wasm(name: str) -> bytes:
    """The checked-in module of that file name, such as ``agent.wasm`` or ``sink-stderr.wasm``."""
    return resources.files(__package__).joinpath(name).read_bytes()
