"""What serving costs: requests a second of an HTTP handler on the host in Python, as it is and
woven, beside ``wasmtime serve`` where there is one.

    python -m bench.serve [--requests N] [--clients N] [--beside CHECKOUT] [APP.wasm]

All servers answer the same requests, in turns, on kept connections; each line is the best of the
rounds, ``us`` the processor time of the server for a request.  ``memory`` and ``files`` are the
most that a server had after half of a round and at its end: what grows with the requests shows
there.  The default guest sends back what it gets.  With ``--beside`` those of another state of the
project take their turns, too.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.beside import environment
from fixtures.build import path_of

ROUNDS = 3
REQUEST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


@dataclass
class Contender:
    name: str
    command: list[str]
    env: dict[str, str] | None = None
    seconds: list[float] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    bad: int = 0


@contextmanager
def started(contender: Contender) -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = contender.command
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=contender.env
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if (match := re.search(r"http://127\.0\.0\.1:(\d+)/", line)) is not None:
                    threading.Thread(target=process.stderr.read, daemon=True).start()
                    yield process, int(match[1])
                    return
            raise SystemExit(f"{' '.join(command)} did not start")
        finally:
            process.kill()


def ask(port: int, count: int, bad: list[int]) -> None:
    """``count`` requests on one connection."""
    with socket.create_connection(("127.0.0.1", port), 120) as made:
        for _ in range(count):
            made.sendall(REQUEST)
            answer = b""
            while not answer.endswith(b"0\r\n\r\n"):
                part = made.recv(65536)
                if not part:
                    break
                answer += part
            if not answer.startswith(b"HTTP/1.1 200") or b"hello" not in answer:
                bad.append(1)
                return


def spent(pid: int) -> float:
    """Seconds of processor time, of which a busy machine takes nothing away."""
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()  # noqa: SIM115
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def a_round(contender: Contender, requests: int, clients: int) -> None:
    with started(contender) as (process, port):
        ask(port, 1, [])  # compiled, and warm
        for part in range(2):
            bad: list[int] = []
            threads = [
                threading.Thread(target=ask, args=(port, requests // clients // 2, bad))
                for _ in range(clients)
            ]
            began, before = time.monotonic(), spent(process.pid)
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            contender.seconds.append((time.monotonic() - began) * 2)
            contender.spent.append((spent(process.pid) - before) * 2)
            contender.bad += len(bad)
            state = open(f"/proc/{process.pid}/status").read()  # noqa: SIM115
            found = re.search(r"VmRSS:\s+(\d+)", state)
            size = int(found[1]) >> 10 if found else 0
            files = len(os.listdir(f"/proc/{process.pid}/fd"))
            if len(contender.memory) <= part:
                contender.memory.append(0)
                contender.files.append(0)
            contender.memory[part] = max(contender.memory[part], size)
            contender.files[part] = max(contender.files[part], files)


def serve(app: str) -> None:
    """The original on the host in Python; for a process of its own."""
    from whamm_cm.run.host.world import Settings
    from whamm_cm.run.options import HostOptions
    from whamm_cm.run.server import Server
    from whamm_cm.run.serving import Handler, Service

    with open(app, "rb") as file:
        handler = Handler(Service(file.read(), Settings(HostOptions(("app",)))))
    server = Server(handler, "127.0.0.1", 0, lambda answered: None)
    print(f"http://127.0.0.1:{server.address[1]}/", file=sys.stderr, flush=True)
    server.run(lambda: False)


def contenders(app: str, checkout: Path | None) -> list[Contender]:
    python = [sys.executable, "-m"]
    trace = [*python, "whamm_cm", "trace", "--http", "--addr", "127.0.0.1:0", "-o", os.devnull]
    found = [
        Contender("original", [*python, "bench.serve", "--serve", app]),
        Contender("woven, every call", [*trace, app]),
        Contender("woven, counts", [*trace, "--count", "*", app]),
        Contender("woven, --reuse 100", [*trace, "--reuse", "100", app]),
    ]
    if checkout is not None:
        env = environment(checkout)
        found += [Contender(f"{one.name} (beside)", one.command, env) for one in found]
    beside = str(Path(sys.executable).with_name("wasmtime"))
    wasmtime = shutil.which("wasmtime") or shutil.which(beside)
    if wasmtime is not None:
        command = [wasmtime, "serve", "-Scli", "--addr", "127.0.0.1:0", app]
        found.insert(0, Contender("wasmtime serve", command))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.serve")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--beside", type=Path, metavar="CHECKOUT")
    parser.add_argument("--serve", metavar="APP.wasm", help=argparse.SUPPRESS)
    parser.add_argument("app", nargs="?")
    args = parser.parse_args()
    if args.serve:
        return serve(args.serve)
    all_ = contenders(args.app or str(path_of("http_echo")), args.beside)
    for _ in range(args.rounds):
        for contender in all_:
            a_round(contender, args.requests, args.clients)
    print(f"{args.requests} requests, {args.clients} at a time")
    print(f"{'':29} {'requests/s':>10} {'us':>6}  memory (MiB)  files      bad")
    for one in all_:
        rate, cost = args.requests / min(one.seconds), min(one.spent) / args.requests * 1e6
        print(
            f"{one.name:29} {rate:10.0f} {cost:6.0f}  {one.memory[0]:>4} -> {one.memory[1]:<4}"
            f"  {one.files[0]:>3} -> {one.files[1]:<3} {one.bad:>4}"
        )


if __name__ == "__main__":
    main()
