"""Chromium, what a page does in it that it must not, and what axe says of it."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

#: Where pictures are kept, to be looked at: `screenshot(name)` writes `NAME.png`.
PICTURES = Path(__file__).parents[2] / ".cache" / "pictures"
#: Says of each violation of the page's own policy what it was; runs before any script of the page.
_WATCH = """
globalThis.violations = [];
document.addEventListener('securitypolicyviolation', (event) => globalThis.violations.push(
  `${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
"""


def program() -> str | None:
    """Chromium, by whatever name it is here."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


def need() -> str:
    """Chromium's path; the test is skipped where it or what drives it is missing."""
    found = program()
    if found is None:
        pytest.skip("NOT run: no Chromium here; `make browser` installs Debian's (as root)")
    for name in ("playwright", "axe_playwright_python"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"NOT run: {name} is not installed; `pip install -e '.[test]'` does")
    return found


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser (of Playwright) that is closed in the end.

    Scripts are timed, so frames are made even if nobody looks; the sandbox does not work for root.
    """
    path = need()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A tab and all it did wrong: errors in its console, violations of its policy, connections."""

    def __init__(self, context: Any, home: str) -> None:
        self.page = context.new_page()
        self.home = urlsplit(home)
        self.wrongs: list[str] = []
        self.page.add_init_script(_WATCH)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrongs.append(f"not caught: {error}"))
        self.page.on("request", self._asked)
        self.page.on("dialog", self._dialog)
        context.on("page", lambda other: self.wrongs.append(f"opened another page: {other.url}"))

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.wrongs.append(f"console: {message.type}: {message.text}")

    def _asked(self, request: Any) -> None:
        """A page of a file asks for nothing but itself, one of a server for what that has."""
        asked = urlsplit(request.url)
        if asked.scheme in ("data", "blob"):
            return
        if self.home.scheme == "file":
            fine = (asked.scheme, asked.path) == ("file", self.home.path)
        else:
            fine = asked[:2] == self.home[:2]
        if not fine:
            self.wrongs.append(f"asked for {request.url}")

    def _dialog(self, dialog: Any) -> None:
        self.wrongs.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def finish(self) -> list[str]:
        """Closes the tab; what it did wrong."""
        if not self.page.is_closed():
            found = self.page.evaluate("globalThis.violations ?? []")
            self.wrongs += [f"against its policy: {each}" for each in found]
        self.page.context.close()
        return self.wrongs


def open_tab(browser: Any, url: str, **context: Any) -> Watched:
    """`url` in a tab of its own (its own context: `context` is what Playwright's takes)."""
    settings = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light", **context}
    tab = Watched(browser.new_context(**settings), url)
    tab.page.goto(url)
    return tab


#: A telephone: what `open_page(…, **PHONE)` shows the page on.
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
#: In the dark.
DARK: dict[str, Any] = {"color_scheme": "dark"}


@functools.cache
def _axe() -> Any:
    from axe_playwright_python.sync_playwright import Axe

    return Axe()


def violations(page: Any, within: str | None = None) -> list[str]:
    """What axe has against the page (WCAG 2.2 AA and its best practices), a line for each node."""
    tags = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
    options = {"resultTypes": ["violations"], "runOnly": list(tags)}
    found = _axe().run(page, context=within, options=options).response
    return [
        f"{each['id']} ({each['help']}): {node['target']} {node['html'][:200]}"
        f" {node.get('failureSummary', '')}"
        for each in found["violations"]
        for node in each["nodes"]
    ]
