"""What is wrong with a script that is being written: what ``whamm-cm check`` says, with places."""

from __future__ import annotations

from collections.abc import Mapping

from whamm_cm.dataclass import dataclass
from whamm_cm.editor.component import Component
from whamm_cm.errors import WhammError
from whamm_cm.front.checking import Checked, check
from whamm_cm.front.settings import Settings
from whamm_cm.lang.source import ScriptError


@dataclass(frozen=True, slots=True)
class Problem:
    """Of characters ``start`` to ``end``; ``error`` or else a warning."""

    start: int
    end: int
    message: str
    error: bool = True


def problems(
    name: str, text: str, component: Component | None, libraries: Mapping[str, str]
) -> list[Problem]:
    """``libraries``: files by the names that scripts use."""
    settings = Settings(scripts=[(name, text)], libraries=libraries)
    try:
        checked = check(settings, None if component is None else component.given)
    except ScriptError as error:
        return [_problem(one, True) for one in error.each]
    except WhammError as error:
        return [Problem(0, 0, str(error))]
    return [*(_problem(one, False) for one in checked.warnings), *_idle(checked)]


def _problem(error: ScriptError, wrong: bool) -> Problem:
    said = f"{error.message}; {error.hint}" if error.hint else error.message
    return Problem(error.start, max(error.end, error.start), said, wrong)


def _idle(checked: Checked) -> list[Problem]:
    """Rules that match no place of the component."""
    return [
        Problem(one.span.start, one.span.start + len(one.rule.text.rstrip()),
                'this rule matches no place; begin it with "?" if that is meant', False)
        for one in checked.rules
        if one.places == 0 and not one.rule.optional
    ]  # fmt: skip
