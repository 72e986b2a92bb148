"""Programs in four languages are told by their own errors what they may not do.

Each is a command that does a little of everything, and prints what error each step met.  C and Rust
need the adapter of preview 1, which comes with jco, and JavaScript the componentize-js beside it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.gate.attacking import policy
from tests.hosts.tools import need
from whamm_cm.front.guarding import guarded

GUESTS = Path(__file__).parent / "guests"
#: All that the programs do but for making a file.
STEPS = """imports:
  deny:
    - "wasi:filesystem/types#descriptor.{stat-at,metadata-hash-at,read-directory}"
    - "wasi:filesystem/types#descriptor.create-directory-at"
    - "wasi:filesystem/types#descriptor.{rename-at,unlink-file-at,remove-directory-at,symlink-at}"
    - "wasi:sockets/tcp#tcp-socket.start-connect"
    - "wasi:sockets/udp#{udp-socket.stream,outgoing-datagram-stream.send}"
    - "wasi:sockets/ip-name-lookup#resolve-addresses"
    - "wasi:http/outgoing-handler#handle"
"""
ALL = 'imports: { deny: ["wasi:filesystem/*", "wasi:cli/environment"] }'


def shell(*words: str | Path, cwd: Path) -> None:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def adapted(module: Path, folder: Path) -> Path:
    """A component of a module of preview 1, by the adapter that comes with jco."""
    tools, jco = need("wasm-tools", "jco")
    adapter = Path(jco).resolve().parents[1] / "lib" / "wasi_snapshot_preview1.command.wasm"
    given = f"wasi_snapshot_preview1={adapter}"
    shell(tools, "component", "new", "--adapt", given, module, "-o", "app.wasm", cwd=folder)
    return folder / "app.wasm"


def in_c(folder: Path) -> Path:
    need("wasm-tools", "jco")
    zig = (sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi", "-O2")
    shell(*zig, "-o", folder / "core.wasm", "app.c", cwd=GUESTS)
    return adapted(folder / "core.wasm", folder)


def in_rust(folder: Path) -> Path:
    cargo, *_ = need("cargo", "wasm-tools", "jco")
    target = "wasm32-wasip1"
    shell(cargo, "build", "--release", "--target", target, "--target-dir", folder / "target",
          "--manifest-path", GUESTS / "rust" / "Cargo.toml", cwd=folder)  # fmt: skip
    return adapted(folder / "target" / target / "release" / "guest.wasm", folder)


def in_python(folder: Path) -> Path:
    pytest.importorskip("componentize_py")
    wit = GUESTS.parents[2] / "fixtures" / "py_command" / "wit"
    start = "from componentize_py import script; script()"  # it has no `-m` form
    shell(sys.executable, "-c", start, "-q", "-d", wit, "-w", "command", "componentize", "app",
          "-o", folder / "app.wasm", cwd=GUESTS / "python")  # fmt: skip
    return folder / "app.wasm"


def in_javascript(folder: Path) -> Path:
    node, jco = need("node", "jco")
    maker = Path(jco).resolve().parents[2] / "componentize-js"
    shell(node, "build.mjs", maker, folder / "app.wasm", cwd=GUESTS / "js")
    return folder / "app.wasm"


#: What a denied step looks like, and what no step but these shows.
LANGUAGES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "C": (in_c, r"Permission denied"),
    "Rust": (in_rust, r"PermissionDenied: Permission denied \(os error 2\)|access-denied .*"
             r"|ErrorCode::HttpRequestDenied"),
    "Python": (in_python, r"PermissionError: \[Errno 2\] Permission denied.*"
               r"|gaierror: .*"),
    "JavaScript": (in_javascript, r"ComponentError: access|Error: .*host API\."),
}  # fmt: skip


class Empty(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def peer() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def run(wasm: bytes, peer: str, folder: Path) -> tuple[int, list[tuple[str, str]]]:
    """How it ended, and what it printed: what each step met."""
    data = folder / f"data{len(list(folder.iterdir()))}"
    data.mkdir()
    (folder / "run.wasm").write_bytes(wasm)
    allowed = "cli,http,inherit-network,allow-ip-name-lookup"
    done = subprocess.run(
        [need("wasmtime")[0], "run", "-S", allowed, "-O", "opt-level=0", "--dir", f"{data}::/data",
         "--env", f"PEER={peer}", "run.wasm"],
        capture_output=True, text=True, cwd=folder, timeout=300, check=False,
    )  # fmt: skip
    steps = [line.partition(": ") for line in done.stdout.splitlines() if ": " in line]
    return done.returncode, [(step, met) for step, _, met in steps]


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_step_meets_an_error_of_the_language(language: str, peer: str, tmp_path: Path) -> None:
    need("wasmtime")
    make, error = LANGUAGES[language]
    wasm = make(tmp_path).read_bytes()
    code, before = run(wasm, peer, tmp_path)
    assert code == 0 and len(before) > 6
    assert all(re.match("ok|true|204", met) for _, met in before), before
    told = guarded(wasm, "app.wasm", policy(STEPS, tmp_path), "deny", "none")
    code, after = run(b"".join(told.pieces), peer, tmp_path)
    names = [step for step, _ in before]
    assert code == 0 and [step for step, _ in after] == [*filter(dict(after).get, names)]
    for step, met in after:
        allowed = step in ("environment", "open", "open again", "read", "write")
        assert re.fullmatch("ok|true" if allowed else error, met), (step, met)


@pytest.mark.slow
@pytest.mark.parametrize("language", ["C", "Rust"])
def test_it_runs_where_it_has_nothing(language: str, peer: str, tmp_path: Path) -> None:
    """Adapters and runtimes ask for directories and variables before a program begins."""
    need("wasmtime")
    wasm = LANGUAGES[language][0](tmp_path).read_bytes()
    found = guarded(wasm, "app.wasm", policy(ALL, tmp_path), "deny", "none")
    code, steps = run(b"".join(found.pieces), "", tmp_path)
    assert code == 0 and dict(steps)["environment"] == "false"
    wanted = ("open", "open again", "read", "mkdir", "stat", "list", "opendir", "rmdir")
    assert not any(met.startswith("ok") for step, met in steps if step in wanted), steps
