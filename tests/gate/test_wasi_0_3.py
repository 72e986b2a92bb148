"""WASI 0.3: every function is of a class, no denial is walked around by its names, and what calls
of it are about is judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gate.making import call, component, judge, record, rules, said
from whamm_cm.gate.evidence import gather
from whamm_cm.gate.model import Location
from whamm_cm.gate.patterns import parsed
from whamm_cm.wit.classes import CLASSES, SiteSet

#: (class, function of 0.3, functions of 0.2), all names as the WIT of both releases has them.
TABLE = [
    (one, new, tuple(old))
    for one, new, *old in (
        line.split()
        for line in (Path(__file__).parent / "data" / "wasi-0.3.txt").read_text().splitlines()
        if not line.startswith("#")
    )
]
RENAMED = [(new, old) for _, new, olds in TABLE for old in olds]
DENIED = {"WCM010", "WCM014"}
HERE = Location("p.yaml", 2, 1)
DRAFTS = ("0.3.0", "0.3.0-rc-2026-03-15", "0.3.0-rc-2025-09-16", "0.3.1")


def denies(line: str, function: str, version: str) -> bool:
    interface, _, name = function.partition("#")
    return parsed(line, HERE).denies(interface, version, name)


def interface_of(function: str) -> str:
    return function.partition("#")[0]


def test_the_table_is_whole() -> None:
    assert len(TABLE) == 130
    assert len({new for _, new, _ in TABLE}) == 130


@pytest.mark.parametrize(("name", "function"), [row[:2] for row in TABLE], ids=str)
def test_every_function_is_of_its_class(name: str, function: str) -> None:
    interface, _, func = function.partition("#")
    found = {
        f"%{one}" for one in CLASSES if SiteSet.parse(f"%{one}")("import", interface, "0.3.0", func)
    }
    assert found == {"-": set(), "%dns": {"%dns", "%net"}}.get(name, {name})
    for line in found:
        assert all(denies(line, function, version) for version in DRAFTS)


@pytest.mark.parametrize(("new", "old"), RENAMED, ids=lambda pair: str(pair))
def test_either_name_denies_both(new: str, old: str) -> None:
    for line in (old, interface_of(old), f"{interface_of(old)}@0.3"):
        assert all(denies(line, new, version) for version in DRAFTS), line
    if (interface_of(new), interface_of(old)) != (
        "wasi:http/handler",
        "wasi:http/outgoing-handler",
    ):
        for line in (new, interface_of(new), f"{interface_of(new)}@0.2"):
            assert all(denies(line, old, version) for version in ("0.2.0", "0.2.12")), line


@pytest.mark.parametrize(("new", "old"), RENAMED, ids=lambda pair: str(pair))
def test_a_version_says_which_is_meant(new: str, old: str) -> None:
    interface, _, func = old.partition("#")
    if interface != interface_of(new):
        assert not denies(f"{interface}@0.2#{func}", new, "0.3.0")
        interface, _, func = new.partition("#")
        assert not denies(f"{interface}@0.3#{func}", old, "0.2.0")


def test_what_has_a_name_in_one_release_only_is_known() -> None:
    assert [new for _, new, olds in TABLE if not olds] == [
        "wasi:http/types#request-options.clone",
        "wasi:http/types#request.get-options",
    ]


def test_a_denial_means_nothing_else() -> None:
    for line, function in (
        ("wasi:sockets/tcp", "wasi:sockets/types#udp-socket.send"),
        ("wasi:sockets/udp", "wasi:sockets/types#tcp-socket.connect"),
        ("wasi:http/incoming-handler", "wasi:http/client#send"),
        ("wasi:clocks/wall-clock", "wasi:clocks/monotonic-clock#now"),
        ("wasi:filesystem/types#descriptor.read", "wasi:filesystem/types#descriptor.stat"),
        ("wasi:clocks/monotonic-clock#subscribe-instant", "wasi:clocks/monotonic-clock#now"),
        ("wasi:cli/stdin#get-stdin", "wasi:cli/stdout#write-via-stream"),
        ("acme:http/outgoing-handler", "wasi:http/client#send"),
    ):
        assert not denies(line, function, "0.3.0"), (line, function)
    assert not denies("wasi:http/handler", "wasi:http/outgoing-handler#handle", "0.2.0")


@pytest.mark.parametrize(
    "line",
    ["%net", "wasi:sockets/*", "wasi:sockets/types", "wasi:sockets/tcp", "wasi:sockets/udp",
     "wasi:sockets/network", "wasi:sockets/instance-network", "wasi:sockets/{tcp,udp}*"],
)  # fmt: skip
def test_a_function_that_nobody_knows_is_judged_as_its_interface(line: str) -> None:
    assert denies(line, "wasi:sockets/types#conjure", "0.3.9")
    assert denies("wasi:http/outgoing-handler", "wasi:http/client#send-later", "0.3.0")


@pytest.mark.parametrize(
    ("line", "name", "function"),
    [
        ("wasi:http/outgoing-handler", "wasi:http/client@0.3.0", "send"),
        ("wasi:http/outgoing-handler", "wasi:http/CLIENT@0.3.0", "send"),
        ("wasi:http/outgoing-handler", "wasi:http/handler@0.3.0-rc-2026-01-06", "handle"),
        ("wasi:sockets/instance-network", "wasi:sockets/types@0.3.0", "frob"),
        ("wasi:clocks/system-clock", "wasi:clocks/wall-clock@0.2.0", "now"),
        ("wasi:http/outgoing-handler#handle", "wasi:http/client@0.3.0", "send"),
    ],
)
def test_components_are_judged_so(line: str, name: str, function: str) -> None:
    data = component({name: (function,)})
    denied = judge(data, f"imports: {{default: allow, deny: ['{line}']}}")
    assert DENIED & rules(denied)
    (message,) = (one.message for one in denied.all() if one.rule in DENIED)
    assert message.endswith(f'matches "{line}", as the other release of WASI has it')
    assert judge(data, f"imports: {{default: deny, allow: ['{line}']}}").failed
    assert not DENIED & rules(judge(data, "imports: {default: allow, deny: ['%dns']}"))
    assert "WCM011" in rules(judge(data, f"imports: {{default: allow, warn: ['{line}']}}"))


def test_exports_are_forbidden_by_either_name() -> None:
    more = '(instance $h (export "handle" (func $run))) (export "wasi:http/%s" (instance $h))'
    for name, line in (
        ("handler@0.3.0", "wasi:http/incoming-handler"),
        ("incoming-handler@0.2.0", "wasi:http/handler"),
    ):
        data = component({}, more=more % name)
        assert "WCM031" in rules(judge(data, f"exports: {{forbid: ['{line}']}}"))
        assert "WCM031" not in rules(judge(data, f"exports: {{forbid: ['{line}@1.0']}}"))
        assert "WCM030" in rules(judge(data, f"exports: {{require: ['{line}']}}"))


# what calls are about

APP = component({})
HTTP, FILES, SOCKETS = "wasi:http/types#", "wasi:filesystem/types#", "wasi:sockets/types#"


def found(permissions: str, *records: dict) -> set[tuple[str, str]]:
    """What is said of values; each record is of a log of 0.3.0."""
    text = f"permissions: {{{permissions}}}"
    report = judge(APP, text, tuple({**one, "version": "0.3.0"} for one in records))
    return {one for one in said(report) if one[0] in ("WCM060", "WCM061", "WCM062", "WCM063")}


def v4(*parts: int, port: int = 80) -> dict:
    return {"ipv4": {"port": port, "address": list(parts)}}


def later(number: int, func: str, result: object, **more: object) -> tuple[dict, ...]:
    """An asynchronous call whose result comes some time after its status."""
    opened, closed = call(number, func, result, **more)
    return opened, {**closed, "result": None, "pending": True, "status": 17}, closed


def request(authority: object, number: int = 10, handle: int = 7) -> tuple[dict, ...]:
    return (
        *call(number, HTTP + "request.new", [handle, 3]),
        *call(number + 1, HTTP + "request.set-scheme", {"ok": None}, self=handle,
              args={"scheme": {"HTTP": None}}),
        *call(number + 2, HTTP + "request.set-authority", {"ok": None}, self=handle,
              args={"authority": authority}),
    )  # fmt: skip


def sent(handle: int = 7, to: str = "wasi:http/client#send") -> tuple[dict, ...]:
    return later(40, to, {"ok": 9}, args={"request": handle})


NET, FS, ENV = "network: {allow: []}", "storage: {allow: []}", "environment: {allow: []}"


def test_requests() -> None:
    told = {("WCM060", "evil.example:80")}
    assert found(NET, *request("evil.example"), *sent()) == told
    assert found(NET, *request("evil.example"), *sent(to="wasi:http/handler#handle")) == told
    assert found(NET, *request("evil.example"), *sent(to="wasi:http/client#send-later")) == told
    assert found(NET, *request("evil.example")) == told  # nobody saw it being sent
    assert (
        found("network: {allow: [{host: evil.example}]}", *request("evil.example"), *sent())
        == set()
    )
    assert {rule for rule, _ in found(NET, *request({"~redacted": 3}), *sent())} == {"WCM063"}
    assert found(NET, *sent()) == {("WCM063", "network:wasi:http/client#send")}


def came_in(handle: int = 4) -> dict:
    return record("wasi:http/handler#handle", edge="export", args={"request": handle})


def test_a_request_that_came_in_may_go_to_the_next_handler_unread() -> None:
    handed = later(40, "wasi:http/handler#handle", {"ok": 9}, args={"request": 4})
    assert found(NET, came_in(), *handed) == set()
    assert found(NET, came_in(), *request("evil.example", handle=4), *handed) == {
        ("WCM060", "evil.example:80")  # another one by the same number
    }
    draft = judge(
        APP,
        f"permissions: {{{NET}}}",
        tuple({**one, "version": "0.3.0-rc-2025-08-15"} for one in handed),
    )
    assert ("WCM063", "network:wasi:http/handler#handle") in said(draft)  # as one sent things out
    out = later(41, "wasi:http/client#send", {"ok": 9}, args={"request": 4})
    asked = call(42, HTTP + "request.get-authority", "a.example:81", self=4)
    assert found(NET, came_in(), *out) == {("WCM063", "network:wasi:http/client#send")}
    assert found(NET, came_in(), *asked, *out) == {("WCM060", "a.example:81")}


def test_sockets() -> None:
    told = {("WCM060", "10.0.0.1:80")}
    address = {"remote-address": v4(10, 0, 0, 1)}
    for func in ("tcp-socket.connect", "udp-socket.connect"):
        assert found(NET, *later(1, SOCKETS + func, {"ok": None}, self=2, args=address)) == told
    data = {"data": {"~b64": "AA==", "~cut": 9000}}
    send = SOCKETS + "udp-socket.send"
    assert found(NET, *later(1, send, {"ok": None}, self=2, args={**data, **address})) == told
    connected = {**data, "remote-address": None}
    assert found(NET, *later(1, send, {"ok": None}, self=2, args=connected)) == set()
    bound = {"local-address": v4(10, 0, 0, 1)}
    assert (
        found(NET, *call(1, SOCKETS + "tcp-socket.bind", {"ok": None}, self=2, args=bound)) == set()
    )
    unknown = {"target": {"some": [v4(10, 0, 0, 1)]}, "cut": {"~list": [], "~cut": 4}}
    assert found(NET, record(SOCKETS + "tcp-socket.conjure", args=unknown)) == {
        *told,
        ("WCM063", f"network:{SOCKETS}tcp-socket.conjure"),
    }


def test_lookups_and_what_they_gave() -> None:
    lookup = "wasi:sockets/ip-name-lookup#"
    asked = later(1, lookup + "resolve-addresses", {"ok": [{"ipv4": [10, 0, 0, 1]}]},
                  args={"name": "a.example"})  # fmt: skip
    connect = later(2, SOCKETS + "tcp-socket.connect", {"ok": None}, self=2,
                    args={"remote-address": v4(10, 0, 0, 1)})  # fmt: skip
    assert found(NET, *asked) == {("WCM060", "a.example")}
    assert found("network: {allow: [{host: a.example}]}", *asked, *connect) == set()
    assert found(NET, record(lookup + "look-around", args={})) == {
        ("WCM063", f"network:{lookup}look-around")
    }


def opened(*flags: str, to: str = "a/b.txt") -> tuple[dict, ...]:
    return (
        *call(1, "wasi:filesystem/preopens#get-directories", [[1, "/data"]]),
        *later(2, FILES + "descriptor.open-at", {"ok": 5}, self=1,
               args={"path-flags": [], "path": to, "open-flags": [], "flags": list(flags)}),
    )  # fmt: skip


R, W, BELOW = ("/data/a", "read"), ("/data/a", "write"), ("/data/a/b", "write")


@pytest.mark.parametrize(
    ("func", "args", "uses"),
    [
        ("read-via-stream", {"offset": 0}, {R}),
        ("write-via-stream", {"data": 3, "offset": 0}, {R, W}),
        ("append-via-stream", {"data": 3}, {R, W}),
        ("read-directory", {}, {R}),
        ("set-times", {}, {R, W}),
        ("unlink-file-at", {"path": "b"}, {R, BELOW}),
        ("rename-at", {"old-path": "b", "new-descriptor": 1, "new-path": "c"},
         {R, BELOW, ("/data/c", "write")}),
        ("get-flags", {}, {R}),
    ],
)  # fmt: skip
def test_files(func: str, args: dict, uses: set[tuple[str, str]]) -> None:
    use = later(3, f"{FILES}descriptor.{func}", {"ok": None}, self=5, args=args)
    seen = gather((*opened("read", to="a"), *use)).uses
    assert {(path, one.access) for one in seen.files for path in one.paths} == uses
    assert not seen.unclear
    assert {rule for rule, _ in found(FS, *opened("read", to="a"), *use)} == {"WCM061"}


def test_a_method_that_nobody_knows_cannot_be_judged() -> None:
    use = record(f"{FILES}descriptor.conjure", self=5, args={})
    told = ("WCM063", f"storage:{FILES}descriptor.conjure")
    assert told in found(FS, *opened("read"), use)
    assert found(ENV, record("wasi:cli/environment#conjure", args={})) == {
        ("WCM063", "environment:wasi:cli/environment#conjure")
    }


def test_the_environment() -> None:
    pairs = call(1, "wasi:cli/environment#get-environment", [["A", {"~redacted": 2}]])
    assert found(ENV, *pairs) == {("WCM062", "A")}
    for func in ("get-arguments", "get-initial-cwd"):
        assert found(ENV, *call(1, f"wasi:cli/environment#{func}", None)) == set()
