"""What the kernel finds wrong, as the sentences a reader sees.

The kernel hands out numbers: which sentence, what was expected, two values.  ``messages.h`` has the
same names in the same order; a test compares.
"""

from __future__ import annotations

#: {what}: of ``WHATS``; {a} and {b}: numbers.
MESSAGES: dict[str, str] = {
    "NONE": "",
    "END": "unexpected end, expected {what}",
    "LONG": "{what} takes too many bytes for {a} bits",
    "RANGE": "{what} does not fit in {a} bits",
    "PAST": "{what} of {a} bytes runs past the end ({b} bytes left)",
    "COUNT": "{a} {what} announced, {b} bytes left",
    "OPCODE": "unknown opcode 0x{a:02x}",
    "PREFIXED": "unknown opcode 0x{a:02x} 0x{b:02x}",
    "FLAGS": "unknown memory argument flags 0x{a:x}",
    "FLAGS_ARRAY": "unknown memory argument flags 0x{a:x} (multibyte array access)",
    "UNORDERED": "memory argument flags 0x{a:x} of an instruction without order",
    "IS": "{what} is 0x{a:02x}",
    "UNKNOWN": "unknown {what} 0x{a:02x}",
    "NEGATIVE": "negative type index",
    "BOUNDS": "{what} index is out of bounds",
    "OUTSIDE": "an instruction outside of its block",
    "NO_LABEL": "there is no label {a}",
    "BEHIND": "instructions behind the end of the function",
    "NO_END": "the function has no end",
}

WHATS: dict[str, str] = {
    "NOTHING": "",
    "INSTRUCTION": "an instruction",
    "OPCODE": "an opcode",
    "U32": "a u32",
    "BYTE": "a byte",
    "I32": "an i32",
    "I64": "an i64",
    "MEMARG": "a memory argument",
    "MEMORY_INDEX": "a memory index",
    "AN_ORDERING": "a memory ordering",
    "ORDERING": "memory ordering",
    "OFFSET": "a memory offset",
    "LABELS": "the number of label",
    "LABEL": "label",
    "A_LABEL": "a label",
    "DEFAULT": "the default label",
    "VALTYPES": "the number of value type",
    "VALTYPE": "value type",
    "A_VALTYPE": "a value type",
    "REFTYPE": "reference type",
    "A_REFTYPE": "a reference type",
    "HEAPTYPE": "heap type",
    "A_HEAPTYPE": "a heap type",
    "A_BLOCKTYPE": "a block type",
    "TYPE_INDEX": "a type index",
    "CATCHES": "the number of catch clause",
    "CATCH": "catch clause",
    "A_CATCH": "a catch clause",
    "HANDLERS": "the number of on clause",
    "HANDLER": "on clause",
    "AN_ON": "an on clause",
    "TAG_INDEX": "a tag index",
    "CAST": "cast flags",
    "F32": "f32 constant",
    "F64": "f64 constant",
    "V128": "v128 constant",
    "LANES": "lanes",
    # The index spaces, in the order of ``layout.SPACES``.
    "TYPE": "type",
    "FUNC": "func",
    "TABLE": "table",
    "MEMORY": "memory",
    "GLOBAL": "global",
    "TAG": "tag",
    "ELEM": "elem",
    "DATA": "data",
}

_SENTENCES, _NAMES = tuple(MESSAGES.values()), tuple(WHATS.values())


def sentence(message: int, what: int, a: int, b: int) -> str:
    """What the kernel's numbers say."""
    return _SENTENCES[message].format(what=_NAMES[what], a=a, b=b)


def header() -> str:
    """``messages.h``."""
    lines = ["/* Made of messages.py, which says what they mean; a test compares. */"]
    for prefix, names in (("M", MESSAGES), ("W", WHATS)):
        words = ", ".join(f"{prefix}_{name}" for name in names)
        lines.append(f"enum {{ {words} }};")
    return "\n".join(lines) + "\n"
