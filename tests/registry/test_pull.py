"""Components from registries and image layouts, and what their configs claim.  No network."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.gate.making import TODAY, component
from tests.registry.fake import INDEX, MANIFEST, Image, descriptor, layout, registry, sha256
from whamm_cm.errors import InputError
from whamm_cm.gate.engine import Engine
from whamm_cm.gate.policy import Policy
from whamm_cm.gate.sources import Sources
from whamm_cm.gate.subject import analyse
from whamm_cm.registry.client import Client, _schemes
from whamm_cm.registry.credentials import credentials
from whamm_cm.registry.names import is_image
from whamm_cm.registry.pull import Artifact, Timeouts, pull
from whamm_cm.registry.reference import Reference

IMPORTS = {"wasi:keyvalue/store@0.2.0-draft": ("open",), "wasi:cli/stderr@0.2.3": ("get-stderr",)}
WASM = component(IMPORTS)
CLAIMS = {"component": {"imports": sorted(IMPORTS), "exports": ["run"]}}
SHORT = Timeouts(step=0.3, whole=5.0)


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No credentials and no proxy of whoever runs the tests."""
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return folder


def image(**more: object) -> Image:
    return Image(WASM, CLAIMS, **more)


def get(where: str, wanted: str = ":1.0") -> tuple[bytes, Artifact]:
    return pull(f"oci://{where}/shop/cart{wanted}", timeouts=SHORT)


def refused(where: str, wanted: str = ":1.0") -> str:
    with pytest.raises(InputError) as caught:
        get(where, wanted)
    text = str(caught.value)
    assert "\n" not in text and text.startswith(f"oci://{where}/shop/cart")
    return text.partition("cart" + wanted + ": ")[2]


# registries


def test_by_tag_and_by_digest() -> None:
    one = image()
    with registry(one) as found:
        for wanted in (":1.0", "@" + sha256(one.manifest), ":old@" + sha256(one.manifest)):
            data, artifact = get(found.where, wanted)
            assert data == WASM
            assert str(artifact.digest) == sha256(one.manifest)
            assert artifact.claims is not None
            assert artifact.claims.imports == tuple(sorted(IMPORTS))
        assert found.paths[0] == "/v2/shop/cart/manifests/1.0"


def test_without_a_tag_it_is_latest() -> None:
    one = image()
    with registry(one, manifests={"latest": one.manifest}) as found:
        data, artifact = get(found.where, "")
        assert (data, artifact.reference) == (WASM, f"oci://{found.where}/shop/cart:latest")


def test_the_older_media_type() -> None:
    kind = "application/vnd.module.wasm.content.layer.v1+wasm"
    with registry(image(layer_type=kind)) as found:
        assert get(found.where)[1].layer.media_type == kind


def test_an_index_with_attestations() -> None:
    one = image()
    other = b'{"schemaVersion": 2, "layers": []}'
    index = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [
                descriptor(other, MANIFEST, platform={"architecture": "unknown", "os": "unknown"}),
                descriptor(
                    one.manifest, MANIFEST, platform={"architecture": "wasm", "os": "wasip2"}
                ),
            ],
        }
    ).encode()
    with registry(one, manifests={"1.0": index, "x": other}) as found:
        data, artifact = get(found.where)
        assert data == WASM and str(artifact.digest) == sha256(one.manifest)


def test_an_index_with_nothing_to_tell_them_apart() -> None:
    one, two = image(), image(config_type="x/y")
    rows = [descriptor(each.manifest, MANIFEST) for each in (one, two)]
    index = json.dumps({"manifests": rows}).encode()
    one.blobs |= two.blobs
    with registry(one, manifests={"1.0": index, "2.0": two.manifest}) as found:
        text = refused(found.where)
        assert "2 manifests to choose from" in text and sha256(two.manifest) in text


def token_manner(accepted: str, basic: str = ""):
    """A registry that wants a token, from a server that wants ``basic``."""

    def manner(request):
        if request.path.startswith("/token"):
            if basic and request.headers.get("Authorization") != f"Basic {basic}":
                return 401, {"WWW-Authenticate": 'Basic realm="x"'}, b""
            return 200, {}, json.dumps({"token": accepted}).encode()
        if request.headers.get("Authorization") != f"Bearer {accepted}":
            realm = f'Bearer realm="{request.base}/token",service="the, registry",scope="a"'
            return 401, {"WWW-Authenticate": realm}, b""
        return None

    return manner


