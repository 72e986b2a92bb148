"""Each way round the gate that was ever found, in variants by chance.

``WHAMM_EXAMPLES=20`` runs 500 of each kind.  Names, patterns, merging and addresses have
theirs beside their tables (``test_names``, ``test_meaning``, ``test_merging``, ``test_hosts``),
reachability in ``tests/weave/test_reach_sound.py``, globs in ``tests/wit/test_glob.py``.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import random
from pathlib import Path

import pytest
import wasmtime

from tests.gate.binaries import HEAD, stripped
from tests.gate.making import TODAY, call, component, judge, policy, rules
from tests.gate.test_evidence import suggested
from tests.registry.fake import INDEX, MANIFEST, descriptor, sha256
from whamm_cm.cli.hook import arguments
from whamm_cm.cli.main import main, parser
from whamm_cm.errors import InputError, UsageError
from whamm_cm.gate.baseline import baseline, read_baseline
from whamm_cm.gate.batch import Job, subject
from whamm_cm.gate.engine import Engine
from whamm_cm.gate.evidence import gather
from whamm_cm.gate.model import Location
from whamm_cm.gate.patterns import parsed
from whamm_cm.gate.policy import Policy
from whamm_cm.gate.policy_read import PROFILES, profile, read_policy
from whamm_cm.gate.rules import PARAMETERS
from whamm_cm.gate.subject import analyse
from whamm_cm.registry.pull import pull_all
from whamm_cm.wasm.leb import unsigned

FACTOR = float(os.environ.get("WHAMM_EXAMPLES", "1"))
GOOD = bytes(component({"wasi:io/poll@0.2.3": ("poll",)}))
EVIL = bytes(component({"wasi:sockets/tcp@0.2.3": ("bind",)}))
DENY = "imports: {deny: ['wasi:sockets/*']}"


def seeds(number: int) -> range:
    return range(max(1, int(number * FACTOR)))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "DOCKER_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path / "work"


# versions


def links(wanted: str, has: str) -> bool:
    """As hosts match versions: equal, or releases of one track.  Written down anew, from the
    documentation of the linker, to compare with."""

    def track(text: str) -> tuple[str, ...] | None:
        text = text.partition("+")[0]
        if "-" in text:
            return None
        major, minor, patch = text.split(".")
        return (major,) if major != "0" else ("0", minor) if minor != "0" else ("0", "0", patch)

    return wanted == has or (track(wanted) is not None and track(wanted) == track(has))


def release(chance: random.Random) -> str:
    numbers = ".".join(str(chance.choice((0, 0, 1, 2, 2, 3, 10))) for _ in range(3))
    pre = chance.choice(("", "", "", "-rc.1", "-rc-2023-11-10", "-draft"))
    return numbers + pre + chance.choice(("", "", "", "+build.7"))


@pytest.mark.parametrize("seed", seeds(25))
def test_versions(seed: int) -> None:
    """What a host that has the denied version would link is denied, and what is allowed is what
    such a host would link."""
    chance = random.Random(seed)
    for _ in range(20):
        here, said = release(chance), release(chance)
        line = parsed(f"wasi:sockets/*@{said}", Location("p", 1, 1))
        name = ("wasi:sockets/tcp", here, "bind")
        if links(here, said):
            assert line.denies(*name), (here, said)
        if line.allows(*name):
            assert links(here, said) and line.denies(*name), (here, said)
        assert line.denies("wasi:sockets/tcp", None, "bind")


PIECES = ("wasi", ":", "io", "/", "poll", "*", "?", "[!A-Z]", "[a-z]", "[!a-m]*", "{io,X}", "A",
          "X9", "@0.2", "@=0.2.1", "@*", "#", "f", "r.*", "|", "[method]")  # fmt: skip


@pytest.mark.parametrize("seed", seeds(50))
def test_all_that_a_line_allows_it_denies(seed: int) -> None:
    chance = random.Random(seed)
    text = "".join(chance.choices(PIECES, k=chance.randrange(1, 9)))
    try:
        line = parsed(text, Location("p", 1, 1))
    except UsageError:
        return
    for interface, version, func in itertools.product(
        ("wasi:io/poll", "wasi:X/poll", "x:io/A", "a:b/X9", "", "wasi:io/Poll"),
        (None, "0.2.0", "0.2.1", "0.2.1-rc.1", "0.3.0", "1.2"),
        (None, "f", "F", "r.m", "X9"),
    ):
        if line.allows(interface, version, func):
            assert line.denies(interface, version, func), (text, interface, version, func)


# documents of images


def blob(found: dict[str, bytes], data: object, kind: str, chance: random.Random) -> dict:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    found[sha256(raw)] = raw
    row = descriptor(raw, kind)
    if chance.random() < 0.1:
        row["data"] = base64.b64encode(chance.choice((GOOD, EVIL))).decode()
    if chance.random() < 0.3:
        where = chance.choice((("wasm", "wasip2"), ("amd64", "linux"), ("", ""), ("wasm", "wasi")))
        row["platform"] = dict(zip(("architecture", "os"), where, strict=True))
    if chance.random() < 0.05:
        row[chance.choice(("Digest", "urls", "artifactType"))] = chance.choice(
            ([], "x", row["digest"])
        )
    return row


def document(found: dict[str, bytes], chance: random.Random, depth: int = 0) -> dict:
    """An image, an index, or something between."""
    types = (MANIFEST, MANIFEST, INDEX, "application/json")
    made: dict = {"schemaVersion": 2}
    is_index = depth < 2 and chance.random() < 0.4
    if is_index or chance.random() < 0.1:
        made["manifests"] = [
            blob(found, document(found, chance, depth + 1), chance.choice(types), chance)
            for _ in range(chance.randrange(4))
        ]
    if not is_index or chance.random() < 0.1:
        kinds = ("application/wasm", "application/wasm", "application/octet-stream",
                 "application/vnd.module.wasm.content.layer.v1+wasm")  # fmt: skip
        made["layers"] = [
            blob(found, chance.choice((GOOD, GOOD, EVIL)), chance.choice(kinds), chance)
            for _ in range(chance.choice((0, 1, 1, 1, 2)))
        ]
        made["config"] = blob(found, {}, "application/vnd.oci.empty.v1+json", chance)
    if chance.random() < 0.8:
        made["mediaType"] = INDEX if is_index else MANIFEST
    if chance.random() < 0.1:
        made["mediaType"] = chance.choice(types)
    if chance.random() < 0.05:
        made[chance.choice(("Layers", "MANIFESTS", "fsLayers", "subject"))] = made.get("layers", [])
    rows = list(made.items())
    chance.shuffle(rows)
    return dict(rows)


def could_run(found: dict[str, bytes], data: bytes, depth: int = 0) -> set[bytes]:
    """All that any host may take for the component: of layers, of manifests, and what is inline."""
    try:
        made = {key.lower(): value for key, value in json.loads(data).items()}
    except (ValueError, AttributeError):
        return set()
    reached: set[bytes] = set()
    for row in made.get("layers") or []:
        reached.add(found.get(row.get("digest"), b""))
        reached.add(base64.b64decode(row.get("data", "")))
    for row in made.get("manifests") or []:
        if depth < 8:
            reached |= could_run(found, found.get(row.get("digest"), b""), depth + 1)
            reached.add(base64.b64decode(row.get("data", "")))
    return {one for one in reached if one[:8] == HEAD}


@pytest.mark.parametrize("seed", seeds(25))
def test_documents_of_images(seed: int, home: Path) -> None:
    """What is not refused is judged as everything that any host may take it for."""
    chance, found = random.Random(seed), dict[str, bytes]()
    for number in range(10):
        top = blob(found, document(found, chance), chance.choice((MANIFEST, INDEX)), chance)
        folder = home / f"l{number}"
        (folder / "blobs/sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
        for digest, data in found.items():
            (folder / "blobs/sha256" / digest.removeprefix("sha256:")).write_bytes(data)
        try:
            judged = {data for data, _ in pull_all(str(folder))}
        except InputError:
            continue
        assert could_run(found, found[top["digest"]]) <= judged, json.dumps(top)


# parts that nobody looks at


def wrapped(chance: random.Random) -> bytes:
    """A component that hands its import to one inside, under other names at each level."""
    instance = '(export "bind" (func))'
    depth = chance.randrange(1, 5)
    names = [f"acme:n{level}/tcp" for level in range(depth)]
    outer = chance.choice(("wasi:sockets/tcp@0.2.3", "acme:x/y"))
    names[chance.randrange(depth)] = "wasi:sockets/tcp@0.2.0"
    # What the innermost one calls is the root's import, whatever the levels call it.
    text = """(core func $b (canon lower (func $i "bind")))
      (core module $m (import "" "b" (func $b)) (func (export "run") (call $b)))
      (core instance $c (instantiate $m (with "" (instance (export "b" (func $b))))))
      (func (export "run") (canon lift (core func $c "run")))"""
    for name in reversed(names):
        give = chance.choice(("(instance $i)", '(instance (export "bind" (func $i "bind")))'))
        text = f"""(component $in (import "{name}" (instance $i {instance})) {text})
          (instance $made (instantiate $in (with "{name}" {give})))
          (export "run" (func $made "run"))"""
    return wasmtime.wat2wasm(f'(component (import "{outer}" (instance $i {instance})) {text})')


@pytest.mark.parametrize("seed", seeds(25))
def test_components_inside(seed: int) -> None:
    assert judge(wrapped(random.Random(seed)), DENY).verdict == "fail"


LETTERS = ("a", ".", "B", "-", "=", "[", "*", " ", "é", "wasm", "vendor", "--", "{", "\\")


@pytest.mark.parametrize("seed", seeds(25))
def test_directories(seed: int, home: Path) -> None:
    """Wherever it lies: deep, hidden, linked, called anything, beside or in an image layout."""
    chance = random.Random(seed)
    (home / "p.yaml").write_text(f"version: 1\n{DENY}\n")
    for number in range(3):
        top = home / f"d{number}"
        top.mkdir()
        (top / "good.wasm").write_bytes(GOOD)
        parts = ["".join(chance.choices(LETTERS, k=3)).strip("./ ") or "x" for _ in range(3)]
        folder = top.joinpath(*parts[: chance.randrange(3)])
        folder.mkdir(parents=True, exist_ok=True)
        if chance.random() < 0.3:
            (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
            (folder / "index.json").write_text('{"schemaVersion": 2, "manifests": []}')
        place = folder / (parts[2] + chance.choice((".wasm", ".WASM", ".Wasm", "", ".bin", ".txt")))
        target = home / f"t{number}" if chance.random() < 0.4 else place
        target.write_bytes(EVIL)
        if target != place and chance.random() < 0.5:
            os.symlink(os.path.relpath(target, place.parent), place)
        elif target != place:
            (home / f"f{number}").mkdir()
            target.rename(home / f"f{number}/e")
            os.symlink(home / f"f{number}", place)
        code = main(["-q", "gate", str(top), "--policy", "p.yaml", "--no-cache"])
        assert code in (1, 3), place


# evidence

POLL = "wasi:io/poll#poll"
BIND = "wasi:sockets/tcp#bind"
BOTH = component({"wasi:io/poll@0.2.3": ("poll",), "wasi:sockets/tcp@0.2.3": ("bind",)})


@pytest.mark.parametrize("seed", seeds(25))
def test_logs_lift_nothing_that_they_cannot_vouch_for(seed: int) -> None:
    """By ``observed`` only whole logs that no guest could write take anything away."""
    chance = random.Random(seed)
    records: list[dict] = []
    bound = chance.random() < 0.3
    for number in range(chance.randrange(1, 6)):
        records += call(number, POLL, None, version="0.2.3")
    if bound:
        records += call(99, BIND, None, version="0.2.3")
    lost = chance.choice(
        (None, None, {"phase": "dropped", "instance": 1, "count": 3},
         {"v": 2, "phase": "lost", "lost": chance.choice((1, "unknown")), "why": "buffer"})
    )  # fmt: skip
    if lost is not None:
        records.insert(chance.randrange(len(records) + 1), lost)
    vouched = chance.random() < 0.5
    evidence = gather(records, vouched=vouched)
    found = analyse(BOTH, "app", evidence.observed)
    engine = Engine(policy(f"judge: observed\n{DENY}"), TODAY)
    context = engine.context(
        "app", "app", subject=found.subject, evidence=evidence, strangers=found.strangers
    )
    said = {one.rule for one in engine.judge(context).findings}
    lifts = vouched and lost is None and not bound
    assert ("WCM010" not in said) is lifts


@pytest.mark.parametrize("seed", seeds(25))
def test_what_a_guest_writes_is_no_pattern(seed: int) -> None:
    """A policy made of a log allows the very path and host, and nothing beside them."""
    chance = random.Random(seed)
    name = "".join(
        chance.choices(
            ("a", "*", "**", "?", "[a]", "{b,c}", "!", '"', "\\", "'", "é", "#", ":", "-"), k=4
        )
    )
    given = {"path-flags": [], "path": name, "open-flags": [], "flags": ["read"]}
    opened = call(1, "wasi:filesystem/types#descriptor.open-at", {"ok": 9}, version="0.2.3", self=3,
                  args=given)  # fmt: skip
    folders = call(2, "wasi:filesystem/preopens#get-directories", [[3, "/data"]], version="0.2.3")
    text = suggested(*folders, *opened)
    (home_file := Path("s.yaml")).write_text(text)
    storage = read_policy(str(home_file), PARAMETERS).permissions.storage
    lines = () if storage is None or storage.allow is None else storage.allow
    for other in ("x", "aa", "a/b", "zz/y", "..", "b"):
        if other != name:
            assert not any(line.covers(f"/data/{other}", "read") for line in lines), (name, text)


# names that shadow


def linked(found: Policy) -> list[tuple[str, list[str]]]:
    return [(host.name, [line.text for line in host.links]) for host in found.hosts]


@pytest.mark.parametrize("seed", seeds(25))
def test_no_file_passes_for_a_profile(seed: int, home: Path) -> None:
    chance = random.Random(seed)
    name = chance.choice(PROFILES)
    evil = "version: 1\nimports: {default: allow, allow: ['*']}\n"
    for suffix in chance.sample(("", ".yaml", ".yml", ".json", "/policy.yaml"), k=3):
        path = home / f"{name}{suffix}"
        if not path.exists() and not path.parent.is_file():
            path.parent.mkdir(exist_ok=True)
            path.write_text(evil)
    found, built_in = read_policy(name, PARAMETERS), profile(name, PARAMETERS)
    assert linked(found) == linked(built_in) and found.imports == built_in.imports
    (home / "own.yaml").write_text(f"version: 1\nextends: [{name}]\n")
    assert linked(read_policy("own.yaml", PARAMETERS)) == linked(built_in)


@pytest.mark.parametrize("seed", seeds(25))
def test_names_of_committed_files_are_no_options(seed: int) -> None:
    chance = random.Random(seed)
    starts = ("--policy=", "-f", "--fail-on=never", "--skip=", "--", "-", "", "--baseline=", "@")
    files = [chance.choice(starts) + "x" * chance.randrange(3) + chance.choice((".wasm", ".WASM"))
             for _ in range(4)]  # fmt: skip
    options = ["--policy", "p.yaml"] if chance.random() < 0.5 else []
    parsed_ = parser().parse_args(arguments(["gate", "--hook", *options, *files]))
    assert parsed_.apps == files and parsed_.fail_on == "error" and not parsed_.skip
    assert parsed_.policy == ("p.yaml" if options else None) and parsed_.baseline is None


# the cache


@pytest.mark.parametrize("seed", seeds(25))
def test_an_edited_entry_decides_nothing(seed: int, home: Path) -> None:
    chance = random.Random(seed)
    kept = home / "kept"
    first = subject(Job("x", EVIL), kept)
    subject(Job("y", GOOD), kept)
    (entry,) = [one for one in kept.rglob("*.json") if first.sha256 in str(one)]
    (other,) = [one for one in kept.rglob("*.json") if one != entry]
    text = bytearray(entry.read_bytes())
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(text))
        text[at : at + chance.randrange(4)] = chance.randbytes(chance.randrange(4))
    entry.write_bytes(chance.choice((bytes(text), other.read_bytes(), b"", b"{}", b"null")))
    assert subject(Job("x", EVIL), kept) == first


# marks


SINKS = ("stderr", "logging", "host", "none")
WAYS = (("--trace", "*"), ("-e", "wasm:opcode:call:before { report var n: u32; n++; }"))


@pytest.fixture(scope="module")
def woven(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder, made = tmp_path_factory.mktemp("woven"), []
    (folder / "app.wasm").write_bytes(EVIL)
    for sink, way in itertools.product(SINKS, WAYS):
        out = str(folder / "out.wasm")
        given = ["instrument", "--sink", sink, *way, "-o", out, str(folder / "app.wasm")]
        assert main(["-q", *given]) == 0
        made.append(Path(out).read_bytes())
    return made


@pytest.mark.parametrize("seed", seeds(25))
def test_marks(seed: int, woven: list[bytes]) -> None:
    """Whatever sections somebody takes off, and however deep it lies."""
    chance = random.Random(seed)
    data = stripped(chance.choice(woven), lambda: chance.random() < 0.5)
    for _ in range(chance.randrange(4)):
        data = HEAD + bytes((4,)) + unsigned(len(data)) + data
    assert "WCM041" in rules(judge(data))
    assert "WCM041" not in rules(judge(stripped(EVIL, lambda: chance.random() < 0.5)))


# baselines


FUNCTIONS = ("read", "write", "stat", "sync", "seek", "link")


@pytest.mark.parametrize("seed", seeds(25))
def test_what_is_new_is_no_known_finding(seed: int) -> None:
    chance = random.Random(seed)

    def some() -> dict[str, tuple[str, ...]]:
        return {
            f"acme:fs/{name}@1.0.{chance.randrange(2)}": tuple(
                sorted(chance.sample(FUNCTIONS, chance.randrange(1, 5)))
            )
            for name in chance.sample(("types", "more", "other"), chance.randrange(1, 4))
        }

    before, after = some(), some()
    text = chance.choice(
        ("imports: {deny: ['acme:*']}", "imports: {default: deny}",
         "imports: {warn: ['*'], allow: []}",
         "imports: {deny: ['*#read', '*#{sync,seek}'], default: deny}")
    )  # fmt: skip
    known = read_baseline(baseline(judge(component(before), text)).encode(), "b")
    report = judge(component(after), text, known=known)
    new = any(
        name not in before or set(functions) - set(before[name])
        for name, functions in after.items()
    )
    if "warn" not in text:
        assert (report.verdict == "fail") is new, (before, after)
    elif new:
        assert "WCM011" in rules(report)
