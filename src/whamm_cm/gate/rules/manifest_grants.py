"""WCM110–WCM122: what a manifest grants, and what a component can do with it."""

from __future__ import annotations

from collections.abc import Iterator

from whamm_cm.gate import wasmcloud as host
from whamm_cm.gate.context import Context, Hit, Rule
from whamm_cm.gate.manifest import Text
from whamm_cm.gate.model import Subject
from whamm_cm.gate.placement import Placement
from whamm_cm.gate.rules.manifest import of_component, of_workload

_HTTP = frozenset({"wasi:http/outgoing-handler", "wasi:http/client"})
_LOOKUP = frozenset({"wasi:sockets/ip-name-lookup"})
_SOCKETS = frozenset({"wasi:sockets/tcp", "wasi:sockets/udp", "wasi:sockets/types"})
#: Functions that leave the component, of 0.2 and 0.3.
_CONNECTS = frozenset({
    "tcp-socket.start-connect", "tcp-socket.connect", "udp-socket.stream", "udp-socket.connect",
    "udp-socket.send",
})  # fmt: skip
_FILES = frozenset({"wasi:filesystem/types"})
#: Functions that touch what a volume holds; asking for the preopened directories is no use yet.
_OPENS = frozenset({"descriptor.open-at"})


def _imports(subject: Subject, placement: Placement, interfaces: frozenset[str]) -> bool:
    """Whether the host is asked for one of them."""
    return any(
        row.interface in interfaces and host.exporters(row, placement.subjects) != 1
        for row in subject.imports
    )


def _reached(
    subject: Subject,
    placement: Placement,
    interfaces: frozenset[str],
    names: frozenset[str] | None = None,
) -> str:
    """The first of these functions that the component can call, "" if there is none."""
    for row, function in subject.functions():
        if (
            row.interface in interfaces
            and function.reachable
            and (names is None or function.name in names)
            and host.exporters(row, placement.subjects) != 1
        ):
            return f"{row.item}#{function.name}"
    return ""


@of_component
def _http_denied(context: Context, placement: Placement) -> Iterator[Hit]:
    found = _reached(context.subject, placement, _HTTP)
    if found and not placement.item.allowed_hosts:
        text = f"{found} is reachable and {placement.item.name} has no allowedHosts"
        yield Hit(found, text, placement.item.resources)


@of_component
def _sockets_denied(context: Context, placement: Placement) -> Iterator[Hit]:
    found = _reached(context.subject, placement, _SOCKETS, _CONNECTS)
    if found and not placement.item.allowed_hosts and not placement.item.loopback_ports:
        text = f"{found} is reachable and {placement.item.name} has no allowedHosts"
        yield Hit(found, text, placement.item.resources)


@of_component
def _egress_unused(context: Context, placement: Placement) -> Iterator[Hit]:
    item, subject = placement.item, context.subject
    rows: tuple[tuple[str, tuple[Text, ...], frozenset[str], str], ...] = (
        ("allowedHosts", item.allowed_hosts, _HTTP | _SOCKETS, "outgoing HTTP and sockets"),
        ("allowedIpNameLookups", item.lookups, _LOOKUP, "wasi:sockets/ip-name-lookup"),
        ("allowedHostLoopbackPorts", item.loopback_ports, _SOCKETS, "sockets"),
    )
    for key, given, interfaces, what in rows:
        if given and not _imports(subject, placement, interfaces):
            text = f"{item.name} has {key}, but does not import {what}"
            yield Hit(key, text, given[0].location)


@of_component
def _egress_any(_: Context, placement: Placement) -> Iterator[Hit]:
    item = placement.item
    for key, given, what in (
        ("allowedHosts", item.allowed_hosts, "talk to any host"),
        ("allowedIpNameLookups", item.lookups, "look up any name"),
    ):
        for one in given:
            if one.text == "*":
                yield Hit(key, f'"*" in {key} lets {item.name} {what}', one.location)


@of_component
def _lookup_denied(context: Context, placement: Placement) -> Iterator[Hit]:
    found = _reached(context.subject, placement, _LOOKUP)
    if found and not placement.item.lookups:
        text = f"{found} is reachable and {placement.item.name} has no allowedIpNameLookups"
        yield Hit(found, text, placement.item.resources)


@of_component
def _otel(context: Context, placement: Placement) -> Iterator[Hit]:
    for row in context.subject.imports:
        if host.split(row.interface)[0] != "wasi:otel":
            continue
        if placement.item.kind == "service":
            text = f"{row.label} is imported by a service, for which hosts do not bind wasi:otel"
        else:
            text = f"{row.label} is imported; hosts have it only with --wasi-otel"
        yield Hit(row.item, text, placement.item.location)


@of_component
def _no_volume(context: Context, placement: Placement) -> Iterator[Hit]:
    found = _reached(context.subject, placement, _FILES, _OPENS)
    if found and not placement.item.mounts:
        text = f"{found} is reachable and {placement.item.name} mounts no volume"
        yield Hit(found, text, placement.item.resources)


@of_component
def _volume_unused(context: Context, placement: Placement) -> Iterator[Hit]:
    mounts = placement.item.mounts
    if not mounts or _reached(context.subject, placement, _FILES):
        return
    imported = _imports(context.subject, placement, _FILES)
    why = "cannot reach wasi:filesystem" if imported else "does not import wasi:filesystem"
    for mount in mounts:
        text = f'{placement.item.name} mounts "{mount.volume}" at {mount.path}, but {why}'
        yield Hit(mount.volume.text, text, mount.volume.location)


