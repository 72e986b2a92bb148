"""The one error tree of whamm-cm.

Every failure a user can cause is a :class:`WhammError`: one sentence that says what, where and
what to do.  ``exit_code`` is what the command line returns for it (``docs/exit-codes.md``).
"""

from __future__ import annotations

from collections.abc import Iterable

#: So many characters of a name, a pattern or a path are shown in a message.
SHOWN = 160


def cut(text: str, most: int = SHOWN) -> str:
    """``text``, or its beginning and its end where it is longer than anybody would read."""
    if len(text) <= most:
        return text
    tail = most // 4
    return f"{text[: most - tail - 1]}…{text[-tail:]}"


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The one of ``known`` that was probably meant, "" if none is near enough (``cutoff`` as in
    :mod:`difflib`).  Case does not count, and ``-`` is as good as ``_``."""
    from difflib import get_close_matches  # slow to import, and most runs make no mistake

    folded = {_folded(name): name for name in sorted(set(known), reverse=True)}
    near = get_close_matches(_folded(word), folded, 1, cutoff)
    return folded[near[0]] if near else ""


def _folded(text: str) -> str:
    return text.casefold().replace("-", "_")


class WhammError(Exception):
    """Base of everything this package raises on purpose."""

    exit_code = 2


class UsageError(WhammError):
    """The command line, a pattern or an output location is wrong."""


class InputError(WhammError):
    """An input cannot be read or is not what the command works on."""

    exit_code = 3


def unreadable(name: str, error: OSError) -> InputError:
    """The sentence about an input that the system does not let us read."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{name}: there is no such file")
    return InputError(f"{name} cannot be read: {error.strerror or error}")


class DecodeError(InputError):
    """Malformed or unsupported bytes.

    ``offset`` is the byte offset in the outermost input, ``path`` the nesting path such as
    ``component[0].module[2]`` (empty at the root), ``source`` the name of the input if known.  The
    text has long ones cut, the attributes are whole.
    """

    def __init__(self, message: str, offset: int, path: str = "", source: str = "") -> None:
        self.message, self.offset, self.path, self.source = message, offset, path, source
        where = "".join(f"{part}: " for part in (source, cut(path)) if part)
        super().__init__(f"{where}{cut(message, 3 * SHOWN)} (at offset 0x{offset:x})")


class WeaveError(WhammError):
    """The requested weave is impossible on this component; names the site and the reason."""


class RunError(WhammError):
    """A component or an external command could not be run at all."""


class InternalError(WhammError):
    """A woven component failed its own check: a bug in whamm-cm, never written to disk."""

    exit_code = 4
