"""Runs to make pages of: a small one, an asynchronous, a hostile, and one as long as is wanted."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

from tests.render.make_logs import tasks
from tests.trace.records import Log

Record = dict[str, Any]
HANDLE = "wasi:http/incoming-handler#handle"
HTTP, KV = "wasi:http/types#", "wasi:keyvalue/store#"
FS, IO = "wasi:filesystem/types#descriptor.", "wasi:io/streams#"


def page(records: Iterable[Record], **options: Any) -> str:
    """`report -f html` of them."""
    from whamm_cm.render.html import render
    from whamm_cm.render.options import RenderOptions

    return "".join(render(records, RenderOptions(**options)))


def small(requests: int = 24) -> list[Record]:
    """Requests that read a store and files, ask a peer, fail in several ways, are denied some."""
    draw = random.Random(7)
    log = Log(component="cart", now=4_112_003)
    for number in range(requests):
        _request(log, draw, number)
    return log.records


def _request(log: Log, draw: random.Random, number: int) -> None:
    request, peer = 10 * number + 3, ("api.test", "rates.example:8443")[number % 2]
    args = {"request": request, "response-out": request + 1}
    handle = log.enter(HANDLE, edge="export", args=args)
    path = ("/cart?user=42", "/users/17/orders", "/health", "/admin")[number % 4]
    log.call(HTTP + "incoming-request.method", {"get" if number % 3 else "post": None}, request)
    log.call(HTTP + "incoming-request.path-with-query", path, request)
    log.call(KV + "open", {"ok": 1}, identifier="sessions")
    for user in range(draw.randrange(1, 5)):
        log.now += draw.randrange(2_000, 90_000)
        log.call(KV + "bucket.get", {"ok": {"~b64": "AAH/aGkiXA=="}}, 1, key=f"user:{user}")
    log.call(KV + "bucket.drop", ..., 1)
    log.call("wasi:clocks/wall-clock#now", {"seconds": 1_700_000_000, "nanoseconds": 5})
    log.call("wasi:random/random#get-random-u64", "12297829382473034410")
    log.call("wasi:config/store#get", {"ok": {"~redacted": 12}}, key="TOKEN")
    opened = {"error": "access"} if number % 6 == 5 else {"ok": 20}
    flags = {
        "path-flags": ["symlink-follow"],
        "path": "etc/app.toml",
        "open-flags": [],
        "flags": [],
    }
    number_ = log.enter(FS + "open-at", self=2, args=flags)
    log.now += draw.randrange(1_000, 30_000)
    log.leave(FS + "open-at", number_, result=opened)
    if "ok" in opened:
        data = {"ok": [{"~cut": 4096, "~b64": "cG9ydCA9IDgwCg=="}, True]}
        log.call(FS + "read", data, 20, length="4096", offset="0")
    _ask(log, draw, request + 2, peer, number)
    status = (200, 200, 404, 503)[number % 4]
    log.call(HTTP + "outgoing-response.new", request + 5, headers=request + 4)
    set_status = HTTP + "outgoing-response.set-status-code"
    log.call(set_status, {"ok": None}, request + 5, **{"status-code": status})
    response = {"ok": request + 5}
    log.call(HTTP + "response-outparam.set", ..., param=request + 1, response=response)
    log.leave(HANDLE, handle)


def _ask(log: Log, draw: random.Random, handle: int, peer: str, number: int) -> None:
    log.call(HTTP + "outgoing-request.new", handle, headers=handle + 1)
    log.call(HTTP + "outgoing-request.set-scheme", {"ok": None}, handle, scheme={"HTTPS": None})
    log.call(HTTP + "outgoing-request.set-authority", {"ok": None}, handle, authority=peer)
    sent = log.enter("wasi:http/outgoing-handler#handle", args={"request": handle, "options": None})
    log.now += draw.randrange(100_000, 3_000_000)
    failed = {"error": {"DNS-timeout": None}} if number % 8 == 7 else {"ok": handle + 2}
    log.leave("wasi:http/outgoing-handler#handle", sent, result=failed)


def asynchronous() -> list[Record]:
    """Tasks that interleave, wait, are cancelled, and go on after their return."""
    return tasks().records


#: What a guest would write where it may write anything.
PAYLOADS = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    '"><svg onload=alert(3)>',
    "</title><script>alert(4)</script>",
    "<!--<script>",
    "javascript:alert(5)",
    "' onmouseover='alert(6)",
    "\u202egnp.exe\u2066\u200b",
    "\x00\x1b]0;owned\x07\x9b31m\r\n\t\x7f",
    "\u2028\u2029\ufeff\U000e0041\u00ad",
    "\ud800 lone \udfff",
    "__proto__",
    "constructor",
    "${alert(7)}{{alert(8)}}",
    "]]>&lt;script&gt;&#60;",
    "e\u0301" * 40 + "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "x" * 5000,
)


def hostile() -> list[Record]:
    """Every payload in every place where a guest, a script or a peer can put a text."""
    found: list[Record] = []
    for number, text in enumerate(PAYLOADS):
        found += _hostile(text, 1000 * number, number % 3 + 1)
    return found


def _hostile(text: str, now: int, instance: int) -> Iterator[Record]:
    base = {"v": 2, "run": "00112233445566ff", "source": text, "instance": instance}
    names = {"component": text, "interface": f"{text}:a/b", "version": text, "func": text}
    call = {**base, "call": now + 1, "req": now + 1, "edge": "import", **names}
    call["inner"] = {"interface": text, "func": text}
    value = {
        text: text,
        "list": [[text, text]],
        "case": {text: None},
        "s": {"~cut": 9, "~str": text},
    }
    value |= {"b": {"~b64": text}, "bad": {"~bad": text}}
    request = {**base, "req": now + 1, "t_ns": now, "method": text, "path": f"/{text}"}
    yield {**request, "phase": "request", "authority": text, "scheme": text, "peer": text}
    args = {text: value, "more": text}
    yield {**call, "t_ns": now, "phase": "call", "args": args}
    yield {
        **call, "t_ns": now + 500, "phase": "return", "result": {"error": {text: text}},
        "dur_ns": 500, "handles": {"result": text}, "url": text, "peer": text, "data": [text],
    }  # fmt: skip
    yield {**request, "phase": "answer", "t_ns": now + 600, "dur_ns": 600, "error": text}
    yield {**base, "phase": "print", "text": text, "t_ns": now + 650}
    place = {"script": text, "probe": text, "module": text, "fid": 1, "fname": text, "pc": 3}
    cell = {**base, "phase": "report", **place}
    yield {**cell, "var": text, "type": "map<str, u32>", "value": [[text, 3]]}
    yield {**cell, "var": f"{text}2", "type": "str", "value": text}
    yield {**cell, "var": f"{text}3", "type": "map<str, hist>", "value": [[text, [[0, 1], [4, 2]]]]}
    yield {**base, "phase": "lost", "lost": 1, "why": text}


def many(calls: int, timed: bool = True) -> Iterator[Record]:
    """So many calls of thirty functions, in eight instances, a few levels deep; some fail."""
    draw = random.Random(11)
    sites = [(f"wasi:{package}/types", f"thing.do-{verb}")
             for package in ("http", "io", "filesystem", "keyvalue", "clocks")
             for verb in ("read", "write", "open", "list", "get", "set")]  # fmt: skip
    now, number, open_calls = 1_000_000, 0, list[tuple[Record, int]]()
    for _ in range(2 * calls):
        deep = len(open_calls)
        if number < calls and (deep == 0 or (deep < 6 and draw.random() < 0.5)):
            number += 1
            interface, func = sites[int(draw.random() ** 2 * len(sites))]
            edge = "import" if deep else "export"
            record = {"v": 2, "instance": 1 + number // 1000 % 8, "call": number, "edge": edge,
                      "interface": interface, "version": "0.2.3", "func": func}  # fmt: skip
            if timed:
                record["t_ns"] = now
            open_calls.append((record, now))
            key = f"user:{number % 977}"
            yield {**record, "phase": "call", "args": {"key": key, "length": number % 4096}}
        elif deep:
            record, began = open_calls.pop()
            result = {"error": "access"} if draw.random() < 0.01 else {"ok": {"~b64": "aGVsbG8="}}
            times = {"t_ns": now, "dur_ns": now - began} if timed else {}
            yield {**record, **times, "phase": "return", "result": result}
        now += draw.randrange(200, 4000) if draw.random() < 0.999 else 2_000_000
