"""Debug information that is not in a core module: files that were named, and those that it names.

A module says where it is by a section ``external_debug_info`` (another module, with DWARF) or
``sourceMappingURL`` (a source map).  What the module names is followed if it is a file beside the
input, one step and no further; nothing is fetched from anywhere.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence
from dataclasses import field

from whamm_cm.analysis.source_map import SourceMap, is_source_map, read_source_map
from whamm_cm.component.decode import MODULE_PREAMBLE
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import DecodeError, InputError, UsageError, nearest
from whamm_cm.files import read
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.module import CoreModule, SectionId

_EXTERNAL, _MAP = "external_debug_info", "sourceMappingURL"
#: What is longer than this is no debug information that a module may have us read by naming it.
_MOST = 256 << 20


@dataclass(frozen=True, slots=True)
class DebugFile:
    """``module``: which core module it is for, "" where that has to be found out; ``path``: as
    messages call it."""

    module: str
    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """``sections``: custom sections by name; ``map``: a source map; ``note``: why there is nothing,
    or something wrong with it."""

    sections: dict[str, bytes] = field(default_factory=dict)
    map: SourceMap | None = None
    note: str = ""


def read_debug_file(text: str | os.PathLike[str]) -> DebugFile:
    """``[MODULE=]FILE``.  Raises InputError for a file that cannot be read."""
    path = os.fspath(text)
    module, equals, rest = path.partition("=")
    if not equals or os.path.exists(path):
        module, rest = "", path
    return DebugFile(module, rest, read(rest))


def sections_of(module: CoreModule) -> dict[str, bytes]:
    """Contents of the custom sections."""
    data = module.data
    return {one.name: bytes(data[one.content : one.end]) for one in module.custom_sections}


def assigned(
    files: Sequence[DebugFile], modules: Sequence[tuple[str, CoreModule]]
) -> list[tuple[CoreModule, DebugFile]]:
    """Each file with the core module that it is for; ``modules`` with the names they go by.

    Raises UsageError where that is not clear.
    """
    found = []
    for file in files:
        named = [module for name, module in modules if file.module and name == file.module]
        if file.module and not named:
            names = [name for name, _ in modules if name]
            close = nearest(file.module, names)
            hint = f"did you mean {close}?" if close else f"there is {', '.join(names) or 'none'}"
            raise UsageError(f"--debug {file.path}: no core module {file.module}; {hint}")
        found.append((named[0] if named else _meant(file, modules), file))
    return found


def _meant(file: DebugFile, modules: Sequence[tuple[str, CoreModule]]) -> CoreModule:
    """The module with the same code, else the only one without debug information, or at all."""
    code = _code(file.data)
    same = [module for _, module in modules if code and _code_of(module) == code]
    able = [module for _, module in modules if module.section(SectionId.CODE) is not None]
    bare = [module for module in able if ".debug_line" not in sections_of(module)]
    for candidates in (same, bare, able):
        if len({id(module) for module in candidates}) == 1:
            return candidates[0]
    names = ", ".join(name for name, _ in modules if name)
    raise UsageError(
        f"--debug {file.path}: it is not clear which core module it is for; write"
        f" --debug MODULE={file.path}" + (f", MODULE one of {names}" if names else "")
    )


def _code(data: bytes) -> bytes:
    try:
        return _code_of(CoreModule(data)) if data[:8] == MODULE_PREAMBLE else b""
    except DecodeError:
        return b""


def _code_of(module: CoreModule) -> bytes:
    section = module.section(SectionId.CODE)
    return b"" if section is None else bytes(module.data[section.start : section.end])


# --- reading -------------------------------------------------------------------------------------


def given(file: DebugFile, module: CoreModule) -> Found:
    """What a file that was named says of a module."""
    return _read(file.data, file.path, module)


def followed(module: CoreModule, folder: str | None) -> Found:
    """What the module names, with ``folder`` the one that the input is in."""
    sections = sections_of(module)
    for name in (_EXTERNAL, _MAP):
        if name not in sections:
            continue
        try:
            cur = Cursor(sections[name], 0, len(sections[name]))
            url = cur.name("a URL")
        except DecodeError:
            return Found(note=f"no source lines: the section {name} has no URL")
        return _follow(url, module, folder)
    return Found()


def _follow(url: str, module: CoreModule, folder: str | None) -> Found:
    if url.startswith("data:"):
        try:
            data = base64.b64decode(url.partition("base64,")[2], validate=True)
        except binascii.Error:
            return Found(note="no source lines: the source map in the module is not in base64")
        return _read(data, "the source map in the module", module)
    if "://" in url and not url.startswith("file://"):
        return Found(note=f"no source lines: they are at {url[:200]}, which is not fetched; give it"
                          " with --debug FILE")  # fmt: skip
    where = url.removeprefix("file://").replace("\0", "?")
    path = os.path.realpath(os.path.join(folder or "", where))
    if folder is None or not path.startswith(os.path.realpath(folder) + os.sep):
        return Found(note=f"no source lines: they are in {where[:200]}, which is not beside the"
                          " input; give it with --debug FILE")  # fmt: skip
    where = where[:200]
    if not os.path.isfile(path):
        return Found(note=f"no source lines: {where} is not there; give it with --debug FILE")
    try:
        if os.path.getsize(path) <= _MOST:
            return _read(read(path), where, module)
    except (OSError, InputError) as error:
        return Found(note=f"no source lines: {where} cannot be read ({error})")
    return Found(note=f"no source lines: {where} is larger than 256 MiB")


def _read(data: bytes, what: str, module: CoreModule) -> Found:
    if is_source_map(data):
        try:
            return Found(map=read_source_map(data, what))
        except InputError as error:
            return Found(note=f"no source lines: {error}")
    if data[:8] != MODULE_PREAMBLE:
        return Found(note=f"no source lines: {what} is neither a core module nor a source map")
    try:
        other = CoreModule(data)
        sections, code = sections_of(other), _code_of(other)
    except DecodeError as error:
        return Found(note=f"no source lines: {what} is malformed ({error})")
    if ".debug_line" not in sections:
        return Found(note=f"no source lines: {what} has no debug information")
    if code and code != _code_of(module):
        return Found(note=f"no source lines: {what} is of another build: its code differs")
    return Found(sections)
