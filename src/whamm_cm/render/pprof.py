"""pprof's profiles: gzip of a message of ``profile.proto``, for ``go tool pprof`` and its kin.

A sample is a stack with what its last frame has to itself.  Where a script has reported a call
tree, that is shown, with its own numbers.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from whamm_cm.errors import UsageError
from whamm_cm.render.calltree import call_trees
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.safe import printable
from whamm_cm.render.stacks import Frame, Stacks, frame_of
from whamm_cm.trace.records import Record
from whamm_cm.trace.session import Session
from whamm_cm.trace.timeline import WallClock, length

if TYPE_CHECKING:
    from google.protobuf.message import Message

#: A number of the format has 63 bits.
_MOST = (1 << 63) - 1
#: What samples of calls have values of; the last two only in a log with times.
_CALLS = (("calls", "count"), ("errors", "count"), ("time", "nanoseconds"), ("wait", "nanoseconds"))


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[bytes]:
    """Raises UsageError without the library that writes the messages."""
    clock = WallClock()
    session = Session.build(clock.watch(records))
    profile = _Profile()
    if not _reported(session, profile, options.per_instance):
        _traced(session, profile, options.per_instance)
    if clock.base is not None:
        profile.message.time_nanos = min(max(clock.base, 0), _MOST)
    if session.timed:
        profile.message.duration_nanos = min(length(session), _MOST)
    if session.losses:
        profile.message.comment.append(profile.text(session.losses.sentence()))
    yield gzip.compress(profile.message.SerializeToString(deterministic=True), mtime=0)


class _Profile:
    """A message while it grows, and what in it is known by number."""

    def __init__(self) -> None:
        self.message: Any = message_class()()
        self._texts: dict[str, int] = {}
        self._mappings: dict[str, int] = {}
        self._locations: dict[Frame, int] = {}
        self.text("")

    def text(self, text: str) -> int:
        """The number of a text in the table of all."""
        shown = printable(text)
        number = self._texts.setdefault(shown, len(self._texts))
        if number == len(self.message.string_table):
            self.message.string_table.append(shown)
        return number

    def kinds(self, kinds: Iterable[tuple[str, str]], default: str) -> None:
        """What the values of a sample are: (type, unit) of each."""
        for kind, unit in kinds:
            self.message.sample_type.add(type=self.text(kind), unit=self.text(unit))
        self.message.default_sample_type = self.text(default)

    def sample(self, stack: Iterable[Frame], values: Iterable[int], instance: int) -> None:
        """``stack`` from the outermost frame on; ``instance``: 0 for no one's in particular."""
        places = [self._location(frame) for frame in stack]
        within = [min(max(value, -_MOST), _MOST) for value in values]
        sample = self.message.sample.add(location_id=reversed(places), value=within)
        if instance:
            sample.label.add(key=self.text("instance"), num=instance)

    def _location(self, frame: Frame) -> int:
        number = self._locations.setdefault(frame, len(self._locations) + 1)
        if number > len(self.message.location):
            # With a system name that is the same, pprof would take what is in <> and () away.
            self.message.function.add(id=number, name=self.text(frame.name))
            location = self.message.location.add(id=number, mapping_id=self._mapping(frame.where))
            location.line.add(function_id=number)
        return number

    def _mapping(self, where: str) -> int:
        number = self._mappings.setdefault(where, len(self._mappings) + 1)
        if number > len(self.message.mapping):
            file = self.text(where or "component")
            self.message.mapping.add(id=number, filename=file, has_functions=True)
        return number


def _reported(session: Session, profile: _Profile, per_instance: bool) -> bool:
    """Whether scripts have reported call trees; a type of values for each variable that is one."""
    trees = call_trees(session, per_instance)
    if not trees:
        return False
    variables = list(dict.fromkeys(tree.variable for tree in trees))
    profile.kinds(((name, "count") for name in variables), variables[0])
    for tree in trees:
        for names, weight in tree.stacks:
            values = [weight if name == tree.variable else 0 for name in variables]
            script = tree.variable.partition(":")[0]
            stack = [Frame(name, script) for name in names]
            profile.sample(stack, values, tree.instance if per_instance else 0)
    return True


def _traced(session: Session, profile: _Profile, per_instance: bool) -> None:
    kinds = _CALLS if session.timed else _CALLS[:2]
    profile.kinds(kinds, "time" if session.timed else "calls")
    stacks = Stacks()
    sums: dict[tuple[int, int], list[int]] = {}
    for call, node in zip(session.calls, stacks.of_calls(session), strict=True):
        values = sums.setdefault((node, call.instance if per_instance else 0), [0] * len(_CALLS))
        values[0] += 1
        values[1] += call.failed
        values[2] += call.self_ns or 0
        values[3] += max(sum(last - first for first, last in call.waits), 0)
    for site, count in session.counts.items():
        node = stacks.node(0, frame_of(site))
        sums.setdefault((node, 0), [0] * len(_CALLS))[0] += count
    for (node, instance), values in sums.items():
        profile.sample(stacks.frames(node), values[: len(kinds)], instance)


#: The part of ``profile.proto`` that is written: message → its fields, each with its number and
#: type; ``*`` behind a type is any number of them.
_SCHEMA = {
    "ValueType": "type 1 int64, unit 2 int64",
    "Label": "key 1 int64, num 3 int64",
    "Sample": "location_id 1 uint64*, value 2 int64*, label 3 Label*",
    "Mapping": "id 1 uint64, filename 5 int64, has_functions 7 bool",
    "Line": "function_id 1 uint64",
    "Location": "id 1 uint64, mapping_id 2 uint64, line 4 Line*",
    "Function": "id 1 uint64, name 2 int64",
    "Profile": "sample_type 1 ValueType*, sample 2 Sample*, mapping 3 Mapping*,"
    " location 4 Location*, function 5 Function*, string_table 6 string*, time_nanos 9 int64,"
    " duration_nanos 10 int64, comment 13 int64*, default_sample_type 14 int64",
}
_PACKAGE = "perftools.profiles"


def message_class() -> type[Message]:
    """The class of profiles.  Raises UsageError without the library that it needs."""
    try:
        from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
        from google.protobuf.descriptor_pool import DescriptorPool
        from google.protobuf.message_factory import GetMessageClass
    except ImportError:
        raise UsageError("-f pprof needs protobuf: pip install 'whamm-cm[pprof]'") from None
    file = FileDescriptorProto(name="profile.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for text in fields.split(", "):
            field, number, kind = text.split()
            label = "LABEL_REPEATED" if kind.endswith("*") else "LABEL_OPTIONAL"
            kind = kind.rstrip("*")
            row = message.field.add(name=field, number=int(number))
            row.label = FieldDescriptorProto.Label.Value(label)
            if kind in _SCHEMA:
                row.type, row.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                row.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
    pool = DescriptorPool()
    pool.Add(file)
    made: type[Any] = GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Profile"))
    return made
