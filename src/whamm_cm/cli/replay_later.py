"""``whamm-cm replay`` of what is made for WASI 0.3, which needs no host where it is composed."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from whamm_cm.cli import rebuilt
from whamm_cm.cli.common import progress, say
from whamm_cm.errors import UsageError
from whamm_cm.render.safe import printable

if TYPE_CHECKING:
    from whamm_cm.trace.recorded import Recording


def wanted(data: bytes, path: str) -> bool:
    """Whether ``data`` is a component for WASI 0.3."""
    from whamm_cm.analysis.demands import world
    from whamm_cm.component.decode import check_component, decode

    check_component(data, path)
    return bool(world(decode(data, path)).versions)


def replay(
    args: argparse.Namespace, recording: Recording, data: bytes, path: str, probed: bool
) -> int:
    from whamm_cm.front.replay_composed import replay_composed

    if probed or args.shrink or args.relaxed or args.on_miss != "fail" or args.timeout is not None:
        raise UsageError(
            f"{path} is made for WASI 0.3, and is replayed as it was recorded, without probes,"
            " --relaxed, --on-miss and --timeout"
        )
    with progress(args, f"composing {path}"):
        found, text = replay_composed(recording, data, path, until=args.until, cache=args.cache)
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()
    if not found.same:
        say(args, f"{path} is another build than was recorded")
    if found.halt is not None:
        rebuilt.say_halt(found.halt)
        return 1 if found.halt.diverged else 0
    if found.trap is not None:
        say(args, f"it ended as it did then: {printable(found.trap)}")
    rebuilt.say_all(args, found.calls)
    return 0
