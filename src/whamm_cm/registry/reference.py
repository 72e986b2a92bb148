"""References to images: ``oci://registry/repository:tag`` and ``…@sha256:…``."""

from __future__ import annotations

import hashlib
import re

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError, WhammError
from whamm_cm.registry.names import SCHEME, TAG

_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
_REGISTRY = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
)
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
DOCKER_HUB = frozenset({"docker.io", "index.docker.io"})
_LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, slots=True)
class Digest:
    """``sha256:…`` in lower case; other algorithms of hashlib's sha-2 family are known, too."""

    algorithm: str
    hex: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    @staticmethod
    def try_parse(text: object) -> Digest | None:
        if not isinstance(text, str):
            return None
        algorithm, _, digits = text.partition(":")
        length = _LENGTHS.get(algorithm)
        if length is None or not re.fullmatch(rf"[0-9a-f]{{{length}}}", digits):
            return None
        return Digest(algorithm, digits)

    @staticmethod
    def of(*pieces: bytes | memoryview) -> Digest:
        found = hashlib.sha256()
        for piece in pieces:
            found.update(piece)
        return Digest("sha256", found.hexdigest())

    def matches(self, data: bytes) -> bool:
        return hashlib.new(self.algorithm, data).hexdigest() == self.hex


@dataclass(frozen=True, slots=True)
class Reference:
    """``tag`` is "" where a digest alone is given; with both, the digest counts."""

    registry: str
    repository: str
    tag: str
    digest: Digest | None

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{SCHEME}{self.registry}/{self.repository}{tag}{digest}"

    @property
    def wanted(self) -> str:
        """What to ask the registry for."""
        return str(self.digest) if self.digest else self.tag

    @property
    def host(self) -> str:
        """Whom to ask: Docker Hub's registry is not where its name leads."""
        return "registry-1.docker.io" if self.registry in DOCKER_HUB else self.registry

    @property
    def local(self) -> bool:
        """Whether the registry is on this machine, and may be spoken to without TLS."""
        host = re.sub(r":[0-9]+$", "", self.registry)
        return host.lower() in _LOCAL

    @staticmethod
    def parse(text: str, kind: type[WhammError] = InputError) -> Reference:
        """Raises ``kind`` for what is no reference with a registry."""
        body = text.removeprefix(SCHEME)
        name, at, digest_text = body.partition("@")
        registry, slash, rest = name.partition("/")
        repository, colon, tag = rest.partition(":")
        digest = Digest.try_parse(digest_text)
        fault = ""
        if not slash or not _REGISTRY.fullmatch(registry) or not _is_host(registry):
            fault = "it must start with the host of a registry"
        elif not _REPOSITORY.fullmatch(repository):
            fault = f'"{repository[:60]}" is no name of a repository (in lower case)'
        elif colon and not TAG.fullmatch(tag):
            fault = f'"{tag[:60]}" is no tag'
        elif at and digest is None:
            fault = "what follows @ must be sha256: and 64 hexadecimal digits"
        if fault:
            raise kind(
                f"{text[:200]!r} is no reference to an image: {fault};"
                " expected oci://registry/repository:tag or oci://registry/repository@sha256:…"
            )
        return Reference(registry, repository, tag or ("" if digest else "latest"), digest)


def _is_host(registry: str) -> bool:
    """Without a dot or port it could as well be the first part of a repository."""
    return "." in registry or ":" in registry or registry.lower() in _LOCAL
