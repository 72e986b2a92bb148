"""whamm-cm: weave probes into WebAssembly components and trace what they do.

The front door is :func:`load`, for a component or a core module, and :func:`read_log`, for what
was recorded; ``docs/api.md`` shows them at work.  Importing this package costs nothing: what a name
stands for is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from whamm_cm._version import __version__
from whamm_cm.errors import (
    DecodeError,
    InputError,
    InternalError,
    RunError,
    UsageError,
    WeaveError,
    WhammError,
)

if TYPE_CHECKING:
    from whamm_cm.front.app import Component, CoreModule, load
    from whamm_cm.front.read import read_log
    from whamm_cm.front.run import Run
    from whamm_cm.front.settings import Settings
    from whamm_cm.front.verdict import Verdict
    from whamm_cm.front.woven import Woven
    from whamm_cm.lang.source import ScriptError
    from whamm_cm.render.options import RenderOptions
    from whamm_cm.run.options import Dir
    from whamm_cm.trace.session import Call

__all__ = [
    "Call",
    "Component",
    "CoreModule",
    "DecodeError",
    "Dir",
    "InputError",
    "InternalError",
    "RenderOptions",
    "Run",
    "RunError",
    "ScriptError",
    "Settings",
    "UsageError",
    "Verdict",
    "WeaveError",
    "WhammError",
    "Woven",
    "__version__",
    "load",
    "read_log",
]

#: Where the names are that are imported when they are first used.
_ROOMS = {
    "Call": "trace.session",
    "Component": "front.app",
    "CoreModule": "front.app",
    "Dir": "run.options",
    "RenderOptions": "render.options",
    "Run": "front.run",
    "ScriptError": "lang.source",
    "Settings": "front.settings",
    "Verdict": "front.verdict",
    "Woven": "front.woven",
    "load": "front.app",
    "read_log": "front.read",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
