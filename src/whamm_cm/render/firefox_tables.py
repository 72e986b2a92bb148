"""Tables of the Firefox Profiler's format: columns, and texts and stacks by number."""

from __future__ import annotations

from typing import Any

from whamm_cm.render.lanes import WAITING
from whamm_cm.render.safe import printable
from whamm_cm.render.stacks import Frame, Stacks

Object = dict[str, Any]

#: The type of markers of calls.
CALLS = "call"
#: An interval, of what a marker can be.
_INTERVAL = 1
#: Colours that the profiler has for categories; the one of what is in none comes first.
_OTHER, _COLOURS = "grey", ("blue", "green", "orange", "purple", "yellow", "lightblue", "magenta",
                            "brown", "lightred", "darkgrey")  # fmt: skip
_STRINGS = ("edge", "component", "version", "self", "args", "result", "cancelled", "outcome")
_CALL_FIELDS: list[Object] = [
    *({"key": key, "format": "string"} for key in _STRINGS),
    *({"key": key, "format": "integer"} for key in ("instance", "task", "request")),
    {"key": "failed", "format": "string"},
    {"key": "colour", "format": "string", "hidden": True},
]
_PLACES = ["marker-chart", "marker-table"]
_SHOWN = "{marker.data.args} → {marker.data.result}"

#: What there is to know of markers of each type.
SCHEMAS: list[Object] = [
    {
        "name": CALLS,
        "tableLabel": _SHOWN,
        "display": [*_PLACES, "timeline-overview"],
        "colorField": "colour",
        "fields": [*_CALL_FIELDS, {"key": "flow", "format": "flow-id"}],
    },
    {
        "name": "async",
        "description": "An asynchronous call, from the call to its result.",
        "tableLabel": _SHOWN,
        "display": _PLACES,
        "colorField": "colour",
        "fields": _CALL_FIELDS,
    },
    {
        "name": "wait",
        "description": "A task was left until something happened.",
        "tableLabel": "{marker.data.call}",
        "display": _PLACES,
        "fields": [{"key": "call", "format": "string"}, {"key": "task", "format": "integer"}],
    },
    {
        "name": "peer",
        "description": "Asked of another host, until the answer began.",
        "tableLabel": "{marker.data.url} {marker.data.status}{marker.data.error}",
        "display": [*_PLACES, "timeline-overview"],
        "colorField": "colour",
        "fields": [
            *({"key": key, "format": "sanitized-string"} for key in ("peer", "url")),
            *({"key": key, "format": "string"} for key in ("kind", "error")),
            {"key": "status", "format": "integer"},
            *({"key": key, "format": "bytes"} for key in ("sent", "received")),
            {"key": "colour", "format": "string", "hidden": True},
        ],
    },
]


class Shared:
    """What all threads have in common."""

    def __init__(self) -> None:
        self.stacks = Stacks()
        self._texts: dict[str, int] = {}
        self._categories: dict[str, int] = {"Other": 0, WAITING: 1}
        self._frames: dict[Frame, int] = {}
        self._of_frames: list[int] = []
        self._resources: dict[str, int] = {}

    def text(self, text: str) -> int:
        return self._texts.setdefault(printable(text), len(self._texts))

    def category(self, name: str) -> int:
        return self._categories.setdefault(name, len(self._categories))

    def put(self, frame: Frame, category: str) -> int:
        """The number of a frame, which is in a category from its first on."""
        number = self._frames.setdefault(frame, len(self._frames))
        if number == len(self._of_frames):
            self._of_frames.append(self.category(category))
        return number

    def stack(self, node: int) -> int | None:
        """The number in the table of a stack of ``stacks``; None for the empty one."""
        return node - 1 if node else None

    def categories(self) -> list[Object]:
        colours = {"Other": _OTHER, WAITING: "transparent"}
        return [
            {
                "name": printable(name),
                "color": colours.get(name) or _COLOURS[number % len(_COLOURS)],
                "subcategories": ["Other"],
            }
            for name, number in self._categories.items()
        ]

    def tables(self) -> Object:
        nodes = range(1, len(self.stacks.top))
        frames = [
            self.put(frame, WAITING if frame.name == WAITING else "Other")
            for frame in self.stacks.top[1:]
        ]
        stacks = {
            "frame": frames,
            "prefix": [self.stack(self.stacks.below[node]) for node in nodes],
            "length": len(frames),
        }
        functions = self._functions()
        sources = ("id", "filename", "startLine", "startColumn", "sourceMapURL")
        return {
            "stackTable": stacks,
            "frameTable": self._frame_table(),
            "funcTable": functions,
            "resourceTable": self._resource_table(),
            "nativeSymbols": _table(0, libIndex=0, address=0, name=0, functionSize=0),
            "sources": _table(0, **dict.fromkeys(sources, 0)),
            "stringArray": list(self._texts),
        }

    def _frame_table(self) -> Object:
        many = len(self._frames)
        same = {"address": -1, "inlineDepth": 0, "subcategory": 0, "nativeSymbol": None}
        same |= {"innerWindowID": None, "line": None, "column": None}
        columns = {"category": self._of_frames, "func": list(range(many))}
        return _table(many, **same) | columns

    def _functions(self) -> Object:
        """A frame's function has its number, too; components are resources."""
        same = {"isJS": False, "relevantForJS": False, "source": None}
        same |= {"lineNumber": None, "columnNumber": None}
        names = [self.text(frame.name) for frame in self._frames]
        places = [
            self._resources.setdefault(frame.where, len(self._resources)) if frame.where else -1
            for frame in self._frames
        ]
        return _table(len(names), **same) | {"name": names, "resource": places}

    def _resource_table(self) -> Object:
        names = [self.text(name) for name in self._resources]
        return _table(len(names), lib=None, host=None, type=0) | {"name": names}


def _table(many: int, **same: Any) -> Object:
    """A table with columns in which all rows have the same."""
    return {name: [value] * many for name, value in same.items()} | {"length": many}


class Samples:
    """Those of a thread; ``kind``: what their weights are."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._times: list[float] = []
        self._stacks: list[int | None] = []
        self._weights: list[float] = []

    def add(self, start: int, stack: int | None, weight: float) -> None:
        """``start`` in nanoseconds."""
        self._times.append(start / 1e6)
        self._stacks.append(stack)
        self._weights.append(weight)

    def table(self) -> Object:
        return {
            "time": self._times,
            "stack": self._stacks,
            "weight": self._weights,
            "weightType": self._kind,
            "length": len(self._times),
        }


class Markers:
    """Those of a thread."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._names: list[int] = []
        self._starts: list[float] = []
        self._ends: list[float] = []
        self._categories: list[int] = []
        self._data: list[Object] = []

    def text(self, text: str) -> int:
        return self._shared.text(text)

    def add(self, name: str, start: int, end: int, category: str, data: Object) -> None:
        """Times are nanoseconds."""
        self._names.append(self._shared.text(name))
        self._starts.append(start / 1e6)
        self._ends.append(end / 1e6)
        self._categories.append(self._shared.category(category))
        self._data.append(data)

    def table(self) -> Object:
        many = len(self._names)
        return {
            "name": self._names,
            "startTime": self._starts,
            "endTime": self._ends,
            "phase": [_INTERVAL] * many,
            "category": self._categories,
            "data": self._data,
            "length": many,
        }