@of_component
def _config_secrets(context: Context, placement: Placement) -> Iterator[Hit]:
    secrets = placement.item.secrets
    for row in context.subject.imports:
        if secrets is not None and host.split(row.interface)[0] == "wasi:config":
            text = f"the secrets in the environment of {placement.item.name} show up in {row.label}"
            yield Hit(row.item, text, secrets)


@of_component
def _tag(_: Context, placement: Placement) -> Iterator[Hit]:
    image = placement.item.image
    name, at, digest = image.text.partition("@")
    if at or image.text.startswith("artifact://"):
        return
    tag = name.rpartition("/")[2].partition(":")[2]
    how = f'the tag "{tag}"' if tag else "no tag, which means latest,"
    text = f"{image} is deployed by {how} instead of a digest"
    yield Hit(image.text, text, image.location)


@of_component
def _instrumented(context: Context, placement: Placement) -> Iterator[Hit]:
    if context.subject.stamp is not None and not context.holds("clean"):
        image = placement.item.image
        text = f"{placement.item.name} ({image}) is an instrumented component"
        yield Hit(placement.item.name, text, image.location)


def _oddities(refused: bool, placement: Placement) -> Iterator[Hit]:
    for one in placement.workload.oddities:
        if one.refused is refused:
            yield Hit(one.item, one.message, one.location)


@of_workload
def _unknown_field(_: Context, placement: Placement) -> Iterator[Hit]:
    yield from _oddities(False, placement)
    if not host.does(placement.release, "reclaim"):
        for item in placement.workload.items:
            for field in item.later:
                text = f"{field} in a component is known from wasmCloud {host.SINCE['reclaim']} on"
                yield Hit(field.text, text, field.location)


@of_workload
def _undeclared(_: Context, placement: Placement) -> Iterator[Hit]:
    for item in placement.workload.items:
        for mount in item.mounts:
            name = mount.volume.text
            if name not in placement.workload.volumes:
                text = f'{item.name} mounts the volume "{name}", which is not defined'
                yield Hit(name, text, mount.volume.location)


@of_workload
def _refused(_: Context, placement: Placement) -> Iterator[Hit]:
    return _oddities(True, placement)


RULES = (
    Rule("WCM110", "http-denied", "warning",
         "Outgoing HTTP is reachable and allowedHosts is empty.",
         "No allowedHosts means none on a cluster, and in `wash dev` what its configuration says.",
         "List the hosts in localResources.allowedHosts.", _http_denied),
    Rule("WCM111", "sockets-denied", "note",
         "Outgoing sockets are reachable and allowedHosts is empty.",
         "Without allowedHosts sockets reach nothing but the loopback of the workload itself.",
         "List the hosts in localResources.allowedHosts.", _sockets_denied),
    Rule("WCM112", "egress-unused", "warning",
         "Hosts, names or ports are allowed to a component that cannot use them.",
         "A grant that nobody needs is one that the next release can use unnoticed.",
         "Remove the list.", _egress_unused),
    Rule("WCM113", "egress-any", "warning",
         "A list of hosts or names has \"*\".",
         "It allows everything, the addresses of the cluster included.",
         "List the hosts; `*.example.com` is any host of a domain.", _egress_any),
    Rule("WCM114", "lookup-denied", "warning",
         "Name lookup is reachable and allowedIpNameLookups is empty.",
         "Every lookup then fails for good; allowedHosts does not allow lookups. HTTP needs none.",
         "List the names in localResources.allowedIpNameLookups.", _lookup_denied),
    Rule("WCM115", "otel-option", "warning",
         "wasi:otel is imported.",
         "Hosts have it only when started with --wasi-otel, and never for a service.",
         "Start the hosts with --wasi-otel, or build without it.", _otel),
    Rule("WCM116", "filesystem-empty", "note",
         "Files are reachable and no volume is mounted.",
         "Without a volume there is no directory to open; every attempt fails.",
         "Mount a volume, if the component needs files.", _no_volume),
    Rule("WCM117", "volume-unused", "warning",
         "A volume is mounted that the component cannot use.",
         "No export can reach wasi:filesystem.",
         "Remove the mount.", _volume_unused),
    Rule("WCM118", "config-secrets", "warning",
         "wasi:config is imported and the environment takes from secrets.",
         "The host copies the environment into wasi:config, where get-all hands it out as a whole.",
         "Hand out secrets by wasmcloud:secrets.", _config_secrets),
    Rule("WCM119", "image-tag", "warning",
         "An image is named by its tag instead of its digest.",
         "A tag can be moved; what runs is then not what the gate has seen.",
         "Write the image as name@sha256:….", _tag),
    Rule("WCM120", "instrumented-deployed", "error",
         "The manifest deploys an instrumented component.",
         "Probes cost time, and what they record leaves the component.",
         "Deploy the original.", _instrumented),
    Rule("WCM121", "field-unknown", "warning",
         "The manifest has a field that wasmCloud does not know.",
         "The cluster drops it or refuses the manifest; what it was to say is not said.",
         "Correct the name, or remove it.", _unknown_field),
    Rule("WCM122", "manifest-refused", "error",
         "The cluster refuses what the manifest says.",
         "Admission and the host check patterns and names.",
         "Correct the value.", _refused),
    Rule("WCM127", "volume-undeclared", "warning",
         "A volume is mounted that the workload does not define.",
         "Hosts start the workload all the same, and the component finds no directory there.",
         "Define it under volumes, or remove the mount.",
         _undeclared),
)  # fmt: skip
