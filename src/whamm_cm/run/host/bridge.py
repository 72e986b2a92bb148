"""Host functions in Python: interfaces, their resources, and calls from guests.

The engine's own WASI cannot share its streams with Python, and has no way to make an incoming
request; so a host that serves HTTP has all of WASI here.  A function gets the :class:`Instance`
that calls it and Python values (``run/values.py``), resources as the objects they are; the error
of a ``result`` is raised as :class:`Failure`.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from typing import Any, Protocol, TypeVar

from wasmtime import Engine, WasmtimeError
from wasmtime import _ffi as ffi
from wasmtime.component import ComponentInstanceType, FuncType, Linker, ResourceType

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import WhammError
from whamm_cm.run import calls
from whamm_cm.run.values import VALUE, Reader, Writer, func_type, reader, writer
from whamm_cm.wit.types import ResultT

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
    """What a guest holds a handle of.  Its class has the number of its resource type, and that
    type's name (``wasi:io/streams#input-stream``)."""

    KIND = 0
    NAME = ""

    def dropped(self) -> None:
        """The guest has dropped its handle."""

    def returned(self) -> None:
        """The guest has returned and still holds it."""


Function = Callable[..., Any]
F = TypeVar("F", bound=Function)
_Address = ctypes.c_size_t * 1


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
        numbered(kind, f"{self.name}#{label}")
        self.resources[label] = kind


def numbered(kind: type[Resource], name: str) -> None:
    """Make a class that of a resource type with this name."""
    kind.KIND, kind.NAME = next(_kinds), name


class Watch(Protocol):
    """Is told of all calls between one instance and its host, in order.  ``name`` is that of the
    import or export (``wasi:io/poll@0.2.0#poll``), ``numbers`` those of the resources in the
    values, in their order: each has its own for as long as the instance lives.  A call that does
    not return has trapped, or ended the guest.  What it raises ends the instance."""

    def called(self, name: str, values: Sequence[Any], numbers: Sequence[int]) -> None: ...

    def returned(self, answer: Any, numbers: Sequence[int]) -> None:
        """The innermost call that has not returned yet, with its result, None for none."""

    def entered(self, name: str, values: Sequence[Any], numbers: Sequence[int]) -> None:
        """An export is called; it returns as the others do."""

    def dropped(self, resource: Resource, number: int) -> None:
        """The guest has dropped what it owned."""

    def moved(self, data: bytes) -> None:
        """The call that has not returned yet moves this from one resource to another."""

    def stopped(self) -> None:
        """The guest is to end where it is: from the outside, on any thread."""


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

    def leave(self) -> None:
        """The guest has returned."""
        for value in [*self.objects.values()]:
            value.returned()

    def close(self) -> None:
        """The instance is gone with all its handles."""
        while self.objects:
            # One that cannot say good-bye keeps no other from it, and nobody is there to be told.
            with suppress(Failure, OSError):
                self.drop(next(reversed(self.objects)))


class Handles:
    """Of one call: :class:`whamm_cm.run.values.Handles`.  ``numbers``: of the resources that have
    passed, in their order."""

    __slots__ = ("context", "instance", "numbers")

    def __init__(self, instance: Instance, context: int) -> None:
        self.instance, self.context = instance, context
        self.numbers: list[int] = []

    def taken(self, resource: int, owned: bool) -> Resource:
        out = _Address()
        _check(calls.host_of_any(self.context, resource, out))
        number = calls.host_rep(out[0])
        calls.host_delete(out[0])
        self.numbers.append(number)
        objects = self.instance.table.objects
        return objects.pop(number) if owned else objects[number]

    def given(self, value: Any) -> int:
        number, out = self.instance.table.add(value), _Address()
        self.numbers.append(number)
        host = calls.host_new(True, number, value.KIND)
        error = calls.any_of_host(self.context, host, out)
        calls.host_delete(host)
        _check(error)
        return out[0]


class Instance:
    """Whose calls these are: the state of one instance of a guest.

    ``error`` is what ended it that is no trap of its own and cannot pass through the guest's
    frames: an :class:`Exit`, an error of ours (a directory that cannot be opened, Ctrl-C).
    Anything else that a host function raises is a trap of this one guest, in one sentence.
    """

    def __init__(self) -> None:
        self.table = Table()
        self.error: BaseException | None = None
        self.watch: Watch | None = None


class _Running(threading.local):
    instance: Any = None


_running = _Running()


