"""One answer from all who turn blocks into records: the sinks and the decoders of this side."""

from __future__ import annotations

from typing import Any

from tests.agent import encode
from tests.agent.harness import NONCE, StderrSink
from tests.agent.sample import line
from whamm_cm.agent.table import SiteTable
from whamm_cm.trace.decode import Receiver
from whamm_cm.trace.lines import LineDecoder

Record = dict[str, Any]


def all_say(data: bytes, *blocks: bytes) -> list[Record]:
    """Every record of the blocks, each of which is marked final: what the sink prints as JSON, what
    is decoded of the lines that it packs, and what a host decodes, which have to be the same."""
    sink, packed, table = StderrSink(data), StderrSink(data, json=False), SiteTable.parse(data)
    finished = [encode.finished(block) for block in blocks]
    answers = [sink.send(block) for block in finished]
    assert answers == [packed.send(block) for block in finished]
    lines = sink.lines()
    receiver = Receiver(table, sink.run)
    receiver.begin()
    records: list[Record] = []
    for block, answer in zip(finished, answers, strict=True):
        received = receiver.receive(block)
        assert received.instance == answer
        records += received.records
    assert lines == [line(record) for record in records]
    decoder = LineDecoder(NONCE, table)
    found = [decoder.feed(each + b"\n") for each in packed.raw()]
    assert [line(record) for each in found for record in each.records] == lines
    assert decoder.finish() == [] and not decoder.damaged
    return records


def both(data: bytes, *blocks: bytes) -> list[Record]:
    """The records that probes wrote, without what all of a run have in common, numbered anew."""
    return plain(all_say(data, *blocks))


def plain(records: list[Record]) -> list[Record]:
    found = [r for r in records if r["phase"] not in ("start", "end")]
    return [
        {key: n if key == "seq" else value for key, value in record.items() if key != "run"}
        for n, record in enumerate(found)
    ]
