"""What a guest takes of the script unit, and what its probes' code is written with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Protocol

from whamm_cm.dataclass import dataclass
from whamm_cm.emit.script.body import Body
from whamm_cm.emit.script.env import Needs
from whamm_cm.emit.script.memories import STATE_REF, MemoryRef, Numbering
from whamm_cm.wasm.edit import ModuleEdit
from whamm_cm.weave.opcodes.template import TemplateFunc
from whamm_cm.weave.opcodes.unit import Function as UnitFunction
from whamm_cm.weave.opcodes.unit import Global, Unit

UNIT = "whamm-cm"


@dataclass(slots=True)
class Imports:
    """Imports of a guest from the script unit, made when first asked for.

    All have to be asked for before the first final index beyond the imports is.
    """

    edit: ModuleEdit
    unit: Unit
    name: str = UNIT
    functions: dict[str, int] = field(default_factory=dict)
    globals: dict[str, int] = field(default_factory=dict)
    memories: dict[str, int] = field(default_factory=dict)
    numbering: Numbering = field(init=False)
    #: The index of the script's memory, where counters are in it.
    state: int | None = None

    def __post_init__(self) -> None:
        self.numbering = self.unit.numbering(self.edit.module)

    def declare(self, needs: Needs) -> None:
        for name in needs.functions:
            self.function(self.unit.runtime(name))
        for user in needs.users:
            self.function(self.unit.user(user))
        for library, name in needs.libraries:
            self.function(self.unit.library(library, name))
        for call in needs.initials.values():
            self.globals_(self.unit.initial(call))
        for variable in needs.globals:
            self.globals_(self.unit.globals_of(variable))

    def function(self, function: UnitFunction) -> int:
        name, (params, results) = function
        if name not in self.functions:
            self.functions[name] = self.edit.import_func(self.name, name, params, results)
        return self.functions[name]

    def globals_(self, globals_: Sequence[Global]) -> tuple[int, ...]:
        for name, kind in globals_:
            if name not in self.globals:
                self.globals[name] = self.edit.import_global(self.name, name, kind, True)
        return tuple(self.globals[name] for name, _ in globals_)

    def memory(self, ref: MemoryRef) -> int:
        """The script's memory or a library's."""
        name, type_ = self.unit.memory(ref)
        if name not in self.memories:
            self.memories[name] = self.edit.import_memory(self.name, name, type_)
        return self.memories[name]

    def count_in_memory(self) -> None:
        """Let counters be in the script's memory, which is then reached without calls."""
        self.state = self.memory(STATE_REF)

    @property
    def used(self) -> bool:
        return bool(self.functions or self.globals or self.memories)


class Here(Protocol):
    """The code at one kind of site while it is being made (``env.GuestEnv``)."""

    imports: Imports
    f: TemplateFunc
    saved: Mapping[str, tuple[int, ...]]
    body: Body | None
