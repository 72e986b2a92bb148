"""The language server, through its protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.build import path_of
from tests.editor.client import Client, Json
from whamm_cm.cli.main import main
from whamm_cm.lang.builtins import FUNCTIONS, METHODS
from whamm_cm.lang.events import PACKAGES

COMMAND = path_of("command")
SCRIPT = """\
report var n: u32;
fn f(a: u32) -> u32 { return a + 1; }
wasi:sockets/tcp#tcp-socket.start-connect:before / remote_address is ipv4 / {
    var port = remote_address.ipv4.port; // 😀 "
    if (port > 1) { n = f(n); print("😀", 1); port.; }
}
wasm:opcode:call:before { n++; }
"""
LINES = SCRIPT.splitlines()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One server for all tests, as an editor has one for all scripts; each test has a folder of its
    own."""
    found = Client(tmp_path_factory.mktemp("folder"), {"component": str(COMMAND)})
    yield found
    assert found.close() == 0


def where(line: int, text: str, more: int = 0) -> tuple[int, int]:
    """Behind ``text``, and ``more`` units on."""
    at = LINES[line].index(text) + len(text)
    return line, len(LINES[line][:at].encode("utf-16-le")) // 2 + more


# --- diagnostics ---------------------------------------------------------------------------------


def test_mistakes_are_those_of_check(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = 'var 😀;\nwasm:func:entry { var s = "😀"; a++; b++; }\nwasi:random/randm#*:before { }\n'
    for script in (text, SCRIPT, "", "wasm:func:entry { var a: i32 = 1.5; }\n"):
        path = tmp_path / "S.mm"
        path.write_text(script)
        uri = client.open(path, script)
        found = client.diagnostics(uri)
        main(["check", "--json", str(path), str(COMMAND)])
        theirs = json.loads(capsys.readouterr().out)["errors"]
        lines = script.splitlines()
        assert len(theirs) == len(found) > 0
        for one, mine in zip(theirs, found, strict=True):
            line, column = one["line"] - 1, one["column"] - 1
            before = lines[line][:column] if line < len(lines) else ""
            start = {"line": line, "character": len(before.encode("utf-16-le")) // 2}
            assert mine["range"]["start"] == start
            assert mine["message"].startswith(one["message"]) and mine["severity"] == 1
            assert one["hint"] in mine["message"]


def test_warnings_and_rules_that_match_nothing(client: Client, tmp_path: Path) -> None:
    text = "wasm:opcode:call(arg0: f32):before { }\n?wasm:opcode:call(arg0: f32):before { }\n"
    text += "wasm:opcode:call:before { report var a: u32; if (-1 == a) { a++; } }\n"
    found = client.diagnostics(client.open(tmp_path / "S.mm", text))
    assert {one["severity"] for one in found} == {2}
    assert [one["range"]["start"]["line"] for one in found] == [2, 0]
    assert "means 4294967295" in found[0]["message"] and "no place" in found[1]["message"]


def test_without_a_component_nothing_is_said_of_places(tmp_path: Path) -> None:
    client = Client(tmp_path)
    text = "wasm:opcode:call(arg0: f32):before { }\nwasi:sockets/tcp#*:before { }\n"
    assert client.diagnostics(client.open(tmp_path / "S.mm", text)) == []
    wrong = "wasi:sockets/tcq#*:before { }\n"
    (found,) = client.diagnostics(client.open(tmp_path / "T.mm", wrong))
    assert 'did you mean "wasi:sockets/tcp"' in found["message"]
    assert client.close() == 0


def test_the_head_of_a_script_names_its_component(client: Client, tmp_path: Path) -> None:
    (tmp_path / "own.wasm").write_bytes(path_of("strings").read_bytes())
    text = "// a script\n// component: own.wasm\nwasi:sockets/tcp#*:before { }\n"
    (found,) = client.diagnostics(client.open(tmp_path / "S.mm", text))
    assert "no place" in found["message"]
    text = "// component: nowhere.wasm\nwasm:func:entry { }\n"
    (found,) = client.diagnostics(client.open(tmp_path / "T.mm", text))
    assert "nowhere.wasm" in found["message"] and found["range"]["start"]["character"] == 14


def test_a_library_is_named_there_too(client: Client, tmp_path: Path) -> None:
    text = f"// lib: cache={path_of('cache_sim')}\nuse cache;\nwasm:func:entry {{ cache.; }}\n"
    uri = client.open(tmp_path / "S.mm", text)
    assert "check_access" in client.labels(uri, 2, len("wasm:func:entry { cache."))
    edited = text.replace("cache.;", "cache.check_access(1, 2);")
    client.edit(uri, 2, {"text": edited})
    while found := client.diagnostics(uri):
        assert all("not given" not in one["message"] for one in found)


def test_settings_change_what_a_script_is_for(tmp_path: Path) -> None:
    client = Client(tmp_path)
    text = "wasm:opcode:call(arg0: f32):before { }\n"
    uri = client.open(tmp_path / "S.mm", text)
    assert client.diagnostics(uri) == []
    client.tell("workspace/didChangeConfiguration",
                {"settings": {"whamm-cm": {"component": str(COMMAND)}}})  # fmt: skip
    (found,) = client.diagnostics(uri)
    assert found["severity"] == 2
    assert client.close() == 0


# --- completion ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "text", "some", "none"),
    [
        (2, "wasi:sockets/", ["wasi:sockets/tcp", "wasi:http/types"], ["n"]),
        (2, "tcp#", ["tcp-socket.start-connect", "tcp-socket.finish-bind"], ["before"]),
        (2, "start-connect:", ["before", "after", "alt", "cancel"], ["n"]),
        (2, "/ re", ["remote_address", "n", "f"], ["port", "return f"]),
        (2, "is ", ["ipv4", "ipv6"], ["n"]),
        (3, "remote_address.", ["ipv4", "ipv6"], ["n", "len"]),
        (3, "remote_address.ipv4.", ["port", "address"], ["n"]),
        (4, "f(", ["n", "port", "remote_address", "network", "fail", "true"], ["drop_args"]),
        (6, "wasm:", list(PACKAGES), ["n"]),
        (6, "opcode:", [event.name for event in PACKAGES["opcode"]], ["n"]),
        (6, "call:", ["before", "after", "alt"], ["at_target"]),
        (6, "{ ", ["n", "fid", "arg0", "target_fn_name", "drop_args", *FUNCTIONS], ["port"]),
        (0, "var n: ", ["u32", "str", "hist", "map"], ["n"]),
        (1, "fn f(a: ", ["u32"], ["n"]),
        (1, "return ", ["a", "n"], ["port"]),
    ],
)
def test_completion(
    client: Client, tmp_path: Path, line: int, text: str, some: list[str], none: list[str]
) -> None:
    uri = client.open(tmp_path / "S.mm", SCRIPT)
    found = client.labels(uri, *where(line, text))
    assert set(some) <= set(found), found
    assert not set(none) & set(found)


def test_what_is_written_replaces_what_stands_there(client: Client, tmp_path: Path) -> None:
    uri = client.open(tmp_path / "S.mm", "wasi:sock\n")
    found = client.at("textDocument/completion", uri, 0, 9)["items"]
    edit = next(one["textEdit"] for one in found if one["label"] == "wasi:sockets/tcp")
    assert edit["newText"] == "wasi:sockets/tcp#"
    assert edit["range"] == {"start": {"line": 0, "character": 0},
                             "end": {"line": 0, "character": 9}}  # fmt: skip


def test_texts_are_completed_where_they_are_compared(client: Client, tmp_path: Path) -> None:
    text = (
        """wasi:filesystem/types#descriptor.open-at:alt { if (open_flags has ") { fail(""); } }"""
    )
    uri = client.open(tmp_path / "S.mm", text)
    assert "create" in client.labels(uri, 0, text.index('"') + 1)
    text = text.replace('has "', 'has "create"')
    uri = client.open(tmp_path / "S.mm", text)
    assert "access" in client.labels(uri, 0, text.index('fail("') + 6)


def test_strings_and_maps_have_their_methods(client: Client, tmp_path: Path) -> None:
    text = "var m: map<str, u32>;\nwasm:func:entry { fname.; m.; }\n"
    uri = client.open(tmp_path / "S.mm", text)
    assert client.labels(uri, 1, len("wasm:func:entry { fname.")) == [*METHODS["str"]]
    assert client.labels(uri, 1, len("wasm:func:entry { fname.; m.")) == [*METHODS["map"]]


# --- hover, definitions, symbols -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "text", "some"),
    [
        (2, "start-con", ["tcp-socket.start-connect: func(self: borrow<tcp-socket>", "record"]),
        (2, "sockets", ["interface wasi:sockets/tcp"]),
        (2, "/ remote", ["remote_address: ip-socket-address", "variant ip-socket-address"]),
        (3, "var po", ["var port: u16"]),
        (3, "remote_address.ip", ["ipv4: ipv4-socket-address"]),
        (4, "if (po", ["var port: u16"]),
        (4, "= f", ["fn f(a: u32) -> u32"]),
        (4, "pri", ["a text with {}"]),
        (6, "wasm:opc", ["an instruction is executed"]),
        (6, "wasm:opcode:ca", ["target_fn_name"]),
        (6, "{ n", ["report var n: u32"]),
    ],
)
def test_hover(client: Client, tmp_path: Path, line: int, text: str, some: list[str]) -> None:
    uri = client.open(tmp_path / "S.mm", SCRIPT)
    found = client.at("textDocument/hover", uri, *where(line, text, -1))["contents"]["value"]
    assert all(one in found for one in some), found


