"""What programs ask for as they begin is answered with nothing: at an error they would end."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.build import path_of
from fixtures.running import run_command
from tests.cli.test_enforce import held, said
from tests.gate.attacking import policy
from whamm_cm.gate.guard import Function
from whamm_cm.wit.types import EnumT, ListT, OptionT, Prim, ResultT, ValType

STRING = Prim("string")
TYPE = ResultT(EnumT(("unknown", "directory")), EnumT(("access", "io")))


@pytest.mark.parametrize(("item", "result", "answer"), (
    ("wasi:cli/environment#get-environment", ListT(STRING), ("return [];", "nothing")),
    ("wasi:cli/environment#initial-cwd", OptionT(STRING), ("return none;", "nothing")),
    ("wasi:filesystem/types#descriptor.get-type", TYPE, ("return ok(unknown);", "unknown")),
    # What goes by such a name and has no such value is answered as all else.
    ("wasi:filesystem/types#descriptor.get-type", ResultT(None, TYPE.err),
     ('fail("access");', "access")),
    ("wasi:filesystem/preopens#get-directories", Prim("u32"), None),
    ("wasi:random/random#get-random-bytes", ListT(Prim("u8")), None),
))  # fmt: skip
def test_what_says_that_there_is_nothing(
    item: str, result: ValType, answer: tuple[str, str] | None
) -> None:
    interface, _, func = item.partition("#")
    found = Function(((interface, "0.2.0", func),), (), result, True)
    trap = f'abort("enforce: {found.title} is denied");'
    assert found.answer == (answer or (trap, ""))


def test_a_program_runs_without_files_and_variables(tmp_path: Path) -> None:
    wasm = path_of("c_command").read_bytes()
    rules = policy('imports: { deny: ["wasi:filesystem/*", "wasi:cli/environment"] }', tmp_path)
    (tmp_path / "data").mkdir()
    more = {"directory": tmp_path / "data", "env": {"GREETING": "welcome"}}
    before = run_command(wasm, ("command", "127.0.0.1:1"), **more)
    assert b"greeting: welcome" in before.stdout and b"directory: /data" in before.stdout
    after = held(wasm, rules, "127.0.0.1:1", **more)
    assert b"greeting: hello\n" in after.stdout and b"directory: none\n" in after.stdout
    assert b"answer" not in after.stdout and (after.status, after.trap) == (0, "")
    assert len(said(after)) == 3
