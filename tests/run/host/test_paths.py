"""A guest gets at what is in the directories it was given, and at nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.run.host.rig import world
from whamm_cm.run.host import filesystem
from whamm_cm.run.host.bridge import Failure
from whamm_cm.run.host.filesystem import Descriptor, opened
from whamm_cm.run.options import Dir


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """``in`` is given, ``out`` is not."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "secret").write_text("secret")
    given = tmp_path / "in"
    (given / "sub").mkdir(parents=True)
    (given / "file").write_text("text")
    (given / "absolute").symlink_to(tmp_path / "out" / "secret")
    (given / "up").symlink_to("../out/secret")
    (given / "updir").symlink_to("../out")
    (given / "sub" / "twice").symlink_to("../up")
    (given / "inside").symlink_to("sub/../file")
    (given / "loop").symlink_to("loop")
    (given / "new").symlink_to("sub/made")
    return given


def call(name: str, *values: Any) -> Any:
    return filesystem.TYPES.functions[f"[method]descriptor.{name}"](world(), *values)


def given(root: Path, read_only: bool = False) -> Descriptor:
    return opened(Dir(str(root), "/", read_only))


def code(name: str, *values: Any) -> str:
    with pytest.raises(Failure) as caught:
        call(name, *values)
    found: str = caught.value.payload
    return found


FOLLOW = ["symlink-follow"]
OUTSIDE = [
    "..", "../out/secret", "/etc/passwd", "sub/../../out/secret", "absolute", "up", "updir/secret",
    "updir/", "sub/twice", "./../out", "sub/..//../out/secret",
]  # fmt: skip


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_way_leads_out(root: Path, path: str) -> None:
    one = given(root)
    assert code("open-at", one, FOLLOW, path, [], ["read"]) == "not-permitted"
    assert code("stat-at", one, FOLLOW, path) == "not-permitted"
    assert code("open-at", one, FOLLOW, f"{path}/x", ["create"], ["write"]) in (
        "not-permitted", "not-directory", "no-entry",
    )  # fmt: skip
    assert sorted(os.listdir(root.parent / "out")) == ["secret"]


@pytest.mark.parametrize("path", ["../x", "/x", "updir/x", "sub/../../x"])
def test_nothing_is_made_or_removed_outside(root: Path, path: str) -> None:
    one = given(root)
    (root.parent / "out" / "x").write_text("")
    assert code("create-directory-at", one, path) == "not-permitted"
    assert code("unlink-file-at", one, path) == "not-permitted"
    assert code("rename-at", one, "file", one, path) == "not-permitted"
    assert code("link-at", one, [], "file", one, path) == "not-permitted"
    assert code("symlink-at", one, "file", path) == "not-permitted"
    assert sorted(os.listdir(root.parent)) == ["in", "out"]
    assert (root / "file").read_text() == "text"


def test_links_inside_are_followed_when_asked(root: Path) -> None:
    one = given(root)
    found = call("open-at", one, FOLLOW, "inside", [], ["read"])
    assert call("read", found, 10, 0)[0] == b"text"
    assert code("open-at", one, [], "inside", [], ["read"]) == "loop"
    assert call("stat-at", one, [], "inside")["type"] == "symbolic-link"
    assert code("open-at", one, FOLLOW, "loop", [], ["read"]) == "loop"
    call("open-at", one, FOLLOW, "new", ["create"], ["write"])
    assert (root / "sub" / "made").exists()


def test_no_absolute_links(root: Path) -> None:
    one = given(root)
    assert code("symlink-at", one, "/etc", "l") == "not-permitted"
    assert code("readlink-at", one, "absolute") == "not-permitted"
    assert call("readlink-at", one, "inside") == "sub/../file"


def test_odd_paths(root: Path) -> None:
    one = given(root)
    assert code("stat-at", one, [], "") == "no-entry"
    assert code("stat-at", one, [], "a\0b") in ("illegal-byte-sequence", "invalid")
    assert code("stat-at", one, [], "file/") == "not-directory"
    assert code("stat-at", one, [], "file/.") == "not-directory"
    assert call("stat-at", one, [], "sub/")["type"] == "directory"
    assert call("stat-at", one, [], ".")["type"] == "directory"
    assert call("stat-at", one, [], "sub/..")["type"] == "directory"
    assert call("stat-at", one, [], "./sub//../file")["size"] == 4
    call("create-directory-at", one, "made/")
    call("remove-directory-at", one, "made/")
    assert code("stat-at", one, [], "x" * 300) == "name-too-long"


def test_what_is_read_only_stays(root: Path) -> None:
    one = given(root, read_only=True)
    before = sorted(os.listdir(root))
    assert code("open-at", one, [], "file", [], ["write"]) in ("not-permitted", "read-only")
    assert code("open-at", one, [], "n", ["create"], ["read"]) in ("not-permitted", "read-only")
    assert code("open-at", one, [], "file", ["truncate"], ["read"]) in (
        "not-permitted", "read-only",
    )  # fmt: skip
    for name, *values in (
        ("create-directory-at", "n"), ("unlink-file-at", "file"), ("remove-directory-at", "sub"),
        ("symlink-at", "file", "n"),
    ):  # fmt: skip
        assert code(name, one, *values) == "not-permitted"
    assert code("rename-at", one, "file", one, "n") == "not-permitted"
    now: dict[str, None] = {"now": None}
    assert code("set-times-at", one, [], "file", now, now) == "not-permitted"
    inner = call("open-at", one, [], "sub", ["directory"], ["read"])
    assert code("create-directory-at", inner, "n") == "not-permitted"
    file = call("open-at", one, [], "file", [], ["read"])
    assert code("set-times", file, now, now) == "not-permitted"
    assert code("set-size", file, 0) == "not-permitted"
    assert (sorted(os.listdir(root)), (root / "file").read_text()) == (before, "text")


def test_a_directory_that_becomes_a_link_on_the_way(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody puts a link where a directory was, between our look and our step."""
    from whamm_cm.run.host import paths

    look = paths._link

    def swapped(directory: int, name: str) -> str | None:
        found = look(directory, name)
        if name == "sub" and (root / "sub").is_dir() and not (root / "sub").is_symlink():
            (root / "sub").rename(root / "gone")
            (root / "sub").symlink_to("../out")
        return found

    monkeypatch.setattr(paths, "_link", swapped)
    assert code("open-at", given(root), FOLLOW, "sub/secret", [], ["read"]) in (
        "loop", "not-directory",
    )  # fmt: skip


def test_a_name_that_is_no_text(root: Path) -> None:
    (root / os.fsdecode(b"\xff")).write_text("")
    assert code("read-directory", given(root)) == "illegal-byte-sequence"


def test_a_stream_outlives_its_descriptor_and_all_is_closed(root: Path) -> None:
    def fds() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = fds()
    one = given(root)
    file = call("open-at", one, [], "file", [], ["read"])
    stream = call("read-via-stream", file, 1)
    del one, file
    assert stream.read(10) == b"ext"
    del stream
    assert fds() == before
