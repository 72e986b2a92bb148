"""What is wrong with scripts, without or with what they are for; nothing is run or written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whamm_cm.dataclass import dataclass
from whamm_cm.front.scripts import script_plan
from whamm_cm.front.settings import Settings
from whamm_cm.lang.source import ScriptError, WrittenRule, together
from whamm_cm.lang.tree import Span

if TYPE_CHECKING:
    from whamm_cm.weave.listing import Input


@dataclass(frozen=True, slots=True)
class CheckedRule:
    """``places``: how many it matches, None where there is no component."""

    span: Span
    rule: WrittenRule
    places: int | None


@dataclass(frozen=True, slots=True)
class Checked:
    """``warnings``: what is legal and surely not meant."""

    warnings: tuple[ScriptError, ...]
    rules: tuple[CheckedRule, ...]


def check(settings: Settings, given: Input | None = None) -> Checked:
    """The scripts of the settings, for what ``weave.listing.open_input`` has opened, if anything.

    Raises what weaving them would: ScriptError with all that is wrong, and other WhammErrors.
    """
    plan = script_plan(settings)
    assert plan is not None
    places, misread = None, list[ScriptError]()
    if given is None:
        found = [rule.mistake(None) for rule in plan.scripts.wit_rules]
        errors = [error for error in found if error is not None]
        if errors:
            raise together(errors)
    else:
        from whamm_cm.weave.listing import count_places
        from whamm_cm.weave.opcodes import symbols

        places = count_places(plan, given)
        misread = symbols.misread(plan.scripts, [module for _, module in given.guests])
    rules = tuple(
        CheckedRule(span, rule, None if places is None else places[span])
        for span, rule in plan.scripts.written.items()
    )
    return Checked((*plan.scripts.warned, *misread), rules)
