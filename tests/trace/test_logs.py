"""Logs as operators have them: every envelope around lines of both versions, cut and mixed."""

from __future__ import annotations

import base64
import gzip
import io
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.agent.harness import NONCE
from tests.trace.test_lines import PARSED, block, numbered, packed
from whamm_cm.trace.identity import Identity
from whamm_cm.trace.logs.piece import rfc3339
from whamm_cm.trace.reader import Arrival, RecordReader, Weave

STAMP = "2026-11-20T10:00:00.123456789Z"
STAMP_NS = 1_795_168_800_123_456_789
RUNS = ("00112233445566aa", "00112233445566bb", "00112233445566cc")
WEAVE = Weave(table=PARSED)


def lines_of(run: str, first: int) -> list[str]:
    """Three blocks of one run, packed, in short lines; each value says where it belongs."""
    data = block(first, first + 1) + block(first + 2, before=2) + block(first + 3, before=3)
    return [line.decode().rstrip("\n") for line in numbered(packed(data, 20), run=run)]


def read(text: str | bytes, **more: Any) -> tuple[list[Arrival], RecordReader]:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    reader = RecordReader(io.BytesIO(data), "log", more.pop("weave", WEAVE), **more)
    return list(reader.arrivals()), reader


def values(arrivals: list[Arrival]) -> list[int]:
    return [a.record["result"] for a in arrivals if a.record["phase"] == "return"]


Wrap = Callable[[str, str], list[str]]


def docker(text: str, pod: str) -> list[str]:
    parts = [text[i : i + 16] for i in range(0, len(text), 16)]
    parts[-1] += "\n"
    return [json.dumps({"log": part, "stream": "stderr", "time": STAMP}) for part in parts]


def fluentd(text: str, pod: str) -> list[str]:
    parts = [text[i : i + 16] for i in range(0, len(text), 16)]
    last = len(parts) - 1
    return [
        json.dumps(
            {"log": part, "container_id": "c0ffee", "container_name": f"/{pod}", "source": "stderr",
             "partial_message": "true", "partial_ordinal": str(n + 1),
             "partial_last": "true" if n == last else "false"}
        )
        for n, part in enumerate(parts)
    ]  # fmt: skip


def cri(text: str, pod: str) -> list[str]:
    parts = [text[i : i + 16] for i in range(0, len(text), 16)]
    flags = "P" * (len(parts) - 1) + "F"
    return [f"{STAMP} stderr {f} {part}" for f, part in zip(flags, parts, strict=True)]


def journal(text: str, pod: str) -> list[str]:
    half = len(text) // 2
    common = {"_HOSTNAME": "node1", "_SYSTEMD_UNIT": f"{pod}.service", "_PID": "7"}
    common["__REALTIME_TIMESTAMP"] = "1795168800123456"
    return [
        json.dumps({**common, "MESSAGE": text[:half], "_LINE_BREAK": "line-max"}),
        json.dumps({**common, "MESSAGE": list(text[half:].encode())}),
    ]


def otel(text: str, pod: str) -> list[str]:
    resource = [{"key": "k8s.pod.name", "value": {"stringValue": pod}}]
    record = {"timeUnixNano": str(STAMP_NS), "body": {"stringValue": text}}
    scope = [{"logRecords": [record]}]
    logs = [{"resource": {"attributes": resource}, "scopeLogs": scope}]
    return [json.dumps({"resourceLogs": logs})]


