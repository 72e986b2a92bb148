"""``trace -m chaos --shrink``: the fewest faults that still fail."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wasmtime import wat2wasm

from fixtures.build import path_of
from tests.run.host.rig import echo
from whamm_cm.cli.main import main
from whamm_cm.errors import RunError
from whamm_cm.front.attempts import programs
from whamm_cm.front.run import Run
from whamm_cm.front.settings import Settings
from whamm_cm.front.shrinking import Shrinking, smallest
from whamm_cm.front.tracing import Tracing
from whamm_cm.run.outcome import Outcome

#: ``go(first, second)`` asks for twelve sockets, and traps if it does not get those two.
PLANTED = """
(component $root
  (import "wasi:sockets/network@0.2.0" (instance $net
    (type $code (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory"
      "timeout" "concurrency-conflict" "not-in-progress" "would-block" "invalid-state"
      "new-socket-limit" "address-not-bindable" "address-in-use" "remote-unreachable"
      "connection-refused" "connection-reset" "connection-aborted" "datagram-too-large"
      "name-unresolvable" "temporary-resolver-failure" "permanent-resolver-failure"))
    (export "error-code" (type (eq $code)))
    (type $family (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type (eq $family)))))
  (alias export $net "error-code" (type $error-code))
  (alias export $net "ip-address-family" (type $ip-address-family))
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp (export "tcp-socket" (type (sub resource)))))
  (alias export $tcp "tcp-socket" (type $tcp-socket))
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create
    (alias outer $root $error-code (type $e'))
    (export "error-code" (type $e (eq $e')))
    (alias outer $root $ip-address-family (type $f'))
    (export "ip-address-family" (type $f (eq $f')))
    (alias outer $root $tcp-socket (type $t'))
    (export "tcp-socket" (type $t (eq $t')))
    (export "create-tcp-socket" (func (param "address-family" $f)
      (result (result (own $t) (error $e)))))))
  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (core func $create (canon lower (func $create "create-tcp-socket")
    (memory $memory "memory")))
  (core module $main
    (import "memory" "memory" (memory 1))
    (import "host" "create" (func $create (param i32 i32)))
    (func (export "go") (param $first i32) (param $second i32) (result i32)
      (local $n i32) (local $bad i32)
      (loop $again
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (call $create (i32.const 0) (i32.const 0))
        (if (i32.load8_u (i32.const 0)) (then
          (local.set $bad (i32.add (local.get $bad) (i32.or
            (i32.eq (local.get $n) (local.get $first))
            (i32.eq (local.get $n) (local.get $second)))))))
        (br_if $again (i32.lt_u (local.get $n) (i32.const 12))))
      (if (i32.eq (local.get $bad) (i32.const 2)) (then (unreachable)))
      (local.get $bad)))
  (core instance $main (instantiate $main
    (with "memory" (instance $memory))
    (with "host" (instance (export "create" (func $create))))))
  (func (export "go") (param "first" u32) (param "second" u32) (result u32)
    (canon lift (core func $main "go"))))
"""
FAULTS = ("-m", "chaos", "-D", "what=errors", "-D", "rate=1", "--shrink")


@pytest.fixture
def planted(tmp_path: Path) -> str:
    path = tmp_path / "planted.wasm"
    path.write_bytes(bytes(wat2wasm(PLANTED)))
    return str(path)


# the smallest set


@given(st.integers(1, 24).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_what_is_needed_is_found_and_nothing_else(case: tuple[int, set[int]]) -> None:
    items = [str(k) for k in range(case[0])]
    needed = {str(k) for k in case[1] or {0}}
    asked: list[tuple[str, ...]] = []

    def fails(some: Sequence[str]) -> Sequence[str]:
        asked.append(tuple(some))
        return some if needed <= set(some) else ()

    assert set(smallest(items, fails)) == needed
    assert len(asked) == len(set(asked))


@given(st.integers(1, 10), st.randoms(use_true_random=False))
def test_without_any_one_of_them_it_does_not_fail(count: int, chance: object) -> None:
    """Also where more faults may heal what fewer break."""
    items = [str(k) for k in range(count)]
    verdicts: dict[frozenset[str], bool] = {frozenset(items): True, frozenset(): False}

    def fails(some: Sequence[str]) -> Sequence[str]:
        chosen = chance.random() < 0.4  # type: ignore[attr-defined]
        return some if verdicts.setdefault(frozenset(some), chosen) else ()

    found = smallest(items, fails)
    assert verdicts[frozenset(found)]
    if len(found) > 1:
        assert not any(verdicts[frozenset(found) - {one}] for one in found)


# whole runs


def test_a_planted_pair_is_found(planted: str, capfd: pytest.CaptureFixture[str]) -> None:
    call = ["--inherit-network", "--invoke", "go(4, 9)", planted]
    assert main(["trace", *FAULTS, "-v", *call]) == 1
    out, err = capfd.readouterr()
    first, *faults, again = out.splitlines()
    assert first.startswith("it trapped: wasm trap: ") and "12 faults and with 2 of them" in first
    assert faults == [
        "fault root:4: create-tcp-socket: new-socket-limit",
        "fault root:9: create-tcp-socket: new-socket-limit",
    ]
    assert again == "again: -m chaos -D only=root:4,root:9"
    assert "run 1, 0 faults: it ended well\n" in err
    # What is said to do it again does it again.
    chosen = ["-m", "chaos", "-D", "what=errors", "-D", "only=root:4,root:9"]
    assert main(["trace", "-q", *chosen, *call]) == 134
    assert (
        main(["trace", "-q", "-m", "chaos", "-D", "what=errors", "-D", "only=root:4", *call]) == 0
    )


def test_directories_stay_as_they_are(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "kept.txt").write_text("kept")
    guest = ["--dir", f"{data}::/data", str(path_of("command"))]
    assert main(["trace", *FAULTS, *guest]) == 1
    assert capfd.readouterr().out == (
        "it ended with status 1, with 5 faults and with 1 of them (6 runs):\n"
        "fault 1: descriptor.open-at: access\nagain: -m chaos -D only=1\n"
    )
    assert [path.name for path in data.iterdir()] == ["kept.txt"]


def test_what_is_not_written_is_a_failure(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    short = ["-m", "chaos", "-D", "what=short", "-D", "rate=1", "--shrink"]
    guest = ["--dir", f"{tmp_path}::/data", str(path_of("command"))]
    assert main(["trace", *short, *guest]) == 0
    assert capfd.readouterr().out.startswith("it ended well with 1 fault; try another -D seed")
    assert main(["trace", *short, "--expect", "5 bytes: hello", *guest]) == 1
    out = capfd.readouterr().out
    assert out.startswith("it did not write '5 bytes: hello', with 1 fault and with 1 of them")
    assert "input-stream.blocking-read: short" in out
    assert main(["trace", *short, "--expect", "nonsense", *guest]) == 2
    assert "command.wasm fails without any fault, too: it did not write 'nonsense'" in (
        capfd.readouterr().err
    )


def test_where_no_fault_came(capfd: pytest.CaptureFixture[str]) -> None:
    none = ["-m", "chaos", "-D", "rate=0", "--shrink"]
    assert main(["trace", *none, str(path_of("command"))]) == 0
    assert capfd.readouterr().out.startswith("no fault came: another -D seed, or a higher -D rate")


class Moody(Tracing):
    """A guest that fails with faults the first time only."""

    def run(self, data: bytes, settings: Settings, name: str) -> Run:
        by_chance = not isinstance(settings.define, list)
        text = {"v": 1, "phase": "print", "text": "fault 7: open: io"}
        return Run((text,), Outcome(5 if by_chance else 0), b"", b"")


def test_a_program_that_is_not_the_same_each_time_is_refused() -> None:
    tracing = Moody((), {}, (), False, None, b"", True, False, False, 1.0, None, True)
    with pytest.raises(RunError, match="first it ended with status 5, then it ended well"):
        once = programs(b"", tracing, "moody.wasm", b"")
        Shrinking(Settings(monitor="chaos"), once, "moody.wasm").run()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-m", "icount", "--shrink"], "--shrink finds faults of the monitor chaos; add -m chaos"),
        (["-m", "chaos", "--expect", "a"], "--expect is for --shrink"),
        ([*FAULTS, "-D", "only=1"], "-D only chooses faults, which --shrink does itself"),
        ([*FAULTS, "-c"], "-c shows one run, --shrink makes many"),
        ([*FAULTS, "-o", "a.txt"], "-o shows one run, --shrink makes many"),
        ([*FAULTS, "-e", "trace=%net"], "-e trace= shows one run"),
        ([*FAULTS, "--http"], "add --request 'METHOD /PATH'"),
        ([*FAULTS, "--request", "/"], "--request is for HTTP handlers; --http serves"),
        ([*FAULTS, "--http", "--reuse", "2"], "--reuse is for many requests"),
        ([*FAULTS, "--engine", "wasmtime"], "--shrink runs the guest on the embedded engine"),
        ([*FAULTS, "--", "wasmtime"], "--shrink runs the guest on the embedded engine"),
    ],
)
def test_what_does_not_go_together(
    words: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", *words, str(path_of("command"))]) == 2
    assert said in capfd.readouterr().err


# replays and requests


def test_a_replay_fails_of_the_same_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """And nothing that the program worked on is there any more."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    guest = ["--dir", "data::/data", str(path_of("c_command"))]
    chaos = ["-m", "chaos", "-D", "seed=2", "-D", "rate=0.5", "--shrink"]
    assert main(["trace", *chaos, *guest]) == 1
    ran = capfd.readouterr().out
    assert main(["trace", "-q", "--record", "run.wcr", *guest]) == 0
    (tmp_path / "data" / "note.txt").unlink()
    (tmp_path / "data").rmdir()
    capfd.readouterr()
    assert main(["replay", *chaos, "run.wcr"]) == 1
    assert capfd.readouterr().out == ran
    assert "it ended with status 1, with 7 faults and with 1 of them" in ran
    assert main(["replay", "-q", "-m", "chaos", "-D", "only=2", "run.wcr"]) == 1
    assert "open failed with code" in capfd.readouterr().out


def test_a_request_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As it is asked, and as it was recorded."""
    monkeypatch.chdir(tmp_path)
    request = ["--request", "POST /x", "-d", "hello", str(path_of("http_echo"))]
    chaos = ["-m", "chaos", "-D", "rate=0.7", "-D", "what=short,dropped", "--shrink"]
    assert main(["trace", *chaos, *request]) == 0
    assert capfd.readouterr().out.startswith("it ended well with 2 faults")
    assert main(["trace", *chaos, "--expect", "hello", *request]) == 1
    asked = capfd.readouterr().out
    assert asked.startswith("it did not write 'hello', with 2 faults and with 1 of them")
    assert main(["trace", "-q", "--record", "run.wcr", *request]) == 0
    capfd.readouterr()
    assert main(["replay", *chaos, "--expect", "hello", "run.wcr"]) == 1
    assert capfd.readouterr().out == asked


@pytest.mark.parametrize(
    ("body", "said"), [("!", "it trapped: wasm trap: "), ("~", "it had not answered after 0.3 s")]
)
def test_a_request_that_fails_without_faults(
    body: str, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    app = tmp_path / "echo.wasm"
    app.write_bytes(echo())
    request = ["--request", "POST /", "-d", body, "--timeout", "300ms", str(app)]
    assert main(["trace", *FAULTS, *request]) == 2
    assert f"fails without any fault, too: {said}" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--shrink"], "add -m chaos"),
        (["-m", "chaos", "--shrink", "--until", "3"], "--until is of one replay"),
        (["-m", "chaos", "--shrink", "--on-miss", "live"], "another host each time"),
        (["-m", "chaos", "--shrink", "-c"], "-c shows one run"),
    ],
)
def test_what_does_not_go_together_in_a_replay(
    words: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", *words, "run.wcr"]) == 2
    assert said in capfd.readouterr().err
