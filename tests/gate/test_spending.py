"""What counts towards a budget, and what lists of permissions say about what was seen."""

from __future__ import annotations

import pytest

from tests.gate.making import call, judge, policy, record, rules, said
from tests.gate.test_values import APP, KV, TCP, invocation, lookup, net, v4
from whamm_cm.errors import UsageError
from whamm_cm.gate.evidence import gather
from whamm_cm.gate.model import Finding

BUDGET = "budgets: {'%s': {max_calls_per_invocation: %d}}"


def over(records: tuple[dict, ...], most: int, item: str = "wasi:keyvalue/*#bucket.get") -> bool:
    return "WCM050" in rules(judge(APP, BUDGET % (item, most), records))


# budgets


def test_no_call_is_within_any_budget() -> None:
    other = call(1, "acme:other/x#f")
    assert not over(other, 0) and over((*other, *call(2, KV)), 0)


def test_calls_of_other_functions_and_versions_are_not_counted() -> None:
    got = (
        *call(1, "acme:other/x#f"),
        *call(2, KV, version="0.2.0"),
        *call(3, KV, version="0.3.0"),
        *call(4, "wasi:keyvalue/store#bucket.set", version="0.2.0"),
    )
    for item, most in (
        ("wasi:keyvalue/store@0.2.0#bucket.get", 1),
        ("wasi:keyvalue/store@0.3.0#bucket.get", 1),
        ("wasi:keyvalue/store#bucket.*", 3),
        ("*", 4),
    ):
        assert over(got, most - 1, item) and not over(got, most, item), item


def test_a_version_that_nobody_wrote_down_may_be_any() -> None:
    assert over(call(1, KV), 0, "wasi:keyvalue/store@0.2.0#bucket.get")
    (budget,) = policy("budgets: {'wasi:keyvalue/store@0.2.0': {p99_ms: 1}}").budgets
    (spent,) = gather((record(KV, phase="report", count=9),), (budget,)).spending
    assert spent.counted == 9


def test_every_budget_is_counted_for_itself() -> None:
    text = (
        "budgets:\n  'a:b/c': {max_calls_per_invocation: 0}\n"
        "  '*#bucket.get': {max_calls_per_invocation: 0}\n  '*': {max_calls_per_invocation: 1}"
    )
    items = {one.item for one in judge(APP, text, call(1, KV)).all() if one.rule == "WCM050"}
    assert items == {"*#bucket.get"}


def test_a_task_that_is_over_is_an_invocation_of_its_own() -> None:
    """Numbers of tasks are used again."""

    def task(start: int) -> tuple[dict, ...]:
        entered = record("wasi:http/handler#handle", edge="export", call=start, task=1)
        calls = [call(start + number, KV, {"ok": None}, task=1) for number in (1, 2)]
        return (entered, *calls[0], *calls[1], {**entered, "phase": "exit"})

    assert over((*task(10), *task(20)), 1) and not over((*task(10), *task(20)), 2)


def test_calls_by_whose_return_alone_is_known_they_were() -> None:
    returns = [call(number, KV, {"ok": None})[1] for number in range(1, 5)]
    assert over(tuple(returns), 3) and not over(tuple(returns), 4)


def test_an_invocation_is_all_that_the_outermost_call_makes() -> None:
    """A composed component: what is in front calls what is behind it, twice."""

    def behind(start: int) -> tuple[dict, ...]:
        hop = record("acme:back/x#go", edge="inner", call=start)
        entered = record("acme:back/x#go", edge="export", call=start + 1, instance=2)
        calls = [call(start + number, KV, {"ok": None}, instance=2) for number in (2, 3)]
        ends = ({**entered, "phase": "return"}, {**hop, "phase": "return"})
        return (hop, entered, *calls[0], *calls[1], *ends)

    front = record("wasi:http/incoming-handler#handle", edge="export", call=1)
    made = (front, *behind(10), *behind(20), {**front, "phase": "return"}, *invocation(30, 3))
    assert over(made, 3) and not over(made, 4)


