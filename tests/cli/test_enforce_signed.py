"""The gate knows a component that is held to its policy, and believes nobody but who signed it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from wasmtime import wat2wasm

from tests.cli.test_enforce import ASKING, asked, asking
from whamm_cm import load
from whamm_cm.cli.main import main
from whamm_cm.component.decode import decode
from whamm_cm.errors import UsageError, WeaveError
from whamm_cm.front.guarding import guarded
from whamm_cm.front.verdict import Verdict, policy_of
from whamm_cm.gate.guard_claim import SECTION, body_of, claim_of, facts_text, section
from whamm_cm.gate.guard_trust import sealed, signer
from whamm_cm.wasm.leb import name_bytes, unsigned

APP = bytes(asking("wasi:random/random@0.2.0"))
RULES = """version: 1
imports: { deny: ["wasi:random/random"] }
exports: { forbid: ["#ask"] }
"""


class Desk:
    """A folder with a policy and two keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.policy = folder / "policy.yaml"
        self.policy.write_text(RULES)
        self.key, self.pub = self.pair("release", Ed25519PrivateKey.generate())
        self.other, self.other_pub = self.pair("other", Ed25519PrivateKey.generate())

    def pair(self, name: str, key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> list[Path]:
        files = [self.folder / f"{name}.pem", self.folder / f"{name}.pub.pem"]
        files[0].write_bytes(key.private_bytes(
            ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption()))  # fmt: skip
        files[1].write_bytes(key.public_key().public_bytes(
            ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo))  # fmt: skip
        return files

    def guarded(self, key: Path | None = None, mode: str = "deny", app: bytes = APP) -> bytes:
        found = guarded(app, "app.wasm", policy_of(self.policy), mode, "none")  # type: ignore[arg-type]
        return b"".join(found.signed(signer(str(key)) if key else None))

    def judged(self, wasm: bytes, *trust: Path, policy: Path | None = None) -> Verdict:
        return load(wasm, "app.wasm").gate(policy or self.policy, trust=trust)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def rules(verdict: Verdict) -> list[str]:
    return sorted({one.rule for one in verdict.findings})


def why(verdict: Verdict) -> str:
    (found,) = [one.message for one in verdict.findings if one.rule == "WCM042"]
    return found.removesuffix("; it is judged as if it had none")


def test_what_the_guard_denies_is_no_finding_and_all_else_is(desk: Desk) -> None:
    wasm = desk.guarded(desk.key)
    assert asked(wasm)[2] == 0
    assert rules(desk.judged(APP, desk.pub)) == ["WCM010", "WCM031"]
    found = desk.judged(wasm, desk.other_pub, desk.pub)
    assert rules(found) == ["WCM031"]  # no guard forbids an export
    (one,) = found.report.components
    key = load_pub(desk.pub)
    name = hashlib.sha256(key).hexdigest()[:16]
    assert one.guard.startswith("guarded by this policy (whamm-cm 0.")
    assert one.guard.endswith(f", signed by release.pub.pem, ed25519:{name})")
    assert f"  {one.guard}\n" in found.text("table")
    assert "\n- `app.wasm` is guarded by this policy (" in found.text("markdown")
    assert json.loads(found.text("json"))["components"][0]["guard"] == one.guard


def load_pub(path: Path) -> bytes:
    body = "".join(path.read_text().splitlines()[1:-1])
    return base64.b64decode(body)[-32:]


def custom(name: str, content: bytes) -> bytes:
    whole = name_bytes(name) + content
    return b"\0" + unsigned(len(whole)) + whole


def parts(wasm: bytes) -> tuple[bytes, bytes]:
    """What stands before the guard's section, and the section."""
    at = wasm.rindex(SECTION.encode())
    at = next(k for k in range(at, 0, -1) if wasm[k] == 0 and at - k <= 4)
    return wasm[:at], wasm[at:]


def facts_of(wasm: bytes) -> str:
    claim = claim_of(wasm, decode(wasm))
    assert claim is not None
    return claim.facts


def reclaimed(wasm: bytes, **facts: object) -> bytes:
    """With other facts, and the signature of the old ones."""
    before, own = parts(wasm)
    claim = claim_of(wasm, decode(wasm))
    assert claim is not None
    new = facts_text({**json.loads(claim.facts), **facts})
    return before + section(new, (claim.key, claim.signature))


def wrapped(wasm: bytes) -> bytes:
    return bytes(wat2wasm("(component)")) + b"\4" + unsigned(len(wasm)) + wasm


ATTACKS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a byte": (lambda w: w.replace(b"get-random-u64", b"get-random-u65"), "it was changed since"),
    "a section in front": (lambda w: w[:8] + custom("x", b"") + w[8:], "it was changed since"),
    "a section before the last": (
        lambda w: custom("x", b"").join(parts(w)), "it was changed since"),
    "a section behind": (lambda w: w + custom("x", b""), "something was added behind the guard"),
    "moved to the front": (
        lambda w: w[:8] + parts(w)[1] + parts(w)[0][8:], "something was added behind the guard"),
    "twice": (lambda w: w + parts(w)[1], "it says 2 times that it is guarded"),
    "of another component": (
        lambda w: bytes(wat2wasm("(component)")) + parts(w)[1], "it was changed since"),
    "wrapped": (wrapped, "what is around it is not"),
    "wrapped, with its section outside, too": (
        lambda w: wrapped(w) + parts(w)[1], "it was changed since"),
    "other facts": (lambda w: reclaimed(w, holds=["exports"]), "it was changed since"),
    "no JSON": (lambda w: parts(w)[0] + custom(SECTION, b"\xff{"), "is not signed"),
    "its signature taken off": (
        lambda w: parts(w)[0] + section(facts_of(w), None), "its guard is not signed"),
    "a signature that is none": (
        lambda w: parts(w)[0] + custom(SECTION, facts_of(w).encode() + b'\n{"ed25519":1}'),
        "its guard is not signed"),
}  # fmt: skip


