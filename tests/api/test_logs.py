"""``read_log``, and a run as text."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

import whamm_cm
from fixtures.build import build
from tests.run.guests import assemble
from whamm_cm.cli.main import main
from whamm_cm.render.registry import BY_LINE, RENDERERS

COMMAND = build("command")


@pytest.fixture(scope="module")
def run() -> whamm_cm.Run:
    return whamm_cm.load(COMMAND, "command.wasm").trace()


def test_what_is_saved_is_read_again(run: whamm_cm.Run, tmp_path: Path) -> None:
    run.to("jsonl", tmp_path / "run.jsonl")
    again = whamm_cm.read_log(tmp_path / "run.jsonl")
    assert again.records == run.records and again.calls == run.calls
    assert again.status is None and again.stdout is None and again.warnings == ()
    (tmp_path / "run.jsonl.gz").write_bytes(gzip.compress((tmp_path / "run.jsonl").read_bytes()))
    assert whamm_cm.read_log(str(tmp_path / "run.jsonl.gz")).records == run.records


@pytest.mark.parametrize("name", [name for name in RENDERERS if name not in BY_LINE])
def test_every_format_is_what_report_writes(run: whamm_cm.Run, name: str, tmp_path: Path) -> None:
    run.to("jsonl", tmp_path / "run.jsonl")
    run.to(name, tmp_path / "out")
    if RENDERERS[name].binary:
        with pytest.raises(whamm_cm.UsageError, match=f"{name} is no text; write it to a file"):
            run.text(name)
    else:
        assert (tmp_path / "out").read_bytes() == run.text(name).encode()
    told = str(tmp_path / "told")
    assert main(("report", "-f", name, "-o", told, str(tmp_path / "run.jsonl"))) == 0
    written = Path(told).read_bytes()
    if name == "html":  # which has the name of the log at its top
        written = written.replace(b"run.jsonl", b"a run")
    assert written == (tmp_path / "out").read_bytes()


def test_a_format_there_is_none_of(run: whamm_cm.Run, tmp_path: Path) -> None:
    with pytest.raises(whamm_cm.UsageError, match='did you mean "chrome"'):
        run.to("crome", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_options_of_the_text(run: whamm_cm.Run) -> None:
    text = run.text("strace", whamm_cm.RenderOptions(names=True, durations=True))
    assert "<stdout>" in text and " <0." in text and "<stdout>" not in run.text("strace")


def test_several_logs_are_one_with_instances_of_their_own(
    run: whamm_cm.Run, tmp_path: Path
) -> None:
    other = whamm_cm.load(COMMAND).trace(trace="%random")
    run.to("jsonl", tmp_path / "a.jsonl")
    other.to("jsonl", tmp_path / "b.jsonl")
    both = whamm_cm.read_log(tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    assert both.instances == (1, 2)
    parts = both.per_instance
    assert list(parts) == [1, 2]
    assert [c.site for c in parts[1].calls] == [c.site for c in run.calls]
    assert [c.site for c in parts[2].calls] == [c.site for c in other.calls]
    assert len(both.calls) == len(run.calls) + len(other.calls)
    assert {c.opened["source"] for c in parts[2].calls if c.opened} == {str(tmp_path / "b.jsonl")}


def test_per_instance_of_reports(tmp_path: Path) -> None:
    script = "wasm:opcode:call:before { report var n: u32; n++; }"
    paths = []
    for name in ("a", "b"):
        part = whamm_cm.load(COMMAND).trace(scripts=script)
        paths.append(tmp_path / f"{name}.jsonl")
        part.to("jsonl", paths[-1])
    both = whamm_cm.read_log(*paths)
    whole = {(c.row, c.place): c.value for c in both.reports}
    parts = [{(c.row, c.place): c.value for c in p.reports} for p in both.per_instance.values()]
    assert len(parts) == 2 and whole
    for key, value in whole.items():
        assert value == sum(part[key] for part in parts)


def test_a_host_log_is_read_with_what_was_woven(tmp_path: Path) -> None:
    """Lines of the stderr sink, among a host's own text, as the guest's captured stderr."""
    app = whamm_cm.load(COMMAND, "command.wasm")
    woven = app.weave(trace="*", sink="stderr")
    woven.write(tmp_path / "woven.wasm")
    inner = whamm_cm.load(woven.bytes, "command.wasm")
    ran = inner.trace(trace="none", force=True)
    assert ran.stderr is not None and b"WCM2." in ran.stderr
    log = tmp_path / "host.log"
    log.write_bytes(b"starting\n" + ran.stderr + b"WCM2.zzzzzzzzzzzz forged\n")
    for known in (woven, tmp_path / "woven.wasm", woven.bytes):
        found = whamm_cm.read_log(log, woven=known)
        assert any(c.site.item == "wasi:cli/run#run" for c in found.calls)
        assert not found.lost and found.warnings == ()
    bare = whamm_cm.read_log(log)
    assert bare.calls == () and any("site table is not" in text for text in bare.warnings)


def test_what_is_missing_and_what_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(whamm_cm.InputError, match="there is no such file"):
        whamm_cm.read_log(tmp_path / "none.jsonl")
    (tmp_path / "odd.log").write_text("nothing\nof ours\n")
    with pytest.raises(whamm_cm.InputError, match="none of 2 lines is a record"):
        whamm_cm.read_log(tmp_path / "odd.log")
    (tmp_path / "empty.jsonl").write_text("")
    assert whamm_cm.read_log(tmp_path / "empty.jsonl").warnings == ("no records found",)


def test_damage_is_counted_and_said(run: whamm_cm.Run, tmp_path: Path) -> None:
    lines = run.text("jsonl").splitlines(keepends=True)
    lines[5] = lines[5][:20] + "\n"
    (tmp_path / "cut.jsonl").write_text("".join(lines))
    found = whamm_cm.read_log(tmp_path / "cut.jsonl")
    assert found.lost.known == 1 and "1 record cut or damaged" in found.warnings[0]


def test_summary_counts_what_calls_say(run: whamm_cm.Run) -> None:
    rows = {(row.edge, row.item): row for row in run.summary()}
    assert rows["import", "wasi:random/random#get-random-u64"].calls == 2
    assert sum(row.calls for row in rows.values()) == len(run.calls)


def test_records_are_json(run: whamm_cm.Run) -> None:
    assert json.loads(json.dumps(run.records)) == list(run.records)
    assert repr(run) == f"<Run status 0, {len(run.records)} records>"


def test_inner_calls_have_both_components(tmp_path: Path) -> None:
    run = whamm_cm.load(assemble("strings")).trace(invoke='round("x")')
    assert len(run.per_instance) == len(run.instances) > 1