def test_hover_of_functions_of_the_language_is_their_documentation(
    client: Client, tmp_path: Path
) -> None:
    text = "wasm:func:entry { " + " ".join(f"{name}();" for name in FUNCTIONS) + " fname; }"
    uri = client.open(tmp_path / "S.mm", text)
    for name, function in FUNCTIONS.items():
        found = client.at("textDocument/hover", uri, 0, text.index(f" {name}(") + 1)
        assert function.doc in found["contents"]["value"]
    found = client.at("textDocument/hover", uri, 0, text.index("fname;"))
    assert "name of the function" in found["contents"]["value"]


def test_documentation_comes_from_the_component(tmp_path: Path) -> None:
    docs = {"interfaces": {"tcp": {"docs": "All of *TCP*.", "funcs": {
        "[method]tcp-socket.start-connect": {"docs": "Begins to connect."}}}}}  # fmt: skip
    body = b"\x0cpackage-docs\x00" + json.dumps(docs).encode()
    section = b"\0" + _leb(len(body)) + body
    (tmp_path / "own.wasm").write_bytes(COMMAND.read_bytes() + section)
    client = Client(tmp_path, {"component": "own.wasm"})
    uri = client.open(tmp_path / "S.mm", SCRIPT)
    for text, doc in (("start-con", "Begins to connect."), ("sockets", "All of *TCP*.")):
        found = client.at("textDocument/hover", uri, *where(2, text))
        assert found["contents"]["value"].endswith(doc)
    assert client.close() == 0


