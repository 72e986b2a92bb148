"""Whatever a guest does to files by chance, a guard never lets it reach what its policy denies.

Two independent judges: the file system itself, which knows each file by its number, and a statement
of the rules in Python, by names.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import pytest

from tests.cli.files_guest import (
    CREATE,
    DIRECTORY,
    FOLLOW,
    MUTATE,
    READ,
    TRUNCATE,
    WRITE,
    Files,
    files_guest,
)
from tests.cli.test_enforce_storage import bits, policy
from whamm_cm.front.guarding import guarded
from whamm_cm.gate.permissions import Section, StorageLine

RULES = (
    """allow: [{ uri: "fs:///data", access: [read] }, { uri: "fs:///data/b", access: [read] },
  { uri: "fs:///data/a/**", access: [read, write] }, { uri: "fs:///data/b/*", access: [read] },
  { uri: "fs:///data/c/**", access: [write] }, { uri: "fs:///free/**", access: [read, write] }]
deny: [{ uri: "fs:///data/a/b/**", access: [read, write] }]""",
    """deny: [{ uri: "fs:///data/c/**", access: [read, write] },
  { uri: "fs:///data/*/b/c", access: [read] }, { uri: "fs:///data/b/**", access: [write] }]""",
)
NAMES = ("a", "b", "c", "d")
#: What may stand below a name: all that the policies tell apart, and more.
BELOW = ["/" + "/".join(parts) for n in (1, 2, 3) for parts in product(NAMES, repeat=n)]


class Statement:
    """The rules, by names: what a guard has to say of a call."""

    def __init__(self, section: Section[StorageLine], roots: dict[str, int]) -> None:
        self.section = section
        self.known: dict[str, int] = {}
        self.names: dict[int, tuple[str | None, int]] = {}
        for name, handle in roots.items():
            self.names[handle] = name, self.rights(name) & self.every(name)

    def rights(self, name: str) -> int:
        if name not in self.known:
            self.known[name] = bits(self.section, name)
        return self.known[name]

    def every(self, name: str) -> int:
        return self.over(name, 3, lambda a, b: a & b)

    def some(self, name: str) -> int:
        return self.over(name, 0, lambda a, b: a | b)

    def over(self, name: str, start: int, both: object) -> int:
        found = start
        for end in BELOW:
            found = both(found, self.rights(name.rstrip("/") + end))  # type: ignore[operator]
        return found

    def name(self, handle: int, path: str) -> str | None:
        """None: it cannot be told."""
        base = self.names[handle][0]
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if base is None or ".." in parts or path.startswith("/"):
            return None
        return "/" + "/".join([*(part for part in base.split("/") if part), *parts])

    def may(self, handle: int, path: str) -> int:
        name = self.name(handle, path)
        if name is not None:
            return self.rights(name)
        return self.names[handle][1] if self.stays(path) else 0

    @staticmethod
    def stays(path: str) -> bool:
        depth = 0
        for part in path.split("/"):
            depth += -1 if part == ".." else part not in ("", ".")
            if depth < 0:
                return False
        return not path.startswith("/")

    def open_at(self, handle: int, _: int, path: str, how: int, flags: int) -> bool:
        writes = bool(flags & (WRITE | MUTATE) or how & (CREATE | TRUNCATE))
        wanted = 2 * writes | (bool(flags & READ) or not writes)
        return (self.may(handle, path) & wanted) == wanted

    def moved(self, old: tuple[int, str], new: tuple[int, str], whole: bool) -> bool:
        before, after = self.may(*old), self.may(*new)
        frees = self.names[old[0]][1], self.names[new[0]][1]
        if after & ~before or not after & 2 or (frees[0] == 3 and frees[1] != 3):
            return False
        if not whole:
            return bool(before & 1)
        names = self.name(*old), self.name(*new)
        belows = [
            (3, 3) if name is None and free == 3 else (0, 0) if name is None
            else (self.every(name), self.some(name))
            for name, free in zip(names, frees, strict=True)
        ]  # fmt: skip
        if any(name is None and free != 3 for name, free in zip(names, frees, strict=True)):
            return False
        uniform = all(every == some for every, some in belows)
        return bool(before & 2) and uniform and belows[0] == belows[1]

    def judge(self, method: str, handle: int, args: Sequence[object]) -> bool:
        match method, args:
            case "open-at", _:
                return self.open_at(handle, *args)  # type: ignore[arg-type]
            case "stat-at", (_, str(path)):
                return bool(self.may(handle, path) & 1)
            case "rename-at", (str(old), int(to), str(new)):
                return self.moved((handle, old), (to, new), True)
            case "link-at", (int(flags), str(old), int(to), str(new)):
                return not flags and self.moved((handle, old), (to, new), False)
            case "symlink-at", (str(target), str(path)):
                inside = ".." not in target.split("/") and not target.startswith("/")
                return self.names[handle][1] == 3 and inside and bool(self.may(handle, path) & 2)
            case _, (str(path),):
                return bool(self.may(handle, path) & 2)
        raise AssertionError(method)


class Mirror:
    """What is behind the guest's descriptors, and what each file was when all began."""

    def __init__(self, directories: dict[str, Path], roots: dict[str, int]) -> None:
        self.held: list[int] = []
        self.opened = {h: os.open(directories[name], os.O_RDONLY) for name, h in roots.items()}
        self.directories = directories
        self.began: dict[int, str] = {}
        for name, path in directories.items():
            for found in (path, *path.rglob("*")):
                at = found.relative_to(path)
                self.began[found.stat().st_ino] = name if found == path else f"{name}/{at}"
                self.held.append(os.open(found, os.O_RDONLY))  # so that no number comes again

    def there(self) -> list[tuple[str, str]]:
        """All there is, as the name of a preopened directory and a path below it."""
        return [
            (name, str(found.relative_to(path)))
            for name, path in self.directories.items()
            for found in path.rglob("*")
        ]

    def inode(self, handle: int, path: str) -> int | None:
        """What a path leads to, None if to nothing."""
        try:
            return os.stat(path or ".", dir_fd=self.opened[handle]).st_ino
        except OSError:
            return None

    def open(self, handle: int, path: str, follow: bool, to: int) -> int:
        flags = os.O_RDONLY | (0 if follow else os.O_NOFOLLOW)
        self.opened[to] = os.open(path or ".", flags, dir_fd=self.opened[handle])
        return os.fstat(self.opened[to]).st_ino

    def close(self) -> None:
        for one in (*self.opened.values(), *self.held):
            os.close(one)


