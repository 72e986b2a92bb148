"""In-toto statements (v1) with SLSA's verification summary (v1), a line per component.

Nothing in them depends on when or where they are made, but for a time that somebody gave.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from whamm_cm.gate.model import ComponentReport, Report, fails
from whamm_cm.gate.outputs.sarif import uri

_Json = dict[str, Any]

STATEMENT = "https://in-toto.io/Statement/v1"
SUMMARY = "https://slsa.dev/verification_summary/v1"
SLSA_VERSION = "1.1"


def render(report: Report) -> str:
    lines = (statement(one, report) for one in report.components)
    dumped = (json.dumps(one, sort_keys=True, separators=(",", ":")) for one in lines)
    return "".join(f"{line}\n" for line in dumped)


def statement(one: ComponentReport, report: Report) -> _Json:
    """About one component.  What is about the policy itself counts for each."""
    findings = (*one.findings, *report.findings)
    failed = any(fails(finding, report.fail_on) for finding in findings)
    predicate: _Json = {
        "verifier": {"id": report.seal.verifier, "version": {"whamm-cm": report.version}},
        "resourceUri": uri(one.path),
        "policy": _policy(report),
        "verificationResult": "FAILED" if failed else "PASSED",
        "verifiedLevels": [],
        "slsaVersion": SLSA_VERSION,
    }
    if report.seal.time is not None:
        when = datetime.fromtimestamp(report.seal.time, UTC)
        predicate["timeVerified"] = f"{when:%Y-%m-%dT%H:%M:%SZ}"
    return {
        "_type": STATEMENT,
        "subject": [{"name": uri(one.path), "digest": _digest(d)} for _, d in one.digests],
        "predicateType": SUMMARY,
        "predicate": predicate,
    }


def _digest(text: str) -> dict[str, str]:
    algorithm, _, digits = text.partition(":")
    return {algorithm: digits}


def _policy(report: Report) -> _Json:
    """A resource descriptor; without a policy file it is the rules of this version."""
    if not report.seal.sources:
        return {"uri": f"pkg:pypi/whamm-cm@{report.version}#rules"}
    main, *others = [
        {"uri": uri(file), "digest": {"sha256": digest}} for file, digest in report.seal.sources
    ]
    return {**main, "annotations": {"extends": others}} if others else main
