"""What counts as an error of a call, beyond what its type says.

An error may lie inside of an ``ok`` or a ``some``: ``future-incoming-response.get`` of wasi:http
returns ``option<result<result<…>>>``.  An HTTP status of 500 and above is one, too: of a response
that is read, of one that is made, and of the request that is answered by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whamm_cm.trace.contents import code_of

#: The least status that is a failure of the server.
FAILURE = 500

#: Errors that say that something is not allowed: of wasi:filesystem, wasi:sockets, wasi:http.
DENIALS = frozenset(
    {"access", "not-permitted", "read-only", "access-denied", "HTTP-request-denied"}
)

_HTTP = "wasi:http/types#"
#: Functions that return the status of a response.
STATUS_RETURNED = frozenset(
    {_HTTP + "incoming-response.status", _HTTP + "response.get-status-code"}
)
#: Functions that set it, with the name of the argument; the export they are called in answers so.
STATUS_SET = {
    _HTTP + "outgoing-response.set-status-code": "status-code",
    _HTTP + "response.set-status-code": "status-code",
}
#: Functions that answer with an error instead of a response.
ANSWER_SET = {_HTTP + "response-outparam.set": "response"}


def is_error(result: object) -> bool:
    """Whether a result as JSON is the ``error`` case of a ``result``, be it inside another."""
    while isinstance(result, dict) and len(result) == 1:
        if "error" in result:
            return True
        if "ok" in result:
            result = result["ok"]
        elif "some" in result:
            result = result["some"]
        else:
            return False
    return False


def is_denied(result: object) -> bool:
    """Whether an error in a result says that something is not allowed."""
    return is_error(result) and code_of(result) in DENIALS


def answers(item: str) -> bool:
    """Whether a call of this function says how the request is answered that runs now."""
    return item in STATUS_SET or item in ANSWER_SET


def has_failed(item: str, args: Mapping[str, Any], result: object) -> bool:
    """Whether a call that returned ``result`` has failed, or says that something has."""
    if is_error(result):
        return True
    if item in STATUS_RETURNED:
        return _status(result)
    if item in STATUS_SET:
        return _status(args.get(STATUS_SET[item]))
    return item in ANSWER_SET and is_error(args.get(ANSWER_SET[item]))


def _status(value: object) -> bool:
    return type(value) is int and value >= FAILURE
