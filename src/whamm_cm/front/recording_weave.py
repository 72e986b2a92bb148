"""Components that record themselves, on whatever host they run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from whamm_cm.analysis.demands import world as demanded
from whamm_cm.component.decode import check_component, decode
from whamm_cm.errors import RunError
from whamm_cm.front.settings import Settings
from whamm_cm.front.woven import Woven
from whamm_cm.trace.hiding import Keeping
from whamm_cm.trace.recording import VERSION, signatures
from whamm_cm.weave.plan import Plan
from whamm_cm.wit.resolve import resolve

#: All that passes between the root and its host, and what copies streams and futures.
BOUNDARY = "!%inner"
#: Bytes and elements without a limit: what a record may grow to is one (``agent.c``).
_ALL = (1 << 31) - 1


def recording_plan(
    settings: Settings, data: bytes, name: str, keeping: Keeping, sink: str = "stderr"
) -> Plan:
    """What is woven into ``data``, which is the file ``name``, for its log to be a recording.

    Raises InputError for what is no component, RunError for one that no recording can be made of.
    """
    check_component(data, name)
    root = decode(data, name)
    # What handlers of 0.3 return is of the host.
    later = bool(demanded(root).versions)
    for signature in signatures("export", resolve(root).world.exports).values():
        if signature.handles[1] and not later:
            raise RunError(f"{signature.place} returns a resource, which cannot be recorded")
    said = {
        "recording": VERSION,
        "app": {"file": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)},
        "secrets": keeping,
    }
    asked = replace(
        settings, trace=BOUNDARY, max_string=_ALL, max_list=_ALL, show_secrets=keeping == "keep"
    )
    plan = asked.plan("logging" if sink == "logging" else "stderr", None)
    return replace(plan, recorded=json.dumps(said, separators=(",", ":"), ensure_ascii=False))


def check_recording(woven: Woven) -> None:
    """Raises RunError where its log would be none: handles are numbered in each component anew, and
    go from one to another; what is not woven is not recorded."""
    if woven.report.agents > 1:
        raise RunError(
            f"{woven.name} has {woven.report.agents} components inside that call the host or are"
            " called by it; a recording is of one (`trace --record` records any for WASI 0.2)"
        )
    if woven.report.skipped:
        title, reason = woven.report.skipped[0]
        raise RunError(f"{woven.name} cannot record itself: {title}: {reason}")
