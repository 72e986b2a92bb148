"""A real registry: others pull and run what we push, and see nothing of what did not arrive."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from fixtures import build
from tests.hosts import reading
from tests.hosts.operator import request_of, wash_host
from tests.hosts.rig import DEADLINE, Program, Server, running, tag
from tests.hosts.starting import WHAMM
from tests.hosts.test_wash import MANIFEST, check, records
from tests.hosts.tools import need
from tests.registry.server import Answer, Images, Request, serving
from whamm_cm.cli.main import main
from whamm_cm.errors import UsageError
from whamm_cm.registry import push as pushing
from whamm_cm.registry.client import Client
from whamm_cm.registry.image import World, image
from whamm_cm.registry.pull import pull
from whamm_cm.registry.push import push
from whamm_cm.registry.reference import Reference

#: ann, whose password is "secret".
USERS = "ann:$2b$05$Oj2hyseCtrnrXp1y6MmenuT51k57kNrwkuafn.CZZO12IdZKlbatS\n"
WEAVE = ("instrument", "--trace", "*", "--nonce", "abcdefghij23")
LARGE = image([os.urandom(1 << 20)] * 4, World(["a:b/c"], ["run"]))


@contextmanager
def real(folder: Path, log: str = "registry.log", **more: Any) -> Iterator[tuple[str, Program]]:
    """Debian's docker-registry with its data in ``folder``; ``more``: parts of its configuration.
    Gives ``127.0.0.1:PORT``."""
    (program,) = need("docker-registry")
    storage = {"filesystem": {"rootdirectory": str(folder / "data")}, **more.pop("storage", {})}
    config = {
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": storage,
        "http": {"addr": "127.0.0.1:0", "secret": "a"},
        **more,
    }
    (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    command = (program, "serve", folder / "config.yml")
    with running(command, folder / log, env={"OTEL_SDK_DISABLED": "true"}) as found:
        yield f"127.0.0.1:{found.port('listening on')}", found


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No credentials of whoever runs the tests, for us and for others."""
    home = tmp_path / "home"
    (home / ".docker").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DOCKER_CONFIG", str(home / ".docker"))
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(home))
    return home / ".docker"


def tags(where: str, repository: str) -> list[str]:
    try:
        with urllib.request.urlopen(f"http://{where}/v2/{repository}/tags/list", timeout=9) as one:
            return sorted(json.load(one)["tags"] or ())
    except urllib.error.HTTPError as error:
        assert error.code == 404
        return []


def call(*words: str | Path) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.decode()


def test_wash_pushes_we_weave_and_wash_runs_it(
    echo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The way of an image on wasmCloud, from its first push to the records in the host's log."""
    (wash,) = need("wash")
    with real(tmp_path) as (where, _):
        call(wash, "oci", "push", "--insecure", f"{where}/shop/echo:1", echo)
        source = f"oci://{where}/shop/echo:1"
        assert main(["instrument", "--trace", "*", "--time", source, "-o", f"{source}-traced"]) == 0
        pinned = capsys.readouterr().out.strip().removeprefix("oci://")
        assert tags(where, "shop/echo") == ["1", "1-traced"]
        with wash_host(tmp_path) as host:
            server = Server(host.port, "echo.test")
            for name in (f"{where}/shop/echo:1-traced", pinned):
                started, fault = host.start(request_of(MANIFEST, {"echo": name}))
                assert not fault
                assert server.post(tag(1)) == (200, tag(1))
                host.stop(started)
            log = host.program.log
        (tmp_path / "traced.wasm").write_bytes(pull(f"oci://{pinned}")[0])
        check(records(log, tmp_path / "traced.wasm", capsys), 2)


@pytest.mark.parametrize("tool", ["wash", "wkg"])
def test_others_pull_it_and_it_runs(
    tool: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program, wasmtime = need(tool, "wasmtime")
    out = tmp_path / "out.wasm"
    with real(tmp_path) as (where, _):
        name = f"{where}/shop/app:traced"
        source = str(build.path_of("c_command"))
        assert main([*WEAVE, source, "-o", f"oci://{name}"]) == 0
        if tool == "wash":
            call(program, "oci", "pull", "--insecure", name, out)
        else:
            call(program, "oci", "pull", "--insecure", where, name, "-o", out)
        assert out.read_bytes() == pull(f"oci://{name}")[0]
    log = tmp_path / "run.log"
    with log.open("wb") as file:
        subprocess.run([wasmtime, "run", out], stderr=file, check=True, timeout=DEADLINE)
    found = records(log, out, capsys)
    assert [fault for run in reading.runs(found).values() for fault in reading.unpaired(run)] == []
    assert [one["phase"] for one in found if one.get("func") == "run"] == ["call", "return"]


def test_what_wkg_pushes_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (wkg,) = need("wkg")
    with real(tmp_path) as (where, _):
        name = f"{where}/shop/app:1"
        call(wkg, "oci", "push", "--insecure", where, name, build.path_of("c_command"))
        assert main(["trace", "-c", f"oci://{name}"]) == 0
        assert "wasi:cli/run#run" in capsys.readouterr().err
        assert main([*WEAVE, f"oci://{name}", "-o", f"oci://{name}-traced"]) == 0
        before, after = pull(f"oci://{name}")[1], pull(f"oci://{name}-traced")[1]
        assert before.config is not None and after.config is not None
        assert after.config["created"] == before.config["created"]
        notes = after.manifest["annotations"]
        assert notes["org.opencontainers.image.base.digest"] == str(before.digest)


def log_in(folder: Path, where: str, user: str) -> None:
    basic = base64.b64encode(user.encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {where: {"auth": basic}}}))


