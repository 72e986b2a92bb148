"""wasmCloud v2 manifests → workloads, with the line of everything that rules speak of.

``Workload``, ``WorkloadReplicaSet`` and ``WorkloadDeployment`` of the group
``runtime.wasmcloud.dev/v1alpha1``, in any number of documents or lists; other kinds are passed
over.  What cannot be understood is an InputError with line and column; what the cluster would
refuse or drop is kept as :class:`Oddity`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Literal, TypeAlias, TypeVar

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError, UsageError, unreadable
from whamm_cm.gate.model import Location
from whamm_cm.gate.yamldoc import Node, load_all, read, unknown

GROUP = "runtime.wasmcloud.dev"
VERSION = "v1alpha1"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Text:
    """A string and where it stands."""

    text: str
    location: Location

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class HostInterface:
    """An entry of ``hostInterfaces``; ``version`` and ``name`` are "" where not given.  ``host``:
    of its config, None where there is none; ``supplied``: objects of the cluster may add to it."""

    package: str
    interfaces: tuple[Text, ...]
    version: str
    name: str
    location: Location
    host: str | None = None
    supplied: bool = False

    def __str__(self) -> str:
        version = f"@{self.version}" if self.version else ""
        return f"{self.package}{version}" + (f" ({self.name})" if self.name else "")

    @property
    def listed(self) -> frozenset[str]:
        return frozenset(one.text for one in self.interfaces)


@dataclass(frozen=True, slots=True)
class Mount:
    volume: Text
    path: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Deployed:
    """A component of a workload, or its service (``name`` is then ``service``).

    ``resources``: where ``localResources`` stands, else the whole entry.  ``secrets``: where the
    environment takes from secrets, None if it does not.  ``later``: fields that only newer
    releases know.
    """

    kind: Literal["component", "service"]
    name: str
    image: Text
    location: Location
    resources: Location
    allowed_hosts: tuple[Text, ...] = ()
    lookups: tuple[Text, ...] = ()
    loopback_ports: tuple[Text, ...] = ()
    mounts: tuple[Mount, ...] = ()
    secrets: Location | None = None
    later: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class Oddity:
    """``refused``: the cluster does not take it; else it is a field nobody knows."""

    refused: bool
    item: str
    message: str
    location: Location


@dataclass(frozen=True, slots=True)
class Workload:
    """``interfaces_at``: where ``hostInterfaces`` stands, else the spec."""

    kind: str
    name: str
    location: Location
    components: tuple[Deployed, ...]
    service: Deployed | None
    interfaces: tuple[HostInterface, ...]
    interfaces_at: Location
    oddities: tuple[Oddity, ...] = ()
    volumes: frozenset[str] = frozenset()

    @property
    def items(self) -> tuple[Deployed, ...]:
        return self.components + ((self.service,) if self.service else ())


def read_manifest(path: str) -> tuple[Workload, ...]:
    """The workloads of a file.  Raises InputError."""
    try:
        data = read(path)
    except OSError as error:
        raise unreadable(path, error) from None
    except ValueError:
        raise InputError(f"{path!r} is no name of a file") from None
    return parse_manifest(data, path)


def parse_manifest(data: bytes, file: str) -> tuple[Workload, ...]:
    """``file`` names it in locations and errors."""
    documents = load_all(data, file, InputError)
    try:
        objects = [one for node in documents for one in _objects(node)]
        artifacts = dict(filter(None, (_artifact(one) for one in objects)))
        found = tuple(filter(None, (_workload(one, artifacts) for one in objects)))
    except UsageError as error:
        # Nodes blame the user; a manifest is an input.
        raise InputError(str(error)) from None
    if not found:
        raise InputError(f"{file}: {_nothing(objects)}")
    return found


def _nothing(objects: list[_Object]) -> str:
    kinds = ", ".join(dict.fromkeys(one.kind for one in objects))
    if any(one.group == "core.oam.dev" for one in objects):
        return "a manifest of wasmCloud v1 (wadm); the gate reads WorkloadDeployments of v2"
    looked = f" (it has {kinds})" if kinds else ""
    return f"no Workload, WorkloadReplicaSet or WorkloadDeployment in it{looked}"


# objects


@dataclass(frozen=True, slots=True)
class _Object:
    group: str
    version: Node
    kind: str
    entries: Mapping[str, Node]
    node: Node

    @property
    def name(self) -> str:
        metadata = _section(self.entries, "metadata", "metadata")
        name = metadata.get("name")
        return "" if name is None else name.string("metadata.name")


def _objects(node: Node) -> Iterator[_Object]:
    """A document, or what a list in it has."""
    pending = [node]
    while pending:
        one = pending.pop()
        entries = one.mapping("a Kubernetes object")
        for key in ("apiVersion", "kind"):
            if key not in entries:
                raise one.fail(f'no "{key}", so this is no Kubernetes object')
        kind = entries["kind"].string("kind")
        if kind.endswith("List") and "items" in entries:
            pending.extend(reversed(entries["items"].items("items")))
            continue
        group = entries["apiVersion"].string("apiVersion").rpartition("/")[0]
        yield _Object(group, entries["apiVersion"], kind, entries, one)


def _artifact(found: _Object) -> tuple[str, Text] | None:
    if (found.group, found.kind) != (GROUP, "Artifact"):
        return None
    spec = _section(found.entries, "spec", "spec")
    if "image" not in spec:
        raise found.node.fail('an Artifact needs "image" in its spec')
    return found.name, _text(spec["image"], "image")


def _workload(found: _Object, artifacts: Mapping[str, Text]) -> Workload | None:
    if found.group != GROUP or found.kind not in _SPECS:
        return None
    if not found.version.text.endswith(f"/{VERSION}"):
        raise found.version.fail(
            f"{found.version.text} is not known; this is for {GROUP}/{VERSION}"
        )
    return _Reader(artifacts).workload(found)


# the parts of a workload

_TEMPLATE = ("annotations", "labels", "spec")
_REPLICAS = ("replicas", "template")
#: kind → keys of its own spec; () where that is the workload's.
_SPECS: dict[str, tuple[str, ...]] = {
    "Workload": (),
    "WorkloadReplicaSet": _REPLICAS,
    "WorkloadDeployment": (*_REPLICAS, "deployPolicy", "artifacts", "kubernetes"),
}
_WORKLOAD = ("hostSelector", "hostId", "environment", "components", "hostInterfaces", "service",
             "volumes", "kubernetes")  # fmt: skip
_IMAGE = ("image", "imagePullSecret", "imagePullPolicy", "localResources")
_COMPONENT = ("name", *_IMAGE, "poolSize", "maxInvocations", "maxConcurrency")
#: Not known to the first releases (wasmcloud.SINCE).
RECLAIM = ("reclaimWindowSeconds", "reclaimMinInstances")
_SERVICE = (*_IMAGE, "maxRestarts")
_LAYER = ("configFrom", "secretFrom", "config")
_RESOURCES = ("volumeMounts", "environment", "config", "allowedHosts", "allowedIpNameLookups",
              "allowedHostLoopbackPorts")  # fmt: skip
_NUMBERS = ("replicas", "poolSize", "maxInvocations", "maxConcurrency", "maxRestarts", *RECLAIM)
_INTERFACE = (*_LAYER, "name", "namespace", "package", "interfaces", "version")

_Entries: TypeAlias = Mapping[str, Node]


class _Reader:
    def __init__(self, artifacts: Mapping[str, Text]) -> None:
        self.artifacts = artifacts
        self.aliases: dict[str, Text] = {}
        self.oddities: list[Oddity] = []

    def workload(self, found: _Object) -> Workload:
        node = _needed(found.node, found.entries, "spec", f"a {found.kind}")
        if _SPECS[found.kind]:
            spec = self.known(node, "spec", _SPECS[found.kind])
            self.numbers(spec)
            self.name_artifacts(spec)
            template = _needed(node, spec, "template", "spec")
            inner = self.known(template, "spec.template", _TEMPLATE)
            node = _needed(template, inner, "spec", "spec.template")
        entries = self.known(node, "the workload's spec", _WORKLOAD)
        components = tuple(self.deployed(one, "component") for one in _list(entries, "components"))
        service = entries.get("service")
        at = node.keys.get("hostInterfaces", node.location)
        interfaces = tuple(self.interface(one) for one in _list(entries, "hostInterfaces"))
        read = Workload(
            found.kind,
            found.name,
            found.node.location,
            components,
            self.deployed(service, "service") if service and service.value is not None else None,
            interfaces,
            at,
        )
        volumes = self.volumes(entries)
        self.doubles(interfaces)
        return replace(read, oddities=tuple(self.oddities), volumes=volumes)

    def known(self, node: Node, what: str, keys: tuple[str, ...]) -> _Entries:
        """The entries that mean something; the API server drops the others or refuses them."""
        entries = node.mapping(what)
        for key in entries:
            if key not in keys:
                text = f"{unknown('field', key, keys).split(' (known')[0]} in {what}"
                self.odd(False, key, text, node.keys[key])
        return entries

    def odd(self, refused: bool, item: str, message: str, location: Location) -> None:
        self.oddities.append(Oddity(refused, item, message, location))

    def numbers(self, entries: _Entries) -> None:
        """The API server takes no text for a number."""
        for key in _NUMBERS:
            node = entries.get(key)
            if node is not None and node.value is not None and type(node.value) is not int:
                text = f"{key} must be a whole number, not {node.kind}"
                self.odd(True, key, text, node.location)

    def config(self, entries: _Entries, what: str) -> _Entries:
        """The section ``config``; the API server takes nothing but text for what is in it."""
        found = _section(entries, "config", what)
        for key, node in found.items():
            if node.value is not None and not isinstance(node.value, str):
                text = f"{key} in {what} must be text; put it in quotes"
                self.odd(True, key, text, node.location)
        return found

    def name_artifacts(self, spec: _Entries) -> None:
        for node in _list(spec, "artifacts"):
            entries = self.known(node, "an artifact", ("name", "artifactFrom"))
            source = _needed(node, entries, "artifactFrom", "an artifact")
            name = _needed(node, entries, "name", "an artifact").string("name")
            target = _needed(source, source.mapping("artifactFrom"), "name", "artifactFrom")
            image = self.artifacts.get(target.string("name"))
            if image is not None:
                self.aliases[name] = image

    def deployed(self, node: Node, kind: Literal["component", "service"]) -> Deployed:
        component = kind == "component"
        entries = self.known(node, f"a {kind}", (*_COMPONENT, *RECLAIM) if component else _SERVICE)
        self.numbers(entries)
        later = tuple(Text(key, node.keys[key]) for key in RECLAIM if component and key in entries)
        name = "service"
        if component:
            name = _needed(node, entries, "name", "a component").string("name")
        image = _text(_needed(node, entries, "image", f"a {kind}"), "image")
        image = self.aliases.get(image.text.removeprefix("artifact://"), image)
        resources = entries.get("localResources")
        found = Deployed(kind, name, image, node.location, node.location, later=later)
        if resources is None or resources.value is None:
            return found
        return self.resources(found, resources, node.keys["localResources"])

    def resources(self, found: Deployed, node: Node, at: Location) -> Deployed:
        entries = self.known(node, "localResources", _RESOURCES)
        self.config(entries, "config")
        layer = entries.get("environment")
        secrets = None
        if layer is not None and layer.value is not None:
            inner = self.known(layer, "environment", _LAYER)
            self.config(inner, "environment.config")
            _list(inner, "configFrom")
            if _list(inner, "secretFrom"):
                secrets = layer.keys["secretFrom"]
        return replace(
            found,
            resources=at,
            allowed_hosts=self.texts(entries, "allowedHosts", _is_host_pattern),
            lookups=self.texts(entries, "allowedIpNameLookups", _is_lookup_pattern),
            loopback_ports=self.texts(entries, "allowedHostLoopbackPorts", _is_port_pattern),
            mounts=tuple(self.mount(one) for one in _list(entries, "volumeMounts")),
            secrets=secrets,
        )

    def texts(
        self, entries: _Entries, key: str, valid: Callable[[str], str | None]
    ) -> tuple[Text, ...]:
        found = tuple(_text(one, f"an entry of {key}") for one in _list(entries, key))
        for one in found:
            wanted = valid(one.text)
            if wanted:
                text = f'{key} has "{one}"; expected {wanted}'
                self.odd(True, one.text, text, one.location)
        return found

    def mount(self, node: Node) -> Mount:
        what = "an entry of volumeMounts"
        entries = self.known(node, what, ("name", "mountPath", "readOnly"))
        volume = _text(_needed(node, entries, "name", what), "name")
        path = _needed(node, entries, "mountPath", what).string("mountPath")
        only = entries.get("readOnly")
        if only is not None and not isinstance(only.value, bool):
            raise only.fail(f"readOnly must be true or false, not {only.kind}")
        return Mount(volume, path, only is not None and only.value is True)

    def interface(self, node: Node) -> HostInterface:
        what = "an entry of hostInterfaces"
        entries = self.known(node, what, _INTERFACE)
        space, package = (
            _needed(node, entries, key, what).string(key) for key in ("namespace", "package")
        )
        names = tuple(_text(one, "an interface") for one in _list(entries, "interfaces"))
        config = self.config(entries, "config")
        found = HostInterface(
            f"{space}:{package}",
            names,
            _optional(entries, "version"),
            _optional(entries, "name"),
            node.location,
            config["host"].text.strip() or None if "host" in config else None,
            any(_list(entries, key) for key in ("configFrom", "secretFrom")),
        )
        if not names:
            text = f"the entry for {found} lists no interfaces"
            self.odd(True, found.package, text, node.location)
        if found.name and not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", found.name):
            text = f'"{found.name}" is no name for an entry; expected a-z, 0-9 and "-"'
            self.odd(True, found.name, text, entries["name"].location)
        return found

    def volumes(self, entries: _Entries) -> frozenset[str]:
        named: dict[str, None] = {}
        for node in _list(entries, "volumes"):
            inner = self.known(node, "a volume", ("name", "ephemeral", "hostPath"))
            named[_needed(node, inner, "name", "a volume").string("name")] = None
        return frozenset(named)

    def doubles(self, interfaces: Iterable[HostInterface]) -> None:
        first: dict[tuple[str, str, str], HostInterface] = {}
        for one in interfaces:
            key = one.package, one.name, one.version
            before = first.setdefault(key, one)
            # Two without a name have a rule of their own.
            if before is not one and one.name:
                text = f"{one} stands there already, on line {before.location.line}"
                self.odd(True, str(one), text, one.location)


def _needed(node: Node, entries: _Entries, key: str, what: str) -> Node:
    if key not in entries or entries[key].value is None:
        raise node.fail(f'{what} needs "{key}"')
    return entries[key]


def _list(entries: _Entries, key: str) -> list[Node]:
    node = entries.get(key)
    return [] if node is None or node.value is None else node.items(key)


def _section(entries: _Entries, key: str, what: str) -> _Entries:
    node = entries.get(key)
    return {} if node is None or node.value is None else node.mapping(what)


def _optional(entries: _Entries, key: str) -> str:
    node = entries.get(key)
    return "" if node is None or node.value in (None, "") else node.string(key)


def _text(node: Node, what: str) -> Text:
    return Text(node.string(what), node.location)


# what admission takes

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_SUFFIX = rf"(?:\*\.)?{_DOMAIN}"
_PORT = r"(?::[0-9]{1,5})?"
_HOST = re.compile(rf"\*|[A-Za-z][A-Za-z0-9+.-]*://{_SUFFIX}{_PORT}/?|{_SUFFIX}{_PORT}")
_LOOKUP = re.compile(rf"\*|{_SUFFIX}|[0-9A-Fa-f:.]+")
_LOOPBACK = re.compile(r"[0-9]{1,5}(?:/(?:tcp|udp|TCP|UDP))?")


def _is_host_pattern(text: str) -> str | None:
    ok = _HOST.fullmatch(text)
    return None if ok else 'a host such as "api.example.com:443" or "*.example.com", without a path'


def _is_lookup_pattern(text: str) -> str | None:
    ok = _LOOKUP.fullmatch(text)
    return None if ok else 'a name such as "api.example.com" or "*.example.com", without a port'


def _is_port_pattern(text: str) -> str | None:
    return None if _LOOPBACK.fullmatch(text) else 'a port such as "5432" or "53/udp"'
