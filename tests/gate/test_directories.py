"""Nothing in a directory is left out in silence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.gate.making import component
from whamm_cm.cli.main import main
from whamm_cm.errors import InputError, UsageError
from whamm_cm.gate.batch import find

GOOD = component({"wasi:io/poll@0.2.3": ("poll",)})
EVIL = component({"wasi:sockets/tcp@0.2.3": ("bind",)})

#: Where something evil may lie in a directory that has good.wasm.
PLACES = (
    *("evil.wasm", ".evil.wasm", ".hidden/evil.wasm", "EVIL.WASM", "a/b/c/Evil.Wasm", "plugin.bin"),
    *("no-suffix", "node_modules/x.wasm", "[x].wasm", "a\nb.wasm", "-x.wasm", "--policy=q.wasm"),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("dir").mkdir()
    Path("dir/good.wasm").write_bytes(GOOD)
    Path("p.yaml").write_text("version: 1\nimports: {deny: ['wasi:sockets/*']}\n")
    return tmp_path


def gate(*arguments: str) -> int:
    return main(["gate", *arguments, "--policy", "p.yaml", "--no-cache"])


@pytest.mark.parametrize("place", PLACES)
def test_everything_is_judged(folder: Path, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate("dir") == 0
    (folder / "dir" / place).parent.mkdir(parents=True, exist_ok=True)
    (folder / "dir" / place).write_bytes(EVIL)
    assert gate("dir") == 1
    assert gate("dir", "--skip", "good.wasm") == 1
    capsys.readouterr()
    if "[" not in place and "\n" not in place:
        assert gate("dir", f"--skip={place}") == 0
        assert capsys.readouterr().err == f"whamm-cm: dir/{place}: left out (--skip)\n"


def test_links(folder: Path) -> None:
    Path("elsewhere").mkdir()
    Path("elsewhere/evil.wasm").write_bytes(EVIL)
    os.symlink("../elsewhere/evil.wasm", "dir/link.wasm")
    assert gate("dir") == 1
    os.unlink("dir/link.wasm")
    os.symlink("../elsewhere", "dir/linked")
    os.symlink("..", "dir/up")  # round and round
    assert gate("dir") == 1
    assert find(["dir"]) == ["dir/good.wasm", "dir/linked/evil.wasm"] or "dir/up" in str(
        find(["dir"])
    )
    os.unlink("dir/up")
    assert gate("dir", "--skip", "linked") == 0
    os.unlink("dir/linked")
    os.symlink("nowhere.wasm", "dir/broken.wasm")
    assert gate("dir") == 3


def test_what_cannot_be_looked_into(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir
    Path("dir/locked").mkdir()

    def refuse(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match="locked cannot be read: Permission denied"):
        find(["dir"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_no_component(folder: Path) -> None:
    os.mkfifo("dir/pipe.wasm")
    os.mkfifo("dir/other")
    with pytest.raises(InputError, match=r"pipe.wasm is no regular file; --skip pipe.wasm"):
        find(["dir"])
    assert find(["dir"], ["pipe.wasm"]) == ["dir/good.wasm"]


def test_globs_look_into_directories(folder: Path) -> None:
    Path("dir/sub").mkdir()
    Path("dir/sub/evil.wasm").write_bytes(EVIL)
    Path("dir/none").mkdir()
    assert find(["dir/*"]) == ["dir/good.wasm", "dir/sub/evil.wasm"]
    assert find(["d*"]) == ["dir/good.wasm", "dir/sub/evil.wasm"]
    os.symlink("nowhere", "dir/x.wasm")
    assert "dir/x.wasm" in find(["dir/*.wasm"])


def test_a_layout_and_what_lies_beside_it(folder: Path) -> None:
    for place in ("dir", "dir/inner"):
        (folder / place / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        (folder / place / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        (folder / place / "blobs" / "sha256" / "abc").write_bytes(EVIL)
        (folder / place / "blobs" / "evil.wasm").write_bytes(EVIL)
    assert find(["dir"]) == [
        "dir", "dir/blobs/evil.wasm", "dir/good.wasm", "dir/inner", "dir/inner/blobs/evil.wasm",
    ]  # fmt: skip
    assert gate("dir") == 3  # there is no index


@pytest.mark.parametrize(
    ("skip", "left"),
    [
        ("sub", ["a.wasm"]), ("sub/", ["a.wasm"]), ("sub/**", ["a.wasm"]),
        ("**/b.wasm", ["a.wasm"]),
        ("*.wasm", ["sub/b.wasm"]), ("./sub", ["a.wasm"]), ("s*", ["a.wasm"]),
        ("b.wasm", ["a.wasm", "sub/b.wasm"]), ("SUB", ["a.wasm", "sub/b.wasm"]),
    ],
)  # fmt: skip
def test_what_skip_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skip: str, left: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sub").mkdir()
    for name in ("a.wasm", "sub/b.wasm"):
        Path(name).write_bytes(GOOD)
    assert find(["."], [skip]) == left


def test_skipping_everything_is_no_pass(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate("dir", "--skip", "**") == 3
    assert (
        "dir: there is no .wasm file in this directory but what --skip" in capsys.readouterr().err
    )
    with pytest.raises(UsageError, match="--skip needs a path"):
        find(["dir"], [""])


@pytest.mark.parametrize("name", ["x.bin", "x", ".x.txt", "sub/x.WASM"])
@pytest.mark.parametrize(
    "data",
    [
        b"\0asm\1\0\0\0\xff",
        b"\0asm\x0d\0\1\0\xff",
        b"\0asm",
        b"\x7fELF\2\1\1\xc8" + bytes(56),
        b"(component)",
        b" \n(\tcomponent $x)",
        b"(module)",
        b";; a note\n\n(module)",
        b"(; a (; note ;) ;)(component)",
        b'(@name "x") (component)',
        b'(import "wasi_snapshot_preview1" "sock_send" (func))',
        b";;" + b"x" * 10000 + b"\n(component)",
    ],
)
def test_what_hosts_run_is_known_by_how_it_begins(folder: Path, name: str, data: bytes) -> None:
    """wasmtime goes by content: it runs core modules, text and its own machine code under any
    name."""
    Path("dir/sub").mkdir()
    (folder / "dir" / name).write_bytes(data)
    assert gate("dir") == 3
    assert gate("dir", f"--skip={name}") == 0


@pytest.mark.parametrize(
    "data", [b"", b"\0as", b"(define x)", b"# (component)", b"\x7fELF\2\1\1\0", b"()\0(module)"]
)
def test_what_no_host_runs_is_left_alone(folder: Path, data: bytes) -> None:
    Path("dir/notes").write_bytes(data)
    assert gate("dir") == 0


@pytest.mark.parametrize("name", ["x.wat", "X.WAT", ".x.Wat", "sub/x.cwasm", "x.CWASM"])
@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"(component)", "is component text"),
        (b"\x7fELF\2\1\1\0" + bytes(56), "is not WebAssembly but machine code"),
        (b";; nothing\n(module)", "is not WebAssembly"),
        (b"", "is empty"),
    ],
)
def test_what_hosts_run_and_nobody_judged(
    folder: Path, name: str, data: bytes, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("dir/sub").mkdir()
    (folder / "dir" / name).write_bytes(data)
    assert gate("dir") == 3
    said = capsys.readouterr()
    assert f"whamm-cm: dir/{name} {sentence}" in said.err and "--skip" in said.err
    assert "dir/good.wasm" in said.out and "1 input not judged" in said.out and "FAIL" in said.out
    assert gate("dir", f"--skip={name}") == 0
    assert capsys.readouterr().err == f"whamm-cm: dir/{name}: left out (--skip)\n"
    (folder / "dir" / name).write_bytes(GOOD)
    assert gate("dir") == 0
