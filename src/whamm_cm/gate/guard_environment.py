"""``permissions.environment`` where calls say which key they ask for, and lines about the rest.

Lists are given without what is not shown by the component that answers (``weave/answers``), so that
no value of it comes into the program's memory; here it is said of each.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from whamm_cm.gate.guard import Function, Guard, literal
from whamm_cm.gate.permissions import KeyLine, Section

_SETTINGS = ("wasi:config/store", "wasi:config/runtime")


def add_environment(guard: Guard, section: Section[KeyLine], called: Iterable[Function]) -> None:
    """Ask where the program names a key, and say which of a list are not shown."""
    why = f"{os.path.basename(section.location.file)}:{section.location.line}"
    why += ": permissions.environment"
    found = [one for one in called if _is_about(one)]
    if found:
        guard.needs(_functions(section))
    for one in found:
        if one.names[0][2] == "get":
            _ask(guard, one, why, section)
            continue
        each = guard.say(one, why, "one.0", ("hid", "would hide"))
        pairs, has = ("result", "") if "environment" in one.title else ("result.ok", "result is ok")
        loop = f"for one in {pairs} {{ if (!shown_key(one.0)) {{ {each} }} }}"
        guard.keep(one, f"if ({has}) {{ {loop} }}" if has else loop)


def _is_about(one: Function) -> bool:
    interface, _, func = one.names[0]
    if interface == "wasi:cli/environment":
        return func == "get-environment"
    return interface in _SETTINGS and func in ("get", "get-all")


def _ask(guard: Guard, one: Function, why: str, section: Section[KeyLine]) -> None:
    """A key that is not shown has no value, or the one that stands in its place."""
    for line in section.deny:
        if line.replace is not None and guard.mode == "deny":
            text = literal(line.replace)
            answer = (f"return ok(some({text}));", "another value") if one.realloc else None
            guard.ask(one, f"arg0.lower() != {literal(line.key.lower())}", why, "arg0",
                      answer=answer)  # fmt: skip
    guard.ask(one, "shown_key(arg0)", why, "arg0", answer=("return ok(none);", "none"))


def _functions(section: Section[KeyLine]) -> str:
    denied = [f"key.lower() == {literal(line.key.lower())}" for line in section.deny]
    allowed = [f"key == {literal(line.key)}" for line in section.allow or ()]
    lines = [f"    if ({one}) {{ return false; }}" for one in denied]
    lines += [f"    if ({one}) {{ return true; }}" for one in allowed]
    rest = "false" if section.allow is not None else 'key.matches("^[ -~]*$")'
    return "\n".join(
        ("// permissions.environment", "fn shown_key(key: str) -> bool {", *lines,
         f"    return {rest};", "}")
    )  # fmt: skip
