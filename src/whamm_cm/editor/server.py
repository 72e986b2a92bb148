"""The language server: LSP over standard input and output.  Only this file knows the protocol."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import field
from typing import Any

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol
from pygls.uris import to_fs_path

from whamm_cm._version import __version__
from whamm_cm.dataclass import dataclass
from whamm_cm.editor.complete import complete
from whamm_cm.editor.component import Component, header, opened
from whamm_cm.editor.explain import definition, explain, symbols
from whamm_cm.editor.problems import Problem, problems
from whamm_cm.editor.script import Script
from whamm_cm.editor.text import Place, Text
from whamm_cm.errors import WhammError
from whamm_cm.files import read
from whamm_cm.lang.library import LibSignature

#: Seconds without a key before a script is checked with its component.
_PAUSE = 0.15
#: What is offered starts at any of these, too.
_TRIGGERS = (".", ":", "#", "/", '"', "|", " ")

_COMPLETION = lsp.CompletionItemKind
_KINDS = {
    "keyword": _COMPLETION.Keyword, "variable": _COMPLETION.Variable,
    "case": _COMPLETION.EnumMember, "function": _COMPLETION.Function,
    "method": _COMPLETION.Method, "field": _COMPLETION.Field,
    "type": _COMPLETION.TypeParameter, "event": _COMPLETION.Event, "value": _COMPLETION.Value,
    "interface": _COMPLETION.Interface, "library": _COMPLETION.Module,
}  # fmt: skip
_SYMBOLS = {
    "event": lsp.SymbolKind.Event, "function": lsp.SymbolKind.Function,
    "variable": lsp.SymbolKind.Variable, "library": lsp.SymbolKind.Module,
}  # fmt: skip


@dataclass(slots=True)
class Options:
    """``component``: a file; ``libraries``: files by name.  Relative to the folder the editor has
    opened."""

    component: str = ""
    libraries: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, given: object) -> Options:
        """What an editor sent, whatever it was; its settings may stand under ``whamm-cm``."""
        found = given.get("whamm-cm", given) if isinstance(given, dict) else {}
        component = found.get("component") if isinstance(found, dict) else None
        named = found.get("libraries") if isinstance(found, dict) else None
        libraries = {str(k): v for k, v in named.items() if isinstance(v, str)} if isinstance(
            named, dict) else {}  # fmt: skip
        return cls(component if isinstance(component, str) else "", libraries)


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a script is for; ``wrong``: what of that cannot be read."""

    component: Component | None
    libraries: Mapping[str, str]
    signatures: Mapping[str, LibSignature]
    wrong: tuple[Problem, ...]


class _Protocol(LanguageServerProtocol):
    def structure_message(self, data: dict[str, Any]) -> Any:
        """pygls leaves a request whose parameters are wrong without an answer."""
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if "id" in data and "method" in data:
                self._send_response(data["id"], error=error.to_response_error())
            raise