@pytest.mark.parametrize(("attack", "said"), ATTACKS.values(), ids=ATTACKS)
def test_what_was_changed_is_not_believed(
    attack: Callable[[bytes], bytes], said: str, desk: Desk
) -> None:
    wasm = desk.guarded(desk.key)
    assert rules(desk.judged(wasm, desk.pub)) == ["WCM031"]
    found = desk.judged(attack(wasm), desk.pub)
    assert said in why(found)
    assert "WCM041" in rules(found) or not found.report.components[0].subject.imports
    assert found.report.components[0].guard == ""


def test_the_same_length_in_every_place(desk: Desk) -> None:
    """Whatever bit is turned, the signature does not fit any more."""
    wasm = desk.guarded(desk.key)
    before, own = parts(wasm)
    claim = claim_of(wasm, decode(wasm))
    assert claim is not None and body_of(wasm, len(before)) == claim.body
    for at in range(8, len(before), 997):
        bad = before[:at] + bytes((before[at] ^ 1,)) + before[at + 1 :]
        assert hashlib.sha256(bad).hexdigest() != claim.body


def test_who_is_not_trusted_is_not_believed(desk: Desk) -> None:
    wasm = desk.guarded(desk.key)
    every = ["WCM010", "WCM031", "WCM041", "WCM042"]
    for found, said in (
        (desk.judged(desk.guarded(), desk.pub), "its guard is not signed (whamm-cm enforce --key)"),
        (desk.judged(wasm), ", and no key is trusted (--trust)"),
        (desk.judged(wasm, desk.other_pub), ", which is not among the trusted keys"),
        (desk.judged(desk.guarded(desk.other), desk.pub), "which is not among the trusted keys"),
    ):
        assert said in why(found) and rules(found) == every


def test_a_signature_of_something_else_is_none(desk: Desk) -> None:
    """The key may have signed the very bytes: for another purpose, by WebAssembly's signatures."""
    wasm = desk.guarded()
    before, _ = parts(wasm)
    facts = facts_of(wasm)
    key = signer(str(desk.key))
    raw = load_pub(desk.pub).hex()
    for message in (before, hashlib.sha256(before).digest(),
                    b"wasmsig\1\1\1" + hashlib.sha256(before[8:]).digest()):  # fmt: skip
        forged = before + section(facts, (raw, key.sign(message).hex()))
        assert "it was changed since" in why(desk.judged(forged, desk.pub))
    good = before + section(facts, sealed(key, body_of(before), facts))
    assert rules(desk.judged(good, desk.pub)) == ["WCM031"]


def test_signatures_of_webassembly_can_come_and_go(desk: Desk) -> None:
    wasm = desk.guarded(desk.key)
    signed = wasm[:8] + custom("signature", b"\1\1\1\0") + wasm[8:]
    assert rules(desk.judged(signed, desk.pub)) == ["WCM031"]
    second = wasm[:8] + custom("signature", b"") * 2 + wasm[8:]
    assert "it was changed since" in why(desk.judged(second, desk.pub))