def test_a_token_for_nobody() -> None:
    with registry(image(), token_manner("abc")) as found:
        assert get(found.where)[0] == WASM
        asked = [path for path in found.paths if path.startswith("/token")]
    assert asked == ["/token?service=the%2C+registry&scope=repository%3Ashop%2Fcart%3Apull"]


def log_in(folder: Path, where: str, **entry: str) -> None:
    (folder / "config.json").write_text(json.dumps({"auths": {where: entry}}))


def test_a_token_for_somebody(nobody: Path) -> None:
    basic = base64.b64encode(b"ann:s3:cret").decode()
    with registry(image(), token_manner("abc", basic)) as found:
        assert "401" in refused(found.where)
        log_in(nobody, found.where, auth=basic)
        assert get(found.where)[0] == WASM
        blobs = [header for path, header in found.seen if "/blobs/" in path]
        assert set(blobs) == {"Bearer abc"}


def test_basic_authentication(nobody: Path) -> None:
    basic = base64.b64encode(b"ann:secret").decode()

    def manner(request):
        if request.headers.get("Authorization") != f"Basic {basic}":
            return 401, {"WWW-Authenticate": 'Basic realm="r"'}, b""
        return None

    with registry(image(), manner) as found:
        log_in(nobody, f"https://{found.where}", username="ann", password="secret")
        assert get(found.where)[0] == WASM
        log_in(nobody, found.where, username="ann", password="wrong")
        text = refused(found.where)
        assert "refuses access (401); the credentials are not accepted" in text
        assert "wrong" not in text


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "has no auths for"),
        ('{"credsStore": "desktop"}', "names a credential helper, which is not run"),
        ('{"auths": {"REGISTRY": {"identitytoken": "x"}}}', "identity token"),
        ('{"auths": {"REGISTRY": {"auth": "%%"}}}', "not Base64"),
    ],
)
def test_why_there_are_no_credentials(nobody: Path, config: str, why: str) -> None:
    with registry(image(), lambda _: (401, {"WWW-Authenticate": "Basic realm=x"}, b"")) as found:
        (nobody / "config.json").write_text(config.replace("REGISTRY", found.where))
        assert why in refused(found.where)


def test_a_redirect_gets_no_credentials(nobody: Path) -> None:
    """Blobs often lie elsewhere; nobody there may see the token."""
    one = image()
    with registry(one) as store:

        def manner(request):
            answer = token_manner("abc")(request)
            if answer is None and "/blobs/" in request.path:
                return 307, {"Location": f"http://{store.where}{request.path}"}, b""
            return answer

        with registry(one, manner) as found:
            assert get(found.where)[0] == WASM
        assert {header for _, header in store.seen} == {""} and len(store.seen) == 2


def test_a_redirect_within_the_registry_keeps_them() -> None:
    def manner(request):
        answer = token_manner("abc")(request)
        if answer is None and request.path.endswith(sha256(WASM)):
            return 307, {"Location": "/store/layer"}, b""
        return (200, {}, WASM) if answer is None and request.path == "/store/layer" else answer

    with registry(image(), manner) as found:
        assert get(found.where)[0] == WASM
        assert found.seen[-1] == ("/store/layer", "Bearer abc")


def test_where_a_redirect_leads_to_nobody_is_answered(nobody: Path) -> None:
    """A store that asks for credentials must not name a token server that then gets them."""
    with registry(None, lambda _: (401, {"WWW-Authenticate": "Basic realm=x"}, b"")) as store:

        def manner(request):
            if "/blobs/" in request.path:
                return 302, {"Location": f"http://{store.where}/blob"}, b""
            return None

        with registry(image(), manner) as found:
            log_in(nobody, found.where, username="ann", password="secret")
            assert refused(found.where) == "a redirect for the config leads to 401"
        assert store.seen == [("/blob", "")]


