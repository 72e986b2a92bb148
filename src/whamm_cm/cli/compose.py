"""``whamm-cm replay --compose``: a recording and its application as one component."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from whamm_cm import files
from whamm_cm.cli.common import progress, say
from whamm_cm.errors import UsageError
from whamm_cm.render.words import counted

if TYPE_CHECKING:
    from whamm_cm.trace.recorded import Recording


def compose(args: argparse.Namespace, recording: Recording, data: bytes, path: str) -> int:
    from whamm_cm.front.composing import composed

    if args.until is not None:
        raise UsageError("--compose runs nothing that could be stopped: leave out --until")
    files.check_place(args.compose)
    with progress(args, f"composing {path}"):
        found = composed(recording, data, path)
    if not found.same:
        say(args, f"{path} is another build than was recorded")
    if found.left:
        many = counted(found.left, "instance")
        say(args, f"{many} left out: behind one that traps nothing can be played")
    if recording.end is None:
        say(args, "the recording is cut off: where it ends, the component traps")
    files.write(args.compose, [found.data])
    say(args, f"{counted(found.calls, 'call')} composed into {args.compose}")
    return 0
