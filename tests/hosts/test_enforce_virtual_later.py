"""What a policy answers on an engine with WASI 0.3, in a component with tasks."""

from __future__ import annotations

import subprocess
from pathlib import Path

from fixtures.build import path_of
from tests.gate.attacking import guard, policy
from tests.hosts.tools import need
from whamm_cm.analysis.demands import features
from whamm_cm.component.decode import decode


def test_a_command_is_answered(tmp_path: Path) -> None:
    wasmtime = need("wasmtime")[0]
    wasm = path_of("p3_command").read_bytes()
    rules = policy(
        "virtual: { environment: { GREETING: moin }, arguments: [x, y], random: { seed: 3 },"
        " files: {} }",
        tmp_path,
    )
    app = tmp_path / "guarded.wasm"
    app.write_bytes(guard(wasm, rules))
    wanted = [f"-Wcomponent-model-{one}" for one in features(decode(wasm))]
    command = [wasmtime, "run", "-Sp3", *wanted, "--env", "A=b", str(app), "more"]
    ran = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"GREETING=moin\nx\ny\n", b"")
