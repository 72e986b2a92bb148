"""Permissions and budgets against logs: what is seen is judged, whatever its spelling."""

from __future__ import annotations

import pytest

from tests.gate.making import call, component, judge, record, rules, said
from whamm_cm.gate.evidence import gather

APP = component({})
NET = "permissions:\n  network:\n    allow: [%s]\n"
TCP = "wasi:sockets/tcp#tcp-socket.start-connect"
HANDLE = "wasi:http/outgoing-handler#handle"


def v4(*parts: int, port: int = 443) -> dict:
    return {"remote-address": {"ipv4": {"port": port, "address": list(parts)}}}


def v6(*parts: int, port: int = 443) -> dict:
    address = {"port": port, "flow-info": 0, "address": list(parts), "scope-id": 0}
    return {"remote-address": {"ipv6": address}}


def request(authority: object, scheme: object = None, number: int = 1) -> tuple[dict, ...]:
    """The records of an outgoing request of WASI 0.2."""
    types = "wasi:http/types#outgoing-request."
    return (
        *call(number, types + "new", 7),
        *call(number + 1, types + "set-authority", {"ok": None}, self=7,
              args={"authority": authority}),
        *call(number + 2, types + "set-scheme", {"ok": None}, self=7, args={"scheme": scheme}),
        record(HANDLE, call=number + 3, args={"request": 7, "options": None}),
    )  # fmt: skip


def lookup(name: str, *address: int, number: int = 50) -> tuple[dict, ...]:
    """A name and the address it has."""
    stream = "wasi:sockets/ip-name-lookup#"
    return (
        *call(number, stream + "resolve-addresses", {"ok": 3}, args={"network": 1, "name": name}),
        *call(number + 1, stream + "resolve-address-stream.resolve-next-address",
              {"ok": {"ipv4": list(address)}}, self=3),
    )  # fmt: skip


def net(records: tuple[dict, ...], *hosts: str) -> set[tuple[str, str]]:
    text = NET % ", ".join(hosts) if hosts else NET % ""
    found = said(judge(APP, text, records))
    return {one for one in found if one[0] in ("WCM060", "WCM063")}


@pytest.mark.parametrize(
    ("authority", "hosts"),
    [
        ("api.stripe.com", ["{host: api.stripe.com}"]),
        ("API.STRIPE.com.", ["{host: api.stripe.com}"]),
        ("api.stripe.com:443", ["{host: 'api.stripe.com:443'}"]),
        ("a.b.acme.example", ["{host: '*.acme.example'}"]),
        ("bücher.example", ["{host: xn--bcher-kva.example}"]),
        ("xn--bcher-kva.example", ["{host: bücher.example}"]),
        ("10.1.2.3:8080", ["{cidr: 10.0.0.0/8}"]),
        ("[2001:db8::7]:80", ["{cidr: '2001:db8::/32'}"]),
        ("anything.example", ["{host: '*'}"]),
        ("api.stripe.com", ["{host: api.stripe.com, ports: [443]}"]),  # HTTPS by default
    ],
)
def test_allowed_hosts(authority: str, hosts: list[str]) -> None:
    assert net(request(authority), *hosts) == set()


@pytest.mark.parametrize(
    ("authority", "hosts", "item"),
    [
        ("evil.example", ["{host: api.stripe.com}"], "evil.example:443"),
        ("api.stripe.com@evil.example", ["{host: api.stripe.com}"], "evil.example:443"),
        (
            "api.stripe.com.evil.example",
            ["{host: api.stripe.com}"],
            "api.stripe.com.evil.example:443",
        ),
        ("acme.example", ["{host: '*.acme.example'}"], "acme.example:443"),
        ("notacme.example", ["{host: '*.acme.example'}"], "notacme.example:443"),
        ("api.stripe.com:8443", ["{host: api.stripe.com, ports: [443]}"], "api.stripe.com:8443"),
        ("аpi.stripe.com", ["{host: api.stripe.com}"], "xn--pi-6kc.stripe.com:443"),
        ("11.0.0.1", ["{cidr: 10.0.0.0/8}"], "11.0.0.1:443"),
        ("evil.example", [], "evil.example:443"),
    ],
)
def test_other_hosts(authority: str, hosts: list[str], item: str) -> None:
    assert net(request(authority), *hosts) == {("WCM060", item)}


