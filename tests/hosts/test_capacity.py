"""How many core instances the engine of a host counts, and how many requests it has room for."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from tests.hosts.rig import in_step
from tests.hosts.starting import wash_dev
from tests.hosts.tools import need
from tests.weave.test_capacity import ORDINARY
from whamm_cm.cli.main import main

#: What a toolchain makes has 4 core instances, a panic in its main module among them.
PANICS = ORDINARY.replace(
    "(i32.load (i32.const 12)))", "(if (i32.const 0) (then unreachable)) (i32.load (i32.const 12)))"
)
#: A host with 1,000 core instances answers so many requests at once.
POOL = 1000


def counted(app: Path) -> int:
    """What wasmtime says it has to make, with a pool that allows none."""
    (wasmtime,) = need("wasmtime")
    pool = ("-O", "pooling-allocator=y", "-O", "pooling-max-core-instances-per-component=0")
    done = subprocess.run(
        [wasmtime, "run", *pool, app], capture_output=True, text=True, check=False
    )
    found = re.search(r"contains (\d+) core module instances", done.stderr)
    assert found is not None, done.stderr
    return int(found[1])


@pytest.mark.parametrize(("sink", "more"), [("stderr", 0), ("logging", 0), ("host", 1)])
@pytest.mark.parametrize("timed", [(), ("--time",)], ids=["", "timed"])
def test_an_ordinary_component_needs_no_more_than_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sink: str, more: int, timed: tuple[str, ...]
) -> None:
    app, woven = tmp_path / "app.wasm", tmp_path / "woven.wasm"
    app.write_bytes(wat2wasm(PANICS))
    words = ["instrument", "--sink", sink, *timed, "--trace", "*", "-o", str(woven), str(app)]
    assert main(words) == 0
    assert f"4 → {4 + more} core instances" in capsys.readouterr().err
    assert (counted(app), counted(woven)) == (4, 4 + more)


def test_a_pool_with_default_limits_takes_it(tmp_path: Path) -> None:
    """Each module has one table and one memory of its own at most."""
    (wasmtime,) = need("wasmtime")
    app, woven = tmp_path / "app.wasm", tmp_path / "woven.wasm"
    app.write_bytes(wat2wasm(PANICS))
    assert main(["instrument", "--trace", "*", "-o", str(woven), str(app)]) == 0
    command = [wasmtime, "run", "-O", "pooling-allocator=y", "--invoke", "run()", woven]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr


def test_wash_dev_has_room_for_as_many_requests(echo: Path, tmp_path: Path) -> None:
    app = tmp_path / "app.wasm"
    assert main(["instrument", "--trace", "*", "--time", "-o", str(app), str(echo)]) == 0
    assert counted(app) == POOL // 250
    with wash_dev(tmp_path, app) as (server, program):
        program.expect("listening for HTTP requests")
        assert in_step(server, 240, 2) == {"200 echo": 240}
