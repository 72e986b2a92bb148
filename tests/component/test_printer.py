"""The printer: each component in data/ beside the text it has, and what such texts cannot show."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

import pytest
import wasmtime

from tests.golden import check_golden
from whamm_cm.component import nodes as n
from whamm_cm.component import printer
from whamm_cm.component.canons import ROWS
from whamm_cm.component.decode import decode
from whamm_cm.component.encode import encode
from whamm_cm.component.ir import Component, Definition, SectionId
from whamm_cm.component.items import Item, Sort
from whamm_cm.component.printer import MAX_NAME, print_component, quote
from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.types import MemoryType

DATA = Path(__file__).parent / "data"


def component(*nodes, items=()):
    """A component of one definition for each node; the last one adds ``items``."""
    definitions = [Definition(SectionId.TYPE, node) for node in nodes]
    definitions[-1] = replace(definitions[-1], items=items)
    return Component(tuple(definitions))


def lines(*nodes, items=()):
    """Those definitions as text."""
    return [line.strip() for line in print_component(component(*nodes, items=items))][1:]


@pytest.mark.parametrize("source", sorted(DATA.glob("*.wat")), ids=lambda path: path.stem)
def test_golden(source):
    root = decode(bytes(wasmtime.wat2wasm(source.read_text("utf-8"))))
    text = "".join(f"{line}\n" for line in print_component(root))
    assert "$?" not in text
    check_golden(source.with_suffix(".ir"), text)
    # What does not depend on the input's bytes is the same after a round trip.
    assert list(print_component(decode(encode(root)))) == text.splitlines()


def test_every_node_class_has_a_row():
    assert set(printer._PRINTERS) == {*get_args(n.Node), Component, CoreModule}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.op)
def test_every_immediate_of_a_canonical_definition_shows(row):
    func, kind, memory, table = (
        Item(sort) for sort in (Sort.CORE_FUNC, Sort.TYPE, Sort.CORE_MEMORY, Sort.CORE_TABLE)
    )
    canon = n.Canon(
        row.op, func, kind, n.CanonOptions("utf16"), "u32", True, memory, table, "i64", 3
    )
    (line,) = lines(canon)
    expected = {
        "func": "$?core-func", "type": "type=$?type", "core type": "type=$?type",
        "resultlist": "result=u32", "opts": "encoding=utf16", "memory": "memory=$?core-memory",
        "table": "table=$?core-table", "core valtype": "i64", "slot": "3", "shared": "shared",
        "flag": "async" if "cancel" in row.op else "cancellable",
    }  # fmt: skip
    assert line.split() == ["canon", row.op, *(expected[kind] for kind in row.immediates)]


def test_every_canonical_option_shows():
    values = {
        "encoding": "utf16", "memory": Item(Sort.CORE_MEMORY), "core_type": Item(Sort.CORE_TYPE),
        "realloc": Item(Sort.CORE_FUNC), "post_return": Item(Sort.CORE_FUNC),
        "callback": Item(Sort.CORE_FUNC), "is_async": True, "gc": True,
    }  # fmt: skip
    assert set(values) == {option.name for option in fields(n.CanonOptions)}
    (line,) = lines(n.Canon("task.return", options=n.CanonOptions(**values), result=None))
    assert line == (
        "canon task.return result=_ encoding=utf16 memory=$?core-memory realloc=$?core-func"
        " post-return=$?core-func callback=$?core-func core-type=$?core-type async gc"
    )


CASES = {
    "start": (n.Start(Item(Sort.FUNC), (Item(Sort.VALUE),), 0), "start $?func($?value)"),
    "value": (n.ValueDef("string", b"\x02hi"), "string 0x026869"),
    "long value": (n.ValueDef("string", bytes(40)), f"string 0x{'00' * 32}… (40 bytes)"),
    "value import": (
        n.Import(n.ExternName("v"), n.ExternType("value", None, "u8")),
        'import "v" : value u8',
    ),
    "equal value": (
        n.Import(n.ExternName("v"), n.ExternType("value", Item(Sort.VALUE))),
        'import "v" : value (eq $?value)',
    ),
    "attributes": (
        n.Import(
            n.ExternName("s", (("implements", "a:b/c"), ("external-id", 'q"'))),
            n.ExternType("instance", Item(Sort.TYPE)),
        ),
        'import "s" implements="a:b/c" external-id="q\\"" : instance $?type',
    ),
    "page size": (
        n.CoreExportDecl("m", n.CoreExtern("memory", limits=MemoryType(0, None, True, True, 0))),
        'export "m" : memory 0.. pages of 1 i64 shared',
    ),
    "huge page size": (
        n.CoreExportDecl("m", n.CoreExtern("memory", limits=MemoryType(0, 1, page_size_log2=63))),
        'export "m" : memory 0..1 pages of 9223372036854775808',
    ),
    "odd label": (n.EnumDef(("a b", "ok")), 'enum {"a b", ok}'),
    "primitive": (n.PrimDef("error-context"), "error-context"),
}


@pytest.mark.parametrize("node, expected", CASES.values(), ids=CASES)
def test_one_line(node, expected):
    assert lines(node) == [expected]


def test_an_empty_section_says_which():
    root = decode(b"\0asm\x0d\0\x01\0" + b"\x06\x01\x00")
    assert list(print_component(root)) == ["component (11 bytes)", "  empty section: alias"]


def named(*names):
    """The lines of as many type definitions, under the names the name section gives them."""
    items = [Item(Sort.TYPE) for _ in names]
    rows = tuple((Sort.TYPE, i, item, names[i]) for i, item in enumerate(items))
    definitions = [Definition(SectionId.TYPE, n.PrimDef("u8"), (item,)) for item in items]
    section = Definition(SectionId.CUSTOM, n.NameSection(None, rows, memoryview(b"")))
    return list(print_component(Component((*definitions, section))))[1:-1]


def test_names_are_unique_and_never_taken_for_ours():
    heads = [line.partition(" = ")[0] for line in named("a", "a", "type0", "", "b c", "typed")]
    assert heads == [
        "  type $a",
        "  type $type1",
        '  type $"type0"',
        "  type $type3",
        '  type $"b c"',
        "  type $typed",
    ]


def test_a_name_too_long_to_repeat_is_not_used():
    assert named("x" * MAX_NAME, "y" * (MAX_NAME + 1)) == [
        f"  type ${'x' * MAX_NAME} = u8",
        "  type $type1 = u8",
    ]


def test_a_malformed_module_is_one_line_with_the_reason():
    module = CoreModule(b"\0asm\1\0\0\0" + b"\x02\x01\x05", 100, "module[0]")
    (line,) = lines(module)
    assert line == (
        "module[0] (11 bytes), unreadable:"
        ' "module[0]: 5 import announced, 0 bytes left (at offset 0x6e)"'
    )


def test_quote_escapes_what_a_terminal_would_act_on():
    assert quote('a\x1b[31m"\\\u202eé') == '"a\\u{1b}[31m\\"\\\\\\u{202e}é"'


def test_nesting_far_beyond_the_recursion_limit_prints():
    inner = Component(())
    for _ in range(3000):
        inner = Component((Definition(SectionId.COMPONENT, inner, (Item(Sort.COMPONENT),)),))
    text = list(print_component(inner))
    assert len(text) == 3001
    assert text[-1] == "  " * 3000 + "component $component0 = component (not in the input)"
