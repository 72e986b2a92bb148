"""Which functions of WASI are to be answered, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.emit.answers.model import (
    BEGIN,
    Dice,
    Filtered,
    Fixed,
    Keys,
    Looked,
    Reply,
    Time,
    Wait,
)
from whamm_cm.errors import WeaveError
from whamm_cm.wit.types import (
    FuncT,
    ListT,
    OptionT,
    Own,
    Prim,
    RecordT,
    Resource,
    ResultT,
    TupleT,
    ValType,
    VariantT,
    same_type,
    strip,
)

#: What the host is asked by, of the same interface: how each is called in ``Reply``.
HOST_NOW: Final = "now"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is answered; None: what is left to the host.

    ``start``: wall time in nanoseconds since 1970; ``step``: those that pass with each reading.
    ``keys``: which variables and settings of the host are shown.  ``no_files``: no directory is
    preopened.
    """

    environment: Mapping[str, str] | None = None
    arguments: tuple[str, ...] | None = None
    directory: str | None = None
    config: Mapping[str, str] | None = None
    start: int | None = None
    step: int = 0
    seed: int | None = None
    keys: Keys | None = None
    no_files: bool = False

    def reply(
        self, interface: str, func: str, type_: FuncT, all_of: frozenset[str]
    ) -> Reply | None:
        """How a function is answered, None if its host does.  ``all_of``: the functions that are
        imported of the interface.

        Raises WeaveError for one of an interface that is answered which is not known, or has
        another type than in WASI.
        """
        group = _GROUPS.get(interface)
        if group is None or not group.wanted(self):
            return None
        shapes = group.functions.get(func)
        if shapes is None:
            raise WeaveError(
                f"{interface}#{func} is not known, and the policy answers for its interface"
            )
        if not any(_fits(type_, shape) for shape in shapes):
            raise WeaveError(f"{interface}#{func} has another type here than in WASI")
        return group.reply(self, func, all_of)


_Shape: TypeAlias = "tuple[tuple[ValType, ...], ValType]"
#: In shapes: a handle of a resource that only the component knows.
_HANDLE: Final = Own(Resource())


def _fits(type_: FuncT, shape: _Shape) -> bool:
    params, result = shape
    have = [t for _, t in type_.params]
    if type_.result is None or type_.is_async or len(have) != len(params):
        return False
    return same_type(_anonymous(type_.result), result) and all(map(same_type, have, params))


def _anonymous(t: ValType) -> ValType:
    """The same with the handle of shapes, as far as one of WASI may have it."""
    match strip(t):
        case Own():
            return _HANDLE
        case ListT(element, length):
            return ListT(_anonymous(element), length)
        case TupleT(types):
            return TupleT(tuple(map(_anonymous, types)))
    return t


class _Group:
    """The functions of one interface, each with the types that it has in the releases of WASI."""

    def __init__(self, *functions: Mapping[str, _Shape]) -> None:
        self.functions: dict[str, tuple[_Shape, ...]] = {}
        for release in functions:
            for name, shape in release.items():
                self.functions[name] = (*self.functions.get(name, ()), shape)

    def wanted(self, wishes: Wishes) -> bool:
        raise NotImplementedError

    def reply(self, wishes: Wishes, func: str, all_of: frozenset[str]) -> Reply | None:
        raise NotImplementedError


_STRING, _U8, _U32, _U64, _S64 = (Prim(name) for name in ("string", "u8", "u32", "u64", "s64"))
_PAIRS = ListT(TupleT((_STRING, _STRING)))


class _Environment(_Group):
    def wanted(self, wishes: Wishes) -> bool:
        asked = (wishes.environment, wishes.arguments, wishes.directory, wishes.keys)
        return any(one is not None for one in asked)

    def reply(self, wishes: Wishes, func: str, all_of: frozenset[str]) -> Reply | None:
        if func == "get-arguments":
            return None if wishes.arguments is None else Fixed(list(wishes.arguments))
        if func.endswith("initial-cwd"):
            return None if wishes.directory is None else Fixed(wishes.directory)
        if wishes.environment is not None:
            return Fixed([list(pair) for pair in wishes.environment.items()])
        return None if wishes.keys is None else Filtered(func, wishes.keys)


class _Config(_Group):
    def wanted(self, wishes: Wishes) -> bool:
        return wishes.config is not None or wishes.keys is not None

    def reply(self, wishes: Wishes, func: str, all_of: frozenset[str]) -> Reply | None:
        if wishes.config is None:
            assert wishes.keys is not None, "one of them is wanted"
            return Filtered(func, wishes.keys) if func == "get-all" else None
        if func == "get-all":
            return Fixed({"ok": [list(pair) for pair in wishes.config.items()]})
        found = {key: {"ok": value} for key, value in wishes.config.items()}
        return Looked(found, {"ok": None})


class _Preopens(_Group):
    def wanted(self, wishes: Wishes) -> bool:
        return wishes.no_files

    def reply(self, wishes: Wishes, func: str, all_of: frozenset[str]) -> Reply | None:
        return Fixed([])


