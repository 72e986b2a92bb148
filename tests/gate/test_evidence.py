"""What logs prove: nothing that the guest could have written, nothing that was lost."""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

import pytest

from tests.gate.making import TODAY, call, component, policy, record
from tests.gate.test_values import opened, v4
from whamm_cm.cli.gate_inputs import evidence
from whamm_cm.cli.main import main
from whamm_cm.errors import InputError
from whamm_cm.gate.engine import Engine
from whamm_cm.gate.evidence import gather
from whamm_cm.gate.model import ComponentReport
from whamm_cm.gate.subject import analyse
from whamm_cm.gate.suggest import suggest

TCP, POLL = "wasi:sockets/tcp@0.2.3", "wasi:io/poll@0.2.3"
APP = component({TCP: ("start-connect",), POLL: ("poll",)})
POLLED = call(1, "wasi:io/poll#poll", None, version="0.2.3")
OBSERVED = "judge: observed\nimports: {deny: ['wasi:sockets/*']}"


def judged(text: str, records: tuple[dict, ...], trusted: bool = True) -> ComponentReport:
    evidence = gather(records, policy(text).budgets, trusted)
    found = analyse(APP, "app", evidence.observed)
    engine = Engine(policy(text), TODAY)
    return engine.judge(
        engine.context("app", "app", subject=found.subject, evidence=evidence,
                       strangers=found.strangers)
    )  # fmt: skip


def said(report: ComponentReport) -> set[str]:
    return {one.rule for one in report.findings}


def test_what_was_not_observed_is_let_through_by_sound_logs_alone() -> None:
    assert "WCM010" not in said(judged(OBSERVED, POLLED))
    assert "WCM010" in said(judged(OBSERVED, POLLED, trusted=False))
    assert "WCM010" in said(judged(OBSERVED, ()))
    for lost in (
        {"phase": "dropped", "instance": 1, "count": 3},
        {"v": 2, "phase": "lost", "lost": 1, "why": "buffer"},
        {"v": 2, "phase": "lost", "lost": "unknown", "why": "killed"},
    ):
        report = judged(OBSERVED, (*POLLED, lost))
        assert {"WCM010", "WCM065"} <= said(report), lost
        (finding,) = [one for one in report.findings if one.rule == "WCM065"]
        assert finding.severity == "error"


def test_what_was_observed_counts_against_it_whoever_says_so() -> None:
    connected = call(2, "wasi:sockets/tcp#start-connect", None, version="0.2.3")
    for trusted in (True, False):
        assert "WCM010" in said(judged(OBSERVED, connected, trusted))
    text = "permissions: {network: {allow: []}}"
    talked = record("wasi:sockets/tcp#start-connect", version="0.2.3", args=v4(9, 9, 9, 9))
    assert {"WCM060", "WCM064"} <= said(judged(text, (talked,), False))
    assert "WCM064" not in said(judged(text, (talked,)))


def test_how_much_is_missing() -> None:
    def message(*records: dict) -> str:
        return next(one.message for one in judged("", records).findings if one.rule == "WCM065")

    one = {"v": 2, "phase": "lost", "lost": 1, "why": "line"}
    unknown = {"v": 2, "phase": "lost", "lost": "unknown", "why": "killed"}
    assert message(one) == "1 record was lost; what they said is not judged"
    assert message(one, one).startswith("2 records were lost")
    assert message(unknown).startswith("an unknown number of records was lost")
    assert message(one, unknown).startswith("at least 1 record was lost")
    start, end = {"v": 2, "phase": "start", "wall_ns": 1}, {"v": 2, "phase": "end"}
    assert "WCM065" not in said(judged("", (start, *POLLED, end)))


PLAIN = json.dumps({"v": 1, "seq": 0, **POLLED[0]}) + "\n"


def vouched(path: Path) -> bool:
    args = argparse.Namespace(quiet=True, woven=None)
    try:
        return evidence(args, [str(path)]).vouched
    except InputError:
        return False


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (PLAIN, True),
        ("\n" + PLAIN, True),
        ('{"v":2,"run":"00","phase":"start"}\n', True),
        ("WCM1 " + PLAIN, False),
        ("hello\nWCM1 " + PLAIN, False),
        ("WCM2.abcdefghijkl 0011223344556677.0 {}\n", False),
        ('{"log": "WCM1 {\\"phase\\": 1}"}\n', False),
        ('{"log":["phase"],"phase":"x"}\n', False),
        ("", False),
        # What comes behind counts, too: the guest's line may be the first one.
        (PLAIN + "WCM1 " + PLAIN, False),
        (PLAIN * 1000 + "WCM1 " + PLAIN, False),
        (PLAIN + "host WCM1 " + PLAIN + PLAIN, False),
        (PLAIN + json.dumps({"log": PLAIN, "stream": "stderr"}) + "\n", False),
        (json.dumps({"log": PLAIN, "stream": "stderr"}) + "\n", False),
        (PLAIN * 3, True),
    ],
)
def test_whose_word_a_log_is(tmp_path: Path, text: str, good: bool) -> None:
    (tmp_path / "log").write_text(text)
    assert vouched(tmp_path / "log") is good
    (tmp_path / "log.gz").write_bytes(gzip.compress(text.encode()))
    assert vouched(tmp_path / "log.gz") is good


