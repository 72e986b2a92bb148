"""Pictures as SVG: marks, texts that fit, colours that are dark or light as the reader has it.

Nothing in a picture runs or is fetched, and equal input gives equal bytes.  Every text that a guest
may have written goes through :func:`text` or :func:`title`, which escape it.
"""

from __future__ import annotations

import colorsys
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from html import escape

from whamm_cm.errors import WhammError
from whamm_cm.render.safe import printable

#: Advance of a character in em: of a monospaced font always the same, of others about this.
_MONO, _SANS, _NARROW, _BROAD = 0.602, 0.56, 0.3, 0.84
_THIN = frozenset("fijlrtI.,:;'|!()[]/ -\"`")
_FAT = frozenset("mwMWGOQ@%&—…")
#: Hues of packages, as ``colours.js`` has them.
HUES = (212, 28, 145, 338, 262, 186, 52, 8, 96, 300)
_PACKAGE = re.compile(r"(?:export |inner )?([a-z0-9-]+:[a-z0-9-]+)")
_CSS = """\
svg{color-scheme:light dark;font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.bg{fill:#fff}.ink{fill:#1b1f24}.dim{fill:#57606a}.grid{stroke:#d0d7de;fill:none}
.line{stroke:#8c959f;fill:none}.box{fill:#f6f8fa;stroke:#8c959f}.bad{fill:#cf222e}
.badline{stroke:#cf222e;fill:none}.wait{fill:#d0d7de}.rest{fill:#8c959f}.arrow{fill:#8c959f}
.sans{font-family:system-ui,-apple-system,"Segoe UI",sans-serif}.bold{font-weight:600}
a:hover *,:target rect,:target path{stroke:#0969da;stroke-width:2}
"""
_CSS_DARK = """\
.bg{fill:#0d1117}.ink{fill:#e6edf3}.dim{fill:#9198a1}.grid{stroke:#30363d}
.line{stroke:#767e88}.box{fill:#161b22;stroke:#767e88}.bad{fill:#ff7b72}
.badline{stroke:#ff7b72}.wait{fill:#30363d}.rest{fill:#767e88}.arrow{fill:#767e88}
a:hover *,:target rect,:target path{stroke:#58a6ff}
"""


def num(value: float) -> str:
    """With two decimals at most."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def text_width(content: str, size: float = 12, mono: bool = True) -> float:
    """About how wide a text is, in the units of the picture."""
    return size * sum(_advance(ch, mono) for ch in content)


def _advance(ch: str, mono: bool) -> float:
    if ch > "\u02ff":
        if unicodedata.combining(ch):
            return 0.0
        if unicodedata.east_asian_width(ch) in ("W", "F"):
            return 2 * _MONO
    if mono:
        return _MONO
    return _NARROW if ch in _THIN else _BROAD if ch in _FAT else _SANS


def fit(content: str, width: float, size: float = 12, mono: bool = True) -> str:
    """``content`` made printable, cut in the middle where it is too long for ``width``: names that
    begin alike differ at the end.  "" where not even a letter has room."""
    content = printable(content)
    if text_width(content, size, mono) <= width:
        return content
    room = width - text_width("…", size, mono)
    head, tail = 0, 0
    while head + tail < len(content):
        step = content[head] if head <= tail else content[-tail - 1]
        room -= text_width(step, size, mono)
        if room < 0:
            break
        head, tail = (head + 1, tail) if head <= tail else (head, tail + 1)
    return f"{content[:head]}…{content[len(content) - tail :]}" if head else ""


def tag(name: str, attrs: Mapping[str, object], *children: str) -> str:
    """An element; ``children`` are markup already.  Names of attributes have ``_`` for ``-`` and
    ``class_`` for ``class``; numbers are written short, None leaves one out."""
    parts = [name]
    for key, value in attrs.items():
        if value is None:
            continue
        written = num(value) if isinstance(value, int | float) else escape(str(value), quote=True)
        parts.append(f'{key.rstrip("_").replace("_", "-")}="{written}"')
    head = " ".join(parts)
    return f"<{head}>{''.join(children)}</{name}>" if children else f"<{head}/>"


def rect(x: float, y: float, width: float, height: float, *children: str, **attrs: object) -> str:
    return tag("rect", {"x": x, "y": y, "width": width, "height": height, **attrs}, *children)


def text(x: float, y: float, content: str, fits: float | None = None, **attrs: object) -> str:
    """A text that begins at ``x`` (or as ``text_anchor`` says), its base line at ``y``; with
    ``fits`` cut to that width, "" where nothing of it has room.  ``font_size`` and ``class_`` with
    ``sans`` are heeded."""
    shown = printable(content)
    if fits is not None:
        size = attrs.get("font_size", 12)
        mono = "sans" not in str(attrs.get("class_", ""))
        shown = fit(content, fits, size if isinstance(size, int | float) else 12, mono)
        if not shown:
            return ""
    return tag("text", {"x": x, "y": y, **attrs}, escape(shown, quote=False))


def title(content: str) -> str:
    """What is shown of the element around it under the mouse, and read aloud."""
    return tag("title", {}, escape("\n".join(map(printable, content.split("\n"))), quote=False))


def link(href: str, *children: str) -> str:
    """Raises WhammError for a link that leaves the picture."""
    if not href.startswith("#"):
        raise WhammError(f"a picture links to places in it, not to {href!r}")
    return tag("a", {"href": href}, *children)


def class_of(name: str) -> str:
    """``c0`` … ``c9``: the colour of what has this name, which is that of its package
    (``wasi:http`` of ``wasi:http/types#fields.new``), or else its own."""
    found = _PACKAGE.match(name)
    units = (found[1] if found else name).encode("utf-16-le", "surrogatepass")
    value = 0x811C9DC5
    for unit, high in zip(units[::2], units[1::2], strict=True):
        value = (value ^ (unit | high << 8)) * 0x01000193 & 0xFFFFFFFF
    return f"c{value % len(HUES)}"


def _fills(saturation: float, lightness: float) -> str:
    """A rule for each class of :func:`class_of`; not every viewer knows ``hsl()``."""
    rules = []
    for at, hue in enumerate(HUES):
        parts = colorsys.hls_to_rgb(hue / 360, lightness, saturation)
        rules.append(f".c{at}{{fill:#{''.join(f'{round(255 * part):02x}' for part in parts)}}}")
    return "".join(rules)


def picture(
    width: float, height: float, name: str, description: str, parts: Iterable[str], css: str = ""
) -> Iterator[str]:
    """The whole file.  ``name`` and ``description`` say to who cannot see it what it shows."""
    size = {"width": width, "height": height, "viewBox": f"0 0 {num(width)} {num(height)}"}
    said = {"role": "img", "aria_labelledby": "name about"}
    head = tag("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, **said})
    yield head.removesuffix("/>") + ">\n"
    for id_, kind, what in (("name", "title", name), ("about", "desc", description)):
        yield tag(kind, {"id": id_}, escape(printable(what), quote=False)) + "\n"
    yield f"<style>\n{_CSS}{_fills(0.68, 0.8)}\n{css}@media (prefers-color-scheme:dark){{\n"
    yield f"{_CSS_DARK}{_fills(0.45, 0.33)}\n}}</style>\n"
    yield rect(0, 0, width, height, class_="bg") + "\n"
    for part in parts:
        yield part + "\n"
    yield "</svg>\n"
