"""Handles get types and names from what the calls show."""

from __future__ import annotations

from typing import Any

import pytest

from tests.trace.records import Log
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.strace import Strace
from whamm_cm.trace import names
from whamm_cm.trace.address import address_text
from whamm_cm.trace.handle_rules import RULES
from whamm_cm.trace.names import HandleRef, NamedCall, Namer

FS = "wasi:filesystem/types#descriptor."
HTTP = "wasi:http/types#"
V4 = {"ipv4": {"port": 443, "address": [10, 0, 0, 1]}}
V6 = {
    "ipv6": {
        "port": 80,
        "flow-info": 0,
        "address": [0x2001, 0xDB8, 0, 0, 0, 0, 0, 1],
        "scope-id": 0,
    }
}


class Seen:
    """Runs a log through a Namer and keeps what it said."""

    def __init__(self, log: Log) -> None:
        namer = Namer()
        open_calls: dict[tuple[int, int], NamedCall] = {}
        self.calls: list[NamedCall] = []
        self.results: list[Any] = []
        for record in log:
            key = (record["instance"], record["call"])
            if record["phase"] == "call":
                open_calls[key] = namer.open(record)
                self.calls.append(open_calls[key])
            else:
                self.results.append(namer.close(open_calls[key], record))

    def last(self) -> str:
        """The receiver of the last call with its name."""
        return shown(self.calls[-1].receiver)


def shown(ref: HandleRef | None) -> str:
    assert ref is not None
    return str(ref) + (f"<{ref.name}>" if ref.name else "")


def files() -> Log:
    log = Log()
    log.call("wasi:filesystem/preopens#get-directories", [[3, "/data"], [4, "/"]])
    log.call(FS + "open-at", {"ok": 5}, 3, path_flags=[], path="a.txt", open_flags=[], flags=[])
    return log


def test_files_have_their_path():
    log = files()
    log.call(FS + "read-via-stream", {"ok": 6}, 5, offset=0)
    log.call("wasi:io/streams#input-stream.subscribe", 7, 6)
    log.call("wasi:io/poll#pollable.block", ..., 7)
    seen = Seen(log)
    assert [shown(call.receiver) for call in seen.calls[1:]] == [
        "descriptor#3</data>",
        "descriptor#5</data/a.txt>",
        "input-stream#6</data/a.txt>",
        "pollable#7<poll(/data/a.txt)>",
    ]
    assert [shown(item[0]) for item in seen.results[0]] == [
        "descriptor#3</data>",
        "descriptor#4</>",
    ]


def test_a_component_that_stands_in_for_files_is_known_by_what_its_caller_asks_for():
    log = files()
    for record in log:
        interface, func = record.pop("interface"), record["func"]
        record.update(interface="my:own/thing", inner={"interface": interface, "func": func})
        record["func"] = f"x-{func.replace('.', '-')}"
    assert str(Seen(log).results[0][0][0]) == "descriptor#3"


def test_below_the_root_there_is_one_slash():
    log = files()
    log.call(FS + "open-at", {"ok": 6}, 4, path="etc/hosts")
    log.call(FS + "sync", {"ok": None}, 6)
    assert Seen(log).last() == "descriptor#6</etc/hosts>"


def test_a_failed_open_names_nothing():
    log = files()
    log.call(FS + "open-at", {"error": "no-entry"}, 3, path="b")
    log.call(FS + "sync", {"ok": None}, 9)
    assert Seen(log).last() == "descriptor#9"


def test_a_generation_ends_at_drop():
    log = files()
    log.call(FS + "drop", ..., 5)
    log.call(FS + "sync", {"ok": None}, 5)  # a number without a known origin
    log.call(FS + "open-at", {"ok": 5}, 3, path="b.txt")
    log.call(FS + "drop", ..., None, handle=5)  # drop as an argument
    seen = Seen(log)
    refs = [call.receiver for call in seen.calls[2:]]
    assert [(shown(ref), ref and ref.generation) for ref in refs] == [
        ("descriptor#5</data/a.txt>", 1),
        ("descriptor#5", 0),
        ("descriptor#3</data>", 1),
        ("descriptor#5</data/b.txt>", 2),
    ]
    assert seen.calls[-1].args == {}


def test_instances_have_their_own_handles():
    log = files()
    log.instance = 2
    log.call(FS + "sync", {"ok": None}, 5)
    assert Seen(log).last() == "descriptor#5"


