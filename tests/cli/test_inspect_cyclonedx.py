"""Bills of materials: sound by the library's own schema, and of the very parts."""

from __future__ import annotations

import builtins
import hashlib
import json
import re
import sys
import zlib
from pathlib import Path

import pytest
import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.build import build
from whamm_cm.cli.main import main
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.auditable import MAX_SIZE, Package, read_packages

pytest.importorskip("cyclonedx", reason="needs the extra sbom")

FIXTURES = ("strings", "resources", "nested")


@pytest.fixture(autouse=True)
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


def bill(path: Path, capsys: pytest.CaptureFixture[str]) -> dict:
    assert main(["inspect", "-f", "cyclonedx", str(path)]) == 0
    text = capsys.readouterr().out
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return json.loads(text)


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "app.wasm"
    path.write_bytes(data)
    return path


def properties(entry: dict) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in entry["properties"]:
        found.setdefault(one["name"].removeprefix("whamm-cm:"), []).append(one["value"])
    return found


def digest(entry: dict) -> str:
    (one,) = entry["hashes"]
    assert one["alg"] == "SHA-256"
    return one["content"]


@pytest.mark.parametrize("name", FIXTURES)
def test_every_part_by_its_hash(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = build(name)
    found = bill(written(tmp_path, data), capsys)
    root = found["metadata"]["component"]
    assert digest(root) == hashlib.sha256(data).hexdigest() and root["name"] == "app.wasm"
    for entry in found["components"]:
        size = int(properties(entry)["size"][0])
        # Somewhere in the file there are those bytes.
        starts = [found.start() for found in re.finditer(b"\0asm", data)]
        hashes = {hashlib.sha256(data[at : at + size]).hexdigest() for at in starts}
        assert digest(entry) in hashes
    paths = {entry["bom-ref"] for entry in found["components"]}
    linked = {ref for one in found["dependencies"] for ref in one.get("dependsOn", ())}
    assert linked == paths


def test_the_same_component_makes_the_same_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, build("strings"))
    first = bill(path, capsys)
    assert bill(path, capsys) == first and "timestamp" not in first["metadata"]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    assert bill(path, capsys)["metadata"]["timestamp"].startswith("2026-01-01T00:00:00")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "now")
    assert main(["inspect", "-f", "cyclonedx", str(path)]) == 2


def custom(name: str, content: bytes) -> bytes:
    body = bytes((len(name),)) + name.encode() + content
    size, out = len(body), b""
    while size >= 0x80:
        out += bytes((size & 0x7F | 0x80,))
        size >>= 7
    return b"\0" + out + bytes((size,)) + body


def packed(*rows: dict, **more: object) -> bytes:
    return zlib.compress(json.dumps({"packages": rows, **more}).encode())


CRATES = packed(
    {"name": "app", "version": "0.1.0", "source": "local", "dependencies": [1, 2], "root": True},
    {"name": "serde", "version": "1.0.200", "source": "crates.io", "dependencies": [3]},
    {"name": "cc", "version": "1.1.0", "source": "crates.io", "kind": "build"},
    {"name": "itoa", "version": "1.0.11", "source": "crates.io"},
    format=1,
)


def with_crates(content: bytes, where: str) -> bytes:
    module = bytes(wasmtime.wat2wasm("(module)"))
    producers = custom("producers", b"\x01\x08language\x01\x04Rust\x061.80.0")
    inner = module + producers + (custom(".dep-v0", content) if where == "module" else b"")
    whole = b"\0asm\x0d\0\1\0\x01" + bytes((len(inner) & 0x7F | 0x80, len(inner) >> 7)) + inner
    return whole + (custom(".dep-v0", content) if where == "component" else b"")


@pytest.mark.parametrize("where", ["module", "component"])
def test_crates_that_are_compiled_in(
    where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = bill(written(tmp_path, with_crates(CRATES, where)), capsys)
    by_name = {entry["name"]: entry for entry in found["components"]}
    assert by_name["serde"]["purl"] == "pkg:cargo/serde@1.0.200"
    assert by_name["cc"]["scope"] == "excluded" and "purl" not in by_name["app"]
    assert properties(by_name["module[0]"])["language"] == ["Rust 1.80.0"]
    edges = {one["ref"]: one.get("dependsOn", []) for one in found["dependencies"]}
    owner = "module[0]" if where == "module" else "root"
    refs = {name: entry["bom-ref"] for name, entry in by_name.items()}
    assert refs["app"] in edges[owner] and refs["serde"] not in edges[owner]
    assert set(edges[refs["app"]]) == {refs["serde"], refs["cc"]}
    assert edges[refs["serde"]] == [refs["itoa"]]


DAMAGED = {
    "nothing": (b"", "is no list of packages"),
    "not compressed": (b"hello", "is not compressed as it should be"),
    "cut": (CRATES[:-9], "is no list of packages"),
    "more behind": (CRATES + b"x", "is no list of packages"),
    "no JSON": (zlib.compress(b"[" * 90_000), "is no list of packages"),
    "no object": (zlib.compress(b"[]"), "is no list of packages"),
    "no list": (zlib.compress(b'{"packages": 3}'), "is no list of packages"),
    "a bomb": (zlib.compress(b" " * (MAX_SIZE + 1)), "unpacks to more than 8,388,608 bytes"),
    "too many": (packed(*[{}] * 20_001), "has more than 20,000 packages"),
    "a row of nothing": (packed({}), "has a package without a name"),
    "a version of a number": (packed({"name": "a", "version": 1, "source": "b"}), "has a package"),
    "an edge out of bounds": (
        packed({"name": "a", "version": "1", "source": "b", "dependencies": [1]}), "has a package",
    ),
    "an edge of true": (
        packed({"name": "a", "version": "1", "source": "b", "dependencies": [False]}),
        "has a package",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_section_is_said(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, said = DAMAGED[name]
    found = bill(written(tmp_path, with_crates(content, "component")), capsys)
    faults = properties(found["metadata"]["component"])["fault"]
    assert any(f"its .dep-v0 section {said}" in fault for fault in faults)


@settings(max_examples=300)
@given(st.binary(max_size=60), st.integers(0, len(CRATES) - 1), st.integers(0, 255))
def test_whatever_is_in_it(noise: bytes, at: int, byte: int) -> None:
    for data in (noise, zlib.compress(noise), CRATES[:at] + bytes((byte,)) + CRATES[at + 1 :]):
        try:
            found = read_packages(data, 0, "")
        except DecodeError as error:
            assert ".dep-v0" in str(error)
        else:
            assert all(isinstance(one, Package) for one in found)


def test_names_that_no_registry_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"name": name, "version": "1", "source": "crates.io"}
            for name in ("a/b", "@", "ü", "\u202e", " ", "%00", "a\nb")]  # fmt: skip
    found = bill(written(tmp_path, with_crates(packed(*rows), "module")), capsys)
    assert len(found["components"]) == 1 + len(rows)


def test_without_the_library_it_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: object) -> object:
        if name.startswith("cyclonedx"):
            raise ImportError(name, name=name)
        return real(name, *rest)  # type: ignore[arg-type]

    monkeypatch.delitem(sys.modules, "whamm_cm.cli.inspect_cyclonedx", raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    path = written(tmp_path, with_crates(CRATES, "module"))
    assert main(["inspect", "-f", "cyclonedx", str(path)]) == 2
    assert "pip install 'whamm-cm[sbom]'" in capsys.readouterr().err


def test_it_goes_with_no_other_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "-f", "cyclonedx", "--json", "x.wasm"]) == 2
    assert "not allowed with argument --format" in capsys.readouterr().err
