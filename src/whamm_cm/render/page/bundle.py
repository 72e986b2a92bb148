"""One HTML file of the assets, a model and chunks of calls; nothing in it comes from elsewhere.

The scripts are ES modules, put one behind the other in the order of their imports, as a browser
would run them; so that this is all, their top-level names are unique.  The content security policy
lets run what has the hash of one of our scripts, and nothing else.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from posixpath import dirname, join, normpath
from typing import Any

from whamm_cm.dataclass import dataclass
from whamm_cm.render.safe import printable

_IMPORT = re.compile(r"^import \{([^}]*)\} from '(\.[^']+)';\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const|let)\b)", re.MULTILINE)
_TOP = re.compile(r"^(?:export )?(?:async )?(?:function\*?|class|const|let) ([\w$]+)", re.MULTILINE)
_START = "app.js"


@dataclass(frozen=True, slots=True)
class Assets:
    """``scripts`` in the order in which they run, the last being ours; ``styles`` likewise."""

    scripts: tuple[str, ...]
    styles: tuple[str, ...]
    licences: str

    def policy(self, live: bool) -> str:
        """The content security policy; ``live``: the page listens to who served it."""
        script = " ".join(map(_hash, self.scripts))
        style = " ".join(map(_hash, self.styles))
        connect = " connect-src 'self';" if live else ""
        return (
            f"default-src 'none'; script-src {script}; style-src {style}; img-src data:;{connect}"
            " base-uri 'none'; form-action 'none'"
        )


def page(model: Mapping[str, Any], chunks: Iterable[str] = (), live: bool = False) -> Iterator[str]:
    """The HTML, in pieces.  ``model`` is what JSON can say; ``chunks`` are texts of base64."""
    assets = load()
    title = escape(printable(str(model.get("title", ""))))
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{assets.policy(live)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f'<meta name="generator" content="{escape(str(model.get("by", "")))}">\n'
        f'<title>{title}</title>\n<link rel="icon" href="data:,">\n'
    )
    for style in assets.styles:
        yield f"<style>{style}</style>\n"
    yield "</head>\n<body>\n<noscript>This page is drawn by its own script.</noscript>\n"
    yield f'<script type="text/plain" id="licences">{_inert(assets.licences)}</script>\n'
    yield f'<script type="application/json" id="model">{_inert(json_of(model))}</script>\n'
    # Before the chunks: there is something to see while they still come.
    for script in assets.scripts:
        yield f"<script>{script}</script>\n"
    for chunk in chunks:
        yield f'<script type="text/plain" class="chunk">{chunk}</script>\n'
    yield "</body>\n</html>\n"


def json_of(value: object) -> str:
    """Numbers that JSON has not (NaN, infinity) are texts in a model: they are refused here."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def packed(value: object) -> str:
    """base64 of gzip of JSON; the same for the same value."""
    return base64.b64encode(gzip.compress(json_of(value).encode(), 6, mtime=0)).decode("ascii")


def unpacked(text: str) -> Any:
    """What :func:`packed` was given."""
    return json.loads(gzip.decompress(base64.b64decode(text)))


@cache
def load() -> Assets:
    """Raises ValueError for modules that do not fit together."""
    vendored = json.loads(_text("vendor/vendor.json"))
    names = [row["file"] for row in vendored]
    scripts = [_text(f"vendor/{name}") for name in names if name.endswith(".js")]
    styles = [_text(f"vendor/{name}") for name in names if name.endswith(".css")]
    styles += [_text("base.css"), *map(_text, _styles())]
    ours = f"'use strict';(() => {{\n{_joined()}startPage();\n}})();\n"
    licences = {
        f"{r['name']} {r['version']}\n{_text('vendor/' + r['licence_file'])}": None
        for r in vendored
    }
    return Assets((*scripts, ours), tuple(styles), "\n".join(licences))


def _styles() -> list[str]:
    views = files(__package__) / "assets" / "views"
    return sorted(f"views/{each.name}" for each in views.iterdir() if each.name.endswith(".css"))


def _text(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _joined() -> str:
    """All modules that are needed, each behind what it imports."""
    order: dict[str, str] = {}
    _visit(_START, order, ())
    owners: dict[str, str] = {}
    for name, text in order.items():
        for top in _TOP.findall(text):
            if top in owners:
                raise ValueError(f"{name} and {owners[top]} both have {top} at their top")
            owners[top] = name
    return "".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in order.values())


def _visit(name: str, order: dict[str, str], above: tuple[str, ...]) -> None:
    if name in above:
        raise ValueError(f"modules import each other in a circle: {' → '.join((*above, name))}")
    if name in order:
        return
    text = _text(name)
    for names, target in _IMPORT.findall(text):
        path = normpath(join(dirname(name), target))
        _visit(path, order, (*above, name))
        exported = set(
            _TOP.findall("\n".join(re.findall(r"^export .*", order[path], re.MULTILINE)))
        )
        missing = {each.strip() for each in names.split(",") if each.strip()} - exported
        if missing:
            raise ValueError(f"{name} imports {', '.join(sorted(missing))}, which {path} has not")
    if re.search(
        r"^import|^export (?:default|\{|\*)", _EXPORT.sub("", _IMPORT.sub("", text)), re.M
    ):
        raise ValueError(f"{name} imports or exports in a way that is not put together here")
    order[name] = text


def _inert(text: str) -> str:
    """What no parser of HTML takes for the end of a script, or for a comment."""
    return text.replace("<", "\\u003c")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
