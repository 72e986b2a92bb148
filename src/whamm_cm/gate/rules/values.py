"""WCM050–WCM065: what logs of a run show, against permissions and budgets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from whamm_cm.gate.context import Context, Hit, Rule
from whamm_cm.gate.hosts import Host, parse_host
from whamm_cm.gate.model import Location
from whamm_cm.gate.permissions import NetworkLine, Section, StorageLine
from whamm_cm.gate.uses import Endpoint, FileUse
from whamm_cm.gate.written import budget_set, host_allowed, key_allowed, path_allowed


def _calls(context: Context) -> Iterator[Hit]:
    if context.evidence is None or context.holds("budgets"):
        return
    for budget, spent in zip(context.policy.budgets, context.evidence.spending, strict=True):
        most = budget.max_calls
        if most is not None and spent.most > most:
            text = f"{spent.most} calls in one invocation; at most {most} are allowed"
            allow = budget_set(budget.line.text, "max_calls_per_invocation", spent.most)
            yield Hit(budget.line.text, text, budget.location, allow=allow)


def _latency(context: Context) -> Iterator[Hit]:
    if context.evidence is None:
        return
    for budget, spent in zip(context.policy.budgets, context.evidence.spending, strict=True):
        p99 = spent.p99_ns
        if budget.p99_ms is not None and p99 is not None and p99 > budget.p99_ms * 1e6:
            text = (
                f"99 % of {len(spent.times)} calls took up to {p99 / 1e6:.3f} ms; "
                f"at most {budget.p99_ms:g} ms are allowed"
            )
            allow = budget_set(budget.line.text, "p99_ms", math.ceil(p99 / 1e6))
            yield Hit(budget.line.text, text, budget.location, allow=allow)


def _late(context: Context) -> Iterator[Hit]:
    """Calls behind the end of the time that an invocation has."""
    if context.evidence is None or context.holds("budgets"):
        return
    for budget, spent in zip(context.policy.budgets, context.evidence.spending, strict=True):
        most = budget.max_ms
        if most is not None and spent.latest_ns > most * 1e6:
            text = (
                f"a call {spent.latest_ns / 1e6:.3f} ms after its invocation began;"
                f" at most {most:g} ms are allowed"
            )
            allow = budget_set(
                budget.line.text, "max_ms_per_invocation", math.ceil(spent.latest_ns / 1e6)
            )
            yield Hit(budget.line.text, text, budget.location, allow=allow)


def _slow(context: Context) -> Iterator[Hit]:
    yield from _latency(context)
    yield from _late(context)


def _open(context: Context, part: str) -> Any:
    """A section of the permissions that logs decide about: what a guard holds, it holds in every
    run."""
    return None if context.holds(part) else getattr(context.policy.permissions, part)


def _network(context: Context) -> Iterator[Hit]:
    section = _open(context, "network")
    if section is None or context.evidence is None:
        return
    for endpoint in context.evidence.uses.endpoints:
        line = next((one for one in section.deny if _hits(one, endpoint)), None)
        if line is not None:
            yield Hit(str(endpoint.host), _said(endpoint, f'matches "{line.text}"'), line.location)
        elif section.allow is not None and not _allowed(section, endpoint):
            text = _said(endpoint, "is not on the list of allowed hosts")
            allow = host_allowed(endpoint.host, endpoint.names, _is_lookup(endpoint))
            yield Hit(str(endpoint.host), text, section.allow_at, allow=allow)


def _hits(line: NetworkLine, endpoint: Endpoint) -> bool:
    return line.could_cover(endpoint.host, endpoint.names)


def _allowed(section: Section[NetworkLine], endpoint: Endpoint) -> bool:
    """A lookup needs no port.  An address that several names gave needs all of them allowed."""
    lines = section.allow or ()
    host = endpoint.host
    if _is_lookup(endpoint):
        return any(line.could_cover(host) for line in lines)
    if any(line.covers(host) for line in lines):
        return True
    names = [parse_host(name) for name in endpoint.names]
    return bool(names) and all(
        name is not None and any(line.covers(Host(name.name, None, host.port)) for line in lines)
        for name in names
    )


def _is_lookup(endpoint: Endpoint) -> bool:
    return endpoint.how.endswith("#resolve-addresses")


def _said(endpoint: Endpoint, what: str) -> str:
    names = f" ({', '.join(endpoint.names)})" if endpoint.names else ""
    return f"{endpoint.host}{names}, by {endpoint.how}, {what}"


def _storage(context: Context) -> Iterator[Hit]:
    section = _open(context, "storage")
    if section is None or context.evidence is None:
        return
    for use in context.evidence.uses.files:
        found = _file(section, use)
        if found is not None:
            why, location, allow = found
            item = f"fs://{use.paths[0]}"
            yield Hit(item, f"{use.access} of {item}, by {use.how}, {why}", location, allow=allow)


def _file(section: Section[StorageLine], use: FileUse) -> tuple[str, Location, str] | None:
    """Why a use is denied, where that stands, and what would allow it."""
    for path in use.paths:
        for line in section.deny:
            if line.denies(path, use.access):
                return f'matches "fs://{line.text}"', line.location, ""
        if section.allow is not None and not any(
            line.covers(path, use.access) for line in section.allow
        ):
            allow = path_allowed(use.paths, use.access)
            return "is not on the list of allowed paths", section.allow_at, allow
    return None


def _environment(context: Context) -> Iterator[Hit]:
    section = _open(context, "environment")
    if section is None or context.evidence is None:
        return
    for key, how in context.evidence.uses.keys:
        line = next((one for one in section.deny if one.key.casefold() == key.casefold()), None)
        if line is not None:
            yield Hit(key, f"{key}, by {how}, is denied", line.location)
        elif section.allow is not None and all(one.key != key for one in section.allow):
            text = f"{key}, by {how}, is not on the list of allowed keys"
            yield Hit(key, text, section.allow_at, allow=key_allowed(key))


def _unclear(context: Context) -> Iterator[Hit]:
    if context.evidence is None:
        return
    for one in context.evidence.uses.unclear:
        section = _open(context, one.about)
        if section is not None:
            text = f"a call of {one.how} cannot be judged: {one.why}"
            yield Hit(f"{one.about}:{one.how}", text, section.location)


def _not_checked(context: Context) -> Iterator[Hit]:
    evidence = context.evidence
    if evidence is None:
        why = "not checked: there are no logs (--trace-log)"
    elif not evidence.records:
        why = "not checked: the logs have no records (--trace-log)"
    elif not evidence.vouched:
        why = (
            "checked by logs alone that the guest could write to: lines of its host's log, with no"
            " word of whose they are; the JSONL of `whamm-cm trace -o` has it"
        )
    else:
        return
    if context.policy.judged == "observed" and evidence is not None:
        yield Hit("judge", why, context.policy.location)
    for name in ("network", "storage", "environment"):
        section = _open(context, name)
        if section is not None:
            yield Hit(f"permissions.{name}", why, section.location)
    for budget in context.policy.budgets:
        if not (context.holds("budgets") and budget.p99_ms is None):
            yield Hit(budget.line.text, why, budget.location)


def _incomplete(context: Context) -> Iterator[Hit]:
    evidence = context.evidence
    if evidence is None:
        return
    uses = evidence.uses
    if uses.incomplete:
        number = f"{uses.lost} {'record was' if uses.lost == 1 else 'records were'} lost"
        if uses.unknown:
            number = f"at least {number}" if uses.lost else "an unknown number of records was lost"
        yield Hit("records", f"{number}; what they said is not judged")
    for budget, spent in zip(context.policy.budgets, evidence.spending, strict=True):
        if spent.counted:
            text = f"{spent.counted} calls were only counted, without time or invocation"
            yield Hit(budget.line.text, text, budget.location)


RULES = (
    Rule("WCM050", "too-many-calls", "error",
         "One invocation made more calls than its budget has.",
         "Calls per invocation are what a remote store or service has to bear for each request.",
         "Batch or cache the calls, or raise max_calls_per_invocation.", _calls),
    Rule("WCM051", "too-slow", "error", "Calls take longer than their budget has, or come later.",
         "Times are those of the logs: of the host and machine they were taken on.",
         "Find out what is slow with `whamm-cm report -c`, or raise the budget.", _slow),
    Rule("WCM060", "network-denied", "error", "The component talked to a host it must not.",
         "Names are compared in one spelling: lower case, ASCII form, numbers as addresses, IPv6"
         " forms of IPv4 as IPv4. An address counts as the names whose lookup gave it.",
         "Stop it, or allow the host under permissions.network.", _network),
    Rule("WCM061", "storage-denied", "error", "The component used a path it must not.",
         "Paths are followed from the preopened directories, with . and .. resolved. Symbolic links"
         " are not: logs do not say where they lead.",
         "Stop it, or allow the path under permissions.storage.", _storage),
    Rule("WCM062", "environment-denied", "error",
         "The component was given a variable or setting it must not have.",
         "Whoever asks for the environment gets all of it, secrets of others, too.",
         "Do not set the variable for it, or allow it under permissions.environment.",
         _environment),
    Rule("WCM063", "value-unclear", "error", "A log does not say what a permission needs to know.",
         "Values that were redacted or cut, or handles nobody saw made, cannot be judged, and what"
         " cannot be judged is not allowed.",
         "Trace with the functions that make the handles, a larger --max-string, or"
         " --show-secrets.", _unclear),
    Rule("WCM064", "not-checked", "note",
         "Permissions or budgets wait for logs, or for logs that the guest could not write to.",
         "Values and times are known from runs only. What a guest could have written itself is"
         " taken as said against it, never for it.",
         "Give logs with --trace-log.", _not_checked),
    Rule("WCM065", "incomplete-log", "error", "Records were lost or only counted.",
         "What is not in the log is not judged.",
         "Trace fewer functions, or flush more often.", _incomplete),
)  # fmt: skip
