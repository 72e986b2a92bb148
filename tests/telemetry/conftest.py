"""Logs to send, and the environment left out."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.telemetry.receiver import Receiver, receiving


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("OTEL_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


WALL = 1_700_000_000_000_000_000


class Writer:
    """Records of requests, one after the other, each of an instance of its own."""

    def __init__(self, run: str = "0123456789abcdef") -> None:
        self.records: list[dict[str, Any]] = []
        self.now, self.run, self.instance, self.call = 0, run, 0, 0
        self.add("start", wall_ns=WALL)

    def add(self, phase: str, /, **more: Any) -> dict[str, Any]:
        self.now += 1000
        record = {"v": 2, "run": self.run, "seq": len(self.records), "t_ns": self.now,
                  "phase": phase, **more}  # fmt: skip
        self.records.append(record)
        return record

    def one(self, edge: str, interface: str, func: str, result: Any = None, /, **more: Any) -> None:
        call = self.begin(edge, interface, func, **more)
        self.end(call, result)

    def begin(self, edge: str, interface: str, func: str, /, **more: Any) -> dict[str, Any]:
        self.call += 1
        return self.add("call", instance=self.instance, call=self.call, edge=edge,
                        interface=interface, func=func, **more)  # fmt: skip

    def end(self, call: dict[str, Any], result: Any = None) -> None:
        keys = ("instance", "call", "edge", "interface", "func", "self")
        head = {key: call[key] for key in keys if key in call}
        self.now += 1000
        self.add("return", **head, result=result, dur_ns=self.now + 1000 - call["t_ns"])

    def request(self, path: str = "/", status: int = 200, parent: str | None = None) -> None:
        """Of a host that says nothing: the guest asks for all."""
        http = "wasi:http/types"
        self.instance += 1
        args = {"request": 1, "response-out": 2}
        root = self.begin("export", "wasi:http/incoming-handler", "handle", args=args)
        self.one("import", http, "incoming-request.method", "get", self=1)
        self.one("import", http, "incoming-request.path-with-query", path, self=1)
        if parent is not None:
            value = {"~b64": base64.b64encode(parent.encode()).decode()}
            self.one("import", http, "incoming-request.headers", 7, self=1,
                     handles={"result": "fields"})  # fmt: skip
            self.one("import", http, "fields.get", [value], self=7, args={"name": "Traceparent"})
        self.one("import", http, "outgoing-response.new", 3, args={"headers": 4})
        self.one("import", http, "outgoing-response.set-status-code", {"ok": None}, self=3,
                 args={"status-code": status})  # fmt: skip
        self.one("import", http, "response-outparam.set", None,
                 args={"param": 2, "response": {"ok": 3}})  # fmt: skip
        self.end(root)

    def write(self, path: Path) -> Path:
        path.write_text("".join(json.dumps(record) + "\n" for record in self.records))
        return path