@pytest.mark.parametrize(("address", "text"), [(V4, "10.0.0.1:443"), (V6, "[2001:db8::1]:80")])
def test_tcp(address, text):
    log = Log()
    tcp = "wasi:sockets/tcp#tcp-socket."
    log.call("wasi:sockets/instance-network#instance-network", 1)
    log.call("wasi:sockets/tcp-create-socket#create-tcp-socket", {"ok": 2}, address_family="ipv4")
    log.call(tcp + "start-connect", {"ok": None}, 2, network=1, remote_address=address)
    log.call(tcp + "finish-connect", {"ok": [3, 4]}, 2)
    log.call("wasi:io/streams#output-stream.flush", {"ok": None}, 4)
    seen = Seen(log)
    assert shown(seen.calls[2].args["network"]) == "network#1"
    assert seen.last() == f"output-stream#4<{text}>"


def test_accepted_sockets():
    log = Log()
    tcp = "wasi:sockets/tcp#tcp-socket."
    log.call("wasi:sockets/tcp-create-socket#create-tcp-socket", {"ok": 2}, address_family="ipv4")
    log.call(tcp + "start-bind", {"ok": None}, 2, network=1, local_address=V4)
    log.call(tcp + "accept", {"ok": [3, 4, 5]}, 2)
    log.call("wasi:io/streams#input-stream.read", {"error": {"closed": None}}, 4, len=1)
    assert Seen(log).last() == "input-stream#4<from 10.0.0.1:443>"
    log.call(tcp + "remote-address", {"ok": V6}, 3)
    log.call(tcp + "shutdown", {"ok": None}, 3, shutdown_type="both")
    assert Seen(log).last() == "tcp-socket#3<[2001:db8::1]:80>"


def test_sockets_of_wasi_0_3():
    log = Log()
    tcp = "wasi:sockets/types#tcp-socket."
    log.call(tcp + "create", {"ok": 2}, address_family="ipv4")
    log.call(tcp + "connect", {"ok": None}, 2, remote_address=V4)
    log.call(tcp + "receive", [3, 4], 2)
    seen = Seen(log)
    assert [shown(ref) for ref in seen.results[-1]] == [
        "stream#3",
        "future#4",
    ]


def outgoing() -> Log:
    log = Log()
    log.call(HTTP + "fields.new", 1)
    log.call(HTTP + "outgoing-request.new", 2, headers=1)
    log.call(HTTP + "outgoing-request.set-method", {"ok": None}, 2, method={"post": None})
    log.call(HTTP + "outgoing-request.set-scheme", {"ok": None}, 2, scheme={"HTTPS": None})
    log.call(HTTP + "outgoing-request.set-authority", {"ok": None}, 2, authority="api.test")
    path = {"path_with_query": "/v1?q"}
    log.call(HTTP + "outgoing-request.set-path-with-query", {"ok": None}, 2, **path)
    return log


def test_outgoing_requests():
    log = outgoing()
    log.call("wasi:http/outgoing-handler#handle", {"ok": 3}, request=2, options=None)
    log.call(HTTP + "future-incoming-response.get", {"ok": {"ok": 2}}, 3)
    log.call(HTTP + "incoming-response.status", 200, 2)
    seen = Seen(log)
    assert shown(seen.calls[1].args["headers"]) == "fields#1"
    assert shown(seen.calls[6].args["request"]) == "outgoing-request#2<POST https://api.test/v1?q>"
    assert seen.calls[6].args["options"] is None
    assert seen.last() == "incoming-response#2<POST https://api.test/v1?q>"


def test_a_request_that_was_handed_over_is_gone():
    log = outgoing()
    log.call("wasi:http/outgoing-handler#handle", {"ok": 3}, request=2, options=None)
    log.call(HTTP + "outgoing-request.method", {"get": None}, 2)
    assert Seen(log).last() == "outgoing-request#2"


def test_setting_the_path_back_to_none():
    log = outgoing()
    log.call(HTTP + "outgoing-request.set-path-with-query", {"ok": None}, 2, path_with_query=None)
    log.call(HTTP + "outgoing-request.set-method", {"error": None}, 2, method={"other": "x"})
    log.call(HTTP + "outgoing-request.body", {"ok": 9}, 2)
    assert Seen(log).last() == "outgoing-request#2<POST https://api.test/>"


def test_incoming_requests_begin_at_the_export():
    log = Log()
    handle = log.enter(
        "wasi:http/incoming-handler#handle", edge="export", args={"request": 7, "response-out": 8}
    )
    log.call(HTTP + "incoming-request.method", {"get": None}, 7)
    log.call(HTTP + "incoming-request.path-with-query", "/cart", 7)
    log.call(HTTP + "incoming-request.headers", 9, 7)
    log.leave("wasi:http/incoming-handler#handle", handle)
    seen = Seen(log)
    assert shown(seen.calls[0].args["request"]) == "incoming-request#7"
    assert seen.calls[0].args["request"].generation == 1
    assert seen.last() == "incoming-request#7<GET /cart>"


