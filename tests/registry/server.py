"""A read-only OCI registry in this process, over plain HTTP, for hosts to pull components from."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.wasm.config.v0+json"


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Images:
    """Images by the name of their repository and tag (``name:tag``), or digest."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        #: Name → media type and document.
        self.manifests: dict[str, tuple[str, bytes]] = {}

    def put(self, name: str, manifest: bytes, kind: str = MANIFEST) -> None:
        repository = name.partition(":")[0]
        found = (kind, manifest)
        self.manifests |= {name: found, f"{repository}:{digest(manifest)}": found}

    def add(self, name: str, wasm: bytes) -> None:
        config = json.dumps(
            {
                "created": "2026-01-01T00:00:00Z",
                "architecture": "wasm",
                "os": "wasip2",
                "layerDigests": [digest(wasm)],
            }
        ).encode()
        parts = {
            "config": {"mediaType": CONFIG, "digest": digest(config), "size": len(config)},
            "layers": [
                {"mediaType": "application/wasm", "digest": digest(wasm), "size": len(wasm)}
            ],
        }
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, **parts}).encode()
        self.blobs |= {digest(wasm): wasm, digest(config): config}
        self.put(name, manifest)

    def find(self, path: str) -> tuple[str, bytes] | None:
        """What a GET of ``path`` answers: media type and content."""
        words = path.partition("?")[0].strip("/").split("/")
        if words == ["v2"]:
            return "application/json", b"{}"
        kind, name = words[-2:]
        if kind == "manifests":
            return self.manifests.get(f"{'/'.join(words[1:-2])}:{name}")
        blob = self.blobs.get(name)
        return None if blob is None else ("application/octet-stream", blob)


@contextmanager
def registry(wasm: Mapping[str, bytes]) -> Iterator[str]:
    """Serves ``name:tag`` → component, in one layer; gives the address, ``127.0.0.1:PORT``."""
    images = Images()
    for name, data in wasm.items():
        images.add(name, data)
    with serving(images) as address:
        yield address


@contextmanager
def serving(images: Images) -> Iterator[str]:
    """Gives the address, ``127.0.0.1:PORT``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            kind, body = images.find(self.path) or ("application/json", b'{"errors":[]}')
            self.send_response(200 if images.find(self.path) else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Docker-Content-Digest", digest(body))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """Nothing: the tests have logs enough."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
