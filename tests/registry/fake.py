"""A registry on this machine, with whatever manners a test wants, and image layouts."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def descriptor(data: bytes, media_type: str, **more: object) -> dict:
    return {"mediaType": media_type, "digest": sha256(data), "size": len(data), **more}


@dataclass
class Image:
    """The blobs of an image with one layer; ``claims`` become its config."""

    data: bytes
    claims: dict | None = None
    layer_type: str = "application/wasm"
    config_type: str = "application/vnd.wasm.config.v0+json"
    blobs: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        config = {"architecture": "wasm", "os": "wasip2", "layerDigests": [sha256(self.data)]}
        if self.claims is not None:
            config.update(self.claims)
        self.config = json.dumps(config).encode()
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": descriptor(self.config, self.config_type),
                "layers": [descriptor(self.data, self.layer_type)],
            }
        ).encode()
        self.blobs = {sha256(one): one for one in (self.data, self.config)}


Answer = tuple[int, dict[str, str], bytes]
#: Gets a request; None lets the registry answer as it would.
Manner = Callable[["Request"], Answer | None]


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    base: str


def index(*rows: dict, **more: object) -> bytes:
    """An image index; ``rows`` are descriptors."""
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": rows, **more}).encode()


@dataclass
class Registry:
    """``where``: host and port.  ``seen``: (path, Authorization) of all requests."""

    where: str = ""
    seen: list[tuple[str, str]] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.seen]


@contextmanager
def registry(
    image: Image | None, manner: Manner = lambda _: None, manifests: dict[str, bytes] | None = None
) -> Iterator[Registry]:
    """``manifests``: by tag or digest; the image's own is ``1.0``."""
    found = Registry()
    known = dict(manifests or {})
    if image is not None:
        known.setdefault("1.0", image.manifest)
    for one in list(known.values()) + ([image.manifest] if image else []):
        known[sha256(one)] = one

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.seen.append((self.path, self.headers.get("Authorization", "")))
            request = Request(self.path, dict(self.headers.items()), f"http://{found.where}")
            status, headers, body = manner(request) or self.usual()
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def usual(self) -> Answer:
            kind, _, name = self.path.removeprefix("/v2/shop/cart/").partition("/")
            data = known.get(name) if kind == "manifests" else image and image.blobs.get(name)
            if data is None:
                return 404, {}, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'
            headers = {"Docker-Content-Digest": sha256(data)} if kind == "manifests" else {}
            return 200, headers, data

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.where = f"localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def layout(folder: Path, image: Image, tag: str = "1.0", **manifests: bytes) -> Path:
    """An image layout; ``manifests``: further ones by tag."""
    (folder / "blobs" / "sha256").mkdir(parents=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    entries = []
    for name, manifest in {tag: image.manifest, **manifests}.items():
        notes = {"org.opencontainers.image.ref.name": name}
        entries.append(descriptor(manifest, MANIFEST, annotations=notes))
        image.blobs[sha256(manifest)] = manifest
    for digest, data in image.blobs.items():
        (folder / "blobs" / "sha256" / digest.removeprefix("sha256:")).write_bytes(data)
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    return folder