def test_calls_without_times_have_no_percentile() -> None:
    text = "budgets: {'wasi:keyvalue/*#bucket.get': {p99_ms: 0.001}}"
    untimed, timed = call(1, KV, {"ok": None}), call(3, KV, {"ok": None})
    assert "WCM051" not in rules(judge(APP, text, untimed))
    slow = (*untimed, timed[0], {**timed[1], "dur_ns": 5000})
    report = judge(APP, text, slow)
    (one,) = [one for one in report.all() if one.rule == "WCM051"]
    assert one.message.startswith("99 % of 1 calls took up to 0.005 ms")


def test_counts_in_reports_are_by_budget() -> None:
    budgets = policy(
        "budgets: {'wasi:keyvalue/store@0.2.0': {p99_ms: 1}, 'a:b/c': {p99_ms: 1},"
        " '*': {p99_ms: 1}}"
    ).budgets
    reports = [
        record(KV, phase="report", count=9, version="0.2.0"),
        record(KV, phase="report", count=5, version="0.3.0"),
        record("a:b/c#f", phase="report", count=2),
    ]
    assert [one.counted for one in gather(reports, budgets).spending] == [9, 2, 16]


# permissions


def connect(*address: int) -> tuple[dict, ...]:
    return (record(TCP, call=90, args=v4(*address)),)


def test_a_list_of_denials_alone_lets_everything_else_through() -> None:
    deny = "permissions: {network: {deny: [{cidr: 10.0.0.0/8}]}}"
    assert "WCM060" in rules(judge(APP, deny, connect(10, 1, 1, 1)))
    assert "WCM060" not in rules(judge(APP, deny, connect(9, 9, 9, 9)))
    deny = "permissions: {environment: {deny: [{key: SECRET}]}}"
    got = call(1, "wasi:config/store#get", {"ok": "x"}, args={"key": "LANG"})
    assert "WCM062" not in rules(judge(APP, deny, got))
    got = call(1, "wasi:config/store#get", {"ok": "x"}, args={"key": "SECRET"})
    assert ("WCM062", "SECRET") in said(judge(APP, deny, got))


@pytest.mark.parametrize(
    ("hosts", "good"),
    [
        (("{host: a.example}", "{host: b.example}"), True),
        (("{host: b.example}", "{host: a.example}"), True),
        (("{host: b.example}",), False),
        (("{host: 'a.example:1'}",), False),
    ],
)
def test_an_address_by_the_name_that_gave_it(hosts: tuple[str, ...], good: bool) -> None:
    seen = (*lookup("a.example", 9, 9, 9, 9), *connect(9, 9, 9, 9))
    assert (("WCM060", "9.9.9.9:443") not in net(seen, *hosts)) is good


def test_a_file_that_any_line_allows_is_allowed() -> None:
    lines = "[{uri: 'fs:///a/**', access: [read]}, {uri: 'fs:///b/**', access: [read, write]}]"
    text = f"permissions: {{storage: {{allow: {lines}}}}}"
    types = "wasi:filesystem/types#descriptor.open-at"

    def opened(path: str, *flags: str) -> bool:
        root = call(1, "wasi:filesystem/preopens#get-directories", [[3, "/"]])
        args = {"path": path, "flags": list(flags)}
        made = call(2, types, {"ok": 4}, self=3, args=args)
        return "WCM061" not in rules(judge(APP, text, (*root, *made)))

    assert opened("a/x", "read") and opened("b/x", "read") and opened("b/x", "write")
    assert not opened("a/x", "write") and not opened("c/x", "read")


def test_by_which_call_an_address_was_reached_is_said() -> None:
    seen = (*lookup("a.example", 9, 9, 9, 9), *connect(9, 9, 9, 9))
    report = judge(APP, "permissions: {network: {allow: [{host: b.example}]}}", seen)
    messages = {
        one.item: one.message
        for one in report.all()
        if isinstance(one, Finding) and one.rule == "WCM060"
    }
    assert messages["9.9.9.9:443"] == (
        f"9.9.9.9:443 (a.example), by {TCP}, is not on the list of allowed hosts"
    )


@pytest.mark.parametrize("section", ["network", "storage", "environment"])
def test_without_logs_nothing_is_held_against_anybody(section: str) -> None:
    assert rules(judge(APP, f"permissions: {{{section}: {{allow: []}}}}")) == {"WCM064"}


# lines of permissions


