"""Where scripts would fire in an input."""

from __future__ import annotations

import os
from collections.abc import Sequence

from whamm_cm.front.scripts import script_plan
from whamm_cm.front.settings import Settings
from whamm_cm.weave.listing import Listing, list_code, list_sites, open_input
from whamm_cm.weave.plan import ScriptPlan


def rules(
    scripts: Sequence[str | os.PathLike[str]], debug: Sequence[str] = ()
) -> ScriptPlan | None:
    """Scripts, of which a text without a body is a match rule alone."""
    given = [
        ("rule", f"{one} {{ }}") if isinstance(one, str) and "{" not in one else one
        for one in scripts
    ]
    return script_plan(Settings(scripts=given, debug=debug))


def listing(data: bytes, name: str, plan: ScriptPlan | None, code: bool = False) -> Listing:
    """``code``: what would be put there, not where.  Raises DecodeError."""
    if plan is None:
        return Listing()
    return (list_code if code else list_sites)(plan, open_input(data, name))
