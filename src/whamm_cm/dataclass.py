"""``dataclass`` of the standard library, but quick to define.

That one compiles six functions for each class when the class is imported, which took a third of the
time of a short command, and most of them never run.  Here ``__init__`` is compiled when the first
instance is made, and nothing else needs to be.  Use it like the original; ``field``, ``replace``
and the like are the standard library's.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from operator import attrgetter
from reprlib import recursive_repr
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls=None, /, *, frozen=False, eq=True, **options):
        """``options``: ``slots`` and ``kw_only``."""

        def wrap(cls):
            return _wrapped(cls, frozen, eq, options)

        return wrap if cls is None else wrap(cls)


def _wrapped(cls: type, frozen: bool, eq: bool, options: dict[str, bool]) -> type:
    own = frozenset(cls.__dict__)
    cls.__doc__ = cls.__doc__ or cls.__name__  # the original spells out a signature
    made: type = dataclasses.dataclass(init=False, repr=False, eq=False, **options)(cls)
    fields = dataclasses.fields(made)
    given: dict[str, Any] = {}
    if "__init__" not in own:
        given = {"__init__": _first(made, frozen), "__signature__": _Signature()}
    if "__repr__" not in own:
        given["__repr__"] = _repr([f.name for f in fields if f.repr])
    if frozen:
        given |= {"__setattr__": _refuse, "__delattr__": _refuse, "__setstate__": _set_state}
    if eq and "__eq__" not in own:
        given["__eq__"], hashed = _equality([f.name for f in fields if f.compare])
        if "__hash__" not in own:
            given["__hash__"] = hashed if frozen else None
    for name, value in given.items():
        setattr(made, name, value)
    return made


def _first(cls: type, frozen: bool) -> Callable[..., None]:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        init = _init(cls, frozen)
        cls.__init__ = init  # type: ignore[misc]
        init(self, *args, **kwargs)

    return __init__


def _init(cls: type, frozen: bool) -> Callable[..., None]:
    scope: dict[str, Any] = {"_store_": object.__setattr__, "_missing_": dataclasses.MISSING}
    takes, keywords, lines = ["self"], list[str](), list[str]()
    for f in dataclasses.fields(cls):
        name, default, value = f.name, "", f.name
        if f.default is not dataclasses.MISSING:
            scope[f"_default_{name}"], default = f.default, f"=_default_{name}"
            value = name if f.init else f"_default_{name}"
        elif f.default_factory is not dataclasses.MISSING:
            scope[f"_make_{name}"], default = f.default_factory, "=_missing_"
            value = f"_make_{name}()" + (f" if {name} is _missing_ else {name}" * f.init)
        elif not f.init:
            continue
        if f.init:
            (keywords if f.kw_only else takes).append(name + default)
        slot = getattr(cls, name, None)
        if not frozen:
            lines.append(f"self.{name} = {value}")
        elif isinstance(slot, MemberDescriptorType):
            scope[f"_set_{name}"] = slot.__set__
            lines.append(f"_set_{name}(self, {value})")
        else:
            lines.append(f"_store_(self, '{name}', {value})")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    takes += ["*", *keywords] if keywords else []
    exec(f"def __init__({', '.join(takes)}):\n " + "\n ".join(lines or ["pass"]), scope)
    init: Callable[..., None] = scope["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__annotations__ = {f.name: f.type for f in dataclasses.fields(cls) if f.init}
    return init


class _Signature:
    """What ``help`` shows of a class, whether there is an instance or not."""

    def __get__(self, instance: object, cls: type) -> inspect.Signature:
        found = inspect.signature(_init(cls, False))
        return found.replace(parameters=list(found.parameters.values())[1:])


def _repr(names: Sequence[str]) -> Callable[[Any], str]:
    @recursive_repr()
    def __repr__(self: Any) -> str:
        parts = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({parts})"

    return __repr__


def _equality(names: Sequence[str]) -> tuple[Callable[[Any, Any], bool], Callable[[Any], int]]:
    """``__eq__`` and ``__hash__`` by these fields."""
    # A tuple of one takes that field twice.
    pair = names if len(names) > 1 else [*names, *names]
    values: Callable[[Any], Any] = attrgetter(*pair) if names else lambda self: ()

    def __eq__(self: Any, other: Any) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        same: bool = values(self) == values(other)
        return same

    def __hash__(self: Any) -> int:
        return hash(values(self))

    return __eq__, __hash__


def _refuse(self: Any, name: str, *_: Any) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _set_state(self: Any, state: Any) -> None:
    """Of copies and pickles; the attributes of slots are the second of a pair."""
    for part in state if isinstance(state, tuple) else (state,):
        for name, value in (part or {}).items():
            object.__setattr__(self, name, value)
