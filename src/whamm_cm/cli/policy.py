"""``whamm-cm policy``: suggest a policy, explain rules and verdicts, test and lint policies."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from whamm_cm.cli import gate_inputs
from whamm_cm.cli.common import display, progress, read_input, write_output
from whamm_cm.errors import InputError, UsageError, unreadable
from whamm_cm.registry.names import is_image
from whamm_cm.render.safe import printable

if TYPE_CHECKING:
    from datetime import date


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "policy",
        help="suggest, explain, lint and test policies for the gate",
        description="Suggest a policy from what a component can reach and what its logs show,"
        " explain rules and verdicts, find lines that do nothing, or test which verdicts policies"
        " give.",
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(
        dest="action", metavar="ACTION", required=True, help="suggest, explain, lint or test"
    )
    _register_suggest(actions)
    _register_explain(actions)
    _register_lint(actions)
    _register_test(actions)


_Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _register_suggest(actions: _Actions) -> None:
    suggest = actions.add_parser(
        "suggest", help="the tightest policy for a component and logs of its runs",
        description="Write the tightest policy that a component, logs of its runs, or both need.",
        allow_abbrev=False,
    )  # fmt: skip
    suggest.add_argument(
        "inputs", nargs="+", metavar="LOG|APP.wasm", help="saved records, and at most one component"
    )
    suggest.add_argument(
        "-o", "--output", metavar="FILE", help="write to FILE instead of standard output"
    )
    suggest.set_defaults(run=run_suggest)


def _register_explain(actions: _Actions) -> None:
    explain = actions.add_parser(
        "explain", help="what a rule means, or what a policy says of a component",
        description="Say what a rule means, why it matters and what to do; or, with --policy, which"
        " line of a policy allowed or denied each import of a component.", allow_abbrev=False,
    )  # fmt: skip
    explain.add_argument(
        "rule", nargs="?", metavar="RULE|APP.wasm",
        help="such as WCM010 or import-denied; a component with --policy",
    )  # fmt: skip
    explain.add_argument("--policy", metavar="FILE", help="the policy to ask, a file or a profile")
    explain.add_argument("--list", action="store_true", help="all rules, a line each")
    explain.add_argument("--json", action="store_true", help="as JSON")
    explain.set_defaults(run=run_explain)


def _register_lint(actions: _Actions) -> None:
    lint = actions.add_parser(
        "lint", help="find lines of a policy that do nothing",
        description="Find lines of a policy that other lines cover, that are about no known"
        " interface, or that match nothing in a set of components.", allow_abbrev=False,
    )  # fmt: skip
    lint.add_argument("policy", metavar="POLICY", help="the policy, a file or a profile")
    lint.add_argument(
        "apps",
        nargs="*",
        default=[],
        metavar="APP.wasm",
        help="components, directories of them or globs",
    )
    gate_inputs.add_skip(lint)
    lint.add_argument("--today", metavar="DATE", help="the day waivers are judged by")
    lint.set_defaults(run=run_lint)


def _register_test(actions: _Actions) -> None:
    test = actions.add_parser(
        "test", help="check that policies give the verdicts a table expects",
        description="Check that policies give the verdicts that tables expect.",
        allow_abbrev=False,
    )  # fmt: skip
    test.add_argument(
        "file", metavar="FILE|DIR", help="a table, YAML; or the *.test.yaml in a directory"
    )
    test.add_argument("--today", metavar="DATE", help="the day waivers are judged by")
    test.set_defaults(run=run_test)


def run_suggest(args: argparse.Namespace) -> int:
    from whamm_cm.gate.subject import analyse
    from whamm_cm.gate.suggest import suggest

    apps = [path for path in args.inputs if path != "-" and _is_component(path)]
    logs = [path for path in args.inputs if path not in apps]
    if len(apps) > 1:
        raise UsageError(f"{apps[1]}: a second component; a policy is suggested for one")
    with progress(args, "analysing"):
        evidence = gate_inputs.evidence(args, logs) if logs else None
        subject = None
        if apps:
            observed = evidence.observed if evidence is not None else None
            subject = analyse(read_input(apps[0]), apps[0], observed).subject
    write_output(args.output, suggest(subject, evidence))
    return 0


def _is_component(path: str) -> bool:
    if is_image(path):
        return True
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"\0asm"
    except OSError as error:
        raise unreadable(path, error) from None


def run_explain(args: argparse.Namespace) -> int:
    from whamm_cm.gate.rules import RULES
    from whamm_cm.gate.yamldoc import unknown

    if args.policy is not None:
        if args.list or args.rule is None:
            raise UsageError("--policy asks about a component: policy explain APP.wasm --policy P")
        if args.rule.upper() in RULES and not Path(args.rule).exists():
            raise UsageError(f"{args.rule} is a rule; --policy asks about a component")
        return _explain_component(args)
    if args.list == (args.rule is not None):
        raise UsageError("name a rule, or ask for --list")
    chosen = list(RULES.values())
    if args.rule is not None:
        word = args.rule
        chosen = [r for r in chosen if word.upper() == r.id or word.lower() == r.name]
        if not chosen and (word.endswith(".wasm") or Path(word).exists()):
            raise UsageError(f"{word} is no rule; what a policy says of it: give --policy, too")
        if not chosen:
            known = (*RULES, *(rule.name for rule in RULES.values()))
            hint = unknown("rule", word.upper() if word[:3].lower() == "wcm" else word, known)
            raise UsageError(f"{hint.split(' (known')[0]}; --list has them all")
    if args.json:
        import json

        keys = ("id", "name", "severity", "summary", "help", "fix")
        rows = [
            {**{key: getattr(rule, key) for key in keys}, "parameters": dict(rule.parameters)}
            for rule in chosen
        ]
        write_output(None, json.dumps(rows, indent=2) + "\n")
    elif args.list:
        width = max(len(rule.name) for rule in chosen)
        lines = [f"{r.id}  {r.severity:<7}  {r.name:<{width}}  {r.summary}\n" for r in chosen]
        write_output(None, "".join(lines))
    else:
        write_output(None, "".join(f"{line}\n" for line in _explained(chosen[0])))
    return 0


def _explained(rule: object) -> list[str]:
    from textwrap import wrap

    from whamm_cm.gate.context import Rule

    assert isinstance(rule, Rule)
    lines = [f"{rule.id} {rule.name} ({rule.severity})", "", rule.summary, ""]
    lines += [*wrap(rule.help, 90), "", "What to do:", *wrap(rule.fix, 90)]
    if rule.parameters:
        lines += ["", "Parameters:"]
        lines += [f"  {name}: {text}" for name, text in rule.parameters.items()]
    return lines


def _explain_component(args: argparse.Namespace) -> int:
    from whamm_cm.cli.gate import day
    from whamm_cm.front.verdict import policy_of
    from whamm_cm.gate.engine import Engine
    from whamm_cm.gate.explain import explained
    from whamm_cm.gate.subject import analyse

    engine = Engine(policy_of(args.policy), day(None))
    with progress(args, "analysing"):
        subject = analyse(read_input(args.rule), display(args.rule)).subject
    said = list(explained(engine.context(args.rule, args.rule, subject=subject)))
    if args.json:
        import json
        from dataclasses import asdict

        document = {
            "v": 1,
            "file": args.rule,
            "policy": args.policy,
            "said": list(map(asdict, said)),
        }
        write_output(None, json.dumps(document, indent=2) + "\n")
        return 0
    lines = []
    for one in said:
        place = f"  {one.location}" if one.location else ""
        some = f"#{{{','.join(one.functions)}}}" if one.functions else ""
        lines.append(f"{one.verdict:<8}{one.edge} {printable(one.item + some)}\n")
        lines.append(f"        {printable(one.why)}{place}\n")
    write_output(None, "".join(lines))
    return 0


def run_lint(args: argparse.Namespace) -> int:
    from whamm_cm.cli.gate import day
    from whamm_cm.front.verdict import policy_of
    from whamm_cm.gate.engine import Engine
    from whamm_cm.gate.lint import lint, unmatched
    from whamm_cm.gate.subject import analyse

    policy, today = policy_of(args.policy), day(args.today)
    found = list(lint(policy, today))
    if args.apps:
        engine = Engine(policy, today)
        with progress(args, "analysing"):
            contexts = [
                engine.context(path, path, subject=analyse(read_input(path), path).subject)
                for path in gate_inputs.found(args, args.apps)
            ]
        found += unmatched(policy, contexts)
    found.sort(key=lambda one: (one.location.file, one.location.line, one.location.column))
    for one in found:
        print(f"{one.location}: {one.kind}: {printable(one.message)}")
    return 1 if found else 0


def run_test(args: argparse.Namespace) -> int:
    from whamm_cm.cli.gate import day
    from whamm_cm.gate.cases import tables

    today = day(args.today)
    path = Path(args.file)
    files = list(map(str, tables(path))) if path.is_dir() else [args.file]
    wrong = sum(_test_table(args, file, today) for file in files)
    if wrong:
        print(f"{wrong} of the cases failed", file=sys.stderr)
    return 1 if wrong else 0


def _test_table(args: argparse.Namespace, file: str, today: date) -> int:
    """How many cases of a table are not as expected."""
    from whamm_cm.cli.gate_inputs import Seen, seen
    from whamm_cm.front.verdict import policy_of
    from whamm_cm.gate.cases import faults, read_cases
    from whamm_cm.gate.engine import Engine
    from whamm_cm.gate.yamldoc import read

    try:
        data = read(file)
    except OSError as error:
        raise UsageError(str(unreadable(file, error))) from None
    wrong = 0
    for case in read_cases(data, file):
        path = case.component
        try:
            engine = Engine(policy_of(case.policy), today)
            if case.facts is not None:
                one = Seen(case.facts)
            else:
                one = seen(args, engine, read_input(path), path, case.logs)
        except InputError as error:
            raise InputError(f"{case.location}: {error}") from None
        except UsageError as error:
            raise UsageError(f"{case.location}: {error}") from None
        report = engine.judge(
            engine.context(
                path, Path(path).name, subject=one.subject, strangers=one.strangers,
                evidence=one.evidence,
            )
        )  # fmt: skip
        found = faults(case, report, engine.closing())
        wrong += bool(found)
        print(f"{'FAILED' if found else 'ok':<6}  {case.name}")
        for fault in found:
            print(f"        {case.location}: {fault}")
    return wrong
