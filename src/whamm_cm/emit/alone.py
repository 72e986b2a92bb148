"""The task that runs, and its variables: of the agent's tasks (``emit/tasks.py``), or of calls.

Where nothing is asynchronous, calls of exports are the tasks, one at a time: whoever enters the
program from outside says so, and the code in it need not know which kind of component it is in.
"""

from __future__ import annotations

from whamm_cm.agent.layout import STATE_PAGES
from whamm_cm.wasm.asm import Module
from whamm_cm.wasm.types import MemoryType

_STATE = "state"


def build_alone(variables: tuple[int, int] | None) -> bytes:
    """Exports those of :data:`~whamm_cm.emit.script.env.TASKS`: ``task_alone`` (whether a call
    begins or is over), ``task_now`` () -> its number or the task's, ``task_own`` () -> address of
    its variables or the task's.

    ``variables``: the address of what they begin with, in the memory of strings, and their size.
    Behind that are those of code outside of tasks, and then those of calls.
    """
    module = Module()
    number = module.import_func(_STATE, "task_number", (), ("i32",))
    found = module.import_func(_STATE, "task_vars", (), ("i32",))
    memory = module.import_memory(_STATE, "memory", MemoryType(STATE_PAGES))
    count, current = module.global_("i32", 0), module.global_("i32", 0)
    first, size = variables or (0, 0)
    alone = module.func(("i32",))
    alone.i32(0)
    alone.global_set(current)
    alone.get(0)
    with alone.if_():
        alone.global_get(count)
        alone.i32(1)
        alone.op("i32.add")
        alone.global_set(count)
        alone.global_get(count)
        alone.global_set(current)
        for number_ in (first + 2 * size, first, size) if size else ():
            alone.i32(number_)
        if size:
            alone.memory_copy(memory, memory)
    module.export_func("task_alone", alone.index)
    for name, task in (("task_now", number), ("task_own", found)):
        f = module.func((), ("i32",))
        f.global_get(current)
        with f.if_("i32"):
            if name == "task_now":
                f.global_get(current)
            else:
                f.i32(first + 2 * size)
            f.else_()
            f.call(task)
        module.export_func(name, f.index)
    return module.encode()
