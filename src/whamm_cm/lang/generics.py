"""Type parameters of rules: ``wasm:opcode:local.set<T: numeric>(arg0: T):before``.

Such a probe stands for one probe for each choice of types; at any place the bounds of one of them
hold at most.  What a class of types is declared for has to be right for all of its types; a
parameter without a class is as wide as its probe makes sense.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from whamm_cm.dataclass import dataclass
from whamm_cm.lang import syntax as s
from whamm_cm.lang.source import ScriptError, Source, listed, suggest
from whamm_cm.lang.valtypes import F32, F64, I32, I64, Prim

#: The types that a parameter may stand for, by the name of the class; "" is none.
CLASSES: dict[str, tuple[Prim, ...]] = {
    "": (I32, I64, F32, F64),
    "numeric": (I32, I64, F32, F64),
    "int": (I32, I64),
    "float": (F32, F64),
}
#: Choices of types that one rule may have.
MOST_CHOICES = 256
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Param:
    """A type parameter; ``at`` and ``end``: where its name stands in the script."""

    name: str
    class_: str
    at: int
    end: int


def params_of(source: Source, header: str, at: int) -> list[Param]:
    """The parameters in ``<T: numeric, U>``, which stands ``at`` there."""
    found: list[Param] = []
    for part in header[1:-1].split(","):
        name, colon, class_ = map(str.strip, part.partition(":"))
        start = at + 1 + len(part) - len(part.lstrip())
        at += len(part) + 1
        end = start + max(1, len(name))
        if not (name.isidentifier() and name[0].isupper()) or name in (p.name for p in found):
            raise source.error("this is no type parameter", start, end,
                               "they have names of their own that begin with a capital:"
                               " <T: numeric, U>")  # fmt: skip
        if class_ not in CLASSES or (colon and not class_):
            hint = suggest(class_, filter(None, CLASSES))
            raise source.error(f'there is no class of types "{class_}"', start, end,
                               hint or f"there are {listed(filter(None, CLASSES))}")  # fmt: skip
        found.append(Param(name, class_, start, end))
    return found


def choices(source: Source, params: Sequence[Param]) -> list[dict[str, Prim]]:
    """Every choice of types for parameters; one that is empty where there are none."""
    kinds = [CLASSES[param.class_] for param in params]
    count = 1
    for kind in kinds:
        count *= len(kind)
    if count > MOST_CHOICES:
        raise source.error(f"these parameters have {count} choices of types, more than"
                           f" {MOST_CHOICES}", params[0].at, params[-1].end,
                           "give some of them a type")  # fmt: skip
    names = [param.name for param in params]
    return [dict(zip(names, each, strict=True)) for each in itertools.product(*kinds)]


def with_types(node: Any, types: Mapping[str, Prim]) -> Any:
    """Syntax with types in the place of the parameters."""
    if not isinstance(node, tuple):
        return node
    if isinstance(node, s.TypeName):
        return node._replace(name=str(types.get(node.name, node.name)))
    if hasattr(node, "_fields"):
        return type(node)(*(with_types(child, types) for child in node))
    return tuple(with_types(child, types) for child in node)


def settled(
    params: Sequence[Param],
    chosen: Sequence[Mapping[str, Prim]],
    found: Sequence[_Found | ScriptError],
) -> list[_Found] | ScriptError:
    """What was found for those choices that make sense, or what is wrong with one that has to."""
    declared = [param.name for param in params if param.class_]
    kept: list[_Found] = []
    wrong: dict[tuple[Prim, ...], ScriptError] = {}
    right: set[tuple[Prim, ...]] = set()
    for types, each in zip(chosen, found, strict=True):
        group = tuple(types[name] for name in declared)
        if isinstance(each, ScriptError):
            wrong.setdefault(group, _told(each, params, types, chosen, found))
        else:
            right.add(group)
            kept.append(each)
    return next((error for group, error in wrong.items() if group not in right), kept)


def _told(
    error: ScriptError,
    params: Sequence[Param],
    types: Mapping[str, Prim],
    chosen: Sequence[Mapping[str, Prim]],
    found: Sequence[object],
) -> ScriptError:
    """The mistake with the types for which it is one, and the class for which it is none."""
    if all(isinstance(each, ScriptError) and each.message == error.message for each in found):
        return error
    where = " and ".join(f"{name} is {type_}" for name, type_ in types.items())
    hint = error.hint
    for name, type_ in types.items():
        hint = re.sub(rf" as {type_}$", f" as {name}", hint)
    for param, class_ in itertools.product(params, ("int", "float")):
        fit = [
            not isinstance(each, ScriptError)
            for types_, each in zip(chosen, found, strict=True)
            if types_[param.name] in CLASSES[class_]
        ]
        if fit and all(fit):
            hint = f"write <{param.name}: {class_}>"
            break
    return ScriptError(error.source, f"{error.message}, where {where}", error.start, error.end,
                       hint)  # fmt: skip
