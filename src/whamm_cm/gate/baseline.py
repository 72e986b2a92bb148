"""A baseline: findings that were there before, by fingerprint, function by function.

{"schema": "whamm-cm/baseline/v2", "findings": [{"fingerprint", "rule", "component", "item",
"function"}]}, where ``function`` is null for a finding that is about none.  Version 1 had one
fingerprint for all functions of an interface, whatever came to it later.
"""

from __future__ import annotations

import json
import re
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import UsageError
from whamm_cm.gate.model import SCHEMA as REPORT_SCHEMA
from whamm_cm.gate.model import Finding, Report

SCHEMA = "whamm-cm/baseline/v2"
OLD_SCHEMA = "whamm-cm/baseline/v1"

MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Baseline:
    """``old``: fingerprints are of whole interfaces."""

    fingerprints: frozenset[str] = frozenset()
    old: bool = False

    def has(self, finding: Finding) -> bool:
        """Whether all of it was there before."""
        if self.old:
            return finding.fingerprint in self.fingerprints
        return self.fingerprints.issuperset(finding.fingerprints.values())

    def new(self, finding: Finding) -> tuple[str, ...]:
        """The functions that came to an interface of which others were there before."""
        missing = [p for p, one in finding.fingerprints.items() if one not in self.fingerprints]
        return tuple(missing) if not self.old and len(missing) < len(finding.parts) else ()


def baseline(report: Report) -> str:
    """Everything that is neither waived nor about the waivers themselves."""
    rows = {
        fingerprint: {
            "fingerprint": fingerprint,
            "rule": finding.rule,
            "component": finding.component,
            "item": finding.item,
            "function": function or None,
        }
        for component in report.components
        for finding in component.findings
        if finding.waived is None
        for function, fingerprint in finding.fingerprints.items()
    }
    document = {"schema": SCHEMA, "findings": [rows[key] for key in sorted(rows)]}
    return json.dumps(document, indent=2) + "\n"


def _rows_of_report(document: dict[str, Any]) -> Any:
    """The findings of a JSON report, None where it has none."""
    components = document.get("components")
    if not isinstance(components, list):
        return None
    found: list[Any] = []
    for one in components:
        rows = one.get("findings") if isinstance(one, dict) else None
        if not isinstance(rows, list):
            return None
        found += rows
    return found


def _prints(row: Any) -> list[Any]:
    """The fingerprints of a row: a report has those of all functions in a list."""
    if not isinstance(row, dict):
        return [None]
    several = row.get("fingerprints")
    return several if isinstance(several, list) and several else [row.get("fingerprint")]


def read_baseline(data: bytes, file: str) -> Baseline:
    """A baseline, or a JSON report for one; raises UsageError."""
    if len(data) > MAX_BYTES:
        raise UsageError(f"{file}: larger than {MAX_BYTES >> 20} MiB, which no baseline is")
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        place = f"{file}:{error.lineno}:{error.colno}"
        raise UsageError(f"{place}: not a baseline, which is JSON: {error.msg}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file}:1:1: not a baseline, which is JSON: not UTF-8 text") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{file}:1:1: not a baseline: too deep, or too long a number") from None
    rows: Any
    old = False
    if isinstance(document, dict) and document.get("schema") == REPORT_SCHEMA:
        rows = _rows_of_report(document)
        old = any(isinstance(row, dict) and "fingerprints" not in row for row in rows or ())
    elif isinstance(document, dict) and document.get("schema") in (SCHEMA, OLD_SCHEMA):
        rows = document.get("findings")
        old = document["schema"] == OLD_SCHEMA
    else:
        raise UsageError(f'{file}: not a baseline: its "schema" is not {SCHEMA}')
    if not isinstance(rows, list):
        raise UsageError(f'{file}: not a baseline: "findings" is missing')
    found: set[str] = set()
    for position, row in enumerate(rows):
        for one in _prints(row):
            if not isinstance(one, str) or not re.fullmatch("[0-9a-f]{16}", one):
                raise UsageError(f"{file}: finding {position} of the baseline has no fingerprint")
            found.add(one)
    return Baseline(frozenset(found), old)
