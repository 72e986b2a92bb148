"""Saved logs in memory."""

from __future__ import annotations

import os

from whamm_cm.analysis.stamp import woven_table
from whamm_cm.front.logs import Log, Logs
from whamm_cm.front.run import Run
from whamm_cm.front.woven import Woven
from whamm_cm.registry.inputs import read
from whamm_cm.trace.reader import Weave
from whamm_cm.trace.tables import table_for


def read_log(
    *logs: str | os.PathLike[str], woven: str | os.PathLike[str] | bytes | Woven | None = None
) -> Run:
    """What ``trace -o run.jsonl`` and :meth:`Run.to` saved, or hosts logged; gzip of either.

    Several logs are read as one: instances are numbered over all of them, and each record says its
    ``source``.  ``woven``: the file, or the weave, that wrote them; then only lines with its nonce
    count, and packed ones are decoded with its table of sites.  Without it the tables are used that
    ``whamm-cm instrument`` keeps in ``$XDG_CACHE_HOME/whamm-cm`` (``~/.cache``).

    Raises InputError for a log that cannot be opened, or that has lines and no record among them;
    what is only damaged is said in ``warnings``, and counted in ``lost``.
    """
    warnings: list[str] = []
    bare: list[bool] = []
    found = Logs(
        [Log(os.fspath(log)) for log in logs], _weave(woven), warnings.append,
        lambda reader: bare.append(reader.bare),
    )  # fmt: skip
    return Run(tuple(found), warnings=tuple(warnings), vouched=all(bare))


def _weave(woven: str | os.PathLike[str] | bytes | Woven | None) -> Weave:
    if woven is None:
        return Weave(find=table_for)
    if isinstance(woven, Woven):
        return Weave(woven.nonce or None, woven.table)
    data = woven if isinstance(woven, bytes) else read(os.fspath(woven))
    what = "the woven component" if isinstance(woven, bytes) else os.fspath(woven)
    nonce, table = woven_table(data, what)
    return Weave(nonce or None, table)
