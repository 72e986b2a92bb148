"""The page of a run: one HTML file, to be opened by a browser."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any

from whamm_cm._version import __version__
from whamm_cm.render.options import RenderOptions
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Session


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    # Only a page pays for what makes one.
    from whamm_cm.render.page.bundle import page
    from whamm_cm.render.page.classes import classes_model
    from whamm_cm.render.page.overview import overview_model
    from whamm_cm.render.page.run import Sites, chunks, run_model
    from whamm_cm.render.page.trees import trees_model

    session = Session.build(records, options.per_instance)
    sites = Sites()
    title = PurePath(options.app[0]).name if options.app else _title(session)
    model: dict[str, Any] = {"v": 1, "kind": "run", "title": title, "by": f"whamm-cm {__version__}"}
    model["run"] = run_model(session, sites)
    model["classes"] = classes_model(session, sites.numbers)
    model["overview"] = overview_model(session)
    if found := trees_model(session, options.per_instance):
        model["trees"] = found
    return page(model, chunks(session, sites))


def _title(session: Session) -> str:
    """The components that were seen, the outermost first."""
    names = dict.fromkeys(call.site.component for call in session.calls if call.site.component)
    first, more = next(iter(names), "a run"), len(names) - 1
    return f"{first} and {more} more" if more > 0 else first