class running:  # noqa: N801
    """Guest code in this block, on this thread, is of that instance."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance

    def __enter__(self) -> None:
        self.before = _running.instance
        _running.instance = self.instance

    def __exit__(self, *_: object) -> None:
        _running.instance = self.before


class _Entry:
    """A function that is linked.  How its values pass is worked out when it is first called."""

    __slots__ = ("answer", "fails", "function", "name", "params")

    def __init__(self, name: str, function: Function) -> None:
        self.name, self.function = name, function
        self.params: list[tuple[int, Reader]] | None = None
        self.answer: Writer | None = None
        self.fails = False

    def call(self, context: int, raw: int, args: int, results: int) -> None:
        params = self._params(raw) if self.params is None else self.params
        instance = _running.instance
        handles = Handles(instance, context)
        values = []
        if params:
            images = ctypes.string_at(args, VALUE * len(params))
            values = [read(images, at, handles) for at, read in params]
        watch = None if instance is None else instance.watch
        if watch is not None:
            watch.called(self.name, values, handles.numbers)
            handles.numbers.clear()
        answer: Any
        if self.fails:
            try:
                answer = {"ok": self.function(instance, *values)}
            except Failure as failure:
                answer = {"error": failure.payload}
        else:
            answer = self.function(instance, *values)
        image = None if self.answer is None else self.answer(answer, handles)
        if watch is not None:
            watch.returned(answer, handles.numbers)
        if image is not None:
            ctypes.memmove(results, image, VALUE)

    def _params(self, raw: int) -> list[tuple[int, Reader]]:
        t = func_type(ctypes.cast(raw, ctypes.POINTER(ffi.wasmtime_component_func_type_t)))
        if t.result is not None:
            self.answer, self.fails = writer(t.result), isinstance(t.result, ResultT)
        self.params = [(index * VALUE, reader(p)) for index, (_, p) in enumerate(t.params)]
        return self.params


# The C side knows entries by number.  They live as long as the process: there are a few hundred for
# each component that is served.
_entries: list[_Entry] = []


def _call(
    number: int | None, context: int, raw: int, args: int, _: int, results: int, __: int
) -> int:
    entry = _entries[number or 0]
    try:
        entry.call(context, raw, args, results)
    except WasmtimeError as error:
        return _consumed(error)
    except BaseException as error:
        return _raised(error, entry.name)
    return 0


def _drop(_: Any, context: Any, number: int) -> Any:
    instance: Instance = _running.instance
    try:
        if instance.watch is not None:
            instance.watch.dropped(instance.table.objects[number], number)
        instance.table.drop(number)
    except BaseException as error:
        return _raised(error, "the drop of a resource")
    return 0


def _raised(error: BaseException, where: str) -> int:
    """The trap that stands for an exception."""
    if isinstance(error, Fault):
        return _consumed(WasmtimeError(f"{where}: {error}"))
    if isinstance(error, (Exit, WhammError)) or not isinstance(error, Exception):
        _running.instance.error = error
    text = str(error) or "no more is known"
    return _consumed(WasmtimeError(f"the host failed in {where}: {type(error).__name__}: {text}"))


def _consumed(error: WasmtimeError) -> int:
    return ctypes.cast(error._consume(), ctypes.c_void_p).value or 0


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
                    add_function(instance, label, f"{name}#{label}", interface.functions[label])
                elif isinstance(export.ty, ResourceType) and label in interface.resources:
                    add_resource(instance, label, interface.resources[label])


def add_function(instance: Any, label: str, name: str, function: Function) -> None:
    """Define a function of an instance of a linker; ``name`` is for error messages.  It gets the
    :class:`Instance` of the guest that calls, None for a guest that has nothing of this host."""
    _entries.append(_Entry(name, function))
    raw = label.encode()
    number = len(_entries) - 1
    _check(
        ffi.wasmtime_component_linker_instance_add_func(
            instance.ptr(), ctypes.create_string_buffer(raw), len(raw), _CALL, number, _NOTHING
        )
    )


def add_resource(instance: Any, label: str, resource: type[Resource]) -> None:
    """Define a resource type of an instance of a linker."""
    raw, kind = label.encode(), ResourceType.host(resource.KIND)
    _check(
        ffi.wasmtime_component_linker_instance_add_resource(
            instance.ptr(), ctypes.create_string_buffer(raw), len(raw), kind.ptr(), _DROP, None,
            _NOTHING,
        )
    )  # fmt: skip


def _check(error: Any) -> None:
    """``error``: a pointer of ctypes, or an address."""
    if error:
        if isinstance(error, int):
            error = ctypes.cast(error, ctypes.POINTER(ffi.wasmtime_error_t))
        raise WasmtimeError._from_ptr(error)


def _nothing(_: Any) -> None:
    """Entries stay."""


# Addresses as integers: ctypes makes an object of each pointer.
_CALLED = ctypes.CFUNCTYPE(ctypes.c_size_t, *[ctypes.c_size_t] * 7)(_call)
_CALL = ctypes.cast(_CALLED, ffi.wasmtime_component_func_callback_t)
_DROP = ffi.wasmtime_component_resource_destructor_t(_drop)
_NOTHING = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_nothing)
