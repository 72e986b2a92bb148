"""Every HTTP handler (WASI 0.2) in directories of ``.wasm`` files, served here and by wasmtime.

    python -m tests.corpus_handlers [-k WORD] [-v] DIR…

Each is asked the same by several requests: as it is on ``wasmtime serve`` (``wash dev`` for what
that has no host for), as it is on our server, and woven on our server, with a trace of all and with
``--count``.  Compared are status, fields in their order, body and trailers; not what is about the
connection or the clock (``connection``, ``date``), nor where a body was cut into chunks.  A 500
that a host made of its own, since the guest trapped, is a 500, whatever it shows.

Counted as «cut», and no difference: a body that the guest trapped in is cut off here, where
wasmtime ends it as if it were whole; where the guest goes back on its response, we answer 500 or
cut it off, where wasmtime closes the connection and says nothing; behind a large body that was not
read, wasmtime closes so early that the client may miss the end.

The reference is asked twice: where it differs from itself (clocks, random numbers), fields' names
and the status are compared, and the table says so.

Beside ``app.wasm`` may be ``app.requests``, with a line ``METHOD /path [body]`` for each request
more, and lines ``--env NAME=VALUE``, ``--config NAME=VALUE``, ``--dir HOST::GUEST`` for all hosts.
The same bytes count once.  Prints a line for each, and each difference; exits 1 if there is one.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tests.corpus_readers import components
from tests.hosts import rig, tools
from tests.hosts.starting import wash_dev

_HANDLER = b"wasi:http/incoming-handler@0.2"
#: Fields of wasmtime's page for a guest that trapped, and of ours.
_HOSTS_OWN = (
    {b"content-type: text/html; charset=UTF-8", b"content-length: 205"},
    {b"content-length: 0"},
)
_NOT_COMPARED = (b"date:", b"connection:")
#: Where nobody listens: some handlers pass all they get on to it, and would to themselves.
_NOWHERE = "127.0.0.1:1"
_LARGE = bytes(range(256)) * 1200


def _request(line: str, *fields: str, body: bytes | None = None) -> bytes:
    head = [f"{line} HTTP/1.1", f"Host: {_NOWHERE}", *fields]
    if body is not None:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode() + (body or b"")


#: What every handler is asked.
REQUESTS: dict[str, bytes] = {
    "GET": _request("GET /"),
    "query": _request("GET /a/b?x=1&y=%20&x=2"),
    "missing": _request("GET /no/such/place/404"),
    "repeated": _request("GET /", "X-A: 1", "x-a: 2", "X-A: 1", "Accept: */*", "Cookie: a=b"),
    "HEAD": _request("HEAD /"),
    "OPTIONS": _request("OPTIONS /x", "Origin: http://example.org"),
    "DELETE": _request("DELETE /items/1"),
    "POST": _request("POST /echo", "Content-Type: text/plain", body=b"hello world"),
    "json": _request("POST /api", "Content-Type: application/json", body=b'{"a": ["b", 1]}'),
    "empty": _request("POST /", body=b""),
    "chunked": _request("POST /echo", "Transfer-Encoding: chunked", "Trailer: X-T")
    + b"5\r\nhello\r\n1\r\n!\r\n0\r\nX-T: yes\r\n\r\n",
    "large": _request("PUT /large", body=_LARGE),
    "close": _request("GET /", "Connection: close", "TE: trailers"),
    "absolute": _request("GET http://127.0.0.2:1/path?q"),
    "trailers": _request("POST /echo", "Transfer-Encoding: chunked", "TE: trailers", "Trailer: X-T")
    + b"5\r\nhello\r\n0\r\nX-T: yes\r\n\r\n",
    "old": f"GET / HTTP/1.0\r\nHost: {_NOWHERE}\r\n\r\n".encode(),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """``fields`` as on the wire, names in lower case; ``whole``: the body did not break off.
    Status 0: none came."""

    status: int = 0
    fields: tuple[bytes, ...] = ()
    body: bytes = b""
    trailers: tuple[bytes, ...] = ()
    whole: bool = False

    def __str__(self) -> str:
        body = (
            self.body if len(self.body) < 200 else self.body[:100] + b"... of %d" % len(self.body)
        )
        cut = "" if self.whole else " CUT"
        return f"{self.status} {list(self.fields)} {body!r} {list(self.trailers)}{cut}"

    def names(self) -> Answer:
        """Without what clocks and random numbers are in."""
        known = sorted(field.partition(b":")[0] for field in self.fields)
        return Answer(self.status, tuple(known), b"", self.trailers, self.whole)


def ask(port: int, request: bytes) -> Answer:
    """On a connection of its own."""
    try:
        with socket.create_connection(("127.0.0.1", port), rig.DEADLINE) as made:
            with suppress(OSError):  # answered before it was all read
                made.sendall(request)
            file = made.makefile("rb")
            while True:
                status = file.readline().split()
                if len(status) < 2:
                    return Answer()
                lines = tuple(_lines(file))
                if status[1][:1] != b"1":
                    return _answer(int(status[1]), lines, file, request.startswith(b"HEAD "))
    except OSError:
        return Answer()


def _answer(status: int, lines: tuple[bytes, ...], file: object, head: bool) -> Answer:
    known = {key: value.strip() for key, _, value in (line.partition(b":") for line in lines)}
    kept = tuple(line for line in lines if not line.startswith(_NOT_COMPARED))
    if status == 500 and set(kept) in _HOSTS_OWN:
        return Answer(500, whole=True)
    trailers: tuple[bytes, ...] = ()
    read = file.read  # type: ignore[attr-defined]
    if head or status in (204, 304):
        return Answer(status, kept, whole=True)
    try:
        if known.get(b"transfer-encoding") == b"chunked":
            body = b""
            while size := int(file.readline(), 16):  # type: ignore[attr-defined]
                part = read(size)
                body += part
                if len(part) < size or not file.readline():  # type: ignore[attr-defined]
                    return Answer(status, kept, body)
            trailers = tuple(_lines(file))
        elif b"content-length" in known:
            body = read(int(known[b"content-length"]))
            if len(body) < int(known[b"content-length"]):
                return Answer(status, kept, body)
        else:
            body = read()
    except (ValueError, OSError):
        return Answer(status, kept, body)
    return Answer(status, kept, body, trailers, True)


def _lines(file: object) -> Iterator[bytes]:
    while line := file.readline().strip():  # type: ignore[attr-defined]
        name, colon, value = line.partition(b":")
        yield name.lower() + colon + value


@dataclass(frozen=True, slots=True)
class Case:
    """A handler, what it is asked, and the options for ours and for wasmtime."""

    path: Path
    requests: dict[str, bytes]
    ours: Sequence[str]
    theirs: Sequence[str]


def case_of(path: Path) -> Case:
    requests, ours, theirs = dict(REQUESTS), [], []
    extra = path.with_suffix(".requests")
    for line in extra.read_text().splitlines() if extra.exists() else ():
        words = line.split(" ", 2)
        if line.startswith("--"):
            ours += [words[0], words[1]]
            theirs += ["-S", f"config-var={words[1]}"] if words[0] == "--config" else words[:2]
        elif line.strip():
            body = words[2].encode() if len(words) > 2 else None
            fields = ("Content-Type: application/json",) if body and body[:1] in b"{[" else ()
            requests[line] = _request(" ".join(words[:2]), *fields, body=body)
    return Case(path, requests, ours, theirs)


def _said(command: Sequence[str], pattern: str, case: Case, twice: bool) -> list[dict[str, Answer]]:
    """What a server of ours or theirs answers; raises AssertionError with what it said instead."""
    with ExitStack() as stack:
        log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "log"
        program = stack.enter_context(rig.running(command, log))
        port = int(program.expect(pattern)[1])
        found = [
            {name: ask(port, request) for name, request in case.requests.items()}
            for _ in range(1 + twice)
        ]
    return found


def theirs(wasmtime: str, case: Case) -> list[dict[str, Answer]]:
    found = "cli,http,config,keyvalue,inherit-network,allow-ip-name-lookup"
    command = [wasmtime, "serve", "-S", found, "--addr", "127.0.0.1:0", *case.theirs]
    return _said([*command, str(case.path)], r"http://127\.0\.0\.1:(\d+)/", case, True)


def by_wash(case: Case) -> list[dict[str, Answer]]:
    """For what wasmtime has no host for: what ``wash dev`` answers, twice from the start."""
    found = []
    for _ in range(2):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            server, program = stack.enter_context(wash_dev(folder, case.path.resolve()))
            program.expect("listening for HTTP requests")
            asked = [name for name in case.requests if name != "absolute"]  # which it refuses
            found.append({name: ask(server.port, case.requests[name]) for name in asked})
    return found


def reference(wasmtime: str, case: Case) -> tuple[str, list[dict[str, Answer]]]:
    """Whose answers these are; raises AssertionError with what the last host said instead."""
    try:
        return "wasmtime", theirs(wasmtime, case)
    except AssertionError:
        if tools.find("wash") is None or case.ours:
            raise
    return "wash", by_wash(case)


#: How it is served here, and what is compared of it.
MODES: dict[str, Sequence[str]] = {
    "original": ("-m", "tests.corpus_handlers", "--serve"),
    "woven": ("-m", "whamm_cm", "trace", "--http", "--addr", "127.0.0.1:0", "-o", "/dev/null"),
    "counted": (
        "-m", "whamm_cm", "trace", "--http", "--addr", "127.0.0.1:0", "--count", "all", "-o",
        "/dev/null",
    ),
}  # fmt: skip


def ours(mode: str, host: str, case: Case) -> dict[str, Answer]:
    # wash lets no request out that it is not told to.
    network = ("--allow-host", "nowhere.invalid") if host == "wash" else ("--inherit-network",)
    command = [sys.executable, *MODES[mode], *network, *case.ours, str(case.path)]
    return _said(command, r"http://127\.0\.0\.1:(\d+)/", case, False)[0]


def _is_cut(want: Answer, have: Answer) -> bool:
    if not want.status:
        return have.status == 500 or not have.whole
    if not want.whole:  # our end came after the client had all, theirs before
        return replace(have, body=want.body, whole=False) == want and have.body.startswith(
            want.body
        )
    return replace(have, whole=True) == want and not have.whole


def differences(
    host: str, first: dict[str, Answer], again: dict[str, Answer], got: dict[str, Answer]
) -> Iterator[str]:
    for name, want in first.items():
        have = got[name]
        if want != again[name]:
            want, have = want.names(), have.names()
        if want != have and not _is_cut(want, have):
            yield f"{name}\n      {host:8} {want}\n      here     {have}"


def verdict(wasmtime: str, case: Case) -> tuple[str, list[str]]:
    """A row of the table, and what differs."""
    try:
        host, (first, again) = reference(wasmtime, case)
    except AssertionError as fault:
        return "no reference", [_last(str(fault))]
    faults, cut = list[str](), 0
    for mode in MODES:
        try:
            got = ours(mode, host, case)
        except AssertionError as fault:
            faults.append(f"{mode}: not served: {_last(str(fault))}")
            continue
        faults += [f"{mode}: {one}" for one in differences(host, first, again, got)]
        cut += sum(_is_cut(want, got[name]) for name, want in first.items())
    statuses = " ".join(sorted({str(one.status) for one in first.values()}))
    varies = sum(first[name] != again[name] for name in first)
    notes = [f"{count} {what}" for count, what in ((varies, "vary"), (cut, "cut")) if count]
    row = f"{host}: {len(first)} requests ({', '.join([statuses, *notes])})"
    return ("DIFFERENT " if faults else "same ") + row, faults


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if re.search("error|cannot|import|needs", line)]
    return " | ".join(lines[:3])[:500] or text[-300:]


def serve(words: Sequence[str]) -> int:
    """``--serve [options] FILE``: as ``trace --http`` does, but the component as it is."""
    from whamm_cm.run.host.world import Settings
    from whamm_cm.run.options import HostOptions, parse_dir, parse_env
    from whamm_cm.run.server import Server
    from whamm_cm.run.serving import Handler, Service

    parser = argparse.ArgumentParser()
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--dir", action="append", default=[])
    parser.add_argument("--config", action="append", default=[])
    parser.add_argument("--allow-host", action="append")
    parser.add_argument("--inherit-network", action="store_true")
    parser.add_argument("path", type=Path)
    args = parser.parse_args(words)
    env = [pair for pair in map(parse_env, args.env) if pair is not None]
    host = HostOptions((args.path.name,), env, [*map(parse_dir, args.dir)], args.inherit_network)
    settings = Settings(
        host, args.allow_host, config=dict(one.split("=", 1) for one in args.config)
    )
    handler = Handler(Service(args.path.read_bytes(), settings))
    server = Server(handler, "127.0.0.1", 0, lambda answered: None)
    print("http://{}:{}/".format(*server.address), flush=True)
    with suppress(KeyboardInterrupt):
        server.run(lambda: False)
    return 0


def main(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["--serve"]:
        return serve(arguments[1:])
    parser = argparse.ArgumentParser(prog="python -m tests.corpus_handlers", description=__doc__)
    parser.add_argument("-k", metavar="WORD", default="", help="those with it in their names only")
    parser.add_argument("-v", action="store_true", help="say what differs (default: which)")
    parser.add_argument("folders", nargs="+", metavar="DIR")
    options = parser.parse_args(arguments)
    wasmtime = tools.find("wasmtime")
    if wasmtime is None:
        parser.error("needs wasmtime (tests/hosts/requirements.txt)")
    counts = {"same": 0, "DIFFERENT": 0, "no": 0}
    for path in components(options.folders):
        data = path.read_bytes()
        if options.k not in path.name or _HANDLER not in data:
            continue
        became, more = verdict(str(wasmtime), case_of(path))
        counts[became.partition(" ")[0]] += 1
        print(f"{hashlib.sha256(data).hexdigest()[:12]} {path.name:40} {became}", flush=True)
        for line in more if options.v else [one.partition("\n")[0] for one in more]:
            print(f"    {line}", flush=True)
    total = sum(counts.values())
    print(f"{total} handlers, {counts['same']} the same, {counts['DIFFERENT']} different")
    return 1 if counts["DIFFERENT"] else 0


if __name__ == "__main__":
    rig.DEADLINE = 600.0  # what is large takes its time to compile
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # servers end, too
    sys.exit(main(sys.argv[1:]))
