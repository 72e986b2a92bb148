"""CoreModule says what the text it was assembled from says, and is written back byte for byte."""

from __future__ import annotations

import wasmtime
from hypothesis import given
from hypothesis import strategies as st
from pytest import fixture, mark, raises

from tests.wasm.core_samples import NOT_IN_WASMTIME, SAMPLES, engine, exported_func_type, sample
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.cursor import Cursor
from whamm_cm.wasm.leb import unsigned
from whamm_cm.wasm.module import CoreModule, FuncType, GlobalType, Import, MemoryType, SectionId
from whamm_cm.wasm.module import TableType as Table
from whamm_cm.wasm.stub import stub_module

each_sample = mark.parametrize("name", SAMPLES)
PREAMBLE = b"\0asm\1\0\0\0"


@fixture
def plain() -> CoreModule:
    return CoreModule(sample("plain"))


def section(number: int, payload: bytes) -> bytes:
    return bytes((number,)) + unsigned(len(payload)) + payload


@each_sample
def test_round_trip(name: str) -> None:
    assert CoreModule(sample(name)).encode() == sample(name)


@each_sample
def test_instructions_fill_every_body(name: str) -> None:
    module = CoreModule(sample(name))
    for index, body in enumerate(module.bodies):
        found = list(module.instructions(index))
        assert found[0][0] == body.code and found[-1][2] == body.end
        assert found[-1][1].mnemonic == "end"
        assert sum(op.nesting for _, op, _ in found) == -1


def test_long_sizes_are_kept() -> None:
    data = PREAMBLE + b"\x01\x84\x80\x00\x01\x60\x00\x00" + b"\x00\x82\x00\x01x"
    module = CoreModule(data)
    assert [s.size_width for s in module.sections] == [3, 2]
    assert module.types[0].func == FuncType((), ())
    assert module.encode() == data


def test_types_imports_and_functions(plain: CoreModule) -> None:
    assert plain.types[0].func == FuncType(("i32", "i64"), ("f32",))
    assert [(i.module, i.name, i.kind) for i in plain.imports] == [
        ("env", "log", "func"), ("env", "mem", "memory"), ("env", "tab", "table"),
        ("env", "base", "global"),
    ]  # fmt: skip
    assert [i.type for i in plain.imports[1:]] == [
        MemoryType(1, 2), Table("funcref", 3), GlobalType("i32")
    ]  # fmt: skip
    assert plain.func_type(0) == FuncType(("i32",), ())
    assert plain.func_type(1) == plain.types[0].func
    assert len(plain.functions) == len(plain.bodies) == 2
    assert plain.bodies[0].locals == ((2, "i32"), (1, "f64"))
    assert plain.start == 2


def test_tables_globals_and_exports(plain: CoreModule) -> None:
    assert plain.table_type(0) == Table("funcref", 3)
    assert plain.table_type(1) == Table("externref", 2, 5)
    assert [plain.global_type(i) for i in range(4)] == [
        GlobalType("i32"), GlobalType("i64", True), GlobalType("funcref"), GlobalType("i32")
    ]  # fmt: skip
    assert bytes(plain.globals[0].init) == b"\x42\x7f\x0b"
    assert bytes(plain.globals[2].init) == b"\x23\x00\x41\x0b\x6a\x0b"
    assert [(e.name, e.kind, e.index) for e in plain.exports] == [
        ("run", "func", 1), ("memory", "memory", 0), ("tab", "table", 1), ("g", "global", 1),
        ("", "func", 0),
    ]  # fmt: skip
    assert plain.exported_memory("memory") == MemoryType(1, 2)
    assert plain.export("nothing") is None


def test_segments(plain: CoreModule) -> None:
    first, passive, declared, exprs, untyped = plain.elements
    assert (first.mode, first.table, first.functions) == ("active", 0, (1, 0))
    assert first.offset is not None and bytes(first.offset) == b"\x41\x00\x0b"
    assert (passive.mode, passive.table, passive.functions) == ("passive", None, (1,))
    assert (declared.mode, declared.functions) == ("declared", (2,))
    assert (exprs.mode, exprs.table, exprs.type) == ("active", 1, "externref")
    assert exprs.exprs is not None and [bytes(e) for e in exprs.exprs] == [b"\xd0\x6f\x0b"]
    assert (untyped.mode, untyped.table, untyped.type) == ("active", 0, "funcref")
    assert [bytes(e) for e in untyped.exprs or ()] == [b"\xd2\x01\x0b", b"\xd0\x70\x0b"]
    active, data = plain.data_segments
    assert (active.mode, active.memory, bytes(active.payload)) == ("active", 0, b"hello")
    assert (data.mode, data.memory, bytes(data.payload)) == ("passive", None, b"\x0b\x0b\x0b")
    assert plain.data_count == 2


