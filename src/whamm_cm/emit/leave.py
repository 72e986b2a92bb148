"""How a script ends the program: ``exit`` and ``abort``.

What was counted is reported, why the program ends is said in a print record of a site of its own
(by which readers know it, whatever scripts print), everything is sent, and then the guest traps.
"""

from __future__ import annotations

from collections.abc import Mapping

from whamm_cm.agent.layout import Flush
from whamm_cm.wasm.asm import Module

_STATE = "state"
_FROM_STATE = {
    "print_begin": ("i32",), "print_str": ("i32", "i32"), "print_u64": ("i64",), "print_end": (),
}  # fmt: skip


#: The global that is set once a script has ended the program: all has been reported.
LEFT = "left"
#: What the texts begin with.
WORDS = {"exit": "exit ", "abort": "abort: "}


def build_leave(unit: str, way: str, words: Mapping[str, tuple[int, int]]) -> bytes:
    """Exports ``exit`` (site, code) and ``abort`` (site, text), which do not come back, and
    :data:`LEFT`.

    ``words``: where :data:`WORDS` are, of those that are used, in the memory of strings.  Imports
    of ``unit`` report, of ``way`` flush.  Where a component may call nothing outside that
    traps, too: a host that can reads what is left.
    """
    module = Module()
    found = {name: module.import_func(_STATE, name, kinds) for name, kinds in _FROM_STATE.items()}
    report = module.import_func(unit, "report")
    flush = module.import_func(way, "flush", ("i32",))
    leaving = module.global_("i32", 0)
    module.export_global(LEFT, leaving)
    for name, kinds in (("exit", ("i32", "i32")), ("abort", ("i32", "i32", "i32"))):
        if name not in words:
            continue
        f = module.func(kinds)
        f.global_get(leaving)
        f.op("i32.eqz")
        with f.if_():  # what runs at the end may itself want to leave
            f.i32(1)
            f.global_set(leaving)
            f.call(report)
        f.get(0)
        f.call(found["print_begin"])
        for number in words[name]:
            f.i32(number)
        f.call(found["print_str"])
        if name == "exit":
            f.get(1)
            f.i32(0xFF)
            f.op("i32.and", "i64.extend_i32_u")
            f.call(found["print_u64"])
        else:
            f.get(1)
            f.get(2)
            f.call(found["print_str"])
        f.call(found["print_end"])
        f.i32(int(Flush.PUSH))
        f.call(flush)
        f.op("unreachable")
        module.export_func(name, f.index)
    return module.encode()
