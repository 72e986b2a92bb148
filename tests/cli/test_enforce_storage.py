"""``permissions.storage`` in a guard: no name, link or descriptor leads to what is denied."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from fixtures.build import path_of
from fixtures.running import run_command
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
from tests.cli.test_enforce import held, said
from whamm_cm.errors import UsageError
from whamm_cm.front.guarding import guarded
from whamm_cm.front.verdict import policy_of
from whamm_cm.gate.guard_storage import _ASCII, _PART, _SIMPLE
from whamm_cm.gate.path_patterns import RARE, Reach, patterns
from whamm_cm.gate.permissions import Access, Section, StorageLine, folded, normal_path
from whamm_cm.gate.policy import Policy
from whamm_cm.lang.regex import table_of

RULES = """allow: [{ uri: "fs:///data", access: [read] },
  { uri: "fs:///data/pub/**", access: [read, write] }, { uri: "fs:///data/ro/**", access: [read] },
  { uri: "fs:///data/drop/**", access: [write] }, { uri: "fs:///data/*.log", access: [read] },
  { uri: "fs:///free/**", access: [read, write] }]
deny: [{ uri: "fs:///data/pub/hidden/**", access: [read, write] }]"""
OPEN = """deny: [{ uri: "fs:///data/secret/**", access: [read, write] },
  { uri: "fs:///data/straße", access: [read] }, { uri: "fs:///data/ro/**", access: [write] }]"""
TREE = ("pub/a.txt", "pub/dir/b.txt", "pub/hidden/h.txt", "ro/c.txt", "ro/dir/d.txt", "drop/e.txt",
        "secret/key.txt", "old.log", "ro.log/f.txt", "straße", "ﬀ", "ff")  # fmt: skip


def policy(folder: Path, rules: str) -> Policy:
    path = folder / "policy.yaml"
    inner = rules.strip().replace("\n", "\n    ")
    path.write_text(f"version: 1\npermissions:\n  storage:\n    {inner}\n", "utf-8")
    return policy_of(path)


def section_of(folder: Path, rules: str) -> Section[StorageLine]:
    found = policy(folder, rules).permissions.storage
    assert found is not None
    return found


@pytest.fixture(scope="module")
def guests(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """The guest held to each of the policies, and with texts in UTF-16."""
    folder = tmp_path_factory.mktemp("guests")
    found = {}
    for rules, encoding in ((RULES, ""), (OPEN, ""), (RULES, "string-encoding=utf16")):
        guard = guarded(files_guest(encoding), "files", policy(folder, rules), "deny", "none")
        found[rules + encoding] = b"".join(guard.woven.inner.pieces)
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in TREE:
        path = tmp_path / "host" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"this was {name}", "utf-8")
    (tmp_path / "free").mkdir()
    return tmp_path / "host"


def files(wasm: bytes, tree: Path) -> Files:
    return Files(wasm, {"/data": tree, "/free": tree.parent / "free"})


# --- what it may and may not ------------------------------------------------------------------

#: What is done in one go: what is expected (``ok``, an error, or a name for the descriptor), the
#: method, the descriptor and the arguments, of which descriptors are names, too.
Step = tuple[object, ...]
OPENED = ("pub", "open-at", "/data", FOLLOW, "pub", DIRECTORY, READ | MUTATE)
DROP = ("drop", "open-at", "/data", 0, "drop", DIRECTORY, MUTATE)
ALLOWED: Mapping[str, Sequence[Step]] = {
    "read and write where both are": (
        ("f", "open-at", "/data", FOLLOW, "pub/a.txt", 0, READ | WRITE),
        ("ok", "read", "f", 5, 0), ("ok", "write", "f", "hello", 0), ("ok", "set-size", "f", 3),
        ("ok", "set-times", "f"), ("ok", "sync", "f"), ("ok", "stat", "f")),
    "streams": (
        ("f", "open-at", "/data", 0, "pub/a.txt", 0, READ | WRITE),
        ("ok", "read-via-stream", "f", 0), ("ok", "write-via-stream", "f", 0),
        ("ok", "append-via-stream", "f")),
    "a directory and what is below it": (
        OPENED, ("ok", "read-directory", "pub"), ("f", "open-at", "pub", 0, "dir/b.txt", 0, READ),
        ("ok", "read", "f", 5, 0), ("ok", "create-directory-at", "pub", "n"),
        ("ok", "remove-directory-at", "pub", "n")),
    "names in other spellings": (
        ("ok", "stat-at", "/data", 0, "./pub//a.txt"), ("ok", "stat-at", "/data", 0, "pub/./dir/"),
        ("ok", "stat-at", "/data", 0, "."),
        ("no-entry", "stat-at", "/data", 0, "pub/..."),
        ("no-entry", "stat-at", "/data", 0, "pub/..a"),
        ("no-entry", "stat-at", "/data", 0, "pub/.a/b")),
    "a file moves and gets a second name": (
        ("ok", "rename-at", "/data", "pub/a.txt", "/data", "pub/dir/a.txt"),
        ("ok", "link-at", "/data", 0, "pub/dir/a.txt", "/data", "pub/b.txt"),
        ("ok", "unlink-file-at", "/data", "pub/b.txt")),
    "a directory moves": (
        ("ok", "rename-at", "/data", "pub/dir", "/data", "pub/else"),
        ("ok", "stat-at", "/data", 0, "pub/else/b.txt")),
    "from what may be read to where less may be": (
        ("ok", "link-at", "/data", 0, "pub/a.txt", "/data", "drop/a.txt"),),
    "links and .. where all is allowed": (
        ("f", "open-at", "/free", 0, "a", CREATE, WRITE), ("ok", "symlink-at", "/free", "a", "l"),
        ("ok", "create-directory-at", "/free", "d"), ("ok", "stat-at", "/free", FOLLOW, "d/../l"),
        ("d", "open-at", "/free", 0, "d/../d", DIRECTORY, READ),
        ("ok", "open-at", "d", 0, "x", CREATE, WRITE)),
    "names of what is there say nothing of it": (
        ("f", "open-at", "/data", 0, "pub/a.txt", 0, READ), ("ok", "get-flags", "f"),
        ("ok", "get-type", "f"), ("ok", "metadata-hash", "f")),
    "the answer of a host": (("no-entry", "open-at", "/data", 0, "pub/nothing", 0, READ),),
}  # fmt: skip
A = "access"
ATTACKS: Mapping[str, Sequence[Step]] = {
    "what is not on the list": ((A, "open-at", "/data", FOLLOW, "secret/key.txt", 0, READ),),
    "a name that begins like one": ((A, "create-directory-at", "/data", "pub2"),),
    "up and down again": (
        (A, "open-at", "/data", 0, "pub/../secret/key.txt", 0, READ),
        (A, "stat-at", "/data", 0, "pub/../pub/a.txt"),
        (A, "open-at", "/data", 0, "pub/dir/../../secret/key.txt", 0, READ)),
    "up from a directory": (OPENED, (A, "open-at", "pub", 0, "../secret/key.txt", 0, READ)),
    "up and out": (
        (A, "open-at", "/data", 0, "../host/secret/key.txt", 0, READ),
        (A, "open-at", "/free", 0, "../host/secret/key.txt", 0, READ),
        (A, "open-at", "/free", 0, "a/../../host/secret/key.txt", 0, READ)),
    "an absolute path": (
        (A, "open-at", "/data", 0, "/data/pub/a.txt", 0, READ),
        (A, "open-at", "/free", 0, "/etc/passwd", 0, READ),
        (A, "stat-at", "/free", 0, "//etc/passwd")),
    "slashes and dots": (
        (A, "open-at", "/data", 0, "secret//key.txt", 0, READ),
        (A, "open-at", "/data", 0, "./secret/./key.txt", 0, READ),
        (A, "open-at", "/data", 0, "pub/.//../secret/key.txt", 0, READ),
        (A, "stat-at", "/data", 0, "secret/key.txt/"), (A, "stat-at", "/data", 0, "secret/.")),
    "more parts than one looks at": (
        (A, "open-at", "/data", 0, "./" * 30 + "secret/key.txt", 0, READ),
        (A, "open-at", "/free", 0, "a/" * 30 + "../" * 31 + "host/secret/key.txt", 0, READ),
        (A, "open-at", "/data", 0, "/".join(["pub", *["."] * 9000, "..", "secret"]), 0, READ)),
    "longer than a text can be": (
        (A, "open-at", "/data", 0, "pub/" + "/" * 16380 + "../secret/key.txt", 0, READ),
        (A, "open-at", "/data", 0, "pub/" + "x" * 20_000, CREATE, WRITE)),
    "a backslash": ((A, "open-at", "/data", 0, "pub\\..\\secret\\key.txt", 0, READ),
                    (A, "open-at", "/free", 0, "..\\host", 0, READ)),
    "a NUL": ((A, "open-at", "/data", 0, "pub/a.txt\0.log", 0, READ),
              (A, "open-at", "/data", 0, "secret/key.txt\0.log", 0, READ)),
    "another case": ((A, "open-at", "/data", 0, "PUB/a.txt", 0, READ),
                     (A, "open-at", "/data", 0, "pub/HIDDEN/h.txt", 0, READ)),
    "what is denied in what is allowed": (
        OPENED, (A, "open-at", "pub", 0, "hidden/h.txt", 0, READ),
        (A, "open-at", "pub", 0, "hidden", DIRECTORY, READ), (A, "stat-at", "pub", 0, "hidden")),
    "to write what may be read": (
        (A, "open-at", "/data", 0, "ro/c.txt", 0, WRITE),
        (A, "open-at", "/data", 0, "ro/c.txt", 0, READ | WRITE),
        (A, "open-at", "/data", 0, "ro/c.txt", TRUNCATE, READ),
        (A, "open-at", "/data", 0, "ro/new", CREATE, READ),
        (A, "open-at", "/data", 0, "ro/dir", DIRECTORY, READ | MUTATE),
        (A, "unlink-file-at", "/data", "ro/c.txt"), (A, "set-times-at", "/data", 0, "ro/c.txt"),
        (A, "create-directory-at", "/data", "ro/n"), (A, "remove-directory-at", "/data", "ro/dir")),
    "opened for less and used for more": (
        ("f", "open-at", "/data", 0, "ro/c.txt", 0, READ), (A, "write", "f", "x", 0),
        (A, "write-via-stream", "f", 0), (A, "append-via-stream", "f"), (A, "set-size", "f", 0),
        (A, "set-times", "f"), (A, "sync", "f")),
    "to read what may be written": (
        (A, "open-at", "/data", 0, "drop/e.txt", 0, READ | WRITE),
        (A, "open-at", "/data", 0, "drop/e.txt", 0, 0),
        ("f", "open-at", "/data", 0, "drop/e.txt", 0, WRITE), (A, "read", "f", 5, 0),
        (A, "read-via-stream", "f", 0), (A, "stat", "f"),
        (A, "stat-at", "/data", 0, "drop/e.txt"), (A, "readlink-at", "/data", "drop/e.txt"),
        (A, "metadata-hash-at", "/data", 0, "drop/e.txt")),
    "a directory that is only written": (
        DROP, (A, "read-directory", "drop"), (A, "stat", "drop")),
    "a link of its own": (
        (A, "symlink-at", "/data", "../secret/key.txt", "pub/l"),
        (A, "symlink-at", "/data", "secret", "pub/l"), OPENED,
        (A, "symlink-at", "pub", "a.txt", "l"), (A, "symlink-at", "pub", "../../secret", "dir/l")),
    "a link that leads out of where all is allowed": (
        (A, "symlink-at", "/free", "../host/secret", "l"), (A, "symlink-at", "/free", "/etc", "l"),
        (A, "symlink-at", "/free", "d/../..", "l"), (A, "symlink-at", "/free", "..\\x", "l"),
        (A, "symlink-at", "/free", "a", "../host/pub/l")),
    "a link that is carried off": (
        ("f", "open-at", "/free", 0, "secret", CREATE, WRITE),
        ("ok", "symlink-at", "/free", "secret", "l"),
        (A, "rename-at", "/free", "l", "/data", "pub/l"),
        (A, "link-at", "/free", 0, "l", "/data", "pub/l"),
        ("ok", "create-directory-at", "/free", "d"),
        ("ok", "rename-at", "/free", "l", "/free", "d/l"),
        (A, "rename-at", "/free", "d", "/data", "pub/d")),
    "a second name for what may not be read": (
        (A, "link-at", "/data", 0, "secret/key.txt", "/data", "pub/k"),
        (A, "link-at", "/data", 0, "drop/e.txt", "/data", "pub/k"),
        (A, "link-at", "/data", 0, "pub/hidden/h.txt", "/data", "pub/k")),
    "a second name to write what may be read": (
        (A, "link-at", "/data", 0, "ro/c.txt", "/data", "pub/k"), OPENED,
        (A, "link-at", "/data", 0, "ro/c.txt", "pub", "k")),
    "a second name through a link": (
        (A, "link-at", "/data", FOLLOW, "pub/a.txt", "/data", "pub/k"),),
    "moved to where more is allowed": (
        (A, "rename-at", "/data", "drop/e.txt", "/data", "pub/e"),
        (A, "rename-at", "/data", "ro/c.txt", "/data", "pub/c"),
        (A, "rename-at", "/data", "secret/key.txt", "/data", "pub/k")),
    "moved over what may not be written": (
        (A, "rename-at", "/data", "pub/a.txt", "/data", "ro/c.txt"),
        (A, "rename-at", "/data", "pub/a.txt", "/data", "secret/key.txt")),
    "a directory moved with what is denied in it": (
        ("ok", "create-directory-at", "/data", "pub/n"),
        (A, "rename-at", "/data", "pub", "/data", "pub/n/p"),
        (A, "rename-at", "/data", "pub/hidden", "/data", "pub/shown"),
        (A, "rename-at", "/data", "pub/dir", "/data", "pub/hidden/dir"),
        (A, "rename-at", "/data", "pub/dir", "/data", "drop/dir")),
    "a descriptor that nobody opened": (
        (A, "stat-at", "/data", 0, "secret"), ("f", "open-at", "/data", 0, "pub/a.txt", 0, READ),
        ("ok", "drop", "f"), ("g", "open-at", "/data", 0, "drop/e.txt", 0, WRITE),
        (A, "read", "g", 5, 0), (A, "stat", "g")),
    "below a file": (
        ("f", "open-at", "/data", 0, "old.log", 0, READ), (A, "open-at", "f", 0, "x", 0, READ),
        (A, "open-at", "f", 0, "../secret/key.txt", 0, READ)),
    "a directory called like a file": (
        ("d", "open-at", "/data", 0, "ro.log", DIRECTORY, READ),
        (A, "open-at", "d", 0, "f.txt", 0, READ),
        (A, "open-at", "/data", 0, "ro.log/f.txt", 0, READ)),
}  # fmt: skip
WIDE: Mapping[str, Sequence[Step]] = {
    "denied in any case and form": (
        (A, "open-at", "/data", 0, "SECRET/KEY.TXT", 0, READ),
        (A, "open-at", "/data", 0, "ſecret/key.txt", 0, READ),
        (A, "open-at", "/data", 0, "seCret", DIRECTORY, READ),
        (A, "open-at", "/data", 0, "straße", 0, READ),
        (A, "open-at", "/data", 0, "STRASSE", 0, READ),
        (A, "open-at", "/data", 0, "strasſe", 0, READ),
        (A, "open-at", "/data", 0, "RO/c.txt", 0, WRITE)),
    "to carry it off": (
        (A, "rename-at", "/data", ".", "/free", "d"),
        (A, "rename-at", "/data", "ro", "/data", "rw"),
        (A, "rename-at", "/data", "secret", "/data", "s"),
        (A, "link-at", "/data", 0, "Secret/key.txt", "/data", "k"),
        (A, "symlink-at", "/data", "secret/key.txt", "l"),
        (A, "stat-at", "/data", 0, "pub/../old.log")),
    "what is not named": (
        ("ok", "stat-at", "/data", 0, "old.log"),
        ("ok", "open-at", "/data", 0, "größe", CREATE, WRITE),
        ("ok", "rename-at", "/data", "pub", "/data", "pub2"),
        ("ok", "open-at", "/free", 0, "a", CREATE, WRITE), ("ok", "symlink-at", "/free", "a", "l")),
}  # fmt: skip


@pytest.mark.parametrize("steps", ALLOWED.values(), ids=ALLOWED)
def test_what_is_allowed(steps: Sequence[Step], guests: Mapping[str, bytes], tree: Path) -> None:
    run(files(guests[RULES], tree), steps)


@pytest.mark.parametrize("steps", ATTACKS.values(), ids=ATTACKS)
def test_attacks(steps: Sequence[Step], guests: Mapping[str, bytes], tree: Path) -> None:
    run(files(guests[RULES], tree), steps)
    assert {n: (tree / n).read_text("utf-8") for n in TREE} == {n: f"this was {n}" for n in TREE}
    assert not [
        p for p in tree.rglob("*") if p.is_symlink() or p.stat().st_nlink > 1 and p.is_file()
    ]


@pytest.mark.parametrize("steps", WIDE.values(), ids=WIDE)
def test_deny_lists(steps: Sequence[Step], guests: Mapping[str, bytes], tree: Path) -> None:
    run(files(guests[OPEN], tree), steps)


@pytest.mark.parametrize(
    "name", ("up and down again", "slashes and dots", "longer than a text can be")
)
def test_utf16(name: str, guests: Mapping[str, bytes], tree: Path) -> None:
    wasm = guests[RULES + "string-encoding=utf16"]
    run(files(wasm, tree), ATTACKS[name])
    run(files(wasm, tree), ALLOWED["names in other spellings"])


# --- the gate and the guard agree ----------------------------------------------------------------

WORDS = ("data", "pub", "hidden", "a.txt", "a", "b", "x.log", "Straße", "é", "日本", "")
GLOBS = ("*", "**", "?", "a*", "*.txt", "?.log", "pub", "data", "hidden", "a**b", "STRASSE", "É",
         "\\\\*", "ss", "日?", "İx", "ŉ")  # fmt: skip
STRANGE = ("HIDDEN", "hıdden", "straSSe", "straẞe", "e\u0301", "E\u0301", "日本", "*", "ß",
           "i\u0307x", "İX", "ʼn", "ŉ", "sſ", "ſs", "日か\u3099")  # fmt: skip


def bits(section: Section[StorageLine], name: str) -> int:
    """What the gate says of a name."""
    found = 0
    for bit, access in ((1, "read"), (2, "write")):
        word: Access = "read" if access == "read" else "write"
        denied = any(line.denies(name, word) for line in section.deny)
        allow = section.allow
        allowed = allow is None or any(line.covers(name, word) for line in allow)
        found |= bit if allowed and not denied else 0
    return found


def guard_bits(section: Section[StorageLine], name: str) -> int:
    if section.deny and not set(RARE).isdisjoint(name):
        return 0
    found = 0 if section.allow is not None else 3
    for bit, access in ((1, "read"), (2, "write")):
        for given, deny in ((section.allow or (), False), (section.deny, True)):
            lines = [line for line in given if access in line.access]
            if any(table_of(one).matches(name) for one in patterns(lines, "at", deny)):
                found = found & ~bit if deny else found | bit
    return found


def random_section(rng: random.Random, folder: Path) -> Section[StorageLine]:
    def line() -> str:
        uri = "/".join(rng.choice(GLOBS) for _ in range(rng.randint(1, 3)))
        access = rng.choice(("[read]", "[write]", "[read, write]"))
        return f"{{ uri: 'fs:///{uri}', access: {access} }}"

    return section_of(folder, "\n".join(
        f"{word}: [{', '.join(line() for _ in range(rng.randint(1, 3)))}]"
        for word in rng.choice((("allow",), ("deny",), ("allow", "deny")))))  # fmt: skip


def test_patterns_mean_what_they_mean_to_the_gate(tmp_path: Path) -> None:
    rng = random.Random(16)
    seen = set()
    for _ in range(40):
        section = random_section(rng, tmp_path)
        for _ in range(60):
            parts = [rng.choice(WORDS + STRANGE) for _ in range(rng.randint(0, 3))]
            name = normal_path("/", "/".join(parts))
            gate, guard = bits(section, name), guard_bits(section, name)
            assert guard & ~gate == 0, (section, name)
            assert guard == gate or not name.isascii() and section.deny, (section, name)
            seen.add((gate, guard == gate))
    assert len(seen) > 6


@pytest.mark.parametrize("rules", (RULES, OPEN))
def test_what_is_below(rules: str, tmp_path: Path) -> None:
    """Of all and some of what is below a name: as what is there, but where it cannot be told."""
    section = section_of(tmp_path, rules)
    words = ("data", "free", "pub", "hidden", "x", "y.log", "ro", "secret", "drop")
    ends = ["/" + "/".join(parts) for n in (1, 2, 3) for parts in product(words, repeat=n)]
    for name in (
        "/",
        "/data",
        "/data/pub",
        "/data/pub/x",
        "/data/pub/hidden",
        "/data/ro",
        "/free",
        "/data/x",
        "/data/y.log",
        "/data/secret",
        "/data/secret/x",
        "/data/drop/x",
    ):
        below = [bits(section, name.rstrip("/") + end) for end in ends]
        for bit, access in ((1, "read"), (2, "write")):
            allow = [line for line in section.allow or () if access in line.access]
            deny = [line for line in section.deny if access in line.access]

            def fits(lines: Sequence[StorageLine], reach: Reach, of: bool) -> bool:
                return any(table_of(p).matches(name) for p in patterns(lines, reach, of))  # noqa: B023

            every = (section.allow is None or fits(allow, "whole", False)) and not fits(
                deny, "below", True)  # fmt: skip
            some = (section.allow is None or fits(allow, "below", False)) and not fits(
                deny, "whole", True)  # fmt: skip
            assert every == all(one & bit for one in below), (name, access)
            assert some == any(one & bit for one in below), (name, access)


def test_characters_that_fold_to_ascii_alone() -> None:
    found = [chr(at) for at in range(0x80, 0x10000) if not 0xD800 <= at < 0xE000
             if folded(chr(at)).isascii()]  # fmt: skip
    assert set(found) == {*RARE, "ß", "ẞ"}


def test_many_lines_and_too_much_of_one(tmp_path: Path) -> None:
    lines = [f'{{ uri: "fs:///data/{n:03}/*/{n * n}**", access: [read] }}' for n in range(60)]
    section = section_of(tmp_path, f"allow: [{', '.join(lines)}]")
    assert 1 < len(patterns(section.allow or (), "at", False)) < 10
    for n in (0, 7, 59):
        assert guard_bits(section, f"/data/{n:03}/x/{n * n}y/z") == 1
    section = section_of(tmp_path, f'deny: [{{ uri: "fs:///{"x" * 2000}", access: [read] }}]')
    with pytest.raises(UsageError, match="is too much for enforce: this takes more than 1000"):
        patterns(section.deny, "at", True)


# --- attacks -------------------------------------------------------------------------------------


def run(guest: Files, steps: Sequence[Step]) -> None:
    handles: dict[object, int] = dict(guest.roots)
    for number, (expected, method, base, *args) in enumerate(steps):
        assert isinstance(method, str)
        if method == "drop":
            guest.call("drop", handles.pop(base))
            continue
        rest = [handles.get(one, one) if isinstance(one, str) else one for one in args]
        found = guest(method, handles[base], *rest)
        if isinstance(found, int):
            handles[expected] = found
        assert (found if isinstance(found, str) else "ok") == (
            expected if expected in ("ok", "access", "no-entry") else "ok"
        ), (number, method, args)


def test_a_name_that_the_answer_overwrites(tmp_path: Path, tree: Path) -> None:
    """The result lies where the name lay: what was judged counts, not what is there afterwards."""
    rules = """allow: [{ uri: "fs:///data/*", access: [read] },
      { uri: "fs:///data/a/**", access: [read, write] }]"""
    guard = guarded(files_guest(), "files", policy(tmp_path, rules), "deny", "none")
    guest = files(b"".join(guard.woven.inner.pieces), tree)
    for name in "ar":
        (tree / name).mkdir()
    while guest("open-at", guest.roots["/data"], 0, "old.log", 0, READ) != ord("a") - 1:
        pass
    assert guest.call("overlaid", guest.roots["/data"], ord("r"), READ) == ord("a")
    assert guest("open-at", ord("a"), 0, "x", CREATE, WRITE) == "access"
    assert list((tree / "r").iterdir()) == []


def test_names_of_directories_that_the_program_overwrites(tmp_path: Path, tree: Path) -> None:
    """The host asks the program where each name is to be: all at one place, the last one counts."""
    guard = guarded(files_guest(overlaid=True), "files", policy(tmp_path, RULES), "deny", "none")
    guest = files(b"".join(guard.woven.inner.pieces), tree)
    assert guest("stat-at", guest.roots["/data"], 0, "secret/key.txt") == "access"
    assert guest("symlink-at", guest.roots["/data"], "secret", "pub/l") == "access"
    assert guest("stat-at", guest.roots["/data"], 0, "pub/a.txt") == 0
    assert guest("open-at", guest.roots["/free"], 0, "a", CREATE, WRITE) != "access"


@pytest.mark.parametrize("encoding", ("", "utf16", "latin1+utf16"))
def test_names_of_directories_come_to_the_program(encoding: str, tmp_path: Path) -> None:
    """As the host gave them, whatever they are encoded in."""
    option = f"string-encoding={encoding}" if encoding else ""
    wasm = files_guest(option)
    guard = guarded(wasm, "files", policy(tmp_path, RULES), "deny", "none")
    names = ("/data", "/dätä/日本", "", "/é")
    for component in (wasm, b"".join(guard.woven.inner.pieces)):
        guest = Files(component, dict.fromkeys(names, tmp_path))
        for index, name in enumerate(names):
            length = guest.call("name-length", index)
            wide = encoding == "utf16" or bool(length >> 31)
            size = (length & 0x7FFFFFFF) << wide
            raw = bytes(guest.call("name-byte", index, at) for at in range(size))
            codec = "utf-16-le" if wide else "latin-1" if encoding else "utf-8"
            assert raw.decode(codec) == name


def test_directories_of_no_name(guests: Mapping[str, bytes], tree: Path) -> None:
    """What a host calls its directories so that nobody can tell is nothing to go by."""
    for name in ("/data/pub/..", "pub\\..", "../data/pub"):
        guest = Files(guests[RULES], {name: tree})
        run(guest, [(A, "stat-at", name, 0, "pub/a.txt"), (A, "read-directory", name)])
    for name in ("data", "/data/./", "/data/"):
        run(Files(guests[RULES], {name: tree}), [("ok", "stat-at", name, 0, "pub/a.txt")])


def test_paths_that_need_no_second_look() -> None:
    """All short texts of what matters: the quick pattern is for those whose parts are names."""
    quick = {of: table_of(f"^{of}(/{of})*$") for of in (_SIMPLE, _ASCII, _PART)}
    for size in range(5):
        for letters in product("./a\\\0[]-é\x01", repeat=size):
            text = "".join(letters)
            names = not {"", ".", ".."} & set(text.split("/"))
            one_system = names and not {"\\", "\0"} & set(text)
            found = [quick[of].matches(text) for of in (_PART, _SIMPLE, _ASCII)]
            assert found == [names, one_system, one_system and text.isascii()], text


# --- guests --------------------------------------------------------------------------------------

NOTES = """allow: [{ uri: "fs:///data", access: [read] },
  { uri: "fs:///data/*.txt", access: [read, write] }]"""
TYPES = "wasi:filesystem/types@0.2.0"


def test_c_sees_the_error_of_the_interface(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rules = policy(tmp_path, NOTES)
    after = held(path_of("c_command").read_bytes(), rules, directory=tmp_path / "data")
    assert b"file: note.txt, 5 bytes: hello" in after.stdout
    assert b"open failed with code 0\n" in after.stdout  # access
    assert b"unlink failed with code 0\n" in after.stdout
    assert (after.status, after.trap) == (1, "")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["note.txt"]
    why = "policy.yaml:4: permissions.storage"
    assert said(after) == [
        f"enforce: denied {TYPES}#descriptor.open-at scratch.tmp ({why})",
        f"enforce: denied {TYPES}#descriptor.unlink-file-at scratch.tmp ({why})",
    ]


def test_warn_tells_and_lets_through(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    wasm, rules = path_of("c_command").read_bytes(), policy(tmp_path, "allow: []")
    before = run_command(wasm, directory=tmp_path / "data")
    after = held(wasm, rules, mode="warn", directory=tmp_path / "data")
    assert (before.status, before.stdout) == (after.status, after.stdout)
    lines = said(after)
    assert len(lines) == 9
    assert lines[0].startswith(f"enforce: would deny {TYPES}#descriptor.open-at note.txt ")


def test_python_sees_its_own_exception(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    wasm = path_of("py_command").read_bytes()
    after = held(wasm, policy(tmp_path, NOTES), directory=tmp_path / "data")
    assert b"PermissionError: [Errno 2] Permission denied: '/data/folder'" in after.stderr
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["note.txt"]


def test_what_is_not_known_is_refused(tmp_path: Path) -> None:
    rules = policy(tmp_path, NOTES)
    with pytest.raises(UsageError, match="for files of WASI 0.2, and the component calls"):
        guarded(files_guest(version="0.3.0"), "files", rules, "deny")
    text = """(component
      (import "wasi:filesystem/types@0.2.9" (instance $fs
        (export "descriptor" (type $d (sub resource)))
        (export "[method]descriptor.swallow" (func (param "self" (borrow $d))))))
      (core func $f (canon lower (func $fs "[method]descriptor.swallow")))
      (core module $m (import "" "f" (func $f (param i32))))
      (core instance (instantiate $m (with "" (instance (export "f" (func $f)))))))"""
    with pytest.raises(UsageError, match="0.2.9#descriptor.swallow does to files is not known"):
        guarded(wat2wasm(text), "files", rules, "deny")
