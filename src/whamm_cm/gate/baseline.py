"""A baseline: findings that were there before, by fingerprint.

{"schema": "whamm-cm/baseline/v1", "findings": [{"fingerprint", "rule", "component", "item"}]}
"""

from __future__ import annotations

import json
import re
from typing import Any

from whamm_cm.errors import UsageError
from whamm_cm.gate.model import SCHEMA as REPORT_SCHEMA
from whamm_cm.gate.model import Report

SCHEMA = "whamm-cm/baseline/v1"

MAX_BYTES = 64 << 20


def baseline(report: Report) -> str:
    """Everything that is neither waived nor about the waivers themselves."""
    rows = {
        finding.fingerprint: {
            "fingerprint": finding.fingerprint,
            "rule": finding.rule,
            "component": finding.component,
            "item": finding.item,
        }
        for component in report.components
        for finding in component.findings
        if finding.waived is None
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


def read_baseline(data: bytes, file: str) -> frozenset[str]:
    """The fingerprints of a baseline, or of a JSON report; raises UsageError."""
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
    if isinstance(document, dict) and document.get("schema") == REPORT_SCHEMA:
        rows = _rows_of_report(document)
    elif isinstance(document, dict) and document.get("schema") == SCHEMA:
        rows = document.get("findings")
    else:
        raise UsageError(f'{file}: not a baseline: its "schema" is not {SCHEMA}')
    if not isinstance(rows, list):
        raise UsageError(f'{file}: not a baseline: "findings" is missing')
    found = [row.get("fingerprint") if isinstance(row, dict) else None for row in rows]
    for position, one in enumerate(found):
        if not isinstance(one, str) or not re.fullmatch("[0-9a-f]{16}", one):
            raise UsageError(f"{file}: finding {position} of the baseline has no fingerprint")
    return frozenset(one for one in found if isinstance(one, str))
