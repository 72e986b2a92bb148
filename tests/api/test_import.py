"""What importing costs: modules are counted, for time is the machine's."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import whamm_cm

#: What takes long to import, and is for running, scripts, terminals and policies only.
HEAVY = ("wasmtime", "lark", "rich", "yaml", "elftools", "asyncio", "multiprocessing", "ssl")


def modules(code: str) -> set[str]:
    """The modules that ``code`` imports in a fresh interpreter."""
    told = (
        f"import sys; before = set(sys.modules)\n{code}\nfound = sorted(set(sys.modules) - before)"
    )
    told += "\nimport json; print(json.dumps(found))"
    ran = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(ran.stdout))


def test_importing_the_package_imports_nothing_else() -> None:
    ours = {name for name in modules("import whamm_cm") if name.startswith("whamm_cm")}
    assert ours == {"whamm_cm", "whamm_cm._version", "whamm_cm.errors"}
    assert not {name.split(".")[0] for name in modules("import whamm_cm")} & set(HEAVY)


LOOKING = """import whamm_cm
app = whamm_cm.load("fixtures/c_command/command.wasm")
app.imports, app.exports, app.modules, app.sites("%fs"), app.wit()
"""


def test_looking_into_a_component_needs_no_engine_and_no_grammar() -> None:
    assert not {name.split(".")[0] for name in modules(LOOKING)} & set(HEAVY)


def test_who_reaches_what_needs_the_engine_that_reads_code() -> None:
    ran = {name.split(".")[0] for name in modules(LOOKING + "app.capabilities()")}
    assert ran & set(HEAVY) == {"wasmtime"}


def test_rich_is_for_the_command_line() -> None:
    ran = modules(LOOKING + 'app.trace(monitor="calls").text("table"); app.gate().text("table")')
    assert "wasmtime" in ran and "rich" not in ran


@pytest.mark.parametrize("name", whamm_cm.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(whamm_cm, name) is not None
    assert name in dir(whamm_cm)


def test_a_name_that_is_not_there_says_so() -> None:
    with pytest.raises(AttributeError, match="module 'whamm_cm' has no attribute 'lode'"):
        whamm_cm.lode  # noqa: B018


def test_the_package_says_that_it_is_typed() -> None:
    from importlib.resources import files

    assert files("whamm_cm").joinpath("py.typed").is_file()