def test_stores():
    log = Log()
    log.call("wasi:keyvalue/store#open", {"ok": 1}, identifier="sessions")
    log.call("wasi:keyvalue/atomics#increment", {"ok": 5}, bucket=1, key="n", delta=1)
    log.call("wasi:blobstore/blobstore#get-container", {"ok": 2}, name="photos")
    log.call("wasi:blobstore/container#container.get-data", {"ok": 3}, 2, name="a", start=0, end=9)
    seen = Seen(log)
    assert shown(seen.calls[1].args["bucket"]) == 'bucket#1<"sessions">'
    assert shown(seen.results[-1]["ok"]) == 'incoming-value#3<"photos"/a>'


def test_lists_of_borrowed_handles_also_when_cut():
    log = Log()
    log.call("wasi:clocks/monotonic-clock#subscribe-duration", 4, when=1)
    log.call("wasi:io/poll#poll", [0], **{"in": [4, 5]})
    log.call("wasi:io/poll#poll", [0], **{"in": {"~cut": 99, "~list": [4]}})
    seen = Seen(log)
    assert [shown(ref) for ref in seen.calls[1].args["in"]] == ["pollable#4<timer>", "pollable#5"]
    assert shown(seen.calls[2].args["in"]["~list"][0]) == "pollable#4<timer>"


def test_any_constructor_and_no_builtin():
    log = Log()
    log.call("my:own/things#thing.new", 4)
    log.add("call", "waitable-set.new", 2, edge="builtin")
    log.add("return", "waitable-set.new", 2, edge="builtin", result=5)
    seen = Seen(log)
    assert str(seen.results[0]) == "thing#4" and seen.results[1] == 5


def test_cut_and_redacted_names():
    log = Log()
    log.call("wasi:keyvalue/store#open", {"ok": 1}, identifier={"~cut": 900, "~str": "ab"})
    log.call("wasi:keyvalue/store#bucket.drop", ..., 1)
    assert Seen(log).last() == 'bucket#1<"ab…">'
    log.call("wasi:keyvalue/store#open", {"ok": 1}, identifier={"~redacted": 2})
    log.call("wasi:keyvalue/store#bucket.drop", ..., 1)
    assert Seen(log).last() == "bucket#1"


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(names, "MAX_HANDLES", 4)
    log = Log()
    for number in range(9):
        log.call("my:own/things#thing.new", number)
    namer = Namer()
    for record in log:
        if record["phase"] == "call":
            call = namer.open(record)
        else:
            namer.close(call, record)
    assert len(namer._entries) == 4


def test_handles_that_are_over_are_forgotten_sooner(monkeypatch):
    """As of instances that answer one request each; that of the first is still there."""
    monkeypatch.setattr(names, "MAX_GONE", 4)
    log, namer = Log(), Namer()
    log.call("wasi:keyvalue/store#open", {"ok": 0}, identifier="kept")
    for number in range(1, 100):
        log.call("wasi:keyvalue/store#open", {"ok": number}, identifier="short")
        log.call("wasi:keyvalue/store#bucket.drop", ..., number)
    log.call("wasi:keyvalue/store#bucket.exists", ..., 0)
    for record in log:
        if record["phase"] == "call":
            call = namer.open(record)
        else:
            namer.close(call, record)
    assert call.receiver is not None
    assert call.receiver.name == '"kept"'
    assert len(namer._entries) == 5


@pytest.mark.parametrize("item", RULES)
def test_rows_survive_values_of_any_shape(item):
    shapes: list[Any] = [None, True, -1, 2, "x", [], [[]], [1, [2]], {"ok": None}, {"ok": [1]}]
    shapes += [{"error": {"last-operation-failed": 3}}, {"~cut": 3}, {"~redacted": 1}, {}]
    for value in shapes:
        log = Log()
        words = ("request", "in", "path", "headers", "this", "data", "remote-address", "method")
        number = log.enter(item, self=1, args=dict.fromkeys(words, value))
        log.leave(item, number, result=value)
        Seen(log)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "ipv4",
        {"ipv4": None},
        {"ipv4": [1, 2, 3]},
        {"ipv4": [1, 2, 3, 256]},
        {"ipv4": {"port": "80", "address": [1, 2, 3, 4]}},
        {"ipv6": [1, 2, 3, 4]},
        {"ipv4": [1, 2, 3, 4], "ipv6": None},
    ],
)
def test_what_is_no_address(value):
    assert address_text(value) is None


