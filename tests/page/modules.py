"""Modules of the page by themselves, to be asked from Python."""

from __future__ import annotations

import re
from importlib.resources import files

_IMPORT = re.compile(r"^import \{[^}]*\} from '[^']*';\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const)\b)", re.MULTILINE)


def page_of(*names: str, script: str = "") -> str:
    """A page with these modules (each behind what it imports) and `script` in one function."""
    assets = files("whamm_cm.render.page") / "assets"
    texts = [(assets / name).read_text(encoding="utf-8") for name in names]
    joined = "".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in texts)
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8><title>Modules</title></head>"
        f"<body><script>'use strict';(() => {{\n{joined}\n{script}\n}})();</script></body></html>"
    )
