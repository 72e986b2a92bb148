"""Host functions in Python: interfaces, their resources, and calls from guests.

The engine's own WASI cannot share its streams with Python, and has no way to make an incoming
request; so a host that serves HTTP has all of WASI here.  A function gets the :class:`Instance`
that calls it and Python values (``run/values.py``), resources as the objects they are; the error
of a ``result`` is raised as :class:`Failure`.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from ctypes import byref
from dataclasses import field
from typing import Any, TypeVar

from wasmtime import Engine, WasmtimeError
from wasmtime import _ffi as ffi
from wasmtime.component import ComponentInstanceType, FuncType, Linker, ResourceType

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import WhammError
from whamm_cm.run.values import func_type, lift, lower
from whamm_cm.wit.types import FuncT, ResultT

#: Of the resource types of this host: numbers that nothing else in an engine uses.
_FIRST_KIND = 0x5743_8000
_kinds = iter(range(_FIRST_KIND, _FIRST_KIND + 0x1000))


class Failure(Exception):
    """The error case of a ``result``, with its payload."""

    def __init__(self, payload: Any = None) -> None:
        self.payload = payload
        super().__init__(payload)


class Fault(Exception):
    """The guest did what no guest may do: it is trapped."""


class Exit(Exception):
    """The guest ends itself with a status."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(status)


class Resource:
    """What a guest holds a handle of.  Its class has the number of its resource type."""

    KIND = 0

    def dropped(self) -> None:
        """The guest has dropped its handle."""


Function = Callable[..., Any]
F = TypeVar("F", bound=Function)


@dataclass(slots=True)
class Interface:
    """``name`` is without a version: a guest may import any 0.2 of it."""

    name: str
    functions: dict[str, Function] = field(default_factory=dict)
    resources: dict[str, type[Resource]] = field(default_factory=dict)

    def func(self, label: str) -> Callable[[F], F]:
        """Provide a function: ``get-stdin``, ``[method]pollable.ready``."""

        def provided(function: F) -> F:
            self.functions[label] = function
            return function

        return provided

    def resource(self, label: str, kind: type[Resource]) -> None:
        kind.KIND = next(_kinds)
        self.resources[label] = kind


class Table:
    """The objects one instance has handles of."""

    def __init__(self) -> None:
        self.objects: dict[int, Resource] = {}
        self._next = 0

    def add(self, value: Resource) -> int:
        self._next += 1
        self.objects[self._next] = value
        return self._next

    def drop(self, number: int) -> None:
        self.objects.pop(number).dropped()

    def close(self) -> None:
        """The instance is gone with all its handles."""
        while self.objects:
            # One that cannot say good-bye keeps no other from it, and nobody is there to be told.
            with suppress(Failure, OSError):
                self.drop(next(reversed(self.objects)))


class Handles:
    """Of one call: :class:`whamm_cm.run.values.Handles`."""

    __slots__ = ("context", "table")

    def __init__(self, table: Table, context: Any) -> None:
        self.table, self.context = table, context

    def taken(self, resource: Any, owned: bool) -> Resource:
        host = ctypes.POINTER(ffi.wasmtime_component_resource_host_t)()
        error = ffi.wasmtime_component_resource_any_to_host(self.context, resource, byref(host))
        if error:
            raise WasmtimeError._from_ptr(error)
        number = ffi.wasmtime_component_resource_host_rep(host)
        ffi.wasmtime_component_resource_host_delete(host)
        return self.table.objects.pop(number) if owned else self.table.objects[number]

    def given(self, value: Any) -> Any:
        host = ffi.wasmtime_component_resource_host_new(True, self.table.add(value), value.KIND)
        made = ctypes.POINTER(ffi.wasmtime_component_resource_any_t)()
        error = ffi.wasmtime_component_resource_host_to_any(self.context, host, byref(made))
        ffi.wasmtime_component_resource_host_delete(host)
        if error:
            raise WasmtimeError._from_ptr(error)
        return made


class Instance:
    """Whose calls these are: the state of one instance of a guest.

    ``error`` is what ended it that is no trap of its own and cannot pass through the guest's
    frames: an :class:`Exit`, an error of ours (a directory that cannot be opened, Ctrl-C).
    Anything else that a host function raises is a trap of this one guest, in one sentence.
    """

    def __init__(self) -> None:
        self.table = Table()
        self.error: BaseException | None = None