def test_addresses_without_port():
    assert address_text({"ipv4": [127, 0, 0, 1]}) == "127.0.0.1"
    assert address_text({"ipv6": [0] * 7 + [1]}) == "::1"


# --- records that say which values are handles ---------------------------------------------------


def strace_of(*records: dict[str, Any]) -> str:
    strace = Strace(RenderOptions(names=True))
    common = {"v": 2, "run": "00", "instance": 1, "edge": "import", "interface": "my:own/net"}
    return "".join(strace.feed({**common, **record}) for record in records) + strace.finish()


def call(func: str, number: int, **more: Any) -> dict[str, Any]:
    return {"phase": "call", "func": func, "call": number, **more}


def returned(func: str, number: int, **more: Any) -> dict[str, Any]:
    return {"phase": "return", "func": func, "call": number, **more}


def test_handles_of_any_interface_are_named() -> None:
    text = strace_of(
        call("connect", 1, args={"to": "x"}),
        returned("connect", 1, result={"ok": 1}, handles={"result.ok": "conn"}),
        call("use", 2, args={"c": 1, "n": 1}, handles={"args.c": "conn"}),
        returned("use", 2, result=[1, 2], handles={"result.*": "conn"}),
        call(
            "all", 3, args={"in": {"~cut": 9, "~list": [[1, 5]]}}, handles={"args.in.*.0": "conn"}
        ),
        returned("all", 3, result={"a": 3, "b": None}, handles={"result.a": "t", "result.b": "t"}),
        call("conn.send", 4, self=1, args={"x": 9}, handles={"self": "conn"}),
        returned("conn.send", 4, result={"error": "no"}, handles={"result.ok": "conn"}),
        call("conn.drop", 5, self=1, handles={"self": "conn"}),
        returned("conn.drop", 5),
    )
    assert text.splitlines() == [
        'my:own/net#connect("x") = ok(conn#1)',
        "my:own/net#use(conn#1, 1) = [conn#1, conn#2]",
        "my:own/net#all([[conn#1, 5], ...]) = {a: t#3, b: none}",
        'conn#1.send(9) = error("no")',
        "conn#1.drop() = ()",
    ]


def test_a_representation_is_no_handle() -> None:
    text = strace_of(
        call("conn.send", 1, edge="export", self=77, handles={"self": "rep:conn"}),
        returned("conn.send", 1, edge="export", result=1),
        call("use", 2, edge="export", args={"c": 77, "o": 3},
             handles={"args.c": "rep:conn", "args.o": "other"}),
        returned("use", 2, edge="export"),
        call("[resource-new]conn", 3, edge="builtin", args={"rep": 77},
             handles={"args.rep": "rep:conn"}),
        returned("[resource-new]conn", 3, edge="builtin", result=1, handles={"result": "conn"}),
    )  # fmt: skip
    assert text.splitlines() == [
        "export my:own/net#conn.send(self=conn@77) = 1",
        "export my:own/net#use(c=conn@77, o=other#3) = ()",
        "my:own/net#[resource-new]conn(conn@77) = conn#1",
    ]


def test_rules_name_what_types_tell() -> None:
    """The table still says what a handle stands for; types add those it does not have."""
    text = strace_of(
        call("open", 1, interface="wasi:keyvalue/store", args={"identifier": "x"}),
        returned("open", 1, interface="wasi:keyvalue/store", result={"ok": 4},
                 handles={"result.ok": "bucket"}),
        call("peek", 2, args={"b": 4}, handles={"args.b": "bucket"}),
        returned("peek", 2, result=18446744073709551615),
    )  # fmt: skip
    assert text.splitlines()[1] == 'my:own/net#peek(bucket#4<"x">) = 18446744073709551615'


