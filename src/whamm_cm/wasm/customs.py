"""Custom sections that say something about where code is, and are wrong once it has moved."""

from __future__ import annotations

import re

from whamm_cm.wasm.module import CoreModule
from whamm_cm.wasm.sections import Section

_ABOUT_CODE = re.compile(
    r"\.debug_|metadata\.code\.|reloc\.|(?:linking|sourceMappingURL|external_debug_info)\Z"
)


def is_about_code(section: Section) -> bool:
    """Whether a custom section holds code offsets or indices: DWARF, source maps, hints, relocs."""
    return section.id == 0 and _ABOUT_CODE.match(section.name) is not None


def about_code(module: CoreModule) -> list[str]:
    """The names of the sections that do not outlive a change of the module's code."""
    return [section.name for section in module.custom_sections if is_about_code(section)]
