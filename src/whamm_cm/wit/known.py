"""Interfaces of WASI, wasmCloud and Spin: what else stands in their namespaces is a mistake, or
wants to be taken for one of them."""

from __future__ import annotations

from functools import cache

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


#: The functions of interfaces, of all their versions together; behind ``resource.`` are its own.
# fmt: off
_FUNCTIONS = {
    "wasi:blobstore/blobstore":
    "move-object get-container delete-container create-container copy-object container-exists",
    "wasi:blobstore/container":
    "container. clear delete-object delete-objects get-data has-object info list-objects name"
    " object-info write-data stream-object-names. read-stream-object-names"
    " skip-stream-object-names",
    "wasi:blobstore/types":
    "incoming-value. incoming-value-consume-async incoming-value-consume-sync size"
    " outgoing-value. finish new-outgoing-value outgoing-value-write-body",
    "wasi:cli/environment": "initial-cwd get-initial-cwd get-environment get-arguments",
    "wasi:cli/exit": "exit-with-code exit",
    "wasi:cli/run": "run",
    "wasi:cli/stderr": "write-via-stream get-stderr",
    "wasi:cli/stdin": "read-via-stream get-stdin",
    "wasi:cli/stdout": "write-via-stream get-stdout",
    "wasi:cli/terminal-input": "terminal-input.",
    "wasi:cli/terminal-output": "terminal-output.",
    "wasi:cli/terminal-stderr": "get-terminal-stderr",
    "wasi:cli/terminal-stdin": "get-terminal-stdin",
    "wasi:cli/terminal-stdout": "get-terminal-stdout",
    "wasi:clocks/monotonic-clock":
    "wait-until wait-for subscribe-instant subscribe-duration resolution now get-resolution",
    "wasi:clocks/system-clock": "now get-resolution",
    "wasi:clocks/timezone": "utc-offset to-debug-string iana-id display",
    "wasi:clocks/wall-clock": "resolution now",
    "wasi:config/runtime": "get-all get",
    "wasi:config/store": "get-all get",
    "wasi:filesystem/preopens": "get-directories",
    "wasi:filesystem/types":
    "filesystem-error-code descriptor. advise append-via-stream create-directory-at get-flags"
    " get-type is-same-object link-at metadata-hash metadata-hash-at open-at read"
    " read-directory read-via-stream readlink-at remove-directory-at rename-at set-size"
    " set-times set-times-at stat stat-at symlink-at sync sync-data unlink-file-at write"
    " write-via-stream directory-entry-stream. read-directory-entry",
    "wasi:http/client": "send",
    "wasi:http/handler": "handle",
    "wasi:http/incoming-handler": "handle",
    "wasi:http/outgoing-handler": "handle",
    "wasi:http/types":
    "http-error-code fields. append clone copy-all delete entries from-list get"
    " get-and-delete has new set future-incoming-response. get subscribe future-trailers. get"
    " subscribe incoming-body. finish stream incoming-request. authority consume headers"
    " method path-with-query scheme incoming-response. consume headers status outgoing-body."
    " finish write outgoing-request. authority body headers method new path-with-query scheme"
    " set-authority set-method set-path-with-query set-scheme outgoing-response. body headers"
    " new set-status-code status-code request-options. between-bytes-timeout clone"
    " connect-timeout first-byte-timeout get-between-bytes-timeout get-connect-timeout"
    " get-first-byte-timeout new set-between-bytes-timeout set-connect-timeout"
    " set-first-byte-timeout response-outparam. send-informational set request. consume-body"
    " get-authority get-headers get-method get-options get-path-with-query get-scheme new"
    " set-authority set-method set-path-with-query set-scheme response. consume-body"
    " get-headers get-status-code new set-status-code",
    "wasi:io/error": "error. to-debug-string",
    "wasi:io/poll": "poll pollable. block ready",
    "wasi:io/streams":
    "input-stream. blocking-read blocking-skip read skip subscribe output-stream."
    " blocking-flush blocking-splice blocking-write-and-flush blocking-write-zeroes-and-flush"
    " check-write flush splice subscribe write write-zeroes",
    "wasi:keyvalue/atomics": "swap increment cas. current new",
    "wasi:keyvalue/batch": "set-many get-many delete-many",
    "wasi:keyvalue/store": "open bucket. delete exists get list-keys set",
    "wasi:logging/logging": "log",
    "wasi:random/insecure": "get-insecure-random-u64 get-insecure-random-bytes",
    "wasi:random/insecure-seed": "insecure-seed get-insecure-seed",
    "wasi:random/random": "get-random-u64 get-random-bytes",
    "wasi:sockets/instance-network": "instance-network",
    "wasi:sockets/ip-name-lookup":
    "resolve-addresses resolve-address-stream. resolve-next-address subscribe",
    "wasi:sockets/network": "network-error-code network.",
    "wasi:sockets/tcp":
    "tcp-socket. accept address-family finish-bind finish-connect finish-listen hop-limit"
    " is-listening keep-alive-count keep-alive-enabled keep-alive-idle-time"
    " keep-alive-interval local-address receive-buffer-size remote-address send-buffer-size"
    " set-hop-limit set-keep-alive-count set-keep-alive-enabled set-keep-alive-idle-time"
    " set-keep-alive-interval set-listen-backlog-size set-receive-buffer-size"
    " set-send-buffer-size set-unicast-hop-limit shutdown start-bind start-connect"
    " start-listen subscribe unicast-hop-limit",
    "wasi:sockets/tcp-create-socket": "create-tcp-socket",
    "wasi:sockets/types":
    "tcp-socket. bind connect create get-address-family get-hop-limit get-is-listening"
    " get-keep-alive-count get-keep-alive-enabled get-keep-alive-idle-time"
    " get-keep-alive-interval get-local-address get-receive-buffer-size get-remote-address"
    " get-send-buffer-size listen receive send set-hop-limit set-keep-alive-count"
    " set-keep-alive-enabled set-keep-alive-idle-time set-keep-alive-interval"
    " set-listen-backlog-size set-receive-buffer-size set-send-buffer-size udp-socket. bind"
    " connect create disconnect get-address-family get-local-address get-receive-buffer-size"
    " get-remote-address get-send-buffer-size get-unicast-hop-limit receive send"
    " set-receive-buffer-size set-send-buffer-size set-unicast-hop-limit",
    "wasi:sockets/udp":
    "incoming-datagram-stream. receive subscribe outgoing-datagram-stream. check-send send"
    " subscribe udp-socket. address-family finish-bind hop-limit keep-alive-count"
    " keep-alive-enabled keep-alive-idle-time keep-alive-interval local-address"
    " receive-buffer-size remote-address send-buffer-size set-hop-limit set-keep-alive-count"
    " set-keep-alive-enabled set-keep-alive-idle-time set-keep-alive-interval"
    " set-receive-buffer-size set-send-buffer-size set-unicast-hop-limit start-bind stream"
    " subscribe unicast-hop-limit",
    "wasi:sockets/udp-create-socket": "create-udp-socket",
}
# fmt: on


@cache
def functions(interface: str) -> frozenset[str]:
    """What is known to be in an interface, as rules write it (``resource.method``); empty where
    nothing is."""
    found, resource = set[str](), ""
    for word in _FUNCTIONS.get(interface, "").split():
        if word.endswith("."):
            resource = word
            found.add(f"{word}drop")
        else:
            found.add(resource + word)
    return frozenset(found)


def is_package(name: str) -> bool | None:
    """Whether a package is known; None where its namespace is nobody's here."""
    if name.partition(":")[0] not in _SPACES:
        return None
    return name in _NAMES or name in _FREE


#: ``wasi:http`` and the like.
PACKAGES = tuple(_NAMES)
