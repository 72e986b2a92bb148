"""Ready scripts: one ``.mm`` file each, known by its name."""

from __future__ import annotations

from importlib import resources


def monitors() -> dict[str, str]:
    """The text of every monitor by its name, in alphabetical order."""
    files = [f for f in resources.files(__package__).iterdir() if f.name.endswith(".mm")]
    files.sort(key=lambda file: file.name)
    return {file.name.removesuffix(".mm"): file.read_text(encoding="utf-8") for file in files}
