"""A script's variables played by Python: values put where generated code would put them."""

from __future__ import annotations

import struct
from typing import Any

from tests.agent.harness import State
from whamm_cm.agent import layout
from whamm_cm.agent.describe import wit_type
from whamm_cm.agent.sites import SiteTableBuilder
from whamm_cm.agent.table import SiteTable
from whamm_cm.agent.variables import VariableSpec
from whamm_cm.emit.script.types import description, leaves, string_mask
from whamm_cm.lang import valtypes as vt
from whamm_cm.trace.decode import Receiver

AGGS = {"hist": 0, "min": 1, "max": 2, "avg": 3, "stats": 4, "quantize": 5}
FLOATS = {"f32": "<fI", "f64": "<d"}


def flat(t: vt.Type, value: Any) -> list[Any]:
    """The members of a value, one per leaf of its type."""
    if isinstance(t, vt.TupleT):
        return [x for item, each in zip(t.items, value, strict=True) for x in flat(item, each)]
    return [value]


class Script(State):
    """``values`` of type map are dicts, of an aggregation lists of samples."""

    def __init__(self, *types: vt.Type, draining: bool = True) -> None:
        super().__init__(draining)
        builder = SiteTableBuilder()
        for i, t in enumerate(types):
            builder.add_variable(VariableSpec("script0", f"v{i}", str(t), wit_type(t)))
        self.print_site = builder.add_print("script0")
        self.table = SiteTable.parse(builder.to_bytes())
        self.receiver = Receiver(self.table)
        self._static = layout.STATIC
        self._descriptions: dict[vt.Type, int] = {}
        for t in types:
            self._describe(t)
            if isinstance(t, vt.MapT):
                self._describe(t.key)
                self._describe(t.value)
        self.state_init(self._static)

    def records(self) -> list[dict[str, Any]]:
        return [record for block in self.sent() for record in self.receiver.receive(block).records]

    def text(self, value: str) -> tuple[int, int]:
        """A string in the ring, as one that a probe has just made."""
        data = value.encode()
        at = self.tmp(len(data))
        self.write(at, data)
        return at, len(data)

    def leaf(self, t: vt.Type, value: Any) -> bytes:
        if t == vt.STR:
            return struct.pack("<II", *self.text(value))
        if isinstance(t, vt.Prim) and t.name in FLOATS:
            return struct.pack(FLOATS[t.name], *(value, 0)[: len(FLOATS[t.name]) - 1])
        return (int(value) & (1 << 64) - 1).to_bytes(8, "little")

    def key(self, t: vt.Type, value: Any) -> None:
        parts = zip(leaves(t), flat(t, value), strict=True)
        self.write(layout.KEY, b"".join(self.leaf(*part) for part in parts))

    def new(self, t: vt.Type) -> int:
        if isinstance(t, vt.AggT):
            return int(self.lhist_new(*t.bounds) if t.bounds else self.agg_new(AGGS[t.name]))
        assert isinstance(t, vt.MapT)
        return int(self.map_new(len(leaves(t.key)), string_mask(t.key), 8 * len(leaves(t.value))))

    def fill(self, id: int, t: vt.Type, value: Any) -> None:
        """Puts all of ``value`` into a map or an aggregation."""
        if isinstance(t, vt.AggT):
            for sample in value:
                self.agg_add(id, sample)
            return
        assert isinstance(t, vt.MapT)
        for key, each in value.items():
            self.key(t.key, key)
            self.put(self.map_at(id), t.value, each)

    def put(self, at: int, t: vt.Type, value: Any) -> None:
        for i, (leaf, part) in enumerate(zip(leaves(t), flat(t, value), strict=True)):
            if isinstance(leaf, vt.MapT | vt.AggT):
                held = self.ld32(at + 8 * i)
                if not held:
                    held = self.new(leaf)
                    self.st32(at + 8 * i, held)
                self.fill(held, leaf, part)
            elif leaf == vt.STR:
                p, size = self.text(part)
                self.write(at + 8 * i, struct.pack("<II", self.str_keep(p, size), size))
            else:
                self.write(at + 8 * i, self.leaf(leaf, part))

    def _describe(self, t: vt.Type) -> None:
        data = description(t)
        self._descriptions[t] = self._static
        self.write(self._static, data)
        self._static += len(data)

    def map_report(self, site: int, id: int, t: vt.Type) -> None:
        assert isinstance(t, vt.MapT)
        self.report_map(site, 0, id, self._descriptions[t.key], self._descriptions[t.value])

    def drawn(self, id: int, t: vt.Type, limit: int = 0xFFFFFFFF) -> list[str]:
        """The lines that a script would print."""
        self.draw(self.print_site, id, self._descriptions[t], *self.text("title"), limit)
        return [record["text"] for record in self.records()]

    def map_print(self, id: int, t: vt.Type, rows: bool) -> str:
        assert isinstance(t, vt.MapT)
        key, value = self._descriptions[t.key], self._descriptions[t.value]
        self.print_map(self.print_site, id, key, value, int(rows))
        records = self.records()
        assert all(record["raw"] for record in records)
        return "".join(record["text"] for record in records)
