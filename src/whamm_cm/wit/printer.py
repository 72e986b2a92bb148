"""A world as WIT text (WIT.md): one file with the root package and all others as nested blocks.

What a component can have and WIT cannot say (exported components, core modules, values) is written
as a comment, so that the text always parses.
"""

from __future__ import annotations

from collections.abc import Iterable

from whamm_cm.errors import InputError
from whamm_cm.wit import types as t
from whamm_cm.wit.document import Block, Declared, Document, WorldLine
from whamm_cm.wit.model import FuncItem, ScopedType, World
from whamm_cm.wit.names import ExternNameParts, InterfaceName

#: Words of WIT that need a % to be used as names.
KEYWORDS = frozenset({
    "_", "as", "async", "bool", "borrow", "char", "constructor", "enum", "error-context", "export",
    "f32", "f64", "flags", "float32", "float64", "from", "func", "future", "import", "include",
    "interface", "list", "map", "option", "own", "package", "record", "resource", "result", "s16",
    "s32", "s64", "s8", "static", "stream", "string", "tuple", "type", "u16", "u32", "u64", "u8",
    "use", "variant", "with", "world",
})  # fmt: skip

#: Anonymous types share parts; written out they may be larger than anyone wants to read.
MAX_TYPE_TEXT = 1_000_000

_DECLARED = (t.RecordT, t.VariantT, t.EnumT, t.FlagsT)


def escape(name: str) -> str:
    """``name``, with % in front when it is a keyword."""
    return f"%{name}" if name in KEYWORDS else name


def world_text(world: World, name: str = "root", package: str = "root:component") -> str:
    """``world`` and every interface it needs, as WIT text that parses back.

    Raises InputError when a type is too large to be written out.
    """
    document = Document(world)
    lines = [f"package {package};", "", f"world {escape(name)} {{"]
    lines += _indent(_world(document))
    lines.append("}")
    # All bodies first: printing one may make it use further packages.
    bodies = {key: _BlockPrinter(document, b).body() for key, b in document.interfaces.items()}
    for number, (package_id, interfaces) in enumerate(document.packages().items()):
        lines += ["", ""] if number else []
        lines.append(f"package {_package(package_id)} {{")
        for interface, block in interfaces.items():
            lines.append(f"  interface {escape(interface)} {{")
            lines += _indent(_indent(bodies[block.key]))
            lines.append("  }")
        lines.append("}")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def type_text(found: t.ValType) -> str:
    """One value type in WIT syntax, named types by name and nameless ones in short form."""
    return _TypePrinter().text(found)


def func_text(func: t.FuncT) -> str:
    """A function type in WIT syntax: ``async func(a: u32) -> string``."""
    return _TypePrinter().func(func)


def handles_text(func: t.FuncT) -> str:
    """The same with ``own<r>`` spelled out, for those who ask what a value is."""
    return _HandlePrinter().func(func)


