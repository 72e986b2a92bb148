"""Every way to read the name of an import or export.

Hosts differ in what they go by: the name, the attribute ``implements``, a name without its suffix.
What denies asks about all of them.  Names whose parts contradict each other are odd, and say so.
"""

from __future__ import annotations

import re
from collections import Counter

from whamm_cm.component.nodes import ExternName
from whamm_cm.dataclass import dataclass
from whamm_cm.gate.model import Form
from whamm_cm.wit.known import INTERFACES
from whamm_cm.wit.model import full_name, interface_id, split_version
from whamm_cm.wit.names import ExternNameParts, InterfaceName, is_label
from whamm_cm.wit.semver import Version

Reading = tuple[str, str | None]

#: What looks like an interface inside a name that is none.
_PACKAGE = re.compile(r"[a-z][a-z0-9-]*(?::[a-z][a-z0-9-]*)+", re.I)
_INSIDE = re.compile(_PACKAGE.pattern + r"/[a-z][a-z0-9-]*(?:@[0-9a-z.+-]*)?", re.I)

#: So much of such a name is looked at; it is a finding anyway.
_LOOKED_AT = 1000


@dataclass(frozen=True, slots=True)
class Readings:
    """``all``: interfaces with their versions.  ``odd``: why a policy cannot go by the name, as the
    end of a sentence that starts with it; empty where it can.  ``form``: plain; label, as an
    interface that a label ``implements``; strange, as no host links it: with a version that is cut
    short, whatever follows in a suffix, or with claims that contradict each other."""

    all: tuple[Reading, ...]
    odd: str = ""
    form: Form = "plain"


def readings(name: ExternName, kind: str, inner: tuple[str, ...] = ()) -> Readings:
    """``kind``: instance func type component module value.  ``inner``: names inside of an
    instance; interfaces have only plain ones there."""
    texts = [name.name, full_name(name)]
    texts += [text for attribute, text in name.attributes if attribute != "versionsuffix"]
    texts += inner
    found: dict[Reading, None] = {}
    for text in texts:
        for reading in _interfaces(text):
            found[reading] = None
    hidden = next((text for text in inner if _interfaces(text)), None)
    odd = "" if hidden is None else f"has the interface {hidden!a} inside of it"
    said = _odd(name, kind)
    return Readings(tuple(found), said or odd, _form(name, said))


def _form(name: ExternName, odd: str) -> Form:
    """An id that nothing else contradicts is nothing to hosts."""
    if name.attribute("versionsuffix") is not None:
        return "strange"
    if name.attribute("implements") is not None:
        return "strange" if odd else "label"
    version = Version.try_parse(split_version(name.name)[1] or "")
    return "strange" if version is not None and version.patch is None else "plain"


def _interfaces(text: str) -> list[Reading]:
    parts = ExternNameParts.try_parse(text)
    if parts is not None and parts.kind == "interface":
        return [split_version(text)]
    if parts is not None and parts.kind in ("label", "method", "static", "constructor"):
        return []
    text, inside = text[:_LOOKED_AT], list[Reading]()
    for one in _INSIDE.findall(text):
        path, _, version = one.partition("@")
        inside.append((path.lower(), version or None))
    for package in _PACKAGE.findall(text):
        known = f"{package.lower()}/"
        inside += [(one, None) for one in sorted(INTERFACES) if one.startswith(known)]
    return inside


def _odd(name: ExternName, kind: str) -> str:
    twice = [key for key, count in Counter(key for key, _ in name.attributes).items() if count > 1]
    if twice:
        return f'has the attribute "{twice[0]}" more than once'
    parts = ExternNameParts.try_parse(name.name)
    if parts is not None and parts.target is not None:
        return f"names a {parts.kind} instead of an interface; what it is is decided elsewhere"
    is_interface = parts is not None and parts.kind == "interface"
    if is_interface and kind in ("func", "value", "type"):
        return f"is a {kind} by the name of an interface"
    return _implements(name, kind, is_interface) or _suffix(name) or _id(name)


def _implements(name: ExternName, kind: str, is_interface: bool) -> str:
    said = name.attribute("implements")
    if said is None:
        return ""
    if is_interface:
        return f"is an interface, and claims to be another one: {said!a}"
    if InterfaceName.try_parse(said) is None:
        return f"claims to be {said!a}, which is no interface"
    if kind != "instance" or not is_label(name.name):
        return f"claims to be the interface {said!a}, which only an instance under a label can be"
    return ""


def _id(name: ExternName) -> str:
    said = name.attribute("external-id")
    other = InterfaceName.try_parse(said) if said is not None else None
    if other is None or other.path == split_version(interface_id(name))[0]:
        return ""
    return f"has the id of another interface: {said!a}"


def _suffix(name: ExternName) -> str:
    """A suffix is what was cut off of a version: ``wasi:io/poll@0.2`` and ``.3``."""
    suffix = name.attribute("versionsuffix")
    if suffix is None:
        return ""
    cut, whole = InterfaceName.try_parse(name.name), InterfaceName.try_parse(full_name(name))
    if cut is None or cut.version is None or whole is None or cut.path != whole.path:
        return f"has a version suffix that continues no version: {suffix!a}"
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", cut.version) or suffix[:1] not in (".", "-", "+"):
        return f"has a version suffix that changes its version: {suffix!a}"
    return ""