def test_the_gate_goes_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("app.wasm").write_bytes(APP)
    Path("p.yaml").write_text(f"version: 1\n{OBSERVED}\nrules: {{WCM016: off}}\n")
    Path("run.jsonl").write_text("".join(json.dumps(one) + "\n" for one in POLLED))
    Path("host.log").write_text("".join(f"WCM1 {json.dumps(one)}\n" for one in POLLED))
    gate = ["gate", "app.wasm", "--policy", "p.yaml", "--trace-log"]
    assert main([*gate, "run.jsonl"]) == 0
    assert main([*gate, "host.log"]) == 1
    assert "the guest could write to" in capsys.readouterr().out
    assert main(["policy", "suggest", "host.log"]) == 0
    assert capsys.readouterr().out.startswith("# The guest could write to the log")


# suggestions


def suggested(*records: dict) -> str:
    return suggest(None, gather(records))


START = "wasi:sockets/tcp#tcp-socket.start-connect"
FINISH = "wasi:sockets/tcp#tcp-socket.finish-connect"
METADATA = v4(169, 254, 169, 254, port=80)


def test_an_address_that_was_refused_is_not_allowed() -> None:
    refused = call(1, START, {"error": "access-denied"}, args=METADATA, self=4)
    text = suggested(*refused)
    assert "allow: []" in text and "# 169.254.169.254:80 was refused by" in text
    # Refused once and given later is given; that it was begun is not enough when it failed.
    given = call(2, START, {"ok": None}, args=METADATA, self=5)
    assert '{ host: "169.254.169.254", ports: [80] }' in suggested(*refused, *given)
    failed = call(3, FINISH, {"error": "access-denied"}, self=5)
    assert "host:" not in suggested(*given, *failed)
    waiting = call(4, FINISH, {"error": "would-block"}, self=5)
    assert "host:" in suggested(*given, *waiting)
    # The call trapped, as with a handle that is no socket: nobody gave it.
    trapped = suggested(refused[0])
    assert "allow: []" in trapped and "host:" not in trapped
    assert "# 169.254.169.254:80: wasi:sockets/tcp#tcp-socket.start-connect asked" in trapped
    assert "host:" in suggested(refused[0], *given)


def test_requests_and_files_that_were_refused() -> None:
    new = call(1, "wasi:http/types#outgoing-request.new", 7)
    who = call(2, "wasi:http/types#outgoing-request.set-authority", {"ok": None}, self=7,
               args={"authority": "evil.example"})  # fmt: skip

    def sent(result: object) -> tuple[dict, dict]:
        return call(3, "wasi:http/outgoing-handler#handle", result, args={"request": 7})

    later = "wasi:http/types#future-incoming-response.get"
    assert "evil.example:443 was refused" in suggested(*new, *who, *sent({"error": "denied"}))
    assert '"evil.example"' in suggested(*new, *who, *sent({"ok": 9}))
    denied = call(4, later, {"some": {"ok": {"error": "HTTP-request-denied"}}}, self=9)
    assert '"evil.example"' not in suggested(*new, *who, *sent({"ok": 9}), *denied)
    dirs = call(1, "wasi:filesystem/preopens#get-directories", [[3, "/data"]])
    asked = call(5, "wasi:filesystem/types#descriptor.open-at", {"error": "access"}, self=3,
                 args={"path": "secret", "flags": ["read"]})  # fmt: skip
    text = suggested(*dirs, *asked)
    assert "uri:" not in text and "# read of fs:///data/secret was refused" in text


@pytest.mark.parametrize("name", ["**", "*", "a*b", "?", "a\\b", "[a]", "{a,b}", "a|b", "\\*"])
def test_names_of_files_are_no_globs(name: str) -> None:
    dirs = call(1, "wasi:filesystem/preopens#get-directories", [[3, "/data"]])
    text = suggested(*dirs, *opened(name, "read"))
    found = policy(text.removeprefix("version: 1\n")).permissions.storage
    assert found is not None and found.allow is not None
    assert any(line.covers(f"/data/{name}", "read") for line in found.allow)
    for other in ("/data/x", "/data/x/y", "/data/axb", "/data/a"):
        assert not any(line.covers(other, "read") for line in found.allow), (text, other)


def test_keys_that_no_policy_can_have() -> None:
    pairs = [["GOOD", "1"], ["A*", "2"], ["X\ny: 1", "3"]]
    text = suggested(*call(1, "wasi:cli/environment#get-environment", pairs))
    assert '{ key: "GOOD" }' in text and '"A*"' not in text
    policy(text.removeprefix("version: 1\n"))


def test_names_that_no_policy_can_allow() -> None:
    """Among them those that would be globs: a guest may call an import as it likes."""
    for name in ("wasi:io/po*ll#poll", "wasi:io/poll#*x", "*#f", "wasi:io/{a,b}#f", "a b:c/d#f",
                 "wasi:io/poll#f,g", "wasi:io/poll#[a]", "wasi:io/poll#{poll}"):  # fmt: skip
        text = suggested(*call(1, name, None, version="0.2.0"), *POLLED)
        found = policy(text.removeprefix("version: 1\n")).imports
        assert found is not None and len(found.allow) == 1, text
        assert not found.allow[0].allows("wasi:io/error", "0.2.0", "f"), text


@pytest.mark.parametrize(
    ("version", "shown"),
    [("0.2.12", "@^0.2#"), ("0.0.7", "@^0.0.7#"), ("1.4.2", "@^1#"), (None, "poll#"),
     ("0.2.0-draft", "@=0.2.0-draft#"), ("0.2.0+b", "@=0.2.0+b#")],
)  # fmt: skip
def test_versions_as_hosts_link_them(version: str | None, shown: str) -> None:
    more = {} if version is None else {"version": version}
    text = suggested(*call(1, "wasi:io/poll#poll", None, **more))
    assert shown in text
    line = policy(text.removeprefix("version: 1\n")).imports.allow[0]  # type: ignore[union-attr]
    assert line.allows("wasi:io/poll", version, "poll")
