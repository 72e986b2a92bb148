"""Scripts of a few lines on a command that uses files, sockets and clocks: ``trace`` on our engine,
``trace -- COMMAND`` and ``instrument`` on any other."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from fixtures.build import path_of
from fixtures.listener import greeter
from fixtures.running import run_command
from whamm_cm.cli.main import main

ROOT = Path(__file__).parents[2]
CONNECTS = """
report var sent: map<(u8, u8, u8, u8, u16), u64>;
var peers: map<u32, (u8, u8, u8, u8, u16)>;
var streams: map<u32, (u8, u8, u8, u8, u16)>;
wasi:sockets/tcp#tcp-socket.start-connect:before / remote_address.ipv4.port >= 1024 / {
    peers[self] = (remote_address.ipv4.address.0, remote_address.ipv4.address.1,
        remote_address.ipv4.address.2, remote_address.ipv4.address.3, remote_address.ipv4.port);
    print("connect to {}.{}.{}.{}:{}", peers[self].0, peers[self].1, peers[self].2, peers[self].3,
        peers[self].4); }
wasi:sockets/tcp#tcp-socket.finish-connect:after / !is_err / { streams[result.ok.1] = peers[self]; }
wasi:io/streams#output-stream.{write,blocking-write-and-flush}:before / streams[self].4 != 0 / {
    sent[streams[self]] += len(contents) as u64; }
