"""JUnit XML: a suite per component, a case per finding; a component without findings has one case
that passes.  What does not fail the gate is no failure: waived and known findings are skipped.
What could not be judged is an error."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from whamm_cm.gate.model import Finding, Report, Unjudged, fails
from whamm_cm.render.safe import lines as _text


def render(report: Report) -> str:
    suites = [(one.path, one.findings, one.digests) for one in report.components]
    if report.findings:
        suites.append((report.policy, report.findings, ()))
    body = [line for suite in suites for line in _suite(*suite, report)]
    body += [line for one in report.unjudged for line in _error(one)]
    errors = len(report.unjudged)
    total = sum(max(1, len(findings)) for _, findings, _ in suites) + errors
    failures = sum(fails(found, report.fail_on) for found in report.all())
    head = f'<testsuites name="whamm-cm gate" tests="{total}" failures="{failures}"'
    head += f' errors="{errors}">'
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', head, *body, "</testsuites>"]
    return "".join(f"{line}\n" for line in lines)


def _suite(
    name: str, findings: tuple[Finding, ...], digests: tuple[tuple[str, str], ...], report: Report
) -> list[str]:
    failures = sum(fails(found, report.fail_on) for found in findings)
    skipped = sum(not found.counts for found in findings)
    title = quoteattr(_text(name))
    lines = [
        f'  <testsuite name={title} tests="{max(1, len(findings))}" failures="{failures}"'
        f' errors="0" skipped="{skipped}">'
    ]
    if digests:
        rows = [f'<property name="{key}" value={quoteattr(value)}/>' for key, value in digests]
        lines.append(f"    <properties>{''.join(rows)}</properties>")
    if not findings:
        lines.append(f'    <testcase classname={title} name="policy"/>')
    for found in findings:
        lines += _case(title, found, report)
    return [*lines, "  </testsuite>"]


def _error(one: Unjudged) -> list[str]:
    title, said = quoteattr(_text(one.path)), _text(one.message)
    return [
        f'  <testsuite name={title} tests="1" failures="0" errors="1" skipped="0">',
        f'    <testcase classname={title} name="policy">',
        f'      <error type="not-judged" message={quoteattr(said)}>{escape(said)}</error>',
        "    </testcase>",
        "  </testsuite>",
    ]


def _case(title: str, found: Finding, report: Report) -> list[str]:
    name = quoteattr(_text(f"{found.rule} {found.name}: {found.item}"))
    said = quoteattr(_text(found.message))
    place = f"\n{found.location}" if found.location else ""
    text = escape(_text(f"{found.message}\n{found.fix}{place}"))
    start = f"    <testcase classname={title} name={name}>"
    if fails(found, report.fail_on):
        inner = f"      <failure type={quoteattr(found.rule)} message={said}>{text}</failure>"
    elif not found.counts:
        why = "in the baseline" if found.waived is None else f"waived: {found.waived.reason}"
        inner = f"      <skipped message={quoteattr(_text(why))}/>"
    else:
        inner = f"      <system-out>{escape(f'{found.severity}: ')}{text}</system-out>"
    return [start, inner, "    </testcase>"]