def test_memories_of_all_kinds() -> None:
    module = CoreModule(sample("memories"))
    assert [module.memory_type(i) for i in range(4)] == [
        MemoryType(1, 16, is64=True), MemoryType(1), MemoryType(1, 4, shared=True),
        MemoryType(2, is64=True),
    ]  # fmt: skip
    assert module.exported_memory("memory").shared and module.exported_memory("big").is64
    assert module.data_segments[0].memory == 1
    assert CoreModule(sample("pages")).exported_memory("memory") == MemoryType(11, page_size_log2=0)


def test_limits_beyond_32_bits() -> None:
    limits = b"\x05" + unsigned(1 << 40) + unsigned(1 << 41)
    memory, table = section(5, b"\x01" + limits), section(4, b"\x01\x70" + limits)
    module = CoreModule(PREAMBLE + table + memory)
    assert module.memory_type(0) == MemoryType(1 << 40, 1 << 41, is64=True)
    assert module.table_type(0) == Table("funcref", 1 << 40, 1 << 41, is64=True)


def test_gc_types_are_counted_and_named() -> None:
    module = CoreModule(sample("gc"))
    found = [(t.kind, t.group, t.final, t.supertypes) for t in module.types[:4]]
    assert found == [
        ("struct", 0, False, ()), ("struct", 0, True, (0,)), ("array", 1, True, ()),
        ("func", 2, True, ()),
    ]  # fmt: skip
    assert exported_func_type(module, "f") == FuncType(
        ("(ref 0)", "i31ref"), ("(ref null 2)", "(ref extern)")
    )
    assert module.tables[0].type.element == "(ref 2)" and module.tables[0].init is not None
    assert len(module.elements[0].exprs or ()) == 2
    with raises(DecodeError, match="type 0 is a struct type"):
        module.type_func(0)


def test_tags() -> None:
    module = CoreModule(sample("exceptions"))
    assert [module.tag_type(i) for i in (0, 1)] == [FuncType(("i32",), ())] * 2
    assert module.export("own") is not None and len(module.imported("tag")) == 1


def test_names_and_custom_sections() -> None:
    module = CoreModule(sample("names"))
    assert module.names.module == "outer" and module.names.fault is None
    assert module.names.functions == {0: "first", 2: "third"}
    customs = {s.name: bytes(module.data[s.content : s.end]) for s in module.custom_sections}
    assert set(customs) == {"between", "after", "name"}
    assert customs["after"] == b"\0\1" and customs["between"] == b"x"


def test_a_broken_name_section_keeps_what_precedes_the_fault() -> None:
    names = b"\x00\x02\x01m" + b"\x01\x05\x01\x00\x02ab" + b"\x01\x09\x01"
    module = CoreModule(PREAMBLE + section(0, b"\x04name" + names), offset=100)
    assert module.names.module == "m" and module.names.functions == {0: "ab"}
    assert module.names.fault is not None and module.names.fault.offset == 100 + 8 + 2 + 5 + 13


def test_compact_imports() -> None:
    several = b"\x01m\x00\x7f\x02\x01a\x00\x00\x01b\x03\x7f\x00"
    alike = b"\x01n\x00\x7e\x02\x00\x01\x02\x01c\x01d"
    data = PREAMBLE + section(1, b"\x01\x60\0\0") + section(2, b"\x02" + several + alike)
    assert CoreModule(data).imports == (
        Import("m", "a", "func", 0), Import("m", "b", "global", GlobalType("i32")),
        Import("n", "c", "memory", MemoryType(1)), Import("n", "d", "memory", MemoryType(1)),
    )  # fmt: skip


def test_encode_replaces_drops_and_adds(plain: CoreModule) -> None:
    positions = {s.id: i for i, s in enumerate(plain.sections)}
    out = CoreModule(
        plain.encode(
            {positions[SectionId.START]: None, positions[SectionId.EXPORT]: b"\x00"},
            [(SectionId.CUSTOM, b"\x01xyz"), (SectionId.TAG, b"\x01\x00\x01")],
        )
    )
    assert out.start is None and out.exports == () and out.tags == (1,)
    assert [s.id for s in out.sections][:6] == [1, 2, 3, 4, 13, 6]
    assert out.sections[-1].name == "x" and out.elements == plain.elements
    wasmtime.Module.validate(engine(), out.encode())


