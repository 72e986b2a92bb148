"""The rig notices what pages must not do."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.page.browser import DARK, PHONE, open_tab, violations

_GOOD = (
    "<!doctype html><html lang=en><head><meta charset=utf-8><title>Fine</title>"
    '<meta name="viewport" content="width=device-width"></head>'
    "<body><main><h1>Fine</h1><p>Nothing to see.</p></main></body></html>"
)
_POLICY = "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'\"></head>"


def test_a_page_is_opened_looked_at_and_kept(
    open_page: Callable[..., Any], axe: Callable[..., None], screenshot: Callable[..., Path]
) -> None:
    page = open_page(_GOOD, "view=table")
    axe(page)
    assert page.evaluate("location.hash") == "#view=table"
    assert screenshot(page, "rig").read_bytes().startswith(b"\x89PNG")


def test_phones_and_dark_ones(open_page: Callable[..., Any]) -> None:
    page = open_page(_GOOD, **PHONE, **DARK)
    assert page.evaluate("innerWidth") == 390
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("<script>console.error('so sad')</script>", "console: error: so sad"),
        ("<script>throw new Error('oops')</script>", "not caught: oops"),
        ("<script>alert(1)</script>", "a dialog: 1"),
        ("<img src='http://127.0.0.1:9/x.png' alt=''>", "asked for http://127.0.0.1:9/x.png"),
        ("<img src='other.png' alt=''>", "asked for file:///"),
        ("<script>1</script>", "against its policy: script-src-elem: inline"),
    ],
)
def test_what_a_page_does_wrong_is_noticed(
    browser: Any, tmp_path: Path, body: str, wrong: str
) -> None:
    path = tmp_path / "page.html"
    page = _GOOD.replace("</main>", f"</main>{body}")
    if wrong.startswith("against its policy"):
        page = page.replace("</head>", _POLICY)
    path.write_text(page, encoding="utf-8")
    tab = open_tab(browser, path.as_uri())
    tab.page.wait_for_load_state()
    found = tab.finish()
    assert any(each.startswith(wrong) for each in found), found


def test_axe_sees_what_nobody_can_read(open_page: Callable[..., Any]) -> None:
    page = open_page(_GOOD.replace("<p>", "<p style='color: #ccc; background: #fff'>"))
    assert any(each.startswith("color-contrast") for each in violations(page))


@pytest.fixture
def served() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(_GOOD.encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_a_server_may_be_asked_for_its_own(open_page: Callable[..., Any], served: str) -> None:
    page = open_page(served)
    assert page.evaluate("fetch('/more').then(answer => answer.status)") == 200