@pytest.mark.parametrize(
    "authority",
    ["127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "[::ffff:127.0.0.1]",
     "[::ffff:7f00:1]", "127.0.0.1.", "u@127.0.0.1:443", "[::127.0.0.1]", "１27.0.0.1"],
)  # fmt: skip
def test_a_denied_address_in_every_spelling(authority: str) -> None:
    text = "permissions: {network: {deny: [{cidr: 127.0.0.0/8}]}}\nrules: {WCM022: off}"
    assert said(judge(APP, text, request(authority))) == [("WCM060", "127.0.0.1:443")]


def test_denied_beats_allowed_and_only_a_denial_leaves_the_rest_open() -> None:
    text = "permissions: {network: {allow: [{host: '*'}], deny: [{host: '*.evil.example'}]}}"
    text += "\nrules: {WCM022: off}"
    assert rules(judge(APP, text, request("a.evil.example"))) == {"WCM060"}
    assert rules(judge(APP, text, request("b.example"))) == set()


def test_plain_http_has_another_port() -> None:
    allowed = "{host: a.example, ports: [443]}"
    assert net(request("a.example", {"HTTPS": None}), allowed) == set()
    assert net(request("a.example", {"HTTP": None}), allowed) == {("WCM060", "a.example:80")}
    assert net(request("a.example", {"other": "http"}), allowed) == {("WCM060", "a.example:80")}


@pytest.mark.parametrize("authority", [{"~redacted": 9}, {"~cut": 99, "~str": "api"}, None, "a b"])
def test_a_request_to_nobody_knows_where(authority: object) -> None:
    assert net(request(authority), "{host: '*'}") == {("WCM063", f"network:{HANDLE}")}


def test_requests_of_wasi_0_3() -> None:
    records = (
        *call(1, "wasi:http/types#request.new", [4, 5], args={"headers": 1}),
        *call(2, "wasi:http/types#request.set-authority", {"ok": None}, self=4,
              args={"authority": "evil.example"}),
        record("wasi:http/client#send", call=3, args={"request": 4}),
    )  # fmt: skip
    assert net(records, "{host: a.example}") == {("WCM060", "evil.example:443")}


def test_a_request_that_was_never_seen_leaving_counts() -> None:
    records = request("evil.example")[:-1]
    assert net(records, "{host: a.example}") == {("WCM060", "evil.example:443")}


@pytest.mark.parametrize(
    ("args", "item"),
    [
        (v4(127, 0, 0, 1), "127.0.0.1:443"),
        (v6(0, 0, 0, 0, 0, 0xFFFF, 0x7F00, 1), "127.0.0.1:443"),
        (v6(0x2001, 0xDB8, 0, 0, 0, 0, 0, 1), "[2001:db8::1]:443"),
        ({"datagrams": [{"data": {"~b64": ""}, **v4(9, 9, 9, 9, port=53)}]}, "9.9.9.9:53"),
    ],
)
def test_addresses_of_sockets(args: dict, item: str) -> None:
    assert net((record(TCP, self=1, args=args),), "{cidr: 10.0.0.0/8}") == {("WCM060", item)}


def test_an_address_counts_as_the_name_that_gave_it() -> None:
    records = (*lookup("api.example", 9, 9, 9, 9), record(TCP, call=60, args=v4(9, 9, 9, 9)))
    assert net(records, "{host: api.example}") == set()
    assert net(records, "{host: api.example, ports: [443]}") == set()
    assert net(records, "{host: api.example, ports: [80]}") == {("WCM060", "9.9.9.9:443")}
    assert net(records, "{host: b.example}") == {
        ("WCM060", "api.example"), ("WCM060", "9.9.9.9:443"),
    }  # fmt: skip


def test_another_name_does_not_lend_its_address() -> None:
    """Who controls a name could point it at an address that is somebody else's."""
    shared = (
        *lookup("good.example", 9, 9, 9, 9),
        *lookup("evil.example", 9, 9, 9, 9, number=70),
        record(TCP, call=80, args=v4(9, 9, 9, 9)),
    )
    assert ("WCM060", "9.9.9.9:443") in net(shared, "{host: good.example}")


def test_calls_between_components_inside_are_nobody_elses_business() -> None:
    inner = record(TCP, edge="inner", args=v4(9, 9, 9, 9))
    assert net((inner,), "{host: a.example}") == set()


# files

FS = "wasi:filesystem/types#descriptor."
PREOPENS = call(1, "wasi:filesystem/preopens#get-directories", [[3, "/data"], [4, "."]])


def opened(path: object, *flags: str, handle: int = 3, result: int = 9) -> tuple[dict, ...]:
    args = {"path-flags": [], "path": path, "open-flags": [], "flags": list(flags)}
    return call(2, FS + "open-at", {"ok": result}, self=handle, args=args)


