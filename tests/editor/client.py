"""An editor for tests: speaks the protocol with ``whamm-cm lsp`` over pipes, by hand."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

Json = dict[str, Any]
_PATIENCE = 300
_UTF16 = {"general": {"positionEncodings": ["utf-16"]}}


class Client:
    """Starts the server and says initialize; positions are (line, UTF-16 unit)."""

    def __init__(self, folder: Path | None = None, options: object = None,
                 capabilities: Json | None = None) -> None:  # fmt: skip
        words = [sys.executable, "-m", "whamm_cm", "lsp"]
        self.log = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log)  # fmt: skip
        # A test that waits for what never comes ends with what the server had to say.
        self.watchdog = threading.Timer(_PATIENCE, self.process.kill)
        self.watchdog.daemon = True
        self.watchdog.start()
        self.number = 0
        self.notes: list[Json] = []
        root = None if folder is None else folder.as_uri()
        self.capabilities = self.ask("initialize", {
            "processId": None, "rootUri": root,
            "capabilities": _UTF16 if capabilities is None else capabilities,
            "initializationOptions": options,
        })["capabilities"]  # fmt: skip
        self.tell("initialized", {})

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(data), data))
        self.process.stdin.flush()

    def tell(self, method: str, params: object) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        self.send(json.dumps(message).encode())

    def ask(self, method: str, params: object) -> Any:
        answer = self.answer(method, params)
        assert "error" not in answer, answer
        return answer.get("result")

    def answer(self, method: str, params: object) -> Json:
        """The whole answer, an error or not."""
        self.number += 1
        message = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}
        self.send(json.dumps(message).encode())
        while (found := self.read()).get("id") != self.number:
            self.notes.append(found)
        return found

    def read(self) -> Json:
        stdout = self.process.stdout
        assert stdout is not None
        length = 0
        while (line := stdout.readline()).strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        if not length:
            self.log.seek(0)
            raise EOFError(self.log.read().decode())
        found = json.loads(stdout.read(length))
        assert isinstance(found, dict)
        return found

    # --- documents

    def open(self, path: Path, text: str) -> str:
        uri = path.as_uri()
        document = {"uri": uri, "languageId": "whamm", "version": 1, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": document})
        return uri

    def edit(self, uri: str, version: int, *changes: Json) -> None:
        document = {"uri": uri, "version": version}
        self.tell("textDocument/didChange", {"textDocument": document,
                                             "contentChanges": list(changes)})  # fmt: skip

    def at(self, method: str, uri: str, line: int, unit: int) -> Any:
        position = {"line": line, "character": unit}
        return self.ask(method, {"textDocument": {"uri": uri}, "position": position})

    def labels(self, uri: str, line: int, unit: int) -> list[str]:
        found = self.at("textDocument/completion", uri, line, unit)
        return [one["label"] for one in found["items"]]

    def diagnostics(self, uri: str) -> list[Json]:
        """The next that come for a document."""
        while True:
            note = self.notes.pop(0) if self.notes else self.read()
            wanted = note.get("method") == "textDocument/publishDiagnostics"
            if wanted and note["params"]["uri"] == uri:
                found: list[Json] = note["params"]["diagnostics"]
                return found

    def close(self) -> int:
        self.ask("shutdown", None)
        self.tell("exit", None)
        self.watchdog.cancel()
        return self.process.wait(_PATIENCE)
