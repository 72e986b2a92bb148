"""Images that two hosts can take for two things, and indexes with several things to take."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.gate.making import component
from tests.registry.fake import (
    INDEX,
    MANIFEST,
    Image,
    descriptor,
    index,
    layout,
    registry,
    sha256,
)
from whamm_cm.cli.main import main
from whamm_cm.errors import InputError
from whamm_cm.registry.pull import Timeouts, pull, pull_all

GOOD = component({"wasi:cli/stderr@0.2.3": ("get-stderr",)})
EVIL = component({"wasi:sockets/tcp@0.2.3": ("bind",)})
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def image(data: bytes = GOOD, **changes: object) -> Image:
    """An image whose manifest has ``changes``; None takes a key away."""
    one = Image(data, {"component": {}})
    document = {**json.loads(one.manifest), **changes}
    one.manifest = json.dumps({k: v for k, v in document.items() if v is not None}).encode()
    return one


def both(data: bytes = GOOD) -> dict[str, object]:
    """Keys of an index, which lead to another image."""
    return {"manifests": [descriptor(Image(data).manifest, MANIFEST)]}


def raw(text: str) -> bytes:
    """The manifest of the good image, with TEXT at its beginning."""
    return b"{" + text.encode() + b"," + image().manifest[1:]


def layer(**more: object) -> list[dict]:
    return [{**descriptor(GOOD, "application/wasm"), **more}]


B64 = base64.b64encode
#: name → (manifest, what is said of it)
AMBIGUOUS: dict[str, tuple[bytes, str]] = {
    "image and index": (image(**both()).manifest, "so it is an image and an index at once"),
    "image and index, by its mediaType an index": (
        image(**both(), mediaType=INDEX).manifest, "so it is an image and an index at once",
    ),
    "image and index, without mediaType": (
        image(**both(), mediaType=None).manifest, "so it is an image and an index at once",
    ),
    "index with a config": (
        index(descriptor(image().manifest, MANIFEST), config={}), '"config" and "manifests"',
    ),
    "index with layers of null": (
        index(descriptor(image().manifest, MANIFEST), layers=None), '"layers" and "manifests"',
    ),
    "image with manifests of null": (raw('"manifests": null'), '"layers" and "manifests"'),
    "image with an empty list of manifests": (raw('"manifests": []'), "and an index at once"),
    "image that says it is an index": (
        image(mediaType=INDEX).manifest, "is that of an index, but it is an image",
    ),
    "image that says it is a docker list": (
        image(mediaType=DOCKER_LIST).manifest, "is that of an index, but it is an image",
    ),
    "index that says it is an image": (
        index(descriptor(image().manifest, MANIFEST), mediaType=MANIFEST),
        "is that of an image, but it is an index",
    ),
    "another mediaType": (image(mediaType="text/html").manifest, "no image and no index"),
    "mediaType in another case": (
        image(mediaType=MANIFEST.upper()).manifest, "no image and no index",
    ),
    "mediaType of a number": (image(mediaType=3).manifest, '"mediaType" of the manifest is no'),
    "docker's first schema": (raw('"fsLayers": []'), 'has "fsLayers", as another kind'),
    "an artifact manifest": (raw('"blobs": []'), 'has "blobs", as another kind of document'),
    "schemaVersion 1": (image(schemaVersion=1).manifest, "is of schemaVersion 1; this reads 2"),
    "schemaVersion true": (image(schemaVersion=True).manifest, "is of schemaVersion True"),
    "schemaVersion 2.0": (image(schemaVersion=2.0).manifest, "is of schemaVersion 2.0"),
    "layers twice": (raw(f'"layers": {json.dumps(layer())}'), 'has "layers" twice'),
    "config twice": (raw('"config": {}'), 'has "config" twice'),
    "mediaType twice": (raw(f'"mediaType": "{INDEX}"'), 'has "mediaType" twice'),
    "the same key twice, deep down": (
        image().manifest.replace(b'"size"', b'"size": 1, "size"', 1), 'has "size" twice',
    ),
    "a key twice, once escaped": (raw('"layer\\u0073": []'), 'has "layers" twice'),
    "Layers": (raw('"Layers": []'), 'has "Layers", which some readers take for "layers"'),
    "MANIFESTS": (raw('"MANIFESTS": []'), 'which some readers take for "manifests"'),
    "a long s": (raw('"layer\u017f": []'), 'which some readers take for "layers"'),
    "another long s": (
        raw('"blob\u017f": []'), 'which some readers take for "blobs"',
    ),
    "DIGEST in a descriptor": (
        image(layers=layer(DIGEST=sha256(EVIL))).manifest, 'which some readers take for "digest"',
    ),
    "a byte order mark": (b"\xef\xbb\xbf" + image().manifest, "is not JSON"),
    "UTF-16": (image().manifest.decode().encode("utf-16"), "is not JSON"),
    "a surrogate": (raw('"x": "\\ud800"'), "is not JSON"),
    "NaN": (raw('"x": NaN'), "is not JSON"),
    "more behind it": (image().manifest + b"{}", "is not JSON"),
    "a layer of other data": (
        image(layers=layer(data=B64(EVIL).decode())).manifest,
        '"data" in the descriptor of a layer is not what its digest says',
    ),
    "a layer of no data": (image(layers=layer(data=None)).manifest, '"data" in the descriptor'),
    "another layer beside it": (
        image(layers=[*layer(), descriptor(b"x", "application/x-tar")]).manifest,
        "a component is one layer, and this has others beside it",
    ),
    "a layer in another case": (
        image(layers=layer(mediaType="Application/Wasm")).manifest, "so this is no component",
    ),
    "a layer with parameters": (
        image(layers=layer(mediaType="application/wasm; a=b")).manifest, "so this is no component",
    ),
    "an entry that is no object": (
        index(descriptor(image().manifest, MANIFEST), 3), "lacks a mediaType, digest or size",
    ),
    "a platform that is none": (
        index(descriptor(image().manifest, MANIFEST, platform="linux")), "lacks an os or",
    ),
    "an entry said to be an index": (
        index(descriptor(image().manifest, INDEX)), "is that of an index, but it is an image",
    ),
    "an entry said to be of docker": (
        index(descriptor(image().manifest, DOCKER)), "by the mediaType, and",
    ),
    "an entry of another type": (
        index(descriptor(image().manifest, "application/json")), "no image and no index",
    ),
}  # fmt: skip


def refusal(path: str) -> str:
    with pytest.raises(InputError) as caught:
        pull_all(path, timeouts=Timeouts(step=60, whole=60))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_what_can_be_read_in_two_ways_is_refused(name: str, tmp_path: Path) -> None:
    manifest, said = AMBIGUOUS[name]
    one = image()
    one.blobs |= {sha256(EVIL): EVIL, sha256(image().manifest): image().manifest}
    known = {"1.0": manifest, "x": image().manifest, "y": Image(GOOD).manifest}
    with registry(one, manifests=known) as found:
        for wanted in (":1.0", f"@{sha256(manifest)}"):
            assert said in refusal(f"oci://{found.where}/shop/cart{wanted}")
    one.blobs[sha256(manifest)] = manifest
    folder = layout(tmp_path / "image", one)
    assert said in refusal(f"{folder}@{sha256(manifest)}")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (INDEX, "the Content-Type of the manifest is that of an index, but it is an image"),
        (DOCKER, f"is {MANIFEST} by the mediaType, and {DOCKER} by the Content-Type"),
        ("text/html", "'text/html', which is no image and no index"),
        (f"{MANIFEST}; charset=utf-8", None),
        (MANIFEST.upper(), None),
        ("application/json", None),
        ("application/octet-stream", None),
    ],
)
def test_content_types(kind: str, said: str | None) -> None:
    one = image()

    def manner(request):
        is_manifest = "/manifests/" in request.path
        return (200, {"Content-Type": kind}, one.manifest) if is_manifest else None

    with registry(one, manner) as found:
        path = f"oci://{found.where}/shop/cart:1.0"
        if said is None:
            assert pull(path)[0] == GOOD
        else:
            assert said in refusal(path)


def platform(system: str, architecture: str) -> dict[str, object]:
    return {"platform": {"os": system, "architecture": architecture}}


def two(first: Image, second: Image, *, wasm: str = "wasip2") -> bytes:
    return index(
        descriptor(first.manifest, MANIFEST, **platform(wasm, "wasm")),
        descriptor(second.manifest, MANIFEST, **platform("linux", "amd64")),
    )


def deny(tmp_path: Path) -> str:
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1\nimports:\n  deny: ['wasi:sockets/*']\n")
    return str(path)


def test_every_manifest_of_an_index_is_judged(tmp_path: Path, capsys) -> None:
    good, evil = image(), image(EVIL)
    good.blobs |= evil.blobs
    whole = two(good, evil)
    with registry(good, manifests={"1.0": whole, "x": evil.manifest}) as found:
        path = f"oci://{found.where}/shop/cart:1.0"
        rows = pull_all(path)
        assert [(data, str(one.digest), one.platform) for data, one in rows] == [
            (GOOD, sha256(good.manifest), "wasip2/wasm"),
            (EVIL, sha256(evil.manifest), "linux/amd64"),
        ]
        argv = ["gate", "--policy", deny(tmp_path), "-f", "json", path]
        assert main(argv) == 1
    report = json.loads(capsys.readouterr().out)
    judged = {one["path"]: one for one in report["components"]}
    assert list(judged) == [f"{path}@{sha256(one.manifest)}" for one in (good, evil)]
    bad = judged[f"{path}@{sha256(evil.manifest)}"]
    assert bad["image"] == sha256(evil.manifest) and "sha256:" + bad["sha256"] == sha256(EVIL)
    assert [one["rule"] for one in bad["findings"]] == ["WCM010"]


def test_every_manifest_of_a_layout_is_judged(tmp_path: Path, capsys) -> None:
    good, evil = image(), image(EVIL)
    good.blobs |= evil.blobs
    folder = layout(tmp_path / "image", good, **{"2.0": evil.manifest})
    argv = ["gate", "--policy", deny(tmp_path), str(folder)]
    assert main(argv) == 1
    shown = capsys.readouterr().out
    assert f"image {sha256(evil.manifest)}" in shown and sha256(GOOD) in shown


def test_indexes_in_indexes(tmp_path: Path) -> None:
    good, evil = image(), image(EVIL)
    good.blobs |= evil.blobs
    inner = two(good, evil)
    outer = index(descriptor(inner, INDEX, **platform("linux", "arm64")))
    with registry(good, manifests={"1.0": outer, "x": inner, "y": evil.manifest}) as found:
        assert [data for data, _ in pull_all(f"oci://{found.where}/shop/cart:1.0")] == [GOOD, EVIL]


def test_too_many_manifests() -> None:
    rows = [descriptor(bytes([n]), MANIFEST) for n in range(70)]
    with registry(image(), manifests={"1.0": index(*rows)}) as found:
        said = refusal(f"oci://{found.where}/shop/cart:1.0")
    assert "more than 64 manifests; name one by its digest" in said


def test_one_manifest_for_two_platforms_is_one() -> None:
    one = image()
    with registry(one, manifests={"1.0": two(one, one)}) as found:
        assert pull(f"oci://{found.where}/shop/cart:1.0")[0] == GOOD


CONTAINER = json.dumps(
    {"schemaVersion": 2, "layers": [descriptor(b"x", "application/vnd.oci.image.layer.v1.tar")]}
).encode()


def test_what_is_no_component_keeps_the_others_from_being_judged() -> None:
    one = image()
    rows = index(
        descriptor(one.manifest, MANIFEST, **platform("wasip2", "wasm")),
        descriptor(CONTAINER, MANIFEST, **platform("linux", "amd64")),
    )
    with registry(one, manifests={"1.0": rows, "x": CONTAINER}) as found:
        said = refusal(f"oci://{found.where}/shop/cart:1.0")
        assert f"({sha256(CONTAINER)}, for linux/amd64); a host may choose it" in said
        assert pull(f"oci://{found.where}/shop/cart@{sha256(one.manifest)}")[0] == GOOD


@pytest.mark.parametrize("evil", [False, True])
def test_attestations_are_named(evil: bool) -> None:
    """Whatever could be taken for a component is judged, for whatever platform."""
    one, two = image(), image(EVIL) if evil else Image(b"")
    one.blobs |= two.blobs
    attestation = two.manifest if evil else CONTAINER
    rows = index(
        descriptor(one.manifest, MANIFEST, **platform("wasip2", "wasm")),
        descriptor(attestation, MANIFEST, **platform("unknown", "unknown")),
    )
    with registry(one, manifests={"1.0": rows, "x": attestation}) as found:
        rows = pull_all(f"oci://{found.where}/shop/cart:1.0")
    skipped = () if evil else (sha256(CONTAINER),)
    assert [data for data, _ in rows] == ([GOOD, EVIL] if evil else [GOOD])
    assert all(tuple(map(str, one.skipped)) == skipped for _, one in rows)


def test_attestations_alone_are_nothing() -> None:
    rows = index(descriptor(CONTAINER, MANIFEST, **platform("unknown", "unknown")))
    with registry(image(), manifests={"1.0": rows, "x": CONTAINER}) as found:
        said = refusal(f"oci://{found.where}/shop/cart:1.0")
    assert "attestations only" in said


@pytest.mark.parametrize("name", ["Content-Type", "Docker-Content-Digest"])
def test_headers_that_are_there_twice(name: str) -> None:
    from email.message import Message

    from whamm_cm.registry.transport import Failure, _headers

    headers = Message()
    headers[name], headers[name] = "a", "b"
    with pytest.raises(Failure, match=f"the manifest has {name} twice"):
        _headers(headers, "the manifest")
