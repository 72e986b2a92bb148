"""The checked-in modules are what their sources say."""

from __future__ import annotations

import pytest

from whamm_cm.agent import build
from whamm_cm.errors import RunError


@pytest.mark.parametrize("artifact", build.ARTIFACTS, ids=lambda artifact: artifact.output)
def test_rebuilding_gives_the_same_bytes(artifact: build.Artifact) -> None:
    version = build.compiler_version()
    if version is None or not version.startswith(build.COMPILER):
        pytest.skip(
            f"{artifact.output} was NOT compared with {artifact.source}: "
            f"ziglang {build.COMPILER} is needed, found {version}"
        )
    checked_in = (artifact.folder / artifact.output).read_bytes()
    assert build.compile_artifact(artifact) == checked_in, "run python -m whamm_cm.agent.build"


def test_a_source_that_does_not_compile_is_named() -> None:
    if build.compiler_version() is None:
        pytest.skip("NOT tested: ziglang is not installed")
    with pytest.raises(RunError, match="missing.c"):
        build.compile_artifact(build.Artifact("x.wasm", "missing.c", (), ()))


@pytest.mark.parametrize("artifact", build.ARTIFACTS, ids=lambda artifact: artifact.output)
def test_no_table_and_no_custom_sections(artifact: build.Artifact) -> None:
    module = (artifact.folder / artifact.output).read_bytes()
    ids, at = [], 8
    while at < len(module):
        size, body = build._leb(module, at + 1)
        ids.append(module[at])
        at = body + size
    # A sink's memory is imported, so the linker clears its variables in a start function.
    allowed = {8} if "--import-memory" in artifact.link else set()
    assert ids == sorted(ids) and {0, 4, 8, 9} & set(ids) == allowed
