"""An OCI registry in this process, over plain HTTP, that hosts pull from and we push to."""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.wasm.config.v0+json"

#: Status, headers, body.
Answer = tuple[int, dict[str, str], bytes]


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def fault(status: int, code: str, **headers: str) -> Answer:
    """As registries say what is wrong."""
    body = {"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return status, named, json.dumps(body).encode()


@dataclass
class Request:
    """``path`` with its query; ``base``: how the registry is called."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    base: str = ""

    @property
    def user(self) -> str:
        return self.headers.get("Authorization", "")


#: Answers in the place of the registry; None: it answers itself.
Manner = Callable[[Request], "Answer | None"]


class Images:
    """Images by the name of their repository and tag (``name:tag``), or digest."""

    def __init__(self, manner: Manner = lambda _: None) -> None:
        self.manner = manner
        self.blobs: dict[str, bytes] = {}
        #: Name → media type and document.
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.uploads: dict[str, bytes] = {}
        #: What was asked, in order, and by whom.
        self.seen: list[Request] = []
        self.count = 0

    def put(self, name: str, manifest: bytes, kind: str = MANIFEST) -> None:
        repository = name.partition(":")[0]
        found = (kind, manifest)
        self.manifests |= {name: found, f"{repository}:{digest(manifest)}": found}

    def add(self, name: str, wasm: bytes, **more: object) -> str:
        """One component; ``more``: further parts of the manifest.  Its digest."""
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
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, **parts, **more}).encode()
        self.blobs |= {digest(wasm): wasm, digest(config): config}
        self.put(name, manifest)
        return digest(manifest)

    def methods(self) -> list[str]:
        """What was asked, as ``PUT manifests``."""
        kinds = [re.findall("manifests|uploads|blobs", one.path) for one in self.seen]
        return [f"{one.method} {kind[-1]}" for one, kind in zip(self.seen, kinds, strict=True)]

    def answer(self, request: Request) -> Answer:
        self.seen.append(request)
        usual = {"GET": self.find, "HEAD": self.find, "POST": self.begin, "PATCH": self.append,
                 "PUT": self.finish}[request.method]  # fmt: skip
        return self.manner(request) or usual(request)

    def find(self, request: Request) -> Answer:
        words = request.path.partition("?")[0].strip("/").split("/")
        if words == ["v2"]:
            return 200, {"Content-Type": "application/json"}, b"{}"
        kind, name = words[-2:]
        if kind == "manifests":
            found = self.manifests.get(f"{'/'.join(words[1:-2])}:{name}")
            if found is None:
                return fault(404, "MANIFEST_UNKNOWN")
            headers = {"Content-Type": found[0], "Docker-Content-Digest": digest(found[1])}
            return 200, headers, found[1]
        blob = self.blobs.get(name)
        if blob is None:
            return fault(404, "BLOB_UNKNOWN")
        return 200, {"Content-Type": "application/octet-stream"}, blob

    def begin(self, request: Request) -> Answer:
        self.count += 1
        place = f"{request.path.rstrip('/')}/{self.count}?state=new"
        self.uploads[str(self.count)] = b""
        return 202, {"Location": place}, b""

    def append(self, request: Request) -> Answer:
        place = request.path.partition("?")[0]
        number = place.rpartition("/")[2]
        start, end = map(int, request.headers["Content-Range"].split("-"))
        if start != len(self.uploads[number]) or end + 1 - start != len(request.body):
            return fault(416, "BLOB_UPLOAD_INVALID")
        self.uploads[number] += request.body
        return 202, {"Location": f"{request.base}{place}?state={end}"}, b""

    def finish(self, request: Request) -> Answer:
        place, _, query = request.path.partition("?")
        if "/manifests/" in place:
            return self.name(place, request)
        data = self.uploads.pop(place.rpartition("/")[2]) + request.body
        wanted = re.search(r"digest=(sha256:\w+)", query)
        if wanted is None or wanted[1] != digest(data):
            return fault(400, "DIGEST_INVALID")
        self.blobs[digest(data)] = data
        return 201, {"Location": place}, b""

    def name(self, place: str, request: Request) -> Answer:
        manifest = json.loads(request.body)
        needed = [one["digest"] for one in (manifest["config"], *manifest["layers"])]
        if not self.blobs.keys() >= set(needed):
            return fault(400, "MANIFEST_BLOB_UNKNOWN")
        repository, _, tag = place.removeprefix("/v2/").rpartition("/manifests/")
        self.put(f"{repository}:{tag}", request.body, request.headers["Content-Type"])
        return 201, {"Docker-Content-Digest": digest(request.body)}, b""


@contextmanager
def registry(wasm: Mapping[str, bytes]) -> Iterator[str]:
    """Serves ``name:tag`` → component, in one layer; gives the address, ``127.0.0.1:PORT``."""
    images = Images()
    for name, data in wasm.items():
        images.add(name, data)
    with serving(images) as address:
        yield address


@contextmanager
def serving(images: Images, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Gives the address, ``127.0.0.1:PORT``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(size)
            if len(body) < size:  # whoever sent it is gone
                self.close_connection = True
                return
            base = f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
            asked = Request(self.command, self.path, dict(self.headers.items()), body, base)
            status, headers, answer = images.answer(asked)
            if not status:  # cuts the line
                self.close_connection = True
                return
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer)

        do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do

        def log_message(self, *_: object) -> None:
            """Nothing: the tests have logs enough."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
