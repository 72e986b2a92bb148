"""Who talks to whom: what is a node, which way calls go, and where boxes stand."""

from __future__ import annotations

import pytest
import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.build import path_of
from tests.render.make_logs import SCENARIOS
from tests.render.test_pictures import wide
from tests.trace.records import Log
from whamm_cm.render import topology_svg
from whamm_cm.render.layout import GAP_X, Box, layered
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.structure import structure, structure_of
from whamm_cm.render.topology import (
    MAX_NODES,
    arrow_path,
    captions,
    figures,
    graph,
    module_rows,
    placed,
    way_path,
)
from whamm_cm.trace.session import Session

HANDLE = "wasi:http/incoming-handler#handle"


def edges(found, calls=True):
    """(kind and name, kind and name) → calls, of those that were called."""
    return {
        (f"{e.start.kind} {e.start.name}", f"{e.end.kind} {e.end.name}"): e.traffic.calls
        for e in found.edges
        if e.traffic.calls or not calls
    }


def of(log, known=None):
    return graph(Session.build(log), known)


def chain(*components):
    """The first handles a request by asking the next, and so on."""
    log = Log()
    opened = []
    for at, name in enumerate(components, 1):
        log.component, log.instance = name, at
        opened.append(log.enter(HANDLE, edge="inner" if at > 1 else "export"))
        if at < len(components):
            opened.append(log.enter(HANDLE, edge="inner"))
    for call in reversed(opened):
        log.leave(HANDLE, call)
    return log


def test_a_chain_of_middleware_is_a_chain():
    found = of(chain("auth", "log", "app"))
    handler = "interface wasi:http/incoming-handler"
    pairs = [(f"{e.start.kind} {e.start.name}", f"{e.end.kind} {e.end.name}") for e in found.edges]
    assert pairs[:2] == [("caller callers", handler), (handler, "component auth")]
    assert sorted(pairs[2:]) == sorted(
        [
            ("component auth", handler), (handler, "component log"),
            ("component log", handler), (handler, "component app"),
        ]
    )  # fmt: skip
    assert all(edge.traffic.calls == 1 for edge in found.edges)
    assert [node.name for node in found.nodes].count("wasi:http/incoming-handler") == 3
    spots = placed(found, True).places
    lefts = {node.name: spot.x for node, spot in zip(found.nodes, spots, strict=True)}
    assert lefts["auth"] < lefts["log"] < lefts["app"]


def test_only_the_callers_side_was_recorded():
    log = Log(component="front")
    run = log.enter("wasi:cli/run#run", edge="export")
    log.call("shop:back/prices#get", 3)
    log.records[-1]["edge"] = log.records[-2]["edge"] = "inner"
    log.leave("wasi:cli/run#run", run)
    assert edges(of(log)) == {
        ("caller callers", "interface wasi:cli/run"): 1,
        ("interface wasi:cli/run", "component front"): 1,
        ("component front", "host shop:back/prices"): 1,
    }


def test_only_the_callees_side_was_recorded():
    log = Log(component="back")
    call = log.enter("shop:back/prices#get", edge="inner")
    log.call("wasi:random/random#get-random-u64", 4)
    log.leave("shop:back/prices#get", call, result=4)
    assert edges(of(log)) == {
        ("interface shop:back/prices", "component back"): 1,
        ("component back", "host wasi:random/random"): 1,
    }


def test_peers_behind_the_interface_that_asks_them():
    found = of(SCENARIOS["http"]())
    assert edges(found)["host wasi:http/outgoing-handler", "peer api.test:443"] == 1
    (edge,) = found.peers
    assert edge is not None and edge.traffic.errors == 1


def test_calls_that_were_only_counted():
    log = Log(component="app")
    log.add("report", "wasi:io/poll#poll", 0, count=41)
    assert edges(of(log)) == {("component app", "host wasi:io/poll"): 41}


def test_errors_and_times():
    log = Log(component="app")
    log.call("a:b/c#d", {"error": "no"})
    log.call("a:b/c#d", {"ok": 1})
    log.enter("a:b/c#d")
    found = of(log)
    (edge,) = found.edges
    assert figures(edge.traffic, True) == "3 calls ✗1 1 open 2.00µs"
    assert figures(edge.traffic, False) == "3 calls ✗1 1 open"
    assert captions(found, True) == ("component", "3 calls ✗1 1 open 2.00µs")


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_call_goes_over_an_edge(name):
    session = Session.build(SCENARIOS[name]())
    found = graph(session)
    over = sum(
        edge.traffic.calls
        for edge in found.edges
        if edge.end.kind != "peer" and edge.start.kind != "caller"
    )
    counted = sum(session.counts.values())
    assert over == len(session.calls) + counted


def test_the_least_busy_are_one_node():
    whole, few = of(wide(100)), of(wide(MAX_NODES))
    assert [node.kind for node in whole.nodes].count("component") == MAX_NODES
    assert not any(node.count > 1 for node in few.nodes if node.kind == "component")
    rest = [node for node in whole.nodes if node.count > 1]
    assert {node.name for node in rest} >= {"61 more components", "61 more interfaces"}
    assert sum(e.traffic.calls for e in whole.edges if e.start.kind == "caller") == 1200


# --- what is known of the component ------------------------------------------------------------


