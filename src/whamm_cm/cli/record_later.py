"""``whamm-cm trace --record`` on the command wasmtime: the component records itself, and what it
says is written down as a recording."""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterable
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING

from whamm_cm.cli import weaving
from whamm_cm.cli.common import say
from whamm_cm.errors import UsageError
from whamm_cm.files import check_place
from whamm_cm.render.words import counted

if TYPE_CHECKING:
    from whamm_cm.cli.external import Command
    from whamm_cm.front.settings import Settings
    from whamm_cm.trace.records import Record

#: What wasmtime ends with where the guest trapped.
_TRAPPED = 134


def record_on(
    args: argparse.Namespace, settings: Settings, path: str, data: bytes, argv: tuple[str, ...],
    command: Command,
) -> int:  # fmt: skip
    """The guest's status, as without ``--record``."""
    from whamm_cm.agent.layout import LINE_MARK
    from whamm_cm.front.recording_weave import check_recording, recording_plan
    from whamm_cm.run.external import run_external
    from whamm_cm.trace.lines import LineDecoder
    from whamm_cm.trace.secrets import Masker

    if args.secrets == "fail":
        raise UsageError(
            "--secrets fail is for the embedded engine: on wasmtime, the guest records itself, and"
            " goes on; --secrets mask writes stars in the place of secrets"
        )
    check_place(args.record)
    plan = recording_plan(settings, data, path, args.secrets)
    woven = weaving.weave(args, data, path, plan)
    check_recording(woven)
    words, index = command(woven)
    assert index is not None, "a word of wasmtime's command is the copy"
    decoder = LineDecoder(woven.nonce, woven.table)
    mark = f"{LINE_MARK}{woven.nonce} ".encode()
    with ExitStack() as stack:
        invoke = args.invoke
        if args.secrets == "mask":  # as in the guest's own records
            hide = Masker(woven.table).text
            argv, invoke = tuple(map(hide, argv)), None if invoke is None else hide(invoke)
        into = _Into(args.record, stack, argv, invoke)
        status = run_external(
            words, index, woven.bytes, lambda line: into.feed(decoder.feed(line).records), mark
        )
        into.feed(decoder.finish())
        into.finish(status)
    say(args, f"{counted(into.records, 'record')} written to {args.record}")
    return status


class _Into:
    """The file, made when the first record comes: what cannot be run leaves none, and an earlier
    one as it was.  The last ``end`` is held back until it is known how the command ended."""

    def __init__(
        self, place: str, stack: ExitStack, argv: tuple[str, ...], invoke: str | None
    ) -> None:
        self._place, self._stack, self._argv, self._invoke = place, stack, argv, invoke
        self._file: IO[str] | None = None
        self._end: Record | None = None
        self._last: Record = {}
        self.records = 0

    def feed(self, records: Iterable[Record]) -> None:
        for record in records:
            if record["phase"] == "recording":
                record = {**record, "argv": list(self._argv)}
                if self._invoke is not None:
                    record["invoke"] = self._invoke
            if self._end is not None:
                self._write(self._end)
            self._end = record if record["phase"] == "end" else None
            if self._end is None:
                self._write(record)
            self._last = record

    def finish(self, status: int) -> None:
        """The command ended with ``status``."""
        end = self._end
        if status == _TRAPPED and self._last:
            seq = self._last.get("seq", -1) + (end is None)
            end = {**self._last, "seq": seq}
            end = {key: end[key] for key in ("v", "run", "seq") if key in end}
            end |= {"phase": "end", "trap": "it trapped on wasmtime"}
        if end is not None:
            self._write({**end, "status": status})

    def _write(self, record: Record) -> None:
        if self._file is None:
            try:
                file = gzip.open(self._place, "wt", encoding="utf-8")  # noqa: SIM115
            except OSError as error:
                reason = error.strerror or error
                raise UsageError(f"{self._place} cannot be written: {reason}") from None
            self._file = self._stack.enter_context(file)
        self.records += record["phase"] in ("call", "return")
        self._file.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")