def test_encode_adds_to_an_empty_module() -> None:
    added = [(SectionId.FUNCTION, b"\x00"), (SectionId.TYPE, b"\x00"), (SectionId.CODE, b"\x00")]
    out = CoreModule(CoreModule(sample("empty")).encode(None, added))
    assert [s.id for s in out.sections if s.id] == [1, 3, 10]


def shape(module: CoreModule) -> object:
    """The external type: what importers and exporters see."""
    exports = []
    for export in module.exports:
        look = getattr(module, f"{export.kind}_type")
        exports.append((export.name, export.kind, look(export.index)))
    return module.types, module.imports, exports


@each_sample
def test_stub_has_the_same_external_type(name: str) -> None:
    module = CoreModule(sample(name))
    stub = CoreModule(stub_module(module))
    assert shape(stub) == shape(module)
    assert len(stub.bodies) <= len(module.bodies)
    assert {s.id for s in stub.sections} <= {1, 2, 3, 4, 5, 6, 7, 10, 13}
    for index in range(len(stub.bodies)):
        assert [op.mnemonic for _, op, _ in stub.instructions(index)] == ["unreachable", "end"]


@mark.parametrize(
    ("text", "left"),
    [
        ('(func (export "a")) (func) (func (export "b")) (func (export "c") (param i32))', 2),
        ("(func) (func (param i32))", 0),
        ('(func) (func $f (export "f")) (global funcref (ref.func $f))', 2),
        ('(func $f) (func) (table 1 funcref (ref.func $f)) (func (export "g"))', 3),
        ('(func) (func (export "f")) (global i32 (i32.const 82))', 1),  # 82 is written as 0xd2 0x00
    ],
    ids=["one body per type", "no export", "global names it", "table names it", "only a number"],
)
def test_stub_keeps_the_functions_it_needs(text: str, left: int) -> None:
    module = CoreModule(bytes(wasmtime.wat2wasm(f"(module {text})")))
    stub = stub_module(module)
    assert len(CoreModule(stub).bodies) == left and shape(CoreModule(stub)) == shape(module)
    wasmtime.Module.validate(engine(), stub)


@mark.parametrize("name", sorted(SAMPLES.keys() - NOT_IN_WASMTIME))
def test_sample_and_stub_are_valid_to_wasmtime(name: str) -> None:
    wasmtime.Module.validate(engine(), sample(name))
    wasmtime.Module.validate(engine(), stub_module(CoreModule(sample(name))))


@mark.parametrize("name", ["plain", "tail calls"])
def test_stub_is_like_its_module_to_wasmtime(name: str) -> None:
    def seen(data: bytes) -> list[tuple[str | None, str | None, str]]:
        module = wasmtime.Module(engine(), data)
        entries = [(i.module, i.name, described(i.type)) for i in module.imports]
        return entries + [(None, e.name, described(e.type)) for e in module.exports]

    def described(kind: object) -> str:
        if isinstance(kind, wasmtime.FuncType):
            return f"func {[*map(str, kind.params)]} {[*map(str, kind.results)]}"
        if isinstance(kind, wasmtime.GlobalType):
            return f"global {kind.content} {kind.mutable}"
        assert isinstance(kind, (wasmtime.MemoryType, wasmtime.TableType))
        return f"{type(kind).__name__} {kind.limits.min} {kind.limits.max}"

    assert seen(stub_module(CoreModule(sample(name)))) == seen(sample(name))


def test_stub_does_not_look_at_code() -> None:
    broken = bytearray(sample("plain"))
    code = CoreModule(sample("plain")).section(SectionId.CODE)
    assert code is not None
    broken[code.start : code.end] = b"\xff" * (code.end - code.start)
    assert stub_module(CoreModule(bytes(broken))) == stub_module(CoreModule(sample("plain")))


MALFORMED = [
    (b"", "not a core module", 0),
    (b"\0asm\r\0\1\0", "not a core module", 0),
    (PREAMBLE + b"\x0e\x00", "unknown section 14", 8),
    (PREAMBLE + b"\x01\x05\x00", "type section of 5 bytes runs past the end", 10),
    (PREAMBLE + b"\x03\x01\x00\x01\x01\x00", "type section is out of order", 11),
    (PREAMBLE + b"\x01\x01\x00\x01\x01\x00", "type section is out of order", 11),
    (PREAMBLE + b"\x00\x02\x01\xff", "custom section name is not valid UTF-8", 11),
]


