"""``wasi:blobstore`` in memory."""

from __future__ import annotations

from typing import Any

import pytest

from whamm_cm.run.host.blobs import BLOBSTORE, CONTAINER, TYPES, Container
from whamm_cm.run.host.bridge import Failure
from whamm_cm.run.host.world import Settings, World

FUNCTIONS = {**TYPES.functions, **CONTAINER.functions, **BLOBSTORE.functions}


def call(world: World, name: str, *values: Any) -> Any:
    return FUNCTIONS[name](world, *values)


def refusal(world: World, name: str, *values: Any) -> str:
    with pytest.raises(Failure) as failure:
        call(world, name, *values)
    return str(failure.value.payload)


def put(world: World, container: Container, name: str, *parts: bytes) -> None:
    value = call(world, "[static]outgoing-value.new-outgoing-value")
    stream = call(world, "[method]outgoing-value.outgoing-value-write-body", value)
    call(world, "[method]container.write-data", container, name, value)
    for part in parts:
        stream.write(part)
    call(world, "[static]outgoing-value.finish", value)


def got(world: World, container: Container, name: str, start: int = 0, end: int = 2**64 - 1) -> Any:
    value = call(world, "[method]container.get-data", container, name, start, end)
    return call(world, "[static]incoming-value.incoming-value-consume-sync", value)


def test_instances_share_containers_and_what_is_in_them() -> None:
    settings = Settings()
    one, other = World(settings), World(settings)
    mine = call(one, "create-container", "c")
    put(one, mine, "a", b"hel", b"lo")
    theirs = call(other, "get-container", "c")
    assert got(other, theirs, "a") == b"hello"
    assert got(other, theirs, "a", 1, 3) == b"ell"  # the end is inclusive
    assert got(other, theirs, "a", 9, 12) == b""
    info = call(other, "[method]container.object-info", theirs, "a")
    assert info["size"] == 5 and info["container"] == "c" and info["created-at"] > 1.7e9
    assert call(other, "[method]container.info", theirs)["name"] == "c"
    assert call(other, "[method]container.name", theirs) == "c"


def test_a_stream_of_a_value_ends() -> None:
    world = World(Settings())
    container = call(world, "create-container", "c")
    put(world, container, "a", b"hello")
    value = call(world, "[method]container.get-data", container, "a", 0, 10)
    assert call(world, "[method]incoming-value.size", value) == 5
    stream = call(world, "[static]incoming-value.incoming-value-consume-async", value)
    assert [stream.read(3), stream.read(3)] == [b"hel", b"lo"]
    with pytest.raises(Failure) as failure:
        stream.read(3)
    assert failure.value.payload == {"closed": None}


def test_a_value_that_is_not_finished_is_not_kept() -> None:
    world = World(Settings())
    container = call(world, "create-container", "c")
    value = call(world, "[static]outgoing-value.new-outgoing-value")
    call(world, "[method]outgoing-value.outgoing-value-write-body", value).write(b"x")
    call(world, "[method]container.write-data", container, "a", value)
    assert refusal(world, "[method]outgoing-value.outgoing-value-write-body", value) == "None"
    value.dropped()
    assert call(world, "[method]container.has-object", container, "a") is False


def test_names_are_listed_and_skipped() -> None:
    world = World(Settings())
    container = call(world, "create-container", "c")
    for name in "cab":
        put(world, container, name)
    names = call(world, "[method]container.list-objects", container)
    skip, read = (
        f"[method]stream-object-names.{what}-stream-object-names" for what in ("skip", "read")
    )
    assert call(world, skip, names, 1) == [1, False]
    assert call(world, read, names, 1) == [["b"], False]
    assert call(world, read, names, 5) == [["c"], True]
    call(world, "[method]container.delete-objects", container, ["a", "never"])
    call(world, "[method]container.delete-object", container, "b")
    assert call(world, read, call(world, "[method]container.list-objects", container), 5) == [
        ["c"],
        True,
    ]
    call(world, "[method]container.clear", container)
    assert call(world, skip, call(world, "[method]container.list-objects", container), 5) == [
        0,
        True,
    ]


def test_objects_are_copied_and_moved() -> None:
    world = World(Settings())
    one, two = (call(world, "create-container", name) for name in "12")
    put(world, one, "a", b"x")
    source = {"container": "1", "object": "a"}
    call(world, "copy-object", source, {"container": "2", "object": "b"})
    assert got(world, one, "a") == got(world, two, "b") == b"x"
    call(world, "move-object", source, source)
    assert got(world, one, "a") == b"x"
    call(world, "move-object", source, {"container": "2", "object": "c"})
    assert refusal(world, "[method]container.get-data", one, "a", 0, 1) == (
        "object 'a' does not exist"
    )
    assert got(world, two, "c") == b"x"
    assert refusal(world, "move-object", source, source) == "source object 'a' does not exist"
    assert refusal(
        world, "copy-object", {"container": "2", "object": "b"}, {"container": "3", "object": "b"}
    ) == ("destination container '3' does not exist")


def test_what_is_not_there() -> None:
    world = World(Settings())
    assert refusal(world, "get-container", "c") == "container 'c' does not exist"
    container = call(world, "create-container", "c")
    assert refusal(world, "create-container", "c") == "container 'c' already exists"
    assert call(world, "container-exists", "c") is True
    call(world, "delete-container", "c")
    call(world, "delete-container", "c")
    assert call(world, "container-exists", "c") is False
    for name in ("list-objects", "info", "clear"):
        assert refusal(world, f"[method]container.{name}", container) == (
            "container 'c' does not exist"
        )
