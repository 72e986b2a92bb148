"""What the embedded host offers a component: WASI 0.2, wasi:http, our sink, and stubs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from wasmtime import Engine, Store, WasiConfig, WasmtimeError
from wasmtime.component import (
    Component,
    FuncType,
    Instance,
    Linker,
    LinkerInstance,
    ResourceType,
)
from wasmtime.component import ComponentInstanceType as InstanceType

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import RunError
from whamm_cm.run.host.bridge import Fault, add_function

SINK = "whamm:cm/sink"
#: Of ``Plan.own_clocks``: what is in them, and what answers it.
CLOCKS: dict[str, tuple[str, Callable[[], int]]] = {
    "whamm:cm/clock": ("now", time.monotonic_ns),
    "whamm:cm/wall-clock": ("wall", time.time_ns),
}

_MISSING = re.compile(r"^component imports [^`]* `([^`]*)`")
_EXPORT = re.compile(r"instance export `([^`]*)`")
_MAX_LISTED = 12
_FIRST_STUB_RESOURCE = 0x5743_0000  # a number of its own for each resource type we make up


@dataclass(frozen=True, slots=True)
class Missing:
    """An import the host cannot satisfy; ``item`` is the first function of it that is missing."""

    name: str
    item: str | None
    cause: str

    def __str__(self) -> str:
        return f"{self.name} ({self.item})" if self.item else self.name


def is_sink(name: str) -> bool:
    return name == SINK or name.startswith(f"{SINK}@")


def make_linker(
    engine: Engine, imports: dict[str, Any], emit: Callable[[str], int] | None
) -> Linker:
    """A linker with everything the host has; ``emit`` answers the sink if it is imported."""
    linker = Linker(engine)
    linker.add_wasip2()
    linker.add_wasi_http()
    add_sink(linker, imports, emit)
    return linker


def add_sink(linker: Linker, imports: dict[str, Any], emit: Callable[[str], int] | None) -> None:
    """Let ``emit`` answer the sink, if it is imported."""
    for name in filter(is_sink, imports if emit is not None else ()):
        with linker.root() as root, root.add_instance(name) as instance:
            add_function(instance, "emit", name, lambda _, block: emit(block))  # type: ignore[misc]


def add_clocks(linker: Linker, imports: dict[str, Any], begun_ns: int) -> None:
    """Clocks for probes, where they have some of their own; ``now`` counts from ``begun_ns``."""
    for name in CLOCKS.keys() & imports.keys():
        label, read = CLOCKS[name]
        since = begun_ns if label == "now" else 0
        with linker.root() as root, root.add_instance(name) as instance:
            add_function(instance, label, name, lambda _, read=read, since=since: read() - since)


def missing_import(error: WasmtimeError) -> Missing | None:
    """What an instantiation error says is missing, if that is what it is about."""
    text = str(error)
    match = _MISSING.match(text)
    if match is None:
        return None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    cause = re.sub(r"^\d+: ", "", lines[-1]).partition(": this import")[0]
    item = _EXPORT.search(text)
    return Missing(match.group(1), item.group(1) if item else None, cause)


def link(
    engine: Engine,
    component: Component,
    store: Store,
    emit: Callable[[str], int] | None,
    *,
    stub_imports: bool,
) -> Instance:
    """Instantiates; start functions run here, so this may trap or exit like any call.

    wasmtime has a function that stubs all unknown imports, but it knows an import only by its exact
    version (it would stub ``wasi:cli/stdout@0.2.0`` beside the 0.2.12 it has), so this stubs one by
    one what wasmtime itself reports missing.
    """
    imports = imports_of(engine, component)

    def make() -> Linker:
        return make_linker(engine, imports, emit)

    linker = make()
    try:
        return linker.instantiate(store, component)
    except WasmtimeError as error:
        if missing_import(error) is None:
            raise
    stub(linker, engine, component, make, stub_imports)
    return linker.instantiate(store, component)


def stub(
    linker: Linker,
    engine: Engine,
    component: Component,
    make: Callable[[], Linker],
    stub_imports: bool,
    told: bool = False,
) -> None:
    """Define stubs for what is missing in ``linker``, one that ``make`` has made; ``told``: as
    functions of the host in Python, so that who watches is told of calls.

    Raises RunError where something is missing and no stubs are wanted, or none will do.
    """
    missing = find_missing(engine, component, make)
    if missing and (not stub_imports or any(not _can_stub(m) for m in missing)):
        raise RunError(_complaint(missing))
    stubs = _Stubs(engine, imports_of(engine, component), told)
    for item in missing:
        stubs.define(linker, item.name)


def imports_of(engine: Engine, component: Component) -> dict[str, Any]:
    """What the component imports, by name: a type of each."""
    return {name: item.ty for name, item in component.type.imports(engine).items()}


def find_missing(engine: Engine, component: Component, make: Callable[[], Linker]) -> list[Missing]:
    """Every import a linker of ``make`` cannot satisfy, in the order wasmtime finds them.

    wasmtime reports one at a time: stub it, try again.  The store's epoch deadline has already
    passed, so no start function of the guest gets to run.
    """
    linker = make()
    stubs, missing = _Stubs(engine, imports_of(engine, component)), list[Missing]()
    while True:
        store = Store(engine)
        store.set_epoch_deadline(0)
        store.set_wasi(WasiConfig())
        store.set_wasi_http()
        try:
            linker.instantiate(store, component)
        except WasmtimeError as error:
            found = missing_import(error)
            if found is not None:
                again = any(found.name == earlier.name for earlier in missing)
                if not again:
                    missing.append(found)
                    stubs.define(linker, found.name)
                    continue
                # Stubbing did not help (an async function, a module): remember why.
                missing = [found if found.name == m.name else m for m in missing]
        return missing


def _can_stub(item: Missing) -> bool:
    return item.cause in (
        "function implementation is missing",
        "resource implementation is missing",
    )


def _complaint(missing: list[Missing]) -> str:
    hopeless = [m for m in missing if not _can_stub(m)]
    if hopeless:
        names = _listed([f"{m} [{m.cause}]" for m in hopeless])
        return (
            f"the embedded host cannot provide {names}; run the component on a host that does: "
            "whamm-cm trace -- CMD … APP.wasm …"
        )
    names = _listed([str(m) for m in missing])
    return (
        f"the component imports {names}, which the embedded host does not have; "
        "--stub-imports runs it with stubs that trap when called"
    )


def _listed(names: list[str]) -> str:
    more = len(names) - _MAX_LISTED
    return ", ".join(names[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


class _Stubs:
    """Definitions for imports nobody has: functions that trap and resource types of their own."""

    def __init__(self, engine: Engine, imports: dict[str, Any], told: bool = False) -> None:
        self.engine, self.imports, self.told = engine, imports, told
        self.next_resource = _FIRST_STUB_RESOURCE

    def define(self, linker: Linker, name: str) -> None:
        item = self.imports[name]
        linker.allow_shadowing = True
        with linker.root() as root:
            if isinstance(item, InstanceType):
                with root.add_instance(name) as instance:
                    for label, export in item.exports(self.engine).items():
                        self._item(instance, label, export.ty, f"{name}#{label}", name)
            else:
                self._item(root, name, item, name, name)

    def _item(self, parent: LinkerInstance, label: str, item: Any, full: str, name: str) -> None:
        if isinstance(item, FuncType) and self.told:
            add_function(parent, label, full, _trapping(full, Fault))
        elif isinstance(item, FuncType):
            parent.add_func(label, _trapping(full, WasmtimeError))
        elif isinstance(item, ResourceType) and not self._seen_before(item, name):
            self.next_resource += 1
            parent.add_resource(label, ResourceType.host(self.next_resource), _no_destructor)

    def _seen_before(self, resource: ResourceType, name: str) -> bool:
        """Whether an earlier import introduced the type: then this is an alias of it, which
        wasmtime takes from there."""
        for other, item in self.imports.items():
            if other == name:
                return False
            found = item.exports(self.engine).values() if isinstance(item, InstanceType) else ()
            exports = [export.ty for export in found]
            if any(isinstance(e, ResourceType) and e == resource for e in (item, *exports)):
                return True
        return False


def _trapping(full: str, fault: type[Exception]) -> Callable[..., None]:
    def stub(*_: object) -> None:
        raise fault(f"the stub of the unknown import {full} was called")

    return stub


def _no_destructor(*_: object) -> None:
    """Stub resources own nothing."""
