"""The page of a run: one HTML file, to be opened by a browser."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from whamm_cm._version import __version__
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.safe import printable
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Session

if TYPE_CHECKING:
    from whamm_cm.render.page.run import Sites
    from whamm_cm.render.structure import Structure


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    # Only a page pays for what makes one.
    from whamm_cm.render.page.bundle import page
    from whamm_cm.render.page.component import component_model
    from whamm_cm.render.page.run import Sites, chunks
    from whamm_cm.render.structure import structure_of

    session = Session.build(records, options.per_instance)
    sites = Sites()
    parts = parts_of(session, sites, options, structure_of(options.app))
    parts["component"] = component_model(options.app[1], options.app[0]) if options.app else None
    title = printable(_title(session, options))
    model = {"v": 1, "kind": "run", "title": title, "by": f"whamm-cm {__version__}"}
    model |= {key: part for key, part in parts.items() if part}
    return page(model, chunks(session, sites))


def parts_of(
    session: Session, sites: Sites, options: RenderOptions, structure: Structure | None
) -> dict[str, Any]:
    """What a page shows of a run, by the key of its model, but for the calls."""
    from whamm_cm.render.page.classes import classes_model
    from whamm_cm.render.page.overview import overview_model
    from whamm_cm.render.page.reports import reports
    from whamm_cm.render.page.run import run_model
    from whamm_cm.render.page.sources import sources, with_lines
    from whamm_cm.render.page.topology import topology_model
    from whamm_cm.render.page.trees import trees_model

    options = with_lines(session, options)
    return {
        "run": run_model(session, sites),
        "classes": classes_model(session, sites.numbers),
        "overview": overview_model(session),
        "trees": trees_model(session, options.per_instance),
        "reports": reports(session, options),
        "sources": sources(session, options),
        "topology": topology_model(session, sites, structure),
    }


def _title(session: Session, options: RenderOptions) -> str:
    """The component, else those that were seen, the outermost first, else the logs."""
    if options.app:
        return PurePath(options.app[0]).name
    seen = dict.fromkeys(call.site.component for call in session.calls if call.site.component)
    names = [*seen] or [PurePath(log).name for log in options.logs if log != "-"] or ["a run"]
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else names[0]