@pytest.mark.parametrize(
    "target",
    ["ftp://x.example/a", "http://x.example/a", "file:///etc/passwd", "https://u:p@x.y/",
     "https://[x/", "https://x.example/\u00e9"],
)  # fmt: skip
def test_redirects_that_are_not_followed(target: str) -> None:
    with registry(image(), lambda _: (302, {"Location": target}, b"")) as found:
        assert "names a redirect that is not used" in refused(found.where)


def test_redirects_come_to_an_end() -> None:
    with registry(image(), lambda r: (302, {"Location": r.path}, b"")) as found:
        assert "more than 5 redirects" in refused(found.where)


@pytest.mark.parametrize("realm", ["http://x.example/token", "", "file:///token"])
def test_token_servers_that_are_not_asked(realm: str) -> None:
    header = {"WWW-Authenticate": f'Bearer realm="{realm}"'}
    with registry(image(), lambda _: (401, header, b"")) as found:
        assert "names a token server that is not used" in refused(found.where)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"token": 3}', b'{"token": "a\\r\\nX: y"}'])
def test_tokens_that_are_none(body: bytes) -> None:
    def manner(request):
        if request.path.startswith("/token"):
            return 200, {}, body
        return 401, {"WWW-Authenticate": f'Bearer realm="{request.base}/token"'}, b""

    with registry(image(), manner) as found:
        assert refused(found.where) == "the token server gives no token"


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (404, {}, "the registry does not have the manifest 1.0"),
        (429, {"Retry-After": "30"}, "too many requests (429); try again in 30 seconds"),
        (429, {}, "try again later"),
        (403, {}, "the registry refuses access (403); there are no credentials"),
        (401, {}, "the registry refuses access (401); there are no credentials"),
        (500, {}, "the registry answers 500 for the manifest 1.0"),
    ],
)
def test_what_a_registry_refuses(status: int, headers: dict[str, str], message: str) -> None:
    with registry(image(), lambda _: (status, headers, b"")) as found:
        assert message in refused(found.where)


def blob_manner(answer):
    """Answers for the layer only."""
    return lambda request: answer if request.path.endswith(sha256(WASM)) else None


def test_another_blob_than_asked_for() -> None:
    other = bytes(len(WASM))
    with registry(image(), blob_manner((200, {}, other))) as found:
        assert refused(found.where).startswith("the component is not what its digest sha256:")


def test_a_blob_that_breaks_off() -> None:
    answer = 200, {"Content-Length": str(len(WASM))}, WASM[:50]
    with registry(image(), blob_manner(answer)) as found:
        assert f"breaks off after 50 of {len(WASM):,} bytes" in refused(found.where)


def test_a_blob_of_another_size() -> None:
    with registry(image(), blob_manner((200, {}, WASM + b"x"))) as found:
        assert f"the component is larger than {len(WASM):,} bytes" in refused(found.where)
    with registry(image(), blob_manner((200, {}, WASM[:-1]))) as found:
        assert "but its descriptor says" in refused(found.where)


def test_another_manifest_than_asked_for() -> None:
    one = image()
    with registry(one, lambda r: (200, {}, b"{}") if "/manifests/" in r.path else None) as found:
        assert "the manifest is not what its digest" in refused(
            found.where, "@" + sha256(one.manifest)
        )


def test_a_registry_that_does_not_answer() -> None:
    with registry(image()) as found:
        pass
    assert "the manifest 1.0 cannot be fetched: " in refused(found.where)