@mark.parametrize(("data", "message", "at"), MALFORMED)
def test_malformed_modules(data: bytes, message: str, at: int) -> None:
    with raises(DecodeError, match=message) as caught:
        print(CoreModule(data, 50, "module[3]").sections)
    assert (caught.value.offset, caught.value.path) == (50 + at, "module[3]")


ENTRIES = [
    ("types", 1, "ff ff ff ff 0f", "4294967295 type announced, 0 bytes left", ""),
    ("types", 1, "01 5c", "unknown kind of type 0x5c", ".type[0]"),
    ("types", 1, "02 60 00 00 60 02 7f 40 00", "unknown value type 0x40", ".type[1].param[1]"),
    ("types", 1, "01 4e 01 4e 00", "unknown kind of type 0x4e", ".type[0].member[0]"),
    ("types", 1, "00 00", "type section has 1 bytes too many", ""),
    ("imports", 2, "01 00 01 61 05", "unknown kind of import or export 0x05", ".import[0]"),
    ("functions", 3, "02 00", "2 function announced, 1 bytes left", ""),
    ("memories", 5, "01 10 00", "unknown limits flags 0x10", ".memory[0]"),
    ("memories", 5, "01 08 00 40", "page size of 2**64 bytes", ".memory[0]"),
    ("globals", 6, "01 7f 04 41 00 0b", "unknown global flags 0x04", ".global[0]"),
    ("globals", 6, "01 7f 00 41 00", "unexpected end, expected an instruction", ".global[0]"),
    ("exports", 7, "01 01 c0 00 00", "export name is not valid UTF-8", ".export[0]"),
    ("elements", 9, "01 08", "unknown element flags 0x8", ".element[0]"),
    ("bodies", 10, "01 09 00", "function body of 9 bytes runs past the end", ".code[0]"),
    ("bodies", 10, "01 02 00 0b", "0 functions, but 1 function bodies", ""),
    ("bodies", 10, "01 0d 02 ff ff ff ff 0f 7f 80 80 80 80 08 7f", "2**32 locals", ".code[0]"),
    ("data_segments", 11, "01 03", "unknown data flags 0x3", ".data[0]"),
]


@mark.parametrize(("entry", "number", "payload", "message", "path"), ENTRIES)
def test_malformed_entries(entry: str, number: int, payload: str, message: str, path: str) -> None:
    data = PREAMBLE + section(number, bytes.fromhex(payload.replace(" ", "")))
    module = CoreModule(data, 50, "module[3]")
    with raises(DecodeError) as caught:
        getattr(module, entry)
    assert message in caught.value.message
    assert caught.value.path == "module[3]" + path
    assert 50 <= caught.value.offset <= 50 + len(data)


def test_followed_indices_are_checked(plain: CoreModule) -> None:
    for look, count in ((plain.func_type, 3), (plain.memory_type, 1), (plain.global_type, 4)):
        with raises(DecodeError, match=f"index 99 is out of bounds \\(there are {count}\\)"):
            look(99)
    with raises(DecodeError, match="there is no export 'nothing'"):
        plain.exported_memory("nothing")
    with raises(DecodeError, match="export 'run' is a func, not a memory"):
        plain.exported_memory("run")


def test_a_wrong_data_count_is_refused() -> None:
    module = CoreModule(PREAMBLE + section(12, b"\x02") + section(11, b"\x01\x01\x00"))
    with raises(DecodeError, match="2 data segments announced, 1 found"):
        print(module.data_segments)


def test_two_exports_of_one_name_are_refused() -> None:
    module = CoreModule(PREAMBLE + section(7, b"\x02\x01a\x00\x00\x01a\x00\x01"))
    with raises(DecodeError, match="two exports are named 'a'"):
        module.export("a")


@given(st.lists(st.integers(0, (1 << 32) - 1)), st.integers(0, 8))
def test_many_integers_are_read_like_one(numbers: list[int], cut: int) -> None:
    data = unsigned(len(numbers)) + b"".join(map(unsigned, numbers))
    data = data[: len(data) - cut] if cut < len(data) else data
    results = []
    for read in (lambda c: c.u32s("item", "a u32"), lambda c: c.vector("item", Cursor.u32)):
        cur = Cursor(data + b"\x80", 0, len(data), 7, "here")
        try:
            results.append((read(cur), cur.pos))
        except DecodeError as fault:
            results.append((str(fault), fault.offset, fault.path))
    assert results[0] == results[1]
