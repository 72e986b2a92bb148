"""Commands of a ``.wast`` script and the components it defines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import wasmtime

import fixtures  # noqa: F401  (says which text the assembler takes)
from tests.wast_driver.sexpr import Atom, Form, Str, parse

_DEFINITION = re.compile(r"\(\s*(component|module)\s+definition\b")


@dataclass(frozen=True, slots=True)
class Command:
    """One top-level form with the line it starts on."""

    form: Form
    line: int
    text: str

    @property
    def head(self) -> str:
        return self.form.head


@dataclass(frozen=True, slots=True)
class Definition:
    """A component some command defines.

    ``expect`` is ``valid``, ``invalid``, ``malformed``, ``unlinkable`` or ``trap`` as the command
    around it says; ``data`` is None where the text could not be assembled (``fault`` says why).
    """

    line: int
    name: str
    expect: str
    data: bytes | None
    fault: str


def commands(text: str) -> list[Command]:
    """The commands of a script, in order."""
    found, line, at = [], 1, 0
    for form in parse(text):
        line += text.count("\n", at, form.start)
        at = form.start
        found.append(Command(form, line, text[form.start : form.end]))
    return found


def component_id(form: Form) -> str:
    """``$name`` of a ``(component [definition|instance] $name …)`` form, or the empty string."""
    for item in form.items[1:3]:
        if isinstance(item, Atom) and item.text.startswith("$"):
            return item.text
        if not (isinstance(item, Atom) and item.text in ("definition", "instance")):
            break
    return ""


def assemble(form: Form, text: str) -> bytes:
    """The binary of a ``(component …)`` or ``(module …)`` form: text, ``binary`` or ``quote``.

    ``text`` is the source the form's offsets refer to.  Raises ``wasmtime.WasmtimeError`` where
    the text cannot be assembled.
    """
    strings = b"".join(item.data for item in form.items if isinstance(item, Str))
    words = {item.text for item in form.items[1:4] if isinstance(item, Atom)}
    if "binary" in words:
        return strings
    if "quote" in words:
        return bytes(wasmtime.wat2wasm(f"({form.head} ".encode() + strings + b")"))
    source = text[form.start : form.end]
    return bytes(wasmtime.wat2wasm(_DEFINITION.sub(r"(\1", source, count=1)))


def _component_of(command: Command) -> tuple[Form, str] | None:
    """The component form a command defines and what the command expects of it."""
    form = command.form
    if form.head == "component":
        is_instance = Atom("instance") in form.items[1:2]
        return None if is_instance else (form, "valid")
    expect = form.head.removeprefix("assert_")
    inner = form.items[1] if len(form.items) > 1 else None
    if expect == form.head or not isinstance(inner, Form) or inner.head != "component":
        return None
    return inner, expect


def definitions(path: Path) -> Iterator[Definition]:
    """Every component defined anywhere in the script at ``path``."""
    text = path.read_text("utf-8", "surrogateescape")
    for command in commands(text):
        found = _component_of(command)
        if found is None:
            continue
        form, expect = found
        data, fault = None, ""
        try:
            data = assemble(form, text)
        except wasmtime.WasmtimeError as error:
            fault = str(error)
        yield Definition(command.line, component_id(form), expect, data, fault)