def test_a_registry_that_stalls() -> None:
    def manner(_):
        import time

        time.sleep(0.6)
        return 200, {}, b"{}"

    with registry(image(), manner) as found:
        assert "the registry does not answer in time" in refused(found.where)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (b"<html>", "the manifest is not JSON"),
        (b"[" * 100_000, "the manifest is not JSON"),
        (b"[]", "the manifest is not a JSON object"),
        (b'{"layers": 3}', "the manifest has no layers, so this is no image"),
        (b'{"layers": [{"size": 3}]}', "the descriptor of a layer lacks a mediaType, digest or"),
        (b'{"layers": []}', "no layer is application/wasm, so this is no component (it has none"),
        (b'{"manifests": []}', "the index has no manifests"),
        (json.dumps({"layers": [descriptor(b"a", "application/x-tar")]}).encode(),
         "no layer is application/wasm, so this is no component (it has application/x-tar)"),
        (json.dumps({"layers": [descriptor(b"a", "application/wasm")] * 2}).encode(),
         "2 layers are application/wasm; a component is one layer"),
        (json.dumps({"layers": [{**descriptor(b"a", "application/wasm"), "size": 1 << 40}]})
         .encode(),
         "the component has 1,099,511,627,776 bytes; at most"),
        (json.dumps({"layers": [{**descriptor(b"a", "application/wasm"), "digest": "sha256:../x"}]})
         .encode(), "the descriptor of a layer lacks"),
    ],
)  # fmt: skip
def test_manifests_that_are_none(manifest: bytes, message: str) -> None:
    with registry(image(), manifests={"1.0": manifest}) as found:
        assert refused(found.where).startswith(message)


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"component": {"imports": "all"}}, '"imports" in the config must be a list of names'),
        ({"layerDigests": [1]}, '"layerDigests" in the config must be a list of names'),
    ],
)
def test_configs_that_are_none(claims: dict, message: str) -> None:
    with registry(Image(WASM, claims)) as found:
        assert refused(found.where) == message


def test_a_layer_that_is_no_component() -> None:
    """It is pulled like any other; the decoder says what it is."""
    with registry(Image(b"(module)")) as found:
        data, _ = get(found.where)
    with pytest.raises(InputError, match="is not WebAssembly"):
        analyse(data, "oci://x")


@pytest.mark.parametrize(
    "text",
    ["oci://", "oci://cart", "oci://shop/cart:1", "oci://r.example/Cart", "oci://r.example/a:",
     "oci://r.example/a@sha256:12", "oci://r.example/a//b", "oci://user@r.example/a:1",
     "oci://r.example/../a", "oci://r.example:port/a"],
)  # fmt: skip
def test_references_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="is no reference to an image: .*; expected oci://"):
        pull(text)


def test_only_this_machine_is_spoken_to_without_tls() -> None:
    local = ["localhost", "localhost:5000", "127.0.0.1:1", "[::1]:5000", "LOCALHOST:1"]
    far = ["r.example:80", "localhost.example", "127.0.0.1.example", "10.0.0.1:5000", "[::2]:1"]
    assert all(Reference.parse(f"oci://{where}/a").local for where in local)
    assert not any(Reference.parse(f"oci://{where}/a").local for where in far)


def test_docker_hub_is_where_docker_finds_it(nobody: Path) -> None:
    basic = base64.b64encode(b"ann:secret").decode()
    (nobody / "config.json").write_text(
        json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": basic}}})
    )
    with Client(Reference.parse("oci://docker.io/ann/cart:1")) as client:
        assert client.url("tags") == "https://registry-1.docker.io/v2/ann/cart/tags"
        assert str(client.reference) == "oci://docker.io/ann/cart:1"
    assert credentials("docker.io", nobody / "config.json").basic == "ann:secret"
    assert credentials("r.example", nobody / "config.json").basic == ""


def test_challenges() -> None:
    assert _schemes('Basic realm="a, Bearer b", Bearer realm="x",service=y') == [
        ("basic", ' realm="a, Bearer b"'),
        ("bearer", ' realm="x",service=y'),
    ]
    assert _schemes("Negotiate") == [("negotiate", "")] and _schemes("") == []


def test_names_that_no_host_can_have() -> None:
    with pytest.raises(InputError, match="the manifest 1 cannot be fetched: .*label"):
        pull(f"oci://{'a' * 70}.example/shop/cart:1")


def test_a_token_server_that_redirects() -> None:
    def manner(request):
        if request.path.startswith("/token"):
            return 302, {"Location": "/elsewhere"}, b""
        return 401, {"WWW-Authenticate": f'Bearer realm="{request.base}/token"'}, b""

    with registry(image(), manner) as found:
        assert refused(found.where) == "the token server redirects, which is not followed"


# layouts


def test_a_layout(tmp_path: Path) -> None:
    folder = layout(tmp_path / "image", image())
    for path in (folder, f"{folder}:1.0", f"{folder}@{sha256(image().manifest)}"):
        assert is_image(str(path))
        data, artifact = pull(str(path))
        assert (data, artifact.reference) == (WASM, str(path))
    assert not is_image(str(tmp_path)) and not is_image("app.wasm") and not is_image("-")


