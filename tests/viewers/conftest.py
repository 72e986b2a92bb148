"""A browser, and in it the viewers that are web pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.page.browser import chromium
from tests.viewers.perfetto import TraceProcessor
from tests.viewers.speedscope import Speedscope


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Chromium, by Playwright, started once."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="package")
def trace_processor(browser: Any) -> Iterator[TraceProcessor]:
    """Perfetto's."""
    found = TraceProcessor(browser)
    yield found
    found.close()


@pytest.fixture(scope="package")
def speedscope(browser: Any) -> Iterator[Speedscope]:
    found = Speedscope(browser)
    yield found
    found.close()
