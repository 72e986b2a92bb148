"""Our dataclass is the standard library's in all that classes here use."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field
from typing import Any

import pytest

from whamm_cm.dataclass import dataclass

Decorator = Callable[..., Any]
BOTH = pytest.mark.parametrize("make", [dataclass, dataclasses.dataclass], ids=["ours", "original"])


def point(make: Decorator, **options: bool) -> Any:
    class Point:
        x: int
        y: float = 1.5
        tags: list[str] = field(default_factory=list)
        known: dict[str, int] = field(init=False, compare=False, repr=False, default_factory=dict)
        size: int = field(init=False, repr=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "size", self.x + len(self.tags))

    return make(**options)(Point)


@BOTH
@pytest.mark.parametrize("slots", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_what_instances_do(make: Decorator, frozen: bool, slots: bool) -> None:
    cls = point(make, frozen=frozen, slots=slots)
    one, other = cls(1, tags=["a"]), cls(1, 1.5, ["a"])
    assert one == other and one != cls(2) and one != (1, 1.5, ["a"])
    assert (one.x, one.y, one.tags, one.known, one.size) == (1, 1.5, ["a"], {}, 2)
    assert repr(one).endswith("Point(x=1, y=1.5, tags=['a'])")
    assert cls(1).tags is not cls(1).tags
    assert dataclasses.replace(one, x=5).size == 6
    assert dataclasses.asdict(one)["tags"] == ["a"]
    assert hasattr(one, "__dict__") != slots
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        cls()
    with pytest.raises(TypeError, match="unexpected keyword argument 'size'"):
        cls(1, size=1)
    if frozen:
        with pytest.raises(FrozenInstanceError, match="cannot assign to field 'x'"):
            one.x = 2
        with pytest.raises(FrozenInstanceError):
            del one.x
    else:
        one.x = 2
        assert one.x == 2
        assert cls.__hash__ is None


@BOTH
def test_hashes(make: Decorator) -> None:
    @make(frozen=True, slots=True)
    class Pair:
        a: int
        b: str = field(compare=False, default="")

    @make(frozen=True)
    class Nothing:
        pass

    @make(frozen=True, eq=False)
    class Same:
        a: int

    assert len({Pair(1), Pair(1, "x"), Pair(2)}) == 2
    assert len({Nothing(), Nothing()}) == 1
    assert len({Same(1), Same(1)}) == 2


@BOTH
def test_numbers_that_equal_nothing_equal_themselves(make: Decorator) -> None:
    @make(frozen=True)
    class One:
        value: float

    nan = float("nan")
    assert One(nan) == One(nan) and One(nan) != One(float("nan"))


@BOTH
def test_methods_of_its_own_stay(make: Decorator) -> None:
    @make
    class Own:
        a: int

        def __init__(self, a: int) -> None:
            self.a = -a

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own)

        def __hash__(self) -> int:
            return 7

    assert repr(Own(1)) == "own" and Own(1) == Own(2) and hash(Own(1)) == 7
    assert Own(1).a == -1 and list(inspect.signature(Own).parameters) == ["a"]


@BOTH
def test_a_class_of_a_class(make: Decorator) -> None:
    @make(frozen=True, kw_only=True)
    class Base:
        a: int = 0

    @make(frozen=True)
    class Derived(Base):
        b: int

    assert (Derived(2, a=1).a, Derived(2).a, Derived(2).b) == (1, 0, 2)
    assert Base(a=1) != Derived(2, a=1)
    with pytest.raises(TypeError, match="positional"):
        Base(1)


@BOTH
def test_it_shows_what_it_takes(make: Decorator) -> None:
    cls = point(make, frozen=True, slots=True)
    shown = inspect.signature(cls)
    assert list(shown.parameters) == ["x", "y", "tags"]
    assert shown.parameters["x"].annotation == "int" and shown.parameters["y"].default == 1.5
    assert cls.__match_args__ == ("x", "y", "tags")


@BOTH
def test_what_holds_itself_has_a_repr(make: Decorator) -> None:
    @make
    class Loop:
        inner: list[Any] = field(default_factory=list)

    loop = Loop()
    loop.inner.append(loop)
    assert repr(loop).endswith("Loop(inner=[...])")


@dataclass(frozen=True, slots=True)
class Kept:
    a: int
    b: tuple[int, ...] = ()


@dataclass(frozen=True)
class Loose:
    a: int


@pytest.mark.parametrize("one", [Kept(1, (2,)), Loose(3)])
def test_copies(one: Kept | Loose) -> None:
    assert pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == copy.copy(one) == one


def test_nothing_is_compiled_before_there_is_an_instance() -> None:
    text = """
import builtins
compiled, original = [], builtins.exec
from whamm_cm.dataclass import dataclass
builtins.exec = lambda *given: (compiled.append(given[0]), original(*given))
@dataclass(frozen=True, slots=True)
class Point:
    x: int
assert not compiled
assert Point(1).x == Point(2).x - 1
assert len(compiled) == 1 and Point.__init__.__qualname__ == "Point.__init__"
"""
    subprocess.run([sys.executable, "-c", text], check=True)
