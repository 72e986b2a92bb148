"""What a log says about requests: whose data is in which run, and whether anything is missing."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

Record: TypeAlias = dict[str, Any]
#: What the records of one instance have in common (docs/records.md).
Run: TypeAlias = tuple[str, str, int]

_TAG = re.compile(r"<(\d{4})>")
_BYTES = re.compile(r'"~b64": ?"([^"]*)"')
_HANDLE = "wasi:http/incoming-handler"


def load(path: Path) -> list[Record]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def run_of(record: Record) -> Run:
    return record.get("source", ""), record.get("run", ""), record["instance"]


def runs(records: Iterable[Record]) -> dict[Run, list[Record]]:
    """The calls and returns of each run, in the order of the log."""
    found: dict[Run, list[Record]] = defaultdict(list)
    for record in records:
        if record["phase"] in ("call", "return"):
            found[run_of(record)].append(record)
    return dict(found)


def tags(record: Record) -> set[str]:
    """The numbers of the requests whose data is in it."""
    text = json.dumps(record)
    inner = [base64.b64decode(found).decode("latin-1") for found in _BYTES.findall(text)]
    return {tag for piece in (text, *inner) for tag in _TAG.findall(piece)}


def requests(run: list[Record]) -> Iterator[list[Record]]:
    """A run, cut where the handler is called."""
    part: list[Record] = []
    for record in run:
        if record["phase"] == "call" and record.get("interface") == _HANDLE and part:
            yield part
            part = []
        part.append(record)
    if part:
        yield part


def mixed(records: Iterable[Record]) -> list[Run]:
    """Runs in which the data of one request is found among the records of another."""
    return [
        run
        for run, found in runs(records).items()
        if any(len(set().union(*map(tags, part))) > 1 for part in requests(found))
    ]


def shape(part: list[Record]) -> Counter[tuple[str, str]]:
    """What was called, and how often it was called and returned."""
    return Counter((one["phase"], f"{one.get('interface')}#{one['func']}") for one in part)


def unpaired(run: list[Record]) -> list[str]:
    """Calls without a return, returns without a call, and records out of order."""
    faults: list[str] = []
    open_calls: dict[int, str] = {}
    last = -1
    for one in run:
        if one["seq"] <= last:
            faults.append(f"{one['seq']} after {last}")
        last = one["seq"]
        if one["phase"] == "call":
            open_calls[one["call"]] = one["func"]
        elif open_calls.pop(one["call"], None) != one["func"]:
            faults.append(f"a return of {one['func']} that was not called")
    return faults + [f"{func} never returned" for func in open_calls.values()]
