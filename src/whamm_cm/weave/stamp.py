"""What a woven file says of itself: custom sections that inspect, gate and a second weave read."""

from __future__ import annotations

import hashlib
import json

from whamm_cm import __version__
from whamm_cm.agent.layout import TABLE_SECTION
from whamm_cm.weave.plan import Plan

STAMP, SITES = "whamm-cm", TABLE_SECTION


def stamp(plan: Plan, origin: str) -> bytes:
    """The content of the section ``whamm-cm``; ``origin`` is the SHA-256 of the input."""
    facts = {
        "tool": "whamm-cm",
        "version": __version__,
        "original-sha256": origin,
        "script-sha256": hashlib.sha256(plan.script.encode()).hexdigest(),
        "sink": plan.sink,
    }
    return json.dumps(facts, separators=(",", ":")).encode()