def test_what_was_never_called_is_there():
    known = structure(path_of("pipe").read_bytes())
    found = graph(Session.build([]), known)
    assert edges(found) == {}
    names = [f"{node.kind} {node.name}" for node in found.nodes]
    assert {"component source", "component main", "caller callers"} <= {*names}
    assert all(edge.functions for edge in found.edges)
    pairs = edges(found, calls=False)
    assert ("component main", "interface functions of the world") in pairs
    assert ("interface functions of the world", "component source") in pairs
    rows = {node.name: module_rows(node) for node in found.nodes if node.kind == "component"}
    assert all(rows.values())


def test_the_picture_of_a_component_at_hand():
    app = ("pipe.wasm", path_of("pipe").read_bytes())
    text = "".join(topology_svg.render([], RenderOptions(app=app)))
    assert "functions of the world" in text and ">m 428B</text>" in text
    alone = ("squares.wasm", path_of("squares").read_bytes())
    assert structure_of(None) is structure_of(alone) is None
    assert "nothing" in "".join(topology_svg.render([], RenderOptions(app=alone)))


#: $front asks $middle, which asks $back, all by one interface.
CHAIN = """(component
  (component $back
    (core module $m (func (export "f")))
    (core instance $i (instantiate $m))
    (func $f (canon lift (core func $i "f")))
    (instance $c (export "f" (func $f)))
    (export "a:b/c" (instance $c)))
  (component $middle
    (import "a:b/c" (instance $c (export "f" (func))))
    (core func $g (canon lower (func $c "f")))
    (core module $m (import "" "g" (func $g)) (func (export "f") (call $g)))
    (core instance $i (instantiate $m (with "" (instance (export "g" (func $g))))))
    (func $f (canon lift (core func $i "f")))
    (instance $d (export "f" (func $f)))
    (export "a:b/c" (instance $d)))
  (component $front
    (import "a:b/c" (instance $c (export "f" (func))))
    (core func $g (canon lower (func $c "f")))
    (core module $m (import "" "g" (func $g)) (func (export "run") (call $g)))
    (core instance $i (instantiate $m (with "" (instance (export "g" (func $g))))))
    (func $f (canon lift (core func $i "run")))
    (export "run" (func $f)))
  (instance $b (instantiate $back))
  (instance $m (instantiate $middle (with "a:b/c" (instance $b "a:b/c"))))
  (instance $f (instantiate $front (with "a:b/c" (instance $m "a:b/c"))))
  (export "run" (func $f "run")))"""


def test_who_implements_what_is_known_of_the_component():
    """Of two components with the same interface, each asks the one it is given."""
    known = structure(bytes(wasmtime.wat2wasm(CHAIN)))
    assert known.owners == {("front", "a:b/c"): "middle", ("middle", "a:b/c"): "back"}
    found = graph(Session.build([]), known)
    pairs = {
        (edge.start.name, owner.name)
        for edge in found.edges
        for owner in (each.end for each in found.edges if each.start is edge.end)
        if edge.start.kind == "component"
    }
    assert pairs == {("front", "middle"), ("middle", "back")}


# --- places ------------------------------------------------------------------------------------

graphs = st.integers(1, 12).flatmap(
    lambda count: st.tuples(
        st.lists(
            st.builds(Box, st.integers(20, 200), st.integers(20, 60), st.integers(0, 2)),
            min_size=count, max_size=count,
        ),
        st.lists(
            st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(
                lambda pair: pair[0] != pair[1]
            ),
            max_size=20, unique=True,
        ),
    )
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(graphs)
def test_boxes_do_not_overlap_and_edges_end_at_them(given_graph):
    boxes, pairs = given_graph
    found = layered(boxes, pairs)
    rows = [
        (x, y, x + b.width, y + b.height) for b, (x, y) in zip(boxes, found.corners, strict=True)
    ]
    for at, one in enumerate(rows):
        assert one[0] >= 0 and one[1] >= -0.01
        assert one[2] <= found.width + 0.01 and one[3] <= found.height + 0.01
        for other in rows[:at]:
            apart = one[0] >= other[2] or other[0] >= one[2]
            assert apart or one[1] >= other[3] - 0.01 or other[1] >= one[3] - 0.01
    for (start, end), way, back in zip(pairs, found.ways, found.back, strict=True):
        here, there = rows[start], rows[end]
        assert way[0][0] == (here[0] if back else here[2])
        assert way[-1][0] == (there[2] if back else there[0])
        for (x, y), row in ((way[0], here), (way[-1], there)):
            assert abs(y - (row[1] + row[3]) / 2) < 0.01, x
        assert way_path(way).startswith("M") and arrow_path(way, back).endswith("z")
    assert layered(boxes, pairs) == found


def test_what_is_last_stands_right_of_all_others():
    boxes = [Box(50, 20), Box(50, 20, 1), Box(50, 20), Box(50, 20, 2)]
    found = layered(boxes, [(0, 1), (0, 2), (1, 3)])
    assert [x for x, _ in found.corners] == [0, 2 * (50 + GAP_X), 50 + GAP_X, 3 * (50 + GAP_X)]


def test_a_graph_without_crossings_has_none():
    """Three chains, whose ends are told in the wrong order."""
    boxes = [Box(40, 20)] * 6
    found = layered(boxes, [(0, 5), (1, 4), (2, 3)])
    heights = [y for _, y in found.corners]
    assert heights[0] == heights[5] and heights[1] == heights[4] and heights[2] == heights[3]


def test_no_graph():
    assert placed(graph(Session.build([])), True).places == ()
