"""Which of several versions of an interface the stderr sink builds on: resources must agree."""

from __future__ import annotations

import pytest
from wasmtime import wat2wasm

from whamm_cm.component import nodes as n
from whamm_cm.component.decode import decode
from whamm_cm.run.engine import validate_component
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan

_BODY = """
  (core module $m (func (export "f")))
  (core instance $i (instantiate $m))
  (func (export "f") (canon lift (core func $i "f")))"""


def _streams(version: str, error: bool = True) -> str:
    """``wasi:io`` of one version; the first candidates had ``error`` inside ``streams``."""
    if not error:
        return f"""
  (import "wasi:io/streams@{version}" (instance $streams-{version}
    (export "output-stream" (type (sub resource)))
    (export "error" (type $e (sub resource)))
    (type $v (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type (eq $v)))))"""
    return f"""
  (import "wasi:io/error@{version}" (instance $error-{version}
    (export "error" (type (sub resource)))))
  (alias export $error-{version} "error" (type $e-{version}))
  (import "wasi:io/streams@{version}" (instance $streams-{version}
    (export "output-stream" (type (sub resource)))
    (alias outer 1 $e-{version} (type $e))
    (export "error" (type $e2 (eq $e)))
    (type $v (variant (case "last-operation-failed" (own $e2)) (case "closed")))
    (export "stream-error" (type (eq $v)))))"""


def _stderr(version: str) -> str:
    return f"""
  (alias export $streams-{version} "output-stream" (type $o-{version}))
  (import "wasi:cli/stderr@{version}" (instance
    (alias outer 1 $o-{version} (type $o))
    (export "output-stream" (type $o2 (eq $o)))
    (export "get-stderr" (func (result (own $o2))))))"""


CASES = {
    "two versions, stderr of the second": (
        _streams("0.2.0") + _streams("0.2.3") + _stderr("0.2.3"),
        {"wasi:cli/stderr@0.2.3"},
    ),
    "two versions, stderr of the first": (
        _streams("0.2.0") + _streams("0.2.3") + _stderr("0.2.0"),
        {"wasi:cli/stderr@0.2.0"},
    ),
    "streams only": (_streams("0.2.6"), {"wasi:cli/stderr@0.2.6"}),
    "nothing": ("", {"wasi:cli/stderr@0.2.0"}),
    "a release candidate is left alone": (
        _streams("0.2.0-rc-2023-10-18", error=False) + _stderr("0.2.0-rc-2023-10-18"),
        {"wasi:cli/stderr@0.2.0-rc-2023-10-18", "wasi:cli/stderr@0.2.0"},
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("timed", [False, True])
def test_the_sink_uses_resources_of_one_version(name: str, timed: bool) -> None:
    imports, expected = CASES[name]
    wasm = wat2wasm(f"(component {imports} {_BODY})")
    woven = weave(bytes(wasm), Plan(trace=lambda *key: True, timed=timed)).wasm
    assert validate_component(woven) is None
    names = [d.node.name.name for d in decode(woven).definitions if isinstance(d.node, n.Import)]
    assert {x for x in names if x.startswith("wasi:cli/stderr")} == expected
    assert len(names) == len(set(names))


def test_names_that_are_no_interfaces_do_not_disturb() -> None:
    """Dependency and URL names have colons and slashes, too."""
    imports = """
  (import "locked-dep=<acme:tool/part@1.2.3>" (component))
  (import "url=<https://example.org/a:b/c@0.2.0>" (component))"""
    wasm = bytes(wat2wasm(f"(component {imports} {_BODY})"))
    woven = weave(wasm, Plan(trace=lambda *key: True)).wasm
    # wasmtime takes no component imports at the root, so it cannot be asked about this one.
    names = [d.node.name.name for d in decode(woven).definitions if isinstance(d.node, n.Import)]
    assert [name for name in names if "<" in name] == [
        "locked-dep=<acme:tool/part@1.2.3>",
        "url=<https://example.org/a:b/c@0.2.0>",
    ]
    interfaces = ("io/error", "io/streams", "cli/stderr", "random/insecure-seed")
    ours = [f"wasi:{name}@0.2.0" for name in interfaces]
    assert [name for name in names if "<" not in name] == ours
