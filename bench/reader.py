"""What reading a log costs: µs of processor time a record from the log's bytes to the ``-c`` table.

    python -m bench.reader [--calls N] [--rounds N] [--beside CHECKOUT]

The same calls as packed lines, as JSON lines and as lines of version 1, interleaved in one process;
the minimum of the rounds counts.  ``json.loads`` of the same records alone is there to compare
with: it is what any reader of JSON lines has to pay.  ``--beside`` has another checkout of this
project read in turns with this one.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import beside
from whamm_cm.agent.layout import Edge, Phase, RecordFlag, SiteKind
from whamm_cm.agent.sites import SiteSpec, SiteTableBuilder
from whamm_cm.agent.table import SiteTable
from whamm_cm.trace.identity import Identity
from whamm_cm.trace.lines import LineDecoder
from whamm_cm.trace.losses import Ends
from whamm_cm.trace.reader import RecordReader, Weave
from whamm_cm.trace.summary import Summary
from whamm_cm.wit.types import Prim, ResultT

AIM = 2.0
NONCE, RUN = "a" * 12, "00112233445566ff"
_SLICE, _BLOCK = 2900, 16_000


def table() -> SiteTable:
    """One site: an import with a string that returns a ``result``."""
    builder = SiteTableBuilder()
    result = ResultT(Prim("u32"), Prim("string"))
    builder.add_site(
        SiteSpec(
            SiteKind.LOWER, Edge.IMPORT, "cart", "wasi:keyvalue/store", "0.2.0", "bucket.get",
            (("key", Prim("string")),), result,
        )
    )  # fmt: skip
    return SiteTable.parse(builder.to_bytes())


def _record(phase: Phase, call: int, times: bytes, body: bytes) -> bytes:
    word = RecordFlag.TIMED << 4 | phase
    rest = struct.pack("<IQ", word, call) + times + body
    return struct.pack("<I", len(rest) + 4) + rest


def packed(calls: int) -> list[bytes]:
    """Lines as a sink packs them: a 64-byte string a call, some of them failing."""
    records = []
    text = struct.pack("<III", 1024, 64, 64) + b"k" * 64
    for call in range(calls):
        now = call * 100
        records.append(_record(Phase.CALL, call, struct.pack("<Q", now), text))
        body = struct.pack("<B3xIII", 1, 8, 4, 4) + b"full" if call % 10 == 0 else None
        body = body or struct.pack("<B3xI4x", 0, 5)
        records.append(_record(Phase.RETURN, call, struct.pack("<QQ", now + 50, 50), body))
    lines, held, before = list[bytes](), list[bytes](), 0
    for number, record in enumerate(records, 1):
        held.append(record)
        if number == len(records) or sum(map(len, held[-1:])) * len(held) > _BLOCK:
            data = b"".join(held)
            head = struct.pack("<6IQ", 0x324D4357, 0, 1, before, 0, len(data), 0)
            block, before, held = head + data, number, []
            for at in range(0, len(block), _SLICE):
                kind = b"b" if at else b"B"
                mark = f"WCM2.{NONCE} {RUN}.{len(lines)} ".encode()
                lines.append(mark + kind + base64.b64encode(block[at : at + _SLICE]) + b".\n")
    return lines


def as_json(lines: Sequence[bytes], found: SiteTable) -> list[str]:
    decoder = LineDecoder(None, found)
    return [
        json.dumps(record, separators=(",", ":"))
        for line in lines
        for record in decoder.feed(line).records
    ]


def _older(texts: Sequence[str]) -> list[str]:
    return [text.replace('"v":2,', '"v":1,', 1) for text in texts]


def summary_of(data: bytes, weave: Weave) -> Summary:
    reader, identity, ends, summary = (
        RecordReader(io.BytesIO(data), "log", weave),
        Identity(),
        Ends(),
        Summary(),
    )
    for batch in reader.batches():
        records = identity.feed_all(batch)
        for part in (records,) if batch.run else [[record] for record in records]:
            ends.feed(part)
        for record in records:
            summary.feed(record)
    summary.finish()
    return summary


def variants(calls: int) -> dict[str, Callable[[], int]]:
    """By name; each answers how many calls it has counted."""
    found = table()
    lines = packed(calls)
    texts = as_json(lines, found)
    logs = {
        "packed lines": b"".join(lines),
        "JSON lines": b"".join(
            f"WCM2.{NONCE} {RUN}.{n} {text}\n".encode() for n, text in enumerate(texts)
        ),
        "version 1": "".join(f"WCM1 {old}\n" for old in _older(texts)).encode(),
    }
    lean = Weave(None, found, lean=True)

    def reading(data: bytes) -> Callable[[], int]:
        return lambda: sum(row.calls for row in summary_of(data, lean).rows.values())

    made = {name: reading(data) for name, data in logs.items()}
    return {**made, "json.loads alone": lambda: len(list(map(json.loads, texts))) // 2}


def measure(
    calls: int, rounds: int, checkout: Path | None = None
) -> tuple[dict[str, float], dict[str, float]]:
    """µs a record, the least of all rounds; the same of another checkout."""
    chosen = variants(calls)
    best: dict[str, float] = {}
    before: dict[str, float] = {}
    for _ in range(rounds):
        if checkout is not None:
            for name, spent in _measured_by(checkout, calls).items():
                before[name] = min(before.get(name, spent), spent)
        for name, run in chosen.items():
            start = time.process_time()
            counted = run()
            spent = (time.process_time() - start) / calls / 2 * 1e6
            assert counted == calls, (name, counted)
            best[name] = min(best.get(name, spent), spent)
    return best, before


def _measured_by(checkout: Path, calls: int) -> dict[str, float]:
    """What another state prints of one round."""
    text = beside.run(checkout, "-m", "bench.reader", "--calls", str(calls), "--rounds", "1")
    rows = (line.rsplit(maxsplit=2) for line in text.splitlines()[1:-1])
    return {name: float(spent) for name, spent, _ in rows}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.reader")
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--beside", type=Path, metavar="CHECKOUT", help="another state to compare")
    args = parser.parse_args(argv)
    checkout = None if args.beside is None else args.beside.resolve()
    best, before = measure(args.calls, args.rounds, checkout)
    print(f"{'µs a record, log to -c':28} {'µs':>6}  to json.loads{'  before' if before else ''}")
    for name, spent in best.items():
        past = f"{before[name]:15.2f}" if name in before else ""
        print(f"{name:28} {spent:6.2f}  {spent / best['json.loads alone']:6.2f}{past}")
    print(f"aim: packed lines {AIM} µs")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
