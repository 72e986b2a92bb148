"""Logs of every kind → the same records."""

from __future__ import annotations

import gzip
import io
import json

import pytest

from tests.trace.records import Log
from whamm_cm.errors import InputError
from whamm_cm.trace.reader import RecordReader, fault_of, open_log

LOG = Log()
LOG.call("wasi:cli/stdout#get-stdout", 3)
LOG.call("a:b/c#say", None, text='quote " and WCM1 {"v":1} in a string, ünïcode')
LOG.add("dropped", "", 0, count=4)
LINES = [json.dumps(record, ensure_ascii=False) for record in LOG]


def read(text: str | bytes) -> tuple[list, RecordReader]:
    stream = io.StringIO(text) if isinstance(text, str) else io.BytesIO(text)
    reader = RecordReader(stream, "log")
    return list(reader), reader


WRAPPERS = {
    "plain": lambda line: line,
    "sentinel": lambda line: f"WCM1 {line}",
    "pod prefix": lambda line: f"[pod/host-0/host] 2026-11-20T10:00:00.123Z stderr F WCM1 {line}",
    "text before on the same line": lambda line: f"guest wrote {{this}} WCM1 {line}",
    "text behind on the same line": lambda line: f"WCM1 {line} next message",
    "docker json-file": lambda line: json.dumps({"log": f"WCM1 {line}\n", "stream": "stderr"}),
    "crlf": lambda line: f"WCM1 {line}\r",
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=list(WRAPPERS))
@pytest.mark.parametrize("noise", [False, True], ids=["bare", "noisy"])
def test_every_wrapping_gives_the_records(wrap, noise):
    lines = [wrap(line) for line in LINES]
    if noise and wrap is not WRAPPERS["plain"]:
        between = ["INFO starting", "", "{not json", '{"level":"info","msg":"hi"}', "WCM1 word"]
        lines = [text for line in lines for text in (*between, line)]
    text = "\n".join(lines) + "\n"
    for data in (text, text.encode(), gzip.compress(text.encode())):
        records, reader = read(data)
        assert records == LOG.records
        assert reader.malformed == 0 and reader.warnings() == []
        assert reader.records == len(LOG.records)


def test_two_records_on_one_line():
    records, _ = read(f"WCM1 {LINES[0]}WCM1 {LINES[1]}\n")
    assert records == LOG.records[:2]


def test_unknown_keys_are_kept():
    records, _ = read('{"v":1,"phase":"dropped","instance":1,"count":1,"new":[1,2]}\n')
    assert records[0]["new"] == [1, 2]


def test_a_record_cut_by_the_host_is_counted():
    records, reader = read(f"WCM1 {LINES[0]}\nx WCM1 {LINES[1][:40]}\nWCM1 {LINES[2]}\n")
    assert records == [LOG.records[0], LOG.records[2]]
    assert reader.malformed == 1
    (warning,) = reader.warnings()
    assert warning.startswith("log: 1 record cut or damaged, first on line 2 (not JSON")


def test_the_last_line_of_a_killed_run_is_counted():
    records, reader = read(f"{LINES[0]}\n{LINES[1][:40]}")
    assert records == LOG.records[:1]
    assert reader.malformed == 1


BAD_LINES = {
    "cut": LINES[1][:40],
    "text": "hello",
    "array": "[1]",
    "no phase": '{"v":1}',
    "odd phase": '{"v":1,"phase":"again","instance":1}',
    "no func": '{"v":1,"phase":"call","instance":1,"call":1}',
    "no instance": '{"v":1,"phase":"dropped","count":1}',
    "text for a number": '{"v":1,"phase":"dropped","instance":1,"count":"1"}',
    "true for a number": '{"v":1,"phase":"dropped","instance":1,"count":true}',
    "huge number": '{"v":1,"phase":"dropped","instance":1,"count":18446744073709551616}',
    "number for a text": '{"v":1,"phase":"call","instance":1,"call":1,"func":7}',
    "args is a list": '{"v":1,"phase":"call","instance":1,"call":1,"func":"f","args":[]}',
    "not a number": '{"v":1,"phase":"return","instance":1,"call":1,"func":"f","result":NaN}',
    "nested deeply": '{"v":1,"result":' + "[" * 100000 + "]" * 100000 + "}",
}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=list(BAD_LINES))
@pytest.mark.parametrize("at", [1, 2])
def test_a_bad_line_of_a_plain_log_is_counted_with_its_number(line, at):
    lines = list(LINES)
    lines.insert(at - 1, line)
    records, reader = read("\n".join(lines) + "\n")
    assert records == LOG.records
    assert (reader.malformed, reader.first_malformed) == (1, at)
    assert reader.first_fault in reader.warnings()[0]
    if '"phase"' in line and not line.endswith("NaN}") and line != BAD_LINES["cut"]:
        assert read(line + "\n")[1].malformed == 1
    else:
        with pytest.raises(InputError, match="^log:1: .* none of 1 lines is a record"):
            read(line + "\n")


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=list(BAD_LINES))
def test_the_same_line_does_not_stop_a_host_log(line):
    records, _ = read(f"{line}\nWCM1 {LINES[0]}\nWCM1 {line}\n{line}\nWCM1 {LINES[1]}\n")
    assert records == LOG.records[:2]


