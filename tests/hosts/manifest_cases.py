"""Workloads for the table of docs/manifest.md: a right one, and one for each way to be wrong."""

from __future__ import annotations

from dataclasses import dataclass

from wasmtime import wat2wasm

from fixtures import build
from tests.gate.binaries import INSTANCE, extern, importing_as

RUN = """
  (core module $m (func (export "run") (result i32) i32.const 0))
  (core instance $m (instantiate $m))
  (func $run (result (result)) (canon lift (core func $m "run")))
  (component $c (import "f" (func $f (result (result)))) (export "run" (func $f)))
  (instance $r (instantiate $c (with "f" (func $run))))
  (export "wasi:cli/run@0.2.0" (instance $r))"""
_LOGGING = """
  (import "wasi:logging/logging@0.1.0-draft" (instance
    (type $level (enum "trace" "debug" "info" "warn" "error" "critical"))
    (export "level" (type $named (eq $level)))
    (export "log" (func (param "level" $named) (param "context" string)
      (param "message" string)))))"""
STORE_IMPORT = """
  (import "wasi:keyvalue/store@0.2.0-draft" (instance
    (export "bucket" (type $bucket (sub resource)))
    (type $fault (variant (case "no-such-store") (case "access-denied") (case "other" string)))
    (export "error" (type $error (eq $fault)))
    (export "open" (func (param "identifier" string) (result (result (own $bucket)
      (error $error)))))))"""
_TYPES = """
  (import "acme:t/types@1.0.0" (instance
    (type $point (record (field "x" u32))) (export "point" (type (eq $point)))))"""
_LABEL = extern("net", [("implements", "wasi:keyvalue/store@0.2.0-draft")]) + INSTANCE
_GIVES = """
  (core module $m (func (export "f"))) (core instance $m (instantiate $m))
  (func $f (canon lift (core func $m "f")))
  (instance $calls (export "f" (func $f))) (export "acme:t/calls@1.0.0" (instance $calls))"""
_CONFIG = """
  (import "wasi:config/store@0.2.0-rc.1" (instance
    (type $fault (variant (case "upstream" string) (case "io" string)))
    (export "error" (type $error (eq $fault)))
    (export "get-all" (func (result (result (list (tuple string string)) (error $error)))))))"""
_OTEL = """
  (import "wasi:otel/tracing@0.2.0-rc.2" (instance
    (type $f (flags "sampled")) (export "trace-flags" (type $flags (eq $f)))
    (type $s (list (tuple string string))) (export "trace-state" (type $state (eq $s)))
    (type $t string) (export "trace-id" (type $trace (eq $t)))
    (type $p string) (export "span-id" (type $span (eq $p)))
    (type $c (record (field "trace-id" $trace) (field "span-id" $span) (field "trace-flags" $flags)
      (field "is-remote" bool) (field "trace-state" $state)))
    (export "span-context" (type $context (eq $c)))
    (export "outer-span-context" (func (result $context)))))"""
_STRANGE = '(import "acme:t/calls@1.0.0" (instance (export "f" (func))))'


def component(*parts: str) -> bytes:
    return bytes(wat2wasm(f"(component {' '.join(parts)})"))


def handler(more: str) -> bytes:
    """A handler of HTTP with one more import: hosts link those when the workload starts."""
    text = (build.HERE / "wat" / "http_echo.wat").read_text()
    return bytes(wat2wasm(text.replace("(component\n", f"(component {more}\n", 1)))


COMPONENTS = {
    "http": build.build("http_echo"),
    "logging": handler(_LOGGING),
    "store": handler(STORE_IMPORT),
    "types": handler(_TYPES),
    "config": handler(_CONFIG),
    "otel": handler(_OTEL),
    "strange": handler(_STRANGE),
    "label": importing_as(_LABEL, f"(component {STORE_IMPORT} {RUN})"),
    "gives": component(_GIVES),
    "run": component(RUN),
    "no-run": component(),
}

HTTP = "{namespace: wasi, package: http, interfaces: [incoming-handler], config: {host: app.test}}"
LOG = "{namespace: wasi, package: logging, version: 0.1.0-draft, interfaces: [logging]}"
STORE = "{namespace: wasi, package: keyvalue, interfaces: [store]}"
CONFIG = "{namespace: wasi, package: config, version: 0.2.0-rc.1, interfaces: [store]}"
OTEL = "{namespace: wasi, package: otel, version: 0.2.0-rc.2, interfaces: [tracing]}"
RELEASES = ("2.7", "2.8", "2.9", "2.10")
#: From which on hosts take of an entry what a component imports, and entries for what is built in.
SINCE_2_9, SINCE_2_10 = RELEASES[2:], RELEASES[3:]


