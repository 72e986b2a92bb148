"""Which values are handles, and what they are called: one row per function.

Records hold handles as plain numbers, so this table says where they are.  A place is a path into
the arguments or the result as JSON with the resource type behind a colon: ``ok.0:input-stream`` is
the first item of the ok case, ``*`` every item of a list, ``@`` the value itself.  Places that a
value does not have are passed over, so one row serves all versions of an interface.  A place may
have a name of its own: ``0:stream=body of {this}``.

``makes``    places of the result that hold new handles, named by ``name``
``takes``    places of the arguments whose handles are handed over (they end with the call); the end
             of a stream or future that stays gets the name
``borrows``  places of the arguments that hold handles which stay
``renames``  a new name for ``self`` once the call has succeeded, or for the argument ``of``
``closes``   the argument whose handle ends once the call has succeeded
``part``     a part of an HTTP request's name: ``method=@`` from the result, else an argument

Names are templates: ``{self}`` is the name of the handle the method was called on, ``{x}`` the
argument ``x``; a name with a part nobody knows is no name.  ``{near.1}`` is item 1 of the list the
handle stands in, ``{result.0}`` item 0 of the result.
"""

from __future__ import annotations

from whamm_cm.dataclass import dataclass
from whamm_cm.wit.preview1 import MODULES


@dataclass(frozen=True, slots=True)
class Rule:
    item: str
    makes: str = ""
    name: str = ""
    takes: str = ""
    borrows: str = ""
    renames: str = ""
    part: str = ""
    of: str = ""
    closes: str = ""


_FS = "wasi:filesystem/types#descriptor."
_SOCKETS = "wasi:sockets/"
_TCP = "wasi:sockets/tcp#tcp-socket."
_UDP = "wasi:sockets/udp#udp-socket."
_P3 = "wasi:sockets/types#"
_HTTP = "wasi:http/types#"
_STREAMS = "wasi:io/streams#"
_FAILED = "error.last-operation-failed:error"
_READ = "0:stream, 1:future"

_FILES = (
    Rule("wasi:filesystem/preopens#get-directories", "*.0:descriptor", "{near.1}"),
    Rule(_FS + "open-at", "ok:descriptor", "{self}/{path}"),
    Rule(_FS + "read-via-stream", f"ok:input-stream, {_READ}", "{self}"),
    Rule(_FS + "write-via-stream", "ok:output-stream, @:future", "{self}", "data:stream"),
    Rule(_FS + "append-via-stream", "ok:output-stream, @:future", "{self}", "data:stream"),
    Rule(_FS + "read-directory", f"ok:directory-entry-stream, {_READ}", "{self}"),
    Rule(_FS + "link-at", borrows="new-descriptor:descriptor"),
    Rule(_FS + "rename-at", borrows="new-descriptor:descriptor"),
    Rule(_FS + "is-same-object", borrows="other:descriptor"),
    Rule("wasi:filesystem/types#filesystem-error-code", borrows="err:error"),
)


def _descriptors(module: str) -> tuple[Rule, ...]:
    """File descriptors of WASI preview 1."""
    return (
        Rule(f"{module}#fd_prestat_dir_name", renames="{result}", of="fd"),
        Rule(f"{module}#path_open", "ok:fd", "{fd}/{path}"),
        Rule(f"{module}#sock_accept", "ok:fd", "from {fd}"),
        Rule(f"{module}#fd_close", closes="fd"),
        Rule(f"{module}#fd_renumber", renames="{fd}", of="to", closes="fd"),
    )


