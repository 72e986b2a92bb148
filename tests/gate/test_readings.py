"""How names are read; what policies require of exports, and forbid."""

from __future__ import annotations

import pytest
import wasmtime

from tests.gate.binaries import FUNC, FUNCTION, HEAD, extern, section
from tests.gate.making import judge, rules
from whamm_cm.component.nodes import ExternName
from whamm_cm.gate.model import Finding, Report
from whamm_cm.gate.readings import readings

FILES, TYPES = "acme:fs/files@1.2.0", "acme:fs/types@1.0.0"
#: Interfaces with and without functions, an instance by a plain name, and a function of the world.
APP = wasmtime.wat2wasm(f"""(component
  (core module $m (func (export "f"))) (core instance $m (instantiate $m))
  (func $f (canon lift (core func $m "f")))
  (instance $i (export "open" (func $f)) (export "close" (func $f))) (instance $none)
  (export "{FILES}" (instance $i)) (export "db" (instance $i)) (export "run" (func $f))
  (export "{TYPES}" (instance $none)))""")
NOTHING = wasmtime.wat2wasm("(component)")


def found(report: Report) -> list[Finding]:
    return list(report.components[0].findings)


@pytest.mark.parametrize(
    ("pattern", "required", "forbidden"),
    [
        ("acme:fs/files", True, [FILES]),
        ("acme:fs/*", True, [FILES, TYPES]),
        ("acme:fs/files@^1.0", True, [FILES]),
        ("acme:fs/files@1.3.0", False, [FILES]),
        ("acme:fs/files@=1.2.0#open", True, [FILES]),
        ("acme:fs/files#{stat,close}", True, [FILES]),
        ("acme:fs/files#stat", False, []),
        ("acme:fs/types", True, [TYPES]),
        ("acme:fs/files@2", False, []),
        ("acme:net/*", False, []),
        ("*#open", True, [FILES, TYPES, "db"]),
        ("db#*", True, ["db"]),
        ("db#open", True, ["db"]),
        ("db#stat", False, []),
        ("#run", True, ["run"]),
        ("#open", False, []),
        ("#db", False, []),
    ],
)
def test_patterns(pattern: str, required: bool, forbidden: list[str]) -> None:
    report = judge(APP, f"exports: {{require: ['{pattern}']}}")
    assert ("WCM030" not in rules(report)) is required
    report = judge(APP, f"exports: {{forbid: ['{pattern}']}}")
    assert [one.item for one in found(report)] == forbidden
    assert rules(report) == ({"WCM031"} if forbidden else set())


def test_what_is_there_is_said() -> None:
    (one,) = found(judge(NOTHING, "exports: {require: ['#run']}"))
    assert one.message == 'no export matches "#run" (it exports nothing)'
    (one,) = found(judge(APP, "exports: {require: [{item: '#start', reason: why}]}"))
    assert one.message == (
        f'no export matches "#start": why (it exports {FILES}, db, run, {TYPES})'
    )
    several = found(judge(APP, "exports: {forbid: [{item: '#run', reason: why}, '#ru*']}"))
    assert [one.message for one in several] == ['run matches "#run": why']


def test_a_function_by_the_name_of_an_interface_is_forbidden_and_fulfils_nothing() -> None:
    export = section(11, extern(FILES) + b"\x01\x00\x00")
    data = HEAD + section(7, FUNC) + section(10, extern("f") + FUNCTION) + export
    for pattern in ("acme:fs/files", "acme:fs/*@1.0"):
        assert "WCM030" in rules(judge(data, f"exports: {{require: ['{pattern}']}}"))
        assert "WCM031" in rules(judge(data, f"exports: {{forbid: ['{pattern}']}}"))


IO = "wasi:io/poll"


@pytest.mark.parametrize(
    ("name", "attributes", "kind", "read", "form", "odd"),
    [
        (f"{IO}@0.2.0", (), "instance", {(IO, "0.2.0")}, "plain", ""),
        (IO, (), "instance", {(IO, None)}, "plain", ""),
        (f"{IO}@0.2", (), "instance", {(IO, "0.2")}, "strange", ""),
        ("poll", (), "func", set(), "plain", ""),
        ("[method]poll.wait", (), "func", set(), "plain", ""),
        ("[async]poll", (), "func", set(), "plain", ""),
        (f"{IO}@0.2", (("versionsuffix", ".3"),), "instance", {(IO, "0.2"), (IO, "0.2.3")},
         "strange", ""),
        (f"{IO}@0.2", (("versionsuffix", "3"),), "instance", {(IO, "0.2"), (IO, "0.23")}, "strange",
         "has a version suffix that changes its version"),
        (f"{IO}@0.2.0", (("versionsuffix", ".3"),), "instance", {(IO, "0.2.0")}, "strange",
         "has a version suffix that continues no version"),
        (IO, (("versionsuffix", "@0.2.3"),), "instance", {(IO, None), (IO, "0.2.3")}, "strange",
         "has a version suffix that continues no version"),
        ("net", (("implements", f"{IO}@0.2.0"),), "instance", {(IO, "0.2.0")}, "label", ""),
        ("net", (("implements", f"{IO}@0.2.0"),), "func", {(IO, "0.2.0")}, "strange",
         "which only an instance under a label can be"),
        ("net", (("implements", "Poll"),), "instance", set(), "strange", "which is no interface"),
        ("net", (("external-id", f"{IO}@0.2.0"),), "instance", {(IO, "0.2.0")}, "plain",
         "has the id of another interface"),
        ("WASI:io/poll@0.2.0", (), "instance", {(IO, "0.2.0")}, "plain", ""),
        ("url=<https://x/acme:one/two@1>", (), "component", {("acme:one/two", "1")}, "plain",
         "names a url instead of an interface"),
        ("url=<https://x/acme:One/two>", (), "component", {("acme:one/two", None)}, "plain",
         "names a url instead of an interface"),
        (f"{IO}@0.2.0", (), "func", {(IO, "0.2.0")}, "plain", "is a func by the name of an inter"),
    ],
)  # fmt: skip
def test_readings(
    name: str, attributes: tuple[tuple[str, str], ...], kind: str, read: set, form: str, odd: str
) -> None:
    found = readings(ExternName(name, attributes), kind)
    assert read <= set(found.all) and bool(read) is bool(found.all)
    assert found.form == form and (odd in found.odd if odd else not found.odd)


def test_a_package_alone_is_read_as_its_interfaces() -> None:
    found = readings(ExternName("unlocked-dep=<wasi:io>"), "component").all
    assert {"wasi:io/poll", "wasi:io/streams"} <= {one for one, _ in found}
    assert all(one.startswith("wasi:io/") for one, _ in found)
