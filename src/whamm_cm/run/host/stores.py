"""``wasi:config``, ``wasi:keyvalue`` and ``wasi:logging``: enough for a component to start.

Keys and values live in memory, for as long as we serve, and are the same for all instances.
"""

from __future__ import annotations

import sys

from whamm_cm.run.host.bridge import Failure, Interface, Resource
from whamm_cm.run.host.world import World

CONFIG, RUNTIME = Interface("wasi:config/store"), Interface("wasi:config/runtime")
STORE, BATCH = Interface("wasi:keyvalue/store"), Interface("wasi:keyvalue/batch")
ATOMICS, LOGGING = Interface("wasi:keyvalue/atomics"), Interface("wasi:logging/logging")


def _get(world: World, key: str) -> str | None:
    return world.settings.config.get(key)


def _get_all(world: World) -> list[list[str]]:
    return [[key, value] for key, value in world.settings.config.items()]


for _config in (CONFIG, RUNTIME):
    _config.func("get")(_get)
    _config.func("get-all")(_get_all)


class Bucket(Resource):
    def __init__(self, values: dict[str, bytes]) -> None:
        self.values = values


class Swap(Resource):
    """A compare-and-swap under way: ``seen`` is what the key had."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self.bucket, self.key, self.seen = bucket, key, bucket.values.get(key)


STORE.resource("bucket", Bucket)
ATOMICS.resource("cas", Swap)


@STORE.func("open")
def _open(world: World, name: str) -> Bucket:
    with world.settings.lock:
        buckets = world.settings.buckets
        if name not in buckets:
            buckets[name] = dict(world.settings.keys)
        return Bucket(buckets[name])


@STORE.func("[method]bucket.get")
def _bucket_get(world: World, bucket: Bucket, key: str) -> bytes | None:
    return bucket.values.get(key)


@STORE.func("[method]bucket.set")
def _bucket_set(world: World, bucket: Bucket, key: str, value: bytes) -> None:
    with world.settings.lock:
        bucket.values[key] = value


@STORE.func("[method]bucket.delete")
def _bucket_delete(world: World, bucket: Bucket, key: str) -> None:
    with world.settings.lock:
        bucket.values.pop(key, None)


@STORE.func("[method]bucket.exists")
def _bucket_exists(world: World, bucket: Bucket, key: str) -> bool:
    return key in bucket.values


@STORE.func("[method]bucket.list-keys")
def _bucket_keys(world: World, bucket: Bucket, cursor: object) -> dict[str, object]:
    """All at once, so there never is a cursor: drafts differ in what it is."""
    with world.settings.lock:
        return {"keys": sorted(bucket.values), "cursor": None}


@BATCH.func("get-many")
def _get_many(world: World, bucket: Bucket, keys: list[str]) -> list[object]:
    with world.settings.lock:
        found = [(key, bucket.values.get(key)) for key in keys]
    return [None if value is None else [key, value] for key, value in found]


@BATCH.func("set-many")
def _set_many(world: World, bucket: Bucket, pairs: list[tuple[str, bytes]]) -> None:
    with world.settings.lock:
        bucket.values.update((key, value) for key, value in pairs)


@BATCH.func("delete-many")
def _delete_many(world: World, bucket: Bucket, keys: list[str]) -> None:
    with world.settings.lock:
        for key in keys:
            bucket.values.pop(key, None)


@ATOMICS.func("increment")
def _increment(world: World, bucket: Bucket, key: str, delta: int) -> int:
    """The value is a number in decimal digits, as other hosts have it."""
    with world.settings.lock:
        try:
            value = int(bucket.values.get(key, b"0")) + delta
        except ValueError:
            raise Failure({"other": f"the value of {key} is not a number"}) from None
        bucket.values[key] = str(value).encode()
    return value


@ATOMICS.func("[static]cas.new")
def _cas(world: World, bucket: Bucket, key: str) -> Swap:
    return Swap(bucket, key)


@ATOMICS.func("[method]cas.current")
def _current(world: World, swap: Swap) -> bytes | None:
    return swap.seen


@ATOMICS.func("swap")
def _swap(world: World, swap: Swap, value: bytes) -> None:
    with world.settings.lock:
        if swap.bucket.values.get(swap.key) == swap.seen:
            swap.bucket.values[swap.key] = value
            return
    raise Failure({"cas-failed": Swap(swap.bucket, swap.key)})


@LOGGING.func("log")
def _log(world: World, level: str, context: str, message: str) -> None:
    if world.settings.options.inherit_stderr:
        where = f" {context}:" if context else ""
        print(f"{level}:{where} {message}", file=sys.stderr, flush=True)