def _indent(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" if line else "" for line in lines]


def _package(package_id: str) -> str:
    path, at, version = package_id.partition("@")
    return ":".join(escape(part) for part in path.split(":")) + at + version


def _path(key: str, package_id: str | None) -> str:
    """An interface as seen from ``package_id``."""
    name = InterfaceName.parse(key)
    if name.package_id == package_id:
        return escape(name.interface)
    package = _package(f"{name.namespace}:{name.package}")
    version = f"@{name.version}" if name.version else ""
    return f"{package}/{escape(name.interface)}{version}"


def _external(text: str | None) -> list[str]:
    if text is None:
        return []
    plain = "-_./: "
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    body = "".join(
        ch
        if ch in plain or (ch.isascii() and ch.isalnum())
        else escapes.get(ch, f"\\u{{{ord(ch):x}}}")
        for ch in text
    )
    return [f'@external-id("{body}")']


def _world(document: Document) -> list[str]:
    """Interfaces, types, functions, exports: the order wasm-tools writes, too."""
    printer = _BlockPrinter(document, document.world)
    inside: list[str] = []
    functions: list[str] = []
    outside: list[str] = []
    for line in document.lines:
        place = outside if line.keyword == "export" else functions if line.func else inside
        place += _world_line(document, line, printer)
    inside += printer.declarations(started=bool(inside)) + functions
    if inside and outside:
        inside.append("")
    return inside + outside + [f"// {other}" for other in document.world.others]


def _world_line(document: Document, line: WorldLine, printer: _BlockPrinter) -> list[str]:
    head = _external(line.external_id)
    if line.func is not None:
        text = printer.function(line.name or "", line.func)
        return [*head, f"{line.keyword} {text}"] if text else []
    if line.name is None:
        return [*head, f"{line.keyword} {_path(line.block.key, None)};"]
    name = escape(line.name)
    if line.block.key:
        return [*head, f"{line.keyword} {name}: {_path(line.block.key, None)};"]
    body = _indent(_BlockPrinter(document, line.block).body())
    return [*head, f"{line.keyword} {name}: interface {{", *body, "}"]


class _TypePrinter:
    """Types as text; ``name_of`` says what a type is called where it is printed."""

    def __init__(self) -> None:
        self._memo: dict[int, tuple[t.ValType, str]] = {}

    def name_of(self, found: t.ValType | t.Resource) -> str | None:
        if isinstance(found, t.Resource):
            return escape(found.name or "resource")
        return escape(found.name) if isinstance(found, t.Named) else None

    def handle(self, found: t.Own | t.Borrow) -> str:
        """The name of the resource of a handle."""
        return self.name_of(found.resource) or "resource"

    def anonymous(self, found: t.ValType) -> str:
        """A record, variant, enum or flags type without a name."""
        return type(found).__name__.removesuffix("T").lower()

    def text(self, found: t.ValType) -> str:
        known = self._memo.get(id(found))
        if known is None:
            known = (found, self._text(found))
            self._memo[id(found)] = known
            if len(known[1]) > MAX_TYPE_TEXT:
                raise InputError("a type is too large to be written out")
        return known[1]

    def _text(self, found: t.ValType) -> str:
        name = self.name_of(found)
        if name is not None:
            return name
        match found:
            case t.Named(target=target):
                return self.text(target)
            case t.Prim(name=name):
                return name
            case t.Own():
                return self.handle(found)
            case t.Borrow():
                return f"borrow<{self.handle(found)}>"
            case _ if isinstance(found, _DECLARED):
                return self.anonymous(found)
        return self.structure(found)

    def structure(self, found: t.ValType) -> str:
        """A generic type written out."""
        match found:
            case t.ListT(element=element, length=None):
                return f"list<{self.text(element)}>"
            case t.ListT(element=element, length=length):
                return f"list<{self.text(element)}, {length}>"
            case t.MapT(key=key, value=value):
                return f"map<{self.text(key)}, {self.text(value)}>"
            case t.TupleT(types=types):
                return f"tuple<{', '.join(self.text(inner) for inner in types)}>"
            case t.OptionT(inner=inner):
                return f"option<{self.text(inner)}>"
            case t.StreamT(element=item):
                return "stream" if item is None else f"stream<{self.text(item)}>"
            case t.FutureT(element=item):
                return "future" if item is None else f"future<{self.text(item)}>"
            case t.ResultT(ok=None, err=None):
                return "result"
            case t.ResultT(ok=ok, err=err):
                parts = "_" if ok is None else self.text(ok)
                return f"result<{parts}>" if err is None else f"result<{parts}, {self.text(err)}>"
        return self.text(found)

    def params(self, params: Iterable[tuple[str, t.ValType]]) -> str:
        return ", ".join(f"{escape(label)}: {self.text(param)}" for label, param in params)

    def func(self, func: t.FuncT, skip: int = 0, is_async: bool = False) -> str:
        result = f" -> {self.text(func.result)}" if func.result is not None else ""
        prefix = "async " if func.is_async or is_async else ""
        return f"{prefix}func({self.params(func.params[skip:])}){result}"


class _HandlePrinter(_TypePrinter):
    def text(self, found: t.ValType) -> str:
        return f"own<{self.handle(found)}>" if isinstance(found, t.Own) else super().text(found)


class _BlockPrinter(_TypePrinter):
    """Prints one interface or the world, and adds ``use`` lines and type declarations for types
    that its functions mention without the block having named them."""

    def __init__(self, document: Document, block: Block) -> None:
        super().__init__()
        self.document, self.block = document, block
        parsed = InterfaceName.try_parse(block.key)
        self.package = parsed.package_id if parsed else None

    def name_of(self, found: t.ValType | t.Resource) -> str | None:
        name = self.block.names.get(id(found))
        if name is None and isinstance(found, t.Resource):
            source = self.document.definition(found)
            name = self._add(found.name or "anonymous", found, source)
        elif name is None and isinstance(found, t.Named):
            source = self.document.definition(found)
            if source is not None:
                name = self._add(source[1], found, source)
        return None if name is None else escape(name)

    def handle(self, found: t.Own | t.Borrow) -> str:
        if found.alias is not None:
            declared = self.block.types.get(found.alias)
            if declared is not None and declared.type is found.resource:
                return escape(found.alias)
        return super().handle(found)

    def anonymous(self, found: t.ValType) -> str:
        return escape(self._add("anonymous", found, None))

    def _add(
        self, wanted: str, found: t.ValType | t.Resource, source: tuple[str, str] | None
    ) -> str:
        name = self.block.free_name(wanted)
        self.block.types[name] = Declared(name, found, None, source)
        self.block.names[id(found)] = name
        return name

    def body(self) -> list[str]:
        """All of an interface."""
        functions: list[str] = []
        for key, func in self.block.funcs.items():
            text = self.function(key, func)
            if text is not None:
                functions += ["", *_external(func.external_id), text]
        types = self.declarations(started=False)
        others = [f"// {other}" for other in self.block.others]
        return types + functions[0 if types else 1 :] + others

    def declarations(self, started: bool) -> list[str]:
        """``use`` lines and type declarations, a blank line before each declaration but a first."""
        texts: dict[str, list[str]] = {}
        while len(texts) < len(self.block.types):  # printing one may add others
            for name, declared in list(self.block.types.items()):
                if declared.source is None and name not in texts:
                    texts[name] = _external(declared.external_id) + self._declare(declared)
                elif declared.source is not None:
                    texts[name] = []
        lines = self._uses()
        started = started or bool(lines)
        for name, text in texts.items():
            if self.block.types[name].source is None:
                lines += ["", *text] if started else text
                started = True
        return lines

    def _uses(self) -> list[str]:
        used: list[tuple[str, list[str]]] = []
        for declared in self.block.types.values():
            if declared.source is not None:
                interface, theirs = declared.source
                mine = declared.name
                text = escape(theirs) if theirs == mine else f"{escape(theirs)} as {escape(mine)}"
                if used and used[-1][0] == interface:
                    used[-1][1].append(text)
                else:
                    used.append((interface, [text]))
        return [
            f"use {_path(interface, self.package)}.{{{', '.join(names)}}};"
            for interface, names in used
        ]

    def _declare(self, declared: Declared) -> list[str]:
        name, found = escape(declared.name), declared.type
        if declared.alias is not None:
            return [f"type {name} = {escape(declared.alias)};"]
        first = self.block.names.get(id(found))
        if isinstance(found, t.Resource):
            if first is not None and first != declared.name:
                return [f"type {name} = {escape(first)};"]
            return self._resource(declared.name)
        if isinstance(found, t.FuncT | ScopedType):
            return [f"// type {name}"]
        if isinstance(found, t.Named):
            found = found.target
            while isinstance(found, t.Named) and id(found) not in self.block.names:
                found = found.target
        match found:
            case t.RecordT(fields=fields):
                return self._braces(
                    "record", name, [f"{escape(f)}: {self.text(x)}" for f, x in fields]
                )
            case t.VariantT(cases=cases):
                texts = [
                    escape(c) + (f"({self.text(x)})" if x is not None else "") for c, x in cases
                ]
                return self._braces("variant", name, texts)
            case t.EnumT(labels=labels):
                return self._braces("enum", name, [escape(label) for label in labels])
            case t.FlagsT(labels=labels):
                return self._braces("flags", name, [escape(label) for label in labels])
            case t.Own():
                # Without own<> this would be another name of the resource itself.
                return [f"type {name} = own<{self.handle(found)}>;"]
            case t.Named() | t.Prim() | t.Borrow():
                return [f"type {name} = {self.text(found)};"]
        return [f"type {name} = {self.structure(found)};"]

    def _braces(self, keyword: str, name: str, lines: list[str]) -> list[str]:
        return [f"{keyword} {name} {{", *_indent(f"{line}," for line in lines), "}"]

    def _resource(self, name: str) -> list[str]:
        lines: list[str] = []
        for key, func in self.block.funcs.items():
            parts = ExternNameParts.try_parse(key)
            if parts is not None and parts.resource == name:
                lines += _external(func.external_id) + [self._method(parts, func)]
        if not lines:
            return [f"resource {escape(name)};"]
        return [f"resource {escape(name)} {{", *_indent(lines), "}"]

    def _method(self, parts: ExternNameParts, func: FuncItem) -> str:
        if parts.kind == "constructor":
            result = func.type.result
            text = f"constructor({self.params(func.type.params)})"
            if result is not None and not isinstance(t.strip(result), t.Own):
                text += f" -> {self.text(result)}"
            return f"{text};"
        is_static = parts.kind == "static"
        text = self.func(func.type, 0 if is_static else 1, parts.is_async)
        return f"{escape(parts.label or '')}: {'static ' if is_static else ''}{text};"

    def function(self, key: str, func: FuncItem) -> str | None:
        """A function line; None if the function is printed with its resource."""
        parts = ExternNameParts.try_parse(key)
        if parts is not None and parts.resource is not None:
            self._method(parts, func)  # so that the types it mentions have names
            return None
        label = parts.label if parts is not None and parts.label else key
        is_async = parts is not None and parts.is_async
        return f"{escape(label)}: {self.func(func.type, 0, is_async)};"
