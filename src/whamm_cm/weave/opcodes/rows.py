"""Rows of the site table for a core module's probes: their variables, and its counters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from whamm_cm.agent.counted import Counted
from whamm_cm.agent.describe import wit_type
from whamm_cm.agent.sites import SiteTableBuilder
from whamm_cm.agent.variables import Cells, VariableSpec
from whamm_cm.dataclass import dataclass
from whamm_cm.lang import tree as t
from whamm_cm.wasm.function import FunctionInfo


@dataclass(frozen=True, slots=True)
class Row:
    """One reported variable of one expanded probe in one module.  ``cells``: those that are not
    counted in place."""

    number: int
    cells: Cells

    def add(self, info: FunctionInfo, opidx: int) -> int:
        """A cell for a site."""
        return self.cells.add(info.fid, info.pc(opidx), info.name)


def variable_spec(
    scripts: Sequence[str], variable: t.Variable, probe: t.Probe | None = None, place: str = ""
) -> VariableSpec:
    """The row of a variable: a global's, or with ``probe`` a cell's in the core module or
    component ``place``.  ``scripts``: their names in reports."""
    return VariableSpec(
        script=scripts[variable.script if probe is None else probe.script],
        name=variable.name,
        type=str(variable.type),
        result=wit_type(variable.type),
        probe="" if probe is None else f"{probe.number}_{probe.rule}",
        module=place,
    )


@dataclass(slots=True)
class Rows:
    """Makes rows when the first cell of them is wanted.  ``scripts``: their names in reports;
    ``place`` and ``component``: of the core module."""

    builder: SiteTableBuilder
    scripts: tuple[str, ...]
    place: str
    component: str = ""
    found: dict[tuple[int, int, int], Row] = field(default_factory=dict)
    counted: Counted = field(default_factory=Counted)
    site: int | None = None

    @property
    def facts(self) -> dict[str, str]:
        """What a script is told of the module (``lang.fold.OF_MODULES``)."""
        return {"module": self.place, "component": self.component}

    def row(self, variable: t.Variable, probe: t.Probe) -> Row:
        key = id(variable), probe.script, probe.number
        if key not in self.found:
            spec = variable_spec(self.scripts, variable, probe, self.place)
            cells = Cells()
            self.counted_site()
            self.found[key] = Row(self.builder.add_variable(spec, cells), cells)
        return self.found[key]

    def counted_site(self) -> int:
        """The site of the module's counters, the first of its sites."""
        if self.site is None:
            self.site = self.builder.add_counted(self.place, self.counted)
        return self.site
