"""Every rule about manifests, with a sample it speaks up for and one it keeps silent about.

A sample has two documents, ``bad`` and ``good``.  The comment with the rule's id marks the line
that the finding has to point at; for ``good`` no rule about manifests may say anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pytest
import wasmtime

from tests.gate.making import component
from whamm_cm.gate.engine import Engine
from whamm_cm.gate.manifest import parse_manifest, read_manifest
from whamm_cm.gate.model import ExportRow, Finding, Subject
from whamm_cm.gate.placement import Placement, furnish, place
from whamm_cm.gate.policy import Policy
from whamm_cm.gate.rules import RULES
from whamm_cm.gate.subject import analyse
from whamm_cm.gate.wasmcloud import NEWEST

SAMPLES = Path(__file__).parent / "data" / "manifests"
MANIFEST_RULES = tuple(rule for rule in RULES if rule.startswith("WCM1"))

KV = "wasi:keyvalue/store@0.2.0-draft"
LOGGING = "wasi:logging/logging@0.1.0-draft"
TCP = "wasi:sockets/tcp@0.2.3"
FILES = "wasi:filesystem/types@0.2.3"
PRICES = "shop:prices/lookup"


def subject(
    imports: dict[str, tuple[str, ...]], exports: tuple[str, ...] = (), calls: str = "*"
) -> Subject:
    """Of a component with these imports, which exports the named interfaces, too."""
    more = "".join(
        f'(instance $e{n} (export "handle" (func $run))) (export "{name}" (instance $e{n}))'
        for n, name in enumerate(exports)
    )
    return analyse(component(imports, calls=calls, more=more), "cart.wasm").subject


def methods(found: Subject, name: str) -> Subject:
    """``found`` with its only function called ``name``; methods are long to write in WAT."""
    (row,) = found.imports
    (function,) = row.functions
    return replace(found, imports=(replace(row, functions=(replace(function, name=name),)),))


def labelled(found: Subject, label: str) -> Subject:
    """``found`` with its last import under a label."""
    *rows, last = found.imports
    return replace(found, imports=(*rows, replace(last, name=label)))


@dataclass(frozen=True)
class Sample:
    """``beside``: the other components of the workload, by name; ``good``: where the cure is
    another build instead of another manifest; ``release``: of hosts that still mind."""

    subject: Subject
    item: str
    beside: tuple[tuple[str, Subject], ...] = ()
    good: Subject | None = None
    release: str = NEWEST


def samples() -> dict[str, Sample]:
    kv = subject({KV: ("open",)})
    tcp = methods(subject({TCP: ("start-connect",)}), "tcp-socket.start-connect")
    opening = methods(subject({FILES: ("open-at",)}), "descriptor.open-at")
    http = {"wasi:http/outgoing-handler@0.2.3": ("handle",)}
    lookup = {"wasi:sockets/ip-name-lookup@0.2.3": ("resolve-addresses",)}
    left = subject({}, exports=(PRICES,))
    prices = subject({PRICES: ("price",)})
    clock = subject({"wasi:clocks/monotonic-clock@0.2.3": ("now",)})
    handler = subject({}, exports=("wasi:http/incoming-handler@0.2.3",))
    idle = subject({FILES: ("open-at",)}, calls="")
    return {
        "WCM101": Sample(subject({KV: ("open",), LOGGING: ("log",)}), KV),
        "WCM102": Sample(kv, KV),
        "WCM103": Sample(kv, "wasi:blobstore@0.2.0-draft"),
        "WCM104": Sample(labelled(kv, "team-a"), KV),
        "WCM105": Sample(kv, "wasi:keyvalue"),
        "WCM106": Sample(kv, "wasi:keyvalue", release="2.8"),
        "WCM107": Sample(clock, "wasi:clocks", release="2.9"),
        "WCM108": Sample(prices, PRICES, (("left", left), ("right", left))),
        "WCM109": Sample(
            subject({KV: ("open",)}, exports=("wasi:http/incoming-handler@0.2.3",)),
            "wasi:http/incoming-handler@0.2.3",
        ),
        "WCM110": Sample(subject(http), "wasi:http/outgoing-handler@0.2.3#handle"),
        "WCM111": Sample(tcp, f"{TCP}#tcp-socket.start-connect"),
        "WCM112": Sample(clock, "allowedHosts"),
        "WCM113": Sample(subject(http), "allowedHosts"),
        "WCM114": Sample(subject(lookup), "wasi:sockets/ip-name-lookup@0.2.3#resolve-addresses"),
        "WCM115": Sample(
            subject({"wasi:otel/tracing@0.2.0-rc.2": ("on-end",)}),
            "wasi:otel/tracing@0.2.0-rc.2",
            good=clock,
        ),
        "WCM116": Sample(opening, f"{FILES}#descriptor.open-at"),
        "WCM117": Sample(idle, "scratch"),
        "WCM118": Sample(
            subject({"wasi:config/store@0.2.0-rc.1": ("get-all",)}), "wasi:config/store@0.2.0-rc.1"
        ),
        "WCM119": Sample(clock, "registry.example:5000/shop/cart:1.2.0"),
        "WCM120": Sample(replace(clock, stamp=(("tool", "whamm-cm"),)), "cart", good=clock),
        "WCM121": Sample(clock, "allowedHost"),
        "WCM122": Sample(subject(http), "https://api.example.com/v1"),
        "WCM123": Sample(prices, PRICES),
        "WCM124": Sample(handler, "wasi:http"),
        "WCM125": Sample(clock, "service", good=subject({}, exports=("wasi:cli/run@0.2.3",))),
        "WCM126": Sample(handler, "shop.example"),
        "WCM127": Sample(opening, "scratch"),
    }


SAMPLES_BY_RULE = samples()


def judge(found: Subject, placements: tuple[Placement, ...]) -> list[Finding]:
    engine = Engine(Policy(), date(2026, 11, 21))
    context = engine.context("cart.wasm", "cart.wasm", subject=found, manifest=placements)
    return [one for one in engine.judge(context).findings if one.rule in MANIFEST_RULES]


def findings(rule: str, which: str) -> list[Finding]:
    sample = SAMPLES_BY_RULE[rule]
    found = sample.good if which == "good" and sample.good else sample.subject
    every = read_manifest(str(SAMPLES / f"{rule}.yaml"))
    (workload,) = (one for one in every if one.name == which)
    present = {one.name for one in workload.components}
    beside = [one for one in sample.beside if one[0] in present]
    paths = ["cart.wasm", *(f"{name}.wasm" for name, _ in beside)]
    subjects = {0: found, **{n: one for n, (_, one) in enumerate(beside, 1)}}
    placed = furnish(place(paths, [workload], None, sample.release), subjects)[0]
    return judge(found, tuple(replace(one, workloads=every) for one in placed))


def test_every_rule_has_a_sample() -> None:
    assert sorted(SAMPLES_BY_RULE) == sorted(MANIFEST_RULES)
    assert sorted(path.stem for path in SAMPLES.glob("WCM*.yaml")) == sorted(MANIFEST_RULES)


@pytest.mark.parametrize("rule", MANIFEST_RULES)
def test_the_bad_sample_has_the_finding_at_its_line(rule: str) -> None:
    (hit,) = [one for one in findings(rule, "bad") if one.rule == rule]
    lines = (SAMPLES / f"{rule}.yaml").read_text().splitlines()
    marked = [n for n, line in enumerate(lines, 1) if line.endswith(f"# {rule}")]
    assert hit.location is not None and [hit.location.line] == marked
    assert hit.item == SAMPLES_BY_RULE[rule].item
    assert hit.fix and hit.message


@pytest.mark.parametrize("rule", MANIFEST_RULES)
def test_nothing_is_said_of_the_good_sample(rule: str) -> None:
    assert [(one.rule, one.message) for one in findings(rule, "good")] == []


# one line per shape of manifest


HEAD = """apiVersion: runtime.wasmcloud.dev/v1alpha1
kind: Workload
metadata: {name: shop}
spec:
  components: [{name: cart, image: "r.example/cart@sha256:0"}]
