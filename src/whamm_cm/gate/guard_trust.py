"""Whether a guard is believed: it is whole, signed by somebody who is trusted, and of this policy.

Only this file knows the library ``cryptography`` (``whamm-cm[sign]``).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import UsageError, cut, unreadable
from whamm_cm.gate.guard_claim import message
from whamm_cm.gate.model import Claim
from whamm_cm.gate.policy import Policy

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Trusted:
    """Somebody whose guards are believed, by a ``file`` and the public ``key`` in it, in hex."""

    file: str
    key: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What is thought of a guard.  ``parts``: the sections of the policy that it holds, and
    ``clean`` where the original was not woven; ``said``: why it is not believed, or by whom."""

    believed: bool
    said: str
    parts: frozenset[str] = frozenset()


def trusted(file: str) -> Trusted:
    """A public key in PEM.  Raises UsageError."""
    serialization = _library(f"--trust {file}")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = serialization.load_pem_public_key(_read(file))
    except ValueError:
        raise UsageError(f"{file} is no public key in PEM; {_MAKE_PUBLIC}") from None
    except _unsupported() as error:
        raise UsageError(f"{file}: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{file} is a key of another kind; guards are signed with ed25519")
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return Trusted(os.path.basename(file), raw.hex())


def signer(file: str) -> Ed25519PrivateKey:
    """A private key in PEM.  Raises UsageError."""
    serialization = _library(f"--key {file}")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        key = serialization.load_pem_private_key(_read(file), None)
    except TypeError:
        raise UsageError(
            f"{file} has a passphrase; give a key without, on a pipe perhaps"
        ) from None
    except ValueError:
        raise UsageError(f"{file} is no private key in PEM; {_MAKE_KEY}") from None
    except _unsupported() as error:
        raise UsageError(f"{file}: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{file} is a key of another kind; {_MAKE_KEY}")
    return key


def sealed(key: Ed25519PrivateKey, body: str, facts: str) -> tuple[str, str]:
    """Public key and signature in hex."""
    serialization = _library("--key")
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return raw.hex(), key.sign(message(body, facts)).hex()


def standing(claim: Claim | None, policy: Policy, keys: Sequence[Trusted]) -> Standing | None:
    """What is thought of a guard by this policy and these keys; None where nobody speaks of one."""
    if claim is None:
        return None
    fault = _misplaced(claim) or _untrusted(claim, keys)
    if fault:
        return Standing(False, fault)
    facts = _facts(claim.facts)
    fault = _other(facts, policy)
    if fault:
        return Standing(False, fault)
    who = next(one for one in keys if one.key == claim.key)
    version = cut(str(facts.get("version", "?")), 40)
    return Standing(
        True,
        f"guarded by this policy (whamm-cm {version}, signed by {who.file}, {called(who.key)})",
        frozenset(str(one) for one in _list(facts, "holds")),
    )


def called(key: str) -> str:
    """What people call a key by: ``ed25519:`` and the beginning of its sha256."""
    return f"ed25519:{hashlib.sha256(bytes.fromhex(key)).hexdigest()[:16]}"


def _misplaced(claim: Claim) -> str:
    if not claim.count:
        return (
            "a component inside says that it is guarded; what is around it is not, and the guard"
            " is not looked at"
        )
    if claim.count > 1:
        return f"it says {claim.count} times that it is guarded, and there can be one guard only"
    return "" if claim.last else "something was added behind the guard's section, which is the last"


def _untrusted(claim: Claim, keys: Sequence[Trusted]) -> str:
    if not claim.signature:
        return "its guard is not signed (whamm-cm enforce --key)"
    if not keys:
        return f"its guard is signed by {called(claim.key)}, and no key is trusted (--trust)"
    if all(one.key != claim.key for one in keys):
        return f"its guard is signed by {called(claim.key)}, which is not among the trusted keys"
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(claim.key))
    try:
        key.verify(bytes.fromhex(claim.signature), message(claim.body, claim.facts))
    except InvalidSignature:
        return f"it is not what {called(claim.key)} signed: it was changed since"
    return ""


def _other(facts: dict[str, Any], policy: Policy) -> str:
    """Why a guard that is what it says does not hold this policy."""
    if facts.get("mode") != "deny":
        return "its guard only tells of what would be denied (--mode warn)"
    held = [(_text(one, "file"), _text(one, "sha256")) for one in _list(facts, "policy")]
    if not policy.sources:
        return f"its guard is of {_shown(held)}, and there is no policy to compare it with"
    if [sha for _, sha in held] != [sha for _, sha in policy.sources]:
        return (
            f"its guard is of another policy: {_shown(held)}, and this is"
            f" {_shown([(os.path.basename(file), sha) for file, sha in policy.sources])}"
        )
    return ""


def _shown(sources: Sequence[tuple[str, str]]) -> str:
    found = [f"{cut(file, 60)} (sha256 {sha[:16]})" for file, sha in sources[:3]]
    return " on ".join(found) + (" …" if len(sources) > 3 else "") or "no policy"


def _facts(text: str) -> dict[str, Any]:
    """Signed by somebody who is trusted, and of another version perhaps."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _list(facts: dict[str, Any], name: str) -> list[Any]:
    found = facts.get(name)
    return found if isinstance(found, list) else []


def _text(value: object, name: str) -> str:
    return str(value.get(name, "")) if isinstance(value, dict) else ""


def _read(file: str) -> bytes:
    try:
        with open(file, "rb") as stream:
            return stream.read(_LONGEST)
    except OSError as error:
        raise UsageError(str(unreadable(file, error))) from None


_LONGEST = 1 << 16
_MAKE_KEY = "make one with `openssl genpkey -algorithm ed25519`"
_MAKE_PUBLIC = "`openssl pkey -pubout` makes it of the private one"


def _unsupported() -> type[Exception]:
    from cryptography.exceptions import UnsupportedAlgorithm

    return UnsupportedAlgorithm


def _library(what: str) -> Any:
    """Its module of keys as files."""
    try:
        from cryptography.hazmat.primitives import serialization
    except ImportError:
        raise UsageError(f"{what} needs cryptography: pip install 'whamm-cm[sign]'") from None
    return serialization