def test_a_name_lasts_for_a_request_where_requests_are_sampled() -> None:
    """What was not recorded may have given the number to another resource."""
    opened = {"edge": "import", "interface": "wasi:keyvalue/store", "func": "open"}
    bucket = {"edge": "import", "interface": "wasi:keyvalue/store", "func": "bucket.get"}
    run = {"edge": "export", "func": "run"}

    def call(number: int, of: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {"v": 2, "instance": 1, "call": number, "phase": "call", **of, **more}

    def name(sample: dict[str, int]) -> list[str | None]:
        namer, found = Namer(), list[str | None]()
        namer.see({"phase": "start", **sample})
        first = call(1, run)
        namer.see(first)
        namer.open(first)
        made = call(2, opened, args={"identifier": "a"})
        namer.see(made)
        named = namer.open(made)
        namer.close(named, {**made, "phase": "return", "result": {"ok": 3}})
        for number, record in enumerate((bucket, run, bucket), 3):
            one = call(number, record, **({"self": 3} if record is bucket else {}))
            namer.see(one)
            receiver = namer.open(one).receiver
            if record is bucket:
                found.append(None if receiver is None else receiver.name)
        return found

    assert name({})[0] is not None and name({})[1] == name({})[0]
    assert name({"sample": 2}) == [name({})[0], None]


P1 = "wasi_snapshot_preview1#"


def descriptors(*calls: tuple[str, dict[str, int | str], Any]) -> list[str]:
    """What the descriptor ``fd`` of each call is shown as."""
    log = Log()
    for func, args, result in calls:
        told = {f"args.{name}": "fd" for name in ("fd", "to", "new_fd") if name in args}
        number = log.enter(P1 + func, args=args, handles=told)
        made = {"handles": {"result.ok": "fd"}} if func in ("path_open", "sock_accept") else {}
        log.leave(P1 + func, number, result=result, **made)
    return [shown(call.args["fd"]) for call in Seen(log).calls]


OPEN = ("path_open", {"fd": 3, "path": "a.txt"}, {"ok": 4})
NAMED = ("fd_prestat_dir_name", {"fd": 3}, {"ok": "/data"})
DONE, REFUSED = {"ok": None}, {"error": "badf"}


def test_descriptors_of_preview1_have_their_paths():
    read, write = ("fd_read", {"fd": 4}, DONE), ("fd_write", {"fd": 1}, DONE)
    assert descriptors(NAMED, OPEN, read, write) == [
        "fd#3", "fd#3</data>", "fd#4</data/a.txt>", "fd#1<stdout>",
    ]  # fmt: skip


def test_a_descriptor_ends_when_it_is_closed():
    close, read = ("fd_close", {"fd": 4}, DONE), ("fd_read", {"fd": 4}, REFUSED)
    other = ("path_open", {"fd": 3, "path": "b"}, {"ok": 4})
    assert descriptors(NAMED, OPEN, close, read, other, read)[2:] == [
        "fd#4</data/a.txt>", "fd#4", "fd#3</data>", "fd#4</data/b>",
    ]  # fmt: skip


def test_a_close_that_fails_ends_nothing():
    refused, read = ("fd_close", {"fd": 4}, REFUSED), ("fd_read", {"fd": 4}, DONE)
    assert descriptors(NAMED, OPEN, refused, read)[-1] == "fd#4</data/a.txt>"


def test_a_renumbered_descriptor_takes_its_name_along():
    over = ("fd_renumber", {"fd": 4, "to": 1}, DONE)
    reads = [("fd_read", {"fd": number}, DONE) for number in (1, 4)]
    assert descriptors(NAMED, OPEN, over, *reads)[-2:] == ["fd#1</data/a.txt>", "fd#4"]
    refused = ("fd_renumber", {"fd": 4, "to": 1}, REFUSED)
    assert descriptors(NAMED, OPEN, refused, *reads)[-2:] == ["fd#1<stdout>", "fd#4</data/a.txt>"]
    same = ("fd_renumber", {"fd": 4, "to": 4}, DONE)
    assert descriptors(NAMED, OPEN, same, *reads)[-1] == "fd#4</data/a.txt>"


def test_an_open_that_fails_and_one_below_the_unknown_name_nothing():
    failed = ("path_open", {"fd": 3, "path": "a"}, {"error": "noent"})
    assert descriptors(NAMED, failed, ("fd_read", {"fd": 4}, DONE))[-1] == "fd#4"
    assert descriptors(OPEN, ("fd_read", {"fd": 4}, DONE))[-1] == "fd#4<fd#3/a.txt>"


def test_closed_streams_are_not_called_so_any_more():
    assert descriptors(("fd_close", {"fd": 2}, DONE), ("fd_write", {"fd": 2}, REFUSED)) == [
        "fd#2<stderr>", "fd#2",
    ]  # fmt: skip
    accept, read = ("sock_accept", {"fd": 5}, {"ok": 6}), ("fd_read", {"fd": 6}, DONE)
    assert descriptors(NAMED, accept, read) == [
        "fd#3", "fd#5", "fd#6<from fd#5>",
    ]  # fmt: skip
