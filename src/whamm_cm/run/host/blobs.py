"""``wasi:blobstore`` in memory, as drafted in 0.2.0: containers that all instances share."""

from __future__ import annotations

from whamm_cm.run.host.bridge import Failure, Interface, Resource
from whamm_cm.run.host.kept import Blob, Kept
from whamm_cm.run.host.streams import InputStream, OutputStream, closed
from whamm_cm.run.host.world import World

TYPES, CONTAINER = Interface("wasi:blobstore/types"), Interface("wasi:blobstore/container")
BLOBSTORE = Interface("wasi:blobstore/blobstore")


class Container(Resource):
    """A handle knows a name only: the container may be gone when it is used."""

    def __init__(self, name: str) -> None:
        self.name = name


class Names(Resource):
    def __init__(self, left: list[str]) -> None:
        self.left = left


class Outgoing(Resource):
    """What is written becomes an object of ``target`` (container, object) when it is finished."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.target: tuple[str, str] | None = None
        self.streamed = False


class Incoming(Resource):
    def __init__(self, data: bytes) -> None:
        self.data = data


class _Written(OutputStream):
    def __init__(self, value: Outgoing) -> None:
        self.value = value

    def write(self, data: bytes) -> None:
        self.value.data += data


class _Read(InputStream):
    def __init__(self, data: bytes) -> None:
        self.left = memoryview(data)

    def read(self, size: int) -> bytes:
        if not self.left:
            raise closed()
        part, self.left = self.left[:size], self.left[size:]
        return bytes(part)


TYPES.resource("outgoing-value", Outgoing)
TYPES.resource("incoming-value", Incoming)
CONTAINER.resource("container", Container)
CONTAINER.resource("stream-object-names", Names)


def _kept(world: World, name: str, what: str = "container") -> Kept:
    """Under the lock."""
    try:
        return world.settings.containers[name]
    except KeyError:
        raise Failure(f"{what} '{name}' does not exist") from None


def _blob(kept: Kept, name: str, what: str = "object") -> Blob:
    try:
        return kept.objects[name]
    except KeyError:
        raise Failure(f"{what} '{name}' does not exist") from None


# --- values ---------------------------------------------------------------------------------------


@TYPES.func("[static]outgoing-value.new-outgoing-value")
def _new(world: World) -> Outgoing:
    return Outgoing()


@TYPES.func("[method]outgoing-value.outgoing-value-write-body")
def _write_body(world: World, value: Outgoing) -> OutputStream:
    if value.streamed:
        raise Failure
    value.streamed = True
    return _Written(value)


@TYPES.func("[static]outgoing-value.finish")
def _finish(world: World, value: Outgoing) -> None:
    if value.target is None:
        return
    container, name = value.target
    with world.settings.lock:
        _kept(world, container).objects[name] = Blob(bytes(value.data))


@TYPES.func("[static]incoming-value.incoming-value-consume-sync")
def _consume(world: World, value: Incoming) -> bytes:
    return value.data


@TYPES.func("[static]incoming-value.incoming-value-consume-async")
def _consume_stream(world: World, value: Incoming) -> InputStream:
    return _Read(value.data)


@TYPES.func("[method]incoming-value.size")
def _size(world: World, value: Incoming) -> int:
    return len(value.data)


# --- containers -----------------------------------------------------------------------------------


@BLOBSTORE.func("create-container")
def _create(world: World, name: str) -> Container:
    with world.settings.lock:
        if name in world.settings.containers:
            raise Failure(f"container '{name}' already exists")
        world.settings.containers[name] = Kept()
    return Container(name)


@BLOBSTORE.func("get-container")
def _get(world: World, name: str) -> Container:
    with world.settings.lock:
        _kept(world, name)
    return Container(name)


@BLOBSTORE.func("delete-container")
def _delete(world: World, name: str) -> None:
    with world.settings.lock:
        world.settings.containers.pop(name, None)


@BLOBSTORE.func("container-exists")
def _exists(world: World, name: str) -> bool:
    return name in world.settings.containers


@BLOBSTORE.func("copy-object")
def _copy(world: World, source: dict[str, str], target: dict[str, str]) -> None:
    with world.settings.lock:
        _copied(world, source, target)


@BLOBSTORE.func("move-object")
def _move(world: World, source: dict[str, str], target: dict[str, str]) -> None:
    with world.settings.lock:
        kept = _copied(world, source, target)
        if source != target:
            del kept.objects[source["object"]]


def _copied(world: World, source: dict[str, str], target: dict[str, str]) -> Kept:
    kept = _kept(world, source["container"], "source container")
    blob = _blob(kept, source["object"], "source object")
    into = _kept(world, target["container"], "destination container")
    into.objects[target["object"]] = Blob(blob.data)
    return kept


@CONTAINER.func("[method]container.name")
def _name(world: World, container: Container) -> str:
    return container.name


@CONTAINER.func("[method]container.info")
def _info(world: World, container: Container) -> dict[str, object]:
    with world.settings.lock:
        return {"name": container.name, "created-at": _kept(world, container.name).created}


@CONTAINER.func("[method]container.get-data")
def _get_data(world: World, container: Container, name: str, start: int, end: int) -> Incoming:
    """``end`` is the last byte that is wanted; who wants all asks for more than there are."""
    with world.settings.lock:
        return Incoming(_blob(_kept(world, container.name), name).data[start : end + 1])


@CONTAINER.func("[method]container.write-data")
def _write_data(world: World, container: Container, name: str, value: Outgoing) -> None:
    with world.settings.lock:
        _kept(world, container.name)
    value.target = container.name, name


@CONTAINER.func("[method]container.list-objects")
def _list(world: World, container: Container) -> Names:
    with world.settings.lock:
        return Names(sorted(_kept(world, container.name).objects))


@CONTAINER.func("[method]container.delete-object")
def _delete_object(world: World, container: Container, name: str) -> None:
    _delete_objects(world, container, [name])


@CONTAINER.func("[method]container.delete-objects")
def _delete_objects(world: World, container: Container, names: list[str]) -> None:
    with world.settings.lock:
        kept = _kept(world, container.name)
        for name in names:
            kept.objects.pop(name, None)


@CONTAINER.func("[method]container.has-object")
def _has(world: World, container: Container, name: str) -> bool:
    with world.settings.lock:
        return name in _kept(world, container.name).objects


@CONTAINER.func("[method]container.object-info")
def _object_info(world: World, container: Container, name: str) -> dict[str, object]:
    with world.settings.lock:
        blob = _blob(_kept(world, container.name), name)
    return {
        "name": name, "container": container.name, "created-at": blob.created,
        "size": len(blob.data),
    }  # fmt: skip


@CONTAINER.func("[method]container.clear")
def _clear(world: World, container: Container) -> None:
    with world.settings.lock:
        _kept(world, container.name).objects.clear()


@CONTAINER.func("[method]stream-object-names.read-stream-object-names")
def _read_names(world: World, names: Names, count: int) -> list[object]:
    read, names.left = names.left[:count], names.left[count:]
    return [read, not names.left]


@CONTAINER.func("[method]stream-object-names.skip-stream-object-names")
def _skip_names(world: World, names: Names, count: int) -> list[object]:
    return [len(_read_names(world, names, count)[0]), not names.left]  # type: ignore[arg-type]