def test_only_who_is_known_may_push(tmp_path: Path, nobody: Path) -> None:
    (tmp_path / "users").write_text(USERS)
    auth = {"htpasswd": {"realm": "r", "path": str(tmp_path / "users")}}
    with real(tmp_path, auth=auth) as (where, _):
        path = f"oci://{where}/shop/app:1"
        with pytest.raises(UsageError, match=r"let you push \(401\); there are no credentials"):
            push(path, LARGE)
        log_in(nobody, where, "ann:guess")
        with pytest.raises(UsageError, match=r"\(401\); the credentials are not accepted"):
            push(path, LARGE)
        log_in(nobody, where, "ann:secret")
        pushed = push(path, LARGE)
        assert pull(path)[1].digest == pushed.digest


@contextmanager
def by_tokens(folder: Path) -> Iterator[tuple[str, Images]]:
    """A registry that believes tokens only, and their server: "ann" may push, "bob" pull."""
    kept = json.loads((Path(__file__).parents[1] / "registry/data/tokens.json").read_text())
    (folder / "bundle.pem").write_text(kept["certificate"])
    rights = {"ann:secret": "pull,push", "bob:secret": "pull"}

    def serve(request: Request) -> Answer:
        user = base64.b64decode(request.user.partition("Basic ")[2]).decode()
        if user not in rights:
            return 401, {"WWW-Authenticate": 'Basic realm="tokens"'}, b""
        return 200, {}, json.dumps({"token": kept[rights[user]]}).encode()

    tokens = Images(serve)
    with serving(tokens) as server:
        auth = {
            "realm": f"http://{server}/token",
            "service": "registry.test",
            "issuer": "tests",
            "rootcertbundle": str(folder / "bundle.pem"),
        }
        with real(folder, auth={"token": auth}) as (where, _):
            yield where, tokens


def test_a_token_for_each_right(tmp_path: Path, nobody: Path) -> None:
    with by_tokens(tmp_path) as (where, tokens):
        path = f"oci://{where}/shop/app:1"
        for user in ("", "ann:guess", "bob:secret"):
            if user:
                log_in(nobody, where, user)
            with pytest.raises(UsageError, match=r"does not let you push \(401\)"):
                push(path, LARGE)
        log_in(nobody, where, "ann:secret")
        pushed = push(path, LARGE)
        asked = {one.path for one in tokens.seen}
        log_in(nobody, where, "bob:secret")
        assert pull(path)[1].digest == pushed.digest
        with pytest.raises(UsageError, match=r"\(401\); the credentials .* may only read"):
            push(path, LARGE)
    scope = "/token?service=registry.test&scope=repository%3Ashop%2Fapp%3A"
    assert asked == {f"{scope}pull%2Cpush"} and tokens.seen[-1].path == f"{scope}pull%2Cpush"
    assert f"{scope}pull" in {one.path for one in tokens.seen}


def test_one_that_is_read_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with real(tmp_path) as (where, _):
        push(f"oci://{where}/shop/app:1", LARGE)
    readonly = {"maintenance": {"readonly": {"enabled": True}}}
    with real(tmp_path, "again.log", storage=readonly) as (where, _):
        path = f"oci://{where}/shop/app:2"
        source = str(build.path_of("c_command"))
        assert main([*WEAVE, source, "-o", path]) == 2
        shown = capsys.readouterr().err
        assert shown.startswith(f"whamm-cm: {path}: the registry takes nothing (405)")
        assert shown.count("\n") == 1 and tags(where, "shop/app") == ["1"]


