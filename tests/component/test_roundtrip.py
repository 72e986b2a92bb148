"""What was not edited comes out byte for byte, and the samples leave no production out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import get_args

from pytest import mark, raises

from tests.component.component_samples import PREAMBLE, SAMPLES, sample, section
from whamm_cm.component import nodes as n
from whamm_cm.component.canons import ROWS
from whamm_cm.component.check import check
from whamm_cm.component.decode import decode
from whamm_cm.component.encode import encode
from whamm_cm.component.ir import Definition, transform, walk
from whamm_cm.component.items import Ref, Sort
from whamm_cm.component.types import PRIMITIVES
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.module import CoreModule


@mark.parametrize("which", SAMPLES)
def test_bytes_in_bytes_out(which: str) -> None:
    component = decode(sample(which))
    assert encode(component) == sample(which)
    assert encode(transform(component)) == sample(which)
    assert check(component) == []


def nodes_of(value: object) -> Iterator[object]:
    """``value`` and every node in it."""
    if isinstance(value, tuple):
        for part in value:
            yield from nodes_of(part)
    elif type(value).__module__ == n.__name__:
        yield value
        for field in fields(value):  # type: ignore[arg-type]
            yield from nodes_of(getattr(value, field.name))


def all_definitions() -> Iterator[Definition]:
    for which in SAMPLES:
        for component in walk(decode(sample(which))):
            yield from component.definitions


@cache
def all_nodes() -> tuple[object, ...]:
    return tuple(node for found in all_definitions() for node in nodes_of(found.node))


def nodes(kind: type) -> list:
    return [node for node in all_nodes() if type(node) is kind]


def test_every_node_is_in_the_samples() -> None:
    assert {type(node) for node in all_nodes()} >= set(get_args(n.Node))


def test_every_built_in_is_in_the_samples() -> None:
    canons = nodes(n.Canon)
    assert {node.op for node in canons} == {row.op for row in ROWS}
    flagged = {row.op for row in ROWS if {"flag", "shared"} & set(row.immediates)}
    assert {node.op for node in canons if node.flag} > {"stream.cancel-write", "thread.spawn-ref"}
    assert {node.op for node in canons if node.flag} <= flagged


def test_every_canonical_option_is_in_the_samples() -> None:
    options = [node.options for node in nodes(n.Canon)]
    assert {found.encoding for found in options} == {"utf8", "utf16", "latin1+utf16"}
    for field in fields(n.CanonOptions):
        assert any(getattr(found, field.name) for found in options), field.name


def test_every_kind_of_everything_is_in_the_samples() -> None:
    assert {node.name for node in nodes(n.PrimDef)} == set(PRIMITIVES.values())
    kinds = {"core module", "func", "value", "type", "component", "instance"}
    assert {node.type.kind for node in nodes(n.Import)} == kinds
    assert {node.type.kind for node in nodes(n.Export) if node.type} >= {"func", "value"}
    core_kinds = {"func", "table", "memory", "global", "tag"}
    assert {node.type.kind for node in nodes(n.CoreImportDecl)} == core_kinds
    inline = {item.sort for node in nodes(n.CoreInlineExports) for _, item in node.exports}
    assert inline == {Sort(number) for number in range(5)}
    outer = {Sort.CORE_MODULE, Sort.CORE_TYPE, Sort.TYPE, Sort.COMPONENT}
    assert {node.item.sort for node in nodes(n.AliasOuter)} == outer
    attributes = {kind for node in nodes(n.ExternName) for kind, _ in node.attributes}
    assert attributes == {"implements", "versionsuffix", "external-id"}


def test_a_reference_is_kept_in_the_width_it_had() -> None:
    widths = {
        token.width
        for definition in decode(sample("over-long integers")).definitions
        for token in definition.tokens
        if isinstance(token, Ref)
    }
    assert widths == {2, 3, 5}


def test_core_modules_are_slices_of_the_input() -> None:
    data = sample("core instances")
    modules = [d.node for d in decode(data).definitions if isinstance(d.node, CoreModule)]
    assert [data[m.offset : m.offset + len(m.data)] for m in modules] == [m.data for m in modules]
    assert all(m.data.obj is data for m in modules)
    assert [m.path for m in modules] == ["module[0]", "module[1]"]


def test_fields_of_a_sample() -> None:
    names = [d.node.name for d in decode(sample("attributes")).definitions[1:5]]
    assert names[0] == n.ExternName("kv", (("implements", "wasi:keyvalue/store"),))
    assert names[1].attribute("versionsuffix") == ".2.3"
    assert names[2].attributes == (("external-id", "é"), ("implements", "a:b/d"))
    assert names[3].attributes == ()
    start = nodes(n.Start)
    assert [(len(node.args), node.results) for node in start] == [(1, 1), (0, 0)]
    assert nodes(n.ValueDef)[1].data == b"\x02hi"


def test_names_are_found_wherever_the_section_stands() -> None:
    component = decode(sample("name section first"))
    rows = component.definitions[0].node.rows
    assert [(sort, index, text) for sort, index, _, text in rows] == [
        (Sort.TYPE, 0, "zero"),
        (Sort.TYPE, 1, "x"),
    ]
    assert rows[1][2] is component.definitions[2].item


def test_odd_name_sections_are_no_errors() -> None:
    found = [d.node for d in decode(sample("odd name sections")).definitions[1:]]
    assert [type(node) for node in found] == [n.NameSection, n.Custom, n.NameSection]
    assert (found[0].component, found[0].rows) == ("c", ())


def test_spawned_threads_with_and_without_shared() -> None:
    canons = [d.node for d in decode(sample("shared immediates")).definitions[2:]]
    assert [(node.op, node.flag) for node in canons] == [
        ("thread.spawn-ref", True),
        ("thread.available-parallelism", True),
        ("thread.spawn-ref", False),
        ("waitable-set.new", False),
    ]
    without = [node for node in nodes(n.Canon) if node.op == "thread.spawn-indirect"]
    assert [node.table.sort for node in without] == [Sort.CORE_TABLE]


def test_the_flag_of_an_older_built_in_is_kept() -> None:
    """``cancellable``, which assemblers no longer write."""
    data = PREAMBLE + section(8, b"\x0c\x00", b"\x0c\x01")
    root = decode(data)
    nodes = [d.node for d in root.definitions]
    assert [node.flag for node in nodes if isinstance(node, n.Canon)] == [False, True]
    assert encode(root) == data


def test_values_as_toolchains_write_them() -> None:
    component = decode(sample("values as toolchains write them"))
    imports = [d.node.type for d in component.definitions if isinstance(d.node, n.Import)]
    types = [d.item for d in component.definitions[:2]]
    assert [found.valtype for found in imports] == [*types, "u8"]
    assert [found.item for found in imports] == [None, None, None]


def test_what_can_be_read_both_ways_is_refused() -> None:
    types = section(7, *[b"\x3f\x7f\x00"] * 6) + section(3, *[b"\x5f\x00"] * 3)
    # spawn-ref 0, resource.new 5; or spawn-ref (not shared) 2, task.cancel
    data = PREAMBLE + types + section(8, b"\x40\x00", b"\x02\x05")
    with raises(DecodeError, match="read in two ways") as caught:
        decode(data)
    assert data[caught.value.offset :] == b"\x40\x00\x02\x05"
