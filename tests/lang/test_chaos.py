"""The monitor ``chaos``: typed faults, the same ones for the same seed."""

from __future__ import annotations

import base64
import re
import tempfile
from itertools import product
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from fixtures.build import path_of
from fixtures.listener import greeter
from whamm_cm import Dir, load
from whamm_cm.cli.main import main
from whamm_cm.front.run import Run
from whamm_cm.monitors import monitors

FAULT = re.compile(r"fault (\d+): (\S+): (\S+)")
#: Functions of the store, which no host here has: what is asked of them must never get there.
STORE = """
(component
  (import "wasi:keyvalue/store@0.2.0-draft" (instance $store
    (type $e (variant (case "no-such-store") (case "access-denied") (case "other" string)))
    (export "error" (type $error (eq $e)))
    (export "bucket" (type $bucket (sub resource)))
    (export "open" (func (param "identifier" string)
      (result (result (own $bucket) (error $error)))))))
  (core module $libc (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $libc (instantiate $libc))
  (core func $open (canon lower (func $store "open")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (core module $main
    (import "" "memory" (memory 1))
    (import "" "open" (func $open (param i32 i32 i32)))
    (func (export "go") (result i32)
      (call $open (i32.const 0) (i32.const 1) (i32.const 16))
      (i32.add (i32.mul (i32.load8_u (i32.const 16)) (i32.const 10))
        (i32.load8_u (i32.const 20)))))
  (core instance $main (instantiate $main (with "" (instance
    (export "memory" (memory $libc "memory")) (export "open" (func $open))))))
  (func (export "go") (result u32) (canon lift (core func $main "go"))))
"""


def chaos(folder: Path, app: str = "command", trace: str | None = None, **define: object) -> Run:
    """A run with faults; the guest sees a fresh directory as /data."""
    data = Path(tempfile.mkdtemp(dir=folder))
    found = load(path_of(app)).trace(
        monitor="chaos", define=define, trace=trace, dirs=[Dir(str(data), "/data")], flush="each"
    )
    assert found.stderr is not None
    return found


def faults(found: Run) -> list[tuple[str, ...]]:
    """Number, function and kind of each."""
    texts = (FAULT.fullmatch(one.text) for one in found.prints)
    return [match.groups() for match in texts if match is not None]


def chances(found: Run) -> int:
    (value,) = (cell.value for cell in found.reports if cell.row.var == "chances")
    return int(value)


def test_the_same_seed_gives_the_same_faults(tmp_path: Path) -> None:
    seeds = {}
    for seed in range(1, 5):
        first, again = (faults(chaos(tmp_path, seed=seed, rate=0.3, ms=1)) for _ in range(2))
        assert first == again
        seeds[seed] = tuple(first)
    assert len(set(seeds.values())) > 2


def test_the_rate_is_kept_and_chosen_faults_are_the_only_ones(tmp_path: Path) -> None:
    every = chaos(tmp_path, what="latency", ms=0, rate=1)
    assert [int(number) for number, *_ in faults(every)] == [*range(1, chances(every) + 1)]
    assert chances(every) > 2 and every.status == 0
    assert faults(chaos(tmp_path, what="latency", ms=0, rate=0)) == []
    chosen = chaos(tmp_path, what="latency", ms=0, rate=1, only=2)
    assert faults(chosen) == faults(every)[1:2]


def test_every_fault_is_what_the_guest_gets(tmp_path: Path) -> None:
    """One fault at a time, at each chance of the run: its call has that result."""
    seen, told = set(), chances(chaos(tmp_path, only=0))
    for number in range(1, told + 1):
        found = chaos(tmp_path, trace="%fs,%net,wasi:io/streams", only=number, ms=1)
        ((said, func, kind),) = faults(found)
        assert said == str(number)
        at = next(k for k, r in enumerate(found.records) if r["phase"] == "print")
        call = max(r["call"] for r in found.records[:at] if r.get("func") == func)
        back = next(r for r in found.records if r["phase"] == "return" and r["call"] == call)
        _check(kind, back["result"])
        seen.add(kind)
    assert seen == {"access", "io", "insufficient-space", "short", "dropped", "latency"}


