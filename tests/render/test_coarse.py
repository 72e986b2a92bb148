"""Times that are bounds are shown as bounds."""

from __future__ import annotations

import json

from tests.trace.records import Log
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.registry import renderer
from whamm_cm.trace.session import Session


def quick() -> Log:
    """Two calls, of which the second may have begun later than is told."""
    log = Log()
    log.call("a:b/c#f")
    number = log.enter("a:b/c#f", coarse=True)
    log.leave("a:b/c#f", number, coarse=True)
    return log


def shown(name: str) -> str:
    return "".join(renderer(name).render(quick(), RenderOptions()))


def test_strace_marks_the_duration() -> None:
    first, second = shown("strace").splitlines()
    assert first.endswith(" <0.000001>") and second.endswith(" <≤0.000001>")


def test_the_summary_says_how_many() -> None:
    assert shown("summary").splitlines()[-1] == (
        "1 call in quick succession: the times of these are upper bounds"
    )


def test_a_trace_for_viewers_marks_the_event() -> None:
    events = json.loads(shown("chrome"))["traceEvents"]
    assert [event["args"].get("coarse") for event in events if event["ph"] == "X"] == [None, True]


def test_json_keeps_the_mark() -> None:
    assert [json.loads(line).get("coarse") for line in shown("jsonl").splitlines()] == (
        [None, None, True, True]
    )


def test_calls_of_a_session_have_it() -> None:
    assert [call.coarse for call in Session.build(quick()).calls] == [False, True]
