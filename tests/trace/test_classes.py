"""``-e trace=SET``."""

from __future__ import annotations

import pytest

from whamm_cm.errors import UsageError
from whamm_cm.wit.classes import CLASSES, DEFAULT, SiteSet

KV = ("import", "wasi:keyvalue/store", "0.2.0-draft", "bucket.get")
DNS = ("import", "wasi:sockets/ip-name-lookup", "0.2.6", "resolve-addresses")
TCP = ("import", "wasi:sockets/tcp", "0.2.6", "tcp-socket.start-connect")
CLOCK = ("import", "wasi:clocks/wall-clock", "0.2.0", "now")
INNER = ("inner", "shop:cart/cart", "", "add")
OWN = ("export", "", "", "run")
STDERR = ("import", "wasi:cli/stderr", "0.2.0", "get-stderr")
ENV = ("import", "wasi:cli/environment", "0.2.0", "get-environment")
WAIT = ("builtin", "", "", "waitable-set.wait")
READ = ("builtin", "", "", "stream.read")
ALL = [KV, DNS, TCP, CLOCK, INNER, OWN, STDERR, ENV]

CASES = {
    "all": ALL,
    "none": [],
    "trace=all": ALL,
    "%net": [DNS, TCP],
    "%dns": [DNS],
    "%net,!%dns": [TCP],
    "!%dns,%net": ALL,
    "!%net": [KV, CLOCK, INNER, OWN, STDERR, ENV],
    "!%net,%dns": [KV, DNS, CLOCK, INNER, OWN, STDERR, ENV],
    "trace=%net,wasi:cli/*,!%stdio": [DNS, TCP, ENV],
    "%inner": [INNER],
    "%kv, %clock": [KV, CLOCK],
    "wasi:keyvalue/store#bucket.{get,exists}": [KV],
    "wasi:keyvalue/store#bucket.{set,exists},%env": [ENV],
    "wasi:sockets/tcp@0.2#tcp-socket.*": [TCP],
    "wasi:sockets/tcp@0.3#*": [],
    "*#*.start-*": [TCP],
    "#run": [OWN],
    "all,!wasi:*": [INNER, OWN],
    "!none": ALL,
}


@pytest.mark.parametrize("text", CASES)
def test_what_a_set_selects(text):
    chosen = SiteSet.parse(text)
    assert [site for site in ALL if chosen(*site)] == CASES[text]


RAW = [
    *("context.get", "context.set", "task.return", "task.cancel", "subtask.drop", "stream.new"),
    *("future.drop-readable", "stream.cancel-read", "waitable.join", "waitable-set.poll"),
    *("backpressure.inc", "thread.yield", "error-context.drop"),
]


@pytest.mark.parametrize("func", RAW)
def test_raw_builtins_are_logged_only_where_they_are_asked_for(func):
    site = ("builtin", "", "", func)
    part = f"#{func.partition('.')[0]}.*"
    for text in ("%async", "all,%async", "*,%async", "!%net,%async", part, f"wasi:io/*,{part}"):
        assert SiteSet.parse(text)(*site), text
    for text in (DEFAULT, "all", "*", "#*", "*#*", "!%net", "%async,!*", "%async,!%async"):
        assert not SiteSet.parse(text)(*site), text
    assert SiteSet.parse("%async,*")(*site)  # the item that names it stands
    assert not SiteSet.parse("%async")("import", "", "", func)  # a resource of the world


def test_reads_and_writes_are_logged():
    assert SiteSet.parse(DEFAULT)(*READ) and not SiteSet.parse(DEFAULT)(*WAIT)
    assert not SiteSet.parse("%async")(*READ)


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("%nett", 'did you mean "%net"', 1),
        ("%kv,%filesystem", 'did you mean "%fs"', 5),
        ("%kv, !%clocks", 'did you mean "%clock"', 7),
        ("%zzzz", "known: %http %fs", 1),
        ("random", 'did you mean "%random"', 1),
        ("run", '"#run"', 1),
        ("", "expected a class", 1),
        ("%kv,", "expected a class", 5),
        ("!", "expected a class", 2),
        ("trace=", "expected a class", 7),
        ("%kv,wasi:io/{a", "", 13),
    ],
)
def test_mistakes_are_shown_where_they_are(text, message, column):
    with pytest.raises(UsageError, match=rf"column {column}\)") as caught:
        SiteSet.parse(text)
    assert message in str(caught.value)


def test_every_class_parses_and_says_what_it_is():
    for name, (words, _) in CLASSES.items():
        assert SiteSet.parse(f"%{name}").items and words