class Server(LanguageServer):
    """``boundary``: what probes at WIT boundaries bind, and what that is."""

    def __init__(self, boundary: Mapping[str, str]) -> None:
        super().__init__("whamm-cm", __version__, protocol_cls=_Protocol)
        self.boundary = boundary
        self.options = Options()
        self.ending = False
        self.texts: dict[str, Text] = {}
        self.due: dict[str, asyncio.TimerHandle] = {}
        self.running: dict[str, Future[list[Problem]]] = {}
        _register(self)

    def script(self, uri: str) -> Script | None:
        text = self.texts.get(uri)
        if text is None:
            return None
        purpose = self.purpose(uri, text.text)
        return Script(text, purpose.component, purpose.signatures, self.boundary)

    def purpose(self, uri: str, text: str) -> Purpose:
        """What the comments at its head say, before what the editor says."""
        said, here = header(text), os.path.dirname(to_fs_path(uri) or "")
        there = self.workspace.root_path or here
        wrong: list[Problem] = []
        component = None
        given = [(os.path.join(here, name), at, at + len(name)) for name, at in said.components[:1]]
        if not given and self.options.component:
            given = [(os.path.join(there, self.options.component), 0, 0)]
        for path, start, end in given:
            try:
                component = opened(path)
            except WhammError as error:
                wrong.append(Problem(start, end, str(error)))
        libraries = {k: os.path.join(there, v) for k, v in self.options.libraries.items()}
        for name, _ in said.libraries:
            library, equals, path = name.partition("=")
            libraries |= {library: os.path.join(here, path)} if equals else {}
        used = {name: path for name, path in libraries.items() if _uses(text, name)}
        return Purpose(component, used, _signatures(used), tuple(wrong))

    # --- checking

    def later(self, uri: str) -> None:
        """Have a script checked when its author pauses."""
        if uri in self.due:
            self.due.pop(uri).cancel()
        loop = asyncio.get_running_loop()
        self.due[uri] = loop.call_later(_PAUSE, self.start_check, uri)

    def start_check(self, uri: str) -> None:
        self.due.pop(uri, None)
        text = self.texts.get(uri)
        if text is None:
            return
        if uri in self.running:  # one at a time; what is newer waits for it
            self.later(uri)
            return
        loop = asyncio.get_running_loop()
        future = self.thread_pool.submit(self.found, uri, text.text)
        self.running[uri] = future
        future.add_done_callback(
            lambda done: loop.call_soon_threadsafe(self.publish, uri, text, done)
        )

    def found(self, uri: str, text: str) -> list[Problem]:
        purpose = self.purpose(uri, text)
        name = os.path.basename(to_fs_path(uri) or "script")
        return [*purpose.wrong, *problems(name, text, purpose.component, purpose.libraries)]

    def publish(self, uri: str, text: Text, done: Future[list[Problem]]) -> None:
        self.running.pop(uri, None)
        if self.texts.get(uri) is not text:
            return  # it has changed, and is to be checked again
        diagnostics = [
            lsp.Diagnostic(
                _range(text, one.start, one.end), one.message, source="whamm-cm",
                severity=lsp.DiagnosticSeverity.Error if one.error
                else lsp.DiagnosticSeverity.Warning,
            )
            for one in done.result()
        ]  # fmt: skip
        self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, diagnostics))


def _uses(text: str, library: str) -> bool:
    return any(line.split()[1:2] == [f"{library};"] for line in text.splitlines()
               if line.startswith("use"))  # fmt: skip


def _signatures(libraries: Mapping[str, str]) -> dict[str, LibSignature]:
    """Of those that can be read; what is wrong with others is said by the check."""
    from whamm_cm.weave.libraries import load_library

    found: dict[str, LibSignature] = {}
    for name, path in libraries.items():
        try:
            found[name] = load_library(name, read(path), path).signature
        except WhammError:
            continue
    return found


def _range(text: Text, start: int, end: int) -> lsp.Range:
    first, last = text.place(start), text.place(max(start, end))
    return lsp.Range(lsp.Position(first.line, first.unit), lsp.Position(last.line, last.unit))


def _offset(text: Text, position: lsp.Position) -> int:
    return text.offset(Place(position.line, position.character))


# --- requests ------------------------------------------------------------------------------------


def _register(server: Server) -> None:
    feature = server.feature
    feature(lsp.INITIALIZE)(_initialize)
    feature(lsp.SHUTDOWN)(_shut_down)
    feature(lsp.WORKSPACE_DID_CHANGE_CONFIGURATION)(_configured)
    feature(lsp.TEXT_DOCUMENT_DID_OPEN)(_opened)
    feature(lsp.TEXT_DOCUMENT_DID_CHANGE)(_changed)
    feature(lsp.TEXT_DOCUMENT_DID_SAVE)(_saved)
    feature(lsp.TEXT_DOCUMENT_DID_CLOSE)(_closed)
    options = lsp.CompletionOptions(trigger_characters=list(_TRIGGERS))
    feature(lsp.TEXT_DOCUMENT_COMPLETION, options)(_complete)
    feature(lsp.TEXT_DOCUMENT_HOVER)(_hover)
    feature(lsp.TEXT_DOCUMENT_DEFINITION)(_definition)
    feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)(_symbols)