def fs(records: tuple[dict, ...], *lines: str, deny: str = "") -> set[tuple[str, str]]:
    text = f"permissions:\n  storage:\n    allow: [{', '.join(lines)}]\n    deny: [{deny}]\n"
    return {one for one in said(judge(APP, text, (*PREOPENS, *records))) if one[0] != "WCM022"}


READ = '{uri: "fs:///data/**", access: [read]}'


@pytest.mark.parametrize("path", ["a", "a/b/c", "./a", "x/../a", "a//b", "."])
def test_allowed_paths(path: str) -> None:
    assert fs(opened(path, "read"), READ) == set()


@pytest.mark.parametrize(
    ("path", "whole"),
    [
        ("../etc/passwd", "/etc/passwd"),
        ("a/../../etc", "/etc"),
        ("/etc/passwd", "/etc/passwd"),
        ("../data2/a", "/data2/a"),
        ("..\\etc", "/data/..\\etc"),
    ],
)
def test_paths_outside(path: str, whole: str) -> None:
    assert fs(opened(path, "read"), READ) == {("WCM061", f"fs://{whole}")}


def test_reading_is_not_writing() -> None:
    assert fs(opened("a", "read", "write"), READ) == {("WCM061", "fs:///data/a")}
    created = call(2, FS + "create-directory-at", {"ok": None}, self=3, args={"path": "d"})
    assert fs(created, READ) == {("WCM061", "fs:///data/d")}


def test_paths_are_followed_through_descriptors() -> None:
    records = (
        *opened("sub", "read"),
        *opened("../../secret", "read", handle=9, result=10),
        *call(5, FS + "read-via-stream", {"ok": 11}, self=10),
    )
    assert fs(records, READ) == {("WCM061", "fs:///secret")}


def test_two_paths_of_a_rename() -> None:
    args = {"old-path": "a", "new-descriptor": 4, "new-path": "b"}
    renamed = call(2, FS + "rename-at", {"ok": None}, self=3, args=args)
    write = '{uri: "fs:///data/**", access: [read, write]}'
    assert fs(renamed, write) == {("WCM061", "fs:///b")}


@pytest.mark.parametrize("path", ["secret/key", "SECRET/Key", "x/../secret/key", "secret//key"])
def test_denied_paths_in_every_spelling(path: str) -> None:
    deny = '{uri: "fs:///data/secret/**", access: [read, write]}'
    assert len(fs(opened(path, "read"), READ, deny=deny)) == 1


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("fs:///data/*.txt", "a.txt", True),
        ("fs:///data/*.txt", "b/a.txt", False),
        ("fs://data/**", "a", True),
        ("fs:///data/?", "a", True),
        ("fs:///data/**/z", "a/b/z", True),
        ("fs:///data/[a]", "a", False),
        ("fs:///", "a", False),
    ],
)
def test_patterns_of_paths(pattern: str, path: str, fits: bool) -> None:
    line = f'{{uri: "{pattern}", access: [read]}}'
    assert (fs(opened(path, "read"), line) == set()) is fits


def test_descriptors_from_nowhere_and_hidden_paths() -> None:
    item = ("WCM063", f"storage:{FS}open-at")
    assert fs(opened("a", "read", handle=77), READ) == {item}
    assert fs(opened({"~redacted": 3}, "read"), READ) == {item}


# environment


def environment(*keys: object) -> tuple[dict, ...]:
    pairs = [[key, {"~redacted": 3}] for key in keys]
    return call(1, "wasi:cli/environment#get-environment", pairs)


ENV = "permissions: {environment: {allow: [{key: LOG_LEVEL}]}}"


def test_environment_keys() -> None:
    assert rules(judge(APP, ENV, environment("LOG_LEVEL"))) <= {"WCM022"}
    assert ("WCM062", "SECRET") in said(judge(APP, ENV, environment("LOG_LEVEL", "SECRET")))
    assert ("WCM062", "log_level") in said(judge(APP, ENV, environment("log_level")))
    hidden = judge(APP, ENV, environment({"~redacted": 6}))
    assert ("WCM063", "environment:wasi:cli/environment#get-environment") in said(hidden)
    # Asked for twice, and read once; of two that were handed over, one is not known.
    seen = environment("LOG_LEVEL")
    assert not rules(judge(APP, ENV, (*environment({"~redacted": 6}), *seen))) & {
        "WCM062",
        "WCM063",
    }
    two = judge(APP, ENV, (*environment({"~redacted": 6}, {"~redacted": 3}), *seen))
    assert ("WCM063", "environment:wasi:cli/environment#get-environment") in said(two)
    denied = "permissions: {environment: {deny: [{key: secret}]}}"
    assert ("WCM062", "SECRET") in said(judge(APP, denied, environment("SECRET")))


