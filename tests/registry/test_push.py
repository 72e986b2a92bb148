"""Instrumented components into registries and layouts: what arrives, and what never does."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import wasmtime

import whamm_cm
from fixtures import build
from tests.registry.fake import INDEX, Image, descriptor, index
from tests.registry.server import Answer, Images, Request, digest, fault, serving
from whamm_cm.cli.main import main
from whamm_cm.errors import UsageError
from whamm_cm.registry import names
from whamm_cm.registry import push as pushing
from whamm_cm.registry.client import Timeouts
from whamm_cm.registry.image import World, image
from whamm_cm.registry.names import MARK
from whamm_cm.registry.pull import pull
from whamm_cm.registry.push import _chunks, push

WEAVE = ("instrument", "--trace", "*", "--nonce", "abcdefghij23")
NOTES = {"org.opencontainers.image.source": "https://example.org/cart", "a.b/c": "ä"}
SMALL = image([b"\0asm", b"rest"], World(["a:b/c"], ["run"]))
SHORT = Timeouts(step=0.5, whole=5.0)
MODULE = '(module (memory (export "memory") 1) (func (export "run") nop))'
BASE = "org.opencontainers.image.base"


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No credentials, proxies and times of whoever runs the tests."""
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy",
                 "SOURCE_DATE_EPOCH"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def command() -> bytes:
    return build.path_of("c_command").read_bytes()


@pytest.fixture
def images(command: bytes) -> Images:
    found = Images()
    found.add("shop/cart:1", command, annotations=NOTES, artifactType="a/b")
    return found


@pytest.fixture
def where(images: Images) -> Iterator[str]:
    with serving(images) as address:
        yield f"oci://{address}/shop/cart"


def refused(path: str, **more: object) -> str:
    """Why a small image is not taken: one sentence, about that very image."""
    with pytest.raises(UsageError) as caught:
        push(path, SMALL, timeouts=SHORT, **more)  # type: ignore[arg-type]
    text = str(caught.value)
    assert "\n" not in text and text.startswith(path)
    return text.removeprefix(f"{path}: ")


# what arrives


