"""Function names are readable where people look, and the module's own where programs do."""

from __future__ import annotations

from whamm_cm.analysis.reach.witness import pretty
from whamm_cm.render.scripted import function_name, readable_name
from whamm_cm.trace.reports import Place

MANGLED = "_ZN4demo4main17h0123456789abcdefE"


def test_tables_show_what_the_author_wrote() -> None:
    place = Place(fid=3, fname=MANGLED)
    assert readable_name(place) == "demo::main"
    assert function_name(place) == MANGLED


def test_functions_without_a_name_are_numbers() -> None:
    assert readable_name(Place(fid=3)) == function_name(Place(fid=3)) == "#3"
    assert readable_name(Place()) == ""


def test_the_way_through_the_call_graph_does_too() -> None:
    assert pretty("_RNvC4demo4main") == "demo::main"
    assert pretty("memcpy") == "memcpy"
