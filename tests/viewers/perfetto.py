"""Perfetto's trace_processor, as its UI has it: WebAssembly in a worker of Chromium."""

from __future__ import annotations

import base64
from typing import Any

from tests.viewers.tools import perfetto

#: Where the browser believes the UI is; nobody is asked for it.
_HOME = "http://perfetto.localhost/"
#: The worker speaks through a port: what it says waits in `said` until somebody asks for it.
_PAGE = """<!doctype html><script>
const said = [], asking = [], channel = new MessageChannel();
const engine = new Worker('engine_bundle.js');
engine.onerror = (event) => put(null, event.message);
engine.postMessage(channel.port2, [channel.port2]);
channel.port1.onmessage = (event) => put(event.data, '');
function put(data, error) { (asking.shift() ?? ((one) => said.push(one)))({data, error}); }
const send = (text) => channel.port1.postMessage(Uint8Array.fromBase64(text));
async function next() {
  const {data, error} = said.shift() ?? await new Promise((done) => asking.push(done));
  if (error) throw new Error(error);
  return data.toBase64();
}
</script>"""


class TraceProcessor:
    """One engine, which traces are loaded into one after the other."""

    def __init__(self, browser: Any) -> None:
        folder = perfetto()
        from perfetto.trace_processor.platform import PlatformDelegate
        from perfetto.trace_processor.protos import ProtoFactory
        from perfetto.trace_processor.rpc import TraceProcessorRpc

        self._page = browser.new_page()
        self._page.set_default_timeout(120_000)  # only a page that hangs takes that long

        def serve(route: Any) -> None:
            name = route.request.url.removeprefix(_HOME)
            if name:
                route.fulfill(path=folder / name)
            else:
                route.fulfill(body=_PAGE, content_type="text/html")

        self._page.context.route(f"{_HOME}**", serve)
        self._page.goto(_HOME)
        self._read = b""
        self.protos = ProtoFactory(PlatformDelegate())
        self._rpc = TraceProcessorRpc(self, self.protos)

    def load(self, trace: str) -> None:
        """A trace in place of the one before."""
        rpc = self.protos.TraceProcessorRpc
        self._ask(rpc.TPM_RESET_TRACE_PROCESSOR)
        self._ask(rpc.TPM_APPEND_TRACE_DATA, append_trace_data=trace.encode())
        self._ask(rpc.TPM_FINALIZE_TRACE_DATA)

    def _ask(self, request: int, **more: Any) -> Any:
        stream = self.protos.TraceProcessorRpcStream()
        stream.msg.add(request=request, **more)
        self.send(stream.SerializeToString())
        answer = self.protos.TraceProcessorRpc()
        answer.MergeFromString(self._rpc._read_payload())
        assert not answer.fatal_error and not answer.append_result.error, answer
        assert not answer.finalize_data_result.error, answer
        return answer

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        from perfetto.common.query_result_iterator import QueryResultIterator

        result = self._rpc.execute_query(query)
        assert not result.error, result.error
        names = list(result.column_names)
        found = QueryResultIterator(names, result.batch)
        return [tuple(getattr(row, name) for name in names) for row in found]

    # What the client of Perfetto's package speaks through.

    def send(self, data: bytes) -> None:
        self._page.evaluate("send", base64.b64encode(data).decode())

    def read(self, count: int) -> bytes:
        while len(self._read) < count:
            self._read += base64.b64decode(self._page.evaluate("next()"))
        found, self._read = self._read[:count], self._read[count:]
        return found

    def close(self) -> None:
        self._page.close()