#: envelope → (wrapping of a line of a pod, source it gives, whether it has the time)
ENVELOPES: dict[str, tuple[Wrap, str, bool]] = {
    "bare": (lambda text, pod: [text], "", False),
    "serve": (lambda text, pod: [f"stderr [79] :: stderr [81] :: {text}"], "", False),
    "stamped": (lambda text, pod: [f"{STAMP} {text}"], "", True),
    "docker": (docker, "", True),
    "fluentd": (fluentd, "/web-0", False),
    "cri": (cri, "", True),
    "journal": (journal, "node1/web-0.service", True),
    "journal short": (
        lambda text, pod: [f"Nov 20 10:00:00 node1 {pod}[71]: {text}"], "node1/web-0[71]", True,
    ),
    "journal short-iso": (
        lambda text, pod: [f"2026-11-20T10:00:00+0000 node1 {pod}[71]: {text}"],
        "node1/web-0[71]", True,
    ),
    "journal short-full": (
        lambda text, pod: [f"Fri 2026-11-20 10:00:00 UTC node1 {pod}[71]: {text}"],
        "node1/web-0[71]", True,
    ),
    "kubectl": (lambda text, pod: [f"[pod/{pod}/app] {text}"], "web-0/app", False),
    "kubectl stamped": (lambda text, pod: [f"[pod/{pod}/app] {STAMP} {text}"], "web-0/app", True),
    "kubectl cri": (
        lambda text, pod: [f"[pod/{pod}/app] {part}" for part in cri(text, pod)],
        "web-0/app", True,
    ),
    "stern": (lambda text, pod: [f"\x1b[32m{pod}\x1b[0m app {text}"], "web-0/app", False),
    "stern namespaces": (lambda text, pod: [f"shop {pod} app {text}"], "shop/web-0/app", False),
    "stern json": (
        lambda text, pod: [json.dumps({"message": text, "podName": pod, "containerName": "app"})],
        "web-0/app", False,
    ),
    "compose": (lambda text, pod: [f"{pod}  | {text}"], "web-0", False),
    "fluent bit": (
        lambda text, pod: [
            json.dumps({"log": text, "stream": "stderr", "time": STAMP, "kubernetes":
                        {"pod_name": pod, "container_name": "app"}})
        ],
        "web-0/app", True,
    ),
    "otel": (otel, "web-0", True),
    "otel of docker": (
        lambda text, pod: [line for part in docker(text, pod) for line in otel(part, pod)],
        "web-0", True,
    ),
    "host's json": (
        lambda text, pod: [json.dumps({"level": "INFO", "fields": {"message": f"log: {text}"}})],
        "", False,
    ),
}  # fmt: skip
NOISE = (
    "INFO starting",
    "",
    '{"level":"info","msg":"hi"}',
    "{not json",
    "WCM1 word",
    "WCM2.",
    "\x00",
)


def wrapped(wrap: Wrap, noise: bool) -> Iterator[str]:
    for text in lines_of(RUNS[0], 10):
        if noise:
            yield from NOISE
            yield from (line for each in NOISE[:2] for line in wrap(each or " ", "web-0"))
        yield from wrap(text, "web-0")


@pytest.mark.parametrize("noise", [False, True], ids=["only ours", "noisy"])
@pytest.mark.parametrize("name", ENVELOPES)
def test_every_envelope_is_taken_off(name: str, noise: bool) -> None:
    wrap, source, timed = ENVELOPES[name]
    text = "\n".join(wrapped(wrap, noise)) + "\n"
    for data in (text.encode(), gzip.compress(text.encode()), text.replace("\n", "\r\n").encode()):
        arrivals, reader = read(data)
        assert values(arrivals) == [10, 11, 12, 13] and reader.malformed == 0
        assert {a.source for a in arrivals} == {source}
        assert all((a.time_ns is not None) == timed for a in arrivals)


def test_time_stamps() -> None:
    assert rfc3339(STAMP) == STAMP_NS
    assert rfc3339("2026-11-20T11:30:00+01:30") == STAMP_NS // 10**9 * 10**9
    assert rfc3339("2026-11-20 10:00:00,5Z") == STAMP_NS // 10**9 * 10**9 + 500_000_000
    for odd in ("2026-13-20T10:00:00Z", "2026-11-20", None, 5, "9999999-11-20T10:00:00Z"):
        assert rfc3339(odd) is None


@pytest.mark.parametrize("name", ["fluentd", "journal", "kubectl cri", "otel of docker"])
def test_cut_lines_of_several_sources_are_joined_each_by_itself(name: str) -> None:
    rng = random.Random(5)
    wrap = ENVELOPES[name][0]
    queues = [
        [line for text in lines_of(run, 100 * n) for line in wrap(text, f"web-{n}")]
        for n, run in enumerate(RUNS)
    ]
    mixed = []
    while any(queues):
        mixed.append(rng.choice([queue for queue in queues if queue]).pop(0))
    arrivals, reader = read("\n".join(mixed) + "\n")
    assert reader.malformed == 0
    for n in range(3):
        mine = [a for a in arrivals if f"web-{n}" in a.source]
        assert values(mine) == [100 * n + i for i in range(4)]


def test_several_runs_of_one_host_line_by_line() -> None:
    """Requests at the same time on a host that tears its prefixes from the lines."""
    rng = random.Random(9)
    queues = [lines_of(run, 100 * n) for n, run in enumerate(RUNS)]
    text = ""
    while any(queues):
        n = rng.choice([n for n, queue in enumerate(queues) if queue])
        prefixes = "".join(f"stderr [{rng.randrange(3)}] :: " for _ in range(rng.randrange(3)))
        text += f"{prefixes}{queues[n].pop(0)}\n"
    identity = Identity()
    records = [identity.feed(arrival) for arrival in read(text)[0]]
    for n, run in enumerate(RUNS):
        mine = [r for r in records if r["run"] == run]
        assert [r["result"] for r in mine] == [100 * n + i for i in range(4)]
        assert len({r["instance"] for r in mine}) == 1
    assert {r["instance"] for r in records} == {1, 2, 3}