_NETWORK = (
    Rule(_SOCKETS + "instance-network#instance-network", "@:network"),
    Rule(_SOCKETS + "network#network-error-code", borrows="err:error"),
    Rule(_SOCKETS + "tcp-create-socket#create-tcp-socket", "ok:tcp-socket"),
    Rule(_SOCKETS + "udp-create-socket#create-udp-socket", "ok:udp-socket"),
    Rule(
        _SOCKETS + "ip-name-lookup#resolve-addresses",
        "ok:resolve-address-stream",
        "{name}",
        borrows="network:network",
    ),
    Rule(_TCP + "start-bind", borrows="network:network", renames="{local-address}"),
    Rule(_TCP + "start-connect", borrows="network:network", renames="{remote-address}"),
    Rule(_TCP + "finish-connect", "ok.0:input-stream, ok.1:output-stream", "{self}"),
    Rule(
        _TCP + "accept",
        "ok.0:tcp-socket, ok.1:input-stream, ok.2:output-stream",
        "from {self}",
    ),
    Rule(_TCP + "remote-address", renames="{result}"),
    Rule(_UDP + "start-bind", borrows="network:network", renames="{local-address}"),
    Rule(
        _UDP + "stream",
        "ok.0:incoming-datagram-stream, ok.1:outgoing-datagram-stream",
        "{remote-address|self}",
    ),
    Rule(_P3 + "tcp-socket.create", "ok:tcp-socket"),
    Rule(_P3 + "tcp-socket.bind", renames="{local-address}"),
    Rule(_P3 + "tcp-socket.connect", renames="{remote-address}"),
    Rule(_P3 + "tcp-socket.listen", "ok:stream", "accept({self})"),
    Rule(_P3 + "tcp-socket.send", "@:future", "{self}", "data:stream"),
    Rule(_P3 + "tcp-socket.receive", _READ, "{self}"),
    Rule(_P3 + "tcp-socket.get-remote-address", renames="{result}"),
    Rule(_P3 + "udp-socket.create", "ok:udp-socket"),
    Rule(_P3 + "udp-socket.bind", renames="{local-address}"),
    Rule(_P3 + "udp-socket.connect", renames="{remote-address}"),
)

_REQUEST_PARTS = (
    Rule(_HTTP + "outgoing-request.set-method", part="method=method"),
    Rule(_HTTP + "outgoing-request.set-path-with-query", part="path=path-with-query"),
    Rule(_HTTP + "outgoing-request.set-scheme", part="scheme=scheme"),
    Rule(_HTTP + "outgoing-request.set-authority", part="authority=authority"),
    Rule(_HTTP + "incoming-request.method", part="method=@"),
    Rule(_HTTP + "incoming-request.path-with-query", part="path=@"),
    Rule(_HTTP + "incoming-request.scheme", part="scheme=@"),
    Rule(_HTTP + "incoming-request.authority", part="authority=@"),
    Rule(_HTTP + "request.set-method", part="method=method"),
    Rule(_HTTP + "request.set-path-with-query", part="path=path-with-query"),
    Rule(_HTTP + "request.set-scheme", part="scheme=scheme"),
    Rule(_HTTP + "request.set-authority", part="authority=authority"),
    Rule(_HTTP + "request.get-method", part="method=@"),
    Rule(_HTTP + "request.get-path-with-query", part="path=@"),
    Rule(_HTTP + "request.get-scheme", part="scheme=@"),
    Rule(_HTTP + "request.get-authority", part="authority=@"),
)

_CONTENT = (
    "headers:fields, contents:stream=body of {result.0}, trailers:future=trailers of {result.0},"
    " options:request-options"
)
_BODY = "0:stream=body of {this}, 1:future=trailers of {this}"
_SENT = "1:future=sending of {near.0}"
_OUTGOING = "ok:future-incoming-response"