@dataclass(frozen=True, slots=True)
class Case:
    """``started``: the releases of wash whose hosts start it.  ``rule``: what the gate reports
    where they do not, or ``warns`` of where they do, or where an ``option`` of the host decides;
    ``more``: the rest of the component or service.  ``admission``: hosts start it, but the API
    server does not let it through.  ``others``: further components of the workload; ``twice``:
    there is a second such workload."""

    what: str
    component: str
    entries: tuple[str, ...] = ()
    started: tuple[str, ...] = RELEASES
    rule: str = ""
    warns: str = ""
    service: bool = False
    more: str = ""
    admission: bool = False
    others: tuple[str, ...] = ()
    twice: bool = False
    option: str = ""
    image: str = f"reg.example/app@sha256:{'a' * 64}"

    @property
    def components(self) -> dict[str, str]:
        """Name in the manifest → which of COMPONENTS."""
        others = {f"{one}{number}": one for number, one in enumerate(self.others)}
        return {"service" if self.service else "app": self.component, **others}

    @property
    def manifest(self) -> str:
        again = "---\n" + self._document("again") if self.twice else ""
        return self._document("app") + again

    def _document(self, name: str) -> str:
        where = "service: {" if self.service else "components:\n        - {name: app, "
        entries = "".join(f"\n        - {entry}" for entry in self.entries)
        others = "".join(
            f"        - {{name: {one}, image: '{self.image}'}}\n"
            for one in list(self.components)[1:]
        )
        interfaces = f"      hostInterfaces:{entries}\n" if entries else ""
        return (
            "apiVersion: runtime.wasmcloud.dev/v1alpha1\nkind: WorkloadDeployment\n"
            f"metadata: {{name: {name}}}\nspec:\n  replicas: 1\n  template:\n    spec:\n"
            f"      {where}image: '{self.image}'{self.more}}}\n{others}{interfaces}"
        )


CASES = (
    Case("an HTTP handler with its host name", "http", (HTTP,)),
    Case("an HTTP entry without a host name", "http",
         ("{namespace: wasi, package: http, interfaces: [incoming-handler]}",), (), "WCM124"),
    Case("an HTTP entry of another version", "http",
         (HTTP.replace("package: http", 'package: http, version: "0.2.3"'),)),
    Case("an entry for wasi:io", "http",
         (HTTP, "{namespace: wasi, package: io, interfaces: [streams]}"), SINCE_2_10, "WCM107"),
    Case("an entry for wasi:cli", "run",
         ("{namespace: wasi, package: cli, interfaces: [run]}",), SINCE_2_10, "WCM107"),
    Case("an import with its entry", "logging", (HTTP, LOG)),
    Case("an import without an entry", "logging", (HTTP,), (), "WCM101"),
    Case("an entry of another version", "logging",
         (HTTP, LOG.replace("0.1.0-draft", "0.1.0")), (), "WCM102"),
    Case("an entry without a version", "logging",
         (HTTP, LOG.replace("version: 0.1.0-draft, ", ""))),
    Case("an entry that lists more than is imported", "store",
         (HTTP, STORE.replace("[store]", "[store, batch]")), SINCE_2_9, "WCM106"),
    Case("an entry that lists what is imported", "store", (HTTP, STORE)),
    Case("an entry that lists another interface only", "store",
         (HTTP, STORE.replace("[store]", "[batch]")), (), "WCM106"),
    Case("two entries of a package without a name", "store", (HTTP, STORE, STORE), rule="WCM105",
         admission=True),
    Case("an entry with a name for an import without a label", "store",
         (HTTP, STORE.replace("{", "{name: fast, ")), (), "WCM101"),
    Case("an entry that nobody imports", "http", (HTTP, LOG), warns="WCM103"),
    Case("an entry for a package that no host has", "http",
         (HTTP, "{namespace: acme, package: t, interfaces: [calls]}")),
    Case("an import that nobody has", "strange", (HTTP,), (), "WCM101"),
    Case("wasi:config, with its entry", "config", (HTTP, CONFIG)),
    Case("wasi:config, and secrets in the environment", "config", (HTTP, CONFIG), warns="WCM118",
         more=", localResources: {environment: {secretFrom: [{name: keys}]}}"),
    Case("wasi:otel, with its entry", "otel", (HTTP, OTEL), (), warns="WCM115"),
    Case("wasi:otel, with its entry and `--wasi-otel`", "otel", (HTTP, OTEL), warns="WCM115",
         option="--wasi-otel"),
    Case("wasi:otel, without an entry and `--wasi-otel`", "otel", (HTTP,), (), "WCM101",
         option="--wasi-otel"),
    Case("an entry for wasi:io that nobody imports", "run",
         ("{namespace: wasi, package: io, interfaces: [streams]}",), warns="WCM103"),
    Case("an import of types only", "types", (HTTP,)),
    Case("a service", "run", service=True),
    Case("a service that exports no wasi:cli/run", "no-run", (), (), "WCM125", service=True),
    Case("a volume that is not declared", "http", (HTTP,), warns="WCM127",
         more=", localResources: {volumeMounts: [{name: data, mountPath: /data}]}"),
    Case("a pool that is reclaimed", "http", (HTTP,),
         more=", poolSize: 4, reclaimWindowSeconds: 60, reclaimMinInstances: 1"),
    Case("a label, and an entry of that name", "label",
         (STORE, STORE.replace("{", "{name: net, ")), service=True),
    Case("a label that no entry has for a name", "label", (STORE,), (), "WCM104", service=True),
    Case("a component that another one exports to", "strange", (HTTP,), others=("gives",)),
    Case("one that two others export to", "strange", (HTTP,), (), "WCM108",
         others=("gives", "gives")),
    Case("two workloads with one host name", "http", (HTTP,), warns="WCM126", twice=True),
    Case("hosts for a component that calls nobody", "http", (HTTP,), warns="WCM112",
         more=", localResources: {allowedHosts: [api.test]}"),
    Case("all hosts", "http", (HTTP,), warns="WCM113",
         more=", localResources: {allowedHosts: ['*']}"),
    Case("a URL for a host", "http", (HTTP,), (), "WCM122",
         more=", localResources: {allowedHosts: ['http://api.test/v1']}"),
    Case("an image by its tag", "http", (HTTP,), warns="WCM119", image="reg.example/app:1"),
)  # fmt: skip