_running = threading.local()


class running:  # noqa: N801
    """Guest code in this block, on this thread, is of that instance."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance

    def __enter__(self) -> None:
        self.before = getattr(_running, "instance", None)
        _running.instance = self.instance

    def __exit__(self, *_: object) -> None:
        _running.instance = self.before


class _Entry:
    """A function that is linked.  Its type is worked out when it is first called."""

    __slots__ = ("function", "name", "type")

    def __init__(self, name: str, function: Function) -> None:
        self.name, self.function = name, function
        self.type: FuncT | None = None

    def call(self, context: Any, raw: Any, args: Any, results: Any) -> None:
        if self.type is None:
            self.type = func_type(raw)
        handles = Handles(_running.instance.table, context)
        values = [lift(args[i], t, handles) for i, (_, t) in enumerate(self.type.params)]
        result = self.type.result
        answer: Any
        if isinstance(result, ResultT):
            try:
                answer = {"ok": self.function(_running.instance, *values)}
            except Failure as failure:
                answer = {"error": failure.payload}
        else:
            answer = self.function(_running.instance, *values)
        if result is not None:
            lower(results[0], answer, result, handles)


# The C side knows entries by number.  They live as long as the process: there are a few hundred for
# each component that is served.
_entries: list[_Entry] = []


def _call(number: Any, context: Any, raw: Any, args: Any, _: int, results: Any, __: int) -> Any:
    entry = _entries[number or 0]
    try:
        entry.call(context, raw, args, results)
    except WasmtimeError as error:
        return _consumed(error)
    except BaseException as error:
        return _raised(error, entry.name)
    return 0


def _drop(_: Any, context: Any, number: int) -> Any:
    try:
        _running.instance.table.drop(number)
    except BaseException as error:
        return _raised(error, "the drop of a resource")
    return 0


def _raised(error: BaseException, where: str) -> Any:
    """The trap that stands for an exception."""
    if isinstance(error, Fault):
        return _consumed(WasmtimeError(f"{where}: {error}"))
    if isinstance(error, (Exit, WhammError)) or not isinstance(error, Exception):
        _running.instance.error = error
    text = str(error) or "no more is known"
    return _consumed(WasmtimeError(f"the host failed in {where}: {type(error).__name__}: {text}"))


def _consumed(error: WasmtimeError) -> Any:
    return ctypes.cast(error._consume(), ctypes.c_void_p).value


def provide(
    linker: Linker, engine: Engine, imports: Mapping[str, Any], host: Mapping[str, Interface]
) -> None:
    """Define what the ``imports`` of a component (by name, their types) want of ``host``."""
    for name, wanted in imports.items():
        interface = host.get(name.partition("@")[0])
        if interface is None or not isinstance(wanted, ComponentInstanceType):
            continue
        with linker.root() as root, root.add_instance(name) as instance:
            for label, export in wanted.exports(engine).items():
                if isinstance(export.ty, FuncType) and label in interface.functions:
                    _add(instance, label, f"{name}#{label}", interface.functions[label])
                elif isinstance(export.ty, ResourceType) and label in interface.resources:
                    _add_resource(instance, label, interface.resources[label])


def _add(instance: Any, label: str, name: str, function: Function) -> None:
    _entries.append(_Entry(name, function))
    raw = label.encode()
    number = len(_entries) - 1
    _check(
        ffi.wasmtime_component_linker_instance_add_func(
            instance.ptr(), ctypes.create_string_buffer(raw), len(raw), _CALL, number, _NOTHING
        )
    )


def _add_resource(instance: Any, label: str, resource: type[Resource]) -> None:
    raw, kind = label.encode(), ResourceType.host(resource.KIND)
    _check(
        ffi.wasmtime_component_linker_instance_add_resource(
            instance.ptr(), ctypes.create_string_buffer(raw), len(raw), kind.ptr(), _DROP, None,
            _NOTHING,
        )
    )  # fmt: skip


def _check(error: Any) -> None:
    if error:
        raise WasmtimeError._from_ptr(error)


def _nothing(_: Any) -> None:
    """Entries stay."""


_CALL = ffi.wasmtime_component_func_callback_t(_call)
_DROP = ffi.wasmtime_component_resource_destructor_t(_drop)
_NOTHING = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_nothing)
