"""Libraries that are components: siblings of those that call them, their functions passed in.

A component may not call one that is nested in it (CanonicalABI.md, "call_might_be_recursive"; it
would trap), so the library stands in a new root beside the woven component, once, and its functions
become imports of every component with a script unit.  There they are lowered onto the state memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from whamm_cm.abi.flatten import MAX_FLAT_PARAMS
from whamm_cm.component import build
from whamm_cm.component import nodes as n
from whamm_cm.component.decode import decode
from whamm_cm.component.ir import Component, Definition, SectionId
from whamm_cm.component.items import Item, Sort
from whamm_cm.emit.libglue import (
    GLUE,
    GUARD,
    LIBRARY,
    STATE,
    Adapted,
    build_adapters,
    build_glue,
    flat,
    needs_adapter,
)
from whamm_cm.errors import InputError, WeaveError
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.library import LibFunction, LibSignature
from whamm_cm.weave.libs.model import Beside, Embedded, Library, Source
from whamm_cm.wit.model import Extern, FuncItem, InstanceItem, split_version
from whamm_cm.wit.names import version_matches
from whamm_cm.wit.resolve import resolve
from whamm_cm.wit.types import FuncT, Prim, ValType, strip

_SCRIPT_TYPES: dict[str, vt.Type] = {
    "bool": vt.BOOL, "s8": vt.I8, "u8": vt.U8, "s16": vt.I16, "u16": vt.U16,
    "s32": vt.I32, "u32": vt.U32, "s64": vt.I64, "u64": vt.U64, "f32": vt.F32,
    "f64": vt.F64, "char": vt.U32, "string": vt.STR,
}  # fmt: skip
_STUB = "build it without imports (componentize-py: --stub-wasi)"


def read_component(name: str, data: bytes, what: str) -> Library:
    """Raises InputError when scripts cannot use the component, DecodeError when it is malformed."""
    world = resolve(decode(data, what)).world
    named = [(script_name(f.label), f, where) for f, where in _exported(world.exports)]
    times = Counter(key for key, _, _ in named)
    functions = dict[str, Source]()
    for key, function, interface in named:
        source = _source(function, interface)
        if source is not None and times[key] == 1:
            functions[key] = source
    if not functions:
        raise InputError(
            f"{what} exports no function a script could call as library {name!r}: parameters and "
            "result are bool, integers, floats, char or string"
        )
    for import_ in world.imports:
        if not isinstance(import_.entity, InstanceItem):
            raise InputError(
                f"{what} cannot be embedded as a library: it imports {import_.name.name}, and only "
                f"interfaces can be given to it; {_STUB}"
            )
    signature = LibSignature(name, {key: _script(found) for key, found in functions.items()})
    imports = {import_.name.name: ((), ()) for import_ in world.imports}
    return Library(name, what, "component", data, signature, functions, imports=imports)


def script_name(label: str) -> str:
    """``check-access`` → ``check_access``: scripts have no hyphens in names."""
    return label.replace("-", "_").lower()


def _exported(exports: tuple[Extern, ...]) -> Iterator[tuple[FuncItem, str | None]]:
    """Functions of the world and of the interfaces it exports."""
    for extern in exports:
        if isinstance(extern.entity, FuncItem):
            yield extern.entity, None
        elif isinstance(extern.entity, InstanceItem):
            for entity in extern.entity.exports.values():
                if isinstance(entity, FuncItem):
                    yield entity, extern.name.name


def _source(function: FuncItem, interface: str | None) -> Source | None:
    """None for what scripts have no values for, and for methods."""
    type_: FuncT = function.type
    params = [_prim(t) for _, t in type_.params]
    result = None if type_.result is None else _prim(type_.result)
    known = [prim for prim in params if prim is not None]
    if type_.is_async or function.name.startswith("[") or len(known) < len(params):
        return None
    if (type_.result is not None and result is None) or len(flat(known)) > MAX_FLAT_PARAMS:
        return None
    labels = tuple(label for label, _ in type_.params)
    return Source(function.name, tuple(known), result, interface, labels)


def _prim(type_: ValType) -> str | None:
    found = strip(type_)
    return found.name if isinstance(found, Prim) and found.name in _SCRIPT_TYPES else None


def _script(found: Source) -> LibFunction:
    params = tuple(_SCRIPT_TYPES[prim] for prim in found.params)
    return LibFunction(params, vt.UNIT if found.result is None else _SCRIPT_TYPES[found.result])


# --- in the new root, and in the components below it ----------------------------------------------


def beside(library: Library, around: Component, names: Mapping[str, str]) -> Beside:
    """The library's instance.  ``around``: the component whose imports the new root has; what the
    library imports comes from there.

    Raises WeaveError when something it imports is not there.
    """
    given = _arguments(library, around)
    nested = build.nested_component(_without_customs(decode(library.data, library.what)))
    instance = build.instantiate(nested.item, given.items())
    definitions = [nested, instance]
    functions = dict[str, Item]()
    interfaces = dict[str, Item]()
    for key, source in library.functions.items():
        owner = instance.item
        if source.interface is not None:
            if source.interface not in interfaces:
                alias = build.alias_export(instance.item, source.interface, Sort.INSTANCE)
                definitions.append(alias)
                interfaces[source.interface] = alias.item
            owner = interfaces[source.interface]
        alias = build.alias_export(owner, source.export, Sort.FUNC)
        definitions.append(alias)
        functions[names[key]] = alias.item
    return Beside(tuple(definitions), functions)


def embed_component(
    library: Library, runtime: Item, functions: Mapping[str, Item], guard: Item | None = None
) -> Embedded:
    """``runtime``: a core instance with the state memory and the runtime functions; ``guard``: one
    with the flag of ``guard.Guard``."""
    glue = build.core_module(build_glue())
    glued = build.core_instantiate(glue.item, ((STATE, runtime),))
    memory = build.alias_core_export(runtime, "memory", Sort.CORE_MEMORY)
    realloc = build.alias_core_export(glued.item, "cabi_realloc", Sort.CORE_FUNC)
    lowers = {
        key: _lower(source, functions[key], memory.item, realloc.item)
        for key, source in library.functions.items()
    }
    lowered = {key: definition.item for key, definition in lowers.items()}
    added, found = _adapters(library, lowered, runtime, glued.item, guard)
    bag = build.core_inline_exports(tuple(found.items()))
    definitions = (glue, glued, memory, realloc, *lowers.values(), *added, bag)
    return Embedded(definitions, bag.item)


def _lower(source: Source, func: Item, memory: Item, realloc: Item) -> Definition:
    if "string" not in (*source.params, source.result):
        return build.canon_lower(func)
    return build.canon_lower(func, memory, realloc=realloc)


def _adapters(
    library: Library,
    lowered: Mapping[str, Item],
    runtime: Item,
    glue: Item,
    guard: Item | None,
) -> tuple[list[Definition], dict[str, Item]]:
    """Functions that need no adapter stay as they were lowered."""
    adapted = [
        Adapted(key, source.params, source.result)
        for key, source in library.functions.items()
        if guard is not None or needs_adapter(source.params, source.result)
    ]
    if not adapted:
        return [], dict(lowered)
    module = build.core_module(build_adapters(adapted, guard is not None))
    inner = build.core_inline_exports([(a.name, lowered[a.name]) for a in adapted])
    args = [(STATE, runtime), (GLUE, glue), (LIBRARY, inner.item)]
    if guard is not None:
        args.append((GUARD, guard))
    instance = build.core_instantiate(module.item, args)
    definitions, functions = [module, inner, instance], dict(lowered)
    for function in adapted:
        alias = build.alias_core_export(instance.item, function.name, Sort.CORE_FUNC)
        definitions.append(alias)
        functions[function.name] = alias.item
    return definitions, functions


def _without_customs(component: Component) -> Component:
    """Custom sections of the root describe a file of its own."""
    return component.with_definitions(
        tuple(
            d
            for d in component.definitions
            if d.section != SectionId.CUSTOM or not isinstance(d.node, n.Custom)
        )
    )


def _arguments(library: Library, around: Component) -> dict[str, Item]:
    """What ``around`` imports for each import of the library, by the latter's name."""
    wanted = resolve(decode(library.data, library.what)).world.imports if library.imports else ()
    found = dict[str, Item]()
    missing = []
    for extern in wanted:
        name = extern.name.name
        assert isinstance(extern.entity, InstanceItem)
        functions = {key for key, e in extern.entity.exports.items() if isinstance(e, FuncItem)}
        item = _import(around, name, functions)
        if item is None:
            missing.append(name)
        else:
            found[name] = item
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise WeaveError(
            f"library {library.name} imports {', '.join(missing[:3])}{more}, which the component "
            f"it is for does not import, or not all of it; {_STUB}"
        )
    return found


def _import(around: Component, name: str, functions: set[str]) -> Item | None:
    """The import of that interface, in a version that fits, if it has all of ``functions``."""
    path, version = split_version(name)
    for definition in around.definitions:
        node = definition.node
        if not isinstance(node, n.Import) or node.type.kind != "instance":
            continue
        base, have = split_version(node.name.name)
        if base != path or not (have == version or version_matches(version, have)):
            continue
        names = _exports(around, node.type.item)
        if names is None or functions <= names:
            return definition.item
    return None


def _exports(around: Component, type_: Item | None) -> set[str] | None:
    """The names in an instance type of ``around``; None when it is defined elsewhere."""
    if type_ is None or not around.defines(type_):
        return None
    node = around.definition_of(type_).node
    if not isinstance(node, n.InstanceTypeDef):
        return None
    return {d.node.name.name for d in node.decls if isinstance(d.node, n.ExportDecl)}