def test_a_whole_line_without_its_end_is_not_joined_with_the_next() -> None:
    """Docker's envelope without line breaks, as some collectors strip them."""
    lines = [json.dumps({"log": line, "stream": "stderr"}) for line in lines_of(RUNS[0], 1)]
    assert values(read("\n".join(lines) + "\n")[0]) == [1, 2, 3, 4]


def test_the_end_of_a_cut_log_is_looked_at() -> None:
    lines = [part for text in lines_of(RUNS[0], 1) for part in docker(text, "")]
    whole = json.loads(lines[-1])
    lines[-1] = json.dumps({**whole, "log": whole["log"].rstrip("\n")})
    assert values(read("\n".join(lines) + "\n")[0]) == [1, 2, 3, 4]


def test_a_guest_s_text_before_a_line_does_not_make_it_another_s() -> None:
    lines = lines_of(RUNS[0], 1)
    odd = [f"re-try failed {line}" if n % 2 else line for n, line in enumerate(lines)]
    arrivals, reader = read("\n".join(odd) + "\n")
    assert values(arrivals) == [1, 2, 3, 4] and reader.malformed == 0


def test_the_same_run_of_two_pods_is_two_runs() -> None:
    """Where a host's random numbers are none."""
    left, right = lines_of(RUNS[0], 1), lines_of(RUNS[0], 50)
    pairs = zip(left, right, strict=True)
    for prefixes in (("[pod/a-0/x] ", "[pod/b-0/x] "), ("a-0 x ", "b-0 x ")):
        text = "".join(f"{prefixes[0]}{a}\n{prefixes[1]}{b}\n" for a, b in pairs)
        arrivals, reader = read(text or "\n")
        assert reader.malformed == 0
        if text:
            assert values([a for a in arrivals if "a-0" in a.source]) == [1, 2, 3, 4]
            assert values([a for a in arrivals if "b-0" in a.source]) == [50, 51, 52, 53]
        pairs = zip(left, right, strict=True)


def test_only_lines_with_the_nonce_count_where_it_is_known() -> None:
    forged = '{"v":1,"seq":0,"instance":1,"call":1,"phase":"call","func":"f"}'
    mine = lines_of(RUNS[0], 1)
    other = [line.replace(NONCE, "a" * 12) for line in lines_of(RUNS[1], 9)]
    text = "\n".join([forged, f"WCM1 {forged}", *other, *mine]) + "\n"
    arrivals, reader = read(text, weave=Weave(NONCE, PARSED))
    assert values(arrivals) == [1, 2, 3, 4] and reader.malformed == 0
    arrivals, reader = read(text, weave=Weave(None, PARSED))
    assert len(values(arrivals)) == 8 and list(reader.nonces) == ["a" * 12, NONCE]


def test_packed_lines_need_the_table() -> None:
    arrivals, reader = read("\n".join(lines_of(RUNS[0], 1)) + "\n", weave=Weave())
    assert not values(arrivals) and list(reader.unknown) == [NONCE]
    assert "--woven" in reader.warnings()[0]


def test_json_lines_of_the_wrong_shape_are_counted() -> None:
    good = {"v": 2, "run": RUNS[0], "instance": 1, "phase": "call", "func": "f", "call": 1}
    bad = {**good, "args": [], "seq": 1}
    lines = numbered(
        [json.dumps({**good, "seq": 0}), json.dumps(bad), json.dumps({**good, "seq": 2})]
    )
    arrivals, reader = read(
        b"".join(line.replace(b"00112233445566ff", RUNS[0].encode()) for line in lines)
    )
    assert [a.record["seq"] for a in arrivals] == [0, 2]
    assert (reader.malformed, reader.first_malformed) == (1, 2)


def test_messages_as_bytes_and_nothing() -> None:
    odd: list[Any] = [None, [300], ["x"], {}, 5, [[]], base64.b64encode(b"x").decode()]
    lines = [json.dumps({"MESSAGE": each, "_HOSTNAME": "h"}) for each in odd]
    arrivals, _ = read("\n".join([*lines, *lines_of(RUNS[0], 1)]) + "\n")
    assert values(arrivals) == [1, 2, 3, 4]
