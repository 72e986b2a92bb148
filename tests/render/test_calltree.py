"""Call trees that scripts report, as folded stacks and for speedscope."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from whamm_cm.render import folded, speedscope
from whamm_cm.render.calltree import SEVERAL, SHAPE
from whamm_cm.render.options import RenderOptions

Node = tuple[int, tuple[int, str, int, int]]
NODES = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.tuples(
            st.integers(0, 9), st.sampled_from(["", "a;b", "main"]), st.integers(0, 5),
            st.integers(0, 99),
        ),
    ),
    unique_by=lambda node: node[0],
)  # fmt: skip


def log(nodes: list[Node], instance: int = 1) -> dict[str, Any]:
    value = [[number, list(node)] for number, node in nodes]
    head = {"v": 1, "instance": instance, "phase": "report", "script": "s", "var": "tree"}
    return {**head, "type": SHAPE, "value": value}


def stacks(*records: dict[str, Any]) -> dict[str, int]:
    lines = "".join(folded.render(records, RenderOptions())).splitlines()
    return {line.rpartition(" ")[0]: int(line.rpartition(" ")[2]) for line in lines}


TREE: list[Node] = [
    (1, (0, "run", 4, 10)), (2, (1, "_ZN3foo3barEv", 5, 20)), (3, (1, "", 6, 0)),
    (4, (3, "a;b", 7, 5)),
]  # fmt: skip


def test_stacks_have_readable_names() -> None:
    assert stacks(log(TREE)) == {"run": 10, "run;foo::bar()": 20, "run;#6;a,b": 5}


def test_names_of_functions_put_in_place_of_calls_are_frames() -> None:
    nodes = [[1, [0, "run;x", 4, 10, False]], [2, [1, "a;b::c([u8; 4])", 4, 5, True]]]
    tree = {**log([]), "type": SEVERAL, "value": nodes}
    assert stacks(tree) == {"run,x": 10, "run,x;a;b::c([u8, 4])": 5}


def test_instances_are_added_up_unless_profiles_of_their_own_are_asked_for() -> None:
    records = [log(TREE), log(TREE[:1], 2)]
    assert stacks(*records)["run"] == 20
    (profile,) = json.loads("".join(speedscope.render(records, RenderOptions())))["profiles"]
    assert profile["name"].endswith("2 instances") and profile["endValue"] == 45
    options = RenderOptions(per_instance=True)
    document = json.loads("".join(speedscope.render(records, options)))
    profiles = document["profiles"]
    assert [profile["name"] for profile in profiles] == ["instance 1", "instance 2"]
    assert [profile["endValue"] for profile in profiles] == [35, 10]
    assert profiles[0]["samples"][0] == [0] and profiles[0]["weights"] == [10, 20, 5]


@given(NODES)
def test_any_tree_is_shown_whole(nodes: list[Node]) -> None:
    """Cycles and callers that are not there, too."""
    assert sum(stacks(log(nodes)).values()) == sum(weight for _, (*_, weight) in nodes)
