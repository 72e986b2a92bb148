"""The Firefox Profiler's own code, as Mozilla's `profiler-cli` has it, asked about a profile."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.viewers.tools import need, node

#: All of a tree and all markers; the profiler shows a person less.
_ALL: dict[str, Any] = {
    "callTreeOptions": {"maxNodes": 1 << 30, "maxDepth": 1 << 30, "maxChildrenPerNode": 1 << 30},
    "markerFilters": {"list": True, "limit": 1 << 30},
}
#: Seconds until it has begun, or has answered: only a profiler that hangs takes that long.
_LONGEST = 120


class Profiler:
    """One that has read a profile."""

    def __init__(self, connection: socket.socket) -> None:
        self._file = connection.makefile("rw", encoding="utf-8")

    def say(self, message: dict[str, Any]) -> dict[str, Any]:
        self._file.write(json.dumps(message) + "\n")
        self._file.flush()
        answer: dict[str, Any] = json.loads(self._file.readline())
        assert answer["type"] != "error", answer["error"]
        return answer

    def ask(self, command: str, subcommand: str, **more: Any) -> dict[str, Any]:
        command_ = {"command": command, "subcommand": subcommand, **_ALL, **more}
        found: dict[str, Any] = self.say({"type": "command", "command": command_})["result"]
        return found

    def threads(self) -> list[dict[str, Any]]:
        """Of all processes, each with the ``process`` that it is in."""
        found = self.ask("profile", "info", all=True)["processes"]
        return [
            {**thread, "process": process["name"], "pid": process["pid"]}
            for process in found
            for thread in process["threads"]
        ]

    def markers(self, thread: str) -> list[dict[str, Any]]:
        """Names, labels, starts and durations in ms, in order of start."""
        found: list[dict[str, Any]] = self.ask("thread", "markers", thread=thread)["flatMarkers"]
        return found

    def weights(self, thread: str) -> dict[tuple[str, ...], float]:
        """Stack → its own weight, as the call tree has it."""
        found: dict[tuple[str, ...], float] = {}
        asked = self.ask("thread", "samples-top-down", thread=thread, includeIdle=True)
        todo: list[tuple[tuple[str, ...], dict[str, Any]]] = [((), asked["regularCallTree"])]
        while todo:
            stack, node_ = todo.pop()
            assert "childrenTruncated" not in node_
            for child in node_["children"]:
                inner = (*stack, child["name"])
                found[inner] = child["selfSamples"]
                todo.append((inner, child))
        return found


@contextmanager
def reading(profile: Path) -> Iterator[Profiler]:
    """The profiler with a profile read, upgraded to the version of the format it knows.

    Its daemon is started without the client, which gives up after half a second.
    """
    program, place = need("profiler-cli"), profile.with_suffix(".d")
    place.mkdir()
    command = [node(), str(program), "--daemon", str(profile), "--session", "s"]
    environment = {**os.environ, "PROFILER_CLI_SESSION_DIR": str(place)}
    environment["PROFILER_CLI_NO_SYMBOLICATE"] = "1"
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
        try:
            with _connected(process, place / "s.sock") as connection:
                profiler = Profiler(connection)
                while profiler.say({"type": "status"})["type"] != "ready":
                    _still_runs(process)
                yield profiler
        finally:
            process.terminate()
            process.communicate(timeout=_LONGEST)


def _connected(process: subprocess.Popen[bytes], path: Path) -> socket.socket:
    for _ in range(_LONGEST * 50):
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            _still_runs(process)
            continue
        connection.settimeout(_LONGEST)
        return connection
    raise AssertionError("the profiler does not listen")


def _still_runs(process: subprocess.Popen[bytes]) -> None:
    """It did not end within a moment."""
    try:
        status = process.wait(0.02)
    except subprocess.TimeoutExpired:
        return
    assert process.stderr is not None
    raise AssertionError(f"the profiler ended ({status}): {process.stderr.read().decode()}")
