"""``interval:1s`` and ``wasm:tick``: what fires while the program runs, whatever it does.

They are driven by calls and beats: functions with probes, and boundary functions with probes, look
at the clock now and then (``emit/tick.py``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from whamm_cm.lang import syntax as s
from whamm_cm.lang.events import SCOPE, Event, Mode
from whamm_cm.lang.source import Source
from whamm_cm.lang.tree import Probe

INTERVAL, TICK = "interval", "tick"
#: Packages whose probes fire while the program runs.
BEATING = (INTERVAL, TICK)
#: How often scripts report at least whose only such event is ``wasm:tick``.
_SECOND = 10**9

_RULE = re.compile(r"(?:wasm\s*:\s*)?(interval|tick)\s*(?::\s*([^\s:()]*)\s*)?", re.I)
_DURATION = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)(ns|us|ms|s|m)")
_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9}
_DAY = 86_400 * 10**9


def event_of(source: Source, probe: s.ProbeSyntax) -> Event | None:
    """The event of such a rule; of an interval ``name`` is its length in nanoseconds.  None for any
    other rule.  Raises ScriptError for what is no length of time."""
    found = _RULE.fullmatch(probe.rule)
    if found is None or (found[1].lower() == TICK and not probe.rule.lower().startswith("wasm")):
        return None
    package, text = found[1].lower(), found[2]
    if package == TICK:
        if text is not None:
            raise source.error("wasm:tick has no events", probe.at, probe.end, "write wasm:tick")
        return _event(TICK, "")
    match = _DURATION.fullmatch(text or "")
    length = round(float(match[1]) * _UNITS[match[2]]) if match else 0
    if not 1 <= length <= _DAY:
        at = probe.at + (found.start(2) if text else 0)
        raise source.error(f'"{text or ""}" is no length of time', at, probe.end,
                           "write for instance interval:1s, with ns, us, ms, s or m")  # fmt: skip
    return _event(INTERVAL, str(length))


def _event(package: str, name: str) -> Event:
    return Event(package, name, "", (Mode("", "<no-mode>"),), SCOPE, known=False)


def beat_of(probes: Iterable[Probe]) -> int:
    """How often, in nanoseconds, scripts with such probes look at the clock at least; 0 without."""
    lengths = [
        int(probe.event) if probe.package == INTERVAL else _SECOND
        for probe in probes
        if probe.package in (INTERVAL, TICK)
    ]
    return min(lengths, default=0)