def test_ports_of_a_line() -> None:
    for ports, port in (("[443]", 443), ("[80, 443]", 443), ("[443, 80]", 80)):
        seen = (record(TCP, call=90, args=v4(9, 9, 9, 9, port=port)),)
        other = (record(TCP, call=90, args=v4(9, 9, 9, 9, port=8080)),)
        line = f"{{cidr: 9.0.0.0/8, ports: {ports}}}"
        assert net(seen, line) == set() and net(other, line) == {("WCM060", "9.9.9.9:8080")}
        deny = f"permissions: {{network: {{deny: [{line}]}}}}"
        assert "WCM060" in rules(judge(APP, deny, seen))
        assert "WCM060" not in rules(judge(APP, deny, other))


@pytest.mark.parametrize(
    ("line", "good"),
    [
        ("{host: a.example, ports: [1, 65535]}", True),
        ("{host: a.example, ports: [65536, 1]}", False),
        ("{host: a.example, ports: [1, 65536]}", False),
        ("{host: a.example, ports: [0]}", False),
        ("{host: a.example, ports: []}", False),
        ("{host: '*.a.example'}", True),
        ("{host: 'a.*.example'}", False),
        ("{host: '*.10.0.0.1'}", False),
        ("{host: 'user@a.example'}", False),
        ("{host: 10.0.0.1}", True),
    ],
)
def test_what_a_line_of_the_network_may_be(line: str, good: bool) -> None:
    text = f"permissions: {{network: {{allow: [{line}]}}}}"
    if good:
        policy(text)
        return
    with pytest.raises(UsageError, match="p.yaml:2:"):
        policy(text)


@pytest.mark.parametrize(
    ("cidr", "reached"),
    [
        ("::ffff:0:0/96", True),
        ("::ffff:9.0.0.0/104", True),
        ("::ffff:9.9.9.9/128", True),
        ("::ffff:8.0.0.0/104", False),
    ],
)
def test_networks_of_mapped_addresses_are_those_of_version_4(cidr: str, reached: bool) -> None:
    assert (net(connect(9, 9, 9, 9), f"{{cidr: '{cidr}'}}") == set()) is reached


def test_a_host_that_is_an_address() -> None:
    assert net(connect(9, 9, 9, 9), "{host: 9.9.9.9}") == set()
    assert net(connect(9, 9, 9, 8), "{host: 9.9.9.9}") != set()


@pytest.mark.parametrize("key", ["A=B", "A,B", "!A", "%A", "A$", 'A"', " A", "A\\u0007", "A*"])
def test_keys_that_nothing_can_be_called(key: str) -> None:
    quoted = '"' + key.replace('"', '\\"') + '"'
    with pytest.raises(UsageError, match="p.yaml:2:"):
        policy(f"permissions: {{environment: {{deny: [{{key: {quoted}}}]}}}}")


@pytest.mark.parametrize("key", ["XDG_DATA_HOME", "a.b-c", "PATH", "ключ"])
def test_keys_that_something_may_be_called(key: str) -> None:
    section = policy(f"permissions: {{environment: {{deny: [{{key: {key}}}]}}}}").permissions
    assert section.environment is not None and section.environment.deny[0].key == key


def test_what_may_be_read_may_not_be_written() -> None:
    line = "{uri: 'fs:///data/**', access: [read]}"
    storage = policy(f"permissions: {{storage: {{deny: [{line}]}}}}").permissions.storage
    assert storage is not None
    (allow,) = storage.deny
    assert allow.covers("/data/x", "read") and not allow.covers("/data/x", "write")
    assert allow.denies("/DATA/x", "read") and not allow.denies("/data/x", "write")


# what records say of values


def test_addresses_that_a_lookup_gives_all_at_once() -> None:
    """As WASI 0.3 has it."""
    found = call(
        1, "wasi:sockets/ip-name-lookup#resolve-addresses",
        {"ok": [{"ipv4": [8, 8, 8, 8]}, {"ipv4": [9, 9, 9, 9]}]}, args={"name": "a.example"},
    )  # fmt: skip
    assert net((*found, *connect(9, 9, 9, 9)), "{host: a.example}") == set()
    assert net((*found, *connect(7, 7, 7, 7)), "{host: a.example}") == {("WCM060", "7.7.7.7:443")}


