"""What the overview shows that the page cannot find out by itself: the names of errors."""

from __future__ import annotations

from typing import Any

from whamm_cm.trace.contents import code_of
from whamm_cm.trace.failures import is_error
from whamm_cm.trace.session import Session

#: Calls whose errors are named; of more, only that they failed is known.
MAX_ERRORS = 20_000


def overview_model(session: Session) -> dict[str, Any]:
    """``model["overview"]``: ``codes`` are names of errors, ``errors`` pairs of a call's index and
    the position of its code, of the first :data:`MAX_ERRORS` calls that failed by a result."""
    codes: dict[str, int] = {}
    errors: list[tuple[int, int]] = []
    for index, call in enumerate(session.calls):
        if call.failed and is_error(call.result):
            errors.append((index, codes.setdefault(code_of(call.result)[:200], len(codes))))
            if len(errors) == MAX_ERRORS:
                break
    return {"codes": list(codes), "errors": errors}
