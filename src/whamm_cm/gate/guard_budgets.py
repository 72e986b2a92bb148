"""Budgets as conditions of a script: what is counted, and timed, within each call of an export."""

from __future__ import annotations

import os
from collections.abc import Iterable

from whamm_cm.gate.guard import Function, Guard
from whamm_cm.gate.policy import Budget

#: The time at which an invocation began, and one, for a clock may show 0.  What runs outside of all
#: has no such time.
_BEGAN = """\
task var began: u64;
wit:export:*:before { began = now() + 1; }"""


def add_budget(guard: Guard, number: int, budget: Budget, found: Iterable[Function]) -> None:
    """Ask at the functions ``found`` whether budget ``number`` is spent."""
    place = f"{os.path.basename(budget.location.file)}:{budget.location.line}"
    if budget.max_calls is not None:
        guard.needs(f"task var calls{number}: u64;")
    if budget.max_ms is not None:
        guard.needs(_BEGAN)
    for one in found:
        if budget.max_calls is not None:
            guard.ask(
                one, f"calls{number} <= {budget.max_calls}",
                f"{place}: max_calls_per_invocation: {budget.max_calls}", setup=f"calls{number}++;",
            )  # fmt: skip
        if budget.max_ms is not None:
            most = min(int(budget.max_ms * 1_000_000), (1 << 64) - 1)
            guard.ask(
                one, f"(began == 0 || now() + 1 - began <= {most})",
                f"{place}: max_ms_per_invocation: {budget.max_ms:g}",
            )  # fmt: skip
