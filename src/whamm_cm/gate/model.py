"""What the gate speaks about: severities, findings, rows of imports, reports."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import date
from typing import Literal, TypeAlias

from whamm_cm.dataclass import dataclass

Severity: TypeAlias = Literal["error", "warning", "note"]

#: How the name of an interface is written: as hosts have it, under a label, or as none takes it.
Form: TypeAlias = Literal["plain", "label", "strange"]

#: Worst first.
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

SCHEMA = "whamm-cm/report/v1"


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a policy or manifest; line and column count from 1.  ``text``: that line."""

    file: str
    line: int
    column: int
    text: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Waiver:
    """An accepted finding.  ``rule`` is an id; ``item`` and ``component`` are globs."""

    rule: str
    item: str
    component: str
    reason: str
    expires: date
    owner: str
    location: Location


@dataclass(frozen=True, slots=True)
class Finding:
    """``item`` is what it is about: an interface, a function, a host, a path; ``parts`` the
    functions of it.  ``known``: all of it is in the baseline.  Waived and known findings do not
    fail the gate.  ``allow``: the part of a policy that lets it pass, "" where none does."""

    rule: str
    name: str
    severity: Severity
    component: str
    item: str
    message: str
    fix: str = ""
    location: Location | None = None
    waived: Waiver | None = None
    known: bool = False
    parts: tuple[str, ...] = ()
    allow: str = ""

    @property
    def fingerprint(self) -> str:
        """The same for the same trouble in the next build, whatever functions it is about."""
        return self._hash()

    @property
    def fingerprints(self) -> dict[str, str]:
        """Function → the same for the same function in the next build; "" where it is about no
        functions."""
        if not self.parts:
            return {"": self._hash()}
        return {part: self._hash(part) for part in self.parts}

    def _hash(self, *parts: str) -> str:
        text = "\0".join((self.rule, self.component, self.item, *parts))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @property
    def functions(self) -> tuple[str, ...]:
        """What it may be about, as ``interface#function``."""
        return (self.item, *(f"{self.item}#{part}" for part in self.parts))

    @property
    def counts(self) -> bool:
        return self.waived is None and not self.known


@dataclass(frozen=True, slots=True)
class Provider:
    """Who gives a nested component what it imports: ``host`` (as import ``item`` of the root),
    ``component`` (at nesting path ``component``) or ``outside`` (code that is not in the input)."""

    kind: str
    component: str = ""
    item: str = ""