_WEB = (
    *_REQUEST_PARTS,
    Rule("wasi:http/incoming-handler#handle", takes="request:incoming-request, "
         "response-out:response-outparam"),
    Rule("wasi:http/outgoing-handler#handle", _OUTGOING, "{request}",
         "request:outgoing-request, options:request-options"),
    Rule("wasi:http/handler#handle", "ok:response", "{request}", "request:request"),
    Rule("wasi:http/client#send", "ok:response", "{request}", "request:request"),
    Rule(_HTTP + "http-error-code", borrows="err:error"),
    Rule(_HTTP + "fields.from-list", "ok:fields"),
    Rule(_HTTP + "fields.clone", "@:fields", "{self}"),
    Rule(_HTTP + "incoming-request.headers", "@:fields", "{self}"),
    Rule(_HTTP + "incoming-request.consume", "ok:incoming-body", "{self}"),
    Rule(_HTTP + "outgoing-request.new", "@:outgoing-request", takes="headers:fields"),
    Rule(_HTTP + "outgoing-request.body", "ok:outgoing-body", "{self}"),
    Rule(_HTTP + "outgoing-request.headers", "@:fields", "{self}"),
    Rule(_HTTP + "response-outparam.set",
         takes="param:response-outparam, response.ok:outgoing-response"),
    Rule(_HTTP + "response-outparam.send-informational", takes="headers:fields"),
    Rule(_HTTP + "incoming-response.headers", "@:fields", "{self}"),
    Rule(_HTTP + "incoming-response.consume", "ok:incoming-body", "{self}"),
    Rule(_HTTP + "incoming-body.stream", "ok:input-stream", "{self}"),
    Rule(_HTTP + "incoming-body.finish", "@:future-trailers", "{this}", "this:incoming-body"),
    Rule(_HTTP + "future-trailers.get", "ok.ok:fields", "{self}"),
    Rule(_HTTP + "future-incoming-response.get", "ok.ok:incoming-response", "{self}"),
    Rule(_HTTP + "outgoing-response.new", "@:outgoing-response", takes="headers:fields"),
    Rule(_HTTP + "outgoing-response.set-status-code", renames="{status-code}"),
    Rule(_HTTP + "outgoing-response.headers", "@:fields", "{self}"),
    Rule(_HTTP + "outgoing-response.body", "ok:outgoing-body", "{self}"),
    Rule(_HTTP + "outgoing-body.write", "ok:output-stream", "{self}"),
    Rule(_HTTP + "outgoing-body.finish", takes="this:outgoing-body, trailers:fields"),
    Rule(_HTTP + "request.new", f"0:request, {_SENT}", takes=_CONTENT),
    Rule(_HTTP + "request.get-headers", "@:fields", "{self}"),
    Rule(_HTTP + "request.get-options", "@:request-options", "{self}"),
    Rule(_HTTP + "request.consume-body", _BODY,
         takes="this:request, res:future=reading of {this}"),
    Rule(_HTTP + "request-options.clone", "@:request-options"),
    Rule(_HTTP + "response.new", f"0:response, {_SENT}", takes=_CONTENT),
    Rule(_HTTP + "response.set-status-code", renames="{status-code}"),
    Rule(_HTTP + "response.get-headers", "@:fields", "{self}"),
    Rule(_HTTP + "response.consume-body", _BODY,
         takes="this:response, res:future=reading of {this}"),
)  # fmt: skip

_IO = (
    Rule("wasi:io/poll#poll", borrows="in.*:pollable"),
    *(
        Rule(_STREAMS + func, _FAILED)
        for func in (
            "input-stream.read",
            "input-stream.blocking-read",
            "input-stream.skip",
            "input-stream.blocking-skip",
            "output-stream.check-write",
            "output-stream.write",
            "output-stream.blocking-write-and-flush",
            "output-stream.flush",
            "output-stream.blocking-flush",
            "output-stream.write-zeroes",
            "output-stream.blocking-write-zeroes-and-flush",
        )
    ),
    Rule(_STREAMS + "output-stream.splice", _FAILED, borrows="src:input-stream"),
    Rule(_STREAMS + "output-stream.blocking-splice", _FAILED, borrows="src:input-stream"),
    Rule("wasi:clocks/monotonic-clock#subscribe-instant", "@:pollable", "timer"),
    Rule("wasi:clocks/monotonic-clock#subscribe-duration", "@:pollable", "timer"),
    Rule("wasi:cli/stdin#get-stdin", "@:input-stream", "stdin"),
    Rule("wasi:cli/stdout#get-stdout", "@:output-stream", "stdout"),
    Rule("wasi:cli/stderr#get-stderr", "@:output-stream", "stderr"),
    Rule("wasi:cli/stdin#read-via-stream", _READ, "stdin"),
    Rule("wasi:cli/stdout#write-via-stream", "@:future", "stdout", "data:stream"),
    Rule("wasi:cli/stderr#write-via-stream", "@:future", "stderr", "data:stream"),
    Rule("wasi:cli/terminal-stdin#get-terminal-stdin", "@:terminal-input", "stdin"),
    Rule("wasi:cli/terminal-stdout#get-terminal-stdout", "@:terminal-output", "stdout"),
    Rule("wasi:cli/terminal-stderr#get-terminal-stderr", "@:terminal-output", "stderr"),
)