def tree(folder: Path) -> dict[str, Path]:
    found = {"/data": folder / "data", "/free": folder / "free"}
    for path in found.values():
        for parts in product(NAMES[:3], repeat=2):
            path.joinpath(*parts).mkdir(parents=True, exist_ok=True)
            path.joinpath(*parts, "d").write_text(str(parts))
    return found


Call = tuple[str, int, list[object]]


class Chance:
    """Calls: half of what they name is there, or was a little while ago."""

    def __init__(self, seed: int, mirror: Mirror, roots: dict[str, int]) -> None:
        self.rng, self.mirror, self.roots = random.Random(seed), mirror, roots
        self.handles = list(roots.values())
        self.there: list[tuple[str, str]] = []

    def calls(self) -> Iterator[Call]:
        for number in range(STEPS):
            if number % 8 == 0:
                self.there = self.mirror.there()
            yield self.call()

    def place(self) -> tuple[int, str]:
        """A descriptor and a path below it."""
        rng = self.rng
        if not self.there or rng.random() < 0.3:
            parts = [rng.choice((*NAMES * 3, "..", ".", "")) for _ in range(rng.randint(1, 4))]
            return rng.choice(self.handles), "/".join(parts)
        root, path = rng.choice(self.there)
        if rng.random() < 0.3:
            path = f"{path.rpartition('/')[0] or '.'}/{rng.choice(NAMES)}"
        return self.roots[root], path

    def call(self) -> Call:
        rng = self.rng
        (handle, path), (other, second) = self.place(), self.place()
        method = rng.choice(METHODS)
        args: list[object] = [path]
        if method == "open-at":
            how = rng.choice((0, 0, 0, DIRECTORY, DIRECTORY, CREATE, TRUNCATE))
            flags = rng.choice((READ, READ, WRITE, READ | WRITE, READ | MUTATE, 0))
            args = [rng.choice((0, FOLLOW)), path, how, flags]
        elif method == "stat-at":
            args = [FOLLOW, path]
        elif method == "rename-at":
            args = [path, other, second]
        elif method == "link-at":
            args = [rng.choice((0, 0, 0, FOLLOW)), path, other, second]
        elif method == "symlink-at":
            args = [rng.choice((second, *NAMES)), path]
        return method, handle, args


