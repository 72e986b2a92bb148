"""Secrets in recordings: stars in the place of what the redaction rules name.

A guest that is shown the stars again does with them what it did with the secret, as long as it only
passes it on: so all that is compared in a replay has the same stars.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

from whamm_cm.agent.layout import SECRET_NAMES
from whamm_cm.emit.model import Mode, Redact
from whamm_cm.errors import RunError
from whamm_cm.trace.secrets import Secrets, matches
from whamm_cm.wit.types import (
    ListT,
    MapT,
    OptionT,
    Prim,
    RecordT,
    ResultT,
    TupleT,
    ValType,
    VariantT,
    strip,
)

Keeping: TypeAlias = Literal["keep", "mask", "fail"]

_FAILS = (
    "which --secrets fail keeps out of the recording: --secrets mask writes stars in its place,"
    " keep the secret itself"
)


class Hiding:
    """Of one recording, or one replay.  ``hidden``: so many secret values have been met in the
    places that rules name."""

    def __init__(self, keeping: Keeping) -> None:
        self.keeping, self.hidden = keeping, 0
        self._secrets = Secrets()
        self._place = ""

    def foresee(self, words: Iterable[str], variables: Iterable[str]) -> None:
        """Take note of what is secret in what a guest is given, before it asks: its variables, and
        passwords in URLs among its words.  Raises RunError for such words where secrets are none
        of the recording, which begins with them."""
        if self.keeping == "keep":
            return
        for word in words:
            text = bytearray(word.encode())
            self._secrets.urls(text, 0, len(text))
            if self.keeping == "fail" and self._secrets.slots:
                raise RunError(f"the words for the guest pass a secret, {_FAILS}")
        for value in variables:
            self._secrets.learn(value.encode())

    def args(
        self, place: str, rule: Redact | None, params: tuple[tuple[str, ValType], ...],
        values: list[Any],
    ) -> list[Any]:  # fmt: skip
        """JSON values as they are to be written down.  Raises RunError where secrets are none of
        it; ``place`` is for that."""
        if self.keeping == "keep":
            return values
        self._place = place
        modes: list[Mode] = ["none"] * len(values)
        if rule is not None:
            gated = rule.gate is not None and _is_secret(values[rule.gate])
            modes = [
                "values" if gated and index > (rule.gate or 0) else rule.params
                for index in range(len(values))
            ]
        return [
            self._hidden(t, value, mode)
            for (_, t), value, mode in zip(params, values, modes, strict=True)
        ]

    def result(
        self, place: str, rule: Redact | None, args: list[Any], t: ValType | None, value: Any
    ) -> Any:
        if self.keeping == "keep" or t is None:
            return value
        self._place = place
        mode: Mode = "none"
        if rule is not None:
            gated = rule.gate is not None and _is_secret(args[rule.gate])
            mode = "values" if gated else rule.result
        return self._hidden(t, value, mode)

    def _hidden(self, t: ValType, value: Any, mode: Mode) -> Any:
        return self.scrubbed(value if mode == "none" else self._at(t, value, mode))

    def _at(self, t: ValType, value: Any, mode: Mode) -> Any:
        t = strip(t)
        match t:
            case Prim("string") if mode == "values":
                return self._stars(value.encode()).decode()
            case ListT(Prim("u8")):
                if mode == "values":
                    return _packed(self._stars(base64.b64decode(value["~b64"])))
            case ListT():
                return [self._at(t.element, one, mode) for one in value]
            case MapT():
                return [[key, self._at(t.value, one, mode)] for key, one in value]
            case TupleT():
                return self._tuple(t, value, mode)
            case RecordT():
                return {name: self._at(of, value[name], mode) for name, of in t.fields}
            case VariantT() | ResultT():
                cases = t.cases if isinstance(t, VariantT) else (("ok", t.ok), ("error", t.err))
                ((name, payload),) = value.items()
                of = dict(cases)[name]
                return {name: None if of is None else self._at(of, payload, mode)}
            case OptionT() if value is not None:
                if isinstance(strip(t.inner), OptionT):
                    return {"some": self._at(t.inner, value["some"], mode)}
                return self._at(t.inner, value, mode)
        return value

    def _tuple(self, t: TupleT, value: list[Any], mode: Mode) -> list[Any]:
        named = bool(t.types) and _is_text(t.types[0])
        if mode == "headers":
            if not named or not _is_secret(value[0]):
                return value
            mode = "values"
        parts = list(zip(t.types, value, strict=True))
        kept = [value[0]] if named else []
        return [*kept, *(self._at(of, one, mode) for of, one in parts[len(kept) :])]

    def _stars(self, secret: bytes) -> bytes:
        if secret and self.keeping == "fail":
            raise RunError(f"{self._place} passes a secret, {_FAILS}")
        # A replay meets the stars themselves, which are no secret.
        if secret.strip(b"*"):
            self._secrets.learn(secret)
        self.hidden += bool(secret)
        return b"*" * len(secret)

    def scrubbed(self, value: Any) -> Any:
        """JSON with the secrets that are known masked wherever they are."""
        if not self._secrets.slots:
            return value
        if isinstance(value, str):
            return self._clean(value.encode()).decode("utf-8", "replace")
        if isinstance(value, list):
            return [self.scrubbed(one) for one in value]
        if isinstance(value, dict):
            if value.keys() == {"~b64"}:
                return _packed(self._clean(base64.b64decode(value["~b64"])))
            return {name: self.scrubbed(one) for name, one in value.items()}
        return value

    def _clean(self, text: bytes) -> bytes:
        found = bytearray(text)
        self._secrets.scrub(found, 0, len(found))
        return bytes(found)


def _is_text(t: ValType) -> bool:
    found = strip(t)
    return isinstance(found, Prim) and found.name == "string"


def _is_secret(name: Any) -> bool:
    return isinstance(name, str) and any(matches(one, name.encode()) for one in SECRET_NAMES)


def _packed(raw: bytes) -> dict[str, str]:
    return {"~b64": base64.b64encode(raw).decode()}
