"""Which component of a manifest an input is, and what stands beside it in its workload."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import UsageError
from whamm_cm.gate.manifest import Deployed, Workload
from whamm_cm.gate.model import Subject
from whamm_cm.gate.wasmcloud import NEWEST


@dataclass(frozen=True, slots=True)
class Beside:
    """Another item of the workload.  ``subject`` None: it is not among the inputs."""

    item: Deployed
    subject: Subject | None


@dataclass(frozen=True, slots=True)
class Placement:
    """An input in a workload.  ``leads``: what is said of the workload itself is said with it.
    ``several``: the input stands in more than one workload.  ``release``: of the hosts.
    ``workloads``: all of the manifests."""

    workload: Workload
    item: Deployed
    others: tuple[Beside, ...] = ()
    leads: bool = True
    several: bool = False
    release: str = NEWEST
    workloads: tuple[Workload, ...] = ()

    @property
    def unknown(self) -> tuple[Deployed, ...]:
        return tuple(one.item for one in self.others if one.subject is None)

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """Those of the other items that are known."""
        return tuple(one.subject for one in self.others if one.subject is not None)


#: For each input the places it has.
Places = tuple[tuple[Placement, ...], ...]


def place(
    inputs: Sequence[str],
    workloads: Iterable[Workload],
    component: str | None = None,
    release: str = NEWEST,
) -> Places:
    """``inputs`` as the user named them; ``component``: ``NAME`` or ``WORKLOAD/NAME`` of the only
    one.  Raises UsageError where the manifest does not tell which component an input is."""
    every = tuple(workloads)
    items = [(workload, item) for workload in every for item in workload.items]
    found = [_named(inputs, items, component)] if component else [
        _guessed(path, items, len(inputs) == 1) for path in inputs
    ]  # fmt: skip
    for path, placed in zip(inputs, found, strict=True):
        if not placed:
            raise UsageError(
                f"{path}: which component of the manifest is it? name it with --component"
                f" ({_names(items)})"
            )
    led: set[int] = set()
    places = []
    for placed in found:
        row = []
        for workload, item in placed:
            leads, several = id(workload) not in led, len(placed) > 1
            row.append(Placement(workload, item, (), leads, several, release, every))
            led.add(id(workload))
        places.append(tuple(row))
    return tuple(places)


def furnish(places: Places, subjects: Mapping[int, Subject]) -> Places:
    """``places`` with the other items of each workload, as far as inputs (by index) are them."""
    known: dict[int, Subject] = {}
    for index, row in enumerate(places):
        for one in row:
            if index in subjects:
                known[id(one.item)] = subjects[index]

    def beside(one: Placement) -> tuple[Beside, ...]:
        return tuple(
            Beside(item, known.get(id(item))) for item in one.workload.items if item is not one.item
        )

    return tuple(tuple(replace(one, others=beside(one)) for one in row) for row in places)


_Item = tuple[Workload, Deployed]


def _named(inputs: Sequence[str], items: list[_Item], component: str) -> list[_Item]:
    if len(inputs) != 1:
        raise UsageError("--component names one component; give one input with it")
    workload, slash, name = component.rpartition("/")
    found = [
        (one, item)
        for one, item in items
        if item.name == name and (not slash or one.name == workload)
    ]
    if not found:
        raise UsageError(f"no component {component} in the manifest (it has {_names(items)})")
    return found


def _guessed(path: str, items: list[_Item], alone: bool) -> list[_Item]:
    """By whole image, by name, by the last part of the image, or as the only one there is."""
    image = path.removeprefix("oci://")
    stem = _stem(path)
    tests: tuple[Callable[[Deployed], bool], ...] = (
        lambda item: path != image and item.image.text == image,
        lambda item: item.kind == "component" and _folded(item.name) == stem,
        lambda item: _folded(_last(item.image.text)) == stem,
    )
    for test in tests:
        found = [(workload, item) for workload, item in items if test(item)]
        if found:
            return found
    return items if alone and len(items) == 1 else []


def _stem(path: str) -> str:
    if path.startswith("oci://"):
        return _folded(_last(path))
    name = path.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return _folded(name.removesuffix(".wasm").removesuffix(".component"))


def _last(image: str) -> str:
    """``registry:5000/shop/cart:1.0@sha256:…`` → ``cart``."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def _folded(name: str) -> str:
    """Build tools write ``_`` where images have ``-``."""
    return name.lower().replace("_", "-")


def _names(items: list[_Item]) -> str:
    counted = [item.name for _, item in items]
    shown = dict.fromkeys(
        item.name if counted.count(item.name) == 1 else f"{workload.name}/{item.name}"
        for workload, item in items
    )
    return ", ".join(shown) or "nothing"
