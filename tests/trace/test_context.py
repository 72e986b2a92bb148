"""``traceparent`` headers, good and bad, by the specification of W3C trace context."""

from __future__ import annotations

import pytest

from whamm_cm.trace.context import (
    Context,
    Outgoing,
    exchange_span,
    identity,
    parse_traceparent,
    request_trace,
)

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    "text, sampled",
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f" 00-{TRACE}-{SPAN}-03\t", True),
        # A later version may have more behind it.
        (f"cc-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", True),
    ],
)
def test_good_ones_are_taken_up(text: str, sampled: bool) -> None:
    assert parse_traceparent(text) == Context(TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "text",
    [
        "",
        None,
        7,
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"cc-{TRACE}-{SPAN}-01.what",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0x",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{TRACE}-{SPAN}-01\n",
    ],
)
def test_bad_ones_are_ignored(text: object) -> None:
    assert parse_traceparent(text) is None


def test_a_context_is_written_as_it_is_read() -> None:
    for sampled in (True, False):
        context = Context(TRACE, SPAN, sampled)
        assert parse_traceparent(context.traceparent) == context


def test_identities_differ_by_what_they_are_of() -> None:
    made = {
        request_trace("r", 1)[:16], request_trace("r", 2)[:16], request_trace("s", 1)[:16],
        exchange_span("r", 1, 0), exchange_span("r", 1, 1), exchange_span("r", 11, 0),
        identity(16, "span", "r", 11),
    }  # fmt: skip
    assert len(made) == 7


def test_what_goes_out_is_of_the_same_trace() -> None:
    outgoing = Outgoing("r", 3, f"00-{TRACE}-{SPAN}-00")
    one, two = (parse_traceparent(outgoing.traceparent()) for _ in range(2))
    assert one == Context(TRACE, exchange_span("r", 3, 0), False)
    assert two == Context(TRACE, exchange_span("r", 3, 1), False)
    for bad in (None, "00-nonsense"):
        alone = parse_traceparent(Outgoing("r", 3, bad).traceparent())
        assert alone == Context(request_trace("r", 3), exchange_span("r", 3, 0), True)
