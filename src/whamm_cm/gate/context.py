"""What a rule looks at, and what it answers with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from whamm_cm.dataclass import dataclass
from whamm_cm.gate.guard_trust import Standing
from whamm_cm.gate.model import FunctionRow, ImportRow, Location, Severity, Subject
from whamm_cm.gate.patterns import Line
from whamm_cm.gate.policy import Imports, Policy

if TYPE_CHECKING:
    from whamm_cm.gate.evidence import Evidence
    from whamm_cm.trace.calls import Site

Verdict: TypeAlias = Literal["allow", "warn", "deny"]


@dataclass(frozen=True, slots=True)
class Hit:
    """One finding of a rule; the engine adds the rest.  ``parts``: the functions it is about, where
    the item is all of an interface; ``allow`` as of :class:`Finding`."""

    item: str
    message: str
    location: Location | None = None
    fix: str = ""
    parts: tuple[str, ...] = ()
    allow: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """About one function, or about an import without any (``function`` None).  ``line``: what
    decided; None for ``default``."""

    verdict: Verdict
    function: FunctionRow | None
    line: Line | None


@dataclass(frozen=True)
class Context:
    """``path``: the input as the user named it.  ``evidence``: None without logs.  ``manifest`` and
    ``oci``: what their rules need, None where there is none.  ``readers``: (item, message) where
    another reader reads something else.  ``guard``: what is thought of the guard that it says
    it has, None where it says nothing of one."""

    path: str
    name: str
    subject: Subject
    policy: Policy
    parameters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    evidence: Evidence | None = None
    strangers: tuple[Site, ...] = ()
    manifest: Any = None
    oci: Any = None
    readers: tuple[tuple[str, str], ...] = ()
    guard: Standing | None = None

    def holds(self, part: str) -> bool:
        """Whether a guard that is believed holds a section of the policy: ``imports``, ``budgets``
        or one of ``permissions``; ``clean``: whether there is nothing woven in but that guard."""
        return self.guard is not None and part in self.guard.parts

    def parameter(self, rule: str, name: str) -> int | None:
        return self.parameters.get(rule, {}).get(name)

    @cached_property
    def decisions(self) -> tuple[tuple[ImportRow, tuple[Decision, ...]], ...]:
        """What the policy says about every import of the root, as far as it is judged."""
        return tuple((row, self.decide(row)) for row in self.subject.imports)

    def decide(self, row: ImportRow) -> tuple[Decision, ...]:
        if self.policy.imports is None:
            return ()
        imports = _about(self.policy.imports, row)
        if not row.functions:
            judged = self.policy.judged == "declared" or row.kind not in ("instance", "type")
            return (_decide(imports, row, None),) if judged else ()
        return tuple(_decide(imports, row, one) for one in row.functions if self.judged(one))

    def judged(self, function: FunctionRow) -> bool:
        """Whether the column that decides has it.  Without logs that absolve, what could be seen
        counts."""
        column = self.policy.judged
        if column == "declared":
            return True
        absolves = self.evidence is not None and self.evidence.absolves
        if column == "observed" and function.observed is not None and absolves:
            return function.observed > 0
        return function.reachable or bool(column == "observed" and function.observed)


def _about(imports: Imports, row: ImportRow) -> Imports:
    """The lines that can mean one of its functions: each line is asked once for all of them."""
    names = dict.fromkeys(
        [(row.interface, row.version), (row.interface or row.name, row.version), *row.readings]
    )

    def about(lines: tuple[Line, ...]) -> tuple[Line, ...]:
        return tuple(line for line in lines if any(line.concerns(*name) for name in names))

    return replace(
        imports, allow=about(imports.allow), warn=about(imports.warn), deny=about(imports.deny)
    )


def _decide(imports: Imports, row: ImportRow, function: FunctionRow | None) -> Decision:
    func = None if function is None else function.name
    if row.kind == "func":
        func = func or row.name
    whole = (row.interface or ("" if func is not None else row.name), row.version, func)
    inner = func if row.kind == "instance" else None
    others = [(interface, version, inner) for interface, version in row.readings]
    every = list(dict.fromkeys([whole, *others]))
    denied = _first(imports.deny, every)
    if denied is not None:
        return Decision("deny", function, denied)
    listed = [
        next((line for line in (*imports.allow, *imports.warn) if line.allows(*one)), None)
        for one in (every if row.odd else [whole])
    ]
    if imports.default == "deny" and None in listed:
        return Decision("deny", function, None)
    warned = _first(imports.warn, every)
    if warned is not None:
        return Decision("warn", function, warned)
    return Decision("allow", function, listed[0])


def _first(lines: tuple[Line, ...], names: list[tuple[str, str | None, str | None]]) -> Line | None:
    """The first line that means one of the names, read widely."""
    return next((line for line in lines if any(line.denies(*one) for one in names)), None)


Check: TypeAlias = Callable[[Context], Iterable[Hit]]


@dataclass(frozen=True, slots=True)
class Rule:
    """``help`` says why it matters, ``fix`` what to do.  ``parameters``: numbers a policy may set,
    with what they mean."""

    id: str
    name: str
    severity: Severity
    summary: str
    help: str
    fix: str
    check: Check
    parameters: Mapping[str, str] = field(default_factory=dict)