"""


def told(found: Subject, body: str, release: str = NEWEST) -> dict[str, str]:
    """rule → message, with ``body`` as the rest of a workload's spec."""
    workloads = parse_manifest((HEAD + body).encode(), "deploy.yaml")
    placements = furnish(place(["cart.wasm"], workloads, None, release), {0: found})[0]
    return {one.rule: f"{one.message} | {one.fix}" for one in judge(found, placements)}


def entries(*rows: str) -> str:
    return "  hostInterfaces: [" + ", ".join(f"{{{row}}}" for row in rows) + "]\n"


def test_wasi_and_http_need_no_entry() -> None:
    names = ("io/poll", "clocks/wall-clock", "random/random", "cli/stderr", "filesystem/preopens",
             "sockets/network", "http/types")  # fmt: skip
    for version in ("0.2.0", "0.2.12", "0.3.0"):
        rows = {f"wasi:{name}@{version}": ("f",) for name in names}
        assert told(subject(rows), "") == {}


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0-rc-2023-11-10", "0.3.0-rc.1", "1.0.0"])
def test_other_releases_of_wasi_cannot_be_declared(version: str) -> None:
    found = told(subject({f"wasi:cli/stderr@{version}": ("f",)}), "")
    assert "hosts have wasi:cli at releases 0.2 and 0.3 only" in found["WCM101"]