def _initialize(server: Server, params: lsp.InitializeParams) -> None:
    server.options = Options.of(params.initialization_options)


def _shut_down(server: Server, params: None) -> None:
    server.ending = True


def _configured(server: Server, params: lsp.DidChangeConfigurationParams) -> None:
    server.options = Options.of(params.settings)
    for uri in server.texts:
        server.later(uri)


def _opened(server: Server, params: lsp.DidOpenTextDocumentParams) -> None:
    encoding = server.server_capabilities.position_encoding
    known = encoding if isinstance(encoding, str) else "utf-16"
    uri = params.text_document.uri
    server.texts[uri] = Text(params.text_document.text, str(getattr(known, "value", known)))
    server.later(uri)


def _changed(server: Server, params: lsp.DidChangeTextDocumentParams) -> None:
    uri = params.text_document.uri
    text = server.texts.get(uri)
    if text is None:
        return
    for change in params.content_changes:
        if isinstance(change, lsp.TextDocumentContentChangePartial):
            start, end = change.range.start, change.range.end
            text = text.edited(Place(start.line, start.character), Place(end.line, end.character),
                               change.text)  # fmt: skip
        else:
            text = Text(change.text, text.encoding)
    server.texts[uri] = text
    server.later(uri)


def _saved(server: Server, params: lsp.DidSaveTextDocumentParams) -> None:
    if params.text_document.uri in server.texts:
        server.later(params.text_document.uri)


def _closed(server: Server, params: lsp.DidCloseTextDocumentParams) -> None:
    uri = params.text_document.uri
    server.texts.pop(uri, None)
    server.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, []))


def _complete(server: Server, params: lsp.CompletionParams) -> lsp.CompletionList:
    script = server.script(params.text_document.uri)
    if script is None:
        return lsp.CompletionList(False, [])
    offers, start, end = complete(script, _offset(script.text, params.position))
    place = _range(script.text, start, end)
    items = [
        lsp.CompletionItem(
            one.label, kind=_KINDS[one.kind], detail=one.detail or None,
            documentation=lsp.MarkupContent(lsp.MarkupKind.Markdown, one.doc) if one.doc else None,
            text_edit=lsp.TextEdit(place, one.insert or one.label), sort_text=f"{number:05}",
        )
        for number, one in enumerate(offers)
    ]  # fmt: skip
    return lsp.CompletionList(False, items)


def _hover(server: Server, params: lsp.HoverParams) -> lsp.Hover | None:
    script = server.script(params.text_document.uri)
    if script is None:
        return None
    found = explain(script, _offset(script.text, params.position))
    if found is None:
        return None
    text = f"```{found.of}\n{found.code}\n```" + (f"\n\n{found.doc}" if found.doc else "")
    return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, text),
                     _range(script.text, found.start, found.end))  # fmt: skip


def _definition(server: Server, params: lsp.DefinitionParams) -> lsp.Location | None:
    uri = params.text_document.uri
    script = server.script(uri)
    found = None if script is None else definition(script, _offset(script.text, params.position))
    if script is None or found is None:
        return None
    return lsp.Location(uri, _range(script.text, *found))


def _symbols(server: Server, params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
    script = server.script(params.text_document.uri)
    return [] if script is None else [
        lsp.DocumentSymbol(one.name, _SYMBOLS[one.kind], _range(script.text, one.start, one.end),
                           _range(script.text, *one.named))
        for one in symbols(script)
    ]  # fmt: skip


def serve(boundary: Mapping[str, str]) -> int:
    """Until the editor says ``exit`` or closes standard input.  Returns the exit code: 1 where it
    goes without having said ``shutdown``."""
    server = Server(boundary)
    # What pygls writes to it closes; and nothing else may write to standard output.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    with contextlib.redirect_stdout(sys.stderr):
        server.start_io(stdout=out)
    return 0 if server.ending else 1
