"""Site tables of what was instrumented on this machine, kept by nonce, so that `report` can read a
bare log of packed lines.  What cannot be read is as good as absent; what cannot be written is not
kept."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from whamm_cm.agent.layout import NONCE_LETTERS, NONCE_SIZE
from whamm_cm.agent.table import SiteTable, SiteTableError, unpacked_table

#: Tables kept; older ones are removed.
MAX_KEPT = 256


def user_cache(part: str) -> Path | None:
    """``$XDG_CACHE_HOME/whamm-cm/PART`` or ``~/.cache/whamm-cm/PART``; None without a home."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):
        return Path(base) / "whamm-cm" / part
    try:
        return Path.home() / ".cache" / "whamm-cm" / part
    except RuntimeError:
        return None


def keep_table(nonce: str, packed: bytes) -> None:
    """Keeps the table of a weave, as ``packed_table`` makes it."""
    import tempfile  # slow to import

    folder = user_cache("tables")
    if folder is None or not nonce:
        return
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".new-", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(packed)
            os.replace(name, folder / nonce)
        except OSError:
            os.unlink(name)
        _forget(folder)


def _forget(folder: Path) -> None:
    kept = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in kept[MAX_KEPT:]:
        path.unlink()


def table_for(nonce: str) -> SiteTable | None:
    """The table of the weave with that nonce, if this machine made it; None otherwise."""
    folder = user_cache("tables")
    if folder is None or len(nonce) != NONCE_SIZE or not set(nonce) <= set(NONCE_LETTERS):
        return None
    try:
        data = unpacked_table((folder / nonce).read_bytes())
        return None if data is None else SiteTable.parse(data)
    except (OSError, SiteTableError):
        return None