def test_the_fix_is_the_entry_to_add() -> None:
    fix = told(subject({KV: ("open",)}), "")["WCM101"].partition(" | ")[2]
    body = fix.removeprefix("Add to hostInterfaces: ").strip()
    assert told(subject({KV: ("open",)}), f"  hostInterfaces: [{body}]\n") == {}


def test_an_entry_without_version_fits_any() -> None:
    row = "namespace: wasi, package: keyvalue, interfaces: [store]"
    assert told(subject({KV: ("open",)}), entries(row)) == {}


def test_a_plugin_links_its_whole_package_but_strangers_only_what_is_listed() -> None:
    both = {"wasi:keyvalue/store@0.2.0-draft": ("f",), "wasi:keyvalue/atomics@0.2.0-draft": ("f",)}
    row = "namespace: wasi, package: keyvalue, interfaces: [store]"
    assert told(subject(both), entries(row)) == {}
    own = {"acme:kv/store": ("f",), "acme:kv/atomics": ("f",)}
    row = "namespace: acme, package: kv, interfaces: [store]"
    assert "not listed" in told(subject(own), entries(row))["WCM101"]


def test_an_entry_for_types_of_http_stops_the_workload() -> None:
    found = subject(
        {"wasi:http/types@0.2.3": ("f",)}, exports=("wasi:http/incoming-handler@0.2.3",)
    )
    row = "namespace: wasi, package: http, interfaces: [incoming-handler{}], config: {{host: a}}"
    for release, said in (("2.9", {"WCM107"}), ("2.10", set())):
        assert told(found, entries(row.format("")), release) == {}
        assert set(told(found, entries(row.format(", types")), release)) == said


def test_either_handler_of_http_is_an_entry_for_the_other() -> None:
    found = subject({}, exports=("wasi:http/handler@0.3.0",))
    row = "namespace: wasi, package: http, interfaces: [incoming-handler], config: {host: a}"
    assert told(found, entries(row)) == {}


def test_an_entry_does_not_help_with_a_release_candidate_of_http() -> None:
    rows = {"wasi:http/types@0.3.0-rc-2026-02-09": ("f",)}
    found = subject(rows, exports=("wasi:http/handler@0.3.0-rc-2026-02-09",))
    row = "namespace: wasi, package: http, interfaces: [incoming-handler], config: {host: a}"
    hits = told(found, entries(row))
    assert set(hits) == {"WCM101"} and "at releases 0.2 and 0.3 only" in hits["WCM101"]


