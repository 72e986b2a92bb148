"""The functions a component exports and the names people give them."""

from __future__ import annotations

from collections.abc import Iterable

from wasmtime import Engine
from wasmtime.component import Component, ComponentInstanceType, FuncType

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import RunError, UsageError
from whamm_cm.run.values import func_type
from whamm_cm.wit.types import FuncT

COMMAND = "wasi:cli/run@0.2."


@dataclass(frozen=True, slots=True)
class Export:
    """An exported function; ``interface`` is None for one of the component itself."""

    interface: str | None
    name: str
    type: FuncT


def find_export(engine: Engine, component: Component, wanted: str | None) -> Export:
    """The function ``func``, ``ns:pkg/iface#func`` or ``iface#func``; the command's ``run`` for
    None.  A version may be left out where it is not needed to tell two interfaces apart."""
    exports = _functions(engine, component)
    if wanted is None:
        found = [n for n in exports if n.startswith(COMMAND) and n.endswith("#run")]
        if not found:
            raise RunError(_no_command(exports))
    elif wanted in exports:
        found = [wanted]
    else:
        found = [n for n in exports if wanted in _aliases(n)]
        if len(found) != 1:
            what = f"more than one export is called {wanted}" if found else f"no export {wanted}"
            raise UsageError(f"--invoke: {what}; {_known(found or list(exports))}")
    interface, separator, name = found[0].rpartition("#")
    with exports[found[0]] as raw:
        return Export(interface if separator else None, name, func_type(raw.ptr()))


def _functions(engine: Engine, component: Component) -> dict[str, FuncType]:
    """All exported functions, by ``interface#function`` for those of an interface."""
    functions: dict[str, FuncType] = {}
    with component.type as raw:
        for name, export in raw.exports(engine).items():
            item = export.ty
            if isinstance(item, FuncType):
                functions[name] = item
            elif isinstance(item, ComponentInstanceType):
                for label, part in item.exports(engine).items():
                    func = part.ty
                    if isinstance(func, FuncType):
                        functions[f"{name}#{label}"] = func
    return functions


def _aliases(name: str) -> set[str]:
    """All the ways to say an export's name: without the version, without the package."""
    interface, separator, label = name.rpartition("#")
    if not separator:
        return {name}
    plain = interface.partition("@")[0]
    return {f"{way}#{label}" for way in (interface, plain, plain.rpartition("/")[2])}


def _known(names: list[str]) -> str:
    if not names:
        return "the component exports no function"
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"there is {', '.join(names[:20])}{more}"


_REMEDIES = (
    ("wasi:http/", "it is an HTTP handler: whamm-cm trace --http APP.wasm serves it"),
    ("wasi:cli/run@0.3.", "it is a WASI 0.3 command: whamm-cm trace APP.wasm runs it on wasmtime"),
    ("", "name an export with --invoke 'func(args)'"),
)


def _no_command(names: Iterable[str]) -> str:
    known = [*names, ""]
    remedy = next(r for start, r in _REMEDIES if any(n.startswith(start) for n in known))
    return f"the component is no WASI 0.2 command (it does not export {COMMAND}x); {remedy}"
