"""``python -m tests.wast_driver DIR… [--weave [--sink SINK] [--flush WHEN]]``: run suites, print
counts, compare copies."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.wast_driver.examine import FileReport, examine_apart
from tests.wast_driver.runner import ASSERTION, DEFINITION, FAILED, NOT_RUN, PASSED, Transform
from tests.wast_driver.weaving import FLUSHES, SINKS, load_transform, weaving


def scripts(roots: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for root in roots:
        found += sorted(root.rglob("*.wast")) if root.is_dir() else [root]
    return found


def summary(reports: Sequence[FileReport]) -> list[str]:
    """The counts, one line each."""
    outcomes = [outcome for report in reports for outcome in report.original]
    stages = Counter(one.stage for one in outcomes if one.kind == DEFINITION)
    statuses = Counter(one.status for one in outcomes if one.kind == ASSERTION)
    valid = stages["valid"] + stages["instantiated"]
    return [
        f"files                  {len(reports)}",
        f"definitions            {sum(report.defined for report in reports)}",
        f"  assembled            {sum(report.assembled for report in reports)}",
        f"  meant to be valid    {sum(stages.values())}",
        f"  wasmtime-valid       {valid}",
        f"  instantiated         {stages['instantiated']}",
        f"assertions passed      {statuses[PASSED]}",
        f"assertions failed      {statuses[FAILED]}",
        f"assertions not run     {statuses[NOT_RUN]}",
    ]


def _print_outcomes(report: FileReport) -> None:
    for outcome in report.original:
        if outcome.status != PASSED:
            print(f"{report.path}:{outcome.line}: {outcome.status}: {outcome.detail[:200]}")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.wast_driver", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--weave", action="store_true", help="compare with woven copies")
    parser.add_argument(
        "--transform",
        metavar="MODULE:FUNCTION",
        help="compare with copies this bytes -> bytes made",
    )
    parser.add_argument("--sink", choices=SINKS, default="host", help="where woven copies send")
    parser.add_argument("--flush", choices=FLUSHES, default="full", help="when they send")
    parser.add_argument(
        "--no-multi-memory", action="store_true", help="probes with one memory each"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="name what did not pass")
    options = parser.parse_args(argv)
    transform: Transform | None = None
    if options.weave:
        transform = weaving(options.sink, options.flush, multi_memory=not options.no_multi_memory)
    elif options.transform:
        transform = load_transform(options.transform)
    reports = []
    for path in scripts(options.paths):
        report = examine_apart(path, transform)
        reports.append(report)
        if report.fault:
            print(f"{path}: {report.fault}")
        for difference in report.differences:
            print(f"{path}: {difference}")
        if options.verbose:
            _print_outcomes(report)
    print("\n".join(summary(reports)))
    differing = sum(len(report.differences) for report in reports)
    if transform is not None:
        print(f"records sent in        {sum(report.blocks for report in reports)} pieces")
        print(f"differences            {differing}")
    return 1 if differing or any(report.fault for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
