"""``whamm-cm gate``: may these components be deployed?"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from whamm_cm._version import __version__
from whamm_cm.cli import gate_inputs, gate_seal
from whamm_cm.cli.common import keep_inputs, progress, say, tell, write_output
from whamm_cm.errors import UsageError
from whamm_cm.files import check_place
from whamm_cm.gate.outputs.registry import FORMATS

if TYPE_CHECKING:
    from datetime import date

    from whamm_cm.gate.baseline import Baseline
    from whamm_cm.gate.engine import Engine
    from whamm_cm.gate.model import ComponentReport, Report, Severity, Unjudged
    from whamm_cm.gate.sources import Sources

#: Inputs above this many bytes in all get a progress display.
_LONG = 8 << 20


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "gate",
        help="check components against a policy before they are deployed",
        description="Check components against a policy: what they import, what their exports can"
        " reach, and what logs of runs show. Nothing is run.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "apps", nargs="+", metavar="APP.wasm",
        help="a component, a directory of them, a glob, an image layout or oci://REFERENCE;"
        " - for standard input",
    )  # fmt: skip
    parser.add_argument(
        "--policy", metavar="FILE", help="the policy: a YAML file, or the name of a profile"
    )
    gate_inputs.add_arguments(parser)
    parser.add_argument(
        "--trace-log", action="append", default=[], metavar="[NAME=]LOG",
        help="records of a run, for what was observed; may be repeated; NAME says of which of"
        " several components",
    )  # fmt: skip
    parser.add_argument(
        "--baseline", metavar="FILE", help="a baseline or JSON report: only new findings fail"
    )
    parser.add_argument(
        "--write-baseline", metavar="FILE", help="write the findings of this run as a baseline"
    )
    parser.add_argument(
        "-f", "--format", action="append", default=[], metavar="FMT[=FILE]",
        help=f"{', '.join(FORMATS)}; may be repeated (default: table)",
    )  # fmt: skip
    parser.add_argument(
        "--fail-on", choices=("error", "warning", "note", "never"), default="error",
        help="the least severity that makes the gate fail (default: error)",
    )  # fmt: skip
    parser.add_argument(
        "-j", "--jobs", type=int, default=1, metavar="N",
        help="analyse N components at a time; 0: as many as there are processors (default: 1)",
    )  # fmt: skip
    parser.add_argument("--no-cache", action="store_true", help="analyse anew, and keep nothing")
    parser.add_argument(
        "--today", metavar="DATE", help="the day waivers are judged by, as 2027-03-01"
    )
    gate_seal.add_arguments(parser)
    parser.add_argument(
        "--hook", action="store_true",
        help="as the first option: what ends with .wasm at the end is a file, whatever its name",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from whamm_cm.front.verdict import policy_of
    from whamm_cm.gate.engine import Engine
    from whamm_cm.gate.guard_trust import trusted
    from whamm_cm.gate.model import Report, Unjudged

    outputs = _outputs(args.format)
    if args.jobs < 0:
        raise UsageError(f"-j {args.jobs}: expected a number of processes")
    policy = policy_of(args.policy)
    keys = tuple(map(trusted, args.trust))
    engine = Engine(policy, day(args.today), _known(args), keys)
    gate_seal.seal(args, policy)  # what is wrong with it is said before the work
    given = gate_inputs.sources(args)
    keep_inputs((args.write_baseline, *(path for _, path in outputs)), given.paths)
    logs = gate_inputs.logs(args.trace_log, given.paths)
    printer = _Printer(outputs, args.quiet)
    done: list[ComponentReport] = []
    unjudged: list[Unjudged] = []
    for one in _judged(args, engine, given, logs):
        if isinstance(one, Unjudged):
            unjudged.append(one)
            tell(one.message)
            continue
        done.append(one)
        printer.component(one)
    report = Report(
        __version__, policy.file, _fail_on(args.fail_on), tuple(done), engine.closing(),
        tuple(unjudged), gate_seal.seal(args, policy), engine.today,
    )  # fmt: skip
    printer.finish(report)
    if args.write_baseline:
        from whamm_cm.gate.baseline import baseline

        write_output(args.write_baseline, baseline(report))
    _step_summary(args, report)
    return 3 if unjudged else 1 if report.failed else 0


def day(text: str | None) -> date:
    from datetime import date

    if text is None:
        return date.today()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--today {text}: expected a date such as 2027-03-01") from None


def _known(args: argparse.Namespace) -> Baseline:
    from whamm_cm.front.verdict import baseline_of

    found = baseline_of(args.baseline)
    if found.old:
        say(
            args,
            f"{args.baseline} is a baseline of an older version, which hides functions that are new"
            " in an interface it has; write it anew with --write-baseline",
        )
    return found


def _outputs(formats: list[str]) -> list[tuple[str, str | None]]:
    """(format, path) of each output; at most one goes to standard output."""
    from whamm_cm.gate.outputs.registry import renderer

    found: list[tuple[str, str | None]] = []
    for text in formats or ["table"]:
        name, equals, path = text.partition("=")
        renderer(name)
        if equals and not path:
            raise UsageError(f"-f {text}: the name of the file is missing")
        if path and path != "-":
            check_place(path)
        found.append((name, path if path and path != "-" else None))
    plain = [name for name, path in found if path is None]
    if len(plain) > 1:
        both = " and ".join(plain[:2])
        raise UsageError(
            f"{both} cannot both go to standard output; give one a file, as -f sarif=out.sarif"
        )
    return found


def _judged(
    args: argparse.Namespace, engine: Engine, given: Sources, logs: dict[int, list[str]]
) -> Iterator[ComponentReport | Unjudged]:
    from whamm_cm.gate.cache import cache_dir

    ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
    if ci and args.verbose and not args.no_cache:
        say(args, "CI is set: analyses are made anew, and not kept (--no-cache)")
    folder = None if args.no_cache or ci else cache_dir()
    workers = args.jobs or os.cpu_count() or 1
    waiting = progress(args, "analysing") if _takes_long(given.paths) else nullcontext()
    with waiting:
        yield from gate_inputs.judged(args, engine, given, logs, folder, workers)


def _takes_long(paths: Sequence[str]) -> bool:
    if sys.stdout.isatty():
        return False  # findings appear as they are known
    return sum(os.path.getsize(path) for path in paths if os.path.isfile(path)) > _LONG


class _Printer:
    """Findings reach the log whatever the formats are: as a table on stderr if nothing else."""

    def __init__(self, outputs: list[tuple[str, str | None]], quiet: bool) -> None:
        self.outputs = outputs
        stdout = next((name for name, path in outputs if path is None), None)
        self.stdout = stdout
        self.log = None if stdout == "table" else None if quiet else sys.stderr
        if stdout == "table":
            self.log = sys.stdout

    def component(self, one: ComponentReport) -> None:
        if self.log is not None:
            from whamm_cm.gate.outputs import table

            self.log.writelines(f"{line}\n" for line in table.component(one))
            self.log.flush()
        if self.stdout == "jsonl":
            from whamm_cm.gate.outputs import jsonl

            sys.stdout.write(jsonl.component(one))
            sys.stdout.flush()

    def finish(self, report: Report) -> None:
        from whamm_cm.gate.outputs.registry import renderer

        if self.log is not None:
            from whamm_cm.gate.outputs import table

            self.log.writelines(f"{line}\n" for line in table.closing(report))
            self.log.flush()
        for name, path in self.outputs:
            if path is not None:
                write_output(path, renderer(name)(report))
            elif name == "jsonl":
                from whamm_cm.gate.outputs import jsonl

                sys.stdout.write(jsonl.closing(report))
            elif name != "table":
                write_output(None, renderer(name)(report))


def _fail_on(word: str) -> Severity | None:
    from whamm_cm.gate.model import SEVERITIES

    return next((one for one in SEVERITIES if one == word), None)


def _step_summary(args: argparse.Namespace, report: Report) -> None:
    """GitHub Actions shows what is written to the file it names."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    from whamm_cm.gate.outputs import markdown

    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(markdown.render(report, markdown.SUMMARY))
    except OSError as error:
        say(args, f"the step summary cannot be written: {error.strerror or error}")