METHODS = (
    *("open-at",) * 5, *("rename-at",) * 3, *("link-at",) * 2, *("symlink-at",) * 2,
    *("stat-at",) * 2, "create-directory-at", "unlink-file-at", "remove-directory-at",
)  # fmt: skip


@pytest.mark.parametrize("rules", RULES)
def test_nothing_leads_to_what_is_denied(rules: str, tmp_path: Path) -> None:
    section = policy(tmp_path, rules).permissions.storage
    assert section is not None
    guard = guarded(files_guest(), "files", policy(tmp_path, rules), "deny", "none")
    wasm = b"".join(guard.woven.inner.pieces)
    tally = {"denied": 0, "let through": 0, "opened": 0, "reached": 0}
    for seed in range(ROUNDS):
        folder = tmp_path / str(seed)
        directories = tree(folder)
        guest = Files(wasm, directories)
        mirror = Mirror(directories, guest.roots)
        chance = Chance(seed, mirror, guest.roots)
        play(chance, guest, Statement(section, guest.roots), tally)
        mirror.close()
        left = {path.lstat().st_ino for path in folder.rglob("*")}
        for inode, name in mirror.began.items():
            if not bits(section, name) & 2:
                assert inode in left, (seed, name, "is gone")
    assert min(tally.values()) > 20 * ROUNDS // 10, tally


ROUNDS, STEPS = 12, 120


def play(chance: Chance, guest: Files, statement: Statement, tally: dict[str, int]) -> None:
    mirror = chance.mirror
    for number, (method, handle, args) in enumerate(chance.calls()):
        where = (number, method, statement.names[handle], args)
        aim = mirror.inode(handle, str(args[1])) if method == "stat-at" else None
        found = guest(method, handle, *args)
        allowed = statement.judge(method, handle, args)
        tally["let through" if allowed else "denied"] += 1
        # The host says `access` to nobody here: all is run as the owner of the files.
        assert (found != "access") == allowed, where
        if isinstance(found, str):
            continue
        if method == "stat-at":
            reached(statement, mirror, aim, 1, where, tally)
        if method == "open-at":
            _, path, how, flags = args
            inode = mirror.open(handle, str(path), bool(args[0]), found)
            statement.names[found] = statement.name(handle, str(path)), statement.names[handle][1]
            chance.handles.append(found)
            tally["opened"] += 1
            assert isinstance(flags, int) and isinstance(how, int)
            used = 2 if flags & WRITE or how & TRUNCATE else 0
            reached(statement, mirror, inode, used | (flags & READ), where, tally)


def reached(
    statement: Statement, mirror: Mirror, inode: int | None, used: int, where: object,
    tally: dict[str, int],
) -> None:  # fmt: skip
    """Whatever it went by: the policy allowed that of the file by the name that it had."""
    began = mirror.began.get(inode or 0)
    if began is not None:
        tally["reached"] += 1
        assert statement.rights(began) & used == used, (where, began)
