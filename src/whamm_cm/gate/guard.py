"""A policy as a script that holds a component to it: one probe for each function it may not call.

The script is text, to be read and printed; what the guard does is what stands there.  A denied call
never reaches the host: it is answered with an error of the function's own type where its WIT has
one that fits, and ends the program with a trap where it has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from typing import Literal, TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.wit.types import (
    EnumT,
    ListT,
    OptionT,
    Prim,
    ResultT,
    ValType,
    VariantT,
    strip,
)

Mode: TypeAlias = Literal["deny", "warn"]
Answer: TypeAlias = tuple[str, str]

#: Cases that say best that something is denied, the first that a type has counts.
_CASES = (
    "access-denied", "access", "not-permitted", "permission-denied", "HTTP-request-denied",
    "denied", "forbidden", "unauthorized", "closed", "not-supported", "unsupported",
)  # fmt: skip
#: Cases that carry a text, for want of such a one.
_TEXTS = ("other", "io", "upstream", "internal-error")
_SAID = "denied by policy"
#: What programs and their shims ask for as they begin, and cannot be refused: they end at an error.
#: A list with nothing in it, an option without a value and a file of no known type are answers.
_BEGINNINGS = frozenset((
    ("wasi:cli/environment", "get-environment"), ("wasi:cli/environment", "get-arguments"),
    ("wasi:cli/environment", "initial-cwd"), ("wasi:cli/environment", "get-initial-cwd"),
    ("wasi:cli/terminal-stdin", "get-terminal-stdin"),
    ("wasi:cli/terminal-stdout", "get-terminal-stdout"),
    ("wasi:cli/terminal-stderr", "get-terminal-stderr"),
    ("wasi:filesystem/preopens", "get-directories"),
    ("wasi:filesystem/types", "descriptor.get-type"),
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Function:
    """A function that the component calls and its host provides.

    ``names``: what it goes by at the root, (interface, version, function), the one to show first.
    ``realloc``: whether an answer may have a text in it; ``drops``: whether all that it is given
    for good can be dropped in its place.
    """

    names: tuple[tuple[str, str | None, str], ...]
    params: tuple[tuple[str, ValType], ...]
    result: ValType | None
    realloc: bool
    drops: bool = True

    @property
    def pattern(self) -> str:
        """The item of a rule that means this function, and no other version of it."""
        interface, version, func = self.names[0]
        exact = f"@={version}" if interface and version else ""
        return f"{interface}{exact}#{func}"

    @property
    def title(self) -> str:
        interface, version, func = self.names[0]
        return f"{interface}{f'@{version}' if version else ''}#{func}"

    @property
    def answer(self) -> Answer:
        """The statement that answers with an error, and the error in words; or the one that traps,
        and nothing."""
        interface, _, func = self.names[0]
        found = _nothing(self.result) if (interface, func) in _BEGINNINGS else None
        if not found and self.drops:
            found = _error(self.result, self.realloc)
        return found or (f'abort("enforce: {self.title} is denied");', "")


def _nothing(result: ValType | None) -> Answer | None:
    """What says that there is nothing, where the type has such a value."""
    whole = None if result is None else strip(result)
    if isinstance(whole, ListT):
        return "return [];", "nothing"
    if isinstance(whole, OptionT):
        return "return none;", "nothing"
    ok = strip(whole.ok) if isinstance(whole, ResultT) and whole.ok is not None else None
    labels = ok.labels if isinstance(ok, EnumT) else ()
    return ("return ok(unknown);", "unknown") if "unknown" in labels else None


def _error(result: ValType | None, realloc: bool) -> Answer | None:
    whole = None if result is None else strip(result)
    if not isinstance(whole, ResultT):
        return None
    if whole.err is None:
        return "return err;", "error"
    error = strip(whole.err)
    if _is_text(error):
        return (f'return err("{_SAID}");', "error") if realloc else None
    cases: Sequence[tuple[str, ValType | None]] = ()
    if isinstance(error, EnumT):
        cases = [(label, None) for label in error.labels]
    elif isinstance(error, VariantT):
        cases = error.cases
    plain = [label for label, payload in cases if payload is None]
    best = next((case for case in _CASES if case in plain), "")
    if best:
        return f'fail("{best}");', best
    return _text_case(cases, realloc)


def _text_case(cases: Iterable[tuple[str, ValType | None]], realloc: bool) -> Answer | None:
    for label, payload in cases:
        kind = None if payload is None else strip(payload)
        word = label.replace("-", "_")
        if label in _TEXTS and _is_text(kind) and realloc:
            return f'return err({word}("{_SAID}"));', label
        if label in _TEXTS and isinstance(kind, OptionT):
            return f"return err({word}(none));", label
    return None


def literal(text: str) -> str:
    """``text`` as a string of the language, whatever is in it."""
    return (
        '"'
        + "".join(
            chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}"
            for byte in text.encode()
        )
        + '"'
    )


def _escaped(text: str) -> str:
    """Within the text of a ``print``; names of files may have bytes in them that are no text."""
    shown = text.encode("utf-8", "backslashreplace").decode()
    return literal(shown)[1:-1].replace("{", "{{").replace("}", "}}")


def _is_text(t: ValType | None) -> bool:
    return isinstance(t, Prim) and t.name == "string"


@dataclass(slots=True)
class Guard:
    """What is woven: ``text`` is the script, ``denied`` the functions that are denied altogether,
    with the error they answer with, "" for a trap; ``asked`` those of which some calls are;
    ``answered`` those whose answers the policy gives or shortens, with what it does."""

    mode: Mode
    denied: list[tuple[str, str]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    answered: list[tuple[str, str]] = field(default_factory=list)
    _shared: list[str] = field(default_factory=list)
    _ahead: dict[Function, list[str]] = field(default_factory=dict)
    _before: dict[Function, list[str]] = field(default_factory=dict)
    _after: dict[Function, list[str]] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not self.functions

    @property
    def functions(self) -> list[Function]:
        """All that have a probe."""
        return [*dict.fromkeys((*self._ahead, *self._before, *self._after))]

    @property
    def text(self) -> str:
        first = "alt" if self.mode == "deny" else "before"
        probes = [_probe(one, "before", body) for one, body in self._ahead.items()]
        probes += [_probe(one, first, body) for one, body in self._before.items()]
        probes += [_probe(one, "after", body) for one, body in self._after.items()]
        return "\n".join([*self._shared, *probes])

    def deny(self, function: Function, why: str) -> None:
        """Deny every call.  ``why``: what of the policy denies it."""
        self.denied.append((function.title, function.answer[1]))
        self._before[function] = self._refusal(function, why, "", function.answer[0])

    def ask(
        self, function: Function, condition: str, why: str, value: str = "", setup: str = "",
        answer: Answer | None = None,
    ) -> None:  # fmt: skip
        """Deny calls for which ``condition`` does not hold, unless all are denied; ``setup``:
        statements before it; ``answer``: as of :class:`Function`, where there is a better one."""
        if any(title == function.title for title, _ in self.denied):
            return
        statement, error = answer or function.answer
        if (function.title, error) not in self.asked:
            self.asked.append((function.title, error))
        refusal = "\n        ".join(self._refusal(function, why, value, statement))
        body = self._before.setdefault(function, [])
        body += [setup] if setup else []
        body.append(f"if (!({condition})) {{\n        {refusal}\n    }}")

    def look(self, function: Function, statement: str) -> None:
        """Do something ahead of what is asked, while entries of handles that go with the call are
        still there."""
        self._ahead.setdefault(function, []).append(statement)

    def keep(self, function: Function, statement: str) -> None:
        """Do something behind calls that went through."""
        self._after.setdefault(function, []).append(statement)

    def needs(self, text: str) -> None:
        """Variables, functions and further probes of the script, once however often they are asked
        for."""
        if text.strip() not in self._shared:
            self._shared.append(text.strip())

    def _refusal(self, function: Function, why: str, value: str, answer: str) -> list[str]:
        said = self.say(function, why, value)
        return [said, answer] if self.mode == "deny" else [said]

    def outcome(self, error: str) -> str:
        """What becomes of a call that is denied, in words."""
        if self.mode == "warn":
            return "is told of"
        return f"answers {error}" if error else "traps"

    def say(
        self, function: Function, why: str, value: str = "",
        verbs: tuple[str, str] = ("denied", "would deny"),
    ) -> str:  # fmt: skip
        """The line about it; ``value``: an expression of the script that tells it from others."""
        verb = verbs[self.mode == "warn"]
        text = _escaped(f"enforce: {verb} {function.title}") + (" {}" if value else "")
        return f'print("{text} ({_escaped(why)})"{f", {value}" if value else ""});'


def _probe(function: Function, mode: str, body: Sequence[str]) -> str:
    lines = (f"    {one}" for one in body)
    return "\n".join((f"wit:import:{function.pattern}:{mode} {{", *lines, "}"))