def _leb(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


@pytest.mark.parametrize(
    ("line", "text", "target", "name"),
    [
        (4, "if (p", 3, "port"),
        (4, "= f", 1, "f"),
        (6, "{ n", 0, "n"),
        (1, "return a", 1, "a"),
        (4, "f(n", 0, "n"),
    ],
)
def test_definition(
    client: Client, tmp_path: Path, line: int, text: str, target: int, name: str
) -> None:
    uri = client.open(tmp_path / "S.mm", SCRIPT)
    found = client.at("textDocument/definition", uri, *where(line, text, -1))["range"]
    start = found["start"]["character"]
    assert found["start"]["line"] == target
    assert LINES[target][start : found["end"]["character"]] == name


def test_what_is_declared_behind_is_found(client: Client, tmp_path: Path) -> None:
    text = "wasm:func:entry {\n  late++;\n}\nreport var late: u32;\n"
    uri = client.open(tmp_path / "S.mm", text)
    found = client.at("textDocument/definition", uri, 1, 3)["range"]["start"]
    assert found == {"line": 3, "character": 11}


def test_symbols(client: Client, tmp_path: Path) -> None:
    uri = client.open(tmp_path / "S.mm", SCRIPT)
    found = client.ask("textDocument/documentSymbol", {"textDocument": {"uri": uri}})
    assert [one["name"] for one in found] == [
        "n", "f", "wasi:sockets/tcp#tcp-socket.start-connect:before", "wasm:opcode:call:before",
    ]  # fmt: skip
    assert [_lines(one["range"]) for one in found] == [(0, 0), (1, 1), (2, 5), (6, 6)]


def _lines(found: Json) -> tuple[int, int]:
    return found["start"]["line"], found["end"]["line"]


# --- hostile editors -----------------------------------------------------------------------------


def test_what_is_no_message_does_no_harm(client: Client, tmp_path: Path) -> None:
    for data in (b"{", b"[]", b"null", b'{"jsonrpc": "2.0"}', b'"x"', b"\xff\xfe", b"{}" * 2,
                 b'{"jsonrpc": "2.0", "method": "textDocument/hover"}',
                 b"[" * 100_000):  # fmt: skip
        client.send(data)
    assert client.answer("whamm/unknown", {})["error"]["code"] == -32601
    assert "error" in client.answer("textDocument/hover", {"textDocument": 5})
    client.tell("whamm/unknown", {"x": 1})
    client.tell("textDocument/didChange", {"textDocument": 5})
    client.edit((tmp_path / "never-opened.mm").as_uri(), 1, {"text": "x"})
    uri = client.open(tmp_path / "S.mm", SCRIPT)
    assert client.labels(uri, *where(2, "is ")) == ["ipv4", "ipv6"]


def test_options_may_be_anything(tmp_path: Path) -> None:
    client = Client(tmp_path, [5])
    uri = client.open(tmp_path / "S.mm", "wasm:func:entry { }\n")
    assert client.diagnostics(uri) == []
    given: list[Any] = [None, 5, {"whamm-cm": 5}, {"component": 7, "libraries": [1]},
                        {"component": "/dev/null"}, {"component": str(tmp_path)}]  # fmt: skip
    for number, settings in enumerate(given):
        client.tell("workspace/didChangeConfiguration", {"settings": settings})
        assert [one["message"].endswith("is no file") for one in client.diagnostics(uri)] == (
            [True] if number > 3 else [])  # fmt: skip
    assert client.close() == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-32"])
def test_editors_may_count_otherwise(tmp_path: Path, encoding: str) -> None:
    client = Client(tmp_path, {"component": str(COMMAND)},
                    {"general": {"positionEncodings": [encoding]}})  # fmt: skip
    assert client.capabilities["positionEncoding"] == encoding
    text = 'wasm:func:entry { var 😀; print("😀é", x); }'
    (found, *_) = client.diagnostics(client.open(tmp_path / "S.mm", text))
    at = found["range"]["start"]["character"]
    before = text[: text.index("😀")]
    assert at == (len(before.encode()) if encoding == "utf-8" else len(before))
    assert client.close() == 0


def test_ten_thousand_keys(client: Client, tmp_path: Path) -> None:
    """Typed one by one, each an edit, with what lies outside of the basic plane between them."""
    text = (SCRIPT + "// 😀😀\n") * 40
    uri = client.open(tmp_path / "S.mm", "")
    written = line = unit = 0
    for char in text[:10_000]:
        client.edit(uri, written, {"range": {"start": {"line": line, "character": unit},
                                             "end": {"line": line, "character": unit}},
                                   "text": char})  # fmt: skip
        written += 1
        line, unit = (line + 1, 0) if char == "\n" else (line, unit + 1 + (char > "\uffff"))
    found = client.ask("textDocument/documentSymbol", {"textDocument": {"uri": uri}})
    whole = text[:10_000].count("wasm:opcode:call:before {")
    assert sum(one["name"] == "wasm:opcode:call:before" for one in found) == whole > 20
    client.edit(uri, written, {"text": "wasm:func:entry { }\n"})
    while client.diagnostics(uri):
        pass  # those of the keys; in the end there are none


def test_a_huge_script(client: Client, tmp_path: Path) -> None:
    text = "// " + "x" * 9_000_000 + "\nwasm:func:entry { y++; }\n"
    uri = client.open(tmp_path / "S.mm", text)
    (found,) = client.diagnostics(uri)
    assert "longer than" in found["message"]
    deep = "wasm:func:entry { " + "if (true) { " * 5_000
    uri = client.open(tmp_path / "T.mm", deep)
    assert client.diagnostics(uri)
    assert isinstance(client.labels(uri, 0, len(deep)), list)


def test_the_end_of_standard_input_is_the_end(tmp_path: Path) -> None:
    client = Client(tmp_path)
    assert client.process.stdin is not None
    client.process.stdin.close()
    assert client.process.wait(30) == 1
