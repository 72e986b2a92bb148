"""``permissions.network`` as functions of a script, and where they are asked.

Ports are bits: one for each port that the policy names, and the lowest for all others.  A line is
the bits it is about, so that what is allowed is ``|`` of lines, and what is denied ``&~``.  An
address is (high, low) of IPv6, or ``v4`` where it stands for an IPv4 address, in whatever form.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeAlias

from whamm_cm.errors import UsageError
from whamm_cm.gate.guard import Function, Guard, literal
from whamm_cm.gate.permissions import NetworkLine, Section
from whamm_cm.wit.types import RecordT, ValType, children, strip

#: More ports than that have no bits.
_MOST_PORTS = 60

_COMMON = """\
// permissions.network
var looked: bool;
var by_that: u64;
var not_by_that: u64;
var named: map<(u64, u64), u64>;
var refused: map<(u64, u64), u64>;
var allowing: map<handle, u64>;
var refusing: map<handle, u64>;
// The IPv4 address that an address stands for, above bit 32 a one; else zero.
fn v4_of(high: u64, low: u64) -> u64 {
    var last: u64 = (low & 0xFFFFFFFF) | 0x100000000;
    if (high == 0 && (low >> 32) == 0xFFFF) { return last; }
    if (high == 0 && (low >> 32) == 0 && (low & 0xFFFFFFFF) > 0xFFFF) { return last; }
    if (high == 0x0064FF9B00000000 && (low >> 32) == 0) { return last; }
    if (high == 0 && (low >> 32) == 0xFFFF0000) { return last; }
    if ((high >> 48) == 0x2002) { return ((high >> 16) & 0xFFFFFFFF) | 0x100000000; }
    return 0;
}
// Teredo, NAT64 of a network's own, ISATAP: who is at the other end cannot be told.
fn is_tunnel(high: u64, low: u64) -> bool {
    return (high >> 32) == 0x20010000 || (high >> 16) == 0x0064FF9B0001
        || ((low >> 32) & 0xFCFFFFFF) == 0x00005EFE;
}
fn by_name(high: u64, low: u64, bits: u64) -> u64 {
    var found: u64 = (high, low) in named ? bits | named[(high, low)] : bits;
    return found & ~refused[(high, low)];
}
fn learn(high: u64, low: u64, allow: u64, deny: u64) {
    var v4: u64 = v4_of(high, low);
    var h: u64 = v4 == 0 ? high : 0;
    var l: u64 = v4 == 0 ? low : (v4 & 0xFFFFFFFF) | 0xFFFF00000000;
    looked = true;
    named[(h, l)] = (h, l) in named ? named[(h, l)] & allow : allow;
    refused[(h, l)] = refused[(h, l)] | deny;
}
"""
_HOSTS = """\
// A host as it is written: "" for what readers could take for different ones.
fn plain(host: str) -> str {
    var found: str = host.lower();
    if (!found.matches("^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?[.]?$")) { return ""; }
    if (found.len() > 253 || found.contains("..")) { return ""; }
    if (found.ends_with(".")) { found = found.slice(0, (found.len() as i32) - 1); }
    return found;
}
fn is_number(host: str) -> bool { return host.matches("(^|[.])([0-9]+|0x[0-9a-f]*)$"); }
fn number(host: str) -> u64 {
    if (!host.matches("^(0|[1-9][0-9]{0,2})([.](0|[1-9][0-9]{0,2})){3}$")) { return 0; }
    var found: u64 = 1;
    for i in 0..4 {
        var part: i64 = host.split(".", i).to_int();
        if (part > 255) { return 0; }
        found = found << 8 | part as u64;
    }
    return found;
}
fn host_bits(host: str) -> u64 {
    if (host == "") { return 0; }
    if (is_number(host)) {
        var v4: u64 = number(host);
        return v4 == 0 ? 0 : v4_bits(v4 & 0xFFFFFFFF);
    }
    return allowed_name(host) & ~denied_name(host);
}
"""


def functions(section: Section[NetworkLine]) -> str:
    """The part that is the same at all functions, with the lines of the policy in it."""
    lines = [*(section.allow or ()), *section.deny]
    ports = tuple(dict.fromkeys(port for line in lines for port in line.ports))
    if len(ports) > _MOST_PORTS:
        raise UsageError(
            f"{section.location}: {len(ports)} ports; enforce knows {_MOST_PORTS} at most"
        )
    every = (1 << len(ports) + 1) - 1
    bits = {port: 2 << number for number, port in enumerate(ports)}
    body = "".join(f"    if (port == {port}) {{ return {bit}; }}\n" for port, bit in bits.items())
    parts = [f"fn bit_of(port: u32) -> u64 {{\n{body}    return 1;\n}}"]

    def of(line: NetworkLine) -> int:
        return sum(bits[port] for port in dict.fromkeys(line.ports)) if line.ports else every

    allowed, denied = (
        _tests([(line, of(line)) for line in given or ()])
        for given in (section.allow, section.deny)
    )
    start = 0 if section.allow is not None else every
    for word, tests, first in (("allowed", allowed, start), ("denied", denied, 0)):
        parts.append(_function(f"{word}_name(name: str)", tests[0], first))
    bit = "".join(f"    if (port == {port}) {{ bit = {bit}; }}\n" for port, bit in bits.items())
    for number, (name, params, args, key, before) in enumerate(_KINDS, 1):
        judged = _judged(allowed[number], denied[number], start, key)
        parts.append(f"fn {name}_bits({params}) -> u64 {{\n{before}{judged}    return bits;\n}}")
        parts.append(
            f"fn may_{name}({params}, port: u32) -> bool {{\n    var bit: u64 = 1;\n{bit}"
            f"    return ({name}_bits({args}) & bit) != 0;\n}}"
        )
    return _COMMON + "\n".join(parts) + "\n" + _HOSTS


#: The two kinds of addresses: name, parameters, arguments, key in the maps, what comes first.
_KINDS = (
    ("v4", "v4: u64", "v4", "0, v4 | 0xFFFF00000000", ""),
    ("v6", "high: u64, low: u64", "high, low", "high, low", """\
    var v4: u64 = v4_of(high, low);
    if (v4 != 0) { return v4_bits(v4 & 0xFFFFFFFF); }
    if (is_tunnel(high, low)) { return 0; }
