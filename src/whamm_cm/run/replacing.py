"""Which argument of a command is the component that it runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError, UsageError

COMPONENT_MAGIC = b"\0asm\x0d\0\x01\0"

#: Known runners → their options whose value is the next word.  Others of theirs stand alone, or
#: have the value behind "=" or, one letter, behind it.
RUNNERS: dict[str, frozenset[str]] = {
    name: frozenset(options.split())
    for name, options in {
        "wasmtime": "-O --optimize -C --codegen -D --debug -W --wasm -S --wasi -R --record --target"
        " --config --profile --dir --env --invoke --preload --argv0 --addr --shutdown-addr"
        " --max-instance-reuse-count --max-instance-concurrent-reuse-count -g --gdbstub"
        " --idle-instance-timeout -H --header -o --output",
        "jco": "-o --out-dir -d --dir --env --name --map --host-arg --jco-dir --jco-trace"
        " --jco-import --jco-map --async-mode --async-imports --async-exports -p --port --host",
        "wasmer": "--dir --mapdir --volume --env -e --entrypoint --net -n --registry --use",
        "wamr": "--dir --map-dir --env -f --addr-pool --heap-size --stack-size",
        "iwasm": "--dir --map-dir --env -f --addr-pool --heap-size --stack-size",
    }.items()
}


@dataclass(frozen=True, slots=True)
class _File:
    """``value``: it is, or may be, the value of an option."""

    index: int
    component: bool
    value: bool


@dataclass(frozen=True, slots=True)
class Chosen:
    """The argument number ``index``; ``others``: files that might have been meant as well."""

    index: int
    others: tuple[str, ...] = ()


def find_wasm_argument(cmd: Sequence[str]) -> Chosen:
    """The argument to replace: a component before a core module (``.wasm``), an argument of its
    own before what may be the value of an option.  The command itself is not looked at.

    For a known runner, what is the value of an option is known, and is never replaced.
    """
    runner = _runner(cmd)
    options = RUNNERS[PurePath(cmd[runner]).name] if runner is not None else None
    files = [
        _File(index, _is_component(cmd[index]), value)
        for index, value in _files(cmd, runner or 0, options)
        if cmd[index].endswith(".wasm") or _is_component(cmd[index])
    ]
    likely = [one for one in files if options is None or not one.value]
    if likely:
        chosen = min(likely, key=lambda one: (not one.component, one.value, one.index))
        others = (cmd[one.index] for one in files if one.component and one is not chosen)
        return Chosen(chosen.index, tuple(others))
    for word in cmd[1:]:
        if word.endswith(".wasm") and not word.startswith("-") and not os.path.exists(word):
            raise InputError(f"{word}: there is no such file")
    raise UsageError(
        f"no argument of '{' '.join(cmd)}' names an existing component: give the path of the .wasm"
        " file as an argument of its own, or name it with --component"
    )


def named_argument(cmd: Sequence[str], path: str) -> int | None:
    """The argument that is the very file ``path``, if there is one."""
    for index, word in enumerate(cmd):
        if index and os.path.isfile(word) and os.path.samefile(word, path):
            return index
    return None


def _runner(cmd: Sequence[str]) -> int | None:
    """Where the known runner stands: first, or behind ``env``, ``timeout 5``, ``npx``…"""
    for index, word in enumerate(cmd):
        if index and os.path.isfile(word) and _is_component(word):
            break
        if PurePath(word).name in RUNNERS:
            return index
    return None


def _files(
    cmd: Sequence[str], start: int, options: frozenset[str] | None
) -> Iterator[tuple[int, bool]]:
    """The arguments that are files, and whether each is, or where ``options`` are not known may
    be, the value of the option before it."""
    only_words = False
    for index in range(start + 1, len(cmd)):
        before, word = cmd[index - 1], cmd[index]
        only_words |= word == "--"
        if os.path.isfile(word):
            option = index - 1 > start and not only_words and re.match("-.", before) is not None
            yield index, option and ("=" not in before if options is None else before in options)


def _is_component(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(COMPONENT_MAGIC)) == COMPONENT_MAGIC
    except OSError:
        return False
