"""All that the host in Python offers, by the names of interfaces."""

from __future__ import annotations

from typing import Final

from whamm_cm.run.host import blobs, client, command, filesystem, http, sockets, stores, streams
from whamm_cm.run.host.bridge import Interface

HOST: Final[dict[str, Interface]] = {
    one.name: one
    for one in (
        streams.ERROR, streams.POLL, streams.STREAMS,
        command.ENVIRONMENT, command.EXIT, command.STDIN, command.STDOUT, command.STDERR,
        command.TERMINAL_INPUT, command.TERMINAL_OUTPUT, *command.TERMINALS,
        command.MONOTONIC, command.WALL, command.RANDOM, command.INSECURE, command.SEED,
        stores.CONFIG, stores.RUNTIME, stores.STORE, stores.BATCH, stores.ATOMICS, stores.LOGGING,
        blobs.TYPES, blobs.CONTAINER, blobs.BLOBSTORE,
        filesystem.TYPES, filesystem.PREOPENS, *sockets.ALL,
        http.TYPES, client.HANDLER,
    )
}  # fmt: skip
