"""How many bytes went to and came from each remote address?

    python bytes_per_address.py APP.wasm [ARGUMENT...]     run a component and watch its TCP streams
    python bytes_per_address.py LOG...                     the same of what was recorded

Sockets and streams are handles, numbers that are used again when they were dropped.  So the calls
are read in order, and what a number stands for is remembered per component instance.
"""

from __future__ import annotations

import sys
from base64 import b64decode
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import whamm_cm
from whamm_cm import Call

#: What has to be recorded for it.
SET = "wasi:sockets/tcp,wasi:io/streams"


def traffic(calls: Iterable[Call]) -> Counter[tuple[str, str]]:
    """Bytes by (address, direction)."""
    found: Counter[tuple[str, str]] = Counter()
    sockets: dict[tuple[int, int | None], str] = {}
    streams: dict[tuple[int, int | None], str] = {}
    for call in calls:
        own = call.instance, call.self_handle
        match call.site.func, call.result:
            case "tcp-socket.start-connect", _:
                sockets[own] = address(call.args["remote-address"])
            case "tcp-socket.finish-connect", {"ok": [incoming, outgoing]}:
                for handle in (incoming, outgoing):
                    streams[call.instance, handle] = sockets.get(own, "?")
            case "input-stream.read" | "input-stream.blocking-read", {"ok": data}:
                if own in streams:
                    found[streams[own], "in"] += size(data)
            case "output-stream.write" | "output-stream.blocking-write-and-flush", {"ok": _}:
                if own in streams:
                    found[streams[own], "out"] += size(call.args["contents"])
            case "input-stream.drop" | "output-stream.drop", _:
                streams.pop(own, None)
    return found


def size(data: Any) -> int:
    """Of a ``list<u8>`` as records have it: whole, or cut with its length."""
    return data["~cut"] if "~cut" in data else len(b64decode(data["~b64"]))


def address(value: dict[str, Any]) -> str:
    ((family, where),) = value.items()
    if family == "ipv4":
        return f"{'.'.join(map(str, where['address']))}:{where['port']}"
    return f"[{':'.join(f'{part:x}' for part in where['address'])}]:{where['port']}"


def table(found: Counter[tuple[str, str]]) -> Iterator[str]:
    yield f"{'address':<24}{'in':>10}{'out':>10}"
    for name in sorted({name for name, _ in found}):
        yield f"{name:<24}{found[name, 'in']:>10}{found[name, 'out']:>10}"


def main(words: list[str]) -> int:
    if not words:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        if words[0].endswith(".wasm"):
            app = whamm_cm.load(words[0])
            run = app.trace(trace=SET, args=words[1:], network=True)
        else:
            run = whamm_cm.read_log(*words)
        for line in table(traffic(run.calls)):
            print(line)
        if run.lost:
            print(run.lost.sentence("there is more than this table shows"), file=sys.stderr)
    except whamm_cm.WhammError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
