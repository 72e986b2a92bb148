"""Names of functions as their authors wrote them."""

from __future__ import annotations

import re
from functools import lru_cache

from whamm_cm.demangle.cpp import demangled
from whamm_cm.demangle.rust import Unclear, legacy, v0

_LONGEST = 1 << 14
_FORMS = (
    (re.compile(r"_?_R[A-Z]"), v0),
    (re.compile(r"_?_ZN.*17h[0-9a-f]{16}E"), legacy),
    (re.compile(r"_{1,4}Z"), demangled),
)


@lru_cache(maxsize=1 << 14)
def demangle(name: str) -> str:
    """``name`` for people: Rust's and C++'s mangled names as paths and declarations.

    Others (also mangled ones that are not understood, or would be very long) are left as they are.
    Never raises.
    """
    if len(name) > _LONGEST:
        return name
    if name.isascii():
        return _read(name)
    try:  # lengths are counted in bytes
        return _read(name.encode().decode("latin-1")).encode("latin-1").decode()
    except UnicodeError:
        return name


def _read(name: str) -> str:
    for form, read in _FORMS:
        if form.match(name):
            try:
                return read(name) or name
            except (Unclear, RecursionError):  # the latter: little stack was left by the caller
                return name
    return name
