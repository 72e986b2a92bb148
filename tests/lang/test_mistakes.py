"""Names in rules that exist nowhere are errors, with what was probably meant."""

from __future__ import annotations

import pytest

from fixtures.build import path_of
from tests.lang.samples import CONNECT, loaded
from whamm_cm.lang.source import ScriptError
from whamm_cm.lang.tree import WitSite
from whamm_cm.weave.listing import open_input
from whamm_cm.wit.known import INTERFACES, functions


def first(text: str) -> tuple[int, int, str, str]:
    """Line, column, message and hint."""
    with pytest.raises(ScriptError) as caught:
        for rule in loaded(text).wit_rules:
            error = rule.mistake(None)
            if error is not None:
                raise error
    error = caught.value
    return error.line, error.column, error.message, error.hint


@pytest.mark.parametrize(
    ("rule", "column", "name", "meant"),
    [
        ("wasi:socket/tcp#tcp-socket.start-connect:before", 1, "wasi:socket", "wasi:sockets"),
        ("wasi:socket/*#*:before", 1, "wasi:socket", "wasi:sockets"),
        ("wit:import:wasi:socket/*#*:before", 12, "wasi:socket", "wasi:sockets"),
        ("wasi:sockets/tpc#*:before", 1, "wasi:sockets/tpc", "wasi:sockets/tcp"),
        ("wasi:http/types|wasi:http/tipes@0.2#*:after", 17, "wasi:http/tipes", "wasi:http/types"),
        ("wasi:sockets/tcp#tcp-socket.start-conect:before", 18, "tcp-socket.start-conect",
         "tcp-socket.start-connect"),
        ("wasi:sockets/tcp@0.2.0#start-connect:before", 24, "start-connect",
         "tcp-socket.start-connect"),
        ("wasi:io/poll#poll|pol:before", 19, "pol", "poll"),
        ("wasi:sockets/*#[method]tcp-socket.start-conect:before", 24, "tcp-socket.start-conect",
         "tcp-socket.start-connect"),
        ("wasm:opcode:brr_if:before", 13, "brr_if", "br_if"),
        ("wasm:opcode:br|brr_if:before", 16, "brr_if", "br_if"),
        ("wasm:opcode:br:before|aftr", 23, "aftr", "after"),
        ("wasm:opcod:br:before", 6, "opcod", "opcode"),
        ("wasm:func:entri", 11, "entri", "entry"),
    ],
)  # fmt: skip
def test_what_is_misspelt_is_an_error(rule: str, column: int, name: str, meant: str) -> None:
    line, at, message, hint = first(f"\n{rule} {{ }}")
    assert (line, at) == (2, column)
    assert f'"{name}"' in message and hint == f'did you mean "{meant}"?'


@pytest.mark.parametrize(
    "rule",
    [
        "wasi:sockets/tcp#tcp-socket.start-connect:before",
        "wasi:sockets/tcp@9#tcp-socket.drop:before",
        "wasi:sockets/{tcp,tpc}#tcp-socket.{bind,bnd}:before",
        "wasi:http/*#*.set-athority:before",
        "wasi:http/types@0.2|0.3#*:before",
        "wasi:nothing-of-the-kind/*#*:before",
        "wasi:webgpu/webgpu#get-gpu:before",
        "acme:shop/cart#add:before",
        "*:*#tcp-socket.start-connect:before",
        "wit:export:#run:before",
        "wit:*:*#next:before",
        "wasi:nothing/*#*:before",
        "wasi:http/types#fields.new|[constructor]fields|[resource-drop]fields:before",
        "?wasi:socket/tcp#tcp-socket.start-conect:before",
        "?wit:import:wasi:socket/tcp#x:before",
        "?wasm:func:entry(arg0: i32)",
        "wasm:opcode:br*|nop|*if:before|alt",
    ],
)
def test_what_may_be_is_none(rule: str) -> None:
    scripts = loaded(f"{rule} {{ }}")
    (written,) = scripts.written.values()
    assert written.optional == rule.startswith("?")
    assert written.text == rule.removeprefix("?").strip()
    assert all(one.mistake(None) is None for one in scripts.wit_rules)
    for probe in (*scripts.probes, *scripts.wit_rules):
        assert "?" not in probe.rule


def test_against_a_component_what_is_in_it_is_known() -> None:
    own = WitSite("import", "acme:shop/cart", "1.0.0", "add", "", "main", False, CONNECT)
    for rule, meant in (
        ("acme:shop/card#add", 'there is no interface "acme:shop/card"; did you mean'),
        ("acme:shop/cart#ad", 'acme:shop/cart has no function "ad"; did you mean "add"?'),
        ("acme:shop/cart#other", 'acme:shop/cart has no function "other"; begin the rule with "?"'),
        ("acme:bakery/oven#open", "there is no interface"),
        ("#run", 'the world has no function "run"'),
        ("acme:shop/cart#add", ""),
        ("acme:bakery/*#open", ""),
        ("wasi:sockets/tcp#tcp-socket.start-connect", ""),
    ):
        (found,) = loaded(f"wit:import:{rule}:before {{ }}").wit_rules
        error = found.mistake([own])
        assert (meant in str(error)) if meant else error is None, rule


def test_bodies_are_checked_without_their_functions() -> None:
    line, column, message, _ = first("""report var n: u64;
wasi:keyvalue/store#bucket.get:before / key == "a" / {
    if (key.starts_with("b")) { n += "x"; }
    var local: str = key;
    print("{}", local);
}
""")
    assert (line, column, message) == (3, 38, "this is a str, but n is a u64")
    assert first("wasi:io/*#*:before { nope(1); }")[2] == 'there is no function "nope"'
    assert first("wasi:io/*#*:before { if (result is ok) { } }")[2].startswith('"result" exists')


def test_names_that_depend_on_the_function_are_left_open() -> None:
    loaded("""use lib; report var n: u64; report var m: map<str, u64>;
wasi:keyvalue/*#*:alt { if (key == other) { return 4; } fail("whatever"); proceed(); }
wasi:keyvalue/*#*:after / is_err && func == version / { m[func]++; n += len as u64; trace; }
wasi:io/*#*:before { @init lib.check(4); n += lib.check(1) as u64; }
wasm:task:return / result > 5 / { n++; print("{} {}", task, func); }
wasm:stream:read { n += count as u64; var a: str = text; print("{}", a); }
wasi:keyvalue/*#*:before { count = 4; remote.address.0 = 8; }
""")


def test_the_tables_know_what_the_fixtures_import() -> None:
    for name in ("command", "http_echo", "run_network"):
        path = path_of(name)
        for site in open_input(path.read_bytes(), name).sites:
            if site.interface in INTERFACES and functions(site.interface):
                assert site.func in functions(site.interface), site.title
