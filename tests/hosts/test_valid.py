"""Every fixture, woven for every sink, is valid for a validator that is not ours."""

from __future__ import annotations

import subprocess

import pytest

from fixtures import build
from tests.hosts.tools import need
from tests.weave.host import everything
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan, SinkName

NAMES = (*build.text_names(), "relay", "relay_utf16", "relay_latin1", "command")
SINKS: tuple[SinkName, ...] = ("stderr", "logging", "otel", "otel-current", "host")
#: run_sink imports what the sink `host` adds.
CASES = [(n, s) for n in NAMES for s in SINKS if (n, s) != ("run_sink", "host")]


@pytest.mark.oracle
@pytest.mark.parametrize("sample", [1, 100])
@pytest.mark.parametrize(("name", "sink"), CASES)
def test_wasm_tools_accepts_what_we_weave(name: str, sink: SinkName, sample: int) -> None:
    (wasm_tools,) = need("wasm-tools")
    plan = Plan(trace=everything, sink=sink, timed=True, sample=sample)
    woven = weave(build.build(name), plan)
    command = (wasm_tools, "validate", "--features", "all", "-")
    ran = subprocess.run(command, input=woven.wasm, capture_output=True)
    assert (ran.returncode, ran.stderr.decode()) == (0, "")
