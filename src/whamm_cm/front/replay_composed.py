"""Replays of what is made for WASI 0.3: the embedded engine has no host for it, and what is
composed of a recording needs none."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile

from whamm_cm.emit.play.layout import ANOTHER, DIGIT, LABELS, NEXT_CALL, PLAYER, WAS, Label
from whamm_cm.front.composing import Composed, composed
from whamm_cm.front.replay import Halt, Replay, Why
from whamm_cm.run.embedded import run
from whamm_cm.run.guest import Job
from whamm_cm.run.options import HostOptions
from whamm_cm.run.outcome import Frame, Outcome, Trap
from whamm_cm.run.wave import parse_invocation
from whamm_cm.trace.recorded import Lived, Recording

#: What may come behind the number of a call: it is as recorded.
_AS_RECORDED = (LABELS[Label.EXITS], LABELS[Label.ENDS])


def replay_composed(
    recording: Recording, data: bytes, name: str, *, until: int | None = None, cache: bool = True
) -> tuple[Replay, bytes]:
    """Run ``data`` as it was recorded; ``until``: the number of the call to stop before.  Also what
    the guest wrote in all, as far as it is as recorded.  Raises as :func:`composed`, and RunError
    for what cannot be run; KeyboardInterrupt where a signal ended it."""
    made = composed(recording if until is None else _before(recording, until), data, name)
    job = Job(made.data, HostOptions(), parse_invocation("replay()"), None, False, cache)
    outcome = run(job)
    if outcome.interrupted:
        raise KeyboardInterrupt
    return _found(recording, made, outcome, until), made.text if outcome.trap is None else b""


def _before(recording: Recording, until: int) -> Recording:
    """As much of it as there was before call ``until``."""
    lives = list[Lived]()
    first = 0
    for life in recording.lives:
        kept = [
            [call for call in calls if first + call.record["call"] < until]
            for calls in (life.entered, life.made)
        ]
        if kept[0]:
            lives.append(replace(life, entered=kept[0], made=kept[1]))
        first += len(life.entered) + len(life.made)
    return replace(recording, lives=lives, end=None)


def _found(recording: Recording, made: Composed, outcome: Outcome, until: int | None) -> Replay:
    if outcome.trap is None:
        return Replay(made.calls, made.same, None, 0, None)
    halt = _halt(outcome.trap, until)
    if halt is not None and halt.expected in _AS_RECORDED:
        return Replay(halt.number, made.same, None, 0, halt.expected)
    if halt is None and recording.end is not None and "trap" in recording.end:
        return Replay(made.calls, made.same, None, 0, outcome.trap.message)
    if halt is None:
        halt = Halt("end", made.calls, "it did not trap", outcome.trap.message, outcome.trap)
    return Replay(halt.number, made.same, halt, 0, None)


def _halt(trap: Trap, until: int | None) -> Halt | None:
    """What the frames of ours say, which are the innermost ones; None where there are none."""
    story = list(takewhile(lambda frame: frame.module == PLAYER, trap.frames))
    said = [frame.function or "" for frame in story]
    if not said or not (said[0].startswith(WAS) or said[0] in LABELS.values()):
        return None
    digits = [one.removeprefix(DIGIT) for one in said if one.startswith(DIGIT)]
    rest = [one for one in said[1:] if not one.startswith(DIGIT) and one != NEXT_CALL]
    guest = replace(trap, frames=_guests(trap.frames[len(story) :]))
    why: Why = "call"
    if said[0] == LABELS[Label.CUT]:
        why = "cut" if until is None else "until"
    function = next((one for one in rest if "#" in one), "")
    reason = "" if why == "until" or rest[:1] == [ANOTHER] else rest[0] if rest else ""
    actual = ": ".join(filter(None, (function, reason)))
    return Halt(why, int("".join(digits) or "0"), said[0].removeprefix(WAS), actual, guest)


def _guests(frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """Without those that only pass on."""
    return tuple(frame for frame in frames if frame.module is not None)