def test_from_a_registry_into_it(
    images: Images, where: str, command: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    old = digest(images.manifests["shop/cart:1"][1])
    assert main([*WEAVE, f"{where}:1", "-o", f"{where}:1-traced"]) == 0
    shown = capsys.readouterr()
    kind, raw = images.manifests["shop/cart:1-traced"]
    manifest = json.loads(raw)
    assert shown.out == f"{where}@{digest(raw)}\n" and "36 functions woven" in shown.err
    assert kind == manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    name = where.removeprefix("oci://")
    assert manifest["annotations"] == {
        **NOTES, f"{BASE}.digest": old, f"{BASE}.name": f"{name}:1"
    }  # fmt: skip
    assert manifest["artifactType"] == "a/b" and "subject" not in manifest
    config = json.loads(images.blobs[manifest["config"]["digest"]])
    (layer,) = manifest["layers"]
    assert config["created"] == "2026-01-01T00:00:00Z", "of the original"
    assert (config["architecture"], config["os"]) == ("wasm", "wasip2")
    assert config["layerDigests"] == [layer["digest"]] and layer["mediaType"] == "application/wasm"
    woven = whamm_cm.load(images.blobs[layer["digest"]])
    assert layer["size"] == woven.size > len(command)
    assert isinstance(woven, whamm_cm.Component)
    assert config["component"] == {
        "exports": [one.name for one in woven.exports],
        "imports": [one.name for one in woven.imports],
    }
    assert digest(images.manifests["shop/cart:1"][1]) == old, "the original is as it was"


def test_the_gate_finds_its_claims_true(
    where: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([*WEAVE, f"{where}:1", "-o", f"{where}:2"]) == 0
    statement = tmp_path / "s.json"
    pinned = capsys.readouterr().out.strip()
    assert main(["gate", "-f", "table", "-f", f"intoto={statement}", pinned]) == 1
    assert set(re.findall(r"WCM\d+", capsys.readouterr().out)) == {"WCM041"}
    said = json.loads(statement.read_text())
    assert said["predicate"]["verificationResult"] == "FAILED"
    assert pinned.partition("@sha256:")[2] in str(said["subject"]), "about the copy, by its digest"


def test_the_manifest_comes_last_and_what_is_there_is_not_sent_again(
    images: Images, where: str
) -> None:
    assert main([*WEAVE, f"{where}:1", "-o", f"{where}:2"]) == 0
    sent = images.methods()
    assert sent[sent.index("HEAD manifests") :] == [
        "HEAD manifests", "HEAD blobs", "POST uploads", "PUT uploads", "HEAD blobs",
        "POST uploads", "PUT uploads", "PUT manifests",
    ]  # fmt: skip
    images.seen.clear()
    assert main([*WEAVE, f"{where}:1", "-o", f"{where}:3"]) == 0
    sent = images.methods()
    assert sent[sent.index("HEAD manifests") :] == [
        "HEAD manifests", "HEAD blobs", "HEAD blobs", "PUT manifests"
    ]  # fmt: skip
    assert images.manifests["shop/cart:2"] == images.manifests["shop/cart:3"], "the same bytes"


def test_from_a_file(images: Images, where: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = build.path_of("c_command")
    assert main([*WEAVE, "--json", str(source), "-o", f"{where}:2"]) == 0
    shown = json.loads(capsys.readouterr().out)
    raw = images.manifests["shop/cart:2"][1]
    assert (shown["image"], shown["digest"]) == (f"{where}@{digest(raw)}", digest(raw))
    manifest = json.loads(raw)
    assert "annotations" not in manifest, "nobody knows the original as an image"
    config = json.loads(images.blobs[manifest["config"]["digest"]])
    assert config["created"] == "1970-01-01T00:00:00Z"


def test_the_time_of_a_build_is_said_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    assert push(f"{where}:2", image([b"x"], World())).before is None
    _, artifact = pull(f"{where}:2")
    assert artifact.config is not None and artifact.config["created"] == "2026-01-01T00:00:00Z"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
    assert main([*WEAVE, str(build.path_of("c_command")), "-o", f"{where}:3"]) == 2
    assert "SOURCE_DATE_EPOCH 'today': expected seconds since 1970" in capsys.readouterr().err


def test_from_a_registry_into_a_file(where: str, tmp_path: Path) -> None:
    out = tmp_path / "out.wasm"
    assert main([*WEAVE, f"{where}:1", "-o", str(out)]) == 0
    assert main([*WEAVE, str(build.path_of("c_command")), "-o", f"{where}:2"]) == 0
    assert pull(f"{where}:2")[0] == out.read_bytes()


def test_a_core_module(where: str) -> None:
    push(f"{where}:m", image([wasmtime.wat2wasm(MODULE)], World(component=False)))
    assert main(["instrument", "-m", "hotness", f"{where}:m", "-o", f"{where}:m2"]) == 0
    data, artifact = pull(f"{where}:m2")
    assert isinstance(whamm_cm.load(data), whamm_cm.CoreModule) and artifact.config is not None
    assert artifact.config["os"] == "wasip1" and "component" not in artifact.config


def test_by_the_api(images: Images, where: str) -> None:
    app = whamm_cm.load(f"{where}:1")
    assert app.name == f"{where}:1" and app.image is not None
    pushed = app.weave(trace="*", nonce="abcdefghij23").write(f"{where}:api")
    assert pushed is not None
    assert pushed.name == f"{where}@{digest(images.manifests['shop/cart:api'][1])}"
    assert str(app.image.digest) in images.manifests["shop/cart:api"][1].decode()


def test_what_else_the_config_says_stays(images: Images, where: str, command: bytes) -> None:
    claims = {
        "author": "Ann", "variant": 3, "os": "wasip1",
        "component": {"imports": [], "exports": [], "target": "wasi:cli/command@0.2.0"},
    }  # fmt: skip
    made = Image(command, claims)
    images.blobs |= made.blobs
    images.put("shop/cart:old", made.manifest)
    assert main([*WEAVE, f"{where}:old", "-o", f"{where}:new"]) == 0
    config = pull(f"{where}:new")[1].config
    assert config is not None
    assert (config["author"], config["variant"], config["os"]) == ("Ann", 3, "wasip2")
    assert "target" not in config["component"], "it imports what that world may not have"


def test_the_target_stays_where_nothing_came() -> None:
    before = {"component": {"imports": ["a:b/c", "d"], "target": "a:b/world"}}
    known = pulled(Image(b"x", before))
    config = json.loads(image([b"y"], World(["a:b/c"]), known).blobs[0].pieces[0])
    assert config["component"]["target"] == "a:b/world"
    config = json.loads(image([b"y"], World(["a:b/c", "e"]), known).blobs[0].pieces[0])
    assert config["component"] == {"exports": [], "imports": ["a:b/c", "e"]}


def pulled(made: Image):  # type: ignore[no-untyped-def]
    found = Images()
    found.blobs |= made.blobs
    found.put("a:1", made.manifest)
    with serving(found) as address:
        return pull(f"oci://{address}/a:1")[1]


def test_an_original_of_older_types_becomes_one_of_the_standard() -> None:
    made = Image(
        b"x", layer_type="application/vnd.module.wasm.content.layer.v1+wasm",
        config_type="application/vnd.wasm.config.v1+json",
    )  # fmt: skip
    manifest = json.loads(image([b"y"], World(), pulled(made)).manifest.pieces[0])
    assert manifest["config"]["mediaType"] == "application/vnd.wasm.config.v0+json"
    assert manifest["layers"][0]["mediaType"] == "application/wasm"


# tags


def test_a_tag_that_is_there_is_moved(
    images: Images, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    old = images.add("shop/cart:2", b"other")
    assert main([*WEAVE, f"{where}:1", "-o", f"{where}:2"]) == 0
    assert f"{where}:2 was {old} before" in capsys.readouterr().err
    assert main([*WEAVE, f"{where}:1", "-o", f"{where}:2"]) == 0
    assert "before" not in capsys.readouterr().err, "it is the same now"


@pytest.mark.parametrize("read", [":1", ":also", "@"])
def test_the_original_keeps_its_tags(
    images: Images, where: str, read: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever it was read by: who deploys by that tag must not get probes."""
    kind, raw = images.manifests["shop/cart:1"]
    images.put("shop/cart:also", raw)
    source = where + (f"@{digest(raw)}" if read == "@" else read)
    assert main([*WEAVE, source, "-o", f"{where}:1"]) == 2
    said = f"{where}:1 is the image that was read ({digest(raw)}); name another tag to write"
    assert said in capsys.readouterr().err
    assert images.manifests["shop/cart:1"] == (kind, raw)


def test_nor_does_an_index_lose_its_tag(
    images: Images, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, raw = images.manifests["shop/cart:1"]
    both = index(descriptor(raw, kind, platform={"os": "wasip2", "architecture": "wasm"}))
    images.put("shop/cart:all", both, INDEX)
    assert main([*WEAVE, f"{where}:all", "-o", f"{where}:all"]) == 2
    assert "is the image that was read" in capsys.readouterr().err
    assert main([*WEAVE, f"{where}:all", "-o", f"{where}:2"]) == 0
    notes = json.loads(images.manifests["shop/cart:2"][1])["annotations"]
    assert notes[f"{BASE}.digest"] == digest(raw), "the image in it that was woven"


def test_a_digest_of_a_tag_that_the_registry_does_not_say(images: Images, where: str) -> None:
    def silent(request: Request) -> Answer | None:
        if request.method == "HEAD" and "/manifests/" in request.path:
            return 200, {}, b""
        return None

    old = images.add("shop/cart:2", b"other")
    images.manner = silent
    assert str(push(f"{where}:2", SMALL).before) == old


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("oci://r.example/a@sha256:" + "0" * 64, "a digest is known when the image is there"),
        ("oci://cart:1", "is no reference to an image"),
        ("LAYOUT", "is an image layout; name a tag in it, as"),
        ("LAYOUT@sha256:" + "0" * 64, "is an image layout; name a tag in it, as"),
        ("LAYOUT:-x", "is an image layout; name a tag in it, as"),
    ],
)
def test_outputs_that_are_none(
    output: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lay").mkdir()
    push(f"{tmp_path / 'lay'}:1", SMALL)
    path = output.replace("LAYOUT", str(tmp_path / "lay"))
    assert main([*WEAVE, str(build.path_of("c_command")), "-o", path]) == 2
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1


# who may


def tokens(scope: str, basic: str = "") -> object:
    """A registry that wants a token for ``scope``, from a server that knows ``basic``."""

    def manner(request: Request) -> Answer | None:
        if request.path.startswith("/token"):
            if basic and request.user != f"Basic {basic}":
                return fault(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="x"')
            token = {"access_token": request.path.partition("scope=")[2]}
            return 200, {}, json.dumps(token).encode()
        if request.user != f"Bearer {scope}":
            realm = f'Bearer realm="{request.base}/token",service="s",scope="{scope}"'
            return fault(401, "DENIED", WWW_Authenticate=realm)
        return None

    return manner


PUSH = "repository%3Ashop%2Fcart%3Apull%2Cpush"


def log_in(folder: Path, where: str, basic: str) -> None:
    host = where.removeprefix("oci://").partition("/")[0]
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": basic}}}))


def test_a_token_is_for_pushing(images: Images, where: str, nobody: Path) -> None:
    basic = base64.b64encode(b"ann:secret").decode()
    images.manner = tokens(PUSH, basic)  # type: ignore[assignment]
    assert "does not let you push (401); there are no credentials" in refused(f"{where}:2")
    log_in(nobody, where, base64.b64encode(b"ann:wrong").decode())
    text = refused(f"{where}:2")
    assert text == (
        "the registry does not let you push (401); the credentials are not accepted, or may only"
        " read"
    )
    assert "shop/cart:2" not in images.manifests
    log_in(nobody, where, basic)
    push(f"{where}:2", SMALL)
    assert images.seen[-1].user == f"Bearer {PUSH}"
    assert [one.path for one in images.seen if one.path.startswith("/token")][-1] == (
        f"/token?service=s&scope={PUSH}"
    )


def test_a_token_that_may_only_read(images: Images, where: str) -> None:
    """The server hands out what it likes; the registry refuses it once more."""
    images.manner = tokens("something else")  # type: ignore[assignment]
    assert refused(f"{where}:2").startswith("the registry does not let you push (401)")


def test_a_name_and_a_password(images: Images, where: str, nobody: Path) -> None:
    basic = base64.b64encode(b"ann:secret").decode()

    def manner(request: Request) -> Answer | None:
        if request.user != f"Basic {basic}":
            return fault(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="r"')
        return None

    images.manner = manner
    log_in(nobody, where, base64.b64encode(b"ann:wrong").decode())
    assert "(401); the credentials are not accepted" in refused(f"{where}:2")
    log_in(nobody, where, basic)
    push(f"{where}:2", SMALL)


def test_credential_helpers_are_not_run(images: Images, where: str, nobody: Path) -> None:
    images.manner = lambda _: fault(401, "UNAUTHORIZED", WWW_Authenticate="Basic realm=x")
    (nobody / "config.json").write_text('{"credsStore": "desktop"}')
    assert "names a credential helper, which is not run" in refused(f"{where}:2")


# what never arrives


def only(method: str, answer: Answer, kind: str = "") -> object:
    return lambda one: answer if one.method == method and kind in one.path else None


@pytest.mark.parametrize(
    ("manner", "message"),
    [
        (only("POST", fault(405, "UNSUPPORTED")),
         "the registry takes nothing (405): it is read-only, or a mirror (UNSUPPORTED: "),
        (only("POST", fault(403, "DENIED")),
         "the registry does not let you push (403); there are no credentials"),
        (only("POST", fault(404, "NAME_UNKNOWN")),
         "the registry has no such repository to push the config to (NAME_UNKNOWN: name unknown)"),
        (only("POST", (202, {}, b"")), "the registry does not say where to upload to"),
        (only("POST", (202, {"Location": "http://x.example/u"}, b"")),
         "the registry names a place to upload to that is not used: 'http://x.example/u'"),
        (only("POST", (301, {"Location": "/elsewhere"}, b"")),
         "the registry answers 301 for the config"),
        (only("PUT", fault(400, "DIGEST_INVALID"), "/uploads/"),
         "the registry answers 400 for the config (DIGEST_INVALID: digest invalid)"),
        (only("PUT", fault(500, "UNKNOWN"), "/uploads/"),
         "the registry answers 500 for the config"),
        (only("PUT", (0, {}, b""), "/uploads/"), "the config cannot be sent: "),
        (only("PUT", fault(400, "MANIFEST_INVALID"), "/manifests/"),
         "the registry answers 400 for the manifest (MANIFEST_INVALID: manifest invalid)"),
        (only("PUT", fault(403, "DENIED"), "/manifests/"), "does not let you push (403)"),
        (only("PUT", (0, {}, b""), "/manifests/"), "the manifest cannot be sent: "),
        (only("PUT", (201, {"Docker-Content-Digest": "sha256:no"}, b""), "/manifests/"),
         "the registry has made 'sha256:no' of the manifest sha256:"),
        (only("HEAD", fault(503, "BUSY", Retry_After="60"), "/blobs/"),
         "the registry is not available (503); try again in 60 seconds"),
        (only("PUT", (400, {}, b"\xff<html>"), "/uploads/"),
         "the registry answers 400 for the config"),
    ],
)  # fmt: skip
def test_what_a_registry_does_not_take(
    images: Images, where: str, manner: object, message: str
) -> None:
    images.manner = manner  # type: ignore[assignment]
    assert message in refused(f"{where}:2")
    assert list(images.manifests)[:1] == ["shop/cart:1"] and "shop/cart:2" not in images.manifests


def test_an_answer_that_is_lost(images: Images, where: str) -> None:
    """Nobody knows whether it arrived: it did, whole, and once more it is the same."""

    def silent(request: Request) -> Answer | None:
        if request.method == "PUT" and "/manifests/" in request.path:
            images.name(request.path, request)
            return 0, {}, b""
        return None

    images.manner = silent
    assert refused(f"{where}:2").startswith("the manifest cannot be sent: ")
    assert pull(f"{where}:2")[0] == b"\0asmrest"
    images.manner = lambda _: None
    assert push(f"{where}:2", SMALL).before is None


def test_what_a_registry_says_acts_on_no_terminal(
    images: Images, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    body = json.dumps({"errors": [{"code": "A", "message": "\x1b[2Jb\nc" + "d" * 999}]}).encode()
    images.manner = only("POST", (400, {}, body))  # type: ignore[assignment]
    assert main([*WEAVE, f"{where}:1", "-o", f"{where}:2"]) == 2
    shown = capsys.readouterr().err
    assert "\x1b" not in shown and shown.count("\n") == 1 and len(shown) < 500


def test_a_registry_that_is_busy_is_asked_again(images: Images, where: str) -> None:
    told: list[str] = []

    def busy(request: Request) -> Answer | None:
        if request.method == "PUT" and told.count(request.path) < 2:
            told.append(request.path)
            return fault(429, "TOOMANYREQUESTS", Retry_After="0")
        return None

    images.manner = busy
    push(f"{where}:2", SMALL)
    assert pull(f"{where}:2")[0] == b"\0asmrest", "each time it is sent anew"


def test_an_upload_that_is_sent_on(images: Images, where: str) -> None:
    def elsewhere(request: Request) -> Answer | None:
        if request.method == "PUT" and "again" not in request.path:
            mark = "&again" if "?" in request.path else "?again"
            return 307, {"Location": request.path + mark}, b""
        if request.method == "PUT" and "/manifests/" in request.path:
            return images.name(request.path.partition("?")[0], request)
        return None

    images.manner = elsewhere
    push(f"{where}:2", SMALL)
    assert pull(f"{where}:2")[0] == b"\0asmrest"


@pytest.mark.parametrize("least", ["", "7", "12"])
def test_what_is_too_much_at_once_goes_in_chunks(
    images: Images, where: str, least: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushing, "CHUNK", 9)
    data = bytes(range(100))

    def narrow(request: Request) -> Answer | None:
        if len(request.body) > 20 and "/uploads/" in request.path:
            return fault(413, "SIZE_INVALID")
        if request.method == "POST" and least:
            status, headers, body = images.begin(request)
            return status, {**headers, "OCI-Chunk-Min-Length": least}, body
        return None

    images.manner = narrow
    images.blobs[str(SMALL.blobs[0].digest)] = b"".join(SMALL.blobs[0].pieces)
    made = image([data[:5], data[5:60], data[60:]], World())
    images.blobs[str(made.blobs[0].digest)] = b"".join(made.blobs[0].pieces)
    push(f"{where}:2", made)
    assert pull(f"{where}:2")[0] == data
    sizes = [len(one.body) for one in images.seen if one.method == "PATCH"]
    step = max(9, int(least or 0))
    assert sizes == [step] * (100 // step) + [100 % step]


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7])
def test_chunks(size: int) -> None:
    found = [b"".join(one) for one in _chunks([b"ab", b"", b"cdef"], size)]
    assert b"".join(found) == b"abcdef"
    assert [len(one) for one in found[:-1]] == [size] * (len(found) - 1) and found[-1]


def test_a_registry_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert refused(f"oci://127.0.0.1:{port}/a:1") == "the tag cannot be fetched: Connection refused"


def test_one_that_stops_answering(images: Images, where: str) -> None:
    over = threading.Event()

    def stalled(request: Request) -> Answer | None:
        if request.method == "PUT":
            over.wait(60)
        return None

    images.manner = stalled
    try:
        said = refused(f"{where}:2")
    finally:
        over.set()
    assert said == "the config cannot be sent: the registry does not answer in time"


def test_one_that_reads_nothing_of_it() -> None:
    """The answer counts, though the rest could not be sent."""
    answer = b"HTTP/1.1 403 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    begun = b"HTTP/1.1 202 Yes\r\nLocation: /u\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    absent = b"HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    made = image([bytes(64 << 20)], World())
    asked: list[bytes] = []

    def serve() -> None:
        for reply in (absent, absent, begun, answer):
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(4096).partition(b" ")[0])
                connection.sendall(reply)
                connection.shutdown(socket.SHUT_WR)
                if reply is answer:
                    while connection.recv(1 << 20):
                        if asked.append(b"") or len(asked) > 12:
                            break

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        path = f"oci://127.0.0.1:{server.getsockname()[1]}/a:1"
        with pytest.raises(UsageError) as caught:
            push(path, replace(made, blobs=made.blobs[::-1]))  # the large one first
        thread.join(60)
    assert "does not let you push (403)" in str(caught.value)
    assert asked[:4] == [b"HEAD", b"HEAD", b"POST", b"PUT"]


def test_one_that_takes_nothing_in() -> None:
    """However much time each step has: there is one deadline for all of it."""
    answers = (
        b"HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 202 Yes\r\nLocation: /u\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    )
    made = image([bytes(64 << 20)], World())
    kept: list[socket.socket] = []

    def serve() -> None:
        for reply in answers:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(reply)
        kept.append(server.accept()[0])

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        path = f"oci://127.0.0.1:{server.getsockname()[1]}/a:1"
        with pytest.raises(UsageError, match="takes too long: the registry had 2 s in all"):
            push(path, replace(made, blobs=made.blobs[::-1]), timeouts=Timeouts(30.0, 2.0))
    for connection in kept:
        connection.close()


# layouts


def test_a_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "lay"
    folder.mkdir()
    source = str(build.path_of("c_command"))
    assert main([*WEAVE, source, "-o", f"{folder}:1"]) == 0
    pinned = capsys.readouterr().out.strip()
    assert pinned.startswith(f"{folder}@sha256:")
    assert pull(f"{folder}:1")[0] == pull(pinned)[0] == pull(str(folder))[0]
    assert main(["instrument", "--count", "*", source, "-o", f"{folder}:2"]) == 0
    assert main(["instrument", "--count", "%net", source, "-o", f"{folder}:2"]) == 0
    assert f"{folder}:2 was sha256:" in capsys.readouterr().err
    listed = json.loads((folder / "index.json").read_text())["manifests"]
    tags = [one["annotations"]["org.opencontainers.image.ref.name"] for one in listed]
    assert tags == ["1", "2"] and str(pull(f"{folder}:1")[1].digest) == pinned.partition("@")[2]


def test_many_write_into_a_layout_at_the_same_time(tmp_path: Path) -> None:
    folder = tmp_path / "lay"
    folder.mkdir()
    push(f"{folder}:0", SMALL)
    names = [str(number) for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: push(f"{folder}:{name}", SMALL), names))
    listed = json.loads((folder / "index.json").read_text())["manifests"]
    tags = {one["annotations"]["org.opencontainers.image.ref.name"] for one in listed}
    assert tags == set(names)


@pytest.mark.parametrize("there", [".whamm-cm-0123456789abcdef", MARK])
def test_a_folder_that_somebody_else_makes_a_layout_of_is_a_target(
    there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks between two steps of it would write a file ``lay:1`` beside it."""
    monkeypatch.setattr(names, "split", lambda path: None)  # it was not one a moment ago
    folder = tmp_path / "lay"
    folder.mkdir()
    (folder / there).touch()
    assert names.is_target(f"{folder}:1")
    (folder / "x").touch()
    assert names.is_target(f"{folder}:1") is (there == MARK)


def test_from_a_layout_into_a_registry_and_back(
    images: Images, where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same image, wherever it is."""
    folder = tmp_path / "lay"
    folder.mkdir()
    assert main([*WEAVE, f"{where}:1", "-o", f"{folder}:1"]) == 0
    assert main([*WEAVE, f"{where}:1", "-o", f"{where}:2"]) == 0
    one, two = capsys.readouterr().out.split()
    assert one.partition("@")[2] == two.partition("@")[2]
    original = pull(f"{where}:1")
    push(f"{folder}:plain", image([original[0]], World()))
    assert main([*WEAVE, f"{folder}:plain", "-o", f"{where}:3"]) == 0
    notes = json.loads(images.manifests["shop/cart:3"][1])["annotations"]
    assert notes == {f"{BASE}.digest": str(pull(f"{folder}:plain")[1].digest)}


def test_the_original_keeps_its_tag_in_a_layout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "lay"
    folder.mkdir()
    push(f"{folder}:1", image([build.path_of("c_command").read_bytes()], World()))
    before = (folder / "index.json").read_bytes()
    assert main([*WEAVE, str(folder), "-o", f"{folder}:1"]) == 2
    assert f"{folder}:1 is the image that was read (sha256:" in capsys.readouterr().err
    assert (folder / "index.json").read_bytes() == before


def test_a_layout_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "lay"
    folder.mkdir()
    push(f"{folder}:1", SMALL)
    before = sorted(folder.rglob("*"))
    (folder / "blobs" / "sha256").rename(folder / "kept")
    (folder / "blobs" / "sha256").write_text("no folder")
    assert main([*WEAVE, str(build.path_of("c_command")), "-o", f"{folder}:2"]) == 2
    said = capsys.readouterr().err
    assert f"{folder}:2 cannot be written: " in said and said.count("\n") == 1
    (folder / "blobs" / "sha256").unlink()
    (folder / "kept").rename(folder / "blobs" / "sha256")
    assert sorted(folder.rglob("*")) == before
    (folder / "index.json").write_text("{")
    assert refused(f"{folder}:2") == "index.json is not JSON"
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "9"}')
    assert "is of version '9'" in refused(f"{folder}:2")


def test_a_folder_with_something_in_it_is_no_layout(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    out = os.fspath(tmp_path / "full:1")
    assert main([*WEAVE, str(build.path_of("c_command")), "-o", out]) == 0
    assert Path(out).read_bytes()[:4] == b"\0asm", "a file of that name, as ever"