class _Random(_Group):
    def __init__(self, functions: Mapping[str, _Shape], row: int) -> None:
        super().__init__(functions)
        self.row = row

    def wanted(self, wishes: Wishes) -> bool:
        return wishes.seed is not None

    def reply(self, wishes: Wishes, func: str, all_of: frozenset[str]) -> Reply | None:
        assert wishes.seed is not None, "wanted"
        if func.endswith("seed"):
            from whamm_cm.emit.answers.dice import row

            return Fixed(row(seed_of(wishes.seed, self.row), 2))
        return Dice(seed_of(wishes.seed, self.row))


def seed_of(seed: int, row: int) -> int:
    """Each interface has a row of its own, so that what asks one does not move another."""
    return seed ^ row << 56


class _Clock(_Group):
    def wanted(self, wishes: Wishes) -> bool:
        return wishes.start is not None

    def reply(self, wishes: Wishes, func: str, all_of: frozenset[str]) -> Reply | None:
        assert wishes.start is not None, "wanted"
        if func.endswith("resolution"):
            return Fixed(self._resolution(max(wishes.step, 1)))
        return Time(wishes.start)

    def _resolution(self, step: int) -> object:
        return {"seconds": step // BEGIN, "nanoseconds": step % BEGIN}


class _System(_Clock):
    def _resolution(self, step: int) -> object:
        return step


class _Monotonic(_System):
    def reply(self, wishes: Wishes, func: str, all_of: frozenset[str]) -> Reply | None:
        if func.startswith("subscribe-"):
            # Who does not read the clock cannot see it, and waits as the host does.
            until = func == "subscribe-instant"
            return Wait(func, HOST_NOW, until) if HOST_NOW in all_of else None
        if func == HOST_NOW:
            return Time(BEGIN)
        return super().reply(wishes, func, all_of)


class _Zone(_Clock):
    def reply(self, wishes: Wishes, func: str, all_of: frozenset[str]) -> Reply | None:
        utc = {"utc-offset": 0, "name": "UTC", "in-daylight-saving-time": False}
        return Fixed(
            {"display": utc, "utc-offset": 0, "iana-id": "UTC", "to-debug-string": "UTC"}[func]
        )


def _bytes(prefix: str) -> dict[str, _Shape]:
    return {f"get-{prefix}-bytes": ((_U64,), ListT(_U8)), f"get-{prefix}-u64": ((), _U64)}


_DATETIME = RecordT((("seconds", _U64), ("nanoseconds", _U32)))
_INSTANT = RecordT((("seconds", _S64), ("nanoseconds", _U32)))
_DISPLAY = RecordT((
    ("utc-offset", Prim("s32")), ("name", _STRING), ("in-daylight-saving-time", Prim("bool")),
))  # fmt: skip
_CONFIG = VariantT((("upstream", _STRING), ("io", _STRING)))
_SETTINGS: dict[str, _Shape] = {
    "get": ((_STRING,), ResultT(OptionT(_STRING), _CONFIG)),
    "get-all": ((), ResultT(_PAIRS, _CONFIG)),
}
_SEEDS: dict[str, _Shape] = dict.fromkeys(
    ("insecure-seed", "get-insecure-seed"), ((), TupleT((_U64, _U64)))
)
_GROUPS: dict[str, _Group] = {
    "wasi:cli/environment": _Environment({
        "get-environment": ((), _PAIRS),
        "get-arguments": ((), ListT(_STRING)),
        "initial-cwd": ((), OptionT(_STRING)),
        "get-initial-cwd": ((), OptionT(_STRING)),
    }),
    "wasi:config/store": _Config(_SETTINGS),
    "wasi:config/runtime": _Config(_SETTINGS),
    "wasi:filesystem/preopens": _Preopens({
        "get-directories": ((), ListT(TupleT((_HANDLE, _STRING)))),
    }),
    "wasi:random/random": _Random(_bytes("random"), 0),
    "wasi:random/insecure": _Random(_bytes("insecure-random"), 1),
    "wasi:random/insecure-seed": _Random(_SEEDS, 2),
    "wasi:clocks/wall-clock": _Clock({
        "now": ((), _DATETIME), "resolution": ((), _DATETIME),
    }),
    "wasi:clocks/system-clock": _System({
        "now": ((), _INSTANT), "get-resolution": ((), _U64),
    }),
    "wasi:clocks/monotonic-clock": _Monotonic({
        "now": ((), _U64), "resolution": ((), _U64), "get-resolution": ((), _U64),
        "subscribe-instant": ((_U64,), _HANDLE),
        "subscribe-duration": ((_U64,), _HANDLE),
    }),
    "wasi:clocks/timezone": _Zone(
        {"display": ((_DATETIME,), _DISPLAY), "utc-offset": ((_DATETIME,), Prim("s32"))},
        {"iana-id": ((), OptionT(_STRING)), "utc-offset": ((_INSTANT,), OptionT(_S64)),
         "to-debug-string": ((), _STRING)},
    ),
}  # fmt: skip