def _check(kind: str, result: object) -> None:
    assert isinstance(result, dict)
    if kind == "latency":
        assert set(result) == {"ok"}
    elif kind == "short":
        assert result == {"ok": {"~b64": base64.b64encode(b"h").decode()}}
    else:
        assert result == {"error": {"closed": None} if kind == "dropped" else kind}


def test_what_was_dropped_stays_so(tmp_path: Path) -> None:
    """A fault for each stream at most, whatever the guest goes on to ask of it."""
    with greeter() as address:
        found = load(path_of("py_command")).trace(
            monitor="chaos", define={"what": "dropped", "on": "net", "rate": 1}, network=True,
            args=[address], trace="wasi:io/streams", flush="each",
        )  # fmt: skip
    assert {kind for _, _, kind in faults(found)} == {"dropped"}
    closed = [r for r in found.records if str(r.get("result")) == "{'error': {'closed': None}}"]
    assert len(faults(found)) <= 2 and len(closed) >= len(faults(found))
    assert b"Error: [Errno " in (found.stderr or b"")  # its own exception


def test_wrong_words_are_told(tmp_path: Path) -> None:
    texts = [one.text for one in chaos(tmp_path, what="error", on="files").prints]
    assert texts == [
        "chaos: what=error is no list of errors, short, dropped and latency",
        "chaos: on=files is no list of fs, net, http and kv",
    ]
    for words in ("errors", "errors,short", "short,dropped,latency,errors"):
        assert not chaos(tmp_path, what=words, only=0).prints


def test_a_store_answers_with_its_own_error() -> None:
    found = load(bytes(wat2wasm(STORE))).trace(
        monitor="chaos", define={"rate": 1, "what": "errors"}, invoke="go()", stub_imports=True
    )
    assert found.trap is None
    assert found.value == 12  # an error, its case number 2: other


def test_an_answer_of_http_is_an_error_of_http(capfd: pytest.CaptureFixture[str]) -> None:
    asked = ["-m", "chaos", "-D", "rate=1", "-D", "what=errors", "-e", "trace=%http"]
    request = ["--request", "GET /127.0.0.1:9"]
    assert main(["trace", *asked, *request, str(path_of("http_ask"))]) == 0
    said = capfd.readouterr().err
    assert "fault 1: future-incoming-response.get: connection-timeout" in said
    assert "future-incoming-response.get resumed> = ok(error(connection-timeout))" in said


def _names(rule: str) -> set[str]:
    """The functions that a rule of the monitor lists."""
    found = set()
    for part in re.split(r"\|(?![^{]*\})", rule):
        pieces = [p.strip("{}").split(",") for p in re.split(r"(\{[^}]*\})", part) if p]
        found |= {"".join(one) for one in product(*pieces)}
    return found


def test_no_rule_names_what_is_not_there() -> None:
    """A rule with a ? says nothing of a wrong name."""
    apps = ("py_http", "command", "http_ask")
    known = {site.func for app in apps for site in load(path_of(app)).sites()}
    known |= {"descriptor.get-type", "incoming-body.stream", "output-stream.flush"}
    known |= {"input-stream.skip", "input-stream.blocking-skip"}
    known |= {"output-stream.splice", "output-stream.blocking-splice"}
    kv = {"open", "increment", "get-many", "set-many", "delete-many"}
    kv |= {f"bucket.{name}" for name in ("get", "set", "delete", "exists", "list-keys")}
    rules = re.findall(r"^\?wit:import:(\S+?)(?:@0\.2)?#(\S+?):(?:alt|before|after)",
                       monitors()["chaos"], re.M)  # fmt: skip
    assert len(rules) > 15
    for interface, functions in rules:
        for name in _names(functions) - {"*"}:
            assert name in (kv if "keyvalue" in interface else known), (interface, name)
