"""Every command reads a component out of a registry or a layout as it does out of a file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import whamm_cm
from fixtures import build
from tests.hosts.tools import need
from tests.registry.server import Images, serving
from whamm_cm.cli.main import main
from whamm_cm.front.tracing import guest_name
from whamm_cm.registry.image import World, image
from whamm_cm.registry.push import push


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def file() -> str:
    return str(build.path_of("c_command"))


@pytest.fixture(scope="module", params=["tag", "digest", "layout"])
def app(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, file: str
) -> Iterator[str]:
    data = Path(file).read_bytes()
    if request.param == "layout":
        folder = tmp_path_factory.mktemp("images")
        made = whamm_cm.load(file)
        assert isinstance(made, whamm_cm.Component)
        world = World([one.name for one in made.imports], [one.name for one in made.exports])
        push(f"{folder}:1", image([data], world))
        yield f"{folder}:1"
        return
    images = Images()
    named = images.add("shop/cart:1", data)
    with serving(images) as where:
        yield f"oci://{where}/shop/cart" + (":1" if request.param == "tag" else f"@{named}")


#: APP stands for the component.
COMMANDS = {
    "inspect": ["inspect", "APP"],
    "inspect --json": ["inspect", "--json", "APP"],
    "inspect --capabilities": ["inspect", "--capabilities", "APP"],
    "inspect --why": ["inspect", "--why", "wasi:random/random", "APP"],
    "inspect -f cyclonedx": ["inspect", "-f", "cyclonedx", "APP"],
    "info": ["info", "wasi:random/*#*:before", "APP"],
    "info -m": ["info", "-m", "hotness", "-n", "2", "APP"],
    "diff": ["diff", "APP", "APP"],
    "trace": ["trace", "--no-time", "-e", "trace=wasi:cli/run", "APP"],
    "trace --": ["trace", "--no-time", "-e", "trace=wasi:cli/run", "--", "APP"],
    "trace -m": ["trace", "-m", "icount", "APP"],
    "gate": ["gate", "--no-cache", "--policy", "wasmcloud-2.7", "APP"],
    "policy suggest": ["policy", "suggest", "APP"],
    "policy explain": ["policy", "explain", "APP", "--policy", "wasmcloud-2.7"],
    "policy lint": ["policy", "lint", "wasmcloud-2.7", "APP"],
    "instrument": ["instrument", "--trace", "*", "--nonce", "abcdefghij23", "-o", "OUT", "APP"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_it_is_read_as_the_file_is(
    name: str, app: str, file: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def ran(source: str) -> tuple[int, str, bytes]:
        out = tmp_path / "out.wasm"
        words = [{"APP": source, "OUT": str(out)}.get(word, word) for word in COMMANDS[name]]
        status = main(words)
        shown = capfd.readouterr()
        text = (shown.out + shown.err).replace(source, "APP")
        text = text.replace(os.path.basename(source), "APP")
        written = out.read_bytes() if out.exists() else b""
        out.unlink(missing_ok=True)
        return status, text, written

    expected, found = ran(file), ran(app)
    if name == "gate":  # which says by which digest the image is known
        lines = [line for line in found[1].splitlines(True) if not line.startswith("  image ")]
        found = found[0], "".join(lines), found[2]
    assert found == expected and expected[0] in (0, 1)


def test_a_table_of_policies_may_name_images(
    app: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.test.yaml").write_text(
        f"version: 1\npolicy: wasmcloud-2.7\ncases:\n  - component: '{app}'\n    expect: pass\n"
    )
    assert main(["policy", "test", str(tmp_path / "t.test.yaml")]) == 0, capsys.readouterr()


def test_the_guest_is_called_as_the_repository_is() -> None:
    name = "oci://r.example:5000/shop/cart"
    found = (name, f"{name}:1", f"{name}@sha256:00", f"{name}:1@sha256:00", "a/cart:1.wasm")
    assert [guest_name(one) for one in found] == ["cart"] * 4 + ["cart:1.wasm"]


def test_by_the_api(app: str, file: str) -> None:
    loaded = whamm_cm.load(app)
    assert loaded.data == Path(file).read_bytes() and loaded.image is not None
    assert whamm_cm.load(file).image is None


def test_a_log_is_read_with_a_woven_image(
    tmp_path: Path, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (wasmtime,) = need("wasmtime")
    images = Images()
    with serving(images) as where:
        woven = f"oci://{where}/shop/cart:traced"
        assert main(["instrument", "--trace", "*", file, "-o", woven]) == 0
        assert main(["instrument", "--trace", "*", file, "-o", str(tmp_path / "other.wasm")]) == 0
        log = tmp_path / "log"
        out = tmp_path / "pulled.wasm"
        out.write_bytes(whamm_cm.load(woven).data)
        with log.open("wb") as stream:
            subprocess.run([wasmtime, "run", out], stderr=stream, check=True, timeout=60)
        capsys.readouterr()
        assert main(["report", "-c", "--woven", woven, str(log)]) == 0
        assert "wasi:cli/run#run" in capsys.readouterr().out
        assert len(whamm_cm.read_log(log, woven=woven).records) > 10


def test_a_command_gets_a_woven_copy_of_an_image(
    tmp_path: Path, file: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The command need not know what an image is."""
    (wasmtime,) = need("wasmtime")
    images = Images()
    images.add("shop/cart:1", Path(file).read_bytes())
    with serving(images) as where:
        app = f"oci://{where}/shop/cart:1"
        assert main(["trace", "-c", "--", wasmtime, "run", app]) == 0
        assert "wasi:cli/run#run" in capfd.readouterr().err
        assert main(["trace", "-c", "--component", app, "--", wasmtime, "run", app]) == 0
        assert "wasi:cli/run#run" in capfd.readouterr().err
        folder = tmp_path / "lay"
        folder.mkdir()
        push(f"{folder}:1", image([Path(file).read_bytes()], World()))
        lay = f"{folder}:1"
        assert main(["trace", "-c", "--component", lay, "--", wasmtime, "run", lay]) == 0
        assert "wasi:cli/run#run" in capfd.readouterr().err
        assert main(["trace", "--component", lay, "--", wasmtime, "run", file]) == 2
        assert "is no argument of the command" in capfd.readouterr().err
        assert main(["trace", "--component", app, "--", wasmtime, "run", file]) == 2
        assert "is no argument of the command" in capfd.readouterr().err


def test_what_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Images()) as where:
        for command in ("inspect", "trace"):
            assert main([command, f"oci://{where}/shop/cart:1"]) == 3
            said = capsys.readouterr().err
            assert said == (
                f"whamm-cm: oci://{where}/shop/cart:1: the registry does not have the manifest 1\n"
            )
