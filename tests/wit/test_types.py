"""Walking, rebuilding and comparing value types."""

from __future__ import annotations

import pytest

from whamm_cm.wit import types as t
from whamm_cm.wit.subst import with_children

U8, U32, STRING = t.Prim("u8"), t.Prim("u32"), t.Prim("string")
R = t.Resource("r", "a:b/c")
EVERY: list[tuple[t.ValType, list[t.ValType]]] = [
    (U8, []),
    (t.ListT(U8), [U8]),
    (t.ListT(U8, 4), [U8]),
    (t.MapT(STRING, U8), [STRING, U8]),
    (t.RecordT((("a", U8), ("b", STRING))), [U8, STRING]),
    (t.TupleT((U8, U32)), [U8, U32]),
    (t.VariantT((("a", None), ("b", U8), ("c", None), ("d", STRING))), [U8, STRING]),
    (t.EnumT(("a", "b")), []),
    (t.FlagsT(("a", "b")), []),
    (t.OptionT(U8), [U8]),
    (t.ResultT(None, U8), [U8]),
    (t.ResultT(U8, None), [U8]),
    (t.ResultT(U8, STRING), [U8, STRING]),
    (t.ResultT(None, None), []),
    (t.Own(R), []),
    (t.Borrow(R), []),
    (t.StreamT(None), []),
    (t.StreamT(U8), [U8]),
    (t.FutureT(None), []),
    (t.FutureT(STRING), [STRING]),
    (t.Named("n", None, U8), [U8]),
]


@pytest.mark.parametrize(("whole", "inside"), EVERY, ids=lambda x: type(x).__name__)
def test_children_and_rebuilding(whole: t.ValType, inside: list[t.ValType]) -> None:
    assert list(t.children(whole)) == inside
    rebuilt = with_children(whole, t.children(whole))
    assert type(rebuilt) is type(whole)
    assert t.same_type(rebuilt, whole)
    if inside:
        changed = with_children(whole, tuple(t.Prim("f64") for _ in inside))
        assert [child.name for child in t.children(changed)] == ["f64"] * len(inside)  # type: ignore[union-attr]
        assert not t.same_type(changed, whole)


def test_every_pair_of_different_types_differs() -> None:
    for i, (a, _) in enumerate(EVERY[:-1]):  # the last is only a name for the first
        for j, (b, _) in enumerate(EVERY[:-1]):
            assert t.same_type(a, b) is (i == j)


def test_names_do_not_count_and_resources_do() -> None:
    assert t.same_type(t.Named("n", "a:b/c", t.Named("m", None, U8)), t.Prim("u8"))
    assert not t.same_type(t.Own(R), t.Own(t.Resource("r", "a:b/c")))
    assert not t.same_type(t.Own(R), t.Borrow(R))
    assert t.same_type(t.Own(R), t.Own(R, alias="q"))


def test_a_dag_that_stands_for_a_huge_tree_is_compared_fast() -> None:
    def chain() -> t.ValType:
        found: t.ValType = t.Prim("u8")
        for _ in range(90):
            found = t.TupleT((found, found))
        return found

    assert t.same_type(chain(), chain())
