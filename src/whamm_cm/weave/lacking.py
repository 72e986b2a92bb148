"""Boundary functions that a rule means and that lack what its body asks for: a result, a parameter.

Where the rule means several functions, those that have it are meant; where none has it, the script
is wrong.
"""

from __future__ import annotations

from whamm_cm.dataclass import dataclass
from whamm_cm.lang.source import ScriptError
from whamm_cm.lang.tree import Span, WitRule, WitSite


def lacking(error: ScriptError) -> str:
    """Why a rule does not match a function, if it lacks the names in that error; else empty."""
    names = dict.fromkeys(one.about for one in error.each)
    if "" in names:
        return ""
    return f"the function has no {' and no '.join(names)}"


def lacks(rule: WitRule, site: WitSite) -> bool:
    """Whether that is what is wrong with the rule there."""
    try:
        rule.at(site)
    except ScriptError as error:
        return bool(lacking(error))
    return False


@dataclass(slots=True)
class Misfits:
    """What is wrong with rules at functions, until all functions are known."""

    fits: set[Span]
    errors: list[ScriptError]
    lacks: list[tuple[WitRule, str, ScriptError]]

    @classmethod
    def none(cls) -> Misfits:
        return cls(set(), [], [])

    def add(self, rule: WitRule, error: ScriptError) -> None:
        why = lacking(error)
        if why:
            self.lacks.append((rule, why, error))
        else:
            self.errors.append(error)

    def settle(self) -> list[tuple[str, str, int]]:
        """The functions that are not meant: (rule, why, how many); fills ``errors``."""
        self.errors += (error for rule, _, error in self.lacks if rule.span not in self.fits)
        return [(rule.rule, why, 1) for rule, why, _ in self.lacks if rule.span in self.fits]
