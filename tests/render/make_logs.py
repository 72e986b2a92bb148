"""The logs in data/ are written by these scenarios: ``python -m tests.render.make_logs``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.trace.records import Log
from whamm_cm.render.jsonl import line

DATA = Path(__file__).parent / "data"
HANDLE = "wasi:http/incoming-handler#handle"
KV = "wasi:keyvalue/store#"
HTTP = "wasi:http/types#"


def http() -> Log:
    """A handler with a key-value store, secrets, an outgoing request and cut values."""
    log = Log(component="cart", now=4_112_003)
    handle = log.enter(HANDLE, edge="export", args={"request": 3, "response-out": 4})
    log.call(HTTP + "incoming-request.method", {"get": None}, 3)
    log.call(HTTP + "incoming-request.path-with-query", "/cart?user=42", 3)
    log.call(KV + "open", {"ok": 1}, identifier="sessions")
    log.call(KV + "bucket.get", {"ok": None}, 1, key="user:42")
    log.call(KV + "bucket.get", {"ok": {"~b64": "AAH/aGkiXA=="}}, 1, key="user:43")
    log.call(KV + "bucket.set", {"error": {"other": "full"}}, 1, key="k", value={"~b64": ""})
    log.call("wasi:config/store#get", {"ok": {"~redacted": 12}}, key="TOKEN")
    log.call("wasi:logging/logging#log", level="info", context="", message="tab\there \x1b[31m")
    log.call(HTTP + "fields.new", 5)
    log.call(HTTP + "outgoing-request.new", 6, headers=5)
    log.call(HTTP + "outgoing-request.set-scheme", {"ok": None}, 6, scheme={"HTTPS": None})
    log.call(HTTP + "outgoing-request.set-authority", {"ok": None}, 6, authority="api.test")
    log.call("wasi:http/outgoing-handler#handle", {"ok": 7}, request=6, options=None)
    log.call(HTTP + "future-incoming-response.subscribe", 8, 7)
    log.call("wasi:io/poll#poll", [0], **{"in": [8]})
    log.call(KV + "bucket.drop", ..., 1)
    log.leave(HANDLE, handle)
    return log


def values() -> Log:
    """One value of every shape."""
    log = Log()
    shown: dict[str, Any] = {
        "bools": [True, False],
        "ints": [0, -1, "18446744073709551615"],
        "floats": [1.5, 1e100, "nan"],
        "long text": "x" * 100,
        "cut text": {"~cut": 900, "~str": "kept"},
        "all cut": {"~cut": 900, "~str": ""},
        "bytes": {"~b64": "aGVsbG8K"},
        "cut bytes": {"~cut": 1000, "~b64": "aGVs"},
        "all bytes cut": {"~cut": 1000, "~b64": ""},
        "cut list": {"~cut": 50, "~list": [1, 2]},
        "all items cut": {"~cut": 50, "~list": []},
        "redacted": {"~redacted": 12},
        "bad": {"~bad": "0xffff0000"},
        "record": {"a": 1, "b-c": None, "odd key": []},
        "variant": {"dir": {"entry": "x"}},
        "case": {"empty": None},
        "address": {"ipv4": {"port": 80, "address": [127, 0, 0, 1]}},
        "nothing": {},
    }
    for name, value in shown.items():
        log.call("test:values/api#show", value, name=name)
    log.calls += 1
    log.add("call", "test:values/api#lost", log.calls, bad=True)
    log.add("return", "test:values/api#lost", log.calls, big=True)
    log.call("free", 1)
    return log


def concurrent() -> Log:
    """Two requests interleave in one instance; an async import is pending; a trap ends it."""
    log = Log(component="web")
    first = log.enter(HANDLE, edge="export", args={"request": 1, "response-out": 2})
    slow = log.enter("wasi:http/client#send", args={"request": 5})
    log.leave("wasi:http/client#send", slow, pending=True, status=0x31)
    second = log.enter(HANDLE, edge="export", args={"request": 3, "response-out": 4})
    wait = log.enter("wasi:io/poll#poll", args={"in": [9]})
    log.leave(HANDLE, first)
    log.leave("wasi:http/client#send", slow, result={"ok": 6})
    log.leave("wasi:io/poll#poll", wait, result=[0])
    assert second
    log.enter(KV + "open", args={"identifier": "x"})
    return log


def composed() -> Log:
    """A call from one component into another, counts, and dropped records."""
    log = Log()
    item = "shop:cart/cart#add"
    front = log.enter("wasi:cli/run#run", edge="export", component="front")
    lower = log.enter(item, edge="inner", component="front", args={"sku": "a-1"})
    lift = log.enter(item, edge="export", instance=2, component="cart", args={"sku": "a-1"})
    get = log.enter("wasi:random/random#get-random-u64", instance=2, component="cart")
    log.leave("wasi:random/random#get-random-u64", get, result="12297829382473034410")
    log.leave(item, lift, result={"ok": 1})
    log.leave(item, lower, result={"ok": 1})
    log.add("report", "wasi:clocks/monotonic-clock#now", 0, count=41, component="front")
    log.add("dropped", "", 0, count=7, component="front")
    exit_ = log.enter("wasi:cli/exit#exit", component="front", args={"status": {"ok": None}})
    assert front and exit_
    return log


def tasks() -> Log:
    """Two requests interleave as tasks of one instance, with all that a call may come to: it starts
    late, returns late, is cancelled, goes on after its return, is pending at the end."""
    log = Log()
    front = {"component": "front", "edge": "inner"}
    back = {"component": "back", "edge": "inner", "instance": 2}
    web, price = "wasi:http/handler#handle", "shop:back/prices#get"
    one = log.enter(web, edge="export", component="front", task=1, args={"request": 1})
    held = log.enter(price, **front, task=1, args={"sku": "a"})
    log.later("return", held, pending=True, status=0x20)
    sent = log.enter("wasi:http/client#send", component="front", task=1, args={"request": 2})
    log.later("return", sent, pending=True, status=0x31)
    two = log.enter(web, edge="export", component="front", task=2, args={"request": 3})
    quick = log.enter(price, **front, task=2, args={"sku": "b"})
    answer = log.enter(price, **back, task=1, args={"sku": "b"})
    log.later("return", answer, result=2)
    log.later("exit", answer)
    log.later("return", quick, result=2)
    never = log.enter(
        "wasi:clocks/monotonic-clock#wait-for", component="front", task=2, args={"how-long": 9}
    )
    log.later("return", never, pending=True, status=0x21)
    served = log.enter(price, **back, task=2, args={"sku": "a"})
    log.later("resumed", one, dur_ns=9500)
    log.later("started", held)
    log.later("resumed", served, dur_ns=2500)
    log.later("return", served, result=1)
    log.later("exit", served)
    log.later("resumed", one, dur_ns=3500)
    log.later("return", held, result=1)
    log.later("return", one, result={"ok": 4})
    log.later("resumed", two, dur_ns=9500)
    log.later("return", never, cancelled="before-returned")
    log.later("return", two, cancelled="before-returned")
    log.later("exit", two)
    log.later("resumed", one, dur_ns=4000)
    drawn = log.enter("wasi:random/random#get-random-u64", component="front", task=1)
    log.later("return", drawn, result=7)
    log.later("exit", one)
    return log


def untimed() -> Log:
    log = http()
    for record in log:
        record.pop("t_ns")
        record.pop("dur_ns", None)
    return log


SCENARIOS: dict[str, Callable[[], Log]] = {
    scenario.__name__: scenario for scenario in (http, values, concurrent, composed, tasks, untimed)
}


def text(name: str) -> str:
    return "".join(line(record) for record in SCENARIOS[name]())


if __name__ == "__main__":
    for scenario in SCENARIOS:
        (DATA / f"{scenario}.jsonl").write_text(text(scenario), encoding="utf-8")
