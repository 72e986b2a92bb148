"""User libraries: what ``--lib`` names, read and made part of what is woven.

    parse_lib_option ─▶ load_library ─▶ Library ─┬▶ parts        of a plain module (or of a unit)
                                                 └▶ definitions  of a component

A library that is a component itself first needs a place ``beside`` the woven component in a new
root, and each component with a script unit the functions as imports (``imported``).

The script unit imports a library's functions from its name under the names that scripts call, with
the core types of ``core_type``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from whamm_cm.component.decode import COMPONENT_PREAMBLE, MODULE_PREAMBLE
from whamm_cm.component.items import Item
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError, InternalError, UsageError, WeaveError
from whamm_cm.lang.builtins import WHAMM_CORE
from whamm_cm.wasm.link import Part
from whamm_cm.weave.libs.component import (
    beside,
    embed_component,
    read_component,
)
from whamm_cm.weave.libs.model import Beside, Embedded, Library, core_type
from whamm_cm.weave.libs.module import embed_module, linked, read_module

__all__ = [
    "Beside",
    "Embedded",
    "Library",
    "LibraryOption",
    "beside",
    "core_type",
    "definitions",
    "load_library",
    "parse_lib_option",
    "parts",
]

_OPTION = re.compile(r"(?P<name>[^=()]*)(?:\((?P<import>[^()]*)\))?=(?P<path>.*)", re.S)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: What the script unit itself imports from or links.
_TAKEN = frozenset({"agent", "guest", "out", "script", "state", "unit", "way"})
_READERS = {COMPONENT_PREAMBLE: read_component, MODULE_PREAMBLE: read_module}


@dataclass(frozen=True, slots=True)
class LibraryOption:
    """``import_name`` is what whamm calls the library in its output; ours has it inside, so it is
    accepted and not used.  It is ``name`` when not given."""

    name: str
    import_name: str
    path: str


def parse_lib_option(text: str) -> LibraryOption:
    """``cache=cache.wasm`` or ``cache(import-name)=cache.wasm``; UsageError for anything else."""
    match = _OPTION.fullmatch(text)
    if match is None or not match["path"]:
        raise UsageError(f"--lib {text}: write it as NAME=FILE, for example cache=cache.wasm")
    name = match["name"].strip()
    if _NAME.fullmatch(name) is None:
        raise UsageError(f"--lib {text}: {name!r} is not a name a script can use")
    if name == WHAMM_CORE.name:
        raise UsageError(f"--lib {text}: {name} is built in; leave the option out")
    if name in _TAKEN:
        raise UsageError(f"--lib {text}: {name} means something else to us; choose another name")
    return LibraryOption(name, (match["import"] or "").strip() or name, match["path"])


def load_library(name: str, data: bytes, what: str) -> Library:
    """The library scripts know as ``name``, from the bytes of the file that ``what`` names.

    Raises InputError (it is no WebAssembly, exports nothing a script can call, or imports what a
    library does not get) and DecodeError (malformed).
    """
    reader = _READERS.get(data[:8])
    if reader is None:
        raise InputError(
            f"{what}, given as library {name!r}, is neither a core WebAssembly module nor a "
            "component"
        )
    return reader(name, data, what)


def parts(library: Library, site: int = 0, runtime: str = "state") -> list[Part]:
    """The library as modules to link with the script unit, where it provides its name.

    ``site``: the number of the print site its text belongs to (``library.prints``); ``runtime``:
    the module name that ``tmp``, ``st8``, ``st64`` and ``raw_print`` are provided under.  Its start
    function has to run before that of the script unit: parts start in the order ``link`` is told,
    by the name of this part, which is the library's.

    Raises WeaveError for a component.
    """
    if library.kind == "component":
        raise WeaveError(
            f"library {library.name} is a component, which a plain core module cannot hold; give a "
            "core module, or weave a component"
        )
    return [Part(library.name, linked(library, site, runtime), library.name)]


def definitions(
    library: Library,
    runtime: Item,
    site: int = 0,
    functions: Mapping[str, Item] | None = None,
    guard: Item | None = None,
) -> Embedded:
    """The library as definitions of a component: put them behind the core instance ``runtime``
    (state.wasm: ``memory`` and its functions) and in front of the script unit, which takes
    ``Embedded.instance`` under the library's name.

    ``functions``: what ``imported`` answered, for a library that is a component; ``guard``: see
    ``libs.guard``.
    """
    if library.kind == "module":
        return embed_module(library, runtime, site)
    if functions is None:
        raise InternalError(f"library {library.name} is a component, but nobody imports it")
    return embed_component(library, runtime, functions, guard)
