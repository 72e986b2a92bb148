"""speedscope itself: a page of Chromium that opens a file, and saves what it has understood."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tests.viewers.tools import need

#: Where the browser believes speedscope is; nobody is asked for it.
_HOME = "http://speedscope.localhost/"


class Speedscope:
    def __init__(self, browser: Any) -> None:
        folder = need("speedscope").parent
        self._context = browser.new_context()
        self._context.set_default_timeout(120_000)  # only a page that hangs takes that long
        self._context.route(
            f"{_HOME}**",
            lambda route: route.fulfill(
                path=folder / (route.request.url.removeprefix(_HOME) or "index.html")
            ),
        )

    def opened(self, name: str, data: bytes) -> dict[str, Any]:
        """The file as speedscope saves it again: its own format, written of what it has read."""
        page = self._context.new_page()
        wrongs: list[str] = []
        page.on("pageerror", lambda error: wrongs.append(str(error)))
        page.goto(_HOME)
        page.set_input_files("#file", {"name": name, "mimeType": "", "buffer": data})
        page.locator("canvas").first.wait_for(state="attached")
        found: dict[str, Any] = json.loads(_saved(page).path().read_bytes())
        page.close()
        assert not wrongs, wrongs
        return found

    def close(self) -> None:
        self._context.close()


def _saved(page: Any) -> Any:
    """What it saves by the key for that, to which it may not listen yet."""
    from playwright.sync_api import TimeoutError

    for _ in range(60):
        try:
            with page.expect_download(timeout=2000) as saved:
                page.keyboard.press("Control+s")
            return saved.value
        except TimeoutError:
            continue
    raise AssertionError("speedscope saves nothing")


#: Who calls whom, from the outermost on.
Stack = tuple[str, ...]


def calls(profile: dict[str, Any], frames: list[dict[str, Any]]) -> list[tuple[Stack, int, int]]:
    """Of a profile of events: (stack, beginning, end) of each call, in order of their ends."""
    open_: list[tuple[Stack, int]] = []
    found = []
    for event in profile["events"]:
        name = frames[event["frame"]]["name"]
        if event["type"] == "O":
            open_.append(((*(open_[-1][0] if open_ else ()), name), event["at"]))
        else:
            stack, start = open_.pop()
            assert stack[-1] == name
            found.append((stack, start, event["at"]))
    assert not open_
    return found


def weights(document: dict[str, Any]) -> Counter[Stack]:
    """Stack → what its last frame has to itself, over all profiles."""
    found = Counter[Stack]()
    for profile in document["profiles"]:
        for stack, start, end in calls(profile, document["shared"]["frames"]):
            found[stack] += end - start
            if len(stack) > 1:
                found[stack[:-1]] -= end - start
    return +found
