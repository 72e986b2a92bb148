"""Interfaces of WASI, wasmCloud and Spin: what else stands in their namespaces is a mistake, or
wants to be taken for one of them."""

from __future__ import annotations

from whamm_cm.errors import nearest

_NAMES = {
    "wasi:blobstore": "blobstore container types",
    "wasi:cli": "environment exit run stderr stdin stdout terminal-input terminal-output"
    " terminal-stderr terminal-stdin terminal-stdout types",
    "wasi:clocks": "monotonic-clock system-clock timezone types wall-clock",
    "wasi:config": "runtime store",
    "wasi:filesystem": "preopens types",
    "wasi:http": "client handler incoming-handler outgoing-handler types",
    "wasi:io": "error poll streams",
    "wasi:keyvalue": "atomics batch store watcher",
    "wasi:logging": "logging",
    "wasi:messaging": "incoming-handler producer request-reply types",
    "wasi:nn": "errors graph inference tensor",
    "wasi:otel": "logs metrics tracing types",
    "wasi:random": "insecure insecure-seed random",
    "wasi:sockets": "instance-network ip-name-lookup network tcp tcp-create-socket types udp"
    " udp-create-socket",
    "wasi:tls": "client types",
    "wasmcloud:blobstore": "blobstore container types",
    "wasmcloud:bus": "error lattice",
    "wasmcloud:host": "cancel identity types workload-call workload-lifecycle",
    "wasmcloud:identity": "store",
    "wasmcloud:keyvalue": "atomics batch cas store types watcher",
    "wasmcloud:messaging": "consumer handler producer request-reply types",
    "wasmcloud:nats": "core core-handler jetstream jetstream-handler kv kv-handler types",
    "wasmcloud:postgres": "prepared query types",
    "wasmcloud:secrets": "reveal secret store",
    "fermyon:spin": "config http http-types inbound-http inbound-redis key-value llm mqtt mysql"
    " postgres rdbms-types redis redis-types sqlite variables",
    "spin:key-value": "key-value",
    "spin:mqtt": "mqtt",
    "spin:mysql": "mysql",
    "spin:postgres": "postgres",
    "spin:redis": "inbound-redis redis",
    "spin:sqlite": "sqlite",
    "spin:variables": "variables",
}

INTERFACES = frozenset(
    f"{package}/{name}" for package, names in _NAMES.items() for name in names.split()
)

_SPACES = frozenset(package.partition(":")[0] for package in _NAMES)
#: Packages of WASI that hosts have, and whose interfaces are nobody's business here.
_FREE = ("wasi:webgpu", "wasi:gfx", "wasi:graphics-context", "wasi:surface", "wasi:frame-buffer",
         "wasi:sql", "wasi:runtime-config", "wasi:observe", "wasi:threads", "wasi:usb", "wasi:i2c",
         "wasi:gpio", "wasi:spi", "wasi:crypto")  # fmt: skip


def resembles(interface: str) -> str | None:
    """None where a name is known or nobody's; else the known one it is closest to ("" if none is
    close).  Names that differ in case or by a letter or two are not the same."""
    if interface in INTERFACES or interface.startswith(tuple(f"{p}/" for p in _FREE)):
        return None
    near = nearest(interface, INTERFACES, 0.9)
    if interface.partition(":")[0] in _SPACES:
        return near
    return near or None