wasi:io/streams#output-stream.drop:before { streams[self] = (0, 0, 0, 0, 0); }
"""
FAULTS = """
var n: u32;
wasi:sockets/tcp#tcp-socket.start-connect:alt {
    n++;
    if (n % 3 == 0) { fail("connection-refused"); }
    proceed();
}
"""
OPENS = """
report var opens: map<str, u32>;
wasi:filesystem/types#descriptor.open-at:before / path.ends_with(".txt") / { opens[path]++; }
wasi:filesystem/types#descriptor.open-at:after / path == "scratch.tmp" / { trace; }
wasi:cli/exit#exit:before { print("leaving, failed: {}", status is error); }
wit:export:wasi:cli/run#run:before { print("v{}", version); }
"""


@pytest.fixture
def address() -> Iterator[str]:
    with greeter() as where:
        yield where


@pytest.fixture
def trace(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    """Runs the command; (stdout, stderr)."""

    def run(*words: str, status: int = 0, options: tuple[str, ...] = ()) -> tuple[str, str]:
        given = ["--dir", f"{tmp_path}::/data", "--inherit-network", *options]
        assert main(["trace", *given, str(path_of("command")), *words]) == status
        return tuple(capfd.readouterr())  # type: ignore[return-value]

    return run


def test_connects_by_host_and_port_with_bytes_per_peer(
    trace: Callable[..., tuple[str, str]], address: str
) -> None:
    host, port = address.split(":")
    out, err = trace(address, address, options=("-e", CONNECTS, "-f", "jsonl"))
    assert out.count("answer: WELCOME hello") == 2
    records = [json.loads(line) for line in err.splitlines()]
    assert [r["text"] for r in records if r["phase"] == "print"] == [f"connect to {address}"] * 2
    # A slow machine reports more than once: each time the entries that changed, as they are then.
    totals: dict[tuple[int, ...], int] = {}
    for report in (r for r in records if r["phase"] == "report"):
        for peer, sent in report["value"]:
            totals[tuple(peer)] = sent
    assert totals == {(*map(int, host.split(".")), int(port)): 2 * len("GREET hello\n")}


def test_faults_by_script(trace: Callable[..., tuple[str, str]], address: str) -> None:
    out, err = trace(*[address] * 7, status=1, options=("-e", FAULTS))
    lines = [line for line in out.splitlines() if "answer" in line or "connect" in line]
    fine, refused = "answer: WELCOME hello", "start-connect failed with code 14"
    assert lines == [fine, fine, refused, fine, fine, refused, fine]
    assert err == ""


def test_opens_by_path_next_to_a_log(trace: Callable[..., tuple[str, str]]) -> None:
    options = ("-e", OPENS, "-e", "trace=wasi:random/*", "--count", "wasi:clocks/*")
    out, err = trace("fail", status=1, options=options)
    assert "leaving through exit" in out
    assert "v0.2.0\n" in err and "leaving, failed: true" in err
    assert re.search(r'open-at\(.*"scratch.tmp".*= ok', err) and err.count("open-at(") == 1
    assert err.count("get-random-u64() = ") == 2
    assert "wasi:clocks/monotonic-clock#now: 2 calls" in err
    assert re.search(r"^  note.txt +2$", err, re.M)


@pytest.mark.parametrize("options", [(), ("--no-multi-memory",), ("--time",)])
def test_on_another_host(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    """The output reports on stderr; a wrapper component is around it, with one export more."""
    script, woven = tmp_path / "opens.mm", tmp_path / "woven.wasm"
    script.write_text(OPENS)
    words = ["instrument", "-s", str(script), "-o", str(woven), *options, str(path_of("command"))]
    assert main(words) == 0
    assert "3 functions woven" in capfd.readouterr().err
    plain, ended = (
        run_command(wasm, ["command", "fail"], directory=tmp_path)
        for wasm in (path_of("command").read_bytes(), woven.read_bytes())
    )
    assert (ended.status, ended.stdout) == (plain.status, plain.stdout) and ended.status == 1
    (tmp_path / "host.log").write_bytes(ended.stderr)
    log = ["report", "-f", "jsonl", "--woven", str(woven), str(tmp_path / "host.log")]
    assert main(log) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [r["text"] for r in lines if r["phase"] == "print"] == [
        "v0.2.0",
        "leaving, failed: true",
    ]
    assert [r["func"] for r in lines if r["phase"] in ("call", "return")] == [
        "descriptor.open-at", "descriptor.open-at",
    ]  # fmt: skip
    assert [r["value"] for r in lines if r["phase"] == "report"] == [[["note.txt", 2]]]


def test_below_a_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    host = tmp_path / "host.py"
    host.write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\nfrom fixtures.running import run_command\n"
        "ended = run_command(Path(sys.argv[1]).read_bytes(), ['command'])\n"
        "sys.stderr.buffer.write(ended.stderr)\nsys.exit(ended.status)\n"
    )
    words = ["-e", OPENS]
    command = [sys.executable, str(host), str(path_of("command"))]
    assert main(["trace", *words, "--", *command]) == 0
    assert "v0.2.0\n" in capfd.readouterr().err


def test_a_wrong_case_is_one_sentence_with_a_caret(capfd: pytest.CaptureFixture[str]) -> None:
    script = 'wasi:sockets/tcp#tcp-socket.start-connect:alt { fail("conection-refused"); }'
    assert main(["trace", "-e", script, str(path_of("command"))]) == 2
    said = capfd.readouterr().err
    assert said.splitlines()[0].startswith("whamm-cm: -e 1:1:54: ")
    assert "did you mean" in said and "^^^" in said


def test_nothing_is_reported_where_no_host_would_get_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    woven = tmp_path / "woven.wasm"
    given = ["-o", str(woven), str(path_of("command"))]
    for sink, wanted in (("none", False), ("host", True), ("stderr", True)):
        assert main(["instrument", "-e", OPENS, "--sink", sink, *given]) == 0
        assert (b"whamm:cm/report" in woven.read_bytes()) == wanted


def test_a_reactor_is_initialised_first(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "reactor.wasm"
    path.write_bytes(
        wat2wasm("""(module (global $n (mut i32) (i32.const 1))
          (func (export "_initialize") (global.set $n (i32.add (global.get $n) (i32.const 40))))
          (func (export "a") (result i32) (global.get $n)))""")
    )
    assert main(["trace", "-m", "icount", "--invoke", "a()", str(path)]) == 0
    out, err = capfd.readouterr()
    assert (out, err) == ("41\n", "instructions  7\n")
    assert main(["trace", "-m", "icount", "--invoke", "_initialize()", str(path)]) == 0
    assert "instructions  5\n" in capfd.readouterr().err


@pytest.mark.parametrize("option", ["-c", "-C"])
def test_a_summary_beside_a_script_has_calls_and_reports(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], option: str
) -> None:
    """A summary that counted nothing would say that nothing was called."""
    path = tmp_path / "one.wasm"
    path.write_bytes(
        wat2wasm(
            '(component (core module $m (func (export "one") (result i32) i32.const 1))'
            " (core instance $i (instantiate $m))"
            ' (func (export "one") (result u32) (canon lift (core func $i "one"))))'
        )
    )
    assert main(["trace", option, "-m", "icount", "--invoke", "one()", str(path)]) == 0
    out, err = capfd.readouterr()
    assert out == "1\n"
    assert re.search(r"^100\.00 .* 1 +total$", err, re.M)
    assert re.search(r"^instructions +2$", err, re.M)