def test_a_layout_with_several_images(tmp_path: Path) -> None:
    other = Image(component({}))
    one = image()
    one.blobs |= other.blobs
    folder = layout(tmp_path / "image", one, **{"2.0": other.manifest})
    assert pull(f"{folder}:2.0")[0] == other.data
    with pytest.raises(InputError, match="2 manifests to choose from; name one by its digest"):
        pull(str(folder))
    with pytest.raises(InputError, match=r"no image is tagged 3.0 \(the layout has 1.0, 2.0\)"):
        pull(f"{folder}:3.0")


def test_layouts_that_are_damaged(tmp_path: Path) -> None:
    folder = layout(tmp_path / "image", image())
    blob = folder / "blobs" / "sha256" / sha256(WASM).removeprefix("sha256:")

    def fault() -> str:
        with pytest.raises(InputError) as caught:
            pull(str(folder))
        return str(caught.value).removeprefix(f"{folder}: ")

    blob.write_bytes(WASM[:-1] + b"\xff")
    assert fault().startswith("the component is not what its digest")
    blob.write_bytes(WASM + b"more")
    assert fault().startswith("the component is larger than")
    blob.unlink()
    assert fault().startswith("the component is missing (blobs/sha256/")
    os.mkfifo(blob)
    assert fault() == "the component is no file"
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "2.0.0"}')
    assert fault() == "oci-layout is of version '2.0.0'; this reads 1.0.0"
    (folder / "oci-layout").write_text("[]")
    assert fault() == "oci-layout is not a JSON object"
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").unlink()
    assert fault() == "index.json is missing (index.json)"


def test_sources(tmp_path: Path) -> None:
    folder = str(layout(tmp_path / "image", image()))
    found = Sources.of([folder, "app.wasm", "-"])
    assert (found.read(0), found.read(1), found.read(2)) == (WASM, None, None)
    assert found.facts(0, {})["oci"] == pull(folder)[1]
    assert found.facts(1, {}) == {"manifest": None, "oci": None} and not found.together


# rules


def findings(claims: dict | None, **more: object) -> list[tuple[str, str]]:
    with registry(Image(WASM, claims, **more)) as found:
        data, artifact = get(found.where)
    engine = Engine(Policy(), TODAY)
    subject = analyse(data, "cart").subject
    report = engine.judge(engine.context("cart", "cart", subject=subject, oci=artifact))
    return [(one.rule, one.item) for one in report.findings if one.rule.startswith("WCM2")]


def test_claims_that_are_true_or_missing() -> None:
    assert findings(CLAIMS) == [] == findings(None) == findings({}, config_type="x/y")


def test_wcm201_imports() -> None:
    missing = {"component": {"imports": sorted(IMPORTS)[1:], "exports": ["run"]}}
    assert findings(missing) == [("WCM201", "wasi:cli/stderr@0.2.3")]
    stale = {"component": {"imports": [*IMPORTS, "wasi:http/types@0.2.3"], "exports": ["run"]}}
    assert findings(stale) == [("WCM201", "wasi:http/types@0.2.3")]


def test_wcm202_exports() -> None:
    wrong = {"component": {"imports": list(IMPORTS), "exports": ["go"]}}
    assert findings(wrong) == [("WCM202", "go"), ("WCM202", "run")]


def test_wcm203_layer() -> None:
    assert findings({**CLAIMS, "layerDigests": [sha256(b"old")]}) == [("WCM203", "layerDigests")]


def test_wcm204_legacy_layer() -> None:
    kind = "application/vnd.module.wasm.content.layer.v1+wasm"
    assert findings(CLAIMS, layer_type=kind) == [("WCM204", "layer")]


def test_an_import_under_a_label_is_claimed_by_either_name() -> None:
    subject = analyse(WASM, "cart").subject
    first, *rest = subject.imports
    renamed = replace(subject, imports=(replace(first, name="team-a"), *rest))
    with registry(image()) as found:
        _, artifact = get(found.where)
    engine = Engine(Policy(), TODAY)
    report = engine.judge(engine.context("cart", "cart", subject=renamed, oci=artifact))
    assert not [one for one in report.findings if one.rule == "WCM201"]
