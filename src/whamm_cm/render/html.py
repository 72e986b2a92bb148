"""The page of a run: one HTML file, to be opened by a browser."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any

from whamm_cm._version import __version__
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.safe import printable
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Session


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    # Only a page pays for what makes one.
    from whamm_cm.render.page.bundle import page
    from whamm_cm.render.page.classes import classes_model
    from whamm_cm.render.page.component import component_model
    from whamm_cm.render.page.overview import overview_model
    from whamm_cm.render.page.reports import reports
    from whamm_cm.render.page.run import Sites, chunks, run_model
    from whamm_cm.render.page.sources import sources, with_lines

    session = Session.build(records, options.per_instance)
    sites = Sites()
    title = printable(PurePath(options.app[0]).name if options.app else _title(session))
    model: dict[str, Any] = {"v": 1, "kind": "run", "title": title, "by": f"whamm-cm {__version__}"}
    model["run"] = run_model(session, sites)
    options = with_lines(session, options)
    parts = {"reports": reports(session, options), "sources": sources(session, options)}
    model |= {key: part for key, part in parts.items() if part is not None}
    model["classes"] = classes_model(session, sites.numbers)
    model["overview"] = overview_model(session)
    if options.app is not None:
        model["component"] = component_model(options.app[1], options.app[0])
    return page(model, chunks(session, sites))


def _title(session: Session) -> str:
    """The components that were seen, the outermost first."""
    names = dict.fromkeys(call.site.component for call in session.calls if call.site.component)
    first, more = next(iter(names), "a run"), len(names) - 1
    return f"{first} and {more} more" if more > 0 else first
