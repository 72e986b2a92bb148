"""What is in a profile of pprof, read by the message's description."""

from __future__ import annotations

import gzip
from typing import Any

from whamm_cm.render.pprof import message_class

#: A stack from the outermost frame on, and the labels that are numbers.
Stack = tuple[tuple[str, ...], tuple[tuple[str, int], ...]]


class Read:
    """A profile by name: ``samples`` are stack → type of values → value."""

    def __init__(self, data: bytes) -> None:
        self.message: Any = message_class().FromString(gzip.decompress(data))
        self.texts: list[str] = list(self.message.string_table)
        self.types = [self._type(one) for one in self.message.sample_type]
        self.default = self.texts[self.message.default_sample_type]
        self.comments = [self.texts[one] for one in self.message.comment]
        functions = {one.id: self.texts[one.name] for one in self.message.function}
        files = {one.id: self.texts[one.filename] for one in self.message.mapping}
        lines = {one.id: functions[one.line[0].function_id] for one in self.message.location}
        #: The components that a function's name is used in.
        self.files: dict[str, set[str]] = {}
        for one in self.message.location:
            self.files.setdefault(lines[one.id], set()).add(files[one.mapping_id])
        self.samples: dict[Stack, dict[str, int]] = {}
        for sample in self.message.sample:
            frames = tuple(lines[place] for place in reversed(sample.location_id))
            labels = tuple((self.texts[label.key], label.num) for label in sample.label)
            row = self.samples.setdefault((frames, labels), dict.fromkeys(self.types, 0))
            for kind, value in zip(self.types, sample.value, strict=True):
                row[kind] += value

    def _type(self, one: Any) -> str:
        return f"{self.texts[one.type]}/{self.texts[one.unit]}"

    def total(self, kind: str) -> int:
        return sum(row[kind] for row in self.samples.values())
