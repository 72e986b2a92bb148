"""What the page of a long run costs: how long it takes to make, its size, and in Chromium how long
until there is something to see, until all calls are read, and what one does with them takes.

    python -m bench.page [--calls N] [--rounds N] [--keep FILE]

The log has two records for each call.  Each figure is the least of the rounds; a round opens the
page anew.  `first paint` and `read` count from when the page was asked for; what follows is from
the event to the picture that shows it.  Beside it is how much of it the page's main thread has
computed, which other work on the machine does not add to.  `frame` is the mean time from picture
to picture while the table is scrolled from its beginning to its end in 60 steps, and while the
timeline is zoomed and moved as often.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.page.browser import chromium, program
from tests.page.logs import many

#: What `ACT` took, until the picture after it is drawn.
_TIMED = """async () => {
  const drawn = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  await drawn();
  const start = performance.now();
  ACT;
  await drawn();
  return performance.now() - start;
}"""
#: The mean and the longest time between pictures while `ACT` is done for shares up to 1.
_FRAMES = """async (steps) => {
  const frame = () => new Promise(requestAnimationFrame);
  const begin = await frame();
  let [last, longest] = [begin, 0];
  for (let k = 1; k <= steps; k += 1) {
    const share = k / steps;
    ACT;
    const now = await frame();
    longest = Math.max(longest, now - last);
    last = now;
  }
  return [(last - begin) / steps, longest];
}"""
_PAINT = """() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN"""
#: Where one goes, by name.
ACTS = {
    "to the table": "#view=table",
    "filter %fs": "#view=table&q=%25fs",
    "filter status=failed": "#view=table&q=status%3Dfailed",
    "sort by time": "#view=table&table.sort=-took",
    "sort by name": "#view=table&table.sort=function",
    "to the overview": "#view=overview",
    "to the timeline": "#view=timeline",
}
STEPS = 60
#: What is done again and again, and in which view.
FRAMES = {
    "table, scrolled": (
        "#view=table",
        "{ const grid = document.querySelector('[role=grid]');"
        " grid.scrollTop = share * grid.scrollHeight; }",
    ),
    "timeline, zoomed": (
        "#view=timeline",
        "document.querySelector('.view-timeline canvas[aria-describedby]').dispatchEvent("
        "new WheelEvent('wheel', {deltaY: share < 0.5 ? -60 : 60, clientX: 400 + 300 * share,"
        " clientY: 400, ctrlKey: true, bubbles: true, cancelable: true}))",
    ),
}


def made(calls: int, path: Path) -> float:
    """Writes the page; seconds of this processor."""
    from whamm_cm.render.html import render
    from whamm_cm.render.options import RenderOptions

    records = list(many(calls))
    start = time.process_time()
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(render(records, RenderOptions()))
    return time.process_time() - start


class Tab:
    """A page, and what its main thread has computed."""

    def __init__(self, browser: Any, url: str) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 800})
        self.page = self.context.new_page()
        self.page.set_default_timeout(600_000)
        self.session = self.context.new_cdp_session(self.page)
        self.session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self.page.goto(url)
        self.page.wait_for_selector("html[data-ready]")

    def spent(self) -> float:
        """Milliseconds of a processor so far."""
        rows = self.session.send("Performance.getMetrics")["metrics"]
        return 1000 * float(next(row["value"] for row in rows if row["name"] == "TaskDuration"))

    def timed(self, script: str, *args: object) -> tuple[Any, float]:
        """What the script answers, and what it has spent."""
        before = self.spent()
        found = self.page.evaluate(script, *args)
        return found, self.spent() - before


def measured(browser: Any, url: str) -> dict[str, tuple[float, float]]:
    """One round: by name milliseconds, and of them those of a processor."""
    tab = Tab(browser, url)
    paint = tab.page.evaluate(_PAINT)
    found = {"first paint": (paint, 0.0)}
    found["read"] = (tab.page.evaluate("performance.now()"), tab.spent())
    for name, fragment in ACTS.items():
        found[name] = tab.timed(_gone_to(fragment))
    for name, (fragment, act) in FRAMES.items():
        tab.page.evaluate(_gone_to(fragment))
        (mean, longest), spent = tab.timed(_FRAMES.replace("ACT", act), STEPS)
        found[f"frame: {name}"] = (mean, spent / STEPS)
        found[f"longest: {name}"] = (longest, 0.0)
    tab.context.close()
    return found


def _gone_to(fragment: str) -> str:
    return _TIMED.replace("ACT", f"location.hash = '{fragment}'")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__)
    parser.add_argument("--calls", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="where the page is to stay")
    args = parser.parse_args(argv)
    if program() is None:
        print("NOT run: no Chromium here; `make browser` installs Debian's (as root)")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = (args.keep or Path(folder) / "page.html").resolve()
        seconds = made(args.calls, path)
        load = os.getloadavg()[0]
        print(f"{2 * args.calls:,} records, {args.calls:,} calls; load {load:.1f}")
        size = path.stat().st_size
        print(f"{'made in':<28} {seconds:9.1f} s  {1e6 * seconds / args.calls:.1f} us a call")
        print(f"{'size':<28} {size / 1e6:9.1f} MB {size / args.calls:.1f} bytes a call")
        with chromium() as browser:
            rounds = [measured(browser, path.as_uri()) for _ in range(args.rounds)]
    for name in rounds[0]:
        elapsed, spent = (min(each[name][k] for each in rounds) for k in (0, 1))
        computed = f" {spent:9.1f} computed" if spent else ""
        print(f"{name:<28} {elapsed:9.1f} ms{computed}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
