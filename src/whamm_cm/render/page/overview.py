"""What the overview shows that the page cannot find out by itself: the names of errors."""

from __future__ import annotations

from typing import Any

from whamm_cm.trace.contents import code_of
from whamm_cm.trace.failures import STATUS_RETURNED, STATUS_SET, is_error
from whamm_cm.trace.session import Call, Session

#: Calls whose errors are named; of more, only that they failed is known.
MAX_ERRORS = 20_000


def overview_model(session: Session) -> dict[str, Any]:
    """``model["overview"]``: ``codes`` are names of errors, ``errors`` pairs of a call's index and
    the position of its code, of the first :data:`MAX_ERRORS` calls that say why they failed."""
    codes: dict[str, int] = {}
    errors: list[tuple[int, int]] = []
    for index, call in enumerate(session.calls):
        code = _code(call) if call.failed else ""
        if code:
            errors.append((index, codes.setdefault(code[:200], len(codes))))
            if len(errors) == MAX_ERRORS:
                break
    return {"codes": list(codes), "errors": errors}


def _code(call: Call) -> str:
    """``access``, ``status 503``; "" where it says nothing itself."""
    if is_error(call.result):
        return code_of(call.result)
    item = call.site.item
    if item in STATUS_RETURNED:
        return f"status {call.result}"
    return f"status {call.args.get(STATUS_SET[item])}" if item in STATUS_SET else ""
