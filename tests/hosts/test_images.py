"""What hosts make of images, and what the gate says of the same."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hosts.manifest_cases import COMPONENTS, HTTP, RELEASES, Case
from tests.hosts.operator import Host, request_of, wash_host
from tests.hosts.test_manifests import PROGRAMS
from tests.registry.fake import INDEX, Image, descriptor, index
from tests.registry.server import MANIFEST, Images, serving
from whamm_cm.cli.main import main

DOCS = Path(__file__).parents[2] / "docs" / "manifest.md"
#: One that hosts start, and one that they refuse, for it imports what nobody has.
GOOD, DENIED = COMPONENTS["http"], COMPONENTS["strange"]
POLICY = "version: 1\nimports: {deny: ['acme:*']}\nrules: {WCM020: 'off'}\n"
OLD_LAYER = "application/vnd.module.wasm.content.layer.v1+wasm"
OLD_CONFIG, NO_CONFIG = "application/vnd.wasm.config.v1+json", "application/vnd.oci.empty.v1+json"
WASM = {"architecture": "wasm", "os": "wasip2"}
NATIVE = [
    {"architecture": chip, "os": system}
    for chip in ("amd64", "arm64")
    for system in ("linux", "darwin")
]

Put = Callable[[Images, str], None]


def image(data: bytes = GOOD, **more: object) -> Put:
    """An image of one layer."""
    made = Image(data, **more)  # type: ignore[arg-type]

    def put(images: Images, name: str) -> None:
        images.blobs |= made.blobs
        images.put(name, made.manifest)

    return put


def several(*rows: tuple[bytes, list[dict[str, str]]]) -> Put:
    """An index: components, each for the platforms named."""

    def put(images: Images, name: str) -> None:
        entries = []
        for data, platforms in rows:
            made = Image(data)
            images.blobs |= made.blobs
            images.put(f"{name.partition(':')[0]}:", made.manifest)
            entries += [descriptor(made.manifest, MANIFEST, platform=one) for one in platforms]
        images.put(name, index(*entries), INDEX)

    return put


def both(kind: str) -> Put:
    """A document that is an image (of what is denied) and an index (of what is not) at once."""
    inner, outer = Image(GOOD), Image(DENIED)

    def put(images: Images, name: str) -> None:
        images.blobs |= inner.blobs | outer.blobs
        images.put(f"{name.partition(':')[0]}:", inner.manifest)
        entry = descriptor(inner.manifest, MANIFEST, platform=WASM)
        document = json.loads(outer.manifest) | {"mediaType": kind, "manifests": [entry]}
        images.put(name, json.dumps(document).encode(), kind)

    return put


STARTED, REFUSED, DENIED_ONE = "starts", "refuses", "the denied one"
#: What it is, how it is made, what hosts do with it, and what the gate says: a rule, or "3" for
#: what it does not judge.
CASES: dict[str, tuple[Put, str, str]] = {
    "one layer of `application/wasm`": (image(), STARTED, ""),
    "one layer of the older type": (image(layer_type=OLD_LAYER), STARTED, "WCM204"),
    "one layer and a config of older types": (
        image(layer_type=OLD_LAYER, config_type=OLD_CONFIG), STARTED, "WCM204"),
    "an empty config": (image(config_type=NO_CONFIG), STARTED, ""),
    "a layer of no type": (image(layer_type="application/octet-stream"), REFUSED, "3"),
    "a config that claims other imports": (
        image(claims={"component": {"imports": ["acme:other/x"]}}), STARTED, "WCM201"),
    "a config that claims other exports": (
        image(claims={"component": {"exports": ["acme:other/x"]}}), STARTED, "WCM202"),
    "a config of another layer": (
        image(claims={"layerDigests": ["sha256:" + "0" * 64]}), STARTED, "WCM203"),
    "an index, wasm alone": (several((GOOD, [WASM])), REFUSED, ""),
    "an index, the denied one for the host's platform": (
        several((GOOD, [WASM]), (DENIED, NATIVE)), DENIED_ONE, "WCM010"),
    "an index, the denied one for wasm": (
        several((DENIED, [WASM]), (GOOD, NATIVE)), STARTED, "WCM010"),
    "image and index at once, called an image": (both(MANIFEST), DENIED_ONE, "3"),
    "image and index at once, called an index": (both(INDEX), DENIED_ONE, "3"),
}  # fmt: skip
NAMES = {what: f"app{number}:1" for number, what in enumerate(CASES)}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    images = Images()
    for what, (put, _, _) in CASES.items():
        put(images, NAMES[what])
    with serving(images) as found:
        yield found


@pytest.fixture(scope="module", params=RELEASES)
def host(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Host]]:
    with wash_host(tmp_path_factory.mktemp("host"), PROGRAMS[request.param][0]) as found:
        yield request.param, found


@pytest.mark.parametrize("what", CASES)
def test_hosts_do_what_the_table_says(host: tuple[str, Host], address: str, what: str) -> None:
    release, found = host
    manifest = Case(what, "http", (HTTP,)).manifest
    images = {"app": f"{address}/{NAMES[what]}"}
    name, fault = found.start(request_of(manifest, images, PROGRAMS[release][1]))
    if not fault:
        found.stop(name)
    of_it = DENIED_ONE if "acme:t/calls" in fault else REFUSED
    assert (of_it if fault else STARTED) == CASES[what][1], fault


@pytest.mark.parametrize("what", CASES)
def test_the_gate_says_the_same(
    address: str, what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(POLICY)
    _, does, said = CASES[what]
    status = main(["gate", "--policy", str(policy), f"oci://{address}/{NAMES[what]}"])
    shown = capsys.readouterr()
    found = set(re.findall(r"WCM\d+", shown.out))
    if said == "3":
        assert status == 3 and not found and shown.err.count("\n") <= 2
    else:
        assert found == ({said} if said else set())
        assert status == (said not in ("", "WCM204"))
    assert does != DENIED_ONE or status, "a host runs what the gate lets through"


def test_the_page_has_the_table() -> None:
    _, _, part = DOCS.read_text().partition("### What hosts make of images\n")
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.*?) \|$", part, re.M)[1:]
    told = {"3": "not judged, exit code 3", "": ""}
    assert rows == [
        (what, does, told.get(said, f"`{said}`")) for what, (_, does, said) in CASES.items()
    ]