def test_another_policy(desk: Desk) -> None:
    wasm = desk.guarded(desk.key)
    more = desk.folder / "more.yaml"
    more.write_text(RULES + "# harmless\n")
    found = desk.judged(wasm, desk.pub, policy=more)
    assert why(found).startswith("its guard is of another policy: policy.yaml (sha256 ")
    assert "and this is more.yaml (sha256 " in why(found) and "WCM010" in rules(found)
    same = desk.folder / "same.yaml"
    same.write_text(RULES)
    assert rules(desk.judged(wasm, desk.pub, policy=same)) == ["WCM031"]
    base = desk.folder / "base.yaml"
    base.write_text("version: 1\nextends: [policy.yaml]\n")
    assert "of another policy" in why(desk.judged(wasm, desk.pub, policy=base))
    found = load(wasm, "app.wasm").gate(trust=[desk.pub])
    assert "there is no policy to compare it with" in why(found)


def test_a_guard_that_only_tells(desk: Desk) -> None:
    wasm = desk.guarded(desk.key, "warn")
    found = desk.judged(wasm, desk.pub)
    assert why(found) == "its guard only tells of what would be denied (--mode warn)"
    assert "WCM010" in rules(found)


def test_a_guard_in_another_guard(desk: Desk) -> None:
    """Only what is around everything is looked at; what is inside, it guards, too."""
    inner = desk.guarded(desk.key)
    with pytest.raises(WeaveError, match="already been instrumented|held to a policy already"):
        desk.guarded(desk.key, app=inner)
    bare = APP + parts(inner)[1]
    with pytest.raises(WeaveError, match="app.wasm is held to a policy already; guard the orig"):
        desk.guarded(desk.key, app=bare)


def test_what_is_not_a_call_is_still_a_finding(desk: Desk) -> None:
    """Types and resources alone are given, not called: no guard can deny them."""
    desk.policy.write_text('version: 1\nimports: { deny: ["wasi:*/*"] }\n')
    text = ASKING.format(name="wasi:random/random@0.2.0", between="", of="random")
    extra = '(import "wasi:io/error@0.2.0" (instance (export "error" (type (sub resource)))))'
    app = bytes(wat2wasm(text.replace("(component", f"(component {extra}", 1)))
    assert rules(desk.judged(app)) == ["WCM010"]
    found = desk.judged(desk.guarded(desk.key, app=app), desk.pub)
    assert [one.item for one in found.findings] == ["wasi:io/error@0.2.0"]


def test_what_was_woven_before_it_was_guarded_is_said(desk: Desk) -> None:
    found = guarded(APP, "app.wasm", policy_of(desk.policy), "deny", "none")
    wasm = b"".join(replace(found, clean=False).signed(signer(str(desk.key))))
    assert rules(desk.judged(wasm, desk.pub)) == ["WCM031", "WCM041"]


# --- the commands --------------------------------------------------------------------------------


def test_the_commands(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    app, out = desk.folder / "app.wasm", str(desk.folder / "out.wasm")
    app.write_bytes(APP)
    desk.policy.write_text(RULES.replace("#ask", "#none"))
    rest = ["--policy", str(desk.policy)]
    assert main(["enforce", *rest, "--sink", "none", "--key", str(desk.key), "-o", out,
                 str(app)]) == 0  # fmt: skip
    capsys.readouterr()
    for _ in range(2):  # the second time out of the cache
        assert main(["gate", *rest, "--trust", str(desk.pub), out]) == 0
        assert "  guarded by this policy (" in capsys.readouterr().out
    assert main(["gate", *rest, out]) == 1
    assert "WCM042 guard-not-believed" in capsys.readouterr().out


def test_wrong_keys(desk: Desk) -> None:
    curve = desk.pair("curve", ec.generate_private_key(ec.SECP256R1()))
    locked = desk.folder / "locked.pem"
    locked.write_bytes(Ed25519PrivateKey.generate().private_bytes(
        ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.BestAvailableEncryption(b"x")))  # fmt: skip
    nothing = desk.folder / "nothing.pem"
    nothing.write_text("hello")
    for key, said in (
        (curve[0], "a key of another kind; make one with `openssl genpkey -algorithm ed25519`"),
        (locked, "has a passphrase"),
        (nothing, "is no private key in PEM"),
        (desk.pub, "is no private key in PEM"),
        (desk.folder / "gone.pem", "there is no such file"),
    ):
        with pytest.raises(UsageError, match=said):
            signer(str(key))
    for key, said in (
        (curve[1], "guards are signed with ed25519"),
        (nothing, "is no public key in PEM; `openssl pkey -pubout`"),
        (desk.key, "is no public key in PEM"),
    ):
        with pytest.raises(UsageError, match=said):
            desk.judged(APP, key)
