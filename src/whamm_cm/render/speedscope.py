"""speedscope's "evented" profiles, one per instance (more where its calls overlap).

Where a script has reported a call tree, that is shown, as a "sampled" profile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from whamm_cm.render.calltree import CallTree, call_trees
from whamm_cm.render.lanes import Lane, lanes
from whamm_cm.render.options import RenderOptions
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Session

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    session = Session.build(records)
    frames: dict[str, int] = {}
    unit = "nanoseconds" if session.timed else "none"
    profiles = [_sampled(tree, frames) for tree in call_trees(session, options.per_instance)]
    profiles = profiles or [_profile(lane, frames, unit) for lane in lanes(session)]
    yield (
        json.dumps(
            {
                "$schema": _SCHEMA,
                "exporter": "whamm-cm",
                "shared": {"frames": [{"name": name} for name in frames]},
                "profiles": profiles,
            },
            indent=1,
        )
        + "\n"
    )


def _profile(lane: Lane, frames: dict[str, int], unit: str) -> dict[str, Any]:
    events = [
        {
            "type": "O" if opens else "C",
            "frame": frames.setdefault(piece.name, len(frames)),
            "at": at,
        }
        for opens, at, piece in lane.steps()
    ]
    name = f"{lane.component} {lane.label}" if lane.component else lane.label
    return {
        "type": "evented",
        "name": name,
        "unit": unit,
        "startValue": lane.slices[0].start,
        "endValue": max(piece.end for piece in lane.slices),
        "events": events,
    }


def _sampled(tree: CallTree, frames: dict[str, int]) -> dict[str, Any]:
    return {
        "type": "sampled",
        "name": tree.name,
        "unit": "none",
        "startValue": 0,
        "endValue": tree.root.total,
        "samples": [
            [frames.setdefault(frame, len(frames)) for frame in stack] for stack, _ in tree.stacks
        ],
        "weights": [weight for _, weight in tree.stacks],
    }
