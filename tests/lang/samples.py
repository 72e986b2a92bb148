"""Libraries and a WIT boundary function that scripts of these tests may speak of."""

from __future__ import annotations

from whamm_cm.lang.library import LibFunction, LibSignature
from whamm_cm.lang.load import load
from whamm_cm.lang.tree import Probe, Scripts, WitSite
from whamm_cm.lang.valtypes import I32, UNIT
from whamm_cm.wit import types as w

LIBRARIES = {
    "lib": LibSignature("lib", {"check": LibFunction((I32,), I32), "go": LibFunction((), UNIT)}),
    "mem": LibSignature("mem", {"grow": LibFunction((), UNIT)}, has_memory=True),
}

IPV4 = w.RecordT((("port", w.Prim("u16")), ("address", w.TupleT((w.Prim("u8"),) * 4))))
ADDRESS = w.Named("ip-socket-address", None, w.VariantT((("ipv4", IPV4), ("unknown", None))))
ERROR = w.EnumT(("access-denied", "timeout"))
SOCKET = w.Resource("tcp-socket", "wasi:sockets/tcp@0.2.0")
CONNECT = w.FuncT(
    (
        ("self", w.Borrow(SOCKET)),
        ("remote-address", ADDRESS),
        ("data", w.ListT(w.Prim("u8"))),
        ("name", w.Prim("string")),
        ("count", w.Prim("u32")),
        ("modes", w.FlagsT(("read", "write-all"))),
        ("maybe", w.OptionT(w.Prim("s64"))),
    ),
    w.ResultT(w.Prim("u64"), ERROR),
)


def site(type_: w.FuncT = CONNECT, func: str = "tcp-socket.start-connect") -> WitSite:
    return WitSite("import", "wasi:sockets/tcp", "0.2.0", func, "tcp-socket", "main", False, type_)


def loaded(text: str, name: str = "script.mm") -> Scripts:
    return load([(name, text)], LIBRARIES)


def at_site(text: str, where: WitSite | None = None, name: str = "script.mm") -> list[Probe]:
    """The probes that the WIT rules of a script become at a boundary function."""
    scripts = loaded(text, name)
    where = where or site()
    return [rule.at(where) for rule in scripts.wit_rules if rule.matches(where)]