def test_it_takes_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushing, "CHUNK", 1_000_000)
    with real(tmp_path) as (where, _):
        reference = Reference.parse(f"oci://{where}/shop/app:1")
        with Client(reference, pushes=True) as client:
            for blob in LARGE.blobs:
                pushing._Push(client).chunks(blob)
        assert push(str(reference), LARGE).digest == pull(str(reference))[1].digest


def test_the_same_weave_is_the_same_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with real(tmp_path) as (where, _):
        path = f"oci://{where}/shop/app"
        for name in ("a", "b", "a"):
            assert main([*WEAVE, str(build.path_of("c_command")), "-o", f"{path}:{name}"]) == 0
        assert len(set(capsys.readouterr().out.split())) == 1


class Wire:
    """Between us and a registry; after ``most`` bytes towards it, ``then`` happens, and no more
    goes through.  ``address``: where to connect to."""

    def __init__(self, target: str, most: int, then: Callable[[], object]) -> None:
        host, _, port = target.partition(":")
        self.target, self.left, self.then = (host, int(port)), most, then
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.server.getsockname()[1]}"
        self.lines: list[socket.socket] = []
        self.over = threading.Event()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.server.accept()
                far = socket.create_connection(self.target)
                self.lines += [near, far]
                threading.Thread(target=self.forth, args=(near, far), daemon=True).start()
                threading.Thread(target=self.back, args=(far, near), daemon=True).start()

    def forth(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(min(1 << 14, self.left)):
                far.sendall(data)
                self.left -= len(data)
                if self.left == 0:
                    self.then()
                    self.over.set()
                    return
            far.shutdown(socket.SHUT_WR)

    def back(self, far: socket.socket, near: socket.socket) -> None:
        with suppress(OSError):
            while data := far.recv(1 << 14):
                near.sendall(data)
            near.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        for line in self.lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.server.close()
        self.cut()


#: Bytes of a push after which it is interrupted: in the first question, in blobs, in the manifest.
SENT = 4 << 20
POINTS = (40, 900, 1500, SENT // 2, SENT + 1000, SENT + 2300, SENT + 2900)


def wire(where: str, most: int, then: Callable[[Wire], object]) -> Wire:
    made: list[Wire] = []
    made.append(Wire(where, most, lambda: then(made[0])))
    return made[0]


@pytest.mark.parametrize("most", POINTS)
def test_a_line_that_is_cut(tmp_path: Path, most: int) -> None:
    """Whenever that is: there is no image, and the next try is as good as the first."""
    with real(tmp_path) as (where, _):
        between = wire(where, most, Wire.cut)
        with pytest.raises(UsageError) as caught:
            push(f"oci://{between.address}/shop/app:1", LARGE)
        between.close()
        assert between.over.wait(DEADLINE), str(caught.value)
        assert "\n" not in str(caught.value)
        assert tags(where, "shop/app") == []
        pushed = push(f"oci://{where}/shop/app:1", LARGE)
        assert pull(f"oci://{where}/shop/app:1")[1].digest == pushed.digest


def test_a_registry_that_dies_while_it_is_pushed_to(tmp_path: Path) -> None:
    with real(tmp_path) as (where, program):
        first = push(f"oci://{where}/shop/app:old", image([b"\0asm"], World()))

        def kill(between: Wire) -> None:
            program.process.kill()
            program.process.wait()
            between.cut()

        between = wire(where, SENT // 2, kill)
        with pytest.raises(UsageError, match="the component cannot be sent: "):
            push(f"oci://{between.address}/shop/app:1", LARGE)
        between.close()
    with real(tmp_path, "again.log") as (where, _):
        assert tags(where, "shop/app") == ["old"]
        assert pull(f"oci://{where}/shop/app:old")[1].digest == first.digest
        push(f"oci://{where}/shop/app:1", LARGE)
        assert tags(where, "shop/app") == ["1", "old"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_we_die_while_we_push(tmp_path: Path, number: signal.Signals) -> None:
    source = build.path_of("c_command")
    with real(tmp_path) as (where, _):
        stopped = threading.Event()
        between = wire(where, 40_000, lambda _: stopped.set())
        path = f"oci://{between.address}/shop/app:1"
        process = subprocess.Popen(
            [*WHAMM, *WEAVE, str(source), "-o", path], stderr=subprocess.PIPE
        )
        assert stopped.wait(DEADLINE)
        process.send_signal(number)
        _, said = process.communicate(timeout=DEADLINE)
        between.close()
        assert process.returncode == (130 if number == signal.SIGINT else -number)
        assert b"Traceback" not in said
        assert tags(where, "shop/app") == []
