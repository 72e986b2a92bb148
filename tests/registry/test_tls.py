"""Registries elsewhere: over TLS, by certificates that somebody vouches for, through proxies."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.registry.server import Images, digest, serving
from whamm_cm.errors import InputError, UsageError
from whamm_cm.registry.image import World, image
from whamm_cm.registry.pull import pull
from whamm_cm.registry.push import push

#: A key and the certificate of "registry.test", which it has signed itself.
CERTIFICATE = Path(__file__).with_name("data") / "registry.test.pem"
PATH = "oci://registry.test/shop/cart:1"
SMALL = image([b"\0asm"], World())


class Proxy:
    """Leads whoever asks for any host to ``target``."""

    def __init__(self, target: str) -> None:
        host, _, port = target.partition(":")
        self.target = host, int(port)
        self.asked: list[str] = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.server.accept()
                head = b""
                while b"\r\n\r\n" not in head:
                    head += near.recv(1)
                self.asked.append(head.decode().partition("\r\n")[0])
                far = socket.create_connection(self.target)
                near.sendall(b"HTTP/1.1 200 Established\r\n\r\n")
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self.pump, args=(one, other), daemon=True).start()

    def pump(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 14):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def behind_a_proxy(images: Images) -> Iterator[Proxy]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with serving(images, context) as address:
        proxy = Proxy(address)
        yield proxy
        proxy.server.close()


def test_through_a_proxy_by_a_certificate_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    images = Images()
    with behind_a_proxy(images) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        pushed = push(PATH, SMALL)
        data, artifact = pull(PATH)
    assert data == b"\0asm" and artifact.digest == pushed.digest
    assert set(proxy.asked) == {"CONNECT registry.test:443 HTTP/1.0"} or set(proxy.asked) == {
        "CONNECT registry.test:443 HTTP/1.1"
    }
    assert digest(images.manifests["shop/cart:1"][1]) == str(pushed.digest)


def test_a_certificate_that_nobody_vouches_for(monkeypatch: pytest.MonkeyPatch) -> None:
    images = Images()
    with behind_a_proxy(images) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(UsageError, match="its certificate is not accepted \\(self-signed"):
            push(PATH, SMALL)
        with pytest.raises(InputError, match="its certificate is not accepted \\(self-signed"):
            pull(PATH)
    assert images.seen == []


def test_a_proxy_is_not_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with serving(Images()) as address:
        push(f"oci://{address}/a:1", SMALL)
        assert pull(f"oci://{address}/a:1")[0] == b"\0asm"
