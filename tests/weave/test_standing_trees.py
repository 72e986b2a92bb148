"""Whatever components call it: what a function is called in records is what really runs.

Trees of components are made at random: functions handed over under misleading names, one by one,
in inline instances, in instances in instances, through components that only pass them on, to
components that are instantiated several times.  They run on wasmtime with host functions that take
notes; that says who is called, and selection, records, redaction and the gate have to agree.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.weave.host import Functions, Guest, Sink, everything, text
from whamm_cm.analysis.reach.analysis import reach
from whamm_cm.analysis.site import Selector
from whamm_cm.component.decode import decode
from whamm_cm.gate.capabilities import Observed, capabilities
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan
from whamm_cm.wit.classes import SiteSet
from whamm_cm.wit.names import FuncName
from whamm_cm.wit.types import FuncT, Prim

#: What the root imports, and whether it is secret.
HOST = {
    ("wasi:cli/environment@0.2.0", "get-environment"): True,
    ("wasi:config/store@0.2.0-rc.1", "get"): True,
    ("wasi:random/random@0.2.0", "pick"): False,
    ("wasi:random/random@0.2.6", "pick"): False,
    ("wasi:clocks/monotonic-clock@0.2.0", "now"): False,
    ("", "plain"): False,
}
#: What components inside call things.
NAMES = (
    "e", "x", "wasi:random/random@0.2.0", "wasi:cli/environment@0.2.0",
    "wasi:logging/logging@0.1.0", "a:b/c", "wasi:config/store@0.2.0-rc.1", "wasi:io/streams@0.2.0",
)  # fmt: skip
LABELS = ("pick", "get", "get-environment", "now", "f")


def name_of(interface: str, func: str) -> FuncName:
    path, _, version = interface.partition("@")
    return FuncName(path, version or None, func)


def value_of(interface: str, func: str) -> str:
    return f"What {interface}#{func} knows"


@dataclass
class Import:
    """How a component takes one function: by itself, from an instance, from one in another."""

    name: str
    form: str  # "func", "instance", "nested"
    label: str

    def text(self, k: int) -> str:
        """The import, and an alias of the function as ``$f{k}``."""
        func = "(func (result string))"
        if self.form == "func":
            return f'(import "{self.name}" (func $f{k} (result string)))'
        inner = f'(export "{self.label}" {func})'
        if self.form == "instance":
            return f"""(import "{self.name}" (instance $i{k} {inner}))
              (alias export $i{k} "{self.label}" (func $f{k}))"""
        return f"""(import "{self.name}" (instance $i{k} (export "in" (instance {inner}))))
          (alias export $i{k} "in" (instance $j{k}))
          (alias export $j{k} "{self.label}" (func $f{k}))"""

    def given(self, value: str, at: str) -> tuple[str, str]:
        """Definitions, and the ``with`` argument, that hand over function ``value``."""
        if self.form == "func":
            return "", f'(with "{self.name}" (func {value}))'
        made = f'(instance ${at} (export "{self.label}" (func {value})))'
        if self.form == "nested":
            made += f'(instance ${at}o (export "in" (instance ${at})))'
            return made, f'(with "{self.name}" (instance ${at}o))'
        return made, f'(with "{self.name}" (instance ${at}))'


WORK = """
  (core module $mem (memory (export "m") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 2048)))
  (core instance $mem (instantiate $mem))
  (alias core export $mem "m" (core memory $m))
  (alias core export $mem "realloc" (core func $realloc))
