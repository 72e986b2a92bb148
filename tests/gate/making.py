"""Components and judgements for the tests of the gate."""

from __future__ import annotations

from datetime import date

import wasmtime

from whamm_cm.gate.engine import Engine
from whamm_cm.gate.evidence import gather
from whamm_cm.gate.model import ComponentReport, Finding, Report
from whamm_cm.gate.policy import Policy
from whamm_cm.gate.policy_read import parse_policy
from whamm_cm.gate.rules import PARAMETERS
from whamm_cm.gate.subject import analyse

TODAY = date(2026, 11, 21)


def component(imports: dict[str, tuple[str, ...]], *, calls: str = "*", more: str = "") -> bytes:
    """A component that imports instances of functions without parameters, and calls those whose
    name is in ``calls`` (words; ``*`` for all) from its export ``run``."""
    lines, funcs, args, body = [], [], [], []
    for number, (interface, names) in enumerate(imports.items()):
        exports = " ".join(f'(export "{name}" (func))' for name in names)
        lines.append(f'(import "{interface}" (instance $i{number} {exports}))')
        for index, name in enumerate(names):
            core = f"$f{number}-{index}"
            lines.append(f'(core func {core} (canon lower (func $i{number} "{name}")))')
            funcs.append(f'(import "" "{core}" (func {core}))')
            args.append(f'(export "{core}" (func {core}))')
            if calls == "*" or name in calls.split():
                body.append(f"(call {core})")
    return wasmtime.wat2wasm(f"""(component {" ".join(lines)}
      (core module $m {" ".join(funcs)} (func (export "run") {" ".join(body)}))
      (core instance $c (instantiate $m (with "" (instance {" ".join(args)}))))
      (func $run (canon lift (core func $c "run")))
      {more}
      (export "run" (func $run)))""")


def inside(outer: str, inner: str, how: str) -> bytes:
    """A component that hands import ``outer`` to a component inside as ``inner``."""
    instance = '(export "bind" (func))'
    give = {
        "instance": f'(with "{inner}" (instance $out))',
        "function": f'(with "{inner}" (instance (export "bind" (func $out "bind"))))',
    }[how]
    return wasmtime.wat2wasm(f"""(component
      (import "{outer}" (instance $out {instance}))
      (component $in
        (import "{inner}" (instance $tcp {instance}))
        (core func $bind (canon lower (func $tcp "bind")))
        (core module $m (import "" "bind" (func $bind)) (func (export "run") (call $bind)))
        (core instance $i (instantiate $m (with "" (instance (export "bind" (func $bind))))))
        (func (export "run") (canon lift (core func $i "run"))))
      (instance $i (instantiate $in {give}))
      (export "run" (func $i "run")))""")


def policy(text: str, file: str = "p.yaml") -> Policy:
    return parse_policy(("version: 1\n" + text).encode(), file, PARAMETERS)


def judge(data: bytes, text: str = "", records: tuple[dict, ...] | None = None, **more: object):
    """The report of one component by the policy ``text`` (its ``version`` line is put in front)."""
    file = more.pop("file", "p.yaml")
    engine = Engine(policy(text, file) if text else Policy(), more.pop("today", TODAY), **more)
    evidence = None if records is None else gather(records, engine.policy.budgets)
    found = analyse(data, "app.wasm", evidence.observed if evidence else None)
    context = engine.context(
        "dir/app.wasm", "app.wasm", subject=found.subject, strangers=found.strangers,
        evidence=evidence,
    )  # fmt: skip
    one = engine.judge(context)
    return Report(
        "0.0.0", engine.policy.file, "error", (one,), engine.closing(), today=engine.today
    )


def said(report: Report | ComponentReport) -> list[tuple[str, str]]:
    """(rule, item) of every finding that counts."""
    findings: list[Finding] = list(
        report.findings if isinstance(report, ComponentReport) else report.all()
    )
    return [(one.rule, one.item) for one in findings if one.counts]


def rules(report: Report) -> set[str]:
    return {rule for rule, _ in said(report)}


def record(func: str, **more: object) -> dict:
    """A record of a call; ``func`` is ``interface#function``."""
    interface, _, name = func.partition("#")
    base = {"v": 1, "phase": "call", "instance": 1, "call": 1, "edge": "import"}
    return {**base, "interface": interface, "func": name, **more}


def call(number: int, func: str, result: object = None, **more: object) -> tuple[dict, dict]:
    """A call and its return."""
    opened = record(func, call=number, **more)
    closed = {k: v for k, v in opened.items() if k not in ("args", "self")}
    return opened, {**closed, "phase": "return", "result": result}
