"""``report`` on logs of hosts: several at once, times, what is missing, instances together."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.trace.test_identity import started
from whamm_cm.cli.main import main

NONCE = "abcdefghij23"


def line(number: int, record: dict[str, Any]) -> str:
    return f"WCM2.{NONCE} {record['run']}.{number} {json.dumps(record)}"


def host_log(run: str, wall: int, pod: str = "web-0") -> str:
    records = [{**r, "run": f"{run:0>16}"} for r in started(run, wall)]
    records.append({"v": 2, "run": f"{run:0>16}", "seq": 99, "instance": 1, "phase": "end"})
    for number, record in enumerate(records):
        record["seq"] = number
    return "".join(f"[pod/{pod}/app] {line(n, r)}\n" for n, r in enumerate(records))


@pytest.fixture
def logs(tmp_path: Path) -> list[str]:
    """The second host's run began two seconds before the first's."""
    base = 10**18
    (tmp_path / "a.log").write_text(host_log("a", base))
    (tmp_path / "b.log").write_text(host_log("b", base - 2_000_000_000))
    return [str(tmp_path / "a.log"), str(tmp_path / "b.log")]


def report(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[str, str]:
    assert main(["report", *args]) == 0
    said = capsys.readouterr()
    return said.out, said.err


def test_several_hosts_have_one_time_base(
    logs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    text, said = report(capsys, "-t", *logs)
    times = [float(found) for found in re.findall(r"(-?\d+\.\d{6}) a:b/c#f", text)]
    assert 0 <= min(times) < 0.001 and max(times) > 1.99 and len(times) == 12
    assert "2 runs are put on one base by the wall clock" in said
    assert "nobody vouches" in said and said.count("vouches") == 1
    events = json.loads(report(capsys, "-f", "chrome", *logs)[0])["traceEvents"]
    starts = sorted(event["ts"] for event in events if event["ph"] == "X")
    assert starts[0] >= 0 and starts[-1] - starts[0] > 1_990_000
    document = json.loads(report(capsys, "-f", "speedscope", *logs)[0])
    assert min(profile["startValue"] for profile in document["profiles"]) >= 0


def test_the_source_of_a_record_is_kept(
    logs: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text, _ = report(capsys, "-f", "jsonl", *logs)
    records = [json.loads(each) for each in text.splitlines()]
    sources = {(r["source"], r["run"], r.get("instance")) for r in records if "call" in r}
    assert sorted(sources) == sorted(
        (f"{log} web-0/app", f"{name:0>16}", number)
        for log, name, numbers in ((logs[0], "a", (1, 2)), (logs[1], "b", (3, 4)))
        for number in numbers
    )
    saved = tmp_path / "saved.jsonl"
    saved.write_text(text)
    again, _ = report(capsys, "-f", "jsonl", str(saved))
    assert again == text  # saving changes nothing


def test_standard_input_may_be_read_twice(
    logs: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Path(logs[0]).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    text, _ = report(capsys, "-C", "-t", "-")
    assert text.count("a:b/c#f") == 7 and "% time" in text


def test_a_run_without_its_end_says_so_in_every_form(
    logs: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    whole = Path(logs[0]).read_text().splitlines(keepends=True)
    cut = tmp_path / "cut.log"
    cut.write_text("".join(whole[:-2]))
    for form in ("strace", "summary", "table"):
        assert "an unknown number of records may be lost" in report(capsys, "-f", form, str(cut))[0]
    records = [json.loads(each) for each in report(capsys, "-f", "jsonl", str(cut))[0].splitlines()]
    assert (records[-1]["phase"], records[-1]["lost"]) == ("lost", "unknown")
    assert json.loads(report(capsys, "-f", "json", str(cut))[0])["lost"] == "unknown"
    cut.write_text("".join([*whole[:5], *whole[7:]]))
    assert "2 records were lost: lines of the log are missing" in report(capsys, "-c", str(cut))[0]


def test_damage_costs_no_output(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, logs: list[str]
) -> None:
    bad = tmp_path / "bad.log"
    shape = {"v": 1, "seq": 1, "instance": 1, "phase": "report", "count": 1, "var": "v"}
    shape |= {"type": "map<u32,u32>", "value": 1}
    texts = ['WCM1 {"v":9,"phase":"call"}', "WCM1 {bad", f"WCM1 {json.dumps(shape)}"]
    bad.write_text("\n".join([*texts, Path(logs[0]).read_text()]))
    for form in ("strace", "summary", "jsonl", "chrome", "speedscope", "folded", "table", "json"):
        output = tmp_path / f"out.{form}"
        _, said = report(capsys, "-f", form, "-o", str(output), str(bad))
        assert output.stat().st_size and "3 records cut or damaged, first on line 1" in said


def test_instances_together_and_apart(logs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    together, _ = report(capsys, "-c", *logs)
    apart, _ = report(capsys, "-c", "--per-instance", *logs)
    assert together.count("a:b/c#f") == 1 and " 12 " in together
    assert [f"[{n}] a:b/c#f" in apart for n in (1, 2, 3, 4)] == [True] * 4


def test_what_scripts_reported_is_not_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log of calls shows none of it, and says where it is."""
    more = {"script": "s", "var": "n", "type": "u64", "value": 3}
    record = {"v": 2, "run": "a" * 16, "seq": 0, "instance": 1, "phase": "report", **more}
    (tmp_path / "run.jsonl").write_text(json.dumps(record) + "\n")
    _, err = report(capsys, str(tmp_path / "run.jsonl"))
    assert "-f table shows it" in err
    out, err = report(capsys, "-f", "table", str(tmp_path / "run.jsonl"))
    assert "n  3" in out and "-f table" not in err