"""),
)  # fmt: skip


def _judged(
    allowed: Iterable[tuple[str, int]], denied: Iterable[tuple[str, int]], start: int, key: str
) -> str:
    """Statements that leave ``bits``: in one function, for a call of another costs as much as they
    do."""
    return (
        f"    var bits: u64 = {start};\n"
        + "".join(f"    if ({test}) {{ bits = bits | {bit}; }}\n" for test, bit in allowed)
        + f"    if (looked) {{ bits = by_name({key}, bits); }}\n"
        + "".join(f"    if ({test}) {{ bits = bits & ~{bit}; }}\n" for test, bit in denied)
    )


_Tests: TypeAlias = "list[tuple[str, int]]"


def _tests(lines: Iterable[tuple[NetworkLine, int]]) -> tuple[_Tests, _Tests, _Tests]:
    """What has to hold for a line to be about a name, an IPv4 and an IPv6 address, and its bits."""
    names: _Tests = []
    v4: _Tests = []
    v6: _Tests = []
    for line, bits in lines:
        if line.name == "*":
            for one in (names, v4, v6):
                one.append(("true", bits))
        elif line.name.startswith("*."):
            names.append((f"name.ends_with({literal(line.name[1:])})", bits))
        elif line.name:
            names.append((f"name == {literal(line.name)}", bits))
        elif line.network is not None and line.network.version == 4:
            mask, base = int(line.network.netmask), int(line.network.network_address)
            v4.append((f"(v4 & {mask:#x}) == {base:#x}", bits))
        elif line.network is not None:
            mask, base = int(line.network.netmask), int(line.network.network_address)
            parts = [f"({word} & {m:#x}) == {b:#x}" for word, m, b in (
                ("high", mask >> 64, base >> 64), ("low", mask & _LOW, base & _LOW))]  # fmt: skip
            v6.append((" && ".join(parts), bits))
    return names, v4, v6


_LOW = (1 << 64) - 1


def _function(head: str, tests: Iterable[tuple[str, int]], start: int) -> str:
    body = "".join(f"    if ({test}) {{ bits = bits | {bits}; }}\n" for test, bits in tests)
    return f"fn {head} -> u64 {{\n    var bits: u64 = {start};\n{body}    return bits;\n}}"


def _halves(at: str) -> tuple[str, str]:
    """High and low of an address that is at a path."""
    six, four = f"{at}.ipv6", f"{at}.ipv4"
    high = f"({at} is ipv6 ? {_joined(six, range(4), 16)} : (0 as u64))"
    v4 = f"{_joined(four, range(4), 8)} | 0xFFFF00000000"
    return high, f"({at} is ipv6 ? {_joined(six, range(4, 8), 16)} : ({v4}))"


def _joined(at: str, places: Iterable[int], width: int) -> str:
    found = ""
    for place in places:
        part = f"({at}.{place} as u64)"
        found = f"({found} << {width} | {part})" if found else part
    return found


def _may(at: str) -> str:
    six, four = f"{at}.ipv6.address", f"{at}.ipv4.address"
    high, low = _joined(six, range(4), 16), _joined(six, range(4, 8), 16)
    v4 = f"may_v4({_joined(four, range(4), 8)}, {at}.ipv4.port as u32)"
    return f"({at} is ipv6 ? may_v6({high}, {low}, {at}.ipv6.port as u32) : {v4})"


_AUTHORITY = ("(arg1 is some && may_ask(arg1.some))", "arg1")
#: Where a request goes is its authority's to say: no path that is a whole URI, no other host.
_WITHOUT = {
    "set-path-with-query": ('(!(arg1 is some) || arg1.some.matches("^($|[/?*])"))', "arg1"),
    "fields.set": ('arg1.lower() != "host"', "arg1"),
    "fields.append": ('arg1.lower() != "host"', "arg1"),
    "fields.from-list": ("hostless", "len(arg0)"),
}
#: Functions that are judged, by release: what has to hold, what the line shows.
_ASKED = {
    "0.2": {
        "tcp-socket.start-connect": (_may("arg2"), "arg2"),
        "udp-socket.stream": (f"(!(arg1 is some) || {_may('arg1.some')})", "arg1"),
        "resolve-addresses": ("host_bits(asked) != 0", "arg1"),
        "outgoing-request.set-authority": _AUTHORITY,
        "outgoing-datagram-stream.send": ("sends", "len(arg1)"),
        "handle": ("may_go", "arg0"),
    },
    "0.3": {
        "tcp-socket.connect": (_may("arg1"), "arg1"),
        "udp-socket.connect": (_may("arg1"), "arg1"),
        "udp-socket.send": (f"(!(arg2 is some) || {_may('arg2.some')})", "arg2"),
        "resolve-addresses": ("(host_bits(asked) != 0 && denied_name(asked) == 0)", "arg0"),
        "request.set-authority": _AUTHORITY,
        "send": ("may_go", "arg0"),
    },
}
_SENDS = f"""\
var sends: bool = len(arg1) <= 1024;
    if (sends) {{ for one in arg1 {{
        if (one.remote_address is some && !{_may("one.remote_address.some")}) {{ sends = false; }}
    }} }}"""
_HOSTLESS = """\
var hostless: bool = len(arg0) <= 1024;
    if (hostless) { for one in arg0 { if (one.0.lower() == "host") { hostless = false; } } }"""
# A name as it was when it was judged: the answer may be written over it.
_ASKS_FOR = """\
var asked: str = plain({});
    not_by_that = denied_name(asked);
    by_that = is_number(asked) || asked == "" ? (0 as u64) : allowed_name(asked) | not_by_that;"""
_SETUP = {
    "outgoing-datagram-stream.send": _SENDS,
    "fields.from-list": _HOSTLESS,
    "resolve-addresses": _ASKS_FOR,
}
#: What is kept of a call that was let through, of functions by their names in 0.2.
_KEPT = {
    "resolve-addresses": (
        "if (result is ok && by_that != 0) {"
        " allowing[handle(result.ok)] = by_that & ~not_by_that;"
        " refusing[handle(result.ok)] = not_by_that; }"
    ),
    "resolve-address-stream.resolve-next-address": (
        "if (self in allowing && result is ok && result.ok is some)"
        f" {{ learn({', '.join(_halves('result.ok.some'))}, allowing[self], refusing[self]); }}"
    ),
    "outgoing-request.set-authority": (
        "if (result is ok) { bits_of[self] = host_bits(plain(host_of(arg1.some)));"
        " port_of[self] = port_in(arg1.some); }"
    ),
    "outgoing-request.set-scheme": (
        "if (result is ok) { usual_port[self] = arg1 is some && !(arg1.some is HTTPS)"
        " ? (arg1.some is HTTP ? 80 : 0) : 443; }"
    ),
    "outgoing-request.new": "usual_port[handle(result)] = 443;",
}
#: And in 0.3, where an address that was looked up counts as no name: the list of them lies in the
#: memory of the program before it is known that it does.
_KEPT_LATER = {
    "request.set-authority": _KEPT["outgoing-request.set-authority"],
    "request.set-scheme": _KEPT["outgoing-request.set-scheme"],
    "request.new": "usual_port[handle(result.0)] = 443;",
}
_REQUESTS = """\
var bits_of: map<handle, u64>;
var port_of: map<handle, u32>;
// Where no port is said: what the scheme means, 0 where that is not known.
var usual_port: map<handle, u32>;
var may_go: bool;
fn host_of(authority: str) -> str {
    if (!authority.matches("^[A-Za-z0-9_.-]+(:[0-9]{1,5})?$")) { return ""; }
    return authority.split(":", 0);
}
fn port_in(authority: str) -> u32 {
    var at: i32 = authority.find(":");
    return at < 0 ? 0 : authority.slice(at + 1, authority.len() as i32).to_int() as u32;
}
// With a port in it as it is, else as one of the two that it may come to be.
fn may_ask(authority: str) -> bool {
    var port: u32 = port_in(authority);
    var wanted: u64 = port == 0 ? bit_of(80) | bit_of(443) : bit_of(port);
    return (host_bits(plain(host_of(authority))) & wanted) != 0;
}
fn may_send(request: u32) -> bool {
    var port: u32 = port_of[request] == 0 ? usual_port[request] : port_of[request];
    return request in usual_port && port != 0 && (bits_of[request] & bit_of(port)) != 0;
}
"""
#: Functions of an interface that take an address and are not judged: it is the program's own.
_OWN = ("tcp-socket.start-bind", "udp-socket.start-bind", "tcp-socket.bind", "udp-socket.bind")


def add_network(guard: Guard, section: Section[NetworkLine], called: Iterable[Function]) -> None:
    """Ask where the program connects, sends, looks names up and makes requests.

    Raises UsageError where a function of these interfaces is of a release that is not known here.
    """
    why = f"{os.path.basename(section.location.file)}:{section.location.line}: permissions.network"
    found = [one for one in called if one.names[0][0].startswith(_JUDGED)]
    for one in found:
        _check_known(one, section)
    if not found:
        return
    guard.needs(functions(section) + _REQUESTS)
    sends = any(one.names[0][2] in ("handle", "send") for one in found)
    for one in found:
        interface, version, func = one.names[0]
        if interface == "wasi:http/incoming-handler":
            continue
        track = "0.3" if (version or "").startswith("0.3.") else "0.2"
        asked = _ASKED[track].get(func)
        if asked is None and sends:
            asked = _WITHOUT.get(func.removeprefix("outgoing-request.").removeprefix("request."))
        if asked is not None:
            setup = _SETUP.get(func, "").replace("{}", asked[1])
            guard.ask(one, asked[0], why, asked[1], setup)
        kept = (_KEPT if track == "0.2" else _KEPT_LATER).get(func)
        if kept is not None:
            guard.keep(one, kept)
        if func in ("handle", "send"):
            guard.look(one, "may_go = may_send(handle(arg0));")


_JUDGED = ("wasi:sockets/", "wasi:http/", "wasi:tls/")


def _check_known(one: Function, section: Section[NetworkLine]) -> None:
    interface, version, func = one.names[0]
    strange = interface == "wasi:http/handler" or "tls/" in interface
    known = version is not None and (
        version.startswith("0.2.") or (version.startswith("0.3.") and "-" not in version)
    )
    if strange or not known:
        raise UsageError(
            f"{section.location}: enforce holds permissions.network for sockets and outgoing"
            f" requests of WASI 0.2 and 0.3, and the component calls {one.title}"
        )
    track = "0.3" if (version or "").startswith("0.3.") else "0.2"
    if func not in _ASKED[track] and func not in _OWN and any(map(_is_address, _parts(one))):
        raise UsageError(f"{section.location}: what {one.title} does with an address is not known")


def _parts(one: Function) -> Iterable[ValType]:
    stack = [t for _, t in one.params]
    while stack:
        node = strip(stack.pop())
        yield node
        stack.extend(children(node))


def _is_address(t: ValType) -> bool:
    return isinstance(t, RecordT) and {"port", "address"} <= {name for name, _ in t.fields}
