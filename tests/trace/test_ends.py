"""Ends of streams and futures have the name of where they come from, or none; never another's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.trace.records import Log
from whamm_cm.render import strace
from whamm_cm.render.options import RenderOptions

STDIN = "wasi:cli/stdin#read-via-stream"
STDOUT = "wasi:cli/stdout#write-via-stream"
RECEIVE = {"result.0": "new:stream", "result.1": "new:future"}


def shown(log: Log, each: bool = True) -> list[str]:
    text = "".join(strace.render(log, RenderOptions(names=True, each=each)))
    return text.splitlines()


def call(log: Log, item: str, result: Any = ..., *, edge: str = "import", **more: Any) -> None:
    """A call with ``handles`` of its own and of its return."""
    returned: dict[str, Any] = {} if result is ... else {"result": result}
    for key in ("back", "data"):
        if key in more:
            returned["handles" if key == "back" else key] = more.pop(key)
    number = log.enter(item, edge=edge, **more)
    log.leave(item, number, **returned)


def stdin(log: Log, stream: int = 2, future: int = 3) -> None:
    call(log, STDIN, [stream, future], back=RECEIVE)


def read(log: Log, end: int, count: int, data: Any = ..., how: int = 0, func: str = "read") -> None:
    more = {} if data is ... else {"data": data}
    told = {"args.stream": "stream"}
    args = {"stream": end, "ptr": 16, "count": 64}
    call(log, f"stream.{func}", count << 4 | how, edge="builtin", args=args, handles=told, **more)


def handle(log: Log, func: str, **more: Any) -> None:
    record = log.add("handle", func, 0, edge="builtin", **more)
    del record["call"]


def drop(log: Log, end: int, what: str = "readable") -> None:
    told = {"args.stream": "gone:stream"}
    handle(log, f"stream.drop-{what}", args={"stream": end}, handles=told)


def new(log: Log, low: int, high: int, kind: str = "stream") -> None:
    told = {"result": f"new:{kind}"}
    handle(log, f"{kind}.new", result=high << 32 | low, handles=told)


def pass_on(log: Log, item: str, result: Any = ..., edge: str = "import", **args: int) -> None:
    way = "new:" if edge == "export" else "gone:"
    told = {f"args.{name}": f"{way}stream" for name in args}
    call(log, item, result, edge=edge, args=args, handles=told)


def test_what_is_read_of_stdin():
    log = Log()
    stdin(log)
    read(log, 2, 5, {"~b64": "aGVsbG8="})
    read(log, 2, 0, {"~b64": ""}, how=1)
    drop(log, 2)
    assert shown(log)[1:] == [
        'stream#2<stdin>.read(64) = 5 b"hello", completed',
        "stream#2<stdin>.read(64) = 0, dropped",
        "stream#2<stdin>.drop-readable() /* 5 bytes in 2 calls */",
    ]


def test_a_number_that_is_used_again_is_another_end():
    log = Log()
    stdin(log)
    drop(log, 2)
    call(log, "a:b/c#feed", 2, back={"result": "new:stream"})
    read(log, 2, 1, [7])
    drop(log, 2)
    read(log, 2, 1, [7])
    assert shown(log)[1:] == [
        "stream#2<stdin>.drop-readable() /* nothing was copied */",
        "a:b/c#feed() = stream#2",
        "stream#2<feed()>.read(64) = 1 [7], completed",
        "stream#2<feed()>.drop-readable() /* 1 element in 1 call */",
        "stream#2.read(64) = 1 [7], completed",
    ]


def test_an_end_that_is_passed_on_is_gone():
    log = Log()
    stdin(log)
    pass_on(log, "a:b/c#take", x=2)
    read(log, 2, 1, [7])
    assert shown(log)[1:] == [
        "a:b/c#take(stream#2<stdin>) = ()",
        "stream#2.read(64) = 1 [7], completed",
    ]


def test_the_end_that_stays_has_the_name_of_where_the_other_went():
    log = Log()
    new(log, 2, 3)
    read(log, 3, 1, [1], func="write")
    pass_on(log, STDOUT, 9, data=2)
    read(log, 3, 1, [1], func="write")
    new(log, 4, 5)
    pass_on(log, "a:b/c#put", part=4)
    read(log, 5, 1, [1], func="write")
    assert shown(log) == [
        "stream#3<pipe 2>.write(64) = 1 [1], completed",
        "wasi:cli/stdout#write-via-stream(stream#2<pipe 2>) = future#9",
        "stream#3<stdout>.write(64) = 1 [1], completed",
        "a:b/c#put(stream#4<pipe 4>) = ()",
        "stream#5<put(part)>.write(64) = 1 [1], completed",
    ]


def test_exports_take_and_return_ends():
    log = Log()
    pass_on(log, "a:b/c#send", edge="export", body=2)
    read(log, 2, 1, [1])
    new(log, 4, 5)
    call(log, "a:b/c#fetch", 4, edge="export", back={"result": "gone:stream"})
    read(log, 5, 1, [1], func="write")
    read(log, 4, 1, [1])
    assert [line for line in shown(log) if "export" not in line] == [
        "stream#2<send(body)>.read(64) = 1 [1], completed",
        "stream#5<fetch()>.write(64) = 1 [1], completed",
        "stream#4.read(64) = 1 [1], completed",
    ]


@pytest.mark.parametrize("edge", ["export", "inner"])
def test_who_implements_a_known_interface_gives_its_ends_away(edge):
    """What the function means to its caller is no name here."""
    log = Log()
    new(log, 2, 3)
    call(log, STDIN, [2, 9], edge=edge, back={"result.0": "gone:stream"})
    read(log, 3, 1, [1], func="write")
    read(log, 2, 1, [1])
    assert [line for line in shown(log) if "wasi" not in line] == [
        "stream#3<read-via-stream().0>.write(64) = 1 [1], completed",
        "stream#2.read(64) = 1 [1], completed",
    ]
    log = Log()
    pass_on(log, STDOUT, 4, edge="export", data=2)
    read(log, 2, 1, [1])
    assert shown(log)[-1] == "stream#2<write-via-stream(data)>.read(64) = 1 [1], completed"


def test_bodies_of_http():
    log = Log()
    http = "wasi:http/types#"
    call(
        log, http + "request.consume-body", [7, 8], args={"this": 4, "res": 5},
        handles={"args.this": "request", "args.res": "gone:future"}, back=RECEIVE,
    )  # fmt: skip
    read(log, 7, 1, {"~b64": "YQ=="})
    new(log, 2, 3)
    new(log, 10, 11, "future")
    told = {
        "args.headers": "fields",
        "args.contents": "gone:stream",
        "args.trailers": "gone:future",
    }
    call(
        log, http + "response.new", [6, 12], args={"headers": 9, "contents": 2, "trailers": 10},
        handles=told, back={"result.0": "response", "result.1": "new:future"},
    )  # fmt: skip
    read(log, 3, 1, {"~b64": "YQ=="}, func="write")
    ends = {"args.future": "future"}
    call(log, "future.write", 0, edge="builtin", args={"future": 11, "ptr": 1}, handles=ends)
    call(log, "future.read", 0, edge="builtin", args={"future": 12, "ptr": 1}, handles=ends)
    assert [line for line in shown(log) if "wasi" not in line] == [
        'stream#7<body of request#4>.read(64) = 1 b"a", completed',
        'stream#3<body of response#6>.write(64) = 1 b"a", completed',
        "future#11<trailers of response#6>.write() = completed",
        "future#12<sending of response#6>.read() = completed",
    ]


def test_elements_that_are_handles():
    """What is read of a stream comes in, what is written goes."""
    log = Log()
    call(log, "a:b/c#listen", 2, back={"result": "new:stream"})
    read(log, 2, 1, [5])
    log.records[-1]["handles"] = {"data.*": "conn"}
    read(log, 2, 1, [6])
    log.records[-1]["handles"] = {"data.*": "new:stream"}
    read(log, 6, 1, [1])
    new(log, 8, 9)
    read(log, 9, 1, [6], func="write")
    log.records[-1]["handles"] = {"data.*": "gone:stream"}
    read(log, 6, 1, [1])
    assert shown(log)[1:] == [
        "stream#2<listen()>.read(64) = 1 [conn#5<from listen()>], completed",
        "stream#2<listen()>.read(64) = 1 [stream#6<from listen()>], completed",
        "stream#6<from listen()>.read(64) = 1 [1], completed",
        "stream#9<pipe 8>.write(64) = 1 [stream#6<from listen()>], completed",
        "stream#6.read(64) = 1 [1], completed",
    ]


def test_nothing_is_known_where_nothing_is_told():
    """Logs of older weaves, and those that do not record all."""
    log = Log()
    log.call(STDIN, [2, 3])
    log.call(STDOUT, 4, data=2)
    log.add("handle", "stream.new", 0, edge="builtin", result=3 << 32 | 2)
    call(log, "stream.read", 16, edge="builtin", args={"stream": 2, "ptr": 1, "count": 1})
    assert shown(log) == [
        "wasi:cli/stdin#read-via-stream() = [stream#2, future#3]",
        "wasi:cli/stdout#write-via-stream(stream#2) = future#4",
        "stream#2.read(1) = 1, completed",
    ]


def lose_a_record(log: Log) -> None:
    log.call("a:b/c#x")
    del log.records[-2:]


def say_so(log: Log) -> None:
    log.records.append({"v": 2, "seq": len(log.records), "phase": "lost", "lost": 1})


def exceed(log: Log) -> None:
    number = log.enter("a:b/c#x", big=True)
    log.leave("a:b/c#x", number)


def cut(log: Log) -> None:
    told = {"args.all.*": "gone:stream"}
    args = {"all": {"~cut": 9, "~list": [41, 42]}}
    call(log, "a:b/c#take", args=args, handles=told)


@pytest.mark.parametrize("happen", [lose_a_record, say_so, exceed, cut])
def test_after_a_gap_nothing_is_known(happen):
    log = Log()
    stdin(log)
    happen(log)
    before = len(log.records)
    read(log, 2, 1, [7])
    drop(log, 2)
    for record in log.records[before:]:
        record["seq"] += 2 * (happen is lose_a_record)
    assert shown(log)[-2:] == [
        "stream#2.read(64) = 1 [7], completed",
        "stream#2.drop-readable()",
    ]


def test_other_runs_and_instances_are_others():
    log = Log()
    stdin(log)
    log.instance = 2
    read(log, 2, 1, [7])
    assert shown(log)[-1] == "[2] stream#2.read(64) = 1 [7], completed"


# --- many at once --------------------------------------------------------------------------------


def many(log: Log, times: int, end: int = 2) -> None:
    for _ in range(times):
        read(log, end, 4, {"~b64": "YWJjZA=="})


def test_reads_that_follow_closely_are_one_line():
    log = Log()
    stdin(log)
    many(log, 5)
    log.now += 2_000_000
    many(log, 1)
    drop(log, 2)
    assert shown(log, each=False)[1:] == [
        'stream#2<stdin>.read(64) = 4 b"abcd", completed',
        'stream#2<stdin>.read(64) = 16 b"abcd"..., completed (4 calls)',
        'stream#2<stdin>.read(64) = 4 b"abcd", completed',
        "stream#2<stdin>.drop-readable() /* 24 bytes in 6 calls */",
    ]
    assert len(shown(log, each=True)) == 8


def test_a_read_of_nothing_is_no_beginning():
    log = Log()
    stdin(log)
    many(log, 1)
    read(log, 2, 0, {"~b64": ""})
    log.records[-2]["args"]["count"] = 0
    many(log, 1)
    drop(log, 2)
    assert (
        shown(log, each=False)[2] == 'stream#2<stdin>.read(64) = 4 b"abcd"..., completed (2 calls)'
    )


def test_two_streams_in_turns():
    """What goes through a proxy."""
    log = Log()
    stdin(log, 2, 3)
    stdin(log, 4, 5)
    for _ in range(3):
        many(log, 1, 2)
        many(log, 1, 4)
    log.call("a:b/c#done")
    assert shown(log, each=False)[2:] == [
        'stream#2<stdin>.read(64) = 4 b"abcd", completed',
        'stream#4<stdin>.read(64) = 4 b"abcd", completed',
        'stream#2<stdin>.read(64) = 8 b"abcd"..., completed (2 calls)',
        'stream#4<stdin>.read(64) = 8 b"abcd"..., completed (2 calls)',
        "a:b/c#done() = ()",
    ]


def test_one_that_waits_is_shown_with_what_became_of_it():
    log = Log()
    stdin(log)
    many(log, 1)
    told, args = {"args.stream": "stream"}, {"stream": 2, "ptr": 16, "count": 64}
    number = log.enter("stream.read", edge="builtin", args=args, handles=told)
    log.leave("stream.read", number, pending=True, status=0xFFFFFFFF)
    log.now += 5_000_000
    log.leave("stream.read", number, result=1, data={"~b64": ""})
    assert shown(log, each=False)[1:] == [
        'stream#2<stdin>.read(64) = 4 b"abcd", completed',
        "stream#2<stdin>.read(64) = 0, dropped",
    ]


def test_without_times_each_is_shown():
    log = Log()
    stdin(log)
    many(log, 3)
    for record in log.records:
        del record["t_ns"]
    assert len(shown(log, each=False)) == 4


def test_what_is_held_back_is_there_in_the_end():
    log = Log()
    stdin(log)
    many(log, 3)
    live = strace.Strace(RenderOptions())
    text = "".join(map(live.feed, log))
    assert live.holds is not None and "2 calls" not in text
    assert "2 calls" in live.flush() and live.holds is None
    assert live.flush() == live.finish() == ""


def take(log: Log) -> int:
    """A call that is given stream 2 and cannot start yet."""
    told = {"args.x": "gone:stream"}
    number = log.enter("a:b/c#take", edge="import", args={"x": 2}, handles=told)
    log.leave("a:b/c#take", number, pending=True, status=0x70)
    return number


def test_an_end_that_a_cancelled_call_never_took_is_still_here():
    log = Log()
    new(log, 2, 3)
    number = take(log)
    log.leave("a:b/c#take", number, cancelled="before-started")
    read(log, 3, 1, [1], func="write")
    read(log, 2, 1, [1])
    assert shown(log)[-2:] == [
        "stream#3<pipe 2>.write(64) = 1 [1], completed",
        "stream#2<pipe 2>.read(64) = 1 [1], completed",
    ]


def test_what_was_forgotten_meanwhile_does_not_come_back():
    log = Log()
    new(log, 2, 3)
    number = take(log)
    say_so(log)
    log.leave("a:b/c#take", number, cancelled="before-started")
    read(log, 2, 1, [1])
    assert shown(log)[-1] == "stream#2.read(64) = 1 [1], completed"


@pytest.mark.parametrize("leave", ["dropped", "written"])
def test_two_pipes_never_have_one_name(leave):
    log = Log()
    new(log, 2, 3)
    if leave == "dropped":
        drop(log, 2)
    else:
        write_ends(log, 2)
    new(log, 2, 4)
    read(log, 3, 1, [1], func="write")
    read(log, 4, 1, [1], func="write")
    assert shown(log)[-2:] == [
        "stream#3.write(64) = 1 [1], completed",
        "stream#4<pipe 2>.write(64) = 1 [1], completed",
    ]


def write_ends(log: Log, *ends: int) -> None:
    told = {"args.stream": "stream"}
    gone = {"data.*": "gone:stream"}
    args = {"stream": 9, "ptr": 0, "count": 8}
    packed = len(ends) << 4
    more = {"edge": "builtin", "args": args, "handles": told, "back": gone, "data": list(ends)}
    call(log, "stream.write", packed, **more)


def test_an_end_whose_number_was_taken_before_it_was_told_to_have_left():
    """The write is over before its writer is told of it, and makes a stream meanwhile."""
    log = Log()
    new(log, 2, 3)
    new(log, 5, 2)
    write_ends(log, 2)
    read(log, 5, 1, [1])
    assert shown(log) == [
        "stream#9.write(8) = 1 [stream#2], completed",
        "stream#5.read(64) = 1 [1], completed",
    ]
