"""``--sink otel``: what the host's wasi:otel is told, on a host whose types are written down here
from the interface's text (wasi-otel 0.2.0-rc.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from wasmtime import WasiConfig

from tests.weave import host
from tests.weave.async_parts import KINDS, WAYS, both
from tests.weave.scripted import script_plan
from tests.weave.test_sampling import COMPOSED
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan
from whamm_cm.wit.types import (
    EnumT,
    FlagsT,
    FuncT,
    ListT,
    OptionT,
    Prim,
    RecordT,
    ResultT,
    TupleT,
    ValType,
    VariantT,
)

STRING, U32 = Prim("string"), Prim("u32")
DATETIME = RecordT((("seconds", Prim("u64")), ("nanoseconds", U32)))
ATTRIBUTES = ListT(RecordT((("key", STRING), ("value", STRING))))
SCOPE = RecordT((("name", STRING), ("version", OptionT(STRING)), ("schema-url", OptionT(STRING)),
                 ("attributes", ATTRIBUTES)))  # fmt: skip
FLAGS = FlagsT(("sampled",))
CONTEXT = RecordT((("trace-id", STRING), ("span-id", STRING), ("trace-flags", FLAGS),
                   ("is-remote", Prim("bool")),
                   ("trace-state", ListT(TupleT((STRING, STRING))))))  # fmt: skip
KIND = EnumT(("client", "server", "producer", "consumer", "internal"))
EVENT = RecordT((("name", STRING), ("time", DATETIME), ("attributes", ATTRIBUTES)))
LINK = RecordT((("span-context", CONTEXT), ("attributes", ATTRIBUTES)))
STATUS = VariantT((("unset", None), ("ok", None), ("error", STRING)))
SPAN = RecordT((("span-context", CONTEXT), ("parent-span-id", STRING), ("span-kind", KIND),
                ("name", STRING), ("start-time", DATETIME), ("end-time", DATETIME),
                ("attributes", ATTRIBUTES), ("events", ListT(EVENT)), ("links", ListT(LINK)),
                ("status", STATUS), ("instrumentation-scope", SCOPE), ("dropped-attributes", U32),
                ("dropped-events", U32), ("dropped-links", U32)))  # fmt: skip
RESOURCE = RecordT((("attributes", ATTRIBUTES), ("schema-url", OptionT(STRING))))
LOG = RecordT((("timestamp", OptionT(DATETIME)), ("observed-timestamp", OptionT(DATETIME)),
               ("severity-text", OptionT(STRING)), ("severity-number", OptionT(Prim("u8"))),
               ("body", OptionT(STRING)), ("attributes", OptionT(ATTRIBUTES)),
               ("event-name", OptionT(STRING)), ("resource", OptionT(RESOURCE)),
               ("instrumentation-scope", OptionT(SCOPE)), ("trace-id", OptionT(STRING)),
               ("span-id", OptionT(STRING)), ("trace-flags", OptionT(FLAGS))))  # fmt: skip
TRACE, OUTER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
NO_ID = ""


@dataclass
class Otel:
    """A host with wasi:otel.  ``trace`` and ``span``: where it is, "" for nowhere."""

    trace: str = TRACE
    span: str = OUTER
    started: list[str] = field(default_factory=list)
    spans: list[dict[str, Any]] = field(default_factory=list)
    logs: list[dict[str, Any]] = field(default_factory=list)

    def functions(self, ask: str) -> dict[tuple[str, str], tuple[FuncT, Any]]:
        where: dict[str, Any] = {"trace-id": self.trace, "span-id": self.span,
                                 "trace-flags": ["sampled"], "is-remote": True,
                                 "trace-state": [["vendor", "x" * 300]]}  # fmt: skip

        def taking(t: ValType, take: Any) -> tuple[FuncT, Any]:
            return FuncT((("what", t),), None), take

        tracing, logs = "wasi:otel/tracing@0.2.0-rc.2", "wasi:otel/logs@0.2.0-rc.2"
        return {
            (tracing, "on-start"): taking(CONTEXT, lambda c: self.started.append(c["span-id"])),
            (tracing, "on-end"): taking(SPAN, self.spans.append),
            (tracing, ask): (FuncT((), CONTEXT), lambda: where),
            (logs, "on-emit"): taking(LOG, self.logs.append),
        }

    def named(self, name: str) -> list[dict[str, Any]]:
        return [span for span in self.spans if span["name"] == name]


def run(
    wasm: bytes,
    otel: Otel,
    *calls: tuple[Any, ...],
    sink: str = "otel",
    more: Any = None,
    **plan: Any,
) -> list[Any]:
    """Calls of the woven component, and what they return."""
    wishes = {"trace": host.everything, **plan}
    woven = weave(wasm, Plan(sink=sink, **wishes))  # type: ignore[arg-type]
    ask = "outer-span-context" if sink == "otel" else "current-span-context"
    functions = host.Functions({**otel.functions(ask), **(more or {})})
    guest = host.Guest(woven.wasm, functions, wasi=WasiConfig())
    return [guest.call(*call) for call in calls]


def tree(otel: Otel) -> list[tuple[str, str, str]]:
    """Names with kinds, and the name of what each is below of, in the order they began."""
    names = {span["span-context"]["span-id"]: span["name"] for span in otel.spans}
    names |= {OUTER: "the host", NO_ID: "nothing"}
    order = {span: number for number, span in enumerate(otel.started)}
    ids = sorted(otel.spans, key=lambda span: order[span["span-context"]["span-id"]])
    return [(span["name"], span["span-kind"], names[span["parent-span-id"]]) for span in ids]


@pytest.mark.parametrize("sink", ["otel", "otel-current"])
@pytest.mark.parametrize("multi_memory", [False, True])
def test_spans_of_a_composition(sink: str, multi_memory: bool) -> None:
    otel = Otel()
    assert run(host.text(COMPOSED), otel, ("run", 5), sink=sink, multi_memory=multi_memory) == [7]
    assert tree(otel) == [
        ("run", "server", "the host"),
        ("f", "internal", "run"),
        ("f", "internal", "f"),
        ("f", "internal", "run"),
        ("f", "internal", "f"),
    ]
    assert {span["span-context"]["trace-id"] for span in otel.spans} == {TRACE}
    assert len({span["span-context"]["span-id"] for span in otel.spans}) == 5
    for span in otel.spans:
        begin, end = (
            (t["seconds"], t["nanoseconds"]) for t in (span["start-time"], span["end-time"])
        )
        assert (1_600_000_000, 0) < begin <= end
    about = {each["key"]: each["value"] for each in otel.named("run")[0]["attributes"]}
    assert about["code.function.name"] == '"run"' and about["whamm_cm.component"] == '"Caller"'


def test_a_host_that_is_nowhere_gets_a_new_trace_for_each_request() -> None:
    otel = Otel("", "")
    run(host.text(COMPOSED), otel, ("run", 1), ("run", 2))
    runs = otel.named("run")
    assert [span["parent-span-id"] for span in runs] == ["", ""]
    traces = [span["span-context"]["trace-id"] for span in runs]
    assert len(set(traces)) == 2 and all(len(trace) == 32 for trace in traces)
    assert {s["span-context"]["trace-id"] for s in otel.spans} == set(traces)


FAILING = """(component
  (type $bad (variant (case "no") (case "code" u32)))
  (import "bad" (type $bad' (eq $bad)))
  (import "try" (func $try (param "n" u32) (result (result (error $bad')))))
  (core module $Memory (memory (export "memory") 1))
  (core instance $memory (instantiate $Memory))
  (core func $try' (canon lower (func $try) (memory (core memory $memory "memory"))))
  (core module $M (import "" "try" (func $try (param i32 i32)))
    (func (export "run") (param i32) (call $try (local.get 0) (i32.const 64))))
  (core instance $m (instantiate $M (with "" (instance (export "try" (func $try'))))))
  (func (export "run") (param "n" u32) (canon lift (core func $m "run"))))"""


def test_an_error_is_the_status() -> None:
    otel = Otel()
    bad = VariantT((("no", None), ("code", U32)))
    type_ = FuncT((("n", U32),), ResultT(None, bad))
    answers: list[Any] = [{"ok": None}, {"error": {"code": 7}}, {"error": {"no": None}}]
    run(host.text(FAILING), otel, *(("run", n) for n in range(3)),
        more={("", "try"): (type_, lambda n: answers[n])})  # fmt: skip
    statuses = [span["status"] for span in otel.named("try")]
    assert statuses == [{"unset": None}, {"error": '{"code":7}'}, {"error": '{"no":null}'}]
    assert {span["span-kind"] for span in otel.named("try")} == {"internal"}
    assert [span["status"] for span in otel.named("run")] == [{"unset": None}] * 3


#: A component that calls one function of an interface, and exports one.
_SERVICE = """(component
  (import "{name}" (instance $i (export "{func}" (func))))
  (core func $f (canon lower (func $i "{func}")))
  (core module $M (import "" "f" (func $f)) (func (export "run") (call $f)))
  (core instance $m (instantiate $M (with "" (instance (export "f" (func $f))))))
  (func $run (canon lift (core func $m "run")))
  (instance $out (export "go" (func $run)))
  (export "{out}" (instance $out)))"""


@pytest.mark.parametrize(
    ("name", "out", "kinds"),
    [
        ("wasi:keyvalue/atomics@0.2.0-draft", "wasi:cli/run@0.2.0", ("client", "server")),
        ("wasmcloud:messaging/consumer@0.2.0", "wasmcloud:messaging/handler@0.2.0",
         ("producer", "consumer")),
        ("my:other/thing@1.2.3", "my:own/thing", ("internal", "server")),
    ],
)  # fmt: skip
def test_kinds(name: str, out: str, kinds: tuple[str, str]) -> None:
    """As ``trace/semconv.py`` has them."""
    otel = Otel()
    func = "work"
    wasm = host.text(_SERVICE.format(name=name, func=func, out=out))
    run(wasm, otel, (f"{out}#go",), more={(name, func): (FuncT((), None), lambda: None)})
    inner, outer = name.partition("@")[0], out.partition("@")[0]
    assert tree(otel) == [
        (f"{outer}#go", kinds[1], "the host"),
        (f"{inner}#{func}", kinds[0], f"{outer}#go"),
    ]


def test_what_scripts_say_are_logs() -> None:
    otel = Otel()
    script = 'report var n: u32; wit:export:#run:before { n++; print("number {}", n); }'
    run(host.text(COMPOSED), otel, ("run", 1), scripts=script_plan(script))
    events = [log["event-name"] for log in otel.logs]
    assert "whamm_cm.print" in events and "whamm_cm.report" in events
    [printed] = [log for log in otel.logs if log["event-name"] == "whamm_cm.print"]
    assert '"text":"number 1"' in printed["body"] and printed["severity-number"] == 9
    assert printed["trace-id"] in (None, TRACE)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_spans_of_tasks(kind: str, way: str) -> None:
    otel = Otel()
    assert run(host.text(both(kind, way)), otel, ("run",), ("run",)) == [70, 70]
    found = tree(otel)
    assert found.count(("run", "server", "the host")) == 2
    assert found.count(("f", "internal", "run")) == 2
    assert not [each for each in found if "nothing" in each]
    assert len(otel.started) == len(otel.spans)


ALREADY = """(component
  (type $tracing (instance
    (type $kv (record (field "key" string) (field "value" string)))
    (export "key-value" (type $kv' (eq $kv)))
    (type $flags (flags "sampled")) (export "trace-flags" (type $flags' (eq $flags)))
    (type $context (record (field "trace-id" string) (field "span-id" string)
      (field "trace-flags" $flags') (field "is-remote" bool)
      (field "trace-state" (list (tuple string string)))))
    (export "span-context" (type $context' (eq $context)))
    (export "outer-span-context" (func (result $context')))))
  (import "wasi:otel/tracing@0.2.0-rc.2" (instance $otel (type $tracing)))
  (core module $M (func (export "run")))
  (core instance $m (instantiate $M))
  (func (export "run") (canon lift (core func $m "run"))))"""


def test_a_component_that_knows_otel_already() -> None:
    """Its own import is completed: no interface can be imported twice."""
    otel = Otel()
    run(host.text(ALREADY), otel, ("run",))
    assert tree(otel) == [("run", "server", "the host")]


def test_requests_that_are_not_sampled_have_no_spans() -> None:
    otel = Otel()
    run(host.text(COMPOSED), otel, *[("run", 1)] * 20, sample=1 << 29, sample_start=1)
    assert otel.spans == [] and otel.started == []