@dataclass(frozen=True, slots=True)
class FunctionRow:
    """A function of an import.  ``name`` is as in records (``bucket.get``), ``raw`` as in the
    binary (``[method]bucket.get``).  ``observed``: calls seen, None without logs."""

    name: str
    raw: str
    reachable: bool
    observed: int | None = None
    providers: tuple[Provider, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportRow:
    """``name`` is what the host sees; ``interface`` what it stands for (``implements``), "" for
    what belongs to the world itself.  ``kind``: instance func type component module value.
    ``readings``: every interface the name may be taken for; ``odd``: why it may be more than one.
    ``hands``: the components and modules inside an instance, by name.  ``types_only``: it has
    nothing but types, and no resource of its own, so that nobody has to provide it.  ``form``: how
    the name is written, as in :mod:`.readings`."""

    name: str
    kind: str
    interface: str
    version: str | None
    functions: tuple[FunctionRow, ...] = ()
    readings: tuple[tuple[str, str | None], ...] = ()
    odd: str = ""
    hands: tuple[str, ...] = ()
    types_only: bool = False
    form: Form = "plain"

    @property
    def label(self) -> str:
        """``wasi:io/poll@0.2.0``; for an import under a label the interface, then the label."""
        if not self.interface:
            return self.name
        whole = self.interface + (f"@{self.version}" if self.version else "")
        return whole if whole == self.name else f"{whole} (as {self.name})"

    @property
    def item(self) -> str:
        if not self.interface:
            return self.name
        return self.interface + (f"@{self.version}" if self.version else "")

    @property
    def reachable(self) -> bool | None:
        """None where there is nothing to reach: types, values, components."""
        return any(row.reachable for row in self.functions) if self.functions else None


@dataclass(frozen=True, slots=True)
class ExportRow:
    name: str
    kind: str
    interface: str
    version: str | None
    functions: tuple[str, ...] = ()
    readings: tuple[tuple[str, str | None], ...] = ()
    odd: str = ""
    hands: tuple[str, ...] = ()

    @property
    def item(self) -> str:
        if not self.interface:
            return self.name
        return self.interface + (f"@{self.version}" if self.version else "")


@dataclass(frozen=True, slots=True)
class NestedRow:
    """A component in the component; ``instances`` 0: nothing ever instantiates it."""

    path: str
    name: str | None
    instances: int
    imports: tuple[ImportRow, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a component says of its guard, true or not.  ``count``: sections that say so in the
    root, ``inside``: in components inside.  Of the last one: ``last``: whether nothing follows it;
    ``body``: the sha256 of what is before it; ``facts``: its JSON; ``key`` and ``signature``:
    ed25519 in hex, "" where it is not signed."""

    count: int
    inside: int
    last: bool = False
    body: str = ""
    facts: str = ""
    key: str = ""
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged.  ``stamp``: what a weave noted about itself, None for an original.
    ``marks``: (path of a component inside, "" for the root; what of a weave is there).
    ``producers``: (field, tool, version).  ``fault``: why reachability is unknown; then everything
    counts as reachable.  ``guard``: what it says of one, None for nothing.  ``alone``: it is a core
    module and no component.  ``ways``: by function of the root (``interface#function``), a shortest
    path from an export to it, as steps of (kind, name)."""

    sha256: str
    size: int
    modules: int
    producers: tuple[tuple[str, str, str], ...]
    stamp: tuple[tuple[str, str], ...] | None
    imports: tuple[ImportRow, ...]
    exports: tuple[ExportRow, ...]
    nested: tuple[NestedRow, ...] = ()
    fault: str = ""
    marks: tuple[tuple[str, str], ...] = ()
    alone: bool = False
    ways: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    guard: Claim | None = None

    @property
    def language(self) -> str:
        """As the producers section has it, "" if it does not say."""
        found = dict.fromkeys(tool for field, tool, _ in self.producers if field == "language")
        return ", ".join(found)

    def functions(self) -> Iterator[tuple[ImportRow, FunctionRow]]:
        for row in self.imports:
            for function in row.functions:
                yield row, function


@dataclass(frozen=True, slots=True)
class ComponentReport:
    """One input.  ``path`` as the user gave it, ``name`` what fingerprints know it by; ``image`` is
    the digest of the manifest it came with, "" for what is no image.  ``guard``: what holds it to
    the policy and who says so, "" where that is not known."""

    path: str
    name: str
    subject: Subject
    findings: tuple[Finding, ...]
    image: str = ""
    guard: str = ""

    @property
    def digests(self) -> tuple[tuple[str, str], ...]:
        """What was judged: its bytes, and the image if it is one."""
        component = ("component", f"sha256:{self.subject.sha256}")
        return (component, ("image", self.image)) if self.image else (component,)


@dataclass(frozen=True, slots=True)
class Unjudged:
    """An input that could not be judged, and the sentence that says why."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Seal:
    """What statements about a verdict say of how it came about.  ``verifier``: a URI of who judges;
    ``time`` in seconds since 1970, None where nobody said so; ``sources`` as in :class:`Policy`."""

    verifier: str = "pkg:pypi/whamm-cm"
    time: int | None = None
    sources: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """``findings`` here are about the policy itself.  ``fail_on`` None: findings never fail; what
    could not be judged always does.  ``today``: the day waivers were judged by."""

    version: str
    policy: str
    fail_on: Severity | None
    components: tuple[ComponentReport, ...]
    findings: tuple[Finding, ...] = ()
    unjudged: tuple[Unjudged, ...] = ()
    seal: Seal = Seal()
    today: date | None = None

    def all(self) -> Iterator[Finding]:
        for component in self.components:
            yield from component.findings
        yield from self.findings

    def count(self, severity: Severity) -> int:
        return sum(f.severity == severity and f.counts for f in self.all())

    @property
    def waived(self) -> int:
        return sum(f.waived is not None for f in self.all())

    @property
    def known(self) -> int:
        return sum(f.known and f.waived is None for f in self.all())

    @property
    def failed(self) -> bool:
        return bool(self.unjudged) or any(fails(f, self.fail_on) for f in self.all())

    @property
    def verdict(self) -> Literal["pass", "fail"]:
        return "fail" if self.failed else "pass"


def way_to(finding: Finding, subject: Subject | None) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The shortest of the ways to what a finding is about, and the function it leads to; ``("",
    ())`` where there is none."""
    ways = {} if subject is None else subject.ways
    names = [name for name in finding.functions if name in ways]
    to = min(names, key=lambda name: len(ways[name]), default="")
    return to, ways.get(to, ())


def fails(finding: Finding, fail_on: Severity | None) -> bool:
    if fail_on is None or not finding.counts:
        return False
    return SEVERITIES.index(finding.severity) <= SEVERITIES.index(fail_on)
