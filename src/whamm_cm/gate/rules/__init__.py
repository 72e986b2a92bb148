"""The rules: one row each, in files by subject.  A new rule is a row in one of these tables."""

from __future__ import annotations

from whamm_cm.gate.context import Context, Hit, Rule
from whamm_cm.gate.rules import imports, manifest, manifest_grants, oci, reach, shape, values


def _by_engine(_: Context) -> tuple[Hit, ...]:
    """For rules about waivers, which the engine applies itself."""
    return ()


_WAIVERS = (
    Rule("WCM090", "waiver-expired", "error", "A waiver has expired, and waives nothing any more.",
         "A waiver is a promise to come back. Now is the time.",
         "Fix what was waived, or set a new date and say why.", _by_engine),
    Rule("WCM091", "waiver-unused", "warning", "A waiver matches no finding.",
         "It would hide the finding when it comes back.",
         "Remove the waiver.", _by_engine),
    Rule("WCM092", "waiver-expiring", "note", "A waiver expires within 14 days.",
         "When it has expired, what it waives fails the gate.",
         "Fix what is waived, or set a new date and say why.", _by_engine),
)  # fmt: skip

#: Every rule by its id, in order.
RULES: dict[str, Rule] = {
    rule.id: rule
    for rule in sorted(
        (
            *reach.RULES,
            *imports.RULES,
            *shape.RULES,
            *values.RULES,
            *manifest.RULES,
            *manifest_grants.RULES,
            *oci.RULES,
            *_WAIVERS,
        ),
        key=lambda rule: rule.id,
    )
}

#: What a policy may set of each.
PARAMETERS: dict[str, tuple[str, ...]] = {
    rule.id: tuple(rule.parameters) for rule in RULES.values()
}
