"""Components made byte by byte, with names and attributes that no tool would write."""

from __future__ import annotations

from collections.abc import Callable

from wasmtime import wat2wasm

from whamm_cm.wasm.leb import unsigned

HEAD = b"\0asm\x0d\0\1\0"
#: func () -> u32
FUNC = b"\x40\x00\x00\x79"
ATTRIBUTES = {"implements": 0, "versionsuffix": 1, "external-id": 2}
INSTANCE, FUNCTION, VALUE, TYPE = b"\x05\x00", b"\x01\x00", b"\x02\x01\x79", b"\x03\x00\x00"


def text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return unsigned(len(data)) + data


def section(number: int, *entries: bytes) -> bytes:
    content = unsigned(len(entries)) + b"".join(entries)
    return bytes((number,)) + unsigned(len(content)) + content


def instance(*names: str) -> bytes:
    """An instance type with functions."""
    declared = [b"\x01" + FUNC, *(b"\x04\x00" + text(name) + b"\x01\x00" for name in names)]
    return b"\x42" + unsigned(len(declared)) + b"".join(declared)


def extern(name: str, attributes: list[tuple[str, str]] | None = None, form: int = 0) -> bytes:
    if attributes is None:
        return bytes((form,)) + text(name)
    rows = b"".join(bytes((ATTRIBUTES[key],)) + text(value) for key, value in attributes)
    return b"\x02" + text(name) + unsigned(len(attributes)) + rows


def importing(
    name: str,
    attributes: list[tuple[str, str]] | None = None,
    kind: bytes = INSTANCE,
    form: int = 0,
    function: str = "instance-network",
) -> bytes:
    """A component with one import."""
    type_ = FUNC if kind == FUNCTION else instance(function)
    return HEAD + section(7, type_) + section(10, extern(name, attributes, form) + kind)


def importing_as(row: bytes, text: str) -> bytes:
    """The component of ``text`` with ``row`` in the place of its one import."""
    data = bytes(wat2wasm(text))
    at = len(HEAD)
    while data[at] != 10:  # the section of imports
        at = _content(data, at)[1]
    return data[:at] + section(10, row) + data[_content(data, at)[1] :]


def _content(data: bytes, at: int) -> tuple[int, int]:
    """Where the content of the section that starts at ``at`` starts and ends."""
    size, shift, at = 0, 0, at + 1
    while True:
        size |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            return at, at + size


def stripped(data: bytes, keeps: Callable[[], bool] = lambda: False) -> bytes:
    """Without custom sections, at any depth, as ``wasm-tools strip --all`` leaves it; ``keeps`` is
    asked for each of them."""
    out, at = bytearray(data[:8]), 8
    component = data[4:8] == HEAD[4:8]
    while at < len(data):
        number, (start, at) = data[at], _content(data, at)
        content = data[start:at]
        if number == 0 and not keeps():
            continue
        if component and number in (1, 4):
            content = stripped(content, keeps)
        out += bytes((number,)) + unsigned(len(content)) + content
    return bytes(out)
