"""What guests keep, and what they are configured with, in memory."""

from __future__ import annotations

from typing import Any

import pytest

from whamm_cm.run.host.bridge import Failure
from whamm_cm.run.host.stores import ATOMICS, BATCH, CONFIG, STORE
from whamm_cm.run.host.world import Settings, World

SETTINGS = Settings(config={"level": "3"})


def call(world: World, name: str, *values: Any) -> Any:
    found = {**STORE.functions, **BATCH.functions, **ATOMICS.functions}
    return found[name](world, *values)


def test_instances_share_their_buckets() -> None:
    settings = Settings()
    one, other = World(settings), World(settings)
    mine, theirs = call(one, "open", "b"), call(other, "open", "b")
    call(one, "[method]bucket.set", mine, "k", b"v")
    assert call(other, "[method]bucket.get", theirs, "k") == b"v"
    assert call(other, "[method]bucket.exists", theirs, "k") is True
    call(other, "[method]bucket.delete", theirs, "k")
    assert call(one, "[method]bucket.get", mine, "k") is None
    assert call(one, "[method]bucket.get", call(one, "open", "c"), "k") is None


def test_all_keys_come_at_once() -> None:
    """A cursor is a number in one draft and a text in another."""
    world = World(Settings())
    bucket = call(world, "open", "")
    call(world, "set-many", bucket, [(f"{k:04}", b"") for k in range(3000)])
    found = call(world, "[method]bucket.list-keys", bucket, None)
    assert len(found["keys"]) == 3000 and found["cursor"] is None
    call(world, "delete-many", bucket, found["keys"][1:])
    assert call(world, "get-many", bucket, ["0000", "0001"]) == [["0000", b""], None]


def test_counting_and_swapping() -> None:
    world = World(Settings())
    bucket = call(world, "open", "")
    assert call(world, "increment", bucket, "n", 2) == 2
    assert call(world, "increment", bucket, "n", -5) == -3
    swap = call(world, "[static]cas.new", bucket, "n")
    assert call(world, "[method]cas.current", swap) == b"-3"
    call(world, "[method]bucket.set", bucket, "n", b"x")
    with pytest.raises(Failure) as failure:
        call(world, "swap", swap, b"y")
    call(world, "swap", failure.value.payload["cas-failed"], b"y")
    assert call(world, "[method]bucket.get", bucket, "n") == b"y"
    with pytest.raises(Failure):
        call(world, "increment", bucket, "n", 1)


def test_what_a_guest_is_configured_with() -> None:
    world = World(SETTINGS)
    assert CONFIG.functions["get"](world, "level") == "3"
    assert CONFIG.functions["get"](world, "other") is None
    assert CONFIG.functions["get-all"](world) == [["level", "3"]]


def test_what_a_bucket_has_from_the_start() -> None:
    world = World(Settings(keys={"k": b"v"}))
    one, other = call(world, "open", "1"), call(world, "open", "2")
    call(world, "[method]bucket.set", one, "k", b"w")
    assert call(world, "[method]bucket.get", call(world, "open", "1"), "k") == b"w"
    assert call(world, "[method]bucket.get", other, "k") == b"v"