def test_a_label_wants_its_entry_and_others_the_one_without() -> None:
    found = labelled(subject({KV: ("open",), "wasi:keyvalue/batch@0.2.0-draft": ("f",)}), "team-a")
    row = "namespace: wasi, package: keyvalue, interfaces: [{}]"
    plain, named = row.format("store"), row.format("batch") + ", name: team-a"
    assert told(found, entries(plain, named)) == {}
    assert set(told(found, entries(plain))) == {"WCM104"}
    assert "only entries with a name" in told(found, entries(named))["WCM101"]


def test_labels_are_read_from_the_component() -> None:
    data = wasmtime.wat2wasm(f"""(component
      (import "team-a" (implements "{KV}") (instance $i (export "open" (func))))
      (core func $open (canon lower (func $i "open")))
      (core module $m (import "" "open" (func)) (func (export "run") (call 0)))
      (core instance $c (instantiate $m (with "" (instance (export "open" (func $open))))))
      (func $run (canon lift (core func $c "run"))) (export "run" (func $run)))""")
    found = analyse(data, "cart.wasm").subject
    row = "namespace: wasi, package: keyvalue, interfaces: [store], name: {}"
    assert told(found, entries(row.format("team-a"))) == {}
    assert set(told(found, entries(row.format("team-b")))) == {"WCM104"}


def test_a_name_that_is_no_label_may_be_a_plugin_of_ones_own() -> None:
    row = "namespace: acme, package: kv, interfaces: [store], name: ours"
    assert told(subject({"acme:kv/store": ("open",)}), entries(row)) == {}
    row = "namespace: wasi, package: keyvalue, interfaces: [store], name: ours"
    assert set(told(subject({KV: ("open",)}), entries(row))) == {"WCM101"}


def test_an_entry_that_lists_too_much_is_taken_in_part_by_newer_hosts() -> None:
    row = "namespace: wasi, package: keyvalue, interfaces: [store, batch]"
    for release, said in (("2.8", {"WCM106"}), ("2.9", set())):
        assert set(told(subject({KV: ("open",)}), entries(row), release)) == said
    row = "namespace: wasi, package: keyvalue, interfaces: [batch]"
    assert set(told(subject({KV: ("open",)}), entries(row))) >= {"WCM106"}


def test_fields_of_newer_releases() -> None:
    text = "namespace: wasi, package: keyvalue, interfaces: [store]"
    head = HEAD.replace(', image: "r', ', reclaimWindowSeconds: 60, image: "r')
    found = subject({KV: ("open",)})
    for release, said in (("2.8", {"WCM121"}), ("2.9", set())):
        workloads = parse_manifest((head + entries(text)).encode(), "deploy.yaml")
        placed = furnish(place(["cart.wasm"], workloads, None, release), {0: found})[0]
        assert {one.rule for one in judge(found, placed)} == said


def test_types_alone_need_no_entry() -> None:
    data = wasmtime.wat2wasm("""(component
      (import "acme:t/types@1.0.0" (instance (type $r (record (field "x" u32)))
        (export "r" (type (eq $r)))))
      (import "acme:t/handles@1.0.0" (instance (export "h" (type (sub resource))))))""")
    found = analyse(data, "cart.wasm").subject
    assert "acme:t/handles@1.0.0" in told(found, "")["WCM101"]
    assert [row.types_only for row in found.imports] == [True, False]


def test_functions_of_the_world_cannot_be_linked() -> None:
    row = subject({KV: ("open",)}).imports[0]
    world = replace(row, name="tick", kind="func", interface="", version=None, functions=())
    found = told(replace(subject({}), imports=(world,)), "")
    assert "no interface of a package" in found["WCM101"]


def test_messages_need_their_entry_and_version() -> None:
    found = subject({}, exports=("wasmcloud:messaging/handler@0.2.0",))
    row = 'namespace: wasmcloud, package: messaging, interfaces: [handler], version: "{}"'
    assert told(found, entries(row.format("0.2.0"))) == {}
    assert "WCM109" in told(found, entries(row.format("0.3.0")))


