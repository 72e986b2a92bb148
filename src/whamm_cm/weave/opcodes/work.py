"""What everything works with that weaves probes into one core module."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import WeaveError
from whamm_cm.lang import tree as t
from whamm_cm.wasm.code_edit import Target
from whamm_cm.wasm.edit import ModuleEdit
from whamm_cm.wasm.module import CoreModule
from whamm_cm.weave.opcodes.beat import Beat
from whamm_cm.weave.opcodes.counters import Counters
from whamm_cm.weave.opcodes.imports import UNIT, Imports
from whamm_cm.weave.opcodes.match import Matcher
from whamm_cm.weave.opcodes.rows import Rows
from whamm_cm.weave.opcodes.sites import SiteCompiler
from whamm_cm.weave.opcodes.tables import Shadows
from whamm_cm.weave.opcodes.unit import Unit

#: Locals of a function, its parameters among them (the JavaScript API's limit, which all keep).
MAX_LOCALS = 50_000
#: Globals that one function counts in: wasmtime gives up the process at some 65,500.
MAX_COUNTERS = 60_000


@dataclass(slots=True)
class Work:
    """``counters``: script globals that are only ever added to; ``unit_name``: what the script unit
    is imported as; ``beat``: code that lets the module report while it runs, once there is any."""

    module: CoreModule
    matcher: Matcher
    unit: Unit
    rows: Rows
    counters: Collection[t.Variable]
    unit_name: str = UNIT
    #: Whether what is counted is also sent before ``unreachable``.
    last_words: bool = False
    #: Whether it is kept where code came from.
    origins: bool = True
    beat: Beat | None = None
    edit: ModuleEdit = field(init=False)
    imports: Imports = field(init=False)
    shadows: Shadows = field(init=False)
    compiler: SiteCompiler = field(init=False)
    counted: Counters = field(init=False)

    def __post_init__(self) -> None:
        self.edit = self.new_edit()
        self.imports = Imports(self.edit, self.unit, self.unit_name)
        self.shadows = Shadows(self.imports)
        self.compiler = SiteCompiler(self.imports, self.shadows)
        self.counted = Counters(self.edit, self.unit, self.rows)

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the module answers to builtins, and what it is called."""
        return {**self.imports.numbering.facts, **self.rows.facts}

    def new_edit(self) -> ModuleEdit:
        return ModuleEdit(self.module)

    def check(self, fid: int, found: int, limit: int, what: str) -> None:
        """WeaveError for more in a function than engines take."""
        if found > limit:
            name = self.module.names.functions.get(fid) or f"#{fid}"
            raise WeaveError(
                f"function {name} would have {found} {what} when woven, more than the {limit} that"
                f" engines take; leave it out with a predicate, such as / fid != {fid} /"
            )

    def check_locals(self, targets: Iterable[Target], more: int) -> None:
        """The same of functions that get that many more locals."""
        for target in targets:
            self.check(target.fid, target.first_local + more, MAX_LOCALS, "locals")

    def check_counters(self, functions: Iterable[tuple[int, str, int]]) -> None:
        """The same of counters, which functions are given with."""
        if self.counted.memory is None:
            for fid, _, count in functions:
                self.check(fid, count, MAX_COUNTERS, "counters")