"""


@dataclass
class Definition:
    """A component: what it takes, and of each thing it exports whether that is its own code, which
    calls import ``k``, or import ``k`` itself."""

    imports: list[Import]
    source: str
    exports: list[tuple[str, int, bool]]  # path "instance/label" or "label"; k; own code


@dataclass
class Tree:
    rng: random.Random
    parts: list[str] = field(default_factory=list)
    #: Functions that can be handed over: how the root refers to them.
    values: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    fresh: int = 0

    def new(self, word: str) -> str:
        self.fresh += 1
        return f"{word}{self.fresh}"

    def imports(self, n: int) -> list[Import]:
        names = self.rng.sample(NAMES, n)
        result = []
        for name in names:
            forms = ("func", "instance", "nested") if ":" not in name else ("instance", "nested")
            result.append(Import(name, self.rng.choice(forms), self.rng.choice(LABELS)))
        return result

    def worker(self) -> Definition:
        """Calls everything it takes, passes some of it on."""
        imports = self.imports(self.rng.randint(1, 3))
        lines = [imported.text(k) for k, imported in enumerate(imports)] + [WORK]
        bag, calls = "", ""
        for k in range(len(imports)):
            lines.append(
                f"(core func $l{k} (canon lower (func $f{k}) (memory $m) (realloc $realloc)))"
            )
            bag += f'(export "l{k}" (func $l{k}))'
        for k in range(len(imports)):
            calls += f"""(func (export "r{k}") (result i32)
              (call $l{k} (i32.const 1024)) (i32.const 1024))"""
        needs = "".join(
            f'(import "h" "l{k}" (func $l{k} (param i32)))' for k in range(len(imports))
        )
        lines.append(f"""(core module $main {needs} {calls})
          (core instance $main (instantiate $main (with "h" (instance {bag}))))""")
        exports = []
        for k in range(len(imports)):
            lines.append(f"""(func $r{k} (result string) (canon lift (core func $main "r{k}")
              (memory $m)))""")
            own = self.rng.random() < 0.75
            exports.append(self._export(lines, f"$r{k}" if own else f"$f{k}", k, own, len(exports)))
        return Definition(imports, "\n".join(lines), exports)

    def _export(
        self, lines: list[str], item: str, k: int, own: bool, number: int
    ) -> tuple[str, int, bool]:
        label = f"{self.rng.choice(LABELS)}{number}"
        if self.rng.random() < 0.5:
            lines.append(f'(export "{label}" (func {item}))')
            return label, k, own
        interface = f"{self.rng.choice(('wasi:cli', 'wasi:config', 'p:q'))}/s{number}@0.2.0"
        lines.append(f"""(instance $o{number} (export "{label}" (func {item})))
          (export "{interface}" (instance $o{number}))""")
        return f"{interface}/{label}", k, own

    def wrapped(self, inner: Definition) -> Definition:
        """A component with another in it that it hands all its imports on to, in any order of
        names, and whose exports it passes out."""
        imports = self.imports(len(inner.imports))
        lines = [imported.text(k) for k, imported in enumerate(imports)]
        name = self.new("$part")
        lines.append(f"(component {name} {inner.source})")
        args = ""
        for k, imported in enumerate(inner.imports):
            made, arg = imported.given(f"$f{k}", f"g{k}")
            lines.append(made)
            args += arg
        lines.append(f"(instance $n (instantiate {name} {args}))")
        exports = []
        for number, (path, k, own) in enumerate(inner.exports):
            lines.append(alias("$n", path, f"$v{number}"))
            exports.append(self._export(lines, f"$v{number}", k, own, number))
        return Definition(imports, "\n".join(lines), exports)

    def build(self) -> str:
        for number, (interface, func) in enumerate(HOST):
            if interface:
                self.parts.append(f"""(import "{interface}" (instance $h{number}
                  (export "{func}" (func (result string)))))
                  (alias export $h{number} "{func}" (func $hf{number}))""")
            else:
                self.parts.append(f'(import "{func}" (func $hf{number} (result string)))')
            self.values.append(f"$hf{number}")
        for _ in range(self.rng.randint(1, 3)):
            self._instances()
        return "(component " + "\n".join(self.parts) + ")"

    def _instances(self) -> None:
        definition = self.worker()
        for _ in range(self.rng.randint(0, 2)):
            definition = self.wrapped(definition)
        name = self.new("$c")
        self.parts.append(f"(component {name} {definition.source})")
        for _ in range(self.rng.choice((1, 1, 2))):
            args = ""
            for imported in definition.imports:
                made, arg = imported.given(self.rng.choice(self.values), self.new("b"))
                self.parts.append(made)
                args += arg
            instance = self.new("$n")
            self.parts.append(f"(instance {instance} (instantiate {name} {args}))")
            for path, _, own in definition.exports:
                value = self.new("$v")
                self.parts.append(alias(instance, path, value))
                self.values.append(value)
                if own and self.rng.random() < 0.8:
                    run = self.new("run-n")
                    self.parts.append(f'(export "{run}" (func {value}))')
                    self.runs.append(run)


def alias(instance: str, path: str, name: str) -> str:
    interface, slash, label = path.rpartition("/")
    if not slash:
        return f'(alias export {instance} "{label}" (func {name}))'
    return f"""(alias export {instance} "{interface}" (instance {name}i))
      (alias export {name}i "{label}" (func {name}))"""


def functions(log: list[FuncName]) -> Functions:
    def one(interface: str, func: str) -> Any:
        def call() -> str:
            log.append(name_of(interface, func))
            return value_of(interface, func)

        return FuncT((), Prim("string")), call

    return Functions({key: one(*key) for key in HOST})


def names_in(record: dict[str, Any]) -> set[FuncName]:
    """What a record says is called; several things where its component has several instances."""
    first, *more = record["func"].split("|")
    interface, version = record.get("interface", ""), record.get("version")
    found = {FuncName(interface, version, first)}
    for word in more:
        owner, sharp, func = word.rpartition("#")
        found.add(name_of(owner, func) if sharp else FuncName(interface, version, word))
    return found


def traced(wasm: bytes, trace: Selector) -> tuple[Guest, Sink, list[FuncName]]:
    log: list[FuncName] = []
    woven = weave(wasm, Plan(trace=trace, sink="host"))
    sink = Sink(woven)
    return Guest(woven.wasm, functions(log), sink), sink, log


def made(seed: int) -> tuple[bytes, list[str]]:
    tree = Tree(random.Random(seed))
    return text(tree.build()), tree.runs


def calls(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for record in records if record["phase"] == "call"]


def check_run(wasm: bytes, runs: list[str]) -> tuple[list[Any], list[FuncName]]:
    """Every call says what it is: the last one is what the host saw, those before meet a lift."""
    original = Guest(wasm, functions([]))
    guest, sink, log = traced(wasm, everything)
    for run in runs:
        seen, told = len(sink.records), len(log)
        assert guest.call(run) == original.call(run)
        (called,) = log[told:]
        chain = calls(sink.records[seen:])
        assert len(chain) % 2 == 0
        lifts, lowers = chain[::2], chain[1::2]
        assert lifts[0]["edge"] == "export" and name_of("", run) in names_in(lifts[0])
        for lower, lift in zip(lowers, lifts[1:], strict=False):
            assert names_in(lift) <= names_in(lower), (lower, lift)
            assert lower["edge"] == "inner" or "|" in lower["func"]
        assert called in names_in(lowers[-1]), (called, lowers[-1])
        assert lowers[-1]["edge"] == "import"
    return sink.records, log


def check_secrets(records: list[Any]) -> None:
    everything_said = json.dumps(records)
    for (interface, func), secret in HOST.items():
        if secret:
            assert value_of(interface, func) not in everything_said


def check_gate(wasm: bytes, records: list[Any], log: list[FuncName]) -> None:
    """What the gate counts for the imports of the root is what the host saw."""
    known = capabilities(reach(decode(wasm, "app")), Observed.of(records))
    assert not known.strangers
    exact = all("|" not in record["func"] for record in records)
    for one in known.root.imports:
        for use in one.items:
            name = FuncName(one.found.interface, one.found.version, use.item.label)
            times = log.count(name)
            assert use.observed == times if exact else (use.observed or 0) >= times


def check_selection(wasm: bytes, runs: list[str], wanted: FuncName) -> None:
    pattern = f"{wanted.interface}@={wanted.version}" if wanted.version else wanted.interface
    pattern += f"#{wanted.func}"
    guest, sink, log = traced(wasm, SiteSet.parse(pattern))
    for run in runs:
        guest.call(run)
    found = [record for record in calls(sink.records) if wanted in names_in(record)]
    exact = all("|" not in record["func"] for record in found)
    times = log.count(wanted)
    assert len(found) == times if exact else len(found) >= times
    guest, sink, log = traced(wasm, SiteSet.parse(f"all,!{pattern}"))
    for run in runs:
        guest.call(run)
    told = calls(sink.records)
    assert {wanted} not in [names_in(record) for record in told]
    for name in set(log) - {wanted}:
        # Whatever its component calls it, nothing but ``wanted`` may hide behind that name.
        assert sum(name in names_in(record) for record in told) >= log.count(name)


@pytest.mark.parametrize("seed", range(120))
def test_names_say_what_runs(seed: int) -> None:
    wasm, runs = made(seed)
    records, log = check_run(wasm, runs)
    check_secrets(records)
    check_gate(wasm, records, log)
    if runs:
        check_selection(wasm, runs, random.Random(seed).choice([name_of(*key) for key in HOST]))


def test_the_trees_are_worth_it() -> None:
    """They rename, nest, and hand over several things under one name."""
    sources = [Tree(random.Random(seed)) for seed in range(120)]
    texts = [tree.build() for tree in sources]
    assert sum(bool(tree.runs) for tree in sources) > 100
    assert sum("(instance $j" in source for source in texts) > 40
    assert sum("(component $part" in source for source in texts) > 60
