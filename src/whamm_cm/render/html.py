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
    from whamm_cm.render.page.topology import topology_model
    from whamm_cm.render.page.trees import trees_model
    from whamm_cm.render.structure import structure_of

    session = Session.build(records, options.per_instance)
    sites = Sites()
    options = with_lines(session, options)
    parts: dict[str, Any] = {
        "run": run_model(session, sites),
        "classes": classes_model(session, sites.numbers),
        "overview": overview_model(session),
        "trees": trees_model(session, options.per_instance),
        "reports": reports(session, options),
        "sources": sources(session, options),
        "topology": topology_model(session, sites, structure_of(options.app)),
        "component": component_model(options.app[1], options.app[0]) if options.app else None,
    }
    title = printable(PurePath(options.app[0]).name if options.app else _title(session))
    model = {"v": 1, "kind": "run", "title": title, "by": f"whamm-cm {__version__}"}
    model |= {key: part for key, part in parts.items() if part}
    return page(model, chunks(session, sites))


def _title(session: Session) -> str:
    """The components that were seen, the outermost first."""
    names = dict.fromkeys(call.site.component for call in session.calls if call.site.component)
    first, more = next(iter(names), "a run"), len(names) - 1
    return f"{first} and {more} more" if more > 0 else first