@pytest.mark.parametrize(
    ("value", "why"),
    [({"~redacted": 1}, "redacted"), ({"~cut": 1}, "cut off"), ({"~bad": 1}, "unreadable")],
)
def test_why_a_value_cannot_be_judged_is_said(value: object, why: str) -> None:
    asked = record("wasi:sockets/ip-name-lookup#resolve-addresses", args={"name": value})
    report = judge(APP, "permissions: {network: {allow: []}}", (asked,))
    (one,) = [one for one in report.all() if one.rule == "WCM063"]
    assert one.message.endswith(f"its name is {why}")


@pytest.mark.parametrize(
    ("phase", "key", "message"),
    [
        ("dropped", "count", "3 records were lost"),
        ("dropped", "lost", "an unknown number of records was lost"),
        ("lost", "lost", "3 records were lost"),
        ("lost", "count", "an unknown number of records was lost"),
    ],
)
def test_how_many_records_are_missing(phase: str, key: str, message: str) -> None:
    gone = {"v": 2, "phase": phase, "instance": 1, key: 3}
    (one,) = [one for one in judge(APP, "judge: declared", (gone,)).all() if one.rule == "WCM065"]
    assert one.message.startswith(message)


@pytest.mark.parametrize(
    ("flags", "access"),
    [
        ({"flags": ["read"]}, {"read"}),
        ({"flags": []}, {"read"}),
        ({"flags": ["write"]}, {"write"}),
        ({"flags": ["read", "write"]}, {"read", "write"}),
        ({"flags": ["mutate-directory"]}, {"write"}),
        ({"open-flags": ["create"]}, {"write"}),
        ({"open-flags": ["truncate"]}, {"write"}),
        ({"open-flags": ["directory"]}, {"read"}),
    ],
)
def test_what_a_file_is_opened_for(flags: dict[str, list[str]], access: set[str]) -> None:
    types = "wasi:filesystem/types#descriptor."
    root = call(1, "wasi:filesystem/preopens#get-directories", [[3, "/"]])
    opened = call(2, types + "open-at", {"ok": 4}, self=3, args={"path": "x", **flags})
    assert {one.access for one in gather((*root, *opened)).uses.files} == access


TYPES = "wasi:filesystem/types#descriptor."


@pytest.mark.parametrize(
    ("func", "args", "uses"),
    [
        ("readlink-at", {"path": "x"}, {("/d/x", "read")}),
        ("stat-at", {"path": "x"}, {("/d/x", "read")}),
        ("create-directory-at", {"path": "x"}, {("/d/x", "write")}),
        ("remove-directory-at", {"path": "x"}, {("/d/x", "write")}),
        ("unlink-file-at", {"path": "x"}, {("/d/x", "write")}),
    ],
)
def test_what_is_done_at_a_path(func: str, args: dict, uses: set[tuple[str, str]]) -> None:
    root = call(1, "wasi:filesystem/preopens#get-directories", [[3, "/d"]])
    done = call(2, TYPES + func, {"ok": None}, self=3, args=args)
    found = gather((*root, *done)).uses.files
    assert {(one.paths[0], one.access) for one in found} == uses


def test_a_connection_that_was_made_was_not_refused() -> None:
    socket = "wasi:sockets/tcp#tcp-socket."
    begun = call(1, socket + "start-connect", {"ok": None}, self=5, args=v4(9, 9, 9, 9))
    for result, refused in (
        ({"ok": [1, 2]}, False),
        ({"error": "would-block"}, False),
        ({"error": "connection-refused"}, True),
    ):
        ended = call(2, socket + "finish-connect", result, self=5)
        uses = gather((*begun, *ended)).uses
        assert [uses.refused(one) for one in uses.endpoints] == [refused], result


def test_a_lookup_that_is_answered_later() -> None:
    asked, answer = call(
        1, "wasi:sockets/ip-name-lookup#resolve-addresses",
        {"ok": [{"ipv4": [9, 9, 9, 9]}]}, args={"name": "a.example"},
    )  # fmt: skip
    later = {**answer, "result": None, "pending": True}
    seen = (asked, later, answer, *connect(9, 9, 9, 9))
    assert net(seen, "{host: a.example}") == set()


def test_the_server_of_a_tls_connection_is_an_endpoint() -> None:
    hello = call(1, "wasi:tls/types#client-handshake.new", 3, args={"server-name": "a.example"})
    assert {str(one.host) for one in gather(hello).uses.endpoints} == {"a.example"}
    assert gather(hello[1:]).uses.endpoints == {}
