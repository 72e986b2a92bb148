"""What a weave leaves is found without its stamp, with every sink, and at any depth."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime

from tests.gate.binaries import HEAD, section, stripped, text
from tests.gate.making import component, judge, rules
from whamm_cm.cli.main import main
from whamm_cm.gate.subject import analyse
from whamm_cm.wasm.leb import unsigned

TCP = "wasi:sockets/tcp@0.2.3"
DATA = component({TCP: ("bind", "listen")})
SINKS = ("stderr", "logging", "otel", "host", "none")
SCRIPT = "wasm:opcode:call:before { report var n: u32; n++; }"


def woven(tmp_path: Path, data: bytes, *options: str) -> bytes:
    source, target = tmp_path / "app.wasm", tmp_path / "woven.wasm"
    source.write_bytes(data)
    assert main(["-q", "instrument", *options, "-o", str(target), str(source)]) == 0
    return target.read_bytes()


def nest(data: bytes) -> bytes:
    """A component with another one in it, which nobody instantiates."""
    return HEAD + bytes((4,)) + unsigned(len(data)) + data


def message(data: bytes) -> str:
    return " ".join(one.message for one in judge(data).all() if one.rule == "WCM041")


@pytest.mark.parametrize("what", [("--trace", "*"), ("-e", SCRIPT)])
@pytest.mark.parametrize("sink", SINKS)
def test_stripped(tmp_path: Path, sink: str, what: tuple[str, str]) -> None:
    data = woven(tmp_path, DATA, "--sink", sink, *what)
    assert "instrumented by whamm-cm" in message(data)
    bare = stripped(data)
    assert b"whamm-cm.sites" not in bare and b"original-sha256" not in bare
    assert "carries what a weave adds" in message(bare)
    assert analyse(bare, "x").subject.stamp == ()
    # More than one sign: no single name gives it away.
    assert len({sign for _, sign in analyse(bare, "x").subject.marks}) > 1
    for inner in (nest(data), nest(nest(bare))):
        assert "WCM041" in rules(judge(inner)), inner[:20]
    assert "instrumented by whamm-cm" in message(nest(data))


def test_originals_have_no_marks(tmp_path: Path) -> None:
    for data in (DATA, stripped(DATA), nest(DATA)):
        subject = analyse(data, "x").subject
        assert (subject.marks, subject.stamp) == ((), None) and "WCM041" not in rules(judge(data))


def test_components_of_real_tools_have_no_marks() -> None:
    from fixtures.build import build

    for name in ("command", "c_command"):
        assert analyse(build(name), name).subject.marks == ()


def custom(name: str, content: str) -> bytes:
    inside = text(name) + content.encode()
    return b"\0" + unsigned(len(inside)) + inside


def test_the_last_of_two_stamps_counts() -> None:
    """As for the weaver: the later weave wrote its own behind the earlier one's."""
    data = HEAD + custom("whamm-cm", '{"tool":"first"}') + custom("whamm-cm", '{"tool":"second"}')
    assert "instrumented by second" in message(data)
    damaged = HEAD + custom("whamm-cm", '{"tool":"first"}') + custom("whamm-cm", "x")
    assert "WCM041" in rules(judge(damaged))


@pytest.mark.parametrize("name", ["whamm:cm/sink", "whamm:cm/report", "whamm-cm-emit"])
def test_a_name_is_a_sign(name: str) -> None:
    data = HEAD + section(7, b"\x42\x00") + section(10, b"\0" + text(name) + b"\x05\x00")
    assert name in message(data)


def test_names_that_only_look_alike() -> None:
    for name in ("whamm:core/sink", "my-whamm-cm", "whamm"):
        data = HEAD + section(7, b"\x42\x00") + section(10, b"\0" + text(name) + b"\x05\x00")
        assert "WCM041" not in rules(judge(data))
    module = '(core module (data (i32.const 0) "whamm-cm") (memory 1) (func (export "take")))'
    assert "WCM041" not in rules(judge(wasmtime.wat2wasm(f"(component {module})")))


def test_what_cannot_be_read_is_no_crash() -> None:
    module = b"\0asm\x01\0\0\0" + b"\x02\x05\xff\xff\xff\xff\xff"
    data = HEAD + b"\x01" + unsigned(len(module)) + module
    assert judge(data).components


def test_the_first_signs_are_named_with_their_places(tmp_path: Path) -> None:
    bare = stripped(woven(tmp_path, DATA, "--sink", "none", "--trace", "*"))
    assert "the agent in module[1]" in message(bare) and message(bare).count(" in ") == 3
    assert message(bare).endswith(" …")
    assert "the agent in component[0].module[1]" in message(nest(bare))
    name = HEAD + section(7, b"\x42\x00") + section(10, b"\0" + text("whamm:cm/sink") + b"\x05\x00")
    assert message(name).endswith(': the import "whamm:cm/sink" in the root')
    damaged = message(HEAD + custom("whamm-cm", "x"))
    assert damaged == 'carries what a weave adds: the section "whamm-cm" in the root'


def test_a_file_may_be_as_large_as_the_policy_says() -> None:
    limit = "rules: {{WCM040: {{max_bytes: {}}}}}"
    assert "WCM040" not in rules(judge(DATA, limit.format(len(DATA))))
    assert "WCM040" in rules(judge(DATA, limit.format(len(DATA) - 1)))
    assert "WCM040" not in rules(judge(DATA, "rules: {WCM040: warning}"))
