"""Which argument of a command is replaced."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from whamm_cm.errors import InputError, UsageError
from whamm_cm.run.replacing import find_wasm_argument, named_argument

COMPONENT, MODULE = b"\0asm\x0d\0\1\0", b"\0asm\1\0\0\0"


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in ("app.wasm", "app", "other.wasm", "data.wasm", "--odd.wasm"):
        Path(name).write_bytes(COMPONENT)
    Path("core.wasm").write_bytes(MODULE)
    Path("config.toml").write_text("x = 1")
    Path("dir.wasm").mkdir()
    yield


@pytest.mark.parametrize(
    ("command", "chosen", "others"),
    [
        ("wasmtime run app.wasm", "app.wasm", ()),
        ("wasmtime core.wasm", "core.wasm", ()),
        ("tool app config.toml", "app", ()),
        # The component before a core module, wherever they stand.
        ("app config.toml dir.wasm core.wasm app", "app", ()),
        ("python host.py --flag app.wasm tail", "app.wasm", ()),
        ("python host.py --flag app.wasm core.wasm", "app.wasm", ()),
        # The value of an option only happens to be a component.
        ("wasmtime run --config other.wasm app.wasm", "app.wasm", ("other.wasm",)),
        ("wasmtime run --preload data.wasm --dir other.wasm app.wasm", "app.wasm",
         ("data.wasm", "other.wasm")),
        ("wasmtime serve -S other.wasm app.wasm", "app.wasm", ("other.wasm",)),
        ("wasmtime run -W other.wasm core.wasm", "core.wasm", ("other.wasm",)),
        ("tool --plugin other.wasm app.wasm", "app.wasm", ("other.wasm",)),
        ("tool --plugin=other.wasm app.wasm", "app.wasm", ()),
        ("tool --mode=fast app.wasm other.wasm", "app.wasm", ("other.wasm",)),
        # What stands behind the component is the guest's.
        ("wasmtime run app.wasm data.wasm", "app.wasm", ("data.wasm",)),
        ("wasmtime run app.wasm --dir other.wasm", "app.wasm", ("other.wasm",)),
        ("wasmtime run -- --odd.wasm app.wasm", "--odd.wasm", ("app.wasm",)),
        # Flags of a known runner have no value; the runner may be started by another command.
        ("wasmtime run --quiet app.wasm", "app.wasm", ()),
        ("env A=1 timeout 5 wasmtime serve --addr other.wasm app.wasm", "app.wasm",
         ("other.wasm",)),
        ("npx jco run --jco-dir other.wasm app.wasm", "app.wasm", ("other.wasm",)),
        ("/usr/bin/wasmtime run --env other.wasm app.wasm", "app.wasm", ("other.wasm",)),
    ],
)  # fmt: skip
def test_the_argument_to_replace(command: str, chosen: str, others: tuple[str, ...]) -> None:
    words = command.split()
    found = find_wasm_argument(words)
    assert (words[found.index], found.others) == (chosen, others)


@pytest.mark.parametrize(
    ("command", "error", "text"),
    [
        ("wasmtime run gone.wasm", InputError, "^gone.wasm: there is no such file"),
        ("wasmtime run dir.wasm", UsageError, "no argument of 'wasmtime run dir.wasm' names an"),
        ("wasmtime run config.toml", UsageError, "or name it with --component$"),
        ("wasmtime run --app=gone.wasm", UsageError, "no argument of"),
        ("wasmtime run --config other.wasm", UsageError, "no argument of"),
        ("app.wasm", UsageError, "no argument of"),
    ],
)
def test_where_there_is_none(command: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        find_wasm_argument(command.split())


def test_the_argument_that_is_the_file() -> None:
    Path("link.wasm").symlink_to("app.wasm")
    words = ["tool", "--plugin", "other.wasm", "link.wasm"]
    assert named_argument(words, "./app.wasm") == 3
    assert named_argument(words, "other.wasm") == 2
    assert named_argument(words, "core.wasm") is None
    assert named_argument(["app.wasm"], "app.wasm") is None