def test_configuration_is_environment_too() -> None:
    got = call(1, "wasi:config/store#get", {"ok": None}, args={"key": "DB_PASSWORD"})
    assert ("WCM062", "DB_PASSWORD") in said(judge(APP, ENV, got))


# budgets

KV = "wasi:keyvalue/store#bucket.get"


def invocation(start: int, calls: int, dur: int = 1_000_000) -> tuple[dict, ...]:
    """One call of an export that makes ``calls`` calls."""
    export = {"edge": "export", "component": "", "call": start}
    entered = record("wasi:http/incoming-handler#handle", **export)
    inside = []
    for number in range(start + 1, start + 1 + calls):
        one, back = call(number, KV, {"ok": None}, self=1)
        inside += [one, {**back, "dur_ns": dur}]
    return (entered, *inside, {**entered, "phase": "return"})


def test_calls_per_invocation() -> None:
    text = "budgets:\n  'wasi:keyvalue/*#bucket.get': {max_calls_per_invocation: 3}"
    fine = (*invocation(1, 3), *invocation(10, 3))
    assert "WCM050" not in rules(judge(APP, text, fine))
    report = judge(APP, text, (*fine, *invocation(20, 4)))
    finding = next(one for one in report.all() if one.rule == "WCM050")
    assert finding.message.startswith("4 calls") and str(finding.location) == "p.yaml:3:3"


def test_the_99th_percentile() -> None:
    text = "budgets: {'wasi:keyvalue/*#bucket.get': {p99_ms: 2}}"
    fast = invocation(1, 198)
    assert "WCM051" not in rules(judge(APP, text, (*fast, *invocation(300, 2, 9_000_000))))
    assert "WCM051" in rules(judge(APP, text, (*fast, *invocation(300, 3, 9_000_000))))


def test_percentiles_are_nearest_rank() -> None:
    from whamm_cm.gate.evidence import Spending

    assert Spending().p99_ns is None
    assert Spending(times=[5]).p99_ns == 5
    assert Spending(times=list(range(1, 101))).p99_ns == 99
    assert Spending(times=list(range(1, 102))).p99_ns == 100


# what logs do not say


def test_without_logs_permissions_and_budgets_are_not_checked_and_that_is_said() -> None:
    text = ENV + "\nbudgets: {'wasi:x/y#z': {p99_ms: 1}}"
    waiting = [("WCM064", "permissions.environment"), ("WCM064", "wasi:x/y#z")]
    assert said(judge(APP, text)) == waiting
    assert said(judge(APP, text, ())) == waiting


def test_lost_records_are_said() -> None:
    lost = {"v": 1, "phase": "dropped", "instance": 1, "count": 5}
    assert "WCM065" in rules(judge(APP, ENV, (lost,)))
    counted = record(KV, phase="report", count=9)
    text = "budgets: {'wasi:keyvalue/*#bucket.get': {max_calls_per_invocation: 3}}"
    assert "WCM065" in rules(judge(APP, text, (counted,)))


def test_calls_nobody_can_reach_and_calls_of_others() -> None:
    data = component({"wasi:io/poll@0.2.3": ("poll", "other")}, calls="poll")
    seen = record("wasi:io/poll#other", version="0.2.3")
    assert ("WCM021", "wasi:io/poll@0.2.3#other") in said(judge(data, "judge: declared", (seen,)))
    stranger = record("wasi:io/poll#poll", version="0.9.0")
    assert ("WCM022", "wasi:io/poll@0.9.0#poll") in said(
        judge(data, "judge: declared", (stranger,))
    )


def test_logs_are_read_once_and_in_any_state() -> None:
    assert gather(iter(())).records == 0
    odd = (record("wasi:filesystem/preopens#get-directories", phase="return", result="what"),
           record("wasi:http/outgoing-handler#handle", args={}),
           record("wasi:sockets/ip-name-lookup#resolve-addresses", args={"name": 3}),
           record("wasi:config/store#get-all", phase="return", result={"ok": [3, []]}))  # fmt: skip
    assert {one.about for one in gather(odd).uses.unclear} == {"network", "environment"}
