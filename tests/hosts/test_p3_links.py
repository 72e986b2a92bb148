"""What hosts link of WASI 0.3, function by function, against what the profiles say of them."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from tests.gate.making import TODAY
from tests.gate.test_wasi_0_3 import TABLE
from tests.hosts.operator import request_of, wash_host
from tests.hosts.tools import need
from tests.registry.server import registry
from whamm_cm.gate.engine import Engine
from whamm_cm.gate.model import FunctionRow, ImportRow, Subject
from whamm_cm.gate.policy_read import read_policy
from whamm_cm.gate.rules import PARAMETERS

#: Those that the host calls, and that nobody gives it.
FUNCTIONS = [new for _, new, _ in TABLE if new != "wasi:cli/run#run"]
#: Functions of resources that need no resource to be called on.
_STATIC = frozenset(("create", "from-list", "consume-body"))
_HANDLER = """
  (core module $m (func (export "f")))
  (core instance $i (instantiate $m))
  (func $f (canon lift (core func $i "f")))
  (instance $h (export "%s" (func $f)))
  (export "%s" (instance $h))
"""
#: What a host says where there is no such function; of one with other parameters it says so.
MISSING = "implementation is missing"


def asking(function: str, version: str, called: str) -> bytes:
    """A component that imports one function, with parameters that it has not got, and exports
    ``called``, an interface with its function."""
    interface, _, func = function.partition("#")
    resource, dot, method = func.partition(".")
    item = f'(export "{func}" (func))'
    if dot:
        kind, self, answer = "method", '(param "self" (borrow $r))', ""
        if method == "new" and resource in ("fields", "request-options"):
            kind, self, answer = "constructor", '(param "odd" u8)', "(result (own $r))"
        elif method == "new" or method in _STATIC:
            kind, self = "static", ""
        name = f"[{kind}]{resource}" + ("" if kind == "constructor" else f".{method}")
        item = f'(export "{resource}" (type $r (sub resource)))'
        item += f'(export "{name}" (func {self} {answer}))'
    imported = f'(import "{interface}@{version}" (instance {item}))'
    name, _, inner = called.partition("#")
    return bytes(wat2wasm(f"(component {imported} {_HANDLER % (inner, name)})"))


@lru_cache(maxsize=8)
def _engine(profile: str) -> Engine:
    return Engine(read_policy(profile, PARAMETERS), TODAY)


def verdict(profile: str, function: str, version: str) -> str:
    """``linked``, ``option`` or ``missing``, as the profile has it."""
    interface, _, func = function.partition("#")
    row = ImportRow(f"{interface}@{version}", "instance", interface, version,
                    (FunctionRow(func, func, True),))  # fmt: skip
    context = _engine(profile).context("a", "a", subject=Subject("", 0, 0, (), None, (row,), ()))
    found = {one.rule for one in _engine(profile).judge(context).findings}
    if found & {"WCM012", "WCM013", "WCM014"}:
        return "missing"
    return "option" if "WCM018" in found else "linked"


COMMAND, HANDLER = "wasi:cli/run@0.2.0#run", "wasi:http/handler@0.3.0#handle"


@pytest.mark.parametrize(
    ("profile", "called", "words", "options"),
    [
        ("wasmtime-cli", COMMAND, ("run",), ("-S", "http,cli-exit-with-code")),
        ("wasmtime-serve", HANDLER, ("serve", "--addr", "127.0.0.1:0"), ("-S", "cli")),
    ],
)
def test_wasmtime(
    profile: str, called: str, words: tuple[str, ...], options: tuple[str, ...], tmp_path: Path
) -> None:
    (wasmtime,) = need("wasmtime")
    (tmp_path / "a.wasm").write_bytes(b"")
    wrong = []
    for function in FUNCTIONS:
        (tmp_path / "a.wasm").write_bytes(asking(function, "0.3.0", called))
        said = verdict(profile, function, "0.3.0")
        for more, expected in (((), said == "linked"), (options, said != "missing")):
            command = [wasmtime, *words, *more, "a.wasm"]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60,
                                  check=False)  # fmt: skip
            assert done.returncode, function  # its type is wrong
            if (MISSING not in done.stderr) != expected:
                wrong.append((function, more, said, done.stderr[:300]))
    assert wrong == []


MANIFEST = """
spec:
  components: [{name: app, image: app}]
  hostInterfaces:
    - {namespace: wasi, package: http, interfaces: [handler], config: {host: app.test}}
"""


@pytest.mark.parametrize("version", ["0.3.0", "0.3.0-rc-2026-03-15"])
def test_wash(version: str, tmp_path: Path) -> None:
    """Older ones only say that an import is not as they have it, whichever way."""
    images = {
        f"app:{number}": asking(function, version, HANDLER)
        for number, function in enumerate(FUNCTIONS)
    }
    wrong = []
    with registry(images) as address, wash_host(tmp_path) as host:
        for number, function in enumerate(FUNCTIONS):
            _, fault = host.start(request_of(MANIFEST, {"app": f"{address}/app:{number}"}))
            said = verdict("wasmcloud-2.10", function, version)
            linked = "mismatch" in fault or not fault
            if linked != (said != "missing"):
                wrong.append((function, said, fault[:300]))
    assert wrong == []
