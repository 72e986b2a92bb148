"""Policy files → :class:`Policy`, with everything they extend.

Lists grow along ``extends``, single values and rules are overridden by the policy that extends.
Raises UsageError with file, line and column.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from whamm_cm.errors import UsageError, cut, unreadable
from whamm_cm.gate import patterns
from whamm_cm.gate.model import Location, Waiver
from whamm_cm.gate.permissions import merged, read_permissions
from whamm_cm.gate.policy import (
    Budget,
    Default,
    Exports,
    HostProfile,
    Imports,
    Judge,
    Match,
    Policy,
    Setting,
)
from whamm_cm.gate.virtual import read_virtual
from whamm_cm.gate.yamldoc import Node, load, read, unknown
from whamm_cm.wit.glob import compile_glob
from whamm_cm.wit.semver import PatternError

PROFILES = (
    "wasi-0.2",
    "wasi-0.3",
    "wasmcloud-1.9",
    "wasmcloud-2.7",
    "wasmcloud-2.8",
    "wasmcloud-2.9",
    "wasmcloud-2.10",
    "wasmtime-cli",
    "wasmtime-serve",
    "spin",
    "wasi-preview1",
)

#: How files of policies end.
SUFFIXES = (".yaml", ".yml", ".json")

_MAX_CHAIN = 32
_MAX_FILES = 100
_LEVELS = ("error", "warning", "note", "off")
_JUDGES: dict[str, Judge] = {
    "declared": "declared",
    "reachable": "reachable",
    "observed": "observed",
}
_IMPORTS = ("default", "allow", "warn", "deny")
_VERSIONS = (1, "1", "1.0")

#: id → names of the numbers it takes.
RuleTable = Mapping[str, tuple[str, ...]]


def read_policy(path: str, rules: RuleTable) -> Policy:
    """A file, or the name of a built-in profile.  ``rules``: what may stand under ``rules``.

    A file needs a path or a suffix: what lies in the working directory cannot pass for a profile.
    """
    reader = _Reader(rules)
    found = reader.read(path)
    return replace(found, sources=tuple(reader.sources))


def profile(name: str, rules: RuleTable) -> Policy:
    return _Reader(rules).profile(name)


def parse_policy(data: bytes, file: str, rules: RuleTable) -> Policy:
    """A policy from bytes; what it extends is looked for beside ``file``."""
    return _Reader(rules).policy(load(data, file), file, ())


class _Reader:
    def __init__(self, rules: RuleTable) -> None:
        self.rules = rules
        self.files = 0
        self.sources: list[tuple[str, str]] = []

    def load(self, data: bytes, file: str) -> Node:
        self.sources.append((file, hashlib.sha256(data).hexdigest()))
        return load(data, file)

    def read(self, path: str) -> Policy:
        if path in PROFILES:
            return self.profile(path)
        if not _is_file(path):
            raise UsageError(
                f"{_no_profile(path)}; a file needs its path, as in ./{cut(path)}, or ends with"
                " .yaml, .yml or .json"
            )
        return self.file(path, (), None)

    def profile(self, name: str) -> Policy:
        data = (files("whamm_cm.gate") / "profiles" / f"{name}.yaml").read_bytes()
        return self.policy(self.load(data, f"profile {name}"), f"profile {name}", ())

    def file(self, path: str, chain: tuple[str, ...], asked: Node | None) -> Policy:
        try:
            data = read(path)
        except OSError as error:
            text = str(unreadable(path, error))
            raise UsageError(f"{asked.location}: {text}" if asked else text) from None
        except ValueError:
            raise UsageError(f"{cut(path)!r} is no name of a file") from None
        return self.policy(self.load(data, path), path, chain)

    def policy(self, node: Node, file: str, chain: tuple[str, ...]) -> Policy:
        entries = node.mapping("a policy", tuple(_SECTIONS))
        if "version" not in entries:
            raise node.fail('a policy starts with "version: 1"')
        if entries["version"].value not in _VERSIONS:
            raise entries["version"].fail(
                f"policy version {entries['version'].kind} is not known; this is for version 1"
            )
        own = Policy(file)
        for key, section in entries.items():
            own = _SECTIONS[key](self, own, section, node.keys[key])
        if "extends" not in entries:
            return own
        here = (*chain, _identity(file))
        base = Policy(file)
        for one in entries["extends"].items("extends"):
            base = _over(base, self.extended(one, file, here))
        return _over(base, own)

    def extended(self, node: Node, file: str, chain: tuple[str, ...]) -> Policy:
        name = node.string("an entry of extends")
        self.files += 1
        if self.files > _MAX_FILES:
            raise node.fail(f"more than {_MAX_FILES} policies are extended")
        if name in PROFILES:
            found = self.profile(name)
            hosts = tuple(replace(host, location=node.location) for host in found.hosts)
            return replace(found, hosts=hosts)
        if not name.endswith(SUFFIXES):
            raise node.fail(f"{_no_profile(name)}; a file ends with .yaml, .yml or .json")
        path = str(Path(file).parent / name)
        if _identity(path) in chain:
            raise node.fail(f"{cut(name)} extends itself")
        if len(chain) >= _MAX_CHAIN:
            raise node.fail(f"more than {_MAX_CHAIN} policies that extend each other")
        return self.file(path, chain, node)

    # sections

    def nothing(self, policy: Policy, _: Node, __: Location) -> Policy:
        return policy

    def description(self, policy: Policy, node: Node, _: Location) -> Policy:
        return replace(policy, description=node.string("description"))

    def judge(self, policy: Policy, node: Node, _: Location) -> Policy:
        word = node.choice("judge", tuple(_JUDGES))
        return replace(policy, judge=_JUDGES[word])

    def match(self, policy: Policy, node: Node, at: Location) -> Policy:
        entries = node.mapping("match", ("image", "name", "sha256"))
        found: dict[str, str] = {}
        for key in ("image", "name"):
            if key in entries and entries[key].value is not None:
                found[key] = _glob(entries[key], f"match.{key}")
        if "/" in found.get("name", ""):
            raise entries["name"].fail(
                "match.name is a file's name alone; what is in front of it belongs to match.image"
            )
        sums: tuple[str, ...] = ()
        if "sha256" in entries and entries["sha256"].value is not None:
            sha = entries["sha256"]
            nodes = sha.items("sha256") if isinstance(sha.value, list) else [sha]
            sums = tuple(_sha256(one) for one in nodes)
        match = Match(found.get("image", ""), found.get("name", ""), sums, at)
        return replace(policy, match=match)

    def imports(self, policy: Policy, node: Node, at: Location) -> Policy:
        entries = {} if node.value is None else node.mapping("imports", _IMPORTS)
        if not entries:  # it would deny everything, until a denial is written in it
            raise UsageError(
                f"{at}: imports says nothing: write default: deny, or an allow list; `allow: []`"
                " denies everything"
            )
        said: Default | None = None
        where = at
        if "default" in entries:
            word = entries["default"].choice("imports.default", ("deny", "allow"))
            said = "deny" if word == "deny" else "allow"
            where = node.keys["default"]
        found = {
            key: patterns.lines(entries[key], f"imports.{key}")
            for key in ("allow", "warn", "deny")
            if key in entries
        }
        implied: Default = "allow" if set(found) == {"deny"} else "deny"
        imports = Imports(said, implied, **found, location=where)
        return replace(policy, imports=imports)

    def exports(self, policy: Policy, node: Node, _: Location) -> Policy:
        entries = node.mapping("exports", ("require", "forbid"))
        found = {key: patterns.lines(one, f"exports.{key}") for key, one in entries.items()}
        return replace(policy, exports=Exports(**found))

    def host(self, policy: Policy, node: Node, at: Location) -> Policy:
        entries = node.mapping("host", ("name", "links", "labels"))
        for key in ("name", "links"):
            if key not in entries:
                raise node.fail(f'host: "{key}" is missing')
        links, labels = (
            patterns.lines(entries[key], f"host.{key}") if key in entries else ()
            for key in ("links", "labels")
        )
        found = HostProfile(entries["name"].string("host.name"), links, labels, at)
        return replace(policy, hosts=(found,))

    def permissions(self, policy: Policy, node: Node, _: Location) -> Policy:
        return replace(policy, permissions=read_permissions(node))

    def virtual(self, policy: Policy, node: Node, at: Location) -> Policy:
        return replace(policy, virtual=read_virtual(node, at))

    def rules_(self, policy: Policy, node: Node, _: Location) -> Policy:
        found: dict[str, Setting] = {}
        for rule, setting in node.mapping("rules").items():
            if rule not in self.rules:
                close = unknown("rule", rule, tuple(self.rules)).split(" (known")[0]
                raise UsageError(
                    f"{node.keys[rule]}: {close}; `whamm-cm policy explain --list` has them all"
                )
            found[rule] = self.setting(rule, setting, node.keys[rule])
        return replace(policy, rules=found)

    def setting(self, rule: str, node: Node, at: Location) -> Setting:
        if not isinstance(node.value, dict):
            return Setting(_level(node), {}, at)
        names = self.rules[rule]
        entries = node.mapping(f"rules.{rule}", ("severity", *names))
        numbers = {name: entries[name].integer(name) for name in names if name in entries}
        level = _level(entries["severity"]) if "severity" in entries else None
        return Setting(level, numbers, at)

    def budgets(self, policy: Policy, node: Node, _: Location) -> Policy:
        found = []
        for item, limits in node.mapping("budgets").items():
            at = node.keys[item]
            line = patterns.parsed(item, at)
            known = ("max_calls_per_invocation", "p99_ms", "max_ms_per_invocation")
            entries = limits.mapping(f"the budget of {cut(item)}", known)
            if not entries:
                raise limits.fail(f"the budget of {cut(item)} needs one of {', '.join(known)}")
            calls, p99, most = (entries.get(key) for key in known)
            found.append(
                Budget(
                    line,
                    None if calls is None else calls.integer(known[0]),
                    None if p99 is None else p99.number(known[1]),
                    at,
                    None if most is None else most.number(known[2]),
                )
            )
        return replace(policy, budgets=tuple(found))

    def waivers(self, policy: Policy, node: Node, _: Location) -> Policy:
        return replace(policy, waivers=tuple(self.waiver(one) for one in node.items("waivers")))

    def waiver(self, node: Node) -> Waiver:
        known = ("rule", "item", "component", "reason", "expires", "owner")
        entries = node.mapping("a waiver", known)
        for key in ("rule", "reason", "expires"):
            if key not in entries:
                raise node.fail(f'a waiver needs "{key}"')
        rule = entries["rule"].string("rule")
        if rule not in self.rules:
            raise entries["rule"].fail(unknown("rule", rule, tuple(self.rules)).split(" (known")[0])
        if rule in UNWAIVABLE:
            raise entries["rule"].fail(f"{rule} is about waivers and cannot be waived")
        return Waiver(
            rule,
            _item(entries["item"], rule in _OF_IMPORTS) if "item" in entries else "*",
            _component(entries["component"]) if "component" in entries else "*",
            entries["reason"].string("reason"),
            _date(entries["expires"]),
            entries["owner"].string("owner") if "owner" in entries else "",
            node.location,
        )


#: What keeps the waivers honest.
UNWAIVABLE = ("WCM090", "WCM091", "WCM092")

#: Rules whose items are imports, or functions of them.
_OF_IMPORTS = ("WCM010", "WCM011", "WCM012", "WCM013", "WCM014", "WCM015", "WCM018", "WCM020")

_Section = Callable[[_Reader, Policy, Node, Location], Policy]

#: Every key of a policy, in the order of the documentation.
_SECTIONS: dict[str, _Section] = {
    "$schema": _Reader.nothing,
    "version": _Reader.nothing,
    "description": _Reader.description,
    "extends": _Reader.nothing,
    "match": _Reader.match,
    "judge": _Reader.judge,
    "host": _Reader.host,
    "imports": _Reader.imports,
    "exports": _Reader.exports,
    "permissions": _Reader.permissions,
    "virtual": _Reader.virtual,
    "rules": _Reader.rules_,
    "budgets": _Reader.budgets,
    "waivers": _Reader.waivers,
}


def _identity(path: str) -> str:
    return str(Path(path).resolve())


def _no_profile(name: str) -> str:
    return f"there is no profile {cut(name)!r}, but {', '.join(PROFILES)}"


def _is_file(path: str) -> bool:
    return path.endswith(SUFFIXES) or "/" in path or os.sep in path


def _glob(node: Node, what: str) -> str:
    text = node.string(what)
    if text != text.strip():
        raise node.fail(f"{what}: {cut(text)!r} has a space around it; write {cut(text.strip())!r}")
    if text.startswith("!"):
        raise node.fail(f'{what}: {cut(text)!r} would be the opposite; there is no "!" here')
    try:
        compile_glob(text)
    except PatternError as error:
        raise node.fail(str(error)) from None
    return text


def _item(node: Node, of_import: bool) -> str:
    """What a waiver is about: ``of_import`` for rules whose items are imports and exports."""
    text = node.string("item")
    if of_import or text.startswith("%"):
        tuple(patterns.checked(text, node.location, labels=True))
        return text
    return _glob(node, "item")


def _component(node: Node) -> str:
    text = _glob(node, "component")
    if text.endswith("/"):
        raise node.fail(f"component: {cut(text)!r} ends with a slash, which no component does")
    return text


def _level(node: Node) -> Any:
    return node.choice("a severity", _LEVELS)


def _sha256(node: Node) -> str:
    text = node.string("sha256").removeprefix("sha256:").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise node.fail("sha256 must be 64 hexadecimal digits")
    return text


def _date(node: Node) -> date:
    value = node.value
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, date) or isinstance(value, datetime):
        raise node.fail(f"expires must be a date such as 2027-03-01, not {node.kind}")
    return value


def _over(base: Policy, own: Policy) -> Policy:
    """``own`` on top of what it extends."""
    imports = own.imports or base.imports
    if own.imports and base.imports:
        imports = own.imports.over(base.imports)
    exports = Exports(
        base.exports.require + own.exports.require, base.exports.forbid + own.exports.forbid
    )
    virtual = own.virtual or base.virtual
    if own.virtual and base.virtual:
        virtual = own.virtual.over(base.virtual)
    rules = {**base.rules}
    for rule, setting in own.rules.items():
        rules[rule] = setting.over(rules[rule]) if rule in rules else setting
    return Policy(
        file=own.file,
        description=own.description or base.description,
        judge=own.judge or base.judge,
        match=own.match.over(base.match),
        imports=imports,
        exports=exports,
        hosts=base.hosts + own.hosts,
        permissions=merged(base.permissions, own.permissions),
        virtual=virtual,
        rules=rules,
        budgets=base.budgets + own.budgets,
        waivers=base.waivers + own.waivers,
    )
