"""A browser for the tests of pages, and what each page is asked without being told to.

`open_page` fails a test whose page wrote an error, broke its own policy, asked anybody for
anything, or opened a dialog.  `axe` fails where a page is not accessible.  Where there is no
Chromium, all of these tests are skipped, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.page.browser import PICTURES, Watched, chromium, open_tab, violations


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Chromium, by Playwright, started once."""
    with chromium() as found:
        yield found


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`open_page(html, fragment="", **context) → page`: HTML as text (or strings of it), the path
    of a file, or the URL of a server on this machine.  `context` is what a context of Playwright
    takes, also `**DARK` and `**PHONE` of `tests.page.browser`."""
    tabs: list[Watched] = []

    def opened(html: Any, fragment: str = "", **context: Any) -> Any:
        if isinstance(html, str) and html.startswith("http://127.0.0.1:"):
            url = html
        elif isinstance(html, Path):
            url = html.resolve().as_uri()
        else:
            path = tmp_path / f"page-{len(tabs)}.html"
            path.write_text("".join(html), encoding="utf-8")
            url = path.as_uri()
        tabs.append(open_tab(browser, f"{url}#{fragment}" if fragment else url, **context))
        return tabs[-1].page

    yield opened
    wrongs = [wrong for tab in tabs for wrong in tab.finish()]
    if wrongs:
        pytest.fail("the page did what no page may:\n" + "\n".join(wrongs), pytrace=False)


@pytest.fixture
def axe() -> Callable[..., None]:
    """`axe(page, within=None)`: nothing is wrong with it, or with what a selector chooses of it."""

    def asked(page: Any, within: str | None = None) -> None:
        found = violations(page, within)
        assert not found, "\n".join(found)

    return asked


@pytest.fixture
def screenshot() -> Callable[..., Path]:
    """`screenshot(page, name) → path`: a picture kept under `.cache/pictures`, to be looked at."""

    def taken(page: Any, name: str, **how: Any) -> Path:
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}.png"
        page.screenshot(path=path, **how)
        return path

    return taken