def _key_value(package: str) -> tuple[Rule, ...]:
    return (
        Rule(package + "/store#open", "ok:bucket", '"{identifier}"'),
        Rule(package + "/atomics#increment", borrows="bucket:bucket"),
        Rule(package + "/atomics#cas.new", "ok:cas", '"{key}"', borrows="bucket:bucket"),
        Rule(package + "/atomics#swap", takes="cas:cas"),
        Rule(package + "/batch#get-many", borrows="bucket:bucket"),
        Rule(package + "/batch#set-many", borrows="bucket:bucket"),
        Rule(package + "/batch#delete-many", borrows="bucket:bucket"),
    )


_STORES = (
    *_key_value("wasi:keyvalue"),
    *_key_value("wasmcloud:keyvalue"),
    Rule("wasi:blobstore/blobstore#create-container", "ok:container", '"{name}"'),
    Rule("wasi:blobstore/blobstore#get-container", "ok:container", '"{name}"'),
    Rule("wasi:blobstore/container#container.get-data", "ok:incoming-value", "{self}/{name}"),
    Rule("wasi:blobstore/container#container.write-data", borrows="data:outgoing-value"),
    Rule("wasi:blobstore/container#container.list-objects", "ok:stream-object-names", "{self}"),
    Rule("wasi:blobstore/types#outgoing-value.new-outgoing-value", "@:outgoing-value"),
    Rule(
        "wasi:blobstore/types#outgoing-value.outgoing-value-write-body",
        "ok:output-stream",
        "{self}",
    ),
    Rule("wasi:blobstore/types#outgoing-value.finish", takes="this:outgoing-value"),
    Rule(
        "wasi:blobstore/types#incoming-value.incoming-value-consume-sync",
        takes="this:incoming-value",
    ),
    Rule(
        "wasi:blobstore/types#incoming-value.incoming-value-consume-async",
        "ok:input-stream",
        "{this}",
        "this:incoming-value",
    ),
    Rule("wasmcloud:blobstore/blobstore#create-container", "ok:container", '"{name}"'),
    Rule("wasmcloud:blobstore/blobstore#get-container", "ok:container", '"{name}"'),
    Rule("wasmcloud:blobstore/container#container.get-data", "ok:stream", "{self}/{name}"),
    Rule("wasmcloud:blobstore/container#container.write-data", takes="data:stream"),
    Rule("wasmcloud:blobstore/container#container.list-objects", "ok:stream", "{self}"),
    Rule("wasmcloud:secrets/store#get", "ok:secret", '"{key}"'),
    Rule("wasmcloud:secrets/secret#get", "@:secret"),
    Rule("wasmcloud:secrets/reveal#reveal", borrows="s:secret"),
    Rule("wasi:messaging/types#client.connect", "ok:client", '"{name}"'),
)

_ALL = (
    *_FILES, *_NETWORK, *_WEB, *_IO, *_STORES,
    *(rule for module in MODULES for rule in _descriptors(module)),
)  # fmt: skip

#: By ``interface#func``.
RULES: dict[str, Rule] = {rule.item: rule for rule in _ALL}

#: By method, for interfaces that have no row of their own; ``{resource}`` is the method's resource.
METHOD_RULES: dict[str, Rule] = {
    "new": Rule("*.new", "@:{resource}"),
    "subscribe": Rule("*.subscribe", "@:pollable", "poll({self})"),
}

#: Functions that return ``result<option<…>>``: a null inside ``ok`` means ``none``.
OPTION_IN_OK = frozenset(
    {
        "wasi:keyvalue/store#bucket.get",
        "wasmcloud:keyvalue/store#bucket.get",
        "wasi:config/store#get",
        "wasi:config/runtime#get",
        "wasi:sockets/ip-name-lookup#resolve-address-stream.resolve-next-address",
        "wasi:filesystem/types#directory-entry-stream.read-directory-entry",
        "wasi:http/types#future-trailers.get",
    }
)