def test_a_service_cannot_have_otel() -> None:
    text = HEAD.replace("components: [{name: cart, ", "service: {").replace('0"}]', '0"}')
    row = 'namespace: wasi, package: otel, interfaces: [tracing], version: "0.2.0-rc.2"'
    workloads = parse_manifest((text + entries(row)).encode(), "deploy.yaml")
    rows = {"wasi:otel/tracing@0.2.0-rc.2": ("on-end",)}
    found = subject(rows, exports=("wasi:cli/run@0.2.3",))
    (hit,) = judge(found, furnish(place(["cart.wasm"], workloads), {0: found})[0])
    assert hit.rule == "WCM115" and "by a service" in hit.message


def test_a_component_beside_provides_and_uses() -> None:
    """What one exports the other needs no entry for, and its use of an entry counts."""
    text = HEAD.replace('0"}]', '0"}, {name: prices, image: "r.example/prices@sha256:1"}]')
    row = "namespace: wasi, package: keyvalue, interfaces: [store]"
    workloads = parse_manifest((text + entries(row)).encode(), "deploy.yaml")
    cart = subject({PRICES: ("price",)})
    prices = subject({KV: ("open",)}, exports=(PRICES,))
    places = furnish(place(["cart.wasm", "prices.wasm"], workloads), {0: cart, 1: prices})
    assert judge(cart, places[0]) == [] == judge(prices, places[1])
    alone = furnish(place(["cart.wasm"], workloads), {0: cart})
    assert [one.rule for one in judge(cart, alone[0])] == ["WCM123"]


def test_what_is_wrong_with_the_workload_is_said_once() -> None:
    text = HEAD.replace('0"}]', '0"}, {name: prices, image: "r.example/prices@sha256:1"}]')
    workloads = parse_manifest((text + "  hostinterfaces: []\n").encode(), "deploy.yaml")
    one = subject({})
    places = furnish(place(["prices.wasm", "cart.wasm"], workloads), {0: one, 1: one})
    rules = [[hit.rule for hit in judge(one, row)] for row in places]
    assert rules == [["WCM121"], []]


def test_the_same_image_in_two_workloads_has_two_findings() -> None:
    text = HEAD + "---\n" + HEAD.replace("name: shop", "name: outlet")
    found = subject({KV: ("open",)})
    places = furnish(place(["cart.wasm"], parse_manifest(text.encode(), "d.yaml")), {0: found})
    hits = judge(found, places[0])
    assert [hit.item for hit in hits] == [f"outlet: {KV}", f"shop: {KV}"]
    assert len({hit.fingerprint for hit in hits}) == 2


def test_egress_is_about_reach() -> None:
    """A runtime that imports sockets and files it never uses makes no noise."""
    idle = {"wasi:http/outgoing-handler@0.2.3": ("handle",), TCP: ("f",), FILES: ("f",),
            "wasi:sockets/ip-name-lookup@0.2.3": ("resolve-addresses",)}  # fmt: skip
    assert told(subject(idle, calls=""), "") == {}


def test_http_of_wasi_0_3_leaves_by_the_client() -> None:
    assert "WCM110" in told(subject({"wasi:http/client@0.3.0": ("send",)}), "")


def test_http_served_by_a_component_beside_is_no_egress() -> None:
    handler = "wasi:http/outgoing-handler@0.2.3"
    text = HEAD.replace('0"}]', '0"}, {name: proxy, image: "r.example/proxy@sha256:1"}]')
    workloads = parse_manifest(text.encode(), "deploy.yaml")
    cart = subject({handler: ("handle",)})
    proxy = subject({}, exports=(handler,))
    places = furnish(place(["cart.wasm", "proxy.wasm"], workloads), {0: cart, 1: proxy})
    assert judge(cart, places[0]) == []


def test_exports_alone_make_nothing_of_their_own() -> None:
    row = ExportRow("run", "func", "", None, ("run",))
    assert told(replace(subject({}), exports=(row,)), "") == {}
