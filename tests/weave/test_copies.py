"""What reads and writes of streams and futures have copied, on both sides, however they end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wast_driver import Hook, Sink
from tests.wast_driver.runner import PASSED, run_text
from tests.weave.streaming import (
    DROP,
    FUTURE_WAYS,
    KINDS,
    NONE,
    OWN,
    WAYS,
    Kind,
    Way,
    script,
    with_resource,
)
from tests.weave.test_tasks import Records, Weaver
from whamm_cm.agent.table import SiteTable
from whamm_cm.render import strace
from whamm_cm.render.options import RenderOptions
from whamm_cm.trace.decode import Receiver
from whamm_cm.wit.classes import SiteSet


def records_of(text: str, **wishes: Any) -> Records:
    """The records of a script, which goes as it does without probes."""
    assert [one.status for one in run_text(text)] == [PASSED] * 2
    weaver, sink = Weaver(wishes), Sink()
    outcomes = run_text(text, Hook(weaver), sink)
    assert [one.status for one in outcomes] == [PASSED] * 2, outcomes
    receiver = Receiver(SiteTable.parse(weaver.table))
    return [record for block in sink.blocks for record in receiver.receive(block).records]


def copies(records: Records, func: str) -> Records:
    """The returns of copies that are over."""
    return [
        one
        for one in records
        if one["phase"] == "return" and one["func"] == func and not one.get("pending")
    ]


def check(kind: Kind, way: Way, future: bool, **wishes: Any) -> None:
    records = records_of(script(kind, way.body, way.result, way.call, future), **wishes)
    holder = "future" if future else "stream"
    for func, wanted in ((f"{holder}.read", way.reads), (f"{holder}.write", way.writes)):
        found = copies(records, func)
        results = [how if future else count << 4 | how for count, how in wanted]
        assert [one["result"] for one in found] == results, func
        data = [kind.data(count) for count, _ in wanted]
        assert [one.get("data", []) for one in found] == data, func


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("kind", (*KINDS, NONE), ids=lambda kind: kind.name)
def test_streams(kind: Kind, way: Way) -> None:
    check(kind, way, False)


@pytest.mark.parametrize("way", FUTURE_WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("kind", (*KINDS, NONE), ids=lambda kind: kind.name)
def test_futures(kind: Kind, way: Way) -> None:
    check(kind, way, True)


def named(ways: tuple[Way, ...], name: str) -> Way:
    return next(way for way in ways if way.name == name)


@pytest.mark.parametrize("name", ["at once", "waited", "cancelled after some"])
def test_without_multi_memory(name: str) -> None:
    for kind in KINDS:
        check(kind, named(WAYS, name), False, multi_memory=False, timed=True)


def test_lists_are_cut() -> None:
    way = named(WAYS, "at once")
    wanted = {
        "u8": {"~cut": 5, "~b64": "c3Ry"},
        "u64": {"~cut": 5, "~list": [1, 2]},
        "string": {"~cut": 5, "~list": ["one", "two"]},
    }
    for kind in KINDS:
        if kind.name not in wanted:
            continue
        records = records_of(script(kind, way.body, way.result), max_list=2, max_string=3)
        for func in ("stream.read", "stream.write"):
            assert [one["data"] for one in copies(records, func)] == [wanted[kind.name]]


def test_handles_in_streams() -> None:
    way = named(WAYS, "at once")
    text = with_resource(script(OWN, way.body, way.result))
    records = records_of(text)
    (written,), (read,) = copies(records, "stream.write"), copies(records, "stream.read")
    assert written["data"] == OWN.values[:5] and written["handles"] == {"data.*": "t"}
    assert len(set(read["data"])) == 5 and read["handles"] == {"data.*": "t"}


# --- which end is which --------------------------------------------------------------------------


def handles(records: Records, func: str, phase: str = "call") -> list[object]:
    return [r.get("handles") for r in records if r.get("func") == func and r["phase"] == phase]


def test_ends_are_told_where_all_is_recorded() -> None:
    way = named(WAYS, "dropped after some")
    text = script(KINDS[0], way.body + f" {DROP}", way.result)
    records = records_of(text)
    assert handles(records, "stream.new", "handle") == [{"result": "new:stream"}]
    assert handles(records, "stream.drop-writable", "handle") == [{"args.stream": "gone:stream"}]
    assert handles(records, "stream.drop-readable", "handle") == [{"args.stream": "gone:stream"}]
    assert handles(records, "stream.read") == [{"args.stream": "stream"}]
    # On either side of the call.
    assert handles(records, "make", "return") == [
        {"result": "gone:stream"},
        {"result": "new:stream"},
    ]
    (both,) = (r for r in records if r["phase"] == "handle" and r["func"] == "stream.new")
    assert "call" not in both and both["instance"] and both["edge"] == "builtin"
    assert not [r for r in records if r["phase"] == "call" and r["func"] == "stream.new"]


def test_built_ins_that_are_asked_for_are_calls() -> None:
    way = named(WAYS, "dropped")
    records = records_of(script(KINDS[0], way.body, way.result), trace=SiteSet.parse("all,%async"))
    assert not [r for r in records if r["phase"] == "handle"]
    assert handles(records, "stream.new", "return") == [{"result": "new:stream"}]
    assert handles(records, "stream.drop-writable") == [{"args.stream": "gone:stream"}]
    text = "".join(strace.render(records, RenderOptions(names=True, each=True)))
    assert "stream#1<make()>.read(8) = blocked\n" in text


@pytest.mark.parametrize("wish", ["#stream.*", "all,!#make,!%async", "#*.read,#*.write"])
def test_ends_are_not_told_where_something_is_not_recorded(wish: str) -> None:
    """The reader's streams come by ``make``."""
    way = named(WAYS, "dropped")
    records = records_of(script(KINDS[0], way.body, way.result), trace=SiteSet.parse(wish))
    assert handles(records, "stream.read") == [None]
    assert "handles" not in str(records)
    text = "".join(strace.render(records, RenderOptions(names=True, each=True)))
    assert "stream#1.read(8) = blocked\n" in text


def test_where_nothing_is_copied_nothing_is_noted() -> None:
    way = named(WAYS, "dropped")
    records = records_of(script(KINDS[0], way.body, way.result), trace=SiteSet.parse("#run"))
    assert {r["phase"] for r in records} == {"call", "return", "end"}


# --- secrets -------------------------------------------------------------------------------------


def secretive(kind: Kind) -> str:
    """The reader has its stream from a function that hands out secrets."""
    way = named(WAYS, "at once")
    text = script(kind, way.body, way.result)
    imported = '(import "make" (func $make (result $s)))'
    assert imported in text
    text = text.replace(
        imported,
        '(import "wasi:config/feed@0.2.0" (instance $feed'
        ' (type $s (stream u8)) (export "make" (func (result $s)))))'
        ' (alias export $feed "make" (func $make))',
    )
    given = '(with "make" (func $w "make"))'
    return text.replace(
        given, '(with "wasi:config/feed@0.2.0" (instance (export "make" (func $w "make"))))'
    )


def test_streams_of_secrets_are_redacted() -> None:
    """On both sides, for nobody can tell which stream of bytes it is."""
    records = records_of(secretive(KINDS[0]))
    for func in ("stream.read", "stream.write"):
        assert [one["data"] for one in copies(records, func)] == [{"~redacted": 5}]
    assert "c3RyZWE" not in str(records)
    records = records_of(secretive(KINDS[0]), show_secrets=True)
    for func in ("stream.read", "stream.write"):
        assert [one["data"] for one in copies(records, func)] == [KINDS[0].data(5)]