def test_a_file_without_records_says_so():
    with pytest.raises(InputError, match="none of 2 lines is a record"):
        read("hello\nworld\n")
    assert read("")[0] == []


@pytest.mark.parametrize("version", ["9", "0", "true", '"2"', "2.0", "[]"])
def test_a_format_nobody_knows_is_counted_and_never_ends_the_log(version):
    newer = f'{{"v":{version},"seq":1,"instance":1,"call":1,"phase":"return","func":"f"}}'
    records, reader = read(f"{LINES[0]}\n{newer}\n{LINES[1]}\n")
    assert records == LOG.records[:2] and reader.malformed == 1
    assert "is not known" in reader.first_fault
    records, reader = read(f"WCM1 {LINES[0]}\nx WCM1 {newer}\nWCM1 {LINES[1]}\n")
    assert records == LOG.records[:2] and (reader.malformed, reader.first_malformed) == (1, 2)


def test_damaged_gzip():
    packed = gzip.compress("\n".join(LINES).encode())
    with pytest.raises(InputError, match="damaged gzip"):
        read(packed[:40])
    with pytest.raises(InputError, match="damaged gzip"):
        read(packed[:40] + b"\xff" * 40 + packed[80:])


def test_gzip_that_is_cut_off_is_read_as_far_as_it_goes():
    records, reader = read(gzip.compress("\n".join(LINES).encode())[:-8])
    assert 0 < len(records) <= len(LOG.records)
    assert records == LOG.records[: len(records)]
    assert "damaged gzip data: it is cut off there" in reader.warnings()[0]


def test_bytes_that_are_no_utf8_do_no_harm():
    records, _ = read(b"\xff\xfe noise\nWCM1 " + LINES[0].encode() + b"\n")
    assert records == LOG.records[:1]


def test_open_log(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_text("\n".join(LINES))
    with open_log(path) as reader:
        assert list(reader) == LOG.records
    with (
        pytest.raises(InputError, match=r"gone\.jsonl: there is no such file"),
        open_log(tmp_path / "gone.jsonl") as reader,
    ):
        list(reader)


def test_every_test_record_is_valid():
    assert [fault_of(record) for record in LOG] == [""] * len(LOG.records)


def numbered(*numbers: int, run: str = "a" * 16) -> list[dict]:
    head = {"v": 2, "run": run}
    return [{**head, "seq": n, "phase": "lost", "lost": 0, "why": "trap"} for n in numbers]


@pytest.mark.parametrize(
    ("numbers", "missing", "late"),
    [
        ((0, 1, 2, 3), 0, 0),
        ((0, 1, 5, 6), 3, 0),  # some were taken out
        ((7, 8, 9), 7, 0),  # the beginning is not there
        ((3, 1, 0, 2), 0, 3),  # in another order
        ((0, 1, 2, 0, 1, 2), 0, 3),  # twice
    ],
)
def test_lines_that_are_missing_or_out_of_order_are_told(
    numbers: tuple[int, ...], missing: int, late: int
) -> None:
    text = "".join(json.dumps(record) + "\n" for record in numbered(*numbers))
    _, reader = read(text)
    assert reader.missing == missing
    said = [note for note in reader.warnings() if "twice or behind later ones" in note]
    assert bool(said) == bool(late)
    assert all(f"log: {late} record" in note for note in said)


def test_runs_are_numbered_each_by_itself() -> None:
    pairs = zip(numbered(*range(9)), numbered(*range(9), run="b" * 16), strict=True)
    text = "".join(json.dumps(record) + "\n" for pair in pairs for record in pair)
    _, reader = read(text)
    assert (reader.missing, reader.warnings()) == (0, [])


def test_a_gap_that_was_told_is_told_once() -> None:
    """Where lines of a host's log were lost, their numbers are left out."""
    told = {"v": 2, "run": "a" * 16, "seq": 2, "phase": "lost", "lost": 4, "why": "line"}
    for behind in (6, 7):
        records = [*numbered(0, 1), told, *numbered(behind, behind + 1)]
        _, reader = read("".join(json.dumps(record) + "\n" for record in records))
        assert reader.missing == 0
