"""What components of ours tell each other of a request, in a module beside them all.

``share`` is told one of the numbers below.  What it answers, and what is put there, is 0 for
nothing known, else one more than a ``layout.Skip``.
"""

from __future__ import annotations

from typing import Final

from whamm_cm.wasm.asm import Module

ASK_ROOT: Final = 0
"""What was said of the call that begins now; 0 if the host has made it."""
ASK: Final = 1
"""The same; if nothing was said, what holds of the last request that has begun."""
PASS: Final = 4
"""Plus a ``Skip``: what holds of the call that comes next."""
HOLDS: Final = 8
"""Plus a ``Skip``: what holds of the request that has begun."""


def build_share() -> bytes:
    """The module; it exports ``share`` (i32) -> i32."""
    module = Module()
    passed, current = module.global_("i32", 0), module.global_("i32", 0)
    f = module.func(("i32",), ("i32",))
    found = f.local("i32")
    for number, place in ((HOLDS, current), (PASS, passed)):
        f.get(0)
        f.i32(number)
        f.op("i32.ge_u")
        with f.if_():
            f.get(0)
            f.i32(number - 1)
            f.op("i32.sub")
            f.global_set(place)
            f.i32(0)
            f.op("return")
    f.global_get(passed)
    f.set(found)
    f.i32(0)
    f.global_set(passed)
    f.get(found)
    f.op("i32.eqz")
    f.get(0)
    f.op("i32.and")
    with f.if_():
        f.global_get(current)
        f.set(found)
    f.get(found)
    module.export_func("share", f.index)
    return module.encode()
