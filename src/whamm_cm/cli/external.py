"""``whamm-cm trace -- COMMAND``: any command as the runner of a woven component."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from whamm_cm.cli import outputs, scripts, serve, telemetry, weaving
from whamm_cm.cli.common import read_input, say
from whamm_cm.cli.recorder import Recorder
from whamm_cm.errors import RunError, UsageError
from whamm_cm.registry.names import SCHEME, is_image
from whamm_cm.render.words import were

if TYPE_CHECKING:
    from whamm_cm.front.settings import Settings
    from whamm_cm.front.woven import Woven
    from whamm_cm.trace.records import Record

#: Statuses above it tell of a signal, or of a trap.
_SIGNAL = 128
_EMBEDDED = ("invoke", "engine", "dir", "env", "inherit_network", "stub_imports")


def trace_command(args: argparse.Namespace, words: list[str], settings: Settings) -> int:
    """Runs the command ``words``; ``settings`` say what to weave."""
    for option in _EMBEDDED:
        if getattr(args, option):
            name = option.replace("_", "-")
            raise UsageError(f"--{name} is for the embedded engine; give it to the command instead")
    served = serve.given(args)
    if served is not None:
        raise UsageError(f"{served} is for what we serve ourselves; give it to the command instead")
    path, index = _component(args, words)
    if "jco" in (PurePath(word).name for word in words[:index]):
        # Its transpiler fails on modules with two memories, whatever Node would say to them.
        settings = replace(settings, multi_memory=False)
    return trace_on(args, settings, path, read_input(path), lambda woven: (words, index))


#: The command to run a woven copy with, and which of its words is to be the copy; None: it is
#: woven where it lies.
Command = Callable[["Woven"], "tuple[list[str], int | None]"]


def trace_on(
    args: argparse.Namespace, settings: Settings, path: str, data: bytes, command: Command
) -> int:
    """Weaves ``data``, which is the file ``path``, and runs it by that command."""
    finder = scripts.line_finder(args.lines, data, path, args.debug)
    script = scripts.checked(args, settings)
    woven = weaving.weave(args, data, path, settings.plan("stderr", script))
    options = outputs.render_options(args, finder)
    options = replace(options, tags=woven.report.agents > 1, app=(path, data))
    formats = outputs.formats(args, script is not None and script.reports)
    recorder = Recorder(formats, options, woven.table, telemetry.sending(args, path))
    lines = _Lines(recorder, woven, data)
    try:
        words, index = command(woven)
        status = _run(args, words, path, index, woven.bytes, lines)
        lines.finish(status)
    except RunError:
        recorder.abandon()
        raise
    finally:
        recorder.finish()
        scripts.say_notes(args, finder)
    if lines.leaving.said:
        say(args, lines.leaving.said)
    if lines.decoder.damaged:
        say(args, f"{were(lines.decoder.damaged, 'line')} of records cut by the host")
    if recorder.losses and not recorder.tells:
        say(args, recorder.losses.sentence())
    return status if lines.leaving.status is None else lines.leaving.status


def _component(args: argparse.Namespace, words: list[str]) -> tuple[str, int | None]:
    """The file to weave, and which argument it is; None where it is none of them."""
    from whamm_cm.run.replacing import find_wasm_argument, named_argument

    path: str | None = args.component
    if path is not None and is_image(path):
        if path not in words[1:]:
            raise UsageError(f"{path} is no argument of the command, which gets the copy there")
        return path, words.index(path, 1)
    if path is not None:
        return path, named_argument(words, path)
    images = [index for index, word in enumerate(words) if index and word.startswith(SCHEME)]
    if len(images) == 1 and not any(word.endswith(".wasm") for word in words):
        return words[images[0]], images[0]
    found = find_wasm_argument(words)
    path = words[found.index]
    if found.others:
        others = ", ".join(found.others)
        say(args, f"{path} is traced, not {others}; --component names another")
    return path, found.index


def _run(
    args: argparse.Namespace,
    words: list[str],
    path: str,
    index: int | None,
    woven: bytes,
    lines: _Lines,
) -> int:
    from whamm_cm.run.external import run_external, run_in_place

    if index is not None:
        return run_external(words, index, woven, lines.feed, lines.mark)
    status, outcome = run_in_place(words, path, woven, lines.feed, lines.mark)
    if outcome.rebuilt:
        say(
            args,
            f"{path} {outcome}; what ran from then on was not woven. Keep the command from"
            " building it",
        )
    elif outcome.changed is not None:
        say(args, f"{path} {outcome}")
    return status


class _Lines:
    """What the command writes to stderr behind our mark, as records for ``recorder``."""

    def __init__(self, recorder: Recorder, woven: Woven, data: bytes) -> None:
        from whamm_cm.agent.layout import LINE_MARK
        from whamm_cm.trace.identity import Identity
        from whamm_cm.trace.leaving import Leaving
        from whamm_cm.trace.lines import LineDecoder
        from whamm_cm.trace.losses import Ends

        self.mark = f"{LINE_MARK}{woven.nonce} ".encode()
        self.decoder = LineDecoder(woven.nonce, woven.table)
        self._identity, self._ends, self.leaving = Identity(), Ends(), Leaving()
        self._recorder, self._woven, self._data = recorder, woven, data
        self._last = ""  # phase of the last record

    def feed(self, line: bytes) -> None:
        self._pass(self.decoder.feed(line).records)

    def finish(self, status: int) -> None:
        """The command ended with ``status``."""
        self._pass(self.decoder.finish())
        lost = list(self._ends.finish())
        unseen = self._woven.report.agents and not self._recorder.count
        if self._woven.plan.engine is not None:
            # A monitor is asked for its report however the program ends.
            unseen = unseen and status != 0
        if unseen:
            lost.append(_lost("unseen"))
        if self._counting() and status and (unseen or not (lost or self._has_said_all())):
            # What was counted since the last report may be in a guest that is gone.
            lost.append(_lost("killed" if status > _SIGNAL else "failed"))
        self._recorder.feed(lost)

    def _counting(self) -> bool:
        from whamm_cm.weave.plan import nothing

        plan = self._woven.plan
        return plan.scripts is not None or plan.count is not nothing

    def _has_said_all(self) -> bool:
        """Whether the guest came to an end of its own: its only agent reported, and then nothing
        can have run.  A panic and a bad status are such ends; told each time, every report is."""
        from whamm_cm.front.woven import runs_once

        alone = self._woven.report.agents <= 1 and not self._woven.plan.flush_each
        once = self._woven.plan.engine is not None or runs_once(self._data)
        return alone and self._last == "end" and once

    def _pass(self, records: Iterable[Record]) -> None:
        from whamm_cm.trace.reader import Arrival

        found = [self._identity.feed(Arrival(record)) for record in records]
        for record in found:
            self._ends.feed((record,))
            self.leaving.feed((record,))
            self._last = record["phase"]
        self._recorder.feed(found)


def _lost(why: str) -> Record:
    return {"v": 2, "phase": "lost", "lost": "unknown", "why": why}
