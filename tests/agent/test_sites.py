"""The site table: round trips, sharing, and what a reader refuses."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent.encode import Encoder
from tests.agent.sample import site, table
from tests.strategies import wit_types
from whamm_cm.agent.layout import SITE_SIZE, TABLE_HEADER, Edge, NodeKind, SiteFlag, SiteKind
from whamm_cm.agent.sites import SiteSpec, SiteTableBuilder
from whamm_cm.agent.table import Field, Node, SiteTable, SiteTableError
from whamm_cm.errors import WhammError
from whamm_cm.wit.types import (
    Borrow,
    EnumT,
    FlagsT,
    ListT,
    MapT,
    Named,
    OptionT,
    Prim,
    RecordT,
    Resource,
    TupleT,
    ValType,
)

U8, STRING = Prim("u8"), Prim("string")


def nodes_of(t: ValType, ptr: int = 4) -> tuple[Node, ...]:
    builder = SiteTableBuilder()
    assert builder.add_type(t, ptr) == len(SiteTable.parse(builder.to_bytes()).nodes) - 1
    return SiteTable.parse(builder.to_bytes()).nodes


def test_a_site_comes_back() -> None:
    spec = SiteSpec(
        SiteKind.TASK_RETURN, Edge.EXPORT, "cart", "wasi:http/handler", "0.3.0", "handle",
        (("self", Borrow(Resource("r", "a:b/c"))), ("x", U8)), OptionT(U8),
        has_self=True, is_async=True, ptr=8, encoding="latin1+utf16",
        inner=("own:name/it", "", "other"),
    )  # fmt: skip
    parsed = SiteTable.parse(table(site(), spec))
    first, second = parsed.sites
    assert (first.params, first.result, first.encoding, first.ptr) == (None, None, "utf8", 4)
    for key in SiteSpec.__slots__:
        if key not in ("params", "result", "reps", "elements", "ends"):
            assert getattr(second, key) == getattr(spec, key)
    assert second.params is not None and second.result is not None
    params = parsed.nodes[second.params]
    assert [(f.name, f.offset) for f in params.fields] == [("self", 0), ("x", 4)]
    handle = params.fields[0].type
    assert handle is not None
    assert (parsed.nodes[handle].resource, parsed.nodes[handle].owner) == ("r", "a:b/c")
    assert parsed.nodes[second.result].kind is NodeKind.OPTION


def test_nodes_of_a_map() -> None:
    key, value, entry, whole = nodes_of(MapT(STRING, U8))
    assert entry == Node(
        NodeKind.TUPLE, 12, 4, True, count=2, fields=(Field("", 0, 0), Field("", 1, 8))
    )
    assert whole == Node(NodeKind.MAP, 8, 4, True, a=2)
    assert (key.kind, value.kind) == (NodeKind.STRING, NodeKind.U8)


def test_widths_and_discriminants() -> None:
    assert nodes_of(STRING, 8)[0].size == 16
    assert nodes_of(EnumT(tuple(f"e{i}" for i in range(257))))[0].a == 2
    assert nodes_of(FlagsT(("a", "b")))[0].fields == (Field("a", None, 0), Field("b", None, 0))


def test_equal_types_are_stored_once_but_not_across_widths() -> None:
    builder = SiteTableBuilder()
    one = builder.add_type(RecordT((("a", Prim("string")),)))
    assert builder.add_type(Named("n", None, RecordT((("a", Prim("string")),)))) == one
    assert builder.add_type(RecordT((("b", Prim("string")),))) != one
    assert builder.add_type(RecordT((("a", Prim("string")),)), 8) != one


@given(wit_types(), st.sampled_from((4, 8)))
def test_any_type_has_the_layout_of_the_canonical_abi(t: ValType, ptr: int) -> None:
    node, encoder = nodes_of(t, ptr)[-1], Encoder(ptr)
    assert (node.size, node.align) == (encoder.size(t), encoder.align(t))


def test_a_deep_chain_of_types() -> None:
    t: ValType = U8
    for _ in range(490):
        t = ListT(t)
    assert len(nodes_of(t)) == 491


def test_elements_without_a_size_are_refused() -> None:
    with pytest.raises(SiteTableError, match="without a size"):
        nodes_of(ListT(TupleT(())))


def test_output_is_deterministic_and_aligned() -> None:
    spec = site((("x", ListT(STRING)), ("y", FlagsT(("q",)))), U8)
    assert table(spec, spec) == table(spec, spec)
    assert len(table(spec)) % 16 == 0


@given(wit_types(), st.randoms(use_true_random=False))
def test_damage_raises_only_whamm_errors(t: ValType, rng: random.Random) -> None:
    whole = table(site((("x", t),), t))
    for _ in range(20):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 2, 0x80, 0xFF, rng.getrandbits(8)))
        try:
            SiteTable.parse(bytes(data[: rng.choice((len(data), rng.randint(0, len(data))))]))
        except WhammError as error:
            assert isinstance(error, SiteTableError)


def patched(offset: int, value: int) -> bytes:
    """The table of one site with params of one u8 (node 0) in a record (node 1)."""
    data = bytearray(table(site((("x", U8),))))
    data[offset : offset + 4] = value.to_bytes(4, "little")
    return bytes(data)


NODES = TABLE_HEADER + SITE_SIZE


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0, 0, "not a site table"),
        (4, 1, "not a site table"),
        (8, 1 << 30, "leave the site table"),
        (28, 1 << 30, "wants"),
        (TABLE_HEADER, 99, "site of kind 99"),
        (TABLE_HEADER + 12, 1 << 31, "name at"),
        (TABLE_HEADER + 40, 7, "type 7 is used before"),
        (TABLE_HEADER + 40, 0, "not a record"),
        (NODES, 28, "unknown kind 28"),
        (NODES + 4, 2, "type node 0 .U8. is inconsistent"),
        (NODES + 12, 1, "type node 0 .U8. is inconsistent"),
        (NODES + 32 + 4, 0, "type node 1 .RECORD. is inconsistent"),
        (NODES + 32 + 24, 1 << 31, "2147483648 entries"),
        (NODES + 64 + 8, 1, "type 1 is used before"),
        (NODES + 64 + 8, 0xFFFFFFFF, "has no type"),
    ],
)
def test_what_is_refused(offset: int, value: int, message: str) -> None:
    with pytest.raises(SiteTableError, match=message):
        SiteTable.parse(patched(offset, value))


def test_what_is_copied_stands_beside_what_is_returned() -> None:
    copies = SiteSpec(
        SiteKind.BUILTIN, Edge.BUILTIN, "", "", "", "stream.read",
        result=Prim("u32"), elements=ListT(STRING),
    )  # fmt: skip
    plain, read = SiteTable.parse(table(site(), copies)).sites
    assert (plain.copies, read.copies) == (False, True)
    parsed = SiteTable.parse(table(copies))
    assert parsed.sites[0].result is not None
    names = [field.name for field in parsed.nodes[parsed.sites[0].result].fields]
    assert names == ["result", "data"]


def test_a_copy_without_a_record_is_refused() -> None:
    data = bytearray(table(SiteSpec(SiteKind.BUILTIN, Edge.BUILTIN, "", "", "", "x", result=U8)))
    at = TABLE_HEADER + 4 * 12
    data[at] |= SiteFlag.COPIES
    with pytest.raises(SiteTableError, match="copies"):
        SiteTable.parse(bytes(data))
